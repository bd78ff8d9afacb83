package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
)

// plainCalendar writes a calendar such that a test can read it.
type plainCalendar struct{}

func (plainCalendar) WriteCalendar(w io.Writer, c CalendarFile) error {
	return json.NewEncoder(w).Encode(c)
}

func withCalendar(n *newsroom) *newsroom {
	n.options.Calendar, n.options.Organizer = plainCalendar{}, mail.Address{Name: "Market", Address: "market@example.org"}
	return n
}

// feed is what a user's calendar program reads: "CONFIRMED Meeting with Acme 04 12:00".
func (n *newsroom) feed(address string) (string, error) {
	secret := strings.TrimSuffix(strings.TrimPrefix(address, "https://market.example/calendar/"), ".ics")
	b, err := n.ReadCalendarFeed(WithViewer(context.Background(), Viewer{Address: "192.0.2.1"}), secret)
	if err != nil {
		return "", err
	}
	var c CalendarFile
	n.must(json.Unmarshal(b, &c))
	var out []string
	for _, e := range c.Events {
		if c.Method != CalendarPublish || len(e.Attendees) > 0 || e.Organizer.Address != "market@example.org" {
			n.t.Errorf("%+v", c)
		}
		out = append(out, fmt.Sprintf("%s %s %s", e.Status, e.Summary, e.Start.Format("02 15:04")))
	}
	return strings.Join(out, "; "), nil
}

