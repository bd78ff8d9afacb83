package marketplace

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"
)

// An Export is a list of rows that is read while it is written out: it holds
// one page of the store at a time, in the context in which it was asked for.
//
// As NDJSON, a row is a line with a JSON object, whose fields have the API's
// names and the values that the API's inputs take (texts in all their
// languages, references by id); the last line is {"complete":true,"count":N}.
// Without that line the export was cut off.
//
// As CSV, the first row names the columns; there is a byte order mark, without
// which spreadsheets take UTF-8 for something else; texts have a column for
// each of the wished languages ("title:en") beside "originalTitle"; lists are
// separated by |, and what has parts is JSON. Texts that begin like a formula
// have an apostrophe before them. CSV cannot say that it is complete: whoever
// sends it has to break off where an error is returned.
//
// Documents that change meanwhile are there as they were before or after.
type Export struct {
	Name    string // for a file, without an ending
	columns []column
	rows    iter.Seq2[row, error]
	// kinds says that rows are of several kinds and name theirs first.
	kinds bool

	places map[place][]int // of fields that were looked for
}

// A place is where a field is: looking for it takes longer than writing it.
type place struct {
	of   reflect.Type
	name string
}

// field is the field of a document that has this name in JSON; none where
// there is no such field.
func (e *Export) field(doc entity, name string) reflect.Value {
	v := reflect.ValueOf(doc).Elem()
	at, ok := e.places[place{v.Type(), name}]
	if !ok {
		if e.places == nil {
			e.places = map[place][]int{}
		}
		at = fieldPath(v.Type(), name)
		e.places[place{v.Type(), name}] = at
	}
	if at == nil {
		return reflect.Value{}
	}
	return v.FieldByIndex(at)
}

// A row is a document with the context of the viewer for whom it was read.
type row struct {
	ctx     context.Context
	market  *Market
	doc     entity
	columns []column
}

// A column is a field of a row. Only what is listed goes out.
type column struct {
	name string // that of the field in the API
	// get makes the value, and read reads it; nil: the document's field of that name.
	get  func(ctx context.Context, doc entity) any
	read func(ctx context.Context, m *Market, doc entity) (any, error)

	text  bool // in several languages: CSV has a column for each that is wished
	table bool // in CSV alone
}

// exportPage is how many documents are read at once: with larger pages a
// document costs less by a tenth, and the largest documents would be too many
// to hold.
const exportPage = 100

// rows reads the documents of a query in its order, page by page, each page
// as a request of its own. What the viewer may not see is left out.
func (m *Market) rows(ctx context.Context, kind Kind, q Query, columns []column, want func(entity) bool) iter.Seq2[row, error] {
	viewer := ViewerOf(ctx)
	q.Limit = exportPage
	return func(yield func(row, error) bool) {
		q := q
		for {
			page := WithViewer(ctx, viewer)
			n := 0
			var docs []entity
			err := m.fetchAll(page, kind, q, func(doc entity, position string, seen bool) {
				n, q.After = n+1, position
				if seen && (want == nil || want(doc)) {
					docs = append(docs, doc)
				}
			})
			if err == nil && n == 0 {
				return
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			for _, doc := range docs {
				if !yield(row{page, m, doc, columns}, nil) {
					return
				}
			}
			if n < q.Limit {
				return
			}
		}
	}
}

// oneRow is the row of a document that may not be there.
func (m *Market) oneRow(ctx context.Context, id ID, columns []column) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		ctx := WithViewer(ctx, ViewerOf(ctx))
		doc, err := get[entity](ctx, m, id)
		if !errors.Is(err, ErrNotFound) {
			yield(row{ctx, m, doc, columns}, err)
		}
	}
}

