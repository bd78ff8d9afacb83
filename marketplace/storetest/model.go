package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"citymarket/marketplace"

	"pgregory.net/rapid"
)

var modelTests = []test{{"Model", testModel}}

type modelDoc struct {
	Group  string   `json:"group"` // of the run; keeps the runs of one store apart
	Name   string   `json:"name"`
	N      *int     `json:"n,omitempty"`
	Tags   []string `json:"tags"`
	Claims []string `json:"claims"`
}

var modelIndexes = []marketplace.Index{
	{Equal: []string{"group"}}, {Equal: []string{"group"}, Sort: "n"}, {Equal: []string{"group", "name"}, Sort: "n"},
	{Equal: []string{"group"}, Has: "tags", Sort: "name"},
}

// A model is what a store should hold of one run.
type model struct {
	store  marketplace.Store
	group  string
	docs   reference          // live documents
	revs   map[string]int64   // of live and deleted documents
	claims map[string]string  // claim to id
	seen   map[string]int64   // what a reader of the feed knows
	after  marketplace.Cursor // where that reader is
}

// testModel runs random operations on the store and on a model of it, and
// compares. All runs share one store, as opening one may be slow.
func testModel(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: modelIndexes})
	runs := 0
	var after marketplace.Cursor // where the reader of the run before has come to
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &model{store: s, group: fmt.Sprintf("run-%05d", runs), docs: reference{}, revs: map[string]int64{},
			claims: map[string]string{}, seen: map[string]int64{}, after: after}
		rt.Repeat(map[string]func(*rapid.T){
			"put":     func(rt *rapid.T) { m.put(t, rt) },
			"get":     func(rt *rapid.T) { m.get(t, rt) },
			"find":    func(rt *rapid.T) { m.find(t, rt) },
			"changes": func(rt *rapid.T) { m.changes(t, rt) },
		})
		for id, rev := range m.revs {
			for m.seen[id] != rev {
				m.changes(t, rt)
			}
		}
		after = m.after
	})
}

func (m *model) id(rt *rapid.T) string {
	return m.group + " " + rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "id")
}

func (m *model) put(t *testing.T, rt *rapid.T) {
	w := marketplace.Write{Kind: things, ID: m.id(rt)}
	if m.docs[w.ID] != nil {
		w.Rev = m.revs[w.ID]
	}
	if rapid.IntRange(0, 4).Draw(rt, "stale") == 0 {
		w.Rev = rapid.Int64Range(0, 6).Draw(rt, "rev")
	}
	for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 2, rapid.ID).Draw(rt, "claims") {
		w.Claims = append(w.Claims, m.group+" "+c)
	}
	v := modelDoc{
		Group: m.group, Name: rapid.SampledFrom(names).Draw(rt, "name").(string), Claims: w.Claims,
		N:    rapid.Ptr(rapid.IntRange(-2, 2), true).Draw(rt, "n"),
		Tags: rapid.SliceOfN(rapid.SampledFrom([]string{"s", "t", "u"}), 0, 3).Draw(rt, "tags"),
	}
	if rapid.IntRange(0, 3).Draw(rt, "delete") > 0 {
		w.Value = v
	} else if m.docs[w.ID] == nil {
		return // the port leaves open which error that is
	}

	var want error
	current := m.revs[w.ID]
	if m.docs[w.ID] == nil {
		current = 0
	}
	if w.Rev != current {
		want = marketplace.ErrStale
	} else if w.Value != nil {
		for _, c := range w.Claims {
			if holder, held := m.claims[c]; held && holder != w.ID {
				want = marketplace.ErrTaken
			}
		}
	}
	rev, err := m.store.Put(t.Context(), w)
	if !errors.Is(err, want) {
		rt.Fatalf("put %+v: error is %v, want %v", w, err, want)
	}
	if want != nil {
		return
	}
	if rev != m.revs[w.ID]+1 {
		rt.Fatalf("put %+v after revision %d returned revision %d", w, m.revs[w.ID], rev)
	}
	m.revs[w.ID] = rev
	for c, holder := range m.claims {
		if holder == w.ID {
			delete(m.claims, c)
		}
	}
	delete(m.docs, w.ID)
	if w.Value != nil {
		m.docs.put(w.ID, v)
		for _, c := range w.Claims {
			m.claims[c] = w.ID
		}
	}
}

