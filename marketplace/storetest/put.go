package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"citymarket/marketplace"
)

var putTests = []test{
	{"Put/NotFound", testNotFound},
	{"Put/Revisions", testRevisions},
	{"Put/Deletion", testDeletion},
	{"Put/KindsAreApart", testKinds},
	{"Put/OneWinnerPerRevision", testOneWinner},
	{"Put/NoEditIsLost", testNoEditIsLost},
	{"Put/NotAnObject", testNotAnObject},
	{"Put/ValueIsNotKept", testNotKept},
	{"Put/Limits", testPutLimits},
	{"Put/DocumentSize", testDocumentSize},
}

func testNotFound(t *testing.T, o Opener) {
	s := open(t, o)
	_, err := s.Get(t.Context(), things, "nothing")
	wantErr(t, err, marketplace.ErrNotFound, "get from an empty store")
	put(t, s, marketplace.Write{Kind: things, ID: "abc", Value: note{}})
	for _, id := range []string{"ab", "abcd", "ABC", "", "a%", "abc "} {
		_, err := s.Get(t.Context(), things, id)
		wantErr(t, err, marketplace.ErrNotFound, "get %q", id)
	}
}

func testRevisions(t *testing.T, o Opener) {
	s := open(t, o)
	w := marketplace.Write{Kind: things, ID: "a", Value: note{Text: "one"}}
	if rev := put(t, s, w); rev != 1 {
		t.Fatalf("the first revision is %d, want 1", rev)
	}
	wantNote(t, s, "a", note{Text: "one"}, 1)

	w.Value = note{Text: "again"}
	_, err := s.Put(t.Context(), w)
	wantErr(t, err, marketplace.ErrStale, "create what exists")
	w.Rev, w.Value = 1, &note{Text: "two"}
	put(t, s, w)
	wantNote(t, s, "a", note{Text: "two"}, 2)

	for _, rev := range []int64{0, 1, 3, 1 << 40} {
		_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: rev, Value: note{Text: "stale"}})
		wantErr(t, err, marketplace.ErrStale, "update of revision 2 from revision %d", rev)
		_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: rev})
		wantErr(t, err, marketplace.ErrStale, "deletion of revision 2 from revision %d", rev)
	}
	wantNote(t, s, "a", note{Text: "two"}, 2)

	_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: "never", Rev: 1, Value: note{}})
	wantErr(t, err, marketplace.ErrStale, "update of what does not exist")
	_, err = s.Get(t.Context(), things, "never")
	wantErr(t, err, marketplace.ErrNotFound, "get after a refused update")
}

func testDeletion(t *testing.T, o Opener) {
	s := open(t, o)
	all := marketplace.Query{Limit: 10}
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{Text: "one"}})
	put(t, s, marketplace.Write{Kind: things, ID: "b", Value: note{Text: "b"}})
	if rev := put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 1}); rev != 2 {
		t.Errorf("a deletion of revision 1 is revision %d, want 2", rev)
	}
	_, err := s.Get(t.Context(), things, "a")
	wantErr(t, err, marketplace.ErrNotFound, "get after deletion")
	wantIDs(t, s, all, "b")
	wantIDs(t, s, marketplace.Query{Sort: "n", Limit: 10}, "b")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("id", marketplace.In, "a", "b")}, Limit: 10}, "b")

	for _, rev := range []int64{1, 2, 3} {
		_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: rev, Value: note{}})
		wantErr(t, err, marketplace.ErrStale, "update from revision %d of what was deleted at revision 2", rev)
		_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: rev})
		wantErr(t, err, marketplace.ErrStale, "deletion from revision %d of what was deleted at revision 2", rev)
	}
	for _, id := range []string{"a", "never"} {
		_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: id})
		if !errors.Is(err, marketplace.ErrNotFound) && !errors.Is(err, marketplace.ErrStale) {
			t.Errorf("deletion of %q, which does not exist, from revision 0: %v", id, err)
		}
	}

	if rev := put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{Text: "three"}}); rev != 3 {
		t.Errorf("created again after revision 2 it has revision %d, want 3", rev)
	}
	wantNote(t, s, "a", note{Text: "three"}, 3)
	put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 3, Value: note{Text: "four"}})
	wantIDs(t, s, all, "a", "b")
}

func testKinds(t *testing.T, o Opener) {
	s := open(t, o)
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{Text: "thing"}})
	_, err := s.Get(t.Context(), others, "a")
	wantErr(t, err, marketplace.ErrNotFound, "get from another kind")
	if rev := put(t, s, marketplace.Write{Kind: others, ID: "a", Value: note{Text: "other"}}); rev != 1 {
		t.Errorf("the first revision in another kind is %d", rev)
	}
	put(t, s, marketplace.Write{Kind: others, ID: "a", Rev: 1})
	wantNote(t, s, "a", note{Text: "thing"}, 1)
	wantIDs(t, s, marketplace.Query{Limit: 5}, "a")
}

