package timetable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

func TestPol(t *testing.T) {
	if os.Getenv("POL") == "" {
		t.Skip()
	}
	p := Generate(Event{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 60, Absent: 0.3, Seats: 0.2})
	s, _ := newSolver(p, Options{})
	ctx := context.Background()
	s.pick = choose(ctx, s.m)
	s.placeBooked(ctx)
	s.placeChosen(ctx)
	at := append([]int32(nil), s.p.at...)
	for _, n := range []int{400_000, 2_000_000, 8_000_000} {
		s.p.take(at)
		c := cpu()
		pol := newPolish(s.p, rand.New(rand.NewPCG(1, 1)))
		pol.run(ctx, n, 0, func() {})
		fmt.Println(n, pol.total, cpu()-c)
	}
}
