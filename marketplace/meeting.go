package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Meeting is what two members agree on: who meets whom, about what, when
// and where, and what came of it. It is seen by the two sides and the
// secretariat; what a side notes about its outcome only by that side.
//
// One side proposes times, the other takes one of them or proposes others.
// From then on the time of everybody who takes part is claimed, so that
// nobody can be in two meetings at once, however many are accepted at the same
// moment. A request claims no time, and expires.
//
// Who may act for a side follows from its team as it is now. People who have
// left the team, or were suspended, stay on the list, with their time claimed,
// until their side puts others in their place: a meeting that was agreed is
// not undone by that. They are told nothing any more.
type Meeting struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	From   ID            `json:"from"`            // the member that asks
	To     ID            `json:"to"`              // the member that is asked
	About  ID            `json:"about,omitempty"` // a solution, a proposal or an offer; empty: nothing yet
	Case   ID            `json:"case,omitempty"`  // in which an officer proposed it
	Status MeetingStatus `json:"status"`

	Message Text          `json:"message"`
	Minutes int           `json:"minutes"` // how long: a multiple of 15, at most 120
	Format  MeetingFormat `json:"format"`
	Link    string        `json:"link,omitempty"`  // of a meeting online
	Place   Text          `json:"place,omitempty"` // of one on site

	// Times are when it could begin, and ProposedBy is the side that
	// proposes them; the other one answers. They stay when one was taken.
	Times      []time.Time `json:"times"`
	ProposedBy ID          `json:"proposedBy"`
	// At is when it begins. While another time is proposed for a meeting that
	// was agreed, the old time stands.
	At         *time.Time `json:"at,omitempty"`
	FromPeople []ID       `json:"fromPeople,omitempty"` // users who take part
	ToPeople   []ID       `json:"toPeople,omitempty"`
	// Participants are the same people with their names, since the other side
	// is not able to see users.
	Participants []Participant `json:"participants,omitempty"`

	ExpiresAt  *time.Time `json:"expiresAt,omitempty"`  // of what waits for an answer
	AnsweredAt *time.Time `json:"answeredAt,omitempty"` // when the side that was asked first answered
	AcceptedAt *time.Time `json:"acceptedAt,omitempty"` // when a time was first agreed
	Reason     *string    `json:"reason,omitempty"`     // said with the latest step; both sides read it
	// Sequence grows with whatever calendars have to learn.
	Sequence int `json:"sequence,omitempty"`

	// What the clocks of the sides showed at the agreed moment by the rules of
	// time zones as they were then.
	FromClock *AgreedClock `json:"fromClock,omitempty"`
	ToClock   *AgreedClock `json:"toClock,omitempty"`
	// Event is the event in whose timetable it stands, and Table where it
	// takes place there; empty: at no table. Guests are delegates without an
	// account, who take part as well.
	Event  ID      `json:"event,omitempty"`
	Table  string  `json:"table,omitempty"`
	Guests []Guest `json:"guests,omitempty"`
	// IsInterpreted says that somebody is to interpret between its sides.
	IsInterpreted bool `json:"isInterpreted,omitempty"`
	// Holds are what it claims at its event besides time, for as long as it
	// counts there: see hold.go.
	Holds []string `json:"holds,omitempty"`
	// Timetabled is what the latest publication made of it; nil where it was
	// not made by one.
	Timetabled *Timetabled `json:"timetabled,omitempty"`
	// IsUnheard says that the side that is asked at an event never wants to
	// meet the one that asks: it does not see the request, which ends like one
	// that nobody answers. Nobody is shown it.
	IsUnheard bool `json:"isUnheard,omitempty"`
	// IsOffSlot says that it is at no slot of its event any more, or at one that
	// a session blocks by now. LostTable is the table at which it was to take place, until that was
	// lost and no other one was free, and Vacant are the sides whose delegate
	// comes no more and for whom nobody else was free.
	IsOffSlot bool   `json:"isOffSlot,omitempty"`
	LostTable string `json:"lostTable,omitempty"`
	Vacant    []ID   `json:"vacant,omitempty"`
	// What happens while its event takes place.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	Delay     *Delay     `json:"delay,omitempty"`
	NoShow    *NoShow    `json:"noShow,omitempty"`

	FromOutcome *Outcome `json:"fromOutcome,omitempty"`
	ToOutcome   *Outcome `json:"toOutcome,omitempty"`

	// What follows from the above, kept by plan.
	StartsAt time.Time  `json:"startsAt"`           // At; the earliest of Times where none was agreed
	Concerns []string   `json:"concerns"`           // by what it is listed; see concern
	Subjects []ID       `json:"subjects,omitempty"` // About, and the proposal and the solution of an offer
	Pending  int        `json:"pending,omitempty"`  // which of the requests that may wait between its members; from 1
	Reminded int        `json:"reminded,omitempty"` // how many of its reminders have passed
	DueAt    *time.Time `json:"dueAt,omitempty"`    // when something is to be done next
}

