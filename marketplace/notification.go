package marketplace

import (
	"time"
)

// A Preference says by which way a user wants to be told of one kind of thing.
type Preference struct {
	Kind    NotificationKind `json:"kind"`
	Channel Channel          `json:"channel"`
}

// A NotificationKind is a kind of thing that users are told of.
type NotificationKind string

// A Channel is a way of telling.
type Channel string

func checkPreferences(p *problems, path string, list []Preference) {
	p.max(path, len(list), 50)
}

func (u *User) planDigest(now time.Time) {}
