package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/pgfed/pgfed/conflict"
)

// Digest names what the file says: the SHA-256, in hexadecimal, of its
// canonical form, with defaults filled in, sets sorted and comments gone.
// Nodes that run files with different digests judge by different rules.
//
// A key that a later version adds must not change the digest of files that do
// not use it (omitempty), or every rolling upgrade would look like a
// disagreement.
func (f *Federation) Digest() string {
	same := Defaults()
	if err := json.Unmarshal(f.json(), same); err != nil {
		panic("the digest of a federation file: its own JSON is not read back: " + err.Error()) // a mistake in config.go's types
	}
	same.normalize()
	sum := sha256.Sum256(same.json())
	return hex.EncodeToString(sum[:])
}

func (f *Federation) json() []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic("the digest of a federation file: no JSON of it: " + err.Error()) // a mistake in config.go's types
	}
	return text
}

// normalize gives files that mean the same the same form: lists that are sets
// are sorted, patterns carry their schema, empty and absent are one.
func (f *Federation) normalize() {
	f.Tables.Include = patternSet(f.Tables.Include)
	f.Tables.Exclude = patternSet(f.Tables.Exclude)
	f.Tables.InsertOnly = patternSet(f.Tables.InsertOnly)
	f.Tables.LocalColumns = columnSet(f.Tables.LocalColumns)
	for i := range f.Ownership {
		rule := &f.Ownership[i]
		rule.Tables = patternSet(rule.Tables)
		if len(rule.Owner.Tables) == 0 {
			continue
		}
		byTable := make(map[string]string, len(rule.Owner.Tables))
		for table, node := range rule.Owner.Tables {
			byTable[qualify(table)] = node
		}
		rule.Owner.Tables = byTable
	}
	for name, node := range f.Nodes {
		node.Standbys = set(node.Standbys)
		f.Nodes[name] = node
	}
	f.Broker.URLs = set(f.Broker.URLs)
	if len(f.Ownership) == 0 {
		f.Ownership = nil
	}
}

func set(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func columnSet(patterns []string) []string {
	qualified := make([]string, 0, len(patterns))
	for _, p := range patterns {
		if table, column, err := conflict.SplitColumn(p); err == nil {
			p = qualify(table) + "." + column
		}
		qualified = append(qualified, p)
	}
	return set(qualified)
}

func patternSet(patterns []string) []string {
	qualified := make([]string, 0, len(patterns))
	for _, p := range patterns {
		qualified = append(qualified, qualify(p))
	}
	return set(qualified)
}
