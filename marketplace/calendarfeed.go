package marketplace

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// A CalendarFeed is the address by which a user's calendar programs read their
// meetings. It holds a secret, of which only the hash is kept, and is made
// anew when it may be known to others. There is one for each user.
type CalendarFeed struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	User   ID        `json:"user"`
	Hash   string    `json:"hash,omitempty"` // of the secret; empty: revoked
	MadeAt time.Time `json:"madeAt"`         // when the present address was made
}

// KindCalendarFeed is the kind of CalendarFeed.
var KindCalendarFeed = registerRecord("calendarfeed", func() entity { return new(CalendarFeed) }, Index{Equal: []string{"hash"}})

func feedID(user ID) ID {
	return ID(string(KindCalendarFeed) + "_" + strings.ReplaceAll(string(user), "_", "-"))
}

func (*CalendarFeed) kind() Kind          { return KindCalendarFeed }
func (*CalendarFeed) validate(*problems)  {}
func (f *CalendarFeed) audience() []Group { return []Group{Group(f.User)} }
func (f *CalendarFeed) parties() []ID     { return []ID{f.User} }

// What a feed holds: what began in the last feedPast or is to come, and what
// was cancelled for as long.
const (
	feedPast    = 30 * 24 * time.Hour
	feedRefresh = time.Hour
)

// Feeds are read by services that ask for many users from few addresses, so
// what is limited is each feed; and, for each address, what is no feed.
var (
	limitFeed   = limited{name: "calendar feed", account: throttleLimit{30, 30 * time.Second}}
	limitNoFeed = limited{name: "no calendar feed", address: throttleLimit{30, 10 * time.Second}}
)

