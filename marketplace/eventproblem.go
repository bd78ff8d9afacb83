package marketplace

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"citymarket/marketplace/timetable"
)

// A RunMode says from what a run makes a timetable.
type RunMode string

// The modes of runs.
const (
	RunNew          RunMode = "NEW"           // from the wishes and pairings alone
	RunAroundLocked RunMode = "AROUND_LOCKED" // from the draft with as few changes as possible; what is locked there stays
	RunOnlyUnbooked RunMode = "ONLY_UNBOOKED" // what is in the draft stays, and what is not is added where it fits
)

// RunModes are all of them.
var RunModes = []RunMode{RunNew, RunAroundLocked, RunOnlyUnbooked}

// Values of wishes, of which Reciprocal makes the score of a meeting: among
// those of a level the first counts most. With maxWishes of them the last must
// is still worth more than the first want.
const (
	mustValue = 1000
	wantValue = 500
	rankValue = 2 // by which each further wish of a level is worth less
)

// value is what a wish gives to a meeting.
func (w *DemandWish) value() int {
	switch {
	case w == nil:
		return 0
	case w.Level == WishMust:
		return mustValue - rankValue*(w.Rank-1)
	}
	return wantValue - rankValue*(w.Rank-1)
}

// rank is how much a pair is asked for, and score what their meeting is worth
// among those of its rank. Of what is only wanted by participants, those who
// have met before count a quarter less.
func (p *DemandPair) rank() timetable.Rank {
	must := func(w *DemandWish) bool { return w != nil && w.Level == WishMust }
	switch {
	case p.Pairing != nil && p.Pairing.Level == PairLocked:
		return timetable.Booked
	case must(p.WishA) || must(p.WishB) || p.Pairing != nil && p.Pairing.Level == PairMust:
		return timetable.Must
	}
	return timetable.Want
}

func (p *DemandPair) score(hasMet bool) int {
	score := timetable.Reciprocal(p.WishA.value(), p.WishB.value())
	switch {
	case p.Pairing == nil:
		if hasMet && p.rank() == timetable.Want {
			score -= score / 4
		}
	case p.Pairing.Level == PairWant:
		score = max(score, wantValue)
	default:
		score = max(score, mustValue)
	}
	return score
}

// A posing is an assembly in the words of the solver.
type posing struct {
	*timetable.Problem
	earlier []timetable.Placement // the draft, for fewest changes
	past    []Placement           // of slots that have begun: they stay, and are no part of the problem
	fixed   map[duo]Placement     // what stays, by the solver's own rules
	adrift  []duo                 // what was to stay, and cannot where it is
}

// meetingName names a pair for the solver, as "city_oslo company_acme".
func meetingName(x duo) string { return string(x[0]) + " " + string(x[1]) }

func namedPair(s string) duo {
	a, b, _ := strings.Cut(s, " ")
	return duo{ID(a), ID(b)}
}

// pose puts the problem, with what stays of a draft. What cannot stay, since
// something has changed that stands against it, is asked for like anything else.
func (a *assembly) pose(mode RunMode, draft []Placement, hasMet map[duo]bool) *posing {
	x := &posing{Problem: &timetable.Problem{}, fixed: map[duo]Placement{}}
	checked := newSchedule(a)
	for _, p := range draft {
		slot := a.Event.SlotAt(p.Slot)
		stays := mode == RunOnlyUnbooked || mode == RunAroundLocked && p.IsLocked
		switch {
		case slot >= 0 && a.isPast(slot):
			x.past = append(x.past, p)
		case stays:
			if hard, _ := checked.admit(p); len(hard) == 0 {
				x.fixed[p.pair()] = p
			} else {
				x.adrift = append(x.adrift, p.pair())
			}
		}
		if slot >= 0 && mode == RunAroundLocked {
			x.earlier = append(x.earlier, timetable.Placement{Meeting: meetingName(p.pair()), Slot: strconv.Itoa(slot), Table: p.Table})
		}
	}
	gone := map[duo]bool{}
	had := make([]int, len(a.Participants)) // meetings that are no part of the problem
	count := func(m duo) {
		gone[m] = true
		for _, id := range m {
			if i, ok := a.number[id]; ok {
				had[i]++
			}
		}
	}
	for _, p := range x.past {
		count(p.pair())
	}
	for m := range a.had {
		count(m)
	}
	bare := newSchedule(a) // what is no part of the problem
	a.poseSlots(x, bare.taken)
	with := a.poseParticipants(x, had)
	a.poseInterpreters(x, bare.spoken)
	a.poseMeetings(x, gone, had, hasMet, with)
	return x
}

// interpreters name those who interpret, for the solver: a participant that
// sends one person to each meeting that needs it.
const interpreters = "interpreters"

