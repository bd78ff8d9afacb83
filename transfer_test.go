package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/sqlitestore"
)

// transferring is a server of imports and exports over a store with one
// company, and the token of a user who edits it.
func transferring(t *testing.T) (url, token string, market *marketplace.Market) {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	market = marketplace.New(store, nil, marketplace.Options{})
	system := marketplace.InBulk(marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.System}))
	company := &marketplace.Company{Meta: marketplace.Meta{ID: "company_acme", Slug: "acme"}, Size: "SME", ContactPolicy: "ANYONE"}
	company.Name, company.Country, company.Region = marketplace.Text{{Language: "en", Text: "Acme"}}, "NO", marketplace.Europe
	user := &marketplace.User{Meta: marketplace.Meta{ID: "user_ada"}, Name: "Ada", Email: "ada@example.org"}
	me := marketplace.WithViewer(t.Context(), marketplace.Viewer{Actor: marketplace.Actor{User: user.ID, Via: "session_test"}})
	if err := errors.Join(market.AddCompany(system, company), market.AddUser(system, user, "correct horse battery staple"), market.PlaceInTeam(system, company.ID, user.ID, "EDITOR")); err != nil {
		t.Fatal(err)
	}
	_, token, err = market.AddToken(me, marketplace.AddTokenInput{Name: "test", Scope: marketplace.ScopeWrite, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	http, _ := newServer(market, nil, config{concurrency: 4, timeout: time.Second}, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(http.Handler)
	t.Cleanup(server.Close)
	return server.URL, token, market
}

// request sends a request, with a token where there is one, and returns the
// answer's status, headers and body.
func request(t *testing.T, method, url, token, contentType string, body io.Reader) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// A file is tried, sent, followed and found again in the lists.
func TestFilesOverHTTP(t *testing.T) {
	t.Parallel()
	url, token, market := transferring(t)
	const file = "key,title:en\na,Kerb sensors\n"
	to := url + "/import/solutions?company=acme"
	for _, c := range []struct {
		query, content, body string
		status               int
		want                 string
	}{
		{"", "text/csv; charset=utf-8", file, http.StatusOK, `"dryRun":true,"valid":true,"import":null`},
		{"&dryRun=false", "text/csv", file + "a,Twice\n", http.StatusUnprocessableEntity, `{"line":3,"result":"INVALID","errors":[{"path":"key","code":"DUPLICATE","message":"is the one of line 2"}]}`},
		{"&dryRun=false&name=kerb.csv", "text/csv", file, http.StatusAccepted, `"import":"import_`},
		{"&dryRun=false", "application/x-ndjson", `{"key":"b","title:en":"B"}`, http.StatusAccepted, `"added":1`},
		{"&dryrun=false", "text/csv", file, http.StatusBadRequest, "is not a parameter"},
		{"&dryRun=no", "text/csv", file, http.StatusBadRequest, "must be true or false"},
		{"&publish=true", "text/csv", file, http.StatusForbidden, "FORBIDDEN"},
		{"", "application/json", "{}", http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
		{"", "text/csv", strings.Repeat("x", marketplace.MaxImportSize+1), http.StatusRequestEntityTooLarge, "CONTENT_TOO_LARGE"},
	} {
		status, _, body := request(t, http.MethodPost, to+c.query, token, c.content, strings.NewReader(c.body))
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.500s", c.query, status, body)
		}
	}
	// Of unknown length: the size is found out while it is read.
	status, _, body := request(t, http.MethodPost, to, token, "text/csv", io.MultiReader(strings.NewReader(file), bytes.NewReader(make([]byte, marketplace.MaxImportSize))))
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %.200s", status, body)
	}
	if status, _, body := request(t, http.MethodPost, to, "", "text/csv", strings.NewReader(file)); status != http.StatusUnauthorized {
		t.Errorf("a visitor: %d %s", status, body)
	}
	if status, _, _ := request(t, http.MethodGet, to, token, "", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	if err := market.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, body = request(t, http.MethodPost, url+"/graphql", token, "application/json",
		strings.NewReader(`{"query":"{ imports(company: \"company_acme\") { nodes { name format state by { name } companies { slug } lines added applied failed failures { line } } } }"}`))
	if !strings.Contains(body, `{"name":"kerb.csv","format":"CSV","state":"DONE","by":{"name":"Ada"},"companies":[{"slug":"acme"}],"lines":1,"added":1,"applied":1,"failed":0,"failures":[]}`) {
		t.Error(body)
	}
}

// Lists are there for everybody, what a member owns for its owners; what does
// not exist is said so.
func TestListsOverHTTP(t *testing.T) {
	t.Parallel()
	url, token, _ := transferring(t)
	for _, c := range []struct {
		path, token string
		status      int
		want        string
	}{
		{"/export/members.ndjson", "", http.StatusOK, `{"complete":true,"count":1}`},
		{"/export/members.csv?languages=en,zh-hant", "", http.StatusOK, "name:en,name:zh-Hant,"},
		{"/export/solutions.ndjson?updatedSince=2026-01-01T00:00:00Z&region=AFRICA", "", http.StatusOK, `{"complete":true,"count":0}`},
		{"/export/solutions.ndjson?updatedSince=yesterday", "", http.StatusBadRequest, "updatedSince"},
		{"/export/solutions.ndjson?languages=xxxxxxxxx", "", http.StatusBadRequest, "languages"},
		{"/export/solutions.ndjson?status=DRAFT", "", http.StatusBadRequest, "is not a parameter"},
		{"/export/solutions.xml", "", http.StatusNotFound, "NOT_FOUND"},
		{"/export/users.csv", "", http.StatusNotFound, "NOT_FOUND"},
		{"/export/member/company_acme.ndjson", "", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"/export/member/company_acme.ndjson", token, http.StatusForbidden, "FORBIDDEN"},
		{"/export/member/company_acme.csv", token, http.StatusForbidden, "FORBIDDEN"},
		{"/export/member/company_nowhere.ndjson", token, http.StatusNotFound, "NOT_FOUND"},
		{"/export/audit.ndjson", token, http.StatusForbidden, "FORBIDDEN"},
		{"/export/audit.ndjson?of=user_ada", token, http.StatusOK, `{"complete":true,"count":0}`},
	} {
		status, header, body := request(t, http.MethodGet, url+c.path, c.token, "", nil)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.500s", c.path, status, body)
		}
		isPublic := header.Get("Cache-Control") == "public, max-age=60"
		if isPublic != (status == http.StatusOK && c.token == "") || (status == http.StatusOK) != strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %v", c.path, header)
		}
	}
	if status, header, body := request(t, http.MethodHead, url+"/export/topics.csv", "", "", nil); status != http.StatusOK || body != "" || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
		t.Errorf("HEAD: %d %v %s", status, header, body)
	}
}

