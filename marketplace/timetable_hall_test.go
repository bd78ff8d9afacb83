package marketplace

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A hall is an event with cities c1, c2... and companies k1, k2..., each with
// an owner who is its delegate (user_c1), six slots of 20 minutes and three
// tables. The two sides wish to meet as a test says.
type hall struct {
	*Market
	t     testing.TB
	box   *postbox
	time  time.Time
	event ID
	names []string
	seen  map[ID]bool // notifications that letters has told
}

var hallDay = time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)

func memberNamed(name string) ID {
	if name[0] == 'c' {
		return ID("city_" + name)
	}
	return ID("company_" + name)
}

func newHall(t testing.TB, cities, companies int, content Patch) *hall {
	t.Helper()
	store := openTestStore(t)
	t.Cleanup(func() { store.Close() })
	h := hallOn(t, store)
	h.furnish(cities, companies, content)
	return h
}

func hallOn(t testing.TB, store Store) *hall {
	box := &postbox{}
	h := &hall{Market: New(store, nil, Options{Alone: true, Mailer: box, URL: "https://market.example", Key: []byte(strings.Repeat("k", KeySize))}), t: t, box: box, time: newsDay}
	h.now = func() time.Time { return h.time }
	return h
}

func (h *hall) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) furnish(cities, companies int, content Patch) {
	h.t.Helper()
	ctx := asWorker(context.Background())
	for i := range cities + companies {
		name := fmt.Sprintf("c%d", i+1)
		if i >= cities {
			name = fmt.Sprintf("k%d", i-cities+1)
		}
		h.names = append(h.names, name)
		if name[0] == 'c' {
			c := &City{Meta: Meta{ID: memberNamed(name), Slug: name}, TimeZone: "UTC"}
			c.Name, c.Country, c.Region = en(strings.ToUpper(name)), "NO", Europe
			h.must(h.AddCity(ctx, c))
		} else {
			c := &Company{Meta: Meta{ID: memberNamed(name), Slug: name}, Size: "SME", ContactPolicy: "ANYONE"}
			c.Name, c.Country, c.Region = en(strings.ToUpper(name)), "NO", Europe
			h.must(h.AddCompany(ctx, c))
		}
		id := ID("user_" + name)
		h.must(create(ctx, h.Market, MayRecoverAccount, &User{Meta: Meta{ID: id, CreatedAt: h.time.Add(-24 * time.Hour)}, Name: "Delegate of " + name, Email: name + "@example.org", Password: "none", Languages: []Language{"en"}}))
		h.must(h.PlaceInTeam(ctx, memberNamed(name), id, TeamRole(RoleOwner)))
	}
	all := Patch{"name": en("Cities Meet"), "timeZone": "UTC", "format": "ON_SITE", "slotMinutes": 20, "pauseMinutes": 0, "minimum": 0, "maximum": 12,
		"days":   []any{map[string]any{"date": "2026-03-09", "start": "09:00", "end": "11:00"}},
		"tables": []any{map[string]any{"name": "T1"}, map[string]any{"name": "T2"}, map[string]any{"name": "T3"}}}
	for k, v := range content {
		all[k] = v
	}
	e, err := h.CreateEvent(h.officer(), CreateEventInput{Content: all})
	h.must(err)
	h.event = e.ID
	h.phase(EventOpenRegistration)
	for _, name := range h.names {
		h.register(name, Patch{"delegates": []any{map[string]any{"user": "user_" + name}}})
	}
	h.phase(EventOpenWishes)
	h.must(h.CatchUp(context.Background()))
	h.box.take()
}

func (h *hall) register(name string, content Patch) {
	h.t.Helper()
	r, err := h.Register(h.officer(), RegisterInput{Event: h.event, Member: memberNamed(name), Content: content})
	h.must(err)
	_, err = h.MoveRegistration(h.officer(), MoveRegistrationInput{ID: r.ID, Move: RegistrationApprove})
	h.must(err)
}

func (h *hall) officer() context.Context {
	return InBulk(WithViewer(context.Background(), Viewer{Actor: Actor{User: "user_off", Secretariat: SecretariatOfficer, Via: "session_test"}, Languages: []Language{"en"}}))
}

func (h *hall) of(name string) context.Context {
	return InBulk(WithViewer(context.Background(), Viewer{Languages: []Language{"en"}, Actor: Actor{User: ID("user_" + name), Via: "session_test",
		Memberships: []Membership{{Member: memberNamed(name), Role: RoleOwner}}}}))
}

func (h *hall) phase(move EventMove) {
	h.t.Helper()
	_, err := h.MoveEvent(h.officer(), MoveEventInput{ID: h.event, Move: move})
	h.must(err)
}

// wish sets wishes: "k1 k2 ?k3 !k4" are two musts, a want and a never.
func (h *hall) wish(name, wishes string) {
	h.t.Helper()
	var list []*WishInput
	for word := range strings.FieldsSeq(wishes) {
		level := WishMust
		switch word[0] {
		case '?':
			level, word = WishWant, word[1:]
		case '!':
			level, word = WishNever, word[1:]
		}
		list = append(list, &WishInput{With: memberNamed(word), Level: level})
	}
	_, err := h.SetWishes(h.of(name), SetWishesInput{Event: h.event, Member: memberNamed(name), Wishes: list})
	h.must(err)
}

