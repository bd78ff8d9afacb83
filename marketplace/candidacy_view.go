package marketplace

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// knows says whether the viewer is on the candidate's side or of the
// secretariat, who see what was written and answered; the asker's people do not.
func (d *Candidacy) knows(ctx context.Context) bool { return onSide(ctx, d.Member) }

// VisibleStatus is how far it is in the eyes of the viewer. Candidates who are
// but listed again are told what they knew. The asker reads MEETING, CHOSEN,
// or DROPPED, whichever side it is who does not want any more.
func (d *Candidacy) VisibleStatus(ctx context.Context) CandidacyStatus {
	switch {
	case onSide(ctx):
		return d.Status
	case d.knows(ctx):
		if d.Status == CandidateListed {
			return CandidateContacted
		}
		return d.Status
	case d.Status == CandidateDeclined || d.Status == CandidateDropped:
		return CandidateDropped
	case d.Status == CandidateChosen:
		return CandidateChosen
	}
	return CandidateMeeting
}

// VisibleReason is why it suits, for the secretariat; nil for others.
func (d *Candidacy) VisibleReason(ctx context.Context) *string {
	if !onSide(ctx) {
		return nil
	}
	return d.Reason
}

// VisibleScore is how well it suits, for the secretariat; nil for others.
func (d *Candidacy) VisibleScore(ctx context.Context) *float64 {
	if !onSide(ctx) {
		return nil
	}
	return d.Score
}

// VisibleLetters are what was written to the candidate, oldest first, for its
// people and the secretariat; nil for others.
func (d *Candidacy) VisibleLetters(ctx context.Context) []*CandidacyLetter {
	if !d.knows(ctx) {
		return nil
	}
	out := make([]*CandidacyLetter, len(d.Letters))
	for i := range out {
		out[i] = &d.Letters[i]
	}
	return out
}

// VisibleAnswers are what the candidate answered, oldest first, for its people
// and the secretariat; nil for others.
func (d *Candidacy) VisibleAnswers(ctx context.Context) []*CandidacyAnswer {
	if !d.knows(ctx) {
		return nil
	}
	out := make([]*CandidacyAnswer, len(d.Answers))
	for i := range out {
		out[i] = &d.Answers[i]
	}
	return out
}

// VisibleContact is when the candidate was first written or spoken to, for its
// people and the secretariat; nil for others.
func (d *Candidacy) VisibleContact(ctx context.Context) *time.Time {
	if !d.knows(ctx) {
		return nil
	}
	return d.ContactedAt
}

// VisibleCreation is when it was listed, for the secretariat; nil for others.
func (d *Candidacy) VisibleCreation(ctx context.Context) *time.Time {
	if !onSide(ctx) {
		return nil
	}
	return &d.CreatedAt
}

// VisibleUpdate is when it was last changed; nil for the asker's people, who
// would learn by it when the candidate answers.
func (d *Candidacy) VisibleUpdate(ctx context.Context) *time.Time {
	if !d.knows(ctx) {
		return nil
	}
	return &d.UpdatedAt
}

// VisibleVersion is the version; nil for the asker's people, for the same reason.
func (d *Candidacy) VisibleVersion(ctx context.Context) *int {
	if !d.knows(ctx) {
		return nil
	}
	return new(d.Version())
}

// CandidacyAsker is the member that looks for a partner. The candidate learns
// who it is when the two are introduced; ErrNotFound before.
func (m *Market) CandidacyAsker(ctx context.Context, d *Candidacy) (Member, error) {
	if !d.IsIntroduced && !onSide(ctx) {
		return nil, ErrNotFound
	}
	return m.Member(ctx, d.Asker)
}

// Candidacy returns a candidacy, or ErrNotFound.
func (m *Market) Candidacy(ctx context.Context, id ID) (*Candidacy, error) {
	return get[*Candidacy](ctx, m, id)
}

