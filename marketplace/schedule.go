package marketplace

import (
	"slices"
	"time"
)

// A schedule is a timetable that is checked against an assembly: who sits
// where, at which tables. It is not for concurrent use.
type schedule struct {
	*assembly
	list    map[duo]Placement
	rosters []roster         // by slot
	taken   []map[string]duo // by slot, the meeting that takes a table; the zero duo: one that no publication made
	held    []int            // by participant, how many meetings it has
	spoken  []int            // by slot, at how many meetings somebody interprets, where those are counted
}

// A roster says who of the delegates sits where in one slot: whether there is
// somebody for each seat is found by chains of people who change their seats,
// so that it is found whenever it can be.
type roster struct {
	seats []rosterSeat
	by    map[string]int // the seat of a person
}

// A rosterSeat is a place that a participant fills: in a meeting, or in a
// session.
type rosterSeat struct {
	participant int
	meeting     duo // zero: a session
	person      string
}

func newSchedule(a *assembly) *schedule {
	s := &schedule{assembly: a, list: map[duo]Placement{}, rosters: make([]roster, len(a.Event.Slots)),
		taken: make([]map[string]duo, len(a.Event.Slots)), held: make([]int, len(a.Participants)), spoken: make([]int, len(a.Event.Slots))}
	for k := range s.rosters {
		s.rosters[k].by, s.taken[k] = map[string]int{}, map[string]duo{}
		for i := range a.Participants {
			for range a.busy[i][k] {
				s.fill(k, rosterSeat{participant: i}, "")
			}
		}
	}
	for _, t := range a.Event.LostTables {
		for k, slot := range a.Event.Slots {
			if a.Event.isLost(t.Table, slot.StartsAt) {
				s.taken[k][t.Table] = duo{}
			}
		}
	}
	for _, x := range a.live {
		for k, slot := range a.Event.Slots {
			if !x.At.Before(slot.EndsAt) || !slot.StartsAt.Before(x.end()) {
				continue
			}
			if x.Table != "" {
				s.taken[k][x.Table] = duo{}
			}
			if i, ok := a.number[x.From]; ok {
				if j, ok := a.number[x.To]; ok && a.interprets(i, j) {
					s.spoken[k]++
				}
			}
		}
		for _, side := range x.parties() {
			if i, ok := a.number[side]; ok {
				s.held[i]++
			}
		}
	}
	return s
}

// fill finds somebody for a seat, the wished one if that can be; false where
// there is nobody, and nothing has changed then.
func (s *schedule) fill(slot int, seat rosterSeat, wished string) bool {
	r := &s.rosters[slot]
	r.seats = append(r.seats, seat)
	n := len(r.seats) - 1
	if wished != "" && s.canSit(seat.participant, wished, slot) && s.seatOf(r, wished) < 0 {
		r.sit(n, wished)
		return true
	}
	if s.augment(slot, n, map[string]bool{}) {
		return true
	}
	r.seats = r.seats[:n]
	return false
}

func (s *schedule) seatOf(r *roster, person string) int {
	if n, ok := r.by[person]; ok {
		return n
	}
	return -1
}

func (s *schedule) canSit(participant int, person string, slot int) bool {
	k := slices.Index(s.persons[participant], person)
	return k >= 0 && s.free[participant][k][slot]
}

func (r *roster) sit(seat int, person string) {
	r.seats[seat].person = person
	r.by[person] = seat
}

// augment seats somebody, who may have to leave a seat that another one takes.
func (s *schedule) augment(slot, seat int, tried map[string]bool) bool {
	r := &s.rosters[slot]
	i := r.seats[seat].participant
	for _, vacant := range []bool{true, false} { // nobody is moved without need
		for k, person := range s.persons[i] {
			if !s.free[i][k][slot] || tried[person] || (s.seatOf(r, person) < 0) != vacant {
				continue
			}
			tried[person] = true
			if vacant || s.augment(slot, r.by[person], tried) {
				r.sit(seat, person)
				return true
			}
		}
	}
	return false
}

// vacate takes a meeting's seats away.
func (s *schedule) vacate(slot int, meeting duo) {
	r := &s.rosters[slot]
	kept := r.seats[:0]
	clear(r.by)
	for _, seat := range r.seats {
		if seat.meeting != meeting || meeting == (duo{}) {
			kept = append(kept, seat)
			r.by[seat.person] = len(kept) - 1
		}
	}
	r.seats = kept
}

