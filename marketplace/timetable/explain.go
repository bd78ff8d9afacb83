package timetable

import "slices"

// impossible is what proves by counting that the booked meetings cannot all be held.
func (s *solver) impossible() []Reason {
	m := s.m
	var list []Reason
	for _, i := range s.booked() {
		if len(m.meets[i].slots) == 0 {
			list = append(list, s.slotless(i))
		}
	}
	booked, _ := s.sets()
	for p := range m.parties {
		only := resource{room: m.res[p].room}
		for _, i := range m.res[p].meetings {
			if m.meets[i].rank == Booked && len(m.meets[i].slots) > 0 {
				only.meetings = append(only.meetings, i)
			}
		}
		if n := m.placeable(&only); n < len(only.meetings) {
			list = append(list, Reason{Code: TooManyMeetings, Participant: m.p.Participants[p].ID, Wanted: len(only.meetings), Room: n,
				Remedy: MoreSlots, Count: len(only.meetings) - n})
		}
	}
	for g, in := range m.inGroups(booked) {
		if room := min(m.places(g), m.placeable(&in)); len(in.meetings) > room {
			list = append(list, s.tooFewPlaces(g, len(in.meetings), room))
		}
	}
	if n := len(s.booked()); len(list) == 0 && n > 0 {
		if room := m.capacity(booked); room < n {
			list = append(list, Reason{Code: Clash, Wanted: n, Room: room})
		}
	}
	return list
}

// inGroups is each group of tables with those of a set of meetings that could be held there.
func (m *model) inGroups(of []bool) []resource {
	list := make([]resource, len(m.groups))
	for g := range list {
		list[g].room = m.res[m.groups[g].resource].room
	}
	for i := range m.meets {
		if g := m.meets[i].group; g >= 0 && of[i] && len(m.meets[i].slots) > 0 {
			list[g].meetings = append(list[g].meetings, int32(i))
		}
	}
	return list
}

// places is how many meetings the tables of a group can hold.
func (m *model) places(g int) int {
	n := 0
	for _, r := range m.res[m.groups[g].resource].room {
		n += int(r)
	}
	return n
}

func (s *solver) tooFewPlaces(g, wanted, room int) Reason {
	r := Reason{Code: TooFewPlaces, Wanted: wanted, Room: room, Remedy: MoreTables, Count: 1}
	if n := len(s.m.slots); n > 0 {
		r.Count = (wanted - room + n - 1) / n
	}
	if g > 0 {
		r.Participant = s.m.p.Tables[s.m.groups[g].tables[0]].Owner
	}
	return r
}

// slotless says why a meeting has no slot at all.
func (s *solver) slotless(i int32) Reason {
	t := &s.m.p.Meetings[i]
	if len(t.After) > 0 || len(s.m.meets[i].before) > 0 {
		r := Reason{Code: OutOfOrder, Meetings: []string{t.ID}, Remedy: MoreSlots, Count: 1}
		r.Meetings = append(r.Meetings, t.After...)
		for _, k := range s.m.meets[i].before {
			r.Meetings = append(r.Meetings, s.m.p.Meetings[k].ID)
		}
		return r
	}
	return Reason{Code: NoCommonSlot, Meetings: []string{t.ID}, Remedy: MoreAvailability, Count: 1}
}

// overall are the reasons of the problem as a whole.
func (s *solver) overall() []Reason {
	m := s.m
	list := s.impossible()
	if s.status == Impossible {
		if len(s.clash) > 0 {
			r := Reason{Code: Clash}
			for _, i := range s.clash {
				r.Meetings = append(r.Meetings, m.p.Meetings[i].ID)
			}
			list = append(list, r)
		}
		if len(list) == 0 {
			list = append(list, Reason{Code: Clash})
		}
		return list
	}
	for g := range m.groups {
		wanted, out := 0, false
		for i := range m.meets {
			if t := &m.meets[i]; int(t.group) == g && len(t.slots) > 0 {
				wanted++
				out = out || s.p.at[i] < 0
			}
		}
		if room := m.places(g); out && wanted > room {
			list = append(list, s.tooFewPlaces(g, wanted, room))
		}
	}
	for p := range m.parties {
		wanted := 0
		for _, i := range m.res[p].meetings {
			if len(m.meets[i].slots) > 0 {
				wanted++
			}
		}
		if room := m.placeable(&m.res[p]); room < wanted {
			list = append(list, Reason{Code: TooManyMeetings, Participant: m.p.Participants[p].ID, Wanted: wanted, Room: room, Remedy: MoreSlots, Count: wanted - room})
		}
	}
	return list
}

