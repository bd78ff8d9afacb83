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
	queryPrefix = "eq:" // of the names of all indexes that the schema declares
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

// queryIndex answers the queries that fit ix. Its name says what it is for:
//
//	{Equal: ["level", "place.country"], Has: "tags", Sort: "name"}
//	"eq:level,place.country has:tags by:name"
//	{v.level: 1, v.place.country: 1, v.tags: 1, v.name: 1, _id: 1}
//
// A descending query reads it backwards. Tombstones are not in it.
func queryIndex(ix marketplace.Index, partial bool) (string, mongo.IndexModel) {
	var keys bson.D
	for _, f := range ix.Equal {
		keys = append(keys, bson.E{Key: path(f), Value: 1})
	}
	name := queryPrefix + strings.Join(ix.Equal, ",")
	if ix.Has != "" {
		keys = append(keys, bson.E{Key: path(ix.Has), Value: 1})
		name += " has:" + ix.Has
	}
	if ix.Sort != "" {
		keys = append(keys, bson.E{Key: path(ix.Sort), Value: 1})
		name += " by:" + ix.Sort
	}
	keys = append(keys, bson.E{Key: "_id", Value: 1})
	o := options.Index().SetName(name)
	if partial {
		o.SetPartialFilterExpression(living)
	}
	return name, mongo.IndexModel{Keys: keys, Options: o}
}

// index makes the indexes of a kind and drops those that an earlier schema
// declared. Indexes with other names than ours are somebody's own, and stay.
func (s *Store) index(ctx context.Context, kind marketplace.Kind) error {
	view := s.collection(kind).Indexes()
	want, err := s.create(ctx, view, kind, true)
	if notImplemented(err) {
		want, err = s.create(ctx, view, kind, false)
	}
	if err != nil {
		return err
	}
	have, err := view.ListSpecifications(ctx)
	if err != nil {
		return err
	}
	for _, ix := range have {
		if (strings.HasPrefix(ix.Name, queryPrefix) || ix.Name == atName) && !slices.Contains(want, ix.Name) {
			if err := view.DropOne(ctx, ix.Name); err != nil && !slices.Contains(mongo.ErrorCodes(err), 27) { // 27: somebody else did
				return err
			}
		}
	}
	return nil
}

// create makes the indexes of a kind and returns their names. A server may
// lack partial and sparse indexes; without them an index also holds
// tombstones, which costs time but changes no answer.
func (s *Store) create(ctx context.Context, view mongo.IndexView, kind marketplace.Kind, partial bool) ([]string, error) {
	models := []mongo.IndexModel{claimsIndex(partial)}
	names := []string{claimsName}
	if !s.streams {
		models = append(models, mongo.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}, Options: options.Index().SetName(atName)})
		names = append(names, atName)
	}
	for _, ix := range s.schema[kind] {
		name, model := queryIndex(ix, partial)
		if len(ix.Equal) == 0 && ix.Has == "" && ix.Sort == "" || slices.Contains(names, name) {
			continue
		}
		models, names = append(models, model), append(names, name)
	}
	_, err := view.CreateMany(ctx, models)
	return names, err
}

func notImplemented(err error) bool { return slices.Contains(mongo.ErrorCodes(err), 238) }
