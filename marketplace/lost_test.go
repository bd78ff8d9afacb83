package marketplace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func (h *hall) edit(content Patch) {
	h.t.Helper()
	h.must(second(h.EditEvent(h.officer(), EditEventInput{ID: h.event, Content: content})))
}

// troubled are the meetings that the secretariat has to look after: "2 c1-k1".
func (h *hall) troubled() []string {
	h.t.Helper()
	page, err := h.TroubledMeetings(h.officer(), h.event, Slice{})
	h.must(err)
	out := []string{}
	for _, x := range page.Nodes() {
		out = append(out, fmt.Sprintf("%d %s-%s", int(x.At.Sub(hallDay)/(20*60e9))+1, shortName(x.From), shortName(x.To)))
	}
	slices.Sort(out)
	return out
}

// An event is called off: nobody keeps a meeting in the calendar, everybody is
// told, wherever the server is killed; opened again, the timetable can be
// published again.
func TestAnEventIsCalledOff(t *testing.T) {
	t.Parallel()
	var before []string
	survives(t, func(h *hall) {
		h.furnish(2, 3, nil)
		h.phase(EventStartDrafting)
		h.must(h.add("c1", "k1", 1, "T1"))
		h.must(h.add("c2", "k2", 5, "T2"))
		h.publish()
		h.take(h.agree("k3", h.take(h.ask("c1", "k3", 6))))
		h.phase(EventStart)
		h.time = *h.slot(2)
		h.letters()
		before = h.agenda()
		h.phase(EventClose)
	}, func(h *hall, n int) {
		told := h.letters()
		same(t, fmt.Sprint("what has begun stays, killed at ", n), h.agenda(), []string{"1 c1-k1 T1"})
		for _, who := range []string{"c1", "c2", "k2", "k3"} {
			if !slices.Contains(told, who+" meeting.CALL_OFF") {
				t.Errorf("killed at %d: %s was not told: %q", n, who, told)
			}
		}
		h.phase(EventReopen)
		h.publish()
		same(t, "published again", h.agenda(), before[:2])
		h.holdsWhatIsSaid()
	})
}

// A session takes a slot, or a table is taken away, while meetings stand there:
// they get another table where there is one, and the secretariat is told of
// those that need another slot.
func TestSlotsAndTablesGoWhileMeetingsStand(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3, 3, nil)
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c2", "k2", 2, "T1"))
	h.publish()
	h.take(h.agree("k3", h.take(h.ask("c3", "k3", 2))))
	h.letters()
	h.edit(Patch{"tables": []any{map[string]any{"name": "T2"}, map[string]any{"name": "T3"}}})
	told := h.letters()
	for _, line := range h.agenda() {
		if strings.HasSuffix(line, "T1") || strings.HasSuffix(line, " ") {
			t.Errorf("%s", line)
		}
	}
	for _, who := range []string{"c1", "k1", "c2", "k2"} {
		if !slices.Contains(told, who+" meeting.SEAT") {
			t.Errorf("%s was not told: %q", who, told)
		}
	}
	plenary := func(on bool) Patch {
		p := Patch{"sessions": []any{}}
		if on {
			p["sessions"] = []any{map[string]any{"kind": "PLENARY", "title": en("Now"), "start": "2026-03-09T09:20", "end": "2026-03-09T09:40", "blocksMeetings": true}}
		}
		return p
	}
	h.edit(plenary(true))
	told = h.letters()
	for _, who := range []string{"c2", "k2", "c3", "k3"} {
		if !slices.Contains(told, who+" meeting.STRAND") {
			t.Errorf("%s was not told: %q", who, told)
		}
	}
	same(t, "troubled", h.troubled(), []string{"2 c2-k2", "2 c3-k3"})
	same(t, "told again", h.letters(), nil)
	h.edit(plenary(false))
	h.must(h.CatchUp(context.Background()))
	same(t, "found again", h.troubled(), nil)
	h.edit(plenary(true))
	h.letters()
	list, err := h.meetingsAt(asWorker(context.Background()), h.event, "city_c3", agreedMeetings)
	h.must(err)
	h.take(h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: list[0].ID, Slot: h.slot(3)}))
	same(t, "one is moved", h.troubled(), []string{"2 c2-k2"})
	// The other one is moved by a run that changes as little as it can.
	h.use(h.run(RunOnlyUnbooked))
	if x := h.publish(); x.Moved != 2 || x.Cancelled != 0 { // the first one, too, whose table is not there any more
		t.Errorf("%+v", x)
	}
	same(t, "the other one, too", h.troubled(), nil)
	h.holdsWhatIsSaid()
}

