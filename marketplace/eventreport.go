package marketplace

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// An EventReport says what came of an event: as a whole for the secretariat and,
// when it is over, for all members; for a participant of what concerns it. It
// never counts whom somebody never wants to meet.
type EventReport struct {
	Event  ID
	Member ID // empty: as a whole
	MadeAt time.Time

	Registered int // registrations that were neither declined nor withdrawn
	Approved   int
	Delegates  int // of participants
	CheckedIn  int

	Wishes   []WishShare // MUST and WANT
	Meetings MeetingCount
	Requests RequestCount
	ByRegion []RegionCount // a meeting counts for each region of its sides
	ByTopic  []TopicCount  // a meeting counts for each topic of what it is about
	Outcomes []OutcomeCount
	Follow   FollowUps
	// IsPartial says that there was more than is read for a report.
	IsPartial bool
}

// A WishShare says how many wishes of a level there were, of how many the two
// have a meeting that was not missed, and of how many it was held.
type WishShare struct {
	Level  WishLevel
	Wishes int
	Met    int
	Held   int
}

// A MeetingCount counts meetings.
type MeetingCount struct {
	Timetabled int // stand in the timetable, and were not cancelled
	Live       int // were booked besides
	Held       int
	Missed     int
	Unsaid     int // have passed as agreed, and nobody has said whether they took place
	Ahead      int // have not ended
	Cancelled  int
	NoShows    int // sides that have not come
	Delayed    int
}

// A RequestCount counts requests for meetings in free slots.
type RequestCount struct{ Sent, Accepted, Declined, Expired, Open int }

// A RegionCount counts the meetings of a region, a TopicCount those on a topic.
type RegionCount struct {
	Region   Region // empty: not known
	Meetings MeetingCount
}

// A TopicCount counts the meetings on a topic.
type TopicCount struct {
	Topic    ID // empty: none
	Meetings MeetingCount
}

// An OutcomeCount says how many sides say that this came of a meeting.
type OutcomeCount struct {
	What  OutcomeKind
	Sides int
}

// FollowUps are what pairs that have met at an event have done together since
// it began.
type FollowUps struct {
	Pairs    int // that have met
	Meetings int // that they have asked for, agreed or held since, elsewhere
	Offers   int // that one of them has made on a proposal of the other since
}

// Bounds of a report: reads of the store.
const (
	maxReportPages = 25 // of 1,000 documents, of each kind that is read
	reportChunk    = 500
)

var limitEventReport = limited{name: "event report", account: throttleLimit{10, 10 * time.Second}}

// EventReport makes the report of an event as it is now: as a whole for the
// secretariat and, once the event is closed, for the people of all members; of
// a member for its people and the secretariat; ErrNotFound for others. It is reckoned anew each time: one store operation for each 1,000 meetings, 100 lists of
// wishes, and 500 members.
func (m *Market) EventReport(ctx context.Context, event ID, member *ID) (*EventReport, error) {
	e, err := m.Event(ctx, event)
	if err != nil {
		return nil, err
	}
	r := &EventReport{Event: e.ID, MadeAt: m.clock()}
	if member != nil {
		r.Member = *member
		if !isMember(*member) || !onSide(ctx, *member) {
			return nil, ErrNotFound
		}
	} else if !MayReadEventReport.allows(ctx, e) && !(e.Phase == EventClosed && MayReadClosedReport.allows(ctx, e)) {
		return nil, ErrNotFound
	}
	if err := m.limitUser(ctx, limitEventReport); err != nil {
		return nil, err
	}
	c := &reporter{Market: m, hears: func(x *Meeting) bool { return r.Member == "" || visible(ctx, x) }, event: e, report: r, regions: map[ID]Region{}, topics: map[ID][]ID{}, wished: map[duo]ID{}, known: map[ID]bool{}, met: map[duo]bool{}, held: map[duo]bool{}}
	sight := withSight(ctx)
	for _, step := range []func(context.Context) error{c.registrations, c.readMeetings, c.readWishes, c.readSubjects, c.readRegions, c.followUps} {
		if err := step(sight); err != nil {
			return nil, err
		}
	}
	c.count()
	return r, nil
}

