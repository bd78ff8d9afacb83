package search

import (
	"context"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"citymarket/marketplace"
)

// A view is a snapshot of the index and what one query needs to read it. All
// queries of a call see the same snapshot, so that totals, facets and pages
// agree.
type view struct {
	snapshot *scorch.IndexSnapshot
	cache    *columnCache
	segments []part
	ids      []uint64 // of the segments
	docs     int      // numbers of documents, deleted ones included
	live     int
	average  map[string]float64 // terms of a field, over the entries that have it
}

// fork returns a view of the same snapshot for another goroutine.
func (v *view) fork() *view {
	out := *v
	out.segments = make([]part, len(v.segments))
	for i, p := range v.segments {
		p.dictionaries = nil
		out.segments[i] = p
	}
	return &out
}

// A part is one segment of a view.
type part struct {
	*scorch.SegmentSnapshot
	*columns
	size         uint32
	dead         []uint64 // deleted documents, nil: none
	dictionaries map[string]segment.TermDictionary
}

// dictionary opens the terms of a field once for a query.
func (p *part) dictionary(field string) (segment.TermDictionary, error) {
	if d, ok := p.dictionaries[field]; ok {
		return d, nil
	}
	d, err := p.Segment().Dictionary(field)
	if err != nil {
		return nil, err
	}
	if p.dictionaries == nil {
		p.dictionaries = make(map[string]segment.TermDictionary)
	}
	p.dictionaries[field] = d
	return d, nil
}

// A termKey names a term of a field.
type termKey struct{ field, term string }

// A list holds the documents of a segment in which a term stands at least
// steps[0] times, steps[1] times, and so on; it is as short as it can be. The
// bitmaps lie in the segment's file and must not be changed.
type list []*roaring.Bitmap

// A kept holds the lists of a term in some segments. It never changes.
type kept struct {
	segments []uint64 // ids
	lists    []list
}

// keepLists is how many lists are kept, since finding one in a segment takes
// 1 us. When so many were found, all become old; what is asked for again
// before that happens a second time is young again, the rest goes. One is some
// 200 bytes.
const keepLists = 100_000

// lists returns the lists of a term by segment, those of deleted documents
// included.
func (v *view) lists(key termKey) ([]list, error) {
	c := v.cache
	c.mu.Lock()
	have, ok := c.terms[key]
	if !ok {
		have = c.formerly[key]
	}
	c.mu.Unlock()
	if ok && slices.Equal(have.segments, v.ids) {
		return have.lists, nil
	}
	now := kept{segments: v.ids, lists: make([]list, len(v.ids))}
	for i, id := range v.ids {
		if n := slices.Index(have.segments, id); n >= 0 {
			now.lists[i] = have.lists[n]
			continue
		}
		var err error
		if now.lists[i], err = v.segments[i].list(key); err != nil {
			return nil, err
		}
	}
	key.term = strings.Clone(key.term) // of the query's text
	c.mu.Lock()
	defer c.mu.Unlock()
	c.terms[key] = now
	if c.found += len(v.ids); c.found >= keepLists {
		c.found = 0
		c.terms, c.formerly = make(map[termKey]kept), c.terms
	}
	return now.lists, nil
}

// list finds a term in one segment.
func (p *part) list(key termKey) (list, error) {
	dict, err := p.dictionary(key.field)
	if err != nil {
		return nil, err
	}
	var out list
	for step := range steps {
		if step > 0 && !stepped(key.field) {
			break
		}
		found, err := dict.PostingsList([]byte(stepMark(step)+key.term), nil, nil)
		if err != nil || found.Count() == 0 {
			return out, err
		}
		out = append(out, bitmapOf(found))
	}
	return out, nil
}

// bitmapOf is what is in a list, without reading it posting by posting.
func bitmapOf(found segment.PostingsList) *roaring.Bitmap {
	it, ok := found.Iterator(false, false, false, nil).(segment.OptimizablePostingsIterator)
	if !ok {
		return nil
	}
	if doc, ok := it.DocNum1Hit(); ok {
		return roaring.BitmapOf(uint32(doc))
	}
	return it.ActualBitmap()
}

