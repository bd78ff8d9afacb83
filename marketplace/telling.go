package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// A rule says who is told of what was done, and how it is called.
type rule struct {
	kind NotificationKind
	who  func(ctx context.Context, m *Market, e *AuditEntry) ([]told, error)
	self bool   // whoever did it is told, too
	open bool   // those are told, too, who may not see what it was done to
	as   string // the event, where it is not that of the entry
}

// A told is a user who is told of something.
type told struct {
	user, member, person ID
	note, address        string
	// once names what the user is told of once, however often it is done;
	// where it is empty, that is the entry of the audit log.
	once string
}

// rules are who is told of what: the kind of thing and the action of the
// audit log's entry, and for whom it is news. Whoever did it is not told of
// it, where the rule does not say so.
var rules = map[string][]rule{
	"solution.SUBMIT":               {{kind: NotifyReview, who: officersOf}},
	"solution.APPROVE":              {{kind: NotifyReview, who: peopleOf(KindCompany)}, naming},
	"solution.RETURN":               {{kind: NotifyReview, who: peopleOf(KindCompany)}},
	"solution.ADD":                  {naming},
	"solution.EDIT":                 {naming},
	"solution.PUBLISH":              {naming},
	"solution.CONFIRM_DEPLOYMENT":   {{kind: NotifyDeployment, who: peopleOf(KindCompany)}},
	"solution.UNCONFIRM_DEPLOYMENT": {{kind: NotifyDeployment, who: peopleOf(KindCompany)}},

	"offer.ADD":       {{kind: NotifyOffer, who: fromCompany(peopleOf(KindCity))}},
	"offer.WITHDRAW":  {{kind: NotifyOffer, who: fromCompany(peopleOf(KindCity))}},
	"offer.SHORTLIST": {{kind: NotifyOffer, who: peopleOf(KindCompany)}},
	"offer.DECLINE":   {{kind: NotifyOffer, who: peopleOf(KindCompany)}},
	"offer.TAKE":      {{kind: NotifyOffer, who: peopleOf(KindCompany)}},

	// Those whose calendars change are told, too, when they have done it themselves.
	"meeting.REQUEST":        {{kind: NotifyMeeting, who: meetingPeople(askedSide)}, {kind: NotifyMeeting, who: meetingPeople(sideOfRequest), as: "meeting.REQUEST_FOR_YOU"}},
	"meeting.COUNTER":        {{kind: NotifyMeeting, who: meetingPeople(otherSide)}},
	"meeting.ACCEPT":         {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}},
	"meeting.DECLINE":        {{kind: NotifyMeeting, who: meetingPeople(otherSide)}},
	"meeting.KEEP":           {{kind: NotifyMeeting, who: meetingPeople(otherSide)}},
	"meeting.RESCHEDULE":     {{kind: NotifyMeeting, who: meetingPeople(otherSide)}},
	"meeting.CANCEL":         {{kind: NotifyMeeting, who: meetingPeople(concernedSides), self: true}},
	"meeting.EXPIRE":         {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.LAPSE":          {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.SET_PEOPLE":     {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}, {kind: NotifyMeeting, who: substituted, as: "meeting.LEAVE", self: true, open: true}},
	"meeting.SET_PLACE":      {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}},
	"meeting.REMIND":         {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.MOVE_CLOCKS":    {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.ASK":            {{kind: NotifyMeeting, who: meetingPeople(silentSides)}},
	"meeting.RECORD_OUTCOME": {{kind: NotifyMeeting, who: saidOnce}},

	"meeting.BOOK":     {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}},
	"meeting.SHIFT":    {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}, {kind: NotifyMeeting, who: substituted, as: "meeting.LEAVE", self: true, open: true}},
	"meeting.SWAP":     {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}, {kind: NotifyMeeting, who: substituted, as: "meeting.LEAVE", self: true, open: true}},
	"meeting.SEAT":     {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.STRAND":   {{kind: NotifyMeeting, who: meetingPeople(bothSides)}, {kind: NotifyEvent, who: officersOf, as: "meeting.STRAND_FOR_OFFICERS"}},
	"meeting.CALL_OFF": {{kind: NotifyMeeting, who: meetingPeople(bothSides), self: true}},
	"meeting.PULL_OUT": {{kind: NotifyMeeting, who: meetingPeople(bothSides)}},
	"meeting.DELAY":    {{kind: NotifyMeeting, who: delayed}},
	"meeting.NO_SHOW":  {{kind: NotifyMeeting, who: meetingPeople(absentSides)}},

	"message.ADD":   {{kind: NotifyMessage, who: addressees}},
	"report.REPORT": {{kind: NotifyReport, who: officersOf}},

	"case.ADD":              {{kind: NotifyCase, who: officersOf}},
	"case.EDIT":             {{kind: NotifyCase, who: officersOfCase}},
	"case.TAKE":             {{kind: NotifyCase, who: readersOf}},
	"case.RELEASE":          {{kind: NotifyCase, who: officersOf}},
	"case.HAND_OVER":        {{kind: NotifyCase, who: concerned, as: "case.TO_YOU"}, {kind: NotifyCase, who: readersOf}},
	"case.CLOSE":            {{kind: NotifyCase, who: readersOf}},
	"case.WITHDRAW":         {{kind: NotifyCase, who: officersOfCase}},
	"case.REOPEN":           {{kind: NotifyCase, who: officersOf}, {kind: NotifyCase, who: readersOf, as: "case.REOPENED"}},
	"candidacy.WRITE":       {{kind: NotifyCase, who: readersOf}},
	"candidacy.ANSWER":      {{kind: NotifyCase, who: officersOfCase}},
	"candidacy.INTRODUCE":   {{kind: NotifyCase, who: introducedTo}, {kind: NotifyCase, who: introduced, as: "candidacy.INTRODUCED"}},
	"candidacy.CHOOSE":      {{kind: NotifyCase, who: introducedTo}, {kind: NotifyCase, who: introduced, as: "candidacy.CHOSEN"}},
	"registration.ADD":      {{kind: NotifyEvent, who: officersOf}},
	"registration.RENEW":    {{kind: NotifyEvent, who: officersOf}},
	"registration.WITHDRAW": {{kind: NotifyEvent, who: officersOf}},
	"registration.APPROVE":  {{kind: NotifyEvent, who: registrants}},
	"registration.WAITLIST": {{kind: NotifyEvent, who: registrants}},
	"registration.MOVE_UP":  {{kind: NotifyEvent, who: registrants}},
	"registration.DECLINE":  {{kind: NotifyEvent, who: registrants}},
	"registration.WALK_IN":  {{kind: NotifyEvent, who: registrants}},
	"event.OPEN_WISHES":     {{kind: NotifyEvent, who: participants}},

	"team.JOIN":          {{kind: NotifyTeam, who: heads}},
	"team.SET_ROLE":      {{kind: NotifyTeam, who: concerned, as: "team.YOUR_ROLE", open: true}, {kind: NotifyTeam, who: heads}},
	"team.REMOVE_PERSON": {{kind: NotifyTeam, who: concerned, as: "team.YOU_LEFT", open: true}, {kind: NotifyTeam, who: heads}},

	"user.SUSPEND":           {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.RESTORE":           {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.CHANGE_PASSWORD":   {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.CHANGE_EMAIL":      {{kind: NotifyAccount, who: formerAddress, self: true, open: true}},
	"user.TURN_ON_FACTOR":    {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.TURN_OFF_FACTOR":   {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.USE_RECOVERY_CODE": {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.ADD_IDENTITY":      {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"user.REMOVE_IDENTITY":   {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"token.ADD":              {{kind: NotifyAccount, who: concerned, self: true, open: true}},
	"session.SIGN_IN":        {{kind: NotifyAccount, who: fromElsewhere, self: true, open: true}},
}

// naming tells a city, once, that a solution is said to be in use there.
var naming = rule{kind: NotifyDeployment, who: namedCities, as: "solution.NAME_CITY"}

// maxTold bounds how many users are told of one thing by one rule; of a large
// team those with the greater role and who have been there longest.
const maxTold = 200

// staleEntry is the age from which on nobody is told of an entry: when the
// feed is read again from its beginning, what is long past is no news.
const staleEntry = 30 * 24 * time.Hour

// telling makes the notifications that follow from commands.
var telling = follower{name: "notifications", kinds: []Kind{KindAudit}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	e := doc.(*AuditEntry)
	if e.At.Before(m.clock().Add(-staleEntry)) {
		return nil
	}
	event, _, _ := strings.Cut(string(e.Subject), "_")
	event += "." + e.Action
	for _, r := range rules[event] {
		if err := m.tell(ctx, e, event, r); err != nil {
			return err
		}
	}
	return nil
})}

// tell makes the notifications that follow from an entry by one rule. Those
// that are there already stay as they are.
func (m *Market) tell(ctx context.Context, e *AuditEntry, event string, r rule) error {
	list, err := r.who(ctx, m, e)
	if err != nil {
		return err
	}
	if r.as != "" {
		event = r.as
	}
	if !r.self {
		list = slices.DeleteFunc(list, func(t told) bool { return t.user == e.By })
	}
	ids := make([]ID, len(list))
	for i, t := range list {
		ids[i] = t.user
	}
	users, err := m.load(ctx, ids)
	if err != nil {
		return err
	}
	for i, t := range list {
		if u, ok := users[i].(*User); ok {
			n := &Notification{User: u.ID, Kind: r.kind, Event: event, Entry: e.ID, Subject: e.Subject,
				Member: t.member, Person: t.person, Note: t.note, Address: t.address}
			if err := m.notify(ctx, u, n, t.once); err != nil {
				return err
			}
		}
	}
	return nil
}

// reaches says whether a user is told of things of a kind at all.
func (m *Market) reaches(u *User, kind NotificationKind) bool {
	return !u.IsDeleted && (!u.IsSuspended || kind == NotifyAccount) && (!u.IsSample || m.options.Demo) && u.channel(kind) != ChannelNone
}

// notify writes a notification for a user, once for each source, which is the
// entry of the audit log where it is empty; a second time it changes nothing.
// Who is not told of such things at all is not told.
func (m *Market) notify(ctx context.Context, u *User, n *Notification, source string) error {
	if !m.reaches(u, n.Kind) {
		return nil
	}
	if source == "" {
		source = string(n.Entry)
	}
	n.ID = ID(string(KindNotification) + "_" + hashed(source + "\x00" + string(n.Kind) + "\x00" + string(u.ID))[:26])
	switch now := m.clock(); u.channel(n.Kind) {
	case ChannelEmail:
		n.Posting = due(now)
	case ChannelDigest:
		n.Posting = Posting{Letter: LetterDigest, DueAt: new(nextDigest(now, u.TimeZone))}
	default:
		n.Posting = Posting{Letter: LetterNone}
	}
	err := create(ctx, m, MayKeepNotifications, n)
	if taken(err, "id") {
		return nil
	}
	return err
}

// officersOf are the secretariat's people who decide on what members do.
func officersOf(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	return m.inTeam(ctx, e, "", TeamRole(SecretariatAdmin), TeamRole(SecretariatOfficer))
}

// peopleOf are the owners and editors of the members of a kind that an entry is about.
func peopleOf(kind Kind) func(context.Context, *Market, *AuditEntry) ([]told, error) {
	return func(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
		var list []told
		for _, id := range e.readers() {
			if id.Kind() == kind {
				people, err := m.inTeam(ctx, e, id, TeamRole(RoleOwner), TeamRole(RoleEditor))
				if err != nil {
					return nil, err
				}
				list = join(list, people)
			}
		}
		return list, nil
	}
}

// readersOf are the owners and editors of all members that an entry is about.
func readersOf(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	var list []told
	for _, id := range e.readers() {
		if isMember(id) {
			people, err := m.inTeam(ctx, e, id, TeamRole(RoleOwner), TeamRole(RoleEditor))
			if err != nil {
				return nil, err
			}
			for i := range people {
				people[i].note = lastWord(e.Note)
			}
			list = join(list, people)
		}
	}
	return list, nil
}

// officersOfCase are the officers of a case, or of that to which a candidate
// belongs, who is named then.
func officersOfCase(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	id, member := e.Subject, ID("")
	if id.Kind() == KindCandidacy {
		d, err := get[*Candidacy](ctx, m, id)
		if err != nil {
			return nil, ignore(err, ErrNotFound)
		}
		id, member = d.Case, d.Member
	}
	c, err := get[*Case](ctx, m, id)
	if err != nil {
		return nil, ignore(err, ErrNotFound)
	}
	list, err := m.officersFor(ctx, c)
	for i := range list {
		if member != "" {
			list[i].member = member
		}
	}
	return list, err
}

// introducedTo are the people of the asker to whom a candidate was
// introduced, who is named; introduced are those of the candidate.
func introducedTo(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	return m.introduction(ctx, e, func(d *Candidacy) (who, named ID) { return d.Asker, d.Member })
}

func introduced(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	return m.introduction(ctx, e, func(d *Candidacy) (who, named ID) { return d.Member, d.Asker })
}

func (m *Market) introduction(ctx context.Context, e *AuditEntry, pick func(*Candidacy) (who, named ID)) ([]told, error) {
	d, err := get[*Candidacy](ctx, m, e.Subject)
	if err != nil || !d.IsIntroduced {
		return nil, ignore(err, ErrNotFound)
	}
	who, named := pick(d)
	list, err := m.inTeam(ctx, e, who, TeamRole(RoleOwner), TeamRole(RoleEditor))
	for i := range list {
		list[i].member = named
	}
	return list, err
}

// fromCompany are the same people, told by the company that an entry is about.
func fromCompany(who func(context.Context, *Market, *AuditEntry) ([]told, error)) func(context.Context, *Market, *AuditEntry) ([]told, error) {
	return func(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
		list, err := who(ctx, m, e)
		for _, id := range e.readers() {
			if id.Kind() == KindCompany {
				for i := range list {
					list[i].member = id
				}
			}
		}
		return list, err
	}
}

// addressees are those to whom a message was written, apart from the side that
// writes: between a city and a company the people of the other side, or of
// both where the secretariat writes; to all members the people of the city. The
// users and members whom it mentions come first.
func addressees(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	d, err := get[*Message](ctx, m, e.Subject)
	if errors.Is(err, ErrNotFound) || err == nil && d.Removal != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ids := make([]ID, 0, len(d.Mentions)+2)
	for _, mention := range d.Mentions {
		ids = append(ids, mention.ID)
	}
	var list []told
	for _, id := range append(ids, sides(d.City, d.Company)...) {
		people := []told{{user: id}}
		switch {
		case id == d.Member:
			continue
		case id.Kind() != KindUser:
			if people, err = m.inTeam(ctx, e, id, TeamRole(RoleOwner), TeamRole(RoleEditor)); err != nil {
				return nil, err
			}
		}
		for i := range people {
			people[i].member = d.Member
		}
		list = join(list, people)
	}
	return list, nil
}

// heads are those who must always be in a team: its owners, or the admins of
// the secretariat. Whoever the command is about is told otherwise.
func heads(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	member := memberOf(e)
	t, err := m.team(ctx, member)
	if err != nil {
		return nil, err
	}
	person := personOf(e)
	if u, err := get[*User](ctx, m, person); e.Action == "JOIN" && err == nil && u.IsSample {
		return nil, nil // they were always there
	}
	list, err := m.inTeam(ctx, e, member, t.head())
	list = slices.DeleteFunc(list, func(t told) bool { return t.user == person })
	for i := range list {
		list[i].person, list[i].note = person, lastWord(e.Note)
	}
	return list, err
}

// concerned is the user whom an entry is about.
func concerned(_ context.Context, _ *Market, e *AuditEntry) ([]told, error) {
	return []told{{user: personOf(e), member: memberOf(e), note: lastWord(e.Note)}}, nil
}

// formerAddress is the user whom an entry is about, by a letter to the
// address that they had until then.
func formerAddress(_ context.Context, _ *Market, e *AuditEntry) ([]told, error) {
	before, after, _ := strings.Cut(e.Note, " to ")
	return []told{{user: personOf(e), note: after, address: before}}, nil
}

// enoughSignIns is how many of a user's sign-ins are looked at to find out
// whether one came from where they were before.
const enoughSignIns = 100

// fromElsewhere is the user who signed in, where nobody did so before as them
// from the same network with the same agent. A new account is no news.
func fromElsewhere(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	u, err := get[*User](ctx, m, e.By)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil || e.At.Sub(u.CreatedAt) < time.Hour {
		return nil, err
	}
	earlier, err := find[*AuditEntry](ctx, m, KindAudit, Query{
		Where: []Condition{{Field: "by", Op: Eq, Value: e.By}, {Field: "action", Op: Eq, Value: e.Action}},
		Sort:  "moment", Descending: true, Limit: enoughSignIns})
	if err != nil {
		return nil, err
	}
	for _, o := range earlier {
		before := o.Moment < e.Moment || o.Moment == e.Moment && o.ID < e.ID
		if before && NetworkOf(o.Address) == NetworkOf(e.Address) && o.Agent == e.Agent {
			return nil, nil
		}
	}
	return []told{{user: e.By, note: e.Address}}, nil
}

// namedCities are the people of the cities in which a solution that they can
// see is said to be in use, as long as the city has not confirmed it.
func namedCities(ctx context.Context, m *Market, e *AuditEntry) ([]told, error) {
	s, err := get[*Solution](ctx, m, e.Subject)
	if errors.Is(err, ErrNotFound) || err == nil && s.Status != SolutionPublished {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []told
	for _, d := range s.Deployments {
		if d.City == "" || d.Confirmation != nil {
			continue
		}
		people, err := m.inTeam(ctx, e, d.City, TeamRole(RoleOwner), TeamRole(RoleEditor))
		if err != nil {
			return nil, err
		}
		for i := range people {
			people[i].note, people[i].once = d.Place, "deployment of "+string(s.ID)+" in "+string(d.City)
		}
		list = join(list, people)
	}
	return list, nil
}

// inTeam are the people of a team, of the secretariat for an empty member,
// who have one of the roles, given from the greatest on; maxTold at the most.
func (m *Market) inTeam(ctx context.Context, e *AuditEntry, member ID, roles ...TeamRole) ([]told, error) {
	t, err := m.team(ctx, member)
	if err != nil {
		return nil, err
	}
	people := slices.DeleteFunc(slices.Clone(t.People), func(p Person) bool { return !slices.Contains(roles, p.Role) })
	slices.SortStableFunc(people, func(a, b Person) int {
		if d := slices.Index(roles, a.Role) - slices.Index(roles, b.Role); d != 0 {
			return d
		}
		return a.Since.Compare(b.Since)
	})
	list := make([]told, 0, min(len(people), maxTold))
	for _, p := range people[:min(len(people), maxTold)] {
		about := member
		if about == "" {
			about = memberOf(e)
		}
		list = append(list, told{user: p.User, member: about})
	}
	return list, nil
}

// join adds those who are not in a list yet, as far as there is room.
func join(list, more []told) []told {
	for _, t := range more {
		if len(list) < maxTold && !slices.ContainsFunc(list, func(o told) bool { return o.user == t.user && o.once == t.once }) {
			list = append(list, t)
		}
	}
	return list
}

// memberOf is the first member that an entry is about; empty for the
// secretariat.
func memberOf(e *AuditEntry) ID {
	for _, id := range e.readers() {
		if isMember(id) {
			return id
		}
	}
	return ""
}

// personOf is the user whom an entry is about.
func personOf(e *AuditEntry) ID {
	for _, id := range e.readers() {
		if id.Kind() == KindUser {
			return id
		}
	}
	return ""
}

// lastWord is the new role in the notes of teams.
func lastWord(note string) string { return note[strings.LastIndexByte(note, ' ')+1:] }
