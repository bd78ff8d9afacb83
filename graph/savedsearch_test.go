package graph_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"citymarket/marketplace"
)

// Saved searches that are shown together are run together: how many they are
// makes no difference to the operations that reach the store.
func TestSavedSearchesAreRunTogether(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	actor := s.enter(t, "oslo viewer")
	var counts []int64
	for n := range 12 {
		if status, body := s.askAs(actor, fmt.Sprintf(`mutation { saveSearch(input: { name: "n%d", criteria: { text: "wall", kinds: [SOLUTION] } }) { errors { message } } }`, n), nil, nil); status != http.StatusOK || !bytes.Contains(body, []byte(`"errors":[]`)) {
			t.Fatalf("%d %s", status, body)
		}
		before := s.store.operations.Load()
		status, body := s.askAs(marketplace.Actor{User: actor.User, Via: actor.Via}, `{ viewer { savedSearches { newCount results(first: 5) { nodes { ... on Solution { company { name { text } } } } facets(fields: [TOPIC]) { buckets { label } } } } } }`, nil, nil)
		if want := n + 1; status != http.StatusOK || bytes.Count(body, []byte(`"newCount":0`)) != want || bytes.Count(body, []byte(`"Acme"`)) != want {
			t.Fatalf("%d %s", status, body)
		}
		counts = append(counts, s.store.operations.Load()-before)
	}
	if counts[11] > counts[1] || counts[11] > 6 {
		t.Errorf("%v store operations for 1 to 12 saved searches", counts)
	}
}
