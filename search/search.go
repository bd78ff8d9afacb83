package search

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"citymarket/marketplace"
)

// Bounds of one query, whoever sends it.
const (
	maxSize    = marketplace.MaxHits
	maxFacets  = 20
	maxBuckets = 300
	maxFilters = 50
	maxValues  = 1000
)

// search answers one query. Where counting is all that is wanted, nothing is
// suggested.
func (v *view) search(ctx context.Context, q *marketplace.FinderQuery, counting bool) (marketplace.Found, error) {
	var found marketplace.Found
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	asked, err := v.ask(limited, q.Text, q.Typing)
	if err != nil {
		return found, err
	}
	if len(q.Like) > 0 {
		if err := v.askLike(limited, asked, q.Like); err != nil {
			return found, err
		}
		counting = true
	}
	like := asked.units
	if err := v.prefer(asked, q.Prefer); err != nil {
		return found, err
	}
	text := len(asked.units) > 0
	counting = counting || q.AllWords
	r := &run{view: v, order: orderOf(q, text), size: min(max(q.Size, 0), maxSize), last: q.Last, single: len(q.Like) > 0, working: workings.Get().(*working)}
	if q.AllWords {
		r.asked = asked.all()
	}
	if q.After != "" {
		if r.after, r.asked, err = r.order.parse(q.After); err != nil {
			return found, err
		}
	}
	if q.Before != "" {
		n := 0
		if r.before, n, err = r.order.parse(q.Before); err != nil {
			return found, err
		}
		r.asked = cmp.Or(r.asked, n)
	}
	if err := r.prepare(q); err != nil {
		return found, err
	}
	ctx, cancel = context.WithTimeout(ctx, maxTime)
	defer cancel()
	if text {
		err = r.scored(ctx, asked)
	} else {
		err = r.everything(ctx)
	}
	if err == nil {
		err = r.found(&found)
		workings.Put(r.working)
	}
	if err == nil && len(q.Keywords)+len(q.Numbers) > 0 {
		err = r.describe(ctx, q, like, asked.reference(v, like), found.Hits)
	}
	if err == nil && found.Total == 0 && text && !counting && !q.Typing {
		found.Suggestion, err = v.suggest(ctx, q)
	}
	return found, err
}

// A run goes through the matches of a query once: it counts them, their
// values, and keeps the best.
type run struct {
	*view
	order         order
	size          int
	fields        int  // that have filters
	last          bool // the last of the range instead of the first
	single        bool // there is but one page, without cursors
	asked         int  // units a match must have; 0: not decided
	after, before *place

	facets                 []facet
	stages                 []stage
	best                   []*place // the page
	total, ahead, in, past int      // matches: all, before the range, in it, after it

	*working
}

// A working holds what a run knows of the documents it looks at now.
type working struct {
	batch  []uint32
	scores []float32
	nearly [maxFilters][]uint32 // by field: those that only its filters keep out
	buffer []uint32             // zeros
}

var workings = sync.Pool{New: func() any { return new(working) }}

// A facet counts the values of a field.
type facet struct {
	field marketplace.Field
	size  int
	own   int // number of the field among the filters', or rejected

	terms  []string // of all segments
	counts []int    // by term
}

// A stage is what a run needs and has of one segment.
type stage struct {
	*part
	keys
	all           []test // that every document counted anywhere meets: the audience, the kinds
	tests         []test // of fields
	after, before *bound
	columns       []*column // by facet
	matches       []uint32  // those to be scored
	best          []place   // a heap, the worst on top
}

// prepare makes the stages of a query and its facets.
func (r *run) prepare(q *marketplace.FinderQuery) error {
	var fields []marketplace.Field
	where := q.Where[:min(len(q.Where), maxFilters)]
	for _, f := range where {
		if !slices.Contains(fields, f.Field) {
			fields = append(fields, f.Field)
		}
	}
	r.fields = len(fields)
	r.facets = make([]facet, min(len(q.Facets), maxFacets))
	for i := range r.facets {
		f := q.Facets[i]
		own := slices.Index(fields, f.Field)
		if own < 0 {
			own = rejected
		}
		r.facets[i] = facet{field: f.Field, size: min(max(f.Size, 1), maxBuckets), own: own}
	}
	r.stages = make([]stage, len(r.segments))
	for i := range r.stages {
		s := &r.stages[i]
		s.part = &r.segments[i]
		if err := s.among(fieldAudience, values(q.Groups)); err != nil {
			return err
		}
		if len(q.Kinds) > 0 {
			if err := s.among(keywordField(marketplace.FieldKind), values(q.Kinds)); err != nil {
				return err
			}
		}
		s.all, s.tests = s.tests, nil
		for _, f := range where {
			field := slices.Index(fields, f.Field)
			if len(f.Any) > 0 {
				if err := s.among(keywordField(f.Field), f.Any[:min(len(f.Any), maxValues)]); err != nil {
					return err
				}
				s.tests[len(s.tests)-1].field = field
			}
			if f.Min != nil || f.Max != nil {
				if err := s.between(f); err != nil {
					return err
				}
				s.tests[len(s.tests)-1].field = field
			}
		}
		var err error
		if s.keys, err = r.order.keys(s.part); err != nil {
			return err
		}
		if s.after, err = r.order.bound(s.part, r.after); err != nil {
			return err
		}
		if s.before, err = r.order.bound(s.part, r.before); err != nil {
			return err
		}
		for _, f := range r.facets {
			c, err := s.part.column(keywordField(f.field))
			if err != nil {
				return err
			}
			s.columns = append(s.columns, c)
		}
	}
	for i := range r.facets {
		f := &r.facets[i]
		f.terms = r.cache.all(keywordField(f.field))
		f.counts = make([]int, len(f.terms))
	}
	return nil
}

