package marketplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"citymarket/marketplace/timetable"
)

// timetabling makes the timetables that were asked for, one after another.
// Since there is one worker, a run that is RUNNING and not ours was left by one
// that has stopped: it comes first.
var timetabling = chore{name: "timetables", run: func(ctx context.Context, m *Market) (int, error) {
	for _, status := range []RunStatus{RunRunning, RunQueued} {
		list, err := find[*Run](ctx, m, KindRun, Query{Where: []Condition{{Field: "status", Op: Eq, Value: status}}, Sort: "createdAt", Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(list) > 0 {
			return 1, m.workOn(ctx, list[0])
		}
	}
	return 0, nil
}, wake: func(m *Market) <-chan struct{} { return m.runs.wake }}

// saveProgress is how often the progress of a run is saved.
const saveProgress = 2 * time.Second

// workOn does a run, or goes on with one that was left. An error leaves it as
// it is, to be begun again.
func (m *Market) workOn(ctx context.Context, r *Run) error {
	if r.Attempts >= maxAttempts {
		return m.fail(ctx, r, RunStopped, nil)
	}
	r, err := m.moveRun(ctx, r.ID, "BEGIN", func(r *Run) {
		r.mark(unmarked, "")
		r.Attempts++
		r.StartedAt, r.Progress = new(m.clock()), RunProgress{Stage: RunStages[0]}
	})
	if err != nil {
		return m.unlessEnded(err)
	}
	a, err := m.assemble(ctx, r.Event)
	if errors.Is(err, ErrNotFound) {
		return m.fail(ctx, r, RunBroken, nil) // the event is gone
	}
	if err != nil {
		return err
	}
	draft, err := m.draftOf(ctx, r.Event)
	if err != nil {
		return err
	}
	var before []Placement
	version := 0
	if draft != nil {
		before, version = draft.Placements.list(), draft.Version()
	}
	hasMet, err := m.haveMet(ctx, a)
	if err != nil {
		return err
	}
	x := a.pose(r.Mode, before, hasMet)
	result, err := m.solve(ctx, r, x, len(a.barred))
	if err != nil {
		return err
	}
	if result == nil {
		return nil // it was cancelled
	}
	switch result.Status {
	case timetable.Impossible:
		return m.fail(ctx, r, RunImpossible, foundReasons(result))
	case timetable.Undecided:
		return m.fail(ctx, r, RunUndecided, foundReasons(result))
	}
	list := x.answer(a, result.Placements, before)
	if len(list) > MaxPlacements {
		return m.fail(ctx, r, RunTooLarge, nil)
	}
	return m.finish(ctx, r, a, list, hasMet, result, version)
}

// finish writes the timetable of a run, then that it is done.
func (m *Market) finish(ctx context.Context, r *Run, a *assembly, list []Placement, hasMet map[duo]bool, result *timetable.Result, version int) error {
	s := newSchedule(a)
	for _, p := range list {
		s.admit(p)
	}
	short := s.shortage()
	left := short.unplaced(hasMet)
	out := &RunOutcome{Meetings: len(list), Unplaced: len(left), Objectives: objectives(a, result, s.list, hasMet)}
	for _, p := range a.asked() {
		_, placed := s.list[a.pairOf(p)]
		n, of := &out.WantsPlaced, &out.Wants
		if p.rank() >= timetable.Must {
			n, of = &out.MustsPlaced, &out.Musts
		}
		if *of++; placed {
			*n++
		}
	}
	_, err := updateOrCreate(ctx, m, MayKeepTimetables, timetableID(r.ID), 0,
		func() *Timetable { return &Timetable{Meta: Meta{IsSample: r.IsSample}, Event: r.Event, Run: r.ID} },
		func(t *Timetable) error {
			if now, err := get[*Run](Afresh(ctx), m, r.ID); err != nil || !r.isOurs(now) {
				return cmp.Or(err, errUnchanged)
			}
			t.mark(unmarked, "")
			t.Placements, t.Unplaced = packed(list), packedReasons(left[:min(len(left), maxUnplaced)])
			return nil
		})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = m.endRun(ctx, r, "FINISH", func(r *Run) {
		r.EndedAt, r.Outcome, r.Fingerprint, r.Draft = new(m.clock()), out, a.fingerprint(), version
		r.Reasons = short.overall()
		r.Progress = RunProgress{Placed: len(list), Of: len(list) + len(left)}
		for _, o := range out.Objectives {
			if o.Goal == goalName(string(timetable.Breaks)) {
				r.Progress.Breaks, r.Progress.BreaksBound = o.Value, o.Bound
			}
		}
	})
	return m.unlessEnded(err)
}

// isOurs says whether a run is still being done by the one that has begun it
// as it was then: not by another process that took over, since this one was
// thought to be dead.
func (r *Run) isOurs(now *Run) bool { return now.Status == RunRunning && now.Attempts == r.Attempts }

// endRun takes the last step in the life of a run, unless another process has
// begun it anew.
func (m *Market) endRun(ctx context.Context, ours *Run, name string, change func(*Run)) (*Run, error) {
	step, err := runMoves.named(name)
	if err != nil {
		return nil, err
	}
	return m.changeRun(ctx, ours.ID, step, func(r *Run) error {
		if r.Attempts != ours.Attempts {
			return invalid("id", "INVALID", "is being done by another process")
		}
		r.mark(unmarked, "")
		change(r)
		return nil
	})
}

// fail ends a run that has made no timetable.
func (m *Market) fail(ctx context.Context, r *Run, why RunFailure, reasons []TimetableReason) error {
	_, err := m.endRun(ctx, r, "FAIL", func(r *Run) {
		r.EndedAt, r.Failure, r.Reasons = new(m.clock()), why, reasons
		r.Progress.Stage = ""
	})
	return m.unlessEnded(err)
}

// unlessEnded makes no error of a step that could not be taken since the run
// was cancelled, or is gone.
func (m *Market) unlessEnded(err error) error {
	if problemsOf(err) != nil {
		return nil
	}
	return ignore(err, ErrNotFound)
}

// haveMet are the pairs of participants that have met before.
func (m *Market) haveMet(ctx context.Context, a *assembly) (map[duo]bool, error) {
	met := map[duo]bool{}
	asked := make([]bool, len(a.Participants))
	for _, p := range a.asked() {
		asked[p.A] = true // one side will do
	}
	for i, ask := range asked {
		if !ask {
			continue
		}
		with, err := m.metBefore(ctx, a.member(i))
		if err != nil {
			return nil, err
		}
		for id := range with {
			met[pairOf(a.member(i), id)] = true
		}
	}
	return met, nil
}

// solve has the solver make a timetable within the time of the run, and saves
// its progress meanwhile, in which so many pairs that must not meet count as
// if they could. It is nil without an error when the run was cancelled.
func (m *Market) solve(ctx context.Context, ours *Run, x *posing, barred int) (*timetable.Result, error) {
	solving, stop := context.WithTimeout(ctx, time.Duration(ours.Seconds)*time.Second)
	defer stop()
	var mu sync.Mutex
	var now RunProgress
	options := timetable.Options{Seed: uint64(ours.Seed), Effort: timetable.Endless, Progress: func(p timetable.Progress) {
		mu.Lock()
		defer mu.Unlock()
		now = RunProgress{Stage: RunStage(strings.ToUpper(string(p.Stage))), Placed: p.Held, Of: p.Of + barred, Breaks: p.Breaks, BreaksBound: p.BreaksBound}
	}}
	var result *timetable.Result
	var err error
	done := make(chan struct{})
	go calmly(func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("marketplace: the solver: %v", p)
			}
		}()
		if len(x.earlier) > 0 {
			result, err = timetable.Resolve(solving, x.Problem, x.earlier, options)
		} else {
			result, err = timetable.Solve(solving, x.Problem, options)
		}
	})
	look := time.NewTicker(saveProgress)
	defer look.Stop()
	var saved RunProgress
	cancelled := false
	for running := true; running; {
		news := m.runs.next()
		select {
		case <-done:
			running = false
			continue
		case <-look.C:
			mu.Lock()
			latest := now
			mu.Unlock()
			if latest != saved && latest.Stage != "" {
				saved = latest
				_, err := update(ctx, m, MayKeepTimetables, ours.ID, 0, func(r *Run) error {
					if !ours.isOurs(r) {
						return errUnchanged
					}
					r.mark(unmarked, "")
					r.Progress = latest
					return nil
				})
				if err == nil {
					m.runs.tell()
				}
			}
		case <-news:
		}
		if at, err := m.Run(asWorker(ctx), ours.ID); errors.Is(err, ErrNotFound) || err == nil && !ours.isOurs(at) {
			cancelled = true
			stop()
		}
	}
	switch {
	case cancelled:
		return nil, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		// It would fail again: the problem makes no sense to the solver.
		return nil, errors.Join(err, m.fail(ctx, ours, RunBroken, nil))
	}
	return result, nil
}

