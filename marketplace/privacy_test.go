package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What differs from world to world by chance: ids and places in lists.
var unheardChance = regexp.MustCompile(`([a-z]+)[_-][0-9a-z]{26}|Cursor":"[^"]*"`)

// A quietWorld is an event at which the company k1 asks the city c2 for a
// meeting about the proposal of c2, while k2 asks it for another one, and c2
// answers nobody.
type quietWorld struct {
	*hall
	asked *Meeting // nil where k1 asks for nothing
	story map[string][]string
}

// asks: whether k1 asks; never: whether c2 never wants to meet k1.
func newQuietWorld(t *testing.T, asks, never bool) *quietWorld {
	t.Helper()
	w := &quietWorld{hall: newHall(t, 2, 2, nil), story: map[string][]string{}}
	w.must(w.AddTopic(asWorker(context.Background()), &Topic{Meta: Meta{ID: "topic_noise", Slug: "noise"}, Label: en("Noise")}))
	w.must(w.AddProposal(asWorker(context.Background()), &Proposal{Meta: Meta{ID: "proposal_quiet", Slug: "quiet"}, City: "city_c2", Status: ProposalPublished, Stage: "NEED", Funding: "NONE",
		Title: en("Less noise"), Problem: en("It is loud."), Topics: []ID{"topic_noise"}}))
	if never {
		w.wish("c2", "!k1")
	}
	w.phase(EventStartDrafting)
	w.must(w.add("c1", "k1", 1, "T1"))
	w.publish()
	w.letters()
	w.tell("before")
	if asks {
		w.asked = w.take(w.BookEventMeeting(w.of("k1"), BookEventMeetingInput{Event: w.event, From: "company_k1", To: "city_c2", Slot: *w.slot(2), About: new(ID("proposal_quiet"))}))
		w.try("k1", func(ctx context.Context) error {
			_, err := w.SwapDelegate(ctx, SwapDelegateInput{ID: w.asked.ID, As: new(ID("company_k1")), People: []string{"user_k1"}})
			return err
		})
		w.try("k1", func(ctx context.Context) error {
			_, err := w.RescheduleMeeting(ctx, RescheduleMeetingInput{ID: w.asked.ID, Times: w.asked.Times})
			return err
		})
		w.try("k1", func(ctx context.Context) error {
			_, err := w.StartMeeting(ctx, RunMeetingInput{ID: w.asked.ID})
			return err
		})
		w.try("off", func(ctx context.Context) error {
			_, err := w.SwapDelegate(ctx, SwapDelegateInput{ID: w.asked.ID, As: new(ID("city_c2")), People: []string{"user_c2"}})
			return err
		})
		w.try("off", func(ctx context.Context) error {
			_, err := w.MoveEventMeeting(ctx, MoveEventMeetingInput{ID: w.asked.ID, Slot: w.slot(3)})
			return err
		})
		w.try("off", func(ctx context.Context) error {
			_, err := w.ReportNoShow(ctx, ReportNoShowInput{RunMeetingInput: RunMeetingInput{ID: w.asked.ID, As: new(ID("city_c2"))}})
			return err
		})
		for _, who := range []string{"k1", "off"} {
			w.try(who, func(ctx context.Context) error {
				list, err := w.CommonTimes(ctx, CommonTimesInput{For: new(ID("company_k1")), With: "city_c2", Minutes: 15, Meeting: &w.asked.ID})
				w.says(who, "common times", list, err)
				return err
			})
		}
		_, err := w.SetMeetingPlace(w.of("k1"), SetMeetingPlaceInput{ID: w.asked.ID, Content: Patch{"link": "https://example.org/room"}})
		w.must(err)
		w.time = w.time.Add(time.Minute)
		for range maxPendingMeetings {
			w.try("k1", func(context.Context) error { _, err := w.ask("k1", "c2", 3); return err })
		}
	}
	w.time = newsDay.Add(time.Hour)
	w.take(w.ask("k2", "c2", 4))
	w.tell("asked")
	w.time = *w.slot(4)
	w.tell("expired")
	return w
}

func (w *quietWorld) reader(who string) context.Context {
	if who == "off" {
		return w.officer()
	}
	return w.of(who)
}

