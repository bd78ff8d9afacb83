package marketplace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Timetable is what a run has made: it never changes, so that every run can
// be compared, and used again.
type Timetable struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event      ID         `json:"event"`
	Run        ID         `json:"run"`
	Placements placements `json:"placements"`
	Unplaced   reasons    `json:"unplaced"`
}

// KindTimetable is the kind of Timetable.
var KindTimetable = registerRecord("timetable", func() entity { return new(Timetable) })

// timetableID is the id of the timetable of a run.
func timetableID(run ID) ID { return ID(string(KindTimetable) + "_" + hashed(string(run))[:26]) }

func (*Timetable) kind() Kind         { return KindTimetable }
func (*Timetable) validate(*problems) {}
func (*Timetable) parties() []ID      { return nil }
func (*Timetable) audience() []Group  { return []Group{Secretariat} }

// A Draft is the timetable that the secretariat works on, of which an event
// has one. It comes from a run, and is changed by hand. Nobody else sees it;
// what is published is a copy.
//
// What stands in it has been checked when it was put there. Something may have
// changed since that stands against it: then it stays, and Market.DraftConflicts tells.
type Draft struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event      ID         `json:"event"`
	Run        ID         `json:"run,omitempty"` // from which it comes; empty: from none
	Placements placements `json:"placements"`
	// Edits are what was changed by hand since, at most maxEdits of it, the
	// latest last, so that it can be undone.
	Edits []draftEdit `json:"edits,omitempty"`
	// Beyond is how many meetings those may have for whom the secretariat has
	// allowed by hand more than they want at the most.
	Beyond map[ID]int `json:"beyond,omitempty"`
}

// A draftEdit is a change of a draft: what it took out and what it put in.
type draftEdit struct {
	Out placements `json:"out"`
	In  placements `json:"in"`
}

// KindDraft is the kind of Draft.
var KindDraft = registerRecord("draft", func() entity { return new(Draft) })

// draftID is the id of the draft of an event.
func draftID(event ID) ID { return ID(string(KindDraft) + "_" + hashed(string(event))[:26]) }

const maxEdits = 50

func (*Draft) kind() Kind        { return KindDraft }
func (*Draft) parties() []ID     { return nil }
func (*Draft) audience() []Group { return []Group{Secretariat} }
func (d *Draft) refs() []ID      { return []ID{d.Event, d.Run} }

// IsNode marks drafts as something with an id of its own.
func (*Draft) IsNode() {}

func (d *Draft) validate(p *problems) {
	p.max("placements", len(d.Placements.Lines), MaxPlacements)
}

// CanUndo says that the latest change by hand can be undone.
func (d *Draft) CanUndo() bool { return len(d.Edits) > 0 }

// DraftOf returns the draft of an event to the secretariat; ErrNotFound to
// others, and where there is none yet.
func (m *Market) DraftOf(ctx context.Context, event ID) (*Draft, error) {
	return get[*Draft](ctx, m, draftID(event))
}

// draftOf is the draft of an event, nil where there is none.
func (m *Market) draftOf(ctx context.Context, event ID) (*Draft, error) {
	d, err := get[*Draft](withSight(ctx), m, draftID(event))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return d, err
}

// A board is a draft that is being changed.
type board struct {
	*schedule
	// stuck are placements against which something stands by now, with what it
	// is; they are no part of the schedule.
	stuck map[duo]stuckPlacement
	out   []Placement // taken out by this change
	in    []Placement // put in
	over  map[ID]int  // see Draft.Beyond
}

type stuckPlacement struct {
	Placement
	conflicts []Conflict
}

func newBoard(a *assembly, list []Placement) *board {
	b := &board{schedule: newSchedule(a), stuck: map[duo]stuckPlacement{}, over: map[ID]int{}}
	for _, p := range list {
		if hard, _ := b.admit(p); len(hard) > 0 {
			b.stuck[p.pair()] = stuckPlacement{p, hard}
		}
	}
	return b
}

// remove takes a placement out; an error where there is none, or it has begun.
func (b *board) remove(x duo) (Placement, error) {
	p, ok := b.list[x]
	if s, isStuck := b.stuck[x]; !ok && isStuck {
		p, ok = s.Placement, true
	}
	if !ok {
		return p, invalid("b", "NOT_FOUND", "does not meet the other one in the draft")
	}
	if slot := b.Event.SlotAt(p.Slot); slot >= 0 && b.isPast(slot) {
		return p, invalid("slot", string(ConflictOver), "has begun: what is there stays")
	}
	if _, ok := b.take(x); !ok {
		delete(b.stuck, x)
	}
	b.out = append(b.out, p)
	return p, nil
}

