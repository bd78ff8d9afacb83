package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MeetingPermissions are what a viewer may do with a meeting now.
type MeetingPermissions struct {
	Moves         []MeetingMove
	SetPeople     bool // of the own side
	SetPlace      bool
	RecordOutcome bool
	Run           bool // say that it has begun, who is late, who has not come
	SwapDelegate  bool
	Move          bool // elsewhere, or call it off, for the secretariat
}

// MeetingPermissions says what the viewer may do with a meeting now.
func (m *Market) MeetingPermissions(ctx context.Context, x *Meeting) *MeetingPermissions {
	now := m.clock()
	moves := slices.DeleteFunc(meetingMoves.open(ctx, x, x.Status), func(name MeetingMove) bool { return x.inTime(name, x.Status, now) != nil })
	alter := x.isAlterable(now) && MayArrangeMeeting.allows(ctx, x)
	return &MeetingPermissions{Moves: moves, SetPeople: alter && x.Event == "", SetPlace: alter,
		RecordOutcome: x.isJudgeable(now) && MayRecordOutcome.allows(ctx, x),
		Run:           x.Event != "" && x.isBooked() && MayRunMeeting.allows(ctx, x),
		SwapDelegate:  x.Event != "" && x.At != nil && x.isAlterable(now) && MaySwapDelegate.allows(ctx, x),
		Move:          x.Event != "" && x.canUnplace(now) && MayPlaceAtEvent.allows(ctx, x)}
}

// MeetingFilter narrows a list of meetings.
type MeetingFilter struct {
	Statuses []MeetingStatus
	From     *time.Time // that begin at this moment or later
	Until    *time.Time // that begin before it
	// As is the member whose meetings about something are asked for; nil: the
	// one to which that belongs, or the only one that the viewer acts for.
	As *ID
}

// Meetings lists meetings by when they begin (by the earliest time that is
// proposed, where none was agreed), earliest first or latest first: of a
// member, for its people and the secretariat; of the viewer; about a solution,
// a proposal or an offer, those of one member that the viewer acts for, or all
// for the secretariat. For others the list is empty, whatever there is. One
// store operation, and one for what it is about; one more for each page in
// which there are requests that the viewer does not hear of.
func (m *Market) Meetings(ctx context.Context, of ID, f MeetingFilter, latestFirst bool, s Slice) (*Page[*Meeting], error) {
	var p problems
	checkSet(&p, "statuses", f.Statuses, len(MeetingStatuses), oneOf(MeetingStatuses), fmt.Sprintf("must be one of %v", MeetingStatuses))
	if err := p.err(); err != nil {
		return nil, err
	}
	word, err := m.concernOf(ctx, of, f.As)
	if err != nil {
		return nil, err
	}
	if word == "" {
		return emptyPage[*Meeting](s)
	}
	return fullPage[*Meeting](ctx, m, KindMeeting, meetingQuery(word, f, latestFirst), s)
}

// meetingQuery asks for the meetings that are listed by a word.
func meetingQuery(word string, f MeetingFilter, latestFirst bool) Query {
	if len(f.Statuses) == 0 {
		f.Statuses = MeetingStatuses
	}
	q := Query{Where: []Condition{{Field: "status", Op: In, Values: values(f.Statuses)}, {Field: "concerns", Op: Has, Value: word}}, Sort: "startsAt", Descending: latestFirst}
	if f.From != nil {
		q.Where = append(q.Where, Condition{Field: "startsAt", Op: Ge, Value: *f.From})
	}
	if f.Until != nil {
		q.Where = append(q.Where, Condition{Field: "startsAt", Op: Lt, Value: *f.Until})
	}
	return q
}

