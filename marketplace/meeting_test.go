package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a time so many hours after the beginning of the story.
func (n *newsroom) at(hours float64) time.Time {
	return newsDay.Add(time.Duration(hours * float64(time.Hour)))
}

// ask asks for a meeting of Oslo with Acme, by odd, at some hours.
func (n *newsroom) ask(hours ...float64) *Meeting {
	n.t.Helper()
	x, err := n.RequestMeeting(n.as("odd"), n.request(hours...))
	n.must(err)
	return x
}

func (n *newsroom) request(hours ...float64) RequestMeetingInput {
	var times []time.Time
	for _, h := range hours {
		times = append(times, n.at(h))
	}
	return RequestMeetingInput{From: "city_oslo", To: "company_acme", Content: Patch{
		"message": en("Show us the wall."), "minutes": 30, "format": "ONLINE", "link": "https://meet.example/1", "times": times}}
}

func (n *newsroom) accept(by string, x *Meeting, hours float64, people ...ID) *Meeting {
	n.t.Helper()
	y, err := n.AcceptMeeting(n.as(by), AcceptMeetingInput{ID: x.ID, Time: n.at(hours), People: people})
	n.must(err)
	return y
}

// complains says what is wrong with a command: "time TAKEN".
func complains(err error) string {
	var out []string
	for _, e := range problemsOf(err) {
		out = append(out, e.Path+" "+e.Code)
	}
	if len(out) == 0 && err != nil {
		return err.Error()
	}
	return strings.Join(out, ", ")
}

func TestAMeetingIsAskedForAndAgreed(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	x := n.ask(48, 24)
	if x.Status != MeetingRequested || !x.Times[0].Equal(n.at(24)) || x.FromPeople[0] != "user_odd" || !x.ExpiresAt.Equal(n.at(47)) || len(x.claims()) != 1 {
		t.Fatalf("%+v", x)
	}
	if _, err := n.AcceptMeeting(n.as("olga"), AcceptMeetingInput{ID: x.ID, Time: n.at(24)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("the side that asks accepted: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("vic"), AcceptMeetingInput{ID: x.ID, Time: n.at(24)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a viewer accepted: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("off"), AcceptMeetingInput{ID: x.ID, Time: n.at(24)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("an officer accepted: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("luis"), AcceptMeetingInput{ID: x.ID, Time: n.at(24)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stranger sees it: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: x.ID, Time: n.at(25)}); complains(err) != "time INVALID" {
		t.Errorf("a time that nobody proposed: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: x.ID, Time: n.at(24), People: []ID{"user_olga"}}); complains(err) != "people[0] NOT_FOUND" {
		t.Errorf("people of the other side: %v", err)
	}
	x, err := n.CounterMeeting(n.as("eve"), CounterMeetingInput{ID: x.ID, Times: []time.Time{n.at(72)}, Reason: new("We are away.")})
	n.must(err)
	if x.Status != MeetingCountered || x.ProposedBy != "company_acme" || x.AnsweredAt == nil || x.ToPeople[0] != "user_eve" {
		t.Fatalf("%+v", x)
	}
	if _, err := n.AcceptMeeting(n.as("ann"), AcceptMeetingInput{ID: x.ID, Time: n.at(72)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("it is not her turn: %v", err)
	}
	x = n.accept("odd", x, 72, "user_odd", "user_otto")
	if x.Status != MeetingAccepted || !x.At.Equal(n.at(72)) || len(x.claims()) != 3*6 || x.Sequence != 1 || x.ExpiresAt != nil {
		t.Fatalf("%+v %v", x, x.claims())
	}
	x, err = n.RescheduleMeeting(n.as("eve"), RescheduleMeetingInput{ID: x.ID, Times: []time.Time{n.at(96)}})
	n.must(err)
	if x.Status != MeetingRescheduled || !x.At.Equal(n.at(72)) || len(x.claims()) != 18 {
		t.Fatalf("the old time stands until another one is accepted: %+v", x)
	}
	x, err = n.DeclineMeeting(n.as("odd"), DeclineMeetingInput{ID: x.ID})
	n.must(err)
	if x.Status != MeetingAccepted || !x.At.Equal(n.at(72)) {
		t.Fatalf("%+v", x)
	}
	if _, err = n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID}); complains(err) != "reason REQUIRED" {
		t.Errorf("cancelled without a word: %v", err)
	}
	x, err = n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: new("Budget")})
	n.must(err)
	if x.Status != MeetingCancelled || len(x.claims()) != 0 || x.Sequence != 2 {
		t.Errorf("%+v", x)
	}
}

