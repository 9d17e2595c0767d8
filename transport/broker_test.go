package transport

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
)

// testBroker is a broker of node east on loopback; change what a test needs.
func testBroker(t *testing.T, change func(*BrokerConfig)) (*Broker, error) {
	t.Helper()
	cfg := BrokerConfig{Federation: "hippo", Node: "east", DataDir: t.TempDir(), Listen: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&cfg)
	}
	b, err := StartBroker(t.Context(), cfg)
	if err == nil {
		t.Cleanup(b.Close)
	}
	return b, err
}

func startBroker(t *testing.T, change func(*BrokerConfig)) *Broker {
	t.Helper()
	b, err := testBroker(t, change)
	require.NoError(t, err)
	return b
}

func dialTest(t *testing.T, cfg DialConfig) (*Link, error) {
	t.Helper()
	cfg.Federation = "hippo"
	if cfg.Node == "" {
		cfg.Node = "west"
	}
	cfg.Name = "test"
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := Dial(t.Context(), cfg)
	if err == nil {
		t.Cleanup(l.Close)
	}
	return l, err
}

func dialOwner(t *testing.T, b *Broker) *Link {
	t.Helper()
	l, err := dialTest(t, DialConfig{Broker: b, Node: "east"})
	require.NoError(t, err)
	return l
}

// createStreams makes the two streams of node east as a publisher would.
func createStreams(t *testing.T, owner *Link) jetstream.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	wal, err := owner.JS.CreateStream(ctx, jetstream.StreamConfig{Name: "PGFED_hippo_east", Subjects: []string{"pgfed.hippo.east.wal"}, Discard: jetstream.DiscardNew, DenyDelete: true})
	require.NoError(t, err)
	_, err = owner.JS.CreateStream(ctx, jetstream.StreamConfig{Name: "PGFED_hippo_east_ACK", Subjects: []string{"pgfed.hippo.east.ack.*"}, MaxMsgsPerSubject: 1})
	require.NoError(t, err)
	return wal
}

// seedFile writes a new user nkey and returns the file and the public key.
func seedFile(t *testing.T) (file, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err = pair.PublicKey()
	require.NoError(t, err)
	seed, err := pair.Seed()
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "nkey")
	require.NoError(t, os.WriteFile(file, seed, 0o600))
	return file, public
}

func TestSecondBrokerOnOneDataDirIsRefused(t *testing.T) {
	dir := t.TempDir()
	onDir := func(cfg *BrokerConfig) { cfg.DataDir = dir }
	first := startBroker(t, onDir)
	stream := createStreams(t, dialOwner(t, first))
	_, err := dialOwner(t, first).JS.Publish(t.Context(), "pgfed.hippo.east.wal", []byte("one"))
	require.NoError(t, err)
	require.True(t, first.server.JetStreamConfig().SyncAlways, "what is acknowledged is on disk")

	_, err = testBroker(t, onDir)
	require.ErrorIs(t, err, ErrDataDirLocked)
	require.ErrorContains(t, err, filepath.Join(dir, "lock"))
	require.ErrorContains(t, err, "node east")

	_, err = dialOwner(t, first).JS.Publish(t.Context(), "pgfed.hippo.east.wal", []byte("two"))
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, info.State.Msgs)
}

func TestStoreSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	onDir := func(cfg *BrokerConfig) { cfg.DataDir = dir }
	first := startBroker(t, onDir)
	owner := dialOwner(t, first)
	createStreams(t, owner)
	_, err := owner.JS.Publish(t.Context(), "pgfed.hippo.east.wal", []byte("one"))
	require.NoError(t, err)
	first.Close()
	first.Close()

	owner = dialOwner(t, startBroker(t, onDir))
	stream, err := owner.JS.Stream(t.Context(), "PGFED_hippo_east")
	require.NoError(t, err)
	last, err := stream.GetLastMsgForSubject(t.Context(), "pgfed.hippo.east.wal")
	require.NoError(t, err)
	require.Equal(t, "one", string(last.Data))
	require.DirExists(t, filepath.Join(dir, "jetstream"))
}

