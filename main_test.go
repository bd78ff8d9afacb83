package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"

	"citymarket/marketplace"
	"citymarket/seed"
)

// output collects what the program writes and tells when a pattern appears.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var apiAddress = regexp.MustCompile(`API\s+(http://\S+)[\s\S]*Stop it`)

// start runs the program until stop is called, which returns its error.
func start(t *testing.T, env map[string]string, args ...string) (url string, log *output, stop func() error) {
	t.Helper()
	log = newOutput()
	url, _, stop = launchInto(t, log, env, args...)
	return url, log, stop
}

// launch is start for those who want to read what it prints.
func launch(t *testing.T, env map[string]string, args ...string) (url string, out *output, stop func() error) {
	t.Helper()
	return launchInto(t, newOutput(), env, args...)
}

func launchInto(t *testing.T, log *output, env map[string]string, args ...string) (url string, out *output, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out = newOutput()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), func(k string) string { return env[k] }, out, log)
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { stop() })
	for {
		if m := apiAddress.FindStringSubmatch(out.String()); m != nil {
			return m[1], out, stop
		}
		select {
		case <-out.changed:
		case err := <-done:
			t.Fatalf("it ended: %v\n%s", err, log)
		}
	}
}

// fails runs the program and returns why it did not start.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	err := run(context.Background(), args, func(string) string { return "" }, io.Discard, io.Discard)
	if err == nil {
		t.Fatalf("%v: no error", args)
	}
	return err.Error()
}

func post(t *testing.T, url, query string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// caughtUp waits until searches see everything that is in the store: how long
// an index takes to be built depends on the machine.
func caughtUp(t *testing.T, base string) {
	t.Helper()
	for {
		resp, err := http.Get(base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if strings.Contains(string(body), `"indexCaughtUp":true`) {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the index never caught up: %s", body)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const counts = `{ network { memberCount solutionCount } }`

// The first minute: start in an empty directory, ask, stop, start again.
func TestFirstMinute(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	url, _, stop := start(t, nil, "-data", data)
	base := strings.TrimSuffix(url, "/graphql")
	caughtUp(t, base)
	first := post(t, url, counts)
	if !strings.Contains(first, `"memberCount":215`) {
		t.Errorf("first start: %s", first)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": `"ready":true`, "/graphiql/": "<html", "/": "<html"} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.200s", path, resp.StatusCode, body)
		}
		if resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, resp.Header)
		}
	}
	if busy := fails(t, "-addr", "127.0.0.1:0", "-data", data); !strings.Contains(busy, "another process") {
		t.Errorf("a second server on the same data: %s", busy)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(data, "index")); err != nil {
		t.Fatal(err)
	}
	url, _, stop = start(t, nil, "-data", data)
	caughtUp(t, strings.TrimSuffix(url, "/graphql"))
	if again := post(t, url, counts); again != first {
		t.Errorf("after the index was deleted: %s, before %s", again, first)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutSample(t *testing.T) {
	t.Parallel()
	url, _, _ := start(t, map[string]string{"CITYMARKET_SAMPLE": "false", "CITYMARKET_DATA": t.TempDir()})
	caughtUp(t, strings.TrimSuffix(url, "/graphql"))
	if got := post(t, url, counts); !strings.Contains(got, `"memberCount":178,"solutionCount":0`) {
		t.Error(got)
	}
}

func TestWhatKeepsItFromStartingIsSaid(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	garbage := bytes.Repeat([]byte("not a database, "), 1000)
	if err := os.WriteFile(filepath.Join(damaged, "citymarket.db"), garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"choose another one with -addr": {"-addr", taken.Addr().String(), "-data", t.TempDir()},
		"choose another one with -data": {"-addr", "127.0.0.1:0", "-data", filepath.Join(file, "data")},
		"damaged":                       {"-addr", "127.0.0.1:0", "-data", damaged},
		"127.0.0.1:1":                   {"-addr", "127.0.0.1:0", "-data", t.TempDir(), "-store", "mongodb://someone:secret@127.0.0.1:1/"},
		"mongodb://":                    {"-store", "postgres://localhost"},
		"-origins must be":              {"-origins", "*"},
		"not a command":                 {"sreve"},
		"-timeout must be":              {"-timeout", "1ms"},
		"host and a port":               {"-addr", "8080"},
		"-solutions must be":            {"bench", "search", "-solutions", "10000,many"},
		"-queries must be":              {"bench", "search", "-queries", "0"},
	} {
		got := fails(t, args...)
		if !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%v: %s", args, got)
		}
	}
	if b, err := os.ReadFile(filepath.Join(damaged, "citymarket.db")); err != nil || !bytes.Equal(b, garbage) {
		t.Errorf("the damaged database was written: %v", err)
	}
}

// Requests from pages of other sites cannot act, and the API says so in JSON.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for origins, want := range map[string]int{"": http.StatusForbidden, "https://a.example": http.StatusOK} {
		url, _, _ := start(t, nil, "-data", t.TempDir(), "-sample=false", "-origins", origins)
		r, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"query":"{ __typename }"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "https://a.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("origins %q: %d", origins, resp.StatusCode)
		}
		allow := resp.Header.Get("Access-Control-Allow-Origin")
		if (allow == "https://a.example") != (want == http.StatusOK) {
			t.Errorf("origins %q: allowed %q", origins, allow)
		}
	}
}

