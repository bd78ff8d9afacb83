package marketplace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A follower does what must follow from changes of documents. It sees every
// change at least once, so what it does must come to the same when it is done
// again. It is done by one server process at a time, apart from moments in
// which the work passes from one to another.
type follower struct {
	name  string // of its cursor; must not change
	kinds []Kind // empty: all
	// apply does what follows from a change. An error makes it be tried
	// again, with growing pauses; after maxTries the change is passed over
	// and logged, so that one document does not hold up all others.
	apply func(ctx context.Context, m *Market, c Change) error
}

// present makes the function of a follower that has nothing to do with
// deletions, and works on the document as the change has it.
func present(apply func(ctx context.Context, m *Market, doc entity) error) func(context.Context, *Market, Change) error {
	return func(ctx context.Context, m *Market, c Change) error {
		if c.Deleted {
			return nil
		}
		doc, err := decode(c.Kind, c.Document)
		if err != nil {
			return err
		}
		return apply(ctx, m, doc)
	}
}

// A chore is something that falls due. It finds what is due itself.
type chore struct {
	name string
	// run does what is due now and returns how much it did; the next call
	// comes at once while it is something.
	run func(ctx context.Context, m *Market) (int, error)
	// wake, where it is not nil, tells that something may be due now, so that
	// it need not wait for the next look.
	wake func(m *Market) <-chan struct{}
}

// followers and chores are all that there are; each belongs to the file that
// it stands in.
var (
	followers []follower
	chores    []chore
)

func init() {
	followers = []follower{settling, joining, placing, threading, importing, telling, posting, matching, delivering, attaching, tallying, conducting, casework, seating, delegating, publishing, rearranging, warning}
	chores = []chore{expiring, importChore, sending, forgetting, alerting, sendingFirst, sendingAgain, forgettingDeliveries, collecting, meetingsDue, clocksMoved, reminding, keeping, timetabling}
}

// Times of the worker.
const (
	workerPage   = 200              // changes between two saves of a cursor
	workerWait   = 30 * time.Second // for news
	saveEvery    = 5 * time.Minute  // of a cursor that moves over changes that are nothing to its follower
	choreEvery   = 20 * time.Second
	leaseEvery   = 10 * time.Second
	leaseMissed  = 3 // looks at a lease that did not move until another process takes it
	maxTries     = 8
	firstPause   = 50 * time.Millisecond
	longestPause = 20 * time.Second
)

// A position is how far a follower has come, and which process is the worker
// now: records of the program's own.
type position struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Cursor Cursor `json:"cursor,omitempty"`
	Holder string `json:"holder,omitempty"`
	Beat   int    `json:"beat,omitempty"` // grows while the holder lives
}

var kindPosition = registerTrace("position", func() entity { return new(position) })

func (*position) kind() Kind         { return kindPosition }
func (*position) validate(*problems) {}
func (*position) audience() []Group  { return nil }
func (*position) parties() []ID      { return nil }

// asWorker is the context in which followers and chores act.
func asWorker(ctx context.Context) context.Context {
	return InBulk(withSight(WithViewer(ctx, Viewer{Actor: System})))
}

// Work does what must follow from commands (the audit log, letters,
// notifications...) until the context ends. Every server process calls it;
// one of them works at a time, and another takes over when it stops. Errors
// are logged and tried again.
func (m *Market) Work(ctx context.Context, log *slog.Logger) {
	w := &worker{market: m, log: log, holder: rand.Text()}
	for ctx.Err() == nil {
		if !m.options.Alone && !w.acquire(ctx) {
			return
		}
		w.hold(ctx)
	}
}

type worker struct {
	market *Market
	log    *slog.Logger
	holder string
	lease  *position // nil where no other process can be there
}

const leaseID = ID("position_worker")

// acquire waits until this process is the worker. Whether the holder lives is
// seen by its beat, not by any clock but this process's own.
func (w *worker) acquire(ctx context.Context) bool {
	ctx = asWorker(ctx)
	var seen int64 = -1
	missed := 0
	for {
		p, err := w.market.position(ctx, leaseID)
		switch {
		case err != nil:
			w.complain(ctx, "the worker's lease cannot be read", err)
		case p.Holder == "" || missed >= leaseMissed:
			p.Holder, p.Beat = w.holder, p.Beat+1
			if err = w.market.keep(ctx, p); err == nil {
				w.lease = p
				return true
			}
			missed, seen = 0, -1
		case p.rev == seen:
			missed++
		default:
			missed, seen = 0, p.rev
		}
		if !pause(ctx, leaseEvery) {
			return false
		}
	}
}

// hold works until the context ends or another process has taken the lease.
func (w *worker) hold(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for _, f := range followers {
		all.Go(func() { w.follow(ctx, f) })
	}
	for _, c := range chores {
		all.Go(func() { w.attend(ctx, c) })
	}
	for pause(ctx, leaseEvery) {
		if w.lease == nil {
			continue
		}
		w.lease.Beat++
		err := w.market.keep(asWorker(ctx), w.lease)
		if errors.Is(err, ErrStale) {
			break
		}
		if err != nil {
			w.complain(ctx, "the worker's lease cannot be renewed", err)
		}
	}
	cancel()
	all.Wait()
	if w.lease != nil {
		// Another process need not wait for the lease of one that has stopped.
		ended, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		w.lease.Holder = ""
		_ = w.market.keep(asWorker(ended), w.lease)
	}
}

