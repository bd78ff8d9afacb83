package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// An Offer is a company's answer to a proposal: one of its solutions, with a
// message. It is seen by the two sides and the secretariat.
//
// It is made while the proposal takes offers: CreatedAt is the moment that
// was compared with the deadline, so no offer is ever later than it. A city
// that closes its proposal at the same time closes it for those who come
// after: an offer that found it open stands, and the city decides on it as on
// any other. Taking one offer decides nothing about the others, since a
// project may have several partners: the city declines them one by one, and
// closes the proposal when it wants no more.
type Offer struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Proposal ID          `json:"proposal"`
	City     ID          `json:"city"`    // the proposal's
	Company  ID          `json:"company"` // the solution's
	Solution ID          `json:"solution"`
	Status   OfferStatus `json:"status"`

	Message Text    `json:"message"`
	Links   []Media `json:"links,omitempty"` // documents, elsewhere or uploaded

	// Reason is what was said with the latest step; both sides read it.
	Reason    *string    `json:"reason,omitempty"`
	DecidedAt *time.Time `json:"decidedAt,omitempty"` // when it was declined or taken
}

// KindOffer is the kind of Offer.
var KindOffer = registerRecord("offer", func() entity { return new(Offer) },
	Index{Equal: []string{"proposal", "status"}, Sort: "createdAt"},
	Index{Equal: []string{"proposal", "company", "status"}, Sort: "createdAt"},
	Index{Equal: []string{"company", "status"}, Sort: "createdAt"},
	Index{Equal: []string{"city", "status"}, Sort: "createdAt"},
	Index{Equal: []string{"company"}, Sort: "createdAt"},
	Index{Equal: []string{"city"}, Sort: "createdAt"})

// An OfferStatus is a state in the life of an offer.
type OfferStatus string

// The states of an offer.
const (
	OfferSubmitted   OfferStatus = "SUBMITTED"   // waits for the city; can still be changed
	OfferShortlisted OfferStatus = "SHORTLISTED" // among those that the city looks at more closely
	OfferDeclined    OfferStatus = "DECLINED"    // with a reason
	OfferTaken       OfferStatus = "TAKEN"       // the city goes on with it
	OfferWithdrawn   OfferStatus = "WITHDRAWN"   // by the company
)

// OfferStatuses are all of them.
var OfferStatuses = []OfferStatus{OfferSubmitted, OfferShortlisted, OfferDeclined, OfferTaken, OfferWithdrawn}

// An OfferMove is a step in the life of an offer.
type OfferMove string

// offerMoves is the life of an offer. A city that changes its mind about an
// offer that it declined shortlists it; what was taken or withdrawn stays so.
var offerMoves = moves[OfferMove, OfferStatus]{
	{"SHORTLIST", MayDecideOffer, []OfferStatus{OfferSubmitted, OfferDeclined}, OfferShortlisted},
	{"DECLINE", MayDecideOffer, []OfferStatus{OfferSubmitted, OfferShortlisted}, OfferDeclined},
	{"TAKE", MayDecideOffer, []OfferStatus{OfferSubmitted, OfferShortlisted}, OfferTaken},
	{"WITHDRAW", MayWithdrawOffer, []OfferStatus{OfferSubmitted, OfferShortlisted}, OfferWithdrawn},
}

func (*Offer) kind() Kind           { return KindOffer }
func (o *Offer) parties() []ID      { return []ID{o.City, o.Company} }
func (o *Offer) audience() []Group  { return []Group{Group(o.City), Group(o.Company), Secretariat} }
func (o *Offer) texts() []NamedText { return []NamedText{{"message", &o.Message}} }

func (o *Offer) refs() []ID {
	return append([]ID{o.Proposal, o.City, o.Company, o.Solution}, uploadsIn(o)...)
}

func (o *Offer) files() []attachment { return filesOf("links", o.Links) }

// IsNode marks offers as something with an id of its own.
func (*Offer) IsNode() {}

// A solution is offered once on a proposal, until that offer is withdrawn.
func (o *Offer) claims() []string {
	if o.Status == OfferWithdrawn {
		return nil
	}
	return []string{"solution:" + string(o.Solution) + " on " + string(o.Proposal)}
}

