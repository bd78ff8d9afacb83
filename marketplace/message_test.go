package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "citymarket/marketplace"
)

// write writes a message on a proposal: to all, or between Oslo and a company.
func (m *trade) write(t *testing.T, who string, proposal ID, company ID, text string) *Message {
	t.Helper()
	in := WriteMessageInput{Proposal: proposal, Text: text}
	if company != "" {
		in.Company = &company
	}
	d, err := m.WriteMessage(by(t, who), in)
	must(t, err)
	return d
}

func TestWhoMayDoWhatWithAMessage(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	speakers := []string{"acme editor", "acme owner", "oslo editor", "oslo owner", "rival owner", "lima owner", "officer", "admin"}
	sides := []string{"acme editor", "acme owner", "oslo editor", "oslo owner", "officer", "admin"}
	members := append([]string{"acme viewer", "oslo viewer", "rival viewer", "lima viewer", "sec editor"}, speakers...)
	readers := append([]string{"acme viewer", "oslo viewer", "sec editor"}, sides...)
	open := m.proposal(t, ProposalPublished, nil)
	closed := m.proposal(t, ProposalClosed, nil)
	acme := ID("company_acme")
	m.write(t, "acme editor", open, acme, "May we ask?")
	toAll := func(t *testing.T) ID { return m.write(t, "acme editor", open, "", "Who has done this?").ID }
	toOslo := func(t *testing.T) ID { return m.write(t, "acme editor", open, acme, "Only for you.").ID }
	see := func(id func(*testing.T) ID) func(*testing.T, context.Context) error {
		return func(t *testing.T, ctx context.Context) error { _, err := m.Node(ctx, id(t)); return err }
	}
	remove := func(id func(*testing.T) ID) func(*testing.T, context.Context) error {
		return func(t *testing.T, ctx context.Context) error {
			_, err := m.RemoveMessage(ctx, RemoveMessageInput{ID: id(t)})
			return err
		}
	}
	report := func(id func(*testing.T) ID) func(*testing.T, context.Context) error {
		return func(t *testing.T, ctx context.Context) error {
			return m.ReportMessage(ctx, ReportMessageInput{Message: id(t), Reason: "It is rude."})
		}
	}
	reported := func(t *testing.T) ID {
		must(t, report(toAll)(t, by(t, "lima viewer")))
		page, err := m.Reports(by(t, "officer"), nil, Slice{First: new(1)})
		must(t, err)
		return page.Edges[0].Node.ID
	}
	m.tryAll(t, []verb{
		{"write to all", speakers, func(t *testing.T, ctx context.Context) error {
			_, err := m.WriteMessage(ctx, WriteMessageInput{Proposal: open, Text: "Hello"})
			return err
		}},
		{"write to all on what is closed", speakers, func(t *testing.T, ctx context.Context) error {
			_, err := m.WriteMessage(ctx, WriteMessageInput{Proposal: closed, Text: "Hello"})
			return err
		}},
		{"write between two", sides, func(t *testing.T, ctx context.Context) error {
			_, err := m.WriteMessage(ctx, WriteMessageInput{Proposal: open, Company: &acme, Text: "Hello"})
			return err
		}},
		{"write for acme", []string{"acme editor", "acme owner"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.WriteMessage(ctx, WriteMessageInput{Proposal: open, As: &acme, Text: "Hello"})
			return err
		}},
		{"begin between two", []string{"acme editor", "acme owner", "officer", "admin"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.WriteMessage(ctx, WriteMessageInput{Proposal: m.proposal(t, ProposalPublished, nil), Company: &acme, Text: "Hello"})
			if hasCode(err, "INVALID") {
				return ErrForbidden // for the city the other one must begin
			}
			return err
		}},
		{"see what is to all", members, see(toAll)},
		{"see what is between two", readers, see(toOslo)},
		{"edit", []string{"acme editor"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.EditMessage(ctx, EditMessageInput{ID: toAll(t), Text: "Otherwise"})
			return err
		}},
		{"remove", []string{"acme editor", "officer", "admin"}, remove(toAll)},
		{"remove between two", []string{"acme editor", "officer", "admin"}, remove(toOslo)},
		{"report", members, report(toAll)},
		{"report between two", readers, report(toOslo)},
		{"list reports", []string{"sec editor", "officer", "admin"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.Reports(ctx, nil, Slice{})
			return err
		}},
		{"see a report", []string{"sec editor", "officer", "admin"}, see(reported)},
		{"dismiss a report", []string{"officer", "admin"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.ResolveReport(ctx, ResolveReportInput{ID: reported(t), Move: "DISMISS"})
			return err
		}},
		{"uphold a report", []string{"officer", "admin"}, func(t *testing.T, ctx context.Context) error {
			_, err := m.ResolveReport(ctx, ResolveReportInput{ID: reported(t), Move: "REMOVE"})
			return err
		}},
	})
}

