package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "citymarket/marketplace"
)

// A trade is a marketplace with two cities, two companies with a published
// solution each, people of all roles, and a clock that stands still.
type trade struct {
	*Market
	clock atomic.Int64
	n     int
}

// The people of a trade. Others are of a company and a city of their own.
var cast = []struct {
	name  string
	actor Actor
}{
	{"visitor", Actor{}},
	{"stranger", person("stranger")},
	{"acme viewer", person("acme viewer", Membership{Member: "company_acme", Role: RoleViewer})},
	{"acme editor", person("acme editor", Membership{Member: "company_acme", Role: RoleEditor})},
	{"acme owner", person("acme owner", Membership{Member: "company_acme", Role: RoleOwner})},
	{"oslo viewer", person("oslo viewer", Membership{Member: "city_oslo", Role: RoleViewer})},
	{"oslo editor", person("oslo editor", Membership{Member: "city_oslo", Role: RoleEditor})},
	{"oslo owner", person("oslo owner", Membership{Member: "city_oslo", Role: RoleOwner})},
	{"rival viewer", person("rival viewer", Membership{Member: "company_rival", Role: RoleViewer})},
	{"rival owner", person("rival owner", Membership{Member: "company_rival", Role: RoleOwner})},
	{"lima viewer", person("lima viewer", Membership{Member: "city_lima", Role: RoleViewer})},
	{"lima owner", person("lima owner", Membership{Member: "city_lima", Role: RoleOwner})},
	{"sec editor", secretary("sec editor", SecretariatEditor)},
	{"officer", secretary("officer", SecretariatOfficer)},
	{"admin", secretary("admin", SecretariatAdmin)},
}

func person(name string, of ...Membership) Actor {
	return Actor{User: userNamed(name), Memberships: of, Via: "session_test"}
}

func secretary(name string, role SecretariatRole) Actor {
	return Actor{User: userNamed(name), Secretariat: role, Via: "session_test"}
}

func userNamed(name string) ID { return ID("user_" + strings.ReplaceAll(name, " ", "-")) }

// by is the context of somebody of the cast.
func by(t *testing.T, name string) context.Context {
	t.Helper()
	for _, c := range cast {
		if c.name == name {
			return as(c.actor)
		}
	}
	t.Fatalf("nobody is called %s", name)
	return nil
}

