package marketplace_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	. "citymarket/marketplace"
)

func TestTeams(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	owner := o.join(admin, "owner@example.org", "company_acme", "OWNER")
	editor := o.join(owner, "editor@example.org", "company_acme", "EDITOR")
	stranger := o.join(admin, "rival@example.org", "company_rival", "OWNER")
	id := func(c *client) ID { return ViewerOf(c.ctx()).Actor.User }
	role := func(r TeamRole) *TeamRole { return &r }
	acme := new(ID("company_acme"))

	for name, by := range map[string]*client{"editor": editor, "other owner": stranger, "visitor": o.client()} {
		if _, err := o.Invite(by.ctx(), InviteInput{Email: "x@example.org", Member: acme, Role: "VIEWER"}); code(err) != "FORBIDDEN" {
			t.Errorf("%s invites: %v", name, err)
		}
		if _, err := o.SetRole(by.ctx(), SetRoleInput{Member: acme, User: id(owner), Role: role("VIEWER")}); code(err) != "FORBIDDEN" {
			t.Errorf("%s changes a role: %v", name, err)
		}
		if name != "editor" {
			if _, err := o.Team(by.ctx(), *acme); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s sees the people: %v", name, err)
			}
		}
	}
	if _, err := o.Invite(owner.ctx(), InviteInput{Email: "x@example.org", Role: "ADMIN"}); code(err) != "FORBIDDEN" {
		t.Errorf("an owner invites into the secretariat: %v", err)
	}
	if _, err := o.Invite(admin.ctx(), InviteInput{Email: "x@example.org", Member: acme, Role: "ADMIN"}); code(err) != "INVALID" {
		t.Errorf("an admin of a company: %v", err)
	}
	_, err := o.Invite(owner.ctx(), InviteInput{Email: "twice@example.org", Member: acme, Role: "VIEWER"})
	must(t, err)
	if _, err := o.Invite(owner.ctx(), InviteInput{Email: "Twice@example.org", Member: acme, Role: "VIEWER"}); code(err) != "TAKEN" {
		t.Errorf("invited twice: %v", err)
	}
	if _, err := o.SetRole(owner.ctx(), SetRoleInput{Member: acme, User: id(owner)}); code(err) != "LAST" {
		t.Errorf("the last owner left: %v", err)
	}
	if _, err := o.SetRole(admin.ctx(), SetRoleInput{User: id(admin), Role: role("OFFICER")}); code(err) != "LAST" {
		t.Errorf("the last admin stepped down: %v", err)
	}
	// A role that is taken away is gone with the next request.
	s, err := o.CreateSolution(editor.ctx(), CreateSolutionInput{Company: *acme, Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Kerb"}}}})
	must(t, err)
	_, err = o.SetRole(owner.ctx(), SetRoleInput{Member: acme, User: id(editor)})
	must(t, err)
	if _, err := o.Solution(editor.ctx(), s.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a former editor sees a draft: %v", err)
	}
	if _, err := o.User(owner.ctx(), id(editor)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a former colleague is seen: %v", err)
	}
	if _, err := o.SuspendUser(admin.ctx(), SuspendUserInput{ID: id(owner), Suspended: true}); err != nil || owner.isSignedIn() {
		t.Errorf("%v, signed in %v", err, owner.isSignedIn())
	}
}

// An invitation joins the account of whoever is signed in; a visitor who has
// an account must sign in, also if the invitation went to their address.
func TestAnInvitationMeetsAnAccount(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	user := o.join(admin, "user@example.org", "company_acme", "OWNER")
	ticket, err := o.Invite(admin.ctx(), InviteInput{Email: "user@example.org", Member: new(ID("city_oslo")), Role: "EDITOR"})
	must(t, err)
	link := o.LinkFor(ticket.ID)
	if _, err := o.AcceptInvitation(o.client().ctx(), AcceptInvitationInput{Link: link, Name: new("Thief"), Password: new("quiet orange bicycle bell")}); code(err) != "SIGN_IN" {
		t.Errorf("an account was taken over: %v", err)
	}
	_, err = o.AcceptInvitation(user.ctx(), AcceptInvitationInput{Link: link})
	must(t, err)
	if m := ViewerOf(user.ctx()).Actor.Memberships; len(m) != 2 {
		t.Errorf("%+v", m)
	}
	if _, err := o.AcceptInvitation(user.ctx(), AcceptInvitationInput{Link: link}); code(err) != "EXPIRED" {
		t.Errorf("a second time: %v", err)
	}
	revoked, err := o.Invite(admin.ctx(), InviteInput{Email: "late@example.org", Member: new(ID("city_oslo")), Role: "EDITOR"})
	must(t, err)
	link = o.LinkFor(revoked.ID)
	_, err = o.RevokeInvitation(admin.ctx(), revoked.ID)
	must(t, err)
	if _, err := o.AcceptInvitation(o.client().ctx(), AcceptInvitationInput{Link: link, Name: new("Late"), Password: new(password)}); code(err) != "EXPIRED" {
		t.Errorf("revoked: %v", err)
	}
}

// When all owners leave at once, one stays.
func TestOneOwnerStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	acme := new(ID("company_acme"))
	var owners []*client
	for i := range 5 {
		owners = append(owners, o.join(admin, fmt.Sprintf("owner%d@example.org", i), *acme, "OWNER"))
	}
	var left atomic.Int32
	var wg sync.WaitGroup
	for _, c := range owners {
		ctx := c.ctx()
		wg.Go(func() {
			if _, err := o.SetRole(ctx, SetRoleInput{Member: acme, User: ViewerOf(ctx).Actor.User}); err == nil {
				left.Add(1)
			} else if code(err) != "LAST" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := left.Load(); n != 4 {
		t.Errorf("%d of 5 left", n)
	}
}
