package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

// world is an origin with its broker, two peers, and everything that can
// happen to them. Whatever does, each peer gets every transaction once and in
// order: applied.take and compare hold that at every step.
type world struct {
	t       *testing.T
	ctx     context.Context
	random  *rand.Rand
	w       *wal
	s       *store
	cfg     PublisherConfig
	life    *life
	zombies []*life
	peers   []*peerModel
	backup  string
	// What the origin's database knows: the slot's position, and what had been
	// published when the slot was last confirmed.
	slot, recorded change.LSN
}

type peerModel struct {
	applied
	name string
	sub  *Subscription
	live bool // it has applied something in this session: it knows its low water
}

func newWorld(t *testing.T, seed uint64) *world {
	m := &world{t: t, ctx: testContext(t), random: rand.New(rand.NewPCG(seed, 2)), w: newWAL(seed), s: startStore(t), backup: t.TempDir(), slot: testHistory.Start}
	m.cfg = publisherConfig(t)
	m.cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.cfg.BatchBytes = 1 << 10 << m.random.IntN(6)
	m.cfg.Window = 1 << m.random.IntN(6)
	m.cfg.Compression = []string{"none", "s2", "zstd"}[m.random.IntN(3)]
	m.cfg.ackTimeout = time.Second
	for _, name := range []string{"west", "central"} {
		m.peers = append(m.peers, &peerModel{name: name, applied: applied{t: t, w: m.w}})
	}
	m.s.stop()
	m.s.copyTo(m.backup)
	m.s.start()
	return m
}

// publish opens the publisher that holds the slot, as often as it takes.
func (m *world) publish() {
	if m.life != nil && m.life.p.out.ending() == nil {
		return
	}
	if m.life != nil {
		m.life.stop()
		err := <-m.life.ended
		for _, pass := range []error{ErrFenced, ErrStreamRegressed, context.Canceled} {
			if errors.Is(err, pass) {
				err = nil
			}
		}
		require.NoError(m.t, err)
	}
	m.cfg.Slot, m.cfg.Published = m.slot, m.recorded
	var p *Publisher
	require.Eventually(m.t, func() bool {
		var err error
		p, err = OpenPublisher(m.ctx, m.s.link(), m.cfg)
		return err == nil
	}, patience, 10*time.Millisecond)
	// The server never delivers what lies before the slot's position.
	m.life = m.w.runFrom(m.t, p, max(p.Start(), m.slot))
}

// read lets a peer read some batches, as long as each comes soon.
func (m *world) read(p *peerModel, batches int, long time.Duration) {
	for range batches {
		if p.sub == nil {
			cfg := subscriptionConfig(m.t)
			cfg.Peer, cfg.From, cfg.Hint = p.name, p.position, p.hint
			sub, err := Subscribe(m.ctx, m.s.link(), cfg)
			if m.passes(err) {
				return
			}
			p.sub, p.live = sub, false
			p.position = sub.From()
			p.open, p.openID = nil, change.ID{}
		}
		ctx, cancel := context.WithTimeout(m.ctx, long)
		b, err := p.sub.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if m.passes(err) {
			m.hangUp(p)
			return
		}
		p.take(b)
		p.live = true
	}
}

// passes holds that an error is one of those that end by themselves.
func (m *world) passes(err error) bool {
	m.t.Helper()
	for _, lasting := range []error{ErrGap, ErrForeignHistory, ErrForeignGeneration, ErrFormat, ErrCorrupt, ErrNotMember} {
		require.NotErrorIs(m.t, err, lasting)
	}
	return err != nil
}

func (m *world) hangUp(p *peerModel) {
	if p.sub != nil {
		p.sub.Close()
		p.sub = nil
	}
}

