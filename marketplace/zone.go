package marketplace

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // for machines that have no time zones of their own, such as a bare container
)

// zones keeps the time zones that were asked for, since loading one reads and
// parses a file. It grows no further than there are zones, some 600. Rules of
// zones that change are known after a restart: those of the machine where it
// has a database of time zones, else those that the program was built with.
var zones sync.Map // of string to *time.Location

// zoneNamed is the time zone of an IANA name; nil where there is none of that
// name. It never means the machine's own zone.
func zoneNamed(name string) *time.Location {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location)
	}
	if name == "" || name == "Local" {
		return nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	zones.Store(name, loc)
	return loc
}

// localMoment is the first moment at which a clock in a zone shows this many
// minutes after midnight of a day, or a later time. So a time that the clock
// skips is moved forward to the moment of the skip, which may be on the next
// day (Apia had no 30 December 2011), and of a time that the clock shows twice
// the first counts. It never falls when the time of the clock rises.
//
// Minutes may be more than a day has; 24 * 60 is the next midnight.
func localMoment(day time.Time, minutes int, loc *time.Location) time.Time {
	y, month, d := day.Date()
	shown := time.Date(y, month, d, 0, minutes, 0, 0, time.UTC) // what the clock must show, as if it were UTC
	// No clock is more than 15 hours ahead of UTC, so none showed it before that.
	for t := shown.Add(-16 * time.Hour); ; {
		at := t.In(loc)
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		exact := shown.Add(-time.Duration(offset) * time.Second)
		if exact.Before(t) {
			exact = t // the clock was put forward over it
		}
		if end.IsZero() || exact.Before(end) {
			return exact.UTC()
		}
		t = end
	}
}

// localDay is the day that a clock in a zone shows, as midnight of UTC.
func localDay(t time.Time, loc *time.Location) time.Time {
	y, month, d := t.In(loc).Date()
	return time.Date(y, month, d, 0, 0, 0, 0, time.UTC)
}

// An AgreedClock is what the clock of somebody who takes part in a meeting
// shows at the agreed moment, by the rules of time zones as they were when it
// was agreed. The moment itself is what was agreed, and stays; where rules
// change before the meeting, as those of Cairo (2023), Kazakhstan (2024) and
// Asuncion (2024) did at short notice, the clock will show another time than
// people have in mind, and has moved.
type AgreedClock struct {
	TimeZone string `json:"timeZone"`
	Offset   int    `json:"offset"` // seconds east of UTC
	// Told is by how many seconds people have been told that it has moved.
	Told int `json:"told,omitempty"`
}

// agreedClock is what a clock in the zone shows at a moment by the present
// rules; of UTC where there is no such zone.
func agreedClock(at time.Time, zone string) AgreedClock {
	return agreedClockIn(at, zone, zoneNamed(zone))
}

func agreedClockIn(at time.Time, zone string, loc *time.Location) AgreedClock {
	if loc == nil {
		return AgreedClock{TimeZone: "UTC"}
	}
	_, offset := at.In(loc).Zone()
	return AgreedClock{TimeZone: zone, Offset: offset}
}

// Moved is by how much later the clock shows the moment now than when it was
// agreed, which is negative where it shows it earlier; 0 where nothing has
// changed, also where nothing was agreed.
func (c AgreedClock) Moved(at time.Time) time.Duration {
	if c.TimeZone == "" {
		return 0
	}
	return c.movedIn(at, zoneNamed(c.TimeZone))
}

func (c AgreedClock) movedIn(at time.Time, loc *time.Location) time.Duration {
	return time.Duration(agreedClockIn(at, c.TimeZone, loc).Offset-c.Offset) * time.Second
}

// untold says whether the clock has moved otherwise than people were told.
func (c AgreedClock) untold(at time.Time) bool {
	return c.Moved(at) != time.Duration(c.Told)*time.Second
}

