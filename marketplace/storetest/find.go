package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

var findTests = []test{
	{"Find/EveryIndex", testEveryIndex},
	{"Find/MissingAndNull", testMissing},
	{"Find/ByID", testByID},
	{"Find/ByIDAndMore", testByIDAndMore},
	{"Find/Numbers", testNumbers},
	{"Find/Strings", testStrings},
	{"Find/Times", testTimes},
	{"Find/ArraysChange", testArraysChange},
	{"Find/NoIndex", testNoIndex},
	{"Find/Limits", testFindLimits},
	{"Find/NewIndexes", testNewIndexes},
}

type level string

// A project has a field of every type that a condition or a sort can name.
type project struct {
	Name   string    `json:"name"`
	Level  level     `json:"level"`
	Open   bool      `json:"open"`
	Size   int       `json:"size"`
	Weight float64   `json:"weight"`
	Start  time.Time `json:"start"`
	Place  struct {
		Country string    `json:"country"`
		Opened  time.Time `json:"opened"`
		Langs   []level   `json:"langs,omitempty"`
	} `json:"place"`
	Rank        *int       `json:"rank,omitempty"` // missing
	Score       *float64   `json:"score"`          // null
	Tags        []string   `json:"tags"`
	Numbers     []int      `json:"numbers,omitempty"`
	Dates       []when     `json:"dates"`
	Deployments []deployed `json:"deployments"`
}

type when = time.Time

type deployed struct {
	Member string   `json:"member,omitempty"`
	Year   int      `json:"year"`
	Topics []string `json:"topics"`
}

var projectIndexes = []marketplace.Index{
	{Sort: "name"}, {Sort: "level"}, {Sort: "open"}, {Sort: "size"}, {Sort: "weight"}, {Sort: "start"},
	{Sort: "place.country"}, {Sort: "place.opened"}, {Sort: "rank"}, {Sort: "score"},
	{Equal: []string{"name"}}, {Equal: []string{"level"}}, {Equal: []string{"size"}}, {Equal: []string{"weight"}},
	{Equal: []string{"place.country"}, Sort: "start"},
	{Equal: []string{"start"}, Sort: "name"}, {Equal: []string{"rank"}, Sort: "size"}, {Equal: []string{"score"}},
	{Equal: []string{"open"}, Sort: "size"}, {Equal: []string{"level", "place.country"}, Sort: "name"},
	{Equal: []string{"open", "level", "size"}, Sort: "rank"},
	{Has: "tags"}, {Has: "tags", Sort: "start"}, {Has: "numbers", Sort: "weight"}, {Has: "dates", Sort: "score"},
	{Has: "place.langs", Sort: "rank"},
	{Has: "deployments.member", Sort: "place.country"}, {Has: "deployments.topics", Sort: "open"},
	{Equal: []string{"level"}, Has: "tags", Sort: "name"},
	{Equal: []string{"open", "place.country"}, Has: "deployments.year", Sort: "rank"},
}

// field values of projects, for documents and conditions; few, so that there are ties.
var (
	names   = []any{"", "a", "A", "ab", "b", "Ärger", "zebra", "\U0001F680", "a\x01b", "日本"}
	levels  = []any{level("idea"), level("draft"), level("done")}
	bools   = []any{true, false}
	sizes   = []any{-100, -1, 0, 1, 2, 10, 100}
	weights = []any{-2.5, 0.0, 0.1, 1.0, 1.5, 1e9, 1e-9}
	starts  = []any{time.Unix(0, 0).UTC(), time.Unix(1_700_000_000, 0).UTC(), time.Unix(1_700_000_001, 0).UTC(), time.Date(999, 1, 2, 3, 4, 5, 0, time.UTC)}
	places  = []any{"NO", "DK", "SE", "no"}
	tags    = []any{"a", "b", "ab", "Å", ""}
	years   = []any{1999, 2026, -5}
	members = []any{"oslo", "oslo2", "bergen"}
)

func fieldValues(path string) []any {
	return map[string][]any{
		"name": names, "level": levels, "open": bools, "size": sizes, "weight": weights, "start": starts,
		"place.country": places, "place.opened": starts, "place.langs": levels, "rank": sizes, "score": weights,
		"tags": tags, "numbers": sizes, "dates": starts,
		"deployments.member": members, "deployments.year": years, "deployments.topics": tags,
	}[path]
}

