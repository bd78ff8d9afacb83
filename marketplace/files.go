package marketplace

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Limits of the port Files.
const (
	// MaxUploadTime bounds one Put. A slower upload ends with an error.
	MaxUploadTime = time.Hour
	// AbandonedAfter is the age from which what a crashed Put has left
	// behind is swept. It is much longer than a Put can take, since the
	// clocks of machines differ.
	AbandonedAfter = 24 * time.Hour
)

// Files keeps contents: the bytes of pictures and documents, without names or
// types, under the SHA-256 of what they hold, in 64 lower-case hexadecimal
// digits. So a content never changes, and the same one is kept once. Its
// meaning is defined by the suite in storetest.
//
// All methods are safe for concurrent use, also by several processes on the
// same data, and obey their context. A content is seen whole or not at all,
// whenever a process or machine stops. What is not a hash names nothing.
//
// Who refers to a content is not known here. A collector finds orphans: it
// lists what there is, leaves what something refers to, and deletes the rest
// if its last Put was long enough ago, so that an upload whose referring
// document is still to be written is not taken away.
type Files interface {
	// Put reads r to its end and keeps what it held; it returns the hash and
	// the size in bytes. The content is durable when Put returns. When it is
	// there already it is not written again, but counts as put now. A reader
	// that can seek is read twice, from where it stands, which makes that
	// cheap also over a network.
	//
	// More than max bytes are refused with ErrLimit, and nothing is kept.
	// An error of r is returned wrapped. After other errors the content may
	// be there or not; it is safe to put it again.
	Put(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error)

	// Open returns the content, or ErrNotFound. The context is also that of
	// the reading. The caller closes it.
	Open(ctx context.Context, hash string) (FileContent, error)

	// Delete removes the content if its last Put was before the given time,
	// so that an orphan that is put again at the same moment stays. The zero
	// time removes it whatever its age. What is not there, or newer, is no
	// error. Readers that have the content open read it to its end or get an
	// error, never something else.
	Delete(ctx context.Context, hash string, before time.Time) error

	// List returns the contents whose hash comes after the given one, in
	// ascending order, at most limit (1 to MaxPage, else ErrLimit). The first
	// page is after the empty string; it also sweeps what crashed uploads
	// have left behind.
	List(ctx context.Context, after string, limit int) ([]StoredFile, error)
}

// FileContent is an open content. It is for one goroutine at a time.
type FileContent interface {
	io.ReadSeekCloser
	Size() int64 // bytes
}

// A StoredFile is what List says of a content.
type StoredFile struct {
	Hash string
	Size int64     // bytes
	At   time.Time // of the last Put, in UTC, in whole milliseconds, by the clock of whoever keeps it
}

// IsFileHash says whether a string can be the hash of a content: 64
// lower-case hexadecimal digits. Adapters look nothing else up.
func IsFileHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// CheckFileList says whether a page of List respects the port's limits.
// Adapters call it first.
func CheckFileList(limit int) error {
	if limit < 1 || limit > MaxPage {
		return fmt.Errorf("page of %d contents (1 to %d): %w", limit, MaxPage, ErrLimit)
	}
	return nil
}

// LimitUpload returns a reader that ends with an error once r has given more
// than max bytes (it wraps ErrLimit) or the context has ended. Adapters read
// uploads through it.
func LimitUpload(ctx context.Context, r io.Reader, max int64) io.Reader {
	return &uploadReader{ctx: ctx, r: r, max: max, left: max}
}

type uploadReader struct {
	ctx       context.Context
	r         io.Reader
	max, left int64
}

func (u *uploadReader) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	// One byte more than is left shows that there is more.
	if int64(len(p))-1 > u.left {
		p = p[:u.left+1]
	}
	n, err := u.r.Read(p)
	if int64(n) > u.left {
		return 0, fmt.Errorf("more than %d bytes: %w", u.max, ErrLimit)
	}
	u.left -= int64(n)
	return n, err
}
