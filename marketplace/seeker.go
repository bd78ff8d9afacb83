package marketplace

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A seeker finds the matches of something: it asks the index once, judges
// what that finds, and keeps the best of what leads to the same node.
type seeker struct {
	ctx    context.Context
	market *Market
	of     []ID // the members that the list is for
	among  []ID // the members of which it is; empty: of all
	noted  regard
	now    time.Time
	list   *Matches

	queries []FinderQuery
	take    []func(*traits) // by query: what is made of a hit
	after   func()          // once all hits were taken
	learn   *traits         // a need whose topics follow from what is found first

	pairs []*Match
	best  map[ID]*Match // by node, where several pairs lead to it
}

// ownPlenty is how many of a member's own proposals or solutions its partners
// are looked for by, the newest.
const ownPlenty = 20

// Shares of the candidates of lists that have nodes of several kinds.
const (
	mainCandidates = 140
	restCandidates = (maxCandidates - mainCandidates)
)

// ask adds a query for entries that resemble texts or have preferred values.
func (s *seeker) ask(kind Kind, size int, like []Text, prefer []Filter, where []Filter, take func(*traits)) {
	if len(s.among) > 0 {
		where = append(slices.Clip(where), Filter{Field: FieldMember, Any: keywords(s.among)})
	}
	s.queries = append(s.queries, FinderQuery{
		Like: like, Prefer: prefer, Where: where, Kinds: []Kind{kind}, Groups: groupsOf(s.ctx), Sort: SortRelevance,
		Size: min(size+s.noted.unwanted()+ownPlenty, MaxHits), Keywords: traitKeywords, Numbers: traitNumbers,
	})
	s.take = append(s.take, take)
}

// published leaves what everybody may answer to.
func published() Filter { return Filter{Field: FieldPublished, Min: new(0.0)} }

// open leaves the proposals that can be answered.
func (s *seeker) open() []Filter {
	return []Filter{published(), {Field: FieldStage, Any: keywords(openStages)},
		{Field: FieldDeadline, Min: new(float64(s.now.Unix())), OrNone: true}}
}

// openStages are those of projects for which something can still be found.
var openStages = []Stage{"NEED", "PLANNED", "FUNDED"}

// topicsOf prefers the topics that some things have.
func topicsOf(list ...*traits) []Filter {
	f := Filter{Field: FieldTopic}
	for _, t := range list {
		for _, topic := range t.words(FieldTopic) {
			if !slices.Contains(f.Any, topic) {
				f.Any = append(f.Any, topic)
			}
		}
	}
	return []Filter{f}
}

// places prefers the countries and regions that a supply names.
func places(t *traits) []Filter {
	return []Filter{{Field: FieldCountry, Any: t.words(FieldCountry)}, {Field: FieldRegion, Any: t.words(FieldRegion)}}
}

// add judges a pair that leads to a node, and keeps it where it is the best of
// those.
func (s *seeker) add(node ID, p *pair) {
	p.now = s.now
	s.pairs = append(s.pairs, &Match{subject: node, pair: p, list: s.list})
}

// seek plans for a proposal, a solution, a city or a company.
func (s *seeker) seek(doc SearchResult) error {
	switch doc := doc.(type) {
	case *Proposal:
		return s.seekSolutions(doc)
	case *Solution:
		return s.seekProposals(doc)
	case *City:
		return s.seekPartners(doc)
	case *Company:
		return s.seekCities(doc)
	}
	return ErrNotFound
}

func (s *seeker) traits(docs ...entity) ([]*traits, error) { return s.market.traitsOf(s.ctx, docs...) }

// seekSolutions: for a proposal, solutions.
func (s *seeker) seekSolutions(r *Proposal) error {
	own, err := s.traits(r)
	if err != nil {
		return err
	}
	need := own[0]
	if err := s.speak(need, r.City); err != nil {
		return err
	}
	s.ask(KindSolution, maxCandidates, likeTexts(r), topicsOf(need), []Filter{published()}, func(t *traits) {
		s.add(t.id, &pair{need: need, supply: t, other: t})
	})
	return nil
}

