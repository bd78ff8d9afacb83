module citymarket

go 1.26.0

require (
	github.com/99designs/gqlgen v0.17.98 // generates the GraphQL face from the schema, bound to the domain's types
	github.com/RoaringBitmap/roaring/v2 v2.14.5 // the sets of documents in which its segments answer
	github.com/arran4/golang-ical v0.3.4 // writes calendars
	github.com/blevesearch/bleve/v2 v2.6.3 // analysis and the segments of the search index
	github.com/blevesearch/bleve_index_api v1.4.1 // the types in which bleve's index is spoken to
	github.com/blevesearch/scorch_segment_api/v2 v2.4.11 // the types in which its segments' postings are read
	github.com/blevesearch/zapx/v17 v17.2.5 // how much room it makes for a segment; stays at the version bleve names
	github.com/coder/websocket v1.8.15 // WebSockets, for operations and subscriptions over them
	github.com/coreos/go-oidc/v3 v3.21.0 // sign-in by other providers: their metadata, keys and ID tokens
	github.com/emersion/go-ical v0.0.0-20250329121855-f41e73efc392 // reads in tests the calendars that were written
	github.com/rs/cors v1.11.1 // which other origins may use the API from a browser
	github.com/vektah/gqlparser/v2 v2.5.64 // parses and validates GraphQL for gqlgen and for our limits
	github.com/wneessen/go-mail v0.8.1 // writes MIME messages and speaks SMTP
	github.com/zitadel/oidc/v3 v3.52.0 // a certified OpenID provider, run in tests
	go.etcd.io/bbolt v1.4.0 // checks the file in which the search index names its segments; stays at the version bleve names
	go.mongodb.org/mongo-driver/v2 v2.10.0 // the official driver, for the production store
	golang.org/x/crypto v0.54.0 // argon2id, for passwords
	golang.org/x/image v0.48.0 // scales pictures for thumbnails, and decodes WebP
	golang.org/x/oauth2 v0.38.0 // the authorization code flow under it
	golang.org/x/sync v0.25.0 // groups of goroutines that end together, and a semaphore with weights
	golang.org/x/text v0.44.0 // languages, their matching, collation and names (CLDR), Unicode normal forms
	golang.org/x/tools v0.52.0 // txtar, the format of the API conversations in tests
	modernc.org/sqlite v1.61.1 // SQLite without cgo, for the embedded store; libc stays at the version it names
	pgregory.net/rapid v1.3.0 // property tests against models
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/agnivade/levenshtein v1.2.2 // indirect
	github.com/bits-and-blooms/bitset v1.24.2 // indirect
	github.com/blevesearch/geo v0.2.8 // indirect
	github.com/blevesearch/go-faiss v1.1.5 // indirect
	github.com/blevesearch/go-porterstemmer v1.0.3 // indirect
	github.com/blevesearch/gtreap v0.1.1 // indirect
	github.com/blevesearch/mmap-go v1.2.0 // indirect
	github.com/blevesearch/segment v0.9.1 // indirect
	github.com/blevesearch/snowballstem v0.9.0 // indirect
	github.com/blevesearch/upsidedown_store_api v1.0.2 // indirect
	github.com/blevesearch/vellum v1.2.1 // indirect
	github.com/blevesearch/zapx/v11 v11.4.3 // indirect
	github.com/blevesearch/zapx/v12 v12.4.3 // indirect
	github.com/blevesearch/zapx/v13 v13.4.3 // indirect
	github.com/blevesearch/zapx/v14 v14.4.3 // indirect
	github.com/blevesearch/zapx/v15 v15.4.3 // indirect
	github.com/blevesearch/zapx/v16 v16.3.4 // indirect
	github.com/bmatcuk/doublestar/v4 v4.10.4 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/goccy/go-yaml v1.19.2 // indirect
	github.com/golang/snappy v1.0.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/json-iterator/go v0.0.0-20171115153421-f7279a603ede // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mschoch/smat v0.2.0 // indirect
	github.com/muhlemmer/gu v0.3.1 // indirect
	github.com/muhlemmer/httpforwarded v0.1.0 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/sosodev/duration v1.4.0 // indirect
	github.com/teambition/rrule-go v1.8.2 // indirect
	github.com/urfave/cli/v3 v3.14.0 // indirect
	github.com/xdg-go/scram v1.4.0 // indirect
	github.com/xdg-go/stringprep v1.0.4 // indirect
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78 // indirect
	github.com/zitadel/schema v1.3.2 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.46.0 // indirect
	go.opentelemetry.io/otel/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/trace v1.46.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

// gqlgen writes the generated files, staticcheck reads everything.
tool (
	github.com/99designs/gqlgen
	honnef.co/go/tools/cmd/staticcheck
)
