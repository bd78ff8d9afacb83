package marketplace

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of the storage port. Every adapter refuses what exceeds them with an
// error that wraps [ErrLimit], before it touches the database.
const (
	MaxPage         = 1000    // documents of one Find, changes of one Feed
	MaxValues       = 1000    // values of one In condition
	MaxConditions   = 16      // conditions of one Query
	MaxDocumentSize = 1 << 20 // bytes of one document as JSON
	MaxClaims       = 300     // claims of one document: a meeting of two hours has one for each five minutes of 12 people
	MaxClaimSize    = 256     // bytes of one claim
	MaxIDSize       = 128     // bytes of one document id
)

// Errors of the storage port. Adapters wrap them; test with [errors.Is].
var (
	// ErrNotFound: no document has this kind and id (or it was deleted).
	ErrNotFound = errors.New("not found")
	// ErrStale: the write names a revision that is not the current one.
	ErrStale = errors.New("changed by somebody else in the meantime")
	// ErrTaken: another document of the kind holds one of the write's claims.
	// The error is a [*TakenError], which names the claim.
	ErrTaken = errors.New("already taken")
	// ErrLimit: the request exceeds one of the port's limits.
	ErrLimit = errors.New("over the limit")
	// ErrNoIndex: no index that was declared for the kind answers the query.
	ErrNoIndex = errors.New("no index answers this query")
	// ErrCursor: the cursor does not belong to this store's present history
	// (another store, a restored backup, history that was dropped): start
	// again from the empty cursor.
	ErrCursor = errors.New("cursor is not of this history")
	// ErrUnavailable: the database cannot be reached or refuses work now.
	// Nothing is known to have changed.
	ErrUnavailable = errors.New("storage is not available")
	// ErrUnknown: a write was sent and its outcome is not known. Read the
	// document before trying again.
	ErrUnknown = errors.New("outcome of the write is unknown")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("storage is closed")
)

// A TakenError says which claim of a write another document holds.
type TakenError struct {
	Claim string
}

func (e *TakenError) Error() string { return fmt.Sprintf("claim %q is already taken", e.Claim) }

// Is makes a TakenError match [ErrTaken].
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// A Kind names a collection of documents, for example "solution".
// Lower-case letters, digits and underscores; at most 32 bytes.
type Kind string

// A Store keeps documents. It knows operations, not entities, so that a new
// entity touches no adapter. Its meaning is defined by the suite in storetest.
//
// A document is a JSON-like value with an id and a revision. Revisions begin
// at 1 and grow by 1 with each write, deletion included; a document that is
// created again after its deletion goes on counting. All methods are safe for
// concurrent use and obey their context.
type Store interface {
	// Get returns one document, or ErrNotFound. It sees every write that was
	// acknowledged before it began.
	Get(ctx context.Context, kind Kind, id string) (Document, error)

	// Find returns the documents that meet all conditions of the query, in
	// its order, at most query.Limit of them. A query that no declared Index
	// answers is refused with ErrNoIndex, so that no list can become a scan.
	Find(ctx context.Context, kind Kind, query Query) ([]Document, error)

	// Put writes one document and returns its new revision. It is durable
	// when Put returns. ErrStale and ErrTaken leave everything as it was.
	Put(ctx context.Context, write Write) (rev int64, err error)

	// Changes reads the feed: every change at least once, in an order in
	// which a document's revisions never go back, deletions included. Only
	// the newest change of a document is kept. No change is ever skipped,
	// whatever the number of writers, also of other processes.
	Changes(ctx context.Context, query FeedQuery) (Feed, error)

	// Close releases the store; calls under way end with an error.
	Close() error
}

// A Document is what a Store returns.
type Document struct {
	ID  string
	Rev int64
	// Position is the document's place in the order of the query that found
	// it: an opaque string for Query.After. Empty outside Find.
	Position string
	// Decode stores the document's value into a pointer to the type that was
	// put. It may be called several times, from several goroutines.
	Decode func(into any) error
}

// A Query selects documents of one kind in one order, by keyset pages.
type Query struct {
	Where      []Condition
	Sort       string // path of the sort field; empty: by id. The id breaks ties, in the same direction.
	Descending bool
	After      string // Document.Position of the last document of the page before; empty: from the start
	Limit      int    // 1 to MaxPage
}

// An Op is a comparison.
type Op string

// The comparisons that every adapter knows. A missing or null field meets none of them.
const (
	Eq  Op = "eq"  // the field is Value
	In  Op = "in"  // the field is one of Values
	Has Op = "has" // the field is an array (or lies inside one) that holds Value
	Lt  Op = "lt"  // the field is less than Value; only on the sort field
	Ge  Op = "ge"  // the field is at least Value; only on the sort field
)

// A Condition compares one field. Field is the path of JSON names, joined by
// dots; a path may lead through arrays ("deployments.member"), then only Has
// applies. The path "id" is the document's id (Eq and In only). Values are
// string (or a type whose underlying type is string), bool, an integer type,
// float64 or time.Time (compared in whole seconds of UTC).
type Condition struct {
	Field  string
	Op     Op
	Value  any
	Values []any // for In: 1 to MaxValues
}

