package marketplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// meetingReminders are how long before a meeting its people are reminded of
// it, earliest first. After its end they are asked what came of it.
var meetingReminders = []time.Duration{24 * time.Hour, time.Hour}

// reminderAt is when the nth reminder is due; after those before the meeting,
// the question after its end.
func (x *Meeting) reminderAt(n int) time.Time {
	if n < len(meetingReminders) {
		return x.At.Add(-meetingReminders[n])
	}
	return x.end()
}

// passed is how many reminders lie before a moment.
func (x *Meeting) passed(now time.Time) int {
	n := 0
	for n <= len(meetingReminders) && !now.Before(x.reminderAt(n)) {
		n++
	}
	return n
}

// plan keeps what follows from a meeting: by what it is listed, and when
// something is to be done next. Whoever changes a meeting calls it at last.
func (x *Meeting) plan() {
	x.StartsAt = time.Time{}
	if x.At != nil {
		x.StartsAt = *x.At
	} else if len(x.Times) > 0 {
		x.StartsAt = x.Times[0]
	}
	x.Concerns = x.Concerns[:0]
	note := func(who, subject ID) {
		if c := concern(who, subject); who != "" && !slices.Contains(x.Concerns, c) {
			x.Concerns = append(x.Concerns, c)
		}
	}
	for _, id := range slices.Concat(x.members(), x.people(), x.Subjects, []ID{x.Case, x.Event}) {
		note(id, "")
	}
	for _, side := range x.members() {
		for _, id := range append(slices.Clone(x.Subjects), x.Event) {
			note(side, id)
		}
	}
	if x.Event != "" {
		for _, key := range x.personKeys() {
			note(ID(key), x.Event)
		}
		if x.IsTroubled() {
			note(inTrouble, x.Event)
		}
	}
	x.DueAt = x.dueAt()
}

// dueAt is when something is to be done next: to let what waits for an answer
// expire, to remind, to ask what came of it, and to take no answer for one.
func (x *Meeting) dueAt() *time.Time {
	var due []time.Time
	if x.ExpiresAt != nil && slices.Contains(openMeetings, x.Status) {
		due = append(due, *x.ExpiresAt)
	}
	asked := len(meetingReminders)
	switch {
	case x.Status == MeetingAccepted && x.Reminded <= asked, x.Status == MeetingRescheduled && x.Reminded < asked:
		due = append(due, x.reminderAt(x.Reminded))
	case x.Status == MeetingAccepted && x.soleDenial() != nil:
		due = append(due, x.soleDenial().At.Add(outcomeWait))
	case x.Status == MeetingHeld && x.Reminded <= asked && (x.FromOutcome == nil || x.ToOutcome == nil):
		due = append(due, x.reminderAt(asked))
	}
	if len(due) == 0 {
		return nil
	}
	first := slices.MinFunc(due, time.Time.Compare)
	return &first
}

// soleDenial is the word of the only side that has said anything, where that
// is that the meeting did not take place.
func (x *Meeting) soleDenial() *Outcome {
	for _, o := range []*Outcome{x.FromOutcome, x.ToOutcome} {
		if o != nil && o.What == OutcomeNotHeld && (x.FromOutcome == nil || x.ToOutcome == nil) {
			return o
		}
	}
	return nil
}

// judged is the state that follows from what the sides have said: it was held
// when one of them says so, and missed when both say that it was not, or one
// does and the other one says nothing for two weeks. Where they contradict
// each other, both are kept.
func (x *Meeting) judged(now time.Time) MeetingStatus {
	denials := 0
	for _, o := range []*Outcome{x.FromOutcome, x.ToOutcome} {
		switch {
		case o == nil:
		case o.What != OutcomeNotHeld:
			return MeetingHeld
		default:
			denials++
		}
	}
	if o := x.soleDenial(); denials == 2 || o != nil && !now.Before(o.At.Add(outcomeWait)) || x.NoShow != nil && x.NoShow.By == "" {
		return MeetingMissed
	}
	return MeetingAccepted
}

