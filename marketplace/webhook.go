package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Webhook is an address to which a member wants to be told what happens to
// what belongs to it: entries of the audit log that its owners may read.
// Only they see it.
type Webhook struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Member  ID              `json:"member"`
	URL     string          `json:"url"` // may hold a secret in its path or query
	Events  []string        `json:"events"`
	Secrets []WebhookSecret `json:"secrets"` // the newest first
	// FailingSince is when what was sent began to fail; nil while it does not.
	FailingSince *time.Time `json:"failingSince,omitempty"`
	// Pause is why nothing is sent; nil while it is.
	Pause *WebhookPause `json:"pause,omitempty"`
}

// KindWebhook is the kind of Webhook.
var KindWebhook = registerRecord("webhook", func() entity { return new(Webhook) }, Index{Equal: []string{"member"}, Sort: "createdAt"})

// A WebhookSecret signs what is sent. A reader of the store cannot use it.
type WebhookSecret struct {
	Sealed string     `json:"sealed"`
	Until  *time.Time `json:"until,omitempty"` // nil: as long as it is the newest
}

// A WebhookPause says since when and why nothing is sent.
type WebhookPause struct {
	At     time.Time          `json:"at"`
	Reason WebhookPauseReason `json:"reason"`
}

// A WebhookPauseReason is why nothing is sent.
type WebhookPauseReason string

// The reasons for which nothing is sent.
const (
	PausedByOwner WebhookPauseReason = "OWNER"   // an owner said so
	PausedGone    WebhookPauseReason = "GONE"    // the receiver answered that it wants no more (410)
	PausedFailing WebhookPauseReason = "FAILING" // nothing arrived for maxFailing
)

const (
	maxWebhooks      = 10 // of a member
	maxWebhookEvents = 50
	oldSecretLife    = 24 * time.Hour     // of the secret that another one has taken the place of
	maxFailing       = 5 * 24 * time.Hour // until a webhook is paused
)

func (*Webhook) kind() Kind          { return KindWebhook }
func (w *Webhook) audience() []Group { return []Group{ownersOf(w.Member)} }
func (w *Webhook) parties() []ID     { return []ID{w.Member} }
func (w *Webhook) refs() []ID        { return []ID{w.Member} }

// IsNode marks webhooks as something with an id of its own.
func (*Webhook) IsNode() {}

// eventPattern is the kind of thing and the action of an entry of the audit
// log, either of which may be all: "solution.PUBLISH", "offer.*", "*.DELETE".
var eventPattern = regexp.MustCompile(`^(\*|[a-z_]{1,32})\.(\*|[A-Z_]{1,40})$`)

func (w *Webhook) validate(p *problems) {
	if !isMember(w.Member) {
		p.add("member", "INVALID", "must be the id of a member")
	}
	if len(w.Events) == 0 {
		p.add("events", "REQUIRED", "must name at least one, such as *.*")
	}
	if p.max("events", len(w.Events), maxWebhookEvents) {
		for i, e := range w.Events {
			kind, _, _ := strings.Cut(e, ".")
			if info := kinds[Kind(kind)]; !eventPattern.MatchString(e) || kind != "*" && (info == nil || info.trace) {
				p.add(index("events", i), "INVALID", "must be a kind of thing and an action, or * for all, such as solution.PUBLISH, offer.* or *.DELETE")
			}
		}
	}
}

// wants says whether the webhook is told of an event.
func (w *Webhook) wants(kind Kind, action string) bool {
	return slices.ContainsFunc(w.Events, func(e string) bool {
		k, a, _ := strings.Cut(e, ".")
		return (k == "*" || k == string(kind)) && (a == "*" || a == action)
	})
}

// host is where it leads, for limits.
func (w *Webhook) host() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return w.URL
	}
	return strings.ToLower(u.Hostname())
}

// IsPaused says that nothing is sent.
func (w *Webhook) IsPaused() bool { return w.Pause != nil }

// PauseReason is why nothing is sent; nil while it is.
func (w *Webhook) PauseReason() *WebhookPauseReason {
	if w.Pause == nil {
		return nil
	}
	return &w.Pause.Reason
}

