package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"citymarket/marketplace"
)

// A FilesOpener makes the [marketplace.Files] that the suite works on, under
// the rules of [Opener].
type FilesOpener struct {
	// Open returns files that are empty and share nothing with others.
	Open func(t testing.TB) marketplace.Files
	// Reopen closes the files and opens the same data again.
	Reopen func(t testing.TB, f marketplace.Files) marketplace.Files
	// Second returns another handle on the data of files that stay open, as
	// another process would have it.
	Second func(t testing.TB, f marketplace.Files) marketplace.Files
	// Cannot names the tests that do not apply, each with the reason.
	Cannot map[string]string
}

type filesTest struct {
	name string
	run  func(t *testing.T, o FilesOpener)
}

var filesTests = []filesTest{
	{"Files/RoundTrip", testFilesRoundTrip},
	{"Files/NotFound", testFilesNotFound},
	{"Files/Limit", testFilesLimit},
	{"Files/BrokenUpload", testFilesBroken},
	{"Files/NeverHalf", testFilesNeverHalf},
	{"Files/Seek", testFilesSeek},
	{"Files/PutAgain", testFilesPutAgain},
	{"Files/PutFromWhereItStands", testFilesPutPart},
	{"Files/Delete", testFilesDelete},
	{"Files/DeleteWhileReading", testFilesDeleteWhileReading},
	{"Files/List", testFilesList},
	{"Files/Context", testFilesContext},
	{"Files/SameAtOnce", testFilesSameAtOnce},
	{"Files/OrphanPutAgain", testFilesOrphan},
	{"Files/Reopen", testFilesReopen},
}

// RunFiles runs the suite that defines [marketplace.Files]: every test as a
// parallel subtest on files of its own.
func RunFiles(t *testing.T, o FilesOpener) {
	for name := range o.Cannot {
		if !slices.ContainsFunc(filesTests, func(c filesTest) bool { return c.name == name }) {
			t.Errorf("Cannot names %q, which is not a test", name)
		}
	}
	for _, c := range filesTests {
		t.Run(c.name, func(t *testing.T) {
			if why, ok := o.Cannot[c.name]; ok {
				t.Skipf("%s: not with this adapter: %s", c.name, why)
			}
			t.Parallel()
			c.run(t, o)
		})
	}
}

const mib = 1 << 20

// noise returns n bytes that are the same for the same n.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unseekable hides that a reader can seek.
func unseekable(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

func putFile(t testing.TB, f marketplace.Files, b []byte) string {
	t.Helper()
	hash, size, err := f.Put(t.Context(), unseekable(b), int64(len(b)))
	if err != nil || hash != hashOf(b) || size != int64(len(b)) {
		t.Fatalf("put %d bytes: %q, %d, %v; want %s", len(b), hash, size, err, hashOf(b))
	}
	return hash
}

func wantFile(t testing.TB, f marketplace.Files, b []byte) {
	t.Helper()
	c, err := f.Open(t.Context(), hashOf(b))
	if err != nil {
		t.Fatalf("open %d bytes: %v", len(b), err)
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, b) || c.Size() != int64(len(b)) {
		t.Fatalf("%d bytes came back as %d of %d (%v), equal: %t", len(b), len(got), c.Size(), err, bytes.Equal(got, b))
	}
}

func wantNoFile(t testing.TB, f marketplace.Files, hash string) {
	t.Helper()
	_, err := f.Open(t.Context(), hash)
	wantErr(t, err, marketplace.ErrNotFound, "open %q", hash)
}

// listFiles follows the pages to the end.
func listFiles(t testing.TB, f marketplace.Files, page int) []marketplace.StoredFile {
	t.Helper()
	var all []marketplace.StoredFile
	after := ""
	for {
		list, err := f.List(t.Context(), after, page)
		if err != nil || len(list) > page {
			t.Fatalf("list after %q: %d of %d, %v", after, len(list), page, err)
		}
		all = append(all, list...)
		if len(list) < page {
			return all
		}
		after = list[len(list)-1].Hash
	}
}

func onlyFile(t testing.TB, f marketplace.Files) marketplace.StoredFile {
	t.Helper()
	all := listFiles(t, f, 10)
	if len(all) != 1 {
		t.Fatalf("%d contents, want 1", len(all))
	}
	return all[0]
}

func testFilesRoundTrip(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	if hash, size, err := f.Put(t.Context(), strings.NewReader("abc"), 3); hash != abc || size != 3 || err != nil {
		t.Fatalf("put abc: %q, %d, %v", hash, size, err)
	}
	wantFile(t, f, []byte("abc"))
	for _, n := range []int{0, 1, 1000, 255<<10 + 1, mib - 1, mib, mib + 1, 2*mib + 17} {
		b := noise(n)
		putFile(t, f, b)
		wantFile(t, f, b)
	}
	b := noise(mib + 99)
	if _, _, err := f.Put(t.Context(), iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(b))), mib+99); err != nil {
		t.Fatal(err)
	}
	wantFile(t, f, b)
}

