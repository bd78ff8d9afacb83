package graph_test

import (
	"time"

	"citymarket/marketplace"
)

// hall is an event with two tables whose timetable is published, at which Acme
// and Oslo take part, with a meeting of the two and what is needed around it.
func (f *fixture) hall() map[string]any {
	day := marketplace.Date(time.Now().AddDate(0, 1, 0).Format(time.DateOnly))
	e := &marketplace.Event{Meta: marketplace.Meta{Slug: f.word() + "-hall"}, Phase: marketplace.EventPublished, Name: english("Hall " + f.word()), Format: "ON_SITE", TimeZone: "UTC",
		Days: []marketplace.EventDay{{Date: day, Start: "09:00", End: "12:00"}}, SlotMinutes: 20, Maximum: 5, LanguageRule: "ANY",
		Tables:   []marketplace.EventTable{{Name: "T1", Link: "https://meet.example/1"}, {Name: "T2", Link: "https://meet.example/2"}},
		Sessions: []marketplace.EventSession{{Kind: "PLENARY", Title: english("Opening"), Start: marketplace.WallTime(day + "T08:30"), End: marketplace.WallTime(day + "T09:00"), Link: "https://meet.example/opening"}},
		Rules:    []marketplace.MeetingRule{{From: "CITY", To: "COMPANY"}, {From: "COMPANY", To: "CITY"}}}
	f.must(f.market.AddEvent(marketplace.InBulk(f.system()), e))
	acme, oslo := f.register(e.ID, "company_acme", "APPROVE"), f.register(e.ID, "city_oslo", "APPROVE")
	f.register(e.ID, "city_lima", "APPROVE")
	_, err := f.market.EditRegistration(f.system(), marketplace.EditRegistrationInput{ID: acme, Content: marketplace.Patch{"delegates": []any{
		map[string]any{"name": "Ada " + f.word()}, map[string]any{"name": "Alf " + f.word()}}}})
	f.must(err)
	x, err := f.market.BookEventMeeting(f.system(), marketplace.BookEventMeetingInput{Event: e.ID, From: "company_acme", To: "city_oslo", Slot: e.Slots[0].StartsAt, Table: new("T1"), Delegates: []string{"ada " + f.word()}})
	f.must(err)
	return map[string]any{"event": e.ID, "slug": e.Slug, "id": x.ID, "acme": acme, "oslo": oslo, "slot": e.Slots[1].StartsAt.Format(time.RFC3339),
		"ada": "ada " + f.word(), "alf": "alf " + f.word()}
}

func inHall(f *fixture) map[string]any { return f.hall() }

// lostInHall is a hall that has lost its first table.
func lostInHall(f *fixture) map[string]any {
	v := f.hall()
	_, err := f.market.LoseTable(f.system(), marketplace.LoseTableInput{Event: v["event"].(marketplace.ID), Table: "T1"})
	f.must(err)
	return v
}

// askedInHall is a request of Oslo's for another meeting in a hall: the first
// one was called off.
func askedInHall(f *fixture) map[string]any {
	v := f.hall()
	_, err := f.market.CallOffMeeting(f.system(), marketplace.CallOffMeetingInput{ID: v["id"].(marketplace.ID), Reason: "x"})
	f.must(err)
	at, err := time.Parse(time.RFC3339, v["slot"].(string))
	f.must(err)
	x, err := f.market.BookEventMeeting(f.someone("city_oslo"), marketplace.BookEventMeetingInput{Event: v["event"].(marketplace.ID), From: "city_oslo", To: "company_acme", Slot: at})
	f.must(err)
	v["id"] = x.ID
	return v
}

// overInHall is a hall whose event is over.
func overInHall(f *fixture) map[string]any {
	v := f.hall()
	_, err := f.market.MoveEvent(f.system(), marketplace.MoveEventInput{ID: v["event"].(marketplace.ID), Move: marketplace.EventClose})
	f.must(err)
	return v
}

