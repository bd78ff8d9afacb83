package graph

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

// A socket is an open WebSocket. One goroutine reads, one writes, one sends
// pings, one watches over them, and each operation has its own.
type socket struct {
	*streaming
	conn   *connection
	exec   graphql.GraphExecutor
	client string
	header http.Header // of the handshake

	ctx    context.Context // done when the socket is to be closed; the cause is a closing
	cancel context.CancelCauseFunc
	out    chan message

	// Only the reader writes these. What runs later has seen them.
	acknowledged atomic.Bool
	viewer       context.Context // of the operations

	mu         sync.Mutex
	operations map[string]*operation // that the client knows
	running    int                   // those, and those that it no longer wants
	draining   bool
	group      sync.WaitGroup // of the operations
}

// A closing is why a socket is closed. Without a code there is nobody left to
// tell it to.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c *closing) Error() string { return c.reason }

// end closes the socket. The first reason counts.
func (s *socket) end(code websocket.StatusCode, reason string) { s.cancel(&closing{code, reason}) }

// A message waits to be written.
type message struct {
	text      []byte
	operation *operation    // whose it is; nil: the socket's
	written   chan struct{} // where it is not nil, there is no text: it is closed when all before it was written
}

// serve returns when the socket is closed and everything of it has ended.
func (s *socket) serve() {
	var group sync.WaitGroup
	for _, work := range [...]func(){s.read, s.write, s.ping} {
		group.Go(func() {
			defer s.guard()
			work()
		})
	}
	s.watch()
	closed, _ := errors.AsType[*closing](context.Cause(s.ctx))
	if closed != nil && closed.code != 0 {
		s.conn.close(closed.code, closed.reason)
	}
	s.conn.CloseNow()
	group.Wait()
	s.group.Wait()
}

// guard keeps a panic from ending the process.
func (s *socket) guard() {
	if value := recover(); value != nil {
		s.errors.internal(s.ctx, recovered(s.ctx, value), "")
		s.end(websocket.StatusInternalError, "Internal error")
	}
}

// watch returns when the socket is to be closed.
func (s *socket) watch() {
	patience, recheck := time.NewTimer(initTimeout), time.NewTicker(recheckEvery)
	defer patience.Stop()
	defer recheck.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-patience.C:
			if !s.acknowledged.Load() {
				s.end(closeInitTimeout, "Connection initialisation timeout")
			}
		case <-recheck.C:
			if s.acknowledged.Load() && s.recheck(s.viewer) != nil {
				s.end(closeUnauthorized, "Unauthorized")
			}
		case <-s.stopping.Done():
			s.drain()
			s.end(websocket.StatusGoingAway, "Going away")
		}
	}
}

// drain waits until no operation runs and all answers were written. That ends
// subscriptions, and lets the rest finish.
func (s *socket) drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	written := make(chan struct{})
	go func() {
		s.group.Wait()
		s.push(message{written: written})
	}()
	select {
	case <-written:
	case <-s.ctx.Done():
	}
}

