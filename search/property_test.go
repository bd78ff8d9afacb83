package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"citymarket/marketplace"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"pgregory.net/rapid"
)

var vocabulary = strings.Fields("alpha beta gamma delta epsilon zeta theta iota kappa lambda")

// An example is an entry of plain words, for which a model is easy.
type example struct {
	words    []string
	title    string
	country  []string
	topic    []string
	budget   float64 // 0: none
	newest   int64
	audience []marketplace.Group
	id       string
}

func (e example) entry() marketplace.Entry {
	out := marketplace.Entry{Kind: "solution", ID: e.id, Rev: 1, Audience: e.audience, Newest: time.Unix(e.newest, 0),
		Title: marketplace.Text{{Language: "de", Text: e.title}}, Body: []marketplace.Text{{{Language: "de", Text: strings.Join(e.words, " ")}}},
		Keywords: map[marketplace.Field][]string{"country": e.country, "topic": e.topic}, Numbers: map[marketplace.Field]float64{}}
	if e.budget != 0 {
		out.Numbers["deadline"] = e.budget
	}
	return out
}

var anExample = rapid.Custom(func(t *rapid.T) example {
	some := func(from []string, label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 3, rapid.ID).Draw(t, label)
	}
	return example{
		words: rapid.SliceOfN(rapid.SampledFrom(vocabulary), 0, 8).Draw(t, "words"), title: rapid.SampledFrom([]string{"x1", "X2 a", "äx", "ax", "zz", "x10"}).Draw(t, "title"),
		country: some([]string{"KR", "FR", "CI"}, "country"), topic: some([]string{"water", "waste", "energy", "air"}, "topic"),
		budget: rapid.SampledFrom([]float64{0, -2, -1, 1, 2, 3, 1.5, 1e12}).Draw(t, "budget"), newest: int64(rapid.IntRange(0, 3).Draw(t, "newest")),
		audience: rapid.SampledFrom([][]marketplace.Group{{"everyone"}, {"everyone"}, {"secretariat"}, {"com_1", "secretariat"}, nil}).Draw(t, "audience"),
	}
})

