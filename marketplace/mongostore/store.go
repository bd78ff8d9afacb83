package mongostore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"citymarket/marketplace"
)

const (
	// opTime bounds one call, waiting in Changes excepted. It is shorter
	// than the time of a request (2.5 s), which can then still say that
	// storage is away.
	opTime = 2 * time.Second
	// sendTime is the part of opTime in which a write is sent and sent
	// again. The rest is for finding out what became of it.
	sendTime = 1500 * time.Millisecond
	// beatTime is how long the monitor waits for news of a server. It is the
	// shortest that the driver allows, since a write that meets a broken
	// connection has only sendTime to wait for the monitor's next look. With
	// sendTime it also bounds how long a server that swallows everything is
	// believed in.
	beatTime = 500 * time.Millisecond
	// indexTime bounds the making of indexes by Open. The longest is the
	// first start with an index that is new on a full collection.
	indexTime = 10 * time.Minute

	defaultDatabase = "citymarket"
)

// A Store is a [marketplace.Store] in one MongoDB database. Its methods are
// safe for concurrent use. A call costs one round trip to the primary, except
// where its comment says otherwise.
//
// While no primary is known, every method answers
// [marketplace.ErrUnavailable] at once, without a round trip.
type Store struct {
	client  *mongo.Client
	db      *mongo.Database
	schema  marketplace.Schema
	id      string // of the data, not of this handle
	streams bool   // the server has change streams

	primary atomic.Bool // the topology monitor knows a server that takes writes

	closing   context.Context // done when the store is closed
	close     context.CancelFunc
	closeOnce sync.Once

	feedState
}

// An Option changes what [Open] demands.
type Option func(*demands)

type demands struct{ weakClaims bool }

// AllowWeakClaims lets [Open] accept a server that does not enforce unique
// indexes on arrays, such as FerretDB 1: two documents may then hold the same
// claim, and nothing says so. It is meant for tests.
func AllowWeakClaims() Option { return func(d *demands) { d.weakClaims = true } }

// Open connects to the database that the URI names ("citymarket" if it names
// none), makes the indexes that the schema declares and drops those it made
// earlier for others. It takes less than 5 seconds to fail when the server
// cannot be reached, with an error that wraps [marketplace.ErrUnavailable] and
// names the hosts, never the password. Making a new index on existing
// documents takes longer, and ends with ctx.
//
// Write and read concern, read preference and retries are the store's own,
// whatever the URI says; pool sizes, TLS and the rest are the URI's.
func Open(ctx context.Context, uri string, schema marketplace.Schema, opts ...Option) (*Store, error) {
	var want demands
	for _, o := range opts {
		o(&want)
	}
	name, err := databaseOf(uri)
	if err != nil {
		return nil, err
	}
	s := &Store{schema: schema}
	s.closing, s.close = context.WithCancel(context.Background())
	co := options.Client().ApplyURI(uri).
		SetTimeout(opTime).SetServerSelectionTimeout(sendTime).SetConnectTimeout(sendTime).SetHeartbeatInterval(beatTime).
		SetReadPreference(readpref.Primary()).SetRetryReads(true).SetRetryWrites(true).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: new(true)}).
		SetMonitor(attemptMonitor).
		SetServerMonitor(&event.ServerMonitor{TopologyDescriptionChanged: s.topologyChanged})
	s.client, err = mongo.Connect(co)
	if err != nil {
		return nil, fmt.Errorf("mongostore: the address of the database is not a usable mongodb:// URI: %s", withoutSecrets(err, uri))
	}
	if err := s.prepare(ctx, name, want); err != nil {
		_ = s.Close() // the first error says what is wrong
		return nil, fmt.Errorf("mongostore: open database %q at %s: %w", name, strings.Join(co.Hosts, ","), err)
	}
	return s, nil
}

// databaseOf returns the database that a URI names,
// "mongodb://user:password@host1,host2/database?options".
func databaseOf(uri string) (string, error) {
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return "", errors.New("mongostore: the address of the database does not begin with mongodb:// or mongodb+srv://")
	}
	rest, _, _ = strings.Cut(rest, "?")
	_, name, _ := strings.Cut(rest, "/")
	if name == "" {
		return defaultDatabase, nil
	}
	name, err := url.PathUnescape(name)
	if err != nil || strings.ContainsAny(name, `/\. "$`) {
		return "", errors.New("mongostore: the address of the database names a database whose name MongoDB does not accept")
	}
	return name, nil
}

