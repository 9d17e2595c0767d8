package checkpoint_test

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// member is a database with pgfed's schema, and two sessions in it.
func member(t *testing.T) (*pgtest.Server, *pgx.Conn, *pgx.Conn) {
	t.Helper()
	schema, err := os.ReadFile("../internal/admin/schema.sql")
	require.NoError(t, err)
	server := pgtest.Start(t)
	server.Exec(string(schema))
	// What a user's session may be set to must not matter.
	server.Exec(`ALTER ROLE ALL SET datestyle = 'German, DMY'`)
	server.Exec(`ALTER ROLE ALL SET timezone = 'Asia/Kathmandu'`)
	return server, server.Conn(t), server.Conn(t)
}

func TestCheckpointRow(t *testing.T) {
	_, one, other := member(t)
	ctx := t.Context()
	history, child, generation := change.NewID(), change.NewID(), change.NewID()
	start := change.Position{History: history, LSN: 0xFFFFFFFF_FFFFFF00}

	t.Run("nothing before the first contact", func(t *testing.T) {
		rows, err := checkpoint.Load(ctx, one, true)
		require.NoError(t, err)
		require.Empty(t, rows)
		_, found, err := checkpoint.Read(ctx, one, "west", false)
		require.NoError(t, err)
		require.False(t, found)
	})

	t.Run("initialize is safe to repeat and never moves a row", func(t *testing.T) {
		require.NoError(t, checkpoint.Initialize(ctx, one, "west", start))
		require.NoError(t, checkpoint.Initialize(ctx, other, "west", start))
		require.ErrorIs(t, checkpoint.Initialize(ctx, other, "west", change.Position{History: child, LSN: 1}), checkpoint.ErrFenced)
		require.ErrorContains(t, checkpoint.Initialize(ctx, other, "west", change.Position{}), "want an origin and a history")
		row, found, err := checkpoint.Read(ctx, one, "west", true)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, start, row.Position)
		require.Zero(t, row.Generation)
		require.Zero(t, row.CommitTime)
		require.WithinDuration(t, time.Now(), row.AppliedAt, time.Minute)
	})

	next := checkpoint.Row{
		Position:   change.Position{History: history, LSN: 0xFFFFFFFF_FFFFFF10},
		Generation: generation, Sequence: math.MaxInt64,
		CommitTime: time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC),
	}
	t.Run("advance keeps everything it is told", func(t *testing.T) {
		require.NoError(t, checkpoint.Advance(ctx, one, "west", start, next))
		rows, err := checkpoint.Load(ctx, other, false)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		got := rows["west"]
		require.True(t, got.CommitTime.Equal(next.CommitTime), got.CommitTime)
		got.CommitTime, got.AppliedAt = next.CommitTime, time.Time{}
		require.Equal(t, next, got)
	})

	t.Run("a second applier is refused", func(t *testing.T) {
		require.ErrorIs(t, checkpoint.Advance(ctx, other, "west", start, next), checkpoint.ErrFenced)
	})

	t.Run("an origin that was never met is refused", func(t *testing.T) {
		require.ErrorIs(t, checkpoint.Advance(ctx, other, "central", start, next), checkpoint.ErrFenced)
	})

	t.Run("only forward", func(t *testing.T) {
		for _, lsn := range []change.LSN{next.Position.LSN, next.Position.LSN - 1} {
			err := checkpoint.Advance(ctx, one, "west", next.Position, checkpoint.Row{Position: change.Position{History: history, LSN: lsn}})
			require.ErrorContains(t, err, "not forward")
		}
		_, err := checkpoint.AdvanceArgs("west", start, checkpoint.Row{Position: next.Position, Sequence: math.MaxUint64})
		require.ErrorContains(t, err, "too large")
		_, err = checkpoint.AdvanceArgs("west", start, checkpoint.Row{})
		require.ErrorContains(t, err, "want an origin and two histories")
	})

	t.Run("into a child history, at the same place by its new name", func(t *testing.T) {
		to := checkpoint.Row{Position: change.Position{History: child, LSN: next.Position.LSN}}
		require.NoError(t, checkpoint.Advance(ctx, one, "west", next.Position, to))
		row, _, err := checkpoint.Read(ctx, one, "west", false)
		require.NoError(t, err)
		require.Equal(t, to.Position, row.Position)
		require.Zero(t, row.Generation)
		require.Zero(t, row.CommitTime)
	})
}

