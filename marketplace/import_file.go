package marketplace

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a file of solutions. The size is for whoever receives it to hold.
const (
	MaxImportSize  = 20 << 20  // bytes of the file
	MaxImportLines = 5000      // that say anything
	maxImportLine  = 256 << 10 // bytes of one
	maxImportNames = 1000      // columns of the file, fields of a line
)

// An ImportFormat is how a file of solutions is written.
//
// NDJSON: a line is a JSON object with the fields of the API's
// SolutionContentInput. What is absent stays as it is, null empties it. A text
// in one language can be given alone, by a field such as "title:en".
//
// CSV: the first row names the columns, which are the same fields. The
// separator is a comma, a semicolon or a tab. Texts are columns such as
// "title:en", of which the first that is filled is the original of what is
// added; lists are separated by |; deployments and media are columns such as
// "deployment1.place", "deployment1.result:en" and "media2.url", or one column
// "deployments" or "media" of JSON. An empty cell leaves what is there.
//
// In both, "company" (id or slug), "key" (the file's own word for the line, by
// which the next import finds the solution again) and "id" (of a solution that
// is there) say what the line is about; topics and cities are named by id or
// slug; fields that an export has and that cannot be given are passed over.
type ImportFormat string

// The formats of imports.
const (
	ImportCSV    ImportFormat = "CSV"
	ImportNDJSON ImportFormat = "NDJSON"
)

// notImported are the fields that exports have and imports pass over.
var notImported = []string{
	"slug", "status", "createdAt", "updatedAt", "publishedAt", "version", "isSample", "domains", "review", "imported",
	"companyName", "originalTitle", "originalLanguage", "kind",
}

// importTexts are the fields whose languages can be given one by one.
var importTexts = []string{"title", "summary", "description", "priceNote"}

// An importRow is a line of a file: read, but not yet compared with anything.
type importRow struct {
	line     int // in the file, from 1; of the first one where a row has several
	fields   []importField
	problems problems // why it cannot be read
	ignored  []string // columns that are passed over

	isCSV bool
	// groups are the numbers of the columns that made the entries of a list:
	// deployment1 and deployment4 are "deployments": {1, 4}.
	groups map[string][]int
}

// An importField is a value of a line.
type importField struct {
	name   string // "trl"; or "title:en", which is the text in that language alone
	column string // as the file names it
	value  any    // as encoding/json decodes it, numbers as json.Number
}

