package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// openHall is a hall whose timetable is published: c1 meets k1 in the first
// slot at T1.
func openHall(t *testing.T, cities, companies int, content Patch) *hall {
	t.Helper()
	h := newHall(t, cities, companies, content)
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.publish()
	h.box.take()
	return h
}

func (h *hall) ask(from, to string, slot int) (*Meeting, error) {
	return h.BookEventMeeting(h.of(from), BookEventMeetingInput{Event: h.event, From: memberNamed(from), To: memberNamed(to), Slot: *h.slot(slot)})
}

func (h *hall) take(x *Meeting, err error) *Meeting {
	h.t.Helper()
	h.must(err)
	return x
}

func (h *hall) agree(to string, x *Meeting) (*Meeting, error) {
	return h.AcceptMeeting(h.of(to), AcceptMeetingInput{ID: x.ID, Time: x.Times[0]})
}

// free are the slots that two have in common: "2 3".
func (h *hall) free(a, b string) string {
	h.t.Helper()
	list, err := h.CommonSlots(h.of(a), FreeSlotsInput{Event: h.event, Member: memberNamed(a), With: memberNamed(b)})
	h.must(err)
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprint(int(s.StartsAt.Sub(hallDay)/(20*time.Minute))+1))
	}
	return strings.Join(out, " ")
}

// letters are who was told of what since the last time: "c1 meeting.BOOK".
func (h *hall) letters() []string {
	h.t.Helper()
	h.must(h.CatchUp(context.Background()))
	var out []string
	if h.seen == nil {
		h.seen = map[ID]bool{}
	}
	ctx := asWorker(context.Background())
	h.must(h.each(ctx, KindNotification, Query{Where: []Condition{{Field: "createdAt", Op: Ge, Value: time.Unix(0, 0)}}, Sort: "createdAt", Limit: 100}, func(doc entity) {
		n := doc.(*Notification)
		if !h.seen[n.ID] {
			h.seen[n.ID] = true
			out = append(out, shortName(n.User)+" "+n.Event+strings.TrimRight(" "+n.Note, " "))
		}
	}))
	slices.Sort(out)
	return out
}

