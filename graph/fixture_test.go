package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// A fixture makes things for one attempt of one actor.
type fixture struct {
	*stage
	t     *testing.T
	actor marketplace.Actor
	n     int
	// cases are closed when the row is done, since a member may have only some.
	cases []marketplace.ID
	// others are users by their names; see someone.
	others map[string]marketplace.ID
}

func english(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) word() string { return fmt.Sprintf("zyx%d", f.n) }

func (f *fixture) solution(status marketplace.SolutionStatus) marketplace.ID {
	s := &marketplace.Solution{Meta: marketplace.Meta{Slug: f.word() + "-" + strings.ToLower(strings.ReplaceAll(string(status), "_", "-"))}, Company: "company_acme", Status: status,
		Title: english("The " + f.word() + " wall"), Summary: english("A wall."), Topics: []marketplace.ID{"topic_noise"},
		Maturity: "PILOTED", PriceModel: "ONE_OFF", PriceBand: "UNDER_10K",
		Deployments: []marketplace.Deployment{{Place: "Oslo", Country: "NO", City: "city_oslo", Year: 2020}}}
	f.must(f.market.AddSolution(f.system(), s))
	return s.ID
}

func (f *fixture) proposal(status marketplace.ProposalStatus) marketplace.ID {
	r := &marketplace.Proposal{Meta: marketplace.Meta{Slug: f.word()}, City: "city_oslo", Status: status, Stage: "NEED", Funding: "NONE",
		Title: english("Less " + f.word()), Problem: english("It is loud."), Topics: []marketplace.ID{"topic_noise"}}
	f.must(f.market.AddProposal(f.system(), r))
	return r.ID
}

func (f *fixture) user() marketplace.ID { return f.userCalled(f.word()) }

func (f *fixture) userCalled(name string) marketplace.ID {
	u := &marketplace.User{Name: name, Email: name + "@example.org"}
	f.must(f.market.AddUser(f.system(), u, "a word for the stage"))
	return u.ID
}

// colleague is somebody of Acme.
func (f *fixture) colleague() marketplace.ID {
	u := f.user()
	f.must(f.market.PlaceInTeam(f.system(), "company_acme", u, "VIEWER"))
	return u
}

// someone is an owner of a member who has not used up any of what is limited.
func (f *fixture) someone(member marketplace.ID) context.Context {
	name := fmt.Sprintf("owner-%d-of-%s", f.n/8, strings.ReplaceAll(string(member), "_", "-"))
	if _, ok := f.others[name]; !ok {
		f.others[name] = f.userCalled(name)
	}
	return marketplace.WithViewer(f.t.Context(), marketplace.Viewer{Actor: marketplace.Actor{
		User: f.others[name], Via: "session_other", Memberships: []marketplace.Membership{{Member: member, Role: marketplace.RoleOwner}}}})
}

func (f *fixture) offer() marketplace.ID {
	o, err := f.market.MakeOffer(f.someone("company_acme"), marketplace.MakeOfferInput{Proposal: f.proposal("PUBLISHED"), Solution: "solution_acme", Content: marketplace.Patch{"message": english(f.word())}})
	f.must(err)
	return o.ID
}

func (f *fixture) message(private bool) marketplace.ID {
	in := marketplace.WriteMessageInput{Proposal: f.proposal("PUBLISHED"), Text: f.word()}
	if private {
		in.Company = new(marketplace.ID("company_acme"))
	}
	d, err := f.market.WriteMessage(f.someone("company_acme"), in)
	f.must(err)
	return d.ID
}

// meetingTime is a time at which nobody has another meeting.
func (f *fixture) meetingTime() time.Time {
	return time.Now().UTC().Truncate(30 * time.Minute).Add(48*time.Hour + time.Duration(f.n)*30*time.Minute)
}

// meeting is one that a city of its own asks Acme for.
func (f *fixture) meeting(agreed bool) map[string]any {
	city := &marketplace.City{Meta: marketplace.Meta{Slug: f.word()}, TimeZone: "Europe/Oslo"}
	city.Name, city.Country, city.Region = english(f.word()), "NO", marketplace.Europe
	f.must(f.market.AddCity(marketplace.InBulk(f.system()), city))
	who := marketplace.ViewerOf(f.someone("city_lima")).Actor.User
	f.must(f.market.PlaceInTeam(f.system(), city.ID, who, "EDITOR"))
	x, err := f.market.RequestMeeting(f.system(), marketplace.RequestMeetingInput{From: city.ID, To: "company_acme", People: []marketplace.ID{who},
		Content: marketplace.Patch{"message": english(f.word()), "minutes": 30, "format": "ONLINE", "times": []time.Time{f.meetingTime()}}})
	f.must(err)
	if agreed {
		by := []string{"acme owner", "acme editor", "acme deputy"}[f.n%3] // each can do so much at once
		x, err = f.market.AcceptMeeting(f.act(by), marketplace.AcceptMeetingInput{ID: x.ID, Time: f.meetingTime()})
		f.must(err)
	}
	f.act("acme editor") // whom some name
	return map[string]any{"id": x.ID, "at": f.meetingTime().Format(time.RFC3339), "later": f.meetingTime().Add(15 * time.Minute).Format(time.RFC3339)}
}