// A thread between a city and a company needs somebody who has a reason to
// begin it; then it goes on whatever becomes of the proposal.
func TestWhoBeginsAThread(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	acme := ID("company_acme")
	try := func(who string, proposal ID) error {
		m.later(time.Hour)
		_, err := m.WriteMessage(by(t, who), WriteMessageInput{Proposal: proposal, Company: &acme, Text: "Hello"})
		return err
	}
	step := func(proposal ID, move ProposalMove) {
		t.Helper()
		_, err := m.MoveProposal(by(t, "oslo owner"), MoveProposalInput{ID: proposal, Move: move})
		must(t, err)
	}
	for _, c := range []struct {
		name    string
		company bool // can begin
		city    bool // can begin
		prepare func(proposal ID)
	}{
		{"nothing has happened", true, false, func(ID) {}},
		{"the company has written to all", true, true, func(r ID) { m.write(t, "acme owner", r, "", "Interesting.") }},
		{"another company has written to all", true, false, func(r ID) { m.write(t, "rival owner", r, "", "Interesting.") }},
		{"the company has made an offer", true, true, func(r ID) { m.offer(t, "acme", r, OfferWithdrawn) }},
		{"it is closed", false, false, func(r ID) { step(r, "CLOSE") }},
		{"it is closed, with an offer", true, true, func(r ID) { m.offer(t, "acme", r, OfferSubmitted); step(r, "CLOSE") }},
		{"it is a draft again, with an offer", false, true, func(r ID) { m.offer(t, "acme", r, OfferSubmitted); step(r, "REVISE") }},
		{"it is a draft again, with a thread", true, true, func(r ID) { m.write(t, "acme owner", r, acme, "Hello"); step(r, "REVISE") }},
	} {
		for who, want := range map[string]bool{"acme editor": c.company, "oslo editor": c.city, "officer": true} {
			m.later(time.Hour)
			r := m.proposal(t, ProposalPublished, nil)
			c.prepare(r)
			if err := try(who, r); want != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %s writes: %v", c.name, who, err)
			}
		}
	}
	secret := m.proposal(t, ProposalDraft, nil)
	for _, who := range []string{"acme editor", "rival owner", "stranger"} {
		if err := try(who, secret); !hasCode(err, "NOT_FOUND") {
			t.Errorf("%s learns that there is a draft: %v", who, err)
		}
	}
	if _, err := m.WriteMessage(by(t, "oslo editor"), WriteMessageInput{Proposal: secret, Text: "Hello"}); !hasCode(err, "INVALID") {
		t.Errorf("a draft was discussed: %v", err)
	}
}

