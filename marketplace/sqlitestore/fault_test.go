package sqlitestore

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// benchDir is for what must outlive one benchmark.
var benchDir string

// childVariable makes the test's own binary a writer that is to be killed.
const childVariable = "SQLITESTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		writeUntilKilled(path)
	}
	var err error
	if benchDir, err = os.MkdirTemp("", "sqlitestore"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(benchDir)
	os.Exit(code)
}

const faultKind marketplace.Kind = "doc"

var faultSchema = marketplace.Schema{faultKind: {{Sort: "n"}, {Has: "tags", Sort: "n"}}}

type faultDoc struct {
	N    int      `json:"n"`
	Tags []string `json:"tags"`
	Text string   `json:"text"`
}

// writeUntilKilled prints "id revision" for every write that was acknowledged.
func writeUntilKilled(path string) {
	s, err := Open(path, faultSchema)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var mu sync.Mutex // lines come whole
	for w := range 8 {
		go func() {
			r := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(w)))
			for {
				id := fmt.Sprintf("%d-%d", w, r.IntN(200))
				var rev int64
				if d, err := s.Get(context.Background(), faultKind, id); err == nil {
					rev = d.Rev
				}
				doc := faultDoc{N: r.IntN(1000), Tags: []string{"a", fmt.Sprint(r.IntN(5))}, Text: strings.Repeat("x", r.IntN(2000))}
				rev, err := s.Put(context.Background(), marketplace.Write{Kind: faultKind, ID: id, Rev: rev, Value: doc, Claims: []string{"of " + id}})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(id, rev)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// Processes that are killed while they write lose nothing that they have
// acknowledged, and leave no document without its entries and claims.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	acknowledged := map[string]int64{}
	total := 0
	for round := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		limit := 1 + rand.IntN(400)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ { // to the end: what was written before the kill counts
			id, rev, _ := strings.Cut(lines.Text(), " ")
			if id == "error" {
				t.Errorf("round %d: %s", round, lines.Text())
			}
			if n == limit {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if rev, err := strconv.ParseInt(rev, 10, 64); err == nil {
				acknowledged[id] = max(acknowledged[id], rev)
				total++
			}
		}
		cmd.Wait()
	}
	s := open(t, path, faultSchema)
	for id, rev := range acknowledged {
		d, err := s.Get(t.Context(), faultKind, id)
		if err != nil || d.Rev < rev {
			t.Errorf("%s is at revision %d (%v), acknowledged was %d", id, d.Rev, err, rev)
		}
	}
	if total < 100 {
		t.Errorf("only %d writes were acknowledged: this tests little", total)
	}
	check(t, s)
}

// check compares claims and entries to the documents they belong to.
func check(t *testing.T, s *Store) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(pathOf(s), "_query_only=1"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var report string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&report); err != nil || report != "ok" {
		t.Errorf("integrity_check: %s (%v)", report, err)
	}
	for _, rows := range []string{
		`SELECT kind, json_each.value AS claim, pk FROM doc, json_each(claims)|SELECT kind, claim, doc FROM claim`,
		`SELECT count(*) FROM doc|SELECT count(DISTINCT seq) FROM doc`,
	} {
		a, b, _ := strings.Cut(rows, "|")
		var differ int
		if err := db.QueryRow(fmt.Sprintf(`SELECT count(*) FROM (SELECT * FROM (%s EXCEPT %s) UNION ALL SELECT * FROM (%s EXCEPT %s))`, a, b, b, a)).Scan(&differ); err != nil || differ != 0 {
			t.Errorf("%d rows differ (%v) between %s", differ, err, rows)
		}
	}
	want := map[entry]int64{}
	rows, err := db.Query(`SELECT pk, kind, id, body FROM doc`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var pk int64
		var kind marketplace.Kind
		var id string
		var body []byte
		if err := rows.Scan(&pk, &kind, &id, &body); err != nil {
			t.Fatal(err)
		}
		all, err := entries(s.indexes[kind], id, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			want[e] = pk
		}
	}
	if rows, err = db.Query(`SELECT ix, key, doc FROM entry`); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var e entry
		var doc int64
		if err := rows.Scan(&e.ix, &e.key, &doc); err != nil {
			t.Fatal(err)
		}
		if want[e] != doc {
			t.Errorf("entry %d %q is of document %d, want %d", e.ix, e.key, doc, want[e])
		}
		delete(want, e)
	}
	if len(want) > 0 {
		t.Errorf("entries are missing: %v", want)
	}
}

func pathOf(s *Store) string {
	return strings.TrimSuffix(s.lock.Name(), ".lock")
}

// copyFile copies at most n bytes.
func copyFile(t *testing.T, to, from string, n int64) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b[:min(n, int64(len(b)))], 0o666); err != nil {
		t.Fatal(err)
	}
}

