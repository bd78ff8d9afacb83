package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What is limited, for each user: so that nobody spams a network with
// requests, nor the other side with changes.
var (
	limitMeeting       = limited{name: "meeting", account: throttleLimit{20, 3 * time.Minute}}
	limitMeetingDay    = limited{name: "meetings of a day", account: throttleLimit{60, 24 * time.Minute}}
	limitMeetingChange = limited{name: "meeting change", account: throttleLimit{60, time.Minute}}
)

var (
	meetingContent = []string{"message", "minutes", "format", "link", "place", "times"}
	meetingPlace   = []string{"format", "link", "place"}
)

// RequestMeetingInput is what RequestMeeting takes.
type RequestMeetingInput struct {
	From    ID
	To      ID
	About   *ID   // a solution, a proposal or an offer that both sides can see
	Content Patch // message, minutes, format, link, place and times
	People  []ID  // of the side that asks; nil: the viewer
	Key     *string
	Case    ID // in which an officer of the secretariat proposes it
}

// RequestMeeting asks another member for a meeting, or, by an officer of the
// secretariat, on behalf of a member, whose people must be named then.
func (m *Market) RequestMeeting(ctx context.Context, in RequestMeetingInput) (*Meeting, error) {
	x := &Meeting{From: in.From, To: in.To, About: ID(text((*string)(in.About))), Case: in.Case, Status: MeetingRequested, ProposedBy: in.From}
	may := MayRequestMeeting
	if !may.allows(ctx, x) && MayRequestForMembers.allows(ctx, x) {
		may = MayRequestForMembers
	}
	if err := may.check(ctx, x); err != nil {
		return nil, err
	}
	return keyed(ctx, m, x, in.Key, func(ctx context.Context, x *Meeting) error {
		now := m.clock()
		if user := actorOf(ctx).User; user != "" {
			for _, l := range []limited{limitMeeting, limitMeetingDay} {
				if err := m.limit(ctx, l, string(user)); err != nil {
					return err
				}
			}
		}
		if err := applyPatch(in.Content, x, meetingContent); err != nil {
			return err
		}
		x.tidyTimes()
		var p problems
		p.list = problemsOf(check(x)) // all mistakes are told together
		checkMeetingTimes(&p, x.Times, now)
		if err := m.checkSides(ctx, &p, x, may.verb == MayRequestForMembers.verb); err != nil {
			return err
		}
		if err := m.checkAbout(ctx, &p, x); err != nil {
			return err
		}
		if may.verb == MayRequestForMembers.verb && len(in.People) == 0 {
			p.add("people", "REQUIRED", "must name at least one person of the side that asks")
		} else if err := m.namePeople(ctx, &p, x, x.From, in.People); err != nil {
			return err
		}
		if err := p.err(); err != nil {
			return err
		}
		x.await(now)
		return m.createPending(ctx, may, x)
	})
}

// createPending writes a request into the first free place among those that
// may wait between its members.
func (m *Market) createPending(ctx context.Context, may Permission, x *Meeting) error {
	for x.Pending = 1; x.Pending <= maxPendingMeetings; x.Pending++ {
		x.plan()
		x.mark("REQUEST", "")
		if err := create(ctx, m, may, x); !taken(err, "pending") {
			return err
		}
	}
	return invalid("to", "TOO_MANY", fmt.Sprintf("at most %d requests can wait for this member's answer", maxPendingMeetings))
}

// tidyTimes sorts the times, in whole seconds of UTC.
func (x *Meeting) tidyTimes() {
	for i, t := range x.Times {
		x.Times[i] = t.UTC().Truncate(time.Second)
	}
	slices.SortFunc(x.Times, time.Time.Compare)
}

// checkMeetingTimes reports times that are over, too soon or too far away.
func checkMeetingTimes(p *problems, times []time.Time, now time.Time) {
	for i, t := range times {
		if t.Before(now.Add(meetingNotice)) || t.After(now.Add(maxMeetingsAhead)) {
			p.add(index("times", i), "OUT_OF_RANGE", "must be from an hour to a year ahead")
		}
	}
}

// await makes a meeting wait for the answer of the other side: for a week, and
// no longer than the last of its times can be taken.
func (x *Meeting) await(now time.Time) {
	until, last := now.Add(meetingWait), x.Times[len(x.Times)-1].Add(-x.notice())
	if last.Before(until) {
		until = last
	}
	x.ExpiresAt = &until
}

