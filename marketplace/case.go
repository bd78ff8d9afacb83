package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Case is what a member asks of the secretariat: a partner, in words ("a
// pilot city in South-East Asia by 1 March"). An officer takes it, looks for
// candidates (Candidacy), writes to them, and closes it with what came of it.
//
// The asker and the secretariat see it. Of the candidates the asker sees how
// many there are, and who they are once the officer has introduced them; what
// officers tell one another (VisibleHandOvers, CaseNote) only they see. So
// nothing of that stands in the marks of a case, which the asker's owners read.
type Case struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Asker   ID         `json:"asker"`   // member
	AskedBy ID         `json:"askedBy"` // user
	Status  CaseStatus `json:"status"`
	Officer ID         `json:"officer"` // user who has it, or had it when it was closed; empty: nobody
	// OfficerName is what the asker reads, who may not see the user.
	OfficerName string `json:"officerName,omitempty"`

	Wanted       Text          `json:"wanted"`
	About        ID            `json:"about,omitempty"` // a solution or a proposal, for which the partner is wanted
	PartnerTypes []PartnerType `json:"partnerTypes,omitempty"`
	Regions      []Region      `json:"regions,omitempty"`
	Countries    []Country     `json:"countries,omitempty"`
	DueOn        *Date         `json:"dueOn,omitempty"` // the last day on which a partner is of use, in UTC

	TakenAt   *time.Time   `json:"takenAt,omitempty"` // by the present officer
	Closing   *CaseClosing `json:"closing,omitempty"` // nil: it is not closed
	HandOvers []HandOver   `json:"handOvers,omitempty"`

	// DueAt is when DueOn has ended, and noDue where there is no such day, so
	// that lists by it have those at their end.
	DueAt time.Time `json:"dueAt"`
	// RemindAt is when officers are reminded next; nil: not any more.
	RemindAt *time.Time `json:"remindAt,omitempty"`
}

// KindCase is the kind of Case.
var KindCase = registerRecord("case", func() entity { return new(Case) },
	Index{Equal: []string{"asker"}, Sort: "createdAt"},
	Index{Equal: []string{"asker", "status"}, Sort: "createdAt"},
	Index{Equal: []string{"status"}, Sort: "dueAt"},
	Index{Equal: []string{"status", "officer"}, Sort: "dueAt"},
	Index{Sort: "createdAt"},
	Index{Sort: "remindAt"})

// A CaseStatus is a state in the life of a case.
type CaseStatus string

// The states of a case.
const (
	CaseOpen   CaseStatus = "OPEN"   // waits for an officer
	CaseTaken  CaseStatus = "TAKEN"  // an officer works on it
	CaseClosed CaseStatus = "CLOSED" // with an outcome
)

// CaseStatuses are all of them.
var CaseStatuses = []CaseStatus{CaseOpen, CaseTaken, CaseClosed}

// unclosed are the states in which something can come of a case.
var unclosed = []CaseStatus{CaseOpen, CaseTaken}

// A CaseMove is a step in the life of a case.
type CaseMove string

// The steps in the life of a case.
const (
	TakeCase     CaseMove = "TAKE"
	ReleaseCase  CaseMove = "RELEASE" // back to those that wait
	CloseCase    CaseMove = "CLOSE"
	WithdrawCase CaseMove = "WITHDRAW" // by the asker
	ReopenCase   CaseMove = "REOPEN"   // it waits for an officer again
)

// caseMoves is the life of a case. Handing it over to another officer changes
// no state.
var caseMoves = moves[CaseMove, CaseStatus]{
	{TakeCase, MayHandleCase, []CaseStatus{CaseOpen}, CaseTaken},
	{ReleaseCase, MayHandleCase, []CaseStatus{CaseTaken}, CaseOpen},
	{CloseCase, MayHandleCase, unclosed, CaseClosed},
	{WithdrawCase, MayWithdrawCase, unclosed, CaseClosed},
	{ReopenCase, MayReopenCase, []CaseStatus{CaseClosed}, CaseOpen},
}

// A CaseOutcome is what came of a case.
type CaseOutcome string

