package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Solution is what a company offers to cities.
type Solution struct {
	Meta `json:",inline"`

	Company      ID             `json:"company"`
	Status       SolutionStatus `json:"status"`
	Review       *Review        `json:"review,omitempty"`      // the latest; for the company and the secretariat
	PublishedAt  *time.Time     `json:"publishedAt,omitempty"` // when it was first published
	Title        Text           `json:"title"`
	Summary      Text           `json:"summary"`
	Description  Text           `json:"description,omitempty"`
	Topics       []ID           `json:"topics"`
	Domains      []ID           `json:"domains"` // the topics' domains, kept by the commands
	SDGs         []SDG          `json:"sdgs,omitempty"`
	Technologies []string       `json:"technologies,omitempty"`

	TRL               *int               `json:"trl,omitempty"` // technology readiness level, 1 to 9
	Maturity          Maturity           `json:"maturity"`
	PriceModel        PriceModel         `json:"priceModel"`
	PriceBand         PriceBand          `json:"priceBand"`
	PriceNote         Text               `json:"priceNote,omitempty"`
	ProcurementRoutes []ProcurementRoute `json:"procurementRoutes,omitempty"`

	Regions          []Region     `json:"regions,omitempty"`
	Countries        []Country    `json:"countries,omitempty"`
	SupportLanguages []Language   `json:"supportLanguages,omitempty"`
	Deployments      []Deployment `json:"deployments,omitempty"`
	Standards        []string     `json:"standards,omitempty"`
	Media            []Media      `json:"media,omitempty"`

	Imported *Imported `json:"imported,omitempty"` // nil: was never in a file
}

// KindSolution is the kind of Solution.
var KindSolution = register("solution", func() entity { return new(Solution) },
	Index{Equal: []string{"company"}, Sort: "createdAt"},
	Index{Equal: []string{"status"}, Sort: "updatedAt"})

// A SolutionStatus is a state in the life of a solution.
type SolutionStatus string

// The states of a solution.
const (
	SolutionDraft     SolutionStatus = "DRAFT"     // seen by its company and the secretariat
	SolutionInReview  SolutionStatus = "IN_REVIEW" // waits for the secretariat
	SolutionPublished SolutionStatus = "PUBLISHED" // seen by everybody
	SolutionArchived  SolutionStatus = "ARCHIVED"  // no longer offered; seen as a draft is
)

// SolutionStatuses are all of them.
var SolutionStatuses = []SolutionStatus{SolutionDraft, SolutionInReview, SolutionPublished, SolutionArchived}

// A SolutionMove is a step in the life of a solution.
type SolutionMove string

// solutionMoves is the life of a solution.
var solutionMoves = moves[SolutionMove, SolutionStatus]{
	{"SUBMIT", MayEditSolution, []SolutionStatus{SolutionDraft}, SolutionInReview},
	{"WITHDRAW", MayEditSolution, []SolutionStatus{SolutionInReview}, SolutionDraft},
	{"APPROVE", MayReviewSolution, []SolutionStatus{SolutionInReview}, SolutionPublished},
	{"RETURN", MayReviewSolution, []SolutionStatus{SolutionInReview, SolutionPublished}, SolutionDraft},
	{"PUBLISH", MayPublishSolution, []SolutionStatus{SolutionDraft}, SolutionPublished}, // where there is no review
	{"REVISE", MayEditSolution, []SolutionStatus{SolutionPublished}, SolutionDraft},
	{"ARCHIVE", MayEditSolution, []SolutionStatus{SolutionDraft, SolutionPublished}, SolutionArchived},
	{"RESTORE", MayEditSolution, []SolutionStatus{SolutionArchived}, SolutionDraft},
}

// A Deployment is a solution in use somewhere: the evidence for it.
type Deployment struct {
	Place   string  `json:"place"`
	Country Country `json:"country"`
	City    ID      `json:"city,omitempty"` // where it is a member
	Year    int     `json:"year"`           // in which it went into use
	Result  Text    `json:"result,omitempty"`
	Link    string  `json:"link,omitempty"`
	// Confirmation is the city's word that this is so; it goes when what was
	// confirmed is changed.
	Confirmation *Confirmation `json:"confirmation,omitempty"`
}

// A Confirmation is the word of a city that a deployment in it is real.
type Confirmation struct {
	By   ID        `json:"by,omitempty"` // user
	At   time.Time `json:"at"`
	Note *string   `json:"note,omitempty"`
}

