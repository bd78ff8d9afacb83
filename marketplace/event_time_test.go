package marketplace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// aDay is an event of one day in a zone, with slots of half an hour.
func aDay(zone string, date Date, start, end string) *Event {
	e := newEvent()
	e.Name, e.TimeZone, e.SlotMinutes, e.PauseMinutes = en("A day"), zone, 30, 0
	e.Days = []EventDay{{Date: date, Start: start, End: end}}
	e.plan(newsDay)
	return e
}

// Slots are of real time, also on days on which the clock changes: then there
// are as many as the day is long.
func TestSlotsOverChangesOfClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone       string
		date       Date
		start, end string
		slots      int
		first      string
	}{
		{"Asia/Kathmandu", "2026-03-29", "00:00", "24:00", 48, "2026-03-28T18:15:00Z"},
		{"Europe/Oslo", "2026-03-29", "00:00", "24:00", 46, "2026-03-28T23:00:00Z"},
		{"Europe/Oslo", "2026-10-25", "00:00", "24:00", 50, "2026-10-24T22:00:00Z"},
		{"Europe/Oslo", "2026-03-29", "09:00", "17:00", 16, "2026-03-29T07:00:00Z"},
		{"Europe/Oslo", "2026-03-28", "09:00", "17:00", 16, "2026-03-28T08:00:00Z"},
		{"Europe/Oslo", "2026-03-29", "02:30", "04:00", 2, "2026-03-29T01:00:00Z"}, // from the skip on
		{"Europe/Oslo", "2026-10-25", "02:30", "03:30", 4, "2026-10-25T00:30:00Z"}, // from the first time it is half past two
		{"Africa/Cairo", "2026-04-24", "00:00", "24:00", 46, "2026-04-23T22:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-05", "00:00", "24:00", 49, "2026-04-04T13:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-04", "00:00", "24:00", 47, "2026-10-03T13:30:00Z"},
		{"America/Asuncion", "2026-10-04", "00:00", "24:00", 48, "2026-10-04T03:00:00Z"}, // has had no changes since 2024
		{"Asia/Tehran", "2026-03-22", "08:00", "09:00", 2, "2026-03-22T04:30:00Z"},
	} {
		e := aDay(c.zone, c.date, c.start, c.end)
		if err := check(&Event{Meta: Meta{Slug: "x"}, Name: e.Name, TimeZone: e.TimeZone, Format: e.Format, Phase: e.Phase, Days: e.Days, Slots: e.Slots,
			SlotMinutes: 30, Rules: e.Rules, LanguageRule: e.LanguageRule}); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		if got := e.Slots[0].StartsAt.Format(time.RFC3339); len(e.Slots) != c.slots || got != c.first {
			t.Errorf("%s %s %s to %s: %d slots from %s, want %d from %s", c.zone, c.date, c.start, c.end, len(e.Slots), got, c.slots, c.first)
		}
		for i, s := range e.Slots {
			if s.EndsAt.Sub(s.StartsAt) != 30*time.Minute || i > 0 && s.StartsAt.Before(e.Slots[i-1].EndsAt) {
				t.Errorf("%v: slot %d is %v", c, i, s)
			}
		}
	}
}

// Sessions block the slots that they touch, and no others.
func TestSessionsBlockSlots(t *testing.T) {
	t.Parallel()
	e := aDay("Asia/Seoul", "2026-05-05", "09:00", "12:00")
	e.Sessions = []EventSession{
		{Start: "2026-05-05T09:30", End: "2026-05-05T10:00", BlocksMeetings: true},
		{Start: "2026-05-05T10:45", End: "2026-05-05T11:05", BlocksMeetings: true},
		{Start: "2026-05-05T11:30", End: "2026-05-05T12:00", Members: []ID{"city_oslo"}},
	}
	e.plan(newsDay)
	var blocked []int
	for i, s := range e.Slots {
		if s.IsBlocked {
			blocked = append(blocked, i)
		}
	}
	if !slices.Equal(blocked, []int{1, 3, 4}) {
		t.Errorf("blocked are %v", blocked)
	}
	two := &Registration{Member: "city_oslo", Delegates: []Delegate{{Name: "A"}, {Name: "B"}}}
	if got := e.Seats(two); !slices.Equal(got, []int{2, 0, 2, 0, 0, 1}) {
		t.Errorf("seats are %v: one of two pitches in the last slot", got)
	}
	two.Member = "city_lima"
	if got := e.Seats(two); !slices.Equal(got, []int{2, 0, 2, 0, 0, 2}) {
		t.Errorf("seats are %v", got)
	}
}

