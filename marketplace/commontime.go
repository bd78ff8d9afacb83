package marketplace

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// A CommonTime is a time at which both sides of a meeting can meet, or, where
// there is none in their hours, one that is the least burden to them.
type CommonTime struct {
	At             time.Time
	Minutes        int
	IsOutsideHours bool // of one side or both
	Sides          []*CommonTimeSide
}

// A CommonTimeSide is what a common time is to one side.
type CommonTimeSide struct {
	Side           ID         // the member
	LocalTime      *LocalTime // what its clocks show when it begins
	IsZoneAssumed  bool       // its time zone is a guess; see Availability
	IsOutsideHours bool
	// Burden is 0 for a meeting in the usual hours of a day and grows the
	// earlier or later it is; see hourBurden.
	Burden int
}

// Limits of what is looked for.
const (
	maxCommonTimes = 20
	maxCommonRange = 60 * 24 * time.Hour
	usualRange     = 14 * 24 * time.Hour
	maxCommonOfDay = 3 // that begin on one day of UTC, so that a list has several days
)

// hourBurden is what a quarter of an hour costs that begins in an hour of the
// day on the clocks of whoever meets: nothing from 9 to 17, then more and
// more towards the night, and the early morning costs more than the evening
// that is as far away. It is a judgement, not a measurement; that no hour
// farther from the day costs less is what counts.
var hourBurden = [24]int{12, 14, 16, 16, 14, 11, 7, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 6, 8, 10}

// outsideBurden is what a quarter of an hour costs on top that lies outside of
// the hours which somebody gave.
const outsideBurden = 3

// A calendarSide is one side of a meeting to be: what its member and its
// people say of their hours, and when its people are in meetings.
type calendarSide struct {
	sheets []timesheet // the member's first, by whose clocks local times are told
	people []personTime
}

// A personTime is a person's meetings, and the timesheet by which they are
// kept apart.
type personTime struct {
	sheet timesheet
	busy  []period
}

// commonTimes are the best times for a meeting of both sides that begin, and
// have ended, within a period: the least burden for whoever has the greater
// one, then the least for both together, then full and half hours, then the
// earlier. No time is proposed in which a person is in a meeting or near to
// one, that anybody wants to know of longer before, or on a day on which a
// side has no hours. It is the same for sides that are exchanged.
//
// Times begin at quarters of an hour, do not overlap, and are at most
// maxCommonOfDay of one day. They are in everybody's hours, or, where there is
// not one such time, outside of them. The work grows with the range times the
// number of people: some ms for 60 days and 12 people.
func commonTimes(now time.Time, within period, minutes, most int, sides [2]calendarSide) []*CommonTime {
	first := within.from
	for _, side := range sides {
		for _, s := range side.sheets {
			if at := now.Add(s.notice); at.After(first) {
				first = at
			}
		}
	}
	if up := first.Truncate(meetingBlock); up.Before(first) {
		first = up.Add(meetingBlock)
	} else {
		first = up
	}
	blocks := int(within.until.Sub(first) / meetingBlock)
	need := (minutes + 14) / 15
	if blocks < need {
		return []*CommonTime{}
	}
	grids := [2]*blockGrid{gridOf(first, blocks, sides[0]), gridOf(first, blocks, sides[1])}
	type candidate struct {
		block              int
		worst, sum, uneven int
		outside            [2]bool
		burden             [2]int
	}
	var in, out []candidate
	for i := 0; i+need <= blocks; i++ {
		c := candidate{block: i}
		possible := true
		for k, g := range grids {
			if g.closed[i+need]-g.closed[i] > 0 {
				possible = false
				break
			}
			c.outside[k] = g.outside[i+need]-g.outside[i] > 0
			c.burden[k] = g.burden[i+need] - g.burden[i]
			c.sum += c.burden[k]
			c.worst = max(c.worst, c.burden[k])
			if local := first.Add(time.Duration(i) * meetingBlock).In(sides[k].sheets[0].zone); local.Minute()%30 != 0 {
				c.uneven++
			}
		}
		switch {
		case !possible:
		case c.outside[0] || c.outside[1]:
			out = append(out, c)
		default:
			in = append(in, c)
		}
	}
	list := in
	if len(list) == 0 {
		list = out
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(a.worst-b.worst, a.sum-b.sum, a.uneven-b.uneven, a.block-b.block)
	})
	times := []*CommonTime{}
	var taken []int
	perDay := map[time.Time]int{}
	for _, c := range list {
		if len(times) == most {
			break
		}
		at := first.Add(time.Duration(c.block) * meetingBlock)
		day := at.Truncate(24 * time.Hour)
		if perDay[day] == maxCommonOfDay || slices.ContainsFunc(taken, func(b int) bool { return b < c.block+need && c.block < b+need }) {
			continue
		}
		perDay[day]++
		taken = append(taken, c.block)
		t := &CommonTime{At: at, Minutes: minutes, IsOutsideHours: c.outside[0] || c.outside[1]}
		for k, side := range sides {
			t.Sides = append(t.Sides, &CommonTimeSide{IsOutsideHours: c.outside[k], Burden: c.burden[k], LocalTime: localTime(at, side.sheets[0].zone.String())})
		}
		times = append(times, t)
	}
	return times
}

