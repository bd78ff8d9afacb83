package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// An Event is an edition of "Solutions Meet Cities": members register, say
// whom they wish to meet, and a timetable of their meetings comes out. The
// secretariat arranges it; nobody else sees it until it takes registrations.
//
// Its times are given as clocks in its time zone show them. What follows from
// them as moments is kept beside them, by the rules of time zones as they were
// when it was last changed.
type Event struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Name        Text        `json:"name"`
	Description Text        `json:"description,omitempty"`
	Format      EventFormat `json:"format"`
	TimeZone    string      `json:"timeZone"`
	Place       Text        `json:"place,omitempty"`

	Phase       EventPhase  `json:"phase"`
	Dates       []PhaseDate `json:"dates,omitempty"`       // of phases, in their order
	MovesOnTime bool        `json:"movesOnTime,omitempty"` // the program goes on to the next phase on its date

	Days         []EventDay     `json:"days"` // in order
	SlotMinutes  int            `json:"slotMinutes"`
	PauseMinutes int            `json:"pauseMinutes"` // between two slots
	Sessions     []EventSession `json:"sessions,omitempty"`
	Tables       []EventTable   `json:"tables,omitempty"` // or rooms; none: as many as there are meetings

	Capacity     *int          `json:"capacity,omitempty"` // participants; nil: maxParticipants
	Rules        []MeetingRule `json:"rules"`              // who may ask whom
	Minimum      int           `json:"minimum"`            // meetings of a participant that says nothing else
	Maximum      int           `json:"maximum"`
	Languages    []Language    `json:"languages,omitempty"`    // in which it is held
	Interpreters []Language    `json:"interpreters,omitempty"` // between which somebody interprets
	// InterpreterCount is at how many meetings somebody can interpret at the
	// same time, whatever the languages; nil: at any number.
	InterpreterCount *int         `json:"interpreterCount,omitempty"`
	LanguageRule     LanguageRule `json:"languageRule"`

	// LostTables are those that cannot be used any more.
	LostTables []LostTable `json:"lostTables,omitempty"`

	// What follows from the above, kept by plan.
	Slots    []EventSlot `json:"slots"`
	StartsAt time.Time   `json:"startsAt"` // of the first day
	EndsAt   time.Time   `json:"endsAt"`   // of the last
	// RemindedAt is until when reminders of the deadline for wishes have been
	// sent, or need not be.
	RemindedAt *time.Time `json:"remindedAt,omitempty"`
	DueAt      *time.Time `json:"dueAt,omitempty"` // when something is to be done next
}

// KindEvent is the kind of Event.
var KindEvent = register("event", func() entity { return new(Event) },
	Index{Equal: []string{"phase"}, Sort: "startsAt"},
	Index{Sort: "dueAt"})

// An EventFormat says how people meet at an event.
type EventFormat string

// EventFormats are all of them.
var EventFormats = []EventFormat{"ONLINE", "ON_SITE", "HYBRID"}

// An EventPhase is a state in the life of an event.
type EventPhase string

// The phases of an event.
const (
	EventDraft        EventPhase = "DRAFT"        // seen by the secretariat alone
	EventRegistration EventPhase = "REGISTRATION" // members register
	EventWishes       EventPhase = "WISHES"       // participants say whom they wish to meet; members still register, until the date for it
	EventDrafting     EventPhase = "DRAFTING"     // the secretariat works on the timetable
	EventPublished    EventPhase = "PUBLISHED"    // participants see their timetables
	EventLive         EventPhase = "LIVE"         // it takes place
	EventClosed       EventPhase = "CLOSED"       // it is over, or was called off
)

// EventPhases are all of them, in order.
var EventPhases = []EventPhase{EventDraft, EventRegistration, EventWishes, EventDrafting, EventPublished, EventLive, EventClosed}

// An EventMove is a step in the life of an event.
type EventMove string

// The steps in the life of an event.
const (
	EventOpenRegistration EventMove = "OPEN_REGISTRATION"
	EventRetract          EventMove = "RETRACT" // back to a draft; registrations stay
	EventOpenWishes       EventMove = "OPEN_WISHES"
	EventStartDrafting    EventMove = "START_DRAFTING"
	EventPublish          EventMove = "PUBLISH"
	EventRevise           EventMove = "REVISE" // take the timetable back
	EventStart            EventMove = "START"
	EventClose            EventMove = "CLOSE"
	EventReopen           EventMove = "REOPEN"
)

// eventMoves is the life of an event.
var eventMoves = moves[EventMove, EventPhase]{
	{EventOpenRegistration, MayArrangeEvent, []EventPhase{EventDraft}, EventRegistration},
	{EventRetract, MayArrangeEvent, []EventPhase{EventRegistration}, EventDraft},
	{EventOpenWishes, MayArrangeEvent, []EventPhase{EventRegistration, EventDrafting}, EventWishes},
	{EventStartDrafting, MayArrangeEvent, []EventPhase{EventRegistration, EventWishes}, EventDrafting},
	{EventRevise, MayArrangeEvent, []EventPhase{EventPublished}, EventDrafting},
	{EventStart, MayArrangeEvent, []EventPhase{EventPublished}, EventLive},
	{EventClose, MayArrangeEvent, []EventPhase{EventRegistration, EventWishes, EventDrafting, EventPublished, EventLive}, EventClosed},
	{EventReopen, MayArrangeEvent, []EventPhase{EventClosed}, EventLive},
}