// plenty is a store with far more published solutions than fit between a
// server and a client that does not read.
type plenty struct {
	marketplace.Store
	n, fails int // the find that fails; 0: none
	finds    int
}

func (p *plenty) Find(_ context.Context, kind marketplace.Kind, q marketplace.Query) ([]marketplace.Document, error) {
	if p.finds++; p.finds == p.fails {
		return nil, marketplace.ErrUnavailable
	}
	from, _ := strconv.Atoi(q.After)
	var docs []marketplace.Document
	for i := from; i < min(from+q.Limit, p.n); i++ {
		docs = append(docs, marketplace.Document{ID: fmt.Sprint("solution_", i), Rev: 1, Position: strconv.Itoa(i + 1), Decode: func(into any) error {
			s := into.(*marketplace.Solution)
			s.ID, s.Status = marketplace.ID(fmt.Sprint("solution_", i)), marketplace.SolutionPublished
			s.Description = marketplace.Text{{Language: "en", Text: strings.Repeat("A description. ", 600)}}
			return nil
		}})
	}
	return docs, nil
}

// serveTransfers serves exports of a store; ended tells when one has ended.
func serveTransfers(t *testing.T, store marketplace.Store, patience time.Duration) (url string, ended chan struct{}) {
	t.Helper()
	market, log := marketplace.New(store, nil, marketplace.Options{}), slog.New(slog.DiscardHandler)
	transfers := newTransfers(market, newDoor(market, config{}, log), log)
	transfers.patience = patience
	mux := http.NewServeMux()
	transfers.handle(mux)
	ended = make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		mux.ServeHTTP(w, r)
	}))
	server.Config.WriteTimeout = 1 // no answer is in time, but for what sets a time of its own
	server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, ended
}

// A client that stops reading is cut, gives its place back, and can tell that
// it has not got everything.
func TestAClientThatStopsReadingIsCut(t *testing.T) {
	t.Parallel()
	url, ended := serveTransfers(t, &plenty{n: 1 << 30}, 100*time.Millisecond)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /export/solutions.ndjson HTTP/1.1\r\nHost: x\r\n\r\n")
	<-ended // or the test never ends
	all, _ := io.ReadAll(conn)
	if !bytes.Contains(all, []byte("HTTP/1.1 200")) || bytes.Contains(all, []byte(`"complete"`)) || bytes.HasSuffix(all, []byte("0\r\n\r\n")) {
		t.Errorf("%d bytes, at the end %q", len(all), all[max(0, len(all)-50):])
	}
}

