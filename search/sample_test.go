package search_test

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
	"citymarket/seed"
)

// judged says what should be found in the sample marketplace, and by which
// queries; it explains its own format.
//
//go:embed testdata/judged.txt
var judged string

// The floors lie a little below what was measured: whoever makes search worse
// should know it, and whoever makes it better should raise them.
var sampleFloors = map[string]quality{
	"overall":   {nDCG: .64, recall: .71},
	"word":      {nDCG: .82, recall: .79},
	"phrase":    {nDCG: .67, recall: .67},
	"question":  {nDCG: .51, recall: .49},
	"typo":      {nDCG: .72, recall: .75},
	"form":      {nDCG: .69, recall: .80},
	"crossing":  {nDCG: .49, recall: .65},
	"name":      {nDCG: .95, recall: .92},
	"programme": {nDCG: .73, recall: .84},
}

// A need is what somebody is after, its judgements by slug, and the ways to
// ask for it.
type need struct {
	what    string
	as      marketplace.Group
	grades  map[string]int
	queries []judgedQuery
}

type judgedQuery struct{ sort, language, text string }

func readJudged(t *testing.T) (needs []*need) {
	t.Helper()
	number := 0
	for line := range strings.Lines(judged) {
		number++
		line = strings.TrimSpace(line)
		key, rest, _ := strings.Cut(line, " ")
		if line == "" || key == "#" {
			continue
		}
		if key == "=" {
			needs = append(needs, &need{what: rest, grades: make(map[string]int)})
			continue
		}
		n := needs[len(needs)-1]
		switch {
		case key == "1" || key == "2" || key == "3":
			for slug := range strings.FieldsSeq(rest) {
				if n.grades[slug] != 0 {
					t.Errorf("line %d: %s has two grades", number, slug)
				}
				n.grades[slug] = int(key[0] - '0')
			}
		case key == "as":
			n.as = marketplace.Group(rest)
		default:
			language, text, ok := strings.Cut(rest, " ")
			if _, known := sampleFloors[key]; !known || !ok {
				t.Fatalf("line %d: neither a judgement nor a query: %q", number, line)
			}
			n.queries = append(n.queries, judgedQuery{key, language, text})
		}
	}
	return needs
}

// quality is nDCG of the first 10 hits, a grade g counting 2^g-1, and how many of
// those judged 2 or 3 are among the first 20.
type quality struct {
	nDCG, recall float64
	queries      int
}

func (n *need) judge(slugs []string) quality {
	gain := func(grade, place int) float64 { return (math.Exp2(float64(grade)) - 1) / math.Log2(float64(place+2)) }
	var found, ideal float64
	good, all := 0, 0
	for i, slug := range slugs {
		if i < 10 {
			found += gain(n.grades[slug], i)
		}
		if n.grades[slug] >= 2 {
			good++
		}
	}
	var grades []int
	for _, grade := range n.grades {
		grades = append(grades, grade)
		if grade >= 2 {
			all++
		}
	}
	slices.Sort(grades)
	slices.Reverse(grades)
	for i, grade := range grades[:min(len(grades), 10)] {
		ideal += gain(grade, i)
	}
	return quality{found / ideal, float64(good) / float64(min(all, len(slugs), 20)), 1}
}

// sampleStore holds the network's members and the sample marketplace.
func sampleStore(t *testing.T) marketplace.Store {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "citymarket.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := seed.Load(t.Context(), marketplace.New(store, nil, marketplace.Options{}), seed.Options{Sample: true, Today: time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	return store
}

// sampleIndex is an index of the network's members and the sample marketplace.
func sampleIndex(t *testing.T) *search.Index {
	t.Helper()
	return indexOfStore(t, sampleStore(t))
}

// indexOfStore follows a store that was loaded before, so that it sees
// everything in the same order and few batches every time.
func indexOfStore(t *testing.T, store marketplace.Store) *search.Index {
	t.Helper()
	index, err := search.Open(filepath.Join(t.TempDir(), "index"), store, marketplace.Entries(store), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { index.Close() })
	ctx, stop := context.WithCancel(context.Background())
	following := make(chan error, 1)
	go func() { following <- index.Follow(ctx) }()
	t.Cleanup(func() { stop(); <-following })
	if err := index.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return index
}

