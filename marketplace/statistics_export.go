package marketplace

import (
	"context"
	"iter"
	"strings"
)

// kindFigures is a kind of rows of which none is stored.
const kindFigures Kind = "figures"

// A figuresRow is a row of the export of statistics.
type figuresRow struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Group string // TOTAL, SENT, RECEIVED, MONTH, REGION or TOPIC
	Key   string // which of the group; empty: the whole, or no topic
	Label Text   // what a topic is called
	*Figures
}

func (*figuresRow) kind() Kind         { return kindFigures }
func (*figuresRow) validate(*problems) {}
func (*figuresRow) audience() []Group  { return nil }
func (*figuresRow) parties() []ID      { return nil }

// figuresColumns are the figures by the names of the API.
var figuresColumns = []column{
	figure("group", func(r *figuresRow) any { return r.Group }),
	figure("key", func(r *figuresRow) any { return maybe(r.Key) }),
	{name: "label", text: true, get: func(_ context.Context, doc entity) any { return doc.(*figuresRow).Label }},
	figure("requests", func(r *figuresRow) any { return r.Requests }),
	figure("waiting", func(r *figuresRow) any { return r.Waiting }),
	figure("accepted", func(r *figuresRow) any { return r.Accepted }),
	figure("declined", func(r *figuresRow) any { return r.Declined }),
	figure("expired", func(r *figuresRow) any { return r.Expired }),
	figure("cancelled", func(r *figuresRow) any { return r.Cancelled }),
	figure("agreed", func(r *figuresRow) any { return r.Agreed }),
	figure("held", func(r *figuresRow) any { return r.Held }),
	figure("missed", func(r *figuresRow) any { return r.Missed }),
	figure("second", func(r *figuresRow) any { return r.Second }),
	figure("outcomeNotHeld", func(r *figuresRow) any { return r.Outcomes.NotHeld }),
	figure("outcomeInformative", func(r *figuresRow) any { return r.Outcomes.Informative }),
	figure("outcomeCooperationPossible", func(r *figuresRow) any { return r.Outcomes.CooperationPossible }),
	figure("outcomeAgreed", func(r *figuresRow) any { return r.Outcomes.Agreed }),
	figure("answered", func(r *figuresRow) any { return r.Answered }),
	figure("medianAnswer", func(r *figuresRow) any { return r.MedianAnswer }),
	figure("ninetiethAnswer", func(r *figuresRow) any { return r.NinetiethAnswer }),
}

func figure(name string, get func(*figuresRow) any) column {
	return column{name: name, get: func(_ context.Context, doc entity) any { return get(doc.(*figuresRow)) }}
}

// ExportStatistics exports Statistics as a table: a row for the total, for a
// member one for what it sent and one for what it received, then one for each
// month, region and topic. They are counted before the first row is written.
func (m *Market) ExportStatistics(ctx context.Context, in StatisticsInput) (*Export, error) {
	s, err := m.Statistics(ctx, in)
	if err != nil {
		return nil, err
	}
	list := []*figuresRow{{Group: "TOTAL", Figures: s.Total}}
	if s.Member != "" {
		list = append(list, &figuresRow{Group: "SENT", Figures: s.Sent}, &figuresRow{Group: "RECEIVED", Figures: s.Received})
	}
	for _, f := range s.Months {
		list = append(list, &figuresRow{Group: "MONTH", Key: string(f.Month), Figures: f.Figures})
	}
	for _, f := range s.Regions {
		list = append(list, &figuresRow{Group: "REGION", Key: string(f.Region), Figures: f.Figures})
	}
	for _, f := range s.Topics {
		row := &figuresRow{Group: "TOPIC", Key: string(f.Topic), Figures: f.Figures}
		t, err := m.Topic(ctx, f.Topic)
		if err := ignore(err, ErrNotFound); err != nil {
			return nil, err
		}
		if t != nil {
			row.Label = t.Label
		}
		list = append(list, row)
	}
	name := "statistics"
	if s.Member != "" {
		name += "-" + strings.ReplaceAll(string(s.Member), "_", "-")
	}
	return &Export{Name: name, columns: figuresColumns, rows: m.figuresRows(ctx, list)}, nil
}

func (m *Market) figuresRows(ctx context.Context, list []*figuresRow) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for _, r := range list {
			if !yield(row{ctx, m, r, figuresColumns}, nil) {
				return
			}
		}
	}
}
