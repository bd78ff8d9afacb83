package sqlitestore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"citymarket/marketplace"
)

// A key is a row of the table entry without the document: bytes whose order
// (bytewise, as SQLite compares blobs) is the order of the query that the
// index answers. It is a sequence of values:
//
//	the value of each field of Index.Equal, in the order of their names,
//	one element of Index.Has, if the index has one,
//	the value of Index.Sort, if the index has one,
//	the id, as tagID and its bytes.
//
// A value is a tag and then, for a number, the float64 next to it (with the
// sign bit flipped, or all bits if negative) and what that float lacks to the
// exact integer (plus 1<<15), so that all of int64 and float64 have one order;
// for a string its bytes with 0x00 written as 0x00 0xFF, and 0x00 0x01 as the
// end. No value is a prefix of another. For example, the document sol_1 with
// {"open":true,"name":"Ada"} has in Index{Equal: {"open"}, Sort: "name"}
//
//	03                          open: true
//	05 41 64 61 00 01           name: "Ada"
//	06 73 6F 6C 5F 31           sol_1
//
// What a change of this encoding means is said at formatVersion.
const (
	tagNull   = 0x01 // missing or null; only as a sort value
	tagFalse  = 0x02
	tagTrue   = 0x03
	tagNumber = 0x04
	tagString = 0x05
	tagID     = 0x06
	afterAll  = "\xff" // greater than any value
)

// appendValue appends a value of decoded JSON: nil, bool, json.Number or string.
func appendValue(key []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(key, tagTrue)
		}
		return append(key, tagFalse)
	case json.Number:
		return appendNumber(append(key, tagNumber), string(v))
	case string:
		key = append(key, tagString)
		for {
			i := strings.IndexByte(v, 0)
			if i < 0 {
				break
			}
			key = append(append(key, v[:i]...), 0, 0xFF)
			v = v[i+1:]
		}
		return append(append(key, v...), 0, 1)
	}
	return append(key, tagNull)
}

func appendNumber(key []byte, n string) []byte {
	var f float64
	var lack int64                                         // at most 512 either way: half the distance of floats near 1<<63
	if i, err := strconv.ParseInt(n, 10, 64); err == nil { // also -0, as 0
		if f = float64(i); f < 1<<63 {
			lack = i - int64(f)
		} else {
			lack = i - math.MaxInt64 - 1
		}
	} else {
		f, _ = strconv.ParseFloat(n, 64) // out of range: infinity, which is its place
	}
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	key = binary.BigEndian.AppendUint64(key, bits)
	return binary.BigEndian.AppendUint16(key, uint16(lack+1<<15))
}

// conditionValue is a condition's value as it would be in a document.
func conditionValue(v any) (any, error) {
	if t, ok := v.(time.Time); ok {
		v = t.UTC().Truncate(time.Second)
	} else if k := reflect.ValueOf(v).Kind(); k != reflect.String && k != reflect.Bool && (k < reflect.Int || k > reflect.Float64) {
		return nil, fmt.Errorf("no comparison with a value of type %T", v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decode(b)
}

func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // float64 would lose the last digits of an int64
	return v, d.Decode(&v)
}

// An index is a declared marketplace.Index as this store uses it.
type index struct {
	num   int64    // entry.ix
	equal []string // sorted
	has   string
	sort  string
}

// byID says that the index needs nothing of the document but its id.
func (x index) byID() bool { return len(x.equal) == 0 && x.has == "" && x.sort == "" }

func newIndex(d marketplace.Index) index {
	equal := slices.Clone(d.Equal)
	slices.Sort(equal)
	return index{equal: equal, has: d.Has, sort: d.Sort}
}

// def identifies an index of a kind in the table ix, for example
// {"equal":["open"],"has":"tags","sort":"name"}.
func (x index) def() string {
	b, err := json.Marshal(struct {
		Equal []string `json:"equal,omitempty"`
		Has   string   `json:"has,omitempty"`
		Sort  string   `json:"sort,omitempty"`
	}{x.equal, x.has, x.sort})
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	return string(b)
}

// keys returns the document's keys in the index: none if a field of equal is
// missing, one for each different element if the index has an array.
func (x index) keys(id string, doc any) []string {
	var prefix []byte
	for _, path := range x.equal {
		v := field(doc, path)
		if v == nil {
			return nil
		}
		prefix = appendValue(prefix, v)
	}
	var suffix []byte
	if x.sort != "" {
		suffix = appendValue(suffix, field(doc, x.sort))
	}
	suffix = append(append(suffix, tagID), id...)
	if x.has == "" {
		return []string{string(append(prefix, suffix...))}
	}
	var keys []string
	for _, v := range elements(nil, doc, x.has) {
		key := appendValue(slices.Clip(prefix), v)
		keys = append(keys, string(append(key, suffix...)))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// field returns the scalar at a path, or nil.
func field(doc any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		m, ok := doc.(map[string]any)
		if !ok {
			return nil
		}
		doc = m[name]
	}
	switch doc.(type) {
	case map[string]any, []any:
		return nil
	}
	return doc
}

// elements appends the scalars at a path that may lead through arrays.
func elements(to []any, doc any, path string) []any {
	switch v := doc.(type) {
	case []any:
		for _, e := range v {
			to = elements(to, e, path)
		}
		return to
	case map[string]any:
		name, rest, _ := strings.Cut(path, ".")
		if name == "" {
			return to
		}
		return elements(to, v[name], rest)
	}
	if doc != nil && path == "" {
		to = append(to, doc)
	}
	return to
}

// An entry is a key of one of the store's indexes.
type entry struct {
	ix  int64
	key string
}

// entries returns all entries of a document.
func entries(indexes []index, id string, body []byte) ([]entry, error) {
	if body == nil { // deleted
		return nil, nil
	}
	var doc any
	if slices.ContainsFunc(indexes, func(x index) bool { return !x.byID() }) {
		var err error
		if doc, err = decode(body); err != nil {
			return nil, err
		}
	}
	var all []entry
	for _, x := range indexes {
		for _, key := range x.keys(id, doc) {
			all = append(all, entry{x.num, key})
		}
	}
	return all, nil
}
