package marketplace_test

import (
	"errors"
	"testing"

	. "citymarket/marketplace"
)

// place adds a user who can sign in with password, and signs them in.
func (o *office) place(u *User) *client {
	o.t.Helper()
	must(o.t, o.AddUser(as(System), u, password))
	c := o.client()
	_, err := o.SignIn(c.ctx(), SignInInput{Email: u.Email, Password: password})
	if !u.IsSample {
		must(o.t, err)
	}
	return c
}

// hasProblem says whether exactly this is wrong.
func hasProblem(err error, path, code string) bool {
	invalid, ok := errors.AsType[*InvalidError](err)
	return ok && len(invalid.Errors) == 1 && invalid.Errors[0].Path == path && invalid.Errors[0].Code == code
}

// An identity belongs to one user, and is known by its issuer as well.
func TestIdentities(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ada, bob := o.place(&User{Name: "Ada", Email: "ada@city.example"}), o.place(&User{Name: "Bob", Email: "bob@city.example"})
	one := Identity{Issuer: "https://one.example", Subject: "7"}
	for range 2 { // once more changes nothing
		u, err := o.AddIdentity(ada.ctx(), one)
		must(t, err)
		if len(u.Identities) != 1 {
			t.Errorf("%v", u.Identities)
		}
	}
	if _, err := o.AddIdentity(bob.ctx(), one); !hasProblem(err, "identity", "TAKEN") {
		t.Errorf("an identity of somebody else: %v", err)
	}
	byToken := ViewerOf(bob.ctx()).Actor
	byToken.Via = "token_bob"
	if _, err := o.AddIdentity(as(byToken), Identity{Issuer: "x", Subject: "8"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("by a token: %v", err)
	}
	two := Identity{Issuer: "https://two.example", Subject: "7"}
	_, err := o.AddIdentity(bob.ctx(), two)
	must(t, err) // the same subject at another issuer is somebody else
	for i, want := range map[Identity]string{one: "Ada", two: "Bob"} {
		c := o.client()
		if u, err := o.SignInWithIdentity(c.ctx(), i, nil); err != nil || u.Name != want || !c.isSignedIn() {
			t.Errorf("%s: %v, %v", i.Issuer, u, err)
		}
	}
	c := o.client()
	if _, err := o.SignInWithIdentity(c.ctx(), Identity{Issuer: "https://three.example", Subject: "7"}, nil); !hasProblem(err, "identity", "NOT_FOUND") || c.isSignedIn() {
		t.Errorf("at a third issuer: %v", err)
	}
}

// Sample users can be let in for a demonstration. They never stand for
// somebody who runs the network, or a member, for good.
func TestSampleUsersRunNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sample := &User{Meta: Meta{IsSample: true}, Name: "Sample", Email: "sample@city.example"}
	if c := o.place(sample); c.isSignedIn() {
		t.Error("a sample user signs in though this is no demonstration")
	}
	for range 2 {
		must(t, o.PlaceInTeam(as(System), "", sample.ID, TeamRole(SecretariatAdmin)))
	}
	link, err := o.FirstInvitation(t.Context())
	if err != nil || link == "" {
		t.Fatalf("with a sample admin only: %q, %v", link, err)
	}
	asSample := as(Actor{User: sample.ID, Secretariat: SecretariatAdmin, Via: "session_x"})
	if _, err := o.AcceptInvitation(asSample, AcceptInvitationInput{Link: link}); !hasProblem(err, "link", "INVALID") {
		t.Errorf("the sample admin accepts it: %v", err)
	}
	ada := o.place(&User{Name: "Ada", Email: "ada@city.example"})
	_, err = o.AcceptInvitation(ada.ctx(), AcceptInvitationInput{Link: link})
	must(t, err)
	if link, err := o.FirstInvitation(t.Context()); link != "" || err != nil {
		t.Errorf("with an admin: %q, %v", link, err)
	}
	me := ViewerOf(ada.ctx()).Actor.User
	if _, err := o.SetRole(ada.ctx(), SetRoleInput{User: me}); !hasProblem(err, "role", "LAST") {
		t.Errorf("the last real admin leaves: %v", err)
	}
	officer := TeamRole(SecretariatOfficer)
	if _, err := o.SetRole(asSample, SetRoleInput{User: me, Role: &officer}); !hasProblem(err, "role", "LAST") {
		t.Errorf("a sample admin makes them an officer: %v", err)
	}
	_, err = o.SetRole(ada.ctx(), SetRoleInput{User: sample.ID})
	must(t, err)
	must(t, o.PlaceInTeam(as(System), "", sample.ID, TeamRole(SecretariatAdmin)))
	team, err := o.Team(ada.ctx(), "")
	must(t, err)
	if len(team.People) != 1 {
		t.Errorf("who was removed has come back: %v", team.People)
	}
}
