package marketplace

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// A SheetKind says what is printed of an event.
type SheetKind string

// What can be printed of an event.
const (
	SheetParticipants SheetKind = "participants" // a list for each participant
	SheetTables       SheetKind = "tables"       // a card for each table
	SheetSlots        SheetKind = "slots"        // a list for each slot
	SheetAgenda       SheetKind = "agenda"       // that of one participant, with the programme
)

// EventSheets are pages to print, in one language. Every sheet begins on a new
// page.
type EventSheets struct {
	Language  Language
	FromRight bool
	Title     string // of the event
	Note      string // in which time zone the times are
	Empty     string // what is said where there are no sheets
	Sheets    []Sheet
}

// A Sheet is one list.
type Sheet struct {
	Title   string
	Columns []string
	Rows    [][]string
}

// maxPrinted bounds the meetings that are read for printing: those of the
// largest timetable.
const maxPrinted = MaxPlacements / MaxPage

var limitPrint = limited{name: "printing", account: throttleLimit{20, 5 * time.Second}}

// EventSheets are what is to be printed of an event, in the best of the
// languages: agendas for the people of the member and the secretariat, all else
// for the secretariat; ErrNotFound for others. One store operation for each
// 1,000 meetings, and one for each 500 members.
func (m *Market) EventSheets(ctx context.Context, slug string, kind SheetKind, member ID, wished []Language) (*EventSheets, error) {
	e, err := m.EventBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	if kind == SheetAgenda && !onSide(ctx, member) || kind != SheetAgenda && !onSide(ctx) {
		return nil, ErrNotFound
	}
	if err := m.limitUser(ctx, limitPrint); err != nil {
		return nil, err
	}
	b := phrasesFor(wished)
	p := &printer{Market: m, event: e, b: b, languages: append([]Language{b.language}, wished...), names: map[ID]string{}, out: &EventSheets{
		Language: b.language, FromRight: b.fromRight(), Empty: b.phrases["print.empty"], Note: b.say("print.zone", filling{"note": e.TimeZone})}}
	if t := e.Name.In(p.languages); t != nil {
		p.out.Title = t.Text
	}
	print := map[SheetKind]func(context.Context) error{SheetParticipants: p.participants, SheetTables: p.tables, SheetSlots: p.slots,
		SheetAgenda: func(ctx context.Context) error { return p.agenda(ctx, member) }}[kind]
	if print == nil {
		return nil, ErrNotFound
	}
	return p.out, print(ctx)
}

// A printer makes the sheets of one event.
type printer struct {
	*Market
	event     *Event
	b         *phrasebook
	languages []Language
	names     map[ID]string
	out       *EventSheets
}

// booked are the meetings of the event that take place, or have, earliest first.
func (p *printer) booked(ctx context.Context) ([]*Meeting, error) {
	var list []*Meeting
	q := Query{Where: []Condition{{Field: "event", Op: Eq, Value: p.event.ID}}, Sort: "startsAt", Limit: MaxPage}
	_, err := p.eachUpTo(ctx, KindMeeting, q, maxPrinted, func(doc entity) {
		if x := doc.(*Meeting); x.isBooked() {
			list = append(list, x)
		}
	})
	if err != nil {
		return nil, err
	}
	var ids []ID
	for _, x := range list {
		ids = append(ids, x.From, x.To)
	}
	return list, p.nameAll(ctx, ids)
}

// nameAll looks up what members are called.
func (p *printer) nameAll(ctx context.Context, ids []ID) error {
	for chunk := range slices.Chunk(distinct(ids...), reportChunk) {
		docs, err := p.load(ctx, chunk)
		if err != nil {
			return err
		}
		for i, doc := range docs {
			p.names[chunk[i]] = p.b.phrases["something"]
			if doc != nil {
				name, err := p.titleFor(ctx, doc, p.languages)
				if err != nil {
					return err
				}
				p.names[chunk[i]] = oneLine(name)
			}
		}
	}
	return nil
}