// PausedAt is since when nothing is sent; nil while it is.
func (w *Webhook) PausedAt() *time.Time {
	if w.Pause == nil {
		return nil
	}
	return &w.Pause.At
}

// OldSecretUntil is until when the former secret signs, too; nil where it
// does not.
func (w *Webhook) OldSecretUntil() *time.Time {
	for _, s := range w.Secrets {
		if s.Until != nil {
			return s.Until
		}
	}
	return nil
}

func secretPurpose(webhook ID) string { return "secret of " + string(webhook) }

// secrets are those that sign now.
func (m *Market) secrets(w *Webhook) ([]string, error) {
	var out []string
	for _, s := range w.Secrets {
		if s.Until != nil && !m.clock().Before(*s.Until) {
			continue
		}
		secret, err := m.vault.open(secretPurpose(w.ID), s.Sealed)
		if err != nil {
			return nil, err
		}
		out = append(out, secret)
	}
	return out, nil
}

var errNoWebhooks = invalid("", "INVALID", "this server sends no webhooks")

// checkURL reports an address that nothing would be sent to.
func (m *Market) checkURL(path, address string) error {
	var p problems
	checkWebhookURL(&p, path, address, m.options.Loopback)
	return p.err()
}

// CreateWebhookInput is what CreateWebhook takes.
type CreateWebhookInput struct {
	Member ID
	URL    string
	Events []string
}

// CreateWebhook adds a webhook of a member. Its secret is returned this once.
func (m *Market) CreateWebhook(ctx context.Context, in CreateWebhookInput) (*Webhook, string, error) {
	if err := MayManageWebhook.checkFor(ctx, in.Member); err != nil {
		return nil, "", err
	}
	if m.options.Poster == nil || m.vault == nil {
		return nil, "", errNoWebhooks
	}
	w := &Webhook{Meta: Meta{ID: newID(KindWebhook, m.now())}, Member: in.Member, URL: in.URL, Events: in.Events}
	var p problems
	w.validate(&p)
	checkWebhookURL(&p, "url", in.URL, m.options.Loopback)
	list, err := m.webhooksOf(ctx, in.Member)
	if err != nil {
		return nil, "", err
	}
	if len(list) >= maxWebhooks {
		p.addf("member", "TOO_MANY", "at most %d webhooks: delete one first", maxWebhooks)
	}
	if err := p.err(); err != nil {
		return nil, "", err
	}
	secret := newWebhookSecret()
	sealed, err := m.vault.seal(secretPurpose(w.ID), secret)
	if err != nil {
		return nil, "", err
	}
	w.Secrets = []WebhookSecret{{Sealed: sealed}}
	if err := create(ctx, m, MayManageWebhook, w); err != nil {
		return nil, "", err
	}
	return w, secret, nil
}

// EditWebhookInput is what EditWebhook takes; what is nil stays as it is.
type EditWebhookInput struct {
	ID       ID
	Version  *int // that was read; nil: any
	URL      *string
	Events   []string
	IsPaused *bool
}

// EditWebhook changes a webhook. What happens while it is paused is not sent later.
func (m *Market) EditWebhook(ctx context.Context, in EditWebhookInput) (*Webhook, error) {
	if in.URL != nil {
		if err := m.checkURL("url", *in.URL); err != nil {
			return nil, err
		}
	}
	return update(ctx, m, MayManageWebhook, in.ID, versionOf(in.Version), func(w *Webhook) error {
		if in.URL != nil {
			w.URL, w.FailingSince = *in.URL, nil
		}
		if in.Events != nil {
			w.Events = in.Events
		}
		switch {
		case in.IsPaused == nil || *in.IsPaused == w.IsPaused():
		case *in.IsPaused:
			w.mark("PAUSE", string(PausedByOwner))
			w.Pause = &WebhookPause{At: m.clock(), Reason: PausedByOwner}
		default:
			w.mark("RESUME", "")
			w.Pause, w.FailingSince = nil, nil
		}
		return nil
	})
}

