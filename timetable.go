package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"citymarket/marketplace/timetable"
)

const timetableLegend = `Each problem is worked on by one core until nothing better can be or its time is over, and checked by code that shares nothing with
the solver. A bound is proven: breaks cannot be fewer, meetings held not more. Seconds are of CPU, and by the clock.
`

// realEvents are sizes of matchmaking events, from a morning to a fair of two days.
var realEvents = []timetable.Event{
	{Participants: 20, Wishes: 60, Slots: 8, Days: 1, Tables: 8},
	{Participants: 60, Wishes: 300, Slots: 10, Days: 1, Tables: 20, Absent: 0.2, Seats: 0.1},
	{Participants: 60, Wishes: 300, Slots: 10, Days: 1, Tables: 20, Absent: 0.2, Seats: 0.1, Mixed: 0.3},
	{Participants: 120, Wishes: 900, Slots: 16, Days: 2, Tables: 30, Absent: 0.4, Seats: 0.2, Sessions: true, Owned: 10},
	{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 60, Absent: 0.3, Seats: 0.2},
	{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 60, Absent: 0.3, Seats: 0.2, Mixed: 0.3},
	{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 250, Absent: 0.3, Seats: 0.2, Mixed: 0.1, Sessions: true},
}

// generated is the events that -generate names.
func (c config) generated() ([]timetable.Event, error) {
	switch c.events {
	case "":
		return nil, nil
	case "real":
		return realEvents, nil
	}
	most := []int{timetable.MaxParticipants, timetable.MaxMeetings, timetable.MaxSlots, timetable.MaxSlots, timetable.MaxTables}
	var n []int
	for s := range strings.SplitSeq(c.events, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(s))
		if len(n) == len(most) || err != nil || v < 1 || v > most[len(n)] {
			break
		}
		n = append(n, v)
	}
	if len(n) != len(most) {
		return nil, fmt.Errorf("-generate must be real, or five numbers such as 500,4000,24,2,60, up to %v", most)
	}
	return []timetable.Event{{Participants: n[0], Wishes: n[1], Slots: n[2], Days: n[3], Tables: n[4], Absent: 0.3, Seats: 0.2}}, nil
}

// solveTimetables runs the command "timetable". It fails when a timetable
// violates a condition, or a file cannot be read.
func solveTimetables(ctx context.Context, c config, out, log io.Writer) error {
	fmt.Fprint(out, timetableLegend)
	if c.events != "" {
		return solveEvents(ctx, c, out)
	}
	table := newTable(out, "file", "answer", "breaks", "bound", "published", "table moves", "bound", "CPU s", "s")
	var failed []error
	for _, path := range c.files {
		if err := solveFile(ctx, c, path, table); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(failed, table.Flush())...)
}

// A lineTable writes lines as they come, in columns that are wide enough for most.
type lineTable struct {
	*tabwriter.Writer
}

func newTable(out io.Writer, heads ...string) *lineTable {
	t := &lineTable{tabwriter.NewWriter(out, 12, 0, 2, ' ', tabwriter.DiscardEmptyColumns)}
	t.line(heads...)
	return t
}

func (t *lineTable) line(cells ...string) {
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

func solveFile(ctx context.Context, c config, path string, table *lineTable) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	p, err := timetable.ReadDzn(file)
	if err != nil {
		return err
	}
	if c.spread >= 0 {
		p.Spread = &c.spread
	}
	run, err := measureTimetable(ctx, c, p)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".dzn")
	cells := []string{name, run.answer, "-", "-", publishedOptimum(path, name, c.spread), "-", "-"}
	if run.result.Status == timetable.Found {
		breaks, moves := run.result.Measure(timetable.Breaks), run.result.Measure(timetable.TableMoves)
		cells[2], cells[3] = strconv.FormatInt(breaks.Value, 10), strconv.FormatInt(breaks.Bound, 10)
		cells[5], cells[6] = strconv.FormatInt(moves.Value, 10), strconv.FormatInt(moves.Bound, 10)
	}
	table.line(append(cells, run.spent()...)...)
	for _, r := range run.result.Reasons {
		if run.result.Status == timetable.Impossible {
			table.line("", fmt.Sprintf("%s %s %v: %d wanted, room for %d", r.Code, r.Participant, r.Meetings, r.Wanted, r.Room))
		}
	}
	table.Flush()
	return run.err
}

