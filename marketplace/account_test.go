package marketplace_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
)

// An office is a marketplace with accounts, a clock that can be moved, and
// clients that keep sessions.
type office struct {
	*Market
	t     *testing.T
	clock atomic.Int64
	path  string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	path := filepath.Join(MemoryDir(t), "test.db")
	store, err := sqlitestore.Open(path, StoreSchema())
	must(t, err)
	t.Cleanup(func() { store.Close() })
	fill(t, store)
	o := &office{Market: New(store, nil, Options{Key: []byte(strings.Repeat("k", KeySize)), Alone: true}), t: t, path: path}
	o.clock.Store(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	o.SetClock(func() time.Time { return time.Unix(0, o.clock.Load()) })
	return o
}

func (o *office) pass(d time.Duration) { o.clock.Add(int64(d)) }

// A client keeps the secret of a session as a browser keeps a cookie.
type client struct {
	office  *office
	secret  string
	address string
}

func (o *office) client() *client { return &client{office: o, address: "192.0.2.1"} }

// ctx is a request of the client.
func (c *client) ctx() context.Context {
	v := Viewer{Address: c.address, Agent: "test", KeepSession: func(secret string, _ time.Time) { c.secret = secret }}
	if c.secret != "" {
		if a, err := c.office.Authenticate(WithViewer(context.Background(), v), c.secret); err == nil {
			v.Actor = a
		} else if !errors.Is(err, ErrNotFound) {
			c.office.t.Fatal(err)
		}
	}
	return InBulk(WithViewer(context.Background(), v))
}

func (c *client) isSignedIn() bool { return ViewerOf(c.ctx()).IsSignedIn() }

const password = "plain old purple tractor"

// admin is the first administrator, signed in.
func (o *office) admin() *client {
	o.t.Helper()
	link, err := o.FirstInvitation(context.Background())
	must(o.t, err)
	c := o.client()
	_, err = o.AcceptInvitation(c.ctx(), AcceptInvitationInput{Link: link, Email: new("admin@example.org"), Name: new("Ada"), Password: new(password)})
	must(o.t, err)
	return c
}

// join invites somebody and lets them accept.
func (o *office) join(by *client, email string, member ID, role TeamRole) *client {
	o.t.Helper()
	in := InviteInput{Email: email, Role: role}
	if member != "" {
		in.Member = &member
	}
	ticket, err := o.Invite(by.ctx(), in)
	must(o.t, err)
	c := o.client()
	_, err = o.AcceptInvitation(c.ctx(), AcceptInvitationInput{Link: o.LinkFor(ticket.ID), Name: new(email), Password: new(password)})
	must(o.t, err)
	return c
}

func code(err error) string {
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return invalid.Errors[0].Code
	}
	if errors.Is(err, ErrForbidden) {
		return "FORBIDDEN"
	}
	if errors.Is(err, ErrRateLimited) {
		return "RATE_LIMITED"
	}
	return fmt.Sprint(err)
}

func TestTheFirstAdministratorComesByALinkThatHoldsOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, err := o.FirstInvitation(context.Background())
	must(t, err)
	second, err := o.FirstInvitation(context.Background())
	must(t, err)
	accept := func(link string) error {
		_, err := o.AcceptInvitation(o.client().ctx(), AcceptInvitationInput{Link: link, Email: new("ada@example.org"), Name: new("Ada"), Password: new(password)})
		return err
	}
	if got := code(accept(first)); got != "EXPIRED" {
		t.Errorf("the link of an earlier start: %s", got)
	}
	must(t, accept(second))
	if got := code(accept(second)); got != "EXPIRED" {
		t.Errorf("a second time: %s", got)
	}
	if link, err := o.FirstInvitation(context.Background()); link != "" || err != nil {
		t.Errorf("another link though there is an administrator: %q %v", link, err)
	}
}

func TestSigningIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	must(t, o.SignOut(admin.ctx()))
	if admin.secret != "" || admin.isSignedIn() {
		t.Error("still signed in")
	}
	in := SignInInput{Email: " Admin@Example.org ", Password: password}
	for name, wrong := range map[string]SignInInput{
		"wrong password":     {Email: in.Email, Password: password + "s"},
		"unknown address":    {Email: "nobody@example.org", Password: password},
		"much too long":      {Email: in.Email, Password: strings.Repeat("x", 100_000)},
		"empty":              {},
		"not even a address": {Email: strings.Repeat("@", 5000), Password: "\x00\xff"},
	} {
		if _, err := o.SignIn(o.client().ctx(), wrong); code(err) != "CREDENTIALS" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := o.client()
	_, err := o.SignIn(c.ctx(), in)
	must(t, err)
	sessions, err := o.Sessions(c.ctx())
	must(t, err)
	if len(sessions) != 1 || !sessions[0].IsCurrent(c.ctx()) || *sessions[0].Address != "192.0.2.1" {
		t.Errorf("%+v", sessions)
	}

	// A session ends by itself: unused, and in the end in any case.
	o.pass(13 * 24 * time.Hour)
	if !c.isSignedIn() {
		t.Error("ended too early")
	}
	o.pass(13 * 24 * time.Hour)
	if !c.isSignedIn() {
		t.Error("use did not prolong it")
	}
	o.pass(5 * 24 * time.Hour)
	if c.isSignedIn() {
		t.Error("it goes on for ever")
	}
	c2 := o.client()
	_, err = o.SignIn(c2.ctx(), in)
	must(t, err)
	o.pass(15 * 24 * time.Hour)
	if c2.isSignedIn() {
		t.Error("it does not end when it is not used")
	}
}

func TestSessionsEndWithThePassword(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	here := o.admin()
	there := o.client()
	_, err := o.SignIn(there.ctx(), SignInInput{Email: "admin@example.org", Password: password})
	must(t, err)
	old := here.secret
	change := ChangePasswordInput{Current: new("not the password"), Password: "quiet orange bicycle bell"}
	if _, err := o.ChangePassword(here.ctx(), change); code(err) != "CREDENTIALS" {
		t.Errorf("without the old one: %v", err)
	}
	change.Current = new(password)
	for _, weak := range []string{"short", "passwordpassword", "aaaaaaaaaaaaaaaa", "admin@example.org"} {
		o.pass(5 * time.Minute)
		if _, err := o.ChangePassword(here.ctx(), ChangePasswordInput{Current: new(password), Password: weak}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q was taken", weak)
		}
	}
	_, err = o.ChangePassword(here.ctx(), change)
	must(t, err)
	if there.isSignedIn() || !here.isSignedIn() || here.secret == old {
		t.Errorf("there %v, here %v, the same secret %v", there.isSignedIn(), here.isSignedIn(), here.secret == old)
	}
	if _, err := o.Authenticate(context.Background(), old); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old secret: %v", err)
	}
}

