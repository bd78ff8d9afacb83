package marketplace

import (
	"context"
	"slices"
)

// maxRelated bounds what Entries remembers of others: some 200 bytes each.
const maxRelated = 50_000

// A kin is what an entry takes over from something that its document
// refers to: the title, and of members what matches ask for.
type kin struct {
	title      Text
	country    Country
	served     []string
	population int
}

// relatedTo reads what entries take over from a document. What not everybody
// may see gives nothing, since it would be found by those who may not see it.
func relatedTo(doc entity) (r kin) {
	if doc == nil || !slices.Contains(doc.audience(), Everyone) {
		return r
	}
	r.title = *doc.texts()[0].Text
	switch doc := doc.(type) {
	case *City:
		r.country, r.population = doc.Country, doc.people()
	case *Company:
		r.country, r.served = doc.Country, doc.served()
	}
	return r
}

// A relative is an entity whose entry takes over more than titles.
type relative interface {
	relate(e *Entry, of func(ID) kin)
}

// Entries returns the function by which an index turns changes into entries;
// it is false for what is deleted or not to be found. The titles of what a
// document refers to (its company, its topics in all their languages) are
// found with it, so a change costs one read of the store where it refers to
// something that was not seen lately. When a title changes, documents that
// refer to it are found by the new one once they change themselves. The
// function is for one goroutine.
func Entries(store Store) func(context.Context, Change) (Entry, bool, error) {
	known := map[ID]kin{}
	return func(ctx context.Context, c Change) (Entry, bool, error) {
		delete(known, ID(c.ID))
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
		if err := readRelated(ctx, store, known, refs); err != nil {
			return Entry{}, false, err
		}
		for _, id := range refs {
			e.About = append(e.About, known[id].title)
		}
		if doc, ok := doc.(relative); ok {
			doc.relate(&e, func(id ID) kin { return known[id] })
		}
		return e, true, nil
	}
}

// readRelated reads what is missing.
func readRelated(ctx context.Context, store Store, known map[ID]kin, ids []ID) error {
	missing := map[Kind][]any{}
	for _, id := range ids {
		if _, ok := known[id]; !ok && id.Kind() != "" {
			missing[id.Kind()] = append(missing[id.Kind()], string(id))
		}
	}
	for kind, batch := range missing {
		if len(known)+len(batch) > maxRelated {
			clear(known)
			return readRelated(ctx, store, known, ids)
		}
		docs, err := store.Find(ctx, kind, byIDs(batch))
		if err != nil {
			return err
		}
		for _, id := range batch {
			known[ID(id.(string))] = kin{}
		}
		for _, d := range docs {
			doc, err := decode(kind, d)
			if err != nil {
				return err
			}
			known[ID(d.ID)] = relatedTo(doc)
		}
	}
	return nil
}
