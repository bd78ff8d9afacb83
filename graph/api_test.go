package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"citymarket/graph"
	"citymarket/marketplace"
	"citymarket/marketplace/filestore"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
	"citymarket/seed"
)

var rewrite = flag.Bool("update", false, "write the answers of the conversations")

// counting counts the operations that reach a store.
type counting struct {
	marketplace.Store
	operations atomic.Int64
}

func (c *counting) Get(ctx context.Context, kind marketplace.Kind, id string) (marketplace.Document, error) {
	c.operations.Add(1)
	return c.Store.Get(ctx, kind, id)
}

func (c *counting) Find(ctx context.Context, kind marketplace.Kind, q marketplace.Query) ([]marketplace.Document, error) {
	c.operations.Add(1)
	return c.Store.Find(ctx, kind, q)
}

// api is a whole server, apart from its socket, over the network's members
// and the sample marketplace as of one day.
type api struct {
	store  *counting
	market *marketplace.Market
	index  *search.Index
	http   http.Handler
	clock  atomic.Int64 // Unix seconds; 0: the machine's
}

func (a *api) now() time.Time {
	if t := a.clock.Load(); t != 0 {
		return time.Unix(t, 0)
	}
	return time.Now()
}

var today = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// sample is shared by the tests that only read.
var sample = sync.OnceValues(func() (*api, error) {
	dir, err := os.MkdirTemp("", "citymarket-api")
	if err != nil {
		return nil, err
	}
	return newAPI(dir, func(ctx context.Context, m *marketplace.Market) error {
		return seed.Load(ctx, m, seed.Options{Sample: true, Today: today})
	})
})

func newAPI(dir string, fill func(context.Context, *marketplace.Market) error) (*api, error) {
	ctx := context.Background()
	inner, err := sqlitestore.Open(filepath.Join(dir, "citymarket.db"), marketplace.StoreSchema())
	if err != nil {
		return nil, err
	}
	a := &api{store: &counting{Store: inner}}
	log := slog.New(slog.DiscardHandler)
	if a.index, err = search.Open(filepath.Join(dir, "index"), inner, marketplace.Entries(inner), log); err != nil {
		return nil, err
	}
	go a.index.Follow(ctx)
	files, err := filestore.Open(filepath.Join(dir, "files"))
	if err != nil {
		return nil, err
	}
	a.market = marketplace.New(a.store, a.index, marketplace.Options{Key: make([]byte, marketplace.KeySize), Poster: noPoster{},
		Files: files, Temporary: dir, URL: "https://market.example", Now: a.now})
	if err := fill(ctx, a.market); err != nil {
		return nil, err
	}
	if err := a.index.CaughtUp(ctx); err != nil {
		return nil, err
	}
	schema := graph.NewExecutableSchema(graph.Config{Resolvers: &graph.Resolver{Market: a.market}})
	a.http = graph.NewHandler(schema, graph.Options{Log: log})
	return a, nil
}

// noPoster reaches nobody; no worker asks it to.
type noPoster struct{}

func (noPoster) Post(context.Context, string, map[string]string, []byte) (marketplace.PostResult, error) {
	return marketplace.PostResult{}, marketplace.ErrPostRefused
}

func sampleAPI(t testing.TB) *api {
	t.Helper()
	a, err := sample()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask sends a query as a visitor's browser would and returns status and body.
func (a *api) ask(query string, variables json.RawMessage, header http.Header) (int, []byte) {
	return a.askAs(marketplace.Actor{}, query, variables, header)
}

// askAs is ask for somebody who has signed in.
func (a *api) askAs(actor marketplace.Actor, query string, variables json.RawMessage, header http.Header) (int, []byte) {
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	for k, v := range header {
		r.Header[k] = v
	}
	viewer := marketplace.Viewer{Actor: actor, Languages: marketplace.AcceptedLanguages(r.Header.Get("Accept-Language"))}
	w := httptest.NewRecorder()
	a.http.ServeHTTP(w, r.WithContext(marketplace.WithViewer(r.Context(), viewer)))
	return w.Code, w.Body.Bytes()
}

// The conversations in testdata/api are the API's documentation by example:
// each file holds requests, with headers and variables where they matter, and
// the answers to them. A visitor asks, of the sample marketplace that all
// files share; where a file says who asks ("-- as: acme editor --", up to the
// next such line), it has a small marketplace of its own; see cast_test.go.
// There they can upload files, too ("-- upload: solution_acme plan.txt --"), and
// the clock can be set ("-- time: 2030-03-04T09:00:00Z --").
func TestConversations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/api/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			converse(t, file)
		})
	}
}

