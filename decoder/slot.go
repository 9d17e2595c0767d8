package decoder

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
)

// What can be wrong with a slot. Each is wrapped with the slot's name and a
// remedy in words.
var (
	ErrSlotMissing     = errors.New("the replication slot does not exist")
	ErrSlotForeign     = errors.New("the replication slot is not ours")
	ErrSlotInvalidated = errors.New("the replication slot is invalidated")
	// ErrSlotBusy says that another process reads the slot; the server's
	// message, wrapped beside it, names the PID. It passes by itself when the
	// other one ends.
	ErrSlotBusy = errors.New("the replication slot is in use")
)

// SlotStatus is what the server says of a slot.
type SlotStatus struct {
	Name          string
	Exists        bool // everything below is zero otherwise
	Plugin        string
	Database      string
	SlotType      string // logical or physical
	Temporary     bool
	Active        bool
	ActivePID     int32 // 0 when not active
	Confirmed     change.LSN
	Restart       change.LSN
	WALStatus     string // reserved, extended, unreserved or lost
	Invalidation  string // the reason, in the server's words; "" while the slot is valid
	Failover      bool   // 17 and later
	Synced        bool   // 17 and later
	RetainedBytes int64  // log that the slot keeps from being removed
}

// slotQuery reads a slot on every version: columns that a version does not
// have are missing keys. conflicting came with 16, invalidation_reason,
// failover and synced with 17.
const slotQuery = `
SELECT coalesce(j->>'plugin', ''), coalesce(j->>'database', ''), j->>'slot_type',
       (j->>'temporary')::boolean, (j->>'active')::boolean, coalesce((j->>'active_pid')::integer, 0),
       coalesce(j->>'confirmed_flush_lsn', '0/0'), coalesce(j->>'restart_lsn', '0/0'), coalesce(j->>'wal_status', ''),
       CASE WHEN j->>'invalidation_reason' IS NOT NULL THEN j->>'invalidation_reason'
            WHEN (j->>'conflicting')::boolean THEN 'conflicting with recovery'
            WHEN j->>'wal_status' = 'lost' THEN 'wal_removed'
            ELSE '' END,
       coalesce((j->>'failover')::boolean, false), coalesce((j->>'synced')::boolean, false),
       coalesce(pg_catalog.pg_wal_lsn_diff(
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
           (j->>'restart_lsn')::pg_lsn), 0)::bigint
FROM (SELECT pg_catalog.to_jsonb(s) AS j FROM pg_catalog.pg_replication_slots AS s WHERE s.slot_name = $1) AS slot`

// InspectSlot reads the slot's status, on every supported version. A missing
// slot is no error here: see Exists. conn may be an ordinary connection or a
// replication connection.
func InspectSlot(ctx context.Context, conn *pgx.Conn, slot string) (SlotStatus, error) {
	s := SlotStatus{Name: slot}
	var confirmed, restart string
	err := conn.QueryRow(ctx, slotQuery, pgx.QueryExecModeSimpleProtocol, slot).Scan(
		&s.Plugin, &s.Database, &s.SlotType, &s.Temporary, &s.Active, &s.ActivePID, &confirmed, &restart,
		&s.WALStatus, &s.Invalidation, &s.Failover, &s.Synced, &s.RetainedBytes)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("inspect slot %q: %w", slot, err)
	}
	s.Exists = true
	if s.Confirmed, err = change.ParseLSN(confirmed); err != nil {
		return s, fmt.Errorf("inspect slot %q: %w", slot, err)
	}
	if s.Restart, err = change.ParseLSN(restart); err != nil {
		return s, fmt.Errorf("inspect slot %q: %w", slot, err)
	}
	return s, nil
}

// Check reports why the slot cannot be read for the database, or nil. A slot
// is never created or recreated silently: the changes between the old one and
// the new one would be missing without a trace.
func (s SlotStatus) Check(database string) error {
	switch {
	case !s.Exists:
		return fmt.Errorf("slot %q: %w: `replctl init` creates it the first time; if it was there before, "+
			"changes may have been missed and the node must start afresh (docs/OPERATIONS.md)", s.Name, ErrSlotMissing)
	case s.SlotType != "logical" || s.Plugin != "pgoutput":
		return fmt.Errorf("slot %q: %w: it is a %s slot with plugin %q, wanted a logical one with pgoutput; "+
			"drop or rename it, then run `replctl init`", s.Name, ErrSlotForeign, s.SlotType, s.Plugin)
	case s.Database != database:
		return fmt.Errorf("slot %q: %w: it belongs to database %q, not to %q; check the connection string, "+
			"or drop the slot there and run `replctl init`", s.Name, ErrSlotForeign, s.Database, database)
	case s.Temporary:
		return fmt.Errorf("slot %q: %w: it is temporary and vanishes with its session; "+
			"end that session, then run `replctl init`", s.Name, ErrSlotForeign)
	case s.Invalidation != "":
		return fmt.Errorf("slot %q: %w (%s): the server no longer keeps the log it needs, changes are missing; "+
			"the node must start afresh (docs/OPERATIONS.md)", s.Name, ErrSlotInvalidated, s.Invalidation)
	}
	return nil
}
