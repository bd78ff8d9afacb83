package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"citymarket/marketplace"
)

// maxRanges bounds the combinations of values of a query with several In.
const maxRanges = 10 * marketplace.MaxValues

// A plan is a query in terms of keys: it finds the keys that consist of one
// of the prefixes and a suffix between from and to, in the order of the suffix.
type plan struct {
	index      index
	prefixes   []string
	from, to   string // to is excluded
	descending bool
	limit      int
	ids        []string // nil: any
	byID       bool     // ids holds all that may be found
}

func newPlan(x index, q marketplace.Query) (p plan, err error) {
	p = plan{index: x, prefixes: []string{""}, to: afterAll, descending: q.Descending, limit: q.Limit}
	equal := map[string][]string{}
	for _, c := range q.Where {
		values := c.Values
		if c.Op != marketplace.In {
			values = []any{c.Value}
		}
		if c.Field == "id" {
			p.narrow(values)
			continue
		}
		var keys []string
		for _, v := range values {
			if v, err = conditionValue(v); err != nil {
				return p, fmt.Errorf("condition on %s: %w", c.Field, err)
			}
			keys = append(keys, string(appendValue(nil, v)))
		}
		switch c.Op {
		case marketplace.Lt: // from: a value of another type, or none, is not less
			p.from, p.to = max(p.from, firstOfType(keys[0])), min(p.to, keys[0])
		case marketplace.Ge:
			p.from, p.to = max(p.from, keys[0]), min(p.to, lastOfType(keys[0]))
		case marketplace.Has:
			equal[""] = keys // after all fields of equal
		default:
			slices.Sort(keys)
			equal[c.Field] = slices.Compact(keys)
		}
	}
	for _, name := range append(slices.Clip(x.equal), "") {
		if name == "" && x.has == "" {
			break
		}
		if len(p.prefixes)*len(equal[name]) > maxRanges {
			return p, fmt.Errorf("more than %d combinations of values: %w", maxRanges, marketplace.ErrLimit)
		}
		var longer []string
		for _, prefix := range p.prefixes {
			for _, key := range equal[name] {
				longer = append(longer, prefix+key)
			}
		}
		p.prefixes = longer
	}
	if q.After != "" {
		after, err := base64.RawURLEncoding.DecodeString(q.After)
		if err != nil {
			return p, fmt.Errorf("after %.60q: %w", q.After, marketplace.ErrCursor)
		}
		if q.Descending {
			p.to = min(p.to, string(after))
		} else {
			p.from = max(p.from, string(after)+"\x00")
		}
	}
	return p, nil
}

func firstOfType(key string) string {
	if key[0] == tagTrue {
		return string(rune(tagFalse))
	}
	return key[:1]
}

func lastOfType(key string) string {
	if key[0] == tagFalse {
		return string(rune(tagTrue + 1))
	}
	return string(rune(key[0] + 1))
}

// narrow leaves the ids that are also among values.
func (p *plan) narrow(values []any) {
	var ids []string
	for _, v := range values {
		id, err := conditionValue(v)
		if s, ok := id.(string); ok && err == nil && (!p.byID || slices.Contains(p.ids, s)) {
			ids = append(ids, s)
		}
	}
	slices.Sort(ids)
	p.ids, p.byID = slices.Compact(ids), true
}

// A hit is a document that was found, and its place in the order.
type hit struct {
	suffix string
	doc    marketplace.Document
}

// Find implements [marketplace.Store]. Its cost does not depend on the number
// of documents: about 50 us and 4 us for each document that it returns. In
// with n values over an indexed field costs n such ranges, but the documents
// that it reads in vain grow only as the logarithm of n. With a condition on
// the id it reads those documents and no others. More than 10,000 combinations
// of the values of several In are refused with [marketplace.ErrLimit].
func (s *Store) Find(ctx context.Context, kind marketplace.Kind, q marketplace.Query) ([]marketplace.Document, error) {
	docs, err := s.find(ctx, kind, q)
	if err != nil {
		return nil, wrapped(err, "find %s", kind)
	}
	return docs, nil
}

