package smtpmail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

const from = `"Citymarket" <market@example.net>`

func letter() marketplace.Mail {
	return marketplace.Mail{
		ID: "meeting_06d2k3.1", To: netmail.Address{Name: "김하나", Address: "hana@example.org"},
		Subject: "회의 요청: 서울특별시와 카이로 مدينة القاهرة 智慧交通合作会议，请在三月二日之前回复", Text: "안녕하세요.\n.\n회의 시간을 정해 주세요. = 17:30\n", HTML: "<p>안녕하세요.</p>",
		Unsubscribe: "https://market.example/unsubscribe?token=" + strings.Repeat("a", 60),
		Attachments: []marketplace.Attachment{{Name: "회의 시간.ics", Type: "text/calendar; method=REQUEST; charset=utf-8", Data: []byte("BEGIN:VCALENDAR\r\n\x00\xff")}, {Name: "plain.txt", Type: "text/plain", Data: []byte("b")}},
	}
}

// open makes a mailer for a server that is called by a name of the world
// outside, but answered by the fake.
func open(t *testing.T, f *fake, rawURL string, change func(*Config)) *Server {
	t.Helper()
	c := Config{URL: rawURL, From: from}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, f.Addr().String())
	}
	return s
}

// A letter arrives as it was written: by STARTTLS or TLS, signed in, with
// every part readable by the standard library.
func TestLetterArrives(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t, "mail.example.net")
	for scheme, f := range map[string]*fake{
		"smtp":  {cert: cert, starttls: true, login: "us er:p@ss/word"},
		"smtps": {cert: cert, implied: true, login: "us er:p@ss/word"},
	} {
		f.start(t)
		s := open(t, f, scheme+"://us%20er:p%40ss%2Fword@mail.example.net", func(c *Config) { c.RootCAs = pool })
		if err := s.Send(t.Context(), letter()); err != nil {
			t.Fatal(scheme, err)
		}
		heard := f.heard()
		if len(heard) != 1 {
			t.Fatalf("%s: %d connections", scheme, len(heard))
		}
		got := heard[0]
		if !got.secure || !got.signedIn || got.greeting != "example.net" || got.from != "FROM:<market@example.net> BODY=8BITMIME" || got.to != "TO:<hana@example.org>" {
			t.Errorf("%s: %+v", scheme, got)
		}
		isLetter(t, got.data)
	}
}

// isLetter reads a message as mail programs do and compares it with letter.
func isLetter(t *testing.T, data string) {
	t.Helper()
	for line := range strings.SplitSeq(data, "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r >= 0x7f }) {
			t.Errorf("a line that not every server takes: %q", line)
		}
	}
	want := letter()
	msg, err := netmail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != want.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	to, err := msg.Header.AddressList("To")
	if err != nil || len(to) != 1 || *to[0] != want.To {
		t.Errorf("to %v, %v", to, err)
	}
	if _, err := msg.Header.Date(); err != nil {
		t.Error(err)
	}
	for name, value := range map[string]string{
		"From": `"Citymarket" <market@example.net>`, "Message-Id": "<meeting_06d2k3.1@example.net>", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
		"List-Unsubscribe": "<" + want.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "User-Agent": "", "X-Mailer": "", "Bcc": "",
	} {
		if got := msg.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	var leaves []string
	walk(t, msg.Header.Get, msg.Body, func(kind, name, body string) { leaves = append(leaves, kind+"|"+name+"|"+body) })
	crlf := strings.NewReplacer("\r\n", "\n")
	wanted := []string{"text/plain||" + want.Text, "text/html||" + want.HTML, "text/calendar|회의 시간.ics|" + crlf.Replace(string(want.Attachments[0].Data)), "text/plain|plain.txt|b"}
	for i := range leaves {
		leaves[i] = crlf.Replace(leaves[i])
	}
	if fmt.Sprintf("%q", leaves) != fmt.Sprintf("%q", wanted) {
		t.Errorf("parts\n%q, want\n%q", leaves, wanted)
	}
}

// walk reads the parts of a message, those inside others included.
func walk(t *testing.T, header func(string) string, body io.Reader, leaf func(kind, name, body string)) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		if strings.HasPrefix(kind, "text/") && kind != "text/plain" && !strings.EqualFold(params["charset"], "utf-8") {
			t.Errorf("%s in %q", kind, params["charset"])
		}
		switch header("Content-Transfer-Encoding") {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		_, disposition, _ := mime.ParseMediaType(header("Content-Disposition"))
		leaf(kind, disposition["filename"], string(b))
		return
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		walk(t, p.Header.Get, p, leaf)
	}
}