func TestBrokerConfigurationIsChecked(t *testing.T) {
	_, key := seedFile(t)
	for name, test := range map[string]struct {
		change func(*BrokerConfig)
		want   string
	}{
		"listen beyond loopback":    {func(c *BrokerConfig) { c.Listen = "0.0.0.0:0" }, "need"},
		"listen everywhere":         {func(c *BrokerConfig) { c.Listen = ":0" }, "need"},
		"websocket beyond loopback": {func(c *BrokerConfig) { c.WebsocketListen = "0.0.0.0:0" }, "need"},
		"only itself as peer":       {func(c *BrokerConfig) { c.Listen = ":0"; c.Peers = map[string]string{"east": key} }, "need"},
		"no port":                   {func(c *BrokerConfig) { c.Listen = "127.0.0.1" }, "host:port"},
		"not a key":                 {func(c *BrokerConfig) { c.Peers = map[string]string{"west": "secret"} }, "peer west: want its public user nkey"},
		"one key twice":             {func(c *BrokerConfig) { c.Peers = map[string]string{"west": key, "central": key} }, "peers central and west have the same nkey"},
		"wildcard peer":             {func(c *BrokerConfig) { c.Peers = map[string]string{"*": key} }, "names are"},
		"certificate without key":   {func(c *BrokerConfig) { c.CertFile = "x" }, "both a certificate and its key"},
		"websocket TLS without":     {func(c *BrokerConfig) { c.WebsocketTLS = true }, "needs a certificate"},
		"missing certificate":       {func(c *BrokerConfig) { c.CertFile, c.KeyFile = "/none", "/none" }, "load broker certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := testBroker(t, test.change)
			require.ErrorContains(t, err, test.want)
		})
	}
	_, err := testBroker(t, func(c *BrokerConfig) { c.Listen = "0.0.0.0:0" })
	require.ErrorIs(t, err, ErrUnauthenticated)
}

func TestBrokerSaysThatItsPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	dir := t.TempDir()
	_, err = testBroker(t, func(c *BrokerConfig) { c.Listen, c.DataDir = taken.Addr().String(), dir })
	require.ErrorContains(t, err, "address already in use")
	startBroker(t, func(c *BrokerConfig) { c.DataDir = dir }) // the failed one let go of the directory
}

func TestUnknownKeyIsRefused(t *testing.T) {
	known, public := seedFile(t)
	unknown, _ := seedFile(t)
	b := startBroker(t, func(c *BrokerConfig) { c.Peers = map[string]string{"west": public} })
	url := "nats://" + b.Addr()

	_, err := dialTest(t, DialConfig{URL: url, NKeySeedFile: unknown})
	require.ErrorIs(t, err, ErrRefused)
	_, err = dialTest(t, DialConfig{URL: url})
	require.ErrorIs(t, err, ErrRefused)
	_, err = dialTest(t, DialConfig{URL: url, NKeySeedFile: known + ".missing"})
	require.ErrorIs(t, err, ErrKeyFile)
	_, err = dialTest(t, DialConfig{URL: url, NKeySeedFile: known})
	require.NoError(t, err)
}

func TestLinkSaysWhatIsWrong(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	plain := startBroker(t, nil).Addr()

	for name, test := range map[string]struct {
		url  string
		want error
	}{
		"plaintext to elsewhere":           {"nats://pgfed-east.example.com:4222", ErrInsecure},
		"plaintext WebSocket to elsewhere": {"ws://pgfed-east.example.com", ErrInsecure},
		"nobody listens":                   {"nats://" + closed.Addr().String(), ErrUnreachable},
		"nobody listens, WebSocket":        {"wss://" + closed.Addr().String(), ErrUnreachable},
		"no such name":                     {"wss://pgfed-east.invalid", ErrUnreachable},
		"silent":                           {"tls://" + silent.Addr().String(), ErrDialTimeout},
		"silent, WebSocket":                {"wss://" + silent.Addr().String(), ErrDialTimeout},
		"TLS to a plaintext port":          {"tls://" + plain, ErrHandshake},
		"WebSocket to a NATS port":         {"ws://" + plain, ErrHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dialTest(t, DialConfig{URL: test.url, Timeout: time.Second})
			require.ErrorIs(t, err, test.want)
		})
	}
	for _, url := range []string{"", "pgfed-east:4222", "http://pgfed-east", "tls://a,wss://b"} {
		_, err := dialTest(t, DialConfig{URL: url})
		require.ErrorContains(t, err, "broker address", url)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := silent.Accept(); err == nil {
			cancel()
			defer conn.Close()
		}
	}()
	_, err = Dial(ctx, DialConfig{URL: "nats://" + silent.Addr().String(), Node: "west", Timeout: time.Minute})
	require.ErrorIs(t, err, context.Canceled)
}
