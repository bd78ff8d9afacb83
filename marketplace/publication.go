package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Publication is a timetable that the secretariat has published, with who
// sits in which meeting: the one command is to write it. The worker makes the
// meetings that it says, and tells those whom it concerns. Publications of an
// event have numbers; the latest is what holds.
type Publication struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Event      ID                `json:"event"`
	Number     int               `json:"number"` // of the event's, from 1
	By         ID                `json:"by,omitempty"`
	Run        ID                `json:"run,omitempty"`
	Placements placements        `json:"placements"`
	Status     PublicationStatus `json:"status"`
	// Beyond is how many meetings participants have by it that have more than
	// they want at the most, as the secretariat has allowed.
	Beyond map[ID]int `json:"beyond,omitempty"`

	// What has become of it, once it is done.
	Meetings  int        `json:"meetings"` // that take place by it
	New       int        `json:"new"`
	Moved     int        `json:"moved"`
	Cancelled int        `json:"cancelled"`
	Gaps      []Gap      `json:"gaps,omitempty"` // meetings that could not be made
	DoneAt    *time.Time `json:"doneAt,omitempty"`
}

// KindPublication is the kind of Publication.
var KindPublication = registerRecord("publication", func() entity { return new(Publication) },
	Index{Equal: []string{"event"}, Sort: "number"},
	Index{Equal: []string{"event", "status"}, Sort: "createdAt"})

// A PublicationStatus is how far a publication has come.
type PublicationStatus string

// The states of a publication.
const (
	PublicationUnderWay PublicationStatus = "UNDER_WAY" // meetings are being made
	PublicationDone     PublicationStatus = "DONE"      // all meetings are as it says, but for its gaps
	PublicationVoid     PublicationStatus = "VOID"      // the event was closed, or went back, before anything was made; or another one has overtaken it
)

// PublicationStatuses are all of them.
var PublicationStatuses = []PublicationStatus{PublicationUnderWay, PublicationDone, PublicationVoid}

// A Gap is a meeting of a publication that could not be made, since something
// has changed after the timetable was checked.
type Gap struct {
	A     ID        `json:"a"`
	B     ID        `json:"b"`
	Slot  time.Time `json:"slot"`
	Table string    `json:"table,omitempty"`
	Code  GapCode   `json:"code"`
	Who   ID        `json:"who,omitempty"` // the member that it is about
}

// TableOrNil is the name of its table; nil where there is none.
func (g *Gap) TableOrNil() *string { return maybe(g.Table) }

// A GapCode names why a meeting could not be made.
type GapCode string

// Why meetings could not be made.
const (
	GapPersonTaken GapCode = "PERSON_TAKEN" // somebody has another meeting by now
	GapPersonGone  GapCode = "PERSON_GONE"  // the delegate comes no more
	GapTableTaken  GapCode = "TABLE_TAKEN"
	GapCalledOff   GapCode = "CALLED_OFF"     // a side has cancelled it
	GapBegun       GapCode = "BEGUN"          // the slot, or the meeting as it was, has begun
	GapMeetAlready GapCode = "MEET_ALREADY"   // the two have another meeting by now
	GapInterpreter GapCode = "NO_INTERPRETER" // all who interpret are at other meetings by now
	GapMaximum     GapCode = "OVER_MAXIMUM"   // a participant has as many as it wants at the most by now
)

// GapCodes are all of them.
var GapCodes = []GapCode{GapPersonTaken, GapPersonGone, GapTableTaken, GapCalledOff, GapBegun, GapMeetAlready, GapMaximum, GapInterpreter}

// maxGaps bounds those that a publication keeps.
const maxGaps = 1000

func (*Publication) kind() Kind        { return KindPublication }
func (*Publication) parties() []ID     { return nil }
func (*Publication) audience() []Group { return []Group{Secretariat} }
func (x *Publication) refs() []ID      { return []ID{x.Event, x.By, x.Run} }

// IsNode marks publications as something with an id of its own.
func (*Publication) IsNode() {}

// Two who publish at the same time do not both succeed.
func (x *Publication) claims() []string {
	return []string{fmt.Sprintf("number:%d of %s", x.Number, x.Event)}
}

func (x *Publication) validate(p *problems) { checkOne(p, "status", x.Status, PublicationStatuses) }

// publishedPhases are those in which a timetable can be published.
var publishedPhases = []EventPhase{EventDrafting, EventPublished, EventLive}

// PublishTimetableInput is what PublishTimetable takes.
type PublishTimetableInput struct {
	Event   ID
	Version *int // of the draft that was read; nil: any
}

