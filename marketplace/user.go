package marketplace

import (
	"context"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// A User is a person who signs in. What they may do follows from the teams
// that they are in.
type User struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Name      string     `json:"name"`
	Email     string     `json:"email"` // as it is claimed: lower case
	Languages []Language `json:"languages,omitempty"`
	TimeZone  string     `json:"timeZone,omitempty"` // IANA name
	// Members are those that the user belongs to, for the audience; kept by
	// the commands on teams.
	Members     []ID `json:"members,omitempty"`
	IsSuspended bool `json:"isSuspended,omitempty"`

	// How the user signs in. Nothing of it can be used by who reads it.
	Password   string     `json:"password,omitempty"` // argon2id, in PHC format
	Epoch      int        `json:"epoch,omitempty"`    // sessions of earlier epochs have ended
	Factor     *Factor    `json:"factor,omitempty"`
	Identities []Identity `json:"identities,omitempty"`

	// Joining is the invitation that made the account, so that joining the
	// team can be made up for where the server stopped in between.
	Joining ID `json:"joining,omitempty"`

	Preferences []Preference `json:"preferences,omitempty"`
	// DigestAt is when the next daily letter is due; nil where none is wanted.
	DigestAt *time.Time `json:"digestAt,omitempty"`
}

// KindUser is the kind of User.
var KindUser = registerRecord("user", func() entity { return new(User) },
	Index{Equal: []string{"email"}},
	Index{Has: "identities.subject"},
	Index{Has: "members"},
	Index{Sort: "createdAt"},
	Index{Sort: "digestAt"})

// A Factor is a second factor: one-time codes (TOTP).
type Factor struct {
	Secret      string   `json:"secret"`             // sealed
	IsConfirmed bool     `json:"isConfirmed"`        // a code has been given once; before, it is not asked for
	LastStep    int64    `json:"lastStep,omitempty"` // of the last code that was accepted, which is not accepted again
	Recovery    []string `json:"recovery,omitempty"` // hashes of the recovery codes that are left
}

func (*User) kind() Kind      { return KindUser }
func (u *User) parties() []ID { return []ID{u.ID} }

// IsNode marks users as something with an id of its own.
func (*User) IsNode() {}

func (u *User) audience() []Group {
	groups := []Group{Group(u.ID), Secretariat}
	for _, m := range u.Members {
		groups = append(groups, Group(m))
	}
	return groups
}

func (u *User) claims() []string {
	claims := []string{"email:" + u.Email}
	for _, i := range u.Identities {
		claims = append(claims, i.claim())
	}
	return claims
}

func (u *User) validate(p *problems) {
	checkString(p, "name", u.Name, 120, true)
	checkEmail(p, "email", u.Email)
	checkLanguages(p, "languages", u.Languages)
	checkTimeZone(p, "timeZone", u.TimeZone)
	p.max("identities", len(u.Identities), 10)
	p.max("members", len(u.Members), maxTeams)
	checkPreferences(p, "preferences", u.Preferences)
}

// HasPassword says whether the user can sign in with a password.
func (u *User) HasPassword() bool { return u.Password != "" }

// HasSecondFactor says whether a one-time code is asked for at sign-in.
func (u *User) HasSecondFactor() bool { return u.Factor != nil && u.Factor.IsConfirmed }

// normalEmail is an address as it is compared.
func normalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func checkEmail(p *problems, path, s string) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" || len(s) > 200 || !strings.Contains(s, ".") || strings.ContainsAny(s, " \"\\") {
		p.add(path, "INVALID", "must be an e-mail address such as name@example.org")
	}
}

func checkTimeZone(p *problems, path, zone string) {
	if zone == "" {
		return
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		p.add(path, "INVALID", "must be an IANA time zone such as Asia/Kathmandu")
	}
}

var userContent = []string{"name", "languages", "timeZone", "preferences"}

// EditUserInput is what EditUser takes.
type EditUserInput struct {
	ID      *ID // nil: the viewer
	Version *int
	Content Patch
}