func pick[T any](r *rand.Rand, from []any) T { return from[r.IntN(len(from))].(T) }

func few[T any](r *rand.Rand, from []any) (list []T) {
	for range r.IntN(4) {
		list = append(list, pick[T](r, from))
	}
	return list
}

func randomProject(r *rand.Rand) project {
	p := project{
		Name: pick[string](r, names), Level: pick[level](r, levels), Open: pick[bool](r, bools), Size: pick[int](r, sizes),
		Weight: pick[float64](r, weights), Start: pick[time.Time](r, starts),
		Tags: few[string](r, tags), Numbers: few[int](r, sizes), Dates: few[when](r, starts),
	}
	p.Place.Country, p.Place.Opened, p.Place.Langs = pick[string](r, places), pick[time.Time](r, starts), few[level](r, levels)
	if r.IntN(3) > 0 {
		n, f := pick[int](r, sizes), pick[float64](r, weights)
		p.Rank, p.Score = &n, &f
	}
	for range r.IntN(4) {
		d := deployed{Year: pick[int](r, years), Topics: few[string](r, tags)}
		if r.IntN(3) > 0 {
			d.Member = pick[string](r, members)
		}
		p.Deployments = append(p.Deployments, d)
	}
	return p
}

// randomQuery makes a query that the index answers.
func randomQuery(r *rand.Rand, ix marketplace.Index) marketplace.Query {
	q := marketplace.Query{Sort: ix.Sort, Descending: r.IntN(2) == 0, Limit: marketplace.MaxPage}
	for _, f := range ix.Equal {
		values := slices.Clone(fieldValues(f))
		if r.IntN(3) == 0 {
			q.Where = append(q.Where, where(f, marketplace.Eq, values[r.IntN(len(values))]))
			continue
		}
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		values = values[:1+r.IntN(len(values))]
		q.Where = append(q.Where, where(f, marketplace.In, append(values, values[0])...)) // one of them twice
	}
	if ix.Has != "" {
		q.Where = append(q.Where, where(ix.Has, marketplace.Has, pick[any](r, fieldValues(ix.Has))))
	}
	if ix.Sort != "" {
		for _, op := range []marketplace.Op{marketplace.Lt, marketplace.Ge} {
			if r.IntN(4) == 0 {
				q.Where = append(q.Where, where(ix.Sort, op, pick[any](r, fieldValues(ix.Sort))))
			}
		}
	}
	r.Shuffle(len(q.Where), func(i, j int) { q.Where[i], q.Where[j] = q.Where[j], q.Where[i] })
	return q
}

// Every declared index answers every query that fits it as the reference
// does, whole and in pages, after documents were created, changed and deleted.
func testEveryIndex(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: projectIndexes})
	r := rand.New(rand.NewPCG(1, 2))
	ref := reference{}
	for i := range 80 {
		id := fmt.Sprintf("%c%d", "bca"[i%3], i)
		p := randomProject(r)
		rev := put(t, s, marketplace.Write{Kind: things, ID: id, Value: p})
		if i%4 == 0 {
			p = randomProject(r)
			rev = put(t, s, marketplace.Write{Kind: things, ID: id, Rev: rev, Value: p})
		}
		if i%10 == 0 {
			put(t, s, marketplace.Write{Kind: things, ID: id, Rev: rev})
			continue
		}
		ref.put(id, p)
	}
	checkAll(t, s, ref, wantProject)
	found := 0
	for _, ix := range append(projectIndexes, marketplace.Index{}) {
		for range 5 {
			q := randomQuery(r, ix)
			want := ref.find(q)
			found += len(want)
			wantIDs(t, s, q, want...)
			q.Limit = 1 + r.IntN(9)
			if got := walk(t, s, q); !slices.Equal(got, want) {
				t.Errorf("pages of %s\n got %q\nwant %q", show(q), got, want)
			}
		}
	}
	if found < 500 {
		t.Errorf("the queries found only %d documents: they test little", found)
	}
}

func wantProject(t *testing.T, d marketplace.Document, want any) {
	t.Helper()
	var p project
	if err := d.Decode(&p); err != nil {
		t.Error(err)
	} else if got := plain(p); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, want %v", d.ID, got, want)
	}
}

