package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const walSubject = "pgfed.hippo.east.wal"

// site is node east behind a router, as its peer west reaches it.
type site struct {
	authority *authority
	broker    *Broker
	router    *router
	owner     *Link
	wal       jetstream.Stream
	peer      DialConfig
}

// shapes are the ways through an HTTPS router.
var shapes = map[string]struct {
	url   string
	setup func(*BrokerConfig)
}{
	"passthrough": {"tls://" + passthroughHost + ":443", func(*BrokerConfig) {}},
	"edge":        {"wss://" + edgeHost, func(c *BrokerConfig) { c.WebsocketListen = "127.0.0.1:0" }},
	"reencrypt":   {"wss://" + reencryptHost + "/nats", func(c *BrokerConfig) { c.WebsocketListen, c.WebsocketTLS = "127.0.0.1:0", true }},
}

func newSite(t *testing.T, shape string) *site {
	t.Helper()
	s := newSiteOf(t, "hippo", shape)
	s.wal = createStreams(t, s.owner)
	return s
}

func newSiteOf(t *testing.T, federation, shape string) *site {
	t.Helper()
	seed, public := seedFile(t)
	s := &site{authority: newAuthority(t)}
	cert, key, _ := s.authority.issue("broker", passthroughHost, brokerHost)
	s.broker = startBroker(t, func(c *BrokerConfig) {
		c.Federation = federation
		c.CertFile, c.KeyFile, c.Peers = cert, key, map[string]string{"west": public}
		shapes[shape].setup(c)
	})
	edge, reencrypt := s.broker.WebsocketAddr(), ""
	if shape == "reencrypt" {
		edge, reencrypt = reencrypt, edge
	}
	s.router = startRouter(t, s.authority, s.broker.Addr(), edge, reencrypt)
	s.owner = dialOwner(t, s.broker)
	s.peer = DialConfig{URL: shapes[shape].url, Node: "west", CAFile: s.authority.caFile, NKeySeedFile: seed,
		Dialer: s.router, Timeout: 5 * time.Second, PingInterval: tunnelTimeout / 4}
	return s
}

func eachShape(t *testing.T, test func(t *testing.T, s *site)) {
	for shape := range shapes {
		t.Run(shape, func(t *testing.T) { test(t, newSite(t, shape)) })
	}
}

// publish appends messages first..last, each holding its number.
func (s *site) publish(t *testing.T, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		_, err := s.owner.JS.PublishAsync(walSubject, fmt.Append(nil, i))
		require.NoError(t, err)
	}
	select {
	case <-s.owner.JS.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		require.Fail(t, "publishing takes too long")
	}
}

// reader reads the stream as a peer does: an ordered pull consumer from the start. It fails at the first number out of order.
func (s *site) reader(t *testing.T, peer *Link) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	consumer, err := peer.JS.OrderedConsumer(ctx, "PGFED_hippo_east", jetstream.OrderedConsumerConfig{MaxResetAttempts: -1})
	require.NoError(t, err)
	r := &reader{last: make(chan int, 1<<16)}
	running, err := consumer.Consume(func(m jetstream.Msg) {
		want := fmt.Sprint(r.count.Add(1))
		if have := string(m.Data()); have != want {
			r.wrong.CompareAndSwap(nil, fmt.Sprintf("have %s, want %s", have, want))
		}
		r.last <- int(r.count.Load())
	}, jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5*time.Second))
	require.NoError(t, err)
	t.Cleanup(running.Stop)
	return r
}

type reader struct {
	count atomic.Int64
	wrong atomic.Value
	last  chan int
}

func (r *reader) expect(t *testing.T, last int) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case n := <-r.last:
			require.Nil(t, r.wrong.Load())
			if n == last {
				return
			}
		case <-deadline:
			require.Failf(t, "messages missing", "have %d of %d", r.count.Load(), last)
		}
	}
}

