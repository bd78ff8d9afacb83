package graph

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
)

// Options of [NewHandler]. The zero value is a good choice for each.
type Options struct {
	// Timeout ends the work on one operation; 10 s where it is zero.
	Timeout time.Duration
	// Log receives the causes of internal errors; slog.Default where it is nil.
	Log *slog.Logger
}

// handler gives each request to the first transport that understands it.
type handler struct {
	transports []graphql.Transport
	exec       graphql.GraphExecutor
}

// NewHandler serves a schema over HTTP as the GraphQL-over-HTTP draft says.
// It takes away those directives of the schema that must not be used by
// clients, so the schema is changed. It is built on gqlgen's executor alone:
// gqlgen's own server would add three modules for transports, caches and
// extensions that are not used here.
func NewHandler(schema graphql.ExecutableSchema, o Options) http.Handler {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	hideDirectives(schema.Schema())
	errors := presenter{log: o.Log}
	exec := executor.New(schema)
	exec.SetErrorPresenter(errors.present)
	exec.SetRecoverFunc(recovered)
	exec.SetQueryCache(admitted{})
	return &handler{
		// Plain HTTP comes last, since it answers whatever comes.
		transports: []graphql.Transport{plainHTTP{timeout: o.Timeout, errors: errors}},
		exec:       &gate{Executor: exec, schema: schema.Schema(), documents: newDocuments(cacheSize)},
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, t := range h.transports {
		if t.Supports(r) {
			t.Do(w, r, h.exec)
			return
		}
	}
}
