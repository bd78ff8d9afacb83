package marketplace

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Times of alerts.
const (
	// alertWindow is how long after its publication something can be told as
	// new: because an edit makes it match, because it was withdrawn for some
	// time, or because nobody worked on alerts for so long.
	alertWindow = 30 * 24 * time.Hour
	// clockSkew is how far the clocks of server processes may differ.
	clockSkew = time.Hour
	// alertHour is when daily and weekly alerts come, in the user's time zone.
	alertHour = 8
	// roundDelay is how long a round of instant alerts waits for further news.
	roundDelay = 30 * time.Second
	// alertRetry is when a search that could not be run is tried again.
	alertRetry = 10 * time.Minute
	// indexPatience is how long alerts wait for the index.
	indexPatience = 30 * time.Second
)

// alertPage is how many saved searches are run together.
const alertPage = 100

// A newness is what a saved search finds that its user does not know.
type newness struct {
	ids   []ID // newest first, at most maxKnown
	count int  // of all of them
	cut   bool // there are more than ids
}

// newMatches is the query for what a saved search finds among what was
// published lately, by the rights of the context's actor. All words must be
// there, since what has less is below what was looked for; in the list of
// results it stands at the end. What was not changed since a moment can be left
// out, where it was looked at since then.
func (m *Market) newMatches(ctx context.Context, s *SavedSearch, changed time.Time) FinderQuery {
	since := float64(later(s.Since, m.clock().Add(-alertWindow)).Unix())
	q := FinderQuery{
		Text: s.Text, AllWords: true, Groups: groupsOf(ctx), Kinds: foundKinds(), Sort: SortNewest, Size: MaxPageSize,
		Where: []Filter{{Field: FieldPublished, Min: &since}},
	}
	if !changed.IsZero() {
		q.Where = append(q.Where, Filter{Field: FieldChanged, Min: new(float64(changed.Add(-clockSkew).Unix()))})
	}
	if len(s.Kinds) > 0 {
		q.Where = append(q.Where, Filter{Field: FieldKind, Any: keywords(s.Kinds)})
	}
	q.Where = append(q.Where, s.Filter.filters(new(problems))...)
	return q
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// unknown picks from the answer to newMatches, and from its further pages
// where it has any, what the user does not know.
func (m *Market) unknown(ctx context.Context, s *SavedSearch, q FinderQuery, found Found) (newness, error) {
	known := make(map[ID]bool, len(s.Known))
	for _, k := range s.Known {
		known[k.ID] = true
	}
	fresh := newness{count: found.Total}
	for {
		for _, id := range hitIDs(found) {
			switch {
			case known[id]:
				fresh.count--
			case len(fresh.ids) < maxKnown:
				fresh.ids = append(fresh.ids, id)
			default:
				fresh.cut = true
			}
		}
		if !found.HasNext || fresh.cut || len(found.Hits) == 0 {
			fresh.count = max(fresh.count, len(fresh.ids))
			return fresh, nil
		}
		q.After = found.Hits[len(found.Hits)-1].Cursor
		more, err := m.finder.Search(ctx, q)
		if err != nil {
			return fresh, err
		}
		found = more[0]
	}
}

// publishedAt is when something that search finds was published or added;
// zero where it is not.
func publishedAt(doc entity) time.Time {
	if e, ok := entryOf(doc); ok {
		if at, ok := e.Numbers[FieldPublished]; ok {
			return time.Unix(int64(at), 0).UTC()
		}
	}
	return time.Time{}
}

// verify reads what was found and keeps what the context's actor may see and
// is published at this moment: the index is a copy.
func (m *Market) verify(ctx context.Context, ids []ID) ([]Known, error) {
	docs, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Known, 0, len(ids))
	for i, doc := range docs {
		if doc == nil {
			continue
		}
		if at := publishedAt(doc); !at.IsZero() {
			out = append(out, Known{ID: ids[i], PublishedAt: at})
		}
	}
	return out, nil
}

// learn makes matches known, and lets go of those that are not looked for any
// more. Where there is no room for all, the newest stay, and what was
// published before them, told as a number, is no longer looked for.
func (s *SavedSearch) learn(list []Known, cut bool, now time.Time) {
	s.Since = later(s.Since, now.Add(-alertWindow))
	for _, k := range list {
		if !slices.ContainsFunc(s.Known, func(o Known) bool { return o.ID == k.ID }) {
			s.Known = append(s.Known, k)
		}
	}
	slices.SortStableFunc(s.Known, func(a, b Known) int { return b.PublishedAt.Compare(a.PublishedAt) })
	if n := len(s.Known); n > 0 && (cut || n > maxKnown) {
		// Others may have been published in the same second.
		s.Since = later(s.Since, s.Known[min(n, maxKnown)-1].PublishedAt.Add(time.Second))
	}
	s.Known = slices.DeleteFunc(s.Known, func(k Known) bool { return k.PublishedAt.Before(s.Since) })
}

