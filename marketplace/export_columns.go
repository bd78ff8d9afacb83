package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// plainColumns are fields that go out as they are.
func plainColumns(names ...string) []column {
	out := make([]column, len(names))
	for i, name := range names {
		out[i].name = name
	}
	return out
}

// textColumn is a field with texts in several languages.
func textColumn(name string) column { return column{name: name, text: true} }

// version is the revision, which commands can name.
var version = column{name: "version", get: func(_ context.Context, doc entity) any { return doc.meta().Version() }}

// isSample says of everything whether it was invented for demonstration.
var isSample = column{name: "isSample", get: func(_ context.Context, doc entity) any { return doc.meta().IsSample }}

// originalColumns are the original of a text and its language, for tables,
// which have columns for some languages only.
func originalColumns(get func(doc entity) Text) []column {
	part := func(f func(Translation) string) func(context.Context, entity) any {
		return func(_ context.Context, doc entity) any {
			if t := get(doc); len(t) > 0 {
				return f(t[0])
			}
			return nil
		}
	}
	return []column{
		{name: "originalTitle", table: true, get: part(func(t Translation) string { return t.Text })},
		{name: "originalLanguage", table: true, get: part(func(t Translation) string { return string(t.Language) })},
	}
}

func titleOf(doc entity) Text { return *doc.texts()[0].Text }

// deploymentsOf are a solution's deployments without the name of who
// confirmed them, which is the city's own affair.
func deploymentsOf(_ context.Context, doc entity) any {
	list := slices.Clone(doc.(*Solution).Deployments)
	for i := range list {
		if c := list[i].Confirmation; c != nil {
			shown := *c
			shown.By = ""
			list[i].Confirmation = &shown
		}
	}
	if list == nil {
		list = []Deployment{}
	}
	return list
}

// namesOf are the people of a team with their names.
func namesOf(ctx context.Context, m *Market, doc entity) (any, error) {
	type named struct {
		Person
		Name *string `json:"name"` // null where the account is gone
	}
	people := []named{}
	t := doc.(*Team)
	readsOf(ctx).expect(t.refs())
	for _, p := range t.People {
		u, err := get[*User](ctx, m, p.User)
		switch {
		case err == nil:
			people = append(people, named{p, &u.Name})
		case errors.Is(err, ErrNotFound):
			people = append(people, named{Person: p})
		default:
			return nil, err
		}
	}
	return people, nil
}

// Columns of the public lists. An import takes a row of solutions back; what
// it cannot set it passes over.
var (
	publicSolution = slices.Concat(
		plainColumns("id", "slug", "company"), originalColumns(titleOf),
		[]column{textColumn("title"), textColumn("summary"), textColumn("description")},
		plainColumns("topics", "sdgs", "technologies", "trl", "maturity", "priceModel", "priceBand"),
		[]column{textColumn("priceNote")},
		plainColumns("procurementRoutes", "regions", "countries", "supportLanguages"),
		[]column{{name: "deployments", get: deploymentsOf}},
		plainColumns("standards", "media", "publishedAt", "updatedAt"), []column{isSample},
	)
	publicProposal = slices.Concat(
		plainColumns("id", "slug", "city", "country", "region", "status", "stage"), originalColumns(titleOf),
		[]column{textColumn("title"), textColumn("problem")},
		plainColumns("asks", "topics", "sdgs", "budget", "funding", "startDate", "endDate", "procurementRoute", "partners", "languages", "deadline", "timeZone", "attachments", "followUps", "publishedAt", "updatedAt"),
		[]column{isSample},
	)
	publicMember = slices.Concat(
		[]column{{name: "kind", get: func(_ context.Context, doc entity) any { return strings.ToUpper(string(doc.kind())) }}},
		plainColumns("id", "slug"), originalColumns(titleOf),
		[]column{textColumn("name")}, plainColumns("otherNames", "formerNames", "abbreviation", "country", "region", "languages"),
		[]column{textColumn("profile")}, plainColumns("logo", "website", "joinedYear", "printed",
			"level", "timeZone", "coordinates", "population", "within", "identification",
			"size", "staff", "founded", "regionsServed", "countriesServed", "contactPolicy", "type", "updatedAt"),
		[]column{isSample},
	)
	publicTopic = slices.Concat(plainColumns("id", "slug", "parent", "order"), originalColumns(titleOf), []column{textColumn("label")})
)

