package applier

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
)

// target is a table as the local catalog describes it.
type target struct {
	oid     uint32
	kind    byte // pg_class.relkind
	name    change.Name
	quoted  string
	rows    string // the table with its rows, for FROM: only its own, or those of a partitioned table
	root    bool   // of the table that the origin names a partition of
	columns []targetColumn
	indexes []targetIndex
	stamp   string // see stamps
}

type targetColumn struct {
	name       string
	quoted     string
	typeOID    uint32
	shownOID   uint32 // as a result's description shows it; 0 for a domain, which it does not show
	typeName   string
	typeMod    int32
	base       baseType
	notNull    bool   // and no row from before has one
	oneByte    bool   // "char" before 15, which takes the first byte of \ooo without a word
	generated  bool   // stored or virtual: never written
	local      bool   // this node's own: never written, compared or recorded
	expression string // of a generated column
	always     bool   // GENERATED ALWAYS AS IDENTITY: insert only, never updated
}

// baseType is what a column's values are made of: its type without domains and
// arrays around it.
type baseType struct {
	oid   uint32
	mod   int32
	array bool
}

// targetIndex is a unique index or an exclusion constraint: what can stand in
// a row's way, and how a row is found.
type targetIndex struct {
	oid       uint32
	name      string
	primary   bool
	exclusion bool
	unique    bool // false for an exclusion constraint; both: a key WITHOUT OVERLAPS (18)
	deferred  bool // DEFERRABLE: replica sessions do not enforce it
	predicate string
	nullsSame bool   // NULLS NOT DISTINCT
	rows      string // what it is over: the target's rows, or those of one of its partitions
	keys      []targetIndexKey
}

type targetIndexKey struct {
	column     int    // in target.columns, -1 for an expression
	expression string // a quoted column name or an expression over the table's columns
	operator   string // what no two rows may answer: equality, or the exclusion operator: OPERATOR(schema.name)
	equality   string // "" where an exclusion constraint has another operator
	collation  string // COLLATE clause where the index differs from the column, else ""
}

// identifies reports whether the index tells rows apart by columns alone. Two
// rows with one key WITHOUT OVERLAPS would overlap: its ranges are not empty.
func (x *targetIndex) identifies(columns []targetColumn) bool {
	if !x.unique || x.predicate != "" || x.deferred {
		return false
	}
	for _, key := range x.keys {
		if key.column < 0 || key.equality == "" || !columns[key.column].notNull && !x.nullsSame {
			return false
		}
	}
	return len(x.keys) > 0
}

// bpcharOID is character(n), whose text is padded with blanks that do not
// count: conflict.Rule judges without them.
const bpcharOID = 1042

// blankPadded reports whether a column is character(n) at its origin.
func blankPadded(t *change.Table, column string) bool {
	return slices.ContainsFunc(t.Columns, func(c change.Column) bool { return c.Name == column && c.TypeOID == bpcharOID })
}

var errNoTable = errors.New("no such table")

// readTarget reads a table's description. errNoTable if there is none.
func readTarget(ctx context.Context, conn *pgx.Conn, name change.Name) (*target, error) {
	t := &target{name: name, quoted: pgx.Identifier{name.Schema, name.Name}.Sanitize()}
	var kind string
	err := conn.QueryRow(ctx, `SELECT c.oid, c.relkind::text
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2`, name.Schema, name.Name).Scan(&t.oid, &kind)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoTable
	}
	if err != nil {
		return nil, fmt.Errorf("read the description of %s: %w", name, err)
	}
	t.kind, t.rows = kind[0], "ONLY "+t.quoted
	if t.kind == 'p' {
		t.rows = t.quoted
	}
	if err := t.readColumns(ctx, conn); err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", name, err)
	}
	if err := t.readIndexes(ctx, conn); err != nil {
		return nil, fmt.Errorf("read the indexes of %s: %w", name, err)
	}
	if t.kind != 'p' {
		return t, nil
	}
	return t, t.readBelow(ctx, conn)
}

