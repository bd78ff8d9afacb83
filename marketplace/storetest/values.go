package storetest

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

var valueTests = []test{
	{"Values/RoundTrip", testRoundTrip},
	{"Values/Feed", testValuesInFeed},
	{"Values/EmbeddedFieldsAreFlat", testEmbeddedQueries},
}

type (
	count int64
	ratio float64
	flag  bool

	// Meta is embedded as documents embed their common fields; exported,
	// because a driver may not look into unexported embedded structs.
	Meta struct {
		ID      string    `json:"id"`
		Created time.Time `json:"created"`
		By      *level    `json:"by,omitempty"`
	}
	// Extra is embedded with the tag that some drivers need to see.
	Extra struct {
		Note  string `json:"note"`
		Depth count  `json:"depth,omitempty"`
	}
	inner struct {
		Name string            `json:"name"`
		Next *inner            `json:"next,omitempty"`
		Text map[string]string `json:"text"`
	}
	// everything has a field of each Go type that documents use.
	everything struct {
		Meta  `json:",inline"`
		Extra `json:",inline"`

		String   string           `json:"string"`
		Int      int              `json:"int"`
		Int64    int64            `json:"int64"`
		Int32    int32            `json:"int32"`
		Uint16   uint16           `json:"uint16"`
		Float    float64          `json:"float"`
		Bool     bool             `json:"bool"`
		Time     time.Time        `json:"time"`
		Level    level            `json:"level"`
		Count    count            `json:"count"`
		Ratio    ratio            `json:"ratio"`
		Flag     flag             `json:"flag"`
		Pointer  *string          `json:"pointer"`
		Moment   *time.Time       `json:"moment,omitempty"`
		Omitted  string           `json:"omitted,omitempty"`
		Zeroed   time.Time        `json:"zeroed,omitzero"`
		Strings  []string         `json:"strings"`
		Levels   []level          `json:"levels"`
		Ints     []int            `json:"ints,omitempty"`
		Times    []time.Time      `json:"times"`
		Texts    map[string]level `json:"texts"`
		Counts   map[level]count  `json:"counts"`
		Struct   inner            `json:"struct"`
		Structs  []inner          `json:"structs"`
		Pointers []*inner         `json:"pointers"`
		Structed map[string]inner `json:"structed"`
		Fixed    [2]int           `json:"fixed"`
		Grid     [][]string       `json:"grid"`
		Skipped  string           `json:"-"`
		Untagged string
		CamelID  string `json:"camelCase"`
	}
)

func values() map[string]everything {
	text, moment, by := "pointed at", time.Date(2026, 3, 2, 8, 30, 59, 0, time.UTC), level("ada")
	var controls strings.Builder
	for c := rune(1); c < 0xA0; c++ {
		controls.WriteRune(c)
	}
	full := everything{
		Meta:  Meta{ID: "an id of its own", Created: moment, By: &by},
		Extra: Extra{Note: "inline", Depth: 3},
		Int:   -1, Int64: math.MaxInt64, Int32: math.MinInt32, Uint16: math.MaxUint16, Float: 0.1, Bool: true, Time: moment,
		Level: "done", Count: math.MinInt64, Ratio: 1e300, Flag: true, Pointer: &text, Moment: &moment,
		Strings: []string{"a", "", "a"}, Levels: []level{"x"}, Ints: []int{3, 1, 2}, Times: []time.Time{moment, time.Unix(0, 0).UTC()},
		Texts: map[string]level{"en": "text", "nb-NO": "tekst", "": "empty"}, Counts: map[level]count{"a": 1},
		Struct:   inner{Name: "one", Next: &inner{Name: "two", Text: map[string]string{"a": "b"}}},
		Structs:  []inner{{Name: "first"}, {}},
		Pointers: []*inner{{Name: "p"}, nil},
		Structed: map[string]inner{"k": {Name: "v"}},
		Fixed:    [2]int{7, 8}, Grid: [][]string{{"a"}, {}, {"b", "c"}},
		Untagged: "untagged", CamelID: "camel",
	}
	empty := everything{
		Strings: []string{}, Levels: []level{}, Times: []time.Time{}, Texts: map[string]level{}, Counts: map[level]count{},
		Structs: []inner{}, Pointers: []*inner{}, Structed: map[string]inner{}, Grid: [][]string{},
	}
	all := map[string]everything{"full": full, "zero": {}, "empty": empty}
	for name, s := range map[string]string{
		"controls": controls.String(), "html": "<a href='x'>&amp;</a>\u2028\u2029", "json": `{"a":"\u0041\\"}`,
		"scripts": "Ærøskøbing Ελλάδα Київ القاهرة ירושלים दिल्ली กรุงเทพ 北京 東京 서울 ᏣᎳᎩ 𓀀 🇳🇴 e\u0301", "spaces": " \t\r\n ", "dots": "a.b.$c", "replacement": "\uFFFD\uFEFF",
	} {
		v := everything{String: s, Texts: map[string]level{"key": level(s)}, Strings: []string{s}}
		all["string "+name] = v
	}
	for _, f := range []float64{0, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1e21, 1e20, 3} {
		all["float "+time.Duration(len(all)).String()] = everything{Float: f, Ratio: ratio(-f)}
	}
	for _, i := range []int64{math.MinInt64, math.MaxInt64, 1<<53 + 1, -(1<<53 + 1)} {
		all["int "+time.Duration(len(all)).String()] = everything{Int64: i, Count: count(i), Int: int(i)}
	}
	for _, y := range []int{1, 999, 1969, 2026, 9999} {
		all["year "+time.Duration(y).String()] = everything{Time: time.Date(y, 12, 31, 23, 59, 59, 0, time.UTC)}
	}
	return all
}

