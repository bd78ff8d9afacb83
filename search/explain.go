package search

import (
	"context"
	"runtime/debug"
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
	defer func() {
		if p := recover(); p != nil {
			x.log.Error("search: panic in explaining", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	query = typed(query)
	e := explainer{marker: newMarker(query), query: []rune(query), tokens: tokenize(query), best: make(map[string]marketplace.Finding)}
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
	query  []rune
	tokens []token                        // of the query
	best   map[string]marketplace.Finding // by the part of the query, folded or as it stands
	order  []string
}

// offer takes a finding if it is the first or the closest one of its words.
// Those of the same form are told by the first text and its first place.
func (e *explainer) offer(key string, f marketplace.Finding) {
	have, ok := e.best[key]
	if !ok {
		e.order = append(e.order, key)
	}
	rank := func(f marketplace.Finding) int { return slices.Index(marketplace.WordForms, f.Form) }
	if !ok || rank(f) < rank(have) {
		e.best[key] = f
	}
}

// typed is a part of the query as it was typed.
func (e *explainer) typed(start, end int) string { return string(e.query[start:end]) }

// find returns where the query has a part of a run.
func (e *explainer) find(part string) (start int, ok bool) {
	for i := range e.tokens {
		t := &e.tokens[i]
		if at := strings.Index(t.text, part); part != "" && t.writing != words && at >= 0 && utf8.RuneCountInString(t.text) == t.end-t.start {
			return t.start + utf8.RuneCountInString(t.text[:at]), true
		}
	}
	return 0, false
}

func (e *explainer) word(i, text int, t *token, form marketplace.WordForm) {
	w := &e.words[i]
	e.offer(w.text, marketplace.Finding{Words: e.typed(w.start, w.end), Form: form, Text: text, Range: marketplace.Range{Start: t.start, End: t.end}})
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
			part := t.part(r)
			if start, ok := e.find(part); ok {
				words := e.typed(start, start+r.End-r.Start)
				e.offer(part, marketplace.Finding{Words: words, Form: marketplace.FormExact, Text: text, Range: r})
			}
		}
	}
	for _, c := range mentions(tokens, l) {
		for _, n := range e.named {
			if n.concept == c.concept {
				for _, word := range e.concepts[c.concept] {
					e.seen[word] = true
				}
				e.offer("\x00"+n.concept, marketplace.Finding{Words: e.typed(n.start, n.end), Form: marketplace.FormMeaning, Text: text, Range: marketplace.Range{Start: c.start, End: c.end}})
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

// findings lists what was found, by the order of the query: nothing twice that
// is part of something longer or closer.
func (e *explainer) findings() []marketplace.Finding {
	var out []marketplace.Finding
	for _, key := range e.order {
		f, said := e.best[key], false
		for _, other := range e.best {
			longer := len(other.Words) > len(f.Words) && strings.Contains(other.Words, f.Words)
			said = said || f.Form == marketplace.FormExact && other.Form == f.Form && longer
		}
		if f.Form == marketplace.FormMeaning && !said {
			rest := f.Words
			for _, other := range e.best {
				if other.Form == marketplace.FormExact || other.Form == marketplace.FormInflected {
					rest = strings.ReplaceAll(rest, other.Words, "")
				}
			}
			said = strings.TrimSpace(rest) == ""
		}
		if !said {
			out = append(out, f)
		}
	}
	query := string(e.query)
	slices.SortStableFunc(out, func(a, b marketplace.Finding) int {
		return strings.Index(query, a.Words) - strings.Index(query, b.Words)
	})
	return out[:min(len(out), maxFindings)]
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
