package change

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// LSN is a byte position in one server's write-ahead log.
type LSN uint64

// String gives the form Postgres prints: "16/B374D848".
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l))
}

// ParseLSN reads the form Postgres prints.
func ParseLSN(s string) (LSN, error) {
	high, low, found := strings.Cut(s, "/")
	if !found {
		return 0, fmt.Errorf("parse LSN %q: want the form 16/B374D848", s)
	}
	h, err := strconv.ParseUint(high, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, err)
	}
	l, err := strconv.ParseUint(low, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, err)
	}
	return LSN(h<<32 | l), nil
}

// MarshalText makes JSON and YAML carry the Postgres form.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the Postgres form.
func (l *LSN) UnmarshalText(text []byte) error {
	parsed, err := ParseLSN(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// ID names a history, a generation or a writer: 16 random bytes. The zero ID
// means "none".
type ID [16]byte

// NewID draws a random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails: without randomness the program ends
	// The version and variant bits of a random UUID, so that the database's
	// uuid type and people's eyes recognize it.
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether the ID is "none".
func (id ID) IsZero() bool { return id == ID{} }

// String gives the UUID form, or "" for none.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	h := hex.EncodeToString(id[:])
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// Short is the first eight digits, for people.
func (id ID) Short() string {
	if id.IsZero() {
		return "-"
	}
	return hex.EncodeToString(id[:4])
}

// ParseID reads the UUID form; the empty string is "none".
func ParseID(s string) (ID, error) {
	var id ID
	if s == "" {
		return id, nil
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("parse id %q: want 32 hexadecimal digits", s)
	}
	copy(id[:], raw)
	return id, nil
}

// MarshalText makes JSON carry the UUID form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the UUID form.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// History is one life of an origin's write-ahead log. LSNs are comparable
// inside one history only; a promotion or a restore begins a new one that
// names its parent and the LSN where the two part.
type History struct {
	ID       ID     `json:"id"`
	System   uint64 `json:"system,string"` // the server's system identifier
	Timeline uint32 `json:"timeline"`
	Parent   ID     `json:"parent"`
	Fork     LSN    `json:"fork"`  // last LSN shared with the parent; 0 without one
	Start    LSN    `json:"start"` // position before the first transaction that this history's slot delivers
}

// Position says how far an origin's changes are meant: up to and including
// the transaction whose commit record ends at LSN.
type Position struct {
	History ID  `json:"history"`
	LSN     LSN `json:"lsn"`
}

// IsZero reports whether nothing is known of the position.
func (p Position) IsZero() bool { return p.History.IsZero() && p.LSN == 0 }

// String gives "1f0c9a2b:16/B374D848".
func (p Position) String() string { return p.History.Short() + ":" + p.LSN.String() }

// Covers reports whether having applied p implies having applied q. Positions
// of different histories are never comparable by themselves.
func (p Position) Covers(q Position) bool {
	return p.History == q.History && p.LSN >= q.LSN
}

// Vector maps an origin to a position in its history: what a node has
// applied, or what a transaction had seen.
type Vector map[string]Position

// Clone returns an independent copy.
func (v Vector) Clone() Vector {
	c := make(Vector, len(v))
	for origin, position := range v {
		c[origin] = position
	}
	return c
}

// Origins lists the vector's origins in order.
func (v Vector) Origins() []string {
	origins := make([]string, 0, len(v))
	for origin := range v {
		origins = append(origins, origin)
	}
	sort.Strings(origins)
	return origins
}

// Equal reports whether both vectors say the same.
func (v Vector) Equal(w Vector) bool {
	if len(v) != len(w) {
		return false
	}
	for origin, position := range v {
		if other, found := w[origin]; !found || other != position {
			return false
		}
	}
	return true
}
