package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Market is the marketplace: its methods are the commands and queries that
// people and programs use. It is safe for concurrent use.
//
// This file is the only one that touches the store. Everything read through
// it is compared with the viewer's groups, everything written needs a
// permission; a test holds both.
type Market struct {
	store  Store
	finder Finder
	now    func() time.Time
	wait   time.Duration
}

// SettleTime is how long a command waits for the search index to have seen
// its change. When it ends earlier, the command has succeeded all the same,
// and searches see the change as soon as the index has caught up.
const SettleTime = 2 * time.Second

// New makes a marketplace over a store and the index that follows it. The
// caller closes both.
func New(store Store, finder Finder) *Market {
	return &Market{store: store, finder: finder, now: time.Now, wait: SettleTime}
}

type bulkKey struct{}

// InBulk returns a context whose commands do not wait until searches see
// their changes. For loading many things.
func InBulk(ctx context.Context) context.Context { return context.WithValue(ctx, bulkKey{}, true) }

// Whole seconds of UTC: what the store keeps.
func (m *Market) clock() time.Time { return m.now().UTC().Truncate(time.Second) }

// visible says whether the context's viewer may read a document.
func visible(ctx context.Context, doc entity) bool {
	groups := groupsOf(ctx)
	for _, g := range doc.audience() {
		if slices.Contains(groups, g) {
			return true
		}
	}
	return false
}

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

// load returns the visible documents of the ids, in their order, nil where
// there is none: one store operation for each kind among them at the most.
func (m *Market) load(ctx context.Context, ids []ID) ([]entity, error) {
	r := readsOf(ctx)
	r.expect(ids)
	r.together(ids)
	out := make([]entity, len(ids))
	for i, id := range ids {
		doc, err := m.one(ctx, r, id)
		if err != nil {
			return nil, err
		}
		out[i] = doc
	}
	return out, nil
}

// one returns a document, or nil; it loads what is pending of the same kind with it.
func (m *Market) one(ctx context.Context, r *reads, id ID) (entity, error) {
	kind := id.Kind()
	if kind == "" {
		return nil, nil
	}
	if doc, ok := r.read(id); ok {
		return doc, nil
	}
	loading := r.lock(kind)
	loading.Lock()
	defer loading.Unlock()
	if doc, ok := r.read(id); ok {
		return doc, nil // somebody else loaded it while this one waited
	}
	batch := r.take(id)
	var docs []entity
	if err := m.fetch(ctx, kind, byIDs(batch), func(doc entity) { docs = append(docs, doc) }); err != nil {
		return nil, err
	}
	r.keep(batch, docs)
	doc, _ := r.read(id)
	return doc, nil
}

// byIDs asks for the documents of at most MaxValues ids.
func byIDs(ids []any) Query {
	return Query{Where: []Condition{{Field: "id", Op: In, Values: ids}}, Limit: len(ids)}
}

// fetch reads the documents of a query and hands over those that the viewer may see.
func (m *Market) fetch(ctx context.Context, kind Kind, q Query, each func(entity)) error {
	docs, err := m.store.Find(ctx, kind, q)
	if err != nil {
		return err
	}
	for _, d := range docs {
		doc, err := decode(kind, d)
		if err != nil {
			return err
		}
		if visible(ctx, doc) {
			each(doc)
		}
	}
	return nil
}

// get returns the document that a reference names, from what the request has
// read already where it has. What the viewer may not see is not found.
func get[P entity](ctx context.Context, m *Market, id ID) (P, error) {
	var none P
	doc, err := m.one(ctx, readsOf(ctx), id)
	if err != nil {
		return none, err
	}
	p, ok := doc.(P)
	if !ok {
		return none, ErrNotFound
	}
	return p, nil
}

// bySlugOf returns the document of a kind that has this slug.
func bySlugOf[P entity](ctx context.Context, m *Market, kind Kind, slug string) (P, error) {
	var none P
	docs, err := find[P](ctx, m, kind, Query{Where: []Condition{{Field: "slug", Op: Eq, Value: slug}}, Limit: 1})
	if err != nil {
		return none, err
	}
	if len(docs) == 0 {
		return none, ErrNotFound
	}
	return docs[0], nil
}

