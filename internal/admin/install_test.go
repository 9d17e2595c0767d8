package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/pgtest"
)

const file = `
federation: demo
nodes:
  east: {url: "nats://127.0.0.1:4222"}
  central: {url: "nats://127.0.0.1:4223"}
  west: {url: "nats://127.0.0.1:4224"}
tables:
  include: ["public.*", "app.*"]
  exclude: ["public.local_*"]
  insert_only: [events]
`

const schema = `
CREATE TABLE hippos (id uuid DEFAULT gen_random_uuid() NOT NULL, node_name text) PARTITION BY LIST (node_name);
CREATE TABLE hippo_default PARTITION OF hippos (PRIMARY KEY (id)) DEFAULT;
CREATE TABLE hippo_east PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('east');
CREATE TABLE accounts (id int PRIMARY KEY, balance int);
CREATE TABLE events (at timestamptz, what text);
CREATE TABLE local_notes (id int PRIMARY KEY);
CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
CREATE SCHEMA app;
CREATE TABLE app."Odd name" (id int PRIMARY KEY);
`

func federation(t *testing.T, extra ...string) *config.Federation {
	t.Helper()
	f, err := config.Parse([]byte(file + strings.Join(extra, "\n")))
	require.NoError(t, err)
	return f
}

func member(t *testing.T, server *pgtest.Server) *pgx.Conn {
	t.Helper()
	conn := pgtest.Connect(t, server.Database(t))
	pgtest.Exec(t, conn, schema)
	return conn
}

func install(t *testing.T, conn *pgx.Conn, o Options) *Plan {
	t.Helper()
	plan, err := NewPlan(context.Background(), conn, o)
	require.NoError(t, err)
	require.NoError(t, Install(context.Background(), conn, plan, func(string) {}))
	return plan
}

func published(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT r.prrelid::regclass::text FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
		WHERE pubname = 'pgfed_demo' ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	slices.Sort(names)
	return names
}

