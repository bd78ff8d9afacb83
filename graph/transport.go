package graph

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const allowedMethods = "GET, HEAD, POST, OPTIONS"

// plainHTTP answers queries by GET and POST and mutations by POST, one
// operation a request.
type plainHTTP struct {
	timeout time.Duration
	errors  presenter
}

// Supports implements [graphql.Transport]. Whatever no other transport wants
// is answered here; a wish for another protocol may be ignored by RFC 9110.
func (plainHTTP) Supports(*http.Request) bool { return true }

// Do implements [graphql.Transport].
func (t plainHTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	a := &answer{ResponseWriter: w, mediaType: typeJSON, gzip: acceptsGzip(r.Header.Get("Accept-Encoding"))}
	defer t.recover(a, r)
	h := w.Header()
	h.Add("Vary", "Accept, Accept-Encoding")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")

	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	case http.MethodOptions:
		h.Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", allowedMethods)
		a.refuse(&refusal{http.StatusMethodNotAllowed, codeMethod, "use GET or POST"})
		return
	}
	if a.mediaType = answerType(r.Header["Accept"]); a.mediaType == "" {
		a.mediaType = typeJSON
		a.refuse(&refusal{http.StatusNotAcceptable, codeNotAcceptable, "answers are " + typeGraphQL + " or " + typeJSON})
		return
	}
	params, refused := readParams(w, r)
	if refused != nil {
		a.refuse(refused)
		return
	}
	params.Headers = r.Header

	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	defer cancel()
	ctx = graphql.StartOperationTrace(withCall(ctx, &call{mutations: r.Method == http.MethodPost}))
	a.send(run(ctx, params, exec, a))
}

func readParams(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	if r.Method == http.MethodPost {
		return readPost(w, r)
	}
	return readURL(r.URL)
}

// run executes an operation and finds the status of its answer.
func run(ctx context.Context, params *graphql.RawParams, exec graphql.GraphExecutor, a *answer) (int, *graphql.Response) {
	op, errs := exec.CreateOperationContext(ctx, params)
	if errs != nil {
		response := exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)
		if errs[0].Extensions["code"] == codeMethod {
			a.Header().Set("Allow", http.MethodPost)
			return http.StatusMethodNotAllowed, response
		}
		return a.refused(), response
	}
	next, ctx := exec.DispatchOperation(ctx, op)
	response := next(ctx)
	switch {
	case response == nil: // the deadline passed before the work began
		return http.StatusServiceUnavailable, &graphql.Response{Errors: gqlerror.List{coded(codeUnavailable, tookTooLong)}}
	case response.Data == nil:
		return a.refused(), response
	}
	return http.StatusOK, response
}

// recover answers a request whose answer could not be written out. Panics of
// resolvers do not come here: gqlgen catches them field by field.
func (t plainHTTP) recover(a *answer, r *http.Request) {
	value := recover()
	switch {
	case value == nil:
		return
	case value == http.ErrAbortHandler || a.begun:
		panic(value)
	}
	err := coded(codeInternal, "internal error")
	err.Extensions["id"] = t.errors.internal(r.Context(), recovered(r.Context(), value), "")
	a.send(http.StatusInternalServerError, &graphql.Response{Errors: gqlerror.List{err}})
}