// chain is one list after the other.
func chain(all ...iter.Seq2[row, error]) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for _, rows := range all {
			for r, err := range rows {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// value is what a row has in a column; nil where it has none.
func (e *Export) value(r row, c column) (any, error) {
	if c.get != nil {
		return c.get(r.ctx, r.doc), nil
	}
	if c.read != nil {
		return c.read(r.ctx, r.market, r.doc)
	}
	v := e.field(r.doc, c.name)
	switch {
	case !v.IsValid(), v.Kind() == reflect.String && v.Len() == 0, v.Kind() == reflect.Pointer && v.IsNil():
		return nil, nil
	case v.Kind() == reflect.Slice && v.IsNil():
		return []any{}, nil
	}
	return v.Interface(), nil
}

// WriteNDJSON writes the rows and the line that says that they are all. It
// returns how many rows there were.
func (e *Export) WriteNDJSON(w io.Writer) (int, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	n := 0
	for r, err := range e.rows {
		if err != nil {
			return n, err
		}
		out.WriteByte('{')
		sep := ""
		if e.kinds {
			fmt.Fprintf(out, `"kind":%q`, strings.ToUpper(string(r.doc.kind())))
			sep = ","
		}
		for _, c := range r.columns {
			if c.table {
				continue
			}
			value, err := e.value(r, c)
			if err != nil {
				return n, err
			}
			b, err := json.Marshal(value)
			if err != nil {
				return n, fmt.Errorf("marketplace: %s of %s: %w", c.name, r.doc.meta().ID, err)
			}
			fmt.Fprintf(out, `%s%q:%s`, sep, c.name, b)
			sep = ","
		}
		if _, err := out.WriteString("}\n"); err != nil {
			return n, err
		}
		n++
	}
	fmt.Fprintf(out, "{\"complete\":true,\"count\":%d}\n", n)
	return n, out.Flush()
}

// ExportLanguages are the languages that CSV has columns for where none are
// wished: those in which the network works.
var ExportLanguages = []Language{"en", "zh", "ko", "es"}

// maxExportLanguages bounds the columns of a text.
const maxExportLanguages = 20

// WriteCSV writes the columns and the rows. It returns how many rows there were.
func (e *Export) WriteCSV(w io.Writer, languages []Language) (int, error) {
	if len(languages) == 0 {
		languages = ExportLanguages
	}
	languages = languages[:min(len(languages), maxExportLanguages)]
	out := bufio.NewWriterSize(w, 64<<10)
	out.Write(byteOrderMark)
	table := csv.NewWriter(out)
	table.UseCRLF = true
	var cells []string
	for _, c := range e.columns {
		if c.text {
			for _, l := range languages {
				cells = append(cells, c.name+":"+string(l))
			}
			continue
		}
		cells = append(cells, c.name)
	}
	if err := table.Write(cells); err != nil {
		return 0, err
	}
	n := 0
	for r, err := range e.rows {
		if err != nil {
			return n, err
		}
		cells = cells[:0]
		for _, c := range e.columns {
			value, err := e.value(r, c)
			if err != nil {
				return n, err
			}
			if c.text {
				t, _ := value.(Text)
				for _, l := range languages {
					cells = append(cells, quoted(t.exactly(l)))
				}
				continue
			}
			cells = append(cells, cellValue(value))
		}
		if err := table.Write(cells); err != nil {
			return n, err
		}
		n++
	}
	table.Flush()
	return n, errors.Join(table.Error(), out.Flush())
}

// exactly is the text in that language and no other.
func (t Text) exactly(l Language) string {
	for _, tr := range t {
		if tr.Language == l {
			return tr.Text
		}
	}
	return ""
}

// cellValue writes a value into one cell.
func cellValue(value any) string {
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		if t, ok := v.Interface().(*time.Time); ok {
			return t.UTC().Format(time.RFC3339)
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Invalid, reflect.Pointer:
		return ""
	case reflect.String:
		return quoted(v.String())
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return fmt.Sprint(v.Interface())
	case reflect.Slice:
		if v.Len() == 0 {
			return ""
		}
		if k := v.Type().Elem().Kind(); k == reflect.String || k == reflect.Int {
			list := make([]string, v.Len())
			for i := range list {
				list[i] = fmt.Sprint(v.Index(i).Interface())
			}
			return quoted(joinCell(list))
		}
	}
	if t, ok := v.Interface().(time.Time); ok {
		return t.UTC().Format(time.RFC3339)
	}
	return quoted(string(stored(v.Interface())))
}

// A CatalogueFilter narrows the export of a catalogue. The whole catalogue is
// read all the same, but for UpdatedSince, which an index answers.
type CatalogueFilter struct {
	Topic        string // id or slug; a domain holds its topics
	Region       Region
	Country      Country
	UpdatedSince *time.Time // in the order of the changes; a document that changes meanwhile may come twice
}

// catalogues are the public lists that can be exported whole.
var catalogues = map[string]struct {
	kinds   []Kind
	columns []column
}{
	"solutions": {[]Kind{KindSolution}, publicSolution},
	"proposals": {[]Kind{KindProposal}, publicProposal},
	"members":   {[]Kind{KindCity, KindCompany, KindInstitution}, publicMember},
	"topics":    {[]Kind{KindTopic}, publicTopic},
}

// publicStates are the states in which everybody sees a document of a kind.
var publicStates = map[Kind][]any{
	KindSolution: {SolutionPublished},
	KindProposal: {ProposalPublished, ProposalClosed},
}

// ExportCatalogue exports a public list (solutions, proposals, members or
// topics) as a visitor sees it, whoever asks. It costs one store operation for
// each 100 documents of the kind. ErrNotFound where there is no such list.
func (m *Market) ExportCatalogue(ctx context.Context, name string, f CatalogueFilter) (*Export, error) {
	list, ok := catalogues[name]
	if !ok {
		return nil, ErrNotFound
	}
	ctx = WithViewer(ctx, Viewer{})
	topic, err := f.check(ctx, m)
	if err != nil {
		return nil, err
	}
	var all []iter.Seq2[row, error]
	for _, kind := range list.kinds {
		var q Query
		if states := publicStates[kind]; f.UpdatedSince != nil && states != nil {
			q = Query{Where: []Condition{{Field: "status", Op: In, Values: states}, {Field: "updatedAt", Op: Ge, Value: *f.UpdatedSince}}, Sort: "updatedAt"}
		}
		all = append(all, m.rows(ctx, kind, q, list.columns, func(doc entity) bool { return f.holds(doc, topic) }))
	}
	return &Export{Name: name, columns: list.columns, rows: chain(all...)}, nil
}

// check reports what is wrong with a filter and returns the id of its topic.
func (f CatalogueFilter) check(ctx context.Context, m *Market) (ID, error) {
	var p problems
	if f.Region != "" {
		checkOne(&p, "region", f.Region, Regions)
	}
	if f.Country != "" {
		checkCountry(&p, "country", f.Country)
	}
	var topic ID
	if f.Topic != "" {
		t, err := m.Topic(ctx, ID(f.Topic))
		if errors.Is(err, ErrNotFound) && slugPattern.MatchString(f.Topic) {
			t, err = m.TopicBySlug(ctx, f.Topic)
		}
		if err != nil {
			if err := p.missing(err, "topic", "topic"); err != nil {
				return "", err
			}
		} else {
			topic = t.ID
		}
	}
	return topic, p.err()
}

// holds says whether a document is among what the filter asks for. What has
// no topic, region or country is not, where the filter names one.
func (f CatalogueFilter) holds(doc entity, topic ID) bool {
	if f.UpdatedSince != nil && doc.meta().UpdatedAt.Before(*f.UpdatedSince) {
		return false
	}
	if topic == "" && f.Region == "" && f.Country == "" {
		return true
	}
	e := Entry{Keywords: map[Field][]string{}, Numbers: map[Field]float64{}}
	doc.entry(&e)
	return (topic == "" || slices.Contains(e.Keywords[FieldTopic], string(topic))) &&
		(f.Region == "" || slices.Contains(e.Keywords[FieldRegion], string(f.Region))) &&
		(f.Country == "" || slices.Contains(e.Keywords[FieldCountry], string(f.Country)))
}

// ExportAuditLog exports the entries that the viewer may read, oldest first:
// of one thing, of one member, or, for the secretariat, all of them.
func (m *Market) ExportAuditLog(ctx context.Context, of *ID) (*Export, error) {
	q, err := m.auditQuery(ctx, of)
	if err != nil {
		return nil, err
	}
	return &Export{Name: "audit", columns: auditColumns, rows: m.rows(ctx, KindAudit, q, auditColumns, nil)}, nil
}

// ExportMember exports everything that a member owns, as far as the viewer
// may see it: a line for each thing, which names its kind first.
func (m *Market) ExportMember(ctx context.Context, id ID) (*Export, error) {
	if !isMember(id) {
		return nil, ErrNotFound
	}
	member, err := m.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := MayExportMember.checkFor(ctx, id); err != nil {
		return nil, err
	}
	var all []iter.Seq2[row, error]
	for _, p := range possessions {
		switch {
		case p.id != nil:
			if own := p.id(id); own.Kind() == p.kind {
				all = append(all, m.oneRow(ctx, own, p.columns))
			}
		default:
			all = append(all, m.rows(ctx, p.kind, p.query(id), p.columns, nil))
		}
	}
	return &Export{Name: strings.ReplaceAll(string(member.meta().ID), "_", "-"), rows: chain(all...), kinds: true}, nil
}
