package smtpmail

import (
	"bytes"
	"fmt"
	"mime"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"

	"citymarket/marketplace"
)

// message turns a mail into a MIME message: UTF-8 throughout, lines as short
// as RFC 5322 wants them, marked as sent by a program (RFC 3834), so that
// absence notes do not answer it.
func message(from netmail.Address, m marketplace.Mail) (*mail.Msg, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	msg := mail.NewMsg(mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(encodingOf(m)), mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&m.To)
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID + "@" + domainOf(from))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Unsubscribe != "" {
		if err := msg.SetListUnsubscribeOneClick(m.Unsubscribe); err != nil {
			return nil, fmt.Errorf("%w: %v", marketplace.ErrMailRefused, err)
		}
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	for _, a := range m.Attachments {
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Data), named(a)); err != nil {
			return nil, fmt.Errorf("smtpmail: %s: %w", a.Name, err)
		}
	}
	return msg, nil
}

// encodingOf is quoted-printable, which people can read, but base64 where it
// is shorter: it makes four bytes of three, quoted-printable nine of a letter
// of three bytes.
func encodingOf(m marketplace.Mail) mail.Encoding {
	high, all := 0, m.Subject+m.Text
	for i := range len(all) {
		if all[i] >= 0x80 {
			high++
		}
	}
	if high*6 > len(all) {
		return mail.EncodingB64
	}
	return mail.EncodingQP
}

// named says how an attachment is called as RFC 2231 has it. The library
// writes encoded words between quotes, which are shown as they stand by
// programs that keep to the standard.
func named(a marketplace.Attachment) mail.FileOption {
	return func(f *mail.File) {
		kind, params, _ := mime.ParseMediaType(a.Type) // it was checked
		params["name"] = a.Name
		f.Header.Set("Content-Type", mime.FormatMediaType(kind, params))
		f.Header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}))
	}
}

func domainOf(a netmail.Address) string {
	_, domain, _ := strings.Cut(a.Address, "@")
	return domain
}
