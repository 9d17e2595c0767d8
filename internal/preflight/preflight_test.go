package preflight

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/pgtest"
	"github.com/pgfed/pgfed/internal/report"
)

const file = `
federation: demo
nodes:
  east: {url: "nats://127.0.0.1:4222"}
  west: {url: "nats://127.0.0.1:4224"}
tables:
  include: ["public.*"]
  exclude: ["public.local_*"]
  local_columns: ["*.local_*"]
ownership:
  - {tables: ["public.by_*"], owner: {column: region}}
`

func federation(t *testing.T, edits ...string) *config.Federation {
	t.Helper()
	f, err := config.Parse([]byte(strings.NewReplacer(edits...).Replace(file)))
	require.NoError(t, err)
	return f
}

func install(t *testing.T, conn *pgx.Conn, f *config.Federation) {
	t.Helper()
	plan, err := admin.NewPlan(context.Background(), conn, admin.Options{Federation: f, Node: "east"})
	require.NoError(t, err)
	require.NoError(t, admin.Install(context.Background(), conn, plan, func(string) {}))
}

func look(t *testing.T, conn *pgx.Conn, o Options) Findings {
	t.Helper()
	findings, err := Database(context.Background(), conn, o)
	require.NoError(t, err)
	for _, f := range findings {
		require.NotEmpty(t, f.Code)
		require.NotEmpty(t, f.Subject)
		require.NotEmpty(t, f.Message, f.Code)
		if f.Severity != OK {
			require.NotEmpty(t, f.Remedy, f.Code)
		}
	}
	return findings
}

// wrong lists what is not ok, as "severity code subject".
func wrong(findings Findings) []string {
	list := []string{}
	for _, f := range findings {
		if f.Severity != OK {
			list = append(list, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Subject))
		}
	}
	return list
}

func TestHealthyMember(t *testing.T) {
	for _, major := range pgtest.Majors() {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			server := pgtest.Start(t, pgtest.Major(major))
			conn := pgtest.Connect(t, server.Database(t))
			pgtest.Exec(t, conn, "CREATE TABLE accounts (id uuid PRIMARY KEY)")
			o := Options{Federation: federation(t), Node: "east"}
			require.Equal(t, []string{"warning not_installed node"}, wrong(look(t, conn, o)))
			install(t, conn, o.Federation)
			require.Empty(t, wrong(look(t, conn, o)))
		})
	}
}

func TestTables(t *testing.T) {
	server := pgtest.Start(t)
	conn := pgtest.Connect(t, server.Database(t))
	for _, c := range []struct{ sql, want string }{
		{"CREATE TABLE t (id uuid)", "warning no_identity public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY DEFERRABLE)", "warning deferrable_key public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING", "warning no_identity public.t"},
		{"CREATE TABLE t (id uuid); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE t (id uuid NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key", ""},
		{"CREATE UNLOGGED TABLE t (id uuid PRIMARY KEY)", "warning unlogged public.t"},
		{"CREATE TABLE t (id bigserial PRIMARY KEY)", "warning sequence public.t"},
		{"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", "warning sequence public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY, twice int GENERATED ALWAYS AS (1 + 1) STORED)", ""},
		{"CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY)", "error generated_identity public.t"},
		{"CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE by_t (id uuid PRIMARY KEY, region text)", "error owner_column_outside_identity public.by_t"},
		{"CREATE TABLE by_t (id uuid, region text, PRIMARY KEY (id, region))", ""},
		{"CREATE TABLE by_t (id uuid PRIMARY KEY, region text); ALTER TABLE by_t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE by_t (id uuid PRIMARY KEY)", "error owner_column_missing public.by_t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE TABLE local_t (t uuid REFERENCES t)", "warning referenced_from_outside public.t"},
		{"CREATE TABLE local_t (id uuid PRIMARY KEY); CREATE TABLE t (id uuid PRIMARY KEY REFERENCES local_t)", "warning references_outside public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION noop(); ALTER TABLE t ENABLE ALWAYS TRIGGER g", "warning always_trigger public.t"},
		{"CREATE TABLE t (id int, PRIMARY KEY (id)) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE local_1 PARTITION OF t DEFAULT", "warning partitions_apart public.t"},
		{"CREATE TABLE t (id uuid) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t (PRIMARY KEY (id)) DEFAULT", ""},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v text)", "warning local_update public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v serial); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v text NOT NULL); ALTER TABLE t REPLICA IDENTITY FULL", "warning local_not_null public.t"},
		{"CREATE TABLE t (id uuid, local_v text, PRIMARY KEY (id, local_v)); ALTER TABLE t REPLICA IDENTITY FULL", "warning local_not_null public.t"},
		{"CREATE TABLE t (id uuid, local_v text DEFAULT '', PRIMARY KEY (id, local_v))", "error local_identity public.t, warning local_update public.t"},
		{"SELECT", "warning no_tables tables.include"},
	} {
		pgtest.Exec(t, conn, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "+c.sql)
		want := []string{"warning not_installed node"}
		if c.want != "" {
			want = append(want, strings.Split(c.want, ", ")...)
		}
		require.Equal(t, want, wrong(look(t, conn, Options{Federation: federation(t), Node: "east"})), c.sql)
	}
}

