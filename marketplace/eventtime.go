package marketplace

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A WallTime is what a clock on the wall and a calendar beside it show, to the
// minute: "2027-03-02T09:30". Which moment that is depends on the time zone.
type WallTime string

const wallFormat = "2006-01-02T15:04"

// parse is the time as if the clock were that of UTC.
func (w WallTime) parse() (time.Time, bool) {
	t, err := time.Parse(wallFormat, string(w))
	return t, err == nil && t.Year() >= 2000
}

// at is the moment at which a clock in the zone shows it first, or the moment
// of the skip where the clock skips it. The zone is UTC where it is nil.
func (w WallTime) at(loc *time.Location) time.Time {
	t, _ := w.parse()
	return wallMoment(t, loc)
}

func wallMoment(t time.Time, loc *time.Location) time.Time {
	if loc == nil {
		loc = time.UTC
	}
	return localMoment(t, t.Hour()*60+t.Minute(), loc)
}

// later is the same time of the day so many days later.
func (w WallTime) later(days int) WallTime {
	t, ok := w.parse()
	if !ok {
		return w
	}
	return WallTime(t.AddDate(0, 0, days).Format(wallFormat))
}

func (w WallTime) check(p *problems, path string) bool {
	_, ok := w.parse()
	if !ok {
		p.add(path, "INVALID", "must be a time such as 2027-03-02T09:30, without a zone")
	}
	return ok
}

// A WallSpan is the time from one clock time until another, of the same zone.
type WallSpan struct {
	From  WallTime `json:"from"`
	Until WallTime `json:"until"`
}

func checkWallSpans(p *problems, path string, spans []WallSpan) {
	if !p.max(path, len(spans), maxDelegateSpans) {
		return
	}
	for i, s := range spans {
		at := index(path, i)
		if from, until := s.From.check(p, at+".from"), s.Until.check(p, at+".until"); from && until && s.Until <= s.From {
			p.add(at+".until", "OUT_OF_RANGE", "must be after from")
		}
	}
}

// clockMinutes are the minutes after midnight of "09:30"; "24:00" is the next midnight.
func clockMinutes(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	h, err1 := strconv.ParseUint(s[:2], 10, 8)
	m, err2 := strconv.ParseUint(s[3:], 10, 8)
	n := int(h)*60 + int(m)
	return n, err1 == nil && err2 == nil && m < 60 && n <= 24*60
}

// span is from when until when there are slots on a day.
func (d EventDay) span(loc *time.Location) (from, until time.Time, ok bool) {
	day, err := time.Parse(time.DateOnly, string(d.Date))
	start, ok1 := clockMinutes(d.Start)
	end, ok2 := clockMinutes(d.End)
	if err != nil || !ok1 || !ok2 || end <= start || loc == nil {
		return from, until, false
	}
	return localMoment(day, start, loc), localMoment(day, end, loc), true
}

// checkTimes reports times that cannot be.
func (e *Event) checkTimes(p *problems) {
	if e.TimeZone == "" {
		p.add("timeZone", "REQUIRED", "must be given")
	}
	checkTimeZone(p, "timeZone", e.TimeZone)
	if len(e.Days) == 0 {
		p.add("days", "REQUIRED", "must name at least one day")
	}
	if p.max("days", len(e.Days), maxEventDays) {
		loc := zoneNamed(e.TimeZone)
		var last time.Time
		for i, d := range e.Days {
			at := index("days", i)
			d.Date.check(p, at+".date")
			start, ok1 := clockMinutes(d.Start)
			end, ok2 := clockMinutes(d.End)
			if !ok1 {
				p.add(at+".start", "INVALID", "must be a time such as 09:00")
			}
			if ok1 && start%blockMinutes != 0 {
				p.addf(at+".start", "INVALID", "must be a multiple of %d minutes", blockMinutes)
			}
			if !ok2 {
				p.add(at+".end", "INVALID", "must be a time such as 17:00; 24:00 is the next midnight")
			}
			if ok1 && ok2 && end <= start {
				p.add(at+".end", "OUT_OF_RANGE", "must be after start")
			}
			if from, until, ok := d.span(loc); ok {
				if from.Before(last) {
					p.add(at+".start", "OUT_OF_RANGE", "must not be before the end of the day that stands before it")
				}
				last = until
			}
		}
	}
	if n := len(e.Slots); n > maxSlots {
		p.addf("days", "TOO_MANY", "at most %d slots, these are more: make them longer, or the days shorter", maxSlots)
	} else if n == 0 && p.err() == nil {
		p.add("days", "TOO_SHORT", "must be long enough for a slot")
	}
	for i, s := range e.Sessions[:min(len(e.Sessions), maxEventSessions)] {
		at := index("sessions", i)
		if from, until := s.Start.check(p, at+".start"), s.End.check(p, at+".end"); from && until && !s.EndsAt.After(s.StartsAt) {
			p.add(at+".end", "OUT_OF_RANGE", "must be after start")
		}
	}
	e.checkDates(p)
}

// checkDates reports dates of phases that cannot be, or are out of order.
func (e *Event) checkDates(p *problems) {
	if !p.max("dates", len(e.Dates), len(EventPhases)-1) {
		return
	}
	var last time.Time
	order := 0
	for i, d := range e.Dates {
		at := index("dates", i)
		k := slices.Index(EventPhases, d.Phase)
		switch {
		case k < 1:
			p.add(at+".phase", "INVALID", fmt.Sprintf("must be one of %v", EventPhases[1:]))
		case k == order:
			p.add(at+".phase", "DUPLICATE", "each phase at most once")
		case k < order:
			p.add(at+".phase", "INVALID", "must come in the order of the phases")
		}
		order = max(order, k)
		if d.From != nil && d.From.check(p, at+".from") && d.FromAt != nil {
			if d.FromAt.Before(last) {
				p.add(at+".from", "OUT_OF_RANGE", "must not be before the phase that comes before it")
			}
			last = *d.FromAt
		}
		if d.Until == nil {
			continue
		}
		if d.Phase != EventRegistration && d.Phase != EventWishes {
			p.add(at+".until", "INVALID", "is for REGISTRATION and WISHES: other phases end when the next one begins")
		} else if d.Until.check(p, at+".until") && d.UntilAt != nil && d.FromAt != nil && !d.UntilAt.After(*d.FromAt) {
			p.add(at+".until", "OUT_OF_RANGE", "must be after from")
		}
	}
}