// insert puts a placement in, or returns what stands against it. Without a
// table it gets one; allowed are the doubts that do not.
func (b *board) insert(p Placement, allowed []ConflictCode) []Conflict {
	p.PersonA, p.PersonB = "", ""
	slot := b.Event.SlotAt(p.Slot)
	if slot >= 0 && b.isPast(slot) {
		return []Conflict{{Code: ConflictOver, Slot: p.Slot}}
	}
	_, knowsA := b.number[p.A]
	if _, knowsB := b.number[p.B]; p.Table == "" && slot >= 0 && knowsA && knowsB {
		p.Table = b.freeTable(p, slot)
	}
	if s, ok := b.stuck[p.pair()]; ok {
		return []Conflict{{Code: ConflictMeetAlready, Slot: s.Slot}}
	}
	hard, soft := b.admit(p)
	for _, c := range soft {
		if c.Code == ConflictMaximum && len(b.out) == 0 { // it is new
			b.over[c.Members[0]] = b.held[b.number[c.Members[0]]]
		}
	}
	soft = slices.DeleteFunc(soft, func(c Conflict) bool { return slices.Contains(allowed, c.Code) })
	if len(hard) == 0 && len(soft) > 0 {
		b.take(p.pair())
	}
	if all := append(hard, soft...); len(all) > 0 {
		return all
	}
	b.in = append(b.in, p)
	return nil
}

// all is everything on the board.
func (b *board) all() []Placement {
	list := make([]Placement, 0, len(b.list)+len(b.stuck))
	for _, p := range b.list {
		list = append(list, p)
	}
	for _, s := range b.stuck {
		list = append(list, s.Placement)
	}
	return list
}

// mayDraft says what stands against work on the timetable of an event.
func (m *Market) mayDraft(ctx context.Context, event ID) (*Event, error) {
	if err := MayMakeTimetable.checkFor(ctx); err != nil {
		return nil, err
	}
	e, err := m.Event(ctx, event)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("event", "NOT_FOUND", "there is no such event")
	}
	if err == nil && (e.Phase == EventDraft || e.Phase == EventClosed) {
		return nil, invalid("event", "INVALID", fmt.Sprintf("gets no timetable while it is %s", e.Phase))
	}
	return e, err
}

// editDraft changes a draft by hand: what the change puts in is checked at
// once against everything that there is, so that the draft has no new conflict.
func (m *Market) editDraft(ctx context.Context, event ID, version *int, action string, change func(*board) error) (*Draft, error) {
	e, err := m.mayDraft(ctx, event)
	if err != nil {
		return nil, err
	}
	fresh := func() *Draft { return &Draft{Meta: Meta{IsSample: e.IsSample}, Event: e.ID} }
	return updateOrCreate(ctx, m, MayMakeTimetable, draftID(e.ID), versionOf(version), fresh, func(d *Draft) error {
		a, err := m.assemble(ctx, e.ID)
		if err != nil {
			return err
		}
		b := newBoard(a, d.Placements.list())
		if err := change(b); err != nil {
			return err
		}
		d.Placements = packed(b.all())
		if d.Beyond == nil {
			d.Beyond = map[ID]int{}
		}
		maps.Copy(d.Beyond, b.over)
		d.Edits = append(slices.Clone(d.Edits), draftEdit{packed(b.out), packed(b.in)})
		d.Edits = d.Edits[max(0, len(d.Edits)-maxEdits):]
		d.mark(action, editNote(b))
		return nil
	})
}

// editNote says in the audit log which meetings a change is about.
func editNote(b *board) string {
	var words []string
	for _, list := range [][]Placement{b.out, b.in} {
		for _, p := range list {
			words = append(words, strings.TrimSpace(fmt.Sprintf("%s with %s at %s %s", p.A, p.B, p.Slot.Format(time.RFC3339), p.Table)))
		}
	}
	return strings.Join(words, "; ")
}

// DraftPairInput names the draft of an event and a pair of participants.
type DraftPairInput struct {
	Event   ID
	Version *int // of the draft that was read; nil: any
	A, B    ID   // members, in any order
}

// PlaceInput is what AddPlacement and MovePlacement take.
type PlaceInput struct {
	Event   ID
	Version *int
	A, B    ID
	Slot    *time.Time // of MovePlacement: nil where it stays
	Table   *string    // nil: as it is, else the first that is free
	Allow   []ConflictCode
}

// AddPlacement puts a meeting into the draft.
func (m *Market) AddPlacement(ctx context.Context, in PlaceInput) (*Draft, error) {
	if in.Slot == nil {
		return nil, invalid("slot", "REQUIRED", "must be the beginning of a slot")
	}
	x := pairOf(in.A, in.B)
	return m.editDraft(ctx, in.Event, in.Version, "PLACE", func(b *board) error {
		p := Placement{A: x[0], B: x[1], Slot: in.Slot.UTC(), Table: text(in.Table)}
		return m.refuse(ctx, b.insert(p, in.Allow))
	})
}

