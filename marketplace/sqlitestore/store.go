// Package sqlitestore keeps documents in one SQLite file: the store for a
// single process that needs nothing installed. It implements
// [marketplace.Store].
//
// A write is on the disk when Put returns (fsync), and writes that come at the
// same time share one fsync: one goroutine writes, a few connections read.
// Indexes are not SQL: all of them are rows of one table whose keys sort as
// the queries do, see key.go. So every query is a range of one B-tree, whatever
// it asks for, and no statement depends on the schema.
package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"citymarket/marketplace"
)

// Errors of [Open]. ErrDamaged can also come from any later call that meets a
// damaged page, then together with [marketplace.ErrUnavailable].
var (
	// ErrLocked: another process, or this one, has the store open.
	ErrLocked = errors.New("another process is using this store: stop it, or use another directory")
	// ErrDamaged: the file is not what was written. Open leaves it as it is.
	ErrDamaged = errors.New("the database file is damaged: restore the last backup, or move the file and the files beside it away to begin with an empty store")
)

// A Store is an open file. Its methods are those of [marketplace.Store].
type Store struct {
	schema  marketplace.Schema
	indexes map[marketplace.Kind][]index
	history string // store id and epoch, the first part of every cursor

	lock     *os.File
	closers  []func() error // of what was opened, to be called backwards
	readers  chan *reader   // those not in use
	requests chan *request  // to the writer
	done     chan struct{}  // closed by Close
	stopped  chan struct{}  // closed by the writer when it has stopped
	closing  sync.Once

	last   atomic.Int64 // sequence of the newest change that is committed
	issued atomic.Int64 // the highest sequence that a reader may have seen

	mu   sync.Mutex
	news chan struct{} // closed and replaced after each commit
}

// readers is the number of reading connections: more would only take the
// processors from the writer (eight spinning readers slowed it down to 40
// commits per second on two).
func readers() int { return min(max(2, runtime.GOMAXPROCS(0)), 4) }

// A reader is a connection that only reads, with its prepared statements.
type reader struct {
	get, ascending, descending, changes *sql.Stmt
	begin, end                          *sql.Stmt
}

const (
	selectDoc  = `SELECT rev, body FROM doc WHERE kind = ? AND id = ? AND body IS NOT NULL`
	selectPage = `SELECT e.key, d.id, d.rev, d.body FROM entry e CROSS JOIN doc d ON d.pk = e.doc WHERE e.ix = ? AND e.key >= ? AND e.key < ? ORDER BY e.key`
	// Changes of other kinds are passed over in the index, and only once: the
	// cursor goes past them.
	selectFeed = `SELECT seq, kind, id, rev, body FROM doc INDEXED BY doc_seq WHERE seq > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?`
)

func (s *Store) newReader(c *sql.Conn) (*reader, error) {
	r := &reader{}
	return r, s.prepare(c, map[**sql.Stmt]string{
		&r.get: selectDoc, &r.ascending: selectPage + ` LIMIT ?`, &r.descending: selectPage + ` DESC LIMIT ?`,
		&r.changes: selectFeed, &r.begin: `BEGIN`, &r.end: `COMMIT`,
	})
}

// prepare prepares statements that live as long as the store. They must be
// closed before their connection: with one left SQLite keeps it open, does not
// move the write-ahead log into the file, and the next Open takes the stop
// for an unclean one.
func (s *Store) prepare(c *sql.Conn, statements map[**sql.Stmt]string) error {
	for stmt, text := range statements {
		p, err := c.PrepareContext(context.Background(), text)
		if err != nil {
			return fmt.Errorf("%w in %s", err, text)
		}
		*stmt = p
		s.closers = append(s.closers, p.Close)
	}
	return nil
}

// read lends a reader to f. Statements do not run under the caller's context:
// every one is short, and to interrupt one costs more than to finish it.
func (s *Store) read(ctx context.Context, f func(*reader) error) error {
	select { // first, because the next select chooses at random
	case <-s.done:
		return marketplace.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.done:
		return marketplace.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case r := <-s.readers:
		defer func() { s.readers <- r }()
		return classify(f(r))
	}
}

// snapshot runs f so that all its statements see the same state.
func (r *reader) snapshot(f func() error) error {
	if _, err := r.begin.Exec(); err != nil {
		return err
	}
	err := f()
	_, endErr := r.end.Exec()
	return errors.Join(err, endErr)
}

// wrapped adds the package's name and what was being done.
func wrapped(err error, what string, args ...any) error {
	return fmt.Errorf("sqlitestore: %s: %w", fmt.Sprintf(what, args...), err)
}