func converse(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a *api
	var stage *stage // nil: the shared sample
	if slices.ContainsFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "as:") }) {
		stage = newStage(t)
		a = stage.api
	} else {
		a = sampleAPI(t)
	}
	var actor marketplace.Actor
	header := http.Header{}
	var variables json.RawMessage
	var answer string
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		name, what, _ := strings.Cut(f.Name, ":")
		if name == "answer" {
			if !*rewrite && string(f.Data) != answer {
				t.Errorf("%s: want\n%s\ngot\n%s", f.Name, f.Data, answer)
			}
			continue
		}
		out.Files = append(out.Files, f)
		switch name {
		case "headers":
			header = http.Header{}
			for line := range strings.Lines(string(f.Data)) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
				header.Set(k, v)
			}
		case "follow":
			// What follows from commands is done now.
			if err := a.market.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
		case "time":
			at, err := time.Parse(time.RFC3339, strings.TrimSpace(what))
			if err != nil {
				t.Fatal(err)
			}
			a.clock.Store(at.Unix())
		case "as":
			actor = stage.enter(t, strings.TrimSpace(what))
		case "upload":
			subject, name, _ := strings.Cut(strings.TrimSpace(what), " ")
			ctx := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: actor})
			u, err := a.market.Upload(ctx, marketplace.ID(stage.real([]byte(subject))), name, bytes.NewReader(f.Data))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			stage.stable([]byte(u.ID))
		case "variables":
			variables = stage.real(f.Data)
		case "request":
			status, body := a.askAs(actor, string(stage.real(f.Data)), variables, header)
			answer = pretty(t, status, stage.stable(body))
			header, variables = http.Header{}, nil
			out.Files = append(out.Files, txtar.File{Name: "answer" + strings.TrimPrefix(f.Name, "request"), Data: []byte(answer)})
		default:
			t.Fatalf("%s: unknown part %q", file, f.Name)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func pretty(t *testing.T, status int, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", " "); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if status != http.StatusOK {
		return fmt.Sprintf("HTTP %d\n%s\n", status, strings.TrimSpace(b.String()))
	}
	return strings.TrimSpace(b.String()) + "\n"
}

