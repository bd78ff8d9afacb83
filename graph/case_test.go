package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// everyField asks for all that a case and what belongs to it can say.
const everyField = `query($ids: [ID!]!) {
  nodes(ids: $ids) { __typename id
    ... on Case { asker { id } askedBy { id } state: status officer { id } officerName wanted { text } about { id } partnerTypes dueOn takenAt
      closing { at outcome partners { id } note } handOvers { note from { id } to { id } } tally { candidates contacted interested introduced declined }
      casePermissions: viewerCan { edit handle handOver moves } }
    ... on Candidacy { case { id } asker { id } candidate: member { id } fits: about { id } far: status reason score letters { text author { id } } answers { isInterested note author { id } }
      contactedAt introducedAt isOver createdAt updatedAt version viewerCan { edit write answer proposeMeeting moves } }
    ... on CaseNote { case { id } author { id } text }
    ... on Meeting { case { id } message { text } life: status said: reason from { member { id } } to { member { id } } }
    ... on AuditEntry { at action note subject node { id } }
    ... on Notification { event sentence about: subject { id } teller: member { id } }
  }
}`

// everyList asks for the lists in which they could stand.
const everyList = `query($case: ID!) {
  cases(member: "city_oslo", first: 50) { nodes { id tally { candidates contacted interested introduced declined } } }
  ofCase: candidacies(of: $case, first: 50) { nodes { id far: status } pageInfo { hasNextPage } }
  ofAcme: candidacies(of: "company_acme", first: 50) { nodes { id far: status letters { text } answers { note } } }
  ofRival: candidacies(of: "company_rival", first: 50) { nodes { id letters { text } answers { note } } }
  ofLima: candidacies(of: "city_lima", first: 50) { nodes { id letters { text } answers { note } } }
  caseTimeline(case: $case, first: 50) { nodes { action note subject node { id } } }
  caseNotes(case: $case) { nodes { text } }
  meetings(of: "city_oslo", first: 50) { nodes { id case { id } message { text } } }
  viewer { notifications(first: 50) { nodes { event sentence subject { id } member { id } } } }
}`

// Whatever is done in whatever order, the member that asks never learns what
// candidates answer, nor who they are before they were introduced, nor what
// officers tell one another; and no candidate learns of another one, nor of
// what was asked for. Each secret holds a word, and each way to read is tried.
func TestNobodyLearnsWhatACaseKeepsSecret(t *testing.T) {
	t.Parallel()
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newCaseGame(t, seed).play(90)
		})
	}
}

// A caseGame is a case in which everybody does something at random.
type caseGame struct {
	*stage
	t          *testing.T
	r          *rand.Rand
	id         marketplace.ID
	candidates map[marketplace.ID]marketplace.ID // candidacies by their members
	contacted  map[marketplace.ID]bool           // by member
	introduced map[marketplace.ID]bool           // by member
	done       map[string]int
	n          int
}

var candidatesOf = map[marketplace.ID]string{"company_acme": "acme editor", "company_rival": "rival editor", "city_lima": "lima editor"}

