package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"citymarket/marketplace"
)

// A signIn lets people sign in by an account at another provider: OpenID
// Connect, the authorization code flow with PKCE, state and nonce.
//
//	POST /auth/{name}/start     begins; answers with the provider's address
//	GET  /auth/{name}/callback  where the provider sends people back to
//	POST /auth/code             the second factor, where the user has one
//
// What must be known between the steps is kept by the browser, in a sealed
// cookie, so the server keeps nothing for people who never come back.
type signIn struct {
	market    *marketplace.Market
	door      *door
	log       *slog.Logger
	cookie    string
	providers map[string]*connection
}

// newSignIn makes the handler for everything below /auth/. It wants requests
// that the door has opened.
func newSignIn(market *marketplace.Market, d *door, c config, log *slog.Logger) http.Handler {
	s := &signIn{market: market, door: d, log: log, cookie: d.cookie + "-flow", providers: map[string]*connection{}}
	list, err := c.providers()
	if err != nil {
		panic(err) // the configuration was checked
	}
	for _, p := range list {
		s.providers[p.Name] = newConnection(p, c.url+"/auth/"+p.Name+"/callback")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/{name}/start", s.start)
	mux.HandleFunc("GET /auth/{name}/callback", s.callback)
	mux.HandleFunc("POST /auth/code", s.code)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // addresses hold codes
		mux.ServeHTTP(w, r)
	})
}

// A flow is a sign-in under way. Its cookie is sealed, so that nobody but
// this server can have made it.
type flow struct {
	Provider string         `json:"p"` // the only one whose answer counts
	State    string         `json:"s"`
	Nonce    string         `json:"n"`
	Verifier string         `json:"v"`
	User     marketplace.ID `json:"u,omitempty"` // who wants to add the account
	Until    time.Time      `json:"t"`
	Wish     wish           `json:"w"`

	// After the provider has answered, where a second factor is asked for.
	Person *person `json:"i,omitempty"`
}

// A wish is what somebody wants to sign in for.
type wish struct {
	Intent   intent  `json:"intent"`
	Return   string  `json:"return,omitempty"`   // path on this server; empty: the account page
	Link     string  `json:"link,omitempty"`     // of the invitation to accept
	Name     string  `json:"name,omitempty"`     // of the new user; empty: as the provider says
	Email    string  `json:"email,omitempty"`    // where the invitation has none
	TimeZone string  `json:"timeZone,omitempty"` // of the new user
	Password *string `json:"password,omitempty"` // once more, to add an account; not kept
}

type intent string

// The intents of a flow.
const (
	toSignIn intent = "signin" // as the user who has the account
	toLink   intent = "link"   // adds the account to the user who is signed in
	toAccept intent = "accept" // accepts an invitation
)

const (
	flowLife     = 10 * time.Minute
	flowPurpose  = "sign-in flow"
	callbackTime = 15 * time.Second // for all that a callback asks of the provider
)

// start begins a flow. It is a POST, so that other sites cannot begin one.
func (s *signIn) start(w http.ResponseWriter, r *http.Request) {
	c := s.providers[r.PathValue("name")]
	if c == nil {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "there is no such provider")
		return
	}
	var want wish
	if !readJSON(w, r, &want) {
		return
	}
	f := flow{Provider: c.Name, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Until: time.Now().Add(flowLife)}
	switch {
	case want.Return != "" && !isLocal(want.Return):
		refuse(w, http.StatusBadRequest, "BAD_USER_INPUT", "return must be a path on this server, such as /account")
		return
	case want.Intent == toSignIn, want.Intent == toAccept && want.Link != "":
	case want.Intent == toLink:
		u, err := s.market.Prove(r.Context(), want.Password)
		if err != nil {
			s.failed(w, err)
			return
		}
		f.User, want.Password = u.ID, nil
	default:
		refuse(w, http.StatusBadRequest, "BAD_USER_INPUT", "intent must be signin, link, or accept with a link")
		return
	}
	f.Wish = want
	address, err := c.address(f.State, f.Nonce, f.Verifier)
	if err != nil {
		s.failed(w, err)
		return
	}
	if err := s.keep(w, f); err != nil {
		s.failed(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"address": address})
}