// model answers a query by looking at every example: the matches without
// regard of one field's filters, and how many words each must have.
func model(list []example, q marketplace.FinderQuery) (matches func(without marketplace.Field) []example) {
	asked := map[string]bool{}
	for _, w := range strings.Fields(q.Text) {
		asked[w] = true
	}
	have := func(e example) (n int) {
		for w := range asked {
			if slices.Contains(e.words, w) {
				n++
			}
		}
		return n
	}
	passes := func(e example, without marketplace.Field) bool {
		if !slices.ContainsFunc(e.audience, func(g marketplace.Group) bool { return slices.Contains(q.Groups, g) }) {
			return false
		}
		for _, f := range q.Where {
			values := e.entry().Keywords[f.Field]
			x, ok := e.entry().Numbers[f.Field]
			switch {
			case f.Field == without:
			case len(f.Any) > 0 && !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(f.Any, v) }):
				return false
			case (f.Min != nil || f.Max != nil) && (!ok || f.Min != nil && x < *f.Min || f.Max != nil && x > *f.Max):
				return false
			}
		}
		return true
	}
	counts := make([]int, maxUnits+1)
	for _, e := range list {
		if passes(e, "") {
			counts[have(e)]++
		}
	}
	need := 0
	if len(asked) > 0 {
		need = len(asked) + 1
		for found := 0; need > 1 && (enough{}).more(found); {
			need--
			found += counts[need]
		}
	}
	if q.AllWords {
		need = len(asked)
	}
	return func(without marketplace.Field) (out []example) {
		for _, e := range list {
			if passes(e, without) && have(e) >= need {
				out = append(out, e)
			}
		}
		return out
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(anExample, 0, 40).Draw(t, "entries")
		m := newMemory()
		for i := range list {
			list[i].id = fmt.Sprintf("s%02d", i*7%50)
			m.put(list[i].entry())
		}
		// Some are written twice and some deleted, so that segments have holes.
		for i := range list {
			if i%5 == 0 {
				e := list[i].entry()
				e.Rev = 2
				m.put(e)
			}
		}
		list = slices.DeleteFunc(list, func(e example) bool {
			if e.id < "s10" {
				m.delete("solution", e.id, 3)
				return true
			}
			return false
		})
		x, stop := scratch(t, m)
		defer stop()
		one := 1.0
		q := marketplace.FinderQuery{
			Text:   strings.Join(rapid.SliceOfN(rapid.SampledFrom(vocabulary), 0, 4).Draw(t, "text"), " "),
			Groups: rapid.SampledFrom([][]marketplace.Group{{"everyone"}, {"everyone", "com_1"}, {"secretariat"}, nil}).Draw(t, "groups"),
			Where: rapid.SliceOfN(rapid.SampledFrom([]marketplace.Filter{
				{Field: "country", Any: []string{"KR", "CI"}}, {Field: "topic", Any: []string{"water"}}, {Field: "topic", Any: []string{"waste", "nothing"}},
				{Field: "deadline", Min: &one}, {Field: "deadline", Max: &one}, {Field: "nothing", Any: []string{"KR"}}}), 0, 3).Draw(t, "where"),
			Sort:      rapid.SampledFrom([]marketplace.SortOrder{"RELEVANCE", "NEWEST", "NAME", "DEADLINE", "?"}).Draw(t, "sort"),
			Languages: rapid.SampledFrom([][]marketplace.Language{nil, {"es"}, {"ko"}, {"fr"}}).Draw(t, "languages"),
			Size:      100,
			AllWords:  rapid.Bool().Draw(t, "all words"),
			Facets:    []marketplace.FacetQuery{{Field: "country", Size: 300}, {Field: "topic", Size: 2}, {Field: "kind", Size: 1}},
		}
		for _, w := range strings.Fields(q.Text) { // a word that nothing contains is mended, which the model is not
			if !slices.ContainsFunc(list, func(e example) bool { return slices.Contains(e.words, w) }) {
				return
			}
		}
		matches := model(list, q)
		all := must(x.Search(context.Background(), q))[0]
		want := matches("")
		if all.Total != len(want) || len(all.Hits) != len(want) || all.HasNext || all.HasPrev {
			t.Fatalf("total %d, %d hits, %v; want %d", all.Total, len(all.Hits), all, len(want))
		}
		for i, facet := range all.Facets {
			counts := map[string]int{}
			for _, e := range matches(facet.Field) {
				for _, v := range append(e.entry().Keywords[facet.Field], map[bool][]string{true: {"solution"}}[facet.Field == "kind"]...) {
					counts[v]++
				}
			}
			var buckets []marketplace.Bucket
			for v, n := range counts {
				buckets = append(buckets, marketplace.Bucket{Value: v, Count: n})
			}
			slices.SortFunc(buckets, func(a, b marketplace.Bucket) int {
				return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
			})
			buckets = buckets[:min(len(buckets), q.Facets[i].Size)]
			if !slices.Equal(facet.Buckets, buckets) {
				t.Fatalf("facet %s: %v, want %v", facet.Field, facet.Buckets, buckets)
			}
		}
		counted := q
		counted.Size = 0
		if none := must(x.Search(context.Background(), counted))[0]; none.Total != all.Total || len(none.Hits) > 0 {
			t.Fatalf("without hits: %+v, want a total of %d", none, all.Total)
		}
		// The order is the one asked for.
		byID := map[string]example{}
		for _, e := range list {
			byID[e.id] = e
		}
		english := collate.New(language.English, collate.Loose, collate.Numeric)
		for i := 1; i < len(all.Hits); i++ {
			a, b := byID[all.Hits[i-1].ID], byID[all.Hits[i].ID]
			c := 0
			deadline := func(e example) float64 { return cmp.Or(e.budget, 1e18) }
			switch {
			case q.Sort == "NAME":
				c = english.CompareString(a.title, b.title)
			case q.Sort == "DEADLINE":
				c = cmp.Compare(deadline(a), deadline(b))
			case q.Sort == "NEWEST" || q.Text == "":
				c = cmp.Compare(b.newest, a.newest)
			default:
				c = cmp.Or(cmp.Compare(all.Hits[i].Score, all.Hits[i-1].Score), cmp.Compare(b.newest, a.newest))
			}
			if cmp.Or(c, cmp.Compare(a.id, b.id)) >= 0 {
				t.Fatalf("%s: %v before %v", q.Sort, a, b)
			}
		}
		// Pages, forwards and backwards, show each once in the same order.
		size := rapid.IntRange(1, 7).Draw(t, "size")
		q.Facets, q.Size = nil, size
		var forward, backward []marketplace.Hit
		for page := all; ; {
			page = must(x.Search(context.Background(), q))[0]
			forward = append(forward, page.Hits...)
			if page.Total != all.Total || page.HasPrev != (q.After != "") {
				t.Fatalf("page %+v", page)
			}
			if !page.HasNext {
				break
			}
			q.After = page.Hits[len(page.Hits)-1].Cursor
		}
		q.After, q.Last = "", true
		for {
			page := must(x.Search(context.Background(), q))[0]
			backward = append(slices.Clone(page.Hits), backward...)
			if page.HasNext != (q.Before != "") {
				t.Fatalf("page %+v", page)
			}
			if !page.HasPrev {
				break
			}
			q.Before = page.Hits[0].Cursor
		}
		if !slices.Equal(forward, all.Hits) || !slices.Equal(backward, all.Hits) {
			t.Fatalf("all %v\nforward %v\nbackward %v", all.Hits, forward, backward)
		}
		// Between two cursors.
		if n := len(all.Hits); n > 2 {
			q.After, q.Before, q.Size = all.Hits[0].Cursor, all.Hits[n-1].Cursor, 100
			if page := must(x.Search(context.Background(), q))[0]; !slices.Equal(page.Hits, all.Hits[1:n-1]) || !page.HasNext || !page.HasPrev {
				t.Fatalf("between: %+v", page)
			}
		}
	})
}

