package marketplace

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestThrottle(t *testing.T) {
	t.Parallel()
	th := newThrottle(10)
	limit := throttleLimit{burst: 3, every: time.Minute}
	for i, step := range []struct {
		key   string
		after time.Duration
		wait  time.Duration
	}{
		{"ada", 0, 0}, {"ada", 0, 0}, {"ada", 0, 0}, {"ada", 0, time.Minute}, {"ada", 20 * time.Second, 40 * time.Second}, {"bob", 20 * time.Second, 0}, {"adam", 20 * time.Second, 0},
		{"ada", 60 * time.Second, 0}, {"ada", 60 * time.Second, time.Minute}, {"ada", time.Hour, 0}, {"ada", time.Hour, 0}, {"ada", time.Hour, 0}, {"ada", time.Hour, time.Minute},
		{"ada", 0, time.Minute}, // the clock was set back by an hour: nobody waits for an hour
		{"ada", time.Minute, 0},
	} {
		if got := th.take(step.key, limit, noon.Add(step.after)); got != step.wait {
			t.Errorf("%d: %s after %v: %v, want %v", i, step.key, step.after, got, step.wait)
		}
	}
	// Another limit counts for itself.
	if got := th.take("ada", throttleLimit{burst: 1, every: time.Second}, noon.Add(time.Minute)); got != 0 {
		t.Error(got)
	}
}

// Whatever is tried, and however little a throttle can remember, of no key
// more pass than burst + rate * time, in whatever time; and where it can
// remember all, not one less.
func TestNoMorePassThanAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := throttleLimit{burst: rapid.IntRange(1, 5).Draw(t, "burst"), every: time.Duration(rapid.Int64Range(1, 1000).Draw(t, "every"))}
		small, large := newThrottle(rapid.IntRange(1, 4).Draw(t, "size")), newThrottle(100)
		passed := map[string][]time.Time{} // by the small one
		tokens, seen := map[string]float64{}, map[string]time.Time{}
		now := noon
		for range rapid.IntRange(1, 300).Draw(t, "tries") {
			now = now.Add(time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 2*int64(limit.every))).Draw(t, "pause")))
			key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"}).Draw(t, "key")

			wait := small.take(key, limit, now)
			if wait < 0 || wait > limit.every*time.Duration(limit.burst) {
				t.Fatalf("wait for %v", wait)
			}
			if wait == 0 {
				passed[key] = append(passed[key], now)
				for i, first := range passed[key] {
					if n, most := len(passed[key])-i, limit.burst+int(now.Sub(first)/limit.every); n > most {
						t.Fatalf("%d of %s passed within %v, at most %d may", n, key, now.Sub(first), most)
					}
				}
			}
			if n := len(small.tables[limit].keys); n > small.size || n != len(small.tables[limit].first) {
				t.Fatalf("%d keys are remembered", n)
			}

			// A bucket as the textbooks have it.
			have, known := tokens[key]
			if !known {
				have = float64(limit.burst)
			} else {
				have = min(float64(limit.burst), have+float64(now.Sub(seen[key]))/float64(limit.every))
			}
			pass := have >= 1-1e-9
			if pass {
				have--
			}
			tokens[key], seen[key] = have, now
			if got := large.take(key, limit, now); (got == 0) != pass || !pass && absolute(float64(got)-(1-have)*float64(limit.every)) > 1 {
				t.Fatalf("%s: wait for %v with %f tokens", key, got, have)
			}
		}
	})
}

func absolute(f float64) float64 { return max(f, -f) }

// A flood of other keys does not give a victim's guesser one more try, and
// costs those who come after it no more than it spent on each of its keys.
func TestFloodForgetsNobody(t *testing.T) {
	t.Parallel()
	const size = 1000
	th := newThrottle(size)
	limit := throttleLimit{burst: 5, every: time.Minute}
	now := noon
	for range limit.burst {
		if th.take("victim", limit, now) != 0 {
			t.Fatal("refused too early")
		}
	}
	for i := range 20 * size {
		th.take(fmt.Sprint("flood", i%(3*size)), limit, now)
		if i%97 == 0 && th.take("victim", limit, now) == 0 {
			t.Fatalf("one more guess after %d others", i)
		}
	}
	th = newThrottle(size)
	for i := range 2 * size {
		th.take(fmt.Sprint("flood", i), limit, now)
	}
	left := 0
	for th.take("newcomer", limit, now) == 0 {
		left++
	}
	if left < limit.burst-2 {
		t.Errorf("a newcomer has %d tries", left)
	}
	now = now.Add(time.Hour)
	for range 2 * size {
		th.take("newcomer", limit, now)
	}
	if n := len(th.tables[limit].keys); n != 1 {
		t.Errorf("%d keys are remembered whose buckets are full", n)
	}
}

func TestThrottleTogether(t *testing.T) {
	t.Parallel()
	th := newThrottle(10)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if th.take("ada", throttleLimit{burst: 7, every: time.Minute}, noon) == 0 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 7 {
		t.Errorf("%d passed", passed.Load())
	}
}

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for a, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := NetworkOf(a); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}

func BenchmarkThrottle(b *testing.B) {
	th, limit := newThrottle(maxThrottled), throttleLimit{burst: 1e6, every: time.Minute} // all pass
	keys := make([]string, 3*maxThrottled)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		th.take(keys[i%len(keys)], limit, noon)
	}
}