// A Review is what the secretariat said of a solution when it last decided.
type Review struct {
	By         ID        `json:"by"` // user
	At         time.Time `json:"at"`
	IsApproved bool      `json:"isApproved"`
	Note       *string   `json:"note,omitempty"`
}

func (*Solution) kind() Kind       { return KindSolution }
func (s *Solution) parties() []ID  { return []ID{s.Company} }
func (*Solution) claims() []string { return nil }

func (s *Solution) audience() []Group {
	if s.Status == SolutionPublished {
		return []Group{Everyone}
	}
	return []Group{Group(s.Company), Secretariat}
}

func (s *Solution) refs() []ID {
	refs := append([]ID{s.Company}, s.Topics...)
	for _, d := range s.Deployments {
		if d.City != "" {
			refs = append(refs, d.City)
		}
	}
	return append(refs, uploadsIn(s)...)
}

func (s *Solution) files() []attachment { return filesOf("media", s.Media) }

func (s *Solution) validate(p *problems) {
	if s.Company.Kind() != KindCompany {
		p.add("company", "INVALID", "must be the id of a company")
	}
	checkOne(p, "status", s.Status, SolutionStatuses)
	if s.Review != nil {
		checkString(p, "note", text(s.Review.Note), 2000, false)
	}
	draft := s.Status == SolutionDraft
	s.Title.check(p, "title", 160, true)
	s.Summary.check(p, "summary", 600, !draft)
	s.Description.check(p, "description", 10_000, false)
	checkIDs(p, "topics", s.Topics, 10, KindTopic)
	if len(s.Topics) == 0 && !draft {
		p.add("topics", "REQUIRED", "must name at least one topic")
	}
	checkSDGs(p, "sdgs", s.SDGs)
	checkStrings(p, "technologies", s.Technologies, 20, 80)
	if s.TRL != nil && (*s.TRL < 1 || *s.TRL > 9) {
		p.add("trl", "OUT_OF_RANGE", "must be a technology readiness level, 1 to 9")
	}
	checkOne(p, "maturity", s.Maturity, Maturities)
	checkOne(p, "priceModel", s.PriceModel, PriceModels)
	checkOne(p, "priceBand", s.PriceBand, PriceBands)
	s.PriceNote.check(p, "priceNote", 500, false)
	checkRoutes(p, "procurementRoutes", s.ProcurementRoutes)
	checkRegions(p, "regions", s.Regions)
	checkCountries(p, "countries", s.Countries)
	checkLanguages(p, "supportLanguages", s.SupportLanguages)
	if p.max("deployments", len(s.Deployments), 200) {
		for i := range s.Deployments {
			s.Deployments[i].check(p, index("deployments", i))
		}
	}
	checkStrings(p, "standards", s.Standards, 30, 120)
	checkMedia(p, "media", s.Media, 30)
}

func (d *Deployment) check(p *problems, path string) {
	checkString(p, path+".place", d.Place, 200, true)
	checkCountry(p, path+".country", d.Country)
	if d.City != "" && d.City.Kind() != KindCity {
		p.add(path+".city", "INVALID", "must be the id of a city")
	}
	checkYear(p, path+".year", &d.Year, time.Now())
	d.Result.check(p, path+".result", 2000, false)
	checkURL(p, path+".link", d.Link, false)
}

func checkStrings(p *problems, path string, list []string, max, length int) {
	if p.max(path, len(list), max) {
		for i, s := range list {
			checkString(p, index(path, i), s, length, true)
		}
	}
}

func (s *Solution) texts() []NamedText {
	texts := []NamedText{
		{"title", &s.Title}, {"summary", &s.Summary}, {"description", &s.Description},
		{"technologies", plain(s.Technologies)},
	}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		texts = append(texts, NamedText{fmt.Sprintf("deployments[%d].place", i), plain([]string{d.Place})})
		texts = append(texts, NamedText{fmt.Sprintf("deployments[%d].result", i), &d.Result})
	}
	return append(texts, NamedText{"standards", plain(s.Standards)}, NamedText{"priceNote", &s.PriceNote})
}

// plain makes terms that are the same in every language a Text: they are
// English where they are words at all.
func plain(terms []string) *Text {
	if len(terms) == 0 {
		return new(Text)
	}
	t := Text{{Language: english}}
	for i, s := range terms {
		if i > 0 {
			t[0].Text += ", "
		}
		t[0].Text += s
	}
	return &t
}

