package marketplace_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "citymarket/marketplace"
)

const goodPassword = "violet harbour tram 19"

// A client keeps the secret of its session.
type client struct {
	market *Market
	secret string
	until  time.Time
}

// ask begins a request of the client.
func (c *client) ask(t *testing.T) context.Context {
	t.Helper()
	v := Viewer{KeepSession: func(secret string, until time.Time) { c.secret, c.until = secret, until }}
	if c.secret != "" {
		a, err := c.market.Authenticate(WithViewer(t.Context(), Viewer{}), c.secret)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		v.Actor = a
	}
	return WithViewer(t.Context(), v)
}

func (c *client) isSignedIn(t *testing.T) bool {
	t.Helper()
	return ViewerOf(c.ask(t)).Actor.User != ""
}

// clocked is a marketplace with a clock that the test sets, and a user of it.
func clocked(t *testing.T) (*Market, *time.Time) {
	t.Helper()
	m := newMarket(t)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m.SetClock(func() time.Time { return now })
	must(t, m.AddUser(as(System), &User{Name: "Ada", Email: "ada@city.example"}, goodPassword))
	return m, &now
}

func signedIn(t *testing.T, m *Market) *client {
	t.Helper()
	c := &client{market: m}
	_, err := m.SignIn(c.ask(t), SignInInput{Email: "ada@city.example", Password: goodPassword})
	must(t, err)
	return c
}

func TestSessionsGrowOld(t *testing.T) {
	t.Parallel()
	m, now := clocked(t)
	idle, busy := signedIn(t, m), signedIn(t, m)
	if idle.secret == busy.secret {
		t.Fatal("two sessions have one secret")
	}
	const day = 24 * time.Hour
	began := *now
	for *now = began; now.Sub(began) < 14*day; *now = now.Add(day) {
		if !busy.isSignedIn(t) {
			t.Fatalf("a session that is used has ended after %s", now.Sub(began))
		}
	}
	if idle.isSignedIn(t) {
		t.Error("a session that nobody used for 14 days is good")
	}
	for ; now.Sub(began) < 30*day; *now = now.Add(day) {
		if !busy.isSignedIn(t) {
			t.Fatalf("a session that is used has ended after %s", now.Sub(began))
		}
	}
	if busy.isSignedIn(t) {
		t.Error("a session is good after 30 days")
	}
	if want := began.Add(30 * day); !busy.until.Equal(want) {
		t.Errorf("the client is to keep the cookie until %s, want %s", busy.until, want)
	}
}

func TestTokensGrowOld(t *testing.T) {
	t.Parallel()
	m, now := clocked(t)
	c := signedIn(t, m)
	_, secret, err := m.AddToken(c.ask(t), AddTokenInput{Name: "report", Scope: ScopeRead, ExpiresAt: now.Add(time.Hour)})
	must(t, err)
	if a, err := m.Authenticate(t.Context(), secret); err != nil || !a.ReadOnly {
		t.Errorf("a new token: %v, %v", a, err)
	}
	*now = now.Add(time.Hour)
	if _, err := m.Authenticate(t.Context(), secret); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
}

func TestInvitationsGrowOld(t *testing.T) {
	t.Parallel()
	m, now := clocked(t)
	link, err := m.FirstInvitation(t.Context())
	must(t, err)
	*now = now.Add(14*24*time.Hour - time.Second)
	_, err = m.InvitationByLink(t.Context(), link)
	must(t, err)
	*now = now.Add(time.Second)
	if _, err := m.InvitationByLink(t.Context(), link); !errors.Is(err, ErrNotFound) {
		t.Errorf("after 14 days: %v", err)
	}
}