// unplaced says of each meeting that is not held what speaks against it.
func (s *solver) unplaced() []Unplaced {
	var list []Unplaced
	whole := map[string]Reason{}
	var full Reason
	for _, r := range s.overall() {
		switch r.Code {
		case TooManyMeetings:
			whole[r.Participant] = r
		case TooFewPlaces:
			if r.Participant == "" {
				full = r
			}
		}
	}
	for i := range s.m.meets {
		if s.p.at[i] < 0 {
			list = append(list, Unplaced{s.m.p.Meetings[i].ID, s.against(int32(i), whole, full)})
		}
	}
	return list
}

func (s *solver) against(i int32, whole map[string]Reason, full Reason) []Reason {
	m, p := s.m, s.p
	t := &m.meets[i]
	if len(t.slots) == 0 {
		return []Reason{s.slotless(i)}
	}
	var list []Reason
	for _, u := range t.uses {
		if int(u.of) >= m.parties {
			continue
		}
		x := &m.p.Participants[u.of]
		if p.held[u.of] >= p.maxes[u.of] {
			list = append(list, Reason{Code: AtMaximum, Participant: x.ID, Wanted: len(m.res[u.of].meetings), Room: x.Max, Remedy: HigherMaximum, Count: 1})
		} else if r, ok := whole[x.ID]; ok && int(p.held[u.of]) >= r.Room {
			list = append(list, r)
		}
	}
	if t.group == 0 && full.Code != "" && p.total(m.groups[0].resource) >= full.Room {
		list = append(list, full)
	}
	if len(list) > 0 {
		return list
	}
	tables, order := 0, 0
	taken := map[string]int{}
	var rivals []string
	for _, at := range t.slots {
		busy := false
		for _, u := range t.uses {
			if int(u.of) < m.parties && p.load[int(u.of)*p.slots+int(at)]+u.weight > m.res[u.of].room[at] {
				busy = true
				taken[m.p.Participants[u.of].ID]++
			}
		}
		switch {
		case busy:
		case !p.ordered(i, at):
			order++
		default:
			tables++
		}
	}
	if order > 0 {
		for _, k := range slices.Concat(t.after, t.before) {
			if p.at[k] >= 0 {
				rivals = append(rivals, m.p.Meetings[k].ID)
			}
		}
		list = append(list, Reason{Code: OutOfOrder, Meetings: rivals, Room: order, Remedy: MoreSlots, Count: 1})
	}
	switch {
	case tables > 0 && m.spread >= 0 && slices.ContainsFunc(t.slots, func(at int32) bool { return p.fits(i, at) }):
		list = append(list, Reason{Code: SpreadTooSmall})
	case tables > 0:
		r := Reason{Code: TablesTaken, Room: tables, Remedy: MoreTables, Count: 1}
		if t.group > 0 {
			r.Participant = m.owner(i)
		}
		list = append(list, r)
	case order == 0:
		r := Reason{Code: SlotsTaken, Room: len(t.slots), Remedy: MoreSlots, Count: 1}
		for _, u := range t.uses[:2] {
			// Whoever alone is in the way needs but one more person.
			if id := m.p.Participants[u.of].ID; taken[id] < len(t.slots) && taken[m.p.Participants[t.a+t.b-u.of].ID] == len(t.slots) {
				r.Remedy, r.Participant = MoreSeats, m.p.Participants[t.a+t.b-u.of].ID
			}
		}
		list = append(list, r)
	}
	return list
}

// total is how much of a resource is used in all slots.
func (p *plan) total(r int32) (n int) {
	for _, l := range p.load[int(r)*p.slots : (int(r)+1)*p.slots] {
		n += int(l)
	}
	return n
}
