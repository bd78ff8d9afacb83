package marketplace

import "context"

// A Notification tells one user of one thing.
type Notification struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	User    ID               `json:"user"`
	Kind    NotificationKind `json:"kind"`
	Event   string           `json:"event"`
	Entry   ID               `json:"entry"`
	Subject ID               `json:"subject"`
	Member  ID               `json:"member,omitempty"`
	Note    string           `json:"note,omitempty"`

	Matches []ID `json:"matches,omitempty"` // of a saved search, the newest
	Count   int  `json:"count,omitempty"`   // of all of them
}

// KindNotification is the kind of Notification.
var KindNotification = registerTrace("notification", func() entity { return new(Notification) }, Index{Equal: []string{"user"}, Sort: "createdAt"})

// Kinds of notifications.
const (
	NotifyMatch   NotificationKind = "MATCH"
	NotifyWebhook NotificationKind = "WEBHOOK"
)

func (*Notification) kind() Kind          { return KindNotification }
func (*Notification) validate(*problems)  {}
func (n *Notification) audience() []Group { return []Group{Group(n.User)} }
func (n *Notification) parties() []ID     { return []ID{n.User} }
func (n *Notification) refs() []ID        { return []ID{n.Subject, n.Member} }

// IsNode marks notifications as something with an id of its own.
func (*Notification) IsNode() {}

// Notifications lists the viewer's, newest first.
func (m *Market) Notifications(ctx context.Context, _ *bool, s Slice) (*Page[*Notification], error) {
	return page[*Notification](ctx, m, KindNotification, Query{
		Where: []Condition{{Field: "user", Op: Eq, Value: actorOf(ctx).User}}, Sort: "createdAt", Descending: true}, s)
}

func (m *Market) notify(ctx context.Context, u *User, n *Notification, source string) error {
	n.ID = ID(string(KindNotification) + "_" + hashed(source + "\x00" + string(n.Kind) + "\x00" + string(u.ID))[:26])
	if err := create(ctx, m, MayTellMatches, n); !taken(err, "id") {
		return err
	}
	return nil
}
