package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gqlparser "github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Variables are taken and refused as by graphql-js.
func TestVariables(t *testing.T) {
	t.Parallel()
	for query, cases := range map[string]map[string]bool{
		"query($n: Int) { cities(first: $n) { totalCount } }": {
			`{}`: true, `{"n":null}`: true, `{"n":1}`: true, `{"n":1.0}`: true, `{"n":1e1}`: true, `{"n":-0}`: true,
			`{"n":1.5}`: false, `{"n":"1"}`: false, `{"n":""}`: false, `{"n":true}`: false, `{"n":[1]}`: false, `{"n":{}}`: false,
			`{"n":2147483648}`: false, `{"n":-2147483649}`: false, `{"n":1e999}`: false, `{"n":1,"unused":2}`: true,
		},
		"query($n: Int!) { cities(first: $n) { totalCount } }":     {`{}`: false, `{"n":null}`: false, `{"n":2}`: true},
		"query($n: Int = 3) { cities(first: $n) { totalCount } }":  {`{}`: true, `{"n":null}`: true, `{"n":"3"}`: false},
		"query($n: Int! = 3) { cities(first: $n) { totalCount } }": {`{}`: true, `{"n":null}`: false, `{"n":4}`: true},
		"query($id: ID!) { node(id: $id) { id } }": {
			`{"id":"x"}`: true, `{"id":""}`: true, `{"id":5}`: true, `{"id":5.0}`: true, `{"id":99999999999999999999}`: true,
			`{"id":5.5}`: false, `{"id":true}`: false, `{"id":null}`: false, `{"id":["x"]}`: false, `{"id":{}}`: false, `{}`: false,
		},
		"query($ids: [ID!]!) { nodes(ids: $ids) { id } }": {
			`{"ids":"a"}`: true, `{"ids":["a","b"]}`: true, `{"ids":[]}`: true, `{"ids":5}`: true,
			`{"ids":["a",null]}`: false, `{"ids":null}`: false, `{"ids":[["a"]]}`: false, `{"ids":{"0":"a"}}`: false,
		},
		"query($q: String!) { suggest(text: $q) { text { text } } }": {
			`{"q":"a"}`: true, `{"q":5}`: false, `{"q":true}`: false, `{"q":["a"]}`: false, `{"q":{}}`: false,
		},
		"query($b: By!) { solution(by: $b) { id } }": {
			`{"b":{"id":"x"}}`: true, `{"b":{"slug":"x"}}`: true, `{"b":{"id":7}}`: true,
			`{"b":{"id":"x","slug":"y"}}`: false, `{"b":{}}`: false, `{"b":{"id":null}}`: false, `{"b":{"id":"x","slug":null}}`: false,
			`{"b":{"nope":1}}`: false, `{"b":{"id":"x","nope":1}}`: false, `{"b":{"__typename":"By"}}`: false, `{"b":"x"}`: false, `{"b":[]}`: false, `{"b":[{"id":"x"}]}`: false,
		},
		"query($f: SearchFilter) { cities(filter: $f) { totalCount } }": {
			`{"f":{}}`: true, `{"f":null}`: true, `{"f":{"topics":null}}`: true, `{"f":{"topics":["a"],"sdgs":[1,2]}}`: true, `{"f":{"sdgs":3}}`: true,
			`{"f":{"isSample":true}}`: true, `{"f":{"isSample":"true"}}`: false, `{"f":{"isSample":0}}`: false,
			`{"f":{"budget":{"min":5,"max":1.5}}}`: true, `{"f":{"budget":{"min":"5"}}}`: false, `{"f":{"budget":{"currency":null}}}`: false, `{"f":{"budget":{"currency":"EUR"}}}`: true,
			`{"f":{"budget":{"currency":5}}}`: false, `{"f":{"countries":["KR"]}}`: true, `{"f":{"countries":[["KR"]]}}`: false, `{"f":{"countries":{"a":1}}}`: false, `{"f":{"countries":[true]}}`: false,
			`{"f":{"regions":["EUROPE"]}}`: true, `{"f":{"regions":["europe"]}}`: false, `{"f":{"regions":[1]}}`: false, `{"f":{"regions":"EUROPE"}}`: true, `{"f":{"regions":["MOON"]}}`: false,
		},
		"query($b: Boolean!) { __typename @include(if: $b) }":       {`{"b":true}`: true, `{"b":"true"}`: false, `{"b":1}`: false, `{"b":null}`: false, `{}`: false},
		"query($b: Boolean = true) { __typename @include(if: $b) }": {`{"b":false}`: true, `{}`: true, `{"b":null}`: false},
	} {
		for variables, ok := range cases {
			got := ask(t, sharedAPI(), query, json.RawMessage(variables))
			if (got.status == http.StatusOK && len(got.Errors) == 0) != ok {
				t.Errorf("%s\n%s: %d %s", query, variables, got.status, got.body)
			}
			if !ok && (got.status != http.StatusBadRequest || got.codes()[0] != codeBadUserInput || got.Data != nil || got.Errors[0].Extensions["variable"] == nil) {
				t.Errorf("%s\n%s: %d %s", query, variables, got.status, got.body)
			}
		}
	}
}

