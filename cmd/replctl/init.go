package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/catalog"
)

// initReport is what "replctl init" prints for programs.
type initReport struct {
	Node     string     `json:"node"`
	Changed  bool       `json:"changed"`
	Steps    []initStep `json:"steps"`
	Warnings []string   `json:"warnings"`
	// Unfit is what init refuses: nothing was changed.
	Unfit []catalog.Unfit `json:"unfit,omitempty"`
}

type initStep struct {
	Title      string   `json:"title"`
	Statements []string `json:"statements"`
}

func initCommand(s *session) *cobra.Command {
	var dryRun, yes bool
	var role string
	command := &cobra.Command{
		Use: "init", Short: "Makes a database a member: schema, publication, origins, slot, role", Args: cobra.NoArgs,
		Long: `init installs what pgfed keeps in a member's database, and adds to the
publication the tables that were made since. It may be interrupted and repeated:
it does what is left to do, and nothing when nothing is left. It never replaces
a slot that was lost. Run it as a superuser; the replicator itself needs no more
than the role that --role makes.

As long as the federation file selects a table that cannot be federated as it is,
init names each with its reason, changes nothing and ends with 1. Mend them, or
exclude them in the file; --dry-run tells the same.

The slot comes last and waits for every transaction that is open on the server;
init says for whom it waits.`,
		RunE: func(command *cobra.Command, _ []string) error {
			return s.init(command.Context(), admin.Options{Node: s.node, Role: role}, dryRun, yes)
		},
	}
	command.Flags().BoolVar(&dryRun, "dry-run", false, "print the SQL and change nothing")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	command.Flags().StringVar(&role, "role", "", "give this role what the replicator needs, creating it without a password if it is absent")
	return command
}

func (s *session) init(ctx context.Context, o admin.Options, dryRun, yes bool) error {
	f, err := s.member()
	if err != nil {
		return err
	}
	o.Federation = f
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	plan, err := s.plan(ctx, conn, o)
	if unfit, refused := errors.AsType[*admin.UnfitError](err); refused {
		return s.refuse(o.Node, f, unfit.Unfit)
	}
	if err != nil {
		return failure{fmt.Errorf("init %s: %w", o.Node, err)}
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintln(s.errs, "warning:", warning)
	}
	if plan.Empty() || dryRun {
		return s.printPlan(o.Node, plan, false)
	}
	if !yes {
		if err := s.confirm(fmt.Sprintf("%d steps would make this database node %s of federation %s (--dry-run prints them). Go on?",
			len(plan.Steps), o.Node, f.Federation)); err != nil {
			return err
		}
	}
	tell := func(line string) { fmt.Fprintln(s.errs, line) }
	if err := admin.Install(ctx, conn, plan, tell); err != nil {
		return failure{fmt.Errorf("init %s: %w", o.Node, err)}
	}
	return s.printPlan(o.Node, plan, true)
}

func (s *session) plan(ctx context.Context, conn *pgx.Conn, o admin.Options) (*admin.Plan, error) {
	ctx, cancel := s.asking(ctx)
	defer cancel()
	return admin.NewPlan(ctx, conn, o)
}

func (s *session) printPlan(node string, plan *admin.Plan, done bool) error {
	document := initReport{Node: node, Changed: done, Steps: []initStep{}, Warnings: append([]string{}, plan.Warnings...)}
	for _, step := range plan.Steps {
		document.Steps = append(document.Steps, initStep{step.Title, step.Statements})
	}
	return s.print(document, func(w io.Writer) {
		switch {
		case plan.Empty():
			fmt.Fprintf(w, "node %s is installed; nothing is left to do\n", node)
		case done:
			fmt.Fprintf(w, "node %s is installed\n", node)
		default:
			fmt.Fprint(w, plan.SQL())
		}
	})
}

// confirm asks a person; without one it wants --yes.
func (s *session) confirm(question string) error {
	if file, ok := s.in.(*os.File); ok {
		if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return usageError{errors.New("nobody is there to ask; give --yes, or look first with --dry-run")}
		}
	}
	fmt.Fprint(s.errs, question, " [y/N] ")
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && answer == "" {
		return usageError{errors.New("nobody is there to ask; give --yes, or look first with --dry-run")}
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return failure{errors.New("stopped; nothing was changed")}
}
