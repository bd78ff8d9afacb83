package timetable

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// The places of a gain.
const (
	gainBooked = iota
	gainMust
	gainMin
	gainHeld
	gainFair
	gainScore
)

// pick is which meetings are to be held, before anything is said of when.
type pick struct {
	m         *model
	caps      []int  // by participant, how many meetings it can have
	places    int    // how many meetings there can be in all
	chosen    []bool // by meeting
	twofold   bool   // the participants are of two kinds that only meet one another: the choice is exact
	color     []int8 // by participant, its kind where twofold
	total     gain   // of the choice; of the two copies of it where not twofold
	candidate []int32
	bounds    gain // each whatever becomes of the others
	exact     [6]bool
	finished  bool // total says something: the choice was not stopped
}

// choose takes the meetings of greatest gain so that nobody has more than they
// have free slots for, nor all together more than there are places. Where the
// participants are of two kinds, as cities and companies, this is a flow and
// exact. Otherwise it is one between two copies of everybody, in which each
// meeting stands twice: half of that is the best choice of halves of meetings,
// which no choice of whole ones beats.
func choose(ctx context.Context, m *model) *pick {
	k := &pick{m: m, chosen: make([]bool, len(m.meets))}
	for i := range m.meets {
		if len(m.meets[i].slots) > 0 {
			k.candidate = append(k.candidate, int32(i))
		}
	}
	k.capacities()
	k.twofold = k.paint()
	c := k.flow(ctx, gain{1, 1, 1, 1, 1, 1})
	k.total = c.total
	k.roughBounds()
	k.finished = ctx.Err() == nil
	if k.twofold {
		for e, i := range k.candidate {
			k.chosen[i] = c.chosen[e]
		}
	} else {
		k.round(c)
	}
	return k
}

// capacities finds how many meetings each participant can have: its maximum, or
// as many as can have different slots.
func (k *pick) capacities() {
	m := k.m
	k.caps = make([]int, m.parties)
	for p := range m.parties {
		k.caps[p] = m.placeable(&m.res[p])
		booked := 0
		for _, i := range m.res[p].meetings {
			if m.meets[i].rank == Booked {
				booked++
			}
		}
		if limit := m.p.Participants[p].Max; limit > 0 {
			k.caps[p] = min(k.caps[p], max(limit, booked))
		}
	}
	k.tablePlaces()
}

// tablePlaces bounds the meetings in all by the places of each group of tables
// and by what each slot holds, and those of an owner of tables by its own.
func (k *pick) tablePlaces() {
	m := k.m
	every := make([]bool, len(m.meets))
	for _, i := range k.candidate {
		every[i] = true
	}
	most := m.capacity(every)
	k.places = most
	if m.groups == nil {
		return
	}
	wanted := make([]int, len(m.groups))
	guest := make([]int, m.parties) // meetings that an owner has at tables of others
	for _, i := range k.candidate {
		t := &m.meets[i]
		wanted[t.group]++
		if t.group > 0 {
			guest[t.b]++
		}
	}
	owner := map[string]int{}
	for p := range m.parties {
		owner[m.p.Participants[p].ID] = p
	}
	k.places = 0
	for g := range m.groups {
		n := min(wanted[g], m.places(g))
		if g > 0 {
			p := owner[m.p.Tables[m.groups[g].tables[0]].Owner]
			k.caps[p] = min(k.caps[p], n+guest[p])
			n = min(n, k.caps[p])
		}
		k.places += n
	}
	k.places = min(k.places, most)
}

// roughBounds bounds each gain by sums.
func (k *pick) roughBounds() {
	m := k.m
	var scores []int64
	b := gain{}
	for _, i := range k.candidate {
		switch t := &m.meets[i]; t.rank {
		case Booked:
			b[gainBooked]++
		case Must:
			b[gainMust]++
		}
		scores = append(scores, m.meets[i].score)
	}
	ends := 0
	for p, n := range k.caps {
		ends += min(n, len(m.res[p].meetings))
		b[gainMin] += int64(m.p.Participants[p].Min)
	}
	most := min(k.places, len(k.candidate), ends/2)
	musts, firm := make([]bool, len(m.meets)), make([]bool, len(m.meets))
	for _, i := range k.candidate {
		musts[i], firm[i] = m.meets[i].rank == Must, m.meets[i].rank != Want
	}
	// Where everything that is booked is held, musts have what that leaves.
	b[gainMust] = int64(min(m.capacity(musts), m.capacity(firm)-int(b[gainBooked])))
	b[gainHeld], b[gainMust] = int64(most), max(0, min(b[gainMust], int64(most)))
	slices.Sort(scores)
	for _, n := range scores[len(scores)-most:] {
		b[gainScore] += n
	}
	k.bounds = b
}

// placeable is how many of a resource's meetings can have slots in which it has
// room, a matching.
func (m *model) placeable(r *resource) int {
	taken := make([][]int32, len(m.slots))
	tried := make([]int, len(m.slots))
	round := 1
	var place func(i int32) bool
	place = func(i int32) bool {
		for _, s := range m.meets[i].slots {
			if tried[s] >= round {
				continue
			}
			tried[s] = round
			if len(taken[s]) < int(r.room[s]) {
				taken[s] = append(taken[s], i)
				return true
			}
			for k, j := range taken[s] {
				if place(j) {
					taken[s][k] = i
					return true
				}
			}
		}
		return false
	}
	n := 0
	for _, i := range r.meetings {
		if place(i) {
			n++
			round++
			continue
		}
		for s := range tried {
			if tried[s] == round {
				tried[s] = math.MaxInt // full of what has no other slot
			}
		}
	}
	return n
}

