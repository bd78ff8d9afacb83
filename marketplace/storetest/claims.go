package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"citymarket/marketplace"
)

var claimTests = []test{
	{"Claims/Taken", testTaken},
	{"Claims/Released", testReleased},
	{"Claims/Exact", testClaimsExact},
	{"Claims/HundredAtOnce", testHundredClaims},
	{"Claims/Swap", testClaimSwap},
}

func claim(id string, rev int64, claims ...string) marketplace.Write {
	return marketplace.Write{Kind: things, ID: id, Rev: rev, Value: note{Text: fmt.Sprint(claims)}, Claims: claims}
}

func wantTaken(t *testing.T, s marketplace.Store, w marketplace.Write, taken string) {
	t.Helper()
	_, err := s.Put(t.Context(), w)
	wantErr(t, err, marketplace.ErrTaken, "put %s with claims %q", w.ID, w.Claims)
	var e *marketplace.TakenError
	if !errors.As(err, &e) || e.Claim != taken {
		t.Errorf("put %s with claims %q: error is %v, want one that names %q", w.ID, w.Claims, err, taken)
	}
}

func testTaken(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, claim("a", 0, "one", "two"))
	wantTaken(t, s, claim("b", 0, "three", "two", "four"), "two")
	_, err := s.Get(t.Context(), things, "b")
	wantErr(t, err, marketplace.ErrNotFound, "get after a refused claim")
	put(t, s, claim("c", 0, "three", "four")) // the refused write holds nothing

	wantTaken(t, s, claim("c", 1, "five", "one"), "one")
	wantNote(t, s, "c", note{Text: "[three four]"}, 1)
	wantTaken(t, s, claim("d", 0, "three"), "three") // and has released nothing
	put(t, s, claim("d", 0, "five"))

	// A stale write changes no claims either.
	_, err = s.Put(t.Context(), claim("a", 7, "six"))
	wantErr(t, err, marketplace.ErrStale, "stale write with claims")
	wantTaken(t, s, claim("d", 1, "one"), "one")
	put(t, s, claim("d", 1, "six"))

	// Another kind has claims of its own.
	put(t, s, marketplace.Write{Kind: others, ID: "x", Value: note{}, Claims: []string{"one", "two"}})
}

func testReleased(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, claim("a", 0, "one", "two", "three"))
	put(t, s, claim("a", 1, "three", "one", "four")) // kept, released and new at once
	wantTaken(t, s, claim("b", 0, "one"), "one")
	wantTaken(t, s, claim("b", 0, "four"), "four")
	put(t, s, claim("b", 0, "two"))
	put(t, s, claim("a", 2)) // an update without claims releases all
	put(t, s, claim("c", 0, "one", "three"))

	put(t, s, marketplace.Write{Kind: things, ID: "c", Rev: 1, Claims: []string{"two"}}) // a deletion ignores claims
	put(t, s, claim("d", 0, "one", "three"))
	if rev := put(t, s, claim("c", 0, "again")); rev != 3 {
		t.Errorf("created again at revision %d, want 3", rev)
	}
	wantTaken(t, s, claim("c", 3, "one"), "one") // what it held before its deletion is not its own any more
}

func testClaimsExact(t *testing.T, o Opener) {
	s := open(t, o)
	for i, c := range []string{"a", "A", "a ", "á", "a\u0301", "a\x01", "a.b", "$a", "a|b", "%", "_", "*", "1", "1.0", "city:oslo@2026-03-02T08:30Z"} {
		put(t, s, claim(fmt.Sprint("doc ", i), 0, c))
		wantTaken(t, s, claim("late", 0, c), c)
	}
}

func testHundredClaims(t *testing.T, o Opener) {
	s := open(t, o)
	hundredClaims(t, s)
}

// hundredClaims lets a hundred documents claim one string, through all handles.
func hundredClaims(t *testing.T, handles ...marketplace.Store) {
	var won atomic.Int64
	together(100, func(i int) {
		s := handles[i%len(handles)]
		_, err := s.Put(t.Context(), claim(fmt.Sprint("doc ", i), 0, "the one", fmt.Sprint("own ", i)))
		if err == nil {
			won.Add(1)
		} else if !errors.Is(err, marketplace.ErrTaken) {
			t.Errorf("a losing claim: %v", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d of 100 documents hold the same claim", won.Load())
	}
	if docs := find(t, handles[0], marketplace.Query{Limit: 100}); len(docs) != 1 {
		t.Errorf("%d documents were written, want 1", len(docs))
	}
	put(t, handles[0], claim("last", 0, "own 100"))
}

// A claim that changes hands all the time is held by at most one document at
// any moment, and what is read says who.
func testClaimSwap(t *testing.T, o Opener) {
	s := open(t, o)
	const docs, rounds = 4, 20
	var holding atomic.Int64
	together(docs, func(i int) {
		id, rev := fmt.Sprint("doc ", i), int64(0)
		for range rounds {
			next, err := s.Put(t.Context(), claim(id, rev, "the one", fmt.Sprint("own ", i)))
			switch {
			case errors.Is(err, marketplace.ErrTaken):
				continue
			case err != nil:
				t.Error(err)
				return
			}
			if n := holding.Add(1); n != 1 {
				t.Errorf("%d documents hold the same claim", n)
			}
			holding.Add(-1)
			if rev, err = s.Put(t.Context(), claim(id, next, fmt.Sprint("own ", i))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	put(t, s, claim("last", 0, "the one"))
}
