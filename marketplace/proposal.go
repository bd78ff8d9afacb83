package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Proposal is a city's project: it may begin as a need in two sentences and
// grow into a funded plan.
type Proposal struct {
	Meta `json:",inline"`

	City        ID             `json:"city"`
	Country     Country        `json:"country"`  // the city's, kept by the commands
	Region      Region         `json:"region"`   // the city's, kept by the commands
	TimeZone    string         `json:"timeZone"` // the city's, kept by the commands
	Status      ProposalStatus `json:"status"`
	PublishedAt *time.Time     `json:"publishedAt,omitempty"` // when it was first published
	Stage       Stage          `json:"stage"`

	Title   Text   `json:"title"`
	Problem Text   `json:"problem"`
	Asks    []Text `json:"asks,omitempty"` // what the city asks for, one thing each
	Topics  []ID   `json:"topics"`
	Domains []ID   `json:"domains"` // the topics' domains, kept by the commands
	SDGs    []SDG  `json:"sdgs,omitempty"`

	Budget           *MoneyRange       `json:"budget,omitempty"`
	Funding          Funding           `json:"funding"`
	StartDate        *Date             `json:"startDate,omitempty"` // of the work, as planned
	EndDate          *Date             `json:"endDate,omitempty"`
	ProcurementRoute *ProcurementRoute `json:"procurementRoute,omitempty"`
	Partners         []Partner         `json:"partners,omitempty"`
	Languages        []Language        `json:"languages,omitempty"` // in which answers can be given
	Deadline         *Date             `json:"deadline,omitempty"`  // last day for answers, in the city's time zone

	Attachments []Media    `json:"attachments,omitempty"`
	FollowUps   []FollowUp `json:"followUps,omitempty"` // oldest first
}

// KindProposal is the kind of Proposal.
var KindProposal = register("proposal", func() entity { return new(Proposal) },
	Index{Equal: []string{"city"}, Sort: "createdAt"},
	Index{Equal: []string{"status"}, Sort: "updatedAt"})

// A ProposalStatus is a state in the life of a proposal.
type ProposalStatus string

// The states of a proposal.
const (
	ProposalDraft     ProposalStatus = "DRAFT"     // seen by its city and the secretariat
	ProposalPublished ProposalStatus = "PUBLISHED" // seen by everybody; can be answered
	ProposalClosed    ProposalStatus = "CLOSED"    // seen by everybody; no longer answered
)

// ProposalStatuses are all of them.
var ProposalStatuses = []ProposalStatus{ProposalDraft, ProposalPublished, ProposalClosed}

// A ProposalMove is a step in the life of a proposal.
type ProposalMove string

// proposalMoves is the life of a proposal.
var proposalMoves = moves[ProposalMove, ProposalStatus]{
	{"PUBLISH", MayPublishProposal, []ProposalStatus{ProposalDraft}, ProposalPublished},
	{"REVISE", MayPublishProposal, []ProposalStatus{ProposalPublished}, ProposalDraft},
	{"CLOSE", MayPublishProposal, []ProposalStatus{ProposalPublished}, ProposalClosed},
	{"REOPEN", MayPublishProposal, []ProposalStatus{ProposalClosed}, ProposalPublished},
}

// A Stage is how far a project has come.
type Stage string

// Stages are all stages, in order.
var Stages = []Stage{"NEED", "PLANNED", "FUNDED", "IN_DELIVERY", "COMPLETED"}

// stageMoves says to which stage a project can come from which: on by one or
// more, as money may come with the plan, and back while nothing is built yet.
var stageMoves = map[Stage][]Stage{
	"NEED":        {"PLANNED", "FUNDED"},
	"PLANNED":     {"NEED", "FUNDED", "IN_DELIVERY"},
	"FUNDED":      {"PLANNED", "IN_DELIVERY"},
	"IN_DELIVERY": {"COMPLETED"},
	"COMPLETED":   {},
}

