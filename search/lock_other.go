//go:build !unix

package search

// lock does nothing where there is no flock: bleve's own lock, which Open
// waits for no longer than boltTimeout, must do.
func lock(string) (unlock func() error, err error) { return func() error { return nil }, nil }
