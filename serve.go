package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/filestore"
	"citymarket/marketplace/httppost"
	"citymarket/marketplace/icalendar"
	"citymarket/marketplace/mongostore"
	"citymarket/marketplace/smtpmail"
	"citymarket/marketplace/sqlitestore"
	"citymarket/search"
	"citymarket/seed"
)

// Times around the life of the server.
const (
	openTimeout   = 15 * time.Second // for reaching a database server
	drainTimeout  = 25 * time.Second // for requests under way when the server stops
	indexPatience = 10 * time.Second // for the index to catch up before the address is printed
)

// serve runs the server until ctx is done.
func serve(ctx context.Context, c config, out, log io.Writer) error {
	logger := newLogger(log, c.logLevel)
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w (another program may be using the port; choose another one with -addr)", c.addr, err)
	}
	defer listener.Close()
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer store.Close()
	index, err := search.Open(filepath.Join(c.data, "index"), store, marketplace.Entries(store), logger)
	if err != nil {
		return err
	}
	defer index.Close()
	following, unfollow := context.WithCancel(context.Background())
	var follower sync.WaitGroup
	follower.Go(func() {
		if err := index.Follow(following); err != nil && following.Err() == nil {
			logger.Error("the search index no longer follows the store", "error", err)
		}
	})
	defer follower.Wait()
	defer unfollow()

	files, err := openFiles(ctx, c, store)
	if err != nil {
		return err
	}
	defer files.Close()
	key, err := openKey(c)
	if err != nil {
		return err
	}
	if c.url == "" {
		c.url = addressOf(listener.Addr())
	}
	providers, err := c.providers()
	if err != nil {
		return err
	}
	poster := httppost.New(httppost.Config{Loopback: c.loopback})
	defer poster.Close()
	mailer, err := openMail(c)
	if err != nil {
		return err
	}
	organizer, err := mail.ParseAddress(c.mailFrom)
	if err != nil {
		return fmt.Errorf("-mail-from: %w", err)
	}
	market := marketplace.New(store, index, marketplace.Options{
		Calendar: icalendar.Writer{}, Organizer: *organizer,
		Key: key, URL: c.url, Alone: c.store == "", Demo: c.demo, Providers: titles(providers),
		Mailer: mailer, Poster: poster, Loopback: c.loopback, Files: files, Temporary: filepath.Join(c.data, temporaryDir),
	})
	if err := loadWhenEmpty(ctx, market, c, log); err != nil {
		return err
	}
	var demo []seed.DemoUser
	if c.demo {
		if demo, err = seed.LoadUsers(ctx, market); err != nil {
			return fmt.Errorf("-demo: %w (another -data directory will do)", err)
		}
	}
	awaitIndex(ctx, index, log)
	first, err := market.FirstInvitation(ctx)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { market.Work(working, logger) })
	defer worker.Wait()
	defer stop()

	server, api := newServer(market, index, c, logger)
	logger.Debug("serving", "address", listener.Addr().String(), "documents", index.Status().Documents)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	welcome(out, listener.Addr(), c, first, demo)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping: finishing requests under way")
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := errors.Join(server.Shutdown(drain), api.Shutdown(drain)); err != nil {
		server.Close()
		return fmt.Errorf("some requests were cut off after %s: %w", drainTimeout, err)
	}
	return nil
}

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, c config) (marketplace.Store, error) {
	if err := os.MkdirAll(c.data, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the data directory %s: %w (choose another one with -data)", c.data, err)
	}
	if c.store != "" {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		return mongostore.Open(ctx, c.store, marketplace.StoreSchema())
	}
	return sqlitestore.Open(filepath.Join(c.data, "citymarket.db"), marketplace.StoreSchema())
}

// openMail finds where letters go.
func openMail(c config) (marketplace.Mailer, error) {
	if c.mail == "" {
		return smtpmail.OpenFolder(c.letters(), c.mailFrom)
	}
	return smtpmail.New(smtpmail.Config{URL: c.mail, From: c.mailFrom})
}

// letters is the folder for letters where there is no mail server.
func (c config) letters() string { return filepath.Join(c.data, "mail") }

// temporaryDir is where uploads lie while they come in, in the data directory.
const temporaryDir = "tmp"

// openedFiles are uploads that are closed apart from the store.
type openedFiles interface {
	marketplace.Files
	io.Closer
}

// withStore are uploads that are closed with the store.
type withStore struct{ marketplace.Files }

