package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/config"
)

// Unfit is one reason why something that the file selects cannot be federated
// as it is. A table may have several.
type Unfit struct {
	Table   string `json:"table"` // schema.name
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Remedy  string `json:"remedy"`
	Exclude string `json:"exclude"` // the pattern for tables.exclude that leaves it out

	// General is the remedy for every table of this code, which says <table> for
	// the name.
	General string `json:"-"`
}

// other is something that the file names and that is no table.
type other struct{ schema, name, kind string }

func (o other) String() string { return o.schema + "." + o.name }

// readNamed looks up what the file includes by name. Views and the like are no
// tables, and a wildcard passes them over; a name means them.
func (ts *Tables) readNamed(ctx context.Context, q Querier, f *config.Federation) error {
	var schemas, names []string
	for _, name := range f.Named() {
		schemas, names = append(schemas, name[0]), append(names, name[1])
	}
	if len(names) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, `
SELECT n.nspname::text, c.relname::text,
       CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' WHEN 'S' THEN 'a sequence'
                      WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index' ELSE 'a type' END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN unnest($1::text[], $2::text[]) AS f (s, t) ON n.nspname = f.s AND c.relname = f.t
 WHERE NOT (c.relkind IN ('r', 'p') OR c.relkind = 'f' AND c.relispartition)
 ORDER BY 1, 2`, schemas, names)
	if err != nil {
		return fmt.Errorf("look up what the file names: %w", err)
	}
	ts.others, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o other, err error) {
		return o, row.Scan(&o.schema, &o.name, &o.kind)
	})
	if err != nil {
		return fmt.Errorf("look up what the file names: %w", err)
	}
	for i := range names {
		named := other{schemas[i], names[i], ""}
		if ts.Named(named.String()) == nil && !slices.ContainsFunc(ts.others, func(o other) bool { return o.String() == named.String() }) {
			ts.absent = append(ts.absent, named.String())
		}
	}
	return nil
}

// Absent lists, as schema.name, what the file includes by name and this database
// does not have.
func (ts *Tables) Absent() []string { return ts.absent }

// Unfit lists everything that the file selects and that cannot be federated as
// it is: what init refuses until it is mended or excluded.
func (ts *Tables) Unfit(s Server, rules *conflict.Rules) []Unfit {
	j := judge{server: s, rules: rules, tables: ts}
	for _, t := range ts.all {
		if t.Selected {
			j.table(t)
		}
	}
	for _, o := range ts.others {
		j.unfit = append(j.unfit, Unfit{
			Table: o.String(), Code: "not_a_table", Reason: "it is " + o.kind + ", and only tables are federated",
			Remedy: "take its name out of tables.include", General: "take the names out of tables.include", Exclude: config.PatternOf(o.schema, o.name),
		})
	}
	return j.unfit
}

type judge struct {
	server Server
	rules  *conflict.Rules
	tables *Tables
	unfit  []Unfit
}

func (j *judge) refuse(t *Table, code, remedy, reason string, args ...any) {
	j.unfit = append(j.unfit, Unfit{
		Table: t.String(), Code: code, Reason: fmt.Sprintf(reason, args...), Exclude: config.PatternOf(t.Schema, t.Name),
		Remedy: strings.ReplaceAll(remedy, "<table>", t.Quoted()), General: remedy,
	})
}

func (j *judge) table(t *Table) {
	root := j.tables.selectedAbove(t)
	switch {
	case t.Kind == Foreign && root != nil:
		j.refuse(t, "foreign_partition", "detach it; or exclude it, which says that its rows are not federated",
			"a foreign table: rows that %s routes here are not in this server's WAL, and rows that move here are deleted at the peers", root)
		return
	case t.Kind == Foreign:
		return // by itself it is nothing that a publication could hold
	case t.Persistence != 'p' && root != nil:
		j.refuse(t, "unlogged_partition", "ALTER TABLE <table> SET LOGGED; or exclude it, which says that its rows are not federated",
			"an unlogged partition: rows that %s routes here are not in the WAL, and rows that move here are deleted at the peers", root)
		return
	case t.Persistence != 'p':
		return // a warning: it is as local as a temporary table
	case t.Kind == Partitioned:
		j.bequeathed(t)
		return
	}
	j.identity(t)
	j.owner(t)
	j.localAbove(t)
	for _, column := range t.UnreadableColumns {
		if !slices.Contains(t.LocalColumns, column) {
			j.refuse(t, "unreadable_type", "store the values as text, or keep the column out with tables.local_columns", "column %s has a type that servers write and do not read back", column)
		}
	}
}

// localAbove: partitions go by their own names, and what a pattern keeps at home
// by the name of their root alone would be sent.
func (j *judge) localAbove(t *Table) {
	for parent := j.tables.byOID[t.Parent]; parent != nil; parent = j.tables.byOID[parent.Parent] {
		for _, column := range parent.LocalColumns {
			if !slices.Contains(t.LocalColumns, column) {
				j.refuse(t, "local_partition", "name the partitions too, such as schema.table*.column; or take the pattern out of tables.local_columns",
					"column %s is in tables.local_columns for %s and not for this partition, so its values would be sent", column, parent)
				return
			}
		}
	}
}

// selectedAbove finds a partitioned table that the file selects and that routes
// rows to the table; nil when there is none.
func (ts *Tables) selectedAbove(t *Table) *Table {
	for parent := ts.byOID[t.Parent]; parent != nil; parent = ts.byOID[parent.Parent] {
		if parent.Selected {
			return parent
		}
	}
	return nil
}