// Columns of what a member owns.
var (
	ownSolution = slices.Concat(
		plainColumns("id", "slug", "company", "status", "title", "summary", "description", "topics", "sdgs", "technologies", "trl", "maturity", "priceModel", "priceBand", "priceNote",
			"procurementRoutes", "regions", "countries", "supportLanguages"),
		[]column{{name: "deployments", get: deploymentsOf}},
		plainColumns("standards", "media", "review", "imported", "publishedAt", "createdAt", "updatedAt"),
		[]column{version, isSample},
	)
	ownProposal = slices.Concat(
		plainColumns("id", "slug", "city", "status", "stage", "title", "problem", "asks", "topics", "sdgs", "budget", "funding", "startDate", "endDate", "procurementRoute",
			"partners", "languages", "deadline", "timeZone", "attachments", "followUps", "publishedAt", "createdAt", "updatedAt"),
		[]column{version, isSample},
	)
	ownProfile = slices.Concat(
		plainColumns("id", "slug", "name", "otherNames", "formerNames", "abbreviation", "country", "region", "languages", "profile", "logo", "website", "joinedYear", "printed"),
		[]column{version}, plainColumns("createdAt", "updatedAt"), []column{isSample},
	)
	ownCity        = slices.Concat(ownProfile, plainColumns("level", "timeZone", "coordinates", "population", "within", "identification"))
	ownCompany     = slices.Concat(ownProfile, plainColumns("size", "staff", "founded", "regionsServed", "countriesServed", "contactPolicy"))
	ownInstitution = slices.Concat(ownProfile, plainColumns("type"))
	ownInvitation  = plainColumns("id", "email", "role", "state", "languages", "by", "sentAt", "expiresAt", "createdAt")
	ownOffer       = plainColumns("id", "proposal", "city", "company", "solution", "status", "message", "links", "reason", "decidedAt", "createdAt", "updatedAt")
	ownMessage     = plainColumns("id", "thread", "proposal", "city", "company", "author", "authorName", "member", "text", "language", "mentions", "replyTo", "editedAt", "removal", "createdAt", "updatedAt")
	ownMeeting     = slices.Concat(
		plainColumns("id", "from", "to", "about", "status", "message", "minutes", "format", "link", "place", "times", "proposedBy", "at", "event", "table", "lostTable", "isInterpreted", "startedAt", "delay", "noShow", "participants"),
		[]column{{name: "guests", get: guestsOf}},
		plainColumns("reason", "expiresAt", "answeredAt", "acceptedAt"),
		[]column{outcomeColumn("fromOutcome", func(x *Meeting) ID { return x.From }), outcomeColumn("toOutcome", func(x *Meeting) ID { return x.To })},
		plainColumns("createdAt", "updatedAt"), []column{version},
	)
	ownImport    = plainColumns("id", "by", "name", "format", "publishes", "state", "companies", "lines", "added", "changed", "unchanged", "applied", "failed", "failures", "createdAt", "doneAt")
	ownUpload    = plainColumns("id", "subject", "by", "name", "type", "size", "hash", "width", "height", "createdAt")
	ownHours     = plainColumns("of", "timeZone", "hours", "exceptions", "noticeHours", "bufferBefore", "bufferAfter", "maxMeetings", "updatedAt")
	auditColumns = []column{
		{name: "id"}, {name: "at"}, {name: "by"}, {name: "action"}, {name: "subject"}, {name: "note"},
		{name: "address", get: func(ctx context.Context, doc entity) any { return doc.(*AuditEntry).VisibleAddress(ctx) }},
	}
)

// guestsOf are the delegates without an account in a meeting, without the word
// by which they are known, which can be their address: the other side reads it.
func guestsOf(_ context.Context, doc entity) any {
	type guest struct {
		Side ID     `json:"side"`
		Name string `json:"name"`
	}
	list := []guest{}
	for _, g := range doc.(*Meeting).Guests {
		list = append(list, guest{g.Side, g.Name})
	}
	return list
}

// outcomeColumn is what a side says came of a meeting, with what it has noted
// where the reader may see that.
func outcomeColumn(name string, side func(*Meeting) ID) column {
	return column{name: name, get: func(ctx context.Context, doc entity) any {
		x := doc.(*Meeting)
		o := x.Side(side(x)).Outcome()
		if o == nil {
			return nil
		}
		shown := *o.outcome
		shown.Note = text(o.Note(ctx))
		return shown
	}}
}