func TestMeetingsAreBookedInFreeSlots(t *testing.T) {
	t.Parallel()
	h := openHall(t, 2, 2, Patch{"tables": []any{map[string]any{"name": "T1"}, map[string]any{"name": "T2"}}})
	if got := h.free("c1", "k2"); got != "2 3 4 5 6" {
		t.Errorf("free: %q", got)
	}
	if _, err := h.ask("c2", "k1", 1); complains(err) != "slot NOBODY_FREE" {
		t.Errorf("a slot in which the other side meets somebody: %v", err)
	}
	if _, err := h.ask("c1", "c2", 2); complains(err) != "to AGAINST_RULES" {
		t.Errorf("against the rules: %v", err)
	}
	if _, err := h.ask("c1", "k1", 2); complains(err) != "to MEET_ALREADY" {
		t.Errorf("they meet already: %v", err)
	}
	if _, err := h.BookEventMeeting(h.of("k2"), BookEventMeetingInput{Event: h.event, From: "city_c1", To: "company_k2", Slot: *h.slot(2)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("for others: %v", err)
	}
	// Requests take nobody's time, also those for the same slot.
	x, y := h.take(h.ask("c1", "k2", 2)), h.take(h.ask("c2", "k2", 2))
	if x.Status != MeetingRequested || len(x.claims()) != 1 || !x.ExpiresAt.Equal(*h.slot(2)) {
		t.Errorf("%+v %v", x, x.claims())
	}
	x = h.take(h.agree("k2", x))
	if x.Status != MeetingAccepted || x.Table == "" || len(x.FromPeople) != 1 || len(x.ToPeople) != 1 {
		t.Errorf("%+v", x)
	}
	if _, err := h.agree("k2", y); complains(err) != "time NOBODY_FREE" {
		t.Errorf("a second one at the same time: %v", err)
	}
	if got := h.free("c2", "k2"); got != "1 3 4 5 6" {
		t.Errorf("free: %q", got)
	}
	// Both tables are taken in the first slot when the other two meet there as well.
	z := h.take(h.ask("c2", "k2", 1))
	z = h.take(h.agree("k2", z))
	if z.Table != "T2" {
		t.Errorf("at %q", z.Table)
	}
	if got := h.free("c1", "k2"); got != "3 4 5 6" {
		t.Errorf("free: %q", got)
	}
	// What nobody answers expires when the slot begins.
	w := h.take(h.ask("c2", "k1", 3))
	h.time = *h.slot(3)
	h.must(h.CatchUp(context.Background()))
	if w, _ = h.Meeting(h.of("c2"), w.ID); w.Status != MeetingExpired {
		t.Errorf("%s", w.Status)
	}
	h.nobodyTwice()
}

// Whom somebody never wants to meet cannot be told from who does not answer:
// not by what the asking side sees, and the other side sees nothing at all.
func TestARequestToWhoNeverWantsToMeetIsUnheard(t *testing.T) {
	t.Parallel()
	for _, never := range []bool{false, true} {
		h := newHall(t, 1, 2, nil)
		if never {
			h.wish("k2", "!c1")
		}
		h.phase(EventStartDrafting)
		h.must(h.add("c1", "k1", 1, "T1"))
		h.publish()
		h.letters()
		var story []string
		say := func(words ...any) { story = append(story, fmt.Sprint(words...)) }
		say(h.free("c1", "k2"))
		x := h.take(h.ask("c1", "k2", 2))
		say(x.Status, x.Times, x.ExpiresAt, x.Table, x.FromPeople, x.ToPeople, x.Guests)
		p := h.MeetingPermissions(h.of("c1"), x)
		say(p.Moves, p.SetPeople, p.SetPlace)
		list, err := h.Meetings(h.of("c1"), "city_c1", MeetingFilter{}, false, Slice{})
		h.must(err)
		say(len(list.Edges))
		told := h.letters()
		_, err = h.Meeting(h.of("k2"), x.ID)
		log, _ := h.AuditLog(h.of("k2"), new(ID("company_k2")), Slice{})
		theirs, err2 := h.Meetings(h.of("k2"), "company_k2", MeetingFilter{}, false, Slice{})
		h.must(err2)
		if never {
			same(t, "told", told, nil)
			entries := fmt.Sprint(func() (out []string) {
				for _, e := range log.Nodes() {
					if e.Subject == x.ID {
						out = append(out, e.Action)
					}
				}
				return out
			}())
			if !errors.Is(err, ErrNotFound) || entries != "[]" || len(theirs.Edges) != 0 {
				t.Errorf("the side that never wants to meet sees it: %v %v %d", err, entries, len(theirs.Edges))
			}
		} else {
			same(t, "told", told, []string{"k2 meeting.REQUEST"})
			h.must(err)
		}
		// One is taken back, another one expires.
		_, err = h.CancelMeeting(h.of("c1"), CancelMeetingInput{ID: x.ID, Reason: new("no")})
		h.must(err)
		h.letters()
		x = h.take(h.ask("c1", "k2", 2))
		h.letters()
		h.time = *h.slot(2)
		own := slices.DeleteFunc(h.letters(), func(s string) bool { return !strings.HasPrefix(s, "c1 ") })
		say(own)
		x, err = h.Meeting(h.of("c1"), x.ID)
		h.must(err)
		say(x.Status, x.Reason, x.AnsweredAt)
		want := []string{"2 3 4 5 6", "", "", "2", "[c1 meeting.ASK c1 meeting.EXPIRE]", ""}
		for i, w := range want {
			if w != "" && story[i] != w {
				t.Errorf("never %v: %q, want %q", never, story[i], w)
			}
		}
		if n := len(story); !strings.HasPrefix(story[n-1], "EXPIRED") {
			t.Errorf("%q", story[n-1])
		}
		if unheard == nil {
			unheard = story
		} else {
			same(t, "the asking side's story", story, unheard)
			unheard = nil
		}
	}
}

var unheard []string

// By an officer a meeting stands at once, and moves at once; nothing absolute
// can be passed over.
func TestOfficersBookAndMove(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, Patch{"maximum": 2})
	h.wish("k2", "!c2")
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.publish()
	h.letters()
	book := func(a, b string, slot int, allow ...ConflictCode) (*Meeting, error) {
		return h.BookEventMeeting(h.officer(), BookEventMeetingInput{Event: h.event, From: memberNamed(a), To: memberNamed(b), Slot: *h.slot(slot), Allow: allow})
	}
	if _, err := book("c2", "k2", 2, ConflictRules, ConflictMaximum, ConflictLanguage, ConflictImpossible); complains(err) != "to NOT_POSSIBLE" {
		t.Errorf("never: %v", err)
	}
	x := h.take(book("k1", "c2", 2))
	same(t, "told", h.letters(), []string{"c2 meeting.BOOK", "k1 meeting.BOOK"})
	if _, err := book("c1", "c2", 2); complains(err) != "to AGAINST_RULES" {
		t.Errorf("against the rules: %v", err)
	}
	y := h.take(book("c1", "c2", 3, ConflictRules))
	h.letters()
	if _, err := h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: y.ID, Slot: h.slot(2)}); complains(err) != "slot NOBODY_FREE" {
		t.Errorf("moved into a meeting: %v", err)
	}
	if _, err := h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: x.ID, Slot: h.slot(1), Table: new("T1")}); complains(err) != "slot NOBODY_FREE" {
		t.Errorf("moved into a meeting: %v", err)
	}
	if _, err := h.MoveEventMeeting(h.of("c1"), MoveEventMeetingInput{ID: y.ID, Slot: h.slot(4)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("moved by a participant: %v", err)
	}
	y = h.take(h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: y.ID, Slot: h.slot(4), Table: new("T3")}))
	same(t, "told", h.letters(), []string{"c1 meeting.SHIFT", "c2 meeting.SHIFT"})
	if !y.At.Equal(*h.slot(4)) || y.Table != "T3" {
		t.Errorf("%+v", y)
	}
	if _, err := h.ask("c1", "k2", 5); complains(err) != "to OVER_MAXIMUM" {
		t.Errorf("beyond the maximum: %v", err)
	}
	h.take(h.CallOffMeeting(h.officer(), CallOffMeetingInput{ID: y.ID, Reason: "The speaker is ill."}))
	same(t, "told", h.letters(), []string{"c1 meeting.CALL_OFF", "c2 meeting.CALL_OFF"})
	h.take(h.ask("c1", "k2", 4))
	h.nobodyTwice()
}

