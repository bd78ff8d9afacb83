package marketplace

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// A Match is something that may suit, with its score and why. It is an entry
// of Matches.
type Match struct {
	Node   SearchResult
	Cursor string
	// Score is the sum of the parts of its reasons, 0 to 1.
	Score float64
	// Stance is what the viewer's member has noted of it; nil where it has
	// not, and for others than its people.
	Stance *StanceKind

	quanta  int // the score
	parts   [criteria]int
	list    *Matches
	pair    *pair
	subject ID
}

// Matches are one page of a list of matches, the best first; of equal scores
// in the order of their ids. A list ends after the best maxCandidates.
type Matches struct {
	Edges    []*Match
	PageInfo PageInfo

	market *Market
	shares [criteria]int
	of     ID // what it is a list for; empty for a text
}

// MatchEdge and MatchConnection are what matches and their pages are called in the API.
type (
	MatchEdge       = Match
	MatchConnection = Matches
)

// Nodes are the things of the page without their edges.
func (l *Matches) Nodes() []SearchResult {
	nodes := make([]SearchResult, len(l.Edges))
	for i, e := range l.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// A MatchReason is what one criterion adds to the score of a match.
type MatchReason struct {
	Criterion Criterion
	Part      float64 // Weight times Value, as the score counts it
	Weight    float64 // 0 to 1; those of a match add up to 1
	Value     float64 // 0 to 1

	speaker *speaker
}

// Reasons say why: one for each criterion that counts, those that add most
// first. Their parts add up to the score exactly. Their sentences are for the
// context's viewer; the wished languages, if any are given, go before theirs.
func (e *Match) Reasons(ctx context.Context, wished []Language) []*MatchReason {
	out := make([]*MatchReason, 0, criteria)
	values, s := e.pair.judge(), e.list.market.speaker(ctx, e.pair, wished)
	for i, c := range Criteria {
		if share := e.list.shares[i]; share > 0 {
			out = append(out, &MatchReason{Criterion: c, Part: fraction(e.parts[i]), Weight: fraction(share), Value: values[i], speaker: s})
		}
	}
	slices.SortStableFunc(out, func(a, b *MatchReason) int { return cmp.Compare(b.Part, a.Part) })
	return out
}

// Through is what of a member that matches leads to the match: one of its
// solutions or proposals; ErrNotFound where it matches by itself.
func (m *Market) Through(ctx context.Context, e *Match) (SearchResult, error) {
	return m.apart(ctx, e.pair.other.id, e.subject)
}

// OwnOf is what of the member's own a match suits: one of its solutions or
// proposals; ErrNotFound where that is what the list is of.
func (m *Market) OwnOf(ctx context.Context, e *Match) (SearchResult, error) {
	own := e.pair.need
	if own == e.pair.other {
		own = e.pair.supply
	}
	return m.apart(ctx, own.id, e.list.of)
}

// apart is something, unless it is the same as what is known anyway.
func (m *Market) apart(ctx context.Context, id, known ID) (SearchResult, error) {
	if id == known {
		return nil, ErrNotFound
	}
	return get[SearchResult](ctx, m, id)
}

// score reckons the score of a pair and its parts.
func (e *Match) score(shares [criteria]int) {
	e.quanta = 0
	for i, v := range e.pair.judge() {
		e.parts[i] = int(float64(shares[i])*min(max(v, 0), 1) + 0.5)
		e.quanta += e.parts[i]
	}
	e.Score = fraction(e.quanta)
}

// A MatchListing is what is asked of a list of matches.
type MatchListing struct {
	First *int // 0 to MaxPageSize; nil: DefaultPageSize
	After *string
	// IncludeContacted lists also those with whom the member is in contact.
	IncludeContacted bool
}

// MatchTextInput is what MatchText takes.
type MatchTextInput struct {
	Text  string // at most MaxQueryLength characters are read
	Kinds []Kind // solutions that it may need, proposals that may need it; empty: solutions
	Of    *ID    // the member for which it is asked; nil: the viewer's, where they have one
	List  MatchListing
}

// maxCandidates is how many things are judged for one list. Those come from
// one search, best first by words, concepts and topics in common; what is
// not among them is no match.
const maxCandidates = 200

// limitMatches is for each user: a list of matches costs about as much as
// three searches.
var limitMatches = limited{name: "matches", account: throttleLimit{120, 500 * time.Millisecond}}

// MatchesOf lists what may suit something or somebody: solutions for a
// proposal, proposals and cities for a solution, companies and other cities
// for a city, cities for a company. It is for the people of the member that
// it belongs to, and for the secretariat.
func (m *Market) MatchesOf(ctx context.Context, id ID, l MatchListing) (*Matches, error) {
	doc, err := get[SearchResult](ctx, m, id)
	if err != nil {
		return nil, err
	}
	if err := MaySeeMatches.check(ctx, doc); err != nil {
		return nil, err
	}
	return m.matches(ctx, doc.parties()[:1], l, func(s *seeker) error {
		s.list.of = id
		return s.seek(doc)
	})
}

// MatchText lists what may suit a text, in any language: solutions for a
// need, proposals for something that is offered. It is for members.
func (m *Market) MatchText(ctx context.Context, in MatchTextInput) (*Matches, error) {
	var p problems
	checkSet(&p, "kinds", in.Kinds, 2, oneOf([]Kind{KindSolution, KindProposal}), "must be SOLUTION or PROPOSAL")
	if n := utf8.RuneCountInString(in.Text); n > MaxQueryLength {
		p.addf("text", "TOO_LONG", "at most %d characters, these are %d", MaxQueryLength, n)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := MayMatchText.checkFor(ctx); err != nil {
		return nil, err
	}
	of := actorOf(ctx).members()
	var member entity
	if in.Of != nil {
		doc, err := get[Member](ctx, m, *in.Of)
		if err != nil {
			return nil, err
		}
		if err := MaySeeMatches.check(ctx, doc); err != nil {
			return nil, err
		}
		of, member = []ID{*in.Of}, doc
	} else if len(of) == 1 {
		doc, ok, err := visibleOf[Member](ctx, m, of[0])
		if err != nil {
			return nil, err
		}
		if ok {
			member = doc
		}
	}
	kinds := in.Kinds
	if len(kinds) == 0 {
		kinds = []Kind{KindSolution}
	}
	return m.matches(ctx, of, in.List, func(s *seeker) error { return s.seekText(in.Text, kinds, member) })
}

// matches lists what a seeker finds for members.
func (m *Market) matches(ctx context.Context, of []ID, l MatchListing, seek func(*seeker) error) (*Matches, error) {
	var p problems
	var slice FinderQuery
	Slice{First: l.First, After: l.After}.into(&p, &slice)
	if err := p.err(); err != nil {
		return nil, err
	}
	after, err := parseMatchCursor(slice.After)
	if err != nil {
		return nil, err
	}
	s, err := m.seekerFor(ctx, of)
	if err != nil {
		return nil, err
	}
	own, noted := onTeam(ctx, of...), s.noted
	if err := seek(s); err != nil {
		return nil, err
	}
	if err := s.find(); err != nil {
		return nil, err
	}
	ranked, err := s.rank()
	if err != nil {
		return nil, err
	}
	if own && !l.IncludeContacted {
		ranked = slices.DeleteFunc(ranked, func(e *Match) bool { return e.stance(noted) == InContact })
	}
	return s.list, s.page(ranked, after, slice.Size, own)
}

// seekerFor begins to look for matches for members.
func (m *Market) seekerFor(ctx context.Context, of []ID) (*seeker, error) {
	if err := m.limit(ctx, limitMatches, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	settings, err := m.Settings(ctx)
	if err != nil {
		return nil, err
	}
	noted, err := m.regardOf(ctx, of)
	if err != nil {
		return nil, err
	}
	return &seeker{ctx: ctx, market: m, of: of, noted: noted, now: m.clock(), best: map[ID]*Match{},
		list: &Matches{market: m, shares: shares(weightsOf(settings.MatchWeights))}}, nil
}

func (e *Match) stance(noted regard) StanceKind { return noted.of(e.subject, e.pair.other.member) }

// onTeam says whether the viewer is one of the people of a member.
func onTeam(ctx context.Context, members ...ID) bool {
	groups := groupsOf(ctx)
	return slices.ContainsFunc(members, func(id ID) bool { return slices.Contains(groups, Group(id)) })
}

// page fills in the page of a ranked list that comes after a place.
func (s *seeker) page(ranked []*Match, after *matchPlace, size int, own bool) error {
	from := 0
	if after != nil {
		from, _ = slices.BinarySearchFunc(ranked, *after, func(e *Match, at matchPlace) int { return e.place().compare(at) })
		if from < len(ranked) && ranked[from].place() == *after {
			from++
		}
	}
	rest := ranked[from:]
	list := s.list
	list.Edges = []*Match{}
	list.PageInfo = PageInfo{HasNextPage: len(rest) > size, HasPreviousPage: from > 0}
	rest = rest[:min(len(rest), size)]
	ids := make([]ID, len(rest))
	for i, e := range rest {
		ids[i] = e.subject
	}
	docs, err := s.market.load(s.ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range rest {
		readsOf(s.ctx).expect([]ID{e.pair.need.id, e.pair.supply.id})
	}
	for i, e := range rest {
		node, ok := docs[i].(SearchResult)
		if !ok {
			continue // gone by now
		}
		e.Node, e.Cursor = node, e.place().cursor()
		if kind := e.stance(s.noted); own && kind != "" {
			e.Stance = &kind
		}
		list.Edges = append(list.Edges, e)
	}
	if n := len(rest); n > 0 {
		begin, end := rest[0].place().cursor(), rest[n-1].place().cursor()
		list.PageInfo.StartCursor, list.PageInfo.EndCursor = &begin, &end
	}
	return nil
}

// A matchPlace is a place in the order of a list of matches: by score, the
// best first, then by id.
type matchPlace struct {
	quanta int
	id     ID
}

func (e *Match) place() matchPlace { return matchPlace{e.quanta, e.subject} }

func (a matchPlace) compare(b matchPlace) int {
	return cmp.Or(cmp.Compare(b.quanta, a.quanta), cmp.Compare(a.id, b.id))
}

// cursor writes a place: the quanta of the score in four bytes, then the id,
// in base64url.
func (a matchPlace) cursor() string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, uint32(a.quanta)), a.id...))
}

// parseMatchCursor reads a cursor; nil for an empty one.
func parseMatchCursor(s string) (*matchPlace, error) {
	if s == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 5 || len(b) > 4+MaxIDSize {
		return nil, fmt.Errorf("marketplace: %w", ErrBadCursor)
	}
	return &matchPlace{int(binary.BigEndian.Uint32(b)), ID(b[4:])}, nil
}
