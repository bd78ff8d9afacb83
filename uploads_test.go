package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"citymarket/marketplace"
	"citymarket/marketplace/filestore"
	"citymarket/marketplace/sqlitestore"
)

// A depot is a server of files over a store with two companies. Ada edits the
// first, Bob the second, and Cai owns the first.
type depot struct {
	url      string
	market   *marketplace.Market
	tokens   map[string]string // by the first name; "reader" may only read
	solution marketplace.ID    // a draft of the first
	system   context.Context
	server   *httptest.Server
}

func newDepot(t *testing.T) *depot {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(t.TempDir(), "test.db"), marketplace.StoreSchema())
	if err != nil {
		t.Fatal(err)
	}
	contents, err := filestore.Open(filepath.Join(t.TempDir(), "files"))
	if err != nil {
		t.Fatal(err)
	}
	d := &depot{tokens: map[string]string{}}
	d.market = marketplace.New(store, nil, marketplace.Options{Files: contents, Temporary: t.TempDir(), Alone: true})
	d.system = marketplace.InBulk(marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: marketplace.System}))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"acme", "rival"} {
		c := &marketplace.Company{Meta: marketplace.Meta{ID: marketplace.ID("company_" + name), Slug: name}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = marketplace.Text{{Language: "en", Text: name}}, "NO", marketplace.Europe
		must(d.market.AddCompany(d.system, c))
	}
	s := &marketplace.Solution{Meta: marketplace.Meta{Slug: "kerb"}, Company: "company_acme", Title: marketplace.Text{{Language: "en", Text: "Kerb"}},
		Summary: marketplace.Text{{Language: "en", Text: "A kerb."}}, Topics: []marketplace.ID{"topic_kerbs"}, Maturity: "IDEA", PriceModel: "FREE", PriceBand: "FREE"}
	must(d.market.AddTopic(d.system, &marketplace.Topic{Meta: marketplace.Meta{ID: "topic_kerbs", Slug: "kerbs"}, Label: marketplace.Text{{Language: "en", Text: "Kerbs"}}}))
	must(d.market.AddSolution(d.system, s))
	d.solution = s.ID
	for _, p := range []struct {
		name   string
		member marketplace.ID
		role   marketplace.TeamRole
	}{{"ada", "company_acme", "EDITOR"}, {"bob", "company_rival", "EDITOR"}, {"cai", "company_acme", "OWNER"}} {
		u := &marketplace.User{Meta: marketplace.Meta{ID: marketplace.ID("user_" + p.name)}, Name: p.name, Email: p.name + "@example.org"}
		must(d.market.AddUser(d.system, u, "correct horse battery staple"))
		must(d.market.PlaceInTeam(d.system, p.member, u.ID, p.role))
		d.tokens[p.name] = d.token(t, u.ID, marketplace.ScopeWrite)
	}
	d.tokens["reader"] = d.token(t, "user_ada", marketplace.ScopeRead)
	d.tokens["visitor"] = ""
	http, _ := newServer(d.market, nil, config{concurrency: 4, timeout: time.Second}, slog.New(slog.DiscardHandler))
	d.server = httptest.NewServer(http.Handler)
	d.url = d.server.URL
	t.Cleanup(func() { d.server.Close(); contents.Close(); store.Close() })
	return d
}

