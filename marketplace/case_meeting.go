package marketplace

import (
	"context"
	"slices"
)

// canMeet says whether a meeting with the asker can be proposed.
func (d *Candidacy) canMeet() bool {
	return slices.Contains([]CandidacyStatus{CandidateInterested, CandidateMeeting, CandidateChosen}, d.Status)
}

// noteCaseMeeting introduces the candidate whom a meeting that an officer
// proposed in a case is with: the two have seen each other by it.
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
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}