// A message says on whose behalf it is; where that can be several, it must be said.
func TestOnWhoseBehalf(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	r := m.proposal(t, ProposalPublished, nil)
	both := Actor{User: userNamed("acme owner"), Memberships: []Membership{{Member: "company_acme", Role: RoleOwner}, {Member: "city_lima", Role: RoleEditor}, {Member: "company_rival", Role: RoleViewer}}}
	acme := ID("company_acme")
	if _, err := m.WriteMessage(as(both), WriteMessageInput{Proposal: r, Text: "Hello"}); !hasCode(err, "REQUIRED") {
		t.Errorf("for nobody in particular: %v", err)
	}
	d, err := m.WriteMessage(as(both), WriteMessageInput{Proposal: r, As: new(ID("city_lima")), Text: "Hello"})
	if err != nil || d.Member != "city_lima" || d.AuthorName != "acme owner" {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := m.WriteMessage(as(both), WriteMessageInput{Proposal: r, As: new(ID("company_rival")), Text: "Hello"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a viewer wrote: %v", err)
	}
	if d, err := m.WriteMessage(as(both), WriteMessageInput{Proposal: r, Company: &acme, Text: "Hello"}); err != nil || d.Member != acme {
		t.Errorf("only one of them is a side: %+v %v", d, err)
	}
	if _, err := m.WriteMessage(as(both), WriteMessageInput{Proposal: r, Company: &acme, As: new(ID("city_lima")), Text: "Hello"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a third wrote between two: %v", err)
	}
	if d := m.write(t, "officer", r, "", "Welcome"); !d.IsFromSecretariat() {
		t.Errorf("%+v", d)
	}
}

// What a message holds is checked; who is mentioned can read it.
func TestWhatAMessageHolds(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	r := m.proposal(t, ProposalPublished, nil)
	other := m.write(t, "acme editor", m.proposal(t, ProposalPublished, nil), "", "Elsewhere")
	acme := ID("company_acme")
	for _, c := range []struct {
		name, path, code string
		in               WriteMessageInput
	}{
		{"nothing", "text", "REQUIRED", WriteMessageInput{Text: " "}},
		{"too much", "text", "TOO_LONG", WriteMessageInput{Text: strings.Repeat("가", 5001)}},
		{"a language that is none", "language[0]", "INVALID", WriteMessageInput{Text: "Hello", Language: new(Language("english"))}},
		{"an answer elsewhere", "replyTo", "NOT_FOUND", WriteMessageInput{Text: "Hello", ReplyTo: &other.ID}},
		{"a city in place of a company", "company", "INVALID", WriteMessageInput{Text: "Hello", Company: new(ID("city_lima"))}},
		{"a topic mentioned", "mentions[0]", "INVALID", WriteMessageInput{Text: "Hello", Mentions: []ID{"topic_mobility"}}},
		{"somebody mentioned twice", "mentions[1]", "DUPLICATE", WriteMessageInput{Text: "Hello", Mentions: []ID{acme, acme}}},
		{"a stranger mentioned", "mentions[1]", "NOT_FOUND", WriteMessageInput{Text: "Hello", Mentions: []ID{acme, userNamed("stranger")}}},
		{"nobody mentioned", "mentions[0]", "NOT_FOUND", WriteMessageInput{Text: "Hello", Mentions: []ID{"user_nobody"}}},
		{"a third member mentioned between two", "mentions[0]", "NOT_FOUND", WriteMessageInput{Text: "Hello", Company: &acme, Mentions: []ID{"company_rival"}}},
		{"a third user mentioned between two", "mentions[0]", "NOT_FOUND", WriteMessageInput{Text: "Hello", Company: &acme, Mentions: []ID{userNamed("lima owner")}}},
		{"a crowd mentioned", "mentions", "TOO_MANY", WriteMessageInput{Text: "Hello", Mentions: slices.Repeat([]ID{acme}, 21)}},
	} {
		m.later(time.Minute)
		c.in.Proposal = r
		_, err := m.WriteMessage(by(t, "acme editor"), c.in)
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || invalid.Errors[0].Path != c.path || invalid.Errors[0].Code != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	d, err := m.WriteMessage(by(t, "acme editor"), WriteMessageInput{Proposal: r, Company: &acme, Text: strings.Repeat("가", 5000), Language: new(Language("ko")),
		Mentions: []ID{"city_oslo", userNamed("oslo viewer"), userNamed("sec editor")}, Key: new("once")})
	must(t, err)
	if got := fmt.Sprint(d.Mentions); got != "[{city_oslo Oslo} {user_oslo-viewer oslo viewer} {user_sec-editor sec editor}]" {
		t.Errorf("mentions %s", got)
	}
	again, err := m.WriteMessage(by(t, "acme editor"), WriteMessageInput{Proposal: r, Company: &acme, Text: "Hello", Key: new("once")})
	if err != nil || again.ID != d.ID || again.Text != d.Text {
		t.Errorf("the same key wrote %+v, %v", again, err)
	}
	if d, err = m.WriteMessage(by(t, "oslo editor"), WriteMessageInput{Proposal: r, Company: &acme, Text: "Yes", ReplyTo: &d.ID}); err != nil || d.ReplyTo != again.ID {
		t.Errorf("%+v %v", d, err)
	}
}

// For 15 minutes an author can say it otherwise; what is removed has no words.
func TestMessagesAreEditedAndRemoved(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	r := m.proposal(t, ProposalPublished, nil)
	d, err := m.WriteMessage(by(t, "acme editor"), WriteMessageInput{Proposal: r, Text: "Helo", Mentions: []ID{"city_oslo"}, Language: new(Language("en"))})
	must(t, err)
	m.later(15*time.Minute - time.Second)
	if can := m.MessagePermissions(by(t, "acme editor"), d); !can.Edit || !can.Remove || !can.Report {
		t.Errorf("in the last second: %+v", can)
	}
	d, err = m.EditMessage(by(t, "acme editor"), EditMessageInput{ID: d.ID, Version: new(1), Text: "Hello"})
	if err != nil || d.Text != "Hello" || d.EditedAt == nil || len(d.Mentions) != 0 {
		t.Fatalf("%+v %v", d, err)
	}
	m.later(time.Second)
	if can := m.MessagePermissions(by(t, "acme editor"), d); can.Edit {
		t.Errorf("after the last second: %+v", can)
	}
	if _, err := m.EditMessage(by(t, "acme editor"), EditMessageInput{ID: d.ID, Text: "Bye"}); !hasCode(err, "OUT_OF_RANGE") {
		t.Errorf("edited too late: %v", err)
	}
	other := m.write(t, "acme editor", r, "", "Rude words")
	for _, c := range []struct {
		who string
		id  ID
		by  RemovedBy
	}{{"acme editor", d.ID, RemovedByAuthor}, {"officer", other.ID, RemovedBySecretariat}} {
		got, err := m.RemoveMessage(by(t, c.who), RemoveMessageInput{ID: c.id})
		must(t, err)
		if got.Removal == nil || got.Removal.By != c.by || got.Words() != nil || got.Language != nil || len(got.Mentions) != 0 || got.AuthorName != "acme editor" {
			t.Errorf("removed by %s: %+v", c.who, got)
		}
		if can := m.MessagePermissions(by(t, "acme editor"), got); *can != (MessagePermissions{}) {
			t.Errorf("removed: %+v", can)
		}
		for name, err := range map[string]error{
			"removed":  second(m.RemoveMessage(by(t, "officer"), RemoveMessageInput{ID: c.id})),
			"edited":   second(m.EditMessage(by(t, "acme editor"), EditMessageInput{ID: c.id, Text: "Back"})),
			"reported": m.ReportMessage(by(t, "lima viewer"), ReportMessageInput{Message: c.id, Reason: "It is rude."}),
		} {
			if !hasCode(err, "INVALID") {
				t.Errorf("%s after it was removed: %v", name, err)
			}
		}
	}
	page, err := m.Messages(by(t, "lima viewer"), r, nil, Slice{})
	if err != nil || len(page.Edges) != 2 {
		t.Errorf("their places: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Complaints about a message come together in one report, which only the
// secretariat sees; what was dismissed is opened again by somebody else's.
func TestReports(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	d := m.write(t, "rival owner", m.proposal(t, ProposalPublished, nil), "", "Rude words")
	complain := func(who string) {
		t.Helper()
		must(t, m.ReportMessage(by(t, who), ReportMessageInput{Message: d.ID, Reason: "It is rude, says " + who}))
	}
	report := func(state ReportState, complaints int) *Report {
		t.Helper()
		page, err := m.Reports(by(t, "sec editor"), []ReportState{state}, Slice{})
		must(t, err)
		if len(page.Edges) != 1 || len(page.Edges[0].Node.Complaints) != complaints {
			t.Fatalf("%d reports that are %s", len(page.Edges), state)
		}
		return page.Edges[0].Node
	}
	if err := m.ReportMessage(by(t, "acme viewer"), ReportMessageInput{Message: d.ID}); !hasCode(err, "REQUIRED") {
		t.Errorf("without a reason: %v", err)
	}
	var wg sync.WaitGroup
	for _, who := range []string{"acme viewer", "lima viewer", "acme viewer", "oslo editor"} {
		wg.Go(func() {
			if err := m.ReportMessage(by(t, who), ReportMessageInput{Message: d.ID, Reason: "It is rude"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r := report(ReportOpen, 3)
	if _, err := m.ResolveReport(by(t, "officer"), ResolveReportInput{ID: r.ID, Move: "DISMISS", Note: new("Blunt, not rude.")}); err != nil {
		t.Fatal(err)
	}
	complain("acme viewer")
	if r = report(ReportDismissed, 3); r.ResolvedBy != userNamed("officer") || *r.Note != "Blunt, not rude." {
		t.Errorf("%+v", r)
	}
	complain("lima owner")
	r = report(ReportOpen, 4)
	if _, err := m.ResolveReport(by(t, "officer"), ResolveReportInput{ID: r.ID, Version: new(1), Move: "REMOVE"}); !errors.Is(err, ErrStale) {
		t.Errorf("decided on what was not read: %v", err)
	}
	if _, err := m.ResolveReport(by(t, "officer"), ResolveReportInput{ID: r.ID, Version: new(r.Version()), Move: "REMOVE"}); err != nil {
		t.Fatal(err)
	}
	report(ReportUpheld, 4)
	if got, err := m.Message(by(t, "rival owner"), d.ID); err != nil || got.Removal == nil || got.Removal.By != RemovedBySecretariat {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := m.ResolveReport(by(t, "officer"), ResolveReportInput{ID: r.ID, Move: "DISMISS"}); !hasCode(err, "INVALID") {
		t.Errorf("decided twice: %v", err)
	}
}

// Each reader lists the threads and messages that are theirs; nothing tells
// the others how many there are.
func TestWhoFindsWhichMessages(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	one, two := m.proposal(t, ProposalPublished, nil), m.proposal(t, ProposalPublished, nil)
	names := map[ID]string{}
	say := func(who string, proposal, company ID, thread string) {
		t.Helper()
		m.later(time.Minute)
		names[m.write(t, who, proposal, company, thread).Thread] = thread
	}
	say("acme owner", one, "company_acme", "acme1")
	say("lima owner", one, "", "all1")
	say("rival owner", one, "company_rival", "rival1")
	say("acme owner", two, "", "all2")
	say("acme owner", two, "company_acme", "acme2")
	say("oslo owner", one, "company_acme", "acme1")
	if _, err := m.MoveProposal(by(t, "oslo owner"), MoveProposalInput{ID: two, Move: "REVISE"}); err != nil {
		t.Fatal(err)
	}
	of := map[string]ID{"one": one, "two": two, "acme": "company_acme", "oslo": "city_oslo", "none": "proposal_none"}
	for _, c := range []struct{ who, of, want string }{
		{"oslo viewer", "one", "acme1 rival1 all1"}, {"sec editor", "one", "acme1 rival1 all1"}, {"acme viewer", "one", "acme1 all1"},
		{"rival viewer", "one", "rival1 all1"}, {"lima viewer", "one", "all1"}, {"stranger", "one", ""}, {"visitor", "one", ""},
		{"oslo viewer", "two", "acme2 all2"}, {"acme viewer", "two", "acme2"}, {"rival owner", "two", ""}, {"lima owner", "two", ""}, {"officer", "two", "acme2 all2"},
		{"acme editor", "acme", "acme1 acme2"}, {"oslo owner", "acme", ""}, {"visitor", "acme", ""},
		{"oslo editor", "oslo", "acme1 acme2 all2 rival1 all1"}, {"acme owner", "oslo", ""}, {"officer", "none", ""},
	} {
		page, err := m.Threads(by(t, c.who), of[c.of], Slice{})
		must(t, err)
		var got []string
		for _, th := range page.Nodes() {
			got = append(got, names[th.ID])
		}
		if strings.Join(got, " ") != c.want || page.PageInfo.HasNextPage {
			t.Errorf("threads of %s for %s: %v, want %s", c.of, c.who, got, c.want)
		}
	}
	if _, err := m.Threads(by(t, "officer"), "topic_mobility", Slice{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("threads of a topic: %v", err)
	}
	for _, c := range []struct {
		who      string
		proposal ID
		company  ID
		want     string
	}{
		{"oslo viewer", one, "company_acme", "acme owner, oslo owner"}, {"acme viewer", one, "company_acme", "acme owner, oslo owner"},
		{"sec editor", one, "company_acme", "acme owner, oslo owner"}, {"rival owner", one, "company_acme", ""}, {"visitor", one, "company_acme", ""},
		{"rival viewer", one, "", "lima owner"}, {"lima viewer", one, "", "lima owner"}, {"stranger", one, "", ""}, {"visitor", one, "", ""},
		{"acme viewer", two, "company_acme", "acme owner"}, {"acme viewer", two, "", ""}, {"oslo viewer", two, "", "acme owner"},
	} {
		in := &c.company
		if c.company == "" {
			in = nil
		}
		page, err := m.Messages(by(t, c.who), c.proposal, in, Slice{})
		must(t, err)
		var got []string
		for _, d := range page.Nodes() {
			got = append(got, d.AuthorName)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("messages with %q for %s: %v, want %s", c.company, c.who, got, c.want)
		}
		if page, err := m.Messages(by(t, c.who), c.proposal, in, Slice{Last: new(0)}); err != nil || c.want == "" && page.PageInfo.HasPreviousPage {
			t.Errorf("%s learns that there are messages: %v", c.who, err)
		}
	}
}
