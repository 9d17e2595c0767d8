package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
	"github.com/pgfed/pgfed/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

type result struct {
	code      int
	out, errs string
}

func replctl(t *testing.T, args ...string) result {
	t.Helper()
	return replctlIn(t, strings.NewReader(""), args...)
}

func replctlIn(t *testing.T, in io.Reader, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), args, in, &out, &errs)
	return result{code, out.String(), errs.String()}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func id(n byte) change.ID { return change.ID{15: n, 0: n, 6: 0x40, 8: 0x80} }

func node(name string, n byte) report.Node {
	history := change.History{ID: id(n), System: 7000000000000000000 + uint64(n), Timeline: 1, Start: 0x1000000}
	return report.Node{
		Format: 1, Federation: "hippo", Name: name, Version: "v0.1.0", Time: noon, Started: noon.Add(-time.Hour), Role: "active", Rules: 1, Digest: "d1",
		Health:   report.Health{OK: true, Reasons: []report.Reason{}},
		Postgres: report.Postgres{Version: "15.18", System: history.System, Timeline: 1, Flushed: 0x5000100},
		Slot:     report.Slot{Name: "pgfed_hippo_" + name, Active: true, Confirmed: 0x4000000, Restart: 0x3000000, RetainedBytes: 32 << 20, WALStatus: "reserved"},
		Stream: report.Stream{
			Name: "PGFED_hippo_" + name, History: history, Generation: id(n + 100), Published: 0x5000000, Captured: 0x5000000,
			Sequence: 42, Messages: 40, Bytes: 5 << 20, MaxBytes: 10 << 30, CommitTime: noon,
		},
		Counts: report.Counts{Conflicts: 1},
	}
}

func inbound(origin string, n byte, lsn change.LSN) report.Inbound {
	return report.Inbound{
		Origin: origin, State: report.Applying, Applied: change.Position{History: id(n), LSN: lsn}, Acknowledged: lsn,
		CommitTime: noon.Add(-time.Duration(0x5000000-lsn) * time.Microsecond), AppliedAt: noon, Transactions: 10, Changes: 20,
	}
}

// fixture is what a replicator says in three situations.
func fixture(situation string) report.Status {
	east, central, west := node("east", 1), node("central", 2), node("west", 3)
	east.Inbound = []report.Inbound{inbound("central", 2, 0x5000000), inbound("west", 3, 0x4F00000)}
	central.Inbound = []report.Inbound{inbound("east", 1, 0x5000000), inbound("west", 3, 0x5000000)}
	west.Inbound = []report.Inbound{inbound("east", 1, 0x4000000), inbound("central", 2, 0x5000000)}
	s := report.Status{Node: east, Peers: []report.Peer{
		{Name: "central", URL: "tls://central.example.com:443", Heard: noon, Reachable: true, Last: &central},
		{Name: "west", URL: "wss://west.example.com", Heard: noon, Reachable: true, Last: &west},
	}}
	switch situation {
	case "halted":
		reason := report.Reason{
			Code: "halted", Origin: "west", Position: "03000000:0/4F00000", Table: "public.accounts",
			Message: "column region is missing here", Remedy: "add the column; applying resumes by itself",
		}
		s.Node.Inbound[1].State, s.Node.Inbound[1].Halt = report.Halted, &reason
		s.Node.Health = report.Health{Reasons: []report.Reason{reason}}
	case "alone":
		s.Peers[0].Reachable, s.Peers[0].Heard, s.Peers[0].Error = false, noon.Add(-3*time.Minute), "dial tcp: i/o timeout"
		s.Peers[1] = report.Peer{Name: "west", URL: "wss://west.example.com", Error: "x509: certificate signed by unknown authority"}
	}
	return s
}