// find returns the documents of a query that the viewer may see. Those they
// may not see are left out after the query, so a page can be shorter than its
// limit: it is for small sets; lists that people page through come from the
// Finder.
func find[P entity](ctx context.Context, m *Market, kind Kind, q Query) ([]P, error) {
	out := []P{}
	var ids, refs []ID
	err := m.fetch(ctx, kind, q, func(doc entity) {
		out = append(out, doc.(P))
		ids = append(ids, doc.meta().ID)
		refs = append(refs, doc.refs()...)
	})
	if err != nil {
		return nil, err
	}
	r := readsOf(ctx)
	r.expect(refs)
	r.together(ids)
	return out, nil
}

// create writes a new document. It sets the id and the day of creation, where
// there are none yet.
func create(ctx context.Context, m *Market, may Permission, doc entity) error {
	meta := doc.meta()
	if meta.ID == "" {
		meta.ID = newID(doc.kind(), m.now())
	} else if meta.ID.Kind() != doc.kind() {
		return invalid("id", "INVALID", fmt.Sprintf("must begin with %s_", doc.kind()))
	}
	if err := may.check(ctx, doc); err != nil {
		return err
	}
	if meta.CreatedAt.IsZero() {
		meta.CreatedAt = m.clock()
	}
	if err := m.put(ctx, doc); err != nil {
		if errors.Is(err, ErrStale) {
			return invalid("id", "TAKEN", "something with this id exists already")
		}
		return err
	}
	return nil
}

// maxRetries bounds how often an update is applied anew to a document that
// others keep changing. With n writers at once the last one needs n tries.
const maxRetries = 200

// update changes a document: change is applied to the current value, again
// when somebody else was faster, so it must do nothing but change its
// argument. A version other than 0 must be the current one, else ErrStale.
// The permission must hold before and after, so that nobody moves a thing to
// a member they do not act for.
func update[P entity](ctx context.Context, m *Market, may Permission, id ID, version int, change func(P) error) (P, error) {
	var none P
	for range maxRetries {
		kind := id.Kind()
		if kind == "" {
			return none, ErrNotFound
		}
		d, err := m.store.Get(ctx, kind, string(id))
		if err != nil {
			return none, err
		}
		doc, err := decode(kind, d)
		if err != nil {
			return none, err
		}
		p, ok := doc.(P)
		if !ok || !visible(ctx, doc) {
			return none, ErrNotFound
		}
		if err := may.check(ctx, doc); err != nil {
			return none, err
		}
		if version != 0 && version != p.meta().Version() {
			return none, ErrStale
		}
		if err := change(p); err != nil {
			return none, err
		}
		if err := may.check(ctx, doc); err != nil {
			return none, err
		}
		switch err := m.put(ctx, doc); {
		case err == nil:
			return p, nil
		case errors.Is(err, ErrStale):
			continue
		default:
			return none, err
		}
	}
	return none, fmt.Errorf("marketplace: %s is being changed all the time: %w", id, ErrUnavailable)
}

// put validates and writes a document whose change was permitted.
func (m *Market) put(ctx context.Context, doc entity) error {
	meta := doc.meta()
	meta.UpdatedAt = m.clock()
	if err := check(doc); err != nil {
		return err
	}
	rev, err := m.store.Put(ctx, Write{
		Kind: doc.kind(), ID: string(meta.ID), Rev: meta.rev, Value: doc,
		Claims: append([]string{"slug:" + meta.Slug}, doc.claims()...),
	})
	if taken := (*TakenError)(nil); errors.As(err, &taken) {
		return invalid("slug", "TAKEN", fmt.Sprintf("%q is taken already", taken.Claim))
	}
	if err != nil {
		return err
	}
	meta.rev = rev
	if rq := requestOf(ctx); rq != nil {
		rq.reads.forget(meta.ID)
	}
	if ctx.Value(bulkKey{}) == nil {
		wait, cancel := context.WithTimeout(ctx, m.wait)
		defer cancel()
		// The write is done; a search that lags is no reason to say otherwise.
		_ = m.finder.Wait(wait, doc.kind(), string(meta.ID), rev)
	}
	return nil
}

