package timetable

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// plan is a model with slots for some of its meetings, which search changes.
// Between its methods no condition is violated, unless a method says so.
type plan struct {
	m     *model
	slots int
	at    []int32   // by meeting, -1 for none
	load  []int16   // by resource and slot
	in    [][]int32 // likewise the meetings that are held, in order
	busy  []slotSet // by participant
	held  []int32   // by participant, how many meetings
	maxes []int32   // by participant
	moves []move    // since the last mark, to be taken back
	seen  []int32   // by meeting, the chain that it was last moved by
	chain int32
}

type move struct{ meeting, from int32 }

func newPlan(m *model) *plan {
	n := len(m.res) * len(m.slots)
	p := &plan{m: m, slots: len(m.slots), at: make([]int32, len(m.meets)), load: make([]int16, n), in: make([][]int32, n),
		busy: make([]slotSet, m.parties), held: make([]int32, m.parties), seen: make([]int32, len(m.meets))}
	for i := range p.at {
		p.at[i] = -1
	}
	for _, x := range m.p.Participants {
		limit := int32(x.Max)
		if limit == 0 {
			limit = MaxMeetings
		}
		p.maxes = append(p.maxes, limit)
	}
	return p
}

// set gives a meeting another slot, or none, and looks at no condition.
func (p *plan) set(i, s int32) {
	old := p.at[i]
	if old == s {
		return
	}
	t := &p.m.meets[i]
	p.moves = append(p.moves, move{i, old})
	p.at[i] = s
	for _, u := range t.uses {
		if old >= 0 {
			c := int(u.of)*p.slots + int(old)
			p.load[c] -= u.weight
			k, _ := slices.BinarySearch(p.in[c], i)
			p.in[c] = slices.Delete(p.in[c], k, k+1)
			if int(u.of) < p.m.parties {
				p.held[u.of]--
				if p.load[c] == 0 {
					p.busy[u.of].del(int(old))
				}
			}
		}
		if s >= 0 {
			c := int(u.of)*p.slots + int(s)
			p.load[c] += u.weight
			k, _ := slices.BinarySearch(p.in[c], i)
			p.in[c] = slices.Insert(p.in[c], k, i)
			if int(u.of) < p.m.parties {
				p.held[u.of]++
				p.busy[u.of].add(int(s))
			}
		}
	}
}

// mark forgets what could be taken back.
func (p *plan) mark() { p.moves = p.moves[:0] }

// undo takes back everything since the moves were so many.
func (p *plan) undo(moves int) {
	for len(p.moves) > moves {
		last := p.moves[len(p.moves)-1]
		p.set(last.meeting, last.from)
		p.moves = p.moves[:len(p.moves)-2]
	}
}

// take takes over a whole timetable.
func (p *plan) take(at []int32) {
	for i := range p.at {
		p.set(int32(i), -1)
	}
	for i, s := range at {
		p.set(int32(i), s)
	}
	p.mark()
}

func (p *plan) room(r, s int32) bool {
	return p.load[int(r)*p.slots+int(s)] <= p.m.res[r].room[s]
}

// fits says whether a meeting without a slot can be held at one.
func (p *plan) fits(i, s int32) bool {
	t := &p.m.meets[i]
	if !t.open.has(int(s)) || !p.ordered(i, s) {
		return false
	}
	for _, u := range t.uses {
		if p.load[int(u.of)*p.slots+int(s)]+u.weight > p.m.res[u.of].room[s] {
			return false
		}
	}
	return true
}

// allowed says whether the participants of a meeting may have one more.
func (p *plan) allowed(i int32) bool {
	for _, u := range p.m.meets[i].uses {
		if int(u.of) < p.m.parties && p.held[u.of] >= p.maxes[u.of] && p.m.meets[i].rank != Booked {
			return false
		}
	}
	return true
}

func (p *plan) ordered(i, s int32) bool {
	t := &p.m.meets[i]
	for _, k := range t.after {
		if p.at[k] >= s {
			return false
		}
	}
	for _, k := range t.before {
		if p.at[k] >= 0 && p.at[k] <= s {
			return false
		}
	}
	return true
}

