// Package search is the full-text index: a copy of what can be found, in
// bleve's scorch index, that follows the store's change feed and implements
// marketplace.Finder. It knows entries, no entities.
//
// The index is a cache. Its place in the feed is stored in the same batch as
// the entries, so that the two cannot disagree; deleting its directory is
// always safe; whatever is in doubt is built anew while serving.
//
// bleve keeps the postings, merges and persists them. Ranking, filters,
// facets and sorts are our own, because bleve's facets cost 26 ms of CPU where
// these take less than one, and its scores multiply by how many clauses
// matched, which is wrong where clauses are the same word in several languages:
//
//	analysis, tongue, han   texts into words, runs and stems
//	concept                 what words mean, in 16 languages
//	mapping                 an entry as a document, its fields and terms
//	query, suggest          a query's text as units; what a misspelt word may be
//	postings                which documents have a unit, and BM25
//	column, filter          fields by document; filters
//	search, best, cursor    one pass over the matches: counts, facets, the best
//	highlight, explain      where and why, from the authoritative texts
//	index, follower, damage the index's life
package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// ErrLocked says that another process holds the index's directory.
var ErrLocked = errors.New("another process holds the index")

// maxTime is how long one search or one call of Highlight may take, besides
// reading the columns that a search is the first to need.
const maxTime = 2 * time.Second

// A Source is the part of marketplace.Store that an index follows.
type Source interface {
	Changes(context.Context, marketplace.FeedQuery) (marketplace.Feed, error)
}

// An Index answers searches over what Follow has applied. All methods are
// safe for concurrent use.
type Index struct {
	dir     string
	source  Source
	entryOf func(context.Context, marketplace.Change) (marketplace.Entry, bool, error)
	log     *slog.Logger
	queue   *index.AnalysisQueue
	lock    func() error // gives the directory back

	serving   atomic.Pointer[generation]
	following sync.Mutex    // held by Follow
	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	nudge     chan struct{} // wakes Follow from a long wait

	mu       sync.Mutex
	progress progress
}

var _ marketplace.Finder = (*Index)(nil)

// Status tells how an index is.
type Status struct {
	Documents  int   // entries that can be found
	CaughtUp   bool  // the end of the feed has been reached at least once since Open
	Rebuilding bool  // being built from the beginning; until CaughtUp searches find less, or what was
	Err        error // why following does not get on, nil while it does
}

// Open opens the index in a directory of its own, which it makes where there
// is none, and returns within seconds whatever the directory's state: an index
// that is damaged, or of another mapping or bleve version, is set aside and
// Follow builds a new one. It fails with ErrLocked when another process holds
// the directory, else only when the directory cannot be written.
//
// entryOf says how a changed document is found; false: not at all. It is told
// of deletions, too, by one goroutine at a time.
func Open(dir string, store Source, entryOf func(context.Context, marketplace.Change) (marketplace.Entry, bool, error), log *slog.Logger) (*Index, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", dir, err)
	}
	x := &Index{
		dir: dir, source: store, entryOf: entryOf, log: log, lock: unlock,
		queue:   index.NewAnalysisQueue(runtime.GOMAXPROCS(0)),
		closing: make(chan struct{}), nudge: make(chan struct{}, 1),
		progress: progress{changed: make(chan struct{})},
	}
	g, err := x.open()
	if err != nil {
		x.queue.Close()
		return nil, errors.Join(fmt.Errorf("search: %w", err), unlock())
	}
	x.serving.Store(g)
	x.progress.rebuilding = g.cursor == ""
	return x, nil
}

// Close ends Follow and searches to come, and leaves the index marked as
// whole, so that the next Open need not doubt it.
func (x *Index) Close() error {
	var err error
	x.closeOnce.Do(func() {
		close(x.closing)
		x.following.Lock()
		defer x.following.Unlock()
		g := x.serving.Load()
		_ = g.saved(context.Background()) // what cannot be saved is read again
		if err = g.close(); err == nil && g.failure() == nil {
			err = x.writeManifest(g.name, true)
		}
		x.queue.Close()
		if e := x.lock(); err == nil {
			err = e
		}
	})
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}

// Status reports how the index is.
func (x *Index) Status() Status {
	x.mu.Lock()
	s := Status{CaughtUp: x.progress.caughtUp, Rebuilding: x.progress.rebuilding, Err: x.progress.err}
	x.mu.Unlock()
	if v, err := x.view(); err == nil {
		s.Documents = v.live
		_ = v.snapshot.Close()
	}
	return s
}

