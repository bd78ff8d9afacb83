package search

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

// The corpus: an id, then titles and texts by language. What a title line
// begins with is its language, "name" is a further name, ">" a body.
const corpus = `
parking
 en Smart parking guidance
 es Guía de estacionamiento inteligente
 zh 智慧停车诱导系统
 ko 스마트 주차 안내 시스템
 > en Sensors show drivers where parking spaces are free. Cities reduce traffic congestion and emissions.
 > es Los sensores muestran dónde hay plazas libres; menos tráfico.
 > ko 빈 주차 공간을 운전자에게 알려 줍니다.
streetlight
 en Connected street lighting
 fr Éclairage public connecté
 > en LED luminaires dim themselves when nobody is near and save energy.
 > fr Des luminaires à DEL économisent l'énergie de la ville.
water
 es Gestión de la contaminación del agua
 > es Medición de la calidad en tiempo real; alertas de inundación.
waste
 en Waste collection planning
 zh-Hant 垃圾收運規劃平臺
 > en Routes for garbage trucks from bin fill levels.
flood
 en Flood early warning
 ar نظام الإنذار المبكر بالفيضانات
 id Sistem peringatan dini banjir
 > ar يراقب النظام مستويات الأنهار في المدينة
 > id Memantau ketinggian air sungai di perkotaan
transport
 ru Умные остановки общественного транспорта
 > ru Пассажиры видят время прибытия автобусов
istanbul
 tr İstanbul akıllı ulaşım merkezi
 > tr Toplu taşıma araçlarının yoğunluğunu ölçer. ISPARTA'da da kullanılır.
ebike
 en E-bike sharing for Xi'an
 name Wi-Fi Bikes
 > en Rental bicycles with 5G trackers, an O'Higgins pilot.
health
 pt Saúde digital nas estações
 > pt Telemedicina para populações distantes
nepal
 ne काठमाडौँ स्मार्ट नगर
 name Kathmandu
thai
 th ระบบขนส่งอัจฉริยะกรุงเทพ
 name Bangkok
seoul
 en Seoul
 ko 서울특별시
 zh 首尔特别市
 name 漢城
 name Hanyang
 > en The capital of Korea has a smart city platform.
sejong
 ko 세종시 교통량 예측
 ja 交通量予測プラットフォーム
 > ja カメラで交通量を測定します
german
 de Straßenverkehrsübersicht für Bürger
 > de Ampeln und Baustellen in Echtzeit
draft
 en Secret zeppelin parking
 > en Not for everybody
ai
 en AI camera analytics
 > en Video analysis for public safety
air
 en Air quality monitoring network
 vi Giám sát chất lượng không khí
 > en Sensors measure particulate matter in the city.
`

func corpusEntries() []marketplace.Entry {
	var out []marketplace.Entry
	for line := range strings.Lines(corpus) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		if line[0] != ' ' {
			out = append(out, marketplace.Entry{Kind: "solution", ID: line, Rev: 1, Audience: []marketplace.Group{marketplace.Everyone},
				Newest: time.Unix(int64(len(out)), 0), Keywords: map[marketplace.Field][]string{marketplace.FieldCountry: {string(rune('A' + len(out)%3))}}})
			if line == "draft" {
				out[len(out)-1].Audience = []marketplace.Group{"com_1"}
			}
			continue
		}
		e := &out[len(out)-1]
		key, text, _ := strings.Cut(line[1:], " ")
		switch key {
		case "name":
			e.Names = append(e.Names, text)
		case ">":
			lang, text, _ := strings.Cut(text, " ")
			e.Body = append(e.Body, marketplace.Text{{Language: marketplace.Language(lang), Text: text}})
		default:
			e.Title = append(e.Title, marketplace.Translation{Language: marketplace.Language(key), Text: text})
		}
	}
	return out
}

// Queries as people type them, and what must come first. "-" finds nothing.
const queries = `
smart parking = parking
parking spaces = parking
PARKING  ＧＵＩＤＡＮＣＥ = parking
"smart" AND (parking) = parking
smrat parkng = parking
smart prking = parking
smart parkin = parking
smartparking = parking
estacionamiento inteligente = parking
estacionamento inteligente = parking
estacionamient inteligentes = parking
guia estacionamiento = parking
tráfco = parking
智慧停车 = parking
智慧停車 = parking
智慧的停车系统 = parking
停车 = parking
스마트 주차 = parking
주차장 안내 = parking
주차 공간을 = parking
street lights = streetlight
streetlights lighting = streetlight
eclairage public = streetlight
éclairages publics connectés = streetlight
ÉCLAIRAGE = streetlight
energie ville = streetlight
contaminacion agua = water
contaminación = water
inundaciones = water
gestión del agua = water
waste collecting = waste
垃圾收运规划 = waste
垃圾 = waste
garbage truck = waste
الفيضان = flood
انذار مبكر = flood
فيضانات = flood
المدينه = flood
banjir = flood
memantau sungai = flood
общественный транспорт = transport
автобус = transport
остановка = transport
istanbul = istanbul
İSTANBUL = istanbul
ISTANBUL = istanbul
akilli ulasim = istanbul
ısparta = istanbul
isparta = istanbul
taşımacılık araç = istanbul
ebike = ebike
e-bike = ebike
wifi = ebike
O’Higgins = ebike
5G = ebike
saude estacao = health
saúde = health
काठमाडौँ = nepal
katmandu = nepal
ขนส่ง = thai
首爾 = seoul
서울 = seoul
seul = seoul
hanyang = seoul
smart city platform = seoul
交通量 = sejong
ﾌﾟﾗｯﾄﾌｫｰﾑ = sejong
교통 = sejong
strassenverkehr = german
Burger Ampeln = german
zeppelin = -
AI = ai
air = air
air quality = air
chat luong khong khi = air
qwertzuiop = -
`

