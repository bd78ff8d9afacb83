package marketplace

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
)

// edition is an event that takes registrations until a day from now, wishes
// for five days from then on, and takes place in a month.
func (n *newsroom) edition(change func(*Event)) *Event {
	n.t.Helper()
	at := func(days int) *WallTime { return new(WallTime(n.time.AddDate(0, 0, days).Format(wallFormat))) }
	e := newEvent()
	e.ID, e.Slug, e.Name, e.TimeZone, e.Phase = "event_edition", "edition", en("Solutions Meet Cities"), "UTC", EventRegistration
	e.Rules = append(e.Rules, MeetingRule{"CITY", "CITY"})
	e.Days = []EventDay{{Date: Date(n.time.AddDate(0, 1, 0).Format(time.DateOnly)), Start: "09:00", End: "12:00"}}
	e.Dates = []PhaseDate{{Phase: EventRegistration, Until: at(1)}, {Phase: EventWishes, Until: at(6)}}
	if change != nil {
		change(e)
	}
	n.must(n.AddEvent(n.as("off"), e))
	return e
}

// registered registers a member with a delegate, as the program does.
func (n *newsroom) registered(event, member ID, moves ...RegistrationMove) ID {
	n.t.Helper()
	r, err := n.Register(asWorker(n.t.Context()), RegisterInput{Event: event, Member: member, Content: Patch{"delegates": []any{map[string]any{"name": "Somebody"}}}})
	n.must(err)
	for _, move := range moves {
		_, err := n.MoveRegistration(asWorker(n.t.Context()), MoveRegistrationInput{ID: r.ID, Move: move})
		n.must(err)
	}
	return r.ID
}

