package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of what is analysed. One 32 MB word took 16 s before they existed.
const (
	maxText  = 64 << 10 // bytes of one text
	maxToken = 64       // bytes of one word, folded; a run without spaces may be longer
)

// A writing says how a run of characters is cut into terms.
type writing uint8

const (
	separator writing = iota
	extender          // a mark or joiner: belongs to whatever run it follows
	words             // letters and digits between separators: one term, stemmed by language
	han               // Han and kana: characters and bigrams, since no spaces tell words apart
	hangul            // bigrams, since particles stick to the words
	thai              // Thai, Lao, Khmer, Burmese: trigrams
)

func writingOf(r rune) writing {
	switch {
	case r < 0x80:
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return words
		}
		return separator
	case r == 0x00ad || r == 0x200c || r == 0x200d: // soft hyphen, zero width joiners
		return extender
	case r < 0x0300:
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			return words
		}
		return separator
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r == 0x30fc || r == 0xff70 || r == 0xff9e || r == 0xff9f:
		return han
	case unicode.Is(unicode.Hangul, r):
		return hangul
	case unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && (unicode.IsLetter(r) || unicode.IsMark(r)):
		return thai
	case unicode.IsMark(r):
		return extender
	case isApostrophe(r):
		return separator
	case unicode.IsLetter(r) || unicode.IsNumber(r):
		return words
	}
	return separator
}

// A token is a run of one writing.
type token struct {
	start, end int // code points of the text
	writing    writing
	text       string // folded
	lower      string // lower case but with its accents, which stemmers want; words only
	joined     string // of a word with hyphens, the whole without them
	acronym    bool
	bound      bool // the text goes on right after it, so that it cannot be half typed
	count      int  // times it stands in a query
}

