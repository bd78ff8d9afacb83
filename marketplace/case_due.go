package marketplace

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Times of reminders of cases.
const (
	caseNotice = 7 * 24 * time.Hour // before it is due
	caseNagged = 7 * 24 * time.Hour // between reminders of a case that is overdue
)

// plan keeps when a case is due, and when its officer is reminded next: a week
// before that, at that moment, and each week after it, until it is closed. A
// reminder whose time has come stays to be told.
func (c *Case) plan(now time.Time) {
	due := noDue
	if c.DueOn != nil {
		if end, ok := c.DueOn.end("UTC"); ok {
			due = time.Unix(end+1, 0).UTC()
		}
	}
	switch {
	case c.isClosed() || due.Equal(noDue):
		c.RemindAt = nil
	case due.Equal(c.DueAt) && c.RemindAt != nil && !c.RemindAt.After(now):
	case now.Before(due.Add(-caseNotice)):
		c.RemindAt = new(due.Add(-caseNotice))
	case now.Before(due):
		c.RemindAt = &due
	default:
		c.RemindAt = new(due.Add(now.Sub(due)/caseNagged*caseNagged + caseNagged))
	}
	c.DueAt = due
}

// reminding tells officers of cases that are due soon, or overdue. A server
// that stops in between tells the same once more, which makes no second
// notification.
var reminding = chore{name: "cases that fall due", run: func(ctx context.Context, m *Market) (int, error) {
	due, err := find[*Case](ctx, m, KindCase, Query{
		Where: []Condition{{Field: "remindAt", Op: Lt, Value: m.clock().Add(time.Second)}}, Sort: "remindAt", Limit: 100})
	if err != nil {
		return 0, err
	}
	for _, c := range due {
		if err := m.remind(ctx, c); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}}

func (m *Market) remind(ctx context.Context, c *Case) error {
	event := "case.DUE_SOON"
	if !c.RemindAt.Before(c.DueAt) {
		event = "case.OVERDUE"
	}
	who, err := m.officersFor(ctx, c)
	if err != nil {
		return err
	}
	for _, t := range who {
		u, err := get[*User](ctx, m, t.user)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		n := &Notification{User: u.ID, Kind: NotifyCase, Event: event, Subject: c.ID, Member: c.Asker, Note: string(*c.DueOn)}
		if err := m.notify(ctx, u, n, fmt.Sprintf("%s reminder of %d", c.ID, c.RemindAt.Unix())); err != nil {
			return err
		}
	}
	_, err = update(ctx, m, MayKeepCases, c.ID, 0, func(now *Case) error {
		if now.RemindAt == nil || !now.RemindAt.Equal(*c.RemindAt) {
			return errUnchanged
		}
		now.mark(unmarked, "")
		now.RemindAt = nil
		now.plan(m.clock())
		return nil
	})
	return ignore(ignore(err, errUnchanged), ErrNotFound)
}

// officersFor are those who are told of a case: the officer who has it, and
// all of them where nobody has, or who has it is no officer any more.
func (m *Market) officersFor(ctx context.Context, c *Case) ([]told, error) {
	all, err := m.inTeam(ctx, &AuditEntry{Readers: []ID{c.Asker}}, "", TeamRole(SecretariatAdmin), TeamRole(SecretariatOfficer))
	for _, t := range all {
		if t.user == c.Officer {
			return []told{t}, err
		}
	}
	return all, err
}
