package applier

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/partition"
)

func TestSettingsOfDatabaseAndRoleDoNotCount(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, d date, i interval, by bytea, f float8)")
	database := b.rows(b.target, "SELECT current_database()")[0]
	for name, value := range map[string]string{
		"DateStyle": "German, DMY", "IntervalStyle": "sql_standard", "TimeZone": "America/New_York", "bytea_output": "escape",
		"extra_float_digits": "-5", "search_path": "pgfed", "statement_timeout": "1", "lock_timeout": "1",
		"default_transaction_read_only": "on", "default_transaction_isolation": "serializable", "synchronous_commit": "remote_apply",
		"row_security": "on", "array_nulls": "off", "xmloption": "document", "client_encoding": "LATIN1", "idle_in_transaction_session_timeout": "1",
	} {
		b.on(b.target, fmt.Sprintf("SET default_transaction_read_only = off; ALTER DATABASE %s SET %s = '%s'", database, name, value))
	}
	b.replicate("INSERT INTO t VALUES (1, '2024-03-04', '1 year -2 days', '\\x00ff', 0.1::float8 + 0.2)")
	require.Equal(t, []string{"2024-03-04|1 year -2 days|\\x00ff|0.30000000000000004"},
		b.rows(b.a.conn, "SELECT d, i, by, f FROM public.t"))
}

func TestSecondApplierIsRefused(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.open()
	_, err := Open(b.ctx, b.cfg)
	require.ErrorIs(t, err, ErrOriginBusy)
	require.False(t, Lasting(err))
	b.a.Close()
	b.a.Close()
	b.open()
}

// Were the origin's guard passed by, the checkpoint would still fence.
func TestCheckpointFences(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)").owned("east")
	b.replicate("INSERT INTO t VALUES (1)")
	list := b.exec("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)").capture()
	row, _ := b.a.Checkpoint()
	other := row
	other.Position.LSN++
	require.NoError(t, checkpoint.Advance(b.ctx, b.target, "east", row.Position, other))
	err := b.run(list)
	require.ErrorIs(t, err, checkpoint.ErrFenced)
	require.False(t, Lasting(err))
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT * FROM t"))
	// The same through the exact path.
	b.on(b.target, "INSERT INTO t VALUES (2)")
	require.ErrorIs(t, b.run(list), checkpoint.ErrFenced)
	require.Equal(t, []string{"1", "2"}, b.rows(b.target, "SELECT * FROM t"))
	require.Empty(t, b.conflicts())
}

func TestNotPrepared(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	cfg := b.cfg
	cfg.Origin = "north"
	_, err := Open(b.ctx, cfg)
	require.ErrorIs(t, err, ErrNotInstalled)
	require.ErrorContains(t, err, "replctl init")
	b.on(b.target, "DROP SCHEMA pgfed CASCADE")
	_, err = Open(b.ctx, b.cfg)
	require.ErrorIs(t, err, ErrNotInstalled)
}

