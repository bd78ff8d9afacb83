package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A Candidacy is a member that an officer considers as the partner that a case
// looks for: what was written to it, what it answered, and how far it is. It
// is a document of its own, since each candidate sees its own candidacy and no
// other:
//
//   - The secretariat sees all of it.
//   - The candidate's people see it once they were written or spoken to: what
//     was written and what they answered, not why the officer chose them; and
//     for whom, once they were introduced.
//   - The asker's people see it once the officer has introduced the candidate:
//     who it is and how far it is in their eyes (VisibleStatus), nothing of
//     what was written or answered.
//
// The owners of the candidate, and nobody of the asker, read its marks.
type Candidacy struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Case   ID              `json:"case"`
	Asker  ID              `json:"asker"`           // the case's
	Member ID              `json:"member"`          // the candidate
	About  ID              `json:"about,omitempty"` // the candidate's solution or proposal that suits; empty: the member as such
	Status CandidacyStatus `json:"status"`

	Reason *string  `json:"reason,omitempty"` // why it suits, for the secretariat
	Score  *float64 `json:"score,omitempty"`  // how well, from 0 to 1, for the secretariat

	Letters []CandidacyLetter `json:"letters,omitempty"` // oldest first
	Answers []CandidacyAnswer `json:"answers,omitempty"` // oldest first; the last one counts

	ContactedAt  *time.Time `json:"contactedAt,omitempty"`
	IntroducedAt *time.Time `json:"introducedAt,omitempty"`
	IsContacted  bool       `json:"isContacted"`  // that there is the one
	IsIntroduced bool       `json:"isIntroduced"` // and the other
	IsOver       bool       `json:"isOver,omitempty"`
}

// KindCandidacy is the kind of Candidacy.
var KindCandidacy = registerRecord("candidacy", func() entity { return new(Candidacy) },
	Index{Equal: []string{"case"}, Sort: "createdAt"},
	Index{Equal: []string{"case", "status", "isIntroduced"}, Sort: "createdAt"},
	Index{Equal: []string{"member", "isContacted", "status"}, Sort: "createdAt"})

// A CandidacyStatus is a state in the life of a candidacy.
type CandidacyStatus string

// The states of a candidacy.
const (
	CandidateListed     CandidacyStatus = "LISTED"     // considered by the officer; the member knows nothing of it
	CandidateContacted  CandidacyStatus = "CONTACTED"  // was written or spoken to
	CandidateInterested CandidacyStatus = "INTERESTED" // wants to be introduced
	CandidateDeclined   CandidacyStatus = "DECLINED"   // does not
	CandidateMeeting    CandidacyStatus = "MEETING"    // was introduced to the asker
	CandidateChosen     CandidacyStatus = "CHOSEN"     // is the partner
	CandidateDropped    CandidacyStatus = "DROPPED"    // no longer considered
)

// CandidacyStatuses are all of them.
var CandidacyStatuses = []CandidacyStatus{CandidateListed, CandidateContacted, CandidateInterested, CandidateDeclined, CandidateMeeting, CandidateChosen, CandidateDropped}

// A CandidacyMove is a step in the life of a candidacy.
type CandidacyMove string

// The steps in the life of a candidacy.
const (
	ContactCandidate   CandidacyMove = "CONTACT"        // outside of the program
	CandidateIsFor     CandidacyMove = "NOTE_INTEREST"  // said outside of the program
	CandidateIsAgainst CandidacyMove = "NOTE_DECLINE"   // the same
	IntroduceCandidate CandidacyMove = "INTRODUCE"      // to the asker, who sees it from then on
	ChooseCandidate    CandidacyMove = "CHOOSE"         // the two go on together
	UnchooseCandidate  CandidacyMove = "UNCHOOSE"       // they do not, after all
	DropCandidate      CandidacyMove = "DROP"           // is no longer considered
	RelistCandidate    CandidacyMove = "RELIST"         // is, after all
	answerFor          CandidacyMove = "ANSWER_FOR"     // by the candidate
	answerAgainst      CandidacyMove = "ANSWER_AGAINST" // by the candidate
	writeTo            CandidacyMove = "WRITE"          // by a letter
	meetFirst          CandidacyMove = "MEET"           // by a meeting
)

