package main

import (
	"bytes"
	"io"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/icalendar"
	"citymarket/marketplace/smtpmail"
)

// What came of a meeting is said by the link in a letter: looking changes
// nothing, each answer is one tap, and nobody else's link is good. Before that
// the meeting came into the calendar with a letter, too.
func TestOutcomePage(t *testing.T) {
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
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2030, 3, 4, 8, 0, 0, 0, time.UTC)
	market := marketplace.New(store, nil, marketplace.Options{Alone: true, Key: bytes.Repeat([]byte("k"), marketplace.KeySize), URL: "https://market.example", Mailer: mails,
		Calendar: icalendar.Writer{}, Organizer: mail.Address{Name: "Citymarket", Address: "news@market.example"}, Now: func() time.Time { return now }})
	system := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	english := func(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }
	for _, name := range []string{"oslo", "lima"} {
		c := &marketplace.City{Meta: marketplace.Meta{ID: marketplace.ID("city_" + name), Slug: name}}
		c.Name, c.Country, c.Region = english(strings.ToUpper(name[:1])+name[1:]), "NO", marketplace.Europe
		must(market.AddCity(system, c))
		u := &marketplace.User{Meta: marketplace.Meta{ID: marketplace.ID("user_" + name)}, Name: name, Email: name + "@example.org"}
		if name == "lima" {
			u.Languages = []marketplace.Language{"es"}
		}
		must(market.AddUser(system, u, "plain old purple tractor"))
		must(market.PlaceInTeam(system, c.ID, u.ID, "EDITOR"))
	}
	as := func(name string) marketplace.Viewer {
		return marketplace.Viewer{Actor: marketplace.Actor{User: marketplace.ID("user_" + name), Memberships: []marketplace.Membership{{Member: marketplace.ID("city_" + name), Role: "EDITOR"}}}}
	}
	at := now.Add(24 * time.Hour)
	x, err := market.RequestMeeting(marketplace.WithViewer(system, as("oslo")), marketplace.RequestMeetingInput{From: "city_oslo", To: "city_lima",
		Content: marketplace.Patch{"message": english("Hello"), "minutes": 30, "format": "ONLINE", "times": []time.Time{at}}})
	must(err)
	_, err = market.AcceptMeeting(marketplace.WithViewer(system, as("lima")), marketplace.AcceptMeetingInput{ID: x.ID, Time: at})
	must(err)
	letters := func() string {
		must(market.CatchUp(system))
		files, _ := filepath.Glob(filepath.Join(data, "mail", "*.eml"))
		var all []string
		for _, f := range files {
			b, err := os.ReadFile(f)
			must(err)
			all = append(all, string(b))
			must(os.Remove(f))
		}
		return strings.Join(all, "\n")
	}
	if got := letters(); strings.Count(got, "method=REQUEST") < 2 {
		t.Errorf("both get the meeting for their calendars:\n%.3000s", got)
	}
	now = at.Add(30 * time.Minute)
	text := strings.ReplaceAll(letters(), "=\r\n", "")
	found := regexp.MustCompile(`https://market\.example(/outcome\?m(?:=3D|=)meeting_[0-9a-z]+&u(?:=3D|=)user_lima&s(?:=3D|=)[0-9a-f]{32})`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no link:\n%s", text)
	}
	path := strings.ReplaceAll(found[1], "=3D", "=")
	said := func() string {
		x, err := market.Meeting(marketplace.WithViewer(t.Context(), as("oslo")), x.ID)
		must(err)
		if o := x.ToSide().Outcome(); o != nil {
			return string(o.What())
		}
		return ""
	}
	server := newTestServer(t, market)
	for _, step := range []struct {
		method, path, what string
		status             int
		shows              string
		after              string
	}{
		{http.MethodGet, path, "", 200, `<button name="what" value="AGREED">Hemos llegado a un acuerdo</button>`, ""},
		{http.MethodHead, path, "", 200, "", ""},
		{http.MethodGet, path + "0", "", 404, "", ""},
		{http.MethodPost, path + "0", "AGREED", 404, "", ""},
		{http.MethodPost, strings.Replace(path, "user_lima", "user_oslo", 1), "AGREED", 404, "", ""},
		{http.MethodPost, "/outcome", "AGREED", 404, "", ""},
		{http.MethodPost, path, "", 400, "", ""},
		{http.MethodPost, path, "GREAT", 400, "", ""},
		{http.MethodPut, path, "AGREED", 405, "", ""},
		{http.MethodPost, path, "INFORMATIVE", 200, "Su parte ha indicado: Fue informativa.", "INFORMATIVE"},
		{http.MethodPost, path, "AGREED", 200, `aria-pressed="true">Hemos llegado`, "AGREED"},
		{http.MethodGet, path, "", 200, "Su parte ha indicado", "AGREED"},
	} {
		r, _ := http.NewRequest(step.method, server+step.path, strings.NewReader(url.Values{"what": {step.what}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", server)
		resp, err := http.DefaultClient.Do(r)
		must(err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != step.status || !strings.Contains(string(body), step.shows) || said() != step.after {
			t.Errorf("%s %s %s: %d %s, then %q", step.method, step.path, step.what, resp.StatusCode, body, said())
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", step.method, resp.Header)
		}
	}
}