// checkAll compares all documents of a store to those of the reference.
func checkAll(t *testing.T, s marketplace.Store, ref reference, same func(*testing.T, marketplace.Document, any)) {
	t.Helper()
	docs := find(t, s, marketplace.Query{Limit: marketplace.MaxPage})
	if got, want := idsOf(docs), ref.find(marketplace.Query{}); !slices.Equal(got, want) {
		t.Fatalf("the store holds %q, want %q", got, want)
	}
	for _, d := range docs {
		same(t, d, ref[d.ID])
	}
}

func testMissing(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: projectIndexes})
	zero, half := 0, 0.5
	put(t, s, marketplace.Write{Kind: things, ID: "b-none", Value: project{}})
	put(t, s, marketplace.Write{Kind: things, ID: "a-none", Value: project{}})
	put(t, s, marketplace.Write{Kind: things, ID: "c-zero", Value: project{Rank: &zero, Score: &half, Tags: []string{""}}})
	// Not even the struct around the field is there.
	put(t, s, marketplace.Write{Kind: things, ID: "d-bare", Value: struct{}{}})
	for _, f := range []string{"rank", "score"} {
		wantIDs(t, s, marketplace.Query{Sort: f, Limit: 9}, "a-none", "b-none", "d-bare", "c-zero")
		wantIDs(t, s, marketplace.Query{Sort: f, Descending: true, Limit: 9}, "c-zero", "d-bare", "b-none", "a-none")
		wantIDs(t, s, marketplace.Query{Sort: f, Limit: 9, Where: []marketplace.Condition{where(f, marketplace.Lt, 7.5)}}, "c-zero")
		wantIDs(t, s, marketplace.Query{Sort: f, Limit: 9, Where: []marketplace.Condition{where(f, marketplace.Ge, -3)}}, "c-zero")
		for _, desc := range []bool{false, true} {
			q := marketplace.Query{Sort: f, Descending: desc, Limit: 1}
			if got := walk(t, s, q); len(got) != 4 {
				t.Errorf("pages of %s: %q", show(q), got)
			}
		}
	}
	wantIDs(t, s, marketplace.Query{Sort: "place.country", Limit: 9}, "d-bare", "a-none", "b-none", "c-zero")
	wantIDs(t, s, marketplace.Query{Limit: 9, Where: []marketplace.Condition{where("tags", marketplace.Has, "")}}, "c-zero")
	wantIDs(t, s, marketplace.Query{Limit: 9, Where: []marketplace.Condition{where("level", marketplace.Eq, level(""))}}, "a-none", "b-none", "c-zero")
	wantIDs(t, s, marketplace.Query{Limit: 9, Where: []marketplace.Condition{where("score", marketplace.In, 0.5, 0)}}, "c-zero")
}

func testByID(t *testing.T, o Opener) {
	s := open(t, o)
	var all []string
	for i := range 50 {
		id := fmt.Sprintf("id-%02d", i)
		all = append(all, id)
		put(t, s, marketplace.Write{Kind: things, ID: id, Value: note{N: i}})
	}
	put(t, s, marketplace.Write{Kind: others, ID: "id-00x", Value: note{}})
	wantIDs(t, s, marketplace.Query{Limit: 100}, all...)
	back := slices.Clone(all)
	slices.Reverse(back)
	wantIDs(t, s, marketplace.Query{Limit: 100, Descending: true}, back...)
	for _, limit := range []int{1, 7, 50} {
		if got := walk(t, s, marketplace.Query{Limit: limit}); !slices.Equal(got, all) {
			t.Errorf("pages of %d by id: %q", limit, got)
		}
	}

	many := make([]any, 0, marketplace.MaxValues)
	for i := range marketplace.MaxValues {
		if i%20 == 0 {
			many = append(many, all[(i*7)%50])
		} else {
			many = append(many, fmt.Sprint("missing ", i))
		}
	}
	var want []string
	for _, id := range all {
		if slices.Contains(many, any(id)) {
			want = append(want, id)
		}
	}
	in := []marketplace.Condition{where("id", marketplace.In, many...)}
	wantIDs(t, s, marketplace.Query{Where: in, Limit: 1000}, want...)
	wantIDs(t, s, marketplace.Query{Where: in, Limit: 2}, want[:2]...)
	if got := walk(t, s, marketplace.Query{Where: in, Limit: 3}); !slices.Equal(got, want) {
		t.Errorf("pages of In on id: %q, want %q", got, want)
	}
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("id", marketplace.Eq, "id-07")}, Limit: 5}, "id-07")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("id", marketplace.Eq, "id-7")}, Limit: 5})
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{
		where("id", marketplace.Eq, "id-07"), where("id", marketplace.In, "id-08", "id-07")}, Limit: 5}, "id-07")
	for _, d := range find(t, s, marketplace.Query{Where: in, Limit: 5}) {
		var n note
		if err := d.Decode(&n); err != nil || fmt.Sprintf("id-%02d", n.N) != d.ID || d.Rev != 1 {
			t.Errorf("%s at revision %d holds %+v (%v)", d.ID, d.Rev, n, err)
		}
	}
}