func (a *assembly) poseInterpreters(x *posing, spoken []int) {
	if a.Event.InterpreterCount == nil {
		return
	}
	who := timetable.Participant{ID: interpreters, Staff: true}
	for n := range *a.Event.InterpreterCount {
		p := timetable.Person{ID: interpreters + "#" + strconv.Itoa(n)}
		for k := range a.Event.Slots {
			if n < spoken[k] {
				p.Away = append(p.Away, strconv.Itoa(k))
			}
		}
		who.People = append(who.People, p)
	}
	if len(who.People) == 0 {
		who.Away = a.away(make([]bool, len(a.Event.Slots)), nil)
	}
	x.Participants = append(x.Participants, who)
}

func (a *assembly) poseSlots(x *posing, taken []map[string]duo) {
	for k, s := range a.Event.Slots {
		x.Slots = append(x.Slots, timetable.Slot{ID: strconv.Itoa(k), Day: strconv.Itoa(s.Day), Closed: s.IsBlocked || a.isPast(k)})
	}
	if x.Online = len(a.Event.Tables) == 0; x.Online {
		return
	}
	for _, t := range a.tables {
		table := timetable.Table{ID: t.Name, Owner: string(t.Member)}
		for k := range a.Event.Slots {
			if _, ok := taken[k][t.Name]; ok {
				table.Away = append(table.Away, strconv.Itoa(k))
			}
		}
		x.Tables = append(x.Tables, table)
	}
}

// poseParticipants puts who takes part. A person who comes for several members
// is counted for one of them: that with the fewest delegates. Where such a
// person is the only one of a member, all of its meetings need that person,
// who is a participant of their own then; the result says who needs whom.
func (a *assembly) poseParticipants(x *posing, had []int) (with map[int]string) {
	with = map[int]string{}
	shared := map[string][]int{}
	for i, keys := range a.persons {
		for _, key := range keys {
			shared[key] = append(shared[key], i)
		}
	}
	counts := map[string]int{} // for whom a shared person is counted; -1: for nobody
	var staff []timetable.Participant
	for _, key := range slices.Sorted(maps.Keys(shared)) {
		in := shared[key]
		if len(in) == 1 {
			continue
		}
		best := slices.MinFunc(in, func(i, j int) int {
			return cmp.Or(cmp.Compare(len(a.persons[i]), len(a.persons[j])), cmp.Compare(i, j))
		})
		counts[key] = best
		if len(a.persons[best]) > 1 {
			continue
		}
		counts[key] = -1
		who := timetable.Participant{ID: "person " + key, Staff: true}
		for _, i := range in {
			if len(a.persons[i]) == 1 {
				with[i] = who.ID
				who.People = []timetable.Person{{ID: key, Away: a.away(a.free[i][0], nil)}}
			}
		}
		staff = append(staff, who)
	}
	for _, i := range a.byMember() {
		p := a.Participants[i]
		r := p.Registration
		who := timetable.Participant{ID: string(r.Member), Min: max(p.Minimum-had[i], 0), Max: max(p.Maximum-had[i], 0)}
		sent := make([]int, len(a.Event.Slots)) // to sessions
		for k := len(r.Delegates) - 1; k >= 0; k-- {
			key := a.persons[i][k]
			if at, ok := counts[key]; ok && at != i && with[i] == "" {
				continue
			}
			away := a.away(a.free[i][k], func(slot int) bool {
				if sent[slot] >= a.busy[i][slot] {
					return false
				}
				sent[slot]++
				return true
			})
			who.People = append(who.People, timetable.Person{ID: string(r.Member) + "#" + strconv.Itoa(k), Away: away})
		}
		if len(who.People) == 0 { // all of them are counted for others
			who.Away = a.away(make([]bool, len(a.Event.Slots)), nil)
		}
		x.Participants = append(x.Participants, who)
	}
	x.Participants = append(x.Participants, staff...)
	return with
}

// byMember are the participants in the order of their members' ids, so that the
// same problem is posed whoever registered first.
func (a *assembly) byMember() []int {
	order := make([]int, len(a.Participants))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(a.member(i), a.member(j)) })
	return order
}

// away are the slots in which somebody cannot meet; sends says whether they are
// sent elsewhere in one in which they could.
func (a *assembly) away(free []bool, sends func(slot int) bool) []string {
	var out []string
	for k, is := range free {
		if !is || sends != nil && sends(k) {
			out = append(out, strconv.Itoa(k))
		}
	}
	return out
}

