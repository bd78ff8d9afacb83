package marketplace

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"citymarket/marketplace/timetable"
)

// An Unplaced is a pair that was asked for and has no place in a timetable,
// with what speaks against it and what would let it in. The reason follows
// from what the secretariat knows alone: for pairs that must not meet it is
// one that holds for others as well.
type Unplaced struct {
	A, B   ID
	IsMust bool // one of the two, or the secretariat, says so
	Reason TimetableReason
}

// A TimetableReason is why something found no place. Code and Remedy are those
// of the package timetable, in the words of which they are documented.
type TimetableReason struct {
	Code   string `json:"code"`
	Member ID     `json:"member,omitempty"` // whom it is about; empty: both, or all
	Wanted int    `json:"wanted,omitempty"` // meetings
	Room   int    `json:"room,omitempty"`   // for how many there is room
	Remedy string `json:"remedy,omitempty"`
	Count  int    `json:"count,omitempty"` // of the remedy: so many more
	Pairs  [][]ID `json:"pairs,omitempty"` // meetings that cannot all take place
}

// unplacedCodes and unplacedRemedies are how codes and remedies are stored: by
// their place here, which must not change.
var (
	unplacedCodes = []timetable.Code{timetable.NoCommonSlot, timetable.TooManyMeetings, timetable.AtMaximum, timetable.TooFewPlaces,
		timetable.TablesTaken, timetable.SlotsTaken, timetable.OutOfOrder, timetable.Clash, timetable.SpreadTooSmall, noInterpreter}
	unplacedRemedies = []timetable.Remedy{"", timetable.MoreSlots, timetable.MoreTables, timetable.MoreSeats, timetable.HigherMaximum, timetable.MoreAvailability, moreInterpreters}
)

// What an event says besides: to the solver those who interpret are one
// participant like others.
const (
	noInterpreter    timetable.Code   = "NO_INTERPRETER"    // whenever both sides are free, at Room meetings, all interpreters are elsewhere
	moreInterpreters timetable.Remedy = "MORE_INTERPRETERS" // Count more
)

// Limits of what a run tells.
const (
	maxUnplaced = 10_000 // pairs that are named: those that are asked for most
	maxReasons  = 1000   // of the timetable as a whole
)

// reasons are stored reasons: members once, and lines with the places of A, B
// (-1 where there is none), 1 for a must, and the code, the member (0: A, 1: B,
// -1: neither), wanted, room, remedy and count: "0 17 1 2 0 12 10 4 1".
type reasons struct {
	Members []ID     `json:"members,omitempty"`
	Lines   []string `json:"lines,omitempty"`
}

func packedReasons(list []Unplaced) reasons {
	var members numbering[ID]
	var out reasons
	for _, u := range list {
		side := -1
		switch u.Reason.Member {
		case "":
		case u.A:
			side = 0
		case u.B:
			side = 1
		}
		must := 0
		if u.IsMust {
			must = 1
		}
		words := make([]string, 0, 9)
		for _, n := range []int{members.number(u.A, ""), members.number(u.B, ""), must,
			slices.Index(unplacedCodes, timetable.Code(u.Reason.Code)), side, u.Reason.Wanted, u.Reason.Room,
			slices.Index(unplacedRemedies, timetable.Remedy(u.Reason.Remedy)), u.Reason.Count} {
			words = append(words, strconv.Itoa(n))
		}
		out.Lines = append(out.Lines, strings.Join(words, " "))
	}
	out.Members = members.list
	return out
}

func (r *reasons) list() []Unplaced {
	out := make([]Unplaced, 0, len(r.Lines))
	for _, line := range r.Lines {
		var n [9]int
		ok := true
		for i, word := range strings.Split(line, " ") {
			v, err := strconv.Atoi(word)
			if ok = ok && err == nil && i < len(n); ok {
				n[i] = v
			}
		}
		if !ok {
			continue // by a later version of the program
		}
		u := Unplaced{A: entryAt(r.Members, n[0]), B: entryAt(r.Members, n[1]), IsMust: n[2] == 1,
			Reason: TimetableReason{Code: string(entryAt(unplacedCodes, n[3])), Wanted: n[5], Room: n[6], Remedy: string(entryAt(unplacedRemedies, n[7])), Count: n[8]}}
		if n[4] == 0 {
			u.Reason.Member = u.A
		} else if n[4] == 1 {
			u.Reason.Member = u.B
		}
		out = append(out, u)
	}
	return out
}

