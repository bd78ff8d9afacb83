package filestore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock waits for the lock, which is held for as long as a few system calls
// take: it opens the lock file without sharing it, which the operating system
// ends when the process ends in whatever way. The file is never removed.
func (f *Files) lock() (unlock func() error, err error) {
	const sharingViolation = syscall.Errno(32)
	path := filepath.Join(f.root.Name(), lockName)
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for {
		h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
		if err == nil {
			return os.NewFile(uintptr(h), path).Close, nil
		}
		if !errors.Is(err, sharingViolation) {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}
