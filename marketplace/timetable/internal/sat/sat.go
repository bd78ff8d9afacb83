// Package sat decides whether a formula of clauses can be made true: conflict
// driven clause learning with two watched literals (Moskewicz et al., Chaff,
// 2001), first unique implication points, minimised clauses, activities that
// decay, phases that are saved and clauses that are kept by how few decision
// levels they join (Audemard and Simon, Glucose, 2009). Assumptions make it
// incremental (Eén and Sörensson, MiniSat, 2003).
//
// Work is counted in conflicts, not in time: the same calls find the same
// answers on every machine.
package sat

import "context"

// Lit is a variable or its negation. The zero Lit is none: variables begin at 1.
type Lit int32

// Not is the negation.
func (l Lit) Not() Lit { return l ^ 1 }

// Status is the answer of Solve.
type Status int8

const (
	Unknown       Status = iota // the conflicts were used up, or the context ended
	Satisfiable                 // Value tells a model
	Unsatisfiable               // under the assumptions; Core names those that are to blame
)

const (
	unassigned int8 = iota
	isTrue
	isFalse
)

// A clause lies in the arena at its reference: its size, its rank (the number
// of decision levels that it joined when last looked at, 0 for a clause of the
// formula, dead when it is deleted), then its literals, the two watched ones first.
type clauseRef uint32

const (
	noClause clauseRef = 0
	binary   clauseRef = 1 << 31 // marks a watch of a clause of two literals
	header             = 2
	dead     Lit       = -1
)

// watch stands in the list of a literal of a clause. When blocker is true the
// clause is, too, and need not be looked at.
type watch struct {
	clause  clauseRef
	blocker Lit
}

// Solver holds a formula and what was learnt of it. It is not safe for
// concurrent use.
type Solver struct {
	arena   []Lit
	learnt  []clauseRef
	wasted  int // words of the arena that belong to dead clauses
	watches [][]watch

	values   []int8 // by literal
	level    []int32
	reason   []clauseRef
	phase    []int8 // what a variable is tried with first, by variable
	best     []int8 // the phases of the longest trail so far
	bestSize int
	trail    []Lit
	marks    []int // where a decision level begins on the trail
	head     int   // of the trail, up to which was propagated

	activity  []float64
	increment float64
	heap      heap

	seen     []int8
	stack    []Lit
	clear    []Lit
	clause   []Lit
	levels   []int64 // when a level was last counted
	stamp    int64
	core     []Lit
	model    []int8
	broken   bool // the formula is false whatever is assumed
	reduceAt int64
	reduced  int64

	fast, slow float64 // moving averages of ranks of learnt clauses
	stable     bool    // few restarts, phases of the best trail
	switchAt   int64

	// Conflicts is how many there were in all.
	Conflicts int64
}

// New is a solver without variables or clauses.
func New() *Solver {
	s := &Solver{increment: 1, arena: make([]Lit, 1, 1024), reduceAt: 2000, switchAt: 1000}
	s.heap.activity = &s.activity
	s.grow()
	return s
}

func (s *Solver) grow() {
	s.values = append(s.values, unassigned, unassigned)
	s.watches = append(s.watches, nil, nil)
	s.level = append(s.level, 0)
	s.reason = append(s.reason, noClause)
	s.phase = append(s.phase, isFalse)
	s.best = append(s.best, isFalse)
	s.activity = append(s.activity, 0)
	s.seen = append(s.seen, 0)
	s.levels = append(s.levels, 0)
}

// Var makes a variable. It is first tried as false.
func (s *Solver) Var() Lit {
	v := int32(len(s.level))
	s.grow()
	s.heap.insert(v)
	return Lit(2 * v)
}

// Prefer says with which value a variable is first tried; hints of a model.
func (s *Solver) Prefer(l Lit) {
	p := isTrue
	if l&1 == 1 {
		p = isFalse
	}
	s.phase[l>>1], s.best[l>>1] = p, p
}

