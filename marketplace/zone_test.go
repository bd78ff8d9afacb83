package marketplace

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func day(t testing.TB, s string) time.Time { return instant(t, s+"T00:00:00Z") }

// Times on clocks become moments, in zones with odd offsets, across changes of
// clocks and of rules.
func TestLocalTimesBecomeMoments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, day string
		at        TimeOfDay
		want, why string
	}{
		{"Asia/Kathmandu", "2026-03-02", "09:00", "2026-03-02T03:15:00Z", "+5:45"},
		{"Asia/Tehran", "2022-07-01", "09:00", "2022-07-01T04:30:00Z", "the last summer time, +4:30"},
		{"Asia/Tehran", "2026-07-01", "09:00", "2026-07-01T05:30:00Z", "none any more, +3:30"},
		{"Asia/Kolkata", "2026-07-01", "09:00", "2026-07-01T03:30:00Z", "+5:30"},
		{"Africa/Cairo", "2026-04-24", "00:00", "2026-04-23T22:00:00Z", "midnight is skipped"},
		{"Africa/Cairo", "2026-04-24", "00:30", "2026-04-23T22:00:00Z", "skipped, too"},
		{"Africa/Cairo", "2026-04-24", "01:00", "2026-04-23T22:00:00Z", "the first that there is"},
		{"Africa/Cairo", "2026-04-24", "01:30", "2026-04-23T22:30:00Z", ""},
		{"Africa/Cairo", "2026-10-29", "23:30", "2026-10-29T20:30:00Z", "twice: the first"},
		{"Africa/Cairo", "2026-10-29", "24:00", "2026-10-29T22:00:00Z", "after both"},
		{"Europe/Moscow", "2011-03-27", "02:30", "2011-03-26T23:00:00Z", "skipped, for summer time all year"},
		{"Europe/Moscow", "2014-10-26", "01:30", "2014-10-25T21:30:00Z", "twice, as winter time came for good"},
		{"Europe/Moscow", "2026-07-01", "09:00", "2026-07-01T06:00:00Z", ""},
		{"America/Asuncion", "2024-10-06", "00:30", "2024-10-06T04:00:00Z", "skipped"},
		{"America/Asuncion", "2025-07-01", "09:00", "2025-07-01T12:00:00Z", "summer time for good, by the law of October 2024"},
		{"Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30:00Z", "half an hour is skipped"},
		{"Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45:00Z", "half an hour twice"},
		{"Australia/Lord_Howe", "2026-04-05", "02:00", "2026-04-04T15:30:00Z", "after both"},
		{"Pacific/Apia", "2011-12-29", "12:00", "2011-12-29T22:00:00Z", "east of the date line"},
		{"Pacific/Apia", "2011-12-30", "09:00", "2011-12-30T10:00:00Z", "there was no such day"},
		{"Pacific/Apia", "2011-12-31", "00:00", "2011-12-30T10:00:00Z", "west of it"},
		{"Africa/Casablanca", "2026-02-15", "02:30", "2026-02-15T01:30:00Z", "twice: back for Ramadan"},
		{"Africa/Casablanca", "2026-03-22", "02:30", "2026-03-22T02:00:00Z", "skipped after Ramadan"},
		{"America/Santiago", "2026-09-06", "00:30", "2026-09-06T04:00:00Z", "midnight is skipped"},
		{"America/Havana", "2026-11-01", "00:30", "2026-11-01T04:30:00Z", "twice after midnight"},
		{"Asia/Beirut", "2026-03-29", "00:00", "2026-03-28T22:00:00Z", "midnight is skipped"},
		{"Pacific/Kiritimati", "2026-03-02", "09:00", "2026-03-01T19:00:00Z", "+14"},
		{"Etc/GMT+12", "2026-03-02", "09:00", "2026-03-02T21:00:00Z", "-12"},
	} {
		loc := zoneNamed(c.zone)
		if loc == nil {
			t.Errorf("%s is not known", c.zone)
			continue
		}
		if got := localMoment(day(t, c.day), c.at.minutes(), loc).Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s %s (%s): %s, not %s", c.zone, c.day, c.at, c.why, got, c.want)
		}
	}
}

var someZones = []string{"Asia/Kathmandu", "Asia/Tehran", "Africa/Cairo", "Europe/Moscow", "America/Asuncion", "Australia/Lord_Howe", "Pacific/Apia",
	"Africa/Casablanca", "America/Santiago", "America/Havana", "Asia/Beirut", "Europe/Oslo", "America/St_Johns", "UTC", "Antarctica/Troll"}

