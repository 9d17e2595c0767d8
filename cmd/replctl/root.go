package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgfed/pgfed/internal/config"
)

// session is what all commands share: the flags that every command has, and
// where it reads and prints.
type session struct {
	in        io.Reader
	out, errs io.Writer

	config       string
	server       string
	node         string
	postgres     string
	postgresFile string
	format       string
	timeout      time.Duration

	serverGiven, postgresGiven bool

	deadline time.Time // of all questions of one command
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "replctl",
		Short: "Looks at a pgfed federation and steers it",
		Long: `replctl looks at a federation and steers it. Most commands ask a replicator over
HTTP (--server); preflight and init talk to the node's database (--postgres, or
libpq's PG* variables).

Exit codes: 0 healthy, 1 unhealthy, 2 wrong usage.`,
		Version: buildVersion(), SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error { return s.prepare(command) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&s.config, "config", "pgfed.yaml", "the federation file (PGFED_CONFIG)")
	flags.StringVar(&s.server, "server", "http://127.0.0.1:9187", "HTTP address of a replicator (PGFED_SERVER)")
	flags.StringVar(&s.node, "node", "", "the member that a command is about (PGFED_NODE)")
	flags.StringVar(&s.postgres, "postgres", "", "connection string of the member's database (PGFED_POSTGRES_URL)")
	flags.StringVar(&s.postgresFile, "postgres-file", "", "file that holds the connection string (PGFED_POSTGRES_FILE)")
	flags.StringVarP(&s.format, "output", "o", "table", "table, json or yaml")
	flags.DurationVar(&s.timeout, "timeout", 8*time.Second, "how long a command may take to ask; what init waits for is not counted (PGFED_TIMEOUT)")
	root.AddCommand(
		preflightCommand(s),
		initCommand(s),
		statusCommand(s),
		lagCommand(s),
		slotsCommand(s),
		streamsCommand(s),
		conflictsCommand(s),
		parkedCommand(s),
		versionCommand(s),
		demoCommand(s),
	)
	for _, command := range root.Commands() {
		markFailures(command)
	}
	return root
}

// markFailures tells errors of running from errors of being asked wrongly,
// which cobra reports itself.
func markFailures(command *cobra.Command) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			err := run(command, args)
			var usage usageError
			if err == nil || errors.Is(err, errUnhealthy) || errors.As(err, &usage) {
				return err
			}
			return failure{err}
		}
	}
	for _, child := range command.Commands() {
		markFailures(child)
	}
}

// prepare takes what was not given as a flag from the environment, and checks
// what every command needs.
func (s *session) prepare(command *cobra.Command) error {
	var problem error
	// Either way to name the database as a flag silences the variables of both.
	address := command.Flags().Changed("postgres") || command.Flags().Changed("postgres-file")
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		name := "PGFED_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		switch flag.Name {
		case "config", "server", "node", "timeout", "postgres-file":
		case "postgres":
			name = "PGFED_POSTGRES_URL"
		default:
			return
		}
		if value := os.Getenv(name); value != "" && !flag.Changed && (!address || !strings.HasPrefix(flag.Name, "postgres")) {
			if err := command.Flags().Set(flag.Name, value); err != nil && problem == nil {
				problem = usageError{fmt.Errorf("%s: %w", name, err)}
			}
		}
	})
	if problem != nil {
		return problem
	}
	s.serverGiven = command.Flags().Changed("server")
	s.postgresGiven = command.Flags().Changed("postgres") || command.Flags().Changed("postgres-file")
	switch s.format {
	case formatTable, formatJSON, formatYAML:
	default:
		return usageError{fmt.Errorf("--output %q is unknown; use table, json or yaml", s.format)}
	}
	if s.timeout <= 0 {
		return usageError{errors.New("--timeout must be above zero")}
	}
	s.begin()
	return nil
}

// begin gives the questions that follow their time.
func (s *session) begin() { s.deadline = time.Now().Add(s.timeout) }

// asking bounds questions, so that a command answers in time whatever is down.
func (s *session) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, s.deadline)
}

// federation reads the federation file.
func (s *session) federation() (*config.Federation, error) {
	f, err := config.Load(s.config)
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// member reads the federation file and checks --node against it.
func (s *session) member() (*config.Federation, error) {
	f, err := s.federation()
	if err != nil {
		return nil, err
	}
	names := strings.Join(f.NodeNames(), ", ")
	if s.node == "" {
		return nil, usageError{fmt.Errorf("which node is this? give --node (PGFED_NODE), one of %s", names)}
	}
	if _, known := f.Nodes[s.node]; !known {
		return nil, usageError{fmt.Errorf("--node %q is not in %s; its nodes are %s", s.node, s.config, names)}
	}
	return f, nil
}

// connect opens the member's database.
func (s *session) connect(ctx context.Context) (*pgx.Conn, error) {
	if s.postgres != "" && s.postgresFile != "" {
		return nil, usageError{errors.New("the database's address is given twice: keep one of --postgres (PGFED_POSTGRES_URL) and --postgres-file (PGFED_POSTGRES_FILE)")}
	}
	text := s.postgres
	if s.postgresFile != "" {
		content, err := os.ReadFile(s.postgresFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("read --postgres-file: %w", err)}
		}
		text = strings.TrimSpace(string(content))
	}
	settings, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("read the database's address: %w", err)}
	}
	settings.RuntimeParams["application_name"] = strings.Join([]string{"pgfed", s.node, "replctl"}, "/")
	// Defaults that an administrator has set for role or database are for
	// applications.
	for name, value := range map[string]string{
		"default_transaction_read_only": "off", "default_transaction_isolation": "read committed",
		"statement_timeout": "0", "lock_timeout": "0", "idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0",
		"client_encoding": "UTF8", "standard_conforming_strings": "on", "DateStyle": "ISO", "client_min_messages": "error",
	} {
		settings.RuntimeParams[name] = value
	}
	ctx, cancel := s.asking(ctx)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, failure{fmt.Errorf("connect to the database: %w", err)}
	}
	return conn, nil
}
