package main

import (
	"context"
	"encoding/csv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
)

// What is printed and exported of an event, for whom.
func TestEventsArePrinted(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	market := marketplace.New(store, nil, marketplace.Options{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	system := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	english := func(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }
	city := &marketplace.City{Meta: marketplace.Meta{ID: "city_oslo", Slug: "oslo"}, TimeZone: "Europe/Oslo"}
	city.Name, city.Country, city.Region = english("Oslo <script>alert(1)</script>"), "NO", marketplace.Europe
	must(market.AddCity(system, city))
	company := &marketplace.Company{Meta: marketplace.Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	company.Name, company.Country, company.Region = english("Acme"), "NO", marketplace.Europe
	must(market.AddCompany(system, company))
	e := &marketplace.Event{Meta: marketplace.Meta{Slug: "meeting"}, Phase: marketplace.EventPublished, Name: english("The meeting"), Format: "ON_SITE", TimeZone: "Asia/Seoul",
		Days:        []marketplace.EventDay{{Date: marketplace.Date(time.Now().AddDate(0, 0, 3).Format(time.DateOnly)), Start: "09:00", End: "10:00"}},
		SlotMinutes: 20, Maximum: 5, LanguageRule: "ANY", Tables: []marketplace.EventTable{{Name: "T1"}, {Name: "T2"}},
		Rules: []marketplace.MeetingRule{{From: "CITY", To: "COMPANY"}}}
	must(market.AddEvent(system, e))
	for _, id := range []marketplace.ID{"city_oslo", "company_acme"} {
		r, err := market.Register(system, marketplace.RegisterInput{Event: e.ID, Member: id, Content: marketplace.Patch{"delegates": []any{map[string]any{"name": "Somebody of " + string(id)}}}})
		must(err)
		_, err = market.MoveRegistration(system, marketplace.MoveRegistrationInput{ID: r.ID, Move: marketplace.RegistrationApprove})
		must(err)
	}
	_, err = market.BookEventMeeting(system, marketplace.BookEventMeetingInput{Event: e.ID, From: "city_oslo", To: "company_acme", Slot: e.Slots[1].StartsAt, Table: new("T2")})
	must(err)

	mux := http.NewServeMux()
	mux.Handle("GET /events/{slug}/print/{what}", printing(market, slog.New(slog.DiscardHandler)))
	transfers := newTransfers(market, &door{market: market}, slog.New(slog.DiscardHandler))
	mux.Handle("GET /export/event/{file}", bounded(transfers.event))
	ask := func(path string, a marketplace.Actor, languages ...marketplace.Language) (*http.Response, string) {
		t.Helper()
		w := httptest.NewRecorder()
		ctx := marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: a, Languages: languages})
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx))
		b, err := io.ReadAll(w.Result().Body)
		must(err)
		return w.Result(), string(b)
	}
	officer := marketplace.Actor{User: "user_off", Secretariat: marketplace.SecretariatOfficer}
	oslo := marketplace.Actor{User: "user_odd", Memberships: []marketplace.Membership{{Member: "city_oslo", Role: marketplace.RoleViewer}}}
	acme := marketplace.Actor{User: "user_ada", Memberships: []marketplace.Membership{{Member: "company_acme", Role: marketplace.RoleViewer}}}
	for _, c := range []struct {
		path string
		by   marketplace.Actor
		want string // in the page; empty: nothing is found
	}{
		{"/events/meeting/print/participants", officer, "Somebody of company_acme"},
		{"/events/meeting/print/tables", officer, "<h2><bdi>T2</bdi></h2>"},
		{"/events/meeting/print/slots", officer, "09:20–09:40"},
		{"/events/meeting/print/agenda?member=city_oslo", officer, "Acme"},
		{"/events/meeting/print/agenda?member=city_oslo", oslo, "Acme"},
		{"/events/meeting/print/agenda?member=city_oslo", acme, ""},
		{"/events/meeting/print/participants", oslo, ""},
		{"/events/meeting/print/participants", marketplace.Actor{}, ""},
		{"/events/meeting/print/nothing", officer, ""},
		{"/events/nowhere/print/slots", officer, ""},
	} {
		answer, page := ask(c.path, c.by)
		if answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", c.path, answer.Header)
		}
		if c.want == "" {
			if answer.StatusCode != http.StatusNotFound || strings.Contains(page, "Acme") {
				t.Errorf("%s: %d %s", c.path, answer.StatusCode, page)
			}
			continue
		}
		if answer.StatusCode != http.StatusOK || !strings.Contains(page, c.want) || strings.Contains(page, "<script") || answer.Header.Get("Content-Security-Policy") != printPolicy {
			t.Errorf("%s: %d %s", c.path, answer.StatusCode, page)
		}
	}
	for language, head := range map[marketplace.Language]string{"en": `<th>Table</th>`, "zh": `<th>桌号</th>`, "ko": `<th>테이블</th>`, "es": `<th>Mesa</th>`, "fr": `<th>Heure</th>`, "ar": `dir="rtl"`} {
		if _, page := ask("/events/meeting/print/participants", officer, language); !strings.Contains(page, head) {
			t.Errorf("in %s: %s", language, page)
		}
	}
	for _, c := range []struct {
		path string
		by   marketplace.Actor
		rows int // 0: nothing is found
	}{
		{"/export/event/meetings.csv?of=meeting", officer, 2},
		{"/export/event/participants.csv?of=" + string(e.ID), officer, 3},
		{"/export/event/report.csv?of=meeting", officer, 46},
		{"/export/event/report.csv?of=meeting&member=city_oslo", oslo, 46},
		{"/export/event/report.csv?of=meeting&member=city_oslo", acme, 0},
		{"/export/event/report.csv?of=meeting", oslo, 0},
		{"/export/event/meetings.csv?of=meeting", oslo, 0},
		{"/export/event/wishes.csv?of=meeting", officer, 0},
	} {
		answer, file := ask(c.path, c.by)
		if c.rows == 0 {
			if answer.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %s", c.path, answer.StatusCode, file)
			}
			continue
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
		if err != nil || answer.StatusCode != http.StatusOK || len(rows) != c.rows {
			t.Errorf("%s: %d, %d rows, %v\n%s", c.path, answer.StatusCode, len(rows), err, file)
		}
	}
}
