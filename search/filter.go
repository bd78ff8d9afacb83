package search

import "citymarket/marketplace"

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
	numbers *numbers
	lo, hi  uint64
	none    bool // a document without a number meets it, too
}

// met says whether a document meets the test.
func (t *test) met(doc uint32) bool {
	switch c := t.column; {
	case c == nil:
		if t.numbers == nil {
			return t.none
		}
		x := t.numbers.of(doc)
		return t.lo <= x && x <= t.hi || t.none && x == missing
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
	t.none = f.OrNone
	s.tests = append(s.tests, t)
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
