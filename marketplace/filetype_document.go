package marketplace

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// inspectDocument tells documents apart by their first bytes, and looks at
// them as closely as needed to be sure.
func (s *source) inspectDocument(head []byte, size int64) (FileType, error) {
	switch {
	case size > MaxDocumentFile:
		return "", tooLarge(size, MaxDocumentFile)
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return s.inspectPDF(head, size)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return s.inspectArchive(size)
	}
	return s.inspectText(head)
}

// inspectPDF wants the marks of a beginning and an end. Acrobat looks for the
// latter in the last 1024 bytes (ISO 32000, implementation notes).
func (s *source) inspectPDF(head []byte, size int64) (FileType, error) {
	if len(head) < 8 || head[5] != '1' && head[5] != '2' || head[6] != '.' {
		return "", s.refuse("is a PDF of an unknown version")
	}
	tail := make([]byte, min(size, 1024))
	if err := s.readAt(tail, size-int64(len(tail))); err != nil || !bytes.Contains(tail, []byte("%%EOF")) {
		return "", s.refuse("is a PDF whose end is missing")
	}
	return TypePDF, nil
}

const (
	// maxDirectory bounds the directory of an archive, which is read into
	// memory: some 10,000 names, ten times as many as large presentations have.
	maxDirectory = 1 << 20
	// maxContentTypes bounds what is read of [Content_Types].xml, unpacked.
	maxContentTypes = 1 << 20
	// maxUnpacked bounds what an archive says that it unpacks to, for the
	// sake of whoever opens it.
	maxUnpacked = 1 << 30
)

// mainTypes are the content types of the main part of documents without
// macros (ECMA-376 part 1, 11.3.10, 12.3.23 and 13.3.6).
var mainTypes = map[string]FileType{
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml":   TypeDOCX,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml":         TypeXLSX,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml": TypePPTX,
}

// openDocuments are the contents of an OpenDocument's file "mimetype"
// (OpenDocument 1.3 part 2, 3.3).
var openDocuments = map[string]FileType{
	"application/vnd.oasis.opendocument.text":         TypeODT,
	"application/vnd.oasis.opendocument.spreadsheet":  TypeODS,
	"application/vnd.oasis.opendocument.presentation": TypeODP,
}

// inspectArchive looks at the names in a ZIP archive and at the one small file
// that says what it is. Nothing else is unpacked.
func (s *source) inspectArchive(size int64) (FileType, error) {
	if !s.hasPlainDirectory(size) {
		return "", s.refuse("is an archive of an unusual form")
	}
	archive, err := zip.NewReader(s, size)
	if err != nil {
		return "", s.refuse("is a damaged archive")
	}
	files := make(map[string]*zip.File, len(archive.File))
	var unpacked uint64
	for _, f := range archive.File {
		name := strings.ToLower(f.Name) // names of parts are compared so
		if files[name] != nil {
			return "", s.refuse("has two parts of the same name")
		}
		if hasMacros(name) {
			return "", s.refuse("contains macros")
		}
		files[name] = f
		if unpacked += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || unpacked > maxUnpacked {
			return "", s.refuse("unpacks to more than 1 GiB")
		}
	}
	if types := files["[content_types].xml"]; types != nil {
		return s.inspectOffice(types, files)
	}
	if len(archive.File) > 0 && archive.File[0].Name == "mimetype" {
		return s.inspectOpenDocument(files)
	}
	return "", s.refuse("is an archive")
}

// hasPlainDirectory says whether the archive ends with its directory and the
// record of its end, without a comment, an extension for large archives, or
// anything in between. So there is one way to read it, and its directory has
// the size that it says.
func (s *source) hasPlainDirectory(size int64) bool {
	end := make([]byte, 22)
	if size < int64(len(end)) || s.readAt(end, size-int64(len(end))) != nil || !bytes.HasPrefix(end, []byte("PK\x05\x06")) {
		return false
	}
	length, offset := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	comment := binary.LittleEndian.Uint16(end[20:])
	return comment == 0 && length <= maxDirectory && offset+length == size-int64(len(end))
}

// hasMacros says whether a part of a document, by its name in lower case, is
// what Office or OpenDocument programs keep programs in.
func hasMacros(name string) bool {
	name = strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/")
	base := path.Base(name)
	return base == "vbaproject.bin" || base == "vbadata.xml" || strings.HasPrefix(name, "xl/macrosheets/") ||
		strings.HasPrefix(name, "basic/") || strings.HasPrefix(name, "scripts/")
}

