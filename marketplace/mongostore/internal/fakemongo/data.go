package fakemongo

import (
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A document is immutable: a write replaces it.
type document struct {
	key string // the id, encoded
	d   bson.D
}

type collection struct {
	name    string
	docs    map[string]*document // by key
	indexes []*index
}

type index struct {
	name           string
	keys           bson.D
	unique, sparse bool
	partial        bson.D
	spec           bson.D
	holders        map[string]string // of a unique index: entry to key of the document
}

func encodeKey(v any) string {
	raw, err := bson.Marshal(bson.D{{Key: "", Value: v}})
	if err != nil {
		panic(fmt.Sprintf("fakemongo: key %v: %v", v, err))
	}
	return string(raw)
}

// entries are what a document has in a unique index: of one field each
// element of an array, and null for what is missing unless the index is
// sparse; of several fields, which must not be arrays, their values together.
func (ix *index) entries(d bson.D) []any {
	if len(ix.keys) > 1 {
		together := bson.A{}
		for _, k := range ix.keys {
			together = append(together, sortKey(d, k.Key))
		}
		return []any{together}
	}
	path := ix.keys[0].Key
	values := at(d, path)
	if len(values) == 0 && ix.sparse || ix.partial != nil && !matches(d, ix.partial) {
		return nil
	}
	var all []any
	for _, v := range values {
		if list, ok := v.(bson.A); ok {
			all = append(all, list...)
		} else {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		all = []any{nil}
	}
	return all
}

// replace stores next in place of old; either may be nil. It refuses what a
// unique index forbids, and has then changed nothing.
func (c *collection) replace(old, next *document) error {
	if next != nil {
		for _, ix := range c.indexes {
			if err := c.clash(ix, next); err != nil {
				return err
			}
		}
	}
	for _, ix := range c.indexes {
		if !ix.unique {
			continue
		}
		if old != nil {
			for _, v := range ix.entries(old.d) {
				delete(ix.holders, encodeKey(v))
			}
		}
		if next != nil {
			for _, v := range ix.entries(next.d) {
				ix.holders[encodeKey(v)] = next.key
			}
		}
	}
	if next == nil {
		delete(c.docs, old.key)
	} else {
		c.docs[next.key] = next
	}
	return nil
}

func (c *collection) clash(ix *index, next *document) error {
	if !ix.unique {
		return nil
	}
	insert := ix.name == "_id_" && c.docs[next.key] == nil
	for _, v := range ix.entries(next.d) {
		if holder, held := ix.holders[encodeKey(v)]; held && (holder != next.key || insert) {
			field := ix.keys[0].Key
			return &failure{code: 11000, name: fmt.Sprintf("E11000 duplicate key error collection: %s index: %s dup key", c.name, ix.name), detail: bson.D{
				{Key: "keyPattern", Value: bson.D{{Key: field, Value: int32(1)}}}, {Key: "keyValue", Value: bson.D{{Key: field, Value: v}}}}}
		}
	}
	return nil
}

// selected returns the documents that meet a filter, in no order. An equality
// of ids is looked up, as every test would otherwise be quadratic.
func (c *collection) selected(filter bson.D) []*document {
	var ids bson.A
	switch want := get(filter, "_id").(type) {
	case string:
		ids = bson.A{want}
	case bson.D:
		if in, ok := get(want, "$in").(bson.A); ok {
			ids = in
		}
	}
	var found []*document
	if ids != nil {
		seen := map[string]bool{}
		for _, id := range ids {
			key := encodeKey(id)
			if doc := c.docs[key]; doc != nil && !seen[key] && matches(doc.d, filter) {
				found = append(found, doc)
			}
			seen[key] = true
		}
		return found
	}
	for _, doc := range c.docs {
		if matches(doc.d, filter) {
			found = append(found, doc)
		}
	}
	return found
}

// written collects the outcome of the statements of a write command.
type written struct {
	n, modified int32
	upserted    bson.A
	errors      bson.A
}

func (w *written) fail(i int, err error) error {
	f, ok := err.(*failure)
	if !ok {
		return err
	}
	w.errors = append(w.errors, append(bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: f.code}, {Key: "errmsg", Value: f.name}}, f.detail...))
	return nil
}

func (w *written) reply() bson.D {
	d := bson.D{{Key: "n", Value: w.n}, {Key: "nModified", Value: w.modified}}
	if len(w.upserted) > 0 {
		d = append(d, bson.E{Key: "upserted", Value: w.upserted})
	}
	if len(w.errors) > 0 {
		d = append(d, bson.E{Key: "writeErrors", Value: w.errors})
	}
	return d
}

