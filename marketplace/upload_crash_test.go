package marketplace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// OpenTestFiles opens real files; the outer test package sets it.
var OpenTestFiles func(dir string) (Files, error)

// writing is a mortal store that dies at its Nth write: what was only read
// before makes no difference.
type writing struct{ *mortal }

func (w writing) dead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deceased
}

func (w writing) Get(ctx context.Context, kind Kind, id string) (Document, error) {
	if w.dead() {
		return Document{}, errKilled
	}
	return w.Store.Get(ctx, kind, id)
}

func (w writing) Find(ctx context.Context, kind Kind, q Query) ([]Document, error) {
	if w.dead() {
		return nil, errKilled
	}
	return w.Store.Find(ctx, kind, q)
}

func (w writing) Changes(ctx context.Context, q FeedQuery) (Feed, error) {
	if w.dead() {
		return Feed{}, errKilled
	}
	return w.Store.Changes(ctx, q)
}

// mortalFiles die together with a store.
type mortalFiles struct {
	Files
	life *mortal
}

func (f mortalFiles) Put(ctx context.Context, r io.Reader, max int64) (string, int64, error) {
	if dead, _ := f.life.dies(); dead {
		return "", 0, errKilled
	}
	return f.Files.Put(ctx, r, max)
}

func (f mortalFiles) Delete(ctx context.Context, hash string, before time.Time) error {
	if dead, _ := f.life.dies(); dead {
		return errKilled
	}
	return f.Files.Delete(ctx, hash, before)
}

// anUploadsLife is everything that happens to files: they are sent, attached,
// replaced, copied, deleted, and collected, while hours pass.
func anUploadsLife(ctx context.Context, m *Market, picture string, sleep func(hours int)) error {
	editor := func() context.Context {
		return WithViewer(ctx, Viewer{Actor: Actor{User: "user_editor", Memberships: []Membership{{Member: "company_acme", Role: RoleEditor}}, Via: "session_x"}})
	}
	s, err := m.CreateSolution(editor(), CreateSolutionInput{Company: "company_acme", Key: new("one"), Content: Patch{"title": []any{map[string]any{"language": "en", "text": "Kerb"}}}})
	if err != nil {
		return err
	}
	attach := func(files ...ID) error {
		media := []any{}
		for _, f := range files {
			media = append(media, map[string]any{"type": "DOCUMENT", "file": string(f)})
		}
		_, err := m.EditSolution(editor(), EditSolutionInput{ID: s.ID, Content: Patch{"media": media}})
		return err
	}
	var ids []ID
	for _, content := range []string{picture, "first", "second", picture} {
		u, err := m.Upload(editor(), s.ID, "a", strings.NewReader(content))
		if err != nil {
			return err
		}
		ids = append(ids, u.ID)
	}
	if err := attach(ids[0], ids[1]); err != nil {
		return err
	}
	c, err := m.DuplicateSolution(editor(), DuplicateSolutionInput{ID: s.ID, Key: new("two")})
	if err != nil {
		return err
	}
	if err := errors.Join(m.DeleteUpload(editor(), ids[2]), attach(ids[3])); err != nil {
		return err
	}
	for _, hours := range []int{1, 26, 28, 60} {
		sleep(hours)
		if err := m.CatchUp(ctx); err != nil {
			return err
		}
	}
	if err := m.DeleteSolution(editor(), c.ID, nil); err != nil {
		return err
	}
	sleep(90)
	return m.CatchUp(ctx)
}

// Wherever the server is killed, every file that something refers to is
// there, and days later nothing else is.
func TestNoFileIsLostAndNoneIsLeft(t *testing.T) {
	t.Parallel()
	picture := string(encodePNG(t, gradient(400, 3)))
	// One that is done and not acknowledged leaves what the next one, that is
	// not done, does.
	for n := 1; !killUploads(t, picture, n); n += KillEvery() {
	}
}

// killUploads says whether the story came to its own end before the nth write.
func killUploads(t *testing.T, picture string, n int) (done bool) {
	inner := openTestStore(t)
	defer inner.Close()
	files, err := OpenTestFiles(filepath.Join(MemoryDir(t), "files"))
	if err != nil {
		t.Fatal(err)
	}
	defer files.(io.Closer).Close()
	prepare(t, asWorker(context.Background()), New(inner, nil, Options{Alone: true}))
	var later time.Duration
	open := func(s Store, f Files) *Market {
		m := New(s, nil, Options{Alone: true, Files: f, Temporary: MemoryDir(t)})
		m.now = func() time.Time { return time.Now().Add(later) }
		return m
	}
	living, end := context.WithCancel(context.Background())
	defer end()
	dying := &mortal{Store: inner, left: n, die: end}
	err = anUploadsLife(InBulk(living), open(writing{dying}, mortalFiles{files, dying}), picture, func(hours int) { later = time.Duration(hours) * time.Hour })
	if err != nil && !dying.deceased {
		t.Fatalf("killed at %d: %v", n, err)
	}
	m := open(inner, files)
	for _, hours := range []int{0, 60, 62, 140} {
		later = max(later, time.Duration(hours)*time.Hour)
		if err := m.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := filesHold(m, hours == 140); err != nil {
			t.Fatalf("killed at write %d, %d hours later: %v", n, hours, err)
		}
	}
	return !dying.deceased
}

// filesHold says what is wrong with the files: something that is referred to
// is not there, or, in the end, something is there that is not referred to.
func filesHold(m *Market, inTheEnd bool) error {
	ctx := asWorker(context.Background())
	solutions, err := findAll(ctx, m, KindSolution)
	if err != nil {
		return err
	}
	var referred, named []string
	for _, doc := range solutions {
		for _, id := range uploadsIn(doc.(attachable)) {
			u, err := get[*Upload](ctx, m, id)
			if err != nil || u.Subject != doc.meta().ID {
				return fmt.Errorf("%s refers to %s: %v", doc.meta().ID, id, err)
			}
			for _, hash := range u.Contents {
				f, err := m.options.Files.Open(ctx, hash)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", hash, id, err)
				}
				f.Close()
			}
			referred, named = append(referred, string(id)), append(named, u.Contents...)
		}
	}
	if !inTheEnd {
		return nil
	}
	uploads, err := findAll(ctx, m, KindUpload)
	if err != nil {
		return err
	}
	for _, doc := range uploads {
		if u := doc.(*Upload); !slices.Contains(referred, string(u.ID)) || u.DueAt != nil || u.IsLeaving {
			return fmt.Errorf("%+v is left", u)
		}
	}
	contents, err := m.options.Files.List(ctx, "", MaxPage)
	for _, f := range contents {
		if !slices.Contains(named, f.Hash) {
			return fmt.Errorf("the content %s is left", f.Hash)
		}
	}
	return err
}

func findAll(ctx context.Context, m *Market, kind Kind) ([]entity, error) {
	var list []entity
	err := m.fetchAll(ctx, kind, Query{Limit: MaxPage}, func(doc entity, _ string, seen bool) {
		if seen {
			list = append(list, doc)
		}
	})
	return list, err
}
