package marketplace

import (
	"context"
	"fmt"
	"slices"
)

// canMeet says whether a meeting with the asker can be proposed.
func (d *Candidacy) canMeet() bool {
	return slices.Contains([]CandidacyStatus{CandidateInterested, CandidateMeeting, CandidateChosen}, d.Status)
}

// ProposeCaseMeetingInput is what ProposeCaseMeeting takes.
type ProposeCaseMeetingInput struct {
	Candidacy ID
	About     *ID   // a solution, a proposal or an offer that both sides can see
	Content   Patch // as RequestMeeting takes it
	People    []ID  // who takes part for the asker; nil: who asked for the partner
	Key       *string
}

// ProposeCaseMeeting asks a candidate who is interested for a meeting, on
// behalf of the asker. The two are introduced by it. It writes the meeting;
// where the server stops right after that, a follower of meetings introduces
// the two.
func (m *Market) ProposeCaseMeeting(ctx context.Context, in ProposeCaseMeetingInput) (*Meeting, error) {
	d, err := get[*Candidacy](ctx, m, in.Candidacy)
	if err != nil {
		return nil, err
	}
	if err := MayHandleCase.check(ctx, d); err != nil {
		return nil, err
	}
	c, err := m.openCase(ctx, d.Case)
	if err != nil {
		return nil, err
	}
	if !d.canMeet() {
		return nil, invalid("candidacy", "INVALID", fmt.Sprintf("must be %s before the asker is told of it, and is %s", CandidateInterested, d.Status))
	}
	request := RequestMeetingInput{From: c.Asker, To: d.Member, About: in.About, Content: in.Content, People: in.People, Case: c.ID}
	if request.People == nil {
		request.People = []ID{c.AskedBy}
	}
	if in.Key != nil {
		request.Key = new(cut(*in.Key, 150) + " for " + string(d.ID)) // another candidate is another meeting
	}
	x, err := m.RequestMeeting(ctx, request)
	if err != nil {
		return nil, err
	}
	_ = m.noteCaseMeeting(asWorker(ctx), x) // else the follower does
	m.followCase(ctx, d)
	return x, nil
}

// noteCaseMeeting introduces the candidate whom a meeting that an officer
// proposed in a case is with: the two have seen each other by it. That a
// meeting belongs to a case says ProposeCaseMeeting alone.
func (m *Market) noteCaseMeeting(ctx context.Context, x *Meeting) error {
	if x.Case == "" {
		return nil
	}
	c, err := get[*Case](withSight(ctx), m, x.Case)
	if err != nil {
		return ignore(err, ErrNotFound)
	}
	_, err = update(ctx, m, MayKeepCases, candidacyID(c.ID, x.other(c.Asker)), 0, func(d *Candidacy) error {
		if d.IsIntroduced || !d.turn(meetFirst, string(IntroduceCandidate), "", x.CreatedAt) {
			return errUnchanged
		}
		if len(x.Marks) > 0 {
			d.did.By = x.Marks[0].By // the officer who proposed it
		}
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}
