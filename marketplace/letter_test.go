package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The daily letter comes at eight in the morning, wherever that is and
// whatever clocks do in the night before.
func TestDigestsComeInTheMorning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, now, want string }{
		{"", "2026-03-02T07:59:59Z", "2026-03-02T08:00:00Z"},
		{"", "2026-03-02T08:00:00Z", "2026-03-03T08:00:00Z"},
		{"Asia/Kathmandu", "2026-03-02T02:14:59Z", "2026-03-02T02:15:00Z"},
		{"Asia/Kathmandu", "2026-03-02T02:15:00Z", "2026-03-03T02:15:00Z"},
		{"America/Sao_Paulo", "2026-03-02T12:00:00Z", "2026-03-03T11:00:00Z"},
		{"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T10:00:00Z"}, // midnight of the 4th did not exist
		{"Africa/Cairo", "2026-04-23T07:00:00Z", "2026-04-24T05:00:00Z"},      // from +2 to +3 at midnight
		{"Africa/Cairo", "2026-04-22T07:00:00Z", "2026-04-23T06:00:00Z"},
		{"Africa/Cairo", "2026-10-29T06:00:00Z", "2026-10-30T06:00:00Z"}, // from +3 to +2 at the end of the 29th
		{"Europe/Oslo", "2026-10-24T22:00:00Z", "2026-10-25T07:00:00Z"},
		{"America/New_York", "2026-03-08T05:30:00Z", "2026-03-08T12:00:00Z"},
		{"Pacific/Kiritimati", "2026-03-02T17:59:59Z", "2026-03-02T18:00:00Z"},
		{"Pacific/Apia", "2011-12-29T19:00:00Z", "2011-12-30T18:00:00Z"}, // the 30th did not exist
		{"Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T21:30:00Z"},
		{"No/Where", "2026-03-02T09:00:00Z", "2026-03-03T08:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := nextDigest(now, c.zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.now, c.zone, got, c.want)
		}
	}
}

var ticketLink = regexp.MustCompile(`https://market\.example/account#([a-z]+)=(\S+)`)

// The link in a letter is good, and its secret is nowhere else.
func TestLettersBringLinks(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	acme := ID("company_acme")
	ticket, err := n.Invite(n.as("ann"), InviteInput{Email: "new@example.org", Member: &acme, Role: "EDITOR", Languages: []Language{"es"}})
	n.must(err)
	n.must(n.RequestReset(context.Background(), "eve@example.org"))
	n.must(n.RequestReset(context.Background(), "nobody@example.org"))
	first, err := n.FirstInvitation(context.Background())
	if first != "" || err != nil {
		t.Fatal(first, err)
	}
	n.must(n.CatchUp(context.Background()))
	mails, to := n.box.take()
	if fmt.Sprint(to) != "[eve@example.org new@example.org]" {
		t.Fatal(to)
	}
	links := map[string]string{}
	for _, m := range mails {
		found := ticketLink.FindStringSubmatch(m.Text)
		if found == nil || !strings.Contains(m.HTML, found[0]) || m.Unsubscribe != "" {
			t.Fatalf("no link in %s %s", m.Text, m.HTML)
		}
		links[found[1]] = found[2]
		if found[1] == "invitation" && (!strings.Contains(m.Text, "Ann le invita") || !strings.Contains(m.Subject, "Acme")) {
			t.Errorf("%s\n%s", m.Subject, m.Text)
		}
	}
	if shown, err := n.InvitationByLink(context.Background(), links["invitation"]); err != nil || shown.ID != ticket.ID || shown.SentAt == nil {
		t.Errorf("%v %v", shown, err)
	}
	n.must(n.ResetPassword(context.Background(), ResetPasswordInput{Link: links["reset"], Password: "seven quiet lanterns hum"}))
	_, secret, _ := strings.Cut(links["invitation"], ".")
	d, err := n.store.Get(context.Background(), KindTicket, string(ticket.ID))
	n.must(err)
	var stored map[string]any
	n.must(d.Decode(&stored))
	if strings.Contains(fmt.Sprint(stored), secret) {
		t.Error("the secret is in the store")
	}
	// What is sent again is another letter, and the first link is worth nothing.
	_, err = n.ResendInvitation(n.as("ann"), ticket.ID)
	n.must(err)
	n.must(n.CatchUp(context.Background()))
	again, _ := n.box.take()
	again = slices.DeleteFunc(again, func(m Mail) bool { return m.To.Address != "new@example.org" })
	if len(again) != 1 || again[0].ID == mails[0].ID || again[0].ID == mails[1].ID {
		t.Fatalf("%v", again)
	}
	if _, err := n.InvitationByLink(context.Background(), links["invitation"]); !errors.Is(err, ErrNotFound) {
		t.Errorf("the first link still holds: %v", err)
	}
	if n.time = n.time.Add(time.Hour); n.CatchUp(context.Background()) != nil {
		t.Fatal(err)
	}
	if mails, _ := n.box.take(); len(mails) != 0 {
		t.Errorf("again: %v", mails)
	}
}

