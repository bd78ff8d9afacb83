package marketplace

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// Times of the collector.
const (
	// looseFor is how long an upload stays that is not attached.
	looseFor = 24 * time.Hour
	// leavingFor is how long an upload stays that cannot be attached any
	// more. Commands that found it before take much less to refer to it; then
	// it stays after all.
	leavingFor = time.Hour
	// contentFor is how long a content stays that no upload names: longer
	// than it takes from putting it to writing the upload.
	contentFor = AbandonedAfter
	// contentsEvery is how often all contents are looked at.
	contentsEvery = 12 * time.Hour
)

// collectPage is how much the collector looks at in one go.
const collectPage = 100

// attaching notes with uploads whether their subject refers to them.
var attaching = follower{name: "uploads", kinds: slices.Sorted(maps.Keys(mayAttach)), apply: func(ctx context.Context, m *Market, c Change) error {
	list, err := m.allUploadsFor(ctx, ID(c.ID))
	if err != nil || len(list) == 0 {
		return err
	}
	// As it is now: the change may have been overtaken.
	doc, err := get[attachable](ctx, m, ID(c.ID))
	if err := ignore(err, ErrNotFound); err != nil {
		return err
	}
	now := m.clock()
	for _, u := range list {
		var err error
		switch attached := doc != nil && u.seenWith(doc); {
		case attached && u.DueAt != nil:
			err = m.due(ctx, u.ID, nil, false)
		case doc == nil && !u.IsLeaving:
			err = m.due(ctx, u.ID, new(now.Add(leavingFor)), true)
		case !attached && u.DueAt == nil:
			err = m.due(ctx, u.ID, new(now.Add(looseFor)), false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}}

// due says when the collector is to look at an upload; never while it is attached.
func (m *Market) due(ctx context.Context, id ID, at *time.Time, leaving bool) error {
	_, err := update(ctx, m, MayUpload, id, 0, func(u *Upload) error {
		u.mark(unmarked, "")
		u.DueAt, u.IsLeaving = at, leaving
		return nil
	})
	return ignore(err, ErrNotFound)
}

// collecting removes uploads that are not attached, and contents that no
// upload names.
var collecting = chore{name: "uploads", run: func(ctx context.Context, m *Market) (int, error) {
	uploads, err := m.collectUploads(ctx)
	if err != nil {
		return uploads, err
	}
	contents, err := m.collectContents(ctx)
	return uploads + contents, err
}}

// collectUploads removes uploads whose subject is gone or has not referred to
// them for looseFor. It does so in two steps: at first they can no longer be
// attached, and some time later, when nobody can be about to attach them,
// they go.
func (m *Market) collectUploads(ctx context.Context) (int, error) {
	now := m.clock()
	list, err := find[*Upload](ctx, m, KindUpload, Query{
		Where: []Condition{{Field: "dueAt", Op: Lt, Value: now.Add(time.Second)}}, Sort: "dueAt", Limit: collectPage})
	for _, u := range list {
		err = errors.Join(err, m.collect(ctx, u, now))
	}
	return len(list), err
}

func (m *Market) collect(ctx context.Context, u *Upload, now time.Time) error {
	doc, err := get[attachable](withSight(ctx), m, u.Subject)
	switch {
	case ignore(err, ErrNotFound) != nil:
		return err
	case err == nil && u.seenWith(doc):
		return m.due(ctx, u.ID, nil, false)
	case !u.IsLeaving:
		return m.due(ctx, u.ID, new(now.Add(leavingFor)), true)
	}
	if err := m.settle(ctx, u); err != nil {
		return err
	}
	return m.erase(ctx, u)
}

// collectContents removes contents that no upload names and that were put
// long ago: a page of them, from where it ended the last time, also in another
// process. A pass over all of them begins every contentsEvery.
func (m *Market) collectContents(ctx context.Context) (int, error) {
	if m.options.Files == nil {
		return 0, nil
	}
	at, err := m.position(ctx, ID(string(kindPosition)+"_contents"))
	if err != nil {
		return 0, err
	}
	now := m.clock()
	if at.Cursor == "" {
		if now.Sub(at.UpdatedAt).Abs() < contentsEvery {
			return 0, nil
		}
		at.UpdatedAt = now // when the pass began
	}
	list, err := m.options.Files.List(ctx, string(at.Cursor), collectPage)
	if err != nil {
		return 0, err
	}
	before := now.Add(-contentFor)
	for _, f := range list {
		at.Cursor = Cursor(f.Hash)
		if !f.At.Before(before) {
			continue
		}
		named, err := find[*Upload](ctx, m, KindUpload, Query{Where: []Condition{{Field: "contents", Op: Has, Value: f.Hash}}, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(named) > 0 {
			continue
		}
		// Whoever puts it again right now keeps it.
		if err := m.options.Files.Delete(ctx, f.Hash, before); err != nil {
			return 0, err
		}
	}
	if len(list) < collectPage {
		at.Cursor = ""
		return 0, m.keep(ctx, at)
	}
	return len(list), m.keep(ctx, at)
}
