package marketplace

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// A ProcurementRoute is a way in which a city can buy or try something.
// Source: EU D8.2 (2016), UIA DIACCESS, SCIS, Citymart and the network's
// brochure (PPP).
type ProcurementRoute string

// ProcurementRoutes are all procurement routes, lightest first.
var ProcurementRoutes = []ProcurementRoute{
	"INFORMATION_REQUEST", "PROOF_OF_CONCEPT", "PILOT", "FEASIBILITY_STUDY", "CHALLENGE_PROBLEM_BASED",
	"OPEN_TENDER", "RESTRICTED_TENDER", "COMPETITIVE_DIALOGUE", "INNOVATION_PARTNERSHIP",
	"PRE_COMMERCIAL_PROCUREMENT", "PUBLIC_PROCUREMENT_OF_INNOVATION", "FRAMEWORK_AGREEMENT", "PPP", "GRANT_OR_DONOR_FUNDED",
}

// A Maturity says how far a solution has come in use.
type Maturity string

// Maturities are all of them, least mature first.
var Maturities = []Maturity{"IDEA", "PROTOTYPE", "PILOTED", "DEPLOYED_ONE_CITY", "DEPLOYED_MANY_CITIES"}

// A PriceModel says what a city pays for.
type PriceModel string

// PriceModels are all of them.
var PriceModels = []PriceModel{"ONE_OFF", "SUBSCRIPTION", "PER_UNIT", "PER_USE", "REVENUE_SHARE", "FREE", "ON_REQUEST"}

// A PriceBand is what a typical city pays in the first year, in US dollars.
type PriceBand string

// PriceBands are all of them, cheapest first.
var PriceBands = []PriceBand{"FREE", "UNDER_10K", "FROM_10K_TO_50K", "FROM_50K_TO_250K", "FROM_250K_TO_1M", "OVER_1M", "ON_REQUEST"}

// A SDG is the number of a Sustainable Development Goal, 1 to 17.
type SDG int

// SDGs are the goals of the United Nations' 2030 Agenda, in order; index 0 is goal 1.
var SDGs = []string{
	"No poverty", "Zero hunger", "Good health and well-being", "Quality education", "Gender equality",
	"Clean water and sanitation", "Affordable and clean energy", "Decent work and economic growth",
	"Industry, innovation and infrastructure", "Reduced inequalities", "Sustainable cities and communities",
	"Responsible consumption and production", "Climate action", "Life below water", "Life on land",
	"Peace, justice and strong institutions", "Partnerships for the goals",
}

// AllSDGs are the 17 goals.
func AllSDGs() []SDG {
	all := make([]SDG, len(SDGs))
	for i := range all {
		all[i] = SDG(i + 1)
	}
	return all
}

// Number is the goal's number, 1 to 17.
func (g SDG) Number() int { return int(g) }

// Title is the goal's short title in English.
func (g SDG) Title() string {
	if g < 1 || int(g) > len(SDGs) {
		return ""
	}
	return SDGs[g-1]
}

func (g SDG) String() string { return strconv.Itoa(int(g)) }

// A MoneyRange is an amount between two bounds in one currency.
type MoneyRange struct {
	Currency string `json:"currency"` // ISO 4217
	Min      string `json:"min"`      // decimal, at most 15 digits and 2 decimals
	Max      string `json:"max"`      // at least Min
}

var (
	decimal  = regexp.MustCompile(`^\d{1,15}(\.\d{1,2})?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

func (r *MoneyRange) check(p *problems, path string) {
	if r == nil {
		return
	}
	if !currency.MatchString(r.Currency) {
		p.add(path+".currency", "INVALID", "must be an ISO 4217 currency code such as USD")
	}
	for _, a := range []struct{ name, amount string }{{".min", r.Min}, {".max", r.Max}} {
		if !decimal.MatchString(a.amount) {
			p.add(path+a.name, "INVALID", `must be a decimal number such as "50000" or "1250.50"`)
			return
		}
	}
	if low, high := r.amounts(); low > high {
		p.add(path+".max", "OUT_OF_RANGE", "must not be less than min")
	}
}

// amounts are the bounds as numbers: for comparing, never for reckoning.
func (r *MoneyRange) amounts() (low, high float64) {
	low, _ = strconv.ParseFloat(r.Min, 64)
	high, _ = strconv.ParseFloat(r.Max, 64)
	return low, high
}

// A Date is a calendar day, "2027-03-31", in the time zone of whoever states it.
type Date string

func (d *Date) check(p *problems, path string) {
	if d == nil {
		return
	}
	if _, err := time.Parse(time.DateOnly, string(*d)); err != nil {
		p.add(path, "INVALID", "must be a day such as 2027-03-31")
	}
}

// end is the last second of the day in the zone, in Unix seconds. Where clocks
// skip the midnight after it (Santiago, Cairo), the day ends with the skip.
func (d Date) end(zone string) (int64, bool) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	day, err := time.Parse(time.DateOnly, string(d))
	next := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, loc)
	if next.Format(time.DateOnly) <= string(d) {
		_, next = next.ZoneBounds()
	}
	return next.Unix() - 1, err == nil
}

// checkSet reports values that are not allowed or given twice, and lists
// longer than max. allowed says what is.
func checkSet[T comparable](p *problems, path string, values []T, max int, allowed func(T) bool, must string) {
	if !p.max(path, len(values), max) {
		return
	}
	for i, v := range values {
		if !allowed(v) {
			p.add(index(path, i), "INVALID", must)
		}
		if slices.Contains(values[:i], v) {
			p.add(index(path, i), "DUPLICATE", "each at most once")
		}
	}
}

func oneOf[T comparable](all []T) func(T) bool {
	return func(v T) bool { return slices.Contains(all, v) }
}

func checkOne[T comparable](p *problems, path string, value T, all []T) {
	if !slices.Contains(all, value) {
		p.add(path, "INVALID", fmt.Sprintf("must be one of %v", all))
	}
}

func checkSDGs(p *problems, path string, goals []SDG) {
	checkSet(p, path, goals, 17, func(g SDG) bool { return g.Title() != "" }, "must be the number of a Sustainable Development Goal, 1 to 17")
}

func checkLanguages(p *problems, path string, languages []Language) {
	checkSet(p, path, languages, 30, func(l Language) bool { c, ok := ParseLanguage(string(l)); return ok && c == l }, "must be a BCP 47 language tag such as en, zh-Hant or pt-BR")
}

func checkIDs(p *problems, path string, ids []ID, max int, kind Kind) {
	checkSet(p, path, ids, max, func(id ID) bool { return id.Kind() == kind }, "must be the id of a "+string(kind))
}

func checkRoutes(p *problems, path string, routes []ProcurementRoute) {
	checkSet(p, path, routes, len(ProcurementRoutes), oneOf(ProcurementRoutes), fmt.Sprintf("must be one of %v", ProcurementRoutes))
}

// checkURL allows absolute http and https addresses; empty where not required.
func checkURL(p *problems, path, s string, required bool) {
	if s == "" && !required {
		return
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > 2000 || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		p.add(path, "INVALID", "must be an address such as https://example.org/page, at most 2000 characters")
	}
}

func checkYear(p *problems, path string, year *int, now time.Time) {
	if year != nil && (*year < 1000 || *year > now.Year()+1) {
		p.addf(path, "OUT_OF_RANGE", "must be a year from 1000 to %d", now.Year()+1)
	}
}
