package applier

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// feed is a Source that the test fills while Run waits.
type feed struct {
	batches chan *change.Batch
	asked   chan struct{} // one for each Next: what came before is applied
}

func newFeed() *feed {
	return &feed{batches: make(chan *change.Batch), asked: make(chan struct{}, 1000)}
}

func (f *feed) Next(ctx context.Context) (*change.Batch, error) {
	f.asked <- struct{}{}
	select {
	case batch := <-f.batches:
		return batch, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// start runs the applier on a feed.
func (b *bench) start(f *feed) chan error {
	if b.a == nil {
		b.open()
	}
	done := make(chan error, 1)
	go func() { done <- b.a.Run(b.ctx, f) }()
	<-f.asked
	return done
}

// put hands a batch over and waits until it is applied.
func (f *feed) put(t *testing.T, done chan error, batch *change.Batch) {
	t.Helper()
	f.batches <- batch
	select {
	case <-f.asked:
	case err := <-done:
		require.NoError(t, err)
	}
}

func TestLargeTransactionBecomesVisibleAtOnce(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	b.open()
	b.exec("BEGIN; INSERT INTO t SELECT g, 'v' FROM generate_series(1, 100) g; UPDATE t SET v = 'w' WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0; COMMIT")
	list := b.pieces(b.parts()[0], 10)
	require.Greater(t, len(list), 10)
	f := newFeed()
	done := b.start(f)
	for _, batch := range list[:len(list)-1] {
		f.put(t, done, batch)
		require.Equal(t, []string{"0"}, b.rows(b.target, "SELECT count(*) FROM t"))
		require.Zero(t, b.frontier.Applied("east").LSN)
	}
	f.put(t, done, list[len(list)-1])
	b.equal("t")
	require.Equal(t, b.last, b.frontier.Applied("east").LSN)
	require.Equal(t, uint64(1), b.progress[len(b.progress)-1].Transactions)
}

func TestStalledTransactionIsRolledBack(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.replicate("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	b.cfg.Stall = 50 * time.Millisecond
	b.cfg.Memory = new(Memory)
	b.open()
	b.exec("UPDATE t SET v = 1")
	list := b.pieces(b.parts()[0], 10)
	f := newFeed()
	done := b.start(f)
	f.put(t, done, list[0])
	err := <-done
	require.ErrorIs(t, err, ErrStalled)
	require.False(t, Lasting(err))
	// No lock outlives it.
	b.on(b.target, "SET lock_timeout = '1s'; UPDATE t SET v = v; RESET lock_timeout")
	// It is not begun again before all of it is there: nothing is written and
	// rolled back for as long as its origin is away.
	b.open()
	before := b.rows(b.target, "SELECT pg_current_xact_id_if_assigned() IS NULL, pg_snapshot_xmax(pg_current_snapshot())")
	f = newFeed()
	done = b.start(f)
	for _, piece := range list[:2] {
		f.put(t, done, piece)
	}
	require.Equal(t, before, b.rows(b.target, "SELECT pg_current_xact_id_if_assigned() IS NULL, pg_snapshot_xmax(pg_current_snapshot())"))
	f.batches <- list[2]
	require.ErrorIs(t, <-done, ErrReopen)
	b.open()
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestNewerAttemptReplacesTheOpenOne(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.open()
	b.exec("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	part := b.parts()[0]
	before := b.last
	first := b.pieces(part, 10)
	b.last = before
	second := b.pieces(part, 7)
	// Half an attempt, the newer one, leftovers of an attempt whose beginning
	// is gone, the newer one once more.
	list := append([]*change.Batch{first[0], first[1]}, second...)
	list = append(list, first[1])
	list = append(list, second...)
	require.NoError(t, b.run(list))
	b.equal("t")
	require.Equal(t, uint64(1), b.progress[len(b.progress)-1].Transactions)

	// A whole transaction replaces it too.
	b.exec("INSERT INTO t VALUES (100, 1)")
	whole := b.capture()
	require.NoError(t, b.run(append([]*change.Batch{}, whole...)))
	b.equal("t")
}

func TestMissingPiecesAreNoticed(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.open()
	b.exec("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	list := b.pieces(b.parts()[0], 10)
	for name, broken := range map[string][]*change.Batch{
		"gap":       {list[0], list[2]},
		"headless":  {list[1], list[2]},
		"only last": {list[2]},
	} {
		err := b.run(broken)
		require.ErrorIs(t, err, ErrPieces, name)
		require.False(t, Lasting(err))
	}
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestConflictsInALargeTransaction(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE mine (id int PRIMARY KEY)")
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"mine"}, Node: "west"}, {Tables: []string{"t"}, Node: "east"}})
	b.on(b.target, "INSERT INTO t VALUES (15, -1)")
	b.exec("BEGIN; INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g; INSERT INTO mine VALUES (1); COMMIT")
	list := b.pieces(b.parts()[0], 10)
	require.NoError(t, b.run(list))
	b.equal("t")
	want := []string{`t|INSERT|insert_exists|overwrite|{"id": "15"}`, `mine|INSERT|not_owner|refuse|{"id": "1"}`}
	require.Equal(t, want, b.conflicts())
	require.Equal(t, []string{b.last.String() + "|14", b.last.String() + "|30"}, b.rows(b.target, "SELECT position, ordinal FROM pgfed.conflict_history ORDER BY ordinal"))
	require.Equal(t, uint64(2), b.progress[len(b.progress)-1].Conflicts)
}

func TestUnownedClashInALargeTransaction(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.on(b.target, "INSERT INTO t VALUES (15, -1)")
	b.exec("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	list := b.pieces(b.parts()[0], 10)
	for range 2 {
		halt := b.halts(b.run(list), CodeConflict)
		require.Equal(t, b.last, halt.Position.LSN)
		require.Equal(t, []string{"15|-1"}, b.rows(b.target, "SELECT * FROM t"))
		require.Equal(t, []string{b.last.String() + "|14|halt"}, b.rows(b.target, "SELECT position, ordinal, resolution FROM pgfed.conflict_history"))
		b.open()
	}
	b.on(b.target, "DELETE FROM t")
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestLastingErrorInALargeTransactionHaltsAtOnce(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)", "CREATE TABLE t (id int PRIMARY KEY, v int CHECK (id <> 15))")
	b.exec("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	list := b.pieces(b.parts()[0], 10)
	halt := b.halts(b.run(list[:2]), CodeApplyError)
	require.Equal(t, "23514", halt.SQLState)
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
	b.on(b.target, "ALTER TABLE t DROP CONSTRAINT t_id_check")
	require.NoError(t, b.run(list))
	b.equal("t")
}

// generated makes a large transaction's pieces on the fly, so that only one is
// in memory at a time.
type generated struct {
	b              *bench
	table          *change.Table
	attempt        change.ID
	rows, perPiece int
	next           int
	sequence       uint64
	peak           uint64
}

func (g *generated) Next(context.Context) (*change.Batch, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	g.peak = max(g.peak, m.HeapInuse)
	if g.next >= g.rows {
		return nil, errDrained
	}
	p := change.Part{
		Begin: change.Begin{XID: 7, Final: 0x1000, Time: time.Unix(1700000000, 0)}, Attempt: g.attempt, Index: uint32(g.next / g.perPiece), First: g.next == 0,
	}
	for range g.perPiece {
		g.next++
		p.Changes = append(p.Changes, change.Change{
			Op: change.Insert, Table: g.table, Ordinal: uint64(g.next - 1),
			New: change.AppendTuple(nil, textValues(fmt.Sprint(g.next), "a value of some length that fills the row a little")...),
		})
	}
	batch := &change.Batch{Origin: "east", History: g.b.history, Generation: g.b.generation, Sequence: g.sequence, Parts: []change.Part{p}}
	if g.next >= g.rows {
		batch.Parts[0].Last, batch.Parts[0].Commit, batch.Last = true, 0x1030, 0x1030
	}
	g.sequence++
	return batch, nil
}

func TestMemoryDoesNotGrowWithTheTransaction(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	b.open()
	g := &generated{
		b: b, attempt: change.NewID(), rows: 200_000, perPiece: 2000,
		table: &change.Table{Schema: "public", Name: "t", Identity: 'd', Columns: []change.Column{{Name: "id", Key: true}, {Name: "v"}}},
	}
	runtime.GC() // what earlier tests left
	started := time.Now()
	require.ErrorIs(t, b.a.Run(b.ctx, g), errDrained)
	t.Logf("%d rows in %s, heap at most %d MB", g.rows, time.Since(started).Round(time.Millisecond), g.peak>>20)
	require.Equal(t, []string{"200000|200000"}, b.rows(b.target, "SELECT count(*), max(id) FROM t"))
	require.Less(t, g.peak, uint64(64<<20))
}

func TestParkedWholeAndTainted(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE u (id int PRIMARY KEY, big text); ALTER TABLE u ALTER big SET STORAGE EXTERNAL",
		"CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v <> 13)); CREATE TABLE u (id int PRIMARY KEY, big text)").owned("east")
	b.cfg.OnError = Park
	b.replicate("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)", "INSERT INTO u VALUES (1, repeat('x', 100000))")
	list := b.exec(
		"BEGIN; UPDATE t SET v = 20 WHERE id = 2; UPDATE t SET v = 13 WHERE id = 1; UPDATE u SET id = 5; DELETE FROM t WHERE id = 3; COMMIT", // parked
		"UPDATE t SET v = 14 WHERE id = 1",                // joins
		"UPDATE t SET v = 30 WHERE id = 4",                // nothing
		"INSERT INTO t VALUES (4, 4)",                     // applied
		"UPDATE u SET big = 'y' WHERE id = 5",             // joins by the new key
		"BEGIN; INSERT INTO t VALUES (3, 33); COMMIT",     // joins
		"INSERT INTO u VALUES (9, 'z')",                   // applied
		"TRUNCATE u",                                      // joins: it would touch parked keys
		"INSERT INTO u VALUES (10, 'after the truncate')", // joins
	).capture()
	require.NoError(t, b.run(list))
	require.Equal(t, []string{"1|1", "2|2", "3|3", "4|4"}, b.rows(b.target, "SELECT * FROM t ORDER BY 1"))
	require.Equal(t, []string{"1", "9"}, b.rows(b.target, "SELECT id FROM u ORDER BY 1"))
	require.Equal(t, b.last, b.frontier.Applied("east").LSN)
	parked := b.rows(b.target, "SELECT position, sqlstate, tables FROM pgfed.parked ORDER BY position")
	require.Len(t, parked, 6, parked)
	require.Equal(t, list[0].Last.String()+"|23514|{public.t,public.u}", parked[0])
	require.Contains(t, parked[1], "joins")
	require.Equal(t, []string{
		`0|t|UPDATE||NULL|{"v": "20", "id": "2"}|{"key": ["id"], "identity": "d"}`,
		`1|t|UPDATE||NULL|{"v": "13", "id": "1"}|{"key": ["id"], "identity": "d"}`,
		`2|u|UPDATE|K|{"id": "1"}|{"id": "5"}|{"key": ["id"], "identity": "d"}`,
		`3|t|DELETE|K|{"id": "3"}|NULL|{"key": ["id"], "identity": "d"}`,
	}, b.rows(b.target, "SELECT ordinal, table_name, operation, old_kind, old_row, new_row, detail FROM pgfed.parked_change WHERE position = '"+list[0].Last.String()+"' ORDER BY ordinal"))
	require.Equal(t, uint64(6), b.progress[len(b.progress)-1].Parked)
	// A new applier knows what is tainted; when all is resolved nothing is.
	b.open()
	require.NoError(t, b.run(b.exec("UPDATE t SET v = 40 WHERE id = 2").capture()))
	require.Equal(t, []string{"7"}, b.rows(b.target, "SELECT count(*) FROM pgfed.parked"))
	b.on(b.target, "DELETE FROM pgfed.parked", "DELETE FROM pgfed.parked_key", "UPDATE t SET v = 40 WHERE id = 2")
	require.NoError(t, b.run(b.exec("UPDATE t SET v = 41 WHERE id = 2").capture()))
	require.Equal(t, []string{"41"}, b.rows(b.target, "SELECT v FROM t WHERE id = 2"))
	require.Empty(t, b.rows(b.target, "SELECT * FROM pgfed.parked"))
}

func TestMissingTableIsParked(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY)", "CREATE TABLE t (id int PRIMARY KEY)")
	b.cfg.OnError = Park
	b.replicate("INSERT INTO t VALUES (1)", "BEGIN; INSERT INTO t VALUES (2); INSERT INTO more VALUES (2); COMMIT", "INSERT INTO t VALUES (3)")
	require.Equal(t, []string{"1", "3"}, b.rows(b.target, "SELECT * FROM t ORDER BY 1"))
	require.Equal(t, []string{"missing_table|{public.more,public.t}"}, b.rows(b.target, "SELECT sqlstate, tables FROM pgfed.parked"))
}

func TestConflictsAreNotParked(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.cfg.OnError = Park
	b.open()
	b.exec("INSERT INTO t VALUES (1)").capture()
	b.halts(b.run(b.exec("INSERT INTO t VALUES (2)").capture()), CodeGap)
	b = newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.cfg.OnError = Park
	b.on(b.target, "INSERT INTO t VALUES (1, 5)")
	b.halts(b.run(b.exec("INSERT INTO t VALUES (1, 6)").capture()), CodeConflict)
	require.Empty(t, b.rows(b.target, "SELECT * FROM pgfed.parked"))
}

func TestLargeTransactionIsParkedWhole(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("new applier %t", fresh), func(t *testing.T) {
			b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)", "CREATE TABLE t (id int PRIMARY KEY, v int CHECK (id <> 15))")
			b.cfg.OnError = Park
			b.cfg.Memory = new(Memory)
			b.open()
			b.exec("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
			list := b.pieces(b.parts()[0], 10)
			err := b.run(list)
			require.ErrorIs(t, err, ErrReopen)
			require.False(t, Lasting(err))
			require.Empty(t, b.rows(b.target, "SELECT * FROM pgfed.parked"))
			if fresh {
				b.open()
			}
			require.NoError(t, b.run(append(list, b.exec("INSERT INTO t VALUES (100, 1)", "UPDATE t SET v = 2 WHERE id = 7").capture()...)))
			require.Equal(t, []string{"100|1"}, b.rows(b.target, "SELECT * FROM t"))
			require.Equal(t, []string{"23514|{public.t}", "joins|{public.t}"}, b.rows(b.target, "SELECT sqlstate, tables FROM pgfed.parked ORDER BY position"))
			require.Equal(t, []string{"31|30"}, b.rows(b.target, "SELECT count(*), count(DISTINCT ordinal) FROM pgfed.parked_change"))
			require.Equal(t, b.last, b.frontier.Applied("east").LSN)
			require.Empty(t, b.cfg.Memory.park)

			// A large transaction that touches a tainted key late.
			b.exec("BEGIN; INSERT INTO t SELECT g, 0 FROM generate_series(201, 220) g; UPDATE t SET v = 3 WHERE id = 3; COMMIT")
			joins := b.pieces(b.parts()[0], 10)
			require.ErrorIs(t, b.run(joins), ErrReopen)
			require.NoError(t, b.run(joins))
			require.Equal(t, []string{"100|1"}, b.rows(b.target, "SELECT * FROM t"))
			require.Equal(t, []string{"3"}, b.rows(b.target, "SELECT count(*) FROM pgfed.parked"))
		})
	}
}

func TestCausalWait(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.cfg.Causal = true
	north := change.History{ID: change.NewID()}
	b.frontier.Learn("north", north)
	b.frontier.Set("north", change.Position{History: north.ID, LSN: 10})
	observed := make(chan Progress, 100)
	b.cfg.Observe = func(p Progress) { observed <- p }
	b.open()
	list := b.exec("INSERT INTO t VALUES (1)").capture()
	list[0].Parts[0].Vector = change.Vector{"north": {History: north.ID, LSN: 20}, "west": {History: change.NewID(), LSN: 99}, "east": {History: change.NewID(), LSN: 99}}
	f := newFeed()
	done := b.start(f)
	f.batches <- list[0]
	p := <-observed
	require.Equal(t, Waiting, p.State)
	require.Equal(t, []string{"north"}, p.WaitingFor)
	require.Empty(t, b.rows(b.target, "SELECT * FROM t"))
	b.frontier.Advance("north", change.Position{History: north.ID, LSN: 20})
	select {
	case <-f.asked:
	case err := <-done:
		require.NoError(t, err)
	}
	b.equal("t")
	require.Equal(t, Applying, (<-observed).State)
	p = <-observed
	require.Equal(t, uint64(1), p.Transactions)
	require.Empty(t, p.WaitingFor)
}

func TestCausalWaitEndsAtMaxWait(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.cfg.Causal, b.cfg.MaxWait = true, 200*time.Millisecond
	b.open()
	north := change.NewID()
	list := b.exec("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)", "INSERT INTO t VALUES (4)").capture()
	for i, batch := range list {
		batch.Parts[0].Vector = change.Vector{"north": {History: north, LSN: change.LSN(10 + i)}}
	}
	started := time.Now()
	require.NoError(t, b.run(list[:1]))
	require.GreaterOrEqual(t, time.Since(started), b.cfg.MaxWait)
	require.Equal(t, []string{"north"}, b.progress[len(b.progress)-1].WaitingFor)
	started = time.Now()
	require.NoError(t, b.run(list[1:3]))
	require.Less(t, time.Since(started), b.cfg.MaxWait, "not waited for again")
	// Once north has caught up it is waited for again.
	b.frontier.Set("north", change.Position{History: north, LSN: 12})
	caught := b.exec("INSERT INTO t VALUES (5)").capture()
	caught[0].Parts[0].Vector = list[2].Parts[0].Vector
	require.NoError(t, b.run(list[3:]))
	require.NoError(t, b.run(caught))
	require.Empty(t, b.progress[len(b.progress)-1].WaitingFor)
	again := b.exec("INSERT INTO t VALUES (6)").capture()
	again[0].Parts[0].Vector = change.Vector{"north": {History: north, LSN: 100}}
	started = time.Now()
	require.NoError(t, b.run(again))
	require.GreaterOrEqual(t, time.Since(started), b.cfg.MaxWait)
	b.equal("t")
}

// Under kill -9 of the database nothing that was flushed is missing, and what
// was not is applied again: the checkpoint tells.
func TestDatabaseCrash(t *testing.T) {
	s := pgtest.Start(t)
	b := newBenchOn(t, s, "CREATE TABLE t (id int, v text)") // no key: nothing may be doubled
	var list []*change.Batch
	for i := range 30 {
		list = append(list, b.exec(fmt.Sprintf("INSERT INTO t SELECT %d, 'v' FROM generate_series(1, 10)", i)).capture()...)
	}
	require.NoError(t, b.run(list[:10]))
	flusher, err := OpenFlusher(b.ctx, FlusherConfig{ConnString: b.targetURL, Federation: b.federation})
	require.NoError(t, err)
	defer flusher.Close()
	flushed, err := flusher.Flushed(b.ctx, "east")
	require.NoError(t, err)
	require.NoError(t, b.run(list[10:20]))
	want := b.rows(b.source, "SELECT id, count(*) FROM t GROUP BY 1 ORDER BY 1")
	s.Kill9()
	require.NoError(t, s.TryStart())
	require.Error(t, flusher.Flush(b.ctx, "east"), "a flush after the crash proves nothing on the old session")
	b.target, err = pgx.Connect(b.ctx, b.targetURL)
	require.NoError(t, err)
	b.open()
	row, _ := b.a.Checkpoint()
	require.GreaterOrEqual(t, row.Position.LSN, flushed.LSN)
	again, err := flusher.Flushed(b.ctx, "east")
	require.NoError(t, err)
	require.Equal(t, row.Position, again)
	require.NoError(t, b.run(list))
	require.Equal(t, want, b.rows(b.target, "SELECT id, count(*) FROM t GROUP BY 1 ORDER BY 1"))
	b.source, err = pgx.Connect(b.ctx, b.targetURL)
	require.NoError(t, err)
}
