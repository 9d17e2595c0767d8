package deploy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/transport"
)

const subjects = "pgfed.hippo.east"

// The external broker's configuration, run as it is but for its addresses, paths and
// keys: what the nodes need works, and nothing else does.
func TestExternalBroker(t *testing.T) {
	b := startExternalBroker(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	east, wal, acks := b.streams(t)
	_, err := east.JS.Publish(ctx, subjects+".wal", []byte("one"), jetstream.WithExpectLastSequence(0))
	require.NoError(t, err)
	last, err := wal.GetLastMsgForSubject(ctx, subjects+".wal")
	require.NoError(t, err)
	require.Equal(t, "one", string(last.Data))

	for _, peer := range []string{"central", "west"} {
		link, err := b.dial(t, peer)
		require.NoError(t, err)
		beats, err := link.Conn.SubscribeSync(subjects + ".heartbeat")
		require.NoError(t, err)
		require.NoError(t, link.Conn.Flush())
		require.NoError(t, east.Conn.Publish(subjects+".heartbeat", []byte("alive")))
		_, err = beats.NextMsgWithContext(ctx)
		require.NoError(t, err)

		stream, err := link.JS.Stream(ctx, "PGFED_hippo_east")
		require.NoError(t, err)
		consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subjects + ".wal"}})
		require.NoError(t, err)
		message, err := consumer.Next(jetstream.FetchContext(ctx))
		require.NoError(t, err)
		require.Equal(t, "one", string(message.Data()))
		_, err = link.JS.Publish(ctx, subjects+".ack."+peer, []byte("1"))
		require.NoError(t, err)
		_, err = acks.GetLastMsgForSubject(ctx, subjects+".ack."+peer)
		require.NoError(t, err)
	}
	info, err := wal.Info(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs)
}

func TestExternalBrokerRefusesTheRest(t *testing.T) {
	b := startExternalBroker(t)
	west, err := b.dial(t, "west")
	require.NoError(t, err)
	for _, subject := range []string{
		subjects + ".wal", subjects + ".heartbeat", subjects + ".ack.central", "pgfed.hippo.west.wal", "pgfed.other.east.ack.west",
		"$JS.API.STREAM.PURGE.PGFED_hippo_east", "$JS.API.STREAM.DELETE.PGFED_hippo_east", "$JS.API.STREAM.UPDATE.PGFED_hippo_east",
		"$JS.API.STREAM.MSG.DELETE.PGFED_hippo_east", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.CREATE.OTHER.c", "_INBOX_east.x",
	} {
		require.NoError(t, west.Conn.Publish(subject, nil))
		require.NoError(t, west.Conn.Flush())
		refused := func() bool { return mentions(west.Conn.LastError(), `Publish to "`+subject+`"`) }
		require.Eventually(t, refused, 5*time.Second, 10*time.Millisecond, subject)
	}
	// Let the server publish instead: an answer must not go where the request says.
	east, wal, acks := b.streams(t)
	for _, target := range []string{subjects + ".wal", subjects + ".ack.central"} {
		request := nats.NewMsg("$JS.API.STREAM.INFO.PGFED_hippo_east")
		request.Reply = target
		require.NoError(t, west.Conn.PublishMsg(request))
	}
	_, err = west.JS.Stream(t.Context(), "PGFED_hippo_east") // answered behind the others
	require.NoError(t, err)
	require.NoError(t, east.Conn.Flush())
	for _, stream := range []jetstream.Stream{wal, acks} {
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		require.Zero(t, info.State.Msgs)
	}

	for _, subject := range []string{">", "_INBOX_central.>", subjects + ".wal"} {
		_, err := west.Conn.SubscribeSync(subject)
		require.NoError(t, err)
		require.NoError(t, west.Conn.Flush())
		refused := func() bool { return mentions(west.Conn.LastError(), `Subscription to "`+subject+`"`) }
		require.Eventually(t, refused, 5*time.Second, 10*time.Millisecond, subject)
	}

	b.seeds["west"] = newSeed(t).file // a key that nobody has heard of
	_, err = b.dial(t, "west")
	require.ErrorIs(t, err, transport.ErrRefused)
}

func mentions(err error, text string) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(text))
}

type externalBroker struct {
	address string
	ca      string
	seeds   map[string]string // node -> file
}

func startExternalBroker(t *testing.T) *externalBroker {
	t.Helper()
	text, err := os.ReadFile("nats/nats-server.conf")
	require.NoError(t, err)
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	swap := []string{
		`"0.0.0.0:4222"`, `"127.0.0.1:-1"`, `"0.0.0.0:8080"`, `"127.0.0.1:-1"`,
		"/etc/nats/tls/tls.crt", certificate, "/etc/nats/tls/tls.key", key, `"/data"`, `"` + filepath.Join(dir, "store") + `"`,
	}
	b := &externalBroker{ca: certificate, seeds: map[string]string{}}
	federation := load(t, "kustomize/base/federation.yaml")
	for name, node := range federation.Nodes {
		require.Contains(t, string(text), "nkey: "+node.Key, "the federation file's key of %s", name)
		seed := newSeed(t)
		swap = append(swap, node.Key, seed.public)
		b.seeds[name] = seed.file
	}
	file := filepath.Join(dir, "nats-server.conf")
	require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer(swap...).Replace(string(text))), 0o600))

	options, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	require.True(t, options.SyncAlways)
	require.True(t, options.TLSHandshakeFirst)
	options.NoLog, options.NoSigs = true, true
	srv, err := server.NewServer(options)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(20*time.Second))
	require.True(t, srv.JetStreamEnabled())
	b.address = srv.Addr().String()
	return b
}

func (b *externalBroker) dial(t *testing.T, node string) (*transport.Link, error) {
	t.Helper()
	link, err := transport.Dial(t.Context(), transport.DialConfig{URL: "tls://" + b.address, Name: "test", Federation: "hippo", Node: node,
		CAFile: b.ca, NKeySeedFile: b.seeds[node], Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(link.Close)
	}
	return link, err
}

// streams connects as the owner and makes its two streams as a publisher would.
func (b *externalBroker) streams(t *testing.T) (east *transport.Link, wal, acks jetstream.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	east, err := b.dial(t, "east")
	require.NoError(t, err)
	wal, err = east.JS.CreateStream(ctx, jetstream.StreamConfig{Name: "PGFED_hippo_east", Subjects: []string{subjects + ".wal"},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, DenyDelete: true})
	require.NoError(t, err)
	acks, err = east.JS.CreateStream(ctx, jetstream.StreamConfig{Name: "PGFED_hippo_east_ACK", Subjects: []string{subjects + ".ack.*"}, MaxMsgsPerSubject: 1})
	require.NoError(t, err)
	return east, wal, acks
}

type seed struct{ file, public string }

func newSeed(t *testing.T) seed {
	t.Helper()
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	secret, err := pair.Seed()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "nkey")
	require.NoError(t, os.WriteFile(file, secret, 0o600))
	return seed{file, public}
}

func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return file
	}
	return write("tls.crt", "CERTIFICATE", der), write("tls.key", "EC PRIVATE KEY", secret)
}
