package timetable

import (
	"context"
	"math"
	"math/rand/v2"
)

// A polish lets a plan have fewer breaks by moving meetings along chains of
// Kempe, simulated annealing: worse timetables are taken, too, less and less.
type polish struct {
	*plan
	random  *rand.Rand
	current []int32 // breaks by participant
	total   int
	cost    int64
	limit   int // breaks of one participant that the spread allows for certain
	stamp   []int
	turn    int
}

// weight of a break against the squares of them by which they are shared out.
const breakCost = 64

func newPolish(p *plan, random *rand.Rand) *polish {
	s := &polish{plan: p, random: random, current: make([]int32, p.m.parties), stamp: make([]int, p.m.parties), limit: math.MaxInt32}
	if p.m.spread >= 0 {
		least := math.MaxInt32
		for x := range p.m.parties {
			if p.m.counts[x] {
				least = min(least, p.fewest(x))
			}
		}
		if least < math.MaxInt32 {
			s.limit = least + p.m.spread
		}
	}
	s.count()
	return s
}

func (s *polish) count() {
	s.total, s.cost = 0, 0
	for x := range s.current {
		b := s.breaks(x)
		s.current[x] = int32(b)
		s.total += b
		s.cost += s.price(b)
	}
}

func (s *polish) price(b int) int64 {
	c := int64(b) * (breakCost + int64(b))
	if b > s.limit {
		c += int64(b-s.limit) * 50 * breakCost
	}
	return c
}

// run goes so many steps, or until there are no more breaks than enough, and
// leaves the best timetable that it saw.
func (s *polish) run(ctx context.Context, steps, enough int, report func()) {
	best, least := append([]int32(nil), s.at...), s.cost
	var movable []int32
	for i, at := range s.at {
		if at >= 0 && len(s.m.meets[i].slots) > 1 {
			movable = append(movable, int32(i))
		}
	}
	const hot, cold = 1.2 * breakCost, 0.08 * breakCost
	heat := hot
	cool := math.Pow(cold/hot, 1/float64(max(steps/1024, 1)))
	for n := 0; n < steps && len(movable) > 0; n++ {
		if n%1024 == 1023 {
			if ctx.Err() != nil {
				break
			}
			heat *= cool
			if n%(64*1024) == 64*1024-1 {
				report()
			}
		}
		if s.total <= enough && s.cost < int64(enough+1)*50*breakCost && s.within() {
			break
		}
		i := movable[s.random.IntN(len(movable))]
		for range 4 {
			if s.current[s.m.meets[i].a] > 0 || s.current[s.m.meets[i].b] > 0 {
				break
			}
			i = movable[s.random.IntN(len(movable))]
		}
		t := &s.m.meets[i]
		to := t.slots[s.random.IntN(len(t.slots))]
		from := s.at[i]
		if to == from {
			continue
		}
		s.mark()
		if !s.swap(i, to) || !s.level(from, to, s.random) {
			s.undo(0)
			continue
		}
		delta := s.delta(s.price)
		if delta > 0 && s.random.Float64() >= math.Exp(-float64(delta)/heat) {
			s.undo(0)
			continue
		}
		s.delta(nil)
		s.cost += delta
		if s.cost < least {
			least = s.cost
			copy(best, s.at)
		}
	}
	s.take(best)
	s.count()
}

// delta is what the moves since the mark cost; without a price it takes over
// the breaks instead.
func (s *polish) delta(price func(int) int64) int64 {
	s.turn++
	var d int64
	for _, v := range s.moves {
		for _, u := range s.m.meets[v.meeting].uses {
			if int(u.of) >= s.m.parties || s.stamp[u.of] == s.turn || !s.m.counts[u.of] {
				continue
			}
			s.stamp[u.of] = s.turn
			b := s.breaks(int(u.of))
			if price != nil {
				d += price(b) - price(int(s.current[u.of]))
			} else {
				s.total += b - int(s.current[u.of])
				s.current[u.of] = int32(b)
			}
		}
	}
	return d
}

// within says whether the spread is kept.
func (p *plan) within() bool {
	if p.m.spread < 0 {
		return true
	}
	least, most := math.MaxInt32, 0
	for x := range p.m.parties {
		if p.m.counts[x] {
			b := p.breaks(x)
			least, most = min(least, b), max(most, b)
		}
	}
	return least == math.MaxInt32 || most-least <= p.m.spread
}

// fewest is how few breaks a participant can have whatever the others do: it
// takes the longest runs of slots in which it has room, of each day the first
// for nothing.
func (p *plan) fewest(x int) int {
	if !p.m.counts[x] {
		return 0
	}
	r := &p.m.res[x]
	var open slotSet // slots of meetings that are held
	need := 0
	most := int16(1)
	for _, i := range r.meetings {
		if p.at[i] >= 0 {
			for k := range open {
				open[k] |= p.m.meets[i].open[k]
			}
			need++
		}
	}
	for _, n := range r.room {
		most = max(most, n)
	}
	need = (need + int(most) - 1) / int(most)
	var free, later []int
	run, first := 0, true
	var today []int
	flush := func() {
		if run > 0 {
			today = append(today, run)
			run = 0
		}
	}
	close := func() {
		flush()
		longest := -1
		for k, n := range today {
			if longest < 0 || n > today[longest] {
				longest = k
			}
		}
		for k, n := range today {
			if k == longest {
				free = append(free, n)
			} else {
				later = append(later, n)
			}
		}
		today = nil
	}
	for s := range p.m.slots {
		if p.m.newDay[s] && !first {
			close()
		}
		first = false
		if open.has(s) && r.room[s] > 0 {
			run++
		} else {
			flush()
		}
	}
	close()
	for _, n := range free {
		need -= n
	}
	breaks := 0
	for need > 0 && len(later) > 0 {
		k := 0
		for j, n := range later {
			if n > later[k] {
				k = j
			}
		}
		need -= later[k]
		later[k] = 0
		if breaks++; breaks >= len(later) {
			break
		}
	}
	return breaks
}
