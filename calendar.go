package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"citymarket/marketplace"
)

// maxCalendars is how many files of calendars are written at once.
const maxCalendars = 16

// calendars gives out what calendar programs read: a user's meetings by an
// address that holds a secret, and one meeting to who is signed in.
type calendars struct {
	market *marketplace.Market
	door   *door
	log    *slog.Logger
}

func (c *calendars) handle(mux *http.ServeMux) {
	limit := newPlaces(maxCalendars).limit
	mux.Handle("GET /calendar/{file}", limit(http.HandlerFunc(c.feed)))
	mux.Handle("GET /calendar/meeting/{file}", limit(c.door.open(http.HandlerFunc(c.meeting))))
	mux.Handle("GET /events/{slug}/agenda.ics", limit(c.door.open(http.HandlerFunc(c.agenda))))
}

// feed answers GET /calendar/<secret>.ics. It looks at no cookie: who has the
// address may read it.
func (c *calendars) feed(w http.ResponseWriter, r *http.Request) {
	secret, ok := strings.CutSuffix(r.PathValue("file"), ".ics")
	if !ok {
		secret = ""
	}
	v := c.door.viewer(r)
	v.Languages = nil // those of the user count
	file, err := c.market.ReadCalendarFeed(marketplace.WithViewer(r.Context(), v), secret)
	c.answer(w, r, "citymarket.ics", file, err)
}

// meeting answers GET /calendar/meeting/<id>.ics.
func (c *calendars) meeting(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutSuffix(r.PathValue("file"), ".ics")
	if !ok {
		id = ""
	}
	file, err := c.market.MeetingCalendar(r.Context(), marketplace.ID(id))
	c.answer(w, r, "meeting.ics", file, err)
}

// agenda answers GET /events/<slug>/agenda.ics?member=<id>, or with
// &delegate= what one of its delegates has.
func (c *calendars) agenda(w http.ResponseWriter, r *http.Request) {
	var person *string
	if q := r.URL.Query(); q.Has("delegate") {
		person = new(q.Get("delegate"))
	}
	file, err := c.market.AgendaCalendar(r.Context(), r.PathValue("slug"), marketplace.ID(r.URL.Query().Get("member")), person)
	if errors.Is(err, marketplace.ErrInvalid) {
		err = marketplace.ErrNotFound
	}
	c.answer(w, r, "agenda.ics", file, err)
}

// answer sends a file, or nothing where it is as the client has it already. It
// has a hash and no time of its last change: names of members and of what a
// meeting is about can change without it, and meetings grow old.
func (c *calendars) answer(w http.ResponseWriter, r *http.Request, name string, file []byte, err error) {
	h := w.Header()
	switch limited := (*marketplace.RateLimitedError)(nil); {
	case err == nil:
		sum := sha256.Sum256(file)
		h.Set("Content-Type", marketplace.CalendarType)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		h.Set("Cache-Control", "private, no-cache")
		h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
		return
	case errors.As(err, &limited):
		h.Set("Retry-After", strconv.Itoa(limited.Seconds()))
		refuse(w, http.StatusTooManyRequests, "RATE_LIMITED", limited.Error())
	case errors.Is(err, marketplace.ErrNotFound):
		refuse(w, http.StatusNotFound, "NOT_FOUND", "there is no such calendar, or none that you may see")
	default:
		c.log.WarnContext(r.Context(), "a calendar cannot be written", "error", err)
		h.Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", marketplace.ErrUnavailable.Error())
	}
}

// withoutSecret is the path of a request as it may stand in a log.
func withoutSecret(path string) string {
	if strings.Contains(path, "/calendar/") && !strings.HasPrefix(path, "/calendar/meeting/") {
		return "/calendar/..."
	}
	return path
}
