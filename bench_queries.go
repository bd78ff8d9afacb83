package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/blevesearch/bleve/v2"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/seed"
)

// A corpus is n generated solutions as if they were in a store. The store has
// what they refer to, and the first of them.
type corpus struct {
	n        int
	store    marketplace.Store
	parents  map[marketplace.ID]marketplace.ID // of topics
	progress func(seed.Progress)

	next  func() (*marketplace.Solution, bool) // gives the solution number at
	stop  func()
	at    int
	began time.Time
}

func newCorpus(ctx context.Context, dir string, n int, progress func(seed.Progress)) (*corpus, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	store, err := sqlitestore.Open(filepath.Join(dir, "citymarket.db"), marketplace.StoreSchema())
	if err != nil {
		return nil, err
	}
	c := &corpus{n: n, store: store, parents: make(map[marketplace.ID]marketplace.ID), progress: progress, stop: func() {}}
	if err := seed.LoadGenerated(ctx, marketplace.New(store, nil, marketplace.Options{}), min(n, benchStored), seed.Options{Progress: progress}); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	topics, err := store.Find(ctx, marketplace.KindTopic, marketplace.Query{Limit: marketplace.MaxPage})
	for _, d := range topics {
		var t marketplace.Topic
		err = errors.Join(err, d.Decode(&t))
		c.parents[t.ID] = t.Parent
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return c, nil
}

// solutions yields them as they would be if all were published.
func (c *corpus) solutions() iter.Seq[*marketplace.Solution] {
	return func(yield func(*marketplace.Solution) bool) {
		first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		for s := range seed.Generate(c.n, 1) {
			s.Status = marketplace.SolutionPublished
			if s.PublishedAt == nil {
				s.PublishedAt = &first
			}
			for _, t := range s.Topics {
				if d := c.parents[t]; d != "" && !slices.Contains(s.Domains, d) {
					s.Domains = append(s.Domains, d)
				}
			}
			if !yield(s) {
				return
			}
		}
	}
}

// generatedCursor begins the cursors of Changes up to the last generated
// solution; the rest of one is how many were read. All others are the store's.
const generatedCursor = "generated "

// Changes implements search.Source: the solutions, then what is in the store.
func (c *corpus) Changes(ctx context.Context, q marketplace.FeedQuery) (feed marketplace.Feed, err error) {
	after, generated := strings.CutPrefix(string(q.After), generatedCursor)
	if q.After != "" && !generated {
		return c.store.Changes(ctx, q)
	}
	if n, _ := strconv.Atoi(after); c.next == nil || c.at != n {
		c.stop()
		c.next, c.stop = iter.Pull(c.solutions())
		c.began = time.Now()
		for c.at = 0; c.at < n; c.at++ {
			c.next()
		}
	}
	for len(feed.Changes) < q.Limit {
		s, ok := c.next()
		if !ok {
			c.stop()
			rest, err := c.store.Changes(ctx, marketplace.FeedQuery{Limit: q.Limit - len(feed.Changes)})
			return marketplace.Feed{Changes: append(feed.Changes, rest.Changes...), Next: rest.Next}, err
		}
		c.at++
		feed.Changes = append(feed.Changes, changeOf(s))
	}
	c.progress(seed.Progress{What: "solutions into our index", Done: c.at, Total: c.n, Elapsed: time.Since(c.began)})
	feed.Next = marketplace.Cursor(generatedCursor + strconv.Itoa(c.at))
	return feed, nil
}

func changeOf(s *marketplace.Solution) marketplace.Change {
	return marketplace.Change{Kind: marketplace.KindSolution, Document: marketplace.Document{ID: string(s.ID), Rev: 1, Decode: func(into any) error {
		*into.(*marketplace.Solution) = *s
		return nil
	}}}
}

// A benchQuery is what is asked for of one generated solution.
type benchQuery struct {
	analyzer    string
	words, typo []string // three words; the first one without its second letter, but in Chinese
	long        string
	need        marketplace.Translation // the long text and its language
	typing      []string                // the first word of a title and half the last; in Chinese, two characters
	filters     []marketplace.Filter
	texts       []marketplace.Translation // to be highlighted
}

// benchQueries makes n different queries in the languages of the generated
// solutions: from one solution each, three words that 8 to 40 % of those in
// its language have.
func benchQueries(n int) []benchQuery {
	texts := map[marketplace.Language][]marketplace.Translation{}
	count := map[marketplace.Language]map[string]int{} // of solutions that have a word
	sample := slices.Collect(seed.Generate(10_000, 1))[:2000+2*n]
	for _, s := range sample {
		t := s.Description[0]
		t.Text = s.Summary[0].Text + " " + t.Text
		texts[t.Language] = append(texts[t.Language], t)
		if count[t.Language] == nil {
			count[t.Language] = map[string]int{}
		}
		for _, w := range benchWords(t) {
			count[t.Language][w]++
		}
	}
	var out []benchQuery
	analysis, used := bleve.NewIndexMapping(), map[marketplace.Language]int{}
	for i, s := range sample {
		language := s.Title[0].Language
		all, a, k := texts[language], analyzerOf(language), used[language]
		used[language]++
		words := slices.DeleteFunc(benchWords(all[k]), func(w string) bool {
			c := count[language][w] * 100 / len(all)
			return c < 8 || c > 40 || len(analysis.AnalyzerNamed(a).Analyze([]byte(w))) == 0 // a stop word
		})
		titles := benchWords(s.Title[0])
		if len(words) < 3 || len(titles) < 2 || len(out) == n {
			continue
		}
		r := rand.New(rand.NewPCG(1, uint64(i)))
		r.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		first, last := []rune(words[0]), []rune(titles[len(titles)-1])
		q := benchQuery{analyzer: a, words: words[:3], typo: []string{words[0], words[1], words[2]}, typing: []string{titles[0], string(last[:(len(last)+1)/2])},
			filters: []marketplace.Filter{
				{Field: marketplace.FieldTopic, Any: strs(append(s.Topics, sample[0].Topics...))},
				{Field: marketplace.FieldMaturity, Any: strs([]marketplace.Maturity{s.Maturity, marketplace.Maturities[4]})},
				{Field: marketplace.FieldPriceBand, Any: strs([]marketplace.PriceBand{s.PriceBand, marketplace.PriceBands[2]})}}}
		if language == "zh" {
			q.typing = titles[:1]
		} else if len(first) > 3 {
			q.typo[0] = string(slices.Delete(first, 1, 2))
		}
		for j := range 20 {
			q.texts = append(q.texts, all[(k+j)%len(all)])
		}
		long := strings.Fields(all[k].Text + " " + all[(k+1)%len(all)].Text)
		q.long = strings.Join(long[:min(len(long), 110)], " ")
		q.need = marketplace.Translation{Language: language, Text: q.long}
		out = append(out, q)
	}
	return out
}

func strs[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// benchWords are the different words of a text; of Chinese, pairs of characters.
func benchWords(t marketplace.Translation) (words []string) {
	seen := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(t.Text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
		parts := []string{w}
		if r := []rune(w); t.Language == "zh" {
			parts = parts[:0]
			for i := range len(r) - 1 {
				parts = append(parts, string(r[i:i+2]))
			}
		}
		for _, p := range parts {
			if !seen[p] {
				seen[p] = true
				words = append(words, p)
			}
		}
	}
	return words
}

// benchFacets are the fields whose values are counted.
var benchFacets = []marketplace.Field{marketplace.FieldTopic, marketplace.FieldCountry, marketplace.FieldMaturity, marketplace.FieldPriceBand, marketplace.FieldMember}

func facetQueries() []marketplace.FacetQuery {
	var out []marketplace.FacetQuery
	for _, f := range benchFacets {
		out = append(out, marketplace.FacetQuery{Field: f, Size: 20})
	}
	return out
}

// A benchKind is a kind of query and how each engine is asked it; nil: it cannot be.
type benchKind struct {
	name        string
	ours, stock ask
}

// An ask puts a query to an engine and returns how many matches it has.
type ask func(ctx context.Context, q *benchQuery) (matches int, err error)

func (b *bench) kinds() []benchKind {
	type (
		asked   = marketplace.FinderQuery
		request = bleve.SearchRequest
	)
	newest, facets, everything := []string{"-newest", "_id"}, facetQueries(), bleve.NewMatchAllQuery()
	three := func(q *benchQuery) string { return strings.Join(q.words, " ") }
	return []benchKind{
		{"three terms",
			b.finds(func(q *benchQuery) asked { return asked{Text: three(q)} }),
			b.searches(func(q *benchQuery) *request { return request20(q.allOf(q.words, 0), nil) })},
		{"three terms, 5 facets",
			b.finds(func(q *benchQuery) asked { return asked{Text: three(q), Facets: facets} }),
			b.searches(func(q *benchQuery) *request { return request20(q.allOf(q.words, 0), nil, benchFacets...) })},
		{"three terms, 3 filters, 5 multi-select facets",
			b.finds(func(q *benchQuery) asked { return asked{Text: three(q), Facets: facets, Where: q.filters} }),
			b.multiSelect},
		{"everything, 5 facets",
			b.finds(func(*benchQuery) asked { return asked{Facets: facets} }),
			b.searches(func(*benchQuery) *request { return request20(everything, nil, benchFacets...) })},
		{"three terms, newest first",
			b.finds(func(q *benchQuery) asked { return asked{Text: three(q), Sort: marketplace.SortNewest} }),
			b.searches(func(q *benchQuery) *request { return request20(q.allOf(q.words, 0), newest) })},
		{"everything, by name",
			b.finds(func(*benchQuery) asked { return asked{Sort: marketplace.SortName} }),
			b.searches(func(*benchQuery) *request { return request20(everything, []string{"name", "_id"}) })},
		{fmt.Sprintf("everything, newest first, after the %dth", b.depth), b.deepOurs, b.deepStock},
		{"long text",
			b.finds(func(q *benchQuery) asked { return asked{Text: q.long} }),
			b.searches(func(q *benchQuery) *request { return request20(q.anyOf(q.long), nil) })},
		{"like a need of 110 words, 200 with their values",
			b.finds(func(q *benchQuery) asked {
				return asked{Like: []marketplace.Text{{q.need}}, Prefer: q.filters[:1], Size: 200, Keywords: benchFacets, Numbers: []marketplace.Field{marketplace.FieldChanged}}
			}), nil},
		{"as you type",
			b.finds(func(q *benchQuery) asked { return asked{Text: strings.Join(q.typing, " "), Typing: true} }),
			b.searches(func(q *benchQuery) *request { return request20(q.beginning(), nil) })},
		{"three terms, a typo",
			b.finds(func(q *benchQuery) asked { return asked{Text: strings.Join(q.typo, " ")} }),
			b.searches(func(q *benchQuery) *request { return request20(q.allOf(q.typo, 1), nil) })},
		{"highlights of 20 texts", func(ctx context.Context, q *benchQuery) (n int, err error) {
			for _, ranges := range b.ours.Highlight(ctx, three(q), q.texts...) {
				n += len(ranges)
			}
			return n, nil
		}, nil},
	}
}

// find asks ours, as a visitor, for 20 solutions.
func (b *bench) find(ctx context.Context, q marketplace.FinderQuery) (marketplace.Found, error) {
	q.Groups, q.Kinds, q.Size = []marketplace.Group{marketplace.Everyone}, []marketplace.Kind{marketplace.KindSolution}, max(q.Size, 20)
	found, err := b.ours.Search(ctx, q)
	if err != nil {
		return marketplace.Found{}, err
	}
	return found[0], nil
}

func (b *bench) finds(query func(*benchQuery) marketplace.FinderQuery) ask {
	return func(ctx context.Context, q *benchQuery) (int, error) {
		found, err := b.find(ctx, query(q))
		return found.Total, err
	}
}

func (b *bench) searches(request func(*benchQuery) *bleve.SearchRequest) ask {
	return func(ctx context.Context, q *benchQuery) (int, error) {
		found, err := b.stock.SearchInContext(ctx, request(q))
		if err != nil {
			return 0, err
		}
		return int(found.Total), nil
	}
}

// deepOurs asks for a page behind many others, which are turned the first time.
func (b *bench) deepOurs(ctx context.Context, q *benchQuery) (int, error) {
	page := marketplace.FinderQuery{Sort: marketplace.SortNewest, After: b.cursor}
	for n := 0; n < b.depth && b.cursor == ""; n += 20 {
		found, err := b.find(ctx, page)
		if err != nil {
			return 0, err
		}
		page.After = found.Hits[len(found.Hits)-1].Cursor
	}
	b.cursor = page.After
	found, err := b.find(ctx, page)
	return found.Total, err
}