func (s *Solution) entry(e *Entry) bool {
	if s.PublishedAt != nil {
		e.Newest = *s.PublishedAt
		if s.Status == SolutionPublished {
			e.Numbers[FieldPublished] = float64(s.PublishedAt.Unix())
		}
	}
	e.Keywords[FieldMember] = []string{string(s.Company)}
	e.Keywords[FieldTopic] = keywords(append(append([]ID{}, s.Topics...), s.Domains...))
	for _, g := range s.SDGs {
		e.Keywords[FieldSDG] = append(e.Keywords[FieldSDG], g.String())
	}
	e.Keywords[FieldCountry] = keywords(s.Countries)
	e.Keywords[FieldRegion] = regionsServed(s.Regions, s.Countries)
	e.Keywords[FieldMaturity] = []string{string(s.Maturity)}
	e.Keywords[FieldProcurement] = keywords(s.ProcurementRoutes)
	e.Keywords[FieldLanguage] = keywords(s.SupportLanguages)
	e.Keywords[FieldPriceBand] = []string{string(s.PriceBand)}
	return true
}

// relate adds what the company serves, and in what sort of cities the solution is in use.
func (s *Solution) relate(e *Entry, of func(ID) kin) {
	company := of(s.Company)
	e.Keywords[FieldHome], e.Keywords[FieldServed] = someCountry(company.country), company.served
	for i := range s.Deployments {
		d := &s.Deployments[i]
		word := evidenceOf(d, of(d.City).population)
		if !slices.Contains(e.Keywords[FieldEvidence], word) {
			e.Keywords[FieldEvidence] = append(e.Keywords[FieldEvidence], word)
		}
	}
}

// AddSolution adds a solution for a company: as a draft, or, for those who
// may, in any state. The company and the topics must exist.
func (m *Market) AddSolution(ctx context.Context, s *Solution) error {
	if s.Status == "" {
		s.Status = SolutionDraft
	}
	if s.Status != SolutionDraft {
		if err := MayPlaceSolution.check(ctx, s); err != nil {
			return err
		}
	}
	if err := m.checkSolution(ctx, s); err != nil {
		return err
	}
	return create(ctx, m, MayDraftSolution, s)
}

// solutionContent are the fields that a client may give.
var solutionContent = []string{
	"title", "summary", "description", "topics", "sdgs", "technologies", "trl", "maturity", "priceModel", "priceBand", "priceNote",
	"procurementRoutes", "regions", "countries", "supportLanguages", "deployments", "standards", "media",
}

// CreateSolutionInput is what CreateSolution takes.
type CreateSolutionInput struct {
	Company ID
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// CreateSolution drafts a solution for a company.
func (m *Market) CreateSolution(ctx context.Context, in CreateSolutionInput) (*Solution, error) {
	s := newSolution(in.Company)
	if err := applyPatch(in.Content, s, solutionContent); err != nil {
		return nil, err
	}
	s.keepConfirmations(nil)
	return named(ctx, m, s, s.Title, in.Key, m.AddSolution)
}

// newSolution is a draft of which nothing is known but the company.
func newSolution(company ID) *Solution {
	return &Solution{Company: company, Status: SolutionDraft, Maturity: "IDEA", PriceModel: "ON_REQUEST", PriceBand: "ON_REQUEST", Topics: []ID{}, Domains: []ID{}}
}

// EditSolutionInput is what EditSolution takes.
type EditSolutionInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditSolution changes the content of a solution.
func (m *Market) EditSolution(ctx context.Context, in EditSolutionInput) (*Solution, error) {
	return m.UpdateSolution(ctx, in.ID, versionOf(in.Version), func(s *Solution) error {
		s.mark("EDIT", fieldsOf(in.Content))
		before := s.Deployments
		if err := applyPatch(in.Content, s, solutionContent); err != nil {
			return err
		}
		s.keepConfirmations(before)
		return nil
	})
}

// keepConfirmations gives deployments that say the same as before the
// confirmations that they had, and no others.
func (s *Solution) keepConfirmations(before []Deployment) {
	for i := range s.Deployments {
		d := &s.Deployments[i]
		d.Confirmation = nil
		for _, old := range before {
			if old.Confirmation != nil && old.says(d) {
				d.Confirmation = old.Confirmation
			}
		}
	}
}

// says compares what a city confirms.
func (d *Deployment) says(o *Deployment) bool {
	original := func(t Text) (tr Translation) {
		if len(t) > 0 {
			tr = Translation{Language: t[0].Language, Text: t[0].Text}
		}
		return tr
	}
	return d.Place == o.Place && d.Country == o.Country && d.City == o.City && d.Year == o.Year && d.Link == o.Link && original(d.Result) == original(o.Result)
}

// UpdateSolution changes the content of a solution by a function of its
// present value, which may run more than once; version 0 accepts any present
// version. The state is changed by MoveSolution only.
func (m *Market) UpdateSolution(ctx context.Context, id ID, version int, change func(*Solution) error) (*Solution, error) {
	return update(ctx, m, MayEditSolution, id, version, func(s *Solution) error {
		status := s.Status
		if err := change(s); err != nil {
			return err
		}
		if s.Status != status {
			return invalid("status", "INVALID", "cannot be changed together with the content")
		}
		return m.checkSolution(ctx, s)
	})
}

// MoveSolutionInput is what MoveSolution takes.
type MoveSolutionInput struct {
	ID      ID
	Version *int
	Move    SolutionMove
	Note    *string // for the company, with APPROVE and RETURN
}

// MoveSolution takes a step in the life of a solution.
func (m *Market) MoveSolution(ctx context.Context, in MoveSolutionInput) (*Solution, error) {
	step, err := solutionMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, step.may, in.ID, versionOf(in.Version), func(s *Solution) error {
		if err := step.take(&s.Meta, &s.Status, text(in.Note)); err != nil {
			return err
		}
		if in.Move == "PUBLISH" {
			if err := m.mayPublish(ctx, s); err != nil {
				return err
			}
		}
		if in.Move == "APPROVE" || in.Move == "RETURN" {
			s.Review = &Review{By: actorOf(ctx).User, At: m.clock(), IsApproved: in.Move == "APPROVE", Note: maybe(text(in.Note))}
		}
		s.place(m.clock())
		return nil
	})
}

