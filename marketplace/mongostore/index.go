package mongostore

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"citymarket/marketplace"
)

const (
	claimsName  = "claims"
	atName      = "at"
	queryPrefix = "cm:" // of the names of all indexes that the schema declares
)

// claimsIndex makes an array's elements unique among documents. It is sparse:
// all documents without claims would otherwise clash on null.
func claimsIndex(sparse bool) mongo.IndexModel {
	o := options.Index().SetName(claimsName).SetUnique(true)
	if sparse {
		o.SetSparse(true)
	}
	return mongo.IndexModel{Keys: bson.D{{Key: "c", Value: 1}}, Options: o}
}

// queryIndex answers the queries that fit ix. Its name says which fields are in
// it, in their order, and so two declarations that need the same index have
// one (the server refuses a second one under another name):
//
//	{Equal: ["level", "place.country"], Has: "tags", Sort: "name"}
//	"cm:level,place.country,tags,name"
//	{v.level: 1, v.place.country: 1, v.tags: 1, v.name: 1, _id: 1}
//
// A descending query reads it backwards. Tombstones are not in it.
func queryIndex(ix marketplace.Index, partial bool) (string, mongo.IndexModel) {
	fields := slices.Clone(ix.Equal)
	if ix.Has != "" {
		fields = append(fields, ix.Has)
	}
	if ix.Sort != "" && !slices.Contains(fields, ix.Sort) {
		fields = append(fields, ix.Sort)
	}
	var keys bson.D
	for _, f := range fields {
		keys = append(keys, bson.E{Key: path(f), Value: 1})
	}
	keys = append(keys, bson.E{Key: "_id", Value: 1})
	name := queryPrefix + strings.Join(fields, ",")
	o := options.Index().SetName(name)
	if partial {
		o.SetPartialFilterExpression(living)
	}
	return name, mongo.IndexModel{Keys: keys, Options: o}
}

// wanted returns the indexes of a kind by their names. A server may lack
// partial and sparse indexes; without them an index also holds tombstones,
// which costs time but changes no answer.
func (s *Store) wanted(kind marketplace.Kind, partial bool) map[string]mongo.IndexModel {
	want := map[string]mongo.IndexModel{claimsName: claimsIndex(partial)}
	if !s.streams {
		want[atName] = mongo.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName(atName)}
	}
	for _, ix := range s.schema[kind] {
		if name, model := queryIndex(ix, partial); name != queryPrefix { // without fields it is the index of ids
			want[name] = model
		}
	}
	return want
}

// index makes the indexes that a kind lacks and drops those that an earlier
// schema declared. Indexes with other names than ours are somebody's own, and
// stay.
func (s *Store) index(ctx context.Context, kind marketplace.Kind) error {
	view := s.collection(kind).Indexes()
	have, err := create(ctx, view, func(partial bool) map[string]mongo.IndexModel { return s.wanted(kind, partial) })
	if err != nil {
		return err
	}
	want := s.wanted(kind, true)
	for _, ix := range have {
		_, wanted := want[ix.Name]
		if wanted || !strings.HasPrefix(ix.Name, queryPrefix) && ix.Name != atName {
			continue
		}
		if err := view.DropOne(ctx, ix.Name); err != nil && !slices.Contains(mongo.ErrorCodes(err), 27) { // 27: somebody else did
			return err
		}
	}
	return nil
}

// create makes the wanted indexes that are not there, and returns those that
// were. It takes one command for all, so that the server reads the documents
// once, and a second one without partial and sparse indexes if there are none.
func create(ctx context.Context, view mongo.IndexView, wanted func(partial bool) map[string]mongo.IndexModel) ([]mongo.IndexSpecification, error) {
	have, err := view.ListSpecifications(ctx)
	if err != nil {
		return nil, err
	}
	for _, partial := range []bool{true, false} {
		var missing []mongo.IndexModel
		for name, model := range wanted(partial) {
			if !slices.ContainsFunc(have, func(ix mongo.IndexSpecification) bool { return ix.Name == name }) {
				missing = append(missing, model)
			}
		}
		if len(missing) == 0 {
			break
		}
		if _, err = view.CreateMany(ctx, missing); !notImplemented(err) {
			break
		}
	}
	return have, err
}

func notImplemented(err error) bool { return slices.Contains(mongo.ErrorCodes(err), 238) }
