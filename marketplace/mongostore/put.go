package mongostore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"citymarket/marketplace"
)

// Put implements [marketplace.Store]. It costs one round trip, acknowledged by
// a majority that has it in its journals; creating again what was deleted
// costs three, and a lost answer at least two. It takes at most 2 seconds.
func (s *Store) Put(ctx context.Context, w marketplace.Write) (int64, error) {
	if err := w.Check(s.schema); err != nil {
		return 0, fmt.Errorf("mongostore: put: %w", err)
	}
	var value bson.Raw
	if w.Value != nil {
		var err error
		if value, err = encode(w.Value); err != nil {
			return 0, fmt.Errorf("mongostore: put %s %q: %w", w.Kind, w.ID, err)
		}
	} else if w.Rev == 0 {
		return 0, fmt.Errorf("mongostore: deletion of %s %q at revision 0: %w", w.Kind, w.ID, marketplace.ErrStale)
	}
	caller := ctx
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	a := newAttempt(s, w, value)
	rev, err := a.run(ctx)
	if err == nil {
		s.wrote()
		return rev, nil
	}
	what := fmt.Sprintf("put %s %q", w.Kind, w.ID)
	if a.unsettled() {
		// The cause is quoted, not wrapped: it may be ErrUnavailable, which
		// promises that nothing has changed.
		return 0, fmt.Errorf("mongostore: %s: %w: %v", what, marketplace.ErrUnknown, err)
	}
	return 0, s.failed(caller, what, err)
}

// An attempt is one write on its way into the database.
type attempt struct {
	coll  *mongo.Collection
	w     marketplace.Write
	value bson.Raw
	write bson.Binary // the write's own id
	base  int64       // revision that it replaces; differs from w.Rev when a tombstone is replaced

	// open counts the update commands that were sent and whose outcome no
	// answer has told. The driver's command monitor keeps it, because only
	// the monitor sees every try of a retried command.
	open atomic.Int32
}

func newAttempt(s *Store, w marketplace.Write, value bson.Raw) *attempt {
	id := make([]byte, 12)
	rand.Read(id) // never fails
	return &attempt{coll: s.collection(w.Kind), w: w, value: value, write: bson.Binary{Data: id}, base: w.Rev}
}

type attemptKey struct{}

// attemptMonitor keeps attempt.open.
var attemptMonitor = &event.CommandMonitor{
	Started: func(ctx context.Context, _ *event.CommandStartedEvent) {
		if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
			a.open.Add(1)
		}
	},
	Succeeded: func(ctx context.Context, _ *event.CommandSucceededEvent) {
		if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
			a.open.Add(-1)
		}
	},
	Failed: func(ctx context.Context, e *event.CommandFailedEvent) {
		// A server that is not primary refuses before it does anything.
		// Whatever else went wrong may have gone wrong afterwards.
		a, ok := ctx.Value(attemptKey{}).(*attempt)
		if ok && slices.ContainsFunc(mongo.ErrorCodes(e.Failure), func(c int) bool { return c == 10107 || c == 13435 || c == 13436 }) {
			a.open.Add(-1)
		}
	},
}

func (a *attempt) unsettled() bool { return a.open.Load() > 0 }

// maxTries bounds how often run sends a write. One try more than the three
// round trips of a new creation whose first answer is lost.
const maxTries = 4

// run sends the write until its outcome is known or the time is over. Sending
// it again is always safe: it needs the revision that it would itself end.
func (a *attempt) run(ctx context.Context) (int64, error) {
	var err error
	for range maxTries {
		var applied bool
		before := a.open.Load()
		doubt := before > 0
		applied, err = a.send(ctx)
		if err == nil || mongo.IsDuplicateKeyError(err) && !unconfirmed(err) {
			// The driver's own retries are one write to the server, and this
			// is its answer to them all.
			a.open.Store(before)
		}
		claim, taken := duplicateOf(err, "c").(string)
		switch {
		case applied:
			a.open.Store(0)
			return a.base + 1, nil
		case taken && !doubt:
			return 0, &marketplace.TakenError{Claim: claim}
		case err == nil && !doubt && a.w.Rev > 0:
			return 0, marketplace.ErrStale
		case err != nil && !mongo.IsDuplicateKeyError(err) && !a.unsettled():
			return 0, err // it was not sent, or refused whole
		}
		if gone := ctx.Err(); gone != nil {
			return 0, gone
		}
		// No look at whether a primary is known: a broken connection makes the
		// driver doubt the server for a moment, and there is time for it.
		base := a.base
		rev, done, settleErr := a.settle(ctx)
		switch {
		case done || settleErr != nil:
			return rev, settleErr
		case base == a.base && !a.unsettled() && duplicateOf(err, "_id") != nil:
			return 0, marketplace.ErrStale // the majority does not have it yet
		case base == a.base && !a.unsettled():
			return 0, err // a unique index that is not ours
		}
	}
	return 0, fmt.Errorf("sent %d times: %w", maxTries, err)
}