func (withStore) Close() error { return nil }

// openFiles opens what keeps uploads: the database where that is MongoDB, else
// a directory.
func openFiles(ctx context.Context, c config, store marketplace.Store) (openedFiles, error) {
	if err := os.MkdirAll(filepath.Join(c.data, temporaryDir), 0o700); err != nil {
		return nil, err
	}
	if mongo, ok := store.(*mongostore.Store); ok {
		files, err := mongo.Files(ctx)
		return withStore{files}, err
	}
	return filestore.Open(filepath.Join(c.data, "files"))
}

// loadWhenEmpty brings the network's members, and the sample marketplace
// unless that is turned off, into a store that has nothing yet.
func loadWhenEmpty(ctx context.Context, market *marketplace.Market, c config, log io.Writer) error {
	loaded, err := seed.Loaded(ctx, market)
	if err != nil || loaded {
		return err
	}
	return seed.Load(ctx, market, seed.Options{Sample: c.sample, Progress: newProgress(log).show})
}

// load runs the command `seed`: it fills the store without serving.
func load(ctx context.Context, c config, _, log io.Writer) error {
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer store.Close()
	market := marketplace.New(store, nil, marketplace.Options{}) // loading is in bulk: it waits for no index
	o := seed.Options{Sample: c.sample, Progress: newProgress(log).show}
	if c.generate > 0 {
		return seed.LoadGenerated(ctx, market, c.generate, o)
	}
	return seed.Load(ctx, market, o)
}

// awaitIndex waits a little for the index, so that the first question after
// the address was printed finds everything. An index that takes longer is
// built while the server answers.
func awaitIndex(ctx context.Context, index *search.Index, log io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	if index.CaughtUp(ctx) != nil {
		fmt.Fprintln(log, "The search index is being built; until it is done, searches do not find everything.")
	}
}

// addressOf is the address of a listener as a browser takes it.
func addressOf(a net.Addr) string {
	return "http://" + strings.Replace(a.String(), "[::]", "localhost", 1)
}

func welcome(out io.Writer, a net.Addr, c config, first string, demo []seed.DemoUser) {
	local := addressOf(a)
	fmt.Fprintf(out, "Citymarket is ready.\n  explorer  %s/graphiql\n  account   %s/account\n  API       %s/graphql\n", local, local, local)
	if len(demo) > 0 {
		fmt.Fprintf(out, "Sample users sign in at %s/account with the password %s:\n", local, seed.DemoPassword)
		for _, u := range demo {
			fmt.Fprintf(out, "  %-28s %s, %s of %s\n", u.Email, u.Name, strings.ToLower(string(u.Role)), u.For)
		}
	}
	if first != "" {
		fmt.Fprintf(out, "Nobody runs the network yet. The first administrator makes their account here; the link holds once, until the next start:\n  %s/account#invitation=%s\n", c.url, first)
	}
	if c.mail == "" {
		fmt.Fprintf(out, "Letters are not sent but written to %s, since there is no -mail.\n", c.letters())
	}
	fmt.Fprintln(out, "Stop it with Ctrl-C.")
}

// openKey reads the key that seals what the database must not tell, and makes
// it at the first start. Whoever loses it loses second factors and webhooks.
func openKey(c config) ([]byte, error) {
	if key, err := c.keyBytes(); key != nil || err != nil {
		return key, err
	}
	path := filepath.Join(c.data, "key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, marketplace.KeySize)
		rand.Read(key)
		text = []byte(base64.StdEncoding.EncodeToString(key) + "\n")
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	c.key = strings.TrimSpace(string(text))
	key, err := c.keyBytes()
	if err != nil {
		return nil, fmt.Errorf("the file %s: %w", path, err)
	}
	return key, nil
}

// newLogger writes for people on a terminal and JSON elsewhere.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows how far a long task is: on a terminal in one line that is
// written over, elsewhere a line every few seconds.
type progress struct {
	w        io.Writer
	terminal bool
	mu       sync.Mutex
	last     time.Time
}

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func (p *progress) show(s seed.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := 3 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if now := time.Now(); s.Done == s.Total || now.Sub(p.last) >= every {
		p.last = now
		if p.terminal {
			fmt.Fprintf(p.w, "\r\x1b[K%s", s)
			if s.Done == s.Total {
				fmt.Fprintln(p.w)
			}
			return
		}
		fmt.Fprintln(p.w, s)
	}
}
