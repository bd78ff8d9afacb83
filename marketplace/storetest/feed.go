package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

var feedTests = []test{
	{"Feed/OnlyTheNewest", testNewest},
	{"Feed/Deletions", testFeedDeletions},
	{"Feed/Kinds", testFeedKinds},
	{"Feed/Pages", testFeedPages},
	{"Feed/NoneSkipped", testNoneSkipped},
	{"Feed/WaitEndsEarly", testWaitEndsEarly},
	{"Feed/WaitEndsEmpty", testWaitEndsEmpty},
	{"Feed/Cursors", testCursors},
	{"Feed/Limits", testFeedLimits},
}

func changes(t testing.TB, s marketplace.Store, q marketplace.FeedQuery) marketplace.Feed {
	t.Helper()
	f, err := s.Changes(soon(t), q)
	if err != nil {
		t.Fatalf("changes after %q: %v", q.After, err)
	}
	checkFeed(t, q, f)
	return f
}

func checkFeed(t testing.TB, q marketplace.FeedQuery, f marketplace.Feed) {
	t.Helper()
	if len(f.Changes) > q.Limit {
		t.Errorf("%d changes in a page of %d", len(f.Changes), q.Limit)
	}
	if f.Next == "" || len(f.Next) > 1024 {
		t.Errorf("the next cursor is %q (1 to 1024 bytes)", f.Next)
	}
	for _, c := range f.Changes {
		if c.Deleted != (c.Decode == nil) || c.ID == "" || c.Kind == "" || c.Rev < 1 {
			t.Errorf("a change is %+v", c)
		}
	}
}

// follow reads on from a cursor until it has seen all of want (a document's
// kind and id, its revision), and returns the cursor after that. Revisions
// must not go back on the way.
func follow(t *testing.T, s marketplace.Store, q marketplace.FeedQuery, want map[string]int64) marketplace.Cursor {
	t.Helper()
	seen := map[string]int64{}
	ctx := soon(t)
	q.Wait = time.Second
	for {
		f, err := s.Changes(ctx, q)
		if err != nil {
			var missing []string
			for key, rev := range want {
				if seen[key] != rev {
					missing = append(missing, fmt.Sprintf("%s at %d instead of %d", key, seen[key], rev))
				}
			}
			t.Fatalf("changes after %q: %v; not seen: %s", q.After, err, strings.Join(missing, ", "))
		}
		checkFeed(t, q, f)
		q.After = f.Next
		for _, c := range f.Changes {
			key := string(c.Kind) + " " + c.ID
			if c.Rev < seen[key] {
				t.Errorf("%s goes back from revision %d to %d", key, seen[key], c.Rev)
			}
			seen[key] = c.Rev
			if c.Decode != nil {
				if err := c.Decode(new(note)); err != nil {
					t.Errorf("decode %s: %v", key, err)
				}
			}
		}
		done := true
		for key, rev := range want {
			done = done && seen[key] == rev
		}
		if done {
			return q.After
		}
	}
}

func testNewest(t *testing.T, o Opener) {
	s := open(t, o)
	for rev := range int64(5) {
		put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: rev, Value: note{N: int(rev)}})
		put(t, s, marketplace.Write{Kind: things, ID: "b", Rev: rev, Value: note{N: int(rev)}})
	}
	q := marketplace.FeedQuery{Limit: 100}
	for _, c := range changes(t, s, q).Changes {
		var n note
		if err := c.Decode(&n); err != nil || c.Rev != 5 || n.N != 4 || c.Deleted {
			t.Errorf("%s: revision %d, %+v (%v): only the newest change is to be kept", c.ID, c.Rev, n, err)
		}
	}
	after := follow(t, s, q, map[string]int64{"thing a": 5, "thing b": 5})
	put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 5, Value: note{}})
	q.After = after
	follow(t, s, q, map[string]int64{"thing a": 6})
}

func testFeedDeletions(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{}})
	q := marketplace.FeedQuery{Limit: 10}
	q.After = follow(t, s, q, map[string]int64{"thing a": 1})
	put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 1})
	follow(t, s, q, map[string]int64{"thing a": 2})
	for _, from := range []marketplace.Cursor{q.After, ""} {
		q.After = from
		f := changes(t, s, q)
		if len(f.Changes) == 0 {
			t.Fatalf("no deletion after %q", from)
		}
		c := f.Changes[len(f.Changes)-1]
		if !c.Deleted || c.Rev != 2 || c.ID != "a" || c.Kind != things || c.Decode != nil {
			t.Errorf("the deletion is %+v", c)
		}
	}
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{}})
	f := changes(t, s, marketplace.FeedQuery{Limit: 10})
	if len(f.Changes) == 0 || f.Changes[0].Deleted || f.Changes[0].Rev != 3 {
		t.Errorf("created again: %+v", f.Changes)
	}
}

