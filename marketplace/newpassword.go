package marketplace

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of a new password: long enough that guessing is hopeless when it is
// not one of the first guesses; there is nothing that it must be composed of
// (NIST SP 800-63B).
const (
	minPasswordLength = 12   // characters in normal form
	maxPasswordLength = 128  // characters in normal form
	maxPasswordBytes  = 4096 // before it is brought into normal form, which may take a third of the bytes
)

// productName is among the first guesses at the passwords of its users.
const productName = "citymarket"

// commonPasswords are those that are tried first, in lower case. The list is
// part of @zxcvbn-ts/language-common (MIT); the head of the file says which.
var commonPasswords = sync.OnceValue(func() map[string]struct{} {
	m := make(map[string]struct{}, 25_000)
	for line := range strings.SplitSeq(commonPasswordsFile, "\n") {
		if line != "" && line[0] != '#' {
			m[line] = struct{}{}
		}
	}
	return m
})

//go:embed passwords.txt
var commonPasswordsFile string

// checkNewPassword reports why a password would be guessed early. The personal
// strings are what guessers know of its owner: e-mail address, name, slug. The
// first reason that is found is told, with what to do about it.
func checkNewPassword(p *problems, path, password string, personal ...string) {
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		p.add(path, "INVALID", "must be text without control characters")
		return
	}
	if len(password) > maxPasswordBytes {
		p.addf(path, "TOO_LONG", "at most %d characters", maxPasswordLength)
		return
	}
	password = norm.NFKC.String(password)
	switch n := utf8.RuneCountInString(password); {
	case n == 0:
		p.add(path, "REQUIRED", "must not be empty")
		return
	case n < minPasswordLength:
		p.addf(path, "TOO_SHORT", "must have at least %d characters; several unrelated words do well", minPasswordLength)
		return
	case n > maxPasswordLength:
		p.addf(path, "TOO_LONG", "at most %d characters, these are %d", maxPasswordLength, n)
		return
	}
	s := []rune(strings.ToLower(password))
	rest := []rune(withoutPersonal(string(s), personal))
	switch {
	case isCommon(string(s)):
		p.add(path, "GUESSABLE", "is one of the passwords that are tried first; use several unrelated words")
	case isRepeated(s):
		p.add(path, "GUESSABLE", "repeats the same few characters; use several unrelated words")
	case isSequence(s):
		p.add(path, "GUESSABLE", "follows the alphabet, numbers or the keyboard; use several unrelated words")
	case len(rest) < len(s) && (len(rest) < 8 || countLetters(rest) < 4 || isCommon(string(rest)) || isRepeated(rest) || isSequence(rest)):
		p.add(path, "GUESSABLE", "consists mostly of your name, your address or the name of this site; use several unrelated words")
	}
}

// isCommon looks a password up, as it is and without what people add to a
// common one to make it longer or to satisfy a rule: digits and punctuation
// around it, and digits for letters.
func isCommon(s string) bool {
	known := commonPasswords()
	padding := func(r rune) bool { return !unicode.IsLetter(r) }
	plain := unleet.Replace(strings.TrimFunc(s, unicode.IsPunct))
	for _, form := range []string{s, strings.TrimRightFunc(s, padding), strings.TrimFunc(s, padding), strings.TrimRightFunc(unleet.Replace(strings.TrimRightFunc(s, padding)), padding), plain} {
		if _, ok := known[form]; ok {
			return true
		}
	}
	return false
}

var unleet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// isRepeated says whether a text is a block that is too short for a password,
// written again and again; a part of it may follow at the end. One character
// that is most of the text counts as well.
func isRepeated(s []rune) bool {
	count := map[rune]int{}
	for _, r := range s {
		if count[r]++; count[r]*2 > len(s) {
			return true
		}
	}
	for block := 1; block < minPasswordLength && block*2 <= len(s); block++ {
		same := 0
		for same+block < len(s) && s[same+block] == s[same] {
			same++
		}
		if same+block == len(s) {
			return true
		}
	}
	return false
}

// rows are what fingers follow, on the keyboards most of the world uses:
// along a row, and down the slanted columns.
var rows = []string{
	"`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./", "azertyuiop", "qsdfghjklm", "wxcvbn", "qwertzuiop", "yxcvbnm",
	"~!@#$%^&*()_+", "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik,", "9ol.", "0p;/",
	"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю",
}

// How one character may follow another in a run. A run keeps the same way.
const (
	upwards   = 1 << iota // the next in the alphabet or in counting
	downwards             // the one before
	again                 // the same
	beside                // next to it in a row of the keyboard
	anyhow    = upwards | downwards | again | beside
)

// neighbours holds each pair of characters that are side by side in a row.
var neighbours = sync.OnceValue(func() map[[2]rune]bool {
	m := map[[2]rune]bool{{'9', '0'}: true, {'0', '9'}: true}
	for _, row := range rows {
		r := []rune(row)
		for i := 1; i < len(r); i++ {
			m[[2]rune{r[i-1], r[i]}], m[[2]rune{r[i], r[i-1]}] = true, true
		}
	}
	return m
})

func follows(a, b rune) (ways int) {
	if neighbours()[[2]rune{a, b}] {
		ways = beside
	}
	if unicode.IsLetter(a) == unicode.IsLetter(b) && unicode.IsDigit(a) == unicode.IsDigit(b) {
		switch b - a {
		case 1:
			ways |= upwards
		case -1:
			ways |= downwards
		case 0:
			ways |= again
		}
	}
	return ways
}

// isSequence says whether a text is made of runs through the alphabet, the
// numbers or the keyboard, three characters long on average: "abcdefgh4321",
// "1qaz2wsx3edc". In words and random characters runs are hardly longer than
// one.
func isSequence(s []rune) bool {
	runs, ways := 1, anyhow
	for i := 1; i < len(s); i++ {
		if ways &= follows(s[i-1], s[i]); ways == 0 {
			runs, ways = runs+1, anyhow
		}
	}
	return runs*3 <= len(s)
}

// withoutPersonal takes out of a text, in lower case, the parts of the
// personal strings and the product's name, the longest first.
func withoutPersonal(s string, personal []string) string {
	parts := []string{productName}
	for _, text := range personal {
		if len(text) > 1000 {
			continue
		}
		text = strings.ToLower(norm.NFKC.String(text))
		if _, domain, ok := strings.Cut(text, "@"); ok { // .org is in too many words
			text = strings.TrimSuffix(text, domain[max(strings.LastIndexByte(domain, '.'), 0):])
		}
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(part) >= 3 && utf8.RuneCountInString(part) >= 2 {
				parts = append(parts, part)
			}
		}
	}
	for len(parts) > 0 {
		longest := 0
		for i := range parts {
			if len(parts[i]) > len(parts[longest]) {
				longest = i
			}
		}
		s = strings.ReplaceAll(s, parts[longest], "")
		parts = append(parts[:longest], parts[longest+1:]...)
	}
	return s
}

func countLetters(s []rune) int {
	n := 0
	for _, r := range s {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}
