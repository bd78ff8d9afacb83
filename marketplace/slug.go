package marketplace

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

var (
	slugParentheses = regexp.MustCompile(`\s*\(([^)]*)\)`)
	slugSeparators  = regexp.MustCompile(`[^a-z0-9]+`)
	slugLetters     = strings.NewReplacer("ı", "i", "ø", "o", "ł", "l", "đ", "d", "ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")
)

// SlugOf makes a readable name for addresses: what stands in parentheses and
// accents are removed, runs of anything but letters and digits become
// hyphens. It is empty for a text without Latin letters or digits.
func SlugOf(name string) string {
	name = slugLetters.Replace(strings.ToLower(slugParentheses.ReplaceAllString(name, "")))
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(name))
	return strings.Trim(slugSeparators.ReplaceAllString(name, "-"), "-")
}

// maxTitleSlug leaves room for what makes a slug unique.
const maxTitleSlug = 60

// named adds a document with a slug from its title, and with one that nobody
// can have where that is taken. A key makes its id, so that a client that
// does not know whether it was added can ask for it again: the same user and
// key get the document that is there.
func named[P entity](ctx context.Context, m *Market, doc P, title Text, key *string, add func(context.Context, P) error) (P, error) {
	var none P
	meta := doc.meta()
	meta.ID = newID(doc.kind(), m.now())
	if key != nil {
		var p problems
		if checkString(&p, "key", *key, 200, true); p.err() != nil {
			return none, p.err()
		}
		meta.ID = keyedID(doc.kind(), actorOf(ctx).User, *key)
	}
	err := addNamed(ctx, m, doc, title, add)
	if key != nil && taken(err, "id") {
		return get[P](ctx, m, meta.ID)
	}
	if err != nil {
		return none, err
	}
	return doc, nil
}

// keyed adds a document without a slug, under the key of a client where one is
// given: the same user and key get the document that is there, also when the
// command could not be done any more.
func keyed[P entity](ctx context.Context, m *Market, doc P, key *string, add func(context.Context, P) error) (P, error) {
	var none P
	if key == nil {
		if err := add(ctx, doc); err != nil {
			return none, err
		}
		return doc, nil
	}
	var p problems
	if checkString(&p, "key", *key, 200, true); p.err() != nil {
		return none, p.err()
	}
	id := keyedID(doc.kind(), actorOf(ctx).User, *key)
	doc.meta().ID = id
	earlier, err := get[P](ctx, m, id)
	if !errors.Is(err, ErrNotFound) {
		return earlier, err
	}
	readsOf(ctx).forget(id)
	err = add(ctx, doc)
	if taken(err, "id") {
		return get[P](ctx, m, id)
	}
	if err != nil {
		return none, err
	}
	return doc, nil
}

// addNamed adds a document that has its id already, with a slug as named does.
func addNamed[P entity](ctx context.Context, m *Market, doc P, title Text, add func(context.Context, P) error) error {
	meta := doc.meta()
	meta.Slug = titleSlug(doc.kind(), meta.ID, title)
	did := meta.did
	err := add(ctx, doc)
	if taken(err, "slug") {
		meta.Slug += "-" + slugTail(meta.ID)
		meta.did = did
		err = add(ctx, doc)
	}
	return err
}

// slugTail is the part of an id that makes a slug unique.
func slugTail(id ID) string { return string(id)[max(0, len(id)-8):] }

// titleSlug is the slug that a title gives, of the first language that gives any.
func titleSlug(kind Kind, id ID, title Text) string {
	slug := ""
	for _, t := range title {
		if slug = SlugOf(t.Text); slug != "" {
			break
		}
	}
	if len(slug) > maxTitleSlug {
		slug = strings.TrimRight(slug[:maxTitleSlug], "-")
	}
	if slug == "" {
		slug = string(kind) + "-" + slugTail(id)
	}
	return slug
}

// keyedID is the id of what a user adds under a key of their own.
func keyedID(kind Kind, user ID, key string) ID {
	return ID(string(kind) + "_" + hashed(string(user) + "\x00" + key)[:26])
}
