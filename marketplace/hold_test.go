package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A crossing holds the next writes of meetings until so many have come: all
// who write them have looked at the same.
type crossing struct {
	Store
	left atomic.Int32
	open chan struct{}
}

func (s *crossing) expect(n int32) {
	s.open = make(chan struct{})
	s.left.Store(n)
}

func (s *crossing) Put(ctx context.Context, w Write) (int64, error) {
	if w.Kind == KindMeeting {
		if n := s.left.Add(-1); n == 0 {
			close(s.open)
		} else if n > 0 {
			<-s.open
		}
	}
	return s.Store.Put(ctx, w)
}

// crossedHall is an open hall in which commands can be made to cross each other.
func crossedHall(t *testing.T, cities, companies int, content Patch, edit func(h *hall)) (*hall, *crossing) {
	t.Helper()
	store := openTestStore(t)
	t.Cleanup(func() { store.Close() })
	s := &crossing{Store: store}
	h := hallOn(t, s)
	h.furnish(cities, companies, content)
	if edit != nil {
		edit(h)
	}
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.publish()
	h.letters()
	return h, s
}

// atOnce does several things that all look before any of them writes, and
// says what came of each: "" where it was done.
func (h *hall) atOnce(s *crossing, do ...func() (*Meeting, error)) []string {
	h.t.Helper()
	out := make([]string, len(do))
	s.expect(int32(len(do)))
	var all sync.WaitGroup
	for i, f := range do {
		all.Go(func() {
			if _, err := f(); err != nil {
				out[i] = complains(err)
			}
		})
	}
	all.Wait()
	h.holdsWhatIsSaid()
	slices.Sort(out)
	return out
}

// holdsWhatIsSaid counts anew, from the meetings alone, that nobody is in two
// places, nobody has more meetings than they want, no two meet twice, nobody
// who is needed for the programme is missing, and the store holds the claims
// of the meetings that there are.
func (h *hall) holdsWhatIsSaid() {
	h.t.Helper()
	h.nobodyTwice()
	ctx := asWorker(context.Background())
	e, err := h.Event(ctx, h.event)
	h.must(err)
	have, sit, pairs := map[ID]int{}, map[string]int{}, map[duo]ID{}
	h.must(h.each(ctx, KindMeeting, Query{Where: []Condition{{Field: "event", Op: Eq, Value: h.event}}, Sort: "startsAt", Limit: 100}, func(doc entity) {
		x := doc.(*Meeting)
		if !x.isBooked() || x.Status == MeetingMissed {
			return
		}
		if other, ok := pairs[pairOf(x.From, x.To)]; ok {
			h.t.Errorf("%s and %s meet in %s and %s", x.From, x.To, other, x.ID)
		}
		pairs[pairOf(x.From, x.To)] = x.ID
		for _, side := range x.parties() {
			have[side]++
			sit[string(side)+x.At.String()] += len(x.keysOf(side))
		}
	}))
	for _, name := range h.names {
		r, err := h.RegistrationOf(ctx, h.event, memberNamed(name))
		h.must(err)
		if _, most := e.MeetingsOf(r); have[r.Member] > most {
			h.t.Errorf("%s has %d meetings of %d", name, have[r.Member], most)
		}
		seats, busy := e.Seats(r), e.sessionsOf(r.Member)
		for k, slot := range e.Slots {
			if n := sit[string(r.Member)+slot.StartsAt.String()]; busy[k] > 0 && n > seats[k] {
				h.t.Errorf("%s has %d people in meetings at %v, and can have %d", name, n, slot.StartsAt, seats[k])
			}
		}
	}
}

