package marketplace

import (
	"context"
	"errors"
	"slices"
	"time"
)

// settling copies the marks of commands into the audit log, and lets the
// store forget what was deleted once that is done.
var settling = follower{name: "audit", apply: present(func(ctx context.Context, m *Market, doc entity) error {
	if err := m.settle(ctx, doc); err != nil {
		return err
	}
	if doc.meta().IsDeleted {
		return m.erase(ctx, doc)
	}
	return nil
})}

// joining finishes what an invitation promises where the server stopped in
// between: it brings new users into the team that they were invited to, and
// notes with users which members they belong to.
var joining = follower{name: "teams", kinds: []Kind{KindUser, KindTeam}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	switch doc := doc.(type) {
	case *User:
		return m.finishJoining(ctx, doc)
	case *Team:
		return m.noteTeam(ctx, doc)
	}
	return nil
})}

func (m *Market) finishJoining(ctx context.Context, u *User) error {
	if u.Joining == "" {
		return nil
	}
	t, err := get[*Ticket](ctx, m, u.Joining)
	if errors.Is(err, ErrNotFound) || err == nil && t.State != TicketOpen {
		return nil
	}
	if err != nil {
		return err
	}
	if err := m.enter(ctx, t, u.ID); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil // the user, or the invitation, is gone in the meantime
}

// noteTeam notes a member with exactly those users who are in its team.
func (m *Market) noteTeam(ctx context.Context, t *Team) error {
	if t.Member == "" {
		return nil
	}
	noted, err := find[*User](ctx, m, KindUser, Query{Where: []Condition{{Field: "members", Op: Has, Value: t.Member}}, Limit: MaxPage})
	if err != nil {
		return err
	}
	for _, u := range noted {
		if t.find(u.ID) < 0 {
			if err := m.noteTeams(ctx, u.ID); err != nil {
				return err
			}
		}
	}
	for _, p := range t.People {
		if !slices.ContainsFunc(noted, func(u *User) bool { return u.ID == p.User }) {
			if err := m.noteTeams(ctx, p.User); err != nil {
				return err
			}
		}
	}
	return nil
}

// placing keeps with proposals where their city is, and in which time zone.
var placing = follower{name: "places", kinds: []Kind{KindCity}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	city := doc.(*City)
	q := Query{Where: []Condition{{Field: "city", Op: Eq, Value: city.ID}}, Sort: "createdAt", Limit: MaxPage}
	for {
		var last string
		n := 0
		var stale []ID
		err := m.fetchAll(ctx, KindProposal, q, func(doc entity, position string, _ bool) {
			n, last = n+1, position
			if r := doc.(*Proposal); r.Country != city.Country || r.Region != city.Region || r.TimeZone != city.TimeZone {
				stale = append(stale, r.ID)
			}
		})
		if err != nil {
			return err
		}
		for _, id := range stale {
			_, err := update(ctx, m, MayEditProposal, id, 0, func(r *Proposal) error {
				r.mark(unmarked, "")
				r.Country, r.Region, r.TimeZone = city.Country, city.Region, city.TimeZone
				return nil
			})
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		if n < q.Limit {
			return nil
		}
		q.After = last
	}
})}

// keptExpired is how long what has expired is kept, for those who look for it.
const keptExpired = 30 * 24 * time.Hour

// expiring lets the store forget sessions, tokens and tickets some time after
// they have ended.
var expiring = chore{name: "expiry", run: func(ctx context.Context, m *Market) (int, error) {
	done := 0
	for _, kind := range []Kind{KindSession, KindToken, KindTicket} {
		n, err := m.eraseBefore(ctx, kind, "expiresAt", m.clock().Add(-keptExpired))
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}}

// eraseBefore lets the store forget documents of a kind whose time lies
// before another one, a page of them at most, and returns how many.
func (m *Market) eraseBefore(ctx context.Context, kind Kind, field string, before time.Time) (int, error) {
	var docs []entity
	q := Query{Where: []Condition{{Field: field, Op: Lt, Value: before}}, Sort: field, Limit: 100}
	err := m.fetchAll(ctx, kind, q, func(doc entity, _ string, _ bool) { docs = append(docs, doc) })
	for _, doc := range docs {
		if err == nil {
			err = m.settle(ctx, doc)
		}
		if err == nil {
			err = m.erase(ctx, doc)
		}
	}
	return len(docs), err
}