// values are a list as the values of a condition.
func values[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// An Index declares a query that a kind's documents must be able to answer
// without a scan: Eq or In on each field of Equal, Has on the array Has (if
// named), Lt and Ge on Sort, in the order of Sort (empty: id). A query fits
// an index when it names exactly these fields. By id is always answered.
type Index struct {
	Equal []string
	Has   string
	Sort  string
}

// A Schema tells a store which kinds exist and what must be indexed. Stores
// make missing indexes when they open and drop those no longer declared.
type Schema map[Kind][]Index

// A Write changes one document.
type Write struct {
	Kind Kind
	ID   string
	Rev  int64 // the revision that the change was made from; 0: the document must not exist
	// Value is a struct (or pointer to one) with json tags; nil deletes. The
	// store does not keep it. Times are stored in whole seconds of UTC.
	Value any
	// Claims are all the strings that this document holds from now on and
	// that no other document of the kind may hold: earlier ones that are not
	// repeated are released. Without duplicates. Ignored in a deletion, which
	// releases all.
	Claims []string
}

// A Cursor is a place in the feed: opaque, at most 1 KB. The empty Cursor is the beginning.
type Cursor string

// A FeedQuery asks for changes.
type FeedQuery struct {
	Kinds []Kind // empty: all kinds of the schema
	After Cursor
	Limit int // 1 to MaxPage
	// Wait is how long to wait when there is nothing after the cursor. An
	// empty Feed with a valid Next is returned when nothing came. Zero: do
	// not wait.
	Wait time.Duration
}

// A Feed is a page of changes. Next is the cursor after them; it may stay
// behind the last change while that could still be overtaken by a slower
// writer, so a reader sees some changes twice.
type Feed struct {
	Changes []Change
	Next    Cursor
}

// A Change says that a document has this revision now. For a deletion,
// Deleted is true and Decode is nil.
type Change struct {
	Kind    Kind
	Deleted bool
	Document
}

// Index returns the declared index that answers the query, or an error that
// wraps ErrNoIndex or ErrLimit. Adapters call it before they do anything else.
func (s Schema) Index(kind Kind, q Query) (Index, error) {
	indexes, ok := s[kind]
	if !ok {
		return Index{}, fmt.Errorf("kind %q is not in the schema: %w", kind, ErrNoIndex)
	}
	if q.Limit < 1 || q.Limit > MaxPage {
		return Index{}, fmt.Errorf("page of %d documents (1 to %d): %w", q.Limit, MaxPage, ErrLimit)
	}
	if len(q.Where) > MaxConditions {
		return Index{}, fmt.Errorf("%d conditions (at most %d): %w", len(q.Where), MaxConditions, ErrLimit)
	}
	var want Index
	byID := true
	for _, c := range q.Where {
		if c.Op == In && (len(c.Values) < 1 || len(c.Values) > MaxValues) {
			return Index{}, fmt.Errorf("%d values for %s (1 to %d): %w", len(c.Values), c.Field, MaxValues, ErrLimit)
		}
		switch {
		case c.Field == "id" && (c.Op == Eq || c.Op == In):
			continue
		case c.Op == Eq || c.Op == In:
			want.Equal = append(want.Equal, c.Field)
		case c.Op == Has && want.Has == "":
			want.Has = c.Field
		case (c.Op == Lt || c.Op == Ge) && c.Field == q.Sort && q.Sort != "":
			// a range of the sort field needs nothing more than its order
		default:
			return Index{}, fmt.Errorf("condition %s on %s: %w", c.Op, c.Field, ErrNoIndex)
		}
		byID = false
	}
	if byID && q.Sort == "" {
		return Index{}, nil
	}
	for _, ix := range indexes {
		if ix.Sort == q.Sort && ix.Has == want.Has && sameFields(ix.Equal, want.Equal) {
			return ix, nil
		}
	}
	return Index{}, fmt.Errorf("%s by equal %v, has %q, sort %q: %w", kind, want.Equal, want.Has, q.Sort, ErrNoIndex)
}

func sameFields(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		n := 0
		for _, y := range b {
			if x == y {
				n++
			}
		}
		if n != 1 {
			return false
		}
	}
	return true
}

// Check says whether a write respects the port's limits, apart from the size
// of its value, which only the adapter knows. Adapters call it first.
func (w Write) Check(s Schema) error {
	if _, ok := s[w.Kind]; !ok {
		return fmt.Errorf("kind %q is not in the schema: %w", w.Kind, ErrLimit)
	}
	if w.ID == "" || len(w.ID) > MaxIDSize {
		return fmt.Errorf("id of %d bytes (1 to %d): %w", len(w.ID), MaxIDSize, ErrLimit)
	}
	if w.Rev < 0 {
		return fmt.Errorf("revision %d: %w", w.Rev, ErrLimit)
	}
	if len(w.Claims) > MaxClaims {
		return fmt.Errorf("%d claims (at most %d): %w", len(w.Claims), MaxClaims, ErrLimit)
	}
	seen := make(map[string]bool, len(w.Claims))
	for _, c := range w.Claims {
		if c == "" || len(c) > MaxClaimSize || seen[c] {
			return fmt.Errorf("claim of %d bytes (1 to %d, none twice): %w", len(c), MaxClaimSize, ErrLimit)
		}
		seen[c] = true
	}
	return nil
}

// Check says whether a request for changes respects the port's limits.
func (q FeedQuery) Check(s Schema) error {
	if q.Limit < 1 || q.Limit > MaxPage {
		return fmt.Errorf("page of %d changes (1 to %d): %w", q.Limit, MaxPage, ErrLimit)
	}
	for _, k := range q.Kinds {
		if _, ok := s[k]; !ok {
			return fmt.Errorf("kind %q is not in the schema: %w", k, ErrLimit)
		}
	}
	return nil
}
