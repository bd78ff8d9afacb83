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
// book, propose other slots and cancel, officers move meetings, tables are lost
// and found, delegates are swapped and replaced, come and leave, sessions take
// slots, and timetables are made and published again. The store is empty and
// was opened with the marketplace's schema. In the end no person and no table
// may be in two meetings at the same time, no two members may meet twice, or
// at all where one never wants to, none may have more meetings than it wants,
// none may need its people in a meeting whom a session needs, the one who
// interprets may be at one meeting at a time, and no meeting may be at a table that is lost or off the slots without being said to be.
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
			at := *s
			if hand%2 == 1 {
				at.Market = s.ahead
			}
			for range steps {
				at.step(random)
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
	turmoilMost    = 3 // meetings of a member
)

type turmoil struct {
	*marketplace.Market
	t     *testing.T
	event *marketplace.Event

	ahead *marketplace.Market // of another server, whose clock is ahead, so that its bookings wait for no timetable
	did   *deeds
}

// deeds are how often what was done, and what was refused.
type deeds struct {
	mu    sync.Mutex
	count map[string]int
}

func newTurmoil(t *testing.T, store marketplace.Store) *turmoil {
	t.Helper()
	s := &turmoil{Market: marketplace.New(store, nil, marketplace.Options{Alone: true}), t: t, did: &deeds{count: map[string]int{}}}
	s.ahead = marketplace.New(store, nil, marketplace.Options{Now: func() time.Time { return time.Now().Add(10 * time.Minute) }})
	ctx := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	english := func(text string) marketplace.Text { return marketplace.Text{{Language: "en", Text: text}} }
	must(s.AddUser(ctx, &marketplace.User{Meta: marketplace.Meta{ID: "user_both"}, Name: "Both", Email: "both@example.org"}, "a word for the turmoil"))
	e := &marketplace.Event{Meta: marketplace.Meta{ID: "event_turmoil", Slug: "turmoil"}, Phase: marketplace.EventWishes, Name: english("Turmoil"), Format: "ON_SITE", TimeZone: "UTC",
		Days:        []marketplace.EventDay{{Date: marketplace.Date(time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)), Start: "09:00", End: "10:40"}},
		SlotMinutes: 20, Maximum: turmoilMost, LanguageRule: "ANY", Interpreters: []marketplace.Language{"ko", "en"}, InterpreterCount: new(1), Rules: []marketplace.MeetingRule{{From: "CITY", To: "COMPANY"}, {From: "COMPANY", To: "CITY"}}}
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
			c.Languages = []marketplace.Language{"en"}
			if slices.Contains(turmoilForeign, id) {
				c.Languages[0] = "ko"
			}
			must(s.AddCity(ctx, c))
		} else {
			c := &marketplace.Company{Meta: marketplace.Meta{ID: id, Slug: string(id)[8:]}, Size: "SME", ContactPolicy: "ANYONE"}
			c.Name, c.Country, c.Region = english(string(id)), "NO", marketplace.Europe
			c.Languages = []marketplace.Language{"en"}
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
		r, err := s.Register(ctx, marketplace.RegisterInput{Event: e.ID, Member: id, Content: marketplace.Patch{"delegates": delegates, "wantsInterpreter": slices.Contains(turmoilForeign, id)}})
		must(err)
		_, err = s.MoveRegistration(ctx, marketplace.MoveRegistrationInput{ID: r.ID, Move: marketplace.RegistrationApprove})
		must(err)
	}
	for _, x := range turmoilNever {
		_, err := s.SetWishes(s.editor(rand.New(rand.NewPCG(5, 6)), x[0]), marketplace.SetWishesInput{Event: e.ID, Member: x[0], Wishes: []*marketplace.WishInput{{With: x[1], Level: marketplace.WishNever}}})
		must(err)
	}
	_, err := s.EditEvent(ctx, marketplace.EditEventInput{ID: e.ID, Content: marketplace.Patch{"sessions": s.sessions(false)}})
	must(err)
	_, err = s.MoveEvent(ctx, marketplace.MoveEventInput{ID: e.ID, Move: marketplace.EventStartDrafting})
	must(err)
	_, err = s.AddPlacement(ctx, marketplace.PlaceInput{Event: e.ID, A: turmoilMember(0), B: turmoilMember(1), Slot: &e.Slots[4].StartsAt})
	must(err)
	_, err = s.PublishTimetable(ctx, marketplace.PublishTimetableInput{Event: e.ID})
	must(err)
	must(s.CatchUp(ctx))
	return s
}

