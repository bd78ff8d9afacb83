package search

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"citymarket/marketplace"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	zap "github.com/blevesearch/zapx/v17"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"
)

// The directory holds a lock file, index-<n> (bleve's files of a generation:
// root.bolt and *.zap), perhaps aside-<n> (the last one that was doubted, for
// whoever wants to know why) and manifest.json, for example
//
//	{"mapping":6,"concepts":2809213351,"bleve":"v2.6.3","current":"index-2","clean":true,"files":{"root.bolt":1627348012,"000000000a3f.zap":30924}}
//
// clean is true only between Close and the next Open; files are CRC-32 then.
type manifest struct {
	Mapping  int               `json:"mapping"`
	Concepts uint32            `json:"concepts"` // CRC-32 of the list
	Bleve    string            `json:"bleve"`
	Current  string            `json:"current"`
	Clean    bool              `json:"clean"`
	Files    map[string]uint32 `json:"files,omitempty"`
}

const (
	manifestName = "manifest.json"
	boltTimeout  = "1s"
	checkVar     = "CITYMARKET_SEARCH_CHECK" // directory that this process is to check, instead of what it is for
)

// A garbled root.bolt kills or hangs the process that opens it, in ways that
// nothing can recover from. So after an unclean stop another process opens it
// first: this program again, told by the environment. It is done here, before
// main, so that no program that uses the package can forget it.
func init() {
	if dir := os.Getenv(checkVar); dir != "" {
		if err := tryOpen(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// mergePlan is how segments are merged. Of bleve's own plan, by which those
// below 2,000 documents count as one size, each change took some 5 ms of
// merging with thousands of other documents, and was found after 7 ms instead
// of 4. Half as many segments of a size cost no more than what they save: a
// search of 50,000 documents in 10 segments takes 0.55 ms, in 14 it took 0.83.
var mergePlan = map[string]any{"FloorSegmentSize": 100, "MaxSegmentsPerTier": 5, "SegmentsPerMergeTask": 10}

// persisting lets changes gather before they are written to disk together: by
// itself bleve synchronizes the disk four times for each, while the store waits
// for the same disk to make the next one durable (5.9 ms until found, then 3.4).
var persisting = map[string]any{"PersisterNapTimeMSec": 100, "PersisterNapUnderNumFiles": 1000}

// A batch is mostly one change. bleve makes room for 100 more documents: a
// change was found after 4.8 ms, and is after 2.9.
func init() { zap.NewSegmentBufferNumResultsBump = 2 }

// generations are the open ones by their scorch's path, for errors of bleve's
// own goroutines.
var generations sync.Map

func init() {
	scorch.RegistryAsyncErrorCallbacks["citymarket"] = func(err error, path string) {
		generations.Range(func(_, value any) bool {
			if o := value.(*openGeneration); o.path == path {
				o.generation.fail(err)
				select {
				case o.nudge <- struct{}{}:
				default:
				}
			}
			return true
		})
	}
}

type openGeneration struct {
	*generation
	path  string
	nudge chan struct{}
}

func bleveVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/blevesearch/bleve/v2" {
				return d.Version
			}
		}
	}
	return "unknown"
}

// open opens the generation that the manifest names, if it is beyond doubt;
// else it sets everything aside and begins a new one.
func (x *Index) open() (*generation, error) {
	var m manifest
	b, err := os.ReadFile(filepath.Join(x.dir, manifestName))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err == nil {
		err = x.check(&m)
	}
	if err == nil {
		var g *generation
		if g, err = x.openGeneration(m.Current); err == nil {
			x.sweep(m.Current)
			return g, x.writeManifest(m.Current, false)
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrLocked) {
		return nil, err
	}
	if m.Current != "" {
		x.log.Warn("search: the index is in doubt and built anew", "directory", x.dir, "reason", err)
	}
	g, err := x.create()
	if err != nil {
		return nil, err
	}
	x.sweep(g.name)
	return g, x.writeManifest(g.name, false)
}

// create makes an empty generation under a name that was never used.
func (x *Index) create() (*generation, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("index-%d", n)
		aside := filepath.Join(x.dir, fmt.Sprintf("aside-%d", n))
		if _, err := os.Stat(aside); err == nil {
			continue
		}
		if err := os.Mkdir(filepath.Join(x.dir, name), 0o700); err == nil {
			return x.openGeneration(name)
		} else if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
}

// sweep sets aside every generation but the current one; of those set aside
// only the newest is kept.
func (x *Index) sweep(current string) {
	old, _ := filepath.Glob(filepath.Join(x.dir, "index-*"))
	asides, _ := filepath.Glob(filepath.Join(x.dir, "aside-*"))
	for _, path := range old {
		if name := filepath.Base(path); name != current {
			for _, a := range asides {
				_ = os.RemoveAll(a)
			}
			aside := filepath.Join(x.dir, "aside-"+strings.TrimPrefix(name, "index-"))
			if os.Rename(path, aside) != nil {
				_ = os.RemoveAll(path)
			}
			asides = []string{aside}
		}
	}
}

// check says why the generation that the manifest names must not be opened.
func (x *Index) check(m *manifest) error {
	if m.Mapping != mappingVersion || m.Bleve != bleveVersion() || m.Concepts != conceptsSum {
		return fmt.Errorf("mapping %d of bleve %s with concepts %x, wanted %d of %s with %x", m.Mapping, m.Bleve, m.Concepts, mappingVersion, bleveVersion(), conceptsSum)
	}
	if m.Current == "" || m.Current != filepath.Base(m.Current) {
		return fmt.Errorf("the manifest names %q", m.Current)
	}
	path := filepath.Join(x.dir, m.Current)
	if !m.Clean {
		return checkElsewhere(path)
	}
	have, err := checksums(path)
	if err != nil {
		return err
	}
	if len(have) != len(m.Files) {
		return fmt.Errorf("%d files, were %d", len(have), len(m.Files))
	}
	for name, sum := range m.Files {
		if got, ok := have[name]; !ok || got != sum {
			return fmt.Errorf("%s was changed", name)
		}
	}
	return nil
}

// checksums returns the CRC-32 of root.bolt and of each segment, after it has
// compared a segment's with the one at its own end (47 MB take 3 ms).
func checksums(path string) (map[string]uint32, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	out := make(map[string]uint32, len(entries))
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		switch filepath.Ext(e.Name()) {
		case ".zap":
			out[e.Name()], err = checkSegment(file)
		case ".bolt":
			var b []byte
			b, err = os.ReadFile(file)
			out[e.Name()] = crc32.ChecksumIEEE(b)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkSegment compares a segment with the CRC-32 in its last four bytes.
func checkSegment(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() < 4 {
		return 0, fmt.Errorf("%s holds %d bytes", path, info.Size())
	}
	h := crc32.NewIEEE()
	if _, err := io.CopyBuffer(h, io.LimitReader(f, info.Size()-4), make([]byte, 1<<20)); err != nil {
		return 0, err
	}
	var end [4]byte
	if _, err := io.ReadFull(f, end[:]); err != nil {
		return 0, err
	}
	if sum := h.Sum32(); sum != binary.BigEndian.Uint32(end[:]) {
		return 0, fmt.Errorf("%s is damaged", path)
	}
	return h.Sum32(), nil
}

// checkElsewhere has another process try to open a generation, with as much
// time as reading it from a slow disk takes.
func checkElsewhere(path string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var size int64
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second+time.Duration(size/100)*time.Microsecond)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), checkVar+"="+path)
	cmd.WaitDelay = time.Second
	var message bytes.Buffer
	cmd.Stderr = &message
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("could not be opened: %w: %.300s", err, message.String())
	}
	return nil
}

