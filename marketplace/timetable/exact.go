package timetable

import (
	"context"
	"slices"

	"citymarket/marketplace/timetable/internal/sat"
)

// Beyond so many pairs of a meeting and a slot no clauses are made: memory (some
// 100 MB at the limit) and the chance to prove anything both speak against it.
const (
	maxPairs       = 60_000
	maxBreakPairs  = 20_000 // where breaks are counted, too
	maxChoicePairs = 6_000  // where it is also to be chosen which meetings are held
)

func (m *model) pairs(of []bool) int {
	n := 0
	for i := range m.meets {
		if of[i] {
			n += len(m.meets[i].slots)
		}
	}
	return n
}

// feasible looks for slots for all meetings of a set, with any of another. The
// spread is asked for only where the other has all meetings that there are: one
// that is not booked may fill a gap.
func feasible(ctx context.Context, m *model, must, may []bool, spread bool, conflicts int64) ([]int32, sat.Status) {
	if m.pairs(must)+m.pairs(may) > maxPairs {
		return nil, sat.Unknown
	}
	f := encode(m, must, may)
	if spread && m.spread >= 0 {
		f.countBreaks(-1)
	}
	status := f.Solve(ctx, conflicts)
	if status != sat.Satisfiable {
		return nil, status
	}
	return f.timetable(), status
}

// clash is booked meetings that cannot all be held, none too many as far as a
// few attempts tell; nil where that was not found out.
func clash(ctx context.Context, m *model, must []bool, conflicts int64) []int32 {
	if m.pairs(must) > maxPairs {
		return nil
	}
	f := encode(m, make([]bool, len(m.meets)), must)
	var all []sat.Lit
	of := map[sat.Lit]int32{}
	for i := range must {
		if must[i] {
			all = append(all, f.held[i])
			of[f.held[i]] = int32(i)
		}
	}
	found := false
	for range 10 {
		if f.Solve(ctx, conflicts, all...) != sat.Unsatisfiable {
			break
		}
		found = true
		if len(f.Core()) >= len(all) {
			break
		}
		all = slices.Clone(f.Core())
	}
	if !found {
		return nil
	}
	var list []int32
	for _, l := range all {
		list = append(list, of[l])
	}
	slices.Sort(list)
	return list
}

// A prover looks for timetables of the same meetings with fewer breaks, and for
// proofs that there are none.
type prover struct {
	*formula
	lower, upper int
	at           []int32
}

// newProver takes a timetable with upper breaks; the spread need not hold in it,
// then upper is one more.
func newProver(m *model, at []int32, lower, upper int) *prover {
	must := make([]bool, len(m.meets))
	for i, s := range at {
		must[i] = s >= 0
	}
	if m.pairs(must) > maxBreakPairs {
		return nil
	}
	v := &prover{formula: encode(m, must, make([]bool, len(m.meets))), lower: lower, upper: upper}
	v.countBreaks(upper)
	for i, row := range v.formula.at {
		for s, x := range row {
			if x != 0 {
				if int32(s) == at[i] {
					v.Prefer(x)
				} else {
					v.Prefer(x.Not())
				}
			}
		}
	}
	return v
}

// run works for so many conflicts: half of them on the proof that there are not
// as few breaks as the lower bound says, or on a timetable that has so few, the
// rest on one that is half way there.
func (v *prover) run(ctx context.Context, conflicts int64) {
	end := v.Conflicts + conflicts
	for v.lower < v.upper && v.Conflicts < end && ctx.Err() == nil {
		if v.ask(ctx, v.lower, (end-v.Conflicts)/2+1) != sat.Unknown {
			continue
		}
		if v.upper-1 == v.lower || v.ask(ctx, (v.lower+v.upper)/2, end-v.Conflicts) == sat.Unknown {
			break
		}
	}
}

