package marketplace

import (
	"context"
	"slices"
	"time"
)

// A Group is a word that audiences and actors share: a document can be read
// by whoever has one of its audience's groups. A member's id is a group, too,
// which all of its users have, and a user's id is one that only they have.
type Group string

// The groups that are not ids.
const (
	Everyone    Group = "everyone"    // visitors included
	Members     Group = "members"     // users of any member
	Secretariat Group = "secretariat" // users who run the network
)

// ownersOf is the group of a member's owners.
func ownersOf(member ID) Group { return Group("owners of " + member) }

// A MemberRole is what a user may do on behalf of a member.
type MemberRole string

// The roles in a member, most powerful first.
const (
	RoleOwner  MemberRole = "OWNER"  // people, profile and everything else
	RoleEditor MemberRole = "EDITOR" // content: solutions, proposals, offers
	RoleViewer MemberRole = "VIEWER" // sees what the member sees
)

// MemberRoles are all of them.
var MemberRoles = []MemberRole{RoleOwner, RoleEditor, RoleViewer}

// A SecretariatRole is what a user of the secretariat may do.
type SecretariatRole string

// The roles in the secretariat.
const (
	SecretariatAdmin   SecretariatRole = "ADMIN"   // people and settings, and everything else
	SecretariatOfficer SecretariatRole = "OFFICER" // reviews what members enter, brokers
	SecretariatEditor  SecretariatRole = "EDITOR"  // vocabulary and the network's own pages
)

// SecretariatRoles are all of them.
var SecretariatRoles = []SecretariatRole{SecretariatAdmin, SecretariatOfficer, SecretariatEditor}

// A Membership is the role that a user has in a member.
type Membership struct {
	Member ID         `json:"member"`
	Role   MemberRole `json:"role"`
	Since  time.Time  `json:"since"`
}

// An Actor is whoever a command or query is made for. The zero Actor is a
// visitor who is not signed in.
type Actor struct {
	User        ID // empty: a visitor, or the program itself
	Memberships []Membership
	Secretariat SecretariatRole // empty: not of the secretariat
	// ReadOnly forbids every command: a token that may only read.
	ReadOnly bool
	// Via is the session or the token by which the user is known; empty for a visitor.
	Via ID
}

// System is the program itself, when it loads data.
var System = Actor{Secretariat: SecretariatAdmin}

// Groups are the words in which audiences name this actor.
func (a Actor) Groups() []Group {
	groups := make([]Group, 1, 2*len(a.Memberships)+4)
	groups[0] = Everyone
	if a.User != "" {
		groups = append(groups, Group(a.User))
	}
	if len(a.Memberships) > 0 || a.Secretariat != "" {
		groups = append(groups, Members)
	}
	for _, m := range a.Memberships {
		groups = append(groups, Group(m.Member))
		if m.Role == RoleOwner {
			groups = append(groups, ownersOf(m.Member))
		}
	}
	if a.Secretariat != "" {
		groups = append(groups, Secretariat)
	}
	return groups
}

// members are those of a kind that the actor belongs to, in whatever role; of
// any kind where none is given.
func (a Actor) members(kinds ...Kind) []ID {
	var ids []ID
	for _, m := range a.Memberships {
		if len(kinds) == 0 || slices.Contains(kinds, m.Member.Kind()) {
			ids = append(ids, m.Member)
		}
	}
	return ids
}

// A Viewer is an Actor together with how they want to read and where they are.
type Viewer struct {
	Actor     Actor
	Languages []Language // best first; empty: English, else the original
	// Address is the network address that the request came from and Agent
	// what the client says of itself, both for the audit log and for limits.
	Address, Agent string
	// KeepSession makes the client keep the secret of a session, or forget it
	// where the secret is empty. Nil where the client cannot: commands that
	// begin a session are refused then.
	KeepSession func(secret string, until time.Time)
}

// IsSignedIn says whether the viewer is a user.
func (v Viewer) IsSignedIn() bool { return v.Actor.User != "" || v.Actor.Secretariat != "" }

type viewerKey struct{}

type request struct {
	viewer Viewer
	groups []Group
	sight  bool // sees everything; see withSight
	reads  reads
}

// WithViewer begins a request: everything done with the returned context is
// done for this viewer, and documents that it reads are read once. Such a
// context must not outlive its request, since what it has read goes stale.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, &request{viewer: v, groups: v.Actor.Groups()})
}

// Afresh begins another request for the same viewer: for whatever lives longer
// than a request, such as a stream, and must not be shown what was read long ago.
func Afresh(ctx context.Context) context.Context { return WithViewer(ctx, ViewerOf(ctx)) }

// withSight returns a context in which the same actor finds documents that
// they may not see: for commands whose right comes from a secret, such as a
// password, and for what the domain must know to decide. What is read with it
// is not kept for the request, and must not be shown. Permissions hold as before.
func withSight(ctx context.Context) context.Context {
	return context.WithValue(ctx, viewerKey{}, &request{viewer: ViewerOf(ctx), groups: groupsOf(ctx), sight: true})
}

// ViewerOf returns the context's viewer: a visitor where there is none.
func ViewerOf(ctx context.Context) Viewer {
	if r := requestOf(ctx); r != nil {
		return r.viewer
	}
	return Viewer{}
}

func actorOf(ctx context.Context) Actor { return ViewerOf(ctx).Actor }

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(viewerKey{}).(*request)
	return r
}

var visitorGroups = Actor{}.Groups()

func groupsOf(ctx context.Context) []Group {
	if r := requestOf(ctx); r != nil {
		return r.groups
	}
	return visitorGroups
}

// MembershipsOf are the viewer's memberships.
func MembershipsOf(v *Viewer) []*Membership {
	out := make([]*Membership, len(v.Actor.Memberships))
	for i := range out {
		out[i] = &v.Actor.Memberships[i]
	}
	return out
}

// SecretariatOf is the viewer's role in the secretariat; nil where they have none.
func SecretariatOf(v *Viewer) *TeamRole {
	if v.Actor.Secretariat == "" {
		return nil
	}
	return new(TeamRole(v.Actor.Secretariat))
}
