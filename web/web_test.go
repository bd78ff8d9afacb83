package web

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// get sends one request through the explorer at /graphiql. Headers are given as
// name, value, name, value.
func get(t *testing.T, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	// NewRequest would refuse or clean some of the paths that are tried here.
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Explorer("/graphiql").ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// builtFile gives the path of one built file that matches pattern, since names
// change with every build.
func builtFile(t *testing.T, pattern string) string {
	t.Helper()
	files, err := load(graphiql, "graphiql/dist")
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if ok, _ := path.Match(pattern, name); ok {
			return "/graphiql/" + name
		}
	}
	t.Fatalf("no built file matches %s", pattern)
	return ""
}

// TestBuiltFiles serves every built file in both forms and compares them.
func TestBuiltFiles(t *testing.T) {
	t.Parallel()
	files, err := load(graphiql, "graphiql/dist")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for name, f := range files {
		total += len(f.gzipped)
		if !bytes.Equal(f.gzipped[4:8], make([]byte, 4)) {
			t.Errorf("%s: the gzip header holds a time, so builds would differ", name)
		}
		zipped := get(t, "GET", "/graphiql/"+name, "Accept-Encoding", "gzip, deflate, br, zstd")
		plain := get(t, "GET", "/graphiql/"+name)
		if zipped.StatusCode != 200 || plain.StatusCode != 200 {
			t.Fatalf("%s: status %d and %d, want 200", name, zipped.StatusCode, plain.StatusCode)
		}
		if got := zipped.Header.Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: Content-Encoding %q, want gzip", name, got)
		}
		if got := plain.Header.Get("Content-Encoding"); got != "" {
			t.Errorf("%s: Content-Encoding %q without Accept-Encoding", name, got)
		}
		unzipped, err := gunzip(body(t, zipped))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(unzipped, body(t, plain)) {
			t.Errorf("%s: the two forms differ", name)
		}
		if zipped.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s: the two forms share the ETag %s", name, plain.Header.Get("ETag"))
		}
	}
	if total > 2_500_000 {
		t.Errorf("the built files take %d bytes, want about 2 MB", total)
	}
}

// TestIndex holds the page to its policy: nothing inline, nothing from elsewhere,
// and only files that exist.
func TestIndex(t *testing.T) {
	t.Parallel()
	page := string(body(t, get(t, "GET", "/graphiql/")))
	if strings.Contains(page, "://") {
		t.Error("the page names another origin")
	}
	for _, tag := range regexp.MustCompile(`<script[^>]*>|<style`).FindAllString(page, -1) {
		if !strings.Contains(tag, " src=") {
			t.Errorf("inline: %s", tag)
		}
	}
	refs := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(refs) < 2 {
		t.Fatalf("the page refers to %d files, want a script and a style sheet at least", len(refs))
	}
	for _, ref := range refs {
		if resp := get(t, "HEAD", "/graphiql/"+ref[1]); resp.StatusCode != 200 {
			t.Errorf("%s: status %d", ref[1], resp.StatusCode)
		}
	}
}

