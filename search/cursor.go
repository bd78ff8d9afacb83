package search

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"citymarket/marketplace"
)

// An order is how the matches of one query are sorted: by score where it is
// scored, then by the first term of a field, then by id. All ascend but the
// score; a document without a term comes last.
type order struct {
	code   byte // of the cursor
	scored bool
	field  string
}

// orderOf maps a sort order, whose name is none of the stranger's choices
// that were foreseen, to relevance.
func orderOf(q *marketplace.FinderQuery, text bool) order {
	switch q.Sort {
	case marketplace.SortNewest:
		return order{code: 'n', field: fieldNewest}
	case marketplace.SortName:
		i := collationOf(q.Languages)
		return order{code: '0' + byte(i), field: nameField(collations[i])}
	case marketplace.SortDeadline:
		return order{code: 'd', field: numberField(marketplace.FieldDeadline)}
	}
	if text {
		return order{code: 'r', scored: true, field: fieldNewest}
	}
	return order{code: 'n', field: fieldNewest}
}

// collationOf picks the order of names for a viewer: that of the first
// language, English where there is none for it.
func collationOf(wished []marketplace.Language) int {
	if len(wished) > 0 {
		base, _, _ := strings.Cut(string(wished[0]), "-")
		for i, tag := range collations {
			if tag.String() == base {
				return i
			}
		}
	}
	return 0
}

// missing sorts after every term, as no term begins like this.
const missing = "\xff\xff\xff\xff\xff\xff\xff\xff\xff"

// A place is where a document stands in an order.
type place struct {
	score float32
	key   string
	id    string
	doc   uint32 // within its segment
	part  *part
}

// compare orders two places; ids are read only where they decide.
func (o order) compare(a, b *place) (int, error) {
	if o.scored {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c, nil
		}
	}
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c, nil
	}
	for _, p := range []*place{a, b} {
		if err := p.identify(); err != nil {
			return 0, err
		}
	}
	return strings.Compare(a.id, b.id), nil
}

func (p *place) identify() error {
	if p.id == "" {
		col, err := p.part.column(fieldID)
		if err != nil {
			return err
		}
		p.id, _ = col.first(p.doc)
	}
	return nil
}

// A cursor names a place: the order it belongs to and how many units of the
// text were asked for, then the score, the key's length, the key and the id,
// in base64url. Example, decoded: "n" 0 00000000 8 <8 bytes> "solution/sol_1".
// It holds nothing that a viewer who saw the hit may not know.
func (o order) cursor(p *place, asked int) string {
	b := append(make([]byte, 0, 64), o.code, byte(asked))
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(p.score))
	b = append(b, byte(len(p.key)))
	b = append(append(b, p.key...), p.id...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// parse reads a cursor of this order.
func (o order) parse(s string) (p *place, asked int, err error) {
	bad := fmt.Errorf("search: %w", marketplace.ErrBadCursor)
	if len(s) > 1024 {
		return nil, 0, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 7 || b[0] != o.code || b[1] > maxUnits || len(b) <= 7+int(b[6]) {
		return nil, 0, bad
	}
	p = &place{score: math.Float32frombits(binary.BigEndian.Uint32(b[2:])), key: string(b[7 : 7+int(b[6])]), id: string(b[7+int(b[6]):])}
	if p.score != p.score || o.scored && b[1] == 0 {
		return nil, 0, bad
	}
	return p, int(b[1]), nil
}