// clock is a time of the event by its clocks, "Tue 2027-03-02 09:30–09:50"
// without the name of the day, which would be of a language.
func (p *printer) clock(from, until time.Time) string {
	loc := cmp.Or(zoneNamed(p.event.TimeZone), time.UTC)
	return from.In(loc).Format("2006-01-02 15:04") + "–" + until.In(loc).Format("15:04")
}

func (p *printer) people(x *Meeting, side ID) string {
	return oneLine(strings.Join(x.namesOf(side), ", "))
}

func (p *printer) columns(names ...string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = p.b.phrases["print."+name]
	}
	return out
}

// place is where a meeting takes place, for a cell.
func (p *printer) place(x *Meeting) string {
	where := oneLine(x.Link)
	switch {
	case x.Table != "":
		where = oneLine(x.Table)
	case x.LostTable != "":
		where = p.b.phrases["print.lost"]
	}
	if !x.IsInterpreted {
		return where
	}
	return strings.TrimPrefix(where+", ", ", ") + p.b.phrases["print.interpreter"]
}

func (p *printer) participants(ctx context.Context) error {
	list, err := p.booked(ctx)
	if err != nil {
		return err
	}
	by := map[ID]*Sheet{}
	for _, x := range list {
		for _, side := range x.parties() {
			if by[side] == nil {
				by[side] = &Sheet{Title: p.names[side], Columns: p.columns("time", "table", "with", "theirs", "ours")}
			}
			other := x.other(side)
			by[side].Rows = append(by[side].Rows, []string{p.clock(*x.At, x.end()), p.place(x), p.names[other], p.people(x, other), p.people(x, side)})
		}
	}
	ids := slices.Sorted(maps.Keys(by))
	slices.SortStableFunc(ids, func(a, b ID) int { return cmp.Compare(by[a].Title, by[b].Title) })
	for _, id := range ids {
		p.out.Sheets = append(p.out.Sheets, *by[id])
	}
	return nil
}

func (p *printer) tables(ctx context.Context) error {
	list, err := p.booked(ctx)
	if err != nil {
		return err
	}
	for _, t := range p.event.Tables {
		s := Sheet{Title: oneLine(t.Name), Columns: p.columns("time", "member", "people", "member", "people")}
		for _, x := range list {
			if x.Table == t.Name {
				s.Rows = append(s.Rows, []string{p.clock(*x.At, x.end()), p.names[x.From], p.people(x, x.From), p.names[x.To], p.people(x, x.To)})
			}
		}
		p.out.Sheets = append(p.out.Sheets, s)
	}
	return nil
}

