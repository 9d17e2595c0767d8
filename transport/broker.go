package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// What a broker does when the configuration does not say.
const (
	defaultListen       = "127.0.0.1:4222"
	defaultMaxPayload   = 1 << 20
	defaultBrokerPing   = 10 * time.Second
	brokerReadyTimeout  = 30 * time.Second
	brokerWriteDeadline = 15 * time.Second
	brokerLoginTimeout  = 10.0 // seconds, for TLS and again for the key
	brokerMemory        = 64 << 20
)

// ErrUnauthenticated refuses a broker that others can reach and that would not know who they are.
var ErrUnauthenticated = errors.New("a broker that listens beyond loopback needs its peers' public nkeys")

var nodeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,19}$`)

// BrokerConfig describes the broker that runs inside a replicator.
type BrokerConfig struct {
	Federation, Node string
	DataDir          string // DataDir/lock is locked, DataDir/jetstream is the store

	// Listen is host:port for NATS clients; empty: 127.0.0.1:4222, port 0: any. With CertFile and KeyFile it speaks TLS from
	// the first byte (passthrough routes); without, plaintext.
	Listen string
	// WebsocketListen is host:port for WebSocket clients, empty: none. With WebsocketTLS it speaks TLS (reencrypt and passthrough
	// routes), without it the router ends TLS (edge routes).
	WebsocketListen   string
	WebsocketTLS      bool
	CertFile, KeyFile string // read again when they change

	// Peers maps a node to its public nkey (U...). An entry for Node itself is ignored. With no peers the broker
	// listens on loopback only, and whoever connects there may do what a peer may.
	Peers map[string]string

	MaxStore     int64         // bytes of JetStream storage; 0: three quarters of the disk
	MaxPayload   int32         // bytes of one message; 0: 1 MiB
	PingInterval time.Duration // 0: 10 s
	Logger       *slog.Logger
}

// Broker is a running NATS server with JetStream in this process. It is safe for concurrent use.
type Broker struct {
	server *server.Server
	owner  nkeys.KeyPair // full rights, in this process only, for this start only
	lock   *dataDirLock

	websocket string
	close     sync.Once
}

// StartBroker locks the data directory, opens the store and returns when clients can connect. Everything that JetStream
// acknowledges is synced to disk. Errors: ErrDataDirLocked, ErrUnauthenticated, and what is wrong with the configuration.
func StartBroker(ctx context.Context, cfg BrokerConfig) (*Broker, error) {
	cfg.setDefaults()
	owner, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("create owner key: %w", err)
	}
	options, err := cfg.options(owner)
	if err != nil {
		return nil, err
	}
	lock, err := lockDataDir(cfg.DataDir, cfg.Node)
	if err != nil {
		return nil, err
	}
	logger := newBrokerLog(cfg.Logger.With("component", "broker"))
	srv, err := server.NewServer(options)
	if err != nil {
		lock.release()
		return nil, fmt.Errorf("configure broker: %w", err)
	}
	srv.SetLoggerV2(logger, false, false, false)
	b := &Broker{server: srv, owner: owner, lock: lock}
	srv.Start()
	if err := b.awaitReady(ctx, logger); err != nil {
		b.Close()
		return nil, fmt.Errorf("start broker on %s: %w", cfg.Listen, err)
	}
	if cfg.WebsocketListen != "" {
		b.websocket = strings.TrimPrefix(strings.TrimPrefix(srv.WebsocketURL(), "wss://"), "ws://")
	}
	if len(cfg.Peers) == 0 {
		cfg.Logger.Warn("broker has no peers' keys: anyone on this machine can read its stream and acknowledge", "listen", b.Addr())
	}
	return b, nil
}

func (cfg *BrokerConfig) setDefaults() {
	if cfg.Listen == "" {
		cfg.Listen = defaultListen
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = defaultMaxPayload
	}
	if cfg.PingInterval <= 0 {
		cfg.PingInterval = defaultBrokerPing
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

// awaitReady polls because the server's own wait knows no context and says nothing about a listener that could not be opened.
func (b *Broker) awaitReady(ctx context.Context, logger *brokerLog) error {
	deadline := time.Now().Add(brokerReadyTimeout)
	for !b.server.ReadyForConnections(50 * time.Millisecond) {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case logger.fatal() != nil:
			return logger.fatal()
		case time.Now().After(deadline):
			return fmt.Errorf("not ready after %s", brokerReadyTimeout)
		}
	}
	if fatal := logger.fatal(); fatal != nil {
		return fatal
	}
	if !b.server.JetStreamEnabled() {
		return errors.New("the store could not be opened")
	}
	return nil
}

// Close stops serving, closes the store and unlocks the data directory. It returns when that is done and may be called again.
func (b *Broker) Close() {
	b.close.Do(func() {
		b.server.Shutdown()
		b.server.WaitForShutdown()
		b.lock.release()
		b.owner.Wipe()
	})
}

// Addr is the host:port where NATS clients connect.
func (b *Broker) Addr() string {
	return b.server.Addr().String()
}

// WebsocketAddr is the host:port where WebSocket clients connect, empty when there is none.
func (b *Broker) WebsocketAddr() string {
	return b.websocket
}

// ownerKey logs in with full rights; only connections from inside this process may use that key.
func (b *Broker) ownerKey() nats.Option {
	public, _ := b.owner.PublicKey()
	return nats.Nkey(public, b.owner.Sign)
}

func (cfg *BrokerConfig) options(owner nkeys.KeyPair) (*server.Options, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	host, port, err := splitListen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	who, err := cfg.access(owner)
	if err != nil {
		return nil, err
	}
	options, err := who.options(cfg.Federation, cfg.Node)
	if err != nil {
		return nil, err
	}
	options.ServerName = "pgfed_" + cfg.Node
	options.Host, options.Port = host, port
	options.NoSigs = true
	options.DisableJetStreamBanner = true
	options.JetStream = true
	options.StoreDir = cfg.DataDir // the server adds jetstream/
	options.SyncAlways = true
	options.JetStreamMaxStore = cfg.MaxStore
	options.JetStreamMaxMemory = brokerMemory
	options.MaxPayload = cfg.MaxPayload
	options.PingInterval = cfg.PingInterval
	options.MaxPingsOut = 2
	options.WriteDeadline = brokerWriteDeadline
	options.AuthTimeout = brokerLoginTimeout
	return options, cfg.listeners(options)
}

func (cfg *BrokerConfig) validate() error {
	if !nodeName.MatchString(cfg.Federation) || !nodeName.MatchString(cfg.Node) {
		return fmt.Errorf("broker of node %q in federation %q: names are lower case letters, digits and _, 20 at most", cfg.Node, cfg.Federation)
	}
	if cfg.DataDir == "" {
		return errors.New("broker needs a data directory")
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return errors.New("broker needs both a certificate and its key, or none")
	}
	if cfg.WebsocketTLS && cfg.CertFile == "" {
		return errors.New("broker needs a certificate to speak TLS on its WebSocket port")
	}
	return nil
}

// access knows peers by their nkeys. Nobody gets in from outside as the owner.
func (cfg *BrokerConfig) access(owner nkeys.KeyPair) (access, error) {
	public, err := owner.PublicKey()
	if err != nil {
		return access{}, fmt.Errorf("read owner key: %w", err)
	}
	who := access{owner: public, peers: map[string]string{}}
	known := map[string]string{}
	for _, peer := range slices.Sorted(maps.Keys(cfg.Peers)) {
		key := cfg.Peers[peer]
		if peer == cfg.Node {
			continue
		}
		if !nodeName.MatchString(peer) {
			return access{}, fmt.Errorf("peer %q: names are lower case letters, digits and _, 20 at most", peer)
		}
		if !nkeys.IsValidPublicUserKey(key) {
			return access{}, fmt.Errorf("peer %s: want its public user nkey, which begins with U", peer)
		}
		if other, taken := known[key]; taken {
			return access{}, fmt.Errorf("peers %s and %s have the same nkey: each needs its own", other, peer)
		}
		known[key] = peer
		who.peers[peer] = key
	}
	if len(who.peers) > 0 {
		return who, nil
	}
	for _, listen := range []string{cfg.Listen, cfg.WebsocketListen} {
		if host, _, _ := net.SplitHostPort(listen); listen != "" && !loopback(host) {
			return access{}, fmt.Errorf("listen on %s: %w: name them, or listen on 127.0.0.1", listen, ErrUnauthenticated)
		}
	}
	who.anonymous, err = unusedKey()
	return who, err
}

// unusedKey is a public key nobody has the seed of.
func unusedKey() (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("create anonymous key: %w", err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("read anonymous key: %w", err)
	}
	return public, nil
}

func (cfg *BrokerConfig) listeners(options *server.Options) error {
	var encryption *tls.Config
	if cfg.CertFile != "" {
		certificate, err := newCertificate(cfg.CertFile, cfg.KeyFile, cfg.Logger)
		if err != nil {
			return err
		}
		encryption = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
		options.TLSConfig = encryption
		options.TLSHandshakeFirst = true
		options.TLSTimeout = brokerLoginTimeout
	}
	if cfg.WebsocketListen == "" {
		return nil
	}
	host, port, err := splitListen(cfg.WebsocketListen)
	if err != nil {
		return err
	}
	options.Websocket = server.WebsocketOpts{Host: host, Port: port, NoTLS: true, HandshakeTimeout: 10 * time.Second}
	if cfg.WebsocketTLS {
		options.Websocket.TLSConfig = encryption.Clone()
	}
	return nil
}

func splitListen(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: want host:port: %w", address, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: want a port number", address)
	}
	if number == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(number), nil
}
