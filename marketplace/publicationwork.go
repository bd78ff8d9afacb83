package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Timetabled is what publications have made of a meeting. It says what was
// published, not what has become of it since: what its people change stays, as
// long as no publication says something else.
type Timetabled struct {
	Publication int       `json:"publication"` // the latest that changed it
	Change      string    `json:"change"`      // how: NEW, MOVED or CANCELLED
	Slot        time.Time `json:"slot"`
	Table       string    `json:"table,omitempty"`
	Persons     []string  `json:"persons"` // of From and of To; see personKey
	// IsLifted says that it is on its way from one place to another, and takes
	// the time of nobody: meetings that change places do so by that.
	IsLifted bool `json:"isLifted,omitempty"`
}

// What a publication does to a meeting.
const (
	placedNew  = "NEW"
	placedElse = "MOVED"
	placedNot  = "CANCELLED"
)

func (x *Meeting) isLifted() bool { return x.Timetabled != nil && x.Timetabled.IsLifted }

func (x *Meeting) setLifted(is bool) {
	t := *x.Timetabled // also in what others have read
	t.IsLifted = is
	x.Timetabled = &t
}

// eventMeetingID is the id of a meeting of two members at an event: the nth
// that they have there, from 1. Publications make the first.
func eventMeetingID(event ID, x duo, n int) ID {
	return ID(string(KindMeeting) + "_" + hashed(fmt.Sprintf("%s\x00%s\x00%s\x00%d", event, x[0], x[1], n))[:26])
}

// publishing makes the meetings of the latest publication of an event. It
// looks at what is there and does what is missing, so it goes on wherever it
// was stopped, and leaves alone what is as it should be.
var publishing = follower{name: "publications", kinds: []Kind{KindPublication}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	x, err := m.latestPublication(ctx, doc.(*Publication).Event)
	if err != nil || x == nil {
		return err
	}
	if old := doc.(*Publication); old.Number < x.Number && old.Status == PublicationUnderWay {
		return (&publisher{Market: m, publication: old, now: m.clock()}).end(ctx, PublicationVoid) // it was overtaken
	}
	if x.Status != PublicationUnderWay {
		return nil
	}
	p := &publisher{Market: m, publication: x, now: m.clock(), want: map[ID]Placement{}, have: map[ID]*Meeting{}, held: map[string]bool{}}
	return p.publish(ctx)
})}

// A publisher makes the meetings of one publication.
type publisher struct {
	*Market
	publication *Publication
	now         time.Time
	event       *Event
	people      *assembly
	want        map[ID]Placement // by the id of the meeting
	have        map[ID]*Meeting

	mu    sync.Mutex
	gaps  map[ID]Gap
	held  map[string]bool // what meetings of the event hold; see hold.go
	holds map[ID][]string // what those hold that are set down
	// speaks are the claims on who interprets at meetings that need it; empty
	// where nobody is left.
	speaks map[ID]string
}

func (p *publisher) publish(ctx context.Context) error {
	var err error
	if p.event, err = p.takePhase(ctx); err != nil {
		return err
	}
	if p.event == nil {
		return p.end(ctx, PublicationVoid)
	}
	if p.people, err = p.assemble(ctx, p.event.ID); err != nil {
		return err
	}
	p.gaps = map[ID]Gap{}
	for _, x := range p.publication.Placements.list() {
		p.want[eventMeetingID(p.event.ID, x.pair(), 1)] = x
	}
	if err := p.read(ctx); err != nil {
		return err
	}
	if err := p.cancelRest(ctx); err != nil {
		return err
	}
	p.have, p.held, p.holds = map[ID]*Meeting{}, map[string]bool{}, map[ID][]string{}
	if err := p.read(ctx); err != nil {
		return err
	}
	p.assignInterpreters()
	if err := p.place(ctx); err != nil {
		return err
	}
	p.have = map[ID]*Meeting{}
	if err := p.read(ctx); err != nil {
		return err
	}
	if err := p.tellMembers(ctx); err != nil {
		return err
	}
	return p.end(ctx, PublicationDone)
}

