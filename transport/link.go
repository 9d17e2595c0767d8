package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// What a link waits for when the configuration does not say.
const (
	defaultDialTimeout  = 5 * time.Second
	defaultPingInterval = 5 * time.Second
)

// DialConfig says which broker to reach and as whom.
type DialConfig struct {
	// URL of the broker as its peers reach it, several separated by commas when it is a cluster:
	// tls://host:port (TLS from the first byte), wss://host[:port][/path], and on loopback nats:// and ws://.
	URL string
	// Broker, when set, is reached inside this process with the owner's rights; URL, keys and certificates are not used.
	Broker *Broker
	// Name says what the connection is for; the broker lists it as pgfed/<node>/<name>.
	Name string
	// Federation and Node of the one who dials. The node names the connection's inbox: _INBOX_<node>.
	Federation, Node string

	CAFile            string // authorities to trust; empty: the system's
	CertFile, KeyFile string // client certificate, when the broker asks for one
	NKeySeedFile      string // nkey of this node
	CredentialsFile   string // JWT and nkey, for brokers that are run with accounts

	Timeout      time.Duration     // one attempt to connect, TLS and login included; 0: 5 s
	PingInterval time.Duration     // must be shorter than any router's idle timeout; 0: 5 s
	Dialer       nats.CustomDialer // replaces the operating system's dialer and name resolution
	Logger       *slog.Logger
}

// Link is one connection to one broker, ready for JetStream. It is safe for concurrent use. When the connection
// breaks it connects again by itself, forever, and reads key, CA and certificate files again each time. What is
// published while it is down fails at once; nothing is buffered behind the caller's back.
type Link struct {
	Conn *nats.Conn
	JS   jetstream.JetStream

	outage  *outage
	closing sync.Once
}

// Err is why the link is down, nil while it is up. It never blocks, which the methods of Conn do during an attempt to connect.
func (l *Link) Err() error {
	if l.outage == nil { // not made by Dial
		return nil
	}
	return l.outage.reason()
}

// Close ends the connection at once. It may be called again.
func (l *Link) Close() {
	l.closing.Do(l.Conn.Close)
}

// Dial makes one attempt to connect. Its error wraps one of ErrInsecure, ErrUntrusted, ErrServerName, ErrHandshake,
// ErrUnreachable, ErrRefused, ErrKeyFile or ErrDialTimeout, and says what to do.
func Dial(ctx context.Context, cfg DialConfig) (*Link, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultDialTimeout
	}
	if cfg.PingInterval <= 0 {
		cfg.PingInterval = defaultPingInterval
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	target, options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	cfg.Logger = cfg.Logger.With("broker", target.names(), "purpose", cfg.Name)
	first := &dialer{inner: cfg.Dialer, timeout: cfg.Timeout}
	options = append(options, nats.SetCustomDialer(first))
	down := &outage{target: target, logger: cfg.Logger}
	options = append(options, down.handlers()...)

	conn, err := connect(ctx, target.String(), options)
	if err != nil {
		return nil, explain(target, first.lastError(), err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("use JetStream of %s: %w", target.names(), err)
	}
	down.conn.Store(conn)
	return &Link{Conn: conn, JS: js, outage: down}, nil
}

// connect is nats.Connect that also ends when the context does.
func connect(ctx context.Context, target string, options []nats.Option) (*nats.Conn, error) {
	type result struct {
		conn *nats.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := nats.Connect(target, options...)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				r.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

func (cfg *DialConfig) options() (endpoints, []nats.Option, error) {
	options := []nats.Option{
		nats.Name(fmt.Sprintf("pgfed/%s/%s", cfg.Node, cfg.Name)),
		nats.CustomInboxPrefix(InboxPrefix(cfg.Node)),
		nats.IgnoreDiscoveredServers(), // their addresses mean nothing on this side of a router
		nats.RetryOnFailedConnect(false),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a key that is not yet known, or no longer, may be known again
		nats.ReconnectBufSize(-1),   // what is sent while down must fail, or it would arrive out of order
		nats.PingInterval(cfg.PingInterval),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(cfg.Timeout),
		nats.PermissionErrOnSubscribe(true),
		nats.SkipHostLookup(),
	}
	if cfg.Broker != nil {
		return endpoints{{Scheme: "nats", Host: "in-process"}},
			append(options, nats.InProcessServer(cfg.Broker.server), cfg.Broker.ownerKey()), nil
	}
	target, err := parseEndpoints(cfg.URL)
	if err != nil {
		return nil, nil, err
	}
	if cfg.NKeySeedFile != "" {
		option, err := nkeyFromFile(cfg.NKeySeedFile)
		if err != nil {
			return nil, nil, err
		}
		options = append(options, option)
	}
	if cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(cfg.CredentialsFile))
	}
	if target.encrypted() {
		options = append(options, cfg.encryption(target)...)
	} else if cfg.CertFile != "" {
		return nil, nil, fmt.Errorf("dial %s: a client certificate needs a tls:// or wss:// address", target.names())
	}
	return target, options, nil
}

// encryption verifies the server by its name and speaks TLS from the first byte, which is what lets a router choose by SNI.
func (cfg *DialConfig) encryption(target endpoints) []nats.Option {
	options := []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12})}
	if target[0].Scheme == "tls" {
		options = append(options, nats.TLSHandshakeFirst())
	}
	if cfg.CAFile != "" {
		options = append(options, nats.RootCAs(cfg.CAFile))
	}
	if cfg.CertFile != "" {
		options = append(options, nats.ClientCert(cfg.CertFile, cfg.KeyFile))
	}
	return options
}