// A FollowUp is what a city tells about its project later on.
type FollowUp struct {
	At   time.Time `json:"at"`
	Text Text      `json:"text"`
	Link string    `json:"link,omitempty"`
}

const maxFollowUps = 50

// Funding is how much of a project's money is there.
type Funding string

// Fundings are all of them.
var Fundings = []Funding{"NONE", "SOUGHT", "PARTLY_SECURED", "SECURED"}

// A Partner is somebody whom a city looks for.
type Partner struct {
	Type      PartnerType `json:"type"`
	Wanted    Text        `json:"wanted"` // what for
	Regions   []Region    `json:"regions,omitempty"`
	Countries []Country   `json:"countries,omitempty"`
}

// A PartnerType is a type of member that a city looks for.
type PartnerType string

// PartnerTypes are all of them.
var PartnerTypes = []PartnerType{"COMPANY", "CITY", "INSTITUTION"}

func (*Proposal) kind() Kind       { return KindProposal }
func (r *Proposal) parties() []ID  { return []ID{r.City} }
func (*Proposal) claims() []string { return nil }

func (r *Proposal) refs() []ID {
	return append(append([]ID{r.City, tallyID(r.ID)}, r.Topics...), uploadsIn(r)...)
}

func (r *Proposal) files() []attachment { return filesOf("attachments", r.Attachments) }

func (r *Proposal) audience() []Group {
	if r.Status == ProposalDraft {
		return []Group{Group(r.City), Secretariat}
	}
	return []Group{Everyone}
}

func (r *Proposal) validate(p *problems) {
	if r.City.Kind() != KindCity {
		p.add("city", "INVALID", "must be the id of a city")
	}
	checkOne(p, "status", r.Status, ProposalStatuses)
	checkOne(p, "stage", r.Stage, Stages)
	r.Title.check(p, "title", 160, true)
	r.Problem.check(p, "problem", 10_000, true)
	if p.max("asks", len(r.Asks), 20) {
		for i, a := range r.Asks {
			a.check(p, index("asks", i), 500, true)
		}
	}
	checkIDs(p, "topics", r.Topics, 10, KindTopic)
	if len(r.Topics) == 0 && r.Status != ProposalDraft {
		p.add("topics", "REQUIRED", "must name at least one topic")
	}
	checkSDGs(p, "sdgs", r.SDGs)
	r.Budget.check(p, "budget")
	checkOne(p, "funding", r.Funding, Fundings)
	r.StartDate.check(p, "startDate")
	r.EndDate.check(p, "endDate")
	if r.StartDate != nil && r.EndDate != nil && *r.EndDate < *r.StartDate {
		p.add("endDate", "OUT_OF_RANGE", "must not be before startDate")
	}
	if r.ProcurementRoute != nil {
		checkOne(p, "procurementRoute", *r.ProcurementRoute, ProcurementRoutes)
	}
	if p.max("partners", len(r.Partners), 20) {
		for i, w := range r.Partners {
			at := index("partners", i)
			checkOne(p, at+".type", w.Type, PartnerTypes)
			w.Wanted.check(p, at+".wanted", 1000, true)
			checkRegions(p, at+".regions", w.Regions)
			checkCountries(p, at+".countries", w.Countries)
		}
	}
	checkLanguages(p, "languages", r.Languages)
	r.Deadline.check(p, "deadline")
	checkMedia(p, "attachments", r.Attachments, 20)
	if p.max("followUps", len(r.FollowUps), maxFollowUps) {
		for i, f := range r.FollowUps {
			f.Text.check(p, index("followUps", i)+".text", 5000, true)
			checkURL(p, index("followUps", i)+".link", f.Link, false)
		}
	}
}

