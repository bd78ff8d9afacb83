package marketplace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"
)

// listening are the notifications of somebody as they come.
func (n *newsroom) listening(ctx context.Context, name string, after *ID) (next func() (*Notification, error, bool), stop func()) {
	ctx = WithViewer(ctx, ViewerOf(n.as(name)))
	return iter.Pull2(n.NewNotifications(ctx, after))
}

// awaited is the next notification; an empty one where the test has failed.
func awaited(t *testing.T, next func() (*Notification, error, bool)) *Notification {
	t.Helper()
	n, err, ok := next()
	if err != nil || !ok {
		t.Errorf("nothing came: %v", err)
		return &Notification{}
	}
	return n
}

// until is a context that ends a test in which something does not come.
func until(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// submitLater has a solution submitted while somebody listens.
func (n *newsroom) submitLater(name string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.submit(name)
	}()
	return done
}

// What one process writes reaches those who listen at another one, once, and
// nobody else; what was there before does not come.
func TestNotificationsReachOtherProcesses(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.submit("before")
	other := newsroomOn(t, n.store, false)
	ctx := until(t)
	next, stop := other.listening(ctx, "off", nil)
	defer stop()
	stranger, hangUp := context.WithCancel(ctx)
	heard := make(chan *Notification, 1)
	go func() {
		defer close(heard)
		for f := range other.NewNotifications(WithViewer(stranger, ViewerOf(n.as("luis"))), nil) {
			heard <- f
		}
	}()
	// Whoever pulls begins to listen, so it is done while nothing has come yet.
	for i := range 3 {
		name := fmt.Sprintf("wall-%d", i)
		got := make(chan *Notification, 1)
		go func() { got <- awaited(t, next) }()
		other.awaitListeners(t, 2)
		<-n.submitLater(name)
		if f := <-got; f.User != "user_off" || f.Subject != ID("solution_"+name) {
			t.Errorf("%v %v", f.User, f.Subject)
		}
	}
	if _, err := n.MarkAllRead(n.as("off")); err != nil {
		t.Fatal(err)
	}
	hangUp()
	if f, ok := <-heard; ok {
		t.Errorf("somebody else heard %v", f)
	}
}

// awaitListeners waits until so many listen.
func (n *newsroom) awaitListeners(t *testing.T, want int) {
	t.Helper()
	ctx := until(t)
	for ctx.Err() == nil {
		n.hub.mu.Lock()
		have, ready := 0, n.hub.ready
		for _, l := range n.hub.listeners {
			have += len(l)
		}
		n.hub.mu.Unlock()
		if have == want {
			<-ready
			return
		}
		pause(ctx, time.Millisecond)
	}
	t.Fatal("nobody listens")
}

// A client that was cut off misses nothing when it goes on after what it saw.
func TestAClientThatComesBackMissesNothing(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	n.submit("one")
	page, err := n.Notifications(n.as("off"), nil, Slice{First: new(1)})
	n.must(err)
	seen := page.Nodes()[0].ID
	n.time = n.time.Add(time.Hour)
	n.submit("two")
	n.submit("three")
	next, stop := n.listening(until(t), "off", &seen)
	defer stop()
	got := map[ID]int{}
	for range 2 {
		got[awaited(t, next).Subject]++
	}
	if got["solution_two"] != 1 || got["solution_three"] != 1 {
		t.Errorf("%v", got)
	}
	done := n.submitLater("four")
	if f := awaited(t, next); f.Subject != "solution_four" {
		t.Errorf("%v", f.Subject)
	}
	<-done
	for _, bad := range []ID{"notification_x", "user_off", "?"} {
		next, stop := n.listening(until(t), "off", &bad)
		if _, err, _ := next(); !errors.Is(err, ErrInvalid) {
			t.Errorf("after %s: %v", bad, err)
		}
		stop()
	}
	for _, err := range n.NewNotifications(WithViewer(until(t), Viewer{}), nil) {
		if !errors.Is(err, ErrForbidden) {
			t.Error(err)
		}
	}
}

