package graph_test

import "citymarket/marketplace"

// aCase is one of Oslo's that an officer has taken.
func (f *fixture) aCase() marketplace.ID {
	c, err := f.market.AskForPartner(f.someone("city_oslo"), marketplace.AskForPartnerInput{Member: "city_oslo", Content: marketplace.Patch{"wanted": english(f.word())}})
	f.must(err)
	_, err = f.market.MoveCase(f.act("officer"), marketplace.MoveCaseInput{ID: c.ID, Move: marketplace.TakeCase})
	f.must(err)
	f.cases = append(f.cases, c.ID)
	return c.ID
}

// candidate is Acme in such a case, that far.
func candidate(moves ...marketplace.CandidacyMove) func(*fixture) map[string]any {
	return id(func(f *fixture) marketplace.ID {
		d, err := f.market.AddCandidate(f.system(), marketplace.AddCandidateInput{Case: f.aCase(), Candidate: "company_acme"})
		f.must(err)
		for _, move := range moves {
			_, err := f.market.MoveCandidate(f.system(), marketplace.MoveCandidateInput{ID: d.ID, Move: move})
			f.must(err)
		}
		return d.ID
	})
}

// caseMutations and caseReads are the rows of the matrix about cases and statistics.
var caseMutations = []attempt{
	{what: "askForPartner", query: `mutation($word: String!) { askForPartner(input: {member: "city_oslo", content: {wanted: [{language: "en", text: $word}]}}) { case { id } errors { code } } }`, on: nothing},
	{what: "editCase", query: `mutation($id: ID!) { editCase(input: {id: $id, content: {countries: ["KE"]}}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "moveCase: release", query: `mutation($id: ID!) { moveCase(input: {id: $id, move: RELEASE}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "moveCase: close", query: `mutation($id: ID!) { moveCase(input: {id: $id, move: CLOSE, outcome: NOT_FOUND, note: "x"}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "moveCase: withdraw", query: `mutation($id: ID!) { moveCase(input: {id: $id, move: WITHDRAW}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "handOverCase", query: `mutation($id: ID!) { handOverCase(input: {id: $id, to: "user_admin"}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		f.enter(f.t, "admin")
		return f.aCase()
	})},
	{what: "addCaseNote", query: `mutation($id: ID!) { addCaseNote(input: {case: $id, text: "x"}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "addCandidate", query: `mutation($id: ID!) { addCandidate(input: {case: $id, candidate: "company_acme"}) { errors { code } } }`, on: id((*fixture).aCase)},
	{what: "editCandidate, introduced", query: `mutation($id: ID!) { editCandidate(input: {id: $id, content: {reason: "x"}}) { errors { code } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE")},
	{what: "moveCandidate, listed", query: `mutation($id: ID!) { moveCandidate(input: {id: $id, move: CONTACT}) { errors { code } } }`, on: candidate()},
	{what: "moveCandidate, introduced", query: `mutation($id: ID!) { moveCandidate(input: {id: $id, move: CHOOSE}) { errors { code } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE")},
	{what: "writeToCandidate, contacted", query: `mutation($id: ID!) { writeToCandidate(input: {id: $id, text: "x"}) { errors { code } } }`, on: candidate("CONTACT")},
	{what: "answerCandidacy, listed", query: `mutation($id: ID!) { answerCandidacy(input: {id: $id, isInterested: true}) { errors { code } } }`, on: candidate()},
	{what: "answerCandidacy, contacted", query: `mutation($id: ID!) { answerCandidacy(input: {id: $id, isInterested: true}) { errors { code } } }`, on: candidate("CONTACT")},
	{what: "answerCandidacy, introduced", query: `mutation($id: ID!) { answerCandidacy(input: {id: $id, isInterested: false}) { errors { code } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE")},
	{what: "proposeCaseMeeting, introduced", query: `mutation($id: ID!) { proposeCaseMeeting(input: {candidacy: $id, content: {}}) { errors { code } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE")},
}

var caseReads = []attempt{
	{what: "a case by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).aCase), seen: `"node":{"id"`},
	{what: "the cases of Oslo", query: `{ cases(member: "city_oslo") { nodes { id } } }`, on: id((*fixture).aCase), seen: `"case_`},
	{what: "the cases of all", query: `{ caseQueue { nodes { id } } }`, on: id((*fixture).aCase), seen: `"case_`},
	{what: "what happened to a case", query: `query($id: ID!) { caseTimeline(case: $id) { nodes { action } } }`, on: id(func(f *fixture) marketplace.ID {
		c := f.aCase()
		f.must(f.market.CatchUp(f.t.Context()))
		return c
	}), seen: `"TAKE"`},
	{what: "notes about a case", query: `query($id: ID!) { caseNotes(case: $id) { nodes { text } } }`, on: id(func(f *fixture) marketplace.ID {
		c := f.aCase()
		_, err := f.market.AddCaseNote(f.system(), marketplace.AddCaseNoteInput{Case: c, Text: "x"})
		f.must(err)
		return c
	}), seen: `"text"`},
	{what: "a candidate by node, listed", query: `query($id: ID!) { node(id: $id) { id } }`, on: candidate(), seen: `"node":{"id"`},
	{what: "a candidate by node, contacted", query: `query($id: ID!) { node(id: $id) { id } }`, on: candidate("CONTACT"), seen: `"node":{"id"`},
	{what: "a candidate by node, introduced", query: `query($id: ID!) { node(id: $id) { id } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE"), seen: `"node":{"id"`},
	{what: "who asks, of a candidate contacted", query: `query($id: ID!) { node(id: $id) { ... on Candidacy { asker { id } } } }`, on: candidate("CONTACT"), seen: `"city_oslo"`},
	{what: "who asks, of one introduced", query: `query($id: ID!) { node(id: $id) { ... on Candidacy { asker { id } } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE"), seen: `"city_oslo"`},
	{what: "what was written to a candidate", query: `query($id: ID!) { node(id: $id) { ... on Candidacy { letters { text } answers { note } } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE"), seen: `"letters":[]`},
	{what: "why a candidate was listed", query: `query($id: ID!) { node(id: $id) { ... on Candidacy { createdAt } } }`, on: candidate("CONTACT", "NOTE_INTEREST", "INTRODUCE"), seen: `"createdAt":"`},
	{what: "the candidacies of Acme", query: `{ candidacies(of: "company_acme", last: 1) { nodes { id } } }`, on: candidate("CONTACT"), seen: `"candidacy_`},
	{what: "statistics of the network", query: `{ statistics(from: "2027-01", to: "2027-01") { total { requests } } }`, on: nothing, seen: `"requests"`},
	{what: "statistics of Acme", query: `{ statistics(member: "company_acme", from: "2027-01", to: "2027-01") { total { requests } } }`, on: nothing, seen: `"requests"`},
	{what: "statistics of officers", query: `{ officerStatistics(from: "2020-01", to: "2020-01") { cases } }`, on: nothing, seen: `"officerStatistics":[]`},
}