// checkSides reports members that are not there, or do not want to be asked.
func (m *Market) checkSides(ctx context.Context, p *problems, x *Meeting, brokered bool) error {
	for _, f := range []struct {
		path string
		id   ID
	}{{"from", x.From}, {"to", x.To}} {
		if p.has(f.path) {
			continue
		}
		doc, err := get[Member](ctx, m, f.id)
		if err != nil {
			if err := p.missing(err, f.path, "member"); err != nil {
				return err
			}
			continue
		}
		x.IsSample = x.IsSample || doc.meta().IsSample
		if c, ok := doc.(*Company); ok && f.path == "to" && c.ContactPolicy == "SECRETARIAT" && !brokered {
			p.add("to", "INVALID", "wants to be asked by the secretariat: turn to it")
		}
	}
	return nil
}

// checkAbout reports a subject that one of the sides cannot see, and notes
// what else it is about.
func (m *Market) checkAbout(ctx context.Context, p *problems, x *Meeting) error {
	if x.About == "" {
		return nil
	}
	doc, err := get[entity](ctx, m, x.About)
	if err != nil {
		return p.missing(err, "about", "solution, proposal or offer")
	}
	x.Subjects = []ID{x.About}
	switch doc := doc.(type) {
	case *Solution, *Proposal:
	case *Offer:
		x.Subjects = append(x.Subjects, doc.Proposal, doc.Solution)
	default:
		p.add("about", "INVALID", "must be the id of a solution, a proposal or an offer")
		return nil
	}
	for _, side := range x.parties() {
		if !visible(WithViewer(ctx, Viewer{Actor: Actor{Memberships: []Membership{{Member: side, Role: RoleViewer}}}}), doc) {
			p.add("about", "INVALID", "must be something that both sides can see")
			return nil
		}
	}
	return nil
}

// namePeople says who takes part for a side: those who are given, or those
// who do already, or the viewer. They must be in the side's team.
func (m *Market) namePeople(ctx context.Context, p *problems, x *Meeting, side ID, ids []ID) error {
	have := x.peopleOf(side)
	if ids == nil && len(*have) == 0 {
		ids = []ID{actorOf(ctx).User}
	}
	if ids == nil {
		return nil
	}
	checkIDs(p, "people", ids, maxMeetingPeople, KindUser)
	if len(ids) == 0 {
		p.add("people", "REQUIRED", "must name at least one person")
	}
	if p.has("people") || !isMember(side) {
		return nil
	}
	users, err := m.teammates(ctx, side, ids)
	if err != nil {
		return err
	}
	for i, u := range users {
		if u == nil {
			p.add(index("people", i), "NOT_FOUND", "is nobody who acts for this member")
			continue
		}
		x.Participants = append(slices.DeleteFunc(slices.Clone(x.Participants), func(o Participant) bool { return o.User == u.ID }),
			Participant{User: u.ID, Name: u.Name, TimeZone: u.TimeZone})
	}
	*have = slices.Clone(ids)
	x.tidyParticipants()
	return nil
}

// tidyParticipants forgets the names of those who do not take part.
func (x *Meeting) tidyParticipants() {
	people := x.people()
	x.Participants = slices.DeleteFunc(x.Participants, func(o Participant) bool { return !slices.Contains(people, o.User) })
}

// teammates are those of some users who can act for a member now; nil for
// the others.
func (m *Market) teammates(ctx context.Context, member ID, ids []ID) ([]*User, error) {
	ctx = withSight(ctx)
	team, err := m.team(ctx, member)
	if err != nil {
		return nil, err
	}
	docs, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	users := make([]*User, len(ids))
	for i, doc := range docs {
		if u, ok := doc.(*User); ok && !u.IsSuspended && team.find(u.ID) >= 0 {
			users[i] = u
		}
	}
	return users, nil
}

// dropGone takes those from a meeting's sides who can no longer act for them.
func (m *Market) dropGone(ctx context.Context, x *Meeting) error {
	for _, side := range x.parties() {
		have := x.peopleOf(side)
		users, err := m.teammates(ctx, side, *have)
		if err != nil {
			return err
		}
		*have = nil
		for _, u := range users {
			if u != nil {
				*have = append(*have, u.ID)
			}
		}
	}
	x.tidyParticipants()
	return nil
}

