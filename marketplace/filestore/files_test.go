package filestore

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/storetest"
)

func openAt(t testing.TB, dir string) *Files {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFiles(t *testing.T) {
	var dirs sync.Map // *Files -> its directory
	open := func(t testing.TB, dir string) marketplace.Files {
		f := openAt(t, dir)
		dirs.Store(f, dir)
		return f
	}
	dirOf := func(f marketplace.Files) string {
		dir, _ := dirs.Load(f)
		return dir.(string)
	}
	storetest.RunFiles(t, storetest.FilesOpener{
		Open: func(t testing.TB) marketplace.Files { return open(t, filepath.Join(t.TempDir(), "files and %20?")) },
		Reopen: func(t testing.TB, f marketplace.Files) marketplace.Files {
			if err := f.(*Files).Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, dirOf(f))
		},
		Second: func(t testing.TB, f marketplace.Files) marketplace.Files { return open(t, dirOf(f)) },
	})
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != lockName {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A refused or broken upload leaves nothing on the disk, and one that is
// there already no second file.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := openAt(t, dir)
	for range 3 {
		_, _, _ = f.Put(t.Context(), strings.NewReader("too much"), 3)
		_, _, _ = f.Put(t.Context(), struct{ *strings.Reader }{strings.NewReader("abc")}, 3)
		_, _, _ = f.Put(t.Context(), bytes.NewBufferString("abc"), 3)
		_, _, _ = f.Put(t.Context(), bytes.NewBufferString("abcd"), 3)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("on the disk: %q", got)
	}
	if err := f.Delete(t.Context(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("after deletion: %q", got)
	}
}

// What a crashed process has left behind is swept a day later by the first
// page of a list, and by whoever opens the directory; uploads under way stay.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := openAt(t, dir)
	later := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	crash := func() {
		if err := os.WriteFile(filepath.Join(dir, tmpDir, "CRASHED"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crash()
	f.now = later(marketplace.MaxUploadTime)
	if _, err := f.List(t.Context(), "", 10); err != nil || len(names(t, dir)) != 1 {
		t.Errorf("an upload that may be under way was swept: %v", err)
	}
	f.now = later(marketplace.AbandonedAfter + time.Minute)
	if _, err := f.List(t.Context(), "", 10); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("left after a list: %q, %v", names(t, dir), err)
	}
	crash()
	g, err := open(dir, f.now)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left after opening: %q", left)
	}
}

// A content of the wrong size, as after a restore that broke off, is replaced
// by the next one who puts it.
func TestDamagedContentIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := openAt(t, dir)
	for _, seekable := range []bool{false, true} {
		hash, _, err := f.Put(t.Context(), strings.NewReader("content"), 10)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(place(hash)))
		if err := os.Truncate(path, 3); err != nil {
			t.Fatal(err)
		}
		if seekable {
			_, _, err = f.Put(t.Context(), strings.NewReader("content"), 10)
		} else {
			_, _, err = f.Put(t.Context(), bytes.NewBufferString("content"), 10)
		}
		if b, _ := os.ReadFile(path); err != nil || string(b) != "content" {
			t.Errorf("holds %q after it was put again (%v)", b, err)
		}
	}
}

// A link in the directory that leads out of it is not followed.
func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openAt(t, dir)
	hash := strings.Repeat("ab", 32)
	if err := os.Symlink(secret, filepath.Join(dir, "ab", hash)); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if c, err := f.Open(t.Context(), hash); err == nil {
		c.Close()
		t.Error("a link out of the directory was followed")
	}
}

func BenchmarkPut10MB(b *testing.B) {
	for name, again := range map[string]bool{"new": false, "there": true} {
		b.Run(name, func(b *testing.B) {
			f := openAt(b, b.TempDir())
			data := make([]byte, 10_000_000)
			rand.NewChaCha8([32]byte{}).Read(data)
			b.SetBytes(int64(len(data)))
			for i := 0; b.Loop(); i++ {
				if !again {
					data[0], data[1] = byte(i), byte(i>>8)
				}
				if _, _, err := f.Put(b.Context(), bytes.NewBuffer(data), 10_000_000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
