package marketplace

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// wishReminders are how long before the deadline for wishes those are reminded
// who have said nothing.
var wishReminders = []time.Duration{3 * 24 * time.Hour, 24 * time.Hour}

// due is when the program has something to do for an event next; nil where
// nothing is known to come.
func (e *Event) due(now time.Time) *time.Time {
	var due *time.Time
	for _, at := range []*time.Time{e.nextReminder(now), e.nextMove().at} {
		if at != nil && (due == nil || at.Before(*due)) {
			due = at
		}
	}
	return due
}

// nextReminder is when those who have said nothing are to be reminded of the
// deadline for wishes: of reminders that have all become due the last.
func (e *Event) nextReminder(now time.Time) *time.Time {
	until := e.date(EventWishes).UntilAt
	if e.Phase != EventWishes || until == nil || !now.Before(*until) {
		return nil
	}
	var next *time.Time
	for _, before := range wishReminders {
		at := until.Add(-before)
		if (e.RemindedAt == nil || at.After(*e.RemindedAt)) && (next == nil || !at.After(now)) {
			next = &at
		}
	}
	return next
}

// A dueMove is a step in the life of an event that the program takes at a
// moment; nil where it takes none.
type dueMove struct {
	name EventMove
	at   *time.Time
}

// nextMove is the step that the program takes next: none where the secretariat
// moves the event itself. A timetable is never published by the program.
func (e *Event) nextMove() dueMove {
	first := func(times ...*time.Time) *time.Time {
		for _, t := range times {
			if t != nil {
				return t
			}
		}
		return nil
	}
	if !e.MovesOnTime {
		return dueMove{}
	}
	switch e.Phase {
	case EventDraft:
		return dueMove{EventOpenRegistration, e.date(EventRegistration).FromAt}
	case EventRegistration:
		return dueMove{EventOpenWishes, e.date(EventWishes).FromAt}
	case EventWishes:
		return dueMove{EventStartDrafting, first(e.date(EventDrafting).FromAt, e.date(EventWishes).UntilAt)}
	case EventPublished:
		return dueMove{EventStart, first(e.date(EventLive).FromAt, &e.StartsAt)}
	case EventLive:
		return dueMove{EventClose, first(e.date(EventClosed).FromAt, &e.EndsAt)}
	}
	return dueMove{}
}

// keeping does what events have to do on their dates: it reminds those who
// have said nothing of the deadline for wishes, and moves events that are to
// move on time.
var keeping = chore{name: "events", run: func(ctx context.Context, m *Market) (int, error) {
	now := m.clock()
	due, err := find[*Event](ctx, m, KindEvent, Query{Where: []Condition{{Field: "dueAt", Op: Lt, Value: now.Add(time.Second)}}, Sort: "dueAt", Limit: 20})
	for _, e := range due {
		if err == nil {
			err = m.attendTo(ctx, e, now)
		}
	}
	return len(due), err
}}

// attendTo does what is due for one event. Who was reminded before the server
// stopped is not reminded again, since a notification is made once.
func (m *Market) attendTo(ctx context.Context, e *Event, now time.Time) error {
	if at := e.nextReminder(now); at != nil && !at.After(now) {
		if err := m.remindOfWishes(ctx, e, *at); err != nil {
			return err
		}
	}
	_, err := update(ctx, m, MayKeepEvents, e.ID, 0, func(e *Event) error {
		e.mark(unmarked, "")
		if at := e.nextReminder(now); at != nil && !at.After(now) {
			e.RemindedAt = &now
		}
		if next := e.nextMove(); next.at != nil && !next.at.After(now) {
			step, err := eventMoves.named(next.name)
			if err != nil {
				return err
			}
			if err := m.moveEvent(e, step, ""); problemsOf(err) != nil {
				e.MovesOnTime = false // its dates do not allow it: the secretariat has to look
				e.mark("STOP_MOVING", err.Error())
			} else if err != nil {
				return err
			}
		}
		e.DueAt = e.due(now)
		return nil
	})
	return ignore(err, ErrNotFound)
}

// remindOfWishes reminds the people of those participants of an event that
// have said nothing yet, once by the reminder of this time.
func (m *Market) remindOfWishes(ctx context.Context, e *Event, at time.Time) error {
	all, err := find[*Registration](ctx, m, KindRegistration, registrationsIn(e.ID, maxParticipants, RegistrationApproved))
	if err != nil {
		return err
	}
	said := map[ID]bool{}
	err = m.each(ctx, KindWishList, Query{Where: []Condition{{Field: "event", Op: Eq, Value: e.ID}}, Sort: "createdAt", Limit: 100}, func(doc entity) {
		w := doc.(*WishList)
		said[w.Registration] = len(w.Wishes) > 0
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		if said[r.ID] {
			continue
		}
		n := Notification{Kind: NotifyEvent, Event: "registration.REMIND", Subject: r.ID, Member: r.Member}
		if err := m.tellTeam(ctx, n, fmt.Sprintf("wishes of %s by %d", r.ID, at.Unix()), func(u *User) string {
			zone := u.TimeZone
			if zone == "" {
				zone = e.TimeZone
			}
			return moment(*e.date(EventWishes).UntilAt, zone)
		}); err != nil {
			return err
		}
	}
	return nil
}

// tellTeam tells the owners and editors of the member that a notification is
// about, once for a source; note is the word for each of them.
func (m *Market) tellTeam(ctx context.Context, n Notification, source string, note func(*User) string) error {
	t, err := m.team(ctx, n.Member)
	if err != nil {
		return err
	}
	readsOf(ctx).expect(t.refs())
	for _, p := range t.People {
		if p.Role == TeamRole(RoleViewer) {
			continue
		}
		u, err := get[*User](ctx, m, p.User)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		told := n
		told.User, told.Note = u.ID, note(u)
		if err := m.notify(ctx, u, &told, source); err != nil {
			return err
		}
	}
	return nil
}

// registrants are the owners and editors of the member whose registration an
// entry is about.
func registrants(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	return m.inTeam(ctx, e, memberOf(e), TeamRole(RoleOwner), TeamRole(RoleEditor))
}

// participants are the owners and editors of the participants of the event
// that an entry is about, of each maxDelegates at the most.
func participants(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	all, err := find[*Registration](ctx, m, KindRegistration, registrationsIn(e.Subject, maxParticipants, RegistrationApproved))
	if err != nil {
		return nil, err
	}
	teams := make([]ID, len(all))
	for i, r := range all {
		teams[i] = teamID(r.Member)
	}
	readsOf(ctx).expect(teams)
	var list []told
	for _, r := range all {
		people, err := m.inTeam(ctx, e, r.Member, TeamRole(RoleOwner), TeamRole(RoleEditor))
		if err != nil {
			return nil, err
		}
		list = append(list, people[:min(len(people), maxDelegates)]...)
	}
	return list, nil
}