func (r *Proposal) texts() []NamedText {
	texts := []NamedText{{"title", &r.Title}, {"problem", &r.Problem}}
	for i := range r.Asks {
		texts = append(texts, NamedText{index("asks", i), &r.Asks[i]})
	}
	for i := range r.Partners {
		texts = append(texts, NamedText{index("partners", i) + ".wanted", &r.Partners[i].Wanted})
	}
	for i := range r.FollowUps {
		texts = append(texts, NamedText{index("followUps", i) + ".text", &r.FollowUps[i].Text})
	}
	return texts
}

func (r *Proposal) entry(e *Entry) bool {
	if r.PublishedAt != nil {
		e.Newest = *r.PublishedAt
		if r.Status == ProposalPublished {
			e.Numbers[FieldPublished] = float64(r.PublishedAt.Unix())
		}
	}
	e.Keywords[FieldMember] = []string{string(r.City)}
	e.Keywords[FieldTopic] = keywords(append(append([]ID{}, r.Topics...), r.Domains...))
	for _, g := range r.SDGs {
		e.Keywords[FieldSDG] = append(e.Keywords[FieldSDG], g.String())
	}
	e.Keywords[FieldCountry] = []string{string(r.Country)}
	e.Keywords[FieldRegion] = []string{string(r.Region)}
	e.Keywords[FieldStage] = []string{string(r.Stage)}
	e.Keywords[FieldFunding] = []string{string(r.Funding)}
	e.Keywords[FieldLanguage] = keywords(r.Languages)
	if r.ProcurementRoute != nil {
		e.Keywords[FieldProcurement] = []string{string(*r.ProcurementRoute)}
	}
	if r.Budget != nil {
		e.Keywords[FieldCurrency] = []string{r.Budget.Currency}
		e.Numbers[FieldBudgetMin], e.Numbers[FieldBudgetMax] = r.Budget.amounts()
	}
	if r.Deadline != nil {
		if end, ok := r.Deadline.end(r.TimeZone); ok {
			e.Numbers[FieldDeadline] = float64(end)
		}
	}
	return true
}

// relate adds the size of the city, and whom it looks for.
func (r *Proposal) relate(e *Entry, of func(ID) kin) {
	e.Keywords[FieldHome], e.Keywords[FieldWanted] = someCountry(r.Country), wantedIn(r.Partners)
	if n := of(r.City).population; n > 0 {
		e.Numbers[FieldPopulation] = float64(n)
	}
}

// AddProposal adds a proposal for a city: as a draft, or, for those who may,
// in any state. The city and the topics must exist.
func (m *Market) AddProposal(ctx context.Context, r *Proposal) error {
	if r.Status == "" {
		r.Status = ProposalDraft
	}
	if r.Status != ProposalDraft {
		if err := MayPlaceProposal.check(ctx, r); err != nil {
			return err
		}
	}
	if err := m.checkProposal(ctx, r); err != nil {
		return err
	}
	return create(ctx, m, MayDraftProposal, r)
}

// UpdateProposal changes the content of a proposal by a function of its
// present value, which may run more than once; version 0 accepts any present
// version. The state is changed by MoveProposal only.
func (m *Market) UpdateProposal(ctx context.Context, id ID, version int, change func(*Proposal) error) (*Proposal, error) {
	return update(ctx, m, MayEditProposal, id, version, func(r *Proposal) error {
		status := r.Status
		if err := change(r); err != nil {
			return err
		}
		if r.Status != status {
			return invalid("status", "INVALID", "cannot be changed together with the content")
		}
		return m.checkProposal(ctx, r)
	})
}

// proposalContent are the fields that a client may give.
var proposalContent = []string{
	"title", "problem", "asks", "topics", "sdgs", "budget", "funding", "startDate", "endDate", "procurementRoute", "partners", "languages", "deadline",
	"attachments",
}

