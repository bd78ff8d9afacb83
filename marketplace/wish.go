package marketplace

import (
	"slices"
)

// A WishList is whom a participant of an event wishes to meet, and whom not.
// It is its own people's alone: the secretariat sees what it says of MUST and
// WANT through Market.RegistrationWishes, and nobody sees whom it never wants to meet.
// That holds for what follows from it, too: no mark, notification or
// suggestion to others depends on it.
type WishList struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event        ID     `json:"event"`
	Registration ID     `json:"registration"`
	Member       ID     `json:"member"`
	Wishes       []Wish `json:"wishes,omitempty"` // MUST before WANT before NEVER, in each the greatest wish first
}

// KindWishList is the kind of WishList.
var KindWishList = registerRecord("wishlist", func() entity { return new(WishList) },
	Index{Equal: []string{"event"}, Sort: "createdAt"},
	Index{Equal: []string{"member"}, Sort: "createdAt"})

// A Wish is to meet another participant, or never to.
type Wish struct {
	With  ID        `json:"with"` // member
	Level WishLevel `json:"level"`
	About ID        `json:"about,omitempty"` // a solution or a proposal; empty: nothing in particular
	Note  string    `json:"note,omitempty"`  // for its own people, and of MUST and WANT for the secretariat
}

// A WishLevel says how much a participant wishes to meet another.
type WishLevel string

// The levels of wishes.
const (
	WishMust  WishLevel = "MUST"
	WishWant  WishLevel = "WANT"
	WishNever WishLevel = "NEVER" // whatever the other side wishes, or the secretariat
)

// WishLevels are all of them, in the order in which they are kept.
var WishLevels = []WishLevel{WishMust, WishWant, WishNever}

const maxWishes = 200

// wishListID is the id of the wishes that belong to a registration.
func wishListID(registration ID) ID {
	return ID(string(KindWishList) + "_" + hashed(string(registration))[:26])
}

func (*WishList) kind() Kind          { return KindWishList }
func (w *WishList) parties() []ID     { return []ID{w.Member} }
func (w *WishList) audience() []Group { return []Group{Group(w.Member)} }

func (w *WishList) refs() []ID {
	refs := []ID{w.Event, w.Registration, w.Member}
	for _, x := range w.Wishes {
		refs = append(refs, x.With)
		if x.About != "" {
			refs = append(refs, x.About)
		}
	}
	return refs
}

// IsNode marks lists of wishes as something with an id of its own.
func (*WishList) IsNode() {}

func (w *WishList) validate(p *problems) {
	if !p.max("wishes", len(w.Wishes), maxWishes) {
		return
	}
	seen := map[ID]bool{}
	for i, x := range w.Wishes {
		at := index("wishes", i)
		checkOne(p, at+".level", x.Level, WishLevels)
		checkString(p, at+".note", x.Note, 500, false)
		switch {
		case !isMember(x.With):
			p.add(at+".with", "INVALID", "must be the id of a member")
		case x.With == w.Member:
			p.add(at+".with", "INVALID", "must be another member")
		case seen[x.With]:
			p.add(at+".with", "DUPLICATE", "each at most once")
		}
		seen[x.With] = true
		if x.About != "" && x.About.Kind() != KindSolution && x.About.Kind() != KindProposal {
			p.add(at+".about", "INVALID", "must be the id of a solution or a proposal")
		}
	}
}

// never says whether the list's member never wants to meet another one.
func (w *WishList) never(other ID) bool {
	return slices.ContainsFunc(w.Wishes, func(x Wish) bool { return x.With == other && x.Level == WishNever })
}

// of are the wishes of some levels, in their order.
func (w *WishList) of(levels ...WishLevel) []Wish {
	var out []Wish
	for _, x := range w.Wishes {
		if slices.Contains(levels, x.Level) {
			out = append(out, x)
		}
	}
	return out
}
