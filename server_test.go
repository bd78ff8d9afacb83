package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// Streams pass through all that the server wraps around the API, and are told
// when it stops.
func TestStreams(t *testing.T) {
	t.Parallel()
	url, _, stop := start(t, nil, "-data", t.TempDir(), "-sample=false", "-log-level", "DEBUG", "-origins", "https://a.example")
	resp, err := http.Get(url + "/stream?query=%7B__typename%7D")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	const events = ":\n\nevent: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata:\n\n"
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != events {
		t.Errorf("%q %v", body, err)
	}

	dial := func(origin string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {origin}}})
	}
	if _, resp, err := dial("https://b.example"); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Error("a page of another site may open a WebSocket")
	}
	socket, _, err := dial("https://a.example")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	for said, want := range map[string]string{`{"type":"ping"}`: `{"type":"pong"}`, `{"type":"connection_init"}`: `{"type":"connection_ack"}`} {
		if err := socket.Write(t.Context(), websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if _, heard, err := socket.Read(t.Context()); err != nil || string(heard) != want {
			t.Errorf("%s %v", heard, err)
		}
	}
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	if _, _, err = socket.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A stream takes a place only for its work, other requests for all of theirs.
func TestPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		places := newPlaces(1)
		done, err := places.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		served := 0
		h := places.limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
		ask := func(ctx context.Context, path string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader("{}")))
			return w.Code
		}
		if ask(t.Context(), "/graphql/stream"); served != 1 {
			t.Error("a stream needs a place")
		}
		if code := ask(t.Context(), "/graphql"); code != http.StatusServiceUnavailable || served != 1 {
			t.Errorf("%d without a place", code)
		}
		left, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := places.take(left); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		done()
		if code := ask(t.Context(), "/graphql"); code != http.StatusOK || served != 2 {
			t.Errorf("%d when the place is free again", code)
		}
	})
}
