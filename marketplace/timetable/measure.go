package timetable

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// mustBound is the most musts that can be held.
func (s *solver) mustBound() int64 {
	if s.pick.finished && s.pick.total[gainBooked] == int64(len(s.booked()))*s.pick.copies() {
		return min(s.pick.total[gainMust]/s.pick.copies(), s.pick.bounds[gainMust])
	}
	return s.pick.bounds[gainMust]
}

// heldBound is the most meetings that can be held with as many musts as can be.
func (s *solver) heldBound() int64 {
	if s.pick.finished {
		return min(s.pick.total[gainHeld]/s.pick.copies(), s.pick.bounds[gainHeld])
	}
	return s.pick.bounds[gainHeld]
}

// ceiling is a gain above which there is none.
func (s *solver) ceiling() gain {
	k := s.pick
	g := gain{int64(len(s.booked())), s.mustBound(), 0, s.heldBound(), math.MaxInt64, math.MaxInt64}
	for x := range k.m.parties {
		g[gainMin] += int64(min(k.m.p.Participants[x].Min, len(k.m.res[x].meetings)))
	}
	// The choice bounds a gain where those before it are what they are there.
	same := k.finished && !k.m.three
	for w, n := range k.total {
		if !same {
			break
		}
		g[w] = min(g[w], n/k.copies())
		same = g[w]*k.copies() == n
	}
	return g
}

// result puts what was found into the problem's words.
func (s *solver) result(ctx context.Context) *Result {
	r := &Result{Status: s.status}
	s.report(Seating, s.breaks())
	table := s.p.seat(ctx, s.keep)
	for i, at := range s.p.at {
		if at < 0 {
			continue
		}
		x := Placement{Meeting: s.m.p.Meetings[i].ID, Slot: s.m.p.Slots[s.m.slots[at]].ID}
		if table[i] >= 0 {
			x.Table = s.m.p.Tables[table[i]].ID
		}
		r.Placements = append(r.Placements, x)
	}
	slices.SortStableFunc(r.Placements, func(a, b Placement) int { return cmp.Compare(s.m.slotID[a.Slot], s.m.slotID[b.Slot]) })
	if s.status == Impossible {
		r.Placements = nil
		r.Reasons = s.overall()
		return r
	}
	r.Unplaced = s.unplaced()
	r.Reasons = s.overall()
	if s.status == Found {
		r.Measures = s.measures(ctx, table)
	}
	return r
}

func (s *solver) measures(ctx context.Context, table []int32) []Measure {
	m, p := s.m, s.p
	t := p.tally()
	var now gain
	var short, wanted, beside, breaks, most, mostBound, lower int64
	// The choice knows nothing of further participants: what these have of their
	// minimum by others' meetings comes on top of its bound.
	extra, sides := make([]int, m.parties), make([]int, m.parties)
	for i := range m.meets {
		t := &m.meets[i]
		if p.at[i] >= 0 {
			sides[t.a]++
			sides[t.b]++
		}
		for _, u := range t.uses[2:] {
			if int(u.of) < m.parties {
				extra[u.of]++
			}
		}
	}
	for x := range m.parties {
		least := m.p.Participants[x].Min
		wanted += int64(least)
		now[gainMin] += int64(min(least, sides[x]))
		beside += int64(min(least, extra[x]))
		short += int64(max(0, least-int(p.held[x])))
		b, f := int64(p.breaks(x)), int64(p.fewest(x))
		breaks += b
		lower += f
		most, mostBound = max(most, b), max(mostBound, f)
	}
	now[gainBooked], now[gainMust], now[gainHeld] = t[gainBooked], t[gainMust], t[gainHeld]
	musts, held := s.pick.bound(ctx, gainMust, now), s.pick.bound(ctx, gainHeld, now)
	least := max(0, wanted-beside-s.pick.bound(ctx, gainMin, now))
	if n := s.proven[gainMust]; n >= 0 {
		musts = min(musts, max(n, t[gainMust]))
	}
	if n := s.proven[gainMin]; n >= 0 && t[gainMust] == s.proven[gainMust] {
		least = max(least, wanted-max(n, t[gainMin]))
	}
	if n := s.proven[gainHeld]; n >= 0 && t[gainMust] == s.proven[gainMust] && t[gainMin] == s.proven[gainMin] {
		held = min(held, max(n, t[gainHeld]))
	}
	list := []Measure{
		{Musts, t[gainMust], musts},
		{Shortfall, short, least},
		{Held, t[gainHeld], held},
		{Score, t[gainScore], s.pick.most(ctx, gainScore)},
	}
	if s.was != nil {
		c := Measure{Goal: Changes}
		for i, at := range s.was {
			if at < 0 {
				continue
			}
			if p.at[i] != at || m.groups != nil && table[i] != s.keep[i] {
				c.Value++
			}
			if !m.meets[i].open.has(int(at)) {
				c.Bound++
			}
		}
		list = append(list, c)
	}
	moves, movesBound := p.tableMoves(table)
	return append(list,
		Measure{Breaks, breaks, max(lower, s.breaksBound)},
		Measure{MostBreaks, most, mostBound},
		Measure{TableMoves, moves, movesBound})
}
