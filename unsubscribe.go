package main

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"citymarket/marketplace"
)

// unsubscribePage asks, and says that it was done. It needs no script, no
// style and no session.
var unsubscribePage = template.Must(template.New("unsubscribe").Parse(`<!DOCTYPE html>
<html lang="{{.Text.Language}}" dir="{{if .Text.FromRight}}rtl{{else}}ltr{{end}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Text.Title}}</title></head>
<body>
{{if .Done}}<p>{{.Text.Ended}}</p>
{{else}}<p>{{.Text.Ask}}</p>
<form method="post"><button>{{.Text.Button}}</button></form>
{{end}}</body>
</html>
`))

// unsubscribe ends letters of a kind by the link that stands in each: at once
// when a mail program asks by POST (RFC 8058), and with a button for people,
// since scanners of mail follow every link by GET.
func unsubscribe(market *marketplace.Market, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
			return
		}
		q := r.URL.Query()
		user, kind, signature := marketplace.ID(q.Get("u")), marketplace.NotificationKind(q.Get("k")), q.Get("s")
		act := market.CheckUnsubscribe
		if r.Method == http.MethodPost {
			act = func(user marketplace.ID, kind marketplace.NotificationKind, signature string) error {
				return market.Unsubscribe(r.Context(), user, kind, signature)
			}
		}
		switch err := act(user, kind, signature); {
		case errors.Is(err, marketplace.ErrNotFound):
			http.Error(w, "This link is not complete, or its account is gone.", http.StatusNotFound)
			return
		case err != nil:
			log.WarnContext(r.Context(), "letters could not be ended", "error", err)
			w.Header().Set("Retry-After", "60")
			http.Error(w, "That did not work now. Try again in a while.", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept-Language")
		text := marketplace.UnsubscribeTextIn(marketplace.AcceptedLanguages(r.Header.Get("Accept-Language")))
		// What cannot be written to a client that has left is no concern.
		_ = unsubscribePage.Execute(w, map[string]any{"Text": text, "Done": r.Method == http.MethodPost})
	})
}
