package marketplace

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// A WishSuggestion is a participant whom a member might wish to meet: one
// that it may ask and has said nothing of yet, with what the two have in common.
//
// It follows from what everybody can see and from the member's own list: what
// others wish, or never want, shows in no suggestion.
type WishSuggestion struct {
	Registration *Registration
	HasMet       bool
	// Topics are those that both sides have something on, and Things what the
	// other has on them; the most relevant first.
	Topics []ID
	Things []ID
}

// maxSuggestedThings bounds what a suggestion names.
const maxSuggestedThings = 5

// WishSuggestions are participants of an event whom a member might wish to
// meet, for its own people: those with most topics in common first, then those
// who registered first. For others the list is empty. It costs one search and
// some ten store operations, whatever the number of participants.
func (m *Market) WishSuggestions(ctx context.Context, r *Registration, first *int) ([]*WishSuggestion, error) {
	n := DefaultPageSize
	if first != nil {
		n = *first
	}
	if n < 0 || n > MaxPageSize {
		return nil, invalid("first", "OUT_OF_RANGE", fmt.Sprintf("must be 0 to %d", MaxPageSize))
	}
	if r.Status != RegistrationApproved || !slices.Contains(groupsOf(ctx), Group(r.Member)) {
		return []*WishSuggestion{}, nil
	}
	list, err := m.wishable(ctx, r)
	if err != nil || len(list) == 0 {
		return list, err
	}
	if err := m.findCommon(ctx, r.Member, list); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b *WishSuggestion) int {
		return cmp.Or(cmp.Compare(len(b.Topics), len(a.Topics)), cmp.Compare(len(b.Things), len(a.Things)))
	})
	list = list[:min(n, len(list))]
	var refs []ID
	for _, s := range list {
		s.Things = s.Things[:min(len(s.Things), maxSuggestedThings)]
		refs = append(append(append(refs, s.Registration.Member), s.Topics...), s.Things...)
	}
	readsOf(ctx).expect(refs)
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
			list = append(list, &WishSuggestion{Registration: other, HasMet: met[other.Member], Topics: []ID{}, Things: []ID{}})
		}
	}
	return list, err
}

// findCommon notes what the others have on the topics of a member's own
// solutions or proposals, by one search: its MaxPageSize best hits.
func (m *Market) findCommon(ctx context.Context, member ID, list []*WishSuggestion) error {
	topics, err := m.topicsOf(ctx, member)
	if err != nil || len(topics) == 0 {
		return err
	}
	by := make(map[ID]*WishSuggestion, len(list))
	var members []string
	for _, s := range list {
		by[s.Registration.Member] = s
		members = append(members, string(s.Registration.Member))
	}
	found, err := m.finder.Search(ctx, FinderQuery{Kinds: []Kind{KindProposal, KindSolution}, Groups: groupsOf(ctx), Sort: SortNewest, Size: MaxPageSize,
		Where: []Filter{{Field: FieldTopic, Any: keywords(topics)}, {Field: FieldMember, Any: members}}})
	if err != nil {
		return err
	}
	docs, err := m.load(ctx, hitIDs(found[0]))
	if err != nil {
		return err
	}
	for _, doc := range docs {
		var s *WishSuggestion
		var on []ID
		switch doc := doc.(type) {
		case *Solution:
			s, on = by[doc.Company], doc.Topics
		case *Proposal:
			s, on = by[doc.City], doc.Topics
		}
		if s == nil {
			continue
		}
		s.Things = append(s.Things, doc.meta().ID)
		for _, t := range on {
			if slices.Contains(topics, t) && !slices.Contains(s.Topics, t) {
				s.Topics = append(s.Topics, t)
			}
		}
	}
	return nil
}

// topicsOf are the topics of the newest of a member's own solutions or
// proposals that everybody sees.
func (m *Market) topicsOf(ctx context.Context, member ID) ([]ID, error) {
	field, kind := "company", KindSolution
	switch member.Kind() {
	case KindCity:
		field, kind = "city", KindProposal
	case KindCompany:
	default:
		return nil, nil
	}
	var topics []ID
	q := Query{Where: []Condition{{Field: field, Op: Eq, Value: member}}, Sort: "createdAt", Descending: true, Limit: 100}
	err := m.fetch(ctx, kind, q, func(doc entity) {
		var on []ID
		switch doc := doc.(type) {
		case *Solution:
			if doc.Status == SolutionPublished {
				on = doc.Topics
			}
		case *Proposal:
			if doc.Status == ProposalPublished {
				on = doc.Topics
			}
		}
		for _, t := range on {
			if !slices.Contains(topics, t) {
				topics = append(topics, t)
			}
		}
	})
	return topics, err
}

// SuggestionTopics are the topics in common.
func (m *Market) SuggestionTopics(ctx context.Context, s *WishSuggestion) ([]*Topic, error) {
	return several[*Topic](ctx, m, s.Topics)
}

// SuggestionThings are what the other has on the topics in common.
func (m *Market) SuggestionThings(ctx context.Context, s *WishSuggestion) ([]SearchResult, error) {
	return several[SearchResult](ctx, m, s.Things)
}
