package marketplace

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var someDay = time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC)

// drawTraits makes up what is known of a thing; of each field now and then nothing.
func drawTraits(t *rapid.T, name string, kind Kind) *traits {
	out := &traits{id: ID(kind) + "_x", Values: Values{Keywords: map[Field][]string{}, Numbers: map[Field]float64{}}, likeness: rapid.Float64Range(0, 1).Draw(t, name+" likeness")}
	words := func(f Field, from []string, most int) {
		if list := rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, most, rapid.ID).Draw(t, name+" "+string(f)); len(list) > 0 {
			out.Keywords[f] = list
		}
	}
	number := func(f Field, low, high float64) {
		if rapid.Bool().Draw(t, name+" has "+string(f)) {
			out.Numbers[f] = rapid.Float64Range(low, high).Draw(t, name+" "+string(f))
		}
	}
	countries := []string{"NP", "KE", "NO", "KR", "PE"}
	words(FieldTopic, []string{"topic_a", "topic_b", "topic_c", "topic_d"}, 4)
	words(FieldSDG, []string{"6", "9", "11", "13"}, 4)
	words(FieldCountry, countries, 3)
	words(FieldRegion, keywords(Regions), 3)
	words(FieldMaturity, keywords(Maturities), 1)
	words(FieldProcurement, keywords(ProcurementRoutes), 3)
	words(FieldLanguage, []string{"en", "ne", "es", "ko"}, 3)
	words(FieldPriceBand, keywords(PriceBands), 1)
	words(FieldStage, keywords(Stages), 1)
	words(FieldCurrency, []string{"USD", "NPR"}, 1)
	words(FieldEvidence, []string{"NP.2.0", "NP.2.1", "KE.3.0", "KR.5.1"}, 4)
	words(FieldHome, countries, 1)
	words(FieldServed, append([]string{"AFRICA", "EUROPE"}, countries...), 3)
	words(FieldWanted, []string{"COMPANY", "COMPANY.AFRICA", "CITY", "COMPANY.KR", "CITY.NP"}, 3)
	number(FieldBudgetMax, 1, 2e6)
	number(FieldPopulation, 1, 2e7)
	number(FieldChanged, float64(someDay.Unix())-1e9, float64(someDay.Unix()))
	return out
}

func drawPair(t *rapid.T) *pair {
	p := &pair{need: drawTraits(t, "need", KindProposal), supply: drawTraits(t, "supply", KindSolution), now: someDay, alike: rapid.Bool().Draw(t, "alike")}
	if p.other = p.supply; rapid.Bool().Draw(t, "the need is the other side") && !p.alike {
		p.other = p.need
	}
	if rapid.Bool().Draw(t, "known") {
		p.conduct = &conduct{Answered: rapid.IntRange(0, 20).Draw(t, "answered"), Ignored: rapid.IntRange(0, 20).Draw(t, "ignored")}
		p.conduct.Quick = p.conduct.Answered * rapid.IntRange(500, 1000).Draw(t, "quick")
		for range rapid.IntRange(0, 20).Draw(t, "waiting") {
			p.conduct.Waiting = append(p.conduct.Waiting, someDay.Unix()-rapid.Int64Range(0, 3e6).Draw(t, "sent"))
		}
	}
	return p
}

func drawWeights(t *rapid.T) (out [criteria]int) {
	for i := range out {
		out[i] = rapid.IntRange(0, maxWeight).Draw(t, string(Criteria[i]))
	}
	if sum(out) == 0 {
		out[0] = 1
	}
	return out
}

// The parts of a match add up to its score exactly, in whatever order, and its
// weights to 1.
func TestPartsAddUpToTheScore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := &Matches{market: New(nil, nil, Options{}), shares: shares(drawWeights(t))}
		e := &Match{pair: drawPair(t), list: list}
		e.score(list.shares)
		reasons := e.Reasons(t.Context(), nil)
		for range 2 {
			score, weight := 0.0, 0.0
			for _, r := range reasons {
				score, weight = score+r.Part, weight+r.Weight
				if r.Value < 0 || r.Value > 1 || math.Abs(r.Part-r.Weight*r.Value) > 1.0/quantum {
					t.Fatalf("%+v", r)
				}
			}
			if score != e.Score || weight != 1 || score > 1 {
				t.Fatalf("%v of %v, weights %v", score, e.Score, weight)
			}
			slices.Reverse(reasons)
		}
	})
}