// Two accept at the same moment, and only one meeting is left: by the maximum
// of a side, since the two would meet twice, or since somebody is needed for
// the programme.
func TestWhatHoldsHoldsForThoseWhoComeAtOnce(t *testing.T) {
	t.Parallel()
	accept := func(h *hall, by string, x *Meeting) func() (*Meeting, error) {
		return func() (*Meeting, error) { return h.agree(by, x) }
	}
	t.Run("the maximum", func(t *testing.T) {
		t.Parallel()
		h, s := crossedHall(t, 1, 4, Patch{"maximum": 2}, nil)
		x, y, z := h.take(h.ask("c1", "k2", 2)), h.take(h.ask("c1", "k3", 3)), h.take(h.ask("c1", "k4", 4))
		same(t, "", h.atOnce(s, accept(h, "k2", x), accept(h, "k3", y), accept(h, "k4", z)), []string{"", "id OVER_MAXIMUM", "id OVER_MAXIMUM"})
	})
	t.Run("the maximum is lowered", func(t *testing.T) {
		t.Parallel()
		h, s := crossedHall(t, 1, 6, Patch{"maximum": 4}, nil)
		var list []*Meeting
		for i := 2; i <= 4; i++ {
			x := h.take(h.ask("c1", fmt.Sprint("k", i), i))
			list = append(list, h.take(h.agree(fmt.Sprint("k", i), x)))
		}
		// The first ones are cancelled, so that what is left has the last numbers.
		for _, x := range list[:2] {
			_, err := h.CancelMeeting(h.of("c1"), CancelMeetingInput{ID: x.ID, Reason: new("no")})
			h.must(err)
		}
		x, y := h.take(h.ask("c1", "k5", 5)), h.take(h.ask("c1", "k6", 6))
		_, err := h.EditEvent(h.officer(), EditEventInput{ID: h.event, Content: Patch{"maximum": 3}})
		h.must(err)
		same(t, "", h.atOnce(s, accept(h, "k5", x), accept(h, "k6", y)), []string{"", "id OVER_MAXIMUM"})
	})
	t.Run("an officer goes beyond the maximum", func(t *testing.T) {
		t.Parallel()
		h, _ := crossedHall(t, 1, 3, Patch{"maximum": 1}, nil)
		book := func(to string, slot int, allow ...ConflictCode) func() (*Meeting, error) {
			return func() (*Meeting, error) {
				return h.BookEventMeeting(h.officer(), BookEventMeetingInput{Event: h.event, From: "city_c1", To: memberNamed(to), Slot: *h.slot(slot), Allow: allow})
			}
		}
		_, err := book("k2", 2)()
		same(t, "", []string{complains(err)}, []string{"to OVER_MAXIMUM"})
		h.must(second(book("k2", 2, ConflictMaximum)()))
		h.must(second(book("k3", 3, ConflictMaximum)()))
	})
	t.Run("officers", func(t *testing.T) {
		t.Parallel()
		h, s := crossedHall(t, 2, 4, Patch{"maximum": 2}, nil)
		book := func(from, to string, slot int) func() (*Meeting, error) {
			return func() (*Meeting, error) {
				return h.BookEventMeeting(h.officer(), BookEventMeetingInput{Event: h.event, From: memberNamed(from), To: memberNamed(to), Slot: *h.slot(slot)})
			}
		}
		same(t, "", h.atOnce(s, book("c1", "k2", 2), book("c1", "k3", 3)), []string{"", "to OVER_MAXIMUM"})
		same(t, "", h.atOnce(s, book("c2", "k4", 4), book("c2", "k4", 5)), []string{"", "to MEET_ALREADY"})
		same(t, "", h.atOnce(s, book("c2", "k1", 6), book("k3", "c2", 1)), []string{"", "to OVER_MAXIMUM"})
	})
	t.Run("the same two", func(t *testing.T) {
		t.Parallel()
		h, s := crossedHall(t, 1, 2, nil, nil)
		x := h.take(h.ask("c1", "k2", 2))
		y := h.take(h.ask("k2", "c1", 3))
		same(t, "", h.atOnce(s, accept(h, "k2", x), accept(h, "c1", y)), []string{"", "id MEET_ALREADY"})
	})
	t.Run("somebody is needed for the programme", func(t *testing.T) {
		t.Parallel()
		pitch := Patch{"sessions": []any{map[string]any{"kind": "CITY_PITCH", "title": en("Pitch"), "start": "2026-03-09T09:20", "end": "2026-03-09T09:40", "members": []any{"city_c1"}}}}
		h, s := crossedHall(t, 1, 3, pitch, func(h *hall) { twoDelegates(h, "c1") })
		x, y := h.take(h.ask("k2", "c1", 2)), h.take(h.ask("k3", "c1", 2))
		named := func(x *Meeting, who string) func() (*Meeting, error) {
			return func() (*Meeting, error) {
				return h.AcceptMeeting(h.of("c1"), AcceptMeetingInput{ID: x.ID, Time: x.Times[0], Delegates: []string{who}})
			}
		}
		same(t, "", h.atOnce(s, named(x, "user_c1"), named(y, "kim")), []string{"", "time NOBODY_FREE"})
		// Nor can both of them sit in the same meeting.
		for _, x := range []*Meeting{x, y} {
			if x, err := h.Meeting(h.of("c1"), x.ID); err != nil || !x.isBooked() {
				continue
			}
			if _, err := h.SwapDelegate(h.of("c1"), SwapDelegateInput{ID: x.ID, People: []string{"user_c1", "kim"}}); complains(err) != "delegates TOO_MANY" {
				t.Errorf("both: %v", err)
			}
			h.must(second(h.SwapDelegate(h.of("c1"), SwapDelegateInput{ID: x.ID, People: []string{"kim"}})))
			h.must(second(h.SwapDelegate(h.of("c1"), SwapDelegateInput{ID: x.ID, People: []string{"user_c1"}})))
		}
		h.holdsWhatIsSaid()
	})
}