// EditUser changes what a user says of themself.
func (m *Market) EditUser(ctx context.Context, in EditUserInput) (*User, error) {
	id, err := userOf(ctx, MayEditUser)
	if in.ID != nil {
		id, err = *in.ID, nil
	}
	if err != nil {
		return nil, err
	}
	return update(ctx, m, MayEditUser, id, versionOf(in.Version), func(u *User) error {
		u.mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, u, userContent); err != nil {
			return err
		}
		u.planDigest(m.clock())
		return nil
	})
}

// SuspendUserInput is what SuspendUser takes.
type SuspendUserInput struct {
	ID        ID
	Suspended bool
}

// SuspendUser ends what a user can do, or gives it back. Their sessions end.
func (m *Market) SuspendUser(ctx context.Context, in SuspendUserInput) (*User, error) {
	if in.ID == actorOf(ctx).User {
		return nil, invalid("id", "INVALID", "you cannot suspend yourself")
	}
	return update(ctx, m, MaySuspendUser, in.ID, 0, func(u *User) error {
		u.mark("SUSPEND", "")
		if !in.Suspended {
			u.mark("RESTORE", "")
		}
		u.IsSuspended = in.Suspended
		u.Epoch++
		return nil
	})
}

// AddUser adds a user who can sign in with this password, for the loader of
// sample data; people are invited.
func (m *Market) AddUser(ctx context.Context, u *User, password string) error {
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	u.Email, u.Password = normalEmail(u.Email), hash
	return create(ctx, m, MayPlaceUser, u)
}

// PlaceInTeam puts a user into a team without an invitation, for the loader
// of sample data. Who was placed once stays as they are, also where they have
// left since.
func (m *Market) PlaceInTeam(ctx context.Context, member, user ID, role TeamRole) error {
	if err := MayPlaceUser.checkFor(ctx); err != nil {
		return err
	}
	if t, err := m.team(withSight(ctx), member); err != nil || slices.Contains(t.Spent, user) {
		return err
	}
	if err := m.join(ctx, member, user, role, user); err != nil {
		return err
	}
	return m.noteTeams(ctx, user)
}

// User returns a user, or ErrNotFound.
func (m *Market) User(ctx context.Context, id ID) (*User, error) { return get[*User](ctx, m, id) }

// Users lists all users, newest first, for the secretariat.
func (m *Market) Users(ctx context.Context, s Slice) (*Page[*User], error) {
	if err := MayListUsers.checkFor(ctx); err != nil {
		return nil, err
	}
	return page[*User](ctx, m, KindUser, Query{Sort: "createdAt", Descending: true}, s)
}

// ViewerUser returns the user who asks, or nil.
func (m *Market) ViewerUser(ctx context.Context) (*User, error) {
	id := actorOf(ctx).User
	if id == "" {
		return nil, nil
	}
	return get[*User](ctx, m, id)
}

// LanguagesOf are the languages that the viewer's user reads; none where that
// cannot be found out.
func (m *Market) LanguagesOf(ctx context.Context) []Language {
	u, err := m.ViewerUser(ctx)
	if err != nil || u == nil {
		return nil
	}
	return u.Languages
}

// userOf is the user who asks; visitors are told to sign in.
func userOf(ctx context.Context, may Permission) (ID, error) {
	id := actorOf(ctx).User
	if id == "" {
		return "", &ForbiddenError{Verb: may.verb}
	}
	return id, nil
}

// userByEmail finds a user by their address, or ErrNotFound.
func (m *Market) userByEmail(ctx context.Context, email string) (*User, error) {
	return only[*User](ctx, m, KindUser, Condition{Field: "email", Op: Eq, Value: normalEmail(email)})
}

// only returns the one document that meets the conditions, seen or not, or ErrNotFound.
func only[P entity](ctx context.Context, m *Market, kind Kind, where ...Condition) (P, error) {
	var none P
	docs, err := find[P](withSight(ctx), m, kind, Query{Where: where, Limit: 1})
	if err != nil {
		return none, err
	}
	if len(docs) == 0 {
		return none, ErrNotFound
	}
	return docs[0], nil
}

// Names of the pages of users in the API.
type (
	UserConnection = Page[*User]
	UserEdge       = PageEdge[*User]
)