// Whatever speaks better for a match never makes its score less.
func TestRaisingACriterionNeverLowersTheScore(t *testing.T) {
	t.Parallel()
	better := map[string]func(t *rapid.T, p *pair){
		"likeness": func(t *rapid.T, p *pair) {
			p.other.likeness = rapid.Float64Range(p.other.likeness, 1).Draw(t, "more")
		},
		"a topic of the need": func(t *rapid.T, p *pair) { addShared(p, FieldTopic) },
		"a goal of the need":  func(t *rapid.T, p *pair) { addShared(p, FieldSDG) },
		"maturity": func(t *rapid.T, p *pair) {
			if i := slices.Index(keywords(Maturities), p.supply.word(FieldMaturity)); i >= 0 {
				p.supply.Keywords[FieldMaturity] = []string{string(Maturities[min(i+1, len(Maturities)-1)])}
			}
		},
		"the route": func(t *rapid.T, p *pair) {
			if r := p.need.word(FieldProcurement); r != "" {
				p.supply.Keywords[FieldProcurement] = append(slices.Clone(p.supply.words(FieldProcurement)), r)
			}
		},
		"more money": func(t *rapid.T, p *pair) {
			if most, ok := p.need.number(FieldBudgetMax); ok {
				p.need.Numbers[FieldBudgetMax] = 2 * most
			}
		},
		"the country served": func(t *rapid.T, p *pair) {
			if home := p.need.home(); home != "" && len(p.supply.words(FieldCountry))+len(p.supply.words(FieldRegion)) > 0 {
				p.supply.Keywords[FieldCountry] = append(slices.Clone(p.supply.words(FieldCountry)), string(home))
			}
		},
		"a language": func(t *rapid.T, p *pair) { addShared(p, FieldLanguage) },
		"a deployment": func(t *rapid.T, p *pair) {
			p.supply.Keywords[FieldEvidence] = append(slices.Clone(p.supply.words(FieldEvidence)), "NP.1.0")
		},
		"a confirmation": func(t *rapid.T, p *pair) {
			list := slices.Clone(p.supply.words(FieldEvidence))
			for i, e := range list {
				list[i] = e[:len(e)-1] + "1"
			}
			p.supply.Keywords[FieldEvidence] = list
		},
		"a change": func(t *rapid.T, p *pair) {
			if at, ok := p.other.number(FieldChanged); ok {
				p.other.Numbers[FieldChanged] = min(at+1e7, float64(someDay.Unix()))
			}
		},
		"an answer": func(t *rapid.T, p *pair) {
			if p.conduct != nil {
				p.conduct.Answered, p.conduct.Quick = p.conduct.Answered+1, p.conduct.Quick+1000
			}
		},
		"less waiting": func(t *rapid.T, p *pair) {
			if p.conduct != nil && len(p.conduct.Waiting) > 0 {
				p.conduct.Waiting = p.conduct.Waiting[1:]
			}
		},
	}
	for name, improve := range better {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				e := &Match{pair: drawPair(t), list: &Matches{shares: shares(drawWeights(t))}}
				e.score(e.list.shares)
				before, parts := e.quanta, e.parts
				improve(t, e.pair)
				e.score(e.list.shares)
				if e.quanta < before {
					t.Fatalf("%v, was %v", e.parts, parts)
				}
			})
		})
	}
}

// addShared gives the supply one of the need's values.
func addShared(p *pair, f Field) {
	if wanted := p.need.words(f); len(wanted) > 0 && len(p.supply.words(f)) > 0 {
		p.supply.Keywords[f] = append(slices.Clone(p.supply.words(f)), wanted[0])
	}
}

