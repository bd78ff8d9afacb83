package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/smtpmail"
)

var firstLink = regexp.MustCompile(`/account#invitation=(\S+)`)

// The whole way: the first administrator makes an account by the link that
// the program prints, listens, makes a token, hears of it, and has a letter
// about it in the folder, whose writer is known.
func TestNewsFromEndToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	data := t.TempDir()
	out := newOutput()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- run(running, []string{"-addr", "127.0.0.1:0", "-data", data, "-sample=false", "-mail-from", "Market <news@market.example>"}, func(string) string { return "" }, out, io.Discard)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var link []string
	for link == nil || !strings.Contains(out.String(), "Stop it") {
		select {
		case <-out.changed:
			link = firstLink.FindStringSubmatch(out.String())
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		}
	}
	if !strings.Contains(out.String(), filepath.Join(data, "mail")) {
		t.Errorf("it does not say where letters are: %s", out)
	}
	api := apiAddress.FindStringSubmatch(out.String())[1]
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	ask := func(query string) string {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"query": query})
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, api, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if bytes.Contains(b, []byte(`"message"`)) {
			t.Fatalf("%s: %s", query, b)
		}
		return string(b)
	}
	ask(`mutation { acceptInvitation(input: {link: "` + link[1] + `", email: "ada@example.org", name: "Ada", password: "plain old purple tractor"}) { user { id } errors { message } } }`)

	addToken := func() {
		t.Helper()
		ask(`mutation { addToken(input: {name: "sync", scope: READ, expiresAt: "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}) { token { id } errors { message } } }`)
	}
	addToken()
	var seen []string
	for look := time.NewTicker(5 * time.Millisecond); seen == nil && ctx.Err() == nil; <-look.C {
		seen = regexp.MustCompile(`"id":"(notification_[^"]+)"`).FindStringSubmatch(ask(`{ viewer { notifications { nodes { id } } } }`))
	}
	if seen == nil {
		t.Fatal("nothing was told")
	}
	events := subscribe(t, ctx, client, api+"/stream", `subscription { notifications(after: "`+seen[1]+`") { kind event sentence } }`)
	addToken()
	if got, want := <-events, `{"data":{"notifications":{"kind":"ACCOUNT","event":"token.ADD","sentence":"A token was made by which a program can act for you."}}}`; got != want {
		t.Errorf("came %s", got)
	}
	if got := ask(`{ viewer { notifications(unread: true) { unreadCount nodes { event } } } }`); !strings.Contains(got, `"unreadCount":2`) {
		t.Error(got)
	}
	letter := awaitFile(t, ctx, filepath.Join(data, "mail", "*.eml"))
	for _, want := range []string{"To: \"Ada\" <ada@example.org>", "From: \"Market\" <news@market.example>", "A token was made", "Message-ID: <notification_"} {
		if !strings.Contains(letter, want) {
			t.Errorf("%q is not in the letter:\n%s", want, letter)
		}
	}
}

// subscribe opens a stream and returns the data of its events.
func subscribe(t *testing.T, ctx context.Context, client *http.Client, address, query string) <-chan string {
	t.Helper()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, address+"?query="+url.QueryEscape(query), nil)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	events := make(chan string, 10)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				events <- data
			}
		}
	}()
	return events
}

// newTestServer serves a marketplace without a search index.
func newTestServer(t *testing.T, market *marketplace.Market) (address string) {
	t.Helper()
	server, _ := newServer(market, nil, config{timeout: time.Second, concurrency: 4}, slog.New(slog.DiscardHandler))
	listening := httptest.NewServer(server.Handler)
	t.Cleanup(listening.Close)
	return listening.URL
}

// awaitFile returns the text of the first file of a pattern when it is there.
func awaitFile(t *testing.T, ctx context.Context, pattern string) string {
	t.Helper()
	for look := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-look.C {
		if files, _ := filepath.Glob(pattern); len(files) > 0 {
			b, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
	t.Fatal("no letter")
	return ""
}

// The link that ends letters: scanners of mail follow it and change nothing,
// mail programs post to it, and what was tampered with is not found.
func TestUnsubscribePage(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	store, err := openStore(t.Context(), config{data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	mails, err := smtpmail.OpenFolder(filepath.Join(data, "mail"), "news@market.example")
	if err != nil {
		t.Fatal(err)
	}
	market := marketplace.New(store, nil, marketplace.Options{Alone: true, Key: bytes.Repeat([]byte("k"), marketplace.KeySize), URL: "https://market.example", Mailer: mails})
	system := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	c := &marketplace.Company{Meta: marketplace.Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	c.Name, c.Country, c.Region = marketplace.Text{{Language: "en", Text: "Acme"}}, "NO", marketplace.Europe
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(market.AddCompany(system, c))
	for _, id := range []marketplace.ID{"user_ada", "user_bob"} {
		must(market.AddUser(system, &marketplace.User{Meta: marketplace.Meta{ID: id}, Name: string(id[5:]), Email: string(id[5:]) + "@example.org"}, "plain old purple tractor"))
		must(market.PlaceInTeam(system, c.ID, id, "OWNER"))
	}
	must(market.CatchUp(system))
	letter := awaitFile(t, t.Context(), filepath.Join(data, "mail", "*.eml"))
	if !strings.Contains(letter, "List-Unsubscribe-Post: List-Unsubscribe=One-Click") {
		t.Errorf("no one-click header:\n%s", letter)
	}
	found := regexp.MustCompile(`List-Unsubscribe:\s*<https://market\.example([^>]+)>`).FindStringSubmatch(letter)
	if found == nil {
		t.Fatalf("no link:\n%s", letter)
	}
	path := found[1]
	channel := func() marketplace.Channel {
		user := marketplace.ID(regexp.MustCompile(`u=([^&]+)`).FindStringSubmatch(path)[1])
		ctx := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: user}})
		u, err := market.User(ctx, user)
		must(err)
		list := u.VisiblePreferences(ctx)
		return list[slices.IndexFunc(list, func(p *marketplace.Preference) bool { return p.Kind == marketplace.NotifyTeam })].Channel
	}
	server := newTestServer(t, market)
	for _, step := range []struct {
		method, path, accept string
		status               int
		shows                string
		after                marketplace.Channel
	}{
		{http.MethodGet, path, "", 200, "<button>End these letters</button>", "EMAIL"},
		{http.MethodHead, path, "", 200, "", "EMAIL"},
		{http.MethodGet, path, "ar", 200, `dir="rtl"`, "EMAIL"},
		{http.MethodPost, path + "0", "", 404, "", "EMAIL"},
		{http.MethodGet, path + "0", "", 404, "", "EMAIL"},
		{http.MethodPost, strings.Replace(path, "k=TEAM", "k=OFFER", 1), "", 404, "", "EMAIL"},
		{http.MethodPost, "/unsubscribe", "", 404, "", "EMAIL"},
		{http.MethodPut, path, "", 405, "", "EMAIL"},
		{http.MethodPost, path, "", 200, "no more letters", "IN_APP"},
		{http.MethodPost, path, "es", 200, "No recibirá", "IN_APP"},
	} {
		r, _ := http.NewRequest(step.method, server+step.path, strings.NewReader("List-Unsubscribe=One-Click"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept-Language", step.accept)
		resp, err := http.DefaultClient.Do(r)
		must(err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != step.status || !strings.Contains(string(body), step.shows) || channel() != step.after {
			t.Errorf("%s %s: %d %s, then %s", step.method, step.path, resp.StatusCode, body, channel())
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", step.method, resp.Header)
		}
	}
}
