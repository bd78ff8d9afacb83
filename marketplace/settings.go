package marketplace

import (
	"context"
	"errors"
)

// Settings are what the network has decided about itself. There is one such
// document; before it is written for the first time, the defaults hold.
type Settings struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	// ReviewsSolutions says that solutions are published by the secretariat
	// after a review; otherwise companies publish them themselves.
	ReviewsSolutions bool `json:"reviewsSolutions"`
	// SecretariatNeedsCode gives the secretariat's rights only to those who
	// have set up a second factor.
	SecretariatNeedsCode bool `json:"secretariatNeedsCode"`
	// MatchWeights are how much the criteria of matches count, where that is
	// not as by default.
	MatchWeights []MatchWeight `json:"matchWeights,omitempty"`
}

// KindSettings is the kind of Settings.
var KindSettings = registerRecord("settings", func() entity { return new(Settings) })

const settingsID = ID("settings_network")

var settingsContent = []string{"reviewsSolutions", "secretariatNeedsCode", "matchWeights"}

func (*Settings) kind() Kind             { return KindSettings }
func (s *Settings) validate(p *problems) { checkWeights(p, "matchWeights", s.MatchWeights) }
func (*Settings) audience() []Group      { return []Group{Everyone} }
func (*Settings) parties() []ID          { return nil }

// AllMatchWeights are the weights of all criteria as they hold now.
func (s *Settings) AllMatchWeights() []*MatchWeight {
	out := make([]*MatchWeight, criteria)
	for i, w := range weightsOf(s.MatchWeights) {
		out[i] = &MatchWeight{Criteria[i], w}
	}
	return out
}

// newSettings are the defaults.
func newSettings() *Settings { return &Settings{Meta: Meta{ID: settingsID}, ReviewsSolutions: true} }

// Settings returns what the network has decided. It is read once in a request.
func (m *Market) Settings(ctx context.Context) (*Settings, error) {
	return once(ctx, "settings", func() (*Settings, error) {
		s, err := get[*Settings](ctx, m, settingsID)
		if errors.Is(err, ErrNotFound) {
			return newSettings(), nil
		}
		return s, err
	})
}

// EditSettingsInput is what EditSettings takes.
type EditSettingsInput struct {
	Version *int // that was read; nil: any
	Content Patch
}

// EditSettings changes the network's settings.
func (m *Market) EditSettings(ctx context.Context, in EditSettingsInput) (*Settings, error) {
	return updateOrCreate(ctx, m, MayEditSettings, settingsID, versionOf(in.Version), newSettings, func(s *Settings) error {
		s.mark("EDIT", fieldsOf(in.Content))
		return applyPatch(in.Content, s, settingsContent)
	})
}

// versionOf is the version that an input names; 0, which accepts any, where it names none.
func versionOf(v *int) int {
	if v == nil {
		return 0
	}
	return *v
}
