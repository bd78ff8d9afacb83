package icalendar_test

import (
	"bytes"
	"flag"
	"net/mail"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	ical "github.com/emersion/go-ical"
	"pgregory.net/rapid"

	"citymarket/marketplace"
	"citymarket/marketplace/icalendar"
)

var update = flag.Bool("update", false, "write the golden files")

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func meeting(t testing.TB) marketplace.CalendarEvent {
	return marketplace.CalendarEvent{
		UID: "meeting_1@market.example.org", Sequence: 2, Status: marketplace.CalendarConfirmed, Start: at(t, "2026-10-25T00:30:00Z"), Minutes: 60, Stamp: at(t, "2026-10-01T08:00:00Z"),
		Summary: "काठमाडौँ महानगरपालिका ↔ Ny-Ålesund; 1, 2", Description: "Flood gauges:\nin the valley, “now”; C:\\data\n\n한국어 회의 — 議題を確認してください。" + strings.Repeat("長い行", 40),
		Location: "Room 5, 2nd floor; left", URL: "https://meet.example.org/x?a=1&b=2,3;c",
		Organizer: mail.Address{Name: "Citymarket", Address: "market@example.org"},
	}
}

func write(t testing.TB, c marketplace.CalendarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (icalendar.Writer{}).WriteCalendar(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads a file with another library, and holds what RFC 5545 says of its
// bytes: lines end with CRLF, have at most 75 bytes, and are whole characters.
func read(t rapid.TB, file []byte) *ical.Calendar {
	text, ok := strings.CutSuffix(string(file), "\r\n")
	if !ok || !utf8.ValidString(text) {
		t.Fatalf("%q", file)
	}
	for _, line := range strings.Split(text, "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") || strings.TrimSpace(line) == "" {
			t.Fatalf("%d bytes: %q", len(line), line)
		}
	}
	c, err := ical.NewDecoder(bytes.NewReader(file)).Decode()
	if err != nil {
		t.Fatalf("%v in %s", err, file)
	}
	// Its encoder checks which properties there must be, and how often.
	if err := ical.NewEncoder(new(bytes.Buffer)).Encode(c); err != nil && len(c.Children) > 0 {
		t.Fatalf("%v in %s", err, file)
	}
	return c
}

func property(t rapid.TB, c *ical.Component, name string) string {
	p := c.Props.Get(name)
	if p == nil {
		return ""
	}
	s, err := p.Text()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The files as they are sent.
func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	request, cancel := meeting(t), meeting(t)
	request.Attendees = []mail.Address{{Name: `O'Brien, "Bo"; A:B\C`, Address: "bo@example.org"}}
	cancel.Attendees, cancel.Status, cancel.Sequence = request.Attendees, marketplace.CalendarCancelled, 3
	other := meeting(t)
	other.UID, other.Status, other.Start = "meeting_2@market.example.org", marketplace.CalendarCancelled, at(t, "2026-03-29T00:45:00Z")
	for name, c := range map[string]marketplace.CalendarFile{
		"request": {Method: marketplace.CalendarRequest, Events: []marketplace.CalendarEvent{request}},
		"cancel":  {Method: marketplace.CalendarCancel, Events: []marketplace.CalendarEvent{cancel}},
		"feed":    {Method: marketplace.CalendarPublish, Name: "Meetings, all", Refresh: time.Hour, Events: []marketplace.CalendarEvent{meeting(t), other}},
		"empty":   {Method: marketplace.CalendarPublish, Name: "None"},
	} {
		got := write(t, c)
		read(t, got)
		path := "testdata/" + name + ".ics"
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// Another library reads what was written, whatever people typed; nothing that
// they typed becomes a line of its own.
func TestAnotherLibraryReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	pieces := []string{"\r\n", "\n", "\r", "\\", `\n`, ";", ",", ":", `"`, "'", " ", "\t", "\x00", "\x7f", "\u2028", "\u0085", "\xff", "BEGIN:VEVENT", "END:VCALENDAR", "\r\nATTENDEE:mailto:eve@example.org\r\n",
		"é", "ё", "会议", "회의", "اجتماع", "😀", "👩‍👩‍👧", "\u202e", "\ufeff", "a", "lorem ipsum", strings.Repeat("x", 80), strings.Repeat("語", 40), "^n", "<", ">", "=", "%0D%0A"}
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(1.5e9, 4e9).Draw(t, "start"), 0).UTC()
		e := marketplace.CalendarEvent{
			UID: "meeting_x@example.org", Sequence: rapid.IntRange(0, 1000).Draw(t, "sequence"), Status: marketplace.CalendarConfirmed, Start: start, Minutes: rapid.IntRange(1, 600).Draw(t, "minutes"),
			Stamp: start.Add(-time.Hour), Summary: text.Draw(t, "summary"), Description: text.Draw(t, "description"), Location: text.Draw(t, "location"), URL: "https://example.org/" + text.Draw(t, "url"),
			Organizer: mail.Address{Name: text.Draw(t, "organizer"), Address: "market@example.org"}, Attendees: []mail.Address{{Name: text.Draw(t, "attendee"), Address: "ada@example.org"}},
		}
		var b bytes.Buffer
		if err := (icalendar.Writer{}).WriteCalendar(&b, marketplace.CalendarFile{Method: marketplace.CalendarRequest, Name: text.Draw(t, "name"), Events: []marketplace.CalendarEvent{e}}); err != nil {
			t.Fatal(err)
		}
		c := read(t, b.Bytes())
		events := c.Events()
		if len(c.Children) != 1 || len(events) != 1 || len(events[0].Children) != 0 {
			t.Fatalf("%s", b.Bytes())
		}
		v := events[0]
		from, err := v.DateTimeStart(time.UTC)
		until, err2 := v.DateTimeEnd(time.UTC)
		if err != nil || err2 != nil || !from.Equal(start) || !until.Equal(start.Add(time.Duration(e.Minutes)*time.Minute)) {
			t.Fatalf("%s to %s: %v %v", from, until, err, err2)
		}
		for name, want := range map[string]string{"SUMMARY": oneLine(e.Summary), "LOCATION": oneLine(e.Location), "DESCRIPTION": manyLines(e.Description), "UID": e.UID} {
			if got := property(t, v.Component, name); got != want {
				t.Fatalf("%s: %q instead of %q in\n%s", name, got, want, b.Bytes())
			}
		}
		for name, want := range map[string]string{"ORGANIZER": "mailto:market@example.org", "ATTENDEE": "mailto:ada@example.org"} {
			p := v.Props.Values(name)
			if len(p) != 1 || p[0].Value != want {
				t.Fatalf("%s: %v", name, p)
			}
			if cn := p[0].Params["CN"]; len(cn) > 1 || len(cn) == 1 && strings.ContainsAny(cn[0], `\,;:"'`) {
				t.Fatalf("%q", cn)
			}
		}
		allowed := "DTSTAMP LAST-MODIFIED SEQUENCE STATUS DTSTART DTEND SUMMARY DESCRIPTION LOCATION URL ORGANIZER ATTENDEE TRANSP UID"
		for name, list := range v.Props {
			if !strings.Contains(allowed, name) || len(list) != 1 {
				t.Fatalf("%d %s in %s", len(list), name, b.Bytes())
			}
		}
	})
}

