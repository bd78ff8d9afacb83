package seed_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/seed"
)

func open(t testing.TB) (marketplace.Store, *marketplace.Market) {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "seed.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, marketplace.New(store, nil, marketplace.Options{})
}

// everything reads all documents from the feed.
func everything(t testing.TB, store marketplace.Store) map[marketplace.Kind][]marketplace.Document {
	t.Helper()
	all := map[marketplace.Kind][]marketplace.Document{}
	seen := map[string]bool{}
	for q := (marketplace.FeedQuery{Limit: marketplace.MaxPage}); ; {
		feed, err := store.Changes(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(feed.Changes) == 0 {
			return all
		}
		for _, c := range feed.Changes {
			if !seen[c.ID] {
				seen[c.ID] = true
				all[c.Kind] = append(all[c.Kind], c.Document)
			}
		}
		q.After = feed.Next
	}
}

func decode[T any](t testing.TB, docs []marketplace.Document) []*T {
	t.Helper()
	out := make([]*T, len(docs))
	for i, d := range docs {
		out[i] = new(T)
		if err := d.Decode(out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The network is what the printed list says, corrected, and nothing more.
func TestNetwork(t *testing.T) {
	t.Parallel()
	store, m := open(t)
	if err := seed.Load(context.Background(), m, seed.Options{}); err != nil {
		t.Fatal(err)
	}
	all := everything(t, store)
	if len(all["city"]) != 160 || len(all["institution"]) != 18 || len(all["topic"]) != 40 || len(all["company"])+len(all["solution"])+len(all["proposal"]) != 0 {
		t.Errorf("%d cities, %d institutions, %d topics, %d companies", len(all["city"]), len(all["institution"]), len(all["topic"]), len(all["company"]))
	}
	regions, misprinted, unidentified, inside := map[marketplace.Region]int{}, 0, 0, 0
	for _, c := range decode[marketplace.City](t, all["city"]) {
		regions[c.Region]++
		if c.Country.Region() != c.Region {
			t.Errorf("%s is in %s, its country %s in %s", c.Slug, c.Region, c.Country, c.Country.Region())
		}
		if c.Printed == nil || c.Printed.Name != c.Name[0].Text || c.Name[0].Language != "zh" {
			t.Errorf("%s is not named as printed: %v", c.Slug, c.Name)
		}
		if c.Printed.Misprinted {
			misprinted++
		}
		if c.Identification == "UNIDENTIFIED" {
			unidentified++
			if len(c.Name) != 1 || c.Coordinates != nil || c.Population != nil || c.Level != "" {
				t.Errorf("%s: something was made up", c.Slug)
			}
		}
		if c.Within != "" {
			inside++
		}
		if c.JoinedYear != nil || len(c.Profile) != 0 || c.Website != "" || len(c.Languages) != 0 || c.IsSample {
			t.Errorf("%s: something was made up", c.Slug)
		}
	}
	want := map[marketplace.Region]int{marketplace.Africa: 47, marketplace.Europe: 16, marketplace.MiddleEast: 8, marketplace.Americas: 15, marketplace.AsiaPacific: 74}
	for r, n := range want {
		if regions[r] != n {
			t.Errorf("%s: %d, printed %d", r, regions[r], n)
		}
	}
	if misprinted != 20 || unidentified != 5 || inside != 4 {
		t.Errorf("%d misprinted, %d unidentified, %d inside others", misprinted, unidentified, inside)
	}
}

// The sample is rich, and marked as what it is.
func TestSample(t *testing.T) {
	t.Parallel()
	store, m := open(t)
	ctx := context.Background()
	if err := seed.Load(ctx, m, seed.Options{Sample: true, Today: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	all := everything(t, store)
	countries, languages, topics, stages := map[marketplace.Country]int{}, map[marketplace.Language]int{}, map[marketplace.ID]int{}, map[marketplace.Stage]int{}
	bilingual := 0
	for _, c := range decode[marketplace.Company](t, all["company"]) {
		countries[c.Country]++
		if !c.IsSample || c.Website != "" && !strings.HasSuffix(strings.TrimSuffix(c.Website, "/"), ".example") {
			t.Errorf("%s: not marked as sample, or a real address: %s", c.Slug, c.Website)
		}
	}
	for _, s := range decode[marketplace.Solution](t, all["solution"]) {
		languages[s.Title[0].Language]++
		if len(s.Title) > 1 {
			bilingual++
		}
		for _, id := range s.Topics {
			topics[id]++
		}
		if !s.IsSample || len(s.Domains) == 0 {
			t.Errorf("%s: sample %v, domains %v", s.Slug, s.IsSample, s.Domains)
		}
	}
	for _, p := range decode[marketplace.Proposal](t, all["proposal"]) {
		stages[p.Stage]++
		if !p.IsSample || p.Country == "" {
			t.Errorf("%s: sample %v, country %q", p.Slug, p.IsSample, p.Country)
		}
	}
	if len(all["company"]) != 37 || len(countries) < 20 || len(all["solution"]) < 150 || len(languages) < 8 || bilingual < 20 || len(all["proposal"]) < 60 || len(stages) != 5 {
		t.Errorf("%d companies from %d countries, %d solutions in %d languages (%d in two), %d proposals at %d stages",
			len(all["company"]), len(countries), len(all["solution"]), len(languages), bilingual, len(all["proposal"]), len(stages))
	}
	for _, topic := range decode[marketplace.Topic](t, all["topic"]) {
		if topic.Parent != "" && topics[topic.ID] < 3 {
			t.Errorf("%s: %d solutions", topic.Slug, topics[topic.ID])
		}
	}
}

// A sample edition takes wishes when it is loaded, and has enough of them that
// a timetable can be made.
func TestSampleEvent(t *testing.T) {
	t.Parallel()
	store, m := open(t)
	if err := seed.Load(t.Context(), m, seed.Options{Sample: true}); err != nil {
		t.Fatal(err)
	}
	all := everything(t, store)
	events := decode[marketplace.Event](t, all["event"])
	if len(events) != 1 || !events[0].IsSample || events[0].Phase != marketplace.EventWishes || !m.TakesWishes(events[0]) {
		t.Fatalf("events: %+v", events)
	}
	approved, wishes, mutual := 0, map[[2]marketplace.ID]bool{}, 0
	for _, r := range decode[marketplace.Registration](t, all["registration"]) {
		if r.IsSample && r.Status == marketplace.RegistrationApproved {
			approved++
		}
	}
	for _, w := range decode[marketplace.WishList](t, all["wishlist"]) {
		for _, x := range w.Wishes {
			wishes[[2]marketplace.ID{w.Member, x.With}] = true
			if wishes[[2]marketplace.ID{x.With, w.Member}] {
				mutual++
			}
		}
	}
	if approved < 20 || len(wishes) < 100 || mutual < 10 {
		t.Errorf("%d participants, %d wishes, %d of both sides", approved, len(wishes), mutual)
	}
}

// A load that was cut off can be repeated; what people changed in between stays.
func TestLoadAgain(t *testing.T) {
	t.Parallel()
	store, m := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := seed.Load(ctx, m, seed.Options{Sample: true, Progress: func(p seed.Progress) {
		if p.What == "sample solutions" && p.Done == 20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ctx = context.Background()
	if loaded, err := seed.Loaded(ctx, m); loaded || err != nil {
		t.Fatalf("half loaded is loaded: %v %v", loaded, err)
	}
	secretariat := marketplace.InBulk(marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.System}))
	if _, err := m.UpdateCity(secretariat, "city_oslo-not-there", 0, nil); !errors.Is(err, marketplace.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := m.UpdateCity(secretariat, "city_seoul", 0, func(c *marketplace.City) error { c.Website = "https://seoul.example/"; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := seed.Load(ctx, m, seed.Options{Sample: true}); err != nil {
		t.Fatal(err)
	}
	if loaded, err := seed.Loaded(ctx, m); !loaded || err != nil {
		t.Fatalf("loaded is not loaded: %v %v", loaded, err)
	}
	all := everything(t, store)
	if len(all["city"]) != 160 || len(all["company"]) != 37 || len(all["institution"]) != 18 {
		t.Errorf("%d cities, %d companies", len(all["city"]), len(all["company"]))
	}
	if c, err := m.City(ctx, "city_seoul"); err != nil || c.Website == "" {
		t.Errorf("the change was lost: %v %v", c, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		_, m := open(b)
		if err := seed.Load(context.Background(), m, seed.Options{Sample: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// The generator makes the same solutions everywhere, and all of them are valid.
func TestGenerate(t *testing.T) {
	t.Parallel()
	h := fnv.New64a()
	languages := map[marketplace.Language]int{}
	words := 0
	for s := range seed.Generate(1000, 1) {
		fmt.Fprintf(h, "%v", []any{s.ID, s.Company, s.Title, s.Summary, s.Description, s.Topics, s.Countries, s.Deployments, s.PublishedAt})
		languages[s.Title[0].Language]++
		words += len(strings.Fields(s.Description[0].Text))
	}
	if got := h.Sum64(); got != 0xcbf24bfeb4a7df68 {
		t.Errorf("not the solutions that measurements were made with: %#x", got)
	}
	if languages["en"] < 500 || languages["en"] > 600 || languages["zh"] < 100 || len(languages) != 7 || words < 50_000 {
		t.Errorf("languages %v, %d words", languages, words)
	}
	store, m := open(t)
	if err := seed.LoadGenerated(context.Background(), m, 300, seed.Options{}); err != nil {
		t.Fatal(err)
	}
	if all := everything(t, store); len(all["solution"]) != 300 || len(all["company"]) != 15 {
		t.Errorf("%d solutions of %d companies", len(all["solution"]), len(all["company"]))
	}
}

func BenchmarkGenerate(b *testing.B) {
	for range seed.Generate(b.N, 1) {
	}
}

func BenchmarkLoadGenerated(b *testing.B) {
	_, m := open(b)
	if err := seed.LoadGenerated(context.Background(), m, b.N, seed.Options{}); err != nil {
		b.Fatal(err)
	}
}

// What members.csv says in notes and odd forms of names arrives where it belongs.
func TestFactsOfSomeCities(t *testing.T) {
	t.Parallel()
	store, m := open(t)
	if err := seed.Load(context.Background(), m, seed.Options{}); err != nil {
		t.Fatal(err)
	}
	all := everything(t, store)
	levels, ofSeats := map[marketplace.CityLevel]int{}, 0
	bySlug := map[string]*marketplace.City{}
	for _, c := range decode[marketplace.City](t, all["city"]) {
		levels[c.Level]++
		bySlug[c.Slug] = c
		if at := c.Coordinates; at != nil && at.OfSeat {
			ofSeats++
			if !strings.HasPrefix(at.Source, "GeoNames ") {
				t.Errorf("%s: coordinates of an unnamed seat: %q", c.Slug, at.Source)
			}
		}
	}
	want := map[marketplace.CityLevel]int{"": 5, "CITY": 129, "DISTRICT": 6, "LOCALITY": 5, "PREFECTURE": 1, "PROVINCE": 4, "STATE": 10}
	if fmt.Sprint(levels) != fmt.Sprint(want) || ofSeats != 25 {
		t.Errorf("levels %v, %d with the coordinates of a seat", levels, ofSeats)
	}
	for slug, want := range map[string]string{
		"kaduna-state":     "GeoNames 2335727",
		"sheikan-locality": "GeoNames 379003",
		"gimpo":            "GeoNames",
		"seoul":            "GeoNames 1835848",
	} {
		if c := bySlug[slug]; c == nil || c.Coordinates.Source != want {
			t.Errorf("%s: %v", slug, c)
		}
	}
	if c := bySlug["astana"]; c == nil || c.Name[1].Text != "Astana" || len(c.FormerNames) != 2 {
		t.Errorf("Astana: %+v", c)
	}
	if c := bySlug["beyoglu"]; c == nil || c.Level != "DISTRICT" {
		t.Errorf("Beyoğlu: %+v", c)
	}
}

// Generated solutions are as uneven as a real market, and consistent.
func TestGeneratedDistributions(t *testing.T) {
	t.Parallel()
	const n = 5000
	maturities, companies, words := map[marketplace.Maturity]int{}, map[marketplace.ID]int{}, map[string]int{}
	for s := range seed.Generate(n, 2) {
		maturities[s.Maturity]++
		companies[s.Company]++
		if early := s.Maturity == "IDEA" || s.Maturity == "PROTOTYPE"; early && len(s.Deployments) > 0 {
			t.Errorf("%s: %s is in use at %d places", s.Slug, s.Maturity, len(s.Deployments))
		}
		if s.Title[0].Language == "en" {
			for _, w := range strings.Fields(s.Description[0].Text) {
				words[w]++
			}
		}
	}
	if ideas := maturities["IDEA"]; ideas < n/100 || ideas > n/15 || maturities["DEPLOYED_MANY_CITIES"] < n/3 {
		t.Errorf("maturities %v", maturities)
	}
	most := 0
	for _, k := range companies {
		most = max(most, k)
	}
	if most < 2*n/len(companies) {
		t.Errorf("%d companies, the largest has %d of %d", len(companies), most, n)
	}
	if len(words) < 15_000 || words["the"] < 50*words["tree"]/10 {
		t.Errorf("%d words, %d the, %d tree", len(words), words["the"], words["tree"])
	}
}
