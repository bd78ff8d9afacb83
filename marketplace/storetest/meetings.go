package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// Rush lets many members accept meetings at the same moment, far more than
// their people have time for, on an empty store that was opened with the
// marketplace's schema. Exactly those without a conflict may be accepted: of
// the accepted ones no two overlap for a person, and each that was refused
// overlaps with an accepted one.
func Rush(t *testing.T, store marketplace.Store, acceptances int) {
	t.Helper()
	const members, people, blocks = 15, 2, 40
	m := marketplace.New(store, nil, marketplace.Options{})
	ctx := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	english := func(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }
	city := func(i int) marketplace.ID { return marketplace.ID(fmt.Sprintf("city_%c", 'a'+i)) }
	user := func(i, k int) marketplace.ID { return marketplace.ID(fmt.Sprintf("user_%c%d", 'a'+i, k)) }
	for i := range members {
		c := &marketplace.City{Meta: marketplace.Meta{ID: city(i), Slug: string(city(i))[5:]}}
		c.Name, c.Country, c.Region = english(string(city(i))), "NO", marketplace.Europe
		must(m.AddCity(ctx, c))
		for k := range people {
			must(m.AddUser(ctx, &marketplace.User{Meta: marketplace.Meta{ID: user(i, k)}, Name: string(user(i, k)), Email: string(user(i, k)) + "@example.org"}, "a word for the rush"))
			must(m.PlaceInTeam(ctx, city(i), user(i, k), "EDITOR"))
		}
	}
	start := time.Now().UTC().Truncate(15 * time.Minute).Add(48 * time.Hour)
	random := rand.New(rand.NewPCG(5, 6))
	some := func(i int) []marketplace.ID {
		list := []marketplace.ID{user(i, 0), user(i, 1)}
		if k := random.IntN(3); k < 2 {
			return list[k : k+1]
		}
		return list
	}
	type request struct {
		id      marketplace.ID
		to      int
		people  []marketplace.ID // of both sides
		named   []marketplace.ID // of the side that accepts
		at, end time.Time
		err     error
	}
	var requests []*request
	var all sync.WaitGroup
	places := make(chan struct{}, 32) // stores commit together what comes at the same time
	for n := 0; len(requests) < acceptances; n++ {
		from, to := n%members, (n%members+1+n/members%(members-1))%members
		r := &request{to: to, named: some(to), at: start.Add(time.Duration(random.IntN(blocks)) * 15 * time.Minute)}
		minutes := 15 * (1 + random.IntN(4))
		r.end = r.at.Add(time.Duration(minutes) * time.Minute)
		asking := some(from)
		r.people = append(slices.Clone(asking), r.named...)
		requests = append(requests, r)
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			var x *marketplace.Meeting
			x, r.err = m.RequestMeeting(ctx, marketplace.RequestMeetingInput{From: city(from), To: city(to), People: asking, Content: marketplace.Patch{
				"message": english("Now?"), "minutes": minutes, "format": "ONLINE", "times": []time.Time{r.at}}})
			if r.err == nil {
				r.id = x.ID
			}
		})
	}
	all.Wait()
	for _, r := range requests {
		must(r.err)
	}
	gate := make(chan struct{})
	for n, r := range requests {
		by := marketplace.Actor{User: user(r.to, n/members%people), Memberships: []marketplace.Membership{{Member: city(r.to), Role: marketplace.RoleEditor}}}
		all.Go(func() {
			<-gate
			ctx := marketplace.InBulk(marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: by}))
			for range 10 {
				_, r.err = m.AcceptMeeting(ctx, marketplace.AcceptMeetingInput{ID: r.id, Time: r.at, People: r.named})
				if !errors.Is(r.err, marketplace.ErrUnavailable) && !errors.Is(r.err, marketplace.ErrUnknown) {
					return // else the store, hard pressed, took too long
				}
				if x, err := m.Meeting(marketplace.Afresh(ctx), r.id); err == nil && x.Status == marketplace.MeetingAccepted {
					r.err = nil
					return
				}
			}
		})
	}
	began := time.Now()
	close(gate)
	all.Wait()
	took := time.Since(began)
	collide := func(a, b *request) bool {
		return a.at.Before(b.end) && b.at.Before(a.end) && slices.ContainsFunc(a.people, func(id marketplace.ID) bool { return slices.Contains(b.people, id) })
	}
	var accepted, refused []*request
	for _, r := range requests {
		x, err := m.Meeting(ctx, r.id)
		must(err)
		if (x.Status == marketplace.MeetingAccepted) != (r.err == nil) {
			t.Errorf("%s is %s, and its acceptance: %v", r.id, x.Status, r.err)
		}
		if r.err == nil {
			accepted = append(accepted, r)
			continue
		}
		refused = append(refused, r)
		if wrong, ok := errors.AsType[*marketplace.InvalidError](r.err); !ok || wrong.Errors[0].Code != "TAKEN" {
			t.Errorf("refused for another reason: %v", r.err)
		}
	}
	for i, a := range accepted {
		for _, b := range accepted[:i] {
			if collide(a, b) {
				t.Errorf("somebody is in %v and %v", a, b)
			}
		}
	}
	for _, r := range refused {
		if !slices.ContainsFunc(accepted, func(a *request) bool { return collide(a, r) }) {
			t.Errorf("refused without a conflict: %v", r)
		}
	}
	if len(accepted) == 0 || len(refused) == 0 {
		t.Errorf("%d accepted, %d refused: no rush", len(accepted), len(refused))
	}
	t.Logf("%d accepted and %d refused in %v", len(accepted), len(refused), took.Round(time.Millisecond))
}
