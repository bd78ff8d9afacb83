package marketplace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace/timetable"
)

func TestATimetableFromWishesToMeetings(t *testing.T) {
	t.Parallel()
	h := newHall(t, 4, 4, nil)
	for i := range 4 {
		h.wish(fmt.Sprintf("c%d", i+1), fmt.Sprintf("k%d ?k%d", i+1, (i+1)%4+1))
		h.wish(fmt.Sprintf("k%d", i+1), fmt.Sprintf("?c%d", i+1))
	}
	h.phase(EventStartDrafting)
	r := h.run(RunNew)
	o := r.Outcome
	if o.Meetings != 8 || o.Musts != 4 || o.MustsPlaced != 4 || o.Wants != 4 || o.WantsPlaced != 4 || o.Unplaced != 0 || len(o.Objectives) < 5 {
		t.Fatalf("%+v", o)
	}
	for _, x := range o.Objectives {
		if !x.IsBest() {
			t.Errorf("%s is %d of %d", x.Goal, x.Value, x.Bound)
		}
	}
	h.use(r)
	x := h.publish()
	if x.Status != PublicationDone || x.Meetings != 8 || x.New != 8 || len(x.Gaps) > 0 {
		t.Fatalf("%+v", x)
	}
	if n := len(h.agenda()); n != 8 {
		t.Errorf("%d meetings", n)
	}
	same(t, "told", h.told(), []string{"c1 2 2 0 0", "c2 2 2 0 0", "c3 2 2 0 0", "c4 2 2 0 0", "k1 2 2 0 0", "k2 2 2 0 0", "k3 2 2 0 0", "k4 2 2 0 0"})
	if e, err := h.Event(h.officer(), h.event); err != nil || e.Phase != EventPublished {
		t.Errorf("%v %v", e.Phase, err)
	}

	// One meeting is moved: two are told.
	moved := h.draft()[0]
	free := slices.IndexFunc([]int{1, 2, 3, 4, 5, 6}, func(n int) bool {
		return !h.slot(n).Equal(moved.Slot) && h.moveTo(shortName(moved.A), shortName(moved.B), n, "") == nil
	})
	if free < 0 {
		t.Fatal("nowhere to move it")
	}
	x = h.publish()
	if x.New != 0 || x.Moved != 1 || x.Cancelled != 0 || x.Meetings != 8 {
		t.Fatalf("%+v", x)
	}
	want := []string{shortName(moved.A) + " 2 0 1 0", shortName(moved.B) + " 2 0 1 0"}
	same(t, "told of the move", h.told(), want)

	// The same once more: nobody is told.
	if x = h.publish(); x.New+x.Moved+x.Cancelled != 0 {
		t.Errorf("%+v", x)
	}
	same(t, "told of nothing", h.told(), nil)
}

// Nobody but its own people learns whom a participant never wants to meet:
// not by runs, what they say of what has no place, drafts, or fingerprints.
func TestWhomSomebodyNeverMeetsShowsNowhere(t *testing.T) {
	t.Parallel()
	told := func(never bool) (out []string) {
		// One slot and one table more than are needed: there is room for all.
		h := newHall(t, 2, 2, nil)
		h.wish("c1", "k1 k2")
		h.wish("c2", "k1")
		if never {
			h.wish("k1", "!c1")
		} else {
			h.wish("k1", "")
		}
		h.phase(EventStartDrafting)
		r := h.run(RunNew)
		list, err := h.RunUnplaced(h.officer(), r, ListSlice{})
		h.must(err)
		for _, u := range list.Nodes {
			s, err := h.ReasonSentence(h.officer(), u.ToldReason())
			h.must(err)
			out = append(out, s)
		}
		out = append(out, strconv.Itoa(r.Outcome.Musts), r.Fingerprint)
		if never {
			if n := r.Outcome.MustsPlaced; n != 2 {
				t.Errorf("%d meetings", n)
			}
			h.use(r)
			err := h.add("c1", "k1", 6, "T3")
			if complains(err) != "b NOT_POSSIBLE" || strings.Contains(err.Error(), "K1") || strings.Contains(err.Error(), "never") {
				t.Errorf("by hand: %v", err)
			}
			// Also where the secretariat insists.
			_, err = h.SetPairing(h.officer(), SetPairingInput{Event: h.event, A: "city_c1", B: "company_k1", Level: PairLocked})
			h.must(err)
			if r := h.run(RunNew); r.Outcome.Meetings != 2 {
				t.Errorf("%+v", r.Outcome)
			}
		}
		return out
	}
	with, without := told(true), told(false)
	if len(with) != 3 || !strings.HasPrefix(with[0], "In the slots that C1 and K1 have in common (6)") {
		t.Errorf("%q", with)
	}
	if len(without) != 2 || with[2] == "" {
		t.Errorf("%q", without)
	}
	if with[1] != without[0] {
		t.Errorf("wishes that are asked for: %s and %s", with[1], without[0])
	}
	if with[2] != without[1] {
		t.Error("the fingerprint depends on it")
	}
}

func TestADraftIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3, 3, Patch{"maximum": 2, "tables": []any{map[string]any{"name": "T1"}, map[string]any{"name": "T2"}, map[string]any{"name": "K3", "member": "company_k3"}},
		"sessions": []any{map[string]any{"kind": "PLENARY", "title": en("Opening"), "start": "2026-03-09T09:00", "end": "2026-03-09T09:20", "blocksMeetings": true},
			map[string]any{"kind": "CITY_PITCH", "title": en("Pitch"), "start": "2026-03-09T10:40", "end": "2026-03-09T11:00", "members": []any{"city_c3"}}}})
	h.phase(EventStartDrafting)
	says := func(err error, want string) {
		t.Helper()
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	says(h.add("c1", "k1", 2, "T1"), "<nil>")
	says(h.add("c1", "k1", 3, "T1"), "b: these two have a meeting already")
	says(h.add("c1", "k2", 2, "T2"), "slot: C1 has nobody else who is free then: it meets K1")
	says(h.add("c2", "k2", 2, "T1"), "table: this table is taken then by C1 and K1")
	says(h.add("c2", "k2", 1, "T1"), "slot: a session blocks this slot")
	says(h.add("c2", "k2", 9, "T1"), "slot: no slot of the event begins then")
	says(h.add("c2", "k2", 2, "T9"), "table: the event has no table of that name")
	says(h.add("c2", "k2", 2, "K3"), "table: this table is for the meetings of K3")
	says(h.add("c2", "k3", 2, "T2"), "table: K3 meets at a table of its own")
	says(h.add("c3", "k2", 6, "T2"), "slot: C3 has nobody who is free then")
	says(h.add("c1", "c2", 3, "T2"), "b: neither of the two may ask the other for a meeting by the rules of the event")
	says(h.add("c2", "k3", 2, ""), "<nil>") // at its own table
	says(h.add("c1", "k2", 3, ""), "<nil>")
	says(h.add("c1", "k3", 4, ""), "b: C1 has the 2 meetings that it wants at the most")
	_, err := h.AddPlacement(h.officer(), PlaceInput{Event: h.event, A: "company_k3", B: "city_c1", Slot: h.slot(4), Allow: []ConflictCode{ConflictMaximum}})
	says(err, "<nil>")
	says(h.moveTo("c1", "k1", 3, ""), "slot: C1 has nobody else who is free then: it meets K2")
	says(h.moveTo("c1", "k1", 5, "T2"), "<nil>")
	_, err = h.SwapPlacements(h.officer(), SwapPlacementsInput{Event: h.event, A: "city_c1", B: "company_k1", OtherA: "city_c1", OtherB: "company_k2"})
	says(err, "<nil>")
	d, err := h.LockPlacement(h.officer(), DraftPairInput{Event: h.event, A: "city_c1", B: "company_k1"}, true)
	h.must(err)
	var got []string
	for _, p := range d.Placements.list() {
		got = append(got, fmt.Sprintf("%d %s-%s %s %v", int(p.Slot.Sub(hallDay)/(20*time.Minute))+1, shortName(p.A), shortName(p.B), p.Table, p.IsLocked))
	}
	same(t, "draft", got, []string{"2 c2-k3 K3 false", "3 c1-k1 T1 true", "4 c1-k3 K3 false", "5 c1-k2 T2 false"})
	if _, err := h.RemovePlacement(h.officer(), DraftPairInput{Event: h.event, Version: new(1), A: "city_c1", B: "company_k1"}); !errors.Is(err, ErrStale) {
		t.Errorf("an old version: %v", err)
	}
	before := h.draft()
	_, err = h.RemovePlacement(h.officer(), DraftPairInput{Event: h.event, A: "city_c1", B: "company_k1"})
	h.must(err)
	if _, err = h.UndoDraft(h.officer(), h.event, nil); err != nil || !slices.Equal(h.draft(), before) {
		t.Errorf("undone: %v", err)
	}
	if _, err := h.DraftOf(h.of("c1"), h.event); !errors.Is(err, ErrNotFound) {
		t.Errorf("a participant sees the draft: %v", err)
	}
	if _, err := h.RemovePlacement(h.of("c1"), DraftPairInput{Event: h.event, A: "city_c1", B: "company_k1"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a participant changes the draft: %v", err)
	}
}

func TestRunsGoOnFromTheDraft(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3, 3, nil)
	h.wish("c1", "k1 k2 k3")
	h.wish("c2", "k1 k2 k3")
	h.phase(EventStartDrafting)
	first := h.run(RunNew)
	h.use(first)
	if r := h.run(RunAroundLocked); !slices.Equal(h.placements(r), h.placements(first)) {
		t.Errorf("nothing changed, and the timetable did: %v, %v", h.placements(first), h.placements(r))
	}
	p := h.draft()[0]
	_, err := h.RemovePlacement(h.officer(), DraftPairInput{Event: h.event, A: p.A, B: p.B})
	h.must(err)
	rest := h.draft()
	r := h.run(RunOnlyUnbooked)
	list := h.placements(r)
	for _, q := range rest {
		if !slices.ContainsFunc(list, func(o Placement) bool { return o.pair() == q.pair() && o.Slot.Equal(q.Slot) && o.Table == q.Table }) {
			t.Errorf("%v did not stay", q)
		}
	}
	if len(list) != 6 {
		t.Errorf("%d meetings", len(list))
	}
	if out, err := h.IsOutdated(h.officer(), r); err != nil || out {
		t.Errorf("outdated: %v %v", out, err)
	}
	_, err = h.SetPairing(h.officer(), SetPairingInput{Event: h.event, A: "city_c3", B: "company_k3", Level: PairLocked, Slot: h.slot(2), Table: new("T2")})
	h.must(err)
	if out, err := h.IsOutdated(h.officer(), r); err != nil || !out {
		t.Errorf("outdated: %v %v", out, err)
	}
	r = h.run(RunNew)
	if !slices.ContainsFunc(h.placements(r), func(p Placement) bool {
		return p.A == "city_c3" && p.Slot.Equal(*h.slot(2)) && p.Table == "T2" && p.IsLocked
	}) {
		t.Errorf("what is locked: %v", h.placements(r))
	}
	d, err := h.RunDifference(h.officer(), first.ID, r.ID)
	h.must(err)
	if len(d.Added) != 1 || d.Added[0].A != "city_c3" || len(d.Removed) != 0 {
		t.Errorf("%+v", d)
	}
}

