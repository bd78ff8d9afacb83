package seed

import (
	"embed"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"citymarket/marketplace"
)

//go:embed members.csv institutions.csv names.csv topics.csv sample
var files embed.FS

// table reads an embedded CSV file as one map a row, by the names of its header.
func table(name string) ([]map[string]string, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("seed: %s: %w", name, err)
	}
	var rows []map[string]string
	for {
		record, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("seed: %s: %w", name, err)
		}
		row := make(map[string]string, len(header))
		for i, h := range header {
			row[h] = record[i]
		}
		rows = append(rows, row)
	}
}

var (
	parentheses = regexp.MustCompile(`\s*\(([^)]*)\)`)
	seatID      = regexp.MustCompile(`\(GeoNames (\d+)\)`) // in the note, where the coordinates are the seat's
)

var regionNames = map[string]marketplace.Region{
	"Africa": marketplace.Africa, "Europe": marketplace.Europe, "Middle East": marketplace.MiddleEast,
	"Americas": marketplace.Americas, "Asia-Pacific": marketplace.AsiaPacific,
}

// formerNames are earlier names that the notes of members.csv tell, by number.
var formerNames = map[string][]marketplace.Translation{
	"109": {{Language: "en", Text: "Nur-Sultan"}, {Language: "zh", Text: "努尔-苏丹"}},
}

// within are the members that lie inside another one, by number, as the notes
// and names in members.csv say.
var within = map[string]string{
	"24": "khartoum-state",       // "locality of Khartoum State"
	"31": "khartoum-state",       // Khartoum Locality is a locality of the state of the same name
	"36": "north-kordofan-state", // "locality of North Kordofan"
	"38": "gezira-state",         // "locality of Gezira State"
}

var identifications = map[string]marketplace.Identification{
	"high": "CERTAIN", "medium": "PROBABLE", "unidentified": "UNIDENTIFIED",
}

// levelOf reads the level of a local government from its name and note;
// empty where they do not tell.
func levelOf(row map[string]string) marketplace.CityLevel {
	name, note := row["name_en"], row["note"]
	for word, level := range map[string]marketplace.CityLevel{
		" State": "STATE", " Locality": "LOCALITY", " Province": "PROVINCE", " Prefecture": "PREFECTURE",
	} {
		if strings.Contains(name, word) {
			return level
		}
	}
	switch {
	case strings.HasPrefix(note, "province;"), strings.Contains(note, "taken as Riau Islands Province"), strings.Contains(note, "Special Self-Governing Province"):
		return "PROVINCE"
	case strings.HasPrefix(note, "Taraba State LGA"), strings.Contains(note, "is a district of it"):
		return "DISTRICT"
	case row["identification"] == "unidentified", row["kind"] != "city":
		return ""
	}
	return "CITY"
}

// cities are the local governments of the printed list.
func cities() ([]*marketplace.City, error) {
	rows, err := table("members.csv")
	if err != nil {
		return nil, err
	}
	names, err := table("names.csv")
	if err != nil {
		return nil, err
	}
	local := map[string][]marketplace.Translation{}
	for _, n := range names {
		local[n["member_no"]] = append(local[n["member_no"]], marketplace.Translation{Language: marketplace.Language(n["language"]), Text: n["name"]})
	}
	out := make([]*marketplace.City, 0, len(rows))
	for _, row := range rows {
		c, err := cityOf(row, local[row["member_no"]])
		if err != nil {
			return nil, fmt.Errorf("seed: members.csv, member %s: %w", row["member_no"], err)
		}
		out = append(out, c)
	}
	return out, nil
}

