package filestore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"citymarket/marketplace"
)

const (
	tmpDir   = "tmp"
	lockName = "lock"
	// The contents are for the server alone, whoever else has an account.
	dirMode  = 0o700
	fileMode = 0o600
	// maxSwept bounds how many abandoned uploads one sweep removes.
	maxSwept = 1000
)

// Files is a [marketplace.Files] in one directory.
type Files struct {
	root *os.Root
	now  func() time.Time
}

// Open opens the contents in a directory, and makes it if it is not there; its
// parent must exist. Several processes may have it open, also over a network
// file system that has flock. It sweeps what crashed uploads have left behind.
func Open(dir string) (*Files, error) {
	f, err := open(dir, time.Now)
	if err != nil {
		return nil, fmt.Errorf("filestore: open %s: %w", dir, err)
	}
	return f, nil
}

func open(dir string, now func() time.Time) (_ *Files, err error) {
	if dir, err = filepath.Abs(dir); err != nil { // the working directory may change
		return nil, err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			root.Close()
		}
	}()
	f := &Files{root: root, now: now}
	made := false
	names := []string{tmpDir}
	for i := range 256 {
		names = append(names, hex.EncodeToString([]byte{byte(i)}))
	}
	for _, name := range names {
		switch err := root.Mkdir(name, dirMode); {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		}
	}
	if made {
		if err := f.syncDir("."); err != nil {
			return nil, err
		}
	}
	return f, f.sweep()
}

// Close releases the directory. Calls under way and later ones end with
// [marketplace.ErrClosed] or another error; contents that are open stay open.
func (f *Files) Close() error {
	if err := f.root.Close(); err != nil {
		return fmt.Errorf("filestore: close: %w", err)
	}
	return nil
}

func wrap(what string, err error) error {
	if errors.Is(err, os.ErrClosed) {
		err = marketplace.ErrClosed
	}
	return fmt.Errorf("filestore: %s: %w", what, err)
}

func place(hash string) string { return hash[:2] + "/" + hash }

// clock is the present as contents have it: in whole milliseconds of UTC.
func (f *Files) clock() time.Time { return f.now().UTC().Truncate(time.Millisecond) }

// Put implements [marketplace.Files]. It costs two syncs for a new content.
// 10 MB take 16 ms on the disk of a virtual machine (620 MB/s).
func (f *Files) Put(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, marketplace.MaxUploadTime)
	defer cancel()
	hash, size, err = f.put(ctx, r, max)
	if err != nil {
		return "", 0, wrap("put", err)
	}
	return hash, size, nil
}

func (f *Files) put(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error) {
	if seeker, ok := r.(io.Seeker); ok {
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			sum := sha256.New()
			size, err := io.Copy(sum, marketplace.LimitUpload(ctx, r, max))
			if err != nil {
				return "", 0, err
			}
			hash := hex.EncodeToString(sum.Sum(nil))
			if there, err := f.touch(hash, size); err != nil || there {
				return hash, size, err
			}
			if _, err := seeker.Seek(start, io.SeekStart); err != nil {
				return "", 0, err
			}
		}
	}
	name := tmpDir + "/" + rand.Text()
	tmp, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", 0, err
	}
	defer func() {
		if err != nil {
			_ = f.root.Remove(name) // the first error says what is wrong; the sweep tries again
		}
	}()
	sum := sha256.New()
	size, err = io.CopyBuffer(io.MultiWriter(tmp, sum), marketplace.LimitUpload(ctx, r, max), make([]byte, 128<<10))
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil { // closed before the rename, as Windows wants it
		return "", 0, err
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	return hash, size, f.publish(name, hash, size)
}

// publish moves an upload that is whole to its place, or removes it when its
// content is there already.
func (f *Files) publish(name, hash string, size int64) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	there, err := f.touchLocked(hash, size)
	if err == nil && there {
		err = f.root.Remove(name)
	} else if err == nil {
		now := f.clock()
		if err = f.root.Chtimes(name, now, now); err == nil {
			err = f.root.Rename(name, place(hash))
		}
	}
	if err := errors.Join(err, unlock()); err != nil {
		return err
	}
	if there {
		return f.settle(hash)
	}
	return f.syncDir(hash[:2])
}

// touch makes a content count as put now, durably. It reports false when it
// is not there.
func (f *Files) touch(hash string, size int64) (there bool, err error) {
	unlock, err := f.lock()
	if err != nil {
		return false, err
	}
	there, err = f.touchLocked(hash, size)
	err = errors.Join(err, unlock())
	if err == nil && there {
		err = f.settle(hash)
	}
	return there, err
}