func (h *hall) placements(r *Run) []Placement {
	h.t.Helper()
	x, err := h.timetableOf(h.officer(), r)
	h.must(err)
	return x.Placements.list()
}

func TestWhatHasNoPlaceIsExplained(t *testing.T) {
	t.Parallel()
	says := func(h *hall, want ...string) {
		t.Helper()
		h.phase(EventStartDrafting)
		r := h.run(RunNew)
		list, err := h.RunUnplaced(h.officer(), r, ListSlice{})
		h.must(err)
		var got []string
		for _, u := range list.Nodes {
			s, err := h.ReasonSentence(h.officer(), u.ToldReason())
			h.must(err)
			fix, err := h.RemedySentence(h.officer(), u.ToldReason())
			h.must(err)
			if s += " " + text(fix); !slices.Contains(got, s) {
				got = append(got, s)
			}
		}
		same(t, "explained", got, want)
	}
	all := "k1 k2 k3 k4 k5 k6 k7 k8"
	h := newHall(t, 1, 8, nil)
	h.wish("c1", all)
	says(h, "C1 has wishes for 8 meetings, and free slots for 6. More free slots would help: 2.")

	h = newHall(t, 1, 8, Patch{"maximum": 3})
	h.wish("c1", all)
	says(h, "C1 has as many meetings as it may have (3); 8 are asked for. A higher maximum for C1 would help: 1 more.")

	h = newHall(t, 4, 4, Patch{"tables": []any{map[string]any{"name": "T1"}}})
	for i := range 4 {
		h.wish(fmt.Sprintf("c%d", i+1), "k1 k2")
	}
	says(h, "Meetings asked for: 8; places at tables: 6. More tables would help: 1.")

	h = newHall(t, 1, 1, nil)
	for name, free := range map[string][2]string{"c1": {"2026-03-09T09:00", "2026-03-09T10:00"}, "k1": {"2026-03-09T10:00", "2026-03-09T11:00"}} {
		_, err := h.EditRegistration(h.of(name), EditRegistrationInput{ID: registrationID(h.event, memberNamed(name)),
			Content: Patch{"delegates": []any{map[string]any{"user": "user_" + name, "free": []any{map[string]any{"from": free[0], "until": free[1]}}}}}})
		h.must(err)
	}
	h.wish("c1", "k1")
	says(h, "C1 and K1 have no free slot in common. A slot in which both are free would help.")
}

