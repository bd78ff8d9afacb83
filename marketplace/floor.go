package marketplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// A floor is what is free for two participants of an event: who of their
// people, and which tables, as it was a moment ago. Whether it still is, the
// claims of a meeting tell; what they have told is not tried again.
type floor struct {
	event  *Event
	sides  [2]*floorSide
	taken  map[int]map[string]bool // tables, by slots that were looked at
	spoken map[int]map[string]bool // claims on those who interpret, by slots that were looked at
	passed map[string]bool         // claims, without their times, that others were faster to take
	except ID                      // a meeting that takes no time, since it is the one that is arranged
}

// A floorSide is one of the two participants of a floor.
type floorSide struct {
	*Registration
	free  [][]bool        // by delegate and slot
	busy  []int           // by slot, how many of its delegates sit in sessions
	held  int             // meetings that it has at the event, or had
	holds map[string]bool // what its meetings hold; see hold.go
	meet  map[ID]bool
}

// floorOf looks what is free for two participants of an event, from now on:
// two store operations, and one for each of their delegates with an account.
func (m *Market) floorOf(ctx context.Context, e *Event, a, b *Registration, except ID) (*floor, error) {
	f := &floor{event: e, taken: map[int]map[string]bool{}, spoken: map[int]map[string]bool{}, passed: map[string]bool{}, except: except}
	for i, r := range []*Registration{a, b} {
		s, err := m.floorSide(ctx, e, r, except)
		if err != nil {
			return nil, err
		}
		f.sides[i] = s
	}
	return f, nil
}

// floorFor is the floor for an arranged meeting whose time or people are to
// change, or one that is to be accepted, as often as a user may do that.
func (m *Market) floorFor(ctx context.Context, x *Meeting) (*floor, error) {
	if err := m.limitUser(ctx, limitMeetingChange); err != nil {
		return nil, err
	}
	e, err := m.eventOf(ctx, x.Event)
	if err != nil {
		return nil, err
	}
	if err := m.takesBookings(ctx, e); err != nil {
		return nil, atPath(err, "id")
	}
	a, b, err := m.sidesAt(ctx, e, x.From, x.To)
	if err != nil {
		return nil, atPath(err, "id")
	}
	return m.floorOf(ctx, e, a, b, x.ID)
}

func (m *Market) floorSide(ctx context.Context, e *Event, r *Registration, except ID) (*floorSide, error) {
	s := &floorSide{Registration: r, free: e.Free(r), busy: e.sessionsOf(r.Member), meet: map[ID]bool{}, holds: map[string]bool{}}
	if len(e.Slots) == 0 {
		return s, nil
	}
	list, err := m.meetingsAt(ctx, e.ID, r.Member, bookedMeetings)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.ID == except || !x.isBooked() {
			continue
		}
		if x.Status != MeetingMissed {
			s.held++
			s.meet[x.other(r.Member)] = true
		}
		for _, claim := range x.Holds {
			s.holds[claim] = true
		}
		s.takes(e, x)
	}
	from, to := e.Slots[0].StartsAt.Add(-longestMeeting), e.Slots[len(e.Slots)-1].EndsAt
	for _, d := range r.Delegates {
		if d.User == "" {
			continue
		}
		list, err := m.meetingsOf(ctx, d.User, from, to)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			if x.ID != except && x.isBooked() {
				s.takes(e, x)
			}
		}
	}
	return s, nil
}

// takes notes that a meeting takes the time of those of its people who are
// delegates here.
func (s *floorSide) takes(e *Event, x *Meeting) {
	keys := x.personKeys()
	for i := range s.Delegates {
		if !slices.Contains(keys, personKey(s.Member, &s.Delegates[i])) {
			continue
		}
		for k, slot := range e.Slots {
			if x.At.Before(slot.EndsAt) && slot.StartsAt.Before(x.end()) {
				s.free[i][k] = false
			}
		}
	}
}

// sessionsOf says, by slots, in how many sessions a member takes part.
func (e *Event) sessionsOf(member ID) []int {
	busy := make([]int, len(e.Slots))
	for _, s := range e.Sessions {
		if !slices.Contains(s.Members, member) {
			continue
		}
		for k, slot := range e.Slots {
			if s.StartsAt.Before(slot.EndsAt) && slot.StartsAt.Before(s.EndsAt) {
				busy[k]++
			}
		}
	}
	return busy
}