// What is wrong with a request is told at once.
func TestARequestIsChecked(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	for _, c := range []struct {
		what   string
		change func(*RequestMeetingInput)
		want   string
	}{
		{"with oneself", func(in *RequestMeetingInput) { in.To = "city_oslo" }, "to INVALID"},
		{"with nobody", func(in *RequestMeetingInput) { in.To = "city_nowhere" }, "to NOT_FOUND"},
		{"without a word", func(in *RequestMeetingInput) { delete(in.Content, "message") }, "message REQUIRED"},
		{"of ten minutes", func(in *RequestMeetingInput) { in.Content["minutes"] = 10 }, "minutes OUT_OF_RANGE"},
		{"without a time", func(in *RequestMeetingInput) { in.Content["times"] = []time.Time{} }, "times REQUIRED"},
		{"at no quarter of an hour", func(in *RequestMeetingInput) { in.Content["times"] = []time.Time{n.at(24.1)} }, "times[0] INVALID"},
		{"in the past", func(in *RequestMeetingInput) { in.Content["times"] = []time.Time{n.at(-24)} }, "times[0] OUT_OF_RANGE"},
		{"about nothing", func(in *RequestMeetingInput) { in.About = new(ID("proposal_nothing")) }, "about NOT_FOUND"},
		{"about a member", func(in *RequestMeetingInput) { in.About = new(ID("city_lima")) }, "about INVALID"},
		{"with a stranger", func(in *RequestMeetingInput) { in.People = []ID{"user_luis"} }, "people[0] NOT_FOUND"},
		{"with nobody of the own side", func(in *RequestMeetingInput) { in.People = []ID{} }, "people REQUIRED"},
	} {
		in := n.request(24)
		c.change(&in)
		if _, err := n.RequestMeeting(n.as("odd"), in); complains(err) != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	draft := &Proposal{Meta: Meta{ID: "proposal_draft", Slug: "draft"}, City: "city_oslo", Title: en("x"), Problem: en("y"), Stage: "NEED", Funding: "NONE"}
	n.must(n.AddProposal(n.as("odd"), draft))
	in := n.request(24)
	if in.About = &draft.ID; complains(second(n.RequestMeeting(n.as("odd"), in))) != "about INVALID" {
		t.Error("the other side cannot see the draft")
	}
	if in := n.request(24); complains(second(n.RequestMeeting(n.as("off"), in))) != "people REQUIRED" {
		t.Error("an officer takes nobody's place")
	}
	in = n.request(24)
	in.People = []ID{"user_odd"}
	if x, err := n.RequestMeeting(n.as("off"), in); err != nil || x.FromPeople[0] != "user_odd" {
		t.Error(x, err)
	}
	n.must(second(n.EditCompany(n.as("ann"), EditMemberInput{ID: "company_acme", Content: Patch{"contactPolicy": "SECRETARIAT"}})))
	if complains(second(n.RequestMeeting(n.as("odd"), n.request(24)))) != "to INVALID" {
		t.Error("the company wants to be asked by the secretariat")
	}
	if complains(second(n.RequestMeeting(n.as("off"), in))) != "" {
		t.Error("which may")
	}
}

// A key makes one request of several, and nobody can have a member answer more
// than a few requests at once.
func TestRequestsAreFew(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	in := n.request(24)
	in.Key = new("once")
	first, err := n.RequestMeeting(n.as("odd"), in)
	n.must(err)
	again, err := n.RequestMeeting(n.as("odd"), in)
	n.must(err)
	if again.ID != first.ID || again.Version() != 1 {
		t.Error(again)
	}
	for range maxPendingMeetings - 1 {
		n.ask(24)
	}
	if complains(second(n.RequestMeeting(n.as("odd"), n.request(24)))) != "to TOO_MANY" {
		t.Error("too many wait")
	}
	n.must(second(n.DeclineMeeting(n.as("eve"), DeclineMeetingInput{ID: first.ID, Reason: new("No.")})))
	n.ask(24)
	for range 30 {
		if _, err = n.RequestMeeting(n.as("olga"), n.request(24)); errors.Is(err, ErrRateLimited) {
			return
		}
	}
	t.Error("no limit")
}

// Nobody is in two meetings at once; whoever is told so learns of the other
// side's people only that they have no time.
func TestNobodyIsInTwoMeetings(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	first, other := n.ask(24), n.ask(24, 24.25, 24.5)
	n.accept("eve", first, 24, "user_eve")
	_, err := n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: other.ID, Time: n.at(24.25)})
	if list := problemsOf(err); len(list) != 1 || (list[0].Message != "Eve has another meeting at that time" && list[0].Path != "time") {
		t.Errorf("%v", err)
	}
	_, err = n.AcceptMeeting(n.as("ann"), AcceptMeetingInput{ID: other.ID, Time: n.at(24.25)})
	if complains(err) != "time TAKEN" || strings.Contains(err.Error(), "Odd") {
		t.Errorf("%v", err)
	}
	n.must(second(n.SetMeetingPeople(n.as("olga"), SetMeetingPeopleInput{ID: other.ID, People: []ID{"user_olga"}})))
	_, err = n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: other.ID, Time: n.at(24.25)})
	if complains(err) != "people TAKEN" || !strings.Contains(err.Error(), "Eve has another meeting") {
		t.Errorf("%v", err)
	}
	n.accept("ann", other, 24.25)
	if _, err := n.SetMeetingPeople(n.as("ann"), SetMeetingPeopleInput{ID: other.ID, People: []ID{"user_ann", "user_eve"}}); complains(err) != "people TAKEN" {
		t.Errorf("%v", err)
	}
	n.must(second(n.SetMeetingPeople(n.as("ann"), SetMeetingPeopleInput{ID: first.ID, People: []ID{"user_vic"}})))
	x, err := n.SetMeetingPeople(n.as("ann"), SetMeetingPeopleInput{ID: other.ID, People: []ID{"user_ann", "user_eve"}})
	n.must(err)
	if x.Sequence != 2 || len(x.Participants) != 3 {
		t.Errorf("%+v", x)
	}
}