func dropSlots(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	pgtest.Exec(t, conn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
}

func TestInstallMakesAMemberAndIsIdempotent(t *testing.T) {
	for _, major := range pgtest.Majors() {
		t.Run(pgMajor(major), func(t *testing.T) {
			server := pgtest.Start(t, pgtest.Major(major))
			conn := member(t, server)
			o := Options{Federation: federation(t), Node: "east", Role: "replicator"}
			plan := install(t, conn, o)
			require.Len(t, plan.Steps, 6)
			require.Equal(t, []string{"accounts", `app."Odd name"`, "events", "hippos"}, published(t, conn))

			ctx := context.Background()
			node, err := ReadNode(ctx, conn)
			require.NoError(t, err)
			require.Equal(t, Node{Federation: "demo", Name: "east", Version: SchemaVersion}, node)
			history, err := ReadHistory(ctx, conn)
			require.NoError(t, err)
			version, err := catalog.ReadServer(ctx, conn)
			require.NoError(t, err)
			slot, err := catalog.ReadSlot(ctx, conn, version, "pgfed_demo_east")
			require.NoError(t, err)
			require.Equal(t, slot.Confirmed, history.Start)
			require.Equal(t, slot.Confirmed, history.Confirmed)
			require.Equal(t, major >= 17, slot.Failover)
			require.EqualValues(t, 1, history.Timeline)
			require.NotZero(t, history.System)
			require.Zero(t, history.Published)
			ours, foreign, err := catalog.Origins(ctx, conn, "pgfed_demo_")
			require.NoError(t, err)
			require.Equal(t, []string{"pgfed_demo_central", "pgfed_demo_west"}, ours)
			require.Empty(t, foreign)

			again, err := NewPlan(ctx, conn, o)
			require.NoError(t, err)
			require.True(t, again.Empty(), again.SQL())
			require.NoError(t, Install(ctx, conn, again, func(string) {}))
			after, err := ReadHistory(ctx, conn)
			require.NoError(t, err)
			require.Equal(t, history, after)
		})
	}
}

func pgMajor(major int) string { return "PG" + string(rune('0'+major/10)) + string(rune('0'+major%10)) }

func TestPrintedSQLDoesWhatInstallDoes(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	o := Options{Federation: federation(t), Node: "east", Role: "replicator"}
	plan, err := NewPlan(context.Background(), conn, o)
	require.NoError(t, err)
	// As psql -f would: statement by statement.
	for _, step := range plan.Steps {
		require.Contains(t, plan.SQL(), strings.TrimSpace(step.Statements[0]))
		pgtest.Exec(t, conn, strings.Join(step.Statements, ";\n"))
	}
	again, err := NewPlan(context.Background(), conn, o)
	require.NoError(t, err)
	require.True(t, again.Empty(), again.SQL())
}

func TestInterruptedInstallContinues(t *testing.T) {
	server := pgtest.Start(t)
	o := Options{Federation: federation(t), Node: "east", Role: "replicator"}
	for steps := range 6 {
		conn := member(t, server)
		plan, err := NewPlan(context.Background(), conn, o)
		require.NoError(t, err)
		for _, step := range plan.Steps[:steps] {
			require.NoError(t, run(context.Background(), conn, step, func(string) {}))
		}
		rest := install(t, conn, o)
		require.LessOrEqual(t, len(rest.Steps), 6-steps)
		again, err := NewPlan(context.Background(), conn, o)
		require.NoError(t, err)
		require.True(t, again.Empty(), "after %d steps: %s", steps, again.SQL())
		dropSlots(t, conn)
	}
}

func TestInstallRefuses(t *testing.T) {
	server := pgtest.Start(t)
	ctx := context.Background()
	f := federation(t)
	conn := member(t, server)
	east := Options{Federation: f, Node: "east"}
	_, err := NewPlan(ctx, conn, Options{Federation: f, Node: "north"})
	require.ErrorContains(t, err, "central, east, west")

	install(t, conn, east)
	_, err = NewPlan(ctx, conn, Options{Federation: f, Node: "west"})
	require.ErrorContains(t, err, "this database is node east of federation demo, not west")
	other := federation(t)
	other.Federation = "other"
	_, err = NewPlan(ctx, conn, Options{Federation: other, Node: "east"})
	require.ErrorContains(t, err, "of federation demo, not of other")

	// A second database of the same server cannot be the same node.
	second := member(t, server)
	_, err = NewPlan(ctx, second, east)
	require.ErrorContains(t, err, "slot pgfed_demo_east belongs to database")

	// A lost slot is never made anew.
	dropSlots(t, conn)
	_, err = NewPlan(ctx, conn, east)
	require.ErrorIs(t, err, ErrSlotLost)
	require.ErrorContains(t, err, "slot pgfed_demo_east does not exist")

	// A restored copy has another system identifier.
	pgtest.Exec(t, conn, "SELECT pg_create_logical_replication_slot('pgfed_demo_east', 'pgoutput'); UPDATE pgfed.history SET system = '1'")
	_, err = NewPlan(ctx, conn, east)
	require.ErrorIs(t, err, ErrSlotLost)
	pgtest.Exec(t, conn, "UPDATE pgfed.history SET system = (SELECT system_identifier::text FROM pg_control_system())")

	pgtest.Exec(t, conn, "DROP PUBLICATION pgfed_demo")
	_, err = NewPlan(ctx, conn, east)
	require.ErrorIs(t, err, ErrSlotLost)
	dropSlots(t, conn)

	// Somebody else's slot by the same name.
	pgtest.Exec(t, second, "SELECT pg_create_logical_replication_slot('pgfed_demo_east', 'test_decoding')")
	_, err = NewPlan(ctx, second, east)
	require.ErrorContains(t, err, `plugin "test_decoding"`)
	dropSlots(t, conn)
	pgtest.Exec(t, second, "SELECT pg_create_logical_replication_slot('pgfed_demo_east', 'pgoutput')")
	_, err = NewPlan(ctx, second, east)
	require.ErrorContains(t, err, "pg_drop_replication_slot")
	dropSlots(t, conn)

	pgtest.Exec(t, second, "CREATE PUBLICATION pgfed_demo FOR ALL TABLES")
	_, err = NewPlan(ctx, second, east)
	require.ErrorContains(t, err, "all tables")
}

// Everything that cannot be federated is named at once, a dry run too, and
// nothing is changed; excluded, it is no hindrance, and neither is the rest.
func TestInstallRefusesUnfitTables(t *testing.T) {
	conn := member(t, pgtest.Start(t))
	pgtest.Exec(t, conn, "CREATE TABLE bare (id int); CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING")
	f := federation(t)
	o := Options{Federation: f, Node: "east", Role: "replicator"}
	_, err := NewPlan(context.Background(), conn, o)
	var unfit *UnfitError
	require.ErrorAs(t, err, &unfit)
	require.Len(t, unfit.Unfit, 2)
	require.ErrorContains(t, err, "public.bare (no primary key")
	require.ErrorContains(t, err, "public.silent (REPLICA IDENTITY NOTHING")
	_, err = ReadNode(context.Background(), conn)
	require.ErrorIs(t, err, ErrNotInstalled)

	f.Tables.Exclude = append(f.Tables.Exclude, "public.bare")
	f.Tables.InsertOnly = append(f.Tables.InsertOnly, "public.silent", "public.accounts")
	plan := install(t, conn, o)
	require.Equal(t, []string{"accounts", `app."Odd name"`, "events", "hippos", "silent"}, published(t, conn))
	require.Contains(t, strings.Join(plan.Warnings, "\n"), "public.accounts has a replica identity, so tables.insert_only, which names it, does nothing")

	// A member stays one: what became unfit holds up init, not the replicator.
	pgtest.Exec(t, conn, "CREATE TABLE later (id int)")
	_, err = NewPlan(context.Background(), conn, o)
	require.ErrorContains(t, err, "public.later (no primary key")
	names, err := Unpublished(context.Background(), conn, f)
	require.NoError(t, err)
	require.Equal(t, []string{"public.later"}, names)
}

func TestInstallRefusesAServerThatCannotCapture(t *testing.T) {
	server := pgtest.Start(t, pgtest.Setting("wal_level", "replica"))
	_, err := NewPlan(context.Background(), server.Conn(t), Options{Federation: federation(t), Node: "east"})
	require.ErrorContains(t, err, "set wal_level = logical")
}

func TestPublicationFollowsTheFile(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	install(t, conn, Options{Federation: federation(t), Node: "east"})

	pgtest.Exec(t, conn, "CREATE TABLE later (id int PRIMARY KEY); CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('west')")
	names, err := Unpublished(context.Background(), conn, federation(t))
	require.NoError(t, err)
	require.Equal(t, []string{"public.later"}, names, "a new partition is published by its root")

	changed := federation(t)
	changed.Tables.Exclude = append(changed.Tables.Exclude, "public.accounts")
	plan := install(t, conn, Options{Federation: changed, Node: "east"})
	require.Contains(t, plan.SQL(), `LOCK TABLE "public"."later" IN SHARE ROW EXCLUSIVE MODE`)
	require.Contains(t, strings.Join(plan.Warnings, "\n"), "rows that are in public.later already")
	require.Equal(t, []string{`app."Odd name"`, "events", "hippos", "later"}, published(t, conn))

	// Partitions one by one when one of them is excluded.
	changed.Tables.Exclude = append(changed.Tables.Exclude, "public.hippo_default")
	install(t, conn, Options{Federation: changed, Node: "east"})
	require.Equal(t, []string{`app."Odd name"`, "events", "hippo_east", "hippo_west", "later"}, published(t, conn))

	pgtest.Exec(t, conn, "ALTER PUBLICATION pgfed_demo SET (publish = 'insert', publish_via_partition_root = true)")
	install(t, conn, Options{Federation: changed, Node: "east"})
	plan, err = NewPlan(context.Background(), conn, Options{Federation: changed, Node: "east"})
	require.NoError(t, err)
	require.True(t, plan.Empty(), plan.SQL())
}

type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) tell(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, line)
}

