package marketplace

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
)

// A hub brings new notifications to those who listen in this process. It
// follows the store's feed, so it hears of what other processes write as
// well, and does so only while somebody listens.
type hub struct {
	mu        sync.Mutex
	listeners map[ID]map[*listener]struct{} // by user
	stop      context.CancelFunc            // ends following; nil while nobody listens
	ended     chan struct{}                 // closed when following has ended
	ready     chan struct{}                 // closed when the hub has come to the end of the feed
	cursor    Cursor                        // how far it had come when it last stopped
	known     bool                          // whether cursor means anything
	recent    recent
}

// A listener is a client that listens.
type listener struct {
	news chan *Notification
	cut  chan struct{} // closed when news was lost to it
}

const (
	maxBehind   = 100              // notifications that wait for one listener; more cut it off
	hubWait     = 30 * time.Second // for news
	freshFor    = 10 * time.Minute // a change that is older than its notification by more is no news
	maxRecent   = 10_000           // ids that the hub remembers
	maxSeen     = 1000             // ids that a listener remembers
	replayEarly = 10 * time.Minute // how much earlier a replay begins, since clocks of servers differ
)

// errFellBehind ends the listening of a client that does not take its
// notifications, or whose server lost its place in the feed.
var errFellBehind = errors.New("news was lost: subscribe again, after the last notification that was seen")

// letterFeed are the kinds that the hub and the follower of letters read, so
// that the hub can go on from where that one is.
var letterFeed = []Kind{KindNotification, KindTicket}

// recent remembers the last ids that were seen, at most max of them.
type recent struct {
	max  int
	seen map[ID]struct{}
	ring []ID
	next int
}

