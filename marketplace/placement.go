package marketplace

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Placement is a meeting of two participants of an event in a timetable:
// when they meet and, where the event has tables, at which one. Two
// participants have at most one in a timetable.
type Placement struct {
	A     ID // member
	B     ID // member, after A in the order of ids
	Slot  time.Time
	Table string // empty where the event has none
	// IsLocked says that a run that goes on from this timetable leaves it as it is.
	IsLocked bool

	// Who sits in it for either side, as Delegate.Person names them; only in
	// what was published.
	PersonA, PersonB string
}

// A duo are two members, in the order of their ids.
type duo [2]ID

func pairOf(a, b ID) duo {
	if b < a {
		a, b = b, a
	}
	return duo{a, b}
}

// other is the other one of the two.
func (x duo) other(of ID) ID {
	if x[0] == of {
		return x[1]
	}
	return x[0]
}

// TableOrNil is the name of its table; nil where there is none.
func (p *Placement) TableOrNil() *string { return maybe(p.Table) }

func (p *Placement) pair() duo { return duo{p.A, p.B} }

// comparePlacements is the order of timetables: by time, then by members.
func comparePlacements(a, b Placement) int {
	return cmp.Or(a.Slot.Compare(b.Slot), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
}

// MaxPlacements is how many meetings a timetable can have: as a document they
// take some 400 KB then, of the 1 MB that a store takes.
const MaxPlacements = 20_000

// placements are a timetable as it is stored. What it names it names once; a
// line is one meeting, by the places in those lists: A, B, slot, table, person
// of A, person of B (-1 where there is none), and L where it is locked:
// "0 17 5 2 -1 -1 L". The lines are in the order of comparePlacements.
type placements struct {
	Members []ID        `json:"members,omitempty"`
	Slots   []time.Time `json:"slots,omitempty"`
	Tables  []string    `json:"tables,omitempty"`
	Persons []string    `json:"persons,omitempty"`
	Lines   []string    `json:"lines,omitempty"`
}

// A numbering gives each of several values a number, in the order in which
// they come.
type numbering[T comparable] struct {
	list []T
	at   map[T]int
}

func (r *numbering[T]) number(v, none T) int {
	if v == none {
		return -1
	}
	n, ok := r.at[v]
	if !ok {
		if r.at == nil {
			r.at = map[T]int{}
		}
		n = len(r.list)
		r.at[v], r.list = n, append(r.list, v)
	}
	return n
}

// packed is a timetable as it is stored.
func packed(list []Placement) placements {
	list = slices.SortedFunc(slices.Values(list), comparePlacements)
	var members numbering[ID]
	var slots numbering[time.Time]
	var tables, persons numbering[string]
	var out placements
	var line []byte
	for _, p := range list {
		line = line[:0]
		for i, n := range []int{members.number(p.A, ""), members.number(p.B, ""), slots.number(p.Slot.UTC(), time.Time{}),
			tables.number(p.Table, ""), persons.number(p.PersonA, ""), persons.number(p.PersonB, "")} {
			if i > 0 {
				line = append(line, ' ')
			}
			line = strconv.AppendInt(line, int64(n), 10)
		}
		if p.IsLocked {
			line = append(line, " L"...)
		}
		out.Lines = append(out.Lines, string(line))
	}
	out.Members, out.Slots, out.Tables, out.Persons = members.list, slots.list, tables.list, persons.list
	return out
}

// list is the timetable in the order of comparePlacements. A line that cannot
// be read, of a later version of the program, is passed over.
func (t *placements) list() []Placement {
	out := make([]Placement, 0, len(t.Lines))
	for _, line := range t.Lines {
		line, locked := strings.CutSuffix(line, " L")
		var n [6]int
		ok, i := true, 0
		for word := range strings.SplitSeq(line, " ") {
			v, err := strconv.Atoi(word)
			if ok = ok && err == nil && i < len(n); !ok {
				break
			}
			n[i] = v
			i++
		}
		p := Placement{A: entryAt(t.Members, n[0]), B: entryAt(t.Members, n[1]), Slot: entryAt(t.Slots, n[2]).UTC(), Table: entryAt(t.Tables, n[3]),
			PersonA: entryAt(t.Persons, n[4]), PersonB: entryAt(t.Persons, n[5]), IsLocked: locked}
		if ok && p.A != "" && p.B != "" && !p.Slot.IsZero() {
			out = append(out, p)
		}
	}
	return out
}

func entryAt[T any](list []T, i int) (v T) {
	if i >= 0 && i < len(list) {
		v = list[i]
	}
	return v
}