func (n *newsroom) companies(number int) []ID {
	n.t.Helper()
	ids := make([]ID, number)
	for i := range ids {
		c := &Company{Meta: Meta{ID: ID(fmt.Sprintf("company_c%03d", i)), Slug: fmt.Sprintf("c%03d", i)}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = en(c.Slug), "NO", Europe
		n.must(n.AddCompany(asWorker(n.t.Context()), c))
		ids[i] = c.ID
	}
	return ids
}

// in are the registrations for an event in a state, in the order in which
// they were asked for.
func (n *newsroom) in(event ID, status RegistrationStatus) []ID {
	n.t.Helper()
	list, err := find[*Registration](asWorker(context.Background()), n.Market, KindRegistration, registrationsIn(event, maxParticipants, status))
	n.must(err)
	ids := make([]ID, len(list))
	seats := map[int]bool{}
	for i, r := range list {
		ids[i] = r.ID
		if r.Seat != nil {
			if seats[*r.Seat] || r.Status != RegistrationApproved {
				n.t.Errorf("%s has seat %d, which it must not have", r.ID, *r.Seat)
			}
			seats[*r.Seat] = true
		}
	}
	return ids
}

// at once does something with each of a list at the same time.
func atOnce[T any](list []T, do func(T)) {
	var all sync.WaitGroup
	for _, x := range list {
		all.Go(func() { do(x) })
	}
	all.Wait()
}

// However many are approved at the same moment, withdraw, or find the
// capacity changed: there are never more participants than the event has room
// for, and who waits comes in, in order, as soon as there is some.
func TestThereAreNeverTooManyParticipants(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	e := n.edition(func(e *Event) { e.Capacity = new(7) })
	var all []ID
	for _, c := range n.companies(25) {
		n.time = n.time.Add(time.Second)
		all = append(all, n.registered(e.ID, c))
	}
	move := func(id ID, move RegistrationMove) {
		ctx := asWorker(context.Background())
		if move == RegistrationWithdraw {
			member := ID(fmt.Sprintf("company_c%03d", slices.Index(all, id)))
			ctx = InBulk(WithViewer(ctx, Viewer{Actor: Actor{User: "user_ann", Memberships: []Membership{{Member: member, Role: RoleOwner}}}}))
		}
		_, err := n.MoveRegistration(ctx, MoveRegistrationInput{ID: id, Move: move})
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	shuffled := slices.Clone(all)
	rand.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
	atOnce(shuffled, func(id ID) { move(id, RegistrationApprove) })
	if a, w := n.in(e.ID, RegistrationApproved), n.in(e.ID, RegistrationWaitlisted); len(a) != 7 || len(w) != 18 {
		t.Fatalf("%d take part, %d wait", len(a), len(w))
	}

	r := rand.New(rand.NewPCG(1, 2))
	capacity := 7
	for round := range 12 {
		before := n.in(e.ID, RegistrationApproved)
		waiting := n.in(e.ID, RegistrationWaitlisted)
		leaving := r.Perm(len(before))[:r.IntN(len(before))]
		if round%3 == 2 {
			capacity = 2 + r.IntN(10)
			_, err := n.EditEvent(asWorker(t.Context()), EditEventInput{ID: e.ID, Content: Patch{"capacity": capacity}})
			n.must(err)
		}
		var steps []func()
		for _, i := range leaving {
			steps = append(steps, func() { move(before[i], RegistrationWithdraw) }, func() { _ = n.CatchUp(context.Background()) })
		}
		for _, id := range n.in(e.ID, RegistrationWithdrawn) {
			move(id, RegistrationRenew)
			steps = append(steps, func() { move(id, RegistrationApprove) })
		}
		atOnce(steps, func(do func()) { do() })
		if now := n.in(e.ID, RegistrationApproved); len(now) > max(capacity, len(before)-len(leaving)) {
			t.Fatalf("round %d: %d take part, and %d can; %d did before", round, len(now), capacity, len(before))
		}
		n.must(n.CatchUp(t.Context()))
		now, still := n.in(e.ID, RegistrationApproved), n.in(e.ID, RegistrationWaitlisted)
		if len(now) < capacity && len(still) > 0 {
			t.Fatalf("round %d: %d of %d take part, and %d wait", round, len(now), capacity, len(still))
		}
		// Of those who waited before, the first have come in.
		var in []bool
		for _, id := range waiting {
			in = append(in, slices.Contains(now, id))
		}
		if i := slices.Index(in, false); i >= 0 && slices.Contains(in[i:], true) {
			t.Fatalf("round %d: those came in who waited: %v", round, in)
		}
	}
}

// After its dates nobody registers and no wish changes, apart from what the
// secretariat does.
func TestDatesCloseWhatTheySay(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	e := n.edition(nil)
	register := func(who string, member ID) error {
		_, err := n.Register(n.as(who), RegisterInput{Event: e.ID, Member: member, Content: Patch{"delegates": []any{map[string]any{"name": "Somebody"}}}})
		return err
	}
	wish := func() error {
		_, err := n.SetWish(n.as("ann"), SetWishInput{Event: e.ID, Member: "company_acme", Wish: WishInput{With: "city_oslo", Level: WishWant}})
		return err
	}
	n.registered(e.ID, "city_oslo", RegistrationApprove)
	n.time = n.time.Add(24*time.Hour - time.Second)
	n.must(register("eve", "company_acme"))
	n.time = n.time.Add(time.Second)
	if err := register("luis", "city_lima"); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "takes no more registrations") {
		t.Errorf("it is too late: %v", err)
	}
	n.must(register("off", "city_lima"))
	if _, err := n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventStartDrafting}); err != nil {
		t.Fatal(err)
	}
	if err := wish(); !errors.Is(err, ErrInvalid) {
		t.Errorf("not a participant, and no time for wishes: %v", err)
	}
	_, err := n.MoveRegistration(n.as("off"), MoveRegistrationInput{ID: registrationID(e.ID, "company_acme"), Move: RegistrationApprove})
	n.must(err)
	_, err = n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventOpenWishes})
	n.must(err)
	n.time = newsDay.AddDate(0, 0, 6).Add(-time.Second)
	n.must(wish())
	n.time = n.time.Add(time.Second)
	if err := wish(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "takes no more wishes") {
		t.Errorf("it is too late: %v", err)
	}
	if _, err := n.SetWish(n.as("off"), SetWishInput{Event: e.ID, Member: "company_acme", Wish: WishInput{With: "city_oslo", Level: WishNever}}); !errors.Is(err, ErrForbidden) {
		t.Errorf("the secretariat wishes nothing: %v", err)
	}
	_, err = n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventStartDrafting})
	n.must(err)
	if _, err := n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventOpenWishes}); !errors.Is(err, ErrInvalid) {
		t.Errorf("wishes are opened again though their date has passed: %v", err)
	}
}

