package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Node is anything that has an id of its own.
type Node interface {
	entity
	IsNode()
}

// A SearchResult is anything that search finds: a member, a solution or a proposal.
type SearchResult interface {
	Node
	IsSearchResult()
}

// IsNode marks members as something with an id of its own.
func (*Organisation) IsNode() {}

// IsNode marks topics as something with an id of its own.
func (*Topic) IsNode() {}

// IsNode marks solutions as something with an id of its own.
func (*Solution) IsNode() {}

// IsNode marks proposals as something with an id of its own.
func (*Proposal) IsNode() {}

// IsSearchResult marks members as something that search finds.
func (*Organisation) IsSearchResult() {}

// IsSearchResult marks solutions as something that search finds.
func (*Solution) IsSearchResult() {}

// IsSearchResult marks proposals as something that search finds.
func (*Proposal) IsSearchResult() {}

// foundKinds are the kinds that search finds.
var foundKinds = sync.OnceValue(kindsOf[SearchResult])

// Page sizes.
const (
	DefaultPageSize = 20
	MaxPageSize     = 100
)

// A Slice says which part of a list is wanted, in the terms of the Relay
// cursor connections: the first so many after a cursor, or the last so many
// before one.
type Slice struct {
	First, Last   *int // 0 to MaxPageSize; not both; DefaultPageSize where neither is given
	After, Before *string
}

// A Listing is what is asked of a list.
type Listing struct {
	Text   string
	Kinds  []Kind // empty: all that the list can have
	Filter *SearchFilter
	Sort   *SortOrder // nil: relevance
	Slice  Slice
	Facets []FacetQuery // which facets to count along with the search
}

// A SearchFilter narrows a list. Within a field any value will do; all
// fields that are given must be met. What a kind of thing does not have
// (a city has no price band), it does not meet.
type SearchFilter struct {
	Topics            []ID               `json:"topics,omitempty"` // domains include their sub-topics
	Sdgs              []int              `json:"sdgs,omitempty"`
	Countries         []Country          `json:"countries,omitempty"`
	Regions           []Region           `json:"regions,omitempty"`
	Maturities        []Maturity         `json:"maturities,omitempty"`
	ProcurementRoutes []ProcurementRoute `json:"procurementRoutes,omitempty"`
	Languages         []Language         `json:"languages,omitempty"`
	PriceBands        []PriceBand        `json:"priceBands,omitempty"`
	Budget            *BudgetFilter      `json:"budget,omitempty"`
	Stages            []Stage            `json:"stages,omitempty"`
	Funding           []Funding          `json:"funding,omitempty"`
	Members           []ID               `json:"members,omitempty"` // the member itself, its solutions, its proposals
	Sizes             []CompanySize      `json:"sizes,omitempty"`
	InstitutionTypes  []InstitutionType  `json:"institutionTypes,omitempty"`
	IsSample          *bool              `json:"isSample,omitempty"`
}

// A BudgetFilter finds budgets that overlap a range, in the same currency.
type BudgetFilter struct {
	Currency string   `json:"currency"` // ISO 4217
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
}

// maxFilterValues bounds the values of one field of a filter.
const maxFilterValues = 100

func (f *SearchFilter) filters(p *problems) []Filter {
	if f == nil {
		return nil
	}
	var out []Filter
	any := func(path string, field Field, values []string) {
		if len(values) > 0 && p.max("filter."+path, len(values), maxFilterValues) {
			out = append(out, Filter{Field: field, Any: values})
		}
	}
	sdgs := make([]string, len(f.Sdgs))
	for i, g := range f.Sdgs {
		sdgs[i] = SDG(g).String()
	}
	any("topics", FieldTopic, keywords(f.Topics))
	any("sdgs", FieldSDG, sdgs)
	any("countries", FieldCountry, keywords(f.Countries))
	any("regions", FieldRegion, keywords(f.Regions))
	any("maturities", FieldMaturity, keywords(f.Maturities))
	any("procurementRoutes", FieldProcurement, keywords(f.ProcurementRoutes))
	any("languages", FieldLanguage, keywords(f.Languages))
	any("priceBands", FieldPriceBand, keywords(f.PriceBands))
	any("stages", FieldStage, keywords(f.Stages))
	any("funding", FieldFunding, keywords(f.Funding))
	any("members", FieldMember, keywords(f.Members))
	any("sizes", FieldSize, keywords(f.Sizes))
	any("institutionTypes", FieldInstitution, keywords(f.InstitutionTypes))
	if b := f.Budget; b != nil {
		if !currency.MatchString(b.Currency) {
			p.add("filter.budget.currency", "INVALID", "must be an ISO 4217 currency code such as USD")
		}
		out = append(out, Filter{Field: FieldCurrency, Any: []string{b.Currency}})
		if b.Min != nil {
			out = append(out, Filter{Field: FieldBudgetMax, Min: b.Min})
		}
		if b.Max != nil {
			out = append(out, Filter{Field: FieldBudgetMin, Max: b.Max})
		}
	}
	if f.IsSample != nil {
		out = append(out, Filter{Field: FieldSample, Any: []string{fmt.Sprint(*f.IsSample)}})
	}
	return out
}

