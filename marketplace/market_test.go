package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	. "citymarket/marketplace"
	"citymarket/marketplace/filestore"
	"citymarket/marketplace/sqlitestore"
)

func init() {
	OpenTestStore = func(path string) (Store, error) { return sqlitestore.Open(path, StoreSchema()) }
	OpenTestFiles = func(dir string) (Files, error) { return filestore.Open(dir) }
}

// newMarket is a marketplace on a real store, with a vocabulary of one topic,
// a city and two companies. Nothing of these tests searches.
func newMarket(t *testing.T) *Market {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(MemoryDir(t), "test.db"), StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return fill(t, store)
}

func fill(t *testing.T, store Store) *Market {
	t.Helper()
	m := New(store, nil, Options{})
	ctx := as(System)
	must(t, m.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_mobility", Slug: "mobility"}, Label: english("Mobility")}))
	must(t, m.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_parking", Slug: "parking"}, Label: english("Parking"), Parent: "topic_mobility"}))
	city := &City{Meta: Meta{ID: "city_oslo", Slug: "oslo"}, TimeZone: "Europe/Oslo"}
	city.Name, city.Country, city.Region = english("Oslo"), "NO", Europe
	must(t, m.AddCity(ctx, city))
	for _, name := range []string{"acme", "rival"} {
		c := &Company{Meta: Meta{ID: ID("company_" + name), Slug: name}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = english(name), "NO", Europe
		must(t, m.AddCompany(ctx, c))
	}
	return m
}

var (
	secretariat = Actor{User: "user_officer", Secretariat: SecretariatOfficer, Via: "session_test"}
	visitor     = Actor{}
	acme        = editorOf("company_acme")
	rival       = editorOf("company_rival")
	oslo        = editorOf("city_oslo")
)

func editorOf(member ID) Actor {
	return Actor{User: "user_of-" + ID(strings.ReplaceAll(string(member), "_", "-")), Memberships: []Membership{{Member: member, Role: RoleEditor}}, Via: "session_test"}
}

func as(a Actor) context.Context {
	return InBulk(WithViewer(context.Background(), Viewer{Actor: a}))
}

func english(s string) Text { return Text{{Language: "en", Text: s}} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func draft(slug string) *Solution {
	return &Solution{Meta: Meta{Slug: slug}, Company: "company_acme", Title: english("Kerb sensors"), Summary: english("Sensors in the kerb."),
		Topics: []ID{"topic_parking"}, Maturity: "PILOTED", PriceModel: "PER_UNIT", PriceBand: "UNDER_10K"}
}

// Every verb of a solution's life, tried by everybody.
func TestWhoMayDoWhatWithASolution(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	everybody := []struct {
		name  string
		actor Actor
	}{{"visitor", visitor}, {"rival", rival}, {"city", oslo}, {"acme", acme}, {"secretariat", secretariat}}
	for _, c := range []struct {
		verb string
		may  string
		do   func(ctx context.Context, id ID) error
		from SolutionStatus
	}{
		{"add a draft", "acme secretariat", func(ctx context.Context, id ID) error { return m.AddSolution(ctx, draft(string(NewSlug(id)))) }, SolutionDraft},
		{"see a draft", "acme secretariat", func(ctx context.Context, id ID) error { _, err := m.Solution(ctx, id); return err }, SolutionDraft},
		{"see what is published", "visitor rival city acme secretariat", func(ctx context.Context, id ID) error { _, err := m.Solution(ctx, id); return err }, SolutionPublished},
		{"edit", "acme secretariat", func(ctx context.Context, id ID) error {
			_, err := m.UpdateSolution(ctx, id, 0, func(s *Solution) error { s.Title = english("Better"); return nil })
			return err
		}, SolutionPublished},
		{"submit", "acme secretariat", func(ctx context.Context, id ID) error {
			_, err := m.MoveSolution(ctx, MoveSolutionInput{ID: id, Move: "SUBMIT"})
			return err
		}, SolutionDraft},
		{"publish", "secretariat", func(ctx context.Context, id ID) error {
			_, err := m.MoveSolution(ctx, MoveSolutionInput{ID: id, Move: "APPROVE"})
			return err
		}, SolutionInReview},
		{"archive", "acme secretariat", func(ctx context.Context, id ID) error {
			_, err := m.MoveSolution(ctx, MoveSolutionInput{ID: id, Move: "ARCHIVE"})
			return err
		}, SolutionPublished},
		{"give it to another company", "secretariat", func(ctx context.Context, id ID) error {
			_, err := m.UpdateSolution(ctx, id, 0, func(s *Solution) error { s.Company = "company_rival"; return nil })
			return err
		}, SolutionDraft},
	} {
		for i, who := range everybody {
			s := draft(fmt.Sprintf("%s-%d", strings.ReplaceAll(c.verb, " ", "-"), i))
			s.Status = c.from
			must(t, m.AddSolution(as(secretariat), s))
			err := c.do(as(who.actor), s.ID)
			if want := strings.Contains(" "+c.may+" ", " "+who.name+" "); want != (err == nil) {
				t.Errorf("%s by %s: %v", c.verb, who.name, err)
			} else if err != nil && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s by %s: %v", c.verb, who.name, err)
			}
		}
	}
}

// NewSlug makes a slug that no other test document has.
func NewSlug(id ID) string { return "copy-of-" + strings.ReplaceAll(string(id), "_", "-") }

func TestStatesFollowTheTable(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	s := draft("life")
	ctx := as(secretariat)
	must(t, m.AddSolution(ctx, s))
	for _, step := range []struct {
		move SolutionMove
		ok   bool
	}{{"APPROVE", false}, {"SUBMIT", true}, {"ARCHIVE", false}, {"APPROVE", true}, {"SUBMIT", false}, {"ARCHIVE", true}, {"PUBLISH", false}, {"RESTORE", true}, {"VANISH", false}} {
		got, err := m.MoveSolution(ctx, MoveSolutionInput{ID: s.ID, Move: step.move})
		if step.ok != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%s: %v", step.move, err)
		}
		if err == nil && step.move == "ARCHIVE" && got.PublishedAt == nil {
			t.Error("the day of publication was lost")
		}
	}
	p := &Proposal{Meta: Meta{Slug: "need"}, City: "city_oslo", Stage: "NEED", Funding: "NONE", Title: english("Less noise"), Problem: english("It is loud."), Topics: []ID{"topic_mobility"}}
	must(t, m.AddProposal(as(oslo), p))
	if p.Country != "NO" || p.Region != Europe || p.TimeZone != "Europe/Oslo" {
		t.Errorf("the city's place was not kept: %s %s %s", p.Country, p.Region, p.TimeZone)
	}
	if _, err := m.MoveProposal(as(oslo), MoveProposalInput{ID: p.ID, Move: "CLOSE"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a draft was closed: %v", err)
	}
	if _, err := m.MoveProposal(as(oslo), MoveProposalInput{ID: p.ID, Move: "PUBLISH"}); err != nil {
		t.Error(err)
	}
	if _, err := m.Proposal(as(visitor), p.ID); err != nil {
		t.Error(err)
	}
}

// All mistakes are told at once, each with its field; nothing is written.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	year := 12
	s := draft("Not A Slug")
	s.Title = Text{{Language: "english", Text: " "}, {Language: "ko", Text: strings.Repeat("가", 161)}}
	s.TRL = &year
	s.Topics = []ID{"topic_parking", "topic_parking", "city_oslo"}
	s.SDGs = []SDG{18}
	s.Countries = []Country{"XX"}
	s.Deployments = []Deployment{{Place: "", Country: "NO", Year: 3000, Link: "javascript:alert(1)", City: "company_acme"}}
	s.PriceBand = "CHEAP"
	err := m.AddSolution(as(acme), s)
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	s.Topics = []ID{"topic_parking", "topic_parking"}
	s.Deployments[0].City = "city_oslo"
	err = m.AddSolution(as(acme), s)
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, e := range invalid.Errors {
		paths[e.Path] = true
		if e.Code == "" || e.Message == "" {
			t.Errorf("%+v", e)
		}
	}
	for _, want := range []string{"slug", "title[0].language", "title[0].text", "title[1].text", "trl", "topics[1]", "sdgs[0]", "countries[0]", "deployments[0].place", "deployments[0].year", "deployments[0].link", "priceBand"} {
		if !paths[want] {
			t.Errorf("%s is not among %v", want, err)
		}
	}
	if _, err := m.SolutionBySlug(as(secretariat), "Not A Slug"); !errors.Is(err, ErrNotFound) {
		t.Errorf("it was written: %v", err)
	}
	good := draft("kerb")
	must(t, m.AddSolution(as(acme), good))
	if err := m.AddSolution(as(acme), draft("kerb")); !errors.As(err, &invalid) || invalid.Errors[0].Code != "TAKEN" {
		t.Errorf("a slug was given twice: %v", err)
	}
	missing := draft("missing")
	missing.Topics = []ID{"topic_nowhere"}
	if err := m.AddSolution(as(acme), missing); !errors.As(err, &invalid) || invalid.Errors[0].Code != "NOT_FOUND" {
		t.Errorf("a topic that does not exist: %v", err)
	}
}

// A version that is not the present one is refused; without one, nobody's
// change is lost.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	s := draft("busy")
	must(t, m.AddSolution(as(acme), s))
	var wg sync.WaitGroup
	const editors, edits = 8, 9
	for range editors {
		wg.Go(func() {
			for range edits {
				if _, err := m.UpdateSolution(as(acme), s.ID, 0, func(s *Solution) error {
					if len(s.Technologies) == 0 {
						s.Technologies = []string{"edit"}
						return nil
					}
					s.Technologies[0] += "."
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := m.Solution(as(acme), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got.Technologies[0], "."); n != editors*edits-1 || got.Version() != editors*edits+1 {
		t.Errorf("%d edits, version %d", n+1, got.Version())
	}
	if _, err := m.UpdateSolution(as(acme), s.ID, 1, func(*Solution) error { return nil }); !errors.Is(err, ErrStale) {
		t.Errorf("an old version: %v", err)
	}
	if _, err := m.UpdateSolution(as(acme), s.ID, got.Version(), func(*Solution) error { return nil }); err != nil {
		t.Error(err)
	}
}

// What a solution refers to is found with it; the titles are read once.
func TestEntriesKnowWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(MemoryDir(t), "test.db"), StoreSchema())
	must(t, err)
	t.Cleanup(func() { store.Close() })
	m := fill(t, store)
	s := draft("kerb")
	s.Status = SolutionPublished
	must(t, m.AddSolution(as(secretariat), s))
	must(t, m.AddSolution(as(acme), draft("secret")))
	entries := Entries(store)
	feed, err := store.Changes(t.Context(), FeedQuery{Limit: MaxPage})
	must(t, err)
	found := map[string]Entry{}
	for _, c := range feed.Changes {
		e, ok, err := entries(t.Context(), c)
		must(t, err)
		if ok != (c.Kind != KindTopic) {
			t.Errorf("%s can be found: %v", c.ID, ok)
		}
		found[e.ID] = e
	}
	e := found[string(s.ID)]
	if got := fmt.Sprint(e.About); got != "[[{en acme false}] [{en Parking false}]]" {
		t.Errorf("about %s", got)
	}
	if got := fmt.Sprint(e.Keywords[FieldTopic]); got != "[topic_parking topic_mobility]" {
		t.Errorf("a domain includes its topics: %s", got)
	}
	for _, e := range found {
		if e.Kind == KindSolution && len(e.Audience) == 2 && fmt.Sprint(e.Audience) != "[company_acme secretariat]" {
			t.Errorf("%s is found by %v", e.ID, e.Audience)
		}
	}
}

// A hundred editors add a line each to what they have read. Whoever is late
// gets what is there now, and adds to that: no line is lost.
func TestAHundredEditorsLoseNothing(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	s := draft("crowded")
	must(t, m.AddSolution(as(acme), s))
	const editors = 100
	var wg sync.WaitGroup
	var late atomic.Int32
	for i := range editors {
		wg.Go(func() {
			editor := acme
			editor.User = ID(fmt.Sprintf("user_editor-%d", i))
			current, err := m.Solution(as(editor), s.ID)
			for err == nil {
				version := current.Version()
				places := []any{}
				for _, d := range current.Deployments {
					places = append(places, map[string]any{"place": d.Place, "country": "NO", "year": 2020})
				}
				places = append(places, map[string]any{"place": fmt.Sprint("Place ", i), "country": "NO", "year": 2020})
				_, err = m.EditSolution(as(editor), EditSolutionInput{ID: s.ID, Version: &version, Content: Patch{"deployments": places}})
				conflict, ok := errors.AsType[*ConflictError](err)
				if !ok {
					break
				}
				late.Add(1)
				current, err = conflict.Current.(*Solution), nil
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := m.Solution(as(acme), s.ID)
	must(t, err)
	if len(got.Deployments) != editors || got.Version() != editors+1 || late.Load() == 0 {
		t.Errorf("%d lines, version %d, %d were late", len(got.Deployments), got.Version(), late.Load())
	}
}