func init() {
	mutations = append(mutations, []attempt{
		{what: "bookEventMeeting of Acme", query: `mutation($event: ID!, $slot: DateTime!) { bookEventMeeting(input: {event: $event, from: "company_acme", to: "city_lima", slot: $slot}) { errors { code } } }`, on: inHall},
		{what: "acceptMeeting at an event", query: `mutation($id: ID!, $slot: DateTime!, $alf: String!) { acceptMeeting(input: {id: $id, time: $slot, delegates: [$alf]}) { errors { code } } }`, on: askedInHall},
		{what: "moveEventMeeting", query: `mutation($id: ID!, $slot: DateTime!) { moveEventMeeting(input: {id: $id, slot: $slot}) { errors { code } } }`, on: inHall},
		{what: "callOffMeeting", query: `mutation($id: ID!) { callOffMeeting(input: {id: $id, reason: "x"}) { errors { code } } }`, on: inHall},
		{what: "startMeeting before it begins", query: `mutation($id: ID!) { startMeeting(input: {id: $id}) { errors { code } } }`, on: inHall},
		{what: "reportDelay of Acme", query: `mutation($id: ID!) { reportDelay(input: {id: $id, as: "company_acme", minutes: 5}) { errors { code } } }`, on: inHall},
		{what: "reportNoShow before it begins", query: `mutation($id: ID!) { reportNoShow(input: {id: $id, sides: ["city_oslo"]}) { errors { code } } }`, on: inHall},
		{what: "swapDelegate of Acme", query: `mutation($id: ID!, $alf: String!) { swapDelegate(input: {id: $id, as: "company_acme", people: [$alf]}) { errors { code } } }`, on: inHall},
		{what: "replaceDelegate of Acme", query: `mutation($acme: ID!, $ada: String!, $alf: String!) { replaceDelegate(input: {id: $acme, out: $ada, in: $alf}) { errors { code } } }`, on: inHall},
		{what: "checkIn for Acme", query: `mutation($acme: ID!, $ada: String!) { checkIn(input: {id: $acme, delegate: $ada}) { errors { code } } }`, on: inHall},
		{what: "addWalkIn", query: `mutation($event: ID!) { addWalkIn(input: {event: $event, member: "company_rival", content: {delegates: [{name: "Rita"}]}}) { errors { code } } }`, on: inHall},
		{what: "loseTable", query: `mutation($event: ID!) { loseTable(input: {event: $event, table: "T1"}) { errors { code } } }`, on: inHall},
		{what: "restoreTable", query: `mutation($event: ID!) { restoreTable(input: {event: $event, table: "T1"}) { errors { code } } }`, on: lostInHall},
	}...)
	reads = append(reads, []attempt{
		{what: "free slots of Acme", query: `query($event: ID!) { freeSlots(event: $event, member: "company_acme", with: "city_oslo") { startsAt } }`, on: inHall, seen: `"startsAt"`},
		{what: "the agenda of Acme", query: `query($acme: ID!) { node(id: $acme) { ... on Registration { agenda { meeting { id } } } } }`, on: inHall, seen: `"meeting_`},
		{what: "who has come for Acme", query: `query($acme: ID!) { node(id: $acme) { ... on Registration { arrivals { person } } } }`, on: inHall, seen: `"arrivals":[`},
		{what: "the report of an event", query: `query($event: ID!) { eventReport(event: $event) { approved } }`, on: inHall, seen: `"approved"`},
		{what: "the report of an event that is over", query: `query($event: ID!) { eventReport(event: $event) { approved } }`, on: overInHall, seen: `"approved"`},
		{what: "where to follow a session", query: `query($event: ID!) { event(by: {id: $event}) { sessions { link } } }`, on: inHall, seen: `"link":"http`},
		{what: "the address of a room", query: `query($event: ID!) { event(by: {id: $event}) { tables { link } } }`, on: inHall, seen: `"link":"http`},
		{what: "the report of Acme", query: `query($event: ID!) { eventReport(event: $event, member: "company_acme") { approved } }`, on: inHall, seen: `"approved"`},
		{what: "meetings in trouble", query: `query($event: ID!) { event(by: {id: $event}) { troubledMeetings { nodes { id } } } }`, on: func(f *fixture) map[string]any {
			v := f.hall()
			for _, table := range []string{"T1", "T2"} {
				_, err := f.market.LoseTable(f.system(), marketplace.LoseTableInput{Event: v["event"].(marketplace.ID), Table: table})
				f.must(err)
			}
			f.must(f.market.CatchUp(f.t.Context()))
			return v
		}, seen: `"meeting_`},
	}...)
}