// swap moves a meeting to another slot, and what is in its way there to the
// slot that it left, and so on (a chain of Kempe). It answers whether all
// conditions hold then but those of the tables; where not, undo it.
func (p *plan) swap(i, to int32) bool {
	from := p.at[i]
	p.chain++
	p.seen[i] = p.chain
	first := len(p.moves)
	if !p.m.meets[i].open.has(int(to)) {
		return false
	}
	p.set(i, to)
	for k := first; k < len(p.moves); k++ {
		x := p.moves[k].meeting
		dest := p.at[x]
		other := from
		if dest == from {
			other = to
		}
		for _, u := range p.m.meets[x].uses {
			if p.isTables(x, u.of) {
				continue
			}
			for !p.room(u.of, dest) {
				y := p.inTheWay(u.of, dest, other)
				if y < 0 {
					return false
				}
				p.seen[y] = p.chain
				p.set(y, other)
			}
		}
	}
	for _, v := range p.moves[first:] {
		if t := &p.m.meets[v.meeting]; len(t.after)+len(t.before) > 0 && !p.ordered(v.meeting, p.at[v.meeting]) {
			return false
		}
	}
	return true
}

func (p *plan) isTables(i, r int32) bool {
	g := p.m.meets[i].group
	return g >= 0 && p.m.groups[g].resource == r
}

// inTheWay is a meeting of a resource at a slot that can go to the other slot
// and was not moved by this chain; -1 for none.
func (p *plan) inTheWay(r, s, other int32) int32 {
	for _, y := range p.in[int(r)*p.slots+int(s)] {
		if p.seen[y] != p.chain && p.m.meets[y].open.has(int(other)) {
			return y
		}
	}
	return -1
}

// level mends the tables of two slots after a swap between them: as long as
// there are too few of a group, it swaps a further meeting out. It answers
// whether there are enough then.
func (p *plan) level(a, b int32, random *rand.Rand) bool {
	for _, g := range p.m.groups {
		for try := 0; ; try++ {
			over, under := a, b
			if p.room(g.resource, over) {
				over, under = b, a
			}
			if p.room(g.resource, over) {
				break
			}
			if try > 3 {
				return false
			}
			list := p.in[int(g.resource)*p.slots+int(over)]
			y := list[random.IntN(len(list))]
			excess := p.load[int(g.resource)*p.slots+int(over)]
			before := len(p.moves)
			if !p.swap(y, under) || p.load[int(g.resource)*p.slots+int(over)] >= excess || !p.room(g.resource, under) {
				p.undo(before)
			}
		}
	}
	return p.tablesFit(a, b) // mending one group may have broken another
}

// tablesFit says whether the tables of two slots are enough.
func (p *plan) tablesFit(a, b int32) bool {
	for _, g := range p.m.groups {
		if !p.room(g.resource, a) || !p.room(g.resource, b) {
			return false
		}
	}
	return true
}

// breaks is how many breaks a participant has.
func (p *plan) breaks(x int) int {
	if !p.m.counts[x] {
		return 0
	}
	return p.m.breaks(p.busy[x])
}

// breaks counts the runs of idle slots between two busy ones of the same day.
func (m *model) breaks(busy slotSet) int {
	n := 0
	if len(m.slots) <= 64 {
		w, d := busy[0], m.dayStarts[0]
		// Of each run but the first of its day one break.
		runs := w &^ (w << 1 &^ d)
		for runs != 0 {
			low := bits.TrailingZeros64(runs)
			runs &= runs - 1
			if runs == 0 {
				break
			}
			next := bits.TrailingZeros64(runs)
			if d>>(low+1)&(1<<(next-low)-1) == 0 {
				n++
			}
		}
		return n
	}
	last, today := -1, false
	for s := range m.slots {
		if m.newDay[s] {
			today = false
		}
		if busy.has(s) {
			if today && last < s-1 {
				n++
			}
			last, today = s, true
		}
	}
	return n
}
