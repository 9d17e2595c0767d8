package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/report"
)

func statusCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "The members, and what is wrong with them", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := s.status(command.Context())
			if err != nil {
				return err
			}
			if err := s.print(f, func(w io.Writer) { statusTable(w, f) }); err != nil {
				return err
			}
			if !f.OK {
				return errUnhealthy
			}
			return nil
		},
	}
}

func statusTable(w io.Writer, f federationStatus) {
	row(w, "NODE", "HEALTH", "ROLE", "POSTGRES", "PUBLISHED", "SLOT HOLDS", "APPLYING", "CONFLICTS", "PARKED", "HEARD")
	for _, n := range f.Nodes {
		health := "ok"
		if !n.Health.OK {
			health = "UNHEALTHY"
		}
		columns := []string{n.Name, health, n.Role, "?", "?", "?", "?", "?", "?", "never"}
		if n.Stream != nil {
			copy(columns[3:], []string{
				n.Postgres.Version, lsn(n.Stream.Published), size(n.Slot.RetainedBytes), inboundSummary(n.Inbound),
				fmt.Sprint(n.Counts.Conflicts), fmt.Sprint(n.Counts.Parked),
			})
		}
		if n.Heard != nil {
			columns[9] = "now"
			if age := f.Time.Sub(*n.Heard).Seconds(); age >= 1 {
				columns[9] = seconds(age) + " ago"
			}
		}
		row(w, columns...)
	}
	var reasons []string
	for _, n := range f.Nodes {
		for _, reason := range n.Health.Reasons {
			reasons = append(reasons, reasonLines(n.Name, reason))
		}
	}
	if len(reasons) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(reasons, "\n"))
	}
}

// inboundSummary counts the origins that a node applies, and names those that
// it does not: "2 of 2", "1 of 2 (west halted)".
func inboundSummary(inbound []report.Inbound) string {
	working := 0
	var others []string
	for _, in := range inbound {
		if in.State == report.Applying || in.State == report.Waiting {
			working++
		}
		if in.State != report.Applying {
			others = append(others, in.Origin+" "+in.State)
		}
	}
	summary := fmt.Sprintf("%d of %d", working, len(inbound))
	if len(others) > 0 {
		summary += " (" + strings.Join(others, ", ") + ")"
	}
	return summary
}

// reasonLines tells a reason as people read it, its remedy on a second line.
func reasonLines(node string, r report.Reason) string {
	where := ""
	for _, part := range []struct{ word, value string }{{"origin", r.Origin}, {"position", r.Position}, {"table", r.Table}} {
		if part.value != "" {
			where += " " + part.word + " " + part.value
		}
	}
	line := node + ": " + r.Code
	if where != "" {
		line += " (" + strings.TrimSpace(where) + ")"
	}
	line += ": " + strings.ReplaceAll(r.Message, "\n", " ")
	if r.Remedy != "" {
		line += "\n    -> " + r.Remedy
	}
	return line
}
