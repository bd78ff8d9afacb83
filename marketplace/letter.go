package marketplace

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"time"
)

// A Posting is how far the letter about something has come. It stands in the
// document that the letter is about, so that it is due from the moment on in
// which the document is written. A letter is sent, and then noted as sent; a
// server that stops between the two sends it again, with the same Message-ID.
type Posting struct {
	Letter  LetterState `json:"letter,omitempty"`
	DueAt   *time.Time  `json:"dueAt,omitempty"` // when it is tried next; nil: not any more
	Tries   int         `json:"tries,omitempty"` // that failed
	SentAt  *time.Time  `json:"sentAt,omitempty"`
	Failure string      `json:"failure,omitempty"` // why the latest try failed
}

// A LetterState is a state in the life of a letter.
type LetterState string

// The states of letters.
const (
	LetterNone   LetterState = "NONE"   // there is none
	LetterDue    LetterState = "DUE"    // it waits to be sent
	LetterDigest LetterState = "DIGEST" // it waits for the daily letter
	LetterSent   LetterState = "SENT"
	LetterFailed LetterState = "FAILED" // it cannot be sent, or could not for days
)

// Times of letters. A mail server that is down is tried after one minute, two,
// four... and in the end every six hours, for some three days.
const (
	firstRetry     = time.Minute
	longestRetry   = 6 * time.Hour
	maxLetterTries = 20
	letterTimeout  = time.Minute // for one letter
	digestHour     = 8           // of the user's day
	maxDigest      = 50          // entries that a daily letter shows
)

// due is the state of a letter that is to be sent now.
func due(now time.Time) Posting { return Posting{Letter: LetterDue, DueAt: &now} }

// sent notes that the mail server has taken the letter.
func (p *Posting) sent(now time.Time) { *p = Posting{Letter: LetterSent, SentAt: &now, Tries: p.Tries} }

// drop notes that no letter is to be sent.
func (p *Posting) drop() { *p = Posting{Letter: LetterNone} }

// failed notes why a letter could not be sent, and when it is tried again.
func (p *Posting) failed(now time.Time, err error) {
	p.Tries++
	p.Failure = cut(oneLine(err.Error()), maxNote)
	if errors.Is(err, ErrMailRefused) || p.Tries >= maxLetterTries {
		p.Letter, p.DueAt = LetterFailed, nil
		return
	}
	p.DueAt = new(now.Add(min(firstRetry<<(p.Tries-1), longestRetry)))
}

// nextDigest is the next morning in a time zone.
func nextDigest(now time.Time, zone string) time.Time {
	return nextHour(now, zone, digestHour, func(time.Weekday) bool { return true })
}

// posting wakes whoever sends letters when one is due. It does nothing else,
// so that letters are never in the way of what it follows.
var posting = follower{name: "letters", kinds: letterFeed, apply: func(_ context.Context, m *Market, c Change) error {
	var p struct{ Posting }
	if c.Deleted || c.Decode(&p) != nil || p.DueAt == nil || p.DueAt.After(m.clock()) {
		return nil
	}
	nudge(m.mail)
	return nil
}}

// sending sends the letters that are due.
var sending = chore{
	name: "letters",
	run:  func(ctx context.Context, m *Market) (int, error) { return m.sendLetters(ctx) },
	wake: func(m *Market) <-chan struct{} { return m.mail },
}

// Work on letters that are due, so that one recipient whose server takes its
// time holds up few others, and none when the mail server does not answer.
const (
	lettersAtOnce = 4
	lettersAsked  = 100 // of each sort
	lettersDown   = 8   // failures in a row from which on the mail server counts as down
)

// A letter is one that is due: what it takes to send it and to note that. The
// error is errUnsent where it could not be sent, which has been noted.
type letter func(context.Context) error

var errMailDown = errors.New("marketplace: the mail server does not take letters")

func (m *Market) sendLetters(ctx context.Context) (int, error) {
	if m.options.Mailer == nil {
		return 0, nil
	}
	tickets, err := m.dueTickets(ctx)
	if err != nil {
		return 0, err
	}
	list, err := m.dueNotifications(ctx)
	if err != nil {
		return 0, err
	}
	// Somebody waits for the links.
	list = append(tickets, list...)
	down := make(chan int, 1)
	down <- 0
	err = together(list, lettersAtOnce, func(send letter) error {
		ctx, cancel := context.WithTimeout(ctx, letterTimeout)
		defer cancel()
		err := send(asWorker(ctx))
		n := <-down
		defer func() { down <- n }()
		switch {
		case err == nil:
			n = 0
		case errors.Is(err, errUnsent):
			if n++; n >= lettersDown {
				return errMailDown
			}
		default:
			return err
		}
		return nil
	})
	if errors.Is(err, errMailDown) {
		return 0, nil // the rest stays due
	}
	return len(list), err
}