func serve(t *testing.T, situation string) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(path string, document any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(document) })
	}
	answer("/v1/status", fixture(situation))
	answer("/v1/conflicts", []report.Conflict{{
		Schema: "public", Table: "hippo_east", Origin: "west", Position: 0x16B3D8, Ordinal: 3, Kind: "not_owner", KeyHash: "0a1b2c3d", Resolution: "skip",
		Time: noon, Operation: "UPDATE", Owner: "east", History: id(3), Recorded: noon.Add(time.Second),
	}})
	answer("/v1/parked", []report.Parked{{
		Schema: "public", Table: "accounts", Origin: "west", Position: 0x16B3D8, Reason: "value too long for type character varying(3)", SQLState: "22001", Time: noon, History: id(3),
	}})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestOutput(t *testing.T) {
	for situation, code := range map[string]int{"healthy": 0, "halted": 1, "alone": 1} {
		url := serve(t, situation)
		for _, command := range []string{"status", "lag", "slots", "streams"} {
			for _, format := range []string{"table", "json", "yaml"} {
				t.Run(strings.Join([]string{command, situation, format}, "_"), func(t *testing.T) {
					r := replctl(t, command, "--server", url, "-o", format)
					want := code
					if situation == "halted" && (command == "slots" || command == "streams") {
						want = 0 // neither is what is wrong
					}
					require.Equal(t, want, r.code, r.errs)
					require.Empty(t, r.errs)
					golden(t, command+"_"+situation+"."+strings.Replace(format, "table", "txt", 1), r.out)
				})
			}
		}
	}
	url := serve(t, "healthy")
	for _, command := range []string{"conflicts", "parked"} {
		for _, format := range []string{"table", "json", "yaml"} {
			r := replctl(t, command, "list", "--server", url, "-o", format)
			require.Equal(t, 0, r.code, r.errs)
			golden(t, command+"."+strings.Replace(format, "table", "txt", 1), r.out)
			require.Equal(t, r.out, replctl(t, command, "--server", url, "-o", format).out)
		}
	}
}

// YAML says what JSON says.
func TestFormatsAgree(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		var fromJSON, fromYAML any
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &fromJSON))
		text, err = os.ReadFile(strings.TrimSuffix(file, ".json") + ".yaml")
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &fromYAML))
		require.Equal(t, fromJSON, fromYAML, file)
	}
}

func TestStatusNamesHealthOfEveryNode(t *testing.T) {
	var document struct {
		Nodes []struct {
			Name   string
			Health struct {
				OK      *bool
				Reasons []map[string]string
			}
		}
	}
	r := replctl(t, "status", "-o", "json", "--server", serve(t, "halted"))
	require.NoError(t, json.Unmarshal([]byte(r.out), &document))
	require.Len(t, document.Nodes, 3)
	require.False(t, *document.Nodes[0].Health.OK)
	reason := document.Nodes[0].Health.Reasons[0]
	require.Equal(t, []string{"west", "03000000:0/4F00000", "public.accounts"}, []string{reason["origin"], reason["position"], reason["table"]})
	require.True(t, *document.Nodes[1].Health.OK)
	require.NotNil(t, document.Nodes[1].Health.Reasons)
}

func TestLagOfWhatIsNotAppliedYet(t *testing.T) {
	origin, peer := memberStatus(node("east", 1)), memberStatus(node("west", 3))
	peer.Inbound = []report.Inbound{{Origin: "east", State: report.Connecting}}
	cell := measureCell(origin, peer)
	require.Equal(t, int64(0x4000000), *cell.Bytes)
	require.Nil(t, cell.Seconds)
	peer.Inbound[0].Applied = change.Position{History: id(9), LSN: 0x5000000}
	cell = measureCell(origin, peer)
	require.Nil(t, cell.Bytes)
	require.Equal(t, "it applies another history of east", cell.Reason)
}

// When nothing answers, commands still print, in every format, in time.
func TestSilentReplicator(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
	require.NoError(t, err)
	defer listener.Close()
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())

	for _, address := range []string{listener.Addr().String(), refused.Addr().String()} {
		for _, command := range []string{"status", "lag", "slots", "streams", "conflicts", "parked"} {
			started := time.Now()
			r := replctl(t, command, "--server", "http://"+address, "--timeout", "300ms", "-o", "json", "--config", federationFile(t), "--node", "east")
			require.Less(t, time.Since(started), 5*time.Second)
			require.Equal(t, 1, r.code, command)
			require.True(t, json.Valid([]byte(r.out)), "%s: %s", command, r.out)
			r = replctl(t, command, "--server", "http://"+address, "--timeout", "300ms", "--config", "absent.yaml")
			require.Equal(t, 1, r.code, command)
			require.NotEmpty(t, r.out)
		}
	}
	require.Less(t, (&session{}).defaultTimeout(t), 10*time.Second)
}

func (s *session) defaultTimeout(t *testing.T) time.Duration {
	t.Helper()
	newRoot(s)
	return s.timeout
}

