package marketplace

import (
	"math"
	"slices"
	"time"
)

// A match is judged by the criteria below: each gives a value from 0 to 1, its
// part is its weight times that, and the score is the sum of the parts. A
// better value never makes a score less. Where what a criterion compares is
// not known, on either side, its value is unknown: half of what the best would
// be, so that saying nothing is neither better than a good answer nor as bad
// as a bad one.
//
// Some things are no matter of more or less. Never a match is
//
//   - what is not published (or, with a proposal, closed), and what the viewer
//     may not see;
//   - a proposal whose deadline has passed, or whose project is in delivery or
//     completed;
//   - what belongs to the member itself;
//   - what the member is not interested in, and whatever belongs to a member
//     that it is not interested in.
//
// A region that a company does not serve is none of these: it counts as 0,
// since what a company says it serves is where it is today.
const unknown = 0.5

// A pair is two things that are compared: one needs something, the other
// supplies it; of two cities that may be partners, the one for which partners
// are looked for needs.
type pair struct {
	need, supply *traits
	// other is the one of the two that is the candidate: its freshness counts,
	// and its member's willingness and exposure.
	other   *traits
	conduct *conduct // of the other's member; nil: nothing is known
	alike   bool     // both are cities that look for partners
	now     time.Time
}

// judge gives the values of a pair by criterion.
func (p *pair) judge() [criteria]float64 {
	return [criteria]float64{
		p.text(), p.topics(), p.maturity(), p.budget(), p.procurement(), p.region(), p.language(), p.evidence(), p.freshness(), p.willingness(), p.exposure(),
	}
}

// halfLike bends what likeness is worth: the smaller it is, the more the first
// words count beside the others. nDCG@10 over the judged needs for tuning: .697
// at 0.35, .702 at 1, .705 at 2.
const halfLike = 2.0

// text is how much of the words and concepts of the one the other has: the
// index's likeness x (see Hit.Likeness) as x(1+h)/(x+h), which grows fast at
// first and is 1 for 1. The same whatever else is found.
func (p *pair) text() float64 {
	x := p.other.likeness
	return x * (1 + halfLike) / (x + halfLike)
}

// topics is four fifths the share of the need's topics, and of the domains
// above them, that the supply has, and one fifth the same share of its
// Sustainable Development Goals.
func (p *pair) topics() float64 {
	return 0.8*p.share(FieldTopic) + 0.2*p.share(FieldSDG)
}

// share is the part of the need's values that the supply has.
func (p *pair) share(f Field) float64 {
	wanted, there := p.need.words(f), p.supply.words(f)
	if len(wanted) == 0 || len(there) == 0 {
		return unknown
	}
	have, all := 0.0, 0.0
	for _, w := range wanted {
		weight := p.need.weight(w)
		if all += weight; slices.Contains(there, w) {
			have += weight
		}
	}
	return have / all
}

// risk is what a maturity is worth, least mature first: for those who try
// things, for plans, and for money that is there.
var risk = struct{ trying, planning, buying []float64 }{
	trying:   []float64{0.3, 0.6, 0.9, 1, 1},
	planning: []float64{0.15, 0.4, 0.75, 0.95, 1},
	buying:   []float64{0, 0.1, 0.5, 0.8, 1},
}

// tryingRoutes are ways to buy something that is not ready yet.
var tryingRoutes = []string{"PROOF_OF_CONCEPT", "PILOT", "CHALLENGE_PROBLEM_BASED", "INNOVATION_PARTNERSHIP", "PRE_COMMERCIAL_PROCUREMENT"}

// tolerance is what the need thinks of each maturity: by its stage, a need
// tries, a plan plans, a funded one buys; a route that is made for pilots
// tries at any stage. Without a stage it plans.
func tolerance(need *traits) []float64 {
	switch stage := Stage(need.word(FieldStage)); {
	case stage == "NEED", slices.Contains(tryingRoutes, need.word(FieldProcurement)):
		return risk.trying
	case stage == "" || stage == "PLANNED":
		return risk.planning
	}
	return risk.buying
}

// maturity is what the supply's maturity is worth to the need by the table risk.
func (p *pair) maturity() float64 {
	i := slices.Index(Maturities, Maturity(p.supply.word(FieldMaturity)))
	if i < 0 {
		return unknown
	}
	return tolerance(p.need)[i]
}