// Whatever is said of a delegate's times, in whichever zone: they are free in
// a slot exactly when they are free in each of its minutes.
func TestDelegatesAreFreeMinuteByMinute(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Oslo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo", ""}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := aDay(zones[r.IntN(len(zones)-1)], "2026-03-29", "00:00", "24:00")
		d := Delegate{TimeZone: zones[r.IntN(len(zones))]}
		zone := d.TimeZone
		if zone == "" {
			zone = e.TimeZone
		}
		span := func() WallSpan {
			from := time.Date(2026, 3, 28, 0, 15*r.IntN(4*60), 0, 0, time.UTC)
			return WallSpan{WallTime(from.Format(wallFormat)), WallTime(from.Add(time.Duration(15+15*r.IntN(40)) * time.Minute).Format(wallFormat))}
		}
		for range r.IntN(6) {
			d.Free = append(d.Free, span())
		}
		for range r.IntN(3) {
			d.Busy = append(d.Busy, span())
		}
		within := func(at time.Time, spans []WallSpan) bool {
			return slices.ContainsFunc(spans, func(s WallSpan) bool {
				loc := zoneNamed(zone)
				return !at.Before(s.From.at(loc)) && at.Before(s.Until.at(loc))
			})
		}
		for i, is := range d.freeIn(e) {
			want := true
			for at := e.Slots[i].StartsAt; at.Before(e.Slots[i].EndsAt); at = at.Add(time.Minute) {
				want = want && (len(d.Free) == 0 || within(at, d.Free)) && !within(at, d.Busy)
			}
			if is != want {
				t.Fatalf("seed %d, slot %v: free is %v, by the minute %v; %+v in %s", seed, e.Slots[i], is, want, d, e.TimeZone)
			}
		}
	}
}

// A copy shows the same times by the clock, as many days later, and a copy of
// the copy on the first day is the event again.
func TestACopyKeepsTheClock(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		zone := []string{"Europe/Oslo", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"}[r.IntN(5)]
		first := Date("2026-03-20").later(r.IntN(300))
		e := aDay(zone, first, "09:00", "12:30")
		e.Days = append(e.Days, EventDay{Date: first.later(1 + r.IntN(3)), Start: "13:15", End: "17:00"})
		at := func(days int, clock string) *WallTime { return new(WallTime(string(first.later(days)) + "T" + clock)) }
		e.Dates = []PhaseDate{{Phase: EventRegistration, From: at(-60, "08:00"), Until: at(-30, "23:59")}, {Phase: EventWishes, From: at(-29, "08:00"), Until: at(-10, "18:00")}}
		e.Sessions = []EventSession{{Kind: "BREAK", Title: en("Lunch"), Start: *at(0, "10:00"), End: *at(0, "11:00"), BlocksMeetings: true, Members: []ID{"city_oslo"}}}
		e.Tables = []EventTable{{Name: "1", Member: "city_oslo"}}
		e.Phase = EventClosed
		e.plan(newsDay)

		days := r.IntN(800) - 400
		c := e.copy(first.later(days))
		c.plan(newsDay)
		if c.Phase != EventDraft || len(c.Sessions[0].Members) > 0 || c.Tables[0].Member != "" || daysBetween(first, c.Days[0].Date) != days {
			t.Fatalf("seed %d: the copy is %+v", seed, c)
		}
		if len(c.Slots) != len(e.Slots) {
			t.Fatalf("seed %d: %d slots, the copy has %d", seed, len(e.Slots), len(c.Slots))
		}
		clock := func(t time.Time) string { return t.In(zoneNamed(zone)).Format("15:04") }
		for i := range e.Slots {
			if clock(e.Slots[i].StartsAt) != clock(c.Slots[i].StartsAt) || e.Slots[i].IsBlocked != c.Slots[i].IsBlocked {
				t.Fatalf("seed %d: slot %v is %v in the copy", seed, e.Slots[i], c.Slots[i])
			}
		}
		for i := range e.Dates {
			if clock(*e.Dates[i].UntilAt) != clock(*c.Dates[i].UntilAt) {
				t.Fatalf("seed %d: %v is %v in the copy", seed, e.Dates[i].UntilAt, c.Dates[i].UntilAt)
			}
		}
		back := c.copy(first)
		back.plan(newsDay)
		if fmt.Sprint(back.Slots, back.Days) != fmt.Sprint(e.Slots, e.Days) || *back.Dates[1].Until != *e.Dates[1].Until || back.Sessions[0].StartsAt != e.Sessions[0].StartsAt {
			t.Fatalf("seed %d: a copy of the copy is another event", seed)
		}
	}
}

