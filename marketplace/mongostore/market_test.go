package mongostore

import (
	"context"
	"errors"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore/internal/fakemongo"
	"citymarket/marketplace/storetest"
)

// The domain's own documents, with all that is embedded in them, come back
// from this store as they went in, and its queries have their indexes: a
// story in which people sign in, write, and are told of it.
func TestTheMarketplaceLivesHere(t *testing.T) {
	t.Parallel()
	store := opener(fakemongo.Start(t).URI).Open(t, marketplace.StoreSchema())
	m := marketplace.New(store, nil, marketplace.Options{Key: make([]byte, marketplace.KeySize), Poster: unreached{}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	english := func(s string) []any { return []any{map[string]any{"language": "en", "text": s}} }
	secret := ""
	ctx := func() context.Context {
		v := marketplace.Viewer{Address: "192.0.2.1", KeepSession: func(s string, _ time.Time) { secret = s }}
		if secret != "" {
			var err error
			v.Actor, err = m.Authenticate(marketplace.WithViewer(t.Context(), v), secret)
			must(err)
		}
		return marketplace.InBulk(marketplace.WithViewer(t.Context(), v))
	}
	link, err := m.FirstInvitation(t.Context())
	must(err)
	_, err = m.AcceptInvitation(ctx(), marketplace.AcceptInvitationInput{Link: link, Email: new("ada@example.org"), Name: new("Ada"), Password: new("plain old purple tractor")})
	must(err)
	topic, err := m.CreateTopic(ctx(), marketplace.CreateTopicInput{Content: marketplace.Patch{"label": english("Noise")}})
	must(err)
	company, err := m.CreateCompany(ctx(), marketplace.CreateMemberInput{Content: marketplace.Patch{"name": english("Acme"), "country": "NO", "size": "SME"}})
	must(err)
	city, err := m.CreateCity(ctx(), marketplace.CreateMemberInput{Content: marketplace.Patch{"name": english("Oslo"), "country": "NO", "timeZone": "Europe/Oslo"}})
	must(err)
	admin := ctx()
	user := marketplace.ViewerOf(admin).Actor.User
	for _, id := range []marketplace.ID{company.ID, city.ID} {
		must(m.PlaceInTeam(admin, id, user, "OWNER"))
	}
	s, err := m.CreateSolution(ctx(), marketplace.CreateSolutionInput{Company: company.ID, Key: new("wall"), Content: marketplace.Patch{
		"title": english("A wall"), "summary": english("Against noise."), "topics": []any{topic.ID},
		"deployments": []any{map[string]any{"place": "Oslo", "country": "NO", "city": city.ID, "year": 2020}}}})
	must(err)
	for _, move := range []marketplace.SolutionMove{"SUBMIT", "APPROVE"} {
		s, err = m.MoveSolution(ctx(), marketplace.MoveSolutionInput{ID: s.ID, Move: move, Note: new("Fine")})
		must(err)
	}
	s, err = m.ConfirmDeployment(ctx(), marketplace.ConfirmDeploymentInput{Solution: s.ID, Version: s.Version(), Confirmed: true})
	must(err)
	r, err := m.CreateProposal(ctx(), marketplace.CreateProposalInput{City: city.ID, Content: marketplace.Patch{"title": english("Less noise"), "problem": english("It is loud."), "topics": []any{topic.ID}, "deadline": "2999-12-31"}})
	must(err)
	_, err = m.MoveProposal(ctx(), marketplace.MoveProposalInput{ID: r.ID, Move: "PUBLISH"})
	must(err)
	o, err := m.MakeOffer(ctx(), marketplace.MakeOfferInput{Proposal: r.ID, Solution: s.ID, Content: marketplace.Patch{"message": english("Ours.")}})
	must(err)
	_, err = m.WriteMessage(ctx(), marketplace.WriteMessageInput{Proposal: r.ID, As: &city.ID, Text: "Welcome"})
	must(err)
	_, _, err = m.CreateWebhook(ctx(), marketplace.CreateWebhookInput{Member: company.ID, URL: "https://example.org/", Events: []string{"solution.*"}})
	must(err)
	must(m.CatchUp(t.Context()))

	again, err := m.Solution(ctx(), s.ID)
	must(err)
	if again.Review == nil || *again.Review.Note != "Fine" || again.Deployments[0].Confirmation == nil || again.Version() != s.Version() {
		t.Errorf("%+v", again)
	}
	log, err := m.AuditLog(ctx(), &s.ID, marketplace.Slice{})
	must(err)
	if n := len(log.Edges); n != 4 || log.Edges[0].Node.Action != "CONFIRM_DEPLOYMENT" || log.Edges[n-1].Node.By != user {
		t.Errorf("%d entries, %+v", n, log.Edges[0].Node)
	}
	for what, n := range map[string]func() (int, error){
		"people":   func() (int, error) { t, err := m.Team(ctx(), company.ID); return len(t.People), err },
		"sessions": func() (int, error) { l, err := m.Sessions(ctx()); return len(l), err },
		"users":    func() (int, error) { p, err := m.Users(ctx(), marketplace.Slice{}); return len(p.Edges), err },
		"offers": func() (int, error) {
			p, err := m.Offers(ctx(), r.ID, nil, marketplace.Slice{})
			return len(p.Edges), err
		},
		"threads": func() (int, error) { p, err := m.Threads(ctx(), r.ID, marketplace.Slice{}); return len(p.Edges), err },
		"messages": func() (int, error) {
			p, err := m.Messages(ctx(), r.ID, nil, marketplace.Slice{})
			return len(p.Edges), err
		},
		"webhooks": func() (int, error) { l, err := m.Webhooks(ctx(), company.ID); return len(l), err },
		"notifications": func() (int, error) {
			p, err := m.Notifications(ctx(), nil, marketplace.Slice{})
			return len(p.Edges), err
		},
	} {
		got, err := n()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if want := map[string]int{"people": 1, "sessions": 1, "users": 1, "offers": 1, "threads": 1, "messages": 1, "webhooks": 1, "notifications": 0}[what]; got != want {
			t.Errorf("%d %s, %d expected", got, what, want)
		}
	}
	if _, err := m.MoveOffer(ctx(), marketplace.MoveOfferInput{ID: o.ID, Move: "TAKE"}); err != nil {
		t.Error(err)
	}
	must(m.SignOut(ctx()))
}

// Of many acceptances at one moment exactly those without a conflict succeed.
func TestMeetingsAreAcceptedInARush(t *testing.T) {
	t.Parallel()
	storetest.Rush(t, opener(fakemongo.Start(t).URI).Open(t, marketplace.StoreSchema()), rush())
}

// rush is how many meetings are accepted at once; few in short runs, which
// look for races and are slow.
func rush() int {
	if testing.Short() {
		return 200
	}
	return 1000
}

// unreached is a network on which nobody answers.
type unreached struct{}

func (unreached) Post(context.Context, string, map[string]string, []byte) (marketplace.PostResult, error) {
	return marketplace.PostResult{}, errors.New("nobody answers")
}
