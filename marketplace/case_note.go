package marketplace

import (
	"context"
	"fmt"
)

// A CaseNote is what officers write down about a case, for the secretariat. It
// is a document of its own, so that nothing of it can be read with the case.
type CaseNote struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Case ID     `json:"case"`
	By   ID     `json:"by"` // user
	Text string `json:"text"`
}

// KindCaseNote is the kind of CaseNote.
var KindCaseNote = registerRecord("casenote", func() entity { return new(CaseNote) },
	Index{Equal: []string{"case"}, Sort: "createdAt"})

const maxCaseNotes = 500 // of a case

func (*CaseNote) kind() Kind        { return KindCaseNote }
func (*CaseNote) parties() []ID     { return nil }
func (*CaseNote) audience() []Group { return []Group{Secretariat} }
func (n *CaseNote) refs() []ID      { return []ID{n.Case, n.By} }

// IsNode marks notes as something with an id of its own.
func (*CaseNote) IsNode() {}

func (n *CaseNote) validate(p *problems) { checkString(p, "text", n.Text, maxCaseNote, true) }

// AddCaseNoteInput is what AddCaseNote takes.
type AddCaseNoteInput struct {
	Case ID
	Text string
	Key  *string // a word of the client's own: the same word makes no second one
}

// AddCaseNote writes a note about a case, also when it is closed. A case has
// at most 500.
func (m *Market) AddCaseNote(ctx context.Context, in AddCaseNoteInput) (*CaseNote, error) {
	c, err := m.Case(ctx, in.Case)
	if err != nil {
		var p problems
		if err := p.missing(err, "case", "case"); err != nil {
			return nil, err
		}
		return nil, p.err()
	}
	n := &CaseNote{Meta: Meta{IsSample: c.IsSample}, Case: c.ID, By: actorOf(ctx).User, Text: in.Text}
	if err := MayHandleCase.check(ctx, c); err != nil {
		return nil, err
	}
	return keyed(ctx, m, n, in.Key, func(ctx context.Context, n *CaseNote) error {
		there, err := m.count(ctx, KindCaseNote, notesOf(c.ID, maxCaseNotes))
		if err != nil {
			return err
		}
		if there >= maxCaseNotes {
			return invalid("case", "TOO_MANY", fmt.Sprintf("at most %d notes", maxCaseNotes))
		}
		return create(ctx, m, MayHandleCase, n)
	})
}

func notesOf(of ID, limit int) Query {
	return Query{Where: []Condition{{Field: "case", Op: Eq, Value: of}}, Sort: "createdAt", Limit: limit}
}

// CaseNotes lists the notes about a case, newest first, for the secretariat.
// For others the list is empty, whatever there is.
func (m *Market) CaseNotes(ctx context.Context, of ID, s Slice) (*Page[*CaseNote], error) {
	if !onSide(ctx) {
		return emptyPage[*CaseNote](s)
	}
	q := notesOf(of, 0)
	q.Descending = true
	return page[*CaseNote](ctx, m, KindCaseNote, q, s)
}

// Names of the pages of notes in the API.
type (
	CaseNoteConnection = Page[*CaseNote]
	CaseNoteEdge       = PageEdge[*CaseNote]
)
