package seed

import "citymarket/marketplace"

// labelLanguages are the columns of topics.csv that hold labels.
var labelLanguages = []marketplace.Language{"en", "zh", "ko", "es", "fr", "ar"}

// topics are the domains and sub-topics of the network's awards, in the
// file's order: a domain stands before its sub-topics.
func topics() ([]*marketplace.Topic, error) {
	rows, err := table("topics.csv")
	if err != nil {
		return nil, err
	}
	out := make([]*marketplace.Topic, 0, len(rows))
	for i, row := range rows {
		t := &marketplace.Topic{Meta: marketplace.Meta{ID: marketplace.ID("topic_" + row["slug"]), Slug: row["slug"]}, Order: i + 1}
		for _, l := range labelLanguages {
			if row[string(l)] != "" {
				t.Label = append(t.Label, marketplace.Translation{Language: l, Text: row[string(l)]})
			}
		}
		if row["parent"] != "" {
			t.Parent = marketplace.ID("topic_" + row["parent"])
		}
		out = append(out, t)
	}
	return out, nil
}
