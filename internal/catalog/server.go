package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
)

// Publication is a publication's own properties.
type Publication struct {
	Exists    bool
	AllTables bool
	ViaRoot   bool
	Insert    bool
	Update    bool
	Delete    bool
	Truncate  bool
	Generated bool // stored generated columns are sent (18)
	Schemas   int  // FOR TABLES IN SCHEMA (15)
	Filtered  int  // tables with a row filter or a column list (15)
}

// ReadPublication reads a publication's properties.
func ReadPublication(ctx context.Context, q Querier, s Server, name string) (Publication, error) {
	// Before 15 a publication could neither name schemas nor filter, before 18
	// not send generated columns.
	schemas, filtered, generated := "0", "0", "false"
	if s.Major >= 15 {
		schemas = "(SELECT count(*)::int FROM pg_publication_namespace n WHERE n.pnpubid = p.oid)"
		filtered = "(SELECT count(*)::int FROM pg_publication_rel r WHERE r.prpubid = p.oid AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL))"
	}
	if s.SendsGenerated() {
		generated = "pubgencols = 's'"
	}
	var p Publication
	err := q.QueryRow(ctx, "SELECT puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate, "+schemas+", "+filtered+", "+generated+
		" FROM pg_publication p WHERE pubname = $1", name).
		Scan(&p.AllTables, &p.ViaRoot, &p.Insert, &p.Update, &p.Delete, &p.Truncate, &p.Schemas, &p.Filtered, &p.Generated)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read publication %s: %w", name, err)
	}
	p.Exists = true
	return p, nil
}

// Published gives the tables that a publication names itself. Partitions of a
// partitioned table that it names are not among them.
func Published(ctx context.Context, q Querier, publication string) (map[uint32]bool, error) {
	rows, err := q.Query(ctx, `SELECT r.prrelid FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1`, publication)
	if err != nil {
		return nil, fmt.Errorf("read publication %s: %w", publication, err)
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return nil, fmt.Errorf("read publication %s: %w", publication, err)
	}
	set := make(map[uint32]bool, len(oids))
	for _, oid := range oids {
		set[oid] = true
	}
	return set, nil
}

// Slot is a replication slot as pg_replication_slots shows it.
type Slot struct {
	Exists       bool
	Type         string
	Plugin       string
	Database     string
	Active       bool
	ActivePID    int32
	Restart      change.LSN
	Confirmed    change.LSN
	WALStatus    string // reserved, extended, unreserved or lost
	Invalidation string // why it cannot be used any more; "" when it can
	Failover     bool
	Synced       bool
	Retained     int64 // bytes of WAL it holds back
}

// ReadSlot reads one slot.
func ReadSlot(ctx context.Context, q Querier, s Server, name string) (Slot, error) {
	var slot Slot
	var restart, confirmed string
	err := q.QueryRow(ctx, `SELECT slot_type, coalesce(plugin, ''), coalesce(database, ''), active, coalesce(active_pid, 0),
	       coalesce(restart_lsn, '0/0')::text, coalesce(confirmed_flush_lsn, '0/0')::text, coalesce(wal_status, ''),
	       CASE WHEN pg_is_in_recovery() THEN 0 ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) END::bigint,
	       `+s.slotColumns()+` FROM pg_replication_slots WHERE slot_name = $1`, name).
		Scan(&slot.Type, &slot.Plugin, &slot.Database, &slot.Active, &slot.ActivePID, &restart, &confirmed, &slot.WALStatus,
			&slot.Retained, &slot.Invalidation, &slot.Failover, &slot.Synced)
	if errors.Is(err, pgx.ErrNoRows) {
		return slot, nil
	}
	if err != nil {
		return slot, fmt.Errorf("read slot %s: %w", name, err)
	}
	slot.Exists = true
	if slot.Restart, err = change.ParseLSN(restart); err != nil {
		return slot, err
	}
	slot.Confirmed, err = change.ParseLSN(confirmed)
	return slot, err
}

// Setting is one of the server's settings.
type Setting struct {
	Name  string
	Value string // in Unit
	Unit  string
}

// Settings reads settings; one that the server does not know is absent.
func Settings(ctx context.Context, q Querier, names ...string) (map[string]Setting, error) {
	rows, err := q.Query(ctx, "SELECT name, setting, coalesce(unit, '') FROM pg_settings WHERE name = ANY($1)", names)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Setting])
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	settings := make(map[string]Setting, len(list))
	for _, s := range list {
		settings[s.Name] = s
	}
	return settings, nil
}

// Origins lists the replication origins that exist, those of a prefix apart
// from the foreign ones. Foreign ones mean that something else applies changes
// here, such as a native subscription.
func Origins(ctx context.Context, q Querier, prefix string) (ours, foreign []string, err error) {
	rows, err := q.Query(ctx, "SELECT roname FROM pg_replication_origin ORDER BY roname")
	if err != nil {
		return nil, nil, fmt.Errorf("read replication origins: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, nil, fmt.Errorf("read replication origins: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			ours = append(ours, name)
		} else {
			foreign = append(foreign, name)
		}
	}
	return ours, foreign, nil
}

// Session is somebody's database session.
type Session struct {
	PID         int32
	User        string
	Database    string
	Application string
	State       string
	Age         string // of its transaction, such as 00:01:12
}

// String describes the session for people, without what it runs.
func (s Session) String() string {
	return fmt.Sprintf("pid %d (%s@%s, %q, %s, open for %s)", s.PID, s.User, s.Database, s.Application, s.State, s.Age)
}

// OpenTransactions lists transactions of the whole server that have written
// something, prepared ones too, oldest first: the creation of a slot waits for
// each to end.
func OpenTransactions(ctx context.Context, q Querier) ([]Session, error) {
	rows, err := q.Query(ctx, `
SELECT pid, username, base, application, status, date_trunc('second', clock_timestamp() - since)::text
  FROM (SELECT pid, coalesce(usename, '?')::text AS username, coalesce(datname, '?')::text AS base,
               coalesce(application_name, '?') AS application, coalesce(state, '?') AS status, xact_start AS since
          FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
         UNION ALL
        SELECT 0, owner::text, database::text, gid, 'prepared transaction', prepared FROM pg_prepared_xacts) AS open
 ORDER BY since`)
	if err != nil {
		return nil, fmt.Errorf("read open transactions: %w", err)
	}
	sessions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
	if err != nil {
		return nil, fmt.Errorf("read open transactions: %w", err)
	}
	return sessions, nil
}
