package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
)

// A site is a whole server over an empty store.
type site struct {
	url    string
	market *marketplace.Market
}

// newSite starts a server. Its address is known to set, which may change the
// configuration.
func newSite(t *testing.T, set func(c *config)) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "citymarket.db"), marketplace.StoreSchema())
	check(t, err)
	index, err := search.Open(filepath.Join(t.TempDir(), "index"), store, marketplace.Entries(store), log)
	check(t, err)
	following, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); index.Follow(following) }()
	srv := httptest.NewUnstartedServer(nil)
	address := "http://" + srv.Listener.Addr().String()
	c, err := configure("serve", nil, func(string) string { return "" }, io.Discard)
	check(t, err)
	c.url = address
	if set != nil {
		set(&c)
	}
	providers, err := c.providers()
	check(t, err)
	s := &site{url: address, market: marketplace.New(store, index, marketplace.Options{
		Key: bytes.Repeat([]byte{7}, marketplace.KeySize), URL: c.url, Alone: true, Demo: c.demo, Providers: titles(providers)})}
	srv.Config, _ = newServer(s.market, index, c, log)
	srv.Start()
	t.Cleanup(func() { srv.Close(); stop(); <-done; index.Close(); store.Close() })
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asProgram acts as the program itself.
func asProgram(t *testing.T) context.Context {
	return marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
}

const goodPassword = "violet harbour tram 19"

// addUser adds a user who can sign in with goodPassword.
func (s *site) addUser(t *testing.T, name string) *marketplace.User {
	t.Helper()
	u := &marketplace.User{Name: name, Email: name + "@city.example"}
	check(t, s.market.AddUser(asProgram(t), u, goodPassword))
	return u
}

// A browser keeps cookies and follows no redirects.
type browser struct {
	t    *testing.T
	site *site
	*http.Client
}

func (s *site) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &browser{t: t, site: s, Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// request sends a request to a path of the site, or to another address, and
// returns the answer and its body. Headers are names and values in turn.
func (b *browser) request(method, to string, body any, headers ...string) (*http.Response, string) {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.site.url + to
	}
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		check(b.t, err)
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, to, sent)
	check(b.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.Do(r)
	check(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(b.t, err)
	return resp, string(text)
}

// ask sends a GraphQL operation and returns the answer.
func (b *browser) ask(query string, headers ...string) string {
	b.t.Helper()
	_, text := b.request("POST", "/graphql", map[string]any{"query": query}, headers...)
	return text
}

// mustSay asks and wants each of the texts in the answer.
func (b *browser) mustSay(query string, texts ...string) string {
	b.t.Helper()
	answer := b.ask(query)
	for _, text := range texts {
		if !strings.Contains(answer, text) {
			b.t.Errorf("%s\n answered %s\n without %s", query, answer, text)
		}
	}
	return answer
}

func (b *browser) signIn(email string) {
	b.t.Helper()
	b.mustSay(`mutation { signIn(input: {email: "`+email+`", password: "`+goodPassword+`"}) { user { name } errors { code } } }`, `"user":{`)
}

// who is the name of the user who is signed in; empty for a visitor.
func (b *browser) who() string {
	b.t.Helper()
	var answer struct {
		Data struct {
			Viewer struct{ User struct{ Name string } }
		}
	}
	check(b.t, json.Unmarshal([]byte(b.ask(`{ viewer { user { name } } }`)), &answer))
	return answer.Data.Viewer.User.Name
}

// cookies are those that the browser would send to the site.
func (b *browser) cookies() []*http.Cookie {
	u, _ := url.Parse(b.site.url)
	return b.Jar.Cookies(u)
}

// later is a time within the life of a token.
func later() string { return time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339) }
