package marketplace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Upload is a picture or a document that was sent for something, its
// subject: a solution, a proposal, an offer, a member. Its content lies in Files, and
// never changes; another picture is another upload. It is attached while its
// subject refers to it. Then whoever sees the subject sees the upload, and
// nobody else; before, those who act for the member do, and the secretariat.
// What is not attached is removed after a day.
type Upload struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Subject    ID                `json:"subject"`
	Member     ID                `json:"member"` // the subject's, whose storage it takes
	By         ID                `json:"by"`     // user
	Name       string            `json:"name"`   // to save it under; fits the type
	Type       FileType          `json:"type"`
	Size       int               `json:"size"` // bytes
	Hash       string            `json:"hash"`
	Width      *int              `json:"width,omitempty"` // of a picture, upright, in pixels
	Height     *int              `json:"height,omitempty"`
	Thumbnails []StoredThumbnail `json:"thumbnails,omitempty"` // of a picture, smallest first
	// Contents are all the hashes above: what the collector leaves in Files.
	Contents []string `json:"contents"`

	// DueAt is when the collector looks at it; nil while it is attached.
	DueAt *time.Time `json:"dueAt,omitempty"`
	// IsLeaving says that it is going to be removed, and cannot be attached.
	IsLeaving bool `json:"isLeaving,omitempty"`
}

// A StoredThumbnail is a small copy of a picture that lies in Files.
type StoredThumbnail struct {
	Width  int      `json:"width"` // pixels
	Height int      `json:"height"`
	Hash   string   `json:"hash"`
	Type   FileType `json:"type"`
}

// KindUpload is the kind of Upload.
var KindUpload = registerRecord("upload", func() entity { return new(Upload) },
	Index{Equal: []string{"subject"}, Sort: "createdAt"},
	Index{Equal: []string{"member"}, Sort: "createdAt"},
	Index{Has: "contents"},
	Index{Sort: "dueAt"})

// Limits of uploads. Those of their sizes are in filetype.go and picture.go.
const (
	MaxUploads       = 16 // at once in this process
	maxUploadsOfUser = 4  // at once in this process
	maxUploadsFor    = 100
	maxUploadsOf     = 5000    // of a member
	maxBytesOf       = 2 << 30 // of a member; the same content counts once
	maxGivenName     = 1000    // bytes
)

// limitUpload is for each user: 200 at once, 180 an hour.
var limitUpload = limited{name: "upload", account: throttleLimit{200, 20 * time.Second}}

// An attachable is what files can be uploaded for.
type attachable interface {
	entity
	files() []attachment // that it refers to
}

// An attachment is a reference to an upload, with the path of its field.
type attachment struct {
	path    string
	file    ID
	picture bool // it must be one
}

// mayAttach says who may upload files for which kind: those who may change
// what refers to them. The parties that the permission is about, the first of
// them, have the files.
var mayAttach = map[Kind]Permission{
	KindSolution: MayEditSolution, KindProposal: MayEditProposal,
	KindCity: MayEditMember, KindCompany: MayEditMember, KindInstitution: MayEditMember,
	KindOffer: MayEditOffer, KindRegistration: MayRegister,
}

// owner is the member whose files those of a document are.
func owner(doc entity) ID {
	parties := doc.parties()
	if of := mayAttach[doc.kind()].of; of != nil {
		parties = of(doc)
	}
	return parties[0]
}

// uploadsIn are the uploads that a document refers to.
func uploadsIn(doc attachable) []ID {
	var ids []ID
	for _, f := range doc.files() {
		ids = append(ids, f.file)
	}
	return ids
}

func (*Upload) kind() Kind         { return KindUpload }
func (*Upload) validate(*problems) {}
func (u *Upload) parties() []ID    { return []ID{u.Member} }
func (u *Upload) refs() []ID       { return []ID{u.Subject} }
func (u *Upload) subject() ID      { return u.Subject }

// IsNode marks uploads as something with an id of its own.
func (*Upload) IsNode() {}

