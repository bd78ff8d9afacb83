package graph

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
)

// Options of [NewHandler]. The zero value is a good choice for each.
type Options struct {
	// Timeout ends the work on one operation; 10 s where it is zero. It does
	// not end a subscription, only its beginning.
	Timeout time.Duration
	// Log receives the causes of internal errors; slog.Default where it is nil.
	Log *slog.Logger

	// Origins are those whose pages may open streams, besides the server's
	// own: "https://a.example". NewHandler panics at what is no origin.
	Origins []string
	// MaxStreams is how many streams may be open; 10,000 where it is zero. A
	// stream is an answer of server-sent events, a WebSocket, or an operation
	// that a WebSocket carries beside another one.
	MaxStreams int
	// ClientOf tells clients apart, of whom each may have 50 connections with
	// streams; where it is nil, by the address of the other end, or its /64
	// network. Behind a proxy all have the proxy's address.
	ClientOf func(*http.Request) string
	// Recheck is asked, where it is not nil, whether the viewer of a stream's
	// context may still have it: before each operation, before each event, and
	// every 30 s, so it must be cheap. An error ends the stream.
	Recheck func(context.Context) error
	// Authenticate makes the context of a WebSocket's operations, out of the
	// one given, for whom a token belongs to that the first message brings:
	// {"authorization": "Bearer ..."}. An error closes the WebSocket. Where it
	// is nil such tokens are ignored, and as without one, operations have the
	// context of the request.
	Authenticate func(ctx context.Context, bearer string) (context.Context, error)
	// Work is asked, where it is not nil, before an operation of a stream is
	// worked on, and may wait or refuse; done is called when it has been
	// answered, or for a subscription when that has begun. Requests that are
	// not streams are for the caller to bound; see [IsStream].
	Work func(context.Context) (done func(), err error)
}

// A Handler answers requests over plain HTTP, server-sent events and
// WebSockets. It is made by [NewHandler].
type Handler struct {
	transports []graphql.Transport
	exec       graphql.GraphExecutor
	streams    *streams
}

// NewHandler serves a schema over HTTP as the GraphQL-over-HTTP draft says.
// Streams are for requests that accept text/event-stream rather than JSON, for
// all whose path ends in /stream, and for WebSockets on any path.
// It takes away those directives of the schema that must not be used by
// clients, so the schema is changed. It is built on gqlgen's executor alone:
// gqlgen's own server would add three modules for transports, caches and
// extensions that are not used here.
func NewHandler(schema graphql.ExecutableSchema, o Options) *Handler {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = maxStreams
	}
	if o.ClientOf == nil {
		o.ClientOf = remoteClient
	}
	if o.Work == nil {
		o.Work = func(context.Context) (func(), error) { return func() {}, nil }
	}
	origins := http.NewCrossOriginProtection()
	for _, origin := range o.Origins {
		if err := origins.AddTrustedOrigin(origin); err != nil {
			panic(err)
		}
	}
	hideDirectives(schema.Schema())
	errors := presenter{log: o.Log}
	exec := executor.New(schema)
	exec.SetErrorPresenter(errors.present)
	exec.SetRecoverFunc(recovered)
	exec.SetQueryCache(admitted{})
	s := &streaming{streams: newStreams(o.MaxStreams), Options: o, errors: errors, origins: origins}
	return &Handler{
		// Plain HTTP comes last, since it answers whatever comes.
		transports: []graphql.Transport{
			overWebSocket{s, make(chan struct{}, maxTurnedAway)}, serverSent{s}, plainHTTP{timeout: o.Timeout, errors: errors},
		},
		exec:    &gate{Executor: exec, schema: schema.Schema(), documents: newDocuments(cacheSize)},
		streams: s.streams,
	}
}

// IsStream says whether a request asks for a stream, which may take as long
// as the client likes.
func IsStream(r *http.Request) bool {
	return overWebSocket{}.Supports(r) || serverSent{}.Supports(r)
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, t := range h.transports {
		if t.Supports(r) {
			t.Do(w, r, h.exec)
			return
		}
	}
}

// Shutdown ends the streams, which [http.Server.Shutdown] does not: no new one
// begins, subscriptions are completed, other operations on streams are
// finished, and WebSockets are closed with 1001. It waits until all have ended
// or ctx is done, whose error it then returns. Plain requests are answered as
// before. It may be called several times.
func (h *Handler) Shutdown(ctx context.Context) error { return h.streams.shutdown(ctx) }
