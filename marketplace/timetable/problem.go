package timetable

// Limits of what is solved: more of something is refused by Solve with an Error.
const (
	MaxSlots        = 256
	MaxTables       = 2000
	MaxParticipants = 5000
	MaxMeetings     = 50_000
	MaxSeats        = 100
	MaxScore        = 1_000_000
)

// Problem is everything that a timetable is made of. Things are named by IDs
// of the caller's choice, which are unique among their like.
type Problem struct {
	Slots        []Slot // in order of time
	Tables       []Table
	Participants []Participant
	Meetings     []Meeting

	// Spread, where it is given, is by how much the numbers of breaks of two
	// participants may differ, also of one who has no meeting.
	Spread *int `json:",omitempty"`

	// Online says that there is no table to be had or to be moved between;
	// Tables must then be empty.
	Online bool `json:",omitempty"`
}

// Slot is a time at which meetings can be held.
type Slot struct {
	ID  string
	Day string `json:",omitempty"` // slots of a day follow one another; idle time between two days is no break

	// Closed slots hold no meeting, because of a plenary or a pause. They are
	// passed over: the slots before and after one follow one another.
	Closed bool `json:",omitempty"`
}

// Table is a place of one meeting at a time: a table, a room, a line.
type Table struct {
	ID string

	// Owner is the participant whose meetings are held here, and nobody else's.
	// All meetings of an owner are held at its tables; where both sides own
	// one, at those of A.
	Owner string   `json:",omitempty"`
	Away  []string `json:",omitempty"` // slots at which it cannot be had
}

// Participant is a member, or whoever else meets.
type Participant struct {
	ID     string
	People []Person `json:",omitempty"` // who can sit in meetings, each in one at a time; none: one who is never away
	Away   []string `json:",omitempty"` // slots at which nobody of it can meet
	Min    int      `json:",omitempty"` // meetings it should have at least; a goal, not a condition
	Max    int      `json:",omitempty"` // meetings it may have at most; 0: as many as find room

	// Staff, such as interpreters, work at meetings: their breaks and shares
	// are not counted.
	Staff bool `json:",omitempty"`
}

// Person is one of a participant's delegates.
type Person struct {
	ID   string   // unique among all persons
	Away []string `json:",omitempty"` // slots at which they cannot meet
}

// Rank says how much a meeting is asked for.
type Rank int8

const (
	Want   Rank = iota
	Must        // before any number of wants
	Booked      // takes place; a timetable without it is none
)

// Meeting is one that is asked for. The same two participants may have several.
type Meeting struct {
	ID    string
	A, B  string
	With  []string `json:",omitempty"` // further participants who must be there, each with one person
	Rank  Rank     `json:",omitempty"`
	Score int      `json:",omitempty"` // what it is worth among those of its rank, 0 to MaxScore; see Reciprocal

	// Slots are those in which it may be held; none: any. Naming one fixes it.
	Slots  []string `json:",omitempty"`
	Table  string   `json:",omitempty"` // at which it must be held
	People []string `json:",omitempty"` // persons of A, B or With who must be there; of a side that is not named anybody will do
	After  []string `json:",omitempty"` // meetings that, where they are held, must be in an earlier slot
}

// Placement is a meeting that has a slot and a table; no table online.
type Placement struct {
	Meeting string
	Slot    string
	Table   string `json:",omitempty"`
}

// Reciprocal makes the score of a meeting of what each side gives it: their
// harmonic mean, so that a strong wish which is not returned counts little,
// but at least a quarter of the stronger one.
func Reciprocal(a, b int) int {
	a, b = max(a, 0), max(b, 0)
	if a+b == 0 {
		return 0
	}
	return max(2*a*b/(a+b), max(a, b)/4)
}

// Error says what is wrong with a Problem, such as
// "timetable: meeting m7: there is no participant acme".
type Error struct{ Message string }

func (e *Error) Error() string { return "timetable: " + e.Message }
