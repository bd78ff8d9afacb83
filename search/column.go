package search

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// Columns are fields of one segment turned around: from the number of a
// document to what the field holds. Filters, facets and sorts read columns, at
// some 2 ns a document where bleve's doc values take 300. They are built from
// the postings when they are first asked for, live as long as their segment,
// never change and are shared by all who read it.
//
// There are four sorts: a [column] of keywords, for filters and facets;
// [lengths], for scores; [numbers], for ranges and sorts; [ranks] of long and
// mostly different terms, for sorts.

// A column tells the terms of each document of a segment. Documents with the
// same terms share a set of them, so that a document costs one, two or four
// bytes, a filter is looked up once for each set, and a facet is counted by
// adding one for each document.
type column struct {
	terms []string // ascending
	known []uint32 // places of the terms among those of all segments, see columnCache.known
	start []uint32 // set s holds the terms members[start[s]:start[s+1]]; set 0 is empty
	holds []uint32 // places in terms
	// The set of each document, in the narrowest of the three that will do;
	// none in a column without terms, where every document has set 0.
	narrow []uint8
	middle []uint16
	wide   []uint32
}

func (c *column) sets() int              { return len(c.start) - 1 }
func (c *column) of(set uint32) []uint32 { return c.holds[c.start[set]:c.start[set+1]] }

// find is the place of a term; false when the segment does not hold it.
func (c *column) find(term string) (uint32, bool) {
	i := sort.SearchStrings(c.terms, term)
	return uint32(i), i < len(c.terms) && c.terms[i] == term
}

// having lists for each set whether it holds one of some terms.
func (c *column) having(terms []string) []bool {
	wanted := make([]bool, len(c.terms))
	for _, t := range terms {
		if i, ok := c.find(t); ok {
			wanted[i] = true
		}
	}
	sets := make([]bool, c.sets())
	for s := range sets {
		for _, t := range c.of(uint32(s)) {
			sets[s] = sets[s] || wanted[t]
		}
	}
	return sets
}

// count adds the terms of the documents to the counts, which are by place
// among those of all segments. The buffer is of zeros and stays so.
func (c *column) count(docs []uint32, counts []int, buffer *[]uint32) {
	if len(docs) < c.sets()/2 {
		for _, d := range docs {
			for _, t := range c.of(c.set(d)) {
				counts[c.known[t]]++
			}
		}
		return
	}
	if len(*buffer) < c.sets() {
		*buffer = make([]uint32, c.sets())
	}
	c.tally(docs, *buffer)
	for set, n := range (*buffer)[:c.sets()] {
		if n > 0 {
			for _, t := range c.of(uint32(set)) {
				counts[c.known[t]] += int(n)
			}
			(*buffer)[set] = 0
		}
	}
}

// tally adds the documents to the counts of their sets.
func (c *column) tally(docs []uint32, counts []uint32) {
	switch {
	case c.narrow != nil:
		tally(c.narrow, docs, counts)
	case c.middle != nil:
		tally(c.middle, docs, counts)
	case c.wide != nil:
		tally(c.wide, docs, counts)
	}
}

func tally[T uint8 | uint16 | uint32](sets []T, docs []uint32, counts []uint32) {
	for _, d := range docs {
		counts[sets[d]]++
	}
}

// scan goes through a field of a segment, term after term in ascending order:
// it calls term, then doc with each document that has it.
func scan(s *scorch.SegmentSnapshot, field string, term func(string), doc func(uint32)) error {
	dict, err := s.Segment().Dictionary(field)
	if err != nil {
		return err
	}
	entries := dict.AutomatonIterator(nil, nil, nil)
	var list segment.PostingsList
	var buffer [256]uint32
	for e, err := entries.Next(); e != nil || err != nil; e, err = entries.Next() {
		if err != nil {
			return err
		}
		if list, err = dict.PostingsList([]byte(e.Term), nil, list); err != nil {
			return err
		}
		term(e.Term)
		many := bitmapOf(list).ManyIterator()
		for n := many.NextMany(buffer[:]); n > 0; n = many.NextMany(buffer[:]) {
			for _, d := range buffer[:n] {
				doc(d)
			}
		}
	}
	return nil
}

// set is the number of a document's set.
func (c *column) set(doc uint32) uint32 {
	switch {
	case c.narrow != nil:
		return uint32(c.narrow[doc])
	case c.middle != nil:
		return uint32(c.middle[doc])
	case c.wide != nil:
		return c.wide[doc]
	}
	return 0
}

