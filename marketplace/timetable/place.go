package timetable

import (
	"context"
	"math/rand/v2"
)

// What a meeting is worth in the search for slots. One of a rank is worth more
// than thousands of the rank below; sums of a few fit.
const (
	worthBooked = 1 << 58
	worthMust   = 1 << 45
	worthMin    = 1 << 38 // towards a participant's minimum
	worthWant   = 1 << 31

	worthShare = 1 << 20 // more than MaxScore; so much less for each that a participant has, squared
	mostShare  = 127
)

func (t *meet) worth() int64 {
	switch t.rank {
	case Booked:
		return worthBooked + t.score
	case Must:
		return worthMust + t.score
	}
	return worthWant + t.score
}

// insertWork bounds what is tried to find room for one meeting, in swaps.
const insertWork = 3000

// insert finds a slot for a meeting and drops none for it: a free one, that
// with the fewest new breaks, or one from which others can be swapped away, that
// for which the fewest are. It depends on nothing but where the meetings are.
func (p *plan) insert(i int32) bool {
	if p.at[i] >= 0 || !p.allowed(i) || !p.mayFit(i) {
		return false
	}
	if p.insertFree(i) {
		return true
	}
	work := insertWork
	best, fewest := []move(nil), 0
	before := len(p.moves)
	for _, s := range p.m.meets[i].slots {
		if p.ordered(i, s) && p.clear(i, s, 2, &work) {
			p.set(i, s)
			if n := len(p.moves) - before; best == nil || n < fewest {
				best, fewest = best[:0], n
				for _, v := range p.moves[before:] {
					best = append(best, move{v.meeting, p.at[v.meeting]})
				}
			}
		}
		p.undo(before)
	}
	for _, v := range best {
		p.set(v.meeting, v.from)
	}
	return best != nil
}

// mayFit says whether each resource of a meeting has room at some slot, without
// which no swap can make any.
func (p *plan) mayFit(i int32) bool {
	t := &p.m.meets[i]
	for _, u := range t.uses {
		some := false
		for s, room := range p.m.res[u.of].room {
			if some = p.load[int(u.of)*p.slots+s]+u.weight <= room; some {
				break
			}
		}
		if !some {
			return false
		}
	}
	return len(t.slots) > 0
}

func (p *plan) insertFree(i int32) bool {
	best, least := int32(-1), 0
	t := &p.m.meets[i]
	for _, s := range t.slots {
		if !p.fits(i, s) {
			continue
		}
		cost := 0
		for _, u := range t.uses {
			if int(u.of) < p.m.parties && p.m.counts[u.of] {
				more := p.busy[u.of]
				more.add(int(s))
				cost += 1000 * (p.m.breaks(more) - p.m.breaks(p.busy[u.of]))
			}
		}
		if t.group >= 0 {
			cost += int(p.load[int(p.m.groups[t.group].resource)*p.slots+int(s)])
		}
		if best < 0 || cost < least {
			best, least = s, cost
		}
	}
	if best < 0 {
		return false
	}
	p.set(i, best)
	return true
}

// clear swaps meetings away from a slot until another fits there. Where it
// answers false, undo it.
func (p *plan) clear(i, s int32, depth int, work *int) bool {
	var full int32 = -1
	for _, u := range p.m.meets[i].uses {
		if p.load[int(u.of)*p.slots+int(s)]+u.weight > p.m.res[u.of].room[s] {
			full = u.of
			break
		}
	}
	if full < 0 {
		return true
	}
	if depth == 0 {
		return false
	}
	for k := 0; k < len(p.in[int(full)*p.slots+int(s)]); k++ {
		y := p.in[int(full)*p.slots+int(s)][k]
		for _, to := range p.m.meets[y].slots {
			if to == s {
				continue
			}
			if *work--; *work < 0 {
				return false
			}
			before := len(p.moves)
			load := p.load[int(full)*p.slots+int(s)]
			if p.swap(y, to) && p.load[int(full)*p.slots+int(s)] < load && p.tablesFit(s, to) && p.clear(i, s, depth-1, work) && p.ordered(i, s) {
				return true
			}
			p.undo(before)
		}
	}
	return false
}

