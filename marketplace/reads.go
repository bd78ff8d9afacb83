package marketplace

import (
	"context"
	"sync"
)

// reads is what a request has read and what it is about to read. When a page
// of documents is loaded, their references are noted; the first one that is
// asked for loads all that are noted of its kind with one store operation.
// So the number of operations depends on the depth of a request, not on the
// size of its pages, without any waiting for stragglers.
type reads struct {
	mu      sync.Mutex    // guards everything below; never held while the store is asked
	done    map[ID]entity // nil: not there, or not for this viewer
	pending map[Kind]map[ID]struct{}
	loading map[Kind]*sync.Mutex // held while documents of the kind are loaded
	groups  map[ID][]ID          // documents that were loaded together
	shared  map[string]any       // results of once
}

// expect notes what is likely to be read soon.
func (r *reads) expect(ids []ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(ids)
}

func (r *reads) note(ids []ID) {
	for _, id := range ids {
		k := id.Kind()
		if _, ok := r.done[id]; ok || k == "" {
			continue
		}
		if r.pending == nil {
			r.pending = map[Kind]map[ID]struct{}{}
		}
		if r.pending[k] == nil {
			r.pending[k] = map[ID]struct{}{}
		}
		r.pending[k][id] = struct{}{}
	}
}

// read returns a document if it was read already.
func (r *reads) read(id ID) (doc entity, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	doc, ok = r.done[id]
	return doc, ok
}

// lock returns the lock under which documents of a kind are loaded.
func (r *reads) lock(k Kind) *sync.Mutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loading == nil {
		r.loading = map[Kind]*sync.Mutex{}
	}
	if r.loading[k] == nil {
		r.loading[k] = new(sync.Mutex)
	}
	return r.loading[k]
}

// take returns what is pending of id's kind, id first, at most MaxValues.
func (r *reads) take(id ID) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := r.pending[id.Kind()]
	batch := append(make([]any, 0, len(pending)+1), string(id))
	for p := range pending {
		if p != id && len(batch) < MaxValues {
			batch = append(batch, string(p))
		}
	}
	return batch
}

// keep publishes what was loaded together with what it refers to: whoever
// sees one of the documents and asks for its references finds those of all
// of them pending.
func (r *reads) keep(batch []any, docs []entity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = map[ID]entity{}
	}
	for _, b := range batch {
		id := ID(b.(string))
		r.done[id] = nil
		delete(r.pending[id.Kind()], id)
	}
	for _, doc := range docs {
		r.done[doc.meta().ID] = doc
	}
	for _, doc := range docs {
		r.note(doc.refs())
	}
}

// forget makes a document be read anew.
func (r *reads) forget(id ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.done, id)
}

// together notes that documents are of one page.
func (r *reads) together(ids []ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.groups == nil {
		r.groups = map[ID][]ID{}
	}
	for _, id := range ids {
		if _, ok := r.groups[id]; !ok {
			r.groups[id] = ids
		}
	}
}

// siblings are the documents that were loaded together with id, itself included.
func (r *reads) siblings(id ID) []ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.groups[id]; g != nil {
		return g
	}
	return []ID{id}
}

// readsOf are the reads of the context's request; of this call alone where
// there is none.
func readsOf(ctx context.Context) *reads {
	if rq := requestOf(ctx); rq != nil {
		return &rq.reads
	}
	return new(reads)
}
