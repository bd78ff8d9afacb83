package main

import (
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
// when a mail program asks by POST (RFC 8058), and with a button for people.
func unsubscribe(market *marketplace.Market, log *slog.Logger) http.Handler {
	return letterPage(unsubscribePage, "", "This link is not complete, or its account is gone.", log, func(w http.ResponseWriter, r *http.Request) (any, error) {
		q := r.URL.Query()
		user, kind, signature := marketplace.ID(q.Get("u")), marketplace.NotificationKind(q.Get("k")), q.Get("s")
		done, err := r.Method == http.MethodPost, error(nil)
		if done {
			err = market.Unsubscribe(r.Context(), user, kind, signature)
		} else {
			err = market.CheckUnsubscribe(user, kind, signature)
		}
		w.Header().Set("Vary", "Accept-Language")
		text := marketplace.UnsubscribeTextIn(marketplace.AcceptedLanguages(r.Header.Get("Accept-Language")))
		return map[string]any{"Text": text, "Done": done}, err
	})
}