// sideOf is the member for which the viewer acts in a meeting, by a role in
// it; named by as where they could act for both.
func sideOf(ctx context.Context, x *Meeting, as *ID, may func(Membership) bool) (ID, error) {
	var own []ID
	for _, o := range actorOf(ctx).Memberships {
		if slices.Contains(x.parties(), o.Member) && (as == nil || *as == o.Member) && may(o) && !slices.Contains(own, o.Member) {
			own = append(own, o.Member)
		}
	}
	switch len(own) {
	case 0:
		return "", &ForbiddenError{Verb: "act for a side of this meeting", Signed: true}
	case 1:
		return own[0], nil
	}
	return "", invalid("as", "REQUIRED", "must name one of the members on whose behalf you can do that")
}

// edits says whether a role is that of those who change things.
func edits(o Membership) bool { return o.Role == RoleOwner || o.Role == RoleEditor }

// moveMeeting takes a step in the life of a meeting. The change gets the side that
// takes it, and may be applied more than once.
func (m *Market) moveMeeting(ctx context.Context, id ID, version *int, name MeetingMove, as *ID, reason *string, change func(x *Meeting, side ID, now time.Time) error) (*Meeting, error) {
	if err := m.limit(ctx, limitMeetingChange, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	return m.takeStep(ctx, id, version, name, as, reason, change)
}

// takeStep is moveMeeting for whoever has counted it.
func (m *Market) takeStep(ctx context.Context, id ID, version *int, name MeetingMove, as *ID, reason *string, change func(x *Meeting, side ID, now time.Time) error) (*Meeting, error) {
	return m.changeMeeting(ctx, id, version, func(x *Meeting) (side ID, err error) {
		now := m.clock()
		move, err := meetingMoves.from(name, x.Status)
		if err != nil {
			return "", err
		}
		if slices.Contains(move.from, x.Status) {
			if err := move.may.check(ctx, x); err != nil {
				return "", err
			}
		}
		was := x.Status
		if err := move.take(&x.Meta, &x.Status, text(reason)); err != nil {
			return "", err
		}
		if was == MeetingRescheduled && name == MeetingDecline {
			x.did.Action = "KEEP"
		}
		if err := x.inTime(name, was, now); err != nil {
			return "", err
		}
		side = x.other(x.ProposedBy)
		switch {
		case move.may.verb == MayWithdrawMeeting.verb:
			side = x.ProposedBy
		case move.may.verb == MayArrangeMeeting.verb:
			if side, err = sideOf(ctx, x, as, edits); err != nil {
				return "", err
			}
		}
		if x.Reason = maybe(text(reason)); side == x.To && x.AnsweredAt == nil && name != MeetingCancel {
			x.AnsweredAt = &now
		}
		return side, change(x, side, now)
	})
}

// changeMeeting is update for a meeting, by one of its sides, which the change
// names. It may be applied more than once. Callers count how often a user does so.
func (m *Market) changeMeeting(ctx context.Context, id ID, version *int, change func(*Meeting) (side ID, err error)) (*Meeting, error) {
	var claimed func(error) error
	x, err := update(ctx, m, MayArrangeMeeting, id, versionOf(version), func(x *Meeting) error {
		side, err := change(x)
		if err != nil {
			return err
		}
		x.plan()
		if claimed = nil; x.Event == "" {
			claimed = x.explain(side)
		}
		return nil
	})
	if err != nil && claimed != nil {
		err = claimed(err)
	}
	return x, err
}

// inTime says what stands against a step at a moment.
func (x *Meeting) inTime(name MeetingMove, was MeetingStatus, now time.Time) error {
	switch {
	case slices.Contains(agreedMeetings, was) && name != MeetingAccept && name != MeetingDecline && !now.Before(*x.At):
		return invalid("id", "OUT_OF_RANGE", "has begun: say what came of it")
	case x.ExpiresAt != nil && !now.Before(*x.ExpiresAt):
		return invalid("id", "OUT_OF_RANGE", "has expired: nobody answered in time")
	}
	return nil
}

// explain makes what a user can use of a claim that another meeting holds: of
// the own side's people it says who has no time.
func (x *Meeting) explain(side ID) func(error) error {
	own, names := slices.Clone(*x.peopleOf(side)), slices.Clone(x.Participants)
	return func(err error) error {
		wrong, ok := errors.AsType[*InvalidError](err)
		if !ok || !strings.HasPrefix(wrong.claim, "user:") {
			return err
		}
		claim, _, _ := strings.Cut(strings.TrimPrefix(wrong.claim, "user:"), "@")
		user := ID(claim)
		if !slices.Contains(own, user) {
			return invalid("time", "TAKEN", "somebody of the other side has no time any more: take or propose another time")
		}
		i := slices.IndexFunc(names, func(o Participant) bool { return o.User == user })
		return invalid("people", "TAKEN", names[max(i, 0)].Name+" has another meeting at that time")
	}
}

// CounterMeetingInput is what CounterMeeting takes.
type CounterMeetingInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Times   []time.Time
	Reason  *string // read by both sides
	People  []ID    // of the side that answers; nil: as they are, or the viewer
}

