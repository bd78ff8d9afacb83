package marketplace

import (
	"cmp"
	"slices"
)

// A Criterion is something that a match is judged by. What each of them says
// is written down with its rule in criteria.go.
type Criterion string

// The criteria of matches.
const (
	ByText        Criterion = "TEXT"
	ByTopics      Criterion = "TOPICS"
	ByMaturity    Criterion = "MATURITY"
	ByBudget      Criterion = "BUDGET"
	ByProcurement Criterion = "PROCUREMENT"
	ByRegion      Criterion = "REGION"
	ByLanguage    Criterion = "LANGUAGE"
	ByEvidence    Criterion = "EVIDENCE"
	ByFreshness   Criterion = "FRESHNESS"
	ByWillingness Criterion = "WILLINGNESS"
	ByExposure    Criterion = "EXPOSURE"
)

// Criteria are all of them, in the order in which equal parts are shown.
var Criteria = []Criterion{ByText, ByTopics, ByMaturity, ByBudget, ByProcurement, ByRegion, ByLanguage, ByEvidence, ByFreshness, ByWillingness, ByExposure}

const criteria = 11 // len(Criteria)

// maxWeight is the largest weight of a criterion.
const maxWeight = 100

// defaultWeights are the weights that hold where the network has set no
// others. They are relative to each other.
//
// They were found by changing one after the other, over the judged needs that
// are for tuning alone (search/testdata/matches.txt), and rounded. What cannot
// be seen there, since the sample has no history, has a small weight of its
// own: freshness, willingness and exposure; so has maturity, which changes
// little there. nDCG@10 and recall@20 are held by TestMatchesQuality:
//
//	            for tuning  held out
//	text only   .679 .860   .640 .834
//	rules only  .609 .877   .620 .819
//	both        .731 .917   .710 .840
//
// Without a criterion, nDCG@10 + 0.3 recall@20 is less by: text .13, topics .06,
// region .02, language .01, procurement .01, evidence .01; without another one,
// by less than .005.
var defaultWeights = map[Criterion]int{
	ByText: 60, ByTopics: 40, ByMaturity: 2, ByBudget: 2, ByProcurement: 5, ByRegion: 8, ByLanguage: 4, ByEvidence: 5,
	ByFreshness: 2, ByWillingness: 5, ByExposure: 3,
}

// A MatchWeight is how much a criterion of matches counts, 0 to 100, beside
// the others.
type MatchWeight struct {
	Criterion Criterion `json:"criterion"`
	Weight    int       `json:"weight"`
}

// IsDefault says whether it is the weight that holds where none is set.
func (w MatchWeight) IsDefault() bool { return w.Weight == defaultWeights[w.Criterion] }

// checkWeights allows weights of different criteria that leave something to judge by.
func checkWeights(p *problems, path string, list []MatchWeight) {
	if !p.max(path, len(list), criteria) {
		return
	}
	var seen []Criterion
	for i, w := range list {
		checkOne(p, index(path, i)+".criterion", w.Criterion, Criteria)
		if slices.Contains(seen, w.Criterion) {
			p.add(index(path, i)+".criterion", "DUPLICATE", "each at most once")
		}
		seen = append(seen, w.Criterion)
		if w.Weight < 0 || w.Weight > maxWeight {
			p.addf(index(path, i)+".weight", "OUT_OF_RANGE", "must be 0 to %d", maxWeight)
		}
	}
	if p.err() == nil && sum(weightsOf(list)) == 0 {
		p.add(path, "OUT_OF_RANGE", "must not all be 0")
	}
}

// weightsOf fills in the defaults of what is not set.
func weightsOf(list []MatchWeight) (out [criteria]int) {
	for i, c := range Criteria {
		out[i] = defaultWeights[c]
		for _, w := range list {
			if w.Criterion == c {
				out[i] = w.Weight
			}
		}
	}
	return out
}

func sum(list [criteria]int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

// quantum is how fine scores are: they are whole multiples of 1/quantum, as
// are the weights and parts, so that parts add up to their score exactly, in
// whatever order, also as binary fractions.
const quantum = 1 << 20

// shares turns weights into shares of the whole, in quanta, that add up to
// it: those that lost most in rounding down get one more, the first of equal ones.
func shares(weights [criteria]int) (out [criteria]int) {
	all := sum(weights)
	if all == 0 {
		panic("marketplace: all weights of matches are 0")
	}
	order := make([]int, criteria)
	for i, w := range weights {
		out[i], order[i] = w*quantum/all, i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[b]*quantum%all, weights[a]*quantum%all) })
	for i := range quantum - sum(out) {
		out[order[i]]++
	}
	return out
}

// fraction is a number of quanta as a fraction of 1.
func fraction(quanta int) float64 { return float64(quanta) / quantum }