func (l *lines) contain(words string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.list, "\n"), words)
}

// H7: creating a slot waits for every open transaction; init says for whom.
func TestSlotCreationSaysWhomItWaitsFor(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	writer := pgtest.Connect(t, conn.Config().ConnString()+"&application_name=long-writer")
	pgtest.Exec(t, writer, "BEGIN; INSERT INTO accounts VALUES (1, 1)")

	plan, err := NewPlan(context.Background(), conn, Options{Federation: federation(t), Node: "east"})
	require.NoError(t, err)
	var said lines
	done := make(chan error, 1)
	go func() { done <- Install(context.Background(), conn, plan, said.tell) }()
	require.Eventually(t, func() bool { return said.contain("long-writer") }, 20*time.Second, 50*time.Millisecond)
	pgtest.Exec(t, writer, "COMMIT")
	require.NoError(t, <-done)
}

// H4: a table is added only when no open transaction has written to it, and
// writers do not queue behind the wait.
func TestTableJoinsOnlyWhenNoTransactionIsHalf(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	o := Options{Federation: federation(t), Node: "east"}
	install(t, conn, o)
	pgtest.Exec(t, conn, "CREATE TABLE later (id int PRIMARY KEY)")
	writer := pgtest.Connect(t, conn.Config().ConnString()+"&application_name=long-writer")
	pgtest.Exec(t, writer, "BEGIN; INSERT INTO later VALUES (1)")

	plan, err := NewPlan(context.Background(), conn, o)
	require.NoError(t, err)
	var said lines
	done := make(chan error, 1)
	go func() { done <- Install(context.Background(), conn, plan, said.tell) }()
	require.Eventually(t, func() bool { return said.contain("long-writer") }, 20*time.Second, 50*time.Millisecond)
	other := pgtest.Connect(t, conn.Config().ConnString())
	pgtest.Exec(t, other, "SET lock_timeout = '5s'; INSERT INTO later VALUES (2)")
	require.NotContains(t, published(t, other), "later")
	pgtest.Exec(t, writer, "COMMIT")
	require.NoError(t, <-done)
	require.Contains(t, published(t, conn), "later")
}