// A shortage explains why pairs have no place in a timetable.
type shortage struct {
	*schedule
	wanted []int   // by participant, how many meetings with it are asked for
	used   [][]int // by participant and slot, how many meetings it has
	asked  int     // meetings in all
	atFree int     // meetings at tables that belong to nobody
}

func (s *schedule) shortage() *shortage {
	x := &shortage{schedule: s, wanted: make([]int, len(s.Participants)), used: make([][]int, len(s.Participants))}
	for _, p := range s.assembly.asked() {
		x.wanted[p.A]++
		x.wanted[p.B]++
		x.asked++
	}
	for i := range x.used {
		x.used[i] = make([]int, len(s.Event.Slots))
	}
	for k, r := range s.rosters {
		for _, seat := range r.seats {
			if seat.meeting != (duo{}) {
				x.used[seat.participant][k]++
			}
		}
	}
	for _, p := range s.list {
		if p.Table != "" && !s.owners[p.A] && !s.owners[p.B] {
			x.atFree++
		}
	}
	return x
}

// room is how many meetings a participant has seats for.
func (x *shortage) room(i int) int {
	n := 0
	for k := range x.Event.Slots {
		n += x.seats(i, k)
	}
	return n
}

// unplaced are the pairs that were asked for and have no place, those that are
// asked for most first.
func (x *shortage) unplaced(hasMet map[duo]bool) []Unplaced {
	type weighed struct {
		Unplaced
		rank  timetable.Rank
		score int
	}
	var all []weighed
	for _, p := range x.assembly.asked() {
		m := x.assembly.pairOf(p)
		if _, ok := x.list[m]; ok || x.had[m] {
			continue
		}
		rank := p.rank()
		all = append(all, weighed{Unplaced{m[0], m[1], rank >= timetable.Must, x.against(p)}, rank, p.score(hasMet[m])})
	}
	slices.SortStableFunc(all, func(a, b weighed) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(b.score, a.score), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})
	out := make([]Unplaced, len(all))
	for i, w := range all {
		out[i] = w.Unplaced
	}
	return out
}

// against says what speaks against a pair. Where nothing does that can be
// told, their slots are taken, as they are for most.
func (x *shortage) against(p DemandPair) TimetableReason {
	a, b := p.A, p.B
	if p.Pairing != nil && p.Pairing.Slot != nil && !x.canLock(p) {
		return TimetableReason{Code: string(timetable.NoCommonSlot), Remedy: string(timetable.MoreAvailability), Count: 1}
	}
	common := x.common(a, b)
	if common == 0 {
		return TimetableReason{Code: string(timetable.NoCommonSlot), Remedy: string(timetable.MoreAvailability), Count: 1}
	}
	for _, i := range []int{a, b} {
		if most := x.Participants[i].Maximum; x.held[i] >= most {
			return TimetableReason{Code: string(timetable.AtMaximum), Member: x.member(i), Wanted: x.wanted[i], Room: most, Remedy: string(timetable.HigherMaximum), Count: 1}
		}
	}
	for _, i := range []int{a, b} {
		if r, ok := x.crowded(i); ok && x.held[i] >= r.Room {
			return r
		}
	}
	owned := x.owners[x.member(a)] || x.owners[x.member(b)]
	if r, ok := x.full(); ok && !owned && x.atFree >= r.Room {
		return r
	}
	tables, mute, alone := 0, 0, [2]int{}
	speaks := x.interprets(a, b)
	for k := range x.Event.Slots {
		if x.isPast(k) || x.seats(a, k) == 0 || x.seats(b, k) == 0 {
			continue
		}
		freeA, freeB := x.seats(a, k) > x.used[a][k], x.seats(b, k) > x.used[b][k]
		switch {
		case freeA && freeB:
			tables++
			if speaks && x.spoken[k] >= *x.Event.InterpreterCount {
				mute++
			}
		case freeB:
			alone[0]++
		case freeA:
			alone[1]++
		}
	}
	if mute > 0 && mute == tables {
		return TimetableReason{Code: string(noInterpreter), Room: *x.Event.InterpreterCount, Remedy: string(moreInterpreters), Count: 1}
	}
	if tables > 0 && len(x.Event.Tables) > 0 && !x.hasTable(a, b) {
		return TimetableReason{Code: string(timetable.TablesTaken), Room: tables, Remedy: string(timetable.MoreTables), Count: 1}
	}
	r := TimetableReason{Code: string(timetable.SlotsTaken), Room: common, Remedy: string(timetable.MoreSlots), Count: 1}
	switch {
	case alone[0] > 0:
		r.Member, r.Remedy = x.member(a), string(timetable.MoreSeats)
	case alone[1] > 0:
		r.Member, r.Remedy = x.member(b), string(timetable.MoreSeats)
	}
	return r
}

