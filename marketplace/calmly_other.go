//go:build !linux

package marketplace

// calmly does something that takes long. Threads have no priority of their own here.
func calmly(do func()) { do() }