// A table that is lost: its meetings go to others of the same slot, and those
// for which there is none are listed and told; found again, it takes them back.
func TestATableIsLost(t *testing.T) {
	t.Parallel()
	h := newHall(t, 4, 4, nil)
	h.phase(EventStartDrafting)
	for i, p := range []string{"c1 k1 1 T1", "c2 k2 1 T2", "c3 k3 1 T3", "c1 k2 2 T1", "c2 k3 3 T1"} {
		w := strings.Fields(p)
		h.must(h.add(w[0], w[1], int(w[2][0]-'0'), w[3]))
		_ = i
	}
	h.publish()
	h.letters()
	_, err := h.LoseTable(h.officer(), LoseTableInput{Event: h.event, Table: "T1", From: h.slot(1)})
	h.must(err)
	told := h.letters()
	same(t, "told", slices.DeleteFunc(slices.Clone(told), func(s string) bool { return strings.Contains(s, "SEAT") }), []string{"c1 meeting.STRAND", "k1 meeting.STRAND"})
	if n := len(told); n != 6 {
		t.Errorf("%q", told)
	}
	for _, line := range h.agenda() {
		if strings.HasSuffix(line, "T1") {
			t.Errorf("%s", line)
		}
	}
	page, err := h.TroubledMeetings(h.officer(), h.event, Slice{})
	h.must(err)
	if len(page.Edges) != 1 || page.Edges[0].Node.From != "city_c1" || page.Edges[0].Node.LostTable != "T1" {
		t.Fatalf("%+v", page.Nodes())
	}
	if page, err := h.TroubledMeetings(h.of("c1"), h.event, Slice{}); err != nil || len(page.Edges) != 0 {
		t.Errorf("shown to a participant: %v", err)
	}
	// Nothing is told again, nobody can book it, and a draft cannot use it.
	h.must(h.CatchUp(context.Background()))
	same(t, "told again", h.letters(), nil)
	x := h.take(h.ask("c4", "k4", 4))
	x = h.take(h.agree("k4", x))
	if x.Table == "T1" {
		t.Error("booked at the lost table")
	}
	if err := h.add("c4", "k1", 5, "T1"); complains(err) != "table TABLE_LOST" {
		t.Errorf("drafted at the lost table: %v", err)
	}
	h.letters()
	_, err = h.RestoreTable(h.officer(), RestoreTableInput{Event: h.event, Table: "T1"})
	h.must(err)
	same(t, "told", h.letters(), []string{"c1 meeting.SEAT", "k1 meeting.SEAT"})
	if page, err := h.TroubledMeetings(h.officer(), h.event, Slice{}); err != nil || len(page.Edges) != 0 {
		t.Errorf("still in trouble: %v", err)
	}
	h.nobodyTwice()
}

