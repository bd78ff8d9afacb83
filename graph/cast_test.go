package graph_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// cast are those who can ask in a conversation, besides "visitor".
var cast = map[string]marketplace.Actor{
	"stranger":       {},
	"oslo viewer":    of("city_oslo", marketplace.RoleViewer),
	"oslo editor":    of("city_oslo", marketplace.RoleEditor),
	"oslo owner":     of("city_oslo", marketplace.RoleOwner),
	"lima editor":    of("city_lima", marketplace.RoleEditor),
	"acme viewer":    of("company_acme", marketplace.RoleViewer),
	"acme editor":    of("company_acme", marketplace.RoleEditor),
	"acme owner":     of("company_acme", marketplace.RoleOwner),
	"acme deputy":    of("company_acme", marketplace.RoleEditor),
	"rival viewer":   of("company_rival", marketplace.RoleViewer),
	"rival editor":   of("company_rival", marketplace.RoleEditor),
	"rival owner":    of("company_rival", marketplace.RoleOwner),
	"network editor": {Secretariat: marketplace.SecretariatEditor},
	"officer":        {Secretariat: marketplace.SecretariatOfficer},
	"admin":          {Secretariat: marketplace.SecretariatAdmin},
}

func of(member marketplace.ID, role marketplace.MemberRole) marketplace.Actor {
	return marketplace.Actor{Memberships: []marketplace.Membership{{Member: member, Role: role}}}
}

// A stage is a small marketplace on which the cast acts: the cities Oslo and
// Lima, the companies Acme and Rival with a published solution each. Ids and
// times that differ from run to run have other names in the conversation: the
// first offer that an answer shows is offer_1, and a time of today is "now".
type stage struct {
	*api
	names map[string]string // of ids
	ids   map[string]string // by their names
	count map[string]int    // of names, by kind
}

func newStage(t *testing.T) *stage {
	t.Helper()
	a, err := newAPI(t.TempDir(), furnish)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.index.Close(); a.store.Close() })
	return &stage{api: a, names: map[string]string{}, ids: map[string]string{}, count: map[string]int{}}
}

func furnish(ctx context.Context, m *marketplace.Market) error {
	ctx = marketplace.InBulk(marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.System}))
	english := func(s string) marketplace.Text { return marketplace.Text{{Language: "en", Text: s}} }
	if err := m.AddTopic(ctx, &marketplace.Topic{Meta: marketplace.Meta{ID: "topic_noise", Slug: "noise"}, Label: english("Noise")}); err != nil {
		return err
	}
	for _, name := range []string{"Oslo", "Lima"} {
		slug := strings.ToLower(name)
		c := &marketplace.City{Meta: marketplace.Meta{ID: marketplace.ID("city_" + slug), Slug: slug}, TimeZone: map[string]string{"Oslo": "Europe/Oslo", "Lima": "America/Lima"}[name]}
		c.Name, c.Country, c.Region = english(name), "NO", marketplace.Europe
		if name == "Lima" {
			c.Country, c.Region = "PE", "AMERICAS"
		}
		if err := m.AddCity(ctx, c); err != nil {
			return err
		}
	}
	for _, name := range []string{"Acme", "Rival"} {
		slug := strings.ToLower(name)
		c := &marketplace.Company{Meta: marketplace.Meta{ID: marketplace.ID("company_" + slug), Slug: slug}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = english(name), "KR", "ASIA_PACIFIC"
		if err := m.AddCompany(ctx, c); err != nil {
			return err
		}
		s := &marketplace.Solution{Meta: marketplace.Meta{ID: marketplace.ID("solution_" + slug), Slug: slug + "-wall"}, Company: c.ID, Status: marketplace.SolutionPublished,
			Title: english("The " + name + " wall"), Summary: english("A wall against noise."), Topics: []marketplace.ID{"topic_noise"},
			Maturity: "PILOTED", PriceModel: "ONE_OFF", PriceBand: "UNDER_10K"}
		if err := m.AddSolution(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// enter brings somebody of the cast on the stage. Their account is made when
// they enter first.
func (s *stage) enter(t *testing.T, name string) marketplace.Actor {
	t.Helper()
	if name == "visitor" {
		return marketplace.Actor{}
	}
	actor, ok := cast[name]
	if !ok {
		actor = s.newcomer(t, name)
	}
	actor.User, actor.Via = marketplace.ID("user_"+strings.ReplaceAll(name, " ", "-")), "session_stage"
	ctx := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System})
	if _, err := s.market.User(ctx, actor.User); err == nil {
		return actor
	}
	u := &marketplace.User{Meta: marketplace.Meta{ID: actor.User}, Name: name, Email: strings.ReplaceAll(name, " ", ".") + "@example.org"}
	if err := s.market.AddUser(ctx, u, "a word for the stage"); err != nil {
		t.Fatal(err)
	}
	for _, m := range actor.Memberships {
		if err := s.market.PlaceInTeam(ctx, m.Member, u.ID, marketplace.TeamRole(m.Role)); err != nil {
			t.Fatal(err)
		}
	}
	if actor.Secretariat != "" {
		if err := s.market.PlaceInTeam(ctx, "", u.ID, marketplace.TeamRole(actor.Secretariat)); err != nil {
			t.Fatal(err)
		}
	}
	return actor
}

// newcomer is somebody of a member that was added in the conversation, by its
// slug: "bergen editor".
func (s *stage) newcomer(t *testing.T, name string) marketplace.Actor {
	t.Helper()
	slug, role, _ := strings.Cut(name, " ")
	ctx := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System})
	if c, err := s.market.CityBySlug(ctx, slug); err == nil {
		return of(c.ID, marketplace.MemberRole(strings.ToUpper(role)))
	}
	c, err := s.market.CompanyBySlug(ctx, slug)
	if err != nil {
		t.Fatalf("nobody of the cast is called %q", name)
	}
	return of(c.ID, marketplace.MemberRole(strings.ToUpper(role)))
}

