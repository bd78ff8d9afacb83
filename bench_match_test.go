package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"citymarket/graph"
	"citymarket/marketplace"
	"citymarket/seed"
)

// generatedNeeds are proposals of the network's cities with the texts, topics
// and goals of generated solutions that are not loaded.
var generatedNeeds = sync.OnceValues(func() ([]marketplace.ID, error) {
	s, err := generated()
	if err != nil {
		return nil, err
	}
	ctx := marketplace.InBulk(marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: marketplace.System}))
	if err := quiet(ctx); err != nil {
		return nil, err
	}
	cities, err := s.market.Cities(ctx, marketplace.Listing{Slice: marketplace.Slice{First: new(100)}})
	if err != nil {
		return nil, err
	}
	var ids []marketplace.ID
	others := slices.Collect(seed.Generate(400, 2))
	for i, o := range others {
		city := cities.Edges[i%len(cities.Edges)].Node
		r := &marketplace.Proposal{Meta: marketplace.Meta{ID: marketplace.ID(fmt.Sprintf("proposal_generated-%d", i)), Slug: fmt.Sprintf("need-%d", i)},
			City: city.ID, Status: marketplace.ProposalPublished, Stage: marketplace.Stages[i%3], Funding: "SOUGHT",
			Title: o.Title, Problem: join(o.Summary, o.Description), Topics: o.Topics, SDGs: o.SDGs,
			Budget:           &marketplace.MoneyRange{Currency: "USD", Min: "20000", Max: "120000"},
			ProcurementRoute: &marketplace.ProcurementRoutes[i%len(marketplace.ProcurementRoutes)], Languages: []marketplace.Language{"en"}}
		if err := s.market.AddProposal(ctx, r); err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	return ids, errors.Join(s.index.CaughtUp(ctx), quiet(ctx))
})

// join puts texts in the same languages one after the other.
func join(a, b marketplace.Text) marketplace.Text {
	out := slices.Clone(a)
	for i := range out {
		if j := slices.IndexFunc(b, func(t marketplace.Translation) bool { return t.Language == out[i].Language }); j >= 0 {
			out[i].Text += " " + b[j].Text
		}
	}
	return out
}

// officerOf is an officer, one of many, since each may only ask so often.
func officerOf(ctx context.Context, i int) context.Context {
	return marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.Actor{User: marketplace.ID(fmt.Sprintf("user_officer-%d", i%5000)), Secretariat: marketplace.SecretariatOfficer}})
}

const (
	facetsDocument = `query($text: String) { search(text: $text, kinds: [SOLUTION], first: 20) { totalCount edges { score node { ... on Solution { id title { text } summary { text } priceBand company { name { text } country { code } } } } }
		facets(fields: [TOPIC, COUNTRY, MATURITY, PRICE_BAND, MEMBER], first: 20) { buckets { value count } } } }`
	matchesDocument = `query($id: ID!) { proposal(by: {id: $id}) { matches(first: 20) { edges { score node { ... on Solution { id title { text } summary { text } priceBand company { name { text } country { code } } } }
		reasons { criterion part weight sentence } } } } }`
)

// BenchmarkMatches compares lists of matches with plain searches that count
// five facets, in one run and through the same layers: of the domain, and
// through HTTP and GraphQL. A list of matches may cost three times as much.
func BenchmarkMatches(b *testing.B) {
	s := benchServerOf(b)
	needs, err := generatedNeeds()
	if err != nil {
		b.Fatal(err)
	}
	texts := benchTexts()
	b.Run("domain/search", func(b *testing.B) {
		before := cpu()
		for i := 0; b.Loop(); i++ {
			l := marketplace.Listing{Text: texts[i%len(texts)], Slice: marketplace.Slice{First: new(20)}, Facets: facetQueries()}
			if _, err := s.market.Solutions(officerOf(b.Context(), i), l); err != nil {
				b.Fatal(err)
			}
		}
		reportCPU(b, before)
	})
	b.Run("domain/matches", func(b *testing.B) {
		before := cpu()
		for i := 0; b.Loop(); i++ {
			l, err := s.market.MatchesOf(officerOf(b.Context(), i), needs[i%len(needs)], marketplace.MatchListing{First: new(20)})
			if err != nil || len(l.Edges) != 20 {
				b.Fatal(err)
			}
		}
		reportCPU(b, before)
	})
	handler := graph.NewHandler(graph.NewExecutableSchema(graph.Config{Resolvers: &graph.Resolver{Market: s.market}}), graph.Options{Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)})
	var asked int
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		handler.ServeHTTP(w, r.WithContext(officerOf(r.Context(), asked)))
	}))
	defer api.Close()
	ask := func(b *testing.B, document string, variables func(i int) map[string]any) {
		askCPU(b, api.URL, func(i int) []byte {
			body, _ := json.Marshal(map[string]any{"query": document, "variables": variables(i)})
			return body
		})
	}
	b.Run("graphql/search", func(b *testing.B) {
		ask(b, facetsDocument, func(i int) map[string]any { return map[string]any{"text": texts[i%len(texts)]} })
	})
	b.Run("graphql/matches", func(b *testing.B) {
		ask(b, matchesDocument, func(i int) map[string]any { return map[string]any{"id": needs[i%len(needs)]} })
	})
}
