package marketplace

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var listPath = regexp.MustCompile(`^([A-Za-z]+)\[([0-9]+)\]\.?(.*)$`)

// column is what a file calls the field of a path: "title[0].text" is the
// column "title:en", "deployments[1].year" the column "deployment4.year".
func (row *importRow) column(path string, s *Solution) string {
	if i := row.find(path); i >= 0 {
		return row.fields[i].column
	}
	g := listPath.FindStringSubmatch(path)
	if g == nil {
		return path
	}
	i, _ := strconv.Atoi(g[2])
	name, rest := g[1], g[3]
	if t := s.textNamed(name); t != nil && i < len(*t) {
		if f := row.find(name + ":" + string((*t)[i].Language)); f >= 0 {
			return row.fields[f].column
		}
	}
	if !row.isCSV {
		return path
	}
	if numbers := row.groups[name]; i < len(numbers) {
		part, tail, _ := strings.Cut(rest, "[")
		at := fmt.Sprintf("%s%d.%s", strings.TrimSuffix(name, "s"), numbers[i], part)
		j, err := strconv.Atoi(strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(tail, ".text"), ".language"), "]"))
		if t := s.entryText(name, i); err == nil && j < len(t) {
			at += ":" + string(t[j].Language)
		}
		return at
	}
	if f := row.find(name); f >= 0 {
		return row.fields[f].column
	}
	return path
}

// textNamed is the text of a field whose languages can be given one by one.
func (s *Solution) textNamed(name string) *Text {
	switch name {
	case "title":
		return &s.Title
	case "summary":
		return &s.Summary
	case "description":
		return &s.Description
	case "priceNote":
		return &s.PriceNote
	}
	return nil
}

// entryText is the text of an entry of a list.
func (s *Solution) entryText(list string, i int) Text {
	switch {
	case list == "deployments" && i < len(s.Deployments):
		return s.Deployments[i].Result
	case list == "media" && i < len(s.Media):
		return s.Media[i].Title
	}
	return nil
}

// lookUp reads the companies and cities that rows name and that are not
// known yet.
func (c *importCheck) lookUp(ctx context.Context, rows []*importRow) error {
	var companies, cities []string
	for _, row := range rows {
		for _, f := range row.fields {
			if name, ok := f.value.(string); ok && f.name == "company" && name != "" {
				if _, known := c.companies[name]; !known && !slices.Contains(companies, name) {
					companies = append(companies, name)
				}
			}
			if f.name == "deployments" {
				for city := range citySlugs(f.value) {
					if _, known := c.cities[city]; !known {
						cities = append(cities, city)
					}
				}
			}
		}
	}
	found, err := c.companiesOf(ctx, companies)
	if err != nil {
		return err
	}
	for _, name := range companies {
		if c.companies[name] = found[name]; len(c.companies) > maxImportCompanies {
			return invalid("company", "TOO_MANY", fmt.Sprintf("a file names at most %d companies", maxImportCompanies))
		}
	}
	if len(c.cities) > 20_000 {
		clear(c.cities) // those of this batch are read again
		return c.lookUp(ctx, rows)
	}
	for part := range slices.Chunk(cities, MaxValues) {
		found, err := find[*City](ctx, c.market, KindCity, bySlugs(part))
		if err != nil {
			return err
		}
		for _, slug := range part {
			c.cities[slug] = ""
		}
		for _, city := range found {
			c.cities[city.Slug] = city.ID
		}
	}
	return nil
}

func bySlugs(slugs []string) Query {
	values := make([]any, len(slugs))
	for i, s := range slugs {
		values[i] = s
	}
	return Query{Where: []Condition{{Field: "slug", Op: In, Values: values}}, Limit: len(slugs)}
}

// companiesOf are the companies of these ids or slugs, nil where there is none.
func (c *importCheck) companiesOf(ctx context.Context, names []string) (map[string]*Company, error) {
	found := make(map[string]*Company, len(names))
	var ids []ID
	var slugs []string
	for _, name := range names {
		if ID(name).Kind() == KindCompany {
			ids = append(ids, ID(name))
		} else if slugPattern.MatchString(name) {
			slugs = append(slugs, name)
		}
	}
	list, err := several[*Company](ctx, c.market, ids)
	for _, company := range list {
		found[string(company.ID)] = company
	}
	if err == nil && len(slugs) > 0 {
		list, err = find[*Company](ctx, c.market, KindCompany, bySlugs(slugs))
		for _, company := range list {
			found[company.Slug] = company
		}
	}
	return found, err
}

// citySlugs are the cities that a list of deployments names by slug.
func citySlugs(deployments any) map[string]bool {
	slugs := map[string]bool{}
	list, _ := deployments.([]any)
	for _, d := range list[:min(len(list), 200)] {
		d, _ := d.(map[string]any)
		if city, ok := d["city"].(string); ok && ID(city).Kind() == "" && len(city) <= 80 && slugPattern.MatchString(city) {
			slugs[city] = true
		}
	}
	return slugs
}

// resolved puts ids in the place of slugs, and passes on what is neither.
func (c *importCheck) resolved(row *importRow, f importField) importField {
	list, _ := f.value.([]any)
	switch f.name {
	case "topics":
		ids := make([]any, 0, len(list))
		for _, v := range list {
			name, ok := v.(string)
			switch {
			case !ok || ID(name).Kind() != "":
				ids = append(ids, v)
			case c.topics[name] == "":
				row.problems.addf(f.column, "NOT_FOUND", "there is no topic %q", cut(name, 80))
			default:
				ids = append(ids, string(c.topics[name]))
			}
		}
		if list != nil {
			f.value = ids
		}
	case "deployments":
		for i, v := range list {
			d, _ := v.(map[string]any)
			name, ok := d["city"].(string)
			if !ok || name == "" || ID(name).Kind() != "" {
				continue
			}
			if d["city"] = string(c.cities[name]); c.cities[name] == "" { // the empty one is allowed
				row.problems.addf(row.column(index(f.name, i)+".city", new(Solution)), "NOT_FOUND", "there is no city %q", cut(name, 80))
			}
		}
	}
	return f
}