// The outcomes of cases.
const (
	CasePartnerFound CaseOutcome = "PARTNER_FOUND"
	CaseNotFound     CaseOutcome = "NOT_FOUND"
	CaseOutOfScope   CaseOutcome = "OUT_OF_SCOPE" // nothing that the network can help with
	CaseWithdrawn    CaseOutcome = "WITHDRAWN"    // the asker does not look any more
)

// CaseOutcomes are all of them.
var CaseOutcomes = []CaseOutcome{CasePartnerFound, CaseNotFound, CaseOutOfScope, CaseWithdrawn}

// A CaseClosing says how a case ended; asker and secretariat read it.
type CaseClosing struct {
	At       time.Time   `json:"at"`
	By       ID          `json:"by"` // user
	Outcome  CaseOutcome `json:"outcome"`
	Partners []ID        `json:"partners,omitempty"` // members; of a partner that was found
	Note     *string     `json:"note,omitempty"`
}

// A HandOver is how a case came from one officer to another one.
type HandOver struct {
	At   time.Time `json:"at"`
	From ID        `json:"from"` // user
	To   ID        `json:"to"`   // user
	Note *string   `json:"note,omitempty"`
}

const (
	maxOpenCases = 20 // of a member
	maxHandOvers = 50
	maxPartners  = 10
	maxWanted    = 5000
	maxCaseNote  = 2000
)

// noDue is when a case is due that has no day.
var noDue = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

func (*Case) kind() Kind           { return KindCase }
func (c *Case) parties() []ID      { return []ID{c.Asker} }
func (c *Case) audience() []Group  { return []Group{Group(c.Asker), Secretariat} }
func (c *Case) texts() []NamedText { return []NamedText{{"wanted", &c.Wanted}} }
func (c *Case) isClosed() bool     { return c.Status == CaseClosed }

// IsNode marks cases as something with an id of its own.
func (*Case) IsNode() {}

func (c *Case) refs() []ID {
	refs := []ID{c.Asker, c.AskedBy, c.Officer, c.About, caseTallyID(c.ID)}
	if c.Closing != nil {
		refs = append(append(refs, c.Closing.By), c.Closing.Partners...)
	}
	for _, h := range c.HandOvers {
		refs = append(refs, h.From, h.To)
	}
	return refs
}

func (c *Case) validate(p *problems) {
	if !isMember(c.Asker) {
		p.add("asker", "INVALID", "must be the id of a member")
	}
	checkOne(p, "status", c.Status, CaseStatuses)
	c.Wanted.check(p, "wanted", maxWanted, true)
	if k := c.About.Kind(); c.About != "" && k != KindSolution && k != KindProposal {
		p.add("about", "INVALID", "must be the id of a solution or a proposal")
	}
	checkSet(p, "partnerTypes", c.PartnerTypes, len(PartnerTypes), oneOf(PartnerTypes), fmt.Sprintf("must be one of %v", PartnerTypes))
	checkRegions(p, "regions", c.Regions)
	checkCountries(p, "countries", c.Countries)
	c.DueOn.check(p, "dueOn")
	if e := c.Closing; e != nil {
		checkOne(p, "outcome", e.Outcome, CaseOutcomes)
		checkString(p, "note", text(e.Note), maxCaseNote, e.Outcome == CaseNotFound || e.Outcome == CaseOutOfScope)
		checkSet(p, "partners", e.Partners, maxPartners, isMember, "must be the id of a member")
		if (e.Outcome == CasePartnerFound) != (len(e.Partners) > 0) {
			p.addf("partners", "REQUIRED", "must be named where the outcome is %s, and only there", CasePartnerFound)
		}
	}
	for _, h := range c.HandOvers {
		checkString(p, "note", text(h.Note), maxCaseNote, false)
	}
}

// seeking is the side of a case that looks for a partner.
func seeking(doc entity) []ID {
	if c, ok := doc.(*Case); ok {
		return []ID{c.Asker}
	}
	return nil
}

// OfficerCalled is the name of the officer; nil where nobody has it.
func (c *Case) OfficerCalled() *string { return maybe(c.OfficerName) }

