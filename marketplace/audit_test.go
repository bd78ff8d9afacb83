package marketplace_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "citymarket/marketplace"
)

// Every command is in the log, once, with who and from where.
func TestTheLogHasEveryCommand(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	owner := o.join(admin, "owner@example.org", "company_acme", "OWNER")
	rival := o.join(admin, "rival@example.org", "company_rival", "OWNER")
	s, err := o.CreateSolution(owner.ctx(), CreateSolutionInput{Company: "company_acme", Content: Patch{
		"title": []any{map[string]any{"language": "en", "text": "Kerb"}}, "summary": []any{map[string]any{"language": "en", "text": "Kerb."}}, "topics": []any{"topic_parking"}}})
	must(t, err)
	const edits = 30 // more than a document keeps
	for i := range edits {
		_, err := o.EditSolution(owner.ctx(), EditSolutionInput{ID: s.ID, Content: Patch{"standards": []any{fmt.Sprint(i)}}})
		must(t, err)
	}
	_, err = o.MoveSolution(owner.ctx(), MoveSolutionInput{ID: s.ID, Move: "SUBMIT"})
	must(t, err)
	_, err = o.MoveSolution(admin.ctx(), MoveSolutionInput{ID: s.ID, Move: "RETURN", Note: new("too short")})
	must(t, err)
	must(t, o.CatchUp(context.Background()))
	read := func(c *client, of ID) (all []*AuditEntry) {
		for after := (*string)(nil); ; {
			page, err := o.AuditLog(c.ctx(), &of, Slice{First: new(7), After: after})
			must(t, err)
			all = append(all, page.Nodes()...)
			if !page.PageInfo.HasNextPage {
				return all
			}
			after = page.PageInfo.EndCursor
		}
	}
	log := read(owner, s.ID)
	if len(log) != edits+3 {
		t.Fatalf("%d entries", len(log))
	}
	for _, e := range log {
		mine := e.Action != "RETURN"
		if e.By == "" || mine != (e.VisibleAddress(owner.ctx()) != nil) {
			t.Errorf("%s: by %q from %v", e.Action, e.By, e.VisibleAddress(owner.ctx()))
		}
	}
	if _, err := o.AuditLog(rival.ctx(), &s.ID, Slice{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rival reads what was done to a draft: %v", err)
	}
	if _, err := o.AuditLog(rival.ctx(), new(ID("company_acme")), Slice{}); code(err) != "FORBIDDEN" {
		t.Errorf("a rival reads the log: %v", err)
	}
	if _, err := o.AuditLog(owner.ctx(), nil, Slice{}); code(err) != "FORBIDDEN" {
		t.Errorf("an owner reads the whole log: %v", err)
	}
	if got := read(owner, "company_acme"); len(got) <= edits+3 {
		t.Errorf("the member's log has %d entries", len(got))
	}
}