func (s *source) inspectOffice(types *zip.File, files map[string]*zip.File) (FileType, error) {
	r, err := types.Open()
	if err != nil {
		return "", s.refuse("is a damaged document")
	}
	defer r.Close()
	limited := &io.LimitedReader{R: r, N: maxContentTypes}
	var found FileType
	for d := xml.NewDecoder(limited); ; {
		token, err := d.Token()
		if err == io.EOF && limited.N > 0 {
			break
		}
		if err != nil {
			return "", s.refuse("is a damaged document")
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		kind, part := "", ""
		for _, a := range element.Attr {
			switch a.Name.Local {
			case "ContentType":
				kind = a.Value
			case "PartName":
				part = strings.ToLower(a.Value)
			}
		}
		if lower := strings.ToLower(kind); strings.Contains(lower, "macroenabled") || strings.Contains(lower, "vbaproject") || strings.Contains(lower, "macrosheet") {
			return "", s.refuse("contains macros")
		}
		if t := mainTypes[kind]; t != "" {
			if found != "" && found != t {
				return "", s.refuse("is two documents in one")
			}
			if part != "" && files[strings.TrimPrefix(part, "/")] == nil {
				return "", s.refuse("is a damaged document")
			}
			found = t
		}
	}
	if found == "" {
		return "", s.refuse("is a document of another kind")
	}
	return found, nil
}

func (s *source) inspectOpenDocument(files map[string]*zip.File) (FileType, error) {
	f := files["mimetype"]
	if f.Method != zip.Store || f.UncompressedSize64 > 100 || files["content.xml"] == nil || files["meta-inf/manifest.xml"] == nil {
		return "", s.refuse("is a damaged document")
	}
	r, err := f.Open()
	if err != nil {
		return "", s.refuse("is a damaged document")
	}
	defer r.Close()
	kind, err := io.ReadAll(io.LimitReader(r, 101))
	if err != nil {
		return "", s.refuse("is a damaged document")
	}
	t := openDocuments[string(kind)]
	if t == "" {
		return "", s.refuse("is a document of another kind")
	}
	return t, nil
}

// inspectText reads a text to its end. It must not begin like markup, which
// some program might take it for.
func (s *source) inspectText(head []byte) (FileType, error) {
	start := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), "\t\n\f\r ")
	switch {
	case bytes.HasPrefix(start, []byte("<")):
		return "", s.refuse("is HTML, SVG or another markup")
	case bytes.HasPrefix(start, []byte(`{\rtf`)), http.DetectContentType(head) != "text/plain; charset=utf-8":
		return "", s.refuse("is of another type")
	}
	if s.rewind() != nil {
		return "", s.refuse("")
	}
	r := bufio.NewReaderSize(s, csvSample)
	sample, err := r.Peek(csvSample)
	sample = bytes.Clone(sample)
	whole := err != nil
	for {
		c, n, err := r.ReadRune()
		if err == io.EOF {
			break
		}
		if err != nil || c == utf8.RuneError && n == 1 || c < ' ' && !strings.ContainsRune("\t\n\f\r", c) || c == 0x7f {
			return "", s.refuse("is neither of these nor a text in UTF-8")
		}
	}
	if isCSV(bytes.TrimPrefix(sample, []byte("\uFEFF")), whole) {
		return TypeCSV, nil
	}
	return TypeText, nil
}

// csvSample is how many bytes decide whether a text is CSV.
const csvSample = 64 << 10

// isCSV says whether the first rows of a text have the same number of
// columns, at least two. It decides between two harmless types, so it may err.
func isCSV(sample []byte, whole bool) bool {
	return slices.ContainsFunc([]rune{',', ';', '\t'}, func(comma rune) bool {
		r := csv.NewReader(bytes.NewReader(sample))
		r.Comma = comma
		rows := 0
		for rows < 20 {
			row, err := r.Read()
			if errors.Is(err, io.EOF) || err != nil && !whole && r.InputOffset() == int64(len(sample)) {
				break // the end of the text, or a row that the sample cuts
			}
			if err != nil || len(row) < 2 {
				return false
			}
			rows++
		}
		return rows >= 2
	})
}
