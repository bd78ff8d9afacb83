package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A ListPage is a page of a list that is one document, such as a timetable.
type ListPage[T any] struct {
	Nodes      []T
	TotalCount int
	PageInfo   PageInfo
}

// Names of such pages in the API.
type (
	PlacementConnection = ListPage[*Placement]
	UnplacedConnection  = ListPage[*Unplaced]
)

// A ListSlice says which part of such a list is asked for.
type ListSlice struct {
	Of    *ID // a member; nil: all
	First *int
	After *string
}

// listPage is the part of a list that is asked for. Its cursors are places in the list.
func listPage[T any](ctx context.Context, list []T, s ListSlice, sides func(*T) duo) (*ListPage[*T], error) {
	first, from := DefaultPageSize, 0
	if s.First != nil {
		first = *s.First
	}
	if first < 0 || first > MaxPageSize {
		return nil, invalid("first", "OUT_OF_RANGE", fmt.Sprintf("must be 0 to %d", MaxPageSize))
	}
	if s.After != nil {
		n, err := strconv.Atoi(*s.After)
		if err != nil || n < 0 {
			return nil, ErrBadCursor
		}
		from = n + 1
	}
	if s.Of != nil {
		list = slices.DeleteFunc(list, func(x T) bool { m := sides(&x); return m[0] != *s.Of && m[1] != *s.Of })
	}
	p := &ListPage[*T]{Nodes: []*T{}, TotalCount: len(list)}
	var refs []ID
	for i := from; i < min(from+first, len(list)); i++ {
		m := sides(&list[i])
		p.Nodes, refs = append(p.Nodes, &list[i]), append(refs, m[0], m[1])
	}
	if n := len(p.Nodes); n > 0 {
		p.PageInfo.StartCursor, p.PageInfo.EndCursor = new(strconv.Itoa(from)), new(strconv.Itoa(from+n-1))
	}
	p.PageInfo.HasPreviousPage, p.PageInfo.HasNextPage = from > 0, from+first < len(list)
	readsOf(ctx).expect(refs)
	return p, nil
}

func placementPage(ctx context.Context, list []Placement, s ListSlice) (*PlacementConnection, error) {
	return listPage(ctx, list, s, (*Placement).pair)
}

func unplacedPage(ctx context.Context, list []Unplaced, s ListSlice) (*UnplacedConnection, error) {
	return listPage(ctx, list, s, func(u *Unplaced) duo { return duo{u.A, u.B} })
}

// RunUnplaced are the pairs that were asked for and have no place in the
// timetable of a run, those first that are asked for most, maxUnplaced at the
// most; none of a run that has made none.
func (m *Market) RunUnplaced(ctx context.Context, r *Run, s ListSlice) (*UnplacedConnection, error) {
	t, err := get[*Timetable](ctx, m, timetableID(r.ID))
	if errors.Is(err, ErrNotFound) {
		return unplacedPage(ctx, nil, s)
	}
	if err != nil {
		return nil, err
	}
	return unplacedPage(ctx, t.Unplaced.list(), s)
}

// RunPlacements are the meetings in the timetable of a run, in the order of
// time; none of a run that has made none.
func (m *Market) RunPlacements(ctx context.Context, r *Run, s ListSlice) (*PlacementConnection, error) {
	t, err := get[*Timetable](ctx, m, timetableID(r.ID))
	if errors.Is(err, ErrNotFound) {
		return placementPage(ctx, nil, s)
	}
	if err != nil {
		return nil, err
	}
	return placementPage(ctx, t.Placements.list(), s)
}

// DraftPlacements are the meetings of a draft, in the order of time.
func (m *Market) DraftPlacements(ctx context.Context, d *Draft, s ListSlice) (*PlacementConnection, error) {
	return placementPage(ctx, d.Placements.list(), s)
}

// PublicationPlacements are what a publication says, in the order of time.
func (m *Market) PublicationPlacements(ctx context.Context, x *Publication, s ListSlice) (*PlacementConnection, error) {
	return placementPage(ctx, x.Placements.list(), s)
}

// A TimetableDifference is what one timetable has that another one has not.
type TimetableDifference struct {
	Added   []Placement
	Removed []Placement
	Moved   []PlacementMove
	Same    int // meetings that are at the same slot and table in both

	added, removed, moved int // in all
}

// A PlacementMove is a meeting at another slot or table.
type PlacementMove struct{ From, To Placement }

// difference compares two timetables.
func difference(from, to []Placement) *TimetableDifference {
	d := &TimetableDifference{Added: []Placement{}, Removed: []Placement{}, Moved: []PlacementMove{}}
	was := make(map[duo]Placement, len(from))
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

// maxDifference bounds what is shown of each list of a difference.
const maxDifference = 1000

// AddedCount, RemovedCount and MovedCount are how many there are in all.
func (d *TimetableDifference) AddedCount() int { return d.added }

// RemovedCount is how many meetings are no more.
func (d *TimetableDifference) RemovedCount() int { return d.removed }

// MovedCount is how many meetings are elsewhere.
func (d *TimetableDifference) MovedCount() int { return d.moved }

// shorten keeps the first maxDifference of each list.
func (d *TimetableDifference) shorten() *TimetableDifference {
	d.added, d.removed, d.moved = len(d.Added), len(d.Removed), len(d.Moved)
	d.Added = d.Added[:min(d.added, maxDifference)]
	d.Removed = d.Removed[:min(d.removed, maxDifference)]
	d.Moved = d.Moved[:min(d.moved, maxDifference)]
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
	return difference(lists[0], lists[1]).shorten(), nil
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
	return difference(before, d.Placements.list()).shorten(), nil
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
func (m *Market) DraftConflicts(ctx context.Context, d *Draft) ([]*PlacementConflict, error) {
	out := []*PlacementConflict{}
	if !onSide(ctx) {
		return out, nil
	}
	a, err := m.assemble(ctx, d.Event)
	if err != nil {
		return out, ignore(err, ErrNotFound)
	}
	b := newBoard(a, d.Placements.list())
	b.begun(nil)
	for _, s := range b.stuck {
		out = append(out, &PlacementConflict{s.Placement, problemsOf(m.refuse(ctx, s.conflicts))})
	}
	slices.SortFunc(out, func(x, y *PlacementConflict) int { return comparePlacements(x.Placement, y.Placement) })
	return out, nil
}

// DraftUnplaced are the pairs that were asked for and have no place in a
// draft, those first that are asked for most. Some ten store operations.
func (m *Market) DraftUnplaced(ctx context.Context, d *Draft, s ListSlice) (*UnplacedConnection, error) {
	if !onSide(ctx) {
		return unplacedPage(ctx, nil, s)
	}
	a, err := m.assemble(ctx, d.Event)
	if err != nil {
		return nil, err
	}
	return unplacedPage(ctx, newBoard(a, d.Placements.list()).shortage().unplaced(nil), s)
}