// A blockGrid holds for each quarter of an hour the sums over those before it,
// so that what a meeting costs is a difference.
type blockGrid struct {
	closed, outside, burden []int
}

// gridOf works out what the quarters from a moment on are to a side.
func gridOf(first time.Time, blocks int, side calendarSide) *blockGrid {
	closed, outside, burden := make([]bool, blocks), make([]bool, blocks), make([]int, blocks)
	end := first.Add(time.Duration(blocks) * meetingBlock)
	hours := map[*time.Location][]int{} // on the clocks of each zone, since most people of a side have the same
	for i := range side.sheets {
		s := &side.sheets[i]
		open := make([]bool, blocks)
		var spans []period // those that meet are one
		s.days(first, end, func(day period, of []period) {
			if len(of) == 0 {
				cover(closed, first, day, false)
			}
			for _, h := range of {
				if n := len(spans); n > 0 && spans[n-1].until.Equal(h.from) {
					spans[n-1].until = h.until
				} else {
					spans = append(spans, h)
				}
			}
		})
		for _, h := range spans {
			cover(open, first, h, true)
		}
		if hours[s.zone] == nil {
			hours[s.zone] = make([]int, blocks)
			for b := range blocks {
				hours[s.zone][b] = first.Add(time.Duration(b) * meetingBlock).In(s.zone).Hour()
			}
		}
		for b, h := range hours[s.zone] {
			cost := hourBurden[h]
			if !open[b] {
				outside[b] = true
				cost += outsideBurden
			}
			burden[b] = max(burden[b], cost)
		}
	}
	for i := range side.people {
		p := &side.people[i]
		for _, busy := range p.busy {
			// Either meeting may be the one that wants to be kept apart.
			apart := max(p.sheet.before, p.sheet.after)
			cover(closed, first, period{busy.from.Add(-apart), busy.until.Add(apart)}, false)
		}
		if p.sheet.daily > 0 {
			p.sheet.days(first, end, func(day period, _ []period) {
				n := 0
				for _, busy := range p.busy {
					if !busy.from.Before(day.from) && busy.from.Before(day.until) {
						n++
					}
				}
				if n >= p.sheet.daily {
					cover(closed, first, day, false)
				}
			})
		}
	}
	g := &blockGrid{make([]int, blocks+1), make([]int, blocks+1), make([]int, blocks+1)}
	for b := range blocks {
		g.closed[b+1], g.outside[b+1], g.burden[b+1] = g.closed[b]+ones(closed[b]), g.outside[b]+ones(outside[b]), g.burden[b]+burden[b]
	}
	return g
}

// cover sets the quarters that lie in a period: wholly, or also those that lie
// in it in part.
func cover(grid []bool, first time.Time, p period, wholly bool) {
	from, until := p.from.Sub(first), p.until.Sub(first)
	if wholly {
		from += meetingBlock - 1
	} else {
		until += meetingBlock - 1
	}
	for b := max(0, floorDiv(from, meetingBlock)); b < min(len(grid), floorDiv(until, meetingBlock)); b++ {
		grid[b] = true
	}
}

func floorDiv(d, by time.Duration) int {
	n := d / by
	if d%by < 0 {
		n--
	}
	return int(n)
}

func ones(b bool) int {
	if b {
		return 1
	}
	return 0
}

// CommonTimesInput is what CommonTimes takes.
type CommonTimesInput struct {
	With ID  // the other member
	For  *ID // the member that asks; nil: the viewer's, where they have one
	// People are those of the asking side who will take part; nil: the viewer,
	// where they are of that member.
	People []ID
	// Meeting is one of these two members whose time is looked for: the people
	// whom both sides have named already take part, and it does not stand in
	// its own way.
	Meeting *ID
	Minutes int
	From    *time.Time // nil: now
	Until   *time.Time // nil: usualRange after From
	First   *int       // nil: 10
}