func (d *depot) token(t *testing.T, user marketplace.ID, scope marketplace.TokenScope) string {
	t.Helper()
	me := marketplace.WithViewer(context.Background(), marketplace.Viewer{Actor: marketplace.Actor{User: user, Via: "session_test"}})
	_, secret, err := d.market.AddToken(me, marketplace.AddTokenInput{Name: "test", Scope: scope, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// take takes Ada's role away.
func (d *depot) takeRole(t *testing.T, user marketplace.ID) {
	t.Helper()
	if _, err := d.market.SetRole(d.system, marketplace.SetRoleInput{Member: new(marketplace.ID("company_acme")), User: user}); err != nil {
		t.Fatal(err)
	}
}

func (d *depot) to(subject marketplace.ID, name string) string {
	return d.url + "/files?for=" + string(subject) + "&name=" + url.QueryEscape(name)
}

// upload uploads a file that must be accepted.
func (d *depot) upload(t *testing.T, name string, content []byte) (u uploaded) {
	t.Helper()
	status, header, body := request(t, http.MethodPost, d.to(d.solution, name), d.tokens["ada"], "application/octet-stream", bytes.NewReader(content))
	var answer struct{ Upload uploaded }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusCreated || header.Get("Location") != answer.Upload.URL {
		t.Fatalf("%s: %d %v %s", name, status, header, body)
	}
	return answer.Upload
}

func (d *depot) attach(t *testing.T, u uploaded) {
	t.Helper()
	_, err := d.market.EditSolution(d.system, marketplace.EditSolutionInput{ID: d.solution, Content: marketplace.Patch{
		"media": []any{map[string]any{"type": "DOCUMENT", "file": string(u.ID)}}}})
	if err != nil {
		t.Fatal(err)
	}
}

func (d *depot) move(t *testing.T, moves ...marketplace.SolutionMove) {
	t.Helper()
	for _, move := range moves {
		if _, err := d.market.MoveSolution(d.system, marketplace.MoveSolutionInput{ID: d.solution, Move: move}); err != nil {
			t.Fatal(err)
		}
	}
}

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is sent is answered as HTTP and the API's errors have it.
func TestUploadingFiles(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	picture := pngOf(t, 400, 200)
	large := bytes.Repeat([]byte("a"), marketplace.MaxDocumentFile+1)
	for _, c := range []struct {
		what, who, query string
		body             []byte
		status           int
		want             string
	}{
		{"a picture", "ada", "for=SOLUTION&name=plan.exe", picture, 201, `"name":"plan.exe.png","mimeType":"image/png","size":`},
		{"an owner's", "cai", "for=SOLUTION", []byte("text"), 201, `"name":"file.txt","mimeType":"text/plain; charset=utf-8","size":4,"width":null,"height":null,"url":"/files/upload_`},
		{"a rival's", "bob", "for=SOLUTION", picture, 404, "NOT_FOUND"},
		{"a visitor's", "visitor", "for=SOLUTION", picture, 403, formHeader},
		{"with a token that reads", "reader", "for=SOLUTION", picture, 403, "a token that may only read"},
		{"for a company by its editor", "ada", "for=company_acme", picture, 403, "edit this member"},
		{"for another company", "ada", "for=company_rival", picture, 403, "FORBIDDEN"},
		{"for nothing", "ada", "", picture, 404, "NOT_FOUND"},
		{"with another parameter", "ada", "for=SOLUTION&title=x", picture, 400, "is not a parameter"},
		{"a web page", "ada", "for=SOLUTION&name=a.png", []byte("<!DOCTYPE html><script>"), 415, "allowed are pictures"},
		{"a program", "ada", "for=SOLUTION&name=a.png", []byte("MZ\x90\x00\x03"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"nothing at all", "ada", "for=SOLUTION", nil, 400, "is empty"},
		{"too much", "ada", "for=SOLUTION", large, 413, "CONTENT_TOO_LARGE"},
		{"a picture with too much behind it", "ada", "for=SOLUTION", append(bytes.Clone(picture), make([]byte, marketplace.MaxPictureFile)...), 413, "at most 10 MiB"},
	} {
		query := strings.ReplaceAll(c.query, "SOLUTION", string(d.solution))
		for how, body := range map[string]io.Reader{"of known length": bytes.NewReader(c.body), "chunked": io.MultiReader(bytes.NewReader(c.body))} {
			status, header, answer := request(t, http.MethodPost, d.url+"/files?"+query, d.tokens[c.who], "image/png", body)
			if status != c.status || !strings.Contains(answer, c.want) || header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("%s, %s: %d %.300s", c.what, how, status, answer)
			}
		}
	}
	// By cookie it takes the header that forms of other sites cannot send.
	for _, c := range []struct {
		header map[string]string
		status int
	}{
		{map[string]string{}, http.StatusForbidden},
		{map[string]string{formHeader: "x"}, http.StatusUnauthorized}, // a visitor
		{map[string]string{formHeader: "x", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
	} {
		d.move(t) // nothing: it is a draft
		r, _ := http.NewRequest(http.MethodPost, d.to("company_acme", "a.png"), bytes.NewReader(picture))
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%v: %d", c.header, resp.StatusCode)
		}
	}
	if status, _, _ := request(t, http.MethodPut, d.to(d.solution, "a.png"), d.tokens["ada"], "", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", status)
	}
}

// formOf is a form of parts, each its headers and content.
func formOf(t *testing.T, parts ...[2]string) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		for line := range strings.SplitSeq(p[0], "\n") {
			name, value, _ := strings.Cut(line, ": ")
			h.Add(name, value)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, p[1])
	}
	w.Close()
	return w.FormDataContentType(), body
}

// A form has one file and nothing else, and little around it.
func TestFormsWithFiles(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	const file = `Content-Disposition: form-data; name="file"; filename="plan.txt"`
	for _, c := range []struct {
		what   string
		parts  [][2]string
		status int
		want   string
	}{
		{"one file", [][2]string{{file, "A plan."}}, 201, `"name":"plan.txt"`},
		{"a path", [][2]string{{`Content-Disposition: form-data; name="file"; filename="../../etc/passwd"`, "root"}}, 201, `"name":"passwd.txt"`},
		{"a path with backslashes", [][2]string{{`Content-Disposition: form-data; name="file"; filename="C:\\windows\\win.ini"`, "root"}}, 201, `"name":"win.ini.txt"`},
		{"letters of many scripts", [][2]string{{`Content-Disposition: form-data; name="file"; filename="räksmörgås 城市.txt"`, "text"}}, 201, `"name":"räksmörgås 城市.txt"`},
		{"a name in RFC 5987", [][2]string{{`Content-Disposition: form-data; name="file"; filename*=UTF-8''%E5%9F%8E%0D%0AX%3A%20y.txt`, "text"}}, 201, `"name":"城--X- y.txt"`},
		{"another media type", [][2]string{{file + "\nContent-Type: text/html", "text"}}, 201, `"mimeType":"text/plain; charset=utf-8"`},
		{"quoted-printable", [][2]string{{file + "\nContent-Transfer-Encoding: quoted-printable", "a=3D"}}, 201, `"size":4`},
		{"two files", [][2]string{{file, "one"}, {file, "two"}}, 400, "must have one part"},
		{"a field before", [][2]string{{`Content-Disposition: form-data; name="operations"`, "{}"}, {file, "one"}}, 400, "must have one part"},
		{"a field behind", [][2]string{{file, "one"}, {`Content-Disposition: form-data; name="map"`, "{}"}}, 400, "must have one part"},
		{"no file", [][2]string{{`Content-Disposition: form-data; name="file"`, "text"}}, 400, "must have one part"},
		{"no parts", nil, 400, "has no file"},
		{"an empty file", [][2]string{{file, ""}}, 400, "is empty"},
		{"a huge header", [][2]string{{file + "\nX-Long: " + strings.Repeat("x", 100_000), "one"}}, 400, "too large around its file"},
		{"many headers", [][2]string{{file + strings.Repeat("\nX-Many: x", 5000), "one"}}, 400, "too large around its file"},
		{"2,000 parts", func() (many [][2]string) {
			for range 2000 {
				many = append(many, [2]string{file, "x"})
			}
			return many
		}(), 400, "must have one part"},
		{"too large a file", [][2]string{{file, strings.Repeat("a", marketplace.MaxDocumentFile+1)}}, 413, "CONTENT_TOO_LARGE"},
	} {
		kind, body := formOf(t, c.parts...)
		status, _, answer := request(t, http.MethodPost, d.url+"/files?for="+string(d.solution), d.tokens["ada"], kind, body)
		if status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s: %d %.300s", c.what, status, answer)
		}
	}
	kind, body := formOf(t, [2]string{file, "A plan."})
	whole := body.String()
	for what, c := range map[string]struct{ kind, body string }{
		"a cut form":            {kind, whole[:len(whole)-20]},
		"a form of one line":    {kind, whole[:20]},
		"no boundary":           {"multipart/form-data", whole},
		"another boundary":      {"multipart/form-data; boundary=x", whole},
		"much before the form":  {kind, strings.Repeat("x\r\n", 10_000) + whole},
		"much behind the form":  {kind, whole + strings.Repeat("x", 100_000)},
		"a form of the old way": {"application/x-www-form-urlencoded", "file=x"},
	} {
		status, _, answer := request(t, http.MethodPost, d.url+"/files?for="+string(d.solution), d.tokens["ada"], c.kind, strings.NewReader(c.body))
		if status != http.StatusBadRequest || !strings.Contains(answer, `"code":"BAD_REQUEST"`) {
			t.Errorf("%s: %d %.300s", what, status, answer)
		}
	}
	list, err := d.market.Uploads(d.system, d.solution)
	if err != nil || len(list) != 7 {
		t.Errorf("%d uploads are there, %v", len(list), err)
	}
}

// get asks for a file with headers.
func (d *depot) get(t *testing.T, method, path, who string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, d.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.tokens[who] != "" {
		r.Header.Set("Authorization", "Bearer "+d.tokens[who])
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
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
	return resp, string(b)
}

// Files are served with headers that let a browser do nothing with them but
// show pictures and save the rest, and are kept by nobody without asking.
func TestServingFiles(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	picture := d.upload(t, "plan.png", pngOf(t, 2000, 1000))
	text := d.upload(t, "智慧.txt", []byte("0123456789"))
	d.attach(t, text)
	resp, body := d.get(t, http.MethodGet, text.URL, "ada")
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Content-Disposition": "attachment; filename*=utf-8''%E6%99%BA%E6%85%A7.txt",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "private, no-store", "Accept-Ranges": "bytes", "Content-Length": "10",
		"Etag": `"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"`,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if resp.StatusCode != 200 || body != "0123456789" || !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Authorization, Cookie") {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	tag := resp.Header.Get("ETag")
	for _, c := range []struct {
		what, method, who string
		headers           []string
		status            int
		body              string
	}{
		{"HEAD", "HEAD", "ada", nil, 200, ""},
		{"the same", "GET", "ada", []string{"If-None-Match: " + tag}, 304, ""},
		{"others", "GET", "ada", []string{`If-None-Match: "x"`}, 200, "0123456789"},
		{"a part", "GET", "ada", []string{"Range: bytes=2-4"}, 206, "234"},
		{"the end", "GET", "ada", []string{"Range: bytes=-3"}, 206, "789"},
		{"a part of the same", "GET", "ada", []string{"Range: bytes=0-0", "If-Range: " + tag}, 206, "0"},
		{"a part of another", "GET", "ada", []string{"Range: bytes=0-0", `If-Range: "x"`}, 200, "0123456789"},
		{"what lies behind", "GET", "ada", []string{"Range: bytes=99-"}, 416, "invalid range: failed to overlap\n"},
		{"it all many times", "GET", "ada", []string{"Range: bytes=" + strings.Repeat("0-,", 100) + "0-"}, 200, "0123456789"},
		{"with the hash, by a rival", "GET", "bob", []string{"If-None-Match: " + tag}, 404, ""},
		{"by a visitor", "HEAD", "visitor", nil, 404, ""},
	} {
		resp, body := d.get(t, c.method, text.URL, c.who, c.headers...)
		if resp.StatusCode != c.status || c.status != 404 && body != c.body {
			t.Errorf("%s: %d %.100q", c.what, resp.StatusCode, body)
		}
	}
	for i, l := range picture.Thumbnails {
		resp, body := d.get(t, http.MethodGet, l.URL, "ada")
		c, kind, err := image.DecodeConfig(strings.NewReader(body))
		if resp.Header.Get("Content-Type") != "image/jpeg" || resp.Header.Get("Content-Disposition") != "inline; filename=plan.jpg" || c.Width != []int{320, 1280}[i] || c.Width != l.Width || kind != "jpeg" {
			t.Errorf("%s: %d %v %v %v", l.URL, resp.StatusCode, resp.Header, c, err)
		}
	}
	at := strings.TrimSuffix(picture.URL, "plan.png")
	for _, path := range []string{at, at + "plan.jpg", at + "0/plan.jpg", at + "0320/plan.jpg", at + "+320/plan.jpg", at + "321/plan.jpg", at + "320/plan.png", at + "320/plan.jpg/x",
		at + "..%2f..%2fkey", "/files/" + strings.Trim(tag, `"`) + "/plan.png", "/files/company_acme/plan.png", "/files/upload_x/plan.png", "/files/..%2f/plan.png", "/files/", "/files/a/b/c/d"} {
		if resp, body := d.get(t, http.MethodGet, path, "ada"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %.100s", path, resp.StatusCode, body)
		}
	}

	// Published, everybody may have it, but must ask each time, since it ends
	// at once.
	d.move(t, "SUBMIT", "APPROVE")
	resp, body = d.get(t, http.MethodGet, text.URL, "visitor")
	if body != "0123456789" || resp.Header.Get("Cache-Control") != "public, no-cache" || resp.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("published: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := d.get(t, http.MethodGet, picture.URL, "visitor"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("what is not attached: %d", resp.StatusCode)
	}
	if resp, _ := d.get(t, http.MethodGet, picture.URL, "ada"); resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("what is not attached, by the company: %d %v", resp.StatusCode, resp.Header)
	}
	d.move(t, "ARCHIVE")
	if resp, _ := d.get(t, http.MethodGet, text.URL, "visitor", "If-None-Match: "+tag); resp.StatusCode != http.StatusNotFound {
		t.Errorf("archived: %d", resp.StatusCode)
	}
	// And so it does for somebody whose role is taken away.
	if resp, _ := d.get(t, http.MethodGet, text.URL, "ada"); resp.StatusCode != http.StatusOK {
		t.Errorf("archived, by the company: %d", resp.StatusCode)
	}
	d.takeRole(t, "user_ada")
	for _, path := range []string{text.URL, picture.URL, picture.Thumbnails[0].URL} {
		if resp, _ := d.get(t, http.MethodGet, path, "ada", "If-None-Match: "+tag); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s by somebody who left: %d", path, resp.StatusCode)
		}
	}
	if status, _, body := request(t, http.MethodPost, d.to(d.solution, "a.txt"), d.tokens["ada"], "", strings.NewReader("text")); status != http.StatusNotFound {
		t.Errorf("uploaded by somebody who left: %d %s", status, body)
	}
}