// A reporter makes one report.
type reporter struct {
	*Market
	// hears says whether the reader may know of a meeting. As a whole a report
	// counts all of them, so that it says the same to everybody.
	hears   func(*Meeting) bool
	event   *Event
	report  *EventReport
	members []ID // of the meetings
	known   map[ID]bool
	list    []*Meeting
	wished  map[duo]ID // what a wish of a pair is about
	regions map[ID]Region
	topics  map[ID][]ID // of what a meeting can be about
	met     map[duo]bool
	held    map[duo]bool
}

func (c *reporter) registrations(ctx context.Context) error {
	var all []*Registration
	if id := c.report.Member; id != "" {
		r, err := get[*Registration](ctx, c.Market, registrationID(c.event.ID, id))
		if err := ignore(err, ErrNotFound); err != nil {
			return err
		}
		if r != nil {
			all = append(all, r)
		}
	} else {
		err := c.pages(ctx, KindRegistration, registrationsIn(c.event.ID, MaxPage, RegistrationStatuses...), func(doc entity) { all = append(all, doc.(*Registration)) })
		if err != nil {
			return err
		}
	}
	for _, r := range all {
		if r.isOpen() {
			c.report.Registered++
		}
		if r.Status != RegistrationApproved {
			continue
		}
		c.report.Approved++
		c.report.Delegates += len(r.Delegates)
		for i := range r.Delegates {
			if r.arrival(r.Delegates[i].Person()) != nil {
				c.report.CheckedIn++
			}
		}
	}
	return nil
}

// pages hands over the documents of a query, as far as a report reads.
func (c *reporter) pages(ctx context.Context, kind Kind, q Query, do func(entity)) error {
	all, err := c.eachUpTo(ctx, kind, q, maxReportPages, do)
	c.report.IsPartial = c.report.IsPartial || err == nil && !all
	return err
}

func (c *reporter) readMeetings(ctx context.Context) error {
	q := Query{Where: []Condition{{Field: "event", Op: Eq, Value: c.event.ID}}, Sort: "startsAt", Limit: MaxPage}
	if c.report.Member != "" {
		q = withLimit(meetingQuery(concern(c.report.Member, c.event.ID), MeetingFilter{}, false), MaxPage)
	}
	return c.pages(ctx, KindMeeting, q, func(doc entity) {
		x := doc.(*Meeting)
		if !c.hears(x) {
			return
		}
		c.list = append(c.list, x)
		p := pairOf(x.From, x.To)
		c.met[p] = c.met[p] || slices.Contains(agreedMeetings, x.Status) || x.Status == MeetingHeld
		c.held[p] = c.held[p] || x.Status == MeetingHeld
		for _, id := range p {
			if !c.known[id] {
				c.known[id] = true
				c.members = append(c.members, id)
			}
		}
	})
}

func (c *reporter) readWishes(ctx context.Context) error {
	c.report.Wishes = []WishShare{{Level: WishMust}, {Level: WishWant}}
	add := func(w *WishList) {
		for i := range c.report.Wishes {
			s := &c.report.Wishes[i]
			for _, x := range w.of(s.Level) {
				p := pairOf(w.Member, x.With)
				s.Wishes++
				if c.met[p] {
					s.Met++
				}
				if c.held[p] {
					s.Held++
				}
				if x.About != "" && c.wished[p] == "" {
					c.wished[p] = x.About
				}
			}
		}
	}
	if id := c.report.Member; id != "" {
		w, err := get[*WishList](ctx, c.Market, wishListID(registrationID(c.event.ID, id)))
		if err == nil {
			add(w)
		}
		return ignore(err, ErrNotFound)
	}
	return c.each(ctx, KindWishList, Query{Where: []Condition{{Field: "event", Op: Eq, Value: c.event.ID}}, Sort: "createdAt", Limit: 100}, func(doc entity) { add(doc.(*WishList)) })
}