// nkeyFromFile signs with the seed in the file, read again at every login. A file that meanwhile holds another key is
// refused: the broker knows this connection by its first one.
func nkeyFromFile(file string) (nats.Option, error) {
	public, err := func() (string, error) {
		pair, err := readSeed(file)
		if err != nil {
			return "", err
		}
		defer pair.Wipe()
		return pair.PublicKey()
	}()
	if err != nil {
		return nil, err
	}
	return nats.Nkey(public, func(nonce []byte) ([]byte, error) {
		pair, err := readSeed(file)
		if err != nil {
			return nil, err
		}
		defer pair.Wipe()
		if now, err := pair.PublicKey(); err != nil || now != public {
			return nil, fmt.Errorf("%w: %s holds another one", ErrKeyFile, file)
		}
		return pair.Sign(nonce)
	}), nil
}

func readSeed(file string) (nkeys.KeyPair, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer clear(content)
	pair, err := nkeys.ParseDecoratedUserNKey(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s, want a user seed, SU...: %w", ErrKeyFile, file, err)
	}
	return pair, nil
}

// endpoints are the addresses of one broker; all have the same scheme.
type endpoints []*url.URL

func parseEndpoints(list string) (endpoints, error) {
	var all endpoints
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			return nil, fmt.Errorf("broker address is not a URL, want wss://host or tls://host:port")
		}
		if u.Hostname() == "" {
			return nil, fmt.Errorf("broker address %q has no host, want wss://host or tls://host:port", u.Redacted())
		}
		switch u.Scheme {
		case "tls", "wss":
		case "nats", "ws":
			if !loopback(u.Hostname()) {
				return nil, fmt.Errorf("dial %s://%s: %w", u.Scheme, u.Host, ErrInsecure)
			}
		default:
			return nil, fmt.Errorf("broker address %s://%s: unknown scheme, want wss or tls", u.Scheme, u.Host)
		}
		if len(all) > 0 && all[0].Scheme != u.Scheme {
			return nil, fmt.Errorf("broker addresses %s://%s and %s://%s: all must have one scheme", all[0].Scheme, all[0].Host, u.Scheme, u.Host)
		}
		all = append(all, u)
	}
	return all, nil
}

func (e endpoints) encrypted() bool { return e[0].Scheme == "tls" || e[0].Scheme == "wss" }
func (e endpoints) websocket() bool { return e[0].Scheme == "ws" || e[0].Scheme == "wss" }

// String is what nats.Connect takes, with a user and password when there are any.
func (e endpoints) String() string { return e.join((*url.URL).String) }

// names is what may be logged.
func (e endpoints) names() string {
	return e.join(func(u *url.URL) string { return u.Scheme + "://" + u.Host })
}

func (e endpoints) join(text func(*url.URL) string) string {
	parts := make([]string, len(e))
	for i, u := range e {
		parts[i] = text(u)
	}
	return strings.Join(parts, ",")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// dialer bounds the time from the first byte until login: nats.go clears the deadline when it is through, but sets none
// of its own while a WebSocket's TLS handshake waits for a router that never answers.
type dialer struct {
	inner   nats.CustomDialer
	timeout time.Duration

	mu   sync.Mutex
	last error
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	inner := d.inner
	if inner == nil {
		inner = &net.Dialer{Timeout: d.timeout}
	}
	conn, err := inner.Dial(network, address)
	d.mu.Lock()
	d.last = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(d.timeout))
}

func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}
