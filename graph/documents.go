package graph

import (
	"container/list"
	"errors"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// A document is a parsed query. Once it was validated, it is only read, so
// requests share it.
type document struct {
	*ast.QueryDocument
	text       string
	hash       *queryHash      // set once a client has registered it
	conditions map[string]bool // variables that directives depend on
	nodes      int             // of the syntax tree, about
}

func parseDocument(text string) (*document, *gqlerror.Error) {
	if len(text) > maxDocument {
		return nil, exceeds("bytes", maxDocument)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxTokens)
	if err != nil {
		found, ok := errors.AsType[*gqlerror.Error](err)
		if !ok {
			return nil, coded(codeParse, "the document cannot be parsed")
		}
		if found.Locations == nil { // all others have a place
			return nil, exceeds("tokens", maxTokens)
		}
		found.Extensions = map[string]any{"code": codeParse}
		return nil, found
	}
	if len(doc.Operations) == 0 {
		return nil, coded(codeValidation, "the document has no operation")
	}
	return &document{QueryDocument: doc, text: text}, nil
}

// operation finds the operation to be run.
func (d *document) operation(name string) (*ast.OperationDefinition, *gqlerror.Error) {
	if op := d.Operations.ForName(name); op != nil {
		return op, nil
	}
	if name == "" {
		return nil, coded(codeValidation, "the document has several operations: say which one by operationName")
	}
	return nil, coded(codeValidation, "the document has no operation of this name")
}

// cacheSize bounds the documents that are kept, in bytes as size reckons them.
const cacheSize = 32 << 20

// nodeSize is what a node of the syntax tree takes at most, with its position
// and its share of slices. Measured on the heap after validation: 225 bytes a
// field, 350 with a comment, 402 for __typename, 215 on average in the
// introspection query.
const nodeSize = 450

// size is what keeping the document takes, at most.
func (d *document) size() int { return 2048 + len(d.text) + d.nodes*nodeSize }

// documents keeps checked documents, so that a query that comes again costs
// neither parsing nor validation. The ones that were not used for longest go
// when the size is exceeded. A document can be found by its hash once a
// client has registered it, so persisted queries need no memory of their own.
type documents struct {
	mu     sync.Mutex
	room   int // bytes left
	texts  map[string]*list.Element
	hashes map[queryHash]*list.Element
	order  *list.List // of *document, the last used in front
}

func newDocuments(size int) *documents {
	return &documents{room: size, texts: map[string]*list.Element{}, hashes: map[queryHash]*list.Element{}, order: list.New()}
}

func (d *documents) byText(text string) *document {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used(d.texts[text])
}

func (d *documents) byHash(hash queryHash) *document {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used(d.hashes[hash])
}

func (d *documents) used(e *list.Element) *document {
	if e == nil {
		return nil
	}
	d.order.MoveToFront(e)
	return e.Value.(*document)
}

func (d *documents) add(doc *document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.texts[doc.text] != nil {
		return // another request was faster
	}
	d.texts[doc.text] = d.order.PushFront(doc)
	d.room -= doc.size()
	for d.room < 0 {
		oldest := d.order.Remove(d.order.Back()).(*document)
		delete(d.texts, oldest.text)
		if oldest.hash != nil {
			delete(d.hashes, *oldest.hash)
		}
		d.room += oldest.size()
	}
}

// register lets a kept document be found by its hash.
func (d *documents) register(doc *document, hash queryHash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.texts[doc.text]
	if e == nil {
		return // gone already: the client will send it again
	}
	e.Value.(*document).hash = &hash
	d.hashes[hash] = e
}
