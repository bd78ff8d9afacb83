package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
)

// A world is a marketplace with an index and a clock of its own.
type world struct {
	*Market
	t     testing.TB
	path  string // of the database
	inner Store
	store *faulty
	index *search.Index
	o     Options
	now   atomic.Int64
}

// monday is a Monday at 06:30 UTC.
var monday = time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC)

// faulty makes one operation fail: before it is done, or after it, as when
// the answer is lost.
type faulty struct {
	Store
	mu    sync.Mutex
	calls int
	fail  int // the number of the call that fails; 0: none
	after bool
}

var errFault = errors.New("the store failed")

// call counts an operation; where it fails after it was done, only writes
// count, since all others do nothing.
func (f *faulty) call(write bool, do func() error) error {
	f.mu.Lock()
	if write || !f.after {
		f.calls++
	}
	fails := f.calls == f.fail && (write || !f.after)
	f.mu.Unlock()
	if !fails {
		return do()
	}
	if f.after {
		_ = do()
		return errors.Join(errFault, ErrUnknown)
	}
	return errFault
}

func (f *faulty) Get(ctx context.Context, kind Kind, id string) (d Document, err error) {
	err = f.call(false, func() error { d, err = f.Store.Get(ctx, kind, id); return err })
	return d, err
}

func (f *faulty) Find(ctx context.Context, kind Kind, q Query) (d []Document, err error) {
	err = f.call(false, func() error { d, err = f.Store.Find(ctx, kind, q); return err })
	return d, err
}

func (f *faulty) Put(ctx context.Context, w Write) (rev int64, err error) {
	err = f.call(true, func() error { rev, err = f.Store.Put(ctx, w); return err })
	return rev, err
}

func (f *faulty) Changes(ctx context.Context, q FeedQuery) (feed Feed, err error) {
	err = f.call(false, func() error { feed, err = f.Store.Changes(ctx, q); return err })
	return feed, err
}

// template is a database with a city, two companies and the users ada and
// kim; ada owns acme.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "citymarket-alerts")
	if err != nil {
		return "", err
	}
	store, err := sqlitestore.Open(filepath.Join(dir, "test.db"), StoreSchema())
	if err != nil {
		return "", err
	}
	defer store.Close()
	m := New(store, nil, Options{})
	m.SetClock(func() time.Time { return monday.Add(-1000 * time.Hour) })
	ctx := as(System)
	city := &City{Meta: Meta{ID: "city_oslo", Slug: "oslo"}, TimeZone: "Europe/Oslo"}
	city.Name, city.Country, city.Region = english("Oslo"), "NO", Europe
	acme := &Company{Meta: Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	acme.Name, acme.Country, acme.Region = english("Acme"), "NO", Europe
	return dir, errors.Join(
		m.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_mobility", Slug: "mobility"}, Label: english("Mobility")}),
		m.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_parking", Slug: "parking"}, Label: english("Parking"), Parent: "topic_mobility"}),
		m.AddCity(ctx, city), m.AddCompany(ctx, acme),
		m.PlaceUser(ctx, &User{Meta: Meta{ID: "user_ada"}, Name: "Ada", Email: "ada@example.org", TimeZone: "Asia/Kathmandu"}),
		m.PlaceUser(ctx, &User{Meta: Meta{ID: "user_kim"}, Name: "Kim", Email: "kim@example.org"}),
		m.PlaceInTeam(ctx, "company_acme", "user_ada", TeamRole(RoleOwner)),
		m.CatchUp(ctx))
})

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	dir, err := template()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(MemoryDir(t), "test.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return openWorld(t, path, o)
}

func openWorld(t testing.TB, path string, o Options) *world {
	t.Helper()
	store, err := sqlitestore.Open(path, StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	index, err := search.Open(filepath.Join(t.TempDir(), "index"), store, Entries(store), log)
	if err != nil {
		t.Fatal(err)
	}
	var following sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	following.Go(func() { index.Follow(ctx) })
	t.Cleanup(func() { stop(); following.Wait(); index.Close(); store.Close() })
	w := &world{t: t, path: path, inner: store, store: &faulty{Store: store}, index: index, o: o}
	w.now.Store(monday.UnixNano())
	w.restart()
	if err := index.CaughtUp(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// restart is what a new process does.
func (w *world) restart() {
	w.Market = New(w.store, w.index, w.o)
	w.SetClock(w.clock)
}

func (w *world) clock() time.Time { return time.Unix(0, w.now.Load()).UTC() }

// pass lets time pass and does what is due then.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.catchUp()
	w.now.Add(int64(d))
	w.catchUp()
}

func (w *world) catchUp() {
	w.t.Helper()
	if err := w.CatchUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

var (
	ada = Actor{User: "user_ada", Memberships: []Membership{{Member: "company_acme", Role: RoleOwner}}, Via: "session_test"}
	kim = Actor{User: "user_kim", Via: "session_test"}
)

// save saves a search of ada's.
func (w *world) save(alert AlertRate, words string, kinds ...Kind) *SavedSearch {
	w.t.Helper()
	s, err := w.SaveSearch(as(ada), SaveSearchInput{Name: words, Criteria: SearchCriteria{Text: &words, Kinds: kinds}, Alert: alert})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// publish publishes a solution of acme's.
func (w *world) publish(slug, title string) {
	w.t.Helper()
	if err := w.AddSolution(as(secretariat), w.solution(slug, title, SolutionPublished)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) solution(slug, title string, status SolutionStatus) *Solution {
	return &Solution{Meta: Meta{ID: ID("solution_" + slug), Slug: slug}, Company: "company_acme", Status: status, Title: english(title), Summary: english("It works."),
		Topics: []ID{"topic_parking"}, Maturity: "PILOTED", PriceModel: "PER_UNIT", PriceBand: "UNDER_10K"}
}

func (w *world) move(slug string, moves ...SolutionMove) {
	w.t.Helper()
	for _, move := range moves {
		if _, err := w.MoveSolution(as(secretariat), MoveSolutionInput{ID: ID("solution_" + slug), Move: move}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// told is what a user was told, oldest first: "water: pump valve" for a
// search and the slugs of its matches, "(+2)" for those that are not named.
func (w *world) told(user ID) string {
	w.t.Helper()
	page, err := w.Notifications(as(Actor{User: user}), nil, Slice{First: new(100)})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, n := range page.Nodes() {
		if n.Kind != NotifyMatch {
			continue
		}
		var names []string
		for _, id := range n.Matches {
			_, name, _ := strings.Cut(string(id), "_")
			names = append(names, name)
		}
		slices.Sort(names)
		s := n.Note + ": " + strings.Join(names, " ")
		if more := n.Count - len(n.Matches); more != 0 {
			s += fmt.Sprintf(" (%+d)", more)
		}
		out = append(out, s)
	}
	slices.Reverse(out)
	return strings.Join(out, "; ")
}

func (w *world) newCount(id ID) int {
	w.t.Helper()
	s, err := w.SavedSearch(as(ada), id)
	if err != nil {
		w.t.Fatal(err)
	}
	n, err := w.NewCount(as(ada), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// finish does what is due, with a new process after each failure, then lets
// time pass.
func (w *world) finish(d time.Duration) {
	for range 3 {
		if w.CatchUp(w.t.Context()) == nil {
			break
		}
		w.restart()
	}
	w.now.Add(int64(d))
}

// arm makes the nth operation from now on fail; disarm says whether it came to that.
func (f *faulty) arm(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.fail, f.after = 0, n, after
}

func (f *faulty) disarm() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.fail = 0 }()
	return f.calls >= f.fail
}
