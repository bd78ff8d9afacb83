package seed

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"citymarket/marketplace"
)

// A sampleEvent is an edition in the domain's own shape, with who has
// registered for it. Its days are written as {+43}: so many days after the
// Monday of the week of loading, so that they are in the future and no weekend.
type sampleEvent struct {
	marketplace.Event
	Registrations []sampleRegistration `json:"registrations"`
}

type sampleRegistration struct {
	sampleMember
	Delegates        any          `json:"delegates"`
	Pitch            any          `json:"pitch"`
	WantsInterpreter bool         `json:"wantsInterpreter"`
	Wishes           []sampleWish `json:"wishes"`
}

type sampleWish struct {
	sampleMember
	Level    marketplace.WishLevel `json:"level"`
	Solution string                `json:"solution"`
	Proposal string                `json:"proposal"`
}

func (w *sampleWish) about() marketplace.ID {
	if w.Solution != "" {
		return marketplace.ID("solution_" + w.Solution)
	}
	return marketplace.ID("proposal_" + w.Proposal)
}

// A sampleMember names a company or a city by its slug.
type sampleMember struct {
	Company string `json:"company"`
	City    string `json:"city"`
}

func (s sampleMember) member() marketplace.ID {
	switch {
	case s.Company != "":
		return marketplace.ID("company_" + s.Company)
	case s.City != "":
		return marketplace.ID("city_" + s.City)
	}
	return ""
}

var dayOffset = regexp.MustCompile(`\{\+(\d+)\}`)

func events(today time.Time) ([]sampleEvent, error) {
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	list, err := readAs[sampleEvent]("event.json", func(b []byte) []byte {
		return dayOffset.ReplaceAllFunc(b, func(word []byte) []byte {
			days, _ := strconv.Atoi(string(dayOffset.FindSubmatch(word)[1]))
			return []byte(monday.AddDate(0, 0, days).Format(time.DateOnly))
		})
	})
	for i := range list {
		e := &list[i]
		e.ID, e.IsSample = marketplace.ID("event_"+e.Slug), true
	}
	return list, err
}

// loadEvents loads the sample editions, with participants who have said whom
// they wish to meet.
func loadEvents(ctx context.Context, m *marketplace.Market, o Options) error {
	list, err := events(o.Today)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := add(ctx, Options{}, "sample events", []*marketplace.Event{&e.Event}, m.AddEvent); err != nil {
			return err
		}
		err := add(ctx, o, "sample participants", e.Registrations, func(ctx context.Context, r sampleRegistration) error { return participate(ctx, m, e.ID, r) })
		if err != nil {
			return err
		}
		loaded, err := m.Event(ctx, e.ID)
		if err != nil {
			return err
		}
		if !m.TakesWishes(loaded) {
			continue // it was loaded long ago, or as of another day
		}
		err = add(ctx, o, "sample wishes", e.Registrations, func(ctx context.Context, r sampleRegistration) error { return wish(ctx, m, e.ID, r) })
		if err != nil {
			return err
		}
	}
	return nil
}

// participate registers a member, and has it approved.
func participate(ctx context.Context, m *marketplace.Market, event marketplace.ID, r sampleRegistration) error {
	have, err := m.RegistrationOf(ctx, event, r.member())
	if errors.Is(err, marketplace.ErrNotFound) {
		content := marketplace.Patch{"delegates": r.Delegates, "wantsInterpreter": r.WantsInterpreter, "pitch": r.Pitch}
		have, err = m.Register(ctx, marketplace.RegisterInput{Event: event, Member: r.member(), Content: content})
	}
	if err != nil || have.Status != marketplace.RegistrationRequested {
		return err
	}
	_, err = m.MoveRegistration(ctx, marketplace.MoveRegistrationInput{ID: have.ID, Move: marketplace.RegistrationApprove})
	return err
}

// wish says for a participant whom it wishes to meet, as its own people would.
func wish(ctx context.Context, m *marketplace.Market, event marketplace.ID, r sampleRegistration) error {
	if len(r.Wishes) == 0 {
		return nil
	}
	actor := marketplace.Actor{Memberships: []marketplace.Membership{{Member: r.member(), Role: marketplace.RoleOwner}}}
	ctx = marketplace.InBulk(marketplace.WithViewer(ctx, marketplace.Viewer{Actor: actor}))
	in := marketplace.SetWishesInput{Event: event, Member: r.member()}
	switch have, err := m.RegistrationOf(ctx, event, r.member()); {
	case err != nil:
		return err
	case have.Status != marketplace.RegistrationApproved:
		return nil // people have decided otherwise in the meantime
	default:
		if _, err := m.WishListOf(ctx, have); !errors.Is(err, marketplace.ErrNotFound) {
			return err
		}
	}
	for i := range r.Wishes {
		w := &r.Wishes[i]
		in.Wishes = append(in.Wishes, &marketplace.WishInput{With: w.member(), Level: w.Level, About: new(w.about())})
	}
	_, err := m.SetWishes(ctx, in)
	return err
}
