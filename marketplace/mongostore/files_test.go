package mongostore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore/internal/fakemongo"
	"citymarket/marketplace/storetest"
)

// filesOpener opens files in databases of their own on a server.
func filesOpener(uri func(database string) string) storetest.FilesOpener {
	var places sync.Map // *Files -> uri
	openAt := func(t testing.TB, uri string) marketplace.Files {
		t.Helper()
		s, err := Open(t.Context(), uri, schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		f := filesOf(t, s)
		places.Store(f, uri)
		return f
	}
	at := func(f marketplace.Files) string {
		uri, _ := places.Load(f)
		return uri.(string)
	}
	return storetest.FilesOpener{
		Open: func(t testing.TB) marketplace.Files {
			uri := uri("test_" + strings.ToLower(rand.Text()[:12]))
			t.Cleanup(func() { dropDatabase(t, uri) })
			return openAt(t, uri)
		},
		Reopen: func(t testing.TB, f marketplace.Files) marketplace.Files {
			if err := f.(*Files).s.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, at(f))
		},
		Second: func(t testing.TB, f marketplace.Files) marketplace.Files { return openAt(t, at(f)) },
	}
}

func filesOf(t testing.TB, s *Store) *Files {
	t.Helper()
	f, err := s.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesFakeReplicaSet(t *testing.T) {
	storetest.RunFiles(t, filesOpener(fakemongo.Start(t).URI))
}

func TestFilesFakeStandalone(t *testing.T) {
	storetest.RunFiles(t, filesOpener(fakemongo.StartStandalone(t).URI))
}

func TestFilesRealServer(t *testing.T) {
	storetest.RunFiles(t, filesOpener(realServer(t)))
}

// left counts the documents of both collections.
func left(t testing.TB, f *Files) (files, chunks int64) {
	t.Helper()
	var n [2]int64
	for i, coll := range []string{filesName, chunksName} {
		cursor, err := f.s.db.Collection(coll).Find(t.Context(), bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		var docs []bson.D
		if err := cursor.All(t.Context(), &docs); err != nil {
			t.Fatal(err)
		}
		n[i] = int64(len(docs))
	}
	return n[0], n[1]
}

func wantLeft(t testing.TB, f *Files, when string, files, chunks int64) {
	t.Helper()
	if a, b := left(t, f); a != files || b != chunks {
		t.Errorf("%s: %d files and %d chunks are stored, want %d and %d", when, a, b, files, chunks)
	}
}

// A refused or broken upload leaves nothing in the database, nor does a
// content that was deleted, and one that is put again is there once.
func TestFilesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	f := filesOf(t, open(t, fakemongo.Start(t)))
	big := make([]byte, 2*chunkSize+1)
	_, _, _ = f.Put(t.Context(), bytes.NewBuffer(big), 2*chunkSize)
	_, _, _ = f.Put(t.Context(), io.MultiReader(bytes.NewReader(big), strings.NewReader("x")), 2*chunkSize+1)
	wantLeft(t, f, "after refusals", 0, 0)
	var hash string
	for range 3 {
		var err error
		if hash, _, err = f.Put(t.Context(), bytes.NewBuffer(big), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	wantLeft(t, f, "after three times the same", 1, 3)
	if err := f.Delete(t.Context(), hash, time.Time{}); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, f, "after deletion", 0, 0)
}

// Putting what is there is one round trip when the reader can seek.
func TestFilesPutAgainIsFree(t *testing.T) {
	t.Parallel()
	fake := fakemongo.Start(t)
	f := filesOf(t, open(t, fake))
	big := make([]byte, 5*chunkSize)
	for i := range 2 {
		inserts, updates := fake.Count("insert"), fake.Count("update")
		if _, _, err := f.Put(t.Context(), bytes.NewReader(big), 1<<30); err != nil {
			t.Fatal(err)
		}
		inserts, updates = fake.Count("insert")-inserts, fake.Count("update")-updates
		if i == 1 && (inserts != 0 || updates != 1) {
			t.Errorf("%d inserts and %d updates for what is there", inserts, updates)
		}
	}
}

// Wherever an upload or a removal breaks off, contents are whole or not
// there, and the sweep a day later leaves nothing else behind.
func TestFilesBreakOff(t *testing.T) {
	t.Parallel()
	content := make([]byte, chunkSize+1)
	for _, command := range []string{"update", "insert", "delete", "find"} {
		for what, action := range map[string]fakemongo.Action{"before": fakemongo.HangUpBefore, "after": fakemongo.HangUpAfter, "unconfirmed": fakemongo.Unconfirmed} {
			for skip := range 3 {
				if command == "find" && what == "unconfirmed" {
					continue
				}
				t.Run(command+" "+what, func(t *testing.T) {
					t.Parallel()
					fake := fakemongo.StartStandalone(t) // a replica set would mend it by itself
					f := filesOf(t, open(t, fake))
					script := func() {
						for range skip {
							fake.Script(command, fakemongo.Pass)
						}
						fake.Script(command, action, action)
					}
					script()
					hash, _, err := f.Put(t.Context(), bytes.NewBuffer(content), 1<<30)
					if err != nil && !errors.Is(err, marketplace.ErrUnavailable) {
						t.Errorf("put: %v", err)
					}
					eventually(t, "a whole content", func() bool {
						hash, _, err = f.Put(t.Context(), bytes.NewBuffer(content), 1<<30)
						return err == nil
					})
					script()
					if err := f.Delete(t.Context(), hash, time.Time{}); err != nil && !errors.Is(err, marketplace.ErrUnavailable) {
						t.Errorf("delete: %v", err)
					}
					eventually(t, "a look", func() bool {
						c, err := f.Open(t.Context(), hash)
						if errors.Is(err, marketplace.ErrNotFound) {
							return true
						}
						if err != nil {
							return false
						}
						got, err := io.ReadAll(c)
						return err == nil && bytes.Equal(got, content)
					})
					eventually(t, "the deletion", func() bool { return f.Delete(t.Context(), hash, time.Time{}) == nil })
					f.now = func() time.Time { return time.Now().Add(marketplace.AbandonedAfter + time.Hour) }
					eventually(t, "the sweep", func() bool { _, err := f.List(t.Context(), "", 10); return err == nil })
					wantLeft(t, f, "after the sweep", 0, 0)
				})
			}
		}
	}
}

// The sweep leaves alone what may be under way; an upload that it did take
// does not come to light afterwards.
func TestFilesSweep(t *testing.T) {
	t.Parallel()
	f := filesOf(t, open(t, fakemongo.Start(t)))
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := f.Put(t.Context(), r, 1<<30)
		done <- err
	}()
	if _, err := w.Write(make([]byte, chunkSize+1)); err != nil { // its second piece is taken when the first chunk is written
		t.Fatal(err)
	}
	list := func(after time.Duration) {
		f.now = func() time.Time { return time.Now().Add(after) }
		if got, err := f.List(t.Context(), "", 10); err != nil || len(got) != 0 {
			t.Errorf("list: %v, %v", got, err)
		}
	}
	list(marketplace.MaxUploadTime)
	wantLeft(t, f, "while it is under way", 1, 1)
	list(marketplace.AbandonedAfter + time.Minute)
	wantLeft(t, f, "after the sweep", 0, 0)
	w.Close()
	if err := <-done; err == nil {
		t.Error("an upload that was swept has succeeded")
	}
	list(0)
	wantLeft(t, f, "after the end of the upload", 0, 0)
}

// The feed does not mind that contents change beside it.
func TestFeedIgnoresFiles(t *testing.T) {
	t.Parallel()
	s := open(t, fakemongo.Start(t))
	f := filesOf(t, s)
	put(t, s, "a", 0)
	read := func(after marketplace.Cursor) marketplace.Feed {
		feed, err := s.Changes(t.Context(), marketplace.FeedQuery{After: after, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return feed
	}
	next := read("").Next
	hash, _, err := f.Put(t.Context(), strings.NewReader("content"), 100)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "b", 0)
	if err := f.Delete(t.Context(), hash, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 4 {
		feed := read(next)
		for _, c := range feed.Changes {
			ids = append(ids, c.ID)
		}
		next = feed.Next
	}
	if !strings.Contains(strings.Join(ids, " "), "b") || strings.Contains(strings.Join(ids, " "), "/") {
		t.Errorf("changes: %q", ids)
	}
}

// After the store is closed, its files say so.
func TestFilesClosed(t *testing.T) {
	t.Parallel()
	s := open(t, fakemongo.Start(t))
	f := filesOf(t, s)
	hash, _, err := f.Put(t.Context(), strings.NewReader("content"), 100)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err = c.Read(make([]byte, 1))
	_, _, putErr := f.Put(t.Context(), strings.NewReader("more"), 100)
	for _, err := range []error{err, putErr, f.Delete(t.Context(), hash, time.Time{})} {
		if !errors.Is(err, marketplace.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
