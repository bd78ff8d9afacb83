package marketplace

import (
	"context"
	"fmt"
	"slices"
)

// TranslateInput is what Translate takes.
type TranslateInput struct {
	ID       ID
	Version  *int // that was read; nil: any
	Language Language
	Texts    []*TranslatedTextInput
}

// TranslatedTextInput is a text of one field in another language.
type TranslatedTextInput struct {
	Field string
	Text  *string // nil takes the translation away
}

// mayTranslate says who may write the texts of which kind.
var mayTranslate = map[Kind]Permission{
	KindSolution: MayEditSolution, KindProposal: MayEditProposal, KindTopic: MayEditVocabulary,
	KindCity: MayEditMember, KindCompany: MayEditMember, KindInstitution: MayEditMember,
	KindEvent: MayArrangeEvent, KindRegistration: MayRegister,
}

// Translate writes texts of a document in another language than that of the
// originals; a translation that was outdated is current by it, also where it
// says the same as before.
func (m *Market) Translate(ctx context.Context, in TranslateInput) (Node, error) {
	may, ok := mayTranslate[in.ID.Kind()]
	if !ok {
		return nil, invalid("id", "INVALID", "must be the id of a solution, a proposal, a member, a topic, an event or a registration")
	}
	var p problems
	if l, ok := ParseLanguage(string(in.Language)); !ok || l != in.Language {
		p.add("language", "INVALID", "must be a BCP 47 language tag such as en, zh-Hant or pt-BR")
	}
	if len(in.Texts) == 0 {
		p.add("texts", "REQUIRED", "must name at least one field")
	}
	p.max("texts", len(in.Texts), 300)
	if err := p.err(); err != nil {
		return nil, err
	}
	doc, err := update(ctx, m, may, in.ID, versionOf(in.Version), func(doc Node) error {
		return translate(doc, in)
	})
	return doc, err
}

func translate(doc entity, in TranslateInput) error {
	var p problems
	texts := doc.texts()
	for i, t := range in.Texts {
		at := slices.IndexFunc(texts, func(n NamedText) bool { return n.Field == t.Field })
		if at < 0 || len(*texts[at].Text) == 0 {
			p.add(index("texts", i)+".field", "NOT_FOUND", "is not a field with a text to translate")
			continue
		}
		text := texts[at].Text
		if (*text)[0].Language == in.Language {
			p.add("language", "INVALID", fmt.Sprintf("is that of the original of %s: edit it instead", t.Field))
			continue
		}
		*text = slices.DeleteFunc(slices.Clone(*text), func(tr Translation) bool { return tr.Language == in.Language })
		if t.Text != nil {
			*text = append(*text, Translation{Language: in.Language, Text: *t.Text})
		}
	}
	doc.meta().mark(translated, string(in.Language))
	return p.err()
}

// translated is the action after which no translation counts as outdated by it.
const translated = "TRANSLATE"
