package search

import (
	_ "embed"
	"encoding/csv"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/analysis"
)

// conceptsCSV is what the network talks about, in its languages; the file
// says where that is from. Documents are indexed with the concepts that they
// name, so an index of another list is built anew.
//
//go:embed concepts.csv
var conceptsCSV string

var conceptsSum = crc32.ChecksumIEEE([]byte(conceptsCSV))

// A mention is a concept that a text names, and where: in code points.
type mention struct {
	concept    string
	start, end int
}

// A naming is what concepts are called: in each language with words, English
// first and last all that have no stemmer, and in those without spaces.
type naming struct {
	languages []*lexicon
	runs      *lexicon
}

// A lexicon knows what concepts are called in a language.
type lexicon struct {
	tongue  *tongue            // nil: names are runs of Han, Hangul or Thai
	small   analysis.TokenMap  // words that are no part of names, with their accents
	names   map[string][]named // by name: of words the stems with a space after each
	longest map[string]int     // by the first stem or character of names: how many the longest has
}

// A named is a concept and, where its name is one word, that without its last
// two letters: a stem alone says too little, since "light" is also that of
// lighting.
type named struct{ concept, begin string }

var concepts = sync.OnceValue(func() *naming {
	r := csv.NewReader(strings.NewReader(conceptsCSV))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		panic(err) // a list that was compiled in
	}
	n := &naming{runs: newLexicon(nil)}
	for i := range tongues {
		if l := &tongues[i]; l.code == "" || slices.Contains(rows[0], l.code) {
			n.languages = append(n.languages, newLexicon(l))
		}
	}
	for _, row := range rows[1:] {
		for i, cell := range row[1:] {
			for name := range strings.SplitSeq(cell, "|") {
				for _, x := range n.of(languageOf(marketplace.Language(rows[0][i+1]))) {
					x.learn(name, row[0])
				}
			}
		}
	}
	return n
})

// of lists the lexicons in which texts in a language are read; nil: in any.
// What stands in Latin letters in a language of other letters is English.
func (n *naming) of(l *tongue) []*lexicon {
	if l == nil {
		return append(slices.Clip(n.languages), n.runs)
	}
	last := len(n.languages) - 1
	for _, x := range n.languages[:last] {
		switch {
		case x.tongue == l && l.script == unicode.Latin:
			return []*lexicon{x, n.runs}
		case x.tongue == l:
			return []*lexicon{x, n.languages[0], n.runs}
		}
	}
	return []*lexicon{n.languages[0], n.languages[last], n.runs}
}

// mentions returns the concepts that a text in a language names; nil: in any.
func mentions(tokens []token, l *tongue) (out []mention) {
	for _, x := range concepts().of(l) {
		out = x.mentions(tokens, out)
	}
	return out
}

func newLexicon(l *tongue) *lexicon {
	x := &lexicon{tongue: l, small: analysis.NewTokenMap(), names: make(map[string][]named), longest: make(map[string]int)}
	if l != nil {
		if err := x.small.LoadBytes(l.list); err != nil {
			panic(err) // a list that was compiled in
		}
	}
	return x
}

// reads says whether a token can be part of a name.
func (x *lexicon) reads(t *token) bool {
	switch {
	case x.tongue == nil || t.writing != words:
		return x.tongue == nil && t.writing != words
	case '0' <= t.text[0] && t.text[0] <= '9':
		return true
	case x.tongue.code == "":
		return !tongues[0].reads(t)
	}
	return x.tongue.reads(t)
}

// A piece is a word with a space, or a character.
type piece struct {
	forms      [2]string // see stems; of an acronym itself and its stem
	text       string
	start, end int  // code points of the text
	head       bool // it begins a token
	stretch    int  // number of the stretch of one writing that it is in
}

// pieces cuts what the lexicon can read.
func (x *lexicon) pieces(tokens []token) []piece {
	out, stretch := make([]piece, 0, len(tokens)), 0
	for i := range tokens {
		t := &tokens[i]
		switch {
		case t.writing == words && x.small[t.lower] && !t.acronym: // ITS is no small word
		case !x.reads(t):
			stretch++
		case t.writing == words:
			stems, n := x.tongue.stems(t)
			forms := [2]string{stems[0], stems[n-1]}
			if t.acronym {
				forms[0] = strings.ToUpper(t.text)
			}
			out = append(out, piece{forms, t.text, t.start, t.end, true, stretch})
		default:
			at := t.start
			for i, r := range t.text {
				c := t.text[i : i+utf8.RuneLen(r)]
				out = append(out, piece{[2]string{c, c}, c, min(at, t.end), min(at+1, t.end), i == 0, stretch})
				at++
			}
		}
	}
	return out
}

