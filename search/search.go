package search

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strings"

	"citymarket/marketplace"
)

// Bounds of one query, whoever sends it.
const (
	maxSize    = 100
	maxFacets  = 20
	maxBuckets = 300
	maxFilters = 50
	maxValues  = 1000
)

// search answers one query. Where counting is all that is wanted, nothing is
// suggested.
func (v *view) search(ctx context.Context, q *marketplace.FinderQuery, counting bool) (marketplace.Found, error) {
	var found marketplace.Found
	asked, err := v.ask(ctx, q.Text, q.Typing)
	if err != nil {
		return found, err
	}
	text := len(asked.units) > 0
	run := &run{view: v, order: orderOf(q, text), size: min(max(q.Size, 0), maxSize), last: q.Last}
	if q.After != "" {
		if run.after, run.asked, err = run.order.parse(q.After); err != nil {
			return found, err
		}
	}
	if q.Before != "" {
		n := 0
		if run.before, n, err = run.order.parse(q.Before); err != nil {
			return found, err
		}
		run.asked = cmp.Or(run.asked, n)
	}
	sieves, facets, err := v.sieve(q)
	if err != nil {
		return found, err
	}
	run.facets = facets
	if !text {
		// The last documents first: they are mostly the newest, so that the
		// heap of the best seldom changes.
		for i := len(v.segments) - 1; i >= 0; i-- {
			p := &v.segments[i]
			if err := run.enter(p); err != nil {
				return found, err
			}
			for d := int(p.size) - 1; d >= 0; d-- {
				if d%4096 == 0 && ctx.Err() != nil {
					return found, ctx.Err()
				}
				if err := run.count(uint32(d), 0, sieves[i].admit(uint32(d))); err != nil {
					return found, err
				}
			}
			run.leave()
		}
	} else {
		s := newScores(v)
		for i := range asked.units {
			if err := s.addUnit(ctx, v, i, &asked.units[i]); err != nil {
				return found, err
			}
		}
		if run.asked == 0 {
			have := make([]int, maxUnits+1)
			for i := range v.segments {
				base := v.segments[i].base
				for _, d := range s.touched[i] {
					if sieves[i].admit(d-base) == admitted {
						have[s.docs[d].units]++
					}
				}
			}
			run.asked = enough(have, max(asked.asked, 1), asked.sentence())
		}
		for i := range v.segments {
			p := &v.segments[i]
			if err := run.enter(p); err != nil {
				return found, err
			}
			if err := ctx.Err(); err != nil {
				return found, err
			}
			for _, d := range s.touched[i] {
				if int(s.docs[d].units) >= run.asked {
					if err := run.count(d-p.base, s.docs[d].sum, sieves[i].admit(d-p.base)); err != nil {
						return found, err
					}
				}
			}
			run.leave()
		}
		s.release()
	}
	if err := run.found(&found); err != nil {
		return found, err
	}
	if found.Total == 0 && text && !counting && !q.Typing {
		found.Suggestion, err = v.suggest(ctx, q)
	}
	return found, err
}

// What a sieve says of a document; a number from 0 on means that only the
// filters on that field keep it out, which the facet of the field must know.
const (
	admitted = -1
	rejected = -2
)

// A sieve is the filters and the audience of a query in one segment.
type sieve struct {
	deleted  func(uint32) bool
	audience test
	tests    []test
}

// A test is met by documents that have one of the wanted terms of a column.
type test struct {
	*column
	want   []bool // by term; nil: lo and hi bound the terms instead
	lo, hi uint32
	field  int
}

func (t *test) met(doc uint32) bool {
	for _, o := range t.of(doc) {
		if t.want != nil && t.want[o] || t.want == nil && t.lo <= o && o < t.hi {
			return true
		}
	}
	return false
}

func (s *sieve) admit(doc uint32) int {
	if s.deleted(doc) || !s.audience.met(doc) {
		return rejected
	}
	out := admitted
	for i := range s.tests {
		if t := &s.tests[i]; t.field != out && !t.met(doc) {
			if out != admitted {
				return rejected
			}
			out = t.field
		}
	}
	return out
}

func (c *column) any(field int, values []string) test {
	t := test{field: field, column: c, want: make([]bool, len(c.terms))}
	for _, v := range values[:min(len(values), maxValues)] {
		if o, ok := c.find(v); ok {
			t.want[o] = true
		}
	}
	return t
}

func (c *column) between(field int, lo, hi *float64) test {
	t := test{field: field, column: c, hi: uint32(len(c.terms))}
	if lo != nil {
		t.lo, _ = c.find(sortable(*lo))
	}
	if hi != nil {
		o, ok := c.find(sortable(*hi))
		if t.hi = o; ok {
			t.hi++
		}
	}
	return t
}

