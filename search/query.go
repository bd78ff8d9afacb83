package search

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"citymarket/marketplace"
)

// Bounds of what is asked for of one query text: so many words and bigrams
// are looked up, of which the most telling are scored; and so many pieces of
// words and single characters.
const (
	maxUnits  = 32
	maxLooked = 96
	maxParts  = 160

	maxConcepts = 32
)

// maxMends is for how many words of a query the dictionary is searched for
// what may have been meant, which costs up to 2 ms each at 100,000 documents.
// The others are asked for in vain.
const maxMends = 6

// Weights, measured on the judged collections (see judged_test.go). A title
// weighs little because the text fields hold it, too. Means of nDCG@10 over
// all of them, with all else as it is:
//
//	weightWord   0 .749   0.2 .755   0.5 .757   1 .752
//	weightTitle  0.1 .753   0.3 .756   0.4 .757
//	weightSmall  1 .754   0.4 .757   0 .755
const (
	weightStem     = 1.0
	weightWord     = 0.5
	weightTitle    = 0.4
	weightAbout    = 1.0 // a topic that was chosen says what an entry is about as surely as its words do
	weightWhole    = 0.3 // a whole Korean word beside its bigrams
	weightParticle = 0.2 // a bigram that holds a Korean particle
	weightSmall    = 0.4 // a word that says little
	weightConcept  = 0.5 // what words mean beside what they are
	weightWeak     = 0.3 // a weak word beside others
)

// weightPart and weightHan weigh what only sentences are compared by: pieces
// of words (mean .748 without, .757 with; in Turkish .794 and .824) and single
// Han characters beside the bigrams (xquadr-zh .821 without, .846 with). The
// pieces are half of all there are, which costs .001 and saves a third of
// their postings, and are not counted, which costs nothing.
const (
	weightPart = 0.3
	weightHan  = 0.7
)

// commonPart is the share of documents from which on a part says too little
// for its cost.
const commonPart = 0.1

// A question is a query text as units. What is wanted of a document is that
// it has as many of them as possible (see enough).
type question struct {
	units    []unit
	asked    int  // units that are no bonus
	sentence bool // it is more than four words
	mends    int  // words for which the dictionary was searched
	grams    map[string]bool
	concepts []concept
}

func (q *question) add(u unit) {
	if len(u.groups) > 0 || !u.bonus {
		q.units = append(q.units, u)
		if !u.bonus {
			q.asked++
		}
	}
}

// all is how many units a match must have where all words are wanted.
func (q *question) all() int {
	if q.sentence {
		return (2*q.asked + 2) / 3
	}
	return q.asked
}

// typed is the part of a query text that is read.
func typed(text string) string {
	n := 0
	for i := range text {
		if n == marketplace.MaxQueryLength {
			text = text[:i]
			break
		}
		n++
	}
	return strings.ToValidUTF8(text, " ")
}

// tokensOf cuts a query text. Words that say nothing are left out where others
// remain; one that stands there twice is counted.
func tokensOf(text string) []token { return distinct(tokenize(typed(text))) }