func TestExplorer(t *testing.T) {
	t.Parallel()
	const (
		immutable = "public, max-age=31536000, immutable"
		html      = "text/html; charset=utf-8"
	)
	script := builtFile(t, "assets/index-*.js")
	worker := builtFile(t, "assets/graphql.worker-*.js")
	style := builtFile(t, "assets/index-*.css")
	font := builtFile(t, "assets/codicon-*.ttf")

	tests := []struct {
		name    string
		method  string
		target  string
		headers []string
		status  int
		want    map[string]string // header to value, "" for absent
	}{
		{"page", "GET", "/graphiql/", nil, 200, map[string]string{"Content-Type": html, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}},
		{"page by name", "GET", "/graphiql/index.html", nil, 200, map[string]string{"Content-Type": html, "Cache-Control": "no-cache"}},
		{"page, query ignored", "GET", "/graphiql/?query=%7B__typename%7D", nil, 200, map[string]string{"Content-Type": html}},
		{"licences", "GET", "/graphiql/licenses.md", nil, 200, map[string]string{"Content-Type": "text/markdown; charset=utf-8", "Cache-Control": "no-cache"}},
		{"script", "GET", script, nil, 200, map[string]string{"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": immutable, "Vary": "Accept-Encoding"}},
		{"worker", "GET", worker, nil, 200, map[string]string{"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": immutable}},
		{"style", "GET", style, nil, 200, map[string]string{"Content-Type": "text/css; charset=utf-8", "Cache-Control": immutable}},
		{"font", "GET", font, nil, 200, map[string]string{"Content-Type": "font/ttf", "Cache-Control": immutable}},
		{"head", "HEAD", script, nil, 200, map[string]string{"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": immutable}},

		{"gzip", "GET", script, []string{"Accept-Encoding", "gzip"}, 200, map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}},
		{"gzip by head", "HEAD", script, []string{"Accept-Encoding", "gzip"}, 200, map[string]string{"Content-Encoding": "gzip"}},
		{"no gzip", "GET", script, []string{"Accept-Encoding", "br"}, 200, map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding"}},

		{"prefix alone", "GET", "/graphiql", nil, 307, map[string]string{"Location": "graphiql/"}},
		{"prefix alone, query kept", "GET", "/graphiql?a=b", nil, 307, map[string]string{"Location": "graphiql/?a=b"}},

		{"unknown", "GET", "/graphiql/nothing.js", nil, 404, map[string]string{"Cache-Control": ""}},
		{"unknown asset", "GET", "/graphiql/assets/index-00000000.js", nil, 404, map[string]string{"Cache-Control": ""}},
		{"directory", "GET", "/graphiql/assets/", nil, 404, nil},
		{"directory without slash", "GET", "/graphiql/assets", nil, 404, nil},
		{"stored name", "GET", script + ".gz", nil, 404, nil},
		{"below a file", "GET", script + "/", nil, 404, nil},
		{"other prefix", "GET", "/graphql", nil, 404, nil},
		{"longer prefix", "GET", "/graphiqlindex.html", nil, 404, nil},
		{"no prefix", "GET", "/index.html", nil, 404, nil},
		{"traversal", "GET", "/graphiql/../web.go", nil, 404, nil},
		{"traversal below assets", "GET", "/graphiql/assets/../index.html", nil, 404, nil},
		{"traversal, encoded", "GET", "/graphiql/%2e%2e/package.json", nil, 404, nil},
		{"traversal, back slash", "GET", `/graphiql/..\package.json`, nil, 404, nil},
		{"absolute", "GET", "/graphiql//etc/passwd", nil, 404, nil},
		{"nul", "GET", "/graphiql/index.html\x00", nil, 404, nil},
		{"unknown by post", "POST", "/graphiql/nothing.js", nil, 404, nil},

		{"post", "POST", "/graphiql/", nil, 405, map[string]string{"Allow": "GET, HEAD"}},
		{"put", "PUT", script, nil, 405, map[string]string{"Allow": "GET, HEAD", "Cache-Control": ""}},
		{"options", "OPTIONS", "/graphiql/", nil, 405, map[string]string{"Allow": "GET, HEAD"}},
		{"post to the prefix", "POST", "/graphiql", nil, 405, map[string]string{"Allow": "GET, HEAD", "Location": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := get(t, tt.method, tt.target, tt.headers...)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			for name, want := range tt.want {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": explorerPolicy,
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "same-origin",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if tt.method == "HEAD" && len(body(t, resp)) != 0 {
				t.Error("an answer to HEAD has a body")
			}
			if resp.StatusCode == 200 && resp.Header.Get("ETag") == "" {
				t.Error("no ETag")
			}
		})
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/graphiql/", builtFile(t, "assets/index-*.js")} {
		for _, encoding := range []string{"gzip", "identity"} {
			first := get(t, "GET", target, "Accept-Encoding", encoding)
			etag := first.Header.Get("ETag")

			again := get(t, "GET", target, "Accept-Encoding", encoding, "If-None-Match", etag)
			if again.StatusCode != 304 || len(body(t, again)) != 0 {
				t.Errorf("%s as %s, unchanged: status %d, want an empty 304", target, encoding, again.StatusCode)
			}
			// What a cache must learn from a 304 (RFC 9110, section 15.4.5).
			for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
				if got, want := again.Header.Get(name), first.Header.Get(name); got != want {
					t.Errorf("%s as %s: 304 has %s %q, want %q", target, encoding, name, got, want)
				}
			}
			if changed := get(t, "GET", target, "Accept-Encoding", encoding, "If-None-Match", `"other"`); changed.StatusCode != 200 {
				t.Errorf("%s as %s, changed: status %d, want 200", target, encoding, changed.StatusCode)
			}
		}
	}
}

