package search_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"citymarket/marketplace"
)

// matchFloors are the least quality of matches, a little below what was
// measured: by text alone, by the other rules alone, and by both with the
// weights that hold by default.
var matchFloors = map[string]map[string]quality{
	"for tuning": {"text": {nDCG: .67, recall: .85}, "rules": {nDCG: .60, recall: .85}, "both": {nDCG: .71, recall: .90}},
	"held out":   {"text": {nDCG: .63, recall: .81}, "rules": {nDCG: .60, recall: .80}, "both": {nDCG: .69, recall: .83}},
}

// matchWays are how matches are put in order: by text alone, by all but it, and by everything.
func matchWays() map[string][]any {
	weight := func(c marketplace.Criterion, n int) any {
		return map[string]any{"criterion": c, "weight": n}
	}
	var text []any
	for _, c := range marketplace.Criteria[1:] {
		text = append(text, weight(c, 0))
	}
	return map[string][]any{"text": text, "rules": {weight(marketplace.ByText, 0)}, "both": nil}
}

// matched are the slugs of the first 20 matches of a need, as an officer sees
// them who reads its language.
func matched(t *testing.T, m *marketplace.Market, n *matchNeed) (slugs []string) {
	t.Helper()
	v := marketplace.Viewer{Actor: marketplace.Actor{User: marketplace.ID(fmt.Sprintf("user_officer-%d", n.line)), Secretariat: marketplace.SecretariatOfficer}}
	if n.language != "" {
		v.Languages = []marketplace.Language{marketplace.Language(n.language)}
	}
	ctx := marketplace.WithViewer(t.Context(), v)
	var list *marketplace.Matches
	var err error
	if n.proposal != "" {
		var p *marketplace.Proposal
		if p, err = m.ProposalBySlug(ctx, n.proposal); err == nil {
			list, err = m.MatchesOf(ctx, p.ID, marketplace.MatchListing{})
		}
	} else {
		list, err = m.MatchText(ctx, marketplace.MatchTextInput{Text: n.text})
	}
	if err != nil {
		t.Fatalf("line %d: %v", n.line, err)
	}
	for _, e := range list.Edges {
		slugs = append(slugs, e.Node.(*marketplace.Solution).Slug)
	}
	return slugs
}

// TestMatchesQuality holds how good matches are, by text and rules together,
// which must beat each alone. Those that are held out show whether the weights
// learnt the judgements by heart.
func TestMatchesQuality(t *testing.T) {
	t.Parallel()
	store := sampleStore(t)
	m := marketplace.New(store, indexOfStore(t, store), marketplace.Options{})
	system := func() context.Context {
		return marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	}
	parts := matchParts(readMatches(t))
	got := make(map[string]map[string]quality)
	for _, way := range []string{"text", "rules", "both"} {
		if _, err := m.EditSettings(system(), marketplace.EditSettingsInput{Content: marketplace.Patch{"matchWeights": matchWays()[way]}}); err != nil {
			t.Fatal(err)
		}
		for name, needs := range parts {
			if got[name] == nil {
				got[name] = make(map[string]quality)
			}
			got[name][way] = evaluate(t, needs, func(n *matchNeed) []string { return matched(t, m, n) })
		}
	}
	var names []string
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		g := got[name]
		t.Logf("%-12s nDCG@10 recall@20: text %.3f %.3f, rules %.3f %.3f, both %.3f %.3f (%d needs)", name,
			g["text"].nDCG, g["text"].recall, g["rules"].nDCG, g["rules"].recall, g["both"].nDCG, g["both"].recall, g["both"].queries)
		floors, ok := matchFloors[name]
		if !ok {
			continue
		}
		for way, floor := range floors {
			if q := g[way]; q.nDCG < floor.nDCG || q.recall < floor.recall {
				t.Errorf("%s, %s: nDCG@10 %.3f and recall@20 %.3f, at least %.2f and %.2f wanted", name, way, q.nDCG, q.recall, floor.nDCG, floor.recall)
			}
		}
		for _, alone := range []string{"text", "rules"} {
			if g["both"].nDCG <= g[alone].nDCG || g["both"].recall < g[alone].recall {
				t.Errorf("%s: both together %+v do not beat %s alone %+v", name, g["both"], alone, g[alone])
			}
		}
	}
}