// Wherever the server is killed after a table was lost, each of its meetings
// is moved once, and everybody is told once.
func TestALostTableSurvivesTheServer(t *testing.T) {
	t.Parallel()
	survives(t, func(h *hall) {
		h.furnish(3, 3, nil)
		h.phase(EventStartDrafting)
		for _, p := range []string{"c1 k1 1 T1", "c2 k2 1 T2", "c3 k3 1 T3", "c1 k2 2 T1"} {
			w := strings.Fields(p)
			h.must(h.add(w[0], w[1], int(w[2][0]-'0'), w[3]))
		}
		h.publish()
		h.letters()
		_, err := h.LoseTable(h.officer(), LoseTableInput{Event: h.event, Table: "T1", From: h.slot(1)})
		h.must(err)
	}, func(h *hall, n int) {
		h.nobodyTwice()
		h.must(h.CatchUp(context.Background()))
		h.nobodyTwice()
		agenda := h.agenda()
		if len(agenda) != 4 || agenda[0] != "1 c1-k1 " || !strings.HasPrefix(agenda[3], "2 c1-k2 T") || strings.HasSuffix(agenda[3], "T1") {
			t.Errorf("killed at %d: %q", n, agenda)
		}
		same(t, fmt.Sprint("told, killed at ", n), h.letters(), []string{"c1 meeting.SEAT", "c1 meeting.STRAND", "k1 meeting.STRAND", "k2 meeting.SEAT"})
	})
}