func readColumn(s *scorch.SegmentSnapshot, field string) (*column, error) {
	n := int(s.FullSize())
	c := &column{start: []uint32{0, 0}}
	var docs, places []uint32 // pair by pair
	first := []uint32(nil)    // of each document: 1 + its first term; then 0 where it has several
	err := scan(s, field, func(term string) {
		if first == nil {
			first = make([]uint32, n)
		}
		c.terms = append(c.terms, term)
	}, func(d uint32) {
		if first[d] == 0 {
			first[d] = uint32(len(c.terms))
			return
		}
		docs, places = append(docs, d), append(places, uint32(len(c.terms)-1))
	})
	if err != nil || len(c.terms) == 0 {
		return c, err
	}
	// The sets of one term come first, then those of several as they are met.
	for t := range c.terms {
		c.holds = append(c.holds, uint32(t))
		c.start = append(c.start, uint32(len(c.holds)))
	}
	more := make(map[uint32][]uint32) // the further terms of the documents that have several
	for i, d := range docs {
		more[d] = append(more[d], places[i])
	}
	known := make(map[string]uint32)
	var buf []uint32
	for d, rest := range more {
		buf = append(append(buf[:0], first[d]-1), rest...)
		key := unsafe.String((*byte)(unsafe.Pointer(&buf[0])), 4*len(buf))
		set, ok := known[key]
		if !ok {
			set = uint32(c.sets())
			c.holds = append(c.holds, buf...)
			c.start = append(c.start, uint32(len(c.holds)))
			known[strings.Clone(key)] = set
		}
		first[d] = set // set t+1 is that of term t alone
	}
	switch {
	case c.sets() <= 1<<8:
		c.narrow = narrowed[uint8](first)
	case c.sets() <= 1<<16:
		c.middle = narrowed[uint16](first)
	default:
		c.wide = first
	}
	return c, nil
}

func narrowed[T uint8 | uint16](list []uint32) []T {
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = T(v)
	}
	return out
}

// missing stands for a number or a rank that a document has not: after all others.
const missing = math.MaxUint64

// Lengths tell of how many terms a field of each document is.
type lengths struct {
	*column
	of []float32 // by set
}

func readLengths(s *scorch.SegmentSnapshot, field string) (*lengths, error) {
	c, err := readColumn(s, lengthField(field))
	if err != nil {
		return nil, err
	}
	l := &lengths{column: c, of: make([]float32, c.sets())}
	for set := range l.of {
		for _, t := range c.of(uint32(set)) {
			n, _ := strconv.Atoi(c.terms[t])
			l.of[set] = float32(n)
		}
	}
	return l, nil
}

// Numbers are the ordinals of a field by document. Whole numbers that lie
// close together, as times do, take four bytes each.
type numbers struct {
	base   float64
	narrow []uint32 // what is added to base, absent where there is none
	wide   []uint64 // or the ordinals
}

const absent = math.MaxUint32

func (n *numbers) of(doc uint32) uint64 {
	if n.wide != nil {
		return n.wide[doc]
	}
	if more := n.narrow[doc]; more != absent {
		return ordinal(n.base + float64(more))
	}
	return missing
}

// readNumbers reads a field of numbers; nil where the segment has none at all.
func readNumbers(s *scorch.SegmentSnapshot, field string) (*numbers, error) {
	var out *numbers
	var x uint64
	var more float64
	err := scan(s, field, func(term string) {
		x = missing
		if len(term) == 8 {
			x = binary.BigEndian.Uint64([]byte(term))
		}
		if out == nil { // the least
			out = &numbers{base: number(x), narrow: slices.Repeat([]uint32{absent}, int(s.FullSize()))}
		}
		more = number(x) - out.base
		fits := more < absent && more == math.Trunc(more) && out.base == math.Trunc(out.base) && math.Abs(out.base) < 1<<52
		if !fits && out.wide == nil {
			wide := make([]uint64, len(out.narrow))
			for d := range wide {
				wide[d] = out.of(uint32(d))
			}
			out.wide, out.narrow = wide, nil
		}
	}, func(d uint32) {
		if out.wide != nil {
			out.wide[d] = min(out.wide[d], x)
		} else {
			out.narrow[d] = min(out.narrow[d], uint32(more))
		}
	})
	return out, err
}