// bandFrom is what a price band begins with, in US dollars a year.
var bandFrom = map[PriceBand]float64{"FREE": 0, "UNDER_10K": 0, "FROM_10K_TO_50K": 10_000, "FROM_50K_TO_250K": 50_000, "FROM_250K_TO_1M": 250_000, "OVER_1M": 1_000_000}

// budgetCurrency is the currency of price bands; budgets in others are not
// compared with them, since rates change.
const budgetCurrency = "USD"

// budget is 1 where the supply's price band begins within the need's budget,
// and falls by a half each time it begins at twice as much as the budget ends with.
func (p *pair) budget() float64 {
	over, known := p.overBudget()
	switch {
	case !known:
		return unknown
	case over <= 1:
		return 1
	}
	return 1 / over
}

// overBudget is by which factor the price band begins above the budget's end.
func (p *pair) overBudget() (factor float64, known bool) {
	band := PriceBand(p.supply.word(FieldPriceBand))
	from, ok := bandFrom[band]
	if band == "FREE" {
		return 0, true
	}
	most, stated := p.need.number(FieldBudgetMax)
	if !ok || !stated || most <= 0 || p.need.word(FieldCurrency) != budgetCurrency {
		return 0, false
	}
	return from / most, true
}

// routeFamilies are procurement routes that are near to each other: who can
// be bought by one can mostly be bought by another.
var routeFamilies = [][]string{
	{"INFORMATION_REQUEST", "PROOF_OF_CONCEPT", "PILOT", "FEASIBILITY_STUDY", "CHALLENGE_PROBLEM_BASED"},
	{"OPEN_TENDER", "RESTRICTED_TENDER", "COMPETITIVE_DIALOGUE", "FRAMEWORK_AGREEMENT"},
	{"INNOVATION_PARTNERSHIP", "PRE_COMMERCIAL_PROCUREMENT", "PUBLIC_PROCUREMENT_OF_INNOVATION", "CHALLENGE_PROBLEM_BASED"},
}

// nearRoute is what a route of the same family is worth.
const nearRoute = 0.7

// procurement is 1 where the supply can be had by the need's route, nearRoute
// where it can be had by one of the same family, 0 where by others only.
func (p *pair) procurement() float64 {
	route, routes := p.need.word(FieldProcurement), p.supply.words(FieldProcurement)
	switch {
	case route == "" || len(routes) == 0:
		return unknown
	case slices.Contains(routes, route):
		return 1
	case nearTo(route, routes) != "":
		return nearRoute
	}
	return 0
}

// nearTo is the first of some routes that is of the same family as another one.
func nearTo(route string, routes []string) string {
	for _, r := range routes {
		for _, family := range routeFamilies {
			if slices.Contains(family, route) && slices.Contains(family, r) {
				return r
			}
		}
	}
	return ""
}

// servesRegion is what it is worth that a region is served as a whole, or that
// a partner is in the same region, where the country itself is not named.
const servesRegion = 0.85

// region is 1 where the supply names the need's country, servesRegion where
// it names its region, 0 where it names others only. Of two cities: 1 in the
// same country, servesRegion in the same region.
func (p *pair) region() float64 {
	country, countries, regions := p.where()
	switch {
	case p.need.homeRegion() == "" || len(countries)+len(regions) == 0:
		return unknown
	case slices.Contains(countries, string(country)):
		return 1
	case slices.Contains(regions, string(p.need.homeRegion())):
		return servesRegion
	}
	return 0
}

// where is the need's country, and the countries and regions that the supply names.
func (p *pair) where() (country Country, countries, regions []string) {
	if p.supply.id.Kind() == KindCompany { // without a solution: where it is says nothing
		for _, s := range p.supply.words(FieldServed) {
			if isCountry(Country(s)) {
				countries = append(countries, s)
			} else {
				regions = append(regions, s)
			}
		}
		return p.need.home(), countries, regions
	}
	return p.need.home(), p.supply.words(FieldCountry), p.supply.words(FieldRegion)
}

// language is 1 where the two share a language, 0 where they share none.
func (p *pair) language() float64 {
	a, b := p.need.words(FieldLanguage), p.supply.words(FieldLanguage)
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	if len(shared(a, b)) > 0 {
		return 1
	}
	return 0
}

// shared are the languages of a that b has as well, in whatever regional form.
func shared(a, b []string) (out []string) {
	for _, l := range a {
		if slices.ContainsFunc(b, func(o string) bool { return closeLanguages(Language(o), Language(l)) }) {
			out = append(out, l)
		}
	}
	return out
}