// BM25's constants: k1 and b as measured best over 20 judged collections.
const (
	bm25K = 1.2
	bm25B = 0.5
)

// A clause is one term in one field.
type clause struct {
	field  string
	term   string
	weight float64
	df     int
	lists  []list // by segment
}

// look finds the clause's lists; its df is 0 when no document has the term.
func (v *view) look(c clause) (clause, error) {
	var err error
	c.lists, err = v.lists(termKey{c.field, c.term})
	for i, l := range c.lists {
		if len(l) > 0 {
			c.df += int(l[0].GetCardinality())
			if deleted := v.segments[i].Deleted(); deleted != nil {
				c.df -= int(l[0].AndCardinality(deleted))
			}
		}
	}
	return c, err
}

// count is how many documents have a term.
func (v *view) count(field, term string) (n int, err error) {
	for i := range v.segments {
		p := &v.segments[i]
		dict, err := p.dictionary(field)
		if err != nil {
			return 0, err
		}
		list, err := dict.PostingsList([]byte(term), p.Deleted(), nil)
		if err != nil {
			return 0, err
		}
		n += int(list.Count())
	}
	return n, nil
}

// A unit is something of the query that a document has or has not: a word in
// all its forms, or a bigram. Of a group only the best clause counts (a word
// in three languages is not three words); the groups are summed.
type unit struct {
	groups   [][]clause
	bonus    bool                 // adds to the score, but is not asked for
	weak     bool                 // made of a weak word
	language marketplace.Language // of the text that it stands in, where it is one that others should be like
}

// A scorer finds the documents of a segment that have enough of what was
// asked, and scores those for which that is wanted.
type scorer struct {
	// How many units each document has, as binary numbers upright: the bits
	// of the documents 64w to 64w+63 are planes[w*digits] (the ones),
	// planes[w*digits+1] (the twos) and so on.
	planes []uint64
	digits int

	bits   []uint64  // of a unit's documents
	wanted []uint64  // of the documents to be scored; zero outside of score
	list   []uint64  // of one list
	sum    []float32 // by document; zero outside of score
	best   []float32 // of a group's clauses; zero outside of score
	group  []uint32
	found  []uint32
	each   roaring.IntIterator
}

var scorers = sync.Pool{New: func() any { return new(scorer) }}

// reset makes room for a segment.
func (s *scorer) reset(size uint32) (words int) {
	words = int(size+63) / 64
	if len(s.bits) < words {
		s.bits, s.wanted, s.list = make([]uint64, words), make([]uint64, words), make([]uint64, words)
		s.sum, s.best = make([]float32, 64*words), make([]float32, 64*words)
	}
	return words
}

// count counts the units that were asked for in the documents of a part.
func (s *scorer) count(v *view, part int, q *question) {
	words := s.reset(v.segments[part].size)
	s.digits = bits.Len(uint(q.asked))
	if need := words * s.digits; cap(s.planes) < need {
		s.planes = make([]uint64, need)
	} else {
		s.planes = s.planes[:need]
		clear(s.planes)
	}
	for i := range q.units {
		if q.units[i].bonus {
			continue
		}
		clear(s.bits[:words])
		for _, group := range q.units[i].groups {
			for _, c := range group {
				if l := c.lists[part]; len(l) > 0 {
					s.or(l[0], words)
				}
			}
		}
		for w, carry := range s.bits[:words] {
			for at := w * s.digits; carry != 0; at++ {
				s.planes[at], carry = s.planes[at]^carry, s.planes[at]&carry
			}
		}
	}
}

// few says whether a list is so short that it is cheaper to go from document
// to document than from word to word of a segment's bits.
func few(l *roaring.Bitmap, words int) bool { return l.GetCardinality() < uint64(words/4) }