// mayPublish allows a company to publish by itself where the network has no review.
func (m *Market) mayPublish(ctx context.Context, s *Solution) error {
	settings, err := m.Settings(ctx)
	if err != nil {
		return err
	}
	if settings.ReviewsSolutions {
		return MayReviewSolution.check(ctx, s)
	}
	return nil
}

// DeleteSolution deletes a draft that was never published.
func (m *Market) DeleteSolution(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayEditSolution, id, versionOf(version), func(s *Solution) error {
		if !s.isDeletable() {
			return invalid("id", "INVALID", "has been published or is under review: archive it instead")
		}
		s.mark("DELETE", original(s.Title))
		s.IsDeleted = true
		return nil
	})
	return err
}

func (s *Solution) isDeletable() bool { return s.Status == SolutionDraft && s.PublishedAt == nil }

// original is the text in the language that it was written in.
func original(t Text) string {
	if len(t) == 0 {
		return ""
	}
	return t[0].Text
}

// DuplicateSolutionInput is what DuplicateSolution takes.
type DuplicateSolutionInput struct {
	ID  ID
	Key *string
}

// DuplicateSolution drafts a solution with the content of another one of the
// same company. What cities have confirmed is not taken over; files are, as
// uploads of their own with the same contents.
func (m *Market) DuplicateSolution(ctx context.Context, in DuplicateSolutionInput) (*Solution, error) {
	s, err := m.Solution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c := *s
	c.Meta = Meta{IsSample: s.IsSample}
	c.mark("DUPLICATE", string(s.ID))
	c.Status, c.Review, c.PublishedAt, c.Imported = SolutionDraft, nil, nil, nil
	c.Deployments = slices.Clone(s.Deployments)
	c.keepConfirmations(nil)
	if err := MayDraftSolution.check(ctx, &c); err != nil {
		return nil, err
	}
	return named(ctx, m, &c, c.Title, in.Key, func(ctx context.Context, c *Solution) error {
		if c.Media, err = m.copyMedia(ctx, s.Media, c); err != nil {
			return err
		}
		return m.AddSolution(ctx, c)
	})
}

// ConfirmDeploymentInput is what ConfirmDeployment takes.
type ConfirmDeploymentInput struct {
	Solution   ID
	Version    int // that was read, since the number of a deployment holds for a version
	Deployment int // its place in the list, from 0
	Confirmed  bool
	Note       *string
}

// ConfirmDeployment lets the city in which a deployment is said to be say
// that it is so, or take that back.
func (m *Market) ConfirmDeployment(ctx context.Context, in ConfirmDeploymentInput) (*Solution, error) {
	if in.Version < 1 {
		return nil, invalid("version", "REQUIRED", "must be the version that was read")
	}
	return update(ctx, m, MayConfirmDeployment, in.Solution, in.Version, func(s *Solution) error {
		if in.Deployment < 0 || in.Deployment >= len(s.Deployments) {
			return invalid("deployment", "NOT_FOUND", "there is no such deployment")
		}
		d := &s.Deployments[in.Deployment]
		if err := MayConfirmDeployment.checkFor(ctx, d.City); err != nil {
			return err
		}
		var p problems
		checkString(&p, "note", text(in.Note), 500, false)
		if !in.Confirmed {
			s.mark("UNCONFIRM_DEPLOYMENT", d.Place, d.City)
			d.Confirmation = nil
			return p.err()
		}
		s.mark("CONFIRM_DEPLOYMENT", d.Place, d.City)
		d.Confirmation = &Confirmation{By: actorOf(ctx).User, At: m.clock(), Note: maybe(text(in.Note))}
		return p.err()
	})
}

