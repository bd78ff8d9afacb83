package marketplace

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
)

func goodMail() Mail {
	return Mail{
		ID: "reset_06d2k3.1", To: mail.Address{Name: "Ada Lovelace", Address: "ada@example.org"}, Subject: "도시 간 협력", Text: "안녕하세요.\n", HTML: "<p>안녕하세요.</p>",
		Unsubscribe: "https://market.example/unsubscribe?token=a-b_c", Attachments: []Attachment{{"회의.ics", "text/calendar; charset=utf-8; method=REQUEST", []byte("BEGIN:VCALENDAR")}},
	}
}

func TestMailThatMayBeSent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Mail){
		"as it is":            func(*Mail) {},
		"nothing but text":    func(m *Mail) { m.HTML, m.Unsubscribe, m.Attachments, m.To.Name = "", "", nil, "" },
		"a quote in a name":   func(m *Mail) { m.To.Name = `Ada "the Countess" <Lovelace>, Esq.` },
		"an Arabic subject":   func(m *Mail) { m.Subject = "مدينة القاهرة \u200f(2026)" },
		"an address in UTF-8": func(m *Mail) { m.To.Address = "用户@例子.公司" },
		"a plus and a dot":    func(m *Mail) { m.To.Address = "ada.lovelace+city@sub.example.org" },
		"a long subject":      func(m *Mail) { m.Subject = strings.Repeat("市", 250) },
		"carriage returns":    func(m *Mail) { m.Text = "a\r\nb\tc" },
	} {
		m := goodMail()
		change(&m)
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a stranger may have typed cannot add a header, a recipient or a
// body, and nothing grows without bound.
func TestMailThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Mail){
		"header in the subject":    func(m *Mail) { m.Subject = "Hello\r\nBcc: all@example.org" },
		"line feed in the subject": func(m *Mail) { m.Subject = "Hello\nBcc: all@example.org" },
		"NEL in the subject":       func(m *Mail) { m.Subject = "Hello\u0085Bcc: all@example.org" },
		"line separator":           func(m *Mail) { m.Subject = "Hello\u2028Bcc: all@example.org" },
		"NUL in the subject":       func(m *Mail) { m.Subject = "Hello\x00" },
		"not UTF-8":                func(m *Mail) { m.Subject = "\xff" },
		"empty subject":            func(m *Mail) { m.Subject = " " },
		"too long a subject":       func(m *Mail) { m.Subject = strings.Repeat("a", 251) },
		"header in the name":       func(m *Mail) { m.To.Name = "Ada\r\nX-Spam: no" },
		"header in the address":    func(m *Mail) { m.To.Address = "ada@example.org\r\nBcc: all@example.org" },
		"two addresses":            func(m *Mail) { m.To.Address = "ada@example.org,bob@example.org" },
		"SMTP in the address":      func(m *Mail) { m.To.Address = "ada@example.org> SIZE=1" },
		"a quoted local part":      func(m *Mail) { m.To.Address = `"a b"@example.org` },
		"an address literal":       func(m *Mail) { m.To.Address = "ada@[127.0.0.1]" },
		"a name in the address":    func(m *Mail) { m.To.Address = "Ada <ada@example.org>" },
		"a route":                  func(m *Mail) { m.To.Address = "ada%b@c@example.org" },
		"no domain":                func(m *Mail) { m.To.Address = "ada" },
		"no address":               func(m *Mail) { m.To.Address = "" },
		"an empty label":           func(m *Mail) { m.To.Address = "ada@example..org" },
		"a long local part":        func(m *Mail) { m.To.Address = strings.Repeat("a", 65) + "@example.org" },
		"header in the ID":         func(m *Mail) { m.ID = "a\r\nb" },
		"a path as the ID":         func(m *Mail) { m.ID = "../a" },
		"two dots in the ID":       func(m *Mail) { m.ID = "a..b" },
		"no ID":                    func(m *Mail) { m.ID = "" },
		"a domain in the ID":       func(m *Mail) { m.ID = "a@b" },
		"no text":                  func(m *Mail) { m.Text = "" },
		"control in the text":      func(m *Mail) { m.Text = "a\x1b[2J" },
		"too long a text":          func(m *Mail) { m.Text = strings.Repeat("a", MaxMailText+1) },
		"unsubscribe by http":      func(m *Mail) { m.Unsubscribe = "http://market.example/u" },
		"header in unsubscribe":    func(m *Mail) { m.Unsubscribe = "https://market.example/u\r\nBcc: a@b.c" },
		"a second unsubscribe":     func(m *Mail) { m.Unsubscribe = "https://market.example/u>, <mailto:a@b.c" },
		"too many files":           func(m *Mail) { m.Attachments = make([]Attachment, MaxMailAttachments+1) },
		"a path as a file's name":  func(m *Mail) { m.Attachments[0].Name = "../../etc/passwd" },
		"header in a file's name":  func(m *Mail) { m.Attachments[0].Name = "a\r\nContent-Type: text/html" },
		"header in a file's type":  func(m *Mail) { m.Attachments[0].Type = "text/plain\r\nX-A: b" },
		"no type of a file":        func(m *Mail) { m.Attachments[0].Type = "" },
		"a multipart file":         func(m *Mail) { m.Attachments[0].Type = "multipart/mixed; boundary=x" },
		"too large files":          func(m *Mail) { m.Attachments[0].Data = make([]byte, MaxMailSize+1) },
	} {
		m := goodMail()
		change(&m)
		if err := m.Check(); !errors.Is(err, ErrMailRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