// sieve makes the sieves of a query, by segment, and its facets.
func (v *view) sieve(q *marketplace.FinderQuery) ([]sieve, []facet, error) {
	groups := make([]string, len(q.Groups))
	for i, g := range q.Groups {
		groups[i] = string(g)
	}
	kinds := make([]string, len(q.Kinds))
	for i, k := range q.Kinds {
		kinds[i] = string(k)
	}
	var fields []marketplace.Field
	where := q.Where[:min(len(q.Where), maxFilters)]
	for _, f := range where {
		if !slices.Contains(fields, f.Field) {
			fields = append(fields, f.Field)
		}
	}
	out := make([]sieve, len(v.segments))
	for i := range v.segments {
		p := &v.segments[i]
		col, err := p.column(fieldAudience)
		if err != nil {
			return nil, nil, err
		}
		out[i] = sieve{deleted: p.deleted(), audience: col.any(rejected, groups)}
		if len(q.Kinds) > 0 {
			col, err := p.column(keywordField(marketplace.FieldKind))
			if err != nil {
				return nil, nil, err
			}
			out[i].tests = append(out[i].tests, col.any(rejected, kinds))
		}
		for _, f := range where {
			field := slices.Index(fields, f.Field)
			if len(f.Any) > 0 {
				col, err := p.column(keywordField(f.Field))
				if err != nil {
					return nil, nil, err
				}
				out[i].tests = append(out[i].tests, col.any(field, f.Any))
			}
			if f.Min != nil || f.Max != nil {
				col, err := p.column(numberField(f.Field))
				if err != nil {
					return nil, nil, err
				}
				out[i].tests = append(out[i].tests, col.between(field, f.Min, f.Max))
			}
		}
	}
	facets := make([]facet, min(len(q.Facets), maxFacets))
	for i := range facets {
		f := q.Facets[i]
		own := slices.Index(fields, f.Field)
		if own < 0 {
			own = rejected
		}
		facets[i] = facet{field: f.Field, size: min(max(f.Size, 1), maxBuckets), own: own, counts: make(map[string]int)}
	}
	return out, facets, nil
}

// A facet counts the values of a field.
type facet struct {
	field  marketplace.Field
	size   int
	own    int // number of the field among the filters'
	column *column
	here   []int // counts of the present segment, by term
	counts map[string]int
}

func (f *facet) buckets() marketplace.Buckets {
	out := marketplace.Buckets{Field: f.field, Buckets: make([]marketplace.Bucket, 0, len(f.counts))}
	for value, n := range f.counts {
		out.Buckets = append(out.Buckets, marketplace.Bucket{Value: value, Count: n})
	}
	slices.SortFunc(out.Buckets, func(a, b marketplace.Bucket) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	out.Buckets = out.Buckets[:min(len(out.Buckets), f.size)]
	return out
}

// A run goes through the matches of a query once: it counts them, their
// values, and keeps the best.
type run struct {
	*view
	order         order
	size          int
	last          bool // the last of the range instead of the first
	asked         int  // units a match must have
	after, before *place

	facets                 []facet
	part                   *part
	keys                   *column
	total, ahead, in, past int     // matches: all, before the range, in it, after it
	best                   []place // a heap, the worst on top
	err                    error   // of a comparison
}

// enter begins a segment.
func (r *run) enter(p *part) (err error) {
	r.part = p
	if r.keys, err = p.column(r.order.field); err != nil {
		return err
	}
	for i := range r.facets {
		f := &r.facets[i]
		if f.column, err = p.column(keywordField(f.field)); err != nil {
			return err
		}
		f.here = append(f.here[:0], make([]int, len(f.column.terms))...)
	}
	return nil
}

// leave ends a segment.
func (r *run) leave() {
	for i := range r.facets {
		f := &r.facets[i]
		for o, n := range f.here {
			if n > 0 {
				f.counts[f.column.terms[o]] += n
			}
		}
	}
}

// count takes a document of the segment with what the sieve says of it.
func (r *run) count(doc uint32, score float32, verdict int) error {
	if verdict == rejected {
		return nil
	}
	for i := range r.facets {
		if f := &r.facets[i]; verdict == admitted || verdict == f.own {
			for _, o := range f.column.of(doc) {
				f.here[o]++
			}
		}
	}
	if verdict != admitted {
		return nil
	}
	r.total++
	p := place{score: score, doc: doc, part: r.part}
	var ok bool
	if p.key, ok = r.keys.first(doc); !ok {
		p.key = missing
	}
	if r.after != nil {
		if c, err := r.order.compare(&p, r.after); err != nil {
			return err
		} else if c <= 0 {
			r.ahead++
			return nil
		}
	}
	if r.before != nil {
		if c, err := r.order.compare(&p, r.before); err != nil {
			return err
		} else if c >= 0 {
			r.past++
			return nil
		}
	}
	r.in++
	if r.size == 0 {
		return nil
	}
	if len(r.best) < r.size {
		heap.Push(r, p)
	} else if r.worse(&r.best[0], &p) {
		r.best[0] = p
		heap.Fix(r, 0)
	}
	return r.err
}

// worse says whether a is to go rather than b.
func (r *run) worse(a, b *place) bool {
	c, err := r.order.compare(a, b)
	if err != nil {
		r.err = err
	}
	return (c > 0) != r.last && c != 0
}

func (r *run) Len() int           { return len(r.best) }
func (r *run) Less(i, j int) bool { return r.worse(&r.best[i], &r.best[j]) }
func (r *run) Swap(i, j int)      { r.best[i], r.best[j] = r.best[j], r.best[i] }
func (r *run) Push(x any)         { r.best = append(r.best, x.(place)) }
func (r *run) Pop() any           { panic("search: the heap never shrinks") }

// found writes the answer.
func (r *run) found(out *marketplace.Found) error {
	out.Total = r.total
	slices.SortFunc(r.best, func(a, b place) int {
		c, err := r.order.compare(&a, &b)
		if err != nil {
			r.err = err
		}
		return c
	})
	out.Hits = make([]marketplace.Hit, len(r.best))
	for i := range r.best {
		p := &r.best[i]
		if err := p.identify(); err != nil {
			return err
		}
		kind, id, _ := strings.Cut(p.id, "/")
		out.Hits[i] = marketplace.Hit{Kind: marketplace.Kind(kind), ID: id, Score: float64(p.score), Cursor: r.order.cursor(p, r.asked)}
	}
	out.HasPrev = r.ahead > 0 || r.last && r.in > len(r.best)
	out.HasNext = r.past > 0 || !r.last && r.in > len(r.best)
	for i := range r.facets {
		out.Facets = append(out.Facets, r.facets[i].buckets())
	}
	return r.err
}
