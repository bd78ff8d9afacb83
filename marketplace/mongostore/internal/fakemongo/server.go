// Package fakemongo is a MongoDB server for tests: it speaks the wire protocol
// over TCP, keeps everything in memory, knows the commands that mongostore
// sends, means by them what MongoDB means, and breaks on command.
//
// It is a replica set of two members that share their memory, so that nothing
// is lost when the other becomes primary, or a standalone node. What it does
// not know makes it panic: a test double that ignores half of a command would
// prove nothing.
package fakemongo

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A Server is a running fake. Its methods are safe for concurrent use.
type Server struct {
	standalone bool
	members    []*member
	process    bson.ObjectID // of the topology version

	mu      sync.Mutex
	primary int           // index in members; -1 while there is none
	term    uint32        // of the primary
	version int64         // counts changes of the topology
	changed chan struct{} // closed at the next change of topology or data
	down    bool          // connections are refused
	frozen  bool          // requests are read and never answered
	script  map[string][]Action
	counts  map[string]int

	clock   bson.Timestamp // of the last write
	ahead   time.Duration  // of the server's clock to this machine's
	dbs     map[string]map[string]*collection
	log     []entry
	lost    uint64 // history up to here is lost
	cursors map[int64]*cursor
	last    int64 // cursor
	done    map[string]bson.D
}

type member struct {
	server   *Server
	index    int
	listener net.Listener
	conns    map[net.Conn]bool
}

// Start runs a replica set until the end of the test.
func Start(t testing.TB) *Server { return start(t, false, 2) }

// StartStandalone runs a single node, which has no change streams and no
// retryable writes, until the end of the test.
func StartStandalone(t testing.TB) *Server { return start(t, true, 1) }

func start(t testing.TB, standalone bool, members int) *Server {
	s := &Server{
		standalone: standalone, process: bson.NewObjectID(), term: 1, changed: make(chan struct{}),
		script: map[string][]Action{}, counts: map[string]int{},
		dbs: map[string]map[string]*collection{}, cursors: map[int64]*cursor{}, done: map[string]bson.D{},
	}
	var wg sync.WaitGroup
	for i := range members {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		m := &member{server: s, index: i, listener: l, conns: map[net.Conn]bool{}}
		s.members = append(s.members, m)
		wg.Go(func() { m.accept(&wg) })
	}
	t.Cleanup(func() {
		s.Down()
		for _, m := range s.members {
			m.listener.Close()
		}
		wg.Wait()
	})
	return s
}

// URI returns the address of a database on the server.
func (s *Server) URI(database string) string {
	var hosts []string
	for _, m := range s.members {
		hosts = append(hosts, m.listener.Addr().String())
	}
	options := "?replicaSet=rs0"
	if s.standalone {
		options = ""
	}
	return "mongodb://" + strings.Join(hosts, ",") + "/" + database + options
}

func (m *member) accept(wg *sync.WaitGroup) {
	for {
		c, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.server.mu.Lock()
		down := m.server.down
		if !down {
			m.conns[c] = true
		}
		m.server.mu.Unlock()
		if down {
			c.Close()
			continue
		}
		wg.Go(func() {
			m.serve(c)
			m.server.mu.Lock()
			delete(m.conns, c)
			m.server.mu.Unlock()
		})
	}
}

// errHangUp ends a connection without an answer.
var errHangUp = errors.New("hang up")

func (m *member) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		q, err := readRequest(r)
		if err != nil {
			return
		}
		reply, err := m.answer(q)
		if err != nil {
			return
		}
		m.server.mu.Lock()
		frozen := m.server.frozen
		m.server.mu.Unlock()
		if frozen {
			continue
		}
		if writeReply(c, q, reply) != nil {
			return
		}
	}
}

// A failure is an error that the server answers with.
type failure struct {
	code   int32
	name   string
	labels []string
	detail bson.D
}

func (f *failure) Error() string { return f.name }

var notPrimary = &failure{code: 10107, name: "NotWritablePrimary", labels: []string{"RetryableWriteError", "ResumableChangeStreamError"}}

func (m *member) answer(q *request) (bson.D, error) {
	s := m.server
	command := commands[q.name]
	if command == nil {
		return s.refusal(&failure{code: 59, name: "no such command: " + q.name}), nil
	}
	action := s.next(q.name)
	if action.before {
		return nil, errHangUp
	}
	if action.first != nil {
		action.first()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if action.refuse != nil {
		if action.refuse.code == notPrimary.code {
			s.version++ // as after an election, so that the driver looks again
			s.broadcast()
		}
		return s.refusal(action.refuse), nil
	}
	if !public[q.name] && m.index != s.primary {
		return s.refusal(notPrimary), nil
	}
	session := q.session()
	reply, known := s.done[session]
	if !known || session == "" {
		var err error
		if reply, err = command(m, q, action); err != nil {
			var f *failure
			if !errors.As(err, &f) {
				return nil, err
			}
			return s.refusal(f), nil
		}
		if session != "" {
			s.done[session] = reply
		}
	}
	if action.after {
		return nil, errHangUp
	}
	if action.unconfirmed {
		reply = append(reply, bson.E{Key: "writeConcernError", Value: bson.D{
			{Key: "code", Value: int32(64)}, {Key: "errmsg", Value: "waiting for replication timed out"}}})
	}
	reply = append(reply, bson.E{Key: "ok", Value: 1.0})
	if !s.standalone {
		reply = append(reply, bson.E{Key: "operationTime", Value: s.clock})
	}
	return reply, nil
}

func (s *Server) refusal(f *failure) bson.D {
	d := bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: f.code}, {Key: "codeName", Value: f.name}, {Key: "errmsg", Value: f.name}}
	if f.code == notPrimary.code { // a driver that knows more than this must not believe it
		d = append(d, bson.E{Key: "topologyVersion", Value: s.topologyVersion()})
	}
	if len(f.labels) > 0 {
		d = append(d, bson.E{Key: "errorLabels", Value: f.labels})
	}
	return append(d, f.detail...)
}

