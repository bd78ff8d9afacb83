package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"citymarket/marketplace"
)

// Bounds of the streams that are open at the same time. With a subscription
// that waits, a WebSocket takes 52 kB of the process, an answer of server-sent
// events 38 kB, and each further operation of a WebSocket 12 kB.
const (
	maxStreams          = 10_000 // of the process, unless Options say otherwise
	maxClientStreams    = 50     // connections of one client
	maxClientOperations = 200    // of one client over all its WebSockets, beyond the first of each
)

// Why no stream may begin.
var (
	errStopping    = errors.New("the server is stopping")
	errFull        = errors.New("too many streams are open; try again in a moment")
	errClientsFull = errors.New("this client has too many streams open")
	errSocketFull  = fmt.Errorf("a WebSocket carries at most %d operations at the same time", maxOperations)
)

// streams counts what is open. A stream is an answer of server-sent events, a
// WebSocket, or an operation that a WebSocket carries beside another one.
type streams struct {
	stopping context.Context // done when no stream may begin any more
	stop     context.CancelFunc
	max      int

	mu      sync.Mutex
	open    int
	clients map[string]*holding
	group   sync.WaitGroup
}

// A holding is what one client has open.
type holding struct{ connections, operations int }

func newStreams(max int) *streams {
	s := &streams{max: max, clients: map[string]*holding{}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s
}

// connect takes a place for a connection, until release is called.
func (s *streams) connect(client string) (release func(), err error) {
	return s.take(client, maxClientStreams, func(h *holding) *int { return &h.connections })
}

// operate takes a place for an operation beside another one.
func (s *streams) operate(client string) (release func(), err error) {
	return s.take(client, maxClientOperations, func(h *holding) *int { return &h.operations })
}

func (s *streams) take(client string, limit int, part func(*holding) *int) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.clients[client]
	switch {
	case s.stopping.Err() != nil:
		return nil, errStopping
	case h != nil && *part(h) >= limit:
		return nil, errClientsFull
	case s.open >= s.max:
		return nil, errFull
	case h == nil:
		h = &holding{}
		s.clients[client] = h
	}
	s.open++
	*part(h)++
	s.group.Add(1)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if *part(h)--; *h == (holding{}) {
			delete(s.clients, client)
		}
		s.group.Done()
	}), nil
}

// shutdown lets no stream begin, and waits until those that are open have
// ended or ctx is done.
func (s *streams) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remoteClient tells clients apart by their address; one that has IPv6 has a
// whole network of 64 bits to choose from.
func remoteClient(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return cmp.Or(marketplace.NetworkOf(host), r.RemoteAddr)
}
