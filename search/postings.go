package search

import (
	"context"
	"math"
	"sync"

	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// A view is a snapshot of the index and what one call needs to read it. All
// queries of a call see the same one, so that totals, facets and pages agree.
type view struct {
	snapshot *scorch.IndexSnapshot
	segments []part
	docs     int // numbers of documents, deleted ones included
	live     int
	average  map[string]float64 // terms of a field, over the entries that have it
}

// A part is one segment of a view.
type part struct {
	*scorch.SegmentSnapshot
	*columns
	base uint32 // number of its first document in the view
	size uint32
}

func (p *part) column(field string) (*column, error) { return p.get(p.SegmentSnapshot, field) }

// deletedIn says for each segment which documents are deleted.
func (p *part) deleted() func(uint32) bool {
	if d := p.Deleted(); d != nil {
		return d.Contains
	}
	return func(uint32) bool { return false }
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
	lists  []segment.PostingsList // by segment; nil where it has none
}

// look reads the clause's postings lists; its df is 0 when nothing has the term.
func (v *view) look(c clause) (clause, error) {
	c.lists = make([]segment.PostingsList, len(v.segments))
	for i := range v.segments {
		dict, err := v.segments[i].Segment().Dictionary(c.field)
		if err != nil {
			return c, err
		}
		list, err := dict.PostingsList([]byte(c.term), v.segments[i].Deleted(), nil)
		if err != nil {
			return c, err
		}
		if n := int(list.Count()); n > 0 {
			c.lists[i], c.df = list, c.df+n
		}
	}
	return c, nil
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

// scores hold what a query's units gave each document.
type scores struct {
	docs    []score
	touched [][]uint32 // documents that matched anything, by segment
	group   []uint32
}

// A score is one document's; 12 bytes, so that a posting touches one cache line.
type score struct {
	sum, best float32
	units     uint8 // units matched
	last      uint8 // 1 + the last unit that matched, 0: none
}

// pooled scores are all zero, as large as any query needed.
var pooled = sync.Pool{New: func() any { return new(scores) }}

func newScores(v *view) *scores {
	s := pooled.Get().(*scores)
	if len(s.docs) < v.docs {
		s.docs = make([]score, v.docs+v.docs/8)
	}
	for len(s.touched) < len(v.segments) {
		s.touched = append(s.touched, nil)
	}
	return s
}

// release zeroes what was touched and gives the memory back.
func (s *scores) release() {
	for i, docs := range s.touched {
		for _, d := range docs {
			s.docs[d] = score{}
		}
		s.touched[i] = docs[:0]
	}
	pooled.Put(s)
}

// addUnit scores every document that has the unit.
func (s *scores) addUnit(ctx context.Context, v *view, number int, u *unit) error {
	mark := uint8(number + 1)
	for _, group := range u.groups {
		for i := range v.segments {
			base := v.segments[i].base
			s.group = s.group[:0]
			for _, c := range group {
				if c.lists[i] == nil {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				// Never zero, so that a best of zero means not matched yet.
				idf := math.Log(1 + (float64(max(v.live-c.df, 0))+0.5)/(float64(c.df)+0.5))
				top := c.weight * idf * (bm25K + 1)
				flat, slope := bm25K*(1-bm25B), bm25K*bm25B/max(v.average[c.field], 1)
				it := c.lists[i].Iterator(true, true, false, nil)
				for p, err := it.Next(); p != nil || err != nil; p, err = it.Next() {
					if err != nil {
						return err
					}
					d, tf, norm := base+uint32(p.Number()), float64(p.Frequency()), p.Norm()
					x := float32(top * tf / (tf + flat + slope/(norm*norm))) // the norm is one through the root of the length
					at := &s.docs[d]
					if at.best == 0 {
						s.group = append(s.group, d)
					}
					if x > at.best {
						at.best = x
					}
				}
			}
			for _, d := range s.group {
				at := &s.docs[d]
				at.sum += at.best
				at.best = 0
				if at.last == 0 {
					s.touched[i] = append(s.touched[i], d)
				}
				if at.last != mark {
					at.last = mark
					if !u.bonus {
						at.units++
					}
				}
			}
		}
	}
	return nil
}
