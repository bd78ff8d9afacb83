package marketplace

import (
	"context"
	"time"
)

// A Finder answers full-text queries over the entries of the documents that
// say of themselves that they can be found. It is a copy that follows the
// store's feed: a moment behind, never wrong for ever. Package search holds
// the implementation; nothing here knows how it is done.
type Finder interface {
	// Search answers each query, in order. An input that a stranger can send
	// makes no error: text that holds nothing to search for finds
	// everything, an unknown value finds nothing. Only a cursor can be
	// wrong (ErrBadCursor) and the index not be ready (ErrUnavailable).
	Search(ctx context.Context, queries ...FinderQuery) ([]Found, error)

	// Highlight returns, for each text, where the words of the query stand in
	// it, as the same analysis sees it that found it: ranges in ascending
	// order, without overlaps, at most 20 a text.
	Highlight(ctx context.Context, query string, texts ...Translation) [][]Range

	// Explain says which words of the query stand in the texts of one entry,
	// where, and in which form: the closest form of each, by their order in the
	// query, at most 20.
	Explain(ctx context.Context, query string, texts ...Translation) []Finding

	// Wait returns when searches see this revision of the document (or a later one), or
	// with an error when the context ends first or the index cannot say. For a
	// revision that no document can have, without an id, it returns when they see
	// everything that was written before the call.
	Wait(ctx context.Context, kind Kind, id string, rev int64) error
}

// An Entry is what can be found of a document. Each entity says its own.
type Entry struct {
	Kind     Kind
	ID       string
	Rev      int64
	Audience []Group // a viewer finds it who has one of these groups
	// Title is the name or title: it weighs most, is sorted by and completed
	// while the viewer types.
	Title Text
	// Names are further names in whatever language: former names, names in
	// other scripts. They are found and completed like the title.
	Names []string
	// About are the titles of what it refers to: its company, its topics.
	// They weigh as much as its own title but complete nothing.
	About []Text
	// Body holds everything else that is worth finding, most important first.
	Body []Text
	// Keywords are exact values by field, for filters and facets.
	Keywords map[Field][]string
	// Numbers are values by field, for range filters and sorts. Times are
	// Unix seconds.
	Numbers map[Field]float64
	// Newest is what "newest first" sorts by.
	Newest time.Time
}

// A Field names something entries can be filtered, counted or sorted by.
type Field string

// The fields of entries. Keyword fields hold exact values.
const (
	FieldKind        Field = "kind"              // kind of document; set by the index itself
	FieldTopic       Field = "topic"             // ids of topics and of the domains above them
	FieldSDG         Field = "sdg"               // "1" to "17"
	FieldCountry     Field = "country"           // ISO 3166-1 alpha-2
	FieldRegion      Field = "region"            // Region
	FieldMaturity    Field = "maturity"          // Maturity
	FieldProcurement Field = "procurement_route" // ProcurementRoute
	FieldLanguage    Field = "language"          // BCP 47
	FieldPriceBand   Field = "price_band"        // PriceBand
	FieldStage       Field = "stage"             // Stage
	FieldFunding     Field = "funding"           // Funding
	FieldMember      Field = "member"            // id of the member it belongs to
	FieldSize        Field = "size"              // CompanySize
	FieldInstitution Field = "institution_type"  // InstitutionKind
	FieldCurrency    Field = "currency"          // ISO 4217, of the budget
	FieldSample      Field = "sample"            // "true" for sample data

	FieldBudgetMin Field = "budget_min" // number, in the currency
	FieldBudgetMax Field = "budget_max" // number, in the currency
	FieldDeadline  Field = "deadline"   // number, Unix seconds
	FieldPublished Field = "published"  // number, Unix seconds: when it was published, or added; absent where it is not, or no longer
	FieldChanged   Field = "changed"    // number, Unix seconds: when it was last changed

	// What only matches ask for; see traits.
	FieldEvidence   Field = "evidence"   // deployments, as evidenceOf writes them
	FieldHome       Field = "home"       // country of the member that it belongs to
	FieldServed     Field = "served"     // regions and countries that the company serves
	FieldWanted     Field = "wanted"     // partners that a proposal looks for, as wantedIn writes them
	FieldPopulation Field = "population" // number, of the city that it is or belongs to
)

// A SortOrder is an order of search results.
type SortOrder string

// The orders of search results.
const (
	SortRelevance SortOrder = "RELEVANCE" // best first; newest first where there is no text
	SortNewest    SortOrder = "NEWEST"    // newest first
	SortName      SortOrder = "NAME"      // by title, in the viewer's first language where the entry has it, by that language's collation
	SortDeadline  SortOrder = "DEADLINE"  // nearest deadline first, those without one last
)

