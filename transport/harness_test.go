package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

const patience = 30 * time.Second

// store is a JetStream server of a test, which can go away and come back at
// the same address.
type store struct {
	t          testing.TB
	dir        string
	port       int
	maxPayload int32
	server     *server.Server
}

func newStore(t testing.TB) *store {
	s := &store{t: t, dir: t.TempDir(), port: server.RANDOM_PORT}
	t.Cleanup(s.stop)
	return s
}

func startStore(t testing.TB) *store {
	s := newStore(t)
	s.start()
	return s
}

func (s *store) start() {
	s.t.Helper()
	options := &server.Options{Host: "127.0.0.1", Port: s.port, JetStream: true, StoreDir: s.dir, NoLog: true, NoSigs: true, MaxPayload: s.maxPayload}
	started, err := server.NewServer(options)
	require.NoError(s.t, err)
	started.Start()
	require.True(s.t, started.ReadyForConnections(patience), "the server does not start")
	s.server = started
	s.port = started.Addr().(*net.TCPAddr).Port
}

func (s *store) stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

func (s *store) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// copyTo saves what is stored, as a backup of the directory would.
func (s *store) copyTo(dir string) {
	s.t.Helper()
	require.NoError(s.t, os.RemoveAll(dir))
	require.NoError(s.t, os.CopyFS(dir, os.DirFS(s.dir)))
}

// setBack replaces what is stored by an older copy, or by nothing.
func (s *store) setBack(dir string) {
	s.t.Helper()
	s.stop()
	require.NoError(s.t, os.RemoveAll(filepath.Join(s.dir, "jetstream")))
	if dir != "" {
		require.NoError(s.t, os.CopyFS(s.dir, os.DirFS(dir)))
	}
	s.start()
}

func (s *store) link() *Link {
	s.t.Helper()
	conn, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", s.port), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true))
	require.NoError(s.t, err)
	js, err := jetstream.New(conn)
	require.NoError(s.t, err)
	s.t.Cleanup(conn.Close)
	return &Link{Conn: conn, JS: js}
}

func (s *store) stream(ctx context.Context) jetstream.Stream {
	s.t.Helper()
	stream, err := look(ctx, s.link(), streamName("fed", "east"))
	require.NoError(s.t, err)
	return stream
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	t.Cleanup(cancel)
	return ctx
}

func testLogger(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

var (
	testHistory = change.History{ID: change.ID{1, 2, 3}, System: 7001, Timeline: 1, Start: 1000}
	testTable   = &change.Table{Schema: "public", Name: "accounts", Identity: change.IdentityDefault, Columns: []change.Column{
		{Name: "id", Key: true, TypeOID: 20, TypeMod: -1}, {Name: "owner", TypeOID: 25, TypeMod: -1}, {Name: "mood", TypeOID: 16400, TypeMod: -1, Type: "app.mood"}}}
	partitionTable = &change.Table{Schema: "public", Name: "hippo_east", Identity: change.IdentityDefault, Columns: []change.Column{
		{Name: "id", Key: true, TypeOID: 20, TypeMod: -1}}, Partition: &change.Partition{
		Root: change.Name{Schema: "public", Name: "hippos"}, Place: change.Place{1, 2, 3, 15: 0xff}, Key: []string{"id"}}}
	otherTable = &change.Table{Schema: "audit", Name: "log", Identity: change.IdentityFull, Columns: []change.Column{
		{Name: "at", Key: true, TypeOID: 1184, TypeMod: 6}, {Name: "what", Key: true, TypeOID: 1043, TypeMod: 104}}}
)

func text(s string) change.Value { return change.Value{Kind: change.Text, Bytes: []byte(s)} }

// transaction is one of a simulated origin.
type transaction struct {
	change.Begin
	end     change.LSN
	changes []change.Change
}

// wal is a simulated origin: its transactions, in commit order. Others may
// read while one appends.
type wal struct {
	mu      sync.Mutex
	written []transaction
	end     change.LSN
	grown   chan struct{}
	random  *rand.Rand
}

func newWAL(seed uint64) *wal {
	return &wal{end: testHistory.Start, grown: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 1))}
}

