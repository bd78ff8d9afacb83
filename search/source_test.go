package search

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// A memory is a store's feed in memory: the newest change of each document,
// in the order of the changes. A cursor is "epoch:sequence".
type memory struct {
	mu      sync.Mutex
	epoch   int
	seq     int
	changes []marketplace.Change // each Position is its sequence
	news    chan struct{}
	fail    func() error // asked before every request
	replay  int          // so many changes before the cursor are sent again
	reads   int
}

func newMemory() *memory { return &memory{news: make(chan struct{})} }

func (m *memory) put(e marketplace.Entry) {
	m.change(marketplace.Change{Kind: e.Kind, Document: marketplace.Document{ID: e.ID, Rev: e.Rev, Decode: func(into any) error {
		*into.(*marketplace.Entry) = e
		return nil
	}}})
}

func (m *memory) delete(kind marketplace.Kind, id string, rev int64) {
	m.change(marketplace.Change{Kind: kind, Deleted: true, Document: marketplace.Document{ID: id, Rev: rev}})
}

func (m *memory) change(c marketplace.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	c.Position = strconv.Itoa(m.seq)
	m.changes = append(m.changes, c)
	close(m.news)
	m.news = make(chan struct{})
}

func (m *memory) Changes(ctx context.Context, q marketplace.FeedQuery) (marketplace.Feed, error) {
	for {
		m.mu.Lock()
		m.reads++
		if m.fail != nil {
			if err := m.fail(); err != nil {
				m.mu.Unlock()
				return marketplace.Feed{}, err
			}
		}
		after := 0
		if q.After != "" {
			epoch, seq, _ := strings.Cut(string(q.After), ":")
			if epoch != strconv.Itoa(m.epoch) {
				m.mu.Unlock()
				return marketplace.Feed{}, fmt.Errorf("memory: %w", marketplace.ErrCursor)
			}
			after, _ = strconv.Atoi(seq)
		}
		var feed marketplace.Feed
		start := max(after-m.replay, 0)
		if after < m.seq || q.Wait == 0 {
			end := min(start+q.Limit, m.seq)
			feed.Changes = append(feed.Changes, m.changes[start:end]...)
			feed.Next = marketplace.Cursor(fmt.Sprintf("%d:%d", m.epoch, max(end, after)))
			m.mu.Unlock()
			return feed, nil
		}
		news := m.news
		m.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return marketplace.Feed{}, ctx.Err()
		case <-time.After(q.Wait):
			return marketplace.Feed{Next: q.After}, nil
		}
	}
}

func entryOf(_ context.Context, c marketplace.Change) (marketplace.Entry, bool, error) {
	var e marketplace.Entry
	if c.Deleted {
		return e, false, nil
	}
	if err := c.Decode(&e); err != nil {
		return e, false, err
	}
	return e, e.Title != nil, nil
}

var discard = slog.New(slog.DiscardHandler)

// start opens an index and follows a source until the test's end.
func start(t testing.TB, dir string, m *memory) *Index {
	t.Helper()
	x, err := Open(dir, m, entryOf, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// index makes an index of some entries.
func indexOf(t testing.TB, entries []marketplace.Entry) *Index {
	t.Helper()
	m := newMemory()
	for _, e := range entries {
		e.Rev = max(e.Rev, 1)
		m.put(e)
	}
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	return x
}

// settle waits until everything was applied.
func settle(t testing.TB, x *Index, m *memory) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	m.mu.Lock()
	var last marketplace.Change
	if len(m.changes) > 0 {
		last = m.changes[len(m.changes)-1]
	}
	m.mu.Unlock()
	if err := x.Wait(ctx, last.Kind, last.ID, max(last.Rev, 1)); err != nil {
		t.Fatal(err, x.Status())
	}
}

func find(t testing.TB, x *Index, q marketplace.FinderQuery) marketplace.Found {
	t.Helper()
	if q.Groups == nil {
		q.Groups = []marketplace.Group{marketplace.Everyone}
	}
	found, err := x.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func ids(f marketplace.Found) string {
	var out []string
	for _, h := range f.Hits {
		out = append(out, h.ID)
	}
	return strings.Join(out, " ")
}
