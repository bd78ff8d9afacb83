package sqlitestore

import (
	"path/filepath"
	"testing"

	"citymarket/marketplace"
	"citymarket/marketplace/storetest"
)

// Whatever happens at an event at the same time, nobody is double-booked.
func TestNobodyIsDoubleBookedInATurmoil(t *testing.T) {
	t.Parallel()
	store, err := Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	steps := 800
	if testing.Short() {
		steps = 160
	}
	storetest.Turmoil(t, store, steps)
}
