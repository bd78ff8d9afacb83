package search

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/collector"
	stockfacet "github.com/blevesearch/bleve/v2/search/facet"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
)

// A stock searcher goes through documents that were found by bleve's own term
// readers in a twin of the index that has frequencies and lengths as bleve
// keeps them: the same question as ours, answered by the straight way.
type stock struct {
	docs []stockDoc // ascending by id
	next int
}

type stockDoc struct {
	id    index.IndexInternalID
	score float64
	units int
}

func (s *stock) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if s.next == len(s.docs) {
		return nil, nil
	}
	m := ctx.DocumentMatchPool.Get()
	m.IndexInternalID = append(m.IndexInternalID, s.docs[s.next].id...)
	m.Score = s.docs[s.next].score
	s.next++
	return m, nil
}

func (s *stock) Advance(ctx *search.SearchContext, id index.IndexInternalID) (*search.DocumentMatch, error) {
	for s.next < len(s.docs) && bytes.Compare(s.docs[s.next].id, id) < 0 {
		s.next++
	}
	return s.Next(ctx)
}

func (s *stock) Close() error               { return nil }
func (s *stock) Weight() float64            { return 0 }
func (s *stock) SetQueryNorm(float64)       {}
func (s *stock) Count() uint64              { return uint64(len(s.docs)) }
func (s *stock) Min() int                   { return 0 }
func (s *stock) Size() int                  { return 0 }
func (s *stock) DocumentMatchPoolSize() int { return 1 }

