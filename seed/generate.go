package seed

import (
	"context"
	_ "embed"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"citymarket/marketplace"
)

// generatedSeed is the seed of what LoadGenerated loads, so that every server
// and every measurement has the same.
const generatedSeed = 1

// companyCount is how many companies offer n generated solutions.
func companyCount(n int) int { return max(1, min(500, n/20)) }

// generatedFrom and generatedSpan are the time in which generated solutions
// were published: fixed, since equal seeds give equal solutions on any day.
var generatedFrom = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

const generatedSpan = 2 * 365 * 24 * time.Hour

// lexiconSize is how many word forms a language has.
const lexiconSize = 30_000

// Generate makes n solutions of the companies of [GenerateCompanies], the same
// ones for the same n and seed; they refer to the vocabulary's
// topics. Texts are nonsense with the statistics of language: some 100 words
// in summary and description, of 30,000 word forms in each of seven
// languages, the k-th of which is k times rarer than the first. Topics,
// goals, countries, prices and companies are as uneven as in a real market.
//
// One costs some 20 µs and 3 KB, after 0.2 s once for the words.
func Generate(n int, seed uint64) iter.Seq[*marketplace.Solution] {
	return func(yield func(*marketplace.Solution) bool) {
		g := newGenerator(n, seed)
		for i := range n {
			if !yield(g.solution(i)) {
				return
			}
		}
	}
}

// GenerateCompanies makes the companies of n generated solutions: 500, or
// fewer where there are less than 10,000 solutions.
func GenerateCompanies(n int) []*marketplace.Company {
	g := newGenerator(n, generatedSeed)
	out := make([]*marketplace.Company, companyCount(n))
	for i := range out {
		out[i] = g.company(i)
	}
	return out
}

//go:embed words.txt
var words string

// A tongue is a language of generated texts.
type tongue struct {
	language marketplace.Language
	share    int // of 100 solutions
	invent   func(*rand.Rand) string
	space    string // between two words
	stop     string // at the end of a sentence, with the space after it
}

var tongues = []tongue{
	{"en", 55, syllables("b c d f g h j k l m n p r s t v w br cl cr dr fl gr pl pr sh sp st th tr ch", "a e i o u ai ea ee oo ou", "n r s t l m ck nd st ng", "ing ed er ion ity ment al ness ly"), " ", ". "},
	{"zh", 15, inventHan, "", "。"},
	{"es", 6, syllables("b c d f g h j l m n p r s t v br cl cr dr fl gr pl pr tr ch", "a e i o u ia ie ue", "n s r l", "ción dad mente ado ando os as ar"), " ", ". "},
	{"ko", 6, inventHangul, " ", ". "},
	{"ar", 6, inventArabic, " ", ". "},
	{"de", 6, syllables("b d f g h k l m n p r s t w z br fl gr kl pf schl sch st str tr", "a e i o u ä ö ü ei au ie", "n r l s t ch ng", "ung en er keit lich heit ern"), " ", ". "},
	{"ru", 6, syllables("б в г д ж з к л м н п р с т ф х ц ч ш пр ст тр кр", "а е и о у ы я ю", "н р л т с м", "ость ение ный ого ать ами ов"), " ", ". "},
}

// syllables invents words of a language in which words are written as one to
// three syllables and an ending, so that some share a stem.
func syllables(onsets, vowels, codas, endings string) func(*rand.Rand) string {
	on, vo, co, en := strings.Fields(onsets), strings.Fields(vowels), strings.Fields(codas), strings.Fields(endings)
	return func(r *rand.Rand) string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString(pick(r, on))
			b.WriteString(pick(r, vo))
			if r.IntN(3) == 0 {
				b.WriteString(pick(r, co))
			}
		}
		if r.IntN(2) == 0 {
			b.WriteString(pick(r, en))
		}
		return b.String()
	}
}

