package marketplace

import (
	"slices"
	"strings"
	"time"
)

// A Registration is that of a member for an event: there is one of each
// member, whatever becomes of it. Once it is approved the member is a
// participant, and all members see who it is and its pitch; the rest is seen
// by its people and the secretariat alone (see the methods that begin with
// Visible).
//
// An approved registration holds a seat, which no other one can hold, so
// there are never more participants than the event has room for.
type Registration struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event  ID                 `json:"event"`
	Member ID                 `json:"member"`
	Status RegistrationStatus `json:"status"`
	// RequestedAt is its place on the waiting list.
	RequestedAt time.Time `json:"requestedAt"`

	Delegates        []Delegate `json:"delegates"`
	Minimum          *int       `json:"minimum,omitempty"` // meetings; nil: what the event says
	Maximum          *int       `json:"maximum,omitempty"`
	WantsInterpreter bool       `json:"wantsInterpreter,omitempty"`
	Pitch            *Pitch     `json:"pitch,omitempty"`

	// Languages are those of its delegates, else of the member, kept by the commands.
	Languages []Language `json:"languages,omitempty"`
	Seat      *int       `json:"seat,omitempty"` // from 0; nil where it is not approved
	// Arrivals are who has come, and Substitutions who comes no more and by
	// whom their meetings are taken over.
	Arrivals      []Arrival      `json:"arrivals,omitempty"`
	Substitutions []Substitution `json:"substitutions,omitempty"`
	// Gone are those delegates who have left the member's team since, or were
	// suspended: they come no more, as long as that is so. Kept by the program.
	Gone      []ID       `json:"gone,omitempty"`
	Reason    *string    `json:"reason,omitempty"`
	DecidedAt *time.Time `json:"decidedAt,omitempty"`
}

// KindRegistration is the kind of Registration.
var KindRegistration = registerRecord("registration", func() entity { return new(Registration) },
	Index{Equal: []string{"event", "status"}, Sort: "requestedAt"},
	Index{Equal: []string{"member"}, Sort: "createdAt"})

// A RegistrationStatus is a state in the life of a registration.
type RegistrationStatus string

// The states of a registration.
const (
	RegistrationRequested  RegistrationStatus = "REQUESTED"  // waits for the secretariat
	RegistrationApproved   RegistrationStatus = "APPROVED"   // the member is a participant
	RegistrationWaitlisted RegistrationStatus = "WAITLISTED" // approved as soon as there is room
	RegistrationDeclined   RegistrationStatus = "DECLINED"   // with a reason
	RegistrationWithdrawn  RegistrationStatus = "WITHDRAWN"  // by the member
)

// RegistrationStatuses are all of them.
var RegistrationStatuses = []RegistrationStatus{RegistrationRequested, RegistrationApproved, RegistrationWaitlisted, RegistrationDeclined, RegistrationWithdrawn}

// A RegistrationMove is a step in the life of a registration.
type RegistrationMove string

// The steps in the life of a registration.
const (
	RegistrationApprove  RegistrationMove = "APPROVE" // or onto the waiting list, where there is no room
	RegistrationDecline  RegistrationMove = "DECLINE"
	RegistrationWithdraw RegistrationMove = "WITHDRAW"
	RegistrationRenew    RegistrationMove = "RENEW" // it waits for the secretariat again
)

// registrationMoves is the life of a registration, as far as people take the
// steps. The program takes the one from the waiting list.
var registrationMoves = moves[RegistrationMove, RegistrationStatus]{
	{RegistrationApprove, MayDecideRegistration, []RegistrationStatus{RegistrationRequested, RegistrationDeclined}, RegistrationApproved},
	{RegistrationDecline, MayDecideRegistration, []RegistrationStatus{RegistrationRequested, RegistrationWaitlisted, RegistrationApproved}, RegistrationDeclined},
	{RegistrationWithdraw, MayWithdrawRegistration, []RegistrationStatus{RegistrationRequested, RegistrationWaitlisted, RegistrationApproved}, RegistrationWithdrawn},
	{RegistrationRenew, MayRegister, []RegistrationStatus{RegistrationWithdrawn}, RegistrationRequested},
}

// A Delegate is a person who comes for a member. A delegation can sit in as
// many meetings at once as it has delegates who are free; a person in one.
type Delegate struct {
	Name      string     `json:"name"`
	User      ID         `json:"user,omitempty"`  // of the member's team; empty: somebody without an account there
	Email     string     `json:"email,omitempty"` // of somebody without an account
	Role      string     `json:"role,omitempty"`  // "Head of mobility"
	Languages []Language `json:"languages,omitempty"`

	// TimeZone is that of the times below: the delegate's own; empty: the event's.
	TimeZone string     `json:"timeZone,omitempty"`
	Free     []WallSpan `json:"free,omitempty"` // empty: always
	Busy     []WallSpan `json:"busy,omitempty"` // also where it is free by the above
}

