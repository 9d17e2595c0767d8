package decoder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/change"
)

type setting struct{ name, value string }

// pins are the settings that decide how values are written as text, and those
// that could end the session. They go in the startup packet, which outranks
// ALTER ROLE, ALTER DATABASE and the configuration file, and are checked
// before streaming begins.
var pins = []setting{
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "3"},
	{"TimeZone", "UTC"},
	{"client_encoding", "UTF8"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"quote_all_identifiers", "off"},
	{"standard_conforming_strings", "on"}, // pgx's simple protocol wants it
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"idle_session_timeout", "0"},
	{"client_min_messages", "warning"},
}

// transactionTimeoutSince is the first version that has transaction_timeout.
const transactionTimeoutSince = 170000

// session is an open replication connection, taken over from pgconn: nothing
// but this package reads or writes it any more.
type session struct {
	conn          net.Conn
	pid           uint32
	version       int // server_version_num
	senderTimeout time.Duration
	slot          SlotStatus
}

// connect opens a replication connection that also takes ordinary statements.
func connect(ctx context.Context, connString, applicationName string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, fmt.Errorf("parse connection string: %w", err)
	}
	// Replication connections know only the simple protocol.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.RuntimeParams["replication"] = "database"
	if applicationName != "" {
		config.RuntimeParams["application_name"] = applicationName
	}
	for _, pin := range pins {
		for name := range config.RuntimeParams {
			if strings.EqualFold(name, pin.name) {
				delete(config.RuntimeParams, name)
			}
		}
		config.RuntimeParams[pin.name] = pin.value
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// Not in the startup packet: users' event triggers at login (17) run first
	// and may rely on the path that everybody has.
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config('search_path', '', false)"); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("pin search_path: %w", err)
	}
	return conn, nil
}

// open connects, checks the session, the slot and the publication, and takes
// the connection over.
func open(ctx context.Context, cfg Config) (*session, error) {
	conn, err := connect(ctx, cfg.ConnString, cfg.ApplicationName)
	if err != nil {
		return nil, err
	}
	s, err := prepare(ctx, conn, cfg)
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return s, nil
}

func prepare(ctx context.Context, conn *pgx.Conn, cfg Config) (*session, error) {
	s := &session{pid: conn.PgConn().PID()}
	if err := s.checkSession(ctx, conn); err != nil {
		return nil, err
	}
	var database string
	var published bool
	err := conn.QueryRow(ctx, `SELECT current_database(), EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $1)`,
		cfg.Publication).Scan(&database, &published)
	if err != nil {
		return nil, fmt.Errorf("look up publication %q: %w", cfg.Publication, err)
	}
	if !published {
		return nil, fmt.Errorf("publication %q in database %q: %w; `replctl init` creates it", cfg.Publication, database, ErrPublicationMissing)
	}
	if s.slot, err = InspectSlot(ctx, conn, cfg.Slot); err != nil {
		return nil, err
	}
	if err := s.slot.Check(database); err != nil {
		return nil, err
	}
	if err := checkSystem(ctx, conn, cfg.Expect); err != nil {
		return nil, err
	}
	// What pgconn has read ahead would look like lost data: SyncConn makes
	// sure that there is nothing.
	if err := conn.PgConn().SyncConn(ctx); err != nil {
		return nil, fmt.Errorf("take over connection: %w", err)
	}
	taken, err := conn.PgConn().Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over connection: %w", err)
	}
	s.conn = taken.Conn
	return s, nil
}

// checkSession makes sure that the pins hold and learns the server's version
// and patience.
func (s *session) checkSession(ctx context.Context, conn *pgx.Conn) error {
	var patience int64
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int,
		(SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout')`).Scan(&s.version, &patience)
	if err != nil {
		return fmt.Errorf("read server settings: %w", err)
	}
	s.senderTimeout = time.Duration(patience) * time.Millisecond
	if s.version >= transactionTimeoutSince {
		if _, err := conn.Exec(ctx, "SET transaction_timeout = 0"); err != nil {
			return fmt.Errorf("pin transaction_timeout: %w", err)
		}
	}
	for _, pin := range append(pins[:len(pins):len(pins)], setting{"search_path", ""}) {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", pin.name).Scan(&value); err != nil {
			return fmt.Errorf("check setting %s: %w", pin.name, err)
		}
		if value != pin.value {
			return fmt.Errorf("check setting %s: it is %q and must be %q", pin.name, value, pin.value)
		}
	}
	return nil
}

// originOptionSince is the first version whose pgoutput filters by origin.
const originOptionSince = 160000

// startCommand builds START_REPLICATION. The slot's name and the publication's
// are quoted twice over where the grammar wants it.
func startCommand(cfg Config, version int) string {
	options := []string{
		"proto_version '1'",
		"publication_names " + quoteLiteral(quoteIdentifier(cfg.Publication)),
	}
	if cfg.ServerFilter && version >= originOptionSince {
		options = append(options, "origin 'none'")
	}
	return fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL %s (%s)",
		quoteIdentifier(cfg.Slot), cfg.Start, strings.Join(options, ", "))
}

func quoteIdentifier(name string) string { return pgx.Identifier{name}.Sanitize() }

func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// startError names the refusals of START_REPLICATION that a caller wants to
// tell apart.
func startError(err error) error {
	const objectInUse, undefinedObject = "55006", "42704"
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case objectInUse: // the server's message names the other PID
			return fmt.Errorf("%w: %w", ErrSlotBusy, err)
		case undefinedObject:
			return fmt.Errorf("%w: %w", ErrSlotMissing, err)
		}
	}
	return fmt.Errorf("start replication: %w", err)
}

// parseSystemID reads what IDENTIFY_SYSTEM gives as text.
func parseSystemID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse system identifier: %w", err)
	}
	return id, nil
}

// parseFork reads a timeline history file: a line for each ancestor with its
// number, the LSN where the next one left it, and a reason. The last line is
// the parent.
func parseFork(content []byte) (parent uint32, at change.LSN, err error) {
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return 0, 0, errors.New("parse timeline history: a line without an LSN")
		}
		number, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("parse timeline history: %w", err)
		}
		if at, err = change.ParseLSN(fields[1]); err != nil {
			return 0, 0, fmt.Errorf("parse timeline history: %w", err)
		}
		parent = uint32(number)
	}
	if parent == 0 {
		return 0, 0, errors.New("parse timeline history: it names no ancestor")
	}
	return parent, at, nil
}
