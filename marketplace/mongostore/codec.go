package mongostore

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"citymarket/marketplace"
)

// The driver's own struct codec can read json tags, but it is not
// encoding/json: it nests an embedded struct that has no tag, lower-cases the
// names of fields without one, and leaves out a zero time that says
// omitempty. The registry below therefore replaces the codecs of structs and
// times and leaves everything else to the driver. What a domain type looks
// like in the database is then what it looks like as JSON, except that a
// time.Time is a BSON date and a []byte a BSON binary:
//
//	type Meta struct {
//		ID      string    `json:"id"`
//		Created time.Time `json:"created"`
//	}
//	type Solution struct {
//		Meta
//		Tags  []string `json:"tags"`
//		Price int      `json:"price,omitempty"`
//	}
//
//	{id: "sol_1", created: ISODate("2026-03-02T08:30:00Z"), tags: null}
var registry = newRegistry()

func newRegistry() *bson.Registry {
	r := bson.NewRegistry()
	r.RegisterTypeEncoder(reflect.TypeFor[time.Time](), bson.ValueEncoderFunc(encodeTime))
	r.RegisterTypeDecoder(reflect.TypeFor[time.Time](), bson.ValueDecoderFunc(decodeTime))
	r.RegisterInterfaceEncoder(reflect.TypeFor[json.Marshaler](), bson.ValueEncoderFunc(encodeJSON))
	r.RegisterInterfaceDecoder(reflect.TypeFor[json.Unmarshaler](), bson.ValueDecoderFunc(decodeJSON))
	r.RegisterInterfaceEncoder(reflect.TypeFor[encoding.TextMarshaler](), bson.ValueEncoderFunc(encodeText))
	r.RegisterInterfaceDecoder(reflect.TypeFor[encoding.TextUnmarshaler](), bson.ValueDecoderFunc(decodeText))
	r.RegisterKindEncoder(reflect.Struct, bson.ValueEncoderFunc(encodeStruct))
	r.RegisterKindDecoder(reflect.Struct, bson.ValueDecoderFunc(decodeStruct))
	// What encoding/json stores in an interface.
	r.RegisterTypeMapEntry(bson.TypeEmbeddedDocument, reflect.TypeFor[map[string]any]())
	r.RegisterTypeMapEntry(bson.TypeArray, reflect.TypeFor[[]any]())
	r.RegisterTypeMapEntry(bson.TypeInt32, reflect.TypeFor[float64]())
	r.RegisterTypeMapEntry(bson.TypeInt64, reflect.TypeFor[float64]())
	r.RegisterTypeMapEntry(bson.TypeDateTime, reflect.TypeFor[time.Time]())
	return r
}

// encode turns a domain value into a BSON document, and refuses one that is
// over the port's limit as JSON. JSON takes at most eight times the space of
// BSON (a control character becomes six bytes), so that only large documents
// pay for being encoded twice.
func encode(value any) (bson.Raw, error) {
	var buf bytes.Buffer
	enc := bson.NewEncoder(bson.NewDocumentWriter(&buf))
	enc.SetRegistry(registry)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if buf.Len() > marketplace.MaxDocumentSize/8 {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		if len(text) > marketplace.MaxDocumentSize {
			return nil, fmt.Errorf("document of %d bytes (at most %d): %w", len(text), marketplace.MaxDocumentSize, marketplace.ErrLimit)
		}
	}
	return buf.Bytes(), nil
}

// decoder returns the Decode function of a document. It owns raw.
func decoder(raw bson.Raw) func(any) error {
	return func(into any) error {
		dec := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(raw)))
		dec.SetRegistry(registry)
		if err := dec.Decode(into); err != nil {
			return fmt.Errorf("mongostore: decode: %w", err)
		}
		return nil
	}
}

// operand turns the value of a condition into what encode makes of a field of
// that type.
func operand(value any) (any, error) {
	if t, ok := value.(time.Time); ok {
		return bson.DateTime(t.Unix() * 1000), nil
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	}
	return nil, fmt.Errorf("value of type %T cannot be compared: %w", value, marketplace.ErrNoIndex)
}

func encodeTime(_ bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	return vw.WriteDateTime(v.Interface().(time.Time).Unix() * 1000)
}

func decodeTime(_ bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	if vr.Type() == bson.TypeNull {
		return vr.ReadNull()
	}
	ms, err := vr.ReadDateTime()
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	return nil
}

// behind follows a pointer to its value with that value's own codec: the
// driver finds that a *time.Time, too, can marshal itself and would not look
// at the codec of time.Time.
func behind(ec bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	if v.IsNil() {
		return vw.WriteNull()
	}
	return encodeValue(ec, vw, v.Elem())
}

func encodeValue(ec bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		if v.IsNil() {
			return vw.WriteNull()
		}
		v = v.Elem()
	}
	enc, err := ec.LookupEncoder(v.Type())
	if err != nil {
		return err
	}
	return enc.EncodeValue(ec, vw, v)
}

func decodeBehind(dc bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	if vr.Type() == bson.TypeNull {
		v.SetZero()
		return vr.ReadNull()
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	dec, err := dc.LookupDecoder(v.Type().Elem())
	if err != nil {
		return err
	}
	return dec.DecodeValue(dc, vr, v.Elem())
}

// encodeJSON stores what a type's own MarshalJSON returns, as BSON.
func encodeJSON(ec bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		return behind(ec, vw, v)
	}
	m, ok := v.Interface().(json.Marshaler)
	if !ok {
		m = v.Addr().Interface().(json.Marshaler)
	}
	text, err := m.MarshalJSON()
	if err != nil {
		return err
	}
	var value any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // the driver stores a json.Number as an integer if it is one
	if err := dec.Decode(&value); err != nil {
		return err
	}
	return encodeValue(ec, vw, reflect.ValueOf(&value).Elem())
}