// answer scores the documents that have at least so many of a question's units.
func (s *stock) answer(t *testing.T, v *view, twin index.IndexReader, q *question, asked int) {
	ctx := context.Background()
	all := map[string]*stockDoc{}
	live, err := twin.DocCount()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range q.units {
		has := map[string]bool{}
		for _, group := range u.groups {
			best := map[string]float64{}
			for _, c := range group {
				terms, err := twin.TermFieldReader(ctx, []byte(c.term), c.field, true, true, false)
				if err != nil {
					t.Fatal(err)
				}
				df := float64(terms.Count())
				for e, err := terms.Next(nil); e != nil || err != nil; e, err = terms.Next(nil) {
					if err != nil {
						t.Fatal(err)
					}
					tf, length := float64(e.Freq), math.Round(1/(e.Norm*e.Norm))
					idf := math.Log(1 + (float64(live)-df+0.5)/(df+0.5))
					score := c.weight * idf * tf * (bm25K + 1) / (tf + bm25K*(1-bm25B+bm25B*length/v.average[c.field]))
					id := string(must(v.snapshot.InternalID(must(twin.ExternalID(e.ID)))))
					best[id] = max(best[id], score)
				}
				if err := terms.Close(); err != nil {
					t.Fatal(err)
				}
			}
			for id, score := range best {
				if all[id] == nil {
					all[id] = &stockDoc{id: index.IndexInternalID(id)}
				}
				all[id].score += score
				has[id] = true
			}
		}
		for id := range has {
			if !u.bonus {
				all[id].units++
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if all[id].units >= asked {
			s.docs = append(s.docs, *all[id])
		}
	}
}

// among keeps the documents that a stock query finds, too.
func (s *stock) among(t *testing.T, v *view, q query.Query) *stock {
	found, err := q.Searcher(context.Background(), v.snapshot, mapping.NewIndexMapping(), search.SearcherOptions{Score: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	ctx := &search.SearchContext{DocumentMatchPool: search.NewDocumentMatchPool(found.DocumentMatchPoolSize()+1, 0), IndexReader: v.snapshot}
	allowed := map[string]bool{}
	for m, err := found.Next(ctx); m != nil || err != nil; m, err = found.Next(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		allowed[string(m.IndexInternalID)] = true
		ctx.DocumentMatchPool.Put(m)
	}
	out := &stock{}
	for _, d := range s.docs {
		if allowed[string(d.id)] {
			out.docs = append(out.docs, d)
		}
	}
	return out
}

func anyOf[T ~string](field string, values []T) query.Query {
	var list []query.Query
	for _, v := range values {
		term := query.NewTermQuery(string(v))
		term.SetField(field)
		list = append(list, term)
	}
	return query.NewDisjunctionQuery(list)
}

// TestStock compares totals, scores and counts of random queries with those
// that bleve's own term readers, boolean queries, collector and facets come to.
func TestStock(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	some := func(list string, n int) (out []string) {
		all := strings.Fields(list)
		for _, i := range random.Perm(len(all))[:random.IntN(n+1)] {
			out = append(out, all[i])
		}
		return out
	}
	words := map[marketplace.Language][]string{
		"en": strings.Fields("parking parked parks street lighting lights water leak sensor sensors city cities traffic signal signals air quality monitoring waste collection energy building"),
		"es": strings.Fields("estacionamiento calle alumbrado agua fuga sensores ciudad ciudades tráfico semáforo aire calidad residuos energía edificio sensor monitor"),
		"ko": strings.Fields("주차 주차장 도시 교통 신호 교통량 수질 누수 폐기물 에너지 스마트"),
		"zh": strings.Fields("智慧停车 路灯 水质监测 漏水 交通信号 城市 能源 建筑 垃圾收运 传感器"),
	}
	text := func(n int) (marketplace.Language, string) {
		l := []marketplace.Language{"en", "en", "es", "ko", "zh"}[random.IntN(5)]
		var out []string
		for range 1 + random.IntN(n) {
			out = append(out, words[l][random.IntN(len(words[l]))])
		}
		return l, strings.Join(out, " ")
	}
	m, batch := newMemory(), index.NewBatch()
	for i := range 400 {
		l, title := text(4)
		_, body := text(60)
		e := marketplace.Entry{Kind: "solution", ID: fmt.Sprint("sol_", i%300), Rev: int64(1 + i/300), Newest: time.Unix(int64(random.IntN(50)), 0),
			Audience: []marketplace.Group{[]marketplace.Group{"everyone", "everyone", "com_1"}[random.IntN(3)]},
			Title:    marketplace.Text{{Language: l, Text: title}}, Body: []marketplace.Text{{{Language: l, Text: body}}},
			Keywords: map[marketplace.Field][]string{"topic": some("a b c d e f", 3), "country": some("KR FR CI MX", 2), "maturity": some("PILOT PROVEN", 1)}}
		m.put(e)
		doc := document.NewDocument(documentID(e.Kind, e.ID))
		for field, bag := range bagsOf(&e) {
			var list terms
			for term, n := range bag.times {
				known := 1 // of what happens more than six times the index knows a little less
				for _, step := range steps {
					if n >= step && stepped(field) {
						known = step
					}
				}
				list = append(append(list, slices.Repeat(terms{term}, known)...), slices.Repeat(terms{"\x01"}, n-known)...)
			}
			doc.AddField(document.NewTextFieldCustom(field, nil, nil, index.IndexField, list))
		}
		batch.Update(doc)
		if i%40 == 0 || i%300%40 == 0 { // what comes after this is older
			m.delete("solution", e.ID, 9)
			batch.Delete(doc.ID())
		}
	}
	queue := index.NewAnalysisQueue(1)
	defer queue.Close()
	other := must(newScorch(map[string]any{"path": ""}, queue))
	defer other.Close()
	if err := other.Batch(batch); err != nil {
		t.Fatal(err)
	}
	twin := must(other.Reader())
	defer twin.Close()
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	v := must(x.view())
	defer v.snapshot.Close()
	fields := []marketplace.Field{"topic", "country", "maturity"}
	matches, scored := 0, 0
	for range 300 {
		_, body := text(5)
		q := marketplace.FinderQuery{Text: body, Groups: []marketplace.Group{"everyone"}, Size: 100}
		if random.IntN(4) == 0 {
			q.Groups = append(q.Groups, "com_1")
		}
		for _, f := range fields {
			q.Facets = append(q.Facets, marketplace.FacetQuery{Field: f, Size: 300})
			if random.IntN(3) == 0 {
				if values := some("a b c KR FR PILOT", 4); len(values) > 0 {
					q.Where = append(q.Where, marketplace.Filter{Field: f, Any: values})
				}
			}
		}
		found := must(x.Search(context.Background(), q))[0]
		asked := must(v.fork().ask(context.Background(), q.Text, false))
		level := 1
		if len(found.Hits) > 0 {
			_, n, err := (&order{code: 'r', scored: true}).parse(found.Hits[0].Cursor)
			if level = n; err != nil {
				t.Fatal(err)
			}
		}
		want := &stock{}
		want.answer(t, v, twin, asked, level)
		filter := func(without marketplace.Field) query.Query {
			list := []query.Query{anyOf(fieldAudience, q.Groups)}
			for _, f := range q.Where {
				if f.Field != without {
					list = append(list, anyOf(keywordField(f.Field), f.Any))
				}
			}
			return query.NewConjunctionQuery(list)
		}
		// The facet of a field leaves out that field's filters: a search each.
		for i, f := range append([]marketplace.Field{""}, fields...) {
			top := collector.NewTopNCollector(100, 0, search.SortOrder{&search.SortScore{Desc: true}, &search.SortDocID{}})
			facets := search.NewFacetsBuilder(v.snapshot)
			if f != "" {
				facets.Add("f", stockfacet.NewTermsFacetBuilder(keywordField(f), 300))
			}
			top.SetFacetsBuilder(facets)
			if err := top.Collect(context.Background(), want.among(t, v, filter(f)), v.snapshot); err != nil {
				t.Fatal(err)
			}
			if f != "" {
				var buckets []marketplace.Bucket
				for _, term := range top.FacetResults()["f"].Terms.Terms() {
					buckets = append(buckets, marketplace.Bucket{Value: term.Term, Count: term.Count})
				}
				slices.SortFunc(buckets, func(a, b marketplace.Bucket) int {
					return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
				})
				if !slices.Equal(found.Facets[i-1].Buckets, buckets) {
					t.Fatalf("%+v: %s: got %v, want %v", q, f, found.Facets[i-1].Buckets, buckets)
				}
				continue
			}
			if found.Total != int(top.Total()) || len(found.Hits) != min(100, found.Total) {
				t.Fatalf("%+v: got %d, want %d", q, found.Total, top.Total())
			}
			matches += found.Total
			scores := map[string]float64{}
			for _, hit := range top.Results() {
				scores[hit.ID] = hit.Score
			}
			for n, hit := range found.Hits {
				if nth := top.Results()[n].Score; math.Abs(hit.Score-nth) > 1e-5*nth {
					t.Fatalf("%+v: hit %d: got %v, want %v", q, n, hit.Score, nth)
				}
				if s, ok := scores[documentID(hit.Kind, hit.ID)]; ok {
					scored++
					if math.Abs(hit.Score-s) > 1e-5*s {
						t.Fatalf("%+v: %s: got %v, want %v", q, hit.ID, hit.Score, s)
					}
				}
			}
		}
	}
	if matches < 3000 || scored < 3000 {
		t.Errorf("too little was compared: %d matches, %d scores", matches, scored)
	}
}