// ask looks for a timetable with at most so many breaks.
func (v *prover) ask(ctx context.Context, most int, conflicts int64) sat.Status {
	var assume []sat.Lit
	if most < len(v.total) {
		assume = append(assume, v.total[most].Not())
	}
	status := v.Solve(ctx, conflicts, assume...)
	switch status {
	case sat.Satisfiable:
		v.at = v.timetable()
		v.upper = 0
		p := newPlan(v.m)
		p.take(v.at)
		for x := range v.m.parties {
			v.upper += p.breaks(x)
		}
	case sat.Unsatisfiable:
		if v.lower = most + 1; len(v.Core()) == 0 {
			v.lower = v.upper // there is no timetable at all that has fewer
		}
		if most < len(v.total) {
			v.Add(v.total[most])
		}
	}
	return status
}

// chooseExactly improves a timetable of some of the meetings, all booked ones
// among them, up to a gain above which there is none, and says which numbers of
// musts, towards minima, and of meetings it proved to be the greatest; -1 for a
// number that it did not.
func chooseExactly(ctx context.Context, m *model, must, may []bool, at []int32, ceiling gain, conflicts int64) (better []int32, proven gain) {
	proven = gain{-1, -1, -1, -1, -1, -1}
	if m.pairs(may)+m.pairs(must) > maxChoicePairs {
		return at, proven
	}
	f := encode(m, must, may)
	if m.spread >= 0 {
		f.countBreaks(-1)
	}
	var levels [gainHeld + 1][]sat.Lit // what is to be true of as much as can be
	for i := range m.meets {
		if !may[i] {
			continue
		}
		levels[gainHeld] = append(levels[gainHeld], f.held[i])
		if m.meets[i].rank == Must {
			levels[gainMust] = append(levels[gainMust], f.held[i])
		}
		if at[i] >= 0 {
			f.Prefer(f.held[i])
			f.Prefer(f.at[i][at[i]])
		}
	}
	for p := range m.parties {
		levels[gainMin] = append(levels[gainMin], f.minimum(p)...)
	}
	gained := func() gain {
		p := newPlan(m)
		p.take(at)
		return p.tally()
	}
	// What is booked gains, too, but is no part of the levels.
	booked := make([]int32, len(at))
	for i := range booked {
		booked[i] = -1
		if must[i] {
			booked[i] = 0
		}
	}
	beside := newPlan(m)
	beside.take(booked)
	without := beside.tally()
	best := true // whether all levels so far are at the ceiling
	for _, k := range []int{gainMust, gainMin, gainHeld} {
		list := levels[k]
		has := int(gained()[k] - without[k])
		limit := len(list)
		if best {
			limit = min(limit, int(ceiling[k]-without[k]))
		}
		// Not true, in unary: at most len-n of those for n that are.
		missing := make([]sat.Lit, len(list))
		for i, l := range list {
			missing[i] = l.Not()
		}
		out := f.unary(missing, len(missing), false)
		for has < limit {
			status := f.Solve(ctx, conflicts, out[len(list)-has-1].Not())
			if status == sat.Unknown {
				return at, proven
			}
			if status == sat.Unsatisfiable {
				break
			}
			at = f.timetable()
			has = int(gained()[k] - without[k])
		}
		proven[k] = int64(has) + without[k]
		best = best && proven[k] == ceiling[k]
		if len(list)-has < len(out) {
			f.Add(out[len(list)-has].Not())
		}
	}
	return at, proven
}

// minimum is literals of which as many are true as a participant has meetings,
// beyond what is booked, up to its minimum.
func (f *formula) minimum(p int) []sat.Lit {
	need := f.m.p.Participants[p].Min
	var held []sat.Lit
	for _, i := range f.m.res[p].meetings {
		if f.must[i] {
			need--
		} else if f.may[i] {
			held = append(held, f.held[i])
		}
	}
	if need < 1 || len(held) == 0 {
		return nil
	}
	return f.unary(held, min(need, len(held)), true)
}
