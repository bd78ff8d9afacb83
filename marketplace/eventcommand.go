package marketplace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// eventContent are the fields that a client may give.
var eventContent = []string{
	"name", "description", "format", "timeZone", "place", "dates", "movesOnTime", "days", "slotMinutes", "pauseMinutes", "sessions", "tables",
	"capacity", "rules", "minimum", "maximum", "languages", "interpreters", "interpreterCount", "languageRule",
}

// timetableContent are those on which a timetable rests: while one is
// published they stay.
var timetableContent = []string{"timeZone", "days", "slotMinutes", "pauseMinutes", "rules"}

// newEvent is an event as it is where a client says nothing else.
func newEvent() *Event {
	return &Event{Phase: EventDraft, Format: "ONLINE", SlotMinutes: 20, PauseMinutes: 5, Maximum: 12, LanguageRule: LanguagesPrefer,
		Rules: []MeetingRule{{"CITY", "COMPANY"}, {"COMPANY", "CITY"}}}
}

// CreateEventInput is what CreateEvent takes.
type CreateEventInput struct {
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// CreateEvent drafts an event: a name, a time zone and a day will do.
func (m *Market) CreateEvent(ctx context.Context, in CreateEventInput) (*Event, error) {
	e := newEvent()
	if err := applyPatch(in.Content, e, eventContent); err != nil {
		return nil, err
	}
	return named(ctx, m, e, e.Name, in.Key, m.AddEvent)
}

// AddEvent adds an event with what its fields say. The members that it names
// must exist.
func (m *Market) AddEvent(ctx context.Context, e *Event) error {
	if err := MayArrangeEvent.check(ctx, e); err != nil {
		return err
	}
	if err := m.checkEvent(ctx, e); err != nil {
		return err
	}
	return create(ctx, m, MayArrangeEvent, e)
}

// checkEvent derives what follows from an event's fields and compares its
// references with what is there.
func (m *Market) checkEvent(ctx context.Context, e *Event) error {
	e.plan(m.clock())
	var p problems
	p.list = problemsOf(check(e)) // all mistakes are told together
	var ids []ID
	var paths []string
	for i, s := range e.Sessions[:min(len(e.Sessions), maxEventSessions)] {
		for k, id := range s.Members {
			ids, paths = append(ids, id), append(paths, index(index("sessions", i)+".members", k))
		}
	}
	for i, t := range e.Tables[:min(len(e.Tables), maxTables)] {
		ids, paths = append(ids, t.Member), append(paths, index("tables", i)+".member")
	}
	for chunk := range slices.Chunk(ids, MaxValues) {
		at := paths[:len(chunk)]
		if err := m.checkRefs(ctx, &p, chunk, func(i int) string { return at[i] }); err != nil {
			return err
		}
		paths = paths[len(chunk):]
	}
	if n := len(stored(e)); n > maxEventSize && p.err() == nil {
		p.addf("", "TOO_LONG", "is too large: %d bytes of %d; shorten the texts of the sessions", n, maxEventSize)
	}
	return p.err()
}

// maxEventSize leaves room in the document for marks and translations.
const maxEventSize = MaxDocumentSize / 2

// EditEventInput is what EditEvent takes.
type EditEventInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditEvent changes an event. What a timetable rests on cannot be changed
// while one is published: take it back first.
func (m *Market) EditEvent(ctx context.Context, in EditEventInput) (*Event, error) {
	return update(ctx, m, MayArrangeEvent, in.ID, versionOf(in.Version), func(e *Event) error {
		var p problems
		if slices.Index(EventPhases, e.Phase) >= slices.Index(EventPhases, EventPublished) {
			for _, name := range slices.Sorted(maps.Keys(in.Content)) {
				if slices.Contains(timetableContent, name) {
					p.addf(name, "INVALID", "can be changed until the timetable is %s, and the event is %s", EventPublished, e.Phase)
				}
			}
		}
		if err := p.err(); err != nil {
			return err
		}
		e.mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, e, eventContent); err != nil {
			return err
		}
		return m.checkEvent(ctx, e)
	})
}

