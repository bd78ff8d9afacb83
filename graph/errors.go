package graph

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"citymarket/marketplace"
)

// Codes that an answer's errors carry in extensions.code. Clients branch on
// them; messages are for people.
const (
	codeBadUserInput    = "BAD_USER_INPUT"  // mend the input and try again
	codeUnauthenticated = "UNAUTHENTICATED" // sign in first
	codeForbidden       = "FORBIDDEN"       // signed in, and still not allowed
	codeNotFound        = "NOT_FOUND"       // what the operation is about is not there
	codeConflict        = "CONFLICT"        // somebody else was faster
	codeRateLimited     = "RATE_LIMITED"    // wait for extensions.retryAfter seconds
	codeUnavailable     = "UNAVAILABLE"     // try again later
	codeInternal        = "INTERNAL"        // our fault; the id is in the log
	codeLimit           = "LIMIT_EXCEEDED"  // ask for less at once
	codeParse           = "GRAPHQL_PARSE_FAILED"
	codeValidation      = "GRAPHQL_VALIDATION_FAILED"
	codeNotPersisted    = "PERSISTED_QUERY_NOT_FOUND" // send the query along with its hash

	// Of HTTP, with the status that they come with.
	codeRequest       = "BAD_REQUEST"            // 400
	codeMethod        = "METHOD_NOT_ALLOWED"     // 405
	codeNotAcceptable = "NOT_ACCEPTABLE"         // 406
	codeSlow          = "REQUEST_TIMEOUT"        // 408
	codeTooLarge      = "CONTENT_TOO_LARGE"      // 413
	codeMediaType     = "UNSUPPORTED_MEDIA_TYPE" // 415
)

const (
	maxErrors  = 20  // of one answer
	maxMessage = 500 // bytes: messages of the parser repeat what they stumbled on
)

// coded makes an error that may be shown as it is.
func coded(code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
}

// A presenter turns errors into what clients may see of them.
type presenter struct {
	log *slog.Logger
}

// present implements [graphql.ErrorPresenterFunc]. It never changes the error
// itself, which may be shared. What no longer fits into the answer is nil and
// is not in the log either: one failing field of 100 entries would write 100
// times the same.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	if callOf(ctx).errors.Add(1) > maxErrors {
		return nil
	}
	shown := &gqlerror.Error{}
	cause := err
	if found, ok := errors.AsType[*gqlerror.Error](err); ok {
		shown.Path, shown.Locations = found.Path, found.Locations
		if _, ok := found.Extensions["code"].(string); ok {
			shown.Message, shown.Extensions = shorten(found.Message), found.Extensions
			return shown
		}
		cause = found
		if found.Err != nil {
			cause = found.Err
		}
	}
	field := graphql.GetFieldContext(ctx)
	if field != nil && shown.Locations == nil && field.Field.Field != nil && field.Field.Position != nil {
		shown.Locations = []gqlerror.Location{{Line: field.Field.Position.Line, Column: field.Field.Position.Column}}
	}
	code, message := Classify(cause)
	if code == codeInternal && isArgumentError(field, cause) {
		code, message = codeBadUserInput, cause.Error()
	}
	shown.Message, shown.Extensions = shorten(message), map[string]any{"code": code}
	if invalid, ok := errors.AsType[*marketplace.InvalidError](cause); ok {
		shown.Extensions["errors"] = fieldErrors(invalid)
	}
	if limited, ok := errors.AsType[*marketplace.RateLimitedError](cause); ok {
		shown.Extensions["retryAfter"] = limited.Seconds()
	}
	switch code {
	case codeInternal:
		shown.Extensions["id"] = p.internal(ctx, cause, shown.Path.String())
	case codeUnavailable:
		if !errors.Is(cause, context.Canceled) {
			p.log.WarnContext(ctx, "graphql: unavailable", "path", shown.Path.String(), "error", cause)
		}
	}
	return shown
}

// internal writes the cause of an internal error to the log, under an id.
func (p presenter) internal(ctx context.Context, cause error, path string) (id string) {
	id = rand.Text()[:12]
	attributes := []any{"id", id, "path", path, "error", cause}
	if broken, ok := errors.AsType[*panicError](cause); ok {
		attributes = append(attributes, "stack", string(broken.stack))
	}
	p.log.ErrorContext(ctx, "graphql: internal error", attributes...)
	return id
}

// Classify finds the code of an error of the domain and what may be said, for
// the API and for what else is answered over HTTP. Everything that is not
// known is INTERNAL.
func Classify(err error) (code, message string) {
	forbidden, isForbidden := errors.AsType[*marketplace.ForbiddenError](err)
	switch {
	case errors.Is(err, marketplace.ErrInvalid):
		if invalid, ok := errors.AsType[*marketplace.InvalidError](err); ok {
			return codeBadUserInput, invalid.Error()
		}
		return codeBadUserInput, marketplace.ErrInvalid.Error()
	case errors.Is(err, marketplace.ErrBadCursor):
		return codeBadUserInput, marketplace.ErrBadCursor.Error()
	case isForbidden && !forbidden.Signed:
		return codeUnauthenticated, forbidden.Error()
	case isForbidden:
		return codeForbidden, forbidden.Error()
	case errors.Is(err, marketplace.ErrForbidden):
		return codeForbidden, marketplace.ErrForbidden.Error()
	case errors.Is(err, marketplace.ErrRateLimited):
		return codeRateLimited, err.Error()
	case errors.Is(err, marketplace.ErrNotFound):
		return codeNotFound, marketplace.ErrNotFound.Error()
	case errors.Is(err, marketplace.ErrStale):
		return codeConflict, marketplace.ErrStale.Error()
	case errors.Is(err, marketplace.ErrTaken):
		return codeConflict, marketplace.ErrTaken.Error()
	case errors.Is(err, marketplace.ErrUnknown):
		return codeUnavailable, marketplace.ErrUnknown.Error()
	case errors.Is(err, marketplace.ErrUnavailable), errors.Is(err, marketplace.ErrClosed):
		return codeUnavailable, marketplace.ErrUnavailable.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return codeUnavailable, tookTooLong
	}
	return codeInternal, "internal error"
}

// isArgumentError says whether an error comes from reading a field's
// arguments, before its resolver is called: then whoever sent them can mend
// it. gqlgen does not mark such errors; it has not set the arguments yet.
func isArgumentError(field *graphql.FieldContext, err error) bool {
	if field == nil || field.Args != nil || field.Field.Field == nil || field.Field.Definition == nil {
		return false
	}
	_, panicked := errors.AsType[*panicError](err)
	return !panicked && len(field.Field.Definition.Arguments) > 0
}

// fieldError is one problem of an input, as clients see it.
type fieldError struct {
	Path    string `json:"path"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func fieldErrors(invalid *marketplace.InvalidError) []fieldError {
	list := make([]fieldError, len(invalid.Errors))
	for i, e := range invalid.Errors {
		list[i] = fieldError(e)
	}
	return list
}

// shorten cuts a long message at a character's end.
func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage
	for !utf8.RuneStart(message[cut]) {
		cut--
	}
	return strings.ToValidUTF8(message[:cut], "") + "..."
}

// A panicError is a panic of a resolver.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered implements [graphql.RecoverFunc].
func recovered(_ context.Context, value any) error {
	return &panicError{value: value, stack: debug.Stack()}
}
