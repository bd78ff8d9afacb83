package marketplace

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// findPartner is a case from its beginning to its end, in which an officer
// proposes a meeting.
func findPartner(ctx context.Context, m *Market) error {
	as := func(a Actor) context.Context { a.Via = "session_x"; return WithViewer(ctx, Viewer{Actor: a}) }
	asker := as(Actor{User: "user_bob", Memberships: []Membership{{Member: "company_rival", Role: RoleEditor}}})
	candidate := as(Actor{User: "user_eve", Memberships: []Membership{{Member: "company_acme", Role: RoleEditor}}})
	officer := as(Actor{User: "user_off", Secretariat: SecretariatOfficer})
	c, err := m.AskForPartner(asker, AskForPartnerInput{Member: "company_rival", Content: Patch{"wanted": en("A partner")}, Key: new("one")})
	if err != nil {
		return err
	}
	if _, err := m.MoveCase(officer, MoveCaseInput{ID: c.ID, Move: TakeCase}); err != nil {
		return err
	}
	d, err := m.AddCandidate(officer, AddCandidateInput{Case: c.ID, Candidate: "company_acme"})
	if err != nil {
		return err
	}
	if _, err := m.WriteToCandidate(officer, WriteToCandidateInput{ID: d.ID, Text: "Hello"}); err != nil {
		return err
	}
	if _, err := m.AnswerCandidacy(candidate, AnswerCandidacyInput{ID: d.ID, IsInterested: true}); err != nil {
		return err
	}
	at := m.clock().Add(72 * time.Hour).Truncate(meetingBlock)
	if _, err := m.ProposeCaseMeeting(officer, ProposeCaseMeetingInput{Candidacy: d.ID, Key: new("one"), Content: Patch{
		"message": en("Shall we?"), "minutes": 30, "format": "ONLINE", "link": "https://meet.example/1", "times": []time.Time{at}}}); err != nil {
		return err
	}
	if _, err := m.MoveCandidate(officer, MoveCandidateInput{ID: d.ID, Move: ChooseCandidate}); err != nil {
		return err
	}
	_, err = m.MoveCase(officer, MoveCaseInput{ID: c.ID, Move: CloseCase, Outcome: new(CasePartnerFound), Partners: []ID{"company_acme"}})
	return err
}

// partnerHolds says what does not fit together in what is left of findPartner.
func partnerHolds(ctx context.Context, m *Market) error {
	c, err := m.Case(ctx, keyedID(KindCase, "user_bob", "one"))
	if err != nil {
		return ignore(err, ErrNotFound) // nothing was done
	}
	want := &CaseTally{}
	d, err := m.Candidacy(ctx, candidacyID(c.ID, "company_acme"))
	switch {
	case err == nil:
		want.count(d)
		if d.IsOver != c.isClosed() {
			return fmt.Errorf("the case is %s, and over for the candidate: %v", c.Status, d.IsOver)
		}
	case !errors.Is(err, ErrNotFound):
		return err
	}
	tally, err := m.CaseTally(ctx, c)
	if err != nil || !tally.same(want) {
		return fmt.Errorf("the tally is %+v instead of %+v: %v", tally, want, err)
	}
	meetings, err := find[*Meeting](ctx, m, KindMeeting, meetingsOfCase(c.ID))
	if err != nil {
		return err
	}
	if n := len(meetings); n > 1 || n == 1 && !d.IsIntroduced {
		return fmt.Errorf("%d meetings with %+v", n, d)
	}
	if d != nil && d.IsIntroduced != (len(meetings) == 1) {
		return fmt.Errorf("introduced: %v, and %d meetings", d.IsIntroduced, len(meetings))
	}
	return nil
}
