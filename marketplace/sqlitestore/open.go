package sqlitestore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"citymarket/marketplace"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// applicationID marks the file as ours ("CtMk"); see file(1) and PRAGMA application_id.
const applicationID = 0x43744D6B

// formatVersion is the version of the stored format (PRAGMA user_version). A
// store of a newer version is refused. Whoever changes the tables or the
// encoding of keys raises it and writes the upgrade from the one before; for
// keys that is to delete the rows of ix and entry, which are then made anew.
const formatVersion = 1

// minSQLite is the oldest SQLite whose WAL does not lose commits when it is
// reset at an unlucky moment (https://sqlite.org/releaselog/3_51_3.html).
const minSQLite = 3051003

// tables is the stored format. An example of a solution that was written
// twice and holds a claim, in a schema with {Sort: "name"} for its kind:
//
//	meta:  store=9f86d081884c7d65  epoch=1
//	doc:   pk=7 kind=solution id=sol_1 rev=2 seq=31 body={"name":"Ada","slug":"ada"} claims=["slug:ada"]
//	claim: kind=solution claim=slug:ada doc=7
//	ix:    num=1 kind=solution def={}   num=2 kind=solution def={"sort":"name"}
//	entry: ix=1 key=06736F6C5F31 doc=7   ix=2 key=0541646100010673... doc=7
const tables = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE doc (              -- one row per document, also after its deletion
	pk     INTEGER PRIMARY KEY,
	kind   TEXT NOT NULL,
	id     TEXT NOT NULL,
	rev    INTEGER NOT NULL,
	seq    INTEGER NOT NULL,      -- of its newest change; grows over all kinds
	body   TEXT,                  -- JSON as encoding/json writes it; null: deleted
	claims TEXT,                  -- JSON array; null: none
	UNIQUE (kind, id)
);
CREATE UNIQUE INDEX doc_seq ON doc (seq, kind);
CREATE TABLE claim (
	kind  TEXT NOT NULL,
	claim TEXT NOT NULL,
	doc   INTEGER NOT NULL,
	PRIMARY KEY (kind, claim)
) WITHOUT ROWID;
CREATE TABLE ix (               -- the indexes that entry holds
	num  INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,
	def  TEXT NOT NULL,
	UNIQUE (kind, def)
);
CREATE TABLE entry (            -- all indexes; keys are made in key.go
	ix  INTEGER NOT NULL,
	key BLOB NOT NULL,
	doc INTEGER NOT NULL,
	PRIMARY KEY (ix, key)
) WITHOUT ROWID;
`

// dsn names the database file with options of the driver. The path is part
// of a URL, so that a "?" or "%" in it does no harm.
func dsn(path, options string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: "_busy_timeout=5000&_dqs=0&" + options}).String()
}

// connect opens n connections and returns what closes them.
func connect(dsn string, n int) (conns []*sql.Conn, closeAll func() error, err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() error {
		var errs []error
		for _, c := range conns { // DB.Close leaves alone what is in use
			errs = append(errs, c.Close())
		}
		return errors.Join(append(errs, db.Close())...)
	}
	for range n {
		c, err := db.Conn(context.Background())
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		conns = append(conns, c)
	}
	return conns, closeAll, nil
}

func size(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// inspect looks at the file before anything opens it for writing. It opens
// it for reading only, because the last connection that can write would move
// the WAL into a file that may be damaged.
func inspect(path string) (err error) {
	unclean := size(path+"-wal") > 0 // a clean stop removes it
	if size(path) == 0 {
		if unclean {
			return fmt.Errorf("%s is empty or missing, but its write-ahead log is not: %w", path, ErrDamaged)
		}
		return nil // a new store
	}
	mode := "mode=ro"
	if size(path+"-journal") > 0 {
		mode = "mode=rw" // stopped while the file was made: only a writer can roll that back
	}
	conns, closeAll, err := connect(dsn(path, mode), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	var app, version, tables int64
	row := conns[0].QueryRowContext(context.Background(), `SELECT * FROM pragma_application_id, pragma_user_version, (SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&app, &version, &tables); err != nil {
		return err
	}
	switch {
	case app == 0 && version == 0 && tables == 0:
		return nil // stopped before its tables were made
	case app != applicationID:
		return fmt.Errorf("%s is the database of another program (application id %#x)", path, app)
	case version > formatVersion:
		return fmt.Errorf("%s was written by a newer version of this program (format %d, this one knows %d): use that version", path, version, formatVersion)
	case unclean:
		var report string
		if err := conns[0].QueryRowContext(context.Background(), `PRAGMA quick_check(1)`).Scan(&report); err != nil {
			return err
		}
		if report != "ok" {
			return fmt.Errorf("%s: quick_check: %s: %w", path, report, ErrDamaged)
		}
	}
	return nil
}

