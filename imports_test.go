package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is the package map: what each package may import of ours, and which
// foreign modules. A package that is missing here fails. The program itself
// imports bleve only to measure our index beside it.
var allowed = map[string]struct {
	ours    []string
	foreign []string
}{
	"citymarket":                                           {[]string{"graph", "marketplace", "marketplace/filestore", "marketplace/httppost", "marketplace/icalendar", "marketplace/mongostore", "marketplace/smtpmail", "marketplace/sqlitestore", "marketplace/timetable", "search", "seed", "web"}, []string{"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2", "github.com/rs/cors", "github.com/blevesearch/bleve/v2"}},
	"citymarket/graph":                                     {[]string{"marketplace"}, []string{"github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2", "github.com/coder/websocket"}},
	"citymarket/marketplace":                               {[]string{"marketplace/timetable"}, []string{"golang.org/x/crypto", "golang.org/x/image", "golang.org/x/sync", "golang.org/x/text"}},
	"citymarket/marketplace/smtpmail":                      {[]string{"marketplace"}, []string{"github.com/wneessen/go-mail"}},
	"citymarket/marketplace/icalendar":                     {[]string{"marketplace"}, []string{"github.com/arran4/golang-ical"}},
	"citymarket/marketplace/httppost":                      {[]string{"marketplace"}, nil},
	"citymarket/marketplace/storetest":                     {[]string{"marketplace"}, []string{"pgregory.net/rapid"}},
	"citymarket/marketplace/sqlitestore":                   {[]string{"marketplace"}, []string{"modernc.org/sqlite", "golang.org/x/sync"}},
	"citymarket/marketplace/filestore":                     {[]string{"marketplace"}, nil},
	"citymarket/marketplace/mongostore":                    {[]string{"marketplace"}, []string{"go.mongodb.org/mongo-driver/v2"}},
	"citymarket/marketplace/mongostore/internal/fakemongo": {nil, []string{"go.mongodb.org/mongo-driver/v2"}},
	"citymarket/marketplace/timetable":                     {[]string{"marketplace/timetable/internal/sat"}, nil},
	"citymarket/marketplace/timetable/internal/sat":        {nil, nil},
	"citymarket/search":                                    {[]string{"marketplace"}, []string{"github.com/blevesearch/", "golang.org/x/text", "golang.org/x/sync", "github.com/RoaringBitmap/roaring/v2", "go.etcd.io/bbolt"}},
	"citymarket/seed":                                      {[]string{"marketplace"}, []string{"golang.org/x/sync", "golang.org/x/text"}},
	"citymarket/web":                                       {nil, nil},
}

func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		may, ok := allowed[p.ImportPath]
		if !ok {
			t.Errorf("%s is not in the package map", p.ImportPath)
		}
		for _, i := range p.Imports {
			name, ours := strings.CutPrefix(i, "citymarket/")
			switch {
			case ours && !slices.Contains(may.ours, name):
				t.Errorf("%s must not import %s", p.ImportPath, i)
			case !ours && strings.Contains(strings.Split(i, "/")[0], ".") &&
				!slices.ContainsFunc(may.foreign, func(f string) bool { return i == f || strings.HasPrefix(i, strings.TrimSuffix(f, "/")+"/") }):
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}