// Whoever loses their role while they send a file has sent it in vain.
func TestARoleTakenAwayWhileAFileComes(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(d *depot){
		"out of the team": func(d *depot) { d.takeRole(t, "user_ada") },
		"suspended": func(d *depot) {
			if _, err := d.market.SuspendUser(d.system, marketplace.SuspendUserInput{ID: "user_ada", Suspended: true}); err != nil {
				t.Error(err)
			}
		},
		"still there": func(*depot) {},
	} {
		d := newDepot(t)
		d.move(t, "SUBMIT", "APPROVE") // so that it can be seen afterwards
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "The first half, ")
			end(d)
			io.WriteString(w, "the second half.")
			w.Close()
		}()
		status, _, body := request(t, http.MethodPost, d.to(d.solution, "a.txt"), d.tokens["ada"], "", r)
		want := http.StatusForbidden
		switch how {
		case "suspended":
			want = http.StatusUnauthorized
		case "still there":
			want = http.StatusCreated
		}
		if status != want {
			t.Errorf("%s: %d %s", how, status, body)
		}
		if list, err := d.market.Uploads(d.system, d.solution); err != nil || (len(list) == 1) != (want == http.StatusCreated) {
			t.Errorf("%s: %v %v", how, list, err)
		}
	}
}

// A body that does not go on is cut off and told so.
func TestABodyThatStopsComingIsRefused(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	log := slog.New(slog.DiscardHandler)
	f := newFiles(d.market, newDoor(d.market, config{}, log), log)
	f.patience = 50 * time.Millisecond
	mux := http.NewServeMux()
	f.handle(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	const form = "Content-Type: multipart/form-data; boundary=x\r\n"
	for what, body := range map[string]string{
		"as it is": "\r\nbegun", "a form": form + "\r\n--x\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\nbegun", "a form's header": form + "\r\n--x\r\nContent-",
	} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /files?for=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n%s", d.solution, d.tokens["ada"], body)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
	}
}

