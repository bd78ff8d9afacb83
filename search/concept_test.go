package search

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"citymarket/marketplace"
)

// TestConceptList reads every name of the list: each is understood, and none
// stands twice where it means the same.
func TestConceptList(t *testing.T) {
	t.Parallel()
	r := csv.NewReader(strings.NewReader(conceptsCSV))
	r.Comment = '#'
	rows := must(r.ReadAll())
	v, slugs := concepts(), make(map[string]bool)
	for _, row := range rows[1:] {
		if slugs[row[0]] {
			t.Errorf("%s stands there twice", row[0])
		}
		slugs[row[0]] = true
		for i, cell := range row[1:] {
			code, seen := rows[0][i+1], make(map[string]bool)
			for name := range strings.SplitSeq(cell, "|") {
				if cell == "" {
					continue
				}
				if name != strings.TrimSpace(name) || name == "" || seen[name] {
					t.Errorf("%s, %s: %q is empty, has spaces around it or stands there twice", row[0], code, name)
				}
				seen[name] = true
				if !slices.ContainsFunc(mentions(tokenize(name), languageOf(marketplace.Language(code))), func(m mention) bool { return m.concept == row[0] }) {
					t.Errorf("%s, %s: %q is not understood", row[0], code, name)
				}
			}
		}
	}
	if len(v.languages) < 10 || len(v.runs.names) < 100 {
		t.Errorf("%d languages, %d runs", len(v.languages), len(v.runs.names))
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		language marketplace.Language
		text     string
		want     string
	}{
		{"en", "Intelligent transport systems for ring roads", "intelligent-transport-systems 0-29"},
		{"en", "its own IT systems light the park", ""},
		{"en", "Lighting and PARKING", "lighting 0-8 parking 13-20"},
		{"en", "brt", "brt 0-3"},
		{"ru", "Система BRT", "brt 8-11"},
		{"zh", "基于智慧交通的平台", "intelligent-transport-systems 2-6"},
		{"zh-Hant", "智慧交通", "intelligent-transport-systems 0-4"},
		{"zh", "停车 ITS 停车", "intelligent-transport-systems 3-6 parking 0-2 parking 7-9"},
		{"es", "los sistemas inteligentes de transporte", "intelligent-transport-systems 4-39"},
	} {
		var got []string
		for _, m := range mentions(tokenize(c.text), languageOf(c.language)) {
			got = append(got, fmt.Sprintf("%s %d-%d", m.concept, m.start, m.end))
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.text, s, c.want)
		}
	}
}

// TestConcepts: what a query means is found in every language, below what
// says it in the query's words, and is marked.
func TestConcepts(t *testing.T) {
	t.Parallel()
	entry := func(id string, l marketplace.Language, title, body string) marketplace.Entry {
		return marketplace.Entry{Kind: "solution", ID: id, Rev: 1, Audience: []marketplace.Group{marketplace.Everyone},
			Title: marketplace.Text{{Language: l, Text: title}}, Body: []marketplace.Text{{{Language: l, Text: body}}}}
	}
	x := indexOf(t, []marketplace.Entry{
		entry("english", "en", "Intelligent transport systems", "Signals and cameras along the ring road"),
		entry("chinese", "zh", "智慧交通平台", "城市道路"),
		entry("spanish", "es", "Sistemas inteligentes de transporte", "Para el centro"),
		entry("other", "en", "Transport of goods", "An intelligent warehouse with many systems"),
		entry("parking", "fr", "Stationnement", "Places libres"),
	})
	for query, want := range map[string]string{
		"智慧交通":                                "chinese english spanish",
		"intelligent transport systems":       "english",
		"sistemas inteligentes de transporte": "spanish",
		"주차":                                  "parking",
		"парковка":                            "parking",
	} {
		got := ids(find(t, x, marketplace.FinderQuery{Text: query, Size: 10}))
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s finds %s, want %s first", query, got, want)
		}
	}
	if f := find(t, x, marketplace.FinderQuery{Text: "парковка"}); f.Suggestion != "" {
		t.Errorf("did you mean %q", f.Suggestion)
	}
	text := marketplace.Translation{Language: "en", Text: "An intelligent transport system, no more"}
	if got := x.Highlight(t.Context(), "智慧交通", text); len(got) != 1 || !slices.Equal(got[0], []marketplace.Range{{Start: 3, End: 31}}) {
		t.Errorf("marks %v", got)
	}
}
