package search

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"citymarket/marketplace"
)

// maxFindings is how many findings explain one hit.
const maxFindings = 20

// Explain implements marketplace.Finder. Like Highlight it reads no index.
func (x *Index) Explain(ctx context.Context, query string, texts ...marketplace.Translation) (out []marketplace.Finding) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	defer x.noPanic("explaining")
	e := explainer{marker: newMarker(query), query: []rune(typed(query)), best: make(map[string]phrase)}
	tokens := make([][]token, len(texts))
	for i := range texts {
		if ctx.Err() != nil {
			return e.findings()
		}
		tokens[i] = tokenize(texts[i].Text)
		e.read(i, languageOf(texts[i].Language), tokens[i])
	}
	if e.unseen(); len(e.words) > 0 {
		for i := range texts {
			if ctx.Err() != nil {
				break
			}
			e.guess(i, tokens[i])
		}
	}
	return e.findings()
}

// An explainer keeps the best finding of each part of a query.
type explainer struct {
	*marker
	query []rune
	best  map[string]phrase // by the part, folded
}

// A phrase is a part of the query, and how a text has it.
type phrase struct {
	start, end int // code points of the query
	marketplace.Finding
}

// offer takes a finding if it is the first or the closest one of its part.
// Those of the same form are told by the first text and its first place.
func (e *explainer) offer(key string, p phrase) {
	have, ok := e.best[key]
	rank := func(f marketplace.WordForm) int { return slices.Index(marketplace.WordForms, f) }
	if !ok || rank(p.Form) < rank(have.Form) {
		p.Words = string(e.query[p.start:p.end])
		e.best[key] = p
	}
}

// find returns where the query has a part of a run.
func (e *explainer) find(part string) (start int, ok bool) {
	for i := range e.all {
		t := &e.all[i]
		if at := strings.Index(t.text, part); part != "" && t.writing != words && at >= 0 && utf8.RuneCountInString(t.text) == t.end-t.start {
			return t.start + utf8.RuneCountInString(t.text[:at]), true
		}
	}
	return 0, false
}

func (e *explainer) word(i, text int, t *token, form marketplace.WordForm) {
	w := &e.words[i]
	e.offer(w.text, phrase{w.start, w.end, marketplace.Finding{Form: form, Text: text, Range: marketplace.Range{Start: t.start, End: t.end}}})
}

// read looks for the query's words, runs and concepts in a text.
func (e *explainer) read(text int, l *tongue, tokens []token) {
	for i := range tokens {
		t := &tokens[i]
		if t.writing == words {
			e.each(l, t, func(word int, same bool) {
				e.seen[word] = true
				form := marketplace.FormInflected
				if same {
					form = marketplace.FormExact
				}
				e.word(word, text, t, form)
			})
			continue
		}
		for _, r := range merge(e.runs(t, nil)) {
			run := t.part(r)
			if start, ok := e.find(run); ok {
				e.offer(run, phrase{start, start + r.End - r.Start, marketplace.Finding{Form: marketplace.FormExact, Text: text, Range: r}})
			}
		}
	}
	for _, c := range mentions(tokens, l) {
		for _, n := range e.named {
			if n.concept == c.concept {
				for _, word := range e.concepts[c.concept] {
					e.seen[word] = true
				}
				e.offer("\x00"+n.concept, phrase{n.start, n.end, marketplace.Finding{Form: marketplace.FormMeaning, Text: text, Range: marketplace.Range{Start: c.start, End: c.end}}})
			}
		}
	}
}

// guess looks for what the words that stand nowhere may mean.
func (e *explainer) guess(text int, tokens []token) {
	for i := range tokens {
		for word := range e.words {
			switch begins, near := e.words[word].like(&tokens[i]); {
			case begins:
				e.word(word, text, &tokens[i], marketplace.FormBeginning)
			case near:
				e.word(word, text, &tokens[i], marketplace.FormMisspelt)
			}
		}
	}
}

// findings lists what was found, by the order of the query: nothing of which
// every word is part of something that is longer or closer.
func (e *explainer) findings() []marketplace.Finding {
	said := make([]bool, len(e.query)) // by code point
	parts := slices.SortedFunc(maps.Values(e.best), func(a, b phrase) int {
		return cmp.Or(looseness(a.Form)-looseness(b.Form), (b.end-b.start)-(a.end-a.start), a.start-b.start)
	})
	parts = slices.DeleteFunc(parts, func(p phrase) bool {
		news := false
		for i := p.start; i < p.end; i++ {
			news = news || !said[i] && writingOf(e.query[i]) != separator
			said[i] = true
		}
		return !news
	})
	slices.SortStableFunc(parts, func(a, b phrase) int { return a.start - b.start })
	out := make([]marketplace.Finding, 0, len(parts))
	for _, p := range parts {
		out = append(out, p.Finding)
	}
	return out[:min(len(out), maxFindings)]
}

// looseness is 0 where a text has the word itself.
func looseness(f marketplace.WordForm) int {
	if f == marketplace.FormExact || f == marketplace.FormInflected {
		return 0
	}
	return 1
}

// part is what stands in a range of a run; nothing where folding changed the
// number of characters.
func (t *token) part(r marketplace.Range) string {
	letters := []rune(t.text)
	if len(letters) != t.end-t.start {
		return ""
	}
	return string(letters[r.Start-t.start : r.End-t.start])
}