// Nobody buffers without end for a client that does not take what comes, and
// nothing runs when nobody listens.
func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	next, stop := n.listening(until(t), "vic", nil)
	got := make(chan *Notification, 1)
	go func() { got <- awaited(t, next) }()
	n.awaitListeners(t, 1)
	ctx := asWorker(context.Background())
	for i := range maxBehind + 3 {
		n.must(create(ctx, n.Market, MayKeepNotifications, &Notification{Meta: Meta{ID: ID(fmt.Sprintf("notification_%d", i))}, User: "user_vic", Kind: NotifyAccount, Event: "user.RESTORE"}))
	}
	<-got
	n.awaitListeners(t, 0) // nobody takes anything meanwhile
	var err error
	for ok := true; ok && err == nil; {
		_, err, ok = next()
	}
	if !errors.Is(err, errFellBehind) {
		t.Error(err)
	}
	stop()
	n.hub.mu.Lock()
	ended, idle := n.hub.ended, n.hub.stop == nil && len(n.hub.listeners) == 0
	n.hub.mu.Unlock()
	<-ended
	if !idle {
		t.Error("the hub follows for nobody")
	}
	// It begins again for the next one.
	next, stop = n.listening(until(t), "off", nil)
	defer stop()
	go func() { got <- awaited(t, next) }()
	n.awaitListeners(t, 1)
	n.submit("one")
	if f := <-got; f.Subject != "solution_one" {
		t.Error(f.Subject)
	}
}

// The right to listen ends with the session, the token and the role.
func TestStandingEndsWithTheSession(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	acme, viewer, editor := ID("company_acme"), TeamRole(RoleViewer), TeamRole(RoleEditor)
	var secret string
	enter := func() context.Context {
		n.must(n.begin(WithViewer(context.Background(), Viewer{KeepSession: func(s string, _ time.Time) { secret = s }}), must1(n.User(n.as("adm"), "user_eve")), ""))
		a, err := n.Authenticate(context.Background(), secret)
		n.must(err)
		return WithViewer(context.Background(), Viewer{Actor: a})
	}
	holds := func(ctx context.Context, want error) {
		t.Helper()
		n.time = n.time.Add(time.Second)
		if err := n.StillHolds(ctx); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	ctx := enter()
	holds(ctx, nil)
	holds(WithViewer(context.Background(), Viewer{}), nil)
	role := func(r TeamRole) {
		_, err := n.SetRole(n.as("ann"), SetRoleInput{Member: &acme, User: "user_eve", Role: &r})
		n.must(err)
	}
	role(viewer)
	holds(ctx, ErrEnded)
	role(editor)
	holds(ctx, nil)
	n.must(n.EndSession(ctx, actorOf(ctx).Via))
	holds(ctx, ErrEnded)
	ctx = enter()
	token, bearer, err := n.AddToken(ctx, AddTokenInput{Name: "sync", Scope: ScopeRead, ExpiresAt: n.time.Add(time.Hour)})
	n.must(err)
	a, err := n.Authenticate(context.Background(), bearer)
	n.must(err)
	program := WithViewer(context.Background(), Viewer{Actor: a})
	holds(program, nil)
	if _, err := n.UnreadCount(program); err != nil {
		t.Error(err)
	}
	if _, err := n.MarkAllRead(program); !errors.Is(err, ErrForbidden) {
		t.Errorf("a token that may only read: %v", err)
	}
	n.must(n.RevokeToken(ctx, token.ID))
	holds(program, ErrEnded)
	_, err = n.SuspendUser(n.as("adm"), SuspendUserInput{ID: "user_eve", Suspended: true})
	n.must(err)
	holds(ctx, ErrEnded)
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// It is asked before each event, so it looks at the store once a second.
func TestStandingIsCheap(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	dying := &mortal{Store: n.store, left: 1 << 30}
	n.store = dying
	ctx := WithViewer(context.Background(), Viewer{Actor: Actor{User: "user_eve", Via: "session_gone"}})
	for range 100 {
		_ = n.StillHolds(ctx)
	}
	if used := 1<<30 - dying.left; used > 3 {
		t.Errorf("%d operations", used)
	}
}
