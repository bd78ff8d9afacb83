package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "citymarket/marketplace"
)

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
			for n := 1; ; n += KillEvery() {
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
