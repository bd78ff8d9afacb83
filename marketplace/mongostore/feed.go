package mongostore

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"citymarket/marketplace"
)

// A mark is what a cursor says. The cursor is base64url of its JSON, here for
// the beginning of a feed by change stream, which has come to a solution:
//
//	{"d":"7T2M5GQ3Z4VKJ","k":"solution","i":"c29sXzE=","n":2838417488,"o":7610592000000000001,"t":"gmWl..."}
//
// A feed has two parts. First all documents are read, kind by kind and in the
// order of their ids, tombstones included. Then comes what has changed since
// the first part began: since a place in a change stream, or since a time.
type mark struct {
	Data string `json:"d"` // id of the data, see identify

	// In the first part: the kind and the id that were read last, and a
	// checksum of the kinds asked for. Empty in the second.
	Kind  marketplace.Kind `json:"k,omitempty"`
	ID    []byte           `json:"i,omitempty"` // in base64, since JSON would make six bytes of one
	Kinds uint32           `json:"n,omitempty"`

	// Change stream: the resume token (the bytes of its hexadecimal _data),
	// and the operation time at which the stream was opened, which the first
	// part must have reached before it reads anything.
	Token []byte `json:"t,omitempty"`
	// Poll: the server's time before which everything has settled and was
	// delivered. Seconds in the upper 32 bits, as in a BSON timestamp.
	Time uint64 `json:"o,omitempty"`

	// Poll: the reader whose memory knows what was delivered behind Time,
	// and the page of that reader that the cursor belongs to.
	Reader string `json:"r,omitempty"`
	Page   int    `json:"p,omitempty"`
}

func (m mark) cursor() (marketplace.Cursor, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	return marketplace.Cursor(base64.RawURLEncoding.EncodeToString(text)), nil
}

// markOf reads a cursor and refuses one that does not belong here.
func (s *Store) markOf(c marketplace.Cursor) (mark, error) {
	var m mark
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	switch {
	case err != nil:
		return m, fmt.Errorf("mongostore: not a cursor: %w", marketplace.ErrCursor)
	case m.Data != s.id:
		return m, fmt.Errorf("mongostore: cursor of other data: %w", marketplace.ErrCursor)
	case s.streams != (m.Token != nil):
		return m, fmt.Errorf("mongostore: cursor of another kind of deployment: %w", marketplace.ErrCursor)
	case s.isDead(m.Token):
		return m, fmt.Errorf("mongostore: cursor of history that was dropped: %w", marketplace.ErrCursor)
	}
	return m, nil
}

// feedState is what a Store remembers between calls of Changes. It can all be
// forgotten: then readers see some changes twice.
type feedState struct {
	mu      sync.Mutex
	dead    map[string]bool    // resume tokens that the server has refused
	readers map[string]*reader // readers by poll that no call is using
	wake    chan struct{}      // closed by the next write through this handle
}

// maxRemembered bounds each of feedState's maps.
const maxRemembered = 100

func (f *feedState) isDead(token []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead[string(token)]
}

func (f *feedState) bury(token []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead == nil || len(f.dead) >= maxRemembered {
		f.dead = map[string]bool{}
	}
	f.dead[string(token)] = true
}

// wrote wakes the readers that wait in a poll.
func (f *feedState) wrote() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

func (f *feedState) nextWrite() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.wake
}

