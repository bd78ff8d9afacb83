package timetable

import (
	"slices"

	"citymarket/marketplace/timetable/internal/sat"
)

// formula is a model as clauses: which of its meetings must be held, which may
// be, and when. The encoding is that of Bofill et al., "Constraint Solving
// Approaches to the Business-to-Business Meeting Scheduling Problem", JAIR 74
// (2022), with what follows from counting said as well; but tables are counted
// by the participants that cover the meetings, of which there are fewer.
type formula struct {
	*sat.Solver
	m    *model
	must []bool // by meeting: held
	may  []bool // by meeting: may be held, where it need not be
	at   [][]sat.Lit
	held []sat.Lit   // by meeting that may be held
	used [][]sat.Lit // by participant and slot whether it meets; 0 where it cannot

	breaks [][]sat.Lit // by participant, whether it has more than 0, 1, ... breaks
	total  []sat.Lit   // likewise of all together
}

// encode makes the formula of all conditions but the spread.
func encode(m *model, must, may []bool) *formula {
	f := &formula{Solver: sat.New(), m: m, must: must, may: may}
	f.at = make([][]sat.Lit, len(m.meets))
	f.held = make([]sat.Lit, len(m.meets))
	for i := range m.meets {
		t := &m.meets[i]
		if !must[i] && !may[i] {
			continue
		}
		f.at[i] = make([]sat.Lit, len(m.slots))
		var any []sat.Lit
		for _, s := range t.slots {
			f.at[i][s] = f.Var()
			any = append(any, f.at[i][s])
		}
		f.atMostOne(any)
		if must[i] {
			f.Add(any...)
			continue
		}
		f.held[i] = f.Var()
		f.Add(append(any, f.held[i].Not())...)
		for _, x := range any {
			f.Add(x.Not(), f.held[i])
		}
	}
	f.used = make([][]sat.Lit, m.parties)
	for p := range m.parties {
		f.used[p] = make([]sat.Lit, len(m.slots))
		for s := range m.slots {
			f.used[p][s] = f.any(f.of(p, s))
		}
	}
	for r := range m.res {
		for s := range m.slots {
			f.bound(r, s)
		}
	}
	for p := range m.parties {
		f.count(p)
	}
	f.countParties()
	for i := range m.meets {
		for _, k := range m.meets[i].after {
			f.order(int(k), i)
		}
	}
	return f
}

// of is the literals of a resource's meetings at a slot.
func (f *formula) of(r, s int) []sat.Lit {
	var list []sat.Lit
	for _, i := range f.m.res[r].meetings {
		if f.at[i] != nil && f.at[i][s] != 0 {
			list = append(list, f.at[i][s])
		}
	}
	return list
}

// any is a literal that is true when and only when one of the list is; 0 for none.
func (f *formula) any(list []sat.Lit) sat.Lit {
	switch len(list) {
	case 0:
		return 0
	case 1:
		return list[0]
	}
	u := f.Var()
	for _, x := range list {
		f.Add(x.Not(), u)
	}
	f.Add(append(slices.Clone(list), u.Not())...)
	return u
}

func (f *formula) atMostOne(list []sat.Lit) {
	for len(list) > 8 {
		// The first six, or what stands for them, at most one of them.
		head := list[:6]
		u := f.Var()
		for _, x := range head {
			f.Add(x.Not(), u)
		}
		f.pairwise(head)
		list = append([]sat.Lit{u}, list[6:]...)
	}
	f.pairwise(list)
}

func (f *formula) pairwise(list []sat.Lit) {
	for i, x := range list {
		for _, y := range list[:i] {
			f.Add(x.Not(), y.Not())
		}
	}
}

// bound keeps a resource within its room at a slot.
func (f *formula) bound(r, s int) {
	res := &f.m.res[r]
	room := int(res.room[s])
	var inputs []sat.Lit
	single := true
	for k, i := range res.meetings {
		if f.at[i] == nil || f.at[i][s] == 0 {
			continue
		}
		for range res.weights[k] {
			inputs = append(inputs, f.at[i][s])
		}
		single = single && res.weights[k] == 1
	}
	switch {
	case len(inputs) <= room:
	case room == 1 && single:
		f.atMostOne(inputs)
	default:
		if r >= f.m.parties && single {
			inputs = f.stars(r, s)
		}
		if len(inputs) > room {
			f.Add(f.unary(inputs, room+1, false)[room].Not())
		}
	}
}

