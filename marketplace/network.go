package marketplace

import "context"

// A Network is the city network as a whole: counted, never written down.
type Network struct {
	MemberCount      int
	MembersByKind    []*FacetBucket
	MembersByRegion  []*FacetBucket
	MembersByCountry []*FacetBucket
	SolutionCount    int
	ProposalCount    int
}

// Network counts the members by kind, region and country, and what they list,
// as far as the viewer may see it.
func (m *Market) Network(ctx context.Context) (*Network, error) {
	none := 0
	count := func(kinds []Kind, facets ...FacetQuery) (FinderQuery, error) {
		return Listing{Slice: Slice{First: &none}, Facets: facets}.query(ctx, kinds)
	}
	members, err := count(memberKinds(), FacetQuery{FieldKind, 10}, FacetQuery{FieldRegion, 10}, FacetQuery{FieldCountry, maxFacetSize})
	if err != nil {
		return nil, err
	}
	solutions, err := count([]Kind{KindSolution})
	if err != nil {
		return nil, err
	}
	proposals, err := count([]Kind{KindProposal})
	if err != nil {
		return nil, err
	}
	found, err := m.finder.Search(ctx, members, solutions, proposals)
	if err != nil {
		return nil, err
	}
	n := &Network{MemberCount: found[0].Total, SolutionCount: found[1].Total, ProposalCount: found[2].Total}
	r := &Results[Node]{market: m, query: members, found: found[0]}
	for _, f := range r.Facets(ctx, []Field{FieldKind, FieldRegion, FieldCountry}, maxFacetSize) {
		switch f.Field {
		case FieldKind:
			n.MembersByKind = f.Buckets
		case FieldRegion:
			n.MembersByRegion = f.Buckets
		case FieldCountry:
			n.MembersByCountry = f.Buckets
		}
	}
	return n, nil
}

// An Attribution is a source of data that must be named.
type Attribution struct {
	Name    string
	URL     string
	License *string // nil where none is stated
	UsedFor string  // what was taken from it
}

// Attributions are the sources of the network's data.
func (*Network) Attributions() []*Attribution { return attributions }

var attributions = []*Attribution{
	{"GeoNames", "https://www.geonames.org/", new("CC BY 4.0"), "coordinates, identifiers and populations of local governments"},
	{"WeGO brochure (in Chinese), December 2022", "https://we-gov.org/", nil, "list of members and their printed names"},
	{"Unicode CLDR", "https://cldr.unicode.org/", new("Unicode License v3"), "names of countries"},
}
