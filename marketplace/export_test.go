package marketplace_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	. "citymarket/marketplace"
)

// endless is a store with so many published solutions, made when they are
// asked for, so that what an export holds can be told from what a store holds.
type endless struct {
	Store
	n, finds int
	fails    int // the find that fails; 0: none
}

func (e *endless) Find(_ context.Context, kind Kind, q Query) ([]Document, error) {
	if e.finds++; e.finds == e.fails {
		return nil, ErrUnavailable
	}
	from, _ := strconv.Atoi(q.After)
	var docs []Document
	for i := from; i < min(from+q.Limit, e.n) && kind == KindSolution; i++ {
		docs = append(docs, Document{ID: fmt.Sprintf("solution_%08d", i), Rev: 1, Position: strconv.Itoa(i + 1), Decode: func(into any) error {
			s := into.(*Solution)
			*s = *draft("endless")
			s.ID, s.Status = ID(fmt.Sprintf("solution_%08d", i)), SolutionPublished
			s.Description = english(strings.Repeat("A description. ", 200))
			return nil
		}})
	}
	return docs, nil
}

// heap notes the most that is in use while something is written.
type heap struct {
	written, seen int
	most          uint64
}

func (h *heap) Write(p []byte) (int, error) {
	if h.written += len(p); h.written > h.seen+4<<20 {
		h.seen = h.written
		h.most = max(h.most, inUse())
	}
	return len(p), nil
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An export of any size holds one page, and asks the store once for each page.
// It does not run beside other tests, since it measures the heap.
func TestAnExportHoldsOnePage(t *testing.T) {
	const n = 20_000
	for _, format := range []string{"ndjson", "csv"} {
		store := &endless{n: n}
		m := New(store, nil, Options{})
		e, err := m.ExportCatalogue(t.Context(), "solutions", CatalogueFilter{})
		must(t, err)
		before := inUse()
		var out heap
		var rows int
		if format == "csv" {
			rows, err = e.WriteCSV(&out, nil)
		} else {
			rows, err = e.WriteNDJSON(&out)
		}
		must(t, err)
		if rows != n || store.finds != n/100+1 {
			t.Errorf("%s: %d rows by %d store operations", format, rows, store.finds)
		}
		if out.written < 60<<20 || out.most > before+8<<20 {
			t.Errorf("%s: %d MB were written, the heap grew by %d KB", format, out.written>>20, (out.most-before)>>10)
		}
		t.Logf("%s: %d MB written, heap at most %d KB more than before", format, out.written>>20, (int64(out.most)-int64(before))>>10)
	}
}

// What is cut off does not look whole.
func TestAnExportThatFailsIsNotComplete(t *testing.T) {
	t.Parallel()
	m := New(&endless{n: 1000, fails: 5}, nil, Options{})
	e, err := m.ExportCatalogue(t.Context(), "solutions", CatalogueFilter{})
	must(t, err)
	var b strings.Builder
	if rows, err := e.WriteNDJSON(&b); !errors.Is(err, ErrUnavailable) || rows != 400 || strings.Contains(b.String(), "complete") {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func lines(t *testing.T, e *Export, err error) []map[string]any {
	t.Helper()
	must(t, err)
	var b strings.Builder
	n, err := e.WriteNDJSON(&b)
	must(t, err)
	var out []map[string]any
	for line := range strings.Lines(b.String()) {
		var v map[string]any
		must(t, json.Unmarshal([]byte(line), &v))
		out = append(out, v)
	}
	last := out[len(out)-1]
	if len(out) != n+1 || last["complete"] != true || last["count"] != float64(n) {
		t.Errorf("%d rows, at the end %v", n, last)
	}
	return out[:n]
}

// The catalogue is what a visitor sees, whoever asks: no drafts, no reviews,
// nobody's name.
func TestACatalogueIsWhatAVisitorSees(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	for i, status := range SolutionStatuses {
		s := draft(fmt.Sprintf("s-%d", i))
		s.Status = status
		s.Deployments = []Deployment{{Place: "Oslo", Country: "NO", City: "city_oslo", Year: 2020, Confirmation: &Confirmation{By: "user_secret", At: time.Now()}}}
		s.Review = &Review{By: "user_secret", At: time.Now(), Note: new("a secret note")}
		s.Imported = &Imported{Import: "import_secret", Line: 3, Key: "secret"}
		must(t, m.AddSolution(as(secretariat), s))
	}
	for i, status := range ProposalStatuses {
		must(t, m.AddProposal(as(secretariat), &Proposal{Meta: Meta{Slug: fmt.Sprintf("p-%d", i)}, City: "city_oslo", Status: status, Stage: "NEED", Funding: "NONE",
			Title: english("Less noise"), Problem: english("It is loud."), Topics: []ID{"topic_mobility"}}))
	}
	for name, want := range map[string]int{"solutions": 1, "proposals": 2, "members": 3, "topics": 2} {
		var first string
		for _, who := range []Actor{visitor, rival, oslo, memberOf("company_acme", RoleOwner), secretariat} {
			e, err := m.ExportCatalogue(as(who), name, CatalogueFilter{})
			got := lines(t, e, err)
			all := fmt.Sprint(got)
			if len(got) != want || strings.Contains(all, "secret") || strings.Contains(all, "user_") {
				t.Errorf("%s for %s: %v", name, who.User, all)
			}
			if first == "" {
				first = all
			}
			if all != first {
				t.Errorf("%s for %s differs: %s", name, who.User, all)
			}
		}
	}
	if _, err := m.ExportCatalogue(as(visitor), "users", CatalogueFilter{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a list that does not exist: %v", err)
	}
}

// Filters leave out what they do not name; a moment leaves out what has not
// changed since.
func TestACatalogueCanBeNarrowed(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	for i, country := range []Country{"NO", "KE"} {
		s := draft(fmt.Sprintf("s-%d", i))
		s.Status, s.Countries = SolutionPublished, []Country{country}
		must(t, m.AddSolution(as(secretariat), s))
	}
	now := time.Now()
	for _, c := range []struct {
		list   string
		filter CatalogueFilter
		want   int
	}{
		{"solutions", CatalogueFilter{Topic: "mobility"}, 2},
		{"solutions", CatalogueFilter{Topic: "topic_parking", Country: "KE"}, 1},
		{"solutions", CatalogueFilter{Region: Europe}, 1},
		{"solutions", CatalogueFilter{UpdatedSince: new(now.Add(-time.Hour))}, 2},
		{"solutions", CatalogueFilter{UpdatedSince: new(now.Add(time.Hour))}, 0},
		{"members", CatalogueFilter{Region: Africa}, 0},
		{"members", CatalogueFilter{Country: "NO", UpdatedSince: new(now.Add(-time.Hour))}, 3},
		{"topics", CatalogueFilter{UpdatedSince: new(now.Add(time.Hour))}, 0},
	} {
		e, err := m.ExportCatalogue(as(visitor), c.list, c.filter)
		if got := lines(t, e, err); len(got) != c.want {
			t.Errorf("%s %+v: %d", c.list, c.filter, len(got))
		}
	}
	if _, err := m.ExportCatalogue(as(visitor), "solutions", CatalogueFilter{Topic: "nowhere", Region: "MOON", Country: "XX"}); err == nil || len(err.(*InvalidError).Errors) != 3 {
		t.Error(err)
	}
}

// No cell is a formula to a spreadsheet, which also has to know that it is
// UTF-8; and the table comes back as it was.
func TestATableIsSafeAndComesBack(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	for i, title := range []string{"=HYPERLINK(\"https://evil.example\")", "+1", "-1", "@SUM(A1)", "\t=1", "'quoted'", "a|b\\", "路边"} {
		s := draft(fmt.Sprintf("s-%d", i))
		s.Status, s.Title, s.Technologies = SolutionPublished, Text{{Language: "fr", Text: "fr " + title}, {Language: "en", Text: title}}, []string{strings.TrimSpace(title), "x"}
		s.Deployments = []Deployment{{Place: title, Country: "NO", Year: 2020, City: "city_oslo", Result: english("line\nline")}}
		must(t, m.AddSolution(as(secretariat), s))
	}
	e, err := m.ExportCatalogue(as(visitor), "solutions", CatalogueFilter{})
	must(t, err)
	var b strings.Builder
	if n, err := e.WriteCSV(&b, []Language{"en", "fr", "ko"}); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	body, ok := strings.CutPrefix(b.String(), "\ufeff")
	if !ok {
		t.Error("there is no byte order mark")
	}
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	must(t, err)
	for _, r := range records {
		for _, cell := range r {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
	r := sent(t, m, acme, ImportInput{Company: "acme"}, b.String())
	if r.Unchanged != 8 || r.Import != nil || !r.IsValid {
		t.Errorf("%+v", r)
	}
	e, err = m.ExportCatalogue(as(visitor), "solutions", CatalogueFilter{})
	must(t, err)
	b.Reset()
	_, err = e.WriteNDJSON(&b)
	must(t, err)
	if r := sent(t, m, acme, ImportInput{Company: "acme"}, b.String()); r.Unchanged != 8 || !r.IsValid {
		t.Errorf("%+v", r)
	}
}

// The export of a member has everything that is the member's, and nothing of
// another one; no secret is in it.
func TestEverythingAMemberOwnsIsExported(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	must(t, m.AddUser(as(System), &User{Meta: Meta{ID: "user_ada"}, Name: "Ada", Email: "ada@example.org"}, "a secret password"))
	must(t, m.PlaceInTeam(as(System), "company_acme", "user_ada", TeamRole(RoleOwner)))
	ada := Actor{User: "user_ada", Memberships: []Membership{{Member: "company_acme", Role: RoleOwner}}, Via: "session_test"}
	_, err := m.Invite(as(ada), InviteInput{Member: new(ID("company_acme")), Email: "bob@example.org", Role: TeamRole(RoleEditor)})
	must(t, err)
	must(t, m.AddSolution(as(rival), &Solution{Meta: Meta{Slug: "theirs"}, Company: "company_rival", Title: english("Theirs"), Maturity: "IDEA", PriceModel: "FREE", PriceBand: "FREE"}))
	for i, status := range SolutionStatuses {
		s := draft(fmt.Sprintf("s-%d", i))
		s.Status = status
		must(t, m.AddSolution(as(secretariat), s))
	}
	sent(t, m, ada, ImportInput{Company: "acme"}, "key,title:en\n1,Imported\n")
	must(t, m.CatchUp(as(System)))
	e, err := m.ExportMember(as(ada), "company_acme")
	count := map[any]int{}
	for _, l := range lines(t, e, err) {
		count[l["kind"]]++
		text := fmt.Sprint(l)
		if strings.Contains(text, "password") || strings.Contains(text, "Theirs") || strings.Contains(text, "hash") || strings.Contains(text, "company_rival") {
			t.Error(text)
		}
		if l["kind"] == "TEAM" && !strings.Contains(text, "name:Ada") {
			t.Error(text)
		}
	}
	delete(count, "AUDIT")
	if got := fmt.Sprint(count); got != "map[COMPANY:1 IMPORT:1 SOLUTION:5 TEAM:1 TICKET:1]" {
		t.Error(got)
	}
	e, err = m.ExportAuditLog(as(ada), new(ID("company_acme")))
	if log := lines(t, e, err); len(log) < 8 || fmt.Sprint(log[0]["at"]) > fmt.Sprint(log[len(log)-1]["at"]) {
		t.Errorf("%d entries", len(log))
	}
	for _, id := range []ID{"company_nowhere", "topic_parking", "user_ada", ""} {
		if _, err := m.ExportMember(as(secretariat), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