// stars puts those meetings of a resource together of which a participant can
// have only one at the slot, so that fewer things are to be counted.
func (f *formula) stars(r, s int) []sat.Lit {
	left := map[int32]bool{}
	degree := make([]int, f.m.parties)
	each := func(i int32, do func(p int32)) {
		for _, p := range []int32{f.m.meets[i].a, f.m.meets[i].b} {
			if f.m.res[p].room[s] == 1 {
				do(p)
			}
		}
	}
	for _, i := range f.m.res[r].meetings {
		if f.at[i] != nil && f.at[i][s] != 0 {
			left[i] = true
			each(i, func(p int32) { degree[p]++ })
		}
	}
	var inputs []sat.Lit
	for len(left) > 0 {
		p, most := -1, 1
		for q, d := range degree {
			if d > most {
				p, most = q, d
			}
		}
		if p < 0 {
			break
		}
		var star []sat.Lit
		for _, i := range f.m.res[p].meetings {
			if left[i] {
				delete(left, i)
				star = append(star, f.at[i][s])
				each(i, func(q int32) { degree[q]-- })
			}
		}
		if len(star) == len(f.of(p, s)) {
			inputs = append(inputs, f.used[p][s])
		} else {
			inputs = append(inputs, f.any(star))
		}
	}
	for _, i := range f.m.res[r].meetings { // in order, not as the map has them
		if left[i] {
			inputs = append(inputs, f.at[i][s])
		}
	}
	return inputs
}

// count says in how many slots a participant meets. It follows from the rest,
// but not by propagation.
func (f *formula) count(p int) {
	res := &f.m.res[p]
	musts, mays, most := 0, 0, 0
	for _, i := range res.meetings {
		if f.must[i] {
			musts++
		} else if f.may[i] {
			mays++
		}
	}
	if limit := f.m.p.Participants[p].Max; limit > 0 && musts+mays > limit {
		var held []sat.Lit
		for _, i := range res.meetings {
			if f.must[i] {
				limit--
			} else if f.may[i] {
				held = append(held, f.held[i])
			}
		}
		limit = max(limit, 0) // what is booked counts, and is held all the same
		if len(held) > limit {
			f.Add(f.unary(held, limit+1, false)[limit].Not())
		}
	}
	if mays > 0 || musts == 0 {
		return
	}
	var slots []sat.Lit
	for s, u := range f.used[p] {
		most = max(most, int(res.room[s]))
		if u != 0 {
			slots = append(slots, u)
		}
	}
	if most > 1 {
		return
	}
	if len(slots) < musts {
		f.Add()
		return
	}
	out := f.unary(slots, musts+1, true)
	f.Add(out[musts-1])
	if len(out) > musts {
		f.Add(out[musts].Not())
	}
}

// countParties says that no more participants meet in a slot than twice its
// tables, and that an odd number of them, who meet nobody else, cannot all meet.
// It follows from the rest, but not by propagation.
func (f *formula) countParties() {
	if f.m.three {
		return
	}
	for s := range f.m.slots {
		tables := 0
		for _, g := range f.m.groups {
			tables += int(f.m.res[g.resource].room[s])
		}
		var inputs []sat.Lit
		for p := range f.m.parties {
			if f.m.res[p].room[s] > 1 {
				return
			}
			if f.used[p][s] != 0 {
				inputs = append(inputs, f.used[p][s])
			}
		}
		if f.m.groups != nil && len(inputs) > 2*tables {
			f.Add(f.unary(inputs, 2*tables+1, false)[2*tables].Not())
		}
		for _, circle := range f.circles(s) {
			if len(circle)%2 == 1 {
				for i := range circle {
					circle[i] = circle[i].Not()
				}
				f.Add(circle...)
			}
		}
	}
}

// circles are the participants, as literals of used, who can meet at a slot, in
// sets that meet nobody outside.
func (f *formula) circles(s int) [][]sat.Lit {
	root := make([]int32, f.m.parties)
	for p := range root {
		root[p] = int32(p)
	}
	var find func(p int32) int32
	find = func(p int32) int32 {
		if root[p] != p {
			root[p] = find(root[p])
		}
		return root[p]
	}
	for i := range f.at {
		if f.at[i] != nil && f.at[i][s] != 0 {
			root[find(f.m.meets[i].a)] = find(f.m.meets[i].b)
		}
	}
	sets := make([][]sat.Lit, f.m.parties)
	for p := range root {
		if f.used[p][s] != 0 {
			r := find(int32(p))
			sets[r] = append(sets[r], f.used[p][s])
		}
	}
	return sets
}

// order puts meeting k before meeting i where both are held.
func (f *formula) order(k, i int) {
	if f.at[k] == nil || f.at[i] == nil {
		return
	}
	// done: k was held at the slot or earlier.
	var done sat.Lit
	for s := range f.m.slots {
		if x := f.at[i][s]; x != 0 {
			if f.must[k] && done == 0 {
				f.Add(x.Not()) // too early
			} else if f.must[k] {
				f.Add(x.Not(), done)
			} else if done != 0 {
				f.Add(x.Not(), done, f.held[k].Not())
			} else {
				f.Add(x.Not(), f.held[k].Not())
			}
		}
		if y := f.at[k][s]; y != 0 {
			now := f.Var()
			f.Add(y.Not(), now)
			if done != 0 {
				f.Add(done.Not(), now)
				f.Add(now.Not(), done, y)
			} else {
				f.Add(now.Not(), y)
			}
			done = now
		}
	}
}

