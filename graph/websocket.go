package graph

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

// protocol is the sub-protocol that is spoken; the older "graphql-ws" is not.
const protocol = "graphql-transport-ws"

// Bounds of one WebSocket.
const (
	initTimeout      = 5 * time.Second  // from the handshake until the connection is acknowledged
	pingEvery        = 30 * time.Second // to find out whether the client is still there
	closeTimeout     = 5 * time.Second  // for the client to agree that the socket is closed
	maxSocketMessage = 64 << 10         // bytes that come in one message
	maxOperations    = 100              // that run at the same time
	maxOperationID   = 80               // bytes, so that the reason for closing has room for it
	queuedMessages   = 16               // that wait to be written; each operation makes one more at most
)

// maxTurnedAway is how many sockets at a time are told why they are closed as
// soon as they are open.
const maxTurnedAway = 100

// Codes of the protocol that sockets are closed with.
const (
	closeInvalid      = websocket.StatusCode(4400)
	closeUnauthorized = websocket.StatusCode(4401)
	closeForbidden    = websocket.StatusCode(4403)
	closeProtocol     = websocket.StatusCode(4406)
	closeInitTimeout  = websocket.StatusCode(4408)
	closeDuplicate    = websocket.StatusCode(4409)
	closeTooMany      = websocket.StatusCode(4429)
)

// overWebSocket speaks graphql-transport-ws. A WebSocket carries any number of
// operations of any kind, in the name of whoever sent the handshake or of whom
// the first message names.
type overWebSocket struct {
	*streaming
	turnedAway chan struct{}
}

// Supports implements [graphql.Transport].
func (overWebSocket) Supports(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Upgrade"], func(header string) bool {
		return slices.ContainsFunc(strings.Split(header, ","), func(token string) bool {
			return strings.EqualFold(strings.TrimSpace(token), "websocket")
		})
	})
}

// Do implements [graphql.Transport]. It returns when the socket is closed and
// all its operations have ended.
func (t overWebSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	a := &answer{ResponseWriter: w, mediaType: typeJSON}
	if !t.mayConnect(r) {
		a.refuse(refusedOrigin)
		return
	}
	client := t.ClientOf(r)
	release, err := t.connect(client)
	if err != nil {
		t.turnAway(a, r, err)
		return
	}
	defer release()
	conn, err := accept(w, r)
	if err != nil {
		return // it has been answered
	}
	if conn.Subprotocol() == "" {
		conn.close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	s := &socket{
		streaming: t.streaming, conn: conn, exec: exec, client: client, header: r.Header,
		ctx: ctx, cancel: cancel, viewer: ctx,
		out: make(chan message, queuedMessages), operations: map[string]*operation{},
	}
	s.serve()
}

// accept opens the socket. Where that fails the request has been answered.
func accept(w http.ResponseWriter, r *http.Request) (*connection, error) {
	raw := &hijacker{ResponseWriter: w}
	conn, err := websocket.Accept(raw, r, &websocket.AcceptOptions{
		Subprotocols:       []string{protocol},
		InsecureSkipVerify: true, // of the origin: mayConnect has, by the rules for all requests
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxSocketMessage)
	return &connection{conn, raw.conn}, nil
}

// A connection is a WebSocket and what it is made of.
type connection struct {
	*websocket.Conn
	raw net.Conn
}

// close tells why, and waits for the client to agree. By itself
// [websocket.Conn.Close] would wait without end for the rest of a message.
func (c *connection) close(code websocket.StatusCode, reason string) {
	_ = c.raw.SetDeadline(time.Now().Add(closeTimeout))
	_ = c.Close(code, reason)
}

// A hijacker remembers the connection that is taken over.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements [http.Hijacker].
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, buffer, err
}

// turnAway tells why no socket may be opened. A page is not shown the status
// of a handshake that fails, so the socket is opened to be closed again. That
// takes a while when the other end does not answer, so only a few are told at
// the same time.
func (t overWebSocket) turnAway(a *answer, r *http.Request, why error) {
	code, reason := websocket.StatusTryAgainLater, "Try again later"
	switch {
	case errors.Is(why, errStopping):
		a.refuse(refusedStream(a.Header(), why))
		return
	case errors.Is(why, errClientsFull):
		code, reason = closeTooMany, "Too many streams"
	}
	select {
	case t.turnedAway <- struct{}{}:
		defer func() { <-t.turnedAway }()
	default:
		a.refuse(refusedStream(a.Header(), why))
		return
	}
	if conn, err := accept(a.ResponseWriter, r); err == nil {
		conn.close(code, reason)
	}
}