// meetingsAt are the meetings of a participant at an event in some states,
// whoever may see them, earliest first; at most MaxPage.
func (m *Market) meetingsAt(ctx context.Context, event ID, who ID, in []MeetingStatus) ([]*Meeting, error) {
	return find[*Meeting](withSight(ctx), m, KindMeeting, withLimit(meetingQuery(concern(who, event), MeetingFilter{Statuses: in}, false), MaxPage))
}

// isFree says whether somebody of a side can sit in a further meeting in a slot.
func (f *floor) isFree(s *floorSide, slot int) bool { return len(f.candidates(s, slot)) > 0 }

// candidates are the delegates, by their numbers, who can sit in a further
// meeting in a slot; none where all of them are needed for sessions.
func (f *floor) candidates(s *floorSide, slot int) []int {
	var list []int
	for i := range s.Delegates {
		if s.free[i][slot] && !f.passed[personClaim(s.Member, &s.Delegates[i])] {
			list = append(list, i)
		}
	}
	if len(list) <= s.busy[slot] {
		return nil
	}
	return list
}

// personClaim is the claim on a delegate's time, without the time.
func personClaim(member ID, d *Delegate) string {
	if d.User != "" {
		return "user:" + string(d.User)
	}
	return guestClaim(personKey(member, d))
}

// isOpen says whether meetings can be put into a slot: it has not begun, and
// no session blocks it.
func (e *Event) isOpen(slot int, now time.Time) bool {
	return !e.Slots[slot].IsBlocked && now.Before(e.Slots[slot].StartsAt)
}

// tablesFor are the tables at which two participants can meet in a slot: their
// own, where one of them has one; those that are nobody's otherwise. None
// where the event has none.
func (e *Event) tablesFor(a, b ID, slot int) []string {
	var own, open []string
	for _, t := range e.Tables {
		switch {
		case e.isLost(t.Name, e.Slots[slot].StartsAt):
		case t.Member == "":
			open = append(open, t.Name)
		case t.Member == a || t.Member == b:
			own = append(own, t.Name)
		}
	}
	if slices.ContainsFunc(e.Tables, func(t EventTable) bool { return t.Member != "" && (t.Member == a || t.Member == b) }) {
		return own
	}
	return open
}

// survey finds out what meetings take in some slots, given in order, as far as it
// was not done: one store operation for each 1,000 meetings from the first of
// them to the last.
func (m *Market) survey(ctx context.Context, f *floor, slots ...int) error {
	if len(f.event.Tables) == 0 && f.event.InterpreterCount == nil {
		return nil
	}
	slots = slices.DeleteFunc(slots, func(k int) bool { return f.taken[k] != nil })
	if len(slots) == 0 {
		return nil
	}
	for _, k := range slots {
		f.taken[k], f.spoken[k] = map[string]bool{}, map[string]bool{}
	}
	from, until := f.event.Slots[slots[0]].StartsAt, f.event.Slots[slots[len(slots)-1]].EndsAt
	err := m.each(withSight(ctx), KindMeeting, Query{Where: []Condition{{Field: "event", Op: Eq, Value: f.event.ID},
		{Field: "startsAt", Op: Ge, Value: from}, {Field: "startsAt", Op: Lt, Value: until}}, Sort: "startsAt", Limit: MaxPage}, func(doc entity) {
		x := doc.(*Meeting)
		if !x.isBooked() || x.ID == f.except {
			return
		}
		for _, k := range slots {
			if at := f.event.Slots[k]; x.At.Before(at.StartsAt) || !x.At.Before(at.EndsAt) {
				continue
			}
			if x.Table != "" {
				f.taken[k][x.Table] = true
			}
			for _, claim := range x.Holds {
				if isInterpreter(claim) {
					f.spoken[k][claim] = true
				}
			}
		}
	})
	if err != nil {
		clear(f.taken)
	}
	return err
}

// freeTables are those of tablesFor that no meeting takes in a slot.
func (m *Market) freeTables(ctx context.Context, f *floor, slot int) ([]string, error) {
	if err := m.survey(ctx, f, slot); err != nil || len(f.event.Tables) == 0 {
		return nil, err
	}
	list := f.event.tablesFor(f.sides[0].Member, f.sides[1].Member, slot)
	return slices.DeleteFunc(list, func(name string) bool {
		return f.taken[slot][name] || f.passed[tableClaim(f.event.ID, name)]
	}), nil
}

