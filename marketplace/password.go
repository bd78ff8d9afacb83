package marketplace

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// A passwordCost is what one guess at a stored password costs.
type passwordCost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// presentCost is what new hashes cost: the second of OWASP's equivalent
// choices for argon2id. 19 MiB and some 20 ms of one core.
var presentCost = passwordCost{memory: 19 << 10, passes: 2, threads: 1}

// Bounds of what a stored hash may ask for, so that one that somebody
// tampered with can exhaust neither memory nor time. There is room for the
// present cost to rise.
const (
	maxPasswordMemory  = 128 << 10 // KiB
	maxPasswordPasses  = 10
	maxPasswordThreads = 4
	saltSize           = 16
	keySize            = 32
)

// passwordTurns bounds how many passwords are hashed at once in the process;
// more wait. Some 60 are hashed in a second. With garbage that is not
// collected yet, 200 sign-ins at once take 100 to 120 MB with 2 turns, 120 to
// 160 MB with 3 or 4.
var passwordTurns = make(chan struct{}, 2)

// errBadHash: what is stored is not a password's hash that we can have made.
var errBadHash = errors.New("marketplace: a stored password hash cannot be read")

// hashPassword returns the hash of a password as it is stored, in the PHC
// string format:
//
//	$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG...
//
// It waits for its turn; the context bounds that.
func hashPassword(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	c := presentCost
	key, err := passwordKey(ctx, c, password, salt, keySize)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.threads, b64(salt), b64(key)), nil
}

// checkPassword says whether a password is the one that was hashed, and, when
// it is, whether the hash is outdated: made at another cost than that of new
// ones, so that it should be made anew now that the password is known. It
// waits for its turn as hashPassword does.
func checkPassword(ctx context.Context, hash, password string) (ok, outdated bool, err error) {
	c, salt, want, err := parseHash(hash)
	if err != nil {
		return false, false, err
	}
	if len(password) > maxPasswordBytes { // no password that was accepted is so long
		return false, false, wastePassword(ctx, "")
	}
	key, err := passwordKey(ctx, c, password, salt, len(want))
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(key, want) == 1
	return ok, ok && (c != presentCost || len(salt) != saltSize || len(want) != keySize), nil
}

// wastePassword takes as long as checkPassword, for accounts that do not
// exist: how long an answer takes must not tell who has one.
func wastePassword(ctx context.Context, password string) error {
	if len(password) > maxPasswordBytes {
		password = ""
	}
	_, err := passwordKey(ctx, presentCost, password, make([]byte, saltSize), keySize)
	return err
}

// passwordKey computes the key of a password in its normal form NFKC, since
// keyboards and systems differ in how they compose the same letters and in
// the width of letters and spaces.
func passwordKey(ctx context.Context, c passwordCost, password string, salt []byte, size int) ([]byte, error) {
	if len(password) > maxPasswordBytes {
		return nil, fmt.Errorf("marketplace: a password of %d bytes: %w", len(password), ErrLimit)
	}
	select {
	case passwordTurns <- struct{}{}:
		defer func() { <-passwordTurns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("marketplace: too many passwords are being checked: %w", ctx.Err())
	}
	return argon2.IDKey(norm.NFKC.Bytes([]byte(password)), salt, c.passes, c.memory, c.threads, uint32(size)), nil
}

// parseHash reads what hashPassword wrote.
func parseHash(hash string) (c passwordCost, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(hash) > 300 || strings.ContainsAny(hash, "\r\n") || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errBadHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.threads); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", c.memory, c.passes, c.threads) ||
		c.threads < 1 || c.threads > maxPasswordThreads || c.passes < 1 || c.passes > maxPasswordPasses ||
		c.memory < 8*uint32(c.threads) || c.memory > maxPasswordMemory {
		return c, nil, nil, errBadHash
	}
	salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return c, nil, nil, errBadHash
	}
	key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, errBadHash
	}
	return c, salt, key, nil
}
