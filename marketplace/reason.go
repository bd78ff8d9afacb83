package marketplace

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// A speaker puts the reasons of one match into words, for one reader.
type speaker struct {
	*phrasebook
	ctx       context.Context
	market    *Market
	languages []Language
	pair      *pair
}

// speaker makes one for the context's viewer.
func (m *Market) speaker(ctx context.Context, p *pair, wished []Language) *speaker {
	languages := append(slices.Clone(wished), ViewerOf(ctx).Languages...)
	return &speaker{phrasesFor(languages), ctx, m, languages, p}
}

// Sentence says a reason in the reader's language. What they may not see is
// not named. What it reads belongs to the request in which the reasons were
// asked for.
func (r *MatchReason) Sentence() (string, error) {
	s := r.speaker
	switch r.Criterion {
	case ByText:
		return s.graded(r, 0.6, "much", 0.3, "some", "little"), nil
	case ByTopics:
		return s.topics()
	case ByMaturity:
		return s.maturity(r), nil
	case ByBudget:
		return s.budget(), nil
	case ByProcurement:
		return s.procurement(), nil
	case ByRegion:
		return s.region(), nil
	case ByLanguage:
		return s.language(), nil
	case ByEvidence:
		return s.evidence(r)
	case ByFreshness:
		return s.freshness(), nil
	case ByWillingness:
		return s.willingness(), nil
	}
	return s.graded(r, 0.5, "free", 0, "busy", "busy"), nil
}

// phraseNames are how the names of each criterion's phrases begin.
var phraseNames = func() map[Criterion]string {
	m := map[Criterion]string{}
	for _, c := range Criteria {
		m[c] = "match." + strings.ToLower(string(c)) + "."
	}
	return m
}()

// tell fills in the phrase of a criterion.
func (s *speaker) tell(c Criterion, word string, fill filling) string {
	return s.say(phraseNames[c]+word, fill)
}

// graded picks a phrase by the value: the first from so much on, the second, or the last.
func (s *speaker) graded(r *MatchReason, high float64, first string, middle float64, second, last string) string {
	switch {
	case r.Value >= high:
		return s.tell(r.Criterion, first, nil)
	case r.Value >= middle:
		return s.tell(r.Criterion, second, nil)
	}
	return s.tell(r.Criterion, last, nil)
}

// some joins the first of some words.
func (s *speaker) some(list []string) string {
	return strings.Join(list[:min(len(list), maxNamed)], s.phrases["match.list"])
}

// maxNamed is how many topics, places or languages a sentence names.
const maxNamed = 3

func (s *speaker) two(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	out := s.phrases["match.two"]
	return strings.NewReplacer("{first}", a, "{second}", b).Replace(out)
}

// both are the values of a field that the two have in common.
func (s *speaker) both(f Field) (out []string) {
	for _, w := range s.pair.need.words(f) {
		if s.pair.supply.has(f, w) {
			out = append(out, w)
		}
	}
	return out
}

func (s *speaker) topics() (string, error) {
	p := s.pair
	if len(p.need.words(FieldTopic)) == 0 || len(p.supply.words(FieldTopic)) == 0 {
		return s.tell(ByTopics, "unknown", nil), nil
	}
	shared := s.both(FieldTopic)
	names, err := s.topicNames(shared)
	if err != nil {
		return "", err
	}
	word := "shared"
	if len(shared) == 0 {
		word = "none"
		if names, err = s.topicNames(p.other.words(FieldTopic)); err != nil {
			return "", err
		}
	}
	said, goals := "", s.both(FieldSDG)
	if len(names) > 0 {
		said = s.tell(ByTopics, word, filling{"topics": s.some(names)})
	}
	if len(goals) == 0 {
		return said, nil
	}
	slices.SortFunc(goals, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }) // as numbers
	return s.two(said, s.tell(ByTopics, "goals", filling{"goals": strings.Join(goals, s.phrases["match.list"])})), nil
}