// audience is that of what is not attached; see seenWith.
func (u *Upload) audience() []Group {
	if u.IsLeaving {
		return nil
	}
	return []Group{Group(u.Member), Secretariat}
}

func (u *Upload) seenWith(subject entity) bool {
	a, ok := subject.(attachable)
	return ok && slices.Contains(uploadsIn(a), u.ID)
}

// MIMEType is the media type that it is served with.
func (u *Upload) MIMEType() string { return u.Type.MIME() }

// named is the name of the upload as a file of another type.
func (u *Upload) named(t FileType) string {
	return t.FileName(strings.TrimSuffix(u.Name, u.Type.Extension()))
}

// UploadURL is where an upload is to be had.
func (m *Market) UploadURL(u *Upload) string {
	return m.options.URL + "/files/" + string(u.ID) + "/" + url.PathEscape(u.Name)
}

// A ThumbnailLink is where a small copy of a picture is to be had.
type ThumbnailLink struct {
	URL           string
	Width, Height int // pixels
}

// ThumbnailsOf are the small copies of a picture, smallest first; none of a document.
func (m *Market) ThumbnailsOf(u *Upload) []*ThumbnailLink {
	list := make([]*ThumbnailLink, len(u.Thumbnails))
	for i, t := range u.Thumbnails {
		list[i] = &ThumbnailLink{Width: t.Width, Height: t.Height,
			URL: m.options.URL + "/files/" + string(u.ID) + "/" + strconv.Itoa(t.Width) + "/" + url.PathEscape(u.named(t.Type))}
	}
	return list
}

// Upload keeps a file for a subject that the viewer may edit. What it is, its
// bytes say; the name is only for saving it, and is cleaned. Pictures lose
// their metadata and get thumbnails.
//
// r is read after all that can be said without it has been: whether the
// viewer may, and whether there is room. Its errors are returned wrapped. What
// is wrong with the file is a problem of the path "file", and with the subject
// or the room for it of the path "for". The upload is attached by editing the
// subject, within a day.
func (m *Market) Upload(ctx context.Context, subject ID, name string, r io.Reader) (*Upload, error) {
	u, err := m.newUpload(ctx, subject)
	if err != nil {
		return nil, err
	}
	if m.options.Files == nil {
		return nil, fmt.Errorf("marketplace: there is no place for files: %w", ErrUnavailable)
	}
	user := actorOf(ctx).User
	leave, err := m.uploads.enter(user)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := m.limit(ctx, limitUpload, string(user)); err != nil {
		return nil, err
	}
	room, err := m.roomFor(ctx, u)
	if err != nil {
		return nil, err
	}
	if err := m.receive(ctx, u, name, r, room); err != nil {
		return nil, err
	}
	// The file may have taken long, and the subject may be another one by now.
	now, err := m.newUpload(Afresh(ctx), subject)
	if err != nil {
		return nil, err
	}
	u.Member, u.DueAt = now.Member, now.DueAt
	return u, create(ctx, m, MayUpload, u)
}

// MayUploadFor says whether the viewer may upload files for a subject, by an
// error where they may not.
func (m *Market) MayUploadFor(ctx context.Context, subject ID) error {
	_, err := m.newUpload(ctx, subject)
	return err
}

// newUpload begins an upload of the viewer for a subject.
func (m *Market) newUpload(ctx context.Context, subject ID) (*Upload, error) {
	doc, err := m.attachableTo(ctx, subject, false)
	if err != nil {
		return nil, err
	}
	u := &Upload{Subject: subject, Member: owner(doc), By: actorOf(ctx).User, DueAt: new(m.clock().Add(looseFor))}
	u.IsSample = doc.meta().IsSample
	return u, MayUpload.check(ctx, u)
}

// attachableTo returns what the viewer may upload files for. Where that is
// only for looking at them, a token that may only read will do.
func (m *Market) attachableTo(ctx context.Context, subject ID, looking bool) (attachable, error) {
	may, ok := mayAttach[subject.Kind()]
	may.reads = looking
	if !ok {
		return nil, ErrNotFound
	}
	doc, err := get[attachable](ctx, m, subject)
	if err != nil {
		return nil, err
	}
	return doc, may.check(ctx, doc)
}