// CandidacyPermissions are what a viewer may do with a candidacy now.
type CandidacyPermissions struct {
	Edit           bool
	Write          bool // to the candidate
	Answer         bool
	ProposeMeeting bool
	Moves          []CandidacyMove
}

// CandidacyPermissions says what the viewer may do with a candidacy now.
func (m *Market) CandidacyPermissions(ctx context.Context, d *Candidacy) *CandidacyPermissions {
	p := &CandidacyPermissions{Edit: MayHandleCase.allows(ctx, d), Moves: []CandidacyMove{}}
	if d.IsOver {
		return p
	}
	p.Write = p.Edit && d.Status != CandidateDropped && len(d.Letters) < maxLetters
	p.Answer = d.Status != CandidateDropped && len(d.Answers) < maxAnswers && MayAnswerCandidacy.allows(ctx, d)
	p.ProposeMeeting = p.Edit && d.canMeet()
	p.Moves = candidacyMoves.open(ctx, d, d.Status)
	return p
}

// Candidacies lists candidacies, oldest first: of a case all of them for the
// secretariat, those who were introduced for the asker's people; of a member
// those in which it was contacted for its people, all of them for the
// secretariat. For others the list is empty, whatever there is. Of the states,
// which only the secretariat and the candidate know, only they can choose.
func (m *Market) Candidacies(ctx context.Context, of ID, statuses []CandidacyStatus, s Slice) (*Page[*Candidacy], error) {
	var p problems
	checkSet(&p, "statuses", statuses, len(CandidacyStatuses), oneOf(CandidacyStatuses), fmt.Sprintf("must be one of %v", CandidacyStatuses))
	if err := p.err(); err != nil {
		return nil, err
	}
	all := len(statuses) == 0
	if all {
		statuses = CandidacyStatuses
	}
	network := onSide(ctx)
	shown := []bool{true}
	if network {
		shown = []bool{true, false}
	}
	q := Query{Where: []Condition{{Field: "status", Op: In, Values: values(statuses)}}, Sort: "createdAt"}
	switch {
	case of.Kind() == KindCase:
		c, err := m.Case(ctx, of)
		if err != nil {
			if ignore(err, ErrNotFound) == nil {
				return emptyPage[*Candidacy](s)
			}
			return nil, err
		}
		if !network && !all {
			return nil, invalid("statuses", "INVALID", "can be chosen by the secretariat alone")
		}
		q.Where = append(q.Where, Condition{Field: "case", Op: Eq, Value: c.ID}, Condition{Field: "isIntroduced", Op: In, Values: values(shown)})
	case isMember(of):
		if !onSide(ctx, of) {
			return emptyPage[*Candidacy](s)
		}
		q.Where = append(q.Where, Condition{Field: "member", Op: Eq, Value: of}, Condition{Field: "isContacted", Op: In, Values: values(shown)})
	default:
		return nil, invalid("of", "INVALID", "must be the id of a case or a member")
	}
	return page[*Candidacy](ctx, m, KindCandidacy, q, s)
}

// Names of the pages of candidacies in the API.
type (
	CandidacyConnection = Page[*Candidacy]
	CandidacyEdge       = PageEdge[*Candidacy]
)

// writtenToCandidate are the paragraphs of the letter that a notification
// tells of, as far as its reader may still see it.
func (m *Market) writtenToCandidate(ctx context.Context, n *Notification) ([]string, error) {
	d, err := get[*Candidacy](ctx, m, n.Subject)
	if err != nil {
		return nil, ignore(err, ErrNotFound)
	}
	i, err := strconv.Atoi(n.Note)
	list := d.VisibleLetters(ctx)
	if err != nil || i < 1 || i > len(list) {
		return nil, nil
	}
	var out []string
	for paragraph := range strings.SplitSeq(list[i-1].Text, "\n") {
		if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
			out = append(out, paragraph)
		}
	}
	return out, nil
}
