package search

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// benchSize is how many documents the benchmarks search: 10,000, or what
// CITYMARKET_BENCH_DOCUMENTS says.
func benchSize() int {
	n, _ := strconv.Atoi(os.Getenv("CITYMARKET_BENCH_DOCUMENTS"))
	return cmp.Or(n, 10_000)
}

// benchWords makes texts with the frequencies of a language: the n-th word is
// n times rarer than the first.
type benchWords struct {
	*rand.Rand
	zipf  *rand.Zipf
	words []string
}

func newBenchWords() *benchWords {
	r := rand.New(rand.NewPCG(1, 2))
	b := &benchWords{Rand: r, zipf: rand.NewZipf(r, 1.1, 4, 29_999)}
	parts := strings.Fields("ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu ar en il or us")
	for range 30_000 {
		var w strings.Builder
		for range 2 + r.IntN(3) {
			w.WriteString(parts[r.IntN(len(parts))])
		}
		b.words = append(b.words, w.String())
	}
	return b
}

func (b *benchWords) text(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = b.words[b.zipf.Uint64()]
	}
	return strings.Join(out, " ")
}

func (b *benchWords) han(n int) string {
	out := make([]rune, n)
	for i := range out {
		out[i] = 0x4e00 + rune(b.zipf.Uint64()%3000)
	}
	return string(out)
}

func (b *benchWords) entry(i int) marketplace.Entry {
	lang := []marketplace.Language{"en", "en", "en", "en", "en", "en", "es", "fr", "id", "zh"}[b.IntN(10)]
	e := marketplace.Entry{Kind: "solution", ID: fmt.Sprintf("sol_%08d", i), Rev: 1, Audience: []marketplace.Group{marketplace.Everyone},
		Newest: time.Unix(1_600_000_000+int64(i), 0),
		Keywords: map[marketplace.Field][]string{
			marketplace.FieldTopic: {"top_" + strconv.Itoa(b.IntN(60)), "dom_" + strconv.Itoa(b.IntN(9))}, marketplace.FieldCountry: {"C" + strconv.Itoa(b.IntN(90))},
			marketplace.FieldMaturity: {"M" + strconv.Itoa(b.IntN(4))}, marketplace.FieldPriceBand: {"P" + strconv.Itoa(b.IntN(5))}, marketplace.FieldMember: {"com_" + strconv.Itoa(b.IntN(500))}}}
	if lang == "zh" {
		e.Title = marketplace.Text{{Language: lang, Text: b.han(12)}}
		e.Body = []marketplace.Text{{{Language: lang, Text: b.han(150)}}}
	} else {
		e.Title = marketplace.Text{{Language: lang, Text: b.text(5)}}
		e.Body = []marketplace.Text{{{Language: lang, Text: b.text(95)}}}
	}
	return e
}

// benchDir is where bench is, which no single benchmark can remove.
var benchDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if benchDir != "" {
		os.RemoveAll(benchDir)
	}
	os.Exit(code)
}