// Who says no for good, and who only for now.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const user = "smtp://user:secret@127.0.0.1"
	for name, c := range map[string]struct {
		fake    *fake
		url     string
		refused bool
	}{
		"sender refused":           {&fake{replies: map[string]string{"MAIL": "550 5.7.1 not you"}}, "", true},
		"sender must sign in":      {&fake{replies: map[string]string{"MAIL": "530 5.7.0 sign in"}}, "", false},
		"sender later":             {&fake{replies: map[string]string{"MAIL": "451 4.3.0 later"}}, "", false},
		"no such recipient":        {&fake{replies: map[string]string{"RCPT": "550 5.1.1 no such user"}}, "", true},
		"several lines of refusal": {&fake{replies: map[string]string{"RCPT": "550-5.1.1 no such user\n550 5.1.1 really"}}, "", true},
		"greylisted":               {&fake{replies: map[string]string{"RCPT": "450 4.2.0 greylisted"}}, "", false},
		"too large":                {&fake{replies: map[string]string{"DATA": "552 5.3.4 too large"}}, "", true},
		"content refused":          {&fake{replies: map[string]string{"end": "554 5.7.1 looks like spam"}}, "", true},
		"queue full":               {&fake{replies: map[string]string{"end": "452 4.3.1 queue full"}}, "", false},
		"no service":               {&fake{replies: map[string]string{"": "554 no service"}}, "", false},
		"no service now":           {&fake{replies: map[string]string{"": "421 4.3.2 shutting down"}}, "", false},
		"wrong password":           {&fake{login: "user:other"}, user, false},
		"no sign-in offered":       {&fake{}, user, false},
		"hangs up at once":         {&fake{replies: map[string]string{"": "close"}}, "", false},
		"hangs up on the content":  {&fake{replies: map[string]string{"end": "close"}}, "", false},
		"nonsense":                 {&fake{replies: map[string]string{"RCPT": "hello?"}}, "", false},
	} {
		f := c.fake
		f.start(t)
		if c.url == "" {
			c.url = "smtp://localhost"
		}
		err := open(t, f, c.url, nil).Send(t.Context(), letter())
		if err == nil || errors.Is(err, marketplace.ErrMailRefused) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hana@") || len(err.Error()) > 700) {
			t.Errorf("%s: says too much: %v", name, err)
		}
	}
}

// A mail that was accepted was sent, however the server takes leave.
func TestAcceptedIsSent(t *testing.T) {
	t.Parallel()
	for _, leave := range []string{"close", "500 what?", "421 too late", "hang"} {
		f := (&fake{replies: map[string]string{"QUIT": leave}}).start(t)
		if err := open(t, f, "smtp://localhost", nil).Send(t.Context(), letter()); err != nil {
			t.Errorf("%s: %v", leave, err)
		}
	}
}