// send sends the update once, or as often as the driver sees fit. It reports
// false without an error when no document has the revision.
func (a *attempt) send(ctx context.Context) (applied bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, attemptKey{}, a), sendTime)
	defer cancel()
	set := bson.D{{Key: "rev", Value: a.base + 1}, {Key: writeField(a.base + 1), Value: a.write}}
	var unset bson.D
	if a.value != nil {
		set = append(set, bson.E{Key: "v", Value: a.value})
	} else {
		unset = append(unset, bson.E{Key: "v", Value: ""})
	}
	if a.value != nil && len(a.w.Claims) > 0 {
		set = append(set, bson.E{Key: "c", Value: a.w.Claims})
	} else {
		unset = append(unset, bson.E{Key: "c", Value: ""})
	}
	// An upsert rather than an insert, since only an update lets the server
	// say what time it is. No document has revision 0, so it inserts, or
	// fails because the id is there.
	update := bson.D{{Key: "$set", Value: set}, {Key: "$currentDate", Value: bson.D{{Key: "at", Value: bson.D{{Key: "$type", Value: "timestamp"}}}}}}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	filter := bson.D{{Key: "_id", Value: a.w.ID}, {Key: "rev", Value: a.base}}
	if a.w.Rev > 0 {
		filter = append(filter, living...) // a tombstone is replaced by creation only
	}
	res, err := a.coll.UpdateOne(ctx, filter, update, options.UpdateOne().SetUpsert(a.base == 0))
	if unconfirmed(err) {
		a.open.Add(1) // applied at the primary, which may yet lose it
	}
	return err == nil && res.MatchedCount+res.UpsertedCount == 1, err
}

// written is how many revisions of a document say which write made them, so
// that a lost answer is found out also when others have written since.
const written = 8

// writeField is the field for the id of the write that made a revision.
func writeField(rev int64) string { return fmt.Sprintf("w%d", rev%written) }

// unconfirmed says that the primary has carried out the command, but a
// majority has not confirmed it.
func unconfirmed(err error) bool {
	var we mongo.WriteException
	return errors.As(err, &we) && we.WriteConcernError != nil
}

// settle reads what became of the document. It reports done when that answers
// for the write; when it does not, the write is to be sent (again).
func (a *attempt) settle(ctx context.Context) (rev int64, done bool, err error) {
	raw, err := a.coll.FindOne(ctx, bson.D{{Key: "_id", Value: a.w.ID}}).Raw()
	var now stored
	if err == nil {
		err = bson.Unmarshal(raw, &now)
	}
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return 0, false, err
	}
	_, by, _ := raw.Lookup(writeField(a.base + 1)).BinaryOK()
	switch {
	case bytes.Equal(by, a.write.Data):
		a.open.Store(0)
		return a.base + 1, true, nil
	case now.Rev == a.base && now.deleted() && a.w.Rev > 0:
		a.open.Store(0) // no update finds it
		return 0, true, marketplace.ErrStale
	case now.Rev <= a.base:
		// Nothing has happened yet. If the command is still on its way to
		// the server, it and the next one cannot both find the revision.
		return 0, false, nil
	case a.unsettled() && now.Rev > a.base+written:
		return 0, true, fmt.Errorf("revision %d has come since", now.Rev)
	}
	a.open.Store(0) // the revision went to another write
	if a.base == 0 && now.deleted() {
		a.base = now.Rev
		return 0, false, nil
	}
	return 0, true, marketplace.ErrStale
}

// duplicateOf returns the value that a duplicate key error is about, if it is
// about the index of that field, and nil otherwise.
func duplicateOf(err error, field string) any {
	var we mongo.WriteException
	if !mongo.IsDuplicateKeyError(err) || !errors.As(err, &we) {
		return nil
	}
	for _, e := range we.WriteErrors {
		if v, err := e.Raw.LookupErr("keyValue", field); err == nil {
			s, _ := v.StringValueOK()
			return s
		}
	}
	return nil
}
