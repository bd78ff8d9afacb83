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
	path := filepath.Join(t.TempDir(), "test.db")
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

// What is told of a saved search with an instant alert.
func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		told string
	}{
		"what is published": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
		}, "water: pump"},
		"not what was there": {func(w *world) {
			w.publish("pump", "Water pump")
			w.save(AlertInstant, "water")
			w.publish("valve", "Water valve")
		}, "water: valve"},
		"in one word what comes together": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			w.publish("valve", "Water valve")
		}, "water: pump valve"},
		"what has all words, in any form": {func(w *world) {
			w.save(AlertInstant, "water sensor")
			w.publish("pump", "Water pump")
			w.publish("probe", "Sensors in your waters")
		}, "water sensor: probe"},
		"what has most words of a sentence": {func(w *world) {
			w.save(AlertInstant, "smart water sensors for dry gardens")
			w.publish("pump", "Water pump")
			w.publish("probe", "Smart water sensors in gardens")
		}, "smart water sensors for dry gardens: probe"},
		"only the kinds that are wanted": {func(w *world) {
			w.save(AlertInstant, "water", KindProposal, KindCompany)
			w.publish("pump", "Water pump")
			c := &Company{Meta: Meta{ID: "company_flow", Slug: "flow"}, Size: "SME", ContactPolicy: "ANYONE"}
			c.Name, c.Country, c.Region = english("Water works"), "NO", Europe
			must(t, w.AddCompany(as(System), c))
			r := &Proposal{Meta: Meta{ID: "proposal_need", Slug: "need"}, City: "city_oslo", Stage: "NEED", Funding: "NONE", Title: english("Less water"), Problem: english("It floods."), Topics: []ID{"topic_mobility"}}
			must(t, w.AddProposal(as(oslo), r))
			_, err := w.MoveProposal(as(oslo), MoveProposalInput{ID: r.ID, Move: "PUBLISH"})
			must(t, err)
		}, "water: flow need"},
		"only what the filter lets through": {func(w *world) {
			_, err := w.SaveSearch(as(ada), SaveSearchInput{Name: "free", Alert: AlertInstant, Criteria: SearchCriteria{Filter: &SearchFilter{PriceBands: []PriceBand{"FREE"}, Topics: []ID{"topic_mobility"}}}})
			must(t, err)
			w.publish("pump", "Water pump")
			s := w.solution("gift", "Gift", SolutionPublished)
			s.PriceBand = "FREE"
			must(t, w.AddSolution(as(secretariat), s))
		}, "free: gift"},
		"a draft once it is published": {func(w *world) {
			w.save(AlertInstant, "water")
			must(t, w.AddSolution(as(ada), w.solution("pump", "Water pump", SolutionDraft)))
			w.pass(time.Minute)
			if told := w.told("user_ada"); told != "" {
				t.Errorf("of a draft: %s", told)
			}
			w.move("pump", "SUBMIT", "APPROVE")
		}, "water: pump"},
		"not what is withdrawn at once": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			w.move("pump", "ARCHIVE")
		}, ""},
		"what is withdrawn, and published again days later": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			w.move("pump", "REVISE")
			w.pass(72 * time.Hour)
			w.move("pump", "SUBMIT", "APPROVE")
		}, "water: pump"},
		"what comes to match": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Air pump")
			w.pass(72 * time.Hour)
			_, err := w.EditSolution(as(ada), EditSolutionInput{ID: "solution_pump", Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Water pump"}}}})
			must(t, err)
		}, "water: pump"},
		"once, whatever becomes of it": {func(w *world) {
			w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			w.pass(time.Minute)
			w.move("pump", "REVISE", "SUBMIT", "APPROVE")
			w.pass(time.Hour)
			_, err := w.EditSolution(as(ada), EditSolutionInput{ID: "solution_pump", Content: Patch{"trl": 7}})
			must(t, err)
		}, "water: pump"},
		"what a process published whose clock is late": {func(w *world) {
			w.save(AlertInstant, "water")
			w.now.Add(-int64(50 * time.Minute))
			w.publish("pump", "Water pump")
			w.now.Add(int64(50 * time.Minute))
		}, "water: pump"},
		"nothing of what was looked at": {func(w *world) {
			s := w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			_, err := w.MarkSavedSearchSeen(as(ada), s.ID)
			must(t, err)
			w.publish("valve", "Water valve")
		}, "water: valve"},
		"what other words find that is new from then on": {func(w *world) {
			s := w.save(AlertInstant, "water")
			w.publish("fan", "Air fan")
			_, err := w.EditSavedSearch(as(ada), EditSavedSearchInput{ID: s.ID, Criteria: &SearchCriteria{Text: new("air")}})
			must(t, err)
			w.publish("pump", "Air pump")
		}, "water: pump"},
		"nothing of a search that was deleted": {func(w *world) {
			s := w.save(AlertInstant, "water")
			w.publish("pump", "Water pump")
			must(t, w.DeleteSavedSearch(as(ada), s.ID, nil))
		}, ""},
		"nothing without an alert": {func(w *world) {
			s := w.save(AlertNone, "water")
			w.publish("pump", "Water pump")
			w.pass(time.Hour)
			if n := w.newCount(s.ID); n != 1 {
				t.Errorf("%d are new", n)
			}
			_, err := w.MarkSavedSearchSeen(as(ada), s.ID)
			must(t, err)
			if n := w.newCount(s.ID); n != 0 {
				t.Errorf("%d are new after a look", n)
			}
		}, ""},
		"who is suspended when they are back": {func(w *world) {
			w.save(AlertInstant, "water")
			_, err := w.SuspendUser(as(System), SuspendUserInput{ID: "user_ada", Suspended: true})
			must(t, err)
			w.publish("pump", "Water pump")
			w.pass(time.Hour)
			if told := w.told("user_ada"); told != "" {
				t.Errorf("while suspended: %s", told)
			}
			_, err = w.SuspendUser(as(System), SuspendUserInput{ID: "user_ada"})
			must(t, err)
			w.publish("valve", "Water valve")
		}, "water: pump valve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			c.do(w)
			w.pass(time.Minute)
			w.pass(time.Hour)
			if told := w.told("user_ada"); told != c.told {
				t.Errorf("told %q, want %q", told, c.told)
			}
			if told := w.told("user_kim"); told != "" {
				t.Errorf("somebody else was told %q", told)
			}
		})
	}
}

