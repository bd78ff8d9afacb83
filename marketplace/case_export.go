package marketplace

import (
	"context"
	"slices"
)

// Columns of what members have of cases.
var (
	ownCase = slices.Concat(plainColumns("id", "asker", "askedBy", "status", "officerName", "wanted", "about", "partnerTypes", "regions", "countries", "dueOn", "closing", "createdAt", "updatedAt"), []column{version, isSample})
	// What the candidate may know: for whom only once it was introduced, and
	// nothing of why it was listed.
	ownCandidacy = slices.Concat(plainColumns("id", "member", "about"), []column{
		{name: "asker", get: func(_ context.Context, doc entity) any {
			if d := doc.(*Candidacy); d.IsIntroduced {
				return d.Asker
			}
			return nil
		}},
		{name: "status", get: func(ctx context.Context, doc entity) any { return doc.(*Candidacy).VisibleStatus(ctx) }},
		{name: "letters", get: func(ctx context.Context, doc entity) any { return doc.(*Candidacy).VisibleLetters(ctx) }},
		{name: "answers", get: func(ctx context.Context, doc entity) any { return doc.(*Candidacy).VisibleAnswers(ctx) }},
	}, plainColumns("contactedAt", "introducedAt", "isOver", "updatedAt"))
)

// candidaciesOf asks for the candidacies in which a member was contacted.
func candidaciesOf(member ID) Query {
	return Query{Where: []Condition{{Field: "member", Op: Eq, Value: member}, {Field: "isContacted", Op: Eq, Value: true},
		{Field: "status", Op: In, Values: values(CandidacyStatuses)}}, Sort: "createdAt"}
}
