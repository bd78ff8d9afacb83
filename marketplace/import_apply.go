package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// importContent is what a line writes, in the order of the file: of texts
// that are given language by language the first is the original.
type importContent []importField

// String is the content as it is kept: a list of pairs.
func (c importContent) String() string {
	pairs := make([][2]any, len(c))
	for i, f := range c {
		pairs[i] = [2]any{f.name, f.value}
	}
	return string(stored(pairs))
}

func parseContent(s string) (importContent, error) {
	var pairs [][2]any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&pairs); err != nil {
		return nil, fmt.Errorf("marketplace: a line of an import: %w", err)
	}
	c := make(importContent, len(pairs))
	for i, p := range pairs {
		c[i].name, _ = p[0].(string)
		c[i].value = p[1]
	}
	return c, nil
}

// refs are the topics and cities that are named, as far as they are ids.
func (c importContent) refs() []ID {
	var refs []ID
	for _, f := range c {
		list, _ := f.value.([]any)
		for _, v := range list[:min(len(list), 200)] {
			if d, ok := v.(map[string]any); ok {
				v = d["city"]
			}
			if id, ok := v.(string); ok && (f.name == "topics" || f.name == "deployments") {
				refs = append(refs, ID(id))
			}
		}
	}
	return refs
}

// apply writes the content into a solution.
func (c importContent) apply(s *Solution) error {
	patch := Patch{}
	for _, f := range c {
		if !strings.Contains(f.name, ":") {
			patch[f.name] = f.value
		}
	}
	before := s.Deployments
	if err := applyPatch(patch, s, solutionContent); err != nil {
		return err
	}
	s.keepConfirmations(before)
	var p problems
	for _, f := range c {
		base, tag, ok := strings.Cut(f.name, ":")
		if !ok {
			continue
		}
		t := s.textNamed(base)
		value, isString := f.value.(string)
		i := slices.IndexFunc(*t, func(tr Translation) bool { return tr.Language == Language(tag) })
		switch {
		case f.value == nil:
			if i >= 0 {
				*t = slices.Delete(*t, i, i+1)
			}
		case !isString:
			p.add(f.name, "INVALID", "must be a string")
		case i >= 0:
			(*t)[i].Text = value
		default:
			*t = append(*t, Translation{Language: Language(tag), Text: value})
		}
	}
	return p.err()
}

