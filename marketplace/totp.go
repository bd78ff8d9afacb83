package marketplace

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// One-time passwords as RFC 6238 has them, with the parameters that every
// authenticator program knows: SHA-1, 6 digits, steps of 30 seconds.
const (
	totpPeriod = 30 // seconds
	totpWindow = 1  // steps that a clock may be early or late
	totpDigits = 1_000_000
	totpSize   = 20 // bytes of a secret: 160 bits, RFC 4226
)

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newTOTPSecret returns a secret of 160 bits as 32 letters and digits of
// base32, as people type it who cannot scan.
func newTOTPSecret() string {
	b := make([]byte, totpSize)
	rand.Read(b)
	return totpEncoding.EncodeToString(b)
}

// totpURI is what an authenticator program reads from a QR code
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format). The
// account is what tells its owner which one it is: their e-mail address.
func totpURI(issuer, account, secret string) string {
	plain := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	issuer = strings.ReplaceAll(issuer, ":", " ") // a colon separates it from the account
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=6&period=%d",
		plain(issuer), plain(account), plain(secret), plain(issuer), totpPeriod)
}

// checkTOTP says whether a code is that of a moment at most 30 seconds away,
// and of which step. A step at or before used, the one that was accepted last
// (0: none), is not accepted again, so that a code that somebody looked at
// cannot be used a second time; the caller stores the step that is returned.
// How often a code may be tried is not bounded here: 3 of 1,000,000 fit.
func checkTOTP(secret, code string, now time.Time, used int64) (step int64, ok bool, err error) {
	key, err := totpEncoding.DecodeString(secret)
	if err != nil || len(key) < 16 {
		return 0, false, errors.New("marketplace: a stored TOTP secret cannot be read")
	}
	code, ok = normalCode(code)
	if !ok || len(code) != 6 {
		return 0, false, nil
	}
	ok = false
	present := now.Unix() / totpPeriod
	for s := present - totpWindow; s <= present+totpWindow; s++ {
		want := fmt.Sprintf("%06d", hotp(key, uint64(s))%totpDigits)
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > used && !ok {
			step, ok = s, true
		}
	}
	return step, ok, nil
}

// hotp is the number of RFC 4226, section 5.3, before it is cut to its digits.
func hotp(key []byte, counter uint64) uint32 {
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := mac.Sum(nil)
	return binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
}

const recoveryCodes = 10

// newRecoveryCodes returns codes that each replace a one-time password once,
// for whoever lost their telephone: 50 random bits as "xxxxx-xxxxx", without
// letters that are taken for others. They are shown once; what is stored is
// their hashes.
func newRecoveryCodes(user ID) (codes, hashes []string) {
	for range recoveryCodes {
		b := make([]byte, 7)
		rand.Read(b)
		c := idEncoding.EncodeToString(b)
		codes = append(codes, c[:5]+"-"+c[5:10])
		hashes = append(hashes, recoveryHash(user, c[:10]))
	}
	return codes, hashes
}

// useRecoveryCode says whether a code is one of a user's, and returns the
// hashes of those that are left. Capitals, spaces and hyphens make no
// difference, and o, i and l are taken for what they look like.
func useRecoveryCode(user ID, hashes []string, code string) (left []string, ok bool) {
	code, valid := normalCode(code)
	if !valid || len(code) != 10 {
		return hashes, false
	}
	hash := []byte(recoveryHash(user, strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(code)))
	for _, h := range hashes {
		if subtle.ConstantTimeCompare([]byte(h), hash) == 1 {
			ok = true
		} else {
			left = append(left, h)
		}
	}
	return left, ok
}

// recoveryHash is bound to the user, so that who has stolen the hashes has to
// guess for each user anew.
func recoveryHash(user ID, code string) string {
	sum := sha256.Sum256([]byte("recovery code " + string(user) + " " + code))
	return hex.EncodeToString(sum[:])
}

// normalCode takes out of a code what people type for readability, in any
// width. It is false for what is far too long.
func normalCode(s string) (string, bool) {
	if len(s) > 100 {
		return "", false
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.TrimSpace(strings.ToLower(norm.NFKC.String(s)))), true
}