// hasTable says whether there is a table for two participants in a slot in
// which both have somebody free.
func (x *shortage) hasTable(a, b int) bool {
	m := pairOf(x.member(a), x.member(b))
	for k := range x.Event.Slots {
		if !x.isPast(k) && x.seats(a, k) > x.used[a][k] && x.seats(b, k) > x.used[b][k] &&
			x.freeTable(Placement{A: m[0], B: m[1], Slot: x.Event.Slots[k].StartsAt}, k) != "" {
			return true
		}
	}
	return false
}

// crowded says that a participant has more wishes than free slots.
func (x *shortage) crowded(i int) (TimetableReason, bool) {
	room := x.room(i)
	return TimetableReason{Code: string(timetable.TooManyMeetings), Member: x.member(i), Wanted: x.wanted[i], Room: room, Remedy: string(timetable.MoreSlots), Count: x.wanted[i] - room},
		x.wanted[i] > room
}

// full says that there are more meetings than places at tables.
func (x *shortage) full() (TimetableReason, bool) {
	places := x.places()
	if places < 0 || x.asked <= places {
		return TimetableReason{}, false
	}
	slots := 0
	for k, s := range x.Event.Slots {
		if !s.IsBlocked && !x.isPast(k) {
			slots++
		}
	}
	r := TimetableReason{Code: string(timetable.TooFewPlaces), Wanted: x.asked, Room: places, Remedy: string(timetable.MoreTables), Count: 1}
	if slots > 0 {
		r.Count = (x.asked - places + slots - 1) / slots
	}
	return r, true
}

// overall are the reasons of the timetable as a whole.
func (x *shortage) overall() []TimetableReason {
	var out []TimetableReason
	if r, ok := x.full(); ok {
		out = append(out, r)
	}
	for i := range x.Participants {
		if r, ok := x.crowded(i); ok && len(out) < maxReasons {
			out = append(out, r)
		}
	}
	return out
}

// A ToldReason is a reason as it is shown: with the pair that it is about, or
// none where it is one of a timetable as a whole.
type ToldReason struct {
	TimetableReason
	of duo
}

// ToldReason is the reason as it is shown.
func (u *Unplaced) ToldReason() *ToldReason { return &ToldReason{u.Reason, duo{u.A, u.B}} }

// ToldReasons are its reasons as they are shown.
func (r *Run) ToldReasons() []*ToldReason {
	out := make([]*ToldReason, len(r.Reasons))
	for i, x := range r.Reasons {
		out[i] = &ToldReason{TimetableReason: x}
	}
	return out
}

// RemedyOrNil is what would let it in; nil where nothing is known.
func (r *ToldReason) RemedyOrNil() *string { return maybe(r.Remedy) }

// A MemberPair is two members that are named together.
type MemberPair struct{ A, B ID }

// MemberPairs are meetings that cannot all take place.
func (r *ToldReason) MemberPairs() []*MemberPair {
	out := make([]*MemberPair, len(r.Pairs))
	for i, p := range r.Pairs {
		out[i] = &MemberPair{entryAt(p, 0), entryAt(p, 1)}
	}
	return out
}

// ReasonSentence says in the viewer's language why it has no place.
func (m *Market) ReasonSentence(ctx context.Context, r *ToldReason) (string, error) {
	return m.sayReason(ctx, "reason."+r.Code, r)
}

// RemedySentence says in the viewer's language what would let it in; nil where
// nothing is known.
func (m *Market) RemedySentence(ctx context.Context, r *ToldReason) (*string, error) {
	if r.Remedy == "" {
		return nil, nil
	}
	s, err := m.sayReason(ctx, "remedy."+r.Remedy, r)
	return maybe(s), err
}

func (m *Market) sayReason(ctx context.Context, phrase string, r *ToldReason) (string, error) {
	of, languages := r.of, ViewerOf(ctx).Languages
	fill := filling{"wanted": strconv.Itoa(r.Wanted), "room": strconv.Itoa(r.Room), "count": strconv.Itoa(r.Count)}
	one, other := of[0], of[1]
	if r.Member != "" && phrase != "reason."+string(timetable.SlotsTaken) { // there it is whom the remedy is about
		one, other = r.Member, of.other(r.Member)
	}
	for name, id := range map[string]ID{"member": one, "other": other} {
		if id == "" {
			continue
		}
		var err error
		if fill[name], err = m.nameOf(ctx, id, languages); err != nil {
			return "", err
		}
	}
	return phrasesFor(languages).say(phrase, fill), nil
}
