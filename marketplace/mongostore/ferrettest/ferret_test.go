package ferrettest

import (
	"context"
	"crypto/rand"
	"flag"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/FerretDB/FerretDB/ferretdb"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore"
	"citymarket/marketplace/storetest"
)

const (
	claims     = "FerretDB accepts a unique index on an array and enforces it for the array as a whole, not for its elements"
	updates    = "FerretDB's updates are not atomic: of two at once that compare the same revision both can succeed"
	duplicates = "FerretDB reports an update that a unique index forbids as an internal error"
	arrays     = "FerretDB does not store arrays in arrays"
)

// cannot names what FerretDB cannot do. Nothing of it is the adapter's doing:
// the same tests pass on the wire-level fake. The feed is read by poll, as
// FerretDB has no change streams.
var cannot = map[string]string{
	"Claims/Taken":             claims,
	"Claims/Released":          claims,
	"Claims/Exact":             claims,
	"Claims/HundredAtOnce":     claims,
	"Claims/Swap":              claims,
	"Processes/Claims":         claims,
	"Context/EndsWhileWriting": claims,
	"Reopen/KeepsEverything":   claims,
	"Model":                    claims,
	"Put/OneWinnerPerRevision": updates,
	"Put/NoEditIsLost":         updates,
	"Processes/NoEditIsLost":   updates,
	"Values/RoundTrip":         arrays,
	"Values/Feed":              arrays,
}

// TestMain runs the tests one by one: FerretDB reads whole collections for
// most queries; a few tests at once make it slower than the adapter waits.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "1"); err != nil {
		panic(err)
	}
	flag.Parse() // a number on the command line has the last word
	os.Exit(m.Run())
}

func TestStore(t *testing.T) {
	uri := serve(t)
	var places sync.Map // store -> database and schema
	type place struct {
		database string
		schema   marketplace.Schema
	}
	open := func(t testing.TB, p place) marketplace.Store {
		t.Helper()
		s, err := mongostore.Open(t.Context(), uri+p.database, p.schema, mongostore.AllowWeakClaims())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		places.Store(s, p)
		return s
	}
	at := func(s marketplace.Store) place {
		p, _ := places.Load(s)
		return p.(place)
	}
	storetest.Run(t, storetest.Opener{
		Open: func(t testing.TB, schema marketplace.Schema) marketplace.Store {
			return open(t, place{"test_" + strings.ToLower(rand.Text()[:12]), schema})
		},
		Reopen: func(t testing.TB, s marketplace.Store, schema marketplace.Schema) marketplace.Store {
			s.Close()
			return open(t, place{at(s).database, schema})
		},
		Second: func(t testing.TB, s marketplace.Store) marketplace.Store { return open(t, at(s)) },
		Cannot: cannot,
	})
}

// FerretDB enforces the unique index of names, but tells nobody: an update that
// breaks it is an internal error instead of a duplicate key.
func TestFiles(t *testing.T) {
	uri := serve(t)
	var places sync.Map // files -> their store and database
	type place struct {
		store    *mongostore.Store
		database string
	}
	open := func(t testing.TB, database string) marketplace.Files {
		t.Helper()
		s, err := mongostore.Open(t.Context(), uri+database, nil, mongostore.AllowWeakClaims())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		f, err := s.Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		places.Store(f, place{s, database})
		return f
	}
	at := func(f marketplace.Files) place {
		p, _ := places.Load(f)
		return p.(place)
	}
	storetest.RunFiles(t, storetest.FilesOpener{
		Open: func(t testing.TB) marketplace.Files { return open(t, "test_"+strings.ToLower(rand.Text()[:12])) },
		Reopen: func(t testing.TB, f marketplace.Files) marketplace.Files {
			at(f).store.Close()
			return open(t, at(f).database)
		},
		Second: func(t testing.TB, f marketplace.Files) marketplace.Files { return open(t, at(f).database) },
		Cannot: map[string]string{"Files/PutAgain": duplicates, "Files/Delete": duplicates, "Files/SameAtOnce": duplicates, "Files/OrphanPutAgain": duplicates},
	})
}

// serve runs FerretDB on a loopback port until the end of the test, and
// returns its URI up to the name of the database.
func serve(t *testing.T) string {
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f.MongoDBURI()
}

// A server on which two documents can hold the same claim is refused, unless
// the caller insists.
func TestOpenRefuses(t *testing.T) {
	_, err := mongostore.Open(t.Context(), serve(t)+"citymarket", nil)
	if err == nil || !strings.Contains(err.Error(), "does not enforce unique indexes on arrays") {
		t.Errorf("open: %v", err)
	}
}
