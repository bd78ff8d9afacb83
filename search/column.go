package search

import (
	"sort"
	"sync"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// A column is a field of one segment turned around: from the number of a
// document to its terms. Filters, facets and sorts read columns, at some 5 ns
// a document where bleve's doc values take 300. A column costs 4 bytes a
// document and 4 a value; it is built from the postings when it is first
// asked for (1 us a document) and lives as long as its segment.
type column struct {
	terms []string // ascending; a value is a place in it
	start []uint32 // values of document d: ords[start[d]:start[d+1]]
	ords  []uint32
}

// of is empty in a column without terms, which has no start.
func (c *column) of(doc uint32) []uint32 {
	if len(c.terms) == 0 {
		return nil
	}
	return c.ords[c.start[doc]:c.start[doc+1]]
}

// first is the document's first term; false when it has none.
func (c *column) first(doc uint32) (string, bool) {
	if v := c.of(doc); len(v) > 0 {
		return c.terms[v[0]], true
	}
	return "", false
}

// find is the place of a term; false when the segment does not hold it.
func (c *column) find(term string) (uint32, bool) {
	i := sort.SearchStrings(c.terms, term)
	return uint32(i), i < len(c.terms) && c.terms[i] == term
}

// columns are those of one segment, which never changes.
type columns struct {
	cache  *columnCache
	mu     sync.Mutex
	fields map[string]*column
}

func (c *columns) get(s *scorch.SegmentSnapshot, field string) (*column, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if col := c.fields[field]; col != nil {
		return col, nil
	}
	col, err := readColumn(s, field)
	if err != nil {
		return nil, err
	}
	if len(col.terms) > 0 { // else there is nothing to keep, and strangers name fields
		c.fields[field] = col
		c.cache.used.Store(field, true)
	}
	return col, nil
}

func readColumn(s *scorch.SegmentSnapshot, field string) (*column, error) {
	n := int(s.Segment().Count())
	col := &column{}
	dict, err := s.Segment().Dictionary(field)
	if err != nil {
		return nil, err
	}
	type pair struct{ doc, ord uint32 }
	var pairs []pair
	entries := dict.AutomatonIterator(nil, nil, nil)
	for e, err := entries.Next(); e != nil || err != nil; e, err = entries.Next() {
		if err != nil {
			return nil, err
		}
		list, err := dict.PostingsList([]byte(e.Term), nil, nil)
		if err != nil {
			return nil, err
		}
		if col.start == nil {
			col.start = make([]uint32, n+1)
		}
		ord := uint32(len(col.terms))
		col.terms = append(col.terms, e.Term)
		it := list.Iterator(false, false, false, nil)
		for p, err := it.Next(); p != nil || err != nil; p, err = it.Next() {
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, pair{uint32(p.Number()), ord})
			col.start[p.Number()+1]++
		}
	}
	for i := range len(col.start) - 1 {
		col.start[i+1] += col.start[i]
	}
	col.ords = make([]uint32, len(pairs))
	next := append([]uint32(nil), col.start...)
	for _, p := range pairs {
		col.ords[next[p.doc]] = p.ord
		next[p.doc]++
	}
	return col, nil
}

// A columnCache holds the columns of the segments of one index.
type columnCache struct {
	mu       sync.Mutex
	segments map[uint64]*columns // by segment id, which an index never uses again
	used     sync.Map            // names of the fields of which there was a column
}

func newColumnCache() *columnCache { return &columnCache{segments: make(map[uint64]*columns)} }

// of returns the columns of a snapshot's segments and forgets those of
// segments that are gone.
func (c *columnCache) of(snapshot *scorch.IndexSnapshot) []*columns {
	c.mu.Lock()
	defer c.mu.Unlock()
	segments := snapshot.Segments()
	out := make([]*columns, len(segments))
	for i, s := range segments {
		if out[i] = c.segments[s.Id()]; out[i] == nil {
			out[i] = &columns{cache: c, fields: make(map[string]*column)}
			c.segments[s.Id()] = out[i]
		}
	}
	if len(c.segments) > 2*len(segments)+8 {
		live := make(map[uint64]*columns, len(segments))
		for i, s := range segments {
			live[s.Id()] = out[i]
		}
		c.segments = live
	}
	return out
}
