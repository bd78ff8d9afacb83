package graph

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const wantEvents = "Accept: text/event-stream"

// open sends a request for a stream.
func (l *lab) open(ctx context.Context, method, query string, headers ...string) *http.Response {
	l.Helper()
	target, body := "/graphql", ""
	if method == http.MethodGet {
		target += "?query=" + url.QueryEscape(query)
	} else {
		body = fmt.Sprintf(`{"query":%q}`, query)
	}
	return l.request(ctx, method, target, body, append([]string{wantEvents, jsonBody}, headers...)...)
}

func (l *lab) request(ctx context.Context, method, target, body string, headers ...string) *http.Response {
	l.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://lab"+target, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	answer, err := l.client.Do(r)
	if err != nil {
		l.Fatal(err)
	}
	return answer
}

// events is the stream that answers an operation, without comments.
func (l *lab) events(method, query string) string {
	l.Helper()
	r := l.open(l.Context(), method, query)
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || r.Header.Get("Cache-Control") != "no-store" {
		l.Errorf("%s: %d %v", query, r.StatusCode, r.Header)
	}
	return bodyOf(l, r)
}

// nexts is a stream of answers that ends by itself.
func nexts(answers ...string) string {
	var b strings.Builder
	for _, a := range answers {
		b.WriteString("event: next\ndata: " + a + "\n\n")
	}
	return b.String() + "event: complete\ndata:\n\n"
}

var ids = regexp.MustCompile(`"id":"\w{12}"`)

func TestEvents(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		const internal = `{"message":"internal error","path":["%s"],"extensions":{"code":"INTERNAL","id":"?"}}`
		failed := func(field string) string {
			return `{"errors":[` + strings.Replace(fmt.Sprintf(internal, field), `,"extensions"`, `,"extensions"`, 1) + `]}`
		}
		for _, c := range []struct{ method, query, want string }{
			{"GET", "subscription { counter(to: 3) { n } }", nexts(`{"data":{"counter":{"n":1}}}`, `{"data":{"counter":{"n":2}}}`, `{"data":{"counter":{"n":3}}}`)},
			{"POST", "subscription { c: counter(to: 1) { n text } }", nexts(`{"data":{"c":{"n":1,"text":  ""}}}`)},
			{"POST", "subscription { counter(to: 0) { n } }", nexts()},
			{"GET", "{ hello }", nexts(`{"data":{"hello":"world"}}`)},
			{"POST", "mutation { shout(text: \"hey\") }", nexts(`{"data":{"shout":"hey"}}`)},
			{"GET", "mutation { shout(text: \"hey\") }", nexts(`{"errors":[{"message":"mutations are not answered by GET: use POST","extensions":{"code":"METHOD_NOT_ALLOWED"}}]}`)},
			{"POST", "subscription { counter(to: 1) { n } never { n } }", nexts(`{"errors":[{"message":"Anonymous Subscription must select only one top level field.","locations":[{"line":1,"column":37}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`)},
			{"POST", "subscription { a: never { n } b: never { n } }", nexts(`{"errors":[{"message":"a subscription selects one field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`)},
			{"POST", "subscription { never @skip(if: true) { n } }", nexts(`{"errors":[{"message":"a subscription selects one field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`)},
			{"POST", "subscription { never { many(first: 6000) { n } } }", nexts(`{"errors":[{"message":"the operation exceeds`)},
			{"POST", "subscription { never { many { many { many { many { n } } } } } }", nexts(`{"errors":[{"message":"the operation exceeds`)},
			{"POST", "subscription { failing { n } }", nexts(failed("failing"))},
			{"POST", "subscription { exploding { n } }", nexts(failed("exploding"))},
			{"POST", "subscription { b: breaking { n } }", nexts(`{"data":{"b":{"n":1}}}`, `{"data":{"b":{"n":2}}}`, failed("b"))},
			{"POST", "subscription { panicking { n } }", nexts(`{"data":{"panicking":{"n":1}}}`, failed("panicking"))},
			{"POST", "subscription { counter(to: 1) { broken } }", nexts(`{"errors":[` + strings.Replace(fmt.Sprintf(internal, "counter"), `"counter"`, `"counter","broken"`, 1) + `],"data":{"counter":{"broken":null}}}`)},
		} {
			got := ids.ReplaceAllString(l.events(c.method, c.query), `"id":"?"`)
			got = regexp.MustCompile(`"locations":\[[^]]*\],("extensions":{"code":"INTERNAL")`).ReplaceAllString(got, "$1")
			if prefix, _, cut := strings.Cut(c.want, "exceeds"); cut {
				if !strings.HasPrefix(got, prefix) || !strings.Contains(got, codeLimit) {
					l.Errorf("%s: %s", c.query, got)
				}
			} else if got != c.want {
				l.Errorf("%s %s:\n%s\nnot\n%s", c.method, c.query, got, c.want)
			}
		}
		// The stack of a panic shows where it was.
		if log := l.log.String(); !strings.Contains(log, "pulse_test.go") {
			l.Error(log)
		}
	})
}

