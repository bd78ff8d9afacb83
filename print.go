package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"

	"citymarket/marketplace"
)

// printStyle lets every sheet begin on a page of its own, and the heads of
// tables stand on each. It needs no colour.
const printStyle = `body{font:11pt/1.35 sans-serif;margin:1em}h1{font-size:12pt;margin:0}h2{font-size:17pt;margin:.2em 0 .6em}section{break-after:page;margin-bottom:2em}section:last-child{break-after:auto}` +
	`table{border-collapse:collapse;width:100%}th,td{border:1px solid #000;padding:.35em .5em;text-align:start;vertical-align:top}thead{display:table-header-group}tr{break-inside:avoid}td:first-child{white-space:nowrap}@media print{body{margin:0}}`

// printPage is a page to print. It needs no script.
var printPage = template.Must(template.New("print").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}" dir="{{if .FromRight}}rtl{{else}}ltr{{end}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>` + printStyle + `</style></head>
<body>
{{range .Sheets}}<section>
<h1>{{$.Title}}</h1>
<h2><bdi>{{.Title}}</bdi></h2>
<table>
<thead><tr>{{range .Columns}}<th>{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr>{{range .}}<td><bdi>{{.}}</bdi></td>{{end}}</tr>
{{end}}</tbody>
</table>
<p>{{$.Note}}</p>
</section>
{{else}}<h1>{{.Title}}</h1>
<p>{{.Empty}}</p>
{{end}}</body>
</html>
`))

// printPolicy allows the style of the pages to print, and nothing else.
var printPolicy = func() string {
	sum := sha256.Sum256([]byte(printStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'"
}()

// printing answers GET /events/{slug}/print/{what}: participants, tables and
// slots for the secretariat, agenda?member=ID for the people of a member, too.
func printing(market *marketplace.Market, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		languages := marketplace.ViewerOf(r.Context()).Languages
		sheets, err := market.EventSheets(r.Context(), r.PathValue("slug"), marketplace.SheetKind(r.PathValue("what")), marketplace.ID(r.URL.Query().Get("member")), languages)
		w.Header().Set("Cache-Control", "no-store") // also what is not found, since that follows from who asks
		limited, isLimited := errors.AsType[*marketplace.RateLimitedError](err)
		switch {
		case errors.Is(err, marketplace.ErrNotFound):
			http.Error(w, "There is nothing to print here, or nothing that you may see. Sign in at /account.", http.StatusNotFound)
			return
		case isLimited:
			w.Header().Set("Retry-After", strconv.Itoa(limited.Seconds()))
			http.Error(w, "That was printed too often. Try again in a moment.", http.StatusTooManyRequests)
			return
		case err != nil:
			log.WarnContext(r.Context(), "a list cannot be printed", "error", err)
			w.Header().Set("Retry-After", "60")
			http.Error(w, "That did not work now. Try again in a while.", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", printPolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept-Language, Cookie")
		// What cannot be written to a client that has left is no concern.
		_ = printPage.Execute(w, sheets)
	})
}
