package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ical "github.com/emersion/go-ical"

	"citymarket/marketplace"
	"citymarket/marketplace/icalendar"
	"citymarket/marketplace/sqlitestore"
)

// Calendar programs read a user's meetings by an address, ask again whether
// there is news, and learn nothing by any other one.
func TestCalendarsOverHTTP(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	market := marketplace.New(store, nil, marketplace.Options{Calendar: icalendar.Writer{}, Organizer: mail.Address{Name: "Citymarket", Address: "market@example.org"}})
	system := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	text := func(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }
	city := &marketplace.City{Meta: marketplace.Meta{ID: "city_kathmandu", Slug: "kathmandu"}, TimeZone: "Asia/Kathmandu"}
	city.Name, city.Country, city.Region = text(`Kathmandu; the city, \n`), "NP", marketplace.AsiaPacific
	company := &marketplace.Company{Meta: marketplace.Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	company.Name, company.Country, company.Region = text("Acme"), "NO", marketplace.Europe
	as := func(user, member marketplace.ID) context.Context {
		return marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: user, Via: "session_test", Memberships: []marketplace.Membership{{Member: member, Role: "EDITOR"}}}}))
	}
	ada, ram := as("user_ada", company.ID), as("user_ram", city.ID)
	if err := errors.Join(market.AddCity(system, city), market.AddCompany(system, company),
		market.AddUser(system, &marketplace.User{Meta: marketplace.Meta{ID: "user_ada"}, Name: "Ada", Email: "ada@example.org"}, "correct horse battery staple"),
		market.AddUser(system, &marketplace.User{Meta: marketplace.Meta{ID: "user_ram"}, Name: "Ram", Email: "ram@example.org"}, "correct horse battery staple"),
		market.PlaceInTeam(system, company.ID, "user_ada", "EDITOR"), market.PlaceInTeam(system, city.ID, "user_ram", "EDITOR")); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(15 * time.Minute)
	x, err := market.RequestMeeting(ada, marketplace.RequestMeetingInput{From: company.ID, To: city.ID, Content: marketplace.Patch{
		"message": text("Hello,\nATTENDEE:mailto:eve@example.org"), "minutes": 45, "format": "ONLINE", "link": "https://meet.example.org/1?a=1,2;b", "times": []time.Time{at}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := market.AcceptMeeting(ram, marketplace.AcceptMeetingInput{ID: x.ID, Time: at}); err != nil {
		t.Fatal(err)
	}
	_, feed, err := market.MakeCalendarFeed(ada)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := market.AddToken(ada, marketplace.AddTokenInput{Name: "test", Scope: marketplace.ScopeRead, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	log := newOutput()
	handler, _ := newServer(market, nil, config{concurrency: 4, timeout: time.Second}, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	server := httptest.NewServer(handler.Handler)
	t.Cleanup(server.Close)

	status, header, body := request(t, http.MethodGet, server.URL+feed, "", "", nil)
	c, err := ical.NewDecoder(strings.NewReader(body)).Decode()
	if status != http.StatusOK || err != nil || len(c.Events()) != 1 || header.Get("Content-Type") != "text/calendar; charset=utf-8" || header.Get("Cache-Control") != "private, no-cache" || header.Get("Last-Modified") != "" {
		t.Fatalf("%d %v %v\n%s", status, err, header, body)
	}
	e := c.Events()[0]
	start, _ := e.DateTimeStart(time.UTC)
	end, _ := e.DateTimeEnd(time.UTC)
	summary, _ := e.Props.Text("SUMMARY")
	description, _ := e.Props.Text("DESCRIPTION")
	if !start.Equal(at) || !end.Equal(at.Add(45*time.Minute)) || summary != `Meeting with Kathmandu; the city, \n` || e.Props.Get("UID").Value != string(x.ID)+"@citymarket" ||
		len(e.Props["ATTENDEE"]) != 0 || e.Props.Get("URL").Value != x.Link || !strings.Contains(description, "(UTC+05:45)") || !strings.Contains(description, "\nATTENDEE:mailto:eve@example.org") {
		t.Errorf("%s", body)
	}
	for _, r := range []struct {
		name, method, path, token, match string
		status                           int
		part                             string
	}{
		{"the same", "GET", feed, "", header.Get("ETag"), http.StatusNotModified, ""},
		{"others", "GET", feed, "", `"x"`, http.StatusOK, "BEGIN:VCALENDAR"},
		{"only its head", "HEAD", feed, "", "", http.StatusOK, ""},
		{"another secret", "GET", "/calendar/" + strings.Repeat("0", 52) + ".ics", "", "", http.StatusNotFound, "there is no such calendar, or none that you may see"},
		{"no secret", "GET", "/calendar/.ics", "", "", http.StatusNotFound, "there is no such calendar, or none that you may see"},
		{"without its ending", "GET", strings.TrimSuffix(feed, ".ics"), "", "", http.StatusNotFound, "there is no such calendar, or none that you may see"},
		{"a POST", "POST", feed, "", "", http.StatusMethodNotAllowed, ""},
		{"one meeting", "GET", "/calendar/meeting/" + string(x.ID) + ".ics", token, "", http.StatusOK, "METHOD:PUBLISH"},
		{"one meeting, by a visitor", "GET", "/calendar/meeting/" + string(x.ID) + ".ics", "", "", http.StatusNotFound, "there is no such calendar, or none that you may see"},
		{"no meeting", "GET", "/calendar/meeting/company_acme.ics", token, "", http.StatusNotFound, "there is no such calendar, or none that you may see"},
	} {
		q, err := http.NewRequest(r.method, server.URL+r.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("If-None-Match", r.match)
		if r.token != "" {
			q.Header.Set("Authorization", "Bearer "+r.token)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		b.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != r.status || !strings.Contains(b.String(), r.part) || r.status == http.StatusNotModified && b.Len() > 0 {
			t.Errorf("%s: %d %s", r.name, resp.StatusCode, b.String())
		}
	}
	for range 30 {
		status, header, body = request(t, http.MethodGet, server.URL+feed, "", "", nil)
	}
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || strings.Contains(body, "VCALENDAR") {
		t.Errorf("%d %v %s", status, header, body)
	}
	if secret := strings.TrimSuffix(strings.TrimPrefix(feed, "/calendar/"), ".ics"); strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "/calendar/...") {
		t.Error("the secret is in the log")
	}
}
