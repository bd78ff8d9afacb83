package marketplace

import "context"

// A Group is a word that audiences and actors share: a document can be read
// by whoever has one of its audience's groups. A member's id is a group, too.
type Group string

// The groups that are not ids.
const (
	Everyone    Group = "everyone"    // visitors included
	Members     Group = "members"     // users of any member
	Secretariat Group = "secretariat" // users who run the network
)

// An Actor is whoever a command or query is made for. The zero Actor is a
// visitor who is not signed in.
type Actor struct {
	Members     []ID // the members on whose behalf they act
	Secretariat bool
}

// Groups are the words in which audiences name this actor.
func (a Actor) Groups() []Group {
	groups := make([]Group, 1, len(a.Members)+3)
	groups[0] = Everyone
	if len(a.Members) > 0 {
		groups = append(groups, Members)
		for _, m := range a.Members {
			groups = append(groups, Group(m))
		}
	}
	if a.Secretariat {
		groups = append(groups, Members, Secretariat)
	}
	return groups
}

// A Viewer is an Actor together with how they want to read.
type Viewer struct {
	Actor     Actor
	Languages []Language // best first; empty: English, else the original
}

// IsSignedIn says whether the viewer is a user of a member or of the secretariat.
func (v Viewer) IsSignedIn() bool { return len(v.Actor.Members) > 0 || v.Actor.Secretariat }

type viewerKey struct{}

type request struct {
	viewer Viewer
	groups []Group
	reads  reads
}

// WithViewer begins a request: everything done with the returned context is
// done for this viewer, and documents that it reads are read once. Such a
// context must not outlive its request, since what it has read goes stale.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, &request{viewer: v, groups: v.Actor.Groups()})
}

// ViewerOf returns the context's viewer: a visitor where there is none.
func ViewerOf(ctx context.Context) Viewer {
	if r := requestOf(ctx); r != nil {
		return r.viewer
	}
	return Viewer{}
}

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