// Changes implements [marketplace.Store].
//
// The beginning costs a round trip for each kind. Behind it, a replica set
// costs three round trips and one for each kind that has changes; elsewhere
// each look costs one round trip, one for each kind asked for and one for each
// that has changes. While it waits there, it looks twice a second, and at once
// when something was written through this handle.
func (s *Store) Changes(ctx context.Context, q marketplace.FeedQuery) (marketplace.Feed, error) {
	if err := q.Check(s.schema); err != nil {
		return marketplace.Feed{}, fmt.Errorf("mongostore: changes: %w", err)
	}
	caller := ctx
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return marketplace.Feed{}, err
	}
	defer end()
	kinds := s.kinds()
	if len(q.Kinds) > 0 {
		kinds = slices.Compact(slices.Sorted(slices.Values(q.Kinds)))
	}
	var m mark
	if q.After != "" {
		m, err = s.markOf(q.After)
	} else {
		m, err = s.origin(ctx, kinds)
	}
	var feed marketplace.Feed
	if err == nil {
		feed, err = s.read(ctx, q, kinds, &m)
	}
	if err == nil {
		feed.Next, err = m.cursor()
	}
	switch {
	case err == nil:
		return feed, nil
	case isLost(err):
		s.bury(m.Token)
		return marketplace.Feed{}, fmt.Errorf("mongostore: changes: %w: %w", marketplace.ErrCursor, err)
	}
	return marketplace.Feed{}, s.failed(caller, "changes", err)
}

// lostCodes are the server's ways to say that a resume token leads nowhere:
// history lost, fatal error of the stream, not a token of this cluster,
// history that rolled out of the log while it was read, an operation time that
// this cluster has not come to.
var lostCodes = []int{286, 280, 260, 136, 72}

func isLost(err error) bool {
	return slices.ContainsFunc(mongo.ErrorCodes(err), func(c int) bool { return slices.Contains(lostCodes, c) })
}

// origin is the mark before the first document. Its place in the stream, or
// its time, is taken before any document is read.
func (s *Store) origin(ctx context.Context, kinds []marketplace.Kind) (mark, error) {
	m := mark{Data: s.id}
	if len(kinds) > 0 {
		m.Kind, m.Kinds = kinds[0], checksum(kinds)
	}
	if !s.streams {
		now, err := s.now(ctx)
		m.Time = before(now)
		return m, err
	}
	ctx, end, err := s.causal(ctx, &m)
	if err != nil {
		return m, err
	}
	defer end()
	stream, err := s.watch(ctx, m, options.ChangeStream())
	if err != nil {
		return m, err
	}
	defer stream.Close(ctx)
	m.Token, err = tokenOf(stream)
	if t := mongo.SessionFromContext(ctx).OperationTime(); t != nil {
		m.Time = ticks(*t)
	}
	return m, err
}

// read fills a page and moves the mark behind it.
func (s *Store) read(ctx context.Context, q marketplace.FeedQuery, kinds []marketplace.Kind, m *mark) (marketplace.Feed, error) {
	var r *reader
	if s.streams {
		var end func()
		var err error
		if ctx, end, err = s.causal(ctx, m); err != nil {
			return marketplace.Feed{}, err
		}
		defer end()
	} else {
		r = s.takeReader(m)
		defer func() { s.putReader(m, r) }()
	}
	if m.Kind != "" {
		feed, err := s.scan(ctx, q, kinds, m, r)
		if r != nil {
			r.page++
			m.Reader, m.Page = r.name, r.page
		}
		if err != nil || len(feed.Changes) > 0 {
			return feed, err
		}
	}
	if s.streams {
		return s.follow(ctx, q, kinds, m)
	}
	return s.poll(ctx, q, kinds, m, r)
}

// scan reads the first part of the feed.
func (s *Store) scan(ctx context.Context, q marketplace.FeedQuery, kinds []marketplace.Kind, m *mark, r *reader) (marketplace.Feed, error) {
	var feed marketplace.Feed
	if m.Kinds != checksum(kinds) {
		// Which of these kinds were read does not show in the cursor.
		m.Kind, m.ID, m.Kinds = kinds[0], nil, checksum(kinds)
	}
	i, _ := slices.BinarySearch(kinds, m.Kind)
	for ; i < len(kinds); i++ {
		left := q.Limit - len(feed.Changes)
		if left == 0 {
			return feed, nil
		}
		if kinds[i] != m.Kind {
			m.Kind, m.ID = kinds[i], nil
		}
		cur, err := s.collection(m.Kind).Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: string(m.ID)}}}},
			options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(left)).SetBatchSize(int32(left+1)))
		if err != nil {
			return feed, err
		}
		var page []stored
		if err := cur.All(ctx, &page); err != nil {
			return feed, err
		}
		for _, st := range page {
			feed.Changes = append(feed.Changes, st.change(m.Kind))
			m.ID = []byte(st.ID)
			if r != nil {
				r.deliver(m.Kind, st, m.Time)
			}
		}
		if len(page) == left {
			return feed, nil // there may be more of this kind
		}
	}
	m.Kind, m.ID, m.Kinds = "", nil, 0
	return feed, nil
}