// readBelow adds the DEFERRABLE constraints that only some partitions have: what
// is written through the table above must be looked up for them too.
func (t *target) readBelow(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT i.indexrelid, n.nspname::text, c.relname::text
		FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND NOT x.relispartition
		JOIN pg_catalog.pg_class c ON c.oid = i.indrelid AND c.relispartition
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indisunique AND NOT i.indimmediate AND i.indisvalid AND c.oid <> $1::oid
			AND EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid::regclass) AS p(oid) WHERE p.oid = $1::oid)`, t.oid)
	if err != nil {
		return fmt.Errorf("read the indexes below %s: %w", t.name, err)
	}
	own := make(map[change.Name][]uint32)
	var index uint32
	var name change.Name
	if _, err = pgx.ForEachRow(rows, []any{&index, &name.Schema, &name.Name}, func() error {
		own[name] = append(own[name], index)
		return nil
	}); err != nil {
		return fmt.Errorf("read the indexes below %s: %w", t.name, err)
	}
	for name, indexes := range own {
		below, err := readTarget(ctx, conn, name)
		if err != nil {
			return err
		}
		for _, x := range below.indexes {
			if !slices.Contains(indexes, x.oid) {
				continue
			}
			for i := range x.keys {
				x.keys[i].column = t.column(below.columns[x.keys[i].column].name)
			}
			t.indexes = append(t.indexes, x)
		}
	}
	return nil
}

// notNull holds for columns a that have no NULL. Since 18 a NOT NULL constraint
// may be NOT VALID: rows from before may break it.
const notNull = `a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint v
			WHERE v.conrelid = a.attrelid AND v.contype = 'n' AND NOT v.convalidated AND a.attnum = ANY (v.conkey))`

func (t *target) readColumns(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT a.attname::text, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypmod, `+notNull+`,
			18 IN (y.oid, y.typbasetype) AND '\101'::pg_catalog."char" <> 'A', a.attgenerated <> '',
			a.attidentity = 'a', CASE y.typtype WHEN 'd' THEN 0::oid ELSE y.oid END,
			coalesce(CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, ''), b.oid, b.mod, b.arrays
		FROM pg_catalog.pg_attribute a
		CROSS JOIN LATERAL (WITH RECURSIVE inner_types AS (
				SELECT a.atttypid AS oid, a.atttypmod AS mod, false AS arrays, 0 AS depth
				UNION ALL SELECT CASE w.typtype WHEN 'd' THEN w.typbasetype ELSE w.typelem END, CASE w.typtype WHEN 'd' THEN w.typtypmod ELSE i.mod END,
					i.arrays OR w.typtype <> 'd', i.depth + 1
				FROM inner_types i JOIN pg_catalog.pg_type w ON w.oid = i.oid
				WHERE w.typtype = 'd' OR w.typsubscript = 'pg_catalog.array_subscript_handler'::regproc)
			SELECT oid, mod, arrays FROM inner_types ORDER BY depth DESC LIMIT 1) b
		JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
		LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attnum`, t.oid)
	if err != nil {
		return err
	}
	var c targetColumn
	fields := []any{&c.name, &c.typeOID, &c.typeName, &c.typeMod, &c.notNull, &c.oneByte, &c.generated, &c.always, &c.shownOID, &c.expression,
		&c.base.oid, &c.base.mod, &c.base.array}
	_, err = pgx.ForEachRow(rows, fields, func() error {
		c.quoted = pgx.Identifier{c.name}.Sanitize()
		t.columns = append(t.columns, c)
		return nil
	})
	return err
}

