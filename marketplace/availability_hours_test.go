package marketplace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// sheet is a timesheet in which every day has these hours: "01:00-04:00 22:00-24:00".
func sheet(zone, hours string) timesheet {
	s := timesheet{zone: zoneNamed(zone)}
	for d := range s.week {
		s.week[d] = spans(hours)
	}
	return s
}

func spans(hours string) []HourSpan {
	out := []HourSpan{}
	for h := range strings.FieldsSeq(hours) {
		from, until, _ := strings.Cut(h, "-")
		out = append(out, HourSpan{TimeOfDay(from), TimeOfDay(until)})
	}
	return out
}

// Hours on the days on which clocks change.
func TestHoursAcrossChangesOfClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, day, hours, want, why string }{
		{"Europe/Oslo", "2026-03-28", "01:00-04:00", "00:00+3h0m0s", "the day before"},
		{"Europe/Oslo", "2026-03-29", "01:00-04:00", "00:00+2h0m0s", "an hour is skipped"},
		{"Europe/Oslo", "2026-03-29", "02:10-02:50", "", "all of it is skipped"},
		{"Europe/Oslo", "2026-03-29", "02:30-03:30", "01:00+30m0s", "begins with the skip"},
		{"Europe/Oslo", "2026-10-25", "01:00-04:00", "23:00+4h0m0s", "an hour comes twice"},
		{"Europe/Oslo", "2026-10-25", "02:10-02:50", "00:10+40m0s", "comes twice, counts once"},
		{"Europe/Oslo", "2026-10-25", "00:00-24:00", "22:00+25h0m0s", "a day of 25 hours"},
		{"Africa/Cairo", "2026-04-24", "00:00-02:00", "22:00+1h0m0s", "the skip is at midnight"},
		{"Africa/Cairo", "2026-10-29", "22:00-24:00", "19:00+3h0m0s", "the hour before midnight comes twice"},
		{"America/Santiago", "2026-09-06", "00:00-24:00", "04:00+23h0m0s", "a day of 23 hours"},
		{"Australia/Lord_Howe", "2026-04-05", "01:00-02:00", "14:00+1h30m0s", "half an hour comes twice"},
		{"Australia/Lord_Howe", "2026-10-04", "01:00-03:00", "14:30+1h30m0s", "half an hour is skipped"},
		{"Pacific/Apia", "2011-12-31", "09:00-17:00", "19:00+8h0m0s", "the day after the one that was not"},
		{"Asia/Kathmandu", "2026-03-02", "09:00-12:30 13:30-17:00", "03:15+3h30m0s 07:45+3h30m0s", ""},
	} {
		s := sheet(c.zone, c.hours)
		var got []string
		for _, p := range hoursOn(&s, day(t, c.day)) {
			got = append(got, fmt.Sprintf("%s+%s", p.from.Format("15:04"), p.until.Sub(p.from)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %s %s (%s): %v, not %s", c.zone, c.day, c.hours, c.why, got, c.want)
		}
	}
}

// Every day is handed over once, in order and without gaps, also where clocks
// change at midnight and a whole day is left out.
func TestDaysFollowOneAnother(t *testing.T) {
	t.Parallel()
	for _, zone := range someZones {
		s := sheet(zone, "00:00-24:00")
		from, until := day(t, "2011-12-01"), day(t, "2012-12-31")
		var last period
		s.days(from, until, func(day period, open []period) {
			if !last.until.IsZero() && !day.from.Equal(last.until) {
				t.Errorf("%s: %s begins after %s", zone, day, last)
			}
			if len(open) != 1 || open[0] != day {
				t.Errorf("%s: the hours of %s are %v", zone, day, open)
			}
			if last.until.IsZero() && day.from.After(from) {
				t.Errorf("%s: begins too late, at %s", zone, day)
			}
			last = day
		})
		if last.until.Before(until) {
			t.Errorf("%s: ends too early, at %s", zone, last)
		}
	}
}

func (p period) String() string {
	return fmt.Sprintf("%s to %s", p.from.Format(time.RFC3339), p.until.Format(time.RFC3339))
}

// Exceptions take the place of the week's hours.
func TestExceptionsOfHours(t *testing.T) {
	t.Parallel()
	a := &Availability{Of: "city_oslo", TimeZone: "Europe/Oslo", Hours: []DayHours{{"MONDAY", spans("09:00-17:00")}},
		Exceptions: []HoursException{{"2026-03-02", "2026-03-08", nil}, {"2026-03-10", "2026-03-10", spans("10:00-11:00")}}}
	s := timesheetOf(a, nil)
	for on, want := range map[string]int{"2026-02-23": 8, "2026-03-02": 0, "2026-03-09": 8, "2026-03-10": 1, "2026-03-11": 0} {
		hours := 0
		for _, p := range hoursOn(&s, day(t, on)) {
			hours += int(p.until.Sub(p.from) / time.Hour)
		}
		if hours != want {
			t.Errorf("%s has %d hours, not %d", on, hours, want)
		}
	}
}

// What cannot be said of hours, and how it is told.
func TestWhatHoursMayBe(t *testing.T) {
	t.Parallel()
	many := func(n int) []HoursException {
		var list []HoursException
		for i := range n {
			d := Date(day(t, "2026-01-01").AddDate(0, 0, i).Format(time.DateOnly))
			list = append(list, HoursException{d, d, nil})
		}
		return list
	}
	for _, c := range []struct {
		a    Availability
		want string
	}{
		{Availability{}, ""},
		{Availability{Hours: []DayHours{}}, ""},
		{Availability{TimeZone: "Asia/Kathmandu", Hours: []DayHours{{"MONDAY", spans("00:00-09:00 09:00-24:00")}}, Exceptions: many(100)}, ""},
		{Availability{TimeZone: "Local"}, "timeZone INVALID"},
		{Availability{TimeZone: "CEST"}, "timeZone INVALID"},
		{Availability{Hours: []DayHours{{"MON", nil}}}, "hours[0].day INVALID"},
		{Availability{Hours: []DayHours{{"MONDAY", nil}, {"MONDAY", nil}}}, "hours[1].day DUPLICATE"},
		{Availability{Hours: []DayHours{{"MONDAY", spans("22:00-02:00")}}}, "hours[0].spans[0].until OUT_OF_RANGE"},
		{Availability{Hours: []DayHours{{"MONDAY", spans("9:00-17:00")}}}, "hours[0].spans[0].from INVALID"},
		{Availability{Hours: []DayHours{{"MONDAY", spans("24:00-24:00")}}}, "hours[0].spans[0].from INVALID"},
		{Availability{Hours: []DayHours{{"MONDAY", spans("09:00-24:30")}}}, "hours[0].spans[0].until INVALID"},
		{Availability{Hours: []DayHours{{"MONDAY", spans("09:00-12:00 11:00-13:00")}}}, "hours[0].spans[1].from OUT_OF_RANGE"},
		{Availability{Hours: []DayHours{{"MONDAY", spans(strings.Repeat("09:00-10:00 ", 7))}}}, "hours[0].spans TOO_MANY"},
		{Availability{Exceptions: many(101)}, "exceptions TOO_MANY"},
		{Availability{Exceptions: []HoursException{{"2026-02-30", "2026-03-01", nil}}}, "exceptions[0].first INVALID"},
		{Availability{Exceptions: []HoursException{{"2026-03-02", "2026-03-01", nil}}}, "exceptions[0].last OUT_OF_RANGE"},
		{Availability{Exceptions: []HoursException{{"2026-03-02", "2027-03-03", nil}}}, "exceptions[0].last OUT_OF_RANGE"},
		{Availability{Exceptions: []HoursException{{"2026-03-01", "2026-03-05", nil}, {"2026-03-05", "2026-03-06", nil}}}, "exceptions[1].first DUPLICATE"},
		{Availability{NoticeHours: new(-1)}, "noticeHours OUT_OF_RANGE"},
		{Availability{BufferBefore: 241}, "bufferBefore OUT_OF_RANGE"},
		{Availability{MaxMeetings: new(0)}, "maxMeetings OUT_OF_RANGE"},
	} {
		var p problems
		c.a.Of = "city_oslo"
		c.a.validate(&p)
		var got []string
		for _, e := range p.list {
			got = append(got, e.Path+" "+e.Code)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%v instead of %q", got, c.want)
		}
	}
}

// The days of rest are those of the country.
func TestUsualHours(t *testing.T) {
	t.Parallel()
	for country, want := range map[Country]string{
		"NO": "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY", "EG": "MONDAY TUESDAY WEDNESDAY THURSDAY SUNDAY", "AE": "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY",
		"IR": "MONDAY TUESDAY WEDNESDAY THURSDAY SATURDAY SUNDAY", "AF": "MONDAY TUESDAY WEDNESDAY SATURDAY SUNDAY",
	} {
		var days []string
		for _, d := range usualHours(country) {
			days = append(days, string(d.Day))
			if !slices.Equal(d.Spans, spans("09:00-17:00")) {
				t.Error(d)
			}
		}
		if strings.Join(days, " ") != want {
			t.Errorf("%s: %v", country, days)
		}
	}
}
