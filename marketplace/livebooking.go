package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// bookedPhases are those in which meetings are booked at an event besides what
// its timetable says.
var bookedPhases = []EventPhase{EventPublished, EventLive}

// Limits of bookings, for each user: a lively hour of an event.
var (
	limitBooking   = limited{name: "booking", account: throttleLimit{40, time.Minute}}
	limitFreeSlots = limited{name: "free slots", account: throttleLimit{120, time.Second}}
)

// maxFreeSlots bounds a list of free slots, since each costs a store operation.
const maxFreeSlots = 50

// limitUser counts a try of the viewer; the program itself is not limited.
func (m *Market) limitUser(ctx context.Context, what limited) error {
	if user := actorOf(ctx).User; user != "" {
		return m.limit(ctx, what, string(user))
	}
	return nil
}

// pairAt is an event with the registrations of two participants.
func (m *Market) pairAt(ctx context.Context, event, from, to ID) (*Event, *Registration, *Registration, error) {
	e, err := m.Event(ctx, event)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, nil, invalid("event", "NOT_FOUND", "there is no such event")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	a, b, err := m.sidesAt(ctx, e, from, to)
	return e, a, b, err
}

// sidesAt are the registrations of two participants of an event, whoever asks.
func (m *Market) sidesAt(ctx context.Context, e *Event, from, to ID) (a, b *Registration, err error) {
	var p problems
	ids := []ID{registrationID(e.ID, from), registrationID(e.ID, to)}
	docs, err := m.load(withSight(ctx), ids)
	if err != nil {
		return nil, nil, err
	}
	var list [2]*Registration
	for i, doc := range docs {
		r, ok := doc.(*Registration)
		if !ok || r.Status != RegistrationApproved {
			p.add([]string{"from", "to"}[i], string(ConflictNoParticipant), "is no participant of this event")
		}
		list[i] = r
	}
	if from == to {
		p.add("to", "INVALID", "must be another member than the one that asks")
	}
	return list[0], list[1], p.err()
}

// takesBookings says what stands against booking meetings at an event.
func (e *Event) takesBookings() error {
	if !slices.Contains(bookedPhases, e.Phase) {
		return invalid("event", "INVALID", fmt.Sprintf("takes bookings while it is one of %v, and is %s", bookedPhases, e.Phase))
	}
	return nil
}

// publishingTime is for how long bookings wait while the meetings of a
// timetable are being made; however late those are made, nobody is booked twice.
const publishingTime = time.Minute

// takesBookings says what stands against booking meetings at an event now: its
// phase, or that what has just been published comes first.
func (m *Market) takesBookings(ctx context.Context, e *Event) error {
	if err := e.takesBookings(); err != nil {
		return err
	}
	n, err := m.count(ctx, KindPublication, Query{Where: []Condition{{Field: "event", Op: Eq, Value: e.ID}, {Field: "status", Op: Eq, Value: PublicationUnderWay},
		{Field: "createdAt", Op: Ge, Value: m.clock().Add(-publishingTime)}}, Sort: "createdAt", Limit: 1})
	if err == nil && n > 0 {
		err = invalid("event", "INVALID", "publishes a timetable at this moment: try again when that is done")
	}
	return err
}

// A FreeSlot is a slot in which two participants of an event can meet.
type FreeSlot struct {
	EventSlot
	Tables []string // that are free; empty where the event has none
}

// FreeSlotsInput is what CommonSlots takes.
type FreeSlotsInput struct {
	Event, Member, With ID
	After               *time.Time // slots that begin later; nil: from now on
	First               *int       // at most maxFreeSlots; nil: 20
}

// CommonSlots are slots in which two participants of an event both have
// somebody free, and there is a table, earliest first: for the people of the
// first, and the secretariat. It does not depend on whom either never wants to
// meet. Two store operations, one for each delegate, and one for each 1,000
// meetings in the time that is looked at.
func (m *Market) CommonSlots(ctx context.Context, in FreeSlotsInput) ([]*FreeSlot, error) {
	n := DefaultPageSize
	if in.First != nil {
		n = *in.First
	}
	if n < 0 || n > maxFreeSlots {
		return nil, invalid("first", "OUT_OF_RANGE", fmt.Sprintf("must be 0 to %d", maxFreeSlots))
	}
	list := []*FreeSlot{}
	if !onSide(ctx, in.Member) {
		return list, nil
	}
	if err := m.limitUser(ctx, limitFreeSlots); err != nil {
		return nil, err
	}
	e, a, b, err := m.pairAt(ctx, in.Event, in.Member, in.With)
	if err != nil {
		return nil, err
	}
	if e.takesBookings() != nil {
		return list, nil
	}
	f, err := m.floorOf(ctx, e, a, b, "")
	if err != nil {
		return nil, err
	}
	now := m.clock()
	var open []int
	for k, slot := range e.Slots {
		if e.isOpen(k, now) && (in.After == nil || slot.StartsAt.After(*in.After)) && f.isFree(f.sides[0], k) && f.isFree(f.sides[1], k) {
			open = append(open, k)
		}
	}
	for some := range slices.Chunk(open, max(n, DefaultPageSize)) {
		if err := m.survey(ctx, f, slices.Clone(some)...); err != nil {
			return nil, err
		}
		for _, k := range some {
			tables, err := m.freeTables(ctx, f, k)
			if err != nil {
				return nil, err
			}
			if _, speaks := f.interpreter(k); speaks && len(list) < n && (len(tables) > 0 || len(e.Tables) == 0) {
				list = append(list, &FreeSlot{e.Slots[k], append([]string{}, tables...)})
			}
		}
		if len(list) == n {
			break
		}
	}
	return list, nil
}