// Daily and weekly alerts come at 8 where the user is, with everything since
// the last one, and not where there is nothing.
func TestDailyAndWeeklyAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.save(AlertDaily, "water")
	s := w.save(AlertWeekly, "pump")
	// It is Monday, 12:15 in Kathmandu.
	w.publish("a", "Water pump")
	w.pass(19 * time.Hour) // Tuesday 07:15
	if told := w.told("user_ada"); told != "" {
		t.Errorf("too early: %s", told)
	}
	w.publish("b", "Water valve")
	w.pass(45 * time.Minute) // 08:00
	w.pass(48 * time.Hour)   // nothing new on Wednesday and Thursday
	w.publish("c", "Water hose")
	w.restart()
	w.pass(72 * time.Hour) // Sunday: the server stood still for two mornings
	if told, want := w.told("user_ada"), "water: a b; water: c"; told != want {
		t.Errorf("told %q, want %q", told, want)
	}
	w.pass(24 * time.Hour) // Monday 08:00
	if told, want := w.told("user_ada"), "water: a b; water: c; pump: a"; told != want {
		t.Errorf("told %q, want %q", told, want)
	}
	// Who moves is told by the new clock.
	_, err := w.EditUser(as(ada), EditUserInput{Content: Patch{"timeZone": "America/Lima"}})
	must(t, err)
	w.catchUp()
	got, err := w.SavedSearch(as(ada), s.ID)
	must(t, err)
	if at := got.NextAlertAt(); at == nil || !at.Equal(time.Date(2026, 3, 9, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("next alert %v", at)
	}
}