// concernOf is the word by which the viewer lists the meetings of something;
// empty where they can see none of them.
func (m *Market) concernOf(ctx context.Context, of ID, as *ID) (string, error) {
	network := slices.Contains(groupsOf(ctx), Secretariat)
	switch kind := of.Kind(); {
	case kind == KindUser:
		if actorOf(ctx).User != of && !network {
			return "", nil
		}
		return concern(of, ""), nil
	case isMember(of):
		if !onSide(ctx, of) {
			return "", nil
		}
		return concern(of, ""), nil
	case network && as == nil && kind != "":
		return concern(of, ""), nil
	case kind != KindSolution && kind != KindProposal && kind != KindOffer && kind != KindEvent:
		return "", invalid("of", "INVALID", "must be the id of a member, a solution, a proposal, an offer, an event or yourself")
	}
	if as != nil {
		if !onSide(ctx, *as) {
			return "", nil
		}
		return concern(*as, of), nil
	}
	own := actorOf(ctx).members()
	if len(own) > 1 {
		doc, err := get[entity](ctx, m, of)
		if errors.Is(err, ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		owners := doc.parties()
		if its := slices.DeleteFunc(own, func(id ID) bool { return !slices.Contains(owners, id) }); len(its) == 1 {
			return concern(its[0], of), nil
		}
		return "", invalid("as", "REQUIRED", "must name one of the members on whose behalf you look")
	}
	if len(own) == 0 {
		return "", nil
	}
	return concern(own[0], of), nil
}

// A MeetingSide is one of the two sides of a meeting.
type MeetingSide struct {
	Meeting *Meeting
	ID      ID // of the member
}

// Side returns a side of the meeting.
func (x *Meeting) Side(member ID) *MeetingSide { return &MeetingSide{x, member} }

// FromSide and ToSide are the side that asks and the one that is asked.
func (x *Meeting) FromSide() *MeetingSide { return x.Side(x.From) }

// ToSide is the side that is asked.
func (x *Meeting) ToSide() *MeetingSide { return x.Side(x.To) }

// People are those who take part for the side, with the names that they had
// when they were named; those without an account last.
func (s *MeetingSide) People() []*Participant {
	list := []*Participant{}
	for _, id := range *s.Meeting.peopleOf(s.ID) {
		for i := range s.Meeting.Participants {
			if o := &s.Meeting.Participants[i]; o.User == id {
				list = append(list, o)
			}
		}
	}
	for _, g := range s.Meeting.Guests {
		if g.Side == s.ID {
			list = append(list, &Participant{Name: g.Name})
		}
	}
	return list
}

// Outcome is what the side says came of the meeting; nil where it has not.
func (s *MeetingSide) Outcome() *SideOutcome {
	if o := *s.Meeting.outcomeOf(s.ID); o != nil {
		return &SideOutcome{side: s.ID, outcome: o}
	}
	return nil
}

// A SideOutcome is what one side says came of a meeting, as it is shown.
type SideOutcome struct {
	side    ID
	outcome *Outcome
}

// What it is that came of it.
func (o *SideOutcome) What() OutcomeKind { return o.outcome.What }

// At is when that was said.
func (o *SideOutcome) At() time.Time { return o.outcome.At }

// By is the user who said it.
func (o *SideOutcome) By() ID { return o.outcome.By }

// Note is what the side has noted, for its own people alone: not for the
// other side, and not for the secretariat. Nil where there is nothing to see.
func (o *SideOutcome) Note(ctx context.Context) *string {
	if !slices.Contains(groupsOf(ctx), Group(o.side)) {
		return nil
	}
	return maybe(o.outcome.Note)
}

// ZoneOf is the time zone of a side: the one that the member has named, else
// that of the first of its people who has named one, else that of its country;
// UTC where none is known.
func (m *Market) ZoneOf(ctx context.Context, s *MeetingSide) (string, error) {
	a, err := m.AvailabilityOf(ctx, s.ID)
	if err := ignore(err, ErrNotFound); err != nil {
		return "", err
	}
	if a != nil && a.TimeZone != "" && !a.IsZoneAssumed() {
		return a.TimeZone, nil
	}
	for _, o := range s.People() {
		if o.TimeZone != "" {
			return o.TimeZone, nil
		}
	}
	if a != nil && a.TimeZone != "" {
		return a.TimeZone, nil
	}
	return "UTC", nil
}

// ClockMovedMinutes is by how many minutes the side's clock shows the agreed
// moment later than when it was agreed, since the rules of its time zone have
// changed; below 0 where it shows it earlier.
func (s *MeetingSide) ClockMovedMinutes() int {
	clock := s.Meeting.FromClock
	if s.ID == s.Meeting.To {
		clock = s.Meeting.ToClock
	}
	if s.Meeting.At == nil || clock == nil {
		return 0
	}
	return int(clock.Moved(*s.Meeting.At) / time.Minute)
}

// setClocks notes what the clocks of both sides show at the agreed moment.
func (m *Market) setClocks(ctx context.Context, x *Meeting) error {
	for side, clock := range map[ID]**AgreedClock{x.From: &x.FromClock, x.To: &x.ToClock} {
		zone, err := m.ZoneOf(ctx, x.Side(side))
		if err != nil {
			return err
		}
		*clock = new(agreedClock(*x.At, zone))
	}
	return nil
}

// A MeetingTime is a time at which a meeting could begin, or does.
type MeetingTime struct {
	meeting *Meeting
	At      time.Time
	EndsAt  time.Time
}

// A LocalTime is a moment as the clocks of a place show it.
type LocalTime struct {
	Time     string // 2026-03-02T14:15
	Offset   string // +05:45
	TimeZone string // IANA name
}

func localTime(t time.Time, zone string) *LocalTime {
	loc := zoneNamed(zone)
	if loc == nil {
		loc, zone = time.UTC, "UTC"
	}
	t = t.In(loc)
	return &LocalTime{Time: t.Format("2006-01-02T15:04"), Offset: t.Format("-07:00"), TimeZone: zone}
}

func (x *Meeting) timeAt(t time.Time) *MeetingTime {
	return &MeetingTime{x, t, t.Add(time.Duration(x.Minutes) * time.Minute)}
}

// Time is when it takes place; nil where that was not agreed.
func (x *Meeting) Time() *MeetingTime {
	if x.At == nil {
		return nil
	}
	return x.timeAt(*x.At)
}

// ProposedTimes are those that the side whose turn it is not proposes.
func (x *Meeting) ProposedTimes() []*MeetingTime {
	out := make([]*MeetingTime, len(x.Times))
	for i, t := range x.Times {
		out[i] = x.timeAt(t)
	}
	return out
}

// MeetingTimeFrom is a time as the clocks of the side that asks show it.
func (m *Market) MeetingTimeFrom(ctx context.Context, t *MeetingTime) (*LocalTime, error) {
	zone, err := m.ZoneOf(ctx, t.meeting.FromSide())
	return localTime(t.At, zone), err
}

// MeetingTimeTo is a time as the clocks of the side that is asked show it.
func (m *Market) MeetingTimeTo(ctx context.Context, t *MeetingTime) (*LocalTime, error) {
	zone, err := m.ZoneOf(ctx, t.meeting.ToSide())
	return localTime(t.At, zone), err
}

// TableOrNil is the name of its table at an event; nil where it has none.
func (x *Meeting) TableOrNil() *string { return maybe(x.Table) }

// LinkOrNil is the address of a meeting online; nil where there is none.
func (x *Meeting) LinkOrNil() *string { return maybe(x.Link) }

// Names of the pages of meetings in the API.
type (
	MeetingConnection = Page[*Meeting]
	MeetingEdge       = PageEdge[*Meeting]
)
