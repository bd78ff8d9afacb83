package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"citymarket/marketplace"
)

// secret stands for what must not leave the server.
const secret = "mongodb://admin:hunter2@db"

// stubs answer a few fields of the schema in the ways that the tests need.
type stubs struct{ ResolverRoot }

func (stubs) Query() QueryResolver { return stubQuery{} }
func (stubs) Topic() TopicResolver { return stubTopic{} }

type stubQuery struct{ QueryResolver }

func (stubQuery) Viewer(context.Context) (*marketplace.Viewer, error) {
	return &marketplace.Viewer{Languages: []marketplace.Language{"en"}}, nil
}

func (stubQuery) Node(ctx context.Context, id marketplace.ID) (marketplace.Node, error) {
	if id == "slow" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, nodeErrors[id]
}

func (stubQuery) Nodes(_ context.Context, ids []marketplace.ID) ([]marketplace.Node, error) {
	return make([]marketplace.Node, len(ids)), nil
}

func (stubQuery) Search(context.Context, *string, []marketplace.Kind, *marketplace.SearchFilter, *marketplace.SortOrder, *int, *string, *int, *string) (*marketplace.Results[marketplace.SearchResult], error) {
	return &marketplace.Results[marketplace.SearchResult]{}, nil
}

func (stubQuery) Cities(_ context.Context, text *string, _ *marketplace.SearchFilter, _ *marketplace.SortOrder, first *int, _ *string, _ *int, _ *string) (*marketplace.Results[*marketplace.City], error) {
	if text != nil && *text == "panic" {
		panic(secret)
	}
	return &marketplace.Results[*marketplace.City]{}, nil
}

func (stubQuery) Solution(context.Context, By) (*marketplace.Solution, error) { return nil, nil }

func (stubQuery) Suggest(context.Context, string, []marketplace.Kind, int) ([]*marketplace.Suggestion, error) {
	return nil, nil
}

func (stubQuery) Topics(context.Context) ([]*marketplace.Topic, error) {
	list := make([]*marketplace.Topic, 30)
	for i := range list {
		list[i] = &marketplace.Topic{Meta: marketplace.Meta{ID: marketplace.ID(fmt.Sprintf("topic_%d", i)), Slug: strings.Repeat("long", 50)}}
	}
	return list, nil
}

type stubTopic struct{ TopicResolver }

func (stubTopic) Parent(context.Context, *marketplace.Topic) (*marketplace.Topic, error) {
	return nil, errors.New(secret)
}

// nodeErrors are what node(id:) fails with.
var nodeErrors = map[marketplace.ID]error{
	"internal":    errors.New(secret),
	"wrapped":     fmt.Errorf("store: %w", errors.New(secret)),
	"notfound":    fmt.Errorf("%s: %w", secret, marketplace.ErrNotFound),
	"signin":      &marketplace.ForbiddenError{Verb: "publish a solution"},
	"forbidden":   &marketplace.ForbiddenError{Verb: "publish a solution", Signed: true},
	"stale":       fmt.Errorf("%s: %w", secret, marketplace.ErrStale),
	"taken":       &marketplace.TakenError{Claim: secret},
	"unavailable": fmt.Errorf("%s: %w", secret, marketplace.ErrUnavailable),
	"unknown":     fmt.Errorf("%s: %w", secret, marketplace.ErrUnknown),
	"closed":      marketplace.ErrClosed,
	"cursor":      marketplace.ErrBadCursor,
	"noindex":     fmt.Errorf("%s: %w", secret, marketplace.ErrNoIndex),
	"invalid": &marketplace.InvalidError{Errors: []marketplace.UserError{
		{Path: "deployments[2].year", Code: "OUT_OF_RANGE", Message: "must be a year"},
		{Path: "title", Code: "REQUIRED", Message: "is missing"},
	}},
	"long": coded(codeBadUserInput, "x"+strings.Repeat("é", 10_000)),
}

// stubAPI is a handler over the stubs.
func stubAPI(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return NewHandler(NewExecutableSchema(Config{Resolvers: stubs{}}), o)
}