func (o *Offer) validate(p *problems) {
	checkOne(p, "status", o.Status, OfferStatuses)
	o.Message.check(p, "message", 5000, true)
	checkMedia(p, "links", o.Links, 10)
	checkString(p, "reason", text(o.Reason), 2000, o.Status == OfferDeclined)
}

// offering is the side of an offer that makes it, and deciding the other one.
func offering(doc entity) []ID {
	if o, ok := doc.(*Offer); ok {
		return []ID{o.Company}
	}
	return nil
}

func deciding(doc entity) []ID {
	if o, ok := doc.(*Offer); ok {
		return []ID{o.City}
	}
	return nil
}

var offerContent = []string{"message", "links"}

// limitOffer is for each user.
var limitOffer = limited{name: "offer", account: throttleLimit{20, time.Minute}}

// MakeOfferInput is what MakeOffer takes.
type MakeOfferInput struct {
	Proposal ID
	Solution ID // published; its company makes the offer
	Content  Patch
	Key      *string // a word of the client's own: the same word makes no second one
}

// MakeOffer offers a solution on a proposal that takes offers.
func (m *Market) MakeOffer(ctx context.Context, in MakeOfferInput) (*Offer, error) {
	var p problems
	r, err := m.Proposal(ctx, in.Proposal)
	if err != nil {
		if err := p.missing(err, "proposal", "proposal"); err != nil {
			return nil, err
		}
	}
	s, err := m.Solution(ctx, in.Solution)
	if err != nil {
		if err := p.missing(err, "solution", "solution"); err != nil {
			return nil, err
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	o := &Offer{Meta: Meta{IsSample: r.IsSample || s.IsSample}, Proposal: r.ID, City: r.City, Company: s.Company, Solution: s.ID, Status: OfferSubmitted}
	if err := MayMakeOffer.check(ctx, o); err != nil {
		return nil, err
	}
	return keyed(ctx, m, o, in.Key, func(ctx context.Context, o *Offer) error {
		if err := m.limit(ctx, limitOffer, string(actorOf(ctx).User)); err != nil {
			return err
		}
		if s.Status != SolutionPublished {
			return invalid("solution", "INVALID", "must be published before it can be offered")
		}
		o.CreatedAt = m.clock()
		if err := r.takesOffers(o.CreatedAt); err != nil {
			return err
		}
		if err := applyPatch(in.Content, o, offerContent); err != nil {
			return err
		}
		if err := m.mustHaveFiles(ctx, o); err != nil {
			return err
		}
		err := create(ctx, m, MayMakeOffer, o)
		if taken(err, "solution") {
			return invalid("solution", "TAKEN", "is offered on this proposal already: edit that offer, or withdraw it first")
		}
		return err
	})
}

// takesOffers says what stands against making or changing an offer at a moment.
func (r *Proposal) takesOffers(now time.Time) error {
	switch {
	case r.isOpen(now):
		return nil
	case r.Status == ProposalPublished:
		return invalid("proposal", "OUT_OF_RANGE", fmt.Sprintf("takes no more offers: its deadline was %s in %s", *r.Deadline, r.TimeZone))
	}
	return invalid("proposal", "INVALID", fmt.Sprintf("takes offers while it is %s, and is %s", ProposalPublished, r.Status))
}

// EditOfferInput is what EditOffer takes.
type EditOfferInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditOffer changes what an offer says, until the city has begun to look at
// it closely or the proposal takes no more offers.
func (m *Market) EditOffer(ctx context.Context, in EditOfferInput) (*Offer, error) {
	return update(ctx, m, MayEditOffer, in.ID, versionOf(in.Version), func(o *Offer) error {
		if o.Status != OfferSubmitted {
			return invalid("id", "INVALID", fmt.Sprintf("can be changed while it is %s, and is %s", OfferSubmitted, o.Status))
		}
		r, err := get[*Proposal](withSight(ctx), m, o.Proposal)
		if err != nil {
			return err
		}
		if err := r.takesOffers(m.clock()); err != nil {
			return err
		}
		o.mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, o, offerContent); err != nil {
			return err
		}
		return m.mustHaveFiles(ctx, o)
	})
}

// MoveOfferInput is what MoveOffer takes.
type MoveOfferInput struct {
	ID      ID
	Version *int
	Move    OfferMove
	Reason  *string // needed for DECLINE; read by both sides
}

// MoveOffer takes a step in the life of an offer, whether or not the proposal
// still takes offers.
func (m *Market) MoveOffer(ctx context.Context, in MoveOfferInput) (*Offer, error) {
	step, err := offerMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, step.may, in.ID, versionOf(in.Version), func(o *Offer) error {
		if err := step.take(&o.Meta, &o.Status, text(in.Reason)); err != nil {
			return err
		}
		o.Reason, o.DecidedAt = maybe(text(in.Reason)), nil
		if o.Status == OfferDeclined || o.Status == OfferTaken {
			o.DecidedAt = new(m.clock())
		}
		return nil
	})
}

