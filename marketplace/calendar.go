package marketplace

import (
	"io"
	"net/mail"
	"time"
)

// A Calendar writes calendars as files that calendar programs read (RFC 5545).
// It is safe for concurrent use.
type Calendar interface {
	// WriteCalendar writes one file. What people typed is written such that it
	// stays the text of its field, whatever characters it has; text that is
	// too long is cut. An error is that of the writer, or says which part of
	// the calendar cannot be written; nothing is written then.
	WriteCalendar(w io.Writer, c CalendarFile) error
}

// Types of files that a Calendar writes, for HTTP and for attachments.
const (
	CalendarType        = "text/calendar; charset=utf-8"
	CalendarRequestType = CalendarType + "; method=REQUEST"
	CalendarCancelType  = CalendarType + "; method=CANCEL"
)

// A CalendarMethod says what a file of events is for (RFC 5546).
type CalendarMethod string

// The methods of calendars.
const (
	// CalendarPublish is for whoever reads the file: no event has attendees.
	CalendarPublish CalendarMethod = "PUBLISH"
	// CalendarRequest invites the attendees of its one event, or tells them of
	// what has changed, when the sequence is higher.
	CalendarRequest CalendarMethod = "REQUEST"
	// CalendarCancel takes its one event out of the attendees' calendars.
	CalendarCancel CalendarMethod = "CANCEL"
)

// A CalendarFile is a file of events. All but PUBLISH have exactly one.
type CalendarFile struct {
	Method CalendarMethod
	Name   string // of the calendar, where it is one to subscribe to
	// Refresh is how often a program that has subscribed should ask again; 0:
	// not said.
	Refresh time.Duration
	Events  []CalendarEvent
}

// A CalendarStatus is what became of an event.
type CalendarStatus string

// The states of events.
const (
	CalendarTentative CalendarStatus = "TENTATIVE"
	CalendarConfirmed CalendarStatus = "CONFIRMED"
	CalendarCancelled CalendarStatus = "CANCELLED"
)

// MaxCalendarEvents bounds the events of one file.
const MaxCalendarEvents = 1000

// A CalendarEvent is one event of a calendar. It is written as instants of
// UTC, which every program shows in the zone of its reader, without a
// description of time zones: such a description would freeze rules that may
// have changed until the event, while the moment that was agreed stays.
type CalendarEvent struct {
	// UID is the same for one event however often it is written, and for no
	// other one in the world: "meeting_...@market.example.org".
	UID string
	// Sequence grows with each change that concerns when or whether the event
	// takes place. Programs pass over what is older than what they have.
	Sequence    int
	Status      CalendarStatus
	Start       time.Time
	Minutes     int // above 0
	Summary     string
	Description string // may have several lines
	Location    string // may be empty
	URL         string // may be empty
	// Organizer is who programs take for the one who invites. Required.
	Organizer mail.Address
	Attendees []mail.Address // of REQUEST and CANCEL: at least one
	// Stamp is when the event was last changed, not when the file is written,
	// so that the same event is written as the same bytes.
	Stamp time.Time
}
