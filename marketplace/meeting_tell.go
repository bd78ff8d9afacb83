package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// meetingOf is the meeting that an entry of the audit log is about; nil where
// it is gone.
func meetingOf(ctx context.Context, m *Market, e *AuditEntry) (*Meeting, error) {
	x, err := get[*Meeting](ctx, m, e.Subject)
	return x, ignore(err, ErrNotFound)
}

// sidesOfMeeting picks the sides of a meeting of which an entry is news.
type sidesOfMeeting func(x *Meeting, e *AuditEntry) []ID

// bothSides are the two.
func bothSides(x *Meeting, _ *AuditEntry) []ID { return x.parties() }

// otherSide is the one for which the user who did it could not act; both
// where that could act for both, or for none.
func otherSide(x *Meeting, e *AuditEntry) []ID {
	list := slices.DeleteFunc(x.parties(), func(id ID) bool { return slices.Contains(e.OnBehalf, id) })
	if len(list) == 0 && !x.IsUnheard {
		return x.parties()
	}
	return list
}

// sideOfRequest is the side on whose behalf an officer has asked for a
// meeting, and askedSide the one that was asked.
func sideOfRequest(x *Meeting, e *AuditEntry) []ID {
	if slices.Contains(e.OnBehalf, x.From) {
		return nil
	}
	return []ID{x.From}
}

func askedSide(x *Meeting, _ *AuditEntry) []ID {
	if x.IsUnheard {
		return nil
	}
	return []ID{x.To}
}

// silentSides are those that have not said yet what came of it.
func silentSides(x *Meeting, _ *AuditEntry) []ID {
	return slices.DeleteFunc(x.parties(), func(id ID) bool { return *x.outcomeOf(id) != nil })
}

// concernedSides are all whose calendars a cancellation changes; where no time
// was agreed, the other side.
func concernedSides(x *Meeting, e *AuditEntry) []ID {
	if x.At == nil {
		return otherSide(x, e)
	}
	return x.parties()
}

// meetingPeople are those of some sides of a meeting who take part, as far as
// they still act for their side; of a side that has nobody there, its owners
// and editors. Each is told by the other side.
func meetingPeople(of sidesOfMeeting) func(context.Context, *Market, *AuditEntry) ([]told, error) {
	return func(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
		x, err := meetingOf(ctx, m, e)
		if err != nil || x == nil {
			return nil, err
		}
		var list []told
		for _, side := range of(x, e) {
			var people []told
			users, err := m.teammates(ctx, side, *x.peopleOf(side))
			if err != nil {
				return nil, err
			}
			for _, u := range users {
				if u != nil {
					people = append(people, told{user: u.ID})
				}
			}
			if len(people) == 0 {
				if people, err = m.inTeam(ctx, e, side, TeamRole(RoleOwner), TeamRole(RoleEditor)); err != nil {
					return nil, err
				}
			}
			for i := range people {
				people[i].member = x.other(side)
			}
			list = join(list, people)
		}
		return list, nil
	}
}

// absentSides are those that have not come, as somebody says.
func absentSides(x *Meeting, _ *AuditEntry) []ID {
	if x.NoShow == nil {
		return nil
	}
	return x.NoShow.Sides
}

// delayed are the people of the side that waits for one that runs late, with
// the minutes.
func delayed(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	list, err := meetingPeople(func(x *Meeting, _ *AuditEntry) []ID {
		if x.Delay == nil {
			return nil
		}
		return []ID{x.other(x.Delay.By)}
	})(ctx, m, e)
	for i := range list {
		list[i].note, _, _ = strings.Cut(e.Note, " ")
	}
	return list, err
}

// saidOnce are the people of the other side, told once of the first word of
// this one on what came of a meeting, however often it is corrected.
func saidOnce(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	list, err := meetingPeople(otherSide)(ctx, m, e)
	for i := range list {
		list[i].once = "outcome of " + string(e.Subject) + " by " + string(list[i].member)
	}
	return list, err
}

// substituted are those who no longer take part in a meeting.
func substituted(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	x, err := meetingOf(ctx, m, e)
	if err != nil || x == nil {
		return nil, err
	}
	var list []told
	for _, id := range e.readers() {
		if id.Kind() == KindUser && !slices.Contains(x.people(), id) {
			t := told{user: id, member: x.To}
			if slices.Contains(e.OnBehalf, x.To) && !slices.Contains(e.OnBehalf, x.From) {
				t.member = x.From
			}
			list = append(list, t)
		}
	}
	return list, nil
}