// objectives are the measures of a result, in the words of the API. What is
// locked counts as a must. Pairs that must not meet could all the same by the
// bounds, so that nobody learns from them that there are any; the bounds hold
// even so, but are proven to be reached less often.
func objectives(a *assembly, result *timetable.Result, placed map[duo]Placement, hasMet map[duo]bool) []Objective {
	locked, musts, score := 0, 0, 0
	for _, p := range a.Pairs {
		if _, ok := placed[a.pairOf(p)]; ok && p.rank() == timetable.Booked {
			locked++
		}
	}
	for _, p := range a.barred {
		if p.rank() >= timetable.Must {
			musts++
		}
		score += p.score(hasMet[a.pairOf(p)])
	}
	out := make([]Objective, len(result.Measures))
	for i, x := range result.Measures {
		o := Objective{Goal: goalName(string(x.Goal)), Value: int(x.Value), Bound: int(x.Bound)}
		switch x.Goal {
		case timetable.Musts:
			o.Value, o.Bound = o.Value+locked, o.Bound+locked+musts
		case timetable.Held:
			o.Bound += len(a.barred)
		case timetable.Score:
			o.Bound += score
		}
		out[i] = o
	}
	return out
}

// goalName is the name of a goal in the API: MOST_BREAKS for mostBreaks.
func goalName(goal string) string {
	var b strings.Builder
	for _, r := range goal {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// maxClashing bounds the meetings that a reason names.
const maxClashing = 20

// foundReasons are the solver's reasons why what is locked cannot be.
func foundReasons(result *timetable.Result) []TimetableReason {
	var out []TimetableReason
	for _, x := range result.Reasons[:min(len(result.Reasons), maxReasons)] {
		r := TimetableReason{Code: string(x.Code), Wanted: x.Wanted, Room: x.Room, Remedy: string(x.Remedy), Count: x.Count}
		if id := ID(x.Participant); isMember(id) {
			r.Member = id
		} else if id == interpreters {
			r.Code, r.Remedy = string(noInterpreter), string(moreInterpreters)
		}
		for _, name := range x.Meetings[:min(len(x.Meetings), maxClashing)] {
			p := namedPair(name)
			r.Pairs = append(r.Pairs, p[:])
		}
		out = append(out, r)
	}
	return slices.Clip(out)
}
