// Package config reads the federation file, the same at every site, and checks
// it whole: every mistake is reported at once, with the path of its key.
package config

// Federation is the federation file.
type Federation struct {
	Federation string          `yaml:"federation" json:"federation"`
	Nodes      map[string]Node `yaml:"nodes" json:"nodes"`
	Broker     Broker          `yaml:"broker" json:"broker"`
	Tables     Tables          `yaml:"tables" json:"tables"`
	Ownership  []Rule          `yaml:"ownership" json:"ownership"`
	Conflict   string          `yaml:"conflict" json:"conflict"` // error; last_update_wins is not available yet
	OnError    string          `yaml:"on_error" json:"on_error"` // stop or park
	Slot       Slot            `yaml:"slot" json:"slot"`
	Stream     Stream          `yaml:"stream" json:"stream"`
	Delivery   Delivery        `yaml:"delivery" json:"delivery"`
	Apply      Apply           `yaml:"apply" json:"apply"`
	Capture    Capture         `yaml:"capture" json:"capture"`
}

// Node is one member.
type Node struct {
	// URL is the address that peers dial: nats:// (loopback only), tls://
	// (TLS first, SNI) or wss://.
	URL string `yaml:"url" json:"url"`
	// Key is the member's public key (a NATS user nkey, "U..."). With keys
	// every connection is authenticated and limited to what a peer needs.
	Key string `yaml:"key" json:"key"`
	// Standbys are application names of physical standbys that may be
	// promoted: nothing is published or acknowledged that they do not have.
	Standbys []string `yaml:"standbys" json:"standbys"`
}

// Broker says where the node's own JetStream lives.
type Broker struct {
	Mode     string   `yaml:"mode" json:"mode"`         // embedded or external
	URLs     []string `yaml:"urls" json:"urls"`         // external only; {node} is replaced by the node's name
	Replicas int      `yaml:"replicas" json:"replicas"` // copies of the stream: 1, 3 or 5; embedded: 1
}

// Tables selects by pattern "schema.name" with * and ?.
type Tables struct {
	Include []string `yaml:"include" json:"include"`
	Exclude []string `yaml:"exclude" json:"exclude"`
	// InsertOnly are tables without replica identity on purpose: INSERT and
	// TRUNCATE are carried, and their own server refuses UPDATE and DELETE.
	InsertOnly []string `yaml:"insert_only" json:"insert_only,omitempty"`
	// LocalColumns are each node's own: never sent, never written and never
	// compared. Patterns "schema.table.column".
	LocalColumns []string `yaml:"local_columns" json:"local_columns,omitempty"`
}

// Rule gives tables an owner. The first rule that matches a table counts.
type Rule struct {
	Tables []string `yaml:"tables" json:"tables"`
	Owner  Owner    `yaml:"owner" json:"owner"`
}

// Owner is exactly one of: a node for whole tables ("owner: east"), a node per
// table ("owner: {tables: {hippo_east: east}}"), or a column whose value names
// the node ("owner: {column: region, values: {eu: west}}").
type Owner struct {
	Node   string            `json:"node,omitempty"`
	Tables map[string]string `json:"tables,omitempty"`
	Column string            `json:"column,omitempty"`
	Values map[string]string `json:"values,omitempty"`
}

// Slot bounds what the replication slot may hold back.
type Slot struct {
	Retain    Bytes    `yaml:"retain" json:"retain"`         // 1GB
	RetainFor Duration `yaml:"retain_for" json:"retain_for"` // 1h
}

// Stream bounds the stream.
type Stream struct {
	MaxBytes    Bytes    `yaml:"max_bytes" json:"max_bytes"`     // 10GB
	Keep        Bytes    `yaml:"keep" json:"keep"`               // 1GB behind the slowest peer
	KeepFor     Duration `yaml:"keep_for" json:"keep_for"`       // 10m behind the slowest peer
	Compression string   `yaml:"compression" json:"compression"` // none, s2 or zstd
}

// Delivery says how long a change waits for the changes it had seen.
type Delivery struct {
	Mode    string   `yaml:"mode" json:"mode"`         // causal or origin
	MaxWait Duration `yaml:"max_wait" json:"max_wait"` // 30s
}

// Apply bounds applying.
type Apply struct {
	Stall Duration `yaml:"stall" json:"stall"` // 5s: how long a large transaction waits for its next piece before it is rolled back
}

// Capture says what else writes to the member databases.
type Capture struct {
	// NativeSubscriptions (default true): the database may itself be a native
	// subscriber and those changes are federated. False lets servers from 16
	// on drop everything that carries any origin.
	NativeSubscriptions *bool `yaml:"native_subscriptions" json:"native_subscriptions"`
}