// Offer returns an offer, or ErrNotFound.
func (m *Market) Offer(ctx context.Context, id ID) (*Offer, error) { return get[*Offer](ctx, m, id) }

// OfferPermissions are what a viewer may do with an offer now.
type OfferPermissions struct {
	Edit  bool
	Moves []OfferMove
}

// OfferPermissions says what the viewer may do with an offer now.
func (m *Market) OfferPermissions(ctx context.Context, o *Offer) (*OfferPermissions, error) {
	p := &OfferPermissions{Moves: offerMoves.open(ctx, o, o.Status)}
	if o.Status != OfferSubmitted || !MayEditOffer.allows(ctx, o) {
		return p, nil
	}
	r, err := get[*Proposal](ctx, m, o.Proposal)
	p.Edit = err == nil && r.isOpen(m.clock())
	return p, ignore(err, ErrNotFound)
}

// mayOffer says whether the viewer may make an offer on a proposal now.
func (m *Market) mayOffer(ctx context.Context, r *Proposal) bool {
	return r.isOpen(m.clock()) && MayMakeOffer.checkFor(ctx, actorOf(ctx).members(KindCompany)...) == nil
}

// Offers lists offers, newest first: of a proposal, all of them for its city
// and the secretariat, their own for companies; of a company or of a city for
// its people and the secretariat. For others the list is empty, whatever
// there is.
func (m *Market) Offers(ctx context.Context, of ID, statuses []OfferStatus, s Slice) (*Page[*Offer], error) {
	var p problems
	checkSet(&p, "statuses", statuses, len(OfferStatuses), oneOf(OfferStatuses), fmt.Sprintf("must be one of %v", OfferStatuses))
	if err := p.err(); err != nil {
		return nil, err
	}
	if len(statuses) == 0 {
		statuses = OfferStatuses
	}
	q := Query{Where: []Condition{{Field: "status", Op: In, Values: values(statuses)}}, Sort: "createdAt", Descending: true}
	side := of
	switch kind := of.Kind(); kind {
	case KindProposal:
		r, err := get[*Proposal](withSight(ctx), m, of)
		if err := ignore(err, ErrNotFound); err != nil {
			return nil, err
		}
		side = ""
		if r != nil {
			side = r.City
		}
		q.Where = append(q.Where, Condition{Field: "proposal", Op: Eq, Value: of})
		if own := actorOf(ctx).members(KindCompany); !onSide(ctx, side) && len(own) > 0 {
			q.Where = append(q.Where, Condition{Field: "company", Op: In, Values: values(own)})
			return page[*Offer](ctx, m, KindOffer, q, s)
		}
	case KindCompany, KindCity:
		q.Where = append(q.Where, Condition{Field: string(kind), Op: Eq, Value: of})
	default:
		return nil, invalid("of", "INVALID", "must be the id of a proposal, a company or a city")
	}
	if !onSide(ctx, side) {
		return emptyPage[*Offer](s)
	}
	return page[*Offer](ctx, m, KindOffer, q, s)
}

// onSide says whether the viewer is one of a member's people or of the secretariat.
func onSide(ctx context.Context, members ...ID) bool {
	return slices.Contains(groupsOf(ctx), Secretariat) || onTeam(ctx, members...)
}

// onTeam says whether the viewer is one of a member's people.
func onTeam(ctx context.Context, members ...ID) bool {
	groups := groupsOf(ctx)
	return slices.ContainsFunc(members, func(id ID) bool { return slices.Contains(groups, Group(id)) })
}

// Names of the pages of offers in the API.
type (
	OfferConnection = Page[*Offer]
	OfferEdge       = PageEdge[*Offer]
)