// Delegates are swapped, replaced and leave; a participant withdraws.
func TestDelegatesChange(t *testing.T) {
	t.Parallel()
	h := newHall(t, 1, 2, nil)
	r, err := h.RegistrationOf(h.officer(), h.event, "company_k1")
	h.must(err)
	_, err = h.EditRegistration(h.of("k1"), EditRegistrationInput{ID: r.ID, Content: Patch{"delegates": []any{map[string]any{"user": "user_k1"}, map[string]any{"name": "Kim"}}}})
	h.must(err)
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c1", "k2", 2, "T1"))
	h.publish()
	h.letters()
	one := func(other ID) *Meeting {
		t.Helper()
		list, err := h.meetingsAt(asWorker(context.Background()), h.event, other, bookedMeetings)
		h.must(err)
		if len(list) != 1 {
			t.Fatalf("%d meetings of %s", len(list), other)
		}
		return list[0]
	}
	x := one("company_k1")
	if _, err := h.SwapDelegate(h.of("k1"), SwapDelegateInput{ID: x.ID, People: []string{"Nobody"}}); complains(err) != "delegates NOT_FOUND" {
		t.Errorf("nobody: %v", err)
	}
	x = h.take(h.SwapDelegate(h.of("k1"), SwapDelegateInput{ID: x.ID, People: []string{"kim"}}))
	if len(x.ToPeople) != 0 || len(x.Guests) != 1 || x.Guests[0].Name != "Kim" || x.Table != "T1" {
		t.Errorf("%+v", x)
	}
	same(t, "told", h.letters(), []string{"c1 meeting.SWAP", "k1 meeting.SWAP"})
	// Kim comes no more.
	_, err = h.ReplaceDelegate(h.of("k1"), ReplaceDelegateInput{ID: r.ID, Out: "kim", In: "user_k1"})
	h.must(err)
	same(t, "told", h.letters(), []string{"c1 meeting.SWAP", "k1 meeting.SWAP"})
	if x = one("company_k1"); len(x.Guests) != 0 || !slices.Equal(x.ToPeople, []ID{"user_k1"}) {
		t.Errorf("%+v", x)
	}
	// Nobody is left to come: the secretariat is told.
	_, err = h.EditRegistration(h.of("k1"), EditRegistrationInput{ID: r.ID, Content: Patch{"delegates": []any{map[string]any{"name": "Kim"}}}})
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	if x = one("company_k1"); !slices.Equal(x.Vacant, []ID{"company_k1"}) || !x.IsTroubled() {
		t.Errorf("%+v", x)
	}
	// A participant withdraws: the other side is free, and told.
	r2, err := h.RegistrationOf(h.officer(), h.event, "company_k2")
	h.must(err)
	y := one("company_k2")
	h.letters()
	_, err = h.MoveRegistration(h.of("k2"), MoveRegistrationInput{ID: r2.ID, Move: RegistrationWithdraw})
	h.must(err)
	told := h.letters()
	y, err = h.Meeting(h.of("c1"), y.ID)
	h.must(err)
	if y.Status != MeetingCancelled || !slices.Contains(told, "c1 meeting.PULL_OUT") {
		t.Errorf("%s %q", y.Status, told)
	}
	h.nobodyTwice()
}

