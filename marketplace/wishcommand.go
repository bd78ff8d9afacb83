package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ownWishList are the columns of a member's wishes in its export, which its
// own people alone get.
var ownWishList = plainColumns("id", "event", "registration", "member", "wishes", "createdAt", "updatedAt")

// limitWishes is for each user: each change leaves an entry in the log that
// those who may not read it pass over.
var limitWishes = limited{name: "wishes", account: throttleLimit{300, 3 * time.Second}}

// SetWishesInput is what SetWishes takes.
type SetWishesInput struct {
	Event   ID
	Member  ID   // whose wishes they are
	Version *int // of the list that was read; nil: any
	Wishes  []*WishInput
}

// WishInput is one wish: the greatest of a level comes first.
type WishInput struct {
	With  ID
	Level WishLevel
	About *ID
	Note  *string
}

// SetWishes says whom a participant wishes to meet, and whom never, in place
// of all that it said before.
func (m *Market) SetWishes(ctx context.Context, in SetWishesInput) (*WishList, error) {
	var p problems
	if !p.max("wishes", len(in.Wishes), maxWishes) {
		return nil, p.err()
	}
	return m.updateWishes(ctx, in.Event, in.Member, in.Version, func(w *WishList) {
		w.Wishes = nil
		for _, x := range in.Wishes {
			w.Wishes = append(w.Wishes, x.wish())
		}
	})
}

func (in *WishInput) wish() Wish {
	x := Wish{With: in.With, Level: in.Level, Note: text(in.Note)}
	if in.About != nil {
		x.About = *in.About
	}
	return x
}

// SetWishInput is what SetWish takes.
type SetWishInput struct {
	Event  ID
	Member ID // whose wish it is
	Wish   WishInput
	Place  *int // among the wishes of its level, from 1; nil: the last
}

// SetWish says of one participant whether the member wishes to meet it, in
// place of what was said of that one before.
func (m *Market) SetWish(ctx context.Context, in SetWishInput) (*WishList, error) {
	if in.Place != nil && (*in.Place < 1 || *in.Place > maxWishes) {
		return nil, invalid("place", "OUT_OF_RANGE", fmt.Sprintf("must be 1 to %d", maxWishes))
	}
	return m.updateWishes(ctx, in.Event, in.Member, nil, func(w *WishList) {
		w.drop(in.Wish.With)
		at := len(w.Wishes)
		if in.Place != nil {
			level := w.of(in.Wish.Level)
			if *in.Place <= len(level) {
				at = slices.IndexFunc(w.Wishes, func(x Wish) bool { return x.With == level[*in.Place-1].With })
			}
		}
		w.Wishes = slices.Insert(w.Wishes, at, in.Wish.wish())
	})
}

// RemoveWishInput is what RemoveWish takes.
type RemoveWishInput struct {
	Event  ID
	Member ID // whose wish it is
	With   ID
}

// RemoveWish takes back what was said of one participant; a second time it
// changes nothing.
func (m *Market) RemoveWish(ctx context.Context, in RemoveWishInput) (*WishList, error) {
	return m.updateWishes(ctx, in.Event, in.Member, nil, func(w *WishList) { w.drop(in.With) })
}

func (w *WishList) drop(with ID) {
	w.Wishes = slices.DeleteFunc(w.Wishes, func(x Wish) bool { return x.With == with })
}

// updateWishes changes a list of wishes while the event takes them. Its mark
// says no more than that it was changed, and is read by the member's owners
// alone; see AuditEntry.audience.
func (m *Market) updateWishes(ctx context.Context, event, member ID, version *int, change func(*WishList)) (*WishList, error) {
	e, r, err := m.participant(ctx, event, member)
	if err != nil {
		return nil, err
	}
	if err := MayWish.check(ctx, r); err != nil {
		return nil, err
	}
	if err := m.limitUser(ctx, limitWishes); err != nil {
		return nil, err
	}
	fresh := func() *WishList {
		return &WishList{Meta: Meta{IsSample: r.IsSample}, Event: e.ID, Registration: r.ID, Member: r.Member}
	}
	return updateOrCreate(ctx, m, MayWish, wishListID(r.ID), versionOf(version), fresh, func(w *WishList) error {
		e, err := m.eventOf(ctx, event)
		if err != nil {
			return err
		}
		if err := e.takesWishes(m.clock()); err != nil {
			return err
		}
		before := slices.Clone(w.Wishes)
		w.mark("SET_WISHES", "")
		change(w)
		slices.SortStableFunc(w.Wishes, func(a, b Wish) int {
			return slices.Index(WishLevels, a.Level) - slices.Index(WishLevels, b.Level)
		})
		return m.checkWishes(ctx, e, r, w, before)
	})
}