// A FinderQuery is one search.
type FinderQuery struct {
	// Text is what the viewer typed: at most MaxQueryLength characters are
	// read.
	// It has no syntax. Empty finds everything.
	Text string
	// AllWords leaves out what has less than all words of Text, which else
	// comes after the few that have all of them; of a sentence (more than four
	// words) two thirds will do. Nothing is suggested then. For alerts.
	AllWords bool
	// Typing says that the last word of Text may be half typed: it is
	// completed from titles and names. For suggestions.
	Typing bool
	// Like are texts that what is found should resemble, the most telling
	// first: of the words and concepts in them the index picks those that tell
	// entries apart best, each in the language of its translation (empty: in
	// any), some thirty in all, and asks for as many of them as there are. Such
	// a query has one page, without cursors.
	Like []Text
	// Prefer makes entries that meet one of these filters (of keywords) be
	// found, too, though they share no word with the texts; each value that an
	// entry has moves it up as a word would that so many entries have.
	Prefer []Filter
	// Keywords and Numbers are fields of which the values are wanted with each
	// hit. Where any are, its Likeness is, too.
	Keywords, Numbers []Field
	Groups            []Group    // the viewer's groups
	Languages         []Language // the viewer's, best first
	Kinds             []Kind     // what the list is of; empty: everything. Unlike a filter on FieldKind it holds for that facet, too.
	Where             []Filter
	Sort              SortOrder
	Size              int    // hits wanted, 0 to MaxHits
	After             string // Hit.Cursor to go on after; empty: from the start
	Before            string // Hit.Cursor to stop before; empty: to the end
	Last              bool   // the last Size hits of the range instead of the first
	Facets            []FacetQuery
}

// MaxQueryLength is how many characters of a search text are read.
const MaxQueryLength = 1000

// MaxHits is how many hits one query can want.
const MaxHits = 1000

// A Filter keeps the entries whose field has one of the values (Any), or
// whose number lies within the bounds (nil: open). Filters on different
// fields must all be met; two filters on the same field as well.
type Filter struct {
	Field    Field
	Any      []string
	Min, Max *float64 // inclusive
	OrNone   bool     // with bounds: entries without the number meet it, too
}

// A FacetQuery asks how many of the matches have which value of a field. The
// filters on that same field are left out of its counts, so that one sees
// what another choice would give.
type FacetQuery struct {
	Field Field
	Size  int // buckets wanted, 1 to 300, the largest first, equal counts by value
}

// Found is the answer to a FinderQuery.
type Found struct {
	Total   int // exact
	Hits    []Hit
	HasPrev bool // there are hits before the first of Hits
	HasNext bool // there are hits after the last of Hits
	Facets  []Buckets
	// Suggestion is the text with its misspelt words mended, where nothing
	// was found and the mended text finds something; else empty.
	Suggestion string
}

// A Hit is one entry that was found. Cursor holds its place in the order.
type Hit struct {
	Kind   Kind
	ID     string
	Score  float64 // 0 where there is no text
	Cursor string
	// Likeness says how much of the texts asked for the entry has, 0 to 1: its
	// BM25 score by them, without preferences, over that of an entry of average
	// length which has each of the words and concepts once. It depends on
	// nothing but query and index: not on other hits, nor on the size wanted.
	Likeness float64
	Values   *Values // of the fields wanted; nil where none are
}

// Values are what an entry has in some fields; a field that it has not is
// absent. Lists may be shared by several hits and must not be changed.
type Values struct {
	Keywords map[Field][]string
	Numbers  map[Field]float64
}

// Buckets are the counts of one facet.
type Buckets struct {
	Field   Field
	Buckets []Bucket
}

// A Bucket is a value and how many matches have it.
type Bucket struct {
	Value string
	Count int
}

// A Finding is a part of a query that stands in a text.
type Finding struct {
	Words string // as they were typed
	Form  WordForm
	Text  int   // number of the text
	Range Range // where in it
}

// A WordForm is how a text has a word of a query.
type WordForm string

// The forms in which a text has a word, the closest first.
const (
	FormExact     WordForm = "EXACT"     // as it was typed, but for case, accents and width
	FormInflected WordForm = "INFLECTED" // another form of the word: plural, case, tense
	FormMeaning   WordForm = "MEANING"   // another name of the same concept, in whatever language
	FormBeginning WordForm = "BEGINNING" // a longer word that begins with it
	FormMisspelt  WordForm = "MISSPELT"  // a word that differs in one or two letters
)

// WordForms are all forms, the closest first.
var WordForms = []WordForm{FormExact, FormInflected, FormMeaning, FormBeginning, FormMisspelt}

// A Range is a part of a text, in Unicode code points: from Start, up to but without End.
type Range struct {
	Start int `json:"start"`
	End   int `json:"end"`
}
