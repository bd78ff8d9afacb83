package marketplace

import (
	"context"
	"time"
)

// A Company is a member that offers solutions.
type Company struct {
	Meta         `json:",inline"`
	Organisation `json:",inline"`

	Size            CompanySize   `json:"size"`
	Staff           *int          `json:"staff,omitempty"`
	Founded         *int          `json:"founded,omitempty"` // year
	RegionsServed   []Region      `json:"regionsServed,omitempty"`
	CountriesServed []Country     `json:"countriesServed,omitempty"`
	ContactPolicy   ContactPolicy `json:"contactPolicy"`
}

// KindCompany is the kind of Company.
var KindCompany = register("company", func() entity { return new(Company) })

// A CompanySize is a size class, as the network's fee table has them.
type CompanySize string

// CompanySizes are all size classes.
var CompanySizes = []CompanySize{"MULTINATIONAL", "SME", "STARTUP"}

// A ContactPolicy says who may write to a company.
type ContactPolicy string

// ContactPolicies are all of them, most open first.
var ContactPolicies = []ContactPolicy{"ANYONE", "MEMBERS", "SECRETARIAT"}

func (*Company) kind() Kind           { return KindCompany }
func (*Company) audience() []Group    { return []Group{Everyone} }
func (c *Company) parties() []ID      { return []ID{c.ID} }
func (*Company) claims() []string     { return nil }
func (c *Company) refs() []ID         { return c.Organisation.refs() }
func (c *Company) texts() []NamedText { return c.Organisation.texts() }

func (c *Company) validate(p *problems) {
	c.Organisation.check(p)
	checkOne(p, "size", c.Size, CompanySizes)
	checkOne(p, "contactPolicy", c.ContactPolicy, ContactPolicies)
	if c.Staff != nil && (*c.Staff < 1 || *c.Staff > 10_000_000) {
		p.add("staff", "OUT_OF_RANGE", "must be 1 to 10,000,000")
	}
	checkYear(p, "founded", c.Founded, time.Now())
	checkRegions(p, "regionsServed", c.RegionsServed)
	checkCountries(p, "countriesServed", c.CountriesServed)
}

func (c *Company) entry(e *Entry) bool {
	c.Organisation.entry(c.ID, e)
	e.Keywords[FieldSize] = []string{string(c.Size)}
	e.Keywords[FieldServed] = c.served()
	return true
}

// served are the regions and countries that the company says it serves.
func (c *Company) served() []string {
	return append(keywords(c.RegionsServed), keywords(c.CountriesServed)...)
}

// AddCompany adds a company to the network.
func (m *Market) AddCompany(ctx context.Context, c *Company) error {
	return create(ctx, m, MayAddMember, c)
}

// UpdateCompany changes a company by a function of its present value, which
// may run more than once; version 0 accepts any present version.
func (m *Market) UpdateCompany(ctx context.Context, id ID, version int, change func(*Company) error) (*Company, error) {
	return update(ctx, m, MayEditMember, id, version, change)
}

var ownCompanyContent = []string{"size", "staff", "founded", "regionsServed", "countriesServed", "contactPolicy"}

// CreateCompany adds a company to the network.
func (m *Market) CreateCompany(ctx context.Context, in CreateMemberInput) (*Company, error) {
	c := &Company{ContactPolicy: "MEMBERS"}
	return createMember(ctx, m, in, c, &c.Organisation, ownCompanyContent, m.AddCompany)
}

// EditCompany changes what a company's page says.
func (m *Market) EditCompany(ctx context.Context, in EditMemberInput) (*Company, error) {
	return editMember(ctx, m, in, ownCompanyContent, nil, func(*Company) error { return nil })
}

// Company returns a company, or ErrNotFound.
func (m *Market) Company(ctx context.Context, id ID) (*Company, error) {
	return get[*Company](ctx, m, id)
}

// CompanyBySlug returns the company that has this slug, or ErrNotFound.
func (m *Market) CompanyBySlug(ctx context.Context, slug string) (*Company, error) {
	return bySlugOf[*Company](ctx, m, KindCompany, slug)
}

// Companies lists companies.
func (m *Market) Companies(ctx context.Context, l Listing) (*Results[*Company], error) {
	return list[*Company](ctx, m, l, KindCompany)
}

// Names of the pages of companies in the API.
type (
	CompanyConnection = Results[*Company]
	CompanyEdge       = Edge[*Company]
)
