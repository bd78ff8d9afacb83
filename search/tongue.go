package search

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/da"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/el"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/fi"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/hi"
	"github.com/blevesearch/bleve/v2/analysis/lang/hu"
	"github.com/blevesearch/bleve/v2/analysis/lang/id"
	"github.com/blevesearch/bleve/v2/analysis/lang/in"
	"github.com/blevesearch/bleve/v2/analysis/lang/it"
	"github.com/blevesearch/bleve/v2/analysis/lang/nl"
	"github.com/blevesearch/bleve/v2/analysis/lang/no"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/analysis/lang/ro"
	"github.com/blevesearch/bleve/v2/analysis/lang/ru"
	"github.com/blevesearch/bleve/v2/analysis/lang/sv"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
)

// A tongue knows how words are brought to their stem and which words say
// nothing. Chinese, Japanese, Korean and Thai are not here: their writing is
// cut into characters, bigrams or trigrams whatever the language.
type tongue struct {
	code   string // "" where no stemmer is known: words as they are
	field  string
	script *unicode.RangeTable
	stem   func(string) string
	list   []byte // words that say little, one of bleve's lists
}

// The tongues whose words are stemmed. The light stemmers, where there are
// such, forgive missing accents, which people leave out when they search.
// Vietnamese has no endings, but its accents tell words apart.
var tongues = []tongue{
	{"en", "text.en", unicode.Latin, filtered(en.NewEnglishStemmerFilter()), en.EnglishStopWords},
	{"es", "text.es", unicode.Latin, filtered(es.NewSpanishLightStemmerFilter()), es.SpanishStopWords},
	{"fr", "text.fr", unicode.Latin, filtered(fr.NewFrenchLightStemmerFilter()), fr.FrenchStopWords},
	{"pt", "text.pt", unicode.Latin, filtered(pt.NewPortugueseLightStemmerFilter()), pt.PortugueseStopWords},
	{"de", "text.de", unicode.Latin, filtered(de.NewGermanNormalizeFilter(), de.NewGermanLightStemmerFilter()), de.GermanStopWords},
	{"it", "text.it", unicode.Latin, filtered(it.NewItalianLightStemmerFilterFilter()), it.ItalianStopWords},
	{"nl", "text.nl", unicode.Latin, filtered(nl.NewDutchStemmerFilter()), nl.DutchStopWords},
	{"ro", "text.ro", unicode.Latin, stemRomanian, ro.RomanianStopWords},
	{"sv", "text.sv", unicode.Latin, filtered(sv.NewSwedishStemmerFilter()), sv.SwedishStopWords},
	{"da", "text.da", unicode.Latin, filtered(da.NewDanishStemmerFilter()), da.DanishStopWords},
	{"no", "text.no", unicode.Latin, filtered(no.NewNorwegianStemmerFilter()), no.NorwegianStopWords},
	{"fi", "text.fi", unicode.Latin, filtered(fi.NewFinnishStemmerFilter()), fi.FinnishStopWords},
	{"hu", "text.hu", unicode.Latin, filtered(hu.NewHungarianStemmerFilter()), hu.HungarianStopWords},
	{"tr", "text.tr", unicode.Latin, filtered(tr.NewTurkishStemmerFilter()), tr.TurkishStopWords},
	{"id", "text.id", unicode.Latin, stemIndonesian, id.IndonesianStopWords},
	{"vi", "text.vi", unicode.Latin, func(w string) string { return w }, nil},
	{"ru", "text.ru", unicode.Cyrillic, filtered(ru.NewRussianStemmerFilter()), ru.RussianStopWords},
	{"el", "text.el", unicode.Greek, stemGreek, el.GreekStopWords},
	{"hi", "text.hi", unicode.Devanagari, filtered(in.NewIndicNormalizeFilter(), hi.NewHindiNormalizeFilter(), hi.NewHindiStemmerFilter()), hi.HindiStopWords},
	{"ar", "text.ar", unicode.Arabic, stemArabic, ar.ArabicStopWords},
	{"", "text", nil, nil, nil},
}

