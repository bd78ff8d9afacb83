package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"citymarket/marketplace"
)

// An idp is an OpenID provider with two users, whose login page lets its user
// in at once. It is a real one, apart from tamper, which changes the claims of
// its ID tokens before they are signed.
type idp struct {
	issuer  string
	store   *storage.Storage
	clients map[string]*storage.Client
	user    string // who is at the login page
	tamper  func(claims map[string]any)
	forged  bool // tokens are signed with another key
}

const (
	knownUser   = "test-user@127.0.0.1"
	anotherUser = "test-user2"
)

func newIDP(t *testing.T) *idp {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	p := &idp{issuer: "http://" + srv.Listener.Addr().String(), clients: map[string]*storage.Client{}, user: knownUser}
	p.store = storage.NewStorageWithClients(storage.NewUserStore(p.issuer), p.clients)
	provider, err := op.NewProvider(&op.Config{CryptoKey: sha256.Sum256([]byte(t.Name())), CodeMethodS256: true}, p.store,
		op.StaticIssuer(p.issuer), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	check(t, err)
	mux := http.NewServeMux()
	login := op.NewIssuerInterceptor(provider.IssuerFromRequest)
	mux.HandleFunc("/login/username", login.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := p.store.CheckUsernamePassword(p.user, "verysecure", id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(provider)(r.Context(), id), http.StatusFound)
	}))
	mux.HandleFunc("/oauth/token", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		provider.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if answer.Code == http.StatusOK && (p.tamper != nil || p.forged) {
			body = p.rewrite(t, r, body)
		}
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		w.Write(body)
	})
	mux.Handle("/", provider)
	srv.Config.Handler = mux
	srv.Start()
	t.Cleanup(srv.Close)
	return p
}

// rewrite changes the ID token in an answer and signs it again.
func (p *idp) rewrite(t *testing.T, r *http.Request, body []byte) []byte {
	var answer, claims map[string]any
	part := func(s string) []byte { b, _ := base64.RawURLEncoding.DecodeString(s); return b }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Error(err)
	}
	parts := strings.Split(answer["id_token"].(string), ".")
	if err := json.Unmarshal(part(parts[1]), &claims); err != nil {
		t.Error(err)
	}
	if p.tamper != nil {
		p.tamper(claims)
	}
	payload, _ := json.Marshal(claims)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload)
	signing, err := p.store.SigningKey(r.Context())
	if err != nil {
		t.Error(err)
	}
	key := signing.Key().(*rsa.PrivateKey)
	if p.forged {
		key, _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	answer["id_token"] = signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	out, _ := json.Marshal(answer)
	return out
}

// siteWith is a site whose users can sign in by the providers, in order "one", "two".
func siteWith(t *testing.T, idps ...*idp) *site {
	t.Helper()
	return newSite(t, func(c *config) {
		var list []provider
		for i, p := range idps {
			name := []string{"one", "two"}[i]
			p.clients["market"] = storage.WebClient("market", "client secret", c.url+"/auth/"+name+"/callback")
			list = append(list, provider{Name: name, Title: "Provider " + name, Issuer: p.issuer, ClientID: "market", ClientSecret: "client secret"})
		}
		text, _ := json.Marshal(list)
		c.oidc = string(text)
	})
}

// leave begins a flow and signs in at the provider; it returns the address to
// which the provider sends the browser back.
func (b *browser) leave(name string, want map[string]any) *url.URL {
	b.t.Helper()
	resp, body := b.request("POST", "/auth/"+name+"/start", want)
	var answer struct{ Address string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("start: %d %s", resp.StatusCode, body)
	}
	next := answer.Address
	for range 10 {
		resp, body := b.request("GET", next, nil)
		at, err := resp.Location()
		if err != nil {
			b.t.Fatalf("the provider answered %d %s", resp.StatusCode, body)
		}
		if strings.HasPrefix(at.String(), b.site.url) {
			return at
		}
		next = at.String()
	}
	b.t.Fatal("the provider redirects for ever")
	return nil
}

