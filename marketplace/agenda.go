package marketplace

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// An AgendaItem is what a participant of an event, or one of its delegates,
// has at a time: a meeting, or a part of the programme.
type AgendaItem struct {
	StartsAt time.Time
	EndsAt   time.Time
	Session  *EventSession // nil: a meeting
	Meeting  *Meeting      // nil: a part of the programme
	side     ID
	zone     string // of the event
	own      string // of the delegate, or the member
}

// Agenda is what a participant has at its event, in the order of time: its
// meetings that take place or have, and the programme that is for everybody
// or in which it takes part. With a person, as Delegate.Person names them,
// only their meetings. It is for the member's people and the secretariat;
// for others it is empty. Two store operations; at most MaxPage meetings.
func (m *Market) Agenda(ctx context.Context, r *Registration, person *string) ([]*AgendaItem, error) {
	list := []*AgendaItem{}
	if !onSide(ctx, r.Member) || r.Status != RegistrationApproved {
		return list, nil
	}
	e, err := get[*Event](ctx, m, r.Event)
	if err != nil {
		return list, ignore(err, ErrNotFound)
	}
	word, own := r.Member, ""
	if person != nil {
		i := r.delegateOf(*person)
		if i < 0 {
			return nil, invalid("delegate", "NOT_FOUND", "is no delegate of this member")
		}
		word, own = ID(personKey(r.Member, &r.Delegates[i])), r.Delegates[i].TimeZone
	}
	if own == "" {
		if own, err = m.ZoneOf(ctx, (&Meeting{}).Side(r.Member)); err != nil {
			return nil, err
		}
	}
	for i := range e.Sessions {
		s := &e.Sessions[i]
		if len(s.Members) == 0 || slices.Contains(s.Members, r.Member) {
			list = append(list, &AgendaItem{StartsAt: s.StartsAt, EndsAt: s.EndsAt, Session: s, side: r.Member, zone: e.TimeZone, own: own})
		}
	}
	meetings, err := find[*Meeting](ctx, m, KindMeeting, withLimit(meetingQuery(concern(word, e.ID), MeetingFilter{Statuses: bookedMeetings}, false), MaxPage))
	if err != nil {
		return nil, err
	}
	for _, x := range meetings {
		if x.isBooked() && slices.Contains(x.parties(), r.Member) {
			list = append(list, &AgendaItem{StartsAt: *x.At, EndsAt: x.end(), Meeting: x, side: r.Member, zone: e.TimeZone, own: own})
		}
	}
	slices.SortStableFunc(list, func(a, b *AgendaItem) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), a.EndsAt.Compare(b.EndsAt))
	})
	return list, nil
}

// Time is when it begins as the event's clocks show it, and OwnTime as those
// of the delegate, or of the member, do.
func (x *AgendaItem) Time() *LocalTime { return localTime(x.StartsAt, x.zone) }

// OwnTime is when it begins by the delegate's clocks.
func (x *AgendaItem) OwnTime() *LocalTime { return localTime(x.StartsAt, x.own) }

// With is the other side of a meeting; ErrNotFound where it is none.
func (m *Market) AgendaWith(ctx context.Context, x *AgendaItem) (Member, error) {
	if x.Meeting == nil {
		return nil, ErrNotFound
	}
	return m.Member(ctx, x.Meeting.other(x.side))
}

// Table is where a meeting takes place; nil where that is no table.
func (x *AgendaItem) Table() *string {
	if x.Meeting == nil {
		return nil
	}
	return maybe(x.Meeting.Table)
}

// Link is where it can be followed online; nil where it cannot.
func (x *AgendaItem) Link() *string {
	if x.Meeting == nil {
		return maybe(x.Session.Link)
	}
	return maybe(x.Meeting.Link)
}

// People are the names of those who sit in a meeting, the own side's first.
func (x *AgendaItem) People() []string {
	if x.Meeting == nil {
		return x.Session.Speakers
	}
	return append(x.Meeting.namesOf(x.side), x.Meeting.namesOf(x.Meeting.other(x.side))...)
}

