package config

import "time"

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