// A later time on the clock is never an earlier moment, and the clock shows
// at the moment what was asked for, or, after a skip, something later.
func TestLocalMomentsAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		loc := zoneNamed(rapid.SampledFrom(someZones).Draw(t, "zone"))
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 40*365).Draw(t, "day"))
		early := rapid.IntRange(0, 24*60).Draw(t, "early")
		late := rapid.IntRange(early, 2*24*60).Draw(t, "late")
		a, b := localMoment(day, early, loc), localMoment(day, late, loc)
		if b.Before(a) {
			t.Fatalf("%s %v: %d minutes is %s, %d is %s", loc, day, early, a, late, b)
		}
		y, month, d := a.In(loc).Date()
		h, minute, _ := a.In(loc).Clock()
		shown, asked := time.Date(y, month, d, h, minute, 0, 0, time.UTC), day.Add(time.Duration(early)*time.Minute)
		if shown.Before(asked) {
			t.Fatalf("%s: the clock shows %s at the moment for %s", loc, shown, asked)
		}
		if shown.After(asked) {
			if offsetAt(a.Add(-time.Second), loc) == offsetAt(a, loc) {
				t.Fatalf("%s: nothing was skipped before %s", loc, a)
			}
		}
	})
}

func offsetAt(t time.Time, loc *time.Location) int {
	_, offset := t.In(loc).Zone()
	return offset
}

// zoneOfRule makes a time zone of a rule of POSIX, as a file of the database
// of time zones would have it.
func zoneOfRule(t testing.TB, name, rule string) *time.Location {
	t.Helper()
	block := func() []byte {
		b := append([]byte("TZif2"), make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, 0, 1, 4} { // one type of local time, its name of 4 bytes
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return append(b, 0, 0, 0, 0, 0, 0, 'L', 'M', 'T', 0)
	}
	loc, err := time.LoadLocationFromTZData(name, []byte(string(block())+string(block())+"\n"+rule+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// A meeting keeps its moment when the rules of a zone change after it was
// agreed; the clocks that were agreed tell that they will show another time.
func TestAMeetingBeforeAChangeOfRules(t *testing.T) {
	t.Parallel()
	summer, none := zoneOfRule(t, "Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24"), zoneOfRule(t, "Africa/Cairo", "EET-2")
	for _, c := range []struct {
		at       string
		old, new *time.Location
		shown    string // when it was agreed
		moved    time.Duration
	}{
		{"2026-07-01T07:00:00Z", summer, none, "10:00", -time.Hour},
		{"2026-07-01T07:00:00Z", none, summer, "09:00", time.Hour},
		{"2026-12-01T07:00:00Z", summer, none, "09:00", 0}, // winter time was to hold anyway
		{"2026-07-01T07:00:00Z", summer, summer, "10:00", 0},
	} {
		at := instant(t, c.at)
		agreed := agreedClockIn(at, "Africa/Cairo", c.old)
		if got := at.In(c.old).Format("15:04"); got != c.shown {
			t.Errorf("%s was agreed for %s, not %s", c.at, got, c.shown)
		}
		if got := agreed.movedIn(at, c.new); got != c.moved {
			t.Errorf("%s: the clock has moved by %s, not %s", c.at, got, c.moved)
		}
	}
	// Hours are always those of the present rules: 9:00 is 9:00.
	week := timesheet{}
	for d := range week.week {
		week.week[d] = []HourSpan{{"09:00", "17:00"}}
	}
	for zone, want := range map[*time.Location]string{summer: "2026-07-01T06:00:00Z", none: "2026-07-01T07:00:00Z"} {
		week.zone = zone
		if got := hoursOn(&week, day(t, "2026-07-01"))[0].from.Format(time.RFC3339); got != want {
			t.Errorf("the day begins at %s, not %s", got, want)
		}
	}
	if moved := (AgreedClock{}).Moved(time.Now()); moved != 0 {
		t.Error("nothing was agreed, and it has moved by", moved)
	}
	if got := agreedClock(instant(t, "2026-07-01T07:00:00Z"), "Asia/Kathmandu"); got != (AgreedClock{TimeZone: "Asia/Kathmandu", Offset: 5*3600 + 45*60}) || got.Moved(instant(t, "2026-07-01T07:00:00Z")) != 0 {
		t.Error(got)
	}
	// A zone that is gone counts as UTC.
	if got := (AgreedClock{TimeZone: "Moon/Base", Offset: 3600}).Moved(time.Now()); got != -time.Hour {
		t.Error(got)
	}
}

// hoursOn are the hours of one day of a timesheet.
func hoursOn(s *timesheet, on time.Time) []period {
	var out []period
	noon := localMoment(on, 12*60, s.zone)
	s.days(noon, noon.Add(time.Second), func(_ period, open []period) { out = append(out, open...) })
	return out
}

// Every country has a time zone that exists.
func TestEveryCountryHasATimeZone(t *testing.T) {
	t.Parallel()
	for c := range regionOf() {
		if zone := c.TimeZone(); zoneNamed(zone) == nil && c != "BV" && c != "HM" { // where nobody lives
			t.Errorf("%s: %q", c, zone)
		}
	}
	for c := range weekends {
		if !isCountry(c) {
			t.Error(c)
		}
	}
	for c, want := range map[Country]string{"NP": "Asia/Kathmandu", "US": "America/New_York", "AR": "America/Argentina/Buenos_Aires", "XX": ""} {
		if got := c.TimeZone(); got != want {
			t.Errorf("%s: %s", c, got)
		}
	}
	if zoneNamed("Local") != nil || zoneNamed("") != nil || zoneNamed("../../etc/passwd") != nil {
		t.Error("what is no zone was found")
	}
}
