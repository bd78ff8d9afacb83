package timetable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomProblem is a small event with something of everything.
func randomProblem(random *rand.Rand, booked bool) *Problem {
	p := &Problem{Online: random.IntN(4) == 0}
	slots := 2 + random.IntN(3)
	for s := range slots {
		p.Slots = append(p.Slots, Slot{ID: fmt.Sprint("s", s), Day: fmt.Sprint(s / (1 + random.IntN(4))), Closed: random.IntN(12) == 0})
	}
	slot := func() string { return p.Slots[random.IntN(slots)].ID }
	parties := 3 + random.IntN(4)
	for i := range parties {
		x := Participant{ID: fmt.Sprint("p", i), Min: random.IntN(2)}
		if random.IntN(3) == 0 {
			x.Away = append(x.Away, slot())
		}
		if random.IntN(4) == 0 {
			x.Max = 1 + random.IntN(3)
		}
		if random.IntN(4) == 0 {
			x.People = []Person{{ID: fmt.Sprint("p", i, "a")}, {ID: fmt.Sprint("p", i, "b"), Away: []string{slot()}}}
		}
		x.Staff = random.IntN(8) == 0
		p.Participants = append(p.Participants, x)
	}
	if !p.Online {
		for i := range 1 + random.IntN(3) {
			x := Table{ID: fmt.Sprint("t", i)}
			if random.IntN(4) == 0 {
				x.Owner = p.Participants[random.IntN(parties)].ID
			}
			if random.IntN(4) == 0 {
				x.Away = []string{slot()}
			}
			p.Tables = append(p.Tables, x)
		}
	}
	if random.IntN(3) == 0 {
		p.Spread = new(random.IntN(2))
	}
	for i := range 2 + random.IntN(6) {
		order := random.Perm(parties)
		m := Meeting{ID: fmt.Sprint("m", i), A: p.Participants[order[0]].ID, B: p.Participants[order[1]].ID, Score: random.IntN(5), Rank: Rank(random.IntN(2))}
		if random.IntN(8) == 0 && parties > 2 {
			m.With = []string{p.Participants[order[2]].ID}
		}
		if booked && random.IntN(3) > 0 || random.IntN(12) == 0 {
			m.Rank = Booked
		}
		if random.IntN(4) == 0 {
			m.Slots = []string{slot()}
		}
		if people := p.Participants[order[0]].People; len(people) > 0 && random.IntN(2) == 0 {
			m.People = []string{people[random.IntN(2)].ID}
		}
		if i > 0 && random.IntN(5) == 0 {
			m.After = []string{fmt.Sprint("m", random.IntN(i))}
		}
		if !p.Online && random.IntN(8) == 0 {
			m.Table = tableFor(p, &m)
		}
		p.Meetings = append(p.Meetings, m)
	}
	return p
}

// tableFor is a table at which a meeting can be held; "" for none.
func tableFor(p *Problem, m *Meeting) string {
	for _, owner := range []string{m.A, m.B} {
		for _, t := range p.Tables {
			if t.Owner == owner {
				return t.ID
			}
		}
	}
	for _, t := range p.Tables {
		if t.Owner == "" {
			return t.ID
		}
	}
	return ""
}

// worth is what a timetable holds, the most important first: musts, what is not
// lacking of minima, meetings, their fair shares.
type worth [4]int

func worthOf(p *Problem, list []Placement, v Report) worth {
	squares := 0
	for i := range p.Participants {
		x := &p.Participants[i]
		n := 0
		for k := range p.Meetings {
			if m := &p.Meetings[k]; with(m, x.ID) && slices.ContainsFunc(list, func(y Placement) bool { return y.Meeting == m.ID }) {
				n++
			}
		}
		if !x.Staff {
			squares += n * n
		}
	}
	return worth{v.Musts, -v.Shortfall, v.Held, -squares}
}

// best tries everything: what is worth most, and the fewest breaks of the chosen
// meetings. It gives tables by trying, too, and takes what Verify lets pass.
type best struct {
	p      *Problem
	found  bool
	musts  int
	held   int
	most   worth
	score  int64
	breaks map[string]int // fewest by the meetings held
	now    []Placement
}

func (b *best) try(i int) {
	if i == len(b.p.Meetings) {
		v := Verify(b.p, b.now)
		if len(v.Violations) > 0 {
			return
		}
		if !b.found || v.Musts > b.musts || v.Musts == b.musts && v.Held > b.held {
			b.musts, b.held = v.Musts, v.Held
		}
		if w := worthOf(b.p, b.now, v); !b.found || slices.Compare(w[:], b.most[:]) > 0 {
			b.most = w
		}
		b.found = true
		b.score = max(b.score, v.Score)
		key := heldKey(b.p, b.now)
		if n, ok := b.breaks[key]; !ok || v.Breaks < n {
			b.breaks[key] = v.Breaks
		}
		return
	}
	m := &b.p.Meetings[i]
	for _, s := range b.p.Slots {
		if s.Closed || len(m.Slots) > 0 && !has(m.Slots, s.ID) {
			continue
		}
		b.eachTable(m, s.ID, func(table string) {
			b.now = append(b.now, Placement{m.ID, s.ID, table})
			b.try(i + 1)
			b.now = b.now[:len(b.now)-1]
		})
	}
	if m.Rank != Booked {
		b.try(i + 1)
	}
}

