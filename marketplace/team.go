package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Team is the people of one member, or of the secretariat. It is one
// document, so that "somebody must remain owner" can be held when two leave
// at once.
type Team struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Member ID       `json:"member,omitempty"` // empty: the secretariat
	People []Person `json:"people"`
	// Spent are the invitations that were accepted, newest last, as far as
	// they could still be tried a second time.
	Spent []ID `json:"spent,omitempty"`
}

// A Person is a user in a team.
type Person struct {
	User  ID        `json:"user"`
	Role  TeamRole  `json:"role"`
	Since time.Time `json:"since"`
	// IsSample says that the user is invented. Such users can sign in for
	// demonstration only, so a team whose heads are all invented has nobody
	// who could run it; see heads.
	IsSample bool `json:"isSample,omitempty"`
}

// A TeamRole is a MemberRole in the team of a member and a SecretariatRole in
// that of the secretariat.
type TeamRole string

// KindTeam is the kind of Team.
var KindTeam = registerRecord("team", func() entity { return new(Team) }, Index{Has: "people.user"})

// maxTeam bounds the people of a team, and maxTeams the teams of a user.
const (
	maxTeam  = 500
	maxTeams = 100
)

// teamID is the id of a member's team; of the secretariat's for an empty member.
func teamID(member ID) ID {
	if member == "" {
		return "team_secretariat"
	}
	return ID("team_" + strings.ReplaceAll(string(member), "_", "-"))
}

func (*Team) kind() Kind { return KindTeam }

func (t *Team) parties() []ID {
	if t.Member == "" {
		return nil
	}
	return []ID{t.Member}
}

func (t *Team) refs() []ID {
	refs := []ID{t.Member}
	for _, p := range t.People {
		refs = append(refs, p.User)
	}
	return refs
}

func (t *Team) audience() []Group {
	if t.Member == "" {
		return []Group{Secretariat}
	}
	return []Group{Group(t.Member), Secretariat}
}

func (t *Team) validate(p *problems) {
	if p.max("people", len(t.People), maxTeam) {
		for i, person := range t.People {
			checkRole(p, index("people", i)+".role", t.Member, person.Role)
		}
	}
}

// checkRole reports a role that does not exist in the team of the member; of
// the secretariat where it is empty.
func checkRole(p *problems, path string, member ID, role TeamRole) {
	if member == "" {
		checkOne(p, path, SecretariatRole(role), SecretariatRoles)
	} else {
		checkOne(p, path, MemberRole(role), MemberRoles)
	}
}

// head is the role that somebody must always have.
func (t *Team) head() TeamRole {
	if t.Member == "" {
		return TeamRole(SecretariatAdmin)
	}
	return TeamRole(RoleOwner)
}

// heads counts the people who have the role that somebody must always have,
// and how many of them are real.
func (t *Team) heads() (all, real int) {
	for _, p := range t.People {
		if p.Role == t.head() {
			all++
			if !p.IsSample {
				real++
			}
		}
	}
	return all, real
}

func (t *Team) find(user ID) int {
	return slices.IndexFunc(t.People, func(p Person) bool { return p.User == user })
}

// mayManage is the permission to say who is in a team.
func mayManage(member ID) Permission {
	if member == "" {
		return MayManageSecretariat
	}
	return MayManageTeam
}

// team returns the team of a member, an empty one where there is none yet.
func (m *Market) team(ctx context.Context, member ID) (*Team, error) {
	t, err := get[*Team](ctx, m, teamID(member))
	if errors.Is(err, ErrNotFound) {
		return newTeam(member), nil
	}
	return t, err
}

// updateTeam changes a team, which is made when it is not there yet.
func (m *Market) updateTeam(ctx context.Context, may Permission, member ID, change func(*Team) error) (*Team, error) {
	return updateOrCreate(withSight(ctx), m, may, teamID(member), 0, func() *Team { return newTeam(member) }, change)
}

func newTeam(member ID) *Team {
	return &Team{Meta: Meta{ID: teamID(member)}, Member: member, People: []Person{}}
}

// taken says whether an error means that another document holds what the
// field of that name claims.
func taken(err error, path string) bool {
	invalid, ok := errors.AsType[*InvalidError](err)
	return ok && len(invalid.Errors) == 1 && invalid.Errors[0].Code == "TAKEN" && invalid.Errors[0].Path == path
}

