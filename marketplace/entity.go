package marketplace

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Meta is what every entity has.
type Meta struct {
	ID        ID        `json:"id"`
	Slug      string    `json:"slug,omitempty"` // readable name in addresses, unique in its kind
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	IsSample  bool      `json:"isSample,omitempty"` // invented for demonstration
	// IsDeleted hides a document from everybody until what hangs on it has
	// been done and the store forgets it.
	IsDeleted bool `json:"isDeleted,omitempty"`
	// Marks are what the latest commands did to the document; see audit.go.
	Marks []Mark `json:"marks,omitempty"`

	rev int64
	did Mark // what the command under way does; only action, note and members
}

// Version is the revision of the document, for optimistic locking: a command
// that names an older one is refused.
func (m *Meta) Version() int { return int(m.rev) }

func (m *Meta) meta() *Meta { return m }

// An entity is a document with rules. Its methods say what the guard, the
// policy and the search index need to know, so that those know no entity.
type entity interface {
	meta() *Meta
	kind() Kind
	validate(p *problems) // everything that is wrong with its content
	audience() []Group    // who may read it
	parties() []ID        // the members it belongs to
	claims() []string     // besides the slug, which every entity claims
	refs() []ID           // what a reader of it is likely to read next
	texts() []NamedText   // what can be found and highlighted in it; the first is its title
	entry(e *Entry) bool  // adds names, keywords and numbers; false: not to be found by search
}

// A NamedText is a text of an entity with the name of its field. Text points
// into the entity, unless it was made of values that have no language.
type NamedText struct {
	Field string
	Text  *Text
}

// unlisted is embedded in entities that search does not find and that have no
// texts in several languages.
type unlisted struct{}

func (unlisted) claims() []string   { return nil }
func (unlisted) refs() []ID         { return nil }
func (unlisted) texts() []NamedText { return nil }
func (unlisted) entry(*Entry) bool  { return false }

// kindInfo is what is known of a kind without a document.
type kindInfo struct {
	new     func() entity
	indexes []Index
	named   bool // its documents have slugs
	trace   bool // the program keeps them for itself: no command on them is marked
}

var kinds = map[Kind]*kindInfo{}

// bySlug answers "which document has this slug"; every kind with slugs has it.
var bySlug = Index{Equal: []string{"slug"}}

// register makes a kind known; each entity's file calls it once. A document
// gets its kind from here, its id prefix and its indexes.
func register(kind Kind, create func() entity, indexes ...Index) Kind {
	kinds[kind] = &kindInfo{new: create, indexes: append([]Index{bySlug}, indexes...), named: true}
	return kind
}

// registerRecord is register for a kind whose documents have no slugs.
func registerRecord(kind Kind, create func() entity, indexes ...Index) Kind {
	kinds[kind] = &kindInfo{new: create, indexes: indexes}
	return kind
}

// registerTrace is registerRecord for a kind that follows from others.
func registerTrace(kind Kind, create func() entity, indexes ...Index) Kind {
	kinds[kind] = &kindInfo{new: create, indexes: indexes, trace: true}
	return kind
}

// kindsOf are the kinds whose documents have the methods of T, in
// alphabetical order.
func kindsOf[T any]() []Kind {
	var out []Kind
	for k, info := range kinds {
		if _, ok := info.new().(T); ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// StoreSchema is what a Store has to be opened with.
func StoreSchema() Schema {
	s := make(Schema, len(kinds))
	for k, info := range kinds {
		s[k] = info.indexes
	}
	return s
}

// decode reads a document of any kind.
func decode(kind Kind, d Document) (entity, error) {
	info := kinds[kind]
	if info == nil {
		return nil, fmt.Errorf("marketplace: kind %q is not known", kind)
	}
	e := info.new()
	if err := d.Decode(e); err != nil {
		return nil, fmt.Errorf("marketplace: %s: %w", d.ID, err)
	}
	e.meta().rev = d.Rev
	return e, nil
}

// entryOf says how a document is found by search, but for what it is related
// to. It is false when the document is not to be found.
func entryOf(doc entity) (Entry, bool) {
	m := doc.meta()
	if m.IsDeleted {
		return Entry{}, false
	}
	e := Entry{
		Kind: doc.kind(), ID: string(m.ID), Rev: m.rev,
		Audience: doc.audience(),
		Keywords: map[Field][]string{FieldSample: {strconv.FormatBool(m.IsSample)}},
		Numbers:  map[Field]float64{FieldChanged: float64(m.UpdatedAt.Unix())},
		Newest:   m.CreatedAt,
	}
	for i, t := range doc.texts() {
		if i == 0 {
			e.Title = *t.Text
		} else {
			e.Body = append(e.Body, *t.Text)
		}
	}
	return e, doc.entry(&e)
}

var slugPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// check reports everything that is wrong with an entity.
func check(doc entity) error {
	var p problems
	m := doc.meta()
	if m.IsDeleted {
		return nil
	}
	if kinds[doc.kind()].named && (len(m.Slug) > 80 || !slugPattern.MatchString(m.Slug)) {
		p.add("slug", "INVALID", "must be 1 to 80 lower-case letters, digits and single hyphens between them")
	}
	doc.validate(&p)
	return p.err()
}

// keywords turns a list of string-like values into keywords of an entry.
func keywords[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