// ColumnBytes is about how much memory what filters, facets, sorts and scores
// have read of the index takes. It waits for columns that are being built.
func (x *Index) ColumnBytes() (n int) {
	v, err := x.view()
	if err != nil {
		return 0
	}
	defer v.snapshot.Close()
	for i := range v.segments {
		n += v.segments[i].columns.bytes()
	}
	return n
}

// noPanic is deferred where a panic must not get further than the log.
func (x *Index) noPanic(doing string) {
	if p := recover(); p != nil {
		x.log.Error("search: panic in "+doing, "panic", p, "stack", string(debug.Stack()))
	}
}

// Search implements marketplace.Finder.
func (x *Index) Search(ctx context.Context, queries ...marketplace.FinderQuery) (found []marketplace.Found, err error) {
	v, err := x.view()
	if err != nil {
		return nil, err
	}
	defer v.snapshot.Close()
	found = make([]marketplace.Found, len(queries))
	var g errgroup.Group
	g.SetLimit(2) // one request may not take all processors
	for i := range queries {
		if i == len(queries)-1 && i == 0 {
			found[0], err = x.answer(ctx, v, &queries[0])
			return found, err
		}
		g.Go(func() (err error) {
			found[i], err = x.answer(ctx, v, &queries[i])
			return err
		})
	}
	return found, g.Wait()
}

// answer turns whatever goes wrong in a damaged index into an error.
func (x *Index) answer(ctx context.Context, v *view, q *marketplace.FinderQuery) (found marketplace.Found, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.log.Error("search: panic in a query", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("search: panic: %v: %w", p, marketplace.ErrUnavailable)
		}
	}()
	found, err = v.fork().search(ctx, q, false)
	if err != nil && !errors.Is(err, marketplace.ErrBadCursor) {
		if ctx.Err() == nil {
			x.log.Error("search: query failed", "error", err)
		}
		err = fmt.Errorf("search: %w: %w", marketplace.ErrUnavailable, err)
	}
	return found, err
}

// view takes a snapshot of the index that serves. One that was swapped for
// another in this moment is closed.
func (x *Index) view() (v *view, err error) {
	for g := (*generation)(nil); g != x.serving.Load(); {
		g = x.serving.Load()
		if v, err = g.view(); err == nil {
			return v, nil
		}
	}
	return nil, err
}

// A generation is one index on disk. Building anew makes another one.
type generation struct {
	name    string
	scorch  *scorch.Scorch
	cache   *columnCache
	unsaved *semaphore.Weighted // changes that can be found and are not on disk yet, see maxUnsaved
	broken  context.Context     // its cause is an error of bleve's own goroutines, or of a batch
	fail    context.CancelCauseFunc

	mu       sync.Mutex
	cursor   marketplace.Cursor
	stored   time.Time // when the cursor was
	sums     totals
	average  map[string]float64
	revs     map[string]int64 // what was applied lately, by document id
	formerly map[string]int64 // and before that
}

// What is stored beside the entries.
var (
	internalCursor  = []byte("cursor")  // as it is
	internalLengths = []byte("lengths") // JSON: {"text.en":[terms,entries],...}
)

func (g *generation) view() (_ *view, err error) {
	defer recovered(&err)
	reader, err := g.scorch.Reader()
	if err != nil {
		return nil, fmt.Errorf("search: %w: %w", marketplace.ErrUnavailable, err)
	}
	snapshot, _ := reader.(*scorch.IndexSnapshot)
	if snapshot == nil {
		return nil, fmt.Errorf("search: the index is closed: %w", marketplace.ErrUnavailable)
	}
	g.mu.Lock()
	v := &view{snapshot: snapshot, cache: g.cache, average: g.average}
	g.mu.Unlock()
	cols := g.cache.of(snapshot)
	v.segments, v.ids = make([]part, len(cols)), make([]uint64, len(cols))
	for i, s := range snapshot.Segments() {
		v.segments[i] = part{SegmentSnapshot: s, columns: cols[i], size: uint32(s.FullSize()), dead: cols[i].dying(s)}
		v.ids[i] = s.Id()
		v.docs += int(s.FullSize())
		v.live += int(s.LiveSize())
	}
	return v, nil
}

func (g *generation) failure() error { return context.Cause(g.broken) }

func (g *generation) close() (err error) {
	defer recovered(&err)
	generations.Delete(g.scorch)
	return g.scorch.Close()
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("search: panic: %v: %w", p, marketplace.ErrUnavailable)
	}
}
