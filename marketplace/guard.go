package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Market is the marketplace: its methods are the commands and queries that
// people and programs use. It is safe for concurrent use.
//
// This file is the only one that touches the store. Everything read through
// it is compared with the viewer's groups, everything written needs a
// permission; a test holds both.
type Market struct {
	store    Store
	finder   Finder
	options  Options
	vault    *vault
	throttle *throttle
	post     chan struct{} // tells the worker's chore that there is something to send
	mail     chan struct{} // tells the worker's chore that a letter is due
	hub      hub
	runs     runNews
	standing standing
	uploads  uploadPlaces
	conducts conducts
	// clocksDue is when it is next looked whether clocks have moved, in Unix seconds.
	clocksDue atomic.Int64
	now       func() time.Time
	wait      time.Duration
}

// Options of a marketplace. Without any, it can be read, filled and searched.
type Options struct {
	// Key is a secret of KeySize bytes that is kept outside of the store. It
	// seals what a reader of the store must not be able to use. Without one,
	// second factors and webhooks cannot be set up.
	Key []byte
	// URL is the address under which people reach the server, without a slash
	// at its end; links in letters begin with it.
	URL string
	// Alone says that no other process uses the store, so that the worker
	// need not ask whether another one works.
	Alone bool
	// Poster sends webhooks. Without one there are none.
	Poster Poster
	// Loopback allows webhooks on this machine, for development.
	Loopback bool
	// Mailer sends letters. Without one they wait.
	Mailer Mailer
	// Calendar writes calendars. Without it there are none.
	Calendar Calendar
	// Organizer is who calendar programs take for the one who invites to
	// meetings: the sender of letters.
	Organizer mail.Address
	// Now is the clock; nil: that of the machine.
	Now func() time.Time
	// Demo lets the users of the sample data sign in.
	Demo bool
	// Providers are those by whose accounts users can sign in.
	Providers []SignInProvider
	// Files keeps uploads. Without it there are none.
	Files Files
	// Temporary is the directory for what is being uploaded, at most
	// MaxUploads times twice MaxDocumentFile; empty: that of the system.
	Temporary string
}

// SettleTime is how long a command waits for the search index to have seen
// its change. When it ends earlier, the command has succeeded all the same,
// and searches see the change as soon as the index has caught up.
const SettleTime = 2 * time.Second

