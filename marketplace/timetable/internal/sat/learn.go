package sat

import "slices"

// learn makes a clause of a conflict, goes back to where it first has one
// literal left and assigns that.
func (s *Solver) learn(bad clauseRef) {
	c := append(s.clause[:0], 0)
	current := int32(len(s.marks))
	open, at := 0, len(s.trail)-1
	var uip Lit
	for why := bad; ; {
		if s.arena[why+1] > 2 { // a learnt clause that is of use again
			s.arena[why+1] = min(s.arena[why+1], s.rank(s.lits(why)))
		}
		for _, l := range s.lits(why) {
			v := l >> 1
			if l == uip || s.seen[v] != 0 || s.level[v] == 0 {
				continue
			}
			s.seen[v] = 1
			s.bump(int32(v))
			if s.level[v] == current {
				open++
			} else {
				c = append(c, l)
			}
		}
		for s.seen[s.trail[at]>>1] == 0 {
			at--
		}
		uip = s.trail[at]
		at--
		s.seen[uip>>1] = 0
		if open--; open == 0 {
			break
		}
		why = s.reason[uip>>1]
	}
	c[0] = uip ^ 1
	s.clear = append(s.clear[:0], c[1:]...)
	s.rank(c)
	kept := 1
	for _, l := range c[1:] {
		if s.reason[l>>1] == noClause || !s.redundant(l) {
			c[kept] = l
			kept++
		}
	}
	c = c[:kept]
	for _, l := range s.clear {
		s.seen[l>>1] = 0
	}
	s.clause = c
	rank := s.rank(c)
	s.fast += (float64(rank) - s.fast) / 32
	s.slow += (float64(rank) - s.slow) / 8192
	if s.Conflicts < 8192 {
		s.slow = s.slow + (float64(rank)-s.slow)/float64(s.Conflicts+1)
	}
	back := int32(0)
	for i := 1; i < len(c); i++ {
		if l := s.level[c[i]>>1]; l > back {
			back = l
			c[1], c[i] = c[i], c[1]
		}
	}
	s.backtrack(int(back))
	if len(c) == 1 {
		s.assign(c[0], noClause)
	} else {
		ref := s.attach(c, max(rank, 1))
		if len(c) > 2 {
			s.learnt = append(s.learnt, ref)
		}
		s.assign(c[0], ref)
	}
	s.increment /= 0.95
}

// redundant says whether a literal of the learnt clause follows from others of it.
func (s *Solver) redundant(l Lit) bool {
	s.stack = append(s.stack[:0], l)
	top := len(s.clear)
	for len(s.stack) > 0 {
		l := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		for _, k := range s.lits(s.reason[l>>1]) {
			v := k >> 1
			if v == l>>1 || s.seen[v] == 1 || s.level[v] == 0 {
				continue
			}
			if s.reason[v] == noClause || s.seen[v] == 2 || s.levels[s.level[v]] != s.stamp {
				for _, m := range s.clear[top:] {
					s.seen[m>>1] = 2 // was in vain, also for the next literal
				}
				return false
			}
			s.seen[v] = 1
			s.clear = append(s.clear, k)
			s.stack = append(s.stack, k)
		}
	}
	return true
}

// rank counts the decision levels of a clause.
func (s *Solver) rank(c []Lit) Lit {
	s.stamp++
	n := Lit(0)
	for _, l := range c {
		if v := s.level[l>>1]; v > 0 && s.levels[v] != s.stamp {
			s.levels[v] = s.stamp
			n++
		}
	}
	return n
}

// blame finds the assumptions because of which a is false.
func (s *Solver) blame(a Lit) {
	s.core = append(s.core[:0], a)
	if len(s.marks) == 0 || s.level[a>>1] == 0 {
		return
	}
	s.seen[a>>1] = 1
	for i := len(s.trail) - 1; i >= s.marks[0]; i-- {
		l := s.trail[i]
		v := l >> 1
		if s.seen[v] == 0 {
			continue
		}
		s.seen[v] = 0
		if s.reason[v] == noClause {
			if l != a.Not() {
				s.core = append(s.core, l)
			}
			continue
		}
		for _, k := range s.lits(s.reason[v]) {
			if s.level[k>>1] > 0 && k>>1 != v {
				s.seen[k>>1] = 1
			}
		}
	}
	s.seen[a>>1] = 0
}

