package mongostore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore/internal/fakemongo"
)

const (
	things marketplace.Kind = "thing"
	others marketplace.Kind = "other"
)

var schema = marketplace.Schema{
	things: {{Sort: "n"}, {Equal: []string{"group"}, Has: "tags", Sort: "n"}, {Equal: []string{"n"}}},
	others: nil,
}

type note struct {
	N     int      `json:"n"`
	Group string   `json:"group"`
	Tags  []string `json:"tags,omitempty"`
}

func open(t testing.TB, f *fakemongo.Server) *Store {
	t.Helper()
	s, err := Open(t.Context(), f.URI("test"), schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, id string, rev int64, claims ...string) {
	t.Helper()
	got, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: id, Rev: rev, Value: note{N: int(rev)}, Claims: claims})
	if err != nil || got != rev+1 {
		t.Fatalf("put %s at %d: revision %d, %v", id, rev, got, err)
	}
}

func wantRev(t testing.TB, s *Store, id string, rev int64) {
	t.Helper()
	d, err := s.Get(t.Context(), things, id)
	if err != nil || d.Rev != rev {
		t.Errorf("%s is at revision %d (%v), want %d", id, d.Rev, err, rev)
	}
}

// eventually waits for what the driver finds out by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: never", what)
		}
	}
}

// Whatever happens to the connection or the answer, a write is there once,
// and Put knows.
func TestWritesOnce(t *testing.T) {
	t.Parallel()
	faults := map[string][]fakemongo.Action{
		"not executed":             {fakemongo.HangUpBefore},
		"answer lost":              {fakemongo.HangUpAfter},
		"answer lost twice":        {fakemongo.HangUpAfter, fakemongo.HangUpAfter},
		"not executed, then lost":  {fakemongo.HangUpBefore, fakemongo.HangUpAfter},
		"not primary":              {fakemongo.NotPrimary},
		"lost, then not primary":   {fakemongo.HangUpAfter, fakemongo.NotPrimary},
		"not confirmed":            {fakemongo.Unconfirmed},
		"not confirmed, then lost": {fakemongo.Unconfirmed, fakemongo.HangUpAfter},
	}
	for name, start := range map[string]func(testing.TB) *fakemongo.Server{"replica set": fakemongo.Start, "standalone": fakemongo.StartStandalone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, actions := range faults {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					f := start(t)
					s := open(t, f)
					for _, step := range []struct {
						id  string
						rev int64
					}{{"a", 0}, {"a", 1}} {
						f.Script("update", actions...)
						// While a primary is looked for, whoever asks again
						// gets on; only what Put did not deny may have happened.
						var rev int64
						unknown := false
						eventually(t, "the write", func() bool {
							var err error
							rev, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: step.id, Rev: step.rev, Value: note{}, Claims: []string{"c"}})
							if unknown && errors.Is(err, marketplace.ErrStale) {
								rev, err = step.rev+1, nil
							}
							unknown = unknown || errors.Is(err, marketplace.ErrUnknown)
							if err != nil && !errors.Is(err, marketplace.ErrUnknown) && !errors.Is(err, marketplace.ErrUnavailable) {
								t.Fatal(err)
							}
							return err == nil
						})
						if rev != step.rev+1 {
							t.Errorf("revision %d, want %d", rev, step.rev+1)
						}
					}
					eventually(t, "a read", func() bool { _, err := s.Get(t.Context(), things, "a"); return err == nil })
					wantRev(t, s, "a", 2)
				})
			}
		})
	}
}

// A lost answer of a replica set is found out without the caller's help.
func TestLostAnswersAreSettled(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	before := f.Count("update")
	f.Script("update", fakemongo.HangUpAfter)
	put(t, s, "a", 0, "claim")
	wantRev(t, s, "a", 1)
	if n := f.Count("update") - before; n != 2 {
		t.Errorf("the update was sent %d times, want 2: once for the lost answer and once more", n)
	}
	f.Script("update", fakemongo.Unconfirmed)
	put(t, s, "a", 1)

	// A standalone node has no retryable writes, so there it is the adapter
	// that reads what became of the write.
	single := fakemongo.StartStandalone(t)
	alone := open(t, single)
	before = single.Count("update")
	single.Script("update", fakemongo.HangUpAfter)
	put(t, alone, "a", 0, "claim")
	if n := single.Count("update") - before; n != 1 {
		t.Errorf("the update was sent %d times, want 1: a read settles it", n)
	}

	_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: 1, Value: note{}})
	if !errors.Is(err, marketplace.ErrStale) {
		t.Errorf("a stale write: %v", err)
	}
}

