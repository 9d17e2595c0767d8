// Package preflight looks for what would keep a node from working, before it
// does: settings, privileges, tables. Each finding says what to do about it.
// It only reads.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/config"
)

// Severity of a finding.
type Severity string

// The severities, mildest first.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // works, with a loss that somebody should know about
	Error   Severity = "error"   // would not work, or loses changes
)

// Finding is the result of one check.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`    // constant, for programs
	Subject  string   `json:"subject"` // the setting, table or peer it is about
	Message  string   `json:"message"`
	Remedy   string   `json:"remedy,omitempty"`
	Exclude  string   `json:"exclude,omitempty"` // a pattern for tables.exclude that ends it
}

// Findings is the result of all checks, in the order they were made.
type Findings []Finding

// Failed reports whether any of them is an error.
func (fs Findings) Failed() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

// Options says what to look at.
type Options struct {
	Federation *config.Federation
	Node       string
	// Role is what the replicator logs in as; "" means the role that asks.
	Role string
}

// check is one run over one database.
type check struct {
	Options
	q        catalog.Querier
	server   catalog.Server
	settings map[string]catalog.Setting
	tables   *catalog.Tables
	rules    *conflict.Rules
	findings Findings

	installed bool // this database is the node already
}

func (c *check) note(severity Severity, code, subject, message, remedy string) {
	c.findings = append(c.findings, Finding{Severity: severity, Code: code, Subject: subject, Message: message, Remedy: remedy})
}

func (c *check) ok(code, subject, format string, args ...any) {
	c.note(OK, code, subject, fmt.Sprintf(format, args...), "")
}

func (c *check) warn(code, subject, message, remedy string) {
	c.note(Warning, code, subject, message, remedy)
}

func (c *check) fail(code, subject, message, remedy string) {
	c.note(Error, code, subject, message, remedy)
}

// Database checks one member database. A check that cannot be made is a
// finding, and the others go on; the error is for a database that does not
// answer at all.
func Database(ctx context.Context, q admin.Querier, o Options) (Findings, error) {
	c := &check{Options: o, q: q}
	var err error
	if c.rules, err = conflict.Compile(o.Federation.RuleSpec(), o.Federation.NodeNames(), o.Federation.Policy()); err != nil {
		return nil, fmt.Errorf("read the ownership rules: %w", err)
	}
	if c.server, err = catalog.ReadServer(ctx, q); err != nil {
		return nil, err
	}
	c.version()
	c.keys()
	if c.server.Major < catalog.OldestMajor {
		return c.findings, nil
	}
	for _, step := range []struct {
		subject string
		run     func(context.Context) error
	}{
		{"settings", c.serverSettings},
		{"capacity", c.capacity},
		{"node", func(ctx context.Context) error { return c.node(ctx, q) }},
		{"publication", c.publication},
		{"slot", c.slot},
		{"role", func(ctx context.Context) error { return c.role(ctx, q) }},
		{"tables", c.allTables},
		{"standbys", c.standbys},
	} {
		if err := step.run(ctx); err != nil {
			if ctx.Err() != nil {
				return c.findings, err
			}
			c.fail("unreadable", step.subject, err.Error(), "run preflight as a role that may read the catalogs and pgfed's tables")
		}
	}
	return c.findings, nil
}

func (c *check) version() {
	s := c.server
	subject := "server version"
	switch minor := s.SafeMinor(); {
	case s.Major < catalog.OldestMajor:
		c.fail("server_version", subject, fmt.Sprintf("Postgres %s is too old", s.Version), fmt.Sprintf("upgrade to %d or later", catalog.OldestMajor))
	case s.Major > catalog.NewestMajor:
		c.warn("server_version", subject, fmt.Sprintf("Postgres %s is newer than any version this was tested with", s.Version), "upgrade pgfed")
	case s.Minor < minor:
		c.warn("server_version", subject,
			fmt.Sprintf("Postgres %s can lose changes when ALTER PUBLICATION or ALTER TYPE runs beside writes", s.Version),
			fmt.Sprintf("upgrade to %d.%d or later", s.Major, minor))
	default:
		c.ok("server_version", subject, "Postgres %s", s.Version)
	}
}

func (c *check) node(ctx context.Context, q admin.Querier) error {
	node, err := admin.ReadNode(ctx, q)
	if errors.Is(err, admin.ErrNotInstalled) {
		c.warn("not_installed", "node", "this database is not a member yet", "replctl init")
		return nil
	}
	if err != nil {
		return err
	}
	c.installed = true
	if err := node.Check(c.Federation, c.Node); err != nil {
		c.fail("wrong_node", "node", err.Error(), "check --node, --postgres and --config")
		return nil
	}
	if _, err := admin.ReadHistory(ctx, q); errors.Is(err, admin.ErrNoHistory) {
		c.fail("init_unfinished", "node", "init was interrupted", "replctl init")
		return nil
	} else if err != nil {
		return err
	}
	c.ok("node", "node", "node %s of federation %s", node.Name, node.Federation)
	return nil
}

// keys: without them a broker lets everybody in.
func (c *check) keys() {
	beyond := func(name string) bool { // reached from other machines
		url := c.Federation.Nodes[name].URL
		return strings.HasPrefix(url, "tls:") || strings.HasPrefix(url, "wss:")
	}
	if !c.Federation.Secured() && slices.ContainsFunc(c.Federation.NodeNames(), beyond) {
		c.warn("no_keys", "nodes", "no node has a key, so whoever reaches a broker can read and acknowledge its stream", "give every node a key in the federation file (nodes.<name>.key)")
	}
}

// role checks the privileges of whoever the replicator logs in as.
func (c *check) role(ctx context.Context, q admin.Querier) error {
	name := c.Role
	if name == "" {
		if err := q.QueryRow(ctx, "SELECT current_user::text").Scan(&name); err != nil {
			return fmt.Errorf("ask for the role: %w", err)
		}
	}
	gap, err := admin.ReadRoleGap(ctx, q, admin.Options{Federation: c.Federation, Node: c.Node, Role: name})
	remedy := "replctl init --role " + name
	switch {
	case err != nil:
		return err
	case gap.Superuser:
		c.ok("role", name, "a superuser; %q makes one with fewer privileges", "replctl init --role NAME")
	case len(gap.Statements) == 0:
		c.ok("role", name, "has all it needs")
	case !gap.Exists:
		c.fail("role_missing", name, "the role does not exist", remedy)
	case !c.installed:
		c.warn("role_privileges", name, fmt.Sprintf("%d privileges are missing until init grants them", len(gap.Statements)), remedy)
	default:
		c.fail("role_privileges", name, fmt.Sprintf("%d privileges are missing, the first: %s", len(gap.Statements), gap.Statements[0]), remedy)
	}
	return nil
}
