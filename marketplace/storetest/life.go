package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

var lifeTests = []test{
	{"Context/EndedBefore", testEnded},
	{"Context/EndsWhileWaiting", testEndsWaiting},
	{"Context/EndsWhileWriting", testEndsWriting},
	{"Close/RefusesWork", testClosed},
	{"Close/EndsWaiting", testCloseEndsWaiting},
	{"Close/UnderLoad", testCloseUnderLoad},
	{"Reopen/KeepsEverything", testReopen},
}

var processTests = []test{
	{"Processes/Claims", func(t *testing.T, o Opener) { a, b := two(t, o); hundredClaims(t, a, b) }},
	{"Processes/NoEditIsLost", func(t *testing.T, o Opener) { a, b := two(t, o); noEditIsLost(t, a, b) }},
	{"Processes/NoneSkipped", func(t *testing.T, o Opener) { a, b := two(t, o); noneSkipped(t, a, b, a) }},
	{"Processes/WaitEndsEarly", func(t *testing.T, o Opener) { a, b := two(t, o); waitEndsEarly(t, a, b) }},
}

func two(t *testing.T, o Opener) (a, b marketplace.Store) {
	t.Helper()
	if o.Second == nil {
		t.Fatal("this adapter has no Second: list this test in Cannot")
	}
	a = open(t, o)
	return a, o.Second(t, a)
}

// calls makes one call of each method.
func calls(s marketplace.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error {
			_, err := s.Get(ctx, things, "a")
			return err
		},
		"Find": func(ctx context.Context) error {
			_, err := s.Find(ctx, things, marketplace.Query{Limit: 1})
			return err
		},
		"Put": func(ctx context.Context) error {
			_, err := s.Put(ctx, marketplace.Write{Kind: things, ID: "b", Value: note{}})
			return err
		},
		"Changes": func(ctx context.Context) error {
			_, err := s.Changes(ctx, marketplace.FeedQuery{Limit: 1})
			return err
		},
		"Changes that waits": func(ctx context.Context) error {
			_, err := s.Changes(ctx, marketplace.FeedQuery{Kinds: []marketplace.Kind{others}, Limit: 1, Wait: time.Hour})
			return err
		},
	}
}

func testEnded(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{}})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	for name, call := range calls(s) {
		wantErr(t, call(canceled), context.Canceled, "%s with a canceled context", name)
		wantErr(t, call(expired), context.DeadlineExceeded, "%s with a context that has expired", name)
	}
	_, err := s.Get(t.Context(), things, "b")
	wantErr(t, err, marketplace.ErrNotFound, "get of what was put with an ended context")
}

func testEndsWaiting(t *testing.T, o Opener) {
	s := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- calls(s)["Changes that waits"](ctx) }()
	cancel()
	select {
	case err := <-done:
		wantErr(t, err, context.Canceled, "canceled while waiting")
	case <-soon(t).Done():
		t.Fatal("a canceled context does not end the waiting for changes")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	wantErr(t, calls(s)["Changes that waits"](ctx), context.DeadlineExceeded, "expired while waiting")
}

// A write whose context ends under way has happened or has not; claims and
// document agree on it.
func testEndsWriting(t *testing.T, o Opener) {
	s := open(t, o)
	const writers, each = 4, 25
	together(writers, func(w int) {
		for i := range each {
			id := fmt.Sprint(w, "-", i)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*40*time.Microsecond)
			_, err := s.Put(ctx, claim(id, 0, "of "+id))
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, marketplace.ErrUnknown) {
				t.Errorf("put with a context that ends: %v", err)
			}
			// Whatever happened to the write before, this one comes after it.
			rev, rival := int64(0), id+" rival"
			_, rivalErr := s.Put(t.Context(), claim(rival, 0, "of "+id))
			switch d, getErr := s.Get(t.Context(), things, id); {
			case getErr == nil:
				rev = d.Rev
				wantErr(t, rivalErr, marketplace.ErrTaken, "claim of what was written")
			case errors.Is(getErr, marketplace.ErrNotFound):
				if err == nil || rivalErr != nil {
					t.Errorf("not written: put: %v, claim of the same by another: %v", err, rivalErr)
				}
			default:
				t.Error(getErr)
			}
			if rev > 1 {
				t.Errorf("%s was written %d times", id, rev)
			}
		}
	})
}

func testClosed(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{}})
	d, err := s.Get(t.Context(), things, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for name, call := range calls(s) {
		wantErr(t, call(t.Context()), marketplace.ErrClosed, "%s after Close", name)
	}
	if err := d.Decode(new(note)); err != nil {
		t.Errorf("a document does not outlive its store: %v", err)
	}
	if err := s.Close(); err != nil && !errors.Is(err, marketplace.ErrClosed) {
		t.Errorf("close again: %v", err)
	}
}

func testCloseEndsWaiting(t *testing.T, o Opener) {
	s := open(t, o)
	done := make(chan error)
	go func() { done <- calls(s)["Changes that waits"](t.Context()) }()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case err := <-done:
		wantErr(t, err, marketplace.ErrClosed, "closed while waiting")
	case <-soon(t).Done():
		t.Fatal("Close does not end the waiting for changes")
	}
}

func testCloseUnderLoad(t *testing.T, o Opener) {
	s := open(t, o)
	var wg sync.WaitGroup
	started := make(chan struct{}, 100)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				var err error
				if w%2 == 0 {
					_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: fmt.Sprint(w, "-", i), Value: note{}})
				} else {
					_, err = s.Find(t.Context(), things, marketplace.Query{Limit: 10})
				}
				if err != nil {
					if !errors.Is(err, marketplace.ErrClosed) && !errors.Is(err, marketplace.ErrUnknown) {
						t.Errorf("under Close: %v", err)
					}
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 20 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
}

func testReopen(t *testing.T, o Opener) {
	if o.Reopen == nil {
		t.Fatal("this adapter has no Reopen: list this test in Cannot")
	}
	s := open(t, o)
	put(t, s, claim("a", 0, "one"))
	put(t, s, claim("a", 1, "one", "two"))
	put(t, s, claim("b", 0))
	put(t, s, marketplace.Write{Kind: things, ID: "b", Rev: 1})
	after := follow(t, s, marketplace.FeedQuery{Limit: 10}, map[string]int64{"thing a": 2, "thing b": 2})
	put(t, s, marketplace.Write{Kind: others, ID: "c", Value: note{N: 5}})

	for range 2 {
		s = o.Reopen(t, s, noteSchema)
		wantNote(t, s, "a", note{Text: "[one two]"}, 2)
		wantTaken(t, s, claim("rival", 0, "two"), "two")
		_, err := s.Get(t.Context(), things, "b")
		wantErr(t, err, marketplace.ErrNotFound, "get of what was deleted")
		follow(t, s, marketplace.FeedQuery{After: after, Limit: 10}, map[string]int64{"other_kind2 c": 1})
		follow(t, s, marketplace.FeedQuery{Limit: 1}, map[string]int64{"thing a": 2, "thing b": 2, "other_kind2 c": 1})
	}
	if rev := put(t, s, claim("b", 0, "three")); rev != 3 {
		t.Errorf("created again at revision %d, want 3", rev)
	}
	follow(t, s, marketplace.FeedQuery{After: after, Limit: 10}, map[string]int64{"other_kind2 c": 1, "thing b": 3})
}