// land follows the provider's redirect and returns where the site leads to.
func (b *browser) land(at *url.URL) string {
	b.t.Helper()
	resp, body := b.request("GET", at.String(), nil)
	if resp.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("the callback answered %d %s", resp.StatusCode, body)
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		b.t.Errorf("the callback's headers: %v", resp.Header)
	}
	return resp.Header.Get("Location")
}

var signingIn = map[string]any{"intent": "signin"}

// Whoever holds the first administrator's link makes an account by a
// provider, and signs in by it from then on.
func TestAcceptAnInvitationByAProvider(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := siteWith(t, p)
	link, err := s.market.FirstInvitation(t.Context())
	check(t, err)
	b := s.browser(t)
	b.mustSay(`{ signInProviders { name title issuer } }`, `"name":"one","title":"Provider one","issuer":"`+p.issuer)
	if got := b.land(b.leave("one", map[string]any{"intent": "accept", "link": link})); got != "/account" {
		t.Errorf("after accepting: %s", got)
	}
	b.mustSay(`{ viewer { secretariat user { name email hasPassword identities { subject email } } } }`,
		`"secretariat":"ADMIN"`, `"name":"Test User"`, `"email":"test-user@zitadel.ch"`, `"hasPassword":false`, `"subject":"id1"`)

	again := s.browser(t)
	if got := again.land(again.leave("one", map[string]any{"intent": "signin", "return": "/graphiql/"})); got != "/graphiql/" {
		t.Errorf("after signing in: %s", got)
	}
	if again.who() != "Test User" {
		t.Errorf("signed in as %q", again.who())
	}
	again.mustSay(`{ viewer { sessions { provider } } }`, `"provider":"`+p.issuer)

	p.user = anotherUser
	other := s.browser(t)
	if got := other.land(other.leave("one", map[string]any{"intent": "accept", "link": link, "name": "Other"})); !strings.Contains(got, "error=link.EXPIRED") || !strings.Contains(got, "invitation=first-admin.") {
		t.Errorf("with a spent link: %s", got)
	}
	if got := other.land(other.leave("one", signingIn)); got != "/account#error=identity.NOT_FOUND" || other.who() != "" {
		t.Errorf("unknown identity: %s, signed in as %q", got, other.who())
	}
}

// Who has the identity already joins the team; an address alone makes nobody known.
func TestAnInvitationByAKnownIdentity(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := siteWith(t, p)
	u := s.addUser(t, "ada")
	mine := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: u.ID, Via: "session_test"}})
	_, err := s.market.AddIdentity(mine, marketplace.Identity{Issuer: p.issuer, Subject: "id1"})
	check(t, err)
	link, err := s.market.FirstInvitation(t.Context())
	check(t, err)

	p.user = anotherUser
	namesake := &marketplace.User{Name: "namesake", Email: "test-user2@zitadel.ch"}
	check(t, s.market.AddUser(asProgram(t), namesake, goodPassword))
	b := s.browser(t)
	if got := b.land(b.leave("one", signingIn)); got != "/account#error=identity.NOT_FOUND" {
		t.Errorf("an address that a user has: %s", got)
	}
	if got := b.land(b.leave("one", map[string]any{"intent": "accept", "link": link})); !strings.Contains(got, "error=email.SIGN_IN") || b.who() != "" {
		t.Errorf("an invitation with such an address: %s", got)
	}

	p.user = knownUser
	if got := b.land(b.leave("one", map[string]any{"intent": "accept", "link": link})); got != "/account" {
		t.Errorf("after accepting: %s", got)
	}
	b.mustSay(`{ viewer { secretariat user { name } } }`, `"secretariat":"ADMIN"`, `"name":"ada"`)
}

