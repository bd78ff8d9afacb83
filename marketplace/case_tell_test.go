package marketplace

import (
	"context"
	"strings"
	"testing"
)

// find asks for a partner of Oslo, by odd, and lists Acme as a candidate.
func (n *newsroom) find() (*Case, *Candidacy) {
	n.t.Helper()
	c, err := n.AskForPartner(n.as("odd"), AskForPartnerInput{Member: "city_oslo", Content: Patch{"wanted": en("A pilot partner by 1 May"), "dueOn": "2026-05-01"}})
	n.must(err)
	n.moveCase("off", c, TakeCase)
	d, err := n.AddCandidate(n.as("off"), AddCandidateInput{Case: c.ID, Candidate: "company_acme", Reason: new("zyxsecret reason"), Score: new(0.8)})
	n.must(err)
	return c, d
}

func (n *newsroom) moveCase(by string, c *Case, move CaseMove) {
	n.t.Helper()
	_, err := n.MoveCase(n.as(by), MoveCaseInput{ID: c.ID, Move: move})
	n.must(err)
}

func (n *newsroom) moveCandidate(by string, d *Candidacy, moves ...CandidacyMove) *Candidacy {
	n.t.Helper()
	for _, move := range moves {
		fresh, err := n.MoveCandidate(n.as(by), MoveCandidateInput{ID: d.ID, Move: move})
		n.must(err)
		d = fresh
	}
	return d
}

// Every step of a case, told as a story: what is done, by whom, and who is
// told by letter.
func TestWhoIsToldOfACase(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var c *Case
	var d *Candidacy
	known := map[ID]bool{}
	n.news(known)
	done := map[string]bool{}
	move := func(by string, in MoveCaseInput) func() error {
		return func() error { in.ID = c.ID; return second(n.MoveCase(n.as(by), in)) }
	}
	found, closed := CasePartnerFound, CaseNotFound
	for _, step := range []struct {
		what string
		do   func() error
		told string
	}{
		{"case.ADD", func() (err error) {
			c, err = n.AskForPartner(n.as("odd"), AskForPartnerInput{Member: "city_oslo", Content: Patch{"wanted": en("A pilot partner by 20 March"), "dueOn": "2026-03-20"}})
			return err
		}, "case.ADD: adm off"},
		{"case.EDIT before anybody has it", func() error {
			return second(n.EditCase(n.as("olga"), EditCaseInput{ID: c.ID, Content: Patch{"partnerTypes": []any{"COMPANY"}}}))
		}, "case.EDIT: adm off"},
		{"case.TAKE", move("off", MoveCaseInput{Move: TakeCase}), "case.TAKE: odd olga"},
		{"case.EDIT", func() error {
			return second(n.EditCase(n.as("odd"), EditCaseInput{ID: c.ID, Content: Patch{"regions": []any{"EUROPE"}}}))
		}, "case.EDIT: off"},
		{"case.RELEASE", move("off", MoveCaseInput{Move: ReleaseCase}), "case.RELEASE: adm"},
		{"case.TAKE again", move("off", MoveCaseInput{Move: TakeCase}), "case.TAKE: odd olga"},
		{"case.HAND_OVER", func() error {
			return second(n.HandOverCase(n.as("off"), HandOverCaseInput{ID: c.ID, To: "user_adm", Note: new("zyxsecret")}))
		}, "case.HAND_OVER: odd olga; case.TO_YOU: adm"},
		{"candidacy.ADD", func() (err error) {
			d, err = n.AddCandidate(n.as("adm"), AddCandidateInput{Case: c.ID, Candidate: "company_acme"})
			return err
		}, ""},
		{"candidacy.WRITE", func() error {
			return second(n.WriteToCandidate(n.as("adm"), WriteToCandidateInput{ID: d.ID, Text: "A city looks for you.\n\nDo you want to meet?"}))
		}, "candidacy.WRITE: ann eve"},
		{"candidacy.ANSWER", func() error {
			return second(n.AnswerCandidacy(n.as("eve"), AnswerCandidacyInput{ID: d.ID, IsInterested: true, Note: new("zyxsecret")}))
		}, "candidacy.ANSWER: adm"},
		{"candidacy.INTRODUCE", func() error { n.moveCandidate("adm", d, IntroduceCandidate); return nil }, "candidacy.INTRODUCE: odd olga; candidacy.INTRODUCED: ann eve"},
		{"candidacy.CHOOSE", func() error { n.moveCandidate("adm", d, ChooseCandidate); return nil }, "candidacy.CHOOSE: odd olga; candidacy.CHOSEN: ann eve"},
		{"case.DUE_SOON", func() error { n.time = n.at(12 * 24); return nil }, "case.DUE_SOON: adm"},
		{"case.DUE_SOON once", func() error { n.time = n.at(17 * 24); return nil }, ""},
		{"case.OVERDUE", func() error { n.time = n.at(19 * 24); return nil }, "case.OVERDUE: adm"},
		{"case.OVERDUE a week later", func() error { n.time = n.at(26 * 24); return nil }, "case.OVERDUE: adm"},
		{"case.CLOSE", move("adm", MoveCaseInput{Move: CloseCase, Outcome: &found, Partners: []ID{"company_acme"}}), "case.CLOSE: odd olga"},
		{"case.OVERDUE no more", func() error { n.time = n.at(60 * 24); return nil }, ""},
		{"case.REOPEN by the asker", move("olga", MoveCaseInput{Move: ReopenCase}), "case.REOPEN: adm off; case.REOPENED: odd"},
		{"case.OVERDUE while nobody has it", func() error { n.time = n.at(67 * 24); return nil }, "case.OVERDUE: adm off"},
		{"case.WITHDRAW", move("odd", MoveCaseInput{Move: WithdrawCase, Note: new("We have one.")}), "case.WITHDRAW: adm off"},
		{"case.REOPEN by an officer", move("off", MoveCaseInput{Move: ReopenCase}), "case.REOPEN: adm; case.REOPENED: odd olga"},
		{"case.CLOSE what nobody has taken", move("off", MoveCaseInput{Move: CloseCase, Outcome: &closed, Note: new("There is none.")}), "case.CLOSE: odd olga"},
	} {
		done[n.play(known, step.what, step.do, step.told)] = true
	}
	for event := range rules {
		if (strings.HasPrefix(event, "case.") || strings.HasPrefix(event, "candidacy.")) && !done[event] {
			t.Errorf("%s is not in the story", event)
		}
	}
	n.sentences()
	letters, _ := n.box.take()
	written := 0
	for _, l := range letters {
		if strings.Contains(l.Text+l.HTML+l.Subject, "zyxsecret") {
			t.Errorf("a letter to %s says what is for others:\n%s", l.To, l.Text)
		}
		if strings.Contains(l.Text, "A city looks for you.\n\nDo you want to meet?") {
			written++
		}
	}
	if written != 2 {
		t.Errorf("what was written to the candidate is in %d letters", written)
	}
}

