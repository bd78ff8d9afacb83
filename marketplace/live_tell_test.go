package marketplace

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// toldLive is what people are told of while an event takes place.
var toldLive = []string{"meeting.BOOK", "meeting.SHIFT", "meeting.SWAP", "meeting.SEAT", "meeting.STRAND", "meeting.CALL_OFF", "meeting.PULL_OUT",
	"meeting.DELAY", "meeting.DELAY_NEXT", "meeting.NO_SHOW"}

// Everybody concerned is told of each, in their language.
func TestWhoIsToldAtAnEvent(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3, 3, Patch{"tables": []any{map[string]any{"name": "T1"}, map[string]any{"name": "T2"}}, "capacity": 7})
	ctx := asWorker(context.Background())
	h.must(create(ctx, h.Market, MayRecoverAccount, &User{Meta: Meta{ID: "user_off", CreatedAt: h.time}, Name: "Off", Email: "off@example.org", Password: "none"}))
	h.must(h.PlaceInTeam(ctx, "", "user_off", TeamRole(SecretariatOfficer)))
	h.must(h.PlaceInTeam(ctx, "company_k2", "user_k3", TeamRole(RoleEditor)))
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.must(h.add("c2", "k1", 2, "T1"))
	h.must(h.add("c2", "k2", 3, "T1"))
	h.publish()
	h.letters()
	meeting := func(a, b string) *Meeting {
		t.Helper()
		list, err := h.meetingsAt(ctx, h.event, memberNamed(a), agreedMeetings)
		h.must(err)
		for _, x := range list {
			if x.other(memberNamed(a)) == memberNamed(b) {
				return x
			}
		}
		t.Fatalf("%s does not meet %s", a, b)
		return nil
	}
	registration := func(name string) ID { return registrationID(h.event, memberNamed(name)) }
	known := map[string]bool{}
	for _, step := range []struct {
		what string
		do   func() error
		told []string
	}{
		{"a meeting is booked", func() error {
			return second(h.BookEventMeeting(h.officer(), BookEventMeetingInput{Event: h.event, From: "city_c3", To: "company_k3", Slot: *h.slot(1)}))
		}, []string{"c3 meeting.BOOK", "k3 meeting.BOOK"}},
		{"it is moved", func() error {
			return second(h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: meeting("c3", "k3").ID, Slot: h.slot(4)}))
		}, []string{"c3 meeting.SHIFT", "k3 meeting.SHIFT"}},
		{"a delegate is swapped", func() error {
			_, err := h.EditRegistration(h.of("k2"), EditRegistrationInput{ID: registration("k2"), Content: Patch{"delegates": []any{map[string]any{"user": "user_k2"}, map[string]any{"user": "user_k3"}}}})
			h.must(err)
			return second(h.SwapDelegate(h.of("k2"), SwapDelegateInput{ID: meeting("c2", "k2").ID, People: []string{"user_k3"}}))
		}, []string{"c2 meeting.SWAP", "k2 meeting.LEAVE", "k3 meeting.SWAP"}},
		{"a table is lost, and there is another one", func() error {
			return second(h.LoseTable(h.officer(), LoseTableInput{Event: h.event, Table: "T1", From: h.slot(2)}))
		}, []string{"c2 meeting.SEAT", "c2 meeting.SEAT", "k1 meeting.SEAT", "k3 meeting.SEAT"}},
		{"the other one is lost", func() error {
			return second(h.LoseTable(h.officer(), LoseTableInput{Event: h.event, Table: "T2", From: h.slot(3)}))
		}, []string{"c2 meeting.STRAND", "c3 meeting.STRAND", "k3 meeting.STRAND", "k3 meeting.STRAND", "off meeting.STRAND_FOR_OFFICERS", "off meeting.STRAND_FOR_OFFICERS"}},
		{"a meeting is called off", func() error {
			return second(h.CallOffMeeting(h.officer(), CallOffMeetingInput{ID: meeting("c3", "k3").ID, Reason: "No table."}))
		}, []string{"c3 meeting.CALL_OFF", "k3 meeting.CALL_OFF"}},
		{"a participant withdraws", func() error {
			return second(h.MoveRegistration(h.of("k2"), MoveRegistrationInput{ID: registration("k2"), Move: RegistrationWithdraw}))
		}, []string{"c2 meeting.PULL_OUT", "k3 meeting.PULL_OUT", "off registration.WITHDRAW"}},
		{"somebody walks in", func() error {
			c := &Company{Meta: Meta{ID: "company_k4", Slug: "k4"}, Size: "SME", ContactPolicy: "ANYONE"}
			c.Name, c.Country, c.Region = en("K4"), "NO", Europe
			h.must(h.AddCompany(ctx, c))
			h.must(h.PlaceInTeam(ctx, "company_k4", "user_k3", TeamRole(RoleOwner)))
			return second(h.AddWalkIn(h.officer(), AddWalkInInput{Event: h.event, Member: "company_k4", Content: Patch{"delegates": []any{map[string]any{"name": "Kay"}}}}))
		}, []string{"k3 registration.WALK_IN"}},
		{"somebody runs late", func() error {
			h.time = *h.slot(1)
			return second(h.ReportDelay(h.of("k1"), ReportDelayInput{RunMeetingInput: RunMeetingInput{ID: meeting("c1", "k1").ID}, Minutes: 5}))
		}, []string{"c1 meeting.DELAY 5", "c2 meeting.DELAY_NEXT 5"}},
		{"somebody does not come", func() error {
			return second(h.ReportNoShow(h.of("k1"), ReportNoShowInput{RunMeetingInput: RunMeetingInput{ID: meeting("c1", "k1").ID}}))
		}, []string{"c1 meeting.NO_SHOW"}},
	} {
		h.time = h.time.Add(time.Second)
		h.must(step.do())
		told := slices.DeleteFunc(h.letters(), func(s string) bool { return strings.Contains(s, "REMIND") || strings.Contains(s, "team.") })
		same(t, step.what, told, step.told)
		for _, line := range told {
			known[strings.Fields(line)[1]] = true
		}
	}
	for _, event := range toldLive {
		if !known[event] {
			t.Errorf("nobody was told of %s", event)
		}
	}
	(&newsroom{Market: h.Market, t: t}).sentences()
}
