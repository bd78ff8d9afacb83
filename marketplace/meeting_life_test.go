package marketplace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever the sides do, in whatever order: nobody is in two meetings at once,
// what waits takes nobody's time, and a meeting lives by its table alone.
func TestLivesOfMeetings(t *testing.T) {
	t.Parallel()
	seeds := 12
	if testing.Short() {
		seeds = 2 // such runs look for races and are slow
	}
	var agreed, refused atomic.Int64
	t.Cleanup(func() {
		if agreed.Load() < 5 || refused.Load() < 1 {
			t.Errorf("%d meetings were agreed, and %d refused since somebody had no time: nothing is shown", agreed.Load(), refused.Load())
		}
	})
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			live(t, rand.New(rand.NewPCG(uint64(seed), 9)), 250, &agreed, &refused)
		})
	}
}

// A lifeStep is one thing that somebody tries, whether or not they may.
type lifeStep func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error)

var lifeSteps = []lifeStep{
	func(n *newsroom, r *rand.Rand, by string, _ *Meeting) (*Meeting, error) {
		in := n.request()
		in.Content["times"], in.Content["minutes"] = n.someTimes(r), 15*(1+r.IntN(8))
		if r.IntN(2) == 0 {
			in.From, in.To = in.To, in.From
		}
		return n.RequestMeeting(n.as(by), in)
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		return n.AcceptMeeting(n.as(by), AcceptMeetingInput{ID: x.ID, Time: x.Times[r.IntN(len(x.Times))], People: n.somePeople(r, by)})
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		return n.CounterMeeting(n.as(by), CounterMeetingInput{ID: x.ID, Times: n.someTimes(r), People: n.somePeople(r, by)})
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		return n.RescheduleMeeting(n.as(by), RescheduleMeetingInput{ID: x.ID, Times: n.someTimes(r)})
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		return n.SetMeetingPeople(n.as(by), SetMeetingPeopleInput{ID: x.ID, People: n.somePeople(r, by)})
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		return n.RecordOutcome(n.as(by), RecordOutcomeInput{ID: x.ID, What: OutcomeKinds[r.IntN(len(OutcomeKinds))]})
	},
	func(n *newsroom, r *rand.Rand, by string, x *Meeting) (*Meeting, error) {
		switch r.IntN(4) {
		case 0:
			return n.DeclineMeeting(n.as(by), DeclineMeetingInput{ID: x.ID, Reason: new("No.")})
		case 1:
			return n.CancelMeeting(n.as(by), CancelMeetingInput{ID: x.ID, Reason: new("No.")})
		}
		n.time = n.time.Add(time.Duration(r.IntN(90)) * time.Minute)
		return x, nil
	},
}

// someTimes are few, so that they collide.
func (n *newsroom) someTimes(r *rand.Rand) []time.Time {
	var times []time.Time
	start := n.time.Truncate(6 * time.Hour).Add(12 * time.Hour)
	for range 1 + r.IntN(3) {
		if t := start.Add(time.Duration(r.IntN(10)) * meetingBlock); !slices.Contains(times, t) {
			times = append(times, t)
		}
	}
	return times
}

// somePeople are some of the side of whom acts, sometimes of the other one.
func (n *newsroom) somePeople(r *rand.Rand, by string) []ID {
	i := r.IntN(12)
	if i > 1 {
		i = map[string]int{"ann": 0, "eve": 0}[by]
		if by == "olga" || by == "odd" {
			i = 1
		}
	}
	side := [][]ID{{"user_ann", "user_eve", "user_vic"}, {"user_olga", "user_odd", "user_otto"}}[i]
	r.Shuffle(3, func(i, k int) { side[i], side[k] = side[k], side[i] })
	return side[:1+r.IntN(2)]
}