// fields names what the content is about.
func (c importContent) fields() string {
	names := make([]string, len(c))
	for i, f := range c {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// keyedSolution is the id of what a company's files call by a key.
func keyedSolution(company ID, key string) ID {
	return ID(string(KindSolution) + "_" + hashed("import\x00" + string(company) + "\x00" + key)[:26])
}

// repeated looks whether the file, or the key, was accepted before.
func (c *importCheck) repeated(ctx context.Context) error {
	i, err := c.market.Import(ctx, c.id(ctx))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.report.repeats(i)
	return nil
}

func (r *ImportReport) repeats(i *Import) {
	*r = ImportReport{IsValid: true, IsRepeated: true, Import: &i.ID, Added: i.Added, Changed: i.Changed, Unchanged: i.Unchanged, Ignored: []string{}, Lines: []ImportVerdict{}}
}

// id is that of the import: of the key, or of what the file is and does.
func (c *importCheck) id(ctx context.Context) ID {
	key := ""
	if c.in.Key != nil {
		key = "key\x00" + *c.in.Key
	} else {
		company := ""
		if c.company != nil {
			company = string(c.company.ID)
		}
		key = fmt.Sprintf("file\x00%x\x00%s\x00%t", c.hash.Sum(nil), company, c.in.Publish)
	}
	return keyedID(KindImport, actorOf(ctx).User, key)
}

// accept writes the lines and then the import, which makes them count.
func (c *importCheck) accept(ctx context.Context) error {
	m, r := c.market, c.report
	i := &Import{
		Meta: Meta{ID: c.id(ctx)}, By: actorOf(ctx).User, Name: c.in.Name, Format: c.in.Format, Publishes: c.in.Publish, State: ImportAccepted,
		Lines: r.Added + r.Changed + r.Unchanged, Added: r.Added, Changed: r.Changed, Unchanged: r.Unchanged,
		Batch: strings.TrimPrefix(string(newID(kindImportPart, m.now())), string(kindImportPart)+"_"),
	}
	verdicts := map[int]*ImportVerdict{}
	for n := range r.Lines {
		verdicts[r.Lines[n].Line] = &r.Lines[n]
	}
	for n := range c.lines {
		l := &c.lines[n]
		if l.Solution == "" {
			l.Solution = ID(string(KindSolution) + "_" + hashed(fmt.Sprintf("%s\x00%s\x00%d", i.ID, i.Batch, l.Line))[:26])
			verdicts[l.Line].Solution = l.Solution
		}
		if !slices.Contains(i.Companies, l.Company) {
			i.Companies = append(i.Companies, l.Company)
		}
	}
	for lines := c.lines; len(lines) > 0; i.Parts++ {
		n := partLength(lines)
		part := &importPart{Meta: Meta{ID: partID(i.Batch, i.Parts)}, Owners: i.Companies, Lines: lines[:n]}
		if err := create(ctx, m, MayImportSolutions, part); err != nil {
			return err
		}
		lines = lines[n:]
	}
	i.mark("IMPORT", fmt.Sprintf("%d to add, %d to change", i.Added, i.Changed))
	err := create(ctx, m, MayImportSolutions, i)
	if taken(err, "id") { // the same file at the same time
		return c.repeated(ctx)
	}
	if err == nil {
		r.Import = &i.ID
	}
	return err
}

// partLength is how many of the lines make a part.
func partLength(lines []importLine) int {
	size := 0
	for n := range lines {
		if size += lines[n].size(); n > 0 && (size > maxPartSize || n >= importBatch) {
			return n
		}
	}
	return len(lines)
}

// importing applies what was accepted, a part at a time: having applied one,
// it notes that in the import, and that change brings it back for the next.
// So files that were sent at the same time take turns.
var importing = follower{name: "imports", kinds: []Kind{KindImport}, apply: func(ctx context.Context, m *Market, c Change) error {
	if c.Deleted {
		return nil
	}
	i, err := get[*Import](ctx, m, ID(c.ID))
	if errors.Is(err, ErrNotFound) || err == nil && i.State != ImportAccepted {
		return nil
	}
	if err != nil {
		return err
	}
	return m.applyPart(ctx, i)
}}

// applyPart applies the next part of an import.
func (m *Market) applyPart(ctx context.Context, i *Import) error {
	part, err := get[*importPart](ctx, m, partID(i.Batch, i.Next))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	var failed []ImportFailure
	applied := 0
	if part != nil {
		if applied, failed, err = m.applyLines(ctx, i, part.Lines); err != nil {
			return err
		}
	}
	_, err = update(ctx, m, MayImportSolutions, i.ID, i.Version(), func(i *Import) error {
		i.mark(unmarked, "")
		i.Next++
		i.Applied += applied
		for _, f := range failed {
			i.fail(f)
		}
		if i.Next >= i.Parts {
			now := m.clock()
			i.State, i.DoneAt = ImportDone, &now
			i.Failed = i.Added + i.Changed - i.Applied // of a part that is lost, too
			i.did = Mark{Action: "FINISH", By: i.By, Note: fmt.Sprintf("%d lines applied, %d failed", i.Applied, i.Failed)}
		}
		return nil
	})
	if errors.Is(err, ErrStale) {
		return nil // another process did it, and its change comes
	}
	if err != nil || part == nil {
		return err
	}
	return m.erase(ctx, part)
}

// applyAtOnce is how many lines are written at a time, so that they share the
// time in which the store makes writes durable. No two lines of a file are
// about the same solution.
const applyAtOnce = 16

// applyLines writes lines. It returns how many were applied, and those that
// could not be; an error is for trying all of them again.
func (m *Market) applyLines(ctx context.Context, i *Import, lines []importLine) (applied int, failed []ImportFailure, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan *importLine)
	for range min(applyAtOnce, len(lines)) {
		all.Go(func() {
			for l := range next {
				errs, e := m.applySafely(ctx, i, l)
				mu.Lock()
				switch {
				case e != nil:
					err = errors.Join(err, e)
				case errs == nil:
					applied++
				default:
					failed = append(failed, ImportFailure{Line: l.Line, Solution: l.Solution, Errors: errs})
				}
				mu.Unlock()
			}
		})
	}
	for n := range lines {
		next <- &lines[n]
	}
	close(next)
	all.Wait()
	slices.SortFunc(failed, func(a, b ImportFailure) int { return a.Line - b.Line })
	return applied, failed, err
}

// applySafely turns a panic into an error, as the worker does where it calls.
func (m *Market) applySafely(ctx context.Context, i *Import, l *importLine) (errs []UserError, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("marketplace: %s, line %d: panic: %v", i.ID, l.Line, p)
		}
	}()
	return m.applyLine(ctx, i, l)
}