// scratch makes an index inside a property, whose T has no Cleanup of the test's.
func scratch(t *rapid.T, m *memory) (*Index, func()) {
	dir := must(os.MkdirTemp("", "search"))
	x := must(Open(dir, m, entryOf, discard))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Follow(ctx) }()
	stop := func() {
		cancel()
		<-done
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
	if err := x.Wait(context.Background(), "none", "none", 1); err != nil {
		t.Fatal(err)
	}
	return x, stop
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		n    int
	}{{"smart", "smart", 0}, {"smrat", "smart", 1}, {"smat", "smart", 1}, {"xmart", "smart", 1}, {"tráfco", "tráfico", 1}, {"park", "perks", 2}, {"", "ab", 2}, {"kitten", "sitting", 3}} {
		for edits := range 5 {
			if got := within(c.a, c.b, edits); got != (edits >= c.n) {
				t.Errorf("within(%q, %q, %d) = %v", c.a, c.b, edits, got)
			}
		}
	}
}

func TestSortable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if cmp.Compare(a, b) != strings.Compare(sortable(a), sortable(b)) || number(ordinal(a)) != a {
			t.Fatal(a, b)
		}
	})
}

// TestEnough pins how many words a match must have.
func TestEnough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have []int // matches with exactly 0, 1, 2... of the words
		want int
	}{
		{[]int{0, 500}, 1},
		{[]int{0, 500, 60}, 2},     // plenty have both
		{[]int{0, 500, 30}, 1},     // few have: those with one come after them
		{[]int{0, 500, 0}, 1},      // or nothing has both
		{[]int{0, 500, 60, 30}, 2}, // two of three, since 30 is less than plenty
		{[]int{0, 500, 60, 52}, 3}, // plenty
		{[]int{0, 0, 0, 0}, 1},     // nothing
	} {
		asked, found := len(c.have)-1, 0
		got := asked + 1
		for got > 1 && (enough{}).more(found) {
			got--
			found += c.have[got]
		}
		if got != c.want {
			t.Errorf("%v: got %d, want %d", c.have, got, c.want)
		}
	}
}

// fuzzIndex is what the fuzz tests search: the corpus, and as many generated
// documents as CITYMARKET_BENCH_DOCUMENTS says. Where it says something, no
// answer may take 100 ms:
//
//	CITYMARKET_BENCH_DOCUMENTS=10000 go test -run xxx -fuzz FuzzText -fuzztime 10m ./search
func fuzzIndex(f *testing.F) func(t *testing.T, q marketplace.FinderQuery) marketplace.Found {
	entries := corpusEntries()
	_, timed := os.LookupEnv("CITYMARKET_BENCH_DOCUMENTS")
	if timed {
		words := newBenchWords()
		for i := range benchSize() {
			entries = append(entries, words.entry(i))
		}
	}
	x := indexOf(f, entries)
	return func(t *testing.T, q marketplace.FinderQuery) marketplace.Found {
		quickest := time.Hour // the machine may be busy with something else
		for range 5 {
			began := time.Now()
			found, err := x.Search(context.Background(), q)
			if errors.Is(err, marketplace.ErrBadCursor) {
				return marketplace.Found{}
			} else if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			if quickest = min(quickest, time.Since(began)); !timed || quickest < 100*time.Millisecond {
				return found[0]
			}
		}
		t.Fatalf("%+v took %v", q, quickest)
		return marketplace.Found{}
	}
}

