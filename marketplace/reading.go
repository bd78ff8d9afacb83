package marketplace

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// A text that somebody types says more than its words: where they are, what
// they can pay, how they may buy. What is written below reads only what is
// plain, in the six languages of the network; the rest is unknown.

// readingLanguages are those in which names of countries are known.
var readingLanguages = []Language{english, "zh", "ko", "es", "fr", "ar"}

// countryNames are the countries by their names, folded: those that are
// written as words, and those of writings without spaces between words or
// with endings on them.
var countryNames = sync.OnceValue(func() (out struct{ words, runs map[string]Country }) {
	out.words, out.runs = map[string]Country{}, map[string]Country{}
	for _, list := range countriesOf {
		for c := range strings.FieldsSeq(list) {
			for _, l := range readingLanguages {
				name := strings.ToLower(Country(c).Name([]Language{l}))
				switch r := []rune(name); {
				case len(r) > 1 && unicode.In(r[0], unicode.Han, unicode.Hangul, unicode.Arabic):
					out.runs[name] = Country(c)
				case len(r) > 3:
					out.words[name] = Country(c)
				}
			}
		}
	}
	for name, c := range map[string]Country{"usa": "US", "america": "US", "uk": "GB", "england": "GB", "english": "GB", "british": "GB", "scotland": "GB",
		"dutch": "NL", "polish": "PL", "czech": "CZ", "danish": "DK", "swedish": "SE", "finnish": "FI", "spanish": "ES", "french": "FR", "swiss": "CH", "greek": "GR", "turkish": "TR", "turkey": "TR", "thai": "TH"} {
		out.words[name] = c
	}
	return out
})

// regionNames are words for the network's regions and what lies in one alone.
var regionNames = map[Region][]string{
	Africa:      {"africa", "african", "áfrica", "africano", "africana", "afrique", "africain", "africaine", "非洲", "아프리카", "أفريقيا", "افريقيا", "أفريقية", "الأفريقية"},
	Europe:      {"europe", "european", "europa", "europeo", "europea", "européenne", "européen", "baltic", "balkan", "欧洲", "유럽", "أوروبا", "أوروبية"},
	MiddleEast:  {"middle east", "oriente medio", "moyen-orient", "moyen orient", "gulf", "中东", "중동", "الشرق الأوسط", "الخليج"},
	Americas:    {"south america", "latin america", "central america", "north america", "caribbean", "andes", "andean", "latinoamérica", "sudamérica", "caribe", "amérique", "caraïbes", "antilles", "拉美", "美洲", "남미", "중남미", "أمريكا اللاتينية"},
	AsiaPacific: {"asia", "asian", "asie", "asiático", "asiatique", "pacific", "pacífico", "pacifique", "亚洲", "亚太", "东南亚", "아시아", "آسيا"},
}

// endings are what makes of a country's name the word for what is of it, in
// English, Spanish and French; the last vowels of the name may fall away.
var endings = func() map[string]bool {
	m := map[string]bool{}
	for e := range strings.FieldsSeq("n an ian ans ians ese i is er ers nian o a os as ano ana anos anas eño eña eños eñas és esa enses ense ain aine ains aines ien ienne iens iennes éen éenne ais aise aises ois oise oises ne in") {
		m[e] = true
	}
	return m
}()

// countryIn finds the country that a text names first; empty where it names none.
func countryIn(text string) Country {
	names := countryNames()
	lower := strings.ToLower(text)
	best, at := Country(""), len(lower)
	for name, c := range names.runs {
		if i := strings.Index(lower, name); i >= 0 && (i < at || i == at && len(name) > len(c)) {
			best, at = c, i
		}
	}
	words := strings.FieldsFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '-' })
	for i := range words {
		for n := min(4, len(words)-i); n > 0; n-- {
			phrase := strings.Join(words[i:i+n], " ")
			c, ok := names.words[phrase]
			if !ok {
				c, ok = countryOfWord(phrase)
			}
			if ok {
				if where := strings.Index(lower, words[i]); where < at {
					return c
				}
				return best
			}
		}
	}
	return best
}