func update(m *member, q *request, action Action) (bson.D, error) {
	s := m.server
	var w written
	for i, st := range q.docs("updates") {
		filter, change := get(st, "q").(bson.D), get(st, "u").(bson.D)
		now := s.tick()
		if action.hold != nil {
			// It has its time, and others become visible before it.
			s.mu.Unlock()
			close(action.held)
			<-action.hold
			s.mu.Lock()
		}
		c := s.collection(q, q.target)
		found := c.selected(filter)
		var old, next *document
		if len(found) > 0 {
			old = found[0]
			next = &document{old.key, updated(old.d, change, now, s.now(), false)}
		} else if upsert, _ := get(st, "upsert").(bool); upsert {
			d := updated(slices.Clone(filter), change, now, s.now(), true)
			next = &document{encodeKey(get(d, "_id")), d}
			if c.docs[next.key] != nil { // the id is there, with another revision
				err := &failure{code: 11000, name: "E11000 duplicate key error index: _id_", detail: bson.D{
					{Key: "keyPattern", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "keyValue", Value: bson.D{{Key: "_id", Value: get(d, "_id")}}}}}
				if err := w.fail(i, err); err != nil {
					return nil, err
				}
				break
			}
		} else {
			continue
		}
		if err := c.replace(old, next); err != nil {
			if err := w.fail(i, err); err != nil {
				return nil, err
			}
			break
		}
		w.n++
		id := get(next.d, "_id")
		if old == nil {
			w.upserted = append(w.upserted, bson.D{{Key: "index", Value: int32(i)}, {Key: "_id", Value: id}})
			s.record(q.db, c.name, "insert", id)
		} else {
			w.modified++
			s.record(q.db, c.name, "update", id)
		}
	}
	return w.reply(), nil
}

func insert(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	var w written
	for i, d := range q.docs("documents") {
		s.tick()
		c := s.collection(q, q.target)
		id := get(d, "_id")
		if err := c.replace(nil, &document{encodeKey(id), d}); err != nil {
			if err := w.fail(i, err); err != nil {
				return nil, err
			}
			break
		}
		w.n++
		s.record(q.db, c.name, "insert", id)
	}
	return w.reply(), nil
}

func remove(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	c := s.collection(q, q.target)
	var w written
	for _, st := range q.docs("deletes") {
		for _, doc := range c.selected(get(st, "q").(bson.D)) {
			if err := c.replace(doc, nil); err != nil {
				return nil, err
			}
			w.n++
			s.record(q.db, c.name, "delete", get(doc.d, "_id"))
			if number(get(st, "limit")) == 1 {
				break
			}
		}
	}
	return w.reply(), nil
}

func find(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	filter, _ := q.field("filter").(bson.D)
	order, _ := q.field("sort").(bson.D)
	projection, _ := q.field("projection").(bson.D)
	found := s.collection(q, q.target).selected(filter)
	slices.SortFunc(found, sorter(order))
	if limit := int(number(q.field("limit"))); limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	docs := make([]bson.D, len(found))
	for i, doc := range found {
		docs[i] = project(doc.d, projection)
	}
	return s.first(q, &cursor{ns: namespace(q, q.target), docs: docs}), nil
}

// A cursor is a list of documents, or the place of a change stream.
type cursor struct {
	ns     string
	docs   []bson.D
	stream *stream
}

// batch takes the next documents of a cursor.
func (s *Server) batch(q *request, c *cursor, size int) []bson.D {
	if c.stream != nil {
		return s.events(q, c.stream, size)
	}
	n := min(size, len(c.docs))
	docs := c.docs[:n]
	c.docs = c.docs[n:]
	return docs
}

func (s *Server) cursorReply(c *cursor, id int64, field string, docs []bson.D) bson.D {
	if docs == nil {
		docs = []bson.D{}
	}
	d := bson.D{{Key: "id", Value: id}, {Key: "ns", Value: c.ns}, {Key: field, Value: docs}}
	if c.stream != nil {
		d = append(d, bson.E{Key: "postBatchResumeToken", Value: token(c.stream.at)})
	}
	return bson.D{{Key: "cursor", Value: d}}
}

