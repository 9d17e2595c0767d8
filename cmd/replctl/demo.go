package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/demo"
)

func demoCommand(s *session) *cobra.Command {
	options := demo.Options{}
	command := &cobra.Command{
		Use:   "demo",
		Short: "Play the main job on this machine: three writable databases, one federation",
		Long: `demo starts three Postgres servers that cannot reach each other and three
replicators, federates the schema of the well-known federation guide, writes on
all of them, has a foreign write refused, kills a replicator under load, and
compares every row at the end. Exit code 0 says that all nodes are equal.

It needs the programs of Postgres 14 or later and the replicator's program.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if options.Replctl, err = os.Executable(); err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			if options.Replicator == "" {
				if options.Replicator, err = findReplicator(options.Replctl); err != nil {
					return usageError{err}
				}
			}
			options.Out = s.out
			return demo.Run(command.Context(), options)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&options.Keep, "keep", false, "leave everything running and say what to try")
	flags.StringVar(&options.Folder, "dir", "", "work in this folder instead of a temporary one")
	flags.StringVar(&options.Replicator, "replicator", "", "the replicator's program; found beside this one or on the path when empty")
	return command
}

func findReplicator(beside string) (string, error) {
	path := filepath.Join(filepath.Dir(beside), "replicator")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	path, err := exec.LookPath("replicator")
	if err != nil {
		return "", fmt.Errorf("no replicator beside %s or on the path: build it (make build) or name it with --replicator", beside)
	}
	return filepath.Abs(path)
}