// fill inserts what can be inserted, the first in the list first, until nothing
// more can, and answers whether it did any. When it ends by itself, another call
// changes nothing. It inserts nothing that the spread forbids.
func (p *plan) fill(ctx context.Context, order []int32) (some bool) {
	within := p.within()
	for again := true; again; {
		again = false
		for _, i := range order {
			if ctx.Err() != nil {
				return some
			}
			p.mark()
			if !p.insert(i) {
				continue
			}
			if within && !p.within() {
				p.undo(0)
				continue
			}
			again, some = true, true
		}
	}
	return some
}

// A hunt looks for slots for as much as possible by putting meetings in and
// dropping what is in their way, a tabu search over partial timetables as in
// Blöchliger and Zufferey's PartialCol (2008).
type hunt struct {
	*plan
	random *rand.Rand
	out    []int32 // candidates without a slot
	place  []int32 // of a meeting in out, -1
	tabu   [][]int32
	step   int32
}

func newHunt(p *plan, candidates []int32, random *rand.Rand) *hunt {
	h := &hunt{plan: p, random: random, place: make([]int32, len(p.at)), tabu: make([][]int32, len(p.at))}
	for i := range h.place {
		h.place[i] = -1
	}
	for _, i := range candidates {
		if len(p.m.meets[i].slots) > 0 && p.at[i] < 0 {
			h.leave(i)
		}
	}
	return h
}

func (h *hunt) leave(i int32) {
	h.place[i] = int32(len(h.out))
	h.out = append(h.out, i)
}

func (h *hunt) enter(i int32) {
	k := h.place[i]
	last := h.out[len(h.out)-1]
	h.out[k], h.place[last] = last, k
	h.out = h.out[:len(h.out)-1]
	h.place[i] = -1
}

// tally is what a timetable gains by what it holds.
func (p *plan) tally() (t gain) {
	for i, s := range p.at {
		if s >= 0 {
			t.meeting(&p.m.meets[i], 1)
		}
	}
	for x, n := range p.held {
		t[gainMin] += int64(min(int(n), p.m.p.Participants[x].Min))
		if p.m.counts[x] {
			t[gainFair] -= int64(n) * int64(n)
		}
	}
	return t
}

// meeting adds what a meeting gains by itself, so often.
func (g *gain) meeting(t *meet, by int64) {
	switch t.rank {
	case Booked:
		g[gainBooked] += by
	case Must:
		g[gainMust] += by
	}
	g[gainHeld] += by
	g[gainScore] += by * t.score
}

// run searches so many steps, or until enough is held, and leaves the best
// timetable that it saw. It answers how many steps it took.
func (h *hunt) run(ctx context.Context, steps int, enough gain) int {
	best, worth := append([]int32(nil), h.at...), h.tally()
	now := worth
	for n := range steps {
		if len(h.out) == 0 || !worth.less(enough) || n%64 == 0 && ctx.Err() != nil {
			h.take(best)
			return n
		}
		h.step++
		i := h.out[h.random.IntN(len(h.out))]
		for range 3 {
			if k := h.out[h.random.IntN(len(h.out))]; h.m.meets[k].rank > h.m.meets[i].rank {
				i = k
			}
		}
		h.try(i, &now)
		h.mark()
		if worth.less(now) {
			worth = now
			copy(best, h.at)
		}
	}
	h.take(best)
	return steps
}

// try puts a meeting where that drops least.
func (h *hunt) try(i int32, now *gain) {
	t := &h.m.meets[i]
	bestSlot, least, ties := int32(-1), int64(0), 0
	var drop, buffer [16]int32
	drops := 0
	for _, s := range t.slots {
		list, cost := h.evictees(i, s, buffer[:0])
		if cost < 0 || cost > 0 && h.tabu[i] != nil && h.tabu[i][s] > h.step {
			continue
		}
		if bestSlot >= 0 && cost == least {
			ties++
		}
		if bestSlot < 0 || cost < least || cost == least && h.random.IntN(ties+1) == 0 {
			if cost != least {
				ties = 0
			}
			bestSlot, least = s, cost
			drops = copy(drop[:], list)
		}
	}
	if bestSlot < 0 {
		return
	}
	if worth := h.worth(i, 1); least > worth {
		// Now and then two of its like may go for one.
		if least > 2*worth+worth/2 || t.rank != Booked && h.random.IntN(8) > 0 {
			return
		}
	}
	for _, y := range drop[:drops] {
		from := h.at[y]
		h.set(y, -1)
		h.leave(y)
		h.count(now, y, -1)
		if h.tabu[y] == nil {
			h.tabu[y] = make([]int32, h.slots)
		}
		h.tabu[y][from] = h.step + 8 + h.random.Int32N(10) + int32(min(len(h.out), 30))
	}
	h.set(i, bestSlot)
	h.enter(i)
	h.count(now, i, 1)
	for _, y := range drop[:drops] {
		if h.allowed(y) && h.insertFree(y) {
			h.enter(y)
			h.count(now, y, 1)
		}
	}
}