// countryOfWord finds the country of which a word is the adjective: "Kenyan".
func countryOfWord(word string) (Country, bool) {
	r := []rune(word)
	for n := len(r) - 1; n >= max(4, len(r)-5); n-- {
		if !endings[string(r[n:])] {
			continue
		}
		stem := string(r[:n])
		for _, name := range []string{stem, stem + "a", stem + "e", stem + "o", stem + "y", stem + "ia"} {
			if c, ok := countryNames().words[name]; ok {
				return c, true
			}
		}
	}
	return "", false
}

// regionIn finds the region that a text names; empty where it names none or several.
func regionIn(text string) (out Region) {
	lower := " " + strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) && r != '-' {
			return ' '
		}
		return r
	}, text)) + " "
	for _, r := range Regions {
		for _, name := range regionNames[r] {
			if unicode.Is(unicode.Latin, []rune(name)[0]) {
				name = " " + name + " "
			}
			if strings.Contains(lower, name) {
				if out != "" && out != r {
					return ""
				}
				out = r
			}
		}
	}
	return out
}

// dollars are sums of US dollars as they are written: "USD 60,000", "$1.5
// million", "30万美元", "5 millones de dólares".
var dollars = regexp.MustCompile(`(?i)(?:us\$|usd|\$)\s*(\d[\d.,\x{a0}\x{202f} ]*\d|\d)\s*(k\b|thousand|m\b|million|millones|millions|mil\b)?|` +
	`(\d[\d.,\x{a0}\x{202f} ]*\d|\d)\s*(thousand|million|millones|millions|mil\b|mille|万|만|百万|백만|천|ألف|مليون)?\s*(?:(?:de |d’|d')?(?:us |u\.s\. |american )?dollars?|us\$|usd|(?:de )?dólares|美元|달러|美金|دولار)`)

var magnitudes = map[string]float64{"k": 1e3, "thousand": 1e3, "mil": 1e3, "mille": 1e3, "천": 1e3, "ألف": 1e3, "万": 1e4, "만": 1e4,
	"m": 1e6, "million": 1e6, "millions": 1e6, "millones": 1e6, "百万": 1e6, "백만": 1e6, "مليون": 1e6}

// separators stand between thousands.
var separators = regexp.MustCompile(`[.,\x{a0}\x{202f} ](\d{3})`)

// budgetIn finds the largest sum of US dollars that a text names.
func budgetIn(text string) (most float64) {
	for _, m := range dollars.FindAllStringSubmatch(text, 20) {
		digits, unit := m[1]+m[3], strings.ToLower(m[2]+m[4])
		digits = strings.TrimRight(separators.ReplaceAllString(digits, "$1"), "., ")
		x, err := strconv.ParseFloat(strings.ReplaceAll(strings.ReplaceAll(digits, ",", "."), " ", ""), 64)
		if err != nil || x < 0 || x > 1e12 {
			continue
		}
		if unit != "" {
			x *= magnitudes[unit]
		}
		most = max(most, x)
	}
	return most
}

// routeIn finds the procurement route that a text names, by what the
// phrasebooks call it; empty where it names none.
func routeIn(text string) (out ProcurementRoute) {
	lower, longest := strings.ToLower(text), 0
	for _, r := range ProcurementRoutes {
		for _, b := range phrasebooks() {
			for name := range strings.SplitSeq(b.phrases["route."+string(r)], "|") {
				if len(name) > longest && strings.Contains(lower, name) {
					out, longest = r, len(name)
				}
			}
		}
	}
	return out
}

// read gives a need what its text says plainly.
func (t *traits) read(text string) {
	if c := countryIn(text); c != "" {
		t.Keywords[FieldHome], t.Keywords[FieldRegion] = []string{string(c)}, []string{string(c.Region())}
	} else if r := regionIn(text); r != "" && t.home().Region() != r {
		t.Keywords[FieldHome], t.Keywords[FieldRegion] = nil, []string{string(r)}
	}
	if most := budgetIn(text); most > 0 {
		t.Numbers[FieldBudgetMax], t.Keywords[FieldCurrency] = most, []string{budgetCurrency}
	}
	if r := routeIn(text); r != "" {
		t.Keywords[FieldProcurement] = []string{string(r)}
	}
}

// homeRegion is the region of its home, or the only one that is known.
func (t *traits) homeRegion() Region {
	if home := t.home(); home != "" {
		return home.Region()
	}
	if regions := t.words(FieldRegion); len(regions) == 1 && slices.Contains(Regions, Region(regions[0])) {
		return Region(regions[0])
	}
	return ""
}