// A run that is cancelled makes nothing, and one whose server was stopped is
// begun again, three times at the most.
func TestRunsAreCancelledAndBegunAgain(t *testing.T) {
	t.Parallel()
	h := newHall(t, 1, 1, nil)
	h.wish("c1", "k1")
	start := func() *Run {
		r, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: RunNew, Seconds: new(20)})
		h.must(err)
		return r
	}
	r := start()
	if _, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: RunNew}); complains(err) != "event TAKEN" {
		t.Errorf("two at once: %v", err)
	}
	if _, err := h.CancelRun(h.of("c1"), r.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a participant cancels: %v", err)
	}
	_, err := h.CancelRun(h.officer(), r.ID)
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	if r, err = h.Run(h.officer(), r.ID); err != nil || r.Status != RunCancelled || r.Outcome != nil {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := h.UseRun(h.officer(), UseRunInput{Run: r.ID}); complains(err) != "run INVALID" {
		t.Errorf("used: %v", err)
	}
	r = start()
	for range 2 { // the server is stopped as soon as it has begun
		ctx, stop := context.WithCancel(asWorker(context.Background()))
		stop()
		r, err = h.moveRun(asWorker(context.Background()), r.ID, "BEGIN", func(r *Run) { r.Attempts++ })
		h.must(err)
		if _, err := h.solve(ctx, r, &posing{Problem: &timetable.Problem{}}, 0); err == nil {
			t.Error("solved by a server that was stopped")
		}
	}
	h.must(h.CatchUp(context.Background()))
	if r, err = h.Run(h.officer(), r.ID); err != nil || r.Status != RunDone || r.Attempts != 3 || r.Outcome.Meetings != 1 {
		t.Errorf("%+v %v", r, err)
	}
	r = start()
	_, err = h.moveRun(asWorker(context.Background()), r.ID, "BEGIN", func(r *Run) { r.Attempts = maxAttempts })
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	if r, err = h.Run(h.officer(), r.ID); err != nil || r.Status != RunFailed || r.Failure != RunStopped {
		t.Errorf("%+v %v", r, err)
	}
}

func TestTheProgressOfARunIsTold(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	h.wish("c1", "k1 k2")
	r, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: RunNew, Seconds: new(20)})
	h.must(err)
	var seen []RunStatus
	var working sync.WaitGroup
	defer working.Wait()
	for at, err := range h.RunProgress(h.officer(), r.ID) {
		h.must(err)
		if seen = append(seen, at.Status); len(seen) == 1 {
			working.Go(func() { _ = h.CatchUp(context.Background()) })
		}
	}
	if seen[0] != RunQueued || seen[len(seen)-1] != RunDone {
		t.Errorf("%v", seen)
	}
	for _, err := range h.RunProgress(h.of("c1"), r.ID) {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("a participant: %v", err)
		}
	}
}

