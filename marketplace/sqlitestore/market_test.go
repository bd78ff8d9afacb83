package sqlitestore

import (
	"path/filepath"
	"testing"

	"citymarket/marketplace"
	"citymarket/marketplace/storetest"
)

// Of many acceptances at one moment exactly those without a conflict succeed.
func TestMeetingsAreAcceptedInARush(t *testing.T) {
	t.Parallel()
	store, err := Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	n := 1000
	if testing.Short() {
		n = 200 // such runs look for races and are slow
	}
	storetest.Rush(t, store, n)
}
