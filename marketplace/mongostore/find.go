package mongostore

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"citymarket/marketplace"
)

// living selects what is not a tombstone, in the words of the indexes' own
// filter: the server uses them only for queries that say the same.
var living = bson.D{{Key: "v", Value: bson.D{{Key: "$exists", Value: true}}}}

// path is where a field of the domain lies in a stored document.
func path(field string) string {
	if field == "id" {
		return "_id"
	}
	return "v." + field
}

// Find implements [marketplace.Store]. It costs one round trip, and one or two
// more behind a position: first come the documents with the position's own
// value of the sort field, then those behind it, so that each part is one
// walk along the index. (An $or of the parts would leave it to the server's
// planner whether the sort stays on the index.)
func (s *Store) Find(ctx context.Context, kind marketplace.Kind, q marketplace.Query) ([]marketplace.Document, error) {
	if _, err := s.schema.Index(kind, q); err != nil {
		return nil, fmt.Errorf("mongostore: find: %w", err)
	}
	var filter bson.A
	for _, c := range q.Where {
		f, err := condition(c)
		if err != nil {
			return nil, fmt.Errorf("mongostore: find: condition on %s: %w", c.Field, err)
		}
		filter = append(filter, f)
	}
	parts, err := partsBehind(q)
	if err != nil {
		return nil, err
	}
	caller := ctx
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	docs := []marketplace.Document{}
	for _, part := range parts {
		if len(docs) == q.Limit {
			break
		}
		all := append(bson.A{living, part}, filter...)
		if docs, err = s.find(ctx, kind, q, all, docs); err != nil {
			return nil, s.failed(caller, fmt.Sprintf("find %s", kind), err)
		}
	}
	return docs, nil
}

// find appends to docs what meets all filters, up to the query's limit.
func (s *Store) find(ctx context.Context, kind marketplace.Kind, q marketplace.Query, filters bson.A, docs []marketplace.Document) ([]marketplace.Document, error) {
	direction := 1
	if q.Descending {
		direction = -1
	}
	var sort bson.D
	if q.Sort != "" {
		sort = append(sort, bson.E{Key: path(q.Sort), Value: direction})
	}
	sort = append(sort, bson.E{Key: "_id", Value: direction})
	left := q.Limit - len(docs)
	// A batch that is larger than the limit lets the server end the cursor with it.
	cur, err := s.collection(kind).Find(ctx, bson.D{{Key: "$and", Value: filters}},
		options.Find().SetSort(sort).SetLimit(int64(left)).SetBatchSize(int32(left+1)))
	if err != nil {
		return nil, err
	}
	var page []stored
	if err := cur.All(ctx, &page); err != nil {
		return nil, err
	}
	for i := range page {
		d := page[i].document()
		if d.Position, err = position(q.Sort, page[i]); err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// condition is a condition in MongoDB's words. Comparisons with a value never
// find a field that is missing or null.
func condition(c marketplace.Condition) (bson.D, error) {
	if c.Op == marketplace.In {
		values := make(bson.A, len(c.Values))
		for i, v := range c.Values {
			o, err := operand(v)
			if err != nil {
				return nil, err
			}
			values[i] = o
		}
		return bson.D{{Key: path(c.Field), Value: bson.D{{Key: "$in", Value: values}}}}, nil
	}
	o, err := operand(c.Value)
	if err != nil {
		return nil, err
	}
	op := map[marketplace.Op]string{marketplace.Eq: "$eq", marketplace.Has: "$eq", marketplace.Lt: "$lt", marketplace.Ge: "$gte"}[c.Op]
	return bson.D{{Key: path(c.Field), Value: bson.D{{Key: op, Value: o}}}}, nil
}

// place is what Document.Position says: base64url of the BSON document
//
//	{s: "zebra", i: "sol_1"}
//
// where s is the value of the sort field (null when missing, no field when
// the order is by id) and i the id.
type place struct {
	Sort bson.RawValue `bson:"s,omitempty"`
	ID   string        `bson:"i"`
}

func position(sort string, st stored) (string, error) {
	p := place{ID: st.ID}
	if sort != "" {
		v, err := st.Value.LookupErr(strings.Split(sort, ".")...)
		if err != nil {
			v = bson.RawValue{Type: bson.TypeNull}
		}
		p.Sort = v
	}
	raw, err := bson.Marshal(p)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// partsBehind splits what lies behind q.After into ranges of the sort order,
// in that order. MongoDB orders missing and null before everything else, and
// compares only values of one type, so null needs a range of its own.
func partsBehind(q marketplace.Query) ([]bson.D, error) {
	if q.After == "" {
		return []bson.D{{}}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.After)
	var p place
	if err == nil {
		err = bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(raw))).Decode(&p)
	}
	if err != nil || p.ID == "" || (p.Sort.Type == 0) != (q.Sort == "") {
		return nil, fmt.Errorf("mongostore: find: the position is not of this query: %w", marketplace.ErrCursor)
	}
	behind := "$gt"
	if q.Descending {
		behind = "$lt"
	}
	id := bson.E{Key: "_id", Value: bson.D{{Key: behind, Value: p.ID}}}
	if q.Sort == "" {
		return []bson.D{{id}}, nil
	}
	field := path(q.Sort)
	parts := []bson.D{{{Key: field, Value: bson.D{{Key: "$eq", Value: p.Sort}}}, id}}
	null := p.Sort.Type == bson.TypeNull
	if null && !q.Descending {
		parts = append(parts, bson.D{{Key: field, Value: bson.D{{Key: "$ne", Value: nil}}}})
	}
	if !null {
		parts = append(parts, bson.D{{Key: field, Value: bson.D{{Key: behind, Value: p.Sort}}}})
	}
	if !null && q.Descending {
		parts = append(parts, bson.D{{Key: field, Value: bson.D{{Key: "$eq", Value: nil}}}})
	}
	return parts, nil
}