// Size is the number of variables and the words that clauses take.
func (s *Solver) Size() (variables, words int) { return len(s.level) - 1, len(s.arena) }

// Add adds a clause: one of the literals must be true.
func (s *Solver) Add(lits ...Lit) {
	if s.broken {
		return
	}
	s.backtrack(0)
	c := s.clause[:0]
next:
	for _, l := range lits {
		if s.values[l] == isTrue {
			return
		}
		if s.values[l] == isFalse {
			continue
		}
		for _, k := range c {
			if k == l {
				continue next
			}
			if k == l.Not() {
				return
			}
		}
		c = append(c, l)
	}
	s.clause = c
	switch len(c) {
	case 0:
		s.broken = true
	case 1:
		s.assign(c[0], noClause)
		s.broken = s.propagate() != noClause
	default:
		s.attach(c, 0)
	}
}

func (s *Solver) attach(c []Lit, rank Lit) clauseRef {
	ref := clauseRef(len(s.arena))
	s.arena = append(append(s.arena, Lit(len(c)), rank), c...)
	s.watchClause(ref, c)
	return ref
}

func (s *Solver) watchClause(ref clauseRef, c []Lit) {
	if len(c) == 2 {
		ref |= binary
	}
	s.watches[c[0]] = append(s.watches[c[0]], watch{ref, c[1]})
	s.watches[c[1]] = append(s.watches[c[1]], watch{ref, c[0]})
}

func (s *Solver) lits(ref clauseRef) []Lit {
	n := s.arena[ref]
	return s.arena[ref+header : ref+header+clauseRef(n)]
}

func (s *Solver) assign(l Lit, why clauseRef) {
	v := l >> 1
	s.values[l], s.values[l^1] = isTrue, isFalse
	s.level[v] = int32(len(s.marks))
	s.reason[v] = why
	s.trail = append(s.trail, l)
}

// propagate assigns what follows and returns the clause that became false.
func (s *Solver) propagate() clauseRef {
	for s.head < len(s.trail) {
		not := s.trail[s.head] ^ 1
		s.head++
		list := s.watches[not]
		kept := 0
	each:
		for i := 0; i < len(list); i++ {
			w := list[i]
			value := s.values[w.blocker]
			if value == isTrue {
				list[kept] = w
				kept++
				continue
			}
			if w.clause&binary != 0 {
				list[kept] = w
				kept++
				if value == isFalse {
					kept += copy(list[kept:], list[i+1:])
					s.watches[not] = list[:kept]
					return w.clause &^ binary
				}
				s.assign(w.blocker, w.clause&^binary)
				continue
			}
			c := s.lits(w.clause)
			if c[0] == not {
				c[0], c[1] = c[1], not
			}
			first := c[0]
			if first != w.blocker && s.values[first] == isTrue {
				list[kept] = watch{w.clause, first}
				kept++
				continue
			}
			for k := 2; k < len(c); k++ {
				if s.values[c[k]] != isFalse {
					c[1], c[k] = c[k], not
					s.watches[c[1]] = append(s.watches[c[1]], watch{w.clause, first})
					continue each
				}
			}
			list[kept] = watch{w.clause, first}
			kept++
			if s.values[first] == isFalse {
				kept += copy(list[kept:], list[i+1:])
				s.watches[not] = list[:kept]
				return w.clause
			}
			s.assign(first, w.clause)
		}
		s.watches[not] = list[:kept]
	}
	return noClause
}

func (s *Solver) backtrack(level int) {
	if len(s.marks) <= level {
		return
	}
	if s.stable && len(s.trail) > s.bestSize {
		s.bestSize = len(s.trail)
		for _, l := range s.trail {
			s.best[l>>1] = s.values[l&^1]
		}
	}
	from := s.marks[level]
	for i := len(s.trail) - 1; i >= from; i-- {
		v := int32(s.trail[i] >> 1)
		s.phase[v] = s.values[2*v]
		s.values[2*v], s.values[2*v+1] = unassigned, unassigned
		s.heap.insert(v)
	}
	s.trail = s.trail[:from]
	s.marks = s.marks[:level]
	s.head = from
}