// topicNames are the names of topics, those of domains only where no topic of
// theirs is there.
func (s *speaker) topicNames(ids []string) (names []string, err error) {
	var domains []string
	for _, id := range ids {
		t, ok, err := visibleOf[*Topic](s.ctx, s.market, ID(id))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		name := t.Label.In(s.languages).Text
		if t.Parent == "" {
			domains = append(domains, name)
		} else {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return domains, nil
	}
	return names, nil
}

func (s *speaker) maturity(r *MatchReason) string {
	m := s.pair.supply.word(FieldMaturity)
	if m == "" {
		return s.tell(ByMaturity, "unknown", nil)
	}
	word := "fits"
	if r.Value < 0.7 {
		word = "early"
	}
	return s.tell(ByMaturity, word, filling{"maturity": s.phrases["maturity."+m]})
}

// bandText writes price bands alike in all languages.
var bandText = map[PriceBand]string{
	"UNDER_10K": "< USD 10,000", "FROM_10K_TO_50K": "USD 10,000–50,000", "FROM_50K_TO_250K": "USD 50,000–250,000",
	"FROM_250K_TO_1M": "USD 250,000–1,000,000", "OVER_1M": "> USD 1,000,000",
}

func (s *speaker) budget() string {
	p := s.pair
	over, known := p.overBudget()
	band := PriceBand(p.supply.word(FieldPriceBand))
	_, stated := p.need.number(FieldBudgetMax)
	switch {
	case band == "FREE":
		return s.tell(ByBudget, "free", nil)
	case bandText[band] == "":
		return s.tell(ByBudget, "noPrice", nil)
	case !stated:
		return s.tell(ByBudget, "noBudget", nil)
	case p.need.word(FieldCurrency) != budgetCurrency:
		return s.tell(ByBudget, "currency", filling{"currency": p.need.word(FieldCurrency)})
	case known && over > 1:
		return s.tell(ByBudget, "above", filling{"percent": strconv.Itoa(int(math.Ceil(100*over - 100)))})
	}
	return s.tell(ByBudget, "within", filling{"price": bandText[band]})
}

func (s *speaker) procurement() string {
	route, routes := s.pair.need.word(FieldProcurement), s.pair.supply.words(FieldProcurement)
	word := "none"
	switch {
	case route == "" || len(routes) == 0:
		return s.tell(ByProcurement, "unknown", nil)
	case slices.Contains(routes, route):
		word = "same"
	case nearTo(route, routes) != "":
		word, route = "near", nearTo(route, routes)
	}
	return s.tell(ByProcurement, word, filling{"route": s.phrases["route."+route]})
}

func (s *speaker) place(name string) string {
	if isCountry(Country(name)) {
		return Country(name).Name(append(slices.Clone(s.languages), s.phrasebook.language))
	}
	return s.phrases["region."+name]
}

func (s *speaker) region() string {
	country, countries, regions := s.pair.where()
	value, word, place := s.pair.region(), "none", ""
	switch {
	case s.pair.need.homeRegion() == "" || len(countries)+len(regions) == 0:
		return s.tell(ByRegion, "unknown", nil)
	case value == 1:
		word, place = "country", s.place(string(country))
	case value > 0:
		word, place = "country", s.place(string(s.pair.need.homeRegion()))
	default:
		var names []string
		for _, name := range append(slices.Clone(regions), countries...) {
			names = append(names, s.place(name))
		}
		place = s.some(names)
	}
	if s.pair.alike {
		switch {
		case value == 1:
			word = "sameCountry"
		case value > 0:
			word = "sameRegion"
		default:
			word, place = "otherRegion", s.place(firstOf(regions))
		}
	}
	return s.tell(ByRegion, word, filling{"place": place})
}

func (s *speaker) language() string {
	a, b := s.pair.need.words(FieldLanguage), s.pair.supply.words(FieldLanguage)
	if len(a) == 0 || len(b) == 0 {
		return s.tell(ByLanguage, "unknown", nil)
	}
	word, list := "shared", shared(a, b)
	if len(list) == 0 {
		word, list = "none", s.pair.other.words(FieldLanguage)
	}
	names := make([]string, 0, maxNamed)
	for _, l := range list[:min(len(list), maxNamed)] {
		names = append(names, languageName(Language(l), s.phrasebook.language))
	}
	return s.tell(ByLanguage, word, filling{"languages": s.some(names)})
}

// languageNames remembers what languages are called in those of the
// phrasebooks, since CLDR's tables take some 10 us to look into. Bounded: tags
// come from strangers.
var languageNames struct {
	sync.RWMutex
	of map[[2]Language]string
}

// languageName is what a language is called in another one, by Unicode CLDR;
// its tag where that is not known.
func languageName(l, in Language) string {
	key := [2]Language{l, in}
	languageNames.RLock()
	name := languageNames.of[key]
	languageNames.RUnlock()
	if name != "" {
		return name
	}
	name = string(l)
	if tag, err := language.Parse(name); err == nil {
		name = cmp.Or(display.Languages(language.Make(string(in))).Name(tag), name)
	}
	languageNames.Lock()
	defer languageNames.Unlock()
	if len(languageNames.of) >= 1000 || languageNames.of == nil {
		languageNames.of = make(map[[2]Language]string)
	}
	languageNames.of[key] = name
	return name
}

func (s *speaker) evidence(r *MatchReason) (string, error) {
	p := s.pair
	if p.alike {
		return s.graded(r, 0.75, "alike", 0.45, "partly", "unlike"), nil
	}
	switch p.supply.word(FieldMaturity) {
	case "IDEA", "PROTOTYPE":
		return s.tell(ByEvidence, "idea", nil), nil
	}
	solution, ok, err := visibleOf[*Solution](s.ctx, s.market, p.supply.id)
	if err != nil || !ok || len(solution.Deployments) == 0 {
		return s.tell(ByEvidence, "none", nil), err
	}
	best, most := solution.Deployments[0], -1.0
	for _, d := range solution.Deployments {
		city, ok, err := visibleOf[*City](s.ctx, s.market, d.City)
		if err != nil {
			return "", err
		}
		people := 0
		if ok {
			people = city.people()
		}
		if worth := p.worth(evidenceOf(&d, people)); worth > most {
			best, most = d, worth
		}
	}
	word := "far"
	if most >= 0.6*unconfirmed {
		word = "near"
	}
	return s.tell(ByEvidence, word, filling{"place": best.Place, "country": s.place(string(best.Country)), "year": strconv.Itoa(best.Year)}), nil
}

func (s *speaker) freshness() string {
	at, ok := s.pair.other.number(FieldChanged)
	if !ok {
		return s.tell(ByFreshness, "unknown", nil)
	}
	return s.tell(ByFreshness, "date", filling{"date": time.Unix(int64(at), 0).UTC().Format(time.DateOnly)})
}

func (s *speaker) willingness() string {
	p := s.pair
	word := "unknown"
	switch answers := p.conduct.answers(p.now); {
	case answers >= 0.65:
		word = "answers"
	case answers < 0.4:
		word = "silent"
	}
	said := s.tell(ByWillingness, word, nil)
	switch fit := p.wanted() + p.served(); {
	case fit > 2*unknown:
		return s.two(s.tell(ByWillingness, "fits", nil), said)
	case fit < 2*unknown:
		return s.two(s.tell(ByWillingness, "unfit", nil), said)
	}
	return said
}