// bench is the index that the benchmarks share.
var bench = sync.OnceValues(func() (*Index, *benchWords) {
	words, m := newBenchWords(), newMemory()
	for i := range benchSize() {
		m.put(words.entry(i))
	}
	benchDir = must(os.MkdirTemp("", "search"))
	dir := benchDir
	x := must(Open(dir, m, entryOf, discard))
	began := time.Now()
	go x.Follow(context.Background())
	if err := x.Wait(context.Background(), "solution", "none", 1); err != nil {
		panic(err)
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(dir, "index-*", "*.zap"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err == nil {
			size += info.Size()
		}
	}
	v := must(x.view())
	fmt.Printf("%d documents in %v, %d bytes a document, %d segments\n", benchSize(), time.Since(began).Round(time.Millisecond), size/int64(benchSize()), len(v.segments))
	return x, words
})

func BenchmarkSearch(b *testing.B) {
	x, words := bench()
	facets := []marketplace.FacetQuery{{Field: marketplace.FieldTopic, Size: 20}, {Field: marketplace.FieldCountry, Size: 20}, {Field: marketplace.FieldMaturity, Size: 20},
		{Field: marketplace.FieldPriceBand, Size: 20}, {Field: marketplace.FieldMember, Size: 20}}
	// Words of middling frequency, as people search for.
	word := func(i, k int) string { return words.words[20+(i*31+k*97)%600] }
	three := func(i int) string { return word(i, 0) + " " + word(i, 1) + " " + word(i, 2) }
	cursors := map[int]string{}
	for _, c := range []struct {
		name string
		q    func(i int) marketplace.FinderQuery
	}{
		{"words3", func(i int) marketplace.FinderQuery { return marketplace.FinderQuery{Text: three(i), Size: 20} }},
		{"words3facets5", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Text: three(i), Size: 20, Facets: facets}
		}},
		{"words3facets5filters3", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Text: three(i), Size: 20, Facets: facets, Where: []marketplace.Filter{{Field: marketplace.FieldTopic, Any: []string{"top_1", "dom_2", "dom_3"}},
				{Field: marketplace.FieldMaturity, Any: []string{"M1", "M2"}}, {Field: marketplace.FieldPriceBand, Any: []string{"P1", "P2", "P3"}}}}
		}},
		{"words3newest", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Text: three(i), Size: 20, Sort: marketplace.SortNewest}
		}},
		{"typo", func(i int) marketplace.FinderQuery {
			w := word(i, 0)
			return marketplace.FinderQuery{Text: w[:1] + "q" + w[1:] + " " + word(i, 1), Size: 20}
		}},
		{"nonsense", func(i int) marketplace.FinderQuery {
			var text strings.Builder
			for k := range 30 {
				text.WriteString(word(i, k)[:4] + "qx" + word(i+1, k)[:3] + " ")
			}
			return marketplace.FinderQuery{Text: text.String(), Size: 20}
		}},
		{"han4", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Text: string([]rune{0x4e00 + rune(i%50), 0x4e00 + rune(i%40), 0x4e00 + rune(i%30), 0x4e00 + rune(i%20)}), Size: 20}
		}},
		{"all", func(i int) marketplace.FinderQuery { return marketplace.FinderQuery{Size: 20} }},
		{"allfacets5", func(i int) marketplace.FinderQuery { return marketplace.FinderQuery{Size: 20, Facets: facets} }},
		{"allname", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Size: 20, Sort: marketplace.SortName}
		}},
		{"alldeep", func(i int) marketplace.FinderQuery {
			return marketplace.FinderQuery{Size: 20, After: cursors[0]}
		}},
		{"typing", func(i int) marketplace.FinderQuery {
			w := word(i, 0)
			return marketplace.FinderQuery{Text: word(i, 1) + " " + w[:2+len(w)/3], Typing: true, Size: 8}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			if c.name == "alldeep" && cursors[0] == "" {
				for range benchSize() / 200 {
					hits := find(b, x, marketplace.FinderQuery{Size: 100, After: cursors[0]}).Hits
					cursors[0] = hits[len(hits)-1].Cursor
				}
			}
			find(b, x, marketplace.FinderQuery{Size: 1, Sort: c.q(0).Sort, Facets: facets}) // reads the columns
			total := 0
			for i := 0; b.Loop(); i++ {
				total += find(b, x, c.q(i)).Total
			}
			b.ReportMetric(float64(total)/float64(b.N), "matches/op")
		})
	}
}

// BenchmarkColumns reports the memory of all columns that the searches above
// and the sorts in every language have read.
func BenchmarkColumns(b *testing.B) {
	x, _ := bench()
	for _, sort := range allSorts {
		for _, l := range []marketplace.Language{"en", "zh", "ko", "es"} {
			find(b, x, marketplace.FinderQuery{Size: 1, Sort: sort, Languages: []marketplace.Language{l}})
		}
	}
	bytes := 0
	for b.Loop() {
		bytes = x.ColumnBytes()
	}
	b.ReportMetric(float64(bytes)/float64(benchSize()), "bytes/document")
}

func BenchmarkHighlight(b *testing.B) {
	x, words := bench()
	texts := make([]marketplace.Translation, 20)
	for i := range texts {
		texts[i] = marketplace.Translation{Language: "en", Text: words.text(100)}
	}
	for b.Loop() {
		x.Highlight(context.Background(), words.words[1]+" "+words.words[30]+" "+words.words[40], texts...)
	}
}

// BenchmarkIndexing measures pages of 500 documents.
func BenchmarkIndexing(b *testing.B) {
	words := newBenchWords()
	x := must(Open(b.TempDir(), newMemory(), entryOf, discard))
	n := 0
	for b.Loop() {
		var feed marketplace.Feed
		for range pageSize {
			e := words.entry(n)
			n++
			feed.Changes = append(feed.Changes, marketplace.Change{Kind: e.Kind, Document: marketplace.Document{ID: e.ID, Rev: 1, Decode: func(into any) error {
				*into.(*marketplace.Entry) = e
				return nil
			}}})
		}
		feed.Next = marketplace.Cursor("0:" + strconv.Itoa(n))
		if _, err := x.apply(context.Background(), x.serving.Load(), &feed); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "us/document")
	if err := x.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkChange measures one change, from the write until a search sees it.
func BenchmarkChange(b *testing.B) {
	m := newMemory()
	x := start(b, b.TempDir(), m)
	rev := int64(0)
	for b.Loop() {
		rev++
		m.put(simple("a", rev, "Lantern"))
		if err := x.Wait(context.Background(), "solution", "a", rev); err != nil {
			b.Fatal(err)
		}
	}
}