// Every kind of query gets its line, and both engines find the same where
// the question has only one answer.
func TestBenchSearch(t *testing.T) {
	t.Parallel()
	out, log := newOutput(), newOutput()
	err := run(t.Context(), []string{"bench", "search", "-queries", "3"}, func(k string) string { return map[string]string{"CITYMARKET_SOLUTIONS": "500"}[k] }, out, log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for _, k := range (&bench{depth: 250}).kinds() {
		if !regexp.MustCompile(`(?m)^ *` + regexp.QuoteMeta(k.name) + `( +[\d.]+)+ *$`).MatchString(out.String()) {
			t.Errorf("no line %q", k.name)
		}
		if strings.HasPrefix(k.name, "everything") && !regexp.MustCompile(regexp.QuoteMeta(k.name)+` .* 500 .* 500 `).MatchString(out.String()) {
			t.Errorf("%q finds not all", k.name)
		}
	}
	if !strings.Contains(out.String(), "A change is found after") || t.Failed() {
		t.Error(out)
	}
}

// The facets of everything are the same in both engines, to the last count.
func TestBenchComparesEqualFacets(t *testing.T) {
	t.Parallel()
	b := &bench{dir: t.TempDir()}
	var err error
	if b.corpus, err = newCorpus(t.Context(), b.dir, 500, func(seed.Progress) {}); err != nil {
		t.Fatal(err)
	}
	defer b.corpus.store.Close()
	for name, open := range map[string]opener{"ours": b.openOurs, "stock": b.openStock} {
		_, _, closed, err := open(t.Context(), filepath.Join(b.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer closed()
	}
	ours, err := b.find(t.Context(), marketplace.FinderQuery{Facets: facetQueries()})
	if err != nil {
		t.Fatal(err)
	}
	stock, err := b.stock.Search(request20(bleve.NewMatchAllQuery(), nil, benchFacets...))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ours.Facets {
		terms := stock.Facets[string(f.Field)].Terms.Terms()
		if len(f.Buckets) == 0 || len(f.Buckets) != len(terms) {
			t.Fatalf("%s: %d values, stock %d", f.Field, len(f.Buckets), len(terms))
		}
		for i, bucket := range f.Buckets {
			if bucket.Count != terms[i].Count {
				t.Errorf("%s: %v, stock %v", f.Field, bucket, terms[i])
			}
		}
	}
}