// seeNow finds what a saved search finds at this moment and returns what
// makes it known. Since processes differ in what time it is, it does not
// believe that what was published a moment ago was published before.
func (m *Market) seeNow(ctx context.Context, s *SavedSearch) (func(*SavedSearch), error) {
	fresh := *s
	now := m.clock()
	fresh.Since, fresh.Known = now.Add(-clockSkew), nil
	wait, cancel := context.WithTimeout(ctx, m.wait)
	defer cancel()
	// Of an index that lags something is told that was there already.
	_ = m.finder.Wait(wait, KindSavedSearch, "", math.MaxInt64)
	q := m.newMatches(ctx, &fresh, time.Time{})
	found, err := m.finder.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	list, err := m.unknown(ctx, &fresh, q, found[0])
	if err != nil {
		return nil, err
	}
	seen, err := m.verify(ctx, list.ids)
	if err != nil {
		return nil, err
	}
	fresh.learn(seen, list.cut, now)
	return func(s *SavedSearch) { s.Since, s.Known, s.SeenAt = fresh.Since, fresh.Known, now }, nil
}

// plan sets when to look next: for an instant alert once more after it was
// changed, since what was published in the meantime made no round for it.
func (s *SavedSearch) plan(now time.Time, zone string) {
	s.TimeZone = zone
	switch s.Alert {
	case AlertInstant:
		s.DueAt = new(now.Add(roundDelay))
	case AlertDaily, AlertWeekly:
		s.DueAt = new(nextAlert(s.Alert, now, zone))
	default:
		s.DueAt = nil
	}
}

// nextAlert is the next alertHour after a moment in a time zone; of a Monday
// for weekly alerts.
func nextAlert(rate AlertRate, now time.Time, zone string) time.Time {
	return nextHour(now, zone, alertHour, func(day time.Weekday) bool { return rate != AlertWeekly || day == time.Monday })
}

// matching starts a round of instant alerts when something is published,
// makes the notification of an alert, and keeps the hour of alerts when a
// user moves.
var matching = follower{name: "matches", kinds: []Kind{KindCity, KindCompany, KindInstitution, KindSolution, KindProposal, KindSavedSearch, KindUser},
	apply: present(func(ctx context.Context, m *Market, doc entity) error {
		switch doc := doc.(type) {
		case *SavedSearch:
			return m.tellMatches(ctx, doc)
		case *User:
			return m.moveAlerts(ctx, doc)
		default:
			if publishedAt(doc).Before(m.clock().Add(-alertWindow)) {
				return nil
			}
			return m.planRound(ctx)
		}
	})}

// tellMatches makes the notification of the latest alert, once. How it is
// told, and whether at all, is the user's choice.
func (m *Market) tellMatches(ctx context.Context, s *SavedSearch) error {
	a := s.Last
	if a == nil || s.IsDeleted || a.At.Before(m.clock().Add(-alertWindow)) {
		return nil
	}
	u, err := get[*User](ctx, m, s.User)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	n := &Notification{User: u.ID, Kind: NotifyMatch, Event: "savedsearch.MATCH", Subject: s.ID, Note: s.Name, Matches: a.Matches, Count: a.Count}
	return m.notify(ctx, u, n, fmt.Sprintf("%s alert %d", s.ID, a.Number))
}

