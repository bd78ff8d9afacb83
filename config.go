package main

import (
	"cmp"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/smtpmail"
)

// config is everything that can be set. Each flag can be given as an
// environment variable as well: -log-level as CITYMARKET_LOG_LEVEL. What may
// be secret can be read from a file: CITYMARKET_STORE_FILE.
type config struct {
	addr        string
	data        string
	store       string
	sample      bool
	origins     string
	url         string // under which people reach the server, without a slash at its end
	key         string // base64 of marketplace.KeySize bytes
	mail        string // smtp://... or smtps://...; empty: the folder mail in the data directory
	mailFrom    string
	proxies     int
	demo        bool
	oidc        string // providers of sign-in: a JSON list, or the path of a file with one
	loopback    bool   // webhooks may lead to this machine
	timeout     time.Duration
	concurrency int
	logLevel    slog.Level

	generate int // seed only: how many solutions to generate

	solutions string // bench search only: numbers of solutions, separated by commas
	queries   int    // of each kind
	stock     bool   // beside stock bleve

	files   []string // timetable only: problems to solve
	seconds int      // for each of them
	spread  int
	seed    uint64
	events  string // to generate
}

const usage = `Citymarket, the marketplace of a city network.

  citymarket [serve] [flags]   serve the API and its explorer; the first start loads the network's members
  citymarket seed [flags]      load the members and the sample marketplace, or generate solutions, without serving
  citymarket bench search [flags]
                               measure searches of generated solutions, beside stock bleve, in a temporary directory (TMPDIR) of some 6 KB a solution
  citymarket timetable [flags] FILE...
                               solve problems of the public benchmark for timetables of meetings (.dzn), or generated events

Flags (each also as an environment variable, CITYMARKET_ and the name in capitals):
`

// configure reads the flags of a command, then the environment for those that
// were not given.
func configure(command string, args []string, getenv func(string) string, log io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("citymarket "+command, flag.ContinueOnError)
	f.SetOutput(log)
	f.Usage = func() {
		fmt.Fprint(log, usage)
		f.PrintDefaults()
	}
	switch command {
	case "timetable":
		f.IntVar(&c.seconds, "seconds", 60, "how many `seconds` each problem is worked on at most")
		f.IntVar(&c.spread, "spread", 2, "by `how many` breaks two participants of a file may differ; negative: by any number")
		f.Uint64Var(&c.seed, "seed", 0, "`number` that decides where chance does")
		f.StringVar(&c.events, "generate", "", "solve generated `events` in place of files: real, for a table of sizes like real ones, or PARTICIPANTS,WISHES,SLOTS,DAYS,TABLES")
	case "bench search":
		f.StringVar(&c.solutions, "solutions", "10000,100000,1000000", "`numbers` of solutions to search, separated by commas")
		f.IntVar(&c.queries, "queries", 1000, "how many different `queries` of each kind are asked")
		f.BoolVar(&c.stock, "stock", true, "measure stock bleve, too")
	default:
		f.StringVar(&c.data, "data", "data", "`directory` for the database and the search index; it is made when missing")
		f.StringVar(&c.store, "store", "", "`address` of a MongoDB server, mongodb://...; empty: an embedded database in the data directory")
		f.BoolVar(&c.sample, "sample", true, "load the sample marketplace, invented companies, solutions and proposals, into an empty store")
		f.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	}
	switch command {
	case "seed":
		f.IntVar(&c.generate, "n", 0, "generate so many `solutions` for tests and measurements instead of the sample marketplace, up to 10,000,000")
	case "serve":
		f.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
		f.StringVar(&c.origins, "origins", "", "web `origins` whose pages may use the API from a browser, https://a.example, separated by commas; empty: only its own")
		f.StringVar(&c.url, "url", "", "`address` under which people reach the server, for links in letters and for cookies; empty: http:// and -addr")
		f.StringVar(&c.key, "key", "", "`secret` that seals what a reader of the database must not be able to use: 32 bytes in base64, the same for all servers of a database; empty: the file key in the data directory, which is made when missing")
		f.StringVar(&c.mail, "mail", "", "`address` of the server that takes letters, smtp://user:password@host:587 or smtps://...; empty: they are written into the folder mail in the data directory")
		f.StringVar(&c.mailFrom, "mail-from", "Citymarket <citymarket@localhost>", "`sender` of letters")
		f.IntVar(&c.proxies, "proxies", 0, "how many trusted `proxies` stand in front of the server and add to X-Forwarded-For")
		f.BoolVar(&c.demo, "demo", false, "let the users of the sample marketplace sign in; only on a loopback address")
		f.StringVar(&c.oidc, "oidc", "", "OpenID Connect `providers` by whose accounts people can sign in: a JSON list, or a file that holds one; see the README")
		f.BoolVar(&c.loopback, "loopback-webhooks", false, "let webhooks lead to this machine, also without TLS; for development")
		f.DurationVar(&c.timeout, "timeout", 10*time.Second, "longest `time` that a request is worked on")
		f.IntVar(&c.concurrency, "concurrency", 64, "how many API `requests` are worked on at once; more wait a moment, then are refused")
	}
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if command == "timetable" {
		c.files = f.Args()
	} else if f.NArg() > 0 {
		return c, fmt.Errorf("%q is not a command; citymarket -h lists them", f.Arg(0))
	}
	if err := fromEnvironment(f, getenv); err != nil {
		return c, err
	}
	return c, c.check(command)
}