// The number of store operations of a request has a bound that follows from
// its depth and the kinds of things in it, whatever the size of its pages.
func TestStoreOperationsDoNotGrowWithThePage(t *testing.T) {
	a := sampleAPI(t)
	for _, c := range []struct {
		query string
		most  int64
	}{
		// the page, then companies, topics, cities, and the topics' domains
		{`{ solutions(first: %d) { nodes { title { text } company { name { text } } topics { label { text } parent { label { text } } } deployments { city { name { text } } } } } }`, 5},
		// the page has five kinds; then the companies and cities of some; then labels of facets, two kinds
		{`{ search(text: "city", first: %d) { edges { node { ... on Solution { company { name { text } } } ... on Proposal { city { name { text } } } } highlights { text } explanation { words } } facets(fields: [TOPIC, MEMBER]) { buckets { label } } } }`, 9},
		// the page, the solutions of all of them, their topics
		{`{ companies(first: %d) { nodes { solutions(first: 3) { totalCount nodes { title { text } topics { label { text } } } } } } }`, 3},
		{`{ cities(first: %d) { nodes { name { text } within { name { text } } proposals(first: 2) { nodes { topics { label { text } } } } } } }`, 4},
		{`{ cities(first: %d) { nodes { availability { timeZone } } } }`, 2},
		{`{ proposals(first: %d) { nodes { city { name { text } proposals(first: 2) { totalCount } } } } }`, 3},
		{`{ topics { children { label { text } solutions(first: 1) { totalCount nodes { company { id } } } } } solutions(first: %d) { totalCount } }`, 5},
	} {
		var counts []int64
		for _, size := range []int{1, 12, 24, 48} {
			before := a.store.operations.Load()
			status, body := a.ask(fmt.Sprintf(c.query, size), nil, nil)
			if status != http.StatusOK || bytes.Contains(body, []byte(`"errors"`)) {
				t.Fatalf("%s: %d %.500s", c.query, status, body)
			}
			counts = append(counts, a.store.operations.Load()-before)
		}
		if slices.Max(counts) > c.most {
			t.Errorf("%s: %v store operations for 1, 12, 24 and 48 entries, at most %d", c.query, counts, c.most)
		}
	}
}

