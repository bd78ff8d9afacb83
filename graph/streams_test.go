package graph

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A lab is a server in a bubble of its own time, over connections in memory.
// Nothing may be left of it when the bubble ends.
type lab struct {
	*testing.T
	*pulse
	handler *Handler
	server  *http.Server
	client  *http.Client
	log     *journal
	conns   chan net.Conn
	done    chan struct{}
}

func inLab(t *testing.T, o Options, test func(*lab)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{T: t, pulse: newPulse(), log: &journal{}, conns: make(chan net.Conn), done: make(chan struct{})}
		o.Log = slog.New(slog.NewTextHandler(l.log, nil))
		l.handler = NewHandler(l.pulse, o)
		// As short as that, they would end any stream.
		l.server = &http.Server{Handler: l.handler, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		transport := &http.Transport{DialContext: l.dial}
		l.client = &http.Client{Transport: transport}
		served := make(chan struct{})
		go func() {
			defer close(served)
			l.server.Serve(l)
		}()
		test(l)
		transport.CloseIdleConnections()
		l.server.Close()
		<-served
		if err := l.handler.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // the server takes its time to close some connections
		l.lives(0)
		if l.places() != 0 || len(l.handler.streams.clients) != 0 {
			t.Errorf("%d places of %d clients are not given back", l.places(), len(l.handler.streams.clients))
		}
	})
}

// A journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// lives checks how many sources there are, when all has come to rest.
func (l *lab) lives(n int32) {
	l.Helper()
	synctest.Wait()
	if got := l.live.Load(); got != n {
		l.Errorf("%d sources live, not %d", got, n)
	}
}

// places is how many are taken, when all has come to rest.
func (l *lab) places() int {
	synctest.Wait()
	l.handler.streams.mu.Lock()
	defer l.handler.streams.mu.Unlock()
	return l.handler.streams.open
}

// A remote is a connection from an address.
type remote struct {
	net.Conn
	addr net.Addr
}

func (r remote) RemoteAddr() net.Addr { return r.addr }

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

type addressKey struct{}

func (l *lab) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	from, ok := ctx.Value(addressKey{}).(address)
	if !ok {
		from = "192.0.2.1:1234"
	}
	client, server := net.Pipe()
	select {
	case l.conns <- remote{server, from}:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (l *lab) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *lab) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

// Addr implements [net.Listener].
func (*lab) Addr() net.Addr { return address("lab") }

func TestPlacesOfStreams(t *testing.T) {
	t.Parallel()
	s := newStreams(60)
	var releases []func()
	take := func(begin func(string) (func(), error), client string, want error) {
		t.Helper()
		release, err := begin(client)
		if !errors.Is(err, want) {
			t.Errorf("%v, not %v", err, want)
		}
		if err == nil {
			releases = append(releases, release)
		}
	}
	for range maxClientStreams {
		take(s.connect, "a", nil)
	}
	take(s.connect, "a", errClientsFull)
	take(s.operate, "a", nil)
	for range 9 {
		take(s.connect, "b", nil)
	}
	take(s.connect, "b", errFull)
	take(s.operate, "b", errFull)
	releases[0]()
	releases[0]() // does nothing
	take(s.connect, "b", nil)
	take(s.connect, "c", errFull)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, release := range releases {
		release()
	}
	take(s.connect, "c", errStopping)
	if err := s.shutdown(t.Context()); err != nil || s.open != 0 || len(s.clients) != 0 {
		t.Error(err, s.open, s.clients)
	}
}

// What still works for a stream counts, though its client has left.
func TestPlacesAreHeldUntilAllHasEnded(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		const query = "subscription { lingering { n } }"
		ctx, cancel := context.WithCancel(l.Context())
		r := l.open(ctx, "GET", query)
		defer r.Body.Close()
		s := l.talk(true)
		s.subscribe("1", query)
		s.subscribe("2", query)
		l.lives(3)
		cancel()
		s.bye()
		if n := l.places(); n != 3 {
			l.Errorf("%d places are taken", n)
		}
		time.Sleep(5 * time.Second)
		if n := l.places(); n != 0 {
			l.Errorf("%d places are taken", n)
		}
	})
}

func TestRemoteClient(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:80": "192.0.2.7", "[::ffff:192.0.2.7]:80": "192.0.2.7", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "@": "@",
	} {
		if got := remoteClient(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s: %s, not %s", remote, got, want)
		}
	}
}

func TestWhoWantsAStream(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; q=0.9": true, "text/event-stream, */*": true, "text/event-stream, application/json;q=0.9": true,
		"": false, "*/*": false, "text/*": false, "text/event-stream;q=0": false, "text/event-stream;q=0.5, */*": false,
		"application/graphql-response+json, application/json, text/event-stream, multipart/mixed": false,
	} {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		r.URL = mustURL("/graphql")
		if got := IsStream(r); got != want {
			t.Errorf("%q: %v", accept, got)
		}
		r.URL = mustURL("/graphql/stream")
		if !IsStream(r) {
			t.Errorf("%q on the path of streams", accept)
		}
	}
	r := &http.Request{URL: mustURL("/graphql"), Header: http.Header{"Upgrade": {"h2c, WebSocket"}}}
	if !IsStream(r) {
		t.Error("a WebSocket is no stream")
	}
}

// A source is asked for no more than is taken, and ends with its context.
func TestStream(t *testing.T) {
	t.Parallel()
	c := &call{}
	ctx, cancel := context.WithCancel(withCall(t.Context(), c))
	asked := 0
	events := stream(ctx, func(yield func(int, error) bool) {
		for asked++; yield(asked, nil); asked++ {
		}
	})
	if n := <-events; n != 1 {
		t.Error(n)
	}
	cancel()
	for range events {
	}
	c.sources.Wait()
	if asked > 3 || c.failure != nil {
		t.Errorf("asked %d times, %v", asked, c.failure)
	}
}

func mustURL(path string) *url.URL {
	u, err := url.Parse("http://lab" + path)
	if err != nil {
		panic(err)
	}
	return u
}

func bodyOf(t testing.TB, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return comments.ReplaceAllString(string(b), "")
}

var comments = regexp.MustCompile(`(?m)^:\n\n`)