// twoDelegates lets somebody come with the one that a member has.
func twoDelegates(h *hall, name string) {
	h.must(second(h.EditRegistration(h.of(name), EditRegistrationInput{ID: registrationID(h.event, memberNamed(name)),
		Content: Patch{"delegates": []any{map[string]any{"user": "user_" + name}, map[string]any{"name": "Kim"}}}})))
}

// A booking that comes between a timetable and its meetings: what the booking
// took, the timetable does not, and says so.
func TestABookingComesBetweenATimetableAndItsMeetings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content  Patch
		from, to string
		slot     int
		want     GapCode
	}{
		{Patch{"maximum": 2}, "c1", "k3", 5, GapMaximum},
		{nil, "c1", "k2", 5, GapMeetAlready},
		{nil, "c2", "k2", 2, GapPersonTaken},
	} {
		h := openHall(t, 3, 3, c.content)
		h.must(h.add("c1", "k2", 2, "T1"))
		x := h.take(h.ask(c.from, c.to, c.slot))
		p, err := h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
		h.must(err)
		h.time = h.time.Add(publishingTime + time.Second)
		h.must(second(h.agree(c.to, x)))
		h.must(h.CatchUp(context.Background()))
		p, err = get[*Publication](h.officer(), h.Market, p.ID)
		h.must(err)
		if p.Status != PublicationDone || len(p.Gaps) != 1 || p.Gaps[0].Code != c.want {
			t.Errorf("%s: %s %+v", c.want, p.Status, p.Gaps)
		}
		h.holdsWhatIsSaid()
	}
}

// While meetings of a timetable are being made nobody books, for a short time
// at the most.
func TestBookingsWaitForATimetable(t *testing.T) {
	t.Parallel()
	h := openHall(t, 2, 2, nil)
	x := h.take(h.ask("c2", "k1", 3))
	h.must(h.add("c1", "k2", 2, "T1"))
	h.must(second(h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})))
	if _, err := h.agree("k1", x); !errors.Is(err, ErrInvalid) {
		t.Errorf("accepted: %v", err)
	}
	if _, err := h.ask("c2", "k2", 2); !errors.Is(err, ErrInvalid) {
		t.Errorf("asked: %v", err)
	}
	h.must(h.CatchUp(context.Background()))
	h.must(second(h.agree("k1", x)))
	h.holdsWhatIsSaid()
}

// What the secretariat allows by hand beyond the maximum takes place, beside
// what was booked, and no more than that.
func TestATimetableGoesBeyondTheMaximumAsFarAsWasAllowed(t *testing.T) {
	t.Parallel()
	h := openHall(t, 1, 5, Patch{"maximum": 2})
	h.take(h.agree("k2", h.take(h.ask("c1", "k2", 2))))
	add := func(to string, slot int, allow ...ConflictCode) error {
		return second(h.AddPlacement(h.officer(), PlaceInput{Event: h.event, A: "city_c1", B: memberNamed(to), Slot: h.slot(slot), Allow: allow}))
	}
	if err := add("k3", 3); complains(err) != "b OVER_MAXIMUM" {
		t.Errorf("%v", err)
	}
	h.must(add("k3", 3, ConflictMaximum))
	if x := h.publish(); len(x.Gaps) != 0 || x.New != 1 {
		t.Errorf("%+v", x)
	}
	same(t, "agenda", h.agenda(), []string{"1 c1-k1 T1", "2 c1-k2 " + h.agenda()[1][8:], "3 c1-k3 T1"})
}