func FuzzText(f *testing.F) {
	for line := range strings.Lines(queries + corpus) {
		f.Add(strings.TrimSpace(line))
	}
	f.Add("\xff\xfe parking \x80")
	f.Add(strings.Repeat("a", 100_000))
	f.Add(strings.Repeat("q w e r t y ", 1000))
	f.Add("*:* field:x~2 \"a b\"^4 +(-/.*/)")
	f.Add("ㅅㅡㅁㅏ ﷺ ½ ǆ ﬁ 🏙️ e\u0301\u0301\u0301")
	search, x := fuzzIndex(f), indexOf(f, nil)
	f.Fuzz(func(t *testing.T, text string) {
		for _, typing := range []bool{false, true} {
			search(t, marketplace.FinderQuery{Text: text, Typing: typing, Size: 3, Groups: []marketplace.Group{"everyone"}})
		}
		runes := utf8.RuneCountInString(text)
		for _, query := range []string{text, "parking 智慧 주차"} {
			last := -1
			for _, r := range x.Highlight(context.Background(), query, marketplace.Translation{Language: "tr", Text: text})[0] {
				if r.Start <= last || r.End <= r.Start || r.End > runes {
					t.Fatalf("%q in %q: %v", query, text, r)
				}
				last = r.End
			}
		}
		for _, f := range x.Explain(context.Background(), text, marketplace.Translation{Language: "en", Text: "parking 智慧 주차"}, marketplace.Translation{Language: "zh", Text: text}) {
			if f.Words == "" || !slices.Contains(marketplace.WordForms, f.Form) || f.Range.Start < 0 || f.Range.End <= f.Range.Start || f.Text == 1 && f.Range.End > runes {
				t.Fatalf("%q: %+v", text, f)
			}
		}
		for _, tok := range tokenize(text) {
			if tok.writing == words && len(tok.text) > maxToken || !utf8.ValidString(tok.text) || tok.text == "" {
				t.Fatalf("token %q of %q", tok.text, text)
			}
		}
	})
}

var allSorts = []marketplace.SortOrder{marketplace.SortRelevance, marketplace.SortNewest, marketplace.SortName, marketplace.SortDeadline}

func FuzzCursor(f *testing.F) {
	x := indexOf(f, corpusEntries())
	for _, sort := range allSorts {
		f.Add(find(f, x, marketplace.FinderQuery{Text: "smart", Sort: sort, Size: 1}).Hits[0].Cursor)
	}
	f.Add("")
	f.Add(strings.Repeat("A", 2000))
	search := fuzzIndex(f)
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, sort := range allSorts {
			for _, text := range []string{"", "smart"} {
				for _, q := range []marketplace.FinderQuery{{After: cursor}, {Before: cursor, Last: true}, {After: cursor, Before: cursor}} {
					q.Text, q.Sort, q.Size, q.Groups = text, sort, 5, []marketplace.Group{"everyone"}
					search(t, q)
				}
			}
		}
	})
}