// push waits for room, as long as the socket is to stay open.
func (s *socket) push(m message) error {
	select {
	case s.out <- m:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// write writes what was pushed. Its context ends only when the client takes a
// message too slowly, because the end of a context cuts the connection, and
// then the client would not be told why it is closed.
func (s *socket) write() {
	for {
		select {
		case m := <-s.out:
			if m.written != nil {
				close(m.written)
				continue
			}
			if m.operation != nil && m.operation.unwanted.Load() {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
			err := s.conn.Write(ctx, websocket.MessageText, m.text)
			cancel()
			if err != nil {
				s.end(0, "the client does not read")
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// ping finds out whether the client is still there.
func (s *socket) ping() {
	every := time.NewTicker(pingEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
			err := s.conn.Ping(ctx)
			cancel()
			if err != nil {
				s.end(0, "the client does not answer")
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// read reads messages until one is wrong or the socket is closed.
func (s *socket) read() {
	for s.ctx.Err() == nil {
		kind, data, err := s.conn.Read(context.Background())
		if errors.Is(err, websocket.ErrMessageTooBig) {
			s.end(websocket.StatusMessageTooBig, "Message too large")
			return
		}
		if err != nil {
			s.end(0, "the client has left")
			return
		}
		m, wrong := parseMessage(kind, data)
		if wrong != "" {
			s.end(closeInvalid, wrong)
			return
		}
		s.receive(m)
	}
}

func (s *socket) receive(m *incoming) {
	switch m.Type {
	case typeInit:
		s.acknowledge(m)
	case typePing:
		_ = s.push(message{text: appendMessage(typePong, "", m.Payload)})
	case typePong:
	case typeSubscribe:
		if !s.acknowledged.Load() {
			s.end(closeUnauthorized, "Unauthorized")
			return
		}
		s.subscribe(m)
	case typeComplete:
		s.mu.Lock()
		defer s.mu.Unlock()
		if op := s.operations[m.ID]; op != nil {
			op.unwanted.Store(true)
			op.cancel()
			delete(s.operations, m.ID)
		}
	}
}

// acknowledge begins the connection inside the socket, in the name of whom the
// message names.
func (s *socket) acknowledge(m *incoming) {
	if s.acknowledged.Load() {
		s.end(closeTooMany, "Too many initialisation requests")
		return
	}
	if m.authorization != nil && s.Authenticate != nil {
		bearer, ok := bearerOf(*m.authorization)
		if !ok {
			s.end(closeForbidden, "Forbidden")
			return
		}
		viewer, err := s.Authenticate(s.ctx, bearer)
		if err != nil {
			s.end(closeForbidden, "Forbidden")
			return
		}
		s.viewer = viewer
	}
	s.acknowledged.Store(true)
	_ = s.push(message{text: appendMessage(typeAck, "", nil)})
}

// bearerOf reads "Bearer abc".
func bearerOf(authorization string) (string, bool) {
	scheme, bearer, ok := strings.Cut(authorization, " ")
	bearer = strings.TrimSpace(bearer)
	return bearer, ok && strings.EqualFold(scheme, "Bearer") && bearer != ""
}

// An operation of a socket is the outlet of its own answers.
type operation struct {
	*socket
	id       string
	ctx      context.Context
	cancel   context.CancelFunc
	release  func() // of its place, if it has one
	unwanted atomic.Bool
	failed   bool // the client was told, and nothing may follow
}

// subscribe begins an operation.
func (s *socket) subscribe(m *incoming) {
	op, err := s.admit(m.ID)
	switch {
	case errors.Is(err, errDuplicate):
		s.end(closeDuplicate, "Subscriber for "+m.ID+" already exists")
		return
	case err != nil:
		_ = s.push(message{text: appendMessage(typeError, m.ID, encode(refusedWith(codeOf(err), err.Error()).Errors))})
		return
	}
	go func() {
		defer op.finish()
		defer s.guard()
		m.params.Headers = s.header
		s.execute(op.ctx, s.exec, m.params, true, op)
		op.complete()
	}()
}

var errDuplicate = errors.New("the id is in use")

// admit makes an operation, which has to be finished.
func (s *socket) admit(id string) (op *operation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op = &operation{socket: s, id: id, release: func() {}}
	switch {
	case s.operations[id] != nil:
		return nil, errDuplicate
	case s.draining:
		return nil, errStopping
	case s.running >= maxOperations:
		return nil, errSocketFull
	case s.running > 0: // the socket's own place is good for one
		if op.release, err = s.operate(s.client); err != nil {
			return nil, err
		}
	}
	op.ctx, op.cancel = context.WithCancel(s.viewer)
	s.operations[id] = op
	s.running++
	s.group.Add(1)
	return op, nil
}

// finish gives back what the operation held.
func (op *operation) finish() {
	op.forget()
	op.cancel()
	op.release()
	op.mu.Lock()
	op.running--
	op.mu.Unlock()
	op.group.Done()
}

// forget lets the client use the id again. It comes before the last message,
// since the answer to that may be the next operation.
func (op *operation) forget() {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.operations[op.id] == op {
		delete(op.operations, op.id)
	}
}

func (op *operation) send(response *graphql.Response) error {
	kind, payload := typeNext, []byte(nil)
	if response.Data == nil {
		op.failed = true
		op.forget()
		kind, payload = typeError, encode(response.Errors)
	} else {
		for _, part := range partsOf(response) {
			payload = append(payload, part...)
		}
	}
	return op.push(message{text: appendMessage(kind, op.id, payload), operation: op})
}

func (op *operation) complete() {
	if !op.failed {
		op.forget()
		_ = op.push(message{text: appendMessage(typeComplete, op.id, nil), operation: op})
	}
}

func (op *operation) deny() { op.end(closeUnauthorized, "Unauthorized") }
