package search

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"

	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/blevesearch/bleve/v2/index/scorch"
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

// A posting says how often a term stands in a document, and of how many terms
// the field is there.
type posting struct {
	doc       uint32
	tf, terms uint16
}

// A termKey names a term of a field.
type termKey struct{ field, term string }

// A kept holds the postings of a term in some segments, also empty ones. It
// never changes.
type kept struct {
	segments []uint64 // ids
	lists    [][]posting
}

// Postings that were read are kept, since reading a list from a segment takes
// 1 us and 45 ns a posting, and going through it 3 ns a posting. When
// keepPostings have been kept, all become old; what is asked for again before
// that happens a second time is young again, the rest goes. So at most twice
// as many are held (128 MB).
const (
	keepPostings = 8 << 20
	listPostings = 4 // what an empty list takes, in the room of postings
)

// lists returns the postings of a term by segment, those of deleted documents
// included.
func (v *view) lists(key termKey) ([][]posting, error) {
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
	now := kept{segments: v.ids, lists: make([][]posting, len(v.ids))}
	size := 0
	for i, id := range v.ids {
		if n := slices.Index(have.segments, id); n >= 0 {
			now.lists[i] = have.lists[n]
		} else {
			var err error
			if now.lists[i], err = v.segments[i].read(key); err != nil {
				return nil, err
			}
			size += len(now.lists[i]) + listPostings
		}
		if !ok {
			size += len(now.lists[i]) + listPostings
		}
	}
	key.term = strings.Clone(key.term) // of the query's text
	c.mu.Lock()
	defer c.mu.Unlock()
	c.terms[key] = now
	if c.postings += size; c.postings >= keepPostings {
		c.postings = 0
		c.terms, c.formerly = make(map[termKey]kept), c.terms
	}
	return now.lists, nil
}

// read reads the postings of a term in one segment.
func (p *part) read(key termKey) ([]posting, error) {
	dict, err := p.dictionary(key.field)
	if err != nil {
		return nil, err
	}
	found, err := dict.PostingsList([]byte(key.term), nil, nil)
	if err != nil || found.Count() == 0 {
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
	return list, nil
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
	lists  [][]posting // by segment
}

// look reads the clause's postings; its df is 0 when no document has the term.
func (v *view) look(c clause) (clause, error) {
	var err error
	c.lists, err = v.lists(termKey{c.field, c.term})
	for i, list := range c.lists {
		c.df += len(list)
		if dead := v.segments[i].dead; dead != nil {
			for _, e := range list {
				if has(dead, e.doc) {
					c.df--
				}
			}
		}
	}
	return c, err
}

// count is how many documents have a term, without reading their postings.
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
	sum float32 // never zero for a document that has anything
	has uint32  // a bit for each unit that it has, without bonuses
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
		s.unit(v, part, &units[i], 1<<i)
	}
	for _, d := range s.touched {
		at := s.docs[d]
		s.docs[d] = score{}
		n := bits.OnesCount32(at.has)
		s.matches[n] = append(s.matches[n], match{d, at.sum})
	}
	s.touched = s.touched[:0]
	for n := range s.matches {
		s.ends[n] = append(s.ends[n], len(s.matches[n]))
	}
	return nil
}

// unit scores every document of a part that has a unit, which has a bit.
func (s *scores) unit(v *view, part int, u *unit, bit uint32) {
	if u.bonus {
		bit = 0
	}
	add := func(d uint32, x float32) {
		at := &s.docs[d]
		if at.sum == 0 {
			s.touched = append(s.touched, d)
		}
		at.sum += x
		at.has |= bit
	}
	for _, group := range u.groups {
		several := false // lists of the group in this part
		for i, c := range group {
			for _, d := range group[:i] {
				several = several || len(c.lists[part]) > 0 && len(d.lists[part]) > 0
			}
		}
		for i := range group {
			c := &group[i]
			if len(c.lists[part]) == 0 {
				continue
			}
			top, flat, slope := v.bm25(c)
			if !several {
				for _, p := range c.lists[part] {
					tf := float32(p.tf)
					add(p.doc, top*tf/(tf+flat+slope*float32(p.terms)))
				}
				continue
			}
			for _, p := range c.lists[part] {
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
}

// bm25 returns the numbers of which a clause's score is made: top · tf /
// (tf + flat + slope · terms of the field). It is never zero.
func (v *view) bm25(c *clause) (top, flat, slope float32) {
	idf := math.Log(1 + (float64(max(v.live-c.df, 0))+0.5)/(float64(c.df)+0.5))
	return float32(c.weight * idf * (bm25K + 1)), bm25K * (1 - bm25B), float32(bm25K * bm25B / max(v.average[c.field], 1))
}
