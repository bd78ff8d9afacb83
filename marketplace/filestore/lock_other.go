//go:build !windows

package filestore

import (
	"errors"
	"os"
	"syscall"
)

// lock waits for the lock, which is held for as long as a few system calls
// take, and returns what gives it back. The operating system does so when the
// process ends in whatever way. Each call opens the file anew, so it also
// keeps goroutines apart. The file is never removed: whoever removed it could
// take away the lock of a process that has just opened it.
func (f *Files) lock() (unlock func() error, err error) {
	file, err := f.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}