// VisibleHandOvers are the officers from and to whom it was handed over,
// oldest first, for the secretariat; nil for others.
func (c *Case) VisibleHandOvers(ctx context.Context) []*HandOver {
	if !onSide(ctx) {
		return nil
	}
	out := make([]*HandOver, len(c.HandOvers))
	for i := range out {
		out[i] = &c.HandOvers[i]
	}
	return out
}

// caseContent are the fields that a client may give.
var caseContent = []string{"wanted", "about", "partnerTypes", "regions", "countries", "dueOn"}

// limitCase is for each user.
var limitCase = limited{name: "case", account: throttleLimit{20, 5 * time.Minute}}

// AskForPartnerInput is what AskForPartner takes.
type AskForPartnerInput struct {
	Member  ID // who asks
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// AskForPartner asks the secretariat for a partner of a member. A member has
// at most 20 cases that are not closed.
func (m *Market) AskForPartner(ctx context.Context, in AskForPartnerInput) (*Case, error) {
	asker, err := m.Member(ctx, in.Member)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("member", "NOT_FOUND", "there is no such member")
	} else if err != nil {
		return nil, err
	}
	c := &Case{Meta: Meta{IsSample: asker.meta().IsSample}, Asker: in.Member, AskedBy: actorOf(ctx).User, Status: CaseOpen}
	if err := MayAskForPartner.check(ctx, c); err != nil {
		return nil, err
	}
	return keyed(ctx, m, c, in.Key, func(ctx context.Context, c *Case) error {
		if err := m.limit(ctx, limitCase, string(c.AskedBy)); err != nil {
			return err
		}
		c.CreatedAt = m.clock()
		if err := m.fillCase(ctx, c, in.Content); err != nil {
			return err
		}
		if err := m.mayOpenCase(ctx, c.Asker); err != nil {
			return err
		}
		return create(ctx, m, MayAskForPartner, c)
	})
}

// fillCase changes the content of a case, and what follows from it. A day
// that has passed can stay where it was, but not be given.
func (m *Market) fillCase(ctx context.Context, c *Case, content Patch) error {
	before := c.About
	if err := applyPatch(content, c, caseContent); err != nil {
		return err
	}
	now := m.clock()
	c.plan(now)
	var p problems
	if content["dueOn"] != nil && c.DueOn != nil && !c.DueAt.After(now) {
		p.add("dueOn", "OUT_OF_RANGE", "must not lie in the past")
	}
	if c.About != before {
		if err := m.checkRefs(ctx, &p, []ID{c.About}, func(int) string { return "about" }); err != nil {
			return err
		}
	}
	return p.err()
}

// mayOpenCase says what stands against one more case of a member. Commands at
// the same moment can exceed the bound by as many as they are.
func (m *Market) mayOpenCase(ctx context.Context, asker ID) error {
	n, err := m.count(ctx, KindCase, Query{Where: []Condition{{Field: "asker", Op: Eq, Value: asker}, {Field: "status", Op: In, Values: values(unclosed)}},
		Sort: "createdAt", Limit: maxOpenCases})
	if err == nil && n >= maxOpenCases {
		return invalid("", "TOO_MANY", fmt.Sprintf("at most %d cases of a member that are not closed: close or withdraw one first", maxOpenCases))
	}
	return err
}

// EditCaseInput is what EditCase takes.
type EditCaseInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditCase changes what is wanted, as long as the case is not closed.
func (m *Market) EditCase(ctx context.Context, in EditCaseInput) (*Case, error) {
	return update(ctx, m, MayEditCase, in.ID, versionOf(in.Version), func(c *Case) error {
		if c.isClosed() {
			return invalid("id", "INVALID", "is closed: reopen it first")
		}
		c.mark("EDIT", fieldsOf(in.Content))
		return m.fillCase(ctx, c, in.Content)
	})
}

// MoveCaseInput is what MoveCase takes.
type MoveCaseInput struct {
	ID       ID
	Version  *int
	Move     CaseMove
	Outcome  *CaseOutcome // needed for CLOSE, and only there
	Partners []ID         // members that were introduced; needed for PARTNER_FOUND, and only there
	Note     *string      // read by both sides; needed for NOT_FOUND and OUT_OF_SCOPE
}

