package timetable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const smallDzn = `
% two sessions, a set, a range, a fixed slot, an order
nBusiness = 4; nMeetings = 4;
nTables = 2; nTotalSlots = 4; nMorningSlots = 2;
requested = [|1, 2,3,
|1, 3,1, |1, 2, 2
|3,4,3|];
meetingsxBusiness = [{1,2,3},{1,3},{2,4},{4}];
forbidden = [{0}, {2}, 3..4, {}];
fixed = [0, 0, 3, 0];
precedences = [{}, {}, {2}, {2}];
`

func TestReadDzn(t *testing.T) {
	t.Parallel()
	text := smallDzn
	p, err := ReadDzn(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Slots) != 4 || len(p.Tables) != 2 || len(p.Participants) != 4 || len(p.Meetings) != 4 {
		t.Fatalf("%+v", p)
	}
	if x := p.Participants; !slices.Equal(x[1].Away, []string{"2"}) || !slices.Equal(x[2].Away, []string{"3", "4"}) || x[0].Away != nil || x[3].Away != nil {
		t.Errorf("away: %+v", x)
	}
	m := p.Meetings
	if m[0].Slots != nil || !slices.Equal(m[1].Slots, []string{"1", "2"}) || !slices.Equal(m[2].Slots, []string{"3"}) || !slices.Equal(m[3].After, []string{"2"}) {
		t.Errorf("meetings: %+v", m)
	}
	if m[0].A != m[2].A || m[0].B != m[2].B || m[0].ID == m[2].ID {
		t.Error("two meetings of a pair are one")
	}
	p.Spread = new(2)
	r, err := Solve(context.Background(), p, Options{})
	if err != nil || r.Status != Found || !r.Measure(Breaks).Best() {
		t.Fatalf("%+v, %v", r, err)
	}
	if v := Verify(p, r.Placements); len(v.Violations) > 0 {
		t.Error(v.Violations)
	}
}

// What an editor or a shorter writer leaves in or out makes no difference.
func TestReadShortDzn(t *testing.T) {
	t.Parallel()
	p, err := ReadDzn(strings.NewReader("\ufeffnBusiness=3;nMeetings=2;nTables=1;nTotalSlots=3;requested=[|1,2,3|1,3,3|]"))
	if err != nil || len(p.Slots) != 3 || len(p.Meetings) != 2 || p.Meetings[1].Slots != nil {
		t.Errorf("%+v %v", p, err)
	}
	p, err = ReadDzn(strings.NewReader(strings.Replace(smallDzn, "{2}, 3..4", "{2, 9}, 3..4", 1)))
	if err != nil || !slices.Equal(p.Participants[1].Away, []string{"2"}) {
		t.Errorf("a slot that does not exist: %+v %v", p, err)
	}
	p, err = ReadDzn(strings.NewReader("nBusiness=3;nMeetings=0;nTables=0;nTotalSlots=0;requested=[];"))
	if err != nil || len(p.Slots) != 0 {
		t.Errorf("%+v %v", p, err)
	}
}

