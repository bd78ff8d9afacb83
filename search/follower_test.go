package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
)

func simple(id string, rev int64, title string) marketplace.Entry {
	return marketplace.Entry{Kind: "solution", ID: id, Rev: rev, Audience: []marketplace.Group{marketplace.Everyone}, Title: marketplace.Text{{Language: "en", Text: title}}}
}

func total(t testing.TB, x *Index, text string) int {
	t.Helper()
	return find(t, x, marketplace.FinderQuery{Text: text}).Total
}

func TestFollow(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), newMemory()
	t.Run("changes", func(t *testing.T) {
		x := start(t, dir, m)
		for _, step := range []struct {
			do          func()
			text        string
			id          string
			rev         int64
			want, after int // matches of the text, documents
		}{
			{func() { m.put(simple("a", 1, "Lantern")) }, "lantern", "a", 1, 1, 1},
			{func() { m.put(simple("a", 2, "Windmill")) }, "lantern", "a", 2, 0, 1},
			{func() { m.put(simple("a", 1, "Lantern")) }, "lantern", "a", 1, 0, 1}, // out of date
			{func() { m.put(simple("b", 4, "Windmill")) }, "windmill", "b", 4, 2, 2},
			{func() { m.delete("solution", "a", 3) }, "windmill", "a", 3, 1, 1},
			{func() { m.put(simple("a", 2, "Windmill")) }, "windmill", "a", 2, 1, 1}, // older than the deletion
			{func() { m.put(simple("a", 4, "Windmill")) }, "windmill", "a", 4, 2, 2},
			{func() { m.put(marketplace.Entry{Kind: "solution", ID: "b", Rev: 5}) }, "windmill", "b", 5, 1, 1}, // not to be found any more
			{func() { m.put(marketplace.Entry{Kind: "session", ID: "s", Rev: 1}) }, "windmill", "s", 1, 1, 1},
		} {
			step.do()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := x.Wait(ctx, "solution", step.id, step.rev); err != nil {
				t.Fatal(err)
			}
			cancel()
			settle(t, x, m)
			if n := total(t, x, step.text); n != step.want || x.Status().Documents != step.after {
				t.Fatalf("%+v: %d matches, %+v", step, n, x.Status())
			}
		}
		if s := x.Status(); !s.CaughtUp || s.Rebuilding || s.Err != nil {
			t.Errorf("%+v", s)
		}
	})
	t.Run("goes on where it was", func(t *testing.T) {
		m.replay = 3 // and sees some changes again, older ones than the index has among them
		x := start(t, dir, m)
		if n := total(t, x, "windmill"); n != 1 {
			t.Errorf("%d matches before following", n)
		}
		m.put(simple("c", 1, "Windmill"))
		settle(t, x, m)
		if n := total(t, x, "windmill"); n != 2 || x.Status().Documents != 2 {
			t.Errorf("%d matches, %+v", n, x.Status())
		}
	})
	t.Run("another history", func(t *testing.T) {
		m.mu.Lock()
		m.epoch, m.replay = 1, 0
		m.mu.Unlock()
		x := start(t, dir, m)
		if n := total(t, x, "windmill"); n != 2 {
			t.Errorf("the old index does not serve: %d", n)
		}
		m.put(simple("d", 1, "Windmill"))
		settle(t, x, m)
		if n := total(t, x, "windmill"); n != 3 {
			t.Errorf("%d matches", n)
		}
	})
	if names, _ := filepath.Glob(filepath.Join(dir, "index-*")); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
}

func TestManyPages(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 3*pageSize + 7 {
		m.put(simple(fmt.Sprint(i), 1, "Lantern"))
	}
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	if n := total(t, x, "lantern"); n != 3*pageSize+7 {
		t.Error(n)
	}
}

func TestFeedFails(t *testing.T) {
	t.Parallel()
	m := newMemory()
	calls := 0
	m.fail = func() error {
		if calls++; calls < 3 {
			return marketplace.ErrUnavailable
		}
		return nil
	}
	x := start(t, t.TempDir(), m)
	m.put(simple("a", 1, "Lantern"))
	settle(t, x, m)
	if s := x.Status(); total(t, x, "lantern") != 1 || s.Err != nil {
		t.Errorf("%+v", s)
	}
}

func TestUnreadableDocument(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.change(marketplace.Change{Kind: "solution", Document: marketplace.Document{ID: "x", Rev: 1, Decode: func(any) error { return errors.New("no") }}})
	m.put(simple("a", 1, "Lantern"))
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	if n := total(t, x, "lantern"); n != 1 {
		t.Error(n)
	}
}

