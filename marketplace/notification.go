package marketplace

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Notification tells one user of one thing that somebody did, or that a
// saved search has found. It exists once: its id follows from the entry of the
// audit log, or the alert, that it comes from and the user. What it says is put into words when it is read, in the language
// and with the rights that its user has then.
type Notification struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`
	Posting  `json:",inline"`

	User  ID               `json:"user"`
	Kind  NotificationKind `json:"kind"`
	Event string           `json:"event"`           // names its sentence: "solution.APPROVE"
	Entry ID               `json:"entry,omitempty"` // of the audit log; empty for what is no command

	Subject ID     `json:"subject"`           // what it is about
	Member  ID     `json:"member,omitempty"`  // on whose behalf, or of which member
	Person  ID     `json:"person,omitempty"`  // the user whom it is about, where that is not the reader
	Note    string `json:"note,omitempty"`    // a word for the sentence: a role, a place, an address
	Address string `json:"address,omitempty"` // where the letter goes, where that is not the user's address

	Matches []ID `json:"matches,omitempty"` // what a saved search has found, the newest of it
	Count   int  `json:"count,omitempty"`   // how many it has found

	IsRead bool       `json:"isRead"`
	ReadAt *time.Time `json:"readAt,omitempty"`
}

// KindNotification is the kind of Notification.
var KindNotification = registerTrace("notification", func() entity { return new(Notification) },
	Index{Equal: []string{"user"}, Sort: "createdAt"},
	Index{Equal: []string{"user", "isRead"}, Sort: "createdAt"},
	Index{Equal: []string{"user", "letter"}, Sort: "dueAt"},
	Index{Sort: "dueAt"},
	Index{Sort: "createdAt"})

// A NotificationKind is a kind of thing that users are told of.
type NotificationKind string

// The kinds of notifications.
const (
	NotifyAccount    NotificationKind = "ACCOUNT"    // how the user signs in, and that somebody did from elsewhere
	NotifyReview     NotificationKind = "REVIEW"     // solutions that wait for a review, or were reviewed
	NotifyDeployment NotificationKind = "DEPLOYMENT" // deployments in a city, and what it says of them
	NotifyOffer      NotificationKind = "OFFER"      // offers and what becomes of them
	NotifyMessage    NotificationKind = "MESSAGE"    // messages to the user's members, or that mention them
	NotifyReport     NotificationKind = "REPORT"     // messages that were reported to the secretariat
	NotifyTeam       NotificationKind = "TEAM"       // who comes into a team, leaves it or has another role
	NotifyEvent      NotificationKind = "EVENT"      // registrations for events, and what can be done at them
	NotifyMatch      NotificationKind = "MATCH"      // what a saved search has found that is new
	NotifyMeeting    NotificationKind = "MEETING"    // meetings of the user and of their members, reminders, and the question what came of one
	NotifyWebhook    NotificationKind = "WEBHOOK"    // webhooks of the user's members that no longer work
	NotifyCase       NotificationKind = "CASE"       // searches for a partner that the secretariat helps with
)

// A Channel is a way of telling.
type Channel string

// The ways of telling. All but ChannelNone tell in the application.
const (
	ChannelEmail  Channel = "EMAIL"  // a letter at once, too
	ChannelDigest Channel = "DIGEST" // in the daily letter, too
	ChannelInApp  Channel = "IN_APP" // no letter
	ChannelNone   Channel = "NONE"   // not at all
)

// Channels are all of them.
var Channels = []Channel{ChannelEmail, ChannelDigest, ChannelInApp, ChannelNone}

// notificationKinds are all kinds with what holds for users who have not said
// otherwise: what waits for an answer comes at once, the rest once a day.
var notificationKinds = []Preference{
	{NotifyAccount, ChannelEmail}, // cannot be changed
	{NotifyReview, ChannelEmail},
	{NotifyDeployment, ChannelDigest},
	{NotifyOffer, ChannelEmail},
	{NotifyMessage, ChannelEmail},
	{NotifyReport, ChannelEmail},
	{NotifyTeam, ChannelEmail},
	{NotifyEvent, ChannelEmail},
	{NotifyMatch, ChannelEmail}, // the search itself says how often
	{NotifyMeeting, ChannelEmail},
	{NotifyWebhook, ChannelEmail},
	{NotifyCase, ChannelEmail},
}

// A Preference says by which way a user wants to be told of one kind of thing.
type Preference struct {
	Kind    NotificationKind `json:"kind"`
	Channel Channel          `json:"channel"`
}

func checkPreferences(p *problems, path string, list []Preference) {
	if !p.max(path, len(list), len(notificationKinds)) {
		return
	}
	all := make([]NotificationKind, len(notificationKinds))
	for i, k := range notificationKinds {
		all[i] = k.Kind
	}
	seen := map[NotificationKind]bool{}
	for i, f := range list {
		at := index(path, i)
		checkOne(p, at+".kind", f.Kind, all)
		checkOne(p, at+".channel", f.Channel, Channels)
		if seen[f.Kind] {
			p.add(at+".kind", "DUPLICATE", "each kind at most once")
		}
		if seen[f.Kind] = true; f.Kind == NotifyAccount && f.Channel != ChannelEmail {
			p.add(at+".channel", "INVALID", "what concerns the account itself always comes as a letter")
		}
	}
}

// channel is how the user wants to be told of a kind of thing.
func (u *User) channel(kind NotificationKind) Channel {
	for _, list := range [][]Preference{u.Preferences, notificationKinds} {
		for _, f := range list {
			if f.Kind == kind {
				return f.Channel
			}
		}
	}
	return ChannelInApp
}

// VisiblePreferences are what holds for each kind of notification, for the
// user themself; nil for others.
func (u *User) VisiblePreferences(ctx context.Context) []*Preference {
	if actorOf(ctx).User != u.ID {
		return nil
	}
	out := make([]*Preference, len(notificationKinds))
	for i, k := range notificationKinds {
		out[i] = &Preference{Kind: k.Kind, Channel: u.channel(k.Kind)}
	}
	return out
}

func (*Notification) kind() Kind          { return KindNotification }
func (*Notification) validate(*problems)  {}
func (n *Notification) audience() []Group { return []Group{Group(n.User)} }
func (n *Notification) parties() []ID     { return []ID{n.User} }
func (n *Notification) refs() []ID {
	return append([]ID{n.Subject, n.Member, n.Person}, n.Matches...)
}

// IsNode marks notifications as something with an id of its own.
func (*Notification) IsNode() {}

// Matches are what a saved search has found, as far as the viewer may see it.
func (m *Market) Matches(ctx context.Context, n *Notification) ([]SearchResult, error) {
	return several[SearchResult](ctx, m, n.Matches)
}

// notified is the user whose notifications the viewer reads: their own. A
// token that may only read will do.
func notified(ctx context.Context) (ID, error) {
	if id := actorOf(ctx).User; id != "" {
		return id, nil
	}
	return "", &ForbiddenError{Verb: "read notifications"}
}

// Notifications lists the viewer's, newest first; only those that were not
// read, or that were, where that is asked for.
func (m *Market) Notifications(ctx context.Context, unread *bool, s Slice) (*Page[*Notification], error) {
	user, err := notified(ctx)
	if err != nil {
		return nil, err
	}
	q := Query{Where: []Condition{{Field: "user", Op: Eq, Value: user}}, Sort: "createdAt", Descending: true}
	if unread != nil {
		q.Where = append(q.Where, Condition{Field: "isRead", Op: Eq, Value: !*unread})
	}
	return page[*Notification](ctx, m, KindNotification, q, s)
}

// MaxUnread is up to where unread notifications are counted.
const MaxUnread = 100

// UnreadCount is how many of the viewer's notifications were not read;
// MaxUnread means so many or more. One store operation.
func (m *Market) UnreadCount(ctx context.Context) (int, error) {
	user, err := notified(ctx)
	if err != nil {
		return 0, err
	}
	return m.count(ctx, KindNotification, unreadOf(user, nil, MaxUnread))
}

// unreadOf asks for what a user has not read, oldest first; only what is not
// younger than a time where one is given.
func unreadOf(user ID, until *time.Time, limit int) Query {
	q := Query{Where: []Condition{{Field: "user", Op: Eq, Value: user}, {Field: "isRead", Op: Eq, Value: false}}, Sort: "createdAt", Limit: limit}
	if until != nil {
		q.Where = append(q.Where, Condition{Field: "createdAt", Op: Lt, Value: until.Add(time.Second)})
	}
	return q
}

// MarkReadInput is what MarkRead takes: the ids of notifications, or a time.
type MarkReadInput struct {
	IDs   []ID       // at most 100
	Until *time.Time // all up to the one that was told at this moment
}

// Unread is how many notifications are left that were not read.
type Unread struct{ Count int }

// MarkRead notes that the viewer has read notifications. Each is noted by
// itself, so what a command that failed has done stays done, and to repeat it
// does no harm. What is not theirs is passed over.
func (m *Market) MarkRead(ctx context.Context, in MarkReadInput) (*Unread, error) {
	var p problems
	p.max("ids", len(in.IDs), 100)
	if (in.IDs == nil) == (in.Until == nil) {
		p.add("ids", "INVALID", "give either ids or until")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	if in.Until != nil {
		return m.markRead(ctx, in.Until)
	}
	if err := MayMarkNotifications.checkFor(ctx, actorOf(ctx).User); err != nil {
		return nil, err
	}
	if err := m.noteRead(ctx, in.IDs); err != nil {
		return nil, err
	}
	n, err := m.UnreadCount(ctx)
	return &Unread{n}, err
}

// MarkAllRead notes that the viewer has read all notifications that there are.
func (m *Market) MarkAllRead(ctx context.Context) (*Unread, error) { return m.markRead(ctx, nil) }

// readAtOnce bounds how many notifications one command notes as read, so that
// it ends in time; the answer says how many are left.
const readAtOnce = MaxPage

func (m *Market) markRead(ctx context.Context, until *time.Time) (*Unread, error) {
	user := actorOf(ctx).User
	if err := MayMarkNotifications.checkFor(ctx, user); err != nil {
		return nil, err
	}
	var ids []ID
	if err := m.fetch(ctx, KindNotification, unreadOf(user, until, readAtOnce), func(doc entity) { ids = append(ids, doc.meta().ID) }); err != nil {
		return nil, err
	}
	if err := m.noteRead(ctx, ids); err != nil {
		return nil, err
	}
	n, err := m.UnreadCount(ctx)
	return &Unread{n}, err
}

// noteRead notes notifications as read, several at a time, since stores
// commit what comes at the same time together.
func (m *Market) noteRead(ctx context.Context, ids []ID) error {
	now := m.clock()
	return together(ids, 16, func(id ID) error {
		_, err := update(ctx, m, MayMarkNotifications, id, 0, func(n *Notification) error {
			if n.IsRead {
				return errUnchanged
			}
			n.IsRead, n.ReadAt = true, &now
			if n.Letter == LetterDigest {
				n.Posting = Posting{Letter: LetterNone}
			}
			return nil
		})
		return ignore(ignore(err, errUnchanged), ErrNotFound)
	})
}

// together does something for each of a list, so many at a time, and returns
// the first error, after which no more is begun.
func together[T any](list []T, n int, do func(T) error) error {
	var (
		mu    sync.Mutex
		first error
		group sync.WaitGroup
	)
	for range min(n, len(list)) {
		group.Go(func() {
			for {
				mu.Lock()
				if first != nil || len(list) == 0 {
					mu.Unlock()
					return
				}
				next := list[0]
				list = list[1:]
				mu.Unlock()
				if err := do(next); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return first
}

// NotificationSubject is what a notification is about; ErrNotFound where it
// is gone or its user may not see it any more.
func (m *Market) NotificationSubject(ctx context.Context, n *Notification) (Node, error) {
	return m.Node(ctx, n.Subject)
}

// NotificationMember is the member that a notification speaks of.
func (m *Market) NotificationMember(ctx context.Context, n *Notification) (Member, error) {
	return m.Member(ctx, n.Member)
}

// keptNotifications is how long notifications are kept. It is longer than
// staleEntry, so that one that was forgotten is not made again.
const keptNotifications = 365 * 24 * time.Hour

// forgetting lets the store forget old notifications.
var forgetting = chore{name: "old notifications", run: func(ctx context.Context, m *Market) (int, error) {
	return m.eraseBefore(ctx, KindNotification, "createdAt", m.clock().Add(-keptNotifications))
}}

// unsubscribing is the purpose of the signatures in links that end letters.
const unsubscribing = "unsubscribe"

// unsubscribeLink is the address that ends letters of a kind to a user;
// empty where they cannot be ended or nothing can be signed.
func (m *Market) unsubscribeLink(user ID, kind NotificationKind) string {
	if m.vault == nil || m.options.URL == "" || kind == NotifyAccount {
		return ""
	}
	return m.options.URL + "/unsubscribe?u=" + string(user) + "&k=" + string(kind) + "&s=" + m.vault.signature(unsubscribing, string(user)+"\x00"+string(kind))
}

// CheckUnsubscribe returns ErrNotFound unless a link that ends letters is one
// of ours. It reads nothing from the store.
func (m *Market) CheckUnsubscribe(user ID, kind NotificationKind, signature string) error {
	known := slices.ContainsFunc(notificationKinds, func(f Preference) bool { return f.Kind == kind })
	if !known && kind != digestKind || kind == NotifyAccount || !m.vault.signed(unsubscribing, string(user)+"\x00"+string(kind), signature) {
		return ErrNotFound
	}
	return nil
}

// digestKind stands for all kinds that come in the daily letter, in the link
// at its end.
const digestKind = NotificationKind("DIGEST")

// Unsubscribe ends the letters of a kind to a user, whoever asks: the right
// comes from the link, which mail programs follow with one POST and without a
// session. Notifications in the application go on. To repeat it changes nothing.
func (m *Market) Unsubscribe(ctx context.Context, user ID, kind NotificationKind, signature string) error {
	if err := m.CheckUnsubscribe(user, kind, signature); err != nil {
		return err
	}
	_, err := update(withSight(ctx), m, MayUnsubscribe, user, 0, func(u *User) error {
		list := slices.Clone(u.Preferences)
		for _, k := range notificationKinds {
			if now := u.channel(k.Kind); k.Kind == kind && now != ChannelNone && now != ChannelInApp || kind == digestKind && now == ChannelDigest {
				list = slices.DeleteFunc(list, func(f Preference) bool { return f.Kind == k.Kind })
				list = append(list, Preference{k.Kind, ChannelInApp})
			}
		}
		if slices.Equal(list, u.Preferences) {
			return errUnchanged
		}
		u.did = Mark{Action: "UNSUBSCRIBE", Note: string(kind), By: u.ID}
		u.Preferences = list
		return nil
	})
	return ignore(err, errUnchanged)
}

// Names of the pages of notifications in the API.
type (
	NotificationConnection = Page[*Notification]
	NotificationEdge       = PageEdge[*Notification]
)
