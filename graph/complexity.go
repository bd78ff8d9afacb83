package graph

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"citymarket/marketplace"
)

// listLength is how long a list without paging is taken to be: a solution has
// 1 to 3 topics and 0 to 3 deployments, a domain of the vocabulary 5 to 7
// sub-topics.
const listLength = 5

// typeLength is how long the lists of __type are taken to be: Query has 19
// fields, its connections have 8 arguments.
const typeLength = 10

// schemaWeight is what asking for __schema counts. The standard query for it
// takes 17 ms, and 152 kB are answered.
const schemaWeight = 3000

// matchWeight is what a list of matches counts beside its entries, since it
// takes a search by long texts: no more than three can be asked for at once.
const matchWeight = 1500

// readWeight is what a field counts beside its values that takes store
// operations of its own for each object that it is asked of: no more than
// twenty-four of these can be asked for at once.
const readWeight = 200

// weights are what fields count besides.
var weights = map[string]int{
	"Event.participants": readWeight, "Event.draft": readWeight, "Event.runs": readWeight, "Event.publication": readWeight, "Event.publications": readWeight,
	"Event.troubledMeetings": readWeight, "Registration.agenda": readWeight,
	"Run.placements": readWeight, "Run.unplaced": readWeight, "Draft.conflicts": readWeight, "Draft.unplaced": readWeight, "Draft.difference": readWeight,
}

// checkComplexity bounds the number of values in the answer, as far as it can
// be told from the operation: each field counts once for every object that it
// may be asked of. The numbers come from the arguments, so that a new
// connection needs no word here:
//
//   - The lists of a field with `first` or `last` that is not a list itself (a
//     connection's edges and nodes) are as long as the page.
//   - A list field with a required list as argument has an entry for each
//     element (nodes, facets); what is inside may be paged by its `first`.
//   - Another list field with `first` has so many entries.
//   - All other lists count as listLength, those of types as typeLength.
//
// All branches of a union count, though an object takes but one. A list of
// matches counts matchWeight more, and some fields what weights says. The whole
// schema can be asked for once.
func checkComplexity(op *ast.OperationDefinition, variables map[string]any) *gqlerror.Error {
	w := &weigher{variables: variables, fragments: map[spreadOnPage]int{}}
	total := w.selections(op.SelectionSet, 0)
	if w.page != nil {
		return w.page
	}
	if total > maxComplexity {
		err := exceeds("values that may be answered", maxComplexity)
		err.Extensions["complexity"] = total
		return err
	}
	return nil
}

// A weigher walks each fragment once for each page size that it meets it with.
type weigher struct {
	variables map[string]any
	fragments map[spreadOnPage]int
	page      *gqlerror.Error
}

type spreadOnPage struct {
	name string
	page int
}

// selections weighs a selection set; page is the length of its lists, 0 where
// nothing tells.
func (w *weigher) selections(set ast.SelectionSet, page int) int {
	total := 0
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			total += w.field(selection, page)
		case *ast.InlineFragment:
			total += w.selections(selection.SelectionSet, page)
		case *ast.FragmentSpread:
			key := spreadOnPage{selection.Name, page}
			weight, known := w.fragments[key]
			if !known {
				weight = w.selections(selection.Definition.SelectionSet, page)
				w.fragments[key] = weight
			}
			total += weight
		}
		total = min(total, huge)
	}
	return total
}

func (w *weigher) field(f *ast.Field, page int) int {
	if len(f.SelectionSet) == 0 {
		return 1
	}
	typ := f.Definition.Type
	if f.Name == "__schema" {
		return schemaWeight
	}
	times, inside := 1, 0
	size, paged := w.pageSize(f)
	switch batch, isBatch := w.batch(f); {
	case typ.Elem == nil && paged:
		inside = size
		if size > maxPage && w.page == nil {
			w.page = coded(codeBadUserInput, fmt.Sprintf("%s: a page has at most %d entries, not %d", f.Alias, maxPage, size))
			w.page.Locations = []gqlerror.Location{{Line: f.Position.Line, Column: f.Position.Column}}
		}
	case typ.Elem == nil:
	case isBatch:
		times, inside = batch, size
	case paged:
		times = size
	case page > 0:
		times = page
	case strings.HasPrefix(typ.Name(), "__"):
		times = typeLength
	default:
		times = listLength
	}
	weight := 1
	if f.ObjectDefinition != nil {
		weight += weights[f.ObjectDefinition.Name+"."+f.Name]
	}
	if typ.Name() == "MatchConnection" {
		weight = matchWeight
	}
	return min(weight+min(times, huge)*w.selections(f.SelectionSet, inside), huge)
}

// pageSize is how many entries the field's arguments first and last ask for,
// and whether it has such arguments at all.
func (w *weigher) pageSize(f *ast.Field) (size int, paged bool) {
	given := false
	for _, name := range [...]string{"first", "last"} {
		def := f.Definition.Arguments.ForName(name)
		if def == nil {
			continue
		}
		paged = true
		value := def.DefaultValue
		if arg := f.Arguments.ForName(name); arg != nil {
			value = arg.Value
		}
		if n, ok := w.integer(value); ok {
			given, size = true, max(size, n)
		}
	}
	if paged && !given {
		size = marketplace.DefaultPageSize
	}
	return size, paged
}

// integer reads a number that validation has found to be one, so what is
// wrong with it is no concern here.
func (w *weigher) integer(v *ast.Value) (int, bool) {
	if v == nil {
		return 0, false
	}
	any, err := v.Value(w.variables)
	if err != nil {
		return 0, false
	}
	n, ok := any.(int64)
	return int(n), ok
}

// batch is the length of the field's required list argument, and whether it
// has one.
func (w *weigher) batch(f *ast.Field) (length int, is bool) {
	for _, def := range f.Definition.Arguments {
		if def.Type.Elem == nil || !def.Type.NonNull {
			continue
		}
		arg := f.Arguments.ForName(def.Name)
		if arg == nil {
			return listLength, true // a default
		}
		switch arg.Value.Kind {
		case ast.ListValue:
			return len(arg.Value.Children), true
		case ast.Variable:
			list, ok := w.variables[arg.Value.Raw].([]any)
			if !ok {
				return listLength, true // a default of the document
			}
			return len(list), true
		}
		return 1, true // a list of one may be written without brackets
	}
	return 0, false
}