func TestQueries(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	for line := range strings.Lines(queries) {
		text, want, ok := strings.Cut(strings.TrimRight(line, "\n"), " = ")
		if !ok {
			continue
		}
		found := find(t, x, marketplace.FinderQuery{Text: text, Size: 5})
		got := "-"
		if len(found.Hits) > 0 {
			got = found.Hits[0].ID
		}
		if got != want || found.Total > 6 {
			t.Errorf("%q: got %s (%d: %s), want %s", text, got, found.Total, ids(found), want)
		}
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	for text, want := range map[string]string{
		"sma": "parking", "smart par": "parking", "smart prk": "parking", "ecl": "streetlight", "Éclai": "streetlight", "estac": "parking", "智": "parking", "智慧停": "parking",
		"서": "seoul", "서울특": "seoul", "주": "parking", "فيض": "flood", "الفيض": "flood", "ист": "-", "умны": "transport", "akıl": "istanbul", "akil": "istanbul", "kathm": "nepal", "bang": "thai", "wi": "ebike",
		"street li": "streetlight", "the": "-", "stret lig": "streetlight", "zep": "-", "sensors": "-", "ebi": "ebike", "交通量予": "sejong", "漢": "seoul", "parkign": "parking",
	} {
		found := find(t, x, marketplace.FinderQuery{Text: text, Size: 5, Typing: true})
		got := []string{"-"}
		if len(found.Hits) > 0 {
			got = strings.Fields(ids(found))
		}
		if !slices.Contains(got, want) {
			t.Errorf("%q: got %v, want %s", text, got, want)
		}
	}
}

func TestSuggestion(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	for text, want := range map[string]string{
		"xlodo":          "flood",
		"«xlodo» !":      "«flood» !",
		"wiarpollutoin":  "",
		"zepelixn":       "", // a draft's word must not be suggested
		"zeppelin":       "",
		"qwertzuiopasdf": "",
		"智慧":             "",
	} {
		found := find(t, x, marketplace.FinderQuery{Text: text, Size: 5})
		if found.Total > 0 && found.Suggestion != "" || found.Total == 0 && found.Suggestion != want {
			t.Errorf("%q: %d matches, suggestion %q, want %q", text, found.Total, found.Suggestion, want)
		}
	}
	if found := find(t, x, marketplace.FinderQuery{Text: "zepelixn", Groups: []marketplace.Group{"com_1"}}); found.Total+len(found.Suggestion) == 0 {
		t.Error("nothing for whoever may read the draft")
	}
	// The filter leaves nothing; a suggestion must find something under it.
	found := find(t, x, marketplace.FinderQuery{Text: "zepelin", Groups: []marketplace.Group{"com_1"}, Where: []marketplace.Filter{{Field: marketplace.FieldCountry, Any: []string{"nowhere"}}}})
	if found.Total != 0 || found.Suggestion != "" {
		t.Errorf("got %+v", found)
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	for group, want := range map[marketplace.Group]int{"com_1": 1, "com_2": 0} {
		found := find(t, x, marketplace.FinderQuery{Text: "zeppelin", Groups: []marketplace.Group{group}, Size: 3, Facets: []marketplace.FacetQuery{{Field: marketplace.FieldCountry, Size: 10}}})
		if found.Total != want || len(found.Hits) != want || len(found.Facets[0].Buckets) != want {
			t.Errorf("%s: %+v", group, found)
		}
	}
}

func TestHighlight(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	for _, c := range []struct{ query, language, text, want string }{
		{"parking", "en", "They parked; parks are PARKING.", "They [parked]; [parks] are [PARKING]."},
		{"smart parkng", "en", "Smart parking", "[Smart] [parking]"},
		{"sma", "en", "Smart parking", "[Smart] parking"},
		{"contaminacion", "es", "La contaminación, contaminaciones", "La [contaminación], [contaminaciones]"},
		{"智慧停车", "zh", "本市智慧停车系统停车", "本市[智慧停车]系统[停车]"},
		{"智慧停車", "zh", "😀智慧停车", "😀[智慧停车]"},
		{"주차", "ko", "빈 주차장을 안내", "빈 [주차]장을 안내"},
		{"فيضانات", "ar", "الإنذار بالفيضانات", "الإنذار [بالفيضانات]"},
		{"wifi", "en", "free Wi-Fi here", "free [Wi]-[Fi] here"},
		{"of the city", "en", "of the city", "of the [city]"},
		{"x", "en", "", ""},
		{"", "en", "nothing", "nothing"},
	} {
		ranges := x.Highlight(context.Background(), c.query, marketplace.Translation{Language: marketplace.Language(c.language), Text: c.text})[0]
		runes := []rune(c.text)
		for _, r := range slices.Backward(ranges) {
			runes = slices.Insert(runes, r.End, ']')
			runes = slices.Insert(runes, r.Start, '[')
		}
		if string(runes) != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.query, c.text, string(runes), c.want)
		}
	}
	long := strings.Repeat("parking x ", 50_000)
	if got := x.Highlight(context.Background(), "parking", marketplace.Translation{Language: "en", Text: long})[0]; len(got) != 20 {
		t.Errorf("%d ranges", len(got))
	}
}
