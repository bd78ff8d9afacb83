package marketplace

import "time"

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
