package graph

import "citymarket/marketplace"

// Connections and edges of the schema by the domain's types.
type (
	SearchConnection      = marketplace.Results[marketplace.SearchResult]
	SearchEdge            = marketplace.Edge[marketplace.SearchResult]
	CityConnection        = marketplace.Results[*marketplace.City]
	CityEdge              = marketplace.Edge[*marketplace.City]
	CompanyConnection     = marketplace.Results[*marketplace.Company]
	CompanyEdge           = marketplace.Edge[*marketplace.Company]
	InstitutionConnection = marketplace.Results[*marketplace.Institution]
	InstitutionEdge       = marketplace.Edge[*marketplace.Institution]
	SolutionConnection    = marketplace.Results[*marketplace.Solution]
	SolutionEdge          = marketplace.Edge[*marketplace.Solution]
	ProposalConnection    = marketplace.Results[*marketplace.Proposal]
	ProposalEdge          = marketplace.Edge[*marketplace.Proposal]
)

// By names one thing, by its id or by its slug.
type By struct {
	ID   *marketplace.ID
	Slug *string
}
