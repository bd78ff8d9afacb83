package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// An Arrival says that a delegate has come.
type Arrival struct {
	Person string    `json:"person"` // see Delegate.Person
	At     time.Time `json:"at"`
}

// A Substitution says that a delegate comes no more, from a moment on, and who
// takes over their meetings.
type Substitution struct {
	Out string    `json:"out"` // see Delegate.Person
	In  string    `json:"in"`
	At  time.Time `json:"at"`
}

// A Delay is what a side says of a meeting that it comes to late.
type Delay struct {
	By      ID        `json:"by"` // member
	Minutes int       `json:"minutes"`
	At      time.Time `json:"at"` // when that was said
}

// A NoShow says that sides have not come to a meeting.
type NoShow struct {
	Sides []ID      `json:"sides"`
	By    ID        `json:"by,omitempty"` // the side that says so; empty: the secretariat
	At    time.Time `json:"at"`
}

// maxDelay is how late somebody can say that they are, in minutes.
const maxDelay = 120

// earlyStart is how long before its time a meeting can begin.
const earlyStart = 15 * time.Minute

// arriving are those who may say that somebody has come: the people of the
// registration's member, and its delegates, of themselves.
func arriving(doc entity) []ID {
	r, ok := doc.(*Registration)
	if !ok {
		return nil
	}
	ids := []ID{r.Member}
	for _, d := range r.Delegates {
		if d.User != "" {
			ids = append(ids, d.User)
		}
	}
	return ids
}

// CheckInInput is what CheckIn takes.
type CheckInInput struct {
	ID       ID     // of the registration
	Delegate string // as Delegate.Person names them
	Undo     bool   // they have not come
}