// To add an account one is signed in, and proves it once more.
func TestLinkAnAccount(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := siteWith(t, p)
	s.addUser(t, "ada")
	s.addUser(t, "bob")
	b := s.browser(t)
	link := map[string]any{"intent": "link", "password": goodPassword}
	if resp, body := b.request("POST", "/auth/one/start", link); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a visitor: %d %s", resp.StatusCode, body)
	}
	b.signIn("ada@city.example")
	if resp, body := b.request("POST", "/auth/one/start", map[string]any{"intent": "link", "password": "no"}); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `"path":"password"`) {
		t.Errorf("a wrong password: %d %s", resp.StatusCode, body)
	}
	at := b.leave("one", link)
	b.signIn("bob@city.example")
	if got := b.land(at); got != "/account#error=STATE" {
		t.Errorf("as somebody else in between: %s", got)
	}
	b.signIn("ada@city.example")
	if got := b.land(b.leave("one", link)); got != "/account" {
		t.Errorf("linked: %s", got)
	}
	b.mustSay(`{ viewer { user { identities { issuer subject email } } } }`, `"issuer":"`+p.issuer+`","subject":"id1","email":"test-user@zitadel.ch"`)
	other := s.browser(t)
	other.signIn("bob@city.example")
	if got := other.land(other.leave("one", link)); got != "/account#error=identity.TAKEN" {
		t.Errorf("an account of somebody else: %s", got)
	}
	fresh := s.browser(t)
	if got := fresh.land(fresh.leave("one", signingIn)); got != "/account" || fresh.who() != "ada" {
		t.Errorf("signing in by it: %s as %q", got, fresh.who())
	}
	fresh.mustSay(`mutation { removeIdentity(input: {issuer: "`+p.issuer+`", subject: "id1"}) { errors { code } } }`, `"errors":[]`)
	last := s.browser(t)
	if got := last.land(last.leave("one", signingIn)); got != "/account#error=identity.NOT_FOUND" {
		t.Errorf("after it was removed: %s", got)
	}
}

