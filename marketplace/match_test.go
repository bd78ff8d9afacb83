package marketplace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	. "citymarket/marketplace"
)

var (
	osloEditor = Actor{User: "user_oslo", Memberships: []Membership{{Member: "city_oslo", Role: RoleEditor}}, Via: "session_test"}
	osloOwner  = Actor{User: "user_owner", Memberships: []Membership{{Member: "city_oslo", Role: RoleOwner}}, Via: "session_test"}
	acmeOwner  = Actor{User: "user_ada", Memberships: []Membership{{Member: "company_acme", Role: RoleOwner}}, Via: "session_test"}
	admin      = Actor{User: "user_admin", Secretariat: SecretariatAdmin, Via: "session_test"}
)

// newBazaar is a world with companies, their solutions, cities and their
// proposals, enough for several pages of matches.
func newBazaar(t *testing.T) *world {
	w := newWorld(t, Options{})
	ctx := as(System)
	for i := range 6 {
		c := &Company{Meta: Meta{ID: ID(fmt.Sprintf("company_c%d", i)), Slug: fmt.Sprintf("c%d", i)}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = english(fmt.Sprintf("Firm %d", i)), "KR", AsiaPacific
		must(t, w.AddCompany(ctx, c))
		city := &City{Meta: Meta{ID: ID(fmt.Sprintf("city_t%d", i)), Slug: fmt.Sprintf("t%d", i)}, TimeZone: "Europe/Oslo"}
		city.Name, city.Country, city.Region = english(fmt.Sprintf("Town %d", i)), "NO", Europe
		must(t, w.AddCity(ctx, city))
		must(t, w.AddProposal(ctx, &Proposal{Meta: Meta{ID: ID(fmt.Sprintf("proposal_p%d", i)), Slug: fmt.Sprintf("p%d", i)}, City: city.ID, Status: ProposalPublished, Stage: "NEED", Funding: "NONE",
			Title: english("Parking that is found"), Problem: english("Drivers look for kerb spaces in street " + string(rune('a'+i))), Topics: []ID{"topic_parking"}}))
		for k := range 4 {
			s := w.solution(fmt.Sprintf("s%d-%d", i, k), fmt.Sprintf("Kerb sensors %d", k), SolutionPublished)
			s.Company, s.Maturity, s.Regions = c.ID, Maturities[1+k], []Region{Europe}
			must(t, w.AddSolution(ctx, s))
		}
	}
	must(t, w.AddProposal(ctx, &Proposal{Meta: Meta{ID: "proposal_oslo", Slug: "oslo-parking"}, City: "city_oslo", Status: ProposalPublished, Stage: "PLANNED", Funding: "SOUGHT",
		Title: english("Sensors in the kerb"), Problem: english("Nobody knows which kerb spaces are free."), Topics: []ID{"topic_parking"}}))
	must(t, w.index.CaughtUp(t.Context()))
	return w
}

// lists are all lists of matches that somebody can ask for Oslo, whole.
func (w *world) lists(ctx context.Context, contacted bool) map[string][]*Match {
	w.t.Helper()
	size, out := 7, map[string][]*Match{}
	read := func(name string, page func(l MatchListing) (*Matches, error)) {
		l := MatchListing{First: &size, IncludeContacted: contacted}
		for {
			p, err := page(l)
			if err != nil {
				w.t.Fatal(name, err)
			}
			out[name] = append(out[name], p.Edges...)
			if !p.PageInfo.HasNextPage {
				return
			}
			l.After = p.PageInfo.EndCursor
		}
	}
	for _, id := range []ID{"proposal_oslo", "city_oslo"} {
		read(string(id), func(l MatchListing) (*Matches, error) { return w.MatchesOf(ctx, id, l) })
	}
	for _, kind := range []Kind{KindSolution, KindProposal} {
		read("text "+string(kind), func(l MatchListing) (*Matches, error) {
			return w.MatchText(ctx, MatchTextInput{Text: "kerb sensors for parking", Kinds: []Kind{kind}, Of: new(ID("city_oslo")), List: l})
		})
	}
	return out
}

func idsOf(list []*Match) (out []ID) {
	for _, e := range list {
		switch n := e.Node.(type) {
		case *Solution:
			out = append(out, n.ID)
		case *Proposal:
			out = append(out, n.ID)
		case *City:
			out = append(out, n.ID)
		case *Company:
			out = append(out, n.ID)
		}
	}
	return out
}

// The same input gives the same order, page by page, also by a new process;
// scores fall, nothing comes twice, nothing of the member's own comes at all.
func TestMatchesAreInOrder(t *testing.T) {
	t.Parallel()
	w := newBazaar(t)
	first := w.lists(as(osloEditor), false)
	w.restart()
	again := w.lists(as(osloEditor), false)
	for name, list := range first {
		ids := idsOf(list)
		if len(list) == 0 || !slices.Equal(ids, idsOf(again[name])) {
			t.Errorf("%s: %v, then %v", name, ids, idsOf(again[name]))
		}
		for i, id := range ids {
			if i > 0 && (list[i].Score > list[i-1].Score || list[i].Score == list[i-1].Score && ids[i] < ids[i-1]) || slices.Contains(ids[:i], id) || strings.Contains(string(id), "oslo") {
				t.Errorf("%s: %v", name, ids)
				break
			}
		}
	}
	if n := len(first["proposal_oslo"]); n != 24 {
		t.Errorf("%d solutions", n)
	}
	if _, err := w.MatchesOf(as(osloEditor), "proposal_oslo", MatchListing{After: new("x")}); !errors.Is(err, ErrBadCursor) {
		t.Errorf("a wrong cursor: %v", err)
	}
}

// What is not wanted never comes back in any list, nor does what belongs to a
// member that is not wanted; what is in contact only where it is asked for.
func TestWhatIsNotWantedNeverComesBack(t *testing.T) {
	t.Parallel()
	w := newBazaar(t)
	r := rand.New(rand.NewPCG(1, 2))
	subjects := []ID{"company_c0", "company_c1", "city_t0", "city_t1", "proposal_p2", "proposal_p3", "solution_s2-0", "solution_s3-1", "solution_s4-2", "solution_s5-3"}
	noted := map[ID]StanceKind{}
	for range 25 {
		subject, kind := subjects[r.IntN(len(subjects))], StanceKinds[r.IntN(2)]
		if r.IntN(3) == 0 {
			if _, err := w.NoteStance(as(osloEditor), NoteStanceInput{Member: "city_oslo", Subject: subject}); err != nil {
				t.Fatal(err)
			}
			delete(noted, subject)
		} else {
			if _, err := w.NoteStance(as(osloEditor), NoteStanceInput{Member: "city_oslo", Subject: subject, Kind: &kind}); err != nil {
				t.Fatal(err)
			}
			noted[subject] = kind
		}
	}
	if len(noted) < 4 {
		t.Fatal("too little was noted")
	}
	w.now.Add(int64(time.Hour)) // so that nothing is limited
	of := func(id ID) (found []StanceKind) {
		owner := id
		if slug, ok := strings.CutPrefix(string(id), "solution_s"); ok {
			owner = ID("company_c" + slug[:1])
		} else if slug, ok := strings.CutPrefix(string(id), "proposal_p"); ok {
			owner = ID("city_t" + slug)
		}
		return []StanceKind{noted[id], noted[owner]}
	}
	for _, who := range []Actor{osloEditor, secretariat} {
		for _, contacted := range []bool{false, true} {
			for name, list := range w.lists(as(who), contacted) {
				for i, id := range idsOf(list) {
					kinds := of(id)
					if slices.Contains(kinds, NotInterested) || !contacted && who.User == osloEditor.User && slices.Contains(kinds, InContact) {
						t.Errorf("%s for %s: %s, of which is noted %v", name, who.User, id, kinds)
					}
					if (list[i].Stance != nil) != (who.User == osloEditor.User && slices.Contains(kinds, InContact)) {
						t.Errorf("%s for %s: %s shows %v", name, who.User, id, list[i].Stance)
					}
				}
			}
		}
	}
}

// What a member notes is seen by its people alone: in no list, by no id, in
// no log, export or webhook of anybody else.
func TestWhatIsNotedIsPrivate(t *testing.T) {
	t.Parallel()
	w := newBazaar(t)
	before := w.lists(as(secretariat), true)["proposal_oslo"]
	_, err := w.NoteStance(as(osloEditor), NoteStanceInput{Member: "city_oslo", Subject: "company_acme", Kind: new(NotInterested), Note: new("quietly")})
	must(t, err)
	_, err = w.NoteStance(as(osloEditor), NoteStanceInput{Member: "city_oslo", Subject: "solution_s0-0", Kind: new(InContact), Note: new("quietly")})
	must(t, err)
	w.catchUp()
	if page, err := w.Stances(as(osloOwner), "city_oslo", nil, nil, nil); err != nil || len(page.Edges) != 2 {
		t.Fatalf("its own people see %+v, %v", page, err)
	}
	for name, who := range map[string]Actor{"the other side": acmeOwner, "a visitor": {}, "the secretariat": admin} {
		ctx := as(who)
		if page, err := w.Stances(ctx, "city_oslo", nil, nil, nil); err != nil || len(page.Edges) > 0 {
			t.Errorf("%s lists %+v, %v", name, page, err)
		}
		if n, err := w.Node(ctx, "stances_city-oslo"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s gets %v, %v", name, n, err)
		}
		if list, err := w.Nodes(ctx, []ID{"stances_city-oslo"}); err != nil || list[0] != nil {
			t.Errorf("%s gets %v, %v", name, list, err)
		}
		if _, err := w.NoteStance(ctx, NoteStanceInput{Member: "city_oslo", Subject: "company_acme"}); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s takes it back: %v", name, err)
		}
		if _, err := w.MatchesOf(ctx, "proposal_oslo", MatchListing{}); name != "the secretariat" && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s sees matches: %v", name, err)
		}
	}
	// Lists of the other side are as they were; so are those of an officer, but
	// for who is not wanted.
	if list, err := w.MatchesOf(as(acmeOwner), "company_acme", MatchListing{}); err != nil || !slices.Contains(idsOf(list.Edges), "city_oslo") {
		t.Errorf("the other side is told: %v, %v", list, err)
	}
	if after := w.lists(as(secretariat), false)["proposal_oslo"]; !slices.Equal(idsOf(before), idsOf(after)) {
		t.Errorf("an officer sees who is in contact: %v, then %v", idsOf(before), idsOf(after))
	}
	store, err := w.AuditLog(as(admin), nil, Slice{First: new(100)})
	must(t, err)
	for _, e := range store.Nodes() {
		if strings.HasPrefix(string(e.Subject), "stances") {
			t.Errorf("the log says %s of %s", e.Action, e.Subject)
		}
	}
	for who, sees := range map[*Actor]bool{&osloOwner: true, &admin: false} {
		x, err := w.ExportMember(as(*who), "city_oslo")
		must(t, err)
		var b bytes.Buffer
		_, err = x.WriteNDJSON(&b)
		must(t, err)
		if strings.Contains(b.String(), "quietly") != sees {
			t.Errorf("%s exports %s", who.User, &b)
		}
	}
}

