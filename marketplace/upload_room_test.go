package marketplace_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	. "citymarket/marketplace"
)

// A subject has at most 100 uploads, a member 5,000 and 2 GiB of different
// contents; a user sends 4 at once and so many an hour.
func TestRoomForUploads(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, attached, _ := s.drafted(t, "kerb")
	put := func(from, to int, change func(i int, u *Upload)) {
		var all sync.WaitGroup
		for i := from; i < to; i++ {
			all.Go(func() {
				u := *attached
				u.Meta = Meta{ID: ID(fmt.Sprintf("upload_%08d", i)), CreatedAt: attached.CreatedAt}
				u.Subject, u.DueAt = "solution_other", nil
				change(i, &u)
				if _, err := s.store.Put(t.Context(), Write{Kind: KindUpload, ID: string(u.ID), Value: u}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	send := func() string {
		_, err := s.Upload(as(acme), solution, "a.txt", unreadIfFull{})
		return firstProblem(err)
	}
	put(0, 97, func(_ int, u *Upload) { u.Subject = solution })
	if got := send(); got != "file REQUIRED" {
		t.Errorf("the 100th: %s", got)
	}
	put(97, 98, func(_ int, u *Upload) { u.Subject = solution })
	if got := send(); got != "for TOO_MANY" {
		t.Errorf("the 101st: %s", got)
	}
	put(98, 99, func(_ int, u *Upload) { u.Hash, u.Size = "large", 2<<30-1000 })
	other := draft("other")
	must(t, s.AddSolution(as(acme), other))
	solution = other.ID
	if got := send(); got != "file REQUIRED" {
		t.Errorf("copies count: %s", got)
	}
	if _, err := s.send(acme, solution, "a.txt", bytes.Repeat([]byte("a"), 2000)); firstProblem(err) != "for TOO_MANY" {
		t.Errorf("the last bytes: %v", err)
	}
	put(99, 100, func(_ int, u *Upload) { u.Hash, u.Size = "more", 2000 })
	if got := send(); got != "for TOO_MANY" {
		t.Errorf("more than 2 GiB: %s", got)
	}
	theirs := draft("theirs")
	theirs.Company = "company_rival"
	must(t, s.AddSolution(as(rival), theirs))
	solution = theirs.ID
	put(100, 5098, func(_ int, u *Upload) { u.Member, u.Hash = "company_rival", "one" })
	began := time.Now()
	if _, err := s.send(rival, solution, "a.txt", []byte("the 5,000th but one")); err != nil {
		t.Error(err)
	}
	t.Logf("an upload beside 4,998 others took %s", time.Since(began))
	put(5098, 5099, func(_ int, u *Upload) { u.Member = "company_rival" })
	if _, err := s.send(rival, solution, "a.txt", []byte("the 5,001st")); firstProblem(err) != "for TOO_MANY" {
		t.Errorf("more than 5,000: %v", err)
	}
}

// unreadIfFull is an empty body.
type unreadIfFull struct{}

func (unreadIfFull) Read([]byte) (int, error) { return 0, io.EOF }

func TestUploadsAreLimited(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, _, _ := s.drafted(t, "kerb")
	now := time.Now()
	s.SetClock(func() time.Time { return now })
	// Four of one user wait for their bodies; a fifth is refused, another user's is not.
	var all sync.WaitGroup
	var bodies []*io.PipeWriter
	for range 4 {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		all.Go(func() { s.Upload(as(acme), solution, "a.txt", r) })
		w.Write([]byte("a"))
	}
	if _, err := s.Upload(as(acme), solution, "a.txt", unread{t}); !errors.Is(err, ErrRateLimited) {
		t.Errorf("the fifth at once: %v", err)
	}
	if _, err := s.send(secretariat, solution, "a.txt", []byte("of somebody else")); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
	for _, w := range bodies {
		w.CloseWithError(io.ErrUnexpectedEOF)
	}
	all.Wait()
	for i := range 300 {
		_, err := s.Upload(as(acme), solution, "a.txt", unreadIfFull{})
		if firstProblem(err) == "file REQUIRED" {
			continue
		}
		if limited := (*RateLimitedError)(nil); !errors.As(err, &limited) || i < 150 || limited.Seconds() > 20 {
			t.Errorf("after %d: %v", i, err)
		}
		return
	}
	t.Error("there is no end to it")
}

// Where there is no place for files, it is said before anything is read.
func TestWithoutFiles(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	d := draft("kerb")
	must(t, m.AddSolution(as(acme), d))
	if _, err := m.Upload(as(acme), d.ID, "a.txt", unread{t}); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}