// CounterMeeting answers with other times. It is the other side's turn then.
func (m *Market) CounterMeeting(ctx context.Context, in CounterMeetingInput) (*Meeting, error) {
	return m.moveMeeting(ctx, in.ID, in.Version, MeetingCounter, nil, in.Reason, func(x *Meeting, side ID, now time.Time) error {
		return m.propose(ctx, x, side, in.Times, in.People, now)
	})
}

// propose makes a side's times stand.
func (m *Market) propose(ctx context.Context, x *Meeting, side ID, times []time.Time, people []ID, now time.Time) error {
	x.ProposedBy, x.Times = side, slices.Clone(times)
	x.tidyTimes()
	var p problems
	p.list = problemsOf(check(x))
	if x.Event != "" {
		return m.proposeSlots(ctx, &p, x, now)
	}
	checkMeetingTimes(&p, x.Times, now)
	if err := m.namePeople(ctx, &p, x, side, people); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		return err
	}
	x.await(now)
	return nil
}

// AcceptMeetingInput is what AcceptMeeting takes.
type AcceptMeetingInput struct {
	ID        ID
	Version   *int
	Time      time.Time // one of those that are proposed
	People    []ID      // of the side that accepts; nil: as they are, or the viewer
	Delegates []string  // the same at an event, as Delegate.Person names them; nil: the viewer, or whoever is free
}

// AcceptMeeting takes one of the times that the other side proposes. From then
// on the time of everybody who takes part is claimed. It is refused where one
// of them has another meeting, whoever is faster.
func (m *Market) AcceptMeeting(ctx context.Context, in AcceptMeetingInput) (*Meeting, error) {
	switch x, err := m.Meeting(ctx, in.ID); {
	case err != nil:
		return nil, err
	case x.Event != "":
		return m.acceptAtEvent(ctx, x, in)
	}
	return m.moveMeeting(ctx, in.ID, in.Version, MeetingAccept, nil, nil, func(x *Meeting, side ID, now time.Time) error {
		at := in.Time.UTC().Truncate(time.Second)
		var p problems
		if !slices.ContainsFunc(x.Times, at.Equal) {
			p.add("time", "INVALID", "must be one of the times that are proposed")
		} else if at.Before(now.Add(meetingNotice)) {
			p.add("time", "OUT_OF_RANGE", "is less than an hour ahead: propose another one")
		}
		if err := m.namePeople(ctx, &p, x, side, in.People); err != nil {
			return err
		}
		if err := p.err(); err != nil {
			return err
		}
		if err := m.dropGone(ctx, x); err != nil {
			return err
		}
		for _, o := range []ID{side, x.other(side)} {
			if len(*x.peopleOf(o)) > 0 {
				continue
			}
			if o == side {
				return invalid("people", "REQUIRED", "must name somebody who acts for your side")
			}
			return invalid("id", "INVALID", "cannot be accepted, since nobody whom the other side named acts for it any more")
		}
		x.agree(at, now)
		return m.setClocks(ctx, x)
	})
}

// agree makes a meeting take place at a time.
func (x *Meeting) agree(at, now time.Time) {
	if x.At = &at; x.AcceptedAt == nil {
		x.AcceptedAt = &now
	}
	x.ExpiresAt = nil
	x.Sequence++
	x.Reminded = x.passed(now)
}

// DeclineMeetingInput is what DeclineMeeting takes.
type DeclineMeetingInput struct {
	ID      ID
	Version *int
	As      *ID     // the side, where the viewer could act for both
	Reason  *string // read by both sides; required for what was not agreed yet
}