// resemblance is how like a place is to the need's city, 0 to 1: two fifths
// for the country (its region: three quarters of that), three tenths each for
// the World Bank's income group of the country and for the size of the city;
// the neighbouring class is worth half. What is not known is worth half.
func resemblance(need *traits, country Country, size int) float64 {
	where, home := unknown, need.home()
	switch {
	case need.homeRegion() == "" || country == "":
	case home == country:
		where = 1
	case need.homeRegion() == country.Region():
		where = 0.75
	default:
		where = 0
	}
	return 0.4*where + 0.3*classes(home.income(), country.income()) + 0.3*classes(need.size(), size)
}

// classes compares two classes, of which 0 is not known.
func classes(a, b int) float64 {
	switch d := a - b; {
	case a == 0 || b == 0:
		return unknown
	case d == 0:
		return 1
	case d == 1 || d == -1:
		return 0.5
	}
	return 0
}

// unconfirmed is what a deployment is worth that the city has not confirmed.
const unconfirmed = 0.7

// evidence is 0 for what is an idea or a prototype by its own words. For
// whatever is in use somewhere it is a half where no deployment is listed, and
// grows with each that is, towards 1: by how comparable its city is, and less
// where the city has not confirmed it. With deployments worth a, b and c it is
// 1 - (1-a)(1-b)(1-c)/2. Of two cities it is how comparable they are.
func (p *pair) evidence() float64 {
	if p.alike {
		return resemblance(p.need, p.other.home(), p.other.size())
	}
	switch Maturity(p.supply.word(FieldMaturity)) {
	case "":
		return unknown
	case "IDEA", "PROTOTYPE":
		return 0
	}
	without := 1.0
	for _, e := range p.supply.words(FieldEvidence) {
		without *= 1 - p.worth(e)
	}
	return 1 - without/2
}

// worth is what a deployment says to the need.
func (p *pair) worth(e string) float64 {
	country, size, confirmed := evidence(e)
	x := resemblance(p.need, country, size)
	if !confirmed {
		x *= unconfirmed
	}
	return x
}

// Freshness stays whole for so long after a change, and then falls by a half
// each time that the other has passed; both in days.
const (
	freshDays  = 90
	freshHalf  = 365
	secondsDay = 24 * 60 * 60
)

// freshness is 1 for what was changed in the last freshDays days, and halves
// with each freshHalf days after that.
func (p *pair) freshness() float64 {
	at, ok := p.other.number(FieldChanged)
	if !ok {
		return unknown
	}
	days := math.Floor((float64(p.now.Unix()) - at) / secondsDay)
	return math.Exp2(-max(days-freshDays, 0) / freshHalf)
}

// willingness is half how the other side has answered so far (see
// conduct.answers), and half whether what the two sides say that they look for
// fits the other: the partners that a proposal wants, and the regions and
// countries that a company serves. Both directions count alike.
func (p *pair) willingness() float64 {
	return (p.conduct.answers(p.now) + (p.wanted()+p.served())/2) / 2
}

// wanted says whether the supply's member is one of the partners that the need
// looks for: 1 where it is, 0 where those of its type are wanted from elsewhere.
func (p *pair) wanted() float64 {
	kind := "COMPANY"
	if p.alike {
		kind = "CITY"
	}
	home, value := p.supply.home(), unknown
	for _, w := range p.need.words(FieldWanted) {
		switch {
		case w == kind:
			return 1
		case len(w) <= len(kind) || w[:len(kind)+1] != kind+"." || home == "":
			continue
		}
		if place := w[len(kind)+1:]; place == string(home) || place == string(home.Region()) {
			return 1
		}
		value = 0
	}
	return value
}

// served says whether the need's country is one that the supply's company
// says it serves.
func (p *pair) served() float64 {
	served, home := p.supply.words(FieldServed), p.need.home()
	switch {
	case len(served) == 0 || home == "":
		return unknown
	case slices.Contains(served, string(home)), slices.Contains(served, string(home.Region())):
		return 1
	}
	return 0
}

// exposure is 1 for a member of whom nobody wants anything, and a half when
// busyAt requests wait for its answer or were agreed lately: a few must not
// take all.
func (p *pair) exposure() float64 { return 1 / (1 + p.conduct.load(p.now)/busyAt) }

const busyAt = 8