func TestResettingAPassword(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.admin()
	ctx := o.client().ctx()
	for _, email := range []string{"admin@example.org", "nobody@example.org"} {
		if err := o.RequestReset(ctx, email); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	resets := o.Resets()
	if len(resets) != 2 {
		t.Fatalf("%d tickets: what is stored must not tell who has an account", len(resets))
	}
	must(t, o.RequestReset(ctx, "admin@example.org"))
	links := map[string]bool{}
	for _, ticket := range o.Resets() {
		if ticket.User != "" {
			links[o.LinkFor(ticket.ID)] = true
		}
	}
	n := 0
	for link := range links {
		err := o.ResetPassword(ctx, ResetPasswordInput{Link: link, Password: "quiet orange bicycle bell"})
		if err == nil {
			n++
		} else if code(err) != "EXPIRED" {
			t.Error(err)
		}
	}
	if n != 1 || len(links) != 2 {
		t.Errorf("%d of %d links were good: one use makes the others worthless", n, len(links))
	}
	if c.isSignedIn() {
		t.Error("the sessions go on")
	}
	_, err := o.SignIn(ctx, SignInInput{Email: "admin@example.org", Password: "quiet orange bicycle bell"})
	must(t, err)
	must(t, o.RequestReset(ctx, "admin@example.org"))
	var last ID
	for _, ticket := range o.Resets() {
		if ticket.User != "" && ticket.State == TicketOpen {
			last = max(last, ticket.ID)
		}
	}
	link := o.LinkFor(last)
	o.pass(time.Hour)
	if err := o.ResetPassword(ctx, ResetPasswordInput{Link: link, Password: password}); code(err) != "EXPIRED" {
		t.Errorf("after an hour: %v", err)
	}
}

func TestTheSecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.admin()
	if _, err := o.SetUpFactor(c.ctx(), new("wrong")); code(err) != "CREDENTIALS" {
		t.Errorf("without the password: %v", err)
	}
	factor, err := o.SetUpFactor(c.ctx(), new(password))
	must(t, err)
	signIn := func(with *string) error {
		_, err := o.SignIn(o.client().ctx(), SignInInput{Email: "admin@example.org", Password: password, Code: with})
		return err
	}
	if err := signIn(nil); err != nil {
		t.Errorf("a factor that is not confirmed is asked for: %v", err)
	}
	codes, err := o.ConfirmFactor(c.ctx(), totp(factor.Secret, o.clock.Load()))
	must(t, err)
	if code(signIn(nil)) != "REQUIRED" || code(signIn(new("000000"))) != "CREDENTIALS" {
		t.Errorf("%v, %v", signIn(nil), signIn(new("000000")))
	}
	if now := totp(factor.Secret, o.clock.Load()); code(signIn(&now)) != "CREDENTIALS" {
		t.Error("the code that confirmed it was accepted again")
	}
	o.pass(time.Minute)
	now := totp(factor.Secret, o.clock.Load())
	must(t, signIn(&now))
	if code(signIn(&now)) != "CREDENTIALS" {
		t.Error("a code was accepted twice")
	}
	o.pass(10 * time.Minute)
	must(t, signIn(&codes[3]))
	if code(signIn(&codes[3])) != "CREDENTIALS" {
		t.Error("a recovery code was accepted twice")
	}
	// The secretariat can ask its people for one.
	officer := o.join(c, "officer@example.org", "", "OFFICER")
	_, err = o.EditSettings(c.ctx(), EditSettingsInput{Content: Patch{"secretariatNeedsCode": true}})
	must(t, err)
	if a := ViewerOf(officer.ctx()).Actor; a.User == "" || a.Secretariat != "" {
		t.Errorf("%+v", a)
	}
	if a := ViewerOf(c.ctx()).Actor; a.Secretariat != SecretariatAdmin {
		t.Errorf("%+v", a)
	}
	o.pass(5 * time.Minute)
	if _, err := o.RemoveFactor(c.ctx(), RemoveFactorInput{Password: new(password), Code: codes[4]}); err != nil {
		t.Error(err)
	}
}

// totp is RFC 6238 once more, written apart from the one that is tested.
func totp(secret string, now int64) string {
	key, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	h := hmac.New(sha1.New, key)
	_ = binary.Write(h, binary.BigEndian, now/int64(30*time.Second))
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000)
}