// CheckIn says that a delegate has come to an event; a second time it changes
// nothing. By the secretariat, by the member's owners and editors, and by
// delegates themselves.
func (m *Market) CheckIn(ctx context.Context, in CheckInInput) (*Registration, error) {
	r, err := update(ctx, m, MayCheckIn, in.ID, 0, func(r *Registration) error {
		e, err := m.eventOf(ctx, r.Event)
		if err != nil {
			return err
		}
		if r.Status != RegistrationApproved || e.takesBookings() != nil {
			return invalid("id", "INVALID", fmt.Sprintf("must be that of a participant of an event that is one of %v", bookedPhases))
		}
		i := r.delegateOf(in.Delegate)
		if i < 0 {
			return invalid("delegate", "NOT_FOUND", "is no delegate of this member")
		}
		if r.Delegates[i].User == "" || r.Delegates[i].User != actorOf(ctx).User {
			if err := MayCheckInOthers.check(ctx, r); err != nil {
				return err
			}
		}
		person := r.Delegates[i].Person()
		has := r.arrival(person) != nil
		if has != in.Undo {
			return errUnchanged
		}
		r.Arrivals = slices.DeleteFunc(slices.Clone(r.Arrivals), func(a Arrival) bool { return a.Person == person || r.delegateOf(a.Person) < 0 })
		if in.Undo {
			r.mark("CHECK_OUT", oneLine(r.Delegates[i].Name))
			return nil
		}
		r.Arrivals = append(r.Arrivals, Arrival{Person: person, At: m.clock()})
		r.mark("CHECK_IN", oneLine(r.Delegates[i].Name))
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return m.Registration(Afresh(ctx), in.ID)
	}
	return r, err
}

// arrival is when a delegate has come; nil where they have not.
func (r *Registration) arrival(person string) *time.Time {
	for i, a := range r.Arrivals {
		if a.Person == person {
			return &r.Arrivals[i].At
		}
	}
	return nil
}

// awaySince is from when on a delegate comes no more; nil where they do.
func (r *Registration) awaySince(person string) *time.Time {
	for i, s := range r.Substitutions {
		if s.Out == person {
			return &r.Substitutions[i].At
		}
	}
	return nil
}

// runMeeting changes what happens with a meeting while its event takes place.
func (m *Market) runMeeting(ctx context.Context, id ID, version *int, change func(x *Meeting, now time.Time) error) (*Meeting, error) {
	if err := m.limitUser(ctx, limitMeetingChange); err != nil {
		return nil, err
	}
	return update(ctx, m, MayRunMeeting, id, versionOf(version), func(x *Meeting) error {
		if x.Event == "" {
			return invalid("id", "INVALID", "is no meeting of an event")
		}
		if !x.isBooked() {
			return invalid("id", "INVALID", fmt.Sprintf("does not take place, it is %s", x.Status))
		}
		if err := change(x, m.clock()); err != nil {
			return err
		}
		x.plan()
		return nil
	})
}

// sideFor is the side for which the viewer speaks; empty for the secretariat
// where it names none.
func sideFor(ctx context.Context, x *Meeting, as *ID) (ID, error) {
	user := actorOf(ctx).User
	side, err := sideOf(ctx, x, as, func(o Membership) bool { return edits(o) || slices.Contains(*x.peopleOf(o.Member), user) })
	if err == nil || actorOf(ctx).Secretariat == "" || errors.Is(err, ErrInvalid) {
		return side, err
	}
	if as != nil && !slices.Contains(x.members(), *as) {
		return "", invalid("as", "INVALID", "must be one of the two sides")
	}
	if as != nil {
		return *as, nil
	}
	return "", nil
}

// RunMeetingInput names a meeting that takes place.
type RunMeetingInput struct {
	ID      ID
	Version *int
	As      *ID // the side, where the viewer could speak for both; by the secretariat: of which it speaks
}

// StartMeeting says that a meeting at an event has begun; a second time it
// changes nothing.
func (m *Market) StartMeeting(ctx context.Context, in RunMeetingInput) (*Meeting, error) {
	x, err := m.runMeeting(ctx, in.ID, in.Version, func(x *Meeting, now time.Time) error {
		switch {
		case now.Before(x.At.Add(-earlyStart)):
			return invalid("id", "OUT_OF_RANGE", "begins later")
		case x.StartedAt != nil:
			return errUnchanged
		}
		x.StartedAt = &now
		x.mark("START", "")
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return m.Meeting(Afresh(ctx), in.ID)
	}
	return x, err
}

// ReportDelayInput is what ReportDelay takes.
type ReportDelayInput struct {
	RunMeetingInput
	Minutes int // 0: it is on time after all
}

// ReportDelay says that a side runs late. The other side is told, and those
// whom the same people meet next, where it reaches into that.
func (m *Market) ReportDelay(ctx context.Context, in ReportDelayInput) (*Meeting, error) {
	if in.Minutes < 0 || in.Minutes > maxDelay {
		return nil, invalid("minutes", "OUT_OF_RANGE", fmt.Sprintf("must be 0 to %d", maxDelay))
	}
	return m.runMeeting(ctx, in.ID, in.Version, func(x *Meeting, now time.Time) error {
		side, err := sideFor(ctx, x, in.As)
		if err != nil {
			return err
		}
		if side == "" {
			return invalid("as", "REQUIRED", "must name the side that is late")
		}
		if !now.Before(x.end()) {
			return invalid("id", "OUT_OF_RANGE", "is over")
		}
		x.Delay = &Delay{By: side, Minutes: in.Minutes, At: now}
		x.mark("DELAY", fmt.Sprintf("%d minutes", in.Minutes))
		return nil
	})
}

// ReportNoShowInput is what ReportNoShow takes.
type ReportNoShowInput struct {
	RunMeetingInput
	Sides []ID // who has not come; nil: the other side
}

// ReportNoShow says that a side has not come to a meeting, from its beginning
// on. Said by the other side, it is its word that the meeting did not take
// place; said by the secretariat, the meeting is missed, unless a side says
// later that it took place.
func (m *Market) ReportNoShow(ctx context.Context, in ReportNoShowInput) (*Meeting, error) {
	return m.runMeeting(ctx, in.ID, in.Version, func(x *Meeting, now time.Time) error {
		side, err := sideFor(ctx, x, in.As)
		if err != nil {
			return err
		}
		if now.Before(*x.At) {
			return invalid("id", "OUT_OF_RANGE", "has not begun")
		}
		if actorOf(ctx).Secretariat != "" && (side == "" || !slices.Contains(actorOf(ctx).members(), side)) {
			side = ""
		}
		absent := in.Sides
		if len(absent) == 0 && side != "" {
			absent = []ID{x.other(side)}
		}
		var p problems
		checkSet(&p, "sides", absent, 2, func(id ID) bool { return slices.Contains(x.parties(), id) && id != side }, "must be a side of the meeting that has not come")
		if len(absent) == 0 {
			p.add("sides", "REQUIRED", "must name who has not come")
		}
		if err := p.err(); err != nil {
			return err
		}
		x.NoShow = &NoShow{Sides: absent, By: side, At: now}
		if side != "" {
			o := &Outcome{What: OutcomeNotHeld, By: actorOf(ctx).User, At: now}
			if before := *x.outcomeOf(side); before != nil {
				o.Note = before.Note
			}
			*x.outcomeOf(side) = o
		}
		if err := x.judge(now); err != nil {
			return err
		}
		x.mark("NO_SHOW", "")
		return nil
	})
}

// SwapDelegateInput is what SwapDelegate takes.
type SwapDelegateInput struct {
	ID      ID // of the meeting
	Version *int
	As      *ID      // the side, where the viewer could act for both; needed from the secretariat
	People  []string // who sits in it for that side now, as Delegate.Person names them
}

// SwapDelegate puts other delegates of a side into a meeting at an event,
// until it has ended. Their time is claimed, that of the others free.
func (m *Market) SwapDelegate(ctx context.Context, in SwapDelegateInput) (*Meeting, error) {
	if len(in.People) == 0 {
		return nil, invalid("people", "REQUIRED", "must name at least one delegate")
	}
	x, err := m.Meeting(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := MaySwapDelegate.check(ctx, x); err != nil {
		return nil, err
	}
	if x.Event == "" {
		return nil, invalid("id", "INVALID", "is no meeting of an event")
	}
	side, err := sideFor(ctx, x, in.As)
	if err != nil {
		return nil, err
	}
	if side == "" {
		return nil, invalid("as", "REQUIRED", "must name the side")
	}
	return m.reseat(ctx, MaySwapDelegate, x, in.Version, func(x *Meeting, f *floor) (booking, error) {
		if !x.isAlterable(m.clock()) || x.At == nil {
			return booking{}, invalid("id", "INVALID", "is over, or was never agreed")
		}
		slot := f.event.SlotAt(*x.At)
		if slot < 0 {
			return booking{}, invalid("id", "INVALID", "is at no slot of its event")
		}
		return booking{slot: slot, stays: true, named: map[ID][]string{side: in.People}, path: "people"}, nil
	}, func(x *Meeting, gone []ID) { x.mark("SWAP", "", gone...) })
}

// MoveEventMeetingInput is what MoveEventMeeting takes.
type MoveEventMeetingInput struct {
	ID      ID
	Version *int
	Slot    *time.Time // nil: as it is
	Table   *string    // nil: as it is where it can be had, else any that is free
	// Delegates are who sits in it for either side, as Delegate.Person names
	// them; nil: as it is, as far as they are free, else others.
	Delegates, OtherDelegates []string
}

// MoveEventMeeting moves a meeting at an event to another slot or table, by an
// officer of the secretariat, before it has begun. What is taken is said at
// once. Both sides are told.
func (m *Market) MoveEventMeeting(ctx context.Context, in MoveEventMeetingInput) (*Meeting, error) {
	x, err := m.Meeting(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := MayPlaceAtEvent.check(ctx, x); err != nil {
		return nil, err
	}
	if x.Event == "" {
		return nil, invalid("id", "INVALID", "is no meeting of an event")
	}
	return m.reseat(ctx, MayPlaceAtEvent, x, in.Version, func(x *Meeting, f *floor) (booking, error) {
		now := m.clock()
		if !x.canUnplace(now) {
			return booking{}, invalid("id", "INVALID", "has begun, or was never agreed")
		}
		never, err := m.neverMeet(ctx, x.Event, x.From, x.To)
		if err != nil {
			return booking{}, err
		}
		if never { // said after the two had agreed
			return booking{}, repath(m.refuse(ctx, []Conflict{{Code: ConflictImpossible}}), "b", "id")
		}
		at, table := *x.At, x.Table
		if in.Slot != nil {
			at = in.Slot.UTC().Truncate(time.Second)
		}
		if in.Table != nil {
			table = *in.Table
		}
		var p problems
		slot := f.event.checkSlot(&p, "slot", at, now)
		return booking{slot: slot, table: table, exact: in.Table != nil, named: map[ID][]string{x.From: in.Delegates, x.To: in.OtherDelegates}, path: "slot"}, p.err()
	}, func(x *Meeting, gone []ID) {
		x.mark("SHIFT", x.At.Format(time.RFC3339)+" "+x.Table, gone...)
	})
}

// reseat puts an agreed meeting of an event elsewhere, or others into it.
func (m *Market) reseat(ctx context.Context, may Permission, x *Meeting, version *int, how func(*Meeting, *floor) (booking, error), mark func(x *Meeting, gone []ID)) (*Meeting, error) {
	f, err := m.floorFor(ctx, x)
	if err != nil {
		return nil, err
	}
	return m.arrange(ctx, f, func() (*Meeting, error) {
		return update(ctx, m, may, x.ID, versionOf(version), func(x *Meeting) error {
			b, err := how(x, f)
			if err != nil {
				return err
			}
			before := x.people()
			if err := m.seat(ctx, f, x, b); err != nil {
				return err
			}
			if !b.stays {
				if x.At = &x.Times[0]; x.Status == MeetingRescheduled { // what was proposed is void
					x.Status = MeetingAccepted
				}
				x.ExpiresAt = nil
				x.Reminded = x.passed(m.clock())
			}
			x.Sequence++
			var gone []ID
			for _, id := range before {
				if !slices.Contains(x.people(), id) {
					gone = append(gone, id)
				}
			}
			mark(x, gone)
			x.plan()
			return nil
		})
	})
}

// CallOffMeetingInput is what CallOffMeeting takes.
type CallOffMeetingInput struct {
	ID      ID
	Version *int
	Reason  string // read by both sides
}

// CallOffMeeting cancels a meeting at an event before it begins, by an officer
// of the secretariat. Both sides are told.
func (m *Market) CallOffMeeting(ctx context.Context, in CallOffMeetingInput) (*Meeting, error) {
	return update(ctx, m, MayPlaceAtEvent, in.ID, versionOf(in.Version), func(x *Meeting) error {
		if x.Event == "" || !x.canUnplace(m.clock()) {
			return invalid("id", "INVALID", "is no agreed meeting of an event that has not begun")
		}
		x.callOff(in.Reason, "CALL_OFF")
		return nil
	})
}

// callOff cancels an agreed meeting.
func (x *Meeting) callOff(reason, action string) {
	x.mark(action, string(x.Status)+" to "+string(MeetingCancelled))
	x.Status, x.ExpiresAt, x.Reason = MeetingCancelled, nil, &reason
	x.Sequence++
	x.plan()
}

// warning tells those of a delay who meet the same people next, where it
// reaches into that: once of each delay.
var warning = follower{name: "delays", kinds: []Kind{KindMeeting}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	x := doc.(*Meeting)
	if x.Delay == nil || x.Delay.Minutes == 0 || x.At == nil {
		return nil
	}
	until := x.end().Add(time.Duration(x.Delay.Minutes) * time.Minute)
	if m.clock().After(until) {
		return nil
	}
	keys := x.personKeys()
	for _, side := range x.parties() {
		list, err := m.meetingsAt(ctx, x.Event, side, agreedMeetings)
		if err != nil {
			return err
		}
		for _, y := range list {
			if y.ID == x.ID || y.At.Before(x.end()) || !y.At.Before(until) || !slices.ContainsFunc(y.keysOf(side), func(key string) bool { return slices.Contains(keys, key) }) {
				continue
			}
			if err := m.warn(ctx, x, y, side, until); err != nil {
				return err
			}
		}
	}
	return nil
})}

// warn tells the other side of a later meeting that one side of it may be late.
func (m *Market) warn(ctx context.Context, x, y *Meeting, side ID, until time.Time) error {
	late := int(until.Sub(*y.At) / time.Minute)
	users, err := m.teammates(ctx, y.other(side), *y.peopleOf(y.other(side)))
	if err != nil {
		return err
	}
	users = slices.DeleteFunc(users, func(u *User) bool { return u == nil })
	if len(users) == 0 {
		list, err := m.inTeam(ctx, &AuditEntry{}, y.other(side), TeamRole(RoleOwner), TeamRole(RoleEditor))
		if err != nil {
			return err
		}
		for _, t := range list {
			u, err := get[*User](ctx, m, t.user)
			if err := ignore(err, ErrNotFound); err != nil {
				return err
			}
			if u != nil {
				users = append(users, u)
			}
		}
	}
	for _, u := range users {
		n := &Notification{User: u.ID, Kind: NotifyMeeting, Event: "meeting.DELAY_NEXT", Subject: y.ID, Member: side, Note: strconv.Itoa(late)}
		if err := m.notify(ctx, u, n, fmt.Sprintf("delay of %s at %d for %s", x.ID, x.Delay.At.Unix(), y.ID)); err != nil {
			return err
		}
	}
	return nil
}
