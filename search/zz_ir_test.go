package search

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"citymarket/marketplace"
)

func TestIR(t *testing.T) {
	base := os.Getenv("IR")
	if base == "" {
		t.Skip()
	}
	for _, set := range strings.Fields("cranfield cacm xquadr-en xquadr-es xquadr-ar xquadr-tr xquadr-zh korquad-ko") {
		lang := set[strings.LastIndex(set, "-")+1:]
		if len(lang) > 2 {
			lang = "en"
		}
		type doc struct{ ID, Title, Text string }
		read := func(name string) (out []doc) {
			f, _ := os.Open(base + "/" + set + "/" + name)
			defer f.Close()
			s := bufio.NewScanner(f)
			s.Buffer(nil, 1<<24)
			for s.Scan() {
				var d doc
				json.Unmarshal(s.Bytes(), &d)
				out = append(out, d)
			}
			return
		}
		var es []marketplace.Entry
		for _, d := range read("corpus.jsonl") {
			es = append(es, marketplace.Entry{Kind: "d", ID: d.ID, Rev: 1, Audience: []marketplace.Group{"everyone"},
				Title: marketplace.Text{{Language: marketplace.Language(lang), Text: d.Title}}, Body: []marketplace.Text{{{Language: marketplace.Language(lang), Text: d.Text}}}})
		}
		x := indexOf(t, es)
		rel := map[string]map[string]float64{}
		b, _ := os.ReadFile(base + "/" + set + "/qrels.tsv")
		for _, l := range strings.Split(string(b), "\n") {
			p := strings.Split(l, "\t")
			if len(p) < 3 {
				continue
			}
			var r float64
			fmt.Sscan(p[2], &r)
			if rel[p[0]] == nil {
				rel[p[0]] = map[string]float64{}
			}
			rel[p[0]][p[1]] = r
		}
		sum, n, short := 0.0, 0, 0
		for i, q := range read("queries.jsonl") {
			if rel[q.ID] == nil || i > 1500 {
				continue
			}
			f := find(t, x, marketplace.FinderQuery{Text: q.Text, Size: 10})
			if f.Total < 10 {
				short++
			}
			dcg, idcg := 0.0, 0.0
			for i, h := range f.Hits {
				dcg += rel[q.ID][h.ID] / math.Log2(float64(i)+2)
			}
			k := 0
			for _, r := range rel[q.ID] {
				if r > 0 && k < 10 {
					idcg += 1 / math.Log2(float64(k)+2)
					k++
				}
			}
			if idcg > 0 {
				sum += dcg / idcg
				n++
			}
		}
		fmt.Printf("%s %.3f (%d, %d short)\n", set, sum/float64(n), n, short)
	}
}