// commit appends a transaction with rows of about size bytes each.
func (w *wal) commit(rows, size int) transaction {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx := transaction{Begin: change.Begin{XID: uint32(700 + len(w.written)), Time: time.UnixMicro(1_700_000_000_000_000 + int64(len(w.written))).UTC()}}
	for i := range rows {
		row := change.AppendTuple(nil, text(fmt.Sprint(i)), text(w.filler(size)), change.Value{Kind: change.Null})
		c := change.Change{Op: change.Insert, Table: testTable, New: row, Ordinal: uint64(i)}
		switch w.random.IntN(6) {
		case 0:
			c.Op, c.OldKind, c.Old = change.Update, change.OldKey, change.AppendTuple(nil, text(fmt.Sprint(i)), change.Value{Kind: change.Null}, change.Value{Kind: change.Null})
		case 1:
			c.Op, c.Table, c.OldKind, c.Old, c.New = change.Delete, otherTable, change.OldFull, row, nil
		case 2:
			c.Op, c.New = change.Update, change.AppendTuple(nil, text("x"), change.Value{Kind: change.Unchanged}, text(w.filler(size)))
		case 3:
			if size < 1000 {
				c = change.Change{Op: change.Truncate, Truncated: []*change.Table{otherTable, testTable}, Cascade: i%2 == 0, RestartIdentity: i%3 == 0, Ordinal: uint64(i)}
			}
		}
		tx.changes = append(tx.changes, c)
		w.end += change.LSN(size)
	}
	w.end += 40
	tx.Final = w.end
	w.end += 48
	tx.end = w.end
	w.end += change.LSN(w.random.IntN(64)) // WAL that concerns nobody
	w.written = append(w.written, tx)
	close(w.grown)
	w.grown = make(chan struct{})
	return tx
}

func (w *wal) filler(size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(w.random.IntN(26))
	}
	return string(b)
}

func (w *wal) position() change.LSN {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.written) == 0 {
		return testHistory.Start
	}
	return w.written[len(w.written)-1].end
}

func (w *wal) from(n int) (txs []transaction, end change.LSN, grown chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written[n:], w.end, w.grown
}

// capture plays the decoder: it hands the transactions behind start to the
// publisher, as borrowed changes, until ctx ends.
func (w *wal) capture(ctx context.Context, p *Publisher, start change.LSN) error {
	n := 0
	for {
		txs, end, grown := w.from(n)
		for i := range txs {
			n++
			if txs[i].end <= start {
				continue
			}
			if err := hand(ctx, p, &txs[i]); err != nil {
				return err
			}
		}
		if err := errors.Join(p.Flush(ctx), p.Idle(ctx, end)); err != nil {
			return err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func hand(ctx context.Context, p *Publisher, tx *transaction) error {
	if err := p.Begin(ctx, tx.Begin); err != nil {
		return err
	}
	for i := range tx.changes {
		borrowed := tx.changes[i]
		borrowed.Old, borrowed.New = bytes.Clone(borrowed.Old), bytes.Clone(borrowed.New)
		if err := p.Change(ctx, &borrowed); err != nil {
			return err
		}
		for j := range borrowed.New {
			borrowed.New[j] = '!' // what was borrowed is overwritten
		}
	}
	return p.Commit(ctx, tx.end)
}

// life is one publisher with its capture.
type life struct {
	t      testing.TB
	p      *Publisher
	cancel context.CancelFunc
	ended  chan error // of Run
	done   sync.WaitGroup
}

func publisherConfig(t testing.TB) PublisherConfig {
	return PublisherConfig{Federation: "fed", Node: "east", History: testHistory, Rules: 3, Logger: testLogger(t)}
}

func (w *wal) publish(t testing.TB, link *Link, cfg PublisherConfig) *life {
	t.Helper()
	p, err := OpenPublisher(testContext(t), link, cfg)
	require.NoError(t, err)
	return w.run(t, p)
}

func (w *wal) run(t testing.TB, p *Publisher) *life { return w.runFrom(t, p, p.Start()) }

func (w *wal) runFrom(t testing.TB, p *Publisher, start change.LSN) *life {
	ctx, cancel := context.WithCancel(testContext(t))
	l := &life{t: t, p: p, cancel: cancel, ended: make(chan error, 1)}
	l.done.Add(2)
	go func() {
		defer l.done.Done()
		l.ended <- p.Run(ctx)
	}()
	go func() {
		defer l.done.Done()
		_ = w.capture(ctx, p, start)
	}()
	t.Cleanup(l.stop)
	return l
}

func (l *life) stop() {
	l.cancel()
	l.done.Wait()
}

func (l *life) awaitPublished(lsn change.LSN) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return l.p.Progress().Published >= lsn }, patience, time.Millisecond, "published only up to %v of %v", l.p.Progress().Published, lsn)
}