func (m *model) same(rt *rapid.T, d marketplace.Document) {
	var v modelDoc
	if err := d.Decode(&v); err != nil {
		rt.Fatal(err)
	}
	if d.Rev != m.revs[d.ID] || fmt.Sprint(plain(v)) != fmt.Sprint(m.docs[d.ID]) {
		rt.Fatalf("%s is %v at revision %d, want %v at revision %d", d.ID, plain(v), d.Rev, m.docs[d.ID], m.revs[d.ID])
	}
}

func (m *model) get(t *testing.T, rt *rapid.T) {
	id := m.id(rt)
	d, err := m.store.Get(t.Context(), things, id)
	switch {
	case m.docs[id] != nil && err != nil, m.docs[id] == nil && !errors.Is(err, marketplace.ErrNotFound):
		rt.Fatalf("get %s: %v", id, err)
	case err == nil:
		m.same(rt, d)
	}
}

func (m *model) find(t *testing.T, rt *rapid.T) {
	ix := rapid.SampledFrom(modelIndexes).Draw(rt, "index")
	q := marketplace.Query{Sort: ix.Sort, Descending: rapid.Bool().Draw(rt, "descending"), Limit: rapid.IntRange(1, 4).Draw(rt, "limit")}
	q.Where = append(q.Where, where("group", marketplace.Eq, m.group))
	if len(ix.Equal) > 1 {
		q.Where = append(q.Where, where("name", marketplace.In, rapid.SliceOfN(rapid.SampledFrom(names), 1, 5).Draw(rt, "names")...))
	}
	if ix.Has != "" {
		q.Where = append(q.Where, where("tags", marketplace.Has, rapid.SampledFrom([]string{"s", "t", "u"}).Draw(rt, "tag")))
	}
	if ix.Sort == "n" && rapid.Bool().Draw(rt, "range") {
		q.Where = append(q.Where, where("n", rapid.SampledFrom([]marketplace.Op{marketplace.Lt, marketplace.Ge}).Draw(rt, "op"), rapid.IntRange(-2, 3).Draw(rt, "bound")))
	}
	want := m.docs.find(q)
	got := []string{}
	for {
		docs, err := m.store.Find(t.Context(), things, q)
		if err != nil {
			rt.Fatal(err)
		}
		for _, d := range docs {
			got = append(got, d.ID)
			m.same(rt, d)
		}
		if len(docs) < q.Limit || len(got) > len(want) {
			break
		}
		q.After = docs[len(docs)-1].Position
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("find %s\n got %q\nwant %q", show(q), got, want)
	}
}

func (m *model) changes(t *testing.T, rt *rapid.T) {
	f, err := m.store.Changes(t.Context(), marketplace.FeedQuery{After: m.after, Limit: 3})
	if err != nil {
		rt.Fatal(err)
	}
	m.after = f.Next
	for _, c := range f.Changes {
		rev, ours := m.revs[c.ID]
		switch {
		case !ours:
			continue // an overlap with the run before
		case c.Rev > rev || c.Rev < m.seen[c.ID]:
			rt.Fatalf("the feed has %s at revision %d, after %d; it is at %d", c.ID, c.Rev, m.seen[c.ID], rev)
		case c.Rev == rev && c.Deleted != (m.docs[c.ID] == nil):
			rt.Fatalf("the feed has %s at revision %d deleted: %t", c.ID, c.Rev, c.Deleted)
		case c.Rev == rev && !c.Deleted:
			m.same(rt, c.Document)
		}
		m.seen[c.ID] = c.Rev
	}
}
