package graph_test

import (
	"fmt"
	"testing"

	"citymarket/marketplace"
)

// What the secretariat, and a participant, sees of an event costs as many
// store operations for many participants as for few.
func TestEventsCostTheSameForManyParticipants(t *testing.T) {
	t.Parallel()
	cost := func(number int, who string) (operations int64) {
		f := &fixture{stage: newStage(t), t: t, others: map[string]marketplace.ID{}}
		event := f.event("WISHES", "company_acme", "city_oslo")
		system := marketplace.InBulk(f.system())
		for i := range number {
			c := &marketplace.City{Meta: marketplace.Meta{ID: marketplace.ID(fmt.Sprintf("city_c%d", i)), Slug: fmt.Sprintf("c%d", i)}, TimeZone: "Europe/Oslo"}
			c.Name, c.Country, c.Region = english(c.Slug), "NO", marketplace.Europe
			f.must(f.market.AddCity(system, c))
			f.register(event, c.ID, "APPROVE")
			acts := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: "user_x",
				Memberships: []marketplace.Membership{{Member: c.ID, Role: marketplace.RoleOwner}}}})
			_, err := f.market.SetWish(acts, marketplace.SetWishInput{Event: event, Member: c.ID, Wish: marketplace.WishInput{With: "company_acme", Level: "WANT"}})
			f.must(err)
		}
		f.actor = f.enter(t, who)
		before := f.store.operations.Load()
		body := f.ask(`query($id: ID!) {
			event(by: {id: $id}) { viewerRegistrations { id } viewerCan { register } participants(first: 50) { nodes { member { slug } event { slug } delegates { name } freeSlots { slots { day } } viewerCan { edit } wishes { with { slug } registration { id } } wishList { id } } } }
			registrations(of: $id, first: 50) { nodes { member { slug } wishes { level } } }
		}`, map[string]any{"id": event})
		if len(body) < 400 {
			t.Errorf("%s", body)
		}
		return f.store.operations.Load() - before
	}
	for _, who := range []string{"officer", "oslo editor"} {
		if few, many := cost(2, who), cost(20, who); few != many {
			t.Errorf("%s: %d store operations for 4 participants, %d for 22", who, few, many)
		}
	}
}
