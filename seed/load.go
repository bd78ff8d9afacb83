// Package seed brings data into a marketplace: the network's members and
// vocabulary, a sample marketplace to try things on, and generated solutions
// in any number for tests and measurements. Everything goes through the
// domain's commands, so it obeys the same rules as what people enter.
package seed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"citymarket/marketplace"
)

// Options say what to load.
type Options struct {
	Sample   bool           // the sample marketplace, too
	Today    time.Time      // day from which the sample's dates are reckoned; zero: now
	Progress func(Progress) // told how far it is, often and from several goroutines; nil: nobody
}

// Progress says how far a load is.
type Progress struct {
	What        string // "solutions"
	Done, Total int
	Elapsed     time.Duration // since this part began
}

// String is a line for people: "solutions 1200 of 100000 (1.2 %), 9800 a second, 10s left".
func (p Progress) String() string {
	s := fmt.Sprintf("loading %s: %d of %d", p.What, p.Done, p.Total)
	if p.Elapsed > time.Second && p.Done > 0 && p.Done < p.Total {
		rate := float64(p.Done) / p.Elapsed.Seconds()
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		s += fmt.Sprintf(", %.0f a second, %s left", rate, left.Round(time.Second))
	}
	return s
}

// writers is how many commands are under way at once: the embedded store
// commits what waits together, 64 writers make some 4 times the commits of one.
const writers = 64

// act makes a context in which the loader is the secretariat and waits for no index.
func act(ctx context.Context) context.Context {
	return marketplace.InBulk(marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.System}))
}

// Load brings in the network's members and vocabulary and, where asked for,
// the sample marketplace. Ids are the same on every server, and what is there
// already is left as it is, so a load that was cut off can be repeated.
func Load(ctx context.Context, m *marketplace.Market, o Options) error {
	if o.Today.IsZero() {
		o.Today = time.Now().UTC().Truncate(24 * time.Hour)
	}
	topics, err := topics()
	if err != nil {
		return err
	}
	domains, subtopics := split(topics, func(t *marketplace.Topic) bool { return t.Parent == "" })
	cities, err := cities()
	if err != nil {
		return err
	}
	states, others := split(cities, func(c *marketplace.City) bool { return c.Within == "" })
	institutions, err := institutions()
	if err != nil {
		return err
	}
	ctx = act(ctx)
	parts := []func() error{
		func() error { return add(ctx, o, "domains", domains, m.AddTopic) },
		func() error { return add(ctx, o, "topics", subtopics, m.AddTopic) },
		func() error { return add(ctx, o, "local governments", states, m.AddCity) },
		func() error { return add(ctx, o, "local governments inside others", others, m.AddCity) },
	}
	if o.Sample {
		parts = append(parts, func() error { return loadSample(ctx, m, o) })
	}
	last := len(institutions) - 1
	parts = append(parts,
		func() error { return add(ctx, o, "institutions", institutions[:last], m.AddInstitution) },
		func() error { return add(ctx, Options{}, "institutions", institutions[last:], m.AddInstitution) },
	)
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// split parts what must be there first, since others refer to it, from the rest.
func split[T any](list []T, first func(T) bool) (before, after []T) {
	for _, v := range list {
		if first(v) {
			before = append(before, v)
		} else {
			after = append(after, v)
		}
	}
	return before, after
}

// Loaded says whether a load has been completed: the last institution is
// written alone, when everything else is there. It costs one read.
func Loaded(ctx context.Context, m *marketplace.Market) (bool, error) {
	institutions, err := institutions()
	if err != nil {
		return false, err
	}
	switch _, err := m.Institution(act(ctx), institutions[len(institutions)-1].ID); {
	case err == nil:
		return true, nil
	case errors.Is(err, marketplace.ErrNotFound):
		return false, nil
	default:
		return false, err
	}
}

func loadSample(ctx context.Context, m *marketplace.Market, o Options) error {
	companies, err := companies()
	if err != nil {
		return err
	}
	solutions, err := solutions(o.Today)
	if err != nil {
		return err
	}
	proposals, err := proposals(o.Today)
	if err != nil {
		return err
	}
	if err := add(ctx, o, "sample companies", companies, m.AddCompany); err != nil {
		return err
	}
	if err := add(ctx, o, "sample solutions", solutions, m.AddSolution); err != nil {
		return err
	}
	if err := add(ctx, o, "sample proposals", proposals, m.AddProposal); err != nil {
		return err
	}
	return loadEvents(ctx, m, o)
}

// add runs a command for each thing, several at once. What is there already
// is left as it is.
func add[T any](ctx context.Context, o Options, what string, things []T, command func(context.Context, T) error) error {
	return addAll(ctx, o, what, len(things), slices.Values(things), command)
}

// addAll is add for things that are made while they are loaded.
func addAll[T any](ctx context.Context, o Options, what string, total int, things iter.Seq[T], command func(context.Context, T) error) error {
	begun := time.Now()
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan T)
	g.Go(func() error {
		defer close(queue)
		for t := range things {
			select {
			case queue <- t:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range min(writers, max(total, 1)) {
		g.Go(func() error {
			for t := range queue {
				if err := command(ctx, t); err != nil && !exists(err) {
					return fmt.Errorf("seed: %s: %w", what, err)
				}
				if n := int(done.Add(1)); o.Progress != nil {
					o.Progress(Progress{What: what, Done: n, Total: total, Elapsed: time.Since(begun)})
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// exists says whether an error means that a thing with this id is there already.
func exists(err error) bool {
	var invalid *marketplace.InvalidError
	return errors.As(err, &invalid) && len(invalid.Errors) == 1 && invalid.Errors[0].Path == "id" && invalid.Errors[0].Code == "TAKEN"
}