// A lost answer is found out also when others have written since.
func TestLostAnswersAreSettledLate(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]fakemongo.Action{"executed": fakemongo.HangUpAfter, "not executed": fakemongo.HangUpBefore} {
		for others := range written {
			t.Run(fmt.Sprintf("%s, then %d more", name, others), func(t *testing.T) {
				t.Parallel()
				f := fakemongo.StartStandalone(t)
				s, other := open(t, f), open(t, f)
				put(t, s, "a", 0)
				rev := int64(1)
				if name == "executed" {
					rev = 2
				}
				f.Script("update", lost)
				f.Script("find", fakemongo.First(func() {
					for i := range others {
						put(t, other, "a", rev+int64(i))
					}
				}))
				got, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: 1, Value: note{}})
				switch {
				case name == "executed" || others == 0:
					if err != nil || got != 2 {
						t.Errorf("revision %d, %v", got, err)
					}
				case !errors.Is(err, marketplace.ErrStale):
					t.Errorf("a write that others were faster than: revision %d, %v", got, err)
				}
				wantRev(t, s, "a", max(2, rev+int64(others)))
			})
		}
	}
}

// A refusal is an answer, also when nobody sends the write again.
func TestRefusalIsNotUnknown(t *testing.T) {
	t.Parallel()
	f := fakemongo.StartStandalone(t)
	s := open(t, f)
	f.Script("update", fakemongo.NotPrimary)
	_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Value: note{}})
	if !errors.Is(err, marketplace.ErrUnavailable) || errors.Is(err, marketplace.ErrUnknown) {
		t.Errorf("a write that was refused: %v", err)
	}
}

// While the other member takes over again and again, a counter counts every
// edit once.
func TestStepDowns(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	put(t, s, "counter", 0)
	done := make(chan struct{})
	var wg sync.WaitGroup
	const writers, each = 4, 25
	var edits sync.Map
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				for t.Context().Err() == nil {
					d, err := s.Get(t.Context(), things, "counter")
					var rev int64
					if err == nil {
						rev, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: "counter", Rev: d.Rev, Value: note{N: w*each + i}})
					}
					if err == nil {
						if other, twice := edits.LoadOrStore(rev, w); twice {
							t.Errorf("revision %d was given to %v and to %d", rev, other, w)
						}
						break
					}
					if errors.Is(err, marketplace.ErrUnknown) {
						t.Errorf("the outcome is unknown, although nothing was lost for longer than a moment: %v", err)
						return
					}
					if !errors.Is(err, marketplace.ErrStale) && !errors.Is(err, marketplace.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-done:
			eventually(t, "a read", func() bool { _, err := s.Get(t.Context(), things, "counter"); return err == nil })
			wantRev(t, s, "counter", 1+writers*each)
			return
		case <-tick.C:
			if i < 10 {
				f.StepDown()
				f.Script("update", fakemongo.HangUpAfter)
			}
		}
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	put(t, s, "a", 0)
	feed, err := s.Changes(t.Context(), marketplace.FeedQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for what, breakIt := range map[string]func(){"no primary": f.Depose, "no server": f.Down} {
		breakIt()
		eventually(t, "the store knows of it", func() bool { return !s.primary.Load() })
		for name, call := range map[string]func() error{
			"get":  func() error { _, err := s.Get(t.Context(), things, "a"); return err },
			"find": func() error { _, err := s.Find(t.Context(), things, marketplace.Query{Limit: 1}); return err },
			"put": func() error {
				_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "b", Value: note{}})
				return err
			},
			"changes": func() error {
				_, err := s.Changes(t.Context(), marketplace.FeedQuery{Limit: 1, After: feed.Next, Wait: time.Minute})
				return err
			},
		} {
			began := time.Now()
			err := call()
			if took := time.Since(began); !errors.Is(err, marketplace.ErrUnavailable) || took > 50*time.Millisecond {
				t.Errorf("%s with %s: %v after %v", name, what, err, took)
			}
		}
		f.Up()
		f.StepDown()
		eventually(t, "recovery", func() bool { _, err := s.Get(t.Context(), things, "a"); return err == nil })
	}
	wantRev(t, s, "a", 1)
}

