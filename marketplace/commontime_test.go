package marketplace

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// desk is a side whose member has these hours from Monday to Friday.
func desk(zone, hours string) calendarSide {
	s := sheet(zone, hours)
	s.week[time.Saturday], s.week[time.Sunday] = nil, nil
	return calendarSide{sheets: []timesheet{s}}
}

func weeks(t testing.TB, from string, n int) period {
	at := day(t, from)
	return period{at, at.AddDate(0, 0, 7*n)}
}

// What is proposed for real pairs of places.
func TestCommonTimesOfPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		a, b    calendarSide
		from    string
		minutes int
		want    []string // on the clocks of both
		outside bool
	}{
		{"neighbours", desk("Europe/Oslo", "09:00-17:00"), desk("Europe/Berlin", "09:00-17:00"), "2026-03-02", 60,
			[]string{"Mon 09:00 / Mon 09:00", "Mon 10:00 / Mon 10:00", "Mon 11:00 / Mon 11:00", "Tue 09:00 / Tue 09:00"}, false},
		{"+5:45", desk("Asia/Kathmandu", "09:00-17:00"), desk("Europe/Oslo", "09:00-17:00"), "2026-03-02", 30,
			[]string{"Mon 13:45 / Mon 09:00", "Mon 14:15 / Mon 09:30", "Mon 14:45 / Mon 10:00", "Tue 13:45 / Tue 09:00"}, false},
		{"+5:45, in summer", desk("Asia/Kathmandu", "09:00-17:00"), desk("Europe/Oslo", "09:00-17:00"), "2026-07-06", 30,
			[]string{"Mon 12:45 / Mon 09:00"}, false},
		{"only the edges meet", desk("Asia/Seoul", "09:00-18:00"), desk("Europe/London", "08:00-17:00"), "2026-03-02", 60,
			[]string{"Mon 17:00 / Mon 08:00", "Tue 17:00 / Tue 08:00"}, false},
		{"no common hour", desk("Asia/Seoul", "09:00-17:00"), desk("America/Bogota", "09:00-17:00"), "2026-03-02", 60,
			[]string{"Tue 07:45 / Mon 17:45"}, true},
		{"two weekends", calendarSide{sheets: []timesheet{timesheetOf(&Availability{TimeZone: "Africa/Cairo", Hours: usualHours("EG")}, nil)}}, desk("Europe/Oslo", "09:00-17:00"), "2026-03-06", 60,
			[]string{"Mon 10:00 / Mon 09:00"}, false}, // Friday rests here, Saturday both, Sunday there
	} {
		within := weeks(t, c.from, 2)
		got := commonTimes(within.from.AddDate(0, 0, -7), within, c.minutes, len(c.want), [2]calendarSide{c.a, c.b})
		var told []string
		for _, x := range got {
			told = append(told, x.At.In(c.a.sheets[0].zone).Format("Mon 15:04")+" / "+x.At.In(c.b.sheets[0].zone).Format("Mon 15:04"))
			if x.IsOutsideHours != c.outside {
				t.Errorf("%s: %s is outside: %t", c.what, told[len(told)-1], x.IsOutsideHours)
			}
		}
		if !slices.Equal(told, c.want) {
			t.Errorf("%s: %q instead of %q", c.what, told, c.want)
		}
	}
}

// drawSide draws a side of a member and some people.
func drawSide(t *rapid.T, name string, start time.Time) calendarSide {
	hours := []string{"09:00-17:00", "09:00-12:30 13:30-18:00", "07:10-11:50", "00:00-24:00", "20:00-24:00", "00:00-03:00 22:00-24:00", ""}
	drawSheet := func(name string) timesheet {
		s := sheet(rapid.SampledFrom(someZones).Draw(t, name+" zone"), rapid.SampledFrom(hours).Draw(t, name+" hours"))
		s.week[rapid.IntRange(0, 6).Draw(t, name+" free day")] = nil
		s.notice = time.Duration(rapid.IntRange(0, 72).Draw(t, name+" notice")) * time.Hour
		s.before = time.Duration(rapid.IntRange(0, 40).Draw(t, name+" before")) * time.Minute
		s.after = time.Duration(rapid.IntRange(0, 40).Draw(t, name+" after")) * time.Minute
		s.daily = rapid.IntRange(0, 2).Draw(t, name+" daily")
		return s
	}
	side := calendarSide{sheets: []timesheet{drawSheet(name)}}
	for range rapid.IntRange(0, 2).Draw(t, name+" people") {
		p := personTime{sheet: drawSheet(name + " person")}
		p.sheet.anytime = rapid.Bool().Draw(t, name+" anytime")
		for range rapid.IntRange(0, 12).Draw(t, name+" meetings") {
			from := start.Add(time.Duration(rapid.IntRange(0, 10*96).Draw(t, name+" busy")) * meetingBlock)
			p.busy = append(p.busy, period{from, from.Add(time.Duration(rapid.IntRange(1, 8).Draw(t, name+" length")) * meetingBlock)})
		}
		side.sheets, side.people = append(side.sheets, p.sheet), append(side.people, p)
	}
	return side
}