func (w *quietWorld) try(who string, do func(context.Context) error) {
	w.says(who, "tried", fmt.Sprint(do(w.reader(who))), nil)
}

func (w *quietWorld) says(who, what string, value any, err error) {
	w.t.Helper()
	j, broken := json.Marshal(value)
	w.must(broken)
	text := string(j)
	if err != nil {
		text = err.Error()
	}
	w.story[who] = append(w.story[who], unheardChance.ReplaceAllString(what+": "+text, "$1"))
}

// A seenMeeting is what can be seen of a meeting.
func (w *quietWorld) seenMeeting(ctx context.Context, x *Meeting) any {
	return []any{x.From, x.To, x.Status, x.Times, x.ExpiresAt, x.Table, x.Reason, x.AnsweredAt, x.Message, x.Version(), x.UpdatedAt, w.MeetingPermissions(ctx, x), x.FromSide().People(), x.ToSide().People()}
}

// tell writes down all that everybody can see of meetings at a moment.
func (w *quietWorld) tell(when string) {
	w.t.Helper()
	told := w.letters()
	for _, who := range append([]string{"off"}, w.names...) {
		ctx := w.reader(who)
		says := func(what string, value any, err error) { w.t.Helper(); w.says(who, when+" "+what, value, err) }
		var own []string
		for _, s := range told {
			if strings.HasPrefix(s, who+" ") {
				own = append(own, s)
			}
		}
		says("told", own, nil)
		members := []ID{"city_c2", "company_k1"}
		list := func(what string, of ID, as *ID) {
			what += " "
			for _, first := range []int{1, 20} {
				p, err := w.Meetings(ctx, of, MeetingFilter{As: as}, false, Slice{First: &first})
				if err != nil {
					says(what, nil, err)
					continue
				}
				var seen []any
				for _, x := range p.Nodes() {
					seen = append(seen, w.seenMeeting(ctx, x))
				}
				says(fmt.Sprint(what, first), []any{seen, p.PageInfo.HasNextPage, p.PageInfo.HasPreviousPage, p.PageInfo.StartCursor != nil}, nil)
				var backward []ID
				p, err = w.Meetings(ctx, of, MeetingFilter{As: as}, false, Slice{Last: &first})
				w.must(err)
				for _, x := range p.Nodes() {
					backward = append(backward, x.From, x.To)
				}
				says(fmt.Sprint(what, "last", first), []any{backward, p.PageInfo.HasPreviousPage, p.PageInfo.HasNextPage}, nil)
			}
		}
		for _, of := range append(members, w.event, "proposal_quiet") {
			list("meetings of "+string(of), of, nil)
			list("meetings of c2 about "+string(of), of, &members[0])
		}
		if w.asked != nil {
			x, err := w.Meeting(ctx, w.asked.ID)
			if err == nil {
				says("meeting", w.seenMeeting(ctx, x), nil)
			} else {
				says("meeting", nil, err)
			}
		}
		for _, of := range []*ID{nil, &members[0], &members[1], new(ID("user_k1"))} {
			var log, pages []string
			p, err := w.AuditLog(ctx, of, Slice{First: new(3)})
			for err == nil {
				for _, e := range p.Nodes() {
					log = append(log, fmt.Sprint(e.Subject.Kind(), e.Action, e.Note, e.By, e.At))
				}
				if !p.PageInfo.HasNextPage {
					break
				}
				pages = append(pages, fmt.Sprint(len(p.Nodes())))
				p, err = w.AuditLog(ctx, of, Slice{First: new(3), After: p.PageInfo.EndCursor})
			}
			slices.Sort(log) // what was done at the same moment comes in any order
			says("log", []any{log, pages}, err)
		}
		for _, of := range []*ID{nil, &members[0], &members[1]} {
			month := monthOf(w.time)
			s, err := w.Statistics(ctx, StatisticsInput{Member: of, From: month, To: month})
			says("statistics", s, err)
			r, err := w.EventReport(ctx, w.event, of)
			says("report", r, err)
		}
		for _, of := range members {
			e, err := w.ExportMember(ctx, of)
			var out strings.Builder
			if err == nil {
				_, err = e.WriteNDJSON(&out)
			}
			says("export", out.String(), err)
		}
		r, err := w.Proposal(ctx, "proposal_quiet")
		w.must(err)
		tally, err := w.MeetingTally(ctx, r)
		if err == nil {
			says("tally", []any{tally.VisiblePending(ctx), tally.Agreed, tally.Held, tally.Missed, tally.Outcomes}, nil)
		} else {
			says("tally", nil, err)
		}
		p, err := w.Notifications(ctx, nil, Slice{First: new(100)})
		w.must(err)
		var events []string
		for _, n := range p.Nodes() {
			events = append(events, fmt.Sprint(n.CreatedAt, n.Event, n.Subject, n.Member, n.Note))
		}
		slices.Sort(events)
		says("notifications", events, nil)
	}
	// Matches judge by it, which anybody can look for.
	all, err := w.conductsOf(asWorker(context.Background()), []ID{"city_c2", "company_k1"})
	w.must(err)
	for _, c := range all {
		c.Meta = Meta{}
	}
	w.says("matches", when, all, nil)
	w.conducts.forget("city_c2")
	w.time = w.time.Add(time.Minute) // so that nothing is asked for too often
}