// A Participant is somebody who takes part in a meeting, as it was when they
// were named.
type Participant struct {
	User     ID     `json:"user"`
	Name     string `json:"name"`
	TimeZone string `json:"timeZone,omitempty"` // IANA name; empty where they named none
}

// A Guest is a delegate without an account who takes part in a meeting at an
// event, for one of its sides.
type Guest struct {
	Side   ID     `json:"side"`
	Person string `json:"person"` // see personKey
	Name   string `json:"name"`
}

// KindMeeting is the kind of Meeting.
var KindMeeting = registerRecord("meeting", func() entity { return new(Meeting) },
	Index{Equal: []string{"status"}, Has: "concerns", Sort: "startsAt"},
	Index{Equal: []string{"from"}, Sort: "createdAt"},
	Index{Equal: []string{"to"}, Sort: "createdAt"},
	Index{Equal: []string{"status"}, Sort: "startsAt"},
	Index{Sort: "createdAt"},
	Index{Equal: []string{"event"}, Sort: "startsAt"},
	Index{Sort: "dueAt"})

// A MeetingStatus is a state in the life of a meeting.
type MeetingStatus string

// The states of a meeting.
const (
	MeetingRequested   MeetingStatus = "REQUESTED"   // waits for the side that was asked
	MeetingCountered   MeetingStatus = "COUNTERED"   // waits for the side that did not propose the latest times
	MeetingAccepted    MeetingStatus = "ACCEPTED"    // takes place at the agreed time, or has ended and nobody said whether it did
	MeetingDeclined    MeetingStatus = "DECLINED"    // with a reason
	MeetingRescheduled MeetingStatus = "RESCHEDULED" // another time is proposed; the agreed one stands
	MeetingCancelled   MeetingStatus = "CANCELLED"   // with a reason
	MeetingExpired     MeetingStatus = "EXPIRED"     // nobody answered in time
	MeetingHeld        MeetingStatus = "HELD"        // a side says that it took place
	MeetingMissed      MeetingStatus = "MISSED"      // it did not, and nobody says otherwise
)

// MeetingStatuses are all of them.
var MeetingStatuses = []MeetingStatus{MeetingRequested, MeetingCountered, MeetingAccepted, MeetingDeclined, MeetingRescheduled,
	MeetingCancelled, MeetingExpired, MeetingHeld, MeetingMissed}

var (
	// pendingMeetings are the states in which no time was agreed yet.
	pendingMeetings = []MeetingStatus{MeetingRequested, MeetingCountered}
	// openMeetings are those in which times wait for an answer.
	openMeetings = []MeetingStatus{MeetingRequested, MeetingCountered, MeetingRescheduled}
	// agreedMeetings are those in which it is going to take place.
	agreedMeetings = []MeetingStatus{MeetingAccepted, MeetingRescheduled}
	// bookedMeetings are those in which it takes the time of its people. A
	// meeting that is said to be held, or missed, before its end keeps it, so
	// that this can be corrected.
	bookedMeetings = []MeetingStatus{MeetingAccepted, MeetingRescheduled, MeetingHeld, MeetingMissed}
)

// A MeetingFormat says how people meet.
type MeetingFormat string

// The formats of meetings.
const (
	MeetingOnline MeetingFormat = "ONLINE"
	MeetingOnSite MeetingFormat = "ON_SITE"
)

// MeetingFormats are all of them.
var MeetingFormats = []MeetingFormat{MeetingOnline, MeetingOnSite}

// A MeetingMove is a step in the life of a meeting.
type MeetingMove string

// The steps that people take.
const (
	MeetingCounter    MeetingMove = "COUNTER"    // propose other times: the other side answers
	MeetingAccept     MeetingMove = "ACCEPT"     // take one of the times
	MeetingDecline    MeetingMove = "DECLINE"    // take none; of a meeting that was agreed, the old time stands
	MeetingReschedule MeetingMove = "RESCHEDULE" // propose other times for a meeting that was agreed
	MeetingCancel     MeetingMove = "CANCEL"
)