// An export may take longer than the server gives other requests, and one
// that fails on the way breaks off, in both formats.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"solutions.ndjson", "solutions.csv"} {
		url, ended := serveTransfers(t, &plenty{n: 1000, fails: 8}, time.Minute)
		resp, err := http.Get(url + "/export/" + file)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || len(b) < 1<<20 || bytes.Contains(b, []byte(`"complete"`)) {
			t.Errorf("%s: %d, %d bytes, %v", file, resp.StatusCode, len(b), err)
		}
		<-ended
	}
	url, _ := serveTransfers(t, &plenty{n: 1000, fails: 1}, time.Minute)
	status, header, body := request(t, http.MethodGet, url+"/export/solutions.csv", "", "", nil)
	if status != http.StatusServiceUnavailable || header.Get("Content-Disposition") != "" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", status, header, body)
	}
}

// Each has one export at a time, and there are four.
func TestExportsHaveTheirPlaces(t *testing.T) {
	t.Parallel()
	p := newShares(2)
	leave, err := p.take("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.take("a"); !errors.Is(err, errOneAtATime) {
		t.Error(err)
	}
	if _, err := p.take("b"); err != nil {
		t.Error(err)
	}
	if _, err := p.take("c"); !errors.Is(err, errNoPlace) {
		t.Error(err)
	}
	leave()
	if _, err := p.take("c"); err != nil {
		t.Error(err)
	}
	url, ended := serveTransfers(t, &plenty{n: 1 << 30}, time.Minute)
	first, err := http.Get(url + "/export/solutions.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	status, header, body := request(t, http.MethodGet, url+"/export/solutions.ndjson", "", "", nil)
	var answer struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || answer.Errors[0].Extensions.Code != "RATE_LIMITED" {
		t.Errorf("%d %v %s", status, header, body)
	}
	first.Body.Close()
	<-ended
	<-ended // the first one has ended, too
}

// A file that does not come is not waited for.
func TestAFileThatStopsComingIsRefused(t *testing.T) {
	t.Parallel()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	market := marketplace.New(store, nil, marketplace.Options{})
	log := slog.New(slog.DiscardHandler)
	transfers := newTransfers(market, newDoor(market, config{}, log), log)
	transfers.patience = 50 * time.Millisecond
	admin := marketplace.Viewer{Actor: marketplace.Actor{User: "user_admin", Secretariat: marketplace.SecretariatAdmin, Via: "session_test"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		transfers.solutions(w, r.WithContext(marketplace.WithViewer(r.Context(), admin)))
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /import/solutions HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\ncompany,")
	all, _ := io.ReadAll(conn)
	if !bytes.Contains(all, []byte("HTTP/1.1 408")) {
		t.Errorf("%s", all)
	}
}

// The statistics of a member, as a table for its people alone.
func TestStatisticsOverHTTP(t *testing.T) {
	t.Parallel()
	url, token, _ := transferring(t)
	const months = "from=2027-01&to=2027-02"
	for _, c := range []struct {
		query, token string
		status       int
		want         string
	}{
		{"statistics.csv?member=company_acme&" + months, token, http.StatusOK, "group,key,label:en,label:zh,label:ko,label:es,requests,waiting,accepted,declined,expired,cancelled,agreed,held,missed,second," +
			"outcomeNotHeld,outcomeInformative,outcomeCooperationPossible,outcomeAgreed,answered,medianAnswer,ninetiethAnswer\r\nTOTAL,,,,,,0,0,"},
		{"statistics.csv?member=company_acme&" + months, token, http.StatusOK, "\r\nMONTH,2027-02,,,,,0,"},
		{"statistics.ndjson?member=company_acme&" + months, token, http.StatusOK, `{"complete":true,"count":5}`},
		{"statistics.csv?" + months, token, http.StatusForbidden, "statistics of the network"},
		{"statistics.csv?member=company_acme&" + months, "", http.StatusUnauthorized, "UNAUTHENTICATED"},
		{"statistics.csv?member=company_other&" + months, token, http.StatusNotFound, "NOT_FOUND"},
		{"statistics.csv?member=company_acme&from=2027", token, http.StatusBadRequest, "from: must be a month such as 2027-03; to: must be"},
		{"statistics.csv?member=company_acme&month=2027-01", token, http.StatusBadRequest, "is not a parameter"},
	} {
		status, _, body := request(t, http.MethodGet, url+"/export/"+c.query, c.token, "", nil)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.500s", c.query, status, body)
		}
	}
}