// settle makes a content and its new time durable when another call has put
// it, which may not have come to that yet.
func (f *Files) settle(hash string) error {
	file, err := f.root.OpenFile(place(hash), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since
	}
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return f.syncDir(hash[:2])
}

// touchLocked does so for the holder of the lock. A content of another size
// is damaged; it counts as not there and is replaced.
func (f *Files) touchLocked(hash string, size int64) (there bool, err error) {
	info, err := f.root.Stat(place(hash))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != size {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := f.clock()
	if now.Before(info.ModTime()) {
		now = info.ModTime() // the clock was set back, or is another machine's
	}
	return true, f.root.Chtimes(place(hash), now, now)
}

// syncDir makes the names in a directory durable. On Windows directories
// cannot be synced; the file system writes its journal itself.
func (f *Files) syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Open implements [marketplace.Files].
func (f *Files) Open(ctx context.Context, hash string) (marketplace.FileContent, error) {
	if err := ctx.Err(); err != nil {
		return nil, wrap("open", err)
	}
	if !marketplace.IsFileHash(hash) {
		return nil, wrap("open", marketplace.ErrNotFound)
	}
	file, err := f.root.Open(place(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrap("open "+hash, marketplace.ErrNotFound)
	}
	if err != nil {
		return nil, wrap("open "+hash, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, wrap("open "+hash, errors.Join(err, file.Close()))
	}
	return &content{File: file, ctx: ctx, size: info.Size()}, nil
}

// content is a file whose reading ends with the context.
type content struct {
	*os.File
	ctx  context.Context
	size int64
}

func (c *content) Size() int64 { return c.size }

func (c *content) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, wrap("read", err)
	}
	return c.File.Read(p)
}

// WriteTo hides the method of the file, which would read past the context.
func (c *content) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// Delete implements [marketplace.Files].
func (f *Files) Delete(ctx context.Context, hash string, before time.Time) error {
	if err := ctx.Err(); err != nil {
		return wrap("delete", err)
	}
	if !marketplace.IsFileHash(hash) {
		return nil
	}
	unlock, err := f.lock()
	if err != nil {
		return wrap("delete "+hash, err)
	}
	info, err := f.root.Stat(place(hash))
	if err == nil && (before.IsZero() || timeOf(info).Before(before)) {
		err = f.root.Remove(place(hash))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, unlock()); err != nil {
		return wrap("delete "+hash, err)
	}
	return nil
}

func timeOf(info fs.FileInfo) time.Time { return info.ModTime().UTC().Truncate(time.Millisecond) }

// List implements [marketplace.Files]. A page reads the names of the
// directories that it covers, each with a 256th of all contents.
func (f *Files) List(ctx context.Context, after string, limit int) ([]marketplace.StoredFile, error) {
	if err := marketplace.CheckFileList(limit); err != nil {
		return nil, wrap("list", err)
	}
	if after == "" {
		if err := f.sweep(); err != nil {
			return nil, wrap("list", err)
		}
	}
	list := []marketplace.StoredFile{}
	for i := range 256 {
		dir := hex.EncodeToString([]byte{byte(i)})
		if dir < after[:min(2, len(after))] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, wrap("list", err)
		}
		entries, err := f.read(dir)
		if err != nil {
			return nil, wrap("list", err)
		}
		for _, e := range entries {
			if e.Name() <= after || !marketplace.IsFileHash(e.Name()) {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted in the meantime
			}
			if err != nil {
				return nil, wrap("list", err)
			}
			list = append(list, marketplace.StoredFile{Hash: e.Name(), Size: info.Size(), At: timeOf(info)})
			if len(list) == limit {
				return list, nil
			}
		}
	}
	return list, nil
}

// read returns the entries of a directory by name.
func (f *Files) read(name string) ([]fs.DirEntry, error) {
	dir, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// sweep removes what crashed uploads have left behind.
func (f *Files) sweep() error {
	entries, err := f.read(tmpDir)
	if err != nil {
		return err
	}
	swept := 0
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && f.now().Sub(info.ModTime()) > marketplace.AbandonedAfter && swept < maxSwept {
			swept++
			err = f.root.Remove(tmpDir + "/" + e.Name())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // its upload ended, or another process sweeps
			return err
		}
	}
	return nil
}
