package search

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"citymarket/marketplace"
)

// Bounds of what texts are compared by: so much of each language is read, so
// many different words are looked up, and the most telling are scored.
const (
	maxLikeText      = 4 << 10 // bytes
	maxLikeLanguages = 4
	maxLikeLooked    = 160 // of a language
	maxLike          = 24  // of all languages
	minLike          = 8   // of each
	maxLikeConcepts  = 10
	maxPreferred     = 32
)

// Weights of what texts are compared by beside their words. Concepts weigh more
// than in a search, where they are found beside the words: what is offered is
// mostly written in another language than what is needed. Means of nDCG@10 of
// likeness alone over the judged needs that are for tuning (matches.txt):
//
//	weightLikeConcept  0.5 .661   1 .671   2 .683   3 .684
//	maxLike            16 .673    24 .671  40 .671  (concepts at 1)
//	the title          once .660  twice .671  four times .672
const (
	weightLikeConcept = 2.0
	weightPrefer      = 1.0
)

// A hint is a word or bigram that may be worth asking for.
type hint struct {
	token token
	term  string // of a run: the bigram
	count float64
	worth float64
}

// askLike adds the units by which texts are compared with entries: of each
// language the words and bigrams that stand there often and in few entries,
// and the concepts that any of them names. Words that say little, such as
// "system", are none of them.
func (v *view) askLike(ctx context.Context, q *question, like []marketplace.Text) error {
	q.sentence = true
	var languages []marketplace.Language
	for _, text := range like {
		for _, t := range text {
			if !slices.Contains(languages, t.Language) && len(languages) < maxLikeLanguages {
				languages = append(languages, t.Language)
			}
		}
	}
	var named []concept
	for _, l := range languages {
		if err := ctx.Err(); err != nil {
			return err
		}
		var only *tongue
		if l != "" {
			only = languageOf(l)
		}
		tokens := tokensIn(like, l)
		for _, m := range mentions(tokens, only) {
			i := slices.IndexFunc(named, func(c concept) bool { return c.concept == m.concept })
			if i < 0 {
				named, i = append(named, concept{mention: m}), len(named)
			}
			named[i].weight++ // how often it is named, for now
		}
		list, err := v.hints(tokens, only)
		if err != nil {
			return err
		}
		for i := range list[:min(len(list), max(minLike, maxLike/len(languages)))] {
			t := &list[i]
			groups, err := v.formsOf(t, only)
			if err != nil {
				return err
			}
			if len(groups) > 0 {
				q.add(unit{groups: groups, language: l})
			}
		}
	}
	return v.askNamed(q, named)
}

// askNamed adds the most telling concepts.
func (v *view) askNamed(q *question, named []concept) error {
	for i := range named {
		c := &named[i]
		times := often(c.weight)
		found, err := v.look(clause{field: fieldConcepts, term: c.concept, weight: times * weightLikeConcept})
		if err != nil {
			return err
		}
		c.clause = found
	}
	named = slices.DeleteFunc(named, func(c concept) bool { return c.df == 0 })
	slices.SortStableFunc(named, func(a, b concept) int { return cmp.Compare(v.worth(b.clause), v.worth(a.clause)) })
	for _, c := range named[:min(len(named), maxLikeConcepts)] {
		q.add(unit{groups: [][]clause{{c.clause}}, language: anyLanguage})
	}
	return nil
}

// often is how much more something counts that is said so many times.
func often(times float64) float64 { return 1 + math.Log(max(times, 1)) }

// idf is how much it says that an entry has a term. Never zero.
func (v *view) idf(df int) float64 {
	return math.Log(1 + (float64(max(v.live-df, 0))+0.5)/(float64(df)+0.5))
}

func (v *view) worth(c clause) float64 { return c.weight * v.idf(c.df) }

// tokensIn cuts what texts say in a language, the first of them counting
// twice: it is the title.
func tokensIn(like []marketplace.Text, l marketplace.Language) []token {
	var b strings.Builder
	for i, text := range like {
		for _, t := range text {
			if t.Language != l {
				continue
			}
			for range max(2-i, 1) {
				b.WriteString(cut(t.Text, max(maxLikeText-b.Len(), 0)))
				b.WriteByte('\n')
			}
		}
	}
	return tokenize(b.String())
}

// hints are what texts in a language are compared by, the most telling first.
func (v *view) hints(tokens []token, only *tongue) ([]hint, error) {
	var list []hint
	at := make(map[string]int)
	note := func(t *token, term string) {
		i, ok := at[term]
		if !ok {
			if len(list) == maxLikeLooked {
				return
			}
			i = len(list)
			at[term] = i
			list = append(list, hint{token: *t, term: term})
		}
		list[i].count++
	}
	for i := range tokens {
		t := &tokens[i]
		switch {
		case t.writing != words:
			bare := t.bare()
			t.grams(true, func(term string, _, end int) {
				if end <= bare && (t.writing != han || strings.Trim(term, smallHan) != "") {
					note(t, term)
				}
			})
		case !stopWords[t.text] && !weakWords[t.text] && !only.small(t):
			note(t, t.text)
		}
	}
	for i := range list {
		t := &list[i]
		c, err := v.first(t, only)
		if err != nil {
			return nil, err
		}
		if c.df > 0 {
			t.worth = often(t.count) * v.idf(c.df)
		}
	}
	list = slices.DeleteFunc(list, func(t hint) bool { return t.worth == 0 })
	slices.SortStableFunc(list, func(a, b hint) int { return cmp.Compare(b.worth, a.worth) })
	return list, nil
}

