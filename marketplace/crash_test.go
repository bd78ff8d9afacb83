package marketplace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mortal store dies at its Nth operation, as a process that is killed
// there: the operation is not done (or done and not acknowledged), and
// nothing is done after it.
type mortal struct {
	Store
	mu       sync.Mutex
	left     int    // operations until it dies
	loses    bool   // the last one is done, but nobody is told
	die      func() // called when it dies, where it is not nil
	deceased bool
}

var errKilled = errors.New("killed")

// dies counts an operation.
func (m *mortal) dies() (dead, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deceased {
		return true, false
	}
	m.left--
	m.deceased = m.left <= 0
	if m.deceased && m.die != nil {
		m.die()
	}
	return m.deceased, m.deceased
}

func (m *mortal) Get(ctx context.Context, kind Kind, id string) (Document, error) {
	if dead, _ := m.dies(); dead {
		return Document{}, errKilled
	}
	return m.Store.Get(ctx, kind, id)
}

func (m *mortal) Find(ctx context.Context, kind Kind, q Query) ([]Document, error) {
	if dead, _ := m.dies(); dead {
		return nil, errKilled
	}
	return m.Store.Find(ctx, kind, q)
}

func (m *mortal) Put(ctx context.Context, w Write) (int64, error) {
	dead, last := m.dies()
	if dead && !(last && m.loses) {
		return 0, errKilled
	}
	rev, err := m.Store.Put(ctx, w)
	if dead {
		return 0, errKilled
	}
	return rev, err
}

func (m *mortal) Changes(ctx context.Context, q FeedQuery) (Feed, error) {
	if dead, _ := m.dies(); dead {
		return Feed{}, errKilled
	}
	return m.Store.Changes(ctx, q)
}

// stories are commands one after another. What each leaves behind is checked
// after a restart, wherever the server was killed.
var stories = []struct {
	name string
	tell func(ctx context.Context, m *Market) error
	// holds says what is wrong after the restart, when everything that had
	// to follow has been done.
	holds func(ctx context.Context, m *Market) error
}{
	{"an invitation is accepted", func(ctx context.Context, m *Market) error {
		link, err := m.linkOf(ctx, "ticket_invitation")
		if err != nil {
			return err
		}
		_, err = m.AcceptInvitation(WithViewer(ctx, Viewer{KeepSession: func(string, time.Time) {}}), AcceptInvitationInput{
			Link: link, Name: new("Ada"), Password: new("plain old purple tractor"), Languages: []Language{"en"}})
		return err
	}, func(ctx context.Context, m *Market) error {
		u, err := m.userByEmail(ctx, "ada@example.org")
		if errors.Is(err, ErrNotFound) {
			return nil // nothing was done
		}
		if err != nil {
			return err
		}
		team, err := m.team(ctx, "company_acme")
		if err != nil {
			return err
		}
		if i := team.find(u.ID); i < 0 || team.People[i].Role != "EDITOR" {
			return fmt.Errorf("she has an account and is not in the team: %v", team.People)
		}
		if !slices.Contains(u.Members, "company_acme") {
			return errors.New("her member is not noted")
		}
		t, err := get[*Ticket](ctx, m, "ticket_invitation")
		if err != nil || t.State != TicketUsed {
			return fmt.Errorf("the invitation is %v: %v", t, err)
		}
		return nil
	}},
	{"a solution lives", func(ctx context.Context, m *Market) error {
		ctx = WithViewer(ctx, Viewer{Actor: Actor{User: "user_editor", Memberships: []Membership{{Member: "company_acme", Role: RoleEditor}}, Via: "session_x"}})
		s, err := m.CreateSolution(ctx, CreateSolutionInput{Company: "company_acme", Key: new("one"), Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Kerb"}}}})
		if err != nil {
			return err
		}
		for i := range 2 * maxMarks {
			if _, err := m.EditSolution(ctx, EditSolutionInput{ID: s.ID, Content: Patch{"standards": []any{fmt.Sprint("S", i)}}}); err != nil {
				return err
			}
		}
		return m.DeleteSolution(ctx, s.ID, nil)
	}, func(ctx context.Context, m *Market) error {
		id := keyedID(KindSolution, "user_editor", "one")
		var revisions []int64
		err := m.fetchAll(ctx, KindAudit, Query{Where: []Condition{{Field: "subject", Op: Eq, Value: id}}, Sort: "moment", Limit: MaxPage}, func(doc entity, _ string, _ bool) {
			revisions = append(revisions, doc.(*AuditEntry).Revision)
		})
		if err != nil {
			return err
		}
		slices.Sort(revisions)
		for i, r := range revisions {
			if r != int64(i+1) {
				return fmt.Errorf("the log has revisions %v", revisions)
			}
		}
		d, err := m.store.Get(ctx, KindSolution, string(id))
		switch {
		case errors.Is(err, ErrNotFound):
			if n := len(revisions); n != 0 && n != 2*maxMarks+2 {
				return fmt.Errorf("it is gone and the log has revisions %v", revisions)
			}
			return nil
		case err != nil:
			return err
		case d.Rev != int64(len(revisions)):
			return fmt.Errorf("revision %d and %v in the log", d.Rev, revisions)
		}
		return nil
	}},
	{"a partner is found", findPartner, partnerHolds},
	{"a password is reset", func(ctx context.Context, m *Market) error {
		link, err := m.linkOf(ctx, "ticket_reset")
		if err != nil {
			return err
		}
		return m.ResetPassword(WithViewer(ctx, Viewer{}), ResetPasswordInput{Link: link, Password: "quiet orange bicycle bell"})
	}, func(ctx context.Context, m *Market) error {
		u, err := m.User(ctx, "user_bob")
		if err != nil {
			return err
		}
		reset, _, err := checkPassword(ctx, u.Password, "quiet orange bicycle bell")
		if err != nil {
			return err
		}
		if reset != (u.Epoch == 1) {
			return fmt.Errorf("epoch %d, changed %v", u.Epoch, reset)
		}
		if link, err := m.linkOf(ctx, "ticket_reset"); err == nil && reset {
			if err := m.ResetPassword(WithViewer(ctx, Viewer{}), ResetPasswordInput{Link: link, Password: "another purple bicycle bell"}); !errors.Is(err, ErrInvalid) {
				return fmt.Errorf("the link was good twice: %v", err)
			}
		}
		return nil
	}},
}

// linkOf makes a link for a ticket that was put there with a known secret.
func (m *Market) linkOf(ctx context.Context, id ID) (string, error) {
	t, err := get[*Ticket](withSight(ctx), m, id)
	if err != nil {
		return "", err
	}
	return t.link(strings.Repeat("a", secretLength)), nil
}

// Wherever the server is killed, no command is left half done after the restart.
func TestNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n += KillEvery() {
				done := true
				for _, loses := range []bool{false, true} {
					if !tell(t, story.tell, story.holds, n, loses) {
						done = false
					}
				}
				if done {
					return
				}
			}
		})
	}
}