// A write-ahead log that ends anywhere opens, and holds the writes up to there.
func TestCutLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	s := open(t, path, faultSchema)
	const writes = 60
	for i := range writes {
		w := marketplace.Write{Kind: faultKind, ID: fmt.Sprintf("%03d", i), Value: faultDoc{N: i, Tags: []string{"a"}, Text: strings.Repeat("x", i*50)}, Claims: []string{fmt.Sprint(i)}}
		if _, err := s.Put(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	end := size(path + "-wal")
	for round := range 12 {
		cut := filepath.Join(dir, fmt.Sprint("cut", round))
		n := rand.Int64N(end + 1)
		copyFile(t, cut, path, 1<<40)
		copyFile(t, cut+"-wal", path+"-wal", n)
		c := open(t, cut, faultSchema)
		docs, err := c.Find(t.Context(), faultKind, marketplace.Query{Sort: "n", Limit: 1000})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", n, end, err)
		}
		for i, d := range docs {
			if d.ID != fmt.Sprintf("%03d", i) {
				t.Fatalf("cut at %d of %d: document %d is %s", n, end, i, d.ID)
			}
		}
		check(t, c)
		if _, err := c.Put(t.Context(), marketplace.Write{Kind: faultKind, ID: "new", Value: faultDoc{}}); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the other process says %q (%v)", line, err)
	}
	began := time.Now()
	_, err = Open(path, faultSchema)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("open what another process has open: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the refusal took %v", took)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s := open(t, path, faultSchema)
	if _, err := Open(path, faultSchema); !errors.Is(err, ErrLocked) {
		t.Errorf("open twice in one process: %v", err)
	}
	s.Close()
	open(t, path, faultSchema)
}

// files returns the content of all files of a directory, by name.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range names {
		if all[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A file that is damaged, or not ours, is reported and left as it is.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "db")
	s := open(t, whole, faultSchema)
	for i := range 200 {
		if _, err := s.Put(t.Context(), marketplace.Write{Kind: faultKind, ID: fmt.Sprint(i), Value: faultDoc{N: i, Text: strings.Repeat("x", 500)}}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(whole + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if size(whole+"-wal") > 0 {
		t.Error("Close leaves a write-ahead log behind")
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, b ...byte) []byte {
		return slices.Replace(slices.Clone(content), at, at+len(b), b...)
	}
	for name, c := range map[string]struct {
		db, log []byte
		want    error
		says    string
	}{
		"garbage":                   {bytes.Repeat([]byte("garbage "), 1000), nil, ErrDamaged, "backup"},
		"a few bytes":               {[]byte("oops"), nil, ErrDamaged, "backup"},
		"a header overwritten":      {change(0, make([]byte, 100)...), nil, ErrDamaged, "backup"},
		"a first page overwritten":  {change(100, bytes.Repeat([]byte{0xEE}, 900)...), nil, ErrDamaged, "backup"},
		"cut in the first page":     {content[:1000], nil, ErrDamaged, "backup"},
		"a page lost after a crash": {change(4096*6, bytes.Repeat([]byte{0xEE}, 4096*10)...), log[:32], ErrDamaged, "backup"},
		"cut after a crash":         {content[:4096*7], log[:32], ErrDamaged, "backup"},
		"only the log is left":      {nil, log, ErrDamaged, "backup"},
		"another program's":         {change(68, 1, 2, 3, 4), nil, nil, "another program"},
		"no program's":              {change(68, 0, 0, 0, 0), nil, nil, "another program"},
		"a newer version's":         {change(60, 0, 0, 0, 99), nil, nil, "newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "db")
			if c.db != nil {
				os.WriteFile(path, c.db, 0o666)
			}
			if c.log != nil {
				os.WriteFile(path+"-wal", c.log, 0o666)
			}
			before := files(t, dir)
			_, err := Open(path, faultSchema)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want %v that says %q", err, c.want, c.says)
			}
			for f, b := range files(t, dir) {
				if was, ok := before[f]; ok && !bytes.Equal(b, was) || !ok && f != "db.lock" && f != "db-shm" && len(b) > 0 {
					t.Errorf("%s was changed or made", f)
				}
				delete(before, f)
			}
			if len(before) > 0 {
				t.Errorf("files were removed: %v", len(before))
			}
		})
	}
}

// Damage that shows only later is reported as such by the call that meets it.
func TestDamageWhileOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path, faultSchema)
	for i := range 300 {
		if _, err := s.Put(t.Context(), marketplace.Write{Kind: faultKind, ID: fmt.Sprint(i), Value: faultDoc{N: i, Text: strings.Repeat("x", 1000)}}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := int64(20); page < 60; page++ {
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xEE}, 4096), page*4096); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = Open(path, faultSchema); err == nil { // a clean stop: the file is not checked
		defer s.Close()
		_, err = s.Find(t.Context(), faultKind, marketplace.Query{Limit: 1000})
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error is %v, want %v", err, ErrDamaged)
	}
}

func TestNoSuchDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	places := map[string]error{filepath.Join(dir, "missing", "db"): os.ErrNotExist, filepath.Join(dir, "file", "db"): nil}
	if os.Getuid() > 0 { // root may write everywhere
		places[filepath.Join(closed, "db")] = os.ErrPermission
	}
	for path, want := range places {
		_, err := Open(path, faultSchema)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: error is %v, want %v", path, err, want)
		}
	}
}
