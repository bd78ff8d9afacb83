package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/blevesearch/bleve/v2"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/ar"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/de"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/en"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/es"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/ru"
	_ "github.com/blevesearch/bleve/v2/analysis/token/edgengram"
	"github.com/blevesearch/bleve/v2/search/query"

	"citymarket/marketplace"
	"citymarket/seed"
)

// analyzerOf names bleve's analyzer for a language of generated texts.
func analyzerOf(l marketplace.Language) string {
	if l == "zh" || l == "ko" {
		return "cjk"
	}
	return string(l)
}

// newStock makes an index of stock bleve for the same kinds of search.
func newStock(path string) (bleve.Index, error) {
	m := bleve.NewIndexMapping()
	err := errors.Join(
		m.AddCustomTokenFilter("beginnings", map[string]any{"type": "edge_ngram", "min": 1.0, "max": 15.0}),
		m.AddCustomAnalyzer("beginnings", map[string]any{"type": "custom", "tokenizer": "unicode", "token_filters": []string{"to_lower", "beginnings"}}))
	if err != nil {
		return nil, err
	}
	m.DefaultMapping = bleve.NewDocumentStaticMapping()
	text := func(name, analyzer string) {
		f := bleve.NewTextFieldMapping()
		f.Analyzer, f.Store, f.IncludeTermVectors, f.IncludeInAll, f.DocValues = analyzer, false, false, false, false
		m.DefaultMapping.AddFieldMappingsAt(name, f)
	}
	for _, a := range []string{"en", "cjk", "es", "ar", "de", "ru"} {
		text("title_"+a, a)
		text("text_"+a, a)
	}
	text("beginnings", "beginnings")
	keyword, date := bleve.NewKeywordFieldMapping(), bleve.NewDateTimeFieldMapping()
	keyword.Store, keyword.IncludeInAll, date.Store, date.IncludeInAll = false, false, false, false
	for _, f := range []string{"topic", "sdg", "country", "region", "maturity", "procurement_route", "language", "price_band", "member", "sample", "name"} {
		m.DefaultMapping.AddFieldMappingsAt(f, keyword)
	}
	m.DefaultMapping.AddFieldMappingsAt("newest", date)
	return bleve.New(path, m)
}

// fillStock brings a corpus into an index, in batches of 1,000.
func (c *corpus) fillStock(ctx context.Context, index bleve.Index) error {
	entryOf, batch, n, began := marketplace.Entries(c.store), index.NewBatch(), 0, time.Now()
	for s := range c.solutions() {
		e, _, err := entryOf(ctx, changeOf(s))
		if err != nil {
			return err
		}
		var body strings.Builder
		for _, text := range e.Body {
			for _, t := range text {
				body.WriteString(t.Text + "\n")
			}
		}
		title, a := e.Title[0].Text, analyzerOf(e.Title[0].Language)
		doc := map[string]any{"title_" + a: title, "text_" + a: body.String(), "beginnings": title, "name": title, "newest": e.Newest}
		for f, values := range e.Keywords {
			doc[string(f)] = values
		}
		if err := batch.Index(e.ID, doc); err != nil {
			return err
		}
		if n++; n%1000 == 0 || n == c.n {
			if err := index.Batch(batch); err != nil {
				return err
			}
			batch.Reset()
			c.progress(seed.Progress{What: "solutions into stock bleve", Done: n, Total: c.n, Elapsed: time.Since(began)})
		}
	}
	return nil
}

// request20 asks for a page of 20 and for facets; by relevance without a sort.
func request20(q query.Query, sort []string, facets ...marketplace.Field) *bleve.SearchRequest {
	r := bleve.NewSearchRequestOptions(q, 20, 0, false)
	for _, f := range facets {
		r.AddFacet(string(f), bleve.NewFacetRequest(string(f), 20))
	}
	if sort != nil {
		r.SortBy(sort)
	}
	return r
}

// either looks for a text in titles and texts.
func (q *benchQuery) either(text string, edits int, all query.MatchQueryOperator) query.Query {
	out := bleve.NewDisjunctionQuery()
	for _, field := range []string{"title_", "text_"} {
		m := bleve.NewMatchQuery(text)
		m.SetField(field + q.analyzer)
		m.SetFuzziness(edits)
		m.SetOperator(all)
		out.AddQuery(m)
	}
	return out
}

// allOf asks for all words, each in title or text, within some edits.
func (q *benchQuery) allOf(words []string, edits int) *query.ConjunctionQuery {
	out := bleve.NewConjunctionQuery()
	for _, w := range words {
		out.AddQuery(q.either(w, edits, query.MatchQueryOperatorAnd))
	}
	return out
}

// anyOf asks for any word of what ours reads of a long text.
func (q *benchQuery) anyOf(text string) query.Query {
	return q.either(strings.ToValidUTF8(text[:min(len(text), marketplace.MaxQueryLength)], ""), 0, query.MatchQueryOperatorOr)
}

// beginning asks for titles that have all words, the last one begun.
func (q *benchQuery) beginning() query.Query {
	out := bleve.NewConjunctionQuery()
	for i, w := range q.typing {
		if i == len(q.typing)-1 && len(q.typing) > 1 {
			t := bleve.NewTermQuery(w)
			t.SetField("beginnings")
			out.AddQuery(t)
		} else {
			m := bleve.NewMatchQuery(w)
			m.SetField("title_" + q.analyzer)
			m.SetOperator(query.MatchQueryOperatorAnd)
			out.AddQuery(m)
		}
	}
	return out
}

// multiSelect asks for three terms under filters, and once more for each
// filter, to count the values of its field as if it were not set.
func (b *bench) multiSelect(ctx context.Context, q *benchQuery) (matches int, err error) {
	for without := -1; without < len(q.filters); without++ {
		all, counted := q.allOf(q.words, 0), benchFacets
		for i, f := range q.filters {
			any := bleve.NewDisjunctionQuery()
			for _, value := range f.Any {
				t := bleve.NewTermQuery(value)
				t.SetField(string(f.Field))
				any.AddQuery(t)
			}
			if i == without {
				counted = []marketplace.Field{f.Field}
			} else {
				all.AddQuery(any)
				if without < 0 {
					counted = slices.DeleteFunc(slices.Clone(counted), func(c marketplace.Field) bool { return c == f.Field })
				}
			}
		}
		r := request20(all, nil, counted...)
		if without >= 0 {
			r.Size = 0
		}
		found, err := b.stock.SearchInContext(ctx, r)
		if err != nil {
			return 0, err
		}
		if without < 0 {
			matches = int(found.Total)
		}
	}
	return matches, nil
}

// deepStock asks for a page behind many others, the last of which it finds the first time.
func (b *bench) deepStock(ctx context.Context, _ *benchQuery) (int, error) {
	newest := []string{"-newest", "_id"}
	if b.sortKey == nil {
		r := request20(bleve.NewMatchAllQuery(), newest)
		r.From, r.Size = b.depth-1, 1
		found, err := b.stock.SearchInContext(ctx, r)
		if err != nil {
			return 0, err
		}
		b.sortKey = found.Hits[0].Sort
	}
	r := request20(bleve.NewMatchAllQuery(), newest)
	r.SetSearchAfter(b.sortKey)
	found, err := b.stock.SearchInContext(ctx, r)
	if err != nil {
		return 0, err
	}
	return int(found.Total), nil
}
