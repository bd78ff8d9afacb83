package graph

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// A call accompanies one operation through the context.
type call struct {
	mutations, subscriptions bool // what the transport can carry besides queries
	document                 *document
	// errors counts those of the answer. A transport that sends several
	// answers sets it back before each.
	errors atomic.Int32
	// Of subscriptions: their only field, the goroutines of its source, and
	// what ended it, which is set before the source's channel is closed.
	root    graphql.CollectedField
	sources sync.WaitGroup
	failure error
}

type callKey struct{}

// withCall begins an operation. Every transport calls it before the gate.
func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf is never nil. Without a transport's word only queries may pass.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// A gate lets an operation through to gqlgen's executor when it keeps every
// limit. Whatever the transport, all operations pass it. It is not a chain of
// gqlgen's extensions, since those report one error at a time, and since a
// document must be measured between parsing and validating, where gqlgen has
// no hook.
//
// The order matters, because each step is only cheap for what the steps
// before it let through: size, tokens, shape, validation, variables,
// complexity. Persisted queries are registered last.
type gate struct {
	*executor.Executor
	schema    *ast.Schema
	documents *documents
}

// CreateOperationContext implements [graphql.GraphExecutor].
func (g *gate) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	refused := &graphql.OperationContext{OperationName: params.OperationName, RecoverFunc: recovered}
	c := callOf(ctx)
	hash, err := hashOf(params.Extensions)
	if err != nil {
		return refused, gqlerror.List{err}
	}
	doc, errs := g.document(c, params, hash)
	if errs != nil {
		return refused, errs
	}
	op, err := doc.operation(params.OperationName)
	if err != nil {
		return refused, gqlerror.List{err}
	}
	if err := c.carries(op); err != nil {
		return refused, gqlerror.List{err}
	}
	params.Variables, errs = coerceVariables(g.schema, op, params.Variables, doc.conditions)
	if errs != nil {
		return refused, errs
	}
	c.document = doc
	opCtx, errs := g.Executor.CreateOperationContext(ctx, params)
	if errs != nil {
		return opCtx, errs
	}
	opCtx.DisableIntrospection = false // the API is public, so its schema is
	if op.Operation == ast.Subscription {
		// Validation looks neither at @skip nor at aliases, and gqlgen would
		// call it an internal error.
		roots := graphql.CollectFields(opCtx, op.SelectionSet, []string{g.schema.Subscription.Name})
		if len(roots) != 1 {
			return opCtx, gqlerror.List{coded(codeValidation, "a subscription selects one field")}
		}
		c.root = roots[0]
	}
	if err := checkComplexity(op, opCtx.Variables); err != nil {
		return opCtx, gqlerror.List{err}
	}
	if hash != nil {
		g.documents.register(doc, *hash)
	}
	return opCtx, nil
}

// document finds or makes the checked document that the request means.
func (g *gate) document(c *call, params *graphql.RawParams, hash *queryHash) (*document, gqlerror.List) {
	if params.Query == "" && hash != nil {
		doc := g.documents.byHash(*hash)
		if doc == nil {
			return nil, gqlerror.List{coded(codeNotPersisted, "PersistedQueryNotFound")}
		}
		params.Query = doc.text
		return doc, nil
	}
	if hash != nil && *hash != hashText(params.Query) {
		return nil, gqlerror.List{coded(codeBadUserInput, "the hash is not that of the query")}
	}
	if doc := g.documents.byText(params.Query); doc != nil {
		return doc, nil
	}
	doc, err := parseDocument(params.Query)
	if err != nil {
		return nil, gqlerror.List{err}
	}
	// An operation that cannot be carried is told so even if the schema does
	// not know its kind at all.
	if op := doc.Operations.ForName(params.OperationName); op != nil {
		if err := c.carries(op); err != nil {
			return nil, gqlerror.List{err}
		}
	}
	if err := doc.measure(); err != nil {
		return nil, gqlerror.List{err}
	}
	if errs := validate(g.schema, doc.QueryDocument); errs != nil {
		return nil, errs
	}
	g.documents.add(doc)
	return doc, nil
}

func (c *call) carries(op *ast.OperationDefinition) *gqlerror.Error {
	switch {
	case op.Operation == ast.Mutation && !c.mutations:
		return coded(codeMethod, "mutations are not answered by GET: use POST")
	case op.Operation == ast.Subscription && !c.subscriptions:
		return coded(codeBadUserInput, "subscriptions are not answered over plain HTTP: accept text/event-stream, or open a WebSocket")
	}
	return nil
}

// admitted hands the executor the document that the gate has checked, in the
// place of a cache of its own.
type admitted struct{}

// Get implements [graphql.Cache].
func (admitted) Get(ctx context.Context, _ string) (*ast.QueryDocument, bool) {
	if doc := callOf(ctx).document; doc != nil {
		return doc.QueryDocument, true
	}
	return nil, false
}

// Add implements [graphql.Cache]: the gate has added it already.
func (admitted) Add(context.Context, string, *ast.QueryDocument) {}
