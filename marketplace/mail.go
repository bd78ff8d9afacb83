package marketplace

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Mailer sends mail. It is safe for concurrent use.
type Mailer interface {
	// Send hands one mail over to whatever brings it to its reader. Nil means
	// that it was accepted, not that it has arrived. An error that wraps
	// ErrMailRefused will not go away by sending the same mail again; after
	// any other error the mail may or may not have been accepted, and is
	// worth another try with the same ID.
	Send(ctx context.Context, m Mail) error
}

// ErrMailRefused: this mail can never be sent as it is (no such recipient, too
// large, something in it that a mail may not hold).
var ErrMailRefused = errors.New("mail refused")

// Limits of a mail. What exceeds them is refused.
const (
	MaxMailText        = 1 << 20  // bytes of the text, and of the HTML
	MaxMailAttachments = 10       // files
	MaxMailSize        = 10 << 20 // bytes of all files together
	maxMailLine        = 250      // characters of a subject or of a name
	maxMailAddress     = 254      // bytes, RFC 5321
	maxMailLink        = 900      // bytes; a header cannot be folded inside an address, and a line holds 998
	maxAttachmentName  = 200      // bytes; three times as many when they are escaped
)

// A Mail is a message to one person.
type Mail struct {
	// ID is the same however often the mail is sent, and becomes the left
	// part of its Message-ID, so that mail programs recognise a mail that
	// came twice. Letters, digits, hyphens, underscores and single dots
	// between them; at most 100.
	ID          string
	To          mail.Address
	Subject     string
	Text        string // required: not everybody reads HTML
	HTML        string // the same for those who do; may be empty
	Unsubscribe string // https address that ends mails of this sort with one POST (RFC 8058); may be empty
	Attachments []Attachment
}

// An Attachment is a file that comes with a mail.
type Attachment struct {
	Name string // "meeting.ics"
	Type string // media type with its parameters: "text/calendar; charset=utf-8; method=REQUEST"
	Data []byte // not changed, and not kept after Send
}

var mailIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// Check says what of a mail cannot be sent; the error wraps ErrMailRefused. An
// adapter calls it before it does anything else. Whatever becomes part of a
// header is refused, not escaped, when it holds a control character or a line
// separator: what a stranger typed as their name must not be able to add a
// header, a recipient or a text.
func (m Mail) Check() error {
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{len(m.ID) <= 100 && mailIDPattern.MatchString(m.ID), "the ID must be 1 to 100 letters, digits, hyphens, underscores and single dots between them"},
		{isMailAddress(m.To.Address), "the recipient must be an address such as ada@example.org"},
		{isHeaderText(m.To.Name), "the recipient's name must be one line of text"},
		{isHeaderText(m.Subject) && strings.TrimSpace(m.Subject) != "", "the subject must be one line of text"},
		{isMailText(m.Text) && strings.TrimSpace(m.Text) != "", "the text must be given, without control characters, at most 1 MiB"},
		{isMailText(m.HTML), "the HTML must be text without control characters, at most 1 MiB"},
		{m.Unsubscribe == "" || isHeaderLink(m.Unsubscribe), "the address to unsubscribe must be https in ASCII"},
		{len(m.Attachments) <= MaxMailAttachments, "too many attachments"},
	} {
		if !c.ok {
			return fmt.Errorf("%w: %s", ErrMailRefused, c.what)
		}
	}
	size := 0
	for _, a := range m.Attachments {
		if a.Name == "" || len(a.Name) > maxAttachmentName || !isHeaderText(a.Name) || strings.ContainsAny(a.Name, `/\"`) {
			return fmt.Errorf("%w: the name of an attachment must be one line without slashes and quotes, at most %d bytes", ErrMailRefused, maxAttachmentName)
		}
		if kind, _, err := mime.ParseMediaType(a.Type); err != nil || len(a.Type) > maxMailLine || !isHeaderText(a.Type) || !strings.Contains(kind, "/") || strings.HasPrefix(kind, "multipart/") {
			return fmt.Errorf("%w: the type of an attachment must be a media type such as text/calendar", ErrMailRefused)
		}
		size += len(a.Data)
	}
	if size > MaxMailSize {
		return fmt.Errorf("%w: the attachments must be at most 10 MiB together", ErrMailRefused)
	}
	return nil
}

// isMailAddress accepts what RFC 5321 calls a mailbox with a domain name, in
// UTF-8 (RFC 6531), without quoted local parts, which no member has and which
// may hold anything.
func isMailAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 64 || len(s) > maxMailAddress || !isHeaderText(s) || strings.ContainsAny(s, ` "(),:;<>[\]`) || strings.ContainsFunc(s, unicode.IsSpace) {
		return false
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return r != '-' && !unicode.In(r, unicode.Letter, unicode.Digit, unicode.Mark)
			}) {
			return false
		}
	}
	return true
}

// isHeaderText accepts one line of text that is not absurdly long.
func isHeaderText(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxMailLine &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) })
}

func isMailText(s string) bool {
	return len(s) <= MaxMailText && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' })
}

func isHeaderLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxMailLink && u.Scheme == "https" && u.Host != "" && u.User == nil &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' || r == ',' })
}