func TestUsage(t *testing.T) {
	file := federationFile(t)
	for _, args := range [][]string{
		{"bogus"},
		{"status", "extra"},
		{"conflicts", "bogus"},
		{"conflicts", "--limit", "0"},
		{"status", "--bogus"},
		{"status", "-o", "xml"},
		{"status", "--timeout", "0s"},
		{"status", "--server", "127.0.0.1:9187"},
		{"lag", "--interval", "0s"},
		{"preflight", "--config", "absent.yaml", "--node", "east"},
		{"preflight", "--config", file},
		{"preflight", "--config", file, "--node", "north"},
		{"init", "--config", file, "--node", "east", "--postgres", "postgres://%zz"},
	} {
		r := replctl(t, args...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.errs)
		require.NotEmpty(t, r.errs)
	}
	require.Equal(t, 0, replctl(t, "--help").code)
	require.Equal(t, 0, replctl(t, "--version").code)
	require.Equal(t, 0, replctl(t, "version", "-o", "json").code)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		r := replctl(t, "completion", shell)
		require.Equal(t, 0, r.code)
		require.Contains(t, r.out, "replctl")
	}
}

func TestEveryCommandAndFlagIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	require.NoError(t, err)
	root := newRoot(&session{})
	for _, command := range root.Commands() {
		if command.Name() == "demo" {
			continue // README
		}
		require.Contains(t, string(text), "`"+command.Name(), command.Name())
		command.LocalFlags().VisitAll(func(flag *pflag.Flag) { require.Contains(t, string(text), "--"+flag.Name, command.Name()) })
		command.PersistentFlags().VisitAll(func(flag *pflag.Flag) { require.Contains(t, string(text), "--"+flag.Name, command.Name()) })
	}
	root.PersistentFlags().VisitAll(func(flag *pflag.Flag) { require.Contains(t, string(text), "--"+flag.Name) })
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PGFED_SERVER", serve(t, "healthy"))
	require.Equal(t, 0, replctl(t, "status").code)
	require.Equal(t, 1, replctl(t, "status", "--server", "http://127.0.0.1:1").code, "a flag wins")

	preflight := []string{"preflight", "--config", federationFile(t), "--node", "east"}
	t.Setenv("PGFED_POSTGRES_URL", "host=127.0.0.1 port=1")
	t.Setenv("PGFED_POSTGRES_FILE", "absent")
	require.Contains(t, replctl(t, preflight...).errs, "given twice")
	require.Contains(t, replctl(t, append(preflight, "--postgres-file", "absent-too")...).errs, "absent-too", "and silences both variables")
	require.Contains(t, replctl(t, append(preflight, "--postgres", "postgres://%zz")...).errs, "read the database's address")

	t.Setenv("PGFED_TIMEOUT", "soon")
	require.Equal(t, 2, replctl(t, "status").code)
}

func TestWatchPrintsUntilInterrupted(t *testing.T) {
	url := serve(t, "healthy")
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, []string{"lag", "--watch", "--interval", "10ms", "--server", url}, strings.NewReader(""), writer, io.Discard)
		_ = writer.Close()
	}()
	var seen bytes.Buffer
	buffer := make([]byte, 4096)
	for strings.Count(seen.String(), "FROM") < 3 {
		n, err := reader.Read(buffer)
		require.NoError(t, err)
		seen.Write(buffer[:n])
	}
	cancel()
	_, _ = io.Copy(io.Discard, reader)
	<-code
}

func federationFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgfed.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
federation: hippo
nodes:
  east: {url: "nats://127.0.0.1:4222"}
  central: {url: "nats://127.0.0.1:4223"}
  west: {url: "nats://127.0.0.1:4224"}
