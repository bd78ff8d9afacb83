package timetable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func mustSolve(t *testing.T, p *Problem, o Options) *Result {
	t.Helper()
	r, err := Solve(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if v := Verify(p, r.Placements); r.Status == Found && len(v.Violations) > 0 {
		t.Fatal(v.Violations)
	}
	return r
}

func smallEvent(seed uint64) *Problem {
	random := rand.New(rand.NewPCG(seed, 5))
	return Generate(Event{Participants: 12 + random.IntN(20), Wishes: 40 + random.IntN(80), Slots: 5 + random.IntN(6), Days: 1 + random.IntN(2), Tables: 3 + random.IntN(8),
		Absent: 0.5 * random.Float64(), Mixed: 0.4 * float64(random.IntN(2)), Seats: 0.2, Sessions: random.IntN(2) == 0, Owned: random.IntN(3), Seed: seed})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	n := 30
	if testing.Short() {
		n = 4
	}
	for seed := range uint64(n) {
		p := smallEvent(seed)
		r := mustSolve(t, p, Options{Seed: seed, Effort: 1})
		if musts, held := r.Measure(Musts), r.Measure(Held); r.Status != Found || !musts.Best() || !held.Best() {
			t.Errorf("seed %d: %v %v %v", seed, r.Status, musts, held)
		}
		again, err := Resolve(context.Background(), p, r.Placements, Options{Seed: seed + 1})
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(r.Placements, again.Placements); len(d) > 0 {
			t.Errorf("seed %d: solved again, %d changes, first %+v", seed, len(d), d[0])
		}
	}
}

// A further table or slot, a greater maximum or longer presence never lets fewer
// wishes be met.
func TestMoreRoomMeetsNoFewer(t *testing.T) {
	t.Parallel()
	n := 8
	if testing.Short() {
		n = 1
	}
	for seed := range uint64(n) {
		p := smallEvent(100 + seed)
		for i := range p.Participants {
			p.Participants[i].Max = int(seed+uint64(i)) % 7
		}
		r := mustSolve(t, p, Options{Seed: seed, Effort: 1})
		for what, more := range map[string]func(*Problem){
			"table": func(p *Problem) { p.Tables = append(slices.Clone(p.Tables), Table{ID: "more"}) },
			"slot": func(p *Problem) {
				p.Slots = append(slices.Clone(p.Slots), Slot{ID: "more", Day: p.Slots[len(p.Slots)-1].Day})
			},
			"maximum": func(p *Problem) {
				p.Participants = slices.Clone(p.Participants)
				for i := range p.Participants {
					if p.Participants[i].Max > 0 {
						p.Participants[i].Max++
					}
				}
			},
			"presence": func(p *Problem) {
				p.Participants = slices.Clone(p.Participants)
				for i := range p.Participants {
					p.Participants[i].Away = nil
				}
			},
		} {
			q := *p
			more(&q)
			wide := mustSolve(t, &q, Options{Seed: seed, Effort: 1})
			musts, held := r.Measure(Musts).Value, r.Measure(Held).Value
			if m, h := wide.Measure(Musts).Value, wide.Measure(Held).Value; m < musts || m == musts && h < held {
				t.Errorf("seed %d: %d musts and %d meetings, with one more %s %d and %d", seed, musts, held, what, m, h)
			}
			again, err := Resolve(context.Background(), &q, r.Placements, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if m := again.Measure(Musts).Value; m < musts || again.Measure(Held).Value < held {
				t.Errorf("seed %d: resolved with one more %s: %v", seed, what, again.Measures)
			}
		}
	}
}

func TestSameSeedSameTimetable(t *testing.T) {
	t.Parallel()
	p := smallEvent(7)
	a, b := mustSolve(t, p, Options{Seed: 3, Effort: 1}), mustSolve(t, p, Options{Seed: 3, Effort: 1})
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs of one seed differ")
	}
}

// A run that is stopped at any of its stages returns what it has, which is a
// timetable.
func TestStoppedRuns(t *testing.T) {
	t.Parallel()
	p := Generate(Event{Participants: 80, Wishes: 500, Slots: 12, Days: 2, Tables: 20, Absent: 0.3, Seats: 0.2})
	for stop := range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		r, err := Solve(ctx, p, Options{Effort: Endless, Progress: func(Progress) {
			if calls++; calls > stop {
				cancel()
			}
		}})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if v := Verify(p, r.Placements); len(v.Violations) > 0 {
			t.Errorf("stopped at call %d: %v", stop, v.Violations)
		}
		if stop > 1 && len(r.Placements) == 0 {
			t.Errorf("stopped at call %d: nothing", stop)
		}
	}
}