// What is not known is neither better than a good answer nor as bad as a bad one.
func TestWhatIsNotKnownIsNeutral(t *testing.T) {
	t.Parallel()
	need := func() *traits {
		return &traits{Values: Values{Keywords: map[Field][]string{
			FieldTopic: {"topic_a"}, FieldSDG: {"11"}, FieldStage: {"FUNDED"}, FieldProcurement: {"OPEN_TENDER"}, FieldHome: {"NP"}, FieldLanguage: {"ne"}, FieldCurrency: {"USD"}},
			Numbers: map[Field]float64{FieldBudgetMax: 10_000, FieldPopulation: 100_000}}}
	}
	values := func(words map[Field][]string) [criteria]float64 {
		s := &traits{id: "solution_x", Values: Values{Keywords: words}}
		return (&pair{need: need(), supply: s, other: s, now: someDay}).judge()
	}
	good := values(map[Field][]string{FieldTopic: {"topic_a"}, FieldSDG: {"11"}, FieldMaturity: {"DEPLOYED_MANY_CITIES"}, FieldPriceBand: {"UNDER_10K"}, FieldProcurement: {"OPEN_TENDER"},
		FieldCountry: {"NP"}, FieldLanguage: {"ne"}, FieldEvidence: {"NP.2.1"}})
	bad := values(map[Field][]string{FieldTopic: {"topic_b"}, FieldSDG: {"3"}, FieldMaturity: {"IDEA"}, FieldPriceBand: {"OVER_1M"}, FieldProcurement: {"PPP"},
		FieldCountry: {"PE"}, FieldRegion: {"AMERICAS"}, FieldLanguage: {"es"}})
	none := values(nil)
	for i, c := range Criteria {
		switch c {
		case ByText, ByFreshness, ByWillingness, ByExposure:
			continue
		}
		if !(bad[i] < none[i] && none[i] < good[i]) || none[i] != unknown {
			t.Errorf("%s: bad %v, not known %v, good %v", c, bad[i], none[i], good[i])
		}
	}
}

// The rules in examples.
func TestCriteria(t *testing.T) {
	t.Parallel()
	if len(Criteria) != criteria {
		t.Fatalf("%d criteria", len(Criteria))
	}
	for i, c := range []struct{ got, want float64 }{
		{(&pair{need: &traits{}, supply: &traits{}, other: &traits{likeness: 1}}).text(), 1},
		{(&pair{need: &traits{}, supply: &traits{}, other: &traits{likeness: 0.5}}).text(), 0.6},
		{(&pair{need: &traits{Values: Values{Keywords: map[Field][]string{FieldCurrency: {"USD"}}, Numbers: map[Field]float64{FieldBudgetMax: 25_000}}},
			supply: &traits{Values: Values{Keywords: map[Field][]string{FieldPriceBand: {"FROM_50K_TO_250K"}}}}}).budget(), 0.5},
		{resemblance(&traits{Values: Values{Keywords: map[Field][]string{FieldHome: {"NP"}}, Numbers: map[Field]float64{FieldPopulation: 100_000}}}, "NP", 2), 1},
		{resemblance(&traits{Values: Values{Keywords: map[Field][]string{FieldHome: {"NP"}}, Numbers: map[Field]float64{FieldPopulation: 100_000}}}, "KR", 3), 0.4*0.75 + 0.3*0 + 0.3*0.5},
		{(&conduct{Answered: 2, Quick: 2000}).answers(someDay), 0.75},
		{(&conduct{Ignored: 2}).answers(someDay), 0.25},
		{(&conduct{Waiting: []int64{someDay.Unix(), someDay.Unix() - 15*secondsDay}}).answers(someDay), 1.0 / 3},
		{(&conduct{Waiting: []int64{1, 2}, Agreed: []int64{someDay.Unix(), 1}}).load(someDay), 2.5},
		{quickness(time.Hour), 1}, {quickness(16 * 24 * time.Hour), 0.75}, {quickness(1000 * time.Hour), 0.5},
		{float64(Country("NP").income()), 2}, {float64(Country("KR").income()), 4}, {float64(Country("VE").income()), 0}, {float64(sizeOf(49_999)), 1}, {float64(sizeOf(5_000_000)), 5},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("example %d: %v, want %v", i, c.got, c.want)
		}
	}
}