// zonesOfCountries are the time zones of countries, which hold for a member
// that has not said its own: that of the capital where there are several.
// Source: zone.tab of the IANA time zone database 2025b.
var zonesOfCountries = map[string]string{
	"Africa":     "AO:Luanda BF:Ouagadougou BI:Bujumbura BJ:Porto-Novo BW:Gaborone CD:Kinshasa CF:Bangui CG:Brazzaville CI:Abidjan CM:Douala DJ:Djibouti DZ:Algiers EG:Cairo EH:El_Aaiun ER:Asmara ET:Addis_Ababa GA:Libreville GH:Accra GM:Banjul GN:Conakry GQ:Malabo GW:Bissau KE:Nairobi LR:Monrovia LS:Maseru LY:Tripoli MA:Casablanca ML:Bamako MR:Nouakchott MW:Blantyre MZ:Maputo NA:Windhoek NE:Niamey NG:Lagos RW:Kigali SD:Khartoum SL:Freetown SN:Dakar SO:Mogadishu SS:Juba ST:Sao_Tome SZ:Mbabane TD:Ndjamena TG:Lome TN:Tunis TZ:Dar_es_Salaam UG:Kampala ZA:Johannesburg ZM:Lusaka ZW:Harare",
	"America":    "AG:Antigua AI:Anguilla AR:Argentina/Buenos_Aires AW:Aruba BB:Barbados BL:St_Barthelemy BO:La_Paz BQ:Kralendijk BR:Sao_Paulo BS:Nassau BZ:Belize CA:Toronto CL:Santiago CO:Bogota CR:Costa_Rica CU:Havana CW:Curacao DM:Dominica DO:Santo_Domingo EC:Guayaquil GD:Grenada GF:Cayenne GL:Nuuk GP:Guadeloupe GT:Guatemala GY:Guyana HN:Tegucigalpa HT:Port-au-Prince JM:Jamaica KN:St_Kitts KY:Cayman LC:St_Lucia MF:Marigot MQ:Martinique MS:Montserrat MX:Mexico_City NI:Managua PA:Panama PE:Lima PM:Miquelon PR:Puerto_Rico PY:Asuncion SR:Paramaribo SV:El_Salvador SX:Lower_Princes TC:Grand_Turk TT:Port_of_Spain US:New_York UY:Montevideo VC:St_Vincent VE:Caracas VG:Tortola VI:St_Thomas",
	"Antarctica": "AQ:McMurdo",
	"Arctic":     "SJ:Longyearbyen",
	"Asia":       "AE:Dubai AF:Kabul AM:Yerevan AZ:Baku BD:Dhaka BH:Bahrain BN:Brunei BT:Thimphu CN:Shanghai CY:Nicosia GE:Tbilisi HK:Hong_Kong ID:Jakarta IL:Jerusalem IN:Kolkata IQ:Baghdad IR:Tehran JO:Amman JP:Tokyo KG:Bishkek KH:Phnom_Penh KP:Pyongyang KR:Seoul KW:Kuwait KZ:Almaty LA:Vientiane LB:Beirut LK:Colombo MM:Yangon MN:Ulaanbaatar MO:Macau MY:Kuala_Lumpur NP:Kathmandu OM:Muscat PH:Manila PK:Karachi PS:Hebron QA:Qatar SA:Riyadh SG:Singapore SY:Damascus TH:Bangkok TJ:Dushanbe TL:Dili TM:Ashgabat TW:Taipei UZ:Tashkent VN:Ho_Chi_Minh YE:Aden",
	"Atlantic":   "BM:Bermuda CV:Cape_Verde FK:Stanley FO:Faroe GS:South_Georgia IS:Reykjavik SH:St_Helena",
	"Australia":  "AU:Sydney",
	"Europe":     "AD:Andorra AL:Tirane AT:Vienna AX:Mariehamn BA:Sarajevo BE:Brussels BG:Sofia BY:Minsk CH:Zurich CZ:Prague DE:Berlin DK:Copenhagen EE:Tallinn ES:Madrid FI:Helsinki FR:Paris GB:London GG:Guernsey GI:Gibraltar GR:Athens HR:Zagreb HU:Budapest IE:Dublin IM:Isle_of_Man IT:Rome JE:Jersey LI:Vaduz LT:Vilnius LU:Luxembourg LV:Riga MC:Monaco MD:Chisinau ME:Podgorica MK:Skopje MT:Malta NL:Amsterdam NO:Oslo PL:Warsaw PT:Lisbon RO:Bucharest RS:Belgrade RU:Moscow SE:Stockholm SI:Ljubljana SK:Bratislava SM:San_Marino TR:Istanbul UA:Kyiv VA:Vatican XK:Belgrade",
	"Indian":     "CC:Cocos CX:Christmas IO:Chagos KM:Comoro MG:Antananarivo MU:Mauritius MV:Maldives RE:Reunion SC:Mahe TF:Kerguelen YT:Mayotte",
	"Pacific":    "AS:Pago_Pago CK:Rarotonga FJ:Fiji FM:Pohnpei GU:Guam KI:Tarawa MH:Majuro MP:Saipan NC:Noumea NF:Norfolk NR:Nauru NU:Niue NZ:Auckland PF:Tahiti PG:Port_Moresby PN:Pitcairn PW:Palau SB:Guadalcanal TK:Fakaofo TO:Tongatapu TV:Funafuti UM:Wake VU:Efate WF:Wallis WS:Apia",
}

var zoneOfCountry = sync.OnceValue(func() map[Country]string {
	m := make(map[Country]string, 260)
	for area, list := range zonesOfCountries {
		for entry := range strings.FieldsSeq(list) {
			country, place, _ := strings.Cut(entry, ":")
			m[Country(country)] = area + "/" + place
		}
	}
	return m
})

// TimeZone is the IANA time zone of the country, or of its capital where it
// has several; empty for one without inhabitants that has none.
func (c Country) TimeZone() string { return zoneOfCountry()[c] }

// weekends are the days of rest of countries, where those are not Saturday and
// Sunday. Source: weekData of the Unicode CLDR 48.
var weekends = map[Country][]time.Weekday{}

func init() {
	for days, countries := range map[[2]time.Weekday]string{
		{time.Friday, time.Saturday}: "BH DZ EG IL IQ JO KW LY OM QA SA SD SY YE",
		{time.Thursday, time.Friday}: "AF",
		{time.Friday, time.Friday}:   "IR",
		{time.Sunday, time.Sunday}:   "IN UG",
	} {
		for c := range strings.FieldsSeq(countries) {
			weekends[Country(c)] = days[:]
		}
	}
}

// weekend are the days of rest of the country.
func (c Country) weekend() []time.Weekday {
	if days, ok := weekends[c]; ok {
		return days
	}
	return []time.Weekday{time.Saturday, time.Sunday}
}