func live(t *testing.T, r *rand.Rand, steps int, agreed, refused *atomic.Int64) {
	n := newNewsroom(t)
	all := asWorker(context.Background())
	var ids []ID
	taken := 0
	for range steps {
		n.ForgetTries()
		x := &Meeting{Times: []time.Time{n.time}}
		if len(ids) > 0 {
			var err error
			for try := 0; try == 0 || try < 20 && x.DueAt == nil; try++ { // mostly one that goes on
				x, err = get[*Meeting](Afresh(all), n.Market, ids[r.IntN(len(ids))])
				n.must(err)
			}
		}
		kind := r.IntN(len(lifeSteps))
		if x.ID == "" {
			kind = 0
		}
		by := []string{"odd", "eve", "ann", "olga", "luis", "off"}[r.IntN(6)]
		if turn := x.other(x.ProposedBy); r.IntN(5) > 0 { // mostly the side whose turn it is
			by = map[ID][]string{"city_oslo": {"odd", "olga"}, "company_acme": {"eve", "ann"}, "": {"odd", "eve"}}[turn][r.IntN(2)]
		}
		after, err := lifeSteps[kind](n, r, by, x)
		if r.IntN(10) == 0 {
			n.must(n.CatchUp(context.Background()))
		}
		if after != nil && err == nil && !slices.Contains(ids, after.ID) {
			ids = append(ids, after.ID)
		}
		docs, e := several[*Meeting](Afresh(all), n.Market, ids)
		n.must(e)
		if err != nil && x.ID != "" {
			taken += n.refusedRightly(err, docs)
		}
		n.soundMeetings(docs)
		if err == nil && x.ID != "" && kind > 0 && after.Status != x.Status {
			n.livesByItsTable(x.Status, after.Status)
		}
		if t.Failed() {
			t.Fatalf("after step %d by %s: %v", kind, by, err)
		}
	}
	for _, id := range ids {
		x, err := get[*Meeting](Afresh(all), n.Market, id)
		if n.must(err); x.AcceptedAt != nil {
			agreed.Add(1)
		}
	}
	refused.Add(int64(taken))
}

// soundMeetings checks what holds of all meetings at any moment.
func (n *newsroom) soundMeetings(docs []*Meeting) {
	n.t.Helper()
	waiting := map[string]int{}
	for i, a := range docs {
		copied := *a
		copied.plan()
		before, after := encodedMeeting(n, a), encodedMeeting(n, &copied)
		if before != after {
			n.t.Errorf("what follows from it is not kept: %s, not %s", before, after)
		}
		pending := slices.Contains(pendingMeetings, a.Status)
		if pending {
			waiting[string(a.From+a.To)]++
		}
		for _, c := range a.claims() {
			if strings.HasPrefix(c, "user:") == pending {
				n.t.Errorf("%s claims %s", a.Status, c)
			}
		}
		if (a.ExpiresAt != nil) != slices.Contains(openMeetings, a.Status) || a.isBooked() && (len(a.FromPeople) == 0 || len(a.ToPeople) == 0) || len(a.claims()) > MaxClaims {
			n.t.Errorf("%+v", a)
		}
		for _, b := range docs[:i] {
			if a.isBooked() && b.isBooked() && a.At.Before(b.end()) && b.At.Before(a.end()) &&
				slices.ContainsFunc(a.people(), func(id ID) bool { return slices.Contains(b.people(), id) }) {
				n.t.Errorf("somebody is in two meetings at once: %v %v and %v %v", a.At, a.people(), b.At, b.people())
			}
		}
	}
	for pair, count := range waiting {
		if count > maxPendingMeetings {
			n.t.Errorf("%d requests wait of %s", count, pair)
		}
	}
}

func encodedMeeting(n *newsroom, x *Meeting) string {
	b, err := json.Marshal(x)
	n.must(err)
	return string(b)
}

// livesByItsTable checks that a step from one state to another one is in the
// table.
func (n *newsroom) livesByItsTable(from, to MeetingStatus) {
	n.t.Helper()
	for _, m := range slices.Concat(meetingMoves, meetingTurns) {
		if m.to == to && slices.Contains(m.from, from) {
			return
		}
	}
	n.t.Errorf("from %s to %s", from, to)
}