func testFeedKinds(t *testing.T, o Opener) {
	s := open(t, o)
	for i := range 20 {
		kind := []marketplace.Kind{things, others}[i/10]
		put(t, s, marketplace.Write{Kind: kind, ID: fmt.Sprint(i), Value: note{}})
	}
	put(t, s, marketplace.Write{Kind: things, ID: "last", Value: note{}})
	for _, kinds := range [][]marketplace.Kind{{things}, {others}, {others, things}} {
		seen := map[marketplace.Kind]int{}
		for _, c := range changes(t, s, marketplace.FeedQuery{Kinds: kinds, Limit: 100}).Changes {
			seen[c.Kind]++
		}
		for kind, want := range map[marketplace.Kind]int{things: 11, others: 10} {
			if strings.Contains(fmt.Sprint(kinds), string(kind)) && seen[kind] < want || !strings.Contains(fmt.Sprint(kinds), string(kind)) && seen[kind] > 0 {
				t.Errorf("the feed of %v has %v", kinds, seen)
			}
		}
	}
	// A cursor fits another choice of kinds.
	after := follow(t, s, marketplace.FeedQuery{Kinds: []marketplace.Kind{others}, Limit: 3}, map[string]int64{"other_kind2 19": 1})
	put(t, s, marketplace.Write{Kind: things, ID: "newest", Value: note{}})
	follow(t, s, marketplace.FeedQuery{After: after, Limit: 3}, map[string]int64{"thing newest": 1})
	follow(t, s, marketplace.FeedQuery{Kinds: []marketplace.Kind{things}, After: after, Limit: 1}, map[string]int64{"thing newest": 1})
}

func testFeedPages(t *testing.T, o Opener) {
	s := open(t, o)
	want := map[string]int64{}
	for i := range 25 {
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprint(i), Value: note{}})
		want[fmt.Sprint("thing ", i)] = 1
	}
	for _, limit := range []int{1, 4, 25, marketplace.MaxPage} {
		follow(t, s, marketplace.FeedQuery{Limit: limit}, want)
	}
}

func testNoneSkipped(t *testing.T, o Opener) {
	s := open(t, o)
	noneSkipped(t, s, s)
}

// noneSkipped lets eight writers write through some handles while a reader
// of another handle follows, and starts again from cursors it has kept, or
// from the beginning. In the end it has seen the last state of everything.
func noneSkipped(t *testing.T, reader marketplace.Store, writers ...marketplace.Store) {
	var mu sync.Mutex
	last := map[string]int64{}
	written, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer stop()
		together(8, func(w int) {
			s := writers[w%len(writers)]
			r := rand.New(rand.NewPCG(7, uint64(w)))
			revs := map[string]int64{}
			live := map[string]bool{}
			for range 40 {
				id := fmt.Sprintf("%d-%d", w, r.IntN(15))
				write := marketplace.Write{Kind: []marketplace.Kind{things, others}[w/4], ID: id}
				if live[id] {
					write.Rev = revs[id]
				}
				if live[id] = !live[id] || r.IntN(5) > 0; live[id] {
					write.Value = note{N: w}
				}
				rev, err := s.Put(t.Context(), write)
				if err != nil {
					t.Errorf("put %s at %d: %v", id, write.Rev, err)
					return
				}
				revs[id] = rev
				mu.Lock()
				last[string(write.Kind)+" "+id] = rev
				mu.Unlock()
			}
		})
	}()

	// seen is what a consumer knows that stores its cursor with what it has
	// read: going back to an old cursor forgets what came after it.
	type state struct {
		after marketplace.Cursor
		seen  map[string]int64
	}
	saved := []state{{seen: map[string]int64{}}}
	now := saved[0]
	r := rand.New(rand.NewPCG(8, 9))
	deadline := soon(t)
	for {
		mu.Lock()
		left := written.Err() == nil
		for key, rev := range last {
			left = left || now.seen[key] != rev
		}
		mu.Unlock()
		if !left || t.Failed() {
			break
		}
		q := marketplace.FeedQuery{After: now.after, Limit: 1 + r.IntN(20), Wait: 20 * time.Millisecond}
		f, err := reader.Changes(deadline, q)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			t.Fatalf("%v; seen %v, want %v", err, now.seen, last)
		}
		checkFeed(t, q, f)
		next := state{f.Next, map[string]int64{}}
		for key, rev := range now.seen {
			next.seen[key] = rev
		}
		for _, c := range f.Changes {
			key := string(c.Kind) + " " + c.ID
			if c.Rev < next.seen[key] {
				t.Errorf("%s goes back from revision %d to %d", key, next.seen[key], c.Rev)
			}
			next.seen[key] = c.Rev
		}
		now = next
		saved = append(saved, now)
		if written.Err() == nil && r.IntN(4) == 0 {
			now = saved[r.IntN(len(saved))]
		}
	}
	// Every cursor that was ever given out still leads to the end.
	for range 5 {
		from := saved[r.IntN(len(saved))]
		want := map[string]int64{}
		for key, rev := range last {
			if from.seen[key] != rev {
				want[key] = rev
			}
		}
		follow(t, reader, marketplace.FeedQuery{After: from.after, Limit: 50}, want)
	}
}