// What is locked stays; a table that is lost, a participant who leaves and a
// new wish change little else.
func TestResolve(t *testing.T) {
	t.Parallel()
	p := smallEvent(11)
	first := mustSolve(t, p, Options{})
	gone := first.Placements[0].Slot
	q := *p
	q.Tables = slices.Clone(p.Tables)
	q.Tables[len(q.Tables)-1].Away = []string{gone}
	r, err := Resolve(context.Background(), &q, first.Placements, Options{})
	if err != nil || r.Status != Found {
		t.Fatal(r.Status, err)
	}
	if v := Verify(&q, r.Placements); len(v.Violations) > 0 {
		t.Fatal(v.Violations)
	}
	if c := r.Measure(Changes).Value; int(c) != len(slices.DeleteFunc(Diff(first.Placements, r.Placements), func(d Change) bool { return d.Before == nil })) || c > 3 {
		t.Errorf("%d changes for one table in one slot: %+v", c, Diff(first.Placements, r.Placements))
	}
	locked := Lock(p, first.Placements, func(string) bool { return true })
	second := mustSolve(t, locked, Options{Seed: 9})
	for _, d := range Diff(first.Placements, second.Placements) {
		if d.Before != nil {
			t.Errorf("locked, and changed: %+v", d)
		}
	}
}

// complete is everybody with everybody.
func complete(n, slots, tables int) *Problem {
	p := &Problem{}
	for i := range slots {
		p.Slots = append(p.Slots, Slot{ID: fmt.Sprint("s", i)})
	}
	for i := range tables {
		p.Tables = append(p.Tables, Table{ID: fmt.Sprint("t", i)})
	}
	for i := range n {
		p.Participants = append(p.Participants, Participant{ID: fmt.Sprint("p", i)})
		for k := range i {
			p.Meetings = append(p.Meetings, Meeting{ID: fmt.Sprint("m", k, "-", i), A: fmt.Sprint("p", k), B: fmt.Sprint("p", i), Rank: Booked})
		}
	}
	return p
}

