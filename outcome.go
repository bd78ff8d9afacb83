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

// outcome lets a user say by the link in a letter what came of a meeting; each
// answer is one tap.
func outcome(market *marketplace.Market, log *slog.Logger) http.Handler {
	return letterPage(outcomePage, "style-src 'sha256-"+styleHash(outcomeStyle)+"'; ", "This link is not complete, or not good any more.", log, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		var what marketplace.OutcomeKind
		if r.Method == http.MethodPost {
			if what = marketplace.OutcomeKind(r.PostFormValue("what")); what == "" {
				return nil, wrongAnswer("Say what came of the meeting.")
			}
		}
		q := r.URL.Query()
		text, err := market.OutcomeByLink(r.Context(), marketplace.ID(q.Get("u")), marketplace.ID(q.Get("m")), q.Get("s"), what)
		if errors.Is(err, marketplace.ErrInvalid) {
			return nil, wrongAnswer("That is not one of the answers.")
		}
		return text, err
	})
}

// styleHash is how a content security policy names a style that a page holds.
func styleHash(style string) string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
