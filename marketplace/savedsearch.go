package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A SavedSearch is a search that a user wants to run again, and to be told
// of what it finds that is new. Only they see it.
type SavedSearch struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	User   ID            `json:"user"`
	Name   string        `json:"name"`
	Text   string        `json:"text,omitempty"`
	Kinds  []Kind        `json:"kinds,omitempty"` // empty: all that search finds
	Filter *SearchFilter `json:"filter,omitempty"`
	Alert  AlertRate     `json:"alert"`
	SeenAt time.Time     `json:"seenAt"` // from when matches are new: when it was saved, or marked as seen

	// What is known is not told again. A match is looked for among what was
	// published since Since, which moves with alertWindow, and further where
	// more than maxKnown are known. So Known has an end, and a match that comes
	// late, because of a slow clock or an edit, is told all the same.
	Since time.Time `json:"since"`
	Known []Known   `json:"known,omitempty"`
	// Last is the latest alert. It is written together with what it makes
	// known, so that a match is never told twice nor forgotten, and a follower
	// makes the notification of it.
	Last *MatchAlert `json:"last,omitempty"`
	// DueAt is when to look next; nil where that is not a matter of time.
	DueAt    *time.Time `json:"dueAt,omitempty"`
	TimeZone string     `json:"timeZone,omitempty"` // by which DueAt was reckoned
}

// KindSavedSearch is the kind of SavedSearch.
var KindSavedSearch = registerRecord("savedsearch", func() entity { return new(SavedSearch) },
	Index{Equal: []string{"user"}, Sort: "createdAt"}, Index{Sort: "dueAt"}, Index{Equal: []string{"alert"}})

// A Known is a match that the user has been told of, or has seen.
type Known struct {
	ID          ID        `json:"id"`
	PublishedAt time.Time `json:"publishedAt"`
}

// A MatchAlert is what a user is told of a saved search at once.
type MatchAlert struct {
	Number  int       `json:"number"` // from 1
	At      time.Time `json:"at"`
	Count   int       `json:"count"`
	Matches []ID      `json:"matches"` // the newest maxToldMatches
}

// An AlertRate says how soon a user is told of new matches.
type AlertRate string

// The rates of alerts.
const (
	AlertNone    AlertRate = "NONE"
	AlertInstant AlertRate = "INSTANT" // within a minute or so
	AlertDaily   AlertRate = "DAILY"   // at alertHour in the user's time zone
	AlertWeekly  AlertRate = "WEEKLY"  // the same on Mondays
)

// AlertRates are all of them.
var AlertRates = []AlertRate{AlertNone, AlertInstant, AlertDaily, AlertWeekly}

const (
	maxSavedSearches = 50       // of a user
	maxSavedFilter   = 16 << 10 // bytes as JSON
	maxKnown         = 500      // 70 bytes each
	maxToldMatches   = 50
)

func (*SavedSearch) kind() Kind          { return KindSavedSearch }
func (s *SavedSearch) audience() []Group { return []Group{Group(s.User)} }
func (s *SavedSearch) parties() []ID     { return []ID{s.User} }
func (s *SavedSearch) refs() []ID        { return nil }

// IsNode marks saved searches as something with an id of its own.
func (*SavedSearch) IsNode() {}

func (s *SavedSearch) validate(p *problems) {
	checkString(p, "name", s.Name, 120, true)
	checkOne(p, "alert", s.Alert, AlertRates)
	if n := utf8.RuneCountInString(s.Text); n > MaxQueryLength {
		p.addf("criteria.text", "TOO_LONG", "at most %d characters, these are %d", MaxQueryLength, n)
	}
	if p.max("criteria.kinds", len(s.Kinds), len(foundKinds())) {
		for i, k := range s.Kinds {
			if !slices.Contains(foundKinds(), k) {
				p.addf(index("criteria.kinds", i), "INVALID", "must be one of %v", foundKinds())
			}
		}
	}
	var inner problems
	s.Filter.filters(&inner)
	for _, e := range inner.list {
		p.add("criteria."+e.Path, e.Code, e.Message)
	}
	if b, err := json.Marshal(s.Filter); err != nil || len(b) > maxSavedFilter {
		p.addf("criteria.filter", "TOO_LONG", "at most %d bytes", maxSavedFilter)
	}
}

// LastAlertAt is when the user was last told of a match; nil where they never were.
func (s *SavedSearch) LastAlertAt() *time.Time {
	if s.Last == nil {
		return nil
	}
	return &s.Last.At
}

