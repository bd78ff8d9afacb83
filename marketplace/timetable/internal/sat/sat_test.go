package sat

import (
	"context"
	"math/rand/v2"
	"testing"
)

// Small formulas, with and without assumptions, are answered as trying all
// values answers them, also after clauses were added.
func TestAgainstAllValues(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := New()
		n := 3 + random.IntN(9)
		var vars []Lit
		for range n {
			vars = append(vars, s.Var())
		}
		literal := func() Lit { return vars[random.IntN(n)] ^ Lit(random.IntN(2)) }
		var clauses [][]Lit
		for range 3 {
			for range n + random.IntN(2*n) {
				var c []Lit
				for range 1 + random.IntN(3) + random.IntN(2) {
					c = append(c, literal())
				}
				clauses = append(clauses, c)
				s.Add(c...)
			}
			var assume []Lit
			for range random.IntN(3) {
				if l := literal(); len(assume) == 0 || assume[0]>>1 != l>>1 {
					assume = append(assume, l)
				}
			}
			got := s.Solve(context.Background(), 1<<40, assume...)
			want := possible(n, clauses, assume)
			if (got == Satisfiable) != want || got == Unknown {
				t.Fatalf("seed %d: %v, but a model exists: %v", seed, got, want)
			}
			if got == Satisfiable {
				for _, c := range append(clauses, units(assume)...) {
					if !holds(c, s.Value) {
						t.Fatalf("seed %d: the model violates %v", seed, c)
					}
				}
			} else if possible(n, clauses, s.Core()) {
				t.Fatalf("seed %d: the core %v of %v can hold", seed, s.Core(), assume)
			}
		}
	}
}

func units(list []Lit) (clauses [][]Lit) {
	for _, l := range list {
		clauses = append(clauses, []Lit{l})
	}
	return clauses
}

func holds(c []Lit, value func(Lit) bool) bool {
	for _, l := range c {
		if value(l) {
			return true
		}
	}
	return false
}

func possible(n int, clauses [][]Lit, assume []Lit) bool {
	all := append(append([][]Lit(nil), clauses...), units(assume)...)
next:
	for bits := range 1 << n {
		for _, c := range all {
			if !holds(c, func(l Lit) bool { return bits>>(l>>1-1)&1 != int(l&1) }) {
				continue next
			}
		}
		return true
	}
	return false
}

// Pigeons that are too many for their holes take long enough for restarts,
// deleted clauses and a moved arena; random formulas near the threshold, too.
func TestHardFormulas(t *testing.T) {
	t.Parallel()
	s := New()
	const holes = 7
	var in [holes + 1][holes]Lit
	for p := range in {
		for h := range in[p] {
			in[p][h] = s.Var()
		}
		s.Add(in[p][:]...)
		for q := range p {
			for h := range in[p] {
				s.Add(in[p][h].Not(), in[q][h].Not())
			}
		}
	}
	if got := s.Solve(context.Background(), 100); got != Unknown {
		t.Errorf("%v after 100 conflicts", got)
	}
	if got := s.Solve(context.Background(), 1<<40); got != Unsatisfiable || len(s.Core()) != 0 {
		t.Errorf("%v, core %v", got, s.Core())
	}
	count := map[Status]int{}
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 2))
		s := New()
		var vars []Lit
		for range 170 {
			vars = append(vars, s.Var())
		}
		var clauses [][]Lit
		for range 720 {
			c := []Lit{vars[random.IntN(170)] ^ Lit(random.IntN(2)), vars[random.IntN(170)] ^ Lit(random.IntN(2)), vars[random.IntN(170)] ^ Lit(random.IntN(2))}
			clauses = append(clauses, c)
			s.Add(c...)
		}
		got := s.Solve(context.Background(), 1<<40)
		count[got]++
		for _, c := range clauses {
			if got == Satisfiable && !holds(c, s.Value) {
				t.Fatalf("seed %d: the model violates %v", seed, c)
			}
		}
	}
	if count[Satisfiable] == 0 || count[Unsatisfiable] == 0 {
		t.Errorf("only %v", count)
	}
}

func TestSolveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := New()
	random := rand.New(rand.NewPCG(1, 3))
	var vars []Lit
	for range 400 {
		vars = append(vars, s.Var())
	}
	for range 1704 {
		s.Add(vars[random.IntN(400)]^Lit(random.IntN(2)), vars[random.IntN(400)]^Lit(random.IntN(2)), vars[random.IntN(400)]^Lit(random.IntN(2)))
	}
	if got := s.Solve(ctx, 1<<40); got != Unknown || s.Conflicts > 300 {
		t.Errorf("%v after %d conflicts", got, s.Conflicts)
	}
}
