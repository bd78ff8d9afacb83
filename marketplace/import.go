package marketplace

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// An Import is a file of solutions that was checked whole and accepted. It
// becomes real by one write, that of this document: before it nothing of the
// file is there, after it every line is applied, once, wherever the server is
// stopped in between. Readers see the solutions appear one after another.
//
// A line can fail only for a reason that came up after the file was accepted:
// the solution was deleted or given away, or its state asks for more. Such
// lines are in Failures; the others are applied all the same.
type Import struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	By        ID           `json:"by"`             // user
	Companies []ID         `json:"companies"`      // whose solutions they are
	Name      *string      `json:"name,omitempty"` // of the file, for people
	Format    ImportFormat `json:"format"`
	Publishes bool         `json:"publishes,omitempty"` // what is added is published, not a draft
	State     ImportState  `json:"state"`
	DoneAt    *time.Time   `json:"doneAt,omitempty"`

	Lines     int `json:"lines"` // of the file that say anything
	Added     int `json:"added"` // what was accepted
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"` // lines that say what is there already: nothing is done
	Applied   int `json:"applied"`   // lines that were done so far, of Added and Changed
	Failed    int `json:"failed"`    // lines that could not be

	// Failures are the first of the lines that could not be applied.
	Failures []ImportFailure `json:"failures,omitempty"`

	Batch string `json:"batch"` // names the parts
	Parts int    `json:"parts"` // how many there are
	Next  int    `json:"next"`  // the first that was not applied yet
}

// An ImportFailure is a line that was accepted and could not be applied.
type ImportFailure struct {
	Line     int         `json:"line"`
	Solution ID          `json:"solution"`
	Errors   []UserError `json:"errors"`
}

// An ImportState is a state in the life of an import.
type ImportState string

// The states of an import.
const (
	ImportAccepted ImportState = "ACCEPTED" // is being applied
	ImportDone     ImportState = "DONE"     // every line has been
)

// ImportStates are all of them.
var ImportStates = []ImportState{ImportAccepted, ImportDone}

// Bounds of what an Import tells.
const (
	maxFailures        = 200
	maxFailureErrors   = 5
	maxImportCompanies = 200
)

// Imported says by which line of which import a solution was last written,
// so that no line is applied twice.
type Imported struct {
	Import ID     `json:"import"`
	Line   int    `json:"line"`
	Key    string `json:"key,omitempty"` // the file's own word for the line
}

// KindImport is the kind of Import.
var KindImport = registerRecord("import", func() entity { return new(Import) },
	Index{Sort: "createdAt"},
	Index{Has: "companies", Sort: "createdAt"},
	Index{Equal: []string{"state"}, Sort: "updatedAt"})

func (*Import) kind() Kind      { return KindImport }
func (i *Import) parties() []ID { return i.Companies }
func (i *Import) refs() []ID    { return append([]ID{i.By}, i.Companies...) }

// IsNode marks imports as something with an id of its own.
func (*Import) IsNode() {}

// A file of several companies is for who sent it alone: one company must not
// see what is said of another.
func (i *Import) audience() []Group {
	groups := []Group{Secretariat, Group(i.By)}
	if len(i.Companies) == 1 {
		groups = append(groups, Group(i.Companies[0]))
	}
	return groups
}

func (i *Import) validate(p *problems) {
	checkOne(p, "state", i.State, ImportStates)
	checkOne(p, "format", i.Format, []ImportFormat{ImportCSV, ImportNDJSON})
	p.max("companies", len(i.Companies), maxImportCompanies)
	checkString(p, "name", text(i.Name), 200, false)
}

// An importPart is a run of lines of an import, as many as fit well into a
// document. Parts are written before the import that names them, which alone
// makes them count; those that none names are forgotten after keptExpired.
type importPart struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Owners []ID         `json:"owners"` // the import's companies
	Lines  []importLine `json:"lines"`
}

// An importLine is a line that was checked.
type importLine struct {
	Line     int    `json:"line"`
	Company  ID     `json:"company"`
	Solution ID     `json:"solution"` // made of the key, or of the import and the line, where it is new
	Key      string `json:"key,omitempty"`
	Adds     bool   `json:"adds,omitempty"` // it was not there when the file was checked
	// Content is what to write, as JSON: [["title:en","Kerb sensors"],["trl",7]].
	Content string `json:"content"`
}

var kindImportPart = registerTrace("importpart", func() entity { return new(importPart) }, Index{Sort: "createdAt"})

func (*importPart) kind() Kind         { return kindImportPart }
func (*importPart) validate(*problems) {}
func (*importPart) audience() []Group  { return nil }
func (p *importPart) parties() []ID    { return p.Owners }

func partID(batch string, n int) ID { return ID(fmt.Sprintf("%s_%s-%04d", kindImportPart, batch, n)) }

// Import returns an import, or ErrNotFound.
func (m *Market) Import(ctx context.Context, id ID) (*Import, error) { return get[*Import](ctx, m, id) }

// Imports lists imports, newest first: of a company for its people and the
// secretariat, all of them for the secretariat.
func (m *Market) Imports(ctx context.Context, company *ID, s Slice) (*Page[*Import], error) {
	q := Query{Sort: "createdAt", Descending: true}
	if company == nil {
		if err := MayReadImports.checkFor(ctx); err != nil {
			return nil, err
		}
	} else {
		if err := MayReadImports.checkFor(ctx, *company); err != nil {
			return nil, err
		}
		q.Where = []Condition{{Field: "companies", Op: Has, Value: *company}}
	}
	return page[*Import](ctx, m, KindImport, q, s)
}

// ImportActor is the user who sent the file; ErrNotFound where the viewer may not see them.
func (m *Market) ImportActor(ctx context.Context, i *Import) (*User, error) {
	return get[*User](ctx, m, i.By)
}

// ImportCompanies are the companies whose solutions they are.
func (m *Market) ImportCompanies(ctx context.Context, i *Import) ([]*Company, error) {
	return several[*Company](ctx, m, i.Companies)
}

// fail notes a line that could not be applied.
func (i *Import) fail(f ImportFailure) {
	i.Failed++
	if len(i.Failures) < maxFailures {
		f.Errors = slices.Clone(f.Errors[:min(len(f.Errors), maxFailureErrors)])
		i.Failures = append(i.Failures, f)
	}
}

// Names of the pages of imports in the API.
type (
	ImportConnection = Page[*Import]
	ImportEdge       = PageEdge[*Import]
)
