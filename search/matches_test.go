package search_test

import (
	"cmp"
	_ "embed"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"citymarket/marketplace"
)

// matchesJudged says which solutions of the sample marketplace suit which
// needs; it explains its own format.
//
//go:embed testdata/matches.txt
var matchesJudged string

// A matchNeed is something that a city needs, either as a proposal or as free
// words, with the judgements of the solutions for it. A grade of 0 in grades
// is a solution that looks near and does not fit.
type matchNeed struct {
	need
	line     int
	proposal string // its slug; empty for free words
	language string // of the free words
	text     string // the free words
	held     bool   // not for tuning
}

func readMatches(t *testing.T) (needs []*matchNeed) {
	t.Helper()
	number := 0
	for line := range strings.Lines(matchesJudged) {
		number++
		line = strings.TrimSpace(line)
		key, rest, _ := strings.Cut(line, " ")
		if line == "" || key == "#" {
			continue
		}
		words := strings.Fields(rest)
		if key == "=" {
			n := &matchNeed{need: need{grades: make(map[string]int)}, line: number}
			if len(words) == 3 && words[2] == "held" {
				n.held, words = true, words[:2]
			}
			switch {
			case len(words) == 2 && words[0] == "proposal":
				n.proposal, n.what = words[1], words[1]
			case len(words) == 2 && words[0] == "free":
				n.language = words[1]
			default:
				t.Fatalf("line %d: not a need: %q", number, line)
			}
			needs = append(needs, n)
			continue
		}
		if len(needs) == 0 {
			t.Fatalf("line %d: no need to belong to: %q", number, line)
		}
		n := needs[len(needs)-1]
		switch {
		case key == ">" && n.language != "" && len(n.grades) == 0:
			n.text = strings.TrimPrefix(n.text+"\n"+rest, "\n")
			n.what = n.text
		case len(key) == 1 && "0" <= key && key <= "3" && len(words) > 0:
			for _, slug := range words {
				if _, ok := n.grades[slug]; ok {
					t.Errorf("line %d: %s has two grades", number, slug)
				}
				n.grades[slug] = int(key[0] - '0')
			}
		default:
			t.Fatalf("line %d: neither words nor a judgement: %q", number, line)
		}
	}
	return needs
}

// matchParts are the needs by what can be reported about them: whether they
// are for tuning or held out, of which sort they are, and the language of free
// words.
func matchParts(needs []*matchNeed) map[string][]*matchNeed {
	parts := make(map[string][]*matchNeed)
	for _, n := range needs {
		in := []string{"for tuning", "proposals"}
		if n.held {
			in[0] = "held out"
		}
		if n.proposal == "" {
			in[1] = "free words"
			in = append(in, "language "+n.language)
		}
		for _, name := range in {
			parts[name] = append(parts[name], n)
		}
	}
	return parts
}

// evaluate is the mean quality of a ranking over needs: rank returns the slugs
// of solutions, best first, of which the first 20 count.
func evaluate(t *testing.T, needs []*matchNeed, rank func(*matchNeed) []string) (mean quality) {
	t.Helper()
	for _, n := range needs {
		ranked := rank(n)
		slugs := make([]string, 20) // recall is of 20 places, also when fewer are taken
		copy(slugs, ranked)
		seen := make(map[string]bool)
		for _, slug := range ranked {
			if seen[slug] {
				t.Errorf("line %d: %s is ranked twice", n.line, slug)
			}
			seen[slug] = true
		}
		q := n.judge(slugs)
		mean = quality{mean.nDCG + q.nDCG, mean.recall + q.recall, mean.queries + 1}
	}
	count := float64(mean.queries)
	return quality{mean.nDCG / count, mean.recall / count, mean.queries}
}

