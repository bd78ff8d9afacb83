package marketplace

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"
)

// OfficerFigures are what became of the cases that were asked for within some
// months and that an officer has, or had when they were closed.
type OfficerFigures struct {
	Officer ID // user; empty: nobody has taken them
	Cases   int
	Open    int // not closed
	// By outcome.
	PartnerFound, NotFound, OutOfScope, Withdrawn int
	// DaysToContact and DaysToClose are medians (nearest rank) from when a case
	// was asked for to when its first candidate was written or spoken to, and
	// to when it was closed, in days with two decimals. Nil where none was.
	DaysToContact, DaysToClose *float64

	contact, closing []int32 // seconds
}

// OfficerStatistics counts the cases that were asked for in some months, by
// officer, those with most cases first, for the secretariat. It is made as
// Statistics are.
func (m *Market) OfficerStatistics(ctx context.Context, first, last Month) ([]*OfficerFigures, error) {
	if err := MaySeeStatistics.checkFor(ctx); err != nil {
		return nil, err
	}
	from, to, leave, err := m.beginCount(ctx, first, last)
	if err != nil {
		return nil, err
	}
	defer leave()
	n, all := 0, map[ID]*OfficerFigures{}
	err = m.countPages(ctx, KindCase, Query{}, from, to, func() int { return MaxStatisticsMeetings - n }, func(ctx context.Context, docs []entity) error {
		ids := make([]ID, len(docs))
		for i, doc := range docs {
			ids[i] = caseTallyID(doc.meta().ID)
		}
		tallies, err := m.load(ctx, ids)
		if err != nil {
			return err
		}
		for i, doc := range docs {
			c := doc.(*Case)
			n++
			if all[c.Officer] == nil {
				all[c.Officer] = &OfficerFigures{Officer: c.Officer}
			}
			t, _ := tallies[i].(*CaseTally)
			all[c.Officer].count(c, t)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, f := range all {
		readsOf(ctx).expect([]ID{id})
		f.DaysToContact, f.DaysToClose = medianDays(f.contact), medianDays(f.closing)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *OfficerFigures) int {
		return cmp.Or(cmp.Compare(b.Cases, a.Cases), cmp.Compare(a.Officer, b.Officer))
	}), nil
}

func (f *OfficerFigures) count(c *Case, t *CaseTally) {
	f.Cases++
	if t != nil && t.FirstContactAt != nil {
		f.contact = append(f.contact, secondsBetween(c.CreatedAt, *t.FirstContactAt))
	}
	if c.Closing == nil {
		f.Open++
		return
	}
	f.closing = append(f.closing, secondsBetween(c.CreatedAt, c.Closing.At))
	switch c.Closing.Outcome {
	case CasePartnerFound:
		f.PartnerFound++
	case CaseNotFound:
		f.NotFound++
	case CaseOutOfScope:
		f.OutOfScope++
	case CaseWithdrawn:
		f.Withdrawn++
	}
}

// secondsBetween are at most 68 years.
func secondsBetween(from, to time.Time) int32 {
	return int32(min(max(to.Sub(from)/time.Second, 0), math.MaxInt32))
}

func medianDays(seconds []int32) *float64 {
	slices.Sort(seconds)
	median := nearestRank(seconds, 50)
	if median == nil {
		return nil
	}
	return new(math.Round(float64(*median)/864) / 100)
}

// OfficerOf is the user whom figures are about, for the secretariat.
func (m *Market) OfficerOf(ctx context.Context, f *OfficerFigures) (*User, error) {
	return get[*User](ctx, m, f.Officer)
}
