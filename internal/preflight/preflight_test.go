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
  local_columns: ["*.local_*", "t.kept"]
  insert_only: ["public.log_*"]
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
		{"CREATE TABLE t (id uuid); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE t (id uuid NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key", ""},
		{"CREATE UNLOGGED TABLE t (id uuid PRIMARY KEY)", "warning unlogged public.t"},
		{"CREATE TABLE t (id bigserial PRIMARY KEY)", "warning sequence public.t"},
		{"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", "warning sequence public.t"},
		{"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE t_a PARTITION OF t DEFAULT", "warning sequence public.t"}, // its partitions have none before 17
		{"CREATE TABLE t (id uuid PRIMARY KEY, twice int GENERATED ALWAYS AS (1 + 1) STORED)", ""},
		{"CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE by_t (id uuid, region text, PRIMARY KEY (id, region))", ""},
		{"CREATE TABLE by_t (id uuid PRIMARY KEY, region text); ALTER TABLE by_t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE TABLE local_t (t uuid REFERENCES t)", "warning referenced_from_outside public.t"},
		{"CREATE TABLE local_t (id uuid PRIMARY KEY); CREATE TABLE t (id uuid PRIMARY KEY REFERENCES local_t)", "warning references_outside public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION noop(); ALTER TABLE t ENABLE ALWAYS TRIGGER g", "warning always_trigger public.t"},
		{"CREATE TABLE t (id int, PRIMARY KEY (id)) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE local_1 PARTITION OF t DEFAULT", "warning partitions_apart public.t"},
		{"CREATE TABLE t (id uuid) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t (PRIMARY KEY (id)) DEFAULT", "warning later_partitions public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v text)", "warning local_update public.t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v serial); ALTER TABLE t REPLICA IDENTITY FULL", ""},
		{"CREATE TABLE t (id uuid PRIMARY KEY, local_v text NOT NULL); ALTER TABLE t REPLICA IDENTITY FULL", "warning local_not_null public.t"},
		{"CREATE TABLE t (id uuid, local_v text, PRIMARY KEY (id, local_v)); ALTER TABLE t REPLICA IDENTITY FULL", "warning local_not_null public.t"},
		{"CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t (PRIMARY KEY (id)) FOR VALUES IN (1); CREATE FOREIGN TABLE local_f PARTITION OF t DEFAULT SERVER elsewhere", "warning later_partitions public.t"},
		{"CREATE TABLE t (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE UNLOGGED TABLE local_u PARTITION OF t DEFAULT", "warning partitions_apart public.t"},
		{"CREATE TABLE log_t (id uuid)", ""},
		{"CREATE TABLE log_t (id uuid PRIMARY KEY DEFERRABLE) PARTITION BY LIST (id); CREATE TABLE log_1 PARTITION OF log_t DEFAULT", ""},
		{"CREATE TABLE log_t (id uuid PRIMARY KEY)", "warning insert_only_identity public.log_t"},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE TABLE log_t (t uuid REFERENCES t ON DELETE CASCADE)", "warning insert_only_cascade public.log_t"},
		{"CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE SEQUENCE s; CREATE FOREIGN TABLE f (id uuid) SERVER elsewhere; CREATE TABLE t (id uuid PRIMARY KEY)", ""},
		{"CREATE TABLE t (id uuid PRIMARY KEY); CREATE RULE g AS ON INSERT TO t DO ALSO NOTIFY x; ALTER TABLE t ENABLE REPLICA RULE g", "warning always_trigger public.t"},
		{"SELECT", "warning no_tables tables.include"},
	} {
		begin(t, conn, c.sql)
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
			CREATE TABLE w (n int PRIMARY KEY, twice int GENERATED ALWAYS AS (n + n) VIRTUAL)`)
		install(t, conn, f)
		o := Options{Federation: f, Node: "east"}
		require.Empty(t, wrong(look(t, conn, o)))
		pgtest.Exec(t, conn, "ALTER PUBLICATION pgfed_demo SET (publish_generated_columns = none)") // as after pg_upgrade
		require.Equal(t, []string{"error publication_options pgfed_demo"}, wrong(look(t, conn, o)))
		install(t, conn, f)
		require.Empty(t, wrong(look(t, conn, o)))
	}
}

// begin makes the database empty but for what the SQL makes.
func begin(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	pgtest.Exec(t, conn, `
		DROP SCHEMA public CASCADE; CREATE SCHEMA public;
		DROP FOREIGN DATA WRAPPER IF EXISTS wrapper CASCADE; CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
		CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; `+sql)
}

func TestTableOfAnExtension(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Start(t).Database(t))
	pgtest.Exec(t, conn, "CREATE TABLE t (id uuid PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE t")
	require.Equal(t, []string{"warning not_installed node", "warning extension_table public.t"}, wrong(look(t, conn, Options{Federation: federation(t), Node: "east"})))
}

// TestUnfit: each is an error here, init refuses exactly what preflight names, and
// both accept the rest when it is excluded.
func TestUnfit(t *testing.T) {
	const (
		leaf    = "CREATE TABLE t (id int, r text, PRIMARY KEY (id, r)) PARTITION BY LIST (r); CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); "
		keyless = "CREATE TABLE t (id int, r text) PARTITION BY LIST (r); CREATE TABLE t_a PARTITION OF t (PRIMARY KEY (id)) FOR VALUES IN ('a'); "
	)
	cases := []struct {
		from, to int
		sql      string
		want     []string
	}{
		{0, 0, "CREATE TABLE t (id int)", []string{"no_identity public.t: no primary key"}},
		{0, 0, "CREATE TABLE t (id int UNIQUE)", []string{"no_identity public.t: no primary key"}},
		{0, 0, "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int UNIQUE); CREATE UNIQUE INDEX pair ON t (a, b) INCLUDE (c)", []string{"no_identity public.t: no primary key, but unique index pair would do"}},
		{0, 0, "CREATE TABLE t (a int NOT NULL UNIQUE DEFERRABLE, b int UNIQUE, c int NOT NULL); CREATE UNIQUE INDEX ON t (c) WHERE c > 0; CREATE UNIQUE INDEX ON t ((c + 1))", []string{"no_identity public.t: no primary key:"}},
		{0, 0, "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING", []string{"no_identity public.t: REPLICA IDENTITY NOTHING"}},
		{0, 0, "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)", []string{"deferrable_key public.t: "}},
		{0, 0, "CREATE TABLE t (id int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key; ALTER TABLE t DROP CONSTRAINT t_id_key", []string{"no_identity public.t: the index"}},
		{0, 0, "CREATE TABLE t (id int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id_key'::regclass", []string{"no_identity public.t: the index"}},
		{0, 0, "CREATE TABLE t (); ALTER TABLE t REPLICA IDENTITY FULL", []string{"no_identity public.t: no column"}},
		{0, 17, "CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY)", []string{"generated_identity public.t: column id"}},
		{18, 0, "CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY)", nil},
		{0, 17, "CREATE TABLE t (n int NOT NULL, id int GENERATED ALWAYS AS (n + 1) STORED, PRIMARY KEY (n, id)) PARTITION BY LIST (n)", []string{"generated_identity public.t: column id"}},
		{0, 17, "CREATE TABLE t (id int GENERATED ALWAYS AS (1) STORED); ALTER TABLE t REPLICA IDENTITY FULL", []string{"no_identity public.t: no column"}},
		{18, 0, "CREATE TABLE t (n int, v int GENERATED ALWAYS AS (n + 1) VIRTUAL); ALTER TABLE t REPLICA IDENTITY FULL", []string{"generated_identity public.t: column v"}},
		{0, 0, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id) DEFERRABLE) INHERITS (t)", []string{"deferrable_key public.child: "}},
		{0, 0, keyless + "CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b')", []string{"no_identity public.t_b: no primary key"}},
		{0, 0, "CREATE TABLE t (id int, r text, PRIMARY KEY (id, r) DEFERRABLE) PARTITION BY LIST (r); CREATE TABLE t_a PARTITION OF t DEFAULT",
			[]string{"deferrable_key public.t: ", "deferrable_key public.t_a: "}},
		{0, 0, "CREATE TABLE t (id int, r text, PRIMARY KEY (id, r) DEFERRABLE) PARTITION BY LIST (r); CREATE TABLE local_a PARTITION OF t DEFAULT", nil}, // nobody inherits from a root that is not published
		{0, 0, keyless + "CREATE FOREIGN TABLE f PARTITION OF t FOR VALUES IN ('b') SERVER elsewhere", []string{"foreign_partition public.f: a foreign table: rows that public.t"}},
		{0, 0, leaf + "CREATE UNLOGGED TABLE u PARTITION OF t FOR VALUES IN ('b')", []string{"unlogged_partition public.u: "}},
		{0, 0, "CREATE TABLE by_t (id int PRIMARY KEY)", []string{"owner_column_missing public.by_t: column region"}},
		{0, 0, "CREATE TABLE by_t (id int PRIMARY KEY, region text)", []string{"owner_column_outside_identity public.by_t: column region"}},
		{18, 0, "CREATE TABLE by_t (id int, n text, region text GENERATED ALWAYS AS (n) STORED); ALTER TABLE by_t REPLICA IDENTITY FULL", nil},
		{0, 17, "CREATE TABLE by_t (id int, n text, region text GENERATED ALWAYS AS (n) STORED); ALTER TABLE by_t REPLICA IDENTITY FULL", []string{"owner_column_generated public.by_t: column region"}},
		{0, 0, "CREATE TABLE by_t (id int)", []string{"no_identity public.by_t: ", "owner_column_missing public.by_t: "}},
		{0, 0, "CREATE TABLE t AS SELECT oid AS id, adbin FROM pg_attrdef; ALTER TABLE t ADD PRIMARY KEY (id)", []string{"unreadable_type public.t: column adbin"}},
		{0, 0, "CREATE TABLE t (id int, local_v text DEFAULT '', PRIMARY KEY (id, local_v))", []string{"local_identity public.t: column local_v"}},
		{0, 0, leaf + "ALTER TABLE t ADD kept text", []string{"local_partition public.t_a: column kept"}},
		{0, 0, "CREATE TABLE t (local_v text, local_w text); ALTER TABLE t REPLICA IDENTITY FULL", []string{"no_identity public.t: no column"}},
		{0, 0, "CREATE TABLE t (id int PRIMARY KEY, local_v pg_node_tree)", nil},
		{0, 0, "CREATE VIEW named AS SELECT 1", []string{"not_a_table public.named: it is a view"}},
		{0, 0, "CREATE MATERIALIZED VIEW named AS SELECT 1", []string{"not_a_table public.named: it is a materialized view"}},
		{0, 0, "CREATE FOREIGN TABLE named (id int) SERVER elsewhere", []string{"not_a_table public.named: it is a foreign table"}},
		{0, 0, "CREATE SEQUENCE named", []string{"not_a_table public.named: it is a sequence"}},
		{0, 0, `CREATE TABLE "odd ""na.me*" (id int)`, []string{`no_identity public.odd "na.me*: no primary key`}},
	}
	for _, major := range pgtest.Majors() {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			conn := pgtest.Connect(t, pgtest.Start(t, pgtest.Major(major)).Database(t))
			for _, c := range cases {
				if c.from > major || c.to > 0 && c.to < major {
					continue
				}
				begin(t, conn, c.sql)
				f := federation(t, `include: ["public.*"]`, `include: ["public.*", named]`)
				unfit := refused(t, conn, f, c.want, c.sql)
				f.Tables.Exclude = append(f.Tables.Exclude, unfit...)
				refused(t, conn, f, nil, c.sql)
			}
		})
	}
}