// errUnsent: a letter was not sent, which has been noted with it.
var errUnsent = errors.New("marketplace: letter not sent")

// dueBy asks for the documents of a kind whose letters are due.
func dueBy(now time.Time) Query {
	return Query{Where: []Condition{{Field: "dueAt", Op: Lt, Value: now.Add(time.Second)}}, Sort: "dueAt", Limit: lettersAsked}
}

func (m *Market) dueTickets(ctx context.Context) ([]letter, error) {
	docs, err := find[*Ticket](ctx, m, KindTicket, dueBy(m.clock()))
	list := make([]letter, len(docs))
	for i, t := range docs {
		list[i] = func(ctx context.Context) error { return m.sendTicket(ctx, t.ID) }
	}
	return list, err
}

// sendTicket sends the letter with a one-time link. The secret of the link is
// made now, and only its hash is kept: of several letters, the latest counts.
func (m *Market) sendTicket(ctx context.Context, id ID) error {
	secret, now := newSecret(), m.clock()
	send := false
	t, err := update(ctx, m, MayRecoverAccount, id, 0, func(t *Ticket) error {
		t.mark(unmarked, "")
		switch {
		case t.DueAt == nil:
			return errUnchanged
		case t.State != TicketOpen || t.IsExpired(now):
			send = false
			t.drop()
		case t.Purpose != TicketInvitation && t.User == "":
			// Nobody has the address. It looks as if a letter had been sent.
			send = false
			t.sent(now)
		default:
			send = true
			t.Hash = hashed(secret)
		}
		return nil
	})
	if err != nil || !send {
		return ignore(ignore(err, errUnchanged), ErrNotFound)
	}
	mail, err := m.ticketMail(ctx, t, secret)
	if err != nil {
		return err
	}
	failure, stopped := m.send(ctx, mail)
	if stopped != nil {
		return stopped
	}
	return m.note(ctx, failure, func(ctx context.Context) error {
		_, err := update(ctx, m, MayRecoverAccount, id, 0, func(t *Ticket) error {
			t.mark(unmarked, "")
			if t.DueAt == nil || t.State == TicketOpen && t.Hash != hashed(secret) {
				return errUnchanged // another letter was asked for in the meantime
			}
			t.settleLetter(m.clock(), failure)
			return nil
		})
		return err
	})
}

// send gives a letter to the mail server. That the server stops is no failure
// of the letter.
func (m *Market) send(ctx context.Context, mail Mail) (failure, stopped error) {
	failure = m.options.Mailer.Send(ctx, mail)
	if failure != nil && ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded {
		return nil, ctx.Err()
	}
	return failure, nil
}

// settleLetter notes what came of sending a letter.
func (p *Posting) settleLetter(now time.Time, failure error) {
	if failure == nil {
		p.sent(now)
	} else {
		p.failed(now, failure)
	}
}

// note writes down what came of sending letters, also when the time for
// sending is over.
func (m *Market) note(ctx context.Context, failure error, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letterTimeout)
	defer cancel()
	if err := write(ctx); ignore(ignore(err, errUnchanged), ErrNotFound) != nil {
		return err
	}
	if failure != nil && !errors.Is(failure, ErrMailRefused) {
		return errUnsent
	}
	return nil
}

// dueNotifications are the letters about notifications: one for each of
// those that come at once, and one a user for those that come once a day.
func (m *Market) dueNotifications(ctx context.Context) ([]letter, error) {
	docs, err := find[*Notification](ctx, m, KindNotification, dueBy(m.clock()))
	var list []letter
	digests := map[ID]bool{}
	for _, n := range docs {
		switch {
		case n.Letter != LetterDigest:
			list = append(list, func(ctx context.Context) error { return m.sendNotification(ctx, n) })
		case !digests[n.User]:
			digests[n.User] = true
			list = append(list, func(ctx context.Context) error { return m.sendDigest(ctx, n.User) })
		}
	}
	return list, err
}

