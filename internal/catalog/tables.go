package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/config"
)

// The kinds of tables, as pg_class.relkind writes them.
const (
	Ordinary    = 'r'
	Partitioned = 'p'
	Foreign     = 'f' // read only where it is a partition
)

// Table is a table of the member database.
type Table struct {
	OID         uint32
	Schema      string
	Name        string
	Kind        byte // Ordinary, Partitioned or Foreign
	Persistence byte // 'p' permanent, 'u' unlogged
	Owner       string

	Parent uint32 // the partitioned table it is a partition of; 0 for none
	Root   string // the topmost partitioned table, schema.name; "" when it is no partition

	Identity           byte     // change.IdentityDefault, ...
	IdentityColumns    []string // what finds a row; all columns under FULL; empty when there is none
	PrimaryKey         []string
	DeferrableKey      bool   // the primary key is deferrable, so it is no identity
	UniqueIndex        string // one that could be its identity, other than the primary key; "" for none
	Columns            []string
	StoredColumns      []string // GENERATED ALWAYS AS (...) STORED: sent where Server.SendsGenerated, and never written where they are generated
	VirtualColumns     []string // GENERATED ALWAYS AS (...) VIRTUAL (18): never sent
	RequiredColumns    []string // NOT NULL and filled by nothing when an INSERT leaves them out
	SequenceColumns    []string // filled by a sequence of this server
	DefaultSequences   []string // quoted names of the sequences that column defaults draw from
	RowSecurity        bool
	ForcedRowSecurity  bool
	ReferencedBy       []string // schema.name of tables with a foreign key to this one
	References         []string // schema.name of tables this one has a foreign key to
	CascadesTo         []string // those of ReferencedBy whose rows go or change with ours
	CascadesFrom       []string // those of References with whose rows ours go or change
	EstimatedRows      int64    // -1 when never analyzed
	EnabledAlwaysCount int      // triggers and rules that also act when changes are applied
	UnreadableColumns  []string // of types that a server writes and does not read back
	Extension          string   // that it belongs to; "" for none

	Selected     bool     // the federation file selects it
	LocalColumns []string // those that the file keeps from being sent
	InsertOnly   bool     // the file says that its rows are never changed or deleted
	Published    bool     // in the publication, by itself or by an ancestor
}

// String gives schema.name, unquoted, for messages.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Quoted gives the name for SQL.
func (t *Table) Quoted() string { return Quote(t.Schema, t.Name) }

// Identifiable reports whether an UPDATE or DELETE of a row can be told to
// others: without it only INSERT and TRUNCATE are possible.
func (t *Table) Identifiable() bool { return len(t.IdentityColumns) > 0 }

// Covers reports whether a change's old image always has the column: it is
// part of the identity, or the identity is FULL.
func (t *Table) Covers(column string) bool {
	return t.Identity == change.IdentityFull || slices.Contains(t.IdentityColumns, column)
}

// Tables is every table of a member database that could be federated, with
// those that the federation file selects marked.
type Tables struct {
	all      []*Table
	others   []other  // what the file names and is no table
	absent   []string // what the file names and is not there
	byOID    map[uint32]*Table
	children map[uint32][]*Table
}

const tablesSQL = `
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, pg_get_userbyid(c.relowner),
       coalesce((SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition), 0),
       c.relreplident::text, c.relrowsecurity, c.relforcerowsecurity, c.reltuples::bigint,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 's' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 'v' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND (a.attidentity <> '' OR a.attgenerated = '' AND pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%') ORDER BY a.attnum),
       ARRAY(SELECT DISTINCT format('%I.%I', sn.nspname, s.relname)
               FROM pg_attrdef d
               JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
               JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
               JOIN pg_namespace sn ON sn.oid = s.relnamespace
              WHERE d.adrelid = c.oid ORDER BY 1),
       ARRAY(SELECT a.attname::text
               FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place), pg_attribute a
              WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
                AND a.attrelid = c.oid AND a.attnum = k.attnum ORDER BY k.place),
       coalesce((SELECT NOT i.indimmediate FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), false),
       ARRAY(SELECT a.attname::text
               FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place), pg_attribute a
              WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid AND i.indimmediate AND k.place <= i.indnkeyatts
                AND a.attrelid = c.oid AND a.attnum = k.attnum ORDER BY k.place),
       coalesce((SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                  WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisprimary AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                    AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) JOIN pg_attribute a ON a.attnum = k.attnum
                                     WHERE a.attrelid = c.oid AND k.place <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
                  ORDER BY i.indnkeyatts, x.relname LIMIT 1), ''),
       ARRAY(SELECT DISTINCT fn.nspname || '.' || f.relname
               FROM pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid ORDER BY 1),
       ARRAY(SELECT DISTINCT fn.nspname || '.' || f.relname
               FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND k.conrelid = c.oid AND k.confrelid <> c.oid ORDER BY 1),
       ARRAY(SELECT DISTINCT fn.nspname || '.' || f.relname
               FROM pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid AND k.confdeltype IN ('c', 'n', 'd') ORDER BY 1),
       ARRAY(SELECT DISTINCT fn.nspname || '.' || f.relname
               FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
              WHERE k.contype = 'f' AND k.conrelid = c.oid AND k.confrelid <> c.oid
                AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) ORDER BY 1),
       (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R')) +
       (SELECT count(*) FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_enabled IN ('A', 'R')),
       ARRAY(SELECT a.attname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.typnamespace = 'pg_catalog'::regnamespace
                AND t.typname IN ('pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary', 'gtsvector')
              ORDER BY a.attnum),
       coalesce((SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (c.relkind IN ('r', 'p') OR c.relkind = 'f' AND c.relispartition) AND c.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'pgfed')
 ORDER BY n.nspname, c.relname`

