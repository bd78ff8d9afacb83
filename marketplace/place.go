package marketplace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// A Region is one of the five regions of the network.
type Region string

// The regions of the network, as its brochure divides the world: Türkiye and
// Russia are in Europe, Iran in the Middle East, Central Asia and the
// Caucasus in Asia-Pacific.
const (
	Africa      Region = "AFRICA"
	Europe      Region = "EUROPE"
	MiddleEast  Region = "MIDDLE_EAST"
	Americas    Region = "AMERICAS"
	AsiaPacific Region = "ASIA_PACIFIC"
)

// Regions are all regions, in the brochure's order.
var Regions = []Region{Africa, Europe, MiddleEast, Americas, AsiaPacific}

// A Country is an ISO 3166-1 alpha-2 code of a country or territory: "KR", "HK".
type Country string

// countriesOf lists every country and territory of ISO 3166-1 under its
// region. The members' regions are the brochure's; the rest follows the
// United Nations' M49 regions, with Western Asia beyond Türkiye, Cyprus and
// the Caucasus as the Middle East.
var countriesOf = map[Region]string{
	Africa:      "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM ZW",
	Europe:      "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM TR UA VA XK",
	MiddleEast:  "AE BH IL IQ IR JO KW LB OM PS QA SA SY YE",
	Americas:    "AG AI AR AW BB BL BM BO BQ BR BS BV BZ CA CL CO CR CU CW DM DO EC FK GD GF GL GP GS GT GY HN HT JM KN KY LC MF MQ MS MX NI PA PE PM PR PY SR SV SX TC TT US UY VC VE VG VI",
	AsiaPacific: "AF AM AQ AS AU AZ BD BN BT CC CK CN CX FJ FM GE GU HK HM ID IN JP KG KH KI KP KR KZ LA LK MH MM MN MO MP MV MY NC NF NP NR NU NZ PF PG PH PK PN PW SB SG TH TJ TK TL TM TO TV TW UM UZ VN VU WF WS",
}

var regionOf = sync.OnceValue(func() map[Country]Region {
	m := make(map[Country]Region, 260)
	for r, list := range countriesOf {
		for c := range strings.FieldsSeq(list) {
			m[Country(c)] = r
		}
	}
	return m
})

// Code is the ISO 3166-1 alpha-2 code.
func (c Country) Code() string { return string(c) }

// Region is the network's region that the country lies in; empty for an unknown code.
func (c Country) Region() Region { return regionOf()[c] }

// Name is the country's name in the first of the languages that the Unicode
// CLDR has it in, else in English; the code itself when nothing is known.
func (c Country) Name(wished []Language) string {
	region, err := language.ParseRegion(string(c))
	if err != nil {
		return string(c)
	}
	for _, l := range append(append([]Language{}, wished...), english) {
		if namer := regionNamer(l); namer != nil {
			if name := namer.Name(region); name != "" {
				return name
			}
		}
	}
	return string(c)
}

// namers keeps the CLDR's namer of each language that was asked for; bounded,
// since the tags come from strangers.
var namers struct {
	sync.Mutex
	of map[Language]display.Namer
}

func regionNamer(l Language) display.Namer {
	namers.Lock()
	defer namers.Unlock()
	n, ok := namers.of[l]
	if !ok {
		if len(namers.of) >= 1000 || namers.of == nil {
			namers.of = map[Language]display.Namer{}
		}
		if tag, err := language.Parse(string(l)); err == nil {
			n = display.Regions(tag)
		}
		namers.of[l] = n
	}
	return n
}

func isCountry(c Country) bool { return c.Region() != "" }

func checkCountry(p *problems, path string, c Country) {
	if !isCountry(c) {
		p.add(path, "INVALID", "must be an ISO 3166-1 alpha-2 country code such as KR")
	}
}

func checkCountries(p *problems, path string, list []Country) {
	checkSet(p, path, list, 250, isCountry, "must be an ISO 3166-1 alpha-2 country code such as KR")
}

func checkRegions(p *problems, path string, list []Region) {
	checkSet(p, path, list, len(Regions), oneOf(Regions), fmt.Sprintf("must be one of %v", Regions))
}

// regionsServed are the regions named and those of the countries named.
func regionsServed(regions []Region, countries []Country) []string {
	out := keywords(regions)
	have := map[string]bool{}
	for _, r := range out {
		have[r] = true
	}
	for _, c := range countries {
		if r := string(c.Region()); !have[r] {
			have[r] = true
			out = append(out, r)
		}
	}
	return out
}

// CountryName is the country's name for the context's viewer; the wished
// languages, if any are given, go before the viewer's own.
func CountryName(ctx context.Context, c Country, wished []Language) string {
	return c.Name(append(slices.Clone(wished), ViewerOf(ctx).Languages...))
}
