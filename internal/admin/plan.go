package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/config"
)

// Options says what to install.
type Options struct {
	Federation *config.Federation
	Node       string
	Role       string // what the replicator logs in as, created if absent; "" leaves roles alone
}

// Step is a few statements that belong together.
type Step struct {
	Title      string
	Statements []string
	// Transaction: the statements run in one transaction.
	Transaction bool
	// Locks: the statements wait for table locks; they give up after
	// lockTimeout and are tried again, so that nobody queues behind them.
	Locks bool
	// CreatesSlot: the statement waits for every open transaction.
	CreatesSlot bool
}

// Plan is what remains to be done to make the database a member. It is empty
// when everything is in place.
type Plan struct {
	Steps    []Step
	Warnings []string
}

// Empty reports whether nothing is left to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// SQL is the plan as a script for psql: what Install runs, statement for
// statement.
func (p *Plan) SQL() string {
	var b strings.Builder
	for i, step := range p.Steps {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "-- %d. %s\n", i+1, strings.ReplaceAll(step.Title, "\n", " "))
		if step.Transaction {
			b.WriteString("BEGIN;\n")
		}
		for _, statement := range step.Statements {
			b.WriteString(strings.TrimSpace(statement))
			if !strings.HasSuffix(strings.TrimSpace(statement), ";") {
				b.WriteString(";")
			}
			b.WriteString("\n")
		}
		if step.Transaction {
			b.WriteString("COMMIT;\n")
		}
	}
	return b.String()
}

// ErrSlotLost is wrapped when the slot of an installed node is missing or can
// no longer be used: changes were lost on the way, and making a new one would
// hide that.
var ErrSlotLost = errors.New("the slot was lost: changes that it held are gone, so this node must start afresh (docs/OPERATIONS.md)")

// planner reads a database once and decides what remains.
type planner struct {
	Options
	q      Querier
	server catalog.Server
	plan   *Plan

	installed bool // the node row is there
	version   int
	recorded  bool // a history is there
	slot      catalog.Slot
}