func (p *printer) slots(ctx context.Context) error {
	list, err := p.booked(ctx)
	if err != nil {
		return err
	}
	for _, slot := range p.event.Slots {
		if slot.IsBlocked {
			continue
		}
		s := Sheet{Title: p.clock(slot.StartsAt, slot.EndsAt), Columns: p.columns("table", "member", "people", "member", "people")}
		for _, x := range list {
			if x.At.Equal(slot.StartsAt) {
				s.Rows = append(s.Rows, []string{p.place(x), p.names[x.From], p.people(x, x.From), p.names[x.To], p.people(x, x.To)})
			}
		}
		slices.SortStableFunc(s.Rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
		p.out.Sheets = append(p.out.Sheets, s)
	}
	return nil
}

func (p *printer) agenda(ctx context.Context, member ID) error {
	r, err := p.RegistrationOf(ctx, p.event.ID, member)
	if err != nil {
		return err
	}
	items, err := p.Agenda(ctx, r, nil)
	if err != nil {
		return err
	}
	ids := []ID{member}
	for _, x := range items {
		if x.Meeting != nil {
			ids = append(ids, x.Meeting.other(member))
		}
	}
	if err := p.nameAll(ctx, ids); err != nil {
		return err
	}
	s := Sheet{Title: p.names[member], Columns: p.columns("time", "own", "table", "with", "theirs", "ours")}
	for _, x := range items {
		own := strings.Replace(x.OwnTime().Time, "T", " ", 1) + " " + x.OwnTime().Offset
		if x.Meeting == nil {
			title := ""
			if t := x.Session.Title.In(p.languages); t != nil {
				title = oneLine(t.Text)
			}
			s.Rows = append(s.Rows, []string{p.clock(x.StartsAt, x.EndsAt), own, "", title, oneLine(strings.Join(x.Session.Speakers, ", ")), ""})
			continue
		}
		other := x.Meeting.other(member)
		s.Rows = append(s.Rows, []string{p.clock(x.StartsAt, x.EndsAt), own, p.place(x.Meeting), p.names[other], p.people(x.Meeting, other), p.people(x.Meeting, member)})
	}
	if len(s.Rows) > 0 {
		p.out.Sheets = []Sheet{s}
	}
	return nil
}

// Columns of what the secretariat exports of an event.
var (
	eventMeetingColumns = slices.Concat(plainColumns("id", "event", "status", "at"), []column{
		{name: "minutes"}, {name: "table"}, {name: "lostTable"},
		{name: "booked", get: func(_ context.Context, doc entity) any {
			if doc.(*Meeting).Timetabled != nil {
				return "TIMETABLE"
			}
			return "LIVE"
		}},
		{name: "from"}, nameColumn("fromName", func(x *Meeting) ID { return x.From }), peopleColumn("fromPeople", func(x *Meeting) ID { return x.From }),
		{name: "to"}, nameColumn("toName", func(x *Meeting) ID { return x.To }), peopleColumn("toPeople", func(x *Meeting) ID { return x.To }),
		{name: "startedAt"}, {name: "delay"}, {name: "noShow"},
		outcomeColumn("fromOutcome", func(x *Meeting) ID { return x.From }), outcomeColumn("toOutcome", func(x *Meeting) ID { return x.To }),
	})
	eventParticipantColumns = slices.Concat(plainColumns("id", "event", "member"), []column{
		{name: "name", read: func(ctx context.Context, m *Market, doc entity) (any, error) {
			return m.nameOf(ctx, doc.(*Registration).Member, ViewerOf(ctx).Languages)
		}},
		{name: "status"}, {name: "requestedAt"},
		{name: "delegates", get: func(_ context.Context, doc entity) any {
			r := doc.(*Registration)
			names := make([]string, len(r.Delegates))
			for i, d := range r.Delegates {
				names[i] = d.Name
			}
			return names
		}},
		{name: "arrivals", get: func(_ context.Context, doc entity) any {
			r := doc.(*Registration)
			names := []string{}
			for _, d := range r.Delegates {
				if r.arrival(d.Person()) != nil {
					names = append(names, d.Name)
				}
			}
			return names
		}},
	})
	eventReportColumns = []column{{name: "part"}, {name: "of"}, {name: "what"}, {name: "count"}}
)

func nameColumn(name string, side func(*Meeting) ID) column {
	return column{name: name, read: func(ctx context.Context, m *Market, doc entity) (any, error) {
		return m.nameOf(ctx, side(doc.(*Meeting)), ViewerOf(ctx).Languages)
	}}
}

func peopleColumn(name string, side func(*Meeting) ID) column {
	return column{name: name, get: func(_ context.Context, doc entity) any { x := doc.(*Meeting); return x.namesOf(side(x)) }}
}

// A reportLine is one number of a report, as it is exported.
type reportLine struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Part  string `json:"part"` // PARTICIPANTS, WISHES, MEETINGS, REQUESTS, REGION, TOPIC, OUTCOMES, FOLLOW_UPS
	Of    string `json:"of,omitempty"`
	What  string `json:"what"`
	Count int    `json:"count"`
}

func (*reportLine) kind() Kind         { return "reportline" } // of no document in the store
func (*reportLine) validate(*problems) {}
func (*reportLine) parties() []ID      { return nil }
func (*reportLine) audience() []Group  { return nil }

