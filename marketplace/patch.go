package marketplace

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Patch is content as a client sends it, by the names of the fields: what
// is absent stays as it is, null empties, a value takes the place of what was
// there. The names are those of the API and of the stored documents, which
// are the same.
type Patch = map[string]any

// fieldsOf names what a patch is about, in alphabetical order.
func fieldsOf(p Patch) string {
	return strings.Join(slices.Sorted(maps.Keys(p)), ", ")
}

// applyPatch changes the fields of a document; only those that are allowed.
// It reports everything that has the wrong shape at once; the document may
// have been changed by then.
func applyPatch(p Patch, doc any, allowed []string) error {
	var problems problems
	v := reflect.ValueOf(doc).Elem()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		field := fieldNamed(v, name)
		if !field.IsValid() || !slices.Contains(allowed, name) {
			problems.add(name, "INVALID", "is not a field that can be given")
			continue
		}
		fresh := reflect.New(field.Type())
		if p[name] != nil {
			b, err := json.Marshal(p[name])
			if err == nil {
				d := json.NewDecoder(strings.NewReader(string(b)))
				d.DisallowUnknownFields()
				err = d.Decode(fresh.Interface())
			}
			if err != nil {
				problems.add(misshapen(name, err))
				continue
			}
		}
		field.Set(fresh.Elem())
	}
	return problems.err()
}

// misshapen says which part of a field's value cannot be read.
func misshapen(name string, err error) (path, code, message string) {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return name, "INVALID", "cannot be read"
	}
	if wrong.Field != "" {
		name += "." + wrong.Field
	}
	return name, "INVALID", fmt.Sprintf("must not be a %s", wrong.Value)
}

// fieldNamed is the field that has this name in JSON.
func fieldNamed(v reflect.Value, name string) reflect.Value {
	at := fieldPath(v.Type(), name)
	if at == nil {
		return reflect.Value{}
	}
	return v.FieldByIndex(at)
}

// fieldPath finds a field by its name in JSON, also in embedded structs; nil
// where there is none.
func fieldPath(t reflect.Type, name string) []int {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct {
			if inner := fieldPath(f.Type, name); inner != nil {
				return append([]int{i}, inner...)
			}
		} else if tag == name && f.IsExported() {
			return []int{i}
		}
	}
	return nil
}
