package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// everybody are the columns of the matrix: what is tried belongs to Acme, or
// to Oslo where it is a city's.
var everybody = []string{
	"visitor", "stranger", "acme viewer", "acme editor", "acme owner", "rival viewer", "rival editor", "rival owner",
	"oslo viewer", "oslo editor", "oslo owner", "network editor", "officer", "admin",
}

// An attempt is one row of the matrix: something that everybody tries, each
// on things of their own that nobody has touched.
type attempt struct {
	what  string
	query string
	// on makes what it is tried on, and the variables.
	on func(f *fixture) map[string]any
	// seen is a part of the answer that only those get who may see the thing.
	seen string
}

// mutations are all there are; a test holds that.
var mutations = []attempt{
	{what: "signIn", query: `mutation($word: String!) { signIn(input: {email: $word, password: "none"}) { errors { code } } }`, on: nothing},
	{what: "signOut", query: `mutation { signOut { errors { code } } }`, on: nothing},
	{what: "endSession of somebody else", query: `mutation { endSession(input: {id: "session_stage"}) { errors { code } } }`, on: nothing},
	{what: "endOtherSessions", query: `mutation { endOtherSessions { errors { code } } }`, on: nothing},
	{what: "requestReset", query: `mutation($word: String!) { requestReset(input: {email: $word}) { errors { code } } }`, on: nothing},
	{what: "resetPassword", query: `mutation { resetPassword(input: {link: "x", password: "x"}) { errors { code } } }`, on: nothing},
	{what: "changePassword", query: `mutation { changePassword(input: {current: "wrong", password: "x"}) { errors { code } } }`, on: nothing},
	{what: "requestEmail", query: `mutation { requestEmail(input: {email: "x@example.org", password: "wrong"}) { errors { code } } }`, on: nothing},
	{what: "confirmEmail", query: `mutation { confirmEmail(input: {link: "x"}) { errors { code } } }`, on: nothing},
	{what: "setUpFactor", query: `mutation { setUpFactor(input: {password: "wrong"}) { errors { code } } }`, on: nothing},
	{what: "confirmFactor", query: `mutation { confirmFactor(input: {code: "000000"}) { errors { code } } }`, on: nothing},
	{what: "removeFactor", query: `mutation { removeFactor(input: {password: "wrong", code: "000000"}) { errors { code } } }`, on: nothing},
	{what: "removeIdentity", query: `mutation { removeIdentity(input: {issuer: "x", subject: "x"}) { errors { code } } }`, on: nothing},
	{what: "addToken", query: `mutation($at: DateTime!) { addToken(input: {name: "x", scope: READ, expiresAt: $at}) { errors { code } } }`, on: func(*fixture) map[string]any {
		return map[string]any{"at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	}},
	{what: "revokeToken of somebody else", query: `mutation($id: ID!) { revokeToken(input: {id: $id}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		t, _, err := f.market.AddToken(f.act("lima editor"), marketplace.AddTokenInput{Name: "x", Scope: "READ", ExpiresAt: time.Now().Add(time.Hour)})
		f.must(err)
		f.must(f.market.RevokeToken(f.act("lima editor"), t.ID)) // so that there are never too many
		t, _, err = f.market.AddToken(f.act("lima editor"), marketplace.AddTokenInput{Name: "x", Scope: "READ", ExpiresAt: time.Now().Add(time.Hour)})
		f.must(err)
		return t.ID
	})},
	{what: "editUser, oneself", query: `mutation { editUser(input: {content: {languages: ["en"]}}) { errors { code } } }`, on: nothing},
	{what: "editUser, somebody else", query: `mutation($id: ID!) { editUser(input: {id: $id, content: {languages: ["en"]}}) { errors { code } } }`, on: id((*fixture).user)},
	{what: "suspendUser", query: `mutation($id: ID!) { suspendUser(input: {id: $id, suspended: true}) { errors { code } } }`, on: id((*fixture).user)},

	{what: "invite to a member", query: `mutation($word: String!) { invite(input: {email: $word, member: "company_acme", role: EDITOR}) { errors { code } } }`, on: func(f *fixture) map[string]any {
		return map[string]any{"word": f.word() + "@example.org"}
	}},
	{what: "invite to the secretariat", query: `mutation($word: String!) { invite(input: {email: $word, role: ADMIN}) { errors { code } } }`, on: func(f *fixture) map[string]any {
		return map[string]any{"word": f.word() + "@example.org"}
	}},
	{what: "revokeInvitation", query: `mutation($id: ID!) { revokeInvitation(input: {id: $id}) { errors { code } } }`, on: id((*fixture).invitation)},
	{what: "resendInvitation", query: `mutation($id: ID!) { resendInvitation(input: {id: $id}) { errors { code } } }`, on: id((*fixture).invitation)},
	{what: "acceptInvitation", query: `mutation { acceptInvitation(input: {link: "x"}) { errors { code } } }`, on: nothing},
	{what: "setRole in a member", query: `mutation($id: ID!) { setRole(input: {member: "company_acme", user: $id, role: OWNER}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		u := f.user()
		f.must(f.market.PlaceInTeam(f.system(), "company_acme", u, "VIEWER"))
		return u
	})},
	{what: "setRole in the secretariat", query: `mutation($id: ID!) { setRole(input: {user: $id, role: EDITOR}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		u := f.user()
		f.must(f.market.PlaceInTeam(f.system(), "", u, "OFFICER"))
		return u
	})},
	{what: "noteStance for a city", query: `mutation($id: ID!) { noteStance(input: {member: "city_oslo", subject: $id, kind: NOT_INTERESTED}) { errors { code } } }`, on: solutionIn("PUBLISHED")},
	{what: "editSettings", query: `mutation { editSettings(input: {content: {reviewsSolutions: true}}) { errors { code } } }`, on: nothing},

	{what: "createCity", query: `mutation { createCity(input: {content: {}}) { errors { code } } }`, on: nothing},
	{what: "editCity", query: `mutation { editCity(input: {id: "city_oslo", content: {website: "https://oslo.example"}}) { errors { code } } }`, on: nothing},
	{what: "editCity, its country", query: `mutation { editCity(input: {id: "city_oslo", content: {country: "NO"}}) { errors { code } } }`, on: nothing},
	{what: "createCompany", query: `mutation { createCompany(input: {content: {}}) { errors { code } } }`, on: nothing},
	{what: "editCompany", query: `mutation { editCompany(input: {id: "company_acme", content: {website: "https://acme.example"}}) { errors { code } } }`, on: nothing},
	{what: "createInstitution", query: `mutation { createInstitution(input: {content: {}}) { errors { code } } }`, on: nothing},
	{what: "editInstitution", query: `mutation($id: ID!) { editInstitution(input: {id: $id, content: {website: "https://example.org"}}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		i := &marketplace.Institution{Meta: marketplace.Meta{Slug: f.word()}, Type: "ACADEMIC"}
		i.Name, i.Country, i.Region = english("The "+f.word()), "NO", marketplace.Europe
		f.must(f.market.AddInstitution(f.system(), i))
		return i.ID
	})},
	{what: "createTopic", query: `mutation { createTopic(input: {content: {}}) { errors { code } } }`, on: nothing},
	{what: "editTopic", query: `mutation { editTopic(input: {id: "topic_noise", content: {order: 1}}) { errors { code } } }`, on: nothing},
	{what: "translate a solution", query: `mutation($id: ID!) { translate(input: {id: $id, language: "ko", texts: [{field: "title", text: "벽"}]}) { errors { code } } }`, on: solutionIn("PUBLISHED")},
	{what: "translate a proposal", query: `mutation($id: ID!) { translate(input: {id: $id, language: "ko", texts: [{field: "title", text: "소음"}]}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "translate a member", query: `mutation { translate(input: {id: "company_acme", language: "ko", texts: [{field: "name", text: "아크메"}]}) { errors { code } } }`, on: nothing},
	{what: "translate a topic", query: `mutation { translate(input: {id: "topic_noise", language: "ko", texts: [{field: "label", text: "소음"}]}) { errors { code } } }`, on: nothing},

	{what: "createSolution", query: `mutation($word: String!) { createSolution(input: {company: "company_acme", content: {title: [{language: "en", text: $word}]}}) { errors { code } } }`, on: nothing},
	{what: "editSolution, a draft", query: `mutation($id: ID!) { editSolution(input: {id: $id, content: {trl: 3}}) { errors { code } } }`, on: solutionIn("DRAFT")},
	{what: "editSolution, published", query: `mutation($id: ID!) { editSolution(input: {id: $id, content: {trl: 3}}) { errors { code } } }`, on: solutionIn("PUBLISHED")},
	{what: "moveSolution: submit", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: SUBMIT}) { errors { code } } }`, on: solutionIn("DRAFT")},
	{what: "moveSolution: withdraw", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: WITHDRAW}) { errors { code } } }`, on: solutionIn("IN_REVIEW")},
	{what: "moveSolution: approve", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: APPROVE}) { errors { code } } }`, on: solutionIn("IN_REVIEW")},
	{what: "moveSolution: return", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: RETURN}) { errors { code } } }`, on: solutionIn("IN_REVIEW")},
	{what: "moveSolution: publish", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: PUBLISH}) { errors { code } } }`, on: solutionIn("DRAFT")},
	{what: "moveSolution: archive", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: ARCHIVE}) { errors { code } } }`, on: solutionIn("PUBLISHED")},
	{what: "moveSolution: restore", query: `mutation($id: ID!) { moveSolution(input: {id: $id, move: RESTORE}) { errors { code } } }`, on: solutionIn("ARCHIVED")},
	{what: "duplicateSolution", query: `mutation($id: ID!) { duplicateSolution(input: {id: $id}) { errors { code } } }`, on: solutionIn("PUBLISHED")},
	{what: "deleteSolution", query: `mutation($id: ID!) { deleteSolution(input: {id: $id}) { errors { code } } }`, on: solutionIn("DRAFT")},
	{what: "confirmDeployment", query: `mutation($id: ID!) { confirmDeployment(input: {solution: $id, version: 1, deployment: 0, confirmed: true}) { errors { code } } }`, on: solutionIn("PUBLISHED")},

	{what: "deleteUpload, of a draft", query: `mutation($id: ID!) { deleteUpload(input: {id: $id}) { errors { code } } }`, on: uploadFor("DRAFT", false)},
	{what: "deleteUpload, of what is published", query: `mutation($id: ID!) { deleteUpload(input: {id: $id}) { errors { code } } }`, on: uploadFor("PUBLISHED", false)},
	{what: "deleteUpload, in use", query: `mutation($id: ID!) { deleteUpload(input: {id: $id}) { errors { code } } }`, on: uploadFor("PUBLISHED", true)},

	{what: "createProposal", query: `mutation($word: String!) { createProposal(input: {city: "city_oslo", content: {title: [{language: "en", text: $word}], problem: [{language: "en", text: $word}]}}) { errors { code } } }`, on: nothing},
	{what: "editProposal, a draft", query: `mutation($id: ID!) { editProposal(input: {id: $id, content: {sdgs: [11]}}) { errors { code } } }`, on: proposalIn("DRAFT")},
	{what: "editProposal, published", query: `mutation($id: ID!) { editProposal(input: {id: $id, content: {sdgs: [11]}}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "moveProposal: publish", query: `mutation($id: ID!) { moveProposal(input: {id: $id, move: PUBLISH}) { errors { code } } }`, on: proposalIn("DRAFT")},
	{what: "moveProposal: close", query: `mutation($id: ID!) { moveProposal(input: {id: $id, move: CLOSE}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "setStage", query: `mutation($id: ID!) { setStage(input: {id: $id, stage: PLANNED}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "addFollowUp", query: `mutation($id: ID!) { addFollowUp(input: {proposal: $id, content: {text: [{language: "en", text: "Done."}]}}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "deleteProposal", query: `mutation($id: ID!) { deleteProposal(input: {id: $id}) { errors { code } } }`, on: proposalIn("DRAFT")},

	{what: "makeOffer", query: `mutation($id: ID!) { makeOffer(input: {proposal: $id, solution: "solution_acme", content: {message: [{language: "en", text: "Ours."}]}}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "editOffer", query: `mutation($id: ID!) { editOffer(input: {id: $id, content: {message: [{language: "en", text: "Better."}]}}) { errors { code } } }`, on: id((*fixture).offer)},
	{what: "moveOffer: withdraw", query: `mutation($id: ID!) { moveOffer(input: {id: $id, move: WITHDRAW}) { errors { code } } }`, on: id((*fixture).offer)},
	{what: "moveOffer: shortlist", query: `mutation($id: ID!) { moveOffer(input: {id: $id, move: SHORTLIST}) { errors { code } } }`, on: id((*fixture).offer)},
	{what: "writeMessage to all members", query: `mutation($id: ID!) { writeMessage(input: {proposal: $id, text: "Hello"}) { errors { code } } }`, on: proposalIn("PUBLISHED")},
	{what: "writeMessage between city and company", query: `mutation($id: ID!) { writeMessage(input: {proposal: $id, company: "company_acme", text: "Hello"}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		d, err := f.market.Message(f.system(), f.message(true))
		f.must(err)
		return d.Proposal
	})},
	{what: "editMessage", query: `mutation($id: ID!) { editMessage(input: {id: $id, text: "Hello"}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID { return f.message(false) })},
	{what: "removeMessage", query: `mutation($id: ID!) { removeMessage(input: {id: $id}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID { return f.message(false) })},
	{what: "reportMessage", query: `mutation($id: ID!) { reportMessage(input: {message: $id, reason: "Rude"}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID { return f.message(false) })},
	{what: "reportMessage, a private one", query: `mutation($id: ID!) { reportMessage(input: {message: $id, reason: "Rude"}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID { return f.message(true) })},
	{what: "requestMeeting", query: `mutation($at: DateTime!) { requestMeeting(input: {from: "company_acme", to: "city_lima", content: {message: [{language: "en", text: "Hello"}], minutes: 30, format: ONLINE, times: [$at]}}) { errors { code } } }`, on: func(f *fixture) map[string]any {
		return map[string]any{"at": f.meetingTime().Format(time.RFC3339)}
	}},
	{what: "acceptMeeting", query: `mutation($id: ID!, $at: DateTime!) { acceptMeeting(input: {id: $id, time: $at}) { errors { code } } }`, on: asked},
	{what: "counterMeeting", query: `mutation($id: ID!, $later: DateTime!) { counterMeeting(input: {id: $id, times: [$later]}) { errors { code } } }`, on: asked},
	{what: "declineMeeting", query: `mutation($id: ID!) { declineMeeting(input: {id: $id, reason: "No"}) { errors { code } } }`, on: asked},
	{what: "cancelMeeting, what others ask for", query: `mutation($id: ID!) { cancelMeeting(input: {id: $id, reason: "No"}) { errors { code } } }`, on: asked},
	{what: "cancelMeeting, agreed", query: `mutation($id: ID!) { cancelMeeting(input: {id: $id, reason: "No"}) { errors { code } } }`, on: agreed},
	{what: "rescheduleMeeting", query: `mutation($id: ID!, $later: DateTime!) { rescheduleMeeting(input: {id: $id, times: [$later]}) { errors { code } } }`, on: agreed},
	{what: "setMeetingPeople", query: `mutation($id: ID!) { setMeetingPeople(input: {id: $id, people: ["user_acme-editor"]}) { errors { code } } }`, on: agreed},
	{what: "setMeetingPlace", query: `mutation($id: ID!) { setMeetingPlace(input: {id: $id, content: {format: ON_SITE}}) { errors { code } } }`, on: agreed},
	{what: "recordOutcome before it began", query: `mutation($id: ID!) { recordOutcome(input: {id: $id, what: AGREED}) { errors { code } } }`, on: agreed},
	{what: "saveSearch", query: `mutation { saveSearch(input: {name: "x", criteria: {text: "noise"}}) { errors { code } } }`, on: nothing},
	{what: "editSavedSearch of somebody else", query: `mutation($id: ID!) { editSavedSearch(input: {id: $id, name: "y"}) { errors { code } } }`, on: id((*fixture).savedSearch)},
	{what: "markSavedSearchSeen of somebody else", query: `mutation($id: ID!) { markSavedSearchSeen(input: {id: $id}) { errors { code } } }`, on: id((*fixture).savedSearch)},
	{what: "deleteSavedSearch of somebody else", query: `mutation($id: ID!) { deleteSavedSearch(input: {id: $id}) { errors { code } } }`, on: id((*fixture).savedSearch)},
	{what: "createWebhook", query: `mutation { createWebhook(input: {member: "company_acme", url: "ftp://example.org", events: ["*"]}) { errors { code } } }`, on: nothing},
	{what: "editWebhook", query: `mutation($id: ID!) { editWebhook(input: {id: $id, isPaused: true}) { errors { code } } }`, on: id((*fixture).webhook)},
	{what: "rotateWebhookSecret", query: `mutation($id: ID!) { rotateWebhookSecret(input: {id: $id}) { errors { code } } }`, on: id((*fixture).webhook)},
	{what: "deleteWebhook", query: `mutation($id: ID!) { deleteWebhook(input: {id: $id}) { errors { code } } }`, on: id((*fixture).webhook)},
	{what: "pingWebhook", query: `mutation($id: ID!) { pingWebhook(input: {id: $id}) { errors { code } } }`, on: id((*fixture).webhook)},
	{what: "resendDelivery", query: `mutation($id: ID!) { resendDelivery(input: {id: $id}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		d, err := f.market.PingWebhook(f.someone("company_acme"), f.webhook())
		f.must(err)
		return d.ID
	})},
	{what: "resolveReport", query: `mutation($id: ID!) { resolveReport(input: {id: $id, move: DISMISS}) { errors { code } } }`, on: id(func(f *fixture) marketplace.ID {
		f.must(f.market.ReportMessage(f.someone("city_lima"), marketplace.ReportMessageInput{Message: f.message(false), Reason: "Rude"}))
		page, err := f.market.Reports(f.act("officer"), []marketplace.ReportState{"OPEN"}, marketplace.Slice{})
		f.must(err)
		return page.Edges[0].Node.ID
	})},

	{what: "setAvailability of a member", query: `mutation { setAvailability(input: {of: "company_acme", content: {bufferAfter: 0}}) { errors { code } } }`, on: nothing},
	{what: "setAvailability of oneself", query: `mutation { setAvailability(input: {content: {bufferAfter: 0}}) { errors { code } } }`, on: nothing},
	{what: "setAvailability of a colleague", query: `mutation($id: ID!) { setAvailability(input: {of: $id, content: {bufferAfter: 0}}) { errors { code } } }`, on: id((*fixture).colleague)},
	{what: "makeCalendarFeed", query: `mutation { makeCalendarFeed { errors { code } } }`, on: nothing},
	{what: "revokeCalendarFeed", query: `mutation { revokeCalendarFeed { errors { code } } }`, on: nothing},

	{what: "markRead", query: `mutation($at: DateTime!) { markRead(input: {until: $at}) { errors { code } } }`, on: func(*fixture) map[string]any {
		return map[string]any{"at": time.Now().UTC().Format(time.RFC3339)}
	}},
	{what: "markAllRead", query: `mutation { markAllRead { errors { code } } }`, on: nothing},
}

// reads are ways to things that not everybody may see.
var reads = []attempt{
	{what: "a draft by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: solutionIn("DRAFT"), seen: `"node":{"id"`},
	{what: "a draft by nodes", query: `query($id: ID!) { nodes(ids: [$id]) { id } }`, on: solutionIn("DRAFT"), seen: `"nodes":[{"id"`},
	{what: "a draft by its slug", query: `query($word: String!) { solution(by: {slug: $word}) { id } }`, on: func(f *fixture) map[string]any {
		f.solution("DRAFT")
		return map[string]any{"word": f.word() + "-draft"}
	}, seen: `"solution":{"id"`},
	{what: "a draft by search", query: `query($word: String!) { search(text: $word) { totalCount } }`, on: solutionIn("DRAFT"), seen: `"totalCount":1`},
	{what: "a draft by facets", query: `query($word: String!) { solutions(text: $word) { facets(fields: [TOPIC]) { buckets { value } } } }`, on: solutionIn("DRAFT"), seen: `topic_noise`},
	{what: "a draft by suggestions", query: `query($word: String!) { suggest(text: $word) { text { text } } }`, on: solutionIn("DRAFT"), seen: `zyx`},
	{what: "a draft by its company", query: `query($word: String!) { company(by: {id: "company_acme"}) { solutions(text: $word) { totalCount } } }`, on: solutionIn("DRAFT"), seen: `"totalCount":1`},
	{what: "a solution in review", query: `query($id: ID!) { node(id: $id) { id } }`, on: solutionIn("IN_REVIEW"), seen: `"node":{"id"`},
	{what: "an archived solution", query: `query($id: ID!) { node(id: $id) { id } }`, on: solutionIn("ARCHIVED"), seen: `"node":{"id"`},
	{what: "a published solution", query: `query($id: ID!) { node(id: $id) { id } }`, on: solutionIn("PUBLISHED"), seen: `"node":{"id"`},
	{what: "what was said in review", query: `query($id: ID!) { node(id: $id) { ... on Solution { review { note } } } }`, on: id(func(f *fixture) marketplace.ID {
		s, err := f.market.MoveSolution(f.act("officer"), marketplace.MoveSolutionInput{ID: f.solution("IN_REVIEW"), Move: "APPROVE", Note: new("secret note")})
		f.must(err)
		return s.ID
	}), seen: `secret note`},
	{what: "a draft of a proposal", query: `query($id: ID!) { node(id: $id) { id } }`, on: proposalIn("DRAFT"), seen: `"node":{"id"`},
	{what: "a draft of a proposal by search", query: `query($word: String!) { search(text: $word) { totalCount } }`, on: proposalIn("DRAFT"), seen: `"totalCount":1`},
	{what: "a draft of a proposal by its city", query: `query($word: String!) { city(by: {id: "city_oslo"}) { proposals(text: $word) { totalCount } } }`, on: proposalIn("DRAFT"), seen: `"totalCount":1`},
	{what: "an offer by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).offer), seen: `"node":{"id"`},
	{what: "an offer among those on its proposal", query: `query($id: ID!) { offers(of: $id) { nodes { id } pageInfo { hasNextPage endCursor } } }`, on: func(f *fixture) map[string]any {
		o, err := f.market.Offer(f.system(), f.offer())
		f.must(err)
		return map[string]any{"id": o.Proposal}
	}, seen: `"offer_`},
	{what: "a message to all members by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id(func(f *fixture) marketplace.ID { return f.message(false) }), seen: `"node":{"id"`},
	{what: "a private message by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id(func(f *fixture) marketplace.ID { return f.message(true) }), seen: `"node":{"id"`},
	{what: "a private message in its thread", query: `query($id: ID!) { messages(proposal: $id, company: "company_acme") { nodes { text } pageInfo { endCursor } } }`, on: func(f *fixture) map[string]any {
		d, err := f.market.Message(f.system(), f.message(true))
		f.must(err)
		return map[string]any{"id": d.Proposal}
	}, seen: `zyx`},
	{what: "a meeting by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: agreed, seen: `"node":{"id"`},
	{what: "the meetings of a company", query: `{ meetings(of: "company_acme") { nodes { message { text } } pageInfo { endCursor } } }`, on: agreed, seen: `"text":`},
	{what: "the people of a company", query: `{ company(by: {id: "company_acme"}) { team { people { user { email } } } } }`, on: nothing, seen: `@example.org`},
	{what: "the invitations of a company", query: `{ company(by: {id: "company_acme"}) { team { invitations { nodes { email } } } } }`, on: id((*fixture).invitation), seen: `@example.org`},
	{what: "the people of the secretariat", query: `{ secretariat { people { role } } }`, on: nothing, seen: `"role"`},
	{what: "a user by node", query: `query($id: ID!) { node(id: $id) { ... on User { email } } }`, on: id((*fixture).user), seen: `@example.org`},
	{what: "a colleague by node", query: `query($id: ID!) { node(id: $id) { ... on User { email } } }`, on: id(func(f *fixture) marketplace.ID {
		u := f.user()
		f.must(f.market.PlaceInTeam(f.system(), "company_acme", u, "VIEWER"))
		return u
	}), seen: `@example.org`},
	{what: "a former colleague by node", query: `query($id: ID!) { node(id: $id) { ... on User { email } } }`, on: id(func(f *fixture) marketplace.ID {
		u := f.user()
		f.must(f.market.PlaceInTeam(f.system(), "company_acme", u, "VIEWER"))
		_, err := f.market.SetRole(f.act("acme owner"), marketplace.SetRoleInput{Member: new(marketplace.ID("company_acme")), User: u})
		f.must(err)
		return u
	}), seen: `@example.org`},
	{what: "when a company can meet", query: `{ company(by: {id: "company_acme"}) { availability { hours { day } } } }`, on: nothing, seen: `"hours"`},
	{what: "when a colleague can meet", query: `query($id: ID!) { node(id: $id) { ... on User { availability { bufferAfter } } } }`, on: id((*fixture).colleague), seen: `"bufferAfter"`},
	{what: "common times of a company", query: `{ commonTimes(with: "city_oslo", for: "company_acme", people: []) { at } }`, on: nothing, seen: `"at"`},
	{what: "common times of a city, with oneself", query: `{ commonTimes(with: "company_acme", for: "city_oslo") { at } }`, on: nothing, seen: `"at"`},
	{what: "a calendar's address by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id(func(f *fixture) marketplace.ID {
		feed, _, err := f.market.MakeCalendarFeed(f.someone("city_lima"))
		f.must(err)
		return feed.ID
	}), seen: `"node":{"id"`},
	{what: "all users", query: `{ users { nodes { email } } }`, on: nothing, seen: `@example.org`},
	{what: "the whole audit log", query: `{ auditLog { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "the audit log of a company", query: `{ auditLog(of: "company_acme") { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "the audit log of a draft", query: `query($id: ID!) { auditLog(of: $id) { nodes { id } } }`, on: solutionIn("DRAFT"), seen: `"nodes"`},
	{what: "what a user has done", query: `query($id: ID!) { auditLog(of: $id) { nodes { id } } }`, on: id((*fixture).user), seen: `"nodes"`},
	{what: "an entry of the audit log by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id(func(f *fixture) marketplace.ID {
		s, err := f.market.EditSolution(f.act("acme owner"), marketplace.EditSolutionInput{ID: f.solution("DRAFT"), Content: marketplace.Patch{"trl": 4}})
		f.must(err)
		f.must(f.market.CatchUp(f.t.Context()))
		return marketplace.ID("audit_" + strings.ReplaceAll(string(s.ID), "_", "-") + "-00000002")
	}), seen: `"node":{"id"`},
	{what: "what one was told", query: `{ viewer { notifications { unreadCount } } }`, on: nothing, seen: `"unreadCount"`},
	{what: "what somebody else was told, by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).notification), seen: `"node":{"id"`},
	{what: "how somebody else is told", query: `query($id: ID!) { node(id: $id) { ... on User { preferences { channel } } } }`, on: id((*fixture).user), seen: `"channel"`},
	{what: "reports of messages", query: `{ reports { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "imports of a company", query: `{ imports(company: "company_acme") { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "matches of a proposal", query: `query($id: ID!) { proposal(by: {id: $id}) { matches { nodes { id } } } }`, on: proposalIn("PUBLISHED"), seen: `"matches":{`},
	{what: "matches of a company", query: `{ company(by: {slug: "acme"}) { matches { nodes { id } } } }`, on: nothing, seen: `"matches":{`},
	{what: "matches of a text", query: `{ matchText(text: "noise") { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "matches of a text for a city", query: `{ matchText(text: "noise", of: "city_oslo") { nodes { id } } }`, on: nothing, seen: `"nodes"`},
	{what: "what a city has noted", query: `{ stances(member: "city_oslo") { nodes { kind } } }`, on: (*fixture).stance, seen: `"NOT_INTERESTED"`},
	{what: "what a city has noted, by node", query: `{ node(id: "stances_city-oslo") { id } }`, on: (*fixture).stance, seen: `"node":{"id"`},
	{what: "a saved search by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).savedSearch), seen: `"node":{"id"`},
	{what: "a webhook by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).webhook), seen: `"node":{"id"`},
	{what: "the webhooks of a company", query: `{ webhooks(member: "company_acme") { id } }`, on: id((*fixture).webhook), seen: `"webhook_`},
	{what: "a session by node", query: `{ node(id: "session_stage") { id } }`, on: nothing, seen: `"node":{"id"`},
	{what: "an invitation by node", query: `query($id: ID!) { node(id: $id) { id } }`, on: id((*fixture).invitation), seen: `"node":{"id"`},
	{what: "the settings by node", query: `{ node(id: "settings_network") { id } }`, on: nothing, seen: `"node":{"id"`},
	{what: "what may be edited", query: `query($id: ID!) { node(id: $id) { ... on Solution { viewerCan { edit } } } }`, on: solutionIn("PUBLISHED"), seen: `"edit":true`},
}

// Who can do and see what, tried by everybody through the API itself. With
// -short, as the race detector runs it, every seventh line.
func TestMatrix(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var b strings.Builder
	head := func(title string) {
		fmt.Fprintf(&b, "%-40s", title)
		for _, who := range everybody {
			fmt.Fprintf(&b, " %-14s", who)
		}
		b.WriteString("\n")
	}
	n, others := 0, map[string]marketplace.ID{}
	// Whoever does something has a thing of their own to do it to; what nobody
	// changes can be looked at by all of them.
	row := 0
	try := func(a attempt, changes bool, cell func(body []byte) string) {
		if row++; testing.Short() && row%7 > 0 {
			return
		}
		fmt.Fprintf(&b, "%-40s", a.what)
		var f *fixture
		var variables map[string]any
		for _, who := range everybody {
			if f == nil || changes {
				n++
				f = &fixture{stage: s, t: t, n: n, others: others}
				variables = a.on(f)
			}
			f.actor = s.enter(t, who)
			fmt.Fprintf(&b, " %-14s", cell(f.ask(a.query, variables)))
			if changes || who == everybody[len(everybody)-1] {
				f.closeCases()
			}
		}
		b.WriteString("\n")
	}
	head("done by")
	for _, a := range slices.Concat(mutations, caseMutations) {
		try(a, true, done)
	}
	b.WriteString("\n")
	head("seen by")
	for _, a := range slices.Concat(reads, caseReads) {
		try(a, false, func(body []byte) string {
			switch {
			case bytes.Contains(body, []byte("INTERNAL")), bytes.Contains(body, []byte("VALIDATION")):
				t.Errorf("%s: %s", a.what, body)
			case bytes.Contains(body, []byte(a.seen)):
				return "seen"
			}
			return "."
		})
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	got := strings.Join(lines, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile("testdata/matrix.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if testing.Short() && slices.Contains(wanted, line) {
			continue
		}
		if i >= len(wanted) || wanted[i] != line {
			t.Errorf("line %d (go test ./graph -run Matrix -update writes it):\n%s", i+1, line)
		}
	}
}

// done reads from an answer whether a command was done, and if not, why.
func done(body []byte) string {
	var answer struct {
		Data   map[string]*struct{ Errors []struct{ Code string } }
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err.Error()
	}
	if len(answer.Errors) > 0 {
		switch code := answer.Errors[0].Extensions.Code; code {
		case "FORBIDDEN":
			return "."
		case "UNAUTHENTICATED":
			return "sign in"
		case "NOT_FOUND":
			return "hidden"
		default:
			return code + "!"
		}
	}
	for _, payload := range answer.Data {
		if len(payload.Errors) > 0 {
			return strings.ToLower(payload.Errors[0].Code)
		}
	}
	return "yes"
}

// Every mutation that there is stands in the matrix.
func TestMatrixIsComplete(t *testing.T) {
	t.Parallel()
	_, body := sampleAPI(t).ask(`{ __schema { mutationType { fields { name } } } }`, nil, nil)
	var answer struct {
		Data struct {
			Schema struct {
				MutationType struct{ Fields []struct{ Name string } }
			} `json:"__schema"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	for _, field := range answer.Data.Schema.MutationType.Fields {
		if !slices.ContainsFunc(slices.Concat(mutations, caseMutations), func(a attempt) bool {
			return strings.Contains(a.query, " "+field.Name+"(") || strings.Contains(a.query, " "+field.Name+" ")
		}) {
			t.Errorf("%s is not in the matrix", field.Name)
		}
	}
}
