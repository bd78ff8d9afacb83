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
// scored, then by a field, then by id. All ascend but the score; a document
// without the field comes last.
type order struct {
	code   byte // of the cursor
	scored bool
	field  string
	names  bool // the field holds collation keys, else numbers
}

// orderOf maps a sort order, whose name is none of the stranger's choices
// that were foreseen, to relevance.
func orderOf(q *marketplace.FinderQuery, text bool) order {
	switch q.Sort {
	case marketplace.SortNewest:
		return order{code: 'n', field: fieldNewest}
	case marketplace.SortName:
		i := collationOf(q.Languages)
		return order{code: '0' + byte(i), field: nameField(collations[i]), names: true}
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

// A place is where a document stands in an order. One that a cursor names
// has no part.
type place struct {
	score float32
	// key is, of a number, its ordinal; of a name, 1 + twice its place among
	// those of the part, so that it compares with others of the part only.
	key  uint64
	doc  uint32 // within its segment
	part *part
	id   string
	name string // as bytes; both are read when they are needed
}

// keys read the keys of an order in a part.
type keys struct {
	numbers *numbers
	places  []uint32 // as in ranks
}

func (o *order) keys(p *part) (k keys, err error) {
	if o.names {
		var r *ranks
		if r, err = p.ranks(o.field); err == nil {
			k.places = r.of
		}
		return k, err
	}
	k.numbers, err = p.numbers(o.field)
	return k, err
}

func (k *keys) of(doc uint32) uint64 {
	if k.numbers != nil {
		return k.numbers.of(doc)
	}
	if k.places != nil && k.places[doc] != absent {
		return 2*uint64(k.places[doc]) + 1
	}
	return missing
}

// narrow returns what the keys are made of, in the same order, where that
// takes four bytes; else nil.
func (k *keys) narrow() []uint32 {
	if k.numbers != nil {
		return k.numbers.narrow
	}
	return k.places
}

// least is the least of narrow whose key is not below one.
func (k *keys) least(key uint64) int64 {
	switch {
	case key == missing:
		return absent
	case k.numbers == nil:
		return int64(key / 2)
	}
	return int64(min(max(math.Ceil(number(key)-k.numbers.base), 0), absent))
}

// most is the greatest of narrow whose key is not above one; -1 where none is.
func (k *keys) most(key uint64) int64 {
	switch {
	case key == missing:
		return absent
	case k.numbers == nil:
		return int64((key+1)/2) - 1
	}
	return int64(min(max(math.Floor(number(key)-k.numbers.base), -1), absent-1))
}

// compare orders two places; names and ids are read only where they decide.
func (o *order) compare(a, b *place) (int, error) {
	if o.scored && a.score != b.score {
		return cmp.Compare(b.score, a.score), nil
	}
	if a.key != b.key && (!o.names || a.part == b.part || a.key == missing || b.key == missing) {
		return cmp.Compare(a.key, b.key), nil
	}
	if o.names && a.part != b.part && a.key != missing && b.key != missing {
		for _, p := range []*place{a, b} {
			if err := p.read(o); err != nil {
				return 0, err
			}
		}
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c, nil
		}
	}
	if a.part == b.part {
		r, err := a.part.ranks(fieldID)
		if err != nil {
			return 0, err
		}
		return cmp.Compare(r.of[a.doc], r.of[b.doc]), nil
	}
	for _, p := range []*place{a, b} {
		if err := p.identify(); err != nil {
			return 0, err
		}
	}
	return strings.Compare(a.id, b.id), nil
}

// read reads the name of a place.
func (p *place) read(o *order) error {
	if p.name != "" || p.part == nil || p.key == missing {
		return nil
	}
	r, err := p.part.ranks(o.field)
	if err == nil {
		p.name, err = r.term(p.part.SegmentSnapshot, o.field, uint32(p.key/2))
	}
	return err
}

func (p *place) identify() error {
	if p.id != "" || p.part == nil {
		return nil
	}
	id, err := p.part.DocID(uint64(p.doc))
	p.id = string(id)
	return err
}

// A bound is a cursor's place seen from one part.
type bound struct {
	order *order
	place
	at   *part
	tie  uint64 // 1 + twice the place of its id among the part's, or twice the place where it would be
	tied bool   // tie is known
}

// bound finds where in a part a cursor's place is.
func (o *order) bound(p *part, at *place) (*bound, error) {
	if at == nil {
		return nil, nil
	}
	b := &bound{order: o, place: *at, at: p}
	if o.names && at.key != missing {
		r, err := p.ranks(o.field)
		if err != nil {
			return nil, err
		}
		n, ok, err := r.find(p.SegmentSnapshot, o.field, at.name)
		if err != nil {
			return nil, err
		}
		if b.key = 2 * uint64(n); ok {
			b.key++
		}
	}
	return b, nil
}

// compare says on which side of the bound a document of the part is.
func (b *bound) compare(score float32, key uint64, doc uint32) (int, error) {
	if b.order.scored && score != b.score {
		return cmp.Compare(b.score, score), nil
	}
	if key != b.key {
		return cmp.Compare(key, b.key), nil
	}
	r, err := b.at.ranks(fieldID)
	if err != nil {
		return 0, err
	}
	if !b.tied {
		n, ok, err := r.find(b.at.SegmentSnapshot, fieldID, b.id)
		if err != nil {
			return 0, err
		}
		if b.tie, b.tied = 2*uint64(n), true; ok {
			b.tie++
		}
	}
	return cmp.Compare(2*uint64(r.of[doc])+1, b.tie), nil
}

// noKey stands for the length of a key that is missing.
const noKey = 0xff

// A cursor names a place: the order it belongs to and how many units of the
// text were asked for, then the score, the key's length, the key and the id,
// in base64url. Example, decoded: "n" 0 00000000 8 <8 bytes> "solution/sol_1".
// It holds nothing that a viewer who saw the hit may not know.
func (o *order) cursor(p *place, asked int) (string, error) {
	b := append(make([]byte, 0, 64), o.code, byte(asked))
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(p.score))
	switch {
	case p.key == missing:
		b = append(b, noKey)
	case o.names:
		if err := p.read(o); err != nil {
			return "", err
		}
		b = append(append(b, byte(len(p.name))), p.name...)
	default:
		b = binary.BigEndian.AppendUint64(append(b, 8), p.key)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, p.id...)), p.identify()
}

// parse reads a cursor of this order.
func (o *order) parse(s string) (p *place, asked int, err error) {
	bad := fmt.Errorf("search: %w", marketplace.ErrBadCursor)
	if len(s) > 1024 {
		return nil, 0, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 7 || b[0] != o.code || b[1] > maxUnits {
		return nil, 0, bad
	}
	p = &place{score: math.Float32frombits(binary.BigEndian.Uint32(b[2:])), key: missing}
	rest := b[7:]
	if n := int(b[6]); n != noKey {
		if len(rest) < n || !o.names && n != 8 {
			return nil, 0, bad
		}
		if p.key = 0; o.names {
			p.name = string(rest[:n])
		} else {
			p.key = binary.BigEndian.Uint64(rest)
		}
		rest = rest[n:]
	}
	if p.id = string(rest); p.id == "" || p.score != p.score || o.scored && b[1] == 0 {
		return nil, 0, bad
	}
	return p, int(b[1]), nil
}
