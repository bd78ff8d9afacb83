package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

const (
	jsonBody    = "Content-Type: application/json"
	wantGraphQL = "Accept: " + typeGraphQL
	typename    = `{"query":"{ __typename }"}`
)

func TestHTTP(t *testing.T) {
	t.Parallel()
	get := func(pairs ...string) string {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return "/graphql?" + values.Encode()
	}
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		code                 string // of the first error; empty: no errors
		header               string // "Name: value" that the answer has
	}{
		// Methods.
		"post":                     {"POST", "/", typename, []string{jsonBody}, 200, "", "Content-Type: application/json; charset=utf-8"},
		"get":                      {"GET", get("query", "{ __typename }"), "", nil, 200, "", "Content-Type: application/json; charset=utf-8"},
		"head":                     {"HEAD", get("query", "{ __typename }"), "", nil, 200, "", "Content-Length: 31"},
		"options":                  {"OPTIONS", "/", "", nil, 204, "", "Allow: GET, HEAD, POST, OPTIONS"},
		"put":                      {"PUT", "/", typename, []string{jsonBody}, 405, codeMethod, "Allow: GET, HEAD, POST, OPTIONS"},
		"delete":                   {"DELETE", "/", "", nil, 405, codeMethod, "Allow: GET, HEAD, POST, OPTIONS"},
		"mutation by get":          {"GET", get("query", "mutation { a }"), "", nil, 405, codeMethod, "Allow: POST"},
		"mutation by head":         {"HEAD", get("query", "mutation { a }"), "", nil, 405, codeMethod, "Allow: POST"},
		"named mutation by get":    {"GET", get("query", "query A { __typename } mutation B { a }", "operationName", "B"), "", nil, 405, codeMethod, "Allow: POST"},
		"subscription by get":      {"GET", get("query", "subscription { a }"), "", []string{wantGraphQL}, 400, codeBadUserInput, ""},
		"subscription by post":     {"POST", "/", `{"query":"subscription { a }"}`, []string{jsonBody, wantGraphQL}, 400, codeBadUserInput, ""},
		"another protocol is fine": {"POST", "/", typename, []string{jsonBody, "Upgrade: h2c"}, 200, "", ""},

		// What is accepted.
		"graphql":               {"POST", "/", typename, []string{jsonBody, wantGraphQL}, 200, "", "Content-Type: application/graphql-response+json; charset=utf-8"},
		"anything":              {"POST", "/", typename, []string{jsonBody, "Accept: */*"}, 200, "", "Content-Type: application/json; charset=utf-8"},
		"any application":       {"POST", "/", typename, []string{jsonBody, "Accept: application/*"}, 200, "", "Content-Type: application/json; charset=utf-8"},
		"both":                  {"POST", "/", typename, []string{jsonBody, "Accept: application/json, application/graphql-response+json"}, 200, "", "Content-Type: application/graphql-response+json; charset=utf-8"},
		"weights":               {"POST", "/", typename, []string{jsonBody, "Accept: application/json;q=0.2, application/graphql-response+json;q=0.1"}, 200, "", "Content-Type: application/json; charset=utf-8"},
		"excluded":              {"POST", "/", typename, []string{jsonBody, "Accept: */*, application/json;q=0"}, 200, "", "Content-Type: application/graphql-response+json; charset=utf-8"},
		"case and spaces":       {"POST", "/", typename, []string{jsonBody, "Accept: text/html , Application/GraphQL-Response+JSON ; Q=0.5"}, 200, "", "Content-Type: application/graphql-response+json; charset=utf-8"},
		"charset":               {"POST", "/", typename, []string{jsonBody, "Accept: application/json; charset=utf-8"}, 200, "", "Content-Type: application/json; charset=utf-8"},
		"another charset":       {"POST", "/", typename, []string{jsonBody, "Accept: application/json; charset=utf-16"}, 406, codeNotAcceptable, ""},
		"image":                 {"POST", "/", typename, []string{jsonBody, "Accept: image/png"}, 406, codeNotAcceptable, ""},
		"nothing":               {"POST", "/", typename, []string{jsonBody, "Accept: */*;q=0"}, 406, codeNotAcceptable, ""},
		"a weight that is none": {"POST", "/", typename, []string{jsonBody, "Accept: application/json;q=high"}, 406, codeNotAcceptable, ""},
		"rather than a stream":  {"POST", "/", typename, []string{jsonBody, "Accept: application/json, text/event-stream"}, 200, "", "Content-Type: application/json; charset=utf-8"},

		// What comes.
		"charset of the body":   {"POST", "/", typename, []string{`Content-Type: application/json; charset="UTF-8"`}, 200, "", ""},
		"utf-16":                {"POST", "/", typename, []string{"Content-Type: application/json; charset=utf-16"}, 415, codeMediaType, ""},
		"text":                  {"POST", "/", typename, []string{"Content-Type: text/plain"}, 415, codeMediaType, ""},
		"form":                  {"POST", "/", "query=%7B__typename%7D", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, codeMediaType, ""},
		"multipart":             {"POST", "/", "--x--", []string{"Content-Type: multipart/form-data; boundary=x"}, 415, codeMediaType, ""},
		"no type":               {"POST", "/", typename, nil, 415, codeMediaType, ""},
		"a broken type":         {"POST", "/", typename, []string{"Content-Type: application/json; ="}, 415, codeMediaType, ""},
		"compressed":            {"POST", "/", typename, []string{jsonBody, "Content-Encoding: gzip"}, 415, codeMediaType, ""},
		"too large":             {"POST", "/", `{"query":"{__typename}"}` + strings.Repeat(" ", maxBody), []string{jsonBody}, 413, codeTooLarge, ""},
		"just not too large":    {"POST", "/", typename + strings.Repeat(" ", maxBody-len(typename)), []string{jsonBody}, 200, "", ""},
		"empty":                 {"POST", "/", "", []string{jsonBody}, 400, codeRequest, ""},
		"blank":                 {"POST", "/", " \n", []string{jsonBody}, 400, codeRequest, ""},
		"not json":              {"POST", "/", "{query", []string{jsonBody}, 400, codeRequest, ""},
		"more after the json":   {"POST", "/", typename + "x", []string{jsonBody}, 400, codeRequest, ""},
		"a second json":         {"POST", "/", typename + typename, []string{jsonBody}, 400, codeRequest, ""},
		"a batch":               {"POST", "/", "[" + typename + "]", []string{jsonBody}, 400, codeRequest, ""},
		"a string":              {"POST", "/", `"{ __typename }"`, []string{jsonBody}, 400, codeRequest, ""},
		"null":                  {"POST", "/", "null", []string{jsonBody}, 400, codeRequest, ""},
		"not utf-8":             {"POST", "/", "{\"query\":\"{ __typename }\",\"x\":\"\xff\"}", []string{jsonBody}, 400, codeRequest, ""},
		"deep":                  {"POST", "/", `{"query":"{ __typename }","x":` + strings.Repeat("[", 20_000), []string{jsonBody}, 400, codeRequest, ""},
		"no query":              {"POST", "/", `{"notquery":1}`, []string{jsonBody}, 400, codeRequest, ""},
		"null query":            {"POST", "/", `{"query":null}`, []string{jsonBody}, 400, codeRequest, ""},
		"empty query":           {"POST", "/", `{"query":""}`, []string{jsonBody}, 400, codeRequest, ""},
		"number as query":       {"POST", "/", `{"query":1}`, []string{jsonBody}, 400, codeRequest, ""},
		"object as name":        {"POST", "/", `{"query":"{ __typename }","operationName":{}}`, []string{jsonBody}, 400, codeRequest, ""},
		"string as variables":   {"POST", "/", `{"query":"{ __typename }","variables":"{}"}`, []string{jsonBody}, 400, codeRequest, ""},
		"list as extensions":    {"POST", "/", `{"query":"{ __typename }","extensions":[]}`, []string{jsonBody}, 400, codeRequest, ""},
		"all null":              {"POST", "/", `{"query":"{ __typename }","operationName":null,"variables":null,"extensions":null}`, []string{jsonBody}, 200, "", ""},
		"unknown properties":    {"POST", "/", `{"query":"{ __typename }","id":7}`, []string{jsonBody}, 200, "", ""},
		"empty url parameters":  {"GET", get("query", "{ __typename }", "operationName", "", "variables", "", "extensions", ""), "", nil, 200, "", ""},
		"no url parameters":     {"GET", "/graphql", "", nil, 400, codeRequest, ""},
		"broken url parameters": {"GET", "/graphql?query=%zz", "", nil, 400, codeRequest, ""},
		"broken url variables":  {"GET", get("query", "{ __typename }", "variables", "{x"), "", nil, 400, codeRequest, ""},
		"url extensions":        {"GET", get("query", "{ __typename }", "extensions", "7"), "", nil, 400, codeRequest, ""},
		"url variables":         {"GET", get("query", "query($s: Boolean!) { __typename @skip(if: $s) viewer { isSignedIn } }", "variables", `{"s":true}`), "", nil, 200, "", ""},

		// Operations that are refused: 400 for the modern type, 200 for the old one.
		"parse error":           {"POST", "/", `{"query":"{"}`, []string{jsonBody, wantGraphQL}, 400, codeParse, ""},
		"parse error, old":      {"POST", "/", `{"query":"{"}`, []string{jsonBody}, 200, codeParse, ""},
		"no operation":          {"POST", "/", `{"query":"fragment F on Query { __typename }"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"only a comment":        {"POST", "/", `{"query":"#"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"validation error":      {"POST", "/", `{"query":"{ nope }"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"validation error, old": {"POST", "/", `{"query":"{ nope }"}`, []string{jsonBody}, 200, codeValidation, ""},
		"no mutations":          {"POST", "/", `{"query":"mutation { a }"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"unknown operation":     {"POST", "/", `{"query":"query A { __typename }","operationName":"B"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"which operation":       {"POST", "/", `{"query":"query A { __typename } query B { __typename }"}`, []string{jsonBody, wantGraphQL}, 400, codeValidation, ""},
		"that operation":        {"POST", "/", `{"query":"query A { __typename } query B { __typename }","operationName":"B"}`, []string{jsonBody, wantGraphQL}, 200, "", ""},
		"missing variable":      {"POST", "/", `{"query":"query($id: ID!) { node(id: $id) { id } }"}`, []string{jsonBody, wantGraphQL}, 400, codeBadUserInput, ""},
		"field error":           {"POST", "/", `{"query":"{ node(id: \"internal\") { id } }"}`, []string{jsonBody, wantGraphQL}, 200, codeInternal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, sharedAPI(), c.method, c.target, c.body, c.headers...)
			if got.status != c.status {
				t.Errorf("status %d, not %d: %s", got.status, c.status, got.body)
			}
			if c.method == "OPTIONS" {
				return
			}
			code := ""
			if len(got.Errors) > 0 {
				code = got.codes()[0]
			}
			if code != c.code {
				t.Errorf("code %q, not %q: %s", code, c.code, got.body)
			}
			if c.code != "" && name != "field error" && got.Data != nil || c.code == "" && got.Data == nil {
				t.Errorf("data in %s", got.body)
			}
			if k, v, _ := strings.Cut(c.header, ": "); got.header.Get(k) != v {
				t.Errorf("%s: %q, not %q", k, got.header.Get(k), v)
			}
			for k, v := range map[string]string{"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got.header.Get(k) != v {
					t.Errorf("%s: %q", k, got.header.Get(k))
				}
			}
		})
	}
}

func TestBodyIsNotEchoed(t *testing.T) {
	t.Parallel()
	const token = "SECRET-TOKEN"
	for _, body := range []string{
		`{"query": "{__typename}", ` + token,
		`{"query": {"` + token + `": 1}}`,
		`{"query": "{__typename}", "variables": "` + token + `"}`,
		`{"query": "query($n: Int) { cities(first: $n) { totalCount } }", "variables": {"n": "` + token + `"}}`,
		`{"query": "query($b: By!) { city(by: $b) { id } }", "variables": {"b": {"` + token + `": 1}}}`,
		`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + token + `"}}}`,
	} {
		if got := send(t, sharedAPI(), "POST", "/", body, jsonBody); strings.Contains(got.body, token) {
			t.Error(got.body)
		}
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	const large = "/?query=%7B__schema%7Btypes%7Bname%20description%7D%7D%7D"
	plain := send(t, sharedAPI(), "GET", large, "").body
	for header, zipped := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "*": true, "": false, "gzip;q=0": false, "*;q=0, gzip": true, "gzip;q=0, *": false, "br": false} {
		r := httptest.NewRequest("GET", large, nil)
		r.Header.Set("Accept-Encoding", header)
		w := httptest.NewRecorder()
		sharedAPI().ServeHTTP(w, r)
		var body io.Reader = w.Body
		if got := w.Header().Get("Content-Encoding"); (got == "gzip") != zipped {
			t.Errorf("%q: encoding %q", header, got)
		} else if zipped {
			if w.Body.Len() > len(plain)/2 || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
				t.Errorf("%d bytes, length %s", w.Body.Len(), w.Header().Get("Content-Length"))
			}
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != plain {
			t.Errorf("%q: %v %.200s", header, err, text)
		}
	}
	if got := send(t, sharedAPI(), "GET", "/?query=%7B__typename%7D", "", "Accept-Encoding: gzip"); got.header.Get("Content-Encoding") != "" {
		t.Error("a small answer is compressed")
	}
}

// late is a response whose connection has deadlines; its body never comes.
type late struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (l *late) SetReadDeadline(t time.Time) error {
	l.deadline = t
	return nil
}

func (l *late) Read([]byte) (int, error) {
	return 0, fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded})
}

func TestBodyHasADeadline(t *testing.T) {
	t.Parallel()
	w := &late{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/", w)
	r.Header.Set("Content-Type", "application/json")
	before := time.Now()
	sharedAPI().ServeHTTP(w, r)
	if w.Code != http.StatusRequestTimeout || w.Header().Get("Connection") != "close" || !strings.Contains(w.Body.String(), codeSlow) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if left := w.deadline.Sub(before); left < bodyTimeout || left > bodyTimeout+time.Second {
		t.Errorf("deadline after %s", left)
	}

	// When the body has come, the deadline must not look like a client that leaves.
	w = &late{ResponseRecorder: httptest.NewRecorder()}
	r = httptest.NewRequest("POST", "/", strings.NewReader(typename))
	r.Header.Set("Content-Type", "application/json")
	sharedAPI().ServeHTTP(w, r)
	if w.Code != http.StatusOK || !w.deadline.IsZero() {
		t.Errorf("%d, deadline %s", w.Code, w.deadline)
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("{"), broken{}))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	sharedAPI().ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), secret) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// Without a length, the size is found while reading.
	r = httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(typename), bytes.NewReader(bytes.Repeat([]byte(" "), maxBody))))
	r.Header.Set("Content-Type", "application/json")
	w = httptest.NewRecorder()
	sharedAPI().ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New(secret) }

