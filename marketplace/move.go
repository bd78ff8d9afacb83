package marketplace

import (
	"context"
	"fmt"
	"slices"
)

// A move is a step in the life of something: its name, who may take it, from
// which states, to which.
type move[N, S ~string] struct {
	name N
	may  Permission
	from []S
	to   S
}

// moves are the table of a life: every step that there is.
type moves[N, S ~string] []move[N, S]

// named returns the step of that name.
func (list moves[N, S]) named(name N) (move[N, S], error) {
	i := slices.IndexFunc(list, func(m move[N, S]) bool { return m.name == name })
	if i < 0 {
		names := make([]N, len(list))
		for i, m := range list {
			names[i] = m.name
		}
		return move[N, S]{}, invalid("move", "INVALID", fmt.Sprintf("must be one of %v", names))
	}
	return list[i], nil
}

// from returns the step of that name from a state, where a life has several
// of the same name; one that cannot be taken where there is none.
func (list moves[N, S]) from(name N, now S) (move[N, S], error) {
	first, err := list.named(name)
	for _, m := range list {
		if m.name == name && slices.Contains(m.from, now) {
			return m, nil
		}
	}
	return first, err
}

// open are the steps that the context's actor may take now.
func (list moves[N, S]) open(ctx context.Context, doc entity, now S) []N {
	out := []N{}
	for _, m := range list {
		if slices.Contains(m.from, now) && m.may.allows(ctx, doc) {
			out = append(out, m.name)
		}
	}
	return out
}

// take takes the step, if it can be taken from the present state.
func (m move[N, S]) take(meta *Meta, state *S, note string) error {
	if !slices.Contains(m.from, *state) {
		return invalid("move", "INVALID", fmt.Sprintf("%s can be done to what is %v, this is %s", m.name, m.from, *state))
	}
	change := string(*state) + " to " + string(m.to)
	if note != "" {
		change += ": " + note
	}
	meta.mark(string(m.name), change)
	*state = m.to
	return nil
}
