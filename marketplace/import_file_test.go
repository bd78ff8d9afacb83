package marketplace

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// Whatever is sent, it is read to its end without harm: rows come with
// growing numbers of lines that the file has, their fields can be written,
// and what was read is read again from how it is kept.
func FuzzImportFile(f *testing.F) {
	for _, s := range []string{
		"key,title:en\na,Kerb sensors\nb,\"two\nlines\"\n",
		"\xef\xbb\xbftitle:zh;topics;deployment1.place;deployment1.year;deployment1.result:en\n路;a|b\\|c;Oslo;2020;=1+1\n\n;;;;\n",
		"title:en\tmedia\n'=x\t[{\"type\":\"IMAGE\"}]\n\"a",
		"title:en,title:EN\n", "\xff\xfet\x00", "a,b\n1,2,3\n", ",,\n", "trl\n99999999999999999999\n", "deployment0.place,media1.title\n",
		`{"title":[{"language":"en","text":"x"}],"topics":["parking"],"trl":7}` + "\n\n" + `{"title:en":null,"deployments":[{"city":"oslo","result":null},null,3]}`,
		"{\n", `{"complete":true,"count":3}`, `[]`, `{"key":3,"key":"a"}`, "\xef\xbb\xbf{}", `{"title:en":{"a":[1e400]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, format := range []ImportFormat{ImportCSV, ImportNDJSON} {
			last := 0
			lines := 1 + bytes.Count(file, []byte("\n"))
			for row, err := range importRows(format, bytes.NewReader(file)) {
				if err != nil {
					t.Fatal(err)
				}
				if row.line <= last || row.line > lines {
					t.Fatalf("line %d after %d, of %d", row.line, last, lines)
				}
				last = row.line
				content := importContent(row.fields)
				again, err := parseContent(content.String())
				if err != nil || again.String() != content.String() {
					t.Fatalf("%s is read as %s: %v", content, again, err)
				}
				content.refs()
				content = importContent{}
				for _, f := range row.fields {
					if f.name != "company" && f.name != "key" && f.name != "id" {
						content = append(content, f)
					}
				}
				s := newSolution("company_acme")
				errs := problemsOf(content.apply(s))
				for _, e := range append(errs, problemsOf(check(s))...) {
					row.column(e.Path, s)
				}
			}
		}
	})
}

// A list in a cell is read as it was written, and so is a text that looks
// like a formula.
func FuzzCells(f *testing.F) {
	f.Add(`a|b\`, "=1+1")
	f.Add(`\|`, "'-")
	f.Fuzz(func(t *testing.T, a, b string) {
		var want []string
		for _, s := range []string{a, b} {
			if s = strings.TrimSpace(s); s != "" {
				want = append(want, s)
			}
		}
		if got := splitCell(joinCell([]string{a, b})); strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Errorf("%q became %q", want, got)
		}
		g := quoted(a)
		if g != "" && strings.ContainsRune("=+-@\t\r", rune(g[0])) {
			t.Errorf("%q is a formula", g)
		}
		if g != a && unquoted(g) != a {
			t.Errorf("%q became %q", a, unquoted(g))
		}
	})
}

// Every kind of document is exported with what a member owns, or it is said
// why not; and every list is answered by an index.
func TestEveryKindIsExportedOrExplained(t *testing.T) {
	t.Parallel()
	schema := StoreSchema()
	seen := map[Kind]int{}
	for _, p := range possessions {
		seen[p.kind]++
		if p.query != nil {
			q := p.query("company_acme")
			q.Limit = exportPage
			if _, err := schema.Index(p.kind, q); err != nil {
				t.Errorf("%s: %v", p.kind, err)
			}
		}
		for _, c := range p.columns {
			row := row{doc: kinds[p.kind].new()}
			if c.get == nil && c.read == nil && !fieldExists(row.doc, c.name) {
				t.Errorf("%s has no field %s", p.kind, c.name)
			}
		}
		if len(p.columns) == 0 {
			t.Errorf("%s has no columns", p.kind)
		}
	}
	for k, why := range notPossessed {
		seen[k]++
		if why == "" {
			t.Errorf("why is %s not exported?", k)
		}
	}
	for k := range kinds {
		if seen[k] != 1 {
			t.Errorf("%s is %d times among what is exported and what is not: add it to possessions or to notPossessed", k, seen[k])
		}
	}
	for name, list := range catalogues {
		for _, c := range list.columns {
			ok := c.get != nil || c.read != nil
			for _, k := range list.kinds {
				ok = ok || fieldExists(kinds[k].new(), c.name)
			}
			if !ok {
				t.Errorf("%s: nothing has the field %s", name, c.name)
			}
		}
	}
}

// What a document has and an export leaves out is left out on purpose: a
// field that is new is either told or listed here.
func TestEveryFieldIsExportedOrLeftOut(t *testing.T) {
	t.Parallel()
	left := map[Kind]string{
		KindTicket:   "updatedAt hash epoch purpose team member user letter dueAt tries failure",
		KindImport:   "updatedAt batch parts next",
		KindAudit:    "createdAt updatedAt revision moment via agent members onBehalf readers unheard",
		KindSolution: "domains", KindProposal: "domains country region", // follow from others
		KindMeeting:      "case fromPeople toPeople sequence fromClock toClock startsAt concerns subjects pending reminded dueAt timetabled isUnheard vacant isOffSlot holds",
		KindAvailability: "id createdAt", // follows from whom it is of; was there before
		KindTeam:         "createdAt updatedAt spent", KindMessage: "key",
		KindUpload: "updatedAt member thumbnails contents dueAt isLeaving",
		KindCase:   "officer takenAt handOvers dueAt remindAt", KindCandidacy: "createdAt case reason score isContacted isIntroduced",
		KindRegistration: "seat gone",
	}
	for _, p := range possessions {
		told := " slug marks isDeleted isSample " + left[p.kind] + " "
		for _, c := range p.columns {
			told += c.name + " "
		}
		for _, name := range fieldNames(kinds[p.kind].new()) {
			if !strings.Contains(told, " "+name+" ") {
				t.Errorf("%s: is %s for those who own it? Add it to the columns, or to what is left out", p.kind, name)
			}
		}
	}
}

func fieldExists(doc entity, name string) bool {
	return fieldNamed(reflect.ValueOf(doc).Elem(), name).IsValid()
}

func fieldNames(doc entity) []string {
	var names []string
	var collect func(t reflect.Type)
	collect = func(t reflect.Type) {
		for f := range t.Fields() {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && tag == "" {
				collect(f.Type)
			} else if f.IsExported() && tag != "-" {
				names = append(names, tag)
			}
		}
	}
	collect(reflect.TypeOf(doc).Elem())
	return names
}
