package marketplace_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	. "citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
)

// send imports a file, as CSV where its first line is no JSON.
func send(m *Market, a Actor, in ImportInput, file string) (*ImportReport, error) {
	in.File, in.Format = strings.NewReader(file), ImportCSV
	if strings.HasPrefix(file, "{") {
		in.Format = ImportNDJSON
	}
	return m.ImportSolutions(as(a), in)
}

// sent is send for a request that is right.
func sent(t *testing.T, m *Market, a Actor, in ImportInput, file string) *ImportReport {
	t.Helper()
	r, err := send(m, a, in, file)
	must(t, err)
	return r
}

// verdicts are what a report says of each line.
func verdicts(r *ImportReport) string {
	var b strings.Builder
	for _, l := range r.Lines {
		fmt.Fprintf(&b, "%d %s", l.Line, l.Result)
		for _, e := range l.Errors {
			fmt.Fprintf(&b, " | %s %s", e.Path, e.Code)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func solutionsOf(t *testing.T, m *Market, company ID) []*Solution {
	t.Helper()
	e, err := m.ExportMember(as(secretariat), company)
	must(t, err)
	var b strings.Builder
	_, err = e.WriteNDJSON(&b)
	must(t, err)
	var out []*Solution
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, `{"kind":"SOLUTION"`) {
			s := new(Solution)
			must(t, json.Unmarshal([]byte(line), s))
			out = append(out, s)
		}
	}
	return out
}

const table = "\xef\xbb\xbfKey;Title:en;title:zh;summary:en;topics;trl;technologies;deployment2.place;deployment2.country;deployment2.year;deployment2.city;deployment2.result:en;slug\r\n" +
	"a;Kerb sensors;路边;Sensors;parking|topic_mobility;7;LoRa | NB\\|IoT;Oslo;NO;2020;oslo;\"line 1\r\nline 2\";whatever\r\n" +
	";;;;;;;;;;;;\r\n" +
	"b;'=Sum;;;;;;;;;;;\r\n"

// A table becomes drafts; the same table again changes nothing; a changed
// cell changes one field; an empty one leaves what is there.
func TestATableIsImported(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	dry := sent(t, m, acme, ImportInput{Company: "acme", DryRun: true}, table)
	if got := verdicts(dry); !dry.IsValid || dry.Import != nil || got != "2 ADDED\n5 ADDED\n" || fmt.Sprint(dry.Ignored) != "[slug]" {
		t.Fatalf("%+v %s", dry, got)
	}
	must(t, m.CatchUp(as(System)))
	if list := solutionsOf(t, m, "company_acme"); len(list) != 0 {
		t.Fatalf("a dry run wrote %v", list)
	}
	r := sent(t, m, acme, ImportInput{Company: "company_acme"}, table)
	if r.Import == nil {
		t.Fatalf("%+v", r)
	}
	if again := sent(t, m, acme, ImportInput{Company: "acme"}, table); !again.IsRepeated || *again.Import != *r.Import || again.Added != 2 {
		t.Errorf("sent twice: %+v", again)
	}
	must(t, m.CatchUp(as(System)))
	a, err := m.Solution(as(acme), r.Lines[0].Solution)
	must(t, err)
	if got := fmt.Sprintln(a.Status, a.Title, a.Topics, *a.TRL, a.Technologies, a.Slug, len(a.Deployments), a.Deployments[0].City, a.Deployments[0].Result[0].Text); got !=
		"DRAFT [{en Kerb sensors false} {zh 路边 false}] [topic_parking topic_mobility] 7 [LoRa NB|IoT] kerb-sensors 1 city_oslo line 1\nline 2\n" {
		t.Errorf("%q", got)
	}
	if b, err := m.Solution(as(acme), r.Lines[1].Solution); err != nil || b.Title[0].Text != "=Sum" || b.Imported.Key != "b" {
		t.Errorf("%+v %v", b, err)
	}
	i, err := m.Import(as(acme), *r.Import)
	if err != nil || i.State != ImportDone || i.Applied != 2 || i.Failed != 0 || i.DoneAt == nil {
		t.Errorf("%+v %v", i, err)
	}
	next := sent(t, m, secretariat, ImportInput{Company: "acme"}, "key,title:en,title:zh,trl\na,Kerb sensors II,,\nb,=Sum,,\nc,Third,,\n")
	if got := verdicts(next); got != "2 CHANGED\n3 UNCHANGED\n4 ADDED\n" {
		t.Error(got)
	}
	must(t, m.CatchUp(as(System)))
	a, err = m.Solution(as(acme), a.ID)
	if err != nil || fmt.Sprint(a.Title, *a.TRL) != "[{en Kerb sensors II false} {zh 路边 true}] 7" {
		t.Errorf("%v %v", a.Title, err)
	}
	log, err := m.AuditLog(as(secretariat), &a.ID, Slice{})
	if err != nil || len(log.Edges) != 2 || log.Edges[0].Node.Action != "EDIT" || log.Edges[0].Node.By != secretariat.User || log.Edges[1].Node.Action != "ADD" || log.Edges[1].Node.By != acme.User {
		t.Errorf("%+v %v", log.Nodes(), err)
	}
}

// Objects change what is there as the API's edits do: null empties, the id
// names a solution of any origin, drafts are published for officers alone.
func TestLinesOfJSONAreImported(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	s := draft("kerb")
	s.Technologies = []string{"LoRa"}
	must(t, m.AddSolution(as(acme), s))
	r := sent(t, m, secretariat, ImportInput{Publish: true}, fmt.Sprintf(`{"company":"acme","id":%q,"technologies":null,"title:ko":"연석 센서","sdgs":[11]}
{"company":"rival","key":"1","title":[{"language":"en","text":"Theirs"}],"summary":[{"language":"en","text":"What they sell."}],"topics":["parking"]}
{"complete":true,"count":2}
`, s.ID))
	if got := verdicts(r); got != "1 CHANGED\n2 ADDED\n" {
		t.Fatal(got)
	}
	must(t, m.CatchUp(as(System)))
	s, err := m.Solution(as(acme), s.ID)
	if err != nil || fmt.Sprintf("%v %v %v %v", s.Technologies, s.Title, s.SDGs, s.Status) != "[] [{en Kerb sensors false} {ko 연석 센서 false}] [11] DRAFT" {
		t.Errorf("%+v %v", s, err)
	}
	if p, err := m.Solution(as(visitor), r.Lines[1].Solution); err != nil || p.Company != "company_rival" || p.PublishedAt == nil {
		t.Errorf("%+v %v", p, err)
	}
	for _, who := range []Actor{acme, rival} {
		if i, err := m.Import(as(who), *r.Import); !errors.Is(err, ErrNotFound) {
			t.Errorf("one company sees what is imported for several: %+v %v", i, err)
		}
	}
}

// What is wrong is told of each line with the names that the file uses, and
// then nothing of the file is written.
func TestMistakesInAFileAreNamed(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	hers := draft("hers")
	hers.Company = "company_rival"
	must(t, m.AddSolution(as(rival), hers))
	long := strings.Repeat("x", 300<<10)
	for _, c := range []struct{ name, file, want string }{
		{"nothing", "", "1 INVALID |  REQUIRED\n"},
		{"names", "title,colour,title:en,TITLE:EN,title:xxxxxxxxxxx,deployment1.result\nx,,,,,", "1 INVALID | title INVALID | colour INVALID | TITLE:EN DUPLICATE | title:xxxxxxxxxxx INVALID | deployment1.result INVALID\n"},
		{"another encoding", "\xff\xfet\x00i\x00", "1 INVALID |  INVALID\n"},
		{"another encoding of a cell", "title:en\nZ\xfcrich\nParis\n", "2 INVALID |  INVALID\n3 ADDED\n"},
		{"cells", "title:en,TRL,topics,media,sdgs,x\n", "1 INVALID | x INVALID\n"},
		{"values", "title:en,TRL,topics,media,sdgs,company\n,ten,parking|nowhere,{,x,acme\nA,11,mobility,[],18,acme\nB,1,,,,rival\n",
			"2 INVALID | TRL INVALID | media INVALID | sdgs INVALID | topics NOT_FOUND | title REQUIRED\n3 INVALID | sdgs INVALID | TRL OUT_OF_RANGE\n4 INVALID | company INVALID\n"},
		{"deployments", "title:en,deployment1.place,deployment3.place,deployment3.country,deployment3.year,deployment3.city,deployment3.result:en,deployment1.country,deployment1.year\n" +
			"A,Oslo,Bergen,NO,1,oslo," + strings.Repeat("x", 2001) + ",NO,2020\nB,,Bergen,NO,2020,bergen,,,\n",
			"2 INVALID | deployment3.year OUT_OF_RANGE | deployment3.result:en TOO_LONG\n3 INVALID | deployment3.city NOT_FOUND\n"},
		{"keys", "key,title:en\na,A\nb,\na,C\n", "2 ADDED\n3 INVALID | title REQUIRED\n4 INVALID | key DUPLICATE\n"},
		{"ids", "id,title:en\n" + string(hers.ID) + ",A\nsolution_nowhere,A\ncity_oslo,A\n", "2 INVALID | id NOT_FOUND\n3 INVALID | id NOT_FOUND\n4 INVALID | id INVALID\n"},
		{"quotes", "key,title:en\n\"a\n\nb\",B\nc,\"C", "2 ADDED\n5 INVALID |  INVALID\n"},
		{"too many cells", "key,title:en\na,A, with a comma\n", "2 INVALID |  INVALID\n"},
		{"a long row", "title:en\n" + long + "\nB\n", "2 INVALID |  TOO_LONG\n3 ADDED\n"},
		{"a long line", `{"title:en":"` + long + "\"}\n" + `{"title:en":"B"}`, "1 INVALID |  TOO_LONG\n2 ADDED\n"},
		{"JSON", "{\"title:en\":\"A\"}\n[1]\n\n{\"title:en\":7}\n{\"title\":7,\"key\":{}}\n{\"colour\":1}\n{\"trl\":1,\"trl\":2}\nnull\n{\"title:en\":\"A\",\"deployments\":[{\"colour\":1}],\"topics\":[7]}",
			"1 ADDED\n2 INVALID |  INVALID\n4 INVALID | title:en INVALID\n5 INVALID | key INVALID | title INVALID\n6 INVALID | colour INVALID | title REQUIRED\n7 INVALID | trl DUPLICATE | title REQUIRED\n8 INVALID |  INVALID\n9 INVALID | deployments INVALID | topics INVALID\n"},
		{"paths of JSON", `{"title":[{"language":"en","text":"A"},{"language":"en","text":""}],"topics":["topic_parking","topic_nowhere"],"deployments":[{"place":"x","country":"NO","year":1}]}`,
			"1 INVALID | title[1].language DUPLICATE | title[1].text REQUIRED | deployments[0].year OUT_OF_RANGE | topics[1] NOT_FOUND\n"},
	} {
		r, err := send(m, acme, ImportInput{Company: "acme", Key: &c.name}, c.file)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := verdicts(r); got != c.want || r.IsValid || r.Import != nil {
			t.Errorf("%s: %+v\n%s", c.name, r, got)
		}
	}
	many := strings.Repeat("A\n", MaxImportLines+2)
	if r := sent(t, m, acme, ImportInput{Company: "acme"}, "title:en\n"+many); r.Added != MaxImportLines || r.Invalid != 1 || r.Lines[MaxImportLines].Line != MaxImportLines+2 {
		t.Errorf("%d added, %d invalid", r.Added, r.Invalid)
	}
	must(t, m.CatchUp(as(System)))
	if list := solutionsOf(t, m, "company_acme"); len(list) != 0 {
		t.Errorf("%d were written", len(list))
	}
}

func memberOf(member ID, role MemberRole) Actor {
	return Actor{User: "user_someone", Memberships: []Membership{{Member: member, Role: role}}, Via: "session_test"}
}

// Who may import, list imports and export a member, tried by everybody.
func TestWhoMayImportAndExport(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	reader, writer := acme, acme
	reader.Via, reader.ReadOnly = "token_test", true
	writer.Via = "token_test"
	ownerWithToken := memberOf("company_acme", RoleOwner)
	ownerWithToken.Via, ownerWithToken.ReadOnly = "token_test", true
	n := 0
	file := func() string {
		n++
		return fmt.Sprintf("title:en,summary:en,topics\nThing %d,What it does,parking\n", n)
	}
	company := ID("company_acme")
	for _, c := range []struct{ what, may string }{
		{"import", "acme editor, acme owner, token, officer, admin"},
		{"import with the company in the lines", "acme editor, acme owner, token, officer, admin"},
		{"publish", "officer, admin"},
		{"list", "acme viewer, acme editor, acme owner, token, reading token, owner's reading token, editor of the network, officer, admin"},
		{"list all", "editor of the network, officer, admin"},
		{"export", "acme owner, owner's reading token, editor of the network, officer, admin"},
		{"export the log", "acme owner, owner's reading token, editor of the network, officer, admin"},
		{"export the whole log", "editor of the network, officer, admin"},
	} {
		for who, a := range map[string]Actor{
			"visitor": visitor, "stranger": {User: "user_nobody", Via: "session_test"}, "rival": rival, "rival owner": memberOf("company_rival", RoleOwner), "city": oslo,
			"acme viewer": memberOf(company, RoleViewer), "acme editor": acme, "acme owner": memberOf(company, RoleOwner), "token": writer, "reading token": reader, "owner's reading token": ownerWithToken,
			"editor of the network": {User: "user_e", Secretariat: SecretariatEditor, Via: "session_test"}, "officer": secretariat, "admin": {User: "user_a", Secretariat: SecretariatAdmin, Via: "session_test"},
		} {
			var err error
			switch c.what {
			case "import":
				_, err = send(m, a, ImportInput{Company: "acme", DryRun: true}, file())
			case "import with the company in the lines":
				var r *ImportReport
				if r, err = send(m, a, ImportInput{}, strings.ReplaceAll(strings.Replace(file(), "\n", ",company\n", 1), "parking\n", "parking,acme\n")); err == nil && !r.IsValid {
					err = ErrForbidden
				}
			case "publish":
				_, err = send(m, a, ImportInput{Company: "acme", Publish: true}, file())
			case "list":
				_, err = m.Imports(as(a), &company, Slice{})
			case "list all":
				_, err = m.Imports(as(a), nil, Slice{})
			case "export":
				_, err = m.ExportMember(as(a), company)
			case "export the log":
				_, err = m.ExportAuditLog(as(a), &company)
			case "export the whole log":
				_, err = m.ExportAuditLog(as(a), nil)
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("%s by %s: %v", c.what, who, err)
			}
			if may := slices.Contains(strings.Split(c.may, ", "), who); may != (err == nil) {
				t.Errorf("%s by %s: %v", c.what, who, err)
			}
		}
	}
	if _, err := send(m, acme, ImportInput{Company: "nowhere"}, "x"); !errors.Is(err, ErrInvalid) {
		t.Errorf("no such company: %v", err)
	}
}

var errKilled = errors.New("killed")

// mortal is a store that is cut off before one of its operations, which is
// the same as after the one before.
type mortal struct {
	Store
	mu   sync.Mutex
	left int
	kill context.CancelFunc
}

func (s *mortal) do(operation func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left > 0 {
		return operation()
	}
	s.kill()
	return errKilled
}

func (s *mortal) Get(ctx context.Context, kind Kind, id string) (d Document, err error) {
	err = s.do(func() error { d, err = s.Store.Get(ctx, kind, id); return err })
	return d, err
}

func (s *mortal) Find(ctx context.Context, kind Kind, q Query) (list []Document, err error) {
	err = s.do(func() error { list, err = s.Store.Find(ctx, kind, q); return err })
	return list, err
}

func (s *mortal) Put(ctx context.Context, w Write) (rev int64, err error) {
	err = s.do(func() error { rev, err = s.Store.Put(ctx, w); return err })
	return rev, err
}

func (s *mortal) Changes(ctx context.Context, q FeedQuery) (f Feed, err error) {
	err = s.do(func() error { f, err = s.Store.Changes(ctx, q); return err })
	return f, err
}

// Wherever the server is stopped: a client that sends the file again, and a
// worker that goes on, bring every line to be applied once. What has not been
// accepted leaves nothing that anybody sees.
func TestAnImportIsAppliedOnceWhereverTheServerStops(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(MemoryDir(t), "test.db"), StoreSchema())
	must(t, err)
	t.Cleanup(func() { store.Close() })
	whole := fill(t, store)
	must(t, whole.CatchUp(as(System)))
	deaths := 0
	for n := 1; ; n += KillEvery() {
		name := fmt.Sprintf("company-%d", n)
		company := &Company{Meta: Meta{ID: ID("company_" + name), Slug: name}, Size: "SME", ContactPolicy: "ANYONE"}
		company.Name, company.Country, company.Region = english(name), "NO", Europe
		must(t, whole.AddCompany(as(System), company))
		editor := editorOf(company.ID)
		in := ImportInput{Company: name}
		sent(t, whole, editor, in, "key,title:en,technologies\na,A,\n")
		must(t, whole.CatchUp(as(System)))

		ctx, cancel := context.WithCancel(context.Background())
		s := &mortal{Store: store, left: n, kill: cancel}
		m := New(s, nil, Options{})
		file := "key,title:en,technologies\na,A,changed\nb,B,\n,C,\n,C,\n"
		in.File, in.Format = strings.NewReader(file), ImportCSV
		_, err := m.ImportSolutions(InBulk(WithViewer(ctx, Viewer{Actor: editor})), in)
		if err == nil {
			err = m.CatchUp(WithViewer(ctx, Viewer{Actor: System}))
		}
		cancel()
		if err == nil {
			break
		}
		deaths++
		if titles := len(solutionsOf(t, whole, company.ID)); titles > 1 {
			page, err := whole.Imports(as(editor), &company.ID, Slice{})
			must(t, err)
			if len(page.Edges) < 2 {
				t.Fatalf("killed at %d: %d solutions of a file that was not accepted", n, titles)
			}
		}
		sent(t, whole, editor, in, file)
		must(t, whole.CatchUp(as(System)))
		var titles []string
		for _, s := range solutionsOf(t, whole, company.ID) {
			titles = append(titles, s.Title[0].Text+strings.Join(s.Technologies, ""))
			log, err := whole.AuditLog(as(secretariat), &s.ID, Slice{})
			must(t, err)
			want := 1
			if len(s.Technologies) > 0 {
				want = 2
			}
			if len(log.Edges) != want {
				t.Errorf("killed at %d: %d entries on %s in the log", n, len(log.Edges), s.Title[0].Text)
			}
		}
		slices.Sort(titles)
		if fmt.Sprint(titles) != "[Achanged B C C]" {
			t.Fatalf("killed at %d: %v", n, titles)
		}
		page, err := whole.Imports(as(editor), &company.ID, Slice{})
		must(t, err)
		for _, i := range page.Nodes() {
			if i.State != ImportDone || i.Failed != 0 || i.Applied != i.Added+i.Changed {
				t.Errorf("killed at %d: %+v", n, i)
			}
		}
		if len(page.Edges) != 2 {
			t.Errorf("killed at %d: %d imports", n, len(page.Edges))
		}
	}
	if deaths*KillEvery() < 60 {
		t.Errorf("the story has only %d deaths", deaths)
	}
}