// Meetings that can have no slot are read, and proven to be impossible.
func TestMeetingsWithoutSlot(t *testing.T) {
	t.Parallel()
	for what, change := range map[string][2]string{
		"no afternoon":          {"nMorningSlots = 2", "nMorningSlots = 4"},
		"fixed in the morning":  {"[0, 0, 3, 0]", "[0, 0, 1, 0]"},
		"fixed nowhere":         {"[0, 0, 3, 0]", "[0, 0, 5, 0]"},
		"before itself":         {"[{}, {}, {2}, {2}]", "[{}, {}, {3}, {2}]"},
		"fixed when it is away": {"{2}, 3..4, {}", "{2,3}, {1}, {}"},
	} {
		text := strings.Replace(smallDzn, change[0], change[1], 1)
		p, err := ReadDzn(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if r, err := Solve(context.Background(), p, Options{}); err != nil || r.Status != Impossible || len(r.Reasons) == 0 {
			t.Errorf("%s: %v %v", what, r.Status, err)
		}
	}
}

func TestReadDznRefuses(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string][2]string{
		"no number":        {"nTables = 2", "nTables = {1,2}"},
		"too many":         {"nTotalSlots = 4", "nTotalSlots = 400"},
		"missing":          {"nBusiness = 4;", ""},
		"no morning":       {"nMorningSlots = 2;", ""},
		"no participant":   {"|3,4,3|", "|3,5,3|"},
		"with itself":      {"|3,4,3|", "|3,3,3|"},
		"no session":       {"|3,4,3|", "|3,4,4|"},
		"too few":          {"|3,4,3|", "|"},
		"no meeting":       {"{2}, {2}]", "{2}, {7}]"},
		"twice":            {"nTables = 2;", "nTables = 2; nTables = 2;"},
		"not closed":       {"{2}, {2}];", "{2}, {2"},
		"no assignment":    {"nTables = 2;", "nTables;"},
		"huge number":      {"nTables = 2;", "nTables = 99999999999;"},
		"not a number":     {"nTables = 2;", "nTables = two;"},
		"wrong characters": {"nTables = 2;", "nTables = 2 ? 3;"},
	} {
		text := strings.Replace(smallDzn, want[0], want[1], 1)
		p, err := ReadDzn(strings.NewReader(text))
		if err == nil {
			_, err = Solve(context.Background(), p, Options{})
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func FuzzReadDzn(f *testing.F) {
	f.Add(smallDzn)
	f.Add("nBusiness = 1..9;")
	f.Add("a=[|1,2|3];b={1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadDzn(strings.NewReader(text))
		if err == nil {
			_, err = compile(p)
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("%v", err)
		}
	})
}

// planted is a problem with all features of the benchmark's files, made around
// a timetable so that there is one, and the breaks of that.
func planted(seed uint64, parties, slots, tables, meetings int) (*Problem, int) {
	random := rand.New(rand.NewPCG(seed, 9))
	p := &Problem{}
	var placed []Placement
	for s := range slots {
		p.Slots = append(p.Slots, Slot{ID: fmt.Sprint(s)})
	}
	for i := range tables {
		p.Tables = append(p.Tables, Table{ID: fmt.Sprint(i)})
	}
	busy := map[[2]int]bool{}
	at := make([]int, 0, meetings)
	used := make([]int, slots)
	for tries := 0; len(at) < meetings && tries < 100*meetings; tries++ {
		a, b, s := random.IntN(parties), random.IntN(parties), random.IntN(slots)
		if a == b || busy[[2]int{a, s}] || busy[[2]int{b, s}] || used[s] == tables {
			continue
		}
		busy[[2]int{a, s}], busy[[2]int{b, s}] = true, true
		m := Meeting{ID: fmt.Sprint(len(at)), A: fmt.Sprint(a), B: fmt.Sprint(b), Rank: Booked}
		half := 0
		if s >= slots/2 {
			half = slots / 2
		}
		switch random.IntN(5) {
		case 0: // of its half of the day
			for k := half; k < half+slots/2; k++ {
				m.Slots = append(m.Slots, fmt.Sprint(k))
			}
		case 1:
			if random.IntN(2) == 0 {
				m.Slots = []string{fmt.Sprint(s)}
			}
		case 2:
			if k := random.IntN(len(at) + 1); k < len(at) && at[k] < s {
				m.After = []string{fmt.Sprint(k)}
			}
		}
		placed = append(placed, Placement{m.ID, fmt.Sprint(s), fmt.Sprint(used[s])})
		used[s]++
		at = append(at, s)
		p.Meetings = append(p.Meetings, m)
	}
	for i := range parties {
		x := Participant{ID: fmt.Sprint(i)}
		for s := range slots {
			if !busy[[2]int{i, s}] && random.IntN(4) == 0 {
				x.Away = append(x.Away, fmt.Sprint(s))
			}
		}
		p.Participants = append(p.Participants, x)
	}
	v := Verify(p, placed)
	if len(v.Violations) > 0 {
		panic(v.Violations[0])
	}
	return p, v.Breaks
}

// Problems that have a timetable are solved, with fixed slots, precedences and
// slots that are forbidden.
func TestPlantedTimetablesAreFound(t *testing.T) {
	t.Parallel()
	n := 4
	if testing.Short() {
		n = 1
	}
	for seed := range uint64(n) {
		p, breaks := planted(seed, 30, 10, 12, 100)
		r, err := Solve(context.Background(), p, Options{Seed: seed})
		if err != nil || r.Status != Found {
			t.Fatalf("seed %d: %v, %v", seed, r.Status, err)
		}
		v := Verify(p, r.Placements)
		m := r.Measure(Breaks)
		if len(v.Violations) > 0 || v.Breaks > breaks || int64(v.Breaks) != m.Value || m.Bound > m.Value || len(r.Unplaced) > 0 {
			t.Errorf("seed %d: %v, %d breaks of %d, measured %v", seed, v.Violations, v.Breaks, breaks, m)
		}
	}
}

// The files of the public benchmark, where CITYMARKET_B2BSP names their
// directory, are solved as well as published.
func TestPublicBenchmark(t *testing.T) {
	dir := os.Getenv("CITYMARKET_B2BSP")
	if dir == "" {
		t.Skip("CITYMARKET_B2BSP does not name the directory of the benchmark's files")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.dzn"))
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadDzn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		p.Spread = new(2)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		r, err := Solve(ctx, p, Options{Effort: Endless})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		v := Verify(p, r.Placements)
		t.Logf("%s: %v %v", filepath.Base(path), r.Status, r.Measure(Breaks))
		if r.Status != Impossible && len(v.Violations) > 0 || r.Status == Undecided {
			t.Errorf("%s: %v %v", path, r.Status, v.Violations)
		}
	}
}