// MoveEventInput is what MoveEvent takes.
type MoveEventInput struct {
	ID      ID
	Version *int
	Move    EventMove
	Note    *string // for the audit log
}

// MoveEvent takes a step in the life of an event. A step back ends that the
// event moves by itself, since its dates would bring it forward again.
func (m *Market) MoveEvent(ctx context.Context, in MoveEventInput) (*Event, error) {
	step, err := eventMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, step.may, in.ID, versionOf(in.Version), func(e *Event) error {
		return m.moveEvent(e, step, text(in.Note))
	})
}

// moveEvent is what a step changes, whoever takes it.
func (m *Market) moveEvent(e *Event, step move[EventMove, EventPhase], note string) error {
	before := e.Phase
	if err := step.take(&e.Meta, &e.Phase, note); err != nil {
		return err
	}
	now := m.clock()
	if until := e.date(e.Phase).UntilAt; until != nil && !now.Before(*until) && (e.Phase == EventRegistration || e.Phase == EventWishes) {
		return invalid("move", "OUT_OF_RANGE", fmt.Sprintf("the date until which %s lasts has passed: change it first", e.Phase))
	}
	if slices.Index(EventPhases, e.Phase) < slices.Index(EventPhases, before) {
		e.MovesOnTime = false
	}
	if e.Phase == EventWishes {
		e.RemindedAt = &now // whoever has just been told needs no reminder of what was due before
	}
	e.DueAt = e.due(now)
	return nil
}

// DeleteEvent deletes a draft for which nobody has registered.
func (m *Market) DeleteEvent(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayArrangeEvent, id, versionOf(version), func(e *Event) error {
		if e.Phase != EventDraft {
			return invalid("id", "INVALID", "is no draft any more: close it instead")
		}
		n, err := m.count(ctx, KindRegistration, registrationsIn(e.ID, 1, RegistrationStatuses...))
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("id", "INVALID", "has registrations: close it instead")
		}
		e.mark("DELETE", original(e.Name))
		e.IsDeleted = true
		return nil
	})
	return err
}

// CopyEventInput is what CopyEvent takes.
type CopyEventInput struct {
	ID      ID
	Start   Date  // the first day of the copy
	Content Patch // what is to differ from the original
	Key     *string
}

// CopyEvent drafts an event like another one. All its times are those of the
// original by the clock, so many days later (or earlier) as it begins later.
// Who takes part in sessions and whose a table is, is not copied.
func (m *Market) CopyEvent(ctx context.Context, in CopyEventInput) (*Event, error) {
	from, err := m.Event(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := MayArrangeEvent.check(ctx, from); err != nil {
		return nil, err
	}
	var p problems
	if in.Start.check(&p, "start"); p.err() != nil {
		return nil, p.err()
	}
	e := from.copy(in.Start)
	if err := applyPatch(in.Content, e, eventContent); err != nil {
		return nil, err
	}
	return named(ctx, m, e, e.Name, in.Key, m.AddEvent)
}

// copy is a draft of the same event that begins on another day.
func (e *Event) copy(start Date) *Event {
	days := daysBetween(e.Days[0].Date, start)
	c := &Event{Meta: Meta{IsSample: e.IsSample}, Name: e.Name, Description: e.Description, Format: e.Format, TimeZone: e.TimeZone, Place: e.Place,
		Phase: EventDraft, SlotMinutes: e.SlotMinutes, PauseMinutes: e.PauseMinutes, Capacity: e.Capacity, Rules: e.Rules, Minimum: e.Minimum,
		Maximum: e.Maximum, Languages: e.Languages, Interpreters: e.Interpreters, InterpreterCount: e.InterpreterCount, LanguageRule: e.LanguageRule}
	shift := func(w *WallTime) *WallTime {
		if w == nil {
			return nil
		}
		return new(w.later(days))
	}
	for _, d := range e.Dates {
		c.Dates = append(c.Dates, PhaseDate{Phase: d.Phase, From: shift(d.From), Until: shift(d.Until)})
	}
	for _, d := range e.Days {
		d.Date = d.Date.later(days)
		c.Days = append(c.Days, d)
	}
	for _, s := range e.Sessions {
		s.Start, s.End, s.Members, s.Speakers = s.Start.later(days), s.End.later(days), nil, nil
		c.Sessions = append(c.Sessions, s)
	}
	for _, t := range e.Tables {
		c.Tables = append(c.Tables, EventTable{Name: t.Name, Link: t.Link})
	}
	return c
}

// daysBetween is how many days later another day is.
func daysBetween(from, to Date) int {
	a, err1 := time.Parse(time.DateOnly, string(from))
	b, err2 := time.Parse(time.DateOnly, string(to))
	if err1 != nil || err2 != nil {
		return 0
	}
	return int(b.Sub(a) / (24 * time.Hour))
}

// later is the day so many days later.
func (d Date) later(days int) Date {
	day, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return d
	}
	return Date(day.AddDate(0, 0, days).Format(time.DateOnly))
}