// deploymentCities are the member cities in which a solution is said to be in use.
func deploymentCities(doc entity) []ID {
	var cities []ID
	if s, ok := doc.(*Solution); ok {
		for _, d := range s.Deployments {
			if d.City != "" {
				cities = append(cities, d.City)
			}
		}
	}
	return cities
}

// SolutionPermissions are what a viewer may do with a solution now.
type SolutionPermissions struct {
	Edit      bool
	Delete    bool
	Duplicate bool
	Moves     []SolutionMove
}

// SolutionPermissions says what the viewer may do with a solution now.
func (m *Market) SolutionPermissions(ctx context.Context, s *Solution) (*SolutionPermissions, error) {
	edit := MayEditSolution.allows(ctx, s)
	p := &SolutionPermissions{Edit: edit, Delete: edit && s.isDeletable(), Duplicate: MayDraftSolution.allows(ctx, s), Moves: solutionMoves.open(ctx, s, s.Status)}
	if !edit {
		return p, nil
	}
	if err := m.mayPublish(ctx, s); errors.Is(err, ErrForbidden) {
		p.Moves = slices.DeleteFunc(p.Moves, func(move SolutionMove) bool { return move == "PUBLISH" })
	} else if err != nil {
		return nil, err
	}
	return p, nil
}

// VisibleReview is the latest review for those who may edit the solution; nil for others.
func (s *Solution) VisibleReview(ctx context.Context) *Review {
	if !MaySeeReview.allows(ctx, s) {
		return nil
	}
	return s.Review
}

// place notes the day of the first publication.
func (s *Solution) place(now time.Time) {
	if s.Status == SolutionPublished && s.PublishedAt == nil {
		s.PublishedAt = &now
	}
}

// checkSolution compares the references with what is there and derives what
// follows from them.
func (m *Market) checkSolution(ctx context.Context, s *Solution) error {
	var p problems
	p.list = problemsOf(check(s)) // all mistakes are told together
	if _, err := m.Company(ctx, s.Company); err != nil {
		if err := p.missing(err, "company", "company"); err != nil {
			return err
		}
	}
	if err := m.checkTopics(ctx, &p, s.Topics, &s.Domains); err != nil {
		return err
	}
	ids := make([]ID, len(s.Deployments))
	for i, d := range s.Deployments {
		ids[i] = d.City
	}
	if err := m.checkRefs(ctx, &p, ids, func(i int) string { return index("deployments", i) + ".city" }); err != nil {
		return err
	}
	if err := m.checkFiles(ctx, &p, s); err != nil {
		return err
	}
	s.place(m.clock())
	return p.err()
}

// Solution returns a solution, or ErrNotFound.
func (m *Market) Solution(ctx context.Context, id ID) (*Solution, error) {
	return get[*Solution](ctx, m, id)
}

// SolutionBySlug returns the solution that has this slug, or ErrNotFound.
func (m *Market) SolutionBySlug(ctx context.Context, slug string) (*Solution, error) {
	return bySlugOf[*Solution](ctx, m, KindSolution, slug)
}

// Solutions lists solutions.
func (m *Market) Solutions(ctx context.Context, l Listing) (*Results[*Solution], error) {
	return list[*Solution](ctx, m, l, KindSolution)
}

// SolutionsOf lists the solutions of a company.
func (m *Market) SolutionsOf(ctx context.Context, company ID, l Listing) (*Results[*Solution], error) {
	return related[*Solution](ctx, m, KindSolution, FieldMember, company, l)
}

// SolutionsOn lists the solutions on a topic; on those below it, too, for a domain.
func (m *Market) SolutionsOn(ctx context.Context, topic ID, l Listing) (*Results[*Solution], error) {
	return related[*Solution](ctx, m, KindSolution, FieldTopic, topic, l)
}

// Names of the pages of solutions in the API.
type (
	SolutionConnection = Results[*Solution]
	SolutionEdge       = Edge[*Solution]
)