var bookingContent = []string{"message"}

// BookEventMeetingInput is what BookEventMeeting takes.
type BookEventMeetingInput struct {
	Event          ID
	From           ID // the participant that asks
	To             ID // the participant that is asked
	Slot           time.Time
	Table          *string  // wished; nil: any
	About          *ID      // a solution, a proposal or an offer that both sides can see
	Content        Patch    // message; without one it is the event's name
	Delegates      []string // of the side that asks, as Delegate.Person names them; nil: the viewer, or whoever is free
	OtherDelegates []string // of the other side; for the secretariat
	// Allow are doubts that the secretariat passes over.
	Allow []ConflictCode
	Key   *string
}

// BookEventMeeting asks another participant of an event for a meeting in a
// slot: a request that takes nobody's time, and expires when the slot begins
// at the latest. By an officer of the secretariat, for two participants, it
// books the meeting at once.
//
// Who never wants to meet the one that asks does not see the request, which
// ends like one that nobody answers: so nobody learns it.
func (m *Market) BookEventMeeting(ctx context.Context, in BookEventMeetingInput) (*Meeting, error) {
	x := &Meeting{From: in.From, To: in.To, About: ID(text((*string)(in.About))), Event: in.Event, Status: MeetingRequested, ProposedBy: in.From}
	may := MayBookAtEvent
	if !may.allows(ctx, x) && MayPlaceAtEvent.allows(ctx, x) {
		may = MayPlaceAtEvent
	}
	if err := may.check(ctx, x); err != nil {
		return nil, err
	}
	return keyed(ctx, m, x, in.Key, func(ctx context.Context, x *Meeting) error {
		if err := m.limitUser(ctx, limitBooking); err != nil {
			return err
		}
		e, a, b, err := m.pairAt(ctx, in.Event, in.From, in.To)
		if err != nil {
			return err
		}
		if err := m.takesBookings(ctx, e); err != nil {
			return err
		}
		x.IsSample, x.Message = e.IsSample, e.Name
		if err := applyPatch(in.Content, x, bookingContent); err != nil {
			return err
		}
		var p problems
		if err := m.checkAbout(ctx, &p, x); err != nil {
			return err
		}
		slot := e.checkSlot(&p, "slot", in.Slot, m.clock())
		if err := p.err(); err != nil {
			return err
		}
		f, err := m.floorOf(ctx, e, a, b, "")
		if err != nil {
			return err
		}
		direct := may.verb == MayPlaceAtEvent.verb
		allow := in.Allow
		if !direct {
			allow = nil
		}
		if err := repath(m.refuse(ctx, f.doubts(allow, direct)), "b", "to"); err != nil {
			return err
		}
		how := booking{slot: slot, table: text(in.Table), named: map[ID][]string{in.From: in.Delegates}, path: "slot"}
		if direct {
			how.named[in.To] = in.OtherDelegates
			return m.bookNow(ctx, f, x, how, slices.Contains(allow, ConflictMaximum))
		}
		return m.askAtEvent(ctx, f, x, how)
	})
}

// checkSlot reports a moment at which no slot begins in which meetings can be
// put, and returns its number.
func (e *Event) checkSlot(p *problems, path string, at, now time.Time) int {
	slot := e.SlotAt(at)
	switch {
	case slot < 0:
		p.add(path, string(ConflictNoSlot), "no slot of the event begins then")
	case e.Slots[slot].IsBlocked:
		p.add(path, string(ConflictBlocked), "a session blocks this slot")
	case !now.Before(e.Slots[slot].StartsAt):
		p.add(path, string(ConflictOver), "has begun")
	}
	return slot
}

