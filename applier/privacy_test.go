package applier

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

// TestLogsAndMetricsHoldNoValues: whatever goes wrong with a row, neither its
// values and keys nor the database's password are in logs, metrics or what a
// halt says of itself.
func TestLogsAndMetricsHoldNoValues(t *testing.T) {
	const canary = "canary"
	b := newBench(t,
		`CREATE TABLE lost (k text PRIMARY KEY, u text UNIQUE, v text); CREATE TABLE clash (k text PRIMARY KEY, u text UNIQUE, v text);
		CREATE TABLE syntax (k text PRIMARY KEY, v text); CREATE TABLE checked (k text PRIMARY KEY, v text); CREATE TABLE raised (k text PRIMARY KEY, v text);
		CREATE TABLE region (k text PRIMARY KEY, v text)`,
		`CREATE TABLE lost (k text PRIMARY KEY, u text UNIQUE, v text); CREATE TABLE clash (k text PRIMARY KEY, u text UNIQUE, v text);
		CREATE TABLE syntax (k text PRIMARY KEY, v int); CREATE TABLE checked (k text PRIMARY KEY, v text CHECK (v = '')); CREATE TABLE raised (k text PRIMARY KEY, v text);
		CREATE TABLE region (k text PRIMARY KEY, v text);
		CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not %', NEW.v USING ERRCODE = 'check_violation'; END $$;
		CREATE TRIGGER raise BEFORE INSERT ON raised FOR EACH ROW EXECUTE FUNCTION raise(); ALTER TABLE raised ENABLE ALWAYS TRIGGER raise`)
	b.on(b.target, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_parameter_max_length_on_error = -1', current_database()); END $$")
	b.cfg.Rules = b.rules(conflict.Spec{{Tables: []string{"lost"}, Node: "west"}, {Tables: []string{"region"}, Column: "v"}})
	var logged bytes.Buffer
	registry := prometheus.NewRegistry()
	b.cfg.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.cfg.Metrics = NewMetrics(registry)
	said := func() string {
		families, err := registry.Gather()
		require.NoError(t, err)
		require.NotEmpty(t, families)
		return fmt.Sprint(families)
	}

	b.replicate("INSERT INTO lost VALUES ('canary', 'canary', 'canary')") // refused: its owner is another
	require.Len(t, b.conflicts(), 1)
	b.on(b.target, "INSERT INTO clash VALUES ('canary-here', 'canary', 'canary')")
	for _, c := range []struct{ sql, code, repair string }{
		{"INSERT INTO clash VALUES ('canary', 'canary', 'canary')", CodeConflict, "DELETE FROM clash"},
		{"INSERT INTO syntax VALUES ('canary', 'canary')", CodeApplyError, "ALTER TABLE syntax ALTER v TYPE text"},
		{"INSERT INTO checked VALUES ('canary', 'canary')", CodeApplyError, "ALTER TABLE checked DROP CONSTRAINT checked_v_check"},
		{"INSERT INTO raised VALUES ('canary', 'canary')", CodeApplyError, "DROP TRIGGER raise ON raised"},
		{"INSERT INTO region VALUES ('canary', 'canary'); UPDATE region SET k = 'canary-2'", CodeOwnerUnknown, ""},
	} {
		list := b.exec(c.sql).capture()
		halt := b.halts(b.run(list), c.code)
		require.NotContains(t, halt.Error()+halt.Reason+halt.Remedy+halt.Table, canary, c.sql)
		if c.repair == "" {
			// Kept whole instead, and said so.
			b.cfg.OnError = Park
			c.repair = "SELECT"
		}
		b.on(b.target, c.repair)
		b.open()
		require.NoError(t, b.run(list), c.sql)
	}
	require.Equal(t, []string{"1"}, b.rows(b.target, "SELECT count(*) FROM pgfed.parked"))
	require.Contains(t, logged.String(), "parked a transaction")
	require.NotContains(t, logged.String(), canary)
	require.Contains(t, said(), "pgfed_conflicts_total")
	require.NotContains(t, said(), canary)

	for _, address := range []string{"postgres://u:canary@127.0.0.1:1/db", "host=127.0.0.1 port=1 user=u password=canary", "postgres://u:canary@127.0.0.1:x/db"} {
		cfg := b.cfg
		cfg.ConnString = address
		_, err := Open(b.ctx, cfg)
		require.Error(t, err)
		require.NotContains(t, err.Error(), canary)
	}
	require.NotContains(t, logged.String(), canary)
}
