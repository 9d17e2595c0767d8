package applier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ErrOriginBusy says that another session holds the replication origin, so another
// applier of the same origin lives (or its backend is still ending). Worth
// another try after a while.
var ErrOriginBusy = errors.New("the replication origin is held by another session: another applier of this origin is alive")

// ErrNotInstalled says that the database lacks something that replctl init makes.
var ErrNotInstalled = errors.New("the database is not prepared: run replctl init")

// pinned are the settings that decide how Postgres reads the origin's text and
// how long it may wait. The capture side pins the same for writing.
var pinned = map[string]string{
	"DateStyle":                           "ISO, MDY",
	"IntervalStyle":                       "postgres",
	"TimeZone":                            "UTC",
	"extra_float_digits":                  "3",
	"client_encoding":                     "UTF8",
	"bytea_output":                        "hex",
	"lc_monetary":                         "C",
	"xmloption":                           "content",
	"array_nulls":                         "on",
	"transform_null_equals":               "off",
	"quote_all_identifiers":               "off",
	"standard_conforming_strings":         "on",
	"row_security":                        "off",
	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_in_transaction_session_timeout": "0",
	"idle_session_timeout":                "0",
	"default_transaction_isolation":       "read committed",
	"default_transaction_read_only":       "off",
	"default_transaction_deferrable":      "off",
	"synchronous_commit":                  "off",
	"plan_cache_mode":                     "force_generic_plan",
	"jit":                                 "off",
	"exit_on_error":                       "off",
	"client_min_messages":                 "error",
	"log_parameter_max_length_on_error":   "0", // our values stay out of the server's log
}

// searchPath is pinned after users' event triggers at login (17) have run, which
// may rely on the path that everybody has.
const searchPath = ""

// pinnedFrom17 cannot be sent to older servers: they refuse the connection.
var pinnedFrom17 = map[string]string{"transaction_timeout": "0"}

// cancelGrace is how long a canceled statement may take to end before its
// connection is cut.
const cancelGrace = 3 * time.Second

// connect opens a session with every setting pinned and checked.
func connect(ctx context.Context, connString, applicationName string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, fmt.Errorf("parse connection string: %w", err)
	}
	for name, value := range pinned {
		config.RuntimeParams[name] = value
	}
	config.RuntimeParams["application_name"] = applicationName
	config.RuntimeParams["tcp_keepalives_idle"] = "10"
	config.RuntimeParams["tcp_keepalives_interval"] = "5"
	config.RuntimeParams["tcp_keepalives_count"] = "3"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	config.DialFunc = dialer.DialContext
	// A canceled context cancels the statement at the server too: no backend
	// is left waiting for a lock with our origin in its hands.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelGrace}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := check(ctx, conn); err != nil {
		closeSession(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// check sets what could not be a startup parameter and compares every setting
// with what was asked for.
func check(ctx context.Context, conn *pgx.Conn) error {
	want := make(map[string]string, len(pinned)+1)
	for name, value := range pinned {
		want[name] = value
	}
	want["search_path"] = searchPath
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config('search_path', $1, false)", searchPath); err != nil {
		return fmt.Errorf("set search_path: %w", err)
	}
	version, err := serverVersion(ctx, conn)
	if err != nil {
		return err
	}
	if version >= 170000 {
		for name, value := range pinnedFrom17 {
			want[name] = value
			if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, false)", name, value); err != nil {
				return fmt.Errorf("set %s: %w", name, err)
			}
		}
	}
	return checkSettings(ctx, conn, want)
}

func checkSettings(ctx context.Context, conn *pgx.Conn, want map[string]string) error {
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	sort.Strings(names)
	rows, err := conn.Query(ctx, `SELECT name, pg_catalog.current_setting(name, true)
		FROM pg_catalog.unnest($1::text[]) AS s(name)`, names)
	if err != nil {
		return fmt.Errorf("read the session's settings: %w", err)
	}
	var wrong []string
	var name string
	var have *string
	_, err = pgx.ForEachRow(rows, []any{&name, &have}, func() error {
		if have == nil || unquote(*have) != want[name] {
			wrong = append(wrong, name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the session's settings: %w", err)
	}
	if wrong != nil {
		return fmt.Errorf("pin the session's settings: the server did not take %s", strings.Join(wrong, ", "))
	}
	return nil
}

// unquote: an empty search_path may be shown as two quotes.
func unquote(setting string) string {
	if setting == `""` {
		return ""
	}
	return setting
}

func serverVersion(ctx context.Context, conn *pgx.Conn) (int, error) {
	var version int
	err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('server_version_num')::int").Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	return version, nil
}

// beReplica makes the session apply as native replication does: ordinary
// triggers and foreign keys stay silent.
func beReplica(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SELECT pgfed.session_begin()"); err != nil {
		switch sqlState(err) {
		case "3F000", "42883", "42501":
			return fmt.Errorf("call pgfed.session_begin(): %w: %w", ErrNotInstalled, err)
		}
		return fmt.Errorf("call pgfed.session_begin(): %w", err)
	}
	return checkSettings(ctx, conn, map[string]string{"session_replication_role": "replica"})
}

// takeOrigin makes the session the only one that applies this origin.
func takeOrigin(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, "SELECT pg_catalog.pg_replication_origin_session_setup($1)", name)
	switch sqlState(err) {
	case "":
		if err != nil {
			return fmt.Errorf("take replication origin %s: %w", name, err)
		}
		return nil
	case "55006":
		return fmt.Errorf("take replication origin %s: %w", name, ErrOriginBusy)
	case "42704", "42501":
		return fmt.Errorf("take replication origin %s: %w: %w", name, ErrNotInstalled, err)
	}
	return fmt.Errorf("take replication origin %s: %w", name, err)
}

// closeSession ends the session, politely for a second at most.
func closeSession(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
