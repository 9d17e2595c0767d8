package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

const federation = `
federation: hippo
nodes:
  east: {url: "nats://127.0.0.1:4222"}
  west: {url: "nats://127.0.0.1:4224"}
tables: {include: ["public.*"]}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// prepare is a command line up to the point where the replicator would start.
func prepare(t *testing.T, args ...string) (s *settings, code int, errs string) {
	t.Helper()
	var out bytes.Buffer
	s = &settings{errs: &out}
	command := newCommand(s)
	command.RunE = func(*cobra.Command, []string) error { return nil }
	code = execute(t.Context(), command, args)
	return s, code, out.String()
}

func TestUsageErrors(t *testing.T) {
	file := write(t, "pgfed.yaml", federation)
	for _, c := range []struct {
		says string
		env  map[string]string
		args []string
	}{
		{says: "unknown flag", args: []string{"--bogus"}},
		{says: "unknown command", args: []string{"extra"}},
		{says: "no federation file"},
		{says: "absent.yaml", args: []string{"--config", "absent.yaml"}},
		{says: "3 mistakes", args: []string{"--config", write(t, "wrong.yaml", strings.NewReplacer("tables", "tabels", "hippo", "Hippo!").Replace(federation))}},
		{says: "no node name", args: []string{"--config", file}},
		{says: "its nodes are east, west", args: []string{"--config", file, "--node", "north"}},
		{says: "its nodes are east, west", env: map[string]string{"PGFED_CONFIG": file, "PGFED_NODE": "north"}},
		{says: "given twice", args: []string{"--config", file, "--node", "east", "--postgres", "host=a", "--postgres-file", file}},
		{says: "given twice", env: map[string]string{"PGFED_POSTGRES_URL": "host=a", "PGFED_POSTGRES_FILE": file}, args: []string{"--config", file, "--node", "east"}},
		{says: "read the connection string", args: []string{"--config", file, "--node", "east", "--postgres-file", "absent"}},
		{says: "want name=url", args: []string{"--config", file, "--node", "east", "--peer-url", "west"}},
		{says: "name of a member", args: []string{"--config", file, "--node", "east", "--peer-url", "north=nats://127.0.0.1:1"}},
		{says: "--log-level loud", args: []string{"--config", file, "--node", "east", "--log-level", "loud"}},
		{says: "--log-format xml", args: []string{"--config", file, "--node", "east", "--log-format", "xml"}},
		{says: "--memory-target", args: []string{"--config", file, "--node", "east", "--memory-target", "much"}},
		{says: "PGFED_MEMORY_TARGET", env: map[string]string{"PGFED_MEMORY_TARGET": "much"}, args: []string{"--config", file, "--node", "east"}},
		{says: "PGFED_BROKER_WEBSOCKET_TLS", env: map[string]string{"PGFED_BROKER_WEBSOCKET_TLS": "perhaps"}, args: []string{"--config", file, "--node", "east"}},
	} {
		t.Run(c.says, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			_, code, errs := prepare(t, c.args...)
			require.Equal(t, exitUsage, code, errs)
			require.Contains(t, errs, c.says)
		})
	}
}

// TestFlagsWinOverTheEnvironment: --postgres and --postgres-file are two ways
// to say one thing, so that either silences the variables of both.
func TestFlagsWinOverTheEnvironment(t *testing.T) {
	file, uri := write(t, "pgfed.yaml", federation), write(t, "uri", "host=from-file\n")
	for _, c := range []struct {
		name, postgres, postgresFile string
		env                          map[string]string
		args                         []string
	}{
		{name: "neither"},
		{name: "flag", postgres: "host=flag", args: []string{"--postgres", "host=flag"}},
		{name: "file", postgres: "host=from-file", postgresFile: uri, args: []string{"--postgres-file", uri}},
		{name: "variable", postgres: "host=env", env: map[string]string{"PGFED_POSTGRES_URL": "host=env"}},
		{name: "variable of the file", postgres: "host=from-file", postgresFile: uri, env: map[string]string{"PGFED_POSTGRES_FILE": uri}},
		{name: "flag over variable", postgres: "host=flag", env: map[string]string{"PGFED_POSTGRES_URL": "host=env"}, args: []string{"--postgres", "host=flag"}},
		{name: "flag over variable of the file", postgres: "host=flag", env: map[string]string{"PGFED_POSTGRES_FILE": "absent"}, args: []string{"--postgres", "host=flag"}},
		{name: "file over variable", postgres: "host=from-file", postgresFile: uri, env: map[string]string{"PGFED_POSTGRES_URL": "host=env"}, args: []string{"--postgres-file", uri}},
		{name: "file over both", postgres: "host=from-file", postgresFile: uri, env: map[string]string{"PGFED_POSTGRES_URL": "host=env", "PGFED_POSTGRES_FILE": "absent"}, args: []string{"--postgres-file", uri}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			s, code, errs := prepare(t, append(c.args, "--config", file, "--node", "east")...)
			require.Equal(t, 0, code, errs)
			require.Equal(t, c.postgres, s.options.Postgres)
			require.Equal(t, c.postgresFile, s.options.PostgresFile)
		})
	}
	t.Setenv("PGFED_CONFIG", file)
	t.Setenv("PGFED_NODE", "west")
	t.Setenv("PGFED_DATA_DIR", "elsewhere")
	t.Setenv("PGFED_VERSION", "v7") // not a flag's value
	s, code, errs := prepare(t, "--node", "east", "--peer-url", "west=tls://west.example.com:443", "--log-level", "debug", "--log-format", "json")
	require.Equal(t, 0, code, errs)
	require.Equal(t, []string{"east", "elsewhere"}, []string{s.options.Node, s.options.DataDir})
	require.Equal(t, map[string]string{"west": "tls://west.example.com:443"}, s.options.PeerURL)
}

// TestExitCodes: what goes wrong while running is 1, being asked wrongly 2.
func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	var errs bytes.Buffer
	code := execute(t.Context(), newCommand(&settings{errs: &errs}), []string{
		"--config", write(t, "pgfed.yaml", federation), "--node", "east", "--postgres", "host=127.0.0.1 port=1",
		"--data-dir", t.TempDir(), "--broker-listen", "127.0.0.1:0", "--http", taken.Addr().String(),
	})
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs.String(), "listen for HTTP")

	for _, args := range [][]string{{"--help"}, {"--version"}} {
		command := newCommand(&settings{errs: &errs})
		command.SetOut(&errs)
		require.Equal(t, 0, execute(t.Context(), command, args))
	}
}

func TestEveryFlagIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	require.NoError(t, err)
	newCommand(&settings{errs: os.Stderr}).Flags().VisitAll(func(flag *pflag.Flag) {
		require.Contains(t, string(text), "--"+flag.Name)
		if name := strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")); flag.Name != "peer-url" && flag.Name != "postgres" {
			require.Contains(t, string(text), "PGFED_"+name)
		}
	})
}
