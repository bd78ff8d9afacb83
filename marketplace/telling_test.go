package marketplace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A postbox keeps the mails that it is given. Where it is broken it refuses
// them with an error.
type postbox struct {
	mu     sync.Mutex
	mails  []Mail
	broken func(Mail) error
}

func (b *postbox) Send(_ context.Context, m Mail) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := m.Check(); err != nil {
		return err
	}
	if b.broken != nil {
		if err := b.broken(m); err != nil {
			return err
		}
	}
	b.mails = append(b.mails, m)
	return nil
}

// take empties the box; to are the addresses in alphabetical order.
func (b *postbox) take() (mails []Mail, to []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mails, b.mails = b.mails, nil
	for _, m := range mails {
		to = append(to, m.To.Address)
	}
	slices.Sort(to)
	return mails, to
}

// A newsroom is a small marketplace with people, whose clock stands still.
type newsroom struct {
	*Market
	t    *testing.T
	box  *postbox
	time time.Time
}

// newsPeople are the people of the newsroom: their teams and roles.
var newsPeople = map[ID][]Membership{
	"user_ann":  {{Member: "company_acme", Role: RoleOwner}},
	"user_eve":  {{Member: "company_acme", Role: RoleEditor}},
	"user_vic":  {{Member: "company_acme", Role: RoleViewer}},
	"user_olga": {{Member: "city_oslo", Role: RoleOwner}},
	"user_odd":  {{Member: "city_oslo", Role: RoleEditor}},
	"user_otto": {{Member: "city_oslo", Role: RoleViewer}},
	"user_luis": {{Member: "city_lima", Role: RoleOwner}},
	"user_off":  {{Role: MemberRole(SecretariatOfficer)}},
	"user_adm":  {{Role: MemberRole(SecretariatAdmin)}},
	"user_ned":  {{Role: MemberRole(SecretariatEditor)}},
}

func newNewsroom(t *testing.T) *newsroom {
	t.Helper()
	store := openTestStore(t)
	t.Cleanup(func() { store.Close() })
	return newsroomOn(t, store, true)
}

