package marketplace

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Availability says when a member, or a person, can meet: weekly hours in a
// time zone of its own, and days on which other hours hold. Nobody is told
// when a person of another member is busy; what comes of it are the free times
// that both sides have in common.
type Availability struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Of       ID     `json:"of"`                 // a member or a user
	TimeZone string `json:"timeZone,omitempty"` // IANA name; empty: that of whom it is of
	// Hours are those of a week; a day that is not named has none. Nil: of a
	// member the usual ones, of a person those of the member they meet for.
	Hours []DayHours `json:"hours"`
	// Exceptions are days with other hours than those of the week, or with none.
	Exceptions []HoursException `json:"exceptions"`
	// NoticeHours is how long before its beginning a meeting is agreed at the
	// latest; nil: of a member usualNotice, of a person that of the member they
	// meet for.
	NoticeHours *int `json:"noticeHours,omitempty"`
	// BufferBefore and BufferAfter are minutes that a person keeps free
	// before and after each meeting. They may overlap with one another.
	BufferBefore int  `json:"bufferBefore,omitempty"`
	BufferAfter  int  `json:"bufferAfter,omitempty"`
	MaxMeetings  *int `json:"maxMeetings,omitempty"` // of a person on one day; nil: any number

	assumed bool // the time zone is a guess; see Complete
}

// KindAvailability is the kind of Availability. Its ids follow from whom they
// are of.
var KindAvailability = registerRecord("availability", func() entity { return new(Availability) })

func availabilityID(of ID) ID {
	return ID(string(KindAvailability) + "_" + strings.ReplaceAll(string(of), "_", "-"))
}

// A Weekday is a day of the week.
type Weekday string

// Weekdays are all of them, in the order of time.Weekday.
var Weekdays = []Weekday{"SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"}

// DayHours are the hours of one day of the week.
type DayHours struct {
	Day   Weekday    `json:"day"`
	Spans []HourSpan `json:"spans"`
}

// An HourSpan is a part of a day on the clocks of a zone. It does not go over
// midnight: hours that do are one span until 24:00 and one from 00:00 of the
// next day. A time that clocks skip is moved forward to the skip, and one that
// they show twice counts once; see localMoment.
type HourSpan struct {
	From  TimeOfDay `json:"from"`
	Until TimeOfDay `json:"until"` // may be 24:00
}

// A TimeOfDay is a time on a clock of 24 hours, "09:30".
type TimeOfDay string

var timeOfDayPattern = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)

// minutes since midnight of a time that is well formed.
func (t TimeOfDay) minutes() int {
	h, _ := strconv.Atoi(string(t[:2]))
	m, _ := strconv.Atoi(string(t[3:]))
	return 60*h + m
}

// An HoursException is one day, or several in a row, with hours of their own.
type HoursException struct {
	First Date       `json:"first"`
	Last  Date       `json:"last"`  // not before First
	Spans []HourSpan `json:"spans"` // of each of the days; none: days off
}

// Limits of an availability.
const (
	maxDaySpans     = 6
	maxExceptions   = 100
	maxExceptionDay = 366 // days of one exception
	maxNoticeHours  = 30 * 24
	maxBuffer       = 240 // minutes
	maxMeetingsADay = 50
)

// What holds for a member that has not said otherwise: 9 to 17 on the days
// that are none of rest in its country, agreed a day before.
const (
	usualFrom   = TimeOfDay("09:00")
	usualUntil  = TimeOfDay("17:00")
	usualNotice = 24 // hours
)

func (*Availability) kind() Kind      { return KindAvailability }
func (a *Availability) parties() []ID { return []ID{a.Of} }
func (a *Availability) subject() ID   { return a.Of }

// The hours of a member are seen by all members, those of a person by the
// person.
func (a *Availability) audience() []Group {
	if isMember(a.Of) {
		return []Group{Members}
	}
	return []Group{Group(a.Of)}
}

// The hours of a person are also seen by those who see the person: their own
// teams and the secretariat.
func (a *Availability) seenWith(entity) bool { return a.Of.Kind() == KindUser }

func (a *Availability) validate(p *problems) {
	if !isMember(a.Of) && a.Of.Kind() != KindUser {
		p.add("of", "INVALID", "must be the id of a member or a user")
	}
	checkTimeZone(p, "timeZone", a.TimeZone)
	if p.max("hours", len(a.Hours), len(Weekdays)) {
		for i, d := range a.Hours {
			at := index("hours", i)
			checkOne(p, at+".day", d.Day, Weekdays)
			if slices.ContainsFunc(a.Hours[:i], func(o DayHours) bool { return o.Day == d.Day }) {
				p.add(at+".day", "DUPLICATE", "each day at most once")
			}
			checkSpans(p, at+".spans", d.Spans)
		}
	}
	if p.max("exceptions", len(a.Exceptions), maxExceptions) {
		for i, e := range a.Exceptions {
			e.check(p, index("exceptions", i), a.Exceptions[:i])
		}
	}
	checkRange := func(path string, n *int, low, high int) {
		if n != nil && (*n < low || *n > high) {
			p.addf(path, "OUT_OF_RANGE", "must be %d to %d", low, high)
		}
	}
	checkRange("noticeHours", a.NoticeHours, 0, maxNoticeHours)
	checkRange("bufferBefore", &a.BufferBefore, 0, maxBuffer)
	checkRange("bufferAfter", &a.BufferAfter, 0, maxBuffer)
	checkRange("maxMeetings", a.MaxMeetings, 1, maxMeetingsADay)
}