func cityOf(row map[string]string, local []marketplace.Translation) (*marketplace.City, error) {
	no, full := row["member_no"], row["name_en"]
	slug := "member-" + no
	if full != "" {
		slug = marketplace.SlugOf(full)
	}
	c := &marketplace.City{
		Meta:           marketplace.Meta{ID: marketplace.ID("city_" + slug), Slug: slug},
		Level:          levelOf(row),
		TimeZone:       row["timezone"],
		Identification: identifications[row["identification"]],
	}
	c.Name = marketplace.Text{{Language: "zh", Text: row["name_zh"]}}
	if short := parentheses.ReplaceAllString(full, ""); short != "" {
		c.Name = append(c.Name, marketplace.Translation{Language: "en", Text: short})
		if short != full {
			c.OtherNames = append(c.OtherNames, marketplace.Translation{Language: "en", Text: full})
		}
	}
	if usual := row["name_zh_usual"]; usual != "" && usual != row["name_zh"] {
		c.OtherNames = append(c.OtherNames, marketplace.Translation{Language: "zh", Text: usual})
	}
	for _, n := range local {
		if !has(c.Name, n.Language) {
			c.Name = append(c.Name, n)
		} else {
			c.OtherNames = append(c.OtherNames, n)
		}
	}
	c.FormerNames = formerNames[no]
	if parent := within[no]; parent != "" {
		c.Within = marketplace.ID("city_" + parent)
	}
	c.Country, c.Region = marketplace.Country(row["iso2"]), regionNames[row["region"]]
	c.Printed = &marketplace.Printed{Name: row["name_zh"], Country: row["country_zh_printed"], Misprinted: row["brochure_error"] == "yes", Note: orNil(row["note"])}
	source := "GeoNames"
	if id := row["geonames_id"]; id != "" {
		source += " " + id
	} else if id := seatID.FindStringSubmatch(row["note"]); id != nil {
		source += " " + id[1]
	}
	if row["lat"] != "" {
		lat, err := strconv.ParseFloat(row["lat"], 64)
		if err != nil {
			return nil, err
		}
		lon, err := strconv.ParseFloat(row["lon"], 64)
		if err != nil {
			return nil, err
		}
		c.Coordinates = &marketplace.Coordinates{Latitude: lat, Longitude: lon, OfSeat: row["geo_basis"] == "seat", Source: source}
	}
	if row["population"] != "" {
		n, err := strconv.Atoi(row["population"])
		if err != nil {
			return nil, err
		}
		c.Population = &marketplace.Population{Number: n, Source: source}
	}
	return c, nil
}

func has(t marketplace.Text, l marketplace.Language) bool {
	for _, tr := range t {
		if tr.Language == l {
			return true
		}
	}
	return false
}

var institutionTypes = map[string]marketplace.InstitutionType{
	"association": "ASSOCIATION", "public_agency": "PUBLIC_AGENCY", "academic": "ACADEMIC", "nonprofit": "NON_PROFIT",
}

// institutions are those of the printed list.
func institutions() ([]*marketplace.Institution, error) {
	rows, err := table("institutions.csv")
	if err != nil {
		return nil, err
	}
	out := make([]*marketplace.Institution, 0, len(rows))
	for _, row := range rows {
		slug := marketplace.SlugOf(row["name_en"])
		i := &marketplace.Institution{
			Meta: marketplace.Meta{ID: marketplace.ID("institution_" + slug), Slug: slug},
			Type: institutionTypes[row["type_guess"]],
		}
		i.Name = marketplace.Text{
			{Language: "zh", Text: parentheses.ReplaceAllString(row["name_zh"], "")},
			{Language: "en", Text: parentheses.ReplaceAllString(row["name_en"], "")},
		}
		if m := parentheses.FindStringSubmatch(row["name_en"]); m != nil {
			i.Abbreviation = &m[1]
		}
		i.Country = marketplace.Country(row["iso2"])
		i.Region = i.Country.Region()
		i.Printed = &marketplace.Printed{Name: row["name_zh"], Country: row["country_zh_printed"], Note: orNil(row["note"])}
		out = append(out, i)
	}
	return out, nil
}

// orNil is nil for what is not known.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