func (st *stored) change(kind marketplace.Kind) marketplace.Change {
	if st.deleted() {
		return marketplace.Change{Kind: kind, Deleted: true, Document: marketplace.Document{ID: st.ID, Rev: st.Rev}}
	}
	return marketplace.Change{Kind: kind, Document: st.document()}
}

// A key names a document.
type key struct {
	kind marketplace.Kind
	id   string
}

// current reads documents as they are now, and returns those that exist.
func (s *Store) current(ctx context.Context, keys []key) (map[key]stored, error) {
	ids := map[marketplace.Kind][]string{}
	for _, k := range keys {
		ids[k.kind] = append(ids[k.kind], k.id)
	}
	docs := make(map[key]stored, len(keys))
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		cur, err := s.collection(kind).Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids[kind]}}}},
			options.Find().SetBatchSize(int32(len(ids[kind])+1)))
		if err != nil {
			return nil, err
		}
		var page []stored
		if err := cur.All(ctx, &page); err != nil {
			return nil, err
		}
		for _, st := range page {
			docs[key{kind, st.ID}] = st
		}
	}
	return docs, nil
}

// causal gives ctx a session. Whatever is read in it is at least as new as the
// mark's operation time and as everything that was read in it before, also
// when the primary changes in between.
func (s *Store) causal(ctx context.Context, m *mark) (context.Context, func(), error) {
	session, err := s.client.StartSession()
	if err != nil {
		return nil, nil, err
	}
	if m.Time != 0 {
		if err := session.AdvanceOperationTime(&bson.Timestamp{T: uint32(m.Time >> 32), I: uint32(m.Time)}); err != nil {
			return nil, nil, err
		}
	}
	return mongo.NewSessionContext(ctx, session), func() { session.EndSession(ctx) }, nil
}

// watch opens the database's change stream. All streams have the same
// pipeline, whichever kinds are asked for: a token of an event that the
// pipeline does not let through cannot be resumed.
func (s *Store) watch(ctx context.Context, m mark, o *options.ChangeStreamOptionsBuilder) (*mongo.ChangeStream, error) {
	if m.Token != nil {
		o.SetResumeAfter(bson.D{{Key: "_data", Value: hex.EncodeToString(m.Token)}})
	}
	return s.db.Watch(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{
			"insert", "update", "replace", "drop", "rename", "dropDatabase", "invalidate"}}}}}}},
		{{Key: "$project", Value: bson.D{{Key: "operationType", Value: 1}, {Key: "ns", Value: 1}, {Key: "documentKey", Value: 1}}}},
	}, o)
}

func tokenOf(stream *mongo.ChangeStream) ([]byte, error) {
	data, ok := stream.ResumeToken().Lookup("_data").StringValueOK()
	if !ok {
		return nil, fmt.Errorf("change stream without a resume token: %v", stream.ResumeToken())
	}
	return hex.DecodeString(data)
}