// Who leaves while the timetable is being revised leaves their meetings at once.
func TestAParticipantLeavesWhileTheTimetableIsRevised(t *testing.T) {
	t.Parallel()
	h := openHall(t, 1, 1, nil)
	h.phase(EventRevise)
	h.must(h.CatchUp(context.Background()))
	same(t, "what was published stays", h.agenda(), []string{"1 c1-k1 T1"})
	h.letters()
	h.must(second(h.MoveRegistration(h.of("k1"), MoveRegistrationInput{ID: registrationID(h.event, "company_k1"), Move: RegistrationWithdraw})))
	told := h.letters()
	same(t, "after they left", h.agenda(), nil)
	if !slices.Contains(told, "c1 meeting.PULL_OUT") {
		t.Errorf("%q", told)
	}
}

// While the timetable is revised, who booked each other say that they never
// want to meet, or the slots change: what was booked does not stand against that.
func TestWhatWasBookedGoesWhereItCannotStay(t *testing.T) {
	t.Parallel()
	h := openHall(t, 2, 3, nil)
	h.take(h.agree("k2", h.take(h.ask("c1", "k2", 2))))
	h.take(h.agree("k3", h.take(h.ask("c2", "k3", 3))))
	h.phase(EventRevise)
	h.phase(EventOpenWishes)
	h.wish("k2", "!c1")
	h.phase(EventStartDrafting)
	h.edit(Patch{"days": []any{map[string]any{"date": "2026-03-09", "start": "09:00", "end": "09:40"}}})
	h.letters()
	h.publish()
	told := h.letters()
	same(t, "agenda", h.agenda(), []string{"1 c1-k1 T1", "3 c2-k3 " + h.agenda()[1][8:]})
	same(t, "off the slots", h.troubled(), []string{"3 c2-k3"})
	if !slices.Contains(told, "c1 meeting.CALL_OFF") || !slices.Contains(told, "k2 meeting.CALL_OFF") {
		t.Errorf("%q", told)
	}
}

// A draft that names a lost table says so, and one run puts it in order and
// leaves everything else where it is.
func TestADraftNamesALostTable(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3, 3, nil)
	h.phase(EventStartDrafting)
	for i := range 3 {
		h.must(h.add(fmt.Sprint("c", i+1), fmt.Sprint("k", i+1), 1, fmt.Sprint("T", i+1)))
	}
	h.must(h.add("c1", "k2", 2, "T1"))
	h.must(h.add("c2", "k3", 2, "T2"))
	h.publish()
	h.must(second(h.LoseTable(h.officer(), LoseTableInput{Event: h.event, Table: "T1", From: h.slot(2)})))
	h.must(h.CatchUp(context.Background()))
	_, err := h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
	if complains(err) != "event TABLE_LOST" || !strings.Contains(err.Error(), "C1 and K2") || !strings.Contains(err.Error(), "ONLY_UNBOOKED") {
		t.Errorf("%v", err)
	}
	before := h.draft()
	h.use(h.run(RunOnlyUnbooked))
	after := h.draft()
	for i, p := range before {
		if p.Table == "T1" && !p.Slot.Equal(*h.slot(1)) {
			p.Table = "T3"
		}
		if p != after[i] {
			t.Errorf("%v is %v", p, after[i])
		}
	}
	h.publish()
	same(t, "agenda", h.agenda(), []string{"1 c1-k1 T1", "1 c2-k2 T2", "1 c3-k3 T3", "2 c1-k2 T3", "2 c2-k3 T2"})
}

