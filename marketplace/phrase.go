package marketplace

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"path"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// The files of phrases hold what the program says to people in letters and
// notifications, one language a file, by the same names in each. What stands
// in braces is filled in. A language that has no file is answered in English.
//
//go:embed phrases/*.json
var phraseFiles embed.FS

// A phrasebook is what is said in one language.
type phrasebook struct {
	language Language
	phrases  map[string]string
}

// phrasebooks are all of them, English first.
var phrasebooks = sync.OnceValue(func() []*phrasebook {
	files, err := phraseFiles.ReadDir("phrases")
	if err != nil {
		panic(err)
	}
	list := []*phrasebook{{language: english}}
	for _, f := range files {
		b, err := phraseFiles.ReadFile("phrases/" + f.Name())
		if err != nil {
			panic(err)
		}
		book := &phrasebook{language: Language(strings.TrimSuffix(f.Name(), path.Ext(f.Name())))}
		if err := json.Unmarshal(b, &book.phrases); err != nil {
			panic(f.Name() + ": " + err.Error())
		}
		if book.language == english {
			list[0] = book
		} else {
			list = append(list, book)
		}
	}
	return list
})

// phrasesFor picks the best phrasebook for a reader of these languages.
func phrasesFor(wished []Language) *phrasebook {
	all := phrasebooks()
	names := make(Text, len(all))
	for i, b := range all {
		names[i].Language = b.language
	}
	return all[names.best(wished)]
}

// A filling is what stands in a phrase in the place of "{name}".
type filling map[string]string

// say fills in a phrase. What is filled in becomes one line of text, and is
// set apart where it is written in the other direction.
func (b *phrasebook) say(name string, fill filling) string {
	s := b.phrases[name]
	for k, v := range fill {
		if v = oneLine(v); writtenFromRight(v) != b.fromRight() {
			v = "\u2068" + v + "\u2069"
		}
		fill[k] = v
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		// What was filled in is not looked at again.
		key, after, _ := strings.Cut(rest, "}")
		out.WriteString(fill[key])
		s = after
	}
}

// fromRight says whether the language is written from right to left.
func (b *phrasebook) fromRight() bool { return b.language == "ar" }

// writtenFromRight says whether the first letter of a text belongs to a
// script that is written from right to left.
func writtenFromRight(s string) bool {
	for _, r := range s {
		if unicode.IsLetter(r) {
			return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko)
		}
	}
	return false
}

// oneLine makes one line of a text, without control characters and without
// those that turn the direction of what follows; at most 200 characters.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))), " ")
	if runes := []rune(s); len(runes) > 200 {
		s = strings.TrimSpace(string(runes[:199])) + "…"
	}
	return s
}

// role is what a role is called; empty for a word that is none.
func (b *phrasebook) role(r string) string { return b.phrases["role."+r] }

// Sentence says in the viewer's language, or in the best of the wished ones,
// what a notification tells. What the viewer may not see any more is not
// named: then it says that.
func (m *Market) Sentence(ctx context.Context, n *Notification, wished []Language) (string, error) {
	v := ViewerOf(ctx)
	languages := append(append([]Language{}, wished...), v.Languages...)
	b := phrasesFor(languages)
	fill := filling{"note": n.Note, "count": strconv.Itoa(n.Count), "role": b.role(n.Note), "person": b.phrases["someone"], "member": b.phrases["network"], "title": b.phrases["something"]}
	subject, err := get[entity](ctx, m, n.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		if !openEvents()[n.Event] {
			return b.phrases["gone"], nil
		}
	case err != nil:
		return "", err
	default:
		if x, ok := subject.(*Meeting); ok {
			if fill["time"], err = m.meetingTime(ctx, x, n.User); err != nil {
				return "", err
			}
		}
		if n.Event == timetableEvent {
			fillTimetable(fill, n.Note)
		}
		if fill["title"], err = m.titleFor(ctx, subject, languages); err != nil {
			return "", err
		}
	}
	if n.Person != "" {
		u, err := get[*User](ctx, m, n.Person)
		if err := ignore(err, ErrNotFound); err != nil {
			return "", err
		}
		if u != nil {
			fill["person"] = u.Name
		}
	}
	if n.Member != "" {
		if fill["member"], err = m.nameOf(ctx, n.Member, languages); err != nil {
			return "", err
		}
	}
	return b.say(n.Event, fill), nil
}

// titleFor is what a sentence calls something in the best of the languages:
// by its title, and what belongs to a proposal by the proposal's.
func (m *Market) titleFor(ctx context.Context, doc entity, languages []Language) (string, error) {
	switch doc := doc.(type) {
	case *Offer:
		return m.nameOf(ctx, doc.Proposal, languages)
	case *Message:
		return m.nameOf(ctx, doc.Proposal, languages)
	case *Registration:
		return m.nameOf(ctx, doc.Event, languages)
	case *WishList:
		return m.nameOf(ctx, doc.Event, languages)
	case *Pairing:
		return m.nameOf(ctx, doc.Event, languages)
	case *Meeting:
		return m.nameOf(ctx, doc.About, languages)
	}
	if texts := doc.texts(); len(texts) > 0 {
		if t := texts[0].Text.In(languages); t != nil {
			return t.Text, nil
		}
	}
	return phrasesFor(languages).phrases["something"], nil
}

// nameOf is titleFor what has the id; what the viewer may not see is
// something.
func (m *Market) nameOf(ctx context.Context, id ID, languages []Language) (string, error) {
	doc, err := get[entity](ctx, m, id)
	if errors.Is(err, ErrNotFound) {
		return phrasesFor(languages).phrases["something"], nil
	}
	if err != nil {
		return "", err
	}
	return m.titleFor(ctx, doc, languages)
}

// openEvents are those of which users are told who may not see what they are
// about.
var openEvents = sync.OnceValue(func() map[string]bool {
	open := map[string]bool{}
	for event, list := range rules {
		for _, r := range list {
			if r.as != "" {
				event = r.as
			}
			open[event] = open[event] || r.open
		}
	}
	return open
})

// UnsubscribeText is what the page says by which letters are ended, in the
// best of the languages, and whether that is written from right to left.
type UnsubscribeText struct {
	Language                  Language
	FromRight                 bool
	Title, Ask, Button, Ended string
}

// UnsubscribeTextIn is the text for a reader of these languages.
func UnsubscribeTextIn(wished []Language) UnsubscribeText {
	b := phrasesFor(wished)
	return UnsubscribeText{
		Language: b.language, FromRight: b.fromRight(),
		Title: b.phrases["unsubscribe.title"], Ask: b.phrases["unsubscribe.ask"],
		Button: b.phrases["unsubscribe.button"], Ended: b.phrases["unsubscribe.done"],
	}
}