// slugOf is the slug in the id of a sample document.
func slugOf(h marketplace.Hit) string { return strings.TrimPrefix(h.ID, string(h.Kind)+"_") }

func searchSample(t *testing.T, index *search.Index, q marketplace.FinderQuery) marketplace.Found {
	t.Helper()
	found, err := index.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// kindsOf returns which documents with a slug a viewer may find.
func kindsOf(t *testing.T, index *search.Index, groups []marketplace.Group) map[string][]marketplace.Kind {
	t.Helper()
	kinds := make(map[string][]marketplace.Kind)
	for q := (marketplace.FinderQuery{Groups: groups, Size: 100}); ; {
		found := searchSample(t, index, q)
		for _, h := range found.Hits {
			kinds[slugOf(h)] = append(kinds[slugOf(h)], h.Kind)
		}
		if !found.HasNext {
			return kinds
		}
		q.After = found.Hits[len(found.Hits)-1].Cursor
	}
}

func TestJudgedSample(t *testing.T) {
	t.Parallel()
	needs, index := readJudged(t), sampleIndex(t)
	visible := make(map[marketplace.Group]map[string][]marketplace.Kind)
	sums := make(map[string]quality)
	var missed []string
	for _, n := range needs {
		groups := []marketplace.Group{marketplace.Everyone}
		if n.as != "" {
			groups = append(groups, n.as)
		}
		if visible[n.as] == nil {
			visible[n.as] = kindsOf(t, index, groups)
		}
		for slug := range n.grades {
			kind, bare, ok := strings.Cut(slug, "/")
			switch kinds := visible[n.as][bare]; {
			case ok && !slices.Contains(kinds, marketplace.Kind(kind)):
				t.Errorf("%s: there is no %s that whoever asks may see", n.what, slug)
			case !ok && len(visible[n.as][slug]) != 1:
				t.Errorf("%s: %d documents have the slug %s, whoever asks must see exactly one", n.what, len(visible[n.as][slug]), slug)
			}
		}
		for _, query := range n.queries {
			found := searchSample(t, index, marketplace.FinderQuery{Text: query.text, Groups: groups, Sort: marketplace.SortRelevance, Size: 20})
			slugs := make([]string, 20)
			for i, h := range found.Hits {
				if slugs[i] = slugOf(h); len(visible[n.as][slugs[i]]) > 1 {
					slugs[i] = string(h.Kind) + "/" + slugs[i]
				}
			}
			q := n.judge(slugs)
			for _, key := range []string{"overall", query.sort, "language " + query.language} {
				s := sums[key]
				sums[key] = quality{s.nDCG + q.nDCG, s.recall + q.recall, s.queries + 1}
			}
			if q.nDCG < 0.1 {
				missed = append(missed, fmt.Sprintf("%s %s %s (%d found)", query.sort, query.language, query.text, found.Total))
			}
		}
	}
	var report strings.Builder
	fmt.Fprintf(&report, "\n%-18s %8s %8s %8s\n", "", "queries", "nDCG@10", "recall@20")
	keys := make([]string, 0, len(sums))
	for key := range sums {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return sums[b].queries - sums[a].queries })
	for _, key := range keys {
		s := sums[key]
		s.nDCG, s.recall = s.nDCG/float64(s.queries), s.recall/float64(s.queries)
		fmt.Fprintf(&report, "%-18s %8d %8.3f %8.3f\n", key, s.queries, s.nDCG, s.recall)
		if floor, ok := sampleFloors[key]; ok && (s.nDCG < floor.nDCG || s.recall < floor.recall) {
			t.Errorf("%s: nDCG@10 %.3f and recall@20 %.3f, at least %.3f and %.3f expected", key, s.nDCG, s.recall, floor.nDCG, floor.recall)
		}
	}
	t.Logf("%snext to nothing for:\n  %s", &report, strings.Join(missed, "\n  "))
}