// A provider stands in for the password only, and lets in nobody who is suspended.
func TestAProviderIsNotASecondFactor(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := siteWith(t, p)
	u := s.addUser(t, "ada")
	b := s.browser(t)
	b.signIn(u.Email)
	b.land(b.leave("one", map[string]any{"intent": "link", "password": goodPassword}))
	var made struct {
		Data struct {
			SetUpFactor struct{ Factor struct{ Secret string } }
		}
	}
	check(t, json.Unmarshal([]byte(b.ask(`mutation { setUpFactor(input: {password: "`+goodPassword+`"}) { factor { secret } } }`)), &made))
	var confirmed struct {
		Data struct{ ConfirmFactor struct{ Codes []string } }
	}
	check(t, json.Unmarshal([]byte(b.ask(`mutation { confirmFactor(input: {code: "`+totp(made.Data.SetUpFactor.Factor.Secret)+`"}) { codes } }`)), &confirmed))
	codes := confirmed.Data.ConfirmFactor.Codes
	if len(codes) == 0 {
		t.Fatal("no recovery codes")
	}

	fresh := s.browser(t)
	if got := fresh.land(fresh.leave("one", map[string]any{"intent": "signin", "return": "/graphiql/"})); got != "/account#code" || fresh.who() != "" {
		t.Fatalf("without a code: %s as %q", got, fresh.who())
	}
	if resp, body := fresh.request("POST", "/auth/code", map[string]string{"code": "000-000"}); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `"code":"CREDENTIALS","path":"code"`) {
		t.Errorf("a wrong code: %d %s", resp.StatusCode, body)
	}
	if resp, body := fresh.request("POST", "/auth/code", map[string]string{"code": codes[0]}); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"address":"/graphiql/"`) || fresh.who() != "ada" {
		t.Errorf("a good code: %d %s as %q", resp.StatusCode, body, fresh.who())
	}
	if resp, _ := fresh.request("POST", "/auth/code", map[string]string{"code": codes[1]}); resp.StatusCode != http.StatusConflict {
		t.Errorf("once more: %d", resp.StatusCode)
	}

	_, err := s.market.SuspendUser(asProgram(t), marketplace.SuspendUserInput{ID: u.ID, Suspended: true})
	check(t, err)
	if got := fresh.land(fresh.leave("one", signingIn)); got != "/account#error=password.CREDENTIALS" || fresh.who() != "" {
		t.Errorf("suspended: %s as %q", got, fresh.who())
	}
}

// Answers that are not the provider's, not for this browser, or not for this
// sign-in, sign nobody in.
func TestAnswersThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	p, q := newIDP(t), newIDP(t)
	s := siteWith(t, p, q)
	u := s.addUser(t, "ada")
	mine := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: u.ID, Via: "session_test"}})
	for _, issuer := range []string{p.issuer, q.issuer} {
		_, err := s.market.AddIdentity(mine, marketplace.Identity{Issuer: issuer, Subject: "id1"})
		check(t, err)
	}
	refused := func(name string, b *browser, at *url.URL, code string) {
		t.Helper()
		if got := b.land(at); got != "/account#error="+code || b.who() != "" {
			t.Errorf("%s: %s, signed in as %q", name, got, b.who())
		}
	}
	with := func(at *url.URL, name, value string) *url.URL {
		out, query := *at, at.Query()
		query.Set(name, value)
		out.RawQuery = query.Encode()
		return &out
	}
	for name, tamper := range map[string]func(map[string]any){
		"another nonce":                    func(c map[string]any) { c["nonce"] = "another" },
		"no nonce":                         func(c map[string]any) { delete(c, "nonce") },
		"another audience":                 func(c map[string]any) { c["aud"] = "another" },
		"a second audience, whose it is":   func(c map[string]any) { c["aud"], c["azp"] = []string{"market", "another"}, "another" },
		"another issuer":                   func(c map[string]any) { c["iss"] = q.issuer },
		"expired":                          func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no subject":                       func(c map[string]any) { c["sub"] = "" },
		"a subject longer than any can be": func(c map[string]any) { c["sub"] = strings.Repeat("x", 256) },
	} {
		p.tamper = tamper
		b := s.browser(t)
		refused(name, b, b.leave("one", signingIn), "PROVIDER")
	}
	p.tamper, p.forged = nil, true
	b := s.browser(t)
	refused("signed by somebody else", b, b.leave("one", signingIn), "PROVIDER")
	p.forged = false

	refused("another state", b, with(b.leave("one", signingIn), "state", "another"), "STATE")
	refused("no state", b, with(b.leave("one", signingIn), "state", ""), "STATE")
	refused("in another browser", s.browser(t), b.leave("one", signingIn), "STATE")
	refused("another issuer's word", b, with(b.leave("one", signingIn), "iss", q.issuer), "STATE")
	refused("the provider says no", b, with(b.leave("one", signingIn), "error", "access_denied"), "DECLINED")
	refused("a code of nothing", b, with(b.leave("one", signingIn), "code", "nonsense"), "PROVIDER")
	mixed := b.leave("one", signingIn)
	mixed.Path = "/auth/two/callback"
	refused("at another provider's address", b, mixed, "STATE")
	mixed.Path = "/auth/three/callback"
	refused("at the address of no provider", b, mixed, "STATE")

	// A callback that was seen is of no use a second time, not even with the cookie.
	at := b.leave("one", signingIn)
	flow := b.cookies()
	if got := b.land(at); got != "/account" || b.who() != "ada" {
		t.Fatalf("the good answer: %s as %q", got, b.who())
	}
	thief := s.browser(t)
	refused("a callback that was seen", thief, at, "STATE")
	home, _ := url.Parse(s.url)
	thief.Jar.SetCookies(home, flow)
	refused("a code that was used", thief, at, "PROVIDER")
	thief.Jar.SetCookies(home, []*http.Cookie{{Name: "citymarket-flow", Value: flow[0].Value[:len(flow[0].Value)-4] + "AAAA", Path: "/"}})
	refused("a cookie that this server did not make", thief, at, "STATE")
}

// The provider demands what was promised when the flow began.
func TestTheCodeIsWorthlessWithoutItsVerifier(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	b := siteWith(t, p).browser(t)
	for _, verifier := range []string{"", "a-verifier-of-somebody-else-that-is-long-enough-to-be-one"} {
		code := b.leave("one", signingIn).Query().Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {b.site.url + "/auth/one/callback"}, "code_verifier": {verifier}}
		r, _ := http.NewRequest("POST", p.issuer+"/oauth/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("market", url.QueryEscape("client secret"))
		resp, err := b.Do(r)
		check(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("code_verifier")) {
			t.Errorf("verifier %q: %d %s", verifier, resp.StatusCode, body)
		}
	}
}

// What begins a flow is bounded, comes from a page of the site, and leads
// nowhere else.
func TestBeginningAFlow(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := siteWith(t, p)
	b := s.browser(t)
	for _, to := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/a\n/b", "javascript:alert(1)",
		"evil", "/ü", "/a b", "/" + strings.Repeat("a", 200), "http:evil.example", "/\t/evil.example"} {
		if resp, body := b.request("POST", "/auth/one/start", map[string]any{"intent": "signin", "return": to}); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("return to %q: %d %s", to, resp.StatusCode, body)
		}
	}
	for name, want := range map[string]any{"no intent": map[string]any{}, "another intent": map[string]any{"intent": "own"}, "no link": map[string]any{"intent": "accept"},
		"too much": map[string]any{"intent": "signin", "name": strings.Repeat("x", 2000)}, "what is not known": map[string]any{"intent": "signin", "admin": true}} {
		if resp, body := b.request("POST", "/auth/one/start", want); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	for want, send := range map[int]func() (*http.Response, string){
		http.StatusNotFound:         func() (*http.Response, string) { return b.request("POST", "/auth/none/start", signingIn) },
		http.StatusMethodNotAllowed: func() (*http.Response, string) { return b.request("GET", "/auth/one/start", nil) },
		http.StatusUnsupportedMediaType: func() (*http.Response, string) {
			return b.request("POST", "/auth/one/start", signingIn, "Content-Type", "text/plain")
		},
		http.StatusForbidden: func() (*http.Response, string) {
			return b.request("POST", "/auth/one/start", signingIn, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		},
	} {
		if resp, body := send(); resp.StatusCode != want {
			t.Errorf("%d %s, want %d", resp.StatusCode, body, want)
		}
	}
	if len(b.cookies()) != 0 {
		t.Errorf("cookies of flows that were refused: %v", b.cookies())
	}
	resp, _ := b.request("POST", "/auth/one/start", signingIn)
	if c := resp.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 || c.Path != "/" {
		t.Errorf("the cookie is %v", c)
	}
}

// A provider that is down stops nothing else, is not waited for again and
// again, and is used once it is back.
func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var up atomic.Bool
	srv := httptest.NewServer(nil)
	defer srv.Close()
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !up.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/token","jwks_uri":"%[2]s/keys"}`, srv.URL, srv.URL)
	})
	p := provider{Name: "down", Title: "Down", Issuer: srv.URL, ClientID: "market"}
	s := newSite(t, func(c *config) {
		text, _ := json.Marshal([]provider{p})
		c.oidc = string(text)
	})
	b := s.browser(t)
	for range 3 {
		if resp, body := b.request("POST", "/auth/down/start", signingIn); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, srv.URL) {
			t.Errorf("down: %d %s", resp.StatusCode, body)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("it was asked %d times", asked.Load())
	}
	b.mustSay(`{ signInProviders { title } }`, "Down")

	c := newConnection(p, s.url+"/auth/down/callback")
	if _, err := c.address("s", "n", "v"); err == nil {
		t.Error("it is down")
	}
	up.Store(true)
	c.retryAt = time.Time{}
	address, err := c.address("s", "n", "v")
	if err != nil || !strings.Contains(address, "code_challenge_method=S256") || !strings.Contains(address, "nonce=n") {
		t.Errorf("back: %s, %v", address, err)
	}
}

func TestProvidersAreChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[{"name":"A B","issuer":"https://a.example","clientId":"x"}]`:                                                        "the name must be",
		`[{"name":"a","issuer":"http://a.example","clientId":"x"}]`:                                                           "https://",
		`[{"name":"a","issuer":"https://a.example"}]`:                                                                         "clientId",
		`[{"name":"a","issuer":"https://a.example","clientId":"x","secret":"y"}]`:                                             "unknown field",
		`[{"name":"a","issuer":"https://a.example","clientId":"x"},{"name":"a","issuer":"https://b.example","clientId":"x"}]`: "twice",
		`[{"name":"a","issuer":"https://a.example","clientId":"x","clientSecretFile":"/does/not/exist"}]`:                     "/does/not/exist",
		"/no/such/file": "/no/such/file",
	} {
		if got := fails(t, "-oidc", text); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}
