// Command replicator is the service that runs beside each member database: it
// ships the changes made there to the peers and applies theirs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, newCommand(&settings{errs: os.Stderr}), os.Args[1:])
	stop()
	os.Exit(code)
}

// execute runs the command and returns the exit code.
func execute(ctx context.Context, command *cobra.Command, args []string) int {
	command.SetArgs(args)
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(command.ErrOrStderr(), "replicator:", err)
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
	errs         io.Writer // the log and the last error
	options      replicator.Options
	config       string
	peerURLs     []string
	postgresFile string
	logLevel     string
	logFormat    string
	memory       int64
}

func newCommand(s *settings) *cobra.Command {
	command := &cobra.Command{
		Use:   "replicator --config pgfed.yaml --node NAME",
		Short: "Ships a database's changes to its peers and applies theirs",
		Long: `replicator runs beside one member database of a pgfed federation. It reads the
database's replication slot, appends the changes to the node's JetStream stream,
and applies the peers' streams to the database.

The federation file is the same at every site; what is particular to this site
comes from flags or from the environment: --broker-listen is PGFED_BROKER_LISTEN
and so on. The database's address is --postgres, PGFED_POSTGRES_URL, a file
named by --postgres-file, or libpq's PG* variables; a flag wins over the
environment. SIGTERM is a clean stop.`,
		Args: func(command *cobra.Command, args []string) error {
			if err := cobra.NoArgs(command, args); err != nil {
				return usageError{err}
			}
			return nil
		},
		SilenceUsage: true, SilenceErrors: true, Version: version,
		PreRunE: func(command *cobra.Command, _ []string) error { return s.prepare(command) },
		RunE:    func(command *cobra.Command, _ []string) error { return s.run(command.Context()) },
	}
	command.SetErr(s.errs)
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

// prepare reads flags, environment and files; its errors are usage errors.
func (s *settings) prepare(command *cobra.Command) error {
	if err := fromEnvironment(command.Flags()); err != nil {
		return usageError{err}
	}
	logger, err := s.logger()
	if err != nil {
		return usageError{err}
	}
	s.options.Logger = logger
	if err := s.complete(); err != nil {
		return usageError{err}
	}
	return nil
}

// fromEnvironment sets every flag that was not given from its PGFED_ variable.
// --postgres and --postgres-file say the same thing: either as a flag silences
// the variables of both.
func fromEnvironment(flags *pflag.FlagSet) error {
	address := flags.Changed("postgres") || flags.Changed("postgres-file")
	var problem error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "PGFED_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		switch flag.Name {
		case "help", "version", "peer-url":
			return
		case "postgres":
			name = "PGFED_POSTGRES_URL"
		}
		value := os.Getenv(name)
		if flag.Changed || value == "" || address && strings.HasPrefix(flag.Name, "postgres") {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil && problem == nil {
			problem = fmt.Errorf("%s: %w", name, err)
		}
	})
	return problem
}

func (s *settings) run(ctx context.Context) error {
	logger := s.options.Logger
	debug.SetMemoryLimit(s.memory)
	s.options.Version = version
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
	if _, member := federation.Nodes[s.options.Node]; !member {
		return fmt.Errorf("--node %q is not in %s; its nodes are %s", s.options.Node, s.config, strings.Join(federation.NodeNames(), ", "))
	}
	if s.options.Postgres != "" && s.postgresFile != "" {
		return fmt.Errorf("the database's address is given twice: keep one of --postgres (PGFED_POSTGRES_URL) and --postgres-file (PGFED_POSTGRES_FILE)")
	}
	if s.postgresFile != "" {
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
		return slog.New(slog.NewTextHandler(s.errs, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.errs, options)), nil
	}
	return nil, fmt.Errorf("--log-format %s: want text or json", s.logFormat)
}