const otherwise = "; or, if its rows are only ever inserted, name it in tables.insert_only"

// identity: what tells a peer which row an UPDATE or DELETE is about.
func (j *judge) identity(t *Table) {
	switch {
	case t.Identity == change.IdentityFull && len(t.sent(j.server)) == 0:
		j.refuse(t, "no_identity", "add a column that is neither generated nor local", "no column of it is sent, so REPLICA IDENTITY FULL tells nothing about a row")
	case t.InsertOnly && !t.Identifiable():
	case t.Identity == change.IdentityNothing:
		j.refuse(t, "no_identity", "ALTER TABLE <table> REPLICA IDENTITY DEFAULT (a primary key) or FULL"+otherwise,
			"REPLICA IDENTITY NOTHING: once it is published the server refuses UPDATE and DELETE")
	case t.Identity == change.IdentityIndex && !t.Identifiable():
		j.refuse(t, "no_identity", "ALTER TABLE <table> REPLICA IDENTITY USING INDEX with another index, DEFAULT (a primary key) or FULL"+otherwise,
			"the index that was its replica identity is gone or not valid: once it is published the server refuses UPDATE and DELETE")
	case t.DeferrableKey && !t.Identifiable():
		j.refuse(t, "deferrable_key", "make the primary key NOT DEFERRABLE; or ALTER TABLE <table> REPLICA IDENTITY FULL"+otherwise,
			"the primary key is deferrable and identifies no row: once it is published the server refuses UPDATE and DELETE")
	case !t.Identifiable() && t.UniqueIndex != "":
		j.refuse(t, "no_identity", "ALTER TABLE <table> REPLICA IDENTITY USING INDEX, with the unique index that is there; or add a primary key"+otherwise,
			"no primary key, but unique index %s would do: once it is published the server refuses UPDATE and DELETE", t.UniqueIndex)
	case !t.Identifiable():
		j.refuse(t, "no_identity", "add a primary key; or ALTER TABLE <table> REPLICA IDENTITY FULL"+otherwise,
			"no primary key: once it is published the server refuses UPDATE and DELETE")
	}
	if column := t.unsent(j.server); column != "" {
		j.refuse(t, "generated_identity", "ALTER TABLE <table> REPLICA IDENTITY USING INDEX, with a unique index over ordinary columns",
			"column %s of the replica identity is generated, and this server does not send it: UPDATE and DELETE are refused, or find no row at the peers", column)
	}
	for _, column := range t.IdentityColumns {
		if slices.Contains(t.LocalColumns, column) && t.Identity != change.IdentityFull {
			j.refuse(t, "local_identity", "take it out of tables.local_columns; or give the table another primary key; or ALTER TABLE <table> REPLICA IDENTITY USING INDEX or FULL",
				"column %s of the replica identity is in tables.local_columns, so peers could not find rows and nothing of this table would be captured", column)
		}
	}
}

// derived reports whether the server leaves a column out of what it sends,
// because it is generated.
func (t *Table) derived(s Server, column string) bool {
	return slices.Contains(t.VirtualColumns, column) || slices.Contains(t.StoredColumns, column) && !s.SendsGenerated()
}

// sent lists the columns that the peers get.
func (t *Table) sent(s Server) []string {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(column string) bool { return t.derived(s, column) || slices.Contains(t.LocalColumns, column) })
}

// unsent names a column of the identity that the server leaves out of changes;
// "" when there is none. Servers that send no generated column leave them out of
// FULL too; those that do refuse UPDATE and DELETE of a published table with a
// virtual one under FULL.
func (t *Table) unsent(s Server) string {
	for _, column := range t.IdentityColumns {
		if t.derived(s, column) && (t.Identity != change.IdentityFull || s.SendsGenerated()) {
			return column
		}
	}
	return ""
}

// bequeathed judges the key that later partitions of a published root begin
// with. Without one each brings its own.
func (j *judge) bequeathed(t *Table) {
	heir := *t
	heir.Identity, heir.IdentityColumns = change.IdentityDefault, nil
	if !t.DeferrableKey {
		heir.IdentityColumns = t.PrimaryKey
	}
	if len(t.PrimaryKey) > 0 && j.tables.whole(t) {
		j.identity(&heir)
	}
}

// owner: whose row it was must be in every change's old image.
func (j *judge) owner(t *Table) {
	column := j.rules.For(t.Schema, t.Name).Column
	switch {
	case column == "":
	case !slices.Contains(t.Columns, column):
		j.refuse(t, "owner_column_missing", "add the column, or correct the ownership rule", "column %s, which names the owner, does not exist", column)
	case slices.Contains(t.LocalColumns, column):
		j.refuse(t, "local_owner_column", "take it out of tables.local_columns", "column %s, which names the owner, is in tables.local_columns", column)
	case t.derived(j.server, column):
		j.refuse(t, "owner_column_generated", "make it an ordinary column, or correct the ownership rule",
			"column %s, which names the owner, is generated, and this server does not send it", column)
	case t.Identifiable() && !t.Covers(column):
		j.refuse(t, "owner_column_outside_identity", "ALTER TABLE <table> REPLICA IDENTITY FULL, or USING INDEX with a unique index that has the column",
			"column %s, which names the owner, is not part of the replica identity, so updates and deletes do not tell it", column)
	}
}
