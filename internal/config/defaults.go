package config

import (
	"slices"
	"time"
)

// The values of keys that are one of a few words.
const (
	ConflictError          = "error"
	ConflictLastUpdateWins = "last_update_wins"

	OnErrorStop = "stop"
	OnErrorPark = "park"

	BrokerEmbedded = "embedded"
	BrokerExternal = "external"

	DeliveryCausal = "causal"
	DeliveryOrigin = "origin"

	CompressionNone = "none"
	CompressionS2   = "s2"
	CompressionZstd = "zstd"
)

// Defaults is the file that says nothing: what every absent key means.
func Defaults() *Federation {
	native := true
	return &Federation{
		Broker:   Broker{Mode: BrokerEmbedded, Replicas: 1},
		Conflict: ConflictError,
		OnError:  OnErrorStop,
		Slot:     Slot{Retain: 1 << 30, RetainFor: Duration(time.Hour)},
		Stream: Stream{
			MaxBytes: 10 << 30,
			Keep:     1 << 30,
			KeepFor:  Duration(10 * time.Minute),
			// Batches are rows as text, which s2 shrinks several times at
			// a cost far below that of applying them; the route between
			// two sites and the disk of the broker are the scarcer goods.
			Compression: CompressionS2,
		},
		Delivery: Delivery{Mode: DeliveryCausal, MaxWait: Duration(30 * time.Second)},
		Apply:    Apply{Stall: Duration(5 * time.Second)},
		Capture:  Capture{NativeSubscriptions: &native},
	}
}

// normalize gives files that mean the same the same form: lists that are sets
// are sorted, patterns carry their schema, empty and absent are one.
func (f *Federation) normalize() {
	f.Tables.Include = patternSet(f.Tables.Include)
	f.Tables.Exclude = patternSet(f.Tables.Exclude)
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

func patternSet(patterns []string) []string {
	qualified := make([]string, 0, len(patterns))
	for _, p := range patterns {
		qualified = append(qualified, qualify(p))
	}
	return set(qualified)
}
