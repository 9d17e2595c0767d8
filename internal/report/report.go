// Package report is what a node says about itself: the heartbeat that peers
// receive, the answer of /v1/status, and the source of every table replctl
// prints. Field names are stable; people's scripts read them.
package report

import (
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// Subject of heartbeats: pgfed.<federation>.<node>.heartbeat, not stored.

// Node is one node's account of itself at a moment. As a heartbeat it crosses
// links once a second, so it stays a few kilobytes.
type Node struct {
	Format     int       `json:"format"` // of this document: 1
	Federation string    `json:"federation"`
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	Time       time.Time `json:"time"`
	Started    time.Time `json:"started"`
	Role       string    `json:"role"` // starting, active, standby, stopping
	Rules      uint64    `json:"rules"`
	Digest     string    `json:"digest"` // of the federation file
	Health     Health    `json:"health"`

	Postgres Postgres  `json:"postgres"`
	Slot     Slot      `json:"slot"`
	Stream   Stream    `json:"stream"`
	Inbound  []Inbound `json:"inbound"`
	Counts   Counts    `json:"counts"`
}

// Health says whether the node does its work, and if not, why.
type Health struct {
	OK      bool     `json:"ok"`
	Reasons []Reason `json:"reasons"`
}

// Reason is one thing that is wrong. Origin, Position and Table are empty
// where they do not apply.
type Reason struct {
	Code     string `json:"code"` // constant, for alerts: halted, slot_missing, rules_differ, ...
	Origin   string `json:"origin,omitempty"`
	Position string `json:"position,omitempty"`
	Table    string `json:"table,omitempty"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"` // the command or action that resolves it
}

// Postgres describes the node's database server.
type Postgres struct {
	Version  string     `json:"version"`
	System   uint64     `json:"system,string"`
	Timeline uint32     `json:"timeline"`
	Flushed  change.LSN `json:"flushed"` // pg_current_wal_flush_lsn()
}

// Slot describes the node's replication slot.
type Slot struct {
	Name          string     `json:"name"`
	Active        bool       `json:"active"`
	Confirmed     change.LSN `json:"confirmed"`
	Restart       change.LSN `json:"restart"`
	RetainedBytes int64      `json:"retained_bytes"`
	WALStatus     string     `json:"wal_status"`
	Failover      bool       `json:"failover"`
	Invalidation  string     `json:"invalidation,omitempty"`
}

// Stream describes the stream that the node publishes.
type Stream struct {
	Name       string         `json:"name"`
	History    change.History `json:"history"`
	Generation change.ID      `json:"generation"`
	Published  change.LSN     `json:"published"` // durable at the broker
	Captured   change.LSN     `json:"captured"`  // WAL read so far and durable at the broker, as far as it concerns us
	Sequence   uint64         `json:"sequence"`
	Messages   uint64         `json:"messages"`
	Bytes      uint64         `json:"bytes"`
	MaxBytes   int64          `json:"max_bytes"`
	CommitTime time.Time      `json:"commit_time"` // of the last published transaction
	// Acknowledged is what each peer is known to have flushed. A peer that
	// finds itself missing or behind here tells again.
	Acknowledged map[string]change.LSN `json:"acknowledged,omitempty"`
}

// The states of one origin's inbound pipeline.
const (
	Connecting = "connecting"
	Applying   = "applying"
	Waiting    = "waiting" // for other origins' changes (causal delivery)
	Halted     = "halted"
)

// Inbound describes what the node has applied of one origin.
type Inbound struct {
	Origin       string          `json:"origin"`
	State        string          `json:"state"`
	Applied      change.Position `json:"applied"`
	Acknowledged change.LSN      `json:"acknowledged"` // flushed here and told to the origin
	CommitTime   time.Time       `json:"commit_time"`  // at the origin, of the last applied transaction
	AppliedAt    time.Time       `json:"applied_at"`
	Transactions uint64          `json:"transactions"` // applied since the replicator started
	Changes      uint64          `json:"changes"`
	Conflicts    uint64          `json:"conflicts"`
	Parked       int64           `json:"parked"`
	Halt         *Reason         `json:"halt,omitempty"`
	// LagBytes is the WAL distance between what the origin says it has
	// published and what is applied here, LagSeconds for how long something
	// published has been missing here. Absent while the origin is unheard of.
	LagBytes   *int64   `json:"lag_bytes,omitempty"`
	LagSeconds *float64 `json:"lag_seconds,omitempty"`
}

// Counts are totals in the node's database.
type Counts struct {
	Conflicts int64 `json:"conflicts"`
	Parked    int64 `json:"parked"`
}

// Status is the answer of /v1/status: this node, and the last heartbeat of
// every other member.
type Status struct {
	Node  Node   `json:"node"`
	Peers []Peer `json:"peers"`
}

// Peer is the last that was heard of another member. Last is nil when nothing
// was ever heard.
type Peer struct {
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Heard     time.Time `json:"heard"`
	Reachable bool      `json:"reachable"`
	Error     string    `json:"error,omitempty"`
	Last      *Node     `json:"last,omitempty"`
}