// explosive panics when its answer is written out, outside any field.
type explosive struct{ graphql.ExecutableSchema }

func (explosive) Exec(context.Context) graphql.ResponseHandler {
	return func(context.Context) *graphql.Response { panic(secret) }
}

func TestPanicOfTheWriter(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := NewHandler(explosive{NewExecutableSchema(Config{Resolvers: stubs{}})}, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	got := ask(t, h, "{ __typename }", nil)
	if got.status != http.StatusInternalServerError || got.codes()[0] != codeInternal || got.Data != nil || strings.Contains(got.body, secret) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if id, _ := got.Errors[0].Extensions["id"].(string); id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), secret) {
		t.Errorf("id %q, log %s", id, &log)
	}
}

// No body makes the transport panic, echo it, or answer anything but a JSON
// object with data or coded errors.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		typename, "", "[]", "null", `{"query":1}`, `{"query":"{ nope }"}`, `{"query":"query($n:Int){cities(first:$n){totalCount}}","variables":{"n":1e999}}`,
		`{"query":"{...A} fragment A on Query{...A}"}`, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`,
		`{"query":"query($b:By!,$f:SearchFilter){city(by:$b){id} cities(filter:$f){totalCount}}","variables":{"b":{"id":5},"f":{"budget":{"min":1.5},"sdgs":3}}}`,
		`{"query":"{ cities(filter:{budget:{currency:\"EUR\"}}, first: -1) { nodes { id } } }"}`,
		`{"query":"query($b:Boolean=true){__typename @skip(if:$b)}","variables":{"b":null}}`,
		`{"query":"{ suggest(text:\"\\u0000\", first: 9) { text { text } } }","operationName":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", typeGraphQL)
		w := httptest.NewRecorder()
		sharedAPI().ServeHTTP(w, r)
		var got reply
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		switch {
		case w.Code == http.StatusOK && got.Data == nil, w.Code >= 500:
			t.Fatalf("%d %s", w.Code, w.Body)
		case w.Code != http.StatusOK && (got.Data != nil || len(got.Errors) == 0):
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, e := range got.Errors {
			if e.Extensions["code"] == nil {
				t.Fatalf("%s for %s", w.Body, body)
			}
		}
	})
}
