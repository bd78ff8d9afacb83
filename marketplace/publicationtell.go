package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// timetableEvent names the sentence by which people are told of a timetable.
const timetableEvent = "event.TIMETABLE"

// A timetableChange is what a publication changes for one member.
type timetableChange struct{ meetings, fresh, moved, cancelled int }

// note is how the change is kept in a notification: "12 3 1 0".
func (c timetableChange) note() string {
	return fmt.Sprint(c.meetings, c.fresh, c.moved, c.cancelled)
}

// fillTimetable fills in for the sentence what a note says.
func fillTimetable(fill filling, note string) {
	words := strings.Fields(note)
	for i, name := range []string{"count", "new", "moved", "cancelled"} {
		fill[name] = "0"
		if i < len(words) {
			if n, err := strconv.Atoi(words[i]); err == nil {
				fill[name] = strconv.Itoa(n)
			}
		}
	}
}

// tellMembers tells each member whose meetings the publication has changed, by
// one notification for each of its owners, editors and delegates, once.
func (p *publisher) tellMembers(ctx context.Context) error {
	changes := map[ID]*timetableChange{}
	for _, x := range p.have {
		for _, side := range x.parties() {
			c := changes[side]
			if c == nil {
				c = new(timetableChange)
				changes[side] = c
			}
			if slices.Contains(bookedMeetings, x.Status) {
				c.meetings++
			}
			if x.Timetabled.Publication == p.publication.Number {
				*map[string]*int{placedNew: &c.fresh, placedElse: &c.moved, placedNot: &c.cancelled}[x.Timetabled.Change]++
			}
		}
	}
	var members []ID
	for id, c := range changes {
		if c.fresh+c.moved+c.cancelled > 0 {
			members = append(members, id)
		}
	}
	slices.Sort(members)
	for _, id := range members {
		if err := p.tellMember(ctx, id, changes[id].note()); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) tellMember(ctx context.Context, member ID, note string) error {
	n := Notification{Kind: NotifyEvent, Event: timetableEvent, Subject: p.event.ID, Member: member}
	source := string(p.publication.ID) + " for " + string(member)
	if err := p.tellTeam(ctx, n, source, func(*User) string { return note }); err != nil {
		return err
	}
	i, ok := p.people.number[member]
	if !ok {
		return nil
	}
	for _, d := range p.people.Participants[i].Registration.Delegates {
		if d.User == "" {
			continue
		}
		u, err := get[*User](ctx, p.Market, d.User)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		told := n
		told.User, told.Note = u.ID, note
		if err := p.notify(ctx, u, &told, source); err != nil {
			return err
		}
	}
	return nil
}

// tellTimetable puts into a letter the meetings that a member has at an event,
// by the clocks of the reader: with whom, when, at which table.
func (m *Market) tellTimetable(ctx context.Context, u *User, n *Notification, text *letterText) error {
	if !onSide(ctx, n.Member) {
		return nil
	}
	list, err := find[*Meeting](ctx, m, KindMeeting, withLimit(meetingQuery(concern(n.Member, n.Subject), MeetingFilter{Statuses: bookedMeetings}, false), maxSlots))
	if err != nil {
		return err
	}
	for _, x := range list {
		name, err := m.nameOf(ctx, x.other(n.Member), u.Languages)
		if err != nil {
			return err
		}
		line := moment(*x.At, u.TimeZone) + ": " + oneLine(name)
		if x.Table != "" {
			line += " (" + oneLine(x.Table) + ")"
		}
		text.Items = append(text.Items, line)
	}
	return nil
}

func withLimit(q Query, n int) Query {
	q.Limit = n
	return q
}