// What cannot be is proven to be so, and why.
func TestImpossible(t *testing.T) {
	t.Parallel()
	apart := complete(2, 2, 1)
	apart.Participants[0].Away, apart.Participants[1].Away = []string{"s0"}, []string{"s1"}
	ring := complete(4, 6, 2)
	ring.Meetings[0].After = []string{ring.Meetings[1].ID}
	ring.Meetings[1].After = []string{ring.Meetings[0].ID}
	clash := complete(4, 5, 2)
	clash.Meetings[0].Slots, clash.Meetings[1].Slots, clash.Meetings[2].Slots = []string{"s0", "s1"}, []string{"s0", "s1"}, []string{"s0", "s1"}
	// Four meetings of different people are to be in the first of two slots, which
	// together have places enough.
	morning := complete(8, 2, 3)
	morning.Meetings = nil
	for i := range 4 {
		morning.Meetings = append(morning.Meetings, Meeting{ID: fmt.Sprint(i), A: fmt.Sprint("p", i), B: fmt.Sprint("p", i+4), Rank: Booked, Slots: []string{"s0"}})
	}
	// Each of three has two slots for two meetings, but two at once are not to be had.
	three := complete(3, 3, 3)
	three.Meetings[2].Slots = []string{"s0", "s1"}
	three.Meetings[1].Slots, three.Meetings[0].Slots = three.Meetings[2].Slots, three.Meetings[2].Slots
	for name, x := range map[string]struct {
		p    *Problem
		code Code
	}{
		"apart":       {apart, NoCommonSlot},
		"few slots":   {complete(6, 4, 3), TooManyMeetings},
		"few tables":  {complete(6, 5, 2), TooFewPlaces},
		"odd":         {complete(9, 8, 4), TooFewPlaces},
		"odd, tables": {complete(9, 8, 9), Clash},
		"morning":     {morning, TooFewPlaces},
		"three":       {three, Clash},
		"ring":        {ring, OutOfOrder},
		"clash":       {clash, Clash},
	} {
		r := mustSolve(t, x.p, Options{})
		if r.Status != Impossible || len(r.Reasons) == 0 || r.Reasons[0].Code != x.code {
			t.Errorf("%s: %v %+v", name, r.Status, r.Reasons)
		}
	}
	if r := mustSolve(t, complete(8, 7, 4), Options{}); r.Status != Found {
		t.Errorf("a tournament of eight: %v %+v", r.Status, r.Reasons)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	p := complete(2, 4, 2)
	p.Participants, p.Meetings = nil, nil
	add := func(id string, change func(*Participant)) {
		x := Participant{ID: id}
		if change != nil {
			change(&x)
		}
		p.Participants = append(p.Participants, x)
	}
	wish := func(a, b string) {
		p.Meetings = append(p.Meetings, Meeting{ID: a + b, A: a, B: b})
	}
	add("busy", func(x *Participant) { x.Away = []string{"s0", "s1"} })
	add("modest", func(x *Participant) { x.Max = 1 })
	add("early", func(x *Participant) { x.Away = []string{"s2", "s3"} })
	add("a", nil)
	add("b", nil)
	add("c", nil)
	wish("busy", "a")
	wish("busy", "b")
	wish("busy", "c")
	wish("busy", "early")
	wish("modest", "a")
	wish("modest", "b")
	r := mustSolve(t, p, Options{})
	got := map[Code]Reason{}
	for _, u := range r.Unplaced {
		for _, x := range u.Reasons {
			got[x.Code] = x
		}
	}
	if x := got[NoCommonSlot]; !slices.Equal(x.Meetings, []string{"busyearly"}) || x.Remedy != MoreAvailability {
		t.Errorf("%+v", x)
	}
	if x := got[TooManyMeetings]; x.Participant != "busy" || x.Wanted != 3 || x.Room != 2 || x.Remedy != MoreSlots || x.Count != 1 {
		t.Errorf("%+v", x)
	}
	if x := got[AtMaximum]; x.Participant != "modest" || x.Wanted != 2 || x.Room != 1 || x.Remedy != HigherMaximum {
		t.Errorf("%+v", x)
	}
	if m := r.Measure(Held); m.Value != 3 || !m.Best() {
		t.Errorf("%+v", m)
	}

	few := complete(12, 11, 2)
	for i := range few.Meetings {
		few.Meetings[i].Rank = Want
	}
	r = mustSolve(t, few, Options{})
	if x := r.Unplaced[0].Reasons[0]; x.Code != TooFewPlaces || x.Wanted != 66 || x.Room != 22 || x.Remedy != MoreTables || x.Count != 4 {
		t.Errorf("%+v", x)
	}
}

// Among as many meetings, those of who has few come first, and then scores.
func TestFairChoice(t *testing.T) {
	t.Parallel()
	p := complete(2, 2, 1)
	p.Participants, p.Meetings = nil, nil
	for _, id := range []string{"city1", "city2", "x", "y"} {
		p.Participants = append(p.Participants, Participant{ID: id})
	}
	for k, pair := range [][2]string{{"city1", "x"}, {"city1", "y"}, {"city2", "x"}, {"city2", "y"}} {
		p.Meetings = append(p.Meetings, Meeting{ID: fmt.Sprint(k), A: pair[0], B: pair[1], Score: []int{9, 9, 1, 2}[k]})
	}
	r := mustSolve(t, p, Options{})
	held := []string{r.Placements[0].Meeting, r.Placements[1].Meeting}
	slices.Sort(held)
	if !slices.Equal(held, []string{"0", "3"}) {
		t.Errorf("%v", held)
	}
}

func BenchmarkSolve(b *testing.B) {
	for _, e := range []Event{
		{Participants: 60, Wishes: 300, Slots: 10, Days: 1, Tables: 20, Absent: 0.2, Seats: 0.1},
		{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 60, Absent: 0.3, Seats: 0.2},
	} {
		b.Run(fmt.Sprintf("%dx%d", e.Participants, e.Wishes), func(b *testing.B) {
			p := Generate(e)
			for b.Loop() {
				r, err := Solve(context.Background(), p, Options{})
				if err != nil || r.Status != Found {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Measure(Breaks).Value), "breaks")
				b.ReportMetric(float64(r.Measure(Held).Value), "held")
				b.ReportMetric(float64(r.Measure(Held).Bound), "bound")
			}
		})
	}
}
