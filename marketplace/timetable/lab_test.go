package timetable

import (
	"citymarket/marketplace/timetable/internal/sat"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLab(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("LAB"))
	for _, f := range files {
		r, _ := os.Open(f)
		p, err := ReadDzn(r)
		if err != nil {
			t.Fatal(err)
		}
		p.Spread = new(2)
		m, err := compile(p)
		if err != nil {
			t.Fatal(err)
		}
		must := make([]bool, len(m.meets))
		for i := range must {
			must[i] = true
		}
		e := encode(m, must, make([]bool, len(m.meets)))
		e.countBreaks(30)
		v, w := e.Size()
		t0 := time.Now()
		fmt.Println(filepath.Base(f), "vars", v, "words", w)
		st := e.Solve(context.Background(), 1<<40)
		fmt.Println("  feasible", st, time.Since(t0).Seconds(), e.Conflicts)
		for k := 0; k < 10; k++ {
			t0 := time.Now()
			c0 := e.Conflicts
			st := e.Solve(context.Background(), 300000, e.total[k].Not())
			fmt.Println("  <=", k, st, time.Since(t0).Seconds(), e.Conflicts-c0)
			if st == sat.Satisfiable {
				break
			}
			if st == sat.Unsatisfiable {
				e.Add(e.total[k])
			}
		}
	}
}
