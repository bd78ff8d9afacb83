package main

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"citymarket/marketplace"
)

// A wrongAnswer is what somebody reads who posts something to a page for
// letters that it does not take.
type wrongAnswer string

func (e wrongAnswer) Error() string { return string(e) }

// letterPage is a page to which a link in a letter leads: it needs no session,
// since the right comes from the link, and no script, and its address is told
// to no other site. GET changes nothing, since scanners of mail follow every
// link; whatever does something is a POST. gone is what is said of a link that
// is not good, policy what a content security policy allows besides forms.
func letterPage(page *template.Template, policy, gone string, log *slog.Logger, act func(w http.ResponseWriter, r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		data, err := act(w, r)
		var wrong wrongAnswer
		switch {
		case errors.As(err, &wrong):
			http.Error(w, wrong.Error(), http.StatusBadRequest)
			return
		case errors.Is(err, marketplace.ErrNotFound):
			http.Error(w, gone, http.StatusNotFound)
			return
		case err != nil:
			log.WarnContext(r.Context(), "what a link in a letter asks for failed", "page", page.Name(), "error", err)
			w.Header().Set("Retry-After", "60")
			http.Error(w, "That did not work now. Try again in a while.", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; "+policy+"form-action 'self'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		// What cannot be written to a client that has left is no concern.
		_ = page.Execute(w, data)
	})
}
