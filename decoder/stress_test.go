package decoder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// PITFALLS A7: status goes out while a huge transaction is in the middle and
// the consumer holds everything back.
func TestLargeTransactionOutlivesSenderTimeout(t *testing.T) {
	const rows, stops = 300_000, 5
	server := pgtest.Start(t, pgtest.Setting("wal_sender_timeout", "2s"))
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	seen := 0
	r := s.run(func(cfg *Config, r *recorder) {
		cfg.QueueBytes = 64 << 10
		cfg.StatusInterval = time.Second
		r.terse = true
		r.before = func(ctx context.Context) error {
			if seen++; seen%(rows/stops) != 0 {
				return nil
			}
			select { // a slow consumer: longer than the server waits, in all
			case <-time.After(1500 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	s.exec(fmt.Sprintf("INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, %d) g", rows))
	s.exec("INSERT INTO t VALUES (0, 'after')")
	got := r.await(2)
	require.EqualValues(t, rows, got[0].count)
	require.EqualValues(t, 1, got[1].count)
	require.NotContains(t, server.Log(), "terminating walsender process due to replication timeout")
}

// DESIGN guarantee 7, PITFALLS H9: one value costs a small multiple of itself.
func TestLargeValueHasBoundedMemory(t *testing.T) {
	const size = 100 << 20
	server := pgtest.Start(t)
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
	sink := &sizes{got: make(chan int, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	runtime.GC()
	before := heap()
	var peak atomic.Uint64
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			peak.Store(max(peak.Load(), heap()))
			<-tick.C
		}
	}()
	go func() {
		ended <- Run(ctx, s.config(), sink, func() change.LSN { return 0 })
	}()
	s.exec(fmt.Sprintf("INSERT INTO t VALUES (1, repeat('x', %d)), (2, 'small'), (3, repeat('y', %d))", size, size))
	for _, want := range []int{size, 0, size} {
		select {
		case got := <-sink.got:
			require.InDelta(t, want, got, 100)
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "a value did not arrive")
		}
	}
	require.Eventually(t, func() bool { // still running: nothing holds the value any more
		runtime.GC()
		return heap() < before+size/4
	}, patience, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	<-watching
	t.Logf("heap before %d MB, peak %d MB for values of %d MB", before>>20, peak.Load()>>20, size>>20)
	require.Less(t, peak.Load()-before, uint64(3*size))
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// sizes is a Sink that keeps nothing but the sizes of new images.
type sizes struct{ got chan int }

func (s *sizes) Begin(context.Context, change.Begin) error { return nil }
func (s *sizes) Change(_ context.Context, c *change.Change) error {
	s.got <- len(c.New)
	return nil
}
func (s *sizes) Commit(context.Context, change.LSN) error { return nil }
func (s *sizes) Flush(context.Context) error              { return nil }
func (s *sizes) Idle(context.Context, change.LSN) error   { return nil }

// PITFALLS B1, H11: a slot whose log is gone is not read, and says what to do.
func TestInvalidatedSlot(t *testing.T) {
	server := pgtest.Start(t, pgtest.Setting("max_slot_wal_keep_size", "1MB"), pgtest.Setting("max_wal_size", "32MB"))
	s := newSite(t, server, "CREATE TABLE t (id int)")
	require.Eventually(t, func() bool {
		s.exec("INSERT INTO t VALUES (1)", "SELECT pg_switch_wal()", "CHECKPOINT")
		status, err := InspectSlot(context.Background(), s.db, s.slot)
		return err == nil && status.WALStatus == "lost"
	}, patience, time.Millisecond)
	err := s.run().wait()
	require.ErrorIs(t, err, ErrSlotInvalidated)
	require.ErrorContains(t, err, "start afresh")
}

// PITFALLS A3: a server that shuts down waits until its walsender's reader has
// confirmed everything. A reader that cannot lets go.
func TestServerStopsFastWhileNothingIsConfirmed(t *testing.T) {
	server := pgtest.Start(t)
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run(func(cfg *Config, r *recorder) {
		cfg.StatusInterval = time.Second
		r.confirm = func() change.LSN { return 0 }
	})
	s.exec("INSERT INTO t VALUES (1)")
	r.await(1)

	begun := time.Now()
	server.Stop(pgtest.Fast)
	took := time.Since(begun)
	require.ErrorIs(t, r.wait(), ErrServerStopping)
	t.Logf("the server stopped in %v", took)
	require.Less(t, took, 10*time.Second)

	server.Start()
	r = s.again()
	require.Equal(t, [][]string{{"I public.t (1)"}}, texts(r.await(1)))

	// With everything confirmed the server does not wait at all.
	server.Stop(pgtest.Fast)
	require.ErrorIs(t, r.wait(), ErrServerStopping)
}

// again runs capture anew when the server was restarted.
func (s *site) again() *recorder {
	s.t.Helper()
	s.db = s.connect()
	return s.run()
}

func TestServerCrashEndsCapture(t *testing.T) {
	server := pgtest.Start(t)
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run(func(_ *Config, r *recorder) { r.confirm = func() change.LSN { return 0 } })
	s.exec("INSERT INTO t VALUES (1)")
	first := r.await(1)
	server.Kill9()
	require.Error(t, r.wait())
	server.Start()
	r = s.again()
	require.Equal(t, first, r.await(1), "the same transaction at the same position")
}

func TestSystem(t *testing.T) {
	server := pgtest.Start(t)
	ctx := context.Background()
	system, err := Identify(ctx, server.URL())
	require.NoError(t, err)
	require.Equal(t, server.One("SELECT system_identifier FROM pg_control_system()"), fmt.Sprint(system.ID))
	require.EqualValues(t, 1, system.Timeline)
	require.Equal(t, "postgres", system.Database)
	require.NotZero(t, system.Flushed)
	parent, at, err := Fork(ctx, server.URL(), 1)
	require.NoError(t, err)
	require.Zero(t, parent)
	require.Zero(t, at)
	_, _, err = Fork(ctx, server.URL(), 7)
	require.Error(t, err)

	// A recovery from a crash with a recovery signal ends on a new timeline.
	server.Stop()
	signal := filepath.Join(server.DataDir, "recovery.signal")
	require.NoError(t, os.WriteFile(signal, nil, 0o666))
	server.Configure("restore_command = 'false'\n")
	server.Start()
	require.Eventually(t, func() bool { return server.One("SELECT pg_is_in_recovery()::text") == "false" }, patience, 10*time.Millisecond)
	later, err := Identify(ctx, server.URL())
	require.NoError(t, err)
	require.Equal(t, system.ID, later.ID)
	require.EqualValues(t, 2, later.Timeline)
	parent, at, err = Fork(ctx, server.URL(), 2)
	require.NoError(t, err)
	require.EqualValues(t, 1, parent)
	require.GreaterOrEqual(t, at, system.Flushed)

	// Whoever read who we are before the promotion does not read the log after it.
	server.Exec("CREATE PUBLICATION p")
	server.Exec("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
	err = Run(ctx, Config{ConnString: server.URL(), Slot: "s", Publication: "p", Expect: system}, nil, func() change.LSN { return 0 })
	require.ErrorIs(t, err, ErrOtherSystem)
	require.LessOrEqual(t, at, later.Flushed)
}