func testFilesNotFound(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	hash := putFile(t, f, []byte("there"))
	for _, name := range []string{
		"", ".", "..", "/", "a", hash[:63], hash + "0", strings.ToUpper(hash), " " + hash[1:], "../" + hash[3:], hash[:2] + "/" + hash[3:],
		strings.Repeat("g", 64), strings.Repeat("0", 64), "\x00" + hash[1:], strings.Repeat(".", 64),
	} {
		wantNoFile(t, f, name)
		if err := f.Delete(t.Context(), name, time.Time{}); err != nil {
			t.Errorf("delete %q, which is not there: %v", name, err)
		}
	}
	wantFile(t, f, []byte("there"))
}

func testFilesLimit(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	for _, n := range []int{1, 1000, 2*mib + 1} {
		b := noise(n)
		for _, max := range []int64{0, int64(n) - 1} {
			for what, r := range map[string]io.Reader{"a reader": unseekable(b), "a seeker": bytes.NewReader(b), "single bytes": iotest.OneByteReader(bytes.NewReader(b[:min(n, 1000)]))} {
				hash, size, err := f.Put(t.Context(), r, min(max, 999))
				wantErr(t, err, marketplace.ErrLimit, "put %d bytes of %s, at most %d", n, what, max)
				if hash != "" || size != 0 {
					t.Errorf("a refused put returned %q, %d", hash, size)
				}
			}
		}
		wantNoFile(t, f, hashOf(b))
	}
	if all := listFiles(t, f, 10); len(all) != 0 {
		t.Errorf("refused contents are listed: %v", all)
	}
	b := noise(1000)
	if _, _, err := f.Put(t.Context(), iotest.OneByteReader(bytes.NewReader(b)), 1000); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	wantFile(t, f, b)
}

func testFilesBroken(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	broken := errors.New("the sender hung up")
	for _, n := range []int{0, 10, mib, mib + 7} {
		for _, broken := range []error{broken, io.ErrUnexpectedEOF, io.ErrClosedPipe} {
			b := noise(n)
			_, _, err := f.Put(t.Context(), io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), 10*mib)
			wantErr(t, err, broken, "put of a reader that breaks after %d bytes", n)
			wantNoFile(t, f, hashOf(b))
		}
	}
	if all := listFiles(t, f, 10); len(all) != 0 {
		t.Errorf("broken uploads are listed: %v", all)
	}
	b := noise(mib + 7)
	putFile(t, f, b)
	wantFile(t, f, b)
}

func testFilesNeverHalf(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	second := o.Second(t, f)
	b := noise(2*mib + 5)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := f.Put(t.Context(), r, 10*mib)
		done <- err
	}()
	for _, part := range [][]byte{b[:mib], b[mib:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		for _, h := range []marketplace.Files{f, second} {
			wantNoFile(t, h, hashOf(b))
			if all := listFiles(t, h, 10); len(all) != 0 {
				t.Errorf("half an upload is listed: %v", all)
			}
		}
	}
	w.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-soon(t).Done():
		t.Fatal("put does not end")
	}
	wantFile(t, second, b)
}

func testFilesSeek(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b := noise(2*mib + 4321)
	hash := putFile(t, f, b)
	c, err := f.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The same is done to a bytes.Reader.
	model := bytes.NewReader(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		offset, whence := rnd.Int64N(3*mib), io.SeekStart
		switch rnd.IntN(3) {
		case 0:
			offset, whence = -rnd.Int64N(int64(len(b))+1), io.SeekEnd
		case 1:
			offset, whence = rnd.Int64N(mib)-mib/2, io.SeekCurrent
		}
		want, wantErr := model.Seek(offset, whence)
		got, err := c.Seek(offset, whence)
		if (err != nil) != (wantErr != nil) || err == nil && got != want {
			t.Fatalf("seek %d from %d: %d, %v; want %d, %v", offset, whence, got, err, want, wantErr)
		}
		n := rnd.IntN(100_000)
		have, wanted := make([]byte, n), make([]byte, n)
		hn, herr := io.ReadFull(c, have)
		wn, werr := io.ReadFull(model, wanted)
		if hn != wn || herr != werr || !bytes.Equal(have[:hn], wanted[:wn]) {
			t.Fatalf("read %d at %d: %d, %v; want %d, %v", n, got, hn, herr, wn, werr)
		}
	}
	if _, err := c.Seek(-1, io.SeekStart); err == nil {
		t.Error("a negative place was accepted")
	}
}

