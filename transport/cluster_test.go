package transport

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// startCluster starts three servers that replicate streams among them.
func startCluster(t *testing.T) []*server.Server {
	var (
		servers []*server.Server
		ports   []int
		routes  []*url.URL
	)
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: listener.Addr().String()})
		require.NoError(t, listener.Close())
	}
	for i := range 3 {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]},
		})
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	for _, s := range servers {
		require.True(t, s.ReadyForConnections(patience))
	}
	require.Eventually(t, func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return s.JetStreamIsCurrent()
			}
		}
		return false
	}, patience, 10*time.Millisecond)
	return servers
}

func clusterLink(t *testing.T, s *server.Server) *Link {
	conn, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return &Link{Conn: conn, JS: js}
}

// The leader of a replicated stream steps down again and again while changes
// are published and read.
func TestReplicatedStreamLosesNothingWhenItsLeaderSteps(t *testing.T) {
	ctx := testContext(t)
	servers := startCluster(t)
	w := newWAL(30)
	cfg := publisherConfig(t)
	cfg.Replicas, cfg.BatchBytes, cfg.ackTimeout = 3, 2<<10, time.Second
	link := clusterLink(t, servers[0])
	var p *Publisher
	require.Eventually(t, func() bool {
		var err error
		p, err = OpenPublisher(ctx, link, cfg)
		return err == nil
	}, patience, 50*time.Millisecond)
	l := w.run(t, p)
	a := &applied{t: t, w: w}
	reader, control := clusterLink(t, servers[1]), clusterLink(t, servers[2])
	stepped := 0
	for round := range 4 {
		for range 60 {
			w.commit(1+w.random.IntN(4), 200)
		}
		if round%3 == 1 {
			w.commit(30, 1000)
		}
		if _, err := control.Conn.Request("$JS.API.STREAM.LEADER.STEPDOWN."+p.name, nil, time.Second); err == nil {
			stepped++
		}
		a.readTo(ctx, reader, len(w.written)-30)
	}
	require.NotZero(t, stepped)
	l.awaitPublished(w.position())
	a.readTo(ctx, reader, len(w.written))
	l.stop()
}