func (w *quietWorld) as(who string) string { return strings.Join(w.story[who], "\n") }

// That somebody never wants to meet the one that asks can be told by nobody
// from what is there to see: to the side that asks, the secretariat and all
// others it is as if nobody answered, and to the side that is asked as if
// nobody had asked.
func TestNothingTellsARequestThatIsNotHeard(t *testing.T) {
	t.Parallel()
	never, ordinary, silent := newQuietWorld(t, true, true), newQuietWorld(t, true, false), newQuietWorld(t, false, true)
	differ := func(who string, a, b *quietWorld) {
		t.Helper()
		for i, line := range a.story[who] {
			if i >= len(b.story[who]) || line != b.story[who][i] {
				other := "nothing"
				if i < len(b.story[who]) {
					other = b.story[who][i]
				}
				t.Errorf("%s sees\n%s\nin place of\n%s", who, line, other)
			}
		}
	}
	for _, who := range []string{"k1", "k2", "c1", "off", "matches"} {
		differ(who, never, ordinary)
	}
	heard := never.as("c2")
	if strings.Contains(heard, "company_k1") && !strings.Contains(silent.as("c2"), "company_k1") {
		t.Error("the side that is asked sees who asks")
	}
	var without []string
	for _, line := range never.story["c2"] {
		if !strings.Contains(line, " meeting: ") { // of its id
			without = append(without, line)
		} else if !strings.Contains(line, ErrNotFound.Error()) {
			t.Errorf("the side that is asked sees it: %s", line)
		}
	}
	never.story["c2"] = without
	differ("c2", never, silent)
	if _, err := never.AcceptMeeting(never.of("c2"), AcceptMeetingInput{ID: never.asked.ID, Time: *never.slot(2)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("accepted by the side that does not see it: %v", err)
	}
}

// Never is absolute, also where it is said after the two have agreed on a
// meeting: it is not moved, and does not outlast the next timetable. Nobody is
// told anything that is not told of other meetings, too.
func TestNeverEndsWhatWasAgreedBefore(t *testing.T) {
	t.Parallel()
	h := openHall(t, 2, 2, nil)
	x := h.take(h.ask("k2", "c1", 2))
	x = h.take(h.agree("c1", x))
	y := h.take(h.ask("k2", "c2", 4))
	same(t, "agreed", h.agenda(), []string{"1 c1-k1 T1", "2 k2-c1 " + x.Table})
	h.phase(EventRevise)
	h.phase(EventOpenWishes)
	h.wish("k2", "!c1 !c2")
	h.phase(EventClose)
	h.phase(EventReopen)
	if _, err := h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: x.ID, Slot: h.slot(5)}); complains(err) != "id NOT_POSSIBLE" {
		t.Errorf("moved: %v", err)
	}
	_, err := h.agree("c2", y)
	if complains(err) != "time NOBODY_FREE" || !strings.Contains(err.Error(), "K2 has nobody who is free then") {
		t.Errorf("accepted: %v", err)
	}
	h.letters()
	h.publish()
	same(t, "told", h.letters(), []string{"c1 meeting.CALL_OFF", "k2 meeting.CALL_OFF"})
	same(t, "after a publication", h.agenda(), []string{"1 c1-k1 T1"})
}