// DeclineMeeting takes none of the times. Of a meeting that was agreed the old
// time stands; there the side that proposed another one can take that back.
func (m *Market) DeclineMeeting(ctx context.Context, in DeclineMeetingInput) (*Meeting, error) {
	return m.moveMeeting(ctx, in.ID, in.Version, MeetingDecline, in.As, in.Reason, func(x *Meeting, _ ID, _ time.Time) error {
		x.ExpiresAt = nil
		return nil
	})
}

// RescheduleMeetingInput is what RescheduleMeeting takes.
type RescheduleMeetingInput struct {
	ID      ID
	Version *int
	As      *ID
	Times   []time.Time
	Reason  *string
}

// RescheduleMeeting proposes other times for a meeting that was agreed, before
// it begins. The agreed time stands, and stays claimed, until another one is
// accepted.
func (m *Market) RescheduleMeeting(ctx context.Context, in RescheduleMeetingInput) (*Meeting, error) {
	return m.moveMeeting(ctx, in.ID, in.Version, MeetingReschedule, in.As, in.Reason, func(x *Meeting, side ID, now time.Time) error {
		return m.propose(ctx, x, side, in.Times, nil, now)
	})
}

// CancelMeetingInput is what CancelMeeting takes.
type CancelMeetingInput struct {
	ID      ID
	Version *int
	As      *ID
	Reason  *string // required; read by both sides
}

// CancelMeeting cancels a meeting before it begins, or withdraws what was
// proposed. The time of its people is free then.
func (m *Market) CancelMeeting(ctx context.Context, in CancelMeetingInput) (*Meeting, error) {
	return m.moveMeeting(ctx, in.ID, in.Version, MeetingCancel, in.As, in.Reason, func(x *Meeting, _ ID, _ time.Time) error {
		if x.ExpiresAt = nil; x.At != nil {
			x.Sequence++
		}
		return nil
	})
}

// alter changes what an open or agreed meeting says, for one of its sides.
func (m *Market) alter(ctx context.Context, id ID, version *int, as *ID, change func(x *Meeting, side ID) error) (*Meeting, error) {
	if err := m.limit(ctx, limitMeetingChange, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	return m.changeMeeting(ctx, id, version, func(x *Meeting) (ID, error) {
		side, err := sideOf(ctx, x, as, edits)
		if err != nil {
			return "", err
		}
		if !x.isAlterable(m.clock()) {
			return "", invalid("id", "INVALID", "is over, or was never agreed")
		}
		if err := change(x, side); err != nil {
			return "", err
		}
		if x.isBooked() {
			x.Sequence++
		}
		return side, nil
	})
}

// SetMeetingPeopleInput is what SetMeetingPeople takes.
type SetMeetingPeopleInput struct {
	ID      ID
	Version *int
	As      *ID
	People  []ID
}

// SetMeetingPeople says who takes part for a side, until the meeting has
// ended. The time of those who are new is claimed, that of the others free.
func (m *Market) SetMeetingPeople(ctx context.Context, in SetMeetingPeopleInput) (*Meeting, error) {
	return m.alter(ctx, in.ID, in.Version, in.As, func(x *Meeting, side ID) error {
		if x.Event != "" {
			return invalid("id", "INVALID", "is at an event: swap a delegate instead")
		}
		before := slices.Clone(*x.peopleOf(side))
		var p problems
		people := in.People
		if people == nil {
			people = []ID{}
		}
		if err := m.namePeople(ctx, &p, x, side, people); err != nil {
			return err
		}
		if err := p.err(); err != nil {
			return err
		}
		var gone []ID
		for _, id := range before {
			if !slices.Contains(x.people(), id) {
				gone = append(gone, id)
			}
		}
		x.mark("SET_PEOPLE", "", gone...)
		return nil
	})
}

// SetMeetingPlaceInput is what SetMeetingPlace takes.
type SetMeetingPlaceInput struct {
	ID      ID
	Version *int
	As      *ID
	Content Patch // format, link and place
}

// SetMeetingPlace says how and where people meet; both sides can.
func (m *Market) SetMeetingPlace(ctx context.Context, in SetMeetingPlaceInput) (*Meeting, error) {
	return m.alter(ctx, in.ID, in.Version, in.As, func(x *Meeting, _ ID) error {
		x.mark("SET_PLACE", fieldsOf(in.Content))
		return applyPatch(in.Content, x, meetingPlace)
	})
}
