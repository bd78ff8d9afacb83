package marketplace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Who may do what with a case and its candidates, tried by everybody.
func TestWhoMayDoWhatWithACase(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	ask := AskForPartnerInput{Member: "city_oslo", Content: Patch{"wanted": en("A partner")}}
	people := []string{"olga", "odd", "otto", "luis", "ann", "eve", "vic", "off", "adm", "ned"}
	for _, c := range []struct {
		verb string
		may  string
		do   func(ctx context.Context) error
	}{
		{"ask", "olga odd", func(ctx context.Context) error { return second(n.AskForPartner(ctx, ask)) }},
		{"see", "olga odd otto off adm ned", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.Case(ctx, c.ID))
		}},
		{"edit", "olga odd off adm", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.EditCase(ctx, EditCaseInput{ID: c.ID, Content: Patch{"countries": []any{"KE"}}}))
		}},
		{"release", "off adm", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.MoveCase(ctx, MoveCaseInput{ID: c.ID, Move: ReleaseCase}))
		}},
		{"withdraw", "olga odd", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.MoveCase(ctx, MoveCaseInput{ID: c.ID, Move: WithdrawCase}))
		}},
		{"hand over", "off adm", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.HandOverCase(ctx, HandOverCaseInput{ID: c.ID, To: "user_adm"}))
		}},
		{"note", "off adm", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.AddCaseNote(ctx, AddCaseNoteInput{Case: c.ID, Text: "x"}))
		}},
		{"list a candidate", "off adm", func(ctx context.Context) error {
			c, _ := n.find()
			return second(n.AddCandidate(ctx, AddCandidateInput{Case: c.ID, Candidate: "city_lima"}))
		}},
		{"see one that is listed", "off adm ned", func(ctx context.Context) error {
			_, d := n.find()
			return second(n.Candidacy(ctx, d.ID))
		}},
		{"see one that was contacted", "ann eve vic off adm ned", func(ctx context.Context) error {
			_, d := n.find()
			n.moveCandidate("off", d, ContactCandidate)
			return second(n.Candidacy(ctx, d.ID))
		}},
		{"see one that was introduced", "olga odd otto ann eve vic off adm ned", func(ctx context.Context) error {
			_, d := n.find()
			n.moveCandidate("off", d, ContactCandidate, CandidateIsFor, IntroduceCandidate)
			return second(n.Candidacy(ctx, d.ID))
		}},
		{"write", "off adm", func(ctx context.Context) error {
			_, d := n.find()
			return second(n.WriteToCandidate(ctx, WriteToCandidateInput{ID: d.ID, Text: "x"}))
		}},
		{"answer", "ann eve", func(ctx context.Context) error {
			_, d := n.find()
			n.moveCandidate("off", d, ContactCandidate)
			return second(n.AnswerCandidacy(ctx, AnswerCandidacyInput{ID: d.ID}))
		}},
		{"introduce", "off adm", func(ctx context.Context) error {
			_, d := n.find()
			n.moveCandidate("off", d, ContactCandidate, CandidateIsFor)
			return second(n.MoveCandidate(ctx, MoveCandidateInput{ID: d.ID, Move: IntroduceCandidate}))
		}},
		{"list all", "off adm ned", func(ctx context.Context) error { return second(n.CaseQueue(ctx, CaseFilter{}, Slice{})) }},
	} {
		for _, who := range people {
			n.throttle = newThrottle(maxThrottled)
			err := c.do(n.as(who))
			if want := strings.Contains(" "+c.may+" ", " "+who+" "); want != (err == nil) {
				t.Errorf("%s by %s: %v", c.verb, who, err)
			} else if err != nil && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrNotFound) && complains(err) != "case NOT_FOUND" {
				t.Errorf("%s by %s: %v", c.verb, who, err)
			}
			n.withdrawAll()
		}
	}
}

// withdrawAll makes room for further cases of Oslo.
func (n *newsroom) withdrawAll() {
	n.t.Helper()
	list, err := n.Cases(n.as("olga"), "city_oslo", unclosed, Slice{First: new(100)})
	n.must(err)
	for _, c := range list.Nodes() {
		n.moveCase("olga", c, WithdrawCase)
	}
}

