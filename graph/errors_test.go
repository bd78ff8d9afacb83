package graph

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestErrorsOfTheDomain(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"internal":    codeInternal + ": internal error",
		"wrapped":     codeInternal + ": internal error",
		"noindex":     codeInternal + ": internal error",
		"notfound":    codeNotFound + ": not found",
		"signin":      codeUnauthenticated + ": sign in to publish a solution",
		"forbidden":   codeForbidden + ": you may not publish a solution",
		"stale":       codeConflict + ": changed by somebody else in the meantime",
		"taken":       codeConflict + ": already taken",
		"unavailable": codeUnavailable + ": storage is not available",
		"unknown":     codeUnavailable + ": outcome of the write is unknown",
		"closed":      codeUnavailable + ": storage is not available",
		"cursor":      codeBadUserInput + ": the cursor is not one of this list's",
		"invalid":     codeBadUserInput + ": deployments[2].year: must be a year; title: is missing",
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h := stubAPI(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			got := ask(t, h, fmt.Sprintf("{ viewer { isSignedIn }\n  n: node(id: %q) { id } }", id), nil)
			if got.status != http.StatusOK || len(got.Errors) != 1 || string(got.Data) != `{"viewer":{"isSignedIn":false},"n":null}` {
				t.Fatalf("%d %s", got.status, got.body)
			}
			e := got.Errors[0]
			code, _ := e.Extensions["code"].(string)
			if code+": "+e.Message != want {
				t.Errorf("%s: %s", code, e.Message)
			}
			if fmt.Sprint(e.Path, e.Locations) != "[n] [{2 3}]" {
				t.Errorf("path and place: %v %v", e.Path, e.Locations)
			}
			if strings.Contains(got.body, secret) {
				t.Error("the cause is told")
			}
			logged := strings.Contains(log.String(), "path=n")
			if wanted := code == codeInternal || code == codeUnavailable; logged != wanted {
				t.Errorf("log: %q", &log)
			}
			if number, _ := e.Extensions["id"].(string); (code == codeInternal) != (number != "" && strings.Contains(log.String(), number)) {
				t.Errorf("id %q, log %q", number, &log)
			}
			if want := `"errors":[{"path":"deployments[2].year","code":"OUT_OF_RANGE","message":"must be a year"},{"path":"title","code":"REQUIRED","message":"is missing"}]`; id == "invalid" && !strings.Contains(got.body, want) {
				t.Error(got.body)
			}
		})
	}
}

func TestPanicOfAResolver(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := stubAPI(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	got := ask(t, h, `{ cities(text: "panic") { totalCount } }`, nil)
	if got.status != http.StatusOK || got.codes()[0] != codeInternal || string(got.Data) != "null" || strings.Contains(got.body, secret) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "stubQuery.Cities") {
		t.Errorf("value or stack are missing: %s", &log)
	}
}

// One failing field in a long list fills neither the answer nor the log.
func TestManyErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := stubAPI(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	got := ask(t, h, "{ topics { parent { id } } }", nil)
	if len(got.Errors) != maxErrors || strings.Count(log.String(), "\n") != maxErrors {
		t.Errorf("%d errors, %d lines", len(got.Errors), strings.Count(log.String(), "\n"))
	}
	if n := strings.Count(string(got.Data), `"parent":null`); n != 30 {
		t.Errorf("%d entries in %s", n, got.Data)
	}
	for _, e := range got.Errors {
		if e.Extensions["id"] == nil {
			t.Errorf("%+v", e)
		}
	}
	if got := ask(t, h, "{ viewer {"+repeat(25, " nope#")+"} }", nil); len(got.Errors) != maxErrors {
		t.Errorf("%d errors", len(got.Errors))
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	got := ask(t, sharedAPI(), `{ node(id: "long") { id } }`, nil)
	if m := got.Errors[0].Message; len(m) > maxMessage+3 || !utf8.ValidString(m) || !strings.HasSuffix(m, "é...") {
		t.Errorf("%d bytes: %s", len(m), m)
	}
	got = ask(t, sharedAPI(), `{ cities "`+strings.Repeat("x", 10_000)+`" }`, nil)
	if len(got.body) > 2*maxMessage {
		t.Errorf("%d bytes", len(got.body))
	}
	for _, s := range []string{"", "short", strings.Repeat("x", maxMessage)} {
		if shorten(s) != s {
			t.Error(s)
		}
	}
}