// takesRegistrations says what stands against registering at a moment.
func (e *Event) takesRegistrations(now time.Time) error {
	until := e.date(EventRegistration).UntilAt
	switch {
	case e.Phase != EventRegistration && e.Phase != EventWishes:
		return invalid("event", "INVALID", fmt.Sprintf("takes registrations while it is %s or %s, and is %s", EventRegistration, EventWishes, e.Phase))
	case until != nil && !now.Before(*until):
		return invalid("event", "OUT_OF_RANGE", fmt.Sprintf("takes no more registrations: it did until %s in %s", *e.date(EventRegistration).Until, e.TimeZone))
	}
	return nil
}

// takesWishes says what stands against changing wishes at a moment.
func (e *Event) takesWishes(now time.Time) error {
	until := e.date(EventWishes).UntilAt
	switch {
	case e.Phase != EventWishes:
		return invalid("event", "INVALID", fmt.Sprintf("takes wishes while it is %s, and is %s", EventWishes, e.Phase))
	case until != nil && !now.Before(*until):
		return invalid("event", "OUT_OF_RANGE", fmt.Sprintf("takes no more wishes: it did until %s in %s", *e.date(EventWishes).Until, e.TimeZone))
	}
	return nil
}

// TakesRegistrations says whether members can register now.
func (m *Market) TakesRegistrations(e *Event) bool { return e.takesRegistrations(m.clock()) == nil }

// TakesWishes says whether participants can say now whom they wish to meet.
func (m *Market) TakesWishes(e *Event) bool { return e.takesWishes(m.clock()) == nil }

// EventPermissions are what a viewer may do with an event now.
type EventPermissions struct {
	Edit   bool
	Delete bool // that it is a draft; it can have registrations all the same
	Copy   bool
	Moves  []EventMove
	// Register says that there is a member for which they could register.
	Register bool
}

// EventPermissions says what the viewer may do with an event now.
func (m *Market) EventPermissions(ctx context.Context, e *Event) *EventPermissions {
	may := MayArrangeEvent.allows(ctx, e)
	register := m.TakesRegistrations(e) || MayDecideRegistration.allows(ctx, e)
	return &EventPermissions{Edit: may, Copy: may, Delete: may && e.Phase == EventDraft, Moves: eventMoves.open(ctx, e, e.Phase),
		Register: register && MayRegister.checkFor(ctx, actorOf(ctx).members()...) == nil}
}

// Event returns an event, or ErrNotFound.
func (m *Market) Event(ctx context.Context, id ID) (*Event, error) { return get[*Event](ctx, m, id) }

// EventBySlug returns the event that has this slug, or ErrNotFound.
func (m *Market) EventBySlug(ctx context.Context, slug string) (*Event, error) {
	return bySlugOf[*Event](ctx, m, KindEvent, slug)
}