// CreateProposalInput is what CreateProposal takes.
type CreateProposalInput struct {
	City    ID
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// CreateProposal drafts a proposal of a city: a title and two sentences will do.
func (m *Market) CreateProposal(ctx context.Context, in CreateProposalInput) (*Proposal, error) {
	r := &Proposal{City: in.City, Status: ProposalDraft, Stage: "NEED", Funding: "NONE", Topics: []ID{}, Domains: []ID{}}
	if err := applyPatch(in.Content, r, proposalContent); err != nil {
		return nil, err
	}
	return named(ctx, m, r, r.Title, in.Key, m.AddProposal)
}

// EditProposalInput is what EditProposal takes.
type EditProposalInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditProposal changes the content of a proposal.
func (m *Market) EditProposal(ctx context.Context, in EditProposalInput) (*Proposal, error) {
	return m.UpdateProposal(ctx, in.ID, versionOf(in.Version), func(r *Proposal) error {
		r.mark("EDIT", fieldsOf(in.Content))
		return applyPatch(in.Content, r, proposalContent)
	})
}

// MoveProposalInput is what MoveProposal takes.
type MoveProposalInput struct {
	ID      ID
	Version *int
	Move    ProposalMove
	Note    *string // for the audit log
}

// MoveProposal takes a step in the life of a proposal.
func (m *Market) MoveProposal(ctx context.Context, in MoveProposalInput) (*Proposal, error) {
	step, err := proposalMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, step.may, in.ID, versionOf(in.Version), func(r *Proposal) error {
		if err := step.take(&r.Meta, &r.Status, text(in.Note)); err != nil {
			return err
		}
		if now := m.clock(); step.to == ProposalPublished && !r.isOpen(now) {
			return invalid("deadline", "OUT_OF_RANGE", "has passed: change it first, so that companies can answer")
		}
		r.place(m.clock())
		return nil
	})
}

// isOpen says whether offers can be made: it is published, and the day of its
// deadline has not ended in the city's time zone.
func (r *Proposal) isOpen(now time.Time) bool {
	if r.Status != ProposalPublished {
		return false
	}
	if r.Deadline == nil {
		return true
	}
	end, ok := r.Deadline.end(r.TimeZone)
	return ok && now.Unix() <= end
}

// IsOpen says whether offers can be made now.
func (m *Market) IsOpen(r *Proposal) bool { return r.isOpen(m.now()) }

// DeadlineAt is the moment at which the deadline passes; nil where there is none.
func (r *Proposal) DeadlineAt() *time.Time {
	if r.Deadline == nil {
		return nil
	}
	end, ok := r.Deadline.end(r.TimeZone)
	if !ok {
		return nil
	}
	return new(time.Unix(end+1, 0).UTC())
}

// SetStageInput is what SetStage takes.
type SetStageInput struct {
	ID      ID
	Version *int
	Stage   Stage
}

// SetStage notes how far a project has come.
func (m *Market) SetStage(ctx context.Context, in SetStageInput) (*Proposal, error) {
	return m.UpdateProposal(ctx, in.ID, versionOf(in.Version), func(r *Proposal) error {
		if !slices.Contains(stageMoves[r.Stage], in.Stage) {
			return invalid("stage", "INVALID", fmt.Sprintf("from %s a project can come to %v", r.Stage, stageMoves[r.Stage]))
		}
		r.mark("SET_STAGE", fmt.Sprintf("%s to %s", r.Stage, in.Stage))
		r.Stage = in.Stage
		return nil
	})
}

// AddFollowUpInput is what AddFollowUp takes.
type AddFollowUpInput struct {
	Proposal ID
	Content  Patch
}

// AddFollowUp tells what has become of a project.
func (m *Market) AddFollowUp(ctx context.Context, in AddFollowUpInput) (*Proposal, error) {
	return m.UpdateProposal(ctx, in.Proposal, 0, func(r *Proposal) error {
		if r.PublishedAt == nil {
			return invalid("proposal", "INVALID", "was never published, so there is nothing to follow up")
		}
		f := FollowUp{At: m.clock()}
		if err := applyPatch(in.Content, &f, []string{"text", "link"}); err != nil {
			return err
		}
		r.mark("FOLLOW_UP", "")
		r.FollowUps = append(r.FollowUps, f)
		return nil
	})
}

