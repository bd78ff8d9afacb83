package marketplace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// What an edition of the largest size costs through the domain: 500
// participants, 4,000 wishes, 24 slots on two days, 60 tables. Seconds and
// milliseconds are by the clock, of a run of ten seconds and one of each command.
func BenchmarkEvent(b *testing.B) {
	const cities, companies, wishes = 200, 300, 8
	for b.Loop() {
		var tables []any
		for n := range 60 {
			tables = append(tables, map[string]any{"name": fmt.Sprintf("T%d", n+1)})
		}
		h := newHall(b, cities, companies, Patch{"tables": tables, "minimum": 1, "days": []any{
			map[string]any{"date": "2026-03-09", "start": "09:00", "end": "13:00"}, map[string]any{"date": "2026-03-10", "start": "09:00", "end": "13:00"}}})
		random := rand.New(rand.NewPCG(1, 2))
		for _, name := range h.names {
			other, n := "c", cities
			if name[0] == 'c' {
				other, n = "k", companies
			}
			var list string
			for i, k := range random.Perm(n)[:wishes] {
				if i > 0 {
					list += " ?"
				}
				list += fmt.Sprintf("%s%d", other, k+1)
			}
			h.wish(name, list)
		}
		h.phase(EventStartDrafting)
		begun := time.Now()
		lap := func(name string, unit time.Duration, times int) {
			b.ReportMetric(float64(time.Since(begun))/float64(unit)/float64(times), name)
			begun = time.Now()
		}
		r, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: RunNew, Seed: new(1), Seconds: new(10)})
		h.must(err)
		h.must(h.CatchUp(context.Background()))
		r, err = h.Run(h.officer(), r.ID)
		h.must(err)
		lap("s/run", time.Second, 1)
		b.ReportMetric(float64(r.Outcome.Meetings), "meetings")
		h.use(r)
		begun = time.Now()
		first := h.draft()[0]
		h.must(h.moveTo(shortName(first.A), shortName(first.B), 1, ""))
		lap("ms/edit", time.Millisecond, 1)
		if x := h.publish(); len(x.Gaps) > 0 {
			b.Fatalf("%+v", x.Gaps)
		}
		lap("s/publish", time.Second, 1)
		_, err = h.CommonSlots(h.officer(), FreeSlotsInput{Event: h.event, Member: memberNamed("c1"), With: memberNamed("k300")})
		h.must(err)
		lap("ms/freeslots", time.Millisecond, 1)
		_, err = h.EventReport(h.officer(), h.event, nil)
		h.must(err)
		lap("ms/report", time.Millisecond, 1)
	}
}
