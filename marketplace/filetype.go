package marketplace

import (
	"context"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode"
)

// Limits of uploaded files, in bytes.
const (
	MaxPictureFile  = 10 << 20
	MaxDocumentFile = 25 << 20
)

// A FileType is what an uploaded file is, by its bytes. Its name and the type
// that its sender declares are never looked at.
type FileType string

// The types that are accepted.
const (
	TypePNG  FileType = "PNG"
	TypeJPEG FileType = "JPEG"
	TypeGIF  FileType = "GIF"
	TypeWebP FileType = "WEBP"

	TypePDF  FileType = "PDF"
	TypeDOCX FileType = "DOCX" // Office Open XML, without macros
	TypeXLSX FileType = "XLSX"
	TypePPTX FileType = "PPTX"
	TypeODT  FileType = "ODT" // OpenDocument, without macros
	TypeODS  FileType = "ODS"
	TypeODP  FileType = "ODP"
	TypeText FileType = "TEXT" // UTF-8
	TypeCSV  FileType = "CSV"  // UTF-8 that has the same number of columns in its first rows
)

// fileTypes says how types are served. Sources: the registry of media types
// of IANA (https://www.iana.org/assignments/media-types).
var fileTypes = map[FileType]struct {
	mime, extension string
	picture         bool
}{
	TypePNG:  {"image/png", ".png", true},
	TypeJPEG: {"image/jpeg", ".jpg", true},
	TypeGIF:  {"image/gif", ".gif", true},
	TypeWebP: {"image/webp", ".webp", true},
	TypePDF:  {"application/pdf", ".pdf", false},
	TypeDOCX: {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx", false},
	TypeXLSX: {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", false},
	TypePPTX: {"application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx", false},
	TypeODT:  {"application/vnd.oasis.opendocument.text", ".odt", false},
	TypeODS:  {"application/vnd.oasis.opendocument.spreadsheet", ".ods", false},
	TypeODP:  {"application/vnd.oasis.opendocument.presentation", ".odp", false},
	TypeText: {"text/plain; charset=utf-8", ".txt", false},
	TypeCSV:  {"text/csv; charset=utf-8", ".csv", false},
}

// allowedFiles ends the sentence that refuses a file.
const allowedFiles = "allowed are pictures (PNG, JPEG, GIF, WebP), PDF, documents without macros (DOCX, XLSX, PPTX, ODT, ODS, ODP), and plain text or CSV in UTF-8"

// MIME is the media type to serve the file with, together with
// "X-Content-Type-Options: nosniff". What is not a FileType is
// application/octet-stream.
func (t FileType) MIME() string {
	if info, ok := fileTypes[t]; ok {
		return info.mime
	}
	return "application/octet-stream"
}

// Extension is the usual end of the names of such files, with its dot; empty
// for what is not a FileType.
func (t FileType) Extension() string { return fileTypes[t].extension }

// IsPicture says whether the type is a picture.
func (t FileType) IsPicture() bool { return fileTypes[t].picture }

// IsInline says whether a browser may show such a file as part of the site.
// That is so for pictures, which have no scripts. A PDF has them, and is
// opened by programs whose faults would then be those of the site.
func (t FileType) IsInline() bool { return t.IsPicture() }

// MaxSize is how many bytes a file of the type may have.
func (t FileType) MaxSize() int64 {
	if t.IsPicture() {
		return MaxPictureFile
	}
	return MaxDocumentFile
}

// maxFileName bounds the name that a file is saved under, without its
// extension. File systems take 255 bytes; a rune has at most four.
const maxFileName = 60

// FileName makes a name to save the file under from a title. It ends with the
// type's extension whatever the title ends with, and holds nothing that means
// something to a file system or turns the direction of writing.
func (t FileType) FileName(title string) string {
	var b strings.Builder
	n := 0
	for _, r := range title {
		switch {
		case n == maxFileName:
			continue
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || strings.ContainsRune("()+,-._&' ", r):
			b.WriteRune(r)
		case unicode.IsSpace(r), unicode.IsPunct(r), unicode.IsSymbol(r):
			b.WriteByte('-')
		default:
			continue
		}
		n++
	}
	name := strings.Trim(b.String(), "-. ")
	if len(name) >= len(t.Extension()) && strings.EqualFold(name[len(name)-len(t.Extension()):], t.Extension()) {
		name = strings.TrimRight(name[:len(name)-len(t.Extension())], "-. ")
	}
	if name == "" {
		name = "file"
	}
	return name + t.Extension()
}

// Disposition is the Content-Disposition header to serve the file with: shown
// or saved, under the name of FileName (RFC 6266).
func (t FileType) Disposition(title string) string {
	how := "attachment"
	if t.IsInline() {
		how = "inline"
	}
	return mime.FormatMediaType(how, map[string]string{"filename": t.FileName(title)})
}

// Inspect says what a file is that has size bytes. It reads little: the
// header of a picture, the directory of a document, all of a text. What it
// refuses is an [*InvalidError] that names what is allowed; other errors are
// those of r. Afterwards r stands at its beginning.
//
// A picture that passes has an acceptable size in pixels; whether the rest of
// it can be read, [Thumbnails] and [Clean] find out.
func Inspect(r io.ReadSeeker, size int64) (FileType, error) {
	s := &source{ctx: context.Background(), r: r}
	t, err := s.inspect(size)
	if err == nil {
		err = s.rewind()
	}
	if err != nil {
		return "", err
	}
	return t, nil
}

func (s *source) inspect(size int64) (FileType, error) {
	switch end, err := s.Seek(0, io.SeekEnd); {
	case err != nil:
		return "", s.refuse("")
	case end != size:
		return "", fmt.Errorf("marketplace: a file of %d bytes has %d", size, end)
	case size == 0:
		return "", invalid(fileField, "REQUIRED", "is empty")
	case size > max(MaxPictureFile, MaxDocumentFile):
		return "", tooLarge(size, max(MaxPictureFile, MaxDocumentFile))
	}
	head := make([]byte, min(size, 512))
	if err := s.readAt(head, 0); err != nil {
		return "", s.refuse("cannot be read")
	}
	t := pictureType(head)
	if t == "" {
		return s.inspectDocument(head, size)
	}
	if size > t.MaxSize() {
		return "", tooLarge(size, t.MaxSize())
	}
	if _, err := s.pictureHeader(t); err != nil {
		return "", err
	}
	return t, nil
}

// fileField is the path of problems with an uploaded file.
const fileField = "file"

func tooLarge(size, max int64) error {
	return invalid(fileField, "TOO_LONG", fmt.Sprintf("at most %d MiB, this one has %.1f", max>>20, float64(size)/(1<<20)))
}

// A source is an uploaded file that is being read. It remembers what went
// wrong with the reading, which decoders do not tell from what is wrong with
// the file, and it ends with its context.
type source struct {
	ctx context.Context
	r   io.ReadSeeker
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *source) Seek(offset int64, whence int) (int64, error) {
	n, err := s.r.Seek(offset, whence)
	if err != nil {
		s.err = err
	}
	return n, err
}

// ReadAt implements [io.ReaderAt] for one goroutine.
func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	if _, err := s.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s, p)
	if err == io.ErrUnexpectedEOF && s.err == nil {
		err = io.EOF
	}
	return n, err
}

func (s *source) readAt(p []byte, offset int64) error {
	_, err := s.ReadAt(p, offset)
	return err
}

func (s *source) rewind() error {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return s.refuse("")
	}
	return nil
}

// refuse says why a file is not accepted, unless it was the reading that failed.
func (s *source) refuse(why string) error {
	if s.err != nil {
		return fmt.Errorf("marketplace: read a file: %w", s.err)
	}
	return invalid(fileField, "INVALID", why+"; "+allowedFiles)
}
