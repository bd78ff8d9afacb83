//go:build !windows

package sqlitestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the lock file, which the operating system releases when the
// process ends in whatever way. The file is never removed: whoever removed it
// could take away the lock of a process that has just opened it.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}