// TestMatchesJudged holds what a set of judgements must be to be worth measuring with.
func TestMatchesJudged(t *testing.T) {
	t.Parallel()
	needs, market := readMatches(t), marketplace.New(sampleStore(t), nil, marketplace.Options{})
	published := make(map[string]bool)
	seen := make(map[string]int)
	for _, n := range needs {
		if first := seen[n.what]; first != 0 {
			t.Errorf("line %d: the need of line %d again", n.line, first)
		}
		seen[n.what] = n.line
		if n.what == "" {
			t.Errorf("line %d: a need without words", n.line)
		}
		if n.proposal != "" {
			if p, err := market.ProposalBySlug(t.Context(), n.proposal); err != nil || p.Status != marketplace.ProposalPublished {
				t.Errorf("line %d: %s is no published proposal (%v)", n.line, n.proposal, err)
			}
		}
		best := 0
		for slug, grade := range n.grades {
			if best = max(best, grade); published[slug] {
				continue
			}
			if s, err := market.SolutionBySlug(t.Context(), slug); err != nil || s.Status != marketplace.SolutionPublished {
				t.Errorf("line %d: %s is no published solution (%v)", n.line, slug, err)
			}
			published[slug] = true
		}
		if best < 2 {
			t.Errorf("line %d: nothing is better than a look", n.line)
		}
	}
	parts, languages := matchParts(needs), 0
	for name := range parts {
		if strings.HasPrefix(name, "language ") {
			languages++
		}
	}
	for what, c := range map[string]struct{ got, least int }{
		"needs":      {len(needs), 60},
		"proposals":  {len(parts["proposals"]), 40},
		"free words": {len(parts["free words"]), 30},
		"languages":  {languages, 6},
	} {
		if c.got < c.least {
			t.Errorf("%d %s, at least %d wanted", c.got, what, c.least)
		}
	}
	for _, sort := range []string{"proposals", "free words"} {
		held := len(matchParts(parts[sort])["held out"])
		if all := len(parts[sort]); held*5 < all || held*3 > all {
			t.Errorf("%d of %d %s are held out, about a quarter wanted", held, all, sort)
		}
	}
	judgements := make(map[int]int)
	for _, n := range needs {
		for _, grade := range n.grades {
			judgements[grade]++
		}
	}
	t.Logf("judgements by grade: %v, of %d solutions", judgements, len(published))
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		t.Logf("%-18s %4d needs, %d held out", name, len(parts[name]), len(matchParts(parts[name])["held out"]))
	}
}

// TestMatchesMeasure holds what evaluate says about rankings whose worth is known.
func TestMatchesMeasure(t *testing.T) {
	t.Parallel()
	needs := readMatches(t)
	byGrade := func(n *matchNeed, least, sign int) (slugs []string) {
		for slug, grade := range n.grades {
			if grade >= least {
				slugs = append(slugs, slug)
			}
		}
		slices.SortFunc(slugs, func(a, b string) int {
			return cmp.Or(sign*cmp.Compare(n.grades[a], n.grades[b]), cmp.Compare(a, b))
		})
		return slugs
	}
	best := evaluate(t, needs, func(n *matchNeed) []string { return byGrade(n, 1, -1) })
	if math.Abs(best.nDCG-1) > 1e-9 || best.recall != 1 || best.queries != len(needs) {
		t.Errorf("the order of the judgements is measured as %+v", best)
	}
	if none := evaluate(t, needs, func(*matchNeed) []string { return nil }); none.nDCG != 0 || none.recall != 0 {
		t.Errorf("no ranking is measured as %+v", none)
	}
	traps := evaluate(t, needs, func(n *matchNeed) []string { return byGrade(n, 0, 1) })
	if traps.recall != 1 || traps.nDCG >= .8 {
		t.Errorf("what looks near, ranked above what fits, is measured as %+v", traps)
	}
	late := evaluate(t, needs, func(n *matchNeed) []string {
		others := make([]string, 20)
		for i := range others {
			others[i] = "other-" + string(rune('a'+i))
		}
		return append(others, byGrade(n, 1, -1)...)
	})
	if late.nDCG != 0 || late.recall != 0 {
		t.Errorf("what comes after the first 20 places is measured as %+v", late)
	}
}