// fromEnvironment sets the flags that were not given on the command line.
func fromEnvironment(f *flag.FlagSet, getenv func(string) string) error {
	var given []string
	f.Visit(func(g *flag.Flag) { given = append(given, g.Name) })
	var err error
	f.VisitAll(func(g *flag.Flag) {
		name := "CITYMARKET_" + strings.ToUpper(strings.ReplaceAll(g.Name, "-", "_"))
		value := getenv(name)
		if file := getenv(name + "_FILE"); file != "" && value == "" && err == nil {
			var b []byte
			if b, err = os.ReadFile(file); err != nil {
				err = fmt.Errorf("%s_FILE: %w", name, err)
				return
			}
			value = strings.TrimSpace(string(b))
		}
		if value == "" || slices.Contains(given, g.Name) || err != nil {
			return
		}
		if e := f.Set(g.Name, value); e != nil {
			err = fmt.Errorf("%s: %w", name, e)
		}
	})
	return err
}

// trusted are the origins one by one.
func (c config) trusted() []string {
	var list []string
	for o := range strings.SplitSeq(c.origins, ",") {
		if o = strings.TrimSpace(o); o != "" {
			list = append(list, o)
		}
	}
	return list
}

// sizes are the numbers of solutions; none that cannot be read.
func (c config) sizes() []int {
	var list []int
	for s := range strings.SplitSeq(c.solutions, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 100 || n > 10_000_000 {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// keyBytes is the key; nil where none was given.
func (c config) keyBytes() ([]byte, error) {
	if c.key == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(c.key)
	if err != nil || len(key) != marketplace.KeySize {
		return nil, fmt.Errorf("-key must be %d random bytes in base64, as `openssl rand -base64 %d` makes them", marketplace.KeySize, marketplace.KeySize)
	}
	return key, nil
}

// isLoopback says whether a host of an address is this machine, as only it can reach.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c config) check(command string) error {
	if command == "timetable" {
		if c.seconds < 1 || c.seconds > 86400 {
			return fmt.Errorf("-seconds must be 1 to 86,400")
		}
		if _, err := c.generated(); err != nil {
			return err
		}
		if (len(c.files) == 0) == (c.events == "") {
			return fmt.Errorf("give files to solve, or -generate")
		}
		return nil
	}
	if command == "bench search" {
		if c.sizes() == nil {
			return fmt.Errorf("-solutions must be numbers from 100 to 10,000,000, separated by commas")
		}
		if c.queries < 1 || c.queries > 2000 {
			return fmt.Errorf("-queries must be 1 to 2,000")
		}
		return nil
	}
	if c.store != "" && !strings.HasPrefix(c.store, "mongodb://") && !strings.HasPrefix(c.store, "mongodb+srv://") {
		return fmt.Errorf("-store must be empty or begin with mongodb:// or mongodb+srv://")
	}
	if command == "seed" {
		if c.generate < 0 || c.generate > 10_000_000 {
			return fmt.Errorf("-n must be 0 to 10,000,000")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil {
		return fmt.Errorf("-addr must be a host and a port such as 127.0.0.1:8080: %w", err)
	}
	if c.demo && !isLoopback(host) {
		return fmt.Errorf("-demo needs a loopback -addr such as 127.0.0.1:8080: everybody knows how its users sign in")
	}
	if c.demo && !c.sample {
		return fmt.Errorf("-demo needs the sample marketplace: its users act for members of that")
	}
	if u, err := url.Parse(c.url); c.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil) {
		return fmt.Errorf("-url must be an address without a path such as https://market.example.org")
	}
	if u, err := url.Parse(c.url); c.demo && (c.proxies > 0 || c.url != "" && err == nil && !isLoopback(u.Hostname())) {
		return fmt.Errorf("-demo is for this machine alone: not with -proxies, nor with a -url that others can reach")
	}
	if _, err := c.keyBytes(); err != nil {
		return err
	}
	if _, err := c.providers(); err != nil {
		return err
	}
	if _, err := smtpmail.New(smtpmail.Config{URL: cmp.Or(c.mail, "smtp://localhost"), From: c.mailFrom}); err != nil {
		return fmt.Errorf("-mail and -mail-from: %w", err)
	}
	if c.proxies < 0 || c.proxies > 10 {
		return fmt.Errorf("-proxies must be 0 to 10")
	}
	for _, o := range c.trusted() {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(o); err != nil {
			return fmt.Errorf("-origins must be addresses such as https://a.example, separated by commas: %w", err)
		}
	}
	if c.timeout < time.Second || c.timeout > 5*time.Minute {
		return fmt.Errorf("-timeout must be 1s to 5m")
	}
	if c.concurrency < 1 || c.concurrency > 100_000 {
		return fmt.Errorf("-concurrency must be 1 to 100,000")
	}
	return nil
}