// A booking is what is asked for a meeting that is put into a slot.
type booking struct {
	slot  int
	table string          // wished; empty: any
	exact bool            // no other table will do
	stays bool            // where and when it takes place stays as it is: only people change
	named map[ID][]string // who is to sit in it for a side, as Delegate.Person names them; else whoever does already, else the first who is free
	path  string          // of the slot in the input
}

// seat puts people and a table into a meeting, as far as they are free. Who
// sits there already at that time stays, where nobody else is named.
func (m *Market) seat(ctx context.Context, f *floor, x *Meeting, b booking) error {
	at := f.event.Slots[b.slot].StartsAt
	there := x.At != nil && x.At.Equal(at)
	for i, s := range f.sides {
		if there && len(b.named[s.Member]) == 0 && x.hasPeople(s.Member) {
			continue
		}
		err := f.seatSide(x, s, f.sides[1-i], b)
		if errors.Is(err, errNobody) {
			return m.nobodyFree(ctx, s.Member, b)
		}
		if err != nil {
			return err
		}
	}
	if b.stays {
		return nil
	}
	tables, err := m.freeTables(ctx, f, b.slot)
	if err != nil {
		return err
	}
	was := x.Table
	switch {
	case len(f.event.Tables) == 0:
		x.Table = ""
	case slices.Contains(tables, b.table):
		x.Table = b.table
	case b.exact && b.table != "":
		return invalid("table", string(ConflictTableTaken), "cannot be had for these two then")
	case len(tables) == 0:
		return repath(m.refuse(ctx, []Conflict{{Code: ConflictTableNeeded}}), "table", b.path)
	default:
		x.Table = spread(tables, x.ID)
	}
	claim, ok := f.interpreter(b.slot)
	if !ok {
		return repath(m.refuse(ctx, []Conflict{{Code: ConflictNoInterpreter, Count: *f.event.InterpreterCount}}), "slot", b.path)
	}
	if x.Holds = slices.DeleteFunc(slices.Clone(x.Holds), isInterpreter); claim != "" {
		x.Holds = append(x.Holds, claim)
	}
	x.IsInterpreted = f.event.interprets(f.sides[0].Registration, f.sides[1].Registration)
	x.LostTable, x.IsOffSlot = "", false
	x.takePlace(f.event, at, was)
	return nil
}

// nobodyFree says that a side has nobody for a booking.
func (m *Market) nobodyFree(ctx context.Context, side ID, b booking) error {
	return repath(m.refuse(ctx, []Conflict{{Code: ConflictNobodyFree, Members: []ID{side}}}), "slot", b.path)
}

// spread is one of several tables: for different meetings others, so that
// those who look at the same moment seldom take the same.
func spread(tables []string, meeting ID) string {
	h := fnv.New32a()
	h.Write([]byte(meeting))
	return tables[int(h.Sum32()%uint32(len(tables)))]
}

func (f *floor) seatSide(x *Meeting, s, other *floorSide, b booking) error {
	can := slices.DeleteFunc(f.candidates(s, b.slot), func(i int) bool { // who comes for both sides sits on one
		return s == f.sides[1] && slices.Contains(x.keysOf(other.Member), personKey(s.Member, &s.Delegates[i]))
	})
	var sit []int
	if named := b.named[s.Member]; len(named) > 0 {
		for _, who := range named {
			i := s.delegateOf(who)
			if i < 0 {
				return invalid("delegates", "NOT_FOUND", fmt.Sprintf("%.60q is no delegate of this member", who))
			}
			if !slices.Contains(can, i) {
				return invalid("delegates", "TAKEN", oneLine(s.Delegates[i].Name)+" has no time then")
			}
			if !slices.Contains(sit, i) {
				sit = append(sit, i)
			}
		}
		if len(sit) > len(f.candidates(s, b.slot))-s.busy[b.slot] {
			return invalid("delegates", "TOO_MANY", "are more than can come: others are needed for the programme then")
		}
		if len(sit) > maxMeetingPeople {
			return invalid("delegates", "TOO_MANY", fmt.Sprintf("at most %d people of a side", maxMeetingPeople))
		}
	} else {
		for _, key := range x.keysOf(s.Member) {
			if i := s.byKey(key); slices.Contains(can, i) {
				sit = append(sit, i)
			}
		}
		if len(sit) == 0 && len(can) > 0 {
			sit = can[:1]
		}
	}
	if len(sit) == 0 {
		return errNobody
	}
	if len(b.named[s.Member]) == 0 {
		sit = sit[:min(len(sit), len(f.candidates(s, b.slot))-s.busy[b.slot])]
	}
	desks, err := f.desks(s, b.slot, len(sit))
	if err != nil {
		return err
	}
	x.Holds = append(slices.DeleteFunc(slices.Clone(x.Holds), func(c string) bool { return strings.HasPrefix(c, desksOf(s.Member)) }), desks...)
	x.seatPeople(s.Registration, sit)
	return nil
}

