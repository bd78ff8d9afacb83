package marketplace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"slices"
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

	isCSV   bool
	isNames bool // it names the columns, wrongly
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
