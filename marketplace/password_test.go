package marketplace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestPasswordIsKnownAgain(t *testing.T) {
	t.Parallel()
	const password = "도시 Ａ café horse"
	hash, err := hashPassword(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || len(hash) > 128 {
		t.Errorf("%s: not in the PHC format", hash)
	}
	for typed, want := range map[string]bool{
		password:                    true,
		norm.NFD.String(password):   true, // as some systems compose letters
		"도시 A café horse":           true, // in another width
		"도시 Ａ cafe horse":           false,
		"도시 Ａ café horse ":          false,
		"":                          false,
		strings.Repeat("a", 10_000): false,
	} {
		ok, outdated, err := checkPassword(t.Context(), hash, typed)
		if ok != want || outdated || err != nil {
			t.Errorf("%.40q: %v %v %v", typed, ok, outdated, err)
		}
	}
	if again, _ := hashPassword(t.Context(), password); again == hash {
		t.Error("two hashes with the same salt")
	}
	if _, err := hashPassword(t.Context(), strings.Repeat("a", 10_000)); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if err := wastePassword(t.Context(), strings.Repeat("a", 10_000)); err != nil {
		t.Error(err)
	}
}

// The reference implementation's vectors for argon2id (test.c: "password",
// "somesalt"). Hashes of other costs are checked at theirs, and are outdated.
func TestPasswordHashesOfOthers(t *testing.T) {
	t.Parallel()
	for _, hash := range []string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
		"$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg",
	} {
		if ok, outdated, err := checkPassword(t.Context(), hash, "password"); !ok || !outdated || err != nil {
			t.Errorf("%s: %v %v %v", hash, ok, outdated, err)
		}
		if ok, outdated, err := checkPassword(t.Context(), hash, "Password"); ok || outdated || err != nil {
			t.Errorf("%s: %v %v %v", hash, ok, outdated, err)
		}
	}
}

