package search

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"citymarket/marketplace"
)

// Bounds of mending: a stranger's text decides how often it happens.
const (
	maxCandidates = 200 // dictionary entries looked at for one word
	maxMended     = 8   // of which kept
	maxSuggested  = 8   // words of a query for which a suggestion is sought
)

// A mended word is one of the dictionary that may have been meant.
type mended struct {
	word   string
	weight float64
	far    uint8 // edit distance
	df     int
}

// longer finds the words that begin with one that nothing contains, the
// commonest first: half a word, or the first part of a compound.
func (v *view) longer(field, word string) ([]mended, error) {
	if utf8.RuneCountInString(word) < 3 {
		return nil, nil
	}
	dict, err := v.snapshot.FieldDictPrefix(field, []byte(word))
	if err != nil {
		return nil, err
	}
	var out []mended
	for range maxCandidates {
		e, err := dict.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		out = append(out, mended{word: e.Term, weight: 0.8, df: int(e.Count)})
	}
	return v.likeliest(field, out, maxMended), dict.Close()
}

// mend finds what may have been meant by a word that nothing contains: words
// one edit away (transpositions count as one), else two edits for words of five
// letters or more that begin with the same letter. Nearest first, then
// commonest.
func (v *view) mend(field, word string) ([]mended, error) {
	out, err := v.near(field, word, 1, "")
	if err != nil || len(out) > 0 || utf8.RuneCountInString(word) < 5 {
		return v.likeliest(field, out, maxMended), err
	}
	_, first := utf8.DecodeRuneInString(word)
	out, err = v.near(field, word, 2, word[:first])
	return v.likeliest(field, out, maxMended), err
}

// near lists the words of a field within an edit distance of 1 or 2 that
// begin with the prefix. Words of less than four letters have no neighbours:
// everything would be one.
func (v *view) near(field, word string, distance int, prefix string) ([]mended, error) {
	if utf8.RuneCountInString(word) < 4 {
		return nil, nil
	}
	dict, automaton, err := v.snapshot.FieldDictFuzzyAutomaton(field, word, distance, prefix)
	if err != nil {
		return nil, err
	}
	var out []mended
	for range maxCandidates {
		e, err := dict.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		far := uint8(distance)
		if automaton != nil {
			_, far = automaton.MatchAndDistance(e.Term)
		}
		if far > 0 {
			out = append(out, mended{word: e.Term, weight: 0.8 - 0.25*float64(far), far: far})
		}
	}
	return out, dict.Close()
}

func (v *view) likeliest(field string, list []mended, n int) []mended {
	for i := range list {
		if n, err := v.count(field, list[i].word); err == nil {
			list[i].df = n
		}
	}
	list = slices.DeleteFunc(list, func(m mended) bool { return m.df == 0 })
	slices.SortFunc(list, func(a, b mended) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(b.df, a.df), strings.Compare(a.word, b.word))
	})
	return list[:min(len(list), n)]
}

// split finds the two words that somebody wrote as one: "smartparking".
func (v *view) split(word string) (first, second string, err error) {
	best := 0
	if utf8.RuneCountInString(word) < 6 {
		return "", "", nil
	}
	for i := range word {
		if utf8.RuneCountInString(word[:i]) < 3 || utf8.RuneCountInString(word[i:]) < 3 {
			continue
		}
		a, err := v.count(fieldWords, word[:i])
		if err != nil {
			return "", "", err
		}
		if a <= best {
			continue
		}
		b, err := v.count(fieldWords, word[i:])
		if err != nil {
			return "", "", err
		}
		if n := min(a, b); n > best {
			best, first, second = n, word[:i], word[i:]
		}
	}
	return first, second, nil
}

// suggest mends the words of a query that found nothing: those the viewer
// can find nowhere, if a word close to it finds something under the query's
// own filters. Empty when there is nothing to mend.
func (v *view) suggest(ctx context.Context, q *marketplace.FinderQuery) (string, error) {
	text := []rune(typed(q.Text))
	count := func(q marketplace.FinderQuery) (int, error) {
		found, err := v.search(ctx, &q, true)
		return found.Total, err
	}
	var out strings.Builder
	copied, changed, tried := 0, false, 0
	for _, t := range tokensOf(string(text)) {
		if t.writing != words || tried == maxSuggested {
			continue
		}
		tried++
		if n, err := count(marketplace.FinderQuery{Text: t.text, Groups: q.Groups}); err != nil {
			return "", err
		} else if n > 0 {
			continue
		}
		candidates, err := v.near(fieldWords, t.text, 2, "")
		if err != nil {
			return "", err
		}
		candidates = v.likeliest(fieldWords, candidates, 5)
		if first, second, err := v.split(t.text); err != nil {
			return "", err
		} else if first != "" {
			candidates = append(candidates, mended{word: first + " " + second})
		}
		for _, c := range candidates {
			n, err := count(marketplace.FinderQuery{Text: c.word, Groups: q.Groups, Kinds: q.Kinds, Where: q.Where})
			if err != nil {
				return "", err
			}
			if n > 0 {
				out.WriteString(string(text[copied:t.start]) + c.word)
				copied, changed = t.end, true
				break
			}
		}
	}
	if !changed {
		return "", nil
	}
	out.WriteString(string(text[copied:]))
	return out.String(), nil
}