func TestCasesFollowTheirTables(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	c, d := n.find()
	found, none := CasePartnerFound, CaseNotFound
	refuse := func(what, want string, err error) {
		t.Helper()
		if got := complains(err); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	move := func(in MoveCaseInput) error { in.ID = c.ID; return second(n.MoveCase(n.as("off"), in)) }
	step := func(m CandidacyMove) error {
		return second(n.MoveCandidate(n.as("off"), MoveCandidateInput{ID: d.ID, Move: m}))
	}
	answer := func(yes bool) error {
		return second(n.AnswerCandidacy(n.as("eve"), AnswerCandidacyInput{ID: d.ID, IsInterested: yes}))
	}
	refuse("taken twice", "move INVALID", move(MoveCaseInput{Move: TakeCase}))
	refuse("an outcome that closes nothing", "outcome REQUIRED", move(MoveCaseInput{Move: ReleaseCase, Outcome: &none}))
	refuse("closed without an outcome", "outcome REQUIRED", move(MoveCaseInput{Move: CloseCase}))
	refuse("not found, without a word", "note REQUIRED", move(MoveCaseInput{Move: CloseCase, Outcome: &none}))
	refuse("found, nobody", "partners REQUIRED", move(MoveCaseInput{Move: CloseCase, Outcome: &found}))
	refuse("found, who is no candidate", "partners[0] INVALID", move(MoveCaseInput{Move: CloseCase, Outcome: &found, Partners: []ID{"city_lima"}}))
	refuse("found, who was not chosen", "partners[0] INVALID", move(MoveCaseInput{Move: CloseCase, Outcome: &found, Partners: []ID{"company_acme"}}))
	refuse("to nobody", "to NOT_FOUND", second(n.HandOverCase(n.as("off"), HandOverCaseInput{ID: c.ID, To: "user_ned"})))
	refuse("to a member", "to NOT_FOUND", second(n.HandOverCase(n.as("off"), HandOverCaseInput{ID: c.ID, To: "user_ann"})))
	refuse("to the same", "to INVALID", second(n.HandOverCase(n.as("off"), HandOverCaseInput{ID: c.ID, To: "user_off"})))
	refuse("the asker as a candidate", "candidate INVALID", second(n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "city_oslo"})))
	refuse("a user as a candidate", "candidate NOT_FOUND", second(n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "user_ann"})))
	n.must(n.AddSolution(n.as("off"), n.solution("wall", SolutionPublished)))
	refuse("listed by its solution, too", "candidate TAKEN", second(n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "solution_wall"})))
	refuse("a score of none", "score OUT_OF_RANGE", second(n.EditCandidate(n.as("off"), EditCandidateInput{ID: d.ID, Content: Patch{"score": 1.5}})))
	refuse("chosen before it was introduced", "move INVALID", step(ChooseCandidate))
	refuse("introduced before it is interested", "move INVALID", step(IntroduceCandidate))

	n.must(second(n.WriteToCandidate(n.as("off"), WriteToCandidateInput{ID: d.ID, Text: "Hello"})))
	for _, m := range []struct {
		do   func() error
		want CandidacyStatus
	}{
		{func() error { return answer(false) }, CandidateDeclined},
		{func() error { return answer(true) }, CandidateInterested},
		{func() error { return step(IntroduceCandidate) }, CandidateMeeting},
		{func() error { return answer(true) }, CandidateMeeting},
		{func() error { return step(ChooseCandidate) }, CandidateChosen},
		{func() error { return step(UnchooseCandidate) }, CandidateMeeting},
		{func() error { return answer(false) }, CandidateDeclined},
		{func() error { return step(DropCandidate) }, CandidateDropped},
		{func() error { return step(RelistCandidate) }, CandidateListed},
		{func() error { return answer(true) }, CandidateInterested},
		{func() error { return step(IntroduceCandidate) }, CandidateMeeting},
		{func() error { return step(ChooseCandidate) }, CandidateChosen},
	} {
		n.must(m.do())
		if d, _ = n.Candidacy(n.as("ned"), d.ID); d.Status != m.want || !d.IsContacted {
			t.Fatalf("%s, want %s", d.Status, m.want)
		}
	}
	n.must(move(MoveCaseInput{Move: CloseCase, Outcome: &found, Partners: []ID{"company_acme"}}))
	refuse("answered when it is closed", "id INVALID", answer(false))
	refuse("dropped when it is closed", "id INVALID", step(DropCandidate))
	refuse("a candidate when it is closed", "case INVALID", second(n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "city_lima"})))
	refuse("edited when it is closed", "id INVALID", second(n.EditCase(n.as("odd"), EditCaseInput{ID: c.ID, Content: Patch{}})))
	if d, _ = n.Candidacy(n.as("eve"), d.ID); !d.IsOver || n.CandidacyPermissions(n.as("eve"), d).Answer {
		t.Errorf("over: %v", d.IsOver)
	}
	n.moveCase("odd", c, ReopenCase)
	if d, _ = n.Candidacy(n.as("eve"), d.ID); d.IsOver {
		t.Error("it is still over")
	}
	tally, err := n.CaseTally(n.as("odd"), c)
	if err != nil || tally.Candidates != 1 || tally.Contacted != 1 || tally.Interested != 1 || tally.Introduced != 1 || tally.VisibleDeclined(n.as("odd")) != nil {
		t.Errorf("%+v %v", tally, err)
	}
}