// An identity belongs to one user, and is known by its issuer as well.
func TestIdentities(t *testing.T) {
	t.Parallel()
	m, _ := clocked(t)
	ada := signedIn(t, m)
	one := Identity{Issuer: "https://one.example", Subject: "7"}
	_, err := m.AddIdentity(ada.ask(t), one)
	must(t, err)
	_, err = m.AddIdentity(ada.ask(t), one)
	must(t, err) // once more changes nothing
	bob := &User{Name: "Bob", Email: "bob@city.example"}
	must(t, m.AddUser(as(System), bob, goodPassword))
	asBob := as(Actor{User: bob.ID, Via: "session_bob"})
	if _, err := m.AddIdentity(asBob, one); !hasProblem(err, "identity", "TAKEN") {
		t.Errorf("an identity of somebody else: %v", err)
	}
	if _, err := m.AddIdentity(as(Actor{User: bob.ID, Via: "token_bob"}), Identity{Issuer: "x", Subject: "8"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("by a token: %v", err)
	}
	two := Identity{Issuer: "https://two.example", Subject: "7"}
	_, err = m.AddIdentity(asBob, two)
	must(t, err) // the same subject at another issuer is somebody else
	for i, want := range map[Identity]string{one: "Ada", two: "Bob"} {
		c := &client{market: m}
		if u, err := m.SignInWithIdentity(c.ask(t), i, nil); err != nil || u.Name != want || !c.isSignedIn(t) {
			t.Errorf("%s: %v, %v", i.Issuer, u, err)
		}
	}
	c := &client{market: m}
	if _, err := m.SignInWithIdentity(c.ask(t), Identity{Issuer: "https://three.example", Subject: "7"}, nil); !hasProblem(err, "identity", "NOT_FOUND") || c.secret != "" {
		t.Errorf("at a third issuer: %v", err)
	}
}

// hasProblem says whether exactly this is wrong.
func hasProblem(err error, path, code string) bool {
	invalid, ok := errors.AsType[*InvalidError](err)
	return ok && len(invalid.Errors) == 1 && invalid.Errors[0].Path == path && invalid.Errors[0].Code == code
}

// Sample users can be let in for a demonstration. They never stand for
// somebody who runs the network, or a member, for good.
func TestSampleUsersRunNothing(t *testing.T) {
	t.Parallel()
	m, _ := clocked(t)
	sample := &User{Meta: Meta{IsSample: true}, Name: "Sample", Email: "sample@city.example"}
	must(t, m.AddUser(as(System), sample, goodPassword))
	for range 2 {
		must(t, m.PlaceInTeam(as(System), "", sample.ID, TeamRole(SecretariatAdmin)))
	}
	link, err := m.FirstInvitation(t.Context())
	if err != nil || link == "" {
		t.Fatalf("with a sample admin only: %q, %v", link, err)
	}
	if _, err := m.AcceptInvitation(as(Actor{User: sample.ID, Via: "session_x"}), AcceptInvitationInput{Link: link}); !hasProblem(err, "link", "INVALID") {
		t.Errorf("the sample admin accepts it: %v", err)
	}
	ada := signedIn(t, m)
	_, err = m.AcceptInvitation(ada.ask(t), AcceptInvitationInput{Link: link})
	must(t, err)
	if link, err := m.FirstInvitation(t.Context()); link != "" || err != nil {
		t.Errorf("with an admin: %q, %v", link, err)
	}
	me := ViewerOf(ada.ask(t)).Actor.User
	if _, err := m.SetRole(ada.ask(t), SetRoleInput{User: me}); !hasProblem(err, "role", "LAST") {
		t.Errorf("the last real admin leaves: %v", err)
	}
	officer := TeamRole(SecretariatOfficer)
	if _, err := m.SetRole(as(Actor{User: sample.ID, Secretariat: SecretariatAdmin}), SetRoleInput{User: me, Role: &officer}); !hasProblem(err, "role", "LAST") {
		t.Errorf("a sample admin makes them an officer: %v", err)
	}
	_, err = m.SetRole(ada.ask(t), SetRoleInput{User: sample.ID})
	must(t, err)
	must(t, m.PlaceInTeam(as(System), "", sample.ID, TeamRole(SecretariatAdmin)))
	team, err := m.Team(ada.ask(t), "")
	must(t, err)
	if len(team.People) != 1 {
		t.Errorf("who was removed has come back: %v", team.People)
	}
}