// An old backend may still be committing when its replicator is dead: Open
// reads the checkpoint only behind it.
func TestOpenWaitsForATransactionThatStillCommits(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	b.replicate("INSERT INTO t VALUES (1)")
	row, _ := b.a.Checkpoint()
	b.a.Close()
	tx, err := b.target.Begin(b.ctx)
	require.NoError(t, err)
	moved := row
	moved.Position.LSN += 8
	require.NoError(t, checkpoint.Advance(b.ctx, tx, "east", row.Position, moved))
	opened := make(chan checkpoint.Row, 1)
	go func() {
		for {
			if a, err := Open(b.ctx, b.cfg); err == nil {
				row, _ := a.Checkpoint()
				a.Close()
				opened <- row
				return
			}
		}
	}()
	watch, err := pgx.Connect(b.ctx, b.targetURL)
	require.NoError(t, err)
	defer watch.Close(b.ctx)
	require.Eventually(t, func() bool {
		return b.rows(watch, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgfed/west/apply/east' AND wait_event_type = 'Lock' AND datname = current_database()")[0] == "1"
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, tx.Commit(b.ctx))
	require.Equal(t, moved.Position, (<-opened).Position)
	require.Equal(t, moved.Position, b.frontier.Applied("east"))
}

// The marks that keep applied changes from being captured again, and the
// commit time of the origin.
func TestTransactionsAreMarked(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)").owned("east")
	b.on(b.target, "INSERT INTO t VALUES (2)")
	list := b.exec("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)").capture()
	require.NoError(t, b.run(list))
	require.Equal(t, []string{list[1].Last.String()}, b.rows(b.target, "SELECT remote_lsn FROM pg_replication_origin_status WHERE external_id = 'pgfed_"+b.federation+"_east'"))
	for i, id := range []string{"1"} {
		require.Equal(t, []string{list[i].Parts[0].Time.Format("2006-01-02 15:04:05.999999+00")},
			b.rows(b.target, "SET TimeZone = 'UTC'; SELECT pg_xact_commit_timestamp(xmin) FROM t WHERE id = "+id))
	}
}

func TestLeastPrivilege(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE secret (id int PRIMARY KEY)").owned("east")
	role := "replicator_" + b.federation
	b.on(b.target, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN;
		GRANT USAGE ON SCHEMA pgfed TO %[1]s;
		GRANT SELECT, INSERT, UPDATE, DELETE ON pgfed.checkpoint, pgfed.conflict_history, pgfed.parked, pgfed.parked_change, pgfed.parked_key TO %[1]s;
		GRANT EXECUTE ON FUNCTION pgfed.session_begin() TO %[1]s;
		GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_setup(text), pg_catalog.pg_replication_origin_xact_setup(pg_lsn, timestamptz),
			pg_catalog.pg_replication_origin_progress(text, boolean) TO %[1]s;
		GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO %[1]s`, role))
	t.Cleanup(func() { _, _ = b.target.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	config, err := pgx.ParseConfig(b.targetURL)
	require.NoError(t, err)
	b.cfg.ConnString = fmt.Sprintf("host=%s port=%d dbname=%s user=%s sslmode=disable", config.Host, config.Port, config.Database, role)
	b.on(b.target, "INSERT INTO t VALUES (1, 'local')")
	b.replicate("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "TRUNCATE t", "INSERT INTO t VALUES (3, 'c')")
	b.equal("t")
	require.Len(t, b.conflicts(), 1)
	b.halts(b.run(b.exec("INSERT INTO secret VALUES (1)").capture()), CodePrivilege)

	flusher, err := OpenFlusher(b.ctx, FlusherConfig{ConnString: b.cfg.ConnString, Federation: b.federation})
	require.NoError(t, err)
	defer flusher.Close()
	position, err := flusher.Flushed(b.ctx, "east")
	require.NoError(t, err)
	require.Equal(t, b.frontier.Applied("east"), position)
}

func TestFlushed(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY)")
	flusher, err := OpenFlusher(b.ctx, FlusherConfig{ConnString: b.targetURL, Federation: b.federation, ApplicationName: "pgfed/west/flush"})
	require.NoError(t, err)
	defer flusher.Close()
	for i := range 20 {
		b.replicate(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		inserted := b.rows(b.target, "SELECT pg_current_wal_insert_lsn()")[0]
		position, err := flusher.Flushed(b.ctx, "east")
		require.NoError(t, err)
		require.Equal(t, b.last, position.LSN)
		// All that was written when the transaction was visible, less what
		// came after its commit record: page headers and idle notes.
		require.Equal(t, []string{"t"}, b.rows(b.target, "SELECT pg_current_wal_flush_lsn() >= '"+inserted+"'::pg_lsn - 200"))
	}
	// Its session may be lost.
	b.on(b.target, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgfed/west/flush' AND datname = current_database()")
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, flusher.Flush(b.ctx, "east")) }, 10*time.Second, 10*time.Millisecond)
	flusher.Standbys = []string{"nobody"}
	limited, cancel := context.WithTimeout(b.ctx, 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, flusher.Flush(limited, "east"), context.DeadlineExceeded)
}

func TestTransientErrorsAreRetriedHere(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.cfg.Metrics = NewMetrics(prometheus.NewRegistry())
	b.cfg.OnError = Park
	b.replicate("INSERT INTO t VALUES (1, 1), (2, 2)")
	// A trigger that fires on replicas and reports a deadlock three times.
	b.on(b.target, `CREATE SEQUENCE tries;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('public.tries') < 4 THEN RAISE EXCEPTION 'told so' USING ERRCODE = '40P01'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER fail BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fail();
		ALTER TABLE t ENABLE ALWAYS TRIGGER fail`)
	b.replicate("UPDATE t SET v = v + 1 WHERE id = 1")
	b.equal("t")
	require.Empty(t, b.rows(b.target, "SELECT * FROM pgfed.parked"))
	// Without end it is the caller's turn, and still nothing is parked.
	b.on(b.target, `CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '40P01'; END $$`)
	list := b.exec("UPDATE t SET v = v + 1 WHERE id = 1").capture()
	err := b.run(list)
	require.Equal(t, "40P01", sqlState(err))
	require.False(t, Lasting(err))
	require.Empty(t, b.rows(b.target, "SELECT * FROM pgfed.parked"))
	b.on(b.target, "DROP TRIGGER fail ON t")
	require.NoError(t, b.run(list))
	b.equal("t")
}

func TestLostConnectionIsTransient(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.replicate("INSERT INTO t VALUES (1, 1)")
	list := b.exec("UPDATE t SET v = 2").capture()
	b.on(b.target, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgfed/west/apply/east' AND datname = current_database()")
	err := b.run(list)
	require.Error(t, err)
	require.False(t, Lasting(err), err)
	b.open()
	require.NoError(t, b.run(list))
	b.equal("t")
}

// A local session holds a row: the applier waits and never cancels it, and a
// stop while waiting ends the statement at the server too.
func TestStopWhileWaitingForALock(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int)")
	b.replicate("INSERT INTO t VALUES (1, 1)")
	list := b.exec("UPDATE t SET v = 2").capture()
	tx, err := b.target.Begin(b.ctx)
	require.NoError(t, err)
	_, err = tx.Exec(b.ctx, "SELECT * FROM t FOR UPDATE")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() {
		source := batches(list)
		done <- b.a.Run(ctx, &source)
	}()
	watch, err := pgx.Connect(b.ctx, b.targetURL)
	require.NoError(t, err)
	defer watch.Close(b.ctx)
	waiting := func() bool {
		return b.rows(watch, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgfed/west/apply/east' AND wait_event_type = 'Lock' AND datname = current_database()")[0] == "1"
	}
	require.Eventually(t, waiting, 10*time.Second, 10*time.Millisecond)
	cancel()
	err = <-done
	require.Error(t, err)
	require.False(t, Lasting(err))
	require.Eventually(t, func() bool { return !waiting() }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, tx.Commit(b.ctx))
	b.open()
	require.NoError(t, b.run(list))
	b.equal("t")
}

// D13: a row under concurrent update is found.
func TestConcurrentLocalUpdatesDoNotHideRows(t *testing.T) {
	b := newBench(t, "CREATE TABLE t (id int PRIMARY KEY, v int, local int)").owned("east")
	b.replicate("INSERT INTO t SELECT g, 0, 0 FROM generate_series(1, 20) g")
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	user, err := pgx.Connect(b.ctx, b.targetURL)
	require.NoError(t, err)
	go func() {
		for ctx.Err() == nil {
			// Half of the time the rows are deleted and inserted again.
			_, err := user.Exec(b.ctx, "UPDATE t SET local = local + 1")
			if err == nil {
				_, err = user.Exec(b.ctx, "WITH d AS (DELETE FROM t WHERE id % 2 = 0 RETURNING *) INSERT INTO t SELECT * FROM d")
			}
			if err != nil && sqlState(err) != "40P01" {
				done <- err
				return
			}
		}
		done <- user.Close(b.ctx)
	}()
	for i := range 200 {
		b.exec(fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id = %d", i%20+1))
	}
	require.NoError(t, b.run(b.capture()))
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, b.rows(b.source, "SELECT id, v FROM t ORDER BY id"), b.rows(b.target, "SELECT id, v FROM t ORDER BY id"))
	require.Empty(t, b.conflicts())
}

func TestLastingIsDecidedBySQLState(t *testing.T) {
	for state, want := range map[string]bool{
		"40001": false, "40P01": false, "55P03": false, "53100": false, "53200": false, "53300": false, "57014": false, "57P01": false,
		"57P02": false, "57P03": false, "08006": false, "08P01": false, "25006": false, "58030": false, "55006": false,
		"23505": true, "23502": true, "23514": true, "22P02": true, "42P01": true, "42703": true, "42501": true, "0A000": true, "XX000": true, "P0001": true,
	} {
		require.Equal(t, want, Lasting(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: state})), state)
	}
	require.True(t, Lasting(fmt.Errorf("wrapped: %w", &Halt{})))
	for _, err := range []error{ErrStalled, ErrReopen, ErrOriginBusy, checkpoint.ErrFenced, context.Canceled, context.DeadlineExceeded, errDrained} {
		require.False(t, Lasting(err), err)
	}
}

func TestHaltDescribesItself(t *testing.T) {
	h := &Halt{Origin: "east", Position: change.Position{LSN: 0x16B3}, Table: "public.t", Reason: "the table does not exist here", SQLState: "42P01"}
	require.Equal(t, "apply east/-:0/16B3: public.t: the table does not exist here (SQLSTATE 42P01)", h.Error())
}

// Places are read in our sessions as in the origin's.
func TestSessionsReadPlacesAlike(t *testing.T) {
	for name, value := range partition.Settings {
		require.Equal(t, value, pinned[name], name)
	}
}