// speak gives a proposal that names no language those of its city.
func (s *seeker) speak(t *traits, city ID) error {
	if len(t.words(FieldLanguage)) > 0 {
		return nil
	}
	c, ok, err := visibleOf[*City](s.ctx, s.market, city)
	if ok {
		t.Keywords[FieldLanguage] = keywords(c.Languages)
	}
	return err
}

// seekProposals: for a solution, proposals and the cities that they are of,
// and cities where it can be had.
func (s *seeker) seekProposals(x *Solution) error {
	own, err := s.traits(x)
	if err != nil {
		return err
	}
	s.seekNeeds(own, likeTexts(x), places(own[0]), true)
	return nil
}

// seekCities: for a company, cities, by their proposals and its solutions, or
// by where they are.
func (s *seeker) seekCities(c *Company) error {
	solutions, err := find[*Solution](s.ctx, s.market, KindSolution, Query{
		Where: []Condition{{Field: "company", Op: Eq, Value: c.ID}}, Sort: "createdAt", Descending: true, Limit: ownPlenty})
	if err != nil {
		return err
	}
	docs, like := []entity{c}, likeTexts(c)
	for _, x := range solutions {
		if x.Status == SolutionPublished {
			docs, like = append(docs, x), append(likeTexts(x), like...)
		}
	}
	own, err := s.traits(docs...)
	if err != nil {
		return err
	}
	prefer := []Filter{{Field: FieldCountry, Any: own[0].words(FieldServed)}, {Field: FieldRegion, Any: own[0].words(FieldServed)}}
	if len(own) > 1 {
		own = own[1:]
	}
	s.seekNeeds(own, like, prefer, false)
	return nil
}

// seekNeeds asks for proposals that need one of the supplies, and for cities.
// A city has the best of its proposals among the candidates, or only itself.
func (s *seeker) seekNeeds(own []*traits, like []Text, prefer []Filter, proposals bool) {
	s.ask(KindProposal, mainCandidates, like, topicsOf(own...), s.open(), func(t *traits) {
		for _, supply := range own {
			p := pair{need: t, supply: supply, other: t}
			if proposals {
				s.add(t.id, &p)
			}
			s.add(t.member, &p)
		}
	})
	s.ask(KindCity, restCandidates, like, prefer, nil, func(t *traits) {
		for _, supply := range own {
			s.add(t.id, &pair{need: t, supply: supply, other: t})
		}
	})
}

// seekPartners: for a city, companies, by their solutions and its proposals,
// and other cities, by their proposals and where they are.
func (s *seeker) seekPartners(c *City) error {
	proposals, err := find[*Proposal](s.ctx, s.market, KindProposal, Query{
		Where: []Condition{{Field: "city", Op: Eq, Value: c.ID}}, Sort: "createdAt", Descending: true, Limit: ownPlenty})
	if err != nil {
		return err
	}
	docs, like := []entity{c}, likeTexts(c)
	for _, r := range proposals {
		if r.Status != ProposalClosed && slices.Contains(openStages, r.Stage) {
			docs, like = append(docs, r), append(likeTexts(r), like...)
		}
	}
	own, err := s.traits(docs...)
	if err != nil {
		return err
	}
	itself := own[0]
	if len(own) > 1 {
		own = own[1:]
		for _, t := range own {
			if err := s.speak(t, c.ID); err != nil {
				return err
			}
		}
	}
	s.ask(KindSolution, mainCandidates, like, topicsOf(own...), []Filter{published()}, func(t *traits) {
		for _, need := range own {
			s.add(t.member, &pair{need: need, supply: t, other: t})
		}
	})
	alike := func(t *traits) {
		for _, need := range own {
			s.add(t.member, &pair{need: need, supply: t, other: t, alike: true})
		}
	}
	s.ask(KindProposal, restCandidates/2, like, topicsOf(own...), []Filter{published()}, alike)
	s.ask(KindCity, restCandidates/2, like, []Filter{{Field: FieldCountry, Any: itself.words(FieldCountry)}, {Field: FieldRegion, Any: itself.words(FieldRegion)}}, nil, alike)
	return nil
}

