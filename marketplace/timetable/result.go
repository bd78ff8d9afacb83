package timetable

import "context"

// Status says what is known of a problem.
type Status int8

const (
	Undecided  Status = iota // the effort or the time did not do: not every booked meeting has a slot
	Found                    // a timetable in which all conditions hold
	Impossible               // proven: the booked meetings cannot all be held
)

func (s Status) String() string {
	return [...]string{"undecided", "found", "impossible"}[s]
}

// Goal is one thing that a timetable should be good at.
type Goal string

// The goals, the most important first.
const (
	Musts      Goal = "musts"      // meetings of rank Must that are held; more is better
	Shortfall  Goal = "shortfall"  // meetings that participants have less than their minimum, summed
	Held       Goal = "held"       // meetings that are held, of any rank; more is better
	Score      Goal = "score"      // the sum of their scores; more is better
	Changes    Goal = "changes"    // earlier placements that are no more, after Resolve
	Breaks     Goal = "breaks"     // breaks of all participants
	MostBreaks Goal = "mostBreaks" // breaks of the participant who has most
	TableMoves Goal = "tableMoves" // how often a participant with one seat goes to another table within a day
)

// Measure is what a timetable is worth by a goal, and how good it could be at
// most: Bound is proven. The bounds of breaks and table moves are those for the
// meetings that are held, and of table moves for their slots.
type Measure struct {
	Goal  Goal
	Value int64
	Bound int64
}

// Best says whether nothing better can be.
func (m Measure) Best() bool { return m.Value == m.Bound }

// Result is a timetable, how good it is, and what it leaves out.
type Result struct {
	Status     Status
	Placements []Placement // by slot, then as the problem lists the meetings
	Measures   []Measure   // by importance; none where nothing was found
	Unplaced   []Unplaced
	Reasons    []Reason // of the problem as a whole: why it is impossible, or not everything fits
}

// Measure is the one of a goal; zero where there is none.
func (r *Result) Measure(g Goal) Measure {
	for _, m := range r.Measures {
		if m.Goal == g {
			return m
		}
	}
	return Measure{Goal: g}
}

// Unplaced is a meeting that is not held, with what speaks against it and what
// would let it in.
type Unplaced struct {
	Meeting string
	Reasons []Reason
}

// Code names a reason for programs; people are told in their own language.
type Code string

const (
	NoCommonSlot    Code = "NO_COMMON_SLOT"    // its participants are never free at once within its slots
	TooManyMeetings Code = "TOO_MANY_MEETINGS" // Participant asks for Wanted meetings, of which Room fit into its free slots
	AtMaximum       Code = "AT_MAXIMUM"        // Participant has the Room meetings that it may have, of Wanted
	TooFewPlaces    Code = "TOO_FEW_PLACES"    // Wanted meetings, Room places (tables times slots)
	TablesTaken     Code = "TABLES_TAKEN"      // Participant's or all tables are taken in the Room slots in which both sides are free
	SlotsTaken      Code = "SLOTS_TAKEN"       // its participants share Room slots, in each of which one of them meets somebody else
	OutOfOrder      Code = "OUT_OF_ORDER"      // Meetings that must be before or after it leave no slot
	Clash           Code = "CLASH"             // Meetings that cannot all be held; where none are named, Wanted in all, of which Room can be at once in the slots
	SpreadTooSmall  Code = "SPREAD_TOO_SMALL"  // holding it would make the breaks too unequal
)

// Remedy names what would let a meeting in.
type Remedy string

const (
	MoreSlots        Remedy = "MORE_SLOTS"        // Count more slots in which both sides are free
	MoreTables       Remedy = "MORE_TABLES"       // Count more tables, or that many more places
	MoreSeats        Remedy = "MORE_SEATS"        // one more person of Participant
	HigherMaximum    Remedy = "HIGHER_MAXIMUM"    // Participant may have Count more
	MoreAvailability Remedy = "MORE_AVAILABILITY" // a slot in which both sides are there
)

// Reason is why something could not be.
type Reason struct {
	Code        Code
	Participant string   `json:",omitempty"`
	Meetings    []string `json:",omitempty"`
	Wanted      int      `json:",omitempty"`
	Room        int      `json:",omitempty"`
	Remedy      Remedy   `json:",omitempty"`
	Count       int      `json:",omitempty"` // of the remedy
}

// Stage says what a run is at.
type Stage string

const (
	Choosing  Stage = "choosing"  // which meetings
	Placing   Stage = "placing"   // in which slots
	Polishing Stage = "polishing" // with fewer breaks
	Proving   Stage = "proving"   // that there are no fewer
	Seating   Stage = "seating"   // at which tables
)

// Progress is told from time to time, by the goroutine that called Solve.
type Progress struct {
	Stage Stage
	Held  int // meetings that have a slot
	Of    int // meetings that may get one, at most
	// Breaks and BreaksBound are meant from Polishing on.
	Breaks, BreaksBound int
}

// Options are how a problem is worked on.
type Options struct {
	Seed uint64

	// Effort is how much is worked, 0 being 4: the steps of each search are a
	// multiple of it. It is counted, not timed: the same problem, seed and
	// effort give the same result, unless the context ends first. Then the best
	// so far is the result.
	Effort int

	Progress func(Progress) // may be nil
}

// Endless is an effort that goes on until nothing better can be or the context ends.
const Endless = 1 << 20

// Solve makes a timetable. It uses one core. The error is an *Error, for a
// problem that says nonsense; a context that ends is no error.
func Solve(ctx context.Context, p *Problem, o Options) (*Result, error) {
	s, err := newSolver(p, o)
	if err != nil {
		return nil, err
	}
	return s.solve(ctx), nil
}

// Resolve makes a timetable of an earlier one with the fewest changes that it
// finds: what can stay stays, at its slot and table; what cannot is moved; then
// whatever is not held, such as what is new, gets a slot where it can without
// dropping another. A result of Solve or Resolve comes out as it went in when
// the problem is the same. Earlier placements of what is no more are passed over.
func Resolve(ctx context.Context, p *Problem, earlier []Placement, o Options) (*Result, error) {
	s, err := newSolver(p, o)
	if err != nil {
		return nil, err
	}
	return s.resolve(ctx, earlier), nil
}

// Lock fixes the placements of a problem's meetings, of which keep is true: those
// are booked, in their slot and at their table. The problem is not changed.
func Lock(p *Problem, placements []Placement, keep func(meeting string) bool) *Problem {
	at := make(map[string]Placement, len(placements))
	for _, x := range placements {
		at[x.Meeting] = x
	}
	locked := *p
	locked.Meetings = append([]Meeting(nil), p.Meetings...)
	for i := range locked.Meetings {
		t := &locked.Meetings[i]
		if x, ok := at[t.ID]; ok && keep(t.ID) {
			t.Rank, t.Slots, t.Table = Booked, []string{x.Slot}, x.Table
		}
	}
	return &locked
}
