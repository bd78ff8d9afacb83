package sqlitestore

import (
	"path/filepath"
	"sync"
	"testing"

	"citymarket/marketplace"
	"citymarket/marketplace/storetest"
)

func open(t testing.TB, path string, schema marketplace.Schema) *Store {
	t.Helper()
	s, err := Open(path, schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	var paths sync.Map
	openAt := func(t testing.TB, path string, schema marketplace.Schema) marketplace.Store {
		s := open(t, path, schema)
		paths.Store(s, path)
		return s
	}
	storetest.Run(t, storetest.Opener{
		Open: func(t testing.TB, schema marketplace.Schema) marketplace.Store {
			return openAt(t, filepath.Join(t.TempDir(), "city market?%20.db"), schema)
		},
		Reopen: func(t testing.TB, s marketplace.Store, schema marketplace.Schema) marketplace.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path, _ := paths.Load(s)
			return openAt(t, path.(string), schema)
		},
		Cannot: map[string]string{
			"Processes/Claims":        "the file is locked by one process",
			"Processes/NoEditIsLost":  "the file is locked by one process",
			"Processes/NoneSkipped":   "the file is locked by one process",
			"Processes/WaitEndsEarly": "the file is locked by one process",
		},
	})
}