// applied plays the applier: it drops by position what it has, begins anew
// with a first piece, and compares each complete transaction with what the
// origin committed.
type applied struct {
	t        testing.TB
	w        *wal
	count    int // transactions, the first so many of the origin's
	position change.Position
	hint     Hint
	lowWater uint64
	open     []change.Change
	openID   change.ID
	next     uint32
	batches  int
}

func (a *applied) take(b *change.Batch) {
	a.t.Helper()
	a.batches++
	if a.position.IsZero() {
		a.position = a.w.positionOf(0)
	}
	require.Equal(a.t, "east", b.Origin)
	require.LessOrEqual(a.t, b.Previous, a.position.LSN, "a gap was handed out")
	for i := range b.Parts {
		p := &b.Parts[i]
		if p.Last && p.Commit <= a.position.LSN {
			continue
		}
		if p.First {
			a.open, a.openID, a.next = nil, p.Attempt, 0
		}
		require.Equal(a.t, a.openID, p.Attempt)
		require.Equal(a.t, a.next, p.Index)
		a.next++
		for _, c := range p.Changes {
			c.Old, c.New = bytes.Clone(c.Old), bytes.Clone(c.New)
			a.open = append(a.open, c)
		}
		if p.Last {
			a.compare(p)
		}
	}
	a.position.History = b.History.ID
	a.position.LSN = max(a.position.LSN, b.Last)
	a.hint, a.lowWater = Hint{b.Generation, b.Sequence}, b.LowWater
}

func (a *applied) compare(p *change.Part) {
	a.t.Helper()
	txs, _, _ := a.w.from(a.count)
	require.NotEmpty(a.t, txs, "a transaction that was never committed")
	want := &txs[0]
	require.Equal(a.t, want.end, p.Commit, "transaction %d", a.count)
	require.Equal(a.t, want.Begin, p.Begin)
	require.Len(a.t, a.open, len(want.changes))
	for i := range want.changes {
		requireChange(a.t, &want.changes[i], &a.open[i])
	}
	a.count++
	a.open = nil
}

func requireChange(t testing.TB, want, have *change.Change) {
	t.Helper()
	if want.Op == have.Op && bytes.Equal(want.Old, have.Old) && bytes.Equal(want.New, have.New) && want.Ordinal == have.Ordinal &&
		want.OldKind == have.OldKind && want.Cascade == have.Cascade && want.RestartIdentity == have.RestartIdentity {
		require.Equal(t, want.Table, have.Table)
		require.Equal(t, want.Truncated, have.Truncated)
		return
	}
	require.Equal(t, want, have)
}

func subscriptionConfig(t testing.TB) SubscriptionConfig {
	return SubscriptionConfig{Federation: "fed", Origin: "east", Peer: "west", Logger: testLogger(t)}
}

// readTo reads until the reader has the origin's first count transactions,
// reopening the subscription whenever that is all there is to do.
func (a *applied) readTo(ctx context.Context, link *Link, count int) {
	a.t.Helper()
	for a.count < count {
		err := a.session(ctx, link, count)
		if a.count >= count {
			return
		}
		require.Error(a.t, err)
		require.NoError(a.t, ctx.Err(), "read only %d of %d transactions, last error: %v", a.count, count, err)
		for _, lasting := range []error{ErrGap, ErrForeignHistory, ErrForeignGeneration, ErrFormat, ErrCorrupt, ErrNotMember} {
			require.NotErrorIs(a.t, err, lasting)
		}
	}
}

func (a *applied) session(ctx context.Context, link *Link, count int) error {
	cfg := subscriptionConfig(a.t)
	cfg.From, cfg.Hint = a.position, a.hint
	s, err := Subscribe(ctx, link, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	a.position = s.From()
	a.open, a.openID = nil, change.ID{} // rolled back
	for a.count < count {
		b, err := s.Next(ctx)
		if err != nil {
			return err
		}
		a.take(b)
	}
	return nil
}