// byKey is where a person stands among the delegates, by personKey; -1 where they do not.
func (s *floorSide) byKey(key string) int { return s.Registration.byKey(key) }

func (r *Registration) byKey(key string) int {
	return slices.IndexFunc(r.Delegates, func(d Delegate) bool { return personKey(r.Member, &d) == key })
}

// keysOf are the persons who sit in a meeting for a side.
func (x *Meeting) keysOf(side ID) []string {
	var keys []string
	for _, id := range *x.peopleOf(side) {
		keys = append(keys, string(id))
	}
	for _, g := range x.Guests {
		if g.Side == side {
			keys = append(keys, g.Person)
		}
	}
	return keys
}

// seatPeople makes some delegates, by their numbers, those who sit in a
// meeting for a participant.
func (x *Meeting) seatPeople(r *Registration, sit []int) {
	x.Guests = slices.DeleteFunc(slices.Clone(x.Guests), func(g Guest) bool { return g.Side == r.Member })
	have := x.peopleOf(r.Member)
	*have = nil
	for _, i := range sit {
		d := &r.Delegates[i]
		if d.User == "" {
			x.Guests = append(x.Guests, Guest{Side: r.Member, Person: personKey(r.Member, d), Name: d.Name})
			continue
		}
		*have = append(*have, d.User)
		x.Participants = append(slices.DeleteFunc(slices.Clone(x.Participants), func(o Participant) bool { return o.User == d.User }),
			Participant{User: d.User, Name: d.Name, TimeZone: d.TimeZone})
	}
	x.Vacant = slices.DeleteFunc(slices.Clone(x.Vacant), func(id ID) bool { return id == r.Member })
	x.tidyParticipants()
}

// takePlace sets when a meeting takes place, or could, and where that is. Was
// is the table at which it was, whose link holds no longer.
func (x *Meeting) takePlace(e *Event, slot time.Time, was string) {
	x.Times, x.Minutes, x.Format, x.Place = []time.Time{slot}, e.SlotMinutes, MeetingOnSite, e.Place
	if x.Link == e.linkOf(was) {
		x.Link = ""
	}
	x.Link = cmp.Or(e.linkOf(x.Table), x.Link)
	if e.Format == "ONLINE" || e.Format == "HYBRID" && x.Link != "" {
		x.Format = MeetingOnline
	}
}

// linkOf is the address of a table that is a room online; empty for others.
func (e *Event) linkOf(table string) string {
	if i := slices.IndexFunc(e.Tables, func(t EventTable) bool { return t.Name == table }); i >= 0 {
		return e.Tables[i].Link
	}
	return ""
}

// pass notes that others were faster to take something; false where the claim
// is about nothing that could be another one.
func (f *floor) pass(claim string) bool {
	if isOfSlot(claim) || strings.HasPrefix(claim, "count:") {
		f.passed[claim] = true
		return true
	}
	of, _, _ := strings.Cut(claim, "@")
	if f.passed[of] || !strings.HasPrefix(of, "user:") && !strings.HasPrefix(of, "person:") && !strings.HasPrefix(of, "table:") {
		return false
	}
	f.passed[of] = true
	return true
}

// arrange has a meeting arranged with what is free, and again with something
// else where others were faster, until it stands or nothing is left.
func (m *Market) arrange(ctx context.Context, f *floor, do func() (*Meeting, error)) (*Meeting, error) {
	for range maxRetries {
		x, err := do()
		wrong, ok := errors.AsType[*InvalidError](err)
		if ok && strings.HasPrefix(wrong.claim, "pair:") {
			return nil, m.refuse(ctx, []Conflict{{Code: ConflictMeetAlready}})
		}
		if !ok || wrong.claim == "" || !f.pass(wrong.claim) {
			return x, err
		}
	}
	return nil, ErrUnavailable
}