// Two appliers advance from the same place at the same time: the second one
// waits for the first to end, and then is refused or, if that rolled back,
// prevails. One of them always does.
func TestTwoAppliersAtOnce(t *testing.T) {
	server, one, other := member(t)
	ctx := t.Context()
	history := change.NewID()
	from := change.Position{History: history, LSN: 100}
	to := checkpoint.Row{Position: change.Position{History: history, LSN: 200}}
	for _, c := range []struct {
		about string
		end   func(pgx.Tx) error
		want  error
	}{
		{"the first rolls back", func(tx pgx.Tx) error { return tx.Rollback(ctx) }, nil},
		{"the first commits", func(tx pgx.Tx) error { return tx.Commit(ctx) }, checkpoint.ErrFenced},
	} {
		t.Run(c.about, func(t *testing.T) {
			server.Exec("DELETE FROM pgfed.checkpoint")
			require.NoError(t, checkpoint.Initialize(ctx, one, "west", from))
			first, err := one.Begin(ctx)
			require.NoError(t, err)
			require.NoError(t, checkpoint.Advance(ctx, first, "west", from, to))

			second := make(chan error, 1)
			go func() { second <- checkpoint.Advance(ctx, other, "west", from, to) }()
			blocked(t, server, other)
			require.NoError(t, c.end(first))
			require.ErrorIs(t, <-second, c.want)
			row, _, err := checkpoint.Read(ctx, one, "west", false)
			require.NoError(t, err)
			require.Equal(t, to.Position, row.Position)
		})
	}
}

// A lock on the frontier waits for a session of an earlier replicator that is
// still committing, and then sees what it left.
func TestLoadWithLockWaitsForTheOldApplier(t *testing.T) {
	server, one, other := member(t)
	ctx := t.Context()
	history := change.NewID()
	from := change.Position{History: history, LSN: 100}
	to := checkpoint.Row{Position: change.Position{History: history, LSN: 200}}
	require.NoError(t, checkpoint.Initialize(ctx, one, "west", from))
	old, err := one.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, checkpoint.Advance(ctx, old, "west", from, to))

	type loaded struct {
		rows map[string]checkpoint.Row
		err  error
	}
	result := make(chan loaded, 1)
	go func() {
		rows, err := checkpoint.Load(ctx, other, true)
		result <- loaded{rows, err}
	}()
	blocked(t, server, other)
	require.NoError(t, old.Commit(ctx))
	got := <-result
	require.NoError(t, got.err)
	require.Equal(t, to.Position, got.rows["west"].Position)
}

// The statement and its arguments work where the applier uses them: in a
// pipeline, and whatever the session's way to send parameters.
func TestAdvanceSQL(t *testing.T) {
	_, one, _ := member(t)
	ctx := t.Context()
	from := change.Position{History: change.NewID(), LSN: 100}
	require.NoError(t, checkpoint.Initialize(ctx, one, "west", from))
	next := func() (checkpoint.Row, []any) {
		to := checkpoint.Row{
			Position:   change.Position{History: from.History, LSN: from.LSN + 1},
			Generation: change.NewID(), CommitTime: time.Now(),
		}
		arguments, err := checkpoint.AdvanceArgs("west", from, to)
		require.NoError(t, err)
		return to, arguments
	}

	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		to, arguments := next()
		tag, err := one.Exec(ctx, checkpoint.AdvanceSQL, append([]any{mode}, arguments...)...)
		require.NoError(t, err, mode)
		require.NoError(t, checkpoint.Advanced(tag, "west", from, to.Position), mode)
		from = to.Position
	}

	to, arguments := next()
	batch := &pgx.Batch{}
	batch.Queue(checkpoint.AdvanceSQL, arguments...)
	batch.Queue(checkpoint.AdvanceSQL, arguments...)
	results := one.SendBatch(ctx, batch)
	tag, err := results.Exec()
	require.NoError(t, err)
	require.NoError(t, checkpoint.Advanced(tag, "west", from, to.Position))
	tag, err = results.Exec()
	require.NoError(t, err)
	require.ErrorIs(t, checkpoint.Advanced(tag, "west", from, to.Position), checkpoint.ErrFenced)
	require.NoError(t, results.Close())
}

// blocked waits until the session waits for a lock.
func blocked(t *testing.T, server *pgtest.Server, conn *pgx.Conn) {
	t.Helper()
	watcher, err := server.Connect(context.Background())
	require.NoError(t, err)
	defer watcher.Close(context.Background())
	require.Eventually(t, func() bool {
		var waiting bool
		err := watcher.QueryRow(context.Background(),
			"SELECT cardinality(pg_blocking_pids($1)) > 0", conn.PgConn().PID()).Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, time.Millisecond)
}