// follow reads the second part of the feed from the change stream.
func (s *Store) follow(ctx context.Context, q marketplace.FeedQuery, kinds []marketplace.Kind, m *mark) (marketplace.Feed, error) {
	var feed marketplace.Feed
	until := time.Now().Add(q.Wait)
	await := min(max(q.Wait, time.Millisecond), opTime/2)
	stream, err := s.watch(ctx, *m, options.ChangeStream().SetBatchSize(int32(q.Limit)).SetMaxAwaitTime(await))
	if err != nil {
		return feed, err
	}
	defer stream.Close(ctx)
	var keys []key
	seen := map[key]bool{}
	// The first answer is what the server had at hand when the stream was
	// opened; only the second has looked to the end.
	for asked := 0; len(keys) < q.Limit; {
		if len(keys) > 0 && stream.RemainingBatchLength() == 0 {
			break // news is not kept waiting for more
		}
		if stream.RemainingBatchLength() == 0 {
			asked++
		}
		if !stream.TryNext(ctx) {
			if stream.Err() != nil {
				return feed, stream.Err()
			}
			if ctx.Err() != nil {
				return feed, ctx.Err()
			}
			if stream.ID() == 0 {
				return feed, fmt.Errorf("change stream has ended: %w", marketplace.ErrCursor)
			}
			if asked > 1 && !time.Now().Before(until) {
				break
			}
			continue
		}
		var e struct {
			Op  string `bson:"operationType"`
			NS  struct{ Coll marketplace.Kind }
			Key struct {
				ID string `bson:"_id"`
			} `bson:"documentKey"`
		}
		if err := stream.Decode(&e); err != nil {
			return feed, err
		}
		_, ours := s.schema[e.NS.Coll]
		switch e.Op {
		case "insert", "update", "replace":
			k := key{e.NS.Coll, e.Key.ID}
			if slices.Contains(kinds, k.kind) && !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		default:
			if ours || e.Op == "dropDatabase" || e.Op == "invalidate" {
				s.bury(m.Token)
				return feed, fmt.Errorf("%s of %q: %w", e.Op, e.NS.Coll, marketplace.ErrCursor)
			}
		}
	}
	docs, err := s.current(ctx, keys)
	if err != nil {
		return feed, err
	}
	for _, k := range keys {
		if st, ok := docs[k]; ok {
			feed.Changes = append(feed.Changes, st.change(k.kind))
		}
	}
	m.Token, err = tokenOf(stream)
	m.Time = 0
	return feed, err
}

const (
	// settleTime is how long after its time a write may still become visible.
	// The server ends a write after sendTime; the rest is margin.
	settleTime = 10 * time.Second
	// pollTime is the time between two looks at the database.
	pollTime = 500 * time.Millisecond
)

// A reader is the memory of one reader by poll: what it was given of the
// changes that are not settled, so that it gets them once.
type reader struct {
	name string
	page int
	seen map[key]delivery
}

type delivery struct {
	rev int64
	at  uint64
}

// takeReader returns the reader that the mark names if that is the latest page
// it was given, and a new one otherwise: a reader that starts again from an
// older cursor may have lost what it got since. While a call has a reader, no
// other can have it.
func (f *feedState) takeReader(m *mark) *reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.readers[m.Reader]; r != nil && r.page == m.Page {
		delete(f.readers, m.Reader)
		return r
	}
	return &reader{name: rand.Text()[:10], seen: map[key]delivery{}}
}

