package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/report"
)

// slotRow is a member's replication slot; null where the member is not heard.
type slotRow struct {
	Node string       `json:"node"`
	OK   bool         `json:"ok"`
	Slot *report.Slot `json:"slot"`
}

func slotsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "slots", Short: "The members' replication slots and the WAL they hold back", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := s.status(command.Context())
			if err != nil {
				return err
			}
			healthy := true
			rows := []slotRow{}
			for _, n := range f.Nodes {
				r := slotRow{Node: n.Name, Slot: n.Slot}
				r.OK = n.Reachable && n.Slot != nil && n.Slot.Active && n.Slot.Invalidation == ""
				healthy = healthy && r.OK
				rows = append(rows, r)
			}
			if err := s.print(rows, func(w io.Writer) { slotsTable(w, rows) }); err != nil {
				return err
			}
			if !healthy {
				return errUnhealthy
			}
			return nil
		},
	}
}

func slotsTable(w io.Writer, rows []slotRow) {
	row(w, "NODE", "SLOT", "ACTIVE", "CONFIRMED", "RESTART", "HOLDS", "WAL", "ON STANDBYS", "INVALIDATED")
	for _, r := range rows {
		if r.Slot == nil {
			row(w, r.Node, "?", "?", "?", "?", "?", "?", "?", "?")
			continue
		}
		row(w, r.Node, r.Slot.Name, yesNo(r.Slot.Active), lsn(r.Slot.Confirmed), lsn(r.Slot.Restart), size(r.Slot.RetainedBytes),
			r.Slot.WALStatus, yesNo(r.Slot.Failover), r.Slot.Invalidation)
	}
}