// MoveCase takes a step in the life of a case.
func (m *Market) MoveCase(ctx context.Context, in MoveCaseInput) (*Case, error) {
	step, err := caseMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	name, err := m.ownName(ctx)
	if err != nil {
		return nil, err
	}
	c, err := update(ctx, m, step.may, in.ID, versionOf(in.Version), func(c *Case) error {
		now := m.clock()
		if err := step.take(&c.Meta, &c.Status, cut(text(in.Note), maxNote/2)); err != nil {
			return err
		}
		if (step.name == CloseCase) != (in.Outcome != nil) {
			return invalid("outcome", "REQUIRED", fmt.Sprintf("must be given for %s, and only there", CloseCase))
		}
		switch step.name {
		case TakeCase:
			c.Officer, c.OfficerName, c.TakenAt = actorOf(ctx).User, name, &now
		case ReleaseCase:
			c.Officer, c.OfficerName, c.TakenAt = "", "", nil
		case ReopenCase:
			c.Officer, c.OfficerName, c.TakenAt, c.Closing = "", "", nil, nil
			if err := m.mayOpenCase(ctx, c.Asker); err != nil {
				return err
			}
		case CloseCase:
			c.Closing = &CaseClosing{At: now, By: actorOf(ctx).User, Outcome: *in.Outcome, Partners: in.Partners, Note: maybe(text(in.Note))}
			if c.Officer == "" {
				c.Officer, c.OfficerName = actorOf(ctx).User, name
			}
		case WithdrawCase:
			c.Closing = &CaseClosing{At: now, By: actorOf(ctx).User, Outcome: CaseWithdrawn, Note: maybe(text(in.Note))}
		}
		c.plan(now)
		if step.name != CloseCase && len(in.Partners) > 0 {
			return invalid("partners", "INVALID", fmt.Sprintf("are named for the outcome %s", CasePartnerFound))
		}
		return m.checkPartners(ctx, c)
	})
	if err == nil {
		m.followCase(ctx, c)
	}
	return c, err
}

// ownName is the name of whoever acts; empty for the program itself.
func (m *Market) ownName(ctx context.Context) (string, error) {
	return m.userName(ctx, actorOf(ctx).User)
}

func (m *Market) userName(ctx context.Context, id ID) (string, error) {
	u, err := get[*User](withSight(ctx), m, id)
	if err != nil {
		return "", ignore(err, ErrNotFound)
	}
	return u.Name, nil
}

// checkPartners reports partners that were found whom the asker does not know.
func (m *Market) checkPartners(ctx context.Context, c *Case) error {
	if c.Closing == nil || len(c.Closing.Partners) == 0 || len(c.Closing.Partners) > maxPartners {
		return nil
	}
	ids := make([]ID, len(c.Closing.Partners))
	for i, partner := range c.Closing.Partners {
		ids[i] = candidacyID(c.ID, partner)
	}
	docs, err := m.load(withSight(ctx), ids)
	if err != nil {
		return err
	}
	var p problems
	for i, doc := range docs {
		if d, ok := doc.(*Candidacy); !ok || d.Status != CandidateChosen {
			p.addf(index("partners", i), "INVALID", "must be a candidate of this case who is %s", CandidateChosen)
		}
	}
	return p.err()
}

// HandOverCaseInput is what HandOverCase takes.
type HandOverCaseInput struct {
	ID      ID
	Version *int // that was read; nil: any
	To      ID   // user: an officer or administrator of the secretariat
	Note    *string
}

