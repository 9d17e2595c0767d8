package decoder

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/partition"
	"github.com/pgfed/pgfed/internal/pgtest"
)

func TestCapture(t *testing.T) {
	server := pgtest.Start(t, pgtest.Setting("max_replication_slots", "64"))
	for name, test := range map[string]func(*testing.T, *pgtest.Server){
		"transactions arrive whole in commit order":        commitOrder,
		"a rolled back savepoint leaves no trace":          savepoint,
		"our own applies are dropped, other origins pass":  origins,
		"the server may filter by origin, from 16 on":      serverFilter,
		"a table may change in mid-stream":                 tableChanges,
		"local columns go no further":                      localColumns,
		"a local column in the identity stops capture":     localIdentity,
		"text that is no UTF-8 stops capture":              undecodable,
		"unchanged toasted values are marked":              unchangedToast,
		"images follow the replica identity":               identities,
		"truncate names tables and options":                truncate,
		"partitions come under their own names":            partitions,
		"partitions say where they belong":                 places,
		"partitions are asked about again":                 placesAskedAgain,
		"a TRUNCATE says which roots it empties":           emptied,
		"user-defined types are named":                     userTypes,
		"values are written with pinned settings":          pinnedSettings,
		"unpublished writes advance the slot":              idleAdvances,
		"the slot never moves past what is confirmed":      explicitPositions,
		"confirming what was not captured is refused":      confirmedAhead,
		"capture resumes behind its start":                 resume,
		"prepared transactions come at their commit":       prepared,
		"logical messages are ignored":                     logicalMessages,
		"a slot must exist, be ours and be free":           slotErrors,
		"a terminated walsender is reported with its code": terminated,
		"an error of the sink ends capture":                sinkError,
		"names are quoted":                                 quoting,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// PITFALLS A4: commit order, not the order of the writes; identity is the
// commit's end and the ordinal.
func commitOrder(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	r := s.run()
	other := s.connect()
	ctx := context.Background()

	first, err := other.Begin(ctx)
	require.NoError(t, err)
	_, err = first.Exec(ctx, "INSERT INTO t VALUES (1, 'early, committed late')")
	require.NoError(t, err)
	s.exec("BEGIN", "INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (3, NULL)", "UPDATE t SET v = 'b' WHERE id = 2", "COMMIT")
	end := s.now()
	_, err = first.Exec(ctx, "DELETE FROM t WHERE id = 2")
	require.NoError(t, err)
	require.NoError(t, first.Commit(ctx))
	xid := s.value("SELECT xmin::text FROM t WHERE id = 3")

	got := r.await(2)
	require.Equal(t, [][]string{
		{"I public.t (2, a)", "I public.t (3, null)", "U public.t (2, b)"},
		{"I public.t (1, early, committed late)", "D public.t K(2, null)"},
	}, texts(got))
	require.Equal(t, xid, fmt.Sprint(got[0].XID))
	require.LessOrEqual(t, got[0].end, end)
	require.Greater(t, got[1].Final, got[0].Final)
	require.GreaterOrEqual(t, got[1].Final, got[0].end)
	require.WithinDuration(t, time.Now(), got[0].Time, time.Minute)
	r.until(func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.flushes > 0 })
}

// PITFALLS D9.
func savepoint(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run()
	s.exec("BEGIN", "INSERT INTO t VALUES (1)", "SAVEPOINT a", "INSERT INTO t SELECT generate_series(100, 600)",
		"ROLLBACK TO a", "INSERT INTO t VALUES (2)", "SAVEPOINT b", "INSERT INTO t VALUES (3)", "RELEASE b", "COMMIT")
	s.exec("BEGIN", "INSERT INTO t VALUES (4)", "ROLLBACK")
	s.exec("INSERT INTO t VALUES (5)")
	require.Equal(t, [][]string{{"I public.t (1)", "I public.t (2)", "I public.t (3)"}, {"I public.t (5)"}}, texts(r.await(2)))
}

func origins(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
	ours, foreign := "pgfed_"+s.slot, "foreign_"+s.slot
	s.exec("SELECT pg_replication_origin_create('"+ours+"')", "SELECT pg_replication_origin_create('"+foreign+"')")
	r := s.run()

	// The server describes u inside the dropped transaction and not again.
	s.exec("SELECT pg_replication_origin_session_setup('"+ours+"')",
		"INSERT INTO t VALUES (1)", "BEGIN", "INSERT INTO u VALUES (1)", "INSERT INTO t VALUES (2)", "COMMIT")
	dropped := s.now()
	r.until(func() bool { return r.position() >= dropped })
	require.Empty(t, r.transactions())
	s.exec("SELECT pg_replication_origin_session_reset()", "INSERT INTO u VALUES (2)",
		"SELECT pg_replication_origin_session_setup('"+foreign+"')", "INSERT INTO u VALUES (3)",
		"SELECT pg_replication_origin_session_reset()")
	require.Equal(t, [][]string{{"I public.u (2)"}, {"I public.u (3)"}}, texts(r.await(2)))
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Positive(t, r.idles)
	require.Same(t, r.tables[0], r.tables[1])
}

func serverFilter(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	s.exec("SELECT pg_replication_origin_create('filtered')")
	r := s.run(func(cfg *Config, _ *recorder) { cfg.ServerFilter = true })
	s.exec("SELECT pg_replication_origin_session_setup('filtered')", "INSERT INTO t VALUES (1)",
		"SELECT pg_replication_origin_session_reset()", "INSERT INTO t VALUES (2)")
	want := [][]string{{"I public.t (1)"}, {"I public.t (2)"}}
	if server.Major >= 16 {
		want = want[1:]
	}
	require.Equal(t, want, texts(r.await(len(want))))
}

func tableChanges(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	r := s.run()
	s.exec("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')",
		"BEGIN", "INSERT INTO t VALUES (3, 'c')", "ALTER TABLE t ADD COLUMN w int DEFAULT 7", "INSERT INTO t VALUES (4, 'd')", "COMMIT",
		"ALTER TABLE t RENAME COLUMN v TO x", "ALTER TABLE t RENAME TO renamed", "UPDATE renamed SET x = 'e' WHERE id = 1",
		"ALTER TABLE renamed DROP COLUMN x", "INSERT INTO renamed VALUES (5, 5)")
	require.Equal(t, [][]string{
		{"I public.t (1, a)"}, {"I public.t (2, b)"}, {"I public.t (3, c)", "I public.t (4, d, 7)"},
		{"U public.renamed (1, e, 7)"}, {"I public.renamed (5, 5)"},
	}, texts(r.await(5)))
	require.Same(t, r.tables[0], r.tables[1])
	require.Equal(t, []change.Column{
		{Name: "id", Key: true, TypeOID: 23, TypeMod: -1}, {Name: "v", TypeOID: 25, TypeMod: -1},
	}, r.tables[0].Columns)
	require.Equal(t, "x", r.tables[4].Columns[1].Name)
	require.Equal(t, "v", r.tables[0].Columns[1].Name, "a table is immutable")
}

// PITFALLS D1.
func unchangedToast(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE t (id int PRIMARY KEY, n int, big text);
		ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
		CREATE TABLE f (id int PRIMARY KEY, n int, big text);
		ALTER TABLE f ALTER big SET STORAGE EXTERNAL;
		ALTER TABLE f REPLICA IDENTITY FULL;
		INSERT INTO t VALUES (1, 1, repeat('x', 5000));
		INSERT INTO f VALUES (1, 1, repeat('x', 5000))`)
	r := s.run()
	s.exec("UPDATE t SET n = 2", "UPDATE f SET n = 2")
	got := r.await(2)
	require.Equal(t, []string{"U public.t (1, 2, unchanged)"}, got[0].changes)
	require.Regexp(t, `^U public.f O\(1, 1, x+\) \(1, 2, (unchanged|x+)\)$`, got[1].changes[0])
}

func identities(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `
		CREATE TABLE d (id int PRIMARY KEY, v text);
		CREATE TABLE f (id int, v text); ALTER TABLE f REPLICA IDENTITY FULL;
		CREATE TABLE i (a int, b int NOT NULL, v text); CREATE UNIQUE INDEX ib ON i (b); ALTER TABLE i REPLICA IDENTITY USING INDEX ib;
		CREATE TABLE n (id int); ALTER TABLE n REPLICA IDENTITY NOTHING`)
	r := s.run()
	s.exec("INSERT INTO d VALUES (1, 'a')", "UPDATE d SET v = 'b'", "UPDATE d SET id = 2", "DELETE FROM d",
		"INSERT INTO f VALUES (1, NULL)", "UPDATE f SET v = 'b'", "DELETE FROM f",
		"INSERT INTO i VALUES (1, 2, 'a')", "UPDATE i SET a = 3", "UPDATE i SET b = 4", "DELETE FROM i",
		"INSERT INTO n VALUES (1)")
	require.Equal(t, [][]string{
		{"I public.d (1, a)"}, {"U public.d (1, b)"}, {"U public.d K(1, null) (2, b)"}, {"D public.d K(2, null)"},
		{"I public.f (1, null)"}, {"U public.f O(1, null) (1, b)"}, {"D public.f O(1, b)"},
		{"I public.i (1, 2, a)"}, {"U public.i (3, 2, a)"}, {"U public.i K(null, 2, null) (3, 4, a)"}, {"D public.i K(null, 4, null)"},
		{"I public.n (1)"},
	}, texts(r.await(12)))
	for n, want := range map[int]byte{0: 'd', 4: 'f', 7: 'i', 11: 'n'} {
		require.Equal(t, want, r.tables[n].Identity)
	}
	require.False(t, r.tables[7].Columns[0].Key)
	require.True(t, r.tables[7].Columns[1].Key)
}

// PITFALLS D8.
func truncate(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
		CREATE TABLE c (id int PRIMARY KEY REFERENCES a)`)
	r := s.run()
	s.exec("TRUNCATE b", "TRUNCATE b RESTART IDENTITY", "TRUNCATE b, a RESTART IDENTITY CASCADE")
	got := r.await(3)
	require.Equal(t, []string{"T public.b"}, got[0].changes)
	require.Equal(t, []string{"T public.b restart"}, got[1].changes)
	require.Equal(t, []string{"T public.b, public.a, public.c cascade restart"}, got[2].changes)
}

