package graph

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"citymarket/marketplace"
)

//go:generate go tool gqlgen generate

// A Resolver answers the schema's fields from a marketplace. Each of its
// methods is one statement: what takes more belongs in the domain.
type Resolver struct {
	Market *marketplace.Market
}

// By names one thing, by its id or by its slug.
type By struct {
	ID   *marketplace.ID
	Slug *string
}

// optional makes what is not there null instead of an error.
func optional[T any](v T, err error) (T, error) {
	if errors.Is(err, marketplace.ErrNotFound) {
		var none T
		return none, nil
	}
	return v, err
}

// permitted makes what the viewer may not see null instead of an error.
func permitted[T any](v T, err error) (T, error) {
	if errors.Is(err, marketplace.ErrForbidden) {
		var none T
		return none, nil
	}
	return optional(v, err)
}

// one finds a thing by whatever names it.
func one[T any](ctx context.Context, by By, id func(context.Context, marketplace.ID) (*T, error), slug func(context.Context, string) (*T, error)) (*T, error) {
	switch {
	case by.ID != nil && by.Slug == nil:
		return optional(id(ctx, *by.ID))
	case by.Slug != nil && by.ID == nil:
		return optional(slug(ctx, *by.Slug))
	}
	return nil, coded(codeBadUserInput, "give exactly one of id and slug")
}

// listing gathers the arguments of a list, and which facets are selected on
// the connection, so that they are counted along with the search.
func listing(ctx context.Context, text *string, filter *marketplace.SearchFilter, sort *marketplace.SortOrder, first *int, after *string, last *int, before *string) marketplace.Listing {
	l := marketplace.Listing{
		Filter: filter, Sort: sort,
		Slice:  marketplace.Slice{First: first, After: after, Last: last, Before: before},
		Facets: selectedFacets(ctx),
	}
	if text != nil {
		l.Text = *text
	}
	return l
}

// selectedFacets reads from the selection which facets are wanted of the
// connection that is being resolved, each field once with the largest size.
func selectedFacets(ctx context.Context) []marketplace.FacetQuery {
	op, field := graphql.GetOperationContext(ctx), graphql.GetFieldContext(ctx).Field
	var wanted []marketplace.FacetQuery
	for _, f := range graphql.CollectFields(op, field.Selections, []string{field.Definition.Type.Name()}) {
		if f.Name != "facets" {
			continue
		}
		args := f.ArgumentMap(op.Variables)
		size, err := graphql.UnmarshalInt(args["first"])
		if err != nil {
			continue // the field itself reports it
		}
		fields, _ := args["fields"].([]any)
		for _, name := range fields {
			if field, err := UnmarshalFacetField(name); err == nil {
				wanted = want(wanted, marketplace.FacetQuery{Field: field, Size: size})
			}
		}
	}
	return wanted
}

func want(list []marketplace.FacetQuery, q marketplace.FacetQuery) []marketplace.FacetQuery {
	for i := range list {
		if list[i].Field == q.Field {
			list[i].Size = max(list[i].Size, q.Size)
			return list
		}
	}
	return append(list, q)
}

func ofKinds(kinds []marketplace.Kind, l marketplace.Listing) marketplace.Listing {
	l.Kinds = kinds
	return l
}

// matchListing gathers the arguments of a list of matches.
func matchListing(first *int, after *string, includeContacted bool) marketplace.MatchListing {
	return marketplace.MatchListing{First: first, After: after, IncludeContacted: includeContacted}
}