// meetingMoves is the life of a meeting, as far as people take the steps.
// After each COUNTER the roles turn. Both sides can leave it at the old time.
var meetingMoves = moves[MeetingMove, MeetingStatus]{
	{MeetingCounter, MayAnswerMeeting, pendingMeetings, MeetingCountered},
	{MeetingCounter, MayAnswerMeeting, []MeetingStatus{MeetingRescheduled}, MeetingRescheduled},
	{MeetingAccept, MayAnswerMeeting, openMeetings, MeetingAccepted},
	{MeetingDecline, MayAnswerMeeting, pendingMeetings, MeetingDeclined},
	{MeetingDecline, MayArrangeMeeting, []MeetingStatus{MeetingRescheduled}, MeetingAccepted},
	{MeetingReschedule, MayArrangeMeeting, []MeetingStatus{MeetingAccepted}, MeetingRescheduled},
	{MeetingCancel, MayWithdrawMeeting, pendingMeetings, MeetingCancelled},
	{MeetingCancel, MayArrangeMeeting, agreedMeetings, MeetingCancelled},
}

// meetingTurns is what becomes of a meeting by what is said about it, or left
// unsaid for long.
var meetingTurns = moves[MeetingMove, MeetingStatus]{
	{"EXPIRE", MayKeepMeetings, pendingMeetings, MeetingExpired},
	{"LAPSE", MayKeepMeetings, []MeetingStatus{MeetingRescheduled}, MeetingAccepted}, // nobody answered: the old time stands
	{"HOLD", MayRecordOutcome, []MeetingStatus{MeetingAccepted, MeetingRescheduled, MeetingMissed}, MeetingHeld},
	{"MISS", MayRecordOutcome, []MeetingStatus{MeetingAccepted, MeetingRescheduled, MeetingHeld}, MeetingMissed},
	{"REOPEN", MayRecordOutcome, []MeetingStatus{MeetingHeld, MeetingMissed}, MeetingAccepted}, // it was corrected to what is no answer yet
}

// An Outcome is what one side says came of a meeting.
type Outcome struct {
	What OutcomeKind `json:"what"`
	Note string      `json:"note,omitempty"` // only for the people of the side; see Market.OutcomeNote
	By   ID          `json:"by"`             // user
	At   time.Time   `json:"at"`
}

// An OutcomeKind is what can come of a meeting.
type OutcomeKind string

// What can come of a meeting.
const (
	OutcomeNotHeld     OutcomeKind = "NOT_HELD"             // it did not take place
	OutcomeInformative OutcomeKind = "INFORMATIVE"          // it did, and that was all
	OutcomePossible    OutcomeKind = "COOPERATION_POSSIBLE" // the two go on talking
	OutcomeAgreed      OutcomeKind = "AGREED"               // they do something together
)

// OutcomeKinds are all of them.
var OutcomeKinds = []OutcomeKind{OutcomeNotHeld, OutcomeInformative, OutcomePossible, OutcomeAgreed}

// Limits of meetings.
const (
	claimBlock         = 5 * time.Minute  // by which time is claimed
	meetingBlock       = 15 * time.Minute // of times that people propose
	maxMeetingMinutes  = 120
	maxMeetingTimes    = 5
	maxMeetingPeople   = 6 // of a side: 12 people and 24 blocks are 288 claims
	maxMeetingsAhead   = 366 * 24 * time.Hour
	maxPendingMeetings = 5                   // requests of one member that wait for another one
	meetingNotice      = time.Hour           // before a meeting begins, in which it can no longer be agreed
	meetingWait        = 7 * 24 * time.Hour  // for an answer
	outcomeWait        = 14 * 24 * time.Hour // for the other side's word on a meeting that one says did not take place
	maxMeetingMessage  = 2000
	maxMeetingReason   = 1000
	maxOutcomeNote     = 2000
)

func (*Meeting) kind() Kind { return KindMeeting }

// members are its two members, whether or not both know of it: what it is
// listed and counted by, so that a request that is not heard looks to all who
// see it like any other.
func (x *Meeting) members() []ID { return []ID{x.From, x.To} }

func (x *Meeting) parties() []ID {
	if x.IsUnheard {
		return []ID{x.From}
	}
	return []ID{x.From, x.To}
}

func (x *Meeting) audience() []Group {
	if x.IsUnheard {
		return []Group{Group(x.From), Secretariat}
	}
	return []Group{Group(x.From), Group(x.To), Secretariat}
}

