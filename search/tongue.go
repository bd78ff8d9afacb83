package search

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/analysis/lang/ru"
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
}

// The tongues whose words are stemmed. The light stemmers for Spanish and
// Portuguese forgive missing accents, which people leave out when they search.
var tongues = []tongue{
	{"en", "text.en", unicode.Latin, filtered(en.NewEnglishStemmerFilter())},
	{"es", "text.es", unicode.Latin, filtered(es.NewSpanishLightStemmerFilter())},
	{"fr", "text.fr", unicode.Latin, filtered(fr.NewFrenchLightStemmerFilter())},
	{"pt", "text.pt", unicode.Latin, filtered(pt.NewPortugueseLightStemmerFilter())},
	{"tr", "text.tr", unicode.Latin, filtered(tr.NewTurkishStemmerFilter())},
	{"id", "text.id", unicode.Latin, stemIndonesian},
	{"ru", "text.ru", unicode.Cyrillic, filtered(ru.NewRussianStemmerFilter())},
	{"ar", "text.ar", unicode.Arabic, stemArabic},
	{"", "text", nil, nil},
}

func filtered(f analysis.TokenFilter) func(string) string {
	return func(s string) string {
		out := f.Filter(analysis.TokenStream{{Term: []byte(s)}})
		return string(out[0].Term)
	}
}

// languageOf returns how a text that says it is in this language is stemmed.
func languageOf(l marketplace.Language) *tongue {
	base, _, _ := strings.Cut(string(l), "-")
	if base == "ms" { // Malay differs from Indonesian in few words
		base = "id"
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
	a, _ := fold(l.stem(t.lower))
	if a == "" {
		a = t.text
	}
	if t.lower == t.text {
		return [2]string{a}, 1
	}
	b, _ := fold(l.stem(t.text))
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
