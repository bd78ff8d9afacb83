package marketplace

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// A tallied is Figures that are still being counted.
type tallied struct {
	Figures
	answers []int32 // seconds
}

// A meetingCount counts meetings.
type meetingCount struct {
	member ID // whose statistics they are; empty: the network's
	n      int

	total, sent, received tallied
	months                map[Month]*tallied
	regions               map[Region]*tallied
	topics                map[ID]*tallied

	about map[ID]*subjectMatter    // of what was met about, and of members
	pairs map[[2]ID]*firstMeetings // by the two members, in the order of their ids
}

// A subjectMatter is where something belongs to.
type subjectMatter struct {
	regions []Region
	topics  []ID
}

// firstMeetings are the earliest meeting that a pair has held, and where it
// was counted, since all others are second ones.
type firstMeetings struct {
	at      time.Time
	id      ID
	counted []*tallied
}

func newMeetingCount(member ID) *meetingCount {
	return &meetingCount{member: member, months: map[Month]*tallied{}, regions: map[Region]*tallied{}, topics: map[ID]*tallied{},
		about: map[ID]*subjectMatter{}, pairs: map[[2]ID]*firstMeetings{}}
}

// left is how many more meetings may be counted.
func (c *meetingCount) left() int { return MaxStatisticsMeetings - c.n }

// add counts a page of meetings; it reads what they are about, as far as that
// is not known yet.
func (c *meetingCount) add(ctx context.Context, m *Market, docs []entity) error {
	var ids []ID
	for _, doc := range docs {
		x := doc.(*Meeting)
		for _, id := range append([]ID{x.From, x.To}, x.Subjects...) {
			if c.about[id] == nil {
				c.about[id] = &subjectMatter{}
				ids = append(ids, id)
			}
		}
	}
	found, err := m.load(ctx, ids)
	if err != nil {
		return err
	}
	for i, doc := range found {
		c.about[ids[i]] = matterOf(doc)
	}
	for _, doc := range docs {
		c.countMeeting(doc.(*Meeting))
	}
	return nil
}

// matterOf says where something belongs to: a proposal to its city's region
// and to its topics, a solution to the regions in which it is offered and to
// its topics, a member to its region.
func matterOf(doc entity) *subjectMatter {
	s := &subjectMatter{}
	switch doc := doc.(type) {
	case *Proposal:
		s.regions, s.topics = []Region{doc.Region}, doc.Topics
	case *Solution:
		for _, r := range regionsServed(doc.Regions, doc.Countries) {
			s.regions = append(s.regions, Region(r))
		}
		s.topics = doc.Topics
	case *City:
		s.regions = []Region{doc.Region}
	case *Company:
		s.regions = []Region{doc.Region}
	case *Institution:
		s.regions = []Region{doc.Region}
	}
	return s
}

// matter is where a meeting belongs to: where the proposal does that it is
// about (of an offer, the one that was answered), else the solution; where
// there is neither, or that names no region, to the regions of the two
// members. One that belongs to several is counted in each of them.
func (c *meetingCount) matter(x *Meeting) subjectMatter {
	var s subjectMatter
	for _, kind := range []Kind{KindProposal, KindSolution} {
		i := slices.IndexFunc(x.Subjects, func(id ID) bool { return id.Kind() == kind })
		if i >= 0 {
			s = *c.about[x.Subjects[i]]
			break
		}
	}
	if len(s.regions) == 0 {
		s.regions = slices.Concat(c.about[x.From].regions, c.about[x.To].regions)
	}
	if len(s.topics) == 0 {
		s.topics = []ID{""}
	}
	return s
}

// countMeeting counts a meeting wherever it belongs to.
func (c *meetingCount) countMeeting(x *Meeting) {
	c.n++
	in := []*tallied{&c.total, under(c.months, monthOf(x.CreatedAt))}
	switch c.member {
	case "":
	case x.From:
		in = append(in, &c.sent)
	default:
		in = append(in, &c.received)
	}
	s := c.matter(x)
	for i, r := range s.regions {
		if !slices.Contains(s.regions[:i], r) {
			in = append(in, under(c.regions, r))
		}
	}
	for _, t := range s.topics {
		in = append(in, under(c.topics, t))
	}
	for _, f := range in {
		f.count(x, c.member)
	}
	if x.Status == MeetingHeld {
		c.pair(x, in)
	}
}

