package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"citymarket/marketplace"
)

// outcomePage asks what came of a meeting, with a button for each answer. It
// needs no script, no session, and no style but that which makes the buttons
// large enough for a thumb.
var outcomePage = template.Must(template.New("outcome").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}" dir="{{if .FromRight}}rtl{{else}}ltr{{end}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>` + outcomeStyle + `</style></head>
<body>
<p>{{.Ask}}</p>
{{with .Said}}<p role="status">{{.}}</p>
{{end}}<form method="post">
{{range .Answers}}<button name="what" value="{{.What}}"{{if .IsSaid}} aria-pressed="true"{{end}}>{{.Label}}</button>
{{end}}</form>
</body>
</html>
`))

const outcomeStyle = `body{font-family:sans-serif;max-width:30em;margin:1em auto;padding:0 1em;line-height:1.5}button{display:block;width:100%;margin:.6em 0;padding:.9em;font:inherit}button[aria-pressed]{font-weight:bold}`

// outcome lets a user say by the link in a letter what came of a meeting. It
// shows what there is to say by GET, which changes nothing, since scanners of
// mail follow every link; each answer is one tap, by POST.
func outcome(market *marketplace.Market, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var what marketplace.OutcomeKind
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
			if what = marketplace.OutcomeKind(r.PostFormValue("what")); what == "" {
				http.Error(w, "Say what came of the meeting.", http.StatusBadRequest)
				return
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
			return
		}
		q := r.URL.Query()
		text, err := market.OutcomeByLink(r.Context(), marketplace.ID(q.Get("u")), marketplace.ID(q.Get("m")), q.Get("s"), what)
		switch {
		case errors.Is(err, marketplace.ErrNotFound):
			http.Error(w, "This link is not complete, or not good any more.", http.StatusNotFound)
			return
		case errors.Is(err, marketplace.ErrInvalid):
			http.Error(w, "That is not one of the answers.", http.StatusBadRequest)
			return
		case err != nil:
			log.WarnContext(r.Context(), "an outcome could not be recorded", "error", err)
			w.Header().Set("Retry-After", "60")
			http.Error(w, "That did not work now. Try again in a while.", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash(outcomeStyle)+"'; form-action 'self'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		// What cannot be written to a client that has left is no concern.
		_ = outcomePage.Execute(w, text)
	})
}

// styleHash is how a content security policy names a style that a page holds.
func styleHash(style string) string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
