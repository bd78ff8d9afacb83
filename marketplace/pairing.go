package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Pairing is what the secretariat says of two participants of an event: that
// they are to meet, perhaps at a certain time and place, or that they are not.
// Only the secretariat sees it. It does not stand against a participant that
// never wants to meet the other: then they do not meet.
type Pairing struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event ID           `json:"event"`
	A     ID           `json:"a"` // member
	B     ID           `json:"b"` // member, after A in the order of ids
	Level PairingLevel `json:"level"`
	Slot  *time.Time   `json:"slot,omitempty"`  // when a slot begins in which they meet; nil: any
	Table string       `json:"table,omitempty"` // at which they meet; empty: any
	Note  string       `json:"note,omitempty"`
}

// KindPairing is the kind of Pairing.
var KindPairing = registerRecord("pairing", func() entity { return new(Pairing) },
	Index{Equal: []string{"event"}, Sort: "createdAt"},
	Index{Equal: []string{"event", "a", "b"}})

// A PairingLevel says how much the secretariat wants two participants to meet.
type PairingLevel string

// The levels of pairings.
const (
	PairLocked  PairingLevel = "LOCKED"  // they meet, before all others
	PairMust    PairingLevel = "MUST"    // as if both had said so
	PairWant    PairingLevel = "WANT"    // as if both had said so
	PairBlocked PairingLevel = "BLOCKED" // they do not meet
)

// PairingLevels are all of them.
var PairingLevels = []PairingLevel{PairLocked, PairMust, PairWant, PairBlocked}

// maxPairings bounds those of one event.
const maxPairings = 1000

func (*Pairing) kind() Kind        { return KindPairing }
func (*Pairing) parties() []ID     { return nil }
func (*Pairing) audience() []Group { return []Group{Secretariat} }
func (x *Pairing) refs() []ID      { return []ID{x.Event, x.A, x.B} }

// Two participants are paired once.
func (x *Pairing) claims() []string {
	return []string{"pair:" + string(x.A) + " with " + string(x.B) + " at " + string(x.Event)}
}

// IsNode marks pairings as something with an id of its own.
func (*Pairing) IsNode() {}

func (x *Pairing) validate(p *problems) {
	checkOne(p, "level", x.Level, PairingLevels)
	checkString(p, "note", x.Note, 500, false)
	if !isMember(x.A) {
		p.add("a", "INVALID", "must be the id of a member")
	}
	if !isMember(x.B) || x.A == x.B {
		p.add("b", "INVALID", "must be the id of another member")
	}
}

// SetPairingInput is what SetPairing takes.
type SetPairingInput struct {
	Event   ID
	A, B    ID // members, in any order
	Version *int
	Level   PairingLevel
	Slot    *time.Time // the beginning of a slot of the event
	Table   *string    // the name of a table of the event
	Note    *string
}

// SetPairing says of two participants whether they are to meet, in place of
// what was said of them before. Whether one of them never wants to meet the
// other makes no difference to it, so that nothing can be learnt of that.
func (m *Market) SetPairing(ctx context.Context, in SetPairingInput) (*Pairing, error) {
	a, b := min(in.A, in.B), max(in.A, in.B)
	fresh := func() *Pairing { return &Pairing{Event: in.Event, A: a, B: b} }
	if err := MayPair.check(ctx, fresh()); err != nil {
		return nil, err
	}
	e, err := m.Event(ctx, in.Event)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("event", "NOT_FOUND", "there is no such event")
	}
	if err != nil {
		return nil, err
	}
	var p problems
	ids := []ID{in.A, in.B}
	for i, id := range ids {
		r, err := m.RegistrationOf(ctx, e.ID, id)
		if err := ignore(err, ErrNotFound); err != nil {
			return nil, err
		}
		if err != nil || r.Status != RegistrationApproved {
			p.add([]string{"a", "b"}[i], "NOT_FOUND", "is no participant of this event")
		}
	}
	if in.Slot != nil && e.SlotAt(*in.Slot) < 0 {
		p.add("slot", "NOT_FOUND", "no slot of the event begins then")
	}
	if in.Table != nil && !slices.ContainsFunc(e.Tables, func(t EventTable) bool { return t.Name == *in.Table }) {
		p.add("table", "NOT_FOUND", "the event has no table of that name")
	}
	if in.Level == PairBlocked && (in.Slot != nil || in.Table != nil) {
		p.add("level", "INVALID", "pairs that do not meet have no slot and no table")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	change := func(x *Pairing) error {
		x.IsSample = e.IsSample
		x.Level, x.Slot, x.Table, x.Note = in.Level, in.Slot, text(in.Table), text(in.Note)
		return nil
	}
	for range maxRetries {
		x, err := only[*Pairing](ctx, m, KindPairing, Condition{Field: "event", Op: Eq, Value: e.ID}, Condition{Field: "a", Op: Eq, Value: a}, Condition{Field: "b", Op: Eq, Value: b})
		if err == nil {
			if x, err = update(ctx, m, MayPair, x.ID, versionOf(in.Version), change); !errors.Is(err, ErrNotFound) {
				return x, err
			}
			continue // it was removed in the meantime
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		n, err := m.count(ctx, KindPairing, pairingsOf(e.ID, maxPairings))
		if err != nil {
			return nil, err
		}
		if n == maxPairings {
			return nil, invalid("", "TOO_MANY", fmt.Sprintf("at most %d pairs in an event", maxPairings))
		}
		x = fresh()
		if err = change(x); err == nil {
			err = create(ctx, m, MayPair, x)
		}
		if !taken(err, "pair") {
			return x, err
		}
	}
	return nil, ErrUnavailable
}

// pairingsOf asks for the pairings of an event, oldest first.
func pairingsOf(event ID, limit int) Query {
	return Query{Where: []Condition{{Field: "event", Op: Eq, Value: event}}, Sort: "createdAt", Limit: limit}
}

// RemovePairing takes back what was said of two participants.
func (m *Market) RemovePairing(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayPair, id, versionOf(version), func(x *Pairing) error {
		x.mark("DELETE", "")
		x.IsDeleted = true
		return nil
	})
	return err
}

// Pairing returns a pairing, or ErrNotFound.
func (m *Market) Pairing(ctx context.Context, id ID) (*Pairing, error) {
	return get[*Pairing](ctx, m, id)
}

// Pairings lists the pairings of an event for the secretariat, oldest first;
// for others the list is empty.
func (m *Market) Pairings(ctx context.Context, event ID, s Slice) (*Page[*Pairing], error) {
	if !onSide(ctx) {
		return emptyPage[*Pairing](s)
	}
	return page[*Pairing](ctx, m, KindPairing, pairingsOf(event, 0), s)
}

// Names of the pages of pairings in the API.
type (
	PairingConnection = Page[*Pairing]
	PairingEdge       = PageEdge[*Pairing]
)

// TableOrNil is the table; nil: any.
func (x *Pairing) TableOrNil() *string { return maybe(x.Table) }

// NoteOrNil is the note; nil where there is none.
func (x *Pairing) NoteOrNil() *string { return maybe(x.Note) }
