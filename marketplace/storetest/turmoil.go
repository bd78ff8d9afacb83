package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// Turmoil lets an event take place at which everything happens at once: people
// book and cancel, officers move meetings, tables are lost and found, delegates
// are swapped and replaced, and timetables are published again. The store is
// empty and was opened with the marketplace's schema. In the end no person and
// no table may be in two meetings at the same time, and no meeting at a table
// that is lost.
func Turmoil(t *testing.T, store marketplace.Store, steps int) {
	t.Helper()
	s := newTurmoil(t, store)
	for _, slot := range s.event.Slots[:2] {
		s.rush(slot.StartsAt)
	}
	s.recount(t)
	var all sync.WaitGroup
	steps = (steps + turmoilHands - 1) / turmoilHands
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for {
			s.catchUp()
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for hand := range turmoilHands {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(hand), 7))
			for range steps {
				s.step(random)
			}
		})
	}
	all.Wait()
	close(done)
	working.Wait()
	s.catchUp()
	s.recount(t)
}

const (
	turmoilHands   = 8
	turmoilMembers = 6 // cities, and as many companies
	turmoilTables  = 4
	turmoilSlots   = 5
)

type turmoil struct {
	*marketplace.Market
	t     *testing.T
	event *marketplace.Event

	mu    sync.Mutex
	count map[string]int // of what was done, and of what was refused
}

func newTurmoil(t *testing.T, store marketplace.Store) *turmoil {
	t.Helper()
	s := &turmoil{Market: marketplace.New(store, nil, marketplace.Options{Alone: true}), t: t, count: map[string]int{}}
	ctx := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	english := func(text string) marketplace.Text { return marketplace.Text{{Language: "en", Text: text}} }
	must(s.AddUser(ctx, &marketplace.User{Meta: marketplace.Meta{ID: "user_both"}, Name: "Both", Email: "both@example.org"}, "a word for the turmoil"))
	e := &marketplace.Event{Meta: marketplace.Meta{ID: "event_turmoil", Slug: "turmoil"}, Phase: marketplace.EventPublished, Name: english("Turmoil"), Format: "ON_SITE", TimeZone: "UTC",
		Days:        []marketplace.EventDay{{Date: marketplace.Date(time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)), Start: "09:00", End: "10:40"}},
		SlotMinutes: 20, Maximum: 100, LanguageRule: "ANY", Rules: []marketplace.MeetingRule{{From: "CITY", To: "COMPANY"}, {From: "COMPANY", To: "CITY"}}}
	for i := range turmoilTables {
		e.Tables = append(e.Tables, marketplace.EventTable{Name: fmt.Sprintf("Table %d", i)})
	}
	must(s.AddEvent(ctx, e))
	s.event = e
	for i := range 2 * turmoilMembers {
		id := turmoilMember(i)
		if id.Kind() == marketplace.KindCity {
			c := &marketplace.City{Meta: marketplace.Meta{ID: id, Slug: string(id)[5:]}}
			c.Name, c.Country, c.Region = english(string(id)), "NO", marketplace.Europe
			must(s.AddCity(ctx, c))
		} else {
			c := &marketplace.Company{Meta: marketplace.Meta{ID: id, Slug: string(id)[8:]}, Size: "SME", ContactPolicy: "ANYONE"}
			c.Name, c.Country, c.Region = english(string(id)), "NO", marketplace.Europe
			must(s.AddCompany(ctx, c))
		}
		delegates := []any{map[string]any{"name": "First"}, map[string]any{"name": "Second", "email": string(id) + "@example.org"}}
		switch { // people who come for two members
		case i < 2:
			must(s.PlaceInTeam(ctx, id, "user_both", "EDITOR"))
			delegates[0] = map[string]any{"user": "user_both"}
		case i < 4:
			delegates[0] = map[string]any{"name": "Guest", "email": "guest@example.org"}
		}
		r, err := s.Register(ctx, marketplace.RegisterInput{Event: e.ID, Member: id, Content: marketplace.Patch{"delegates": delegates}})
		must(err)
		_, err = s.MoveRegistration(ctx, marketplace.MoveRegistrationInput{ID: r.ID, Move: marketplace.RegistrationApprove})
		must(err)
	}
	return s
}