// What nobody answers expires; another time that nobody answers leaves the
// agreed one.
func TestWhatNobodyAnswersExpires(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	x, late, agreed := n.ask(24), n.ask(24*30), n.ask(24*20)
	n.accept("eve", agreed, 24*20)
	n.must(second(n.RescheduleMeeting(n.as("odd"), RescheduleMeetingInput{ID: agreed.ID, Times: []time.Time{n.at(24 * 21)}})))
	status := func(id ID) MeetingStatus {
		x, err := n.Meeting(n.as("odd"), id)
		n.must(err)
		return x.Status
	}
	n.time = n.at(23)
	if _, err := n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: x.ID, Time: n.at(24)}); complains(err) != "id OUT_OF_RANGE" {
		t.Errorf("accepted too late: %v", err)
	}
	n.must(n.CatchUp(context.Background()))
	if status(x.ID) != MeetingExpired || status(late.ID) != MeetingRequested || status(agreed.ID) != MeetingRescheduled {
		t.Error(status(x.ID), status(late.ID), status(agreed.ID))
	}
	n.time = n.at(24 * 7)
	n.must(n.CatchUp(context.Background()))
	if status(late.ID) != MeetingExpired || status(agreed.ID) != MeetingAccepted {
		t.Error(status(late.ID), status(agreed.ID))
	}
}