// takePhase makes the event PUBLISHED, where it is being drafted; nil where
// it has gone elsewhere in the meantime.
func (p *publisher) takePhase(ctx context.Context) (*Event, error) {
	e, err := p.eventOf(ctx, p.publication.Event)
	if problemsOf(err) != nil {
		return nil, nil // it is gone
	}
	if err != nil || e.Phase == EventPublished || e.Phase == EventLive {
		return e, err
	}
	e, err = update(ctx, p.Market, MayKeepEvents, e.ID, 0, func(e *Event) error {
		if e.Phase != EventDrafting {
			return errUnchanged
		}
		step, err := eventTurns.named(EventPublish)
		if err != nil {
			return err
		}
		err = p.moveEvent(e, step, "")
		e.did.By = p.publication.By
		return err
	})
	if errors.Is(err, errUnchanged) {
		if e, err = get[*Event](asWorker(ctx), p.Market, p.publication.Event); err == nil && e.Phase != EventPublished && e.Phase != EventLive {
			return nil, nil
		}
	}
	return e, err
}

// read finds the meetings that publications have made, and what all hold.
func (p *publisher) read(ctx context.Context) error {
	return p.each(ctx, KindMeeting, Query{Where: []Condition{{Field: "event", Op: Eq, Value: p.event.ID}}, Sort: "startsAt", Limit: MaxPage}, func(doc entity) {
		x := doc.(*Meeting)
		if x.Timetabled != nil {
			p.have[x.ID] = x
		}
		if slices.Contains(bookedMeetings, x.Status) {
			for _, claim := range x.Holds {
				p.held[claim] = true
			}
		}
	})
}

// several at a time, since stores commit what comes at the same time together.
const placedAtOnce = 16

