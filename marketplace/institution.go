package marketplace

import "context"

// An Institution is a member that is neither a local government nor a company.
type Institution struct {
	Meta         `json:",inline"`
	Organisation `json:",inline"`

	Type InstitutionType `json:"type"`
}

// KindInstitution is the kind of Institution.
var KindInstitution = register("institution", func() entity { return new(Institution) })

// An InstitutionType is a type of institution, as the network's brochure has them.
type InstitutionType string

// InstitutionTypes are all types.
var InstitutionTypes = []InstitutionType{"ASSOCIATION", "PUBLIC_AGENCY", "ACADEMIC", "NON_PROFIT"}

func (*Institution) kind() Kind           { return KindInstitution }
func (*Institution) audience() []Group    { return []Group{Everyone} }
func (i *Institution) parties() []ID      { return []ID{i.ID} }
func (*Institution) claims() []string     { return nil }
func (i *Institution) refs() []ID         { return i.Organisation.refs() }
func (i *Institution) texts() []NamedText { return i.Organisation.texts() }

func (i *Institution) validate(p *problems) {
	i.Organisation.check(p)
	checkOne(p, "type", i.Type, InstitutionTypes)
}

func (i *Institution) entry(e *Entry) bool {
	i.Organisation.entry(i.ID, e)
	e.Keywords[FieldInstitution] = []string{string(i.Type)}
	return true
}

// AddInstitution adds an institution to the network.
func (m *Market) AddInstitution(ctx context.Context, i *Institution) error {
	return create(ctx, m, MayAddMember, i)
}

// UpdateInstitution changes an institution by a function of its present
// value, which may run more than once; version 0 accepts any present version.
func (m *Market) UpdateInstitution(ctx context.Context, id ID, version int, change func(*Institution) error) (*Institution, error) {
	return update(ctx, m, MayEditMember, id, version, change)
}

var networkInstitutionContent = []string{"type"}

// CreateInstitution adds an institution to the network.
func (m *Market) CreateInstitution(ctx context.Context, in CreateMemberInput) (*Institution, error) {
	i := &Institution{}
	return createMember(ctx, m, in, i, &i.Organisation, networkInstitutionContent, m.AddInstitution)
}

// EditInstitution changes what an institution's page says.
func (m *Market) EditInstitution(ctx context.Context, in EditMemberInput) (*Institution, error) {
	return editMember(ctx, m, in, nil, networkInstitutionContent, func(*Institution) error { return nil })
}

// Institution returns an institution, or ErrNotFound.
func (m *Market) Institution(ctx context.Context, id ID) (*Institution, error) {
	return get[*Institution](ctx, m, id)
}

// InstitutionBySlug returns the institution that has this slug, or ErrNotFound.
func (m *Market) InstitutionBySlug(ctx context.Context, slug string) (*Institution, error) {
	return bySlugOf[*Institution](ctx, m, KindInstitution, slug)
}

// Institutions lists institutions.
func (m *Market) Institutions(ctx context.Context, l Listing) (*Results[*Institution], error) {
	return list[*Institution](ctx, m, l, KindInstitution)
}

// Names of the pages of institutions in the API.
type (
	InstitutionConnection = Results[*Institution]
	InstitutionEdge       = Edge[*Institution]
)