// Whatever is proposed can be taken: nobody is in a meeting or near to one,
// nobody would have wanted to know of it earlier, nobody has a day off, and
// what is said of hours is true. Nothing fairer is left out, and the sides may
// be exchanged.
func TestCommonTimesCanBeTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 220).Draw(t, "day"))
		now := start.Add(time.Duration(rapid.IntRange(-100*60, 60*60).Draw(t, "now")) * time.Minute)
		within := period{start.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "from")) * time.Minute), start.AddDate(0, 0, rapid.IntRange(1, 10).Draw(t, "days"))}
		minutes, most := 15*rapid.IntRange(1, 8).Draw(t, "quarters"), rapid.IntRange(0, 20).Draw(t, "most")
		a, b := drawSide(t, "a", start), drawSide(t, "b", start)
		list := commonTimes(now, within, minutes, most, [2]calendarSide{a, b})
		if len(list) > most {
			t.Fatal("more than were asked for")
		}
		for i, x := range list {
			end := x.At.Add(time.Duration(minutes) * time.Minute)
			if x.At.Before(within.from) || end.After(within.until) || !isBlock(x.At) {
				t.Fatalf("%s to %s is not within %s", x.At, end, within)
			}
			for k, side := range []calendarSide{a, b} {
				inside := true
				for _, s := range side.sheets {
					if x.At.Before(now.Add(s.notice)) {
						t.Fatalf("%s is too soon", x.At)
					}
					inside = inside && covers(&s, x.At, end)
				}
				if x.Sides[k].IsOutsideHours == inside {
					t.Fatalf("%s is outside the hours of %d: %t", x.At, k, !inside)
				}
				for _, p := range side.people {
					for _, busy := range p.busy {
						if x.At.Before(busy.until.Add(p.sheet.after)) && end.After(busy.from.Add(-p.sheet.before)) ||
							x.At.Add(-p.sheet.before).Before(busy.until) && end.Add(p.sheet.after).After(busy.from) {
							t.Fatalf("%s is too near to %s", x.At, busy)
						}
					}
				}
			}
			if x.IsOutsideHours != (x.Sides[0].IsOutsideHours || x.Sides[1].IsOutsideHours) || x.IsOutsideHours != list[0].IsOutsideHours {
				t.Fatalf("%s is outside of hours: %t", x.At, x.IsOutsideHours)
			}
			worst := func(x *CommonTime) int { return max(x.Sides[0].Burden, x.Sides[1].Burden) }
			if i > 0 {
				before := list[i-1]
				if worst(before) > worst(x) || worst(before) == worst(x) && before.Sides[0].Burden+before.Sides[1].Burden > x.Sides[0].Burden+x.Sides[1].Burden {
					t.Fatalf("%s is fairer than %s, which comes first", x.At, before.At)
				}
			}
		}
		again := commonTimes(now, within, minutes, most, [2]calendarSide{b, a})
		if len(again) != len(list) {
			t.Fatal("sides cannot be exchanged")
		}
		for i, x := range again {
			y := list[i]
			if !x.At.Equal(y.At) || x.Sides[0].Burden != y.Sides[1].Burden || x.Sides[1].IsOutsideHours != y.Sides[0].IsOutsideHours {
				t.Fatal("sides cannot be exchanged")
			}
		}
		// Another meeting never makes anything possible that was not.
		if len(list) > 0 && len(a.people) > 0 && !list[0].IsOutsideHours {
			a.people[0].busy = append(a.people[0].busy, period{list[0].At, list[0].At.Add(time.Minute)})
			for _, x := range commonTimes(now, within, minutes, most, [2]calendarSide{a, b}) {
				if x.At.Equal(list[0].At) {
					t.Fatalf("%s is taken", x.At)
				}
			}
		}
	})
}

// covers says whether the hours of a timesheet hold every quarter of a time.
func covers(s *timesheet, from, until time.Time) bool {
	var all []period
	s.days(from, until, func(_ period, open []period) { all = append(all, open...) })
	for at := from; at.Before(until); {
		i := slices.IndexFunc(all, func(p period) bool { return !p.from.After(at) && p.until.After(at) })
		if i < 0 {
			return false
		}
		at = all[i].until
	}
	return true
}

// The farther an hour is from the day, the more it costs; none is cheaper than
// one that is nearer on the same side.
func TestTheNightCostsMore(t *testing.T) {
	t.Parallel()
	for h := 9; h < 23; h++ {
		if hourBurden[h+1] < hourBurden[h] {
			t.Errorf("%d:00 costs less than %d:00", h+1, h)
		}
	}
	for h := 9; h > 3; h-- {
		if hourBurden[h-1] < hourBurden[h] {
			t.Errorf("%d:00 costs less than %d:00", h-1, h)
		}
	}
}

func BenchmarkCommonTimes(b *testing.B) {
	side := func(zone string) calendarSide {
		s := desk(zone, "09:00-17:00")
		for range 6 {
			s.sheets = append(s.sheets, s.sheets[0])
			s.people = append(s.people, personTime{sheet: s.sheets[0]})
		}
		return s
	}
	sides := [2]calendarSide{side("Asia/Seoul"), side("America/Bogota")}
	within := period{day(b, "2026-03-02"), day(b, "2026-05-01")}
	for b.Loop() {
		if len(commonTimes(within.from, within, 60, 20, sides)) != 20 {
			b.Fatal("there are more")
		}
	}
}
