package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Month is a month of the calendar, "2027-03", in UTC.
type Month string

// start is the moment at which the month begins.
func (m Month) start() (time.Time, bool) {
	t, err := time.Parse("2006-01", string(m))
	return t, err == nil && t.Year() >= 1970 && t.Year() < 9999
}

func monthOf(t time.Time) Month { return Month(t.UTC().Format("2006-01")) }

// Bounds of statistics.
const (
	maxStatisticsMonths = 24
	// MaxStatisticsMeetings is how many meetings (or cases) are counted at once.
	MaxStatisticsMeetings = 100_000
)

// limitStatistics is for each user.
var limitStatistics = limited{name: "statistics", account: throttleLimit{20, 10 * time.Second}}

// Statistics are what became of the meetings that were asked for within some
// months: of all members, or of one, which are those that it asked for and
// those that it was asked for. No meeting is named, nor a member.
//
// They are counted when they are asked for, from the meetings themselves: a
// thousand at a time by an index, with what they are about. What stays in
// memory are counters, one duration and one pair for each meeting, and the
// topics and regions of what was met about. So they are exact at any moment,
// there is no second record that could disagree with the meetings, and what is
// counted can be defined otherwise without a migration. Documents by month that
// a follower keeps would have to remember of each meeting how it was counted,
// to take that back when the meeting changes.
//
// Counting 20,000 meetings about 2,000 solutions takes 0.74 s on one of two
// busy cores (BenchmarkStatistics), three to four store operations for each
// thousand. MaxStatisticsMeetings is what can be counted within a request, and
// more than a network of some hundred members arranges in 24 months. One count
// is made at a time in a process, and others wait for it.
type Statistics struct {
	Member   ID // empty: the network
	From, To Month

	Total          *Figures
	Sent, Received *Figures         // nil for the network
	Months         []*MonthFigures  // all of them, in order
	Regions        []*RegionFigures // those with meetings, in the order of Regions
	Topics         []*TopicFigures  // those with meetings, by their ids; without a topic last
}

// Figures are what became of some meetings.
type Figures struct {
	Requests  int // all of them
	Waiting   int // wait for a first agreement
	Accepted  int // a time was agreed, whatever became of it
	Declined  int
	Expired   int
	Cancelled int // before or after a time was agreed
	Agreed    int // agreed, and nobody has said yet whether it took place
	Held      int
	Missed    int
	// Second are those held whose two members had held another one, of those
	// counted, that began before.
	Second int
	// Outcomes are what sides said: of the network both, of a member its own.
	Outcomes OutcomeFigures
	Answered int // got a first answer
	// MedianAnswer and NinetiethAnswer are after how many seconds: half of
	// those answered took at most the one, nine tenths at most the other
	// (nearest rank, so each is a time that was measured). Nil where none was.
	MedianAnswer, NinetiethAnswer *int
}

// OutcomeFigures are how often sides said what came of meetings.
type OutcomeFigures struct {
	NotHeld, Informative, CooperationPossible, Agreed int
}

// MonthFigures are those of the meetings that were asked for in a month.
type MonthFigures struct {
	Month   Month
	Figures *Figures
}

// RegionFigures are those of the meetings that belong to a region; see
// countMeeting.
type RegionFigures struct {
	Region  Region
	Figures *Figures
}

// TopicFigures are those of the meetings that belong to a topic, or to none.
type TopicFigures struct {
	Topic   ID // empty: none
	Figures *Figures
}

// StatisticsInput says what to count.
type StatisticsInput struct {
	Member   *ID   // nil: all
	From, To Month // the first and the last; at most 24
}