// A condition on the id narrows any query that an index answers.
func testByIDAndMore(t *testing.T, o Opener) {
	s := open(t, o)
	for i := range 12 {
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprint("id-", i), Value: note{N: -i / 2, Group: fmt.Sprint("g", i%2)}})
	}
	some := where("id", marketplace.In, "id-1", "id-3", "id-4", "id-5", "id-x", "id-11")
	odd := where("group", marketplace.Eq, "g1")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{some}, Sort: "n", Limit: 9}, "id-11", "id-4", "id-5", "id-3", "id-1")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{some, odd}, Sort: "n", Limit: 2, Descending: true}, "id-1", "id-3")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{odd, some, where("n", marketplace.Lt, 0), where("n", marketplace.Ge, -2)}, Sort: "n", Limit: 9}, "id-5", "id-3")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{odd, some}, Limit: 9}, "id-1", "id-11", "id-3", "id-5")
	if got := walk(t, s, marketplace.Query{Where: []marketplace.Condition{odd, some}, Sort: "n", Limit: 1}); len(got) != 4 {
		t.Errorf("pages of one: %q", got)
	}
}

func testNumbers(t *testing.T, o Opener) {
	type number struct {
		I int64   `json:"i"`
		F float64 `json:"f"`
	}
	s := o.Open(t, marketplace.Schema{things: {{Sort: "i"}, {Sort: "f"}, {Equal: []string{"i"}}, {Equal: []string{"f"}}}})
	ints := []int64{math.MinInt64, math.MinInt64 + 1, -1 << 53, -(1<<53 - 1), -1, 0, 1, 9, 10, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
	floats := []float64{-math.MaxFloat64, -1e21, -1.5, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 0.1, 1, 1.5, 2, 1 << 53, 1e21, math.MaxFloat64}
	var ids []string
	for i := range ints {
		ids = append(ids, fmt.Sprintf("%02d", i))
	}
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(ints)) {
		put(t, s, marketplace.Write{Kind: things, ID: ids[i], Value: number{ints[i], floats[i]}})
	}
	wantIDs(t, s, marketplace.Query{Sort: "i", Limit: 99}, ids...)
	wantIDs(t, s, marketplace.Query{Sort: "f", Limit: 99}, ids...)
	if got := walk(t, s, marketplace.Query{Sort: "i", Limit: 1}); !slices.Equal(got, ids) {
		t.Errorf("pages of one by int64: %q", got)
	}
	if got := walk(t, s, marketplace.Query{Sort: "f", Limit: 1}); !slices.Equal(got, ids) {
		t.Errorf("pages of one by float64: %q", got)
	}
	for i := range ints {
		wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("i", marketplace.Eq, ints[i])}, Limit: 9}, ids[i])
		wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("f", marketplace.Eq, floats[i])}, Limit: 9}, ids[i])
		wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("i", marketplace.Lt, ints[i])}, Sort: "i", Limit: 99}, ids[:i]...)
		wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("f", marketplace.Ge, floats[i])}, Sort: "f", Limit: 99}, ids[i:]...)
	}
	// Numbers compare by value, whatever their Go type.
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("f", marketplace.Eq, uint8(2))}, Limit: 9}, "10")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("i", marketplace.In, 9.0, 10.0, 9.5)}, Limit: 9}, "07", "08")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("i", marketplace.Ge, 9.5)}, Sort: "i", Limit: 1}, "08")
}

