package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/report"
)

// streamRow is a member's stream; null where the member is not heard.
type streamRow struct {
	Node   string         `json:"node"`
	OK     bool           `json:"ok"`
	Stream *report.Stream `json:"stream"`
}

func streamsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "streams", Short: "The members' streams: how far they are and how full", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := s.status(command.Context())
			if err != nil {
				return err
			}
			healthy := true
			rows := []streamRow{}
			for _, n := range f.Nodes {
				r := streamRow{Node: n.Name, Stream: n.Stream}
				r.OK = n.Reachable && n.Stream != nil && !n.Stream.Generation.IsZero()
				healthy = healthy && r.OK
				rows = append(rows, r)
			}
			if err := s.print(rows, func(w io.Writer) { streamsTable(w, rows) }); err != nil {
				return err
			}
			if !healthy {
				return errUnhealthy
			}
			return nil
		},
	}
}

func streamsTable(w io.Writer, rows []streamRow) {
	row(w, "NODE", "STREAM", "HISTORY", "TIMELINE", "GENERATION", "PUBLISHED", "SEQUENCE", "MESSAGES", "BYTES", "FULL")
	for _, r := range rows {
		stream := r.Stream
		if stream == nil {
			row(w, r.Node, "?", "?", "?", "?", "?", "?", "?", "?", "?")
			continue
		}
		full := "?"
		if stream.MaxBytes > 0 {
			full = fmt.Sprintf("%.0f%%", 100*float64(stream.Bytes)/float64(stream.MaxBytes))
		}
		row(w, r.Node, stream.Name, stream.History.ID.Short(), fmt.Sprint(stream.History.Timeline), stream.Generation.Short(), lsn(stream.Published),
			fmt.Sprint(stream.Sequence), fmt.Sprint(stream.Messages), size(int64(stream.Bytes)), full)
	}
}
