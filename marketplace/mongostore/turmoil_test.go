package mongostore

import (
	"testing"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore/internal/fakemongo"
	"citymarket/marketplace/storetest"
)

// Whatever happens at an event at the same time, nobody is double-booked.
func TestNobodyIsDoubleBookedInATurmoil(t *testing.T) {
	t.Parallel()
	steps := 240
	if testing.Short() {
		steps = 80
	}
	storetest.Turmoil(t, opener(fakemongo.Start(t).URI).Open(t, marketplace.StoreSchema()), steps)
}