// count adds to a gain, or takes from it, a meeting that just came or went.
func (h *hunt) count(g *gain, i int32, by int64) {
	t := &h.m.meets[i]
	g.meeting(t, by)
	for _, u := range t.uses {
		if int(u.of) >= h.m.parties {
			break
		}
		n := int64(h.held[u.of])
		if by < 0 {
			n++ // as many as there were
		}
		if n <= int64(h.m.p.Participants[u.of].Min) {
			g[gainMin] += by
		}
		if h.m.counts[u.of] {
			g[gainFair] -= by * (2*n - 1)
		}
	}
}

// worth is what a meeting is worth that would come, more being 1, or go, being 0:
// with what it does for the minima and the fair shares of its participants.
func (h *hunt) worth(i, more int32) int64 {
	t := &h.m.meets[i]
	w := t.worth()
	for _, u := range t.uses {
		if int(u.of) >= h.m.parties {
			break
		}
		n := h.held[u.of] + more
		if int(n) <= h.m.p.Participants[u.of].Min {
			w += worthMin
		}
		if h.m.counts[u.of] {
			w -= int64(min(2*n-1, mostShare)) * worthShare
		}
	}
	return w
}

// evictees are the meetings that must go for one to be held at a slot, and what
// they are worth; -1 where it cannot be held.
func (h *hunt) evictees(i, s int32, list []int32) ([]int32, int64) {
	var cost int64
	add := func(y int32) bool {
		for _, x := range list {
			if x == y {
				return true
			}
		}
		if len(list) == 16 {
			return false
		}
		list = append(list, y)
		cost += h.worth(y, 0)
		return true
	}
	t := &h.m.meets[i]
	for _, k := range t.after {
		if h.at[k] >= s && !add(k) {
			return nil, -1
		}
	}
	for _, k := range t.before {
		if h.at[k] >= 0 && h.at[k] <= s && !add(k) {
			return nil, -1
		}
	}
	for _, u := range t.uses {
		c := int(u.of)*h.slots + int(s)
		over := h.load[c] + u.weight - h.m.res[u.of].room[s]
		if over > 0 && !h.free(h.in[c], u.of, over, &list, add) {
			return nil, -1
		}
		if int(u.of) < h.m.parties && t.rank != Booked && h.held[u.of] >= h.maxes[u.of] {
			gone := false
			for _, y := range list {
				gone = gone || h.takesPart(y, u.of)
			}
			if gone {
				continue
			}
			worst, least, found := int32(-1), int64(0), 0
			for q := range h.slots {
				for _, y := range h.in[int(u.of)*h.slots+q] {
					if w := h.worth(y, 0); worst < 0 || w < least {
						worst, least, found = y, w, 1
					} else if w == least {
						if found++; h.random.IntN(found) == 0 {
							worst = y
						}
					}
				}
			}
			if worst < 0 || !add(worst) {
				return nil, -1
			}
		}
	}
	return list, cost
}

func (h *hunt) takesPart(i, r int32) bool {
	for _, u := range h.m.meets[i].uses {
		if u.of == r {
			return true
		}
	}
	return false
}

// free adds those of a resource's meetings that are worth least, until what it
// is over its room is covered; chance decides among equals.
func (h *hunt) free(in []int32, r int32, over int16, list *[]int32, add func(int32) bool) bool {
	weight := func(y int32) int16 {
		for _, u := range h.m.meets[y].uses {
			if u.of == r {
				return u.weight
			}
		}
		return 0
	}
	for _, y := range *list {
		for _, x := range in {
			if x == y {
				over -= weight(y)
			}
		}
	}
	for over > 0 {
		worst, least, found := int32(-1), int64(0), 0
	next:
		for _, y := range in {
			for _, x := range *list {
				if x == y {
					continue next
				}
			}
			w := h.worth(y, 0)
			if worst < 0 || w < least {
				worst, least, found = y, w, 1
			} else if w == least {
				if found++; h.random.IntN(found) == 0 {
					worst = y
				}
			}
		}
		if worst < 0 || !add(worst) {
			return false
		}
		over -= weight(worst)
	}
	return true
}
