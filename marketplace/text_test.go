package marketplace

import (
	"context"
	"strings"
	"testing"
)

func TestTextIsReadInTheBestLanguage(t *testing.T) {
	t.Parallel()
	text := func(languages ...Language) Text {
		var t Text
		for _, l := range languages {
			t = append(t, Translation{Language: l, Text: "in " + string(l)})
		}
		return t
	}
	for _, c := range []struct {
		have   Text
		wished []Language
		want   Language
	}{
		{text("ko", "en"), []Language{"ko"}, "ko"},
		{text("ko", "en"), []Language{"ko-KR"}, "ko"},
		{text("pt-BR", "en"), []Language{"pt"}, "pt-BR"},
		{text("zh-Hant", "en"), []Language{"zh-TW"}, "zh-Hant"},
		{text("ko", "en"), []Language{"fr", "ko"}, "ko"},
		{text("ko", "en"), []Language{"fr"}, "en"},
		{text("ko", "en-GB", "es"), nil, "en-GB"},
		{text("ko", "es"), []Language{"fr"}, "ko"},
		{text("ar"), []Language{"en"}, "ar"},
		{text("es", "zh"), []Language{"zh", "es"}, "zh"},
	} {
		got := c.have.In(c.wished)
		if got.Language != c.want || got.Text != "in "+string(c.want) {
			t.Errorf("%v for %v: got %v, want %s", c.have, c.wished, got.Language, c.want)
		}
		if got.IsOriginal() != (c.want == c.have[0].Language) {
			t.Errorf("%v for %v: original %v", c.have, c.wished, got.IsOriginal())
		}
	}
	if Text(nil).In([]Language{"en"}) != nil {
		t.Error("an empty text reads as something")
	}
	ctx := WithViewer(context.Background(), Viewer{Languages: []Language{"es"}})
	if l := Localize(ctx, text("ko", "en", "es"), []Language{"fr"}); l.Language != "es" {
		t.Errorf("the viewer's languages come after the argument's: got %s", l.Language)
	}
	if l := Localize(ctx, text("ko", "en", "es"), []Language{"ko"}); l.Language != "ko" {
		t.Errorf("the argument's languages come first: got %s", l.Language)
	}
}

func TestAcceptedLanguages(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                               "",
		"ko":                             "ko",
		"en;q=0.5, ko, zh-tw;q=0.8":      "ko zh-TW en",
		"*":                              "",
		"es-419,es;q=0.9":                "es-419 es",
		"fr;q=0, en":                     "en",
		"not a header at all;;;":         "",
		strings.Repeat("en-GB,", 10_000): strings.TrimSpace(strings.Repeat("en-GB ", 10)),
	} {
		var got []string
		for _, l := range AcceptedLanguages(header) {
			got = append(got, string(l))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%.40q: got %q, want %q", header, s, want)
		}
	}
}

func FuzzLanguages(f *testing.F) {
	f.Add("ko-KR,ko;q=0.9,en;q=0.8", "zh-Hant")
	f.Fuzz(func(t *testing.T, header, tag string) {
		wished := AcceptedLanguages(header)
		if len(wished) > 10 {
			t.Errorf("%d languages", len(wished))
		}
		if l, ok := ParseLanguage(tag); ok {
			if again, ok := ParseLanguage(string(l)); !ok || again != l {
				t.Errorf("%q is canonical as %q, that as %q", tag, l, again)
			}
			(Text{{Language: l, Text: "a"}, {Language: "en", Text: "b"}}).In(wished)
		}
	})
}

func TestCountries(t *testing.T) {
	t.Parallel()
	n := 0
	for c, r := range regionOf() {
		n++
		if len(c) != 2 || c.Name(nil) == string(c) || c.Region() != r {
			t.Errorf("%s: name %q, region %s", c, c.Name(nil), c.Region())
		}
	}
	if n < 245 {
		t.Errorf("only %d countries", n)
	}
	for _, c := range []struct {
		code     Country
		language Language
		want     string
	}{{"KR", "en", "South Korea"}, {"KR", "ko", "대한민국"}, {"TR", "fr", "Turquie"}, {"CN", "zh", "中国"}, {"EG", "ar", "مصر"}, {"DE", "tlh", "Germany"}, {"??", "en", "??"}} {
		if got := c.code.Name([]Language{c.language}); got != c.want {
			t.Errorf("%s in %s: got %q, want %q", c.code, c.language, got, c.want)
		}
	}
}
