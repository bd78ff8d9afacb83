package marketplace

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors of commands and queries. Those of the storage port (ErrNotFound,
// ErrStale, ErrUnavailable...) come through as they are.
var (
	// ErrForbidden: the actor may see the thing but not do this. The error
	// is a [*ForbiddenError].
	ErrForbidden = errors.New("not allowed")
	// ErrInvalid: the input can be mended by whoever sent it. The error is
	// an [*InvalidError].
	ErrInvalid = errors.New("invalid input")
	// ErrRateLimited: too many tries of this sort lately. The error is a
	// [*RateLimitedError], which says how long to wait.
	ErrRateLimited = errors.New("too many tries")
	// ErrBadCursor: a page was asked for after a cursor that this list did
	// not give.
	ErrBadCursor = errors.New("the cursor is not one of this list's")
)

// A ForbiddenError says what the actor may not do.
type ForbiddenError struct {
	Verb   string // "publish a solution"
	Signed bool   // the actor is signed in
}

func (e *ForbiddenError) Error() string {
	if !e.Signed {
		return "sign in to " + e.Verb
	}
	return "you may not " + e.Verb
}

// Is makes a ForbiddenError match [ErrForbidden].
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// A ConflictError says that a command named a version that is no longer the
// current one. It matches [ErrStale].
type ConflictError struct {
	Current entity // as it is now
}

func (e *ConflictError) Error() string { return ErrStale.Error() }

// Is makes a ConflictError match [ErrStale].
func (e *ConflictError) Is(target error) bool { return target == ErrStale }

// A RateLimitedError says how long to wait before the next try.
type RateLimitedError struct {
	Wait time.Duration
}

func (e *RateLimitedError) Error() string {
	if s := e.Seconds(); s != 1 {
		return fmt.Sprintf("too many tries; try again in %d seconds", s)
	}
	return "too many tries; try again in 1 second"
}

// Seconds is the time to wait in whole seconds, rounded up; at least 1.
func (e *RateLimitedError) Seconds() int {
	return int(max(e.Wait+time.Second-1, time.Second) / time.Second)
}

// Is makes a RateLimitedError match [ErrRateLimited].
func (e *RateLimitedError) Is(target error) bool { return target == ErrRateLimited }

// A UserError is one thing that is wrong with an input.
type UserError struct {
	Path    string `json:"path"`    // field of the input, as in "deployments[2].year"
	Code    string `json:"code"`    // REQUIRED, INVALID, TOO_LONG, TOO_MANY, DUPLICATE, OUT_OF_RANGE, TAKEN, NOT_FOUND, TOO_SHORT, GUESSABLE...
	Message string `json:"message"` // a sentence without the path: "must be a year from 1950 to 2027"
}

// An InvalidError lists everything that is wrong with an input.
type InvalidError struct {
	Errors []UserError

	claim string // that another document holds, where that is what is wrong
}

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Errors))
	for i, u := range e.Errors {
		parts[i] = strings.TrimPrefix(u.Path+": "+u.Message, ": ")
	}
	return strings.Join(parts, "; ")
}

// Is makes an InvalidError match [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// ignore makes no error of one that was expected.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func invalid(path, code, message string) error {
	return &InvalidError{Errors: []UserError{{Path: path, Code: code, Message: message}}}
}

// maxProblems bounds what one answer complains about.
const maxProblems = 50

// problems collects what is wrong with an input.
type problems struct {
	list []UserError
}

func (p *problems) add(path, code, message string) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, UserError{Path: path, Code: code, Message: message})
	}
}

func (p *problems) addf(path, code, format string, args ...any) {
	p.add(path, code, fmt.Sprintf(format, args...))
}

// has says whether something is wrong with this field already.
func (p *problems) has(path string) bool {
	return slices.ContainsFunc(p.list, func(e UserError) bool { return e.Path == path })
}

// err is nil when nothing was wrong.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &InvalidError{Errors: p.list}
}

// max reports a list that is too long; it says whether the list may be looked at.
func (p *problems) max(path string, n, max int) bool {
	if n > max {
		p.addf(path, "TOO_MANY", "at most %d, these are %d", max, n)
	}
	return n <= max
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// missing turns ErrNotFound into a problem of the field that names the thing;
// other errors it hands back.
func (p *problems) missing(err error, path, what string) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	p.add(path, "NOT_FOUND", "there is no such "+what)
	return nil
}

// problemsOf are what an error complains about; none where it is of another kind.
func problemsOf(err error) []UserError {
	if wrong, ok := errors.AsType[*InvalidError](err); ok {
		return wrong.Errors
	}
	return nil
}
