package search

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"
	"golang.org/x/sync/errgroup"
)

const (
	// pageSize is how many changes one batch holds: the most that the feed
	// gives, since each batch becomes a segment that must be merged later.
	pageSize = marketplace.MaxPage
	// maxUnsaved is how many changes may wait to be written to disk. They can
	// be found before: a search sees a change after 2 ms instead of 9, and what
	// a crash takes from the index comes again, since its cursor is written
	// with it. A batch counts as minUnsaved changes at least, because each is a
	// segment of its own until then.
	maxUnsaved = 2 * pageSize
	minUnsaved = pageSize / 32
	// longWait is how long the feed is asked to wait for news.
	longWait = 30 * time.Second
	// idle is how long a cursor that moves over changes which are not
	// searchable may stay unsaved: saving costs a sync of the disk, and not
	// saving costs reading those changes again after a restart.
	idle = 10 * time.Second
	// warmEvery is how often Follow looks for merged segments.
	warmEvery = 500 * time.Millisecond
	// remembered is how many revisions are kept in memory twice over.
	remembered = 50_000
)

// progress is how far Follow has come. A pass is one request to the feed that
// reached its end.
type progress struct {
	begun, done, wanted int64 // passes; wanted: Wait needs this one to begin and end
	caughtUp            bool
	rebuilding          bool
	err                 error
	changed             chan struct{} // closed and replaced whenever something was applied
}

