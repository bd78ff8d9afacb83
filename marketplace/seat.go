package marketplace

import (
	"context"
	"fmt"
)

// seatClaim is the claim on one of the seats of an event.
func seatClaim(event ID, seat int) string { return fmt.Sprintf("seat:%d at %s", seat, event) }

// freeSeats are the numbers of the seats that can be given now, in order:
// among those below the capacity the first free ones, as many as there is room
// for participants. Of two who see the same seats free only one gets each, by
// its claim. Where a capacity was lowered, seats above it stay in use until
// their participants withdraw, and so many fewer are given below it.
//
// Whoever decides by what was true a moment ago gives no seat too many: a seat
// that could be given then, and is not taken now, can be given now, since
// each seat that is given or comes free takes or adds that one only.
func (m *Market) freeSeats(ctx context.Context, e *Event) ([]int, error) {
	taken := map[int]bool{}
	err := m.fetchAll(ctx, KindRegistration, registrationsIn(e.ID, maxParticipants, RegistrationApproved), func(doc entity, _ string, _ bool) {
		if r := doc.(*Registration); r.Seat != nil {
			taken[*r.Seat] = true
		}
	})
	if err != nil {
		return nil, err
	}
	var free []int
	for n := 0; n < e.capacity() && len(free) < e.capacity()-len(taken); n++ {
		if !taken[n] {
			free = append(free, n)
		}
	}
	return free, nil
}

// registrationsIn asks for registrations for an event in some states, in the
// order in which they were asked for.
func registrationsIn(event ID, limit int, in ...RegistrationStatus) Query {
	return Query{Where: []Condition{{Field: "event", Op: Eq, Value: event}, {Field: "status", Op: In, Values: values(in)}}, Sort: "requestedAt", Limit: limit}
}
