package graph

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// persisted is the body of a request with a hash.
func persisted(query string, hash any) string {
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if query != "" {
		body["query"] = query
	}
	text, _ := json.Marshal(body)
	return string(text)
}

func hashString(query string) string {
	hash := hashText(query)
	return hex.EncodeToString(hash[:])
}

func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	h := stubAPI(Options{})
	post := func(body string) string {
		t.Helper()
		got := send(t, h, http.MethodPost, "/", body, jsonBody, wantGraphQL)
		if len(got.Errors) == 0 && got.status == http.StatusOK {
			return "ok"
		}
		return fmt.Sprint(got.status, " ", got.codes()[0])
	}
	const good, other = "{ viewer { isSignedIn } }", "{ __typename }"
	const missing, refused = "400 " + codeNotPersisted, "400 " + codeBadUserInput
	for _, step := range []struct{ name, body, want string }{
		{"unknown", persisted("", hashString(good)), missing},
		{"without its hash it is not registered", `{"query":"` + good + `"}`, "ok"},
		{"and stays unknown", persisted("", hashString(good)), missing},
		{"registered", persisted(good, hashString(good)), "ok"},
		{"known", persisted("", hashString(good)), "ok"},
		{"known in capitals", persisted("", strings.ToUpper(hashString(good))), "ok"},
		{"known with its text", persisted(good, hashString(good)), "ok"},
		{"another's hash", persisted(other, hashString(good)), refused},
		{"nobody's hash", persisted(other, hashString("nobody")), refused},
		{"is not registered", persisted("", hashString("nobody")), missing},
		{"invalid", persisted("{ nope }", hashString("{ nope }")), "400 " + codeValidation},
		{"is not registered either", persisted("", hashString("{ nope }")), missing},
		{"too complex", persisted("{ __schema { types { name } } a: __schema { types { name } } }", hashString("{ __schema { types { name } } a: __schema { types { name } } }")), "400 " + codeLimit},
		{"is not registered either", persisted("", hashString("{ __schema { types { name } } a: __schema { types { name } } }")), missing},
		{"short", persisted("", hashString(good)[:63]), refused},
		{"long", persisted("", hashString(good)+"00"), refused},
		{"not hexadecimal", persisted("", strings.Repeat("x", 64)), refused},
		{"a number", persisted("", 5), refused},
		{"none", persisted("", nil), refused},
		{"another version", `{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"` + hashString(good) + `"}}}`, refused},
		{"not an object", `{"extensions":{"persistedQuery":[1]}}`, refused},
		{"null", `{"query":"{ __typename }","extensions":{"persistedQuery":null}}`, "ok"},
	} {
		if got := post(step.body); got != step.want {
			t.Errorf("%s: %s, not %s", step.name, got, step.want)
		}
	}
	extensions := url.QueryEscape(fmt.Sprintf(`{"persistedQuery":{"version":1,"sha256Hash":%q}}`, hashString(good)))
	if got := send(t, h, http.MethodGet, "/?extensions="+extensions, ""); len(got.Errors) > 0 || got.status != http.StatusOK {
		t.Errorf("by GET: %d %s", got.status, got.body)
	}
}

func TestPersistedMutationIsRefusedByGet(t *testing.T) {
	t.Parallel()
	h := NewHandler(newTiny(), Options{})
	const mutation = "mutation { a }"
	if got := send(t, h, http.MethodPost, "/", persisted(mutation, hashString(mutation)), jsonBody); len(got.Errors) > 0 {
		t.Fatal(got.body)
	}
	extensions := url.QueryEscape(fmt.Sprintf(`{"persistedQuery":{"version":1,"sha256Hash":%q}}`, hashString(mutation)))
	if got := send(t, h, http.MethodGet, "/?extensions="+extensions, ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The documents that are kept stay within their size, and those that are used
// stay longest.
func TestDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	make := func(i int) *document {
		doc, err := parseDocument(fmt.Sprintf("{ a%d: __typename }", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.measure(); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	d := newDocuments(10 * make(10).size())
	first := make(0)
	d.add(first)
	d.register(first, hashText(first.text))
	for i := 1; i < 1000; i++ {
		doc := make(i)
		d.add(doc)
		d.register(doc, hashText(doc.text))
		if d.byText(first.text) != first {
			t.Fatalf("the first one is gone after %d", i)
		}
	}
	if n := d.order.Len(); n > 10 || n < 8 || len(d.texts) != n || len(d.hashes) != n || d.room < 0 {
		t.Errorf("%d documents, %d texts, %d hashes, room %d", n, len(d.texts), len(d.hashes), d.room)
	}
	if d.byHash(hashText(first.text)) != first || d.byHash(hashText("{ a5: __typename }")) != nil || d.byText("{ a5: __typename }") != nil {
		t.Error("the wrong ones were kept")
	}
	gone := make(5)
	d.register(gone, hashText(gone.text))
	if d.byHash(hashText(gone.text)) != nil {
		t.Error("what is not kept was registered")
	}
	room := d.room
	d.add(make(999)) // kept already, by another request
	if d.room != room {
		t.Error("the same document was counted twice")
	}
}

func TestDocumentsAreShared(t *testing.T) {
	t.Parallel()
	h := stubAPI(Options{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 50 {
				query := fmt.Sprintf("query($s: Boolean!) { a%d: __typename ...V @skip(if: $s) } fragment V on Query { viewer { isSignedIn } }", i%5)
				body := fmt.Sprintf(`{"query":%q,"variables":{"s":%t},"extensions":{"persistedQuery":{"version":1,"sha256Hash":%q}}}`, query, i%2 == 0, hashString(query))
				got := send(t, h, http.MethodPost, "/", body, jsonBody)
				if len(got.Errors) > 0 || strings.Contains(string(got.Data), "viewer") != (i%2 == 1) {
					t.Error(got.body)
				}
			}
		})
	}
	group.Wait()
}