// cancelRest cancels what the publication no longer has, and what was booked by
// two who must not meet any more.
func (p *publisher) cancelRest(ctx context.Context) error {
	var rest []ID
	for id, x := range p.have {
		if _, ok := p.want[id]; !ok && x.canUnplace(p.now) {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	if err := together(rest, placedAtOnce, func(id ID) error { return p.cancel(ctx, id) }); err != nil {
		return err
	}
	for _, x := range p.people.live {
		if p.people.refused[pairOf(x.From, x.To)] {
			if err := p.endMeeting(ctx, p.event, x.ID, "timetable.changed", "CALL_OFF"); err != nil {
				return err
			}
		}
	}
	return nil
}

// canUnplace says whether a publication can take a meeting away, or elsewhere:
// as long as it has not begun.
func (x *Meeting) canUnplace(now time.Time) bool {
	return slices.Contains(agreedMeetings, x.Status) && now.Before(*x.At)
}

func (p *publisher) cancel(ctx context.Context, id ID) error {
	_, err := update(ctx, p.Market, MayKeepTimetables, id, 0, func(x *Meeting) error {
		if !x.canUnplace(p.now) && !x.isLifted() || x.Timetabled.Publication > p.publication.Number {
			return errUnchanged
		}
		t := *x.Timetabled
		t.Publication, t.Change, t.IsLifted = p.publication.Number, placedNot, false
		x.Timetabled = &t
		x.callOff(phrasesFor(p.event.Languages).phrases["timetable.changed"], "UNPLACE")
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// place makes and moves meetings. What finds its place taken is tried again
// when others have moved away; what is left then changes places with one
// another: all of that is lifted first, and then set down. Nobody is in two
// meetings at any moment, since each is claimed where it is. What finds no
// place even so goes back to where it was, or is cancelled where that is taken as well.
func (p *publisher) place(ctx context.Context) error {
	// What was on its way when a server stopped, and should have begun since,
	// can only go back.
	for id, x := range p.have {
		if x.isLifted() && slices.Contains(agreedMeetings, x.Status) && !x.canUnplace(p.now) {
			if err := p.putBack(ctx, id); err != nil {
				return err
			}
		}
	}
	var todo []ID
	for id, at := range p.want {
		x := p.have[id]
		switch {
		case x != nil && x.isAs(at) && !x.isLifted():
		case x != nil && x.Status == MeetingCancelled && x.Timetabled.Change != placedNot:
			if !x.isAs(at) {
				p.gap(id, GapCalledOff, "")
			}
		case x != nil && x.Status != MeetingCancelled && !x.canUnplace(p.now), !p.now.Before(at.Slot):
			p.gap(id, GapBegun, "")
		default:
			todo = append(todo, id)
		}
	}
	slices.Sort(todo)
	for before := -1; len(todo) != before; {
		before = len(todo)
		var err error
		if todo, err = p.setDown(ctx, todo); err != nil {
			return err
		}
	}
	var lifted []ID
	for _, id := range todo {
		if p.have[id] != nil {
			lifted = append(lifted, id)
		}
	}
	if len(lifted) == 0 {
		return nil
	}
	if err := together(lifted, placedAtOnce, func(id ID) error { return p.lift(ctx, id) }); err != nil {
		return err
	}
	todo, err := p.setDown(ctx, todo)
	if err != nil {
		return err
	}
	return together(todo, placedAtOnce, func(id ID) error { return p.putBack(ctx, id) })
}

// isAs says whether a meeting was placed so by a publication, whatever has
// become of it since.
func (x *Meeting) isAs(at Placement) bool {
	t := x.Timetabled
	return t != nil && t.Change != placedNot && t.Slot.Equal(at.Slot) && t.Table == at.Table && slices.Equal(t.Persons, []string{at.PersonA, at.PersonB})
}

func (p *publisher) gap(id ID, code GapCode, who ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.want[id]
	p.gaps[id] = Gap{A: at.A, B: at.B, Slot: at.Slot, Table: at.Table, Code: code, Who: who}
}

func (p *publisher) filled(id ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.gaps, id)
}

// setDown makes or moves meetings to where they are to be, and returns those
// whose place is taken.
func (p *publisher) setDown(ctx context.Context, ids []ID) (left []ID, err error) {
	err = together(ids, placedAtOnce, func(id ID) error {
		at := p.want[id]
		err := p.setOneDown(ctx, id, at)
		for wrong, ok := errors.AsType[*InvalidError](err); ok && strings.HasPrefix(wrong.claim, "count:"); wrong, ok = errors.AsType[*InvalidError](err) {
			p.letGo(id, wrong.claim)
			err = p.setOneDown(ctx, id, at)
		}
		if wrong, ok := errors.AsType[*InvalidError](err); ok && wrong.claim != "" {
			code, who := p.takenBy(at, wrong.claim)
			p.gap(id, code, who)
			p.mu.Lock()
			left = append(left, id)
			p.mu.Unlock()
			return nil
		}
		if errors.Is(err, errNobody) {
			return nil // the gap says so
		}
		if err == nil {
			p.filled(id)
		}
		return err
	})
	slices.Sort(left)
	return left, err
}

var errNobody = errors.New("marketplace: the delegate comes no more")

func (p *publisher) setOneDown(ctx context.Context, id ID, at Placement) error {
	for i, who := range []ID{at.A, at.B} {
		if p.delegate(who, []string{at.PersonA, at.PersonB}[i]) == nil {
			p.gap(id, GapPersonGone, who)
			return errNobody
		}
	}
	speaks, isInterpreted := p.speaks[id]
	if isInterpreted && speaks == "" {
		p.gap(id, GapInterpreter, "")
		return errNobody
	}
	holds, full := p.hold(id)
	if full != "" {
		p.gap(id, GapMaximum, full)
		return errNobody
	}
	fresh := func() *Meeting {
		return &Meeting{Meta: Meta{IsSample: p.event.IsSample}, From: at.A, To: at.B, ProposedBy: at.A, Event: p.event.ID, Status: MeetingAccepted,
			Message: p.event.Name}
	}
	_, err := updateOrCreate(ctx, p.Market, MayKeepTimetables, id, 0, fresh, func(x *Meeting) error {
		change := placedElse
		t := x.Timetabled
		switch {
		case t != nil && t.Publication > p.publication.Number: // this one was overtaken
			return errUnchanged
		case t == nil || t.Change == placedNot && x.Status == MeetingCancelled:
			change = placedNew
		case x.isAs(at) && !x.isLifted(), x.Status == MeetingCancelled:
			return errUnchanged
		case x.isAs(at): // it was lifted by a publication that another one has overtaken
			x.mark(unmarked, "")
			x.setLifted(false)
			return nil
		case t.Publication == p.publication.Number && t.Change == placedNew:
			change = placedNew // to those who are told it was not there before
		}
		p.settleAt(x, at)
		if x.Holds = holds; isInterpreted {
			x.Holds = append(slices.Clone(holds), speaks)
		}
		x.Status, x.Reason = MeetingAccepted, nil
		x.Timetabled = &Timetabled{Publication: p.publication.Number, Change: change, Slot: at.Slot, Table: at.Table, Persons: []string{at.PersonA, at.PersonB}}
		x.mark(map[string]string{placedNew: "PLACE", placedElse: "MOVE"}[change], at.Slot.Format(time.RFC3339)+" "+at.Table)
		x.plan()
		return nil
	})
	return ignore(err, errUnchanged)
}

// assignInterpreters says for all meetings of the publication that need it,
// where interpreters are counted, which of them has which: who interprets at a
// meeting that stays does so, and none has two in a slot.
func (p *publisher) assignInterpreters() {
	p.speaks = map[ID]string{}
	if p.event.InterpreterCount == nil {
		return
	}
	taken := map[string]bool{}
	for _, x := range p.people.live {
		for _, claim := range x.Holds {
			taken[claim] = taken[claim] || isInterpreter(claim)
		}
	}
	var rest []ID
	for id, at := range p.want {
		a, okA := p.people.number[at.A]
		b, okB := p.people.number[at.B]
		if !okA || !okB || !p.people.interprets(a, b) {
			continue
		}
		rest = append(rest, id)
		x := p.have[id]
		if x == nil || !slices.Contains(bookedMeetings, x.Status) {
			continue
		}
		for n := range *p.event.InterpreterCount {
			if claim := interpreterClaim(p.event.ID, at.Slot, n); slices.Contains(x.Holds, claim) && !taken[claim] {
				p.speaks[id], taken[claim] = claim, true
			}
		}
	}
	slices.Sort(rest)
	for _, id := range rest {
		if p.speaks[id] != "" {
			continue
		}
		p.speaks[id] = ""
		for n := range *p.event.InterpreterCount {
			if claim := interpreterClaim(p.event.ID, p.want[id].Slot, n); !taken[claim] {
				p.speaks[id], taken[claim] = claim, true
				break
			}
		}
	}
}

// hold is what a meeting holds that is set down: what it has, or else of each
// side one of as many meetings as it may have; the side that may have no more.
func (p *publisher) hold(id ID) (holds []string, full ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.want[id]
	holds = slices.Clone(p.holds[id])
	if x := p.have[id]; holds == nil && x != nil && slices.Contains(bookedMeetings, x.Status) {
		holds = slices.DeleteFunc(slices.Clone(x.Holds), func(c string) bool { return !strings.HasPrefix(c, "count:") })
	}
	for _, side := range at.pair() {
		if holdsOne(holds, countsOf(p.event.ID, side)) {
			continue
		}
		most := p.publication.Beyond[side]
		if i, ok := p.people.number[side]; ok {
			most = max(most, p.people.Participants[i].Maximum)
		}
		n := 0
		for p.held[countClaim(p.event.ID, side, n)] {
			n++
		}
		if n >= most {
			return nil, side
		}
		claim := countClaim(p.event.ID, side, n)
		p.held[claim], holds = true, append(holds, claim)
	}
	p.holds[id] = holds
	return append(slices.Clone(holds), pairClaim(p.event.ID, at.pair())), ""
}

// letGo has another one taken in place of what somebody else was faster to take.
func (p *publisher) letGo(id ID, claim string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds[id] = slices.DeleteFunc(slices.Clone(p.holds[id]), func(c string) bool { return c == claim })
}

// settleAt sets where and when a meeting takes place, and who sits in it.
func (p *publisher) settleAt(x *Meeting, at Placement) {
	x.Table, x.Link = at.Table, ""
	x.FromPeople, x.ToPeople, x.Participants, x.Guests = nil, nil, nil, nil
	x.LostTable, x.IsOffSlot, x.Vacant = "", false, nil
	for i, side := range []ID{x.From, x.To} {
		person := []string{at.PersonA, at.PersonB}[i]
		d := p.delegate(side, person)
		if d == nil {
			continue
		}
		if d.User == "" {
			x.Guests = append(x.Guests, Guest{Side: side, Person: person, Name: d.Name})
			continue
		}
		*x.peopleOf(side) = []ID{d.User}
		if !slices.ContainsFunc(x.Participants, func(o Participant) bool { return o.User == d.User }) {
			x.Participants = append(x.Participants, Participant{User: d.User, Name: d.Name, TimeZone: d.TimeZone})
		}
	}
	x.takePlace(p.event, at.Slot, "")
	x.IsInterpreted = p.event.interprets(p.people.registration(at.A), p.people.registration(at.B))
	x.agree(at.Slot, p.now)
}

// delegate is the delegate of a participant by whom a seat was filled; nil
// where they come no more.
func (p *publisher) delegate(member ID, person string) *Delegate {
	i, ok := p.people.number[member]
	if !ok {
		return nil
	}
	k := slices.Index(p.people.persons[i], person)
	if k < 0 {
		return nil
	}
	return &p.people.Participants[i].Registration.Delegates[k]
}

// takenBy says of a claim that another meeting holds what it is about.
func (p *publisher) takenBy(at Placement, claim string) (GapCode, ID) {
	switch {
	case strings.HasPrefix(claim, "table:"):
		return GapTableTaken, ""
	case strings.HasPrefix(claim, "pair:"):
		return GapMeetAlready, ""
	case isInterpreter(claim):
		return GapInterpreter, ""
	}
	of, _, _ := strings.Cut(claim, "@")
	for i, who := range []ID{at.A, at.B} {
		if d := p.delegate(who, []string{at.PersonA, at.PersonB}[i]); d != nil && (of == "user:"+string(d.User) || d.User == "" &&
			of == "person:"+hashed([]string{at.PersonA, at.PersonB}[i])[:26]) {
			return GapPersonTaken, who
		}
	}
	return GapPersonTaken, ""
}

// lift lets go of the place of a meeting that is to be elsewhere.
func (p *publisher) lift(ctx context.Context, id ID) error {
	_, err := update(ctx, p.Market, MayKeepTimetables, id, 0, func(x *Meeting) error {
		if x.isLifted() || !x.canUnplace(p.now) || x.isAs(p.want[id]) {
			return errUnchanged
		}
		x.mark(unmarked, "")
		x.setLifted(true)
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// putBack leaves a meeting that found no place where it was; it is cancelled
// where that is taken as well.
func (p *publisher) putBack(ctx context.Context, id ID) error {
	_, err := update(ctx, p.Market, MayKeepTimetables, id, 0, func(x *Meeting) error {
		if !x.isLifted() {
			return errUnchanged
		}
		x.mark(unmarked, "")
		x.setLifted(false)
		return nil
	})
	if wrong, ok := errors.AsType[*InvalidError](err); ok && wrong.claim != "" {
		return p.cancel(ctx, id)
	}
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// end notes what has become of the publication.
func (p *publisher) end(ctx context.Context, status PublicationStatus) error {
	_, err := update(ctx, p.Market, MayKeepTimetables, p.publication.ID, 0, func(x *Publication) error {
		if x.Status != PublicationUnderWay {
			return errUnchanged
		}
		x.mark(unmarked, "")
		x.Status, x.DoneAt = status, new(p.now)
		x.Meetings, x.New, x.Moved, x.Cancelled = 0, 0, 0, 0
		for id, o := range p.have {
			if _, ok := p.want[id]; ok && slices.Contains(bookedMeetings, o.Status) {
				x.Meetings++
			}
			if o.Timetabled.Publication == x.Number {
				*map[string]*int{placedNew: &x.New, placedElse: &x.Moved, placedNot: &x.Cancelled}[o.Timetabled.Change]++
			}
		}
		x.Gaps = nil
		for _, g := range p.gaps {
			x.Gaps = append(x.Gaps, g)
		}
		slices.SortFunc(x.Gaps, func(a, b Gap) int {
			return comparePlacements(Placement{A: a.A, B: a.B, Slot: a.Slot}, Placement{A: b.A, B: b.B, Slot: b.Slot})
		})
		x.Gaps = x.Gaps[:min(len(x.Gaps), maxGaps)]
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}