// candidacyMoves is the life of a candidacy, as far as officers take the steps.
var candidacyMoves = moves[CandidacyMove, CandidacyStatus]{
	{ContactCandidate, MayHandleCase, []CandidacyStatus{CandidateListed}, CandidateContacted},
	{CandidateIsFor, MayHandleCase, []CandidacyStatus{CandidateContacted, CandidateDeclined}, CandidateInterested},
	{CandidateIsAgainst, MayHandleCase, []CandidacyStatus{CandidateContacted, CandidateInterested, CandidateMeeting, CandidateChosen}, CandidateDeclined},
	{IntroduceCandidate, MayHandleCase, []CandidacyStatus{CandidateInterested}, CandidateMeeting},
	{ChooseCandidate, MayHandleCase, []CandidacyStatus{CandidateMeeting}, CandidateChosen},
	{UnchooseCandidate, MayHandleCase, []CandidacyStatus{CandidateChosen}, CandidateMeeting},
	{DropCandidate, MayHandleCase, []CandidacyStatus{CandidateListed, CandidateContacted, CandidateInterested, CandidateDeclined, CandidateMeeting, CandidateChosen}, CandidateDropped},
	{RelistCandidate, MayHandleCase, []CandidacyStatus{CandidateDropped}, CandidateListed},
}

// candidacyTurns are the steps that follow from what the candidate answers,
// from a letter to it, and from a meeting. Who was contacted before can answer
// also when it is but listed again.
var candidacyTurns = moves[CandidacyMove, CandidacyStatus]{
	{answerFor, MayAnswerCandidacy, []CandidacyStatus{CandidateListed, CandidateContacted, CandidateInterested, CandidateDeclined}, CandidateInterested},
	{answerFor, MayAnswerCandidacy, []CandidacyStatus{CandidateMeeting}, CandidateMeeting},
	{answerFor, MayAnswerCandidacy, []CandidacyStatus{CandidateChosen}, CandidateChosen},
	{answerAgainst, MayAnswerCandidacy, []CandidacyStatus{CandidateListed, CandidateContacted, CandidateInterested, CandidateDeclined, CandidateMeeting, CandidateChosen}, CandidateDeclined},
	{writeTo, MayHandleCase, []CandidacyStatus{CandidateListed}, CandidateContacted},
	{meetFirst, MayKeepCases, []CandidacyStatus{CandidateListed, CandidateContacted, CandidateInterested}, CandidateMeeting},
}

// turn takes a step of candidacyTurns, if it can be taken from the present
// state; it says whether it was.
func (d *Candidacy) turn(name CandidacyMove, action, note string, now time.Time) bool {
	for _, step := range candidacyTurns {
		if step.name == name && slices.Contains(step.from, d.Status) {
			d.Status = step.to
			d.moved(now)
			d.mark(action, note)
			return true
		}
	}
	return false
}

// A CandidacyLetter is what an officer wrote to a candidate.
type CandidacyLetter struct {
	At       time.Time `json:"at"`
	By       ID        `json:"by"` // user
	Text     string    `json:"text"`
	Language *Language `json:"language,omitempty"` // nil: not said
}

// A CandidacyAnswer is what a candidate said to the officer. Only its own
// people and the secretariat read it.
type CandidacyAnswer struct {
	At           time.Time `json:"at"`
	By           ID        `json:"by"` // user
	IsInterested bool      `json:"isInterested"`
	Note         *string   `json:"note,omitempty"`
}

const (
	maxCandidacies     = 200 // of a case
	maxCandidateLetter = 5000
	maxLetters         = 20 // to a candidate: with the answers below half of what a document holds
	maxAnswers         = 20
	maxReason          = 1000
)

// limitCandidate is for each user, limitWriting too, and limitWrittenTo for
// each candidate, whoever writes: nobody is flooded.
var (
	limitCandidate = limited{name: "candidate", account: throttleLimit{500, 5 * time.Second}}
	limitWriting   = limited{name: "write to candidates", account: throttleLimit{60, 10 * time.Second}}
	limitWrittenTo = limited{name: "written to as a candidate", account: throttleLimit{20, time.Hour}}
	limitAnswer    = limited{name: "answer as a candidate", account: throttleLimit{20, time.Minute}}
)

// candidacyID follows from the case and the member: each is a candidate once.
func candidacyID(of, member ID) ID {
	return ID(string(KindCandidacy) + "_" + hashed(string(of) + "\x00" + string(member))[:26])
}

func (*Candidacy) kind() Kind { return KindCandidacy }

// A member that was not contacted is not told by the audit log or a webhook.
func (d *Candidacy) parties() []ID {
	if !d.IsContacted {
		return nil
	}
	return []ID{d.Member}
}

func (d *Candidacy) audience() []Group {
	groups := []Group{Secretariat}
	if d.IsContacted {
		groups = append(groups, Group(d.Member))
	}
	if d.IsIntroduced {
		groups = append(groups, Group(d.Asker))
	}
	return groups
}

func (d *Candidacy) refs() []ID {
	refs := []ID{d.Case, d.Asker, d.Member, d.About}
	for _, l := range d.Letters {
		refs = append(refs, l.By)
	}
	for _, a := range d.Answers {
		refs = append(refs, a.By)
	}
	return refs
}

