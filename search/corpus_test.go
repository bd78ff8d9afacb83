package search

import (
	"context"
	"fmt"
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

// Texts in languages of which there is no judged collection at hand, and
// other forms of their words. What must be found by a word alone stands before
// the bar, a question that the text answers after it.
const spoken = `
de Die Städte bauen Radwege und vernetzte Straßenbeleuchtungen für ihre Einwohner. = Stadt, Einwohnern, radweg, Strassenbeleuchtung, vernetztes | Welche Wege werden für Fahrräder in den Städten gebaut?
it I comuni raccolgono i rifiuti con sensori intelligenti nelle strade. = comune, rifiuto, sensore, strada | Chi raccoglie la spazzatura e i rifiuti nelle città italiane?
nl De gemeenten plaatsen laadpalen voor elektrische voertuigen. = gemeente, laadpaal, voertuig | Wie plaatst er laadpalen voor de auto's?
ro Orașele monitorizează calitatea aerului cu senzori montați pe stâlpi. = orașului, oraselor, senzor, aer, calitate | Unde sunt montați senzorii care măsoară calitatea aerului?
sv Kommunerna mäter luftkvaliteten med billiga givare. = givaren, billig, luftkvalitet | Hur mäter kommunerna kvaliteten på luften?
da Kommunerne indsamler affaldet med elektriske lastbiler. = kommune, lastbil, affald | Hvem indsamler affald med lastbiler i kommunen?
nb Byene varmer husene med fjernvarmen fra avfallet. = byen, hus, avfall, fjernvarme | Hvordan blir husene i byen varmet opp?
fi Kaupungit vuokraavat sähköpyöriä asukkailleen. = kaupunki, kaupungin, asukkaille | Mitä kaupungit vuokraavat asukkaille?
hu A városok okos parkolókat építenek a lakosoknak. = város, városokban, parkoló, lakosok | Kinek építenek parkolókat a városokban?
pl Miasta instalują czujniki jakości powietrza na latarniach. = Miasta, czujniki, jakosci | Gdzie instaluje się czujnik do badania jakości powietrza?
el Οι πόλεις εγκαθιστούν έξυπνους αισθητήρες σε δρόμους και συστήματα άρδευσης. = πόλη, πόλεων, δρόμος, δρομος, σύστημα, συστημάτων, αισθητήρας, έξυπνα | Πού εγκαθιστούν οι πόλεις τους αισθητήρες;
hi शहरों में सड़कों पर लगे कैमरे यातायात की निगरानी करते हैं। = शहर, सड़क, कैमरा, सडक | शहर की सड़क पर यातायात की निगरानी कौन करता है?
th กรุงเทพมหานครติดตั้งเซ็นเซอร์วัดคุณภาพอากาศบนเสาไฟทุกต้นเพื่อแจ้งเตือนประชาชนเมื่อฝุ่นเกินมาตรฐาน = คุณภาพอากาศ, เสาไฟ, ฝุ่น, แจ้งเตือน | หน่วยงานใดติดตั้งเครื่องวัดคุณภาพของอากาศบนเสาไฟ
vi Thành phố lắp đặt hệ thống đèn đường thông minh để tiết kiệm điện năng. = đèn đường, tiết kiệm | Hệ thống đèn nào giúp thành phố tiết kiệm điện?
vi Chính quyền phát triển dịch vụ đến dương vật liệu mới. = dịch vụ
id Pemerintah kota membangun jembatan penyeberangan untuk pejalan kaki. = bangunan, jembatannya, pemerintahan | Siapa yang membangun jembatan bagi para pejalan kaki?
ru В городах устанавливают зарядные станции для электромобилей. = город, города, станция, электромобиль | Где можно зарядить электромобиль в городе?
uk Міста встановлюють датчики якості повітря на стовпах. = датчики, повітря | Де міста встановили датчик якості повітря?
ja 市は街路灯にセンサーを取り付けて大気の質を測定し、結果を住民に知らせています。 = 街路灯, センサー, 測定 | 大気の質はどのように測定されていますか。
km ទីក្រុងដំឡើងឧបករណ៍វាស់គុណភាពខ្យល់នៅលើបង្គោលភ្លើង។ = គុណភាពខ្យល់ | តើគុណភាពខ្យល់ត្រូវបានវាស់នៅទីណា
fa شهرداری دوربینهای ترافیک را در خیابانها نصب میکند. = شهرداری, ترافیك, خيابانها | دوربینهای ترافیک در کجا نصب شدهاند؟
he העירייה מתקינה חיישנים ברחובות העיר. = חיישנים, ברחובות | היכן הותקנו החיישנים של העירייה?
`

func TestLanguages(t *testing.T) {
	t.Parallel()
	var entries []marketplace.Entry
	asked := make(map[string][]string)
	for line := range strings.Lines(strings.TrimSpace(spoken)) {
		text, queries, _ := strings.Cut(strings.TrimSpace(line), " = ")
		language, text, _ := strings.Cut(text, " ")
		words, question, ok := strings.Cut(queries, " | ")
		id := fmt.Sprintf("%s%02d", language, len(entries))
		asked[id] = strings.Split(words, ", ")
		if ok {
			asked[id] = append(asked[id], question)
		}
		entries = append(entries, marketplace.Entry{Kind: "solution", ID: id, Audience: []marketplace.Group{marketplace.Everyone},
			Title: marketplace.Text{}, Body: []marketplace.Text{{{Language: marketplace.Language(language), Text: text}}}})
	}
	x := indexOf(t, entries)
	for id, list := range asked {
		for _, text := range list {
			if found := find(t, x, marketplace.FinderQuery{Text: text, Size: 3}); len(found.Hits) == 0 || found.Hits[0].ID != id {
				t.Errorf("%s: %q finds %s", id, text, ids(found))
			}
		}
	}
}

// TestLongQuery holds that the telling words of a long text are read, wherever
// they stand.
func TestLongQuery(t *testing.T) {
	t.Parallel()
	var entries []marketplace.Entry
	filler := strings.Fields("the plan says that every district shall ask all residents about many things before some work begins near their homes because they know best what may help them most when rain falls during autumn nights while trams carry people across bridges toward markets")
	for i := range 60 {
		text := strings.Join(filler, " ")
		if i == 30 {
			text += " hydrophone"
		}
		entries = append(entries, marketplace.Entry{Kind: "solution", ID: fmt.Sprint(i), Audience: []marketplace.Group{marketplace.Everyone}, Title: marketplace.Text{}, Body: []marketplace.Text{{{Language: "en", Text: text}}}})
	}
	x := indexOf(t, entries)
	for _, text := range []string{strings.Join(filler, " ") + " hydrophones", strings.Repeat("水", 500) + " hydrophones"} {
		if found := find(t, x, marketplace.FinderQuery{Text: text, Size: 3}); ids(found)[:2] != "30" {
			t.Errorf("%q finds %s", text, ids(found))
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
		{"주차", "ko", "빈 주차장을 안내", "빈 [주차장]을 안내"},
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

func TestExplain(t *testing.T) {
	t.Parallel()
	x := indexOf(t, corpusEntries())
	texts := []marketplace.Translation{
		{Language: "en", Text: "Sensors for parked cars"},
		{Language: "zh", Text: "智慧停车系统"},
		{Language: "es", Text: "Estacionamiento junto a la iluminación"},
		{Language: "en", Text: "A sensor network, 智慧"},
	}
	for query, want := range map[string]string{
		"sensor":          "sensor EXACT sensor",
		"SENSORS network": "SENSORS EXACT Sensors; network EXACT network",
		"parks":           "parks INFLECTED parked",
		"parking sensr":   "parking INFLECTED parked; sensr MISSPELT sensor",
		"netw":            "netw BEGINNING network",
		"lighting":        "lighting MEANING iluminación",
		"스마트 주차":          "스마트 주차 MEANING 智慧停车",
		"智慧停车":            "智慧停车 EXACT 智慧停车",
		"智慧停車 路灯":         "智慧停車 EXACT 智慧停车; 路灯 MEANING iluminación",
		"zeppelin":        "",
		"":                "",
	} {
		var got []string
		for _, f := range x.Explain(context.Background(), query, texts...) {
			got = append(got, fmt.Sprintf("%s %s %s", f.Words, f.Form, string([]rune(texts[f.Text].Text)[f.Range.Start:f.Range.End])))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%q: %s, want %s", query, s, want)
		}
	}
}