// Events lists events in some phases, in any where none is named: the one that
// begins last comes first. Drafts are for the secretariat alone.
func (m *Market) Events(ctx context.Context, phases []EventPhase, s Slice) (*Page[*Event], error) {
	var p problems
	checkSet(&p, "phases", phases, len(EventPhases), oneOf(EventPhases), fmt.Sprintf("must be one of %v", EventPhases))
	if err := p.err(); err != nil {
		return nil, err
	}
	if len(phases) == 0 {
		phases = EventPhases
	}
	if !slices.Contains(groupsOf(ctx), Secretariat) {
		phases = slices.DeleteFunc(slices.Clone(phases), func(x EventPhase) bool { return x == EventDraft })
	}
	if len(phases) == 0 {
		return emptyPage[*Event](s)
	}
	list, err := page[*Event](ctx, m, KindEvent, Query{Where: []Condition{{Field: "phase", Op: In, Values: values(phases)}}, Sort: "startsAt", Descending: true}, s)
	if err == nil {
		for _, e := range list.Nodes() {
			readsOf(ctx).expect(viewerRegistrations(ctx, e))
		}
	}
	return list, err
}

// viewerRegistrations are the ids that registrations of the viewer's members have.
func viewerRegistrations(ctx context.Context, e *Event) []ID {
	var ids []ID
	for _, member := range actorOf(ctx).members() {
		ids = append(ids, registrationID(e.ID, member))
	}
	return ids
}

// ViewerRegistrations are the registrations of the viewer's members for an event.
func (m *Market) ViewerRegistrations(ctx context.Context, e *Event) ([]*Registration, error) {
	return several[*Registration](ctx, m, viewerRegistrations(ctx, e))
}

// SessionMembers are the members that take part in a session.
func (m *Market) SessionMembers(ctx context.Context, s *EventSession) ([]Member, error) {
	return several[Member](ctx, m, s.Members)
}

// TableMember is the member whose table it is; ErrNotFound where it is anybody's.
func (m *Market) TableMember(ctx context.Context, t *EventTable) (Member, error) {
	return m.Member(ctx, t.Member)
}

// MeetingsOf are how many meetings a participant is to have at the least and
// at the most.
func (e *Event) MeetingsOf(r *Registration) (minimum, maximum int) {
	minimum, maximum = e.Minimum, e.Maximum
	if r.Maximum != nil {
		maximum = *r.Maximum
	}
	if r.Minimum != nil {
		minimum = *r.Minimum
	}
	return min(minimum, maximum), maximum
}

// allows says whether members of one kind may ask those of another.
func (e *Event) allows(from, to ID) bool {
	return slices.Contains(e.Rules, MeetingRule{memberKindOf(from), memberKindOf(to)})
}

// canTalk says whether two participants share a language or somebody
// interprets between them. Of whom no language is known it is not known that
// they cannot.
func (e *Event) canTalk(a, b *Registration) bool {
	return len(a.Languages) == 0 || len(b.Languages) == 0 || shareLanguage(a.Languages, b.Languages) || e.interprets(a, b)
}

// interprets says whether somebody interprets between two participants when
// they meet: they share no language, one of them wants it, and it can be had.
func (e *Event) interprets(a, b *Registration) bool {
	return len(a.Languages) > 0 && len(b.Languages) > 0 && !shareLanguage(a.Languages, b.Languages) &&
		(a.WantsInterpreter || b.WantsInterpreter) && shareLanguage(a.Languages, e.Interpreters) && shareLanguage(b.Languages, e.Interpreters)
}

func shareLanguage(one, other []Language) bool {
	return slices.ContainsFunc(one, func(l Language) bool {
		return slices.ContainsFunc(other, func(k Language) bool { return l == k || closeLanguages(l, k) || closeLanguages(k, l) })
	})
}

// Names of the pages of events in the API.
type (
	EventConnection = Page[*Event]
	EventEdge       = PageEdge[*Event]
)

// eventOf is the event of a registration and the like, whoever may see it, as
// it is at this moment.
func (m *Market) eventOf(ctx context.Context, id ID) (*Event, error) {
	e, err := get[*Event](withSight(ctx), m, id)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("event", "NOT_FOUND", "there is no such event")
	}
	return e, err
}