// rush lets everybody be asked for a meeting in one slot, and all accept at
// the same moment.
func (s *turmoil) rush(slot time.Time) {
	random := rand.New(rand.NewPCG(uint64(slot.Unix()), 3))
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range turmoilMembers * turmoilMembers {
		from, to := turmoilMember(2*(i/turmoilMembers)), turmoilMember(2*(i%turmoilMembers)+1)
		x, err := s.BookEventMeeting(s.editor(random, from), marketplace.BookEventMeetingInput{Event: s.event.ID, From: from, To: to, Slot: slot})
		if errors.Is(err, marketplace.ErrInvalid) {
			continue // they meet already
		}
		if err != nil {
			s.t.Fatal(err)
		}
		ctx := s.editor(random, to)
		all.Go(func() {
			<-gate
			if _, err := s.AcceptMeeting(ctx, marketplace.AcceptMeetingInput{ID: x.ID, Time: slot}); err != nil && !errors.Is(err, marketplace.ErrInvalid) && !errors.Is(err, marketplace.ErrUnavailable) {
				s.t.Error(err)
			}
		})
	}
	close(gate)
	all.Wait()
}

// turmoilMember is a city for even numbers, and a company for odd ones.
func turmoilMember(i int) marketplace.ID {
	return marketplace.ID(fmt.Sprintf("%s_%c", []string{"city", "company"}[i%2], 'a'+i/2))
}

// as is the context of somebody new, so that no limit is reached.
func (s *turmoil) as(random *rand.Rand, a marketplace.Actor) context.Context {
	a.User, a.Via = marketplace.ID(fmt.Sprintf("user_%d", random.Int64())), "session_turmoil"
	return marketplace.InBulk(marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: a}))
}

func (s *turmoil) officer(random *rand.Rand) context.Context {
	return s.as(random, marketplace.Actor{Secretariat: marketplace.SecretariatOfficer})
}

func (s *turmoil) editor(random *rand.Rand, member marketplace.ID) context.Context {
	return s.as(random, marketplace.Actor{Memberships: []marketplace.Membership{{Member: member, Role: marketplace.RoleEditor}}})
}

func (s *turmoil) catchUp() {
	if err := s.CatchUp(context.Background()); err != nil && !errors.Is(err, marketplace.ErrUnavailable) && !errors.Is(err, marketplace.ErrStale) {
		s.t.Error(err)
	}
}

// step does one thing. What is refused is no mistake, as long as it is
// refused in words.
func (s *turmoil) step(random *rand.Rand) {
	a, b := 2*random.IntN(turmoilMembers), 2*random.IntN(turmoilMembers)+1
	from, to := turmoilMember(a), turmoilMember(b)
	if random.IntN(2) == 0 {
		from, to = to, from
	}
	slot := s.event.Slots[random.IntN(turmoilSlots)].StartsAt
	table := fmt.Sprintf("Table %d", random.IntN(turmoilTables))
	what, err := "", error(nil)
	switch n := random.IntN(24); {
	case n < 6:
		what = "ask and accept"
		var x *marketplace.Meeting
		if x, err = s.BookEventMeeting(s.editor(random, from), marketplace.BookEventMeetingInput{Event: s.event.ID, From: from, To: to, Slot: slot}); err == nil {
			_, err = s.AcceptMeeting(s.editor(random, to), marketplace.AcceptMeetingInput{ID: x.ID, Time: slot})
		}
	case n < 8:
		what = "book"
		_, err = s.BookEventMeeting(s.officer(random), marketplace.BookEventMeetingInput{Event: s.event.ID, From: from, To: to, Slot: slot, Table: &table})
	case n < 11:
		if x := s.some(random); x != nil {
			what = "move"
			_, err = s.MoveEventMeeting(s.officer(random), marketplace.MoveEventMeetingInput{ID: x.ID, Slot: &slot})
		}
	case n < 13:
		if x := s.some(random); x != nil {
			what = "swap"
			who := []string{"first", "guest@example.org", "user_both", string(x.From) + "@example.org"}[random.IntN(4)]
			_, err = s.SwapDelegate(s.editor(random, x.From), marketplace.SwapDelegateInput{ID: x.ID, People: []string{who}})
		}
	case n < 14 && random.IntN(3) == 0:
		what = "lose a table"
		_, err = s.LoseTable(s.officer(random), marketplace.LoseTableInput{Event: s.event.ID, Table: table, From: &slot})
	case n < 15:
		what = "find a table"
		_, err = s.RestoreTable(s.officer(random), marketplace.RestoreTableInput{Event: s.event.ID, Table: table})
	case n < 16:
		if x := s.some(random); x != nil {
			what = "cancel"
			_, err = s.CancelMeeting(s.editor(random, x.From), marketplace.CancelMeetingInput{ID: x.ID, Reason: new("Why not.")})
		}
	case n < 17:
		what = "replace"
		var r *marketplace.Registration
		if r, err = s.RegistrationOf(s.officer(random), s.event.ID, from); err == nil {
			out := random.IntN(2)
			_, err = s.ReplaceDelegate(s.officer(random), marketplace.ReplaceDelegateInput{ID: r.ID, Out: r.Delegates[out].Person(), In: r.Delegates[1-out].Person()})
		}
	case n < 21:
		what = "draft"
		for i := 0; i == 0 || err != nil && i < 10; i++ {
			a, b, slot := turmoilMember(2*random.IntN(turmoilMembers)), turmoilMember(2*random.IntN(turmoilMembers)+1), s.event.Slots[random.IntN(turmoilSlots)].StartsAt
			place := marketplace.PlaceInput{Event: s.event.ID, A: a, B: b, Slot: &slot}
			switch random.IntN(4) {
			case 0:
				_, err = s.MovePlacement(s.officer(random), place)
			case 1:
				_, err = s.RemovePlacement(s.officer(random), marketplace.DraftPairInput{Event: s.event.ID, A: a, B: b})
			default:
				_, err = s.AddPlacement(s.officer(random), place)
			}
		}
	default:
		what = "publish"
		for i := 0; i < 2*turmoilMembers*turmoilMembers; i++ { // what has come into its way is taken out of the draft
			if _, err = s.PublishTimetable(s.officer(random), marketplace.PublishTimetableInput{Event: s.event.ID}); err == nil || !strings.Contains(err.Error(), "something stands") {
				break
			}
			draft := marketplace.DraftPairInput{Event: s.event.ID, A: turmoilMember(2 * random.IntN(turmoilMembers)), B: turmoilMember(2*random.IntN(turmoilMembers) + 1)}
			if _, err := s.RemovePlacement(s.officer(random), draft); err == nil {
				continue
			}
		}
	}
	if err != nil && !errors.Is(err, marketplace.ErrInvalid) && !errors.Is(err, marketplace.ErrNotFound) && !errors.Is(err, marketplace.ErrUnavailable) && !errors.Is(err, marketplace.ErrStale) {
		s.t.Errorf("%s: %v", what, err)
	}
	if err != nil {
		what += ", refused"
	}
	s.mu.Lock()
	s.count[what]++
	s.mu.Unlock()
}