// Value is what the last model says of a literal.
func (s *Solver) Value(l Lit) bool { return s.model[l] == isTrue }

// Core is a part of the last assumptions that cannot hold together; empty when
// the formula is false by itself.
func (s *Solver) Core() []Lit { return s.core }

// Solve looks for a model in which all assumptions hold, through at most so
// many conflicts. What it learns is kept for the next call.
func (s *Solver) Solve(ctx context.Context, conflicts int64, assumptions ...Lit) Status {
	s.core = s.core[:0]
	s.backtrack(0)
	if s.broken || s.propagate() != noClause {
		s.broken = true
		return Unsatisfiable
	}
	s.bestSize = 0
	end := s.Conflicts + conflicts
	var run, restarts int64
	limit := luby(1) * stableRun
	for decisions := 0; ; {
		if bad := s.propagate(); bad != noClause {
			s.Conflicts++
			run++
			if len(s.marks) == 0 {
				s.broken = true
				return Unsatisfiable
			}
			s.learn(bad)
			if s.Conflicts%256 == 0 && ctx.Err() != nil {
				s.backtrack(0)
				return Unknown
			}
			continue
		}
		if s.Conflicts >= end {
			s.backtrack(0)
			return Unknown
		}
		if again := s.stable && run > limit || !s.stable && run > 50 && s.fast > 1.15*s.slow; again {
			run = 0
			restarts++
			limit = luby(restarts+1) * stableRun
			s.restart()
			continue
		}
		if s.Conflicts >= s.reduceAt {
			s.reduce()
		}
		var next Lit
		for len(s.marks) < len(assumptions) && next == 0 {
			switch a := assumptions[len(s.marks)]; s.values[a] {
			case isTrue:
				s.marks = append(s.marks, len(s.trail))
			case isFalse:
				s.blame(a)
				s.backtrack(0)
				return Unsatisfiable
			default:
				next = a
			}
		}
		if next == 0 {
			v := s.pick()
			if v == 0 {
				s.model = append(s.model[:0], s.values...)
				s.backtrack(0)
				return Satisfiable
			}
			p := s.phase[v]
			if s.stable {
				p = s.best[v]
			}
			next = Lit(2*v) + Lit(p-isTrue)
			if decisions++; decisions%4096 == 0 && ctx.Err() != nil {
				s.backtrack(0)
				return Unknown
			}
		}
		s.marks = append(s.marks, len(s.trail))
		s.assign(next, noClause)
	}
}

// pick is the most active variable without a value; 0 when there is none.
func (s *Solver) pick() int32 {
	for len(s.heap.list) > 0 {
		if v := s.heap.pop(); s.values[2*v] == unassigned {
			return v
		}
	}
	return 0
}

const stableRun = 512 // conflicts of the unit of stable restarts

func (s *Solver) restart() {
	s.backtrack(0)
	if s.Conflicts < s.switchAt {
		return
	}
	// On timetables few restarts do better: of 400,000 conflicts in which many
	// found nothing, 30,000 did.
	s.stable = !s.stable
	s.switchAt = s.Conflicts + max(1000, s.Conflicts/8)
	if s.stable {
		s.switchAt = s.Conflicts + max(8000, s.Conflicts)
	}
	s.bestSize = 0
	copy(s.best, s.phase)
}

// luby is the sequence 1 1 2 1 1 2 4 ... (Luby, Sinclair and Zuckerman, 1993).
func luby(i int64) int64 {
	for k := uint(1); ; k++ {
		if i == 1<<k-1 {
			return 1 << (k - 1)
		}
		if i < 1<<k-1 {
			i -= 1<<(k-1) - 1
			k = 0
		}
	}
}
