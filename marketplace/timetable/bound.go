package timetable

import (
	"math"
	"slices"
)

// manyOpenings are so many pairs of meetings and slots that no matchings are
// made for a bound.
const manyOpenings = 2_000_000

// capacity bounds how many meetings of a set can be held, whatever becomes of
// the rest: each has one slot, and a slot holds no more than its tables and than
// its participants can have at once.
func (m *model) capacity(of []bool) int {
	openings := m.pairs(of)
	groups := max(len(m.groups), 1)
	all := resource{room: make([]int16, len(m.slots))}
	byGroup := make([]resource, groups)
	most := make([][]int, groups) // by slot, how many tables there are and meetings wish for
	for g := range groups {
		byGroup[g].room = make([]int16, len(m.slots))
		most[g] = make([]int, len(m.slots))
	}
	for i := range m.meets {
		if of[i] {
			g := max(m.meets[i].group, 0)
			all.meetings = append(all.meetings, int32(i))
			byGroup[g].meetings = append(byGroup[g].meetings, int32(i))
			for _, s := range m.meets[i].slots {
				most[g][s]++
			}
		}
	}
	for s := range m.slots {
		sum := 0
		for g := range groups {
			n := most[g][s]
			if m.groups != nil {
				n = min(n, int(m.res[m.groups[g].resource].room[s]))
			}
			if g == 0 && openings <= manyOpenings {
				n = m.atOnce(s, byGroup[0].meetings, n)
			}
			byGroup[g].room[s] = int16(min(n, math.MaxInt16))
			sum += n
		}
		if groups > 1 && openings <= manyOpenings {
			sum = m.atOnce(s, all.meetings, sum)
		}
		if sum > math.MaxInt16 {
			return len(all.meetings)
		}
		all.room[s] = int16(sum)
	}
	n := 0
	for g := range byGroup {
		n += m.placeable(&byGroup[g])
	}
	if groups == 1 {
		return n
	}
	return min(n, m.placeable(&all))
}

// atOnce bounds how many of the meetings can be held at a slot, up to most: half
// of a matching between two copies of everybody, in which each meeting stands
// twice. Where the participants are of two kinds that is exact.
func (m *model) atOnce(s int, list []int32, most int) int {
	type end struct {
		meeting, other int32
		chosen         bool
	}
	free := make([]int, m.parties) // what the first copy of a participant has room for
	for p := range free {
		free[p] = int(m.res[p].room[s])
	}
	left := slices.Clone(free) // likewise the second
	ends := make([][]end, m.parties)
	for _, i := range list {
		if t := &m.meets[i]; t.open.has(s) {
			ends[t.a] = append(ends[t.a], end{meeting: i, other: t.b})
			ends[t.b] = append(ends[t.b], end{meeting: i, other: t.a})
		}
	}
	taken := make([][]int32, m.parties) // by second copy, the first copies that it meets
	tried := make([]int, m.parties)
	round := 1
	var add func(p int32) bool
	add = func(p int32) bool {
		for k := range ends[p] {
			e := &ends[p][k]
			if e.chosen || tried[e.other] >= round {
				continue
			}
			q := e.other
			tried[q] = round
			if left[q] > 0 {
				left[q]--
				e.chosen = true
				taken[q] = append(taken[q], p)
				return true
			}
			for j, r := range taken[q] {
				if !add(r) {
					continue
				}
				for x := range ends[r] {
					if ends[r][x].other == q && ends[r][x].chosen {
						ends[r][x].chosen = false
						break
					}
				}
				taken[q][j] = p
				e.chosen = true
				return true
			}
		}
		return false
	}
	n := 0
	for p := range ends {
		for free[p] > 0 && n < 2*most && add(int32(p)) {
			free[p]--
			n++
			round++
		}
	}
	return min(most, n/2)
}
