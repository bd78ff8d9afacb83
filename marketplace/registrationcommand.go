package marketplace

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// memberKindOf is the kind of a member.
func memberKindOf(id ID) MemberKind { return MemberKind(strings.ToUpper(string(id.Kind()))) }

var registrationContent = []string{"delegates", "minimum", "maximum", "wantsInterpreter", "pitch"}

// ownRegistration are the columns of a member's registrations in its export.
var ownRegistration = plainColumns("id", "event", "member", "status", "requestedAt", "delegates", "minimum", "maximum", "wantsInterpreter", "pitch", "languages",
	"arrivals", "substitutions", "reason", "decidedAt", "createdAt", "updatedAt")

// RegisterInput is what Register takes.
type RegisterInput struct {
	Event   ID
	Member  ID
	Content Patch
}

// Register registers a member for an event: its own people while the event
// takes registrations, the secretariat until it is closed. The secretariat
// decides on it.
func (m *Market) Register(ctx context.Context, in RegisterInput) (*Registration, error) {
	e, member, err := m.registrant(ctx, in)
	if err != nil {
		return nil, err
	}
	r := &Registration{Meta: Meta{ID: registrationID(e.ID, in.Member), IsSample: e.IsSample || member.meta().IsSample},
		Event: e.ID, Member: in.Member, Status: RegistrationRequested, RequestedAt: m.clock()}
	if err := MayRegister.check(ctx, r); err != nil {
		return nil, err
	}
	if err := m.mayRegister(ctx, e); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(e.Rules, func(x MeetingRule) bool { return x.From == memberKindOf(r.Member) || x.To == memberKindOf(r.Member) }) {
		return nil, invalid("member", "INVALID", "is of a kind that meets nobody at this event")
	}
	if err := applyPatch(in.Content, r, registrationContent); err != nil {
		return nil, err
	}
	if err := m.checkRegistration(ctx, r); err != nil {
		return nil, err
	}
	err = create(ctx, m, MayRegister, r)
	if taken(err, "id") {
		return nil, invalid("member", "TAKEN", "is registered already: edit that registration, or renew it where it was withdrawn")
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// registrant is the event and the member of a registration.
func (m *Market) registrant(ctx context.Context, in RegisterInput) (*Event, Member, error) {
	var p problems
	e, err := m.Event(ctx, in.Event)
	if err != nil {
		if err := p.missing(err, "event", "event"); err != nil {
			return nil, nil, err
		}
	}
	member, err := m.Member(ctx, in.Member)
	if err != nil {
		if err := p.missing(err, "member", "member"); err != nil {
			return nil, nil, err
		}
	}
	return e, member, p.err()
}

// mayRegister says what stands against registering for an event now.
func (m *Market) mayRegister(ctx context.Context, e *Event) error {
	if MayDecideRegistration.checkFor(ctx) != nil {
		return e.takesRegistrations(m.clock())
	}
	if e.Phase == EventDraft || e.Phase == EventClosed {
		return invalid("event", "INVALID", fmt.Sprintf("takes no registrations while it is %s", e.Phase))
	}
	return nil
}

// checkRegistration compares the references with what is there and derives
// what follows from them.
func (m *Market) checkRegistration(ctx context.Context, r *Registration) error {
	var p problems
	people, err := m.team(withSight(ctx), r.Member)
	if err != nil {
		return err
	}
	var users []ID
	for i := range r.Delegates {
		d := &r.Delegates[i]
		if d.User != "" && people.find(d.User) < 0 {
			p.add(index("delegates", i)+".user", "NOT_FOUND", "is nobody of the member's team")
		}
		users = append(users, d.User)
	}
	named, err := m.load(withSight(ctx), users[:min(len(users), maxDelegates)])
	if err != nil {
		return err
	}
	for i, doc := range named {
		if u, ok := doc.(*User); ok && r.Delegates[i].Name == "" {
			r.Delegates[i].Name = u.Name
		}
	}
	if err := m.setGone(ctx, r); err != nil {
		return err
	}
	if r.Languages, err = m.languagesOfDelegation(ctx, r); err != nil {
		return err
	}
	p.list = append(p.list, problemsOf(check(r))...)
	if err := m.checkFiles(ctx, &p, r); err != nil {
		return err
	}
	return p.err()
}

// languagesOfDelegation are those of its delegates, of the member where they name none.
func (m *Market) languagesOfDelegation(ctx context.Context, r *Registration) ([]Language, error) {
	var all []Language
	for _, d := range r.Delegates {
		for _, l := range d.Languages {
			if !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	member, err := m.Member(ctx, r.Member)
	if err != nil {
		return nil, err
	}
	return member.(interface{ spoken() []Language }).spoken(), nil
}

// EditRegistrationInput is what EditRegistration takes.
type EditRegistrationInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditRegistration changes what a registration says, until its event is closed.
func (m *Market) EditRegistration(ctx context.Context, in EditRegistrationInput) (*Registration, error) {
	return update(ctx, m, MayRegister, in.ID, versionOf(in.Version), func(r *Registration) error {
		e, err := m.eventOf(ctx, r.Event)
		if err != nil {
			return err
		}
		if e.Phase == EventClosed || !r.isOpen() {
			return invalid("id", "INVALID", "can be changed while it is open and its event is not over")
		}
		r.mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, r, registrationContent); err != nil {
			return err
		}
		return m.checkRegistration(ctx, r)
	})
}

// isOpen says that it was neither declined nor withdrawn.
func (r *Registration) isOpen() bool {
	return r.Status != RegistrationDeclined && r.Status != RegistrationWithdrawn
}

// MoveRegistrationInput is what MoveRegistration takes.
type MoveRegistrationInput struct {
	ID      ID
	Version *int
	Move    RegistrationMove
	Reason  *string // needed for DECLINE; read by the member and the secretariat
}

// MoveRegistration takes a step in the life of a registration. What is
// approved while there is no room, or while others wait who came before, goes
// onto the waiting list.
func (m *Market) MoveRegistration(ctx context.Context, in MoveRegistrationInput) (*Registration, error) {
	step, err := registrationMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	for range maxRetries {
		r, err := update(ctx, m, step.may, in.ID, versionOf(in.Version), func(r *Registration) error {
			return m.moveRegistration(ctx, r, step, text(in.Reason))
		})
		if !taken(err, "seat") {
			return r, err
		}
	}
	return nil, fmt.Errorf("marketplace: the seats of the event of %s are being taken all the time: %w", in.ID, ErrUnavailable)
}

func (m *Market) moveRegistration(ctx context.Context, r *Registration, step move[RegistrationMove, RegistrationStatus], reason string) error {
	e, err := m.eventOf(ctx, r.Event)
	if err != nil {
		return err
	}
	if e.Phase == EventClosed {
		return invalid("id", "INVALID", "its event is over")
	}
	if err := step.take(&r.Meta, &r.Status, reason); err != nil {
		return err
	}
	r.Reason, r.DecidedAt, r.Seat = maybe(reason), nil, nil
	switch r.Status {
	case RegistrationRequested:
		r.RequestedAt = m.clock()
		return m.mayRegister(ctx, e)
	case RegistrationDeclined:
		r.DecidedAt = new(m.clock())
	case RegistrationApproved:
		r.DecidedAt = new(m.clock())
		if r.Seat, err = m.seatFor(ctx, e, r); err == nil && r.Seat == nil {
			r.Status = RegistrationWaitlisted
			r.mark("WAITLIST", "REQUESTED to WAITLISTED")
		}
	}
	return err
}

// seatFor is a seat that can be given to a registration; nil where there is
// none, or somebody waits for one who came before.
func (m *Market) seatFor(ctx context.Context, e *Event, r *Registration) (*int, error) {
	waiting, err := find[*Registration](withSight(ctx), m, KindRegistration, registrationsIn(e.ID, 1, RegistrationWaitlisted))
	if err != nil {
		return nil, err
	}
	if len(waiting) > 0 && waiting[0].ID != r.ID && !r.RequestedAt.Before(waiting[0].RequestedAt) {
		return nil, nil
	}
	free, err := m.freeSeats(ctx, e)
	if err != nil || len(free) == 0 {
		return nil, err
	}
	return &free[rand.IntN(len(free))], nil // any of them, so that those who come at the same time seldom take the same
}

// seating brings those who wait longest into seats that have come free.
var seating = follower{name: "seats", kinds: []Kind{KindEvent, KindRegistration}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	switch doc := doc.(type) {
	case *Event:
		return m.moveUp(ctx, doc.ID)
	case *Registration:
		if doc.Seat == nil && doc.Status != RegistrationRequested {
			return m.moveUp(ctx, doc.Event)
		}
	}
	return nil
})}

// delegating keeps of registrations who of the delegates have left the member's
// team, or were suspended, so that their meetings are looked after and they
// are put into no more.
var delegating = follower{name: "delegations", kinds: []Kind{KindTeam, KindUser}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	switch doc := doc.(type) {
	case *Team:
		return m.noteGone(ctx, doc.Member)
	case *User:
		teams, err := find[*Team](ctx, m, KindTeam, Query{Where: []Condition{{Field: "people.user", Op: Has, Value: doc.ID}}, Limit: MaxPage})
		if err != nil {
			return err
		}
		for _, t := range teams {
			if err := m.noteGone(ctx, t.Member); err != nil {
				return err
			}
		}
	}
	return nil
})}