func (e HoursException) check(p *problems, path string, before []HoursException) {
	e.First.check(p, path+".first")
	e.Last.check(p, path+".last")
	if p.has(path+".first") || p.has(path+".last") {
		return
	}
	first, last := e.days()
	switch days := int(last.Sub(first)/(24*time.Hour)) + 1; {
	case days < 1:
		p.add(path+".last", "OUT_OF_RANGE", "must not be before the first day")
	case days > maxExceptionDay:
		p.addf(path+".last", "OUT_OF_RANGE", "must be at most %d days", maxExceptionDay)
	case slices.ContainsFunc(before, func(o HoursException) bool { return e.First <= o.Last && o.First <= e.Last }):
		p.add(path+".first", "DUPLICATE", "no day twice")
	}
	checkSpans(p, path+".spans", e.Spans)
}

// days are the first and the last day as midnights of UTC.
func (e HoursException) days() (first, last time.Time) {
	first, _ = time.Parse(time.DateOnly, string(e.First))
	last, _ = time.Parse(time.DateOnly, string(e.Last))
	return first, last
}

// checkSpans reports spans that are no times, that end before they begin, or
// that come before an earlier one has ended.
func checkSpans(p *problems, path string, spans []HourSpan) {
	if !p.max(path, len(spans), maxDaySpans) {
		return
	}
	ended := 0
	for i, s := range spans {
		at := index(path, i)
		if !timeOfDayPattern.MatchString(string(s.From)) || s.From == "24:00" {
			p.add(at+".from", "INVALID", `must be a time such as "09:00"`)
			return
		}
		if !timeOfDayPattern.MatchString(string(s.Until)) {
			p.add(at+".until", "INVALID", `must be a time such as "17:30", at most "24:00"`)
			return
		}
		if s.Until.minutes() <= s.From.minutes() {
			p.add(at+".until", "OUT_OF_RANGE", "must be after the beginning: hours over midnight are one span until 24:00, and one from 00:00 of the next day")
			return
		}
		if s.From.minutes() < ended {
			p.add(at+".from", "OUT_OF_RANGE", "must not be before the end of the span before it")
		}
		ended = s.Until.minutes()
	}
}

var availabilityContent = []string{"timeZone", "hours", "exceptions", "noticeHours", "bufferBefore", "bufferAfter", "maxMeetings"}

// SetAvailabilityInput is what SetAvailability takes.
type SetAvailabilityInput struct {
	Of      *ID  // a member or a user; nil: the viewer
	Version *int // that was read; nil: any
	Content Patch
}

// SetAvailability says when a member, or the viewer, can meet.
func (m *Market) SetAvailability(ctx context.Context, in SetAvailabilityInput) (*Availability, error) {
	of, err := userOf(ctx, MaySetAvailability)
	if in.Of != nil {
		of = *in.Of
		if err = nil; !isMember(of) && of.Kind() != KindUser {
			return nil, invalid("of", "INVALID", "must be the id of a member or a user")
		}
	}
	if err != nil {
		return nil, err
	}
	// Whoever may not see the user does not learn that there is one.
	if _, err := get[entity](ctx, m, of); err != nil {
		return nil, err
	}
	a, err := updateOrCreate(ctx, m, MaySetAvailability, availabilityID(of), versionOf(in.Version), func() *Availability { return &Availability{Of: of} },
		func(a *Availability) error {
			a.mark("EDIT", fieldsOf(in.Content))
			return applyPatch(in.Content, a, availabilityContent)
		})
	if err != nil {
		return nil, err
	}
	return m.complete(ctx, a)
}

// AvailabilityOf is when a member or a user can meet, with what holds where
// they have not said anything; ErrNotFound where the viewer may not see that.
func (m *Market) AvailabilityOf(ctx context.Context, of ID) (*Availability, error) {
	owner, err := get[entity](ctx, m, of)
	if err != nil {
		return nil, err
	}
	r := readsOf(ctx)
	ids := r.siblings(of)
	others := make([]ID, len(ids))
	for i, id := range ids {
		others[i] = availabilityID(id)
	}
	r.expect(others)
	a, err := get[*Availability](ctx, m, availabilityID(of))
	if errors.Is(err, ErrNotFound) {
		a = &Availability{Meta: Meta{ID: availabilityID(of), CreatedAt: owner.meta().CreatedAt}, Of: of}
		if isMember(of) && !visible(ctx, a) {
			return nil, ErrNotFound
		}
	} else if err != nil {
		return nil, err
	}
	return m.complete(ctx, a)
}

