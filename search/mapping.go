package search

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// mappingVersion is raised with every change to what is written to an index:
// fields, terms, internal values. An index of another version is built anew.
const mappingVersion = 8

// The fields of an index. Nothing is stored and there are no term vectors:
// the store has the text. Besides these there are text.<language> (see
// tongues), name.<language> (see collations) and one field for each
// [marketplace.Field], prefixed "k." for keywords and "x." for numbers.
const (
	fieldID       = "_id"      // kind/id
	fieldWords    = "words"    // every word of every language as it is, folded; what typos are mended from
	fieldGrams    = "grams"    // Han, Hangul and Thai terms
	fieldParts    = "parts"    // pieces of words and of Thai, without lengths: what sentences are compared by
	fieldConcepts = "concepts" // of the vocabulary, whatever the language they are named in
	fieldTitle    = "title"    // titles and names: words, stems and grams
	fieldAbout    = "about"    // titles of what the entry refers to, in all their languages: words, stems and grams
	fieldEdge     = "edge"     // titles and names: the beginnings of their words, for the word being typed
	fieldAudience = "audience" // groups
	fieldNewest   = "newest"   // sortable, the newest first
	fieldRev      = "rev"      // revision, as doc value
)

// maxEdge is the longest beginning of a word that is indexed, in characters.
const maxEdge = 15

// collations are the orders by name that an index keeps: the languages the
// network works in. English does for all others.
var collations = [...]language.Tag{language.English, language.Chinese, language.Korean, language.Spanish}

// maxNameKey bounds collation keys: some 20 characters decide.
const maxNameKey = 48

// collators are not safe for concurrent use and cost 100 us to make.
var collators = sync.Pool{New: func() any {
	out := new([len(collations)]*collate.Collator)
	for i, t := range collations {
		out[i] = collate.New(t, collate.Loose, collate.Numeric)
	}
	return out
}}

// terms are the terms of a field, already analysed: one pass over a text
// serves several fields.
type terms []string

// Analyze implements analysis.Analyzer.
func (t terms) Analyze([]byte) analysis.TokenStream {
	out := make(analysis.TokenStream, len(t))
	tokens := make([]analysis.Token, len(t))
	size := 0
	for _, term := range t {
		size += len(term)
	}
	all := make([]byte, 0, size)
	for i, term := range t {
		begin := len(all)
		all = append(all, term...)
		tokens[i] = analysis.Token{Term: all[begin:len(all):len(all)], Position: i + 1}
		out[i] = &tokens[i]
	}
	return out
}

// steps are how often a term stands in a text, as the index knows it: up to
// ten times exactly, twelve times is told from ten, eleven is not. For each step
// that is reached the document has another term (see stepMark), so that the
// index needs no frequencies: half its size, and its lists are bitmaps that are
// cut with each other before anything is counted or scored.
var steps = [...]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 21, 28, 40}

// stepMark is what stands before a term that stands at least steps[step]
// times: before it, so that who goes through the words that begin alike or are
// written alike meets none.
func stepMark(step int) string {
	if step == 0 {
		return ""
	}
	return "\x00" + string(rune('0'+step))
}

// stepped says whether the index counts how often a term stands in a field.
func stepped(field string) bool {
	return field != fieldParts && field != fieldEdge && !strings.HasPrefix(field, keywordField(""))
}

// The length of a scored field is kept as a term of a field of its own.
func lengthField(field string) string { return "n." + field }

// A builder collects the terms of one entry.
type builder map[string]*bag

// A bag is the terms of one field and how often each stands there.
type bag struct {
	times map[string]int
	terms int
	bytes int
}

func (b builder) add(field, term string) {
	f := b[field]
	if f == nil {
		f = &bag{times: make(map[string]int)}
		b[field] = f
	}
	if f.bytes += len(term) + 1; f.bytes <= maxText {
		f.times[term]++
		f.terms++
	}
}

// list returns what is written to the index.
func (f *bag) list(stepped bool) terms {
	out := make(terms, 0, len(f.times)+len(f.times)/4)
	for term, n := range f.times {
		out = append(out, term)
		for step := 1; stepped && step < len(steps) && n >= steps[step]; step++ {
			out = append(out, stepMark(step)+term)
		}
	}
	return out
}

func (b builder) text(l *tongue, text string, title bool) {
	tokens := tokenize(text)
	for _, m := range mentions(tokens, l) {
		b.add(fieldConcepts, m.concept)
	}
	for i := range tokens {
		t := &tokens[i]
		t.parts(false, func(term string) { b.add(fieldParts, term) })
		if t.writing != words {
			if t.writing == hangul {
				b.add(fieldWords, cut(t.text, maxToken))
			}
			t.grams(false, func(term string, _, _ int) {
				b.add(fieldGrams, term)
				if title {
					b.add(fieldTitle, term)
				}
			})
		} else {
			b.add(fieldWords, t.text)
			if title {
				b.add(fieldTitle, t.text)
			}
			if t.joined != "" && (i == 0 || tokens[i-1].joined != t.joined) {
				b.add(fieldWords, t.joined)
				if title {
					b.add(fieldTitle, t.joined)
					b.edges(t.joined)
				}
			}
			if !stopWords[t.text] {
				stems, n := l.stems(t)
				for _, s := range stems[:n] {
					b.add(l.field, s)
					if title && s != t.text {
						b.add(fieldTitle, s)
					}
				}
			}
		}
		if title {
			b.edges(t.text)
			if bare := withoutArticle(t.text); bare != t.text {
				b.edges(bare)
			}
		}
	}
}

