// Command replicator is the service that runs beside each member database: it
// ships the changes made there to the peers and applies theirs.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/replicator"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run()) }

// run returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := newCommand()
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "replicator:", err)
		if _, usage := errors.AsType[usageError](err); usage {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}

// usageError marks mistakes in flags or in the federation file.
type usageError struct{ error }

type settings struct {
	options      replicator.Options
	config       string
	peerURLs     []string
	postgresFile string
	logLevel     string
	logFormat    string
	memory       int64
}

func newCommand() *cobra.Command {
	s := &settings{}
	command := &cobra.Command{
		Use:   "replicator --config pgfed.yaml --node NAME",
		Short: "Ships a database's changes to its peers and applies theirs",
		Long: `replicator runs beside one member database of a pgfed federation. It reads the
database's replication slot, appends the changes to the node's JetStream stream,
and applies the peers' streams to the database.

The federation file is the same at every site; what is particular to this site
comes from flags or from the environment: --broker-listen is PGFED_BROKER_LISTEN
and so on. The database's address is --postgres, PGFED_POSTGRES_URL, a file
named by --postgres-file, or libpq's PG* variables. SIGTERM is a clean stop.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true, Version: version,
		PreRunE: func(command *cobra.Command, _ []string) error { return fromEnvironment(command) },
		RunE:    func(command *cobra.Command, _ []string) error { return s.run(command.Context()) },
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := command.Flags()
	flags.StringVar(&s.config, "config", "", "the federation file (PGFED_CONFIG)")
	flags.StringVar(&s.options.Node, "node", "", "this member's name (PGFED_NODE)")
	flags.StringVar(&s.options.Postgres, "postgres", "", "connection string of the local database (PGFED_POSTGRES_URL)")
	flags.StringVar(&s.postgresFile, "postgres-file", "", "file that holds the connection string (PGFED_POSTGRES_FILE)")
	flags.StringVar(&s.options.DataDir, "data-dir", "pgfed-data", "where the embedded broker keeps its store (PGFED_DATA_DIR)")
	flags.StringVar(&s.options.HTTP, "http", "127.0.0.1:9187", "listen address of /metrics, /livez, /readyz and /v1 (PGFED_HTTP)")
	flags.StringVar(&s.options.BrokerListen, "broker-listen", "127.0.0.1:4222", "listen address of the embedded broker; TLS first when it has a certificate (PGFED_BROKER_LISTEN)")
	flags.StringVar(&s.options.BrokerWebsocket, "broker-websocket-listen", "", "listen address of the embedded broker for WebSocket, for edge and re-encrypting routes (PGFED_BROKER_WEBSOCKET_LISTEN)")
	flags.BoolVar(&s.options.BrokerWSTLS, "broker-websocket-tls", false, "the WebSocket listener speaks TLS itself: re-encrypting routes (PGFED_BROKER_WEBSOCKET_TLS)")
	flags.StringVar(&s.options.BrokerCert, "broker-cert", "", "certificate file of the embedded broker (PGFED_BROKER_CERT)")
	flags.StringVar(&s.options.BrokerKey, "broker-key", "", "private key file of the embedded broker (PGFED_BROKER_KEY)")
	flags.StringVar(&s.options.CAFile, "ca", "", "file of the authorities that sign the peers' routes; the system's when empty (PGFED_CA)")
	flags.StringVar(&s.options.NKeyFile, "nkey", "", "file that holds this node's secret nkey seed (PGFED_NKEY)")
	flags.StringVar(&s.options.Credentials, "credentials", "", "NATS credentials file for an external broker (PGFED_CREDENTIALS)")
	flags.StringArrayVar(&s.peerURLs, "peer-url", nil, "dial a peer here instead of where the file says: name=url; repeatable")
	flags.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error (PGFED_LOG_LEVEL)")
	flags.StringVar(&s.logFormat, "log-format", "text", "text or json (PGFED_LOG_FORMAT)")
	flags.Int64Var(&s.memory, "memory-target", 160<<20, "bytes of heap beyond which the collector works harder; not a limit (PGFED_MEMORY_TARGET)")
	return command
}

// fromEnvironment sets every flag that was not given from its PGFED_ variable.
func fromEnvironment(command *cobra.Command) error {
	var problems []error
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		name := "PGFED_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if flag.Name == "postgres" {
			name = "PGFED_POSTGRES_URL"
		}
		value, found := os.LookupEnv(name)
		if flag.Changed || !found || value == "" {
			return
		}
		if err := command.Flags().Set(flag.Name, value); err != nil {
			problems = append(problems, usageError{fmt.Errorf("%s: %w", name, err)})
		}
	})
	if len(problems) > 0 {
		return problems[0]
	}
	return nil
}

func (s *settings) run(ctx context.Context) error {
	logger, err := s.logger()
	if err != nil {
		return usageError{err}
	}
	if err := s.complete(); err != nil {
		return usageError{err}
	}
	debug.SetMemoryLimit(s.memory)
	s.options.Version, s.options.Logger = version, logger
	s.options.Registry = prometheus.NewRegistry()
	s.options.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	logger.Info("starting", "node", s.options.Node, "federation", s.options.Federation.Federation, "version", version, "digest", s.options.Federation.Digest()[:12])
	return replicator.Run(ctx, s.options)
}

// complete reads the federation file and everything files and variables say.
func (s *settings) complete() error {
	if s.config == "" {
		return fmt.Errorf("no federation file: give --config or PGFED_CONFIG")
	}
	federation, err := config.Load(s.config)
	if err != nil {
		return err
	}
	s.options.Federation = federation
	if s.options.Node == "" {
		return fmt.Errorf("no node name: give --node or PGFED_NODE")
	}
	if s.options.Postgres == "" && s.postgresFile != "" {
		text, err := os.ReadFile(s.postgresFile)
		if err != nil {
			return fmt.Errorf("read the connection string: %w", err)
		}
		s.options.Postgres, s.options.PostgresFile = strings.TrimSpace(string(text)), s.postgresFile
	}
	s.options.PeerURL = map[string]string{}
	for _, pair := range s.peerURLs {
		name, url, found := strings.Cut(pair, "=")
		if _, member := federation.Nodes[name]; !found || !member {
			return fmt.Errorf("--peer-url %s: want name=url with the name of a member", pair)
		}
		s.options.PeerURL[name] = url
	}
	return nil
}

func (s *settings) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %s: want debug, info, warn or error", s.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return nil, fmt.Errorf("--log-format %s: want text or json", s.logFormat)
}