// TestLength goes through a real server, which adds or drops lengths by itself.
func TestLength(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Explorer("/graphiql"))
	defer srv.Close()
	for _, method := range []string{"GET", "HEAD"} {
		for _, encoding := range []string{"gzip", "identity"} {
			r, err := http.NewRequest(method, srv.URL+"/graphiql/", nil)
			if err != nil {
				t.Fatal(err)
			}
			// Set by hand, so that the client does not decompress.
			r.Header.Set("Accept-Encoding", encoding)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got := body(t, resp)
			resp.Body.Close()
			if resp.ContentLength <= 0 || method == "GET" && resp.ContentLength != int64(len(got)) {
				t.Errorf("%s as %s: Content-Length %d, body %d", method, encoding, resp.ContentLength, len(got))
			}
		}
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	for prefix, target := range map[string]string{
		"/graphiql":  "/graphiql/",
		"/graphiql/": "/graphiql/",
		"/a/b":       "/a/b/",
		"/":          "/",
		"":           "/",
	} {
		w := httptest.NewRecorder()
		Explorer(prefix).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != 200 {
			t.Errorf("Explorer(%q), GET %s: status %d, want 200", prefix, target, w.Code)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"gzip"}, true},
		{[]string{"GZIP"}, true},
		{[]string{"x-gzip"}, true},
		{[]string{"gzip, deflate, br, zstd"}, true},
		{[]string{"br", "gzip"}, true},
		{[]string{"br;q=1.0, gzip;q=0.8, *;q=0.1"}, true},
		{[]string{"gzip ; q=0.001"}, true},
		{[]string{"gzip;q=0"}, false},
		{[]string{"gzip; Q=0.000"}, false},
		{[]string{"gzip;q=0, *"}, false},
		{[]string{"*, gzip;q=0"}, false},
		{[]string{"gzip;q=x"}, false},
		{[]string{"*"}, true},
		{[]string{"*;q=0"}, false},
		{[]string{"br, deflate"}, false},
		{[]string{"identity"}, false},
		{[]string{"gzipped"}, false},
	}
	for _, tt := range tests {
		if got := acceptsGzip(http.Header{"Accept-Encoding": tt.header}); got != tt.want {
			t.Errorf("acceptsGzip(%q) = %v, want %v", tt.header, got, tt.want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	zipped := &fstest.MapFile{Data: []byte("not looked at")}
	tests := []struct {
		name string
		fsys fstest.MapFS
		want string
	}{
		{"no page", fstest.MapFS{"d/a.js.gz": zipped}, "d/index.html.gz is missing"},
		{"not compressed", fstest.MapFS{"d/index.html": zipped}, "d/index.html is not a .gz file"},
		{"unknown type", fstest.MapFS{"d/index.html.gz": zipped, "d/a.wasm.gz": zipped}, "d/a.wasm.gz: no content type"},
		{"no folder", fstest.MapFS{}, "file does not exist"},
	}
	for _, tt := range tests {
		if _, err := load(tt.fsys, "d"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}