// run makes a timetable, which must come out.
func (h *hall) run(mode RunMode) *Run {
	h.t.Helper()
	r := h.tryRun(mode)
	if r.Status != RunDone {
		h.t.Fatalf("the run is %s: %s %+v", r.Status, r.Failure, r.Reasons)
	}
	return r
}

func (h *hall) tryRun(mode RunMode) *Run {
	h.t.Helper()
	r, err := h.StartRun(h.officer(), StartRunInput{Event: h.event, Mode: mode, Seed: new(1), Seconds: new(20)})
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	r, err = h.Run(h.officer(), r.ID)
	h.must(err)
	return r
}

func (h *hall) use(r *Run) {
	h.t.Helper()
	_, err := h.UseRun(h.officer(), UseRunInput{Run: r.ID})
	h.must(err)
}

func (h *hall) publish() *Publication {
	h.t.Helper()
	x, err := h.PublishTimetable(h.officer(), PublishTimetableInput{Event: h.event})
	h.must(err)
	h.must(h.CatchUp(context.Background()))
	x, err = get[*Publication](h.officer(), h.Market, x.ID)
	h.must(err)
	return x
}

// survives prepares a hall, and checks one after another many copies of it whose
// server was killed at another store operation of what has to follow.
func survives(t *testing.T, prepare func(*hall), check func(h *hall, n int)) {
	t.Helper()
	dir := MemoryDir(t)
	open := func(name string) Store {
		store, err := OpenTestStore(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open("first.db")
	first := hallOn(t, store)
	prepare(first)
	store.Close()
	b, err := os.ReadFile(filepath.Join(dir, "first.db"))
	if err != nil {
		t.Fatal(err)
	}
	for n, died := 1, true; died && !t.Failed(); n += KillEvery() {
		name := fmt.Sprint(n, ".db")
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		store := open(name)
		h := hallOn(t, store)
		h.names, h.event, h.time, h.seen = first.names, first.event, first.time, maps.Clone(first.seen)
		died = h.killedAt(store, n)
		check(h, n)
		store.Close()
		os.Remove(filepath.Join(dir, name))
	}
}

// killedAt has a server catch up that is killed at the nth store operation from
// now; false where it needs fewer.
func (h *hall) killedAt(store Store, n int) (died bool) {
	h.t.Helper()
	dying := &mortal{Store: store, left: n}
	working, die := context.WithCancel(context.Background())
	defer die()
	dying.die = die
	killed := New(dying, nil, Options{Alone: true, Mailer: h.box})
	killed.now = h.now
	if err := killed.CatchUp(working); err != nil && !dying.deceased {
		h.t.Fatal(err)
	}
	return dying.deceased
}

// slot is the beginning of the nth slot, from 1.
func (h *hall) slot(n int) *time.Time { return new(hallDay.Add(time.Duration(n-1) * 20 * time.Minute)) }

func (h *hall) draft() []Placement {
	h.t.Helper()
	d, err := h.DraftOf(h.officer(), h.event)
	h.must(err)
	return d.Placements.list()
}

// add puts a meeting into the draft: add("c1", "k1", 2, "T1").
func (h *hall) add(a, b string, slot int, table string) error {
	in := PlaceInput{Event: h.event, A: memberNamed(a), B: memberNamed(b), Slot: h.slot(slot)}
	if table != "" {
		in.Table = &table
	}
	_, err := h.AddPlacement(h.officer(), in)
	return err
}

func (h *hall) moveTo(a, b string, slot int, table string) error {
	in := PlaceInput{Event: h.event, A: memberNamed(a), B: memberNamed(b), Slot: h.slot(slot)}
	if table != "" {
		in.Table = &table
	}
	_, err := h.MovePlacement(h.officer(), in)
	return err
}

func shortName(id ID) string { return string(id)[strings.Index(string(id), "_")+1:] }

// agenda are the meetings of the event that take place: "1 c1-k2 T1".
func (h *hall) agenda() []string {
	h.t.Helper()
	var out []string
	h.must(h.each(asWorker(context.Background()), KindMeeting, Query{Where: []Condition{{Field: "event", Op: Eq, Value: h.event}}, Sort: "startsAt", Limit: 100}, func(doc entity) {
		if x := doc.(*Meeting); x.isBooked() {
			out = append(out, fmt.Sprintf("%d %s-%s %s", int(x.At.Sub(hallDay)/(20*time.Minute))+1, shortName(x.From), shortName(x.To), x.Table))
		}
	}))
	slices.Sort(out)
	return out
}

// told is who was told of their timetable since the last time, and what:
// "k1 1 1 0 0" for a meeting, which is new.
func (h *hall) told() []string {
	h.t.Helper()
	h.must(h.CatchUp(context.Background()))
	var out []string
	seen := map[string]bool{} // a server that was killed after it has sent a letter sends that again
	mails, _ := h.box.take()
	for _, mail := range mails {
		_, numbers, ok := strings.Cut(mail.Subject, "Meetings: ")
		if !ok || seen[mail.ID] {
			continue
		}
		seen[mail.ID] = true
		words := strings.FieldsFunc(numbers, func(r rune) bool { return r < '0' || r > '9' })
		name, _, _ := strings.Cut(mail.To.Address, "@")
		out = append(out, name+" "+strings.Join(words, " "))
	}
	slices.Sort(out)
	return out
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
