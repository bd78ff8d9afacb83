package smtpmail

import (
	"context"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"citymarket/marketplace"
)

// MaxFolder is how many mails a Folder keeps.
const MaxFolder = 1000

// A Folder is a [marketplace.Mailer] that writes mails into a directory, each
// as a file that mail programs open. It is for trying the marketplace without
// an SMTP server. One process writes to a directory at a time.
//
// A file is named after when the mail was written and its ID:
// "20260302T083000.123Z-reset_06d2k3.eml". The names sort by time. The files
// can be read by the server's user alone, since mails hold links that let
// somebody in.
type Folder struct {
	dir  string
	from netmail.Address
	keep int
	now  func() time.Time
	mu   sync.Mutex // held while the directory is written to
}

// OpenFolder makes the directory where it is missing. The sender is written
// as in [Config].
func OpenFolder(dir, from string) (*Folder, error) {
	a, err := sender(from)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("smtpmail: %w", err)
	}
	return &Folder{dir: dir, from: a, keep: MaxFolder, now: time.Now}, nil
}

// Send implements [marketplace.Mailer]. A file appears whole or not at all.
// The oldest files go when there are more than MaxFolder; anything else in
// the directory is left alone.
func (f *Folder) Send(ctx context.Context, m marketplace.Mail) error {
	msg, err := message(f.from, m)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now().UTC()
	msg.SetDateWithValue(now)
	file, err := os.CreateTemp(f.dir, "new-*.tmp")
	if err != nil {
		return fmt.Errorf("smtpmail: %w", err)
	}
	_, err = msg.WriteTo(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(f.dir, now.Format("20060102T150405.000Z")+"-"+m.ID+".eml"))
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("smtpmail: %w", err)
	}
	f.tidy()
	return nil
}

// Names that Send gives: a mail's, and that of a file whose writer was
// stopped before it was renamed.
var (
	mailName = regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}Z-.+\.eml$`)
	tempName = regexp.MustCompile(`^new-\d+\.tmp$`)
)

// tidy removes what is too much. The mail was written; that something could
// not be removed is no reason to send it again, and the next one tries anew.
// Reading a directory of 1,000 files takes less than a millisecond.
func (f *Folder) tidy() {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return
	}
	var mails []string
	for _, e := range entries {
		if mailName.MatchString(e.Name()) {
			mails = append(mails, e.Name())
		} else if tempName.MatchString(e.Name()) {
			os.Remove(filepath.Join(f.dir, e.Name()))
		}
	}
	slices.Sort(mails)
	for len(mails) > f.keep {
		os.Remove(filepath.Join(f.dir, mails[0]))
		mails = mails[1:]
	}
}
