package marketplace

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every step of a meeting, told as a story: what is done, by whom, and who is
// told by letter.
func TestWhoIsToldOfAMeeting(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var x *Meeting
	known := map[ID]bool{}
	n.news(known)
	done := map[string]bool{}
	reason := new("since")
	now := func(hours float64) func() error {
		return func() error { n.time = n.at(hours); return nil }
	}
	for _, step := range []struct {
		what string
		do   func() error
		told string
	}{
		{"meeting.REQUEST", func() error { x = n.ask(72); return nil }, "meeting.REQUEST: ann eve"},
		{"meeting.COUNTER", func() (err error) {
			x, err = n.CounterMeeting(n.as("eve"), CounterMeetingInput{ID: x.ID, Times: []time.Time{n.at(100)}})
			return err
		}, "meeting.COUNTER: odd"},
		{"meeting.ACCEPT, which is put into both calendars", func() error { x = n.accept("odd", x, 100, "user_odd", "user_otto"); return nil }, "meeting.ACCEPT: eve odd otto"},
		{"meeting.RESCHEDULE", func() error {
			return second(n.RescheduleMeeting(n.as("odd"), RescheduleMeetingInput{ID: x.ID, Times: []time.Time{n.at(124)}}))
		}, "meeting.RESCHEDULE: eve"},
		{"meeting.KEEP", func() error { return second(n.DeclineMeeting(n.as("eve"), DeclineMeetingInput{ID: x.ID})) }, "meeting.KEEP: odd otto"},
		{"meeting.SET_PEOPLE", func() error {
			return second(n.SetMeetingPeople(n.as("olga"), SetMeetingPeopleInput{ID: x.ID, People: []ID{"user_odd", "user_olga"}}))
		}, "meeting.LEAVE: otto; meeting.SET_PEOPLE: eve odd olga"},
		{"meeting.SET_PLACE", func() error {
			return second(n.SetMeetingPlace(n.as("eve"), SetMeetingPlaceInput{ID: x.ID, Content: Patch{"format": "ON_SITE", "place": en("The town hall")}}))
		}, "meeting.SET_PLACE: eve odd olga"},
		{"meeting.REMIND a day before", now(76), "meeting.REMIND: eve odd olga"},
		{"meeting.REMIND nobody in between", now(90), ""},
		{"meeting.REMIND an hour before", now(99), "meeting.REMIND: eve odd olga"},
		{"meeting.ASK not yet", now(100.25), ""},
		{"meeting.RECORD_OUTCOME", func() error {
			return second(n.RecordOutcome(n.as("odd"), RecordOutcomeInput{ID: x.ID, What: OutcomeAgreed}))
		}, "meeting.RECORD_OUTCOME: eve"},
		{"meeting.RECORD_OUTCOME otherwise, of which nobody is told again", func() error {
			return second(n.RecordOutcome(n.as("odd"), RecordOutcomeInput{ID: x.ID, What: OutcomePossible}))
		}, ""},
		{"meeting.ASK the side that has said nothing", now(100.5), "meeting.ASK: eve"},
		{"meeting.ASK nobody again", now(200), ""},
		{"meeting.REQUEST another one", func() error { x = n.ask(300); return nil }, "meeting.REQUEST: ann eve"},
		{"meeting.DECLINE", func() error {
			return second(n.DeclineMeeting(n.as("ann"), DeclineMeetingInput{ID: x.ID, Reason: reason}))
		}, "meeting.DECLINE: odd"},
		{"meeting.REQUEST by an officer, of which both sides are told", func() (err error) {
			in := n.request(300)
			in.People = []ID{"user_odd"}
			x, err = n.RequestMeeting(n.as("off"), in)
			return err
		}, "meeting.REQUEST: ann eve; meeting.REQUEST_FOR_YOU: odd"},
		{"meeting.CANCEL what was not agreed", func() error {
			return second(n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: reason}))
		}, "meeting.CANCEL: ann eve"},
		{"meeting.MOVE_CLOCKS", func() error {
			x = n.accept("eve", n.ask(300), 300)
			n.news(known)
			n.clocksDue.Store(0)
			return n.agreeByOtherRules(x)
		}, "meeting.MOVE_CLOCKS: eve odd"},
		{"meeting.CANCEL what was agreed, which goes out of both calendars", func() error {
			return second(n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: reason}))
		}, "meeting.CANCEL: eve odd"},
		{"meeting.LAPSE", func() error {
			x = n.accept("eve", n.ask(300), 300)
			n.must(second(n.RescheduleMeeting(n.as("odd"), RescheduleMeetingInput{ID: x.ID, Times: []time.Time{n.at(250)}})))
			n.news(known)
			n.time = n.at(249)
			return nil
		}, "meeting.LAPSE: eve odd"},
		{"meeting.EXPIRE", func() error {
			n.ask(400)
			n.news(known)
			n.time = n.at(399)
			return nil
		}, "meeting.ASK: eve odd; meeting.EXPIRE: ann eve odd"},
	} {
		n.time = n.time.Add(time.Minute)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if got := n.news(known); got != step.told {
			t.Errorf("%s: told %q, want %q", step.what, got, step.told)
		}
		event, _, _ := strings.Cut(step.what, " ")
		done[strings.TrimSuffix(event, ",")] = true
	}
	for event := range rules {
		if strings.HasPrefix(event, "meeting.") && !done[event] && !slices.Contains(toldLive, event) {
			t.Errorf("%s is not in the story", event)
		}
	}
	n.sentences()
}

