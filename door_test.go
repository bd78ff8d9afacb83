package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// totp is the present code of an authenticator (RFC 6238).
func totp(secret string) string {
	key, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// addToken makes a token of the user who is signed in.
func (b *browser) addToken(scope string) string {
	b.t.Helper()
	var answer struct {
		Data struct{ AddToken struct{ Secret string } }
	}
	text := b.ask(`mutation { addToken(input: {name: "test", scope: ` + scope + `, expiresAt: "` + later() + `"}) { secret errors { path code } } }`)
	check(b.t, json.Unmarshal([]byte(text), &answer))
	if answer.Data.AddToken.Secret == "" {
		b.t.Fatal(text)
	}
	return answer.Data.AddToken.Secret
}

func TestTheCookieOfASession(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]http.Cookie{
		"":                           {Name: "citymarket", Secure: false},
		"https://market.example.org": {Name: "__Host-citymarket", Secure: true},
	} {
		s := newSite(t, func(c *config) {
			if address != "" {
				c.url = address
			}
		})
		s.addUser(t, "ada")
		b := s.browser(t)
		resp, body := b.request("POST", "/graphql", map[string]any{"query": `mutation { signIn(input: {email: "ada@city.example", password: "` + goodPassword + `"}) { errors { code } } }`})
		if len(resp.Cookies()) != 1 {
			t.Fatalf("%q: %s", address, body)
		}
		c := resp.Cookies()[0]
		if c.Name != want.Name || c.Secure != want.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Expires.IsZero() {
			t.Errorf("%q: the cookie is %v", address, c)
		}
		if vary := strings.Join(resp.Header.Values("Vary"), ","); !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Authorization") {
			t.Errorf("Vary is %s", vary)
		}
		if cache := resp.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
			t.Errorf("Cache-Control is %q", cache)
		}
		if strings.Contains(body, c.Value) {
			t.Error("the secret of the session is in the answer")
		}
	}
}

func TestSignInTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	u := s.addUser(t, "ada")
	suspended := s.addUser(t, "eve")
	_, err := s.market.SuspendUser(asProgram(t), marketplace.SuspendUserInput{ID: suspended.ID, Suspended: true})
	check(t, err)
	sample := &marketplace.User{Meta: marketplace.Meta{IsSample: true}, Name: "sample", Email: "sample@city.example"}
	check(t, s.market.AddUser(asProgram(t), sample, goodPassword))
	answers := map[string]bool{}
	for _, try := range [][2]string{{u.Email, "not the password"}, {"nobody@city.example", goodPassword}, {suspended.Email, goodPassword}, {sample.Email, goodPassword}} {
		b := s.browser(t)
		answers[b.ask(`mutation { signIn(input: {email: "`+try[0]+`", password: "`+try[1]+`"}) { user { id } errors { path code message } } }`)] = true
		if len(b.cookies()) > 0 {
			t.Errorf("%s: a cookie", try[0])
		}
	}
	if len(answers) != 1 {
		t.Errorf("they differ: %v", answers)
	}
}

