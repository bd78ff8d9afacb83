package marketplace

import (
	"runtime"
	"syscall"
)

// niceness of threads that calculate for long, 0 being that of all others.
const niceness = 15

// calmly does something on a thread of its own that leaves the processor to
// others. The thread ends with it.
func calmly(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that nothing else runs on it
		// Where it may not be made nicer it is as it was.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness)
		do()
	}()
	<-done
}
