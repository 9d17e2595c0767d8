package applier

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/partition"
)

// nameOf is the name under which an origin sends a table.
func nameOf(t *change.Table) change.Name { return change.Name{Schema: t.Schema, Name: t.Name} }

// involved are the names of the tables here on which the choice of a target
// depends.
func involved(t *change.Table) []change.Name {
	names := []change.Name{nameOf(t)}
	if t.Partition != nil {
		names = append(names, t.Partition.Root)
	}
	return names
}

// stampOf is what stamps says of the tables that a plan depends on.
func stampOf(t *change.Table, found map[change.Name]string) string {
	stamp := ""
	for _, name := range involved(t) {
		stamp += found[name] + "\n"
	}
	return stamp
}

// target chooses the table here that takes the changes of an origin's table:
//
//   - the one of its name, if that takes the same rows: it is no partition of the
//     root here, or has the same place there;
//   - else the root, of the name that the origin says, if rows are found in it.
//     Partitioned or not, it puts every row where it belongs here. So nodes may
//     cut a table into other partitions, or not at all;
//   - else the one of its name, which refuses what it does not take.
//
// A *Halt says that there is none, or that it is nothing to write to.
func (a *Applier) target(ctx context.Context, t *change.Table) (*target, error) {
	if a.plans.included != nil && !a.plans.included(t.Schema, t.Name) {
		return nil, lasting(CodeNotIncluded, t.String(), "use one federation file at every node",
			"the origin sends the table but this node's federation file does not include it")
	}
	found, err := stamps(ctx, a.conn, involved(t)) // first: what changes from here on is noticed
	if err != nil {
		return nil, err
	}
	local, err := readTarget(ctx, a.conn, nameOf(t))
	if errors.Is(err, errNoTable) {
		local, err = nil, lasting(CodeMissingTable, t.String(), "create the table; applying resumes by itself", "the table does not exist here")
	} else if err != nil {
		return nil, err
	}
	if t.Partition != nil {
		if local, err = a.placed(ctx, t, local); err != nil {
			return nil, err
		}
	}
	switch {
	case err != nil:
		return nil, err
	case local.kind != 'r' && local.kind != 'p':
		return nil, lasting(CodeTableKind, t.String(), "make it a table; applying resumes by itself", "%s is %s here", local.name, kindName(local.kind))
	}
	local.stamp = stampOf(t, found)
	return local, nil
}

// placed chooses for a partition. local is the table of its name, nil if there
// is none.
func (a *Applier) placed(ctx context.Context, t *change.Table, local *target) (*target, error) {
	name := t.Partition.Root
	if local != nil {
		places, err := partition.Read(ctx, a.conn, []uint32{local.oid})
		if err != nil {
			return nil, err
		}
		here := places[local.oid]
		if here == nil || here.Root != name || here.SamePlace(t.Partition) {
			return local, nil
		}
	}
	root, err := readTarget(ctx, a.conn, name)
	missing := errors.Is(err, errNoTable) || a.plans.included != nil && !a.plans.included(name.Schema, name.Name)
	switch {
	case err != nil && !missing:
		return nil, err
	case !missing && a.findsRows(t, root):
		root.root = true
		return root, nil
	case local != nil:
		return local, nil
	case missing:
		return nil, lasting(CodeMissingTable, t.String(), "create it or "+name.String()+", whose partition it is at its origin; applying resumes by itself",
			"the table does not exist here, nor one of its root's name that the federation file includes")
	}
	return nil, lasting(CodeNoKey, t.String(), "create the table as at its origin, or give "+name.String()+" such a key; applying resumes by itself",
		"the table does not exist here, and of %s, which would take its rows, no primary key or unique index over NOT NULL columns covers the origin's replica identity", name)
}

// findsRows reports whether a root can take all changes of a partition, not
// just new rows.
func (a *Applier) findsRows(t *change.Table, root *target) bool {
	p, err := buildPlan(t, root, a.ours(t, root))
	if err != nil {
		return true // it says itself what it lacks
	}
	return p.findable() == nil || !slices.ContainsFunc(t.Columns, func(c change.Column) bool { return c.Key })
}

func kindName(kind byte) string {
	switch kind {
	case 'v':
		return "a view"
	case 'm':
		return "a materialized view"
	case 'f':
		return "a foreign table"
	}
	return fmt.Sprintf("a relation of kind %q", kind)
}

// rowPlace is where a row is just now. In a partitioned table two rows may have
// one ctid.
type rowPlace struct{ table, ctid string }

// is is the condition that finds the row.
func (r rowPlace) is(alias string) string {
	return fmt.Sprintf("%[1]s.tableoid = %[2]s AND %[1]s.ctid = '%[3]s'", alias, r.table, r.ctid)
}

// among finds the rows of a list; placesOf gives the two parameters. ctid is
// said twice: alone it finds the rows without reading tables.
const among = `t.ctid = ANY ($2::tid[]) AND (t.tableoid, t.ctid) IN (SELECT * FROM unnest($1::oid[], $2::tid[]))`

func placesOf(rows []rowPlace) once {
	tables, ctids := []byte("{"), []byte("{")
	for i, row := range rows {
		if i > 0 {
			tables, ctids = append(tables, ','), append(ctids, ',')
		}
		tables = append(tables, row.table...)
		ctids = append(append(append(ctids, '"'), row.ctid...), '"')
	}
	return once{oids: []uint32{textOID, textOID}, values: [][]byte{append(tables, '}'), append(ctids, '}')}}
}