// admit adds a placement as far as nothing absolute stands against it, and
// returns what does, or what only should not be.
func (s *schedule) admit(p Placement) (hard, soft []Conflict) {
	a, b, slot, hard := s.possible(p)
	if len(hard) > 0 {
		return hard, nil
	}
	seated := s.fill(slot, rosterSeat{participant: a, meeting: p.pair()}, p.PersonA)
	if !seated {
		hard = append(hard, s.nobodyFree(a, slot))
	}
	if !s.fill(slot, rosterSeat{participant: b, meeting: p.pair()}, p.PersonB) {
		hard = append(hard, s.nobodyFree(b, slot))
	}
	hard = append(hard, s.tableConflicts(p, a, b, slot)...)
	speaks := s.interprets(a, b)
	if speaks && s.spoken[slot] >= *s.Event.InterpreterCount {
		hard = append(hard, Conflict{Code: ConflictNoInterpreter, Slot: p.Slot, Count: *s.Event.InterpreterCount})
	}
	if len(hard) > 0 {
		s.vacate(slot, p.pair())
		return hard, nil
	}
	soft = s.doubts(p, a, b)
	s.list[p.pair()] = p
	if p.Table != "" {
		s.taken[slot][p.Table] = p.pair()
	}
	if speaks {
		s.spoken[slot]++
	}
	s.held[a]++
	s.held[b]++
	return nil, soft
}

// take removes a placement; false where there is none.
func (s *schedule) take(x duo) (Placement, bool) {
	p, ok := s.list[x]
	if !ok {
		return p, false
	}
	delete(s.list, x)
	slot := s.Event.SlotAt(p.Slot)
	s.vacate(slot, x)
	if s.taken[slot][p.Table] == x {
		delete(s.taken[slot], p.Table)
	}
	a, b := s.number[p.A], s.number[p.B]
	if s.interprets(a, b) {
		s.spoken[slot]--
	}
	s.held[a]--
	s.held[b]--
	return p, true
}

// possible looks at what does not depend on other meetings.
func (s *schedule) possible(p Placement) (a, b, slot int, hard []Conflict) {
	a, okA := s.number[p.A]
	b, okB := s.number[p.B]
	for _, side := range []struct {
		ok bool
		id ID
	}{{okA, p.A}, {okB, p.B}} {
		if !side.ok {
			hard = append(hard, Conflict{Code: ConflictNoParticipant, Members: []ID{side.id}})
		}
	}
	slot = s.Event.SlotAt(p.Slot)
	switch {
	case slot < 0:
		hard = append(hard, Conflict{Code: ConflictNoSlot, Slot: p.Slot})
	case s.Event.Slots[slot].IsBlocked:
		hard = append(hard, Conflict{Code: ConflictBlocked, Slot: p.Slot})
	}
	if len(hard) > 0 {
		return a, b, slot, hard
	}
	if s.refused[p.pair()] {
		hard = append(hard, Conflict{Code: ConflictImpossible})
	} else if have, ok := s.list[p.pair()]; ok {
		hard = append(hard, Conflict{Code: ConflictMeetAlready, Slot: have.Slot})
	} else if s.had[p.pair()] {
		hard = append(hard, Conflict{Code: ConflictMeetAlready})
	}
	return a, b, slot, hard
}

// nobodyFree says that a participant has nobody for a further seat in a slot,
// and whom it meets there.
func (s *schedule) nobodyFree(participant, slot int) Conflict {
	c := Conflict{Code: ConflictNobodyFree, Members: []ID{s.member(participant)}, Slot: s.Event.Slots[slot].StartsAt}
	for _, seat := range s.rosters[slot].seats {
		if seat.participant == participant && seat.meeting != (duo{}) {
			c.Others = append(c.Others, seat.meeting.other(s.member(participant)))
		}
	}
	return c
}

// tableConflicts are what stands against the table of a placement.
func (s *schedule) tableConflicts(p Placement, a, b, slot int) []Conflict {
	if len(s.Event.Tables) == 0 {
		if p.Table != "" {
			return []Conflict{{Code: ConflictNoTable, Table: p.Table}}
		}
		return nil
	}
	if p.Table == "" {
		return []Conflict{{Code: ConflictTableNeeded}}
	}
	i := slices.IndexFunc(s.Event.Tables, func(t EventTable) bool { return t.Name == p.Table })
	if i < 0 {
		return []Conflict{{Code: ConflictNoTable, Table: p.Table}}
	}
	owner := s.Event.Tables[i].Member
	var out []Conflict
	switch {
	case owner != "" && owner != p.A && owner != p.B:
		out = append(out, Conflict{Code: ConflictTableOfOther, Table: p.Table, Members: []ID{owner}})
	case owner == "" && (s.owners[p.A] || s.owners[p.B]):
		at := p.A
		if !s.owners[at] {
			at = p.B
		}
		out = append(out, Conflict{Code: ConflictOwnTable, Table: p.Table, Members: []ID{at}})
	}
	if s.Event.isLost(p.Table, s.Event.Slots[slot].StartsAt) {
		return append(out, Conflict{Code: ConflictTableLost, Table: p.Table, Slot: p.Slot})
	}
	if other, ok := s.taken[slot][p.Table]; ok && other != p.pair() {
		c := Conflict{Code: ConflictTableTaken, Table: p.Table, Slot: p.Slot}
		if other != (duo{}) {
			c.Others = other[:]
		}
		out = append(out, c)
	}
	return out
}

