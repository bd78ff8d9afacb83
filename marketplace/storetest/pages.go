package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"citymarket/marketplace"
)

var pageTests = []test{
	{"Pages/TiesByID", testTies},
	{"Pages/InIsMerged", testMerged},
	{"Pages/WhileOthersChange", testPagesUnderChange},
}

func testTies(t *testing.T, o Opener) {
	s := open(t, o)
	var want []string
	for i := range 30 {
		id := fmt.Sprintf("%02d", i)
		put(t, s, marketplace.Write{Kind: things, ID: id, Value: note{N: i / 20, Group: "g"}})
		want = append(want, id)
	}
	for _, desc := range []bool{false, true} {
		for _, limit := range []int{1, 3, 10, 30} {
			for _, c := range [][]marketplace.Condition{nil, {where("group", marketplace.Eq, "g")}} {
				q := marketplace.Query{Where: c, Sort: "n", Descending: desc, Limit: limit}
				if got := walk(t, s, q); !slices.Equal(got, want) {
					t.Errorf("pages of %s\n got %q\nwant %q", show(q), got, want)
				}
			}
		}
		slices.Reverse(want)
	}
}

// In over a field merges its values in the order of the sort.
func testMerged(t *testing.T, o Opener) {
	s := open(t, o)
	ref := reference{}
	for i := range 300 {
		n := note{N: (i * 37) % 101, Group: fmt.Sprintf("g%02d", i%30)}
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprintf("%03d", i), Value: n})
		ref.put(fmt.Sprintf("%03d", i), n)
	}
	var groups []any
	for i := range 40 {
		groups = append(groups, fmt.Sprintf("g%02d", i*3%40))
	}
	for _, sort := range []string{"", "n"} {
		for _, desc := range []bool{false, true} {
			for _, values := range [][]any{groups[:1], groups[:7], groups} {
				q := marketplace.Query{Where: []marketplace.Condition{where("group", marketplace.In, values...)}, Sort: sort, Descending: desc, Limit: 4}
				want := ref.find(q)
				wantIDs(t, s, q, want[:4]...)
				q.Limit = 13
				if got := walk(t, s, q); !slices.Equal(got, want) {
					t.Errorf("pages of %s\n got %q\nwant %q", show(q), got, want)
				}
			}
		}
	}
}

// Whoever walks through the pages while other documents come, change and go
// sees every document that stays as it is exactly once, in order.
func testPagesUnderChange(t *testing.T, o Opener) {
	s := open(t, o)
	const still = 60
	var want []string
	for i := range still {
		id := fmt.Sprintf("still-%02d", i)
		want = append(want, id)
		put(t, s, marketplace.Write{Kind: things, ID: id, Value: note{N: i * 10, Group: "g"}})
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			revs := map[string]int64{}
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%s-%d-%d", []string{"a", "still", "z"}[i%3], w, i%20) // before, between and after
				write := marketplace.Write{Kind: things, ID: id, Rev: revs[id], Value: note{N: i * 7 % (still * 10), Group: "g"}}
				if revs[id] > 0 && i%5 == 0 {
					write.Value = nil
				}
				rev, err := s.Put(t.Context(), write)
				if err != nil {
					t.Error(err)
					return
				}
				if revs[id] = rev; write.Value == nil {
					revs[id] = 0
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	known := map[string]bool{}
	for _, id := range want {
		known[id] = true
	}
	for _, sort := range []string{"", "n"} {
		for _, desc := range []bool{false, true} {
			for _, group := range [][]any{nil, {"g", "other"}} {
				q := marketplace.Query{Sort: sort, Descending: desc, Limit: 7}
				if group != nil {
					q.Where = []marketplace.Condition{where("group", marketplace.In, group...)}
				}
				var got []string
				for _, id := range walk(t, s, q) {
					if known[id] {
						got = append(got, id)
					}
				}
				if desc {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("pages of %s, in ascending order\n got %q\nwant %q", show(q), got, want)
				}
			}
		}
	}
}
