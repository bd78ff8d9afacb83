package marketplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A LostTable is a table of an event that cannot be used any more from a
// moment on.
type LostTable struct {
	Table string    `json:"table"`
	From  time.Time `json:"from"`
}

// inTrouble is the word by which those meetings of an event are listed that the
// secretariat has to look after; see concern.
const inTrouble ID = "trouble"

// IsTroubled says that somebody has to look after a meeting: its slot or its
// table was lost, or a delegate comes no more, and nothing else was free.
func (x *Meeting) IsTroubled() bool {
	return x.Event != "" && slices.Contains(agreedMeetings, x.Status) && (x.IsOffSlot || x.LostTable != "" || len(x.Vacant) > 0)
}

// isLost says whether a table cannot be used at a moment, or is there no more.
func (e *Event) isLost(table string, at time.Time) bool {
	return !slices.ContainsFunc(e.Tables, func(t EventTable) bool { return t.Name == table }) || slices.ContainsFunc(e.LostTables, func(t LostTable) bool { return t.Table == table && !at.Before(t.From) })
}

// LoseTableInput is what LoseTable takes.
type LoseTableInput struct {
	Event   ID
	Version *int
	Table   string
	From    *time.Time // the beginning of the first slot in which it cannot be used; nil: now
}

// LoseTable says that a table of an event cannot be used any more. The worker
// moves its later meetings to tables of the same slot that are free. Those for
// which there is none take place without one, until the secretariat finds one;
// Market.TroubledMeetings lists them. Everybody concerned is told.
func (m *Market) LoseTable(ctx context.Context, in LoseTableInput) (*Event, error) {
	return update(ctx, m, MayArrangeEvent, in.Event, versionOf(in.Version), func(e *Event) error {
		if !slices.ContainsFunc(e.Tables, func(t EventTable) bool { return t.Name == in.Table }) {
			return invalid("table", string(ConflictNoTable), "the event has no table of that name")
		}
		from := m.clock()
		if in.From != nil {
			from = in.From.UTC().Truncate(time.Second)
		}
		e.LostTables = slices.DeleteFunc(slices.Clone(e.LostTables), func(t LostTable) bool { return t.Table == in.Table })
		e.LostTables = append(e.LostTables, LostTable{in.Table, from})
		e.mark("LOSE_TABLE", fmt.Sprintf("%s from %s", in.Table, from.Format(time.RFC3339)))
		return nil
	})
}

// RestoreTableInput is what RestoreTable takes.
type RestoreTableInput struct {
	Event   ID
	Version *int
	Table   string
}

// RestoreTable says that a lost table can be used again. The worker brings
// meetings there that are without one.
func (m *Market) RestoreTable(ctx context.Context, in RestoreTableInput) (*Event, error) {
	return update(ctx, m, MayArrangeEvent, in.Event, versionOf(in.Version), func(e *Event) error {
		n := len(e.LostTables)
		e.LostTables = slices.DeleteFunc(slices.Clone(e.LostTables), func(t LostTable) bool { return t.Table == in.Table })
		if len(e.LostTables) == n {
			return invalid("table", "NOT_FOUND", "is not lost")
		}
		e.mark("RESTORE_TABLE", in.Table)
		return nil
	})
}

// ReplaceDelegateInput is what ReplaceDelegate takes.
type ReplaceDelegateInput struct {
	ID      ID // of the registration
	Version *int
	Out     string // who comes no more, as Delegate.Person names them
	In      string // who takes over their meetings; a delegate as well
}

// ReplaceDelegate says that a delegate comes no more. The worker puts the
// other one into each of their later meetings, or somebody else who is free
// where that one is not.
func (m *Market) ReplaceDelegate(ctx context.Context, in ReplaceDelegateInput) (*Registration, error) {
	return update(ctx, m, MayReplaceDelegate, in.ID, versionOf(in.Version), func(r *Registration) error {
		e, err := m.eventOf(ctx, r.Event)
		if err != nil {
			return err
		}
		out, to := r.delegateOf(in.Out), r.delegateOf(in.In)
		var p problems
		if r.Status != RegistrationApproved || e.takesBookings() != nil {
			p.addf("id", "INVALID", "must be that of a participant of an event that is one of %v", bookedPhases)
		}
		if out < 0 {
			p.add("out", "NOT_FOUND", "is no delegate of this member")
		}
		if to < 0 || to == out {
			p.add("in", "NOT_FOUND", "is no other delegate of this member: add them first")
		}
		if err := p.err(); err != nil {
			return err
		}
		o, i := r.Delegates[out].Person(), r.Delegates[to].Person()
		r.Substitutions = slices.DeleteFunc(slices.Clone(r.Substitutions), func(s Substitution) bool {
			return s.Out == o || s.Out == i || r.delegateOf(s.Out) < 0 // who takes over is there again
		})
		r.Substitutions = append(r.Substitutions, Substitution{Out: o, In: i, At: m.clock()})
		r.mark("REPLACE", fmt.Sprintf("%s by %s", oneLine(r.Delegates[out].Name), oneLine(r.Delegates[to].Name)))
		return nil
	})
}