// The same holds for what the people of the marketplace list, whose entries
// refer to things and say what the viewer may do with each.
func TestStoreOperationsOfTheDeskDoNotGrow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	english := func(text string) marketplace.Text { return marketplace.Text{{Language: "en", Text: text}} }
	as := func(name string) context.Context {
		return marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: s.enter(t, name)}))
	}
	var about marketplace.ID
	for i := range 12 {
		p := &marketplace.Proposal{Meta: marketplace.Meta{Slug: fmt.Sprintf("need-%d", i)}, City: "city_oslo", Status: marketplace.ProposalPublished,
			Title: english("Less noise"), Problem: english("It is loud."), Topics: []marketplace.ID{"topic_noise"}, Stage: "NEED", Funding: "NONE"}
		if err := s.market.AddProposal(as("officer"), p); err != nil {
			t.Fatal(err)
		}
		about = p.ID
		if _, err := s.market.MakeOffer(as("acme editor"), marketplace.MakeOfferInput{Proposal: p.ID, Solution: "solution_acme", Content: marketplace.Patch{"message": english("Hello")}}); err != nil {
			t.Fatal(err)
		}
	}
	var answered *marketplace.ID
	for i := range 12 {
		d, err := s.market.WriteMessage(as([]string{"acme editor", "oslo editor"}[i%2]), marketplace.WriteMessageInput{Proposal: about, Company: new(marketplace.ID("company_acme")), Text: "Hello", ReplyTo: answered})
		if err != nil {
			t.Fatal(err)
		}
		answered = &d.ID
	}
	for i := range 12 {
		at := time.Now().UTC().Truncate(time.Hour).Add(time.Duration(48+i) * time.Hour)
		x, err := s.market.RequestMeeting(as("oslo editor"), marketplace.RequestMeetingInput{From: "city_oslo", To: "company_acme", About: &about, Content: marketplace.Patch{
			"message": english("Hello"), "minutes": 30, "format": "ONLINE", "times": []time.Time{at}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.market.AcceptMeeting(as("acme editor"), marketplace.AcceptMeetingInput{ID: x.ID, Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.market.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who, query string
		most       int64
	}{
		// the page, then proposals, cities, companies, solutions
		{"acme editor", `{ offers(of: "company_acme", first: %d) { nodes { proposal { title { text } } city { name { text } } company { slug } solution { slug } viewerCan { edit moves } } } }`, 5},
		// the proposal, the page, then proposals, companies, cities, messages
		{"oslo editor", `{ messages(proposal: "` + string(about) + `", company: "company_acme", first: %d) { nodes { text proposal { slug } company { slug } member { name { text } } replyTo { text } viewerCan { edit } } } }`, 6},
		// the page and what is unread, then offers, messages and meetings, the proposals of all, companies, cities, the reader
		{"oslo editor", `{ viewer { notifications(first: %d) { unreadCount nodes { sentence subject { id } member { name { text } } } } } }`, 9},
		// the page, then cities, companies, their availability, teams, users, proposals and their tallies
		{"oslo editor", `{ meetings(of: "city_oslo", first: %d) { nodes { from { member { id } timeZone people { user { name } } outcome { by { name } } } to { member { id } timeZone people { user { name } } } about { ... on Proposal { title { text } meetingTally { agreed } } } times { from { time } to { time } } time { from { time } } proposedBy { id } viewerCan { moves } } } }`, 8},
		{"oslo editor", `{ threads(of: "city_oslo", first: %d) { nodes { proposal { slug } city { slug } company { slug } } } }`, 4},
	} {
		for _, size := range []int{1, 3, 12} {
			before := s.store.operations.Load()
			status, body := s.askAs(s.enter(t, c.who), fmt.Sprintf(c.query, size), nil, nil)
			n := s.store.operations.Load() - before - 1 // entering looks for the user
			if status != http.StatusOK || bytes.Contains(body, []byte(`"errors"`)) {
				t.Fatalf("%s: %d %.500s", c.query, status, body)
			}
			if n > c.most {
				t.Errorf("%s: %d store operations for %d entries, at most %d", c.query, n, size, c.most)
			}
		}
	}
}

// A command's effect is found by the next search.
func TestACommandIsFoundByTheNextSearch(t *testing.T) {
	t.Parallel()
	a, err := newAPI(t.TempDir(), func(ctx context.Context, m *marketplace.Market) error {
		return seed.Load(ctx, m, seed.Options{Sample: false, Today: today})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.index.Close(); a.store.Close() })
	ctx := marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: marketplace.System})
	company := &marketplace.Company{Meta: marketplace.Meta{Slug: "quillwater"}, Size: "SME", ContactPolicy: "ANYONE"}
	company.Name = marketplace.Text{{Language: "en", Text: "Quillwater"}}
	company.Country, company.Region = "NZ", "ASIA_PACIFIC"
	if err := a.market.AddCompany(ctx, company); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		word := fmt.Sprintf("zephyrine%c", 'a'+i)
		s := &marketplace.Solution{Meta: marketplace.Meta{Slug: word}, Company: company.ID, Status: marketplace.SolutionPublished,
			Title:   marketplace.Text{{Language: "en", Text: "The " + word + " meter"}},
			Summary: marketplace.Text{{Language: "en", Text: "A meter."}}, Topics: []marketplace.ID{"topic_parking"},
			Maturity: "IDEA", PriceModel: "FREE", PriceBand: "FREE"}
		if err := a.market.AddSolution(ctx, s); err != nil {
			t.Fatal(err)
		}
		if _, body := a.ask(fmt.Sprintf(`{ search(text: %q) { nodes { ... on Solution { slug } } facets(fields: [TOPIC]) { buckets { value } } } }`, word), nil, nil); !bytes.Contains(body, []byte(`"slug":"`+word+`"`)) || !bytes.Contains(body, []byte(`topic_parking`)) {
			t.Fatalf("%s is not found: %s", word, body)
		}
		if _, err := a.market.MoveSolution(ctx, marketplace.MoveSolutionInput{ID: s.ID, Move: "ARCHIVE"}); err != nil {
			t.Fatal(err)
		}
		if _, body := a.ask(fmt.Sprintf(`{ search(text: %q) { totalCount } node(id: %q) { id } }`, word, s.ID), nil, nil); !bytes.Contains(body, []byte(`{"search":{"totalCount":0},"node":null}`)) {
			t.Fatalf("%s is still found: %s", word, body)
		}
	}
}

// What is not known is null, never an empty string.
func TestUnknownIsNull(t *testing.T) {
	t.Parallel()
	const member = `name { text } abbreviation website printed { note } profile { text } joinedYear`
	for _, query := range []string{
		`{ cities(first: 100) { nodes { ` + member + ` level timeZone identification coordinates { source } population { source } within { id } } } }`,
		`{ institutions(first: 50) { nodes { ` + member + ` type } } companies(first: 40) { nodes { ` + member + ` staff founded } } }`,
		`{ solutions(first: 100) { nodes { summary { text } description { text } trl priceNote { text } publishedAt deployments { link result { text } city { id } } media { title { text } } } } }`,
		`{ proposals(first: 80) { nodes { startDate endDate deadline procurementRoute budget { min } } } network { attributions { license url } } }`,
	} {
		status, body := sampleAPI(t).ask(query, nil, nil)
		if status != http.StatusOK || bytes.Contains(body, []byte(`"errors"`)) || bytes.Contains(body, []byte(`:""`)) {
			i := max(0, bytes.Index(body, []byte(`:""`))-200)
			t.Errorf("%s: %d ...%.400s", query, status, body[i:])
		}
	}
}

// The query that the explorer opens with is answered.
func TestFirstQueryOfTheExplorer(t *testing.T) {
	t.Parallel()
	query, err := os.ReadFile("../web/graphiql/src/first.graphql")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := sampleAPI(t).ask(string(query), nil, nil); status != http.StatusOK || bytes.Contains(body, []byte(`"errors"`)) {
		t.Errorf("%d %s", status, body)
	}
}

// What cities type, in their languages, with typos and half words, finds on
// the first page what they look for: so many entries on the topic, or the
// member with the slug.
func TestCitiesFindWhatTheyLookFor(t *testing.T) {
	t.Parallel()
	a := sampleAPI(t)
	for _, c := range []struct {
		text, want string
		least      int
	}{
		{"smart parking", "parking", 4},
		{"smrat parkng", "parking", 3},
		{"waste management", "waste-management", 6},
		{"waste managment", "waste-management", 5},
		{"street lighting", "lighting", 4},
		{"street ligh", "lighting", 2},
		{"flood warning", "disaster-response", 3},
		{"water leak", "water-management", 3},
		{"open data", "open-data-and-privacy", 4},
		{"participatory budgeting", "participatory-budgeting", 4},
		{"智慧停车", "parking", 4},
		{"垃圾分类", "waste-management", 3},
		{"路灯", "lighting", 1},
		{"주차", "parking", 4},
		{"스마트 주차", "parking", 4},
		{"재난 대응", "disaster-response", 4},
		{"estacionamiento inteligente", "parking", 4},
		{"gestión de residuos", "waste-management", 5},
		{"presupuesto participativo", "participatory-budgeting", 4},
		{"alumbrado publico", "lighting", 4},
		{"gestion des dechets", "waste-management", 5},
		{"éclairage public", "lighting", 4},
		{"stationement", "parking", 3},
		{"إدارة النفايات", "waste-management", 5},
		{"الإنارة", "lighting", 4},
		{"مواقف السيارات", "parking", 2},
		{"Seoul", "seoul", 1},
		{"首尔", "seoul", 1},
		{"서울", "seoul", 1},
		{"kathmand", "kathmandu", 1},
		{"काठमाडौँ", "kathmandu", 1},
		{"القاهرة الخرطوم", "khartoum-state", 1},
		{"sao paulo", "sao-paulo", 1},
		{"Улаанбаатар", "ulaanbaatar", 1},
	} {
		body, _ := json.Marshal(map[string]string{"q": c.text})
		status, answer := a.ask(`query($q: String) { search(text: $q, first: 10) { nodes { slug ... on Solution { topics { slug } } ... on Proposal { topics { slug } } } } }`, body, nil)
		if n := bytes.Count(answer, []byte(`"slug":"`+c.want+`"`)); status != http.StatusOK || n < c.least {
			t.Errorf("%s: %d of %s on the first page, at least %d expected: %s", c.text, n, c.want, c.least, answer)
		}
	}
}
