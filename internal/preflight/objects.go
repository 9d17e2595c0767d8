package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/change"
)

func (c *check) publication(ctx context.Context) error {
	name := c.Federation.PublicationName()
	have, err := catalog.ReadPublication(ctx, c.q, c.server, name)
	if err != nil {
		return err
	}
	if c.tables, err = catalog.ReadTables(ctx, c.q, c.Federation); err != nil {
		return err
	}
	switch {
	case !have.Exists && !c.installed:
		return nil
	case !have.Exists:
		c.fail("publication_missing", name, "the publication does not exist, so nothing is captured", "replctl init says what can be saved; changes since it was dropped are lost: "+startAfresh)
		return nil
	case have.AllTables || have.Schemas > 0:
		c.fail("publication_foreign", name, "the publication is for all tables or whole schemas, not the file's tables", "drop it and run replctl init")
	case have.Filtered > 0:
		c.fail("publication_filtered", name, "the publication has row filters or column lists: peers would get parts of rows or tables", "remove them with ALTER PUBLICATION")
	case have.ViaRoot || !have.Insert || !have.Update || !have.Delete || !have.Truncate || c.server.SendsGenerated() && !have.Generated:
		c.fail("publication_options", name, "the publication leaves operations or stored generated columns out, or hides partitions", "replctl init")
	default:
		c.ok("publication", name, "publishes every operation")
	}
	for _, t := range c.tables.Unpublished() {
		c.fail("unpublished", t.String(), "the file selects this table, but its changes are not captured", "replctl init")
	}
	wanted := c.tables.ToPublish()
	for _, t := range c.tables.All() {
		if t.Published && !t.Selected && t.Kind == catalog.Ordinary {
			c.fail("published_unselected", t.String(), "the publication holds this table, but the file does not select it", "replctl init")
		}
	}
	c.ok("published", name, "%d tables and partition roots", len(wanted))
	return nil
}

// startAfresh is the remedy where changes are lost.
const startAfresh = `this node must start afresh: docs/OPERATIONS.md, "When a node must start afresh"`

func (c *check) slot(ctx context.Context) error {
	name := c.Federation.SlotName(c.Node)
	slot, err := catalog.ReadSlot(ctx, c.q, c.server, name)
	if err != nil {
		return err
	}
	c.judgeSlot(name, slot)
	return nil
}

func (c *check) judgeSlot(name string, slot catalog.Slot) {
	const lost = "changes that it held are gone"
	switch {
	case !slot.Exists && !c.installed:
	case !slot.Exists:
		c.fail("slot_missing", name, "the slot does not exist; "+lost, startAfresh+"; a new slot would hide the gap")
	case slot.Type != "logical" || slot.Plugin != "pgoutput":
		c.fail("slot_foreign", name, fmt.Sprintf("a %s slot with plugin %q, not ours", slot.Type, slot.Plugin), "drop or rename what uses it")
	case slot.Invalidation != "":
		c.fail("slot_invalidated", name, "the server invalidated the slot ("+slot.Invalidation+"); "+lost, startAfresh)
	case slot.WALStatus == "unreserved":
		c.fail("slot_at_risk", name, "the slot holds more WAL than allowed and is lost at the next checkpoint", "start the replicator and its broker now, or raise max_slot_wal_keep_size")
	case c.server.Failover() && !slot.Failover:
		c.warn("slot_failover", name, "the slot is not kept on standbys", "with the replicator stopped: ALTER_REPLICATION_SLOT "+name+" (FAILOVER true) on a replication connection")
	default:
		c.ok("slot", name, "holds %d bytes of WAL", slot.Retained)
	}
}

func (c *check) allTables(context.Context) error {
	if c.tables == nil {
		return nil // reported with the publication
	}
	selected := c.tables.Selected()
	if len(selected) == 0 {
		c.warn("no_tables", "tables.include", "the file selects no table of this database", "create the tables, or correct tables.include")
		return nil
	}
	for _, t := range selected {
		c.table(t)
	}
	for _, t := range c.tables.Apart() {
		c.warn("partitions_apart", t.String(), "the file selects this partitioned table but not all of its partitions, so later partitions are not captured by themselves",
			"select all partitions, or run replctl init after each new one")
	}
	return nil
}

