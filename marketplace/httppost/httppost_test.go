package httppost

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"citymarket/marketplace"
)

// receiver is a server over TLS, and a client that may reach it.
func receiver(t *testing.T, timeout time.Duration, h http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := New(Config{Loopback: true, RootCAs: pool, Timeout: timeout})
	t.Cleanup(c.Close)
	return s, c
}

func TestPost(t *testing.T) {
	t.Parallel()
	var got http.Header
	var body string
	s, c := receiver(t, 0, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r.Header.Clone(), r.Method+" "+r.URL.String()+" "+string(b)
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "later\xff")
	})
	for range 2 {
		r, err := c.Post(t.Context(), s.URL+"/hook?a=b", map[string]string{"webhook-id": "event_1", "content-type": "application/json"}, []byte(`{}`))
		if err != nil || r.Status != 503 || r.Body != "later" || r.RetryAfter != 90*time.Second || r.Took <= 0 {
			t.Errorf("%+v %v", r, err)
		}
		if body != "POST /hook?a=b {}" || got.Get("Webhook-Id") != "event_1" || got.Get("Content-Type") != "application/json" ||
			got.Get("User-Agent") != "Citymarket-Webhook/1.0" || got.Get("Cookie") != "" || got.Get("Accept-Encoding") != "" {
			t.Errorf("%s %v", body, got)
		}
	}
}

// Where a name leads is decided at the moment of connecting, whatever an
// earlier look-up said, and nothing reaches a listener on this machine.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	var reached atomic.Int32
	go func() {
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "fd00:ec2::254", "fe80::1", "2002:7f00:1::", "64:ff9b::7f00:1"} {
		c := New(Config{Resolver: names(t, netip.MustParseAddr(address))})
		_, err := c.Post(t.Context(), "https://rebind.example:"+port+"/secret-path", nil, nil)
		if !errors.Is(err, marketplace.ErrPostRefused) {
			t.Errorf("%s: %v", address, err)
		} else if s := err.Error(); strings.Contains(s, "secret-path") || strings.Contains(s, address) {
			t.Errorf("%s: says too much: %v", address, err)
		}
	}
	// In development, this machine is allowed, the network around it is not.
	c := New(Config{Loopback: true, Resolver: names(t, netip.MustParseAddr("10.0.0.1"))})
	if _, err := c.Post(t.Context(), "https://rebind.example:"+port, nil, nil); !errors.Is(err, marketplace.ErrPostRefused) {
		t.Error(err)
	}
	if _, err := c.Post(t.Context(), "http://127.0.0.1:"+port+"/secret-path", nil, nil); err == nil || errors.Is(err, marketplace.ErrPostRefused) || strings.Contains(err.Error(), "secret-path") {
		t.Error(err)
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("the listener was reached %d times", n)
	}
}

// names is a resolver for which every name leads to one address.
func names(t *testing.T, a netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		go func() { // DNS over a stream: two bytes of length before each message
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, q); err != nil {
					return
				}
				end := 12
				for q[end] != 0 {
					end += int(q[end]) + 1
				}
				end += 5 // the end of the name, type and class
				wanted := binary.BigEndian.Uint16(q[end-4:])
				answer := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
				if wanted == 1 && a.Is4() || wanted == 28 && a.Is6() {
					answer[7] = 1
					answer = append(answer, 0xc0, 12, 0, byte(wanted), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
					answer = append(answer, a.AsSlice()...)
				}
				if _, err := server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

func TestAddressesThatAreNotTried(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	for _, s := range []string{"http://example.org/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data", "https://example.org:25/", "https://localhost/", "file:///etc/passwd", "https://a:b@example.org", ""} {
		if _, err := c.Post(t.Context(), s, nil, nil); !errors.Is(err, marketplace.ErrPostRefused) {
			t.Errorf("%q: %v", s, err)
		}
	}
	c = New(Config{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("dial 10.0.0.2:53: no route")
	}}})
	if _, err := c.Post(t.Context(), "https://nowhere.example/secret-path", nil, nil); err == nil || errors.Is(err, marketplace.ErrPostRefused) || strings.Contains(err.Error(), "secret-path") {
		t.Error(err)
	}
}

// A redirect is an answer like any other, not a way to somewhere else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s, c := receiver(t, 0, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	r, err := c.Post(t.Context(), s.URL, nil, []byte("{}"))
	if err != nil || r.Status != 307 || asked.Load() != 1 {
		t.Errorf("%+v %v, asked %d times", r, err, asked.Load())
	}
}

// Nobody vouches for the receiver: nothing is sent.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s, _ := receiver(t, 0, func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") })
	if _, err := New(Config{Loopback: true}).Post(t.Context(), s.URL, nil, nil); err == nil || errors.Is(err, marketplace.ErrPostRefused) {
		t.Error(err)
	}
}

// What a receiver answers costs a bounded amount of memory and time.
func TestHugeAndSlowAnswers(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	endless := func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat("市", 10_000))
		for r.Context().Err() == nil {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
	s, c := receiver(t, 0, endless)
	r, err := c.Post(t.Context(), s.URL, nil, nil)
	if err != nil || r.Status != 200 || len(r.Body) > 1024 || len(r.Body) < 1020 || strings.Trim(r.Body, "市") != "" {
		t.Errorf("%d bytes, %v", len(r.Body), err)
	}
	s.Close() // waits until the handler has noticed
	if sent.Load() > 16<<20 {
		t.Errorf("%d bytes were sent", sent.Load())
	}

	s, c = receiver(t, 0, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Large", strings.Repeat("a", 1<<20)) })
	if _, err := c.Post(t.Context(), s.URL, nil, nil); err == nil {
		t.Error("an endless header was read")
	}

	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s, c = receiver(t, 100*time.Millisecond, silent)
	if _, err := c.Post(t.Context(), s.URL, nil, nil); err == nil || !strings.Contains(err.Error(), "no answer within 100ms") {
		t.Error(err)
	}
	s, c = receiver(t, 0, silent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Post(ctx, s.URL, nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	// The status was said in time: that the rest is not makes no difference.
	s, c = receiver(t, 100*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "thanks")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	if r, err := c.Post(t.Context(), s.URL, nil, nil); err != nil || r.Status != 200 || r.Body != "thanks" {
		t.Errorf("%+v %v", r, err)
	}
}

// However many are to be told at once, one host that is slow takes up few
// connections, and whoever waits gives up in time.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	s, c := receiver(t, 300*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		<-r.Context().Done()
	})
	var wg sync.WaitGroup
	for range maxAtOnce {
		wg.Go(func() {
			if _, err := c.Post(t.Context(), s.URL, nil, nil); err == nil {
				t.Error("answered")
			}
		})
	}
	wg.Wait()
	s.Close() // no handler is under way any more
	// When the first give up, some of those who waited for them may still come.
	if n := arrived.Load(); n < maxPerHost || n > 3*maxPerHost {
		t.Errorf("%d of %d arrived", n, maxAtOnce)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "1.5": 0, "9999999": 24 * time.Hour, "99999999999999999999": 0,
		"Mon, 02 Mar 2026 08:31:00 GMT": time.Minute, "Mon, 02 Mar 2026 08:00:00 GMT": 0, "Mon, 02 Mar 2099 08:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(s, now); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func ExampleNew() {
	c := New(Config{})
	defer c.Close()
	_, err := c.Post(context.Background(), "https://169.254.169.254/latest/meta-data", nil, nil)
	fmt.Println(err)
	// Output: httppost: address refused: must lead to a public address
}