func newCaseGame(t *testing.T, seed uint64) *caseGame {
	g := &caseGame{stage: newStage(t), t: t, r: rand.New(rand.NewPCG(seed, 7)), candidates: map[marketplace.ID]marketplace.ID{}, contacted: map[marketplace.ID]bool{}, introduced: map[marketplace.ID]bool{}, done: map[string]int{}}
	g.clock.Store(time.Date(2030, 3, 4, 8, 0, 0, 0, time.UTC).Unix())
	for _, who := range []string{"oslo owner", "acme owner", "rival owner", "officer", "admin"} {
		g.enter(t, who)
	}
	for _, member := range []marketplace.ID{"city_oslo", "company_acme", "company_rival"} {
		owner := g.as(strings.Split(string(member), "_")[1] + " owner")
		if _, _, err := g.market.CreateWebhook(owner, marketplace.CreateWebhookInput{Member: member, URL: "https://example.org/" + string(member), Events: []string{"*.*"}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := g.market.AskForPartner(g.as("oslo editor"), marketplace.AskForPartnerInput{Member: "city_oslo", Content: marketplace.Patch{"wanted": english("zyxwanted"), "dueOn": "2030-03-12"}})
	if err != nil {
		t.Fatal(err)
	}
	g.id = c.ID
	return g
}

func (g *caseGame) as(who string) context.Context {
	return marketplace.WithViewer(g.t.Context(), marketplace.Viewer{Actor: g.enter(g.t, who)})
}

func (g *caseGame) play(steps int) {
	for range steps {
		g.clock.Add(int64(g.r.IntN(7200)))
		name, err := g.step()
		if err == nil {
			g.done[name]++
		}
		if g.n++; g.n%9 == 0 {
			g.look()
		}
	}
	g.look()
	for _, name := range []string{"add", "move", "write", "answer", "note", "meet"} {
		if g.done[name] == 0 {
			g.t.Logf("nobody has come to %s: %v", name, g.done)
		}
	}
	if g.done["answer"] == 0 || g.done["add"] == 0 {
		g.t.Errorf("too little was done: %v", g.done)
	}
}

// step does something; many things cannot be done at that moment.
func (g *caseGame) step() (string, error) {
	members := []marketplace.ID{"company_acme", "company_rival", "city_lima"}
	member := members[g.r.IntN(len(members))]
	d, secret := g.candidates[member], "zyx"+strings.Split(string(member), "_")[1]
	officer := g.as([]string{"officer", "admin"}[g.r.IntN(2)])
	m := g.market
	switch g.r.IntN(12) {
	case 0, 1:
		d, err := m.AddCandidate(officer, marketplace.AddCandidateInput{Case: g.id, Candidate: member, Reason: new("zyxinner"), Score: new(0.5)})
		if err == nil {
			g.candidates[member] = d.ID
		}
		return "add", err
	case 2:
		_, err := m.EditCandidate(officer, marketplace.EditCandidateInput{ID: d, Content: marketplace.Patch{"reason": "zyxinner " + fmt.Sprint(g.n)}})
		return "edit", err
	case 3, 4, 5:
		moves := []marketplace.CandidacyMove{"CONTACT", "NOTE_INTEREST", "NOTE_INTEREST", "NOTE_DECLINE", "INTRODUCE", "INTRODUCE", "CHOOSE", "UNCHOOSE", "DROP", "RELIST"}
		d, err := m.MoveCandidate(officer, marketplace.MoveCandidateInput{ID: d, Move: moves[g.r.IntN(len(moves))]})
		if err == nil {
			g.contacted[member], g.introduced[member] = d.IsContacted, d.IsIntroduced
		}
		return "move", err
	case 6:
		_, err := m.WriteToCandidate(officer, marketplace.WriteToCandidateInput{ID: d, Text: secret})
		g.contacted[member] = g.contacted[member] || err == nil
		return "write", err
	case 7, 8:
		_, err := m.AnswerCandidacy(g.as(candidatesOf[member]), marketplace.AnswerCandidacyInput{ID: d, IsInterested: g.r.IntN(3) > 0, Note: &secret})
		return "answer", err
	case 9:
		_, err := m.AddCaseNote(officer, marketplace.AddCaseNoteInput{Case: g.id, Text: "zyxinner"})
		return "note", err
	case 10:
		at := time.Unix(g.clock.Load(), 0).UTC().Truncate(time.Hour).Add(48 * time.Hour)
		_, err := m.ProposeCaseMeeting(officer, marketplace.ProposeCaseMeetingInput{Candidacy: d, Content: marketplace.Patch{
			"message": english("Shall we?"), "minutes": 30, "format": "ONLINE", "link": "https://meet.example/1", "times": []time.Time{at}}})
		if err == nil {
			g.introduced[member] = true
		}
		return "meet", err
	}
	switch g.r.IntN(5) {
	case 0:
		_, err := m.HandOverCase(officer, marketplace.HandOverCaseInput{ID: g.id, To: []marketplace.ID{"user_officer", "user_admin"}[g.r.IntN(2)], Note: new("zyxinner")})
		return "hand over", err
	case 1:
		_, err := m.EditCase(g.as("oslo editor"), marketplace.EditCaseInput{ID: g.id, Content: marketplace.Patch{"partnerTypes": []any{"CITY"}}})
		return "edit the case", err
	}
	moves := []marketplace.CaseMove{"TAKE", "TAKE", "REOPEN", "REOPEN", "WITHDRAW"}
	who := []string{"officer", "oslo editor"}[g.r.IntN(2)]
	_, err := m.MoveCase(g.as(who), marketplace.MoveCaseInput{ID: g.id, Move: moves[g.r.IntN(len(moves))]})
	return "move the case", err
}

// look reads all that there is as each of those concerned.
func (g *caseGame) look() {
	g.t.Helper()
	if err := g.market.CatchUp(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	ids := g.everything()
	hidden := map[string][]string{
		"oslo owner":  {"zyxinner", "zyxacme", "zyxrival", "zyxlima", `"far":"LISTED"`, `"far":"CONTACTED"`, `"far":"INTERESTED"`, `"far":"DECLINED"`, `"declined":0`, `"declined":1`},
		"acme owner":  {"zyxinner", "zyxrival", "zyxlima", "zyxwanted"},
		"rival owner": {"zyxinner", "zyxacme", "zyxlima", "zyxwanted"},
		"lima editor": {"zyxinner", "zyxacme", "zyxrival", "zyxwanted"},
		"stranger":    {"zyxinner", "zyxacme", "zyxrival", "zyxlima", "zyxwanted", "candidacy_", string(g.id)},
		"oslo viewer": {"zyxinner", "zyxacme", "zyxrival", "zyxlima"},
	}
	for member, d := range g.candidates {
		name := strings.Split(string(member), "_")[1]
		for who := range hidden {
			own := strings.HasPrefix(who, name)
			if !own && (!strings.HasPrefix(who, "oslo") || !g.introduced[member]) {
				hidden[who] = append(hidden[who], string(d))
			}
			if own && !g.contacted[member] {
				hidden[who] = append(hidden[who], string(d), strings.ReplaceAll(string(d), "_", "-"))
			}
			if own && !g.introduced[member] {
				hidden[who] = append(hidden[who], `"asker":{"id":"city_oslo"}`)
			}
		}
	}
	for who, words := range hidden {
		said := g.said(who, ids)
		for _, word := range words {
			if i := bytes.Index(said, []byte(word)); i >= 0 {
				g.t.Fatalf("after %d steps (%v) %s reads %q: ...%s...", g.n, g.done, who, word, said[max(0, i-300):min(len(said), i+200)])
			}
		}
	}
	// What is hidden is there, so the test would find it.
	if said := g.said("officer", ids); g.done["answer"] > 0 && !bytes.Contains(said, []byte(`"answers":[{`)) {
		g.t.Fatalf("the officer reads no answers: %s", said)
	}
}

// said is all that somebody can read in every way.
func (g *caseGame) said(who string, ids []marketplace.ID) []byte {
	g.t.Helper()
	actor, ctx := g.enter(g.t, who), g.as(who)
	var out bytes.Buffer
	ask := func(query string, variables map[string]any) {
		b, _ := json.Marshal(variables)
		_, body := g.askAs(actor, query, b, nil)
		if bytes.HasPrefix(body, []byte(`{"errors"`)) {
			g.t.Fatalf("%s: %s", who, body)
		}
		out.Write(body)
	}
	ask(everyList, map[string]any{"case": g.id})
	for page := range slices.Chunk(ids, 30) {
		ask(everyField, map[string]any{"ids": page})
	}
	for _, query := range []string{
		`{ webhooks(member: "city_oslo") { deliveries(first: 100) { nodes { event body entry } } } }`,
		`{ webhooks(member: "company_acme") { deliveries(first: 100) { nodes { event body entry } } } }`,
		`{ webhooks(member: "company_rival") { deliveries(first: 100) { nodes { event body entry } } } }`,
		`{ candidacies(of: "` + string(g.id) + `", statuses: [DECLINED, INTERESTED]) { nodes { id } } }`,
		`{ officerStatistics(from: "2030-03", to: "2030-04") { cases } }`,
	} {
		_, body := g.askAs(actor, query, nil, nil)
		out.Write(body)
	}
	for _, member := range []marketplace.ID{"city_oslo", "company_acme", "company_rival", "city_lima"} {
		if e, err := g.market.ExportMember(ctx, member); err == nil {
			if _, err := e.WriteNDJSON(&out); err != nil {
				g.t.Fatal(err)
			}
		}
		if e, err := g.market.ExportAuditLog(ctx, &member); err == nil {
			if _, err := e.WriteNDJSON(&out); err != nil {
				g.t.Fatal(err)
			}
		}
		for _, id := range append(ids[:min(len(ids), 12)], actor.User) {
			variables, _ := json.Marshal(map[string]any{"of": id})
			_, body := g.askAs(actor, `query($of: ID!) { auditLog(of: $of, first: 100) { nodes { action note subject } } }`, variables, nil)
			out.Write(body)
		}
	}
	return out.Bytes()
}

// everything are the ids of all that belongs to the game.
func (g *caseGame) everything() []marketplace.ID {
	g.t.Helper()
	ids := []marketplace.ID{g.id}
	for _, d := range g.candidates {
		ids = append(ids, d)
	}
	for _, list := range []struct {
		kind marketplace.Kind
		sort string
	}{{marketplace.KindCaseTally, ""}, {marketplace.KindCaseNote, ""}, {marketplace.KindMeeting, "createdAt"}, {marketplace.KindAudit, "moment"}, {marketplace.KindNotification, "createdAt"}} {
		docs, err := g.store.Find(g.t.Context(), list.kind, marketplace.Query{Sort: list.sort, Limit: marketplace.MaxPage})
		if err != nil {
			g.t.Fatal(err)
		}
		for _, doc := range docs {
			ids = append(ids, marketplace.ID(doc.ID))
		}
	}
	return ids
}