// What is booked while a timetable is published stays, whoever is faster.
func TestNobodyIsDoubleBookedByAPublication(t *testing.T) {
	t.Parallel()
	h := newHall(t, 4, 4, nil)
	for i := range 4 {
		h.wish(fmt.Sprintf("c%d", i+1), "k1 k2 k3 k4")
	}
	h.phase(EventStartDrafting)
	h.use(h.run(RunNew))
	// Each company is asked for a meeting on demand, in the time of the event.
	var asked []ID
	for i := range 4 {
		x, err := h.RequestMeeting(h.of(fmt.Sprintf("c%d", i+1)), RequestMeetingInput{From: memberNamed(fmt.Sprintf("c%d", i+1)), To: memberNamed(fmt.Sprintf("k%d", i+1)),
			Content: Patch{"message": en("Now."), "minutes": 30, "format": "ONLINE", "link": "https://meet.example/1", "times": []time.Time{hallDay.Add(30 * time.Minute)}}})
		h.must(err)
		asked = append(asked, x.ID)
	}
	_, err := h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
	h.must(err)
	var group sync.WaitGroup
	for i, id := range asked {
		group.Go(func() {
			_, _ = h.AcceptMeeting(h.of(fmt.Sprintf("k%d", i+1)), AcceptMeetingInput{ID: id, Time: hallDay.Add(30 * time.Minute)})
		})
	}
	group.Go(func() { _ = h.CatchUp(context.Background()) })
	group.Wait()
	h.must(h.CatchUp(context.Background()))
	h.nobodyTwice()
	x, err := h.LatestPublication(h.officer(), h.event)
	h.must(err)
	booked := 0
	for _, id := range asked {
		if x, err := h.Meeting(h.officer(), id); err == nil && x.isBooked() {
			booked++
		}
	}
	if x.Meetings+len(x.Gaps) != 12+4 || booked > 0 && len(x.Gaps) == 0 {
		t.Errorf("%d meetings, %d gaps, %d on demand", x.Meetings, len(x.Gaps), booked)
	}
	for _, g := range x.Gaps {
		if g.Code != GapPersonTaken || g.Who == "" {
			t.Errorf("%+v", g)
		}
	}
}

// nobodyTwice fails where a person or a table is in two meetings at once.
func (h *hall) nobodyTwice() {
	h.t.Helper()
	at := map[string]ID{}
	h.must(h.each(asWorker(context.Background()), KindMeeting, Query{Where: []Condition{{Field: "status", Op: In, Values: values(bookedMeetings)}}, Sort: "startsAt", Limit: 100}, func(doc entity) {
		x := doc.(*Meeting)
		if !x.isBooked() {
			return // on its way
		}
		for _, who := range append(x.personKeys(), "table "+x.Table) {
			if who == "table " {
				continue
			}
			for t := *x.At; t.Before(x.end()); t = t.Add(5 * time.Minute) {
				key := who + t.String()
				if other, ok := at[key]; ok {
					h.t.Errorf("%s is in %s and %s at %v", who, other, x.ID, t)
				}
				at[key] = x.ID
			}
		}
	}))
}

// Wherever the server is killed while it publishes, every meeting is there
// once in the end, and everybody was told once: also when meetings change
// places with one another.
func TestAPublicationSurvivesTheServer(t *testing.T) {
	t.Parallel()
	survives(t, (*hall).ring, func(h *hall, n int) {
		h.nobodyTwice()
		h.must(h.CatchUp(context.Background()))
		h.holdsWhatIsSaid()
		same(t, fmt.Sprint("killed at ", n), h.agenda(), []string{"1 c1-k2 T1", "1 c2-k1 T2", "2 c1-k1 T1", "5 c2-k2 T3"})
		same(t, fmt.Sprint("told, killed at ", n), h.told(), []string{"c1 2 0 2 0", "c2 2 0 2 0", "k1 2 0 2 0", "k2 2 0 2 0"})
	})
}