func (s Slice) into(p *problems, q *FinderQuery) {
	q.Size = DefaultPageSize
	switch {
	case s.First != nil && s.Last != nil:
		p.add("last", "INVALID", "cannot be given together with first")
	case s.First != nil:
		q.Size = *s.First
	case s.Last != nil:
		q.Size, q.Last = *s.Last, true
	}
	if q.Size < 0 || q.Size > MaxPageSize {
		name := "first"
		if q.Last {
			name = "last"
		}
		p.addf(name, "OUT_OF_RANGE", "must be 0 to %d", MaxPageSize)
	}
	if s.After != nil {
		q.After = *s.After
	}
	if s.Before != nil {
		q.Before = *s.Before
	}
	if len(q.After) > maxCursor || len(q.Before) > maxCursor {
		p.add("after", "INVALID", "is not a cursor of this list")
	}
}

const maxCursor = 4096

// Limits of what a list is asked.
const (
	maxFacets    = 20
	maxFacetSize = 300
)

func (l Listing) query(ctx context.Context, kinds []Kind) (FinderQuery, error) {
	var p problems
	q := FinderQuery{
		Text:      l.Text,
		Groups:    groupsOf(ctx),
		Languages: ViewerOf(ctx).Languages,
		Kinds:     kinds,
		Sort:      SortRelevance,
		Facets:    l.Facets,
	}
	if len(l.Kinds) > 0 {
		q.Where = append(q.Where, Filter{Field: FieldKind, Any: keywords(l.Kinds)})
	}
	q.Where = append(q.Where, l.Filter.filters(&p)...)
	if l.Sort != nil {
		q.Sort = *l.Sort
	}
	l.Slice.into(&p, &q)
	if p.max("facets", len(l.Facets), maxFacets) {
		for i, f := range l.Facets {
			if f.Size < 1 || f.Size > maxFacetSize {
				p.addf(index("facets", i)+".first", "OUT_OF_RANGE", "must be 1 to %d", maxFacetSize)
			}
		}
	}
	return q, p.err()
}

// Results are one page of a list.
type Results[P entity] struct {
	Edges      []*Edge[P]
	PageInfo   PageInfo
	TotalCount int
	// Suggestion is the text with its spelling mended, where nothing was found.
	Suggestion *string

	market *Market
	query  FinderQuery
	found  Found
}

// An Edge is an entry of a list together with how it was found.
type Edge[P entity] struct {
	Node   P
	Cursor string
	// Score is the relevance: comparable within one list only, 0 without a text.
	Score float64

	results *Results[P]
}

// Names of the pages of everything in the API.
type (
	SearchConnection = Results[SearchResult]
	SearchEdge       = Edge[SearchResult]
)