// PITFALLS D7, H4, H8: without publish_via_partition_root, new partitions too.
func partitions(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE p (region text, id int, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
		CREATE TABLE p_east PARTITION OF p FOR VALUES IN ('east');
		CREATE TABLE p_west PARTITION OF p FOR VALUES IN ('west')`)
	s.exec("CREATE PUBLICATION root FOR TABLE p")
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Publication = "root" })
	s.exec("INSERT INTO p VALUES ('east', 1)", "UPDATE p SET region = 'west'",
		"BEGIN", "CREATE TABLE p_north PARTITION OF p FOR VALUES IN ('north')", "INSERT INTO p VALUES ('north', 2)", "COMMIT")
	require.Equal(t, [][]string{
		{"I public.p_east (east, 1)"},
		{"D public.p_east K(east, 1)", "I public.p_west (west, 1)"},
		{"I public.p_north (north, 2)"},
	}, texts(r.await(3)))
}

// describer answers as internal/replicator does.
type describer struct {
	conn  *pgx.Conn
	asked atomic.Int64
}

func newDescriber(s *site) *describer {
	d := &describer{conn: s.connect()}
	require.NoError(s.t, partition.Pin(context.Background(), d.conn))
	return d
}

func (d *describer) Of(ctx context.Context, tables []uint32) (map[uint32]*change.Partition, error) {
	d.asked.Add(1)
	return partition.Read(ctx, d.conn, tables)
}

func (d *describer) Roots(ctx context.Context, tables []uint32) (map[uint32]change.Name, error) {
	return partition.Roots(ctx, d.conn, tables)
}

func (d *describer) Wholly(ctx context.Context, tables []uint32) ([]change.Name, error) {
	return partition.Wholly(ctx, d.conn, tables)
}

// rootOf is what the last change said its table was a partition of.
func (r *recorder) rootOf() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.tables[len(r.tables)-1].Partition; p != nil {
		return p.Root.Name
	}
	return ""
}

func places(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE p (region text, id int, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
		CREATE TABLE p_east PARTITION OF p FOR VALUES IN ('east'); CREATE TABLE t (region text, id int)`)
	d := newDescriber(s)
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Partitions = d })
	require.Equal(t, "", r.writeTo(s, "t"))
	require.Equal(t, "p", r.writeTo(s, "p"))
	asked := d.asked.Load()
	s.exec("ALTER TABLE p DETACH PARTITION p_east")
	require.Equal(t, "", r.writeTo(s, "p_east"), "the server describes it again")
	s.exec("ALTER TABLE p ATTACH PARTITION p_east FOR VALUES IN ('east')")
	require.Equal(t, "p", r.writeTo(s, "p"))
	for range 100 {
		r.writeTo(s, "t")
	}
	require.LessOrEqual(t, d.asked.Load()-asked, int64(5), "once a description, not once a change")
}