// MovePlacement moves a meeting of the draft to another slot or table.
func (m *Market) MovePlacement(ctx context.Context, in PlaceInput) (*Draft, error) {
	return m.editDraft(ctx, in.Event, in.Version, "MOVE", func(b *board) error {
		p, err := b.remove(pairOf(in.A, in.B))
		if err != nil {
			return err
		}
		if in.Slot != nil {
			p.Slot = in.Slot.UTC()
		}
		if in.Table != nil {
			p.Table = *in.Table
		} else if slot := b.Event.SlotAt(p.Slot); slot >= 0 && p.Table != "" {
			p.Table = b.freeTable(p, slot)
		}
		// What it has already been allowed, it need not be again.
		return m.refuse(ctx, b.insert(p, append(slices.Clone(in.Allow), SoftConflicts...)))
	})
}

// RemovePlacement takes a meeting out of the draft.
func (m *Market) RemovePlacement(ctx context.Context, in DraftPairInput) (*Draft, error) {
	return m.editDraft(ctx, in.Event, in.Version, "REMOVE", func(b *board) error {
		_, err := b.remove(pairOf(in.A, in.B))
		return err
	})
}

// LockPlacement says whether runs that go on from the draft leave a meeting as it is.
func (m *Market) LockPlacement(ctx context.Context, in DraftPairInput, locked bool) (*Draft, error) {
	action := map[bool]string{true: "LOCK", false: "UNLOCK"}[locked]
	return m.editDraft(ctx, in.Event, in.Version, action, func(b *board) error {
		x := pairOf(in.A, in.B)
		set := func(p Placement) Placement {
			b.out = append(b.out, p)
			p.IsLocked = locked
			b.in = append(b.in, p)
			return p
		}
		if p, ok := b.list[x]; ok {
			b.list[x] = set(p)
			return nil
		}
		s, ok := b.stuck[x]
		if !ok {
			return invalid("b", "NOT_FOUND", "does not meet the other one in the draft")
		}
		s.Placement = set(s.Placement)
		b.stuck[x] = s
		return nil
	})
}

// SwapPlacementsInput is what SwapPlacements takes.
type SwapPlacementsInput struct {
	Event          ID
	Version        *int
	A, B           ID // members of the one meeting
	OtherA, OtherB ID // of the other one
}

// SwapPlacements lets two meetings of the draft change their slots and tables.
func (m *Market) SwapPlacements(ctx context.Context, in SwapPlacementsInput) (*Draft, error) {
	return m.editDraft(ctx, in.Event, in.Version, "SWAP", func(b *board) error {
		p, err := b.remove(pairOf(in.A, in.B))
		if err != nil {
			return err
		}
		q, err := b.remove(pairOf(in.OtherA, in.OtherB))
		if err != nil {
			return atPath(err, "otherB")
		}
		p.Slot, p.Table, q.Slot, q.Table = q.Slot, q.Table, p.Slot, p.Table
		return m.refuse(ctx, append(b.insert(p, SoftConflicts), b.insert(q, SoftConflicts)...))
	})
}

// atPath moves what is wrong to another field.
func atPath(err error, path string) error {
	if list := problemsOf(err); len(list) == 1 {
		return invalid(path, list[0].Code, list[0].Message)
	}
	return err
}