// eventTurns are the steps that follow from something else: the publication
// of a timetable.
var eventTurns = moves[EventMove, EventPhase]{
	{EventPublish, MayKeepEvents, []EventPhase{EventDrafting}, EventPublished},
}

// A PhaseDate says when a phase begins and, of those in which members do
// something, until when they can: REGISTRATION and WISHES.
type PhaseDate struct {
	Phase EventPhase `json:"phase"`
	From  *WallTime  `json:"from,omitempty"`
	Until *WallTime  `json:"until,omitempty"`

	FromAt  *time.Time `json:"fromAt,omitempty"`  // kept by plan
	UntilAt *time.Time `json:"untilAt,omitempty"` // kept by plan
}

// An EventDay is a time in which there are slots: a day, or a part of one.
type EventDay struct {
	Date  Date   `json:"date"`
	Start string `json:"start"` // "09:00"
	End   string `json:"end"`   // "17:00"; "24:00" is midnight
}

// An EventSlot is a time for a meeting. Its start names it.
type EventSlot struct {
	Day       int       `json:"day"` // of the event's days, from 0
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	IsBlocked bool      `json:"isBlocked,omitempty"` // by a session: there are no meetings
}

// An EventSession is a part of the programme.
type EventSession struct {
	Kind           SessionKind `json:"kind"`
	Title          Text        `json:"title"`
	Description    Text        `json:"description,omitempty"`
	Start          WallTime    `json:"start"`
	End            WallTime    `json:"end"`
	BlocksMeetings bool        `json:"blocksMeetings,omitempty"`
	Members        []ID        `json:"members,omitempty"` // who pitch or answer: each sends one person
	Speakers       []string    `json:"speakers,omitempty"`
	Link           string      `json:"link,omitempty"`

	StartsAt time.Time `json:"startsAt"` // kept by plan
	EndsAt   time.Time `json:"endsAt"`   // kept by plan
}

// A SessionKind is a kind of part of the programme.
type SessionKind string

// SessionKinds are all of them.
var SessionKinds = []SessionKind{"PLENARY", "CITY_PITCH", "COMPANY_ANSWERS", "BREAK", "OTHER"}

// An EventTable is where meetings take place: a table, a room, or a room
// online. Its name is that by which meetings refer to it.
type EventTable struct {
	Name   string `json:"name"`
	Link   string `json:"link,omitempty"`   // of a room online
	Member ID     `json:"member,omitempty"` // whose meetings alone take place there, all of them
}

// VisibleLink is the address of a room online, for the secretariat and the
// member whose room it is; nil for others, who have it from their meetings.
func (t *EventTable) VisibleLink(ctx context.Context) *string {
	if !onSide(ctx, t.Member) {
		return nil
	}
	return maybe(t.Link)
}

// VisibleLink is where a session can be followed, for members; nil for others.
func (s *EventSession) VisibleLink(ctx context.Context) *string {
	if !slices.Contains(groupsOf(ctx), Members) {
		return nil
	}
	return maybe(s.Link)
}

// A MeetingRule says that members of one kind may ask those of another for
// meetings. That those may ask, too, is another rule.
type MeetingRule struct {
	From MemberKind `json:"from"`
	To   MemberKind `json:"to"`
}

// A MemberKind is a kind of member: the kind of its document in capitals.
type MemberKind string

// MemberKinds are all of them.
var MemberKinds = []MemberKind{"CITY", "COMPANY", "INSTITUTION"}

// A LanguageRule says what an event does about pairs that share no language,
// and between whom nobody interprets.
type LanguageRule string

// The rules about languages.
const (
	LanguagesAny     LanguageRule = "ANY"     // nothing
	LanguagesPrefer  LanguageRule = "PREFER"  // they are not suggested
	LanguagesRequire LanguageRule = "REQUIRE" // they do not meet
)

// LanguageRules are all of them.
var LanguageRules = []LanguageRule{LanguagesAny, LanguagesPrefer, LanguagesRequire}

// Limits of events.
const (
	maxEventDays     = 20
	maxSlots         = 200
	maxEventSessions = 100
	maxTables        = 300
	maxInterpreters  = 100
	maxParticipants  = 1000 // so that one read of the store finds them all
	maxSlotMinutes   = 240
	blockMinutes     = int(claimBlock / time.Minute) // slots begin and end with blocks, by which time is claimed
)

func (*Event) kind() Kind    { return KindEvent }
func (*Event) parties() []ID { return nil }
func (e *Event) refs() []ID  { return nil }

// IsNode marks events as something with an id of its own.
func (*Event) IsNode() {}