// unary counts: the i-th literal of the answer, from 0, is true when more than
// i of the inputs are, for i below most; with both also only then. It is the
// totalizer of Bailleux and Boufkhad (2003).
func (f *formula) unary(inputs []sat.Lit, most int, both bool) []sat.Lit {
	if len(inputs) <= 1 {
		return inputs
	}
	half := len(inputs) / 2
	return f.merge(f.unary(inputs[:half], most, both), f.unary(inputs[half:], most, both), most, both)
}

// merge adds two numbers in unary.
func (f *formula) merge(a, b []sat.Lit, most int, both bool) []sat.Lit {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clip(a), b...)
	}
	out := make([]sat.Lit, min(most, len(a)+len(b)))
	for i := range out {
		out[i] = f.Var()
		if i > 0 {
			f.Add(out[i].Not(), out[i-1])
		}
	}
	for i := 0; i <= len(a); i++ {
		for j := 0; j <= len(b); j++ {
			if i+j > 0 {
				c := []sat.Lit{out[min(i+j, len(out))-1]}
				if i > 0 {
					c = append(c, a[i-1].Not())
				}
				if j > 0 {
					c = append(c, b[j-1].Not())
				}
				f.Add(c...)
			}
			if both && i+j < len(out) {
				c := []sat.Lit{out[i+j].Not()}
				if i < len(a) {
					c = append(c, a[i])
				}
				if j < len(b) {
					c = append(c, b[j])
				}
				f.Add(c...)
			}
		}
	}
	return out
}

// countBreaks makes the literals that count breaks, up to most in all, and adds
// the spread. With a negative most it does not count those of all together.
func (f *formula) countBreaks(most int) {
	m := f.m
	both := m.spread >= 0
	f.breaks = make([][]sat.Lit, m.parties)
	for p := range m.parties {
		if !m.counts[p] {
			continue
		}
		var ends []sat.Lit // whether a break ends at a slot
		var before sat.Lit // whether it met earlier in the day, but for the slot before
		for s := range m.slots {
			if m.newDay[s] {
				before = 0
				continue
			}
			last, now := f.used[p][s-1], f.used[p][s]
			if before != 0 && now != 0 {
				end := f.Var()
				c := []sat.Lit{before.Not(), now.Not(), end}
				if last != 0 {
					c = append(c, last)
				}
				f.Add(c...)
				if both {
					f.Add(end.Not(), before)
					f.Add(end.Not(), now)
					if last != 0 {
						f.Add(end.Not(), last.Not())
					}
				}
				ends = append(ends, end)
			}
			switch {
			case last == 0:
			case before == 0:
				before = last
			default:
				before = f.any([]sat.Lit{before, last})
			}
		}
		f.breaks[p] = f.unary(ends, len(ends), both)
	}
	if both {
		f.limitSpread()
	}
	if most < 0 {
		return
	}
	var list [][]sat.Lit
	for p := range m.parties {
		if len(f.breaks[p]) > 0 {
			list = append(list, f.breaks[p])
		}
	}
	for len(list) > 1 {
		half := list[:0:0]
		for i := 0; i < len(list); i += 2 {
			if i+1 < len(list) {
				half = append(half, f.merge(list[i], list[i+1], most+1, false))
			} else {
				half = append(half, list[i])
			}
		}
		list = half
	}
	if len(list) == 1 {
		f.total = list[0]
	}
}

// limitSpread says that whoever has more than spread+k breaks lets nobody have
// k or fewer.
func (f *formula) limitSpread() {
	deepest, least := 0, len(f.m.slots)
	for p, b := range f.breaks {
		if f.m.counts[p] {
			deepest, least = max(deepest, len(b)), min(least, len(b))
		}
	}
	for k := 0; f.m.spread+k < deepest; k++ {
		var all sat.Lit // everybody has more than k breaks
		if k < least {
			all = f.Var()
			for p, b := range f.breaks {
				if f.m.counts[p] {
					f.Add(all.Not(), b[k])
				}
			}
		}
		for _, b := range f.breaks {
			if f.m.spread+k >= len(b) {
				continue
			}
			if all != 0 {
				f.Add(b[f.m.spread+k].Not(), all)
			} else {
				f.Add(b[f.m.spread+k].Not())
			}
		}
	}
}

// timetable is what the last model says: the slot of each meeting, -1 for none.
func (f *formula) timetable() []int32 {
	list := make([]int32, len(f.at))
	for i := range f.at {
		list[i] = -1
		for s, x := range f.at[i] {
			if x != 0 && f.Value(x) {
				list[i] = int32(s)
				break
			}
		}
	}
	return list
}