func (s *Server) first(q *request, c *cursor) bson.D {
	size := 101
	options, ok := q.field("cursor").(bson.D)
	if !ok {
		options = q.body
	}
	if n := get(options, "batchSize"); n != nil {
		size = int(number(n))
	}
	docs := s.batch(q, c, size)
	var id int64
	if len(c.docs) > 0 || c.stream != nil {
		s.last++
		id = s.last
		s.cursors[id] = c
	}
	return s.cursorReply(c, id, "firstBatch", docs)
}

func getMore(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	id := number(q.body[0].Value)
	c := s.cursors[id]
	if c == nil {
		return nil, &failure{code: 43, name: "CursorNotFound", labels: []string{"ResumableChangeStreamError"}}
	}
	size := 1 << 20
	if n := q.field("batchSize"); n != nil {
		size = int(number(n))
	}
	until := time.Now().Add(time.Duration(number(q.field("maxTimeMS"))) * time.Millisecond)
	for {
		if c.stream != nil && c.stream.at < s.lost {
			delete(s.cursors, id)
			return nil, historyLost
		}
		docs := s.batch(q, c, size)
		if len(docs) == 0 && c.stream != nil && !c.stream.closed && !s.down && m.index == s.primary && s.wait(until) {
			continue
		}
		if c.stream == nil && len(c.docs) == 0 || c.stream != nil && c.stream.closed {
			delete(s.cursors, id)
			id = 0
		}
		return s.cursorReply(c, id, "nextBatch", docs), nil
	}
}

func killCursors(m *member, q *request, _ Action) (bson.D, error) {
	killed := bson.A{}
	list, _ := q.field("cursors").(bson.A)
	for _, id := range list {
		delete(m.server.cursors, number(id))
		killed = append(killed, id)
	}
	return bson.D{{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: bson.A{}},
		{Key: "cursorsAlive", Value: bson.A{}}, {Key: "cursorsUnknown", Value: bson.A{}}}, nil
}

func createIndexes(m *member, q *request, _ Action) (bson.D, error) {
	c := m.server.collection(q, q.target)
	for _, spec := range q.docs("indexes") {
		name := get(spec, "name").(string)
		if slices.ContainsFunc(c.indexes, func(ix *index) bool { return ix.name == name }) {
			continue
		}
		same := encodeKey(get(spec, "key"))
		if slices.ContainsFunc(c.indexes, func(ix *index) bool { return encodeKey(ix.keys) == same }) {
			return nil, &failure{code: 85, name: "IndexOptionsConflict: the index exists under another name"}
		}
		ix := &index{name: name, keys: get(spec, "key").(bson.D), spec: append(bson.D{{Key: "v", Value: int32(2)}}, spec...), holders: map[string]string{}}
		ix.unique, _ = get(spec, "unique").(bool)
		ix.sparse, _ = get(spec, "sparse").(bool)
		ix.partial, _ = get(spec, "partialFilterExpression").(bson.D)
		for _, doc := range c.docs {
			if err := c.clash(ix, doc); err != nil {
				return nil, err
			}
			if ix.unique {
				for _, v := range ix.entries(doc.d) {
					ix.holders[encodeKey(v)] = doc.key
				}
			}
		}
		c.indexes = append(c.indexes, ix)
	}
	return bson.D{{Key: "numIndexesAfter", Value: int32(len(c.indexes))}}, nil
}

func listIndexes(m *member, q *request, _ Action) (bson.D, error) {
	var docs []bson.D
	for _, ix := range m.server.collection(q, q.target).indexes {
		docs = append(docs, ix.spec)
	}
	return m.server.first(q, &cursor{ns: namespace(q, q.target), docs: docs}), nil
}

func dropIndexes(m *member, q *request, _ Action) (bson.D, error) {
	c := m.server.collection(q, q.target)
	name, _ := q.field("index").(string)
	before := len(c.indexes)
	c.indexes = slices.DeleteFunc(c.indexes, func(ix *index) bool { return ix.name == name && name != "_id_" })
	if len(c.indexes) == before {
		return nil, &failure{code: 27, name: "IndexNotFound"}
	}
	return bson.D{{Key: "nIndexesWas", Value: int32(before)}}, nil
}

func drop(m *member, q *request, _ Action) (bson.D, error) {
	delete(m.server.dbs[q.db], q.target)
	m.server.tick()
	m.server.record(q.db, q.target, "drop", nil)
	return bson.D{}, nil
}

func dropDatabase(m *member, q *request, _ Action) (bson.D, error) {
	delete(m.server.dbs, q.db)
	for _, op := range []string{"dropDatabase", "invalidate"} {
		m.server.tick()
		m.server.record(q.db, "", op, nil)
	}
	return bson.D{}, nil
}