func under[K comparable](all map[K]*tallied, key K) *tallied {
	if all[key] == nil {
		all[key] = &tallied{}
	}
	return all[key]
}

// pair keeps which meeting of its two members was the first, in whatever
// order they come.
func (c *meetingCount) pair(x *Meeting, in []*tallied) {
	key := [2]ID{min(x.From, x.To), max(x.From, x.To)}
	first := c.pairs[key]
	if first == nil || x.StartsAt.Before(first.at) || x.StartsAt.Equal(first.at) && x.ID < first.id {
		c.pairs[key] = &firstMeetings{x.StartsAt, x.ID, in}
	}
}

func (f *tallied) count(x *Meeting, member ID) {
	f.Requests++
	if x.AcceptedAt != nil {
		f.Accepted++
	}
	switch x.Status {
	case MeetingRequested, MeetingCountered:
		f.Waiting++
	case MeetingDeclined:
		f.Declined++
	case MeetingExpired:
		f.Expired++
	case MeetingCancelled:
		f.Cancelled++
	case MeetingAccepted, MeetingRescheduled:
		f.Agreed++
	case MeetingHeld:
		f.Held++
	case MeetingMissed:
		f.Missed++
	}
	for _, side := range []ID{x.From, x.To} {
		if o := *x.outcomeOf(side); o != nil && (member == "" || member == side) {
			f.Outcomes.count(o.What)
		}
	}
	if x.AnsweredAt != nil {
		f.Answered++
		f.answers = append(f.answers, secondsBetween(x.CreatedAt, *x.AnsweredAt))
	}
}

func (f *OutcomeFigures) count(what OutcomeKind) {
	switch what {
	case OutcomeNotHeld:
		f.NotHeld++
	case OutcomeInformative:
		f.Informative++
	case OutcomePossible:
		f.CooperationPossible++
	case OutcomeAgreed:
		f.Agreed++
	}
}

// figures are what was counted.
func (f *tallied) figures() *Figures {
	slices.Sort(f.answers)
	f.MedianAnswer, f.NinetiethAnswer = nearestRank(f.answers, 50), nearestRank(f.answers, 90)
	return &f.Figures
}

// report writes down what was counted.
func (c *meetingCount) report(s *Statistics, from, to time.Time) {
	all := []*tallied{&c.total, &c.sent, &c.received}
	for _, list := range []([]*tallied){slices.Collect(maps.Values(c.months)), slices.Collect(maps.Values(c.regions)), slices.Collect(maps.Values(c.topics))} {
		all = append(all, list...)
	}
	for _, f := range all {
		f.Second = f.Held
	}
	for _, first := range c.pairs {
		for _, f := range first.counted {
			f.Second--
		}
	}
	s.Total = c.total.figures()
	if c.member != "" {
		s.Sent, s.Received = c.sent.figures(), c.received.figures()
	}
	s.Months, s.Regions, s.Topics = []*MonthFigures{}, []*RegionFigures{}, []*TopicFigures{}
	for at := from; at.Before(to); at = at.AddDate(0, 1, 0) {
		s.Months = append(s.Months, &MonthFigures{monthOf(at), under(c.months, monthOf(at)).figures()})
	}
	for _, r := range Regions {
		if f := c.regions[r]; f != nil {
			s.Regions = append(s.Regions, &RegionFigures{r, f.figures()})
		}
	}
	topics := slices.SortedFunc(maps.Keys(c.topics), func(a, b ID) int {
		if (a == "") != (b == "") {
			return cmp.Compare(len(b), len(a)) // without a topic last
		}
		return strings.Compare(string(a), string(b))
	})
	for _, t := range topics {
		s.Topics = append(s.Topics, &TopicFigures{t, c.topics[t].figures()})
	}
}