// plan derives what follows from the times of an event. It is called by every
// command that changes them.
func (e *Event) plan(now time.Time) {
	loc := zoneNamed(e.TimeZone)
	if loc == nil {
		loc = time.UTC // validate says so
	}
	moment := func(w *WallTime) *time.Time {
		if w == nil {
			return nil
		}
		return new(w.at(loc))
	}
	for i := range e.Dates {
		e.Dates[i].FromAt, e.Dates[i].UntilAt = moment(e.Dates[i].From), moment(e.Dates[i].Until)
	}
	for i := range e.Sessions {
		s := &e.Sessions[i]
		s.StartsAt, s.EndsAt = s.Start.at(loc), s.End.at(loc)
	}
	e.Slots = e.slots(loc)
	e.StartsAt, e.EndsAt = time.Time{}, time.Time{}
	for i, d := range e.Days {
		from, until, ok := d.span(loc)
		if !ok {
			continue
		}
		if i == 0 {
			e.StartsAt = from
		}
		e.EndsAt = until
	}
	e.DueAt = e.due(now)
}

// slots divides the days into slots. On a day on which the clock changes
// there are as many as there is time. More than maxSlots are one more.
func (e *Event) slots(loc *time.Location) []EventSlot {
	slots := []EventSlot{}
	length, pause := time.Duration(e.SlotMinutes)*time.Minute, time.Duration(e.PauseMinutes)*time.Minute
	if length <= 0 || pause < 0 {
		return slots
	}
	for i, d := range e.Days[:min(len(e.Days), maxEventDays)] {
		from, until, ok := d.span(loc)
		if !ok {
			continue
		}
		for t := from; !t.Add(length).After(until) && len(slots) <= maxSlots; t = t.Add(length + pause) {
			s := EventSlot{Day: i, StartsAt: t, EndsAt: t.Add(length)}
			s.IsBlocked = slices.ContainsFunc(e.Sessions, func(x EventSession) bool {
				return x.BlocksMeetings && x.StartsAt.Before(s.EndsAt) && s.StartsAt.Before(x.EndsAt)
			})
			slots = append(slots, s)
		}
	}
	return slots
}

// SlotAt is the number of the slot that begins at a moment; -1 where none does.
func (e *Event) SlotAt(start time.Time) int {
	return slices.IndexFunc(e.Slots, func(s EventSlot) bool { return s.StartsAt.Equal(start) })
}

// Free says of each delegate of a registration, by their numbers, in which
// slots they can sit in a meeting. In slots that are blocked nobody can, and
// whoever comes no more can in none.
func (e *Event) Free(r *Registration) [][]bool {
	all := make([][]bool, len(r.Delegates))
	for i := range r.Delegates {
		all[i] = r.Delegates[i].freeIn(e)
		if r.isGone(&r.Delegates[i]) {
			clear(all[i])
		}
		if since := r.awaySince(r.Delegates[i].Person()); since != nil {
			for k, s := range e.Slots {
				all[i][k] = all[i][k] && s.StartsAt.Before(*since)
			}
		}
	}
	return all
}

// Seats is in how many meetings at once a participant can sit, by slots: one
// for each delegate who is free, but for one in each session in which the
// member takes part at that time.
func (e *Event) Seats(r *Registration) []int {
	seats := make([]int, len(e.Slots))
	for _, free := range e.Free(r) {
		for i, is := range free {
			if is {
				seats[i]++
			}
		}
	}
	for i, needed := range e.sessionsOf(r.Member) {
		seats[i] = max(seats[i]-needed, 0)
	}
	return seats
}

// freeIn says in which slots of an event a delegate can sit in a meeting from
// its beginning to its end.
func (d *Delegate) freeIn(e *Event) []bool {
	zone := e.TimeZone
	if d.TimeZone != "" {
		zone = d.TimeZone
	}
	loc := zoneNamed(zone)
	free, busy := moments(d.Free, loc), moments(d.Busy, loc)
	out := make([]bool, len(e.Slots))
	for i, s := range e.Slots {
		within := func(x [2]time.Time) bool { return !x[0].After(s.StartsAt) && !x[1].Before(s.EndsAt) }
		touches := func(x [2]time.Time) bool { return x[0].Before(s.EndsAt) && s.StartsAt.Before(x[1]) }
		out[i] = !s.IsBlocked && (len(free) == 0 || slices.ContainsFunc(free, within)) && !slices.ContainsFunc(busy, touches)
	}
	return out
}

// moments are from when until when spans last, in order; those that overlap
// or touch are one.
func moments(spans []WallSpan, loc *time.Location) [][2]time.Time {
	all := make([][2]time.Time, len(spans))
	for i, s := range spans {
		all[i] = [2]time.Time{s.From.at(loc), s.Until.at(loc)}
	}
	slices.SortFunc(all, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && !s[0].After(out[n-1][1]) {
			if s[1].After(out[n-1][1]) {
				out[n-1][1] = s[1]
			}
			continue
		}
		out = append(out, s)
	}
	return out
}