// name appends the name that pieces make.
func (x *lexicon) name(buffer []byte, pieces []piece, form int) []byte {
	for i := range pieces {
		buffer = append(buffer, pieces[i].forms[form]...)
		if x.tongue != nil {
			buffer = append(buffer, ' ')
		}
	}
	return buffer
}

// learn adds a name that the lexicon can read as a whole.
func (x *lexicon) learn(name, concept string) {
	tokens := tokenize(name)
	if slices.ContainsFunc(tokens, func(t token) bool { return !x.reads(&t) }) {
		return
	}
	pieces := x.pieces(tokens)
	if len(pieces) == 0 {
		return
	}
	what := named{concept: concept}
	if len(pieces) == 1 && x.tongue != nil && !prefixing[x.tongue.code] {
		letters := []rune(pieces[0].text)
		what.begin = string(letters[:max(len(letters)-2, 0)])
	}
	for i := range tokens {
		if len(pieces) == len(tokens) && tokens[i].acronym {
			pieces[i].forms[1] = pieces[i].text // as it is typed, and not IT for ITS
		}
	}
	for form, first := range pieces[0].forms {
		key := string(x.name(nil, pieces, form))
		if !slices.Contains(x.names[key], what) {
			x.names[key] = append(x.names[key], what)
		}
		x.longest[first] = max(x.longest[first], len(pieces))
	}
}

// prefixing are languages whose words grow at the front, too.
var prefixing = set("ar id")

// mentions adds the concepts that a text names; of names that are part of a
// longer one only the longer one.
func (x *lexicon) mentions(tokens []token, out []mention) []mention {
	pieces := x.pieces(tokens)
	var buffer []byte
	past := 0 // end of the last name
	for i := range pieces {
	longest:
		for form, first := range pieces[i].forms {
			for n := min(x.longest[first], len(pieces)-i); n > 0; n-- {
				last := &pieces[i+n-1]
				if last.stretch != pieces[i].stretch || last.end <= past || !pieces[i].head && slices.ContainsFunc(pieces[i:i+n], func(p piece) bool { return p.head }) {
					continue
				}
				buffer = x.name(buffer[:0], pieces[i:i+n], form)
				found := false
				for _, c := range x.names[string(buffer)] {
					if strings.HasPrefix(pieces[i].text, c.begin) {
						out, found = append(out, mention{c.concept, pieces[i].start, last.end}), true
					}
				}
				if found {
					past = last.end
					break longest
				}
			}
		}
	}
	return out
}

// A concept is one that the query names and some document, too.
type concept struct {
	mention
	clause
}

// cover is a group that says of documents which name a concept, in whatever
// language, that they have a unit that is part of its name in the query. It
// adds nothing to the score, since the concept itself does.
func (q *question) cover(start, end int) (group []clause) {
	for _, c := range q.concepts {
		if c.start <= start && end <= c.end {
			c.clause.weight = 0
			group = append(group, c.clause)
		}
	}
	return group
}

// askConcepts adds the concepts that a text names as bonuses.
func (v *view) askConcepts(q *question, tokens []token) error {
	asked := make(map[string]bool)
	for _, m := range mentions(tokens, nil) {
		if len(q.concepts) == maxConcepts {
			break
		}
		c, err := v.look(clause{field: fieldConcepts, term: m.concept, weight: weightConcept})
		if err != nil {
			return err
		}
		if c.df == 0 {
			continue
		}
		q.concepts = append(q.concepts, concept{m, c})
		if !asked[m.concept] {
			asked[m.concept] = true
			q.add(unit{groups: [][]clause{{c}}, bonus: true})
		}
	}
	return nil
}

// covered adds a cover to groups, where there is one.
func covered(groups [][]clause, cover []clause) [][]clause {
	if cover != nil {
		groups = append(groups, cover)
	}
	return groups
}
