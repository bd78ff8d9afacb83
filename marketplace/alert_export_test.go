package marketplace

import "time"

// For tests of what falls due.
var NextAlert = nextAlert

// TakeTimeFrom makes a marketplace believe another clock.
func TakeTimeFrom(m *Market, now func() time.Time) { m.now = now }
