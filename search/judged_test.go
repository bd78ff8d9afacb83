package search

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"citymarket/marketplace"
)

// judgedFloors are the least nDCG@10 of the judged collections, those of
// search's best peers or more.
var judgedFloors = map[string]float64{
	"cranfield": .40, "cacm": .52, "korquad-ko": .95,
	"xquadr-en": .86, "xquadr-es": .83, "xquadr-ar": .795, "xquadr-tr": .81, "xquadr-zh": .845,
}

// maxTypoLoss is how much of its nDCG a set of passages may lose when every
// query has a typo.
const maxTypoLoss = .05

// A judged is a collection whose queries have known answers.
type judged struct {
	name    string
	entries []marketplace.Entry
	queries []judgedQuery
}

type judgedQuery struct {
	ID, Text string
	gains    map[string]float64 // by document
}

// judgedDirectory has a directory for each collection, with corpus.jsonl,
// queries.jsonl and qrels.tsv. The project holds none.
func judgedDirectory() string {
	return cmp.Or(os.Getenv("CITYMARKET_JUDGED"), filepath.Join("..", "..", "shared", "bench", "ir"))
}

// readJudged reads a collection. Its language is what follows the last hyphen
// of its name, else English.
func readJudged(dir string) (*judged, error) {
	j := &judged{name: filepath.Base(dir)}
	language := marketplace.Language("en")
	if i := strings.LastIndexByte(j.name, '-'); i >= 0 {
		language = marketplace.Language(j.name[i+1:])
	}
	lines := func(name string, take func(string) error) error {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			if err := take(s.Text()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return s.Err()
	}
	gains := make(map[string]map[string]float64)
	return j, errors.Join(
		lines("qrels.tsv", func(line string) error {
			var query, doc string
			var gain float64
			if _, err := fmt.Sscan(line, &query, &doc, &gain); err != nil {
				return err
			}
			if gains[query] == nil {
				gains[query] = make(map[string]float64)
			}
			gains[query][doc] = gain
			return nil
		}),
		lines("queries.jsonl", func(line string) error {
			var q judgedQuery
			err := json.Unmarshal([]byte(line), &q)
			if q.gains = gains[q.ID]; q.gains != nil {
				j.queries = append(j.queries, q)
			}
			return err
		}),
		lines("corpus.jsonl", func(line string) error {
			var d struct{ ID, Title, Text string }
			err := json.Unmarshal([]byte(line), &d)
			j.entries = append(j.entries, marketplace.Entry{Kind: "solution", ID: d.ID, Rev: 1, Audience: []marketplace.Group{marketplace.Everyone},
				Title: marketplace.Text{{Language: language, Text: d.Title}}, Body: []marketplace.Text{{{Language: language, Text: d.Text}}}})
			return err
		}))
}

// quality is the mean over the queries of a collection.
type quality struct{ ndcg, precision, recall float64 }

// measure asks every query, as edit makes it.
func (j *judged) measure(x *Index, edit func(string) string) (q quality, err error) {
	var all []marketplace.FinderQuery
	for i := range j.queries {
		all = append(all, marketplace.FinderQuery{Text: edit(j.queries[i].Text), Size: 100, Groups: []marketplace.Group{marketplace.Everyone}})
	}
	n := float64(len(j.queries))
	for i := 0; i < len(all); i += 50 { // one call has two seconds
		found, err := x.Search(context.Background(), all[i:min(i+50, len(all))]...)
		if err != nil {
			return q, err
		}
		for k, f := range found {
			gains := j.queries[i+k].gains
			var ideal []float64
			for _, g := range gains {
				if g > 0 {
					ideal = append(ideal, g)
				}
			}
			slices.SortFunc(ideal, func(a, b float64) int { return cmp.Compare(b, a) })
			best, got, hits, precision := 0.0, 0.0, 0.0, 0.0
			for rank, g := range ideal[:min(len(ideal), 10)] {
				best += g / math.Log2(float64(rank)+2)
			}
			for rank, hit := range f.Hits {
				g := gains[hit.ID]
				if rank < 10 {
					got += g / math.Log2(float64(rank)+2)
				}
				if g > 0 {
					hits++
					precision += hits / float64(rank+1)
				}
			}
			if len(ideal) > 0 {
				q.ndcg += got / best / n
				q.precision += precision / float64(len(ideal)) / n
				q.recall += hits / float64(len(ideal)) / n
			}
		}
	}
	return q, nil
}

// mistype makes one typo in one word of a text, of those with four letters or
// more: a letter is another, is missing, stands twice, or has changed places
// with the next.
func mistype(r *rand.Rand, text string) string {
	letters := []rune(text)
	var words [][2]int
	for i, begin := 0, 0; i <= len(letters); i++ {
		if i < len(letters) && (unicode.IsLetter(letters[i]) || unicode.IsMark(letters[i])) {
			continue
		}
		if i-begin >= 4 {
			words = append(words, [2]int{begin, i})
		}
		begin = i + 1
	}
	if len(words) == 0 {
		return text
	}
	pick := func() (word [2]int, i int) {
		word = words[r.IntN(len(words))]
		return word, word[0] + r.IntN(word[1]-word[0])
	}
	word, i := pick()
	switch r.IntN(4) {
	case 0:
		_, other := pick()
		letters[i] = letters[other]
	case 1:
		letters = slices.Delete(letters, i, i+1)
	case 2:
		letters = slices.Insert(letters, i, letters[i])
	case 3:
		i = min(i, word[1]-2)
		letters[i], letters[i+1] = letters[i+1], letters[i]
	}
	return string(letters)
}

// TestJudged measures the collections there are.
func TestJudged(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob(filepath.Join(judgedDirectory(), "*", "corpus.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range judgedFloors {
		if _, err := os.Stat(filepath.Join(judgedDirectory(), name)); errors.Is(err, fs.ErrNotExist) {
			t.Logf("%s is not there", name)
		}
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			t.Parallel()
			j, err := readJudged(filepath.Dir(dir))
			if err != nil {
				t.Fatal(err)
			}
			x := indexOf(t, j.entries)
			plain := must(j.measure(x, func(s string) string { return s }))
			r := rand.New(rand.NewPCG(1, 2))
			typos := must(j.measure(x, func(s string) string { return mistype(r, s) }))
			floor, loss := judgedFloors[j.name], 1-typos.ndcg/plain.ndcg
			t.Logf("nDCG@10 %.4f (floor %.3f), MAP %.4f, recall@100 %.4f; with a typo nDCG@10 %.4f, %.1f %% less", plain.ndcg, floor, plain.precision, plain.recall, typos.ndcg, 100*loss)
			if plain.ndcg < floor {
				t.Errorf("nDCG@10 is %.4f, at least %.3f wanted", plain.ndcg, floor)
			}
			if strings.HasPrefix(j.name, "xquadr-") && loss > maxTypoLoss {
				t.Errorf("a typo costs %.1f %%, at most %.0f %% wanted", 100*loss, 100*maxTypoLoss)
			}
		})
	}
}