func (e *Event) audience() []Group {
	if e.Phase == EventDraft {
		return []Group{Secretariat}
	}
	return []Group{Everyone}
}

func (e *Event) texts() []NamedText {
	texts := []NamedText{{"name", &e.Name}, {"description", &e.Description}, {"place", &e.Place}}
	for i := range e.Sessions {
		at := index("sessions", i)
		texts = append(texts, NamedText{at + ".title", &e.Sessions[i].Title}, NamedText{at + ".description", &e.Sessions[i].Description})
	}
	return texts
}

func (e *Event) validate(p *problems) {
	e.Name.check(p, "name", 160, true)
	e.Description.check(p, "description", 5000, false)
	e.Place.check(p, "place", 500, false)
	checkOne(p, "format", e.Format, EventFormats)
	checkOne(p, "phase", e.Phase, EventPhases)
	if e.Capacity != nil && (*e.Capacity < 2 || *e.Capacity > maxParticipants) {
		p.addf("capacity", "OUT_OF_RANGE", "must be 2 to %d participants", maxParticipants)
	}
	for _, f := range []struct {
		path     string
		n, least int
	}{{"slotMinutes", e.SlotMinutes, blockMinutes}, {"pauseMinutes", e.PauseMinutes, 0}} {
		if f.n < f.least || f.n > maxSlotMinutes {
			p.addf(f.path, "OUT_OF_RANGE", "must be %d to %d", f.least, maxSlotMinutes)
		} else if f.n%blockMinutes != 0 {
			p.addf(f.path, "INVALID", "must be a multiple of %d", blockMinutes)
		}
	}
	checkMeetings(p, &e.Minimum, &e.Maximum)
	checkOne(p, "languageRule", e.LanguageRule, LanguageRules)
	checkLanguages(p, "languages", e.Languages)
	checkLanguages(p, "interpreters", e.Interpreters)
	if n := e.InterpreterCount; n != nil && (*n < 0 || *n > maxInterpreters) {
		p.addf("interpreterCount", "OUT_OF_RANGE", "must be 0 to %d meetings at once", maxInterpreters)
	}
	if len(e.Rules) == 0 {
		p.add("rules", "REQUIRED", "must say who may ask whom, at least once")
	}
	checkSet(p, "rules", e.Rules, len(MemberKinds)*len(MemberKinds), func(r MeetingRule) bool {
		return slices.Contains(MemberKinds, r.From) && slices.Contains(MemberKinds, r.To)
	}, fmt.Sprintf("must be from one of %v to one of them", MemberKinds))
	e.checkSessions(p)
	e.checkTables(p)
	e.checkTimes(p)
}

// checkMeetings reports numbers of meetings that cannot be.
func checkMeetings(p *problems, minimum, maximum *int) {
	for _, f := range []struct {
		path string
		n    *int
	}{{"minimum", minimum}, {"maximum", maximum}} {
		if f.n != nil && (*f.n < 0 || *f.n > maxSlots) {
			p.addf(f.path, "OUT_OF_RANGE", "must be 0 to %d meetings", maxSlots)
		}
	}
	if minimum != nil && maximum != nil && *maximum < *minimum {
		p.add("maximum", "OUT_OF_RANGE", "must not be less than the minimum")
	}
}

func (e *Event) checkSessions(p *problems) {
	if !p.max("sessions", len(e.Sessions), maxEventSessions) {
		return
	}
	for i, s := range e.Sessions {
		at := index("sessions", i)
		checkOne(p, at+".kind", s.Kind, SessionKinds)
		s.Title.check(p, at+".title", 160, true)
		s.Description.check(p, at+".description", 500, false)
		checkSet(p, at+".members", s.Members, 50, isMember, "must be the id of a member")
		if p.max(at+".speakers", len(s.Speakers), 20) {
			for k, name := range s.Speakers {
				checkString(p, index(at+".speakers", k), name, 200, true)
			}
		}
		checkURL(p, at+".link", s.Link, false)
	}
}

func (e *Event) checkTables(p *problems) {
	if !p.max("tables", len(e.Tables), maxTables) {
		return
	}
	names := map[string]bool{}
	for i, t := range e.Tables {
		at := index("tables", i)
		checkString(p, at+".name", t.Name, 60, true)
		if names[t.Name] {
			p.add(at+".name", "DUPLICATE", "each table has a name of its own")
		}
		names[t.Name] = true
		checkURL(p, at+".link", t.Link, false)
		if t.Member != "" && !isMember(t.Member) {
			p.add(at+".member", "INVALID", "must be the id of a member")
		}
	}
}

// capacity is how many participants there can be.
func (e *Event) capacity() int {
	if e.Capacity == nil {
		return maxParticipants
	}
	return *e.Capacity
}

// date is the date of a phase; empty where it has none.
func (e *Event) date(phase EventPhase) PhaseDate {
	for _, d := range e.Dates {
		if d.Phase == phase {
			return d
		}
	}
	return PhaseDate{Phase: phase}
}
