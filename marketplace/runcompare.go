package marketplace

import (
	"context"
	"errors"
	"slices"
)

// RunUnplaced are the pairs that were asked for and have no place in the
// timetable of a run, those first that are asked for most, maxUnplaced at the
// most; none of a run that has made none.
func (m *Market) RunUnplaced(ctx context.Context, r *Run) ([]Unplaced, error) {
	t, err := get[*Timetable](ctx, m, timetableID(r.ID))
	if errors.Is(err, ErrNotFound) {
		return []Unplaced{}, nil
	}
	if err != nil {
		return nil, err
	}
	return t.Unplaced.list(), nil
}

// RunPlacements are the meetings in the timetable of a run, in the order of
// time; none of a run that has made none.
func (m *Market) RunPlacements(ctx context.Context, r *Run) ([]Placement, error) {
	t, err := get[*Timetable](ctx, m, timetableID(r.ID))
	if errors.Is(err, ErrNotFound) {
		return []Placement{}, nil
	}
	if err != nil {
		return nil, err
	}
	return t.Placements.list(), nil
}

// A TimetableDifference is what one timetable has that another one has not.
type TimetableDifference struct {
	Added   []Placement
	Removed []Placement
	Moved   []PlacementMove
	Same    int // meetings that are at the same slot and table in both
}

// A PlacementMove is a meeting at another slot or table.
type PlacementMove struct{ From, To Placement }

// difference compares two timetables.
func difference(from, to []Placement) *TimetableDifference {
	d := &TimetableDifference{Added: []Placement{}, Removed: []Placement{}, Moved: []PlacementMove{}}
	was := make(map[pair]Placement, len(from))
	for _, p := range from {
		was[p.pair()] = p
	}
	for _, p := range to {
		q, ok := was[p.pair()]
		switch {
		case !ok:
			d.Added = append(d.Added, p)
		case q.Slot.Equal(p.Slot) && q.Table == p.Table:
			d.Same++
		default:
			d.Moved = append(d.Moved, PlacementMove{q, p})
		}
		delete(was, p.pair())
	}
	d.Removed = append(d.Removed, sortedPlacements(was)...)
	return d
}

// RunDifference says what the second of two runs of an event has made of the
// timetable of the first.
func (m *Market) RunDifference(ctx context.Context, from, to ID) (*TimetableDifference, error) {
	var lists [2][]Placement
	var event ID
	for i, id := range []ID{from, to} {
		path := []string{"from", "to"}[i]
		r, err := m.Run(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil, invalid(path, "NOT_FOUND", "there is no such run")
		}
		if err != nil {
			return nil, err
		}
		if i == 1 && r.Event != event {
			return nil, invalid(path, "INVALID", "is a run of another event")
		}
		event = r.Event
		t, err := m.timetableOf(ctx, r)
		if err != nil {
			return nil, atPath(err, path)
		}
		lists[i] = t.Placements.list()
	}
	return difference(lists[0], lists[1]), nil
}

// DraftDifference says what publishing the draft would change: what it has
// that was not published.
func (m *Market) DraftDifference(ctx context.Context, d *Draft) (*TimetableDifference, error) {
	last, err := m.latestPublication(ctx, d.Event)
	if err != nil || !onSide(ctx) {
		return nil, err
	}
	var before []Placement
	if last != nil {
		before = last.Placements.list()
	}
	return difference(before, d.Placements.list()), nil
}

// A PlacementConflict is a meeting of a draft against which something stands
// by now, in sentences.
type PlacementConflict struct {
	Placement Placement
	Errors    []UserError
}

// DraftConflicts are the meetings of a draft against which something absolute
// stands by now, since registrations, wishes, or the time of somebody have
// changed: they cannot be published. Some ten store operations.
func (m *Market) DraftConflicts(ctx context.Context, d *Draft) ([]PlacementConflict, error) {
	out := []PlacementConflict{}
	if !onSide(ctx) {
		return out, nil
	}
	a, err := m.assemble(ctx, d.Event)
	if err != nil {
		return out, ignore(err, ErrNotFound)
	}
	for _, s := range newBoard(a, d.Placements.list()).stuck {
		out = append(out, PlacementConflict{s.Placement, problemsOf(m.refuse(ctx, s.conflicts))})
	}
	slices.SortFunc(out, func(x, y PlacementConflict) int { return comparePlacements(x.Placement, y.Placement) })
	return out, nil
}

// DraftUnplaced are the pairs that were asked for and have no place in a
// draft, those first that are asked for most. Some ten store operations.
func (m *Market) DraftUnplaced(ctx context.Context, d *Draft) ([]Unplaced, error) {
	if !onSide(ctx) {
		return []Unplaced{}, nil
	}
	a, err := m.assemble(ctx, d.Event)
	if err != nil {
		return []Unplaced{}, ignore(err, ErrNotFound)
	}
	return newBoard(a, d.Placements.list()).shortage().unplaced(nil), nil
}
