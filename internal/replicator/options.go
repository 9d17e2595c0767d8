package replicator

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgfed/pgfed/internal/config"
)

// Options is what a replicator needs to know beside the federation file.
type Options struct {
	Federation *config.Federation
	Node       string // this member's name
	Postgres   string // connection string of the local database
	// PostgresFile, when not empty, holds the connection string and is read
	// again at every connection.
	PostgresFile string
	Version      string // of the program

	HTTP string // listen address of /metrics, /livez, /readyz and /v1

	DataDir         string // embedded broker: its store and lock
	BrokerListen    string // embedded broker: NATS listener
	BrokerWebsocket string // embedded broker: WebSocket listener, "" for none
	BrokerCert      string // embedded broker: certificate and key files of its listeners
	BrokerKey       string
	BrokerWSTLS     bool // the WebSocket listener speaks TLS itself (re-encrypting routes)

	CAFile      string // who signs the peers' routes; "" for the system's roots
	NKeyFile    string // this node's secret nkey seed
	Credentials string // external broker: NATS credentials file

	PeerURL map[string]string // dial these addresses instead of the file's

	Logger   *slog.Logger
	Registry *prometheus.Registry
}