// prefer sets by which way somebody is told of a kind of thing.
func (n *newsroom) prefer(name string, kind NotificationKind, channel Channel) {
	n.t.Helper()
	_, err := n.EditUser(n.as(name), EditUserInput{Content: Patch{"preferences": []any{map[string]any{"kind": kind, "channel": channel}}}})
	n.must(err)
}

// submit has a solution submitted, of which the officer and the admin are told.
func (n *newsroom) submit(name string) {
	n.t.Helper()
	n.must(n.AddSolution(n.as("eve"), n.solution(name, SolutionDraft)))
	_, err := n.MoveSolution(n.as("eve"), MoveSolutionInput{ID: ID("solution_" + name), Move: "SUBMIT"})
	n.must(err)
	n.must(n.CatchUp(context.Background()))
}

// Users choose by which way they are told, but for their account itself.
func TestPreferences(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.prefer("adm", NotifyReview, ChannelNone)
	known := map[ID]bool{}
	n.news(known)
	n.box.take()
	n.submit("one")
	if _, to := n.box.take(); fmt.Sprint(to) != "[off@example.org]" {
		t.Error(to)
	}
	if got := n.news(known); got != "solution.SUBMIT: off" {
		t.Error(got)
	}
	n.prefer("off", NotifyReview, ChannelInApp)
	n.submit("two")
	if _, to := n.box.take(); len(to) != 0 {
		t.Error(to)
	}
	if got := n.news(known); got != "solution.SUBMIT: off" {
		t.Error(got)
	}
	for _, c := range []struct {
		list []any
		ok   bool
	}{
		{[]any{map[string]any{"kind": "ACCOUNT", "channel": "NONE"}}, false},
		{[]any{map[string]any{"kind": "ACCOUNT", "channel": "EMAIL"}}, true},
		{[]any{map[string]any{"kind": "GOSSIP", "channel": "EMAIL"}}, false},
		{[]any{map[string]any{"kind": "OFFER", "channel": "PIGEON"}}, false},
		{[]any{map[string]any{"kind": "OFFER", "channel": "NONE"}, map[string]any{"kind": "OFFER", "channel": "EMAIL"}}, false},
		{nil, true},
	} {
		_, err := n.EditUser(n.as("off"), EditUserInput{Content: Patch{"preferences": c.list}})
		if c.ok != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", c.list, err)
		}
	}
	u, err := n.User(n.as("adm"), "user_off")
	n.must(err)
	if u.VisiblePreferences(n.as("adm")) != nil || len(u.VisiblePreferences(n.as("off"))) != len(notificationKinds) {
		t.Error("preferences are shown to others, or not to their user")
	}
}