// subjectsOf are the solutions and proposals that a meeting is about: what it
// says, else what a wish of the two says.
func (c *reporter) subjectsOf(x *Meeting) []ID {
	if len(x.Subjects) > 0 {
		return x.Subjects
	}
	if id := c.wished[pairOf(x.From, x.To)]; id != "" {
		return []ID{id}
	}
	return nil
}

func (c *reporter) readSubjects(ctx context.Context) error {
	var ids []ID
	for _, x := range c.list {
		for _, id := range c.subjectsOf(x) {
			if _, ok := c.topics[id]; !ok {
				c.topics[id] = nil
				ids = append(ids, id)
			}
		}
	}
	return c.readAll(ctx, ids, func(doc entity) {
		switch doc := doc.(type) {
		case *Solution:
			c.topics[doc.ID] = doc.Topics
		case *Proposal:
			c.topics[doc.ID] = doc.Topics
		}
	})
}

func (c *reporter) readRegions(ctx context.Context) error {
	return c.readAll(ctx, c.members, func(doc entity) {
		if o, ok := doc.(interface{ placed() Region }); ok {
			c.regions[doc.meta().ID] = o.placed()
		}
	})
}

func (c *reporter) readAll(ctx context.Context, ids []ID, do func(entity)) error {
	for chunk := range slices.Chunk(ids, reportChunk) {
		docs, err := c.load(Afresh(ctx), chunk)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			if doc != nil {
				do(doc)
			}
		}
	}
	return nil
}