// UndoDraft undoes the latest change that was made by hand. What stands
// against that by now is told by DraftConflicts.
func (m *Market) UndoDraft(ctx context.Context, event ID, version *int) (*Draft, error) {
	if _, err := m.mayDraft(ctx, event); err != nil {
		return nil, err
	}
	nothing := invalid("event", "INVALID", "has a draft in which nothing was changed by hand that can be undone")
	d, err := update(ctx, m, MayMakeTimetable, draftID(event), versionOf(version), func(d *Draft) error {
		n := len(d.Edits)
		if n == 0 {
			return nothing
		}
		last := d.Edits[n-1]
		list := make(map[duo]Placement, len(d.Placements.Lines))
		for _, p := range d.Placements.list() {
			list[p.pair()] = p
		}
		for _, p := range last.In.list() {
			delete(list, p.pair())
		}
		for _, p := range last.Out.list() {
			list[p.pair()] = p
		}
		d.Placements, d.Edits = packed(sortedPlacements(list)), d.Edits[:n-1]
		d.mark("UNDO", "")
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nothing
	}
	return d, err
}

// UseRunInput is what UseRun takes.
type UseRunInput struct {
	Run     ID
	Version *int // of the draft that was read; nil: any
	// DiscardsChanges says that what was changed by hand in the draft may be
	// lost. It need not be said where the run has gone on from the draft as it
	// is, changes included.
	DiscardsChanges bool
}

// UseRun makes the timetable of a run the draft, in place of the one before,
// also that of an earlier run.
func (m *Market) UseRun(ctx context.Context, in UseRunInput) (*Draft, error) {
	r, err := m.Run(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	e, err := m.mayDraft(ctx, r.Event)
	if err != nil {
		return nil, err
	}
	t, err := m.timetableOf(ctx, r)
	if err != nil {
		return nil, err
	}
	fresh := func() *Draft { return &Draft{Meta: Meta{IsSample: e.IsSample}, Event: e.ID} }
	return updateOrCreate(ctx, m, MayMakeTimetable, draftID(e.ID), versionOf(in.Version), fresh, func(d *Draft) error {
		if goesOn := r.Mode != RunNew && r.Draft == d.Version(); len(d.Edits) > 0 && !goesOn && !in.DiscardsChanges {
			return invalid("discardsChanges", "REQUIRED", fmt.Sprintf("must be true, since the draft was changed by hand (changes that are known: %d), which is lost", len(d.Edits)))
		}
		d.Run, d.Placements, d.Edits, d.Beyond = r.ID, t.Placements, nil, nil
		d.mark("USE_RUN", fmt.Sprintf("run %d", r.Number))
		return nil
	})
}

// timetableOf is what a run that is done has made.
func (m *Market) timetableOf(ctx context.Context, r *Run) (*Timetable, error) {
	if r.Status != RunDone {
		return nil, invalid("run", "INVALID", fmt.Sprintf("is %s and has made no timetable", r.Status))
	}
	return get[*Timetable](ctx, m, timetableID(r.ID))
}

// refuse makes an error of conflicts, which names whom they are about; nil
// where there are none.
func (m *Market) refuse(ctx context.Context, list []Conflict) error {
	var p problems
	for _, c := range list {
		message, err := m.conflictMessage(ctx, c)
		if err != nil {
			return err
		}
		if path := c.path(); !slices.ContainsFunc(p.list, func(e UserError) bool { return e.Path == path && e.Message == message }) {
			p.add(path, string(c.Code), message)
		}
	}
	return p.err()
}

// path is the field of the input that a conflict is about.
func (c *Conflict) path() string {
	switch c.Code {
	case ConflictNoTable, ConflictTableNeeded, ConflictTableOfOther, ConflictOwnTable, ConflictTableTaken, ConflictTableLost:
		return "table"
	case ConflictNoSlot, ConflictBlocked, ConflictNobodyFree, ConflictOver, ConflictNoInterpreter:
		return "slot"
	}
	return "b"
}

// conflictMessage says in a sentence what stands against a placement.
func (m *Market) conflictMessage(ctx context.Context, c Conflict) (string, error) {
	names := func(ids []ID) (string, error) {
		list := make([]string, len(ids))
		for i, id := range ids {
			name, err := m.nameOf(ctx, id, ViewerOf(ctx).Languages)
			if err != nil {
				return "", err
			}
			list[i] = oneLine(name)
		}
		return strings.Join(list, " and "), nil
	}
	who, err := names(c.Members)
	if err != nil {
		return "", err
	}
	others, err := names(c.Others)
	if err != nil {
		return "", err
	}
	switch c.Code {
	case ConflictNoParticipant:
		return who + " is no participant of this event", nil
	case ConflictNoSlot:
		return "no slot of the event begins then", nil
	case ConflictBlocked:
		return "a session blocks this slot", nil
	case ConflictOver:
		return "has begun", nil
	case ConflictImpossible:
		return "these two cannot meet", nil
	case ConflictMeetAlready:
		return "these two have a meeting already", nil
	case ConflictNobodyFree:
		if others == "" {
			return who + " has nobody who is free then", nil
		}
		return who + " has nobody else who is free then: it meets " + others, nil
	case ConflictNoTable:
		return "the event has no table of that name", nil
	case ConflictTableNeeded:
		return "no table is free then", nil
	case ConflictTableOfOther:
		return "this table is for the meetings of " + who, nil
	case ConflictOwnTable:
		return who + " meets at a table of its own", nil
	case ConflictTableTaken:
		if others == "" {
			return "this table is taken then", nil
		}
		return "this table is taken then by " + others, nil
	case ConflictNoInterpreter:
		return fmt.Sprintf("nobody is left to interpret then: that can be done at %d meetings at once", c.Count), nil
	case ConflictTableLost:
		return "this table was lost: move the meeting, or have a run of the mode ONLY_UNBOOKED move all that cannot stay", nil
	case ConflictRules:
		return "neither of the two may ask the other for a meeting by the rules of the event", nil
	case ConflictLanguage:
		return "the two share no language, and nobody interprets between them", nil
	case ConflictMaximum:
		if !onSide(ctx, c.Members...) { // how many those are is its own
			return who + " has as many meetings as it wants", nil
		}
		return fmt.Sprintf("%s has the %d meetings that it wants at the most", who, c.Count), nil
	}
	return string(c.Code), nil
}
