package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
	"citymarket/seed"
)

// benchSize is how many solutions the benchmarks load: 10,000, or what
// CITYMARKET_BENCH says. Figures in documents are of 100,000:
//
//	CITYMARKET_BENCH=100000 go test -run xxx -bench Search -benchtime 1000x -timeout 20m .
//	CITYMARKET_BENCH=100000 go test -run xxx -bench Load -benchtime 1x -timeout 20m .
func benchSize() int {
	if n, err := strconv.Atoi(os.Getenv("CITYMARKET_BENCH")); err == nil {
		return n
	}
	return 10_000
}

func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64((cpu()-since).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

type benchServer struct {
	store  marketplace.Store
	index  *search.Index
	market *marketplace.Market
	api    http.Handler
}

// generated is a server over generated solutions, made once and left to the
// operating system to clean up.
var generated = sync.OnceValues(func() (*benchServer, error) {
	dir, err := os.MkdirTemp("", "citymarket-bench")
	if err != nil {
		return nil, err
	}
	return newBenchServer(dir)
})

func newBenchServer(dir string) (*benchServer, error) {
	ctx := context.Background()
	store, err := sqlitestore.Open(filepath.Join(dir, "citymarket.db"), marketplace.StoreSchema())
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	index, err := search.Open(filepath.Join(dir, "index"), store, marketplace.Entries(store), log)
	if err != nil {
		return nil, err
	}
	go index.Follow(ctx)
	s := &benchServer{store: store, index: index, market: marketplace.New(store, index, marketplace.Options{})}
	if err := seed.LoadGenerated(ctx, s.market, benchSize(), seed.Options{}); err != nil {
		return nil, err
	}
	if err := index.CaughtUp(ctx); err != nil {
		return nil, err
	}
	server, _ := newServer(s.market, index, config{timeout: 10 * time.Second, concurrency: 64}, log)
	s.api = server.Handler
	return s, nil
}

func benchServerOf(b *testing.B) *benchServer {
	b.Helper()
	s, err := generated()
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// benchTexts are searches of one to four words that the generated texts hold.
func benchTexts() []string {
	var texts []string
	for s := range seed.Generate(400, 1) {
		words := strings.Fields(s.Summary[0].Text)
		n := 1 + len(texts)%4
		if len(words) > 2*n {
			texts = append(texts, strings.Join(words[n:2*n], " "))
		}
	}
	return texts
}

const benchDocument = `query($text: String) { search(text: $text, kinds: [SOLUTION], first: 20) { totalCount edges { score node { ... on Solution { id title { text } summary { text } priceBand company { name { text } country { code } } } } } } }`

// BenchmarkSearch compares a search of 20 hits with their companies through
// HTTP and GraphQL with the same search and reads behind a bare handler.
func BenchmarkSearch(b *testing.B) {
	s := benchServerOf(b)
	texts := benchTexts()
	bare := httptest.NewServer(bareHandler(s))
	defer bare.Close()
	api := httptest.NewServer(s.api)
	defer api.Close()
	ask := func(b *testing.B, url string, body func(text string) []byte) {
		askCPU(b, url, func(i int) []byte { return body(texts[i%len(texts)]) })
	}
	b.Run("bare", func(b *testing.B) {
		ask(b, bare.URL, func(text string) []byte { return []byte(strconv.Quote(text)) })
	})
	b.Run("graphql", func(b *testing.B) {
		ask(b, api.URL+"/graphql", func(text string) []byte {
			body, _ := json.Marshal(map[string]any{"query": benchDocument, "variables": map[string]any{"text": text}})
			return body
		})
	})
}

// bareHandler is what somebody would write without GraphQL and without a
// domain: the same index, the same reads, structs straight to JSON.
func bareHandler(s *benchServer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text string
		if err := json.NewDecoder(r.Body).Decode(&text); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		found, err := s.index.Search(r.Context(), marketplace.FinderQuery{
			Text: text, Kinds: []marketplace.Kind{"solution"}, Groups: []marketplace.Group{marketplace.Everyone}, Sort: marketplace.SortRelevance, Size: 20,
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var ids, companyIDs []any
		for _, h := range found[0].Hits {
			ids = append(ids, h.ID)
		}
		solutions := map[marketplace.ID]*marketplace.Solution{}
		companies := map[marketplace.ID]*marketplace.Company{}
		for _, d := range byIDs(r.Context(), s.store, "solution", ids) {
			var v marketplace.Solution
			d.Decode(&v)
			solutions[v.ID] = &v
			if companies[v.Company] == nil {
				companies[v.Company] = new(marketplace.Company)
				companyIDs = append(companyIDs, string(v.Company))
			}
		}
		for _, d := range byIDs(r.Context(), s.store, "company", companyIDs) {
			var v marketplace.Company
			d.Decode(&v)
			companies[v.ID] = &v
		}
		type answer struct {
			ID, Title, Summary, PriceBand, Company, Country string
			Score                                           float64
		}
		out := struct {
			Total int
			Hits  []answer
		}{Total: found[0].Total}
		for _, h := range found[0].Hits {
			v := solutions[marketplace.ID(h.ID)]
			out.Hits = append(out.Hits, answer{h.ID, v.Title[0].Text, v.Summary[0].Text, string(v.PriceBand), companies[v.Company].Name[0].Text, string(companies[v.Company].Country), h.Score})
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out)
	})
}

func byIDs(ctx context.Context, store marketplace.Store, kind marketplace.Kind, ids []any) []marketplace.Document {
	if len(ids) == 0 {
		return nil
	}
	docs, err := store.Find(ctx, kind, marketplace.Query{Where: []marketplace.Condition{{Field: "id", Op: marketplace.In, Values: ids}}, Limit: len(ids)})
	if err != nil {
		panic(err)
	}
	return docs
}

// BenchmarkLoad compares loading solutions through the domain, until they are
// stored and found, with what bleve and SQLite take alone, in batches of 1,000.
func BenchmarkLoad(b *testing.B) {
	n := benchSize()
	corpus, err := newCorpus(b.Context(), b.TempDir(), n, func(seed.Progress) {})
	if err != nil {
		b.Fatal(err)
	}
	defer corpus.store.Close()
	b.Run("domain", func(b *testing.B) {
		for b.Loop() {
			before, began := cpu(), time.Now()
			if _, err := newBenchServer(b.TempDir()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s")
			b.ReportMetric((cpu() - before).Seconds(), "cpu-s")
		}
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		b.ReportMetric(float64(mem.HeapInuse)/(1<<20), "heap-MB")
		resident, _ := memoryMB()
		b.ReportMetric(resident, "resident-MB")
	})
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			before, began := cpu(), time.Now()
			if err := errors.Join(sqliteAlone(filepath.Join(b.TempDir(), "alone.db"), n), bleveAlone(b.Context(), filepath.Join(b.TempDir(), "bleve"), corpus)); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s")
			b.ReportMetric((cpu() - before).Seconds(), "cpu-s")
		}
	})
}

