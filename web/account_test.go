package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func account(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Account().ServeHTTP(w, r)
	return w
}

func TestAccountPages(t *testing.T) {
	t.Parallel()
	page := account("GET", "/account")
	for _, must := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(page.Header().Get("Content-Security-Policy"), must) {
			t.Errorf("the policy is without %s", must)
		}
	}
	if strings.Contains(page.Header().Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy allows what is unsafe")
	}
	if regexp.MustCompile(`<script(?: [^>]*)?>[^<]|<style|\son\w+=|style=`).MatchString(page.Body.String()) {
		t.Error("something is inline")
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"|from '(/[^']+)'`).FindAllStringSubmatch(page.Body.String()+account("GET", "/account/account.js").Body.String(), -1) {
		if f := account("GET", m[1]+m[2]); f.Code != http.StatusOK || f.Body.Len() == 0 {
			t.Errorf("%s: %d", m[1]+m[2], f.Code)
		}
	}
	zipped := account("GET", "/account/account.js", "Accept-Encoding", "gzip")
	if plain, err := gunzip(zipped.Body.Bytes()); err != nil || string(plain) != account("GET", "/account/account.js").Body.String() {
		t.Errorf("compressed it is something else: %v", err)
	}
	if again := account("GET", "/account/account.js", "If-None-Match", account("GET", "/account/account.js").Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("unchanged: %d", again.Code)
	}
	for path, want := range map[string]int{"/account/": 200, "/account/nothing": 404, "/account/../web.go": 404, "/accounts": 404, "/account/account/account.js": 404} {
		if got := account("GET", path).Code; got != want {
			t.Errorf("%s: %d", path, got)
		}
	}
	if got := account("POST", "/account").Code; got != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got)
	}
}

// Every language has every word that the pages use, with the same blanks, and
// none that they do not use.
func TestWordsOfTheAccountPages(t *testing.T) {
	t.Parallel()
	var words map[string]map[string]string
	if err := json.Unmarshal(account("GET", "/account/words.json").Body.Bytes(), &words); err != nil {
		t.Fatal(err)
	}
	script := account("GET", "/account/account.js").Body.String() + account("GET", "/account/dom.js").Body.String()
	used := map[string]bool{"self": true}
	for _, m := range regexp.MustCompile(`\b(?:t|text)\((?:[^()']*\? )?'([\w.]+)'(?: : '([\w.]+)')?`).FindAllStringSubmatch(script, -1) {
		used[m[1]], used[m[2]] = true, true
	}
	delete(used, "")
	blanks := regexp.MustCompile(`\{\w+\}`)
	sorted := func(s string) []string { l := blanks.FindAllString(s, -1); slices.Sort(l); return l }
	for language, list := range words {
		for key := range used {
			if strings.HasSuffix(key, ".") {
				continue // completed by a role, a scope or a code
			}
			if list[key] == "" {
				t.Errorf("%s has no %q", language, key)
			}
		}
		for key, text := range list {
			if !slices.Equal(sorted(text), sorted(words["en"][key])) || words["en"][key] == "" {
				t.Errorf("%s, %q: %q, in English %q", language, key, text, words["en"][key])
			}
			if !used[key] && !strings.HasPrefix(key, "error.") && !strings.HasPrefix(key, "role.") {
				t.Errorf("%s: nothing uses %q", language, key)
			}
		}
		if len(list) != len(words["en"]) {
			t.Errorf("%s has %d words, English %d", language, len(list), len(words["en"]))
		}
	}
	if len(words) != 4 || len(used) < 90 {
		t.Errorf("%d languages, %d words in use", len(words), len(used))
	}
}