// deadlines is an answer on which the time to read is noted.
type deadlines struct {
	http.ResponseWriter
	last time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.last = t
	return nil
}

// slow gives a piece each second.
type slow int

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return copy(p, make([]byte, s)), nil
}

// A body may take long as long as it comes at a pace of 32 KiB a second;
// single bytes now and then are not enough.
func TestThePaceOfABody(t *testing.T) {
	t.Parallel()
	for piece, most := range map[int]time.Duration{1: 20 * time.Second, 16 << 10: 40 * time.Second, 64 << 10: 0} {
		synctest.Test(t, func(t *testing.T) {
			began, d := time.Now(), &deadlines{}
			body := &steady{r: slow(piece), control: http.NewResponseController(d), began: began, patience: 10 * time.Second}
			for d.last.IsZero() || time.Now().Before(d.last) {
				body.Read(make([]byte, piece))
				if time.Since(began) > time.Hour {
					break
				}
			}
			took := time.Since(began)
			if most == 0 && took < time.Hour || most != 0 && (took < most-2*time.Second || took > most+2*time.Second) {
				t.Errorf("%d bytes a second are cut after %s", piece, took)
			}
		})
	}
}

// The store that is full, and the one that is not there, are told apart.
func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	f := newFiles(nil, nil, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{&marketplace.InvalidError{Errors: []marketplace.UserError{{Path: "for", Code: "TOO_MANY", Message: "has 100 files"}}}, 507, "LIMIT_EXCEEDED"},
		{&marketplace.RateLimitedError{Wait: 1500 * time.Millisecond}, 429, `"retryAfter":2`},
		{fmt.Errorf("files: %w", marketplace.ErrUnavailable), 503, "UNAVAILABLE"},
		{marketplace.ErrStale, 409, "CONFLICT"},
		{errors.New("the secret reason"), 500, "internal error"},
	} {
		w := httptest.NewRecorder()
		f.refuse(w, httptest.NewRequest(http.MethodPost, "/files", nil), c.err)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if (c.status == 429 || c.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: %v", c.err, w.Header())
		}
	}
}