// What a page of another site can make a browser send changes nothing.
func TestOtherSitesCannotAct(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.addUser(t, "ada")
	b := s.browser(t)
	b.signIn("ada@city.example")
	const signOut = `mutation { signOut { done } }`
	if resp, body := b.request("POST", "/graphql", map[string]any{"query": signOut}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %d %s", resp.StatusCode, body)
	}
	if resp, body := b.request("GET", "/graphql?query="+url.QueryEscape(signOut), nil); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a link: %d %s", resp.StatusCode, body)
	}
	if resp, body := b.request("POST", "/graphql", map[string]any{"query": signOut}, "Content-Type", "text/plain"); resp.StatusCode < 400 {
		t.Errorf("a form: %d %s", resp.StatusCode, body)
	}
	if b.who() != "ada" {
		t.Error("somebody signed ada out")
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	u := s.addUser(t, "ada")
	here, there := s.browser(t), s.browser(t)
	here.signIn(u.Email)
	there.signIn(u.Email)
	token := there.addToken("READ")
	here.mustSay(`mutation { changePassword(input: {current: "`+goodPassword+`", password: "copper lantern sparrow 7"}) { errors { code } } }`, `"errors":[]`)
	if here.who() != "ada" || there.who() != "" {
		t.Errorf("after the password was changed: here %q, elsewhere %q", here.who(), there.who())
	}
	if len(there.cookies()) != 0 {
		t.Errorf("a client keeps the cookie of a session that has ended: %v", there.cookies())
	}
	before := here.cookies()
	here.mustSay(`mutation { signOut { done } }`, `"done":true`)
	if here.who() != "" || len(here.cookies()) != 0 {
		t.Errorf("signed out, and still %q", here.who())
	}
	home, _ := url.Parse(s.url)
	here.Jar.SetCookies(home, before)
	if here.who() != "" {
		t.Error("the cookie is good after the session was ended")
	}
	_, err := s.market.SuspendUser(asProgram(t), marketplace.SuspendUserInput{ID: u.ID, Suspended: true})
	check(t, err)
	if resp, _ := s.browser(t).request("POST", "/graphql", map[string]any{"query": "{ __typename }"}, "Authorization", "Bearer "+token); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a suspended user's token: %d", resp.StatusCode)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.addUser(t, "ada")
	owner := s.browser(t)
	owner.signIn("ada@city.example")
	read, write := "Bearer "+owner.addToken("READ"), "Bearer "+owner.addToken("WRITE")
	session := owner.cookies()[0].Value
	b := s.browser(t)
	const rename = `mutation { editUser(input: {content: {name: "ada"}}) { user { name } errors { code } } }`
	const account = `mutation { addToken(input: {name: "x", scope: WRITE, expiresAt: "2099-01-01T00:00:00Z"}) { secret } }`
	const password = `mutation { changePassword(input: {current: "` + goodPassword + `", password: "copper lantern sparrow 7"}) { user { id } } }`
	for _, c := range []struct{ name, authorization, query, want string }{
		{"a token that reads", read, `{ viewer { user { name } } }`, `"name":"ada"`},
		{"a token that reads, writing", read, rename, `"FORBIDDEN"`},
		{"a token that writes", write, rename, `"name":"ada"`},
		{"a token, adding tokens", write, strings.Replace(account, "2099-01-01T00:00:00Z", later(), 1), `"FORBIDDEN"`},
		{"a token, changing the password", write, password, `"FORBIDDEN"`},
		{"a token that nobody has", "Bearer " + read[7:len(read)-1] + "x", `{ __typename }`, `"UNAUTHENTICATED"`},
		{"nonsense", "Bearer nonsense", `{ __typename }`, `"UNAUTHENTICATED"`},
		{"another scheme", "Basic YTpi", `{ viewer { isSignedIn } }`, `"isSignedIn":false`},
	} {
		if got := b.ask(c.query, "Authorization", c.authorization); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	resp, _ := b.request("POST", "/graphql", map[string]any{"query": "{ __typename }"}, "Authorization", "Bearer nonsense")
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	// Secrets in addresses end up in logs, so they are no use there.
	for _, query := range []string{"token=" + read[7:], "access_token=" + read[7:], "citymarket=" + session} {
		if _, body := b.request("POST", "/graphql?"+query, map[string]any{"query": `{ viewer { isSignedIn } }`}); !strings.Contains(body, `"isSignedIn":false`) {
			t.Errorf("a secret in the address: %s", body)
		}
	}
	owner.mustSay(`{ viewer { tokens { name lastUsedAt } } }`, `"name":"test"`)
	for _, id := range tokenIDs(t, owner) {
		owner.mustSay(`mutation { revokeToken(input: {id: "`+id+`"}) { done } }`, `"done":true`)
	}
	if got := b.ask(`{ __typename }`, "Authorization", read); !strings.Contains(got, "UNAUTHENTICATED") {
		t.Errorf("a token that was revoked: %s", got)
	}
}

func tokenIDs(t *testing.T, b *browser) []string {
	var answer struct {
		Data struct {
			Viewer struct{ Tokens []struct{ ID string } }
		}
	}
	check(t, json.Unmarshal([]byte(b.ask(`{ viewer { tokens { id } } }`)), &answer))
	var ids []string
	for _, k := range answer.Data.Viewer.Tokens {
		ids = append(ids, k.ID)
	}
	return ids
}

// What a client writes into X-Forwarded-For counts only as far as trusted
// proxies have added to it.
func TestWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxies         int
		forwarded, want string
	}{
		{0, "", "192.0.2.1"},
		{0, "203.0.113.9", "192.0.2.1"},
		{1, "203.0.113.9", "203.0.113.9"},
		{1, "10.0.0.1, 203.0.113.9", "203.0.113.9"},
		{2, "10.0.0.1, 203.0.113.9, 198.51.100.7", "203.0.113.9"},
		{2, "203.0.113.9", "192.0.2.1"},
		{1, "nonsense", "192.0.2.1"},
		{1, "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest("POST", "/graphql", nil)
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := (&door{proxies: c.proxies}).address(r); got != c.want {
			t.Errorf("%d proxies, %q: %s, want %s", c.proxies, c.forwarded, got, c.want)
		}
	}
}

// -demo lets sample users in, on this machine alone.
func TestDemoUsers(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-demo", "-addr", "0.0.0.0:8080"}, {"-demo", "-addr", ":8080"}, {"-demo", "-addr", "192.0.2.1:8080"}, {"-demo", "-url", "https://market.example.org"},
		{"-demo", "-proxies", "1"}, {"-demo", "-sample=false"},
	} {
		if got := fails(t, args...); !strings.Contains(got, "-demo") {
			t.Errorf("%v: %s", args, got)
		}
	}
	data := t.TempDir()
	const signIn = `mutation { signIn(input: {email: "ines@network.example", password: "citymarket-demo"}) { user { name isSample } errors { code } } }`
	address, _, stop := start(t, nil, "-data", data)
	if got := post(t, address, signIn); !strings.Contains(got, "CREDENTIALS") {
		t.Errorf("without -demo: %s", got)
	}
	check(t, stop())
	for range 2 { // users are there once, however often it is started
		var out *output
		address, out, stop = launch(t, nil, "-data", data, "-demo")
		for _, want := range []string{"ines@network.example", "citymarket-demo", "/account#invitation=first-admin."} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("without %s: %s", want, out)
			}
		}
		if got := post(t, address, signIn); !strings.Contains(got, `"isSample":true`) {
			t.Errorf("with -demo: %s", got)
		}
		check(t, stop())
	}
	address, out, _ := launch(t, nil, "-data", data)
	if got := post(t, address, signIn); !strings.Contains(got, "CREDENTIALS") || strings.Contains(out.String(), "citymarket-demo") {
		t.Errorf("without -demo again: %s", got)
	}
}