func filtered(filters ...analysis.TokenFilter) func(string) string {
	return func(s string) string {
		out := analysis.TokenStream{{Term: []byte(s)}}
		for _, f := range filters {
			out = f.Filter(out)
		}
		return string(out[0].Term)
	}
}

// languageOf returns how a text that says it is in this language is stemmed.
func languageOf(l marketplace.Language) *tongue {
	base, _, _ := strings.Cut(string(l), "-")
	switch base {
	case "ms": // differs from Indonesian in few words
		base = "id"
	case "nb", "nn":
		base = "no"
	}
	for i := range tongues {
		if tongues[i].code == base || tongues[i].code == "" {
			return &tongues[i]
		}
	}
	return nil
}

// A stemmed word, remembered: texts repeat the same few thousand words, and
// stemming anew took a third of the time of making a document.
type stemmed struct {
	terms [2]string
	n     int
}

type stemKey struct {
	tongue      *tongue
	lower, text string
}

// stemmings is bounded, since the words come from strangers.
var stemmings struct {
	sync.RWMutex
	of map[stemKey]stemmed
}

const maxStemmings = 100_000 // some 15 MB

// stems returns the terms of a word: its stem, and the stem of the word
// without accents where that is another, so that either spelling finds both.
func (l *tongue) stems(t *token) (terms [2]string, n int) {
	if l.stem == nil || !l.reads(t) {
		return [2]string{t.text}, 1
	}
	key := stemKey{l, t.lower, t.text}
	stemmings.RLock()
	known, ok := stemmings.of[key]
	stemmings.RUnlock()
	if ok {
		return known.terms, known.n
	}
	terms, n = l.stemAnew(t)
	key.lower, key.text = strings.Clone(t.lower), strings.Clone(t.text)
	stemmings.Lock()
	if len(stemmings.of) >= maxStemmings || stemmings.of == nil {
		stemmings.of = make(map[stemKey]stemmed)
	}
	stemmings.of[key] = stemmed{terms, n}
	stemmings.Unlock()
	return terms, n
}

func (l *tongue) stemAnew(t *token) (terms [2]string, n int) {
	if l.code == "vi" {
		return [2]string{t.lower}, 1
	}
	a, _ := fold(l.stem(t.lower), maxToken)
	if a == "" {
		a = t.text
	}
	if t.lower == t.text {
		return [2]string{a}, 1
	}
	b, _ := fold(l.stem(t.text), maxToken)
	if b == "" || b == a {
		return [2]string{a}, 1
	}
	return [2]string{a, b}, 2
}

func (l *tongue) reads(t *token) bool {
	r, _ := utf8.DecodeRuneInString(t.text)
	return l.script == nil || unicode.Is(l.script, r) || r < 0x80 && l.script == unicode.Latin
}

// weakWords say little where cities look for technology, though they may be
// rare in what they look through: everybody calls everything smart. Folded;
// as words, and as bigrams of Chinese, Japanese and Korean.
var weakWords = set(`
smart intelligent intelligents intelligente intelligentes inteligente inteligentes intelligenz akilli pintar cerdas
умный умная умное умные интеллектуальная интеллектуальные ذكي ذكيه الذكي الذكيه ذكيا
智慧 智能 スマ マー ート 스마 마트 지능
`)

// stopWords say nothing in any text; folded. The list is short and holds for
// all languages at once, because a query's language is not known: a word that
// is a stop word here and means something there ("AI" is French for "have")
// must stay.
var stopWords = set(`
a an and are as at be been but by for from has have how in into is it its of on or our that the their these this to
was we were what when where which who will with you your
al como con de del el en es esta la las lo los para por que se su sus una uno unos unas y
au aux avec ce ces cette dans des du est et il la le les leur ou par pas pour qui sont sur un une
ao aos da das do dos e em na nas no nos o os ou pela pelo um uma
bir bu da de icin ile ve
dan dari di itu ini ke pada untuk yang
der die das und fur mit von zu den
в во и из к как на не о об от по с со что это для
الي على علي عن في ما مع من هذا هذه و او ان التي الذي
`)

