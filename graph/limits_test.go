package graph

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	gqlparser "github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"citymarket/marketplace"
)

// doubling is n fragments, each of which spreads the next one twice.
func doubling(n int, on, leaf string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on %s { ...F%d ...F%[3]d }", i, on, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on %s { %s }", n, on, leaf)
	return b.String()
}

// repeat writes a pattern n times, with the number in the place of #.
func repeat(n int, pattern string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(pattern, "#", fmt.Sprint(i)))
	}
	return b.String()
}

func nest(n int, open, middle, shut string) string {
	return strings.Repeat(open, n) + middle + strings.Repeat(shut, n)
}

// What could be used to make the server work a lot for little is refused, and
// quickly.
func TestAbuse(t *testing.T) {
	t.Parallel()
	const limit, invalid, bad = codeLimit, codeValidation, codeBadUserInput
	for name, c := range map[string]struct{ query, code string }{
		// Size of the text.
		"a large document":          {"{ __typename }" + strings.Repeat(" ", maxDocument), limit},
		"a large comment":           {"{ __typename } #" + strings.Repeat("x", maxDocument), limit},
		"a large string":            {`{ search(text: "` + strings.Repeat("x", maxDocument) + `") { totalCount } }`, limit},
		"many fields of one name":   {"{" + strings.Repeat(" a", 5000) + "}", limit},
		"many typenames":            {"{" + strings.Repeat(" __typename", 1400) + "}", limit},
		"10,000 typenames":          {"{" + strings.Repeat(" __typename", 10_000) + "}", limit},
		"many comments":             {"{ __typename " + strings.Repeat("#\n", 5000) + "}", limit},
		"many tokens in a value":    {"{ nodes(ids: [" + strings.Repeat("1 ", 5000) + "]) { id } }", limit},
		"many variables":            {"query(" + repeat(500, "$a#: Int ") + ") { __typename }", limit},
		"many operations":           {repeat(500, "query Q#{__typename}"), limit},
		"brackets without an end":   {"{ nodes(ids: " + strings.Repeat("[", 10_000), codeParse},
		"brackets within the limit": {"{ nodes(ids: " + nest(700, "[", "1", "]") + ") { id } }", invalid},
		"braces without an end":     {strings.Repeat("{a", 700), codeParse},
		"types in brackets":         {"query($a: " + nest(600, "[", "Int", "]") + ") { __typename }", invalid},

		// Fragments.
		"28 doublings":                 {"{ ...F0 }" + doubling(28, "Query", "__typename"), limit},
		"100 doublings":                {"{ ...F0 }" + doubling(100, "Query", "__typename"), limit},
		"doublings of a connection":    {"{ cities { ...F0 } }" + doubling(28, "CityConnection", "totalCount"), limit},
		"doublings of introspection":   {"{ __schema { types { ...F0 } } }" + doubling(28, "__Type", "name"), limit},
		"doublings without a use":      {"{ __typename }" + doubling(28, "Query", "__typename"), invalid},
		"a cycle":                      {"{ ...A } fragment A on Query { ...A }", invalid},
		"a cycle of two":               {"{ ...A } fragment A on Query { ...B } fragment B on Query { ...A ...A }", invalid},
		"a cycle that descends":        {"{ topics { ...A } } fragment A on Topic { parent { ...A children { ...A } } }", invalid},
		"a cycle without a use":        {"{ __typename } fragment A on Query { ...A }", invalid},
		"a cycle in introspection":     {"{ __schema { types { ...A } } } fragment A on __Type { fields { type { ...A } } }", invalid},
		"a fragment that is not there": {"{ ...A }", invalid},
		"a fragment twice":             {"{ ...A } fragment A on Query { __typename } fragment A on Query { __typename }", invalid},
		"a chain at many places":       {"{ topics {" + strings.Repeat(" ...F0", 100) + "} }" + chain(12), limit},

		// Depth.
		"deep":                   {"{ topics " + nest(20, "{ parent ", "{ id }", "}") + "}", limit},
		"very deep":              {"{ topics " + nest(400, "{ parent ", "{ id }", "}") + "}", limit},
		"deep through fragments": {"{ topics { ...F0 } }" + chain(20), limit},
		"deep inline fragments":  {nest(300, "{ ... ", "{ __typename }", "}"), ""},
		"deep introspection":     {`{ __type(name: "Query") { fields { type { fields { type { fields { name } } } } } } }`, invalid},

		// Breadth.
		"aliases":                   {"{" + repeat(31, " a#: __typename") + "}", limit},
		"aliases below":             {"{ viewer {" + repeat(31, " a#: isSignedIn") + "} }", limit},
		"aliases in two operations": {"query A { viewer {" + repeat(16, " a#: isSignedIn") + "} } query B { viewer {" + repeat(16, " b#: isSignedIn") + "} }", limit},
		"roots":                     {"{" + strings.Repeat(" viewer { isSignedIn }", 21) + "}", limit},
		"roots through fragments":   {"{" + strings.Repeat(" ...A", 3) + "} fragment A on Query {" + strings.Repeat(" viewer { isSignedIn }", 7) + "}", limit},
		"directives at one field":   {"{ __typename " + strings.Repeat("@include(if: true) ", 51) + "}", limit},
		"directives all over":       {"{ viewer {" + strings.Repeat(" isSignedIn @skip(if: false)", 51) + "} }", limit},
		"unknown directives":        {"{ __typename " + repeat(51, "@a# ") + "}", limit},
		"one field many times":      {"{ cities { nodes {" + strings.Repeat(" slug", 900) + "} } }", limit},
		"one object many times":     {"{ cities { nodes {" + strings.Repeat(" country { code }", 200) + "} } }", limit},
		"one path many times":       {"{" + strings.Repeat(" cities { nodes { "+strings.Repeat("slug ", 40)+"} }", 15) + "}", limit},
		"unknown fields":            {"{ viewer {" + repeat(90, " nope#") + "} }", invalid},

		// What is asked for.
		"a huge page":                 {"{ cities(first: 100000) { totalCount } }", bad},
		"a huge page from the end":    {"{ cities(last: 101) { totalCount } }", bad},
		"a page of pages":             {"{ topics { solutions(first: 100) { nodes { company { solutions(first: 100) { nodes { id } } } } } } }", limit},
		"pages by default":            {"{ cities { nodes { proposals { nodes { city { proposals { nodes { id } } } } } } } }", limit},
		"pages by edges":              {"{ cities(first: 100) { edges { node { proposals(first: 100) { edges { node { id } } } } } } }", limit},
		"pages in fragments":          {"{ cities(first: 100) { ...E } } fragment E on CityConnection { edges { ...N } } fragment N on CityEdge { node { proposals(first: 100) { totalCount nodes { id } } } }", limit},
		"lists of lists":              {"{ topics { children { parent { children { parent { children { parent { children { parent { children { parent { children { id } } } } } } } } } } } } }", limit},
		"many facets":                 {"{ cities { facets(fields: [" + strings.Repeat("KIND ", 300) + "], first: 300) { buckets { value } } } }", limit},
		"huge facets":                 {"{ cities { facets(fields: [KIND], first: 100000) { buckets { value } } } }", limit},
		"many completions":            {`{ suggest(text: "a", first: 2000000000) { text { text } } }`, limit},
		"many nodes":                  {"{ nodes(ids: [" + strings.Repeat("1 ", 1400) + "]) { id ... on City { name { text } country { name } } } }", limit},
		"the schema twice":            {"{ a: __schema { types { name } } b: __schema { types { name } } }", limit},
		"the schema through types":    {`{ a: __type(name: "Query") { fields { type { ofType { fields { args { name type { name } } } } } } } b: __type(name: "Query") { fields { type { ofType { fields { args { name type { name } } } } } } } }`, limit},
		"a number of more than 32":    {"{ cities(first: 4294967297) { totalCount } }", invalid},
		"a number of more than 64":    {"{ cities(first: 99999999999999999999) { totalCount } }", invalid},
		"a float of more than 64":     {"{ cities(filter: {budget: {min: 1e999}}) { totalCount } }", invalid},
		"a scalar as a large number":  {"{ cities(filter: {countries: [99999999999999999999]}) { totalCount } }", invalid},
		"a scalar as an object":       {"{ cities(filter: {countries: {a: 1}}) { totalCount } }", invalid},
		"deferring":                   {"{ ... @defer { __typename } }", invalid},
		"a hint for the generator":    {"{ __typename @goField(name: 1) }", invalid},
		"a field of another schema":   {"{ _service { sdl } }", invalid},
		"entities of a federation":    {"{ _entities(representations: []) { __typename } }", invalid},
		"control characters":          {"{ \u0000__typename }", codeParse},
		"a byte order mark is fine":   {"\ufeff{ __typename }", ""},
		"an unpaired quotation mark":  {`{ search(text: "a) { totalCount } }`, codeParse},
		"null for what must not be":   {"{ node(id: null) { id } }", invalid},
		"an argument that is missing": {"{ node { id } }", invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			got := ask(t, stubAPI(Options{}), c.query, nil)
			took := time.Since(before)
			code := ""
			if len(got.Errors) > 0 {
				code = got.codes()[0]
			}
			if code != c.code || (code == "") != (got.status == http.StatusOK) {
				t.Errorf("%d %.400s", got.status, got.body)
			}
			if len(got.Errors) > maxErrors {
				t.Errorf("%d errors", len(got.Errors))
			}
			if len(got.body) > maxErrors*(maxMessage+200) {
				t.Errorf("%d bytes", len(got.body))
			}
			// Each takes a few milliseconds at most; the bound is for a busy
			// machine with the race detector.
			if took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			if strings.Contains(got.body, "Did you mean") {
				t.Errorf("suggests: %.400s", got.body)
			}
		})
	}
}

