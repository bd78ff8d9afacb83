package timetable

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"citymarket/marketplace/timetable/internal/sat"
)

// What one unit of effort is.
const (
	huntSteps      = 25_000
	polishSteps    = 100_000
	proofConflicts = 5_000

	usualEffort = 4

	mostHunts  = 32 // units after which more meetings are hardly found
	mostTrades = 6  // likewise better ones of as many
)

// solver is one run.
type solver struct {
	m      *model
	p      *plan
	o      Options
	pick   *pick
	random *rand.Rand
	order  []int32 // of insertion: the more important and the more constrained first

	status      Status
	clash       []int32
	keep        []int32 // tables of the earlier timetable, by meeting
	was         []int32 // its slots
	breaksBound int64
	proven      gain // what cannot be more, given what is before it; -1 for what was not proven
}

func newSolver(p *Problem, o Options) (*solver, error) {
	m, err := compile(p)
	if err != nil {
		return nil, err
	}
	if o.Effort == 0 {
		o.Effort = usualEffort
	}
	o.Effort = min(max(o.Effort, 1), Endless)
	s := &solver{m: m, p: newPlan(m), o: o, random: rand.New(rand.NewPCG(o.Seed, 1)), proven: gain{-1, -1, -1, -1, -1, -1}}
	for i := range m.meets {
		s.order = append(s.order, int32(i))
	}
	slices.SortStableFunc(s.order, func(a, b int32) int {
		x, y := &m.meets[a], &m.meets[b]
		return cmp.Or(cmp.Compare(y.rank, x.rank), cmp.Compare(len(x.slots), len(y.slots)), cmp.Compare(y.score, x.score))
	})
	return s, nil
}

func (s *solver) report(stage Stage, breaks int) {
	if s.o.Progress == nil {
		return
	}
	held := 0
	for _, at := range s.p.at {
		if at >= 0 {
			held++
		}
	}
	of := held
	if s.pick != nil {
		of = int(s.heldBound())
	}
	s.o.Progress(Progress{Stage: stage, Held: held, Of: of, Breaks: breaks, BreaksBound: int(s.breaksBound)})
}

func (s *solver) booked() (list []int32) {
	for _, i := range s.order {
		if s.m.meets[i].rank == Booked {
			list = append(list, i)
		}
	}
	return list
}

// sets are the meetings that are booked and those that may be held.
func (s *solver) sets() (must, may []bool) {
	must, may = make([]bool, len(s.m.meets)), make([]bool, len(s.m.meets))
	for i := range s.m.meets {
		must[i] = s.m.meets[i].rank == Booked
		may[i] = !must[i] && len(s.m.meets[i].slots) > 0
	}
	return must, may
}

func (s *solver) solve(ctx context.Context) *Result {
	s.report(Choosing, 0)
	s.pick = choose(ctx, s.m)
	s.report(Placing, 0)
	if s.placeBooked(ctx); s.status != Found {
		return s.result(ctx)
	}
	s.placeChosen(ctx)
	s.fewerBreaks(ctx)
	if s.keepSpread(ctx); s.status == Found {
		s.fill(ctx)
	}
	return s.result(ctx)
}

// placeBooked gives slots to everything that must have one, or proves that
// there are none.
func (s *solver) placeBooked(ctx context.Context) {
	booked := s.booked()
	if len(s.impossible()) > 0 {
		s.status = Impossible
		return
	}
	for _, i := range booked {
		if ctx.Err() == nil {
			s.p.insert(i)
		}
	}
	s.p.mark()
	must, _ := s.sets()
	none := make([]bool, len(must))
	done := func() bool { return !slices.ContainsFunc(booked, func(i int32) bool { return s.p.at[i] < 0 }) }
	for work := 1; !done() && ctx.Err() == nil; work *= 2 {
		newHunt(s.p, booked, s.random).run(ctx, work*huntSteps/2, gain{int64(len(booked))})
		if done() {
			break
		}
		at, status := feasible(ctx, s.m, must, none, len(booked) == len(s.m.meets), int64(work)*proofConflicts)
		switch status {
		case sat.Satisfiable:
			s.p.take(at)
		case sat.Unsatisfiable:
			s.status = Impossible
			s.clash = clash(ctx, s.m, must, proofConflicts)
			return
		}
		if work >= 8*s.o.Effort {
			break
		}
	}
	if done() {
		s.status = Found
	}
}

// placeChosen gives slots to what was chosen, then to whatever else finds room.
func (s *solver) placeChosen(ctx context.Context) {
	var chosen, rest []int32
	for _, i := range s.order {
		switch {
		case s.m.meets[i].rank == Booked || len(s.m.meets[i].slots) == 0:
		case s.pick.chosen[i]:
			chosen = append(chosen, i)
		default:
			rest = append(rest, i)
		}
	}
	if len(chosen)+len(rest) == 0 {
		return
	}
	for _, i := range chosen {
		if ctx.Err() != nil {
			return
		}
		s.p.insert(i)
		s.p.mark()
	}
	// First as many as can be, then the best of them.
	ceiling := s.ceiling()
	enough := ceiling
	enough[gainFair], enough[gainScore] = math.MinInt64, 0
	effort := min(s.o.Effort, mostHunts)
	newHunt(s.p, chosen, s.random).run(ctx, effort*huntSteps/2, enough)
	every := append(slices.Clone(chosen), rest...)
	s.p.fill(ctx, every)
	short := func() bool { return s.p.tally().less(enough) && ctx.Err() == nil }
	for n := 0; n < 3 && short(); n++ {
		newHunt(s.p, every, s.random).run(ctx, effort*huntSteps, enough)
	}
	if short() {
		var at []int32
		must, may := s.sets()
		at, s.proven = chooseExactly(ctx, s.m, must, may, slices.Clone(s.p.at), ceiling, int64(effort)*proofConflicts)
		p := newPlan(s.m)
		if p.take(at); s.p.tally().less(p.tally()) {
			s.p.take(at)
		}
	}
	newHunt(s.p, every, s.random).run(ctx, min(s.o.Effort, mostTrades)*huntSteps/2, ceiling)
}