// applyLine writes a line, unless it was written before. It returns what kept
// the line from being applied for good; an error is for trying again.
func (m *Market) applyLine(ctx context.Context, i *Import, l *importLine) ([]UserError, error) {
	content, err := parseContent(l.Content)
	if err != nil {
		return nil, err
	}
	done := &Imported{Import: i.ID, Line: l.Line, Key: l.Key}
	mark := Mark{By: i.By, Note: fmt.Sprintf("%s, line %d: %s", i.ID, l.Line, content.fields())}
	add := func() error {
		s := newImported(l.Company, i.Publishes)
		s.ID, s.Imported = l.Solution, done
		if err := content.apply(s); err != nil {
			return err
		}
		mark.Action = "ADD"
		s.did = mark
		return addNamed(ctx, m, s, s.Title, m.AddSolution)
	}
	edit := func() error {
		_, err := m.UpdateSolution(ctx, l.Solution, 0, func(s *Solution) error {
			if s.Imported != nil && s.Imported.Import == done.Import && s.Imported.Line == done.Line {
				return errApplied
			}
			if s.Company != l.Company {
				return invalid("company", "INVALID", "is another one by now")
			}
			mark.Action = "EDIT"
			s.did = mark
			if done.Key == "" && s.Imported != nil {
				done.Key = s.Imported.Key
			}
			s.Imported = done
			return content.apply(s)
		})
		return err
	}
	if l.Adds {
		if err = add(); taken(err, "id") {
			err = edit()
		}
	} else if err = edit(); errors.Is(err, ErrNotFound) && l.Key != "" && l.Solution == keyedSolution(l.Company, l.Key) {
		err = add()
	}
	switch {
	case err == nil, errors.Is(err, errApplied):
		return nil, nil
	case errors.Is(err, ErrNotFound):
		return []UserError{{Path: "id", Code: "NOT_FOUND", Message: "was deleted after the file was accepted"}}, nil
	case taken(err, "id"):
		return []UserError{{Path: "id", Code: "TAKEN", Message: "was deleted a moment ago: send the line again"}}, nil
	case errors.Is(err, ErrInvalid):
		return problemsOf(err), nil
	case errors.Is(err, ErrLimit):
		return []UserError{{Code: "TOO_LONG", Message: "is too large together with what was there"}}, nil
	}
	return nil, err
}

// errApplied says that a line was written before.
var errApplied = errors.New("the line has been applied")

// importPatience is how long an import stays as it is before it is looked
// after: its follower gives up what fails again and again.
const importPatience = 10 * time.Minute

// importChore brings imports that came to a halt back to their follower, and
// lets the store forget lines that no import names.
var importChore = chore{name: "imports", run: func(ctx context.Context, m *Market) (int, error) {
	var halted []ID
	q := Query{Where: []Condition{{Field: "state", Op: Eq, Value: ImportAccepted}, {Field: "updatedAt", Op: Lt, Value: m.clock().Add(-importPatience)}}, Sort: "updatedAt", Limit: 100}
	err := m.fetch(ctx, KindImport, q, func(doc entity) { halted = append(halted, doc.meta().ID) })
	for _, id := range halted {
		_, e := update(ctx, m, MayImportSolutions, id, 0, func(i *Import) error {
			i.mark(unmarked, "")
			return nil
		})
		err = errors.Join(err, e)
	}
	n, e := m.eraseBefore(ctx, kindImportPart, "createdAt", m.clock().Add(-keptExpired))
	return len(halted) + n, errors.Join(err, e)
}}