// seekText: for a text, solutions that it may need, or proposals that may need
// it. Where it is asked for a member, that is where it is, and what it speaks.
func (s *seeker) seekText(words string, kinds []Kind, member entity) error {
	own := &traits{Values: Values{Keywords: map[Field][]string{}, Numbers: map[Field]float64{}}}
	own.Keywords[FieldLanguage] = keywords(ViewerOf(s.ctx).Languages)
	if member != nil {
		of, err := s.traits(member)
		if err != nil {
			return err
		}
		own.member = of[0].member
		for _, f := range []Field{FieldHome, FieldLanguage, FieldServed} {
			own.Keywords[f] = of[0].words(f)
		}
		if n, ok := of[0].number(FieldPopulation); ok {
			own.Numbers[FieldPopulation] = n
		}
		for _, place := range of[0].words(FieldServed) {
			f := FieldRegion
			if isCountry(Country(place)) {
				f = FieldCountry
			}
			own.Keywords[f] = append(own.Keywords[f], place)
		}
	}
	own.read(words)
	like := []Text{{{Text: words}}}
	if slices.Contains(kinds, KindSolution) {
		s.ask(KindSolution, maxCandidates/len(kinds), like, nil, []Filter{published()}, func(t *traits) {
			s.add(t.id, &pair{need: own, supply: t, other: t})
		})
	}
	if slices.Contains(kinds, KindProposal) {
		s.ask(KindProposal, maxCandidates/len(kinds), like, nil, s.open(), func(t *traits) {
			s.add(t.id, &pair{need: t, supply: own, other: t})
		})
	}
	s.learn = own
	return nil
}

// find asks the index and makes pairs of what it finds: of each query the
// first that may be matches at all.
func (s *seeker) find() error {
	found, err := s.market.finder.Search(s.ctx, s.queries...)
	if err != nil {
		return err
	}
	var all []*traits
	for i, f := range found {
		n := s.queries[i].Size - s.noted.unwanted() - ownPlenty
		for _, h := range f.Hits {
			t := traitsOfHit(h)
			if s.noted.of(t.id, t.member) == NotInterested || slices.Contains(s.of, t.member) {
				continue
			}
			if n--; n < 0 {
				break
			}
			all = append(all, t)
			s.take[i](t)
		}
	}
	if s.learn != nil {
		s.learn.learnTopics(all)
	}
	return nil
}

// What is learnt of a text: from the learnFrom things that are most like it,
// the topics that learnShare of them have. Over the judged needs in free words
// nDCG@10 is .711 where all of these topics count alike, .733 where they count
// by how many have them.
const (
	learnFrom  = 10
	learnShare = 0.2
)

// learnTopics gives a text the topics that what is most like it has, each as
// much as those have it, by the squares of their likeness.
func (t *traits) learnTopics(all []*traits) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *traits) int {
		return cmp.Or(cmp.Compare(b.likeness, a.likeness), cmp.Compare(a.id, b.id))
	})
	counts, sum := map[string]float64{}, 0.0
	t.learnt = map[string]float64{}
	for _, o := range all[:min(len(all), learnFrom)] {
		like := o.likeness * o.likeness
		sum += like
		for _, topic := range o.words(FieldTopic) {
			counts[topic] += like
		}
	}
	for topic, n := range counts {
		if n >= learnShare*sum && n > 0 {
			t.Keywords[FieldTopic] = append(t.Keywords[FieldTopic], topic)
			t.learnt[topic] = n / sum
		}
	}
	slices.Sort(t.Keywords[FieldTopic])
}

// rank judges the pairs and sorts the best of each node.
func (s *seeker) rank() ([]*Match, error) {
	var members []ID
	seen := map[ID]bool{"": true}
	for _, e := range s.pairs {
		if o := e.pair.other.member; !seen[o] {
			seen[o] = true
			members = append(members, o)
		}
	}
	conducts, err := s.market.conductsOf(s.ctx, members)
	if err != nil {
		return nil, err
	}
	var out []*Match
	for _, e := range s.pairs {
		e.pair.conduct = conducts[e.pair.other.member]
		e.score(s.list.shares)
		if old := s.best[e.subject]; old == nil || old.quanta < e.quanta {
			s.best[e.subject] = e
		}
	}
	for _, e := range s.best {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *Match) int { return a.place().compare(b.place()) })
	return out[:min(len(out), maxCandidates)], nil
}
