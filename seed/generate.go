package seed

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"citymarket/marketplace"
)

// Shape of generated solutions: what a large marketplace would look like.
const (
	vocabularySize = 30_000 // word forms of each language
	zipfExponent   = 1.07   // of word frequencies, as in natural text
	summaryWords   = 25
	bodyWords      = 75
)

// A tongue makes words of a language that does not exist, in the letters of
// one that does.
type tongue struct {
	language marketplace.Language
	share    int // of 100 solutions
	space    string
	parts    []string // what words are put together from
	least    int      // parts of a word
	most     int
}

var tongues = []tongue{
	{"en", 55, " ", strings.Fields("ta re co in mo ver lin sta der pla tion ing est ac ci ty ro ne la ment tra con sil ber tor nel"), 2, 4},
	{"zh", 15, "", strings.Split("城市智慧交通管理平台数据服务安全环境水务能源照明建筑信息系统网络监测预警应急公共居民社区参与开放设计规划运营维护成本收益合作示范项目技术方案设备传感器停车公交道路电力燃气消防垃圾回收循环", ""), 1, 3},
	{"es", 8, " ", strings.Fields("ca sa do ra mien to ción ve lo ci dad par que tra ba jo ser vi cio a gua lu mi na ria re des"), 2, 4},
	{"ko", 8, " ", strings.Split("도시교통관리시스템안전환경데이터서비스주차수도전력조명건물시민참여공공정보통신망센서감지예측운영유지비용협력사업기술설비버스도로가스소방폐기물순환", ""), 2, 4},
	{"ar", 5, " ", strings.Split("ا ب ت ج ح خ د ر ز س ش ص ط ع غ ف ق ك ل م ن ه و ي", " "), 3, 7},
	{"de", 5, " ", strings.Fields("ver kehr stadt ung ent sor ge licht wa sser bau ten netz werk da ten schutz be trieb kos ten lei st"), 2, 4},
	{"ru", 4, " ", strings.Fields("го род ски тран спорт ная си сте ма без о па сно сть во да свет зда ние се ть дан ны е у слу га"), 2, 4},
}

// word is the i-th word of the language, always the same.
func (t *tongue) word(i int) string {
	h := rand.NewPCG(uint64(i), uint64(len(t.parts)))
	n := t.least + int(h.Uint64()%uint64(t.most-t.least+1))
	var b strings.Builder
	for range n {
		b.WriteString(t.parts[h.Uint64()%uint64(len(t.parts))])
	}
	return b.String()
}

// generator makes solutions from one stream of random numbers.
type generator struct {
	r         *rand.Rand
	words     []*rand.Zipf
	dict      [][]string // words by rank, of each tongue
	topics    []*marketplace.Topic
	companies int
	today     time.Time
}

// Generate makes n solutions, the same for the same n and seed on every
// machine, some 30 us each: texts of about 100 words by Zipf's law in seven
// scripts' worth of languages, topics, places and prices by skewed
// distributions. They belong to the companies of GenerateCompanies(n).
func Generate(n int, seed uint64) iter.Seq[*marketplace.Solution] {
	return func(yield func(*marketplace.Solution) bool) {
		g, err := newGenerator(n, seed)
		if err != nil {
			panic(err) // the embedded vocabulary is read by every test
		}
		for i := range n {
			if !yield(g.solution(i)) {
				return
			}
		}
	}
}

func newGenerator(n int, seed uint64) (*generator, error) {
	all, err := topics()
	if err != nil {
		return nil, err
	}
	g := &generator{r: rand.New(rand.NewPCG(seed, 7)), companies: companiesFor(n), today: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, t := range all {
		if t.Parent != "" {
			g.topics = append(g.topics, t)
		}
	}
	for i := range tongues {
		g.words = append(g.words, rand.NewZipf(g.r, zipfExponent, 8, vocabularySize-1))
		dict := make([]string, vocabularySize)
		for rank := range dict {
			dict[rank] = tongues[i].word(rank)
		}
		g.dict = append(g.dict, dict)
	}
	return g, nil
}

// text makes n words; now and then the label stands among them.
func (g *generator) text(tongue, n int, label string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(tongues[tongue].space)
		}
		if label != "" && g.r.IntN(12) == 0 {
			b.WriteString(label)
		} else {
			b.WriteString(g.dict[tongue][g.words[tongue].Uint64()])
		}
	}
	return b.String()
}