// roomFor returns how many bytes an upload may have, as far as its subject
// and its member have room. It reads all uploads of the member: 0.3 s for 5,000
// on two busy cores, which is little beside an upload of that member's user.
func (m *Market) roomFor(ctx context.Context, u *Upload) (int64, error) {
	ctx = withSight(ctx)
	list, err := m.uploadsFor(ctx, u.Subject)
	if err != nil {
		return 0, err
	}
	if len(list) >= maxUploadsFor {
		return 0, invalid("for", "TOO_MANY", fmt.Sprintf("has %d files already: delete some that are not in use", len(list)))
	}
	count, bytes, counted := 0, int64(0), make(map[string]bool)
	q := Query{Where: []Condition{{Field: "member", Op: Eq, Value: u.Member}}, Sort: "createdAt", Limit: MaxPage}
	for n := q.Limit; n == q.Limit && count < maxUploadsOf; count += n {
		n = 0
		err := m.fetchAll(ctx, KindUpload, q, func(doc entity, position string, _ bool) {
			other := doc.(*Upload)
			if n++; !counted[other.Hash] {
				counted[other.Hash] = true
				bytes += int64(other.Size)
			}
			q.After = position
		})
		if err != nil {
			return 0, err
		}
	}
	room := maxBytesOf - bytes
	if count >= maxUploadsOf || room <= 0 {
		return 0, invalid("for", "TOO_MANY", fmt.Sprintf("belongs to a member that has all the files it may have, %d or %d GiB: delete some", maxUploadsOf, maxBytesOf>>30))
	}
	return room, nil
}