func sqliteAlone(path string, n int) error {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE doc (id TEXT PRIMARY KEY, slug TEXT UNIQUE, body BLOB)`); err != nil {
		return err
	}
	var tx *sql.Tx
	i := 0
	for s := range seed.Generate(n, 1) {
		if i%1000 == 0 {
			if tx, err = db.Begin(); err != nil {
				return err
			}
		}
		body, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO doc VALUES (?, ?, ?)`, string(s.ID), s.Slug, body); err != nil {
			return err
		}
		if i++; i%1000 == 0 || i == n {
			if err := tx.Commit(); err != nil {
				return err
			}
		}
	}
	return nil
}

func bleveAlone(ctx context.Context, path string, c *corpus) error {
	index, err := newStock(path)
	if err != nil {
		return err
	}
	return errors.Join(c.fillStock(ctx, index), index.Close())
}

// askCPU posts what body makes, as often as the benchmark wants, and reports
// the CPU of each; an answer with errors fails.
func askCPU(b *testing.B, url string, body func(i int) []byte) {
	b.Helper()
	before := cpu()
	for i := 0; b.Loop(); i++ {
		resp, err := http.Post(url, "application/json", bytes.NewReader(body(i)))
		if err != nil {
			b.Fatal(err)
		}
		var answer bytes.Buffer
		answer.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || bytes.Contains(answer.Bytes(), []byte(`"errors"`)) {
			b.Fatalf("%d %.300s", resp.StatusCode, &answer)
		}
	}
	reportCPU(b, before)
}