// turmoilPitch has two delegates, who do not change, and needs one of them for
// a session in a slot.
const (
	turmoilPitch     = marketplace.ID("city_e")
	turmoilPitchSlot = 2
)

// turmoilForeign are cities that share no language with any company.
var turmoilForeign = []marketplace.ID{"city_c", "city_d"}

// sessions are those of the event, with one that blocks a slot or without it.
func (s *turmoil) sessions(blocks bool) []any {
	session := func(slot int) map[string]any {
		at := s.event.Slots[slot]
		return map[string]any{"kind": "OTHER", "start": at.StartsAt.Format("2006-01-02T15:04"), "end": at.EndsAt.Format("2006-01-02T15:04")}
	}
	pitch, plenary := session(turmoilPitchSlot), session(3)
	pitch["members"], pitch["title"] = []any{string(turmoilPitch)}, []any{map[string]any{"language": "en", "text": "Pitch"}}
	plenary["blocksMeetings"], plenary["title"] = true, []any{map[string]any{"language": "en", "text": "All"}}
	if blocks {
		return []any{pitch, plenary}
	}
	return []any{pitch}
}

// turmoilNever are members who never want to meet others.
var turmoilNever = [][2]marketplace.ID{{"city_a", "company_c"}, {"company_b", "city_b"}, {"city_f", "company_f"}}

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
			if _, err := s.AcceptMeeting(ctx, marketplace.AcceptMeetingInput{ID: x.ID, Time: slot}); err != nil && !errors.Is(err, marketplace.ErrInvalid) && !errors.Is(err, marketplace.ErrNotFound) && !errors.Is(err, marketplace.ErrUnavailable) {
				s.t.Error(err) // whom somebody never wants to meet they do not find
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
	switch n := random.IntN(32); {
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
	case n < 16 || n == 30:
		if x := s.some(random); x != nil {
			what = "cancel"
			_, err = s.CancelMeeting(s.editor(random, x.From), marketplace.CancelMeetingInput{ID: x.ID, Reason: new("Why not.")})
		}
	case n < 17:
		what = "replace"
		var r *marketplace.Registration
		if r, err = s.RegistrationOf(s.officer(random), s.event.ID, from); err == nil && from != turmoilPitch {
			out := random.IntN(2)
			_, err = s.ReplaceDelegate(s.officer(random), marketplace.ReplaceDelegateInput{ID: r.ID, Out: r.Delegates[out].Person(), In: r.Delegates[1-out].Person()})
		}
	case n < 21 || n == 31:
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
	case n < 23:
		if x := s.some(random); x != nil {
			what = "reschedule"
			other := s.event.Slots[random.IntN(turmoilSlots)].StartsAt
			if _, err = s.RescheduleMeeting(s.editor(random, x.From), marketplace.RescheduleMeetingInput{ID: x.ID, Times: []time.Time{slot}}); err == nil && slot != other {
				if random.IntN(2) == 0 {
					_, err = s.CounterMeeting(s.editor(random, x.To), marketplace.CounterMeetingInput{ID: x.ID, Times: []time.Time{other}})
					x.From, x.To, slot = x.To, x.From, other
				}
				if err == nil {
					_, err = s.AcceptMeeting(s.editor(random, x.To), marketplace.AcceptMeetingInput{ID: x.ID, Time: slot})
				}
			}
		}
	case n < 25:
		what = "check in"
		var r *marketplace.Registration
		if r, err = s.RegistrationOf(s.officer(random), s.event.ID, from); err == nil {
			_, err = s.CheckIn(s.officer(random), marketplace.CheckInInput{ID: r.ID, Delegate: r.Delegates[random.IntN(len(r.Delegates))].Person(), Undo: random.IntN(3) == 0})
		}
	case n < 26:
		what = "edit a delegation"
		var r *marketplace.Registration
		if r, err = s.RegistrationOf(s.officer(random), s.event.ID, from); err == nil && from != turmoilPitch {
			list := []any{}
			for i, d := range r.Delegates[:2] {
				one := map[string]any{"name": d.Name, "email": d.Email}
				if d.User != "" {
					one = map[string]any{"user": string(d.User)}
				}
				if i == 0 && random.IntN(2) == 0 {
					one = map[string]any{"name": fmt.Sprintf("Somebody %d", random.IntN(3))}
				}
				list = append(list, one)
			}
			if random.IntN(2) == 0 {
				list = append(list, map[string]any{"name": "Third"})
			}
			_, err = s.EditRegistration(s.officer(random), marketplace.EditRegistrationInput{ID: r.ID, Version: new(r.Version()), Content: marketplace.Patch{"delegates": list}})
		}
	case n < 27 && random.IntN(3) == 0:
		what = "make a timetable"
		var r *marketplace.Run
		mode := marketplace.RunModes[random.IntN(len(marketplace.RunModes))]
		if r, err = s.StartRun(s.officer(random), marketplace.StartRunInput{Event: s.event.ID, Mode: mode, Seconds: new(1)}); err == nil {
			for r, err = range s.RunProgress(s.officer(random), r.ID) {
				if err != nil {
					break
				}
			}
			if err == nil {
				_, err = s.UseRun(s.officer(random), marketplace.UseRunInput{Run: r.ID, DiscardsChanges: true})
			}
		}
	case n < 28 && random.IntN(3) == 0:
		what = "block a slot"
		_, err = s.EditEvent(s.officer(random), marketplace.EditEventInput{ID: s.event.ID, Content: marketplace.Patch{"sessions": s.sessions(random.IntN(3) == 0)}})
	case s.Market != s.ahead:
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
	s.did.mu.Lock()
	s.did.count[what]++
	s.did.mu.Unlock()
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
	have, sit := map[marketplace.ID]int{}, map[string]int{}
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
		if k := e.SlotAt(*x.At); (k < 0 || e.Slots[k].IsBlocked) != x.IsOffSlot {
			t.Errorf("%s at %v is off the slots: %v", x.ID, x.At, x.IsOffSlot)
		}
		pair := []marketplace.ID{x.From, x.To}
		slices.Sort(pair)
		if other, ok := taken[fmt.Sprint(pair)]; ok {
			t.Errorf("%v meet in %s and %s", pair, other, x.ID)
		}
		taken[fmt.Sprint(pair)] = x.ID
		for _, never := range turmoilNever {
			if slices.Contains(pair, never[0]) && slices.Contains(pair, never[1]) {
				t.Errorf("%v meet in %s, and never want to", pair, x.ID)
			}
		}
		if foreign := slices.ContainsFunc(pair, func(id marketplace.ID) bool { return slices.Contains(turmoilForeign, id) }); foreign != x.IsInterpreted {
			t.Errorf("%s of %v is interpreted: %v", x.ID, pair, x.IsInterpreted)
		} else if foreign {
			claim(x, "who interprets")
		}
		for _, side := range pair {
			have[side]++
			sit[string(side)+x.At.String()] += len(x.Side(side).People())
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
			if x.Table == lost.Table && !x.At.Before(lost.From) && !x.IsOffSlot {
				t.Errorf("%s is at %s, which is lost", x.ID, x.Table)
			}
		}
	}
	for i := range 2 * turmoilMembers {
		id := turmoilMember(i)
		if have[id] > turmoilMost {
			t.Errorf("%s has %d meetings", id, have[id])
		}
	}
	at := e.Slots[turmoilPitchSlot].StartsAt
	if n := sit[string(turmoilPitch)+at.String()]; n > 1 {
		t.Errorf("%s has %d people in meetings at %v, and needs one of its two for a session", turmoilPitch, n, at)
	}
	if len(list) == 0 {
		t.Error("there was no turmoil")
	}
	var did []string
	for what, n := range s.did.count {
		did = append(did, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(did)
	t.Logf("%d meetings; %s", len(list), strings.Join(did, ", "))
}