// judge brings the meeting into the state that follows from what was said. A
// time that was proposed for a meeting that was held, or missed, is void.
func (x *Meeting) judge(now time.Time) error {
	to := x.judged(now)
	if to == x.Status || to == MeetingAccepted && slices.Contains(agreedMeetings, x.Status) {
		return nil
	}
	i := slices.IndexFunc(meetingTurns, func(t move[MeetingMove, MeetingStatus]) bool { return t.to == to && t.name != "LAPSE" })
	x.ExpiresAt = nil
	if to == MeetingMissed {
		x.Holds = nil // the two can meet again, and what was missed does not come back
	}
	return meetingTurns[i].take(&x.Meta, &x.Status, "")
}

// RecordOutcomeInput is what RecordOutcome takes.
type RecordOutcomeInput struct {
	ID   ID
	As   *ID // the side, where the viewer could speak for both
	What OutcomeKind
	Note *string // read by the own side alone; nil leaves what was noted
}

// RecordOutcome says for one side what came of a meeting, from its beginning
// on; it can be said otherwise later. Besides who can change the meeting,
// everybody who takes part can, whatever their role.
func (m *Market) RecordOutcome(ctx context.Context, in RecordOutcomeInput) (*Meeting, error) {
	return update(ctx, m, MayRecordOutcome, in.ID, 0, func(x *Meeting) error {
		now, user := m.clock(), actorOf(ctx).User
		side, err := sideOf(ctx, x, in.As, func(o Membership) bool { return edits(o) || slices.Contains(*x.peopleOf(o.Member), user) })
		if err != nil {
			return err
		}
		if !x.isJudgeable(now) {
			return invalid("id", "INVALID", "has not begun, so nothing came of it yet")
		}
		o := &Outcome{What: in.What, By: user, At: now, Note: text(in.Note)}
		if before := *x.outcomeOf(side); before != nil && in.Note == nil {
			o.Note = before.Note
		}
		*x.outcomeOf(side) = o
		if err := x.judge(now); err != nil {
			return err
		}
		// The note is in no mark: the other side and the secretariat read those.
		x.mark("RECORD_OUTCOME", string(in.What))
		x.plan()
		return nil
	})
}

// isJudgeable says whether something can be said about what came of it.
func (x *Meeting) isJudgeable(now time.Time) bool { return x.isBooked() && !now.Before(*x.At) }

// meetingsDue is the chore that does what is due for meetings.
var meetingsDue = chore{name: "meetings", run: func(ctx context.Context, m *Market) (int, error) {
	list, err := find[*Meeting](ctx, m, KindMeeting, Query{
		Where: []Condition{{Field: "dueAt", Op: Lt, Value: m.clock().Add(time.Second)}}, Sort: "dueAt", Limit: 100})
	if err != nil {
		return 0, err
	}
	for _, x := range list {
		_, err := update(ctx, m, MayKeepMeetings, x.ID, 0, func(x *Meeting) error { return x.fallDue(m.clock()) })
		if err := ignore(ignore(err, errUnchanged), ErrNotFound); err != nil {
			return 0, fmt.Errorf("marketplace: %s: %w", x.ID, err)
		}
	}
	return len(list), nil
}}

// fallDue does one thing that is due. What it does leaves a mark, from which
// everybody is told of it once.
func (x *Meeting) fallDue(now time.Time) error {
	if x.DueAt == nil || now.Before(*x.DueAt) {
		return errUnchanged
	}
	x.mark(unmarked, "")
	switch {
	case x.ExpiresAt != nil && !now.Before(*x.ExpiresAt) && slices.Contains(openMeetings, x.Status):
		name := MeetingMove("EXPIRE")
		if x.Status == MeetingRescheduled {
			name = "LAPSE"
		}
		step, err := meetingTurns.named(name)
		if err != nil {
			return err
		}
		x.ExpiresAt = nil
		if err := step.take(&x.Meta, &x.Status, ""); err != nil {
			return err
		}
	case x.Status == MeetingAccepted && x.judged(now) == MeetingMissed:
		if err := x.judge(now); err != nil {
			return err
		}
	default:
		switch n := x.passed(now); {
		case n <= x.Reminded:
		case n > len(meetingReminders):
			x.mark("ASK", "")
		case now.Before(*x.At):
			x.mark("REMIND", strconv.Itoa(int(meetingReminders[n-1]/time.Hour))+" hours before")
		}
		x.Reminded = max(x.Reminded, x.passed(now))
	}
	x.plan()
	return nil
}

