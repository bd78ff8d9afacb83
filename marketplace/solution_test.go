package marketplace_test

import (
	"errors"
	"fmt"
	"testing"

	. "citymarket/marketplace"
)

// A translation is outdated when its original changes and it does not.
func TestTranslationsGrowOld(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	owner := o.join(o.admin(), "owner@example.org", "company_acme", "OWNER")
	tr := func(language, text string) map[string]any { return map[string]any{"language": language, "text": text} }
	s, err := o.CreateSolution(owner.ctx(), CreateSolutionInput{Company: "company_acme", Content: Patch{"title": []any{tr("en", "Kerb")}}})
	must(t, err)
	translate := func(language Language, text string) error {
		_, err := o.Translate(owner.ctx(), TranslateInput{ID: s.ID, Language: language, Texts: []*TranslatedTextInput{{Field: "title", Text: &text}}})
		return err
	}
	must(t, translate("ko", "연석"))
	must(t, translate("zh", "路缘"))
	if code(translate("en", "Curb")) != "INVALID" {
		t.Error("the original was translated")
	}
	state := func() string {
		s, err := o.Solution(owner.ctx(), s.ID)
		must(t, err)
		return fmt.Sprint(s.Title)
	}
	edit := func(title ...any) {
		_, err := o.EditSolution(owner.ctx(), EditSolutionInput{ID: s.ID, Content: Patch{"title": title}})
		must(t, err)
	}
	edit(tr("en", "Kerbs"), tr("ko", "연석"), tr("zh", "路缘石"))
	if got := state(); got != "[{en Kerbs false} {ko 연석 true} {zh 路缘石 false}]" {
		t.Error(got)
	}
	edit(tr("en", "Kerbs"), tr("ko", "연석"), tr("zh", "路缘石"))
	if got := state(); got != "[{en Kerbs false} {ko 연석 true} {zh 路缘石 false}]" {
		t.Error(got)
	}
	must(t, translate("ko", "연석"))
	if got := state(); got != "[{en Kerbs false} {zh 路缘石 false} {ko 연석 false}]" {
		t.Error(got)
	}
}

// A city confirms what is said of it; the word goes with what it was about.
func TestDeploymentsAreConfirmed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	admin := o.admin()
	owner := o.join(admin, "owner@example.org", "company_acme", "OWNER")
	mayor := o.join(admin, "mayor@example.org", "city_oslo", "EDITOR")
	deployment := func(year int) map[string]any {
		return map[string]any{"place": "Oslo", "country": "NO", "city": "city_oslo", "year": year,
			"confirmation": map[string]any{"by": "user_forged", "at": "2027-01-01T00:00:00Z"}}
	}
	s, err := o.CreateSolution(owner.ctx(), CreateSolutionInput{Company: "company_acme", Content: Patch{
		"title": []any{map[string]any{"language": "en", "text": "Kerb"}}, "summary": []any{map[string]any{"language": "en", "text": "Kerb."}},
		"topics": []any{"topic_parking"}, "deployments": []any{deployment(2020)}}})
	must(t, err)
	if s.Deployments[0].Confirmation != nil {
		t.Fatal("a company confirmed itself")
	}
	for _, move := range []SolutionMove{"SUBMIT", "APPROVE"} {
		s, err = o.MoveSolution(admin.ctx(), MoveSolutionInput{ID: s.ID, Move: move})
		must(t, err)
	}
	confirm := ConfirmDeploymentInput{Solution: s.ID, Version: s.Version(), Confirmed: true}
	for name, c := range map[string]*client{"company": owner, "secretariat": admin, "visitor": o.client()} {
		if _, err := o.ConfirmDeployment(c.ctx(), confirm); code(err) != "FORBIDDEN" {
			t.Errorf("%s confirms: %v", name, err)
		}
	}
	s, err = o.ConfirmDeployment(mayor.ctx(), confirm)
	must(t, err)
	if s.Deployments[0].Confirmation == nil {
		t.Fatal("not confirmed")
	}
	if _, err := o.ConfirmDeployment(mayor.ctx(), confirm); !errors.Is(err, ErrStale) {
		t.Errorf("an old version: %v", err)
	}
	edit := func(content Patch) *Solution {
		s, err := o.EditSolution(owner.ctx(), EditSolutionInput{ID: s.ID, Content: content})
		must(t, err)
		return s
	}
	if s := edit(Patch{"deployments": []any{deployment(2021), deployment(2020)}}); s.Deployments[0].Confirmation != nil || s.Deployments[1].Confirmation == nil {
		t.Error("the confirmation did not stay with what it was about")
	}
	if s := edit(Patch{"deployments": []any{deployment(2021)}}); s.Deployments[0].Confirmation != nil {
		t.Error("the confirmation stayed though the year changed")
	}
}
