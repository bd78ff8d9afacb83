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
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	asked, err := v.ask(limited, q.Text, q.Typing)
	if err != nil {
		return found, err
	}
	text := len(asked.units) > 0
	r := &run{view: v, order: orderOf(q, text), size: min(max(q.Size, 0), maxSize), last: q.Last, working: workings.Get().(*working)}
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
	asked         int  // units a match must have; 0: not decided
	after, before *place

	facets                 []facet
	stages                 []stage
	total, ahead, in, past int // matches: all, before the range, in it, after it

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

// What the tests say of a document; a number from 0 on means that only the
// filters on that field keep it out, which the facet of the field must know.
const (
	admitted = -1
	rejected = -2
)

// A test is met by documents that have one of some terms, or a number within
// bounds.
type test struct {
	field   int
	column  *column
	sets    []bool // by set of the column
	numbers []uint64
	lo, hi  uint64
}

// met says whether a document meets the test.
func (t *test) met(doc uint32) bool {
	switch c := t.column; {
	case c == nil:
		return t.numbers != nil && t.lo <= t.numbers[doc] && t.numbers[doc] <= t.hi
	case c.narrow != nil:
		return t.sets[c.narrow[doc]]
	case c.middle != nil:
		return t.sets[c.middle[doc]]
	default:
		return c.wide != nil && t.sets[c.wide[doc]]
	}
}

// filter leaves the documents that meet the test of a narrow column: that is
// what the audience's nearly always is, and every document goes through it.
func (t *test) filter(docs []uint32) []uint32 {
	n, sets, narrow := 0, t.sets, t.column.narrow
	for _, d := range docs {
		docs[n] = d
		if sets[narrow[d]] {
			n++
		}
	}
	return docs[:n]
}