// TroubledMeetings lists the meetings of an event that somebody has to look
// after, earliest first, for the secretariat; for others the list is empty.
func (m *Market) TroubledMeetings(ctx context.Context, event ID, s Slice) (*Page[*Meeting], error) {
	if !onSide(ctx) {
		return emptyPage[*Meeting](s)
	}
	return page[*Meeting](ctx, m, KindMeeting, meetingQuery(concern(inTrouble, event), MeetingFilter{Statuses: agreedMeetings}, false), s)
}

// rearranging does what must follow for meetings when a table or a slot is lost
// or found again, an event is closed, a delegate is replaced, or a participant
// leaves: one meeting at a time, and only what is not yet as it should be.
var rearranging = follower{name: "arrangements", kinds: []Kind{KindEvent, KindRegistration, KindMeeting}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	switch doc := doc.(type) {
	case *Event:
		return m.rearrangeEvent(ctx, doc.ID)
	case *Registration:
		return m.rearrangeParticipant(ctx, doc.ID)
	case *Meeting:
		// It may have been put where something was lost a moment before.
		if doc.Event == "" || !slices.Contains(agreedMeetings, doc.Status) || doc.IsTroubled() {
			return nil
		}
		return m.rearrange(ctx, doc.ID)
	}
	return nil
})}

// rearrangeEvent looks after the meetings of an event that are to come: those
// that lost their slot or table, or are without one; all of them where it is
// closed. One store operation for each 1,000 of them.
func (m *Market) rearrangeEvent(ctx context.Context, id ID) error {
	e, err := m.eventOf(ctx, id)
	if err != nil {
		return gone(err)
	}
	var ids []ID
	q := withLimit(meetingQuery(concern(e.ID, ""), MeetingFilter{Statuses: agreedMeetings, From: new(m.clock())}, false), MaxPage)
	err = m.each(ctx, KindMeeting, q, func(doc entity) {
		if x := doc.(*Meeting); e.Phase == EventClosed || e.takesBookings() == nil && (x.IsTroubled() || e.disorder(x, nil) != nil) {
			ids = append(ids, x.ID)
		}
	})
	if err != nil {
		return err
	}
	return m.rearrangeAll(ctx, ids)
}

// rearrangeParticipant looks after the meetings of a participant that has
// left, or some of whose delegates have.
func (m *Market) rearrangeParticipant(ctx context.Context, id ID) error {
	r, err := get[*Registration](ctx, m, id)
	if err != nil {
		return ignore(err, ErrNotFound)
	}
	list, err := m.meetingsAt(ctx, r.Event, r.Member, agreedMeetings)
	if err != nil {
		return err
	}
	var ids []ID
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return m.rearrangeAll(ctx, ids)
}