// Letters say when, by the reader's own clock, and where.
func TestLettersOfMeetings(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.must(second(n.EditUser(n.as("eve"), EditUserInput{Content: Patch{"timeZone": "Asia/Kathmandu"}})))
	x := n.ask(48, 72)
	n.must(n.CatchUp(context.Background()))
	for _, mail := range first(n.box.take()) {
		want := []string{"2026-03-04 12:00 (UTC+00:00)", "https://meet.example/1", "Show us the wall.", "Who takes part: Odd"}
		if mail.To.Name == "Eve" {
			want[0] = "2026-03-04 17:45 (UTC+05:45)"
		}
		for _, s := range want {
			if !strings.Contains(mail.Text, s) {
				t.Errorf("%s: %q is not in %s", mail.To.Name, s, mail.Text)
			}
		}
	}
	n.accept("eve", x, 48)
	n.time = n.at(48.5)
	n.must(n.CatchUp(context.Background()))
	if mails, to := n.box.take(); !slices.Contains(to, "eve@example.org") || !strings.Contains(mails[len(mails)-1].Text, "https://market.example/outcome?") {
		t.Error(mails)
	}
}

func first[A, B any](a A, _ B) A { return a }

// outcomeLinks are the links in the letters that were sent, by the first name of
// their readers.
func (n *newsroom) outcomeLinks() map[string]url.Values {
	n.t.Helper()
	links := map[string]url.Values{}
	for _, mail := range first(n.box.take()) {
		for line := range strings.Lines(mail.Text) {
			if u, err := url.Parse(strings.TrimSpace(line)); err == nil && u.Path == "/outcome" {
				links[mail.To.Name] = u.Query()
			}
		}
	}
	return links
}

