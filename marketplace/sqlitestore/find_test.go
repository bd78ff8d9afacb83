package sqlitestore

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"citymarket/marketplace"

	"pgregory.net/rapid"
)

// Every statement is answered by seeks: no table is scanned, nothing is
// sorted. As all indexes are rows of one table, the statements of Find are
// the same for all forms of index.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "db"), faultSchema)
	conns, closeAll, err := connect(dsn(pathOf(s), "_query_only=1"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	for name, c := range map[string]struct {
		text string
		args int
	}{
		"find":            {selectPage + ` LIMIT ?`, 4},
		"find descending": {selectPage + ` DESC LIMIT ?`, 4},
		"get":             {selectDoc, 2},
		"changes":         {selectFeed, 3},
		"old":             {selectOld, 2},
		"claim":           {selectClaim, 2},
		"delete entry":    {deleteEntry, 2},
	} {
		rows, err := conns[0].QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+c.text, make([]any, c.args)...)
		if err != nil {
			t.Fatal(name, err)
		}
		seeks := 0
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(step, "SEARCH") {
				seeks++
			}
			// The kinds of a feed query, which are in an argument, are no table.
			if strings.Contains(step, "SCAN") && !strings.Contains(step, "json_each") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: %s", name, step)
			}
		}
		if seeks == 0 {
			t.Errorf("%s: no SEARCH in its plan", name)
		}
	}
}

// What a query reads does not grow with what matches it.
func TestMergeReadsLittle(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "db"), marketplace.Schema{faultKind: {{Equal: []string{"text"}, Sort: "n"}}})
	const values, each, limit = 40, 20, 5
	var texts []any
	done := make(chan error)
	for v := range values {
		texts = append(texts, fmt.Sprint(v))
		go func() {
			for i := range each {
				// The worst case for a merge in the given order: later values come first.
				doc := faultDoc{N: -v*each + i, Text: fmt.Sprint(v)}
				if _, err := s.Put(context.Background(), marketplace.Write{Kind: faultKind, ID: fmt.Sprintf("%d-%d", v, i), Value: doc}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range values {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	p, err := newPlan(s.indexes[faultKind][1], marketplace.Query{Sort: "n", Limit: limit, Where: []marketplace.Condition{{Field: "text", Op: marketplace.In, Values: texts}}})
	if err != nil {
		t.Fatal(err)
	}
	r := <-s.readers
	defer func() { s.readers <- r }()
	read, rounds := 0, 50
	for range rounds {
		p := p
		var hits []hit
		for _, i := range rand.Perm(len(p.prefixes)) {
			before, prefix := len(hits), p.prefixes[i]
			if hits, err = p.scan(hits, r, prefix); err != nil {
				t.Fatal(err)
			}
			read += len(hits) - before
			hits = p.keep(hits)
		}
	}
	if mean := read / rounds; mean > limit*values/4 {
		t.Errorf("a page of %d over %d values reads %d documents on average", limit, values, mean)
	}
}

func rat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic(n)
	}
	return r
}

// The order of encoded values is the order of the values.
func TestKeyOrder(t *testing.T) {
	t.Parallel()
	number := rapid.Custom(func(t *rapid.T) json.Number {
		var v any = rapid.Int64().Draw(t, "int")
		if rapid.Bool().Draw(t, "float") {
			v = rapid.Float64Range(-1e19, 1e19).Draw(t, "f")
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return json.Number(b)
	})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 0xFF})))
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if ka, kb := string(appendValue(nil, a))+"\xff", string(appendValue(nil, b))+"\x00"; a != b && (a < b) != (ka < kb) {
			t.Errorf("%q and %q have keys %x and %x", a, b, ka, kb)
		}
		x, y := number.Draw(t, "x"), number.Draw(t, "y")
		kx, ky := string(appendValue(nil, x)), string(appendValue(nil, y))
		if got, want := strings.Compare(kx, ky), rat(x).Cmp(rat(y)); got != want {
			t.Errorf("%s and %s compare as %d, want %d: keys %x and %x", x, y, got, want, kx, ky)
		}
	})
}