// NewPlan looks at the database, changes nothing, and says what Install would
// do. It refuses a database that belongs to somebody else, a server that
// cannot capture, a slot that was lost, and, with an UnfitError, tables that
// cannot be federated as they are.
func NewPlan(ctx context.Context, q Querier, o Options) (*Plan, error) {
	if _, known := o.Federation.Nodes[o.Node]; !known {
		return nil, fmt.Errorf("node %q is not in the federation file; the nodes are %s", o.Node, strings.Join(o.Federation.NodeNames(), ", "))
	}
	p := &planner{Options: o, q: q, plan: new(Plan)}
	for _, step := range []func(context.Context) error{
		p.readServer, p.readNode, p.readSlot,
		p.schema, p.publication, p.origins, p.createSlot, p.role,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p.plan, nil
}

func (p *planner) add(s Step) { p.plan.Steps = append(p.plan.Steps, s) }

func (p *planner) warn(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

func (p *planner) readServer(ctx context.Context) error {
	var err error
	if p.server, err = catalog.ReadServer(ctx, p.q); err != nil {
		return err
	}
	if p.server.Major < catalog.OldestMajor || p.server.Major > catalog.NewestMajor {
		return fmt.Errorf("the server runs Postgres %d; members run %d to %d", p.server.Major, catalog.OldestMajor, catalog.NewestMajor)
	}
	var standby bool
	var level string
	if err := p.q.QueryRow(ctx, "SELECT pg_is_in_recovery(), current_setting('wal_level')").Scan(&standby, &level); err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	if standby {
		return errors.New("the server is a standby; run init on the primary")
	}
	if level != "logical" {
		return fmt.Errorf("wal_level is %s; set wal_level = logical and restart the server", level)
	}
	return nil
}

func (p *planner) readNode(ctx context.Context) error {
	node, err := ReadNode(ctx, p.q)
	if errors.Is(err, ErrNotInstalled) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := node.Check(p.Federation, p.Node); err != nil {
		return err
	}
	p.installed, p.version = true, node.Version

	history, err := ReadHistory(ctx, p.q)
	if errors.Is(err, ErrNoHistory) {
		return nil
	}
	if err != nil {
		return err
	}
	p.recorded = true
	var system string
	if err := p.q.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&system); err != nil {
		return fmt.Errorf("read the server's identifier: %w", err)
	}
	if recorded := fmt.Sprint(history.System); recorded != system {
		return fmt.Errorf("this database was node %s on another server (system %s, this is %s), such as a restored copy: %w",
			p.Node, recorded, system, ErrSlotLost)
	}
	return nil
}

func (p *planner) readSlot(ctx context.Context) error {
	name := p.Federation.SlotName(p.Node)
	var err error
	if p.slot, err = catalog.ReadSlot(ctx, p.q, p.server, name); err != nil {
		return err
	}
	var database string
	if err := p.q.QueryRow(ctx, "SELECT current_database()").Scan(&database); err != nil {
		return fmt.Errorf("read the database's name: %w", err)
	}
	switch slot := p.slot; {
	case !slot.Exists && p.recorded:
		return fmt.Errorf("slot %s does not exist: %w", name, ErrSlotLost)
	case !slot.Exists:
		return nil
	case slot.Type != "logical" || slot.Plugin != "pgoutput":
		return fmt.Errorf("slot %s is a %s slot (plugin %q) and not ours; drop or rename what uses it", name, slot.Type, slot.Plugin)
	case slot.Database != database:
		return fmt.Errorf("slot %s belongs to database %s; another member named %s lives on this server", name, slot.Database, p.Node)
	case slot.Invalidation != "" && p.recorded:
		return fmt.Errorf("slot %s was invalidated (%s): %w", name, slot.Invalidation, ErrSlotLost)
	case slot.Invalidation != "":
		return fmt.Errorf("slot %s was invalidated (%s) before init finished; drop it with SELECT pg_drop_replication_slot(%s) and run init again",
			name, slot.Invalidation, literal(name))
	}
	return nil
}

func (p *planner) schema(context.Context) error {
	if p.installed && p.version == SchemaVersion {
		return nil
	}
	p.add(Step{
		Title:       "Schema pgfed: checkpoints, histories, conflicts, parked transactions",
		Transaction: true,
		Statements: []string{
			"SET LOCAL client_min_messages = warning",
			schemaSQL,
			fmt.Sprintf("INSERT INTO pgfed.node (federation, node, version) VALUES (%s, %s, %d)\n"+
				"    ON CONFLICT (singleton) DO UPDATE SET version = excluded.version WHERE node.version < excluded.version",
				literal(p.Federation.Federation), literal(p.Node), SchemaVersion),
		},
	})
	return nil
}

func (p *planner) origins(ctx context.Context) error {
	ours, _, err := catalog.Origins(ctx, p.q, config.Prefix+p.Federation.Federation+"_")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, name := range ours {
		have[name] = true
	}
	var statements []string
	for _, peer := range p.Federation.PeersOf(p.Node) {
		if name := p.Federation.OriginName(peer); !have[name] {
			statements = append(statements, fmt.Sprintf(
				"SELECT pg_replication_origin_create(%[1]s) WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = %[1]s)", literal(name)))
		}
	}
	if len(statements) > 0 {
		p.add(Step{Title: "Replication origins: the mark on what is applied from each peer", Statements: statements})
	}
	return nil
}

func (p *planner) createSlot(context.Context) error {
	name := p.Federation.SlotName(p.Node)
	if !p.slot.Exists {
		p.add(Step{
			Title:       "The slot: from here on the server keeps what was not shipped; waits for open transactions",
			CreatesSlot: true,
			Statements:  []string{strings.ReplaceAll(p.server.CreateSlot(), "$1", literal(name))},
		})
	}
	if !p.recorded {
		p.add(Step{
			Title: "The history: this life of the write-ahead log, from where the slot begins",
			Statements: []string{fmt.Sprintf(`INSERT INTO pgfed.history (id, system, timeline, start, confirmed)
SELECT gen_random_uuid(), system_identifier::text,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
       confirmed_flush_lsn, confirmed_flush_lsn
  FROM pg_control_system(), pg_replication_slots
 WHERE slot_name = %s AND NOT EXISTS (SELECT FROM pgfed.history)`, literal(name))},
		})
	}
	return nil
}

// literal quotes a string for SQL.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

func identifier(s string) string { return pgx.Identifier{s}.Sanitize() }
