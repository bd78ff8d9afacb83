package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/blevesearch/bleve/v2"

	"citymarket/marketplace"
	"citymarket/search"
)

const benchLegend = `Searches of generated solutions, all of them published. Each query is asked once, as many as %[1]v of CPU allow, and the engines take
turns of %[2]v. CPU is the process's, user and system, per query; p50 and p99 are wall times in ms.
ours:  the search index of Citymarket as marketplace.Finder, asked for a visitor. It is not told the language of a query. All
       words must be found; fewer of them where less than ten solutions have all.
stock: bleve with a field of titles and one of texts for each language's analyzer, the beginnings of the titles' words, keywords
       with doc values, nothing stored. It is told the language. All words must be found, in title or text; with a typo in
       one, each within one edit; of a long text any. Multi-select facets take 1 + 3 searches. It has no text to highlight.
A long text has 110 words; both read its first %[3]d bytes. Memory is what the process has more than before, after a query of each
kind; anonymous is what the system cannot take back; columns are that part which grows with the documents. Building counts until
the segments are merged, the seconds until everything is found. A change is the secretariat's edit of a solution in a SQLite store that holds up to %[4]d of the solutions, until it is
stored durably and a search of the index with five facets finds it.
`

// Bounds of the measurements.
const (
	benchTurn     = 50 * time.Millisecond // how long an engine goes on before it is the other's turn
	benchPatience = 10 * time.Second      // of CPU, for one kind of query and engine
	benchDepth    = 10_000                // hits before a deep page
	benchStored   = 10_000                // solutions that are in a store, too
	benchChanges  = 100
)

// benchSearch runs the command "bench search" in a temporary directory, which
// it deletes however it ends.
func benchSearch(ctx context.Context, c config, out, log io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "citymarket-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(out, benchLegend, benchPatience, benchTurn, marketplace.MaxQueryLength, benchStored)
	for _, n := range c.sizes() {
		b := &bench{dir: filepath.Join(dir, strconv.Itoa(n)), log: log, queries: benchQueries(c.queries), depth: min(benchDepth, n/2)}
		if err := b.run(ctx, n, c.stock, out); err != nil {
			return err
		}
		if err := os.RemoveAll(b.dir); err != nil {
			return err
		}
	}
	return nil
}

// A bench measures one number of solutions.
type bench struct {
	dir     string
	log     io.Writer
	corpus  *corpus
	queries []benchQuery
	depth   int // hits before a deep page

	ours    *search.Index
	cursor  string // of ours, after so many hits
	stock   bleve.Index
	sortKey []string // of stock, likewise
}

