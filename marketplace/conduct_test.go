package marketplace

import (
	"testing"
	"time"
)

// What a member was asked for by meetings counts like offers: what it answered,
// how soon, and what still waits.
func TestConductFollowsFromMeetings(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	conduct := func() *conduct {
		n.must(n.CatchUp(t.Context()))
		found, err := n.conductsOf(n.as("odd"), []ID{"company_acme"})
		n.must(err)
		return found["company_acme"]
	}
	if c := conduct(); c.answers(n.clock()) != unknown || c.load(n.clock()) != 0 {
		t.Errorf("before anything: %+v", c)
	}
	x := n.ask(48, 24)
	n.ask(72)
	if c := conduct(); c.answers(n.clock()) != unknown || c.load(n.clock()) != 2 || c.answers(n.clock().Add(15*24*time.Hour)) >= unknown {
		t.Errorf("two wait: %+v", c)
	}
	n.accept("eve", x, 24)
	if c := conduct(); c.Answered != 1 || c.answers(n.clock()) <= unknown || c.load(n.clock()) != 1.5 {
		t.Errorf("one is agreed: %+v", c)
	}
}
