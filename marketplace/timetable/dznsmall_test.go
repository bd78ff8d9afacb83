package timetable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// smallFile is what a file of the benchmark says, in numbers from 0.
type smallFile struct {
	parties, slots, morning, tables int

	meetings  [][3]int // two participants and a session
	forbidden [][]int
	fixed     []int // -1 for none
	before    [][]int
}

// randomFile has something of everything: fixed slots, orders that may be rings,
// pairs that meet twice, participants without a meeting, few tables.
func randomFile(random *rand.Rand) *smallFile {
	f := &smallFile{parties: 2 + random.IntN(5), slots: 2 + random.IntN(5), tables: 1 + random.IntN(3)}
	f.morning = random.IntN(f.slots + 1)
	some := func(of int) bool { return random.IntN(of) == 0 }
	for range f.parties {
		var away []int
		for s := range f.slots {
			if some(6) {
				away = append(away, s)
			}
		}
		f.forbidden = append(f.forbidden, away)
	}
	n := 1 + random.IntN(min(8, f.slots*f.tables))
	for i := range n {
		order := random.Perm(f.parties)
		m := [3]int{order[0], order[1], 3}
		if i > 0 && some(6) {
			m = f.meetings[i-1] // the same two once more
		}
		if some(3) {
			m[2] = 1 + random.IntN(3)
		}
		f.meetings = append(f.meetings, m)
		at := -1
		if some(8) {
			at = random.IntN(f.slots)
		}
		f.fixed = append(f.fixed, at)
		var before []int
		for k := range n {
			if k < i && some(8) || some(80) {
				before = append(before, k)
			}
		}
		f.before = append(f.before, before)
	}
	return f
}

// text writes the file in one of the ways in which it can be written.
func (f *smallFile) text(random *rand.Rand) string {
	newline := []string{"\n", "\r\n", " \n\n "}[random.IntN(3)]
	space := func() string { return []string{"", "", " ", newline, " % a remark; [|" + newline}[random.IntN(5)] }
	list := func(open, close string, items []string) string {
		var b strings.Builder
		for i, x := range items {
			if i > 0 {
				b.WriteString("," + space())
			}
			b.WriteString(x)
		}
		if len(items) > 0 && random.IntN(4) == 0 && open != "{" {
			b.WriteString(",")
		}
		return open + space() + b.String() + space() + close
	}
	set := func(members []int) string {
		if len(members) == 0 {
			return []string{"{}", "{0}", "{ }", "1..0"}[random.IntN(4)]
		}
		if last := len(members) - 1; members[last]-members[0] == last && random.IntN(2) == 0 {
			return fmt.Sprintf("%d%s..%s%d", members[0]+1, space(), space(), members[last]+1)
		}
		var items []string
		for _, x := range members {
			items = append(items, fmt.Sprint(x+1))
		}
		return list("{", "}", items)
	}
	sets := func(of [][]int) string {
		var items []string
		for _, x := range of {
			items = append(items, set(x))
		}
		return list("[", "]", items)
	}
	empty := func(of [][]int) bool { return !slices.ContainsFunc(of, func(x []int) bool { return len(x) > 0 }) }
	var rows strings.Builder
	for _, m := range f.meetings {
		fmt.Fprintf(&rows, "|%s%d,%s%d ,%d,%s", space(), m[0]+1, space(), m[1]+1, m[2], space())
	}
	var fixed []string
	free := true
	for _, s := range f.fixed {
		fixed = append(fixed, fmt.Sprint(s+1))
		free = free && s < 0
	}
	lines := []string{
		fmt.Sprint("nBusiness =", f.parties), fmt.Sprint("nMeetings=", len(f.meetings)), fmt.Sprint("nTables = ", f.tables),
		fmt.Sprint("nTotalSlots = ", f.slots), fmt.Sprint("nMorningSlots = ", f.morning),
		"requested = [" + rows.String() + "|]", "meetingsxBusiness = [{1}]", "nMeetingsBusiness = [1,2]",
	}
	if !empty(f.forbidden) || random.IntN(2) == 0 {
		lines = append(lines, "forbidden"+space()+"="+space()+sets(f.forbidden))
	}
	if !free || random.IntN(2) == 0 {
		lines = append(lines, "fixed = "+list("[", "]", fixed))
	}
	if !empty(f.before) || random.IntN(2) == 0 {
		lines = append(lines, "precedences = "+sets(f.before))
	}
	random.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
	return strings.Join(lines, space()+";"+newline) + []string{";", "", ";" + newline}[random.IntN(3)]
}

// fewest tries everything: the fewest breaks of all together where no two
// participants differ by more than the spread; -1 where there is no timetable.
func (f *smallFile) fewest(spread int) int {
	best := -1
	at := make([]int, len(f.meetings))
	used := make([]int, f.slots)
	busy := make([]uint, f.parties)
	var try func(i int)
	try = func(i int) {
		if i == len(at) {
			for k, list := range f.before {
				for _, b := range list {
					if at[b] >= at[k] {
						return
					}
				}
			}
			sum, least, most := 0, f.slots, 0
			for _, b := range busy {
				n, last := 0, -1
				for s := range f.slots {
					if b>>s&1 == 1 {
						if last >= 0 && last < s-1 {
							n++
						}
						last = s
					}
				}
				sum, least, most = sum+n, min(least, n), max(most, n)
			}
			if most-least <= spread && (best < 0 || sum < best) {
				best = sum
			}
			return
		}
		m := f.meetings[i]
		for s := range f.slots {
			bit := uint(1) << s
			if used[s] == f.tables || (busy[m[0]]|busy[m[1]])&bit != 0 || f.fixed[i] >= 0 && f.fixed[i] != s ||
				m[2] == 1 && s >= f.morning || m[2] == 2 && s < f.morning ||
				slices.Contains(f.forbidden[m[0]], s) || slices.Contains(f.forbidden[m[1]], s) {
				continue
			}
			at[i] = s
			used[s]++
			busy[m[0]] |= bit
			busy[m[1]] |= bit
			try(i + 1)
			used[s]--
			busy[m[0]] &^= bit
			busy[m[1]] &^= bit
		}
	}
	try(0)
	return best
}

// Files of the benchmark with all its features, however they are written, are
// solved to the optimum that trying everything finds, or proven to have none.
func TestSmallFilesAgainstEverything(t *testing.T) {
	t.Parallel()
	n := 400
	if testing.Short() {
		n = 60
	}
	for seed := range uint64(n) {
		random := rand.New(rand.NewPCG(seed, 21))
		f := randomFile(random)
		text := f.text(random)
		p, err := ReadDzn(strings.NewReader(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		p.Spread = new(random.IntN(3))
		r, err := Solve(context.Background(), p, Options{Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		want := f.fewest(*p.Spread)
		if want < 0 {
			if r.Status != Impossible || len(r.Reasons) == 0 {
				t.Errorf("seed %d: %v %v, and there is no timetable\n%s", seed, r.Status, r.Reasons, text)
			}
			continue
		}
		if r.Status != Found {
			t.Errorf("seed %d: %v %+v, and there is one of %d breaks\n%s", seed, r.Status, r.Reasons, want, text)
			continue
		}
		v, m := Verify(p, r.Placements), r.Measure(Breaks)
		if len(v.Violations) > 0 || len(r.Placements) != len(f.meetings) || v.Breaks != want || m.Value != int64(want) || m.Bound != int64(want) {
			t.Errorf("seed %d: %v, %d of %d meetings, breaks %d %v of %d\n%s", seed, v.Violations, len(r.Placements), len(f.meetings), v.Breaks, m, want, text)
		}
	}
}