func TestHourOfAlerts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rate, zone, now, next string }{
		{"DAILY", "", "2026-03-02T07:59:59Z", "2026-03-02T08:00:00Z"},
		{"DAILY", "", "2026-03-02T08:00:00Z", "2026-03-03T08:00:00Z"},
		{"DAILY", "No/Where", "2026-03-02T09:00:00Z", "2026-03-03T08:00:00Z"},
		{"DAILY", "Asia/Kathmandu", "2026-03-02T02:14:00Z", "2026-03-02T02:15:00Z"},
		{"DAILY", "Asia/Kathmandu", "2026-03-02T02:15:00Z", "2026-03-03T02:15:00Z"},
		{"WEEKLY", "Asia/Kathmandu", "2026-03-02T02:15:00Z", "2026-03-09T02:15:00Z"},
		{"WEEKLY", "Asia/Kathmandu", "2026-03-01T23:00:00Z", "2026-03-02T02:15:00Z"}, // Sunday in London
		{"WEEKLY", "America/Los_Angeles", "2026-03-02T07:00:00Z", "2026-03-02T16:00:00Z"},
		{"DAILY", "Europe/Oslo", "2026-03-28T12:00:00Z", "2026-03-29T06:00:00Z"}, // summer time begins
		{"DAILY", "Europe/Oslo", "2026-10-24T12:00:00Z", "2026-10-25T07:00:00Z"}, // and ends
		{"WEEKLY", "Pacific/Kiritimati", "2026-12-27T17:00:00Z", "2026-12-27T18:00:00Z"},
		{"DAILY", "Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-30T18:00:00Z"}, // a day that never was
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		if got := NextAlert(AlertRate(c.rate), now, c.zone).Format(time.RFC3339); got != c.next {
			t.Errorf("%s in %q after %s: %s, want %s", c.rate, c.zone, c.now, got, c.next)
		}
	}
}

// Whichever operation of the store fails, before it is done or after, and the
// server starts anew: everything is told once.
func TestAlertsAreToldExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.save(AlertInstant, "water")
			w.save(AlertDaily, "air")
			w.pass(time.Hour)
			for n := 1; ; n++ {
				tag := fmt.Sprint(n)
				w.publish("pump"+tag, "Water pump")
				w.publish("valve"+tag, "Valve for air and water")
				w.publish("fan"+tag, "Air fan")
				w.store.arm(n, after)
				w.finish(24 * time.Hour)
				w.finish(0)
				reached := w.store.disarm()
				w.catchUp()
				told := slices.DeleteFunc(strings.Split(w.told("user_ada"), "; "), func(s string) bool { return !strings.Contains(s, "valve"+tag) })
				slices.Sort(told)
				if got, want := strings.Join(told, "; "), fmt.Sprintf("air: fan%[1]s valve%[1]s; water: pump%[1]s valve%[1]s", tag); got != want {
					t.Fatalf("operation %d failed: told %q, want %q", n, got, want)
				}
				if !reached {
					if n < 15 {
						t.Errorf("only %d operations", n)
					}
					return
				}
			}
		})
	}
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

// A bulk of matches is told as a number with the newest of them, and what is
// known of it does not grow without end.
func TestManyMatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := w.save(AlertInstant, "water")
	for i := range 620 {
		if i%4 == 0 {
			w.now.Add(int64(time.Second))
		}
		w.publish(fmt.Sprintf("p%03d", i), "Water pump")
	}
	w.pass(time.Minute)
	if told := w.told("user_ada"); strings.Count(told, ":") != 1 || !strings.HasSuffix(told, "p618 p619 (+570)") {
		t.Errorf("told %q", told)
	}
	got, err := w.SavedSearch(as(ada), s.ID)
	must(t, err)
	if n := len(got.Known); n > 500 || n < 400 {
		t.Errorf("%d are known", n)
	}
	w.publish("last", "Water pump")
	w.pass(time.Minute)
	w.pass(time.Minute)
	if told := w.told("user_ada"); strings.Count(told, ":") != 2 || !strings.HasSuffix(told, "; water: last") {
		t.Errorf("told %q", told)
	}
	w.pass(31 * 24 * time.Hour)
	w.publish("later", "Water pump")
	w.pass(time.Minute)
	if got, err = w.SavedSearch(as(ada), s.ID); err != nil || len(got.Known) != 1 {
		t.Errorf("%d are known a month later: %v", len(got.Known), err)
	}
}

func TestSavedSearchesArePrivateAndBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := w.save(AlertDaily, "water")
	for name, ctx := range map[string]context.Context{"another user": as(kim), "the secretariat": as(secretariat), "a visitor": as(visitor)} {
		if _, err := w.SavedSearch(ctx, s.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s sees it: %v", name, err)
		}
		if _, err := w.EditSavedSearch(ctx, EditSavedSearchInput{ID: s.ID, Name: new("mine")}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s edits it: %v", name, err)
		}
		if err := w.DeleteSavedSearch(ctx, s.ID, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s deletes it: %v", name, err)
		}
	}
	if _, err := w.SaveSearch(as(visitor), SaveSearchInput{Name: "x", Alert: AlertNone}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a visitor saved a search: %v", err)
	}
	for _, in := range []SaveSearchInput{
		{Name: "", Alert: AlertNone},
		{Name: "x", Alert: "HOURLY"},
		{Name: "x", Alert: AlertNone, Criteria: SearchCriteria{Text: new(strings.Repeat("a", 1001))}},
		{Name: "x", Alert: AlertNone, Criteria: SearchCriteria{Kinds: []Kind{"user"}}},
		{Name: "x", Alert: AlertNone, Criteria: SearchCriteria{Filter: &SearchFilter{Budget: &BudgetFilter{Currency: "dollars"}}}},
		{Name: "x", Alert: AlertNone, Criteria: SearchCriteria{Filter: &SearchFilter{Topics: []ID{ID(strings.Repeat("t", 20_000))}}}},
	} {
		if _, err := w.SaveSearch(as(ada), in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.80v: %v", in, err)
		}
	}
	for range 49 {
		w.save(AlertNone, "more")
	}
	if _, err := w.SaveSearch(as(ada), SaveSearchInput{Name: "one more", Alert: AlertNone}); !errors.Is(err, ErrInvalid) {
		t.Errorf("the 51st: %v", err)
	}
	a, err := w.SaveSearch(as(kim), SaveSearchInput{Name: "x", Alert: AlertNone, Key: new("k")})
	must(t, err)
	b, err := w.SaveSearch(as(kim), SaveSearchInput{Name: "x", Alert: AlertNone, Key: new("k")})
	must(t, err)
	if a.ID != b.ID {
		t.Error("the same key saved two searches")
	}
}

// A round of instant alerts over 1,000 saved searches of 20 users, among 2,000
// solutions, one having been published that none of them looks for: where a
// search knows no match of the last month, and where it knows 400 that
// were published some hours ago.
func BenchmarkRound(b *testing.B) {
	for name, ago := range map[string]time.Duration{"fresh": 2 * time.Hour, "known": 0} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, Options{})
			for i := range 2000 {
				w.publish(fmt.Sprintf("old%d", i), []string{"Water pump", "Sensors in the kerb", "Smart street lighting", "Flood warning", "Bus"}[i%5])
			}
			w.pass(ago)
			for u := range 20 {
				id := ID(fmt.Sprintf("user_u%d", u))
				if err := w.PlaceUser(as(System), &User{Meta: Meta{ID: id}, Name: "U", Email: fmt.Sprintf("u%d@example.org", u)}); err != nil {
					b.Fatal(err)
				}
				for i := range 50 {
					words := []string{"water pump", "kerb sensors", "smart street lighting", "flood warning", "bicycle"}[i%5]
					if _, err := w.SaveSearch(as(Actor{User: id}), SaveSearchInput{Name: words, Criteria: SearchCriteria{Text: &words}, Alert: AlertInstant}); err != nil {
						b.Fatal(err)
					}
				}
			}
			w.pass(3 * time.Hour)
			w.publish("warm", "Tree census")
			w.pass(time.Minute)
			n := 0
			for b.Loop() {
				b.StopTimer()
				w.publish(fmt.Sprintf("new%d", n), "Tree census")
				n++
				w.catchUp()
				w.now.Add(int64(time.Minute))
				b.StartTimer()
				w.catchUp()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/1000, "us/search")
		})
	}
}