// writeTo writes a row and returns what its table is said to be a partition of.
func (r *recorder) writeTo(s *site, table string) string {
	n := len(r.transactions()) + 1
	s.exec(fmt.Sprintf("INSERT INTO %s VALUES ('east', %d)", table, n))
	r.await(n)
	return r.rootOf()
}

// The server does not describe a partition again when its root is renamed, and
// does when it is detached: what was written before is read as it was.
func placesAskedAgain(t *testing.T, server *pgtest.Server) {
	defer func(every time.Duration) { partitionsEvery = every }(partitionsEvery)
	partitionsEvery = time.Nanosecond
	s := newSite(t, server, `CREATE TABLE p (region text, id int, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
		CREATE TABLE p_east PARTITION OF p FOR VALUES IN ('east'); CREATE TABLE t (region text, id int)`)
	held, hold := make(chan struct{}), atomic.Bool{}
	r := s.run(func(cfg *Config, r *recorder) {
		cfg.Partitions = newDescriber(s)
		r.before = func(context.Context) error {
			if hold.Load() {
				<-held
			}
			return nil
		}
	})
	defer r.stop() // before the interval is what it was
	require.Equal(t, "p", r.writeTo(s, "p"))
	require.Equal(t, "", r.writeTo(s, "t"), "p_east rests meanwhile")
	s.exec("ALTER TABLE p RENAME TO q")
	require.Equal(t, "q", r.writeTo(s, "q"))

	hold.Store(true)
	s.exec("INSERT INTO q VALUES ('east', 0)", "INSERT INTO q VALUES ('east', -1)", "ALTER TABLE q DETACH PARTITION p_east")
	close(held)
	r.await(5)
	require.Equal(t, "q", r.rootOf())
	require.Equal(t, "", r.writeTo(s, "p_east"))
}