// verdict says what the tests of fields say of a document.
func (s *stage) verdict(doc uint32) int {
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

func values[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func (s *stage) among(field string, terms []string) error {
	c, err := s.part.column(field)
	if err != nil {
		return err
	}
	s.tests = append(s.tests, test{column: c, sets: c.having(terms)})
	return nil
}

func (s *stage) between(f marketplace.Filter) error {
	numbers, err := s.part.numbers(numberField(f.Field))
	if err != nil {
		return err
	}
	t := test{numbers: numbers, hi: missing - 1}
	if f.Min != nil {
		t.lo = ordinal(*f.Min)
	}
	if f.Max != nil {
		t.hi = ordinal(*f.Max)
	}
	s.tests = append(s.tests, t)
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

// sift drops the documents that must not be counted, and puts aside those
// that only a facet must know of.
func (r *run) sift(s *stage) {
	for i := range r.fields {
		r.nearly[i] = r.nearly[i][:0]
	}
	all := s.all
	for len(all) > 0 && all[0].column.narrow != nil {
		r.batch, all = all[0].filter(r.batch), all[1:]
	}
	if len(all)+len(s.tests) == 0 {
		return
	}
	n := 0
next:
	for _, d := range r.batch {
		for j := range all {
			if !all[j].met(d) {
				continue next
			}
		}
		switch v := s.verdict(d); v {
		case admitted:
			r.batch[n] = d
			n++
		case rejected:
		default:
			r.nearly[v] = append(r.nearly[v], d)
		}
	}
	r.batch = r.batch[:n]
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

// sieve keeps the best of a batch that is not sorted by scores. The more were
// seen, the seldomer the worst of the best changes.
func (r *run) sieve(s *stage) error {
	for docs, n := r.batch, 64; len(docs) > 0; n *= 2 {
		n = min(n, len(docs))
		if err := r.choose(s, r.hopeful(s, docs[:n]), nil); err != nil {
			return err
		}
		docs = docs[n:]
	}
	return nil
}

// hopeful leaves the documents that may be among the best, and counts the
// others: 1 ns each, where the heap takes 5.
func (r *run) hopeful(s *stage, docs []uint32) []uint32 {
	first, last := uint64(0), uint64(missing) // keys of the range
	if s.after != nil {
		first = s.after.key
	}
	if s.before != nil {
		last = s.before.key
	}
	from, to := first, last // keys that are no worse than the worst
	if r.size > 0 && len(s.best) == r.size {
		if r.last {
			from = max(first, s.best[0].key)
		} else {
			to = min(last, s.best[0].key)
		}
	}
	n, ahead, in, past := 0, 0, 0, 0
	keys := s.keys
	for _, d := range docs {
		switch key := keys.of(d); {
		case from <= key && key <= to:
			docs[n] = d
			n++
		case key < first:
			ahead++
		case key > last:
			past++
		default:
			in++
		}
	}
	r.ahead, r.in, r.past = r.ahead+ahead, r.in+in, r.past+past
	return docs[:n]
}

// choose keeps the best of some documents, which have scores or all have none.
func (r *run) choose(s *stage, docs []uint32, scores []float32) error {
	var score float32
	for i, d := range docs {
		if len(scores) > 0 {
			score = scores[i]
		}
		key := s.keys.of(d)
		if r.after != nil || r.before != nil {
			if in, err := r.within(s, score, key, d); err != nil {
				return err
			} else if !in {
				continue
			}
		}
		r.in++
		if len(s.best) == r.size && (r.size == 0 || r.hopeless(&s.best[0], score, key)) {
			continue
		}
		if err := r.keep(s, place{score: score, key: key, doc: d, part: s.part}); err != nil {
			return err
		}
	}
	return nil
}

// within says whether a match lies between the cursors, and counts it where
// it does not.
func (r *run) within(s *stage, score float32, key uint64, doc uint32) (bool, error) {
	if s.after != nil {
		if c, err := s.after.compare(score, key, doc); err != nil {
			return false, err
		} else if c <= 0 {
			r.ahead++
			return false, nil
		}
	}
	if s.before != nil {
		if c, err := s.before.compare(score, key, doc); err != nil {
			return false, err
		} else if c >= 0 {
			r.past++
			return false, nil
		}
	}
	return true, nil
}

// hopeless says whether a match is surely no better than the worst of the
// best, at no cost.
func (r *run) hopeless(worst *place, score float32, key uint64) bool {
	if r.order.scored && score != worst.score {
		return (score < worst.score) != r.last
	}
	return key != worst.key && (key > worst.key) != r.last
}

// keep takes a match among the best if it is one of them.
func (r *run) keep(s *stage, p place) error {
	if len(s.best) < r.size {
		s.best = append(slices.Grow(s.best, r.size-len(s.best)), p)
		return r.up(s.best)
	}
	if worse, err := r.worse(&s.best[0], &p); err != nil || !worse {
		return err
	}
	s.best[0] = p
	return r.down(s.best)
}

// worse says whether a is to go rather than b.
func (r *run) worse(a, b *place) (bool, error) {
	c, err := r.order.compare(a, b)
	return (c > 0) != r.last && c != 0, err
}

// up and down put the last, or the first, of a heap in its place.
func (r *run) up(heap []place) error {
	for i := len(heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if worse, err := r.worse(&heap[i], &heap[parent]); err != nil || !worse {
			return err
		}
		heap[i], heap[parent] = heap[parent], heap[i]
		i = parent
	}
	return nil
}

func (r *run) down(heap []place) error {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(heap) {
			return nil
		}
		if child+1 < len(heap) {
			if worse, err := r.worse(&heap[child+1], &heap[child]); err != nil {
				return err
			} else if worse {
				child++
			}
		}
		if worse, err := r.worse(&heap[child], &heap[i]); err != nil || !worse {
			return err
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
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
	out.Hits = make([]marketplace.Hit, len(best))
	for i, p := range best {
		if err := p.identify(); err != nil {
			return err
		}
		cursor, err := r.order.cursor(p, r.asked)
		if err != nil {
			return err
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

// merge returns the best of all segments, from where the page begins. Of
// names it reads no more than there are segments and hits.
func (r *run) merge() ([]*place, error) {
	var err error
	for i := range r.stages {
		list := r.stages[i].best
		slices.SortFunc(list, func(a, b place) int {
			c, e := r.order.compare(&a, &b)
			if err = cmp.Or(err, e); r.last {
				return -c
			}
			return c
		})
	}
	out := make([]*place, 0, min(r.size, r.in))
	for err == nil && len(out) < r.size {
		var next *stage
		for i := range r.stages {
			s := &r.stages[i]
			if len(s.best) == 0 {
				continue
			}
			if next != nil {
				worse, e := r.worse(&next.best[0], &s.best[0])
				if err = cmp.Or(err, e); !worse {
					continue
				}
			}
			next = s
		}
		if next == nil {
			break
		}
		out = append(out, &next.best[0])
		next.best = next.best[1:]
	}
	return out, err
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