// table makes the checks of one table; one finding each, or ok.
func (c *check) table(t *catalog.Table) {
	before := len(c.findings)
	name := t.String()
	switch {
	case t.Persistence != 'p':
		c.warn("unlogged", name, "an unlogged table writes no WAL: its changes are not captured", "ALTER TABLE "+t.Quoted()+" SET LOGGED, or exclude it")
	case t.DeferrableKey && !t.Identifiable():
		c.warn("deferrable_key", name, "the primary key is deferrable and cannot identify rows: only INSERT and TRUNCATE are possible, the server refuses UPDATE and DELETE",
			"make it NOT DEFERRABLE, or ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY FULL")
	case !t.Identifiable():
		c.warn("no_identity", name, "no replica identity: only INSERT and TRUNCATE are possible, and once published the server refuses this table's UPDATE and DELETE",
			"add a primary key, or ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY FULL, or exclude it")
	}
	c.generatedIdentity(t)
	c.ownerColumn(t)
	c.localColumns(t)
	if outside := c.outside(t.ReferencedBy); len(outside) > 0 {
		c.warn("referenced_from_outside", name, "foreign keys of tables that are not replicated ("+outside+") point here; applied deletes do not check or cascade them",
			"replicate those tables too, or drop the foreign keys")
	}
	if outside := c.outside(t.References); len(outside) > 0 {
		c.warn("references_outside", name, "a foreign key points to tables that are not replicated ("+outside+"); applied rows may reference what is not there",
			"replicate those tables too, or drop the foreign key")
	}
	sent := func(column string) bool { return !c.Federation.Local(t.Schema, t.Name, column) }
	if counted := those(t.SequenceColumns, sent); counted != nil {
		c.warn("sequence", name, "column "+strings.Join(counted, ", ")+" is filled by a sequence, which every node counts for itself: keys will collide",
			"use uuid keys, or give each node its own START and a common INCREMENT BY")
	}
	if t.EnabledAlwaysCount > 0 {
		c.warn("always_trigger", name, fmt.Sprintf("%d triggers (ENABLE ALWAYS or REPLICA) also fire when peers' changes are applied", t.EnabledAlwaysCount),
			"make sure that they write nothing that is replicated")
	}
	if len(c.findings) == before {
		c.ok("table", name, "identity (%s)", strings.Join(t.IdentityColumns, ", "))
	}
}

// generatedIdentity: a generated column that is not sent identifies nothing.
// From 18 on stored ones are sent, and the server refuses UPDATE and DELETE of a
// published table with a virtual one under FULL. Earlier servers send none, and
// FULL leaves them out.
func (c *check) generatedIdentity(t *catalog.Table) {
	for _, column := range t.IdentityColumns {
		stored, virtual := slices.Contains(t.StoredColumns, column), slices.Contains(t.VirtualColumns, column)
		if !virtual && (!stored || c.server.SendsGenerated() || t.Identity == change.IdentityFull) {
			continue
		}
		c.fail("generated_identity", t.String(), "column "+column+" of the replica identity is generated, and this server does not send it: UPDATE and DELETE are refused, or find no row at the peers",
			"ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY USING INDEX, with a unique index over ordinary columns, or exclude it")
	}
}

// ownerColumn: whose row it was must be in every change's old image.
func (c *check) ownerColumn(t *catalog.Table) {
	column := c.rules.For(t.Schema, t.Name).Column
	switch {
	case column == "":
	case !slices.Contains(t.Columns, column):
		c.fail("owner_column_missing", t.String(), "column "+column+", which names the owner, does not exist", "add the column, or correct the ownership rule")
	case t.Identifiable() && !t.Covers(column):
		c.fail("owner_column_outside_identity", t.String(), "column "+column+", which names the owner, is not part of the replica identity, so updates and deletes do not tell it",
			"ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY FULL, or a unique index with "+column+" as identity")
	}
}

func (c *check) outside(names []string) string {
	var outside []string
	for _, name := range names {
		if t := c.tables.Named(name); t != nil && !t.Selected {
			outside = append(outside, name)
		}
	}
	return strings.Join(outside, ", ")
}