// followUps looks for what pairs that have met have done since.
func (c *reporter) followUps(ctx context.Context) error {
	pairs, in := map[duo]bool{}, map[ID]bool{}
	now := c.clock()
	for _, x := range c.list {
		if x.Status == MeetingHeld || slices.Contains(agreedMeetings, x.Status) && !x.end().After(now) {
			p := pairOf(x.From, x.To)
			pairs[p], in[p[0]], in[p[1]] = true, true, true
		}
	}
	var members, companies []ID
	for _, id := range c.members {
		if in[id] {
			members = append(members, id)
			if id.Kind() == KindCompany {
				companies = append(companies, id)
			}
		}
	}
	c.report.Follow.Pairs = len(pairs)
	since := Condition{Field: "createdAt", Op: Ge, Value: c.event.StartsAt}
	over := []MeetingStatus{MeetingDeclined, MeetingCancelled, MeetingExpired, MeetingMissed}
	for chunk := range slices.Chunk(members, MaxValues) {
		err := c.pages(ctx, KindMeeting, Query{Where: []Condition{{Field: "from", Op: In, Values: values(chunk)}, since}, Sort: "createdAt", Limit: MaxPage}, func(doc entity) {
			if x := doc.(*Meeting); c.hears(x) && x.Event != c.event.ID && pairs[pairOf(x.From, x.To)] && !slices.Contains(over, x.Status) {
				c.report.Follow.Meetings++
			}
		})
		if err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(companies, MaxValues) {
		err := c.pages(ctx, KindOffer, Query{Where: []Condition{{Field: "company", Op: In, Values: values(chunk)}, since}, Sort: "createdAt", Limit: MaxPage}, func(doc entity) {
			if o := doc.(*Offer); pairs[pairOf(o.City, o.Company)] {
				c.report.Follow.Offers++
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// count counts the meetings that were read.
func (c *reporter) count() {
	r, now := c.report, c.clock()
	outcomes := map[OutcomeKind]int{}
	regions, topics := map[Region]*MeetingCount{}, map[ID]*MeetingCount{}
	for _, x := range c.list {
		r.Requests.add(x)
		r.Meetings.add(x, now)
		if x.At == nil {
			continue
		}
		for _, side := range x.parties() {
			if o := *x.outcomeOf(side); o != nil && (r.Member == "" || r.Member == side) {
				outcomes[o.What]++
			}
		}
		in := distinct(c.regions[x.From], c.regions[x.To])
		for _, region := range in {
			countIn(regions, region).add(x, now)
		}
		var on []ID
		for _, id := range c.subjectsOf(x) {
			on = append(on, c.topics[id]...)
		}
		if len(on) == 0 {
			on = []ID{""}
		}
		for _, topic := range distinct(on...) {
			countIn(topics, topic).add(x, now)
		}
	}
	r.ByRegion, r.ByTopic, r.Outcomes = []RegionCount{}, []TopicCount{}, []OutcomeCount{}
	for region, n := range regions {
		r.ByRegion = append(r.ByRegion, RegionCount{region, *n})
	}
	for topic, n := range topics {
		r.ByTopic = append(r.ByTopic, TopicCount{topic, *n})
	}
	slices.SortFunc(r.ByRegion, func(a, b RegionCount) int { return cmp.Compare(a.Region, b.Region) })
	slices.SortFunc(r.ByTopic, func(a, b TopicCount) int { return cmp.Compare(a.Topic, b.Topic) })
	for _, what := range OutcomeKinds {
		if outcomes[what] > 0 {
			r.Outcomes = append(r.Outcomes, OutcomeCount{what, outcomes[what]})
		}
	}
}

func distinct[T cmp.Ordered](list ...T) []T {
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list)
}

func countIn[K comparable](of map[K]*MeetingCount, key K) *MeetingCount {
	if of[key] == nil {
		of[key] = &MeetingCount{}
	}
	return of[key]
}

// add counts one meeting whose time was agreed.
func (n *MeetingCount) add(x *Meeting, now time.Time) {
	if x.At == nil {
		return
	}
	switch {
	case x.Status == MeetingCancelled:
		n.Cancelled++
		return
	case !slices.Contains(bookedMeetings, x.Status):
		return
	case x.Timetabled != nil:
		n.Timetabled++
	default:
		n.Live++
	}
	switch {
	case x.Status == MeetingHeld:
		n.Held++
	case x.Status == MeetingMissed:
		n.Missed++
	case x.end().After(now):
		n.Ahead++
	default:
		n.Unsaid++
	}
	if x.NoShow != nil {
		n.NoShows += len(x.NoShow.Sides)
	}
	if x.Delay != nil && x.Delay.Minutes > 0 {
		n.Delayed++
	}
}

// add counts one request of participants; what the secretariat has booked is none.
func (n *RequestCount) add(x *Meeting) {
	if x.Pending == 0 {
		return
	}
	n.Sent++
	switch {
	case x.AcceptedAt != nil:
		n.Accepted++
	case x.Status == MeetingDeclined:
		n.Declined++
	case x.Status == MeetingExpired:
		n.Expired++
	case slices.Contains(pendingMeetings, x.Status):
		n.Open++
	}
}

// placed is the region that a member is in.
func (o *Organisation) placed() Region { return o.Region }

// ReportTopic is the topic of a count; ErrNotFound where it is of none.
func (m *Market) ReportTopic(ctx context.Context, n *TopicCount) (*Topic, error) {
	if n.Topic == "" {
		return nil, ErrNotFound
	}
	return m.Topic(ctx, n.Topic)
}

// ReportMember is the member that a report is of; nil where it is of the
// event as a whole.
func (m *Market) ReportMember(ctx context.Context, r *EventReport) (Member, error) {
	if r.Member == "" {
		return nil, nil
	}
	doc, err := m.Member(ctx, r.Member)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return doc, err
}

// RegionOrNil is the region of a count; nil where it is not known.
func (n *RegionCount) RegionOrNil() *Region {
	if n.Region == "" {
		return nil
	}
	return &n.Region
}
