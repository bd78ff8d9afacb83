package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"citymarket/graph"
	"citymarket/marketplace"
)

// Bounds of files over HTTP. They have places of their own, so that the API
// is answered meanwhile; the marketplace bounds how many are uploaded at once.
const (
	// maxServed is how many files are served at once, up to 1 MiB of memory
	// each; more wait a moment, then are refused.
	maxServed = 128
	// filePatience is how long a client may do nothing, and slowest how many
	// bytes a second it must send or take in the long run.
	filePatience = 10 * time.Second
	slowest      = 32 << 10
	// maxForm bounds what a form has around its file, each before and behind.
	maxForm     = 16 << 10
	maxFileSize = max(marketplace.MaxPictureFile, marketplace.MaxDocumentFile)
)

// formHeader must come with uploads by cookie. A form of another site cannot
// send it, and its scripts are asked about it first.
const formHeader = "X-Requested-With"

// files takes uploads and serves them.
type files struct {
	market   *marketplace.Market
	door     *door
	log      *slog.Logger
	serving  *places
	patience time.Duration
}

func newFiles(market *marketplace.Market, d *door, log *slog.Logger) *files {
	return &files{market: market, door: d, log: log, serving: newPlaces(maxServed), patience: filePatience}
}

// handle adds the addresses. Those of what is served are what
// [marketplace.Market.UploadURL] and ThumbnailsOf say.
func (f *files) handle(mux *http.ServeMux) {
	mux.Handle("POST /files", f.door.open(http.HandlerFunc(f.receive)))
	mux.Handle("GET /files/{id}/{name}", f.door.open(http.HandlerFunc(f.serve)))
	mux.Handle("GET /files/{id}/{width}/{name}", f.door.open(http.HandlerFunc(f.serve)))
}

