package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/wait"
)

const (
	// lockTimeout bounds how long writers queue behind init.
	lockTimeout = "500ms"
	lockPause   = 2 * time.Second
	// waitReport is how often init says whom it waits for.
	waitReport = 2 * time.Second
)

// ErrBusy is wrapped when another init works on the same database.
var ErrBusy = errors.New("another replctl init is at work on this database")

// Install carries out a plan. tell is called, from one goroutine at a time,
// with lines for people: each step, and whom a step waits for. It may be
// interrupted anywhere: a new plan then holds what remains.
func Install(ctx context.Context, conn *pgx.Conn, plan *Plan, tell func(string)) error {
	var locked bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext('pgfed'), hashtext('init'))").Scan(&locked); err != nil {
		return fmt.Errorf("lock the database for init: %w", err)
	}
	if !locked {
		return ErrBusy
	}
	defer func() {
		// The lock ends with the session in any case.
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(hashtext('pgfed'), hashtext('init'))")
	}()
	for i, step := range plan.Steps {
		tell(fmt.Sprintf("%d/%d  %s", i+1, len(plan.Steps), step.Title))
		if err := run(ctx, conn, step, tell); err != nil {
			return fmt.Errorf("%s: %w", lowerFirst(headline(step.Title)), explain(err))
		}
	}
	return checkSession(ctx, conn)
}

func run(ctx context.Context, conn *pgx.Conn, step Step, tell func(string)) error {
	switch {
	case step.CreatesSlot:
		return runSlot(ctx, conn, step, tell)
	case step.Locks:
		return runLocks(ctx, conn, step, tell)
	default:
		return runStep(ctx, conn, step)
	}
}

// runStep runs the statements as they are printed.
func runStep(ctx context.Context, conn *pgx.Conn, step Step) error {
	if !step.Transaction {
		return runStatements(ctx, conn, step.Statements)
	}
	return pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return runStatements(ctx, conn, step.Statements) })
}

func runStatements(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// runLocks tries until the locks come quickly, so that nobody's writes queue
// behind a lock that waits for a long transaction.
func runLocks(ctx context.Context, conn *pgx.Conn, step Step, tell func(string)) error {
	for {
		err := runStep(ctx, conn, step)
		var server *pgconn.PgError
		if err == nil || !errors.As(err, &server) || server.Code != "55P03" { // lock_not_available
			return err
		}
		tell("     waiting for transactions that use the tables")
		tellOpen(ctx, conn, tell)
		if err := wait.Pause(ctx, lockPause); err != nil {
			return fmt.Errorf("wait for table locks: %w", err)
		}
	}
}

// runSlot creates the slot, which waits for every open transaction of the
// server, and meanwhile says which those are.
func runSlot(ctx context.Context, conn *pgx.Conn, step Step, tell func(string)) error {
	watcher, err := pgx.ConnectConfig(ctx, conn.Config())
	if err != nil {
		return fmt.Errorf("connect a second time: %w", err)
	}
	defer watcher.Close(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- runStep(ctx, conn, step) }()
	ticker := time.NewTicker(waitReport)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			tell("     waiting for transactions that were open when the slot was asked for")
			tellOpen(ctx, watcher, tell)
		}
	}
}

func tellOpen(ctx context.Context, q catalog.Querier, tell func(string)) {
	sessions, err := catalog.OpenTransactions(ctx, q)
	if err != nil {
		tell("     " + err.Error())
		return
	}
	for _, session := range sessions {
		tell("     " + session.String())
	}
}

// checkSession tries what every applying session begins with.
func checkSession(ctx context.Context, conn *pgx.Conn) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("try pgfed.session_begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SELECT pgfed.session_begin()"); err != nil {
		return fmt.Errorf("try pgfed.session_begin: %w", explain(err))
	}
	return nil
}

// explain adds what to do to errors that init meets often.
func explain(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	switch server.Code {
	case "42501": // insufficient_privilege
		return fmt.Errorf("%w; run init as a superuser (the replicator itself needs none: --role)", err)
	case "53400": // configuration_limit_exceeded
		return fmt.Errorf("%w; raise max_replication_slots and restart the server", err)
	case "0A000": // feature_not_supported
		return fmt.Errorf("%w; exclude what cannot be published in the federation file", err)
	}
	return err
}

func headline(title string) string {
	head, _, _ := strings.Cut(title, ":")
	return head
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