// What somebody changed in the store costs nothing and opens nothing.
func TestTamperedHashes(t *testing.T) {
	t.Parallel()
	const good = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, change := range [][2]string{
		{"m=256", "m=4294967295"}, {"m=256", "m=131073"}, {"m=256", "m=7"}, {"m=256", "m=-1"}, {"m=256", "m=+256"}, {"m=256", "m=0256"}, {"m=256", "m=256,x=1"}, {"m=256", "m=99999999999"},
		{"t=2", "t=0"}, {"t=2", "t=11"}, {"p=1", "p=0"}, {"p=1", "p=5"}, {"p=1", "p=256"}, {"p=1", "p=1,keyid=a"}, {"v=19", "v=16"}, {"argon2id", "argon2i"}, {"argon2id", "argon2d"},
		{"c29tZXNhbHQ", ""}, {"c29tZXNhbHQ", "c29t"}, {"c29tZXNhbHQ", "c29tZXNhbHR"}, {"c29tZXNhbHQ", strings.Repeat("A", 90)}, {"nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""},
		{"nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65"}, {"nf65", strings.Repeat("A", 80)}, {"$argon", "argon"}, {"Gi/4", "Gi/4$"}, {"Gi/4", "Gi/4="}, {"Gi/4", "Gi/4" + strings.Repeat("\n", 10)}, {good, ""},
	} {
		hash := strings.Replace(good, change[0], change[1], 1)
		if ok, _, err := checkPassword(t.Context(), hash, "password"); ok || !errors.Is(err, errBadHash) {
			t.Errorf("%s: %v %v", hash, ok, err)
		}
	}
}

// Hashing waits for its turn, but no longer than its context. It holds all
// turns, so it does not run beside the others.
func TestPasswordsWaitForTheirTurn(t *testing.T) {
	for range cap(passwordTurns) {
		passwordTurns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := hashPassword(ctx, "horse")
	_, _, checked := checkPassword(ctx, "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "horse")
	for _, err := range []error{err, checked, wastePassword(ctx, "horse")} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for range cap(passwordTurns) {
		<-passwordTurns
	}
}

func TestNewPasswords(t *testing.T) {
	t.Parallel()
	personal := []string{"hana.kim@seoul.example.org", "Hana Kim", "김하나", "Seoul Metropolitan Government"}
	for want, list := range map[string][]string{
		"": {
			"correct horse battery staple", "rainy tram 77 lanterns", "xK4;vQ9!mZ2#", "seoul rainy horse lantern", "citymarket-rainy-horses", "비오는날엔전차를타고갑시다", "雨天坐有轨电车去市政厅吧好",
			"photosynthesis", "mississippi river", "2026-rain-lantern", "kjweiuytnbvq", strings.Repeat("rain lantern ", 9), "ｒａｉｎｙ ｌａｎｔｅｒｎｓ", "Noon moon soon", "banana on toast", "comfortable org chart",
		},
		"TOO_SHORT": {"xK4;vQ9!mZ2", "horse", "ﬁﬁﬁ", strings.Repeat("e\u0301", 11)},
		"REQUIRED":  {""},
		"TOO_LONG":  {strings.Repeat("rain lantern ", 10), strings.Repeat("ﷺ", 100), strings.Repeat("a", 100_000)},
		"INVALID":   {"rainy lanterns\x00", "rainy\nlanterns", "rainy lanterns\xff"},
		"tried first": {
			"qwertyuiop[]",
			"password1234", "Password123!", "PASSWORD!!!!", "p@ssw0rd1234", "P4ssw0rd!!!!", "football2026!", "iloveyou1234", "administrator", "Administrator1", "motherfucker", "123qweasdzxc", "12345password", "!!dragon20260302", "sunshine#2026", "1qaz2wsx3edc4rfv", "ｐａｓｓｗｏｒｄ１２３４",
		},
		"repeats":  {"aaaaaaaaaaaa", "abababababab", "xk4;xk4;xk4;", "horsehorsehorse", "horsehorseho", "xaaaaaaaaaaaaax", "가나가나가나가나가나가나", "vqzmvqzmvqzmv", "000000000000"},
		"follows":  {"abcdefghijkl", "ABCDEFGHIJKL", "zyxwvutsrqpo", "wertyuiosdfg", "poiuytrewq098", "sdfghjkl;'12", "abcd1234wxyz", "3edc4rfv5tgb", "йцукенгшщзхъ", "qwertzuiopas", "!@#$%^&*()_+", "가각갂갃간갅갆갇갈갉갊갋"},
		"consists": {"hana.kim@seoul.example.org", "HanaKim20260302", "kim-hana-seoul", "citymarket2026", "CityMarket!!!!", "citymarketpassword", "seoulseoul2026!", "metropolitan-hana", "metropolitan!x9", "김하나김하나김하나김하나1234", "citymarketqwerty", "hanahanaabcdefghi"},
	} {
		for _, password := range list {
			var p problems
			checkNewPassword(&p, "password", password, personal...)
			got := ""
			if len(p.list) == 1 {
				got = p.list[0].Code
				if p.list[0].Path != "password" || strings.Contains(p.list[0].Message, password) && password != "" {
					t.Errorf("%+v", p.list[0])
				}
				if got == "GUESSABLE" {
					got = p.list[0].Message
					if !strings.Contains(got, "use several unrelated words") {
						t.Errorf("%q: does not say what to do: %s", password, got)
					}
				}
			}
			if len(p.list) > 1 || want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%.50q: %q, want %q", password, got, want)
			}
		}
	}
}

// No password is refused for what it is made of: random letters alone pass.
func TestRandomPasswordsPass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p problems
		words := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"lantern", "tram", "gravel", "violet", "ferry", "cobalt", "harvest", "pigeon", "雨", "전차", "مدينة"}), 4, 6, rapid.ID).Draw(t, "words")
		checkNewPassword(&p, "", strings.Join(words, " ")+"ferry", "ada@example.org")
		if err := p.err(); err != nil && !strings.Contains(err.Error(), "at least") {
			t.Fatalf("%q: %v", words, err)
		}
	})
}

func FuzzNewPassword(f *testing.F) {
	f.Add("Password123!", "ada@example.org")
	f.Fuzz(func(t *testing.T, password, personal string) {
		var p problems
		checkNewPassword(&p, "", password, personal, personal)
		if len(p.list) > 1 {
			t.Error(p.list)
		}
	})
}

func FuzzPasswordHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Fuzz(func(t *testing.T, hash string) {
		if c, _, _, err := parseHash(hash); err == nil && (c.memory > maxPasswordMemory || c.passes > maxPasswordPasses || c.threads > maxPasswordThreads) {
			t.Errorf("%+v", c)
		}
	})
}

func BenchmarkPassword(b *testing.B) {
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := hashPassword(b.Context(), "rainy lanterns"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("rules", func(b *testing.B) {
		for b.Loop() {
			var p problems
			checkNewPassword(&p, "", strings.Repeat("rain lantern ", 9), "hana.kim@seoul.example.org", "Hana Kim")
		}
	})
}

func TestRateLimitedError(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		0:                       "too many tries; try again in 1 second",
		time.Millisecond:        "too many tries; try again in 1 second",
		time.Second:             "too many tries; try again in 1 second",
		time.Second + 1:         "too many tries; try again in 2 seconds",
		90*time.Second - 1:      "too many tries; try again in 90 seconds",
		time.Hour + time.Second: "too many tries; try again in 3601 seconds",
	} {
		err := fmt.Errorf("sign in: %w", &RateLimitedError{Wait: wait})
		if !errors.Is(err, ErrRateLimited) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v: %v", wait, err)
		}
	}
}