func (b *bench) run(ctx context.Context, n int, withStock bool, out io.Writer) (err error) {
	if b.corpus, err = newCorpus(ctx, b.dir, n, newProgress(b.log).show); err != nil {
		return err
	}
	defer b.corpus.store.Close()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\n%d solutions\tdocuments\tbytes each\tbuild s\tCPU s\topen ms\tfirst facets ms\tmemory MB\tanonymous MB\tcolumns\t\n", n)
	closed, err := b.build(ctx, table, "ours", b.openOurs, func(k *benchKind) ask { return k.ours })
	if err != nil {
		return err
	}
	defer closed()
	heads := "\n\tours: CPU ms\tp50\tp99\tmatches\tqueries"
	if withStock {
		closed, err := b.build(ctx, table, "stock", b.openStock, func(k *benchKind) ask { return k.stock })
		if err != nil {
			return err
		}
		defer closed()
		heads += "\tstock: CPU ms\tp50\tp99\tmatches\tqueries\tstock / ours"
	}
	fmt.Fprintln(table, heads+"\t")
	for _, k := range b.kinds() {
		fmt.Fprintf(b.log, "asking %s\n", k.name)
		sides := []ask{k.ours}
		if withStock && k.stock != nil {
			sides = append(sides, k.stock)
		}
		took, err := b.measure(ctx, sides)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Fprint(table, k.name, &took[0])
		if len(took) > 1 {
			fmt.Fprintf(table, "%v\t%.1f", &took[1], took[1].mean()/took[0].mean())
		}
		fmt.Fprintln(table, "\t")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	took, err := b.changes(ctx)
	fmt.Fprintf(out, "A change is found after %.1f ms (median of %d).\n", took.at(50), benchChanges)
	return err
}

// build makes an index, opens it again as after a restart, asks it a query of
// each kind and writes what that took.
func (b *bench) build(ctx context.Context, out io.Writer, name string, open opener, side func(*benchKind) ask) (closed func(), err error) {
	resident, anonymous := memoryMB()
	began, before := time.Now(), cpu()
	path := filepath.Join(b.dir, name)
	_, _, closed, err = open(ctx, path)
	if err != nil {
		return nil, err
	}
	wall := time.Since(began)
	err = quiet(ctx)
	spent := cpu() - before
	closed()
	if err != nil {
		return nil, err
	}
	documents, opened, closed, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	kinds, first := b.kinds(), time.Duration(0)
	began = time.Now()
	for i, k := range append(kinds[1:2:2], kinds...) {
		if ask := side(&k); ask != nil && err == nil {
			_, err = ask(ctx, &b.queries[0])
		}
		if i == 0 {
			first = time.Since(began)
		}
	}
	if err = errors.Join(err, quiet(ctx)); err != nil {
		closed()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	size := int64(0)
	filepath.Walk(path, func(_ string, f os.FileInfo, err error) error {
		if err == nil && !f.IsDir() {
			size += f.Size()
		}
		return nil
	})
	after, anonymousAfter := memoryMB()
	columns := ""
	if name == "ours" {
		columns = fmt.Sprintf("%d bytes each", b.ours.ColumnBytes()/documents)
	}
	fmt.Fprintf(out, "%s\t%d\t%d\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t\n",
		name, documents, size/int64(documents), wall.Seconds(), spent.Seconds(), ms(opened), ms(first), after-resident, anonymousAfter-anonymous, columns)
	return closed, nil
}

// measure lets the engines answer in turns, so that what else the machine
// does hits them all.
func (b *bench) measure(ctx context.Context, sides []ask) ([]timing, error) {
	out := make([]timing, len(sides))
	runtime.GC()
	for left := true; left; {
		left = false
		for i, ask := range sides {
			t := &out[i]
			began, before := time.Now(), cpu()
			for len(t.walls) < len(b.queries) && t.cpu < benchPatience && time.Since(began) < benchTurn {
				asked := time.Now()
				matches, err := ask(ctx, &b.queries[len(t.walls)])
				if err != nil {
					return nil, err
				}
				t.matches += matches
				t.walls = append(t.walls, time.Since(asked))
			}
			t.cpu += cpu() - before
			left = left || len(t.walls) < len(b.queries) && t.cpu < benchPatience
		}
	}
	return out, nil
}

// A timing is what an engine took for queries of one kind.
type timing struct {
	cpu     time.Duration
	walls   []time.Duration
	matches int
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (t *timing) mean() float64 { return ms(t.cpu) / float64(len(t.walls)) }

// at is a percentile of the wall times, in ms.
func (t *timing) at(percent int) float64 {
	slices.Sort(t.walls)
	if len(t.walls) == 0 {
		return 0
	}
	return ms(t.walls[(len(t.walls)-1)*percent/100])
}

func (t *timing) String() string {
	n := len(t.walls)
	return fmt.Sprintf("\t%.3f\t%.2f\t%.2f\t%d\t%d", t.mean(), t.at(50), t.at(99), t.matches/n, n)
}

// cpu is the processor time of this process, user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryMB is the memory that the process holds after it has given back what
// it can, and how much of it no file backs; 0 where it cannot be read.
func memoryMB() (resident, anonymous float64) {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	var size, shared float64
	fmt.Sscan(string(b), &size, &resident, &shared)
	page := float64(os.Getpagesize()) / (1 << 20)
	return resident * page, (resident - shared) * page
}

// quiet returns when the process has had nothing to do for half a second:
// segments are merged.
func quiet(ctx context.Context) error {
	for still := 0; still < 5; still++ {
		before := cpu()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if cpu()-before > 5*time.Millisecond {
			still = -1
		}
	}
	return nil
}

// An opener opens an index, which it makes first where there is none.
type opener func(ctx context.Context, path string) (documents int, opened time.Duration, closed func(), err error)

func (b *bench) openOurs(ctx context.Context, path string) (int, time.Duration, func(), error) {
	began := time.Now()
	x, err := search.Open(path, b.corpus, marketplace.Entries(b.corpus.store), slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, 0, nil, err
	}
	opened := time.Since(began)
	var following sync.WaitGroup
	following.Go(func() { x.Follow(context.Background()) })
	closed := func() { x.Close(); following.Wait() }
	b.ours = x
	if err := x.CaughtUp(ctx); err != nil {
		closed()
		return 0, 0, nil, err
	}
	return x.Status().Documents, opened, closed, nil
}

func (b *bench) openStock(ctx context.Context, path string) (int, time.Duration, func(), error) {
	began := time.Now()
	index, err := bleve.Open(path)
	opened := time.Since(began)
	if errors.Is(err, bleve.ErrorIndexPathDoesNotExist) {
		if index, err = newStock(path); err == nil {
			err = b.corpus.fillStock(ctx, index)
		}
	}
	if err != nil {
		return 0, 0, nil, err
	}
	b.stock = index
	documents, err := index.DocCount()
	return int(documents), opened, func() { index.Close() }, err
}

// changes measures how long it takes until a change is stored and found.
func (b *bench) changes(ctx context.Context) (timing, error) {
	var took timing
	market, r := marketplace.New(b.corpus.store, b.ours, marketplace.Options{}), rand.New(rand.NewPCG(1, 2))
	for i := 1; len(took.walls) < benchChanges && i <= b.corpus.n; i++ {
		ctx := marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.System})
		s, err := market.Solution(ctx, marketplace.ID(fmt.Sprintf("solution_generated-%d", i)))
		if err != nil {
			return took, err
		}
		if s.Status != marketplace.SolutionPublished {
			continue
		}
		word := make([]byte, 12) // that no other solution has, nor one like it
		for j := range word {
			word[j] = byte('a' + r.IntN(26))
		}
		began := time.Now()
		if _, err := market.UpdateSolution(ctx, s.ID, 0, func(s *marketplace.Solution) error {
			s.Title = marketplace.Text{{Language: "en", Text: "Changed " + string(word)}}
			return nil
		}); err != nil {
			return took, err
		}
		for found := (marketplace.Found{}); len(found.Hits) == 0 || found.Hits[0].ID != string(s.ID); {
			if found, err = b.find(ctx, marketplace.FinderQuery{Text: string(word), Facets: facetQueries()}); err != nil {
				return took, err
			}
		}
		took.walls = append(took.walls, time.Since(began))
	}
	return took, nil
}