// The daily letter has everything that is due and not read, once; where there
// is nothing there is no letter.
func TestDailyLetter(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.prefer("off", NotifyReview, ChannelDigest)
	n.prefer("adm", NotifyReview, ChannelDigest)
	n.box.take()
	n.submit("one")
	n.submit("two")
	n.submit("three")
	if mails, _ := n.box.take(); len(mails) != 0 {
		t.Fatalf("at once: %v", mails)
	}
	unread, err := n.MarkAllRead(n.as("adm"))
	n.must(err)
	if unread.Count != 0 {
		t.Error(unread)
	}
	page, err := n.Notifications(n.as("off"), nil, Slice{First: new(1)})
	n.must(err)
	unread, err = n.MarkRead(n.as("off"), MarkReadInput{IDs: []ID{page.Nodes()[0].ID}})
	n.must(err)
	if unread.Count != 2 {
		t.Error(unread)
	}
	n.box.broken = func(Mail) error { return errors.New("connection refused") }
	n.time = time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC)
	n.must(n.CatchUp(context.Background()))
	n.box.broken = nil
	n.time = n.time.Add(10 * time.Minute)
	n.must(n.CatchUp(context.Background()))
	mails, to := n.box.take()
	if fmt.Sprint(to) != "[off@example.org]" {
		t.Fatal(to)
	}
	m := mails[0]
	if m.Subject != "News from Citymarket: 2" || strings.Count(m.Text, "\n- ") != 2 || strings.Count(m.HTML, "<li>") != 2 || !strings.Contains(m.Unsubscribe, "k=DIGEST") {
		t.Errorf("%s\n%s\n%s", m.Subject, m.Text, m.Unsubscribe)
	}
	for range 3 {
		n.time = n.time.Add(24 * time.Hour)
		n.must(n.CatchUp(context.Background()))
	}
	if mails, _ := n.box.take(); len(mails) != 0 {
		t.Errorf("again: %v", mails)
	}
}

// A mail server that is down keeps neither notifications nor other letters
// from coming, letters are tried again, and what is refused is not.
func TestABrokenMailServer(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	tried := 0
	n.box.broken = func(m Mail) error {
		tried++
		switch m.To.Address {
		case "adm@example.org":
			return fmt.Errorf("%w: no such user", ErrMailRefused)
		case "off@example.org":
			return errors.New("try later")
		}
		return nil
	}
	known := map[ID]bool{}
	n.news(known)
	n.submit("one")
	n.must(n.marked("vic", "CHANGE_PASSWORD", ""))
	if got := n.news(known); got != "solution.SUBMIT: adm off; user.CHANGE_PASSWORD: vic" {
		t.Error(got)
	}
	if _, to := n.box.take(); fmt.Sprint(to) != "[vic@example.org]" {
		t.Error(to)
	}
	var gaps []time.Duration
	last, before := n.time, tried
	for range 4 * 24 * 2 {
		n.time = n.time.Add(30 * time.Minute)
		n.must(n.CatchUp(context.Background()))
		if tried > before {
			gaps, last, before = append(gaps, n.time.Sub(last)), n.time, tried
		}
	}
	if len(gaps) < 12 || gaps[0] != 30*time.Minute || slices.Max(gaps) != longestRetry || last.Sub(newsDay) < 2*24*time.Hour || last.Sub(newsDay) > 4*24*time.Hour {
		t.Errorf("tried after %v, for %v", gaps, last.Sub(newsDay))
	}
	for _, f := range n.everything() {
		if f.Event == "solution.SUBMIT" && (f.Letter != LetterFailed || f.Failure == "" || f.User == "user_adm" && f.Tries != 1) {
			t.Errorf("%s: %+v", f.User, f.Posting)
		}
	}
	n.options.Mailer = nil
	for range 20 {
		n.must(n.marked("vic", "CHANGE_PASSWORD", ""))
	}
	n.must(n.CatchUp(context.Background()))
	tried = 0
	n.options.Mailer, n.box.broken = n.box, func(Mail) error { tried++; return errors.New("down") }
	if _, err := n.sendLetters(asWorker(context.Background())); err != nil {
		t.Error(err)
	}
	if tried < lettersDown || tried > lettersDown+lettersAtOnce {
		t.Errorf("%d letters were tried while the server was down", tried)
	}
	n.box.broken = nil
	n.time = n.time.Add(time.Hour)
	n.must(n.CatchUp(context.Background()))
	if mails, _ := n.box.take(); len(mails) != 20 {
		t.Errorf("%d letters came in the end", len(mails))
	}
}

