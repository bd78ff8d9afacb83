package marketplace

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"
)

// An assembly is what the timetable of an event rests on, as it is at one
// moment: the demand, who of the participants' people is free when, and what
// is fixed already. Like the demand it holds who never wants to meet whom, and
// is shown to nobody.
type assembly struct {
	*Demand
	at       time.Time
	number   map[ID]int   // participants, by member
	persons  [][]string   // by participant, of each delegate; see personKey
	free     [][][]bool   // by participant, delegate and slot, without what takes their time elsewhere
	busy     [][]int      // by participant and slot, how many of its delegates sit in sessions
	live     []*Meeting   // of the event, that no publication has made: they stay as they are
	owners   map[ID]bool  // members that have tables of their own
	tables   []EventTable // that can be used: without those of members that do not participate
	had      map[duo]bool // who meet in one of the live ones
	pairings map[duo]bool // whom the secretariat wants to meet
}

// personKey is the word by which a person is told from all others, at this
// event and at others: whoever is known by no more than a name is so within
// their member.
func personKey(member ID, d *Delegate) string {
	if d.User == "" && d.Email == "" {
		return string(member) + " " + d.Person()
	}
	return d.Person()
}

// assemble reads what the timetable of an event rests on, whoever asks: some
// ten store operations, and one for each 1,000 meetings of the network in its time.
func (m *Market) assemble(ctx context.Context, event ID) (*assembly, error) {
	d, err := m.demand(ctx, event)
	if err != nil {
		return nil, err
	}
	a := &assembly{Demand: d, at: m.clock(), number: make(map[ID]int, len(d.Participants)), owners: map[ID]bool{}, had: map[duo]bool{}, pairings: map[duo]bool{}}
	for _, p := range a.asked() {
		if p.Pairing != nil {
			a.pairings[a.pairOf(p)] = true
		}
	}
	e := d.Event
	for i, p := range d.Participants {
		r := p.Registration
		a.number[r.Member] = i
		keys := make([]string, len(r.Delegates))
		for k := range r.Delegates {
			keys[k] = personKey(r.Member, &r.Delegates[k])
		}
		a.persons, a.free = append(a.persons, keys), append(a.free, e.Free(r))
		a.busy = append(a.busy, e.sessionsOf(r.Member))
	}
	for _, t := range e.Tables {
		if _, ok := a.number[t.Member]; ok || t.Member == "" {
			a.tables = append(a.tables, t)
			a.owners[t.Member] = t.Member != ""
		}
	}
	return a, m.takeTime(ctx, a)
}

// longestMeeting is how long a meeting can last.
const longestMeeting = maxSlotMinutes * time.Minute

// takeTime notes when delegates are in meetings that the timetable does not
// move: on demand, of other events, or booked while this one takes place.
func (m *Market) takeTime(ctx context.Context, a *assembly) error {
	e := a.Event
	if len(e.Slots) == 0 {
		return nil
	}
	type seat struct{ participant, delegate int }
	seats := map[string][]seat{}
	for i, keys := range a.persons {
		for k, key := range keys {
			seats[key] = append(seats[key], seat{i, k})
		}
	}
	q := Query{Where: []Condition{
		{Field: "status", Op: In, Values: values(bookedMeetings)},
		{Field: "startsAt", Op: Ge, Value: e.Slots[0].StartsAt.Add(-longestMeeting)},
		{Field: "startsAt", Op: Lt, Value: e.Slots[len(e.Slots)-1].EndsAt},
	}, Sort: "startsAt", Limit: MaxPage}
	return m.each(withSight(ctx), KindMeeting, q, func(doc entity) {
		x := doc.(*Meeting)
		if x.Event == e.ID && x.Timetabled != nil || !x.isBooked() {
			return
		}
		if x.Event == e.ID {
			a.live = append(a.live, x)
			a.had[pairOf(x.From, x.To)] = true
		}
		for _, key := range x.personKeys() {
			for _, s := range seats[key] {
				for k, slot := range e.Slots {
					if x.At.Before(slot.EndsAt) && slot.StartsAt.Before(x.end()) {
						a.free[s.participant][s.delegate][k] = false
					}
				}
			}
		}
	})
}