// Follow applies the feed to the index until the context ends or Close is
// called; it returns the context's error, nil after Close. Errors of the
// feed or the disk are logged, shown in Status and tried again. It must run
// once at a time: a second call waits for the first.
func (x *Index) Follow(ctx context.Context) error {
	x.following.Lock()
	defer x.following.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-x.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	var warming sync.WaitGroup
	warming.Go(func() { x.warm(ctx) })
	defer warming.Wait()
	defer cancel()
	var building *generation // nil: the one that serves is being followed
	defer func() {
		if building != nil {
			x.discard(building)
		}
	}()
	pause := time.Duration(0)
	for ctx.Err() == nil {
		target := building
		if target == nil {
			target = x.serving.Load()
		}
		next, err := x.step(ctx, target, building == nil)
		switch {
		case ctx.Err() != nil:
		case err == nil && next == more:
			pause = 0
		case err == nil:
			pause = 0
			if building != nil {
				if err = x.swap(ctx, building); err == nil {
					building = nil
				}
			}
		case errors.Is(err, marketplace.ErrCursor) && target.cursor != "":
			// History is another one: the old index serves until a new one is built.
			x.log.Warn("search: the feed's history changed, the index is built anew", "error", err)
			if building != nil {
				x.discard(building)
			}
			building, err = x.create()
			x.set(func(p *progress) { p.rebuilding, p.caughtUp = true, false })
		case target.failure() != nil && building != nil:
			x.discard(building)
			building, _ = x.create()
		case target.failure() != nil:
			if e := x.reopen(target); e != nil {
				err = errors.Join(err, e)
			}
		}
		if err == nil || ctx.Err() != nil {
			x.set(func(p *progress) { p.err = nil })
			continue
		}
		if pause == 0 {
			x.log.Error("search: following the feed failed", "error", err)
		}
		x.set(func(p *progress) { p.err = err })
		pause = min(max(2*pause, 50*time.Millisecond), 5*time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	select {
	case <-x.closing:
		return nil
	default:
		return fmt.Errorf("search: %w", context.Cause(ctx))
	}
}

// warm builds the columns of segments that were opened, or merged in the
// background, until the context ends, so that no search has to: at 100,000
// documents the first one with five facets took 220 ms, the first by name 410.
func (x *Index) warm(ctx context.Context) {
	defer x.noPanic("building columns")
	concepts() // reading the list takes 0.3 s
	for tick := time.NewTicker(warmEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if !x.Status().CaughtUp {
			continue // what is built now would be merged away
		}
		v, err := x.view()
		if err != nil {
			continue
		}
		for i := range v.segments {
			for _, field := range v.segments[i].Fields() {
				if err = ctx.Err(); err == nil {
					err = v.segments[i].warm(field)
				}
				if err != nil {
					break // whoever needs the column will meet the error
				}
			}
		}
		_ = v.snapshot.Close()
	}
}

// What a step came to.
const (
	more = iota // there may be more to read
	end         // the end of the feed was reached
)

// step reads one page of the feed into a generation.
func (x *Index) step(ctx context.Context, g *generation, serving bool) (int, error) {
	if err := g.failure(); err != nil {
		return more, err
	}
	var pass int64
	wait := longWait
	x.set(func(p *progress) {
		p.begun++
		if pass = p.begun; p.wanted > p.done || !p.caughtUp {
			wait = 0
		}
	})
	feed, err := x.read(ctx, marketplace.FeedQuery{After: g.cursor, Limit: pageSize, Wait: wait})
	if err != nil {
		return more, err
	}
	if feed == nil { // nudged
		return more, nil
	}
	fresh, err := x.apply(ctx, g, feed)
	if err != nil {
		return more, err
	}
	if len(feed.Changes) == pageSize {
		x.announce(nil)
		return more, nil
	}
	x.announce(func(p *progress) {
		if serving {
			p.done, p.caughtUp, p.rebuilding = pass, true, false
		}
	})
	if fresh == 0 && len(feed.Changes) > 0 && wait > 0 {
		// The feed repeats what its cursor may not pass yet.
		select {
		case <-ctx.Done():
		case <-x.nudge:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return end, nil
}

// read asks the feed; nil when a nudge cut the waiting short.
func (x *Index) read(ctx context.Context, q marketplace.FeedQuery) (*marketplace.Feed, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if q.Wait > 0 {
		go func() {
			select {
			case <-waiting.Done():
			case <-x.nudge:
				cancel()
			}
		}()
	}
	feed, err := x.source.Changes(waiting, q)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return nil, nil
		}
		return nil, err
	}
	return &feed, nil
}

// apply writes a page of changes and the cursor after them in one batch. It
// returns how many were news.
func (x *Index) apply(ctx context.Context, g *generation, feed *marketplace.Feed) (fresh int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			g.fail(err)
		}
	}()
	v, err := g.view()
	if err != nil {
		g.fail(err)
		return 0, err
	}
	defer v.snapshot.Close()
	revs := make(map[string]int64, len(feed.Changes))
	var changes []*change
	for _, c := range feed.Changes {
		id := documentID(c.Kind, c.ID)
		have, ok := revs[id]
		if !ok {
			if have, err = g.rev(v, id); err != nil {
				g.fail(err)
				return 0, err
			}
		}
		if c.Rev <= have {
			continue
		}
		revs[id] = c.Rev
		e, found, err := x.entryOf(ctx, c)
		if transient(err) {
			return 0, err
		} else if err != nil {
			// One document that cannot be read must not stop all others.
			x.log.Error("search: a document has no readable entry", "document", id, "error", err)
			found = false
		}
		e.Kind, e.ID, e.Rev = c.Kind, c.ID, c.Rev
		changes = append(changes, &change{id: id, found: found && !c.Deleted, entry: e})
	}
	counted := analyse(changes)
	batch := index.NewBatch()
	for _, c := range changes {
		if c.found {
			batch.Update(c.doc)
		} else if stored, err := v.has(c.id); err != nil {
			g.fail(err)
			return 0, err
		} else if _, pending := batch.IndexOps[c.id]; stored || pending {
			batch.Delete(c.id)
		}
	}
	moved := feed.Next != g.cursor
	if len(batch.IndexOps) > 0 || moved && (g.cursor == "" || time.Since(g.stored) > idle) {
		weight := min(max(int64(len(batch.IndexOps)), minUnsaved), maxUnsaved)
		if err := g.reserve(ctx, weight); err != nil {
			return 0, err
		}
		for _, sums := range counted {
			for field, s := range sums {
				have := g.sums[field]
				g.sums[field] = [2]int64{have[0] + s[0], have[1] + s[1]}
			}
		}
		sums, err := json.Marshal(g.sums)
		if err != nil {
			g.fail(err)
			return 0, err
		}
		batch.SetInternal(internalCursor, []byte(feed.Next))
		batch.SetInternal(internalLengths, sums)
		batch.SetPersistedCallback(func(error) { g.unsaved.Release(weight) })
		if err := g.scorch.Batch(batch); err != nil {
			g.fail(err) // the outcome is unknown: only reopening tells
			return 0, err
		}
		g.stored = time.Now()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cursor, g.average = feed.Next, g.sums.average()
	for id, rev := range revs {
		g.revs[id] = rev
	}
	if len(g.revs) > remembered {
		g.revs, g.formerly = make(map[string]int64), g.revs
	}
	return len(revs), nil
}

// reserve waits until so many more changes may be unsaved, or fails with the generation.
func (g *generation) reserve(ctx context.Context, n int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.broken, cancel)()
	err := g.unsaved.Acquire(ctx, n)
	return cmp.Or(g.failure(), err)
}

// saved returns when everything that was applied is on disk.
func (g *generation) saved(ctx context.Context) error {
	err := g.reserve(ctx, maxUnsaved)
	if err == nil {
		g.unsaved.Release(maxUnsaved)
	}
	return err
}

// A change is one of a page, on its way into a batch.
type change struct {
	id    string
	found bool // else it is to be deleted
	entry marketplace.Entry
	doc   *document.Document
}