// What strangers write becomes neither HTML nor a header, and a letter is set
// from right to left where its language is.
func TestLettersAreSafeAndReadable(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	_, err := n.EditUser(n.as("off"), EditUserInput{Content: Patch{"languages": []any{"ar"}, "name": "Off <b>icer</b>"}})
	n.must(err)
	s := n.solution("wall", SolutionDraft)
	s.Title = Text{{Language: "en", Text: "<script>alert(1)</script>\n\u2028\u0085Bcc: x@example.org\u202e & {member}"}}
	n.must(n.AddSolution(n.as("eve"), s))
	_, err = n.MoveSolution(n.as("eve"), MoveSolutionInput{ID: s.ID, Move: "SUBMIT"})
	n.must(err)
	n.must(n.CatchUp(context.Background()))
	mails, to := n.box.take()
	if fmt.Sprint(to) != "[adm@example.org off@example.org]" {
		t.Fatal(to)
	}
	for _, m := range mails {
		if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>") || regexp.MustCompile(`(?i)src=|url\(|<img|<link|<style|http-equiv`).MatchString(m.HTML) {
			t.Error(m.HTML)
		}
		if strings.ContainsAny(m.Subject, "\n\u2028\u0085\u202e") || !strings.Contains(m.Subject, "{member}") {
			t.Errorf("%q", m.Subject)
		}
		rtl := m.To.Address == "off@example.org"
		if rtl != strings.Contains(m.HTML, `<html lang="ar" dir="rtl">`) || rtl != strings.Contains(m.Text, "مرحبًا") {
			t.Error(m.HTML)
		}
	}
}

// The link in a letter ends letters of its kind and nothing else; nobody can
// make one.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.submit("one")
	mails, _ := n.box.take()
	i := slices.IndexFunc(mails, func(m Mail) bool { return m.To.Address == "off@example.org" })
	link, err := url.Parse(mails[i].Unsubscribe)
	n.must(err)
	q := link.Query()
	user, kind, sign := ID(q.Get("u")), NotificationKind(q.Get("k")), q.Get("s")
	if link.Path != "/unsubscribe" || !strings.Contains(mails[i].Text, link.String()) {
		t.Error(link, mails[i].Text)
	}
	nobody := WithViewer(context.Background(), Viewer{})
	for _, c := range []struct {
		user      ID
		kind      NotificationKind
		signature string
	}{
		{"user_adm", kind, sign}, {user, NotifyOffer, sign}, {user, digestKind, sign}, {user, kind, ""}, {user, kind, sign[1:]},
		{user, kind, strings.Repeat("0", len(sign))}, {user + "\x00" + ID(kind), "", sign}, {"", "", ""},
		{user, NotifyAccount, n.vault.signature(unsubscribing, string(user)+"\x00ACCOUNT")},
		{user, "GOSSIP", n.vault.signature(unsubscribing, string(user)+"\x00GOSSIP")},
		{user, kind, New(n.store, nil, Options{Key: []byte(strings.Repeat("x", KeySize))}).vault.signature(unsubscribing, string(user)+"\x00"+string(kind))},
	} {
		if err := n.Unsubscribe(nobody, c.user, c.kind, c.signature); !errors.Is(err, ErrNotFound) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for range 2 {
		n.must(n.Unsubscribe(nobody, user, kind, sign))
	}
	u, err := n.User(n.as("adm"), user)
	n.must(err)
	if u.channel(NotifyReview) != ChannelInApp || u.channel(NotifyOffer) != ChannelEmail {
		t.Errorf("%v", u.Preferences)
	}
	n.submit("two")
	if _, to := n.box.take(); fmt.Sprint(to) != "[adm@example.org]" {
		t.Error(to)
	}
	// The daily letter's link takes every kind out of it.
	n.prefer("adm", NotifyReview, ChannelDigest)
	n.must(n.Unsubscribe(nobody, "user_adm", digestKind, n.vault.signature(unsubscribing, "user_adm\x00DIGEST")))
	u, err = n.User(n.as("adm"), "user_adm")
	n.must(err)
	for _, k := range notificationKinds {
		if u.channel(k.Kind) == ChannelDigest {
			t.Error(k)
		}
	}
	n.prefer("adm", NotifyReview, ChannelNone)
	n.must(n.Unsubscribe(nobody, "user_adm", NotifyReview, n.vault.signature(unsubscribing, "user_adm\x00REVIEW")))
	if u, err = n.User(n.as("adm"), "user_adm"); err != nil || u.channel(NotifyReview) != ChannelNone {
		t.Error("what was turned off came back")
	}
}