// What is too much, or out of order, is said.
func TestTimesOfEventsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what   string
		change func(*Event)
		path   string
	}{
		{"201 slots", func(e *Event) { e.SlotMinutes, e.Days = 5, twoDays("00:00", "08:25") }, "days"},
		{"no slot", func(e *Event) { e.SlotMinutes = 240 }, "days"},
		{"a day before the one before it", func(e *Event) { e.Days = append(twoDays("09:00", "10:00"), e.Days...) }, "days[2].start"},
		{"a day that is none", func(e *Event) { e.Days[0].Date = "2026-02-30" }, "days[0].date"},
		{"a second after midnight", func(e *Event) { e.Days[0].End = "24:01" }, "days[0].end"},
		{"a date of a draft", func(e *Event) { e.Dates = []PhaseDate{{Phase: EventDraft}} }, "dates[0].phase"},
		{"an end of drafting", func(e *Event) {
			e.Dates = []PhaseDate{{Phase: EventDrafting, Until: new(WallTime("2026-01-01T00:00"))}}
		}, "dates[0].until"},
		{"wishes before registration", func(e *Event) {
			e.Dates = []PhaseDate{{Phase: EventRegistration, From: new(WallTime("2026-01-02T00:00"))}, {Phase: EventWishes, From: new(WallTime("2026-01-01T00:00"))}}
		}, "dates[1].from"},
		{"no zone", func(e *Event) { e.TimeZone = "" }, "timeZone"},
		{"a clock with seconds", func(e *Event) {
			e.Sessions = []EventSession{{Kind: "BREAK", Title: en("x"), Start: "2026-01-01T00:00:00", End: "2026-01-01T01:00"}}
		}, "sessions[0].start"},
	} {
		e := aDay("Asia/Seoul", "2026-05-05", "09:00", "12:00")
		e.Slug = "a-day"
		if err := check(e); err != nil {
			t.Fatal(err)
		}
		c.change(e)
		e.plan(newsDay)
		var p problems
		p.list = problemsOf(check(e))
		if !p.has(c.path) {
			t.Errorf("%s: %v", c.what, p.list)
		}
	}
}

func twoDays(start, end string) []EventDay {
	return []EventDay{{Date: "2026-05-06", Start: start, End: end}, {Date: "2026-05-07", Start: start, End: end}}
}

// A step that the program takes comes at the date of its phase, one after
// another; publishing is never among them.
func TestEventsMoveOnTheirDates(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	at := func(hours int) *WallTime {
		return new(WallTime(newsDay.Add(time.Duration(hours) * time.Hour).Format(wallFormat)))
	}
	e := newEvent()
	e.Slug, e.Name, e.TimeZone, e.MovesOnTime = "moves", en("Moves"), "UTC", true
	e.Days = []EventDay{{Date: Date(newsDay.AddDate(0, 0, 10).Format(time.DateOnly)), Start: "09:00", End: "10:00"}}
	e.Dates = []PhaseDate{{Phase: EventRegistration, From: at(1), Until: at(24)}, {Phase: EventWishes, From: at(25), Until: at(48)}}
	n.must(n.AddEvent(n.as("off"), e))
	phase := func(at time.Duration) EventPhase {
		n.time = newsDay.Add(at)
		n.must(n.CatchUp(t.Context()))
		now, err := n.Event(asWorker(t.Context()), e.ID)
		n.must(err)
		return now.Phase
	}
	for _, c := range []struct {
		at   time.Duration
		want EventPhase
	}{
		{59 * time.Minute, EventDraft}, {time.Hour, EventRegistration}, {24 * time.Hour, EventRegistration}, {25 * time.Hour, EventWishes},
		{47 * time.Hour, EventWishes}, {48 * time.Hour, EventDrafting}, {11 * 24 * time.Hour, EventDrafting},
	} {
		if got := phase(c.at); got != c.want {
			t.Fatalf("after %v it is %s, not %s", c.at, got, c.want)
		}
	}
	// Only the publication of a timetable brings it further. A step back ends that it moves by itself.
	if _, err := n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventPublish}); complains(err) != "move INVALID" {
		t.Errorf("published without a timetable: %v", err)
	}
	r, err := n.StartRun(n.as("off"), StartRunInput{Event: e.ID, Mode: RunNew})
	n.must(err)
	n.must(n.CatchUp(t.Context()))
	_, err = n.UseRun(n.as("off"), UseRunInput{Run: r.ID})
	n.must(err)
	_, err = n.PublishTimetable(n.as("off"), PublishTimetableInput{Event: e.ID})
	n.must(err)
	if got := phase(11*24*time.Hour + time.Minute); got != EventClosed {
		t.Errorf("it is over, and %s", got)
	}
	_, err = n.MoveEvent(n.as("off"), MoveEventInput{ID: e.ID, Move: EventReopen})
	n.must(err)
	if got := phase(12 * 24 * time.Hour); got != EventLive {
		t.Errorf("it was opened again, and is %s", got)
	}
}