// eachTable tries the free tables, of those that are alike the first only.
func (b *best) eachTable(m *Meeting, slot string, do func(string)) {
	if b.p.Online {
		do("")
		return
	}
	tried := map[string]bool{}
	for _, t := range b.p.Tables {
		taken := has(t.Away, slot)
		for _, x := range b.now {
			taken = taken || x.Slot == slot && x.Table == t.ID
		}
		alike := t.Owner
		for _, x := range b.p.Meetings {
			if x.Table == t.ID {
				alike = "=" + t.ID
			}
		}
		if taken || tried[alike] || m.Table != "" && m.Table != t.ID {
			continue
		}
		tried[alike] = true
		do(t.ID)
	}
}

func heldKey(p *Problem, list []Placement) string {
	at := map[string]bool{}
	for _, x := range list {
		at[x.Meeting] = true
	}
	key := ""
	for _, m := range p.Meetings {
		if at[m.ID] {
			key += m.ID + " "
		}
	}
	return key
}

// What Solve says of small events is what trying everything finds.
func TestSolveAgainstEverything(t *testing.T) {
	t.Parallel()
	n := 150
	if testing.Short() {
		n = 40
	}
	for seed := range uint64(n) {
		random := rand.New(rand.NewPCG(seed, 7))
		p := randomProblem(random, seed%2 == 0)
		r, err := Solve(context.Background(), p, Options{Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b := best{p: p, breaks: map[string]int{}}
		b.try(0)
		if r.Status == Undecided || (r.Status == Found) != b.found {
			t.Fatalf("seed %d: %v, but found by trying: %v", seed, r.Status, b.found)
		}
		if !b.found {
			if len(r.Reasons) == 0 {
				t.Errorf("seed %d: impossible without a reason", seed)
			}
			continue
		}
		v := Verify(p, r.Placements)
		if len(v.Violations) > 0 {
			t.Fatalf("seed %d: %v", seed, v.Violations)
		}
		musts, held, breaks := r.Measure(Musts), r.Measure(Held), r.Measure(Breaks)
		if musts.Bound < int64(b.musts) || musts.Bound == musts.Value && v.Musts < b.musts {
			t.Errorf("seed %d: %d musts and bound %d, but %d are possible", seed, musts.Value, musts.Bound, b.musts)
		}
		if v.Musts == b.musts && held.Bound < int64(b.held) {
			t.Errorf("seed %d: %d held and bound %d, but %d are possible", seed, held.Value, held.Bound, b.held)
		}
		if w := worthOf(p, r.Placements, v); p.Spread == nil && w != b.most {
			t.Errorf("seed %d: worth %v; possible is %v", seed, w, b.most)
		}
		if score := r.Measure(Score); score.Bound < b.score {
			t.Errorf("seed %d: score %d above the bound %d", seed, b.score, score.Bound)
		}
		least := b.breaks[heldKey(p, r.Placements)]
		if breaks.Bound > int64(least) || breaks.Value != int64(least) {
			t.Errorf("seed %d: %d breaks and bound %d, but %d are possible", seed, breaks.Value, breaks.Bound, least)
		}
		if breaks.Value != int64(v.Breaks) || held.Value != int64(v.Held) || musts.Value != int64(v.Musts) || r.Measure(TableMoves).Value != int64(v.TableMoves) ||
			r.Measure(Score).Value != v.Score || r.Measure(Shortfall).Value != int64(v.Shortfall) || r.Measure(MostBreaks).Value != int64(v.MostBreaks) {
			t.Errorf("seed %d: measured %v, counted %+v", seed, r.Measures, v)
		}
		for _, m := range r.Measures {
			worse := m.Value > m.Bound
			if m.Goal != Musts && m.Goal != Held && m.Goal != Score {
				worse = m.Value < m.Bound
			}
			if worse {
				t.Errorf("seed %d: %v is better than its bound", seed, m)
			}
		}
		if len(r.Placements)+len(r.Unplaced) != len(p.Meetings) {
			t.Errorf("seed %d: %d placed, %d unplaced of %d", seed, len(r.Placements), len(r.Unplaced), len(p.Meetings))
		}
		for _, u := range r.Unplaced {
			if len(u.Reasons) == 0 {
				t.Errorf("seed %d: %s is not held for no reason", seed, u.Meeting)
			}
		}
		again, err := Resolve(context.Background(), p, r.Placements, Options{Seed: seed + 1})
		if err != nil || again.Status != Found {
			t.Fatalf("seed %d: again %v, %v", seed, again.Status, err)
		}
		if d := Diff(r.Placements, again.Placements); len(d) > 0 {
			t.Errorf("seed %d: solved again, %d changes, first %+v", seed, len(d), d[0])
		}
	}
}