// Wherever the server is killed, each user is told of each thing once, and
// each letter goes out at least once, with the same Message-ID.
func TestKilledWhileTelling(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := OpenTestStore(filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	newsroomOn(t, store, true)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for n := 1; n < 1000; n += KillEvery() {
			select {
			case numbers <- n:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for n := range numbers {
				path := filepath.Join(t.TempDir(), "test.db")
				if err := os.WriteFile(path, template, 0o600); err != nil {
					t.Fatal(err)
				}
				if !killedAt(t, path, n) {
					return // the story came to its end
				}
			}
		})
	}
}

// killedAt tells a story in which the server is killed at the nth operation of
// its store or its mail server, and again soon after its next start. It says
// whether it was. An operation that is done without being acknowledged is the
// same as being killed at the next one.
func killedAt(t *testing.T, path string, at int) bool {
	store, err := OpenTestStore(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	box := &postbox{}
	killed := false
	run := func(left int, story func(n *newsroom) error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		dying := &mortal{Store: store, left: left, die: cancel}
		n := newsroomOn(t, dying, false)
		n.options.Mailer = dyingBox{box, dying}
		if err := story(n); err == nil {
			_ = n.CatchUp(ctx)
		}
		killed = killed || dying.deceased
	}
	acme := ID("company_acme")
	officer := Actor{User: "user_off", Secretariat: SecretariatOfficer, Via: "session_test"}
	editor := Actor{User: "user_eve", Memberships: []Membership{{Member: acme, Role: RoleEditor}}, Via: "session_test"}
	as := func(a Actor) context.Context {
		return InBulk(WithViewer(context.Background(), Viewer{Actor: a}))
	}
	// What was not acknowledged is tried again, as clients do.
	submit := func(n *newsroom) error {
		if err := ignore(n.AddSolution(as(editor), n.solution("wall", SolutionDraft, "city_oslo")), ErrInvalid); err != nil {
			return err
		}
		for _, step := range []struct {
			who  Actor
			move SolutionMove
		}{{editor, "SUBMIT"}, {officer, "APPROVE"}} {
			if _, err := n.MoveSolution(as(step.who), MoveSolutionInput{ID: "solution_wall", Move: step.move}); ignore(err, ErrInvalid) != nil {
				return err
			}
		}
		_, err := n.Invite(as(officer), InviteInput{Email: "new@example.org", Member: &acme, Role: "EDITOR"})
		return ignore(err, ErrInvalid)
	}
	run(at, submit)
	if killed {
		run(1+at%17, submit)
	}
	run(1<<30, submit)
	n := newsroomOn(t, store, false)
	n.time = n.time.Add(25 * time.Hour)
	n.options.Mailer = box
	if err := n.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range n.everything() {
		if f.Subject == "solution_wall" {
			got[f.Event+" "+string(f.User)]++
		}
	}
	want := []string{"solution.SUBMIT user_off", "solution.SUBMIT user_adm", "solution.APPROVE user_ann", "solution.APPROVE user_eve", "solution.NAME_CITY user_olga", "solution.NAME_CITY user_odd"}
	for _, w := range want {
		if got[w] != 1 {
			t.Errorf("killed at %d: %s %d times", at, w, got[w])
		}
	}
	if len(got) != len(want) {
		t.Errorf("killed at %d: %v", at, got)
	}
	mails, to := box.take()
	for _, w := range []string{"adm", "ann", "eve", "new", "odd", "off", "olga"} {
		if !slices.Contains(to, w+"@example.org") {
			t.Errorf("killed at %d: no letter to %s", at, w)
		}
	}
	ids := map[string]bool{}
	for _, m := range mails {
		if m.To.Address != "new@example.org" {
			ids[m.ID] = true
		}
	}
	if len(ids) != 6 {
		t.Errorf("killed at %d: %d different letters", at, len(ids))
	}
	return killed
}

// A dyingBox is the postbox of a server that may be dead.
type dyingBox struct {
	*postbox
	server *mortal
}

func (b dyingBox) Send(ctx context.Context, m Mail) error {
	if dead, _ := b.server.dies(); dead {
		return errKilled
	}
	return b.postbox.Send(ctx, m)
}
