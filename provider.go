package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"citymarket/marketplace"
)

// A provider is another one by whose accounts people can sign in (OpenID
// Connect), as the operator has set it up.
type provider struct {
	Name             string   `json:"name"`  // in addresses
	Title            string   `json:"title"` // for people; empty: the name
	Issuer           string   `json:"issuer"`
	ClientID         string   `json:"clientId"`
	ClientSecret     string   `json:"clientSecret"` // empty: a public client, which PKCE alone protects
	ClientSecretFile string   `json:"clientSecretFile"`
	Scopes           []string `json:"scopes"` // besides openid; empty: email and profile
}

const maxProviders = 20

var providerName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// providers reads the configuration of providers: a list of the above, or the
// name of a file that holds one.
func (c config) providers() ([]provider, error) {
	text := []byte(strings.TrimSpace(c.oidc))
	if len(text) == 0 {
		return nil, nil
	}
	if text[0] != '[' {
		var err error
		if text, err = os.ReadFile(c.oidc); err != nil {
			return nil, fmt.Errorf("-oidc: %w", err)
		}
	}
	var list []provider
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("-oidc must be a list of providers: %w", err)
	}
	if len(list) > maxProviders {
		return nil, fmt.Errorf("-oidc: at most %d providers", maxProviders)
	}
	for i := range list {
		if err := list[i].complete(); err != nil {
			return nil, fmt.Errorf("-oidc, provider %q: %w", list[i].Name, err)
		}
		if slices.ContainsFunc(list[:i], func(p provider) bool { return p.Name == list[i].Name || p.Issuer == list[i].Issuer }) {
			return nil, fmt.Errorf("-oidc: provider %q, or its issuer, is there twice", list[i].Name)
		}
	}
	return list, nil
}

// complete checks a provider and fills in what has a default.
func (p *provider) complete() error {
	if len(p.Name) > 40 || !providerName.MatchString(p.Name) {
		return errors.New("the name must be 1 to 40 lower-case letters, digits and single hyphens between them")
	}
	u, err := url.Parse(p.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return errors.New("the issuer must be an address that begins with https://")
	}
	if p.ClientID == "" {
		return errors.New("clientId is missing")
	}
	if p.ClientSecretFile != "" {
		b, err := os.ReadFile(p.ClientSecretFile)
		if err != nil {
			return err
		}
		p.ClientSecret = strings.TrimSpace(string(b))
	}
	if p.Title == "" {
		p.Title = p.Name
	}
	if len(p.Scopes) == 0 {
		p.Scopes = []string{"email", "profile"}
	}
	return nil
}

// titles is what the domain needs to know of the providers.
func titles(list []provider) []marketplace.SignInProvider {
	out := make([]marketplace.SignInProvider, len(list))
	for i, p := range list {
		out[i] = marketplace.SignInProvider{Name: p.Name, Title: p.Title, Issuer: p.Issuer}
	}
	return out
}

// Bounds of what a provider can cost.
const (
	providerTimeout = 5 * time.Second // of one request to it
	providerPause   = 5 * time.Second // after it could not be reached
	maxAnswer       = 1 << 20         // bytes of one answer
)

// errProviderDown is that a provider cannot be reached; sign-in by others goes on.
var errProviderDown = errors.New("the provider cannot be reached")

// A connection speaks to one provider. What the provider says of itself is
// asked for when it is first needed, so a server starts without it.
type connection struct {
	provider
	redirect string // where the provider sends people back to
	client   *http.Client

	mu      sync.Mutex
	known   *oidc.Provider
	retryAt time.Time // after a failure; nobody waits for it again before
}

func newConnection(p provider, redirect string) *connection {
	return &connection{provider: p, redirect: redirect, client: &http.Client{
		Timeout:   providerTimeout,
		Transport: shortAnswers{http.DefaultTransport},
		// A code or a secret goes where the provider said at first, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// shortAnswers cuts answers that are longer than any that is meant well.
type shortAnswers struct{ http.RoundTripper }

func (b shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// open returns the provider as it describes itself.
func (c *connection) open() (*oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil {
		return c.known, nil
	}
	if time.Now().Before(c.retryAt) {
		return nil, errProviderDown
	}
	p, err := oidc.NewProvider(oidc.ClientContext(context.Background(), c.client), c.Issuer)
	if err != nil {
		c.retryAt = time.Now().Add(providerPause)
		return nil, fmt.Errorf("%w: %w", errProviderDown, err)
	}
	c.known = p
	return p, nil
}

func (c *connection) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: c.redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, c.Scopes...)}
}

// address is where people sign in at the provider.
func (c *connection) address(state, nonce, verifier string) (string, error) {
	p, err := c.open()
	if err != nil {
		return "", err
	}
	return c.oauth(p).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// A person is whom the provider vouches for.
type person struct {
	marketplace.Identity
	Name string
}

// claims are those of an ID token or of the provider's answer about a user.
type claims struct {
	Name     string    `json:"name"`
	Email    string    `json:"email"`
	Verified leniently `json:"email_verified"`
	Party    string    `json:"azp"`
}

// leniently reads a truth that some providers write as a string.
type leniently bool

func (l *leniently) UnmarshalJSON(b []byte) error {
	*l = string(b) == "true" || string(b) == `"true"`
	return nil
}

// whois exchanges a code for the provider's word who the person is, and
// checks that word: its signature, issuer, audience, time and nonce.
func (c *connection) whois(ctx context.Context, code, nonce, verifier string) (person, error) {
	p, err := c.open()
	if err != nil {
		return person{}, err
	}
	ctx = oidc.ClientContext(ctx, c.client)
	token, err := c.oauth(p).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.Response.StatusCode < 500 {
			return person{}, fmt.Errorf("the code: %w", err)
		}
		return person{}, fmt.Errorf("%w: %w", errProviderDown, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: c.ClientID}).Verify(ctx, raw)
	if err != nil {
		return person{}, fmt.Errorf("the ID token: %w", err)
	}
	var said claims
	if err := id.Claims(&said); err != nil {
		return person{}, fmt.Errorf("the ID token: %w", err)
	}
	switch {
	case !same(id.Nonce, nonce):
		return person{}, errors.New("the ID token: it was made for another sign-in")
	case len(id.Audience) > 1 && said.Party != c.ClientID:
		return person{}, errors.New("the ID token: it was made for another client")
	case id.Subject == "" || len(id.Subject) > 255:
		return person{}, errors.New("the ID token: the subject must have 1 to 255 characters")
	}
	if said.Email == "" || said.Name == "" {
		// Many providers tell these on request only. They are for people:
		// without them the sign-in is as good.
		if info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token)); err == nil && info.Subject == id.Subject {
			_ = info.Claims(&said)
		}
	}
	out := person{Identity: marketplace.Identity{Issuer: id.Issuer, Subject: id.Subject}}
	if len(said.Name) <= 200 {
		out.Name = said.Name
	}
	if said.Email != "" && len(said.Email) <= 200 && said.Verified {
		out.Email = &said.Email
	}
	return out, nil
}