// Literals are held to the same rules.
func TestLiterals(t *testing.T) {
	t.Parallel()
	for query, ok := range map[string]bool{
		`{ solution(by: {id: "x"}) { id } }`:                                                   true,
		`{ solution(by: {id: "x", slug: "y"}) { id } }`:                                        false,
		`{ solution(by: {}) { id } }`:                                                          false,
		`{ solution(by: {id: null}) { id } }`:                                                  false,
		`query($i: ID) { solution(by: {id: $i}) { id } }`:                                      false,
		`query($i: ID = "x") { solution(by: {id: $i}) { id } }`:                                false,
		`{ solution(by: {id: "x", id: "y"}) { id } }`:                                          false,
		`{ nodes(ids: "a") { id } }`:                                                           true,
		`{ nodes(ids: ["a", null]) { id } }`:                                                   false,
		`{ nodes(ids: null) { id } }`:                                                          false,
		`{ nodes(ids: ["a", 5]) { id } }`:                                                      true,
		`{ cities(first: 2147483647, filter: {regions: EUROPE}) { totalCount } }`:              false, // the page
		`{ cities(filter: {regions: EUROPE}) { totalCount } }`:                                 true,
		`{ cities(filter: {regions: "EUROPE"}) { totalCount } }`:                               false,
		`{ cities(filter: {regions: Europe}) { totalCount } }`:                                 false,
		`{ cities(filter: {countries: "KR"}) { totalCount } }`:                                 true,
		`{ cities(filter: {countries: KR}) { totalCount } }`:                                   false,
		`{ cities(filter: {countries: [["KR"]]}) { totalCount } }`:                             false,
		`{ cities(filter: {budget: {currency: 5}}) { totalCount } }`:                           false,
		`{ cities(filter: {budget: {min: 5}}) { totalCount } }`:                                true,
		`{ cities(filter: {isSample: "true"}) { totalCount } }`:                                false,
		`{ cities(filter: {nope: 1}) { totalCount } }`:                                         false,
		`{ cities(first: "1") { totalCount } }`:                                                false,
		`{ cities(first: 1.0) { totalCount } }`:                                                false,
		`{ search(text: 5) { totalCount } }`:                                                   false,
		`{ search { edges { node { __typename ... on City { slug } } } } }`:                    true,
		`{ search { edges { node { ... on City { x: slug } ... on Solution { x: trl } } } } }`: false,
		`{ search { edges { node { trl } } } }`:                                                false,
	} {
		got := ask(t, sharedAPI(), query, nil)
		if (got.status == http.StatusOK && len(got.Errors) == 0) != ok {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestCoercedValues(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		type Query { a(in: In, list: [[Int]]): Int }
		input In { id: ID f: Float nested: [In!] text: Text need: Int! = 1 }
		scalar Text`})
	doc, err := parser.ParseQuery(&ast.Source{Input: "query($in: In, $list: [[Int]], $absent: Int) { a(in: $in, list: $list) }"})
	if err != nil {
		t.Fatal(err)
	}
	var given jsonObject
	if err := json.Unmarshal([]byte(`{"in":{"id":1e3,"f":2,"nested":{"id":12345678901234567890,"text":"t"}},"list":[1,[2,null],null]}`), &given); err != nil {
		t.Fatal(err)
	}
	got, errs := coerceVariables(schema, doc.Operations[0], given, nil)
	if errs != nil {
		t.Fatal(errs)
	}
	const want = `map[in:map[f:2 id:1000 nested:[map[id:12345678901234567890 text:t]]] list:[[1] [2 <nil>] <nil>]]`
	if fmt.Sprint(got) != want {
		t.Errorf("got %v\nwant %s", got, want)
	}
	inner := got["in"].(map[string]any)
	if _, ok := inner["id"].(string); !ok {
		t.Errorf("%T", inner["id"])
	}
	if _, ok := inner["f"].(float64); !ok {
		t.Errorf("%T", inner["f"])
	}
}

// All mistakes come at once, with their places, and not more than fit.
func TestVariableErrors(t *testing.T) {
	t.Parallel()
	const query = "query($b: By!, $f: SearchFilter) { solution(by: $b) { id } cities(filter: $f) { totalCount } }"
	got := ask(t, sharedAPI(), query, json.RawMessage(`{"b":{"id":true},"f":{"budget":{"min":"5"},"regions":["EUROPE","MOON"]}}`))
	var paths []string
	for _, e := range got.Errors {
		paths = append(paths, e.Extensions["variable"].(string))
		if !strings.HasPrefix(e.Message, "Variable $"+paths[len(paths)-1]+": ") || len(e.Locations) != 1 {
			t.Errorf("%+v", e)
		}
	}
	if got, want := strings.Join(paths, " "), "b.id f.regions[1] f.budget.min"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = ask(t, sharedAPI(), query, json.RawMessage(`{"b":{"id":"x"},"f":{"sdgs":[`+strings.Repeat(`"x",`, 1000)+`1]}}`))
	if len(got.Errors) != maxErrors {
		t.Errorf("%d errors", len(got.Errors))
	}
}
