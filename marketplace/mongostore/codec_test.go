package mongostore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

type (
	stamped struct {
		At time.Time `json:"at"`
	}
	Hidden struct {
		Depth int
		Name  string `json:"name"`
	}
	// city marshals itself as text, money as a JSON object.
	city  struct{ name string }
	money struct{ cents int64 }

	everything struct {
		stamped
		*Hidden
		Name    string `json:"name"` // hides Hidden.Name
		Zero    time.Time
		Gone    time.Time      `json:"gone,omitzero"`
		Empty   time.Time      `json:"empty,omitempty"` // never is, to encoding/json
		None    *int           `json:"none,omitempty"`
		Maybe   *time.Time     `json:"maybe"`
		City    city           `json:"city"`
		Cities  []*city        `json:"cities"`
		Money   money          `json:"money"`
		Any     any            `json:"any"`
		Bytes   []byte         `json:"bytes"`
		Map     map[string]any `json:"map,omitempty"`
		Ignored string         `json:"-"`
	}
)

func (c city) MarshalText() ([]byte, error)     { return []byte("city:" + c.name), nil }
func (c *city) UnmarshalText(text []byte) error { c.name = string(text[len("city:"):]); return nil }
func (m money) MarshalJSON() ([]byte, error)    { return fmt.Appendf(nil, `{"cents":%d}`, m.cents), nil }
func (m *money) UnmarshalJSON(text []byte) error {
	var v struct{ Cents int64 }
	err := json.Unmarshal(text, &v)
	m.cents = v.Cents
	return err
}

// The names of the fields and what is left out are encoding/json's, and
// everything comes back.
func TestCodecIsJSON(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC)
	for _, v := range []everything{
		{},
		{stamped: stamped{now}, Hidden: &Hidden{Depth: 2}, Name: "n", Maybe: &now, City: city{"oslo"}, Cities: []*city{{"x"}, nil},
			Money: money{-5}, Any: map[string]any{"a": []any{"b", 1.5, nil, true}}, Bytes: []byte{1, 2}, Map: map[string]any{"k": "v"}},
	} {
		raw, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		text, _ := json.Marshal(v)
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		elements, err := raw.Elements()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range elements {
			if _, ok := want[e.Key()]; !ok {
				t.Errorf("BSON has the field %q, JSON has not", e.Key())
			}
			delete(want, e.Key())
		}
		if len(want) > 0 {
			t.Errorf("BSON lacks %v", want)
		}
		var got everything
		if err := decoder(raw)(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("came back as\n%+v\nwant\n%+v", got, v)
		}
	}
}

// Times lose what is below a second and their zone, wherever they are.
func TestTimesAreWholeSeconds(t *testing.T) {
	t.Parallel()
	at := time.Date(1969, 12, 31, 23, 59, 58, 999_999_999, time.FixedZone("", 3600))
	raw, err := encode(struct {
		At  time.Time
		Ptr *time.Time
		Any any
	}{at, &at, at})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"At", "Ptr", "Any"} {
		if got := raw.Lookup(name); got.Type != bson.TypeDateTime || got.DateTime() != at.Unix()*1000 {
			t.Errorf("%s is %v", name, got)
		}
	}
	if o, err := operand(at); err != nil || o != bson.DateTime(at.Unix()*1000) {
		t.Errorf("a condition compares with %v, %v", o, err)
	}
}

func TestDecodeSkipsWhatIsNew(t *testing.T) {
	t.Parallel()
	raw, err := encode(map[string]any{"n": 7, "tomorrow": []any{map[string]any{"x": 1}}})
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(raw)
	var v note
	if err := decoder(raw)(&v); err != nil || v.N != 7 || !bytes.Equal(raw, before) {
		t.Errorf("%+v, %v", v, err)
	}
}