// A possession is a kind of thing that belongs to a member, and how what
// belongs to one is found: by its id, or by a query that an index answers.
type possession struct {
	kind    Kind
	id      func(member ID) ID
	query   func(member ID) Query
	columns []column
}

func profile(kind Kind, columns []column) possession {
	return possession{kind: kind, id: func(member ID) ID { return member }, columns: columns}
}

// listed is a possession whose field holds what belongs to the member.
func listed(kind Kind, field string, op Op, sort string, of func(member ID) ID, columns []column) possession {
	return possession{kind: kind, columns: columns, query: func(member ID) Query {
		return Query{Where: []Condition{{Field: field, Op: op, Value: of(member)}}, Sort: sort}
	}}
}

func itself(member ID) ID { return member }

// offersOf asks for the offers that a company made, or that a city got.
func offersOf(member ID) Query {
	return Query{Where: []Condition{{Field: string(member.Kind()), Op: Eq, Value: member}}, Sort: "createdAt"}
}

// possessions are what the export of a member holds, in its order. Every kind
// of document is here or among notPossessed; a test holds that.
var possessions = []possession{
	profile(KindCity, ownCity),
	profile(KindCompany, ownCompany),
	profile(KindInstitution, ownInstitution),
	{kind: KindTeam, id: teamID, columns: []column{{name: "id"}, {name: "member"}, {name: "people", read: namesOf}}},
	listed(KindTicket, "team", Eq, "createdAt", teamID, ownInvitation),
	listed(KindSolution, "company", Eq, "createdAt", itself, ownSolution),
	listed(KindProposal, "city", Eq, "createdAt", itself, ownProposal),
	{kind: KindOffer, query: offersOf, columns: ownOffer},              // that it made, or that were made to it
	listed(KindMessage, "member", Eq, "createdAt", itself, ownMessage), // that were written on its behalf
	{kind: KindMeeting, query: func(member ID) Query { return meetingQuery(concern(member, ""), MeetingFilter{}, false) }, columns: ownMeeting},
	listed(KindImport, "companies", Has, "createdAt", itself, ownImport),
	listed(KindCase, "asker", Eq, "createdAt", itself, ownCase),
	{kind: KindCandidacy, query: candidaciesOf, columns: ownCandidacy}, // in which it was contacted
	listed(KindRegistration, "member", Eq, "createdAt", itself, ownRegistration),
	listed(KindWishList, "member", Eq, "createdAt", itself, ownWishList), // for its own people alone
	listed(KindUpload, "member", Eq, "createdAt", itself, ownUpload),
	{kind: KindStances, id: stancesID, columns: plainColumns("id", "member", "list", "createdAt", "updatedAt")}, // for its owners alone
	{kind: KindAvailability, id: availabilityID, columns: ownHours},
	listed(KindAudit, "readers", Has, "moment", itself, auditColumns),
}

// notPossessed says why kinds are not in the export of a member.
var notPossessed = map[Kind]string{
	KindUser:         "belongs to a person; the team says who they are",
	KindSession:      "belongs to a person, and is a secret's hash",
	KindToken:        "belongs to a person, and is a secret's hash",
	KindThread:       "follows from the messages",
	KindCalendarFeed: "belongs to a person, and is a secret's hash",
	KindSavedSearch:  "belongs to a person",
	KindNotification: "belongs to a person",
	KindWebhook:      "its address may hold a secret, and nobody else can use the rest",
	KindDelivery:     "follows from the audit log",
	kindRound:        "the program's own",
	KindCaseNote:     "belongs to the secretariat",
	KindCaseTally:    "follows from the candidacies",
	KindMeetingTally: "follows from the meetings",
	KindReport:       "belongs to the secretariat",
	KindTopic:        "belongs to the network, and is public",
	kindConduct:      "the program's own",
	KindSettings:     "belongs to the network, and is public",
	KindEvent:        "belongs to the network, and is public",
	KindPairing:      "belongs to the secretariat",
	KindRun:          "belongs to the secretariat",
	KindTimetable:    "belongs to the secretariat",
	KindDraft:        "belongs to the secretariat",
	KindPublication:  "belongs to the secretariat; what it makes are meetings",
	kindPosition:     "the program's own",
	kindImportPart:   "the program's own; what came of it is in the solutions",
}
