package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Digest names what the file says: the SHA-256, in hexadecimal, of its
// canonical form, with defaults filled in, sets sorted and comments gone.
// Nodes that run files with different digests judge by different rules.
//
// A key that a later version adds must not change the digest of files that do
// not use it (omitempty), or every rolling upgrade would look like a
// disagreement.
func (f *Federation) Digest() string {
	canonical, err := json.Marshal(f)
	if err != nil {
		panic("a federation file that cannot be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
