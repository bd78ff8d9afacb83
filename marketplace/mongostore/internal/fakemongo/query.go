package fakemongo

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// typeOrder is MongoDB's order of the types of values.
func typeOrder(v any) int {
	switch v.(type) {
	case nil, bson.Null:
		return 1
	case int32, int64, float64:
		return 2
	case string:
		return 3
	case bson.D:
		return 4
	case bson.A:
		return 5
	case bson.Binary:
		return 6
	case bool:
		return 8
	case bson.DateTime:
		return 9
	case bson.Timestamp:
		return 10
	}
	panic(fmt.Sprintf("fakemongo: no order for %T", v))
}

func compare(a, b any) int {
	if c := cmp.Compare(typeOrder(a), typeOrder(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case int32, int64, float64:
		x, real := a.(float64)
		y, too := b.(float64)
		switch {
		case real && too:
			return cmp.Compare(x, y)
		case !real && !too:
			return cmp.Compare(number(a), number(b))
		}
		return exact(a).Cmp(exact(b))
	case string:
		return strings.Compare(a, b.(string))
	case bool:
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) // "false" < "true"
	case bson.DateTime:
		return cmp.Compare(a, b.(bson.DateTime))
	case bson.Timestamp:
		return a.Compare(b.(bson.Timestamp))
	case bson.Binary:
		return bytes.Compare(a.Data, b.(bson.Binary).Data)
	case bson.A:
		return slices.CompareFunc(a, b.(bson.A), compare)
	case bson.D:
		return slices.CompareFunc(a, b.(bson.D), func(x, y bson.E) int {
			return cmp.Or(strings.Compare(x.Key, y.Key), compare(x.Value, y.Value))
		})
	}
	return 0
}

func exact(v any) *big.Float {
	if f, ok := v.(float64); ok {
		return new(big.Float).SetFloat64(f)
	}
	return new(big.Float).SetInt64(number(v))
}

// at returns the values at a path. Arrays on the way contribute each of their
// documents; an array at the end is one value.
func at(v any, path string) []any {
	name, rest, more := strings.Cut(path, ".")
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			if e.Key == name && more {
				return at(e.Value, rest)
			} else if e.Key == name {
				return []any{e.Value}
			}
		}
	case bson.A:
		var all []any
		for _, e := range v {
			if d, ok := e.(bson.D); ok {
				all = append(all, at(d, path)...)
			}
		}
		return all
	}
	return nil
}

// operands are the values that a comparison looks at: those at the path, and
// of an array each element and the array.
func operands(d bson.D, path string) []any {
	var all []any
	for _, v := range at(d, path) {
		if list, ok := v.(bson.A); ok {
			all = append(all, list...)
		}
		all = append(all, v)
	}
	return all
}

func matches(d, filter bson.D) bool {
	for _, e := range filter {
		var ok bool
		switch e.Key {
		case "$and":
			ok = !slices.ContainsFunc(e.Value.(bson.A), func(f any) bool { return !matches(d, f.(bson.D)) })
		default:
			ok = meets(d, e.Key, e.Value)
		}
		if !ok {
			return false
		}
	}
	return true
}

func meets(d bson.D, path string, want any) bool {
	ops, ok := want.(bson.D)
	if !ok || len(ops) == 0 || !strings.HasPrefix(ops[0].Key, "$") {
		return equals(d, path, want)
	}
	for _, o := range ops {
		ok := false
		switch o.Key {
		case "$eq":
			ok = equals(d, path, o.Value)
		case "$ne":
			ok = !equals(d, path, o.Value)
		case "$in":
			ok = slices.ContainsFunc(o.Value.(bson.A), func(v any) bool { return equals(d, path, v) })
		case "$exists":
			ok = (len(at(d, path)) > 0) == o.Value.(bool)
		case "$gt", "$gte", "$lt":
			ok = slices.ContainsFunc(operands(d, path), func(v any) bool {
				if typeOrder(v) != typeOrder(o.Value) {
					return false
				}
				c := compare(v, o.Value)
				return c == 0 && strings.HasSuffix(o.Key, "e") || c > 0 && o.Key[1] == 'g' || c < 0 && o.Key[1] == 'l'
			})
		default:
			panic(fmt.Sprintf("fakemongo: operator %s", o.Key))
		}
		if !ok {
			return false
		}
	}
	return true
}

func equals(d bson.D, path string, want any) bool {
	have := operands(d, path)
	if typeOrder(want) == 1 && len(have) == 0 {
		return true // null is also what is not there
	}
	return slices.ContainsFunc(have, func(v any) bool { return compare(v, want) == 0 })
}

// sortKey is the value that a document is sorted by; missing is null.
func sortKey(d bson.D, path string) any {
	if all := at(d, path); len(all) > 0 {
		return all[0]
	}
	return nil
}

func sorter(order bson.D) func(a, b *document) int {
	return func(a, b *document) int {
		for _, o := range order {
			if c := compare(sortKey(a.d, o.Key), sortKey(b.d, o.Key)); c != 0 {
				return c * int(number(o.Value))
			}
		}
		return 0
	}
}

// project keeps the fields that a projection includes, and the id.
func project(d, projection bson.D) bson.D {
	if len(projection) == 0 {
		return d
	}
	var out bson.D
	for _, e := range d {
		if e.Key == "_id" || get(projection, e.Key) != nil {
			out = append(out, e)
		}
	}
	return out
}

// updated applies an update to a document. now is the server's time as the
// log has it, clock as its clock shows it.
func updated(d, update bson.D, now bson.Timestamp, clock time.Time, insert bool) bson.D {
	d = slices.Clone(d)
	set := func(name string, v any) {
		for i := range d {
			if d[i].Key == name {
				d[i].Value = v
				return
			}
		}
		d = append(d, bson.E{Key: name, Value: v})
	}
	for _, op := range update {
		for _, e := range op.Value.(bson.D) {
			if strings.Contains(e.Key, ".") {
				panic("fakemongo: update of " + e.Key)
			}
			switch {
			case op.Key == "$set", op.Key == "$setOnInsert" && insert:
				set(e.Key, e.Value)
			case op.Key == "$setOnInsert":
			case op.Key == "$currentDate" && get(e.Value.(bson.D), "$type") == "date":
				set(e.Key, bson.NewDateTimeFromTime(clock))
			case op.Key == "$currentDate":
				set(e.Key, now)
			case op.Key == "$unset":
				d = slices.DeleteFunc(d, func(x bson.E) bool { return x.Key == e.Key })
			default:
				panic("fakemongo: update operator " + op.Key)
			}
		}
	}
	return d
}