// DeleteProposal deletes a draft that was never published.
func (m *Market) DeleteProposal(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayEditProposal, id, versionOf(version), func(r *Proposal) error {
		if !r.isDeletable() {
			return invalid("id", "INVALID", "has been published: close it instead")
		}
		r.mark("DELETE", original(r.Title))
		r.IsDeleted = true
		return nil
	})
	return err
}

func (r *Proposal) isDeletable() bool { return r.Status == ProposalDraft && r.PublishedAt == nil }

// ProposalPermissions are what a viewer may do with a proposal now.
type ProposalPermissions struct {
	Edit   bool
	Delete bool
	Moves  []ProposalMove
	Stages []Stage // to which it can be brought
	// Offer says whether an offer can be made, and Discuss whether a message
	// can be written for all members to read.
	Offer   bool
	Discuss bool
}

// ProposalPermissions says what the viewer may do with a proposal now.
func (m *Market) ProposalPermissions(ctx context.Context, r *Proposal) *ProposalPermissions {
	edit := MayEditProposal.allows(ctx, r)
	p := &ProposalPermissions{Edit: edit, Delete: edit && r.isDeletable(), Moves: proposalMoves.open(ctx, r, r.Status), Stages: []Stage{},
		Offer: m.mayOffer(ctx, r), Discuss: mayDiscuss(ctx, r)}
	if edit {
		p.Stages = append(p.Stages, stageMoves[r.Stage]...)
	}
	return p
}

// place notes the day of the first publication.
func (r *Proposal) place(now time.Time) {
	if r.Status != ProposalDraft && r.PublishedAt == nil {
		r.PublishedAt = &now
	}
}

// checkProposal compares the references with what is there and derives what
// follows from them.
func (m *Market) checkProposal(ctx context.Context, r *Proposal) error {
	var p problems
	p.list = problemsOf(check(r)) // all mistakes are told together
	city, err := m.City(ctx, r.City)
	if err != nil {
		if err := p.missing(err, "city", "city"); err != nil {
			return err
		}
	} else {
		r.Country, r.Region, r.TimeZone = city.Country, city.Region, city.TimeZone
	}
	if err := m.checkTopics(ctx, &p, r.Topics, &r.Domains); err != nil {
		return err
	}
	if err := m.checkFiles(ctx, &p, r); err != nil {
		return err
	}
	r.place(m.clock())
	return p.err()
}

// Proposal returns a proposal, or ErrNotFound.
func (m *Market) Proposal(ctx context.Context, id ID) (*Proposal, error) {
	return get[*Proposal](ctx, m, id)
}

// ProposalBySlug returns the proposal that has this slug, or ErrNotFound.
func (m *Market) ProposalBySlug(ctx context.Context, slug string) (*Proposal, error) {
	return bySlugOf[*Proposal](ctx, m, KindProposal, slug)
}

// Proposals lists proposals.
func (m *Market) Proposals(ctx context.Context, l Listing) (*Results[*Proposal], error) {
	return list[*Proposal](ctx, m, l, KindProposal)
}

// ProposalsOf lists the proposals of a city.
func (m *Market) ProposalsOf(ctx context.Context, city ID, l Listing) (*Results[*Proposal], error) {
	return related[*Proposal](ctx, m, KindProposal, FieldMember, city, l)
}

// ProposalsOn lists the proposals on a topic; on those below it, too, for a domain.
func (m *Market) ProposalsOn(ctx context.Context, topic ID, l Listing) (*Results[*Proposal], error) {
	return related[*Proposal](ctx, m, KindProposal, FieldTopic, topic, l)
}

// Names of the pages of proposals in the API.
type (
	ProposalConnection = Results[*Proposal]
	ProposalEdge       = Edge[*Proposal]
)