// namesOf are the names of those who sit in a meeting for a side.
func (x *Meeting) namesOf(side ID) []string {
	names := []string{}
	for _, o := range x.Side(side).People() {
		names = append(names, o.Name)
	}
	return names
}

// AgendaCalendar is the agenda of a participant as a file for calendar
// programs, for the people of the member and the secretariat, signed in as
// users; ErrNotFound for others.
func (m *Market) AgendaCalendar(ctx context.Context, slug string, member ID, person *string) ([]byte, error) {
	u, err := m.ViewerUser(ctx)
	if err != nil {
		return nil, err
	}
	e, err := m.EventBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	r, err := m.RegistrationOf(ctx, e.ID, member)
	if err != nil {
		return nil, err
	}
	if u == nil || m.options.Calendar == nil || !onSide(ctx, r.Member) {
		return nil, ErrNotFound
	}
	if err := m.limit(ctx, limitPrint, string(u.ID)); err != nil {
		return nil, err
	}
	items, err := m.Agenda(ctx, r, person)
	if err != nil {
		return nil, err
	}
	c := CalendarFile{Method: CalendarPublish}
	for _, x := range items[:min(len(items), MaxCalendarEvents)] {
		event := m.sessionEvent(e, x, u)
		if x.Meeting != nil {
			if event, err = m.meetingEvent(ctx, x.Meeting, u); err != nil {
				return nil, err
			}
			name, err := m.nameOf(ctx, x.Meeting.other(r.Member), u.Languages)
			if err != nil {
				return nil, err
			}
			event.Summary = phrasesFor(u.Languages).say("calendar.meeting", filling{"member": name})
		}
		c.Events = append(c.Events, event)
	}
	return m.calendarFile(c)
}

// sessionEvent is a part of the programme in a calendar.
func (m *Market) sessionEvent(e *Event, x *AgendaItem, u *User) CalendarEvent {
	s := x.Session
	if s == nil {
		return CalendarEvent{}
	}
	c := CalendarEvent{UID: string(e.ID) + "-" + hashed(string(s.Start) + original(s.Title))[:16] + "@citymarket", Status: CalendarConfirmed, Start: s.StartsAt,
		Minutes: max(int(s.EndsAt.Sub(s.StartsAt)/time.Minute), 1), Stamp: e.UpdatedAt, Organizer: m.options.Organizer, URL: s.Link, Location: s.Link}
	if t := s.Title.In(u.Languages); t != nil {
		c.Summary = t.Text
	}
	if t := s.Description.In(u.Languages); t != nil {
		c.Description = t.Text
	}
	if t := e.Place.In(u.Languages); t != nil && c.Location == "" {
		c.Location = t.Text
	}
	return c
}

// LostTableOrNil is the table at which a meeting was to take place; nil where
// it was not lost.
func (x *Meeting) LostTableOrNil() *string { return maybe(x.LostTable) }

// DelayOrNil is by how much a side is late; nil where none is any more.
func (x *Meeting) DelayOrNil() *Delay {
	if x.Delay == nil || x.Delay.Minutes == 0 {
		return nil
	}
	return x.Delay
}

// NoShowMembers are the sides that have not come.
func (m *Market) NoShowMembers(ctx context.Context, n *NoShow) ([]Member, error) {
	return several[Member](ctx, m, n.Sides)
}

// VisibleArrivals are who has come, for its own people and the secretariat;
// nil for others.
func (r *Registration) VisibleArrivals(ctx context.Context) []Arrival {
	if !onSide(ctx, r.Member) {
		return nil
	}
	return append([]Arrival{}, r.Arrivals...)
}

// VisibleSubstitutions are who comes no more; see VisibleArrivals.
func (r *Registration) VisibleSubstitutions(ctx context.Context) []Substitution {
	if !onSide(ctx, r.Member) {
		return nil
	}
	return append([]Substitution{}, r.Substitutions...)
}

// TakesBookings says whether meetings can be booked in free slots now.
func (e *Event) TakesBookings() bool { return e.takesBookings() == nil }