// moveAlerts keeps the hour of alerts where their user moves, and looks again
// for a user who was suspended, since rounds have passed them by.
func (m *Market) moveAlerts(ctx context.Context, u *User) error {
	list, err := m.savedSearchesOf(ctx, u.ID)
	if err != nil {
		return err
	}
	back := !u.IsSuspended && slices.ContainsFunc(u.Marks, func(k Mark) bool { return k.Action == "RESTORE" })
	for _, s := range list {
		if s.Alert == AlertNone || s.TimeZone == u.TimeZone && (s.Alert != AlertInstant || s.DueAt != nil || !back) {
			continue
		}
		_, err := update(ctx, m, MayTellMatches, s.ID, 0, func(s *SavedSearch) error {
			s.mark(unmarked, "")
			s.plan(m.clock(), u.TimeZone)
			return nil
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// A round goes through all saved searches with instant alerts after
// something was published. There is one such document.
type round struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	DueAt     *time.Time `json:"dueAt,omitempty"` // of the next one; nil where nothing was published since the last began
	IsRunning bool       `json:"isRunning,omitempty"`
	After     string     `json:"after,omitempty"` // position of the last search that it has run
	Began     time.Time  `json:"began"`
	// Since is when the last round began that came to its end: what was not
	// changed since then, every search has been asked for.
	Since time.Time `json:"since"`
}

var kindRound = registerTrace("round", func() entity { return new(round) })

const roundID = ID("round_alerts")

func (*round) kind() Kind         { return kindRound }
func (*round) validate(*problems) {}
func (*round) audience() []Group  { return nil }
func (*round) parties() []ID      { return nil }

func (m *Market) changeRound(ctx context.Context, change func(*round) error) (*round, error) {
	return updateOrCreate(ctx, m, MayTellMatches, roundID, 0, func() *round { return new(round) }, change)
}

// planRound makes a round due in a moment, unless one is.
func (m *Market) planRound(ctx context.Context) error {
	r, err := get[*round](ctx, m, roundID)
	if err == nil && r.DueAt != nil {
		return nil
	}
	if err == nil || errors.Is(err, ErrNotFound) {
		_, err = m.changeRound(ctx, func(r *round) error {
			if r.DueAt == nil {
				r.DueAt = new(m.clock().Add(roundDelay))
			}
			return nil
		})
	}
	return err
}

// alerting runs the saved searches whose time has come, then a page of the
// round of instant alerts.
var alerting = chore{name: "alerts", run: func(ctx context.Context, m *Market) (int, error) {
	ctx = asWorker(ctx)
	due, err := find[*SavedSearch](ctx, m, KindSavedSearch, Query{
		Where: []Condition{{Field: "dueAt", Op: Lt, Value: m.clock().Add(time.Second)}}, Sort: "dueAt", Limit: alertPage})
	if err != nil {
		return 0, err
	}
	if err := m.look(ctx, due, time.Time{}); err != nil {
		return 0, err
	}
	n, err := m.goRound(asWorker(ctx))
	return n + len(due), err
}}

// goRound runs a page of the round, where one is due. A server that stops
// goes on with the page that it was at.
func (m *Market) goRound(ctx context.Context) (int, error) {
	r, err := get[*round](ctx, m, roundID)
	if errors.Is(err, ErrNotFound) || err == nil && !r.IsRunning && (r.DueAt == nil || r.DueAt.After(m.clock())) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !r.IsRunning {
		// What is published from now on makes another round due.
		r, err = m.changeRound(ctx, func(r *round) error {
			r.IsRunning, r.DueAt, r.After, r.Began = true, nil, "", m.clock()
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	q := Query{Where: []Condition{{Field: "alert", Op: Eq, Value: AlertInstant}}, After: r.After, Limit: alertPage}
	var list []*SavedSearch
	var last string
	n := 0
	err = m.fetchAll(ctx, KindSavedSearch, q, func(doc entity, position string, seen bool) {
		n, last = n+1, position
		if seen {
			list = append(list, doc.(*SavedSearch))
		}
	})
	if err != nil {
		return 0, err
	}
	if err := m.look(ctx, list, r.Since); err != nil {
		return 0, err
	}
	_, err = m.changeRound(ctx, func(r *round) error {
		if r.After, r.IsRunning = last, n == alertPage; !r.IsRunning {
			r.Since = r.Began
		}
		return nil
	})
	return 1, err
}

// look runs saved searches and writes down what is new, each as its user sees
// it now; only among what was changed since a moment, where one is given.
func (m *Market) look(ctx context.Context, list []*SavedSearch, changed time.Time) error {
	if len(list) == 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	if err := m.finder.Wait(waiting, KindSavedSearch, "", math.MaxInt64); err != nil {
		return fmt.Errorf("alerts wait for the index: %w", err)
	}
	contexts, err := m.contextsOf(ctx, list)
	if err != nil {
		return err
	}
	queries := make([]FinderQuery, 0, len(list))
	var asked []*SavedSearch
	for _, s := range list {
		if as := contexts[s.User]; as != nil {
			queries, asked = append(queries, m.newMatches(as, s, changed)), append(asked, s)
		} else if err := m.lookAt(ctx, nil, s, FinderQuery{}, Found{}); err != nil {
			return err
		}
	}
	if len(asked) == 0 {
		return nil
	}
	found, err := m.finder.Search(ctx, queries...)
	if err != nil {
		return m.lookOneByOne(ctx, contexts, asked, queries, err)
	}
	for i, s := range asked {
		if err := m.lookAt(ctx, contexts[s.User], s, queries[i], found[i]); err != nil {
			return err
		}
	}
	return nil
}

// lookOneByOne is look after the searches failed together, so that one that
// cannot be run does not keep the others from it: it is tried again later.
// Where none can be run, that is no fault of theirs.
func (m *Market) lookOneByOne(ctx context.Context, contexts map[ID]context.Context, asked []*SavedSearch, queries []FinderQuery, cause error) error {
	var failed []*SavedSearch
	for i, s := range asked {
		found, err := m.finder.Search(ctx, queries[i])
		if err != nil {
			failed = append(failed, s)
			continue
		}
		if err := m.lookAt(ctx, contexts[s.User], s, queries[i], found[0]); err != nil {
			return err
		}
	}
	if len(failed) == len(asked) && len(asked) > 1 {
		return cause
	}
	for _, s := range failed {
		if err := m.postpone(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// contextsOf are the contexts in which the users of saved searches see; none
// for those who cannot sign in.
func (m *Market) contextsOf(ctx context.Context, list []*SavedSearch) (map[ID]context.Context, error) {
	ids := make([]ID, len(list))
	for i, s := range list {
		ids[i] = s.User
	}
	slices.Sort(ids)
	users, err := several[*User](ctx, m, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[ID]context.Context, len(users))
	for _, u := range users {
		a, err := m.actor(ctx, u, "")
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[u.ID] = WithViewer(ctx, Viewer{Actor: a, Languages: u.Languages})
	}
	return out, nil
}

// lookAt writes down what a saved search has found, where it is new, and when
// to look again. A search that was edited in the meantime is run once more.
func (m *Market) lookAt(ctx, as context.Context, s *SavedSearch, q FinderQuery, found Found) error {
	for range maxTries {
		var fresh newness
		var news []Known
		var err error
		if as != nil {
			if fresh, err = m.unknown(as, s, q, found); err != nil {
				return m.postpone(ctx, s)
			}
			if news, err = m.verify(as, fresh.ids); err != nil {
				return err
			}
		}
		if len(news) == 0 && s.DueAt == nil {
			return nil
		}
		// What is written next takes the place of this alert.
		if err := m.tellMatches(ctx, s); err != nil {
			return err
		}
		now := m.clock()
		_, err = update(ctx, m, MayTellMatches, s.ID, s.Version(), func(s *SavedSearch) error {
			s.mark(unmarked, "")
			if len(news) > 0 && s.Alert != AlertNone {
				a := &MatchAlert{Number: 1, At: now, Count: max(fresh.count-len(fresh.ids)+len(news), len(news)), Matches: []ID{}}
				if s.Last != nil {
					a.Number = s.Last.Number + 1
				}
				for _, k := range news[:min(len(news), maxToldMatches)] {
					a.Matches = append(a.Matches, k.ID)
				}
				s.Last = a
				s.learn(news, fresh.cut, now)
			}
			if s.DueAt != nil {
				if s.plan(now, s.TimeZone); s.Alert == AlertInstant {
					s.DueAt = nil
				}
			}
			return nil
		})
		conflict, ok := errors.AsType[*ConflictError](err)
		if errors.Is(err, ErrNotFound) || err == nil {
			return nil
		}
		if !ok {
			return err
		}
		s = conflict.Current.(*SavedSearch)
		if s.Alert == AlertNone {
			return nil
		}
		if as != nil {
			q = m.newMatches(as, s, time.Time{})
			again, err := m.finder.Search(as, q)
			if err != nil {
				return m.postpone(ctx, s)
			}
			found = again[0]
		}
	}
	return m.postpone(ctx, s)
}

// postpone makes a search that cannot be run now be run later.
func (m *Market) postpone(ctx context.Context, s *SavedSearch) error {
	_, err := update(ctx, m, MayTellMatches, s.ID, 0, func(s *SavedSearch) error {
		s.mark(unmarked, "")
		if s.Alert != AlertNone {
			s.DueAt = new(m.clock().Add(alertRetry))
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
