package mongostore

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"citymarket/marketplace"
	"citymarket/marketplace/mongostore/internal/fakemongo"
	"citymarket/marketplace/storetest"
)

// opener opens stores in databases of their own on a server.
func opener(uri func(database string) string) storetest.Opener {
	var places sync.Map // *Store -> its uri and schema
	type place struct {
		uri    string
		schema marketplace.Schema
	}
	openAt := func(t testing.TB, p place) marketplace.Store {
		t.Helper()
		s, err := Open(t.Context(), p.uri, p.schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		places.Store(s, p)
		return s
	}
	placeOf := func(s marketplace.Store) place {
		p, _ := places.Load(s)
		return p.(place)
	}
	return storetest.Opener{
		Open: func(t testing.TB, schema marketplace.Schema) marketplace.Store {
			p := place{uri("test_" + strings.ToLower(rand.Text()[:12])), schema}
			s := openAt(t, p)
			t.Cleanup(func() { dropDatabase(t, p.uri) })
			return s
		},
		Reopen: func(t testing.TB, s marketplace.Store, schema marketplace.Schema) marketplace.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, place{placeOf(s).uri, schema})
		},
		Second: func(t testing.TB, s marketplace.Store) marketplace.Store {
			return openAt(t, placeOf(s))
		},
	}
}

// dropDatabase removes a test's database. The store is closed at that time,
// or about to be.
func dropDatabase(t testing.TB, uri string) {
	s, err := Open(context.Background(), uri, nil)
	if err != nil {
		t.Errorf("a database stays behind: %v", err)
		return
	}
	defer s.Close()
	if err := s.db.Drop(context.Background()); err != nil {
		t.Errorf("a database stays behind: %v", err)
	}
}

// TestMain lets the suite's model run 25 times rather than 100: each of its
// steps is several messages over TCP, and the race detector makes them slow.
func TestMain(m *testing.M) {
	checks := flag.Lookup("rapid.checks")
	if err := checks.Value.Set("25"); err != nil {
		panic(err)
	}
	flag.Parse() // a number on the command line has the last word
	os.Exit(m.Run())
}

func TestFakeReplicaSet(t *testing.T) {
	storetest.Run(t, opener(fakemongo.Start(t).URI))
}

// TestFakeStandalone leaves out what is the same for all kinds of servers.
func TestFakeStandalone(t *testing.T) {
	o := opener(fakemongo.StartStandalone(t).URI)
	o.Cannot = map[string]string{}
	for _, name := range storetest.Names() {
		if part, _, _ := strings.Cut(name, "/"); part == "Find" || part == "Pages" || part == "Values" {
			o.Cannot[name] = "the adapter does the same here as on a replica set, where it is tested"
		}
	}
	storetest.Run(t, o)
}

// TestRealServer runs the suite on the server at MONGODB_URI, for example
// "mongodb://127.0.0.1:27017/?replicaSet=rs0". Each test has a database of
// its own, which is dropped afterwards.
func TestRealServer(t *testing.T) {
	storetest.Run(t, opener(realServer(t)))
}

func realServer(t *testing.T) func(database string) string {
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		t.Skip("SKIPPED: MONGODB_URI is not set, so nothing was tried on a real MongoDB")
	}
	return func(database string) string {
		scheme, rest, _ := strings.Cut(uri, "://")
		rest, query, _ := strings.Cut(rest, "?")
		hosts, _, _ := strings.Cut(rest, "/")
		return fmt.Sprintf("%s://%s/%s?%s", scheme, hosts, database, query)
	}
}