func (f *feedState) putReader(m *mark, r *reader) {
	for k, d := range r.seen {
		if d.at <= m.Time {
			delete(r.seen, k)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == nil {
		f.readers = map[string]*reader{}
	}
	for name := range f.readers {
		if len(f.readers) < maxRemembered {
			break
		}
		delete(f.readers, name) // any of them: it sees some changes twice
	}
	f.readers[r.name] = r
}

// deliver notes what the reader is given, if it can be met again.
func (r *reader) deliver(kind marketplace.Kind, st stored, settled uint64) {
	if at := ticks(st.At); at > settled {
		r.seen[key{kind, st.ID}] = delivery{st.Rev, at}
	}
}

func ticks(t bson.Timestamp) uint64 { return uint64(t.T)<<32 | uint64(t.I) }

// before is the time that everything has settled at a time of the server.
func before(now time.Time) uint64 { return uint64(now.Add(-settleTime).Unix()) << 32 }

// now is the server's time. It is never ahead of the field at of later writes.
func (s *Store) now(ctx context.Context) (time.Time, error) {
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	err := s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.LocalTime, err
}

// poll reads the second part of the feed by the field at.
//
// A write has its time before it is visible, so one may appear behind others
// that are later. Therefore every look begins at the time before which all
// has settled, leaves out what the reader was given already, and moves the
// mark only as far as is settled by now.
func (s *Store) poll(ctx context.Context, q marketplace.FeedQuery, kinds []marketplace.Kind, m *mark, r *reader) (marketplace.Feed, error) {
	until := time.NewTimer(q.Wait)
	defer until.Stop()
	for {
		written := s.nextWrite() // before the look, so that none is missed
		feed, err := s.look(ctx, q.Limit, kinds, m, r)
		if err != nil || len(feed.Changes) > 0 || q.Wait == 0 {
			return feed, err
		}
		again := time.NewTimer(pollTime)
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-until.C:
			again.Stop()
			return feed, nil
		case <-written:
		case <-again.C:
		}
		again.Stop()
		if err != nil {
			return feed, err
		}
	}
}

// A sighting is a document whose time is behind the mark.
type sighting struct {
	key
	delivery
}

func (s *Store) look(ctx context.Context, limit int, kinds []marketplace.Kind, m *mark, r *reader) (marketplace.Feed, error) {
	var feed marketplace.Feed
	now, err := s.now(ctx)
	if err != nil {
		return feed, err
	}
	if m.Time > uint64(now.Unix())<<32 {
		return feed, fmt.Errorf("the server's clock was set back: %w", marketplace.ErrCursor)
	}
	news, complete, err := s.sightings(ctx, limit, kinds, m, r)
	if err != nil {
		return feed, err
	}
	if len(news) > limit {
		complete = min(complete, news[limit].at-1)
		news = news[:limit]
	}
	keys := make([]key, len(news))
	for i, n := range news {
		keys[i] = n.key
	}
	docs, err := s.current(ctx, keys)
	if err != nil {
		return feed, err
	}
	m.Time = max(m.Time, min(complete, before(now)))
	for _, k := range keys {
		if st, ok := docs[k]; ok {
			feed.Changes = append(feed.Changes, st.change(k.kind))
			r.deliver(k.kind, st, m.Time)
		}
	}
	if len(news) > 0 {
		r.page++
	}
	m.Reader, m.Page = r.name, r.page
	return feed, nil
}

// sightings returns what the reader was not given yet, in the order of time,
// and the time up to which nothing is missing. It reads at most so many of
// each kind that there must be more than limit new ones among them.
func (s *Store) sightings(ctx context.Context, limit int, kinds []marketplace.Kind, m *mark, r *reader) (news []sighting, complete uint64, err error) {
	complete = 1<<64 - 1
	most := limit + len(r.seen) + 1
	from := bson.D{{Key: "at", Value: bson.D{{Key: "$gt", Value: bson.Timestamp{T: uint32(m.Time >> 32), I: uint32(m.Time)}}}}}
	for _, kind := range kinds {
		cur, err := s.collection(kind).Find(ctx, from, options.Find().SetSort(bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}).
			SetLimit(int64(most)).SetProjection(bson.D{{Key: "rev", Value: 1}, {Key: "at", Value: 1}}))
		if err != nil {
			return nil, 0, err
		}
		var page []stored
		if err := cur.All(ctx, &page); err != nil {
			return nil, 0, err
		}
		for _, st := range page {
			if k := (key{kind, st.ID}); r.seen[k].rev < st.Rev {
				news = append(news, sighting{k, delivery{st.Rev, ticks(st.At)}})
			}
		}
		if len(page) == most {
			complete = min(complete, ticks(page[most-1].At))
		}
	}
	news = slices.DeleteFunc(news, func(n sighting) bool { return n.at > complete })
	slices.SortStableFunc(news, func(a, b sighting) int { return cmp.Compare(a.at, b.at) })
	if len(news) <= limit && complete != 1<<64-1 {
		complete-- // others may have the very time at which a kind was cut
	}
	return news, complete, nil
}

func checksum(kinds []marketplace.Kind) uint32 {
	h := crc32.NewIEEE()
	for _, k := range kinds {
		fmt.Fprintln(h, k)
	}
	return h.Sum32()
}