// MakeCalendarFeed makes the address of the viewer's calendar, which is
// returned this once; one that they had becomes worthless.
func (m *Market) MakeCalendarFeed(ctx context.Context) (feed *CalendarFeed, address string, err error) {
	user, err := userOf(ctx, MayKeepFeed)
	if err != nil {
		return nil, "", err
	}
	secret, now := newSecret(), m.clock()
	feed, err = updateOrCreate(ctx, m, MayKeepFeed, feedID(user), 0, func() *CalendarFeed { return &CalendarFeed{User: user} }, func(f *CalendarFeed) error {
		f.mark("MAKE", "")
		f.Hash, f.MadeAt = hashed(secret), now
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return feed, m.options.URL + "/calendar/" + secret + ".ics", nil
}

// RevokeCalendarFeed makes the address of the viewer's calendar worthless.
func (m *Market) RevokeCalendarFeed(ctx context.Context) error {
	user, err := userOf(ctx, MayKeepFeed)
	if err != nil {
		return err
	}
	_, err = update(ctx, m, MayKeepFeed, feedID(user), 0, func(f *CalendarFeed) error {
		f.mark("REVOKE", "")
		f.Hash = ""
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return MayKeepFeed.checkFor(ctx, user) // there was none
	}
	return err
}

// CalendarFeed is the viewer's; nil where they have none.
func (m *Market) CalendarFeed(ctx context.Context) (*CalendarFeed, error) {
	user := actorOf(ctx).User
	if user == "" {
		return nil, nil
	}
	f, err := get[*CalendarFeed](ctx, m, feedID(user))
	if errors.Is(err, ErrNotFound) || err == nil && f.Hash == "" {
		return nil, nil
	}
	return f, err
}

// ReadCalendarFeed returns the meetings of whom a secret belongs to as a file,
// with that user's rights and in their language. It is ErrNotFound where the
// secret is nobody's, or no longer, and where its user is suspended.
func (m *Market) ReadCalendarFeed(ctx context.Context, secret string) ([]byte, error) {
	if m.options.Calendar == nil {
		return nil, ErrNotFound
	}
	var f *CalendarFeed
	err := ErrNotFound
	if len(secret) == secretLength {
		f, err = only[*CalendarFeed](ctx, m, KindCalendarFeed, Condition{Field: "hash", Op: Eq, Value: hashed(secret)})
	}
	if errors.Is(err, ErrNotFound) {
		if err := m.limit(ctx, limitNoFeed, ""); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitFeed, string(f.User)); err != nil {
		return nil, err
	}
	sight := withSight(ctx)
	u, err := get[*User](sight, m, f.User)
	if err != nil {
		return nil, err
	}
	actor, err := m.actor(sight, u, f.ID)
	if err != nil {
		return nil, err
	}
	actor.ReadOnly = true
	ctx = WithViewer(ctx, Viewer{Actor: actor, Languages: u.Languages, Address: ViewerOf(ctx).Address})
	list, err := find[*Meeting](ctx, m, KindMeeting, Query{
		Where: []Condition{
			{Field: "status", Op: In, Values: append(values(bookedMeetings), MeetingCancelled)},
			{Field: "concerns", Op: Has, Value: concern(u.ID, "")},
			{Field: "startsAt", Op: Ge, Value: m.clock().Add(-feedPast)},
		},
		Sort: "startsAt", Limit: min(MaxPage, MaxCalendarEvents),
	})
	if err != nil {
		return nil, err
	}
	c := CalendarFile{Method: CalendarPublish, Name: phrasesFor(u.Languages).phrases["calendar.name"], Refresh: feedRefresh}
	for _, x := range list {
		if x.At == nil || x.Status == MeetingCancelled && x.UpdatedAt.Before(m.clock().Add(-feedPast)) {
			continue // no time was agreed, or it is long off
		}
		e, err := m.meetingEvent(ctx, x, u)
		if err != nil {
			return nil, err
		}
		c.Events = append(c.Events, e)
	}
	return m.calendarFile(c)
}

// MeetingCalendar is the file of one meeting, for those who can read it and
// are signed in as users; ErrNotFound for others, and while no time is agreed.
func (m *Market) MeetingCalendar(ctx context.Context, id ID) ([]byte, error) {
	u, err := m.ViewerUser(ctx)
	if err != nil {
		return nil, err
	}
	x, err := get[*Meeting](ctx, m, id)
	if err != nil {
		return nil, err
	}
	if u == nil || x.At == nil || m.options.Calendar == nil {
		return nil, ErrNotFound
	}
	e, err := m.meetingEvent(ctx, x, u)
	if err != nil {
		return nil, err
	}
	return m.calendarFile(CalendarFile{Method: CalendarPublish, Events: []CalendarEvent{e}})
}

// meetingAttachment is the file by which a meeting, whose time was agreed,
// comes into a user's calendar with a letter, or goes out of it again. The
// context is that of the user, who is the only one named in it.
func (m *Market) meetingAttachment(ctx context.Context, x *Meeting, u *User, method CalendarMethod) (Attachment, error) {
	e, err := m.meetingEvent(ctx, x, u)
	if err != nil {
		return Attachment{}, err
	}
	e.Attendees = append(e.Attendees, addressOf(u.Name, u.Email))
	name, kind := "meeting.ics", CalendarRequestType
	if method == CalendarCancel {
		e.Status, name, kind = CalendarCancelled, "cancelled.ics", CalendarCancelType
	}
	b, err := m.calendarFile(CalendarFile{Method: method, Events: []CalendarEvent{e}})
	return Attachment{Name: name, Type: kind, Data: b}, err
}

func (m *Market) calendarFile(c CalendarFile) ([]byte, error) {
	var b bytes.Buffer
	err := m.options.Calendar.WriteCalendar(&b, c)
	return b.Bytes(), err
}

// meetingEvent is a meeting whose time was agreed as an event in the calendar
// of a user: named after the other side, as the user may see it. Addresses of
// people are not in it, since a side does not see those of the other.
func (m *Market) meetingEvent(ctx context.Context, x *Meeting, u *User) (CalendarEvent, error) {
	b := phrasesFor(u.Languages)
	e := CalendarEvent{
		// The id alone, since addresses of servers change.
		UID: string(x.ID) + "@citymarket", Sequence: x.Sequence, Status: CalendarConfirmed, Start: *x.At, Minutes: x.Minutes, Stamp: x.UpdatedAt,
		Organizer: m.options.Organizer,
	}
	if x.Status == MeetingCancelled {
		e.Status = CalendarCancelled
	}
	fill := filling{}
	var err error
	if fill["member"], err = m.nameOf(ctx, x.other(x.ownSide(u)), u.Languages); err != nil {
		return e, err
	}
	e.Summary = b.say("calendar.meeting", fill)
	var text []string
	if x.About != "" {
		title, err := m.nameOf(ctx, x.About, u.Languages)
		if err != nil {
			return e, err
		}
		text = append(text, b.say("calendar.about", filling{"title": title}), "")
	}
	for _, side := range x.parties() {
		name, err := m.nameOf(ctx, side, u.Languages)
		if err != nil {
			return e, err
		}
		zone, err := m.ZoneOf(ctx, x.Side(side))
		if err != nil {
			return e, err
		}
		text = append(text, b.say("calendar.clock", filling{"member": name, "time": moment(*x.At, zone)}))
	}
	if t := x.Message.In(u.Languages); t != nil {
		text = append(text, "", t.Text)
	}
	e.Description = strings.Join(text, "\n")
	switch {
	case x.Format == MeetingOnSite:
		if t := x.Place.In(u.Languages); t != nil {
			e.Location = t.Text
		}
	case x.Link != "":
		e.Location, e.URL = x.Link, x.Link
	default:
		e.Location = b.phrases["calendar.online"]
	}
	if x.Table != "" {
		e.Location = strings.TrimSuffix(oneLine(x.Table)+", "+e.Location, ", ")
	}
	return e, nil
}

// ownSide is the side that a user belongs to: for which they take part, or of
// whose team they are; the one that asked where nothing tells.
func (x *Meeting) ownSide(u *User) ID {
	if slices.Contains(x.ToPeople, u.ID) || !slices.Contains(x.FromPeople, u.ID) && !slices.Contains(u.Members, x.From) && slices.Contains(u.Members, x.To) {
		return x.To
	}
	return x.From
}