// refused wants preflight and init to name the same, and gives the patterns that
// leave it out.
func refused(t *testing.T, conn *pgx.Conn, f *config.Federation, want []string, sql string) []string {
	t.Helper()
	var have, exclude []string
	for _, finding := range look(t, conn, Options{Federation: f, Node: "east"}) {
		if finding.Severity == Error {
			have = append(have, finding.Code+" "+finding.Subject+": "+finding.Message)
			exclude = append(exclude, finding.Exclude)
			require.Contains(t, finding.Remedy, fmt.Sprintf("tables.exclude: [%q]", finding.Exclude))
		}
	}
	require.Len(t, have, len(want), "%s: %v", sql, have)
	for i := range want {
		require.Contains(t, have[i], want[i], sql)
	}
	_, err := admin.NewPlan(context.Background(), conn, admin.Options{Federation: f, Node: "east"})
	if len(want) == 0 {
		require.NoError(t, err, sql)
		return nil
	}
	var unfit *admin.UnfitError
	require.ErrorAs(t, err, &unfit, sql)
	require.Len(t, unfit.Unfit, len(have), sql)
	for i, u := range unfit.Unfit {
		require.Equal(t, have[i], u.Code+" "+u.Table+": "+u.Reason)
		require.ErrorContains(t, err, u.Table)
	}
	return exclude
}

