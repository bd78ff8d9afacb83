package graph

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// pulse is a schema with subscriptions, executed as gqlgen's generated code
// does it.
type pulse struct {
	schema *ast.Schema
	live   atomic.Int32 // sources that have begun and not ended

	mu      sync.Mutex
	hearers map[chan string]struct{}
}

const pulseSDL = `
	type Query {
		hello(name: String! = "world"): String!
		"Ends with the operation's context."
		hang: String
	}
	type Mutation { shout(text: String!): String! }
	type Subscription {
		counter(to: Int!, everyMs: Int! = 0): Tick
		never: Tick
		heard: Tick
		"Fails before anything comes."
		failing: Tick
		"Fails after two events."
		breaking: Tick
		"Panics after an event."
		panicking: Tick
		"Panics before anything comes."
		exploding: Tick
		"Does not begin."
		hanging: Tick
		"Has no end."
		endless: Tick
		"Takes five seconds to end."
		lingering: Tick
	}
	type Tick {
		n: Int!
		text: String
		"Fails always."
		broken: String
		many(first: Int! = 10): [Tick!]!
	}`

func newPulse() *pulse {
	return &pulse{
		schema:  gqlparser.MustLoadSchema(&ast.Source{Name: "pulse", Input: pulseSDL}),
		hearers: map[chan string]struct{}{},
	}
}

func (p *pulse) Schema() *ast.Schema { return p.schema }

func (*pulse) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (p *pulse) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation != ast.Subscription {
		first := true
		return func(ctx context.Context) *graphql.Response {
			if !first {
				return nil
			}
			first = false
			return &graphql.Response{Data: p.once(ctx, op)}
		}
	}
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Subscription"})
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
	next := graphql.ResolveFieldStream(ctx, op, fields[0],
		func(ctx context.Context, f graphql.CollectedField) (*graphql.FieldContext, error) {
			return &graphql.FieldContext{Object: "Subscription", Field: f, Args: f.ArgumentMap(op.Variables)}, nil
		},
		func(ctx context.Context) (any, error) { return p.subscribe(ctx, fields[0], op.Variables) },
		nil, marshalTick, true, false)
	var buf bytes.Buffer
	return func(ctx context.Context) *graphql.Response {
		buf.Reset()
		data := next(ctx)
		if data == nil {
			return nil
		}
		data.MarshalGQL(&buf)
		return &graphql.Response{Data: buf.Bytes()}
	}
}

// once executes a query or a mutation.
func (p *pulse) once(ctx context.Context, op *graphql.OperationContext) []byte {
	out := graphql.NewFieldSet(graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Query", "Mutation"}))
	for i, f := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Query", "Mutation"}) {
		args := f.ArgumentMap(op.Variables)
		switch f.Name {
		case "__typename":
			out.Values[i] = graphql.MarshalString(f.ObjectDefinition.Name)
		case "hello":
			name, _ := args["name"].(string)
			out.Values[i] = graphql.MarshalString(name)
		case "hang":
			<-ctx.Done()
			graphql.AddError(ctx, ctx.Err())
			out.Values[i] = graphql.Null
		case "shout":
			text, _ := args["text"].(string)
			p.shout(text)
			out.Values[i] = graphql.MarshalString(text)
		}
	}
	var buf bytes.Buffer
	out.MarshalGQL(&buf)
	return buf.Bytes()
}

func (p *pulse) shout(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.hearers {
		select {
		case c <- text:
		default:
		}
	}
}

type tick struct {
	n    int
	text string
}

func (p *pulse) subscribe(ctx context.Context, f graphql.CollectedField, variables map[string]any) (<-chan tick, error) {
	args := f.ArgumentMap(variables)
	switch f.Name {
	case "failing":
		return nil, errors.New(secret)
	case "exploding":
		panic(secret)
	case "hanging":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return stream(ctx, p.source(ctx, f.Name, args)), nil
}

func (p *pulse) source(ctx context.Context, name string, args map[string]any) iter.Seq2[tick, error] {
	return func(yield func(tick, error) bool) {
		p.live.Add(1)
		defer p.live.Add(-1)
		switch name {
		case "counter":
			to, _ := graphql.UnmarshalInt(args["to"])
			every, _ := graphql.UnmarshalInt(args["everyMs"])
			for n := 1; n <= to && yield(tick{n: n}, nil); n++ {
				select {
				case <-time.After(time.Duration(every) * time.Millisecond):
				case <-ctx.Done():
					return
				}
			}
		case "never":
			<-ctx.Done()
		case "lingering":
			<-ctx.Done()
			time.Sleep(5 * time.Second)
		case "heard":
			c := make(chan string, 4)
			p.mu.Lock()
			p.hearers[c] = struct{}{}
			p.mu.Unlock()
			defer func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				delete(p.hearers, c)
			}()
			for n := 1; ; n++ {
				select {
				case text := <-c:
					if !yield(tick{n, text}, nil) {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		case "breaking":
			_ = yield(tick{n: 1}, nil) && yield(tick{n: 2}, nil) && yield(tick{}, errors.New(secret))
		case "panicking":
			yield(tick{n: 1}, nil)
			panic(secret)
		case "endless":
			for n := 1; yield(tick{n, strings.Repeat("x", 100_000)}, nil); n++ {
			}
		}
	}
}

func marshalTick(ctx context.Context, selections ast.SelectionSet, t tick) graphql.Marshaler {
	op := graphql.GetOperationContext(ctx)
	fields := graphql.CollectFields(op, selections, []string{"Tick"})
	out := graphql.NewFieldSet(fields)
	for i, f := range fields {
		switch f.Name {
		case "n":
			out.Values[i] = graphql.MarshalInt(t.n)
		case "text":
			// Some scalars write line ends around their values.
			out.Values[i] = graphql.WriterFunc(func(w io.Writer) {
				io.WriteString(w, "\r\n")
				graphql.MarshalString(t.text).MarshalGQL(w)
			})
		case "broken":
			ctx := graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Tick", Field: f})
			graphql.AddError(ctx, errors.New(secret))
			out.Values[i] = graphql.Null
		case "many":
			list := graphql.Array{}
			for range 10 {
				list = append(list, marshalTick(ctx, f.Selections, t))
			}
			out.Values[i] = list
		}
	}
	return out
}
