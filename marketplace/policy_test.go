package marketplace

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("update", false, "write the golden files")

// The matrix of permissions is a golden file, so that a change of policy
// shows in review.
func TestPolicyMatrix(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-46s", "may")
	for _, r := range roles {
		fmt.Fprintf(&b, " %-13s", r.name)
	}
	b.WriteString("\n")
	for _, p := range permissions {
		fmt.Fprintf(&b, "%-46s", p.verb)
		for _, r := range roles {
			cell := "-"
			if p.who&r.role != 0 {
				cell = "yes"
			}
			fmt.Fprintf(&b, " %-13s", cell)
		}
		b.WriteString("\n")
	}
	golden(t, "policy.txt", trimLines(b.String()))
}

// Who may see what, by kind and status, is the other half of the policy.
func TestAudiences(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	show := func(what string, e entity) { fmt.Fprintf(&b, "%-24s %v\n", what, e.audience()) }
	for _, k := range append(memberKinds(), KindTopic) {
		show(string(k), kinds[k].new())
	}
	for _, s := range []SolutionStatus{SolutionDraft, SolutionInReview, SolutionPublished, SolutionArchived} {
		show("solution "+string(s), &Solution{Company: "company_its-own", Status: s})
	}
	for _, s := range []ProposalStatus{ProposalDraft, ProposalPublished, ProposalClosed} {
		show("proposal "+string(s), &Proposal{City: "city_its-own", Status: s})
	}
	show("offer", &Offer{City: "city_its-own", Company: "company_its-own"})
	show("message to all", &Message{City: "city_its-own", Member: "company_its-own"})
	show("message between two", &Message{City: "city_its-own", Company: "company_its-own", Member: "city_its-own"})
	show("thread of all", &Thread{City: "city_its-own"})
	show("thread of two", &Thread{City: "city_its-own", Company: "company_its-own"})
	show("meeting", &Meeting{From: "city_that-asks", To: "company_that-is-asked"})
	show("tally of meetings", &MeetingTally{City: "city_its-own"})
	show("report", &Report{})
	for _, x := range EventPhases {
		show("event "+string(x), &Event{Phase: x})
	}
	for _, s := range RegistrationStatuses {
		show("registration "+string(s), &Registration{Member: "company_its-own", Status: s})
	}
	show("wishes", &WishList{Member: "company_its-own"})
	show("pairing", &Pairing{A: "city_its-own", B: "company_its-own"})
	show("stances", &Stances{Member: "company_its-own"})
	show("conduct", &conduct{Member: "company_its-own"})
	show("upload, not in use", &Upload{Member: "company_its-own"})
	golden(t, "audience.txt", b.String())
}

// Every permission that exists is in the matrix.
func TestPolicyIsComplete(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(node ast.Node) bool {
		if v, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "May") {
			n++
		}
		return true
	})
	if n != len(permissions) {
		t.Errorf("%d permissions, %d in the matrix", n, len(permissions))
	}
}

// guard.go is the only file that touches the store, and its put, which asks
// for no permission itself, is called by create and update alone.
func TestOnlyTheGuardTouchesTheStore(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if s.Sel.Name == "store" && name != "guard.go" {
					t.Errorf("%s: %s touches the store", fset.Position(s.Pos()), fn.Name.Name)
				}
				if s.Sel.Name == "put" && fn.Name.Name != "create" && fn.Name.Name != "update" {
					t.Errorf("%s: %s writes without a permission", fset.Position(s.Pos()), fn.Name.Name)
				}
				return true
			})
		}
	}
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// golden compares a text with a file; -update writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./marketplace -update writes it):\n%s", path, got)
	}
}