// Who answers soon is put before who does not, and who is busy after who is
// not, all else being equal; what follows from offers is reckoned by a follower.
func TestWillingnessAndExposureFollowFromOffers(t *testing.T) {
	t.Parallel()
	w := newBazaar(t)
	ctx := as(acmeOwner)
	w.publish("acme-kerb", "Kerb sensors of Acme")
	offer := func(proposal ID) *Offer {
		o, err := w.MakeOffer(ctx, MakeOfferInput{Proposal: proposal, Solution: "solution_acme-kerb", Content: Patch{"message": english("Hello")}})
		must(t, err)
		return o
	}
	answered := offer("proposal_p1")
	offer("proposal_p2")
	_, err := w.MoveOffer(as(Actor{User: "user_t1", Memberships: []Membership{{Member: "city_t1", Role: RoleOwner}}, Via: "session_test"}),
		MoveOfferInput{ID: answered.ID, Move: "DECLINE", Reason: new("Not now.")})
	must(t, err)
	w.pass(20 * 24 * time.Hour)
	values := map[ID]map[Criterion]float64{}
	list, err := w.MatchesOf(ctx, "solution_acme-kerb", MatchListing{First: new(100)})
	must(t, err)
	for i, id := range idsOf(list.Edges) {
		values[id] = map[Criterion]float64{}
		for _, r := range list.Edges[i].Reasons(ctx, nil) {
			values[id][r.Criterion] = r.Value
			if s, err := r.Sentence(); err != nil || s == "" || strings.ContainsAny(s, "{}") {
				t.Errorf("%s says %q, %v", r.Criterion, s, err)
			}
		}
	}
	quick, slow, other := values["proposal_p1"], values["proposal_p2"], values["proposal_p3"]
	if !(quick[ByWillingness] > other[ByWillingness] && other[ByWillingness] > slow[ByWillingness]) {
		t.Errorf("willingness: answered %v, nothing known %v, left waiting %v", quick[ByWillingness], other[ByWillingness], slow[ByWillingness])
	}
	if !(slow[ByExposure] < other[ByExposure] && other[ByExposure] == 1) {
		t.Errorf("exposure: one waits %v, none %v", slow[ByExposure], other[ByExposure])
	}
}
