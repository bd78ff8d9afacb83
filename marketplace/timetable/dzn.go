package timetable

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// noSlot is the closed slot of meetings that can have none, because their session
// has none or they are fixed outside of it.
const noSlot = "none"

// noMorning is the morning's slots where a file does not tell them.
const noMorning = -1

// maxDzn is how many bytes a file of the benchmark may have.
const maxDzn = 8 << 20

// ReadDzn reads a problem of the public benchmark for meetings of businesses
// (Bofill et al., JAIR 74, 2022): assignments of MiniZinc to nBusiness,
// nMeetings, nTables, nTotalSlots, nMorningSlots, requested, forbidden, fixed
// and precedences; others are passed over, and the last three may be missing, as
// may nMorningSlots where no meeting is of a session.
// Participants, meetings, slots and tables are named by their numbers there;
// every meeting is Booked. It says nothing of the spread, which is no part of the files.
func ReadDzn(r io.Reader) (*Problem, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxDzn+1))
	if err != nil {
		return nil, fmt.Errorf("timetable: %w", err)
	}
	if len(b) > maxDzn {
		return nil, &Error{fmt.Sprintf("a file of more than %d bytes", maxDzn)}
	}
	values, err := parseDzn(strings.TrimPrefix(string(b), "\ufeff"))
	if err != nil {
		return nil, err
	}
	return values.problem()
}

// dzn is the values of a file: for each name a list of lists. A number is a
// list of one list of one; a set within a list is a list.
type dzn map[string][][]int

func (d dzn) number(name string, least, most int) (int, error) {
	v, ok := d[name]
	if !ok || len(v) != 1 || len(v[0]) != 1 {
		return 0, &Error{name + " must be a number"}
	}
	if n := v[0][0]; n < least || n > most {
		return 0, &Error{fmt.Sprintf("%s is %d, not %d to %d", name, n, least, most)}
	}
	return v[0][0], nil
}

// lists is one list for each of n things; none where the name is missing.
func (d dzn) lists(name string, n int) ([][]int, error) {
	v, ok := d[name]
	if !ok {
		return make([][]int, n), nil
	}
	if len(v) != n {
		return nil, &Error{fmt.Sprintf("%s has %d entries, not %d", name, len(v), n)}
	}
	return v, nil
}

func (d dzn) problem() (*Problem, error) {
	var n [5]int
	for i, x := range []struct {
		name        string
		least, most int
	}{{"nBusiness", 0, MaxParticipants}, {"nMeetings", 0, MaxMeetings}, {"nTables", 0, MaxTables}, {"nTotalSlots", 0, MaxSlots}, {"nMorningSlots", 0, MaxSlots}} {
		if _, ok := d[x.name]; !ok && x.name == "nMorningSlots" {
			n[i] = noMorning
			continue
		}
		var err error
		if n[i], err = d.number(x.name, x.least, x.most); err != nil {
			return nil, err
		}
	}
	businesses, meetings, tables, slots, morning := n[0], n[1], n[2], n[3], n[4]
	if morning > slots {
		return nil, &Error{fmt.Sprintf("nMorningSlots is %d, more than the %d slots", morning, slots)}
	}
	p := &Problem{}
	nowhere := false // whether there is a meeting without a slot
	var names []string
	for i := range slots {
		names = append(names, strconv.Itoa(i+1))
		p.Slots = append(p.Slots, Slot{ID: names[i]})
	}
	for i := range tables {
		p.Tables = append(p.Tables, Table{ID: strconv.Itoa(i + 1)})
	}
	forbidden, err := d.lists("forbidden", businesses)
	if err != nil {
		return nil, err
	}
	for i := range businesses {
		x := Participant{ID: strconv.Itoa(i + 1)}
		for _, s := range forbidden[i] {
			if s > 0 && s <= slots { // a slot that does not exist is of no use to anybody
				x.Away = append(x.Away, names[s-1])
			}
		}
		p.Participants = append(p.Participants, x)
	}
	requested, err := d.lists("requested", meetings)
	if err != nil {
		return nil, err
	}
	fixed, err := d.lists("fixed", meetings)
	if err != nil {
		return nil, err
	}
	precedences, err := d.lists("precedences", meetings)
	if err != nil {
		return nil, err
	}
	for i := range meetings {
		r := requested[i]
		if len(r) != 3 || r[2] < 1 || r[2] > 3 {
			return nil, &Error{fmt.Sprintf("requested: meeting %d must be two participants and a session from 1 to 3", i+1)}
		}
		x := Meeting{ID: strconv.Itoa(i + 1), A: strconv.Itoa(r[0]), B: strconv.Itoa(r[1]), Rank: Booked}
		from, to := 0, slots
		if r[2] != 3 && morning == noMorning {
			return nil, &Error{fmt.Sprintf("nMorningSlots is missing, and meeting %d is of a session", i+1)}
		}
		switch r[2] {
		case 1:
			to = morning
		case 2:
			from = morning
		}
		if len(fixed[i]) > 1 {
			return nil, &Error{fmt.Sprintf("fixed: meeting %d cannot have slots %v", i+1, fixed[i])}
		}
		if len(fixed[i]) == 1 && fixed[i][0] != 0 {
			// Where there is no such slot, or not in the session, none is left.
			from, to = max(from, fixed[i][0]-1), min(to, fixed[i][0])
		}
		for _, k := range precedences[i] {
			if k < 0 || k > meetings {
				return nil, &Error{fmt.Sprintf("precedences: there is no meeting %d", k)}
			}
			if id := strconv.Itoa(k); k == i+1 {
				to = from // not before itself
			} else if k > 0 && !slices.Contains(x.After, id) {
				x.After = append(x.After, id)
			}
		}
		switch {
		case from >= to:
			x.Slots, nowhere = []string{noSlot}, true
		case from > 0 || to < slots:
			x.Slots = names[from:to]
		}
		p.Meetings = append(p.Meetings, x)
	}
	if nowhere && slots < MaxSlots {
		p.Slots = append(p.Slots, Slot{ID: noSlot, Closed: true})
	}
	return p, nil
}