var agreed = []marketplace.MeetingStatus{marketplace.MeetingAccepted, marketplace.MeetingRescheduled}

// meetings are those of the event in some states.
func (s *turmoil) meetings(ctx context.Context, in []marketplace.MeetingStatus) []*marketplace.Meeting {
	var list []*marketplace.Meeting
	var after *string
	for {
		page, err := s.Meetings(marketplace.Afresh(ctx), s.event.ID, marketplace.MeetingFilter{Statuses: in}, false, marketplace.Slice{First: new(100), After: after})
		if err != nil {
			s.t.Error(err)
			return nil
		}
		list = append(list, page.Nodes()...)
		if after = page.PageInfo.EndCursor; !page.PageInfo.HasNextPage {
			return list
		}
	}
}

// some is one of the agreed meetings; nil where there is none.
func (s *turmoil) some(random *rand.Rand) *marketplace.Meeting {
	list := s.meetings(s.officer(random), agreed)
	if len(list) == 0 {
		return nil
	}
	return list[random.IntN(len(list))]
}

// recount looks at all meetings at once.
func (s *turmoil) recount(t *testing.T) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	list := s.meetings(s.officer(random), agreed)
	e, err := s.Event(s.officer(random), s.event.ID)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]marketplace.ID{}
	claim := func(x *marketplace.Meeting, what string) {
		key := what + " at " + x.At.Format(time.RFC3339)
		if other, ok := taken[key]; ok {
			t.Errorf("%s is in %s and %s", key, other, x.ID)
		}
		taken[key] = x.ID
	}
	for _, x := range list {
		if x.Timetabled != nil && x.Timetabled.IsLifted {
			t.Errorf("%s was left on its way", x.ID)
			continue
		}
		people := slices.Concat(x.FromPeople, x.ToPeople)
		for _, id := range people {
			claim(x, string(id))
		}
		for _, g := range x.Guests {
			claim(x, g.Person)
		}
		for _, side := range []marketplace.ID{x.From, x.To} {
			if len(x.Side(side).People()) == 0 && !slices.ContainsFunc(x.Guests, func(g marketplace.Guest) bool { return g.Side == side }) {
				t.Errorf("%s has nobody for %s", x.ID, side)
			}
		}
		if x.Table == "" && x.LostTable == "" {
			t.Errorf("%s is at no table", x.ID)
		}
		if x.Table != "" {
			claim(x, x.Table)
		}
		for _, lost := range e.LostTables {
			if x.Table == lost.Table && !x.At.Before(lost.From) {
				t.Errorf("%s is at %s, which is lost", x.ID, x.Table)
			}
		}
	}
	if len(list) == 0 {
		t.Error("there was no turmoil")
	}
	var did []string
	for what, n := range s.count {
		did = append(did, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(did)
	t.Logf("%d meetings; %s", len(list), strings.Join(did, ", "))
}
