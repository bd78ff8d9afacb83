package graph

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"citymarket/marketplace"
)

// Times in the life of a stream.
const (
	heartbeat    = 12 * time.Second // below the 15 s after which some proxies cut a silent connection
	recheckEvery = 30 * time.Second // whether the viewer may still listen
	writeTimeout = 10 * time.Second // for a client to take one message
)

// streaming is what the transports that send several answers have in common.
type streaming struct {
	*streams
	Options
	errors  presenter
	origins *http.CrossOriginProtection
}

// An outlet takes the answers of one operation. Its methods are called by one
// goroutine at a time.
type outlet interface {
	// send encodes an answer before it returns, since the next one may be
	// written over it. One without data is the last one. An error ends the
	// operation.
	send(*graphql.Response) error
	// deny ends what the viewer may no longer have.
	deny()
}

// execute runs an operation and hands over its answers. When it returns, all
// that was begun for the operation has ended.
func (s *streaming) execute(ctx context.Context, exec graphql.GraphExecutor, params *graphql.RawParams, mutations bool, out outlet) {
	c := &call{mutations: mutations, subscriptions: true}
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(withCall(marketplace.Afresh(ctx), c)))
	defer c.sources.Wait()
	defer cancel()
	defer func() {
		// Panics of resolvers do not come here: gqlgen catches them.
		if value := recover(); value != nil {
			err := coded(codeInternal, "internal error")
			err.Extensions["id"] = s.errors.internal(ctx, recovered(ctx, value), "")
			_ = out.send(&graphql.Response{Errors: gqlerror.List{err}})
		}
	}()
	if s.recheck(ctx) != nil {
		out.deny()
		return
	}
	next, ctx, response := s.begin(ctx, cancel, exec, params)
	if response != nil {
		_ = out.send(response)
		return
	}
	defer context.AfterFunc(s.stopping, cancel)()
	s.follow(graphql.WithFieldContext(ctx, &graphql.FieldContext{
		// gqlgen leaves the field out of the paths of errors in events.
		Object: c.root.ObjectDefinition.Name, Field: c.root, Args: map[string]any{},
	}), c, exec, next, out)
}

// begin makes the only answer of an operation, or begins a subscription. It
// has a working place meanwhile, and not while the answer is sent, since a
// client may take its time. Nor has a subscription one afterwards: its work on
// an event cannot be told from its waiting for one.
func (s *streaming) begin(ctx context.Context, cancel context.CancelFunc, exec graphql.GraphExecutor, params *graphql.RawParams) (graphql.ResponseHandler, context.Context, *graphql.Response) {
	release, err := s.Work(ctx)
	if err != nil {
		return nil, ctx, refusedWith(codeUnavailable, "the server is busy; try again in a moment")
	}
	defer release()
	op, errs := exec.CreateOperationContext(ctx, params)
	if errs != nil {
		return nil, ctx, exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)
	}
	if op.Operation.Operation == ast.Subscription {
		late := time.AfterFunc(s.Timeout, cancel)
		next, ctx := exec.DispatchOperation(ctx, op)
		if !late.Stop() {
			return nil, ctx, refusedWith(codeUnavailable, tookTooLong)
		}
		return next, ctx, nil
	}
	ctx, stop := context.WithTimeout(ctx, s.Timeout)
	defer stop()
	next, ctx := exec.DispatchOperation(ctx, op)
	response := next(ctx)
	if response == nil { // the deadline passed before the work began
		response = refusedWith(codeUnavailable, tookTooLong)
	}
	return nil, ctx, response
}

// follow sends the events of a subscription until there are no more.
func (s *streaming) follow(ctx context.Context, c *call, exec graphql.GraphExecutor, next graphql.ResponseHandler, out outlet) {
	for {
		c.errors.Store(0)
		response := next(marketplace.Afresh(ctx))
		switch {
		case response == nil && ctx.Err() == nil && c.failure != nil:
			failure, ok := errors.AsType[*gqlerror.Error](c.failure)
			if !ok {
				failure = &gqlerror.Error{Err: c.failure}
			}
			response = exec.DispatchError(ctx, gqlerror.List{failure})
		case response == nil:
			return
		case s.recheck(ctx) != nil:
			out.deny()
			return
		}
		if err := out.send(response); err != nil || response.Data == nil {
			return
		}
	}
}

// recheck asks whether the viewer may still have what was begun for them. A
// panic counts as no.
func (s *streaming) recheck(ctx context.Context) (err error) {
	if s.Recheck == nil {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = recovered(ctx, value)
			s.errors.internal(ctx, err, "")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return s.Recheck(ctx)
}

// mayConnect says whether the page that a request comes from may open streams.
// The rules are those for requests that change something: a WebSocket may
// carry mutations, and no rule of the browser keeps pages of other sites from
// opening one.
func (s *streaming) mayConnect(r *http.Request) bool {
	asked := *r
	asked.Method = http.MethodPost
	return s.origins.Check(&asked) == nil
}

const tookTooLong = "the request took too long"

// refusedWith is an answer that ends an operation.
func refusedWith(code, message string) *graphql.Response {
	return &graphql.Response{Errors: gqlerror.List{coded(code, message)}}
}

// codeOf finds the code for why no stream may begin.
func codeOf(err error) string {
	if errors.Is(err, errClientsFull) || errors.Is(err, errSocketFull) {
		return codeLimit
	}
	return codeUnavailable
}

// stream is the channel of a subscription's events as gqlgen wants it. The
// channel has no buffer, so events are asked for only as fast as the client
// takes them; the sequence must not hold anything that others wait for while
// it yields. It ends when ctx is done, which the sequence has to see while it
// waits. Its error, or its panic, is told to the client as any other error,
// and ends the subscription.
func stream[T any](ctx context.Context, events iter.Seq2[T, error]) <-chan T {
	c, out := callOf(ctx), make(chan T)
	c.sources.Go(func() {
		defer close(out)
		defer func() {
			if value := recover(); value != nil {
				c.failure = recovered(ctx, value)
			}
		}()
		for event, err := range events {
			if err != nil {
				c.failure = err
				return
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return
			}
		}
	})
	return out
}