func TestTwoInstallsDoNotMeet(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	other := pgtest.Connect(t, conn.Config().ConnString())
	pgtest.Exec(t, other, "SELECT pg_advisory_lock(hashtext('pgfed'), hashtext('init'))")
	plan, err := NewPlan(context.Background(), conn, Options{Federation: federation(t), Node: "east"})
	require.NoError(t, err)
	require.ErrorIs(t, Install(context.Background(), conn, plan, func(string) {}), ErrBusy)
}

// The role does everything that applying and capturing do, and little else.
func TestRoleSuffices(t *testing.T) {
	for _, major := range pgtest.Majors() {
		t.Run(pgMajor(major), func(t *testing.T) { testRole(t, pgtest.Start(t, pgtest.Major(major))) })
	}
}

func testRole(t *testing.T, server *pgtest.Server) {
	conn := member(t, server)
	pgtest.Exec(t, conn, `
		CREATE TABLE guarded (id int PRIMARY KEY, who text);
		ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON guarded USING (who = current_user);
		INSERT INTO guarded VALUES (1, 'somebody')`)
	install(t, conn, Options{Federation: federation(t), Node: "east", Role: "replicator"})
	pgtest.Exec(t, conn, `CREATE TABLE hippo_west PARTITION OF hippos (PRIMARY KEY (id)) FOR VALUES IN ('west')`)

	url := strings.Replace(conn.Config().ConnString(), "postgres@", "replicator@", 1)
	role := pgtest.Connect(t, url)
	var user string
	require.NoError(t, role.QueryRow(context.Background(), "SELECT current_user").Scan(&user))
	require.Equal(t, "replicator", user)
	pgtest.Exec(t, role, `
		SET row_security = off;
		SELECT pgfed.session_begin();
		SELECT pg_replication_origin_session_setup('pgfed_demo_west');
		SELECT pg_replication_origin_session_is_setup()`)
	var mode string
	require.NoError(t, role.QueryRow(context.Background(), "SHOW session_replication_role").Scan(&mode))
	require.Equal(t, "replica", mode)
	pgtest.Exec(t, role, `
		BEGIN;
		SELECT pg_replication_origin_xact_setup('0/16B3D8', now());
		INSERT INTO hippo_east VALUES (gen_random_uuid(), 'east');
		INSERT INTO hippo_west VALUES (gen_random_uuid(), 'west');
		INSERT INTO accounts VALUES (7, 1);
		UPDATE accounts SET balance = 2 WHERE id = 7;
		DELETE FROM accounts WHERE id = 7;
		UPDATE guarded SET who = 'x' WHERE id = 1;
		TRUNCATE events;
		INSERT INTO pgfed.checkpoint (origin, history, lsn) VALUES ('west', gen_random_uuid(), '0/1');
		UPDATE pgfed.checkpoint SET lsn = '0/2';
		INSERT INTO pgfed.conflict_history (origin, history, position, ordinal, schema_name, table_name, operation, kind, resolution, key_hash)
			VALUES ('west', gen_random_uuid(), '0/1', 0, 'public', 'accounts', 'UPDATE', 'not_owner', 'skip', 'x');
		COMMIT;
		SELECT pg_replication_origin_progress('pgfed_demo_west', true);
		SELECT pg_replication_origin_session_progress(true);
		SELECT pg_replication_origin_session_reset();
		SELECT pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn();
		UPDATE pgfed.history SET published = start;
		SELECT system_identifier FROM pg_control_system();
		SELECT pg_advisory_lock(1)`)
	var confirmed, flushed *string
	require.NoError(t, conn.QueryRow(context.Background(), "SELECT count(*)::text, max(who) FROM guarded").Scan(&confirmed, &flushed))
	require.Equal(t, "x", *flushed)

	// Capture: a replication connection on the slot.
	replication, err := pgconn.Connect(context.Background(), url+"&replication=database")
	require.NoError(t, err)
	defer replication.Close(context.Background())
	_, err = replication.Exec(context.Background(), "IDENTIFY_SYSTEM").ReadAll()
	require.NoError(t, err)

	for _, forbidden := range []string{
		"SELECT * FROM local_notes",
		"SET session_replication_role = origin",
		"UPDATE pgfed.node SET node = 'west'",
		"CREATE TABLE pgfed.mine ()",
		"SELECT pg_replication_origin_create('mine')",
		"SELECT pg_replication_origin_drop('pgfed_demo_west')",
		"ALTER TABLE accounts ADD COLUMN x int",
	} {
		_, err := role.Exec(context.Background(), forbidden)
		var server *pgconn.PgError
		require.True(t, errors.As(err, &server), forbidden)
		require.Equal(t, "42501", server.Code, forbidden)
	}
}

