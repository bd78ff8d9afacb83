package marketplace_test

import (
	"errors"
	"testing"
	"time"

	. "citymarket/marketplace"
)

// Nobody makes the store grow without end, and what is refused changes nothing.
func TestCommandsAreLimited(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	owner := o.join(o.admin(), "owner@example.org", "company_acme", "OWNER")
	ctx := owner.ctx()
	s, err := o.CreateSolution(ctx, CreateSolutionInput{Company: "company_acme", Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Kerb"}}}})
	must(t, err)
	edit := func() error {
		_, err := o.EditSolution(ctx, EditSolutionInput{ID: s.ID, Content: Patch{"trl": 5}})
		return err
	}
	done := 0
	for ; done < 3000; done++ {
		if err = edit(); err != nil {
			break
		}
	}
	limited, ok := errors.AsType[*RateLimitedError](err)
	if !ok || done > 2000 || done < 1000 {
		t.Fatalf("after %d changes: %v", done, err)
	}
	if got, err := o.Solution(owner.ctx(), s.ID); err != nil || got.Version() != done+1 {
		t.Errorf("version %d after %d changes: %v", got.Version(), done, err)
	}
	o.pass(limited.Wait + time.Second)
	must(t, edit())
}