// analyse makes the documents of a page on all processors: with one it takes
// a third of the time of a batch. It returns what each has counted.
func analyse(changes []*change) []totals {
	sums := make([]totals, runtime.GOMAXPROCS(0))
	var g errgroup.Group
	for i := range sums {
		sums[i] = totals{}
		g.Go(func() (err error) {
			defer recovered(&err)
			for n := i; n < len(changes); n += len(sums) {
				if c := changes[n]; c.found {
					c.doc = documentOf(&c.entry, sums[i])
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		panic(err) // as it would have been without goroutines; apply recovers
	}
	return sums
}

// transient says that an entry could not be read now: the page is read again
// later, since a document left out for it would stay left out.
func transient(err error) bool {
	return errors.Is(err, marketplace.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (sums totals) average() map[string]float64 {
	out := make(map[string]float64, len(sums))
	for field, s := range sums {
		out[field] = float64(s[0]) / float64(max(s[1], 1))
	}
	return out
}

// rev is the revision of a document that was applied; 0 when it is not known.
func (g *generation) rev(v *view, id string) (int64, error) {
	g.mu.Lock()
	rev := max(g.revs[id], g.formerly[id])
	g.mu.Unlock()
	if rev > 0 || v.docs == 0 {
		return rev, nil
	}
	doc, err := v.snapshot.InternalID(id)
	if err != nil || doc == nil {
		return 0, err
	}
	values, err := v.snapshot.DocValueReader([]string{fieldRev})
	if err != nil {
		return 0, err
	}
	err = values.VisitDocValues(doc, func(_ string, term []byte) {
		rev, _ = strconv.ParseInt(string(term), 10, 64)
	})
	return rev, err
}

func (v *view) has(id string) (bool, error) {
	if v.docs == 0 {
		return false, nil
	}
	doc, err := v.snapshot.InternalID(id)
	return doc != nil, err
}

// Wait implements marketplace.Finder. It also returns when a pass over the
// feed that began after the call has come to the end: then there is nothing
// of this document left to apply, whether it can be found or not.
func (x *Index) Wait(ctx context.Context, kind marketplace.Kind, id string, rev int64) error {
	var pass int64
	x.set(func(p *progress) { pass = p.begun + 1 })
	for first := true; ; first = false {
		x.mu.Lock()
		done, changed := x.progress.done, x.progress.changed
		x.mu.Unlock()
		g := x.serving.Load()
		v, err := g.view()
		if err != nil {
			return err
		}
		have, err := g.rev(v, documentID(kind, id))
		_ = v.snapshot.Close()
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		if have >= rev || done >= pass {
			return nil
		}
		if first {
			x.set(func(p *progress) { p.wanted = max(p.wanted, pass) })
			select {
			case x.nudge <- struct{}{}:
			default:
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("search: waiting for %s %s: %w", kind, id, context.Cause(ctx))
		case <-x.closing:
			return fmt.Errorf("search: closed: %w", marketplace.ErrUnavailable)
		}
	}
}

// CaughtUp returns when searches see everything that was in the feed when it
// was called, or with an error when the context ends first.
func (x *Index) CaughtUp(ctx context.Context) error { return x.Wait(ctx, "", "", math.MaxInt64) }

func (x *Index) set(f func(*progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.progress)
}

// announce changes the progress and wakes who waits for it.
func (x *Index) announce(f func(*progress)) {
	x.set(func(p *progress) {
		if f != nil {
			f(p)
		}
		close(p.changed)
		p.changed = make(chan struct{})
	})
}

// swap lets a generation that was built serve in place of the old one.
func (x *Index) swap(ctx context.Context, built *generation) error {
	if err := built.saved(ctx); err != nil {
		return err
	}
	if err := x.writeManifest(built.name, false); err != nil {
		return err
	}
	x.discard(x.serving.Swap(built))
	x.announce(func(p *progress) { p.caughtUp, p.rebuilding = true, false })
	return nil
}

// discard closes a generation that is not needed any more and deletes it.
// Searches that still read it keep its files open.
func (x *Index) discard(g *generation) {
	if err := g.close(); err != nil {
		x.log.Warn("search: closing an index that is not needed any more", "error", err)
	}
	if err := os.RemoveAll(filepath.Join(x.dir, g.name)); err != nil {
		x.log.Warn("search: deleting an index that is not needed any more", "error", err)
	}
}

// reopen closes the generation that serves after an error and opens it again,
// or a new one where it is in doubt; Follow goes on from the stored cursor.
func (x *Index) reopen(g *generation) error {
	if err := g.close(); err != nil {
		x.log.Warn("search: closing a failed index", "error", err)
	}
	again, err := x.open()
	if err != nil {
		return err
	}
	x.serving.Store(again)
	x.announce(func(p *progress) { p.rebuilding, p.caughtUp = again.cursor == "", false })
	return nil
}
