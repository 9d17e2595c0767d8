package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/admin"
)

// recordsCommand lists what is on record: from the replicator, or from the
// database itself when that is named or the replicator does not answer.
func recordsCommand[T any](s *session, name, short string, read func(context.Context, admin.Querier, int) ([]T, error), table func(io.Writer, []T)) *cobra.Command {
	var limit int
	run := func(command *cobra.Command, _ []string) error {
		if limit < 1 {
			return usageError{errors.New("--limit must be above zero")}
		}
		rows, err := records(command.Context(), s, name, limit, read)
		if _, wrong := errors.AsType[usageError](err); wrong {
			return err
		}
		if rows == nil {
			rows = []T{}
		}
		if printed := s.print(rows, func(w io.Writer) { table(w, rows) }); printed != nil {
			return printed
		}
		return err
	}
	command := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: run}
	list := &cobra.Command{Use: "list", Short: short, Args: cobra.NoArgs, RunE: run}
	command.PersistentFlags().IntVar(&limit, "limit", 100, "how many of the newest")
	command.AddCommand(list)
	return command
}

func records[T any](ctx context.Context, s *session, name string, limit int, read func(context.Context, admin.Querier, int) ([]T, error)) ([]T, error) {
	var rows []T
	asked, cancel := ctx, context.CancelFunc(func() {})
	if s.postgresGiven {
		asked, cancel = context.WithTimeout(ctx, s.timeout/2) // the rest is for the database
	}
	defer cancel()
	err := s.ask(asked, fmt.Sprintf("/v1/%s?limit=%d", name, limit), &rows)
	if err == nil || !s.postgresGiven {
		return rows, err
	}
	if _, wrong := errors.AsType[usageError](err); wrong {
		return nil, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ctx, cancel = s.asking(ctx)
	defer cancel()
	if rows, err = read(ctx, conn, limit); err != nil {
		return nil, failure{err}
	}
	return rows, nil
}
