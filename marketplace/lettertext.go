package marketplace

import (
	"bytes"
	"context"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// A letterText is what a letter says, before it becomes text and HTML.
type letterText struct {
	Language   Language
	Direction  string // "ltr" or "rtl"
	Subject    string
	Greeting   string
	Paragraphs []string
	Items      []string
	Link       string
	LinkText   string
	After      []string // paragraphs behind the link
	Footer     string
	FooterLink string
}

// letterPage is the HTML of letters. It asks for nothing from anywhere, so
// nobody learns whether it was read.
var letterPage = template.Must(template.New("letter").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}" dir="{{.Direction}}">
<head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body dir="{{.Direction}}" style="font-family: sans-serif; max-width: 40em; margin: 1em auto; line-height: 1.5">
<p>{{.Greeting}}</p>
{{range .Paragraphs}}<p>{{.}}</p>
{{end}}{{with .Items}}<ul>
{{range .}}<li>{{.}}</li>
{{end}}</ul>
{{end}}{{if .Link}}<p><a href="{{.Link}}">{{.LinkText}}</a></p>
{{end}}{{range .After}}<p>{{.}}</p>
{{end}}{{if .FooterLink}}<hr>
<p><small>{{.Footer}} <a href="{{.FooterLink}}">{{.FooterLink}}</a></small></p>
{{end}}</body>
</html>
`))

// mail makes a mail of a text.
func (t letterText) mail() (Mail, error) {
	parts := append([]string{t.Greeting}, t.Paragraphs...)
	if len(t.Items) > 0 {
		parts = append(parts, "- "+strings.Join(t.Items, "\n- "))
	}
	if t.Link != "" {
		parts = append(parts, t.LinkText+":\n"+t.Link)
	}
	parts = append(parts, t.After...)
	if t.FooterLink != "" {
		parts = append(parts, "-- \n"+t.Footer+"\n"+t.FooterLink)
	}
	var page bytes.Buffer
	if err := letterPage.Execute(&page, t); err != nil {
		return Mail{}, err
	}
	out := Mail{Subject: t.Subject, Text: strings.Join(parts, "\n\n") + "\n", HTML: page.String()}
	if strings.HasPrefix(t.FooterLink, "https://") {
		out.Unsubscribe = t.FooterLink
	}
	return out, nil
}

// letter begins a letter to somebody of this name; empty where it is not known.
func (b *phrasebook) letter(name, subject string, paragraphs ...string) letterText {
	t := letterText{Language: b.language, Direction: "ltr", Subject: oneLine(subject), Paragraphs: paragraphs, Greeting: b.phrases["greeting.unknown"]}
	if b.fromRight() {
		t.Direction = "rtl"
	}
	if oneLine(name) != "" {
		t.Greeting = b.say("greeting", filling{"person": name})
	}
	return t
}

// ticketLinks are where the links of tickets lead.
var ticketLinks = map[TicketPurpose]string{
	TicketInvitation: "/account#invitation=",
	TicketReset:      "/account#reset=",
	TicketEmail:      "/account#email=",
}

// ticketMail is the letter with a one-time link.
func (m *Market) ticketMail(ctx context.Context, t *Ticket, secret string) (Mail, error) {
	b := phrasesFor(t.Languages)
	zone := ""
	name, fill := "", filling{"person": b.phrases["network"], "member": b.phrases["network"], "role": b.role(string(t.Role))}
	if t.Member != "" {
		member, err := m.nameOf(ctx, t.Member, t.Languages)
		if err != nil {
			return Mail{}, err
		}
		fill["member"] = member
	}
	for _, who := range []struct {
		id   ID
		note func(*User)
	}{
		{t.By, func(u *User) { fill["person"] = u.Name }},
		{t.User, func(u *User) { name, zone = u.Name, u.TimeZone }},
	} {
		u, err := get[*User](ctx, m, who.id)
		if err := ignore(err, ErrNotFound); err != nil {
			return Mail{}, err
		}
		if u != nil {
			who.note(u)
		}
	}
	key := strings.ToLower(string(t.Purpose))
	text := b.letter(name, b.say(key+".subject", fill), b.say(key+".text", fill))
	text.Link, text.LinkText = m.options.URL+ticketLinks[t.Purpose]+t.link(secret), b.phrases[key+".button"]
	text.After = []string{b.say("expiry", filling{"time": moment(t.ExpiresAt, zone)}), b.phrases["ignore"]}
	out, err := text.mail()
	// Another secret is another letter.
	out.ID, out.To = string(t.ID)+"."+hashed(secret)[:12], addressOf(name, t.Email)
	return out, err
}

// moment writes a time in a zone, of UTC where it is empty.
func moment(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return t.In(loc).Format("2006-01-02 15:04 (UTC-07:00)")
}

// notificationMail is the letter about one notification.
func (m *Market) notificationMail(ctx context.Context, u *User, n *Notification) (Mail, error) {
	b := phrasesFor(u.Languages)
	sentence, err := m.Sentence(ctx, n, nil)
	if err != nil {
		return Mail{}, err
	}
	text := b.letter(u.Name, sentence, sentence)
	matches, err := m.Matches(ctx, n)
	if err != nil {
		return Mail{}, err
	}
	for _, doc := range matches {
		title, err := m.titleFor(ctx, doc, u.Languages)
		if err != nil {
			return Mail{}, err
		}
		text.Items = append(text.Items, oneLine(title))
	}
	text.Link, text.LinkText = m.options.URL+"/", b.phrases["open"]
	if n.Kind == NotifyAccount && n.Event != "user.SUSPEND" && n.Event != "user.RESTORE" {
		text.After = []string{b.phrases["account.warning"]}
	}
	var files []Attachment
	if n.Event == timetableEvent {
		if err := m.tellTimetable(ctx, u, n, &text); err != nil {
			return Mail{}, err
		}
	}
	if n.Kind == NotifyMeeting {
		if files, err = m.tellMeeting(ctx, b, u, n, &text); err != nil {
			return Mail{}, err
		}
	}
	text.Footer, text.FooterLink = b.phrases["footer.kind"], m.unsubscribeLink(u.ID, n.Kind)
	out, err := text.mail()
	address := n.Address
	if address == "" {
		address = u.Email
	}
	out.Attachments = files
	out.ID, out.To = string(n.ID), addressOf(u.Name, address)
	return out, err
}

// digestMail is the daily letter about notifications, which are sorted by
// when they were due.
func (m *Market) digestMail(ctx context.Context, u *User, list []*Notification) (Mail, error) {
	b := phrasesFor(u.Languages)
	text := b.letter(u.Name, b.say("digest.subject", filling{"count": strconv.Itoa(len(list))}), b.phrases["digest.text"])
	sorted := oldestFirst(list)
	for _, n := range sorted[:min(len(sorted), maxDigest)] {
		sentence, err := m.Sentence(ctx, n, nil)
		if err != nil {
			return Mail{}, err
		}
		text.Items = append(text.Items, sentence)
	}
	if more := len(sorted) - len(text.Items); more > 0 {
		text.Items = append(text.Items, b.say("digest.more", filling{"count": strconv.Itoa(more)}))
	}
	text.Link, text.LinkText = m.options.URL+"/", b.phrases["open"]
	text.Footer, text.FooterLink = b.phrases["footer.digest"], m.unsubscribeLink(u.ID, digestKind)
	out, err := text.mail()
	out.ID = "digest_" + hashed(string(u.ID) + list[len(list)-1].DueAt.UTC().Format(time.RFC3339))[:26]
	out.To = addressOf(u.Name, u.Email)
	return out, err
}
