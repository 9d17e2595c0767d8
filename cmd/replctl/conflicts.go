package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/report"
)

func conflictsCommand(s *session) *cobra.Command {
	return recordsCommand(s, "conflicts", "Changes that were not applied as their origin made them, newest first", admin.Conflicts, conflictsTable)
}

func conflictsTable(w io.Writer, rows []report.Conflict) {
	row(w, "TIME", "ORIGIN", "POSITION", "NO", "TABLE", "OPERATION", "KIND", "OWNER", "RESOLUTION", "KEY HASH")
	for _, c := range rows {
		row(w, moment(c.Time), c.Origin, c.Position.String(), fmt.Sprint(c.Ordinal), c.Schema+"."+c.Table, c.Operation, c.Kind, c.Owner, c.Resolution, c.KeyHash)
	}
}
