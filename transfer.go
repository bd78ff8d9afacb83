package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"citymarket/marketplace"
)

// Bounds of exports and imports, which take longer than the server gives
// other requests. They have shares of their own, so that the API is answered
// meanwhile.
const (
	maxExports  = 4 // at once
	maxImports  = 2 // at once: each holds its file
	transferMax = 30 * time.Minute
)

// transfers takes files of solutions and gives out lists, over plain HTTP.
type transfers struct {
	market           *marketplace.Market
	door             *door
	log              *slog.Logger
	exports, imports *shares
	// patience is how long a client may take for the next piece, 64 KB of an
	// export or as much as it likes of an import.
	patience time.Duration
}

func newTransfers(market *marketplace.Market, d *door, log *slog.Logger) *transfers {
	return &transfers{market: market, door: d, log: log, exports: newShares(maxExports), imports: newShares(maxImports), patience: 20 * time.Second}
}

// handle adds the addresses.
func (t *transfers) handle(mux *http.ServeMux) {
	mux.Handle("GET /export/{file}", bounded(t.catalogue))
	mux.Handle("GET /export/statistics.csv", t.door.open(bounded(t.statistics)))
	mux.Handle("GET /export/statistics.ndjson", t.door.open(bounded(t.statistics)))
	mux.Handle("GET /export/audit.ndjson", t.door.open(bounded(t.audit)))
	mux.Handle("GET /export/event/{file}", t.door.open(bounded(t.event)))
	mux.Handle("GET /export/member/{file}", t.door.open(bounded(t.member)))
	mux.Handle("POST /import/solutions", t.door.open(bounded(t.solutions)))
}

// bounded ends what takes too long in all.
func bounded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), transferMax)
		defer cancel()
		next(w, r.WithContext(ctx))
	})
}

// shares are taken by so many at once, and by each of them once.
type shares struct {
	mu    sync.Mutex
	free  int
	taken map[string]bool
}

func newShares(n int) *shares { return &shares{free: n, taken: map[string]bool{}} }

var (
	errOneAtATime = errors.New("one at a time: wait until the one under way has ended")
	errNoPlace    = errors.New("the server is busy with other exports and imports; try again in a moment")
)

// take takes a place for somebody, who gives it back by leave.
func (p *shares) take(who string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken[who]:
		return nil, errOneAtATime
	case p.free == 0:
		return nil, errNoPlace
	}
	p.free--
	p.taken[who] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free++
		delete(p.taken, who)
	}, nil
}

