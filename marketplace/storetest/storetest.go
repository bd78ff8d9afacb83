// Package storetest defines what a [marketplace.Store] must do, as tests that
// every adapter runs:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Opener{Open: ...})
//	}
//
// Where the port's documentation and this suite differ, one of them is wrong.
// The suite knows no database: whatever only one adapter can do or promise is
// tested beside that adapter. It does not measure time; a generous deadline
// only keeps a broken adapter from hanging.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// An Opener makes the stores that the suite works on. Its functions end the
// test with t.Fatal when they fail, and see to it themselves that what they
// opened is closed and removed at the end of the test; the suite may have
// closed it before. They are called from parallel tests.
type Opener struct {
	// Open returns a store that is empty and shares nothing with others.
	Open func(t testing.TB, schema marketplace.Schema) marketplace.Store
	// Reopen closes the store and opens the same data again, perhaps with
	// another schema. Nil when that cannot be done.
	Reopen func(t testing.TB, s marketplace.Store, schema marketplace.Schema) marketplace.Store
	// Second returns another handle on the data of a store that stays open,
	// as another process would have it: nothing in memory is shared. Nil
	// when that cannot be done.
	Second func(t testing.TB, s marketplace.Store) marketplace.Store
	// Cannot names the tests that do not apply to the adapter, or to the
	// server that it talks to here, each with the reason, for example
	// "Processes/Claims": "the file is locked by one process". They are
	// listed as skipped; a name that is not in the suite is a failure.
	// Tests that need a nil function must be listed.
	Cannot map[string]string
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

type test struct {
	name string
	run  func(t *testing.T, o Opener)
}

// Names returns the names of all tests, for [Opener.Cannot].
func Names() []string {
	var names []string
	for _, c := range suite() {
		names = append(names, c.name)
	}
	return names
}

func suite() []test {
	return slices.Concat(putTests, claimTests, findTests, pageTests, feedTests, valueTests, lifeTests, processTests, modelTests)
}

// Run runs the suite: every test as a parallel subtest on a store of its own.
func Run(t *testing.T, o Opener) {
	names := Names()
	for name := range o.Cannot {
		if !slices.Contains(names, name) {
			t.Errorf("Cannot names %q, which is not a test; there are: %s", name, strings.Join(names, ", "))
		}
	}
	for _, c := range suite() {
		t.Run(c.name, func(t *testing.T) {
			if why, ok := o.Cannot[c.name]; ok {
				t.Skipf("%s: not with this adapter: %s", c.name, why)
			}
			t.Parallel()
			c.run(t, o)
		})
	}
}

const (
	things marketplace.Kind = "thing"
	others marketplace.Kind = "other_kind2"
)

// A note is the document of those tests in which its content does not matter.
type note struct {
	Text  string `json:"text"`
	Group string `json:"group"`
	N     int    `json:"n"`
}

var noteSchema = marketplace.Schema{
	things: {{Sort: "n"}, {Equal: []string{"group"}, Sort: "n"}, {Equal: []string{"group"}}},
	others: {{Sort: "n"}},
}

func open(t *testing.T, o Opener) marketplace.Store {
	t.Helper()
	return o.Open(t, noteSchema)
}

// put writes and expects the revision after w.Rev.
func put(t testing.TB, s marketplace.Store, w marketplace.Write) int64 {
	t.Helper()
	rev, err := s.Put(t.Context(), w)
	if err != nil {
		t.Fatalf("put %s %s at revision %d: %v", w.Kind, w.ID, w.Rev, err)
	}
	if w.Rev > 0 && rev != w.Rev+1 {
		t.Fatalf("put %s %s at revision %d returned revision %d", w.Kind, w.ID, w.Rev, rev)
	}
	return rev
}

func get[T any](t testing.TB, s marketplace.Store, kind marketplace.Kind, id string) (T, int64) {
	t.Helper()
	var v T
	d, err := s.Get(t.Context(), kind, id)
	if err != nil {
		t.Fatalf("get %s %s: %v", kind, id, err)
	}
	if d.ID != id {
		t.Fatalf("get %s %s returned the document %q", kind, id, d.ID)
	}
	if d.Position != "" {
		t.Errorf("get %s %s returned the position %q; only Find has positions", kind, id, d.Position)
	}
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decode %s %s: %v", kind, id, err)
	}
	return v, d.Rev
}

func wantNote(t testing.TB, s marketplace.Store, id string, want note, rev int64) {
	t.Helper()
	if got, r := get[note](t, s, things, id); got != want || r != rev {
		t.Errorf("%s is %+v at revision %d, want %+v at revision %d", id, got, r, want, rev)
	}
}

func wantErr(t testing.TB, err, want error, what string, args ...any) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", fmt.Sprintf(what, args...), err, want)
	}
}

func find(t testing.TB, s marketplace.Store, q marketplace.Query) []marketplace.Document {
	t.Helper()
	docs, err := s.Find(t.Context(), things, q)
	if err != nil {
		t.Fatalf("find %s: %v", show(q), err)
	}
	if len(docs) > q.Limit {
		t.Fatalf("find %s: %d documents", show(q), len(docs))
	}
	return docs
}

func idsOf(docs []marketplace.Document) []string {
	ids := make([]string, 0, len(docs))
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids
}

func wantIDs(t testing.TB, s marketplace.Store, q marketplace.Query, want ...string) {
	t.Helper()
	if got := idsOf(find(t, s, q)); !slices.Equal(got, want) {
		t.Errorf("find %s\n got %q\nwant %q", show(q), got, want)
	}
}

// walk follows the pages of a query to the end.
func walk(t testing.TB, s marketplace.Store, q marketplace.Query) []string {
	t.Helper()
	var ids []string
	for {
		docs := find(t, s, q)
		ids = append(ids, idsOf(docs)...)
		if len(docs) < q.Limit {
			return ids
		}
		last := docs[len(docs)-1]
		if last.Position == "" || last.Position == q.After || len(ids) > 10*marketplace.MaxPage {
			t.Fatalf("find %s: the pages have no end; document %s has the position %q", show(q), last.ID, last.Position)
		}
		q.After = last.Position
	}
}

func show(q marketplace.Query) string {
	var b strings.Builder
	for _, c := range q.Where {
		v := any(c.Values)
		if c.Op != marketplace.In {
			v = c.Value
		}
		fmt.Fprintf(&b, "%s %s %#v, ", c.Field, c.Op, v)
	}
	fmt.Fprintf(&b, "sort %q descending %t limit %d after %q", q.Sort, q.Descending, q.Limit, q.After)
	return b.String()
}

func where(field string, op marketplace.Op, v ...any) marketplace.Condition {
	if op == marketplace.In {
		return marketplace.Condition{Field: field, Op: op, Values: v}
	}
	return marketplace.Condition{Field: field, Op: op, Value: v[0]}
}

// together runs n functions at once and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// soon is a context for what must happen within the suite's patience.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	sort.Strings(s)
	return s
}