// A server that swallows everything: each call ends in time, and a write does
// not pretend to know.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	put(t, s, "a", 0)
	f.Freeze()
	began := time.Now()
	_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: 1, Value: note{}})
	if !errors.Is(err, marketplace.ErrUnknown) || errors.Is(err, marketplace.ErrUnavailable) {
		t.Errorf("put into a black hole: %v", err)
	}
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("put into a black hole took %v", took)
	}
	f.Up()
	eventually(t, "recovery", func() bool { _, err := s.Get(t.Context(), things, "a"); return err == nil })
	wantRev(t, s, "a", 2)
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	began := time.Now()
	_, err = Open(t.Context(), "mongodb://ada:s3cret@"+host+"/market", schema)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !errors.Is(err, marketplace.ErrUnavailable) || !strings.Contains(err.Error(), host) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("nobody listens: %v", err)
	}
	for _, uri := range []string{
		"", "host/db", "mongodb://ada:s3cret@/market", "mongodb://ada:s3cret@host:port/market",
		"mongodb://ada:s3cret@host/market?w=s3cret&w=-1", "mongodb://ada:s3cret@host/a.b", "mongodb://ada:s3:cret@host/m", "mongodb+srv://ada:s3cret@host:1/m",
	} {
		_, err := Open(t.Context(), uri, schema)
		if err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("open %q: %v", uri, err)
		}
	}
}

// read reads the feed to its end, and returns what it saw.
func read(t testing.TB, s *Store, after marketplace.Cursor) (ids []string, next marketplace.Cursor) {
	t.Helper()
	for {
		f, err := s.Changes(t.Context(), marketplace.FeedQuery{After: after, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		after = f.Next
		if len(f.Changes) == 0 {
			return ids, after
		}
		for _, c := range f.Changes {
			ids = append(ids, fmt.Sprint(c.ID, "@", c.Rev))
		}
	}
}

func TestLostHistory(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	put(t, s, "a", 0)
	_, dead := read(t, s, "")
	f.LoseHistory()
	put(t, s, "b", 0)
	opened := 0
	for i := range 3 {
		_, err := s.Changes(t.Context(), marketplace.FeedQuery{After: dead, Limit: 5})
		if !errors.Is(err, marketplace.ErrCursor) {
			t.Errorf("a cursor of lost history: %v", err)
		}
		if n := f.Count("aggregate"); i == 0 {
			opened = n
		} else if n != opened {
			t.Error("a dead token was sent again")
		}
	}
	ids, next := read(t, s, "")
	if !slices.Equal(ids, []string{"a@1", "b@1"}) {
		t.Errorf("from the beginning: %v", ids)
	}
	// History is lost under a reader that waits.
	f.Script("getMore", fakemongo.Pass, fakemongo.HistoryLost)
	if _, err := s.Changes(t.Context(), marketplace.FeedQuery{After: next, Limit: 5, Wait: 3 * time.Second}); !errors.Is(err, marketplace.ErrCursor) {
		t.Errorf("history lost while waiting: %v", err)
	}
	// So is it with a collection, and with the whole database.
	put(t, s, "c", 0)
	_, next = read(t, s, "")
	if err := s.collection(others).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), marketplace.FeedQuery{After: next, Limit: 5}); !errors.Is(err, marketplace.ErrCursor) {
		t.Errorf("after a collection was dropped: %v", err)
	}
	_, next = read(t, s, "")
	if err := s.db.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), marketplace.FeedQuery{After: next, Limit: 5}); !errors.Is(err, marketplace.ErrCursor) {
		t.Errorf("after the database was dropped: %v", err)
	}
}

// A hundred streams break in the middle, and nothing is missing.
func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	const writes = 300
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range writes {
			if i%3 == 0 {
				f.Script("getMore", fakemongo.HangUpAfter) // events were taken from the stream and never came
			}
			err := marketplace.ErrUnavailable
			for errors.Is(err, marketplace.ErrUnavailable) { // while the driver looks at the broken connection
				_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: fmt.Sprint(i), Value: note{}})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	seen := map[string]bool{}
	var after marketplace.Cursor
	for len(seen) < writes && !t.Failed() {
		feed, err := s.Changes(t.Context(), marketplace.FeedQuery{After: after, Limit: 7, Wait: 50 * time.Millisecond})
		if errors.Is(err, marketplace.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range feed.Changes {
			seen[c.ID] = true
		}
		after = feed.Next
	}
}