// parseDzn reads NAME = VALUE; until the end. A value is a number, a set
// {..} or a..b, a list [..] of numbers and sets, or a table [|..|..|].
func parseDzn(text string) (dzn, error) {
	s := dznScanner{text: text, line: 1}
	values := dzn{}
	for {
		name := s.next()
		if name == "" {
			return values, nil
		}
		if name == ";" {
			continue
		}
		if c := name[0]; c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') {
			return nil, s.wrong(name)
		}
		if _, twice := values[name]; twice {
			return nil, s.fail("%s is given twice", name)
		}
		if t := s.next(); t != "=" {
			return nil, s.wrong(t)
		}
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		values[name] = v
		if t := s.next(); t != ";" && t != "" {
			return nil, s.wrong(t)
		}
	}
}

type dznScanner struct {
	text string
	at   int
	line int
}

func (s *dznScanner) fail(format string, args ...any) error {
	return &Error{fmt.Sprintf("line %d: ", s.line) + fmt.Sprintf(format, args...)}
}

func (s *dznScanner) wrong(token string) error {
	if token == "" {
		return s.fail("the file ends too early")
	}
	return s.fail("did not expect %.40q", token)
}

// next is a word, a number, ".." or a single character; "" at the end.
func (s *dznScanner) next() string {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\n':
			s.line++
			s.at++
		case c == ' ' || c == '\t' || c == '\r':
			s.at++
		case c == '%':
			if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
				s.at += end
			} else {
				s.at = len(s.text)
			}
		case strings.HasPrefix(s.text[s.at:], ".."):
			s.at += 2
			return ".."
		default:
			from := s.at
			s.at++
			if wordByte(c) || c == '-' {
				for s.at < len(s.text) && wordByte(s.text[s.at]) {
					s.at++
				}
			}
			return s.text[from:s.at]
		}
	}
	return ""
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func (s *dznScanner) peek() string {
	at, line := s.at, s.line
	t := s.next()
	s.at, s.line = at, line
	return t
}

func (s *dznScanner) value() ([][]int, error) {
	if s.peek() != "[" {
		v, err := s.entry()
		return [][]int{v}, err
	}
	s.next()
	var list [][]int
	if s.peek() == "|" {
		s.next()
		row := []int{}
		for {
			switch t := s.peek(); t {
			case "]", "|":
				s.next()
				if len(row) > 0 {
					list = append(list, row)
					row = nil
				}
				if t == "]" {
					return list, nil
				}
			case ",":
				s.next()
			default:
				n, err := s.number(s.next())
				if err != nil {
					return nil, err
				}
				row = append(row, n)
			}
		}
	}
	for {
		switch s.peek() {
		case "]":
			s.next()
			return list, nil
		case ",":
			s.next()
		default:
			v, err := s.entry()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
}

func (s *dznScanner) number(token string) (int, error) {
	n, err := strconv.ParseInt(token, 10, 32)
	if err != nil {
		return 0, s.wrong(token)
	}
	return int(n), nil
}

// entry is a number, a range or a set.
func (s *dznScanner) entry() ([]int, error) {
	t := s.next()
	if t != "{" {
		n, err := s.number(t)
		if err != nil {
			return nil, err
		}
		if s.peek() != ".." {
			return []int{n}, nil
		}
		s.next()
		to, err := s.number(s.next())
		if err != nil {
			return nil, err
		}
		if to-n > MaxMeetings {
			return nil, s.fail("a range of %d numbers", to-n+1)
		}
		var list []int
		for ; n <= to; n++ {
			list = append(list, n)
		}
		return list, nil
	}
	list := []int{}
	for {
		switch t := s.next(); t {
		case "}":
			return list, nil
		case ",":
		default:
			n, err := s.number(t)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
	}
}