// The statistics of officers follow from their cases.
func TestOfficersAreCounted(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	count := func() map[ID]*OfficerFigures {
		n.must(n.CatchUp(context.Background()))
		list, err := n.OfficerStatistics(n.as("ned"), "2026-03", "2026-03")
		n.must(err)
		out := map[ID]*OfficerFigures{}
		for _, f := range list {
			out[f.Officer] = f
		}
		return out
	}
	var cases []*Case
	for i := range 3 {
		c, d := n.find()
		cases = append(cases, c)
		n.time = n.at(float64(12 + 24*i))
		n.moveCandidate("off", d, ContactCandidate) // after 12, 24, 24 hours
	}
	n.time = n.at(36 + 24*5)
	none := CaseNotFound
	for _, c := range cases[:2] { // asked for at 0 and 12: closed after 156 and 144 hours
		n.must(second(n.MoveCase(n.as("adm"), MoveCaseInput{ID: c.ID, Move: CloseCase, Outcome: &none, Note: new("There is none.")})))
	}
	_, err := n.AskForPartner(n.as("odd"), AskForPartnerInput{Member: "city_oslo", Content: Patch{"wanted": en("Another one")}})
	n.must(err)
	got := count()
	f := got["user_off"]
	if f == nil || f.Cases != 3 || f.Open != 1 || f.NotFound != 2 || f.PartnerFound+f.OutOfScope+f.Withdrawn != 0 || *f.DaysToContact != 1 || *f.DaysToClose != 6 {
		t.Errorf("%+v", f)
	}
	if f := got[""]; len(got) != 2 || f == nil || f.Cases != 1 || f.Open != 1 || f.DaysToContact != nil || f.DaysToClose != nil {
		t.Errorf("%+v", f)
	}
	if list, err := n.OfficerStatistics(n.as("off"), "2026-02", "2026-02"); err != nil || len(list) != 0 {
		t.Errorf("another month: %v %v", list, err)
	}
}