func TestAFeedOfMeetings(t *testing.T) {
	t.Parallel()
	n := withCalendar(newNewsroom(t))
	f, address, err := n.MakeCalendarFeed(n.as("eve"))
	n.must(err)
	if f.Hash == "" || strings.Contains(address, f.Hash) {
		t.Error("the secret itself is kept")
	}
	reads := func(when, address, want string) {
		t.Helper()
		if got, err := n.feed(address); err != nil || got != want {
			t.Errorf("%s: %q %v", when, got, err)
		}
	}
	gone := func(when, address string) {
		t.Helper()
		if got, err := n.feed(address); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %q %v", when, got, err)
		}
	}
	reads("at first", address, "")
	first, second := n.ask(48), n.ask(72)
	reads("a request", address, "")
	n.accept("eve", first, 48)
	second = n.accept("eve", second, 72)
	reads("agreed", address, "CONFIRMED Meeting with Oslo 04 12:00; CONFIRMED Meeting with Oslo 05 12:00")
	_, odds, err := n.MakeCalendarFeed(n.as("odd"))
	n.must(err)
	reads("of the other side", odds, "CONFIRMED Meeting with Acme 04 12:00; CONFIRMED Meeting with Acme 05 12:00")
	_, anns, err := n.MakeCalendarFeed(n.as("ann"))
	n.must(err)
	reads("of who takes no part", anns, "")
	_, err = n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: second.ID, Reason: new("Budget")})
	n.must(err)
	reads("cancelled", address, "CONFIRMED Meeting with Oslo 04 12:00; CANCELLED Meeting with Oslo 05 12:00")
	n.must(justErr(n.EditUser(n.as("eve"), EditUserInput{Content: Patch{"languages": []string{"es"}}})))
	reads("in Spanish", address, "CONFIRMED Reunión con Oslo 04 12:00; CANCELLED Reunión con Oslo 05 12:00")
	n.time = n.at(48 + 30*24 - 1)
	reads("29 days after it, and 31 after the other was cancelled", address, "CONFIRMED Reunión con Oslo 04 12:00")
	n.time = n.at(48 + 30*24 + 1)
	reads("31 days after it", address, "")

	n.must(justErr(n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_eve", Suspended: true})))
	gone("suspended", address)
	n.must(justErr(n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_eve"})))
	reads("restored", address, "")
	_, other, err := n.MakeCalendarFeed(n.as("eve"))
	n.must(err)
	gone("made anew", address)
	reads("the new one", other, "")
	n.must(n.RevokeCalendarFeed(n.as("eve")))
	gone("revoked", other)
	n.must(n.RevokeCalendarFeed(n.as("eve")))
	n.must(n.RevokeCalendarFeed(n.as("otto"))) // who never had one
	if f, err := n.CalendarFeed(n.as("eve")); f != nil || err != nil {
		t.Error(f, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", secretLength), f.Hash} {
		gone("guessed", "https://market.example/calendar/"+bad+".ics")
	}
	_, _, err = n.MakeCalendarFeed(WithViewer(context.Background(), Viewer{}))
	if !errors.Is(err, ErrForbidden) {
		t.Error("a visitor:", err)
	}
	_, _, err = n.MakeCalendarFeed(WithViewer(context.Background(), Viewer{Actor: Actor{User: "user_eve", Via: "token_x"}}))
	if !errors.Is(err, ErrForbidden) {
		t.Error("a token:", err)
	}
}

func justErr[T any](_ T, err error) error { return err }

// A feed can be read often, but not all the time; guessing ends soon.
func TestFeedsAreNotReadAllTheTime(t *testing.T) {
	t.Parallel()
	n := withCalendar(newNewsroom(t))
	_, address, err := n.MakeCalendarFeed(n.as("eve"))
	n.must(err)
	for i := range 31 {
		if _, err = n.feed(address); i < 30 && err != nil {
			t.Fatal(i, err)
		}
	}
	if !errors.Is(err, ErrRateLimited) {
		t.Error(err)
	}
	for range 31 {
		_, err = n.feed("x")
	}
	if !errors.Is(err, ErrRateLimited) {
		t.Error(err)
	}
}

// A letter brings the file by which calendars learn of a meeting, with nobody
// but its reader in it.
func TestLettersBringCalendars(t *testing.T) {
	t.Parallel()
	n := withCalendar(newNewsroom(t))
	sent := func() string {
		t.Helper()
		n.must(n.CatchUp(context.Background()))
		mails, _ := n.box.take()
		var out []string
		for _, m := range mails {
			for _, a := range m.Attachments {
				var c CalendarFile
				n.must(json.Unmarshal(a.Data, &c))
				e := c.Events[0]
				if len(c.Events) != 1 || len(e.Attendees) != 1 || e.Attendees[0].Address != m.To.Address || !strings.HasSuffix(a.Type, "method="+string(c.Method)) || !strings.HasPrefix(e.UID, "meeting_") {
					t.Errorf("%+v", c)
				}
				if others := strings.Count(string(a.Data), "@example.org"); others != 2 { // the reader and the organizer
					t.Errorf("%d addresses in %s", others, a.Data)
				}
				out = append(out, fmt.Sprintf("%s %s %d %s", m.To.Name, c.Method, e.Sequence, e.Summary))
			}
		}
		// Letters are sent side by side.
		slices.Sort(out)
		return strings.Join(out, "; ")
	}
	x := n.ask(48)
	if got := sent(); got != "" {
		t.Errorf("a request: %s", got)
	}
	n.accept("eve", x, 48)
	if got := sent(); got != "Eve REQUEST 1 Meeting with Oslo; Odd REQUEST 1 Meeting with Acme" {
		t.Error(got)
	}
	n.must(justErr(n.SetMeetingPeople(n.as("eve"), SetMeetingPeopleInput{ID: x.ID, People: []ID{"user_vic"}})))
	if got := sent(); got != "Eve CANCEL 2 Meeting with Oslo; Odd REQUEST 2 Meeting with Acme; Vic REQUEST 2 Meeting with Oslo" {
		t.Error(got)
	}
	n.must(justErr(n.CancelMeeting(n.as("odd"), CancelMeetingInput{ID: x.ID, Reason: new("Budget")})))
	if got := sent(); got != "Odd CANCEL 3 Meeting with Acme; Vic CANCEL 3 Meeting with Oslo" {
		t.Error(got)
	}
}

// The file of one meeting is for those who may read the meeting.
func TestTheFileOfAMeeting(t *testing.T) {
	t.Parallel()
	n := withCalendar(newNewsroom(t))
	x := n.ask(48)
	if _, err := n.MeetingCalendar(n.as("eve"), x.ID); !errors.Is(err, ErrNotFound) {
		t.Error("no time was agreed:", err)
	}
	n.accept("eve", x, 48)
	for name, ok := range map[string]bool{"eve": true, "ann": true, "odd": true, "off": true, "luis": false} {
		if b, err := n.MeetingCalendar(n.as(name), x.ID); (err == nil) != ok || ok && !strings.Contains(string(b), `Oslo: 2026-03-04 13:00 (UTC+01:00)\nAcme: 2026-03-04 13:00 (UTC+01:00)\n\nShow us the wall.`) {
			t.Errorf("%s: %s %v", name, b, err)
		}
	}
	if _, err := n.MeetingCalendar(WithViewer(context.Background(), Viewer{}), x.ID); !errors.Is(err, ErrNotFound) {
		t.Error("a visitor:", err)
	}
}

// agreeByOtherRules makes a meeting one that was agreed when clocks were an
// hour further on the side that asked.
func (n *newsroom) agreeByOtherRules(x *Meeting) error {
	return justErr(update(asWorker(context.Background()), n.Market, MayKeepMeetings, x.ID, 0, func(x *Meeting) error {
		x.mark(unmarked, "")
		x.FromClock.Offset += 3600
		return nil
	}))
}

// When the rules of a zone change before a meeting, its moment stays, and both
// sides are told once that clocks will show another time.
func TestClocksMoveBeforeAMeeting(t *testing.T) {
	t.Parallel()
	n := withCalendar(newNewsroom(t))
	known := map[ID]bool{}
	x := n.accept("eve", n.ask(72), 72)
	if *x.FromClock != (AgreedClock{TimeZone: "Europe/Oslo", Offset: 3600}) || *x.ToClock != *x.FromClock {
		t.Fatal(x.FromClock, x.ToClock)
	}
	n.news(known)
	n.must(n.agreeByOtherRules(x))
	if got := n.news(known); got != "" {
		t.Error("the rules are looked at once a day:", got)
	}
	n.time = n.at(25)
	if got := n.news(known); got != "meeting.MOVE_CLOCKS: eve odd" {
		t.Error(got)
	}
	n.time = n.at(71)
	if got := n.news(known); strings.Contains(got, "CLOCKS") {
		t.Error("told twice:", got)
	}
	again, err := n.Meeting(n.as("eve"), x.ID)
	n.must(err)
	if !again.At.Equal(*x.At) || again.FromSide().ClockMovedMinutes() != -60 || again.ToSide().ClockMovedMinutes() != 0 {
		t.Errorf("%+v", again)
	}
}

// Where two members can meet, by the rights of who asks.
func TestCommonTimesOfMembers(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	times := func(who string, in CommonTimesInput) string {
		t.Helper()
		if in.Minutes == 0 {
			in.Minutes = 60
		}
		if in.First == nil {
			in.First = new(3)
		}
		list, err := n.CommonTimes(n.as(who), in)
		if err != nil {
			return complains(err)
		}
		var out []string
		for _, x := range list {
			s := x.At.Format("02 15:04")
			if x.IsOutsideHours {
				s += " outside"
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	}
	acme := CommonTimesInput{With: "company_acme"}
	// From Monday at noon: a day's notice, and 9 in Oslo is 8 UTC.
	if got := times("odd", acme); got != "03 12:00, 03 13:00, 03 14:00" {
		t.Error(got)
	}
	n.must(justErr(n.SetAvailability(n.as("eve"), SetAvailabilityInput{Of: new(ID("company_acme")), Content: Patch{
		"timeZone": "Asia/Kathmandu", "hours": []any{map[string]any{"day": "WEDNESDAY", "spans": []any{map[string]any{"from": "13:00", "until": "17:00"}}}}}})))
	if got := times("odd", acme); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error(got)
	}
	n.must(justErr(n.SetAvailability(n.as("odd"), SetAvailabilityInput{Content: Patch{"exceptions": []any{map[string]any{"first": "2026-03-01", "last": "2026-03-10", "spans": []any{}}}}})))
	if got := times("odd", acme); got != "11 08:00, 11 09:00, 11 10:00" {
		t.Error("on leave:", got)
	}
	if got := times("olga", acme); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error("somebody else is not:", got)
	}
	if got := times("olga", CommonTimesInput{With: "company_acme", People: []ID{"user_odd"}}); got != "11 08:00, 11 09:00, 11 10:00" {
		t.Error("on behalf of who is:", got)
	}
	// A meeting takes the time of its people, and of nobody else.
	in := n.request(44.25)
	x, err := n.RequestMeeting(n.as("olga"), in)
	n.must(err)
	if got := times("olga", acme); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error("a request takes no time:", got)
	}
	x = n.accept("eve", x, 44.25)
	if got := times("olga", acme); got != "04 08:45, 04 09:45, 11 08:00" {
		t.Error(got)
	}
	if got := times("olga", CommonTimesInput{With: "company_acme", People: []ID{}}); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error(got)
	}
	n.must(justErr(n.SetAvailability(n.as("olga"), SetAvailabilityInput{Content: Patch{"bufferAfter": 30}})))
	if got := times("olga", acme); got != "04 09:15, 04 10:15, 11 08:00" {
		t.Error("with a pause:", got)
	}
	// Of another meeting those whom both sides have named are looked at, too.
	y, err := n.RequestMeeting(n.as("luis"), RequestMeetingInput{From: "city_lima", To: "company_acme", Content: in.Content})
	n.must(err)
	n.must(justErr(n.CounterMeeting(n.as("eve"), CounterMeetingInput{ID: y.ID, Times: []time.Time{n.at(45)}})))
	if got := times("luis", CommonTimesInput{With: "company_acme"}); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error("a company is not busy:", got)
	}
	if got := times("luis", CommonTimesInput{With: "company_acme", Meeting: &y.ID}); got != "04 08:45, 04 09:45, 11 08:00" {
		t.Error("eve is:", got)
	}
	if got := times("olga", CommonTimesInput{With: "company_acme", Meeting: &x.ID}); got != "04 08:00, 04 09:00, 04 10:00" {
		t.Error("a meeting stands in its own way:", got)
	}
	for name, c := range map[string]struct {
		who, want string
		in        CommonTimesInput
	}{
		"a colleague of nobody":     {"odd", "people[0] NOT_FOUND", CommonTimesInput{With: "company_acme", People: []ID{"user_eve"}}},
		"a meeting of others":       {"odd", "meeting NOT_FOUND", CommonTimesInput{With: "company_acme", Meeting: &y.ID}},
		"for another member":        {"odd", "you may not look for times on behalf of this member", CommonTimesInput{With: "company_acme", For: new(ID("city_lima"))}},
		"for oneself":               {"odd", "with INVALID", CommonTimesInput{With: "city_oslo"}},
		"for no member":             {"off", "for REQUIRED", CommonTimesInput{With: "city_oslo"}},
		"with nobody":               {"odd", "with NOT_FOUND", CommonTimesInput{With: "city_nowhere"}},
		"with a user":               {"odd", "with INVALID", CommonTimesInput{With: "user_eve"}},
		"of 20 minutes":             {"odd", "minutes OUT_OF_RANGE", CommonTimesInput{With: "company_acme", Minutes: 20}},
		"21 of them":                {"odd", "first OUT_OF_RANGE", CommonTimesInput{With: "company_acme", First: new(21)}},
		"in 61 days":                {"odd", "until OUT_OF_RANGE", CommonTimesInput{With: "company_acme", Until: new(n.at(61 * 24))}},
		"an officer, of any pair":   {"off", "04 08:00, 04 09:00, 04 10:00", CommonTimesInput{With: "company_acme", For: new(ID("city_oslo"))}},
		"an officer, of any people": {"off", "11 08:00", CommonTimesInput{With: "company_acme", For: new(ID("city_oslo")), People: []ID{"user_odd"}, First: new(1)}},
	} {
		if got := times(c.who, c.in); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Who sees and says when somebody can meet.
func TestWhoSeesHours(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	content := Patch{"noticeHours": 2}
	try := func(err error) string {
		switch {
		case err == nil:
			return "ok"
		case errors.Is(err, ErrForbidden):
			return "forbidden"
		case errors.Is(err, ErrNotFound):
			return "not found"
		}
		return err.Error()
	}
	for _, of := range []ID{"company_acme", "user_eve"} {
		for _, c := range []struct{ who, sees, sets string }{
			{"eve", "ok", "ok"}, {"ann", "ok", "ok forbidden"}, {"vic", "ok", "forbidden"}, {"odd", "ok not-found", "forbidden not-found"},
			{"off", "ok", "forbidden"}, {"adm", "ok", "forbidden"},
		} {
			pick := func(s string) string {
				if member, user, two := strings.Cut(s, " "); two && of == "user_eve" {
					return strings.ReplaceAll(user, "-", " ")
				} else {
					return strings.ReplaceAll(member, "-", " ")
				}
			}
			if got := try(justErr(n.AvailabilityOf(n.as(c.who), of))); got != pick(c.sees) {
				t.Errorf("%s sees %s: %s", c.who, of, got)
			}
			if got := try(justErr(n.SetAvailability(n.as(c.who), SetAvailabilityInput{Of: &of, Content: content}))); got != pick(c.sets) {
				t.Errorf("%s sets %s: %s", c.who, of, got)
			}
		}
		visitor := WithViewer(context.Background(), Viewer{})
		if got := try(justErr(n.AvailabilityOf(visitor, of))); got != "not found" {
			t.Error("a visitor sees", of, got)
		}
	}
	a, err := n.AvailabilityOf(n.as("luis"), "company_acme")
	n.must(err)
	if a.TimeZone != "Europe/Oslo" || !a.IsZoneAssumed() || len(a.Hours) != 5 || *a.NoticeHours != 2 || a.CanEdit(n.as("luis")) || !a.CanEdit(n.as("eve")) {
		t.Errorf("%+v", a)
	}
	if _, err := n.SetAvailability(n.as("eve"), SetAvailabilityInput{Version: new(7), Content: content}); !errors.Is(err, ErrStale) {
		t.Error("an old version:", err)
	}
	if _, err := n.SetAvailability(n.as("eve"), SetAvailabilityInput{Of: new(ID("proposal_x")), Content: content}); complains(err) != "of INVALID" {
		t.Error(err)
	}
	if mine, err := n.ViewerAvailability(n.as("eve")); err != nil || mine.Hours != nil || mine.TimeZone != "" {
		t.Errorf("%+v %v", mine, err)
	}
}
