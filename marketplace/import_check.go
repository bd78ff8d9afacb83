package marketplace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"slices"
	"time"
)

// ImportInput is what ImportSolutions takes.
type ImportInput struct {
	// Company is the id or slug of the company that offers all of them; empty:
	// each line names its own.
	Company string
	Format  ImportFormat
	File    io.Reader // the caller bounds its size
	Name    *string   // of the file, for people
	DryRun  bool      // check and report, write nothing
	Publish bool      // publish what is added, for those who may
	// Key is a word of the client's own: the same word makes no second import.
	// Without one, the same file for the same company makes none.
	Key *string
}

// An ImportReport says what a file does, or why it cannot be imported.
type ImportReport struct {
	DryRun  bool `json:"dryRun"`
	IsValid bool `json:"valid"` // every line can be applied
	// Import is what was accepted, to follow how it goes; null after a dry run,
	// where something is wrong, and where nothing is to be done.
	Import *ID `json:"import"`
	// IsRepeated says that this file, or this key, was accepted before; the
	// counts are of that time and there are no lines.
	IsRepeated bool `json:"repeated"`

	Added     int `json:"added"` // numbers of lines
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Invalid   int `json:"invalid"`

	Ignored []string        `json:"ignored"` // columns or fields that were passed over
	Lines   []ImportVerdict `json:"lines"`
	// IsCut says that errors of later lines are only counted.
	IsCut bool `json:"cut"`
}

// An ImportVerdict is what a line of a file does.
type ImportVerdict struct {
	Line     int          `json:"line"` // of the file, from 1
	Result   ImportResult `json:"result"`
	Solution ID           `json:"solution,omitempty"` // that is added or changed
	Errors   []UserError  `json:"errors,omitempty"`   // with the names that the file uses
}

// An ImportResult is what a line does.
type ImportResult string

// The results of lines.
const (
	LineAdds      ImportResult = "ADDED"
	LineChanges   ImportResult = "CHANGED"
	LineIsSame    ImportResult = "UNCHANGED"
	LineIsInvalid ImportResult = "INVALID"
)

// Bounds of checking a file.
const (
	importBatch     = 100       // lines that are compared with the store together
	maxReportErrors = 2000      // of one report
	maxPartSize     = 512 << 10 // bytes of the lines of a part, unless one alone is larger
	maxStoredLine   = MaxDocumentSize - 64<<10
)

// limitImport is how often a user may send a file, dry runs included.
var limitImport = limited{name: "import", account: throttleLimit{30, 20 * time.Second}}

// ImportSolutions checks a file of solutions and, where everything is right
// and it is no dry run, accepts it as a whole; a follower of the feed applies
// it. An error that is an [*InvalidError] is about the request; what is wrong
// with the file is in the report. It reads the store twice to five times for
// each 100 lines, and keeps the file's content in memory: some 60 MB for the
// largest.
func (m *Market) ImportSolutions(ctx context.Context, in ImportInput) (*ImportReport, error) {
	c := &importCheck{market: m, in: in, hash: sha256.New(), report: &ImportReport{DryRun: in.DryRun, Ignored: []string{}, Lines: []ImportVerdict{}},
		companies: map[string]*Company{}, cities: map[string]ID{}, targets: map[ID]int{}}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	if in.Key != nil && !in.DryRun {
		if err := c.repeated(ctx); err != nil || c.report.IsRepeated {
			return c.report, err
		}
	}
	if err := c.readAll(ctx); err != nil {
		return nil, err
	}
	c.report.IsValid = c.report.Invalid == 0
	if in.DryRun || !c.report.IsValid {
		return c.report, nil
	}
	if err := c.repeated(ctx); err != nil || c.report.IsRepeated {
		return c.report, err
	}
	if len(c.lines) == 0 {
		return c.report, nil
	}
	return c.report, c.accept(ctx)
}

// An importCheck is a file on its way into the store.
type importCheck struct {
	market  *Market
	in      ImportInput
	company *Company // nil: each line names its own
	hash    hash.Hash
	report  *ImportReport
	errors  int // in the report
	lines   []importLine

	topics    map[string]ID       // by slug
	cities    map[string]ID       // by slug; empty: there is none
	companies map[string]*Company // by what the file calls them; nil: there is none, or not for the viewer
	targets   map[ID]int          // the line of each solution
}