func document(id string, rev int64, body []byte) marketplace.Document {
	return marketplace.Document{ID: id, Rev: rev, Decode: func(into any) error {
		if err := json.Unmarshal(body, into); err != nil {
			return wrapped(err, "decode %s", id)
		}
		return nil
	}}
}

// Get implements [marketplace.Store]. It costs about 20 us.
func (s *Store) Get(ctx context.Context, kind marketplace.Kind, id string) (marketplace.Document, error) {
	var rev int64
	var body []byte
	err := s.read(ctx, func(r *reader) error { return r.get.QueryRow(kind, id).Scan(&rev, &body) })
	if errors.Is(err, sql.ErrNoRows) {
		err = marketplace.ErrNotFound
	}
	if err != nil {
		return marketplace.Document{}, wrapped(err, "get %s %s", kind, id)
	}
	return document(id, rev, body), nil
}

// Changes implements [marketplace.Store]. The order is that of the commits,
// and Next is always after the last change: no change is seen twice. A page
// costs about 10 us and 4 us for each change; waiting costs nothing.
//
// A cursor is the store's id, the epoch of its history and a sequence, for
// example "jxqk4wpz2lbnjrvq5ol6x4lqxe.1.31".
func (s *Store) Changes(ctx context.Context, q marketplace.FeedQuery) (marketplace.Feed, error) {
	feed, err := s.changes(ctx, q)
	if err != nil {
		return marketplace.Feed{}, wrapped(err, "changes")
	}
	return feed, nil
}

func (s *Store) changes(ctx context.Context, q marketplace.FeedQuery) (marketplace.Feed, error) {
	if err := q.Check(s.schema); err != nil {
		return marketplace.Feed{}, err
	}
	after, err := s.sequence(q.After)
	if err != nil {
		return marketplace.Feed{}, err
	}
	kinds := q.Kinds
	if len(kinds) == 0 {
		for kind := range s.schema {
			kinds = append(kinds, kind)
		}
	}
	names, err := json.Marshal(kinds)
	if err != nil {
		return marketplace.Feed{}, err
	}
	expired := time.After(max(q.Wait, 0))
	for {
		news := s.nextCommit() // before the look, so that no commit falls in between
		var feed marketplace.Feed
		if feed.Changes, after, err = s.page(ctx, string(names), after, q.Limit); err != nil {
			return marketplace.Feed{}, err
		}
		feed.Next = marketplace.Cursor(fmt.Sprintf("%s.%d", s.history, after))
		if len(feed.Changes) > 0 || q.Wait <= 0 {
			return feed, nil
		}
		select {
		case <-news:
		case <-expired:
			return feed, nil
		case <-ctx.Done():
			return marketplace.Feed{}, ctx.Err()
		case <-s.done:
			return marketplace.Feed{}, marketplace.ErrClosed
		}
	}
}

// page reads changes and returns the sequence that the next page begins after.
func (s *Store) page(ctx context.Context, kinds string, after int64, limit int) ([]marketplace.Change, int64, error) {
	var page []marketplace.Change
	err := s.read(ctx, func(r *reader) error {
		committed := s.last.Load() // the statement sees at least this
		rows, err := r.changes.Query(after, kinds, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c marketplace.Change
			var id string
			var rev int64
			var body []byte
			if err := rows.Scan(&after, &c.Kind, &id, &rev, &body); err != nil {
				return err
			}
			c.Document, c.Deleted = document(id, rev, body), body == nil
			if c.Deleted {
				c.Decode = nil
			}
			page = append(page, c)
		}
		if len(page) < limit {
			after = max(after, committed)
		}
		return rows.Err()
	})
	return page, after, err
}

// sequence reads a cursor.
func (s *Store) sequence(c marketplace.Cursor) (int64, error) {
	if c == "" {
		return 0, nil
	}
	if text, ok := strings.CutPrefix(string(c), s.history+"."); ok {
		if n, err := strconv.ParseUint(text, 10, 63); err == nil && int64(n) <= s.issued.Load() {
			return int64(n), nil
		}
	}
	return 0, fmt.Errorf("after %.60q: %w", c, marketplace.ErrCursor)
}

func (s *Store) nextCommit() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

func (s *Store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.news)
	s.news = make(chan struct{})
}

// Close implements [marketplace.Store]. It lets the statements under way
// finish, and moves the write-ahead log into the file.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		close(s.done)
		<-s.stopped
		for range cap(s.readers) {
			<-s.readers
		}
		if err = s.release(); err != nil {
			err = wrapped(err, "close")
		}
	})
	return err
}

// release closes the readers before the writer, because only the writer can
// move the write-ahead log, and gives up the lock last.
func (s *Store) release() error {
	var errs []error
	for _, closeAll := range slices.Backward(s.closers) {
		errs = append(errs, closeAll())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