// Who is told of what, and reminded when, told as a story.
func TestWhoIsToldOfEvents(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	known := map[ID]bool{}
	n.news(known)
	e := n.edition(func(e *Event) { e.Capacity = new(2) })
	move := func(who string, member ID, move RegistrationMove) error {
		_, err := n.MoveRegistration(n.as(who), MoveRegistrationInput{ID: registrationID(e.ID, member), Move: move, Reason: new("We are sorry.")})
		return err
	}
	for _, c := range []struct {
		what string
		do   func() error
		want string
	}{
		{"Acme registers", func() error {
			_, err := n.Register(n.as("eve"), RegisterInput{Event: e.ID, Member: "company_acme", Content: Patch{"delegates": []any{map[string]any{"user": "user_eve"}}}})
			return err
		}, "registration.ADD: adm off"},
		{"and is approved", func() error { return move("off", "company_acme", RegistrationApprove) }, "registration.APPROVE: ann eve"},
		{"others register, one after another", func() error {
			n.registered(e.ID, "city_oslo", RegistrationApprove)
			n.time = n.time.Add(time.Minute)
			n.registered(e.ID, "city_lima")
			return move("adm", "city_lima", RegistrationApprove)
		}, "registration.APPROVE: odd olga; registration.WAITLIST: luis"},
		{"Acme withdraws", func() error { return move("ann", "company_acme", RegistrationWithdraw) }, "registration.MOVE_UP: luis; registration.WITHDRAW: adm off"},
		{"and is sorry", func() error { return move("ann", "company_acme", RegistrationRenew) }, "registration.RENEW: adm off"},
		{"there is room again", func() error {
			_, err := n.EditEvent(n.as("off"), EditEventInput{ID: e.ID, Content: Patch{"capacity": 3}})
			return err
		}, ""},
		{"and it is approved again", func() error { return move("off", "company_acme", RegistrationApprove) }, "registration.APPROVE: ann eve"},
		{"wishes are opened", func() error {
			_, err := n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventOpenWishes})
			return err
		}, "event.OPEN_WISHES: ann eve luis odd olga"},
		{"Oslo wishes", func() error {
			_, err := n.SetWish(n.as("odd"), SetWishInput{Event: e.ID, Member: "city_oslo", Wish: WishInput{With: "city_lima", Level: WishWant}})
			return err
		}, ""},
		{"two days later there is time left", func() error { n.time = newsDay.Add(71 * time.Hour); return nil }, ""},
		{"three days before the end", func() error { n.time = newsDay.Add(72 * time.Hour); return nil }, "registration.REMIND: ann eve luis"},
		{"once is enough", func() error { n.time = newsDay.Add(73 * time.Hour); return nil }, ""},
		{"Acme has nothing to say, and says so", func() error {
			_, err := n.SetWishes(n.as("ann"), SetWishesInput{Event: e.ID, Member: "company_acme"})
			return err
		}, ""},
		{"Lima wishes", func() error {
			_, err := n.SetWish(n.as("luis"), SetWishInput{Event: e.ID, Member: "city_lima", Wish: WishInput{With: "city_oslo", Level: WishNever}})
			return err
		}, ""},
		{"a day before the end", func() error { n.time = newsDay.Add(5*24*time.Hour + time.Second); return nil }, "registration.REMIND: ann eve"},
		{"there is more time", func() error {
			_, err := n.EditEvent(n.as("off"), EditEventInput{ID: e.ID, Content: Patch{"dates": []any{map[string]any{"phase": "WISHES", "until": n.time.AddDate(0, 0, 5).Format(wallFormat)}}}})
			return err
		}, ""},
		{"and so a day before the new end", func() error { n.time = n.time.AddDate(0, 0, 4); return nil }, "registration.REMIND: ann eve"},
		{"Acme is declined", func() error { return move("off", "company_acme", RegistrationDecline) }, "registration.DECLINE: ann eve"},
		{"after the end nobody is reminded", func() error { n.time = n.time.AddDate(0, 0, 10); return nil }, ""},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if got := n.news(known); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	for _, f := range n.everything() {
		if f.Kind != NotifyEvent {
			continue
		}
		for _, l := range []Language{"en", "zh", "ko", "es", "fr", "ar"} {
			u, err := get[*User](asWorker(t.Context()), n.Market, f.User)
			n.must(err)
			s, err := n.Sentence(n.as(strings.ToLower(u.Name)), f, []Language{l})
			if err != nil || !strings.Contains(s, "Solutions Meet Cities") || strings.ContainsAny(s, "{}") {
				t.Errorf("%s for %s in %s: %q %v", f.Event, f.User, l, s, err)
			}
		}
	}
}

// A registration names people of the member's own team, and falls back on the
// member's languages.
func TestDelegates(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	e := n.edition(nil)
	_, err := n.EditCompany(asWorker(t.Context()), EditMemberInput{ID: "company_acme", Content: Patch{"languages": []any{"ko", "en"}}})
	n.must(err)
	register := func(delegates ...map[string]any) (*Registration, error) {
		return n.Register(n.as("ann"), RegisterInput{Event: e.ID, Member: "company_acme", Content: Patch{"delegates": delegates}})
	}
	if _, err := register(map[string]any{"user": "user_olga"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("Olga is of another team: %v", err)
	}
	if _, err := register(map[string]any{"user": "user_vic"}, map[string]any{"user": "user_vic", "name": "Victor"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("Vic came twice: %v", err)
	}
	if _, err := register(slices.Repeat([]map[string]any{{"name": "x"}}, maxDelegates+1)...); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many came: %v", err)
	}
	r, err := register(map[string]any{"user": "user_vic"})
	n.must(err)
	if r.Delegates[0].Name != "Vic" || !slices.Equal(r.Languages, []Language{"ko", "en"}) {
		t.Errorf("it is %+v", r)
	}
	r, err = n.EditRegistration(n.as("eve"), EditRegistrationInput{ID: r.ID, Content: Patch{"delegates": []any{map[string]any{"name": "Vic", "languages": []any{"es"}}}}})
	n.must(err)
	if !slices.Equal(r.Languages, []Language{"es"}) {
		t.Errorf("it speaks %v", r.Languages)
	}
}