func decodeJSON(dc bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		return decodeBehind(dc, vr, v)
	}
	var value any
	dec, err := dc.LookupDecoder(reflect.TypeFor[any]())
	if err != nil {
		return err
	}
	if err := dec.DecodeValue(dc, vr, reflect.ValueOf(&value).Elem()); err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text)
}

func encodeText(ec bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		return behind(ec, vw, v)
	}
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		m = v.Addr().Interface().(encoding.TextMarshaler)
	}
	text, err := m.MarshalText()
	if err != nil {
		return err
	}
	return vw.WriteString(string(text))
}

func decodeText(dc bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		return decodeBehind(dc, vr, v)
	}
	if vr.Type() == bson.TypeNull {
		return vr.ReadNull()
	}
	text, err := vr.ReadString()
	if err != nil {
		return err
	}
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func encodeStruct(ec bson.EncodeContext, vw bson.ValueWriter, v reflect.Value) error {
	dw, err := vw.WriteDocument()
	if err != nil {
		return err
	}
	for _, f := range fieldsOf(v.Type()).list {
		fv, ok := f.read(v)
		if !ok || f.omitEmpty && isEmpty(fv) || f.omitZero && isZero(fv) {
			continue
		}
		w, err := dw.WriteDocumentElement(f.name)
		if err != nil {
			return err
		}
		if err := encodeValue(ec, w, fv); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return dw.WriteDocumentEnd()
}

// decodeStruct skips what the struct has no field for (a newer program wrote
// it) and leaves alone what the document lacks.
func decodeStruct(dc bson.DecodeContext, vr bson.ValueReader, v reflect.Value) error {
	if vr.Type() == bson.TypeNull {
		return vr.ReadNull()
	}
	fields := fieldsOf(v.Type())
	dr, err := vr.ReadDocument()
	if err != nil {
		return err
	}
	for {
		name, r, err := dr.ReadElement()
		if err == bson.ErrEOD {
			return nil
		}
		if err != nil {
			return err
		}
		f, ok := fields.byName[name]
		if !ok {
			if err := r.Skip(); err != nil {
				return err
			}
			continue
		}
		fv, err := f.reach(v)
		if err != nil {
			return err
		}
		dec, err := dc.LookupDecoder(fv.Type())
		if err != nil {
			return err
		}
		if err := dec.DecodeValue(dc, r, fv); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// A field is a field of a struct as encoding/json sees it: those of embedded
// structs belong to the outer one.
type field struct {
	name                string
	index               []int
	tagged              bool
	omitEmpty, omitZero bool
}

// read returns the field's value, or false if it lies in an embedded pointer
// that is nil.
func (f *field) read(v reflect.Value) (reflect.Value, bool) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// reach returns the field for writing, and makes the embedded structs on the
// way to it. Like encoding/json it cannot make one of an unexported type.
func (f *field) reach(v reflect.Value) (reflect.Value, error) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() && !v.CanSet() {
				return v, fmt.Errorf("%s: embedded pointer to an unexported %s cannot be set", f.name, v.Type().Elem())
			}
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, nil
}

type fieldSet struct {
	list   []*field // in the order of the struct
	byName map[string]*field
}

var fieldSets sync.Map // reflect.Type -> *fieldSet

func fieldsOf(t reflect.Type) *fieldSet {
	if set, ok := fieldSets.Load(t); ok {
		return set.(*fieldSet)
	}
	byName := map[string][]*field{}
	collect(t, nil, map[reflect.Type]bool{}, byName)
	set := &fieldSet{byName: map[string]*field{}}
	for name, all := range byName {
		if f := dominant(all); f != nil {
			set.byName[name] = f
			set.list = append(set.list, f)
		}
	}
	slices.SortFunc(set.list, func(a, b *field) int { return slices.Compare(a.index, b.index) })
	fieldSets.Store(t, set)
	return set
}

// collect adds the fields of t, which is found at index, to byName.
func collect(t reflect.Type, index []int, above map[reflect.Type]bool, byName map[string][]*field) {
	if above[t] {
		return // a struct that embeds itself by a pointer
	}
	above[t] = true
	defer delete(above, t)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		embedded := sf.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		into := sf.Anonymous && embedded.Kind() == reflect.Struct
		if tag == "-" || !sf.IsExported() && !into {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		at := append(slices.Clone(index), i)
		if into && name == "" {
			collect(embedded, at, above, byName)
			continue
		}
		if !sf.IsExported() {
			continue
		}
		f := &field{name: cmp.Or(name, sf.Name), index: at, tagged: name != ""}
		for option := range strings.SplitSeq(options, ",") {
			f.omitEmpty = f.omitEmpty || option == "omitempty"
			f.omitZero = f.omitZero || option == "omitzero"
		}
		byName[f.name] = append(byName[f.name], f)
	}
}

// dominant chooses between fields of one name as Go and encoding/json do: the
// least nested, then the tagged one; none if that leaves several.
func dominant(all []*field) *field {
	slices.SortStableFunc(all, func(a, b *field) int {
		if c := cmp.Compare(len(a.index), len(b.index)); c != 0 || a.tagged == b.tagged {
			return c
		}
		if a.tagged {
			return -1
		}
		return 1
	})
	if len(all) > 1 && len(all[0].index) == len(all[1].index) && all[0].tagged == all[1].tagged {
		return nil
	}
	return all[0]
}

// isEmpty is encoding/json's idea of empty: a struct, a time included, never is.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func isZero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return z.IsZero()
	}
	return v.IsZero()
}