// noteGone looks at the delegates of a member's registrations for events that
// are not closed.
func (m *Market) noteGone(ctx context.Context, member ID) error {
	if member == "" {
		return nil // the secretariat
	}
	list, err := find[*Registration](ctx, m, KindRegistration, Query{Where: []Condition{{Field: "member", Op: Eq, Value: member}}, Sort: "createdAt", Descending: true, Limit: MaxPage})
	if err != nil {
		return err
	}
	for _, r := range list {
		if e, err := m.eventOf(ctx, r.Event); err != nil || e.Phase == EventClosed {
			if err := gone(err); err != nil {
				return err
			}
			continue
		}
		_, err := update(ctx, m, MayKeepEvents, r.ID, 0, func(r *Registration) error {
			before := r.Gone
			r.mark(unmarked, "")
			if err := m.setGone(ctx, r); err != nil || slices.Equal(before, r.Gone) {
				return cmp.Or(err, errUnchanged)
			}
			return nil
		})
		if err := ignore(ignore(err, errUnchanged), ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

func (m *Market) setGone(ctx context.Context, r *Registration) error {
	var users []ID
	for _, d := range r.Delegates {
		if d.User != "" {
			users = append(users, d.User)
		}
	}
	still, err := m.teammates(ctx, r.Member, users)
	if err != nil {
		return err
	}
	r.Gone = nil
	for i, u := range still {
		if u == nil {
			r.Gone = append(r.Gone, users[i])
		}
	}
	return nil
}

// isGone says whether a delegate has left the member's team.
func (r *Registration) isGone(d *Delegate) bool {
	return d.User != "" && slices.Contains(r.Gone, d.User)
}

// moveUp fills the free seats of an event from its waiting list. What it does
// once it need not do again.
func (m *Market) moveUp(ctx context.Context, event ID) error {
	for range maxRetries * maxParticipants {
		waiting, err := find[*Registration](ctx, m, KindRegistration, registrationsIn(event, 1, RegistrationWaitlisted))
		if err != nil || len(waiting) == 0 {
			return err
		}
		e, err := m.eventOf(ctx, event)
		if problemsOf(err) != nil || err == nil && (e.IsDeleted || e.Phase == EventClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		full := false
		_, err = update(ctx, m, MayKeepEvents, waiting[0].ID, 0, func(r *Registration) error {
			if r.Status != RegistrationWaitlisted {
				return errUnchanged
			}
			if r.Seat, err = m.seatFor(ctx, e, r); err != nil {
				return err
			}
			if full = r.Seat == nil; full {
				return errUnchanged
			}
			r.Status, r.DecidedAt = RegistrationApproved, new(m.clock())
			r.mark("MOVE_UP", "WAITLISTED to APPROVED")
			return nil
		})
		if err = ignore(ignore(err, errUnchanged), ErrNotFound); err != nil && !taken(err, "seat") {
			return err
		}
		if full {
			return nil
		}
	}
	return ErrUnavailable
}

// RegistrationPermissions are what a viewer may do with a registration now.
type RegistrationPermissions struct {
	Edit  bool
	Moves []RegistrationMove
	// Wish says that they can say whom the member wishes to meet.
	Wish bool
}

// RegistrationPermissions says what the viewer may do with a registration now.
func (m *Market) RegistrationPermissions(ctx context.Context, r *Registration) (*RegistrationPermissions, error) {
	can := &RegistrationPermissions{Moves: []RegistrationMove{}}
	e, err := get[*Event](ctx, m, r.Event)
	if err != nil || e.Phase == EventClosed {
		return can, ignore(err, ErrNotFound)
	}
	can.Edit = r.isOpen() && MayRegister.allows(ctx, r)
	can.Wish = r.Status == RegistrationApproved && m.TakesWishes(e) && MayWish.allows(ctx, r)
	can.Moves = slices.DeleteFunc(registrationMoves.open(ctx, r, r.Status), func(x RegistrationMove) bool {
		return x == RegistrationRenew && m.mayRegister(ctx, e) != nil
	})
	return can, nil
}

// Registration returns a registration, or ErrNotFound.
func (m *Market) Registration(ctx context.Context, id ID) (*Registration, error) {
	return get[*Registration](ctx, m, id)
}

// RegistrationOf returns the registration of a member for an event, or ErrNotFound.
func (m *Market) RegistrationOf(ctx context.Context, event, member ID) (*Registration, error) {
	return m.Registration(ctx, registrationID(event, member))
}

// Registrations lists registrations: for an event, in the order in which they
// were asked for, for the secretariat; of a member, newest first and in any
// state, for its people and the secretariat. For others the list is empty,
// whatever there is.
func (m *Market) Registrations(ctx context.Context, of ID, statuses []RegistrationStatus, s Slice) (*Page[*Registration], error) {
	var p problems
	checkSet(&p, "statuses", statuses, len(RegistrationStatuses), oneOf(RegistrationStatuses), fmt.Sprintf("must be one of %v", RegistrationStatuses))
	if err := p.err(); err != nil {
		return nil, err
	}
	switch {
	case of.Kind() == KindEvent && onSide(ctx):
		if len(statuses) == 0 {
			statuses = RegistrationStatuses
		}
		return page[*Registration](ctx, m, KindRegistration, registrationsIn(of, 0, statuses...), s)
	case isMember(of) && len(statuses) > 0:
		return nil, invalid("statuses", "INVALID", "goes with an event")
	case isMember(of) && onSide(ctx, of):
		return page[*Registration](ctx, m, KindRegistration, Query{Where: []Condition{{Field: "member", Op: Eq, Value: of}}, Sort: "createdAt", Descending: true}, s)
	case of.Kind() != KindEvent && !isMember(of):
		return nil, invalid("of", "INVALID", "must be the id of an event or a member")
	}
	return emptyPage[*Registration](s)
}

// Participants lists the registrations for an event that are approved, in the
// order in which they were asked for, for all members.
func (m *Market) Participants(ctx context.Context, e *Event, s Slice) (*Page[*Registration], error) {
	if !slices.Contains(groupsOf(ctx), Members) {
		return emptyPage[*Registration](s)
	}
	return page[*Registration](ctx, m, KindRegistration, registrationsIn(e.ID, 0, RegistrationApproved), s)
}

// VisibleDelegates are who comes, for its own people and the secretariat; nil for others.
func (r *Registration) VisibleDelegates(ctx context.Context) []Delegate {
	if !onSide(ctx, r.Member) {
		return nil
	}
	return r.Delegates
}

// VisibleMinimum is how many meetings it wants at the least, for its own
// people and the secretariat; nil where it says nothing.
func (r *Registration) VisibleMinimum(ctx context.Context) *int { return sideOnly(ctx, r, r.Minimum) }

// VisibleMaximum is how many meetings it wants at the most; see VisibleMinimum.
func (r *Registration) VisibleMaximum(ctx context.Context) *int { return sideOnly(ctx, r, r.Maximum) }

// VisibleReason is what was said with the latest step; see VisibleMinimum.
func (r *Registration) VisibleReason(ctx context.Context) *string { return sideOnly(ctx, r, r.Reason) }

// VisibleDecision is when it was decided on; see VisibleMinimum.
func (r *Registration) VisibleDecision(ctx context.Context) *time.Time {
	return sideOnly(ctx, r, r.DecidedAt)
}

// VisibleInterpreter says whether it wants an interpreter; see VisibleMinimum.
func (r *Registration) VisibleInterpreter(ctx context.Context) *bool {
	return sideOnly(ctx, r, &r.WantsInterpreter)
}

func sideOnly[T any](ctx context.Context, r *Registration, value *T) *T {
	if !onSide(ctx, r.Member) {
		return nil
	}
	return value
}

// A DelegateSlots says in which slots of the event a delegate can sit in meetings.
type DelegateSlots struct {
	Delegate Delegate
	Slots    []EventSlot
}

// FreeSlots says of each delegate when they can meet, for the member's own
// people and the secretariat; nil for others.
func (m *Market) FreeSlots(ctx context.Context, r *Registration) ([]*DelegateSlots, error) {
	if !onSide(ctx, r.Member) {
		return nil, nil
	}
	e, err := get[*Event](ctx, m, r.Event)
	if err != nil {
		return nil, ignore(err, ErrNotFound)
	}
	list := make([]*DelegateSlots, len(r.Delegates))
	for i, free := range e.Free(r) {
		list[i] = &DelegateSlots{Delegate: r.Delegates[i], Slots: []EventSlot{}}
		for n, is := range free {
			if is {
				list[i].Slots = append(list[i].Slots, e.Slots[n])
			}
		}
	}
	return list, nil
}

// Names of the pages of registrations in the API.
type (
	RegistrationConnection = Page[*Registration]
	RegistrationEdge       = PageEdge[*Registration]
)

// spoken are the languages that a member works in.
func (m *Organisation) spoken() []Language { return m.Languages }
