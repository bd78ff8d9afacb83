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
					row.isNames = true
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
		value, err := c.value(unquoted(cell))
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
func quoted(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func unquoted(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && quoted(cell[1:]) != cell[1:] {
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
