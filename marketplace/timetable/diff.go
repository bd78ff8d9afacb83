package timetable

// Change is what became of one meeting between two timetables.
type Change struct {
	Meeting string
	Before  *Placement // nil: was not held
	After   *Placement // nil: is not held any more
}

// Diff lists what differs between two timetables: first what was held before,
// in that order, then what is new.
func Diff(before, after []Placement) []Change {
	then, now := map[string]*Placement{}, map[string]*Placement{}
	for i := range before {
		then[before[i].Meeting] = &before[i]
	}
	for i := range after {
		now[after[i].Meeting] = &after[i]
	}
	var list []Change
	for i := range before {
		x := &before[i]
		if y := now[x.Meeting]; y == nil || *y != *x {
			list = append(list, Change{x.Meeting, x, y})
		}
	}
	for i := range after {
		if x := &after[i]; then[x.Meeting] == nil {
			list = append(list, Change{x.Meeting, nil, x})
		}
	}
	return list
}