// tellMeeting puts into a letter what its reader has to know of a meeting:
// when, in the reader's own time zone, how and where; and the link by which
// they say what came of it. With it comes what changes in their calendar.
func (m *Market) tellMeeting(ctx context.Context, b *phrasebook, u *User, n *Notification, text *letterText) ([]Attachment, error) {
	reading := ctx
	if n.Event == "meeting.LEAVE" {
		reading = withSight(ctx) // who no longer sees it must get it out of the calendar
	}
	x, err := get[*Meeting](reading, m, n.Subject)
	if err != nil {
		return nil, ignore(err, ErrNotFound)
	}
	switch n.Event {
	case "meeting.LEAVE":
	case "meeting.REQUEST", "meeting.REQUEST_FOR_YOU", "meeting.COUNTER", "meeting.RESCHEDULE":
		for _, t := range x.Times {
			text.Items = append(text.Items, moment(t, u.TimeZone))
		}
	case "meeting.ASK":
		if link := m.outcomeLink(u.ID, x.ID); link != "" {
			text.Link, text.LinkText = link, b.phrases["outcome.button"]
		}
		return nil, nil
	default:
		if x.At != nil {
			text.Items = append(text.Items, moment(*x.At, u.TimeZone))
		}
	}
	if n.Event != "meeting.LEAVE" {
		tellPlace(b, u, n, x, text)
	}
	method, changes := calendarMethods[n.Event]
	if !changes || x.At == nil || m.options.Calendar == nil {
		return nil, nil
	}
	// A letter may come late: what holds now goes into the calendar.
	if method == CalendarRequest && !(x.isBooked() && slices.Contains(x.people(), u.ID)) || method == CalendarCancel && x.isBooked() && slices.Contains(x.people(), u.ID) {
		return nil, nil
	}
	file, err := m.meetingAttachment(ctx, x, u, method)
	return []Attachment{file}, err
}

// tellPlace puts into a letter how and where, who, and what was said.
func tellPlace(b *phrasebook, u *User, n *Notification, x *Meeting, text *letterText) {
	where := x.Link
	if x.Format == MeetingOnSite {
		where = ""
		if t := x.Place.In(u.Languages); t != nil {
			where = oneLine(t.Text)
		}
	}
	if x.Table != "" {
		where = strings.TrimSuffix(oneLine(x.Table)+", "+where, ", ")
	}
	if where != "" {
		text.Items = append(text.Items, b.say("meeting.where", filling{"note": where}))
	}
	var names []string
	for _, s := range []*MeetingSide{x.FromSide(), x.ToSide()} {
		for _, name := range x.namesOf(s.ID) {
			names = append(names, oneLine(name))
		}
	}
	if len(names) > 0 {
		text.Items = append(text.Items, b.say("meeting.people", filling{"note": strings.Join(names, ", ")}))
	}
	if t := x.Message.In(u.Languages); t != nil && n.Event == "meeting.REQUEST" {
		text.After = append(text.After, t.Text)
	}
	if x.Reason != nil && slices.Contains([]string{"meeting.COUNTER", "meeting.DECLINE", "meeting.KEEP", "meeting.RESCHEDULE", "meeting.CANCEL", "meeting.CALL_OFF"}, n.Event) {
		text.After = append(text.After, *x.Reason)
	}
}

// calendarMethods are the events that change what is in calendars.
var calendarMethods = map[string]CalendarMethod{
	"meeting.ACCEPT": CalendarRequest, "meeting.SET_PEOPLE": CalendarRequest, "meeting.SET_PLACE": CalendarRequest,
	"meeting.BOOK": CalendarRequest, "meeting.SHIFT": CalendarRequest, "meeting.SWAP": CalendarRequest, "meeting.SEAT": CalendarRequest, "meeting.STRAND": CalendarRequest,
	"meeting.CANCEL": CalendarCancel, "meeting.LEAVE": CalendarCancel, "meeting.CALL_OFF": CalendarCancel, "meeting.PULL_OUT": CalendarCancel,
}

// meetingTime fills in for a sentence when a meeting takes place, or could, by
// the clocks of the user whom it is told.
func (m *Market) meetingTime(ctx context.Context, x *Meeting, user ID) (string, error) {
	zone, err := m.zoneOf(ctx, user)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return moment(x.StartsAt, zone), err
}