// block is how many documents are looked at together.
const block = 1 << 16

// everything takes all documents, the last ones first: they are mostly the
// newest, so that the heap of the best seldom changes.
func (r *run) everything(ctx context.Context) error {
	for i := len(r.stages) - 1; i >= 0; i-- {
		s := &r.stages[i]
		for end := s.size; end > 0; {
			if err := ctx.Err(); err != nil {
				return err
			}
			from := end - min(end, block)
			r.batch = slices.Grow(r.batch[:0], block)[:end-from]
			for i := range r.batch {
				r.batch[i] = end - 1 - uint32(i)
			}
			if s.dead != nil {
				r.batch = slices.DeleteFunc(r.batch, func(d uint32) bool { return has(s.dead, d) })
			}
			r.sift(s)
			r.tally(s)
			if err := r.sieve(s); err != nil {
				return err
			}
			end = from
		}
	}
	return nil
}

// scored takes the documents that have enough of what was asked: first those
// that have all of it, then those that have less.
func (r *run) scored(ctx context.Context, q *question) error {
	finders := make([]*scorer, len(r.stages))
	for i := range r.stages {
		if err := ctx.Err(); err != nil {
			return err
		}
		finders[i] = scorers.Get().(*scorer)
		finders[i].count(r.view, i, q)
	}
	enough := enough{sentence: q.sentence}
	lowest := r.asked
	for n := q.asked; n >= max(lowest, 1); n-- {
		if lowest == 0 && !enough.more(r.total) {
			break
		}
		r.asked = n
		for i := range r.stages {
			s := &r.stages[i]
			r.batch = r.batch[:0]
			for w := range (s.size + 63) / 64 {
				have := finders[i].exactly(n, int(w))
				if s.dead != nil {
					have &^= s.dead[w]
				}
				for ; have != 0; have &= have - 1 {
					r.batch = append(r.batch, 64*w+uint32(bits.TrailingZeros64(have)))
				}
			}
			if len(r.batch) == 0 {
				continue
			}
			r.sift(s)
			r.tally(s)
			if r.order.scored {
				s.matches = append(s.matches, r.batch...)
			} else if err := r.sieve(s); err != nil {
				return err
			}
		}
	}
	for i := range r.stages {
		s := &r.stages[i]
		if err := r.rank(ctx, s, finders[i], i, q.units); err != nil {
			return err
		}
		scorers.Put(finders[i])
	}
	return nil
}

// rank scores the matches of a segment and keeps the best; where they are
// sorted by something else, it scores those that were kept.
func (r *run) rank(ctx context.Context, s *stage, finder *scorer, part int, units []unit) (err error) {
	if !r.order.scored {
		slices.SortFunc(s.best, func(a, b place) int { return cmp.Compare(a.doc, b.doc) })
		for _, p := range s.best {
			s.matches = append(s.matches, p.doc)
		}
	}
	r.scores = r.scores[:0]
	if r.size > 0 {
		if r.scores, err = finder.score(ctx, r.view, part, units, s.matches, r.scores); err != nil {
			return err
		}
	}
	if r.order.scored {
		return r.choose(s, s.matches, r.scores)
	}
	for i := range s.best {
		s.best[i].score = r.scores[i]
	}
	return nil
}

// tally counts the sifted batch of a segment.
func (r *run) tally(s *stage) {
	r.total += len(r.batch)
	for i := range r.facets {
		f := &r.facets[i]
		s.columns[i].count(r.batch, f.counts, &r.buffer)
		if f.own != rejected {
			s.columns[i].count(r.nearly[f.own], f.counts, &r.buffer)
		}
	}
}

// found writes the answer.
func (r *run) found(out *marketplace.Found) error {
	out.Total = r.total
	best, err := r.merge()
	if err != nil {
		return err
	}
	if r.last {
		slices.Reverse(best)
	}
	r.best = best
	out.Hits = make([]marketplace.Hit, len(best))
	for i, p := range best {
		if err := p.identify(); err != nil {
			return err
		}
		cursor := ""
		if !r.single {
			if cursor, err = r.order.cursor(p, r.asked); err != nil {
				return err
			}
		}
		kind, id, _ := strings.Cut(p.id, "/")
		out.Hits[i] = marketplace.Hit{Kind: marketplace.Kind(kind), ID: id, Score: float64(p.score), Cursor: cursor}
	}
	out.HasPrev = r.ahead > 0 || r.last && r.in > len(best)
	out.HasNext = r.past > 0 || !r.last && r.in > len(best)
	for i := range r.facets {
		out.Facets = append(out.Facets, r.facets[i].buckets())
	}
	return nil
}

// buckets lists the largest counts of a facet.
func (f *facet) buckets() marketplace.Buckets {
	out := make([]marketplace.Bucket, 0, f.size)
	larger := func(a, b marketplace.Bucket) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	}
	for t, n := range f.counts {
		b := marketplace.Bucket{Value: f.terms[t], Count: n}
		if n == 0 || len(out) == f.size && larger(out[f.size-1], b) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(out, b, larger)
		out = slices.Insert(out[:min(len(out), f.size-1)], at, b)
	}
	return marketplace.Buckets{Field: f.field, Buckets: out}
}