// Open opens the store in the file at path, and makes it if it is not there;
// its directory must exist. Beside it lie the write-ahead log (path-wal,
// path-shm, while the store is open) and the lock (path.lock, which stays).
//
// Indexes of the schema that the file lacks are made before Open returns,
// about 8 s for a million entries; those that the schema lacks are dropped.
// After an unclean stop the file is checked, at about 2 s per GB (more when it must come from the disk).
//
// Errors: [ErrLocked] at once when another process has the store open,
// [ErrDamaged] when the file is damaged, and errors of the operating system
// that name the path. A file that is damaged, of another program or of a newer
// version of this one is left as it is.
func Open(path string, schema marketplace.Schema) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sqlitestore: open %s: %w", path, classify(err))
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	s := &Store{
		schema: schema, indexes: map[marketplace.Kind][]index{},
		requests: make(chan *request), done: make(chan struct{}), stopped: make(chan struct{}), news: make(chan struct{}),
	}
	if s.lock, err = lock(path + ".lock"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := inspect(path); err != nil {
		return nil, err
	}
	// fullfsync matters on macOS only, where fsync alone does not reach the disk.
	const durable = "_journal_mode=WAL&_synchronous=FULL&_pragma=fullfsync(1)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-16000)"
	conns, closeWriter, err := connect(dsn(path, durable), 1)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, closeWriter)
	w := conns[0]
	if err := s.setUp(w); err != nil {
		return nil, err
	}
	writer, err := s.newWriter(w)
	if err != nil {
		return nil, err
	}
	n := readers()
	conns, closeReaders, err := connect(dsn(path, "_query_only=1&_pragma=cache_size(-8000)"), n)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, closeReaders)
	s.readers = make(chan *reader, n)
	for _, c := range conns {
		r, err := s.newReader(c)
		if err != nil {
			return nil, err
		}
		s.readers <- r
	}
	go writer.run()
	return s, nil
}

// setUp makes tables and indexes, in one transaction.
func (s *Store) setUp(c *sql.Conn) error {
	if sqlite3.SQLITE_VERSION_NUMBER < minSQLite {
		return fmt.Errorf("this program was built with SQLite %s, which can lose commits; 3.51.3 is the oldest that will do", sqlite3.SQLITE_VERSION)
	}
	tx, err := c.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int64
	if err := tx.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version == 0 {
		make := fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d;", tables, applicationID, formatVersion)
		if _, err := tx.Exec(make); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO meta VALUES ('store', ?), ('epoch', '1')`, strings.ToLower(rand.Text())); err != nil {
			return err
		}
	}
	row := tx.QueryRow(`SELECT (SELECT value FROM meta WHERE name = 'store') || '.' || (SELECT value FROM meta WHERE name = 'epoch'), (SELECT coalesce(max(seq), 0) FROM doc)`)
	var last int64
	if err := row.Scan(&s.history, &last); err != nil {
		return err
	}
	s.last.Store(last)
	s.issued.Store(last)
	if err := s.setUpIndexes(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// setUpIndexes makes table ix and its entries agree with the schema. Every
// kind has also the index {} of its documents by id.
func (s *Store) setUpIndexes(tx *sql.Tx) error {
	old := map[marketplace.Kind]map[string]int64{}
	rows, err := tx.Query(`SELECT kind, def, num FROM ix`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind marketplace.Kind
		var def string
		var num int64
		if err := rows.Scan(&kind, &def, &num); err != nil {
			return err
		}
		if old[kind] == nil {
			old[kind] = map[string]int64{}
		}
		old[kind][def] = num
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for kind, declared := range s.schema {
		var fresh []index
		known := map[string]bool{}
		for _, d := range append([]marketplace.Index{{}}, declared...) {
			x := newIndex(d)
			def := x.def()
			if known[def] {
				continue
			}
			known[def] = true
			num, ok := old[kind][def]
			delete(old[kind], def)
			if !ok {
				res, err := tx.Exec(`INSERT INTO ix (kind, def) VALUES (?, ?)`, kind, def)
				if err != nil {
					return err
				}
				if num, err = res.LastInsertId(); err != nil {
					return err
				}
			}
			x.num = num
			if !ok {
				fresh = append(fresh, x)
			}
			s.indexes[kind] = append(s.indexes[kind], x)
		}
		if err := build(tx, kind, fresh); err != nil {
			return err
		}
	}
	for _, defs := range old {
		for _, num := range defs {
			for _, drop := range []string{`DELETE FROM entry WHERE ix = ?`, `DELETE FROM ix WHERE num = ?`} {
				if _, err := tx.Exec(drop, num); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// build enters all documents of a kind into new indexes.
func build(tx *sql.Tx, kind marketplace.Kind, fresh []index) error {
	if len(fresh) == 0 {
		return nil
	}
	insert, err := tx.Prepare(insertEntry)
	if err != nil {
		return err
	}
	defer insert.Close()
	rows, err := tx.Query(`SELECT pk, id, body FROM doc WHERE kind = ? AND body IS NOT NULL`, kind)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var pk int64
		var id string
		var body sql.RawBytes
		if err := rows.Scan(&pk, &id, &body); err != nil {
			return err
		}
		all, err := entries(fresh, id, body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
		for _, e := range all {
			if _, err := insert.Exec(e.ix, []byte(e.key), pk); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// classify adds what SQLite's code means to the port to an error of SQLite.
func classify(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xFF {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w: %w", marketplace.ErrUnavailable, ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", marketplace.ErrUnavailable, err)
}
