package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/rs/cors"

	"citymarket/graph"
	"citymarket/marketplace"
	"citymarket/search"
	"citymarket/web"
)

// Bounds of what a client can hold of the server. Longer addresses and
// headers than maxHeader bytes are answered 431.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
)

// newServer puts the HTTP face together. Streams of the API outlive the
// server's own shutdown, which begins theirs; wait for that as well.
func newServer(market *marketplace.Market, index *search.Index, c config, log *slog.Logger) (*http.Server, *graph.Handler) {
	schema := graph.NewExecutableSchema(graph.Config{Resolvers: &graph.Resolver{Market: market}})
	working := newPlaces(c.concurrency)
	door := newDoor(market, c, log)
	api := graph.NewHandler(schema, graph.Options{Timeout: c.timeout, Log: log, Origins: c.trusted(), Work: working.take,
		ClientOf: door.client, Recheck: market.StillHolds, Authenticate: door.authenticate})

	mux := http.NewServeMux()
	mux.Handle("/graphql", door.open(working.limit(api)))
	mux.Handle("/graphql/stream", door.open(working.limit(api)))
	mux.Handle("/unsubscribe", unsubscribe(market, log))
	mux.Handle("/outcome", outcome(market, log))
	newTransfers(market, door, log).handle(mux)
	newFiles(market, door, log).handle(mux)
	(&calendars{market, door, log}).handle(mux)
	mux.Handle("GET /events/{slug}/print/{what}", door.open(working.limit(printing(market, log))))
	explorer := web.Explorer("/graphiql")
	mux.Handle("/graphiql", explorer)
	mux.Handle("/graphiql/", explorer)
	account := web.Account()
	mux.Handle("/account", account)
	mux.Handle("/account/", account)
	mux.Handle("/auth/", newPlaces(16).limit(door.open(newSignIn(market, door, c, log))))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", ready(market, index))
	mux.Handle("GET /{$}", http.RedirectHandler("/graphiql", http.StatusSeeOther))

	var h http.Handler = mux
	h = http.NewCrossOriginProtection().Handler(h)
	if list := c.trusted(); len(list) > 0 {
		h = crossOrigin(list, mux)
	}
	server := &http.Server{
		Handler:           logged(log, headers(h)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       c.timeout + headerTimeout,
		WriteTimeout:      2*c.timeout + headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(func() { _ = api.Shutdown(context.Background()) })
	return server, api
}

// logged writes a line for each request at level debug: what was asked of
// which path, how it was answered, and how long it took.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		began, answer := time.Now(), &observed{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		log.DebugContext(r.Context(), "request", "method", r.Method, "path", withoutSecret(r.URL.Path), "status", answer.status,
			"bytes", answer.bytes, "took", time.Since(began), "remote", r.RemoteAddr)
	})
}

// observed is an answer whose status and size are noted.
type observed struct {
	http.ResponseWriter
	status, bytes int
}

func (o *observed) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(p []byte) (int, error) {
	n, err := o.ResponseWriter.Write(p)
	o.bytes += n
	return n, err
}

// Unwrap gives http.ResponseController the answer itself.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// crossOrigin lets pages of the named origins use the API from a browser;
// other origins cannot change anything.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	protect := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := protect.AddTrustedOrigin(o); err != nil {
			panic(err) // the configuration was checked
		}
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"Content-Type", "Accept", "Accept-Language", "Authorization", formHeader},
		MaxAge:         600,
	}).Handler(protect.Handler(next))
}

// headers says on every answer what a browser must not do with it. The
// explorer sets a policy of its own.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// places lets so many requests and operations of streams be worked on at once.
// As many again wait for a second at most; the rest are refused at once, so
// that those that were accepted are still answered in time.
type places struct{ working, waiting chan struct{} }

func newPlaces(n int) *places {
	return &places{working: make(chan struct{}, n), waiting: make(chan struct{}, 2*n)}
}

var errBusy = errors.New("the server is busy")

// take waits for a place, until done is called.
func (p *places) take(ctx context.Context) (done func(), err error) {
	select {
	case p.waiting <- struct{}{}:
	default:
		return nil, errBusy
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case p.working <- struct{}{}:
		return func() { <-p.working; <-p.waiting }, nil
	case <-patience.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	<-p.waiting
	return nil, err
}

// limit gives each request a place but streams, which take one themselves
// whenever they have work.
func (p *places) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if graph.IsStream(r) {
			next.ServeHTTP(w, r)
			return
		}
		done, err := p.take(r.Context())
		switch {
		case errors.Is(err, errBusy):
			busy(w)
		case err == nil: // otherwise the client has left
			defer done()
			next.ServeHTTP(w, r)
		}
	})
}

func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the server is busy; try again in a moment")
}

// ready says whether the server can answer. It stays ready while the index
// lags, since a server that answers from a moment ago is better than none.
func ready(market *marketplace.Market, index *search.Index) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, code := index.Status(), http.StatusOK
		answer := map[string]any{"ready": true, "documents": status.Documents, "indexCaughtUp": status.CaughtUp, "indexRebuilding": status.Rebuilding}
		if err := market.Ping(r.Context()); err != nil {
			answer["ready"], code = false, http.StatusServiceUnavailable
		}
		writeJSON(w, code, answer)
	})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