func TestHistories(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	ctx := context.Background()
	_, err := ReadNode(ctx, conn)
	require.ErrorIs(t, err, ErrNotInstalled)
	install(t, conn, Options{Federation: federation(t), Node: "east"})
	first, err := ReadHistory(ctx, conn)
	require.NoError(t, err)

	require.NoError(t, SetPublished(ctx, conn, first.ID, 0x16B3D8, 0x16B000))
	written := xmin(t, conn)
	require.NoError(t, SetPublished(ctx, conn, first.ID, 0x16B3D8, 0x16B000))
	require.Equal(t, written, xmin(t, conn), "the same positions are not written again")
	have, err := ReadHistory(ctx, conn)
	require.NoError(t, err)
	require.Equal(t, change.LSN(0x16B3D8), have.Published)
	require.Equal(t, change.LSN(0x16B000), have.Confirmed)
	require.ErrorIs(t, SetPublished(ctx, conn, change.NewID(), 1, 1), ErrNoHistory)

	child := change.History{ID: change.NewID(), System: first.System, Timeline: 2, Parent: first.ID, Fork: 0x16B3D8, Start: 0x16B3D8}
	require.NoError(t, AddHistory(ctx, conn, child))
	require.NoError(t, AddHistory(ctx, conn, child))
	have, err = ReadHistory(ctx, conn)
	require.NoError(t, err)
	require.Equal(t, History{History: child}, have)
}

func xmin(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var xmin string
	require.NoError(t, conn.QueryRow(context.Background(), "SELECT xmin::text FROM pgfed.history").Scan(&xmin))
	return xmin
}

func TestRecords(t *testing.T) {
	server := pgtest.Start(t)
	conn := member(t, server)
	ctx := context.Background()
	install(t, conn, Options{Federation: federation(t), Node: "east"})
	none, err := Conflicts(ctx, conn, 10)
	require.NoError(t, err)
	require.Empty(t, none)
	pgtest.Exec(t, conn, `
		INSERT INTO pgfed.conflict_history (origin, history, position, ordinal, schema_name, table_name, operation, kind, resolution, owner, key_hash, commit_time)
		SELECT 'west', '6c3a51f2-6f0e-4a39-9b1c-2f6f0d0a7b11', '0/16B3D8'::pg_lsn + n, n, 'public', 'hippo_east', 'UPDATE', 'not_owner', 'skip', 'east', 'abc' || n, '2026-01-02 03:04:05Z'
		  FROM generate_series(0, 4) AS n;
		INSERT INTO pgfed.parked (origin, history, position, xid, reason, sqlstate, tables)
		VALUES ('west', '6c3a51f2-6f0e-4a39-9b1c-2f6f0d0a7b11', '0/16B3D8', 7, 'column is missing', '42703', '{public.accounts,"app.Odd name"}')`)
	conflicts, err := Conflicts(ctx, conn, 3)
	require.NoError(t, err)
	require.Len(t, conflicts, 3)
	newest := conflicts[0]
	require.Equal(t, []any{"public", "hippo_east", "west", "0/16B3DC", uint64(4), "not_owner", "abc4", "skip", "east", "UPDATE"},
		[]any{newest.Schema, newest.Table, newest.Origin, newest.Position.String(), newest.Ordinal, newest.Kind, newest.KeyHash, newest.Resolution, newest.Owner, newest.Operation})
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), newest.Time)

	parked, err := Parked(ctx, conn, 10)
	require.NoError(t, err)
	require.Len(t, parked, 2)
	require.Equal(t, []string{"app", "Odd name", "public", "accounts"}, []string{parked[0].Schema, parked[0].Table, parked[1].Schema, parked[1].Table})
	require.Equal(t, "42703", parked[0].SQLState)
	counts, err := Count(ctx, conn)
	require.NoError(t, err)
	require.EqualValues(t, 5, counts.Conflicts)
	require.EqualValues(t, 1, counts.Parked)
}