// reader is a user, and a context in which they read a letter: with the
// rights that they have now. The user is nil where there is none any more.
func (m *Market) reader(ctx context.Context, id ID) (*User, context.Context, error) {
	u, err := get[*User](ctx, m, id)
	if errors.Is(err, ErrNotFound) {
		return nil, ctx, nil
	}
	if err != nil {
		return nil, ctx, err
	}
	a, err := m.actor(ctx, u, "")
	if errors.Is(err, ErrNotFound) { // suspended
		a, err = Actor{User: u.ID}, nil
	}
	return u, WithViewer(ctx, Viewer{Actor: a, Languages: u.Languages}), err
}

// wanted says whether a user still wants to be told by letter of something,
// and may still see it.
func (m *Market) wanted(ctx context.Context, u *User, n *Notification) (bool, error) {
	if u == nil || !m.reaches(u, n.Kind) || u.channel(n.Kind) == ChannelInApp {
		return false, nil
	}
	if openEvents()[n.Event] {
		return true, nil
	}
	_, err := get[entity](ctx, m, n.Subject)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (m *Market) sendNotification(ctx context.Context, n *Notification) error {
	u, reading, err := m.reader(ctx, n.User)
	if err != nil {
		return err
	}
	ok, err := m.wanted(reading, u, n)
	if err != nil {
		return err
	}
	if !ok {
		return m.noteLetter(ctx, n.ID, func(n *Notification) { n.drop() })
	}
	if u.channel(n.Kind) == ChannelDigest {
		at := nextDigest(m.clock(), u.TimeZone)
		return m.noteLetter(ctx, n.ID, func(n *Notification) { n.Posting = Posting{Letter: LetterDigest, DueAt: &at} })
	}
	mail, err := m.notificationMail(reading, u, n)
	if err != nil {
		return err
	}
	failure, stopped := m.send(ctx, mail)
	if stopped != nil {
		return stopped
	}
	return m.note(ctx, failure, func(ctx context.Context) error {
		return m.noteLetter(ctx, n.ID, func(n *Notification) { n.settleLetter(m.clock(), failure) })
	})
}

// noteLetter changes the state of a letter that is due.
func (m *Market) noteLetter(ctx context.Context, id ID, change func(*Notification)) error {
	_, err := update(ctx, m, MayKeepNotifications, id, 0, func(n *Notification) error {
		if n.DueAt == nil {
			return errUnchanged
		}
		change(n)
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// sendDigest sends a user one letter about everything that is due and that
// they have not read yet.
func (m *Market) sendDigest(ctx context.Context, user ID) error {
	q := dueBy(m.clock())
	q.Where = append(q.Where, Condition{Field: "user", Op: Eq, Value: user}, Condition{Field: "letter", Op: Eq, Value: LetterDigest})
	q.Limit = MaxPage
	all, err := find[*Notification](ctx, m, KindNotification, q)
	if err != nil || len(all) == 0 {
		return err
	}
	u, reading, err := m.reader(ctx, user)
	if err != nil {
		return err
	}
	var shown, dropped []*Notification
	for _, n := range all {
		readsOf(reading).expect(n.refs())
	}
	for _, n := range all {
		ok, err := m.wanted(reading, u, n)
		if err != nil {
			return err
		}
		if ok && !n.IsRead {
			shown = append(shown, n)
		} else {
			dropped = append(dropped, n)
		}
	}
	for _, n := range dropped {
		if err := m.noteLetter(ctx, n.ID, func(n *Notification) { n.drop() }); err != nil {
			return err
		}
	}
	if len(shown) == 0 {
		return nil
	}
	mail, err := m.digestMail(reading, u, shown)
	if err != nil {
		return err
	}
	failure, stopped := m.send(ctx, mail)
	if stopped != nil {
		return stopped
	}
	now := m.clock()
	return m.note(ctx, failure, func(ctx context.Context) error {
		// From the earliest on, so that the letter has the same Message-ID when
		// it is sent again because this was not finished.
		for _, n := range shown {
			if err := m.noteLetter(ctx, n.ID, func(n *Notification) { n.settleLetter(now, failure) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// addressOf is the address of a user with their name.
func addressOf(name, address string) mail.Address {
	return mail.Address{Name: oneLine(name), Address: address}
}

// oldestFirst sorts notifications by the time they were made.
func oldestFirst(list []*Notification) []*Notification {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *Notification) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}