func (b builder) edges(word string) {
	n := 0
	for i, r := range word {
		if n++; n <= maxEdge {
			b.add(fieldEdge, word[:i+utf8.RuneLen(r)])
		}
	}
}

// An about is what is written of a title that entries refer to.
type about struct{ terms, concepts terms }

// abouts remembers them: a few hundred topics and companies stand in every
// entry's about, and analysing them anew took a third of the time of making
// its document. Bounded.
var abouts struct {
	sync.Mutex
	of map[marketplace.Translation]about
}

// aboutOf returns the different words, stems and grams of a title, and the
// concepts that it names.
func aboutOf(t marketplace.Translation) about {
	abouts.Lock()
	defer abouts.Unlock()
	if known, ok := abouts.of[t]; ok {
		return known
	}
	var out about
	add := func(to *terms, term string) {
		if !slices.Contains(*to, term) {
			*to = append(*to, term)
		}
	}
	l, tokens := languageOf(t.Language), tokenize(cut(t.Text, 1000))
	for _, m := range mentions(tokens, l) {
		add(&out.concepts, m.concept)
	}
	for _, token := range tokens {
		switch {
		case token.writing != words:
			token.grams(false, func(term string, _, _ int) { add(&out.terms, term) })
		case !stopWords[token.text]:
			add(&out.terms, token.text)
			stems, n := l.stems(&token)
			for _, s := range stems[:n] {
				add(&out.terms, s)
			}
		}
	}
	if len(abouts.of) >= 20_000 || abouts.of == nil {
		abouts.of = make(map[marketplace.Translation]about)
	}
	abouts.of[t] = out
	return out
}

// totals counts the terms written to each text field and the entries that
// have any, so that BM25 knows the true average length. What is deleted later
// is not taken off: an average does not need it.
type totals map[string][2]int64

// keyword is how every field is indexed: which documents have which terms, no more.
const keyword = index.IndexField | index.SkipFreqNorm

// bagsOf collects the terms of an entry's texts, by field.
func bagsOf(e *marketplace.Entry) builder {
	b := make(builder, 16)
	for _, t := range e.Title {
		b.text(languageOf(t.Language), t.Text, true)
	}
	for _, name := range e.Names {
		b.text(languageOf(""), name, true)
	}
	for _, text := range e.About {
		named := make(map[string]bool) // once, in however many languages
		for _, t := range text {
			about := aboutOf(t)
			for _, term := range about.terms {
				b.add(fieldAbout, term)
			}
			for _, c := range about.concepts {
				if !named[c] {
					named[c] = true
					b.add(fieldConcepts, c)
				}
			}
		}
	}
	for _, text := range e.Body {
		for _, t := range text {
			b.text(languageOf(t.Language), t.Text, false)
		}
	}
	return b
}

// documentOf makes the document of an entry and adds to the totals.
func documentOf(e *marketplace.Entry, sum totals) *document.Document {
	doc := document.NewDocument(documentID(e.Kind, e.ID))
	exact := func(field string, options index.FieldIndexingOptions, values ...string) {
		doc.AddField(document.NewTextFieldCustom(field, nil, nil, options, terms(values)))
	}
	for field, bag := range bagsOf(e) {
		exact(field, keyword, bag.list(stepped(field))...)
		if field != fieldParts {
			exact(lengthField(field), keyword, strconv.Itoa(bag.terms))
		}
		s := sum[field]
		sum[field] = [2]int64{s[0] + int64(bag.terms), s[1] + 1}
	}
	groups := make([]string, len(e.Audience))
	for i, g := range e.Audience {
		groups[i] = string(g)
	}
	exact(fieldAudience, keyword, groups...)
	exact(keywordField(marketplace.FieldKind), keyword, string(e.Kind))
	for f, values := range e.Keywords {
		if f != marketplace.FieldKind && len(values) > 0 {
			exact(keywordField(f), keyword, values...)
		}
	}
	for f, x := range e.Numbers {
		if !math.IsNaN(x) {
			exact(numberField(f), keyword, sortable(x))
		}
	}
	exact(fieldNewest, keyword, sortable(-float64(e.Newest.Unix())))
	exact(fieldRev, keyword|index.DocValues, strconv.FormatInt(e.Rev, 10))
	c := collators.Get().(*[len(collations)]*collate.Collator)
	defer collators.Put(c)
	for i, tag := range collations {
		t := e.Title.In([]marketplace.Language{marketplace.Language(tag.String())})
		if t == nil {
			continue
		}
		var buf collate.Buffer
		key := c[i].KeyFromString(&buf, cut(t.Text, 256))
		exact(nameField(tag), keyword, string(key[:min(len(key), maxNameKey)]))
	}
	return doc
}

func documentID(kind marketplace.Kind, id string) string { return string(kind) + "/" + id }

func keywordField(f marketplace.Field) string { return "k." + string(f) }
func numberField(f marketplace.Field) string  { return "x." + string(f) }
func nameField(tag language.Tag) string       { return "name." + tag.String() }
