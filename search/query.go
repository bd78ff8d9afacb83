package search

import (
	"context"
	"strings"
	"unicode/utf8"

	"citymarket/marketplace"
)

// maxUnits bounds what is asked for of one query text.
const maxUnits = 32

// maxMends is for how many words of a query the dictionary is searched for
// what may have been meant, which costs up to 2 ms each at 100,000 documents.
// The others are asked for in vain.
const maxMends = 6

// Weights of the fields, measured as best over 20 judged collections. A title
// weighs little because the text fields hold it, too.
const (
	weightStem  = 1.0
	weightWord  = 0.5
	weightTitle = 0.3
	weightAbout = 1.0 // a topic that was chosen says what an entry is about as surely as its words do
	weightWhole = 0.3 // a whole Korean word beside its bigrams
)

// A question is a query text as units. What is wanted of a document is that
// it has as many of them as possible (see enough).
type question struct {
	units []unit
	asked int // units that are no bonus
	size  int // of the text: 2 for a word, 1 for a bigram
	mends int // words for which the dictionary was searched
}

// sentence says that the text is more than a few words.
func (q *question) sentence() bool { return q.size > 8 }

func (q *question) add(size int, u unit) {
	if len(q.units) < maxUnits && (len(u.groups) > 0 || !u.bonus) {
		u.size = size
		q.units = append(q.units, u)
		if !u.bonus {
			q.asked++
			q.size += size
		}
	}
}

// typed is the part of a query text that is read.
func typed(text string) string {
	return cut(strings.ToValidUTF8(cut(text, marketplace.MaxQueryLength), " "), marketplace.MaxQueryLength)
}

// tokensOf cuts a query text. Words that say nothing are left out where others remain.
func tokensOf(text string) []token {
	all := tokenize(typed(text))
	var out []token
	seen := make(map[string]bool, len(all))
	for _, t := range all {
		if (t.writing != words || !stopWords[t.text]) && !seen[t.text] {
			seen[t.text] = true
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// ask turns a query text into units. Its language is not known: a word is
// looked up in all languages of its script. No syntax, no operators.
func (v *view) ask(ctx context.Context, text string, typing bool) (*question, error) {
	q := &question{}
	tokens := tokensOf(text)
	half := -1 // the token that may be half typed
	if typing && len(tokens) > 0 {
		// The last word of the text, which may be a stop word: "the o".
		all := tokenize(typed(text))
		last := all[len(all)-1]
		if n := len(tokens); last.end == utf8.RuneCountInString(typed(text)) {
			if tokens[n-1].start != last.start {
				tokens, n = append(tokens, last), n+1
			}
			half = n - 1
		}
	}
	for i := range tokens {
		t := &tokens[i]
		err := ctx.Err()
		switch {
		case err != nil || len(q.units) == maxUnits:
		case i == half:
			err = v.askHalf(q, t)
		case t.writing == words:
			err = v.askWord(q, t, typing)
		default:
			err = v.askGrams(q, t, typing)
		}
		if err != nil {
			return nil, err
		}
	}
	q.weaken()
	return q, nil
}

// weightWeak is what a weak word weighs beside others.
const weightWeak = 0.3

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
		q.size -= u.size
		for _, g := range u.groups {
			for j := range g {
				g[j].weight *= weightWeak
			}
		}
	}
}

// forms returns the clauses that mean a word: in each language's stems, as
// it is, and in titles.
func (v *view) forms(t *token, titles bool, scale float64) ([][]clause, error) {
	stems := make([]clause, 0, 8)
	title := []clause{{field: fieldTitle, term: t.text, weight: scale * weightTitle}}
	for i := range tongues {
		l := &tongues[i]
		if !l.reads(t) {
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

func (v *view) askWord(q *question, t *token, titles bool) error {
	groups, err := v.forms(t, titles, 1)
	if err != nil {
		return err
	}
	if len(groups) > 0 || q.mends == maxMends {
		q.add(2, unit{groups: groups, weak: weakWords[t.text]})
		return nil
	}
	q.mends++
	dictionary := fieldWords
	if titles {
		dictionary = fieldTitle
	}
	mended, err := v.mend(dictionary, t.text, false)
	if err != nil {
		return err
	}
	if len(mended) == 0 {
		first, second, err := v.split(t.text)
		if err != nil {
			return err
		}
		if first == "" {
			q.add(2, unit{}) // nothing has it: it stays asked for, in vain
			return nil
		}
		for _, half := range []string{first, second} {
			groups, err := v.forms(&token{writing: words, text: half, lower: half}, titles, 0.8)
			if err != nil {
				return err
			}
			q.add(2, unit{groups: groups})
		}
		return nil
	}
	// One group for each kind of field over all the mended words: the best counts.
	var u unit
	for _, m := range mended {
		u.weak = u.weak || weakWords[m.word]
		groups, err := v.forms(&token{writing: words, text: m.word, lower: m.word}, titles, m.weight)
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
	q.add(2, u)
	return nil
}

func (v *view) askGrams(q *question, t *token, titles bool) error {
	var err error
	unknown, before := 0, q.asked
	t.grams(true, func(term string, _, _ int) {
		if err != nil {
			return
		}
		title := []clause{{field: fieldTitle, term: term, weight: weightTitle}}
		var groups [][]clause
		if titles {
			groups, err = v.known(title)
		} else {
			groups, err = v.known([]clause{{field: fieldGrams, term: term, weight: weightStem}}, title, []clause{{field: fieldAbout, term: term, weight: weightAbout}})
		}
		if len(groups) == 0 {
			unknown++ // two words that meet in the query, or a typo: either way no document can have it
			return
		}
		q.add(1, unit{groups: groups, weak: weakWords[term]})
	})
	if err != nil {
		return err
	}
	if unknown > 0 && q.asked == before {
		q.add(1, unit{})
	}
	if t.writing == hangul && !titles {
		groups, err := v.known([]clause{{field: fieldWords, term: t.text, weight: weightWhole}})
		if err != nil {
			return err
		}
		q.add(1, unit{groups: groups, bonus: true})
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
		q.add(2, unit{groups: groups})
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
		mended, err := v.mend(fieldEdge, begin, true)
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
	q.add(2, unit{groups: groups})
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

// How many matches are enough not to ask for less: for a few words, half a
// first page, so that the total counts what is about them. For a sentence, so
// many that asking for most of its words costs no good hit: nDCG@10 .398 on
// cranfield and .476 on cacm, .400 and .481 without any asking, .331 and .325
// by the rule for a few words.
const (
	plentyWords    = 10
	plentySentence = 100
)

// An enough decides how many of the asked units a document must have: all;
// where that gives less than plenty, one less, and so on. Of a few words half
// must be there, unless nothing has as many: who looks for "street lighting"
// wants to see lighting of other places, too, below the few that have both
// words.
type enough struct {
	asked    int
	sentence bool
}

// more says whether documents that have exactly so many units are wanted, too,
// where there are already so many matches that have more.
func (e enough) more(units, found int) bool {
	floor, plenty := (e.asked+1)/2, plentyWords
	if e.sentence {
		floor, plenty = 1, plentySentence
	}
	return found < plenty && (units >= floor || found == 0)
}
