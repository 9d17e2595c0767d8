package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/report"
)

// lagCell is how far a peer is behind an origin. Bytes and Seconds are null
// where that is not known.
type lagCell struct {
	Origin  string   `json:"origin"`
	Peer    string   `json:"peer"`
	Bytes   *int64   `json:"bytes"`   // of the origin's WAL, published and not applied
	Seconds *float64 `json:"seconds"` // between the commits last published and last applied
	State   string   `json:"state,omitempty"`
	Reason  string   `json:"reason,omitempty"` // why it is not known, or why it does not move
}

// captureLag is what an origin has not even read of its own WAL.
type captureLag struct {
	Origin string `json:"origin"`
	Bytes  *int64 `json:"bytes"` // of WAL that is flushed and neither published nor passed over
}

type lagReport struct {
	OK      bool         `json:"ok"`
	Time    time.Time    `json:"time"`
	Error   string       `json:"error,omitempty"`
	Nodes   []string     `json:"nodes"`
	Lag     []lagCell    `json:"lag"`
	Capture []captureLag `json:"capture"`
}

func lagCommand(s *session) *cobra.Command {
	var watch bool
	var interval time.Duration
	command := &cobra.Command{
		Use: "lag", Short: "How far every member is behind every other, in bytes and in seconds", Args: cobra.NoArgs,
		Long: `lag prints a matrix: what the member in the row has published and the member in
the column has not applied yet, in bytes of WAL and in seconds between commits.
"?" stands for what is not known. "capture" is WAL that the origin has not read.`,
		RunE: func(command *cobra.Command, _ []string) error {
			if interval <= 0 {
				return usageError{fmt.Errorf("--interval must be above zero")}
			}
			if watch {
				return s.watchLag(command.Context(), interval)
			}
			return s.lag(command.Context())
		},
	}
	command.Flags().BoolVarP(&watch, "watch", "w", false, "print again and again until interrupted")
	command.Flags().DurationVar(&interval, "interval", time.Second, "with --watch: how often")
	return command
}

func (s *session) lag(ctx context.Context) error {
	f, err := s.status(ctx)
	if err != nil {
		return err
	}
	r := measureLag(f)
	if err := s.print(r, func(w io.Writer) { lagTable(w, r) }); err != nil {
		return err
	}
	if !r.OK {
		return errUnhealthy
	}
	return nil
}

// watchLag ends with the health of what it printed last.
func (s *session) watchLag(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for first := true; ; first = false {
		if s.format == formatTable {
			if !first {
				fmt.Fprintln(s.out)
			}
			fmt.Fprintln(s.out, moment(time.Now()))
		} else if s.format == formatYAML && !first {
			fmt.Fprintln(s.out, "---")
		}
		s.begin()
		err := s.lag(ctx)
		if err != nil && !errors.Is(err, errUnhealthy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func measureLag(f federationStatus) lagReport {
	r := lagReport{OK: f.Error == "", Time: f.Time, Error: f.Error, Nodes: []string{}, Lag: []lagCell{}, Capture: []captureLag{}}
	nodes := slices.Clone(f.Nodes)
	slices.SortFunc(nodes, func(a, b nodeStatus) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for _, origin := range nodes {
		r.Nodes = append(r.Nodes, origin.Name)
		capture := captureLag{Origin: origin.Name}
		if origin.Stream != nil && origin.Reachable && origin.Postgres.Flushed != 0 {
			bytes := max(0, int64(origin.Postgres.Flushed)-int64(max(origin.Stream.Captured, origin.Stream.Published)))
			capture.Bytes = &bytes
		}
		r.Capture = append(r.Capture, capture)
		for _, peer := range nodes {
			if peer.Name == origin.Name {
				continue
			}
			cell := measureCell(origin, peer)
			r.OK = r.OK && cell.Bytes != nil && cell.State != report.Halted
			r.Lag = append(r.Lag, cell)
		}
	}
	return r
}

func measureCell(origin, peer nodeStatus) lagCell {
	cell := lagCell{Origin: origin.Name, Peer: peer.Name}
	i := slices.IndexFunc(peer.Inbound, func(in report.Inbound) bool { return in.Origin == origin.Name })
	switch {
	case origin.Stream == nil || !origin.Reachable:
		cell.Reason = origin.Name + " is not heard"
	case peer.Stream == nil || !peer.Reachable:
		cell.Reason = peer.Name + " is not heard"
	case i < 0:
		cell.Reason = peer.Name + " does not apply " + origin.Name
	}
	if i >= 0 {
		cell.State = peer.Inbound[i].State
		if halt := peer.Inbound[i].Halt; halt != nil {
			cell.Reason = halt.Message
		}
	}
	if origin.Stream == nil || !origin.Reachable || peer.Stream == nil || !peer.Reachable || i < 0 {
		return cell
	}
	in := peer.Inbound[i]
	var bytes int64
	var seconds float64
	switch {
	case in.Applied.IsZero(): // it has not begun
		bytes = max(0, int64(origin.Stream.Published)-int64(origin.Stream.History.Start))
		cell.Bytes = &bytes
		return cell
	case in.Applied.History != origin.Stream.History.ID:
		cell.Reason = "it applies another history of " + origin.Name
		return cell
	case in.Applied.LSN < origin.Stream.Published:
		bytes = int64(origin.Stream.Published - in.Applied.LSN)
		if in.CommitTime.IsZero() || origin.Stream.CommitTime.IsZero() {
			cell.Bytes = &bytes
			return cell
		}
		seconds = max(0, origin.Stream.CommitTime.Sub(in.CommitTime).Seconds())
	}
	cell.Bytes, cell.Seconds = &bytes, &seconds
	return cell
}

func lagTable(w io.Writer, r lagReport) {
	row(w, slices.Concat([]string{"FROM \\ TO"}, r.Nodes, []string{"CAPTURE"})...)
	for i, origin := range r.Nodes {
		columns := []string{origin}
		for _, peer := range r.Nodes {
			columns = append(columns, cellText(r.Lag, origin, peer))
		}
		capture := "?"
		if bytes := r.Capture[i].Bytes; bytes != nil {
			capture = size(*bytes)
		}
		row(w, append(columns, capture)...)
	}
	first := true
	for _, cell := range r.Lag {
		if cell.Reason == "" {
			continue
		}
		if first {
			fmt.Fprintln(w)
			first = false
		}
		fmt.Fprintf(w, "%s -> %s: %s\n", cell.Origin, cell.Peer, cell.Reason)
	}
}

func cellText(cells []lagCell, origin, peer string) string {
	i := slices.IndexFunc(cells, func(c lagCell) bool { return c.Origin == origin && c.Peer == peer })
	if i < 0 {
		return "-"
	}
	cell := cells[i]
	text := "?"
	if cell.Bytes != nil {
		text = size(*cell.Bytes)
		if cell.Seconds != nil {
			text += " " + seconds(*cell.Seconds)
		} else {
			text += " ?"
		}
	}
	if cell.State != "" && cell.State != report.Applying {
		text += " " + cell.State
	}
	return text
}