// Each answer has room for errors of its own.
func TestEventsCountTheirErrors(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		got := l.events("GET", "subscription { counter(to: 30) { broken many { broken } } }")
		if n := strings.Count(got, codeInternal); n != 30*11 {
			l.Errorf("%d errors", n)
		}
		if strings.Contains(got, secret) {
			l.Error("the cause is told")
		}
	})
}

func TestEventsBegin(t *testing.T) {
	const get = "/graphql/stream?query=%7Bhello%7D"
	inLab(t, Options{Origins: []string{"https://friend.example"}}, func(l *lab) {
		for name, c := range map[string]struct {
			method, target, body string
			headers              []string
			status               int
			code                 string
		}{
			"path of streams":      {"GET", get, "", nil, 200, ""},
			"and what it takes":    {"GET", get, "", []string{"Accept: */*"}, 200, ""},
			"but json":             {"GET", get, "", []string{"Accept: application/json"}, 406, codeNotAcceptable},
			"post":                 {"POST", "/graphql/stream", typename, []string{jsonBody}, 200, ""},
			"put":                  {"PUT", "/graphql/stream", typename, []string{jsonBody}, 405, codeMethod},
			"delete":               {"DELETE", "/graphql/stream", "", []string{wantEvents}, 405, codeMethod},
			"options":              {"OPTIONS", "/graphql/stream", "", nil, 204, ""},
			"form":                 {"POST", "/graphql", "query=x", []string{wantEvents, "Content-Type: application/x-www-form-urlencoded"}, 415, codeMediaType},
			"not json":             {"POST", "/graphql", "{no", []string{wantEvents, jsonBody}, 400, codeRequest},
			"no query":             {"GET", "/graphql/stream", "", nil, 400, codeRequest},
			"too large":            {"POST", "/graphql", typename + strings.Repeat(" ", maxBody), []string{wantEvents, jsonBody}, 413, codeTooLarge},
			"own page":             {"GET", get, "", []string{"Origin: http://lab"}, 200, ""},
			"friend's page":        {"GET", get, "", []string{"Origin: https://friend.example", "Sec-Fetch-Site: cross-site"}, 200, ""},
			"stranger's page":      {"GET", get, "", []string{"Origin: https://stranger.example", "Sec-Fetch-Site: cross-site"}, 403, codeForbidden},
			"of an old browser":    {"GET", get, "", []string{"Origin: https://stranger.example"}, 403, codeForbidden},
			"not asked for stream": {"POST", "/graphql", typename, []string{jsonBody}, 200, ""},
		} {
			r := l.request(l.Context(), c.method, c.target, c.body, c.headers...)
			body := bodyOf(l, r)
			if r.StatusCode != c.status || !strings.Contains(body, c.code) {
				l.Errorf("%s: %d %s", name, r.StatusCode, body)
			}
		}
	})
}

// The server's own timeouts do not end a stream, comments keep it alive.
func TestEventsBeat(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		began := time.Now()
		r := l.open(l.Context(), "GET", "subscription { never { n } }")
		defer r.Body.Close()
		lines := bufio.NewReader(r.Body)
		for beat := range 6 {
			for range 2 {
				if line, err := lines.ReadString('\n'); err != nil || line != ":\n" && line != "\n" {
					l.Fatalf("%q %v", line, err)
				}
			}
			if got, want := time.Since(began), time.Duration(beat)*heartbeat; got != want {
				l.Errorf("beat %d after %s", beat, got)
			}
		}
		l.lives(1)
	})
}

func TestEventsEndWithTheClient(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		for _, field := range []string{"never", "heard", "counter(to: 1000000, everyMs: 10)", "endless"} {
			ctx, cancel := context.WithCancel(l.Context())
			r := l.open(ctx, "POST", "subscription { "+field+" { n } }")
			bufio.NewReader(r.Body).ReadString('\n')
			l.lives(1)
			cancel()
			r.Body.Close()
			l.lives(0)
		}
	})
}

func TestSlowReaderOfEventsIsCut(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		r := l.open(l.Context(), "GET", "subscription { endless { n text } }")
		defer r.Body.Close()
		l.lives(1)
		time.Sleep(writeTimeout - time.Second)
		l.lives(1)
		time.Sleep(2 * time.Second)
		l.lives(0)
	})
}

func TestEventsEndWithTheServer(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		idle := l.open(l.Context(), "GET", "subscription { never { n } }")
		busy := make(chan string)
		go func() { busy <- l.events("GET", "{ hang }") }()
		synctest.Wait()
		began := time.Now()
		stopped := make(chan error)
		go func() { stopped <- l.handler.Shutdown(l.Context()) }()
		if got := bodyOf(l, idle); got != nexts() {
			l.Error(got)
		}
		l.lives(0)
		if took := time.Since(began); took > 0 {
			l.Errorf("after %s", took)
		}
		r := l.open(l.Context(), "GET", "{ hello }")
		if body := bodyOf(l, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, codeUnavailable) || r.Header.Get("Retry-After") == "" {
			l.Errorf("%d %s", r.StatusCode, body)
		}
		// What is no subscription is finished.
		if got := <-busy; !strings.Contains(got, `"data":{"hang":null}`) || <-stopped != nil || time.Since(began) != 10*time.Second {
			l.Errorf("%s after %s", got, time.Since(began))
		}
	})
}

