package search

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"citymarket/marketplace"
)

// maxRanges is how many places of one text are highlighted.
const maxRanges = 20

// Highlight implements marketplace.Finder. It reads no index but analyses the
// texts as indexing did, of each the first 64 KB. A word of the query that
// stands in none of them is taken for the beginning of a word, or for a typo.
// Texts that are not reached in time have no ranges.
func (x *Index) Highlight(ctx context.Context, query string, texts ...marketplace.Translation) (out [][]marketplace.Range) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	out = make([][]marketplace.Range, len(texts))
	defer x.noPanic("highlighting")
	m := newMarker(query)
	if len(m.words) == 0 && len(m.grams) == 0 && len(m.concepts) == 0 {
		return out
	}
	tokens := make([][]token, len(texts))
	for i := range texts {
		if ctx.Err() != nil {
			return out
		}
		tokens[i] = tokenize(texts[i].Text)
		l := languageOf(texts[i].Language)
		out[i] = merge(append(m.mark(l, tokens[i], m.exact), m.meant(l, tokens[i])...))
	}
	m.unseen()
	if len(m.words) == 0 {
		return out
	}
	for i := range texts {
		if ctx.Err() != nil {
			return out
		}
		out[i] = merge(append(out[i], m.mark(nil, tokens[i], m.like)...))
	}
	return out
}

// A marker knows what a query's words look like in a text.
type marker struct {
	all      []token // of the query
	words    []token
	terms    map[string][]int // field and term to the words that have it
	grams    map[string]bool
	concepts map[string][]int // to the words that name it
	named    []mention        // in the query
	seen     []bool           // by word
}

func newMarker(query string) *marker {
	m := &marker{terms: make(map[string][]int), grams: make(map[string]bool), concepts: make(map[string][]int)}
	add := func(field, term string, word int) {
		key := field + "\x00" + term
		m.terms[key] = append(m.terms[key], word)
	}
	m.all = tokenize(typed(query))
	for _, t := range distinct(m.all) {
		if t.writing != words {
			t.grams(true, func(term string, _, _ int) { m.grams[term] = true })
			continue
		}
		n := len(m.words)
		m.words = append(m.words, t)
		add(fieldWords, t.text, n)
		if t.joined != "" {
			add(fieldWords, t.joined, n)
		}
		for i := range tongues {
			if l := &tongues[i]; l.stem != nil && l.reads(&t) {
				stems, count := l.stems(&t)
				for _, s := range stems[:count] {
					add(l.field, s, n)
				}
			}
		}
	}
	m.named = mentions(m.all, nil)
	for _, c := range m.named {
		named := m.concepts[c.concept]
		for i, t := range m.words {
			if c.start <= t.start && t.end <= c.end {
				named = append(named, i)
			}
		}
		m.concepts[c.concept] = named
	}
	m.seen = make([]bool, len(m.words))
	return m
}

// meant returns where a text names the query's concepts.
func (m *marker) meant(l *tongue, tokens []token) []marketplace.Range {
	var out []marketplace.Range
	if len(m.concepts) == 0 {
		return nil
	}
	for _, c := range mentions(tokens, l) {
		if named, ok := m.concepts[c.concept]; ok {
			for _, i := range named {
				m.seen[i] = true
			}
			out = append(out, marketplace.Range{Start: c.start, End: c.end})
		}
	}
	return out
}

// exact says whether a word of a text is one of the query's, in some form.
func (m *marker) exact(l *tongue, t *token) (hit bool) {
	m.each(l, t, func(word int, _ bool) { m.seen[word], hit = true, true })
	return hit
}

// each calls f with the words of the query that a word of a text is: the same,
// or another form.
func (m *marker) each(l *tongue, t *token, f func(word int, same bool)) {
	try := func(field, term string, same bool) {
		for _, i := range m.terms[field+"\x00"+term] {
			f(i, same)
		}
	}
	try(fieldWords, t.text, true)
	if t.joined != "" {
		try(fieldWords, t.joined, true)
	}
	if l != nil && l.stem != nil && !stopWords[t.text] {
		stems, n := l.stems(t)
		for _, s := range stems[:n] {
			try(l.field, s, false)
		}
	}
}

// unseen leaves only the words that stood nowhere.
func (m *marker) unseen() {
	var rest []token
	for i, t := range m.words {
		if !m.seen[i] && len(rest) < maxUnits && utf8.RuneCountInString(t.text) >= 3 {
			rest = append(rest, t)
		}
	}
	m.words, m.grams = rest, nil
}

// like says whether a word of a text may be one of those left.
func (m *marker) like(_ *tongue, t *token) bool {
	for i := range m.words {
		if begins, near := m.words[i].like(t); begins || near {
			return true
		}
	}
	return false
}

// like says whether a word of a text begins like the token, or may be what was
// meant by it.
func (t *token) like(other *token) (begins, near bool) {
	n := utf8.RuneCountInString(t.text)
	return strings.HasPrefix(other.text, t.text), n >= 4 && within(t.text, other.text, 1) || n >= 8 && within(t.text, other.text, 2)
}

// mark returns the ranges of the tokens that a test finds, and of the
// query's grams.
func (m *marker) mark(l *tongue, tokens []token, test func(*tongue, *token) bool) []marketplace.Range {
	var out []marketplace.Range
	for i := range tokens {
		t := &tokens[i]
		if t.writing == words {
			if len(m.words) > 0 && test(l, t) {
				out = append(out, marketplace.Range{Start: t.start, End: t.end})
			}
		} else {
			out = m.runs(t, out)
		}
	}
	return merge(out)
}

// runs adds where the query's grams stand in a token.
func (m *marker) runs(t *token, out []marketplace.Range) []marketplace.Range {
	if len(m.grams) == 0 {
		return out
	}
	same := utf8.RuneCountInString(t.text) == t.end-t.start
	t.grams(false, func(term string, start, end int) {
		if !m.grams[term] {
			return
		}
		r := marketplace.Range{Start: t.start, End: t.end}
		if same { // else folding changed the number of characters: the whole run
			r = marketplace.Range{Start: t.start + start, End: t.start + end}
		}
		out = append(out, r)
	})
	return out
}

// merge sorts ranges, joins those that overlap or touch without anything
// between them, and keeps the first ones.
func merge(list []marketplace.Range) []marketplace.Range {
	slices.SortFunc(list, func(a, b marketplace.Range) int { return a.Start - b.Start })
	var out []marketplace.Range
	for _, r := range list {
		if n := len(out); n > 0 && r.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, r.End)
		} else if n < maxRanges {
			out = append(out, r)
		}
	}
	return out
}

// within says whether two words are at most so many edits apart, where two
// neighbours that changed places are one edit.
func within(a, b string, edits int) bool {
	if d := len(a) - len(b); d > 4*edits || -d > 4*edits {
		return false
	}
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(x); i++ {
		row, up, over := rows[(i+1)%3], rows[i%3], rows[(i+2)%3]
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, up[j]+1, up[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], over[j-2]+1)
			}
		}
	}
	return rows[(len(x)+1)%3][len(y)] <= edits
}