// participant is an event with the registration of one of its participants.
func (m *Market) participant(ctx context.Context, event, member ID) (*Event, *Registration, error) {
	e, err := m.Event(ctx, event)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, invalid("event", "NOT_FOUND", "there is no such event")
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := m.RegistrationOf(ctx, e.ID, member)
	if errors.Is(err, ErrNotFound) || err == nil && r.Status != RegistrationApproved {
		return nil, nil, invalid("member", "NOT_FOUND", "is no participant of this event")
	}
	return e, r, err
}

// checkWishes reports wishes that cannot be. What was there before stays,
// though the other has withdrawn in the meantime.
func (m *Market) checkWishes(ctx context.Context, e *Event, r *Registration, w *WishList, before []Wish) error {
	var p problems
	p.list = problemsOf(check(w))
	if len(w.Wishes) > maxWishes {
		return p.err()
	}
	others := make([]ID, len(w.Wishes))
	about := make([]ID, len(w.Wishes))
	for i, x := range w.Wishes {
		if isMember(x.With) {
			others[i] = registrationID(e.ID, x.With)
		}
		about[i] = x.About
	}
	docs, err := m.load(withSight(ctx), others)
	if err != nil {
		return err
	}
	subjects, err := m.load(ctx, about)
	if err != nil {
		return err
	}
	for i, x := range w.Wishes {
		at := index("wishes", i)
		if slices.Contains(before, x) || p.has(at+".with") {
			continue
		}
		other, ok := docs[i].(*Registration)
		switch {
		case !ok || other.Status != RegistrationApproved:
			p.add(at+".with", "NOT_FOUND", "is no participant of this event")
		case x.Level == WishNever:
		case !e.allows(r.Member, other.Member):
			p.addf(at+".with", "INVALID", "is of a kind that %s does not ask for meetings at this event", memberKindOf(r.Member))
		case e.LanguageRule == LanguagesRequire && !e.canTalk(r, other):
			p.add(at+".with", "INVALID", "shares no language with this member, and nobody interprets between them")
		}
		if x.About != "" && !p.has(at+".about") && !isAbout(subjects[i], r.Member, x.With) {
			p.add(at+".about", "NOT_FOUND", "is no solution or proposal of either side that can be seen")
		}
	}
	return p.err()
}

// isAbout says whether something that was read belongs to one of two members.
func isAbout(doc entity, a, b ID) bool {
	switch doc := doc.(type) {
	case *Solution:
		return doc.Company == a || doc.Company == b
	case *Proposal:
		return doc.City == a || doc.City == b
	}
	return false
}

// WishList returns a list of wishes to the people of its member, or ErrNotFound.
func (m *Market) WishList(ctx context.Context, id ID) (*WishList, error) {
	return get[*WishList](ctx, m, id)
}

// WishListOf returns the wishes of a registration to the people of its
// member; ErrNotFound for others, and where nothing was said yet.
func (m *Market) WishListOf(ctx context.Context, r *Registration) (*WishList, error) {
	return m.WishList(ctx, wishListID(r.ID))
}

// A ListedWish is a wish as it is shown: to whom it belongs, with what is
// known of the two.
type ListedWish struct {
	Wish
	Rank   int   // among the wishes of its level, from 1
	IsOpen bool  // the other participates
	HasMet *bool // the two have met before; nil where that was not looked for
	Event  ID
}

// Wishes are the wishes of a list as they are shown to the people of its member.
func (m *Market) Wishes(ctx context.Context, w *WishList) ([]*ListedWish, error) {
	return m.ownWishes(ctx, w, WishLevels...)
}

// ownWishes shows the wishes of some levels with whom the member has met.
func (m *Market) ownWishes(ctx context.Context, w *WishList, levels ...WishLevel) ([]*ListedWish, error) {
	list, err := m.listedWishes(ctx, w, levels...)
	if err != nil {
		return nil, err
	}
	met, err := m.metBefore(ctx, w.Member)
	for _, x := range list {
		x.HasMet = new(met[x.With])
	}
	return list, err
}