// A slow write takes its time first and becomes visible last. The reader has
// news at once, and the slow one afterwards.
func TestSlowWriteIsNotSkipped(t *testing.T) {
	t.Parallel()
	f := fakemongo.StartStandalone(t)
	s := open(t, f)
	put(t, s, "first", 0)
	_, after := read(t, s, "")
	held, release := make(chan struct{}), make(chan struct{})
	f.Script("update", fakemongo.Hold(held, release))
	var wg sync.WaitGroup
	wg.Go(func() { put(t, s, "slow", 0) })
	<-held
	put(t, s, "quick", 0)
	ids, after := read(t, s, after)
	if !slices.Equal(ids, []string{"quick@1"}) {
		t.Errorf("news: %v", ids)
	}
	close(release)
	wg.Wait()
	ids, after = read(t, s, after)
	if !slices.Equal(ids, []string{"slow@1"}) {
		t.Errorf("news: %v, want only what is new", ids)
	}
	if ids, _ = read(t, s, after); len(ids) > 0 {
		t.Errorf("seen again: %v", ids)
	}
	// Another process does not know what the reader has seen.
	if ids, _ = read(t, open(t, f), after); !slices.Contains(ids, "slow@1") {
		t.Errorf("another process shows %v", ids)
	}
}

func TestCursorsOfElsewhere(t *testing.T) {
	t.Parallel()
	f := fakemongo.StartStandalone(t)
	s := open(t, f)
	put(t, s, "a", 0)
	_, next := read(t, s, "")
	// The same data as a member of a replica set.
	s.streams = true
	if _, err := s.Changes(t.Context(), marketplace.FeedQuery{After: next, Limit: 5}); !errors.Is(err, marketplace.ErrCursor) {
		t.Errorf("a cursor by poll at a change stream: %v", err)
	}
	s.streams = false
	f.SetClock(-time.Hour)
	if _, err := s.Changes(t.Context(), marketplace.FeedQuery{After: next, Limit: 5}); !errors.Is(err, marketplace.ErrCursor) {
		t.Errorf("a cursor of the future: %v", err)
	}
	_, next = read(t, s, "")
	put(t, s, "b", 0)
	if ids, _ := read(t, s, next); !slices.Contains(ids, "b@1") {
		t.Errorf("after the clock was set back: %v", ids)
	}
}

// A cursor stays below its limit with the longest id that JSON could inflate.
func TestCursorSize(t *testing.T) {
	t.Parallel()
	c, err := mark{Data: strings.Repeat("x", 13), Kind: marketplace.Kind(strings.Repeat("k", 32)), ID: make([]byte, marketplace.MaxIDSize),
		Kinds: 1<<32 - 1, Token: make([]byte, 300), Time: 1<<64 - 1, Reader: strings.Repeat("r", 10), Page: 1 << 40}.cursor()
	if err != nil || len(c) > 1024 {
		t.Errorf("%d bytes, %v", len(c), err)
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	f := fakemongo.Start(t)
	s := open(t, f)
	names := func() (names []string) {
		specs, err := s.collection(things).Indexes().ListSpecifications(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ix := range specs {
			names = append(names, ix.Name)
		}
		slices.Sort(names)
		return names
	}
	if got, want := names(), []string{"_id_", "claims", "cm:group,tags,n", "cm:n"}; !slices.Equal(got, want) {
		t.Errorf("indexes %q, want %q", got, want)
	}
	next, err := Open(t.Context(), f.URI("test"), marketplace.Schema{things: {{Has: "tags"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got, want := names(), []string{"_id_", "claims", "cm:tags"}; !slices.Equal(got, want) {
		t.Errorf("indexes %q, want %q", got, want)
	}
}

// What is in the database is what the package comment says.
func TestStoredFormat(t *testing.T) {
	t.Parallel()
	s := open(t, fakemongo.Start(t))
	put(t, s, "a", 0, "claim")
	var d bson.D
	one := func() map[string]any {
		t.Helper()
		if err := s.collection(things).FindOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}).Decode(&d); err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		for _, e := range d {
			m[e.Key] = e.Value
		}
		return m
	}
	m := one()
	if _, ok := m["at"].(bson.Timestamp); !ok || m["rev"] != int64(1) || fmt.Sprint(m["c"]) != "[claim]" || fmt.Sprint(m["v"]) != `{"n":{"$numberInt":"0"},"group":""}` || m["w1"] == nil || len(m) != 6 {
		t.Errorf("stored %v", m)
	}
	if _, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: 1}); err != nil {
		t.Fatal(err)
	}
	if m := one(); m["rev"] != int64(2) || m["w1"] == nil || m["w2"] == nil || len(m) != 5 {
		t.Errorf("the tombstone is %v", m)
	}
}