// follow moves a follower along the feed. Its position is read once: whoever
// saves it with another revision has taken over, and the lease will tell.
func (w *worker) follow(ctx context.Context, f follower) {
	var p *position
	saved := time.Now()
	for failures := 0; ctx.Err() == nil; {
		var err error
		if p == nil {
			p, err = w.market.position(asWorker(ctx), f.position())
		}
		if err == nil {
			var n int
			if n, err = w.market.step(asWorker(ctx), f, p, workerWait, w.persist); err == nil && (n > 0 || time.Since(saved) > saveEvery) {
				saved = time.Now()
				err = w.market.keep(asWorker(ctx), p)
			}
		}
		if err == nil {
			failures = 0
			continue
		}
		w.complain(ctx, f.name, err)
		p = nil
		pause(ctx, backOff(failures))
		failures++
	}
}

func (f follower) position() ID { return ID(string(kindPosition) + "_" + f.name) }

func (w *worker) attend(ctx context.Context, c chore) {
	for failures := 0; ctx.Err() == nil; {
		n, err := c.run(asWorker(ctx), w.market)
		switch {
		case err != nil:
			w.complain(ctx, c.name, err)
			pause(ctx, backOff(failures))
			failures++
		case n == 0:
			failures = 0
			c.rest(ctx, w.market)
		}
	}
}

// rest waits until it is time to look for something due.
func (c chore) rest(ctx context.Context, m *Market) {
	var wake <-chan struct{}
	if c.wake != nil {
		wake = c.wake(m)
	}
	t := time.NewTimer(choreEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}

func (w *worker) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		w.log.Error("worker: "+what, "error", err)
	}
}

// nudge wakes a chore, where the worker is in this process.
func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// nextHour is the next time after a moment at which a clock in a zone (UTC
// where it is not known) shows a full hour, on a day that will do. Where the
// clock is put forward over that hour, it is the hour after it.
func nextHour(now time.Time, zone string, hour int, willDo func(time.Weekday) bool) time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	y, month, d := now.In(loc).Date()
	for ; ; d++ {
		if t := time.Date(y, month, d, hour, 0, 0, 0, loc); t.After(now) && willDo(t.Weekday()) {
			return t.UTC()
		}
	}
}

// backOff is how long to wait after so many failures in a row.
func backOff(failures int) time.Duration {
	return min(firstPause<<min(failures, 20), longestPause)
}

// pause waits; it is false when the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// step reads one page of the feed for a follower, does what follows from it
// and moves its position, which is not saved. It returns how many changes
// there were.
func (m *Market) step(ctx context.Context, f follower, p *position, wait time.Duration, apply func(context.Context, follower, Change) error) (int, error) {
	kinds := f.kinds
	if kinds == nil {
		kinds = markedKinds()
	}
	feed, err := m.changes(ctx, FeedQuery{Kinds: kinds, After: p.Cursor, Limit: workerPage, Wait: wait})
	if errors.Is(err, ErrCursor) && p.Cursor != "" {
		p.Cursor = "" // history is another one: everything is looked at again
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, c := range feed.Changes {
		if err := apply(ctx, f, c); err != nil {
			return 0, err
		}
	}
	moved := feed.Next != p.Cursor
	p.Cursor = feed.Next
	if !moved {
		return 0, nil // the same changes again, which can still be overtaken
	}
	return len(feed.Changes), nil
}

// markedKinds are the kinds on which there are commands.
var markedKinds = sync.OnceValue(func() []Kind {
	var out []Kind
	for k, info := range kinds {
		if !info.trace {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
})

// persist does what follows from one change, again when it fails: for as long
// as the store cannot be reached, and maxTries times otherwise. Then the
// change is passed over.
func (w *worker) persist(ctx context.Context, f follower, c Change) error {
	for failures, tries := 0, 0; ; failures++ {
		err := w.market.guarded(ctx, f, c)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrUnavailable) {
			tries++
		}
		if tries == maxTries {
			w.log.Error("worker: a change is passed over", "follower", f.name, "document", c.ID, "revision", c.Rev, "error", err)
			return nil
		}
		if !pause(ctx, backOff(failures)) {
			return ctx.Err()
		}
	}
}

// guarded does what follows from one change, in a request of its own, since
// what was read before has grown old. A panic is an error.
func (m *Market) guarded(ctx context.Context, f follower, c Change) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f.apply(asWorker(ctx), m, c)
}

// CatchUp does everything that is left to follow from what has been written
// so far, in this process, whatever others do: for tests and for loading.
func (m *Market) CatchUp(ctx context.Context) error {
	ctx = asWorker(ctx)
	for busy := true; busy; {
		busy = false
		for _, f := range followers {
			p, err := m.position(ctx, f.position())
			for n := 1; n > 0 && err == nil; busy = busy || n > 0 {
				n, err = m.step(ctx, f, p, 0, m.guarded)
			}
			if err == nil {
				err = m.keep(ctx, p)
			}
			if err != nil {
				return fmt.Errorf("marketplace: %s: %w", f.name, err)
			}
		}
		for _, c := range chores {
			n, err := c.run(ctx, m)
			if err != nil {
				return fmt.Errorf("marketplace: %s: %w", c.name, err)
			}
			busy = busy || n > 0
		}
	}
	return nil
}
