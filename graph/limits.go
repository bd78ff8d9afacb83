package graph

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"citymarket/marketplace"
)

// Limits of one operation. What exceeds them is refused before any work is
// done for it. The standard introspection query with all its options, the
// largest that tools send, has 2,068 bytes, 184 tokens, depth 15 and 240
// selections.
const (
	maxDocument   = 16 << 10 // bytes of text
	maxTokens     = 1500     // comments included
	maxDepth      = 15       // levels of fields
	maxAliases    = 30       // fields with a name of their own, of the document
	maxRoots      = 20       // fields of a query's first level
	maxMutations  = 5        // fields of a mutation's first level
	maxDirectives = 50       // of the document
	maxSelections = 1000     // fields and spreads, when all fragments are written out
	maxPairs      = 5000     // see gauge.merge
	maxComplexity = 5000     // see checkComplexity
	maxPage       = marketplace.MaxPageSize
)

// exceeds is the error for a document or an operation over a limit.
func exceeds(what string, limit int) *gqlerror.Error {
	err := coded(codeLimit, fmt.Sprintf("the operation exceeds the limit of %d %s", limit, what))
	err.Extensions["limit"] = limit
	return err
}

// huge is where counting stops, so that nothing overflows.
const huge = 1 << 30

// A shape is the size of a selection with its fragments written out.
type shape struct {
	selections, roots, depth int
}

// A gauge measures a document that was parsed and not yet validated. It looks
// at each fragment once, however often it is spread: 28 fragments, each of
// which spreads the next one twice, have 2^28 fields written out.
type gauge struct {
	fragments                  map[string]*ast.FragmentDefinition
	shapes                     map[string]*shape // nil while the fragment is being measured
	conditions                 map[string]bool
	aliases, directives, nodes int
	pairs                      int
	cycle                      string // a fragment that spreads itself
}

// measure checks the limits of the document, and notes what later steps need.
func (d *document) measure() *gqlerror.Error {
	g := &gauge{fragments: make(map[string]*ast.FragmentDefinition, len(d.Fragments)), shapes: make(map[string]*shape, len(d.Fragments))}
	for _, f := range d.Fragments {
		if g.fragments[f.Name] == nil {
			g.fragments[f.Name] = f
		}
	}
	var largest shape
	for _, op := range d.Operations {
		g.applied(op.Directives)
		for _, v := range op.VariableDefinitions {
			g.nodes += 3
			g.value(v.DefaultValue)
			g.applied(v.Directives)
		}
		s := g.selections(op.SelectionSet)
		if op.Operation == ast.Mutation && s.roots > maxMutations {
			return exceeds("fields of a mutation", maxMutations)
		}
		largest = shape{max(largest.selections, s.selections), max(largest.roots, s.roots), max(largest.depth, s.depth)}
	}
	for _, f := range d.Fragments {
		g.spread(f.Name)
	}
	d.conditions, d.nodes = g.conditions, g.nodes
	switch {
	case g.cycle != "":
		return coded(codeValidation, fmt.Sprintf("the fragment %q spreads itself", g.cycle))
	case largest.depth > maxDepth:
		return exceeds("levels", maxDepth)
	case largest.roots > maxRoots:
		return exceeds("fields of the first level", maxRoots)
	case largest.selections > maxSelections:
		return exceeds("selections", maxSelections)
	case g.aliases > maxAliases:
		return exceeds("aliases", maxAliases)
	case g.directives > maxDirectives:
		return exceeds("directives", maxDirectives)
	}
	for _, op := range d.Operations {
		g.merge(op.SelectionSet, &merged{})
	}
	if g.pairs > maxPairs {
		return exceeds("pairs of one field", maxPairs)
	}
	return nil
}

func (g *gauge) selections(set ast.SelectionSet) shape {
	var s shape
	for _, selection := range set {
		g.nodes++
		var part shape
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Alias != selection.Name {
				g.aliases++
			}
			g.arguments(selection.Arguments)
			g.applied(selection.Directives)
			inner := g.selections(selection.SelectionSet)
			part = shape{selections: inner.selections + 1, roots: 1, depth: inner.depth + 1}
		case *ast.InlineFragment:
			g.applied(selection.Directives)
			part = g.selections(selection.SelectionSet)
		case *ast.FragmentSpread:
			g.applied(selection.Directives)
			part = g.spread(selection.Name)
			part.selections++
		}
		s = shape{min(s.selections+part.selections, huge), min(s.roots+part.roots, huge), max(s.depth, part.depth)}
	}
	return s
}

// spread measures a fragment when it is met for the first time.
func (g *gauge) spread(name string) shape {
	f := g.fragments[name]
	if f == nil {
		return shape{} // validation tells it
	}
	if s, met := g.shapes[name]; met {
		if s == nil {
			g.cycle = name
			return shape{}
		}
		return *s
	}
	g.shapes[name] = nil
	g.nodes++
	g.applied(f.Directives)
	s := g.selections(f.SelectionSet)
	g.shapes[name] = &s
	return s
}

// merged is a field of the answer, with how often it is selected.
type merged struct {
	times  int
	inside map[string]*merged
}

// merge counts the pairs of selections that mean the same field of the
// answer. Validation compares each pair, at 0.2 to 0.4 µs: 900 times the same
// field, 5 kB in all, took it 100 to 180 ms. The number of selections written
// out must have been checked.
func (g *gauge) merge(set ast.SelectionSet, into *merged) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			field := into.inside[selection.Alias]
			if field == nil {
				if into.inside == nil {
					into.inside = map[string]*merged{}
				}
				field = &merged{}
				into.inside[selection.Alias] = field
			}
			g.pairs += field.times
			field.times++
			g.merge(selection.SelectionSet, field)
		case *ast.InlineFragment:
			g.merge(selection.SelectionSet, into)
		case *ast.FragmentSpread:
			if f := g.fragments[selection.Name]; f != nil {
				g.merge(f.SelectionSet, into)
			}
		}
	}
}

// applied counts directives. A variable that one depends on may not be null,
// also where its type would allow it: gqlgen panics.
func (g *gauge) applied(list ast.DirectiveList) {
	g.directives += len(list)
	for _, d := range list {
		g.nodes++
		g.arguments(d.Arguments)
		for _, a := range d.Arguments {
			if a.Value != nil && a.Value.Kind == ast.Variable {
				if g.conditions == nil {
					g.conditions = map[string]bool{}
				}
				g.conditions[a.Value.Raw] = true
			}
		}
	}
}

func (g *gauge) arguments(list ast.ArgumentList) {
	for _, a := range list {
		g.nodes++
		g.value(a.Value)
	}
}

func (g *gauge) value(v *ast.Value) {
	if v == nil {
		return
	}
	g.nodes++
	for _, child := range v.Children {
		g.nodes++
		g.value(child.Value)
	}
}