func (x *Meeting) texts() []NamedText {
	return []NamedText{{"message", &x.Message}, {"place", &x.Place}}
}

func (x *Meeting) refs() []ID {
	refs := slices.Concat([]ID{x.From, x.To, x.About, x.Case}, x.FromPeople, x.ToPeople)
	for _, o := range []*Outcome{x.FromOutcome, x.ToOutcome} {
		if o != nil {
			refs = append(refs, o.By)
		}
	}
	return refs
}

// IsNode marks meetings as something with an id of its own.
func (*Meeting) IsNode() {}

// claims are the time of everybody who takes part, and the place of a request
// among those that may wait.
func (x *Meeting) claims() []string {
	if slices.Contains(pendingMeetings, x.Status) && x.Pending > 0 {
		place := fmt.Sprintf("pending:%d of %s to %s", x.Pending, x.From, x.To)
		if x.Event != "" {
			place += " at " + string(x.Event) // of each event there can be as many
		}
		return []string{place}
	}
	if x.At == nil || !slices.Contains(bookedMeetings, x.Status) {
		return nil
	}
	claims := slices.Clone(x.Holds)
	if x.isLifted() {
		return slices.DeleteFunc(claims, isOfSlot)
	}
	for _, user := range x.people() {
		claims = append(claims, timeClaims("user:"+string(user), *x.At, x.Minutes)...)
	}
	for _, g := range x.Guests {
		claims = append(claims, timeClaims(guestClaim(g.Person), *x.At, x.Minutes)...)
	}
	if x.Table != "" {
		claims = append(claims, timeClaims(tableClaim(x.Event, x.Table), *x.At, x.Minutes)...)
	}
	slices.Sort(claims)
	return slices.Compact(claims)
}

// guestClaim is the claim on the time of a delegate without an account,
// across events, and tableClaim that on a table of an event, both without the
// time.
func guestClaim(person string) string { return "person:" + hashed(person)[:26] }

func tableClaim(event ID, table string) string {
	return "table:" + string(event) + "/" + hashed(table)[:26]
}

// timeClaims are the claims on somebody's time, or that of a table, from a
// start on, one for each block that is touched:
// "user:user_ada@2026-03-02T08:30:00Z". Whatever takes people's time at fixed
// hours is a Meeting, so that it is claimed here.
func timeClaims(of string, start time.Time, minutes int) []string {
	var claims []string
	end := start.Add(time.Duration(minutes) * time.Minute)
	for t := start.UTC().Truncate(claimBlock); t.Before(end); t = t.Add(claimBlock) {
		claims = append(claims, of+"@"+t.Format(time.RFC3339))
	}
	return claims
}

// isBooked says whether it takes the time of its people.
func (x *Meeting) isBooked() bool {
	return x.At != nil && slices.Contains(bookedMeetings, x.Status) && !x.isLifted()
}

// isAlterable says whether people and place can still be changed.
func (x *Meeting) isAlterable(now time.Time) bool {
	return slices.Contains(pendingMeetings, x.Status) || slices.Contains(agreedMeetings, x.Status) && now.Before(x.end())
}

// personKeys are the words by which its people are known at events.
func (x *Meeting) personKeys() []string {
	var keys []string
	for _, id := range x.people() {
		keys = append(keys, string(id))
	}
	for _, g := range x.Guests {
		keys = append(keys, g.Person)
	}
	return keys
}

// hasPeople says whether somebody takes part for a side.
func (x *Meeting) hasPeople(side ID) bool {
	return len(*x.peopleOf(side)) > 0 || slices.ContainsFunc(x.Guests, func(g Guest) bool { return g.Side == side })
}

// people are those of both sides, each once.
func (x *Meeting) people() []ID { return sides(slices.Concat(x.FromPeople, x.ToPeople)...) }

// peopleOf are those of one side.
func (x *Meeting) peopleOf(side ID) *[]ID {
	if side == x.From {
		return &x.FromPeople
	}
	return &x.ToPeople
}

// outcomeOf is what one side says came of it.
func (x *Meeting) outcomeOf(side ID) **Outcome {
	if side == x.From {
		return &x.FromOutcome
	}
	return &x.ToOutcome
}

// other is the other side.
func (x *Meeting) other(side ID) ID {
	if side == x.From {
		return x.To
	}
	return x.From
}

// EndsAt is when it ends; nil where no time was agreed.
func (x *Meeting) EndsAt() *time.Time {
	if x.At == nil {
		return nil
	}
	return new(x.end())
}

