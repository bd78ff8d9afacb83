// Citymarket is the marketplace of a city network: a GraphQL API over the
// network's members, the solutions that companies offer and the projects that
// cities propose. `citymarket -h` says how to run it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "citymarket:", err)
		os.Exit(1)
	}
}

// commands are what the first argument, or the first two, can be.
var commands = map[string]func(ctx context.Context, c config, out, log io.Writer) error{
	"serve":        serve,
	"seed":         load,
	"bench search": benchSearch,
	"timetable":    solveTimetables,
}

// run is the program: it ends when its command has ended or ctx is done. An
// answer for the user goes to out, everything else to log.
func run(ctx context.Context, args []string, getenv func(string) string, out, log io.Writer) error {
	name := "serve"
	for n := 1; n <= min(2, len(args)); n++ {
		if words := strings.Join(args[:n], " "); commands[words] != nil {
			name, args = words, args[n:]
			break
		}
	}
	c, err := configure(name, args, getenv, log)
	if err != nil {
		return err
	}
	return commands[name](ctx, c, out, log)
}