func (a *assembly) poseMeetings(x *posing, gone map[duo]bool, had []int, hasMet map[duo]bool, with map[int]string) {
	add := func(m duo, t timetable.Meeting) {
		t.ID, t.A, t.B = meetingName(m), string(m[0]), string(m[1])
		for _, id := range m {
			if staff := with[a.number[id]]; staff != "" && !slices.Contains(t.With, staff) {
				t.With = append(t.With, staff)
			}
		}
		if i, ok := a.number[m[0]]; ok {
			if j, ok := a.number[m[1]]; ok && a.interprets(i, j) {
				t.With = append(t.With, interpreters)
			}
		}
		x.Meetings = append(x.Meetings, t)
	}
	fix := func(t timetable.Meeting, p Placement) timetable.Meeting {
		t.Rank, t.Slots, t.Table = timetable.Booked, []string{strconv.Itoa(a.Event.SlotAt(p.Slot))}, p.Table
		return t
	}
	seen := map[duo]bool{}
	sorted := slices.SortedFunc(slices.Values(a.Pairs), func(p, q DemandPair) int { m, n := a.pairOf(p), a.pairOf(q); return slices.Compare(m[:], n[:]) })
	for _, p := range sorted {
		m := a.pairOf(p)
		if seen[m] = true; gone[m] {
			continue
		}
		t := timetable.Meeting{Rank: p.rank(), Score: p.score(hasMet[m])}
		if at, ok := x.fixed[m]; ok {
			add(m, fix(t, at))
			continue
		}
		if t.Rank != timetable.Booked && (had[p.A] >= a.Participants[p.A].Maximum || had[p.B] >= a.Participants[p.B].Maximum) {
			continue // 0 as a maximum means any number to the solver
		}
		if p.Pairing != nil {
			if t.Table = p.Pairing.Table; !slices.ContainsFunc(a.tables, func(o EventTable) bool { return o.Name == t.Table }) {
				t.Table = ""
			}
			if p.Pairing.Slot != nil {
				if slot := a.Event.SlotAt(*p.Pairing.Slot); slot >= 0 {
					t.Slots = []string{strconv.Itoa(slot)}
				}
			}
		}
		if t.Rank == timetable.Booked && !a.canLock(p) {
			t.Rank = timetable.Must // the result says why it has no place
		}
		add(m, t)
	}
	for _, p := range sortedPlacements(x.fixed) {
		if m := p.pair(); !seen[m] && !gone[m] {
			add(m, fix(timetable.Meeting{}, p))
		}
	}
	for _, m := range x.adrift { // also those of the secretariat's own, for which nobody asks
		i, ok1 := a.number[m[0]]
		j, ok2 := a.number[m[1]]
		if seen[m] || gone[m] || a.refused[m] || !ok1 || !ok2 || had[i] >= a.Participants[i].Maximum || had[j] >= a.Participants[j].Maximum {
			continue
		}
		add(m, timetable.Meeting{Rank: timetable.Must, Score: mustValue})
	}
	if len(x.Meetings) > timetable.MaxMeetings {
		slices.SortStableFunc(x.Meetings, func(s, t timetable.Meeting) int {
			return cmp.Or(cmp.Compare(t.Rank, s.Rank), cmp.Compare(t.Score, s.Score))
		})
		x.Meetings = x.Meetings[:timetable.MaxMeetings]
	}
}

// canLock says whether there is a slot at all in which a pair that the
// secretariat has locked could meet.
func (a *assembly) canLock(p DemandPair) bool {
	if a.interprets(p.A, p.B) && *a.Event.InterpreterCount == 0 {
		return false
	}
	if p.Pairing.Slot != nil {
		slot := a.Event.SlotAt(*p.Pairing.Slot)
		return slot >= 0 && !a.isPast(slot) && a.seats(p.A, slot) > 0 && a.seats(p.B, slot) > 0
	}
	return a.common(p.A, p.B) > 0
}

func sortedPlacements(list map[duo]Placement) []Placement {
	return slices.SortedFunc(maps.Values(list), comparePlacements)
}

// answer is the timetable that the solver has found, with what was no part of
// the problem. What is locked is what was fixed, and what the secretariat has locked.
func (x *posing) answer(a *assembly, found []timetable.Placement, draft []Placement) []Placement {
	locked := map[duo]bool{}
	for _, p := range draft {
		locked[p.pair()] = p.IsLocked
	}
	for _, p := range a.Pairs {
		if p.rank() == timetable.Booked {
			locked[a.pairOf(p)] = true
		}
	}
	out := slices.Clone(x.past)
	for _, f := range found {
		slot, err := strconv.Atoi(f.Slot)
		if err != nil {
			continue
		}
		m := namedPair(f.Meeting)
		_, fixed := x.fixed[m]
		at := a.Event.Slots[slot].StartsAt.Truncate(time.Second)
		out = append(out, Placement{A: m[0], B: m[1], Slot: at, Table: f.Table, IsLocked: locked[m] && (fixed || a.pairings[m])})
	}
	slices.SortFunc(out, comparePlacements)
	return out
}