// Passwords and letters do not leave this machine in clear, nor to a server
// that nobody vouches for.
func TestNothingGoesInClear(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t, "mail.example.net")
	other, _ := certificate(t, "mail.example.net")
	for name, c := range map[string]struct {
		fake *fake
		url  string
	}{
		"no STARTTLS":           {&fake{login: "user:secret"}, "smtp://user:secret@mail.example.net"},
		"no STARTTLS, no user":  {&fake{}, "smtp://mail.example.net"},
		"STARTTLS fails":        {&fake{cert: cert, starttls: true, login: "user:secret", replies: map[string]string{"STARTTLS": "454 not now"}}, "smtp://user:secret@mail.example.net"},
		"unknown authority":     {&fake{cert: other, starttls: true, login: "user:secret"}, "smtp://user:secret@mail.example.net"},
		"somebody else":         {&fake{cert: cert, starttls: true, login: "user:secret"}, "smtp://user:secret@mail.example.org"},
		"unknown authority TLS": {&fake{cert: other, implied: true, login: "user:secret"}, "smtps://user:secret@mail.example.net"},
		"no TLS where expected": {&fake{login: "user:secret", replies: map[string]string{"": "220 hello"}}, "smtps://user:secret@mail.example.net"},
	} {
		f := c.fake
		f.start(t)
		s := open(t, f, c.url, func(c *Config) { c.RootCAs = pool })
		if err := s.Send(t.Context(), letter()); err == nil || errors.Is(err, marketplace.ErrMailRefused) {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range f.heard() {
			if s.from != "" || s.signedIn || s.data != "" {
				t.Errorf("%s: the server heard %+v", name, s)
			}
		}
	}
	// On this machine, a certificate that nobody vouches for is good enough.
	for name, f := range map[string]*fake{
		"with STARTTLS":    {cert: other, starttls: true, login: "user:secret"},
		"without STARTTLS": {login: "user:secret"},
	} {
		f.start(t)
		if err := open(t, f, "smtp://user:secret@127.0.0.1", nil).Send(t.Context(), letter()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.heard(); got[0].secure != f.starttls || !got[0].signedIn {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A server that stops answering costs the time-out, at whatever point, and
// so does one that the caller gives up on.
func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "end"} {
		f := (&fake{replies: map[string]string{at: "hang"}}).start(t)
		s := open(t, f, "smtp://localhost", func(c *Config) { c.Timeout = 100 * time.Millisecond })
		if err := s.Send(t.Context(), letter()); err == nil || errors.Is(err, marketplace.ErrMailRefused) || !strings.Contains(err.Error(), "longer than 100ms") {
			t.Errorf("at %q: %v", at, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		s = open(t, f, "smtp://localhost", nil)
		dial := s.dial
		s.dial = func(c context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(c, network, address)
			cancel(errors.New("never mind"))
			return conn, err
		}
		start := time.Now()
		if err := s.Send(ctx, letter()); err == nil || !strings.Contains(err.Error(), "never mind") || time.Since(start) > DefaultTimeout/2 {
			t.Errorf("at %q: %v after %v", at, err, time.Since(start))
		}
	}
}

func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	f := new(fake).start(t)
	s := open(t, f, "smtp://localhost", nil)
	dir := t.TempDir()
	folder, err := OpenFolder(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*marketplace.Mail){
		"subject":   func(m *marketplace.Mail) { m.Subject += "\r\nBcc: all@example.org" },
		"name":      func(m *marketplace.Mail) { m.To.Name += "\r\nBcc: all@example.org" },
		"recipient": func(m *marketplace.Mail) { m.To.Address += ">\r\nRCPT TO:<all@example.org" },
		"ID":        func(m *marketplace.Mail) { m.ID = "../../x" },
	} {
		m := letter()
		change(&m)
		for _, mailer := range []marketplace.Mailer{s, folder} {
			if err := mailer.Send(t.Context(), m); !errors.Is(err, marketplace.ErrMailRefused) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if heard := f.heard(); len(heard) != 0 {
		t.Errorf("the server heard %+v", heard)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("written: %v", files)
	}
	// What looks like SMTP in the text stays text.
	m := letter()
	m.Subject, m.Text, m.HTML, m.Attachments = "Hello", "Hello\r\n.\r\nMAIL FROM:<x@example.org>\r\n", "", nil
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if heard := f.heard(); len(heard) != 1 || !strings.Contains(heard[0].data, "MAIL FROM") {
		t.Errorf("%+v", heard)
	}
}

// An address in another script asks for the extension that it needs.
func TestAddressInAnotherScript(t *testing.T) {
	t.Parallel()
	f := new(fake).start(t)
	m := letter()
	m.To = netmail.Address{Address: "用户@例子.公司"}
	if err := open(t, f, "smtp://localhost", nil).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := f.heard()[0]; !strings.Contains(got.from, "SMTPUTF8") || got.to != "TO:<用户@例子.公司>" {
		t.Errorf("%+v", got)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url, from, address string
	}{
		{"smtp://mail.example.net", from, "mail.example.net:587"},
		{"smtps://mail.example.net/", "market@example.net", "mail.example.net:465"},
		{"smtp://[::1]:2525", from, "[::1]:2525"},
		{"smtp://mail.example.net:0", from, ""},
		{"smtp://mail.example.net:99999", from, ""},
		{"smtp://user:secret@", from, ""},
		{"smtp://user:secret@mail.example.net/x", from, ""},
		{"smtp://user:secret@mail.example.net?tls=no", from, ""},
		{"http://user:secret@mail.example.net", from, ""},
		{"mail.example.net:587", from, ""},
		{"smtp://user:secret@bad host", from, ""},
		{"", from, ""},
		{"smtp://mail.example.net", "market", ""},
		{"smtp://mail.example.net", "", ""},
	} {
		s, err := New(Config{URL: c.url, From: c.from})
		if (err == nil) != (c.address != "") || err == nil && s.address != c.address {
			t.Errorf("%q: %v", c.url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", c.url, err)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "mail")
	f, err := OpenFolder(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 8, 30, 0, 123e6, time.UTC)
	f.now = func() time.Time { return now }
	for _, other := range []string{"notes.txt", "new-123.tmp", "20200101.eml"} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	const name = "20260302T083000.123Z-meeting_06d2k3.1.eml"
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	isLetter(t, string(b))
	if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	if !strings.Contains(string(b), "Date: Mon, 02 Mar 2026 08:30:00 +0000") {
		t.Error("another time than its name's")
	}
	// The newest stay, other people's files too.
	f.keep = 3
	var wg sync.WaitGroup
	f.now = func() time.Time { now = now.Add(time.Minute); return now } // under the folder's lock
	for i := range 5 {
		wg.Go(func() {
			m := letter()
			m.ID = fmt.Sprintf("m%d", i)
			if err := f.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name()[:min(len(e.Name()), 13)])
	}
	if got := strings.Join(names, " "); got != "20200101.eml 20260302T0833 20260302T0834 20260302T0835 notes.txt" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Send(ctx, letter()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Send(t.Context(), letter()); err == nil || errors.Is(err, marketplace.ErrMailRefused) {
		t.Errorf("no directory: %v", err)
	}
}