// listedWishes shows the wishes of some levels.
func (m *Market) listedWishes(ctx context.Context, w *WishList, levels ...WishLevel) ([]*ListedWish, error) {
	wishes := w.of(levels...)
	ids := make([]ID, len(wishes))
	for i, x := range wishes {
		ids[i] = registrationID(w.Event, x.With)
	}
	others, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]*ListedWish, len(wishes))
	ranks := map[WishLevel]int{}
	for i, x := range wishes {
		ranks[x.Level]++
		r, ok := others[i].(*Registration)
		list[i] = &ListedWish{Wish: x, Rank: ranks[x.Level], IsOpen: ok && r.Status == RegistrationApproved, Event: w.Event}
	}
	return list, nil
}

// RegistrationWishes are whom a participant wishes to meet, for its own people
// and the secretariat; nil for others. They never hold whom it never wants to
// meet.
func (m *Market) RegistrationWishes(ctx context.Context, r *Registration) ([]*ListedWish, error) {
	own := slices.Contains(groupsOf(ctx), Group(r.Member))
	if !own && MayReadWishes.checkFor(ctx) != nil {
		return nil, nil
	}
	page := []ID{r.ID}
	if requestOf(ctx) != nil {
		page = readsOf(ctx).siblings(r.ID)
	}
	lists, err := once(ctx, fmt.Sprintf("wishes of %s..", page[0]), func() (map[ID]*WishList, error) {
		ids := make([]ID, len(page))
		for i, id := range page {
			ids[i] = wishListID(id)
		}
		lists := map[ID]*WishList{}
		var others []ID
		for chunk := range slices.Chunk(ids, MaxValues) {
			docs, err := m.load(withSight(ctx), chunk)
			if err != nil {
				return nil, err
			}
			for _, doc := range docs {
				if w, ok := doc.(*WishList); ok {
					lists[w.Registration] = w
					for _, x := range w.of(WishMust, WishWant) {
						others = append(others, registrationID(w.Event, x.With), x.With, x.About)
					}
				}
			}
		}
		readsOf(ctx).expect(others)
		return lists, nil
	})
	w := lists[r.ID]
	if err != nil || w == nil {
		return []*ListedWish{}, err
	}
	if own {
		return m.ownWishes(ctx, w, WishMust, WishWant)
	}
	return m.listedWishes(ctx, w, WishMust, WishWant)
}

// WishedMember is the member of a wish, or ErrNotFound.
func (m *Market) WishedMember(ctx context.Context, x *ListedWish) (Member, error) {
	return m.Member(ctx, x.With)
}

// WishedRegistration is the registration of the member of a wish;
// ErrNotFound where it does not participate any more.
func (m *Market) WishedRegistration(ctx context.Context, x *ListedWish) (*Registration, error) {
	return m.RegistrationOf(ctx, x.Event, x.With)
}

// WishedSubject is what a wish is about; ErrNotFound where it is about nothing
// in particular, or that can no longer be seen.
func (m *Market) WishedSubject(ctx context.Context, x *ListedWish) (Node, error) {
	return m.Node(ctx, x.About)
}

// metBefore are the members that a member has met, by the latest MaxPage
// meetings that were held or have passed as agreed. One store operation in a
// request.
func (m *Market) metBefore(ctx context.Context, member ID) (map[ID]bool, error) {
	return once(ctx, "met before by "+string(member), func() (map[ID]bool, error) {
		now := m.clock()
		meetings, err := find[*Meeting](withSight(ctx), m, KindMeeting, Query{
			Where: []Condition{
				{Field: "status", Op: In, Values: []any{MeetingAccepted, MeetingRescheduled, MeetingHeld}},
				{Field: "concerns", Op: Has, Value: concern(member, "")},
				{Field: "startsAt", Op: Lt, Value: now},
			},
			Sort: "startsAt", Descending: true, Limit: MaxPage,
		})
		met := make(map[ID]bool, len(meetings))
		for _, x := range meetings {
			if x.At != nil && !x.end().After(now) {
				met[x.other(member)] = true
			}
		}
		return met, err
	})
}

// NoteOrNil is the note; nil where there is none.
func (x *ListedWish) NoteOrNil() *string { return maybe(x.Note) }