func testOneWinner(t *testing.T, o Opener) {
	s := open(t, o)
	for round := range int64(5) {
		var won atomic.Int64
		together(20, func(i int) {
			_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: round, Value: note{N: i}})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, marketplace.ErrStale) {
				t.Errorf("a losing write: %v", err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d of 20 writes from revision %d were accepted", won.Load(), round)
		}
	}
}

func testNoEditIsLost(t *testing.T, o Opener) {
	s := open(t, o)
	noEditIsLost(t, s, s)
}

// noEditIsLost counts in one document through both handles.
func noEditIsLost(t *testing.T, handles ...marketplace.Store) {
	const each = 40
	put(t, handles[0], marketplace.Write{Kind: things, ID: "counter", Value: note{}})
	together(len(handles), func(i int) {
		s := handles[i]
		for done := 0; done < each && !t.Failed(); {
			d, err := s.Get(t.Context(), things, "counter")
			var n note
			if err == nil {
				err = d.Decode(&n)
			}
			if err != nil {
				t.Error(err)
				return
			}
			n.N++
			_, err = s.Put(t.Context(), marketplace.Write{Kind: things, ID: "counter", Rev: d.Rev, Value: n})
			if err == nil {
				done++
			} else if !errors.Is(err, marketplace.ErrStale) {
				t.Error(err)
			}
		}
	})
	want := each * len(handles)
	wantNote(t, handles[0], "counter", note{N: want}, int64(want+1))
}

func testNotAnObject(t *testing.T, o Opener) {
	s := open(t, o)
	var nothing *note
	for _, v := range []any{nothing, "text", 5, []int{1}} {
		if _, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Value: v}); err == nil {
			t.Errorf("a document that is %#v was accepted", v)
		}
	}
	if _, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Value: struct {
		F func() `json:"f"`
	}{}}); err == nil {
		t.Error("a document with a function was accepted")
	}
	wantIDs(t, s, marketplace.Query{Limit: 5})
}

func testNotKept(t *testing.T, o Opener) {
	type list struct {
		Tags []string `json:"tags"`
	}
	s := open(t, o)
	v := list{Tags: []string{"one"}}
	claims := []string{"c"}
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: &v, Claims: claims})
	v.Tags[0], claims[0] = "changed", "d"
	got, _ := get[list](t, s, things, "a")
	if got.Tags[0] != "one" {
		t.Error("the store shares memory with the value that was put")
	}
	got.Tags[0] = "changed"
	if got, _ := get[list](t, s, things, "a"); got.Tags[0] != "one" {
		t.Error("the store shares memory with the value that was read")
	}
	put(t, s, marketplace.Write{Kind: things, ID: "b", Value: note{}, Claims: []string{"d"}})

	d, err := s.Get(t.Context(), things, "a")
	if err != nil {
		t.Fatal(err)
	}
	together(8, func(int) { // a race, if there is one, is seen by -race
		var l list
		if err := d.Decode(&l); err != nil || l.Tags[0] != "one" {
			t.Errorf("decoded %v, %v", l, err)
		}
	})
}

func testPutLimits(t *testing.T, o Opener) {
	s := open(t, o)
	claims := func(n int) (c []string) {
		for i := range n {
			c = append(c, fmt.Sprint("claim ", i))
		}
		return c
	}
	long := strings.Repeat("é", marketplace.MaxIDSize/2)
	wide := strings.Repeat("c", marketplace.MaxClaimSize)
	for what, w := range map[string]marketplace.Write{
		"an empty id":         {Kind: things},
		"an id too long":      {Kind: things, ID: long + "x"},
		"a negative revision": {Kind: things, ID: "a", Rev: -1},
		"too many claims":     {Kind: things, ID: "a", Claims: claims(marketplace.MaxClaims + 1)},
		"an empty claim":      {Kind: things, ID: "a", Claims: []string{""}},
		"a claim too long":    {Kind: things, ID: "a", Claims: []string{wide + "c"}},
		"a claim twice":       {Kind: things, ID: "a", Claims: []string{"x", "y", "x"}},
		"an unknown kind":     {Kind: "nobody_knows", ID: "a"},
	} {
		w.Value = note{}
		_, err := s.Put(t.Context(), w)
		wantErr(t, err, marketplace.ErrLimit, "put with %s", what)
	}
	wantIDs(t, s, marketplace.Query{Limit: 5})
	put(t, s, marketplace.Write{Kind: things, ID: long, Value: note{}, Claims: append(claims(marketplace.MaxClaims-1), wide)})
	wantNote(t, s, long, note{}, 1)
}

func testDocumentSize(t *testing.T, o Opener) {
	s := open(t, o)
	text := strings.Repeat("x", marketplace.MaxDocumentSize-len(`{"text":"","group":"","n":1}`))
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: note{Text: text, N: 1}})
	_, err := s.Put(t.Context(), marketplace.Write{Kind: things, ID: "a", Rev: 1, Value: note{Text: text + "x", N: 2}})
	wantErr(t, err, marketplace.ErrLimit, "a document one byte over the limit")
	wantNote(t, s, "a", note{Text: text, N: 1}, 1)
}