// catalogue answers GET /export/solutions.csv and the like.
func (t *transfers) catalogue(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name, _, _ := strings.Cut(r.PathValue("file"), ".")
	err := known(q, "topic", "region", "country", "updatedSince", "languages")
	f := marketplace.CatalogueFilter{Topic: q.Get("topic"), Region: marketplace.Region(q.Get("region")), Country: marketplace.Country(q.Get("country"))}
	if since := q.Get("updatedSince"); since != "" && err == nil {
		var at time.Time
		if at, err = time.Parse(time.RFC3339, since); err != nil {
			err = wrong("updatedSince", "must be a moment such as 2027-03-31T08:30:00Z")
		}
		f.UpdatedSince = &at
	}
	var e *marketplace.Export
	if err == nil {
		e, err = t.market.ExportCatalogue(r.Context(), name, f)
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	t.export(w, r, t.door.viewer(r).Address, e, err, "csv", "ndjson")
}

// member answers GET /export/member/company_acme.ndjson.
func (t *transfers) member(w http.ResponseWriter, r *http.Request) {
	id, _, _ := strings.Cut(r.PathValue("file"), ".")
	e, err := t.market.ExportMember(r.Context(), marketplace.ID(id))
	w.Header().Set("Cache-Control", "no-store")
	t.export(w, r, whoAsks(r), e, errors.Join(known(r.URL.Query()), err), "ndjson")
}

// event answers GET /export/event/meetings.csv?of=event_...: participants,
// meetings, and the report, that of one member with &member=.
func (t *transfers) event(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	what, _, _ := strings.Cut(r.PathValue("file"), ".")
	var member *marketplace.ID
	if q.Has("member") {
		member = new(marketplace.ID(q.Get("member")))
	}
	e, err := t.market.ExportEvent(r.Context(), q.Get("of"), what, member)
	w.Header().Set("Cache-Control", "no-store")
	t.export(w, r, whoAsks(r), e, errors.Join(known(q, "of", "member"), err), "csv", "ndjson")
}

// audit answers GET /export/audit.ndjson?of=company_acme.
func (t *transfers) audit(w http.ResponseWriter, r *http.Request) {
	var of *marketplace.ID
	if id := r.URL.Query().Get("of"); id != "" {
		of = new(marketplace.ID(id))
	}
	r.SetPathValue("file", "audit.ndjson")
	e, err := t.market.ExportAuditLog(r.Context(), of)
	w.Header().Set("Cache-Control", "no-store")
	t.export(w, r, whoAsks(r), e, errors.Join(known(r.URL.Query(), "of"), err), "ndjson")
}

// statistics answers GET /export/statistics.csv?member=company_acme&from=2027-01&to=2027-03,
// of the network where there is no member.
func (t *transfers) statistics(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	err := known(q, "member", "from", "to", "languages")
	in := marketplace.StatisticsInput{From: marketplace.Month(q.Get("from")), To: marketplace.Month(q.Get("to"))}
	if id := q.Get("member"); id != "" {
		in.Member = new(marketplace.ID(id))
	}
	var e *marketplace.Export
	if err == nil {
		e, err = t.market.ExportStatistics(r.Context(), in)
	}
	r.SetPathValue("file", path.Base(r.URL.Path))
	w.Header().Set("Cache-Control", "no-store")
	t.export(w, r, whoAsks(r), e, err, "csv", "ndjson")
}

// whoAsks names the user, or the address of a visitor.
func whoAsks(r *http.Request) string {
	v := marketplace.ViewerOf(r.Context())
	if v.Actor.User != "" {
		return string(v.Actor.User)
	}
	return v.Address
}

// export sends an export in the format that the file's ending names. What
// goes wrong once it has begun breaks the connection off, so that nobody
// takes a part for the whole.
func (t *transfers) export(w http.ResponseWriter, r *http.Request, who string, e *marketplace.Export, err error, formats ...string) {
	_, format, _ := strings.Cut(r.PathValue("file"), ".")
	languages, badLanguages := languagesOf(r.URL.Query().Get("languages"))
	if err == nil {
		err = badLanguages
	}
	if err == nil && !slices.Contains(formats, format) {
		err = marketplace.ErrNotFound
	}
	var leave func()
	if err == nil {
		leave, err = t.exports.take(who)
	}
	if err != nil {
		w.Header().Del("Cache-Control")
		t.refuse(w, r, err)
		return
	}
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	if format == "csv" {
		h.Set("Content-Type", "text/csv; charset=utf-8")
	}
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="citymarket-%s.%s"`, e.Name, format))
	if r.Method == http.MethodHead {
		return
	}
	out := newPieces(w, t.patience)
	if format == "csv" {
		_, err = e.WriteCSV(out, languages)
	} else {
		_, err = e.WriteNDJSON(out)
	}
	switch {
	case err == nil:
		return
	case !errors.Is(r.Context().Err(), context.Canceled):
		t.log.Warn("an export was cut off", "path", r.URL.Path, "error", err)
	}
	if !out.begun {
		h.Del("Cache-Control")
		h.Del("Content-Disposition")
		t.refuse(w, r, err)
		return
	}
	panic(http.ErrAbortHandler)
}

// pieces is an answer that may take as long as the client goes on reading it.
type pieces struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	begun    bool
}

func newPieces(w http.ResponseWriter, patience time.Duration) *pieces {
	p := &pieces{w: w, control: http.NewResponseController(w), patience: patience}
	_ = p.control.SetReadDeadline(time.Time{}) // the request has been read; its time must not end the answer
	return p
}

// Write sends a piece; the client has to take it within the patience.
func (p *pieces) Write(b []byte) (int, error) {
	p.begun = true
	_ = p.control.SetWriteDeadline(time.Now().Add(p.patience)) // where it cannot be set there is none
	n, err := p.w.Write(b)
	if err == nil {
		err = p.control.Flush()
	}
	return n, err
}

// importTypes are the content types of files of solutions.
var importTypes = map[string]marketplace.ImportFormat{
	"text/csv":                  marketplace.ImportCSV,
	"text/tab-separated-values": marketplace.ImportCSV,
	"application/x-ndjson":      marketplace.ImportNDJSON,
	"application/jsonl":         marketplace.ImportNDJSON,
}

// solutions answers POST /import/solutions: 200 with a report after a dry run
// and where nothing is to be done, 202 where the file was accepted, 422 where
// something is wrong with it.
func (t *transfers) solutions(w http.ResponseWriter, r *http.Request) {
	in, err := importOf(r)
	var leave func()
	if err == nil {
		leave, err = t.imports.take(whoAsks(r))
	}
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	defer leave()
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	in.File = &upload{http.MaxBytesReader(w, r.Body, marketplace.MaxImportSize), control, t.patience}
	report, err := t.market.ImportSolutions(r.Context(), in)
	_ = control.SetWriteDeadline(time.Now().Add(t.patience))
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	status := http.StatusOK
	switch {
	case in.DryRun:
	case !report.IsValid:
		status = http.StatusUnprocessableEntity
	case report.Import != nil:
		status = http.StatusAccepted
	}
	writeJSON(w, status, report)
}

// importOf reads what a request wants, but for the file.
func importOf(r *http.Request) (in marketplace.ImportInput, err error) {
	q := r.URL.Query()
	if err := known(q, "company", "dryRun", "publish", "key", "name"); err != nil {
		return in, err
	}
	content, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var ok bool
	if in.Format, ok = importTypes[content]; !ok {
		return in, errMediaType
	}
	if r.ContentLength > marketplace.MaxImportSize {
		return in, &http.MaxBytesError{Limit: marketplace.MaxImportSize}
	}
	in.Company = q.Get("company")
	if in.DryRun, err = truth(q, "dryRun", true); err != nil {
		return in, err
	}
	if in.Publish, err = truth(q, "publish", false); err != nil {
		return in, err
	}
	if q.Has("key") {
		in.Key = new(q.Get("key"))
	}
	if name := q.Get("name"); name != "" {
		in.Name = &name
	}
	return in, nil
}

// upload is a file that may take as long as the client goes on sending it.
type upload struct {
	io.Reader
	control  *http.ResponseController
	patience time.Duration
}

func (u *upload) Read(p []byte) (int, error) {
	_ = u.control.SetReadDeadline(time.Now().Add(u.patience))
	return u.Reader.Read(p)
}

var errMediaType = errors.New("the Content-Type must be text/csv or application/x-ndjson")

// wrong is what is wrong with a parameter.
func wrong(path, message string) error {
	return &marketplace.InvalidError{Errors: []marketplace.UserError{{Path: path, Code: "INVALID", Message: message}}}
}

// known refuses parameters that do not exist, since a misspelt one would be
// taken for none.
func known(q url.Values, names ...string) error {
	for name := range q {
		if !slices.Contains(names, name) {
			return wrong(fmt.Sprintf("%.40q", name), fmt.Sprintf("is not a parameter; there are %q", names))
		}
	}
	return nil
}

func truth(q url.Values, name string, otherwise bool) (bool, error) {
	switch q.Get(name) {
	case "":
		return otherwise, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, wrong(name, "must be true or false")
}

func languagesOf(list string) (languages []marketplace.Language, err error) {
	if list == "" {
		return nil, nil
	}
	for tag := range strings.SplitSeq(list, ",") {
		l, ok := marketplace.ParseLanguage(strings.TrimSpace(tag))
		if !ok {
			return nil, wrong("languages", "must be BCP 47 language tags such as en,zh-Hant, separated by commas")
		}
		if !slices.Contains(languages, l) {
			languages = append(languages, l)
		}
	}
	return languages, nil
}

// refuse answers with an error of the domain, or of HTTP.
func (t *transfers) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, code, message := http.StatusInternalServerError, "INTERNAL", "internal error"
	after := func(d time.Duration) {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
	}
	forbidden, isForbidden := errors.AsType[*marketplace.ForbiddenError](err)
	tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	limited, isLimited := errors.AsType[*marketplace.RateLimitedError](err)
	switch {
	case isForbidden && forbidden.Signed:
		status, code, message = http.StatusForbidden, "FORBIDDEN", err.Error()
	case isForbidden:
		status, code, message = http.StatusUnauthorized, "UNAUTHENTICATED", err.Error()
	case errors.Is(err, marketplace.ErrInvalid):
		status, code, message = http.StatusBadRequest, "BAD_USER_INPUT", err.Error()
	case errors.Is(err, marketplace.ErrNotFound):
		status, code, message = http.StatusNotFound, "NOT_FOUND", "there is no such thing to export"
	case errors.Is(err, errMediaType):
		status, code, message = http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", err.Error()
	case isTooLarge:
		status, code, message = http.StatusRequestEntityTooLarge, "CONTENT_TOO_LARGE", fmt.Sprintf("a file has at most %d bytes", tooLarge.Limit)
	case isLimited:
		after(limited.Wait)
		status, code, message = http.StatusTooManyRequests, "RATE_LIMITED", "too many files; try again later"
	case errors.Is(err, errOneAtATime):
		after(time.Second)
		status, code, message = http.StatusTooManyRequests, "RATE_LIMITED", err.Error()
	case errors.Is(err, errNoPlace):
		after(time.Second)
		status, code, message = http.StatusServiceUnavailable, "UNAVAILABLE", err.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		status, code, message = http.StatusRequestTimeout, "REQUEST_TIMEOUT", "the file did not come in time"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		status, code, message = http.StatusBadRequest, "BAD_REQUEST", "the file ended early"
	case errors.Is(err, marketplace.ErrUnavailable), errors.Is(err, marketplace.ErrClosed), errors.Is(err, marketplace.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		status, code, message = http.StatusServiceUnavailable, "UNAVAILABLE", marketplace.ErrUnavailable.Error()
	default:
		t.log.Error("an export or import failed", "path", r.URL.Path, "error", err)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(t.patience))
	refuse(w, status, code, message)
}