// New makes a marketplace over a store and the index that follows it. The
// caller closes both. It panics where the key has another length than KeySize.
func New(store Store, finder Finder, o Options) *Market {
	v, err := newVault(o.Key)
	if err != nil {
		panic(err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Market{store: store, finder: finder, options: o, vault: v, throttle: newThrottle(maxThrottled),
		post: make(chan struct{}, 1), mail: make(chan struct{}, 1), hub: hub{recent: recent{max: maxRecent}}, runs: runNews{wake: make(chan struct{}, 1)}, now: o.Now, wait: SettleTime}
}

type bulkKey struct{}

// InBulk returns a context whose commands do not wait until searches see
// their changes. For loading many things.
func InBulk(ctx context.Context) context.Context { return context.WithValue(ctx, bulkKey{}, true) }

// Whole seconds of UTC: what the store keeps.
func (m *Market) clock() time.Time { return m.now().UTC().Truncate(time.Second) }

// visible says whether the context's viewer may read a document.
func visible(ctx context.Context, doc entity) bool {
	if doc.meta().IsDeleted {
		return false
	}
	if rq := requestOf(ctx); rq != nil && rq.sight {
		return true
	}
	groups := groupsOf(ctx)
	for _, g := range doc.audience() {
		if slices.Contains(groups, g) {
			return true
		}
	}
	return false
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
	return m.fetchAll(ctx, kind, q, func(doc entity, _ string, seen bool) {
		if seen {
			each(doc)
		}
	})
}

// fetchAll reads the documents of a query and hands over each with its
// position and whether the viewer may see it.
func (m *Market) fetchAll(ctx context.Context, kind Kind, q Query, each func(doc entity, position string, seen bool)) error {
	docs, err := m.store.Find(ctx, kind, q)
	if err != nil {
		return err
	}
	list := make([]entity, len(docs))
	for i, d := range docs {
		if list[i], err = decode(kind, d); err != nil {
			return err
		}
	}
	sees, err := m.sees(ctx, list)
	if err != nil {
		return err
	}
	for i, doc := range list {
		each(doc, docs[i].Position, sees(doc))
	}
	return nil
}

// count is how many documents a query finds, its limit at the most, whoever
// may see them: for lists of which the viewer may see everything.
func (m *Market) count(ctx context.Context, kind Kind, q Query) (int, error) {
	docs, err := m.store.Find(ctx, kind, q)
	return len(docs), err
}

// A dependent is a document that belongs to another one: whoever cannot see
// that one cannot see it either.
type dependent interface {
	entity
	subject() ID
	// seenWith says whether those who see the subject see this, too, also
	// where they are not of its audience.
	seenWith(subject entity) bool
}

// sees returns which of some documents of one kind the viewer may read. For
// dependents it reads their subjects, as far as the request has not yet.
func (m *Market) sees(ctx context.Context, docs []entity) (func(entity) bool, error) {
	plain := func(doc entity) bool { return visible(ctx, doc) }
	if rq := requestOf(ctx); len(docs) == 0 || rq != nil && rq.sight {
		return plain, nil
	}
	if _, ok := docs[0].(dependent); !ok {
		return plain, nil
	}
	r := readsOf(ctx)
	ids := make([]ID, len(docs))
	for i, doc := range docs {
		ids[i] = doc.(dependent).subject()
	}
	r.expect(ids)
	subjects := make(map[ID]entity, len(ids))
	for _, id := range ids {
		subject, err := m.one(ctx, r, id)
		if err != nil {
			return nil, err
		}
		subjects[id] = subject
	}
	return func(doc entity) bool {
		d := doc.(dependent)
		subject := subjects[d.subject()]
		return subject != nil && !doc.meta().IsDeleted && (d.seenWith(subject) || plain(doc))
	}, nil
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
	if err := m.limitCommands(ctx, doc.kind()); err != nil {
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

// limitCommands takes one command from what the user has left; what the
// program keeps for itself is none.
func (m *Market) limitCommands(ctx context.Context, kind Kind) error {
	user := actorOf(ctx).User
	if user == "" || kinds[kind].trace {
		return nil
	}
	return m.limit(ctx, limitCommand, string(user))
}

// maxRetries bounds how often an update is applied anew to a document that
// others keep changing. With n writers at once the last one needs n tries.
const maxRetries = 200

// errUnchanged is what the function of an update returns that has nothing to
// change, so that nothing is written.
var errUnchanged = errors.New("marketplace: nothing to change")

// update changes a document: change is applied to the current value, again
// when somebody else was faster, so it must do nothing but change its
// argument. A version other than 0 must be the current one, else ErrStale.
// The permission must hold before and after, so that nobody moves a thing to
// a member they do not act for.
func update[P entity](ctx context.Context, m *Market, may Permission, id ID, version int, change func(P) error) (P, error) {
	var none P
	kind := id.Kind()
	if kind == "" {
		return none, ErrNotFound
	}
	if err := m.limitCommands(ctx, kind); err != nil {
		return none, err
	}
	for range maxRetries {
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
			return none, &ConflictError{Current: p}
		}
		before := originals(doc)
		if err := change(p); err != nil {
			return none, err
		}
		noteOutdated(doc, before)
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

// updateOrCreate is update for a document that is made, by fresh, when it is
// not there yet: change is then applied to that.
func updateOrCreate[P entity](ctx context.Context, m *Market, may Permission, id ID, version int, fresh func() P, change func(P) error) (P, error) {
	var none P
	for range maxRetries {
		doc, err := update(ctx, m, may, id, version, change)
		if !errors.Is(err, ErrNotFound) {
			return doc, err
		}
		doc = fresh()
		doc.meta().ID = id
		if err := change(doc); err != nil {
			return none, err
		}
		if err := create(ctx, m, may, doc); !taken(err, "id") {
			return doc, err
		}
	}
	return none, ErrUnavailable
}

// put validates and writes a document whose change was permitted, and leaves
// a mark of the command in it.
func (m *Market) put(ctx context.Context, doc entity) error {
	meta := doc.meta()
	meta.UpdatedAt = m.clock()
	if err := check(doc); err != nil {
		return err
	}
	marks := meta.Marks
	if mark, ok := markOf(ctx, doc, m.now()); ok {
		if len(marks) >= maxMarks {
			if err := m.settle(ctx, doc); err != nil {
				return err
			}
			meta.Marks = nil
		}
		meta.Marks = append(slices.Clip(meta.Marks), mark)
	}
	var claims []string
	if !meta.IsDeleted {
		claims = doc.claims()
		if meta.Slug != "" {
			claims = append(claims, "slug:"+meta.Slug)
		}
	}
	rev, err := m.store.Put(ctx, Write{Kind: doc.kind(), ID: string(meta.ID), Rev: meta.rev, Value: doc, Claims: claims})
	if err != nil {
		meta.Marks = marks
	}
	if taken := (*TakenError)(nil); errors.As(err, &taken) {
		path, value, _ := strings.Cut(taken.Claim, ":")
		return &InvalidError{claim: taken.Claim, Errors: []UserError{{Path: path, Code: "TAKEN", Message: fmt.Sprintf("%q is taken already", value)}}}
	}
	if err != nil {
		return err
	}
	meta.rev = rev
	if rq := requestOf(ctx); rq != nil {
		rq.reads.forget(meta.ID)
	}
	if ctx.Value(bulkKey{}) == nil && kinds[doc.kind()].named {
		wait, cancel := context.WithTimeout(ctx, m.wait)
		defer cancel()
		// The write is done; a search that lags is no reason to say otherwise.
		_ = m.finder.Wait(wait, doc.kind(), string(meta.ID), rev)
	}
	return nil
}

// settle writes the marks of a document into the audit log. Marks that are
// there already are left, so it may be repeated.
func (m *Market) settle(ctx context.Context, doc entity) error {
	for _, e := range auditEntries(doc) {
		_, err := m.store.Put(ctx, Write{Kind: KindAudit, ID: string(e.ID), Value: e})
		if err != nil && !errors.Is(err, ErrStale) {
			return err
		}
	}
	return nil
}

// erase makes the store forget a document that was deleted and settled, or a
// record that has served its time.
func (m *Market) erase(ctx context.Context, doc entity) error {
	meta := doc.meta()
	_, err := m.store.Put(ctx, Write{Kind: doc.kind(), ID: string(meta.ID), Rev: meta.rev})
	if errors.Is(err, ErrStale) || errors.Is(err, ErrNotFound) {
		return nil // somebody else was faster, or it came back
	}
	return err
}

// position returns how far a follower has come; a new one where there is none.
func (m *Market) position(ctx context.Context, id ID) (*position, error) {
	p := &position{Meta: Meta{ID: id}}
	d, err := m.store.Get(ctx, kindPosition, string(id))
	if errors.Is(err, ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.rev = d.Rev
	return p, d.Decode(p)
}

// keep saves how far a follower has come, or ErrStale where somebody else has.
func (m *Market) keep(ctx context.Context, p *position) error {
	rev, err := m.store.Put(ctx, Write{Kind: kindPosition, ID: string(p.ID), Rev: p.rev, Value: p})
	if err == nil {
		p.rev = rev
	}
	return err
}

// changes reads the feed.
func (m *Market) changes(ctx context.Context, q FeedQuery) (Feed, error) {
	return m.store.Changes(ctx, q)
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
		if d == nil && ids[i] != "" && !p.has(path(i)) {
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