// PublishTimetable publishes the draft. It is refused as long as something
// absolute stands against a meeting in it. What was published before changes
// by the difference alone, and only those are told whose meetings change. An
// event whose timetable is being drafted is PUBLISHED then.
func (m *Market) PublishTimetable(ctx context.Context, in PublishTimetableInput) (*Publication, error) {
	e, err := m.mayDraft(ctx, in.Event)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(publishedPhases, e.Phase) {
		return nil, invalid("event", "INVALID", fmt.Sprintf("publishes a timetable while it is one of %v, and is %s", publishedPhases, e.Phase))
	}
	for range maxRetries {
		d, err := m.DraftOf(Afresh(ctx), e.ID)
		if errors.Is(err, ErrNotFound) {
			return nil, invalid("event", "INVALID", "has no draft of a timetable yet")
		}
		if err != nil {
			return nil, err
		}
		if v := versionOf(in.Version); v != 0 && v != d.Version() {
			return nil, &ConflictError{Current: d}
		}
		a, err := m.assemble(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		last, err := m.latestPublication(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		x := &Publication{Meta: Meta{IsSample: e.IsSample}, Event: e.ID, Number: 1, By: actorOf(ctx).User, Run: d.Run, Status: PublicationUnderWay}
		var before []Placement
		if last != nil {
			x.Number, before = last.Number+1, last.Placements.list()
		}
		b := seated(a, d.Placements.list(), before)
		begun := b.begun(before)
		if err := m.refuseAll(ctx, b.stuck); err != nil {
			return nil, err
		}
		list := append(b.placements(), begun...)
		x.Placements, x.Beyond = packed(list), a.beyond(list, d.Beyond)
		x.mark("PUBLISH", fmt.Sprintf("%d meetings", len(list)))
		err = create(ctx, m, MayMakeTimetable, x)
		if !taken(err, "number") {
			return x, err
		}
	}
	return nil, ErrUnavailable
}

// beyond says who has more meetings by a timetable, or as was allowed by hand,
// than they want, and how many.
func (a *assembly) beyond(list []Placement, allowed map[ID]int) map[ID]int {
	have, out := map[ID]int{}, map[ID]int{}
	for _, p := range list {
		have[p.A]++
		have[p.B]++
	}
	for id, n := range allowed {
		have[id] = max(have[id], n)
	}
	for id, n := range have {
		if i, ok := a.number[id]; ok && n > a.Participants[i].Maximum {
			out[id] = n
		}
	}
	return out
}

// seated says who sits in which meeting of a timetable: whoever did before
// where a meeting has not moved. What cannot be is stuck.
func seated(a *assembly, list, before []Placement) *board {
	was := make(map[duo]Placement, len(before))
	for _, p := range before {
		was[p.pair()] = p
	}
	b := newBoard(a, nil)
	for _, stays := range []bool{true, false} { // those who stay choose first
		for _, p := range list {
			old, ok := was[p.pair()]
			if same := ok && old.Slot.Equal(p.Slot); same != stays {
				continue
			}
			p.PersonA, p.PersonB = "", ""
			if stays {
				p.PersonA, p.PersonB = old.PersonA, old.PersonB
			}
			if hard, _ := b.admit(p); len(hard) > 0 {
				b.stuck[p.pair()] = stuckPlacement{p, hard}
			}
		}
	}
	return b
}

// begun takes what has begun from the stuck ones, since nothing can be changed
// about that any more, and returns those of them that were published: they stay.
func (b *board) begun(before []Placement) []Placement {
	var stay []Placement
	for x, s := range b.stuck {
		if s.Slot.After(b.at) {
			continue
		}
		delete(b.stuck, x)
		for _, p := range before {
			if p.pair() == x && p.Slot.Equal(s.Slot) {
				stay = append(stay, p)
			}
		}
	}
	return stay
}

// refuseAll says of each meeting that cannot be what stands against it.
func (m *Market) refuseAll(ctx context.Context, stuck map[duo]stuckPlacement) error {
	var p problems
	list := make(map[duo]Placement, len(stuck))
	for x, s := range stuck {
		list[x] = s.Placement
	}
	for _, at := range sortedPlacements(list) {
		for _, c := range stuck[at.pair()].conflicts {
			message, err := m.conflictMessage(ctx, c)
			if err != nil {
				return err
			}
			names := [2]string{}
			for i, id := range at.pair() {
				if names[i], err = m.nameOf(ctx, id, ViewerOf(ctx).Languages); err != nil {
					return err
				}
			}
			p.add("event", string(c.Code), fmt.Sprintf("has a meeting of %s and %s in its draft against which something stands: %s", oneLine(names[0]), oneLine(names[1]), message))
		}
	}
	return p.err()
}

// publicationsOf asks for the publications of an event, the latest first.
func publicationsOf(event ID, limit int) Query {
	return Query{Where: []Condition{{Field: "event", Op: Eq, Value: event}}, Sort: "number", Descending: true, Limit: limit}
}

// latestPublication is the one that holds; nil where there is none.
func (m *Market) latestPublication(ctx context.Context, event ID) (*Publication, error) {
	list, err := find[*Publication](withSight(ctx), m, KindPublication, publicationsOf(event, 1))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// LatestPublication returns the publication that holds, to the secretariat;
// ErrNotFound to others, and where there is none.
func (m *Market) LatestPublication(ctx context.Context, event ID) (*Publication, error) {
	list, err := find[*Publication](ctx, m, KindPublication, publicationsOf(event, 1))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNotFound
	}
	return list[0], nil
}

// Publications lists the publications of an event for the secretariat, the
// latest first; for others the list is empty.
func (m *Market) Publications(ctx context.Context, event ID, s Slice) (*Page[*Publication], error) {
	if !onSide(ctx) {
		return emptyPage[*Publication](s)
	}
	return page[*Publication](ctx, m, KindPublication, publicationsOf(event, 0), s)
}

// Names of the pages of publications in the API.
type (
	PublicationConnection = Page[*Publication]
	PublicationEdge       = PageEdge[*Publication]
)