var sharedAPI = sync.OnceValue(func() http.Handler { return stubAPI(Options{}) })

// reply is an answer, decoded.
type reply struct {
	status int
	header http.Header
	body   string
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Locations  []struct{ Line, Column int }
		Extensions map[string]any
	}
}

// codes lists the codes of the errors.
func (r *reply) codes() (codes []string) {
	for _, e := range r.Errors {
		codes = append(codes, fmt.Sprint(e.Extensions["code"]))
	}
	return codes
}

// send sends a request; a header is "Name: value".
func send(t testing.TB, h http.Handler, method, target, body string, headers ...string) *reply {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := &reply{status: w.Code, header: w.Header(), body: w.Body.String()}
	if strings.HasPrefix(got.body, "{") {
		if err := json.Unmarshal(w.Body.Bytes(), got); err != nil {
			t.Fatalf("%v in %s", err, got.body)
		}
	}
	return got
}

// ask sends a query by POST as a modern client does.
func ask(t testing.TB, h http.Handler, query string, variables any) *reply {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return send(t, h, http.MethodPost, "/graphql", string(body), "Content-Type: application/json", "Accept: "+typeGraphQL)
}

func TestHandlerMayBeMadeWhileAnotherServes(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { ask(t, stubAPI(Options{}), "{ __schema { directives { name } } }", nil) })
	}
	group.Wait()
}

func TestDirectivesOfOthersAreHidden(t *testing.T) {
	t.Parallel()
	got := ask(t, sharedAPI(), "{ __schema { directives { name } } }", nil)
	for _, name := range []string{`"defer"`, `"go`} {
		if strings.Contains(got.body, name) {
			t.Errorf("%s is in %s", name, got.body)
		}
	}
	for _, name := range []string{`"skip"`, `"include"`, `"deprecated"`, `"oneOf"`, `"specifiedBy"`} {
		if !strings.Contains(got.body, name) {
			t.Errorf("%s is not in %s", name, got.body)
		}
	}
}

// The query of graphql-js 16 with all its options is as large as tools get.
func TestStandardIntrospectionPasses(t *testing.T) {
	t.Parallel()
	query, err := os.ReadFile("testdata/introspection.graphql")
	if err != nil {
		t.Fatal(err)
	}
	got := ask(t, sharedAPI(), string(query), nil)
	if got.status != http.StatusOK || got.Errors != nil {
		t.Fatalf("%d %.500s", got.status, got.body)
	}
	doc, _ := parseDocument(string(query))
	deeper, _ := parseDocument(strings.Replace(string(query), "ofType {", "ofType { ofType {", 1) + "}")
	if err := doc.measure(); err != nil {
		t.Error(err)
	}
	if deeper != nil && deeper.measure() == nil {
		t.Error("depth 16 passes")
	}
}

func TestDeadlineStopsTheWork(t *testing.T) {
	t.Parallel()
	got := ask(t, stubAPI(Options{Timeout: time.Millisecond}), `{ node(id: "slow") { id } }`, nil)
	if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable || got.codes()[0] != codeUnavailable {
		t.Errorf("%d %s", got.status, got.body)
	}
	got = ask(t, stubAPI(Options{Timeout: -1}), "{ __typename }", nil)
	if got.status != http.StatusServiceUnavailable || got.codes()[0] != codeUnavailable || got.Data != nil {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The leaving of a client stops the work, too, and is not worth a line in the log.
func TestLeavingStopsTheWork(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	h := stubAPI(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/graphql?query="+url.QueryEscape(`{ node(id: "slow") { id } }`), nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}()
	cancel()
	<-done
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

func BenchmarkHandler(b *testing.B) {
	h := sharedAPI()
	for name, query := range map[string]string{
		"typename": "{ __typename }",
		"topics":   "{ topics { id slug isSample version createdAt updatedAt } }",
	} {
		body := fmt.Sprintf(`{"query":%q}`, query)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
