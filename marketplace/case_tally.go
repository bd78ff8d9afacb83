package marketplace

import (
	"context"
	"errors"
	"time"
)

// A CaseTally is how many candidates a case has. It follows from them, and is
// kept so that lists of cases show it without reading all candidates. The
// asker reads it: it says nothing of single candidates who were not introduced.
type CaseTally struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Case  ID `json:"case"`
	Asker ID `json:"asker"`

	Candidates int `json:"candidates"` // all, those who were dropped included
	Contacted  int `json:"contacted"`  // to whom somebody has written or spoken
	Interested int `json:"interested"` // who are interested now, or were introduced and not dropped
	Introduced int `json:"introduced"` // who were introduced to the asker
	Declined   int `json:"declined"`   // for the secretariat; see VisibleDeclined
	// FirstContactAt is when the first candidate was contacted; for the
	// statistics of officers.
	FirstContactAt *time.Time `json:"firstContactAt,omitempty"`
}

// KindCaseTally is the kind of CaseTally.
var KindCaseTally = registerTrace("casetally", func() entity { return new(CaseTally) })

func caseTallyID(of ID) ID { return ID(string(KindCaseTally) + "_" + hashed(string(of))[:26]) }

func (*CaseTally) kind() Kind          { return KindCaseTally }
func (*CaseTally) validate(*problems)  {}
func (t *CaseTally) parties() []ID     { return []ID{t.Asker} }
func (t *CaseTally) audience() []Group { return []Group{Group(t.Asker), Secretariat} }

// VisibleDeclined is how many have declined, for the secretariat; nil for others.
func (t *CaseTally) VisibleDeclined(ctx context.Context) *int {
	if !onSide(ctx) {
		return nil
	}
	return &t.Declined
}

// CaseTally returns how many candidates a case has.
func (m *Market) CaseTally(ctx context.Context, c *Case) (*CaseTally, error) {
	t, err := get[*CaseTally](ctx, m, caseTallyID(c.ID))
	if errors.Is(err, ErrNotFound) {
		return new(CaseTally), nil
	}
	return t, err
}

// casework keeps what follows from cases, their candidates and their
// meetings: how many there are, whether candidates can still answer, and that
// who meets the asker was introduced.
var casework = follower{name: "cases", kinds: []Kind{KindCase, KindCandidacy, KindMeeting}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	switch doc := doc.(type) {
	case *Case:
		return m.noteClosing(ctx, doc)
	case *Candidacy:
		return m.noteTally(ctx, doc.Case, doc.Asker)
	case *Meeting:
		return m.noteCaseMeeting(ctx, doc)
	}
	return nil
})}

// followCase does at once what casework would do in a moment, so that who asks
// for a case right after a command finds it done. Where it fails, casework does it.
func (m *Market) followCase(ctx context.Context, doc entity) {
	ctx = asWorker(ctx)
	switch doc := doc.(type) {
	case *Case:
		_ = m.noteClosing(ctx, doc)
	case *Candidacy:
		_ = m.noteTally(ctx, doc.Case, doc.Asker)
	}
}

// noteTally counts the candidates of a case. It counts while it holds the
// revision of the tally, so that of two who count at the same time the one
// who read first cannot write last.
func (m *Market) noteTally(ctx context.Context, of, asker ID) error {
	_, err := updateOrCreate(ctx, m, MayKeepCases, caseTallyID(of), 0, func() *CaseTally {
		return &CaseTally{Case: of, Asker: asker}
	}, func(t *CaseTally) error {
		before := *t
		t.Candidates, t.Contacted, t.Interested, t.Introduced, t.Declined, t.FirstContactAt = 0, 0, 0, 0, 0, nil
		err := m.eachCandidacy(ctx, of, func(d *Candidacy) error {
			t.count(d)
			return nil
		})
		if err == nil && before.rev > 0 && t.same(&before) {
			return errUnchanged
		}
		return err
	})
	return ignore(err, errUnchanged)
}

func (t *CaseTally) count(d *Candidacy) {
	t.Candidates++
	if d.IsContacted {
		t.Contacted++
	}
	if d.IsIntroduced {
		t.Introduced++
	}
	switch d.Status {
	case CandidateInterested, CandidateMeeting, CandidateChosen:
		t.Interested++
	case CandidateDeclined:
		t.Declined++
	}
	if at := d.ContactedAt; at != nil && (t.FirstContactAt == nil || at.Before(*t.FirstContactAt)) {
		t.FirstContactAt = at
	}
}

func (t *CaseTally) same(o *CaseTally) bool {
	moments := t.FirstContactAt == nil && o.FirstContactAt == nil ||
		t.FirstContactAt != nil && o.FirstContactAt != nil && t.FirstContactAt.Equal(*o.FirstContactAt)
	return moments && t.Candidates == o.Candidates && t.Contacted == o.Contacted && t.Interested == o.Interested &&
		t.Introduced == o.Introduced && t.Declined == o.Declined
}

// noteClosing keeps with the candidates of a case whether it is closed.
func (m *Market) noteClosing(ctx context.Context, c *Case) error {
	return m.eachCandidacy(ctx, c.ID, func(d *Candidacy) error {
		if d.IsOver == c.isClosed() {
			return nil
		}
		_, err := update(ctx, m, MayKeepCases, d.ID, 0, func(d *Candidacy) error {
			if d.IsOver == c.isClosed() {
				return errUnchanged
			}
			d.mark(unmarked, "")
			d.IsOver = c.isClosed()
			return nil
		})
		return ignore(ignore(err, errUnchanged), ErrNotFound)
	})
}

// eachCandidacy hands over the candidates of a case, oldest first, whoever may
// see them: one store operation.
func (m *Market) eachCandidacy(ctx context.Context, of ID, each func(*Candidacy) error) error {
	list, err := find[*Candidacy](withSight(ctx), m, KindCandidacy, Query{Where: []Condition{{Field: "case", Op: Eq, Value: of}}, Sort: "createdAt", Limit: MaxPage})
	for _, d := range list {
		if err == nil {
			err = each(d)
		}
	}
	return err
}