func asked(f *fixture) map[string]any  { return f.meeting(false) }
func agreed(f *fixture) map[string]any { return f.meeting(true) }

func (f *fixture) invitation() marketplace.ID {
	i, err := f.market.Invite(f.someone("company_acme"), marketplace.InviteInput{Email: f.word() + "@example.org", Member: new(marketplace.ID("company_acme")), Role: "VIEWER"})
	f.must(err)
	return i.ID
}

func (f *fixture) savedSearch() marketplace.ID {
	s, err := f.market.SaveSearch(f.someone("city_lima"), marketplace.SaveSearchInput{Name: "x", Alert: "NONE"})
	f.must(err)
	return s.ID
}

// stance is something that Oslo has noted.
func (f *fixture) stance() map[string]any {
	_, err := f.market.NoteStance(f.someone("city_oslo"), marketplace.NoteStanceInput{Member: "city_oslo", Subject: "company_acme", Kind: new(marketplace.NotInterested)})
	f.must(err)
	return nil
}

// webhook is one of Acme, which is deleted again when the row is done, since
// a member may have only some.
func (f *fixture) webhook() marketplace.ID {
	owner := f.someone("company_acme")
	hooks, err := f.market.Webhooks(owner, "company_acme")
	f.must(err)
	for _, h := range hooks {
		f.must(f.market.DeleteWebhook(owner, h.ID, nil))
	}
	h, _, err := f.market.CreateWebhook(owner, marketplace.CreateWebhookInput{Member: "company_acme", URL: "https://example.org/" + f.word(), Events: []string{"*.DELETE"}})
	f.must(err)
	return h.ID
}

// notification is one that told somebody else of a token of theirs.
func (f *fixture) notification() marketplace.ID {
	ctx := f.someone("city_lima")
	t, _, err := f.market.AddToken(ctx, marketplace.AddTokenInput{Name: "x", Scope: "READ", ExpiresAt: time.Now().Add(time.Hour)})
	f.must(err)
	f.must(f.market.RevokeToken(ctx, t.ID)) // so that there are never too many
	f.must(f.market.CatchUp(f.t.Context()))
	page, err := f.market.Notifications(ctx, nil, marketplace.Slice{})
	f.must(err)
	return page.Nodes()[0].ID
}

func id(make func(f *fixture) marketplace.ID) func(*fixture) map[string]any {
	return func(f *fixture) map[string]any { return map[string]any{"id": make(f), "word": f.word()} }
}

func solutionIn(status marketplace.SolutionStatus) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID { return f.solution(status) })
}

// uploadFor is a file that was uploaded for a solution.
func uploadFor(status marketplace.SolutionStatus, attached bool) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID {
		ctx := marketplace.InBulk(marketplace.WithViewer(f.t.Context(), marketplace.Viewer{Actor: marketplace.System}))
		solution := f.solution(status)
		u, err := f.market.Upload(ctx, solution, "a.txt", strings.NewReader(f.word()))
		f.must(err)
		if attached {
			_, err := f.market.EditSolution(ctx, marketplace.EditSolutionInput{ID: solution, Content: marketplace.Patch{
				"media": []any{map[string]any{"type": "DOCUMENT", "file": string(u.ID)}}}})
			f.must(err)
		}
		return u.ID
	})
}

func proposalIn(status marketplace.ProposalStatus) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID { return f.proposal(status) })
}

func nothing(f *fixture) map[string]any { return map[string]any{"word": f.word()} }

func (f *fixture) closeCases() {
	for _, id := range f.cases {
		if c, err := f.market.Case(f.system(), id); err == nil && c.Status != marketplace.CaseClosed {
			_, err := f.market.MoveCase(f.system(), marketplace.MoveCaseInput{ID: id, Move: marketplace.CloseCase, Outcome: new(marketplace.CaseWithdrawn)})
			f.must(err)
		}
	}
}

func (f *fixture) ask(query string, variables map[string]any) []byte {
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	v := marketplace.Viewer{Actor: f.actor, Address: fmt.Sprintf("192.0.2.%d", f.n%250), KeepSession: func(string, time.Time) {}}
	f.http.ServeHTTP(w, r.WithContext(marketplace.WithViewer(r.Context(), v)))
	return w.Body.Bytes()
}
