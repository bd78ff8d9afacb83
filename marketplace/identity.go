package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// A SignInProvider is another provider by whose accounts users can sign in
// (OpenID Connect).
type SignInProvider struct {
	Name   string // in addresses: lower-case letters, digits and hyphens
	Title  string // for people
	Issuer string
}

// An Identity is how another provider knows the user (OpenID Connect).
type Identity struct {
	Issuer  string  `json:"issuer"`
	Subject string  `json:"subject"`
	Email   *string `json:"email,omitempty"` // that the provider has verified, for people
}

func (i Identity) claim() string { return "identity:" + hashed(i.Issuer+"\x00"+i.Subject) }

func (i Identity) same(o Identity) bool { return i.Issuer == o.Issuer && i.Subject == o.Subject }

// SignInProviders lists the providers by which users can sign in.
func (m *Market) SignInProviders() []*SignInProvider {
	out := make([]*SignInProvider, len(m.options.Providers))
	for i := range out {
		out[i] = &m.options.Providers[i]
	}
	return out
}

// userByIdentity finds the user whom a provider knows by this identity, or
// ErrNotFound. Two providers may name two users alike.
func (m *Market) userByIdentity(ctx context.Context, i Identity) (*User, error) {
	list, err := find[*User](withSight(ctx), m, KindUser, Query{
		Where: []Condition{{Field: "identities.subject", Op: Has, Value: i.Subject}}, Limit: 100})
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(list, func(u *User) bool { return slices.ContainsFunc(u.Identities, i.same) })
	if at < 0 {
		return nil, ErrNotFound
	}
	return list[at], nil
}

// SignInWithIdentity begins a session for the user whom another provider
// knows by this identity. An address alone makes nobody known: who has no
// account with the identity signs in otherwise once and adds it. The code is
// that of the second factor, or a recovery code, for users who have one: a
// provider stands in for the password only.
func (m *Market) SignInWithIdentity(ctx context.Context, i Identity, code *string) (*User, error) {
	u, err := m.userByIdentity(ctx, i)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("identity", "NOT_FOUND", "is of no user here: sign in otherwise, then add it to your account")
	}
	if err != nil {
		return nil, err
	}
	if u, err = m.passFactor(ctx, u, code); err != nil {
		return nil, err
	}
	return m.entered(ctx, u, i.Issuer)
}

// passFactor lets a user pass who may sign in and has given a code of the
// second factor, where they have one.
func (m *Market) passFactor(ctx context.Context, u *User, code *string) (*User, error) {
	if u.IsSuspended || u.IsSample && !m.options.Demo {
		return nil, errCredentials
	}
	if !u.HasSecondFactor() {
		return u, nil
	}
	if text(code) == "" {
		return nil, invalid("code", "REQUIRED", "a code of the second factor is needed")
	}
	return m.useCode(ctx, u.ID, *code)
}

// Prove asks the viewer for their password once more, before they add a way
// to sign in. Who has no password needs none.
func (m *Market) Prove(ctx context.Context, password *string) (*User, error) {
	return m.prove(ctx, "password", password)
}

// AddIdentity lets the viewer sign in by another provider from now on. The
// caller has asked them to Prove who they are.
func (m *Market) AddIdentity(ctx context.Context, i Identity) (*User, error) {
	id, err := userOf(ctx, MayEditAccount)
	if err != nil {
		return nil, err
	}
	u, err := update(ctx, m, MayEditAccount, id, 0, func(u *User) error {
		if slices.ContainsFunc(u.Identities, i.same) {
			return nil
		}
		u.mark("ADD_IDENTITY", i.Issuer)
		u.Identities = append(u.Identities, i)
		return nil
	})
	if taken(err, "identity") {
		return nil, invalid("identity", "TAKEN", "belongs to another user")
	}
	return u, err
}

// RemoveIdentityInput is what RemoveIdentity takes.
type RemoveIdentityInput struct {
	Issuer  string
	Subject string
}

// RemoveIdentity takes away a way to sign in, unless it is the last one.
func (m *Market) RemoveIdentity(ctx context.Context, in RemoveIdentityInput) (*User, error) {
	id, err := userOf(ctx, MayEditAccount)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, MayEditAccount, id, 0, func(u *User) error {
		u.mark("REMOVE_IDENTITY", in.Issuer)
		u.Identities = slices.DeleteFunc(u.Identities, Identity{Issuer: in.Issuer, Subject: in.Subject}.same)
		if len(u.Identities) == 0 && u.Password == "" {
			return invalid("subject", "LAST", "is the last way to sign in: set a password first")
		}
		return nil
	})
}

// AcceptWithIdentityInput is what AcceptWithIdentity takes.
type AcceptWithIdentityInput struct {
	Link     string
	Name     string // empty: as the provider, or the address, says
	Email    string // where the invitation has none; empty: as the provider says
	TimeZone string
	Identity Identity
	Code     *string // of the second factor, where the identity has an account already
}

// AcceptWithIdentity accepts an invitation with an account at another
// provider in place of a password: it makes the user's account, or brings the
// user who has the identity already into the team.
func (m *Market) AcceptWithIdentity(ctx context.Context, in AcceptWithIdentityInput) (*User, error) {
	t, err := m.redeem(ctx, in.Link, TicketInvitation)
	if err != nil {
		return nil, err
	}
	u, err := m.userByIdentity(ctx, in.Identity)
	switch {
	case err == nil:
		u, err = m.passFactor(ctx, u, in.Code)
	case errors.Is(err, ErrNotFound):
		u, err = m.accountByIdentity(ctx, t, in)
	}
	if err != nil {
		return nil, err
	}
	if err := m.enter(ctx, t, u.ID); err != nil {
		return nil, err
	}
	return m.entered(ctx, u, in.Identity.Issuer)
}

// accountByIdentity makes the account of somebody who was invited and for
// whom another provider vouches.
func (m *Market) accountByIdentity(ctx context.Context, t *Ticket, in AcceptWithIdentityInput) (*User, error) {
	u := &User{Meta: Meta{ID: newID(KindUser, m.now())}, Name: in.Name, Email: t.Email, TimeZone: in.TimeZone,
		Languages: ViewerOf(ctx).Languages, Identities: []Identity{in.Identity}, Joining: t.ID}
	for _, email := range []string{in.Email, text(in.Identity.Email)} {
		if u.Email == "" {
			u.Email = normalEmail(email)
		}
	}
	if u.Name == "" {
		u.Name, _, _ = strings.Cut(u.Email, "@")
	}
	u.did = Mark{Action: "JOIN", By: u.ID}
	err := create(withSight(ctx), m, MayRecoverAccount, u)
	if taken(err, "email") {
		return nil, invalid("email", "SIGN_IN", "has an account already: sign in, then open the link again")
	}
	return u, err
}