// denied is what a stream says whose viewer has lost their rights.
var denied = `{"errors":[{"message":"sign in again","extensions":{"code":"UNAUTHENTICATED"}}]}`

func TestEventsEndWithRights(t *testing.T) {
	var lost atomic.Bool
	inLab(t, Options{Recheck: func(context.Context) error {
		if lost.Load() {
			return errors.New(secret)
		}
		return nil
	}}, func(l *lab) {
		idle := l.open(l.Context(), "GET", "subscription { never { n } }")
		hearing := l.open(l.Context(), "GET", "subscription { heard { text } }")
		synctest.Wait()
		l.shout("before")
		synctest.Wait()
		lost.Store(true)
		l.shout("after")
		if got := bodyOf(l, hearing); got != nexts(`{"data":{"heard":{"text":  "before"}}}`, denied) {
			l.Error(got)
		}
		began := time.Now()
		if got := bodyOf(l, idle); got != nexts(denied) || time.Since(began) != recheckEvery {
			l.Errorf("%s after %s", got, time.Since(began))
		}
		if got := l.events("GET", "{ hello }"); got != nexts(denied) {
			l.Error(got)
		}
	})
}

func TestPanicOfRecheckIsNo(t *testing.T) {
	inLab(t, Options{Recheck: func(context.Context) error { panic(secret) }}, func(l *lab) {
		if got := l.events("GET", "{ hello }"); got != nexts(denied) || !strings.Contains(l.log.String(), secret) {
			l.Error(got)
		}
	})
}

func TestEventsHaveBounds(t *testing.T) {
	inLab(t, Options{MaxStreams: 80}, func(l *lab) {
		other := context.WithValue(l.Context(), addressKey{}, address("198.51.100.1:1"))
		ctx, cancel := context.WithCancel(l.Context())
		const never = "subscription { never { n } }"
		for range maxClientStreams {
			defer l.open(ctx, "GET", never).Body.Close()
		}
		r := l.open(ctx, "GET", never)
		if body := bodyOf(l, r); r.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, codeLimit) {
			l.Errorf("%d %s", r.StatusCode, body)
		}
		l.client.CloseIdleConnections() // they have the other address
		for range 30 {
			defer l.open(other, "GET", never).Body.Close()
		}
		r = l.open(other, "GET", never)
		if body := bodyOf(l, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, codeUnavailable) {
			l.Errorf("%d %s", r.StatusCode, body)
		}
		l.lives(80)
		cancel()
		l.lives(30)
		if got := l.events("GET", "{ hello }"); got != nexts(`{"data":{"hello":"world"}}`) {
			l.Error(got)
		}
	})
}

// A stream has a working place while it works, not while it waits.
func TestStreamsAskBeforeTheyWork(t *testing.T) {
	var busy atomic.Int32
	var full atomic.Bool
	inLab(t, Options{Work: func(context.Context) (func(), error) {
		if full.Load() {
			return nil, errors.New(secret)
		}
		busy.Add(1)
		return func() { busy.Add(-1) }, nil
	}}, func(l *lab) {
		r := l.open(l.Context(), "GET", "subscription { never { n } }")
		defer r.Body.Close()
		synctest.Wait()
		if busy.Load() != 0 {
			l.Error("it holds the place")
		}
		go l.events("GET", "{ hang }")
		synctest.Wait()
		if busy.Load() != 1 {
			l.Error("a query holds none")
		}
		// Nor while nobody takes the answer.
		deaf := l.talk(true)
		for i := range 50 {
			deaf.subscribe(fmt.Sprint(i), "{ hello }")
		}
		synctest.Wait()
		if busy.Load() != 1 {
			l.Error("slow readers hold places")
		}
		deaf.conn.CloseNow()
		full.Store(true)
		if got := l.events("GET", "{ hello }"); !strings.Contains(got, codeUnavailable) || strings.Contains(got, secret) {
			l.Error(got)
		}
		time.Sleep(time.Minute)
		if busy.Load() != 0 {
			l.Error("a place was not given back")
		}
	})
}

func TestWorkOfStreamsHasATimeout(t *testing.T) {
	inLab(t, Options{Timeout: 3 * time.Second}, func(l *lab) {
		for _, query := range []string{"{ hang }", "subscription { hanging { n } }"} {
			began := time.Now()
			if got := l.events("GET", query); !strings.Contains(got, codeUnavailable) || time.Since(began) != 3*time.Second {
				l.Errorf("%s after %s", got, time.Since(began))
			}
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	h := NewHandler(newPulse(), Options{})
	b.ReportAllocs()
	r := httptest.NewRequest("GET", "/graphql/stream?query="+url.QueryEscape(fmt.Sprintf("subscription { counter(to: %d) { n } }", b.N)), nil)
	h.ServeHTTP(&flushed{discard{http.Header{}}}, r)
}

type flushed struct{ discard }

func (*flushed) Flush() {}
