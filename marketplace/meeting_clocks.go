package marketplace

import (
	"context"
	"slices"
	"time"
)

// clocksEvery is how often it is looked whether the rules of time zones have
// changed for meetings that were agreed. New rules come with a restart.
const clocksEvery = 24 * time.Hour

// clocksMoved tells both sides of a meeting where clocks will show another
// time than when it was agreed, since the rules of a zone have changed. The
// moment of the meeting stays. It looks once when the process starts, and
// each day, at all meetings that are to come: a thousand with one operation.
var clocksMoved = chore{name: "clocks of meetings", run: func(ctx context.Context, m *Market) (int, error) {
	now := m.clock()
	if now.Unix() < m.clocksDue.Load() {
		return 0, nil
	}
	q := Query{Where: []Condition{{Field: "status", Op: In, Values: values(agreedMeetings)}, {Field: "startsAt", Op: Ge, Value: now}}, Sort: "startsAt", Limit: MaxPage}
	for n := MaxPage; n == MaxPage; {
		n = 0
		var moved []ID
		err := m.fetchAll(ctx, KindMeeting, q, func(doc entity, position string, _ bool) {
			n, q.After = n+1, position
			if x := doc.(*Meeting); x.clocksMoved() {
				moved = append(moved, x.ID)
			}
		})
		if err != nil {
			return 0, err
		}
		for _, id := range moved {
			if err := m.tellClocks(ctx, id); err != nil {
				return 0, err
			}
		}
	}
	m.clocksDue.Store(now.Add(clocksEvery).Unix())
	return 0, nil
}}

// clocksMoved says whether clocks of a side will show another time than people
// know of.
func (x *Meeting) clocksMoved() bool {
	return slices.ContainsFunc([]*AgreedClock{x.FromClock, x.ToClock}, func(c *AgreedClock) bool { return c != nil && c.untold(*x.At) })
}

// tellClocks leaves the mark that tells people, and notes what they are told.
func (m *Market) tellClocks(ctx context.Context, id ID) error {
	_, err := update(ctx, m, MayKeepMeetings, id, 0, func(x *Meeting) error {
		if !slices.Contains(agreedMeetings, x.Status) || !x.clocksMoved() {
			return errUnchanged
		}
		for _, c := range []*AgreedClock{x.FromClock, x.ToClock} {
			if c != nil {
				c.Told = int(c.Moved(*x.At) / time.Second)
			}
		}
		x.mark("MOVE_CLOCKS", "")
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}