// publishedOptimum is what best_known.csv beside a file says of it; "-" for nothing.
func publishedOptimum(path, name string, spread int) string {
	file, err := os.Open(filepath.Join(filepath.Dir(path), "best_known.csv"))
	if err != nil {
		return "-"
	}
	defer file.Close()
	rows, err := csv.NewReader(io.LimitReader(file, 1<<20)).ReadAll()
	if err != nil || len(rows) == 0 {
		return "-"
	}
	column := map[string]int{}
	for i, head := range rows[0] {
		column[head] = i + 1
	}
	cell := func(row []string, head string) string {
		if i := column[head]; i > 0 && i <= len(row) {
			return row[i-1]
		}
		return ""
	}
	for _, row := range rows[1:] {
		if cell(row, "instance")+"."+cell(row, "variant") == name && cell(row, "fairness_d") == strconv.Itoa(spread) {
			return cmp.Or(cell(row, "optimum_total_breaks"), "-")
		}
	}
	return "-"
}

// timetableRun is one problem solved and checked.
type timetableRun struct {
	result *timetable.Result
	answer string
	err    error // what the check found
	cpu    time.Duration
	wall   time.Duration
	first  time.Duration // of CPU, until everything that is booked or chosen had a slot
}

func (r *timetableRun) spent() []string {
	return []string{fmt.Sprintf("%.2f", r.cpu.Seconds()), fmt.Sprintf("%.2f", r.wall.Seconds())}
}

func measureTimetable(ctx context.Context, c config, p *timetable.Problem) (*timetableRun, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.seconds)*time.Second)
	defer cancel()
	r := &timetableRun{}
	began, before := time.Now(), cpu()
	var err error
	r.result, err = timetable.Solve(ctx, p, timetable.Options{Seed: c.seed, Effort: timetable.Endless, Progress: func(x timetable.Progress) {
		if r.first == 0 && x.Stage == timetable.Polishing {
			r.first = cpu() - before
		}
	}})
	if err != nil {
		return nil, err
	}
	r.wall, r.cpu = time.Since(began), cpu()-before
	switch r.result.Status {
	case timetable.Found:
		r.answer = "verified"
		if v := timetable.Verify(p, r.result.Placements); len(v.Violations) > 0 {
			r.answer = "WRONG"
			r.err = fmt.Errorf("%d conditions are violated: %s", len(v.Violations), v.Violations[0])
		} else if int64(v.Breaks) != r.result.Measure(timetable.Breaks).Value || int64(v.Held) != r.result.Measure(timetable.Held).Value {
			r.answer = "WRONG"
			r.err = fmt.Errorf("%d breaks and %d meetings were counted", v.Breaks, v.Held)
		} else if r.result.Measure(timetable.Breaks).Best() && r.result.Measure(timetable.Held).Best() {
			r.answer = "optimal"
		}
	case timetable.Impossible:
		r.answer = "infeasible, proven"
	default:
		r.answer = "not found"
	}
	return r, nil
}

func solveEvents(ctx context.Context, c config, out io.Writer) error {
	events, err := c.generated()
	if err != nil {
		return err
	}
	table := newTable(out, "participants", "wishes", "slots", "tables", "answer", "musts", "bound", "held", "bound", "score", "breaks", "bound", "moves", "bound", "first CPU s", "CPU s", "s", "MB")
	var failed []error
	for _, e := range events {
		e.Seed = c.seed
		p := timetable.Generate(e)
		run, err := measureTimetable(ctx, c, p)
		if err != nil {
			return err
		}
		cells := []string{strconv.Itoa(e.Participants), strconv.Itoa(len(p.Meetings)), strconv.Itoa(e.Slots), strconv.Itoa(e.Tables), run.answer}
		for _, g := range []timetable.Goal{timetable.Musts, timetable.Held, timetable.Score, timetable.Breaks, timetable.TableMoves} {
			m := run.result.Measure(g)
			cells = append(cells, strconv.FormatInt(m.Value, 10))
			if g != timetable.Score {
				cells = append(cells, strconv.FormatInt(m.Bound, 10))
			}
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		cells = append(append(cells, fmt.Sprintf("%.2f", run.first.Seconds())), run.spent()...)
		table.line(append(cells, strconv.FormatUint(memory.Sys>>20, 10))...)
		table.Flush()
		failed = append(failed, run.err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(failed, table.Flush())...)
}
