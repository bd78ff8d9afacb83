// Package httppost sends webhooks: POST requests to addresses that strangers
// chose, from a machine that stands in a network of its own.
package httppost

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"citymarket/marketplace"
)

// DefaultTimeout is the longest time that one request takes in all, waiting
// for its turn included.
const DefaultTimeout = 10 * time.Second

const (
	maxExcerpt  = 1 << 10  // bytes of an answer that are kept
	maxDrain    = 16 << 10 // bytes of an answer that are read so that its connection can be used again
	maxHeader   = 16 << 10 // bytes of an answer's header
	maxAtOnce   = 32       // requests under way
	maxPerHost  = 4        // connections to one host
	maxRetry    = 24 * time.Hour
	userAgent   = "Citymarket-Webhook/1.0"
	idleTimeout = 30 * time.Second
)

// Config says where requests may go. The zero value is for production.
type Config struct {
	// Loopback allows http and addresses of this machine, for development.
	// Other addresses that are not public stay refused.
	Loopback bool
	// Timeout bounds one request; DefaultTimeout when it is 0.
	Timeout time.Duration
	// RootCAs are the authorities whose certificates are trusted; nil: the system's.
	RootCAs *x509.CertPool
	// Resolver looks up names; nil: the system's.
	Resolver *net.Resolver
}

// A Client is a [marketplace.Poster]. At most 32 requests are under way at
// once, at most 4 to one host.
type Client struct {
	loopback bool
	timeout  time.Duration
	http     *http.Client
	turns    chan struct{}
}

// New makes a client. It uses no proxy, keeps no cookies, and checks each
// address that it is about to connect to, after its name was looked up: what
// a name leads to can change between a check and its use, so there is no
// other check of it.
func New(c Config) *Client {
	dialer := &net.Dialer{
		Timeout: 5 * time.Second, Resolver: c.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error { return allow(address, c.Loopback) },
	}
	return &Client{
		loopback: c.Loopback,
		timeout:  cmp.Or(c.Timeout, DefaultTimeout),
		turns:    make(chan struct{}, maxAtOnce),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    5 * time.Second,
				MaxResponseHeaderBytes: maxHeader,
				DisableCompression:     true, // a small answer must not become a large one
				MaxConnsPerHost:        maxPerHost,
				MaxIdleConns:           maxAtOnce,
				MaxIdleConnsPerHost:    1,
				IdleConnTimeout:        idleTimeout,
			},
		},
	}
}

// allow refuses to connect to an address that is not public.
func allow(address string, loopback bool) error {
	a, err := netip.ParseAddrPort(address)
	if err == nil && (marketplace.IsPublicAddress(a.Addr()) || loopback && a.Addr().Unmap().IsLoopback()) {
		return nil
	}
	return errNotPublic
}

var errNotPublic = fmt.Errorf("%w: must lead to a public address", marketplace.ErrPostRefused)

// Post implements [marketplace.Poster]. An answer whose body does not end in
// time is an answer all the same: its status has been said.
func (c *Client) Post(ctx context.Context, address string, header map[string]string, body []byte) (marketplace.PostResult, error) {
	var none marketplace.PostResult
	if err := marketplace.CheckPostURL(address, c.loopback); err != nil {
		return none, fmt.Errorf("httppost: %w", err)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %v", c.timeout))
	defer cancel()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return none, fmt.Errorf("httppost: %w", context.Cause(ctx))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return none, fmt.Errorf("httppost: %w", bare(err))
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return none, fmt.Errorf("httppost: %w", bare(err))
	}
	defer resp.Body.Close()
	excerpt, _ := io.ReadAll(io.LimitReader(resp.Body, maxExcerpt))
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	return marketplace.PostResult{
		Status:     resp.StatusCode,
		Body:       strings.ToValidUTF8(string(excerpt), ""),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), start),
		Took:       time.Since(start),
	}, nil
}

// Close ends the connections that are kept for the next request.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// bare takes out of an error what is not the business of whoever reads it:
// the path of the address, which may be a secret, and what names lead to in
// our own network.
func bare(err error) error {
	if errors.Is(err, marketplace.ErrPostRefused) {
		return errNotPublic
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("the name %s cannot be looked up: %s", e.Name, e.Err)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// retryAfter reads seconds or a date; 0 for anything else.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetry)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), maxRetry)
	}
	return 0
}
