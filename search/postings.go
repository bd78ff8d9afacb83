package search

import (
	"context"
	"math"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// A view is a snapshot of the index and what one query needs to read it. All
// queries of a call see the same snapshot, so that totals, facets and pages
// agree.
type view struct {
	snapshot *scorch.IndexSnapshot
	segments []part
	docs     int // numbers of documents, deleted ones included
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
	base         uint32 // number of its first document in the view
	size         uint32
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

// A posting says how often a term stands in a document, and of how many terms
// the field is there.
type posting struct {
	doc       uint32
	tf, terms uint16
}

type listKey struct{ field, term string }

// Lists that were read are kept, since reading one from a segment takes 45 ns
// a posting and going through it 3 ns. When maxPostings have been kept, all
// become old; what is asked for again before that happens a second time is
// young again, the rest goes. So at most twice as many are held (64 MB).
const (
	maxPostings = 4 << 20
	minPostings = 32 // below that reading costs next to nothing
)

// kept returns a list if it is there, and whether it is.
func (p *part) kept(key listKey) ([]posting, bool) {
	p.mu.Lock()
	list, ok := p.lists[key]
	old := false
	if !ok {
		if list, old = p.formerly[key]; old {
			p.lists[key] = list
			delete(p.formerly, key)
		}
	}
	p.mu.Unlock()
	if old {
		p.cache.age(len(list))
	}
	return list, ok || old
}

// list returns the postings of a term, those of deleted documents included.
func (p *part) list(field, term string) ([]posting, error) {
	key := listKey{field, term}
	if list, ok := p.kept(key); ok {
		return list, nil
	}
	dict, err := p.dictionary(field)
	if err != nil {
		return nil, err
	}
	found, err := dict.PostingsList([]byte(term), nil, nil)
	if err != nil {
		return nil, err
	}
	list := make([]posting, 0, found.Count())
	it := found.Iterator(true, true, false, nil)
	for e, err := it.Next(); e != nil || err != nil; e, err = it.Next() {
		if err != nil {
			return nil, err
		}
		norm := e.Norm() // one through the root of the number of terms
		list = append(list, posting{uint32(e.Number()), uint16(min(e.Frequency(), math.MaxUint16)), uint16(min(1/(norm*norm)+0.5, math.MaxUint16))})
	}
	if len(list) >= minPostings {
		p.mu.Lock()
		p.lists[listKey{field, strings.Clone(term)}] = list
		p.mu.Unlock()
		p.cache.age(len(list))
	}
	return list, nil
}

// age counts postings that were kept and lets lists grow old.
func (c *columnCache) age(postings int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.postings += postings; c.postings < maxPostings {
		return
	}
	c.postings = 0
	for _, s := range c.segments {
		s.mu.Lock()
		s.lists, s.formerly = make(map[listKey][]posting), s.lists
		s.mu.Unlock()
	}
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
	in     []bool // by segment
}

// look counts the documents that have the clause's term; its df is 0 when
// none has.
func (v *view) look(c clause) (clause, error) {
	c.in = make([]bool, len(v.segments))
	for i := range v.segments {
		n, err := v.segments[i].count(c.field, c.term)
		if err != nil {
			return c, err
		}
		c.in[i] = n > 0
		c.df += n
	}
	return c, nil
}

// count is how many documents have a term, without deleted ones.
func (p *part) count(field, term string) (int, error) {
	dead := p.dying()
	if list, ok := p.kept(listKey{field, term}); ok {
		n := len(list)
		if dead != nil {
			for i := range list {
				if has(dead, list[i].doc) {
					n--
				}
			}
		}
		return n, nil
	}
	dict, err := p.dictionary(field)
	if err != nil {
		return 0, err
	}
	var except *roaring.Bitmap
	if dead != nil {
		except = p.Deleted()
	}
	list, err := dict.PostingsList([]byte(term), except, nil)
	if err != nil {
		return 0, err
	}
	return int(list.Count()), nil
}

// A unit is something of the query that a document has or has not: a word in
// all its forms, or a bigram. Of a group only the best clause counts (a word
// in three languages is not three words); the groups are summed.
type unit struct {
	groups [][]clause
	bonus  bool // adds to the score, but is not asked for
	weak   bool // made of a weak word
	size   int  // 2 for a word, 1 for a bigram
}

// A match is a document of a segment with its score.
type match struct {
	doc   uint32
	score float32
}

// scores sum up what a query's units give the documents of one segment after
// the other. Between two segments docs and best are zero.
type scores struct {
	docs    []score
	best    []float32 // of the group's clauses
	touched []uint32  // documents that have anything
	group   []uint32  // documents that have anything of a group

	// By how many units they have: matches[2] have exactly two. Those of
	// segment s end at ends[2][s].
	matches [maxUnits + 1][]match
	ends    [maxUnits + 1][]int
}

// A score is one document's; 8 bytes, so that a posting touches one cache line.
type score struct {
	sum   float32
	units uint8 // units it has, without bonuses
	last  uint8 // 1 + the last unit that it has, 0: none
}

var pooled = sync.Pool{New: func() any { return new(scores) }}

// release gives the memory back, unless a segment failed.
func (s *scores) release() {
	for i := range s.matches {
		s.matches[i], s.ends[i] = s.matches[i][:0], s.ends[i][:0]
	}
	pooled.Put(s)
}

// segment scores the documents of the next part.
func (s *scores) segment(ctx context.Context, v *view, part int, units []unit) error {
	if size := v.segments[part].size; len(s.docs) < int(size) {
		s.docs = make([]score, size+size/8)
		s.best = make([]float32, len(s.docs))
	}
	for i := range units {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.unit(v, part, uint8(i+1), &units[i]); err != nil {
			return err
		}
	}
	for _, d := range s.touched {
		at := s.docs[d]
		s.docs[d] = score{}
		s.matches[at.units] = append(s.matches[at.units], match{d, at.sum})
	}
	s.touched = s.touched[:0]
	for n := range s.matches {
		s.ends[n] = append(s.ends[n], len(s.matches[n]))
	}
	return nil
}

// unit scores every document of a part that has a unit.
func (s *scores) unit(v *view, part int, mark uint8, u *unit) error {
	add := func(d uint32, x float32) {
		at := &s.docs[d]
		at.sum += x
		if at.last != mark {
			if at.last == 0 {
				s.touched = append(s.touched, d)
			}
			at.last = mark
			if !u.bonus {
				at.units++
			}
		}
	}
	for _, group := range u.groups {
		several := false // lists of the group in this part
		for i, c := range group {
			for _, d := range group[:i] {
				several = several || c.in[part] && d.in[part]
			}
		}
		for i := range group {
			c := &group[i]
			if !c.in[part] {
				continue
			}
			list, err := v.segments[part].list(c.field, c.term)
			if err != nil {
				return err
			}
			top, flat, slope := v.bm25(c)
			if !several {
				for _, p := range list {
					tf := float32(p.tf)
					add(p.doc, top*tf/(tf+flat+slope*float32(p.terms)))
				}
				continue
			}
			for _, p := range list {
				tf := float32(p.tf)
				x := top * tf / (tf + flat + slope*float32(p.terms))
				if s.best[p.doc] == 0 {
					s.group = append(s.group, p.doc)
				}
				s.best[p.doc] = max(s.best[p.doc], x)
			}
		}
		for _, d := range s.group {
			add(d, s.best[d])
			s.best[d] = 0
		}
		s.group = s.group[:0]
	}
	return nil
}

// bm25 returns the numbers of which a clause's score is made: top · tf /
// (tf + flat + slope · terms of the field). It is never zero.
func (v *view) bm25(c *clause) (top, flat, slope float32) {
	idf := math.Log(1 + (float64(max(v.live-c.df, 0))+0.5)/(float64(c.df)+0.5))
	return float32(c.weight * idf * (bm25K + 1)), bm25K * (1 - bm25B), float32(bm25K * bm25B / max(v.average[c.field], 1))
}
