// Package web serves what people open in a browser: GraphiQL, the explorer of
// the API, and the account pages, by which people sign in.
//
// GraphiQL is built ahead of time from the folder graphiql (npm ci && npm run
// build there) and its built files are part of the repository, so that Go alone
// builds the server and the explorer needs no network but the server itself. The
// files are stored as gzip only, 1.9 MB instead of 6.6 MB, in the binary too: what
// is embedded is what goes over the wire. A build is a function of
// package-lock.json, so building again must change nothing; that is how it is
// checked that the built files belong to the sources.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The pattern begins with all: because a bundler may name a file with a leading
// underscore, and those are left out otherwise.
//
//go:embed all:graphiql/dist
var graphiql embed.FS

// explorerPolicy is the Content-Security-Policy of the explorer and, since a
// worker takes the policy of its own answer, of its workers. Nothing inline runs,
// nothing leaves the origin, no page may frame it. Monaco makes style elements
// and style attributes while it runs, so inline styles are allowed; its
// style sheet draws with data: images.
const explorerPolicy = "default-src 'none'; " +
	"script-src 'self'; " +
	"worker-src 'self'; " +
	"style-src 'self' 'unsafe-inline'; " +
	"connect-src 'self'; " +
	"img-src 'self' data:; " +
	"font-src 'self'; " +
	"base-uri 'none'; " +
	"form-action 'none'; " +
	"frame-ancestors 'none'"

// contentTypes names the type of every kind of file that is served. It is our own
// table because package mime also reads the tables of the system it runs on.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".md":   "text/markdown; charset=utf-8",
	".ttf":  "font/ttf",
}

// Explorer returns a handler that serves GraphiQL under prefix, which begins with
// a slash and does not end with one ("/graphiql"); the handler expects the whole
// path, so it is not to be wrapped in http.StripPrefix. The prefix itself is
// redirected to the prefix and a slash, where the page is. GraphiQL sends its
// operations to /graphql of the same origin, whatever the prefix.
//
// Files under assets/ carry a hash of their content in their name and may be kept
// for a year; the others are checked again each time by their ETag. A client that
// does not accept gzip gets the file decompressed, which is done once per file
// and then kept (6.6 MB in all, if every file is asked for in that way).
//
// The handler sets its own Content-Security-Policy on every answer. Explorer panics
// if a file of an unknown kind was built in.
func Explorer(prefix string) http.Handler {
	files, err := load(graphiql, "graphiql/dist")
	if err != nil {
		panic("web: " + err.Error())
	}
	return &explorer{prefix: strings.TrimSuffix(prefix, "/"), files: files}
}

type explorer struct {
	prefix string
	files  map[string]*file // by path below the prefix: "assets/index-1a2b3c4d.js"
}

// ServeHTTP looks the path up in a fixed set of names and never in a file system,
// so there is nothing to traverse.
func (e *explorer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", explorerPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")

	rest, ok := strings.CutPrefix(r.URL.Path, e.prefix)
	name, slash := strings.CutPrefix(rest, "/")
	f := e.files[name]
	if name == "" {
		f = e.files["index.html"]
	}
	if !ok || f == nil || !slash && rest != "" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if !slash {
		// Relative, so that it also holds behind a proxy that adds to the path.
		target := path.Base(e.prefix) + "/"
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		h.Set("Location", target)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	f.serve(w, r)
}

// file is one built file.
type file struct {
	contentType string
	hashed      bool   // the name changes when the content does
	gzipped     []byte // as embedded
	sum         string // of gzipped, in the alphabet of an ETag

	// plain decompresses, once. It panics if that fails, which a test excludes.
	plain func() []byte
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", f.contentType)
	if f.hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	// The two forms differ in their bytes, so a strong ETag must differ too.
	body := f.gzipped
	if acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"`+f.sum+`-gzip"`)
		// ServeContent leaves the length out of an encoded answer.
		h.Set("Content-Length", strconv.Itoa(len(body)))
	} else {
		h.Set("ETag", `"`+f.sum+`"`)
		body = f.plain()
	}
	// A zero time: no Last-Modified, since embedded files have none.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reports whether a request's Accept-Encoding names gzip, or "*"
// without naming gzip, with a weight above 0. Without the header the answer is
// sent plain: a client that says nothing is more often a simple one than one
// that decodes everything.
func acceptsGzip(h http.Header) bool {
	star := false
	for element := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(element, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "x-gzip" && coding != "*" {
			continue
		}
		wanted := true
		if k, v, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(k), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			wanted = err == nil && q > 0
		}
		if coding != "*" {
			return wanted
		}
		star = wanted
	}
	return star
}

// load reads the built files below dir, all of them gzip files with the ending
// .gz, and gives them under the names they have without it.
func load(fsys fs.FS, dir string) (map[string]*file, error) {
	files := make(map[string]*file)
	err := fs.WalkDir(fsys, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(p, dir+"/"), ".gz")
		if !ok {
			return fmt.Errorf("%s is not a .gz file", p)
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type for this kind of file", p)
		}
		gzipped, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(gzipped)
		files[name] = &file{
			contentType: contentType,
			hashed:      strings.HasPrefix(name, "assets/"),
			gzipped:     gzipped,
			sum:         base64.RawURLEncoding.EncodeToString(sum[:12]),
			plain: sync.OnceValue(func() []byte {
				plain, err := gunzip(gzipped)
				if err != nil {
					panic("web: " + p + ": " + err.Error())
				}
				return plain
			}),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if files["index.html"] == nil {
		return nil, fmt.Errorf("%s/index.html.gz is missing", dir)
	}
	return files, nil
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
