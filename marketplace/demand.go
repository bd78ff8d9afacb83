package marketplace

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// A Demand is what a timetable of an event has to answer: who takes part, and
// which pairs are to meet. It is read for the timetable alone, and never shown
// as it is: that a pair is missing says that one of the two never wants to
// meet the other, or that the secretariat forbids it. So whoever tells a
// participant, or the secretariat, why a wish was not met must give no other
// reason for these than for those for which there was no room.
type Demand struct {
	Event        *Event
	Participants []Demander // in the order in which they registered
	Pairs        []DemandPair

	// refused are all pairs that must not meet, whether asked for or not, and
	// barred those of them that were asked for: neither is shown to anybody.
	refused map[duo]bool
	barred  []DemandPair
}

// A Demander is a participant.
type Demander struct {
	Registration     *Registration
	Minimum, Maximum int   // meetings
	Seats            []int // in how many meetings at once it can sit, by the event's slots
}

// A DemandPair are two participants, by their numbers, A the smaller one, of
// whom one wishes to meet the other, or whom the secretariat wants to meet.
type DemandPair struct {
	A, B         int
	WishA, WishB *DemandWish // nil: that side says nothing
	Pairing      *Pairing    // nil: the secretariat says nothing
}

// A DemandWish is how much one side wishes to meet the other.
type DemandWish struct {
	Level WishLevel // WishMust or WishWant
	Rank  int       // among its wishes of this level that count, from 1
}

// demand reads the demand of an event, whoever asks: some ten store
// operations. Wishes that its rules no longer allow do not count; what the
// secretariat says counts in spite of them, but never against a NEVER.
func (m *Market) demand(ctx context.Context, event ID) (*Demand, error) {
	ctx = withSight(ctx)
	e, err := get[*Event](ctx, m, event)
	if err != nil {
		return nil, err
	}
	approved, err := find[*Registration](ctx, m, KindRegistration, registrationsIn(e.ID, maxParticipants, RegistrationApproved))
	if err != nil {
		return nil, err
	}
	d := &Demand{Event: e}
	number := make(map[ID]int, len(approved))
	for i, r := range approved {
		p := Demander{Registration: r, Seats: e.Seats(r)}
		p.Minimum, p.Maximum = e.MeetingsOf(r)
		d.Participants = append(d.Participants, p)
		number[r.Member] = i
	}
	pairs := map[[2]int]*DemandPair{}
	asked := func(a, b int) *DemandPair {
		key := [2]int{min(a, b), max(a, b)}
		if pairs[key] == nil {
			pairs[key] = &DemandPair{A: key[0], B: key[1]}
		}
		return pairs[key]
	}
	refused := map[[2]int]bool{}
	err = m.each(ctx, KindWishList, Query{Where: []Condition{{Field: "event", Op: Eq, Value: e.ID}}, Sort: "createdAt", Limit: 100}, func(doc entity) {
		w := doc.(*WishList)
		a, ok := number[w.Member]
		if !ok {
			return
		}
		ranks := map[WishLevel]int{}
		for _, x := range w.Wishes {
			b, ok := number[x.With]
			switch {
			case !ok:
			case x.Level == WishNever:
				refused[[2]int{min(a, b), max(a, b)}] = true
			case e.allows(w.Member, x.With) && (e.LanguageRule != LanguagesRequire || e.canTalk(approved[a], approved[b])):
				ranks[x.Level]++
				wish := &DemandWish{x.Level, ranks[x.Level]}
				if p := asked(a, b); p.A == a {
					p.WishA = wish
				} else {
					p.WishB = wish
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	paired, err := find[*Pairing](ctx, m, KindPairing, pairingsOf(e.ID, maxPairings))
	if err != nil {
		return nil, err
	}
	for _, x := range paired {
		a, ok1 := number[x.A]
		b, ok2 := number[x.B]
		if !ok1 || !ok2 {
			continue
		}
		if x.Level == PairBlocked {
			refused[[2]int{min(a, b), max(a, b)}] = true
		} else {
			asked(a, b).Pairing = x
		}
	}
	for key, p := range pairs {
		if !refused[key] {
			d.Pairs = append(d.Pairs, *p)
		} else {
			d.barred = append(d.barred, *p)
		}
	}
	d.refused = make(map[duo]bool, len(refused))
	for key := range refused {
		d.refused[pairOf(approved[key[0]].Member, approved[key[1]].Member)] = true
	}
	for _, list := range [][]DemandPair{d.Pairs, d.barred} {
		slices.SortFunc(list, func(x, y DemandPair) int { return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B)) })
	}
	return d, nil
}

// each hands over all documents of a query that the viewer may see, page by page.
func (m *Market) each(ctx context.Context, kind Kind, q Query, do func(entity)) error {
	_, err := m.eachUpTo(ctx, kind, q, math.MaxInt, do)
	return err
}

// eachUpTo is each for so many pages at the most; false where there are more.
func (m *Market) eachUpTo(ctx context.Context, kind Kind, q Query, pages int, do func(entity)) (all bool, err error) {
	for range pages {
		n := 0
		err := m.fetchAll(ctx, kind, q, func(doc entity, position string, seen bool) {
			n, q.After = n+1, position
			if seen {
				do(doc)
			}
		})
		if err != nil || n < q.Limit {
			return err == nil, err
		}
	}
	return false, nil
}

// neverMeet says whether one of two participants never wants to meet the
// other, or the secretariat forbids it: for whoever arranges a meeting of the
// two at an event. No participant is shown the answer: who asks for such a
// meeting is not heard, and who accepts one is told what all are told for whom
// there is no free time. The secretariat is told of a meeting that it arranges
// itself that it is not possible (NOT_POSSIBLE), since nothing that it could be
// told instead would hold; not which side says so, nor whether it was the
// secretariat. It reads the same whatever the answer is, so that nobody learns
// it from how long it takes.
func (m *Market) neverMeet(ctx context.Context, event, a, b ID) (bool, error) {
	ctx = withSight(ctx)
	lists, err := m.load(ctx, []ID{wishListID(registrationID(event, a)), wishListID(registrationID(event, b))})
	if err != nil {
		return false, err
	}
	never := false
	for i, doc := range lists {
		if w, ok := doc.(*WishList); ok && w.never([]ID{b, a}[i]) {
			never = true
		}
	}
	x, err := only[*Pairing](ctx, m, KindPairing, Condition{Field: "event", Op: Eq, Value: event}, Condition{Field: "a", Op: Eq, Value: min(a, b)}, Condition{Field: "b", Op: Eq, Value: max(a, b)})
	return never || err == nil && x.Level == PairBlocked, ignore(err, ErrNotFound)
}