// What the file names and this database lacks is told, by its name only.
func TestNamedAndAbsent(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Start(t).Database(t))
	pgtest.Exec(t, conn, "CREATE TABLE accounts (id uuid PRIMARY KEY)")
	f := federation(t, `include: ["public.*"]`, `include: [accounts, ledger, "app.*", local_x]`)
	require.Equal(t, []string{"warning not_installed node", "warning absent_table public.ledger"}, wrong(look(t, conn, Options{Federation: f, Node: "east"})))
}

// A table that is published and becomes unfit is told, and init refuses it with
// whatever else is new.
func TestBecomesUnfit(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Start(t).Database(t))
	f := federation(t)
	pgtest.Exec(t, conn, "CREATE TABLE accounts (id uuid PRIMARY KEY); CREATE TABLE log_entries (what text)")
	install(t, conn, f)
	require.Empty(t, wrong(look(t, conn, Options{Federation: f, Node: "east"})))
	pgtest.Exec(t, conn, "ALTER TABLE accounts REPLICA IDENTITY NOTHING; CREATE TABLE later (what text)")
	require.Equal(t, []string{"error unpublished public.later", "error no_identity public.accounts", "error no_identity public.later"}, wrong(look(t, conn, Options{Federation: f, Node: "east"})))
	_, err := admin.NewPlan(context.Background(), conn, admin.Options{Federation: f, Node: "east"})
	require.ErrorContains(t, err, "public.accounts (REPLICA IDENTITY NOTHING")
	require.ErrorContains(t, err, "public.later (no primary key")
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
	server.Exec("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	require.NotContains(t, have, "warning encoding server_encoding")
	bytes := pgtest.Connect(t, server.URL("bytes"))
	require.Contains(t, wrong(look(t, bytes, Options{Federation: federation(t), Node: "east"})), "warning encoding server_encoding")
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

// TestUpserts: which servers refuse them for tables that are only inserted into.
func TestUpserts(t *testing.T) {
	for number, want := range map[int]bool{140019: false, 140020: true, 150014: false, 150015: true, 160010: false, 160011: true, 170006: false, 170007: true, 180000: true} {
		c := &check{server: catalog.Server{Number: number, Major: number / 10000, Minor: number % 10000}, tables: new(catalog.Tables)}
		c.insertOnly(&catalog.Table{Schema: "public", Name: "t", InsertOnly: true})
		require.Equal(t, !want, strings.Join(wrong(c.findings), "") == "warning insert_only_upserts public.t", number)
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