// oneLine and manyLines say what is to be left of a text.
func oneLine(s string) string { return shorten(strings.Join(strings.Fields(characters(s)), " "), 300) }

func manyLines(s string) string {
	for _, end := range []string{"\r\n", "\r", "\u2028", "\u0085"} {
		s = strings.ReplaceAll(s, end, "\n")
	}
	return shorten(strings.TrimSpace(characters(s)), 8000)
}

func characters(s string) string {
	return strings.NewReplacer("\x00", "", "\x7f", "", "\xff", "").Replace(strings.ToValidUTF8(s, ""))
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return s
}

// What RFC 5546 does not allow is not written at all.
func TestWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	bo := []mail.Address{{Address: "bo@example.org"}}
	for name, change := range map[string]func(c *marketplace.CalendarFile, e *marketplace.CalendarEvent){
		"no method":           func(c *marketplace.CalendarFile, _ *marketplace.CalendarEvent) { c.Method = "" },
		"an unknown method":   func(c *marketplace.CalendarFile, _ *marketplace.CalendarEvent) { c.Method = "REPLY\r\nX:Y" },
		"nobody is asked":     func(c *marketplace.CalendarFile, _ *marketplace.CalendarEvent) { c.Method = "REQUEST" },
		"attendees in public": func(_ *marketplace.CalendarFile, e *marketplace.CalendarEvent) { e.Attendees = bo },
		"no organizer":        func(_ *marketplace.CalendarFile, e *marketplace.CalendarEvent) { e.Organizer = mail.Address{} },
		"no UID":              func(_ *marketplace.CalendarFile, e *marketplace.CalendarEvent) { e.UID = "" },
		"a UID of two lines":  func(_ *marketplace.CalendarFile, e *marketplace.CalendarEvent) { e.UID = "a\r\nb" },
		"no length":           func(_ *marketplace.CalendarFile, e *marketplace.CalendarEvent) { e.Minutes = 0 },
		"a request for what is off": func(c *marketplace.CalendarFile, e *marketplace.CalendarEvent) {
			c.Method, e.Status, e.Attendees = "REQUEST", "CANCELLED", bo
		},
		"cancelled and confirmed": func(c *marketplace.CalendarFile, e *marketplace.CalendarEvent) { c.Method, e.Attendees = "CANCEL", bo },
	} {
		e := meeting(t)
		c := marketplace.CalendarFile{Method: marketplace.CalendarPublish}
		change(&c, &e)
		c.Events = []marketplace.CalendarEvent{e}
		var b bytes.Buffer
		if err := (icalendar.Writer{}).WriteCalendar(&b, c); err == nil || b.Len() > 0 {
			t.Errorf("%s: written", name)
		}
	}
	var b bytes.Buffer
	if err := (icalendar.Writer{}).WriteCalendar(&b, marketplace.CalendarFile{Method: "PUBLISH", Events: make([]marketplace.CalendarEvent, 1001)}); err == nil {
		t.Error("too many events are written")
	}
}