// or sets the bits of a list's documents.
func (s *scorer) or(l *roaring.Bitmap, words int) {
	if few(l, words) {
		for s.each.Initialize(l); s.each.HasNext(); {
			d := s.each.Next()
			s.bits[d/64] |= 1 << (d % 64)
		}
		return
	}
	for w, b := range s.dense(l, words) {
		s.bits[w] |= b
	}
}

// and returns the documents of a list that are wanted.
func (s *scorer) and(l *roaring.Bitmap, words int, wanted []uint32) []uint32 {
	s.found = s.found[:0]
	if rare := l.GetCardinality(); rare < uint64(16*words) && uint64(16*len(wanted)) < rare {
		for _, d := range wanted {
			if l.Contains(d) {
				s.found = append(s.found, d)
			}
		}
		return s.found
	}
	if few(l, words) {
		for s.each.Initialize(l); s.each.HasNext(); {
			if d := s.each.Next(); has(s.wanted, d) {
				s.found = append(s.found, d)
			}
		}
		return s.found
	}
	for w, b := range s.dense(l, words) {
		for b &= s.wanted[w]; b != 0; b &= b - 1 {
			s.found = append(s.found, uint32(64*w+bits.TrailingZeros64(b)))
		}
	}
	return s.found
}

func (s *scorer) dense(l *roaring.Bitmap, words int) []uint64 {
	clear(s.list[:words])
	l.WriteDenseTo(s.list[:words])
	return s.list[:words]
}

// exactly returns those of the documents 64w to 64w+63 that have n units.
func (s *scorer) exactly(n, w int) uint64 {
	out := ^uint64(0)
	for digit, plane := range s.planes[w*s.digits : (w+1)*s.digits] {
		if n>>digit&1 == 0 {
			plane = ^plane
		}
		out &= plane
	}
	return out
}

// score returns what the units give each of some documents of a part.
func (s *scorer) score(ctx context.Context, v *view, part int, units []unit, docs []uint32, out []float32) ([]float32, error) {
	words := s.reset(v.segments[part].size)
	for _, d := range docs {
		s.wanted[d/64] |= 1 << (d % 64)
	}
	for i := range units {
		if err := ctx.Err(); err != nil {
			return nil, err // and the scorer is not used again
		}
		for _, group := range units[i].groups {
			if err := s.add(v, part, words, docs, group); err != nil {
				return nil, err
			}
		}
	}
	out = out[:0]
	for _, d := range docs {
		out = append(out, s.sum[d])
		s.sum[d] = 0
		s.wanted[d/64] = 0
	}
	return out, nil
}

// add adds the best of a group's clauses to the sums of the wanted documents.
func (s *scorer) add(v *view, part, words int, docs []uint32, group []clause) error {
	lists := 0
	for i := range group {
		lists += len(group[i].lists[part])
	}
	for i := range group {
		c := &group[i]
		if len(c.lists[part]) == 0 || c.weight == 0 {
			continue
		}
		lengths, err := v.segments[part].lengths(c.field)
		if err != nil {
			return err
		}
		counted := len(lengths.of) > 1 // else the field has no lengths
		idf := v.idf(c.df)             // never zero, so that a best of zero means not met yet
		top, flat, slope := float32(c.weight*idf*(bm25K+1)), float32(bm25K*(1-bm25B)), float32(bm25K*bm25B/max(v.average[c.field], 1))
		for step, l := range c.lists[part] {
			tf := float32(steps[step])
			for _, d := range s.and(l, words, docs) {
				x := top / (1 + bm25K)
				if counted {
					x = top * tf / (tf + flat + slope*lengths.of[lengths.set(d)])
				}
				if lists == 1 {
					s.sum[d] += x
					continue
				}
				if s.best[d] == 0 {
					s.group = append(s.group, d)
				}
				s.best[d] = max(s.best[d], x)
			}
		}
	}
	for _, d := range s.group {
		s.sum[d] += s.best[d]
		s.best[d] = 0
	}
	s.group = s.group[:0]
	return nil
}
