package replicator

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/wait"
)

// database is the local database's connection string. A file is read again at
// every connection: passwords are changed there.
func (r *Replicator) database() string {
	if r.PostgresFile == "" {
		return r.Postgres
	}
	text, err := os.ReadFile(r.PostgresFile)
	if err != nil {
		r.log.Warn("the connection string's file could not be read; the one read before is used", "error", err)
		return r.Postgres
	}
	return strings.TrimSpace(string(text))
}

// session opens an ordinary session on the local database. A dead client is
// noticed by the server within half a minute, so that what it held is free.
func (r *Replicator) session(ctx context.Context, role string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(r.database())
	if err != nil {
		return nil, fmt.Errorf("parse the database's connection string: %w", err)
	}
	for name, value := range map[string]string{
		"application_name":        "pgfed/" + r.Node + "/" + role,
		"tcp_keepalives_idle":     "10",
		"tcp_keepalives_interval": "5",
		"tcp_keepalives_count":    "3",
		// What is noted for ourselves must be flushed here, whatever the role's
		// default, and must not wait for a standby that is away.
		"synchronous_commit": "local",
		// An administrator's settings for the role or the database must not
		// decide whether housekeeping lives and reads right.
		"statement_timeout":                   "0",
		"lock_timeout":                        "0",
		"idle_session_timeout":                "0",
		"idle_in_transaction_session_timeout": "0",
		"default_transaction_read_only":       "off",
		"default_transaction_isolation":       "read committed",
		"standard_conforming_strings":         "on",
		"client_encoding":                     "UTF8",
		"DateStyle":                           "ISO",
		"client_min_messages":                 "error",
	} {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the local database: %w", err)
	}
	// Servers before 17 do not know transaction_timeout, and refuse a connection
	// that names it. Users' event triggers at login come before search_path: they
	// may rely on the path that everybody has.
	if _, err := conn.Exec(ctx, `SELECT pg_catalog.set_config('search_path', '', false), (SELECT pg_catalog.set_config(name, '0', false)
			FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout')`); err != nil {
		closeSession(conn)
		return nil, fmt.Errorf("prepare a session with the local database: %w", err)
	}
	return conn, nil
}

// closeSession ends a session, politely if that is quick. nil is ended already.
func closeSession(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the session is gone either way
}

// becomeActive waits until this is the one active instance of its node: the
// holder of a session advisory lock in the database. The lock is convenience;
// the slot, the replication origins, the stream's compare-and-append and the
// checkpoint's compare-and-set are the fences. It asks again rather than
// blocking in the server: a blocked statement would hold back vacuum.
func (r *Replicator) becomeActive(ctx context.Context, conn *pgx.Conn) error {
	for {
		var got bool
		err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('pgfed'), hashtext($1))`,
			r.Federation.Federation+"/"+r.Node).Scan(&got)
		if err != nil {
			return fmt.Errorf("take the instance lock: %w", err)
		}
		if got {
			return nil
		}
		r.board.setRole("standby")
		if err := wait.Pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// watch blocks until the session is lost: a stopped server, a failover, an
// administrator. The replicator then lets go of everything, the slot included,
// so that the server can shut down.
func watch(ctx context.Context, conn *pgx.Conn) error {
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("session with the local database lost: %w", err)
		}
	}
}