// system is the context of the program itself, which waits for the index.
func (f *fixture) system() context.Context {
	return marketplace.WithViewer(f.t.Context(), marketplace.Viewer{Actor: marketplace.System})
}

// act is the context of somebody of the cast.
func (f *fixture) act(name string) context.Context {
	return marketplace.WithViewer(f.t.Context(), marketplace.Viewer{Actor: f.enter(f.t, name)})
}

var (
	madeID     = regexp.MustCompile(`\b([a-z]+)_(?:[a-z]+-)?[0-9a-hjkmnp-tv-z]{26}(?:-[0-9]{8})?\b`)
	idName     = regexp.MustCompile(`\b[a-z]+_[0-9]+\b`)
	madeSecret = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{44}`)
	madeFeed   = regexp.MustCompile(`/calendar/[0-9a-z]{52}\.ics`)
	madeTime   = regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z`)
)

// stable gives ids and times of an answer the names that they have in the
// conversation.
func (s *stage) stable(answer []byte) []byte {
	if s == nil {
		return answer
	}
	answer = madeSecret.ReplaceAll(answer, []byte("whsec_..."))
	answer = madeFeed.ReplaceAll(answer, []byte("/calendar/....ics"))
	answer = madeID.ReplaceAllFunc(answer, func(id []byte) []byte {
		name := s.names[string(id)]
		if name == "" {
			kind, _, _ := strings.Cut(string(id), "_")
			s.count[kind]++
			name = fmt.Sprintf("%s_%d", kind, s.count[kind])
			s.names[string(id)], s.ids[name] = name, string(id)
		}
		return []byte(name)
	})
	return madeTime.ReplaceAllFunc(answer, func(at []byte) []byte {
		if at, err := time.Parse(time.RFC3339, string(at)); err != nil || time.Since(at).Abs() > 24*time.Hour {
			return []byte(at.Format(time.RFC3339))
		}
		return []byte("now")
	})
}

// real puts ids back in the places of their names.
func (s *stage) real(request []byte) []byte {
	if s == nil {
		return request
	}
	return idName.ReplaceAllFunc(request, func(name []byte) []byte {
		if id, ok := s.ids[string(name)]; ok {
			return []byte(id)
		}
		return name
	})
}