// A file of several parts, beside another one, is applied once as well.
func TestFilesOfSeveralPartsTakeTurns(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(MemoryDir(t), "test.db"), StoreSchema())
	must(t, err)
	t.Cleanup(func() { store.Close() })
	whole := fill(t, store)
	const lines = 220
	var file strings.Builder
	file.WriteString("title:en,company\n")
	for i := range lines {
		fmt.Fprintf(&file, "Thing %d,%s\n", i, []string{"acme", "rival"}[i%2])
	}
	sent(t, whole, acme, ImportInput{Company: "acme"}, "title:en\nAlone\n")
	r := sent(t, whole, secretariat, ImportInput{}, file.String())
	for killed := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		m := New(&mortal{Store: store, left: 150 + 40*killed, kill: cancel}, nil, Options{})
		if err := m.CatchUp(WithViewer(ctx, Viewer{Actor: System})); err == nil {
			t.Errorf("the worker was not stopped at %d", killed)
		}
		cancel()
	}
	must(t, whole.CatchUp(as(System)))
	i, err := whole.Import(as(secretariat), *r.Import)
	if err != nil || i.State != ImportDone || i.Applied != lines || i.Parts != 3 {
		t.Errorf("%+v %v", i, err)
	}
	seen := map[string]bool{}
	for _, company := range []ID{"company_acme", "company_rival"} {
		for _, s := range solutionsOf(t, whole, company) {
			if seen[s.Title[0].Text] {
				t.Errorf("%s is there twice", s.Title[0].Text)
			}
			seen[s.Title[0].Text] = true
		}
	}
	if len(seen) != lines+1 {
		t.Errorf("%d solutions", len(seen))
	}
}