func TestStreamArrivesInOrderThroughRouterAlsoWhenItIsKilled(t *testing.T) {
	eachShape(t, func(t *testing.T, s *site) {
		peer, err := dialTest(t, s.peer)
		require.NoError(t, err)
		s.publish(t, 1, 1000)
		r := s.reader(t, peer)
		r.expect(t, 700) // some are under way

		s.router.kill()
		s.publish(t, 1001, 1500)
		require.Eventually(t, func() bool { return !peer.Conn.IsConnected() }, 10*time.Second, 10*time.Millisecond)
		s.router.start()
		s.publish(t, 1501, 2000)
		r.expect(t, 2000)
		require.GreaterOrEqual(t, peer.Conn.Stats().Reconnects, uint64(1))
	})
}

func TestBatchesArriveWithAPeersRightsThroughRouterThatIsKilled(t *testing.T) {
	for shape := range shapes {
		t.Run(shape, func(t *testing.T) {
			s := newSiteOf(t, "fed", shape)
			peer, err := dialTest(t, s.peer)
			require.NoError(t, err)
			w := newWAL(1)
			for range 200 {
				w.commit(1+w.random.IntN(4), 50)
			}
			w.commit(3000, 400) // several pieces
			publisher := w.publish(t, s.owner, publisherConfig(t))
			publisher.awaitPublished(w.position())
			a := &applied{t: t, w: w}
			a.readTo(t.Context(), peer, 100)

			cut := make(chan error, 1)
			go func() {
				s.router.kill()
				for range 500 {
					w.commit(20, 200)
				}
				cut <- s.router.launch()
			}()
			a.readTo(t.Context(), peer, 701)
			require.NoError(t, <-cut)
			require.NoError(t, peer.Acknowledge(t.Context(), "fed", "east", Ack{Peer: "west", History: a.position.History, LSN: a.position.LSN}))
			require.NoError(t, peer.Conn.Publish("pgfed.fed.east.ack.central", nil))
			s.requireViolation(t, peer, "pgfed.fed.east.ack.central")
			acks, err := publisher.p.Acks(t.Context())
			require.NoError(t, err)
			require.Len(t, acks, 1)
			require.Equal(t, a.position.LSN, acks["west"].LSN)

			beats := make(chan string, 1)
			stop, err := peer.ListenBeats("fed", "east", func(document []byte) { beats <- string(document) })
			require.NoError(t, err)
			defer stop()
			require.NoError(t, peer.Conn.Flush())
			require.NoError(t, s.owner.Beat("fed", "east", []byte("{}")))
			require.Equal(t, "{}", <-beats)
		})
	}
}

func TestIdleLinkOutlivesTunnelTimeout(t *testing.T) {
	eachShape(t, func(t *testing.T, s *site) {
		peer, err := dialTest(t, s.peer)
		require.NoError(t, err)
		silent := s.peer
		silent.PingInterval = time.Minute // proves that the router does cut silent connections
		cut, err := dialTest(t, silent)
		require.NoError(t, err)
		lost := cut.Conn.StatusChanged(nats.RECONNECTING)
		select {
		case <-lost:
		case <-time.After(5 * tunnelTimeout):
			require.Fail(t, "the router does not cut silent connections")
		}
		require.Zero(t, peer.Conn.Stats().Reconnects)
		_, err = peer.Conn.RTT()
		require.NoError(t, err)
	})
}

func TestWrongCertificatesAreRefused(t *testing.T) {
	eachShape(t, func(t *testing.T, s *site) {
		stranger := s.peer
		stranger.CAFile = newAuthority(t).caFile
		_, err := dialTest(t, stranger)
		require.ErrorIs(t, err, ErrUntrusted)

		stranger.CAFile = "" // the system's authorities do not know ours
		_, err = dialTest(t, stranger)
		require.ErrorIs(t, err, ErrUntrusted)

		misnamed := s.peer
		misnamed.URL = "wss://elsewhere.apps.example.com" // no route: the router shows its own certificate
		_, err = dialTest(t, misnamed)
		require.ErrorIs(t, err, ErrServerName)
		misnamed.URL = "tls://elsewhere.apps.example.com:443"
		_, err = dialTest(t, misnamed)
		require.ErrorIs(t, err, ErrServerName)
	})
}

