package graph_test

import (
	"strings"
	"time"

	"citymarket/marketplace"
)

// event is an event in a phase, at which Acme and Oslo take part where they do.
func (f *fixture) event(phase marketplace.EventPhase, participants ...marketplace.ID) marketplace.ID {
	day := marketplace.Date(time.Now().AddDate(0, 1, 0).Format(time.DateOnly))
	e := &marketplace.Event{Meta: marketplace.Meta{Slug: f.word() + "-" + strings.ToLower(string(phase))}, Phase: phase, Name: english("Meeting " + f.word()), Format: "ONLINE", TimeZone: "Asia/Seoul",
		Days: []marketplace.EventDay{{Date: day, Start: "09:00", End: "12:00"}}, SlotMinutes: 20, Maximum: 5, LanguageRule: "ANY",
		Rules: []marketplace.MeetingRule{{From: "CITY", To: "COMPANY"}, {From: "COMPANY", To: "CITY"}}}
	f.must(f.market.AddEvent(marketplace.InBulk(f.system()), e))
	for _, member := range participants {
		f.register(e.ID, member, "APPROVE")
	}
	return e.ID
}

// register registers a member and takes steps with its registration.
func (f *fixture) register(event, member marketplace.ID, moves ...marketplace.RegistrationMove) marketplace.ID {
	r, err := f.market.Register(f.system(), marketplace.RegisterInput{Event: event, Member: member, Content: marketplace.Patch{
		"delegates": []any{map[string]any{"name": f.word(), "email": f.word() + "@example.org"}}}})
	f.must(err)
	for _, move := range moves {
		ctx := f.system()
		if move == "WITHDRAW" {
			ctx = f.someone(member)
		}
		_, err = f.market.MoveRegistration(ctx, marketplace.MoveRegistrationInput{ID: r.ID, Move: move, Reason: new("Why not.")})
		f.must(err)
	}
	return r.ID
}

func eventIn(phase marketplace.EventPhase, participants ...marketplace.ID) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID { return f.event(phase, participants...) })
}

// registrationOf is a registration of Acme for an event with which steps were taken.
func registrationOf(moves ...marketplace.RegistrationMove) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID {
		return f.register(f.event("REGISTRATION"), "company_acme", moves...)
	})
}

// wished are the wishes of Acme at an event.
func wished(f *fixture) map[string]any {
	event := f.event("WISHES", "company_acme", "city_oslo")
	w, err := f.market.SetWish(f.someone("company_acme"), marketplace.SetWishInput{Event: event, Member: "company_acme", Wish: marketplace.WishInput{With: "city_oslo", Level: "MUST", Note: new("a word on " + f.word())}})
	f.must(err)
	return map[string]any{"id": w.ID, "event": event, "registration": w.Registration}
}

func paired(f *fixture) map[string]any {
	event := f.event("WISHES", "company_acme", "city_oslo")
	x, err := f.market.SetPairing(f.system(), marketplace.SetPairingInput{Event: event, A: "company_acme", B: "city_oslo", Level: "MUST"})
	f.must(err)
	return map[string]any{"id": x.ID, "event": event}
}

// drafted is an event in whose draft Acme and Oslo meet, with a run and a publication.
func drafted(f *fixture) map[string]any {
	event, ctx := f.event("DRAFTING"), f.system()
	e, err := f.market.Event(ctx, event)
	f.must(err)
	for _, member := range []marketplace.ID{"company_acme", "city_oslo"} {
		r, err := f.market.Register(ctx, marketplace.RegisterInput{Event: event, Member: member, Content: marketplace.Patch{"delegates": []any{map[string]any{"name": f.word() + " of " + string(member)}}}})
		f.must(err)
		_, err = f.market.MoveRegistration(ctx, marketplace.MoveRegistrationInput{ID: r.ID, Move: "APPROVE"})
		f.must(err)
	}
	_, err = f.market.AddPlacement(ctx, marketplace.PlaceInput{Event: event, A: "company_acme", B: "city_oslo", Slot: &e.Slots[0].StartsAt})
	f.must(err)
	r, err := f.market.StartRun(ctx, marketplace.StartRunInput{Event: event, Mode: "NEW"})
	f.must(err)
	x, err := f.market.PublishTimetable(ctx, marketplace.PublishTimetableInput{Event: event})
	f.must(err)
	d, err := f.market.DraftOf(ctx, event)
	f.must(err)
	return map[string]any{"id": event, "run": r.ID, "draft": d.ID, "publication": x.ID, "slot": e.Slots[1].StartsAt.Format(time.RFC3339)}
}

