package marketplace

import (
	"context"
	"slices"
)

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
				titles[ID(d.ID)] = *doc.texts()[0].Text
			}
		}
	}
	return nil
}
