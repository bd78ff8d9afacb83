// Package icalendar writes calendars as iCalendar files: RFC 5545 with the
// rules of RFC 5546 for what goes to whom.
package icalendar

import (
	"bytes"
	"fmt"
	"io"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"

	"citymarket/marketplace"
)

// Writer writes calendars. The zero Writer is ready.
type Writer struct{}

var _ marketplace.Calendar = Writer{}

// product is what programs are told of who wrote a file.
const product = "-//Citymarket//Citymarket//EN"

// Longest texts, in characters; what is longer is cut.
const (
	maxLine = 300
	maxText = 8000
)

// WriteCalendar writes a file of CRLF lines of at most 75 bytes, in an order
// that depends on nothing but the calendar.
func (Writer) WriteCalendar(w io.Writer, c marketplace.CalendarFile) error {
	if err := check(c); err != nil {
		return fmt.Errorf("icalendar: %w", err)
	}
	cal := &ics.Calendar{}
	cal.SetVersion("2.0")
	cal.SetProductId(product)
	cal.SetCalscale("GREGORIAN")
	cal.SetMethod(ics.Method(c.Method))
	if name := line(c.Name); name != "" {
		cal.SetName(name) // RFC 7986, and what was used before it
		cal.SetXWRCalName(name)
	}
	if c.Refresh > 0 {
		every := "PT" + strconv.Itoa(max(1, int(c.Refresh/time.Minute))) + "M"
		cal.SetRefreshInterval(every)
		cal.SetXPublishedTTL(every)
	}
	for _, e := range c.Events {
		cal.AddVEvent(event(e))
	}
	var b bytes.Buffer
	if err := cal.SerializeTo(&b, ics.WithNewLine("\r\n"), ics.WithLineLength(75)); err != nil {
		return fmt.Errorf("icalendar: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check says what of a calendar cannot be written.
func check(c marketplace.CalendarFile) error {
	switch c.Method {
	case marketplace.CalendarPublish:
		if len(c.Events) > marketplace.MaxCalendarEvents {
			return fmt.Errorf("%d events, at most %d", len(c.Events), marketplace.MaxCalendarEvents)
		}
	case marketplace.CalendarRequest, marketplace.CalendarCancel:
		if len(c.Events) != 1 {
			return fmt.Errorf("%s with %d events", c.Method, len(c.Events))
		}
	default:
		return fmt.Errorf("method %q", c.Method)
	}
	for _, e := range c.Events {
		switch {
		case e.UID == "" || e.UID != line(e.UID):
			return fmt.Errorf("UID %q", e.UID)
		case e.Minutes < 1 || e.Sequence < 0 || e.Start.IsZero() || e.Stamp.IsZero():
			return fmt.Errorf("%s: a time is missing", e.UID)
		case e.Organizer.Address == "":
			return fmt.Errorf("%s: no organizer", e.UID)
		case c.Method == marketplace.CalendarPublish && len(e.Attendees) > 0:
			return fmt.Errorf("%s: what is published has no attendees", e.UID)
		case c.Method != marketplace.CalendarPublish && len(e.Attendees) == 0:
			return fmt.Errorf("%s: no attendees", e.UID)
		case (c.Method == marketplace.CalendarCancel) != (e.Status == marketplace.CalendarCancelled) && c.Method != marketplace.CalendarPublish:
			return fmt.Errorf("%s: %s of what is %s", e.UID, c.Method, e.Status)
		}
	}
	return nil
}

func event(e marketplace.CalendarEvent) *ics.VEvent {
	v := &ics.VEvent{ComponentBase: ics.NewComponent(e.UID)}
	v.SetDtStampTime(e.Stamp)
	v.SetModifiedAt(e.Stamp)
	v.SetSequence(e.Sequence)
	v.SetStatus(ics.ObjectStatus(e.Status))
	v.SetStartAt(e.Start)
	v.SetEndAt(e.Start.Add(time.Duration(e.Minutes) * time.Minute))
	v.SetSummary(line(e.Summary))
	if s := lines(e.Description); s != "" {
		v.SetDescription(s)
	}
	if s := line(e.Location); s != "" {
		v.SetLocation(s)
	}
	if s := address(e.URL); s != "" {
		v.SetURL(s)
	}
	v.SetProperty(ics.ComponentPropertyOrganizer, "mailto:"+address(e.Organizer.Address), named(e.Organizer)...)
	for _, a := range e.Attendees {
		// Whether they come is known: nobody reads the answers of programs.
		v.AddProperty(ics.ComponentPropertyAttendee, "mailto:"+address(a.Address), append(named(a),
			ics.ParticipationRoleReqParticipant, ics.ParticipationStatusAccepted, &ics.KeyValues{Key: "RSVP", Value: []string{"FALSE"}})...)
	}
	show := ics.TransparencyOpaque
	if e.Status == marketplace.CalendarCancelled {
		show = ics.TransparencyTransparent
	}
	v.SetTimeTransparency(show)
	return v
}

// named is the parameter with the name of somebody.
func named(a mail.Address) []ics.PropertyParameter {
	if name := parameter(a.Name); name != "" {
		return []ics.PropertyParameter{ics.WithCN(name)}
	}
	return nil
}

// unquoted takes out of a parameter what has a meaning there. A parameter of
// RFC 5545 knows no escapes, which the library writes all the same.
var unquoted = strings.NewReplacer(`"`, "”", "'", "’", `\`, "/", ",", " ", ";", " ", ":", " ")

func parameter(s string) string { return line(unquoted.Replace(s)) }

// line makes one line of a text.
func line(s string) string {
	spaced := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s)
	return cut(strings.Join(strings.Fields(clean(spaced)), " "), maxLine)
}

// lines makes lines of a text, whatever they ended with.
func lines(s string) string {
	return cut(strings.TrimSpace(clean(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(s))), maxText)
}

// clean leaves out what is no character of a text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// address leaves out of an address whatever could end its line or its value.
func address(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar || r == '"' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return strings.TrimSpace(string(runes[:most-1])) + "…"
	}
	return s
}