// ReadTables reads them all in one query.
func ReadTables(ctx context.Context, q Querier, f *config.Federation) (*Tables, error) {
	published, err := Published(ctx, q, f.PublicationName())
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, tablesSQL)
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	defer rows.Close()
	ts := &Tables{byOID: map[uint32]*Table{}, children: map[uint32][]*Table{}}
	for rows.Next() {
		t := new(Table)
		var kind, persistence, identity string
		var index []string
		if err := rows.Scan(&t.OID, &t.Schema, &t.Name, &kind, &persistence, &t.Owner, &t.Parent, &identity, &t.RowSecurity,
			&t.ForcedRowSecurity, &t.EstimatedRows, &t.Columns, &t.StoredColumns, &t.VirtualColumns, &t.RequiredColumns, &t.SequenceColumns, &t.DefaultSequences, &t.PrimaryKey, &t.DeferrableKey, &index, &t.UniqueIndex,
			&t.ReferencedBy, &t.References, &t.CascadesTo, &t.CascadesFrom, &t.EnabledAlwaysCount, &t.UnreadableColumns, &t.Extension); err != nil {
			return nil, fmt.Errorf("read the tables: %w", err)
		}
		t.Kind, t.Persistence, t.Identity = kind[0], persistence[0], identity[0]
		t.IdentityColumns = identityColumns(t, index)
		t.LocalColumns = slices.DeleteFunc(slices.Clone(t.Columns), func(column string) bool { return !f.Local(t.Schema, t.Name, column) })
		t.Selected, t.InsertOnly = f.Included(t.Schema, t.Name), f.InsertOnly(t.Schema, t.Name)
		t.Published = published[t.OID]
		ts.all = append(ts.all, t)
		ts.byOID[t.OID] = t
		if t.Parent != 0 {
			ts.children[t.Parent] = append(ts.children[t.Parent], t)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	for _, t := range ts.all {
		ts.place(t)
	}
	return ts, ts.readNamed(ctx, q, f)
}

func identityColumns(t *Table, index []string) []string {
	switch t.Identity {
	case change.IdentityFull:
		return t.Columns
	case change.IdentityIndex:
		return index
	case change.IdentityDefault:
		if !t.DeferrableKey {
			return t.PrimaryKey
		}
	}
	return nil
}

// place finds the root of a partition, and whether an ancestor publishes it.
func (ts *Tables) place(t *Table) {
	for parent := ts.byOID[t.Parent]; parent != nil; parent = ts.byOID[parent.Parent] {
		t.Root = parent.String()
		t.Published = t.Published || parent.Published
	}
}

// Selected lists, in order, the tables that hold rows (ordinary tables and
// partitions, not partitioned tables) and that the file selects.
func (ts *Tables) Selected() []*Table {
	return ts.where(func(t *Table) bool { return t.Selected && t.Kind == Ordinary })
}

// Writable lists, in order, the tables that changes of peers are written to:
// the selected ones, and selected partitioned tables, through which come the
// rows of peers that have other partitions.
func (ts *Tables) Writable() []*Table {
	return ts.where(func(t *Table) bool { return t.Selected })
}

// All lists every table in order.
func (ts *Tables) All() []*Table { return ts.all }

// Named finds a table by schema.name.
func (ts *Tables) Named(name string) *Table {
	schema, table, _ := strings.Cut(name, ".")
	for _, t := range ts.all {
		if t.Schema == schema && t.Name == table {
			return t
		}
	}
	return nil
}

func (ts *Tables) where(keep func(*Table) bool) []*Table {
	var kept []*Table
	for _, t := range ts.all {
		if keep(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// ToPublish lists what the publication must contain: ordinary tables that the
// file selects, and partitioned tables where it selects the table and all that
// is below, so that later partitions arrive complete. Where it selects only
// some partitions those are published one by one. Unlogged tables write no
// WAL and are left out.
func (ts *Tables) ToPublish() []*Table {
	var targets []*Table
	var visit func(t *Table)
	visit = func(t *Table) {
		switch {
		case t.Selected && ts.whole(t):
			if t.Kind == Partitioned || t.Kind == Ordinary && t.Persistence == 'p' {
				targets = append(targets, t)
			}
		case t.Kind == Partitioned:
			for _, child := range ts.children[t.OID] {
				visit(child)
			}
		}
	}
	for _, t := range ts.all {
		if t.Parent == 0 {
			visit(t)
		}
	}
	slices.SortFunc(targets, func(a, b *Table) int { return strings.Compare(a.String(), b.String()) })
	return targets
}

// whole reports whether everything below the table is selected, but for foreign
// tables, whose rows are not in this server's WAL in any case.
func (ts *Tables) whole(t *Table) bool {
	for _, child := range ts.children[t.OID] {
		if child.Kind != Foreign && !child.Selected || !ts.whole(child) {
			return false
		}
	}
	return true
}

// Apart lists selected partitioned tables some of whose partitions are not
// selected.
func (ts *Tables) Apart() []*Table {
	return ts.where(func(t *Table) bool { return t.Kind == Partitioned && t.Selected && !ts.whole(t) })
}

// Unpublished lists selected tables whose changes nobody is sent: they, and
// every ancestor, are absent from the publication.
func (ts *Tables) Unpublished() []*Table {
	return ts.where(func(t *Table) bool {
		return t.Selected && t.Kind == Ordinary && t.Persistence == 'p' && !t.Published
	})
}

// HoldsRows reports whether a table holds any row. It needs SELECT on it.
func HoldsRows(ctx context.Context, q Querier, t *Table) (bool, error) {
	var holds bool
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ONLY "+t.Quoted()+")").Scan(&holds); err != nil {
		return false, fmt.Errorf("look for rows in %s: %w", t, err)
	}
	return holds, nil
}