func TestGuessingIsSlow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.admin()
	try := func(address string, right bool) error {
		c := &client{office: o, address: address}
		in := SignInInput{Email: "admin@example.org", Password: "wrong wrong wrong"}
		if right {
			in.Password = password
		}
		_, err := o.SignIn(c.ctx(), in)
		return err
	}
	n := 0
	for ; code(try("192.0.2.7", false)) == "CREDENTIALS"; n++ {
	}
	if n > 15 {
		t.Errorf("%d tries for one account from one address", n)
	}
	limited, ok := errors.AsType[*RateLimitedError](try("192.0.2.7", true))
	if !ok || limited.Wait <= 0 || limited.Wait > time.Minute {
		t.Errorf("%v", limited)
	}
	if err := try("198.51.100.1", true); err != nil {
		t.Errorf("the owner is kept out from elsewhere: %v", err)
	}
	o.pass(limited.Wait)
	if err := try("192.0.2.7", true); err != nil {
		t.Errorf("after the time that was told: %v", err)
	}
	// Many accounts from one address.
	for n = 0; n < 500; n++ {
		c := &client{office: o, address: "2001:db8::" + fmt.Sprint(n%10)}
		if _, err := o.SignIn(c.ctx(), SignInInput{Email: fmt.Sprintf("u%d@example.org", n), Password: "x"}); code(err) != "CREDENTIALS" {
			break
		}
	}
	if n > 60 {
		t.Errorf("%d accounts tried from one network", n)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.admin()
	owner := o.join(c, "owner@example.org", "company_acme", "OWNER")
	if _, _, err := o.AddToken(owner.ctx(), AddTokenInput{Name: "x", Scope: ScopeRead, ExpiresAt: time.Unix(0, o.clock.Load()).AddDate(2, 0, 0)}); code(err) != "OUT_OF_RANGE" {
		t.Errorf("two years: %v", err)
	}
	until := time.Unix(0, o.clock.Load()).AddDate(0, 1, 0)
	read, readSecret, err := o.AddToken(owner.ctx(), AddTokenInput{Name: "reader", Scope: ScopeRead, ExpiresAt: until})
	must(t, err)
	_, writeSecret, err := o.AddToken(owner.ctx(), AddTokenInput{Name: "writer", Scope: ScopeWrite, ExpiresAt: until})
	must(t, err)
	reader, writer := &client{office: o, secret: readSecret}, &client{office: o, secret: writeSecret}
	draft := CreateSolutionInput{Company: "company_acme", Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Kerb"}}}}
	if _, err := o.CreateSolution(reader.ctx(), draft); code(err) != "FORBIDDEN" {
		t.Errorf("a reading token wrote: %v", err)
	}
	if _, err := o.AuditLog(reader.ctx(), new(ID("company_acme")), Slice{}); err != nil {
		t.Errorf("a reading token cannot read: %v", err)
	}
	s, err := o.CreateSolution(writer.ctx(), draft)
	must(t, err)
	if s.Slug != "kerb" {
		t.Errorf("slug %q", s.Slug)
	}
	if _, err := o.ChangePassword(writer.ctx(), ChangePasswordInput{Current: new(password), Password: "quiet orange bicycle bell"}); code(err) != "FORBIDDEN" {
		t.Errorf("a token changed the password: %v", err)
	}
	if _, _, err := o.AddToken(writer.ctx(), AddTokenInput{Name: "more", Scope: ScopeWrite, ExpiresAt: until}); code(err) != "FORBIDDEN" {
		t.Errorf("a token made a token: %v", err)
	}
	for _, bad := range []string{readSecret[:len(readSecret)-1] + "x", "citymarket_" + strings.Repeat("a", 59), readSecret + "0", ""} {
		if _, err := o.Authenticate(context.Background(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	must(t, o.RevokeToken(owner.ctx(), read.ID))
	if reader.isSignedIn() {
		t.Error("a revoked token is good")
	}
	o.pass(32 * 24 * time.Hour)
	if writer.isSignedIn() {
		t.Error("an expired token is good")
	}
}

// Whoever reads the database finds nothing that can be used.
func TestTheStoreHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.admin()
	factor, err := o.SetUpFactor(c.ctx(), new(password))
	must(t, err)
	codes, err := o.ConfirmFactor(c.ctx(), totp(factor.Secret, o.clock.Load()))
	must(t, err)
	_, token, err := o.AddToken(c.ctx(), AddTokenInput{Name: "t", Scope: ScopeRead, ExpiresAt: time.Unix(0, o.clock.Load()).AddDate(0, 1, 0)})
	must(t, err)
	ticket, err := o.Invite(c.ctx(), InviteInput{Email: "new@example.org", Role: "EDITOR", Member: new(ID("company_acme"))})
	must(t, err)
	link := o.LinkFor(ticket.ID)
	var all strings.Builder
	files, err := filepath.Glob(o.path + "*")
	must(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		all.Write(b)
	}
	if !strings.Contains(all.String(), "admin@example.org") {
		t.Fatal("the file cannot be read like this")
	}
	for what, secret := range map[string]string{
		"password": password, "session": c.secret, "second factor": factor.Secret, "recovery code": codes[0],
		"token": token, "secret of a token": strings.TrimPrefix(token, "citymarket_")[:52], "link": link[strings.Index(link, ".")+1:],
	} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the %s stands in the store", what)
		}
	}
	// The ids of sessions and tokens, which are in the store, prove nothing.
	for _, id := range []ID{ViewerOf(c.ctx()).Actor.Via} {
		_, hash, _ := strings.Cut(string(id), "_")
		if _, err := o.Authenticate(context.Background(), hash); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
