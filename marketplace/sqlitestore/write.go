package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"citymarket/marketplace"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxBatch bounds the writes of one commit, and with it how long the first of
// them waits for the others: about 10 ms.
const maxBatch = 128

// A request is a write on its way to the writer, with all that the caller's
// goroutine could prepare.
type request struct {
	ctx     context.Context
	write   marketplace.Write
	body    []byte // nil: delete
	entries []entry
	answer  chan answer // has room for one
}

type answer struct {
	rev int64
	err error
}

// Put implements [marketplace.Store]. Alone it costs one fsync; writes that
// come at the same time share it. When ctx ends before the write was begun,
// nothing happens and the error is that of ctx; when it ends later, the error
// is also [marketplace.ErrUnknown], and the write is committed or refused soon.
func (s *Store) Put(ctx context.Context, w marketplace.Write) (int64, error) {
	rev, err := s.put(ctx, w)
	if err != nil {
		return 0, wrapped(err, "put %s %s", w.Kind, w.ID)
	}
	return rev, nil
}

func (s *Store) put(ctx context.Context, w marketplace.Write) (int64, error) {
	if err := w.Check(s.schema); err != nil {
		return 0, err
	}
	r := &request{ctx: ctx, write: w, answer: make(chan answer, 1)}
	r.write.Claims = slices.Clone(w.Claims) // the caller may go on before the writer does
	if w.Value == nil {
		r.write.Claims = nil
	} else {
		var err error
		if r.body, err = json.Marshal(w.Value); err != nil {
			return 0, err
		}
		if r.body[0] != '{' {
			return 0, fmt.Errorf("a %T is not a document", w.Value)
		}
		if len(r.body) > marketplace.MaxDocumentSize {
			return 0, fmt.Errorf("document of %d bytes (at most %d): %w", len(r.body), marketplace.MaxDocumentSize, marketplace.ErrLimit)
		}
		if r.entries, err = entries(s.indexes[w.Kind], w.ID, r.body); err != nil {
			return 0, err
		}
	}
	r.write.Value = nil
	select { // first, because the next select chooses at random
	case <-s.done:
		return 0, marketplace.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case <-s.done:
		return 0, marketplace.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	case s.requests <- r:
	}
	select {
	case a := <-r.answer:
		return a.rev, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", marketplace.ErrUnknown, ctx.Err())
	}
}

const (
	insertEntry = `INSERT INTO entry (ix, key, doc) VALUES (?, ?, ?)`
	deleteEntry = `DELETE FROM entry WHERE ix = ? AND key = ?`
	selectOld   = `SELECT pk, rev, body, claims FROM doc WHERE kind = ? AND id = ?`
	insertDoc   = `INSERT INTO doc (kind, id, rev, seq, body, claims) VALUES (?, ?, ?, ?, ?, ?)`
	updateDoc   = `UPDATE doc SET rev = ?, seq = ?, body = ?, claims = ? WHERE pk = ?`
	selectClaim = `SELECT doc FROM claim WHERE kind = ? AND claim = ?`
	insertClaim = `INSERT INTO claim (kind, claim, doc) VALUES (?, ?, ?)`
	deleteClaim = `DELETE FROM claim WHERE kind = ? AND claim = ?`
)

// A writer is the only connection that writes, and the goroutine that uses it.
type writer struct {
	store *Store

	begin, commit, rollback, savepoint, release, undo *sql.Stmt
	selectOld, insertDoc, updateDoc                   *sql.Stmt
	selectClaim, insertClaim, deleteClaim             *sql.Stmt
	insertEntry, deleteEntry                          *sql.Stmt
}

func (s *Store) newWriter(c *sql.Conn) (*writer, error) {
	w := &writer{store: s}
	return w, s.prepare(c, map[**sql.Stmt]string{
		&w.begin: `BEGIN IMMEDIATE`, &w.commit: `COMMIT`, &w.rollback: `ROLLBACK`,
		&w.savepoint: `SAVEPOINT one`, &w.release: `RELEASE one`, &w.undo: `ROLLBACK TO one`,
		&w.selectOld: selectOld, &w.insertDoc: insertDoc, &w.updateDoc: updateDoc,
		&w.selectClaim: selectClaim, &w.insertClaim: insertClaim, &w.deleteClaim: deleteClaim,
		&w.insertEntry: insertEntry, &w.deleteEntry: deleteEntry,
	})
}

// run commits requests until the store is closed, all that wait at once.
func (w *writer) run() {
	defer close(w.store.stopped)
	var batch []*request
	for {
		select {
		case <-w.store.done:
			return
		case r := <-w.store.requests:
			batch = append(batch[:0], r)
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case r := <-w.store.requests:
				batch = append(batch, r)
			default:
				more = false
			}
		}
		answers := make([]answer, len(batch))
		if err := w.write(batch, answers); err != nil {
			for i := range answers {
				if answers[i].err == nil {
					answers[i] = answer{err: err}
				}
			}
		}
		for i, r := range batch {
			r.answer <- answers[i]
		}
	}
}