// doubts are what stands against a meeting of the two, but for those that are
// allowed. A pair that the secretariat arranges may be asked for by either side.
func (f *floor) doubts(allow []ConflictCode, either bool) []Conflict {
	a, b, e := f.sides[0], f.sides[1], f.event
	var list []Conflict
	if a.meet[b.Member] {
		list = append(list, Conflict{Code: ConflictMeetAlready})
	}
	if !e.allows(a.Member, b.Member) && !(either && e.allows(b.Member, a.Member)) {
		list = append(list, Conflict{Code: ConflictRules})
	}
	if e.LanguageRule == LanguagesRequire && !e.canTalk(a.Registration, b.Registration) {
		list = append(list, Conflict{Code: ConflictLanguage})
	}
	for _, s := range f.sides {
		if _, most := e.MeetingsOf(s.Registration); s.held >= most {
			list = append(list, Conflict{Code: ConflictMaximum, Members: []ID{s.Member}, Count: most})
		}
	}
	return slices.DeleteFunc(list, func(c Conflict) bool { return slices.Contains(SoftConflicts, c.Code) && slices.Contains(allow, c.Code) })
}

// repath moves what is wrong with one field of an input to another.
func repath(err error, from, to string) error {
	for i, list := 0, problemsOf(err); i < len(list); i++ {
		if list[i].Path == from {
			list[i].Path = to
		}
	}
	return err
}

// holdMeeting is floor.hold, in words.
func (m *Market) holdMeeting(ctx context.Context, f *floor, x *Meeting, beyond bool) error {
	full, err := f.hold(x, beyond)
	if errors.Is(err, errTooMany) {
		_, most := f.event.MeetingsOf(f.sideOf(full).Registration)
		return m.refuse(ctx, []Conflict{{Code: ConflictMaximum, Members: []ID{full}, Count: most}})
	}
	return err
}

// bookNow books a meeting at once, as the secretariat does, also beyond what
// the two want at the most where that is allowed.
func (m *Market) bookNow(ctx context.Context, f *floor, x *Meeting, how booking, beyond bool) error {
	never, err := m.neverMeet(ctx, f.event.ID, x.From, x.To)
	if err != nil {
		return err
	}
	if never {
		return repath(m.refuse(ctx, []Conflict{{Code: ConflictImpossible}}), "b", "to")
	}
	now := m.clock()
	if x.ID == "" {
		x.ID = newID(KindMeeting, m.now())
	}
	_, err = m.arrange(ctx, f, func() (*Meeting, error) {
		x.Holds = nil
		if err := m.seat(ctx, f, x, how); err != nil {
			return nil, err
		}
		x.Status, x.AcceptedAt = MeetingAccepted, nil
		if err := m.holdMeeting(ctx, f, x, beyond); err != nil {
			return nil, err
		}
		x.Sequence = 0
		x.agree(x.Times[0], now)
		x.plan()
		x.mark("BOOK", "")
		return x, create(ctx, m, MayPlaceAtEvent, x)
	})
	return repath(err, "b", "to")
}

// askAtEvent writes a request. What it names as table and people is what is
// free now; what is by the time of an answer is looked for then.
func (m *Market) askAtEvent(ctx context.Context, f *floor, x *Meeting, how booking) error {
	own, err := m.neverWants(ctx, f.event.ID, x.From, x.To)
	if err != nil {
		return err
	}
	if own {
		return invalid("to", "INVALID", "is one that this member never wants to meet, as it has said itself")
	}
	if x.IsUnheard, err = m.neverMeet(ctx, f.event.ID, x.From, x.To); err != nil {
		return err
	}
	if how.named[x.From] == nil {
		if user := actorOf(ctx).User; f.sides[0].byKey(string(user)) >= 0 && f.sides[0].free[f.sides[0].byKey(string(user))][how.slot] {
			how.named[x.From] = []string{string(user)}
		}
	}
	if err := m.seat(ctx, f, x, how); err != nil {
		return err
	}
	x.seatPeople(f.sides[1].Registration, nil) // whoever answers says who comes
	x.await(m.clock())
	return m.createPending(ctx, MayBookAtEvent, x)
}

// neverWants says whether a participant has said that it never wants to meet
// another one.
func (m *Market) neverWants(ctx context.Context, event, member, other ID) (bool, error) {
	w, err := get[*WishList](withSight(ctx), m, wishListID(registrationID(event, member)))
	if err != nil {
		return false, ignore(err, ErrNotFound)
	}
	return w.never(other), nil
}