// doubts are what should not be, and can be allowed.
func (s *schedule) doubts(p Placement, a, b int) []Conflict {
	var out []Conflict
	asked := s.pairings[p.pair()]
	if e := s.Event; !asked && !e.allows(p.A, p.B) && !e.allows(p.B, p.A) {
		out = append(out, Conflict{Code: ConflictRules})
	}
	if e := s.Event; !asked && e.LanguageRule == LanguagesRequire && !e.canTalk(s.Participants[a].Registration, s.Participants[b].Registration) {
		out = append(out, Conflict{Code: ConflictLanguage})
	}
	for _, i := range []int{a, b} {
		if most := s.Participants[i].Maximum; s.held[i] >= most {
			out = append(out, Conflict{Code: ConflictMaximum, Members: []ID{s.member(i)}, Count: most})
		}
	}
	return out
}

// freeTable is a table for a meeting in a slot: the wished one where it can be
// had, else the first; empty where there is none, or the event has none.
func (s *schedule) freeTable(p Placement, slot int) string {
	fits := func(name string) bool {
		p.Table = name
		return len(s.tableConflicts(p, s.number[p.A], s.number[p.B], slot)) == 0
	}
	if p.Table != "" && fits(p.Table) {
		return p.Table
	}
	for _, t := range s.tables {
		if fits(t.Name) {
			return t.Name
		}
	}
	return ""
}

// placements are the meetings of the schedule, in their order, with who sits in them.
func (s *schedule) placements() []Placement {
	sitting := map[duo][2]string{}
	for _, r := range s.rosters {
		for _, seat := range r.seats {
			if seat.meeting == (duo{}) {
				continue
			}
			who := sitting[seat.meeting]
			if s.member(seat.participant) == seat.meeting[0] {
				who[0] = seat.person
			} else {
				who[1] = seat.person
			}
			sitting[seat.meeting] = who
		}
	}
	out := make([]Placement, 0, len(s.list))
	for x, p := range s.list {
		p.PersonA, p.PersonB = sitting[x][0], sitting[x][1]
		out = append(out, p)
	}
	slices.SortFunc(out, comparePlacements)
	return out
}

// A Conflict is what stands against a placement.
type Conflict struct {
	Code    ConflictCode
	Members []ID // whom it is about
	Others  []ID // with whom they meet, or who sits at the table
	Slot    time.Time
	Table   string
	Count   int
}

// A ConflictCode names what stands against a placement. These are among the
// codes of user errors.
type ConflictCode string

// What is absolute.
const (
	ConflictNoParticipant ConflictCode = "NO_PARTICIPANT"
	ConflictNoSlot        ConflictCode = "NO_SLOT"        // no slot begins then
	ConflictBlocked       ConflictCode = "SLOT_BLOCKED"   // by a session
	ConflictOver          ConflictCode = "SLOT_OVER"      // it has begun
	ConflictImpossible    ConflictCode = "NOT_POSSIBLE"   // and nobody is told why
	ConflictMeetAlready   ConflictCode = "MEET_ALREADY"   // the two have another meeting
	ConflictNobodyFree    ConflictCode = "NOBODY_FREE"    // a participant has nobody for it
	ConflictNoTable       ConflictCode = "NO_TABLE"       // there is no such table
	ConflictTableNeeded   ConflictCode = "TABLE_NEEDED"   // the event has tables, and none is named or free
	ConflictTableOfOther  ConflictCode = "TABLE_OF_OTHER" // it is that of a third one
	ConflictOwnTable      ConflictCode = "OWN_TABLE"      // one of the two has a table of its own
	ConflictTableTaken    ConflictCode = "TABLE_TAKEN"
	ConflictNoInterpreter ConflictCode = "NO_INTERPRETER" // all of them interpret elsewhere
	ConflictTableLost     ConflictCode = "TABLE_LOST"     // it cannot be used any more
)

// What should not be, and can be allowed.
const (
	ConflictRules    ConflictCode = "AGAINST_RULES"      // neither may ask the other
	ConflictLanguage ConflictCode = "NO_COMMON_LANGUAGE" // and the event requires one
	ConflictMaximum  ConflictCode = "OVER_MAXIMUM"       // a participant has more meetings than it wants
)

// SoftConflicts are those that can be allowed.
var SoftConflicts = []ConflictCode{ConflictRules, ConflictLanguage, ConflictMaximum}