func distinct(all []token) []token {
	var out []token
	seen := make(map[string]int, len(all))
	for _, t := range all {
		if t.writing == words && stopWords[t.text] {
			continue
		}
		if i, ok := seen[t.text]; ok {
			out[i].count++
			continue
		}
		seen[t.text] = len(out)
		t.count = 1
		out = append(out, t)
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// ask turns a query text into units. Its language is not known: a word is
// looked up in all languages of its script. No syntax, no operators.
func (v *view) ask(ctx context.Context, text string, typing bool) (*question, error) {
	text = typed(text)
	all := tokenize(text)
	tokens := distinct(all)
	q := &question{sentence: !typing && lengthOf(all) > 4, grams: make(map[string]bool)}
	half := -1 // the token that may be half typed
	if typing && len(tokens) > 0 {
		// The last word of the text, which may be a stop word: "the o".
		last := all[len(all)-1]
		if n := len(tokens); last.end == utf8.RuneCountInString(text) {
			if tokens[n-1].start != last.start {
				tokens, n = append(tokens, last), n+1
			}
			half = n - 1
		}
	}
	if !typing {
		if err := v.askConcepts(q, all); err != nil {
			return nil, err
		}
	}
	if len(tokens) > maxUnits && !typing {
		var err error
		if tokens, err = v.telling(tokens); err != nil {
			return nil, err
		}
	}
	small := smallIn(all)
	for i := range tokens {
		t := &tokens[i]
		scale := float64(max(t.count, 1))
		if smallWords()[t.text]&small != 0 {
			scale *= weightSmall
		}
		err := ctx.Err()
		switch {
		case err != nil || len(q.units) >= maxLooked:
		case i == half:
			err = v.askHalf(q, t)
		case t.writing == words:
			err = v.askWord(q, t, typing, scale)
		default:
			err = v.askGrams(q, t, typing)
		}
		if err != nil {
			return nil, err
		}
	}
	q.weaken()
	q.shorten(v)
	if q.sentence {
		return q, v.askParts(q, tokens)
	}
	return q, nil
}

// telling leaves out the commonest words of a long text, so that not all forms
// of words are looked up of which nothing will be scored: a text of 110 words
// takes 12 ms, and took 15.
func (v *view) telling(tokens []token) ([]token, error) {
	var found []int // documents that have a word
	count := make([]int, len(tokens))
	for i := range tokens {
		if t := &tokens[i]; t.writing == words {
			c, err := v.look(clause{field: fieldWords, term: t.text})
			if err != nil {
				return nil, err
			}
			if count[i] = c.df; c.df > 0 {
				found = append(found, c.df)
			}
		}
	}
	if len(found) <= maxUnits {
		return tokens, nil
	}
	slices.Sort(found)
	most, out := found[maxUnits-1], tokens[:0]
	for i, t := range tokens {
		if count[i] <= most {
			out = append(out, t)
		}
	}
	return out, nil
}

// lengthOf is how many words a text has; where no spaces tell, two characters
// are one.
func lengthOf(tokens []token) (n int) {
	for i := range tokens {
		n++
		if t := &tokens[i]; t.writing == han || t.writing == thai {
			n += (t.end - t.start - 1) / 2
		}
	}
	return n
}

// weaken makes a bonus of weak words where others are asked for.
func (q *question) weaken() {
	strong := false
	for i := range q.units {
		u := &q.units[i]
		strong = strong || !u.weak && !u.bonus && len(u.groups) > 0
	}
	if !strong {
		return
	}
	for i := range q.units {
		u := &q.units[i]
		if !u.weak || u.bonus {
			continue
		}
		u.bonus = true
		q.asked--
		for _, g := range u.groups {
			for j := range g {
				g[j].weight *= weightWeak
			}
		}
	}
}

// shorten keeps the units that tell documents apart best.
func (q *question) shorten(v *view) {
	if len(q.units) <= maxUnits {
		return
	}
	worth := func(u unit) (sum float64) {
		for _, g := range u.groups {
			best := 0.0
			for _, c := range g {
				best = max(best, c.weight*math.Log(1+float64(v.live)/float64(c.df)))
			}
			sum += best
		}
		return sum
	}
	slices.SortStableFunc(q.units, func(a, b unit) int { return cmp.Compare(worth(b), worth(a)) })
	for _, u := range q.units[maxUnits:] {
		if !u.bonus {
			q.asked--
		}
	}
	q.units = q.units[:maxUnits]
}

// askParts adds what a sentence is also compared by, as one bonus: pieces of
// its words, and single Han characters.
func (v *view) askParts(q *question, tokens []token) error {
	bonus := unit{bonus: true}
	var err error
	looked := make(map[string]bool)
	add := func(field, term string, weight, common float64) {
		if err != nil || looked[term] || len(looked) == maxParts {
			return
		}
		looked[term] = true
		var c clause
		if c, err = v.look(clause{field: field, term: term, weight: weight}); c.df > 0 && float64(c.df) <= max(10, common*float64(v.live)) {
			bonus.groups = append(bonus.groups, []clause{c})
		}
	}
	for i := range tokens {
		t := &tokens[i]
		t.parts(true, func(term string) { add(fieldParts, term, weightPart, commonPart) })
		if t.writing == han {
			for _, r := range t.text {
				if unicode.Is(unicode.Han, r) {
					add(fieldGrams, string(r), weightHan, 1)
				}
			}
		}
	}
	q.add(bonus)
	return err
}

// forms returns the clauses that mean a word: in the stems of one language, or
// of each where it is nil, as it is, and in titles.
func (v *view) forms(t *token, only *tongue, titles bool, scale float64) ([][]clause, error) {
	stems := make([]clause, 0, 8)
	title := []clause{{field: fieldTitle, term: t.text, weight: scale * weightTitle}}
	for i := range tongues {
		l := &tongues[i]
		if only != nil && l != only || !l.reads(t) || v.average[l.field] == 0 {
			continue
		}
		terms, n := l.stems(t)
		for _, s := range terms[:n] {
			stems = append(stems, clause{field: l.field, term: s, weight: scale * weightStem})
			known := false
			for _, c := range title {
				known = known || c.term == s
			}
			if !known {
				title = append(title, clause{field: fieldTitle, term: s, weight: scale * weightTitle})
			}
		}
	}
	word := []clause{{field: fieldWords, term: t.text, weight: scale * weightWord}}
	if t.joined != "" {
		word = append(word, clause{field: fieldWords, term: t.joined, weight: scale * weightWord})
	}
	if titles {
		return v.known(title)
	}
	about := make([]clause, len(title))
	for i, c := range title {
		about[i] = clause{field: fieldAbout, term: c.term, weight: scale * weightAbout}
	}
	return v.known(stems, word, title, about)
}

// known drops the clauses that nothing contains. It is nil when no clause is
// left, else as long as what was given.
func (v *view) known(groups ...[]clause) ([][]clause, error) {
	some := false
	for i, g := range groups {
		kept := g[:0]
		for _, c := range g {
			c, err := v.look(c)
			if err != nil {
				return nil, err
			}
			if c.df > 0 {
				kept = append(kept, c)
			}
		}
		groups[i] = kept
		some = some || len(kept) > 0
	}
	if !some {
		return nil, nil
	}
	return groups, nil
}

func (v *view) askWord(q *question, t *token, titles bool, scale float64) error {
	groups, err := v.forms(t, nil, titles, scale)
	if err != nil {
		return err
	}
	cover := q.cover(t.start, t.end)
	if cover != nil && stopWords[t.text] { // ITS
		groups = nil
	}
	if len(groups) > 0 || q.mends == maxMends {
		q.add(unit{groups: covered(groups, cover), weak: weakWords[t.text]})
		return nil
	}
	q.mends++
	dictionary := fieldWords
	if titles {
		dictionary = fieldTitle
	}
	mended, err := v.longer(dictionary, t.text)
	if err == nil && len(mended) == 0 && cover == nil { // a word that means something is no typo
		mended, err = v.mend(dictionary, t.text)
	}
	if err != nil {
		return err
	}
	if len(mended) == 0 && cover != nil {
		q.add(unit{groups: covered(nil, cover)})
		return nil
	}
	if len(mended) == 0 {
		first, second, err := v.split(t.text)
		if err != nil {
			return err
		}
		if first == "" {
			q.add(unit{}) // nothing has it: it stays asked for, in vain
			return nil
		}
		for _, half := range []string{first, second} {
			groups, err := v.forms(&token{writing: words, text: half, lower: half}, nil, titles, 0.8*scale)
			if err != nil {
				return err
			}
			q.add(unit{groups: groups})
		}
		return nil
	}
	// One group for each kind of field over all the mended words: the best counts.
	var u unit
	for _, m := range mended {
		u.weak = u.weak || weakWords[m.word]
		groups, err := v.forms(&token{writing: words, text: m.word, lower: m.word}, nil, titles, m.weight*scale)
		if err != nil {
			return err
		}
		if u.groups == nil {
			u.groups = make([][]clause, len(groups))
		}
		for i, g := range groups {
			u.groups[i] = append(u.groups[i], g...)
		}
	}
	// A rare word must not outweigh the common one that was meant.
	for _, g := range u.groups {
		df := 0
		for _, c := range g {
			df = max(df, c.df)
		}
		for i := range g {
			g[i].df = df
		}
	}
	if !titles {
		var meant []clause // what the likeliest of them means, in any language
		best := mended[0]
		for _, m := range mentions(tokenize(best.word), nil) {
			c, err := v.look(clause{field: fieldConcepts, term: m.concept, weight: best.weight * scale * weightConcept})
			if err != nil {
				return err
			}
			if c.df > 0 {
				meant = append(meant, c)
			}
		}
		u.groups = covered(u.groups, meant)
	}
	u.groups = covered(u.groups, cover)
	q.add(u)
	return nil
}

func (v *view) askGrams(q *question, t *token, titles bool) error {
	var err error
	unknown, before := 0, q.asked
	bare := t.bare()
	t.grams(true, func(term string, start, end int) {
		if err != nil || len(q.units) >= maxLooked || q.grams[term] {
			return
		}
		q.grams[term] = true
		scale := 1.0
		if end > bare {
			scale = weightParticle
		} else if t.writing == han && strings.Trim(term, smallHan) == "" {
			scale = weightSmall
		}
		title := []clause{{field: fieldTitle, term: term, weight: scale * weightTitle}}
		var groups [][]clause
		if titles {
			groups, err = v.known(title)
		} else {
			groups, err = v.known([]clause{{field: fieldGrams, term: term, weight: scale * weightStem}}, title, []clause{{field: fieldAbout, term: term, weight: scale * weightAbout}})
		}
		groups = covered(groups, q.cover(t.start+start, t.start+end))
		if len(groups) == 0 {
			unknown++ // two words that meet in the query, or a typo: either way no document can have it
			return
		}
		q.add(unit{groups: groups, weak: weakWords[term]})
	})
	if err != nil {
		return err
	}
	if unknown > 0 && q.asked == before {
		q.add(unit{})
	}
	if t.writing == hangul && !titles {
		groups, err := v.known([]clause{{field: fieldWords, term: cut(t.text, maxToken), weight: weightWhole}})
		if err != nil {
			return err
		}
		q.add(unit{groups: groups, bonus: true})
	}
	return nil
}

// askHalf asks for titles and names in which a word begins like this.
func (v *view) askHalf(q *question, t *token) error {
	if t.writing == han || t.writing == thai {
		// No word begins where nobody sees words: any place of a title will do.
		if utf8.RuneCountInString(t.text) > 1 || t.writing == thai {
			return v.askGrams(q, t, true)
		}
		groups, err := v.known([]clause{{field: fieldTitle, term: t.text, weight: 1}})
		q.add(unit{groups: groups})
		return err
	}
	begin := beginning(t.text)
	edges := []clause{{field: fieldEdge, term: begin, weight: 1}}
	if bare := withoutArticle(begin); bare != begin {
		edges = append(edges, clause{field: fieldEdge, term: bare, weight: 1})
	}
	groups, err := v.known(edges, []clause{{field: fieldTitle, term: t.text, weight: weightTitle}})
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		mended, err := v.mend(fieldEdge, begin)
		if err != nil {
			return err
		}
		var g []clause
		for _, m := range mended {
			c, err := v.look(clause{field: fieldEdge, term: m.word, weight: m.weight})
			if err != nil {
				return err
			}
			g = append(g, c)
		}
		if len(g) > 0 {
			groups = append(groups, g)
		}
	}
	q.add(unit{groups: groups})
	return nil
}

// beginning cuts a word to what the edge field holds.
func beginning(word string) string {
	n := 0
	for i := range word {
		if n == maxEdge {
			return word[:i]
		}
		n++
	}
	return word
}

// How many matches are enough not to ask for less: so many that what comes
// after them is no good hit. By asking for more, nDCG@10 falls: on cacm from
// .525 to .500 by 20 for a few words and to .495 by 100 for a sentence; and
// where a match must have half of a few words, on xquadr-zh from .840 to .826.
const (
	plentyWords    = 50
	plentySentence = 500
)

// An enough decides how many of the asked units a document must have: all;
// where that gives less than plenty, one less, and so on: who looks for
// "street lighting" wants to see lighting of other places, too, below the few
// that have both words.
type enough struct{ sentence bool }

// more says whether documents that have fewer units are wanted, too, where so
// many were found that have more.
func (e enough) more(found int) bool {
	if e.sentence {
		return found < plentySentence
	}
	return found < plentyWords
}