// PageInfo tells where a page lies in its list.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// Nodes are the things of the page without their edges.
func (r *Results[P]) Nodes() []P {
	nodes := make([]P, len(r.Edges))
	for i, e := range r.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// Search lists everything that can be found.
func (m *Market) Search(ctx context.Context, l Listing) (*Results[SearchResult], error) {
	return list[SearchResult](ctx, m, l, foundKinds()...)
}

func list[P entity](ctx context.Context, m *Market, l Listing, kinds ...Kind) (*Results[P], error) {
	q, err := l.query(ctx, kinds)
	if err != nil {
		return nil, err
	}
	found, err := m.finder.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	return results[P](ctx, m, q, found[0])
}

// related lists what refers to one thing. Where that thing is one of a page,
// the lists of the whole page are searched at once and their documents read
// with one store operation.
func related[P entity](ctx context.Context, m *Market, kind Kind, field Field, of ID, l Listing) (*Results[P], error) {
	q, err := l.query(ctx, []Kind{kind})
	if err != nil {
		return nil, err
	}
	page := []ID{of}
	rq := requestOf(ctx)
	if rq != nil {
		page = rq.reads.siblings(of)
	}
	args, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s.%s of %s.. %s", kind, field, page[0], args)
	all, err := once(ctx, name, func() ([]Found, error) {
		queries := make([]FinderQuery, len(page))
		for i, id := range page {
			queries[i] = q
			queries[i].Where = append(slices.Clip(q.Where), Filter{Field: field, Any: []string{string(id)}})
		}
		found, err := m.finder.Search(ctx, queries...)
		if err == nil && rq != nil {
			for _, f := range found {
				rq.reads.expect(hitIDs(f))
			}
		}
		return found, err
	})
	if err != nil {
		return nil, err
	}
	q.Where = append(slices.Clip(q.Where), Filter{Field: field, Any: []string{string(of)}})
	return results[P](ctx, m, q, all[slices.Index(page, of)])
}

func hitIDs(f Found) []ID {
	ids := make([]ID, len(f.Hits))
	for i, h := range f.Hits {
		ids[i] = ID(h.ID)
	}
	return ids
}

// results reads the documents of the hits. A hit whose document is gone by
// now is left out.
func results[P entity](ctx context.Context, m *Market, q FinderQuery, found Found) (*Results[P], error) {
	docs, err := m.load(ctx, hitIDs(found))
	if err != nil {
		return nil, err
	}
	r := &Results[P]{
		Edges:      make([]*Edge[P], 0, len(found.Hits)),
		TotalCount: found.Total,
		PageInfo:   PageInfo{HasNextPage: found.HasNext, HasPreviousPage: found.HasPrev},
		market:     m, query: q, found: found,
	}
	for i, h := range found.Hits {
		if p, ok := docs[i].(P); ok {
			r.Edges = append(r.Edges, &Edge[P]{Node: p, Cursor: h.Cursor, Score: h.Score, results: r})
		}
	}
	if n := len(found.Hits); n > 0 {
		r.PageInfo.StartCursor, r.PageInfo.EndCursor = &found.Hits[0].Cursor, &found.Hits[n-1].Cursor
	}
	if found.Suggestion != "" {
		r.Suggestion = &found.Suggestion
	}
	return r, nil
}

// A Facet is how many entries of a list have which value of a field. What is
// chosen in the field itself does not narrow its counts.
type Facet struct {
	Field   Field
	Buckets []*FacetBucket
}

// A FacetBucket is one value of a facet.
type FacetBucket struct {
	Field Field
	Value string
	Count int
	// IsSelected says that the list's filter names this value.
	IsSelected bool
}

// Facets returns the counts of fields that the listing asked for, at most
// first values of each; a field that it did not ask for is left out.
func (r *Results[P]) Facets(ctx context.Context, fields []Field, first int) []*Facet {
	out := make([]*Facet, 0, len(fields))
	for _, f := range fields {
		for _, b := range r.found.Facets {
			if b.Field == f {
				b.Buckets = b.Buckets[:min(max(first, 0), len(b.Buckets))]
				out = append(out, r.facet(ctx, b))
				break
			}
		}
	}
	return out
}

func (r *Results[P]) facet(ctx context.Context, b Buckets) *Facet {
	f := &Facet{Field: b.Field, Buckets: make([]*FacetBucket, len(b.Buckets))}
	var ids []ID
	for i, v := range b.Buckets {
		value := v.Value
		if b.Field == FieldKind {
			value = strings.ToUpper(value) // as the API's filter takes it
		}
		f.Buckets[i] = &FacetBucket{Field: b.Field, Value: value, Count: v.Count, IsSelected: r.selected(b.Field, v.Value)}
		if b.Field == FieldTopic || b.Field == FieldMember {
			ids = append(ids, ID(v.Value))
		}
	}
	if rq := requestOf(ctx); rq != nil {
		rq.reads.expect(ids)
	}
	return f
}

func (r *Results[P]) selected(field Field, value string) bool {
	for _, w := range r.query.Where {
		if w.Field == field && slices.Contains(w.Any, value) {
			return true
		}
	}
	return false
}

// LabelOf is the name of a facet's value for the viewer: of a topic, a
// member, a country or a goal; the value itself where it is a word of the API.
func (m *Market) LabelOf(ctx context.Context, b *FacetBucket, wished []Language) (string, error) {
	switch b.Field {
	case FieldTopic, FieldMember:
		doc, err := get[Node](ctx, m, ID(b.Value))
		if errors.Is(err, ErrNotFound) {
			return b.Value, nil
		} else if err != nil {
			return "", err
		}
		return Localize(ctx, *doc.texts()[0].Text, wished).Text, nil
	case FieldCountry:
		return CountryName(ctx, Country(b.Value), wished), nil
	case FieldSDG:
		for _, g := range AllSDGs() {
			if g.String() == b.Value {
				return g.Title(), nil
			}
		}
	}
	return b.Value, nil
}

// A Highlight is a part of a field's text in which words of the search stand.
type Highlight struct {
	Field    string   // "title", "summary", "deployments[0].result"...
	Language Language // of the text
	Text     string   // the whole text, or the part around the first match
	Ranges   []Range  // where the words stand in Text
}

// Highlights says where the words of the search stand in the entry: at most
// ten parts of texts, those of the title first. Empty without a search text.
func (e *Edge[P]) Highlights(ctx context.Context) []*Highlight {
	out := []*Highlight{}
	q := e.results.query.Text
	if q == "" {
		return out
	}
	fields, texts := translations(e.Node.texts())
	for i, ranges := range e.results.market.finder.Highlight(ctx, q, texts...) {
		if len(ranges) > 0 && len(out) < 10 {
			text, ranges := excerpt(texts[i].Text, ranges)
			out = append(out, &Highlight{Field: fields[i], Language: texts[i].Language, Text: text, Ranges: ranges})
		}
	}
	return out
}

// An Explanation says of a part of the search text how an entry has it.
type Explanation struct {
	Words    string // of the search text, as they were typed
	Form     WordForm
	Field    string   // as in Highlight; of what the entry refers to, its kind: "topic", "company", "city"
	Language Language // of the text they stand in
	Found    string   // what stands there
}

// Explanation says why the entry was found: for each word of the search text
// that it has, where and in which form; also words of the titles of what it
// refers to, such as its topics. Empty without a search text.
func (e *Edge[P]) Explanation(ctx context.Context) ([]*Explanation, error) {
	out := []*Explanation{}
	q := e.results.query.Text
	if q == "" {
		return out, nil
	}
	named := e.Node.texts()
	for _, id := range e.Node.refs() {
		doc, err := get[entity](ctx, e.results.market, id)
		if errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		named = append(named, NamedText{Field: string(doc.kind()), Text: doc.texts()[0].Text})
	}
	fields, texts := translations(named)
	for _, f := range e.results.market.finder.Explain(ctx, q, texts...) {
		t := texts[f.Text]
		out = append(out, &Explanation{Words: f.Words, Form: f.Form, Field: fields[f.Text], Language: t.Language,
			Found: string([]rune(t.Text)[f.Range.Start:f.Range.End])})
	}
	return out, nil
}

// translations lists all translations of texts, and the field of each.
func translations(named []NamedText) (fields []string, texts []Translation) {
	for _, t := range named {
		for _, tr := range *t.Text {
			fields, texts = append(fields, t.Field), append(texts, tr)
		}
	}
	return fields, texts
}

// Sizes of an excerpt in code points: so much before the first match, so much in all.
const (
	excerptLead   = 60
	excerptLength = 300
)

// excerpt cuts a long text to the part around its first match.
func excerpt(text string, ranges []Range) (string, []Range) {
	n := utf8.RuneCountInString(text)
	if n <= excerptLength {
		return text, ranges
	}
	runes := []rune(text)
	from := max(0, min(ranges[0].Start-excerptLead, n-excerptLength))
	to := from + excerptLength
	var kept []Range
	for _, r := range ranges {
		if r.Start >= from && r.End <= to {
			kept = append(kept, Range{r.Start - from, r.End - from})
		}
	}
	return string(runes[from:to]), kept
}

// A Suggestion completes what the viewer is typing.
type Suggestion struct {
	Text Text // the title or name
	Node SearchResult
}

// MaxSuggestions is how many suggestions can be asked for.
const MaxSuggestions = 20

// Suggest completes the last word of a text from titles and names.
func (m *Market) Suggest(ctx context.Context, text string, kinds []Kind, first int) ([]*Suggestion, error) {
	if first < 1 || first > MaxSuggestions {
		return nil, invalid("first", "OUT_OF_RANGE", fmt.Sprintf("must be 1 to %d", MaxSuggestions))
	}
	q, err := Listing{Text: text, Kinds: kinds, Slice: Slice{First: &first}}.query(ctx, foundKinds())
	if err != nil {
		return nil, err
	}
	q.Typing = true
	found, err := m.finder.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	nodes, err := several[SearchResult](ctx, m, hitIDs(found[0]))
	if err != nil {
		return nil, err
	}
	out := make([]*Suggestion, len(nodes))
	for i, n := range nodes {
		out[i] = &Suggestion{Text: *n.texts()[0].Text, Node: n}
	}
	return out, nil
}

// Node returns anything by its id, or ErrNotFound.
func (m *Market) Node(ctx context.Context, id ID) (Node, error) { return get[Node](ctx, m, id) }

// Nodes returns things by their ids, in order, nil where there is none.
func (m *Market) Nodes(ctx context.Context, ids []ID) ([]Node, error) {
	if len(ids) > MaxPageSize {
		return nil, invalid("ids", "TOO_MANY", fmt.Sprintf("at most %d, these are %d", MaxPageSize, len(ids)))
	}
	docs, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Node, len(docs))
	for i, d := range docs {
		out[i], _ = d.(Node)
	}
	return out, nil
}