// Strings compare by their bytes: no folding, no collation, no normal forms.
func testStrings(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: {{Sort: "text"}, {Equal: []string{"text"}}}})
	texts := sorted([]string{"", " ", "a", "a ", "a\x01", "A", "aa", "\x7f", "é", "e\u0301", "z", "\u00ff", "\u0800", "\uffff", "\U00010000", "%", "a%", "_", `"`, `\`, "'", "0", "10", "9", "null", "true", "$a", "a.b"})
	for i, text := range texts {
		put(t, s, marketplace.Write{Kind: things, ID: fmt.Sprintf("%02d", len(texts)-i), Value: note{Text: text}})
	}
	var got []string
	for _, d := range find(t, s, marketplace.Query{Sort: "text", Limit: 99}) {
		var n note
		if err := d.Decode(&n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n.Text)
	}
	if !slices.Equal(got, texts) {
		t.Errorf("sorted %q\nwant %q", got, texts)
	}
	for i, text := range texts {
		wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("text", marketplace.Eq, text)}, Limit: 9}, fmt.Sprintf("%02d", len(texts)-i))
	}
	if got := walk(t, s, marketplace.Query{Sort: "text", Limit: 1}); len(got) != len(texts) {
		t.Errorf("pages of one: %q", got)
	}
}

// Conditions compare the instant in whole seconds, whatever the zone.
func testTimes(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: projectIndexes})
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i, id := range []string{"a", "b", "c"} {
		put(t, s, marketplace.Write{Kind: things, ID: id, Value: project{Start: noon.Add(time.Duration(i) * time.Second)}})
	}
	b := noon.Add(1900 * time.Millisecond).In(time.FixedZone("", 5*3600))
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("start", marketplace.Eq, b)}, Sort: "name", Limit: 9}, "b")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("start", marketplace.Lt, b)}, Sort: "start", Limit: 9}, "a")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("start", marketplace.Ge, b)}, Sort: "start", Limit: 9}, "b", "c")
}

func testArraysChange(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: projectIndexes})
	has := func(tag string) marketplace.Query {
		return marketplace.Query{Where: []marketplace.Condition{where("tags", marketplace.Has, tag)}, Sort: "start", Limit: 9}
	}
	t1, t2 := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	put(t, s, marketplace.Write{Kind: things, ID: "a", Value: project{Start: t2, Tags: []string{"x", "y", "x"}}})
	put(t, s, marketplace.Write{Kind: things, ID: "b", Value: project{Start: t1, Tags: []string{"x"}}})
	wantIDs(t, s, has("x"), "b", "a") // twice in the array, once in the answer
	put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 1, Value: project{Start: t2.Add(-5 * time.Second), Tags: []string{"z", "x"}}})
	wantIDs(t, s, has("x"), "a", "b") // the sort field moved under the same element
	wantIDs(t, s, has("y"))
	wantIDs(t, s, has("z"), "a")
	put(t, s, marketplace.Write{Kind: things, ID: "a", Rev: 2, Value: project{}})
	wantIDs(t, s, has("z"))
	put(t, s, marketplace.Write{Kind: things, ID: "b", Rev: 1})
	wantIDs(t, s, has("x"))
}

func testNoIndex(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: {{Equal: []string{"a", "b"}, Has: "tags", Sort: "n"}, {Sort: "n"}}, others: nil})
	a, b, tag := where("a", marketplace.Eq, 1), where("b", marketplace.Eq, 1), where("tags", marketplace.Has, "x")
	for what, q := range map[string]marketplace.Query{
		"one field too few":    {Where: []marketplace.Condition{a, tag}, Sort: "n"},
		"one field too many":   {Where: []marketplace.Condition{a, b, where("c", marketplace.Eq, 1), tag}, Sort: "n"},
		"no array":             {Where: []marketplace.Condition{a, b}, Sort: "n"},
		"another array":        {Where: []marketplace.Condition{a, b, where("flags", marketplace.Has, 1)}, Sort: "n"},
		"two arrays":           {Where: []marketplace.Condition{a, b, tag, tag}, Sort: "n"},
		"another sort":         {Where: []marketplace.Condition{a, b, tag}, Sort: "m"},
		"no sort":              {Where: []marketplace.Condition{a, b, tag}},
		"a sort alone":         {Sort: "m"},
		"a range of no sort":   {Where: []marketplace.Condition{where("m", marketplace.Lt, 1)}, Sort: "n"},
		"an unknown operation": {Where: []marketplace.Condition{where("n", "like", 1)}, Sort: "n"},
		"id as a range":        {Where: []marketplace.Condition{where("id", marketplace.Lt, "x")}},
	} {
		q.Limit = 5
		_, err := s.Find(t.Context(), things, q)
		wantErr(t, err, marketplace.ErrNoIndex, "find with %s", what)
	}
	_, err := s.Find(t.Context(), others, marketplace.Query{Sort: "n", Limit: 1})
	wantErr(t, err, marketplace.ErrNoIndex, "find in a kind without indexes")
	_, err = s.Find(t.Context(), "nobody_knows", marketplace.Query{Limit: 1})
	wantErr(t, err, marketplace.ErrNoIndex, "find in an unknown kind")
	if docs, err := s.Find(t.Context(), others, marketplace.Query{Limit: 1}); err != nil || len(docs) != 0 {
		t.Errorf("find by id in a kind without indexes: %v, %v", docs, err)
	}
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{tag, b, a}, Sort: "n", Limit: 5})
	for _, v := range []any{nil, []string{"x"}, struct{}{}, map[string]int{}} {
		if _, err := s.Find(t.Context(), things, marketplace.Query{Where: []marketplace.Condition{where("n", marketplace.Ge, v)}, Sort: "n", Limit: 5}); err == nil {
			t.Errorf("a condition on the value %#v was accepted", v)
		}
	}
}

func testFindLimits(t *testing.T, o Opener) {
	s := open(t, o)
	values := make([]any, marketplace.MaxValues+1)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	for what, q := range map[string]marketplace.Query{
		"page 0":              {},
		"a negative page":     {Limit: -1},
		"a page too large":    {Limit: marketplace.MaxPage + 1},
		"too many values":     {Limit: 1, Where: []marketplace.Condition{where("group", marketplace.In, values...)}},
		"too many ids":        {Limit: 1, Where: []marketplace.Condition{where("id", marketplace.In, values...)}},
		"no values":           {Limit: 1, Where: []marketplace.Condition{where("id", marketplace.In)}},
		"too many conditions": {Limit: 1, Where: slices.Repeat([]marketplace.Condition{where("id", marketplace.Eq, "x")}, marketplace.MaxConditions+1)},
	} {
		_, err := s.Find(t.Context(), things, q)
		wantErr(t, err, marketplace.ErrLimit, "find with %s", what)
	}
	wantIDs(t, s, marketplace.Query{Limit: marketplace.MaxPage, Sort: "n", Where: []marketplace.Condition{where("group", marketplace.In, values[1:]...)}})
	if _, err := s.Find(t.Context(), things, marketplace.Query{Sort: "n", Limit: 1, After: strings.Repeat("!", 30)}); err == nil {
		t.Error("find after a position that no query returned was accepted")
	}
}

// A store that is opened with another schema makes the indexes that are new.
func testNewIndexes(t *testing.T, o Opener) {
	if o.Reopen == nil {
		t.Fatal("this adapter has no Reopen: list this test in Cannot")
	}
	s := o.Open(t, marketplace.Schema{things: {{Sort: "name"}}})
	r := rand.New(rand.NewPCG(5, 6))
	ref := reference{}
	for i := range 30 {
		id, p := fmt.Sprint("p", i), randomProject(r)
		put(t, s, marketplace.Write{Kind: things, ID: id, Value: p})
		ref.put(id, p)
	}
	s = o.Reopen(t, s, marketplace.Schema{things: projectIndexes})
	for _, ix := range projectIndexes {
		q := randomQuery(r, ix)
		wantIDs(t, s, q, ref.find(q)...)
	}
	p := project{Name: "new"}
	put(t, s, marketplace.Write{Kind: things, ID: "p0", Rev: 1, Value: p})
	ref.put("p0", p)

	s = o.Reopen(t, s, marketplace.Schema{things: projectIndexes[5:], others: nil})
	for _, ix := range projectIndexes[5:] {
		q := randomQuery(r, ix)
		wantIDs(t, s, q, ref.find(q)...)
	}
	_, err := s.Find(t.Context(), things, marketplace.Query{Sort: "name", Limit: 1})
	wantErr(t, err, marketplace.ErrNoIndex, "find by an index that is no longer declared")
	put(t, s, marketplace.Write{Kind: things, ID: "p0", Rev: 2, Value: project{Name: "newer"}})
	ref.put("p0", project{Name: "newer"})

	s = o.Reopen(t, s, marketplace.Schema{things: projectIndexes})
	q := marketplace.Query{Sort: "name", Limit: 100}
	wantIDs(t, s, q, ref.find(q)...)
}