func TestWrongSchemeForTheRouteIsExplained(t *testing.T) {
	s := newSite(t, "edge")
	wrong := s.peer
	wrong.Timeout = 2 * time.Second
	for url, want := range map[string]error{
		"nats://" + passthroughHost + ":443": ErrInsecure,
		"ws://" + edgeHost + ":443":          ErrInsecure,
		"tls://" + edgeHost + ":443":         ErrDialTimeout, // an HTTP server waits for us as we for it
		"wss://" + passthroughHost:           ErrHandshake,   // NATS, not HTTP
		"wss://" + reencryptHost:             ErrHandshake,   // 503: no broker behind the route
	} {
		t.Run(url, func(t *testing.T) {
			wrong.URL = url
			_, err := dialTest(t, wrong)
			require.ErrorIs(t, err, want)
		})
	}
}

func TestPlaintextClientIsRefusedByTLSPort(t *testing.T) {
	s := newSite(t, "passthrough")
	_, err := dialTest(t, DialConfig{URL: "nats://" + s.broker.Addr(), NKeySeedFile: s.peer.NKeySeedFile, Timeout: 2 * time.Second})
	require.ErrorIs(t, err, ErrDialTimeout)
	_, err = dialTest(t, DialConfig{URL: "tls://" + passthroughHost, CAFile: s.authority.caFile, NKeySeedFile: s.peer.NKeySeedFile,
		Dialer: dialTo(s.broker.Addr())})
	require.NoError(t, err, "the port works")
}

func TestPeerCanOnlyReadAndAcknowledge(t *testing.T) {
	eachShape(t, func(t *testing.T, s *site) {
		peer, err := dialTest(t, s.peer)
		require.NoError(t, err)
		s.publish(t, 1, 3)
		s.mayReadAndAcknowledge(t, peer)

		for _, subject := range []string{
			walSubject,
			"pgfed.hippo.east.ack.central",
			"pgfed.hippo.east.heartbeat",
			"$JS.API.STREAM.PURGE.PGFED_hippo_east",
			"$JS.API.STREAM.DELETE.PGFED_hippo_east",
			"$JS.API.STREAM.UPDATE.PGFED_hippo_east",
			"$JS.API.STREAM.CREATE.PGFED_hippo_west",
			"$JS.API.STREAM.MSG.DELETE.PGFED_hippo_east",
			"$JS.API.STREAM.SNAPSHOT.PGFED_hippo_east",
			"$JS.API.STREAM.MSG.GET.PGFED_hippo_east_ACK",
			"$JS.API.CONSUMER.CREATE.PGFED_hippo_east_ACK.c",
			"$JS.API.CONSUMER.DURABLE.CREATE.PGFED_hippo_east.c",
			"$JS.API.CONSUMER.NAMES.PGFED_hippo_east",
			"$SYS.REQ.SERVER.PING",
		} {
			require.NoError(t, peer.Conn.PublishRequest(subject, peer.Conn.NewInbox(), nil))
			s.requireViolation(t, peer, subject)
		}
		for _, subject := range []string{">", walSubject, "pgfed.hippo.east.ack.*", InboxPrefix("east") + ".>", "_INBOX.>", "$JS.ACK.>"} {
			_, err := peer.Conn.SubscribeSync(subject)
			require.NoError(t, err) // the refusal comes later
			s.requireViolation(t, peer, subject)
		}
		s.requireUntouched(t)
	})
}

