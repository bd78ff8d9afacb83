package marketplace

import (
	"context"
	"errors"
	"slices"
)

// A MeetingTally says how many meetings a city had about one of its proposals,
// or about offers on it, and what came of them. It follows from the meetings,
// and is kept so that a list of proposals need not count. The city and the
// secretariat see it.
type MeetingTally struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Proposal ID  `json:"proposal"`
	City     ID  `json:"city"`
	Pending  int `json:"pending"` // wait for an answer
	// Unheard are those that wait as well, for all the secretariat knows, but
	// of which the city does not hear; and IsSilent says that there were no others.
	Unheard  int            `json:"unheard,omitempty"`
	IsSilent bool           `json:"isSilent,omitempty"`
	Agreed   int            `json:"agreed"` // take place at an agreed time, or have, and nobody said so
	Held     int            `json:"held"`
	Missed   int            `json:"missed"`
	Outcomes []TallyOutcome `json:"outcomes"` // those that were said at least once
}

// A TallyOutcome says of how many meetings each side says that this came of them.
type TallyOutcome struct {
	What      OutcomeKind `json:"what"`
	ByCity    int         `json:"byCity"`
	ByPartner int         `json:"byPartner"`
}

// KindMeetingTally is the kind of MeetingTally.
var KindMeetingTally = registerTrace("meetingtally", func() entity { return new(MeetingTally) })

// tallyID is the id of the tally of a proposal.
func tallyID(proposal ID) ID {
	return ID(string(KindMeetingTally) + "_" + hashed(string(proposal))[:26])
}

func (*MeetingTally) kind() Kind          { return KindMeetingTally }
func (*MeetingTally) validate(*problems)  {}
func (t *MeetingTally) audience() []Group { return []Group{Group(t.City), Secretariat} }
func (t *MeetingTally) parties() []ID     { return []ID{t.City} }

// tallying keeps the tallies of proposals.
var tallying = follower{name: "meetings", kinds: []Kind{KindMeeting}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	x := doc.(*Meeting)
	for _, id := range x.Subjects {
		if id.Kind() != KindProposal {
			continue
		}
		r, err := get[*Proposal](ctx, m, id)
		if errors.Is(err, ErrNotFound) || err == nil && !slices.Contains(x.members(), r.City) {
			continue // it is gone, or the meeting is one of others
		}
		if err == nil {
			err = m.tally(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
})}

// tally counts the meetings of a proposal's city about it anew, so that it
// comes to the same however often it is done. One store operation for each
// 1,000 meetings.
func (m *Market) tally(ctx context.Context, r *Proposal) error {
	fresh := &MeetingTally{Meta: Meta{IsSample: r.IsSample}, Proposal: r.ID, City: r.City, IsSilent: true}
	q := meetingQuery(concern(r.City, r.ID), MeetingFilter{}, false)
	for q.Limit = MaxPage; ; {
		n := 0
		err := m.fetchAll(ctx, KindMeeting, q, func(doc entity, position string, _ bool) {
			n, q.After = n+1, position
			fresh.add(doc.(*Meeting))
		})
		if err != nil {
			return err
		}
		if n < q.Limit {
			break
		}
	}
	_, err := updateOrCreate(ctx, m, MayKeepMeetings, tallyID(r.ID), 0, func() *MeetingTally { return &MeetingTally{Meta: fresh.Meta} }, func(t *MeetingTally) error {
		if t.Proposal != "" && t.Pending == fresh.Pending && t.Unheard == fresh.Unheard && t.IsSilent == fresh.IsSilent && t.Agreed == fresh.Agreed && t.Held == fresh.Held && t.Missed == fresh.Missed && slices.Equal(t.Outcomes, fresh.Outcomes) {
			return errUnchanged
		}
		meta := t.Meta
		*t = *fresh
		t.Meta = meta
		return nil
	})
	return ignore(err, errUnchanged)
}

// add counts one meeting.
func (t *MeetingTally) add(x *Meeting) {
	if x.IsUnheard && x.To == t.City {
		if slices.Contains(pendingMeetings, x.Status) {
			t.Unheard++
		}
		return
	}
	t.IsSilent = false
	switch {
	case slices.Contains(pendingMeetings, x.Status):
		t.Pending++
	case slices.Contains(agreedMeetings, x.Status):
		t.Agreed++
	case x.Status == MeetingHeld:
		t.Held++
	case x.Status == MeetingMissed:
		t.Missed++
	}
	for _, side := range x.parties() {
		o := *x.outcomeOf(side)
		if o == nil {
			continue
		}
		i := slices.IndexFunc(t.Outcomes, func(a TallyOutcome) bool { return a.What == o.What })
		if i < 0 {
			i = len(t.Outcomes)
			t.Outcomes = append(t.Outcomes, TallyOutcome{What: o.What})
		}
		if side == t.City {
			t.Outcomes[i].ByCity++
		} else {
			t.Outcomes[i].ByPartner++
		}
	}
	slices.SortFunc(t.Outcomes, func(a, b TallyOutcome) int {
		return slices.Index(OutcomeKinds, a.What) - slices.Index(OutcomeKinds, b.What)
	})
}

// MeetingTally returns how many meetings a proposal's city had about it and
// what came of them, for the city and the secretariat; else ErrNotFound, also
// where there was none yet.
func (m *Market) MeetingTally(ctx context.Context, r *Proposal) (*MeetingTally, error) {
	t, err := get[*MeetingTally](ctx, m, tallyID(r.ID))
	if err == nil && t.IsSilent && onTeam(ctx, t.City) {
		return nil, ErrNotFound
	}
	return t, err
}

// VisiblePending is how many wait for an answer, for all that the viewer hears of.
func (t *MeetingTally) VisiblePending(ctx context.Context) int {
	if onTeam(ctx, t.City) {
		return t.Pending
	}
	return t.Pending + t.Unheard
}
