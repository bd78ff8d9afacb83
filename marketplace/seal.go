package marketplace

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// KeySize is the length of the key that an installation keeps outside of its
// database, in bytes.
const KeySize = 32

// A vault keeps what the database must hold but a reader of the database must
// not be able to use: it is sealed with a key that is kept elsewhere.
type vault struct {
	aead cipher.AEAD
	sign []byte // key of signatures
}

// newVault derives the keys for sealing and signing. Without a key nothing
// that needs one can be done.
func newVault(key []byte) (*vault, error) {
	if len(key) == 0 {
		return nil, nil
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("marketplace: the key has %d bytes, it must have %d", len(key), KeySize)
	}
	seal, err := hkdf.Key(sha256.New, key, nil, "citymarket seal", KeySize)
	if err != nil {
		return nil, err
	}
	sign, err := hkdf.Key(sha256.New, key, nil, "citymarket sign", KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &vault{aead: aead, sign: sign}, err
}

var errNoKey = errors.New("marketplace: no key was given, so nothing can be sealed")

// seal makes a text that only open with the same purpose can read: base64 of
// 12 bytes of nonce, the ciphertext and its tag (AES-256-GCM).
func (v *vault) seal(purpose, text string) (string, error) {
	if v == nil {
		return "", errNoKey
	}
	nonce := make([]byte, v.aead.NonceSize())
	rand.Read(nonce)
	return base64.RawStdEncoding.EncodeToString(v.aead.Seal(nonce, nonce, []byte(text), []byte(purpose))), nil
}

// open reads what seal made for the same purpose.
func (v *vault) open(purpose, sealed string) (string, error) {
	if v == nil {
		return "", errNoKey
	}
	b, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil || len(b) < v.aead.NonceSize() {
		return "", errors.New("marketplace: what was sealed cannot be read")
	}
	n := v.aead.NonceSize()
	text, err := v.aead.Open(nil, b[:n], b[n:], []byte(purpose))
	if err != nil {
		return "", fmt.Errorf("marketplace: what was sealed cannot be opened; was the key changed?: %w", err)
	}
	return string(text), nil
}

// Seal makes a text that only Open with the same purpose can read, for what a
// client keeps for the server. It needs a key; see Options.
func (m *Market) Seal(purpose, text string) (string, error) { return m.vault.seal(purpose, text) }

// Open reads what Seal made for the same purpose, with the same key.
func (m *Market) Open(purpose, sealed string) (string, error) { return m.vault.open(purpose, sealed) }

// signature signs a text for a purpose; 32 hex digits.
func (v *vault) signature(purpose, text string) string {
	if v == nil {
		return ""
	}
	h := hmac.New(sha256.New, v.sign)
	h.Write([]byte(purpose + "\x00" + text))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// signed says whether a signature is that of the text for the purpose.
func (v *vault) signed(purpose, text, signature string) bool {
	return v != nil && subtle.ConstantTimeCompare([]byte(v.signature(purpose, text)), []byte(signature)) == 1
}

// newSecret makes 256 random bits as 52 letters and digits.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return idEncoding.EncodeToString(b)
}

// hashed is how a secret of 256 bits is stored: it cannot be guessed, so a
// fast hash will do. 52 letters and digits that can stand in an id.
func hashed(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return idEncoding.EncodeToString(h[:])
}

// sameHash compares a secret with a stored hash in constant time.
func sameHash(secret, hash string) bool {
	return subtle.ConstantTimeCompare([]byte(hashed(secret)), []byte(hash)) == 1
}