// receive reads a file, looks at it, and keeps its contents.
func (m *Market) receive(ctx context.Context, u *Upload, name string, r io.Reader, room int64) error {
	raw, discard, err := m.temporary()
	if err != nil {
		return err
	}
	defer discard()
	most := int64(max(MaxPictureFile, MaxDocumentFile))
	size, err := io.Copy(onDisk{raw}, LimitUpload(ctx, r, most))
	switch {
	case errors.Is(err, ErrLimit):
		return invalid(fileField, "TOO_LONG", fmt.Sprintf("has more than %d MiB", most>>20))
	case err != nil:
		return fmt.Errorf("marketplace: receive a file: %w", err)
	case size > room:
		return invalid("for", "TOO_MANY", fmt.Sprintf("belongs to a member that has room for %d more bytes: delete some files", room))
	}
	if u.Type, err = Inspect(raw, size); err != nil {
		return err
	}
	name = cut(name, maxGivenName)
	u.Name = u.Type.FileName(name[strings.LastIndexAny(name, `/\`)+1:])
	content := raw
	if u.Type.IsPicture() {
		width, height, err := pictureSize(ctx, raw, u.Type)
		if err != nil {
			return err
		}
		u.Width, u.Height = &width, &height
		if err := m.keepThumbnails(ctx, u, raw); err != nil {
			return err
		}
		clean, discard, err := m.temporary()
		if err != nil {
			return err
		}
		defer discard()
		if err := Clean(ctx, onDisk{clean}, raw, u.Type); err != nil {
			return err
		}
		content = clean
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("marketplace: a file: %w", err)
	}
	hash, size, err := m.keepContent(ctx, content, most)
	if err != nil {
		return err
	}
	u.Hash, u.Size = hash, int(size)
	u.Contents = append(u.Contents, hash)
	return nil
}

// keepContent puts a content of ours, so what goes wrong is the storage.
func (m *Market) keepContent(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error) {
	hash, size, err = m.options.Files.Put(ctx, r, max)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("marketplace: keep a file: %w: %w", err, ErrUnavailable)
	}
	return hash, size, err
}

func (m *Market) keepThumbnails(ctx context.Context, u *Upload, picture io.ReadSeeker) error {
	list, err := Thumbnails(ctx, picture)
	if err != nil {
		return err
	}
	for _, t := range list {
		hash, _, err := m.keepContent(ctx, bytes.NewReader(t.Data), int64(len(t.Data)))
		if err != nil {
			return err
		}
		u.Thumbnails = append(u.Thumbnails, StoredThumbnail{Width: t.Width, Height: t.Height, Hash: hash, Type: t.Type})
		if !slices.Contains(u.Contents, hash) {
			u.Contents = append(u.Contents, hash)
		}
	}
	return nil
}

// temporary makes a file that is gone when it is discarded or the process
// ends; where the system cannot do that, when it is discarded.
func (m *Market) temporary() (*os.File, func(), error) {
	f, err := os.CreateTemp(m.options.Temporary, "citymarket-upload-")
	if err != nil {
		return nil, nil, fmt.Errorf("marketplace: a temporary file: %w: %w", err, ErrUnavailable)
	}
	removed := os.Remove(f.Name()) == nil
	return f, func() {
		f.Close()
		if !removed {
			os.Remove(f.Name())
		}
	}, nil
}

// onDisk is a temporary file that is being written. A disk that is full is no
// fault of what is written.
type onDisk struct{ f *os.File }

func (d onDisk) Write(p []byte) (int, error) {
	n, err := d.f.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", err, ErrUnavailable)
	}
	return n, err
}

// uploadPlaces bounds how many uploads are received at once, in all and by
// each user, so that slow ones of one user do not keep others out.
type uploadPlaces struct {
	mu    sync.Mutex
	all   int
	users map[ID]int
}

func (p *uploadPlaces) enter(user ID) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= MaxUploads || p.users[user] >= maxUploadsOfUser {
		return nil, &RateLimitedError{Wait: 5 * time.Second}
	}
	if p.users == nil {
		p.users = map[ID]int{}
	}
	p.all++
	p.users[user]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.users[user]--; p.users[user] == 0 {
			delete(p.users, user)
		}
	}, nil
}

// UploadByID returns an upload, or ErrNotFound.
func (m *Market) UploadByID(ctx context.Context, id ID) (*Upload, error) {
	return get[*Upload](ctx, m, id)
}

// Uploads lists the uploads for a subject, newest first, attached or not, at
// most some 100, for those who may edit it.
func (m *Market) Uploads(ctx context.Context, of ID) ([]*Upload, error) {
	if _, err := m.attachableTo(ctx, of, true); err != nil {
		return nil, err
	}
	return m.uploadsFor(ctx, of)
}

// uploadsFor are the uploads for a subject, without those that are leaving.
func (m *Market) uploadsFor(ctx context.Context, subject ID) ([]*Upload, error) {
	list, err := m.allUploadsFor(ctx, subject)
	return slices.DeleteFunc(list, func(u *Upload) bool { return u.IsLeaving }), err
}

func (m *Market) allUploadsFor(ctx context.Context, subject ID) ([]*Upload, error) {
	return find[*Upload](withSight(ctx), m, KindUpload, Query{
		Where: []Condition{{Field: "subject", Op: Eq, Value: subject}}, Sort: "createdAt", Descending: true, Limit: MaxPage})
}

// IsAttached says whether its subject refers to an upload.
func (m *Market) IsAttached(ctx context.Context, u *Upload) (bool, error) {
	doc, err := get[attachable](ctx, m, u.Subject)
	return err == nil && u.seenWith(doc), ignore(err, ErrNotFound)
}

// DeleteUpload removes an upload that is not attached. Its content goes
// later, unless something else has the same one.
func (m *Market) DeleteUpload(ctx context.Context, id ID) error {
	u, err := m.UploadByID(ctx, id)
	if err != nil {
		return err
	}
	doc, err := m.attachableTo(ctx, u.Subject, false)
	if err != nil {
		return err
	}
	if u.seenWith(doc) {
		return invalid("id", "INVALID", "is in use: take it out of what it is attached to first")
	}
	_, err = update(ctx, m, MayUpload, id, 0, func(u *Upload) error {
		u.mark("DELETE", u.Name)
		u.IsLeaving, u.DueAt = true, new(m.clock().Add(leavingFor))
		return nil
	})
	return err
}

// checkFiles reports the files that a document refers to and that were not
// uploaded for it, or are no picture where one is needed.
func (m *Market) checkFiles(ctx context.Context, p *problems, doc attachable) error {
	files := doc.files()
	if len(files) == 0 || len(files) > MaxValues {
		return nil
	}
	list, err := m.load(withSight(ctx), uploadsIn(doc))
	if err != nil {
		return err
	}
	for i, f := range files {
		u, ok := list[i].(*Upload)
		switch {
		case !ok || u.Subject != doc.meta().ID || u.IsLeaving:
			p.add(f.path, "NOT_FOUND", "there is no such file that was uploaded for this")
		case f.picture && !u.Type.IsPicture():
			p.add(f.path, "INVALID", "must be a picture")
		}
	}
	return nil
}

// mustHaveFiles is checkFiles for what has no other references.
func (m *Market) mustHaveFiles(ctx context.Context, doc attachable) error {
	var p problems
	if err := m.checkFiles(ctx, &p, doc); err != nil {
		return err
	}
	return p.err()
}

// copyMedia makes uploads for another document with the contents of those in
// a list of media, and returns the list with them. What is there no more is
// left out. The ids follow from the two, so it may be repeated.
func (m *Market) copyMedia(ctx context.Context, list []Media, to attachable) ([]Media, error) {
	id := to.meta().ID
	out := make([]Media, 0, len(list))
	for _, media := range list {
		if media.File != "" {
			u, err := m.UploadByID(ctx, media.File)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			c := *u
			c.Meta = Meta{ID: ID(string(KindUpload) + "_" + hashed(string(id) + "\x00" + string(u.ID))[:26]), IsSample: u.IsSample}
			c.mark("ADD", "copy of "+string(u.ID))
			c.Subject, c.Member, c.By, c.DueAt, c.IsLeaving = id, owner(to), actorOf(ctx).User, new(m.clock().Add(looseFor)), false
			if err := create(ctx, m, MayUpload, &c); err != nil && !taken(err, "id") {
				return nil, err
			}
			media.File = c.ID
		}
		out = append(out, media)
	}
	return out, nil
}

// A ServedFile is a content that the viewer may have. The caller closes it.
type ServedFile struct {
	FileContent
	Hash string
	Type FileType
	Name string // to save it under
	// IsPublic says that everybody may have it at the moment.
	IsPublic bool
}

// OpenUpload opens the content of an upload, or where width is not 0 of the
// thumbnail that is so wide, under the name that its address has. It is
// ErrNotFound where there is none, or none that the viewer may see.
func (m *Market) OpenUpload(ctx context.Context, id ID, width int, name string) (*ServedFile, error) {
	u, err := m.UploadByID(ctx, id)
	if err != nil {
		return nil, err
	}
	f := &ServedFile{Hash: u.Hash, Type: u.Type, Name: u.Name}
	if width != 0 {
		i := slices.IndexFunc(u.Thumbnails, func(t StoredThumbnail) bool { return t.Width == width })
		if i < 0 {
			return nil, ErrNotFound
		}
		f.Hash, f.Type, f.Name = u.Thumbnails[i].Hash, u.Thumbnails[i].Type, u.named(u.Thumbnails[i].Type)
	}
	if name != f.Name || m.options.Files == nil {
		return nil, ErrNotFound
	}
	subject, err := get[attachable](ctx, m, u.Subject)
	if err != nil {
		return nil, err
	}
	f.IsPublic = u.seenWith(subject) && slices.Contains(subject.audience(), Everyone)
	f.FileContent, err = m.options.Files.Open(ctx, f.Hash)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("marketplace: the content %s of %s is missing", f.Hash, u.ID)
	}
	return f, err
}