// smallWords are, by word, the tongues in which it says little, as bits.
var smallWords = sync.OnceValue(func() map[string]uint32 {
	m := make(map[string]uint32)
	for i := range tongues {
		list := analysis.NewTokenMap()
		if err := list.LoadBytes(tongues[i].list); err != nil {
			panic(err) // a list that was compiled in
		}
		for w := range list {
			folded, _ := fold(w, maxToken)
			m[folded] |= 1 << i
		}
	}
	return m
})

// smallIn returns the bit of the tongue to which most words of a text are
// small ones: a question's language. None where fewer than two are.
func smallIn(tokens []token) (tongue uint32) {
	most := 1
	for i := range tongues {
		n := 0
		for k := range tokens {
			if smallWords()[tokens[k].text]&(1<<i) != 0 {
				n++
			}
		}
		if n > most {
			most, tongue = n, 1<<i
		}
	}
	return tongue
}

// smallHan are the characters of which Chinese and Japanese make words that
// say little.
const smallHan = "的了是在有和与及或为哪什么怎多少几谁何吗呢以被把将从到对于之其这那就都而且但也你我他她它们のはがをにでともへ"

var lightArabic = filtered(ar.NewArabicStemmerFilter())

// stemArabic stems twice, so that a plural of a noun that itself ends like a
// dual has the stem of its singular.
func stemArabic(w string) string { return lightArabic(lightArabic(w)) }

// withoutArticle takes off the Arabic article with what is written onto it:
// nobody begins to type a word there.
func withoutArticle(w string) string {
	for _, p := range []string{"وال", "بال", "كال", "فال", "لل", "ال"} {
		if rest, ok := strings.CutPrefix(w, p); ok && rest != "" {
			return rest
		}
	}
	return w
}

// stemRomanian takes both ways to write s and t with a tail.
func stemRomanian(w string) string {
	return snowballRomanian(strings.NewReplacer("ș", "ş", "ț", "ţ").Replace(w))
}

var snowballRomanian = filtered(ro.NewRomanianStemmerFilter())

// stemGreek takes off the endings of nouns and adjectives, and the commonest
// of verbs, while three letters or more remain.
func stemGreek(w string) string {
	w, _ = fold(w, maxToken)
	for _, e := range greekEndings {
		if rest, ok := strings.CutSuffix(w, e); ok && utf8.RuneCountInString(rest) >= 3 {
			return rest
		}
	}
	return w
}

// The longest first.
var greekEndings = strings.Fields("ματων ματοσ ονται ματα εται ουμε εων εωσ εισ ιων ιου ιασ ιεσ ουσ ουν ετε ων οι οσ ου εσ ασ ησ ισ ια ιο ει μα α η ο ι ε ω")

// stemIndonesian takes off particles, possessives, and the commonest prefixes
// and suffixes, while five letters or more remain.
func stemIndonesian(w string) string {
	off := func(suffixes ...string) {
		for _, s := range suffixes {
			if strings.HasSuffix(w, s) && len(w)-len(s) >= 4 {
				w = w[:len(w)-len(s)]
				return
			}
		}
	}
	off("kah", "lah", "pun")
	off("nya", "ku", "mu")
	for _, p := range indonesianPrefixes {
		if rest, ok := strings.CutPrefix(w, p.take); ok && len(rest) >= 4 && (p.vowel == "" || strings.ContainsRune("aiueo", rune(rest[0]))) {
			w = p.vowel + rest
			break
		}
	}
	off("kan", "an", "i")
	return w
}

// The prefixes meng-, meny-, men-, mem-, peng-... swallow a first k, s, t or p
// before a vowel; vowel is the letter to give back.
var indonesianPrefixes = []struct{ take, vowel string }{
	{"meny", "s"}, {"peny", "s"}, {"meng", ""}, {"peng", ""}, {"mem", "p"}, {"pem", "p"}, {"mem", ""}, {"pem", ""}, {"men", "t"}, {"pen", "t"},
	{"men", ""}, {"pen", ""}, {"ber", ""}, {"ter", ""}, {"per", ""}, {"me", ""}, {"pe", ""}, {"ke", ""}, {"di", ""}, {"se", ""},
}
