package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// queryHash is the SHA-256 of a query's text, by which Apollo's automatic
// persisted queries name it.
type queryHash [sha256.Size]byte

func hashText(text string) queryHash { return sha256.Sum256([]byte(text)) }

// hashOf reads the hash from a request's extensions; nil where there is none.
//
//	{"persistedQuery": {"version": 1, "sha256Hash": "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}}
func hashOf(extensions map[string]any) (*queryHash, *gqlerror.Error) {
	p, ok := extensions["persistedQuery"]
	if !ok || p == nil {
		return nil, nil
	}
	fields, _ := p.(map[string]any)
	if fields["version"] != json.Number("1") {
		return nil, coded(codeBadUserInput, "persistedQuery must be an object with version 1")
	}
	text, _ := fields["sha256Hash"].(string)
	var hash queryHash
	if n, err := hex.Decode(hash[:], []byte(text[:min(len(text), 2*len(hash))])); err != nil || n != len(hash) || len(text) != 2*len(hash) {
		return nil, coded(codeBadUserInput, "sha256Hash must be 64 hexadecimal digits")
	}
	return &hash, nil
}