var newsDay = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// newsroomOn is a newsroom on a store, which is furnished where it is new.
func newsroomOn(t *testing.T, store Store, fresh bool) *newsroom {
	t.Helper()
	box := &postbox{}
	n := &newsroom{Market: New(store, nil, Options{Alone: true, Mailer: box, URL: "https://market.example", Key: []byte(strings.Repeat("k", KeySize))}), t: t, box: box, time: newsDay}
	n.now = func() time.Time { return n.time }
	if !fresh {
		return n
	}
	ctx := asWorker(context.Background())
	n.must(n.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_noise", Slug: "noise"}, Label: en("Noise")}))
	for _, name := range []string{"oslo", "lima"} {
		c := &City{Meta: Meta{ID: ID("city_" + name), Slug: name}, TimeZone: "Europe/Oslo"}
		c.Name, c.Country, c.Region = en(strings.ToUpper(name[:1])+name[1:]), "NO", Europe
		n.must(n.AddCity(ctx, c))
	}
	c := &Company{Meta: Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	c.Name, c.Country, c.Region = en("Acme"), "NO", Europe
	n.must(n.AddCompany(ctx, c))
	for _, id := range slices.Sorted(maps.Keys(newsPeople)) {
		name := strings.TrimPrefix(string(id), "user_")
		n.must(create(ctx, n.Market, MayRecoverAccount, &User{Meta: Meta{ID: id, CreatedAt: newsDay.Add(-24 * time.Hour)}, Name: strings.ToUpper(name[:1]) + name[1:], Email: name + "@example.org", Password: "none"}))
		for _, m := range newsPeople[id] {
			n.must(n.PlaceInTeam(ctx, m.Member, id, TeamRole(m.Role)))
		}
	}
	n.must(n.CatchUp(ctx))
	box.take()
	return n
}

func en(s string) Text { return Text{{Language: "en", Text: s}} }

func (n *newsroom) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// as is the context of one of the people.
func (n *newsroom) as(name string) context.Context {
	n.t.Helper()
	u, err := get[*User](asWorker(context.Background()), n.Market, ID("user_"+name))
	n.must(err)
	a, err := n.actor(asWorker(context.Background()), u, "session_test")
	n.must(err)
	return InBulk(WithViewer(context.Background(), Viewer{Actor: a, Languages: u.Languages}))
}

// everything are all notifications, oldest first.
func (n *newsroom) everything() []*Notification {
	n.t.Helper()
	list, err := find[*Notification](asWorker(context.Background()), n.Market, KindNotification,
		Query{Where: []Condition{{Field: "createdAt", Op: Ge, Value: time.Unix(0, 0)}}, Sort: "createdAt", Limit: MaxPage})
	n.must(err)
	return list
}

// news is who was told of what since the last call, in a line for each event.
func (n *newsroom) news(known map[ID]bool) string {
	n.t.Helper()
	n.must(n.CatchUp(context.Background()))
	told := map[string][]string{}
	for _, f := range n.everything() {
		if !known[f.ID] {
			known[f.ID] = true
			told[f.Event] = append(told[f.Event], strings.TrimPrefix(string(f.User), "user_"))
		}
	}
	var lines []string
	for event, users := range told {
		slices.Sort(users)
		lines = append(lines, event+": "+strings.Join(users, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func (n *newsroom) solution(name string, status SolutionStatus, cities ...ID) *Solution {
	s := &Solution{Meta: Meta{ID: ID("solution_" + name), Slug: name}, Company: "company_acme", Status: status, Title: en("The " + name), Summary: en("It works."),
		Topics: []ID{"topic_noise"}, Maturity: "PILOTED", PriceModel: "PER_UNIT", PriceBand: "UNDER_10K"}
	for _, c := range cities {
		s.Deployments = append(s.Deployments, Deployment{Place: "Harbour", Country: "NO", City: c, Year: 2025})
	}
	return s
}

// marked does to somebody's account what leaves a mark of this action.
func (n *newsroom) marked(user, action, note string) error {
	_, err := update(asWorker(context.Background()), n.Market, MayRecoverAccount, ID("user_"+user), 0, func(u *User) error {
		u.did = Mark{Action: action, Note: note, By: u.ID}
		return nil
	})
	return err
}

// Every rule, told as a story: what is done, by whom, and who is told.
func TestWhoIsToldOfWhat(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	move := func(id ID, by string, m SolutionMove) error {
		_, err := n.MoveSolution(n.as(by), MoveSolutionInput{ID: id, Move: m})
		return err
	}
	var offer, second *Offer
	decide := func(o **Offer, by string, m OfferMove) error {
		_, err := n.MoveOffer(n.as(by), MoveOfferInput{ID: (*o).ID, Move: m, Reason: new("since")})
		return err
	}
	var said *Message
	acme, viewer := ID("company_acme"), TeamRole(RoleViewer)
	signIn := func(address string) error {
		return n.begin(WithViewer(context.Background(), Viewer{Address: address, Agent: "a browser", KeepSession: func(string, time.Time) {}}),
			&User{Meta: Meta{ID: "user_vic"}}, "")
	}
	known := map[ID]bool{}
	n.news(known)
	done := map[string]bool{}
	for _, step := range []struct {
		what string // kind and action, and a word more
		do   func() error
		told string
	}{
		{"solution.ADD a draft", func() error { return n.AddSolution(n.as("eve"), n.solution("wall", SolutionDraft, "city_oslo")) }, ""},
		{"solution.SUBMIT", func() error { return move("solution_wall", "eve", "SUBMIT") }, "solution.SUBMIT: adm off"},
		{"solution.RETURN", func() error { return move("solution_wall", "off", "RETURN") }, "solution.RETURN: ann eve"},
		{"solution.SUBMIT again", func() error { return move("solution_wall", "ann", "SUBMIT") }, "solution.SUBMIT: adm off"},
		{"solution.APPROVE", func() error { return move("solution_wall", "adm", "APPROVE") }, "solution.APPROVE: ann eve; solution.NAME_CITY: odd olga"},
		{"solution.EDIT with another city", func() error {
			_, err := n.UpdateSolution(n.as("eve"), "solution_wall", 0, func(s *Solution) error {
				s.Deployments = append(s.Deployments, Deployment{Place: "Airport", Country: "PE", City: "city_lima", Year: 2026})
				return nil
			})
			return err
		}, "solution.NAME_CITY: luis"},
		{"solution.EDIT of the title", func() error {
			_, err := n.EditSolution(n.as("eve"), EditSolutionInput{ID: "solution_wall", Content: Patch{"title": en("The great wall")}})
			return err
		}, ""},
		{"solution.CONFIRM_DEPLOYMENT", func() error {
			s, err := n.Solution(n.as("odd"), "solution_wall")
			n.must(err)
			_, err = n.ConfirmDeployment(n.as("odd"), ConfirmDeploymentInput{Solution: s.ID, Version: s.Version(), Confirmed: true})
			return err
		}, "solution.CONFIRM_DEPLOYMENT: ann eve"},
		{"solution.UNCONFIRM_DEPLOYMENT", func() error {
			s, err := n.Solution(n.as("odd"), "solution_wall")
			n.must(err)
			_, err = n.ConfirmDeployment(n.as("odd"), ConfirmDeploymentInput{Solution: s.ID, Version: s.Version()})
			return err
		}, "solution.UNCONFIRM_DEPLOYMENT: ann eve"},
		{"solution.ADD a published one", func() error { return n.AddSolution(n.as("off"), n.solution("gate", SolutionPublished, "city_lima")) }, "solution.NAME_CITY: luis"},
		{"solution.PUBLISH without a review", func() error {
			_, err := n.EditSettings(n.as("adm"), EditSettingsInput{Content: Patch{"reviewsSolutions": false}})
			n.must(err)
			n.must(n.AddSolution(n.as("eve"), n.solution("roof", SolutionDraft, "city_lima")))
			return move("solution_roof", "eve", "PUBLISH")
		}, "solution.NAME_CITY: luis"},
		{"proposal.PUBLISH", func() error {
			p := &Proposal{Meta: Meta{ID: "proposal_quiet", Slug: "quiet"}, City: "city_oslo", Title: en("Less noise"), Problem: en("It is loud."), Topics: []ID{"topic_noise"}, Stage: "NEED", Funding: "NONE"}
			n.must(n.AddProposal(n.as("odd"), p))
			_, err := n.MoveProposal(n.as("odd"), MoveProposalInput{ID: p.ID, Move: "PUBLISH"})
			return err
		}, ""},
		{"offer.ADD", func() (err error) {
			offer, err = n.MakeOffer(n.as("eve"), MakeOfferInput{Proposal: "proposal_quiet", Solution: "solution_wall", Content: Patch{"message": en("Ours.")}})
			return err
		}, "offer.ADD: odd olga"},
		{"offer.SHORTLIST", func() error { return decide(&offer, "odd", "SHORTLIST") }, "offer.SHORTLIST: ann eve"},
		{"offer.DECLINE", func() error { return decide(&offer, "odd", "DECLINE") }, "offer.DECLINE: ann eve"},
		{"offer.WITHDRAW another one", func() (err error) {
			second, err = n.MakeOffer(n.as("ann"), MakeOfferInput{Proposal: "proposal_quiet", Solution: "solution_gate", Content: Patch{"message": en("Or this.")}})
			n.must(err)
			n.must(n.CatchUp(context.Background()))
			n.news(known)
			return decide(&second, "ann", "WITHDRAW")
		}, "offer.WITHDRAW: odd olga"},
		{"offer.TAKE", func() error {
			n.must(decide(&offer, "odd", "SHORTLIST"))
			n.news(known)
			return decide(&offer, "olga", "TAKE")
		}, "offer.TAKE: ann eve"},
		{"message.ADD to all, mentioning somebody", func() (err error) {
			said, err = n.WriteMessage(n.as("eve"), WriteMessageInput{Proposal: "proposal_quiet", Text: "Hello", Mentions: []ID{"user_otto", "city_lima"}})
			return err
		}, "message.ADD: luis odd olga otto"},
		{"message.ADD between two", func() (err error) {
			_, err = n.WriteMessage(n.as("odd"), WriteMessageInput{Proposal: "proposal_quiet", Company: &acme, Text: "Hello"})
			return err
		}, "message.ADD: ann eve"},
		{"message.ADD by the secretariat", func() (err error) {
			_, err = n.WriteMessage(n.as("off"), WriteMessageInput{Proposal: "proposal_quiet", Company: &acme, Text: "Hello"})
			return err
		}, "message.ADD: ann eve odd olga"},
		{"report.REPORT", func() error {
			return n.ReportMessage(n.as("luis"), ReportMessageInput{Message: said.ID, Reason: "Rude."})
		}, "report.REPORT: adm off"},
		{"team.JOIN", func() error {
			return n.PlaceInTeam(asWorker(context.Background()), "company_acme", "user_luis", "EDITOR")
		}, "team.JOIN: ann"},
		{"team.JOIN the secretariat", func() error {
			return n.PlaceInTeam(asWorker(context.Background()), "", "user_luis", "EDITOR")
		}, "team.JOIN: adm"},
		{"team.SET_ROLE", func() error {
			_, err := n.SetRole(n.as("ann"), SetRoleInput{Member: &acme, User: "user_eve", Role: &viewer})
			return err
		}, "team.YOUR_ROLE: eve"},
		{"team.REMOVE_PERSON", func() error {
			_, err := n.SetRole(n.as("off"), SetRoleInput{Member: &acme, User: "user_luis"})
			return err
		}, "team.REMOVE_PERSON: ann; team.YOU_LEFT: luis"},
		{"user.CHANGE_PASSWORD", func() error { return n.marked("vic", "CHANGE_PASSWORD", "") }, "user.CHANGE_PASSWORD: vic"},
		{"user.CHANGE_EMAIL", func() error { return n.marked("vic", "CHANGE_EMAIL", "old@example.org to vic@example.org") }, "user.CHANGE_EMAIL: vic"},
		{"user.TURN_ON_FACTOR", func() error { return n.marked("vic", "TURN_ON_FACTOR", "") }, "user.TURN_ON_FACTOR: vic"},
		{"user.TURN_OFF_FACTOR", func() error { return n.marked("vic", "TURN_OFF_FACTOR", "") }, "user.TURN_OFF_FACTOR: vic"},
		{"user.USE_RECOVERY_CODE", func() error { return n.marked("vic", "USE_RECOVERY_CODE", "") }, "user.USE_RECOVERY_CODE: vic"},
		{"user.ADD_IDENTITY", func() error { return n.marked("vic", "ADD_IDENTITY", "https://id.example") }, "user.ADD_IDENTITY: vic"},
		{"user.REMOVE_IDENTITY", func() error { return n.marked("vic", "REMOVE_IDENTITY", "https://id.example") }, "user.REMOVE_IDENTITY: vic"},
		{"user.EDIT", func() error { return n.marked("vic", "EDIT", "name") }, ""},
		{"token.ADD", func() error {
			_, _, err := n.AddToken(n.as("vic"), AddTokenInput{Name: "sync", Scope: ScopeRead, ExpiresAt: n.time.Add(time.Hour)})
			return err
		}, "token.ADD: vic"},
		{"session.SIGN_IN", func() error { return signIn("192.0.2.1") }, "session.SIGN_IN: vic"},
		{"session.SIGN_IN again", func() error { return signIn("192.0.2.1") }, ""},
		{"session.SIGN_IN from elsewhere", func() error { return signIn("198.51.100.1") }, "session.SIGN_IN: vic"},
		{"user.SUSPEND", func() error {
			_, err := n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_vic", Suspended: true})
			return err
		}, "user.SUSPEND: vic"},
		{"user.RESTORE", func() error {
			_, err := n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_vic"})
			return err
		}, "user.RESTORE: vic"},
	} {
		n.time = n.time.Add(time.Minute)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if got := n.news(known); got != step.told {
			t.Errorf("%s: told %q, want %q", step.what, got, step.told)
		}
		event, _, _ := strings.Cut(step.what, " ")
		done[event] = true
	}
	for event := range rules {
		kind, _, _ := strings.Cut(event, ".")
		if !done[event] && !slices.Contains([]string{"meeting", "registration", "event"}, kind) { // those have stories of their own
			t.Errorf("%s is not in the story", event)
		}
	}
	n.sentences()
}

// sentences checks what all the notifications of a story say.
func (n *newsroom) sentences() {
	for _, f := range n.everything() {
		for _, b := range phrasebooks() {
			u, reading, err := n.reader(asWorker(context.Background()), f.User)
			n.must(err)
			s, err := n.Sentence(reading, f, []Language{b.language})
			if err != nil || s == "" || strings.ContainsAny(s, "{}") || strings.Contains(s, "“”") || strings.HasSuffix(s, ": .") {
				n.t.Errorf("%s for %s in %s: %q %v", f.Event, u.ID, b.language, s, err)
			}
		}
	}
}

// All phrasebooks say the same things, with the same gaps.
func TestPhrasebooksAreComplete(t *testing.T) {
	t.Parallel()
	gaps := func(s string) string {
		var out []string
		for _, part := range strings.Split(s, "{")[1:] {
			gap, _, _ := strings.Cut(part, "}")
			out = append(out, gap)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	all := phrasebooks()
	for _, b := range all {
		for name, s := range all[0].phrases {
			if other, ok := b.phrases[name]; !ok || gaps(other) != gaps(s) {
				t.Errorf("%s: %s is %q, in English %q", b.language, name, other, s)
			}
		}
		if len(b.phrases) != len(all[0].phrases) {
			t.Errorf("%s has %d phrases, English %d", b.language, len(b.phrases), len(all[0].phrases))
		}
		for event, list := range rules {
			for _, r := range list {
				if r.as != "" {
					event = r.as
				}
				if b.phrases[event] == "" {
					t.Errorf("%s says nothing of %s", b.language, event)
				}
			}
		}
	}
	if len(all) < 4 {
		t.Error("languages are missing")
	}
}

// Of a large team the greatest are told, and no more than the bound.
func TestFewOfALargeTeamAreTold(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	_, err := n.updateTeam(asWorker(context.Background()), MayJoinTeam, "company_acme", func(team *Team) error {
		for i := range maxTeam - len(team.People) {
			team.People = append(team.People, Person{User: ID(fmt.Sprintf("user_crowd-%d", i)), Role: TeamRole(RoleEditor), Since: n.time})
		}
		return nil
	})
	n.must(err)
	list, err := peopleOf(KindCompany)(asWorker(context.Background()), n.Market, &AuditEntry{Readers: []ID{"company_acme"}})
	n.must(err)
	if len(list) != maxTold || list[0].user != "user_ann" {
		t.Errorf("%d are told, first %v", len(list), list[0])
	}
}

// What a user may not see any more is neither named nor told by letter.
func TestWhatMayNotBeSeenIsNotTold(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.options.Mailer = nil // letters wait
	n.must(n.AddSolution(n.as("eve"), n.solution("wall", SolutionDraft)))
	_, err := n.MoveSolution(n.as("eve"), MoveSolutionInput{ID: "solution_wall", Move: "SUBMIT"})
	n.must(err)
	n.must(n.CatchUp(context.Background()))
	_, err = n.SetRole(n.as("adm"), SetRoleInput{User: "user_off"})
	n.must(err)
	n.options.Mailer = n.box
	n.must(n.CatchUp(context.Background()))
	mails, _ := n.box.take()
	for _, m := range mails {
		if m.To.Address == "off@example.org" && strings.Contains(m.Text, "wall") {
			t.Errorf("told by letter: %s", m.Text)
		}
	}
	page, err := n.Notifications(n.as("off"), nil, Slice{})
	n.must(err)
	found := false
	for _, f := range page.Nodes() {
		if f.Event == "solution.SUBMIT" {
			found = true
			s, err := n.Sentence(n.as("off"), f, nil)
			if err != nil || strings.Contains(s, "wall") {
				t.Errorf("%q %v", s, err)
			}
			if _, err := n.NotificationSubject(n.as("off"), f); err == nil {
				t.Error("the subject is shown")
			}
		}
	}
	if !found {
		t.Error("the notification is gone")
	}
}