// skewed picks from a list, the earlier the more often.
func skewed[T any](r *rand.Rand, list []T) T {
	return list[min(int(r.ExpFloat64()*float64(len(list))/4), len(list)-1)]
}

// several picks up to n different ones of a list, the earlier the more often.
func several[T comparable](r *rand.Rand, list []T, n int) []T {
	var out []T
	seen := map[T]bool{}
	for range 1 + r.IntN(n) {
		if v := skewed(r, list); !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

var (
	generatedCountries = []marketplace.Country{"KR", "CN", "US", "IN", "ID", "NP", "BR", "MX", "FR", "DE", "TR", "NG", "SD", "KE", "EG", "ES", "JP", "VN", "TH", "PH", "MN", "RU", "PE", "CO", "MA", "ZA", "AE", "NL", "KZ", "UZ"}
	generatedLanguages = []marketplace.Language{"en", "zh", "ko", "es", "ar", "fr", "ru", "tr", "id", "pt", "ja"}
)

func (g *generator) solution(i int) *marketplace.Solution {
	r := g.r
	tongue, roll := 0, r.IntN(100)
	for roll >= tongues[tongue].share {
		roll -= tongues[tongue].share
		tongue++
	}
	topics := several(r, g.topics, 3)
	language := tongues[tongue].language
	label := topics[0].Label.In([]marketplace.Language{language}).Text
	text := func(n int) marketplace.Text {
		return marketplace.Text{{Language: language, Text: g.text(tongue, n, label)}}
	}
	slug := fmt.Sprintf("generated-%07d", i)
	published := g.today.Add(-time.Duration(r.IntN(3*365*24*60)) * time.Minute)
	s := &marketplace.Solution{
		Meta:        marketplace.Meta{ID: marketplace.ID("solution_" + slug), Slug: slug, IsSample: true},
		Company:     generatedCompany(r.IntN(g.companies)),
		Status:      marketplace.SolutionPublished,
		PublishedAt: &published,
		Title:       marketplace.Text{{Language: language, Text: label + tongues[tongue].space + g.text(tongue, 3, "")}},
		Summary:     text(summaryWords), Description: text(bodyWords),
		Technologies:      several(r, generatedTechnologies, 3),
		Maturity:          skewed(r, marketplace.Maturities),
		PriceModel:        skewed(r, marketplace.PriceModels),
		PriceBand:         skewed(r, marketplace.PriceBands),
		ProcurementRoutes: several(r, marketplace.ProcurementRoutes, 3),
		Regions:           several(r, marketplace.Regions, 2),
		Countries:         several(r, generatedCountries, 5),
		SupportLanguages:  several(r, generatedLanguages, 3),
		SDGs:              several(r, marketplace.AllSDGs(), 3),
	}
	for _, t := range topics {
		s.Topics = append(s.Topics, t.ID)
	}
	for range r.IntN(3) {
		s.Deployments = append(s.Deployments, marketplace.Deployment{Place: g.text(0, 1, ""), Country: skewed(r, generatedCountries), Year: 2015 + r.IntN(11)})
	}
	return s
}

var generatedTechnologies = []string{"LoRaWAN", "computer vision", "edge computing", "digital twin", "lidar", "NB-IoT", "open data", "blockchain", "mobile app", "radar"}

// companiesFor is how many companies share n solutions.
func companiesFor(n int) int { return max(1, min(500, n/20)) }

func generatedCompany(i int) marketplace.ID {
	return marketplace.ID(fmt.Sprintf("company_generated-%03d", i))
}

// GenerateCompanies makes the companies of n generated solutions: 500, or
// fewer where there are less than 10,000 solutions.
func GenerateCompanies(n int) []*marketplace.Company {
	out := make([]*marketplace.Company, companiesFor(n))
	for i := range out {
		c := &marketplace.Company{Meta: marketplace.Meta{ID: generatedCompany(i), Slug: fmt.Sprintf("generated-%03d", i), IsSample: true}, Size: "SME", ContactPolicy: "MEMBERS"}
		c.Name = marketplace.Text{{Language: "en", Text: fmt.Sprintf("Generated Company %03d", i)}}
		c.Country = generatedCountries[i%len(generatedCountries)]
		c.Region = c.Country.Region()
		out[i] = c
	}
	return out
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
	return addAll(ctx, o, "generated solutions", n, Generate(n, 1), m.AddSolution)
}