// serve answers GET /files/upload_06f.../plan.pdf and, for a thumbnail,
// GET /files/upload_06f.../320/plan.jpg.
func (f *files) serve(w http.ResponseWriter, r *http.Request) {
	leave, err := f.serving.take(r.Context())
	if errors.Is(err, errBusy) {
		busy(w)
		return
	}
	if err != nil {
		return // the client has left
	}
	defer leave()
	width, name := 0, r.PathValue("name")
	if s := r.PathValue("width"); s != "" {
		if width, err = strconv.Atoi(s); err != nil || width < 1 || strconv.Itoa(width) != s {
			f.refuse(w, r, marketplace.ErrNotFound)
			return
		}
	}
	file, err := f.market.OpenUpload(r.Context(), marketplace.ID(r.PathValue("id")), width, name)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	defer file.Close()
	h := w.Header()
	h.Set("Content-Type", file.Type.MIME())
	h.Set("Content-Disposition", file.Type.Disposition(file.Name))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("ETag", `"`+file.Hash+`"`)
	// What is public now may be no longer in a moment, so whoever keeps it
	// must ask each time; it costs no more than the answer that it is the same.
	h.Set("Cache-Control", "private, no-store")
	if file.IsPublic {
		h.Set("Cache-Control", "public, no-cache")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	long := 2*f.patience + time.Duration(file.Size()/slowest)*time.Second
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the request has been read; its time must not end the answer
	_ = control.SetWriteDeadline(time.Now().Add(long))
	http.ServeContent(w, r, "", time.Time{}, file)
}

// receive answers POST /files?for=ID&name=plan.pdf, with the file as the body,
// or as the only part of a form (multipart/form-data): 201 with what was
// uploaded.
func (f *files) receive(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(formHeader) == "" && r.Header.Get("Authorization") == "" {
		refuse(w, http.StatusForbidden, "FORBIDDEN", "send the header "+formHeader+" with any value")
		return
	}
	q := r.URL.Query()
	for name := range q {
		if name != "for" && name != "name" {
			f.refuse(w, r, badRequest(fmt.Sprintf("%.40q is not a parameter; there are for and name", name)))
			return
		}
	}
	subject := marketplace.ID(q.Get("for"))
	if err := f.market.MayUploadFor(r.Context(), subject); err != nil {
		f.refuse(w, r, err)
		return
	}
	if r.ContentLength > maxFileSize+2*maxForm {
		f.refuse(w, r, &http.MaxBytesError{Limit: maxFileSize})
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	body := &steady{r: r.Body, control: control, began: time.Now(), patience: f.patience}
	name, file, err := fileOf(r, q.Get("name"), body)
	var u *marketplace.Upload
	if err == nil {
		u, err = f.market.Upload(r.Context(), subject, name, &lasting{file, func() error { return f.recheck(r) }})
	}
	_ = control.SetWriteDeadline(time.Now().Add(f.patience))
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	answer := f.describe(u)
	w.Header().Set("Location", answer.URL)
	writeJSON(w, http.StatusCreated, map[string]any{"upload": answer})
}

// uploaded is an upload in JSON, with the names that the API has.
type uploaded struct {
	ID         marketplace.ID  `json:"id"`
	Name       string          `json:"name"`
	MIMEType   string          `json:"mimeType"`
	Size       int             `json:"size"`
	Width      *int            `json:"width"`
	Height     *int            `json:"height"`
	URL        string          `json:"url"`
	Thumbnails []thumbnailLink `json:"thumbnails"`
}

type thumbnailLink struct {
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func (f *files) describe(u *marketplace.Upload) uploaded {
	out := uploaded{ID: u.ID, Name: u.Name, MIMEType: u.MIMEType(), Size: u.Size, Width: u.Width, Height: u.Height,
		URL: f.market.UploadURL(u), Thumbnails: []thumbnailLink{}}
	for _, t := range f.market.ThumbnailsOf(u) {
		out.Thumbnails = append(out.Thumbnails, thumbnailLink(*t))
	}
	return out
}

// fileOf is the file in a request, with its name.
func fileOf(r *http.Request, name string, body io.Reader) (string, io.Reader, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		if kind == "application/x-www-form-urlencoded" {
			return "", nil, badRequest("send the file as the body, or as multipart/form-data")
		}
		return name, body, nil
	}
	if err != nil || params["boundary"] == "" {
		return "", nil, badRequest("the form has no boundary")
	}
	limited := &allowance{r: body, left: maxForm}
	form := multipart.NewReader(limited, params["boundary"])
	part, err := form.NextRawPart()
	switch {
	case err == io.EOF:
		return "", nil, badRequest("the form has no file")
	case err != nil:
		return "", nil, limited.failed()
	case part.FileName() == "":
		return "", nil, badRequest("the form must have one part, which is a file")
	}
	if name == "" {
		name = part.FileName()
	}
	limited.left = maxFileSize + maxForm
	return name, &onlyPart{form: form, part: part, limited: limited}, nil
}

// onlyPart is the file of a form that must have no other part.
type onlyPart struct {
	form    *multipart.Reader
	part    *multipart.Part
	limited *allowance
}

func (p *onlyPart) Read(b []byte) (int, error) {
	n, err := p.part.Read(b)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, p.limited.failed()
	}
	p.limited.left = maxForm
	if _, err = p.form.NextRawPart(); err == nil {
		return n, badRequest("the form must have one part, which is a file")
	}
	if err == io.EOF { // alone it is the form's own end
		_, err = io.Copy(io.Discard, p.limited) // what stands behind the form
	}
	if err != nil {
		return n, p.limited.failed()
	}
	return n, io.EOF
}

// errForm says that there is more of a form than a form with one file has.
var errForm = badRequest("the form is too large around its file")

// allowance lets so many bytes of a form through.
type allowance struct {
	r    io.Reader
	left int64
	err  error // why it gives no more, which readers of forms do not always say
}

func (a *allowance) Read(p []byte) (n int, err error) {
	if a.left <= 0 {
		a.err = errForm
		return 0, errForm
	}
	n, a.err = a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, a.err
}

// failed is why a form cannot be read.
func (a *allowance) failed() error {
	if a.err != nil && a.err != io.EOF {
		return a.err
	}
	return badRequest("the form is malformed, or ended early")
}

// steady is a body that may take as long as the client goes on sending it at
// a bearable pace.
type steady struct {
	r        io.Reader
	control  *http.ResponseController
	began    time.Time
	patience time.Duration
	read     int64
}

func (s *steady) Read(p []byte) (int, error) {
	deadline := time.Now().Add(s.patience)
	if pace := s.began.Add(2*s.patience + time.Duration(s.read)*time.Second/slowest); pace.Before(deadline) {
		deadline = pace
	}
	_ = s.control.SetReadDeadline(deadline) // where it cannot be set there is none
	n, err := s.r.Read(p)
	s.read += int64(n)
	if err == io.EOF {
		_ = s.control.SetReadDeadline(time.Time{}) // it must not end what is done with the file
	}
	return n, err
}

// lasting is a body after whose end it is asked once more whether all that
// was found out before it still holds.
type lasting struct {
	r     io.Reader
	holds func() error
}

func (l *lasting) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if err == io.EOF {
		if changed := l.holds(); changed != nil {
			err = changed
		}
	}
	return n, err
}

