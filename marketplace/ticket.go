package marketplace

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Ticket is what a one-time link stands for: an invitation, the reset of a
// password, the change of an address. The link holds the ticket's id and a
// secret, of which the ticket keeps the hash only. The secret is made when
// the letter is written, so that it is nowhere but there.
type Ticket struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`
	Posting  `json:",inline"` // of the letter with the link

	Purpose   TicketPurpose `json:"purpose"`
	State     TicketState   `json:"state"`
	Email     string        `json:"email,omitempty"` // where the link goes
	Languages []Language    `json:"languages,omitempty"`
	ExpiresAt time.Time     `json:"expiresAt"`
	Hash      string        `json:"hash,omitempty"` // of the secret of the latest link

	// Of an invitation.
	Team   ID       `json:"team,omitempty"`
	Member ID       `json:"member,omitempty"` // empty: the secretariat
	Role   TeamRole `json:"role,omitempty"`
	By     ID       `json:"by,omitempty"` // who invites

	// Of what concerns an account.
	User  ID  `json:"user,omitempty"`  // empty: nobody has the address, so nothing is sent
	Epoch int `json:"epoch,omitempty"` // of the user: what has changed since then makes the ticket worthless
}

// A TicketPurpose is what a ticket is good for.
type TicketPurpose string

// The purposes of tickets.
const (
	TicketInvitation TicketPurpose = "INVITATION"
	TicketReset      TicketPurpose = "RESET"
	TicketEmail      TicketPurpose = "EMAIL"
)

// A TicketState is a state in the life of a ticket.
type TicketState string

// The states of tickets.
const (
	TicketOpen    TicketState = "OPEN"
	TicketUsed    TicketState = "USED"
	TicketRevoked TicketState = "REVOKED"
)

// How long tickets are good for.
const (
	invitationLife = 14 * 24 * time.Hour
	resetLife      = time.Hour
)

// KindTicket is the kind of Ticket.
var KindTicket = registerRecord("ticket", func() entity { return new(Ticket) },
	Index{Equal: []string{"team"}, Sort: "createdAt"}, Index{Sort: "expiresAt"}, Index{Sort: "dueAt"})

func (*Ticket) kind() Kind { return KindTicket }

func (t *Ticket) parties() []ID {
	switch {
	case t.Member != "":
		return []ID{t.Member}
	case t.User != "":
		return []ID{t.User}
	}
	return nil
}

func (t *Ticket) refs() []ID { return []ID{t.Member, t.By} }

func (t *Ticket) audience() []Group {
	switch {
	case t.Purpose != TicketInvitation:
		return nil // nobody: the command that uses it looks for it itself
	case t.Member != "":
		return []Group{ownersOf(t.Member), Secretariat}
	}
	return []Group{Secretariat}
}

// Only one invitation of an address to a team is open at a time.
func (t *Ticket) claims() []string {
	if t.Purpose == TicketInvitation && t.State == TicketOpen && t.Email != "" {
		return []string{"email:" + t.Email + " to " + string(t.Team)}
	}
	return nil
}

func (t *Ticket) validate(p *problems) {
	if t.Email != "" {
		checkEmail(p, "email", t.Email)
	}
	checkLanguages(p, "languages", t.Languages)
	if t.Purpose == TicketInvitation {
		checkRole(p, "role", t.Member, t.Role)
	}
}

// IsExpired says whether the link is no longer good because of its age.
func (t *Ticket) IsExpired(now time.Time) bool { return !now.Before(t.ExpiresAt) }

// link is what stands in the address that is sent: the ticket and its secret.
func (t *Ticket) link(secret string) string {
	return strings.TrimPrefix(string(t.ID), string(KindTicket)+"_") + "." + secret
}

// InviteInput is what Invite takes.
type InviteInput struct {
	Email     string
	Member    *ID // nil: into the secretariat
	Role      TeamRole
	Languages []Language // to write the letter in, best first
}

// Invite invites somebody into a team; the letter is sent soon after.
func (m *Market) Invite(ctx context.Context, in InviteInput) (*Ticket, error) {
	t := &Ticket{Purpose: TicketInvitation, State: TicketOpen, Email: normalEmail(in.Email), Languages: in.Languages, Posting: due(m.clock()),
		ExpiresAt: m.clock().Add(invitationLife), Role: in.Role, By: actorOf(ctx).User}
	if in.Member != nil {
		if !isMember(*in.Member) {
			return nil, invalid("member", "INVALID", "must be the id of a member")
		}
		if err := m.mustExist(ctx, "member", *in.Member); err != nil {
			return nil, err
		}
		t.Member = *in.Member
	}
	t.Team = teamID(t.Member)
	if err := mayManage(t.Member).check(ctx, t); err != nil {
		return nil, err
	}
	if t.Email == "" {
		return nil, invalid("email", "REQUIRED", "must not be empty")
	}
	if err := m.limit(ctx, limitInvite, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	t.mark("INVITE", t.Email+" as "+string(t.Role))
	return t, create(ctx, m, mayManage(t.Member), t)
}

// RevokeInvitation makes the link of an invitation worthless.
func (m *Market) RevokeInvitation(ctx context.Context, id ID) (*Ticket, error) {
	return m.changeInvitation(ctx, id, func(t *Ticket) {
		t.mark("REVOKE", t.Email)
		t.State, t.Hash = TicketRevoked, ""
	})
}

// ResendInvitation sends another letter with a new link; the old one becomes worthless.
func (m *Market) ResendInvitation(ctx context.Context, id ID) (*Ticket, error) {
	if err := m.limit(ctx, limitInvite, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	return m.changeInvitation(ctx, id, func(t *Ticket) {
		t.mark("INVITE", t.Email+" again")
		t.Hash, t.Posting, t.ExpiresAt = "", due(m.clock()), m.clock().Add(invitationLife)
	})
}

func (m *Market) changeInvitation(ctx context.Context, id ID, change func(*Ticket)) (*Ticket, error) {
	t, err := get[*Ticket](ctx, m, id)
	if err != nil {
		return nil, err
	}
	return update(ctx, m, mayManage(t.Member), id, 0, func(t *Ticket) error {
		if t.State != TicketOpen {
			return invalid("id", "INVALID", "is not an open invitation")
		}
		change(t)
		return nil
	})
}

// Invitations lists those into a team, newest first.
func (m *Market) Invitations(ctx context.Context, member ID, s Slice) (*Page[*Ticket], error) {
	if err := mayManage(member).checkFor(ctx, member); err != nil {
		return nil, err
	}
	return page[*Ticket](ctx, m, KindTicket, Query{Where: []Condition{{Field: "team", Op: Eq, Value: teamID(member)}}, Sort: "createdAt", Descending: true}, s)
}

// firstAdmin is the invitation of the first administrator.
const firstAdmin = ID("ticket_first-admin")

// FirstInvitation makes a one-time link by which the first administrator
// makes their account, as long as the secretariat has no admin, those of the
// sample data not counted: what stands behind the "#" of the address. It is
// empty when there is one. Each call makes the link of the call before worthless.
func (m *Market) FirstInvitation(ctx context.Context) (string, error) {
	ctx = withSight(WithViewer(ctx, Viewer{Actor: System}))
	team, err := m.team(ctx, "")
	if err != nil {
		return "", err
	}
	if _, real := team.heads(); real > 0 {
		return "", nil
	}
	secret, now := newSecret(), m.clock()
	open := func(t *Ticket) error {
		t.State, t.Hash, t.ExpiresAt = TicketOpen, hashed(secret), now.Add(invitationLife)
		return nil
	}
	t, err := updateOrCreate(ctx, m, MayManageSecretariat, firstAdmin, 0, func() *Ticket {
		return &Ticket{Purpose: TicketInvitation, Team: teamID(""), Role: TeamRole(SecretariatAdmin)}
	}, open)
	if err != nil {
		return "", err
	}
	return t.link(secret), nil
}

// redeem finds the ticket of a link, if it is still good for the purpose.
func (m *Market) redeem(ctx context.Context, link string, purpose TicketPurpose) (*Ticket, error) {
	if err := m.limit(ctx, limitTicket, ""); err != nil {
		return nil, err
	}
	useless := invalid("link", "EXPIRED", "is not good any more, or never was: ask for a new one")
	id, secret, ok := strings.Cut(link, ".")
	if !ok || len(link) > MaxIDSize || len(secret) != secretLength {
		return nil, useless
	}
	t, err := get[*Ticket](withSight(ctx), m, ID(string(KindTicket)+"_"+id))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, useless
	case err != nil:
		return nil, err
	case t.Purpose != purpose || t.State != TicketOpen || t.IsExpired(m.clock()) || !sameHash(secret, t.Hash):
		return nil, useless
	}
	return t, nil
}

// spend notes that a ticket has been used. What it was used for holds
// without it, so that nothing is lost between the two.
func (m *Market) spend(ctx context.Context, t *Ticket) error {
	_, err := update(withSight(ctx), m, MayRecoverAccount, t.ID, 0, func(t *Ticket) error {
		t.mark(unmarked, "")
		t.State, t.Hash = TicketUsed, ""
		return nil
	})
	return err
}

// InvitationByLink shows an invitation to whoever holds its link.
func (m *Market) InvitationByLink(ctx context.Context, link string) (*Ticket, error) {
	t, err := m.redeem(ctx, link, TicketInvitation)
	if errors.Is(err, ErrInvalid) {
		return nil, ErrNotFound
	}
	return t, err
}

// AcceptInvitationInput is what AcceptInvitation takes. A viewer who is
// signed in gives the link only.
type AcceptInvitationInput struct {
	Link      string
	Email     *string // where the invitation has none
	Name      *string
	Password  *string
	Languages []Language
	TimeZone  *string
}

// AcceptInvitation brings the viewer into the team that an invitation names;
// a visitor gets an account by it and is signed in.
func (m *Market) AcceptInvitation(ctx context.Context, in AcceptInvitationInput) (*User, error) {
	t, err := m.redeem(ctx, in.Link, TicketInvitation)
	if err != nil {
		return nil, err
	}
	u, err := m.ViewerUser(ctx)
	if err != nil {
		return nil, err
	}
	if u != nil && u.IsSample && t.ID == firstAdmin {
		return nil, invalid("link", "INVALID", "is for a real person: sign out first")
	}
	fresh := u == nil
	if fresh {
		if u, err = m.accountFor(ctx, t, in); err != nil {
			return nil, err
		}
	}
	if err := m.enter(ctx, t, u.ID); err != nil {
		return nil, err
	}
	if fresh {
		if err := m.begin(ctx, u, ""); err != nil {
			return nil, err
		}
	}
	return get[*User](withSight(ctx), m, u.ID)
}

// accountFor makes the account of somebody who was invited.
func (m *Market) accountFor(ctx context.Context, t *Ticket, in AcceptInvitationInput) (*User, error) {
	u := &User{Name: text(in.Name), Email: t.Email, Languages: in.Languages, TimeZone: text(in.TimeZone), Joining: t.ID}
	if u.Email == "" {
		u.Email = normalEmail(text(in.Email))
	}
	var p problems
	u.validate(&p)
	checkNewPassword(&p, "password", text(in.Password), u.Email, u.Name)
	if err := p.err(); err != nil {
		return nil, err
	}
	if _, err := m.userByEmail(ctx, u.Email); err == nil {
		return nil, invalid("email", "SIGN_IN", "has an account already: sign in, then open the link again")
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var err error
	if u.Password, err = hashPassword(ctx, text(in.Password)); err != nil {
		return nil, err
	}
	u.ID = newID(KindUser, m.now())
	u.did = Mark{Action: "JOIN", By: u.ID}
	return u, create(withSight(ctx), m, MayRecoverAccount, u)
}

// enter does what an invitation promises; a second time it changes nothing.
func (m *Market) enter(ctx context.Context, t *Ticket, user ID) error {
	if err := m.join(ctx, t.Member, user, t.Role, t.ID); err != nil {
		return err
	}
	if err := m.noteTeams(ctx, user); err != nil {
		return err
	}
	return m.spend(ctx, t)
}

// Recipient is the address to which the link goes; nil where it goes to none.
func (t *Ticket) Recipient() *string { return maybe(t.Email) }

// IsUndeliverable says whether the letter was refused for good, or could not be
// sent for days.
func (t *Ticket) IsUndeliverable() bool { return t.Letter == LetterFailed }

// maybe is nil for an empty string.
func maybe(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// text is what an optional string says.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Names of the pages of invitations in the API.
type (
	InvitationConnection = Page[*Ticket]
	InvitationEdge       = PageEdge[*Ticket]
)