// HandOverCase gives a case that was taken to another officer. The note is
// for the secretariat.
func (m *Market) HandOverCase(ctx context.Context, in HandOverCaseInput) (*Case, error) {
	name, err := m.userName(ctx, in.To)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, MayHandleCase, in.ID, versionOf(in.Version), func(c *Case) error {
		if c.Status != CaseTaken {
			return invalid("id", "INVALID", fmt.Sprintf("can be handed over while it is %s, and is %s", CaseTaken, c.Status))
		}
		t, err := m.team(withSight(ctx), "")
		if err != nil {
			return err
		}
		if i := t.find(in.To); i < 0 || t.People[i].Role == TeamRole(SecretariatEditor) {
			return invalid("to", "NOT_FOUND", "there is no such officer")
		}
		if in.To == c.Officer {
			return invalid("to", "INVALID", "has it already")
		}
		if len(c.HandOvers) >= maxHandOvers {
			return invalid("id", "TOO_MANY", fmt.Sprintf("was handed over %d times: close it and ask anew", maxHandOvers))
		}
		now := m.clock()
		c.HandOvers = append(c.HandOvers, HandOver{At: now, From: c.Officer, To: in.To, Note: maybe(text(in.Note))})
		c.mark("HAND_OVER", "", in.To)
		c.Officer, c.OfficerName, c.TakenAt = in.To, name, &now
		return nil
	})
}

// Case returns a case, or ErrNotFound.
func (m *Market) Case(ctx context.Context, id ID) (*Case, error) { return get[*Case](ctx, m, id) }

// PartnersOf are the members that were found, as far as the viewer may see them.
func (m *Market) PartnersOf(ctx context.Context, c *CaseClosing) ([]Member, error) {
	return several[Member](ctx, m, c.Partners)
}

// CasePermissions are what a viewer may do with a case now.
type CasePermissions struct {
	Edit     bool
	Handle   bool // add candidates, write notes, and see both
	HandOver bool
	Moves    []CaseMove
}

// CasePermissions says what the viewer may do with a case now.
func (m *Market) CasePermissions(ctx context.Context, c *Case) *CasePermissions {
	handles := MayHandleCase.allows(ctx, c)
	return &CasePermissions{
		Edit:     !c.isClosed() && MayEditCase.allows(ctx, c),
		Handle:   handles,
		HandOver: handles && c.Status == CaseTaken,
		Moves:    caseMoves.open(ctx, c, c.Status),
	}
}

// CaseFilter narrows the list of all cases.
type CaseFilter struct {
	Statuses []CaseStatus // empty: those that are not closed
	Officer  *ID          // user who has them; nil: anybody's
}

// CaseQueue lists the cases of the whole network, those first that are due
// first, for the secretariat.
func (m *Market) CaseQueue(ctx context.Context, f CaseFilter, s Slice) (*Page[*Case], error) {
	if err := MaySeeCases.checkFor(ctx); err != nil {
		return nil, err
	}
	where, err := caseStatuses(f.Statuses, unclosed)
	if err != nil {
		return nil, err
	}
	q := Query{Where: []Condition{where}, Sort: "dueAt"}
	if f.Officer != nil {
		q.Where = append(q.Where, Condition{Field: "officer", Op: Eq, Value: *f.Officer})
	}
	return page[*Case](ctx, m, KindCase, q, s)
}

// Cases lists what a member asked for, newest first, for its people and the
// secretariat. For others the list is empty, whatever there is.
func (m *Market) Cases(ctx context.Context, member ID, statuses []CaseStatus, s Slice) (*Page[*Case], error) {
	where, err := caseStatuses(statuses, CaseStatuses)
	if err != nil {
		return nil, err
	}
	if !isMember(member) {
		return nil, invalid("member", "INVALID", "must be the id of a member")
	}
	if !onSide(ctx, member) {
		return emptyPage[*Case](s)
	}
	return page[*Case](ctx, m, KindCase, Query{Where: []Condition{{Field: "asker", Op: Eq, Value: member}, where}, Sort: "createdAt", Descending: true}, s)
}

func caseStatuses(wanted, otherwise []CaseStatus) (Condition, error) {
	var p problems
	checkSet(&p, "statuses", wanted, len(CaseStatuses), oneOf(CaseStatuses), fmt.Sprintf("must be one of %v", CaseStatuses))
	if len(wanted) == 0 {
		wanted = otherwise
	}
	return Condition{Field: "status", Op: In, Values: values(slices.Clone(wanted))}, p.err()
}

// Names of the pages of cases in the API.
type (
	CaseConnection = Page[*Case]
	CaseEdge       = PageEdge[*Case]
)