// What can grow without end has bounds.
func TestCasesHaveBounds(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var last *Case
	for range maxOpenCases {
		n.throttle = newThrottle(maxThrottled)
		last, _ = n.find()
	}
	n.throttle = newThrottle(maxThrottled)
	in := AskForPartnerInput{Member: "city_oslo", Content: Patch{"wanted": en("One more")}}
	if err := second(n.AskForPartner(n.as("odd"), in)); complains(err) != " TOO_MANY" {
		t.Errorf("one more case: %v", err)
	}
	n.moveCase("odd", last, WithdrawCase)
	c, err := n.AskForPartner(n.as("odd"), in)
	n.must(err)
	if err := second(n.MoveCase(n.as("odd"), MoveCaseInput{ID: last.ID, Move: ReopenCase})); complains(err) != " TOO_MANY" {
		t.Errorf("one more by reopening: %v", err)
	}
	ctx := asWorker(context.Background())
	for i := range maxCandidacies {
		id := ID(fmt.Sprintf("company_c%d", i))
		n.must(create(ctx, n.Market, MayHandleCase, &Candidacy{Meta: Meta{ID: candidacyID(c.ID, id)}, Case: c.ID, Asker: c.Asker, Member: id, Status: CandidateListed}))
	}
	if err := second(n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "city_lima"})); complains(err) != "case TOO_MANY" {
		t.Errorf("one more candidate: %v", err)
	}
	if page, err := n.CaseTimeline(n.as("ned"), c.ID, Slice{}); err != nil || len(page.Edges) > maxCandidacies {
		t.Errorf("its timeline: %v", err)
	}
	// Letters: so many to one member, whoever the officer is.
	n.throttle = newThrottle(maxThrottled)
	done := 0
	for i, c := range openCases(n) {
		by := []string{"off", "adm"}[i%2]
		for range 4 {
			err = second(n.WriteToCandidate(n.as(by), WriteToCandidateInput{ID: candidacyID(c.ID, "company_acme"), Text: "x"}))
			if err != nil {
				break
			}
			done++
		}
	}
	if !errors.Is(err, ErrRateLimited) || done != limitWrittenTo.account.burst {
		t.Errorf("%d letters to a member: %v", done, err)
	}
}

func openCases(n *newsroom) []*Case {
	n.t.Helper()
	list, err := n.CaseQueue(n.as("ned"), CaseFilter{Statuses: []CaseStatus{CaseTaken}}, Slice{First: new(100)})
	n.must(err)
	return list.Nodes()
}
