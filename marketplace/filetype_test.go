package marketplace

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// part is a file in an archive.
type part struct{ name, text string }

func archive(t testing.TB, parts ...part) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		if i == 0 && p.name == "mimetype" {
			h.Method = zip.Store
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, p.text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const (
	mainWord  = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
	mainExcel = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
	mainPower = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
)

// office is an Office Open XML document whose main part has a content type.
func office(t testing.TB, kind, name string, more ...part) []byte {
	t.Helper()
	types := `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/` + name + `" ContentType="` + kind + `"/></Types>`
	return archive(t, append([]part{{"[Content_Types].xml", types}, {"_rels/.rels", "<Relationships/>"}, {name, "<document/>"}}, more...)...)
}

func openDocument(t testing.TB, kind string, more ...part) []byte {
	t.Helper()
	return archive(t, append([]part{{"mimetype", kind}, {"content.xml", "<c/>"}, {"META-INF/manifest.xml", "<m/>"}}, more...)...)
}

const pdf = "%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

// accepted are small files of every type.
func accepted(t testing.TB) map[FileType][]byte {
	return map[FileType][]byte{
		TypePNG: encodePNG(t, gradient(40, 30)), TypeJPEG: encodeJPEG(t, gradient(40, 30)), TypeGIF: encodeGIF(t, 2), TypeWebP: fixture(t, "lossy.webp"),
		TypePDF:  []byte(pdf),
		TypeDOCX: office(t, mainWord, "word/document.xml"), TypeXLSX: office(t, mainExcel, "xl/workbook.xml"), TypePPTX: office(t, mainPower, "ppt/presentation.xml"),
		TypeODT: openDocument(t, "application/vnd.oasis.opendocument.text"), TypeODS: openDocument(t, "application/vnd.oasis.opendocument.spreadsheet"),
		TypeODP:  openDocument(t, "application/vnd.oasis.opendocument.presentation"),
		TypeText: []byte("Flood warning for Kathmandu, नेपाल.\n\nBudget: to be agreed.\n"),
		TypeCSV:  []byte("\uFEFFcity;year;cost\r\nOslo;2024;\"1;5\"\r\nSeoul;2025;2\r\n"),
	}
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "picture", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inspect(b []byte) (FileType, error) { return Inspect(bytes.NewReader(b), int64(len(b))) }

func TestInspectAccepts(t *testing.T) {
	t.Parallel()
	files := accepted(t)
	for want := range fileTypes {
		b, ok := files[want]
		if !ok {
			t.Errorf("there is no example of %s", want)
			continue
		}
		r := bytes.NewReader(b)
		got, err := Inspect(r, int64(len(b)))
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", want, got, err)
		}
		if at, _ := r.Seek(0, io.SeekCurrent); at != 0 {
			t.Errorf("%s: the file stands at %d afterwards", want, at)
		}
		// What is allowed is found by its bytes alone, at every size of reads.
		if got, err := Inspect(oneByte{bytes.NewReader(b)}, int64(len(b))); err != nil || got != want {
			t.Errorf("%s, read byte by byte: %q, %v", want, got, err)
		}
	}
	for what, b := range map[string][]byte{
		"progressive": fixture(t, "progressive.jpg"), "lossless": fixture(t, "lossless.webp"), "alpha and metadata": fixture(t, "alpha.webp"),
	} {
		if _, err := inspect(b); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for text, want := range map[string]FileType{
		"a": TypeText, "a,b\n": TypeText, "a,b\n1,2\n": TypeCSV, "a\tb\n1\t2": TypeCSV, "a,b\n1,2,3\n": TypeText, "one\ntwo\nthree\n": TypeText,
		strings.Repeat("a,b\n", 100_000): TypeCSV, "a,b\n1,\"" + strings.Repeat("long ", 20_000): TypeText,
	} {
		if got, err := inspect([]byte(text)); err != nil || got != want {
			t.Errorf("%.20q: %q, %v; want %s", text, got, err, want)
		}
	}
}

type oneByte struct{ *bytes.Reader }

func (r oneByte) Read(p []byte) (int, error) { return iotest.OneByteReader(r.Reader).Read(p) }

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	word := office(t, mainWord, "word/document.xml")
	macroType := strings.Replace(mainWord, "vnd.openxmlformats-officedocument.wordprocessingml.document", "vnd.ms-word.document.macroEnabled", 1)
	twoTypes := part{"[Content_Types].xml", `<Types><Override PartName="/a.xml" ContentType="` + mainWord + `"/><Override PartName="/a.xml" ContentType="` + mainExcel + `"/></Types>`}
	otherMacro := part{"[Content_Types].xml", `<Types><Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/><Override PartName="/a.xml" ContentType="` + mainWord + `"/></Types>`}
	withComment := append(bytes.Clone(word[:len(word)-2]), 2, 0, 'h', 'i')
	prefixed := append([]byte("PK\x03\x04"), word...)
	for name, b := range map[string]string{
		"SVG":                                   `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"SVG behind a declaration":              "\uFEFF\r\n <?xml version=\"1.0\"?><svg/>",
		"HTML":                                  "<!DOCTYPE html><html></html>",
		"HTML behind blanks":                    "\n\n\t <script>alert(1)</script>",
		"HTML in a comment":                     "<!-- a,b\n1,2 --><b>",
		"a program":                             "MZ\x90\x00\x03\x00",
		"an ELF program":                        "\x7fELF\x02\x01\x01",
		"an archive":                            string(archive(t, part{"a.txt", "a"})),
		"an empty archive":                      string(archive(t)),
		"gzip":                                  "\x1f\x8b\x08\x00",
		"an old Office document":                "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600),
		"HEIC":                                  "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
		"TIFF":                                  "II*\x00\x08\x00\x00\x00",
		"BMP":                                   "BM\x36\x00\x00\x00\x00\x00\x00\x00",
		"RTF":                                   `{\rtf1\ansi hello}`,
		"PostScript":                            "%!PS-Adobe-3.0\n",
		"text in Latin-1":                       "Z\xfcrich",
		"text with a NUL":                       "a\x00b",
		"text with a NUL late":                  strings.Repeat("a line of text\n", 1000) + "\x00",
		"text with an escape":                   "\x1b]0;title\x07",
		"text in UTF-16":                        "\xff\xfea\x00b\x00",
		"text that ends within a rune":          "Oslo \xc3",
		"PDF without an end":                    pdf[:len(pdf)-7],
		"PDF that is a header":                  "%PDF-",
		"PDF with much behind it":               pdf + strings.Repeat("x", 2000),
		"PNG that is a signature":               "\x89PNG\r\n\x1a\n",
		"PNG that is cut off":                   string(encodePNG(t, gradient(9, 9))[:20]),
		"an animated WebP":                      string(fixture(t, "animated.webp")),
		"a WebP that is a header":               "RIFF\x04\x00\x00\x00WEBP",
		"a GIF of nothing":                      "GIF89a\x00\x00\x00\x00\x00\x00\x00;",
		"Word with macros":                      string(office(t, mainWord, "word/document.xml", part{"word/vbaProject.bin", "x"})),
		"Word with macros in other letters":     string(office(t, mainWord, "word/document.xml", part{`WORD\VBAPROJECT.BIN`, "x"})),
		"Word that says it has macros":          string(office(t, macroType, "word/document.xml")),
		"Word with macros under another name":   string(archive(t, otherMacro, part{"a.xml", ""}, part{"harmless.bin", ""})),
		"Excel with macro sheets":               string(office(t, mainExcel, "xl/workbook.xml", part{"xl/macrosheets/sheet1.xml", "x"})),
		"OpenDocument with macros":              string(openDocument(t, "application/vnd.oasis.opendocument.text", part{"Basic/Standard/Module1.xml", "x"})),
		"OpenDocument with scripts":             string(openDocument(t, "application/vnd.oasis.opendocument.text", part{"Scripts/python/a.py", "x"})),
		"a formula of OpenDocument":             string(openDocument(t, "application/vnd.oasis.opendocument.formula")),
		"OpenDocument that is nothing else":     string(archive(t, part{"mimetype", "application/vnd.oasis.opendocument.text"})),
		"an electronic book":                    string(archive(t, part{"mimetype", "application/epub+zip"}, part{"content.xml", ""}, part{"META-INF/manifest.xml", ""})),
		"a Word template":                       string(office(t, strings.Replace(mainWord, "document.main", "template.main", 1), "word/document.xml")),
		"Word without its main part":            string(archive(t, part{"[Content_Types].xml", `<Types><Override PartName="/word/document.xml" ContentType="` + mainWord + `"/></Types>`})),
		"Word and Excel":                        string(archive(t, twoTypes, part{"a.xml", ""})),
		"Word with broken types":                string(archive(t, part{"[Content_Types].xml", `<Types><Override ContentType="` + mainWord + `">`})),
		"Word with types that unpack to much":   string(archive(t, part{"[Content_Types].xml", `<Types><Override ContentType="` + mainWord + `"/>` + strings.Repeat(" ", 2<<20) + `</Types>`})),
		"Word with a part twice":                string(office(t, mainWord, "word/document.xml", part{"Word/Document.xml", "<other/>"})),
		"Word with a comment on the archive":    string(withComment),
		"Word with something behind it":         string(word) + "<script>",
		"Word with something before it":         string(prefixed),
		"Word that is cut off":                  string(word[:len(word)-30]),
		"Word whose directory claims to be big": string(hugeDirectory(word)),
	} {
		got, err := inspect([]byte(b))
		var invalid *InvalidError
		if !errors.As(err, &invalid) || got != "" {
			t.Errorf("%s: accepted as %q, %v", name, got, err)
			continue
		}
		if e := invalid.Errors[0]; e.Code != "INVALID" || e.Path != "file" || !strings.HasSuffix(e.Message, allowedFiles) {
			t.Errorf("%s: %+v does not say what is allowed", name, e)
		}
	}
}

// hugeDirectory makes an archive say that its directory has 2 GiB.
func hugeDirectory(b []byte) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[len(b)-10:], 1<<31)
	return b
}

// An archive whose parts say that they unpack to more than a gigabyte is
// refused; nothing of it is unpacked to find out.
func TestInspectRefusesBombs(t *testing.T) {
	t.Parallel()
	b := office(t, mainWord, "word/document.xml")
	directory := bytes.Index(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[directory+24:], 1<<31-1)
	if got, err := inspect(b); err == nil || !strings.Contains(err.Error(), "unpacks to more") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInspectLimits(t *testing.T) {
	t.Parallel()
	fill := func(b []byte, n int) []byte { return append(bytes.Clone(b), make([]byte, n-len(b))...) }
	picture := encodePNG(t, gradient(9, 9))
	for what, c := range map[string]struct {
		b    []byte
		code string
	}{
		"nothing":                     {nil, "REQUIRED"},
		"a picture of 10 MiB":         {fill(picture, MaxPictureFile), ""},
		"a picture of more":           {fill(picture, MaxPictureFile+1), "TOO_LONG"},
		"a text of 25 MiB":            {bytes.Repeat([]byte("a"), MaxDocumentFile), ""},
		"a text of more":              {bytes.Repeat([]byte("a"), MaxDocumentFile+1), "TOO_LONG"},
		"a picture 20,000 wide":       {pngHeader(20_000, 2_000), ""},
		"a picture 20,001 wide":       {pngHeader(20_001, 1), "OUT_OF_RANGE"},
		"a picture 20,001 high":       {pngHeader(1, 20_001), "OUT_OF_RANGE"},
		"a picture of 40.1 megapixel": {pngHeader(8_020, 5_000), "OUT_OF_RANGE"},
		"a GIF of 4.3 gigapixel":      {[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), "OUT_OF_RANGE"},
		"a picture without pixels":    {pngHeader(0, 5), "INVALID"},
	} {
		_, err := inspect(c.b)
		var invalid *InvalidError
		code := ""
		if errors.As(err, &invalid) {
			code = invalid.Errors[0].Code
		}
		if code != c.code || (err == nil) != (code == "") {
			t.Errorf("%s: %v, want code %q", what, err, c.code)
		}
	}
}

// When the reading fails, it is not the file that is wrong.
func TestInspectBrokenReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	for kind, b := range accepted(t) {
		for after := range min(len(b), 30) {
			_, err := Inspect(&breaking{Reader: bytes.NewReader(b), left: after, err: broken}, int64(len(b)))
			if !errors.Is(err, broken) || errors.Is(err, ErrInvalid) {
				t.Errorf("%s, broken after %d bytes: %v", kind, after, err)
			}
		}
	}
	if _, err := Inspect(strings.NewReader("abc"), 4); err == nil || errors.Is(err, ErrInvalid) {
		t.Errorf("a wrong size: %v", err)
	}
}

// breaking fails after so many bytes.
type breaking struct {
	*bytes.Reader
	left int
	err  error
}

func (r *breaking) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, r.err
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

func TestFileTypesServed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t                  FileType
		title, disposition string
	}{
		{TypePNG, "Site plan", `inline; filename="Site plan.png"`},
		{TypePDF, "Tender 2026/03 (final).pdf", `attachment; filename="Tender 2026-03 (final).pdf"`},
		{TypePDF, "invoice.exe", `attachment; filename=invoice.exe.pdf`},
		{TypeDOCX, "../../etc/passwd", `attachment; filename=etc-passwd.docx`},
		{TypeCSV, "智慧交通", `attachment; filename*=utf-8''%E6%99%BA%E6%85%A7%E4%BA%A4%E9%80%9A.csv`},
		{TypeText, "", `attachment; filename=file.txt`},
		{TypeText, "...", `attachment; filename=file.txt`},
		{TypeText, "a\r\nSet-Cookie: b=1", `attachment; filename="a--Set-Cookie- b-1.txt"`},
		{TypeText, "cod\u202Etxt.exe\x00", `attachment; filename=codtxt.exe.txt`},
		{TypeText, ".PDF", `attachment; filename=PDF.txt`},
		{TypeText, strings.Repeat("é", 1000), `attachment; filename*=utf-8''` + strings.Repeat("%C3%A9", 60) + `.txt`},
	} {
		if got := c.t.Disposition(c.title); got != c.disposition {
			t.Errorf("%s %.30q:\n got %s\nwant %s", c.t, c.title, got, c.disposition)
		}
	}
	for kind := range fileTypes {
		if kind.MIME() == "" || kind.Extension() == "" || kind.IsInline() != strings.HasPrefix(kind.MIME(), "image/") {
			t.Errorf("%s: %q %q inline %t", kind, kind.MIME(), kind.Extension(), kind.IsInline())
		}
	}
	for _, kind := range []FileType{"", "SVG", "HTML"} {
		if kind.MIME() != "application/octet-stream" || kind.IsInline() || !strings.HasPrefix(kind.Disposition("x"), "attachment") {
			t.Errorf("%q is served as %s, %s", kind, kind.MIME(), kind.Disposition("x"))
		}
	}
}

func FuzzInspect(f *testing.F) {
	for _, b := range accepted(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, err := inspect(b)
		if _, known := fileTypes[kind]; known == (err != nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q, %v", kind, err)
		}
	})
}