// What has changed after a file was accepted fails its line and no other.
func TestALineFailsOnlyForWhatCameUpLater(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	r := sent(t, m, acme, ImportInput{Company: "acme"}, "key,title:en\na,A\nb,B\nc,C\n")
	must(t, m.CatchUp(as(System)))
	sent(t, m, acme, ImportInput{Company: "acme"}, "key,title:en\na,AA\nb,BB\nc,CC\nd,Kerb\n")
	_, err := m.UpdateSolution(as(secretariat), r.Lines[0].Solution, 0, func(s *Solution) error { s.Company = "company_rival"; return nil })
	must(t, err)
	must(t, m.DeleteSolution(as(acme), r.Lines[1].Solution, nil))
	taken := draft("kerb")
	must(t, m.AddSolution(as(acme), taken))
	must(t, m.CatchUp(as(System)))
	company := ID("company_acme")
	page, err := m.Imports(as(acme), &company, Slice{})
	must(t, err)
	i := page.Nodes()[slices.IndexFunc(page.Nodes(), func(i *Import) bool { return i.Changed == 3 })]
	if i.State != ImportDone || i.Applied != 3 || i.Failed != 1 || len(i.Failures) != 1 || i.Failures[0].Line != 2 || i.Failures[0].Errors[0].Path != "company" {
		t.Errorf("%+v", i)
	}
	var titles []string
	for _, s := range solutionsOf(t, m, company) {
		titles = append(titles, s.Title[0].Text)
		if s.Title[0].Text == "Kerb" && !strings.HasPrefix(s.Slug, "kerb-") {
			t.Errorf("the slug is %s", s.Slug)
		}
	}
	slices.Sort(titles)
	if fmt.Sprint(titles) != "[BB CC Kerb Kerb sensors]" {
		t.Error(titles)
	}
}