// The server answers wherever a request says. What a peer may ask for must not become a way to write.
func TestPeerCannotWriteThroughAnswers(t *testing.T) {
	s := newSite(t, "edge")
	peer, err := dialTest(t, s.peer)
	require.NoError(t, err)
	s.publish(t, 1, 3)
	s.mayReadAndAcknowledge(t, peer)

	create := func(name, deliver string) []byte {
		config := map[string]any{"name": name, "ack_policy": "none", "deliver_policy": "all", "headers_only": deliver != ""}
		if deliver != "" {
			config["deliver_subject"] = deliver
		}
		body, err := json.Marshal(map[string]any{"stream_name": "PGFED_hippo_east", "config": config})
		require.NoError(t, err)
		return body
	}
	const consumers = "$JS.API.CONSUMER.CREATE.PGFED_hippo_east."
	targets := []string{walSubject, "pgfed.hippo.east.ack.central", "pgfed.hippo.east.heartbeat",
		"$JS.API.STREAM.PURGE.PGFED_hippo_east", "$JS.API.STREAM.DELETE.PGFED_hippo_east", "$JS.API.STREAM.DELETE.PGFED_hippo_east_ACK"}
	for i, target := range targets {
		name := fmt.Sprint("pull", i)
		for _, request := range []*nats.Msg{
			{Subject: "$JS.API.STREAM.INFO.PGFED_hippo_east"},
			{Subject: "$JS.API.STREAM.MSG.GET.PGFED_hippo_east", Data: []byte(`{"seq":1}`)},
			{Subject: consumers + name, Data: create(name, "")},
			{Subject: "$JS.API.CONSUMER.MSG.NEXT.PGFED_hippo_east." + name, Data: []byte(`{"batch":2}`)},
			{Subject: consumers + "push" + name, Data: create("push"+name, target)},
			{Subject: "$JS.API.CONSUMER.INFO.PGFED_hippo_east." + name},
			{Subject: "pgfed.hippo.east.ack.west", Data: []byte("mine")},
		} {
			request.Reply = target
			require.NoError(t, peer.Conn.PublishMsg(request))
		}
	}
	// The last answers are out when a request behind them is answered; the push consumers get what comes next.
	_, err = peer.JS.Stream(t.Context(), "PGFED_hippo_east")
	require.NoError(t, err)
	s.publish(t, 4, 6)
	reader := s.reader(t, peer)
	reader.expect(t, 6)
	require.Never(t, func() bool { return s.written(t) != [2]uint64{6, 1} }, time.Second, 50*time.Millisecond)
}

// mayReadAndAcknowledge uses everything a peer may do.
func (s *site) mayReadAndAcknowledge(t *testing.T, peer *Link) {
	t.Helper()
	s.reader(t, peer).expect(t, 3)
	stream, err := peer.JS.Stream(t.Context(), "PGFED_hippo_east")
	require.NoError(t, err)
	message, err := stream.GetMsg(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "2", string(message.Data))
	filtered, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{FilterSubject: walSubject, AckPolicy: jetstream.AckNonePolicy})
	require.NoError(t, err)
	batch, err := filtered.Fetch(3)
	require.NoError(t, err)
	var count int
	for range batch.Messages() {
		count++
	}
	require.NoError(t, batch.Error())
	require.Equal(t, 3, count)
	require.NoError(t, stream.DeleteConsumer(t.Context(), filtered.CachedInfo().Name))

	stored, err := peer.JS.Publish(t.Context(), "pgfed.hippo.east.ack.west", []byte("mine"))
	require.NoError(t, err)
	require.Equal(t, "PGFED_hippo_east_ACK", stored.Stream)
	beats, err := peer.Conn.SubscribeSync("pgfed.hippo.east.heartbeat")
	require.NoError(t, err)
	require.NoError(t, peer.Conn.Flush())
	require.NoError(t, s.owner.Conn.Publish("pgfed.hippo.east.heartbeat", []byte("beat")))
	beat, err := beats.NextMsg(5 * time.Second)
	require.NoError(t, err)
	require.Equal(t, "beat", string(beat.Data))
}

// requireViolation waits until the broker has refused the subject; the refusal comes before the answer to a ping.
func (s *site) requireViolation(t *testing.T, peer *Link, subject string) {
	t.Helper()
	require.NoError(t, peer.Conn.FlushTimeout(5*time.Second))
	err := peer.Conn.LastError()
	require.ErrorIs(t, err, nats.ErrPermissionViolation, subject)
	require.ErrorContains(t, err, `"`+subject+`"`)
}

func (s *site) requireUntouched(t *testing.T) {
	t.Helper()
	require.Equal(t, [2]uint64{3, 1}, s.written(t))
}

// written is how many messages are in the stream and in that of the acknowledgements.
func (s *site) written(t *testing.T) (count [2]uint64) {
	for i, name := range []string{"PGFED_hippo_east", "PGFED_hippo_east_ACK"} {
		stream, err := s.owner.JS.Stream(t.Context(), name)
		if err != nil {
			return count
		}
		count[i] = stream.CachedInfo().State.Msgs
	}
	return count
}

// dialTo connects every name to one address.
type dialTo string

func (d dialTo) Dial(network, _ string) (net.Conn, error) {
	return net.Dial(network, string(d))
}
