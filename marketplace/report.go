package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Report tells the secretariat, and nobody else, that readers complain of a
// message: there is one for each such message.
type Report struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Message    ID          `json:"message"`
	State      ReportState `json:"state"`
	Complaints []Complaint `json:"complaints"` // oldest first, one of a user
	LatestAt   time.Time   `json:"latestAt"`   // the latest complaint
	Note       *string     `json:"note,omitempty"`
	ResolvedBy ID          `json:"resolvedBy,omitempty"` // user
	ResolvedAt *time.Time  `json:"resolvedAt,omitempty"`
}

// A Complaint is what one reader says is wrong with a message.
type Complaint struct {
	By     ID        `json:"by"` // user
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// KindReport is the kind of Report.
var KindReport = registerRecord("report", func() entity { return new(Report) },
	Index{Equal: []string{"state"}, Sort: "latestAt"})

// A ReportState is a state in the life of a report.
type ReportState string

// The states of a report.
const (
	ReportOpen      ReportState = "OPEN"      // waits for the secretariat
	ReportDismissed ReportState = "DISMISSED" // the message stands; another complaint opens it again
	ReportUpheld    ReportState = "UPHELD"    // the message was removed
)

// ReportStates are all of them.
var ReportStates = []ReportState{ReportOpen, ReportDismissed, ReportUpheld}

// A ReportMove is a step in the life of a report.
type ReportMove string

// reportMoves is the life of a report, apart from the complaint that opens it again.
var reportMoves = moves[ReportMove, ReportState]{
	{"DISMISS", MayResolveReport, []ReportState{ReportOpen}, ReportDismissed},
	{"REMOVE", MayResolveReport, []ReportState{ReportOpen}, ReportUpheld},
}

// maxComplaints bounds what a report keeps: further ones say nothing new.
const maxComplaints = 50

// limitReport is for each user.
var limitReport = limited{name: "report", account: throttleLimit{10, time.Minute}}

// reportID is the id of the report on a message.
func reportID(message ID) ID {
	return ID(string(KindReport) + "_" + strings.ReplaceAll(string(message), "_", "-"))
}

func (*Report) kind() Kind        { return KindReport }
func (*Report) parties() []ID     { return nil }
func (*Report) audience() []Group { return []Group{Secretariat} }

func (r *Report) refs() []ID {
	refs := []ID{r.Message, r.ResolvedBy}
	for _, c := range r.Complaints {
		refs = append(refs, c.By)
	}
	return refs
}

// IsNode marks reports as something with an id of its own.
func (*Report) IsNode() {}

func (r *Report) validate(p *problems) {
	checkOne(p, "state", r.State, ReportStates)
	checkString(p, "note", text(r.Note), 2000, false)
	for _, c := range r.Complaints {
		checkString(p, "reason", c.Reason, 2000, true)
	}
}

// ReportMessageInput is what ReportMessage takes.
type ReportMessageInput struct {
	Message ID
	Reason  string
}

// ReportMessage tells the secretariat what is wrong with a message. Whoever
// can read it may; a second time it changes nothing.
func (m *Market) ReportMessage(ctx context.Context, in ReportMessageInput) error {
	d, err := get[*Message](ctx, m, in.Message)
	if errors.Is(err, ErrNotFound) {
		return invalid("message", "NOT_FOUND", "there is no such message")
	} else if err != nil {
		return err
	}
	if err := MayReportMessage.check(ctx, d); err != nil {
		return err
	}
	if err := d.isThere("message"); err != nil {
		return err
	}
	user := actorOf(ctx).User
	if err := m.limit(ctx, limitReport, string(user)); err != nil {
		return err
	}
	c := Complaint{By: user, At: m.clock(), Reason: in.Reason}
	complain := func(r *Report) error {
		r.mark("REPORT", "")
		if slices.ContainsFunc(r.Complaints, func(o Complaint) bool { return o.By == c.By }) {
			r.mark(unmarked, "")
			return nil
		}
		r.State, r.LatestAt = ReportOpen, c.At
		if len(r.Complaints) < maxComplaints {
			r.Complaints = append(r.Complaints, c)
		}
		return nil
	}
	ctx = withSight(ctx) // those who complain do not see what others complained of
	_, err = updateOrCreate(ctx, m, MayReportMessage, reportID(d.ID), 0, func() *Report {
		return &Report{Meta: Meta{IsSample: d.IsSample}, Message: d.ID}
	}, complain)
	return err
}

// ResolveReportInput is what ResolveReport takes.
type ResolveReportInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Move    ReportMove
	Note    *string // for the secretariat
}

// ResolveReport ends a report: the message stands, or is removed. Removing
// comes first: where the server stops in between, the report stays open, and
// resolving it once more does the rest.
func (m *Market) ResolveReport(ctx context.Context, in ResolveReportInput) (*Report, error) {
	step, err := reportMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	r, err := get[*Report](ctx, m, in.ID)
	if err != nil {
		return nil, err
	}
	if err := step.may.check(ctx, r); err != nil {
		return nil, err
	}
	if in.Version != nil && *in.Version != r.Version() {
		return nil, &ConflictError{Current: r}
	}
	if step.to == ReportUpheld && r.State == ReportOpen {
		d, err := get[*Message](withSight(ctx), m, r.Message)
		if err := ignore(err, ErrNotFound); err != nil {
			return nil, err
		}
		if d != nil && d.Removal == nil {
			_, err := m.RemoveMessage(ctx, RemoveMessageInput{ID: d.ID})
			if err != nil && !errors.Is(err, ErrInvalid) { // invalid: the author was faster
				return nil, err
			}
		}
	}
	return update(ctx, m, step.may, in.ID, versionOf(in.Version), func(r *Report) error {
		if err := step.take(&r.Meta, &r.State, text(in.Note)); err != nil {
			return err
		}
		r.Note, r.ResolvedBy, r.ResolvedAt = maybe(text(in.Note)), actorOf(ctx).User, new(m.clock())
		return nil
	})
}

// Reports lists reports in some states, all of them where none is named, the
// latest complaint first, for the secretariat.
func (m *Market) Reports(ctx context.Context, states []ReportState, s Slice) (*Page[*Report], error) {
	if err := MaySeeReports.checkFor(ctx); err != nil {
		return nil, err
	}
	var p problems
	checkSet(&p, "states", states, len(ReportStates), oneOf(ReportStates), fmt.Sprintf("must be one of %v", ReportStates))
	if err := p.err(); err != nil {
		return nil, err
	}
	if len(states) == 0 {
		states = ReportStates
	}
	return page[*Report](ctx, m, KindReport, Query{Where: []Condition{{Field: "state", Op: In, Values: values(states)}}, Sort: "latestAt", Descending: true}, s)
}

// Names of the pages of reports in the API.
type (
	ReportConnection = Page[*Report]
	ReportEdge       = PageEdge[*Report]
)