// tryOpen opens a generation for reading and checks the segments it uses.
// What a crash left unfinished beside them is none of its business.
func tryOpen(path string) error {
	if err := checkBolt(filepath.Join(path, "root.bolt")); err != nil {
		return err
	}
	queue := index.NewAnalysisQueue(1)
	defer queue.Close()
	s, err := newScorch(map[string]any{"path": path, "read_only": true, "bolt_timeout": boltTimeout}, queue)
	if err != nil {
		return err
	}
	g := &generation{scorch: s, cache: newColumnCache()}
	v, err := g.view()
	if err != nil {
		return err
	}
	for i := range v.segments {
		if p, ok := v.segments[i].Segment().(interface{ Path() string }); ok {
			if _, err := checkSegment(p.Path()); err != nil {
				return err
			}
		}
		if _, err := v.segments[i].ranks(fieldID); err != nil {
			return err
		}
	}
	if v.docs > 0 {
		if cursor, err := v.snapshot.GetInternal(internalCursor); err != nil || len(cursor) == 0 {
			return fmt.Errorf("documents without a cursor: %w", errors.Join(err, marketplace.ErrCursor))
		}
	}
	return nil
}

// checkBolt goes through all pages: bleve reads some of them only later, and
// bbolt believes that those exist which it finds free.
func checkBolt(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%s holds %d bytes of %d", path, info.Size(), tx.Size())
		}
		var problems []error
		for err := range tx.Check() {
			problems = append(problems, err)
		}
		return errors.Join(problems...)
	})
	return errors.Join(err, db.Close())
}

func newScorch(config map[string]any, queue *index.AnalysisQueue) (*scorch.Scorch, error) {
	opened, err := scorch.NewScorch(scorch.Name, config, queue)
	if err != nil {
		return nil, err
	}
	s := opened.(*scorch.Scorch)
	return s, s.Open()
}

// openGeneration opens or makes a generation's files.
func (x *Index) openGeneration(name string) (g *generation, err error) {
	defer recovered(&err)
	path := filepath.Join(x.dir, name)
	s, err := newScorch(map[string]any{"path": path, "bolt_timeout": boltTimeout, "asyncErrorCallbackName": "citymarket",
		"unsafe_batch": true, "scorchMergePlanOptions": mergePlan, "scorchPersisterOptions": persisting}, x.queue)
	if err != nil {
		if err.Error() == "timeout" { // bbolt's ErrTimeout
			err = ErrLocked
		}
		return nil, err
	}
	g = &generation{name: name, scorch: s, cache: newColumnCache(), unsaved: semaphore.NewWeighted(maxUnsaved), sums: totals{}, revs: make(map[string]int64)}
	g.broken, g.fail = context.WithCancelCause(context.Background())
	generations.Store(s, &openGeneration{generation: g, path: path, nudge: x.nudge})
	reader, err := s.Reader()
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	defer reader.Close()
	cursor, err := reader.GetInternal(internalCursor)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	sums, err := reader.GetInternal(internalLengths)
	if err == nil && len(sums) > 0 {
		err = json.Unmarshal(sums, &g.sums)
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.cursor, g.average = marketplace.Cursor(cursor), g.sums.average()
	return g, nil
}

// writeManifest replaces the manifest at once. A clean one lists the files.
func (x *Index) writeManifest(current string, clean bool) error {
	m := manifest{Mapping: mappingVersion, Concepts: conceptsSum, Bleve: bleveVersion(), Current: current, Clean: clean}
	if clean {
		var err error
		if m.Files, err = checksums(filepath.Join(x.dir, current)); err != nil {
			return err
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(x.dir, "manifest-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(x.dir, manifestName))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