// What came of it: a meeting was held when one side says so, and missed when
// both say it was not, or one does and the other says nothing for two weeks.
func TestWhatCameOfIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		said []string // "odd AGREED"; "wait" lets two weeks pass
		want MeetingStatus
	}{
		{"nobody says anything", []string{"wait"}, MeetingAccepted},
		{"one says it was held", []string{"odd INFORMATIVE"}, MeetingHeld},
		{"one says it was not", []string{"odd NOT_HELD"}, MeetingAccepted},
		{"and the other is silent", []string{"odd NOT_HELD", "wait"}, MeetingMissed},
		{"both say it was not", []string{"odd NOT_HELD", "eve NOT_HELD"}, MeetingMissed},
		{"they contradict each other", []string{"odd NOT_HELD", "eve AGREED"}, MeetingHeld},
		{"the other way round", []string{"eve AGREED", "odd NOT_HELD"}, MeetingHeld},
		{"it is corrected", []string{"eve AGREED", "eve NOT_HELD"}, MeetingAccepted},
		{"it is corrected late", []string{"eve NOT_HELD", "wait", "eve COOPERATION_POSSIBLE"}, MeetingHeld},
		{"both correct", []string{"eve AGREED", "odd AGREED", "eve NOT_HELD", "odd NOT_HELD"}, MeetingMissed},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			n := newNewsroom(t)
			x := n.accept("eve", n.ask(24), 24)
			if _, err := n.RecordOutcome(n.as("odd"), RecordOutcomeInput{ID: x.ID, What: OutcomeAgreed}); complains(err) != "id INVALID" {
				t.Errorf("before it began: %v", err)
			}
			n.time = n.at(25)
			for _, s := range c.said {
				who, what, _ := strings.Cut(s, " ")
				if who == "wait" {
					n.must(n.CatchUp(context.Background()))
					n.time = n.time.Add(outcomeWait)
					n.must(n.CatchUp(context.Background()))
					continue
				}
				n.must(second(n.RecordOutcome(n.as(who), RecordOutcomeInput{ID: x.ID, What: OutcomeKind(what)})))
			}
			x, err := n.Meeting(n.as("odd"), x.ID)
			n.must(err)
			if x.Status != c.want {
				t.Errorf("%s, want %s", x.Status, c.want)
			}
			if _, err := n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: new("x")}); err == nil {
				t.Error("cancelled when it was over")
			}
		})
	}
}