func (s *Store) find(ctx context.Context, kind marketplace.Kind, q marketplace.Query) ([]marketplace.Document, error) {
	declared, err := s.schema.Index(kind, q)
	if err != nil {
		return nil, err
	}
	def := newIndex(declared).def()
	x := slices.IndexFunc(s.indexes[kind], func(x index) bool { return x.def() == def })
	p, err := newPlan(s.indexes[kind][x], q)
	if err != nil {
		return nil, err
	}
	var hits []hit
	err = s.read(ctx, func(r *reader) error {
		if p.byID {
			return r.snapshot(func() (err error) { hits, err = p.look(ctx, r, kind); return err })
		}
		if len(p.prefixes) == 1 {
			hits, err = p.scan(nil, r, p.prefixes[0])
			return err
		}
		return r.snapshot(func() (err error) { hits, err = p.merge(ctx, r); return err })
	})
	if err != nil {
		return nil, err
	}
	docs := make([]marketplace.Document, len(hits))
	for i, h := range hits {
		docs[i] = h.doc
		docs[i].Position = base64.RawURLEncoding.EncodeToString([]byte(h.suffix))
	}
	return docs, nil
}

// scan appends the first documents of one range.
func (p *plan) scan(hits []hit, r *reader, prefix string) ([]hit, error) {
	page := r.ascending
	if p.descending {
		page = r.descending
	}
	rows, err := page.Query(p.index.num, []byte(prefix+p.from), []byte(prefix+p.to), p.limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key sql.RawBytes
		var id string
		var rev int64
		var body []byte
		if err := rows.Scan(&key, &id, &rev, &body); err != nil {
			return nil, err
		}
		hits = append(hits, hit{string(key[len(prefix):]), document(id, rev, body)})
	}
	return hits, rows.Err()
}

// merge reads one range after the other, each only up to the last place that
// is still good enough. In random order the i-th range then gives limit/i
// documents on average, whatever lies in them: limit * ln(n) in all.
func (p *plan) merge(ctx context.Context, r *reader) (hits []hit, err error) {
	rand.Shuffle(len(p.prefixes), func(i, j int) { p.prefixes[i], p.prefixes[j] = p.prefixes[j], p.prefixes[i] })
	for _, prefix := range p.prefixes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if hits, err = p.scan(hits, r, prefix); err != nil {
			return nil, err
		}
		hits = p.keep(hits)
	}
	return hits, nil
}

// look reads the documents of p.ids and keeps those with a key in the plan.
func (p *plan) look(ctx context.Context, r *reader, kind marketplace.Kind) (hits []hit, err error) {
	for _, id := range p.ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var rev int64
		var body []byte
		switch err := r.get.QueryRow(kind, id).Scan(&rev, &body); {
		case errors.Is(err, sql.ErrNoRows):
			continue
		case err != nil:
			return nil, err
		}
		all, err := entries([]index{p.index}, id, body)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			for _, prefix := range p.prefixes {
				if suffix, ok := strings.CutPrefix(e.key, prefix); ok && suffix >= p.from && suffix < p.to {
					hits = append(hits, hit{suffix, document(id, rev, body)})
				}
			}
		}
	}
	return p.keep(hits), nil
}

// keep sorts hits, cuts them to the limit, and narrows the plan to what can
// still displace one of them.
func (p *plan) keep(hits []hit) []hit {
	slices.SortFunc(hits, func(a, b hit) int {
		if p.descending {
			a, b = b, a
		}
		return cmp.Compare(a.suffix, b.suffix)
	})
	if len(hits) < p.limit {
		return hits
	}
	if last := hits[p.limit-1].suffix; p.descending {
		p.from = last + "\x00"
	} else {
		p.to = last
	}
	return hits[:p.limit]
}
