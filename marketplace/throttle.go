package marketplace

import (
	"container/heap"
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// maxThrottled is how many keys a throttle remembers for each limit: some 100
// bytes each.
const maxThrottled = 100_000

// A throttleLimit is how often something may be tried: burst times at once,
// and once more each time that every has passed. Both are positive.
type throttleLimit struct {
	burst int
	every time.Duration
}

// A throttle bounds how often things are tried that can be guessed, by key: an
// account, an address. It lives in memory, so a restart forgives, and each
// process counts for itself.
//
// It remembers of each key when its bucket will be full again (the generic
// cell rate algorithm); a key whose bucket is full is forgotten. When there is
// no room for another key, the one whose bucket will be full first is
// forgotten, and keys that are not known count as if they had tried as much as
// the one that was forgotten: as in the Space-Saving algorithm, a count is
// never too low. So nobody can make a throttle forget a key by trying many
// others. All that can be gained by that is that keys that are new begin with
// fewer tries, and only as many fewer as were spent on each of the 100,000.
type throttle struct {
	size int
	seed maphash.Seed // so that nobody can choose keys that are taken for one another

	mu     sync.Mutex
	tables map[throttleLimit]*throttleTable // the limits are few: they are written in the program
}

func newThrottle(size int) *throttle {
	return &throttle{size: size, seed: maphash.MakeSeed(), tables: map[throttleLimit]*throttleTable{}}
}

// take counts a try and returns 0 when it may be made. Else the try does not
// count, and the result is how long to wait until the next may.
func (t *throttle) take(key string, limit throttleLimit, now time.Time) (wait time.Duration) {
	h := maphash.String(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	table := t.tables[limit]
	if table == nil {
		table = &throttleTable{keys: map[uint64]*throttleEntry{}}
		t.tables[limit] = table
	}
	return table.take(h, limit, now.UnixNano(), t.size)
}

// A throttleTable is what is known for one limit. Times are nanoseconds since
// 1970.
type throttleTable struct {
	keys  map[uint64]*throttleEntry
	first throttleHeap
	floor int64 // no key that is not known has a bucket that will be full later
}

type throttleEntry struct {
	key  uint64
	full int64 // when its bucket will be full
	at   int   // its place in the heap
}

func (t *throttleTable) take(key uint64, limit throttleLimit, now int64, size int) time.Duration {
	for range 2 { // more than one can be added
		if len(t.first) > 0 && t.first[0].full <= now {
			t.forget()
		}
	}
	every, all := int64(limit.every), int64(limit.every)*int64(limit.burst)
	t.floor = min(t.floor, now+all) // it is later only when the clock was set back
	full, e := t.floor, t.keys[key]
	if e != nil {
		if e.full > now+all {
			e.full = now + all
			heap.Fix(&t.first, e.at)
		}
		full = e.full
	}
	full = max(full, now)
	full += every
	if full > now+all {
		return time.Duration(full - now - all)
	}
	if e != nil {
		e.full = full
		heap.Fix(&t.first, e.at)
		return 0
	}
	if len(t.first) >= size {
		t.floor = max(t.floor, t.first[0].full)
		t.forget()
	}
	e = &throttleEntry{key: key, full: full}
	t.keys[key] = e
	heap.Push(&t.first, e)
	return 0
}

func (t *throttleTable) forget() {
	delete(t.keys, heap.Pop(&t.first).(*throttleEntry).key)
}

// A throttleHeap has the key first whose bucket will be full first.
type throttleHeap []*throttleEntry

func (h throttleHeap) Len() int           { return len(h) }
func (h throttleHeap) Less(i, j int) bool { return h[i].full < h[j].full }
func (h throttleHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *throttleHeap) Push(x any) {
	e := x.(*throttleEntry)
	e.at = len(*h)
	*h = append(*h, e)
}

func (h *throttleHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// NetworkOf is what a network address is limited by: of IPv6 the first 64
// bits, since whoever has one address has the 2^64 around it. It is empty for
// what is no address.
func NetworkOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is never too long
		return p.String()
	}
	return a.String()
}

// What is limited, since it can be guessed or sends letters.
type limited struct {
	name string
	// account is for each account, pair for each account and address, and
	// address for each network address. So one address cannot try many
	// accounts, many addresses cannot try one account fast, and nobody
	// can keep the owner of an account out from the owner's own address
	// without sending from many.
	account, pair, address throttleLimit
}

var (
	limitSignIn = limited{"sign in", throttleLimit{100, time.Minute}, throttleLimit{10, time.Minute}, throttleLimit{50, 10 * time.Second}}
	limitCode   = limited{"second factor", throttleLimit{10, 5 * time.Minute}, throttleLimit{5, time.Minute}, throttleLimit{50, 10 * time.Second}}
	limitReset  = limited{"reset", throttleLimit{3, 10 * time.Minute}, throttleLimit{3, 10 * time.Minute}, throttleLimit{20, time.Minute}}
	limitTicket = limited{"link", throttleLimit{}, throttleLimit{}, throttleLimit{50, 10 * time.Second}}
	// limitCommand is for whatever a user changes: nobody can make the store
	// grow without end, and nobody who works by hand or by a program that takes
	// its time will meet it. Files of many solutions are imported.
	limitCommand     = limited{name: "command", account: throttleLimit{2000, 200 * time.Millisecond}}
	limitCommonTimes = limited{name: "common times", account: throttleLimit{60, time.Second}} // they take some ms
	limitInvite      = limited{"invite", throttleLimit{100, time.Minute}, throttleLimit{}, throttleLimit{}}
)

// limit takes one try from what an account and the viewer's address have left.
func (m *Market) limit(ctx context.Context, what limited, account string) error {
	now, address := m.now(), NetworkOf(ViewerOf(ctx).Address)
	for _, l := range []struct {
		key   string
		limit throttleLimit
	}{
		{what.name + "\x00a\x00" + address, what.address},
		{what.name + "\x00p\x00" + address + "\x00" + account, what.pair},
		{what.name + "\x00u\x00" + account, what.account},
	} {
		if l.limit == (throttleLimit{}) {
			continue
		}
		if wait := m.throttle.take(l.key, l.limit, now); wait > 0 {
			return &RateLimitedError{Wait: wait}
		}
	}
	return nil
}