func (s *Solver) bump(v int32) {
	if s.activity[v] += s.increment; s.activity[v] > 1e100 {
		for i := range s.activity {
			s.activity[i] *= 1e-100
		}
		s.increment *= 1e-100
	}
	s.heap.up(v)
}

// reduce deletes the worse half of the learnt clauses.
func (s *Solver) reduce() {
	s.reduced++
	s.reduceAt = s.Conflicts + 2000 + 300*s.reduced
	var bad []clauseRef
	kept := s.learnt[:0]
	for _, ref := range s.learnt {
		c := s.lits(ref)
		if locked := s.reason[c[0]>>1] == ref && s.values[c[0]] == isTrue; s.arena[ref+1] <= 2 || locked {
			kept = append(kept, ref)
			continue
		}
		bad = append(bad, ref)
	}
	slices.SortStableFunc(bad, func(a, b clauseRef) int {
		if d := s.arena[b+1] - s.arena[a+1]; d != 0 {
			return int(d)
		}
		return int(s.arena[b] - s.arena[a])
	})
	for i, ref := range bad {
		if i < len(bad)/2 {
			s.wasted += int(s.arena[ref]) + header
			s.arena[ref+1] = dead
		} else {
			kept = append(kept, ref)
		}
	}
	s.learnt = kept
	slices.Sort(s.learnt)
	for l := range s.watches {
		list := s.watches[l][:0]
		for _, w := range s.watches[l] {
			if s.arena[w.clause&^binary+1] != dead {
				list = append(list, w)
			}
		}
		s.watches[l] = list
	}
	if s.wasted > len(s.arena)/3 {
		s.compact()
	}
}

// compact moves the living clauses together.
func (s *Solver) compact() {
	moved := make(map[clauseRef]clauseRef, len(s.learnt))
	to := clauseRef(1)
	for from := clauseRef(1); int(from) < len(s.arena); {
		n := clauseRef(s.arena[from]) + header
		if s.arena[from+1] != dead {
			if from != to {
				copy(s.arena[to:], s.arena[from:from+n])
				moved[from] = to
			}
			to += n
		}
		from += n
	}
	s.arena = s.arena[:to]
	s.wasted = 0
	now := func(ref clauseRef) clauseRef {
		if m, ok := moved[ref&^binary]; ok {
			return m | ref&binary
		}
		return ref
	}
	for i := range s.learnt {
		s.learnt[i] = now(s.learnt[i])
	}
	for l := range s.watches {
		for i := range s.watches[l] {
			s.watches[l][i].clause = now(s.watches[l][i].clause)
		}
	}
	for _, l := range s.trail {
		s.reason[l>>1] = now(s.reason[l>>1])
	}
}

// heap holds variables, the most active one first.
type heap struct {
	activity *[]float64
	list     []int32
	place    []int32 // of a variable in list, plus 1
}

func (h *heap) before(a, b int32) bool {
	x, y := (*h.activity)[a], (*h.activity)[b]
	return x > y || x == y && a < b
}

func (h *heap) insert(v int32) {
	for int(v) >= len(h.place) {
		h.place = append(h.place, 0)
	}
	if h.place[v] == 0 {
		h.list = append(h.list, v)
		h.place[v] = int32(len(h.list))
		h.up(v)
	}
}

func (h *heap) up(v int32) {
	if int(v) >= len(h.place) || h.place[v] == 0 {
		return
	}
	i := h.place[v] - 1
	for i > 0 {
		p := (i - 1) / 2
		if !h.before(v, h.list[p]) {
			break
		}
		h.list[i] = h.list[p]
		h.place[h.list[i]] = i + 1
		i = p
	}
	h.list[i] = v
	h.place[v] = i + 1
}

func (h *heap) pop() int32 {
	top := h.list[0]
	h.place[top] = 0
	v := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	if n := int32(len(h.list)); n > 0 {
		i := int32(0)
		for {
			c := 2*i + 1
			if c >= n {
				break
			}
			if c+1 < n && h.before(h.list[c+1], h.list[c]) {
				c++
			}
			if !h.before(h.list[c], v) {
				break
			}
			h.list[i] = h.list[c]
			h.place[h.list[i]] = i + 1
			i = c
		}
		h.list[i] = v
		h.place[v] = i + 1
	}
	return top
}
