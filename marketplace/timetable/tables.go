package timetable

import "context"

// seat gives each meeting a table of its group, so that participants with one
// seat move little from one meeting of a day to the next: slot by slot it takes
// the matching that keeps most of them where they were and will be, until no slot
// can be improved. What keep says of a meeting's table holds where it can.
func (p *plan) seat(ctx context.Context, keep []int32) []int32 {
	m := p.m
	table := make([]int32, len(p.at))
	for i := range table {
		table[i] = -1
	}
	if m.groups == nil {
		return table
	}
	before, after := p.neighbours()
	held := make([][]int32, len(m.slots))
	for i, s := range p.at {
		if s >= 0 {
			held[s] = append(held[s], int32(i))
		}
	}
	for round := range 12 {
		changed := false
		for s := range m.slots {
			changed = p.seatSlot(s, held[s], table, keep, before, after) || changed
		}
		if !changed || round > 0 && ctx.Err() != nil {
			break
		}
	}
	return table
}

// neighbours lists for each meeting the meetings before and after it of those
// of its participants who go from one table to another.
func (p *plan) neighbours() (before, after [][]int32) {
	before, after = make([][]int32, len(p.at)), make([][]int32, len(p.at))
	p.eachStep(func(_ int, i, j int32) {
		after[i] = append(after[i], j)
		before[j] = append(before[j], i)
	})
	return before, after
}

// eachStep calls for each participant with one seat and each two meetings that
// it has one after the other on the same day.
func (p *plan) eachStep(do func(x int, i, j int32)) {
	for x := range p.m.parties {
		if !p.m.counts[x] || p.m.seats(x) > 1 {
			continue
		}
		last := int32(-1)
		for s := range p.m.slots {
			if p.m.newDay[s] {
				last = -1
			}
			if in := p.in[x*p.slots+s]; len(in) > 0 {
				if last >= 0 {
					do(x, last, in[0])
				}
				last = in[0]
			}
		}
	}
}

func (m *model) seats(x int) int { return max(1, len(m.p.Participants[x].People)) }

// seatSlot seats one slot anew, and answers whether that improved it.
func (p *plan) seatSlot(s int, held, table, keep []int32, before, after [][]int32) bool {
	m := p.m
	free := make([]bool, len(m.p.Tables))
	for t := range free {
		free[t] = m.tableAt[t].has(s)
	}
	var loose []int32
	old, new := int64(0), int64(0)
	worth := func(i, t int32) (n int64) {
		for _, j := range before[i] {
			if table[j] == t {
				n++
			}
		}
		for _, j := range after[i] {
			if table[j] == t {
				n++
			}
		}
		return n
	}
	first := false
	was := map[int32]int32{}
	for _, i := range held {
		was[i] = table[i]
		first = first || table[i] < 0
		if t := m.meets[i].table; t >= 0 {
			table[i] = t
			free[t] = false
		}
	}
	for _, i := range held {
		switch t := int32(-1); {
		case m.meets[i].table >= 0:
		case keep != nil && keep[i] >= 0 && free[keep[i]] && m.p.Tables[keep[i]].Owner == m.owner(i):
			t = keep[i]
			table[i] = t
			free[t] = false
		default:
			loose = append(loose, i)
		}
	}
	var edges []edge
	left, right := make([]side, len(loose)), make([]side, len(free))
	for k, i := range loose {
		if was[i] >= 0 {
			old += worth(i, was[i])
		}
		left[k].gains = make([]gain, 1)
		for _, list := range [2][]int32{before[i], after[i]} {
			for _, j := range list {
				t := table[j]
				if t < 0 || !free[t] || m.p.Tables[t].Owner != m.owner(i) {
					continue
				}
				known := false
				for e := len(edges) - 1; e >= 0 && edges[e].from == int32(k); e-- {
					known = known || edges[e].to == t
				}
				if !known {
					edges = append(edges, edge{int32(k), t, gain{worth(i, t)}})
					right[t].gains = make([]gain, 1)
				}
			}
		}
	}
	c := newChoice(left, right, edges)
	c.run(context.Background(), len(loose))
	new = c.total[0]
	if !first && new <= old {
		for i, t := range was {
			table[i] = t
		}
		return false
	}
	for _, i := range loose {
		table[i] = -1
	}
	for e, yes := range c.chosen {
		if yes {
			table[loose[edges[e].from]] = edges[e].to
			free[edges[e].to] = false
		}
	}
	for _, i := range loose {
		if table[i] >= 0 {
			continue
		}
		for _, t := range m.groups[m.meets[i].group].tables {
			if free[t] {
				table[i] = t
				free[t] = false
				break
			}
		}
	}
	return true
}

// owner is who owns the tables at which a meeting is held; "" for nobody.
func (m *model) owner(i int32) string {
	return m.p.Tables[m.groups[m.meets[i].group].tables[0]].Owner
}

// tableMoves counts the moves between tables, and bounds them from below: of two
// who come from one table and meet others in the same slot, one moves, and so
// does one of two who come together. Each such pair asks for one of its two steps;
// they form paths and rings, and half of the pairs of each, rounded up, is needed.
func (p *plan) tableMoves(table []int32) (moves, bound int64) {
	if p.m.groups == nil {
		return 0, 0
	}
	type step struct{ i, j int32 }
	var steps []step
	p.eachStep(func(_ int, i, j int32) {
		if table[i] != table[j] {
			moves++
		}
		a, b := &p.m.meets[i], &p.m.meets[j]
		if a.group != b.group || a.table >= 0 && b.table >= 0 && a.table != b.table {
			bound++
			return
		}
		steps = append(steps, step{i, j})
	})
	// rivals of a step: from the same meeting into the same slot, and the other way round.
	type key struct{ meeting, slot int32 }
	out, in := map[key][]int32{}, map[key][]int32{}
	for k, x := range steps {
		o, n := key{x.i, p.at[x.j]}, key{x.j, p.at[x.i]}
		out[o] = append(out[o], int32(k))
		in[n] = append(in[n], int32(k))
	}
	rivals := make([][]int32, len(steps))
	for k, x := range steps {
		for _, r := range out[key{x.i, p.at[x.j]}] {
			if steps[r].j != x.j {
				rivals[k] = append(rivals[k], r)
			}
		}
		for _, r := range in[key{x.j, p.at[x.i]}] {
			if steps[r].i != x.i {
				rivals[k] = append(rivals[k], r)
			}
		}
	}
	seen := make([]bool, len(steps))
	for k := range steps {
		if seen[k] {
			continue
		}
		seen[k] = true
		pairs, simple := 0, true
		for queue := []int32{int32(k)}; len(queue) > 0; queue = queue[1:] {
			pairs += len(rivals[queue[0]])
			simple = simple && len(rivals[queue[0]]) <= 2
			for _, r := range rivals[queue[0]] {
				if !seen[r] {
					seen[r] = true
					queue = append(queue, r)
				}
			}
		}
		if pairs /= 2; simple {
			bound += int64(pairs+1) / 2
		} else if pairs > 0 {
			bound++
		}
	}
	return moves, bound
}
