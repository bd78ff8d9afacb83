package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"citymarket/marketplace"
)

// A benchDoc is about 1 KB as JSON.
type benchDoc struct {
	Name   string   `json:"name"`
	Status string   `json:"status"`
	Topics []string `json:"topics"`
	N      int      `json:"n"`
	Text   string   `json:"text"`
}

const benchKind marketplace.Kind = "solution"

var benchSchema = marketplace.Schema{benchKind: {
	{Equal: []string{"status"}, Sort: "n"}, {Has: "topics", Sort: "n"},
}}

func newBenchDoc(i int) benchDoc {
	return benchDoc{
		Name: fmt.Sprint("Solution ", i), Status: fmt.Sprint("status", i%50), N: i * 7919 % 100_003,
		Topics: []string{fmt.Sprint("t", i%20), fmt.Sprint("u", i%30)}, Text: strings.Repeat("A sentence about it. ", 43),
	}
}

func benchID(i int) string { return fmt.Sprintf("sol_%08d", i) }

// filled is one store with 100,000 documents for all benchmarks that read.
var filled = sync.OnceValues(func() (*Store, error) {
	s, err := Open(filepath.Join(benchDir, "bench.db"), benchSchema)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for range maxBatch {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < 100_000; i = next.Add(1) - 1 {
				w := marketplace.Write{Kind: benchKind, ID: benchID(int(i)), Value: newBenchDoc(int(i)), Claims: []string{benchID(int(i))}}
				if _, err := s.Put(context.Background(), w); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
	return s, nil
})

func benchStore(b *testing.B) *Store {
	s, err := filled()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return s
}

func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "db"), benchSchema)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range clients {
				wg.Go(func() {
					for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
						w := marketplace.Write{Kind: benchKind, ID: benchID(i), Value: newBenchDoc(i), Claims: []string{benchID(i)}}
						if _, err := s.Put(b.Context(), w); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "db"), benchSchema)
	for rev := range b.N {
		w := marketplace.Write{Kind: benchKind, ID: "a", Rev: int64(rev), Value: newBenchDoc(rev), Claims: []string{"a"}}
		if _, err := s.Put(b.Context(), w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	for i := range b.N {
		if _, err := s.Get(b.Context(), benchKind, benchID(i*7919%100_000)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	ids := make([]any, 20)
	for i := range ids {
		ids[i] = benchID(i * 4999)
	}
	statuses := make([]any, 20)
	for i := range statuses {
		statuses[i] = fmt.Sprint("status", i)
	}
	for name, q := range map[string]marketplace.Query{
		"20ids":      {Where: []marketplace.Condition{{Field: "id", Op: marketplace.In, Values: ids}}, Limit: 20},
		"50equal":    {Where: []marketplace.Condition{{Field: "status", Op: marketplace.Eq, Value: "status7"}}, Sort: "n", Limit: 50},
		"50has":      {Where: []marketplace.Condition{{Field: "topics", Op: marketplace.Has, Value: "t7"}}, Sort: "n", Descending: true, Limit: 50},
		"50in20":     {Where: []marketplace.Condition{{Field: "status", Op: marketplace.In, Values: statuses}}, Sort: "n", Limit: 50},
		"1000byid":   {Limit: 1000},
		"50has,late": {Where: []marketplace.Condition{{Field: "topics", Op: marketplace.Has, Value: "t7"}, {Field: "n", Op: marketplace.Ge, Value: 70_000}}, Sort: "n", Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b)
			for range b.N {
				docs, err := s.Find(b.Context(), benchKind, q)
				if err != nil || len(docs) != q.Limit {
					b.Fatal(len(docs), err)
				}
			}
		})
	}
}

// One operation is a page of 100 changes.
func BenchmarkChanges(b *testing.B) {
	s := benchStore(b)
	var after marketplace.Cursor
	for range b.N {
		f, err := s.Changes(b.Context(), marketplace.FeedQuery{After: after, Limit: 100})
		if err != nil {
			b.Fatal(err)
		}
		if after = f.Next; len(f.Changes) < 100 {
			after = ""
		}
	}
}