func testRoundTrip(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: nil})
	for name, want := range values() {
		put(t, s, marketplace.Write{Kind: things, ID: name, Value: want})
		got, _ := get[everything](t, s, things, name)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s came back as\n%+v\nwant\n%+v", name, got, want)
		}
		put(t, s, marketplace.Write{Kind: things, ID: name, Rev: 1, Value: &got})
	}
	for _, d := range find(t, s, marketplace.Query{Limit: 100}) {
		var got everything
		if err := d.Decode(&got); err != nil || !reflect.DeepEqual(got, values()[d.ID]) {
			t.Errorf("Find returned %s as\n%+v (%v)", d.ID, got, err)
		}
	}
	// What is not in a document leaves the value that is decoded into alone,
	// as with encoding/json.
	d, err := s.Get(t.Context(), things, "zero")
	if err != nil {
		t.Fatal(err)
	}
	v := everything{Omitted: "before", String: "before"}
	if err := d.Decode(&v); err != nil || v.Omitted != "before" || v.String != "" {
		t.Errorf("decoded over a value: %q, %q (%v)", v.Omitted, v.String, err)
	}
	if err := d.Decode(&struct {
		String int `json:"string"`
	}{}); err == nil {
		t.Error("a string was decoded into an int without an error")
	}
}

func testValuesInFeed(t *testing.T, o Opener) {
	s := o.Open(t, marketplace.Schema{things: nil})
	want := values()["full"]
	put(t, s, marketplace.Write{Kind: things, ID: "full", Value: want})
	f := changes(t, s, marketplace.FeedQuery{Limit: 5})
	if len(f.Changes) == 0 {
		t.Fatal("no changes")
	}
	var got everything
	if err := f.Changes[0].Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Changes returned\n%+v (%v)\nwant\n%+v", got, err, want)
	}
}

// Fields of embedded structs are fields of the document, also for queries.
func testEmbeddedQueries(t *testing.T, o Opener) {
	type plainly struct {
		Meta
		Extra
	}
	s := o.Open(t, marketplace.Schema{things: {{Equal: []string{"note"}, Sort: "created"}, {Equal: []string{"by"}}, {Sort: "depth"}}})
	by, t1, t2 := level("ada"), time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	put(t, s, marketplace.Write{Kind: things, ID: "inline", Value: everything{Meta: Meta{Created: t2, By: &by}, Extra: Extra{Note: "x", Depth: 2}}})
	want := plainly{Meta{ID: "own", Created: t1, By: &by}, Extra{Note: "x", Depth: 1}}
	put(t, s, marketplace.Write{Kind: things, ID: "plain", Value: want})
	if got, _ := get[plainly](t, s, things, "plain"); !reflect.DeepEqual(got, want) {
		t.Errorf("an embedded struct without a tag came back as %+v, want %+v", got, want)
	}
	if got, _ := get[everything](t, s, things, "plain"); !reflect.DeepEqual(got.Meta, want.Meta) || got.Extra != want.Extra {
		t.Errorf("with and without the tag are not the same: %+v", got)
	}
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("note", marketplace.Eq, "x")}, Sort: "created", Limit: 5}, "plain", "inline")
	wantIDs(t, s, marketplace.Query{Where: []marketplace.Condition{where("by", marketplace.Eq, by)}, Limit: 5}, "inline", "plain")
	wantIDs(t, s, marketplace.Query{Sort: "depth", Descending: true, Limit: 5}, "inline", "plain")
}
