package catalog

import (
	"context"
	"fmt"
)

// The server versions that a member may run.
const (
	OldestMajor = 14
	NewestMajor = 18
)

// Server says which version answers.
type Server struct {
	Version string // as the server prints it: 15.18 (Debian ...)
	Number  int    // server_version_num: 150018
	Major   int
	Minor   int
}

// ReadServer asks for the version.
func ReadServer(ctx context.Context, q Querier) (Server, error) {
	var s Server
	err := q.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('server_version_num')::int").Scan(&s.Version, &s.Number)
	if err != nil {
		return s, fmt.Errorf("read the server's version: %w", err)
	}
	s.Major, s.Minor = s.Number/10000, s.Number%10000
	return s, nil
}

// SafeMinor is the first minor release of the major version that does not lose
// changes when ALTER PUBLICATION or ALTER TYPE runs beside them (August 2025);
// 0 when all are safe.
func (s Server) SafeMinor() int {
	return map[int]int{14: 19, 15: 14, 16: 10, 17: 6}[s.Major]
}

// Failover reports whether slots can be kept on physical standbys (17).
func (s Server) Failover() bool { return s.Major >= 17 }

// RefusesUpserts reports whether the server refuses INSERT ... ON CONFLICT DO
// UPDATE and MERGE, as it does UPDATE and DELETE, where a published table has no
// replica identity (18, and minor releases since November 2025).
func (s Server) RefusesUpserts() bool {
	since, known := map[int]int{14: 20, 15: 15, 16: 11, 17: 7}[s.Major]
	return !known || s.Minor >= since
}

// OriginCapacity names the setting that bounds replication origins: those of
// their own since 18, the slots' before.
func (s Server) OriginCapacity() string {
	if s.Major >= 18 {
		return "max_active_replication_origins"
	}
	return "max_replication_slots"
}

// SendsGenerated reports whether a publication can say that stored generated
// columns are sent (18). A server that can refuses UPDATE and DELETE of a table
// whose replica identity holds a generated column that is not sent; earlier ones
// leave such columns out of the identity. Virtual ones are never sent.
func (s Server) SendsGenerated() bool { return s.Major >= 18 }

// IdleSlotTimeout names the setting that invalidates idle slots; empty before
// 18, where there is none.
func (s Server) IdleSlotTimeout() string {
	if s.Major >= 18 {
		return "idle_replication_slot_timeout"
	}
	return ""
}

// CreateSlot is the statement that makes a logical slot for pgoutput, which
// takes the slot's name as $1 and gives its consistent point. From 17 on the
// slot is kept on standbys.
func (s Server) CreateSlot() string {
	if s.Failover() {
		return "SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', false, false, true)"
	}
	return "SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', false, false)"
}

// slotColumns are the columns of pg_replication_slots that not every version
// has: conflicting came with 16, failover, synced and invalidation_reason with
// 17. They are given in this order: invalidation, failover, synced.
func (s Server) slotColumns() string {
	switch {
	case s.Major >= 17:
		return "coalesce(invalidation_reason, ''), failover, synced"
	case s.Major == 16:
		return "CASE WHEN conflicting THEN 'conflict with recovery' WHEN wal_status = 'lost' THEN 'wal_removed' ELSE '' END, false, false"
	default:
		return "CASE WHEN wal_status = 'lost' THEN 'wal_removed' ELSE '' END, false, false"
	}
}

// TellsSchemas reports whether the server describes a table again when its
// schema is renamed (16). Older ones go on under the name they sent first, as
// long as the capture session lives.
func (s Server) TellsSchemas() bool { return s.Major >= 16 }