// ViewerAvailability is when the viewer can meet; nil for visitors.
func (m *Market) ViewerAvailability(ctx context.Context) (*Availability, error) {
	u, err := m.ViewerUser(ctx)
	if u == nil || err != nil {
		return nil, err
	}
	return m.AvailabilityOf(ctx, u.ID)
}

// complete returns a copy of an availability with what holds where nothing was
// said.
func (m *Market) complete(ctx context.Context, a *Availability) (*Availability, error) {
	owner, err := get[entity](ctx, m, a.Of)
	if err != nil {
		return nil, err
	}
	full := *a
	full.completeFor(owner)
	return &full, nil
}

func (a *Availability) completeFor(owner entity) {
	zone, country := "", Country("")
	switch o := owner.(type) {
	case *User:
		zone = o.TimeZone
	case *City:
		zone, country = o.TimeZone, o.Country
	case *Company:
		country = o.Country
	case *Institution:
		country = o.Country
	}
	if a.TimeZone == "" {
		a.TimeZone = zone
	}
	if a.Exceptions == nil {
		a.Exceptions = []HoursException{}
	}
	if country == "" {
		return // a person
	}
	if a.NoticeHours == nil {
		a.NoticeHours = new(usualNotice)
	}
	if a.TimeZone == "" {
		a.TimeZone, a.assumed = country.TimeZone(), true
	}
	if a.Hours == nil {
		a.Hours = usualHours(country)
	}
}

// usualHours are those of a country in which nobody has said otherwise, Monday
// first.
func usualHours(c Country) []DayHours {
	var out []DayHours
	for i := range Weekdays {
		day := time.Weekday((i + 1) % len(Weekdays))
		if !slices.Contains(c.weekend(), day) {
			out = append(out, DayHours{Day: Weekdays[day], Spans: []HourSpan{{usualFrom, usualUntil}}})
		}
	}
	return out
}

// IsZoneAssumed says whether the time zone is a guess, that of the country's
// capital, since nobody has named one.
func (a *Availability) IsZoneAssumed() bool { return a.assumed }

// CanEdit says whether the viewer may change it.
func (a *Availability) CanEdit(ctx context.Context) bool { return MaySetAvailability.allows(ctx, a) }

// A period is the time from a moment until just before another one.
type period struct{ from, until time.Time }

// A timesheet is an availability as common times are reckoned with it.
type timesheet struct {
	zone       *time.Location
	week       [7][]HourSpan // by time.Weekday
	anytime    bool          // on days without an exception: no hours were said
	exceptions []HoursException
	notice     time.Duration
	before     time.Duration
	after      time.Duration
	daily      int // meetings of one day; 0: any number
}

// timesheetOf makes a timesheet of a completed availability. A zone that is
// not known is that of whom its person meets for.
func timesheetOf(a *Availability, zone *time.Location) timesheet {
	s := timesheet{zone: zone, anytime: a.Hours == nil, exceptions: a.Exceptions,
		before: time.Duration(a.BufferBefore) * time.Minute, after: time.Duration(a.BufferAfter) * time.Minute}
	if loc := zoneNamed(a.TimeZone); loc != nil {
		s.zone = loc
	}
	if s.zone == nil {
		s.zone = time.UTC
	}
	for _, d := range a.Hours {
		s.week[slices.Index(Weekdays, d.Day)] = d.Spans
	}
	if a.NoticeHours != nil {
		s.notice = time.Duration(*a.NoticeHours) * time.Hour
	}
	if a.MaxMeetings != nil {
		s.daily = *a.MaxMeetings
	}
	return s
}

var wholeDay = []HourSpan{{"00:00", "24:00"}}

// on are the hours of a day.
func (s *timesheet) on(day time.Time) []HourSpan {
	date := Date(day.Format(time.DateOnly))
	for _, e := range s.exceptions {
		if e.First <= date && date <= e.Last {
			return e.Spans
		}
	}
	if s.anytime {
		return wholeDay
	}
	return s.week[day.Weekday()]
}

// days hands over the days that lie, wholly or in part, between two moments:
// each with its midnights and its hours as moments, in the order of time.
func (s *timesheet) days(from, until time.Time, each func(day period, open []period)) {
	day := localDay(from, s.zone).AddDate(0, 0, -1) // a clock that is put back may show a day twice
	for {
		next := day.AddDate(0, 0, 1)
		bounds := period{localMoment(day, 0, s.zone), localMoment(next, 0, s.zone)}
		if !bounds.from.Before(until) {
			return
		}
		if bounds.until.After(from) && bounds.until.After(bounds.from) {
			var open []period
			for _, span := range s.on(day) {
				p := period{localMoment(day, span.From.minutes(), s.zone), localMoment(day, span.Until.minutes(), s.zone)}
				if p.until.After(p.from) {
					open = append(open, p)
				}
			}
			each(bounds, open)
		}
		day = next
	}
}
