package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The account pages need no build step: these files are what a browser gets.
//
//go:embed account
var accountPages embed.FS

// accountPolicy is the Content-Security-Policy of the account pages. Nothing
// inline runs, texts cannot become markup, nothing leaves the origin, and no
// page may frame them.
const accountPolicy = "default-src 'none'; " +
	"script-src 'self'; " +
	"style-src 'self'; " +
	"connect-src 'self'; " +
	"base-uri 'none'; " +
	"form-action 'none'; " +
	"frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; " +
	"trusted-types 'none'"

// Account returns a handler for the account pages: the page at /account, what
// it needs below that. The page speaks to /graphql and /auth/ of the same
// origin. Which of its pages is shown is said by the part of the address behind
// the "#":
//
//	(nothing)                sign in; the account of who is signed in
//	#invitation=LINK         accept an invitation
//	#reset, #reset=LINK      ask for a new password; set it
//	#email=LINK              confirm another e-mail address
//	#code                    the second factor, after a provider has vouched
//	#error=CODE              why a sign-in by a provider has failed
//
// Files are checked again each time by their ETag.
func Account() http.Handler {
	files := accountFiles()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", accountPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		name := strings.TrimPrefix(r.URL.Path, "/account/")
		if r.URL.Path == "/account" || name == "" {
			name = "index.html"
		}
		f := files[name]
		switch {
		case f == nil:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			f.serve(w, r)
		}
	})
}

// accountFiles are the files by name, compressed once.
var accountFiles = sync.OnceValue(func() map[string]*file {
	entries, err := accountPages.ReadDir("account")
	if err != nil {
		panic("web: " + err.Error())
	}
	files := make(map[string]*file)
	for _, e := range entries {
		plain, err := accountPages.ReadFile("account/" + e.Name())
		contentType := contentTypes[path.Ext(e.Name())]
		if err != nil || contentType == "" {
			panic("web: " + e.Name() + ": not a file of a known kind")
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(plain)
		z.Close()
		sum := sha256.Sum256(plain)
		files[e.Name()] = &file{contentType: contentType, gzipped: b.Bytes(),
			sum: base64.RawURLEncoding.EncodeToString(sum[:12]), plain: func() []byte { return plain }}
	}
	return files
})