// A Pitch is what a participant wants the others to know.
type Pitch struct {
	Title Text    `json:"title"`
	Text  Text    `json:"text,omitempty"`
	Media []Media `json:"media,omitempty"`
}

// Limits of registrations.
const (
	maxDelegates     = 20
	maxDelegateSpans = 100
)

// registrationID is the id of the registration of a member for an event.
func registrationID(event, member ID) ID {
	return ID(string(KindRegistration) + "_" + hashed(string(event) + "\x00" + string(member))[:26])
}

func (*Registration) kind() Kind      { return KindRegistration }
func (r *Registration) parties() []ID { return []ID{r.Member} }
func (r *Registration) refs() []ID {
	return append([]ID{r.Event, r.Member, wishListID(r.ID)}, uploadsIn(r)...)
}

// IsNode marks registrations as something with an id of its own.
func (*Registration) IsNode() {}

func (r *Registration) audience() []Group {
	if r.Status == RegistrationApproved {
		return []Group{Members}
	}
	return []Group{Group(r.Member), Secretariat}
}

// claims are the seat of a participant.
func (r *Registration) claims() []string {
	if r.Seat == nil {
		return nil
	}
	return []string{seatClaim(r.Event, *r.Seat)}
}

func (r *Registration) texts() []NamedText {
	if r.Pitch == nil {
		return nil
	}
	return []NamedText{{"pitch.title", &r.Pitch.Title}, {"pitch.text", &r.Pitch.Text}}
}

func (r *Registration) files() []attachment {
	if r.Pitch == nil {
		return nil
	}
	return filesOf("pitch.media", r.Pitch.Media)
}

func (r *Registration) validate(p *problems) {
	if !isMember(r.Member) {
		p.add("member", "INVALID", "must be the id of a member")
	}
	checkOne(p, "status", r.Status, RegistrationStatuses)
	checkString(p, "reason", text(r.Reason), 2000, r.Status == RegistrationDeclined)
	checkMeetings(p, r.Minimum, r.Maximum)
	if len(r.Delegates) == 0 {
		p.add("delegates", "REQUIRED", "must name at least one person")
	}
	if p.max("delegates", len(r.Delegates), maxDelegates) {
		seen := map[string]bool{}
		for i, d := range r.Delegates {
			at := index("delegates", i)
			d.check(p, at)
			if who := d.Person(); seen[who] {
				p.add(at, "DUPLICATE", "is there twice")
			} else {
				seen[who] = true
			}
		}
	}
	if r.Pitch != nil {
		r.Pitch.Title.check(p, "pitch.title", 160, true)
		r.Pitch.Text.check(p, "pitch.text", 5000, false)
		checkMedia(p, "pitch.media", r.Pitch.Media, 10)
	}
}

func (d *Delegate) check(p *problems, at string) {
	checkString(p, at+".name", d.Name, 200, true)
	checkString(p, at+".role", d.Role, 200, false)
	if d.User != "" && d.User.Kind() != KindUser {
		p.add(at+".user", "INVALID", "must be the id of a user")
	}
	if d.Email != "" {
		checkEmail(p, at+".email", d.Email)
	}
	if d.User != "" && d.Email != "" {
		p.add(at+".email", "INVALID", "cannot be given together with a user")
	}
	checkLanguages(p, at+".languages", d.Languages)
	if d.TimeZone != "" {
		checkTimeZone(p, at+".timeZone", d.TimeZone)
	}
	checkWallSpans(p, at+".free", d.Free)
	checkWallSpans(p, at+".busy", d.Busy)
}

// Person is the word by which a person is told from others, also from those
// of other delegations: the id of a user, else the address, else the name,
// which is one only within a delegation.
func (d *Delegate) Person() string {
	switch {
	case d.User != "":
		return string(d.User)
	case d.Email != "":
		return normalEmail(d.Email)
	}
	return strings.ToLower(strings.Join(strings.Fields(d.Name), " "))
}

// delegateOf is where a person stands among the delegates, named as
// Delegate.Person does, in whatever case; -1 where they do not.
func (r *Registration) delegateOf(person string) int {
	person = strings.ToLower(strings.Join(strings.Fields(person), " "))
	return slices.IndexFunc(r.Delegates, func(d Delegate) bool { return d.Person() == person })
}

// EmailOrNil is the address; nil where nothing is said.
func (d *Delegate) EmailOrNil() *string { return maybe(d.Email) }

// RoleOrNil is what they do; nil where nothing is said.
func (d *Delegate) RoleOrNil() *string { return maybe(d.Role) }