func newTrade(t *testing.T) *trade {
	t.Helper()
	m := &trade{Market: newMarket(t)}
	m.clock.Store(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	m.SetClock(func() time.Time { return time.Unix(0, m.clock.Load()) })
	lima := &City{Meta: Meta{ID: "city_lima", Slug: "lima"}, TimeZone: "America/Lima"}
	lima.Name, lima.Country, lima.Region = english("Lima"), "PE", "AMERICAS"
	must(t, m.AddCity(as(System), lima))
	for _, company := range []string{"acme", "rival"} {
		s := draft(company + "-sensors")
		s.ID, s.Company, s.Status = ID("solution_"+company), ID("company_"+company), SolutionPublished
		must(t, m.AddSolution(as(System), s))
	}
	for _, c := range cast {
		if c.actor.User == "" {
			continue
		}
		u := &User{Meta: Meta{ID: c.actor.User}, Name: c.name, Email: strings.ReplaceAll(c.name, " ", ".") + "@example.org"}
		for _, of := range c.actor.Memberships {
			u.Members = append(u.Members, of.Member)
		}
		must(t, m.PlaceUser(as(System), u))
		if c.actor.Secretariat != "" {
			must(t, m.PlaceInTeam(as(System), "", u.ID, TeamRole(c.actor.Secretariat)))
		}
	}
	return m
}

// later moves the clock.
func (m *trade) later(d time.Duration) { m.clock.Add(int64(d)) }

// proposal is a new one of Oslo.
func (m *trade) proposal(t *testing.T, status ProposalStatus, deadline *Date) ID {
	t.Helper()
	return m.proposalOf(t, "city_oslo", status, deadline)
}

func (m *trade) proposalOf(t *testing.T, city ID, status ProposalStatus, deadline *Date) ID {
	t.Helper()
	m.n++
	r := &Proposal{Meta: Meta{Slug: fmt.Sprintf("need-%d", m.n)}, City: city, Status: status, Stage: "NEED", Funding: "NONE",
		Title: english("Less noise"), Problem: english("It is loud."), Topics: []ID{"topic_mobility"}, Deadline: deadline}
	must(t, m.AddProposal(as(System), r))
	return r.ID
}

// offer is a new one of a company, in a state.
func (m *trade) offer(t *testing.T, company string, proposal ID, status OfferStatus) ID {
	t.Helper()
	o, err := m.MakeOffer(by(t, company+" owner"), MakeOfferInput{Proposal: proposal, Solution: ID("solution_" + company), Content: Patch{"message": english("We can help.")}})
	must(t, err)
	steps := map[OfferStatus]OfferMove{OfferShortlisted: "SHORTLIST", OfferDeclined: "DECLINE", OfferTaken: "TAKE", OfferWithdrawn: "WITHDRAW"}
	if step := steps[status]; step != "" {
		who := "oslo owner"
		if status == OfferWithdrawn {
			who = company + " owner"
		}
		_, err := m.MoveOffer(by(t, who), MoveOfferInput{ID: o.ID, Move: step, Reason: new("as it is")})
		must(t, err)
	}
	return o.ID
}

// A verb is something that everybody of the cast tries.
type verb struct {
	name string
	may  []string
	do   func(t *testing.T, ctx context.Context) error
}

// tryAll has everybody of the cast try each verb. Who may not is refused as
// forbidden, or finds nothing, also as the mistake of a field.
func (m *trade) tryAll(t *testing.T, verbs []verb) {
	t.Helper()
	for _, v := range verbs {
		for _, c := range cast {
			m.later(time.Hour)
			err := v.do(t, as(c.actor))
			if want := slices.Contains(v.may, c.name); want != (err == nil) {
				t.Errorf("%s by %s: %v", v.name, c.name, err)
			} else if err != nil && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrNotFound) && !hasCode(err, "NOT_FOUND") {
				t.Errorf("%s by %s: %v", v.name, c.name, err)
			}
		}
	}
}

func hasCode(err error, code string) bool {
	invalid, ok := errors.AsType[*InvalidError](err)
	return ok && invalid.Errors[0].Code == code
}

func TestWhoMayDoWhatWithAnOffer(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	bothSides := []string{"acme viewer", "acme editor", "acme owner", "oslo viewer", "oslo editor", "oslo owner", "sec editor", "officer", "admin"}
	company := []string{"acme editor", "acme owner"}
	city := []string{"oslo editor", "oslo owner"}
	move := func(step OfferMove, from OfferStatus, proposal ProposalStatus) func(*testing.T, context.Context) error {
		return func(t *testing.T, ctx context.Context) error {
			r := m.proposal(t, ProposalPublished, nil)
			id := m.offer(t, "acme", r, from)
			if proposal == ProposalClosed {
				_, err := m.MoveProposal(by(t, "oslo owner"), MoveProposalInput{ID: r, Move: "CLOSE"})
				must(t, err)
			}
			_, err := m.MoveOffer(ctx, MoveOfferInput{ID: id, Move: step, Reason: new("because")})
			return err
		}
	}
	m.tryAll(t, []verb{
		{"make", company, func(t *testing.T, ctx context.Context) error {
			_, err := m.MakeOffer(ctx, MakeOfferInput{Proposal: m.proposal(t, ProposalPublished, nil), Solution: "solution_acme", Content: Patch{"message": english("Hello")}})
			return err
		}},
		{"see", bothSides, func(t *testing.T, ctx context.Context) error {
			_, err := m.Node(ctx, m.offer(t, "acme", m.proposal(t, ProposalPublished, nil), OfferSubmitted))
			return err
		}},
		{"see what is withdrawn", bothSides, func(t *testing.T, ctx context.Context) error {
			_, err := m.Node(ctx, m.offer(t, "acme", m.proposal(t, ProposalPublished, nil), OfferWithdrawn))
			return err
		}},
		{"edit", company, func(t *testing.T, ctx context.Context) error {
			id := m.offer(t, "acme", m.proposal(t, ProposalPublished, nil), OfferSubmitted)
			_, err := m.EditOffer(ctx, EditOfferInput{ID: id, Content: Patch{"message": english("Better")}})
			return err
		}},
		{"shortlist", city, move("SHORTLIST", OfferSubmitted, ProposalPublished)},
		{"shortlist after all", city, move("SHORTLIST", OfferDeclined, ProposalClosed)},
		{"decline", city, move("DECLINE", OfferSubmitted, ProposalPublished)},
		{"take", city, move("TAKE", OfferSubmitted, ProposalPublished)},
		{"take after closing", city, move("TAKE", OfferShortlisted, ProposalClosed)},
		{"withdraw", company, move("WITHDRAW", OfferSubmitted, ProposalPublished)},
		{"withdraw after closing", company, move("WITHDRAW", OfferShortlisted, ProposalClosed)},
	})
}