// TestStoreFailsBehindEntry: an entry that needs another document which cannot
// be read now is not lost.
func TestStoreFailsBehindEntry(t *testing.T) {
	t.Parallel()
	m := newMemory()
	calls := 0
	m.change(marketplace.Change{Kind: "solution", Document: marketplace.Document{ID: "a", Rev: 1, Decode: func(into any) error {
		if calls++; calls < 3 {
			return fmt.Errorf("store: %w", marketplace.ErrUnavailable)
		}
		*into.(*marketplace.Entry) = simple("a", 1, "Lantern")
		return nil
	}}})
	x := start(t, t.TempDir(), m)
	settle(t, x, m)
	if n := total(t, x, "lantern"); n != 1 {
		t.Error(n)
	}
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	x, err := Open(t.TempDir(), newMemory(), entryOf, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := x.Wait(ctx, "solution", "a", 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if _, err := x.Search(context.Background(), marketplace.FinderQuery{}); !errors.Is(err, marketplace.ErrUnavailable) {
		t.Error(err)
	}
	if err := x.Follow(context.Background()); err != nil {
		t.Error(err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

func TestFailedBatch(t *testing.T) {
	t.Parallel()
	m := newMemory()
	x := start(t, t.TempDir(), m)
	m.put(simple("a", 1, "Lantern"))
	settle(t, x, m)
	x.serving.Load().fail(errors.New("the disk is gone"))
	m.put(simple("b", 1, "Lantern"))
	settle(t, x, m)
	if n := total(t, x, "lantern"); n != 2 {
		t.Error(n, x.Status())
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, newMemory())
	if _, err := Open(dir, newMemory(), entryOf, discard); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
}

// TestDamage damages an index in every way that was seen to hurt: it opens
// in bounded time and comes to hold everything again.
func TestDamage(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 40 {
		m.put(simple(fmt.Sprint(i), 1, "Lantern "+strings.Repeat("word ", i)))
	}
	made := t.TempDir()
	t.Run("make", func(t *testing.T) { settle(t, start(t, made, m), m) })
	each := func(pattern string, f func(name string, b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, pattern))
			if len(files) == 0 {
				t.Fatal("nothing to damage")
			}
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if b = f(name, b); b == nil {
					err = os.Remove(name)
				} else {
					err = os.WriteFile(name, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	gone := func(string, []byte) []byte { return nil }
	empty := func(string, []byte) []byte { return []byte{} }
	half := func(_ string, b []byte) []byte { return b[:len(b)/2] }
	garbage := func(_ string, b []byte) []byte {
		for i := range b {
			b[i] = byte(i*i>>3 ^ i)
		}
		return b
	}
	flipped := func(_ string, b []byte) []byte { b[len(b)/3] ^= 0x40; return b }
	zeroed := func(_ string, b []byte) []byte { clear(b[len(b)/4 : len(b)/2]); return b }
	pages := func(_ string, b []byte) []byte { // all but the meta pages
		return append(b[:8192], garbage("", b[8192:])...)
	}
	flags := func(_ string, b []byte) []byte { // every page claims to be a branch of many
		for i := 8192; i < len(b); i += 4096 {
			b[i+8], b[i+10], b[i+11] = 1, 0xff, 0xff
		}
		return b
	}
	kinds := map[string]func(*testing.T, string){
		"nothing":            func(*testing.T, string) {},
		"root gone":          each("index-*/root.bolt", gone),
		"root empty":         each("index-*/root.bolt", empty),
		"root cut":           each("index-*/root.bolt", half),
		"root garbage":       each("index-*/root.bolt", garbage),
		"root pages garbage": each("index-*/root.bolt", pages),
		"root flags":         each("index-*/root.bolt", flags),
		"root zeroed":        each("index-*/root.bolt", zeroed),
		"segments gone":      each("index-*/*.zap", gone),
		"segments empty":     each("index-*/*.zap", empty),
		"segments cut":       each("index-*/*.zap", half),
		"segments flipped":   each("index-*/*.zap", flipped),
		"segments zeroed":    each("index-*/*.zap", zeroed),
		"all gone":           each("index-*/*", gone),
		"manifest gone":      each("manifest.json", gone),
		"manifest garbage":   each("manifest.json", garbage),
		"other mapping": each("manifest.json", func(_ string, b []byte) []byte {
			return []byte(strings.Replace(string(b), `"mapping":`, `"mapping":9`, 1))
		}),
	}
	for name, damage := range kinds {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, clean %v", name, clean), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
					t.Fatal(err)
				}
				if !clean {
					each("manifest.json", func(_ string, b []byte) []byte {
						var m manifest
						if err := json.Unmarshal(b, &m); err != nil {
							t.Fatal(err)
						}
						m.Clean, m.Files = false, nil
						b, _ = json.Marshal(m)
						return b
					})(t, dir)
				}
				damage(t, dir)
				began := time.Now()
				x := start(t, dir, m)
				if d := time.Since(began); d > 8*time.Second {
					t.Errorf("opened in %v", d)
				}
				if name == "nothing" && x.Status().Documents != 40 {
					t.Error("an index that nothing is wrong with was given up")
				}
				settle(t, x, m)
				if n := total(t, x, "lantern"); n != 40 || x.Status().Documents != 40 {
					t.Errorf("%d matches, %+v", n, x.Status())
				}
			})
		}
	}
}

// TestKilled kills a process that is indexing: nothing that it had saved is
// lost and the rest follows.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("CITYMARKET_SEARCH_KILL"); dir != "" {
		m := newMemory()
		for i := range 2000 {
			m.put(simple(fmt.Sprint(i), 1, "Lantern"))
		}
		x, err := Open(dir, m, entryOf, discard)
		if err != nil {
			t.Fatal(err)
		}
		go x.Follow(context.Background())
		for x.Status().Documents < 1000 {
			if err := x.Wait(context.Background(), "solution", "999", 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.serving.Load().saved(context.Background()); err != nil {
			t.Fatal(err)
		}
		fmt.Println("indexed")
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "CITYMARKET_SEARCH_KILL="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	m := newMemory()
	for i := range 2000 {
		m.put(simple(fmt.Sprint(i), 1, "Lantern"))
	}
	x := start(t, dir, m)
	if n := x.Status().Documents; n < 1000 {
		t.Errorf("%d documents after the crash", n)
	}
	settle(t, x, m)
	if n := total(t, x, "lantern"); n != 2000 {
		t.Error(n)
	}
}