// What happens on the day: people come, meetings begin, some run late, some
// do not come; and what everybody has then.
func TestADay(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	h.wish("c1", "k1 ?k2")
	h.wish("k2", "!c2")
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c1", "k2", 2, "T1"))
	h.must(h.add("c2", "k1", 2, "T2"))
	h.publish()
	h.phase(EventStart)
	h.letters()
	r, err := h.RegistrationOf(h.officer(), h.event, "city_c1")
	h.must(err)
	for range 2 {
		r, err = h.CheckIn(h.of("c1"), CheckInInput{ID: r.ID, Delegate: "user_c1"})
		h.must(err)
	}
	if len(r.Arrivals) != 1 {
		t.Errorf("%+v", r.Arrivals)
	}
	if _, err := h.CheckIn(h.of("k1"), CheckInInput{ID: r.ID, Delegate: "user_c1"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("checked in by others: %v", err)
	}
	w, err := h.AddWalkIn(h.officer(), AddWalkInInput{Event: h.event, Member: "city_c2", Content: Patch{}})
	if complains(err) != "member TAKEN" {
		t.Errorf("a participant walks in: %v %v", w, err)
	}
	items, err := h.Agenda(h.of("c1"), r, nil)
	h.must(err)
	if len(items) != 2 || *items[0].Table() != "T1" || items[1].Meeting.To != "company_k2" {
		t.Errorf("%+v", items)
	}
	if items, err := h.Agenda(h.of("k1"), r, nil); err != nil || len(items) != 0 {
		t.Errorf("shown to others: %v", err)
	}
	if items, err := h.Agenda(h.of("c1"), r, new("user_c1")); err != nil || len(items) != 2 {
		t.Errorf("of a delegate: %v %v", items, err)
	}
	x, y := items[0].Meeting, items[1].Meeting
	h.time = *h.slot(1)
	if _, err := h.StartMeeting(h.of("k2"), RunMeetingInput{ID: x.ID}); !errors.Is(err, ErrNotFound) {
		t.Errorf("started by others: %v", err)
	}
	x = h.take(h.StartMeeting(h.of("k1"), RunMeetingInput{ID: x.ID}))
	h.letters()
	// k1 runs late by 30 minutes: c1 is told, and so are k2 and c2, whom the two meet next.
	h.take(h.ReportDelay(h.of("k1"), ReportDelayInput{RunMeetingInput: RunMeetingInput{ID: x.ID}, Minutes: 30}))
	same(t, "told", h.letters(), []string{"c1 meeting.DELAY 30", "c2 meeting.DELAY_NEXT 30", "k2 meeting.DELAY_NEXT 30"})
	if _, err := h.ReportNoShow(h.of("c1"), ReportNoShowInput{RunMeetingInput: RunMeetingInput{ID: y.ID}}); complains(err) != "id OUT_OF_RANGE" {
		t.Errorf("too early: %v", err)
	}
	h.time = *h.slot(2)
	y = h.take(h.ReportNoShow(h.of("c1"), ReportNoShowInput{RunMeetingInput: RunMeetingInput{ID: y.ID}}))
	if y.Status != MeetingAccepted || !slices.Equal(y.NoShow.Sides, []ID{"company_k2"}) || y.FromOutcome.What != OutcomeNotHeld {
		t.Errorf("%+v", y)
	}
	y = h.take(h.ReportNoShow(h.officer(), ReportNoShowInput{RunMeetingInput: RunMeetingInput{ID: y.ID}, Sides: []ID{"company_k2"}}))
	if y.Status != MeetingMissed {
		t.Errorf("%s", y.Status)
	}
	for _, by := range []string{"c1", "k1"} {
		h.take(h.RecordOutcome(h.of(by), RecordOutcomeInput{ID: x.ID, What: OutcomePossible}))
	}
	h.time = *h.slot(6)
	report, err := h.EventReport(h.officer(), h.event, nil)
	h.must(err)
	want := EventReport{Event: h.event, MadeAt: report.MadeAt, Registered: 4, Approved: 4, Delegates: 4, CheckedIn: 1,
		Wishes:   []WishShare{{WishMust, 1, 1, 1}, {WishWant, 1, 0, 0}},
		Meetings: MeetingCount{Timetabled: 3, Held: 1, Missed: 1, Unsaid: 1, NoShows: 1, Delayed: 1}, Follow: FollowUps{Pairs: 2}}
	want.ByRegion = []RegionCount{{Europe, want.Meetings}}
	want.ByTopic = []TopicCount{{"", want.Meetings}}
	want.Outcomes = []OutcomeCount{{OutcomeNotHeld, 1}, {OutcomePossible, 2}}
	if fmt.Sprint(*report) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", *report, want)
	}
	own, err := h.EventReport(h.of("k2"), h.event, new(ID("company_k2")))
	h.must(err)
	if own.Meetings.Timetabled != 1 || own.Wishes[0].Wishes != 0 || own.Registered != 1 {
		t.Errorf("%+v", own)
	}
	if _, err := h.EventReport(h.of("k2"), h.event, new(ID("city_c1"))); !errors.Is(err, ErrNotFound) {
		t.Errorf("that of others: %v", err)
	}
	if _, err := h.EventReport(h.of("k2"), h.event, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("that of all: %v", err)
	}
	e, err := h.Event(h.officer(), h.event)
	h.must(err)
	for kind, n := range map[SheetKind]int{SheetParticipants: 4, SheetTables: 3, SheetSlots: 6, SheetAgenda: 1} {
		s, err := h.EventSheets(h.officer(), e.Slug, kind, "city_c1", []Language{"fr"})
		h.must(err)
		if len(s.Sheets) != n || s.Language != "fr" {
			t.Errorf("%s: %d sheets", kind, len(s.Sheets))
		}
		_, err = h.EventSheets(h.of("c1"), e.Slug, kind, "city_c1", nil)
		if (err == nil) != (kind == SheetAgenda) {
			t.Errorf("%s for a participant: %v", kind, err)
		}
	}
	for _, what := range []string{"meetings", "participants", "report"} {
		x, err := h.ExportEvent(h.officer(), e.Slug, what, nil)
		h.must(err)
		var b strings.Builder
		n, err := x.WriteCSV(&b, nil)
		h.must(err)
		if n == 0 || strings.Contains(b.String(), "NEVER") {
			t.Errorf("%s: %s", what, b.String())
		}
		if _, err := h.ExportEvent(h.of("c1"), e.Slug, what, nil); err == nil {
			t.Errorf("%s for a participant", what)
		}
	}
}
