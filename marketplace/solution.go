package marketplace

import (
	"context"
	"fmt"
	"time"
)

// A Solution is what a company offers to cities.
type Solution struct {
	Meta `json:",inline"`

	Company      ID             `json:"company"`
	Status       SolutionStatus `json:"status"`
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
}

// KindSolution is the kind of Solution.
var KindSolution = register("solution", func() entity { return new(Solution) })

// A SolutionStatus is a state in the life of a solution.
type SolutionStatus string

// The states of a solution.
const (
	SolutionDraft     SolutionStatus = "DRAFT"     // seen by its company and the secretariat
	SolutionInReview  SolutionStatus = "IN_REVIEW" // waits for the secretariat
	SolutionPublished SolutionStatus = "PUBLISHED" // seen by everybody
	SolutionArchived  SolutionStatus = "ARCHIVED"  // no longer offered; seen as a draft is
)

// solutionLife says which state may follow which.
var solutionLife = map[SolutionStatus][]SolutionStatus{
	SolutionDraft:     {SolutionInReview, SolutionArchived},
	SolutionInReview:  {SolutionDraft, SolutionPublished},
	SolutionPublished: {SolutionArchived, SolutionDraft},
	SolutionArchived:  {SolutionDraft},
}

// A Deployment is a solution in use somewhere: the evidence for it.
type Deployment struct {
	Place   string  `json:"place"`
	Country Country `json:"country"`
	Member  ID      `json:"member,omitempty"` // the city, where it is a member
	Year    int     `json:"year"`             // in which it went into use
	Result  Text    `json:"result,omitempty"`
	Link    string  `json:"link,omitempty"`
}

// Media is a link to a picture, a video or a document.
type Media struct {
	Type  MediaType `json:"kind"`
	URL   string    `json:"url"`
	Title Text      `json:"title,omitempty"`
}

// A MediaType is what a link leads to.
type MediaType string

// MediaTypes are all of them.
var MediaTypes = []MediaType{"IMAGE", "VIDEO", "DOCUMENT"}

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
		if d.Member != "" {
			refs = append(refs, d.Member)
		}
	}
	return refs
}

func (s *Solution) validate(p *problems) {
	if s.Company.Kind() != KindCompany {
		p.add("company", "INVALID", "must be the id of a company")
	}
	if solutionLife[s.Status] == nil {
		p.add("status", "INVALID", "must be DRAFT, IN_REVIEW, PUBLISHED or ARCHIVED")
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
	if p.max("media", len(s.Media), 30) {
		for i, m := range s.Media {
			checkOne(p, index("media", i)+".type", m.Type, MediaTypes)
			checkURL(p, index("media", i)+".url", m.URL, true)
			m.Title.check(p, index("media", i)+".title", 200, false)
		}
	}
}

func (d *Deployment) check(p *problems, path string) {
	checkString(p, path+".place", d.Place, 200, true)
	checkCountry(p, path+".country", d.Country)
	if d.Member != "" && d.Member.Kind() != KindCity {
		p.add(path+".member", "INVALID", "must be the id of a city")
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
		{"title", s.Title}, {"summary", s.Summary}, {"description", s.Description},
		{"technologies", plain(s.Technologies)},
	}
	for i, d := range s.Deployments {
		texts = append(texts, NamedText{fmt.Sprintf("deployments[%d].place", i), plain([]string{d.Place})})
		texts = append(texts, NamedText{fmt.Sprintf("deployments[%d].result", i), d.Result})
	}
	return append(texts, NamedText{"standards", plain(s.Standards)}, NamedText{"priceNote", s.PriceNote})
}

// plain makes terms that are the same in every language a Text: they are
// English where they are words at all.
func plain(terms []string) Text {
	if len(terms) == 0 {
		return nil
	}
	t := Text{{Language: english}}
	for i, s := range terms {
		if i > 0 {
			t[0].Text += ", "
		}
		t[0].Text += s
	}
	return t
}

func (s *Solution) entry(e *Entry) bool {
	if s.PublishedAt != nil {
		e.Newest = *s.PublishedAt
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

// MoveSolution brings a solution into another state of its life.
func (m *Market) MoveSolution(ctx context.Context, id ID, version int, to SolutionStatus) (*Solution, error) {
	may := MayEditSolution
	if to == SolutionPublished {
		may = MayReviewSolution
	}
	return update(ctx, m, may, id, version, func(s *Solution) error {
		if !oneOf(solutionLife[s.Status])(to) {
			return invalid("status", "INVALID", fmt.Sprintf("a solution that is %s can become %v", s.Status, solutionLife[s.Status]))
		}
		s.Status = to
		s.place(m.clock())
		return nil
	})
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
		ids[i] = d.Member
	}
	if err := m.checkRefs(ctx, &p, ids, func(i int) string { return index("deployments", i) + ".member" }); err != nil {
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