// Statistics counts the meetings that were asked for in some months: of the
// network for the secretariat, of a member for its people and the secretariat.
// Requests that a member does not hear of are not among those that its people see.
func (m *Market) Statistics(ctx context.Context, in StatisticsInput) (*Statistics, error) {
	s := &Statistics{From: in.From, To: in.To}
	may, queries := MaySeeStatistics.checkFor(ctx), []Query{{}}
	if in.Member != nil {
		s.Member = *in.Member
		if _, err := m.Member(ctx, s.Member); err != nil {
			return nil, err
		}
		may, queries = MaySeeOwnStatistics.checkFor(ctx, s.Member), nil
		for _, side := range []string{"from", "to"} {
			queries = append(queries, Query{Where: []Condition{{Field: side, Op: Eq, Value: s.Member}}})
		}
	}
	if may != nil {
		return nil, may
	}
	from, to, leave, err := m.beginCount(ctx, in.From, in.To)
	if err != nil {
		return nil, err
	}
	defer leave()
	c := newMeetingCount(s.Member)
	for _, q := range queries {
		err := m.countPages(ctx, KindMeeting, q, from, to, c.left, func(page context.Context, docs []entity) error {
			return c.add(page, m, slices.DeleteFunc(docs, func(doc entity) bool { return !visible(ctx, doc) }))
		})
		if err != nil {
			return nil, err
		}
	}
	c.report(s, from, to)
	for _, t := range s.Topics {
		readsOf(ctx).expect([]ID{t.Topic})
	}
	return s, nil
}

// monthRange is from which moment on and before which one.
func monthRange(first, last Month) (from, to time.Time, err error) {
	var p problems
	from, ok := first.start()
	if !ok {
		p.add("from", "INVALID", "must be a month such as 2027-03")
	}
	to, good := last.start()
	if !good {
		p.add("to", "INVALID", "must be a month such as 2027-03")
	}
	to = to.AddDate(0, 1, 0)
	if p.err() == nil && (!from.Before(to) || from.AddDate(0, maxStatisticsMonths, 0).Before(to)) {
		p.addf("to", "OUT_OF_RANGE", "must be from the first month on, at most %d months in all", maxStatisticsMonths)
	}
	return from, to, p.err()
}

// beginCount says from which moment on and before which one the documents of
// some months were made, and takes the place of who counts, of which there is
// one in each process: it waits for that as long as the request lasts.
func (m *Market) beginCount(ctx context.Context, first, last Month) (from, to time.Time, leave func(), err error) {
	if from, to, err = monthRange(first, last); err != nil {
		return from, to, nil, err
	}
	if err := m.limit(ctx, limitStatistics, string(actorOf(ctx).User)); err != nil {
		return from, to, nil, err
	}
	select {
	case m.counting <- struct{}{}:
		return from, to, func() { <-m.counting }, nil
	case <-ctx.Done():
		return from, to, nil, fmt.Errorf("marketplace: other statistics are being counted: %w", ctx.Err())
	}
}

// countPages reads the documents of a query that were made in a time, page by
// page, each in a request of its own, whoever may see them. left says how many
// more may come.
func (m *Market) countPages(ctx context.Context, kind Kind, q Query, from, to time.Time, left func() int, each func(context.Context, []entity) error) error {
	q.Sort, q.Limit = "createdAt", MaxPage
	q.Where = append(slices.Clone(q.Where), Condition{Field: "createdAt", Op: Ge, Value: from}, Condition{Field: "createdAt", Op: Lt, Value: to})
	for {
		page := withSight(ctx)
		docs := make([]entity, 0, MaxPage)
		err := m.fetchAll(page, kind, q, func(doc entity, position string, _ bool) { docs, q.After = append(docs, doc), position })
		if err != nil || len(docs) == 0 {
			return err
		}
		if len(docs) > left() {
			return invalid("from", "TOO_MANY", fmt.Sprintf("more than %d were asked for in these months: count fewer months", MaxStatisticsMeetings))
		}
		n := len(docs)
		if err := each(page, docs); err != nil || n < q.Limit {
			return err
		}
	}
}

// nearestRank is the smallest of the sorted values that is not exceeded by a
// part of them, given in hundredths; nil where there are none.
func nearestRank(sorted []int32, hundredths int) *int {
	if len(sorted) == 0 {
		return nil
	}
	return new(int(sorted[(len(sorted)*hundredths+99)/100-1]))
}
