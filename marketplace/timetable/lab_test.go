package timetable

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(0, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func TestLab(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("LAB"))
	for _, f := range files {
		r, _ := os.Open(f)
		p, err := ReadDzn(r)
		if err != nil {
			t.Fatal(err)
		}
		p.Spread = new(2)
		c := cpu()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
		res, err := Solve(ctx, p, Options{Effort: Endless})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		v := Verify(p, res.Placements)
		fmt.Println(filepath.Base(f), res.Status, res.Measures, len(v.Violations), v.Breaks, v.TableMoves, "cpu", cpu()-c)
	}
}

func TestBig(t *testing.T) {
	if os.Getenv("BIG") == "" {
		t.Skip()
	}
	p := Generate(Event{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 60, Absent: 0.3, Seats: 0.2})
	c := cpu()
	res, err := Solve(context.Background(), p, Options{Progress: func(x Progress) { fmt.Println(cpu()-c, x) }})
	if err != nil {
		t.Fatal(err)
	}
	v := Verify(p, res.Placements)
	fmt.Println(res.Status, res.Measures, v, "cpu", cpu()-c)
	c = cpu()
	again, _ := Resolve(context.Background(), p, res.Placements, Options{})
	fmt.Println(again.Measures, len(Diff(res.Placements, again.Placements)), "cpu", cpu()-c)
}