// chain is n fragments, each of which has a field that spreads the next one.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Topic { parent { ...F%d } }", i, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Topic { id }", n)
	return b.String()
}

// What screens and tools ask for passes.
func TestLimitsLeaveRoom(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"a search": `{ search(text: "smart", first: 20, filter: {budget: {currency: "EUR", min: 5, max: 1.5}}) { totalCount suggestion pageInfo { hasNextPage endCursor }
			edges { cursor score node { __typename ... on City { id name { text } country { name } } ... on Company { id name { text } } ... on Solution { id title { text language } company { id name { text } } topics { id label { text } } }
			... on Proposal { id title { text } city { id name { text } } topics { id label { text } } } } highlights { field language text ranges { start end } } }
			facets(fields: [KIND, TOPIC, SDG, COUNTRY, REGION, MATURITY, PRICE_BAND, STAGE], first: 20) { field buckets { value count label isSelected } } } }`,
		"the largest page":   "{ cities(first: 100) { nodes { id slug isSample version createdAt updatedAt name { text language } country { code name } region } pageInfo { hasNextPage endCursor } } }",
		"a large facet":      "{ cities(first: 0) { facets(fields: [COUNTRY, TOPIC], first: 300) { field buckets { value count label } } } }",
		"the vocabulary":     "{ topics { id label { text } children { id label { text } solutions(first: 0) { totalCount } } } }",
		"100 nodes":          "{ nodes(ids: [" + strings.Repeat(`"a" `, 100) + "]) { id } }",
		"30 aliases":         "{" + repeat(20, " a#: __typename") + "}",
		"twenty roots":       "{" + strings.Repeat(" __typename", 20) + "}",
		"a field many times": "{ viewer {" + strings.Repeat(" isSignedIn", 100) + "} }",
		"a type":             `{ __type(name: "City") { kind name description fields { name args { name type { name } } type { name kind ofType { name kind } } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := parseDocument(query)
			if err != nil {
				t.Fatal(err)
			}
			if err := doc.measure(); err != nil {
				t.Fatal(err)
			}
			if errs := validate(NewExecutableSchema(Config{}).Schema(), doc.QueryDocument); errs != nil {
				t.Fatal(errs)
			}
			if err := checkComplexity(doc.Operations[0], map[string]any{}); err != nil {
				t.Error(err, err.Extensions)
			}
		})
	}
}

func TestComplexity(t *testing.T) {
	t.Parallel()
	schema := NewExecutableSchema(Config{}).Schema()
	for _, c := range []struct {
		query     string
		variables map[string]any
		want      int
	}{
		{"{ __typename }", nil, 1},
		{"{ viewer { isSignedIn languages } }", nil, 3},
		{"{ cities { totalCount } }", nil, 2},
		{"{ cities { nodes { id } } }", nil, 1 + 1 + marketplace.DefaultPageSize},
		{"{ cities(first: null) { nodes { id } } }", nil, 1 + 1 + marketplace.DefaultPageSize},
		{"{ cities(first: 7) { nodes { id slug } edges { cursor } totalCount } }", nil, 1 + (1 + 7*2) + (1 + 7) + 1},
		{"query($n: Int) { cities(last: $n) { nodes { id } } }", map[string]any{"n": int64(3)}, 1 + 1 + 3},
		{"query($n: Int) { cities(last: $n) { nodes { id } } }", nil, 1 + 1 + marketplace.DefaultPageSize},
		{"{ cities(first: 2) { ...C } companies(first: 3) { nodes { id } } } fragment C on CityConnection { nodes { id } }", nil, 2 + (1 + 2) + (1 + 3)},
		{"{ a: cities(first: 2) { ...C } b: cities(first: 5) { ...C } } fragment C on CityConnection { nodes { id } }", nil, 2 + (1 + 2) + (1 + 5)},
		{"{ topics { id } }", nil, 1 + listLength},
		{`{ nodes(ids: ["a", "b"]) { id } }`, nil, 1 + 2},
		{`{ nodes(ids: "a") { id } }`, nil, 1 + 1},
		{"query($ids: [ID!]!) { nodes(ids: $ids) { id } }", map[string]any{"ids": []any{"a", "b", "c"}}, 1 + 3},
		{`{ suggest(text: "a") { text { text } } }`, nil, 1 + 8*2},
		{"{ cities { facets(fields: [KIND, TOPIC, SDG]) { field buckets { value } } } }", nil, 1 + 1 + 3*(1+1+20)},
		{"{ cities { facets(fields: KIND, first: 5) { buckets { value } } } }", nil, 1 + 1 + (1 + 5)},
		{"{ cities(first: 5) { nodes { ... on Node { id } ... { slug } } } }", nil, 1 + 1 + 5*2},
		{"{ __schema { types { name } } }", nil, schemaWeight},
		{`{ registrations(of: "event_1", first: 3) { nodes { agenda { startsAt } } } }`, nil, 1 + 1 + 3*(readWeight+1+listLength)},
		{`{ event(by: {id: "event_1"}) { runs(first: 2) { nodes { placements(first: 4) { nodes { startsAt } } } } } }`, nil, 1 + readWeight + 1 + 1 + 2*(readWeight+1+1+4)},
		{"{ cities(first: -5) { nodes { id } } }", nil, 1 + 1 + listLength}, // the domain refuses it
	} {
		doc, err := parseDocument(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if errs := validate(schema, doc.QueryDocument); errs != nil {
			t.Fatal(c.query, errs)
		}
		w := &weigher{variables: c.variables, fragments: map[spreadOnPage]int{}}
		if got := w.selections(doc.Operations[0].SelectionSet, 0); got != c.want {
			t.Errorf("%s: %d, not %d", c.query, got, c.want)
		}
	}
	for name := range weights {
		typ, field, _ := strings.Cut(name, ".")
		if def := schema.Types[typ]; def == nil || def.Fields.ForName(field) == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

// tiny has all three kinds of operation, and answers each with no fields.
type tiny struct{ schema *ast.Schema }

func newTiny() tiny {
	return tiny{gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @goField(name: String) on FIELD_DEFINITION
		type Query { a: Int }
		type Mutation { a: Int b: Int }
		type Subscription { a: Int }`})}
}

