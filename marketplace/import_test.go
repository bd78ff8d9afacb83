package marketplace_test

import (
	"testing"
	"strings"
	"encoding/json"

	. "citymarket/marketplace"
)

func importCSV(t *testing.T, m *Market, a Actor, in ImportInput, text string) *ImportReport {
	t.Helper()
	in.File = strings.NewReader(text)
	if in.Format == "" { in.Format = ImportCSV }
	r, err := m.ImportSolutions(as(a), in)
	must(t, err)
	return r
}

func TestX(t *testing.T) {
	m := newMarket(t)
	in := ImportInput{Company: "acme", DryRun: true}
	text := "\xef\xbb\xbfkey;Title:en;title:zh;summary:en;topics;trl;deployment1.place;deployment1.country;deployment1.year;deployment1.city;deployment1.result:en\n" +
		"a;Kerb;路边;Sensors;parking;7;Oslo;NO;2020;oslo;\"line 1\nline 2\"\n" +
		"b;;路;;nowhere | mobility;x\n" +
		";;;;;;;;\n" +
		"b;Two;;;;;Oslo;NO;3000;oslo;r\n"
	r := importCSV(t, m, acme, in, text)
	b, _ := json.MarshalIndent(r, "", " ")
	t.Log(string(b))
	r = importCSV(t, m, acme, ImportInput{Company: "acme"}, text[:strings.Index(text, "\nb;")+1])
	must(t, m.CatchUp(as(System)))
	i, err := m.Import(as(acme), *r.Import)
	must(t, err)
	b, _ = json.MarshalIndent(i, "", " ")
	t.Log(string(b))
	s, err := m.Solution(as(acme), r.Lines[0].Solution)
	must(t, err)
	b, _ = json.MarshalIndent(s, "", " ")
	t.Log(string(b))
	e, err := m.ExportMember(as(secretariat), "company_acme")
	must(t, err)
	var out strings.Builder
	_, err = e.WriteNDJSON(&out)
	must(t, err)
	e, err = m.ExportCatalogue(as(secretariat), "members", CatalogueFilter{})
	must(t, err)
	_, err = e.WriteCSV(&out, nil)
	must(t, err)
	t.Log(out.String())
}