// withoutSecrets returns the message of an error that may quote the URI.
func withoutSecrets(err error, uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return err.Error()
	}
	msg := strings.ReplaceAll(err.Error(), rest[:at], "...")
	if _, password, ok := strings.Cut(rest[:at], ":"); ok && password != "" {
		msg = strings.ReplaceAll(msg, password, "...")
	}
	return msg
}

// prepare finds out what the server can do, and makes what the store needs.
func (s *Store) prepare(ctx context.Context, name string, want demands) error {
	s.db = s.client.Database(name)
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	if err := s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return s.failed(ctx, "the server does not answer", err)
	}
	s.streams = hello.SetName != "" || hello.Msg == "isdbgrid"
	if s.streams {
		// Elsewhere there is one node, which reads what it has written.
		s.db = s.client.Database(name, options.Database().SetReadConcern(readconcern.Majority()))
	}
	ctx, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	if err := s.identify(ctx, want); err != nil {
		return err
	}
	for _, kind := range s.kinds() {
		if err := s.index(ctx, kind); err != nil {
			return s.failed(ctx, fmt.Sprintf("indexes of %s", kind), err)
		}
	}
	return nil
}

// infoName is the collection of what the store knows of itself. Kinds have no
// dots, so it is none.
const infoName = "store.info"

// identify reads the id of the data, or makes it:
//
//	{_id: "store", id: "7T2M5GQ3Z4VKJ", c: ["claim"]}
//
// Every cursor names it. Whoever restores a backup removes this document, and
// with it every reader's belief that it has seen what is there.
//
// It also tries, in that collection, whether claims are enforced: another
// document must not be able to hold the same one.
func (s *Store) identify(ctx context.Context, want demands) error {
	info := s.db.Collection(infoName)
	_, err := create(ctx, info.Indexes(), func(sparse bool) map[string]mongo.IndexModel {
		return map[string]mongo.IndexModel{claimsName: claimsIndex(sparse)}
	})
	if err != nil {
		return s.failed(ctx, "index of claims", err)
	}
	upsert := options.UpdateOne().SetUpsert(true)
	hold := bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: "id", Value: rand.Text()[:13]}, {Key: "c", Value: bson.A{"claim"}}}}}
	_, err = info.UpdateOne(ctx, bson.D{{Key: "_id", Value: "store"}}, hold, upsert)
	if err != nil && !mongo.IsDuplicateKeyError(err) { // somebody else opened first
		return s.failed(ctx, "identify the data", err)
	}
	var doc struct{ ID string }
	if err := info.FindOne(ctx, bson.D{{Key: "_id", Value: "store"}}).Decode(&doc); err != nil {
		return s.failed(ctx, "identify the data", err)
	}
	s.id = doc.ID

	rival := bson.D{{Key: "_id", Value: "rival"}}
	steal := bson.D{{Key: "$set", Value: bson.D{{Key: "c", Value: bson.A{"of its own", "claim"}}}}}
	_, err = info.UpdateOne(ctx, rival, steal, upsert)
	if mongo.IsDuplicateKeyError(err) {
		return nil
	}
	if err != nil {
		return s.failed(ctx, "try a claim", err)
	}
	if _, err := info.DeleteOne(ctx, rival); err != nil {
		return s.failed(ctx, "try a claim", err)
	}
	if !want.weakClaims {
		return errors.New("this server does not enforce unique indexes on arrays, so two meetings could take the same time: it cannot be used")
	}
	return nil
}

// topologyChanged is called by the driver whenever it learns something new of
// the servers. It must not block.
func (s *Store) topologyChanged(e *event.TopologyDescriptionChangedEvent) {
	s.primary.Store(slices.ContainsFunc(e.NewDescription.Servers, func(d event.ServerDescription) bool {
		return d.Kind == "RSPrimary" || d.Kind == "Mongos" || d.Kind == "Standalone" || d.Kind == "LoadBalancer"
	}))
}