func emptied(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t (id int);
		CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2)`)
	d := newDescriber(s)
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Partitions = d })
	s.exec("TRUNCATE p_1, t", "TRUNCATE p, t", "TRUNCATE t")
	require.Equal(t, [][]string{
		{"T public.p_1, public.t"}, {"T public.p_1, public.p_2, public.t wholly public.p"}, {"T public.t"},
	}, texts(r.await(3)))
}

func userTypes(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (id int PRIMARY KEY, m mood)`)
	r := s.run()
	s.exec("INSERT INTO t VALUES (1, 'glad')")
	require.Equal(t, [][]string{{"I public.t (1, glad)"}}, texts(r.await(1)))
	require.Equal(t, "public.mood", r.tables[0].Columns[1].Type)
	require.Empty(t, r.tables[0].Columns[0].Type)
}

// PITFALLS D4, D6: no ALTER ROLE, ALTER DATABASE or connection string wins.
func pinnedSettings(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE t (id int PRIMARY KEY, ts timestamptz, i interval, f float8, b bytea, d date, n numeric, c regclass)`)
	database := s.value("SELECT current_database()")
	for _, setting := range []string{"DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "extra_float_digits = -5", "TimeZone = 'Asia/Tokyo'",
		"bytea_output = 'escape'", "search_path = 'public'", "statement_timeout = '1ms'", "idle_session_timeout = '1ms'"} {
		s.exec("ALTER ROLE postgres IN DATABASE " + database + " SET " + setting)
	}
	r := s.run(func(cfg *Config, _ *recorder) {
		cfg.ConnString += "&datestyle=SQL&options=-c%20timezone%3DEurope/Paris"
	})
	s.exec("INSERT INTO t VALUES (1, '2024-02-03 04:05:06.123456+00', '1 day 02:00', 0.1::float8 + 0.2, '\\x00ff', '0044-03-15 BC', 'NaN', 't'), (2, 'infinity', '-1 mon', 'NaN', '', '-infinity', '1e100', NULL)")
	require.Equal(t, [][]string{{
		`I public.t (1, 2024-02-03 04:05:06.123456+00, 1 day 02:00:00, 0.30000000000000004, \x00ff, 0044-03-15 BC, NaN, public.t)`,
		`I public.t (2, infinity, -1 mons, NaN, \x, -infinity, 1` + fmt.Sprintf("%0100d", 0) + `, null)`,
	}}, texts(r.await(1)))
}

// PITFALLS A3.
func idleAdvances(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)")
	s.exec("CREATE PUBLICATION only_t FOR TABLE t")
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Publication = "only_t" })
	s.exec("INSERT INTO other SELECT generate_series(1, 1000)")
	end := s.now()
	r.until(func() bool { return s.confirmed() >= end })
	require.Empty(t, r.transactions())
}

// PITFALLS A1, H6.
func explicitPositions(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	before := s.confirmed()
	r := s.run(func(_ *Config, r *recorder) { r.confirm = func() change.LSN { return 0 } })
	s.exec("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
	r.await(2)
	flushed := func() string {
		return s.value("SELECT flush_lsn::text || ' ' || replay_lsn::text || ' ' || (write_lsn > flush_lsn)::text FROM pg_stat_replication WHERE application_name = 'pgfed/test/capture'")
	}
	r.until(func() bool { return flushed() == before.String()+" "+before.String()+" true" })
	require.ErrorIs(t, r.stop(), context.Canceled)
	require.Equal(t, before, s.confirmed())

	// What was not confirmed comes again; a position once confirmed stays.
	var confirmed change.LSN
	r = s.run(func(_ *Config, r *recorder) {
		r.confirm = func() change.LSN {
			at := r.position()
			if at > 0 && confirmed == 0 {
				confirmed = at
				return at
			}
			return 1
		}
	})
	first := r.await(2)[0].end
	r.until(func() bool { return s.confirmed() >= first })
	stays := s.confirmed()
	s.exec("INSERT INTO t VALUES (3)")
	r.await(3)
	require.ErrorIs(t, r.stop(), context.Canceled)
	require.Equal(t, stays, s.confirmed())
}

func confirmedAhead(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	before := s.confirmed()
	r := s.run(func(_ *Config, r *recorder) { r.confirm = func() change.LSN { return before + 1<<40 } })
	require.ErrorIs(t, r.wait(), ErrConfirmedAhead)
	require.Equal(t, before, s.confirmed())
}

// PITFALLS H6: the server skips up to Start without moving the slot.
func resume(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	nothing := func() change.LSN { return 0 }
	r := s.run(func(_ *Config, r *recorder) { r.confirm = nothing })
	s.exec("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
	before := r.await(3)
	_ = r.stop()
	for skip := range 3 {
		r = s.run(func(cfg *Config, r *recorder) { cfg.Start, r.confirm = before[skip].end, nothing })
		s.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", 10+skip))
		got := r.await(3)[:2-skip]
		require.Equal(t, before[skip+1:], append([]transaction{}, got...))
		_ = r.stop()
		require.Less(t, s.confirmed(), before[0].end)
	}
}

func prepared(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run()
	s.exec("BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION '"+s.slot+"'", "INSERT INTO t VALUES (2)")
	r.await(1)
	s.exec("COMMIT PREPARED '"+s.slot+"'", "BEGIN", "INSERT INTO t VALUES (3)", "PREPARE TRANSACTION '"+s.slot+"'",
		"ROLLBACK PREPARED '"+s.slot+"'", "INSERT INTO t VALUES (4)")
	require.Equal(t, [][]string{{"I public.t (2)"}, {"I public.t (1)"}, {"I public.t (4)"}}, texts(r.await(3)))
}

func logicalMessages(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run()
	s.exec("SELECT pg_logical_emit_message(false, 'pgfed', 'forged')", "BEGIN",
		"SELECT pg_logical_emit_message(true, 'pgfed', 'forged')", "INSERT INTO t VALUES (1)", "COMMIT")
	require.Equal(t, [][]string{{"I public.t (1)"}}, texts(r.await(1)))
}

// PITFALLS B1.
func slotErrors(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Slot = "nowhere" })
	err := r.wait()
	require.ErrorIs(t, err, ErrSlotMissing)
	require.ErrorContains(t, err, "replctl init")
	require.ErrorContains(t, err, "nowhere")
	require.Equal(t, "0", s.value("SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = 'nowhere'"))

	s.exec("SELECT pg_create_logical_replication_slot('test_plugin', 'test_decoding')")
	defer s.exec("SELECT pg_drop_replication_slot('test_plugin')")
	require.ErrorIs(t, s.run(func(cfg *Config, _ *recorder) { cfg.Slot = "test_plugin" }).wait(), ErrSlotForeign)

	elsewhere := newSite(t, server, "")
	require.ErrorIs(t, s.run(func(cfg *Config, _ *recorder) { cfg.Slot = elsewhere.slot }).wait(), ErrSlotForeign)
	require.ErrorIs(t, s.run(func(cfg *Config, _ *recorder) { cfg.Publication = "unpublished" }).wait(), ErrPublicationMissing)

	reader := s.run()
	s.exec("INSERT INTO t VALUES (1)")
	reader.await(1)
	status, err := InspectSlot(context.Background(), s.db, s.slot)
	require.NoError(t, err)
	require.True(t, status.Active)
	require.NoError(t, status.Check(status.Database))
	require.Positive(t, status.Confirmed)
	require.Positive(t, status.Restart)
	err = s.run().wait()
	require.ErrorIs(t, err, ErrSlotBusy)
	require.ErrorContains(t, err, fmt.Sprint(status.ActivePID))

	// A clean stop frees the slot.
	_ = reader.stop()
	s.exec("INSERT INTO t VALUES (2)")
	s.run().await(1)
}

// PITFALLS D15: callers tell lasting from passing by SQLSTATE.
func terminated(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	r := s.run()
	s.exec("INSERT INTO t VALUES (1)")
	r.await(1)
	s.exec("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '" + s.slot + "'")
	err := r.wait()
	var refused *pgconn.PgError
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, "57P01", refused.Code)
}

func sinkError(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	full := errors.New("the broker is full")
	r := s.run(func(_ *Config, r *recorder) { r.before = func(context.Context) error { return full } })
	s.exec("INSERT INTO t VALUES (1)")
	require.ErrorIs(t, r.wait(), full)
}

func quoting(t *testing.T, server *pgtest.Server) {
	s := newSite(t, server, `CREATE TABLE "o'Table ""x""" ("a,b" int PRIMARY KEY)`)
	name := pgx.Identifier{`it's a "Pub", really`}
	s.exec("CREATE PUBLICATION " + name.Sanitize() + " FOR ALL TABLES")
	r := s.run(func(cfg *Config, _ *recorder) { cfg.Publication = name[0] })
	s.exec(`INSERT INTO "o'Table ""x""" VALUES (1)`)
	require.Equal(t, [][]string{{`I public.o'Table "x" (1)`}}, texts(r.await(1)))
	require.Equal(t, "a,b", r.tables[0].Columns[0].Name)
}

// undecodable: a database without an encoding takes any bytes, and its
// walsender cannot write them as UTF-8. What its error says of them is not
// passed on.
func undecodable(t *testing.T, server *pgtest.Server) {
	server.Exec("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	s := newSiteAt(t, server, server.URL("bytes"), "CREATE TABLE t (id int PRIMARY KEY, v text)")
	s.exec("DO $$ BEGIN EXECUTE 'INSERT INTO t VALUES (1, ''' || convert_from('\\xe9', 'SQL_ASCII') || ''')'; END $$")
	err := s.run().wait()
	require.ErrorIs(t, err, ErrUndecodable)
	require.NotContains(t, err.Error(), "0xe9")

	for code, lasting := range map[string]bool{"22P05": true, "54000": true, "XX000": true, "57P01": false, "53200": false} {
		body, err := (&pgproto3.ErrorResponse{Code: code, File: "mcxt.c", Message: "m"}).Encode(nil)
		require.NoError(t, err)
		require.Equal(t, lasting, errors.Is(streamError(body), ErrUndecodable), code)
	}
}