// TestGeneratedFrom18: servers that send stored generated columns.
func TestGeneratedFrom18(t *testing.T) {
	for _, major := range pgtest.Majors() {
		if major < 18 {
			continue
		}
		server := pgtest.Start(t, pgtest.Major(major))
		conn := pgtest.Connect(t, server.Database(t))
		f := federation(t)
		pgtest.Exec(t, conn, `CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY);
			CREATE TABLE u (n int, twice int GENERATED ALWAYS AS (n + n) STORED); ALTER TABLE u REPLICA IDENTITY FULL;
			CREATE TABLE v (n int, twice int GENERATED ALWAYS AS (n + n) VIRTUAL); ALTER TABLE v REPLICA IDENTITY FULL;
			CREATE TABLE w (n int PRIMARY KEY, twice int GENERATED ALWAYS AS (n + n) VIRTUAL)`)
		install(t, conn, f)
		o := Options{Federation: f, Node: "east"}
		require.Equal(t, []string{"error generated_identity public.v"}, wrong(look(t, conn, o)))
		pgtest.Exec(t, conn, "DROP TABLE v; ALTER PUBLICATION pgfed_demo SET (publish_generated_columns = none)") // as after pg_upgrade
		require.Equal(t, []string{"error publication_options pgfed_demo"}, wrong(look(t, conn, o)))
		install(t, conn, f)
		require.Empty(t, wrong(look(t, conn, o)))
	}
}

func TestObjects(t *testing.T) {
	server := pgtest.Start(t)
	conn := pgtest.Connect(t, server.Database(t))
	f := federation(t)
	pgtest.Exec(t, conn, "CREATE TABLE accounts (id uuid PRIMARY KEY)")
	install(t, conn, f)
	for _, c := range []struct{ do, undo, want string }{
		{"CREATE TABLE later (id uuid PRIMARY KEY)", "DROP TABLE later", "error unpublished public.later"},
		{"CREATE TABLE local_x (id uuid PRIMARY KEY); ALTER PUBLICATION pgfed_demo ADD TABLE local_x", "DROP TABLE local_x", "error published_unselected public.local_x"},
		{"ALTER PUBLICATION pgfed_demo SET (publish = 'insert')", "ALTER PUBLICATION pgfed_demo SET (publish = 'insert, update, delete, truncate')", "error publication_options pgfed_demo"},
		{"ALTER PUBLICATION pgfed_demo SET TABLE accounts WHERE (id IS NOT NULL)", "ALTER PUBLICATION pgfed_demo SET TABLE accounts", "error publication_filtered pgfed_demo"},
		{"UPDATE pgfed.node SET node = 'west'", "UPDATE pgfed.node SET node = 'east'", "error wrong_node node"},
		{"CREATE ROLE half LOGIN REPLICATION", "DROP ROLE half", "error role_privileges half"},
		{"SELECT", "SELECT", "error role_missing half"},
		{"SELECT pg_replication_origin_create('elsewhere')", "SELECT pg_replication_origin_drop('elsewhere')", "error foreign_origins elsewhere"},
		{"CREATE TABLE pgfed.kept AS TABLE pgfed.history; DELETE FROM pgfed.history", "INSERT INTO pgfed.history OVERRIDING SYSTEM VALUE TABLE pgfed.kept", "error init_unfinished node"},
		{"SELECT pg_drop_replication_slot('pgfed_demo_east')", "SELECT pg_create_logical_replication_slot('pgfed_demo_east', 'test_decoding')", "error slot_missing pgfed_demo_east"},
		{"SELECT", "SELECT pg_drop_replication_slot('pgfed_demo_east')", "error slot_foreign pgfed_demo_east"},
		{"DROP PUBLICATION pgfed_demo", "CREATE PUBLICATION pgfed_demo FOR ALL TABLES", "error publication_missing pgfed_demo"},
		{"SELECT", "SELECT", "error publication_foreign pgfed_demo"},
	} {
		pgtest.Exec(t, conn, c.do)
		o := Options{Federation: f, Node: "east"}
		if strings.Contains(c.want, "role_") {
			o.Role = "half"
		}
		if strings.Contains(c.want, "foreign_origins") {
			no := false
			o.Federation = federation(t)
			o.Federation.Capture.NativeSubscriptions = &no
		}
		require.Contains(t, wrong(look(t, conn, o)), c.want, c.do)
		require.True(t, look(t, conn, o).Failed())
		pgtest.Exec(t, conn, c.undo)
	}
}

