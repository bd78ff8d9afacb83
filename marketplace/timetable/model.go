package timetable

import (
	"fmt"
	"math/bits"
	"slices"
)

// slotSet is a set of slots, by their place among those that are open.
type slotSet [MaxSlots / 64]uint64

func (s *slotSet) add(i int)     { s[i>>6] |= 1 << (i & 63) }
func (s *slotSet) del(i int)     { s[i>>6] &^= 1 << (i & 63) }
func (s slotSet) has(i int) bool { return s[i>>6]>>(i&63)&1 == 1 }

func (s slotSet) and(t slotSet) slotSet {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// list is the members in ascending order.
func (s slotSet) list() []int32 {
	var l []int32
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			l = append(l, int32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return l
}

// A resource is whatever meetings take a part of while they are held: a
// participant's seats, a person, a table that a meeting must have, the free
// tables, the tables of an owner. All conditions but precedences and the spread
// are that no resource is used beyond its room.
type resource struct {
	room     []int16 // by slot
	meetings []int32
	weights  []int16 // of meetings, what each of them takes
}

// use is how much of a resource a meeting takes.
type use struct {
	of     int32
	weight int16
}

type meet struct {
	uses   []use // participants A and B first
	open   slotSet
	slots  []int32 // open as a list
	rank   Rank
	score  int64
	after  []int32
	before []int32
	group  int32 // of tables, -1 online
	table  int32 // that it must have, -1
	a, b   int32
}

// group is tables of which a meeting takes any.
type group struct {
	tables   []int32
	resource int32
}

// model is a Problem in numbers. The first resources are the participants.
type model struct {
	p         *Problem
	slots     []int32 // places of the open slots among those of the problem
	newDay    []bool  // whether a slot is the first of its day
	dayStarts slotSet // likewise
	parties   int     // how many resources are participants
	counts    []bool  // by participant, whether its breaks and share count
	res       []resource
	meets     []meet
	groups    []group
	tableAt   []slotSet // by table, when it can be had
	spread    int       // -1: any
	three     bool      // whether a meeting has more than two participants
	meetID    map[string]int32
	slotID    map[string]int32 // places in slots
	tableID   map[string]int32
}

func index[T any](kind string, list []T, most int, id func(T) string) (map[string]int32, error) {
	if len(list) > most {
		return nil, &Error{fmt.Sprintf("%d %ss are more than %d", len(list), kind, most)}
	}
	m := make(map[string]int32, len(list))
	for i, x := range list {
		if _, twice := m[id(x)]; twice || id(x) == "" {
			return nil, &Error{fmt.Sprintf("%s %q: the ID must be there, and be no other's", kind, id(x))}
		}
		m[id(x)] = int32(i)
	}
	return m, nil
}

// compile checks a problem and puts it into numbers.
func compile(p *Problem) (*model, error) {
	m := &model{p: p, spread: -1}
	every, err := index("slot", p.Slots, MaxSlots, func(s Slot) string { return s.ID })
	if err != nil {
		return nil, err
	}
	m.slotID = make(map[string]int32, len(every))
	for i, s := range p.Slots {
		if s.Closed {
			continue
		}
		if len(m.slots) == 0 || p.Slots[m.slots[len(m.slots)-1]].Day != s.Day {
			m.dayStarts.add(len(m.slots))
		}
		m.newDay = append(m.newDay, len(m.slots) == 0 || p.Slots[m.slots[len(m.slots)-1]].Day != s.Day)
		m.slotID[s.ID] = int32(len(m.slots))
		m.slots = append(m.slots, int32(i))
	}
	if m.tableID, err = index("table", p.Tables, MaxTables, func(t Table) string { return t.ID }); err != nil {
		return nil, err
	}
	parties, err := index("participant", p.Participants, MaxParticipants, func(p Participant) string { return p.ID })
	if err != nil {
		return nil, err
	}
	if m.meetID, err = index("meeting", p.Meetings, MaxMeetings, func(t Meeting) string { return t.ID }); err != nil {
		return nil, err
	}
	if p.Online && len(p.Tables) > 0 {
		return nil, &Error{"online meetings have no tables"}
	}
	if p.Spread != nil {
		if m.spread = *p.Spread; m.spread < 0 {
			return nil, &Error{"the spread must be 0 or more"}
		}
	}
	// without is the open slots but those that are named.
	without := func(of string, away []string) (slotSet, error) {
		var set slotSet
		for i := range m.slots {
			set.add(i)
		}
		for _, id := range away {
			if _, ok := every[id]; !ok {
				return set, &Error{fmt.Sprintf("%s: there is no slot %q", of, id)}
			}
			if i, open := m.slotID[id]; open {
				set.del(int(i))
			}
		}
		return set, nil
	}
	persons := map[string]int32{} // resources
	personOf := map[string]int32{}
	m.parties = len(p.Participants)
	m.res = make([]resource, m.parties)
	for i, x := range p.Participants {
		of := "participant " + x.ID
		here, err := without(of, x.Away)
		if err != nil {
			return nil, err
		}
		if x.Min < 0 || x.Max < 0 || x.Max > 0 && x.Min > x.Max || len(x.People) > MaxSeats {
			return nil, &Error{fmt.Sprintf("%s: at least %d and at most %d meetings, %d persons: cannot be", of, x.Min, x.Max, len(x.People))}
		}
		m.counts = append(m.counts, !x.Staff)
		room := make([]int16, len(m.slots))
		for _, who := range x.People {
			at, err := without("person "+who.ID, who.Away)
			if err != nil {
				return nil, err
			}
			if _, twice := persons[who.ID]; twice || who.ID == "" {
				return nil, &Error{fmt.Sprintf("person %q: the ID must be there, and be no other's", who.ID)}
			}
			persons[who.ID], personOf[who.ID] = int32(len(m.res)), int32(i)
			own := make([]int16, len(m.slots))
			for _, s := range at.and(here).list() {
				room[s]++
				own[s] = 1
			}
			m.res = append(m.res, resource{room: own})
		}
		if len(x.People) == 0 {
			for _, s := range here.list() {
				room[s] = 1
			}
		}
		m.res[i].room = room
	}
	if err := m.compileTables(parties, without); err != nil {
		return nil, err
	}
	return m, m.compileMeetings(parties, every, persons, personOf)
}

func (m *model) compileTables(parties map[string]int32, without func(string, []string) (slotSet, error)) error {
	if m.p.Online {
		return nil
	}
	m.groups = []group{{resource: m.newResource()}}
	owned := map[int32]int32{}
	for i, t := range m.p.Tables {
		at, err := without("table "+t.ID, t.Away)
		if err != nil {
			return err
		}
		m.tableAt = append(m.tableAt, at)
		g := int32(0)
		if t.Owner != "" {
			owner, ok := parties[t.Owner]
			if !ok {
				return &Error{fmt.Sprintf("table %s: there is no participant %q", t.ID, t.Owner)}
			}
			if g, ok = owned[owner]; !ok {
				g = int32(len(m.groups))
				owned[owner] = g
				m.groups = append(m.groups, group{resource: m.newResource()})
			}
		}
		m.groups[g].tables = append(m.groups[g].tables, int32(i))
		room := m.res[m.groups[g].resource].room
		for _, s := range at.list() {
			room[s]++
		}
	}
	return nil
}

func (m *model) newResource() int32 {
	m.res = append(m.res, resource{room: make([]int16, len(m.slots))})
	return int32(len(m.res) - 1)
}

func (m *model) compileMeetings(parties, every, persons, personOf map[string]int32) error {
	owned := map[int32]int32{} // groups of tables by owner
	for g := 1; g < len(m.groups); g++ {
		owned[parties[m.p.Tables[m.groups[g].tables[0]].Owner]] = int32(g)
	}
	needed := map[int32]int32{} // resources by table
	m.meets = make([]meet, len(m.p.Meetings))
	for i, x := range m.p.Meetings {
		wrong := func(format string, args ...any) error {
			return &Error{"meeting " + x.ID + ": " + fmt.Sprintf(format, args...)}
		}
		t := &m.meets[i]
		t.rank, t.score, t.group, t.table = x.Rank, int64(x.Score), -1, -1
		if x.Rank < Want || x.Rank > Booked || x.Score < 0 || x.Score > MaxScore {
			return wrong("rank %d or score %d: cannot be", x.Rank, x.Score)
		}
		for _, id := range append([]string{x.A, x.B}, x.With...) {
			p, ok := parties[id]
			if !ok {
				return wrong("there is no participant %q", id)
			}
			if slices.ContainsFunc(t.uses, func(u use) bool { return u.of == p }) {
				return wrong("participant %s takes part twice", id)
			}
			t.uses = append(t.uses, use{p, 1})
		}
		t.a, t.b = t.uses[0].of, t.uses[1].of
		sides := len(t.uses)
		m.three = m.three || sides > 2
		named := make([]int16, sides)
		for _, id := range x.People {
			r, ok := persons[id]
			side := slices.IndexFunc(t.uses[:sides], func(u use) bool { return ok && u.of == personOf[id] })
			if side < 0 || slices.ContainsFunc(t.uses, func(u use) bool { return u.of == r }) {
				return wrong("person %q is nobody of its participants, or named twice", id)
			}
			named[side]++
			t.uses[side].weight = named[side]
			t.uses = append(t.uses, use{r, 1})
		}
		if !m.p.Online {
			t.group = 0
			if g, ok := owned[t.b]; ok {
				t.group = g
			}
			if g, ok := owned[t.a]; ok {
				t.group = g
			}
			t.uses = append(t.uses, use{m.groups[t.group].resource, 1})
		}
		if x.Table != "" {
			at, ok := m.tableID[x.Table]
			if !ok || m.p.Online || !slices.Contains(m.groups[t.group].tables, at) {
				return wrong("table %q cannot hold it", x.Table)
			}
			if needed[at] == 0 {
				needed[at] = m.newResource()
				for _, s := range m.tableAt[at].list() {
					m.res[needed[at]].room[s] = 1
				}
			}
			t.table = at
			t.uses = append(t.uses, use{needed[at], 1})
		}
		for s := range m.slots {
			if !slices.ContainsFunc(t.uses, func(u use) bool { return m.res[u.of].room[s] < u.weight }) {
				t.open.add(s)
			}
		}
		if len(x.Slots) > 0 {
			var only slotSet
			for _, id := range x.Slots {
				if _, ok := every[id]; !ok {
					return wrong("there is no slot %q", id)
				}
				if s, ok := m.slotID[id]; ok {
					only.add(int(s))
				}
			}
			t.open = t.open.and(only)
		}
		for _, u := range t.uses {
			m.res[u.of].meetings = append(m.res[u.of].meetings, int32(i))
			m.res[u.of].weights = append(m.res[u.of].weights, u.weight)
		}
		for _, id := range x.After {
			k, ok := m.meetID[id]
			if !ok || int(k) == i || slices.Contains(t.after, k) {
				return wrong("cannot be after %q", id)
			}
			t.after = append(t.after, k)
		}
	}
	for i := range m.meets {
		for _, k := range m.meets[i].after {
			m.meets[k].before = append(m.meets[k].before, int32(i))
		}
	}
	m.narrow()
	for i := range m.meets {
		m.meets[i].slots = m.meets[i].open.list()
	}
	return nil
}

// narrow takes slots from meetings that must come before or after another that
// is certain to be held. It ends: each round takes a slot.
func (m *model) narrow() {
	for changed := true; changed; {
		changed = false
		for i := range m.meets {
			t := &m.meets[i]
			for _, k := range t.after {
				e := &m.meets[k]
				if e.rank == Booked {
					first := len(m.slots)
					if l := e.open.list(); len(l) > 0 {
						first = int(l[0])
					}
					for s := 0; s <= first && s < len(m.slots); s++ {
						if t.open.has(s) {
							t.open.del(s)
							changed = true
						}
					}
				}
				if t.rank == Booked {
					last := -1
					if l := t.open.list(); len(l) > 0 {
						last = int(l[len(l)-1])
					}
					for s := max(last, 0); s < len(m.slots); s++ {
						if e.open.has(s) {
							e.open.del(s)
							changed = true
						}
					}
				}
			}
		}
	}
}