// What has begun cannot be changed any more, and does not stand in the way of
// the rest of the timetable.
func TestWhatHasBegunDoesNotStandInTheWay(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c2", "k2", 3, "T1"))
	h.publish()
	h.phase(EventStart)
	h.time = *h.slot(2)
	h.must(second(h.MoveRegistration(h.of("k1"), MoveRegistrationInput{ID: registrationID(h.event, "company_k1"), Move: RegistrationWithdraw})))
	h.must(h.CatchUp(context.Background()))
	d, err := h.DraftOf(h.officer(), h.event)
	h.must(err)
	if list, err := h.DraftConflicts(h.officer(), d); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	h.must(h.moveTo("c2", "k2", 4, "T2"))
	if x := h.publish(); x.Moved != 1 || x.Cancelled != 0 || x.Meetings != 2 || len(x.Gaps) != 0 {
		t.Errorf("%+v", x)
	}
	same(t, "agenda", h.agenda(), []string{"1 c1-k1 T1", "4 c2-k2 T2"})
}

// Of two publications that follow each other at once the latter holds, and the
// former says that it came to nothing.
func TestAPublicationIsOvertaken(t *testing.T) {
	t.Parallel()
	h := openHall(t, 1, 2, nil)
	h.must(h.moveTo("c1", "k1", 2, "T1"))
	first, err := h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
	h.must(err)
	h.must(h.moveTo("c1", "k1", 3, "T1"))
	x := h.publish()
	first, err = get[*Publication](Afresh(h.officer()), h.Market, first.ID)
	h.must(err)
	if first.Status != PublicationVoid || x.Status != PublicationDone || x.Moved != 1 {
		t.Errorf("%+v\n%+v", first, x)
	}
	// A process that was thought to be dead goes on with the former.
	ctx := asWorker(context.Background())
	old := &publisher{Market: h.Market, publication: first, now: h.time, event: h.eventNow(), want: map[ID]Placement{}, have: map[ID]*Meeting{}, gaps: map[ID]Gap{}, held: map[string]bool{}, holds: map[ID][]string{}}
	old.people, err = h.assemble(ctx, h.event)
	h.must(err)
	for _, p := range first.Placements.list() {
		old.want[eventMeetingID(h.event, p.pair(), 1)] = p
	}
	h.must(old.read(ctx))
	h.must(old.cancelRest(ctx))
	h.must(old.place(ctx))
	same(t, "agenda", h.agenda(), []string{"3 c1-k1 T1"})
}

func (h *hall) eventNow() *Event {
	h.t.Helper()
	e, err := h.Event(h.officer(), h.event)
	h.must(err)
	return e
}

// Changes by hand are not lost unless somebody says so.
func TestUsingARunKeepsChangesByHand(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	h.wish("c1", "k1 k2")
	h.phase(EventStartDrafting)
	first := h.run(RunNew)
	h.use(first)
	h.must(h.add("c2", "k2", 6, "T3"))
	if _, err := h.UseRun(h.officer(), UseRunInput{Run: first.ID}); complains(err) != "discardsChanges REQUIRED" || len(h.draft()) != 3 {
		t.Errorf("discarded: %v", err)
	}
	r := h.run(RunOnlyUnbooked)
	h.must(h.moveTo("c2", "k2", 5, "T3"))
	if _, err := h.UseRun(h.officer(), UseRunInput{Run: r.ID}); complains(err) != "discardsChanges REQUIRED" {
		t.Errorf("it has not gone on from this draft: %v", err)
	}
	h.use(h.run(RunOnlyUnbooked)) // from the draft as it is: nothing is lost
	if len(h.draft()) != 3 {
		t.Errorf("%v", h.draft())
	}
	h.must(h.moveTo("c2", "k2", 6, "T3"))
	h.must(second(h.UseRun(h.officer(), UseRunInput{Run: first.ID, DiscardsChanges: true})))
	if len(h.draft()) != 2 {
		t.Errorf("%v", h.draft())
	}
}