// commonHan are frequent characters of Chinese; words are two of them, some three.
var commonHan = []rune("人大中上下来到时会可主发年动同工也能行面说种过后学家进方多经成法用自生对分好作地产出现开问看天新定长高本外明门三理部心公最体前车市东本场水电政机社员力正回入表新四特两从路相区情关物计走间重代平期放今安题书通直必女第月实气世界意美台加海风光山石米林火土金木花草鸟鱼马牛羊")

func inventHan(r *rand.Rand) string {
	n := 2
	if r.IntN(8) == 0 {
		n = 3
	}
	word := make([]rune, n)
	for i := range word {
		word[i] = pick(r, commonHan)
	}
	return string(word)
}

var particles = strings.Fields("은 는 이 가 을 를 의 에 에서 으로 하고 하는 합니다")

// inventHangul composes syllables of a leading consonant, a vowel and often a
// trailing consonant, and adds a particle to half of the words.
func inventHangul(r *rand.Rand) string {
	var b strings.Builder
	for range 2 + r.IntN(2) {
		trailing := 0
		if r.IntN(2) == 0 {
			trailing = pick(r, []int{1, 4, 8, 16, 17, 21}) // ㄱ ㄴ ㄹ ㅁ ㅂ ㅇ
		}
		b.WriteRune(rune(0xac00 + (r.IntN(19)*21+pick(r, []int{0, 4, 8, 13, 18, 20}))*28 + trailing)) // ㅏ ㅓ ㅗ ㅜ ㅡ ㅣ
	}
	if r.IntN(2) == 0 {
		b.WriteString(pick(r, particles))
	}
	return b.String()
}

var (
	arabicLetters = []rune("بتثجحخدذرزسشصضطعغفقكلمنهوي")
	arabicStarts  = []string{"", "", "ال", "ال", "م", "ت", "وال", "بال"}
	arabicInner   = []string{"", "", "ا", "ي", "و"}
	arabicEnds    = []string{"", "", "ة", "ات", "ين", "ية"}
)

// inventArabic makes a word of a root of three consonants, a pattern and an article.
func inventArabic(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString(pick(r, arabicStarts))
	for range 3 {
		b.WriteRune(pick(r, arabicLetters))
		b.WriteString(pick(r, arabicInner))
	}
	b.WriteString(pick(r, arabicEnds))
	return b.String()
}

// lexicons are the word forms of the tongues, most frequent first: real ones,
// then invented ones.
var lexicons = sync.OnceValue(func() [][]string {
	all := make([][]string, len(tongues))
	var wg sync.WaitGroup
	for i, t := range tongues {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), lexiconSize))
			known := make(map[string]bool, lexiconSize)
			forms := make([]string, 0, lexiconSize)
			for _, w := range realWords(t.language) {
				if !known[w] {
					known[w] = true
					forms = append(forms, w)
				}
			}
			for len(forms) < lexiconSize {
				if w := t.invent(r); !known[w] {
					known[w] = true
					forms = append(forms, w)
				}
			}
			all[i] = forms
		})
	}
	wg.Wait()
	return all
})