// ring publishes a timetable that lets meetings change places in a ring, one
// go, and one be new.
func (h *hall) ring() {
	h.t.Helper()
	h.furnish(2, 2, nil)
	h.phase(EventStartDrafting)
	for i, p := range []string{"c1 k1", "c1 k2", "c2 k1", "c2 k2"} {
		a, b, _ := strings.Cut(p, " ")
		h.must(h.add(a, b, []int{1, 2, 2, 1}[i], ""))
	}
	h.publish()
	same(h.t, "before", h.agenda(), []string{"1 c1-k1 T1", "1 c2-k2 T2", "2 c1-k2 T1", "2 c2-k1 T2"})
	h.told()
	// They change places in a ring, one goes, and one is new.
	d, err := get[*Draft](h.officer(), h.Market, draftID(h.event))
	h.must(err)
	list := d.Placements.list()
	for i := range list {
		list[i].Slot = *h.slot(3 - int(list[i].Slot.Sub(hallDay)/(20*time.Minute)) - 1)
	}
	_, err = update(asWorker(context.Background()), h.Market, MayKeepTimetables, d.ID, 0, func(d *Draft) error { d.Placements = packed(list); return nil })
	h.must(err)
	h.must(h.moveTo("c2", "k2", 5, "T3"))
	_, err = h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
	h.must(err)
}

// What was on its way when the server was killed, and whose time has come when
// it is there again, is where it was, or is cancelled.
func TestNothingStaysOnItsWay(t *testing.T) {
	t.Parallel()
	survives(t, (*hall).ring, func(h *hall, n int) {
		h.time = h.slot(2).Add(time.Minute)
		h.must(h.CatchUp(context.Background()))
		h.nobodyTwice()
		h.must(h.each(asWorker(context.Background()), KindMeeting, Query{Where: []Condition{{Field: "event", Op: Eq, Value: h.event}}, Sort: "startsAt", Limit: 100}, func(doc entity) {
			if x := doc.(*Meeting); x.isLifted() && x.Status != MeetingCancelled {
				t.Errorf("killed at %d: %s is on its way", n, x.ID)
			}
		}))
	})
}

// A timetable of the largest size fits into a document, and comes out as it went in.
func TestTheLargestTimetableFitsIntoADocument(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	members := make([]ID, 1000)
	for i := range members {
		members[i] = newID(KindCompany, hallDay)
	}
	seen := map[duo]bool{}
	var list []Placement
	var left []Unplaced
	for len(list) < MaxPlacements {
		x := pairOf(members[random.IntN(1000)], members[random.IntN(1000)])
		if seen[x] || x[0] == x[1] {
			continue
		}
		seen[x] = true
		n := random.IntN(200)
		list = append(list, Placement{A: x[0], B: x[1], Slot: hallDay.Add(time.Duration(n) * 20 * time.Minute), Table: fmt.Sprintf("Table %d in hall %d", n, n/10),
			PersonA: string(x[0]) + " of", PersonB: string(x[1]) + " of", IsLocked: n%2 == 0})
		if len(left) < maxUnplaced {
			left = append(left, Unplaced{x[0], x[1], true, TimetableReason{Code: "TOO_MANY_MEETINGS", Member: x[1], Wanted: 120, Room: 100, Remedy: "MORE_SLOTS", Count: 20}})
		}
	}
	doc := &Timetable{Event: "event_x", Run: "run_x", Placements: packed(list), Unplaced: packedReasons(left)}
	size := len(stored(doc))
	t.Logf("%d meetings and %d without a place take %d bytes", len(list), len(left), size)
	if size > MaxDocumentSize*95/100 {
		t.Errorf("%d bytes", size)
	}
	slices.SortFunc(list, comparePlacements)
	if got := doc.Placements.list(); !slices.EqualFunc(got, list, func(a, b Placement) bool {
		return a.Slot.Equal(b.Slot) && comparePlacements(a, b) == 0 && a.Table == b.Table && a.PersonA == b.PersonA && a.PersonB == b.PersonB && a.IsLocked == b.IsLocked
	}) {
		t.Error("the timetable is another one")
	}
	if got := doc.Unplaced.list(); len(got) != len(left) || got[7].A != left[7].A || got[7].Reason.Member != left[7].B || got[7].Reason.Room != 100 {
		t.Errorf("%+v", got[7])
	}
}
