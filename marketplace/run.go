package marketplace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A Run makes a timetable of an event. The worker does one at a time, with one
// goroutine of low priority, so that the server goes on answering. What came
// of it is a Timetable, which nothing changes any more: it becomes the draft
// when the secretariat chooses it. Only the secretariat sees runs.
//
// A server that stops loses what a run has done so far: another one begins it
// anew, up to maxAttempts times. What is published it never touches.
type Run struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event   ID        `json:"event"`
	Number  int       `json:"number"` // of the event's, from 1
	Mode    RunMode   `json:"mode"`
	Seed    int       `json:"seed"`    // the same seed and problem give the same timetable, where it is found before the time ends
	Seconds int       `json:"seconds"` // that it may take
	Status  RunStatus `json:"status"`
	By      ID        `json:"by,omitempty"`

	Progress  RunProgress `json:"progress"`
	Attempts  int         `json:"attempts,omitempty"`
	StartedAt *time.Time  `json:"startedAt,omitempty"`
	EndedAt   *time.Time  `json:"endedAt,omitempty"`

	// Draft is the version of the draft from which it began; 0: none.
	Draft       int         `json:"draft,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty"` // of what it was made of
	Outcome     *RunOutcome `json:"outcome,omitempty"`     // of one that is done
	Failure     RunFailure  `json:"failure,omitempty"`     // of one that failed
	// Reasons are why it failed, or why not everything has found a place.
	Reasons []TimetableReason `json:"reasons,omitempty"`
}

// KindRun is the kind of Run.
var KindRun = registerRecord("run", func() entity { return new(Run) },
	Index{Equal: []string{"event"}, Sort: "number"},
	Index{Equal: []string{"status"}, Sort: "createdAt"})

// A RunStatus is a state in the life of a run.
type RunStatus string

// The states of a run.
const (
	RunQueued    RunStatus = "QUEUED"
	RunRunning   RunStatus = "RUNNING"
	RunDone      RunStatus = "DONE"
	RunFailed    RunStatus = "FAILED"
	RunCancelled RunStatus = "CANCELLED"
)

// RunStatuses are all of them.
var RunStatuses = []RunStatus{RunQueued, RunRunning, RunDone, RunFailed, RunCancelled}

// activeRuns are those of which an event has one at the most.
var activeRuns = []RunStatus{RunQueued, RunRunning}

// runMoves is the life of a run; all steps but one the program takes.
var runMoves = moves[string, RunStatus]{
	{"CANCEL", MayMakeTimetable, activeRuns, RunCancelled},
	{"BEGIN", MayKeepTimetables, activeRuns, RunRunning},
	{"FINISH", MayKeepTimetables, []RunStatus{RunRunning}, RunDone},
	{"FAIL", MayKeepTimetables, activeRuns, RunFailed},
}

// A RunFailure is why a run has made no timetable.
type RunFailure string

// Why runs fail.
const (
	RunImpossible RunFailure = "IMPOSSIBLE" // what is locked cannot all take place
	RunUndecided  RunFailure = "UNDECIDED"  // whether it can was not found out in time
	RunTooLarge   RunFailure = "TOO_LARGE"  // more than MaxPlacements meetings
	RunStopped    RunFailure = "STOPPED"    // the server was stopped again and again
	RunBroken     RunFailure = "BROKEN"     // by a fault of the program's, which its log tells
)

// RunFailures are all of them.
var RunFailures = []RunFailure{RunImpossible, RunUndecided, RunTooLarge, RunStopped, RunBroken}

// RunProgress is how far a run has come.
type RunProgress struct {
	Stage       RunStage `json:"stage,omitempty"`
	Placed      int      `json:"placed"` // meetings that have a slot
	Of          int      `json:"of"`     // that may get one, at the most
	Breaks      int      `json:"breaks"` // free slots between two meetings of a participant, of all of them
	BreaksBound int      `json:"breaksBound"`
}

// A RunStage is what a run is at.
type RunStage string

// RunStages are all of them, in the order in which they begin; PLACING to
// PROVING may come again.
var RunStages = []RunStage{"READING", "CHOOSING", "PLACING", "POLISHING", "PROVING", "SEATING"}

// StageOrNil is what it is at; nil where it has not begun, or has ended.
func (p *RunProgress) StageOrNil() *RunStage {
	if p.Stage == "" {
		return nil
	}
	return &p.Stage
}

