package marketplace

import "context"

// CaseTimeline lists what happened to a case and by whom, newest first, from
// the audit log. For the secretariat this is what was done to the case, its
// candidates, its notes and its meetings; for the asker's people, what was
// done to the case itself. For others the list is empty, whatever there is. The
// log follows commands by a moment.
//
// It costs four store operations: the ids are some 900 at the most, which one
// query takes.
func (m *Market) CaseTimeline(ctx context.Context, of ID, s Slice) (*Page[*AuditEntry], error) {
	c, err := m.Case(ctx, of)
	if err != nil {
		if ignore(err, ErrNotFound) == nil {
			return emptyPage[*AuditEntry](s)
		}
		return nil, err
	}
	ids := []ID{c.ID}
	if onSide(ctx) {
		if ids, err = m.caseDocuments(ctx, c); err != nil {
			return nil, err
		}
	}
	// The entries of the asker's own case are read by all of its people, not
	// only by the owners, who read the log.
	list, err := page[*AuditEntry](withSight(ctx), m, KindAudit, Query{
		Where: []Condition{{Field: "subject", Op: In, Values: values(ids)}}, Sort: "moment", Descending: true}, s)
	if err != nil {
		return nil, err
	}
	for _, e := range list.Nodes() {
		readsOf(ctx).expect(e.refs())
	}
	return list, nil
}

// caseDocuments are a case and what belongs to it, for the secretariat.
func (m *Market) caseDocuments(ctx context.Context, c *Case) ([]ID, error) {
	ids := []ID{c.ID}
	for _, list := range []struct {
		kind Kind
		q    Query
	}{
		{KindCandidacy, Query{Where: []Condition{{Field: "case", Op: Eq, Value: c.ID}}, Sort: "createdAt", Limit: maxCandidacies}},
		{KindCaseNote, notesOf(c.ID, maxCaseNotes)},
		{KindMeeting, meetingsOfCase(c.ID)},
	} {
		if err := m.fetch(ctx, list.kind, list.q, func(doc entity) { ids = append(ids, doc.meta().ID) }); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// maxCaseMeetings is how many meetings of a case its timeline holds.
const maxCaseMeetings = 200

// meetingsOfCase asks for the meetings that were proposed in a case.
func meetingsOfCase(of ID) Query {
	return Query{Where: []Condition{{Field: "status", Op: In, Values: values(MeetingStatuses)}, {Field: "concerns", Op: Has, Value: concern(of, "")}},
		Sort: "startsAt", Limit: maxCaseMeetings}
}