// several returns the visible documents of the ids in their order, without
// those that are gone.
func several[P entity](ctx context.Context, m *Market, ids []ID) ([]P, error) {
	docs, err := m.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]P, 0, len(docs))
	for _, d := range docs {
		if p, ok := d.(P); ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// once runs a read at most once in a request and shares its result.
func once[T any](ctx context.Context, name string, read func() (T, error)) (T, error) {
	rq := requestOf(ctx)
	if rq == nil {
		return read()
	}
	rq.reads.mu.Lock()
	if rq.reads.shared == nil {
		rq.reads.shared = map[string]any{}
	}
	f, ok := rq.reads.shared[name].(func() (T, error))
	if !ok {
		f = sync.OnceValues(read)
		rq.reads.shared[name] = f
	}
	rq.reads.mu.Unlock()
	return f()
}

// mustExist reports a reference, other than an empty one, to nothing that the
// viewer can see.
func (m *Market) mustExist(ctx context.Context, path string, id ID) error {
	var p problems
	if err := m.checkRefs(ctx, &p, []ID{id}, func(int) string { return path }); err != nil {
		return err
	}
	return p.err()
}

// checkRefs reports the ids, other than empty ones, that name nothing the
// viewer can see.
func (m *Market) checkRefs(ctx context.Context, p *problems, ids []ID, path func(i int) string) error {
	if len(ids) > MaxValues {
		return nil // validate says so
	}
	docs, err := m.load(ctx, ids)
	if err != nil {
		return err
	}
	for i, d := range docs {
		if d == nil && ids[i] != "" {
			p.add(path(i), "NOT_FOUND", "there is no such thing")
		}
	}
	return nil
}

// Ping says whether the store answers.
func (m *Market) Ping(ctx context.Context) error {
	_, err := m.store.Find(ctx, KindTopic, Query{Limit: 1})
	return err
}

// maxRelated bounds the titles that Entries remembers: some 200 bytes each.
const maxRelated = 50_000

// Entries returns the function by which an index turns changes into entries;
// it is false for what is deleted or not to be found. The titles of what a
// document refers to (its company, its topics in all their languages) are
// found with it, so a change costs one read of the store where it refers to
// something that was not seen lately. When a title changes, documents that
// refer to it are found by the new one once they change themselves. The
// function is for one goroutine.
func Entries(store Store) func(context.Context, Change) (Entry, bool, error) {
	titles := map[ID]Text{}
	return func(ctx context.Context, c Change) (Entry, bool, error) {
		delete(titles, ID(c.ID))
		if c.Deleted {
			return Entry{}, false, nil
		}
		doc, err := decode(c.Kind, c.Document)
		if err != nil {
			return Entry{}, false, err
		}
		e, found := entryOf(doc)
		if !found {
			return Entry{}, false, nil
		}
		refs := doc.refs()
		if err := readTitles(ctx, store, titles, refs); err != nil {
			return Entry{}, false, err
		}
		for _, id := range refs {
			e.About = append(e.About, titles[id])
		}
		return e, true, nil
	}
}

// readTitles reads the titles that are missing. What not everybody may see
// has none, since it would be found by those who may not see it.
func readTitles(ctx context.Context, store Store, titles map[ID]Text, ids []ID) error {
	missing := map[Kind][]any{}
	for _, id := range ids {
		if _, ok := titles[id]; !ok && id.Kind() != "" {
			missing[id.Kind()] = append(missing[id.Kind()], string(id))
		}
	}
	for kind, batch := range missing {
		if len(titles)+len(batch) > maxRelated {
			clear(titles)
			return readTitles(ctx, store, titles, ids)
		}
		docs, err := store.Find(ctx, kind, byIDs(batch))
		if err != nil {
			return err
		}
		for _, id := range batch {
			titles[ID(id.(string))] = nil
		}
		for _, d := range docs {
			doc, err := decode(kind, d)
			if err != nil {
				return err
			}
			if slices.Contains(doc.audience(), Everyone) {
				titles[ID(d.ID)] = doc.texts()[0].Text
			}
		}
	}
	return nil
}