// fill inserts what can still be. Nothing changes after it but tables.
func (s *solver) fill(ctx context.Context) {
	if s.p.fill(ctx, s.order) {
		s.breaksBound = 0 // was proven for fewer meetings
	}
}

func (s *solver) breaks() (n int) {
	for x := range s.m.parties {
		n += s.p.breaks(x)
	}
	return n
}

// fewerBreaks moves meetings until there are as few breaks as can be, or the
// effort is spent.
func (s *solver) fewerBreaks(ctx context.Context) {
	lower := 0
	for x := range s.m.parties {
		lower += s.p.fewest(x)
	}
	s.breaksBound = int64(lower)
	polished := newPolish(s.p, s.random)
	report := func() { s.report(Polishing, polished.total) }
	report()
	// Larger events need more steps: one of 1440 meetings has 98 breaks after
	// 400,000, 30 after 2,000,000 and 7 after 8,000,000.
	steps := max(polishSteps, 250*int(s.p.tally()[gainHeld]))
	// A short polish, so that the proofs begin with a good timetable; then as
	// much of both as the effort allows.
	polished.run(ctx, steps, lower, report)
	var v *prover
	for work := 1; ctx.Err() == nil; work *= 2 {
		upper := polished.total
		if !s.p.within() {
			upper = s.worstBreaks()
		}
		if upper <= lower {
			break
		}
		if v == nil {
			v = newProver(s.m, s.p.at, lower, upper)
		}
		if v != nil {
			v.upper = min(v.upper, upper)
			s.report(Proving, v.upper)
			v.run(ctx, int64(min(work, s.o.Effort))*proofConflicts)
			lower = max(lower, v.lower)
			s.breaksBound = int64(lower)
			if v.at != nil && (v.upper < polished.total || !s.p.within()) {
				s.p.take(v.at)
				polished.count()
			}
			if v.lower >= v.upper {
				break
			}
		}
		if work > s.o.Effort {
			break
		}
		polished.run(ctx, work*steps, lower, report)
	}
	s.report(Polishing, polished.total)
}

// worstBreaks is more breaks than there can be.
func (s *solver) worstBreaks() int { return s.m.parties * (len(s.m.slots)/2 + 1) }

// keepSpread drops meetings that nothing books of whoever has most breaks, until
// the spread is kept. Where that does not do, clauses say whether anything would.
func (s *solver) keepSpread(ctx context.Context) {
	for !s.p.within() {
		worst, most := int32(-1), -1
		for x := range s.m.parties {
			b := s.p.breaks(x)
			if b <= most {
				continue
			}
			for at := range s.p.slots {
				for _, i := range s.p.in[x*s.p.slots+at] {
					if t := &s.m.meets[i]; t.rank != Booked && (b > most || worst < 0 || t.worth() < s.m.meets[worst].worth()) {
						worst, most = i, b
					}
				}
			}
		}
		if worst < 0 || most < 1 {
			break
		}
		s.p.set(worst, -1)
		s.p.mark()
		s.breaksBound = 0 // was proven for more meetings
		polished := newPolish(s.p, s.random)
		polished.run(ctx, polishSteps/5, 0, func() {})
	}
	if s.p.within() {
		return
	}
	s.status, s.breaksBound = Undecided, 0
	must, may := s.sets()
	switch at, status := feasible(ctx, s.m, must, may, true, int64(s.o.Effort)*proofConflicts*4); status {
	case sat.Satisfiable:
		s.p.take(at)
		s.status = Found
	case sat.Unsatisfiable:
		s.status = Impossible
	}
}

// resolve keeps what it can of an earlier timetable.
func (s *solver) resolve(ctx context.Context, earlier []Placement) *Result {
	m := s.m
	s.was, s.keep = nowhere(len(m.meets)), nowhere(len(m.meets))
	for _, x := range earlier {
		i, ok := m.meetID[x.Meeting]
		if !ok {
			continue
		}
		if at, ok := m.slotID[x.Slot]; ok {
			s.was[i] = at
		}
		if t, ok := m.tableID[x.Table]; ok {
			s.keep[i] = t
		}
	}
	s.pick = choose(ctx, m)
	if len(s.impossible()) > 0 {
		s.status = Impossible
		return s.result(ctx)
	}
	// Where two cannot both stay, the more important one does.
	for _, i := range s.order {
		if s.was[i] >= 0 && s.p.fits(i, s.was[i]) && s.p.allowed(i) {
			s.p.set(i, s.was[i])
		}
	}
	s.p.mark()
	s.fill(ctx)
	booked := s.booked()
	out := func(i int32) bool { return s.p.at[i] < 0 }
	if slices.ContainsFunc(booked, out) && ctx.Err() == nil {
		// Others must make room. What lost its slot for that may find another.
		newHunt(s.p, booked, s.random).run(ctx, min(s.o.Effort, mostHunts)*huntSteps, gain{int64(len(booked))})
		s.fill(ctx)
	}
	if slices.ContainsFunc(booked, out) {
		s.p.take(nowhere(len(m.meets)))
		if s.placeBooked(ctx); s.status != Found {
			return s.result(ctx)
		}
		s.placeChosen(ctx)
	}
	s.status = Found
	s.keepSpread(ctx)
	if s.status == Found {
		s.fill(ctx)
	}
	return s.result(ctx)
}

// nowhere is no slot for each of n meetings.
func nowhere(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = -1
	}
	return list
}
