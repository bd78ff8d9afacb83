package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

const (
	maxBody     = 256 << 10        // bytes of a request's body
	bodyTimeout = 10 * time.Second // for the body to arrive
)

// A refusal is a request that is wrong as HTTP, before GraphQL is looked at.
type refusal struct {
	status        int
	code, message string
}

func badRequest(message string) *refusal {
	return &refusal{http.StatusBadRequest, codeRequest, message}
}

// jsonObject keeps numbers as they are written, so that large ones lose nothing.
type jsonObject map[string]any

// UnmarshalJSON implements [json.Unmarshaler].
func (o *jsonObject) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*map[string]any)(o))
}

// parameters are what a request says, by POST as the body's JSON.
type parameters struct {
	Query         *string    `json:"query"`
	OperationName *string    `json:"operationName"`
	Variables     jsonObject `json:"variables"`
	Extensions    jsonObject `json:"extensions"`
}

// params checks that something was asked.
func (p *parameters) params() (*graphql.RawParams, *refusal) {
	raw := &graphql.RawParams{Variables: p.Variables, Extensions: p.Extensions}
	if p.Query != nil {
		raw.Query = *p.Query
	}
	if p.OperationName != nil {
		raw.OperationName = *p.OperationName
	}
	if raw.Query == "" && raw.Extensions["persistedQuery"] == nil {
		return nil, badRequest("query is missing")
	}
	return raw, nil
}

// readURL reads the parameters of a GET request. Empty ones count as absent.
func readURL(u *url.URL) (*graphql.RawParams, *refusal) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badRequest("the address has a query that cannot be read")
	}
	query, name := values.Get("query"), values.Get("operationName")
	p := parameters{Query: &query, OperationName: &name}
	if text := values.Get("variables"); text != "" && json.Unmarshal([]byte(text), &p.Variables) != nil {
		return nil, badRequest("variables must be a JSON object")
	}
	if text := values.Get("extensions"); text != "" && json.Unmarshal([]byte(text), &p.Extensions) != nil {
		return nil, badRequest("extensions must be a JSON object")
	}
	return p.params()
}

// bodies are buffers for reading requests; nothing of a buffer is kept when
// its request has been parsed.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readPost reads the body of a POST request.
func readPost(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, codeMediaType, "the body must be application/json in UTF-8"}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &refusal{http.StatusUnsupportedMediaType, codeMediaType, "the body must not be compressed"}
	}
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if refused := readBody(body, w, r); refused != nil {
		return nil, refused
	}
	return parseBody(body.Bytes())
}

func readBody(body *bytes.Buffer, w http.ResponseWriter, r *http.Request) *refusal {
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, codeTooLarge, "the body is too large"}
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close") // rather than reading all of it
		return tooLarge
	}
	// A connection that is not one of a socket, as in tests, has no deadlines.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err == nil:
		// From here on the server only watches whether the client leaves; a
		// deadline that passes would look as if it had.
		_ = control.SetReadDeadline(time.Time{})
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return &refusal{http.StatusRequestTimeout, codeSlow, "the body did not arrive in time"}
	}
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return tooLarge
	}
	return badRequest("the body could not be read")
}

// parseBody parses the JSON of a request. Messages never repeat any of it.
func parseBody(body []byte) (*graphql.RawParams, *refusal) {
	switch trimmed := bytes.TrimLeft(body, " \t\r\n"); {
	case len(trimmed) == 0:
		return nil, badRequest("the body is empty")
	case trimmed[0] == '[':
		return nil, badRequest("several operations in one request are not supported")
	case trimmed[0] != '{':
		return nil, badRequest("the body must be a JSON object")
	case !utf8.Valid(body):
		return nil, badRequest("the body is not UTF-8")
	}
	var p parameters
	if err := json.Unmarshal(body, &p); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			switch wrong.Field {
			case "query", "operationName":
				return nil, badRequest(wrong.Field + " must be a string")
			}
			return nil, badRequest("variables and extensions must be objects")
		}
		return nil, badRequest("the body is not JSON")
	}
	return p.params()
}