// IsNode marks candidacies as something with an id of its own.
func (*Candidacy) IsNode() {}

func (d *Candidacy) validate(p *problems) {
	checkOne(p, "status", d.Status, CandidacyStatuses)
	if d.Member == d.Asker {
		p.add("candidate", "INVALID", "must be another member than the one that asks")
	}
	checkString(p, "reason", text(d.Reason), maxReason, false)
	if d.Score != nil && !(*d.Score >= 0 && *d.Score <= 1) {
		p.add("score", "OUT_OF_RANGE", "must be a number from 0 to 1")
	}
	if n := len(d.Letters); n > 0 && p.max("letters", n, maxLetters) {
		l := d.Letters[n-1]
		checkString(p, "text", l.Text, maxCandidateLetter, true)
		if l.Language != nil {
			checkLanguages(p, "language", []Language{*l.Language})
		}
	}
	if n := len(d.Answers); n > 0 && p.max("answers", n, maxAnswers) {
		checkString(p, "note", text(d.Answers[n-1].Note), maxCaseNote, false)
	}
}

// considered is the member that a candidacy is about, for permissions.
func considered(doc entity) []ID {
	if d, ok := doc.(*Candidacy); ok {
		return []ID{d.Member}
	}
	return nil
}

// moved keeps what a state brings with it.
func (d *Candidacy) moved(now time.Time) {
	if d.Status != CandidateListed && d.Status != CandidateDropped && !d.IsContacted {
		d.ContactedAt, d.IsContacted = &now, true
	}
	if d.Status == CandidateMeeting && !d.IsIntroduced {
		d.IntroducedAt, d.IsIntroduced = &now, true
	}
}

// AddCandidateInput is what AddCandidate takes.
type AddCandidateInput struct {
	Case      ID
	Candidate ID // a member; or its solution or proposal that suits
	Reason    *string
	Score     *float64 // from 0 to 1
}

// AddCandidate lists a member as a candidate, which nobody but the secretariat
// learns. Each member is a candidate of a case once, whatever it was listed
// for; a case has at most 200.
func (m *Market) AddCandidate(ctx context.Context, in AddCandidateInput) (*Candidacy, error) {
	c, err := m.openCase(ctx, in.Case)
	if err != nil {
		return nil, err
	}
	if err := MayHandleCase.check(ctx, c); err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitCandidate, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	d := &Candidacy{Case: c.ID, Asker: c.Asker, Status: CandidateListed, Reason: in.Reason, Score: in.Score}
	if err := m.fillCandidate(ctx, d, in.Candidate); err != nil {
		return nil, err
	}
	d.ID, d.IsSample, d.CreatedAt = candidacyID(c.ID, d.Member), c.IsSample, m.clock()
	n, err := m.count(ctx, KindCandidacy, Query{Where: []Condition{{Field: "case", Op: Eq, Value: c.ID}}, Sort: "createdAt", Limit: maxCandidacies})
	if err != nil {
		return nil, err
	}
	if n >= maxCandidacies {
		return nil, invalid("case", "TOO_MANY", fmt.Sprintf("at most %d candidates", maxCandidacies))
	}
	err = create(ctx, m, MayHandleCase, d)
	if taken(err, "id") {
		return nil, invalid("candidate", "TAKEN", "is a candidate of this case already")
	}
	if err != nil {
		return nil, err
	}
	m.followCase(ctx, d)
	return d, nil
}

// openCase is the case that a command on its candidates is about.
func (m *Market) openCase(ctx context.Context, id ID) (*Case, error) {
	c, err := m.Case(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("case", "NOT_FOUND", "there is no such case")
	}
	if err == nil && c.isClosed() {
		return nil, invalid("case", "INVALID", "is closed: reopen it first")
	}
	return c, err
}

// fillCandidate finds the member that a candidate is, or to which it belongs.
func (m *Market) fillCandidate(ctx context.Context, d *Candidacy, candidate ID) error {
	doc, err := get[entity](ctx, m, candidate)
	if err := ignore(err, ErrNotFound); err != nil {
		return err
	}
	switch doc := doc.(type) {
	case Member:
		d.Member = candidate
	case *Solution:
		d.Member, d.About = doc.Company, candidate
	case *Proposal:
		d.Member, d.About = doc.City, candidate
	default:
		return invalid("candidate", "NOT_FOUND", "there is no such member, solution or proposal")
	}
	return nil
}

// EditCandidateInput is what EditCandidate takes.
type EditCandidateInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditCandidate changes why a member was listed, for the secretariat.
func (m *Market) EditCandidate(ctx context.Context, in EditCandidateInput) (*Candidacy, error) {
	return update(ctx, m, MayHandleCase, in.ID, versionOf(in.Version), func(d *Candidacy) error {
		return applyPatch(in.Content, d, []string{"reason", "score"})
	})
}