// errState is that an answer belongs to no flow that this browser has begun.
var errState = errors.New("the sign-in was not begun here, or took too long")

// callback takes the provider's answer. The protocol makes it a GET; that it
// was asked for is known by the state, which only this browser holds.
func (s *signIn) callback(w http.ResponseWriter, r *http.Request) {
	f, err := s.flow(r)
	s.forget(w)
	q := r.URL.Query()
	c := s.providers[r.PathValue("name")]
	switch {
	case err != nil:
	case c == nil || f.Person != nil || f.Provider != c.Name || !same(q.Get("state"), f.State) || q.Has("iss") && q.Get("iss") != c.Issuer:
		err = errState
	case q.Has("error"):
		err = &declined{q.Get("error")}
	}
	if err != nil {
		s.back(w, r, f, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callbackTime)
	defer cancel()
	who, err := c.whois(ctx, q.Get("code"), f.Nonce, f.Verifier)
	if err != nil {
		s.back(w, r, f, err)
		return
	}
	err = s.finish(w, r, f, who, nil)
	if needsCode(err) {
		f.Person = &who
		if err = s.keep(w, f); err == nil {
			redirect(w, r, "/account#code")
			return
		}
	}
	s.back(w, r, f, err)
}

// code takes the second factor of somebody for whom the provider has vouched.
func (s *signIn) code(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	f, err := s.flow(r)
	if err == nil && f.Person == nil {
		err = errState
	}
	if err == nil {
		err = s.finish(w, r, f, *f.Person, &in.Code)
	}
	if err != nil {
		s.failed(w, err)
		return
	}
	s.forget(w)
	writeJSON(w, http.StatusOK, map[string]string{"address": f.next()})
}

// finish does what the flow was begun for.
func (s *signIn) finish(w http.ResponseWriter, r *http.Request, f flow, who person, code *string) error {
	v := marketplace.ViewerOf(r.Context())
	v.KeepSession = func(secret string, until time.Time) { s.door.keep(w, secret, until) }
	ctx := marketplace.WithViewer(r.Context(), v)
	var err error
	switch f.Wish.Intent {
	case toLink:
		if v.Actor.User == "" || v.Actor.User != f.User {
			return errState
		}
		_, err = s.market.AddIdentity(ctx, who.Identity)
	case toAccept:
		name := f.Wish.Name
		if name == "" {
			name = who.Name
		}
		_, err = s.market.AcceptWithIdentity(ctx, marketplace.AcceptWithIdentityInput{
			Link: f.Wish.Link, Name: name, Email: f.Wish.Email, TimeZone: f.Wish.TimeZone, Identity: who.Identity, Code: code})
	default:
		_, err = s.market.SignInWithIdentity(ctx, who.Identity, code)
	}
	return err
}

func (f flow) next() string {
	if f.Wish.Return != "" {
		return f.Wish.Return
	}
	return "/account"
}

// back sends people to where they wanted to go, or to the account page with
// what was wrong: a code only, the rest is in the log.
func (s *signIn) back(w http.ResponseWriter, r *http.Request, f flow, err error) {
	if err == nil {
		redirect(w, r, f.next())
		return
	}
	s.log.Info("a sign-in by another provider has failed", "provider", r.PathValue("name"), "error", err)
	hash := url.Values{"error": {s.codeOf(err)}}
	if f.Wish.Intent == toAccept {
		hash.Set("invitation", f.Wish.Link)
	}
	redirect(w, r, "/account#"+hash.Encode())
}

func redirect(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// declined is that the provider, or the person there, said no.
type declined struct{ code string }

func (d *declined) Error() string {
	return "the provider says " + strconv.Quote(d.code[:min(len(d.code), 80)])
}

// codeOf is what the account page is told of an error: its code, behind the
// field that it is about where there is one.
func (s *signIn) codeOf(err error) string {
	invalid, isInvalid := errors.AsType[*marketplace.InvalidError](err)
	_, isDeclined := errors.AsType[*declined](err)
	_, isLimited := errors.AsType[*marketplace.RateLimitedError](err)
	switch {
	case isInvalid:
		return strings.TrimPrefix(invalid.Errors[0].Path+"."+invalid.Errors[0].Code, ".")
	case isDeclined:
		return "DECLINED"
	case isLimited:
		return "RATE_LIMITED"
	case errors.Is(err, errState):
		return "STATE"
	case errors.Is(err, errProviderDown), errors.Is(err, marketplace.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return "UNAVAILABLE"
	}
	return "PROVIDER"
}

func needsCode(err error) bool {
	invalid, ok := errors.AsType[*marketplace.InvalidError](err)
	return ok && invalid.Errors[0].Path == "code" && invalid.Errors[0].Code == "REQUIRED"
}

// failed answers a POST that did not succeed, in the form of the API's errors
// with the path of the field that can be mended.
func (s *signIn) failed(w http.ResponseWriter, err error) {
	if invalid, ok := errors.AsType[*marketplace.InvalidError](err); ok {
		var list []any
		for _, e := range invalid.Errors {
			list = append(list, map[string]any{"message": e.Message, "extensions": map[string]any{"code": e.Code, "path": e.Path}})
		}
		writeJSON(w, http.StatusUnprocessableEntity, map[string]any{"errors": list})
		return
	}
	limited, isLimited := errors.AsType[*marketplace.RateLimitedError](err)
	switch {
	case isLimited:
		w.Header().Set("Retry-After", strconv.Itoa(limited.Seconds()))
		refuse(w, http.StatusTooManyRequests, "RATE_LIMITED", "too many tries; wait a moment")
	case errors.Is(err, errState):
		refuse(w, http.StatusConflict, "STATE", err.Error())
	case errors.Is(err, marketplace.ErrForbidden):
		refuse(w, http.StatusForbidden, "FORBIDDEN", err.Error())
	default:
		s.log.Warn("a sign-in by another provider has failed", "error", err)
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "sign-in by this provider does not work at the moment")
	}
}

// keep makes the browser keep a flow until the provider answers.
func (s *signIn) keep(w http.ResponseWriter, f flow) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	sealed, err := s.market.Seal(flowPurpose, string(b))
	if err != nil {
		return err
	}
	s.set(w, sealed, int(flowLife.Seconds()))
	return nil
}

func (s *signIn) forget(w http.ResponseWriter) { s.set(w, "", -1) }

func (s *signIn) set(w http.ResponseWriter, value string, age int) {
	c := &http.Cookie{Name: s.cookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.door.secure, SameSite: http.SameSiteLaxMode}
	replaceCookie(w, c)
}

// flow is the flow that the browser keeps.
func (s *signIn) flow(r *http.Request) (flow, error) {
	var f flow
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return f, errState
	}
	text, err := s.market.Open(flowPurpose, c.Value)
	if err != nil || json.Unmarshal([]byte(text), &f) != nil || time.Now().After(f.Until) {
		return flow{}, errState
	}
	return f, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// maxWish is the longest body of a POST, in bytes: a flow must fit into a cookie.
const maxWish = 1 << 10

// readJSON reads a request's body, or refuses it. Pages of other sites cannot
// send JSON without being asked about first.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	if mime, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(mime) != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "BAD_USER_INPUT", "the body must be application/json")
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWish))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "BAD_USER_INPUT", "the body must be a small JSON object of the documented fields")
		return false
	}
	return true
}

// isLocal says whether an address is a path on this server, however a browser
// may read it.
func isLocal(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 200 && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(s, "/") &&
		!strings.HasPrefix(s, "//") && !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r <= ' ' || r > '~' })
}