func (m *Market) rearrangeAll(ctx context.Context, ids []ID) error {
	for _, id := range ids {
		if err := m.rearrange(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// gone makes no error of an event that is not there any more.
func gone(err error) error {
	if problemsOf(err) != nil {
		return nil
	}
	return err
}

// rearrange brings one meeting into order, as far as something else is free.
// Where its event is closed, or a side has left, it is called off.
func (m *Market) rearrange(ctx context.Context, id ID) error {
	x, err := get[*Meeting](Afresh(ctx), m, id)
	if err != nil || !x.canUnplace(m.clock()) {
		return ignore(err, ErrNotFound)
	}
	e, err := m.eventOf(ctx, x.Event)
	if err != nil {
		return gone(err)
	}
	if e.Phase == EventClosed {
		return m.endMeeting(ctx, e, x.ID, "live.closed", "CALL_OFF")
	}
	docs, err := m.load(withSight(ctx), []ID{registrationID(e.ID, x.From), registrationID(e.ID, x.To)})
	if err != nil {
		return err
	}
	sides := make([]*Registration, len(docs))
	for i, doc := range docs {
		r, ok := doc.(*Registration)
		if !ok || r.Status != RegistrationApproved {
			return m.endMeeting(ctx, e, x.ID, "live.left", "PULL_OUT")
		}
		sides[i] = r
	}
	if x.isLifted() || e.takesBookings() != nil || e.disorder(x, sides) == nil && !x.IsOffSlot {
		return nil
	}
	f, err := m.floorOf(ctx, e, sides[0], sides[1], x.ID)
	if err != nil {
		return err
	}
	slot := e.SlotAt(*x.At)
	_, err = m.arrange(ctx, f, func() (*Meeting, error) {
		return update(ctx, m, MayKeepMeetings, id, 0, func(x *Meeting) error {
			if !x.canUnplace(m.clock()) || x.isLifted() || e.SlotAt(*x.At) != slot {
				return errUnchanged
			}
			wrong := e.disorder(x, sides)
			if wrong == nil {
				wrong = &disorder{}
			}
			return m.mend(ctx, f, x, slot, *wrong)
		})
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// endMeeting calls off a meeting that cannot take place, for a reason that is
// said in the event's language. A timetable that is published after that, as
// when the event is opened again, can have it again.
func (m *Market) endMeeting(ctx context.Context, e *Event, id ID, reason, action string) error {
	_, err := update(ctx, m, MayKeepMeetings, id, 0, func(x *Meeting) error {
		if !x.canUnplace(m.clock()) {
			return errUnchanged
		}
		if x.Timetabled != nil {
			t := *x.Timetabled
			t.Change, t.IsLifted = placedNot, false
			x.Timetabled = &t
		}
		x.callOff(phrasesFor(e.Languages).phrases[reason], action)
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// A disorder is what is not as it should be with a meeting.
type disorder struct {
	slot  bool // it is at none, or at one that a session blocks
	table bool // it is at a lost one, or at none since that was lost
	sides []ID // whose delegates come no more
}

// disorder says what is not as it should be, of the delegates of those sides
// that are given; nil where everything is.
func (e *Event) disorder(x *Meeting, sides []*Registration) *disorder {
	slot := e.SlotAt(*x.At)
	if slot < 0 || e.Slots[slot].IsBlocked {
		return &disorder{slot: true} // whoever finds it another slot finds it a table, and people
	}
	d := disorder{table: x.LostTable != "" || x.Table != "" && e.isLost(x.Table, *x.At)}
	for _, r := range sides {
		for _, key := range x.keysOf(r.Member) {
			i := r.byKey(key)
			if i >= 0 {
				if r.isGone(&r.Delegates[i]) {
					i = -1
				} else if since := r.awaySince(r.Delegates[i].Person()); since != nil && !x.At.Before(*since) {
					i = -1
				}
			}
			if i < 0 && !slices.Contains(d.sides, r.Member) {
				d.sides = append(d.sides, r.Member)
			}
		}
	}
	if !d.table && len(d.sides) == 0 {
		return nil
	}
	return &d
}

// mend puts a meeting in order with what is free. Where that is not enough it
// says so in the meeting, once.
func (m *Market) mend(ctx context.Context, f *floor, x *Meeting, slot int, wrong disorder) error {
	lost, before := x.LostTable, x.people()
	action := ""
	found := x.IsOffSlot && !wrong.slot // a session does not block it any more
	if wrong.slot && !x.IsOffSlot {
		action = "STRAND"
	}
	x.IsOffSlot = wrong.slot
	for _, side := range wrong.sides {
		s := f.sideOf(side)
		b := booking{slot: slot, named: map[ID][]string{}, path: "slot"}
		if who := s.stead(x.keysOf(side), f.candidates(s, slot)); who != "" {
			b.named[side] = []string{who}
		}
		other := f.sides[0]
		if other == s {
			other = f.sides[1]
		}
		was := slices.Clone(x.Vacant)
		switch err := f.seatSide(x, s, other, b); {
		case errors.Is(err, errNobody):
			if !slices.Contains(was, side) {
				x.Vacant, action = append(was, side), "STRAND"
			}
		case err != nil:
			return err
		default:
			action = cmp.Or(action, "SWAP")
		}
	}
	if wrong.table {
		tables, err := m.freeTables(ctx, f, slot)
		if err != nil {
			return err
		}
		switch {
		case len(f.event.Tables) == 0: // it has none any more
			was := x.Table
			x.Table, x.LostTable, action = "", "", cmp.Or(action, "SEAT")
			x.takePlace(f.event, *x.At, was)
		case len(tables) > 0:
			was := x.Table
			x.Table, x.LostTable, action = spread(tables, x.ID), "", cmp.Or(action, "SEAT")
			x.takePlace(f.event, *x.At, was)
		case lost == "":
			x.LostTable, x.Table, action = x.Table, "", "STRAND"
		}
	}
	if action == "" && found {
		x.mark(unmarked, "")
		x.plan()
		return nil
	}
	if action == "" {
		return errUnchanged
	}
	var left []ID
	for _, id := range before {
		if !slices.Contains(x.people(), id) {
			left = append(left, id)
		}
	}
	x.Sequence++
	x.mark(action, cmp.Or(x.LostTable, x.Table), left...)
	x.plan()
	return nil
}

// stead is who is to take over from those of a side who come no more; empty
// where that one is not free, or nobody was named.
func (s *floorSide) stead(keys []string, can []int) string {
	for _, key := range keys {
		for _, t := range s.Substitutions {
			if i := s.delegateOf(t.Out); i < 0 || personKey(s.Member, &s.Delegates[i]) != key {
				continue
			}
			if in := s.delegateOf(t.In); slices.Contains(can, in) {
				return t.In
			}
		}
	}
	return ""
}