func TestServer(t *testing.T) {
	server := pgtest.Start(t,
		pgtest.Setting("wal_level", "replica"), pgtest.Setting("max_replication_slots", "0"), pgtest.Setting("max_wal_senders", "0"),
		pgtest.Setting("max_slot_wal_keep_size", "512MB"), pgtest.Setting("wal_sender_timeout", "2s"), pgtest.Setting("fsync", "off"))
	conn := server.Conn(t)
	have := wrong(look(t, conn, Options{Federation: federation(t), Node: "east"}))
	for _, want := range []string{
		"error wal_level wal_level", "error fsync fsync", "error slot_wal_limit max_slot_wal_keep_size", "warning wal_sender_timeout wal_sender_timeout",
		"error slots max_replication_slots", "error senders max_wal_senders",
	} {
		require.Contains(t, have, want)
	}
	f := federation(t, `4222"}`, `4222", standbys: [east-b]}`)
	require.Contains(t, wrong(look(t, conn, Options{Federation: f, Node: "east"})), "warning standby_absent east-b")
	f = federation(t, "nats://127.0.0.1:4222", "tls://east.example.com")
	require.Contains(t, wrong(look(t, conn, Options{Federation: f, Node: "east"})), "warning no_keys nodes")
}

// TestVersions: what only other releases than the installed ones do.
func TestVersions(t *testing.T) {
	for number, want := range map[int]string{
		130022: "error server_version server version", 140018: "warning server_version server version", 140019: "",
		150013: "warning server_version server version", 150014: "", 160009: "warning server_version server version", 160010: "",
		170005: "warning server_version server version", 170006: "", 180000: "", 190000: "warning server_version server version",
	} {
		c := &check{server: catalog.Server{Number: number, Major: number / 10000, Minor: number % 10000}}
		c.version()
		require.Len(t, c.findings, 1)
		require.Equal(t, want, strings.Join(wrong(c.findings), ""), number)
	}
}

func TestSlotVerdicts(t *testing.T) {
	for _, c := range []struct {
		want   string
		major  int
		change func(*catalog.Slot)
	}{
		{"", 15, func(*catalog.Slot) {}},
		{"", 17, func(s *catalog.Slot) { s.Failover = true }},
		{"", 17, func(s *catalog.Slot) { s.Failover, s.Synced = true, true }}, // promoted: the standby's copy is used
		{"warning slot_failover slot", 17, func(*catalog.Slot) {}},
		{"error slot_at_risk slot", 15, func(s *catalog.Slot) { s.WALStatus = "unreserved" }},
		{"error slot_invalidated slot", 17, func(s *catalog.Slot) { s.Failover, s.Invalidation = true, "idle_timeout" }},
		{"error slot_invalidated slot", 15, func(s *catalog.Slot) { s.WALStatus, s.Invalidation = "lost", "wal_removed" }},
		{"error slot_foreign slot", 15, func(s *catalog.Slot) { s.Type, s.Plugin = "physical", "" }},
		{"error slot_missing slot", 15, func(s *catalog.Slot) { *s = catalog.Slot{} }},
	} {
		slot := catalog.Slot{Exists: true, Type: "logical", Plugin: "pgoutput", WALStatus: "reserved"}
		c.change(&slot)
		k := &check{server: catalog.Server{Major: c.major}, installed: true}
		k.judgeSlot("slot", slot)
		require.Len(t, k.findings, 1)
		require.Equal(t, c.want, strings.Join(wrong(k.findings), ""))
		if strings.Contains(c.want, "missing") || strings.Contains(c.want, "invalidated") {
			require.Contains(t, k.findings[0].Remedy, "start afresh")
		}
	}
}

func TestServerLimitsOf18(t *testing.T) {
	found := false
	for _, major := range pgtest.Majors() {
		if major < 18 {
			continue
		}
		found = true
		server := pgtest.Start(t, pgtest.Major(major), pgtest.Setting("idle_replication_slot_timeout", "1h"), pgtest.Setting("max_active_replication_origins", "0"))
		have := wrong(look(t, server.Conn(t), Options{Federation: federation(t), Node: "east"}))
		require.Contains(t, have, "warning idle_slot_timeout idle_replication_slot_timeout")
		require.Contains(t, have, "error origins max_active_replication_origins")
	}
	if !found {
		t.Log("no Postgres 18 on this machine: hack/postgres.sh 18 brings one")
	}
}

func TestReplicator(t *testing.T) {
	f := federation(t)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	peer := report.Node{Name: "west", Federation: "demo", Digest: f.Digest(), Time: now}
	status := report.Status{
		Node:  report.Node{Name: "east", Federation: "demo", Digest: f.Digest(), Time: now, Stream: report.Stream{Name: "PGFED_demo_east", Generation: change.NewID()}},
		Peers: []report.Peer{{Name: "west", URL: f.Nodes["west"].URL, Heard: now, Reachable: true, Last: &peer}},
	}
	check := func() []string { return wrong(Replicator(f, "east", status, now, now.Add(time.Second))) }
	require.Empty(t, check())

	peer.Time = now.Add(-5 * time.Second)
	require.Equal(t, []string{"warning clock west"}, check())
	peer.Digest = "other"
	require.Equal(t, []string{"error file_differs west", "warning clock west"}, check())
	status.Peers[0].Reachable, status.Peers[0].Error = false, "dial: refused"
	require.Equal(t, []string{"error peer_unreachable west"}, check())
	status.Node = report.Node{Name: "north", Federation: "demo", Digest: "other", Time: now.Add(time.Minute)}
	require.Equal(t, []string{"error wrong_server replicator", "warning file_differs replicator", "error broker broker", "warning clock east", "error peer_unreachable west"}, check())
}