// first says whether an id is seen for the first time.
func (r *recent) first(id ID) bool {
	if _, ok := r.seen[id]; ok {
		return false
	}
	if r.seen == nil {
		r.seen = make(map[ID]struct{})
	}
	if len(r.ring) < r.max {
		r.ring = append(r.ring, id)
	} else {
		delete(r.seen, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % r.max
	}
	r.seen[id] = struct{}{}
	return true
}

// NewNotifications are the viewer's notifications from now on, as they come,
// whichever process writes them. With the id of the last one that was seen,
// those come first that were told since then and have not been read, so that
// a client that was cut off misses nothing; some from shortly before may come
// again. It ends with an error when the client falls behind, and when the
// context is done.
func (m *Market) NewNotifications(ctx context.Context, after *ID) iter.Seq2[*Notification, error] {
	return func(yield func(*Notification, error) bool) {
		user, err := notified(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		since, seen, err := m.before(ctx, user, after)
		if err != nil {
			yield(nil, err)
			return
		}
		l, leave, err := m.hub.listen(ctx, m, user)
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		// What was written until the hub listened.
		if !m.replay(ctx, user, since, seen, yield) {
			return
		}
		for {
			select {
			case n := <-l.news:
				if seen.first(n.ID) && !yield(n, nil) {
					return
				}
			case <-l.cut:
				yield(nil, errFellBehind)
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// before finds the time from which on a replay looks for what is new, and
// what it passes over: what is there already, where nothing else is said.
func (m *Market) before(ctx context.Context, user ID, after *ID) (time.Time, *recent, error) {
	seen := &recent{max: maxSeen}
	if after != nil {
		n, err := get[*Notification](Afresh(ctx), m, *after)
		if errors.Is(err, ErrNotFound) {
			return time.Time{}, nil, invalid("after", "NOT_FOUND", "there is no such notification")
		}
		if err != nil {
			return time.Time{}, nil, err
		}
		seen.first(n.ID)
		return n.CreatedAt.Add(-replayEarly), seen, nil
	}
	since := m.clock().Add(-replayEarly)
	return since, seen, m.eachUnread(ctx, user, since, func(n *Notification) bool {
		seen.first(n.ID)
		return true
	})
}

// replay hands over what is unread since a time, oldest first; false when
// the client wants no more.
func (m *Market) replay(ctx context.Context, user ID, since time.Time, seen *recent, yield func(*Notification, error) bool) bool {
	more := true
	err := m.eachUnread(ctx, user, since, func(n *Notification) bool {
		more = !seen.first(n.ID) || yield(n, nil)
		return more
	})
	if err != nil && more {
		yield(nil, err)
		return false
	}
	return more
}

// eachUnread goes through what a user has not read since a time, oldest
// first, a page at a time.
func (m *Market) eachUnread(ctx context.Context, user ID, since time.Time, each func(*Notification) bool) error {
	q := unreadOf(user, nil, MaxPageSize)
	q.Where = append(q.Where, Condition{Field: "createdAt", Op: Ge, Value: since})
	for {
		var list []*Notification
		err := m.fetchAll(ctx, KindNotification, q, func(doc entity, position string, _ bool) {
			list, q.After = append(list, doc.(*Notification)), position
		})
		if err != nil {
			return err
		}
		for _, n := range list {
			if !each(n) {
				return nil
			}
		}
		if len(list) < q.Limit {
			return nil
		}
	}
}

// listen adds a listener, and waits until the hub is at the end of the feed,
// so that all that is written from then on reaches the listener.
func (h *hub) listen(ctx context.Context, m *Market, user ID) (*listener, func(), error) {
	l := &listener{news: make(chan *Notification, maxBehind), cut: make(chan struct{})}
	h.mu.Lock()
	for h.stop == nil && h.ended != nil { // the one before is about to end
		ended := h.ended
		h.mu.Unlock()
		<-ended
		h.mu.Lock()
		if h.ended == ended {
			h.ended = nil
		}
	}
	if h.listeners == nil {
		h.listeners = map[ID]map[*listener]struct{}{}
	}
	if h.listeners[user] == nil {
		h.listeners[user] = map[*listener]struct{}{}
	}
	h.listeners[user][l] = struct{}{}
	if h.stop == nil {
		following, stop := context.WithCancel(asWorker(context.Background()))
		h.stop, h.ended, h.ready = stop, make(chan struct{}), make(chan struct{})
		go h.follow(following, m, h.ended, h.ready)
	}
	ready := h.ready
	h.mu.Unlock()
	leave := func() { h.leave(user, l) }
	select {
	case <-ready:
		return l, leave, nil
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
}

// leave takes a listener away; the last one stops the hub.
func (h *hub) leave(user ID, l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners[user], l)
	if len(h.listeners[user]) == 0 {
		delete(h.listeners, user)
	}
	if len(h.listeners) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// follow reads the feed until nobody listens any more. It begins where it
// stopped the last time, else where the follower of letters is now.
func (h *hub) follow(ctx context.Context, m *Market, ended, ready chan struct{}) {
	defer close(ended)
	isReady := false
	for failures := 0; ctx.Err() == nil; {
		wait := hubWait
		if !isReady {
			wait = 0
		}
		n, err := h.step(ctx, m, wait, isReady)
		switch {
		case errors.Is(err, ErrCursor):
			if !isReady {
				close(ready)
			}
			ready, isReady = h.lose(), false
			pause(ctx, backOff(failures))
			failures++
		case err != nil:
			pause(ctx, backOff(failures))
			failures++
		default:
			failures = 0
			if n == 0 && !isReady {
				isReady = true
				close(ready)
			}
		}
	}
}

// step reads a page of the feed and hands on what is new, but for what was
// written before anybody listened: a replay finds that. It returns how many
// changes there were, zero at the end of the feed.
func (h *hub) step(ctx context.Context, m *Market, wait time.Duration, hand bool) (int, error) {
	if !h.known {
		p, err := m.position(ctx, posting.position())
		if err != nil {
			return 0, err
		}
		h.cursor, h.known = p.Cursor, true
	}
	feed, err := m.changes(ctx, FeedQuery{Kinds: letterFeed, After: h.cursor, Limit: workerPage, Wait: wait})
	if err != nil {
		return 0, err
	}
	for _, c := range feed.Changes {
		if c.Deleted || c.Kind != KindNotification {
			continue
		}
		n := new(Notification)
		if err := c.Decode(n); err != nil {
			continue // by a later version of the program
		}
		n.rev = c.Rev
		// Later changes are of its letter, or that it was read.
		if !n.IsRead && n.UpdatedAt.Sub(n.CreatedAt) < freshFor && h.recent.first(n.ID) && hand {
			h.deliver(n)
		}
	}
	moved := feed.Next != h.cursor
	h.cursor = feed.Next
	if !moved {
		return 0, nil // the same changes again, which can still be overtaken
	}
	return len(feed.Changes), nil
}

// deliver hands a notification to those who listen for its user. Whoever does
// not take it is cut off: nothing waits for them without end.
func (h *hub) deliver(n *Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners[n.User] {
		copied := *n
		select {
		case l.news <- &copied:
		default:
			h.drop(n.User, l)
		}
	}
}

func (h *hub) drop(user ID, l *listener) {
	close(l.cut)
	delete(h.listeners[user], l)
}

// lose cuts everybody off, since the place in the feed was lost: they
// subscribe again, when the hub has come to the end of the feed anew.
func (h *hub) lose() (ready chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for user, list := range h.listeners {
		for l := range list {
			h.drop(user, l)
		}
	}
	h.cursor, h.known, h.ready = "", true, make(chan struct{})
	return h.ready
}

// standing remembers for a moment who may still do what, so that streams can
// ask before each event.
type standing struct {
	mu   sync.Mutex
	seen map[ID]stood
}

type stood struct {
	at    time.Time
	actor Actor
	err   error
}

const (
	standingFor = time.Second
	maxStanding = 10_000
)

// ErrEnded: the session or token by which a viewer was known has ended, or
// their rights are others by now.
var ErrEnded = errors.New("sign in again")

// StillHolds returns nil as long as the viewer is who they were when their
// request began, with the same rights, and ErrEnded from then on; visitors
// always are. It looks at the store once a second for each session at the most.
// While the store cannot be asked, what held holds: nothing comes from it then.
func (m *Market) StillHolds(ctx context.Context) error {
	a := actorOf(ctx)
	if a.Via == "" {
		return nil
	}
	now, err := m.actorVia(ctx, a.Via)
	if errors.Is(err, ErrNotFound) || err == nil && !now.same(a) {
		return ErrEnded
	}
	return nil
}

func (m *Market) actorVia(ctx context.Context, via ID) (Actor, error) {
	s := &m.standing
	s.mu.Lock()
	held, ok := s.seen[via]
	s.mu.Unlock()
	if ok && m.now().Sub(held.at).Abs() < standingFor {
		return held.actor, held.err
	}
	held = stood{at: m.now()}
	held.actor, held.err = m.known(withSight(Afresh(ctx)), via)
	if held.err != nil && !errors.Is(held.err, ErrNotFound) {
		return held.actor, held.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) >= maxStanding {
		s.seen = map[ID]stood{}
	}
	s.seen[via] = held
	return held.actor, held.err
}

// known is what a session or a token stands for now.
func (m *Market) known(ctx context.Context, via ID) (Actor, error) {
	if via.Kind() == KindToken {
		t, err := get[*Token](ctx, m, via)
		if err != nil {
			return Actor{}, err
		}
		return m.actorWith(ctx, t)
	}
	s, err := get[*Session](ctx, m, via)
	if err != nil {
		return Actor{}, err
	}
	u, err := get[*User](ctx, m, s.User)
	if err != nil {
		return Actor{}, err
	}
	if !s.holds(u, m.clock()) {
		return Actor{}, ErrNotFound
	}
	return m.actor(ctx, u, s.ID)
}

// same says whether two actors are the same user with the same rights.
func (a Actor) same(o Actor) bool {
	return a.User == o.User && a.Secretariat == o.Secretariat && a.ReadOnly == o.ReadOnly && len(a.Memberships) == len(o.Memberships) &&
		!slices.ContainsFunc(a.Memberships, func(m Membership) bool {
			return !slices.ContainsFunc(o.Memberships, func(n Membership) bool { return n.Member == m.Member && n.Role == m.Role })
		})
}