// refusedRightly checks that whoever was refused since somebody has no time
// could not have been told so on account of what only waits. It returns 1
// where it was for that reason.
func (n *newsroom) refusedRightly(err error, docs []*Meeting) int {
	n.t.Helper()
	for _, e := range problemsOf(err) {
		if e.Code == "TAKEN" {
			if !slices.ContainsFunc(docs, (*Meeting).isBooked) {
				n.t.Errorf("nobody is booked: %v", err)
			}
			return 1
		}
	}
	return 0
}

// What a side notes is read by its own people alone: by no other way does
// anybody see it, not even in what the secretariat reads and exports.
func TestNotesArePrivate(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	const secret = "the price is absurd"
	x := n.accept("eve", n.ask(24), 24)
	n.time = n.at(25)
	n.must(second(n.RecordOutcome(n.as("odd"), RecordOutcomeInput{ID: x.ID, What: OutcomePossible, Note: new(secret)})))
	n.must(second(n.RecordOutcome(n.as("odd"), RecordOutcomeInput{ID: x.ID, What: OutcomeAgreed})))
	n.must(n.CatchUp(context.Background()))
	note := func(who string, x *Meeting) string { return text(x.FromSide().Outcome().Note(n.as(who))) }
	for who, sees := range map[string]bool{"odd": true, "olga": true, "otto": true, "eve": false, "ann": false, "vic": false, "off": false, "adm": false, "ned": false} {
		ctx := n.as(who)
		got, err := n.Meeting(ctx, x.ID)
		n.must(err)
		page, err := n.Meetings(ctx, map[bool]ID{true: "city_oslo", false: "company_acme"}[sees], MeetingFilter{}, false, Slice{})
		n.must(err)
		nodes, err := n.Nodes(ctx, []ID{x.ID})
		n.must(err)
		for _, m := range []*Meeting{got, page.Nodes()[0], nodes[0].(*Meeting)} {
			if (note(who, m) == secret) != sees {
				t.Errorf("%s sees %q", who, note(who, m))
			}
		}
		if log, err := n.AuditLog(ctx, &x.ID, Slice{}); err == nil {
			for _, e := range log.Nodes() {
				if strings.Contains(fmt.Sprintf("%+v", e), secret) {
					t.Errorf("%s reads it in the log", who)
				}
			}
		}
		for _, member := range []ID{"city_oslo", "company_acme"} {
			e, err := n.ExportMember(ctx, member)
			if errors.Is(err, ErrForbidden) {
				continue
			}
			n.must(err)
			var b bytes.Buffer
			n.must(second(e.WriteNDJSON(&b)))
			if strings.Contains(b.String(), secret) != (sees && member == "city_oslo") {
				t.Errorf("%s exports %s: %v", who, member, sees)
			}
			if !strings.Contains(b.String(), `"what":"AGREED"`) {
				t.Errorf("%s exports no outcome of %s", who, member)
			}
		}
	}
	for _, mail := range first(n.box.take()) {
		if strings.Contains(mail.Text+mail.HTML+mail.Subject, secret) {
			t.Errorf("a letter to %s says it", mail.To)
		}
	}
	for _, kind := range []Kind{KindAudit, KindNotification, KindMeetingTally, KindDelivery} {
		err := n.fetchAll(asWorker(context.Background()), kind, Query{Limit: MaxPage}, func(doc entity, _ string, _ bool) {
			if b, _ := json.Marshal(doc); strings.Contains(string(b), secret) {
				t.Errorf("%s holds it", doc.meta().ID)
			}
		})
		n.must(err)
	}
}

