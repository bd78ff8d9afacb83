package seed

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"citymarket/marketplace"
)

// DemoPassword is that of every sample user. It is no secret, and need not be
// one: they can sign in only where marketplace.Options.Demo says so.
const DemoPassword = "citymarket-demo"

type sampleUser struct {
	marketplace.User
	Teams []sampleTeam `json:"teams"`
}

// A sampleTeam names a member, or the secretariat where it names none.
type sampleTeam struct {
	sampleMember
	Role marketplace.TeamRole `json:"role"`
}

// A DemoUser is a sample user, for telling people how to sign in.
type DemoUser struct {
	Name, Email string
	Role        marketplace.TeamRole
	For         string // slug of the member; "secretariat" for those of the network
}

// LoadUsers brings the sample users into a store that has the sample
// marketplace, and returns all of them. They are no part of Load, so that they
// are in a store only where a demonstration was asked for. Who is there
// already is left as they are; each new one costs a password hash.
func LoadUsers(ctx context.Context, m *marketplace.Market) ([]DemoUser, error) {
	users, err := read[sampleUser]("users.json")
	if err != nil {
		return nil, err
	}
	ctx = act(ctx)
	var out []DemoUser
	for i := range users {
		u, teams := &users[i].User, users[i].Teams
		for _, t := range teams {
			if id := t.member(); id != "" {
				if _, err := m.Member(ctx, id); err != nil {
					return nil, fmt.Errorf("seed: the sample users act for members of the sample marketplace, such as %s: %w", id, err)
				}
			}
			out = append(out, DemoUser{Name: u.Name, Email: u.Email, Role: t.Role, For: cmp.Or(t.Company, t.City, "secretariat")})
		}
		u.ID, u.Slug, u.IsSample = marketplace.ID("user_sample-"+u.Slug), "", true
		switch _, err := m.User(ctx, u.ID); {
		case errors.Is(err, marketplace.ErrNotFound):
			if err := m.AddUser(ctx, u, DemoPassword); err != nil && !exists(err) {
				return nil, fmt.Errorf("seed: user %s: %w", u.Email, err)
			}
		case err != nil:
			return nil, err
		}
		for _, t := range teams {
			if err := m.PlaceInTeam(ctx, t.member(), u.ID, t.Role); err != nil {
				return nil, fmt.Errorf("seed: user %s: %w", u.Email, err)
			}
		}
	}
	return out, nil
}