// now is the server's own time.
func (s *Server) now() time.Time { return time.Now().Add(s.ahead) }

// tick returns the time of the next write. Times are unique and never go back.
func (s *Server) tick() bson.Timestamp {
	next := bson.Timestamp{T: uint32(s.now().Unix())}
	if next.T <= s.clock.T {
		next = bson.Timestamp{T: s.clock.T, I: s.clock.I}
	}
	next.I++
	s.clock = next
	return next
}

// broadcast wakes those who wait for a change.
func (s *Server) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait gives up the lock until something has changed, or the time has come.
// It reports false when the time has come.
func (s *Server) wait(until time.Time) bool {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-changed:
		return true
	case <-timer.C:
		return false
	}
}

// hello waits, if asked to, until the topology is another than the one that
// the asking driver knows.
func hello(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	if known, ok := q.field("topologyVersion").(bson.D); ok {
		until := time.Now().Add(time.Duration(number(q.field("maxAwaitTimeMS"))) * time.Millisecond)
		for number(get(known, "counter")) == s.version && !s.down && s.wait(until) {
		}
	}
	d := bson.D{
		{Key: "helloOk", Value: true},
		{Key: "ismaster", Value: m.index == s.primary},
		{Key: "isWritablePrimary", Value: m.index == s.primary},
		{Key: "localTime", Value: bson.NewDateTimeFromTime(s.now())},
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		{Key: "maxMessageSizeBytes", Value: int32(48000000)},
		{Key: "maxWriteBatchSize", Value: int32(100000)},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		{Key: "minWireVersion", Value: int32(0)},
		{Key: "maxWireVersion", Value: int32(21)},
		{Key: "topologyVersion", Value: s.topologyVersion()},
	}
	if s.standalone {
		return d, nil
	}
	hosts := bson.A{}
	for _, other := range s.members {
		hosts = append(hosts, other.listener.Addr().String())
	}
	d = append(d, bson.E{Key: "setName", Value: "rs0"}, bson.E{Key: "setVersion", Value: int32(1)},
		bson.E{Key: "secondary", Value: m.index != s.primary}, bson.E{Key: "hosts", Value: hosts}, bson.E{Key: "me", Value: hosts[m.index]})
	if m.index == s.primary {
		var election bson.ObjectID
		binary.BigEndian.PutUint32(election[8:], s.term)
		d = append(d, bson.E{Key: "electionId", Value: election})
	}
	if s.primary >= 0 {
		d = append(d, bson.E{Key: "primary", Value: hosts[s.primary]})
	}
	return d, nil
}

func (s *Server) topologyVersion() bson.D {
	return bson.D{{Key: "processId", Value: s.process}, {Key: "counter", Value: s.version}}
}

// public commands are answered by a member that is not primary, too.
var public = map[string]bool{"hello": true, "isMaster": true, "ismaster": true, "ping": true, "endSessions": true, "killCursors": true}

var commands = map[string]func(*member, *request, Action) (bson.D, error){
	"hello": hello, "isMaster": hello, "ismaster": hello, "ping": nothing, "endSessions": nothing,
	"insert": insert, "update": update, "delete": remove,
	"find": find, "getMore": getMore, "killCursors": killCursors, "aggregate": aggregate,
	"createIndexes": createIndexes, "listIndexes": listIndexes, "dropIndexes": dropIndexes,
	"drop": drop, "dropDatabase": dropDatabase,
}

func nothing(*member, *request, Action) (bson.D, error) { return bson.D{}, nil }

func (s *Server) collection(q *request, name string) *collection {
	db := s.dbs[q.db]
	if db == nil {
		db = map[string]*collection{}
		s.dbs[q.db] = db
	}
	c := db[name]
	if c == nil {
		c = &collection{name: name, docs: map[string]*document{}}
		c.indexes = []*index{{name: "_id_", keys: bson.D{{Key: "_id", Value: int32(1)}}, unique: true, holders: map[string]string{},
			spec: bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "name", Value: "_id_"}}}}
		db[name] = c
	}
	return c
}

func namespace(q *request, name string) string { return fmt.Sprintf("%s.%s", q.db, name) }