// sortable writes a number so that the order of the strings is the order of
// the numbers.
func sortable(x float64) string {
	return string(binary.BigEndian.AppendUint64(nil, ordinal(x)))
}

// ordinal maps numbers to integers of the same order.
func ordinal(x float64) uint64 {
	if x == 0 {
		x = 0 // not minus zero
	}
	bits := math.Float64bits(x)
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

// number is what has an ordinal.
func number(ordinal uint64) float64 {
	if ordinal>>63 != 0 {
		return math.Float64frombits(ordinal &^ (1 << 63))
	}
	return math.Float64frombits(^ordinal)
}

// Ranks tell the place of each document's term among the terms of a segment.
// The terms are not held, except every 64th, from which the others are read
// in the dictionary (some 8 us).
type ranks struct {
	of      []uint32 // by document: the place of its first term, absent where it has none
	samples []string

	mu   sync.Mutex
	read map[uint32]string // terms that were read, by place: first pages are the same for everybody
}

const (
	sampled   = 64
	keepNames = 1000 // terms that ranks hold; then they begin anew
)

func readRanks(s *scorch.SegmentSnapshot, field string) (*ranks, error) {
	r := &ranks{}
	n := uint32(0)
	err := scan(s, field, func(term string) {
		if r.of == nil {
			r.of = slices.Repeat([]uint32{absent}, int(s.FullSize()))
		}
		if n%sampled == 0 {
			r.samples = append(r.samples, term)
		}
		n++
	}, func(d uint32) {
		r.of[d] = min(r.of[d], n-1)
	})
	return r, err
}

// term reads the term of a place.
func (r *ranks) term(s *scorch.SegmentSnapshot, field string, place uint32) (out string, err error) {
	r.mu.Lock()
	out, ok := r.read[place]
	r.mu.Unlock()
	if ok {
		return out, nil
	}
	i := place / sampled * sampled
	err = r.walk(s, field, int(place/sampled), func(term string) bool {
		out = term
		i++
		return i <= place
	})
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.read == nil || len(r.read) == keepNames {
		r.read = make(map[uint32]string)
	}
	r.read[place] = out
	return out, nil
}

// find returns the place of a term, or of the next one where there is no such term.
func (r *ranks) find(s *scorch.SegmentSnapshot, field, term string) (place uint32, ok bool, err error) {
	block := sort.Search(len(r.samples), func(i int) bool { return r.samples[i] > term }) - 1
	if block < 0 {
		return 0, false, nil
	}
	place = uint32(block * sampled)
	err = r.walk(s, field, block, func(t string) bool {
		if ok = t == term; t >= term {
			return false
		}
		place++
		return true
	})
	return place, ok, err
}

// walk calls f with the terms from a sample on while it returns true.
func (r *ranks) walk(s *scorch.SegmentSnapshot, field string, block int, f func(string) bool) error {
	dict, err := s.Segment().Dictionary(field)
	if err != nil {
		return err
	}
	entries := dict.AutomatonIterator(nil, []byte(r.samples[block]), nil)
	for e, err := entries.Next(); e != nil || err != nil; e, err = entries.Next() {
		if err != nil {
			return err
		}
		if !f(e.Term) {
			break
		}
	}
	return nil
}

// columns are those of one segment, which never changes, and what else was
// read of it that is worth keeping.
type columns struct {
	cache  *columnCache
	mu     sync.Mutex
	fields map[string]any // *column, *lengths, *numbers or *ranks

	deleted *roaring.Bitmap // what bits was made of
	bits    []uint64
}

// read returns a column of whichever sort, building it where it is not there.
func read[T any](p *part, field string, build func(*scorch.SegmentSnapshot, string) (T, error), some func(T) bool) (T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.fields[field].(T); ok {
		return c, nil
	}
	c, err := build(p.SegmentSnapshot, field)
	if err == nil && some(c) { // else there is nothing to keep, and strangers name fields
		if c, ok := any(c).(*column); ok {
			p.cache.know(field, c)
		}
		p.fields[field] = c
	}
	return c, err
}

func (p *part) column(field string) (*column, error) {
	return read(p, field, readColumn, func(c *column) bool { return len(c.terms) > 0 })
}

func (p *part) lengths(field string) (*lengths, error) {
	return read(p, field, readLengths, func(l *lengths) bool { return len(l.terms) > 0 })
}

func (p *part) numbers(field string) (*numbers, error) {
	return read(p, field, readNumbers, func(n *numbers) bool { return n != nil })
}

func (p *part) ranks(field string) (*ranks, error) {
	if p.size > 0 {
		p.cache.ranked.Store(field, true)
	}
	return read(p, field, readRanks, func(r *ranks) bool { return r.of != nil })
}

// warm builds the column of a field, of ranks only where they were ever
// asked for: who sorts by name in Korean?
func (p *part) warm(field string) (err error) {
	_, ranked := p.cache.ranked.Load(field)
	switch {
	case field == fieldAudience, strings.HasPrefix(field, keywordField("")):
		_, err = p.column(field)
	case strings.HasPrefix(field, lengthField("")):
		_, err = p.lengths(strings.TrimPrefix(field, lengthField("")))
	case field == fieldNewest, strings.HasPrefix(field, numberField("")):
		_, err = p.numbers(field)
	case ranked:
		_, err = p.ranks(field)
	}
	return err
}

// dying returns the deleted documents of a segment as bits; nil where there
// are none.
func (c *columns) dying(s *scorch.SegmentSnapshot) []uint64 {
	bitmap := s.Deleted()
	if bitmap == nil || bitmap.IsEmpty() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deleted != bitmap {
		c.deleted, c.bits = bitmap, make([]uint64, (s.FullSize()+63)/64)
		for it := bitmap.Iterator(); it.HasNext(); {
			d := it.Next()
			c.bits[d/64] |= 1 << (d % 64)
		}
	}
	return c.bits
}

func has(bits []uint64, doc uint32) bool { return bits[doc/64]&(1<<(doc%64)) != 0 }

// bytes is about how much memory the columns take.
func (c *columns) bytes() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.fields {
		switch f := f.(type) {
		case *column:
			n += f.bytes() + 20*len(f.terms) // the terms themselves are shared, see know
		case *lengths:
			n += f.bytes() + 24*len(f.terms) + 4*len(f.of)
		case *numbers:
			n += 4*len(f.narrow) + 8*len(f.wide)
		case *ranks:
			n += 4*len(f.of) + 64*len(f.samples)
		}
	}
	return n + 8*len(c.bits)
}

