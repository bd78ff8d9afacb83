package marketplace

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// finds counts what is asked of a store that has everything.
type finds struct {
	Store
	mu      sync.Mutex
	queries []string
}

func (f *finds) Find(_ context.Context, kind Kind, q Query) ([]Document, error) {
	f.mu.Lock()
	f.queries = append(f.queries, fmt.Sprintf("%d of %s", len(q.Where[0].Values), kind))
	f.mu.Unlock()
	var docs []Document
	for _, v := range q.Where[0].Values {
		id := ID(v.(string))
		docs = append(docs, Document{ID: string(id), Rev: 1, Decode: func(into any) error {
			switch d := into.(type) {
			case *Solution:
				d.ID, d.Status, d.Topics = id, SolutionPublished, []ID{"topic_" + id[len("solution_"):]}
			case *Topic:
				d.ID = id
			}
			return nil
		}})
	}
	return docs, nil
}

// Whoever asks first for a reference loads those of the whole page, however
// the readers of its entries overtake each other.
func TestReferencesAreReadTogether(t *testing.T) {
	t.Parallel()
	for range 200 {
		store := &finds{}
		m := New(store, nil, Options{})
		ctx := WithViewer(context.Background(), Viewer{})
		ids := make([]ID, 20)
		for i := range ids {
			ids[i] = ID(fmt.Sprintf("solution_%d", i))
		}
		readsOf(ctx).expect(ids)
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				s, err := m.Solution(ctx, id)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := m.TopicsOf(ctx, s.Topics); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := fmt.Sprint(store.queries); got != "[20 of solution 20 of topic]" {
			t.Fatal(got)
		}
	}
}