// A user of both sides names the one for which they act.
func TestWhoActsForBothSidesSaysForWhich(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.must(n.PlaceInTeam(asWorker(context.Background()), "company_acme", "user_odd", "EDITOR"))
	x := n.accept("odd", n.ask(24), 24, "user_eve")
	if _, err := n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: new("x")}); complains(err) != "as REQUIRED" {
		t.Error(err)
	}
	n.must(second(n.RescheduleMeeting(n.as("odd"), RescheduleMeetingInput{ID: x.ID, As: new(ID("company_acme")), Times: []time.Time{n.at(48)}})))
	if _, err := n.DeclineMeeting(n.as("luis"), DeclineMeetingInput{ID: x.ID}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := n.SetMeetingPlace(n.as("odd"), SetMeetingPlaceInput{ID: x.ID, As: new(ID("city_lima")), Content: Patch{}}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
}

// Rights follow from the teams as they are now: who has left can do nothing
// and is told nothing, and what was agreed stands until their side names
// somebody else; what was not agreed yet needs somebody who is there.
func TestPeopleLeave(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	agreed, open := n.accept("eve", n.ask(48), 48), n.ask(49)
	n.must(second(n.SetRole(n.as("olga"), SetRoleInput{Member: new(ID("city_oslo")), User: "user_odd"})))
	known := map[ID]bool{}
	n.news(known)
	if _, err := n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: agreed.ID, Reason: new("x")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("he has left: %v", err)
	}
	if _, err := n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: open.ID, Time: n.at(49)}); complains(err) != "id INVALID" {
		t.Errorf("nobody is left: %v", err)
	}
	n.time = n.at(24)
	if got := n.news(known); got != "meeting.REMIND: eve olga" {
		t.Errorf("told %q", got)
	}
	n.must(second(n.SetMeetingPeople(n.as("olga"), SetMeetingPeopleInput{ID: agreed.ID, People: []ID{"user_otto"}})))
	if got := n.news(known); got != "meeting.LEAVE: odd; meeting.SET_PEOPLE: eve otto" {
		t.Errorf("told %q", got)
	}
	n.must(second(n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_otto", Suspended: true})))
	n.time = n.at(47)
	if got := n.news(known); got != "meeting.REMIND: eve olga; user.SUSPEND: otto" {
		t.Errorf("told %q", got)
	}
	n.time = n.at(48)
	if got := n.news(known); got != "meeting.EXPIRE: ann eve olga" {
		t.Errorf("told %q", got)
	}
}

// Lists are those of a member, of a person, or of what a member has about
// something; whoever is neither side finds nothing.
func TestMeetingsAreListed(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	r := &Proposal{Meta: Meta{ID: "proposal_quiet", Slug: "quiet"}, City: "city_oslo", Status: ProposalPublished, Title: en("Less noise"), Problem: en("It is loud."), Topics: []ID{"topic_noise"}, Stage: "NEED", Funding: "NONE"}
	n.must(n.AddProposal(n.as("off"), r))
	n.must(n.AddSolution(n.as("off"), n.solution("wall", SolutionPublished)))
	o, err := n.MakeOffer(n.as("eve"), MakeOfferInput{Proposal: r.ID, Solution: "solution_wall", Content: Patch{"message": en("Ours.")}})
	n.must(err)
	about := func(id ID, hours float64) *Meeting {
		in := n.request(hours)
		in.About = &id
		x, err := n.RequestMeeting(n.as("odd"), in)
		n.must(err)
		return x
	}
	byOffer, byProposal, none := about(o.ID, 72), about(r.ID, 48), n.ask(24)
	in := n.request(24)
	in.From, in.To, in.About = "city_lima", "city_oslo", &r.ID
	others, err := n.RequestMeeting(n.as("luis"), in)
	n.must(err)
	n.accept("eve", none, 24)
	list := func(who string, of ID, f MeetingFilter) []ID {
		page, err := n.Meetings(n.as(who), of, f, false, Slice{})
		n.must(err)
		ids := []ID{}
		for _, x := range page.Nodes() {
			ids = append(ids, x.ID)
		}
		return ids
	}
	for _, c := range []struct {
		what string
		got  []ID
		want []ID
	}{
		{"of the proposal, by its city", list("otto", r.ID, MeetingFilter{}), []ID{others.ID, byProposal.ID, byOffer.ID}},
		{"of the proposal, by the company", list("vic", r.ID, MeetingFilter{}), []ID{byProposal.ID, byOffer.ID}},
		{"of the proposal, by the other city", list("luis", r.ID, MeetingFilter{}), []ID{others.ID}},
		{"of the proposal, by the secretariat", list("ned", r.ID, MeetingFilter{}), []ID{others.ID, byProposal.ID, byOffer.ID}},
		{"of the solution", list("vic", "solution_wall", MeetingFilter{}), []ID{byOffer.ID}},
		{"of the offer", list("vic", o.ID, MeetingFilter{}), []ID{byOffer.ID}},
		{"of the company", list("vic", "company_acme", MeetingFilter{}), []ID{none.ID, byProposal.ID, byOffer.ID}},
		{"agreed ones", list("vic", "company_acme", MeetingFilter{Statuses: []MeetingStatus{MeetingAccepted}}), []ID{none.ID}},
		{"from an hour on", list("vic", "company_acme", MeetingFilter{From: new(n.at(48)), Until: new(n.at(72))}), []ID{byProposal.ID}},
		{"of the company, by others", list("otto", "company_acme", MeetingFilter{}), []ID{}},
		{"of a user", list("eve", "user_eve", MeetingFilter{}), []ID{none.ID}},
		{"of another user", list("ann", "user_eve", MeetingFilter{}), []ID{}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	busy, err := n.meetingsOf(context.Background(), "user_eve", n.at(24), n.at(25))
	if n.must(err); len(busy) != 1 || busy[0].ID != none.ID {
		t.Error(busy)
	}
	n.accept("eve", byOffer, 72)
	n.time = n.at(73)
	n.must(second(n.RecordOutcome(n.as("eve"), RecordOutcomeInput{ID: byOffer.ID, What: OutcomeAgreed})))
	n.must(n.CatchUp(context.Background()))
	tally, err := n.MeetingTally(n.as("otto"), r)
	n.must(err)
	if tally.Held != 1 || tally.Pending != 0 || len(tally.Outcomes) != 1 || tally.Outcomes[0] != (TallyOutcome{OutcomeAgreed, 0, 1}) {
		t.Errorf("%+v", tally)
	}
	if _, err := n.MeetingTally(n.as("eve"), r); !errors.Is(err, ErrNotFound) {
		t.Error("the tally is the city's")
	}
}

// second is the error of a command whose result is of no interest.
func second[T any](_ T, err error) error { return err }