func testFilesPutAgain(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b := noise(mib + 3)
	putFile(t, f, b)
	first := onlyFile(t, f)
	for what, r := range map[string]func() io.Reader{"a reader": func() io.Reader { return unseekable(b) }, "a seeker": func() io.Reader { return bytes.NewReader(b) }} {
		// Times are as fine as the clock of whoever keeps them.
		for deadline := soon(t); ; {
			hash, size, err := f.Put(t.Context(), r(), int64(len(b)))
			if err != nil || hash != first.Hash || size != first.Size {
				t.Fatalf("put again from %s: %q, %d, %v", what, hash, size, err)
			}
			again := onlyFile(t, f)
			if again.At.Before(first.At) || again.Size != first.Size {
				t.Fatalf("after putting again: %+v, before: %+v", again, first)
			}
			if again.At.After(first.At) {
				first = again
				break
			}
			if deadline.Err() != nil {
				t.Fatalf("putting again from %s does not count as new", what)
			}
		}
	}
	wantFile(t, f, b)
}

// A reader that can seek is read from where it stands, not from its beginning.
func testFilesPutPart(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b := noise(5000)
	for range 2 {
		r := bytes.NewReader(b)
		if _, err := r.Seek(1234, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		hash, size, err := f.Put(t.Context(), r, 5000)
		if err != nil || hash != hashOf(b[1234:]) || size != 5000-1234 || r.Len() != 0 {
			t.Fatalf("put: %q, %d, %v; %d bytes were not read", hash, size, err, r.Len())
		}
		wantFile(t, f, b[1234:])
	}
	onlyFile(t, f)
}

func testFilesDelete(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b, other := noise(mib+9), noise(77)
	for range 2 { // what was deleted can be put again
		hash := putFile(t, f, b)
		putFile(t, f, other)
		if err := f.Delete(t.Context(), hash, time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantNoFile(t, f, hash)
		if got := onlyFile(t, f); got.Hash != hashOf(other) {
			t.Fatalf("%s is left", got.Hash)
		}
		if err := f.Delete(t.Context(), hash, time.Time{}); err != nil {
			t.Errorf("delete what is not there any more: %v", err)
		}
	}
	wantFile(t, f, other)

	at := onlyFile(t, f).At
	for _, before := range []time.Time{at, at.Add(-time.Hour)} {
		if err := f.Delete(t.Context(), hashOf(other), before); err != nil {
			t.Fatal(err)
		}
		wantFile(t, f, other)
	}
	if err := f.Delete(t.Context(), hashOf(other), at.Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	wantNoFile(t, f, hashOf(other))
}

func testFilesDeleteWhileReading(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b := noise(3*mib + 1)
	c, err := f.Open(t.Context(), putFile(t, f, b))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := make([]byte, 10)
	if _, err := io.ReadFull(c, start); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(t.Context(), hashOf(b), time.Time{}); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(c)
	if got := append(start, rest...); err == nil && !bytes.Equal(got, b) || !bytes.HasPrefix(b, got) {
		t.Errorf("a content that was deleted meanwhile reads as %d other bytes without an error", len(got))
	}
}

func testFilesList(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	if list := listFiles(t, f, 3); len(list) != 0 {
		t.Fatalf("empty files list %v", list)
	}
	for _, limit := range []int{0, -1, marketplace.MaxPage + 1} {
		_, err := f.List(t.Context(), "", limit)
		wantErr(t, err, marketplace.ErrLimit, "a page of %d", limit)
	}
	var hashes []string
	sizes := map[string]int64{}
	for i := range 25 {
		b := fmt.Appendf(nil, "content %*d", i, i)
		hash := putFile(t, f, b)
		hashes = append(hashes, hash)
		sizes[hash] = int64(len(b))
	}
	slices.Sort(hashes)
	for _, page := range []int{1, 4, 25, 26, marketplace.MaxPage} {
		var got []string
		for _, s := range listFiles(t, f, page) {
			got = append(got, s.Hash)
			if s.Size != sizes[s.Hash] || s.At.IsZero() || s.At.Location() != time.UTC || s.At.Nanosecond()%1e6 != 0 {
				t.Errorf("listed: %+v, size should be %d", s, sizes[s.Hash])
			}
		}
		if !slices.Equal(got, hashes) {
			t.Fatalf("pages of %d: %q, want %q", page, got, hashes)
		}
	}
	// Any string is a place in the order.
	for _, after := range []string{"0", "8", "80", "~", "F", "/", hashes[11][:10], hashes[11] + "0"} {
		list, err := f.List(t.Context(), after, marketplace.MaxPage)
		if err != nil {
			t.Fatalf("list after %q: %v", after, err)
		}
		want := slices.Clone(hashes)
		want = slices.DeleteFunc(want, func(h string) bool { return h <= after })
		if len(list) != len(want) || len(want) > 0 && list[0].Hash != want[0] {
			t.Errorf("after %q: %d contents, want %d", after, len(list), len(want))
		}
	}
}

func testFilesContext(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b := noise(2*mib + 1)
	hash := putFile(t, f, b)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := f.Open(ctx, hash)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if _, err := io.ReadAll(c); !errors.Is(err, context.Canceled) {
		t.Errorf("reading past the end of its context: %v", err)
	}
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, context.Canceled) {
		t.Errorf("copying past the end of its context: %v", err)
	}
	_, _, err = f.Put(ctx, strings.NewReader("late"), 10)
	wantErr(t, err, context.Canceled, "put")
	_, err = f.Open(ctx, hash)
	wantErr(t, err, context.Canceled, "open")
	_, err = f.List(ctx, "", 10)
	wantErr(t, err, context.Canceled, "list")
	wantErr(t, f.Delete(ctx, hash, time.Time{}), context.Canceled, "delete")
	if got := onlyFile(t, f); got.Hash != hash {
		t.Errorf("%s is there, want %s", got.Hash, hash)
	}

	// A context that ends under way ends the upload at its next piece.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	pieces := 0
	_, _, err = f.Put(ctx, readerFunc(func(p []byte) (int, error) {
		if pieces++; pieces == 5 {
			cancel()
		}
		return len(p), nil
	}), 1<<40)
	wantErr(t, err, context.Canceled, "put whose context ends")
	onlyFile(t, f)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testFilesSameAtOnce(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	handles := []marketplace.Files{f, o.Second(t, f)}
	b := noise(mib + 33)
	together(8, func(i int) {
		r := unseekable(b)
		if i%3 == 0 {
			r = bytes.NewReader(b)
		}
		hash, size, err := handles[i%2].Put(t.Context(), r, int64(len(b)))
		if err != nil || hash != hashOf(b) || size != int64(len(b)) {
			t.Errorf("put: %q, %d, %v", hash, size, err)
		}
	})
	for _, h := range handles {
		onlyFile(t, h)
		wantFile(t, h, b)
	}
}

// While one process deletes what it takes for an orphan, another puts it
// again: what was put afterwards stays, and is whole.
func testFilesOrphan(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	collector := o.Second(t, f)
	b := noise(mib + 44)
	for round := range 15 {
		putFile(t, f, b)
		at := onlyFile(t, collector).At.Add(time.Millisecond)
		together(2, func(i int) {
			if i == 0 {
				if err := collector.Delete(t.Context(), hashOf(b), at); err != nil {
					t.Errorf("delete: %v", err)
				}
				return
			}
			r := unseekable(b)
			if round%2 == 0 {
				r = bytes.NewReader(b)
			}
			if _, _, err := f.Put(t.Context(), r, int64(len(b))); err != nil {
				t.Errorf("put: %v", err)
			}
		})
		// Only a put in the same millisecond may have been deleted.
		all := listFiles(t, f, 10)
		if len(all) > 0 {
			wantFile(t, f, b)
		}
		if t.Failed() {
			return
		}
	}
	putFile(t, f, b)
	wantFile(t, collector, b)
}

func testFilesReopen(t *testing.T, o FilesOpener) {
	f := o.Open(t)
	b, c := noise(mib+1), noise(0)
	putFile(t, f, b)
	putFile(t, f, c)
	before := listFiles(t, f, 10)
	f = o.Reopen(t, f)
	if after := listFiles(t, f, 10); !slices.Equal(before, after) {
		t.Errorf("before: %v, after: %v", before, after)
	}
	wantFile(t, f, b)
	wantFile(t, f, c)
}