// isPast says whether a slot has begun: what is there stays.
func (a *assembly) isPast(slot int) bool { return !a.Event.Slots[slot].StartsAt.After(a.at) }

// seats is in how many meetings at once a participant can sit in a slot.
func (a *assembly) seats(participant, slot int) int {
	n := -a.busy[participant][slot]
	for _, free := range a.free[participant] {
		if free[slot] {
			n++
		}
	}
	return max(n, 0)
}

// common is in how many slots two participants could meet if they met nobody else.
func (a *assembly) common(x, y int) int {
	n := 0
	for k := range a.Event.Slots {
		if !a.isPast(k) && a.seats(x, k) > 0 && a.seats(y, k) > 0 {
			n++
		}
	}
	return n
}

// places is how many meetings the tables have room for that belong to nobody;
// -1 where the event has no tables.
func (a *assembly) places() int {
	if len(a.Event.Tables) == 0 {
		return -1
	}
	n := 0
	for _, t := range a.tables {
		if t.Member == "" {
			n++
		}
	}
	open := 0
	for k, s := range a.Event.Slots {
		if !s.IsBlocked && !a.isPast(k) {
			open++
		}
	}
	return n * open
}

// interprets says whether a meeting of two participants needs one of the
// interpreters, of whom there are so many.
func (a *assembly) interprets(x, y int) bool {
	return a.Event.InterpreterCount != nil && a.Event.interprets(a.Participants[x].Registration, a.Participants[y].Registration)
}

// member is the member of a participant.
func (a *assembly) member(i int) ID { return a.Participants[i].Registration.Member }

// registration is that of a member, who participates.
func (a *assembly) registration(member ID) *Registration {
	return a.Participants[a.number[member]].Registration
}

// pairOf are the members of a pair of the demand.
func (a *assembly) pairOf(p DemandPair) duo { return pairOf(a.member(p.A), a.member(p.B)) }

// asked are all pairs that were asked for, also those that must not meet, by
// the order of the demand: what is shown is reckoned from these.
func (a *assembly) asked() []DemandPair { return slices.Concat(a.Pairs, a.barred) }

// fingerprint tells whether anything has changed that a timetable is made of.
// It depends on nothing that the secretariat may not know: not on whom
// somebody never wants to meet.
func (a *assembly) fingerprint() string {
	type content struct {
		Member    ID
		Delegates []Delegate
		Minimum   int
		Maximum   int
		Languages []Language
		Free      [][]bool
	}
	e := a.Event
	var all []content
	for i, p := range a.Participants {
		r := p.Registration
		all = append(all, content{r.Member, r.Delegates, p.Minimum, p.Maximum, r.Languages, a.free[i]})
	}
	type wish struct {
		Pair         duo
		WishA, WishB *DemandWish
		Level        PairingLevel
		Slot         *time.Time
		Table        string
	}
	var wishes []wish
	for _, p := range a.asked() {
		w := wish{Pair: a.pairOf(p), WishA: p.WishA, WishB: p.WishB}
		if w.Pair[0] != a.member(p.A) {
			w.WishA, w.WishB = w.WishB, w.WishA
		}
		if p.Pairing != nil {
			w.Level, w.Slot, w.Table = p.Pairing.Level, p.Pairing.Slot, p.Pairing.Table
		}
		wishes = append(wishes, w)
	}
	slices.SortFunc(all, func(x, y content) int { return cmp.Compare(x.Member, y.Member) })
	slices.SortFunc(wishes, func(x, y wish) int { return slices.Compare(x.Pair[:], y.Pair[:]) })
	b, _ := json.Marshal([]any{e.Slots, e.Sessions, e.Tables, e.Rules, e.LanguageRule, e.Interpreters, e.InterpreterCount, all, wishes}) // these can be marshalled
	return hashed(string(b))[:26]
}