// MoveCandidateInput is what MoveCandidate takes.
type MoveCandidateInput struct {
	ID      ID
	Version *int
	Move    CandidacyMove
}

// MoveCandidate takes a step in the life of a candidacy. INTRODUCE shows the
// candidate to the asker, and the asker to the candidate, for good.
func (m *Market) MoveCandidate(ctx context.Context, in MoveCandidateInput) (*Candidacy, error) {
	step, err := candidacyMoves.named(in.Move)
	if err != nil {
		return nil, err
	}
	return m.changeCandidacy(ctx, step.may, in.ID, in.Version, func(d *Candidacy, now time.Time) error {
		if err := step.take(&d.Meta, &d.Status, ""); err != nil {
			return err
		}
		d.moved(now)
		return nil
	})
}

// changeCandidacy is update for a candidacy of a case that is not closed.
func (m *Market) changeCandidacy(ctx context.Context, may Permission, id ID, version *int, change func(*Candidacy, time.Time) error) (*Candidacy, error) {
	d, err := update(ctx, m, may, id, versionOf(version), func(d *Candidacy) error {
		c, err := get[*Case](withSight(ctx), m, d.Case)
		if err != nil {
			return err
		}
		if c.isClosed() {
			return invalid("id", "INVALID", "belongs to a case that is closed")
		}
		return change(d, m.clock())
	})
	if err == nil {
		m.followCase(ctx, d)
	}
	return d, err
}

// WriteToCandidateInput is what WriteToCandidate takes.
type WriteToCandidateInput struct {
	ID       ID
	Version  *int // that was read; nil: any
	Text     string
	Language *Language
}

// WriteToCandidate writes to a candidate: its owners and editors are told, and
// get the text in the letter about it. A user writes some six letters a minute,
// a member gets at most 20 at once and one an hour, a candidate 20 in all.
func (m *Market) WriteToCandidate(ctx context.Context, in WriteToCandidateInput) (*Candidacy, error) {
	d, err := get[*Candidacy](ctx, m, in.ID)
	if err != nil {
		return nil, err
	}
	if err := MayHandleCase.check(ctx, d); err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitWriting, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitWrittenTo, string(d.Member)); err != nil {
		return nil, err
	}
	return m.changeCandidacy(ctx, MayHandleCase, in.ID, in.Version, func(d *Candidacy, now time.Time) error {
		if d.Status == CandidateDropped {
			return invalid("id", "INVALID", "is dropped: relist it first")
		}
		if len(d.Letters) >= maxLetters {
			return invalid("id", "TOO_MANY", fmt.Sprintf("at most %d letters to a candidate", maxLetters))
		}
		d.Letters = append(d.Letters, CandidacyLetter{At: now, By: actorOf(ctx).User, Text: in.Text, Language: in.Language})
		number := "letter " + strconv.Itoa(len(d.Letters))
		if !d.turn(writeTo, "WRITE", number, now) {
			d.mark("WRITE", number)
		}
		return nil
	})
}

// AnswerCandidacyInput is what AnswerCandidacy takes.
type AnswerCandidacyInput struct {
	ID           ID
	Version      *int // that was read; nil: any
	IsInterested bool
	Note         *string // for the secretariat
}

// AnswerCandidacy says for a candidate whether it is interested. It can be
// said otherwise later, as long as the case is not closed. The asker learns
// neither the answer nor the note.
func (m *Market) AnswerCandidacy(ctx context.Context, in AnswerCandidacyInput) (*Candidacy, error) {
	d, err := get[*Candidacy](ctx, m, in.ID)
	if err != nil {
		return nil, err
	}
	if err := MayAnswerCandidacy.check(ctx, d); err != nil {
		return nil, err
	}
	if err := m.limit(ctx, limitAnswer, string(actorOf(ctx).User)); err != nil {
		return nil, err
	}
	return m.changeCandidacy(ctx, MayAnswerCandidacy, in.ID, in.Version, func(d *Candidacy, now time.Time) error {
		if len(d.Answers) >= maxAnswers {
			return invalid("id", "TOO_MANY", fmt.Sprintf("was answered %d times: write to the officer", maxAnswers))
		}
		d.Answers = append(d.Answers, CandidacyAnswer{At: now, By: actorOf(ctx).User, IsInterested: in.IsInterested, Note: maybe(text(in.Note))})
		step := answerAgainst
		if in.IsInterested {
			step = answerFor
		}
		if !d.turn(step, "ANSWER", "", now) {
			return invalid("id", "INVALID", "is no longer considered")
		}
		return nil
	})
}
