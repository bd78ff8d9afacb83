package marketplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// A WishSuggestion is a participant whom a member might wish to meet: one
// that it may ask and has said nothing of yet, with how well the two match.
//
// It follows from what everybody can see and from what the member itself has
// said and noted: what others wish, or never want, shows in no suggestion.
type WishSuggestion struct {
	Registration *Registration
	HasMet       bool
	// Match is its score with the reasons; nil where the rules of matches have
	// found nothing to judge by.
	Match *Match
}

// WishSuggestions are participants of an event whom a member might wish to
// meet, for its own people: those that match best first, then those who
// registered first. In whom the member has noted that it is not interested is
// not among them. For others the list is empty. It costs one list of matches
// and some ten store operations, whatever the number of participants.
func (m *Market) WishSuggestions(ctx context.Context, r *Registration, first *int) ([]*WishSuggestion, error) {
	n := DefaultPageSize
	if first != nil {
		n = *first
	}
	if n < 0 || n > MaxPageSize {
		return nil, invalid("first", "OUT_OF_RANGE", fmt.Sprintf("must be 0 to %d", MaxPageSize))
	}
	if r.Status != RegistrationApproved || !onTeam(ctx, r.Member) {
		return []*WishSuggestion{}, nil
	}
	list, err := m.wishable(ctx, r)
	if err != nil || len(list) == 0 {
		return list, err
	}
	if list, err = m.judged(ctx, r.Member, list); err != nil {
		return nil, err
	}
	list = list[:min(n, len(list))]
	ids := make([]ID, len(list))
	for i, s := range list {
		ids[i] = s.Registration.Member
	}
	docs, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		if node, ok := docs[i].(SearchResult); ok && s.Match != nil {
			s.Match.Node = node
		}
	}
	return list, nil
}

// judged notes how well participants match a member, and puts those first
// that do best. Of members of kinds that the rules do not know, and where the
// index finds nothing, nothing is noted.
func (m *Market) judged(ctx context.Context, member ID, list []*WishSuggestion) ([]*WishSuggestion, error) {
	doc, err := get[SearchResult](ctx, m, member)
	if err != nil {
		return nil, err
	}
	s, err := m.seekerFor(ctx, []ID{member})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(x *WishSuggestion) bool {
		return s.noted.of(x.Registration.Member, x.Registration.Member) == NotInterested
	})
	for _, x := range list {
		s.among = append(s.among, x.Registration.Member)
	}
	if err := s.seek(doc); errors.Is(err, ErrNotFound) || len(list) == 0 {
		return list, nil
	} else if err != nil {
		return nil, err
	}
	if err := s.find(); err != nil {
		return nil, err
	}
	if _, err := s.rank(); err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.Match = s.best[x.Registration.Member]; x.Match != nil {
			x.Match.Cursor = x.Match.place().cursor()
			if kind := x.Match.stance(s.noted); kind != "" {
				x.Match.Stance = &kind
			}
		}
	}
	score := func(x *WishSuggestion) int {
		if x.Match == nil {
			return -1
		}
		return x.Match.quanta
	}
	slices.SortStableFunc(list, func(a, b *WishSuggestion) int { return cmp.Compare(score(b), score(a)) })
	return list, nil
}

// wishable are the participants that a member may ask and has said nothing of,
// in the order in which they registered.
func (m *Market) wishable(ctx context.Context, r *Registration) ([]*WishSuggestion, error) {
	list := []*WishSuggestion{}
	e, err := m.Event(ctx, r.Event)
	if err != nil {
		return list, ignore(err, ErrNotFound)
	}
	w, err := m.WishListOf(ctx, r)
	if err := ignore(err, ErrNotFound); err != nil {
		return nil, err
	}
	said := map[ID]bool{r.Member: true}
	if w != nil {
		for _, x := range w.Wishes {
			said[x.With] = true
		}
	}
	met, err := m.metBefore(ctx, r.Member)
	if err != nil {
		return nil, err
	}
	all, err := find[*Registration](ctx, m, KindRegistration, registrationsIn(e.ID, maxParticipants, RegistrationApproved))
	for _, other := range all {
		if !said[other.Member] && e.allows(r.Member, other.Member) && (e.LanguageRule == LanguagesAny || e.canTalk(r, other)) {
			list = append(list, &WishSuggestion{Registration: other, HasMet: met[other.Member]})
		}
	}
	return list, err
}
