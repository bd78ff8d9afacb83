package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// traits are what the rules of matches know of a thing: the values of its
// entry in the index, so that candidates need not be read from the store.
type traits struct {
	Values
	id       ID
	member   ID // that it belongs to, or itself
	likeness float64
	learnt   map[string]float64 // how much it is about each of its topics, where that was learnt; see learnTopics
}

// Fields of entries that the rules read.
var (
	traitKeywords = []Field{FieldMember, FieldTopic, FieldSDG, FieldCountry, FieldRegion, FieldMaturity, FieldProcurement, FieldLanguage, FieldPriceBand,
		FieldStage, FieldCurrency, FieldEvidence, FieldHome, FieldServed, FieldWanted}
	traitNumbers = []Field{FieldBudgetMin, FieldBudgetMax, FieldDeadline, FieldChanged, FieldPopulation}
)

// traitsOfHit are those of something that was found.
func traitsOfHit(h Hit) *traits {
	t := &traits{id: ID(h.ID), likeness: h.Likeness}
	if h.Values != nil {
		t.Values = *h.Values
	}
	t.member = ID(t.word(FieldMember))
	return t
}

// traitsOf are those of documents that were read, in their order, as the index
// would have them.
func (m *Market) traitsOf(ctx context.Context, docs ...entity) ([]*traits, error) {
	var refs []ID
	for _, doc := range docs {
		refs = append(refs, doc.refs()...)
	}
	refs = slices.DeleteFunc(refs, func(id ID) bool { return id.Kind() != KindCity && id.Kind() != KindCompany })
	readsOf(ctx).expect(refs)
	out := make([]*traits, len(docs))
	for i, doc := range docs {
		e, _ := entryOf(doc)
		var failed error
		if doc, ok := doc.(relative); ok {
			doc.relate(&e, func(id ID) kin {
				if id == "" || failed != nil {
					return kin{}
				}
				other, err := get[entity](ctx, m, id)
				if failed = ignore(err, ErrNotFound); err != nil {
					return kin{}
				}
				return relatedTo(other)
			})
		}
		if failed != nil {
			return nil, failed
		}
		out[i] = &traits{Values: Values{Keywords: e.Keywords, Numbers: e.Numbers}, id: doc.meta().ID, member: ID(firstOf(e.Keywords[FieldMember]))}
	}
	return out, nil
}

// firstOf is the first of some words; empty where there is none.
func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (t *traits) words(f Field) []string { return t.Keywords[f] }
func (t *traits) word(f Field) string    { return firstOf(t.Keywords[f]) }

func (t *traits) number(f Field) (float64, bool) {
	x, ok := t.Numbers[f]
	return x, ok
}

func (t *traits) has(f Field, word string) bool { return slices.Contains(t.Keywords[f], word) }

// weight is how much a topic counts among those of a thing.
func (t *traits) weight(topic string) float64 {
	if w, ok := t.learnt[topic]; ok {
		return w
	}
	return 1
}

// home is the country of the member that it belongs to; empty where that is not known.
func (t *traits) home() Country { return Country(t.word(FieldHome)) }

// size is the size class of the city that it is or belongs to; 0 where that is not known.
func (t *traits) size() int {
	n, _ := t.number(FieldPopulation)
	return sizeOf(int(n))
}

func someCountry(c Country) []string {
	if c == "" {
		return nil
	}
	return []string{string(c)}
}

// evidenceOf writes a deployment as the index keeps it, for a city of so many
// people (0: not known): "NP.3.1" is in Nepal, in a city of the third size
// class, and confirmed by it.
func evidenceOf(d *Deployment, population int) string {
	confirmed := 0
	if d.Confirmation != nil {
		confirmed = 1
	}
	return fmt.Sprintf("%s.%d.%d", d.Country, sizeOf(population), confirmed)
}

// evidence reads what evidenceOf wrote.
func evidence(s string) (country Country, size int, confirmed bool) {
	code, rest, _ := strings.Cut(s, ".")
	class, word, _ := strings.Cut(rest, ".")
	size, _ = strconv.Atoi(class)
	return Country(code), size, word == "1"
}

// wantedIn writes whom a proposal looks for as the index keeps it: "COMPANY"
// from anywhere, "COMPANY.AFRICA" and "COMPANY.KR" from there.
func wantedIn(partners []Partner) []string {
	var out []string
	for _, p := range partners {
		places := append(keywords(p.Regions), keywords(p.Countries)...)
		if len(places) == 0 {
			out = append(out, string(p.Type))
		}
		for _, place := range places {
			out = append(out, string(p.Type)+"."+place)
		}
	}
	return out
}

// likeTexts are what something is compared by with others, the title first.
func likeTexts(doc entity) (out []Text) {
	texts := []Text{}
	switch doc := doc.(type) {
	case *Proposal:
		texts = append(append(texts, doc.Title, doc.Problem), doc.Asks...)
		for _, p := range doc.Partners {
			texts = append(texts, p.Wanted)
		}
	case *Solution:
		texts = append(texts, doc.Title, doc.Summary, doc.Description, *plain(doc.Technologies))
	case *City:
		texts = append(texts, doc.Profile)
	case *Company:
		texts = append(texts, doc.Profile)
	}
	return slices.DeleteFunc(texts, func(t Text) bool { return len(t) == 0 })
}

// visibleOf is get, without an error for what is not there.
func visibleOf[P entity](ctx context.Context, m *Market, id ID) (doc P, ok bool, err error) {
	doc, err = get[P](ctx, m, id)
	if errors.Is(err, ErrNotFound) {
		return doc, false, nil
	}
	return doc, err == nil, err
}
