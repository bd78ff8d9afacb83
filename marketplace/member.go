package marketplace

import (
	"context"
	"slices"
	"sync"
)

// A Member is an organisation of the network: a City, a Company or an Institution.
type Member interface {
	SearchResult
	IsMember()
}

// memberKinds are the kinds of members.
var memberKinds = sync.OnceValue(kindsOf[Member])

// Organisation is what every member says of itself. What is not known is empty.
type Organisation struct {
	Name         Text          `json:"name"` // the first is what the network's lists print
	OtherNames   []Translation `json:"otherNames,omitempty"`
	FormerNames  []Translation `json:"formerNames,omitempty"`
	Abbreviation *string       `json:"abbreviation,omitempty"` // "NITA"
	Country      Country       `json:"country"`
	Region       Region        `json:"region"`
	Languages    []Language    `json:"languages,omitempty"` // that the member works in
	Profile      Text          `json:"profile,omitempty"`
	Website      string        `json:"website,omitempty"`
	Logo         ID            `json:"logo,omitempty"`       // an uploaded picture
	JoinedYear   *int          `json:"joinedYear,omitempty"` // when it became a member
	// Printed is how the network's printed list names the member, where the
	// entry comes from that list.
	Printed *Printed `json:"printed,omitempty"`
}

// IsMember marks what implements Member.
func (*Organisation) IsMember() {}

// Printed is the reading of the network's printed list of members (brochure
// in Chinese, as of December 2022), kept as provenance where the entry says
// something else.
type Printed struct {
	Name    string `json:"name"`
	Country string `json:"country"`
	// Misprinted says that the list is known to be wrong here, for example
	// where a row of its table slipped by one.
	Misprinted bool    `json:"misprinted,omitempty"`
	Note       *string `json:"note,omitempty"` // what is known about the reading, in English
}

func (m *Organisation) check(p *problems) {
	m.Name.check(p, "name", 200, true)
	if p.max("otherNames", len(m.OtherNames), 50) {
		for i, n := range m.OtherNames {
			Text{n}.check(p, index("otherNames", i), 200, true)
		}
	}
	if p.max("formerNames", len(m.FormerNames), 20) {
		for i, n := range m.FormerNames {
			Text{n}.check(p, index("formerNames", i), 200, true)
		}
	}
	if m.Abbreviation != nil {
		checkString(p, "abbreviation", *m.Abbreviation, 20, true)
	}
	checkCountry(p, "country", m.Country)
	checkOne(p, "region", m.Region, Regions)
	checkLanguages(p, "languages", m.Languages)
	m.Profile.check(p, "profile", 5000, false)
	checkURL(p, "website", m.Website, false)
	if y := m.JoinedYear; y != nil && (*y < 2010 || *y > 9999) {
		p.add("joinedYear", "OUT_OF_RANGE", "must be 2010, when the network was founded, or later")
	}
	if m.Printed != nil {
		checkString(p, "printed.name", m.Printed.Name, 200, true)
		checkString(p, "printed.country", m.Printed.Country, 200, false)
		if m.Printed.Note != nil {
			checkString(p, "printed.note", *m.Printed.Note, 1000, true)
		}
	}
}

// files are the member's logo.
func (m *Organisation) files() []attachment {
	if m.Logo == "" {
		return nil
	}
	return []attachment{{"logo", m.Logo, true}}
}

func (m *Organisation) refs() []ID {
	if m.Logo == "" {
		return nil
	}
	return []ID{m.Logo}
}

func (m *Organisation) texts() []NamedText {
	return []NamedText{{"name", &m.Name}, {"profile", &m.Profile}}
}

func (m *Organisation) entry(id ID, e *Entry) {
	for _, names := range [][]Translation{m.OtherNames, m.FormerNames} {
		for _, n := range names {
			e.Names = append(e.Names, n.Text)
		}
	}
	if m.Abbreviation != nil {
		e.Names = append(e.Names, *m.Abbreviation)
	}
	if m.Printed != nil {
		e.Names = append(e.Names, m.Printed.Name)
	}
	for _, l := range []Language{english, "zh", "ko", "es", "fr", "ar"} {
		e.Names = append(e.Names, m.Country.Name([]Language{l}))
	}
	e.Numbers[FieldPublished] = float64(e.Newest.Unix())
	e.Keywords[FieldMember] = []string{string(id)}
	e.Keywords[FieldCountry] = []string{string(m.Country)}
	e.Keywords[FieldHome] = []string{string(m.Country)}
	e.Keywords[FieldRegion] = []string{string(m.Region)}
	e.Keywords[FieldLanguage] = keywords(m.Languages)
}

// What a member's owners may say of it themselves, and what is left to the
// secretariat, since the network's lists and searches rest on it.
var (
	ownMemberContent     = []string{"profile", "website", "languages", "otherNames", "abbreviation", "logo"}
	networkMemberContent = []string{"name", "formerNames", "country", "region", "joinedYear"}
)

// CreateMemberInput is what CreateCity, CreateCompany and CreateInstitution take.
type CreateMemberInput struct {
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// EditMemberInput is what EditCity, EditCompany and EditInstitution take.
type EditMemberInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// editMember changes a member's content by a patch: the fields of its kind
// that its owners may change, and for those who may add members all others.
func editMember[P attachable](ctx context.Context, m *Market, in EditMemberInput, own, network []string, check func(P) error) (P, error) {
	allowed := append(slices.Clone(ownMemberContent), own...)
	if MayAddMember.checkFor(ctx) == nil {
		allowed = append(append(allowed, networkMemberContent...), network...)
	}
	return update(ctx, m, MayEditMember, in.ID, versionOf(in.Version), func(doc P) error {
		doc.meta().mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, doc, allowed); err != nil {
			return err
		}
		if err := m.mustHaveFiles(ctx, doc); err != nil {
			return err
		}
		return check(doc)
	})
}

// createMember adds a member from a patch.
func createMember[P attachable](ctx context.Context, m *Market, in CreateMemberInput, doc P, o *Organisation, fields []string, add func(context.Context, P) error) (P, error) {
	if err := applyPatch(in.Content, doc, append(append(slices.Clone(ownMemberContent), networkMemberContent...), fields...)); err != nil {
		var none P
		return none, err
	}
	if err := m.mustHaveFiles(ctx, doc); err != nil {
		var none P
		return none, err
	}
	if o.Region == "" {
		o.Region = o.Country.Region()
	}
	return named(ctx, m, doc, o.Name, in.Key, add)
}

// MayEdit says whether the viewer may edit a member, and MayManage whether
// they may say who its people are.
type MemberPermissions struct {
	Edit         bool
	ManagePeople bool
	AddContent   bool // solutions of a company, proposals of a city
	ReadLog      bool
}

// MemberPermissions says what the viewer may do for a member.
func MemberPermissionsOf(ctx context.Context, member entity) *MemberPermissions {
	return &MemberPermissions{
		Edit:         MayEditMember.allows(ctx, member),
		ManagePeople: MayManageTeam.allows(ctx, member),
		AddContent:   MayDraftSolution.allows(ctx, member),
		ReadLog:      MayReadMemberLog.allows(ctx, member),
	}
}

// Member returns a member of any kind, or ErrNotFound.
func (m *Market) Member(ctx context.Context, id ID) (Member, error) { return get[Member](ctx, m, id) }