// indexKeys is one row per key column of every unique index and exclusion
// constraint. The equality operator is that of the index's operator family, by
// its qualified name: with an empty search_path a bare = would miss the
// operators of extension types. The last column of a key WITHOUT OVERLAPS is a
// range or multirange, whose equality is in pg_catalog, while the constraint has
// &&. indnullsnotdistinct exists from 15 on.
const indexKeys = `SELECT i.indexrelid, ic.relname::text, i.indisprimary, i.indisexclusion OR x.conexclop IS NOT NULL, i.indisunique,
		NOT i.indimmediate,
		coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''),
		coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
		i.indkey[k.n - 1]::int4,
		pg_catalog.pg_get_indexdef(i.indexrelid, k.n, false),
		coalesce((SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
			FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
			WHERE o.oid = coalesce(x.conexclop[k.n], eq.amopopr)), ''),
		i.indisunique AND x.conexclop IS NOT NULL AND k.n = i.indnkeyatts,
		coalesce((SELECT pg_catalog.format('COLLATE %I.%I', n.nspname, l.collname)
			FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
			LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n - 1]
			WHERE l.oid = i.indcollation[k.n - 1] AND a.attcollation IS DISTINCT FROM l.oid), '')
	FROM pg_catalog.pg_index i
	JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
	CROSS JOIN LATERAL pg_catalog.generate_series(1, i.indnkeyatts::int4) AS k(n)
	JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[k.n - 1]
	LEFT JOIN pg_catalog.pg_amop eq ON eq.amopfamily = oc.opcfamily AND eq.amoplefttype = oc.opcintype
		AND eq.amoprighttype = oc.opcintype AND eq.amopstrategy = 3 AND ic.relam = 403
	LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.conrelid = i.indrelid
		AND x.contype IN ('p', 'u', 'x') AND x.conexclop IS NOT NULL
	WHERE i.indrelid = $1::oid AND i.indisvalid AND (i.indisunique OR i.indisexclusion)
	ORDER BY NOT i.indisprimary, i.indexrelid, k.n`

func (t *target) readIndexes(ctx context.Context, conn *pgx.Conn) error {
	numbers, err := t.attributeNumbers(ctx, conn)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, indexKeys, t.oid)
	if err != nil {
		return err
	}
	var x targetIndex
	var key targetIndexKey
	var number int32
	var period bool
	fields := []any{
		&x.oid, &x.name, &x.primary, &x.exclusion, &x.unique, &x.deferred, &x.predicate, &x.nullsSame,
		&number, &key.expression, &key.operator, &period, &key.collation,
	}
	_, err = pgx.ForEachRow(rows, fields, func() error {
		if last := len(t.indexes) - 1; last < 0 || t.indexes[last].oid != x.oid {
			x.rows = t.rows
			t.indexes = append(t.indexes, x)
		}
		key.equality = ""
		switch {
		case period:
			key.equality = "OPERATOR(pg_catalog.=)"
		case x.unique:
			key.equality = key.operator
		}
		key.column = -1
		if at, found := numbers[number]; found {
			key.column, key.expression = at, t.columns[at].quoted
		}
		last := &t.indexes[len(t.indexes)-1]
		last.keys = append(last.keys, key)
		return nil
	})
	return err
}

func (t *target) attributeNumbers(ctx context.Context, conn *pgx.Conn) (map[int32]int, error) {
	rows, err := conn.Query(ctx, `SELECT a.attnum::int4 FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, t.oid)
	if err != nil {
		return nil, err
	}
	numbers := make(map[int32]int)
	var number int32
	_, err = pgx.ForEachRow(rows, []any{&number}, func() error {
		numbers[number] = len(numbers)
		return nil
	})
	return numbers, err
}

// column finds a column by name, -1 if there is none.
func (t *target) column(name string) int {
	for i := range t.columns {
		if t.columns[i].name == name {
			return i
		}
	}
	return -1
}

// isLocal reports whether a column of the origin's is this node's own here, or
// is not here at all.
func (t *target) isLocal(name string) bool {
	at := t.column(name)
	return at < 0 || t.columns[at].local
}
