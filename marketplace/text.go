package marketplace

import (
	"context"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// A Language is a BCP 47 tag in canonical form: "en", "zh", "zh-Hant", "pt-BR".
type Language string

const english = Language("en")

// ParseLanguage brings a BCP 47 tag into canonical form. The second result is
// false when the tag is not well-formed or not registered.
func ParseLanguage(s string) (Language, bool) {
	if len(s) > 35 {
		return "", false
	}
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		return "", false
	}
	return Language(tag.String()), true
}

// AcceptedLanguages reads the value of an Accept-Language header: the tags in
// the order of their weights, at most 10. What cannot be read is left out.
func AcceptedLanguages(header string) []Language {
	if len(header) > 500 {
		header = header[:500]
		header = header[:strings.LastIndexByte(header, ',')+1]
	}
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return nil
	}
	out := make([]Language, 0, min(len(tags), 10))
	for i, t := range tags {
		if weights[i] > 0 && t != language.Und && t.String() != "mul" && len(out) < 10 {
			out = append(out, Language(t.String()))
		}
	}
	return out
}

// A Translation is a text in one language.
type Translation struct {
	Language Language `json:"language"`
	Text     string   `json:"text"`
	// IsOutdated says that the original was changed after this was written.
	IsOutdated bool `json:"isOutdated,omitempty"`
}

// A Text is the same text in one or several languages, each at most once. The
// first is the original. An empty Text means that nothing is known.
type Text []Translation

// A LocalizedText is a Text as one viewer reads it.
type LocalizedText struct {
	// Translation is the translation that was picked.
	Translation
	// Translations are all there are; the first is the original.
	Translations []Translation
}

// IsOriginal says whether the translation that was picked is the one the text
// was first written in.
func (l LocalizedText) IsOriginal() bool { return l.Language == l.Translations[0].Language }

// In picks the best translation for a viewer who reads the wished languages,
// best first: a wished language if there is one (a regional form stands for
// its language and the other way round; Traditional Chinese for Simplified),
// else English, else the original. It is nil for an empty Text.
func (t Text) In(wished []Language) *LocalizedText {
	if len(t) == 0 {
		return nil
	}
	return &LocalizedText{Translation: t[t.best(wished)], Translations: t}
}

func (t Text) best(wished []Language) int {
	if len(t) == 1 {
		return 0
	}
	for _, w := range wished {
		for i := range t {
			if t[i].Language == w {
				return i
			}
		}
		for i := range t {
			if closeLanguages(t[i].Language, w) {
				return i
			}
		}
	}
	for i := range t {
		if t[i].Language == english || strings.HasPrefix(string(t[i].Language), "en-") {
			return i
		}
	}
	return 0
}

// closeness remembers which pairs of tags a reader of one can read, since the
// matcher costs some microseconds and a page asks for the same few pairs. It
// is bounded: tags come from strangers.
var closeness struct {
	sync.RWMutex
	pairs map[[2]Language]bool
}

func closeLanguages(have, want Language) bool {
	key := [2]Language{have, want}
	closeness.RLock()
	v, ok := closeness.pairs[key]
	closeness.RUnlock()
	if ok {
		return v
	}
	_, _, c := language.NewMatcher([]language.Tag{language.Make(string(have))}).Match(language.Make(string(want)))
	v = c >= language.High
	closeness.Lock()
	if len(closeness.pairs) >= 10_000 || closeness.pairs == nil {
		closeness.pairs = make(map[[2]Language]bool)
	}
	closeness.pairs[key] = v
	closeness.Unlock()
	return v
}

// Localize picks the best translation of a text for the context's viewer; the
// wished languages, if any are given, go before the viewer's own. It is nil
// for an empty Text.
func Localize(ctx context.Context, t Text, wished []Language) *LocalizedText {
	if len(wished) == 0 {
		return t.In(ViewerOf(ctx).Languages)
	}
	return t.In(append(append([]Language{}, wished...), ViewerOf(ctx).Languages...))
}

// check reports what is wrong with a text at path: at most max runes in each
// language, no language twice.
func (t Text) check(p *problems, path string, max int, required bool) {
	if len(t) == 0 && required {
		p.add(path, "REQUIRED", "must be given in at least one language")
	}
	if len(t) > 30 {
		p.add(path, "TOO_MANY", "at most 30 languages")
		return
	}
	seen := make(map[Language]bool, len(t))
	for i, tr := range t {
		at := index(path, i)
		if l, ok := ParseLanguage(string(tr.Language)); !ok || l != tr.Language {
			p.add(at+".language", "INVALID", "must be a BCP 47 language tag such as en, zh-Hant or pt-BR")
		}
		if seen[tr.Language] {
			p.add(at+".language", "DUPLICATE", "each language at most once")
		}
		seen[tr.Language] = true
		checkString(p, at+".text", tr.Text, max, true)
	}
}

// checkString reports a string that is empty though required, longer than max
// runes, or holds control characters other than line breaks and tabs.
func checkString(p *problems, path, s string, max int, required bool) {
	if required && strings.TrimSpace(s) == "" {
		p.add(path, "REQUIRED", "must not be empty")
		return
	}
	if n := utf8.RuneCountInString(s); n > max {
		p.addf(path, "TOO_LONG", "at most %d characters, these are %d", max, n)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
		p.add(path, "INVALID", "must be text without control characters")
	}
}

// LocalizeAll picks the best translation of each text; see [Localize].
func LocalizeAll(ctx context.Context, texts []Text, wished []Language) []*LocalizedText {
	out := make([]*LocalizedText, 0, len(texts))
	for _, t := range texts {
		if l := Localize(ctx, t, wished); l != nil {
			out = append(out, l)
		}
	}
	return out
}

// originals are the texts of an entity before a change, by field, as they
// stand: a change that gives the field another Text leaves them alone.
func originals(doc entity) map[string]Text {
	texts := doc.texts()
	if len(texts) == 0 {
		return nil
	}
	before := make(map[string]Text, len(texts))
	for _, t := range texts {
		before[t.Field] = slices.Clone(*t.Text)
	}
	return before
}

// noteOutdated marks the translations that a change left as they were though
// it changed the original, and takes the mark from those that it renewed.
func noteOutdated(doc entity, before map[string]Text) {
	if doc.meta().did.Action == translated {
		return
	}
	for _, t := range doc.texts() {
		old := before[t.Field]
		if len(old) == 0 || len(*t.Text) == 0 {
			continue
		}
		original := (*t.Text)[0] != old[0]
		for i := range *t.Text {
			now := &(*t.Text)[i]
			j := slices.IndexFunc(old, func(o Translation) bool { return o.Language == now.Language })
			switch {
			case i == 0 || j < 0 || old[j].Text != now.Text:
				now.IsOutdated = false
			default:
				now.IsOutdated = original || old[j].IsOutdated
			}
		}
	}
}