// By the link in the letter one says what came of a meeting without signing
// in: for oneself and that meeting alone, as long as one acts for the side.
func TestOutcomesByLetter(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	x := n.accept("eve", n.ask(24), 24)
	other := n.accept("eve", n.ask(25), 25)
	n.time = n.at(26)
	n.must(n.CatchUp(context.Background()))
	links := n.outcomeLinks()
	if len(links) != 2 {
		t.Fatalf("%v", links)
	}
	ctx := context.Background()
	eve := links["Eve"]
	meeting, user, signature := ID(eve.Get("m")), ID(eve.Get("u")), eve.Get("s")
	text, err := n.OutcomeByLink(ctx, user, meeting, signature, "")
	n.must(err)
	before, err := n.Meeting(n.as("eve"), meeting)
	n.must(err)
	if text.Said != "" || len(text.Answers) != 4 || !strings.Contains(text.Ask, "Oslo") || before.Status != MeetingAccepted {
		t.Errorf("looking changed something: %+v %s", text, before.Status)
	}
	text, err = n.OutcomeByLink(ctx, user, meeting, signature, OutcomePossible)
	n.must(err)
	after, err := n.Meeting(n.as("eve"), meeting)
	n.must(err)
	if !strings.Contains(text.Said, "Cooperation is possible") || after.Status != MeetingHeld || after.ToOutcome.By != "user_eve" {
		t.Errorf("%+v %+v", text, after)
	}
	another := x.ID
	if meeting == x.ID {
		another = other.ID
	}
	for what, f := range map[string]func() error{
		"another meeting": func() error { return second(n.OutcomeByLink(ctx, user, another, signature, OutcomeAgreed)) },
		"another user":    func() error { return second(n.OutcomeByLink(ctx, "user_odd", meeting, signature, OutcomeAgreed)) },
		"no signature":    func() error { return second(n.OutcomeByLink(ctx, user, meeting, "", OutcomeAgreed)) },
		"after 90 days": func() error {
			n.time = n.time.Add(91 * 24 * time.Hour)
			defer func() { n.time = n.at(26) }()
			return second(n.OutcomeByLink(ctx, user, meeting, signature, OutcomeAgreed))
		},
	} {
		if err := f(); fmt.Sprint(err) != ErrNotFound.Error() {
			t.Errorf("%s: %v", what, err)
		}
	}
	n.must(second(n.SetRole(n.as("ann"), SetRoleInput{Member: new(ID("company_acme")), User: "user_eve"})))
	if _, err := n.OutcomeByLink(ctx, user, meeting, signature, OutcomeAgreed); fmt.Sprint(err) != ErrNotFound.Error() {
		t.Errorf("after leaving: %v", err)
	}
}

// A jotter is a calendar that notes what it is to write.
type jotter struct{}

func (jotter) WriteCalendar(w io.Writer, c CalendarFile) error {
	e := c.Events[0]
	_, err := fmt.Fprintf(w, "%s %s %d", c.Method, e.UID, e.Sequence)
	return err
}

// Calendars learn with the letters of every change that concerns them, under
// one name and with a number that grows; also those of people who left.
func TestCalendarsComeWithLetters(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.options.Calendar = jotter{}
	x := n.ask(48)
	files := func() string {
		n.must(n.CatchUp(context.Background()))
		var out []string
		for _, m := range first(n.box.take()) {
			for _, a := range m.Attachments {
				out = append(out, m.To.Name+": "+strings.Replace(string(a.Data), string(x.ID)+"@citymarket", "it", 1))
			}
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"asked for", func() error { return nil }, ""},
		{"agreed", func() error {
			return second(n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: x.ID, Time: n.at(48), People: []ID{"user_eve", "user_vic"}}))
		}, "Eve: REQUEST it 1, Odd: REQUEST it 1, Vic: REQUEST it 1"},
		{"to be moved", func() error {
			return second(n.RescheduleMeeting(n.as("odd"), RescheduleMeetingInput{ID: x.ID, Times: []time.Time{n.at(72)}}))
		}, ""},
		{"moved", func() error {
			return second(n.AcceptMeeting(n.as("eve"), AcceptMeetingInput{ID: x.ID, Time: n.at(72)}))
		}, "Eve: REQUEST it 2, Odd: REQUEST it 2, Vic: REQUEST it 2"},
		{"with somebody who has left", func() error {
			n.must(second(n.SetRole(n.as("ann"), SetRoleInput{Member: new(ID("company_acme")), User: "user_vic"})))
			return second(n.SetMeetingPeople(n.as("ann"), SetMeetingPeopleInput{ID: x.ID, People: []ID{"user_ann"}}))
		}, "Ann: REQUEST it 3, Eve: CANCEL it 3, Odd: REQUEST it 3, Vic: CANCEL it 3"},
		{"elsewhere", func() error {
			return second(n.SetMeetingPlace(n.as("odd"), SetMeetingPlaceInput{ID: x.ID, Content: Patch{"link": "https://meet.example/2"}}))
		}, "Ann: REQUEST it 4, Odd: REQUEST it 4"},
		{"cancelled", func() error {
			return second(n.CancelMeeting(n.as("ann"), CancelMeetingInput{ID: x.ID, Reason: new("x")}))
		}, "Ann: CANCEL it 5, Odd: CANCEL it 5"},
	} {
		n.must(step.do())
		if got := files(); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
}