// NextAlertAt is when the next daily or weekly alert is due.
func (s *SavedSearch) NextAlertAt() *time.Time {
	if s.Alert != AlertDaily && s.Alert != AlertWeekly {
		return nil
	}
	return s.DueAt
}

// TextOrNil is the text; nil where there is none.
func (s *SavedSearch) TextOrNil() *string { return maybe(s.Text) }

// SearchCriteria are what a saved search looks for.
type SearchCriteria struct {
	Text   *string
	Kinds  []Kind
	Filter *SearchFilter
}

func (s *SavedSearch) lookFor(c SearchCriteria) {
	s.Text, s.Kinds, s.Filter = strings.TrimSpace(text(c.Text)), c.Kinds, c.Filter
}

// SaveSearchInput is what SaveSearch takes.
type SaveSearchInput struct {
	Name     string
	Criteria SearchCriteria
	Alert    AlertRate
	Key      *string // a word of the client's own: the same word makes no second one
}

// SaveSearch saves a search of the viewer's. What it finds now is not new.
func (m *Market) SaveSearch(ctx context.Context, in SaveSearchInput) (*SavedSearch, error) {
	s := &SavedSearch{User: actorOf(ctx).User, Name: in.Name, Alert: in.Alert}
	s.lookFor(in.Criteria)
	if err := MayKeepSavedSearch.check(ctx, s); err != nil {
		return nil, err
	}
	var p problems
	s.validate(&p)
	if in.Key != nil {
		if checkString(&p, "key", *in.Key, 200, true); p.err() == nil {
			s.ID = keyedID(KindSavedSearch, s.User, *in.Key)
			if old, err := get[*SavedSearch](ctx, m, s.ID); !errors.Is(err, ErrNotFound) {
				return old, err
			}
		}
	}
	list, err := m.SavedSearches(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) >= maxSavedSearches {
		p.addf("name", "TOO_MANY", "at most %d saved searches: delete one first", maxSavedSearches)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	zone, err := m.zoneOf(ctx, s.User)
	if err != nil {
		return nil, err
	}
	seen, err := m.seeNow(ctx, s)
	if err != nil {
		return nil, err
	}
	seen(s)
	s.plan(m.clock(), zone)
	err = create(ctx, m, MayKeepSavedSearch, s)
	if in.Key != nil && taken(err, "id") {
		return get[*SavedSearch](ctx, m, s.ID)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// EditSavedSearchInput is what EditSavedSearch takes; what is nil stays as it is.
type EditSavedSearchInput struct {
	ID       ID
	Version  *int // that was read; nil: any
	Name     *string
	Criteria *SearchCriteria // in place of those that there are; what they find now is not new
	Alert    *AlertRate
}

// EditSavedSearch changes a saved search of the viewer's.
func (m *Market) EditSavedSearch(ctx context.Context, in EditSavedSearchInput) (*SavedSearch, error) {
	old, err := get[*SavedSearch](ctx, m, in.ID)
	if err != nil {
		return nil, err
	}
	zone, err := m.zoneOf(ctx, old.User)
	if err != nil {
		return nil, err
	}
	seen := func(*SavedSearch) {}
	if in.Criteria != nil {
		fresh := &SavedSearch{User: old.User, Name: old.Name, Alert: old.Alert}
		fresh.lookFor(*in.Criteria)
		var p problems
		if fresh.validate(&p); p.err() != nil {
			return nil, p.err()
		}
		if seen, err = m.seeNow(ctx, fresh); err != nil {
			return nil, err
		}
	}
	return update(ctx, m, MayKeepSavedSearch, in.ID, versionOf(in.Version), func(s *SavedSearch) error {
		if in.Name != nil {
			s.Name = *in.Name
		}
		if in.Criteria != nil {
			s.lookFor(*in.Criteria)
			seen(s)
		}
		if in.Alert != nil {
			s.Alert = *in.Alert
		}
		s.plan(m.clock(), zone)
		return nil
	})
}

// MarkSavedSearchSeen makes everything that a saved search finds now known to
// the user, as when they have looked at it.
func (m *Market) MarkSavedSearchSeen(ctx context.Context, id ID) (*SavedSearch, error) {
	s, err := get[*SavedSearch](ctx, m, id)
	if err != nil {
		return nil, err
	}
	seen, err := m.seeNow(ctx, s)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, MayKeepSavedSearch, id, 0, func(now *SavedSearch) error {
		now.mark(unmarked, "")
		if now.sameCriteria(s) {
			seen(now)
		}
		return nil
	})
}

func (s *SavedSearch) sameCriteria(o *SavedSearch) bool {
	a, err := json.Marshal(s.Filter)
	b, e := json.Marshal(o.Filter)
	return s.Text == o.Text && slices.Equal(s.Kinds, o.Kinds) && string(a) == string(b) && err == nil && e == nil
}

// DeleteSavedSearch deletes a saved search of the viewer's.
func (m *Market) DeleteSavedSearch(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayKeepSavedSearch, id, versionOf(version), func(s *SavedSearch) error {
		s.mark("DELETE", "")
		s.IsDeleted = true
		return nil
	})
	return err
}

// SavedSearch returns a saved search of the viewer's, or ErrNotFound.
func (m *Market) SavedSearch(ctx context.Context, id ID) (*SavedSearch, error) {
	return get[*SavedSearch](ctx, m, id)
}

// SavedSearches are the viewer's, newest first.
func (m *Market) SavedSearches(ctx context.Context) ([]*SavedSearch, error) {
	return m.savedSearchesOf(ctx, actorOf(ctx).User)
}

func (m *Market) savedSearchesOf(ctx context.Context, user ID) ([]*SavedSearch, error) {
	if user == "" {
		return []*SavedSearch{}, nil
	}
	return find[*SavedSearch](ctx, m, KindSavedSearch, Query{
		Where: []Condition{{Field: "user", Op: Eq, Value: user}}, Sort: "createdAt", Descending: true, Limit: 2 * maxSavedSearches})
}

// zoneOf is the time zone of a user; empty where they named none.
func (m *Market) zoneOf(ctx context.Context, user ID) (string, error) {
	u, err := get[*User](ctx, m, user)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return u.TimeZone, nil
}

// ResultsOf runs a saved search now. Of the listing only the order, the slice
// and the facets count. Those of a whole list of saved searches are run
// together.
func (m *Market) ResultsOf(ctx context.Context, s *SavedSearch, l Listing) (*Results[SearchResult], error) {
	args, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	q, found, err := m.runTogether(ctx, s, "results "+string(args), func(s *SavedSearch) (FinderQuery, error) {
		l := l
		l.Text, l.Kinds, l.Filter = s.Text, s.Kinds, s.Filter
		return l.query(ctx, foundKinds())
	})
	if err != nil {
		return nil, err
	}
	return results[SearchResult](ctx, m, q, found)
}

// NewCount is how many matches of a saved search the user was not told of yet
// and has not seen, at most maxKnown.
func (m *Market) NewCount(ctx context.Context, s *SavedSearch) (int, error) {
	q, found, err := m.runTogether(ctx, s, "new", func(s *SavedSearch) (FinderQuery, error) {
		return m.newMatches(ctx, s, time.Time{}), nil
	})
	if err != nil {
		return 0, err
	}
	fresh, err := m.unknown(ctx, s, q, found)
	return min(fresh.count, maxKnown), err
}

// runTogether searches for one saved search, and once in a request for all
// that were read together with it.
func (m *Market) runTogether(ctx context.Context, s *SavedSearch, name string, query func(*SavedSearch) (FinderQuery, error)) (FinderQuery, Found, error) {
	q, err := query(s)
	if err != nil {
		return q, Found{}, err
	}
	page, r := []ID{s.ID}, readsOf(ctx)
	if requestOf(ctx) != nil {
		page = r.siblings(s.ID)
	}
	all, err := once(ctx, fmt.Sprintf("saved searches %s.. %s", page[0], name), func() (map[ID]Found, error) {
		list, err := several[*SavedSearch](ctx, m, page)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(o *SavedSearch) bool { return o.ID == s.ID }) {
			list = append(list, s)
		}
		queries := make([]FinderQuery, len(list))
		for i, o := range list {
			if queries[i], err = query(o); err != nil {
				return nil, err
			}
		}
		found, err := m.finder.Search(ctx, queries...)
		if err != nil {
			return nil, err
		}
		out := make(map[ID]Found, len(list))
		for i, o := range list {
			out[o.ID] = found[i]
			r.expect(hitIDs(found[i]))
		}
		return out, nil
	})
	return q, all[s.ID], err
}