func (s *Store) kinds() []marketplace.Kind {
	kinds := make([]marketplace.Kind, 0, len(s.schema))
	for k := range s.schema {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

func (s *Store) collection(kind marketplace.Kind) *mongo.Collection {
	return s.db.Collection(string(kind))
}

// Close ends the calls under way with [marketplace.ErrClosed] and the
// connections. It takes at most 2 seconds. A second call does nothing.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.close()
		ctx, cancel := context.WithTimeout(context.Background(), opTime)
		defer cancel()
		err = s.client.Disconnect(ctx)
	})
	if err != nil {
		return fmt.Errorf("mongostore: close: %w", err)
	}
	return nil
}

// begin starts a call: it refuses what cannot work now, and returns a context
// that also ends when the store is closed.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	switch {
	case s.closing.Err() != nil:
		return nil, nil, fmt.Errorf("mongostore: %w", marketplace.ErrClosed)
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("mongostore: %w", ctx.Err())
	case !s.primary.Load():
		return nil, nil, fmt.Errorf("mongostore: no server takes writes: %w", marketplace.ErrUnavailable)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// Get implements [marketplace.Store]. It reads at the primary what a majority
// has, and so sees every write that was acknowledged before, unless the node
// it asks was replaced as primary some seconds ago, is cut off from the rest
// and has not noticed yet.
func (s *Store) Get(ctx context.Context, kind marketplace.Kind, id string) (marketplace.Document, error) {
	caller := ctx
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return marketplace.Document{}, err
	}
	defer end()
	missing := fmt.Errorf("mongostore: %s %q: %w", kind, id, marketplace.ErrNotFound)
	if _, ok := s.schema[kind]; !ok {
		return marketplace.Document{}, missing
	}
	var st stored
	err = s.collection(kind).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&st)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && st.deleted() {
		return marketplace.Document{}, missing
	}
	if err != nil {
		return marketplace.Document{}, s.failed(caller, fmt.Sprintf("get %s %q", kind, id), err)
	}
	return st.document(), nil
}

// stored is a document of a kind's collection; see the package comment.
type stored struct {
	ID    string         `bson:"_id"`
	Rev   int64          `bson:"rev"`
	At    bson.Timestamp `bson:"at"`
	Value bson.Raw       `bson:"v"`
}

func (st *stored) deleted() bool { return st.Value == nil }

func (st *stored) document() marketplace.Document {
	return marketplace.Document{ID: st.ID, Rev: st.Rev, Decode: decoder(st.Value)}
}

// unavailableCodes are the server's ways to say: not now, or not here.
var unavailableCodes = []int{
	6, 7, 50, 89, 91, 133, 134, 189, 202, 262, 358, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
	13, 18, // refused for want of rights: for the application storage is away
}

// failed gives an error of the driver its meaning in the port. ctx is the
// caller's: when it ended, that is the reason, whatever the driver says.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case s.closing.Err() != nil:
		return fmt.Errorf("mongostore: %s: %w", what, marketplace.ErrClosed)
	case ctx.Err() != nil:
		return fmt.Errorf("mongostore: %s: %w", what, ctx.Err())
	case mongo.IsTimeout(err) && endsSoon(ctx):
		// The driver does not begin what cannot be finished in time.
		return fmt.Errorf("mongostore: %s: %w", what, context.DeadlineExceeded)
	case !isOurs(err) && isUnavailable(err):
		// Quoted, not wrapped: a timeout of ours is not one of the caller's.
		return fmt.Errorf("mongostore: %s: %w: %v", what, marketplace.ErrUnavailable, err)
	}
	return fmt.Errorf("mongostore: %s: %w", what, err)
}

func endsSoon(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < opTime/10
}

// isOurs says whether an error has a meaning in the port already.
func isOurs(err error) bool {
	for _, known := range []error{marketplace.ErrStale, marketplace.ErrTaken, marketplace.ErrCursor, marketplace.ErrUnavailable} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func isUnavailable(err error) bool {
	if mongo.IsNetworkError(err) || mongo.IsTimeout(err) {
		return true
	}
	codes := slices.DeleteFunc(mongo.ErrorCodes(err), func(c int) bool { return c == 0 })
	if len(codes) == 0 {
		// Not from a server: none was found, or no connection to it.
		var marshal mongo.MarshalError
		return !errors.As(err, &marshal) && !errors.Is(err, mongo.ErrNoDocuments)
	}
	return slices.ContainsFunc(codes, func(c int) bool { return slices.Contains(unavailableCodes, c) })
}
