package search

import (
	"cmp"
	"slices"
)

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
// others, since most need no look at the heap: a deep page of 100,000
// documents takes 0.53 ms, where it took 0.87.
func (r *run) hopeful(s *stage, docs []uint32) []uint32 {
	narrow := s.keys.narrow()
	if narrow == nil {
		return docs
	}
	first, last := int64(0), int64(absent) // keys of the range
	if s.after != nil {
		first = s.keys.least(s.after.key)
	}
	if s.before != nil {
		last = s.keys.most(s.before.key)
	}
	from, to := first, last // keys that are no worse than the worst
	if r.size > 0 && len(s.best) == r.size {
		if r.last {
			from = max(first, s.keys.least(s.best[0].key))
		} else {
			to = min(last, s.keys.most(s.best[0].key))
		}
	}
	n, ahead, in, past := 0, 0, 0, 0
	for _, d := range docs {
		switch key := int64(narrow[d]); {
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
