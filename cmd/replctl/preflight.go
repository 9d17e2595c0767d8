package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/preflight"
	"github.com/pgfed/pgfed/internal/report"
)

func preflightCommand(s *session) *cobra.Command {
	var role string
	command := &cobra.Command{
		Use: "preflight", Short: "Looks for what would keep a node from working, and says what to do", Args: cobra.NoArgs,
		Long: `preflight looks at a member's database: settings, capacity, privileges, the
publication, the slot, and every table that the federation file selects. With
--server it also asks the running replicator about its broker, its peers and
their clocks. It changes nothing. It ends with 1 when it finds an error.`,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := s.member()
			if err != nil {
				return err
			}
			return s.preflight(command.Context(), f, role)
		},
	}
	command.Flags().StringVar(&role, "role", "", "check the privileges of this role instead of the one that connects")
	return command
}

func (s *session) preflight(ctx context.Context, f *config.Federation, role string) error {
	findings, err := s.databaseFindings(ctx, f, role)
	if _, wrong := errors.AsType[usageError](err); wrong {
		return err
	}
	if err != nil {
		findings = append(findings, preflight.Finding{
			Severity: preflight.Error, Code: "database", Subject: "database", Message: err.Error(), Remedy: "check --postgres (PGFED_POSTGRES_URL) or the PG* variables",
		})
	}
	if s.serverGiven {
		more, err := s.replicatorFindings(ctx, f)
		if err != nil {
			return err
		}
		findings = append(findings, more...)
	}
	document := struct {
		OK       bool               `json:"ok"`
		Node     string             `json:"node"`
		Findings preflight.Findings `json:"findings"`
	}{!findings.Failed(), s.node, findings}
	var exclude []string
	for _, finding := range findings {
		if finding.Exclude != "" {
			exclude = append(exclude, finding.Exclude)
		}
	}
	section, err := leftOut(f, exclude)
	if err != nil {
		return err
	}
	if err := s.print(document, func(w io.Writer) { findingsTable(w, findings, section) }); err != nil {
		return err
	}
	if findings.Failed() {
		return errUnhealthy
	}
	return nil
}

func (s *session) databaseFindings(ctx context.Context, f *config.Federation, role string) (preflight.Findings, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ctx, cancel := s.asking(ctx)
	defer cancel()
	return preflight.Database(ctx, conn, preflight.Options{Federation: f, Node: s.node, Role: role})
}

func (s *session) replicatorFindings(ctx context.Context, f *config.Federation) (preflight.Findings, error) {
	var status report.Status
	asked := time.Now()
	err := s.ask(ctx, "/v1/status", &status)
	if usage, wrong := errors.AsType[usageError](err); wrong {
		return nil, usage
	}
	if err != nil {
		return unanswered(err), nil
	}
	return preflight.Replicator(f, s.node, status, asked, time.Now()), nil
}

// unanswered is the finding that the replicator did not answer.
func unanswered(err error) preflight.Findings {
	return preflight.Findings{{
		Severity: preflight.Error, Code: "replicator_silent", Subject: "replicator", Message: err.Error(), Remedy: "start the replicator, or check --server",
	}}
}

func findingsTable(w io.Writer, findings preflight.Findings, section string) {
	errors, warnings := 0, 0
	row(w, "RESULT", "CHECK", "SUBJECT", "FINDING")
	var remedies []string
	for _, finding := range findings {
		result := string(finding.Severity)
		switch finding.Severity {
		case preflight.Error:
			errors++
			result = "ERROR"
		case preflight.Warning:
			warnings++
		}
		row(w, result, finding.Code, finding.Subject, finding.Message)
		if finding.Remedy != "" {
			remedies = append(remedies, fmt.Sprintf("%s %s\n    -> %s", finding.Code, finding.Subject, finding.Remedy))
		}
	}
	if len(remedies) > 0 {
		fmt.Fprintf(w, "\nWhat to do:\n%s\n", strings.Join(remedies, "\n"))
	}
	fmt.Fprint(w, section)
	fmt.Fprintf(w, "\n%s, %s\n", counted(errors, "error"), counted(warnings, "warning"))
}

// counted gives "1 error", "2 errors".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
