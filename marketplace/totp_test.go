package marketplace

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// RFC 6238, appendix B: 8 digits of the same numbers. RFC 4226, appendix D.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	key := []byte("12345678901234567890")
	for seconds, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got := fmt.Sprintf("%08d", hotp(key, uint64(seconds/totpPeriod))%100_000_000); got != want {
			t.Errorf("at %d: %s, want %s", seconds, got, want)
		}
		step, ok, err := checkTOTP(totpEncoding.EncodeToString(key), want[2:], time.Unix(seconds, 0), 0)
		if !ok || step != seconds/30 || err != nil {
			t.Errorf("at %d: %d %v %v", seconds, step, ok, err)
		}
	}
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := fmt.Sprintf("%06d", hotp(key, uint64(i))%totpDigits); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
}

// A code is good for its step and for clocks 30 seconds off, once.
func TestTOTPIsGoodOnce(t *testing.T) {
	t.Parallel()
	secret := newTOTPSecret()
	key, err := totpEncoding.DecodeString(secret)
	if err != nil || len(key) != 20 || len(secret) != 32 {
		t.Fatal(secret, err)
	}
	now := time.Date(2026, 3, 2, 8, 30, 15, 0, time.UTC)
	present := now.Unix() / 30
	code := func(step int64) string { return fmt.Sprintf("%06d", hotp(key, uint64(step))%totpDigits) }
	for off := int64(-3); off <= 3; off++ {
		step, ok, err := checkTOTP(secret, code(present+off), now, 0)
		if err != nil || ok != (off >= -1 && off <= 1) || ok && step != present+off {
			t.Errorf("%d steps off: %d %v %v", off, step, ok, err)
		}
		if _, ok, _ := checkTOTP(secret, code(present+off), now, present+off); ok {
			t.Errorf("%d steps off: accepted twice", off)
		}
	}
	if _, ok, _ := checkTOTP(secret, code(present-1), now, present); ok {
		t.Error("an older code after a newer one")
	}
	if step, ok, _ := checkTOTP(secret, code(present+1), now, present); !ok || step != present+1 {
		t.Error("the next code is refused")
	}
	c := code(present)
	for typed, want := range map[string]bool{
		c[:3] + " " + c[3:]: true, " " + c + "\n": true, c[:3] + "-" + c[3:]: true, string([]rune{'０' + rune(c[0]-'0')}) + c[1:]: true,
		"": false, c[:5]: false, c + "0": false, "abcdef": false, strings.Repeat("1", 1000): false,
	} {
		if _, ok, err := checkTOTP(secret, typed, now, 0); ok != want || err != nil {
			t.Errorf("%.20q: %v %v", typed, ok, err)
		}
	}
	for _, bad := range []string{"", "MFRGG", "not base32!", strings.ToLower(secret)} {
		if _, ok, err := checkTOTP(bad, c, now, 0); ok || err == nil {
			t.Errorf("secret %q: %v", bad, ok)
		}
	}
}

func TestTOTPURI(t *testing.T) {
	t.Parallel()
	got := totpURI("Citymarket: Réseau", "ada+x@example.org", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	if got != "otpauth://totp/Citymarket%20%20R%C3%A9seau:ada%2Bx%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Citymarket%20%20R%C3%A9seau&algorithm=SHA1&digits=6&period=30" {
		t.Error(got)
	}
	u, err := url.Parse(got)
	if err != nil || u.Host != "totp" || u.Path != "/Citymarket  Réseau:ada+x@example.org" || u.Query().Get("issuer") != "Citymarket  Réseau" {
		t.Errorf("%+v %v", u, err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	codes, hashes := newRecoveryCodes("user_ada")
	if len(codes) != 10 || len(hashes) != 10 || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != 10 {
		t.Fatal(codes)
	}
	for _, c := range codes {
		if !regexp.MustCompile(`^[0-9a-hj-km-np-tv-z]{5}-[0-9a-hj-km-np-tv-z]{5}$`).MatchString(c) || strings.Contains(strings.Join(hashes, " "), c) {
			t.Error(c)
		}
	}
	if _, ok := useRecoveryCode("user_bob", hashes, codes[0]); ok {
		t.Error("another user's code")
	}
	typed := strings.NewReplacer("-", " ", "0", "O", "1", "l").Replace(strings.ToUpper(codes[3]))
	left, ok := useRecoveryCode("user_ada", hashes, " "+typed)
	if !ok || len(left) != 9 || slices.Contains(left, hashes[3]) {
		t.Errorf("%q: %v, %d left", typed, ok, len(left))
	}
	if again, ok := useRecoveryCode("user_ada", left, codes[3]); ok || len(again) != 9 {
		t.Error("a code was good twice")
	}
	for _, bad := range []string{"", "-", codes[0][:9], codes[0] + "0", hashes[0], strings.Repeat("0", 1000)} {
		if left, ok := useRecoveryCode("user_ada", hashes, bad); ok || len(left) != 10 {
			t.Errorf("%.20q was accepted", bad)
		}
	}
	if _, ok := useRecoveryCode("user_ada", nil, codes[0]); ok {
		t.Error("none are left, and one was accepted")
	}
}
