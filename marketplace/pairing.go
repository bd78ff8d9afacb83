package marketplace

import "time"

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
	Index{Equal: []string{"event"}, Sort: "createdAt"})

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

// pairingID is the id of the pairing of two members in their order.
func pairingID(event, a, b ID) ID {
	return ID(string(KindPairing) + "_" + hashed(string(event) + "\x00" + string(a) + "\x00" + string(b))[:26])
}

func (*Pairing) kind() Kind        { return KindPairing }
func (*Pairing) parties() []ID     { return nil }
func (*Pairing) audience() []Group { return []Group{Secretariat} }
func (x *Pairing) refs() []ID      { return []ID{x.Event, x.A, x.B} }

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
