package timetable

import "fmt"

// Report is what Verify finds.
type Report struct {
	Violations []string // sentences; none: every condition holds

	Booked     int // meetings that must be held
	Musts      int
	Held       int
	Shortfall  int
	Score      int64
	Breaks     int
	MostBreaks int
	LeastBreaks,
	TableMoves int
}

// Verify checks a timetable against every condition of its problem and counts
// anew what it is worth. It shares no code with the solver, and goes by the
// words of the problem alone: it is slow, and easy to read.
func Verify(p *Problem, placements []Placement) Report {
	v := verifier{p: p, meetings: map[string]*Meeting{}, slots: map[string]int{}, at: map[string]Placement{}}
	for i := range p.Meetings {
		v.meetings[p.Meetings[i].ID] = &p.Meetings[i]
	}
	for i, s := range p.Slots {
		v.slots[s.ID] = i
	}
	for _, x := range placements {
		if _, twice := v.at[x.Meeting]; twice {
			v.wrong("meeting %s is held twice", x.Meeting)
		}
		v.at[x.Meeting] = x
		v.meeting(x)
	}
	for i := range p.Meetings {
		m := &p.Meetings[i]
		x, held := v.at[m.ID]
		if m.Rank == Booked && !held {
			v.wrong("meeting %s is booked and not held", m.ID)
		}
		for _, k := range m.After {
			if y, ok := v.at[k]; ok && held && v.slots[y.Slot] >= v.slots[x.Slot] {
				v.wrong("meeting %s is not before meeting %s", k, m.ID)
			}
		}
		if held {
			v.Held++
			v.Score += int64(m.Score)
			switch m.Rank {
			case Booked:
				v.Booked++
			case Must:
				v.Musts++
			}
		}
	}
	v.tables(placements)
	first := true
	for i := range p.Participants {
		v.participant(&p.Participants[i], &first)
	}
	if p.Spread != nil && v.MostBreaks-v.LeastBreaks > *p.Spread {
		v.wrong("one participant has %d breaks and one %d", v.MostBreaks, v.LeastBreaks)
	}
	return v.Report
}

type verifier struct {
	Report
	p        *Problem
	meetings map[string]*Meeting
	slots    map[string]int
	at       map[string]Placement
}

func (v *verifier) wrong(format string, args ...any) {
	v.Violations = append(v.Violations, fmt.Sprintf(format, args...))
}

func has(list []string, id string) bool {
	for _, x := range list {
		if x == id {
			return true
		}
	}
	return false
}

// with says whether a participant takes part in a meeting.
func with(m *Meeting, id string) bool { return m.A == id || m.B == id || has(m.With, id) }

// meeting checks what concerns one placement alone.
func (v *verifier) meeting(x Placement) {
	m, ok := v.meetings[x.Meeting]
	if !ok {
		v.wrong("there is no meeting %s", x.Meeting)
		v.meetings[x.Meeting] = &Meeting{ID: x.Meeting}
		return
	}
	s, ok := v.slots[x.Slot]
	if !ok {
		v.wrong("meeting %s: there is no slot %s", m.ID, x.Slot)
		return
	}
	if v.p.Slots[s].Closed || len(m.Slots) > 0 && !has(m.Slots, x.Slot) {
		v.wrong("meeting %s cannot be held in slot %s", m.ID, x.Slot)
	}
	if m.Table != "" && m.Table != x.Table {
		v.wrong("meeting %s is not at table %s", m.ID, m.Table)
	}
}

// tables checks that each meeting has a table that it may have, alone.
func (v *verifier) tables(placements []Placement) {
	if v.p.Online {
		for _, x := range placements {
			if x.Table != "" {
				v.wrong("meeting %s has a table online", x.Meeting)
			}
		}
		return
	}
	owned := map[string]bool{}
	tables := map[string]Table{}
	for _, t := range v.p.Tables {
		owned[t.Owner] = true
		tables[t.ID] = t
	}
	owned[""] = false
	taken := map[[2]string]string{}
	for _, x := range placements {
		t, ok := tables[x.Table]
		if !ok {
			v.wrong("meeting %s: there is no table %q", x.Meeting, x.Table)
			continue
		}
		if has(t.Away, x.Slot) {
			v.wrong("meeting %s: table %s is away in slot %s", x.Meeting, t.ID, x.Slot)
		}
		m := v.meetings[x.Meeting]
		owner := ""
		if owned[m.A] {
			owner = m.A
		} else if owned[m.B] {
			owner = m.B
		}
		if t.Owner != owner {
			v.wrong("meeting %s cannot be at table %s", x.Meeting, t.ID)
		}
		key := [2]string{x.Slot, x.Table}
		if other, ok := taken[key]; ok {
			v.wrong("meetings %s and %s are at table %s in slot %s", other, x.Meeting, x.Table, x.Slot)
		}
		taken[key] = x.Meeting
	}
}

// participant checks a participant and its people, and counts its breaks,
// moves and shortfall.
func (v *verifier) participant(x *Participant, first *bool) {
	people := x.People
	if len(people) == 0 {
		people = []Person{{}}
	}
	count, beyond := 0, 0
	bySlot := make([][]Placement, len(v.p.Slots))
	for i := range v.p.Meetings {
		m := &v.p.Meetings[i]
		y, held := v.at[m.ID]
		if !held || !with(m, x.ID) {
			continue
		}
		if s, ok := v.slots[y.Slot]; ok {
			bySlot[s] = append(bySlot[s], y)
			if count++; m.Rank != Booked {
				beyond++
			}
		}
	}
	if x.Max > 0 && count > x.Max && beyond > 0 {
		v.wrong("participant %s has %d meetings and may have %d", x.ID, count, x.Max)
	}
	v.Shortfall += max(0, x.Min-count)
	for s, list := range bySlot {
		slot := v.p.Slots[s].ID
		here := 0
		for _, who := range people {
			if !has(who.Away, slot) && !has(x.Away, slot) {
				here++
			}
		}
		needed := 0
		sits := map[string]string{}
		for _, y := range list {
			named := 0
			for _, who := range people {
				if who.ID == "" || !has(v.meetings[y.Meeting].People, who.ID) {
					continue
				}
				named++
				if has(who.Away, slot) || has(x.Away, slot) {
					v.wrong("person %s is away in slot %s", who.ID, slot)
				}
				if other, ok := sits[who.ID]; ok {
					v.wrong("person %s is in meetings %s and %s in slot %s", who.ID, other, y.Meeting, slot)
				}
				sits[who.ID] = y.Meeting
			}
			needed += max(1, named)
		}
		if needed > here {
			v.wrong("participant %s needs %d persons in slot %s and has %d", x.ID, needed, slot, here)
		}
	}
	if x.Staff {
		return
	}
	breaks := 0
	day, last, gap, table := "", false, false, ""
	for s, list := range bySlot {
		if v.p.Slots[s].Closed {
			continue
		}
		if v.p.Slots[s].Day != day {
			day, last, gap, table = v.p.Slots[s].Day, false, false, ""
		}
		if len(list) == 0 {
			gap = last
			continue
		}
		if gap {
			breaks++
		}
		if last && len(people) == 1 && table != list[0].Table {
			v.TableMoves++
		}
		last, gap, table = true, false, list[0].Table
	}
	v.Breaks += breaks
	v.MostBreaks = max(v.MostBreaks, breaks)
	if *first || breaks < v.LeastBreaks {
		v.LeastBreaks = breaks
	}
	*first = false
}
