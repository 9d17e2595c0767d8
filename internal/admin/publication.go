package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/catalog"
)

func (p *planner) publicationOptions() string {
	options := "publish = 'insert, update, delete, truncate', publish_via_partition_root = false"
	if p.server.SendsGenerated() {
		options += ", publish_generated_columns = stored"
	}
	return options
}

// publication makes the publication hold exactly the tables that the file
// selects.
//
// A table that joins while the slot exists is locked against writers in the
// transaction that adds it: every transaction that wrote to it before has
// ended, so none is delivered half.
func (p *planner) publication(ctx context.Context) error {
	name := p.Federation.PublicationName()
	have, err := catalog.ReadPublication(ctx, p.q, p.server, name)
	if err != nil {
		return err
	}
	tables, err := catalog.ReadTables(ctx, p.q, p.Federation)
	if err != nil {
		return err
	}
	published, err := catalog.Published(ctx, p.q, name)
	if err != nil {
		return err
	}
	if err := p.checkPublication(name, have); err != nil {
		return err
	}
	if err := p.fit(tables); err != nil {
		return err
	}
	var join, leave []*catalog.Table
	wanted := map[uint32]bool{}
	for _, t := range tables.ToPublish() {
		wanted[t.OID] = true
		if !published[t.OID] {
			join = append(join, t)
		}
	}
	for _, t := range tables.All() {
		if published[t.OID] && !wanted[t.OID] {
			leave = append(leave, t)
		}
	}
	p.warnAboutTables(tables)
	if !have.Exists {
		p.create(name, join)
		return nil
	}
	p.alter(name, have, join, leave)
	return nil
}

// UnfitError says what the file selects and cannot be federated as it is, all of
// it. Nothing was changed.
type UnfitError struct{ Unfit []catalog.Unfit }

// Error names each with its reason.
func (e *UnfitError) Error() string {
	parts := make([]string, len(e.Unfit))
	for i, u := range e.Unfit {
		parts[i] = u.Table + " (" + u.Reason + ")"
	}
	return "these cannot be federated as they are; mend them, or exclude them in the federation file: " + strings.Join(parts, "; ")
}

// fit refuses while the file selects what cannot be federated.
func (p *planner) fit(tables *catalog.Tables) error {
	rules, err := conflict.Compile(p.Federation.RuleSpec(), p.Federation.NodeNames(), p.Federation.Policy())
	if err != nil {
		return fmt.Errorf("read the ownership rules: %w", err)
	}
	if unfit := tables.Unfit(p.server, rules); len(unfit) > 0 {
		return &UnfitError{Unfit: unfit}
	}
	return nil
}

func (p *planner) checkPublication(name string, have catalog.Publication) error {
	switch {
	case !have.Exists && p.recorded:
		return fmt.Errorf("publication %s does not exist, so changes since it was dropped were not captured: %w", name, ErrSlotLost)
	case !have.Exists && p.slot.Exists:
		return fmt.Errorf("slot %[1]s exists without publication %[2]s and would begin before it; drop the slot with SELECT pg_drop_replication_slot(%[3]s) and run init again",
			p.Federation.SlotName(p.Node), name, literal(p.Federation.SlotName(p.Node)))
	case have.AllTables || have.Schemas > 0:
		return fmt.Errorf("publication %s is for all tables or whole schemas and not ours; drop it and run init again", name)
	case have.Filtered > 0:
		return fmt.Errorf("publication %s has row filters or column lists; members must publish whole rows of whole tables: remove them with ALTER PUBLICATION", name)
	}
	return nil
}

func (p *planner) create(name string, join []*catalog.Table) {
	statement := "CREATE PUBLICATION " + identifier(name)
	if len(join) > 0 {
		statement += " FOR TABLE " + tableList(join)
	}
	p.add(Step{
		Title:      "The publication: which tables are captured; a partitioned table brings its later partitions along",
		Statements: []string{statement + " WITH (" + p.publicationOptions() + ")"},
	})
}

func (p *planner) alter(name string, have catalog.Publication, join, leave []*catalog.Table) {
	var statements []string
	if len(join) > 0 {
		names := make([]string, len(join))
		for i, t := range join {
			names[i] = t.Quoted()
		}
		statements = append(statements,
			"SET LOCAL lock_timeout = '"+lockTimeout+"'",
			"LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE ROW EXCLUSIVE MODE",
			"ALTER PUBLICATION "+identifier(name)+" ADD TABLE "+tableList(join))
	}
	if len(leave) > 0 {
		statements = append(statements, "ALTER PUBLICATION "+identifier(name)+" DROP TABLE "+tableList(leave))
	}
	if have.ViaRoot || !have.Insert || !have.Update || !have.Delete || !have.Truncate || p.server.SendsGenerated() && !have.Generated {
		statements = append(statements, "ALTER PUBLICATION "+identifier(name)+" SET ("+p.publicationOptions()+")")
	}
	if len(statements) == 0 {
		return
	}
	p.add(Step{
		Title:       "The publication: tables that join (locked so that no open transaction is captured half) and leave",
		Transaction: true,
		Locks:       len(join) > 0,
		Statements:  statements,
	})
	if len(join) > 0 {
		p.warn("rows that are in %s already are not sent to the peers; only changes from now on are", listed(join))
	}
}

func (p *planner) warnAboutTables(tables *catalog.Tables) {
	if len(tables.Selected()) == 0 {
		p.warn("the file selects no table of this database yet; run init again when they exist")
	}
	for _, t := range tables.Selected() {
		switch {
		case t.Persistence != 'p':
			p.warn("%s is unlogged: its changes cannot be captured and it is left out", t)
		case t.InsertOnly && t.Identifiable():
			p.warn("%s has a replica identity, so tables.insert_only, which names it, does nothing", t)
		}
	}
	for _, t := range tables.Apart() {
		p.warn("%s is selected but not all of its partitions are: later partitions are captured only after another init", t)
	}
}

func tableList(tables []*catalog.Table) string {
	names := make([]string, len(tables))
	for i, t := range tables {
		// ONLY: children by inheritance stand for themselves; partitions
		// come along regardless.
		names[i] = "ONLY " + t.Quoted()
	}
	return strings.Join(names, ", ")
}

func listed(tables []*catalog.Table) string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}