tables: {include: ["public.*"]}
`), 0o644))
	return path
}

func TestInitAndPreflight(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "CREATE TABLE accounts (id int PRIMARY KEY, region text)")
	require.NoError(t, err)
	common := []string{"--config", federationFile(t), "--node", "east", "--postgres", url}
	run := func(args ...string) result { return replctl(t, append(args, common...)...) }

	r := run("preflight")
	require.Equal(t, 0, r.code, r.out+r.errs)
	require.Contains(t, r.out, "not_installed")
	require.Contains(t, r.out, "0 errors, 1 warning\n")

	r = run("init", "--dry-run", "--role", "replicator")
	require.Equal(t, 0, r.code, r.errs)
	schema, rest, found := strings.Cut(r.out, "INSERT INTO pgfed.node")
	require.True(t, found)
	require.Contains(t, schema, "CREATE TABLE IF NOT EXISTS pgfed.checkpoint")
	rest = strings.Replace(rest, "'pgoutput', false, false, true)", "'pgoutput', false, false)", 1) // 17: failover
	golden(t, "init_dry_run.sql", "INSERT INTO pgfed.node"+rest)
	require.Contains(t, run("preflight").out, "not_installed", "a dry run changes nothing")

	r = replctlIn(t, strings.NewReader("n\n"), append([]string{"init"}, common...)...)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errs, "nothing was changed")
	require.Equal(t, 2, run("init").code, "nobody answers")
	require.Contains(t, run("preflight").out, "not_installed")

	r = run("init", "--yes", "--role", "replicator")
	require.Equal(t, 0, r.code, r.errs)
	require.Contains(t, r.errs, "6/6")
	r = run("init", "--yes", "--role", "replicator", "-o", "json")
	require.Equal(t, 0, r.code, r.errs)
	require.JSONEq(t, `{"node": "east", "changed": false, "steps": [], "warnings": []}`, r.out)

	r = run("preflight", "--role", "replicator", "-o", "json")
	require.Equal(t, 0, r.code, r.out+r.errs)
	require.NotContains(t, r.out, "not_installed")

	for _, command := range []string{"conflicts", "parked"} { // the replicator is down, the database answers
		r = run(command, "list", "-o", "json", "--server", "http://127.0.0.1:1")
		require.Equal(t, 0, r.code, r.errs)
		require.JSONEq(t, "[]", r.out)
	}

	_, err = conn.Exec(t.Context(), "SELECT pg_drop_replication_slot('pgfed_hippo_east')")
	require.NoError(t, err)
	r = run("init", "--yes")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errs, "the slot was lost")
	require.Equal(t, 1, run("preflight").code)

	server.Stop()
	started := time.Now()
	r = run("preflight", "-o", "json", "--timeout", "2s")
	require.Equal(t, 1, r.code)
	require.True(t, json.Valid([]byte(r.out)))
	require.Less(t, time.Since(started), 5*time.Second)
	require.Equal(t, 1, run("init", "--yes", "--timeout", "2s").code)
}

// Forty tables that cannot be federated are one readable page, with a section of
// the file at its end that init accepts when it is pasted.
func TestUnfitTablesAreRefused(t *testing.T) {
	url := pgtest.Start(t).Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `CREATE TABLE accounts (id int PRIMARY KEY); CREATE VIEW named AS SELECT 1; CREATE TABLE "Odd ""one"" *" (id int);
		CREATE TABLE late (id int PRIMARY KEY DEFERRABLE); CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING;
		DO $$ BEGIN FOR i IN 10..45 LOOP EXECUTE format('CREATE TABLE log_%s (what text)', i); END LOOP; END $$`)
	require.NoError(t, err)
	text, err := os.ReadFile(federationFile(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "pgfed.yaml")
	before, tables, found := strings.Cut(string(text), "tables: ")
	require.True(t, found)
	require.NoError(t, os.WriteFile(path, []byte(before+"tables: "+strings.Replace(tables, `"public.*"`, `"public.*", named`, 1)), 0o644))
	run := func(args ...string) result {
		return replctl(t, append(args, "--config", path, "--node", "east", "--postgres", url)...)
	}

	r := run("init", "--yes")
	require.Equal(t, 1, r.code)
	require.Equal(t, "replctl: init east: the federation file selects what cannot be federated as it is (40 reasons); nothing was changed\n", r.errs)
	golden(t, "init_unfit.txt", r.out)
	require.Equal(t, r, run("init", "--dry-run"), "a dry run says the same")

	var document struct {
		Changed bool
		Steps   []any
		Unfit   []struct{ Table, Code, Reason, Remedy, Exclude string }
	}
	r = run("init", "--yes", "-o", "json")
	require.Equal(t, 1, r.code)
	require.NoError(t, json.Unmarshal([]byte(r.out), &document))
	require.False(t, document.Changed)
	require.Empty(t, document.Steps)
	require.Len(t, document.Unfit, 40)
	require.Contains(t, document.Unfit[0].Remedy, `ALTER TABLE "public"."Odd ""one"" *" REPLICA IDENTITY FULL`)

	r = run("preflight")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "not_installed", "nothing was installed")
	require.Equal(t, 40, strings.Count(r.out, "ERROR"))
	_, section, found := strings.Cut(r.out, "\ntables:\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n\n")

	require.NoError(t, os.WriteFile(path, []byte(before+"tables:\n"+section+"\n"), 0o644))
	r = run("init", "--yes")
	require.Equal(t, 0, r.code, r.out+r.errs)
	r = run("preflight")
	require.Equal(t, 0, r.code, r.out+r.errs)
	require.NotContains(t, r.out, "tables:\n")
}