// RotateWebhookSecret makes a new secret, which is returned this once. The one
// that there is signs for oldSecretLife beside it, so that a receiver can
// change from one to the other without losing anything.
func (m *Market) RotateWebhookSecret(ctx context.Context, id ID) (*Webhook, string, error) {
	if m.vault == nil {
		return nil, "", errNoWebhooks
	}
	secret := newWebhookSecret()
	sealed, err := m.vault.seal(secretPurpose(id), secret)
	if err != nil {
		return nil, "", err
	}
	w, err := update(ctx, m, MayManageWebhook, id, 0, func(w *Webhook) error {
		w.mark("ROTATE_SECRET", "")
		w.Secrets = []WebhookSecret{{Sealed: sealed}, {Sealed: w.Secrets[0].Sealed, Until: new(m.clock().Add(oldSecretLife))}}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return w, secret, nil
}

// DeleteWebhook deletes a webhook; what it has not sent yet is not sent.
func (m *Market) DeleteWebhook(ctx context.Context, id ID, version *int) error {
	_, err := update(ctx, m, MayManageWebhook, id, versionOf(version), func(w *Webhook) error {
		w.mark("DELETE", "")
		w.IsDeleted = true
		return nil
	})
	return err
}

// Webhook returns a webhook, or ErrNotFound.
func (m *Market) Webhook(ctx context.Context, id ID) (*Webhook, error) {
	return get[*Webhook](ctx, m, id)
}

// Webhooks are those of a member, newest first; none for who is not one of
// its owners.
func (m *Market) Webhooks(ctx context.Context, member ID) ([]*Webhook, error) {
	return m.webhooksOf(ctx, member)
}

func (m *Market) webhooksOf(ctx context.Context, member ID) ([]*Webhook, error) {
	return find[*Webhook](ctx, m, KindWebhook, Query{
		Where: []Condition{{Field: "member", Op: Eq, Value: member}}, Sort: "createdAt", Descending: true, Limit: 2 * maxWebhooks})
}

// WebhookMember is the member that a webhook belongs to.
func (m *Market) WebhookMember(ctx context.Context, w *Webhook) (Member, error) {
	return m.Member(ctx, w.Member)
}

// noteArrival keeps with a webhook since when it fails, and pauses it where
// the receiver wants no more, or nothing has arrived for long.
func (m *Market) noteArrival(ctx context.Context, w *Webhook, arrived, gone bool) error {
	if arrived && w.FailingSince == nil {
		return nil
	}
	now := m.clock()
	dead := w.FailingSince != nil && now.Sub(*w.FailingSince) >= maxFailing
	if !arrived && !gone && w.FailingSince != nil && !dead {
		return nil
	}
	_, err := update(ctx, m, MayRunWebhook, w.ID, 0, func(w *Webhook) error {
		w.mark(unmarked, "")
		switch {
		case arrived:
			w.FailingSince = nil
			return nil
		case w.FailingSince == nil:
			w.FailingSince = &now
		}
		reason := PausedFailing
		if gone {
			reason = PausedGone
		}
		if w.Pause == nil && (gone || now.Sub(*w.FailingSince) >= maxFailing) {
			w.mark("STOP", string(reason))
			w.Pause = &WebhookPause{At: now, Reason: reason}
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// tellOfStop tells the owners of a member that one of its webhooks was
// paused, where that was not their doing.
func (m *Market) tellOfStop(ctx context.Context, w *Webhook) error {
	if w.Pause == nil || w.Pause.Reason == PausedByOwner || w.IsDeleted || w.Pause.At.Before(m.clock().Add(-alertWindow)) {
		return nil
	}
	t, err := m.team(ctx, w.Member)
	if err != nil {
		return err
	}
	for _, p := range t.People {
		if p.Role != t.head() {
			continue
		}
		u, err := get[*User](ctx, m, p.User)
		if errors.Is(err, ErrNotFound) || err == nil && u.IsSuspended {
			continue
		}
		if err != nil {
			return err
		}
		n := &Notification{User: u.ID, Kind: NotifyWebhook, Event: "webhook.STOP", Subject: w.ID, Member: w.Member, Note: string(w.Pause.Reason)}
		if err := m.notify(ctx, u, n, fmt.Sprintf("%s stopped at %d", w.ID, w.Pause.At.Unix())); err != nil {
			return err
		}
	}
	return nil
}