func (c *column) bytes() int {
	return len(c.narrow) + 2*len(c.middle) + 4*(len(c.wide)+len(c.start)+len(c.holds))
}

// A columnCache holds the columns of the segments of one index.
type columnCache struct {
	mu       sync.Mutex
	segments map[uint64]*columns // by segment id, which an index never uses again
	known    map[string]*known
	ranked   sync.Map // names of the fields whose ranks were asked for

	terms, formerly map[termKey]kept // see view.lists
	found           int              // lists, since the terms last became old
	counts          map[termKey]counted
}

func newColumnCache() *columnCache {
	return &columnCache{segments: make(map[uint64]*columns), terms: make(map[termKey]kept), known: make(map[string]*known)}
}

// A known lists the terms of a field in all segments there ever were, so that
// facets add up numbers and compare no strings.
type known struct {
	terms  []string
	places map[string]uint32
}

// know gives the terms of a column their places.
func (c *columnCache) know(field string, col *column) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[field]
	if k == nil {
		k = &known{places: make(map[string]uint32)}
		c.known[field] = k
	}
	col.known = make([]uint32, len(col.terms))
	for i, t := range col.terms {
		place, ok := k.places[t]
		if !ok {
			place = uint32(len(k.terms))
			k.terms = append(k.terms, t)
			k.places[t] = place
		}
		col.known[i], col.terms[i] = place, k.terms[place]
	}
}

// all returns the terms that are known of a field, by place.
func (c *columnCache) all(field string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.known[field]; k != nil {
		return k.terms
	}
	return nil
}

// of returns the columns of a snapshot's segments and forgets those of
// segments that are gone.
func (c *columnCache) of(snapshot *scorch.IndexSnapshot) []*columns {
	c.mu.Lock()
	defer c.mu.Unlock()
	segments := snapshot.Segments()
	out := make([]*columns, len(segments))
	for i, s := range segments {
		if out[i] = c.segments[s.Id()]; out[i] == nil {
			out[i] = &columns{cache: c, fields: make(map[string]any)}
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