// importRows reads a file row by row. What is wrong with a row is in the row;
// what makes all that follows unreadable ends the file. An error is one of
// reading.
func importRows(format ImportFormat, file io.Reader) iter.Seq2[*importRow, error] {
	if format == ImportCSV {
		return csvRows(file)
	}
	return jsonRows(file)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

const notUTF8 = "is not UTF-8: save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"

func jsonRows(file io.Reader) iter.Seq2[*importRow, error] {
	return func(yield func(*importRow, error) bool) {
		in := bufio.NewReaderSize(file, 64<<10)
		for n := 1; ; n++ {
			line, err := readLine(in)
			if err != nil && err != io.EOF {
				yield(nil, err)
				return
			}
			if n == 1 {
				line = bytes.TrimPrefix(line, byteOrderMark)
			}
			if line = bytes.TrimSpace(line); len(line) > 0 {
				row := &importRow{line: n}
				if row.parse(line) {
					continue
				}
				if !yield(row, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// readLine reads up to the end of a line. Of one that is too long it keeps
// one byte more than is allowed.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxImportLine+1-len(line))]...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// parse reads the fields of a JSON object in their order. It is true for the
// line that ends an export, which says nothing.
func (row *importRow) parse(line []byte) (ends bool) {
	switch {
	case len(line) > maxImportLine:
		row.problems.addf("", "TOO_LONG", "a line has at most %d KB", maxImportLine>>10)
		return false
	case !utf8.Valid(line):
		row.problems.add("", "INVALID", notUTF8)
		return false
	case !json.Valid(line):
		row.problems.add("", "INVALID", "is not a JSON object")
		return false
	case line[0] != '{':
		row.problems.add("", "INVALID", "must be a JSON object, one for each line")
		return false
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	_, _ = d.Token() // the JSON is valid, so what follows cannot fail
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		var value any
		_ = d.Decode(&value)
		row.add(importField{name, name, value})
	}
	if len(row.fields) == 2 && row.find("complete") >= 0 && row.find("count") >= 0 {
		return true
	}
	row.checkNames()
	return false
}

func (row *importRow) add(f importField) {
	if len(row.fields) <= maxImportNames {
		row.fields = append(row.fields, f)
	}
}

func (row *importRow) find(name string) int {
	return slices.IndexFunc(row.fields, func(f importField) bool { return f.name == name })
}

// checkNames takes out the fields that are passed over and reports those that
// are not known or given twice.
func (row *importRow) checkNames() {
	row.problems.max("", len(row.fields), maxImportNames)
	kept := row.fields[:0]
	seen := map[string]bool{}
	for _, f := range row.fields {
		name, ok := importName(f.name)
		switch {
		case !ok:
			row.problems.add(cut(f.column, 100), "INVALID", "is not a field that can be given")
		case name == "":
			row.ignored = append(row.ignored, f.column)
		case seen[name]:
			row.problems.add(f.column, "DUPLICATE", "is there twice")
		default:
			seen[name] = true
			f.name = name
			kept = append(kept, f)
		}
	}
	row.fields = kept
}

// importName is the canonical name of a field; empty for one that is passed over.
func importName(name string) (string, bool) {
	if slices.Contains(notImported, name) {
		return "", true
	}
	if name == "company" || name == "key" || name == "id" || slices.Contains(solutionContent, name) {
		return name, true
	}
	base, tag, _ := strings.Cut(name, ":")
	language, ok := ParseLanguage(tag)
	return base + ":" + string(language), ok && slices.Contains(importTexts, base)
}

// A csvColumn is a column of a file.
type csvColumn struct {
	header string
	name   string // of the field; empty: passed over
	cell   cellKind
	// Of a column of a group: "deployment3.result:en" has the name
	// deployments, the number 3, the part result and the language en.
	number   int
	part     string
	language Language
}

// A cellKind is how a cell is read.
type cellKind int

const (
	cellText    cellKind = iota // as it is
	cellWord                    // without the space around it
	cellNumber                  // whole
	cellWords                   // separated by |
	cellNumbers                 // separated by |
	cellJSON
	cellTexts // cannot be one cell: it needs a language
)

// cellOf says how a field of that type is written in one cell.
func cellOf(t reflect.Type) cellKind {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int:
		return cellNumber
	case reflect.String:
		return cellWord
	case reflect.Slice:
		switch {
		case t == reflect.TypeFor[Text]():
			return cellTexts
		case t.Elem().Kind() == reflect.Int:
			return cellNumbers
		case t.Elem().Kind() == reflect.String:
			return cellWords
		}
	}
	return cellJSON
}

// csvGroups are the lists whose entries can be numbered columns.
var csvGroups = map[string]struct {
	name string
	of   reflect.Type
	max  int
}{
	"deployment": {"deployments", reflect.TypeFor[Deployment](), 200},
	"media":      {"media", reflect.TypeFor[Media](), 30},
}

var csvGroupColumn = regexp.MustCompile(`^(deployment|media)([1-9][0-9]{0,2})\.([a-z]+)(?::([A-Za-z0-9-]+))?$`)

// newColumn reads the name of a column. Capitals make no difference, since
// spreadsheets like to begin with one.
func newColumn(header string) (csvColumn, error) {
	c := csvColumn{header: header}
	unknown := invalid(cut(header, 100), "INVALID", "is not a column that can be given")
	name := header
	base, tag, tagged := strings.Cut(header, ":")
	for _, known := range slices.Concat(solutionContent, notImported) {
		if strings.EqualFold(base, known) {
			name = known
			if tagged {
				name += ":" + tag
			}
		}
	}
	if lower := strings.ToLower(header); lower == "company" || lower == "key" || lower == "id" {
		name = lower
	}
	if g := csvGroupColumn.FindStringSubmatch(strings.ToLower(header)); g != nil {
		group := csvGroups[g[1]]
		c.name, c.part = group.name, g[3]
		c.number, _ = strconv.Atoi(g[2])
		v := fieldNamed(reflect.New(group.of).Elem(), c.part)
		if !v.IsValid() || c.part == "confirmation" || c.number > group.max {
			return c, unknown
		}
		c.cell = cellOf(v.Type())
		language, ok := ParseLanguage(g[4])
		if c.language = language; (c.cell == cellTexts) != ok {
			return c, invalid(header, "INVALID", "must name a language where it is a text, and nowhere else, as in deployment1.result:en")
		}
		if c.cell == cellTexts {
			c.cell = cellText
		}
		return c, nil
	}
	canonical, ok := importName(name)
	if !ok {
		return c, unknown
	}
	c.name = canonical
	switch base, _, isText := strings.Cut(canonical, ":"); {
	case isText:
		c.cell = cellText
	case base == "company" || base == "key" || base == "id" || base == "":
		c.cell = cellWord
	default:
		if c.cell = cellOf(fieldNamed(reflect.ValueOf(Solution{}), base).Type()); c.cell == cellTexts {
			return c, invalid(header, "INVALID", "must name a language, as in "+base+":en")
		}
	}
	return c, nil
}

func csvRows(file io.Reader) iter.Seq2[*importRow, error] {
	return func(yield func(*importRow, error) bool) {
		in := bufio.NewReaderSize(file, 64<<10)
		if mark, _ := in.Peek(len(byteOrderMark)); bytes.Equal(mark, byteOrderMark) {
			_, _ = in.Discard(len(byteOrderMark))
		}
		r := csv.NewReader(in)
		head, _ := in.Peek(8 << 10)
		r.Comma = separatorOf(head)
		r.FieldsPerRecord = -1
		r.ReuseRecord = true
		var columns []csvColumn
		var offset int64
		for {
			record, err := r.Read()
			if err == io.EOF {
				return
			}
			row := &importRow{line: 1, isCSV: true}
			if broken, ok := errors.AsType[*csv.ParseError](err); ok {
				row.line = broken.StartLine
				row.problems.addf("", "INVALID", "has a quotation mark that is not paired, near line %d, column %d; nothing after it was read", broken.Line, broken.Column)
				yield(row, nil)
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			row.line, _ = r.FieldPos(0)
			size := r.InputOffset() - offset
			offset = r.InputOffset()
			if columns == nil {
				if columns = row.header(record); row.problems.err() != nil {
					yield(row, nil)
					return
				}
				continue
			}
			if size > maxImportLine {
				row.problems.addf("", "TOO_LONG", "a row has at most %d KB", maxImportLine>>10)
			} else if !row.read(columns, record) {
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// separatorOf is the separator that the first row has most of.
func separatorOf(head []byte) rune {
	var counts [128]int
	quoted := false
	for _, c := range head {
		if c == '"' {
			quoted = !quoted
		} else if !quoted && c < 128 {
			if c == '\n' || c == '\r' {
				break
			}
			counts[c]++
		}
	}
	best := ','
	for _, c := range ";\t" {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return best
}

// header reads the names of the columns. The empty ones at the end do not count.
func (row *importRow) header(record []string) []csvColumn {
	for len(record) > 0 && strings.TrimSpace(record[len(record)-1]) == "" {
		record = record[:len(record)-1]
	}
	if !row.problems.max("", len(record), maxImportNames) {
		return nil
	}
	columns := []csvColumn{}
	for i, name := range record {
		if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			row.problems.add("", "INVALID", notUTF8)
			return nil
		}
		c, err := newColumn(strings.TrimSpace(name))
		if wrong, ok := errors.AsType[*InvalidError](err); ok {
			row.problems.add(wrong.Errors[0].Path, wrong.Errors[0].Code, fmt.Sprintf("column %d %s", i+1, wrong.Errors[0].Message))
			continue
		}
		twice := slices.ContainsFunc(columns, func(o csvColumn) bool {
			return o.name != "" && o.name == c.name && (o.number == 0 || c.number == 0 || o.number == c.number && o.part == c.part && o.language == c.language)
		})
		if twice {
			row.problems.add(c.header, "DUPLICATE", fmt.Sprintf("column %d is there twice, or in two ways", i+1))
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		row.problems.add("", "REQUIRED", "must name the columns")
	}
	return columns
}

// read reads the cells of a row; it is false when all are empty.
func (row *importRow) read(columns []csvColumn, record []string) bool {
	filled := false
	entries := map[string]map[int]map[string]any{}
	for i, cell := range record {
		if strings.TrimSpace(cell) == "" {
			continue
		}
		filled = true
		if !utf8.ValidString(cell) {
			row.problems.addf("", "INVALID", "column %d %s", i+1, notUTF8)
			continue
		}
		if i >= len(columns) {
			row.problems.addf("", "INVALID", "has a cell in column %d, of %d; is a text with the separator not quoted?", i+1, len(columns))
			break
		}
		c := columns[i]
		if c.name == "" {
			row.ignored = append(row.ignored, c.header)
			continue
		}
		value, err := c.value(unguarded(cell))
		if err != nil {
			row.problems.add(c.header, "INVALID", err.Error())
			continue
		}
		if c.number == 0 {
			row.add(importField{c.name, c.header, value})
			continue
		}
		if entries[c.name] == nil {
			entries[c.name] = map[int]map[string]any{}
		}
		entry := entries[c.name][c.number]
		if entry == nil {
			entry = map[string]any{}
			entries[c.name][c.number] = entry
		}
		if c.language != "" {
			list, _ := entry[c.part].([]any)
			value = append(list, map[string]any{"language": string(c.language), "text": value})
		}
		entry[c.part] = value
	}
	for _, g := range csvGroups {
		if entries[g.name] == nil {
			continue
		}
		var numbers []int
		for n := range entries[g.name] {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		list := make([]any, len(numbers))
		for i, n := range numbers {
			list[i] = entries[g.name][n]
		}
		if row.groups == nil {
			row.groups = map[string][]int{}
		}
		row.groups[g.name] = numbers
		row.add(importField{g.name, g.name, list})
	}
	return filled
}

// value reads a cell.
func (c csvColumn) value(cell string) (any, error) {
	word := strings.TrimSpace(cell)
	switch c.cell {
	case cellWord:
		return word, nil
	case cellNumber:
		return wholeNumber(word)
	case cellWords, cellNumbers:
		var list []any
		for _, w := range splitCell(word) {
			if c.cell == cellWords {
				list = append(list, w)
				continue
			}
			n, err := wholeNumber(w)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		return list, nil
	case cellJSON:
		d := json.NewDecoder(strings.NewReader(word))
		d.UseNumber()
		var value any
		if !json.Valid([]byte(word)) || d.Decode(&value) != nil {
			return nil, errors.New("must be JSON")
		}
		return value, nil
	}
	return cell, nil
}

func wholeNumber(s string) (any, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, errors.New("must be a whole number")
	}
	return json.Number(strconv.Itoa(n)), nil
}

// Cells of spreadsheets that begin like a formula would be reckoned by those
// who open the file, so exports put an apostrophe before them and imports
// take it away.
func guarded(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func unguarded(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && guarded(cell[1:]) != cell[1:] {
		return cell[1:]
	}
	return cell
}

var cellEscapes = strings.NewReplacer(`\`, `\\`, `|`, `\|`)

// joinCell writes a list into one cell: "a|b", with \| for a | and \\ for a \.
func joinCell(list []string) string {
	escaped := make([]string, len(list))
	for i, s := range list {
		escaped[i] = cellEscapes.Replace(s)
	}
	return strings.Join(escaped, "|")
}

// splitCell reads what joinCell writes, without the space around entries and
// without empty ones.
func splitCell(cell string) []string {
	var list []string
	var b strings.Builder
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			list = append(list, s)
		}
		b.Reset()
	}
	for i := 0; i < len(cell); i++ {
		switch {
		case cell[i] == '\\' && i+1 < len(cell) && (cell[i+1] == '|' || cell[i+1] == '\\'):
			i++
			b.WriteByte(cell[i])
		case cell[i] == '|':
			end()
		default:
			b.WriteByte(cell[i])
		}
	}
	end()
	return list
}