// recheck says whether whoever began a request may still do what they may
// do: it can have taken minutes to send its body.
func (f *files) recheck(r *http.Request) error {
	secret, _ := f.door.secret(r)
	v := marketplace.ViewerOf(r.Context())
	actor, err := f.market.Authenticate(marketplace.WithViewer(r.Context(), marketplace.Viewer{Address: v.Address, Agent: v.Agent}), secret)
	if errors.Is(err, marketplace.ErrNotFound) || err == nil && !reflect.DeepEqual(actor, v.Actor) {
		return &marketplace.ForbiddenError{Verb: "upload this any more: what you may do has changed", Signed: err == nil}
	}
	return err
}

// badRequest is something that is wrong with a request as such.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// refuse answers with an error of the domain or of HTTP, in the form of the
// API's errors.
func (f *files) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, message := graph.Classify(err)
	extensions := map[string]any{}
	status := http.StatusInternalServerError
	bad, isBad := errors.AsType[badRequest](err)
	tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		status, code, message = http.StatusRequestTimeout, "REQUEST_TIMEOUT", "the file did not come in time"
	case isBad:
		status, code, message = http.StatusBadRequest, "BAD_REQUEST", string(bad)
	case isTooLarge:
		status, code, message = http.StatusRequestEntityTooLarge, "CONTENT_TOO_LARGE", fmt.Sprintf("a file has at most %d MiB", tooLarge.Limit>>20)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(r.Context().Err(), context.Canceled):
		status, code, message = http.StatusBadRequest, "BAD_REQUEST", "the file ended early"
	case code == "BAD_USER_INPUT":
		status, code = statusOfInput(err)
	case code == "RATE_LIMITED":
		status = http.StatusTooManyRequests
		if limited, ok := errors.AsType[*marketplace.RateLimitedError](err); ok {
			extensions["retryAfter"] = limited.Seconds()
			w.Header().Set("Retry-After", strconv.Itoa(limited.Seconds()))
		}
	case code == "INTERNAL":
		id := rand.Text()[:12]
		extensions["id"] = id
		f.log.Error("a file failed", "id", id, "path", r.URL.Path, "error", err)
	default:
		status = map[string]int{"UNAUTHENTICATED": http.StatusUnauthorized, "FORBIDDEN": http.StatusForbidden, "NOT_FOUND": http.StatusNotFound,
			"CONFLICT": http.StatusConflict, "UNAVAILABLE": http.StatusServiceUnavailable}[code]
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
			f.log.Warn("a file failed", "path", r.URL.Path, "error", err)
		}
	}
	extensions["code"] = code
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{"message": message, "extensions": extensions}}})
}

// statusOfInput tells apart what is wrong with a file.
func statusOfInput(err error) (status int, code string) {
	invalid, ok := errors.AsType[*marketplace.InvalidError](err)
	has := func(path string, codes ...string) bool {
		return ok && slices.ContainsFunc(invalid.Errors, func(e marketplace.UserError) bool { return e.Path == path && slices.Contains(codes, e.Code) })
	}
	switch {
	case has("for", "TOO_MANY"):
		return http.StatusInsufficientStorage, "LIMIT_EXCEEDED"
	case has("file", "TOO_LONG", "OUT_OF_RANGE"):
		return http.StatusRequestEntityTooLarge, "CONTENT_TOO_LARGE"
	case has("file", "INVALID"):
		return http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"
	}
	return http.StatusBadRequest, "BAD_USER_INPUT"
}