// begin checks the request, before anything of the file is read.
func (c *importCheck) begin(ctx context.Context) error {
	var p problems
	m, a := c.market, actorOf(ctx)
	checkOne(&p, "format", c.in.Format, []ImportFormat{ImportCSV, ImportNDJSON})
	checkString(&p, "name", text(c.in.Name), 200, false)
	if c.in.Key != nil {
		checkString(&p, "key", *c.in.Key, 200, true)
	}
	if err := p.err(); err != nil {
		return err
	}
	own := []ID{}
	for _, membership := range a.Memberships {
		own = append(own, membership.Member)
	}
	if c.in.Company != "" {
		found, err := c.companiesOf(ctx, []string{c.in.Company})
		if err != nil {
			return err
		}
		if c.company = found[c.in.Company]; c.company == nil {
			return invalid("company", "NOT_FOUND", "there is no such company")
		}
		own = []ID{c.company.ID}
	}
	if err := MayImportSolutions.checkFor(ctx, own...); err != nil {
		return err
	}
	if c.in.Publish {
		if err := MayPlaceSolution.checkFor(ctx, own...); err != nil {
			return err
		}
	}
	if err := m.limit(ctx, limitImport, string(a.User)); err != nil {
		return err
	}
	topics, err := find[*Topic](ctx, m, KindTopic, Query{Limit: MaxPage})
	c.topics = make(map[string]ID, len(topics))
	for _, t := range topics {
		c.topics[t.Slug] = t.ID
	}
	return err
}