func (s tiny) Schema() *ast.Schema { return s.schema }

func (tiny) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (tiny) Exec(context.Context) graphql.ResponseHandler {
	return graphql.OneShot(&graphql.Response{Data: []byte("{}")})
}

func TestKindsOfOperation(t *testing.T) {
	t.Parallel()
	schema := newTiny()
	h := NewHandler(schema, Options{})
	if schema.Schema().Directives["goField"] != nil || schema.Schema().Directives["defer"] != nil {
		t.Error("directives are left")
	}
	for _, c := range []struct {
		method, query string
		status        int
	}{
		{"POST", "mutation { a }", 200},
		{"POST", "mutation { a b a b a }", 200},
		{"POST", "mutation { a b a b a b }", 400},
		{"POST", "mutation { ...M ...M } fragment M on Mutation { a b a }", 400},
		{"GET", "mutation { a }", 405},
		{"GET", "{ a }", 200},
		{"POST", "subscription { a }", 400},
		{"GET", "subscription { a }", 400},
	} {
		// Twice: a document that is known already is refused as well.
		for range 2 {
			var got *reply
			if c.method == "POST" {
				got = ask(t, h, c.query, nil)
			} else {
				got = send(t, h, "GET", "/?query="+url.QueryEscape(c.query), "", wantGraphQL)
			}
			if got.status != c.status {
				t.Errorf("%s %s: %d %s", c.method, c.query, got.status, got.body)
			}
		}
	}
}