// join puts a user into a team by an invitation; a second time it changes nothing.
func (m *Market) join(ctx context.Context, member, user ID, role TeamRole, invitation ID) error {
	u, err := get[*User](withSight(ctx), m, user)
	if err != nil {
		return err
	}
	_, err = m.updateTeam(ctx, MayJoinTeam, member, func(t *Team) error {
		if slices.Contains(t.Spent, invitation) {
			return nil
		}
		t.Spent = append(t.Spent, invitation)
		t.Spent = t.Spent[max(0, len(t.Spent)-maxTeam):]
		t.did = Mark{Action: "JOIN", Note: string(user) + " as " + string(role), By: user, Members: []ID{user}}
		if i := t.find(user); i >= 0 {
			if !lower(t.Member, role, t.People[i].Role) {
				t.People[i].Role = role
			}
			return nil
		}
		t.People = append(t.People, Person{User: user, Role: role, Since: m.clock(), IsSample: u.IsSample})
		return nil
	})
	return err
}

// lower says whether a role is less than another one of the same team.
func lower(member ID, role, than TeamRole) bool {
	if member == "" {
		return slices.Index(SecretariatRoles, SecretariatRole(role)) > slices.Index(SecretariatRoles, SecretariatRole(than))
	}
	return slices.Index(MemberRoles, MemberRole(role)) > slices.Index(MemberRoles, MemberRole(than))
}

// SetRoleInput is what SetRole takes.
type SetRoleInput struct {
	Member *ID // nil: the secretariat
	User   ID
	Role   *TeamRole // nil: no longer in the team
}

// SetRole changes the role of a user in a team, or ends it. Everybody may
// leave by themselves; the last owner, or the last admin, must stay, and the
// last real one even where there are invented ones.
func (m *Market) SetRole(ctx context.Context, in SetRoleInput) (*Team, error) {
	var member ID
	if in.Member != nil {
		member = *in.Member
	}
	var p problems
	if in.Role != nil {
		checkRole(&p, "role", member, *in.Role)
	}
	if member != "" && !isMember(member) {
		p.add("member", "INVALID", "must be the id of a member")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	may := mayManage(member)
	if in.Role == nil && in.User == actorOf(ctx).User {
		may = MayLeaveTeam
	}
	t, err := m.updateTeam(ctx, may, member, func(t *Team) error {
		i := t.find(in.User)
		if i < 0 {
			return invalid("user", "NOT_FOUND", "is not in this team")
		}
		_, before := t.heads()
		t.mark("REMOVE_PERSON", string(in.User), in.User)
		if in.Role == nil {
			t.People = slices.Delete(t.People, i, i+1)
		} else {
			t.mark("SET_ROLE", fmt.Sprintf("%s: %s to %s", in.User, t.People[i].Role, *in.Role), in.User)
			t.People[i].Role = *in.Role
		}
		if all, real := t.heads(); all == 0 || real == 0 && before > 0 {
			return invalid("role", "LAST", fmt.Sprintf("the last %s must stay: make somebody else %s first", strings.ToLower(string(t.head())), t.head()))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := m.noteTeams(ctx, in.User); err != nil {
		return nil, err
	}
	if !visible(ctx, t) {
		return nil, nil
	}
	return t, nil
}

func isMember(id ID) bool { return slices.Contains(memberKinds(), id.Kind()) }

// Team returns the people of a member, or of the secretariat for none.
func (m *Market) Team(ctx context.Context, member ID) (*Team, error) {
	t, err := m.team(ctx, member)
	if err != nil {
		return nil, err
	}
	if !visible(ctx, t) {
		return nil, ErrNotFound
	}
	return t, nil
}

// teamsOf are the teams that a user is in.
func (m *Market) teamsOf(ctx context.Context, user ID) ([]*Team, error) {
	return find[*Team](withSight(ctx), m, KindTeam, Query{Where: []Condition{{Field: "people.user", Op: Has, Value: user}}, Limit: maxTeams})
}

// noteTeams writes down with a user which members they belong to, for those
// who may see them. The teams are what counts; whatever stops between the two
// is made up for by the follower of the teams.
func (m *Market) noteTeams(ctx context.Context, user ID) error {
	teams, err := m.teamsOf(ctx, user)
	if err != nil {
		return err
	}
	var members []ID
	for _, t := range teams {
		if t.Member != "" {
			members = append(members, t.Member)
		}
	}
	_, err = update(withSight(ctx), m, MayJoinTeam, user, 0, func(u *User) error {
		u.Members = members
		u.mark(unmarked, "")
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// UserOf returns the user of a person in a team.
func (m *Market) UserOf(ctx context.Context, p *Person) (*User, error) {
	return get[*User](ctx, m, p.User)
}