// Wherever the server is killed, the meeting is what the commands that came to
// the store make of it, and everybody is told of each once.
func TestMeetingsSurviveACrash(t *testing.T) {
	t.Parallel()
	file := filepath.Join(MemoryDir(t), "template.db")
	store, err := OpenTestStore(file)
	if err != nil {
		t.Fatal(err)
	}
	// Who acts is known before the server dies.
	people, actors := newsroomOn(t, store, true), map[string]Actor{}
	for _, name := range []string{"odd", "olga", "eve", "ann"} {
		actors[name] = actorOf(people.as(name))
	}
	as := func(name string) context.Context {
		return InBulk(WithViewer(context.Background(), Viewer{Actor: actors[name]}))
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(n *newsroom, id ID) error{
		func(n *newsroom, _ ID) error {
			in := n.request(24)
			in.Key = new("one")
			return second(n.RequestMeeting(as("odd"), in))
		},
		func(n *newsroom, id ID) error {
			return second(n.CounterMeeting(as("eve"), CounterMeetingInput{ID: id, Times: []time.Time{n.at(48), n.at(50)}}))
		},
		func(n *newsroom, id ID) error {
			return second(n.AcceptMeeting(as("odd"), AcceptMeetingInput{ID: id, Time: n.at(48)}))
		},
		func(n *newsroom, id ID) error {
			return second(n.SetMeetingPeople(as("ann"), SetMeetingPeopleInput{ID: id, People: []ID{"user_ann", "user_vic"}}))
		},
		func(n *newsroom, id ID) error {
			return second(n.RescheduleMeeting(as("ann"), RescheduleMeetingInput{ID: id, Times: []time.Time{n.at(72)}}))
		},
		func(n *newsroom, id ID) error {
			return second(n.AcceptMeeting(as("olga"), AcceptMeetingInput{ID: id, Time: n.at(72)}))
		},
		func(n *newsroom, id ID) error {
			return second(n.CancelMeeting(as("odd"), CancelMeetingInput{ID: id, Reason: new("x")}))
		},
	}
	id := keyedID(KindMeeting, "user_odd", "one")
	// open is the newsroom on a copy of the template, whose store dies at the
	// nth operation; 0: never.
	open := func(n int, loses bool) (*newsroom, *mortal) {
		path := filepath.Join(MemoryDir(t), "test.db")
		if err := os.WriteFile(path, template, 0o600); err != nil {
			t.Fatal(err)
		}
		inner, err := OpenTestStore(path)
		if err != nil {
			t.Fatal(err)
		}
		dying := &mortal{Store: inner, left: n, loses: loses}
		if n == 0 {
			dying.left = 1 << 30
		}
		return newsroomOn(t, dying, false), dying
	}
	// settle does what is left to do, also by workers that are killed, until
	// the meeting was told of to the end.
	settle := func(n *newsroom, inner Store, kills bool) string {
		for _, hours := range []float64{0, 23, 71, 73} {
			n.time = n.at(hours)
			for k := 3; kills && k < 60; k += 19 {
				working, die := context.WithCancel(context.Background())
				killed := New(&mortal{Store: inner, left: k, die: die}, nil, n.options)
				killed.now = n.now
				_ = killed.CatchUp(working)
				die()
			}
			n.Market = New(inner, nil, n.options)
			n.now = func() time.Time { return n.time }
			n.must(n.CatchUp(context.Background()))
		}
		x, err := get[*Meeting](asWorker(context.Background()), n.Market, id)
		n.must(ignore(err, ErrNotFound))
		status := "none"
		if x != nil {
			status = string(x.Status)
			n.soundMeetings([]*Meeting{x})
		}
		return status + " " + n.news(map[ID]bool{})
	}
	var want []string
	for k := range len(steps) + 1 {
		n, m := open(0, false)
		for _, step := range steps[:k] {
			n.must(step(n, id))
		}
		want = append(want, settle(n, m.Store, false))
		m.Store.Close()
	}
	for at := 1; ; at += KillEvery() {
		ended := true
		for _, loses := range []bool{false, true} {
			n, m := open(at, loses)
			done := 0
			for _, step := range steps {
				if err := step(n, id); err != nil {
					break
				}
				done++
			}
			ended = ended && !m.deceased
			got := settle(n, m.Store, true)
			if got != want[done] && (done == len(steps) || got != want[done+1]) {
				t.Errorf("killed at operation %d (done all the same: %v), after %d commands:\n%s, want\n%s", at, loses, done, got, want[done])
			}
			m.Store.Close()
		}
		if ended {
			return
		}
	}
}