// outcomeLetters is how long the link in a letter is good by which one says
// what came of a meeting, from its end on.
const outcomeLetters = 90 * 24 * time.Hour

const recordingOutcome = "meeting outcome"

// outcomeLink is the address by which a user says what came of a meeting
// without signing in; empty where nothing can be signed.
func (m *Market) outcomeLink(user, meeting ID) string {
	if m.vault == nil || m.options.URL == "" {
		return ""
	}
	return m.options.URL + "/outcome?m=" + string(meeting) + "&u=" + string(user) + "&s=" + m.vault.signature(recordingOutcome, string(user)+"\x00"+string(meeting))
}

// An OutcomeText is what the page says on which a user says what came of a
// meeting, in the user's language.
type OutcomeText struct {
	Language  Language
	FromRight bool
	Title     string
	Ask       string // with whom it was, and when
	Said      string // what the user's side has said; empty where nothing
	Answers   []OutcomeAnswer
}

// An OutcomeAnswer is one of the buttons of that page.
type OutcomeAnswer struct {
	What   OutcomeKind
	Label  string
	IsSaid bool // it is what the user's side has said
}

// OutcomeByLink is what the page says that the link in a letter leads to, and,
// where what is not empty, first says that this came of the meeting. The right
// comes from the link, which is good for one user and one meeting, as long as
// that user takes part, still acts for the side, and the meeting is not long
// over: else ErrNotFound. Without what it changes nothing.
func (m *Market) OutcomeByLink(ctx context.Context, user, meeting ID, signature string, what OutcomeKind) (OutcomeText, error) {
	if !m.vault.signed(recordingOutcome, string(user)+"\x00"+string(meeting), signature) {
		return OutcomeText{}, ErrNotFound
	}
	u, ctx, err := m.reader(withSight(ctx), user)
	if err != nil || u == nil {
		return OutcomeText{}, cmp.Or(err, ErrNotFound)
	}
	x, err := get[*Meeting](ctx, m, meeting)
	if err != nil {
		return OutcomeText{}, err
	}
	side, err := sideOf(ctx, x, nil, func(o Membership) bool { return slices.Contains(*x.peopleOf(o.Member), user) })
	if errors.Is(err, ErrInvalid) {
		side, err = x.From, nil
	}
	if now := m.clock(); err != nil || !x.isJudgeable(now) || now.After(x.end().Add(outcomeLetters)) {
		return OutcomeText{}, ErrNotFound
	}
	if what != "" {
		if x, err = m.RecordOutcome(ctx, RecordOutcomeInput{ID: meeting, As: &side, What: what}); err != nil {
			return OutcomeText{}, err
		}
	}
	b := phrasesFor(u.Languages)
	other, err := m.nameOf(ctx, x.other(side), u.Languages)
	if err != nil {
		return OutcomeText{}, err
	}
	t := OutcomeText{Language: b.language, FromRight: b.fromRight(), Title: b.phrases["outcome.title"],
		Ask: b.say("outcome.ask", filling{"member": other, "time": moment(*x.At, u.TimeZone)})}
	for _, k := range OutcomeKinds {
		said := *x.outcomeOf(side) != nil && (*x.outcomeOf(side)).What == k
		if t.Answers = append(t.Answers, OutcomeAnswer{k, b.phrases["outcome."+string(k)], said}); said {
			t.Said = b.say("outcome.said", filling{"note": b.phrases["outcome."+string(k)]})
		}
	}
	return t, nil
}