// acceptAtEvent is AcceptMeeting for a meeting at an event: people and table
// are those that are free now.
func (m *Market) acceptAtEvent(ctx context.Context, x *Meeting, in AcceptMeetingInput) (*Meeting, error) {
	if err := MayAnswerMeeting.check(ctx, x); err != nil {
		return nil, err
	}
	f, err := m.floorFor(ctx, x)
	if err != nil {
		return nil, err
	}
	never, err := m.neverMeet(ctx, x.Event, x.From, x.To)
	if err != nil {
		return nil, err
	}
	var p problems
	slot := f.event.checkSlot(&p, "time", in.Time, m.clock())
	if err := p.err(); err != nil {
		return nil, err
	}
	if x.At == nil { // the rules hold as when it was asked for
		if err := m.refuse(ctx, f.doubts(nil, true)); err != nil {
			return nil, repath(err, "b", "id")
		}
	}
	own := x.other(x.ProposedBy)
	delegates := in.Delegates
	for _, id := range in.People {
		delegates = append(delegates, string(id))
	}
	user := string(actorOf(ctx).User)
	if s := f.sideOf(own); len(delegates) == 0 && !x.hasPeople(own) && slices.Contains(f.candidates(s, slot), s.byKey(user)) {
		delegates = []string{user}
	}
	how := booking{slot: slot, table: x.Table, named: map[ID][]string{own: delegates}, path: "time"}
	x, err = m.arrange(ctx, f, func() (*Meeting, error) {
		return m.takeStep(ctx, in.ID, in.Version, MeetingAccept, nil, nil, func(x *Meeting, _ ID, now time.Time) error {
			at := in.Time.UTC().Truncate(time.Second)
			if !slices.ContainsFunc(x.Times, at.Equal) {
				return invalid("time", "INVALID", "must be one of the times that are proposed")
			}
			if err := m.seat(ctx, f, x, how); err != nil {
				return err
			}
			if x.At == nil {
				if err := m.holdMeeting(ctx, f, x, false); err != nil {
					return err
				}
			}
			if never { // said after everything else that could stand against it
				return m.nobodyFree(ctx, x.other(own), how)
			}
			x.agree(at, now)
			return nil
		})
	})
	return x, repath(err, "b", "id")
}

// sideOf is the side of a member.
func (f *floor) sideOf(member ID) *floorSide {
	if f.sides[0].Member == member {
		return f.sides[0]
	}
	return f.sides[1]
}

// notice is how long before it begins a meeting can no longer be agreed.
func (x *Meeting) notice() time.Duration {
	if x.Event != "" {
		return 0
	}
	return meetingNotice
}

// proposeSlots makes times stand that are slots of the event of a meeting.
func (m *Market) proposeSlots(ctx context.Context, p *problems, x *Meeting, now time.Time) error {
	e, err := m.eventOf(ctx, x.Event)
	if err != nil {
		return err
	}
	if err := e.takesBookings(); err != nil {
		return atPath(err, "id")
	}
	for i, t := range x.Times {
		e.checkSlot(p, index("times", i), t, now)
	}
	if err := p.err(); err != nil {
		return err
	}
	x.await(now)
	return nil
}

// An AddWalkInInput is what AddWalkIn takes.
type AddWalkInInput = RegisterInput

// AddWalkIn registers a member that has come without a registration, or whose
// registration was not approved, and makes it a participant at once: by an
// officer of the secretariat. Its delegates are there.
func (m *Market) AddWalkIn(ctx context.Context, in AddWalkInInput) (*Registration, error) {
	if err := MayDecideRegistration.checkFor(ctx); err != nil {
		return nil, err
	}
	e, member, err := m.registrant(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := e.takesBookings(); err != nil {
		return nil, err
	}
	now := m.clock()
	id := registrationID(e.ID, in.Member)
	fresh := func() *Registration {
		return &Registration{Meta: Meta{IsSample: e.IsSample || member.meta().IsSample}, Event: e.ID, Member: in.Member, Status: RegistrationRequested, RequestedAt: now}
	}
	for range maxRetries {
		r, err := updateOrCreate(ctx, m, MayDecideRegistration, id, 0, fresh, func(r *Registration) error {
			if r.Status == RegistrationApproved {
				return invalid("member", "TAKEN", "is a participant already: edit its registration")
			}
			if err := applyPatch(in.Content, r, registrationContent); err != nil {
				return err
			}
			if err := m.checkRegistration(ctx, r); err != nil {
				return err
			}
			free, err := m.freeSeats(ctx, e)
			if err != nil {
				return err
			}
			if len(free) == 0 {
				return invalid("event", "TOO_MANY", "has no room for another participant: raise its capacity")
			}
			r.Status, r.Seat, r.Reason, r.DecidedAt = RegistrationApproved, &free[len(free)-1], nil, &now
			r.Arrivals = nil
			for i := range r.Delegates {
				r.Arrivals = append(r.Arrivals, Arrival{Person: r.Delegates[i].Person(), At: now})
			}
			r.mark("WALK_IN", "")
			return nil
		})
		if !taken(err, "seat") {
			return r, err
		}
	}
	return nil, ErrUnavailable
}
