package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/report"
)

func parkedCommand(s *session) *cobra.Command {
	return recordsCommand(s, "parked", "Transactions that could not be applied and are kept, newest first", admin.Parked, parkedTable)
}

func parkedTable(w io.Writer, rows []report.Parked) {
	row(w, "PARKED", "ORIGIN", "POSITION", "TABLE", "SQLSTATE", "REASON")
	for _, p := range rows {
		row(w, moment(p.Time), p.Origin, p.Position.String(), p.Schema+"."+p.Table, p.SQLState, p.Reason)
	}
}