// realWords are the words of words.txt.
func realWords(language marketplace.Language) []string {
	for line := range strings.Lines(words) {
		if rest, ok := strings.CutPrefix(line, string(language)+": "); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// A skew picks numbers from 0 to n-1 of which the k-th is about k times rarer
// than the first. It reckons in integers, so that it picks the same on every
// kind of machine, unlike rand.Zipf.
type skew []uint64

// newSkew: head flattens the distribution's top: the larger, the flatter.
func newSkew(n int, head uint64) skew {
	s := make(skew, n)
	var sum uint64
	for k := range s {
		sum += 1 << 40 / (uint64(k) + head)
		s[k] = sum
	}
	return s
}

func (s skew) pick(r *rand.Rand) int {
	i, found := slices.BinarySearch(s, r.Uint64N(s[len(s)-1]))
	if found {
		i++
	}
	return i
}

// some picks up to n different numbers.
func (s skew) some(r *rand.Rand, n int) []int {
	out := make([]int, 0, n)
	for range n {
		if i := s.pick(r); !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// chosen picks an index by weights that sum up to 100.
func chosen(r *rand.Rand, weights []int) int {
	x := r.IntN(100)
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// Values of generated things, most frequent first where a skew picks them.
var (
	generatedCountries = []marketplace.Country{
		"KR", "CN", "US", "IN", "DE", "GB", "ES", "FR", "JP", "SG", "NL", "BR", "TR", "MX", "AE", "IT", "ID", "VN", "FI", "ZA",
		"NG", "KE", "EG", "CO", "CA", "AU", "SE", "PL", "EE", "MY", "TH", "PH", "SA", "IL", "MA", "CL", "AR", "PE", "PT", "DK",
		"AT", "CH", "BE", "NO", "GR", "RO", "CZ", "UA", "KZ", "UZ", "PK", "BD", "LK", "NP", "MN", "NZ", "GH", "RW", "TZ", "SN",
		"TN", "DZ", "ET", "UG", "JO", "OM", "QA", "IQ", "EC", "CR", "UY", "DO", "PY", "GE", "AZ", "KH", "FJ", "ZM", "BW", "MZ",
	}
	generatedGoals        = []marketplace.SDG{11, 9, 13, 12, 16, 7, 6, 3, 8, 17, 10, 4, 15, 1, 5, 14, 2}
	generatedTechnologies = []string{
		"machine learning", "LoRaWAN", "cloud platform", "mobile application", "computer vision", "open API", "digital twin", "NB-IoT", "GIS", "edge computing",
		"5G", "video analytics", "smart meter", "radar", "lidar", "drone", "blockchain", "QR code", "solar panel", "acoustic sensor", "satellite imagery", "chatbot",
		"RFID", "Bluetooth", "natural language processing", "battery storage", "mesh network", "augmented reality",
	}
	generatedStandards = []string{"ISO 37122", "ISO 37120", "ISO/IEC 27001", "OCPP 2.0.1", "NGSI-LD", "GTFS", "DATEX II", "MQTT 5.0", "OGC SensorThings", "GBFS", "WCAG 2.2", "Open311", "IEC 62443"}

	maturityShares = []int{3, 8, 25, 22, 42}                          // in the order of marketplace.Maturities
	modelShares    = []int{24, 30, 16, 8, 6, 4, 12}                   // in the order of marketplace.PriceModels
	bandShares     = []int{4, 16, 26, 24, 12, 4, 14}                  // in the order of marketplace.PriceBands
	sizeShares     = []int{8, 57, 35}                                 // in the order of marketplace.CompanySizes
	statusShares   = []int{1, 1, 96, 2}                               // in the order of generatedStatuses
	readiness      = [][2]int{{1, 3}, {4, 6}, {6, 8}, {7, 9}, {8, 9}} // least and most TRL of a maturity

	generatedStatuses = []marketplace.SolutionStatus{marketplace.SolutionDraft, marketplace.SolutionInReview, marketplace.SolutionPublished, marketplace.SolutionArchived}
)

// A generator holds what all solutions of one sequence share.
type generator struct {
	seed     uint64
	lexicons [][]string
	labels   [][]string // of the topics, by tongue
	topics   []marketplace.ID
	shares   []int // of the tongues

	ofWords, ofTopics, ofCompanies, ofCountries, ofGoals, ofTechnologies, ofStandards, ofRoutes skew
}

func newGenerator(n int, seed uint64) *generator {
	all, err := topics()
	if err != nil {
		panic(err) // the embedded table is wrong: the tests read it
	}
	subs := slices.DeleteFunc(all, func(t *marketplace.Topic) bool { return t.Parent == "" })
	g := &generator{
		seed: seed, lexicons: lexicons(),
		ofWords: newSkew(lexiconSize, 3), ofTopics: newSkew(len(subs), 4), ofCompanies: newSkew(companyCount(n), 20),
		ofCountries: newSkew(len(generatedCountries), 3), ofGoals: newSkew(len(generatedGoals), 1), ofTechnologies: newSkew(len(generatedTechnologies), 3),
		ofStandards: newSkew(len(generatedStandards), 2), ofRoutes: newSkew(len(marketplace.ProcurementRoutes), 4),
	}
	for _, t := range tongues {
		g.shares = append(g.shares, t.share)
		labels := make([]string, len(subs))
		for i, s := range subs {
			labels[i] = s.Label.In([]marketplace.Language{t.language}).Text
		}
		g.labels = append(g.labels, labels)
	}
	for _, s := range subs {
		g.topics = append(g.topics, s.ID)
	}
	return g
}

// random is a source of its own for each thing, so that one does not depend
// on how many came before.
func (g *generator) random(what uint64, i int) *rand.Rand {
	return rand.New(rand.NewPCG(g.seed<<1|what, uint64(i)*0x9e3779b97f4a7c15))
}

const (
	forSolution = iota
	forCompany
)

// words writes n words of a tongue as sentences; now and then the label of
// the topic.
func (g *generator) words(r *rand.Rand, tongue, topic, n int) marketplace.Text {
	t, lexicon := &tongues[tongue], g.lexicons[tongue]
	var b strings.Builder
	b.Grow(n * 11)
	left := 0 // words of the sentence
	for i := range n {
		w := lexicon[g.ofWords.pick(r)]
		if r.IntN(40) == 0 {
			w = g.labels[tongue][topic]
		}
		if left == 0 {
			left = 7 + r.IntN(10)
			w = capitalized(w)
		} else {
			b.WriteString(t.space)
		}
		b.WriteString(w)
		if left--; left == 0 || i == n-1 {
			b.WriteString(t.stop)
			left = 0
		}
	}
	return marketplace.Text{{Language: t.language, Text: strings.TrimSuffix(b.String(), " ")}}
}

// name is a topic's label and some rare words.
func (g *generator) name(r *rand.Rand, tongue, topic, n int) marketplace.Text {
	var b strings.Builder
	b.WriteString(g.labels[tongue][topic])
	for range n {
		b.WriteString(tongues[tongue].space)
		b.WriteString(capitalized(g.lexicons[tongue][g.ofWords.pick(r)]))
	}
	return marketplace.Text{{Language: tongues[tongue].language, Text: b.String()}}
}

func capitalized(w string) string {
	first, size := utf8.DecodeRuneInString(w)
	if upper := unicode.ToUpper(first); upper != first {
		return string(upper) + w[size:]
	}
	return w
}

func (g *generator) solution(i int) *marketplace.Solution {
	r := g.random(forSolution, i)
	tongue := chosen(r, g.shares)
	language := tongues[tongue].language
	company := g.ofCompanies.pick(r)
	topics := g.ofTopics.some(r, 1+chosen(r, []int{60, 30, 10}))
	maturity := chosen(r, maturityShares)
	trl := readiness[maturity][0] + r.IntN(readiness[maturity][1]-readiness[maturity][0]+1)
	s := &marketplace.Solution{
		Company:     companyID(company),
		Status:      generatedStatuses[chosen(r, statusShares)],
		Title:       g.name(r, tongue, topics[0], 2+r.IntN(3)),
		Summary:     g.words(r, tongue, topics[0], 20+r.IntN(10)),
		Description: g.words(r, tongue, topics[0], 60+r.IntN(30)),
		TRL:         &trl,
		Maturity:    marketplace.Maturities[maturity],
		PriceModel:  marketplace.PriceModels[chosen(r, modelShares)],
		PriceBand:   marketplace.PriceBands[chosen(r, bandShares)],
	}
	s.Slug = fmt.Sprintf("generated-%d", i+1)
	s.ID = marketplace.ID("solution_" + s.Slug)
	s.IsSample = true
	if s.Status == marketplace.SolutionPublished || s.Status == marketplace.SolutionArchived {
		at := generatedFrom.Add(time.Duration(r.Int64N(int64(generatedSpan/time.Second))) * time.Second)
		s.PublishedAt = &at
	}
	for _, t := range topics {
		s.Topics = append(s.Topics, g.topics[t])
	}
	for _, k := range g.ofGoals.some(r, 1+r.IntN(3)) {
		s.SDGs = append(s.SDGs, generatedGoals[k])
	}
	for _, k := range g.ofTechnologies.some(r, 2+r.IntN(4)) {
		s.Technologies = append(s.Technologies, generatedTechnologies[k])
	}
	for _, k := range g.ofRoutes.some(r, 1+r.IntN(4)) {
		s.ProcurementRoutes = append(s.ProcurementRoutes, marketplace.ProcurementRoutes[k])
	}
	for _, k := range g.ofStandards.some(r, r.IntN(3)) {
		s.Standards = append(s.Standards, generatedStandards[k])
	}
	home := g.country(company)
	s.Countries = []marketplace.Country{home}
	for _, k := range g.ofCountries.some(r, r.IntN(5)) {
		if c := generatedCountries[k]; c != home {
			s.Countries = append(s.Countries, c)
		}
	}
	s.Regions = []marketplace.Region{home.Region()}
	if other := pick(r, marketplace.Regions); other != s.Regions[0] && r.IntN(3) == 0 {
		s.Regions = append(s.Regions, other)
	}
	s.SupportLanguages = []marketplace.Language{language}
	if language != "en" {
		s.SupportLanguages = append(s.SupportLanguages, "en")
	}
	if maturity >= 3 {
		for range 1 + r.IntN(3)*(maturity-3) {
			s.Deployments = append(s.Deployments, marketplace.Deployment{
				Place:   capitalized(g.lexicons[0][g.ofWords.pick(r)]),
				Country: pick(r, s.Countries),
				Year:    2016 + r.IntN(10),
				Result:  g.words(r, tongue, topics[0], 10+r.IntN(10)),
			})
		}
	}
	return s
}

func (g *generator) company(i int) *marketplace.Company {
	r := g.random(forCompany, i)
	country := g.country(i)
	size := chosen(r, sizeShares)
	staff := []int{5000, 20, 2}[size] + r.IntN([]int{50_000, 230, 30}[size])
	founded := 2025 - r.IntN([]int{80, 35, 8}[size])
	c := &marketplace.Company{
		Size: marketplace.CompanySizes[size], Staff: &staff, Founded: &founded,
		RegionsServed: []marketplace.Region{country.Region()},
		ContactPolicy: pick(r, marketplace.ContactPolicies),
	}
	c.ID = companyID(i)
	c.Slug = strings.TrimPrefix(string(c.ID), "company_")
	c.IsSample = true
	c.Country, c.Region = country, country.Region()
	c.Languages = []marketplace.Language{"en"}
	c.Name = marketplace.Text{{Language: "en", Text: fmt.Sprintf("%s %s %d",
		capitalized(pick(r, g.lexicons[0])), capitalized(pick(r, g.lexicons[0])), i+1)}}
	c.Profile = g.words(r, 0, r.IntN(len(g.topics)), 60)
	return c
}

func companyID(i int) marketplace.ID { return marketplace.ID(fmt.Sprintf("company_generated-%d", i+1)) }

// country is where a company is at home, known without making the company.
func (g *generator) country(company int) marketplace.Country {
	return generatedCountries[g.ofCountries.pick(rand.New(rand.NewPCG(generatedSeed, ^uint64(company))))]
}

// LoadGenerated loads the vocabulary, the companies of n solutions, and the
// solutions themselves; always the same. Options.Sample is ignored.
func LoadGenerated(ctx context.Context, m *marketplace.Market, n int, o Options) error {
	o.Sample = false
	if err := Load(ctx, m, o); err != nil {
		return err
	}
	ctx = act(ctx)
	if err := add(ctx, o, "generated companies", GenerateCompanies(n), m.AddCompany); err != nil {
		return err
	}
	return addAll(ctx, o, "generated solutions", n, Generate(n, generatedSeed), m.AddSolution)
}
