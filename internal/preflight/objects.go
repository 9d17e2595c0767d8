package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
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
	unfit := map[string]bool{}
	for _, u := range c.tables.Unfit(c.server, c.rules) {
		unfit[u.Table] = true
		c.findings = append(c.findings, Finding{
			Severity: Error, Code: u.Code, Subject: u.Table, Message: u.Reason, Exclude: u.Exclude,
			Remedy: fmt.Sprintf("%s; or leave it out with tables.exclude: [%q]", u.Remedy, u.Exclude),
		})
	}
	selected := c.tables.Selected()
	if len(selected) == 0 && len(unfit) == 0 {
		c.warn("no_tables", "tables.include", "the file selects no table of this database", "create the tables, or correct tables.include")
		return nil
	}
	for _, t := range selected {
		c.table(t, unfit[t.String()])
	}
	for _, name := range c.tables.Absent() {
		c.warn("absent_table", name, "tables.include names it, and this database has no such table: what a peer sends for it halts that origin here",
			"create it as at the peers, or correct tables.include")
	}
	c.roots()
	for _, t := range c.tables.Apart() {
		c.warn("partitions_apart", t.String(), "the file selects this partitioned table but not all of its partitions, so later partitions are not captured by themselves",
			"select all partitions, or run replctl init after each new one")
	}
	return nil
}

// table makes the checks of one table that are no reason to refuse it; one
// finding each, or ok when there is none and it is fit.
func (c *check) table(t *catalog.Table, unfit bool) {
	before := len(c.findings)
	name := t.String()
	if t.Persistence != 'p' && !unfit {
		c.warn("unlogged", name, "an unlogged table writes no WAL: its changes are not captured", "ALTER TABLE "+t.Quoted()+" SET LOGGED, or exclude it")
	}
	c.localColumns(t)
	c.insertOnly(t)
	if outside := c.outside(t.ReferencedBy); len(outside) > 0 {
		c.warn("referenced_from_outside", name, "foreign keys of tables that are not replicated ("+outside+") point here; applied deletes do not check or cascade them",
			"replicate those tables too, or drop the foreign keys")
	}
	if outside := c.outside(t.References); len(outside) > 0 {
		c.warn("references_outside", name, "a foreign key points to tables that are not replicated ("+outside+"); applied rows may reference what is not there",
			"replicate those tables too, or drop the foreign key")
	}
	c.sequences(t)
	if t.EnabledAlwaysCount > 0 {
		c.warn("always_trigger", name, fmt.Sprintf("%d triggers or rules (ENABLE ALWAYS or REPLICA) also act when peers' changes are applied", t.EnabledAlwaysCount),
			"make sure that they write nothing that is replicated")
	}
	if t.Extension != "" {
		c.warn("extension_table", name, "it belongs to extension "+t.Extension+", which writes rows itself when it is created or upgraded: done at two nodes, these clash",
			`exclude it, unless the extension leaves its rows to you`)
	}
	if len(c.findings) == before && !unfit {
		c.ok("table", name, "%s", carried(t))
	}
}

func (c *check) sequences(t *catalog.Table) {
	sent := func(column string) bool { return !c.Federation.Local(t.Schema, t.Name, column) }
	if counted := those(t.SequenceColumns, sent); counted != nil {
		c.warn("sequence", t.String(), "column "+strings.Join(counted, ", ")+" is filled by a sequence, which every node counts for itself: keys will collide",
			"use uuid keys, or give each node its own START and a common INCREMENT BY")
	}
}

// carried says what of a fit table reaches the peers.
func carried(t *catalog.Table) string {
	if t.Identifiable() {
		return "identity (" + strings.Join(t.IdentityColumns, ", ") + ")"
	}
	return "insert only: the server refuses its UPDATE and DELETE"
}

// insertOnly: what the file says about tables without identity, against what
// they are.
func (c *check) insertOnly(t *catalog.Table) {
	if !t.InsertOnly {
		return
	}
	if t.Identifiable() {
		c.warn("insert_only_identity", t.String(), "it has a replica identity, so tables.insert_only, which names it, does nothing: updates and deletes are carried",
			"take it out of tables.insert_only, or ALTER TABLE "+t.Quoted()+" REPLICA IDENTITY NOTHING")
		return
	}
	if !c.server.RefusesUpserts() {
		c.warn("insert_only_upserts", t.String(), fmt.Sprintf("Postgres %s refuses UPDATE and DELETE of a table without replica identity, but neither INSERT ... ON CONFLICT DO UPDATE nor MERGE: what these change halts the peers", c.server.Version),
			"upgrade to the newest minor release, or keep to plain INSERT")
	}
	if len(t.CascadesFrom) > 0 {
		c.warn("insert_only_cascade", t.String(), "a foreign key would delete or change its rows with those of "+strings.Join(t.CascadesFrom, ", ")+": the server refuses that, and with it the DELETE or UPDATE there",
			"make the foreign key ON DELETE and ON UPDATE NO ACTION, or give the table a replica identity")
	}
}

// roots: partitions that come later begin with what their root has.
func (c *check) roots() {
	for _, t := range c.tables.Writable() {
		if t.Kind != catalog.Partitioned {
			continue
		}
		c.sequences(t) // an identity column before 17 is the root's alone
		if !t.InsertOnly && len(t.PrimaryKey) == 0 && !slices.Contains(c.tables.Apart(), t) {
			c.warn("later_partitions", t.String(), "it has no primary key, so a partition that is made later has no replica identity until it gets one, and the server refuses its UPDATE and DELETE",
				"make partitions with a key: CREATE TABLE ... PARTITION OF "+t.Quoted()+" (PRIMARY KEY (...)) ...")
		}
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