func init() {
	mutations = append(mutations, []attempt{
		{what: "createEvent", query: `mutation { createEvent(input: {content: {}}) { errors { code } } }`, on: nothing},
		{what: "copyEvent", query: `mutation($id: ID!) { copyEvent(input: {id: $id, start: "2999-03-02"}) { errors { code } } }`, on: eventIn("CLOSED")},
		{what: "editEvent, a draft", query: `mutation($id: ID!) { editEvent(input: {id: $id, content: {capacity: 10}}) { errors { code } } }`, on: eventIn("DRAFT")},
		{what: "editEvent, open", query: `mutation($id: ID!) { editEvent(input: {id: $id, content: {capacity: 10}}) { errors { code } } }`, on: eventIn("REGISTRATION")},
		{what: "moveEvent: open wishes", query: `mutation($id: ID!) { moveEvent(input: {id: $id, move: OPEN_WISHES}) { errors { code } } }`, on: eventIn("REGISTRATION")},
		{what: "deleteEvent", query: `mutation($id: ID!) { deleteEvent(input: {id: $id}) { errors { code } } }`, on: eventIn("DRAFT")},
		{what: "register Acme", query: `mutation($id: ID!) { register(input: {event: $id, member: "company_acme", content: {delegates: [{name: "Ada"}]}}) { errors { code } } }`, on: eventIn("REGISTRATION")},
		{what: "register Acme when it is late", query: `mutation($id: ID!) { register(input: {event: $id, member: "company_acme", content: {delegates: [{name: "Ada"}]}}) { errors { code } } }`, on: eventIn("PUBLISHED")},
		{what: "editRegistration", query: `mutation($id: ID!) { editRegistration(input: {id: $id, content: {maximum: 3}}) { errors { code } } }`, on: registrationOf("APPROVE")},
		{what: "translate an event", query: `mutation($id: ID!) { translate(input: {id: $id, language: "ko", texts: [{field: "name", text: "만남"}]}) { errors { code } } }`, on: eventIn("REGISTRATION")},
		{what: "moveRegistration: approve", query: `mutation($id: ID!) { moveRegistration(input: {id: $id, move: APPROVE}) { errors { code } } }`, on: registrationOf()},
		{what: "moveRegistration: decline", query: `mutation($id: ID!) { moveRegistration(input: {id: $id, move: DECLINE, reason: "x"}) { errors { code } } }`, on: registrationOf("APPROVE")},
		{what: "moveRegistration: withdraw", query: `mutation($id: ID!) { moveRegistration(input: {id: $id, move: WITHDRAW}) { errors { code } } }`, on: registrationOf("APPROVE")},
		{what: "moveRegistration: renew", query: `mutation($id: ID!) { moveRegistration(input: {id: $id, move: RENEW}) { errors { code } } }`, on: registrationOf("WITHDRAW")},
		{what: "setWishes of Acme", query: `mutation($id: ID!) { setWishes(input: {event: $id, member: "company_acme", wishes: []}) { errors { code } } }`, on: eventIn("WISHES", "company_acme")},
		{what: "setWish of Acme", query: `mutation($id: ID!) { setWish(input: {event: $id, member: "company_acme", wish: {with: "city_oslo", level: WANT}}) { errors { code } } }`, on: eventIn("WISHES", "company_acme", "city_oslo")},
		{what: "removeWish of Acme", query: `mutation($id: ID!) { removeWish(input: {event: $id, member: "company_acme", with: "city_oslo"}) { errors { code } } }`, on: eventIn("WISHES", "company_acme", "city_oslo")},
		{what: "setPairing", query: `mutation($id: ID!) { setPairing(input: {event: $id, a: "company_acme", b: "city_oslo", level: MUST}) { errors { code } } }`, on: eventIn("WISHES", "company_acme", "city_oslo")},
		{what: "startRun", query: `mutation($id: ID!) { startRun(input: {event: $id}) { errors { code } } }`, on: eventIn("DRAFTING")},
		{what: "cancelRun", query: `mutation($run: ID!) { cancelRun(input: {id: $run}) { errors { code } } }`, on: drafted},
		{what: "useRun", query: `mutation($run: ID!) { useRun(input: {run: $run}) { errors { code } } }`, on: drafted},
		{what: "addPlacement", query: `mutation($id: ID!, $slot: DateTime!) { addPlacement(input: {event: $id, a: "company_acme", b: "city_oslo", slot: $slot}) { errors { code } } }`, on: drafted},
		{what: "movePlacement", query: `mutation($id: ID!, $slot: DateTime!) { movePlacement(input: {event: $id, a: "company_acme", b: "city_oslo", slot: $slot}) { errors { code } } }`, on: drafted},
		{what: "removePlacement", query: `mutation($id: ID!) { removePlacement(input: {event: $id, a: "company_acme", b: "city_oslo"}) { errors { code } } }`, on: drafted},
		{what: "lockPlacement", query: `mutation($id: ID!) { lockPlacement(input: {event: $id, a: "company_acme", b: "city_oslo"}) { errors { code } } }`, on: drafted},
		{what: "unlockPlacement", query: `mutation($id: ID!) { unlockPlacement(input: {event: $id, a: "company_acme", b: "city_oslo"}) { errors { code } } }`, on: drafted},
		{what: "swapPlacements", query: `mutation($id: ID!) { swapPlacements(input: {event: $id, a: "company_acme", b: "city_oslo", otherA: "company_rival", otherB: "city_oslo"}) { errors { code } } }`, on: drafted},
		{what: "undoDraft", query: `mutation($id: ID!) { undoDraft(input: {event: $id}) { errors { code } } }`, on: drafted},
		{what: "publishTimetable", query: `mutation($id: ID!) { publishTimetable(input: {event: $id}) { errors { code } } }`, on: drafted},
		{what: "removePairing", query: `mutation($id: ID!) { removePairing(input: {id: $id}) { errors { code } } }`, on: paired},
	}...)
	reads = append(reads, []attempt{
		{what: "a draft of an event by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: eventIn("DRAFT"), seen: `"node":{"id"`},
		{what: "an event by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: eventIn("REGISTRATION"), seen: `"node":{"id"`},
		{what: "drafts of events", query: `{ events(phases: [DRAFT]) { nodes { id } } }`, on: eventIn("DRAFT"), seen: `"event_`},
		{what: "a registration by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: registrationOf(), seen: `"node":{"id"`},
		{what: "a participant by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: registrationOf("APPROVE"), seen: `"node":{"id"`},
		{what: "who comes for a participant", query: `query($id: ID!) { node(id: $id) { ... on Registration { delegates { email } freeSlots { delegate { email } } } } }`, on: registrationOf("APPROVE"), seen: `@example.org`},
		{what: "participants of an event", query: `query($id: ID!) { event(by: {id: $id}) { participants { nodes { id } } } }`, on: eventIn("REGISTRATION", "company_acme"), seen: `"registration_`},
		{what: "registrations for an event", query: `query($id: ID!) { registrations(of: $id) { nodes { id } } }`, on: eventIn("REGISTRATION", "company_acme"), seen: `"registration_`},
		{what: "registrations of a company", query: `{ registrations(of: "company_acme") { nodes { id } } }`, on: eventIn("REGISTRATION", "company_acme"), seen: `"registration_`},
		{what: "wishes by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: wished, seen: `"node":{"id"`},
		{what: "what a participant wishes", query: `query($registration: ID!) { node(id: $registration) { ... on Registration { wishes { note } } } }`, on: wished, seen: `"a word on`},
		{what: "the list of wishes", query: `query($registration: ID!) { node(id: $registration) { ... on Registration { wishList { wishes { note } } } } }`, on: wished, seen: `"a word on`},
		{what: "suggestions for a participant", query: `query($id: ID!) { event(by: {id: $id}) { participants { nodes { suggestions { registration { id } } } } } }`, on: eventIn("WISHES", "company_acme", "city_oslo"), seen: `"suggestions":[{`},
		{what: "a pairing by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: paired, seen: `"node":{"id"`},
		{what: "a run by node", query: `query($run: ID!) { node(id: $run) { id } }`, on: drafted, seen: `"node":{"id"`},
		{what: "a run", query: `query($run: ID!) { run(id: $run) { number } }`, on: drafted, seen: `"number"`},
		{what: "the runs of an event", query: `query($id: ID!) { event(by: {id: $id}) { runs { nodes { id } } } }`, on: drafted, seen: `"run_`},
		{what: "a draft of a timetable by node", query: `query($draft: ID!) { node(id: $draft) { id } }`, on: drafted, seen: `"node":{"id"`},
		{what: "the draft of a timetable", query: `query($id: ID!) { event(by: {id: $id}) { draft { placements { totalCount } conflicts { errors { code } } unplaced { totalCount } difference { same } } } }`, on: drafted, seen: `"totalCount"`},
		{what: "a publication by node", query: `query($publication: ID!) { node(id: $publication) { id } }`, on: drafted, seen: `"node":{"id"`},
		{what: "the publications of an event", query: `query($id: ID!) { event(by: {id: $id}) { publication { number } publications { nodes { id } } } }`, on: drafted, seen: `"publication_`},
		{what: "the pairings of an event", query: `query($event: ID!) { pairings(event: $event) { nodes { id } } }`, on: paired, seen: `"pairing_`},
	}...)
}