// The life of an offer: each step from each state, and what remains of it.
func TestOffersFollowTheTable(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	for _, c := range []struct {
		from OfferStatus
		open string // steps that can be taken, by the city and by the company
	}{
		{OfferSubmitted, "SHORTLIST DECLINE TAKE WITHDRAW"},
		{OfferShortlisted, "DECLINE TAKE WITHDRAW"},
		{OfferDeclined, "SHORTLIST"},
		{OfferTaken, ""},
		{OfferWithdrawn, ""},
	} {
		for _, step := range []struct {
			move OfferMove
			by   string
		}{{"SHORTLIST", "oslo owner"}, {"DECLINE", "oslo owner"}, {"TAKE", "oslo owner"}, {"WITHDRAW", "acme owner"}} {
			m.later(time.Hour)
			id := m.offer(t, "acme", m.proposal(t, ProposalPublished, nil), c.from)
			o, err := m.Offer(by(t, step.by), id)
			must(t, err)
			can, err := m.OfferPermissions(by(t, step.by), o)
			must(t, err)
			want := strings.Contains(c.open, string(step.move))
			if slices.Contains(can.Moves, step.move) != want {
				t.Errorf("%s of %s is offered: %v", step.move, c.from, can.Moves)
			}
			got, err := m.MoveOffer(by(t, step.by), MoveOfferInput{ID: id, Move: step.move, Reason: new("so")})
			if want != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s of %s: %v", step.move, c.from, err)
			}
			if err == nil && (got.DecidedAt != nil) != (step.move == "TAKE" || step.move == "DECLINE") {
				t.Errorf("%s of %s: decided at %v", step.move, c.from, got.DecidedAt)
			}
		}
	}
	m.later(time.Hour)
	r := m.proposal(t, ProposalPublished, nil)
	id, other := m.offer(t, "acme", r, OfferSubmitted), m.offer(t, "rival", r, OfferSubmitted)
	if _, err := m.MoveOffer(by(t, "oslo editor"), MoveOfferInput{ID: id, Move: "DECLINE"}); !hasCode(err, "REQUIRED") {
		t.Errorf("declined without a reason: %v", err)
	}
	if _, err := m.MoveOffer(by(t, "oslo editor"), MoveOfferInput{ID: id, Move: "TAKE"}); err != nil {
		t.Error(err)
	}
	if o, err := m.Offer(by(t, "rival viewer"), other); err != nil || o.Status != OfferSubmitted {
		t.Errorf("taking one decided on the other: %+v %v", o, err)
	}
}