func (x *Meeting) end() time.Time { return x.At.Add(time.Duration(x.Minutes) * time.Minute) }

func (x *Meeting) validate(p *problems) {
	for _, f := range []struct {
		path string
		id   ID
	}{{"from", x.From}, {"to", x.To}} {
		if !isMember(f.id) {
			p.add(f.path, "INVALID", "must be the id of a member")
		}
	}
	if x.From == x.To {
		p.add("to", "INVALID", "must be another member than the one that asks")
	}
	checkOne(p, "status", x.Status, MeetingStatuses)
	x.Message.check(p, "message", maxMeetingMessage, true)
	if x.Event == "" && (x.Minutes < 15 || x.Minutes > maxMeetingMinutes || x.Minutes%15 != 0) {
		p.addf("minutes", "OUT_OF_RANGE", "must be a multiple of 15 from 15 to %d", maxMeetingMinutes)
	}
	checkOne(p, "format", x.Format, MeetingFormats)
	checkURL(p, "link", x.Link, false)
	x.Place.check(p, "place", 500, false)
	checkSet(p, "times", x.Times, maxMeetingTimes, func(t time.Time) bool { return x.Event != "" || isBlock(t) },
		"must be a quarter of an hour, as 2027-03-02T08:30:00Z")
	if len(x.Times) == 0 {
		p.add("times", "REQUIRED", "must name at least one time")
	}
	for _, f := range []struct {
		path string
		side ID
		list []ID
	}{{"fromPeople", x.From, x.FromPeople}, {"toPeople", x.To, x.ToPeople}} {
		checkIDs(p, f.path, f.list, maxMeetingPeople, KindUser)
		if x.isBooked() && !x.hasPeople(f.side) {
			p.add(f.path, "REQUIRED", "must name at least one person")
		}
	}
	if n := len(x.claims()); n > MaxClaims {
		p.add("people", "TOO_MANY", "too many people for a meeting that is so long")
	}
	checkString(p, "reason", text(x.Reason), maxMeetingReason, x.Status == MeetingDeclined || x.Status == MeetingCancelled)
	for _, o := range []*Outcome{x.FromOutcome, x.ToOutcome} {
		if o != nil {
			checkOne(p, "what", o.What, OutcomeKinds)
			checkString(p, "note", o.Note, maxOutcomeNote, false)
		}
	}
}

// isBlock says whether a time is one that people can propose.
func isBlock(t time.Time) bool { return t.Equal(t.Truncate(meetingBlock)) }

// The sides of a meeting, for permissions: the one that asks, the one whose
// answer is waited for, the one whose times stand, and everybody who can say
// what came of it.
func asking(doc entity) []ID { return ofMeeting(doc, func(x *Meeting) []ID { return []ID{x.From} }) }

func answering(doc entity) []ID {
	return ofMeeting(doc, func(x *Meeting) []ID { return []ID{x.other(x.ProposedBy)} })
}

func proposing(doc entity) []ID {
	return ofMeeting(doc, func(x *Meeting) []ID { return []ID{x.ProposedBy} })
}

func attending(doc entity) []ID {
	return ofMeeting(doc, func(x *Meeting) []ID { return append(x.parties(), x.people()...) })
}

func ofMeeting(doc entity, who func(*Meeting) []ID) []ID {
	if x, ok := doc.(*Meeting); ok {
		return who(x)
	}
	return nil
}

// concern is the word by which a meeting is listed for a member (or a user, or
// the secretariat's case) or, with a subject, for what a member has about that
// subject.
func concern(who, subject ID) string {
	if subject == "" {
		return string(who)
	}
	return string(who) + " " + string(subject)
}

// Meeting returns a meeting, or ErrNotFound.
func (m *Market) Meeting(ctx context.Context, id ID) (*Meeting, error) {
	return get[*Meeting](ctx, m, id)
}

// meetingsOf are the meetings that take a user's time and begin in [from, to),
// earliest first, whoever may see them; at most MaxPage.
func (m *Market) meetingsOf(ctx context.Context, user ID, from, to time.Time) ([]*Meeting, error) {
	return find[*Meeting](withSight(ctx), m, KindMeeting, Query{
		Where: []Condition{
			{Field: "status", Op: In, Values: values(bookedMeetings)},
			{Field: "concerns", Op: Has, Value: concern(user, "")},
			{Field: "startsAt", Op: Ge, Value: from}, {Field: "startsAt", Op: Lt, Value: to},
		},
		Sort: "startsAt", Limit: MaxPage,
	})
}