func testWaitEndsEarly(t *testing.T, o Opener) {
	s := open(t, o)
	waitEndsEarly(t, s, s)
}

func waitEndsEarly(t *testing.T, reader, writer marketplace.Store) {
	after := changes(t, reader, marketplace.FeedQuery{Limit: 10}).Next
	for round := range 10 {
		want := map[string]int64{fmt.Sprint("thing ", round): 1}
		done := make(chan marketplace.Cursor)
		go func() {
			defer close(done)
			q := marketplace.FeedQuery{After: after, Limit: 10, Wait: 10 * patience}
			for {
				f, err := reader.Changes(t.Context(), q)
				if err != nil {
					t.Errorf("waiting for a change: %v", err)
					return
				}
				q.After = f.Next
				for _, c := range f.Changes {
					if want[string(c.Kind)+" "+c.ID] == c.Rev {
						done <- f.Next
						return
					}
				}
			}
		}()
		put(t, writer, marketplace.Write{Kind: things, ID: fmt.Sprint(round), Value: note{}})
		select {
		case next, ok := <-done:
			if !ok {
				return
			}
			after = next
		case <-soon(t).Done():
			t.Fatal("a write does not wake a reader that waits")
		}
	}
}

func testWaitEndsEmpty(t *testing.T, o Opener) {
	s := open(t, o)
	q := marketplace.FeedQuery{Limit: 10}
	q.After = changes(t, s, q).Next
	if f := changes(t, s, q); len(f.Changes) != 0 {
		t.Errorf("an empty store has the changes %+v", f.Changes)
	}
	for _, kinds := range [][]marketplace.Kind{nil, {others}} {
		q.Kinds, q.Wait = kinds, 30*time.Millisecond
		began := time.Now()
		f := changes(t, s, q)
		if waited := time.Since(began); waited < q.Wait || len(f.Changes) != 0 {
			t.Errorf("waited %v of %v and got %d changes", waited, q.Wait, len(f.Changes))
		}
		q.After = f.Next
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprint(len(kinds)), Value: note{}})
		if kinds == nil {
			q.After = follow(t, s, q, map[string]int64{"thing 0": 1})
		}
	}
	q.Kinds = nil
	follow(t, s, q, map[string]int64{"thing 1": 1}) // the empty pages have skipped nothing
}

func testCursors(t *testing.T, o Opener) {
	s, other := open(t, o), open(t, o)
	put(t, other, marketplace.Write{Kind: things, ID: "b", Value: note{}})
	foreign := changes(t, other, marketplace.FeedQuery{Limit: 1}).Next
	for i := range 3 {
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprint(i), Value: note{}})
	}
	for _, c := range []marketplace.Cursor{"garbage", " ", "0", "-1", "..", "{}", foreign, foreign + "x", marketplace.Cursor(strings.Repeat("x", 5000))} {
		_, err := s.Changes(t.Context(), marketplace.FeedQuery{After: c, Limit: 10, Wait: time.Hour})
		if !errors.Is(err, marketplace.ErrCursor) {
			t.Errorf("changes after the cursor %.40q: error is %v, want %v", c, err, marketplace.ErrCursor)
		}
	}
	follow(t, s, marketplace.FeedQuery{Limit: 1}, map[string]int64{"thing 0": 1, "thing 2": 1})
}

func testFeedLimits(t *testing.T, o Opener) {
	s := open(t, o)
	for what, q := range map[string]marketplace.FeedQuery{
		"page 0":           {},
		"a page too large": {Limit: marketplace.MaxPage + 1},
		"an unknown kind":  {Limit: 1, Kinds: []marketplace.Kind{things, "nobody_knows"}},
	} {
		_, err := s.Changes(t.Context(), q)
		wantErr(t, err, marketplace.ErrLimit, "changes with %s", what)
	}
}