// lines are the numbers of a report in their order.
func (r *EventReport) lines() []*reportLine {
	var out []*reportLine
	add := func(part, of, what string, n int) {
		out = append(out, &reportLine{Part: part, Of: of, What: what, Count: n})
	}
	meetings := func(part, of string, n MeetingCount) {
		for _, x := range []struct {
			what string
			n    int
		}{{"TIMETABLED", n.Timetabled}, {"LIVE", n.Live}, {"HELD", n.Held}, {"MISSED", n.Missed}, {"UNSAID", n.Unsaid}, {"AHEAD", n.Ahead},
			{"CANCELLED", n.Cancelled}, {"NO_SHOWS", n.NoShows}, {"DELAYED", n.Delayed}} {
			add(part, of, x.what, x.n)
		}
	}
	add("PARTICIPANTS", "", "REGISTERED", r.Registered)
	add("PARTICIPANTS", "", "APPROVED", r.Approved)
	add("PARTICIPANTS", "", "DELEGATES", r.Delegates)
	add("PARTICIPANTS", "", "CHECKED_IN", r.CheckedIn)
	for _, w := range r.Wishes {
		add("WISHES", string(w.Level), "WISHES", w.Wishes)
		add("WISHES", string(w.Level), "MET", w.Met)
		add("WISHES", string(w.Level), "HELD", w.Held)
	}
	meetings("MEETINGS", "", r.Meetings)
	add("REQUESTS", "", "SENT", r.Requests.Sent)
	add("REQUESTS", "", "ACCEPTED", r.Requests.Accepted)
	add("REQUESTS", "", "DECLINED", r.Requests.Declined)
	add("REQUESTS", "", "EXPIRED", r.Requests.Expired)
	add("REQUESTS", "", "OPEN", r.Requests.Open)
	for _, n := range r.ByRegion {
		meetings("REGION", string(n.Region), n.Meetings)
	}
	for _, n := range r.ByTopic {
		meetings("TOPIC", string(n.Topic), n.Meetings)
	}
	for _, o := range r.Outcomes {
		add("OUTCOMES", "", string(o.What), o.Sides)
	}
	add("FOLLOW_UPS", "", "PAIRS", r.Follow.Pairs)
	add("FOLLOW_UPS", "", "MEETINGS", r.Follow.Meetings)
	add("FOLLOW_UPS", "", "OFFERS", r.Follow.Offers)
	return out
}

// ExportEvent exports of an event, named by its id or slug, its meetings or
// its participants, for the secretariat, or its report, which is also there for
// the people of a member, of that member. ErrNotFound for others.
func (m *Market) ExportEvent(ctx context.Context, of, what string, member *ID) (*Export, error) {
	e, err := m.Event(ctx, ID(of))
	if errors.Is(err, ErrNotFound) {
		e, err = m.EventBySlug(ctx, of)
	}
	if err != nil {
		return nil, err
	}
	if what != "report" && (!onSide(ctx) || member != nil) {
		return nil, ErrNotFound
	}
	name := "event-" + e.Slug + "-" + what
	switch what {
	case "meetings":
		q := Query{Where: []Condition{{Field: "event", Op: Eq, Value: e.ID}}, Sort: "startsAt"}
		return &Export{Name: name, columns: eventMeetingColumns, rows: m.rows(ctx, KindMeeting, q, eventMeetingColumns, func(doc entity) bool { return doc.(*Meeting).At != nil })}, nil
	case "participants":
		return &Export{Name: name, columns: eventParticipantColumns, rows: m.rows(ctx, KindRegistration, registrationsIn(e.ID, 0, RegistrationStatuses...), eventParticipantColumns, nil)}, nil
	case "report":
		r, err := m.EventReport(ctx, e.ID, member)
		if err != nil {
			return nil, err
		}
		return &Export{Name: name, columns: eventReportColumns, rows: func(yield func(row, error) bool) {
			for _, line := range r.lines() {
				if !yield(row{ctx, m, line, eventReportColumns}, nil) {
					return
				}
			}
		}}, nil
	}
	return nil, ErrNotFound
}