// write commits a batch. A request that is refused has its error in answers;
// the error that write returns is that of all others.
func (w *writer) write(batch []*request, answers []answer) error {
	if _, err := w.begin.Exec(); err != nil {
		return classify(err)
	}
	seq := w.store.last.Load()
	for i, r := range batch {
		if answers[i].err = r.ctx.Err(); answers[i].err != nil {
			continue
		}
		rev, err := w.one(r, seq+1)
		if err == nil {
			answers[i].rev = rev
			seq++
			continue
		}
		answers[i].err = classify(err)
		// After the gravest errors SQLite has rolled back everything, and
		// there is no savepoint any more.
		if _, err := w.undo.Exec(); err != nil {
			w.rollback.Exec()
			return classify(err)
		}
		if _, err := w.release.Exec(); err != nil {
			w.rollback.Exec()
			return classify(err)
		}
	}
	w.store.issued.Store(seq) // before anybody can see it
	if _, err := w.commit.Exec(); err != nil {
		w.rollback.Exec()
		return commitError(err)
	}
	if seq > w.store.last.Load() {
		w.store.last.Store(seq)
		w.store.wake()
	}
	return nil
}

// commitError says what a failed commit means. Without the space, or the
// lock, to write its last frame it cannot have happened; after any other
// error a recovery may yet find it.
func commitError(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code()&0xFF == sqlite3.SQLITE_FULL || e.Code()&0xFF == sqlite3.SQLITE_BUSY) {
		return classify(err)
	}
	return fmt.Errorf("%w: %w", marketplace.ErrUnknown, classify(err))
}

// one writes one request within a savepoint, which it leaves open on errors.
func (w *writer) one(r *request, seq int64) (int64, error) {
	if _, err := w.savepoint.Exec(); err != nil {
		return 0, err
	}
	kind := r.write.Kind
	var pk, rev int64
	var oldBody, oldClaims []byte
	err := w.selectOld.QueryRow(kind, r.write.ID).Scan(&pk, &rev, &oldBody, &oldClaims)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	switch exists := oldBody != nil; {
	case exists && r.write.Rev != rev:
		return 0, fmt.Errorf("revision %d, not %d: %w", rev, r.write.Rev, marketplace.ErrStale)
	case !exists && r.write.Rev != 0:
		return 0, fmt.Errorf("it does not exist any more: %w", marketplace.ErrStale)
	case !exists && r.body == nil:
		return 0, marketplace.ErrNotFound
	}

	rev++
	var body, claims any // null
	if r.body != nil {
		body = string(r.body)
	}
	if len(r.write.Claims) > 0 {
		b, err := json.Marshal(r.write.Claims)
		if err != nil {
			return 0, err
		}
		claims = string(b)
	}
	if pk != 0 {
		_, err = w.updateDoc.Exec(rev, seq, body, claims, pk)
	} else {
		var res sql.Result
		if res, err = w.insertDoc.Exec(kind, r.write.ID, rev, seq, body, claims); err == nil {
			pk, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	if err := w.claims(r, pk, oldClaims); err != nil {
		return 0, err
	}
	if err := w.entries(r, pk, oldBody); err != nil {
		return 0, err
	}
	_, err = w.release.Exec()
	return rev, err
}

func (w *writer) claims(r *request, pk int64, oldClaims []byte) error {
	var old []string
	if oldClaims != nil {
		if err := json.Unmarshal(oldClaims, &old); err != nil {
			return err
		}
	}
	for _, c := range r.write.Claims {
		if slices.Contains(old, c) {
			continue
		}
		var holder int64
		switch err := w.selectClaim.QueryRow(r.write.Kind, c).Scan(&holder); {
		case err == nil:
			return &marketplace.TakenError{Claim: c}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if _, err := w.insertClaim.Exec(r.write.Kind, c, pk); err != nil {
			return err
		}
	}
	for _, c := range old {
		if slices.Contains(r.write.Claims, c) {
			continue
		}
		if _, err := w.deleteClaim.Exec(r.write.Kind, c); err != nil {
			return err
		}
	}
	return nil
}

// entries replaces the entries of the old document that are not those of the new.
func (w *writer) entries(r *request, pk int64, oldBody []byte) error {
	old, err := entries(w.store.indexes[r.write.Kind], r.write.ID, oldBody)
	if err != nil {
		return err
	}
	had := make(map[entry]bool, len(old))
	for _, e := range old {
		had[e] = true
	}
	for _, e := range r.entries {
		if had[e] {
			delete(had, e)
			continue
		}
		if _, err := w.insertEntry.Exec(e.ix, []byte(e.key), pk); err != nil {
			return err
		}
	}
	for e := range had {
		if _, err := w.deleteEntry.Exec(e.ix, []byte(e.key)); err != nil {
			return err
		}
	}
	return nil
}
