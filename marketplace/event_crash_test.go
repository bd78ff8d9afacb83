package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

func init() {
	story := stories[0]
	story.name, story.tell, story.holds = "an edition fills, somebody withdraws, and all are reminded", tellEdition, holdsEdition
	stories = append(stories, story)
}

var editionMembers = []ID{"company_acme", "company_second", "company_third"}

// tellEdition has room for two of three, of which the first withdraws; a
// reminder of the deadline for wishes is due from the start.
func tellEdition(ctx context.Context, m *Market) error {
	officer := WithViewer(ctx, Viewer{Actor: Actor{User: "user_officer", Secretariat: SecretariatOfficer, Via: "session_x"}})
	day := m.clock().Add(12 * time.Hour)
	for _, member := range editionMembers {
		if err := m.PlaceInTeam(asWorker(ctx), member, "user_bob", TeamRole(RoleOwner)); err != nil {
			return err
		}
	}
	e := newEvent()
	e.ID, e.Slug, e.Name, e.TimeZone, e.Phase, e.Capacity = "event_edition", "edition", en("Edition"), "UTC", EventWishes, new(2)
	e.Rules = []MeetingRule{{"COMPANY", "COMPANY"}}
	e.Days = []EventDay{{Date: Date(day.AddDate(0, 1, 0).Format(time.DateOnly)), Start: "09:00", End: "10:00"}}
	e.Dates = []PhaseDate{{Phase: EventWishes, Until: new(WallTime(day.Format(wallFormat)))}}
	if err := m.AddEvent(officer, e); err != nil {
		return err
	}
	for _, member := range editionMembers {
		r, err := m.Register(officer, RegisterInput{Event: e.ID, Member: member, Content: Patch{"delegates": []any{map[string]any{"name": "Bob"}}}})
		if err != nil {
			return err
		}
		if _, err := m.MoveRegistration(officer, MoveRegistrationInput{ID: r.ID, Move: RegistrationApprove}); err != nil {
			return err
		}
	}
	acme := WithViewer(ctx, Viewer{Actor: Actor{User: "user_bob", Memberships: []Membership{{Member: "company_acme", Role: RoleOwner}}, Via: "session_x"}})
	if _, err := m.MoveRegistration(acme, MoveRegistrationInput{ID: registrationID(e.ID, "company_acme"), Move: RegistrationWithdraw}); err != nil {
		return err
	}
	// A participant says something, by one command that makes the list.
	second := WithViewer(ctx, Viewer{Actor: Actor{User: "user_bob", Memberships: []Membership{{Member: "company_second", Role: RoleOwner}}, Via: "session_x"}})
	_, err := m.SetWishes(second, SetWishesInput{Event: e.ID, Member: "company_second"})
	return err
}

func holdsEdition(ctx context.Context, m *Market) error {
	e, err := get[*Event](ctx, m, "event_edition")
	if errors.Is(err, ErrNotFound) {
		return nil // nothing was done
	}
	if err != nil {
		return err
	}
	status := map[RegistrationStatus][]ID{}
	var seats []int
	for _, member := range editionMembers {
		r, err := get[*Registration](ctx, m, registrationID(e.ID, member))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		status[r.Status] = append(status[r.Status], member)
		if (r.Seat != nil) != (r.Status == RegistrationApproved) {
			return fmt.Errorf("%s is %s with seat %v", member, r.Status, r.Seat)
		}
		if r.Seat != nil {
			seats = append(seats, *r.Seat)
		}
	}
	slices.Sort(seats)
	if len(slices.Compact(slices.Clone(seats))) != len(seats) || len(seats) > 2 {
		return fmt.Errorf("seats %v are taken", seats)
	}
	if len(seats) < 2 && len(status[RegistrationWaitlisted]) > 0 {
		return fmt.Errorf("%v wait while there is room", status[RegistrationWaitlisted])
	}
	if e.DueAt != nil {
		return fmt.Errorf("it is due at %v", e.DueAt)
	}
	told, err := find[*Notification](ctx, m, KindNotification, Query{Where: []Condition{{Field: "user", Op: Eq, Value: ID("user_bob")}}, Sort: "createdAt", Limit: MaxPage})
	if err != nil {
		return err
	}
	for _, member := range status[RegistrationApproved] {
		n := 0
		for _, t := range told {
			if t.Event == "registration.REMIND" && t.Member == member {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("%s was reminded %d times", member, n)
		}
	}
	return nil
}