// isAcronym says whether a word is of capital letters and digits only.
func isAcronym(word string) bool {
	for i := range len(word) {
		if c := word[i]; (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return len(word) > 1
}

// tokenize cuts a text into runs. Invalid UTF-8 separates.
func tokenize(text string) []token {
	if len(text) > maxText {
		text = cut(text, maxText)
	}
	var (
		out     = make([]token, 0, len(text)/6+1)
		from    = -1 // byte where the run began
		begin   int  // code point where the run began
		kind    writing
		chain   int  // first token of the present chain of hyphens
		linked  bool // a hyphen stands between the last token and here
		elided  bool // an apostrophe does
		at      int
		prevEnd = -1
	)
	flush := func(end int) {
		if from < 0 {
			return
		}
		raw := text[from:end]
		from = -1
		t := token{start: begin, end: at, writing: kind, acronym: isAcronym(raw)}
		most := maxText
		if kind == words {
			most = maxToken
		}
		if kind == thai {
			t.text = strings.ReplaceAll(norm.NFC.String(cut(raw, most)), "\u0e4d\u0e32", "\u0e33") // one vowel, which fold takes apart
		} else {
			t.text, t.lower = fold(raw, most)
		}
		afterLink, afterApostrophe := linked && begin == prevEnd+1, elided && begin == prevEnd+1
		linked, elided, prevEnd = false, false, at
		if t.text == "" {
			return
		}
		if len(out) > 0 && out[len(out)-1].end == t.start {
			out[len(out)-1].bound = true
		}
		if afterApostrophe && kind == words {
			if last := len(out) - 1; last >= 0 && elisions[out[last].text] {
				out = out[:last] // l'eau, d'eau, qu'il
			}
			if t.text == "s" { // the city's
				chain = len(out)
				return
			}
		}
		if !afterLink || kind != words {
			chain = len(out)
		}
		out = append(out, t)
		if n := len(out) - chain; n > 1 && n <= 4 {
			var b strings.Builder
			for _, part := range out[chain:] {
				b.WriteString(part.text)
			}
			if b.Len() <= maxToken {
				for i := range out[chain:] {
					out[chain+i].joined = b.String()
				}
			}
		}
	}
	for i, r := range text {
		w := writingOf(r)
		if r == utf8.RuneError {
			w = separator
		}
		switch {
		case w == extender && from >= 0, w == kind && from >= 0:
		case w == separator || w == extender:
			flush(i)
			linked, elided = isHyphen(r), isApostrophe(r)
		default:
			flush(i)
			from, begin, kind = i, at, w
		}
		at++
	}
	flush(len(text))
	return out
}

// elisions are the French and Italian words that lose their vowel before
// another one; they say nothing about the content.
var elisions = set("l d j m t c s n qu lorsqu puisqu jusqu dell nell sull all dall un")

func isApostrophe(r rune) bool {
	return r == '\'' || r == '’' || r == 'ʼ' || r == '＇' || r == '‘'
}

func isHyphen(r rune) bool { return r == '-' || r == '‐' || r == '‑' || r == '－' }

// cut shortens a string to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// fold brings a run to the form under which it is found: width, case,
// accents, Arabic letter forms, digits and the Turkish dotless i make no
// difference. The second form keeps the accents, for stemmers. Both have at most
// so many bytes.
func fold(raw string, most int) (folded, lower string) {
	ascii, changed := true, false
	for i := 0; i < len(raw); i++ {
		ascii = ascii && raw[i] < 0x80
		changed = changed || 'A' <= raw[i] && raw[i] <= 'Z'
	}
	if ascii {
		if changed {
			raw = strings.ToLower(raw)
		}
		raw = cut(raw, most)
		return raw, raw
	}
	lower = strings.Map(func(r rune) rune {
		switch r {
		case 'İ':
			return 'i'
		case 0x00ad, 0x200c, 0x200d, 0x0640: // invisible, and the Arabic stretcher
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(cut(raw, 4*most)))
	lower = cut(lower, most)
	var b strings.Builder
	strip := false // marks on this base are accents
	for _, r := range norm.NFD.String(lower) {
		if unicode.Is(unicode.Mn, r) {
			if !strip {
				b.WriteRune(r)
			}
			continue
		}
		strip = unicode.In(r, unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Arabic, unicode.Hebrew)
		switch {
		case letters[r] != "":
			b.WriteString(letters[r])
		case unicode.Is(unicode.Nd, r):
			b.WriteByte('0' + digit(r))
		default:
			b.WriteRune(r)
		}
	}
	return simplify(cut(norm.NFC.String(b.String()), most)), lower
}

// digit is the value of a decimal digit: Unicode keeps the ten of a script
// together and begins each range with a zero.
func digit(r rune) byte {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return byte(r-rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return byte(r-rune(t.Lo)) % 10
		}
	}
	return 0
}

// letters are what decomposition leaves apart.
var letters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ħ': "h", 'ı': "i", 'ŋ': "n", 'ə': "e",
	'ς': "σ", 'ى': "ي", 'ة': "ه", 'ی': "ي", 'ک': "ك", 'ٱ': "ا", 'ھ': "ه", 'ہ': "ه", 'ے': "ي",
}

// grams calls f for each term of a run of Han, Hangul or Thai, with its place
// in the run. Where a query is cut, only the terms that say most are wanted:
// bigrams contain their characters.
func (t *token) grams(query bool, f func(term string, start, end int)) {
	size, single := 2, t.writing == han && !query
	if t.writing == thai {
		size = 3
	}
	var at [4]int // where the last characters began
	n := 0
	for i, r := range t.text {
		n++
		copy(at[:], at[1:])
		at[3] = i
		end := i + utf8.RuneLen(r)
		if single {
			f(t.text[i:end], n-1, n)
		}
		if n >= size {
			f(t.text[at[4-size]:end], n-size, n)
		}
	}
	if n < size && !single {
		f(t.text, 0, n)
	}
}

// How many letters a part of a word has, and every which of them is indexed;
// of a query all are looked up. Where only consonants are written three of
// them make a root, and all are indexed.
const (
	partSize     = 4
	partStep     = 2
	partSizeRoot = 3
)

// parts calls f for the pieces of a word by which sentences are compared: its
// beginning, marked, and four letters from each second one; a short word as a
// whole. They find what no stemmer brings together: compounds, typos,
// languages without a stemmer. Of Thai they are its grams, one longer.
func (t *token) parts(query bool, f func(term string)) {
	if t.writing != words && t.writing != thai || smallWords()[t.text] != 0 {
		return
	}
	text, size, step := t.text, partSize, partStep
	if t.writing == words {
		text = "_" + text
		if first, _ := utf8.DecodeRuneInString(t.text); consonantal(first) {
			size, step = partSizeRoot, 1
		}
	}
	if query {
		step = 1
	}
	var at [partSize]int // where the last characters began
	n := 0
	for i, r := range text {
		n++
		copy(at[:], at[1:])
		at[partSize-1] = i
		if n >= size && (n-size)%step == 0 {
			f(text[at[partSize-size] : i+utf8.RuneLen(r)])
		}
	}
	if n < size && n > 2 {
		f(text)
	}
}

// consonantal says that vowels are not written.
func consonantal(r rune) bool { return unicode.In(r, unicode.Arabic, unicode.Hebrew) }

// particles are what Korean writes onto a noun, the longest first.
var particles = strings.Fields("에서 으로 에게 까지 부터 에는 이라 이다 은 는 이 가 을 를 의 에 로 와 과 도 인 한 된")

// bare is how many syllables of a Korean run stand before its particle.
func (t *token) bare() int {
	n := utf8.RuneCountInString(t.text)
	if t.writing == hangul {
		for _, p := range particles {
			if rest, ok := strings.CutSuffix(t.text, p); ok && rest != "" {
				return n - utf8.RuneCountInString(p)
			}
		}
	}
	return n
}

func set(list string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}