// A process that was thought to be dead does not overwrite what another one
// has made of the same run.
func TestARunIsFinishedOnce(t *testing.T) {
	t.Parallel()
	h := newHall(t, 1, 2, nil)
	h.wish("c1", "k1 k2")
	h.phase(EventStartDrafting)
	ctx := asWorker(context.Background())
	r, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: RunNew, Seed: new(1), Seconds: new(20)})
	h.must(err)
	old, err := h.moveRun(ctx, r.ID, "BEGIN", func(r *Run) { r.Attempts++ })
	h.must(err)
	a, err := h.assemble(ctx, h.event)
	h.must(err)
	x := a.pose(RunNew, nil, nil)
	result, err := h.solve(ctx, old, x, 0)
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	r, err = h.Run(Afresh(h.officer()), r.ID)
	h.must(err)
	want := h.placements(r)
	if r.Status != RunDone || r.Attempts != 2 || len(want) != 2 {
		t.Fatalf("%+v", r)
	}
	h.must(h.finish(ctx, old, a, nil, nil, result, 0))
	h.must(h.fail(ctx, old, RunBroken, nil))
	r, err = h.Run(Afresh(h.officer()), r.ID)
	h.must(err)
	if got := h.placements(r); r.Status != RunDone || !slices.Equal(got, want) {
		t.Errorf("%s %v", r.Status, got)
	}
}

// Who leaves the team of a member, or is suspended, comes no more: others take
// over their meetings, as far as there is somebody, and nobody else meets them.
func TestADelegateLeavesTheTeam(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	twoDelegates(h, "k1")
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c1", "k2", 2, "T1"))
	h.publish()
	h.letters()
	who := func(member ID) (out []string) {
		list, err := h.meetingsAt(asWorker(context.Background()), h.event, member, agreedMeetings)
		h.must(err)
		for _, x := range list {
			out = append(out, fmt.Sprint(x.keysOf(member), x.Vacant))
		}
		return out
	}
	ctx := asWorker(context.Background())
	leave := func(name string) {
		h.must(second(h.updateTeam(ctx, MayManageTeam, memberNamed(name), func(t *Team) error {
			t.mark("REMOVE_PERSON", "")
			t.People = nil
			return nil
		})))
	}
	same(t, "before", who("company_k1"), []string{"[user_k1] []"})
	leave("k1")
	told := h.letters()
	same(t, "another one takes over", who("company_k1"), []string{"[company_k1 kim] []"})
	if !slices.Contains(told, "c1 meeting.SWAP") {
		t.Errorf("%q", told)
	}
	_, err := update(ctx, h.Market, MaySuspendUser, "user_k2", 0, func(u *User) error { u.IsSuspended = true; u.mark("SUSPEND", ""); return nil })
	h.must(err)
	told = h.letters()
	same(t, "nobody takes over", who("company_k2"), []string{"[user_k2] [company_k2]"})
	if !slices.Contains(told, "c1 meeting.STRAND") || !slices.Equal(h.troubled(), []string{"2 c1-k2"}) {
		t.Errorf("%q %q", told, h.troubled())
	}
	if _, err := h.ask("c2", "k2", 3); complains(err) != "slot NOBODY_FREE" {
		t.Errorf("%v", err)
	}
	x := h.take(h.ask("c2", "k1", 3))
	x = h.take(h.AcceptMeeting(h.of("k1"), AcceptMeetingInput{ID: x.ID, Time: x.Times[0]}))
	if len(x.ToPeople) != 0 || len(x.Guests) != 1 {
		t.Errorf("%+v", x)
	}
	h.holdsWhatIsSaid()
}