// RunOutcome is how good the timetable of a run is.
type RunOutcome struct {
	Meetings    int         `json:"meetings"`
	Musts       int         `json:"musts"` // pairs of whom one must meet the other
	MustsPlaced int         `json:"mustsPlaced"`
	Wants       int         `json:"wants"`
	WantsPlaced int         `json:"wantsPlaced"`
	Unplaced    int         `json:"unplaced"`
	Objectives  []Objective `json:"objectives"` // the most important first
}

// An Objective is what a timetable should be good at: how good it is, and what
// is proven that no timetable can be better than.
type Objective struct {
	Goal  string `json:"goal"` // MUSTS, SHORTFALL, HELD, SCORE, CHANGES, BREAKS, MOST_BREAKS, TABLE_MOVES
	Value int    `json:"value"`
	Bound int    `json:"bound"`
}

// IsBest says that it is proven that there is nothing better.
func (o *Objective) IsBest() bool { return o.Value == o.Bound }

// Limits of runs.
const (
	usualSeconds = 60
	maxSeconds   = 600
	maxRuns      = 500 // of an event
	maxAttempts  = 3
)

func (*Run) kind() Kind        { return KindRun }
func (*Run) parties() []ID     { return nil }
func (*Run) audience() []Group { return []Group{Secretariat} }
func (r *Run) refs() []ID      { return []ID{r.Event, r.By} }

// IsNode marks runs as something with an id of its own.
func (*Run) IsNode() {}

// claims are its number, and that no other run of the event is under way.
func (r *Run) claims() []string {
	claims := []string{fmt.Sprintf("number:%d of %s", r.Number, r.Event)}
	if slices.Contains(activeRuns, r.Status) {
		claims = append(claims, "active:"+string(r.Event))
	}
	return claims
}

func (r *Run) validate(p *problems) {
	checkOne(p, "mode", r.Mode, RunModes)
	checkOne(p, "status", r.Status, RunStatuses)
	if r.Seconds < 1 || r.Seconds > maxSeconds {
		p.addf("seconds", "OUT_OF_RANGE", "must be 1 to %d", maxSeconds)
	}
	if r.Seed < 0 {
		p.add("seed", "OUT_OF_RANGE", "must not be negative")
	}
}

// StartRunInput is what StartRun takes.
type StartRunInput struct {
	Event   ID
	Mode    RunMode
	Seconds *int // nil: 60
	Seed    *int // nil: any
	Key     *string
}

// StartRun has a timetable made. An event has one run at a time.
func (m *Market) StartRun(ctx context.Context, in StartRunInput) (*Run, error) {
	r := &Run{Event: in.Event, Mode: in.Mode, Status: RunQueued, Seconds: usualSeconds, By: actorOf(ctx).User}
	if err := MayMakeTimetable.check(ctx, r); err != nil {
		return nil, err
	}
	return keyed(ctx, m, r, in.Key, func(ctx context.Context, r *Run) error {
		e, err := m.Event(ctx, in.Event)
		if errors.Is(err, ErrNotFound) {
			return invalid("event", "NOT_FOUND", "there is no such event")
		}
		if err != nil {
			return err
		}
		if e.Phase == EventDraft || e.Phase == EventClosed {
			return invalid("event", "INVALID", fmt.Sprintf("gets no timetable while it is %s", e.Phase))
		}
		r.IsSample, r.Seed = e.IsSample, rand.IntN(1_000_000)
		if in.Seed != nil {
			r.Seed = *in.Seed
		}
		if in.Seconds != nil {
			r.Seconds = *in.Seconds
		}
		for range maxRetries {
			last, err := find[*Run](ctx, m, KindRun, runsOf(e.ID, 1))
			if err != nil {
				return err
			}
			if r.Number = 1; len(last) > 0 {
				r.Number = last[0].Number + 1
			}
			if r.Number > maxRuns {
				return invalid("event", "TOO_MANY", fmt.Sprintf("has had %d runs, as many as an event can have", maxRuns))
			}
			r.mark("START", string(r.Mode))
			err = create(ctx, m, MayMakeTimetable, r)
			if taken(err, "active") {
				return invalid("event", "TAKEN", "has a run that is under way: wait for its end, or cancel it")
			}
			if !taken(err, "number") {
				nudge(m.runs.wake)
				return err
			}
		}
		return ErrUnavailable
	})
}

