package storetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"citymarket/marketplace"
)

// A reference is the plainest implementation of the port's queries: it keeps
// documents as decoded JSON, looks at all of them, and sorts what it finds.
// Tests compare a store's answers to its answers.
type reference map[string]any

func (r reference) put(id string, value any) {
	r[id] = plain(value)
}

// plain is a value as decoded JSON: nil, bool, json.Number, string, []any, map[string]any.
func plain(value any) any {
	if t, ok := value.(time.Time); ok {
		value = t.UTC().Truncate(time.Second)
	}
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// at returns what lies at a path. Of arrays on the way, and of one at its
// end, it takes every element.
func at(v any, path string) []any {
	if list, ok := v.([]any); ok {
		var all []any
		for _, e := range list {
			all = append(all, at(e, path)...)
		}
		return all
	}
	if path == "" {
		return []any{v}
	}
	name, rest, _ := strings.Cut(path, ".")
	if m, ok := v.(map[string]any); ok {
		return at(m[name], rest)
	}
	return nil
}

// one returns the value of a field that is not in an array; nil when missing.
func one(v any, path string) any {
	if all := at(v, path); len(all) == 1 {
		return all[0]
	}
	return nil
}

// rank orders the JSON types; a field that an index names has one type and null.
func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case json.Number:
		return 2
	case string:
		return 3
	}
	panic(fmt.Sprintf("no order for %T", v))
}

func compare(a, b any) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case bool:
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) // "false" < "true"
	case json.Number:
		return number(a).Cmp(number(b.(json.Number)))
	case string:
		return strings.Compare(a, b.(string))
	}
	return 0
}

func number(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic("not a number: " + n.String())
	}
	return r
}

func (r reference) meets(id string, c marketplace.Condition) bool {
	if c.Field == "id" {
		return id == c.Value || slices.Contains(c.Values, any(id))
	}
	doc := r[id]
	switch c.Op {
	case marketplace.Has:
		return slices.ContainsFunc(at(doc, c.Field), func(v any) bool { return v != nil && compare(v, plain(c.Value)) == 0 })
	case marketplace.In:
		return slices.ContainsFunc(c.Values, func(v any) bool {
			return r.meets(id, marketplace.Condition{Field: c.Field, Op: marketplace.Eq, Value: v})
		})
	}
	have, want := one(doc, c.Field), plain(c.Value)
	if have == nil || rank(have) != rank(want) {
		return false
	}
	switch n := compare(have, want); c.Op {
	case marketplace.Eq:
		return n == 0
	case marketplace.Lt:
		return n < 0
	default:
		return n >= 0
	}
}

// find returns the ids of all documents that meet the query, without its
// limit and its After.
func (r reference) find(q marketplace.Query) []string {
	ids := []string{}
	for id := range r {
		if !slices.ContainsFunc(q.Where, func(c marketplace.Condition) bool { return !r.meets(id, c) }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		n := 0
		if q.Sort != "" {
			n = compare(one(r[a], q.Sort), one(r[b], q.Sort))
		}
		if n == 0 {
			n = strings.Compare(a, b)
		}
		if q.Descending {
			n = -n
		}
		return n
	})
	return ids
}