// tell tells a story that ends at the nth operation; it says whether the
// story came to its own end.
func tell(t *testing.T, story func(context.Context, *Market) error, holds func(context.Context, *Market) error, n int, loses bool) bool {
	inner := openTestStore(t)
	defer inner.Close()
	ctx := asWorker(context.Background())
	m := New(inner, nil, Options{Alone: true})
	prepare(t, ctx, m)
	dying := &mortal{Store: inner, left: n, loses: loses}
	err := story(InBulk(context.Background()), New(dying, nil, Options{Alone: true}))
	if err != nil && !dying.deceased {
		t.Fatalf("killed at %d: %v", n, err)
	}
	// The worker may be killed as well, at any point.
	for k := 1; k < 40; k += 7 {
		working, die := context.WithCancel(context.Background())
		_ = New(&mortal{Store: inner, left: k, loses: loses, die: die}, nil, Options{Alone: true}).CatchUp(working)
		die()
	}
	after := New(inner, nil, Options{Alone: true})
	if err := after.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := holds(asWorker(context.Background()), after); err != nil {
		t.Fatalf("killed at operation %d (done all the same: %v): %v", n, loses, err)
	}
	return !dying.deceased
}

func prepare(t *testing.T, ctx context.Context, m *Market) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"acme", "rival", "second", "third"} {
		c := &Company{Meta: Meta{ID: ID("company_" + name), Slug: name}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = Text{{Language: "en", Text: name}}, "NO", Europe
		must(m.AddCompany(ctx, c))
	}
	secret, later := hashed(strings.Repeat("a", secretLength)), m.clock().Add(time.Hour)
	must(create(ctx, m, MayRecoverAccount, &User{Meta: Meta{ID: "user_bob"}, Name: "Bob", Email: "bob@example.org", Password: oldPassword()}))
	must(create(ctx, m, MayManageTeam, &Team{Meta: Meta{ID: teamID("company_rival")}, Member: "company_rival", People: []Person{{User: "user_bob", Role: TeamRole(RoleEditor)}}}))
	must(create(ctx, m, MayRecoverAccount, &Ticket{Meta: Meta{ID: "ticket_reset"}, Purpose: TicketReset, State: TicketOpen, Email: "bob@example.org",
		User: "user_bob", Hash: secret, ExpiresAt: later, Posting: Posting{SentAt: &later}}))
	must(create(ctx, m, MayRecoverAccount, &Ticket{Meta: Meta{ID: "ticket_invitation"}, Purpose: TicketInvitation, State: TicketOpen, Email: "ada@example.org",
		Team: teamID("company_acme"), Member: "company_acme", Role: "EDITOR", Hash: secret, ExpiresAt: later, Posting: Posting{SentAt: &later}}))
}

// oldPassword is the hash of one that nobody uses.
var oldPassword = sync.OnceValue(func() string {
	hash, err := hashPassword(context.Background(), "yesterday's rusty anchor")
	if err != nil {
		panic(err)
	}
	return hash
})

// OpenTestStore opens a real store; the outer test package sets it, since
// adapters import this one.
var OpenTestStore func(path string) (Store, error)

func openTestStore(t testing.TB) Store {
	t.Helper()
	s, err := OpenTestStore(filepath.Join(MemoryDir(t), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// MemoryDir is a directory that costs no disk, where there is one: these
// tests open a store for each operation at which the server may be killed.
func MemoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "citymarket")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// LinkFor writes a new link for a ticket, as the letter would.
func (m *Market) LinkFor(id ID) string {
	secret := newSecret()
	t, err := update(asWorker(context.Background()), m, MayRecoverAccount, id, 0, func(t *Ticket) error {
		t.Hash, t.SentAt = hashed(secret), &t.CreatedAt
		return nil
	})
	if err != nil {
		panic(err)
	}
	return t.link(secret)
}

// Resets are the tickets that were made to reset passwords.
func (m *Market) Resets() []*Ticket {
	all, err := find[*Ticket](asWorker(context.Background()), m, KindTicket, Query{Limit: MaxPage})
	if err != nil {
		panic(err)
	}
	return slices.DeleteFunc(all, func(t *Ticket) bool { return t.Purpose != TicketReset })
}

// KillEvery is at which operations of a story the server is killed: at every
// one; in short runs, which look for races and are slow, at every seventh.
func KillEvery() int {
	if testing.Short() {
		return 7
	}
	return 1
}