// readAll reads the file and checks it, some lines at a time.
func (c *importCheck) readAll(ctx context.Context) error {
	var batch []*importRow
	n := 0
	for row, err := range importRows(c.in.Format, io.TeeReader(c.in.File, c.hash)) {
		if err != nil {
			return err
		}
		if n++; n > MaxImportLines {
			row.fields, row.problems = nil, problems{}
			row.problems.addf("", "TOO_MANY", "a file has at most %d lines; nothing after it was read", MaxImportLines)
		}
		if batch = append(batch, row); len(batch) == importBatch || n > MaxImportLines {
			if err := c.check(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if n > MaxImportLines {
			return nil
		}
	}
	if n == 0 {
		c.say(&importRow{line: 1}, LineIsInvalid, "", []UserError{{Code: "REQUIRED", Message: "the file has no lines"}})
	}
	return c.check(ctx, batch)
}

// say puts a line into the report.
func (c *importCheck) say(row *importRow, result ImportResult, solution ID, errs []UserError) {
	r := c.report
	switch result {
	case LineAdds:
		r.Added++
	case LineChanges:
		r.Changed++
	case LineIsSame:
		r.Unchanged++
	case LineIsInvalid:
		r.Invalid++
	}
	if c.errors += len(errs); c.errors > maxReportErrors {
		r.IsCut, errs = true, nil
	}
	r.Lines = append(r.Lines, ImportVerdict{Line: row.line, Result: result, Solution: solution, Errors: errs})
}

// A candidate is a row with what it is about.
type candidate struct {
	*importRow
	company *Company
	line    importLine
	content importContent
}

// check compares rows with each other and with what is there. What a request
// has read is forgotten after each batch.
func (c *importCheck) check(ctx context.Context, rows []*importRow) error {
	ctx = WithViewer(ctx, ViewerOf(ctx))
	if err := c.lookUp(ctx, rows); err != nil {
		return err
	}
	list := make([]*candidate, len(rows))
	ids := []any{}
	for i, row := range rows {
		for _, name := range row.ignored {
			if !slices.Contains(c.report.Ignored, name) {
				c.report.Ignored = append(c.report.Ignored, name)
			}
		}
		list[i] = c.candidate(ctx, row)
		if id := list[i].line.Solution; id != "" {
			ids = append(ids, string(id))
		}
	}
	present := map[ID]*Solution{}
	hidden := map[ID]bool{}
	if len(ids) > 0 {
		err := c.market.fetchAll(ctx, KindSolution, byIDs(ids), func(doc entity, _ string, seen bool) {
			if id := doc.meta().ID; seen {
				present[id] = doc.(*Solution)
			} else {
				hidden[id] = true
			}
		})
		if err != nil {
			return err
		}
	}
	// What the lines refer to is read together.
	refs := []ID{}
	for _, k := range list {
		refs = append(refs, k.content.refs()...)
	}
	readsOf(ctx).expect(refs)
	for _, k := range list {
		if err := c.judge(ctx, k, present[k.line.Solution], hidden[k.line.Solution]); err != nil {
			return err
		}
	}
	return nil
}

// candidate finds out what a row is about.
func (c *importCheck) candidate(ctx context.Context, row *importRow) *candidate {
	k := &candidate{importRow: row, company: c.company, line: importLine{Line: row.line}}
	var id, company string
	for _, f := range row.fields {
		switch f.name {
		case "company":
			company = row.word(f)
		case "key":
			k.line.Key = row.word(f)
			checkString(&row.problems, f.column, k.line.Key, 200, false)
		case "id":
			id = row.word(f)
		default:
			k.content = append(k.content, c.resolved(row, f))
		}
	}
	column := func(name string) string {
		if i := row.find(name); i >= 0 {
			return row.fields[i].column
		}
		return name
	}
	if row.isBroken() {
		return k
	}
	if company != "" {
		found := c.companies[company]
		switch {
		case found == nil:
			row.problems.add(column("company"), "NOT_FOUND", "there is no such company")
		case c.company != nil && found.ID != c.company.ID:
			row.problems.add(column("company"), "INVALID", "is another company than the one that the file was sent for")
		}
		k.company = found
	} else if c.company == nil {
		row.problems.add("company", "REQUIRED", "must be named by each line, or by the request")
	}
	if k.company == nil {
		return k
	}
	k.line.Company = k.company.ID
	if c.company == nil && MayImportSolutions.checkFor(ctx, k.company.ID) != nil {
		row.problems.add(column("company"), "INVALID", "is a company for which you may not add solutions")
	}
	switch {
	case id != "" && ID(id).Kind() != KindSolution:
		row.problems.add(column("id"), "INVALID", "must be the id of a solution")
	case id != "":
		k.line.Solution = ID(id)
	case k.line.Key != "":
		k.line.Solution = keyedSolution(k.company.ID, k.line.Key)
	}
	if target := k.line.Solution; target != "" {
		name := "key"
		if id != "" {
			name = "id"
		}
		if first := c.targets[target]; first != 0 {
			row.problems.addf(column(name), "DUPLICATE", "is the one of line %d", first)
		} else {
			c.targets[target] = row.line
		}
	}
	return k
}

// isBroken says that the row as a whole cannot be read, so that nothing more
// can be said of it.
func (row *importRow) isBroken() bool {
	return row.isNames || slices.ContainsFunc(row.problems.list, func(e UserError) bool { return e.Path == "" })
}

// word is the value of a field that must be a string, or null for none.
func (row *importRow) word(f importField) string {
	s, ok := f.value.(string)
	if !ok && f.value != nil {
		row.problems.add(f.column, "INVALID", "must be a string")
	}
	return s
}

// judge says what a line does, and keeps it where it does anything.
func (c *importCheck) judge(ctx context.Context, k *candidate, present *Solution, hidden bool) error {
	refuse := func(errs []UserError) error {
		c.say(k.importRow, LineIsInvalid, "", errs)
		return nil
	}
	if k.isBroken() || k.company == nil {
		return refuse(k.problems.list)
	}
	switch byID := k.find("id") >= 0; {
	case hidden && !byID, present != nil && present.Company != k.company.ID:
		k.problems.add("", "TAKEN", "the solution is not the company's any more, or was deleted a moment ago")
		return refuse(k.problems.list)
	case byID && present == nil:
		if k.line.Solution != "" {
			k.problems.add(k.column("id", new(Solution)), "NOT_FOUND", "there is no such solution")
		}
		return refuse(k.problems.list)
	}
	s := present
	result := LineChanges
	if s == nil {
		result = LineAdds
		s = newImported(k.company.ID, c.in.Publish)
		s.ID = k.line.Solution
		if s.ID == "" {
			s.ID = "solution_00000000000000000000000000" // it gets one of the import and the line
		}
	}
	before := stored(s)
	errs := problemsOf(k.content.apply(s))
	if len(errs) == 0 {
		if result == LineAdds {
			s.Slug = titleSlug(KindSolution, s.ID, s.Title)
		}
		err := c.market.checkSolution(ctx, s)
		if err != nil && !errors.Is(err, ErrInvalid) {
			return err
		}
		if errs = problemsOf(err); len(errs) == 0 {
			errs = problemsOf(check(s))
		}
	}
	for _, e := range errs {
		k.problems.add(k.column(e.Path, s), e.Code, e.Message)
	}
	if k.problems.err() != nil {
		return refuse(k.problems.list)
	}
	after := stored(s)
	if result == LineChanges && bytes.Equal(before, after) {
		c.say(k.importRow, LineIsSame, s.ID, nil)
		return nil
	}
	k.line.Content = k.content.String()
	k.line.Adds = result == LineAdds
	if len(after) > maxStoredLine || k.line.size() > maxStoredLine {
		return refuse([]UserError{{Code: "TOO_LONG", Message: "all of it together is too large to be kept"}})
	}
	c.lines = append(c.lines, k.line)
	c.say(k.importRow, result, k.line.Solution, nil)
	return nil
}

// stored is a document as a store keeps it, or about so.
func stored(doc any) []byte {
	b, _ := json.Marshal(doc) // documents can be marshalled
	return b
}

// size is how many bytes the line takes in its part.
func (l *importLine) size() int { return len(stored(l)) }

// newImported is a solution before a line is applied to it.
func newImported(company ID, publish bool) *Solution {
	s := newSolution(company)
	if publish {
		s.Status = SolutionPublished
	}
	return s
}