// small says whether a word says little in a language; nil: in any.
func (l *tongue) small(t *token) bool {
	bits := smallWords()[t.text]
	if l == nil {
		return bits != 0
	}
	for i := range tongues {
		if l == &tongues[i] {
			return bits&(1<<i) != 0
		}
	}
	return false
}

// first is the clause by which a word is told from others.
func (v *view) first(t *hint, only *tongue) (clause, error) {
	switch {
	case t.token.writing != words:
		return v.look(clause{field: fieldGrams, term: t.term})
	case only != nil && only.reads(&t.token):
		stems, _ := only.stems(&t.token)
		if c, err := v.look(clause{field: only.field, term: stems[0]}); c.df > 0 || err != nil {
			return c, err
		}
	}
	return v.look(clause{field: fieldWords, term: t.term})
}

// formsOf are the clauses that mean a word or a bigram.
func (v *view) formsOf(t *hint, only *tongue) ([][]clause, error) {
	scale := often(t.count)
	if t.token.writing == words {
		return v.forms(&t.token, only, false, scale)
	}
	return v.known(
		[]clause{{field: fieldGrams, term: t.term, weight: scale * weightStem}},
		[]clause{{field: fieldTitle, term: t.term, weight: scale * weightTitle}},
		[]clause{{field: fieldAbout, term: t.term, weight: scale * weightAbout}})
}

// prefer adds a unit for each value that is preferred.
func (v *view) prefer(q *question, filters []marketplace.Filter) error {
	n := 0
	for _, f := range filters {
		for _, value := range f.Any {
			if n++; n > maxPreferred {
				return nil
			}
			c, err := v.look(clause{field: keywordField(f.Field), term: value, weight: weightPrefer})
			if err != nil {
				return err
			}
			if c.df > 0 {
				q.sentence = true
				q.units = append(slices.Clip(q.units), unit{groups: [][]clause{{c}}})
				q.asked++
			}
		}
	}
	return nil
}

// anyLanguage is the language of units that belong to none.
const anyLanguage = marketplace.Language("*")

// reference is the score of an entry of average length that has each unit
// once: in one of the languages, since the others say the same again.
func (q *question) reference(v *view, units []unit) float64 {
	by := make(map[marketplace.Language]float64)
	for _, u := range units {
		if u.bonus {
			continue
		}
		for _, g := range u.groups {
			best := 0.0
			for _, c := range g {
				best = max(best, v.worth(c))
			}
			by[u.language] += best
		}
	}
	most := 0.0
	for l, sum := range by {
		if l != anyLanguage {
			most = max(most, sum)
		}
	}
	return most + by[anyLanguage]
}

// describe tells of each hit how much it is like the units, and the values
// that are wanted.
func (r *run) describe(ctx context.Context, q *marketplace.FinderQuery, units []unit, reference float64, hits []marketplace.Hit) error {
	for part := range r.stages {
		s := &r.stages[part]
		var docs []uint32
		var at []int
		for i, p := range r.best {
			if p.part == s.part {
				docs, at = append(docs, p.doc), append(at, i)
			}
		}
		if len(docs) == 0 {
			continue
		}
		if reference > 0 {
			finder := scorers.Get().(*scorer)
			scores, err := finder.score(ctx, r.view, part, units, docs, nil)
			if err != nil {
				return err
			}
			scorers.Put(finder)
			for k, score := range scores {
				hits[at[k]].Likeness = min(float64(score)/reference, 1)
			}
		}
		if err := s.tell(q, docs, at, hits); err != nil {
			return err
		}
	}
	return nil
}

// tell fills in the values of fields.
func (s *stage) tell(q *marketplace.FinderQuery, docs []uint32, at []int, hits []marketplace.Hit) error {
	for _, i := range at {
		hits[i].Values = &marketplace.Values{
			Keywords: make(map[marketplace.Field][]string, len(q.Keywords)), Numbers: make(map[marketplace.Field]float64, len(q.Numbers))}
	}
	for _, f := range q.Keywords {
		c, err := s.part.column(keywordField(f))
		if err != nil {
			return err
		}
		words := make(map[uint32][]string) // by set: many have the same
		for k, d := range docs {
			set := c.set(d)
			values, ok := words[set]
			if !ok {
				for _, t := range c.of(set) {
					values = append(values, c.terms[t])
				}
				words[set] = values
			}
			if len(values) > 0 {
				hits[at[k]].Values.Keywords[f] = values
			}
		}
	}
	for _, f := range q.Numbers {
		n, err := s.part.numbers(numberField(f))
		if err != nil {
			return err
		}
		for k, d := range docs {
			if n == nil {
				break
			}
			if x := n.of(d); x != missing {
				hits[at[k]].Values.Numbers[f] = number(x)
			}
		}
	}
	return nil
}
