package graph

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

const allowedStreamMethods = "GET, POST, OPTIONS"

// serverSent answers one operation a request with a stream of server-sent
// events, as the graphql-sse protocol says of its distinct connections mode:
//
//	event: next
//	data: {"data":{"meetingChanged":{"id":"mtg_1"}}}
//
//	event: complete
//	data:
//
// It can carry subscriptions, queries, and by POST mutations.
type serverSent struct{ *streaming }

// Supports implements [graphql.Transport].
func (serverSent) Supports(r *http.Request) bool {
	return isStreamPath(r) || prefersEvents(r.Header["Accept"])
}

func isStreamPath(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/stream") }

// Do implements [graphql.Transport]. Requests that are wrong as HTTP are
// answered so; what is wrong with an operation is told by an event, since
// browsers let a page see nothing else.
func (t serverSent) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	a := &answer{ResponseWriter: w, mediaType: typeJSON}
	h := w.Header()
	h.Add("Vary", "Accept")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodPost:
	case http.MethodOptions:
		h.Set("Allow", allowedStreamMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", allowedStreamMethods)
		a.refuse(&refusal{http.StatusMethodNotAllowed, codeMethod, "use GET or POST"})
		return
	}
	if !acceptsEvents(r.Header["Accept"]) {
		a.refuse(&refusal{http.StatusNotAcceptable, codeNotAcceptable, "answers are " + typeEvents})
		return
	}
	if !t.mayConnect(r) {
		a.refuse(refusedOrigin)
		return
	}
	release, err := t.connect(t.ClientOf(r))
	if err != nil {
		a.refuse(refusedStream(h, err))
		return
	}
	defer release()
	params, refused := readParams(w, r)
	if refused != nil {
		a.refuse(refused)
		return
	}
	params.Headers = r.Header
	h.Set("Content-Type", typeEvents+"; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	t.serve(&eventWriter{w: w, control: http.NewResponseController(w)}, r, exec, params)
}

var refusedOrigin = &refusal{http.StatusForbidden, codeForbidden, "pages of this origin may not open streams"}

// refusedStream tells by HTTP why no stream may begin.
func refusedStream(h http.Header, err error) *refusal {
	if codeOf(err) == codeLimit {
		return &refusal{http.StatusTooManyRequests, codeLimit, err.Error()}
	}
	h.Set("Retry-After", "1")
	return &refusal{http.StatusServiceUnavailable, codeUnavailable, err.Error()}
}

// serve writes events while another goroutine executes the operation. Between
// the two there is no queue: an operation makes its next answer at most while
// the client takes the last one, and ends when that takes too long.
func (t serverSent) serve(w *eventWriter, r *http.Request, exec graphql.GraphExecutor, params *graphql.RawParams) {
	ctx, cancel := context.WithCancel(r.Context())
	out := &eventOutlet{ctx: ctx, events: make(chan []byte)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out.events)
		t.execute(ctx, exec, params, r.Method == http.MethodPost, out)
	}()
	defer func() {
		cancel()
		<-done
	}()

	if !w.write(emptyComment) { // tells browsers that the stream is open
		return
	}
	beat, recheck := time.NewTicker(heartbeat), time.NewTicker(recheckEvery)
	defer beat.Stop()
	defer recheck.Stop()
	for ok := true; ok; {
		select {
		case event, more := <-out.events:
			if !more {
				w.write(completeEvent)
				return
			}
			ok = w.write(event)
		case <-beat.C:
			ok = w.write(emptyComment)
		case <-recheck.C:
			if t.recheck(ctx) != nil && ctx.Err() == nil {
				_ = w.write(appendEvent(nil, deniedResponse())) && w.write(completeEvent)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func deniedResponse() *graphql.Response {
	return refusedWith(codeUnauthenticated, "sign in again")
}

var (
	emptyComment = []byte(":\n\n")
	// Browsers pass over an event without data.
	completeEvent = []byte("event: complete\ndata:\n\n")
)

// appendEvent encodes an answer as an event. A line ends the data, and JSON
// has line ends only where a space will do.
func appendEvent(b []byte, response *graphql.Response) []byte {
	b = append(b, "event: next\ndata: "...)
	begin := len(b)
	for _, part := range partsOf(response) {
		b = append(b, part...)
	}
	for i := begin; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return append(b, "\n\n"...)
}

// eventOutlet hands encoded events to the goroutine that writes them.
type eventOutlet struct {
	ctx    context.Context
	events chan []byte
}

func (o *eventOutlet) send(response *graphql.Response) error {
	select {
	case o.events <- appendEvent(nil, response):
		return nil
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
}

func (o *eventOutlet) deny() { _ = o.send(deniedResponse()) }

// An eventWriter writes to a client that has a time to take each piece.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// write says whether the client may have got it.
func (w *eventWriter) write(event []byte) bool {
	// A connection that is not one of a socket, as in tests, has no deadlines.
	_ = w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := w.w.Write(event); err != nil {
		return false
	}
	return w.control.Flush() == nil
}