// FuzzFilter sends whatever can stand beside the text, and holds that every
// filter can only take away, that a facet is counted without its own, and
// that its counts fit the total.
func FuzzFilter(f *testing.F) {
	f.Add("country", "KR", "topic", "top_1", 1.0, 2.0, "NAME", "ko", 3, "solution")
	f.Add("kind", "solution", "deadline", "", -1e300, 1e300, "DEADLINE", "es-MX", 100, "")
	f.Add("_id", "solution/parking", "text.en", "park", math.Inf(-1), math.Inf(1), "", "", -1, "\xff")
	f.Add("audience", "secretariat", "", "\x00", math.NaN(), 0.0, "?", "zz", 1<<40, "topic")
	search := fuzzIndex(f)
	f.Fuzz(func(t *testing.T, field, value, other, second string, low, high float64, sort, language string, size int, kind string) {
		q := marketplace.FinderQuery{Text: "smart parking", Groups: []marketplace.Group{"everyone"}, Size: size, Sort: marketplace.SortOrder(sort), Languages: []marketplace.Language{marketplace.Language(language)},
			Facets: []marketplace.FacetQuery{{Field: marketplace.Field(field), Size: size}, {Field: marketplace.FieldKind, Size: 300}}}
		if kind != "" {
			q.Kinds = []marketplace.Kind{marketplace.Kind(kind)}
		}
		for _, text := range []string{"", q.Text} {
			q.Text, q.Where = text, nil
			total := search(t, q).Total
			for _, w := range []marketplace.Filter{{Field: marketplace.Field(field), Any: []string{value, second}}, {Field: marketplace.Field(other), Any: []string{second}}, {Field: marketplace.Field(other), Min: &low, Max: &high}} {
				q.Where = append(q.Where, w)
				found := search(t, q)
				if text == "" && found.Total > total || len(found.Hits) > min(max(size, 0), 100, found.Total) {
					t.Fatalf("%+v: %d of %d, %d hits", q, found.Total, total, len(found.Hits))
				}
				total = found.Total
				sum := 0
				for _, b := range found.Facets[1].Buckets { // every entry has one kind
					sum += b.Count
				}
				if field != string(marketplace.FieldKind) && other != string(marketplace.FieldKind) && sum != total {
					t.Fatalf("%+v: kinds add up to %d of %d", q, sum, total)
				}
			}
		}
	})
}

// TestCursorsHold reads every order page by page while documents before,
// between and after the pages come, change and go: whoever was there all the
// time is shown once, and in order.
func TestCursorsHold(t *testing.T) {
	t.Parallel()
	m := newMemory()
	entry := func(name, id string, rev int64, n int) marketplace.Entry {
		return marketplace.Entry{Kind: "solution", ID: id, Rev: rev, Audience: []marketplace.Group{"everyone"}, Newest: time.Unix(int64(n%7), 0),
			Title: marketplace.Text{{Language: "en", Text: fmt.Sprintf("%s lamp %d", name, n%5)}}, Numbers: map[marketplace.Field]float64{marketplace.FieldDeadline: float64(n % 3)}}
	}
	stay := map[string]bool{}
	for n := range 60 {
		id := fmt.Sprintf("stay_%02d", n)
		stay[id] = true
		m.put(entry("bright", id, 1, n))
	}
	for n := range 40 {
		m.put(entry("dim", fmt.Sprintf("come_%02d", n), 1, n))
	}
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	rev, n := int64(1), 0
	for _, backwards := range []bool{false, true} {
		for _, q := range []marketplace.FinderQuery{{Sort: marketplace.SortNewest}, {Sort: marketplace.SortName}, {Sort: marketplace.SortDeadline}, {Sort: marketplace.SortName, Text: "lamp"}} {
			q.Size, q.Last = 7, backwards
			seen := map[string]bool{}
			for {
				page := find(t, x, q)
				for _, hit := range page.Hits {
					if stay[hit.ID] && seen[hit.ID] {
						t.Errorf("%+v: %s twice", q, hit.ID)
					}
					seen[hit.ID] = true
				}
				if len(page.Hits) == 0 {
					break
				}
				if q.After = page.Hits[len(page.Hits)-1].Cursor; backwards {
					q.After, q.Before = "", page.Hits[0].Cursor
				}
				rev++
				for range 5 { // the place that the cursor names may be among them
					n++
					if e := entry("dim", fmt.Sprintf("come_%02d", n%40), rev*1000+int64(n), n*3); n%3 == 0 {
						m.delete(e.Kind, e.ID, e.Rev)
					} else {
						m.put(e)
					}
				}
				settle(t, x, m)
			}
			for id := range stay {
				if !seen[id] {
					t.Errorf("%+v: %s is missing", q, id)
				}
			}
		}
	}
}

func TestWrongCursor(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	hit := find(t, x, marketplace.FinderQuery{Size: 1}).Hits[0]
	for _, q := range []marketplace.FinderQuery{{After: "?"}, {Before: "AA"}, {After: hit.Cursor, Sort: marketplace.SortName}, {After: hit.Cursor, Text: "smart"}} {
		if _, err := x.Search(context.Background(), q); !errors.Is(err, marketplace.ErrBadCursor) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