// acknowledge lets the peers tell how far they are, and the origin act on it
// as a replicator does: the slot waits for the slowest, and what nobody needs
// is trimmed.
func (m *world) acknowledge() {
	for _, p := range m.peers {
		ack := Ack{Peer: p.name, History: testHistory.ID, LSN: p.position.LSN}
		if p.live {
			ack.Generation, ack.Sequence = p.hint.Generation, p.lowWater
		}
		_ = m.s.link().Acknowledge(m.ctx, "fed", "east", ack)
	}
	if m.life == nil || m.life.p.out.ending() != nil {
		return
	}
	progress := m.life.p.Progress()
	acks, err := m.life.p.Acks(m.ctx)
	if err != nil || len(acks) < len(m.peers) {
		return
	}
	lowest, lowWater := progress.Published, progress.Sequence
	for _, ack := range acks {
		lowest = min(lowest, ack.LSN)
		if ack.Generation != progress.Generation {
			lowWater = 0
		}
		lowWater = min(lowWater, ack.Sequence)
	}
	if lowest > m.slot {
		m.recorded, m.slot = max(m.recorded, lowest), lowest
	}
	m.t.Log("trim", lowWater, acks)
	_ = m.life.p.Trim(m.ctx, lowWater, int64(m.random.IntN(3))*10_000, 0)
}

func (m *world) step() string {
	switch n := m.random.IntN(100); {
	case n < 30:
		commitSome(m.w, m.random.IntN(20))
		return "commit"
	case n < 36:
		m.w.commit(20+m.random.IntN(60), 1000)
		return "commit large"
	case n < 37:
		m.w.commit(2, 1<<20+m.random.IntN(1<<20))
		return "commit huge row"
	case n < 65:
		m.read(m.peers[m.random.IntN(2)], m.random.IntN(20), 20*time.Millisecond)
		return "read"
	case n < 75:
		m.acknowledge()
		return "acknowledge"
	case n < 80:
		m.hangUp(m.peers[m.random.IntN(2)])
		return "hang up"
	case n < 84:
		m.s.restart()
		return "restart broker"
	case n < 89:
		m.life.stop()
		m.publish()
		return "restart publisher"
	case n < 91:
		p, err := OpenPublisher(m.ctx, m.s.link(), m.cfg)
		if err == nil {
			m.zombies = append(m.zombies, m.w.run(m.t, p))
		}
		return "zombie publisher"
	case n < 94:
		if sub := m.peers[m.random.IntN(2)].sub; sub != nil && sub.session != nil {
			select {
			case <-sub.session.incoming:
			default:
			}
		}
		return "lose a message"
	case n < 97:
		m.s.stop()
		m.s.copyTo(m.backup)
		m.s.start()
		return "back up"
	default:
		m.stopZombies()
		m.s.setBack(m.backup)
		return "set back"
	}
}

// stopZombies: one that lives through a loss of storage would mistake what the
// slot's holder writes for a loss of its own, and so on; a node has one.
func (m *world) stopZombies() {
	for _, z := range m.zombies {
		z.stop()
	}
	m.zombies = nil
}

func TestWhateverHappensEachPeerGetsEverythingOnce(t *testing.T) {
	seeds := 5
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("PGFED_SEED"); given != "" {
		parsed, err := strconv.ParseUint(given, 10, 64)
		require.NoError(t, err)
		seed, seeds = parsed, 1
	}
	for range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Logf("PGFED_SEED=%d", seed)
			m := newWorld(t, seed)
			m.publish()
			for range 150 {
				step := m.step()
				t.Log(step, "slot", m.slot, "recorded", m.recorded, "west", m.peers[0].position.LSN, "central", m.peers[1].position.LSN)
				m.publish()
			}
			m.stopZombies()
			for _, p := range m.peers {
				deadline := time.Now().Add(patience)
				for p.count < len(m.w.written) && time.Now().Before(deadline) {
					m.publish()
					m.read(p, 1, 2*time.Second)
				}
				require.Equal(t, len(m.w.written), p.count, "%s has not got everything", p.name)
			}
		})
		seed++
	}
}