// What is seen of other participants is who they are: not by what address
// their people are known, nor how many meetings they want.
func TestWhatParticipantsSeeOfOneAnother(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, nil)
	r, err := h.RegistrationOf(h.officer(), h.event, "city_c1")
	h.must(err)
	_, err = h.EditRegistration(h.of("c1"), EditRegistrationInput{ID: r.ID, Content: Patch{"maximum": 1, "delegates": []any{map[string]any{"name": "Ada", "email": "ada@private.example"}, map[string]any{"name": "Bo", "user": "user_c1"}}}})
	h.must(err)
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.publish()
	for who, private := range map[string]bool{"k1": true, "c1": false} {
		e, err := h.ExportMember(h.of(who), memberNamed(who))
		h.must(err)
		var out strings.Builder
		_, err = e.WriteNDJSON(&out)
		h.must(err)
		if !strings.Contains(out.String(), `"Ada"`) || strings.Contains(out.String(), "ada@private.example") == private {
			t.Errorf("%s exports %s", who, out.String())
		}
	}
	_, err = h.ask("k2", "c1", 2)
	if complains(err) != "to OVER_MAXIMUM" || !strings.Contains(err.Error(), "C1 has as many meetings as it wants") {
		t.Errorf("told of others: %v", err)
	}
	_, err = h.ask("c1", "k2", 2)
	if complains(err) != "to OVER_MAXIMUM" || !strings.Contains(err.Error(), "C1 has the 1 meetings") {
		t.Errorf("told of itself: %v", err)
	}
	// Delegates say of themselves that they have come, others do of all.
	viewer := WithViewer(context.Background(), Viewer{Actor: Actor{User: "user_c1", Memberships: []Membership{{Member: "city_c1", Role: RoleViewer}}}})
	if _, err := h.CheckIn(viewer, CheckInInput{ID: r.ID, Delegate: "ada@private.example"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a delegate speaks for another one: %v", err)
	}
	for ctx, who := range map[context.Context]string{viewer: "user_c1", h.officer(): "ada@private.example"} {
		_, err = h.CheckIn(ctx, CheckInInput{ID: r.ID, Delegate: who})
		h.must(err)
	}
}

// Where others meet online is not for everybody who reads about an event: a
// room's address is for the secretariat and whose room it is, and for those
// who meet there; that of a session for members.
func TestWhoSeesWhereToGoOnline(t *testing.T) {
	t.Parallel()
	room := "https://meet.example/room"
	h := newHall(t, 1, 1, Patch{"format": "ONLINE",
		"tables":   []any{map[string]any{"name": "T1", "link": room}, map[string]any{"name": "Own", "link": room, "member": "company_k1"}},
		"sessions": []any{map[string]any{"kind": "PLENARY", "title": en("Opening"), "start": "2026-03-09T08:00", "end": "2026-03-09T08:30", "link": room}}})
	e, err := h.Event(h.officer(), h.event)
	h.must(err)
	visitor := WithViewer(context.Background(), Viewer{})
	for i, c := range []struct {
		ctx                context.Context
		table, own, opened bool
	}{{visitor, false, false, false}, {h.of("c1"), false, false, true}, {h.of("k1"), false, true, true}, {h.officer(), true, true, true}} {
		table, own, opened := e.Tables[0].VisibleLink(c.ctx), e.Tables[1].VisibleLink(c.ctx), e.Sessions[0].VisibleLink(c.ctx)
		if (table != nil) != c.table || (own != nil) != c.own || (opened != nil) != c.opened {
			t.Errorf("%d: %v %v %v", i, table, own, opened)
		}
	}
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "Own"))
	h.publish()
	r, err := h.RegistrationOf(h.of("c1"), h.event, "city_c1")
	h.must(err)
	items, err := h.Agenda(h.of("c1"), r, nil)
	h.must(err)
	for _, x := range items {
		if x.Link() == nil || *x.Link() != room {
			t.Errorf("who meets there does not see where: %+v", x)
		}
	}
	if len(items) != 2 {
		t.Errorf("%+v", items)
	}
}
