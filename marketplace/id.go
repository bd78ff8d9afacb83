package marketplace

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// An ID names a document: its kind, an underscore, and 26 characters that
// sort by the time they were made ("solution_06d2k3…"), or, for what the seed
// brings, a name that is the same on every server ("topic_parking"). Programs
// should treat ids as opaque.
type ID string

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID returns an id that has never been used: 48 bits of milliseconds and 80 random bits.
func newID(kind Kind, now time.Time) ID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	return ID(string(kind) + "_" + idEncoding.EncodeToString(b[:]))
}

// Kind is the kind of document that the id names, or empty when it cannot be
// the id of any.
func (id ID) Kind() Kind {
	k, rest, ok := strings.Cut(string(id), "_")
	if !ok || rest == "" || len(id) > MaxIDSize || kinds[Kind(k)] == nil {
		return ""
	}
	for _, c := range rest {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return ""
		}
	}
	return Kind(k)
}