// What can be offered: a published solution, once until it is withdrawn.
func TestWhatCanBeOffered(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	s := draft("secret")
	must(t, m.AddSolution(as(acme), s))
	hidden := m.proposal(t, ProposalDraft, nil)
	r := m.proposal(t, ProposalPublished, nil)
	hello := Patch{"message": english("Hello")}
	for _, c := range []struct {
		name, path, code string
		in               MakeOfferInput
	}{
		{"a draft of its own", "solution", "INVALID", MakeOfferInput{Proposal: r, Solution: s.ID, Content: hello}},
		{"on a draft", "proposal", "NOT_FOUND", MakeOfferInput{Proposal: hidden, Solution: "solution_acme", Content: hello}},
		{"on what is closed", "proposal", "INVALID", MakeOfferInput{Proposal: m.proposal(t, ProposalClosed, nil), Solution: "solution_acme", Content: hello}},
		{"nothing", "solution", "NOT_FOUND", MakeOfferInput{Proposal: r, Solution: "solution_none", Content: hello}},
		{"without a word", "message", "REQUIRED", MakeOfferInput{Proposal: r, Solution: "solution_acme"}},
		{"in another state", "status", "INVALID", MakeOfferInput{Proposal: r, Solution: "solution_acme", Content: Patch{"status": "TAKEN"}}},
		{"with a bad link", "links[0].url", "INVALID", MakeOfferInput{Proposal: r, Solution: "solution_acme", Content: Patch{"message": english("Hello"),
			"links": []Media{{Type: "DOCUMENT", URL: "javascript:alert(1)"}}}}},
	} {
		_, err := m.MakeOffer(by(t, "acme editor"), c.in)
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || invalid.Errors[0].Path != c.path || invalid.Errors[0].Code != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := m.MakeOffer(by(t, "rival owner"), MakeOfferInput{Proposal: r, Solution: "solution_acme", Content: hello}); !errors.Is(err, ErrForbidden) {
		t.Errorf("another company's solution was offered: %v", err)
	}
	in := MakeOfferInput{Proposal: r, Solution: "solution_acme", Content: hello, Key: new("first")}
	first, err := m.MakeOffer(by(t, "acme editor"), in)
	must(t, err)
	if again, err := m.MakeOffer(by(t, "acme editor"), in); err != nil || again.ID != first.ID {
		t.Errorf("the same key made %v, %v", again, err)
	}
	in.Key = nil
	if _, err := m.MakeOffer(by(t, "acme editor"), in); !hasCode(err, "TAKEN") {
		t.Errorf("it was offered twice: %v", err)
	}
	if _, err := m.MoveOffer(by(t, "acme editor"), MoveOfferInput{ID: first.ID, Move: "WITHDRAW"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.MakeOffer(by(t, "acme editor"), in); err != nil {
		t.Errorf("offered anew: %v", err)
	}
}

// A deadline is the end of the day where the city is, wherever the company
// and the server are; also where clocks skip the midnight after it.
func TestDeadlinesHoldInTheCitysTimeZone(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	for i, c := range []struct {
		zone string
		day  Date
		last string // second of the day, UTC
	}{
		{"Asia/Kathmandu", "2027-03-31", "2027-03-31T18:14:59Z"},
		{"Asia/Tehran", "2027-03-31", "2027-03-31T20:29:59Z"},
		{"Asia/Tehran", "2022-03-21", "2022-03-21T20:29:59Z"}, // midnight was skipped
		{"Pacific/Auckland", "2027-04-03", "2027-04-03T10:59:59Z"},
		{"Pacific/Auckland", "2027-04-04", "2027-04-04T11:59:59Z"}, // the clocks went back on it
		{"America/Sao_Paulo", "2027-03-31", "2027-04-01T02:59:59Z"},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-04T02:59:59Z"}, // midnight was skipped
		{"America/Sao_Paulo", "2018-11-04", "2018-11-05T01:59:59Z"}, // the day began at one o'clock
		{"America/Santiago", "2027-09-04", "2027-09-05T03:59:59Z"},
		{"Africa/Cairo", "2027-04-29", "2027-04-29T21:59:59Z"},
		{"Pacific/Apia", "2011-12-29", "2011-12-30T09:59:59Z"}, // the next day was skipped
		{"Pacific/Kiritimati", "2027-03-31", "2027-03-31T09:59:59Z"},
		{"Pacific/Pago_Pago", "2027-03-31", "2027-04-01T10:59:59Z"},
	} {
		t.Run(c.zone+" "+string(c.day), func(t *testing.T) {
			last, err := time.Parse(time.RFC3339, c.last)
			must(t, err)
			m.clock.Store(last.Add(-24 * time.Hour).UnixNano())
			m.ForgetTries()
			city := &City{Meta: Meta{ID: ID(fmt.Sprintf("city_zone-%d", i)), Slug: fmt.Sprintf("zone-%d", i)}, TimeZone: c.zone}
			city.Name, city.Country, city.Region = english(c.zone), "NO", Europe
			must(t, m.AddCity(as(System), city))
			owner := as(Actor{User: "user_mayor", Memberships: []Membership{{Member: city.ID, Role: RoleOwner}}})
			id := m.proposalOf(t, city.ID, ProposalPublished, &c.day)

			m.clock.Store(last.Add(time.Second - 1).UnixNano())
			offer := m.offer(t, "acme", id, OfferSubmitted)
			edit := EditOfferInput{ID: offer, Content: Patch{"message": english("Better")}}
			if _, err := m.EditOffer(by(t, "acme editor"), edit); err != nil {
				t.Errorf("edited in the last second: %v", err)
			}
			r, err := m.Proposal(as(visitor), id)
			must(t, err)
			o, err := m.Offer(owner, offer)
			must(t, err)
			if !m.IsOpen(r) || !r.DeadlineAt().Equal(last.Add(time.Second)) || o.CreatedAt.After(last) {
				t.Errorf("open: %v; deadline at %v; offered at %v", m.IsOpen(r), r.DeadlineAt(), o.CreatedAt)
			}
			if !m.ProposalPermissions(by(t, "rival owner"), r).Offer || m.ProposalPermissions(by(t, "rival viewer"), r).Offer || m.ProposalPermissions(owner, r).Offer {
				t.Error("who may offer is not said right")
			}

			m.later(1)
			if _, err := m.MakeOffer(by(t, "rival owner"), MakeOfferInput{Proposal: id, Solution: "solution_rival", Content: Patch{"message": english("Late")}}); !hasCode(err, "OUT_OF_RANGE") {
				t.Errorf("offered in the first second after: %v", err)
			}
			if _, err := m.EditOffer(by(t, "acme editor"), edit); !hasCode(err, "OUT_OF_RANGE") {
				t.Errorf("edited in the first second after: %v", err)
			}
			if m.IsOpen(r) || m.ProposalPermissions(by(t, "rival owner"), r).Offer {
				t.Error("it is still open")
			}
			if can, err := m.OfferPermissions(by(t, "acme editor"), o); err != nil || can.Edit || fmt.Sprint(can.Moves) != "[WITHDRAW]" {
				t.Errorf("the company can still %+v, %v", can, err)
			}
			if _, err := m.MoveOffer(owner, MoveOfferInput{ID: offer, Move: "TAKE"}); err != nil {
				t.Errorf("taken after the deadline: %v", err)
			}
		})
	}
}

// Of several who do the same, or the opposite, at once one does it.
func TestOffersAtOnce(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	r := m.proposal(t, ProposalPublished, nil)
	atOnce := func(do ...func() error) (done, refused int) {
		var wg sync.WaitGroup
		var n [2]atomic.Int64
		for _, f := range do {
			wg.Go(func() {
				switch err := f(); {
				case err == nil:
					n[0].Add(1)
				case errors.Is(err, ErrInvalid):
					n[1].Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return int(n[0].Load()), int(n[1].Load())
	}
	offer := func() error {
		_, err := m.MakeOffer(by(t, "acme editor"), MakeOfferInput{Proposal: r, Solution: "solution_acme", Content: Patch{"message": english("Hello")}})
		return err
	}
	if done, refused := atOnce(slices.Repeat([]func() error{offer}, 8)...); done != 1 || refused != 7 {
		t.Errorf("%d offers, %d refused", done, refused)
	}
	page, err := m.Offers(by(t, "oslo viewer"), r, nil, Slice{})
	must(t, err)
	if len(page.Edges) != 1 {
		t.Fatalf("%d offers are listed", len(page.Edges))
	}
	id := page.Edges[0].Node.ID
	move := func(who string, step OfferMove) func() error {
		return func() error {
			_, err := m.MoveOffer(by(t, who), MoveOfferInput{ID: id, Move: step, Reason: new("so")})
			return err
		}
	}
	if done, refused := atOnce(move("oslo editor", "TAKE"), move("oslo owner", "TAKE"), move("acme owner", "WITHDRAW"), move("acme editor", "WITHDRAW")); done != 1 || refused != 3 {
		t.Errorf("%d decisions, %d refused", done, refused)
	}
	if _, err := m.MoveOffer(by(t, "oslo owner"), MoveOfferInput{ID: id, Version: new(1), Move: "DECLINE"}); !errors.Is(err, ErrStale) {
		t.Errorf("decided on what was not read: %v", err)
	}
}

// Each side lists what is its own; nothing tells the others how much there is.
func TestWhoFindsWhichOffers(t *testing.T) {
	t.Parallel()
	m := newTrade(t)
	one, two := m.proposal(t, ProposalPublished, nil), m.proposal(t, ProposalPublished, nil)
	of := map[string]ID{"one": one, "two": two, "acme": "company_acme", "rival": "company_rival", "oslo": "city_oslo", "lima": "city_lima", "none": "proposal_none"}
	names := map[ID]string{}
	add := func(name, company string, proposal ID, status OfferStatus) {
		m.later(time.Hour)
		names[m.offer(t, company, proposal, status)] = name
	}
	add("a1", "acme", one, OfferSubmitted)
	add("r1", "rival", one, OfferSubmitted)
	add("a2", "acme", two, OfferTaken)
	if _, err := m.MoveProposal(by(t, "oslo owner"), MoveProposalInput{ID: two, Move: "REVISE"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ who, of, want string }{
		{"oslo viewer", "one", "r1 a1"}, {"acme viewer", "one", "a1"}, {"rival owner", "one", "r1"}, {"officer", "one", "r1 a1"},
		{"lima owner", "one", ""}, {"stranger", "one", ""}, {"visitor", "one", ""},
		{"oslo viewer", "two", "a2"}, {"acme editor", "two", "a2"}, {"rival owner", "two", ""}, {"officer", "two", "a2"},
		{"acme viewer", "acme", "a2 a1"}, {"rival owner", "acme", ""}, {"oslo owner", "acme", ""}, {"sec editor", "acme", "a2 a1"}, {"visitor", "acme", ""},
		{"oslo viewer", "oslo", "a2 r1 a1"}, {"lima owner", "oslo", ""}, {"acme owner", "oslo", ""}, {"admin", "oslo", "a2 r1 a1"},
		{"lima viewer", "lima", ""}, {"rival viewer", "rival", "r1"}, {"rival viewer", "none", ""}, {"officer", "none", ""},
	} {
		for _, size := range []int{100, 1} {
			page, err := m.Offers(by(t, c.who), of[c.of], nil, Slice{First: new(size)})
			must(t, err)
			var got []string
			for _, o := range page.Nodes() {
				got = append(got, names[o.ID])
			}
			want := strings.Fields(c.want)
			if more := len(want) > size; page.PageInfo.HasNextPage != more {
				t.Errorf("%s of %s by %d: more is said to be %v", c.who, c.of, size, !more)
			}
			if want = want[:min(size, len(want))]; !slices.Equal(got, want) {
				t.Errorf("%s of %s: %v, want %v", c.who, c.of, got, want)
			}
		}
	}
	page, err := m.Offers(by(t, "oslo editor"), "city_oslo", []OfferStatus{OfferTaken, OfferDeclined}, Slice{})
	if err != nil || len(page.Edges) != 1 || names[page.Edges[0].Node.ID] != "a2" {
		t.Errorf("by state: %v", err)
	}
	if _, err := m.Offers(by(t, "oslo editor"), "topic_mobility", nil, Slice{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("offers of a topic: %v", err)
	}
}