// runsOf asks for the runs of an event, the latest first.
func runsOf(event ID, limit int) Query {
	return Query{Where: []Condition{{Field: "event", Op: Eq, Value: event}}, Sort: "number", Descending: true, Limit: limit}
}

// CancelRun ends a run that is not done. The worker leaves it within seconds.
func (m *Market) CancelRun(ctx context.Context, id ID) (*Run, error) {
	r, err := m.moveRun(ctx, id, "CANCEL", func(r *Run) { r.EndedAt, r.Progress.Stage = new(m.clock()), "" })
	return r, err
}

// moveRun takes a step in the life of a run.
func (m *Market) moveRun(ctx context.Context, id ID, name string, change func(*Run)) (*Run, error) {
	step, err := runMoves.named(name)
	if err != nil {
		return nil, err
	}
	return m.changeRun(ctx, id, step, func(r *Run) error {
		change(r)
		return nil
	})
}

func (m *Market) changeRun(ctx context.Context, id ID, step move[string, RunStatus], change func(*Run) error) (*Run, error) {
	r, err := update(ctx, m, step.may, id, 0, func(r *Run) error {
		if err := step.take(&r.Meta, &r.Status, ""); err != nil {
			return err
		}
		return change(r)
	})
	if err == nil {
		m.runs.tell()
	}
	return r, err
}

// Run returns a run to the secretariat, or ErrNotFound.
func (m *Market) Run(ctx context.Context, id ID) (*Run, error) { return get[*Run](ctx, m, id) }

// Runs lists the runs of an event for the secretariat, the latest first; for
// others the list is empty.
func (m *Market) Runs(ctx context.Context, event ID, s Slice) (*Page[*Run], error) {
	if !onSide(ctx) {
		return emptyPage[*Run](s)
	}
	return page[*Run](ctx, m, KindRun, runsOf(event, 0), s)
}

// IsActive says that a run is not at its end.
func (r *Run) IsActive() bool { return slices.Contains(activeRuns, r.Status) }

// CanCancel says whether the viewer can cancel it now.
func (r *Run) CanCancel(ctx context.Context) bool {
	return r.IsActive() && MayMakeTimetable.allows(ctx, r)
}

// FailureOrNil is why it failed; nil where it has not.
func (r *Run) FailureOrNil() *RunFailure {
	if r.Failure == "" {
		return nil
	}
	return &r.Failure
}

// IsOutdated says that something has changed since that the timetable was made
// of: registrations, wishes, pairings, the event. Some ten store operations.
func (m *Market) IsOutdated(ctx context.Context, r *Run) (bool, error) {
	if r.Fingerprint == "" || !onSide(ctx) {
		return false, nil
	}
	now, err := once(ctx, "fingerprint of "+string(r.Event), func() (string, error) {
		a, err := m.assemble(ctx, r.Event)
		if err != nil {
			return "", err
		}
		return a.fingerprint(), nil
	})
	return err == nil && now != r.Fingerprint, ignore(err, ErrNotFound)
}

// runNews wakes the worker and whoever waits for news of runs, in this process.
type runNews struct {
	wake chan struct{} // for the worker

	mu   sync.Mutex
	news chan struct{} // closed with the next news
}

// next is closed when there is news.
func (n *runNews) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.news == nil {
		n.news = make(chan struct{})
	}
	return n.news
}

func (n *runNews) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.news != nil {
		close(n.news)
		n.news = nil
	}
}

// runLook is how often a run is looked at that another process may be at.
const runLook = 2 * time.Second

// RunProgress hands over a run as it is and as often as it has changed, until
// it has ended, for the secretariat. Whichever process is at it, news comes
// within runLook, by one read of the store each time.
func (m *Market) RunProgress(ctx context.Context, id ID) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		seen := 0
		for {
			news := m.runs.next()
			r, err := m.Run(Afresh(ctx), id)
			if err != nil {
				yield(nil, err)
				return
			}
			if v := r.Version(); v != seen {
				if seen = v; !yield(r, nil) {
					return
				}
			}
			if !r.IsActive() {
				return
			}
			look := time.NewTimer(runLook)
			select {
			case <-news:
			case <-look.C:
			case <-ctx.Done():
			}
			if look.Stop(); ctx.Err() != nil {
				return
			}
		}
	}
}

// Names of the pages of runs in the API.
type (
	RunConnection = Page[*Run]
	RunEdge       = PageEdge[*Run]
)