// paint parts the participants into two kinds, if they are of two.
func (k *pick) paint() bool {
	m := k.m
	k.color = make([]int8, m.parties)
	next := make([][]int32, m.parties)
	for _, i := range k.candidate {
		t := &m.meets[i]
		next[t.a] = append(next[t.a], t.b)
		next[t.b] = append(next[t.b], t.a)
	}
	for p := range next {
		if k.color[p] != 0 {
			continue
		}
		k.color[p] = 1
		for queue := []int32{int32(p)}; len(queue) > 0; queue = queue[1:] {
			for _, q := range next[queue[0]] {
				if k.color[q] == 0 {
					k.color[q] = -k.color[queue[0]]
					queue = append(queue, q)
				} else if k.color[q] == k.color[queue[0]] {
					return false
				}
			}
		}
	}
	return true
}

// flow solves the choice; of each gain only so much counts as the factors say.
func (k *pick) flow(ctx context.Context, factor gain) *choice {
	m := k.m
	sides := [2][]side{make([]side, m.parties), make([]side, m.parties)}
	for p := range m.parties {
		gains := make([]gain, k.caps[p])
		for n := range gains {
			if n < m.p.Participants[p].Min {
				gains[n][gainMin] = factor[gainMin]
			}
			if m.counts[p] {
				gains[n][gainFair] = -int64(2*n+1) * factor[gainFair]
			}
		}
		if !k.twofold || k.color[p] == 1 {
			sides[0][p].gains = gains
		}
		if !k.twofold || k.color[p] == -1 {
			sides[1][p].gains = gains
		}
	}
	var edges, mirrored []edge
	for _, i := range k.candidate {
		t := &m.meets[i]
		var g gain
		switch t.rank {
		case Booked:
			g[gainBooked] = factor[gainBooked]
		case Must:
			g[gainMust] = factor[gainMust]
		}
		g[gainHeld], g[gainScore] = factor[gainHeld], t.score*factor[gainScore]
		a, b := t.a, t.b
		if k.twofold && k.color[a] < 0 {
			a, b = b, a
		}
		edges = append(edges, edge{a, b, g})
		if !k.twofold {
			mirrored = append(mirrored, edge{b, a, g})
		}
	}
	places := k.places
	if !k.twofold {
		places *= 2
	}
	c := newChoice(sides[0], sides[1], append(edges, mirrored...))
	c.run(ctx, places)
	return c
}

// round makes whole meetings of halves: those of which both halves were chosen
// are kept, then others are taken, the best first, while they find room.
func (k *pick) round(c *choice) {
	n := len(k.candidate)
	left, places := slices.Clone(k.caps), k.places
	var halves []int32
	take := func(i int32) {
		t := &k.m.meets[i]
		if left[t.a] > 0 && left[t.b] > 0 && places > 0 {
			k.chosen[i] = true
			left[t.a]--
			left[t.b]--
			places--
		}
	}
	for e, i := range k.candidate {
		if c.chosen[e] && c.chosen[e+n] {
			take(i)
		} else {
			halves = append(halves, i)
		}
	}
	half := make(map[int32]bool, len(halves))
	for e, i := range k.candidate {
		half[i] = c.chosen[e] || c.chosen[e+n]
	}
	slices.SortStableFunc(halves, func(a, b int32) int {
		x, y := &k.m.meets[a], &k.m.meets[b]
		if d := cmp.Compare(y.rank, x.rank); d != 0 {
			return d
		}
		if half[a] != half[b] {
			if half[a] {
				return -1
			}
			return 1
		}
		return cmp.Compare(y.score, x.score)
	})
	for _, i := range halves {
		take(i)
	}
}

// manyCandidates are so many meetings that a bound of their scores, which the
// search does not need, is left rough: a flow of 3,600 of 4,000 takes seconds.
const manyCandidates = 2000

// most bounds one of the gains whatever becomes of the others.
func (k *pick) most(ctx context.Context, which int) int64 {
	if k.exact[which] || k.bounds[which] == 0 || which == gainScore && len(k.candidate) > manyCandidates {
		return k.bounds[which]
	}
	var factor gain
	factor[which] = 1
	if c := k.flow(ctx, factor); ctx.Err() == nil {
		k.bounds[which] = min(k.bounds[which], c.total[which]/k.copies())
		k.exact[which] = true
	}
	return k.bounds[which]
}

// copies is how often a meeting stands in the flow.
func (k *pick) copies() int64 {
	if k.twofold {
		return 1
	}
	return 2
}

// bound is the best that a gain can be where those before it are as they are.
func (k *pick) bound(ctx context.Context, which int, before gain) int64 {
	for w := range which {
		if !k.finished {
			return k.bounds[which]
		}
		if w != gainFair && k.total[w] != before[w]*k.copies() {
			return k.most(ctx, which)
		}
	}
	return min(k.bounds[which], k.total[which]/k.copies())
}