// CommonTimes are times at which two members can meet, best first; see
// commonTimes. What the other side's people do otherwise is not told.
func (m *Market) CommonTimes(ctx context.Context, in CommonTimesInput) ([]*CommonTime, error) {
	q, err := m.commonQuery(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitCommonTimes, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	var sides [2]calendarSide
	var own [2]*Availability
	sight := withSight(ctx)
	for k, member := range q.members {
		if sides[k], own[k], err = m.calendarSide(sight, member, q.people[k], q.within, q.meeting); err != nil {
			return nil, err
		}
	}
	times := commonTimes(m.clock(), q.within, in.Minutes, q.first, sides)
	for _, t := range times {
		for k, s := range t.Sides {
			s.Side, s.IsZoneAssumed = q.members[k], own[k].assumed
		}
	}
	return times, nil
}

// A commonQuery is a CommonTimesInput that was found to be good.
type commonQuery struct {
	members [2]ID // that asks, and the other one
	people  [2][]ID
	meeting ID
	within  period
	first   int
}

func (m *Market) commonQuery(ctx context.Context, in CommonTimesInput) (commonQuery, error) {
	var p problems
	q := commonQuery{first: 10, within: period{from: m.clock()}}
	if in.First != nil {
		q.first = *in.First
	}
	if q.first < 0 || q.first > maxCommonTimes {
		p.addf("first", "OUT_OF_RANGE", "must be 0 to %d", maxCommonTimes)
	}
	if in.From != nil && in.From.After(q.within.from) {
		q.within.from = *in.From
	}
	q.within.until = q.within.from.Add(usualRange)
	if in.Until != nil {
		q.within.until = *in.Until
	}
	if d := q.within.until.Sub(q.within.from); d <= 0 || d > maxCommonRange {
		p.add("until", "OUT_OF_RANGE", "must be after the beginning, at most 60 days")
	}
	if in.Minutes < 15 || in.Minutes > maxMeetingMinutes || in.Minutes%15 != 0 {
		p.addf("minutes", "OUT_OF_RANGE", "must be a multiple of 15 from 15 to %d", maxMeetingMinutes)
	}
	q.members[1] = in.With
	own := actorOf(ctx).members()
	switch {
	case in.For != nil:
		q.members[0] = *in.For
	case len(own) == 1:
		q.members[0] = own[0]
	default:
		p.add("for", "REQUIRED", "must name the member that asks")
	}
	for k, name := range []string{"for", "with"} {
		if id := q.members[k]; id != "" || name == "with" {
			if !isMember(id) {
				p.add(name, "INVALID", "must be the id of a member")
			} else if err := m.mustExist(ctx, name, id); err != nil {
				return q, err
			}
		}
	}
	if q.members[0] == q.members[1] {
		p.add("with", "INVALID", "must be another member than the one that asks")
	}
	if err := p.err(); err != nil {
		return q, err
	}
	if err := MaySeeCommonTimes.checkFor(ctx, q.members[0]); err != nil {
		return q, err
	}
	if err := m.commonPeople(ctx, in, &q, &p); err != nil {
		return q, err
	}
	return q, p.err()
}

// commonPeople finds who will take part.
func (m *Market) commonPeople(ctx context.Context, in CommonTimesInput, q *commonQuery, p *problems) error {
	team, err := m.team(withSight(ctx), q.members[0])
	if err != nil {
		return err
	}
	q.people[0] = in.People
	if viewer := actorOf(ctx).User; in.People == nil && in.Meeting == nil && team.find(viewer) >= 0 {
		q.people[0] = []ID{viewer}
	}
	checkIDs(p, "people", q.people[0], maxMeetingPeople, KindUser)
	for i, id := range q.people[0] {
		if team.find(id) < 0 && !p.has(index("people", i)) {
			p.add(index("people", i), "NOT_FOUND", "is not one of the people of the member that asks")
		}
	}
	if in.Meeting == nil {
		return nil
	}
	x, err := get[*Meeting](ctx, m, *in.Meeting)
	if errors.Is(err, ErrNotFound) || err == nil && !(slices.Contains(x.members(), q.members[0]) && slices.Contains(x.members(), q.members[1])) {
		p.add("meeting", "NOT_FOUND", "there is no such meeting of these two members")
		return nil
	}
	if err != nil {
		return err
	}
	q.meeting = x.ID
	if in.People == nil {
		q.people[0] = *x.peopleOf(q.members[0])
	}
	q.people[1] = *x.peopleOf(q.members[1])
	return nil
}

// calendarSide reads what is known of a member and its people, in a context
// that sees everything: three operations of the store, and one for each person.
func (m *Market) calendarSide(ctx context.Context, member ID, people []ID, within period, but ID) (calendarSide, *Availability, error) {
	owners, err := m.load(ctx, append([]ID{member}, people...))
	if err != nil {
		return calendarSide{}, nil, err
	}
	ids := make([]ID, len(owners))
	for i, id := range append([]ID{member}, people...) {
		ids[i] = availabilityID(id)
	}
	known, err := m.load(ctx, ids)
	if err != nil {
		return calendarSide{}, nil, err
	}
	var side calendarSide
	var own *Availability
	for i, owner := range owners {
		if owner == nil {
			if i == 0 {
				return side, nil, ErrNotFound
			}
			continue // the account is gone
		}
		a := &Availability{Of: owner.meta().ID}
		if said, ok := known[i].(*Availability); ok {
			*a = *said
		}
		a.completeFor(owner)
		if i == 0 {
			own = a
			side.sheets = append(side.sheets, timesheetOf(a, nil))
			continue
		}
		person := personTime{sheet: timesheetOf(a, side.sheets[0].zone)}
		meetings, err := m.meetingsOf(ctx, a.Of, within.from.Add(-26*time.Hour), within.until.Add(26*time.Hour))
		if err != nil {
			return side, nil, err
		}
		for _, x := range meetings {
			if x.ID != but {
				person.busy = append(person.busy, period{*x.At, x.end()})
			}
		}
		side.sheets = append(side.sheets, person.sheet)
		side.people = append(side.people, person)
	}
	return side, own, nil
}
