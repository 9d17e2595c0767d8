// Package partition reads what tables are partitions of. An origin says it of
// its tables, and a target compares it with its own: both must ask in the same
// words, or one place would get two digests.
package partition

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
)

// Settings decide how the server writes bounds and names. A session that reads
// places must have them.
var Settings = map[string]string{
	"search_path":           "",
	"DateStyle":             "ISO, MDY",
	"IntervalStyle":         "postgres",
	"TimeZone":              "UTC",
	"extra_float_digits":    "3",
	"bytea_output":          "hex",
	"lc_monetary":           "C",
	"client_encoding":       "UTF8",
	"quote_all_identifiers": "off",
	// It is asked often, and planning or compiling would take longer than the answer.
	"plan_cache_mode": "force_generic_plan",
	"jit":             "off",

	"standard_conforming_strings": "on",
}

// Pin gives a session the settings.
func Pin(ctx context.Context, conn *pgx.Conn) error {
	for name, value := range Settings {
		if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, false)", name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// Querier is a connection or a transaction whose session has the Settings.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// placesSQL is one row per table that exists. Its place is told level by level
// from the table up to its root: the columns and expressions of the partition key
// with their types and operator classes, the bound, and
//   - for a default partition the bounds of its siblings, which are what it does
//     not take;
//   - for a range of texts the collation by which they are ordered, and wherever
//     unlike texts may be equal by it;
//   - for a hash the database's encoding. The hash of a type or operator class
//     that is not built in may differ from server to server (an enum's is that of
//     its label's OID), so may that of a regclass or by a collation's sort keys,
//     and what an expression gives is not known: such a place is told by nothing.
//
// Capture waits for the answer, and it must not wait for a user's transaction that
// has locked a table. What the server has to print such things with a table's
// columns locks it, so bounds are printed without one, and the key is put together
// here; only a key with expressions locks its table.
//
// A database's or collation's locale is in another column from 15 on, and from 17.
const placesSQL = `SELECT c.oid, n.nspname::text, r.relname::text, ARRAY(
		SELECT a.attname::text
		FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
		WHERE i.indrelid = c.oid AND i.indisprimary AND a.attname NOT IN (
			SELECT b.attname FROM pg_catalog.pg_partition_ancestors(c.oid::regclass) AS p(oid)
			JOIN pg_catalog.pg_partitioned_table k ON k.partrelid = p.oid
			JOIN pg_catalog.pg_attribute b ON b.attrelid = p.oid AND b.attnum = ANY (k.partattrs::int2[]))
		ORDER BY a.attname), (
		SELECT CASE WHEN pg_catalog.bool_and(level.said IS NOT NULL) THEN pg_catalog.string_agg(level.said, E'\n' ORDER BY level.n) END
		FROM (SELECT u.n, pg_catalog.concat_ws(E'\t', k.partstrat::text, key.said, pg_catalog.pg_get_expr(k.partexprs, k.partrelid), bound.said,
				CASE bound.said WHEN 'DEFAULT' THEN (
					SELECT pg_catalog.string_agg(s.said, ' ' ORDER BY s.said COLLATE "C")
					FROM (SELECT pg_catalog.pg_get_expr(b.relpartbound, 0) AS said
						FROM pg_catalog.pg_inherits j JOIN pg_catalog.pg_class b ON b.oid = j.inhrelid
						WHERE j.inhparent = k.partrelid) AS s) END,
				CASE WHEN k.partstrat = 'h' THEN pg_catalog.pg_encoding_to_char(d.encoding)::text END)
				|| CASE WHEN k.partstrat <> 'h' OR key.known THEN '' END AS said
			FROM pg_catalog.pg_partition_ancestors(c.oid::regclass) WITH ORDINALITY AS u(oid, n)
			JOIN pg_catalog.pg_class x ON x.oid = u.oid AND x.relispartition
			JOIN pg_catalog.pg_inherits i ON i.inhrelid = x.oid
			JOIN pg_catalog.pg_partitioned_table k ON k.partrelid = i.inhparent
			JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
			CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(x.relpartbound, 0) AS said) AS bound
			CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(a.attname),
						pg_catalog.format_type(a.atttypid, NULL), w.opcname::text,
						CASE WHEN k.partstrat = 'r' OR NOT l.collisdeterministic THEN CASE l.collprovider
							WHEN 'd' THEN pg_catalog.concat_ws(' ', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'), coalesce(
								pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', d.datcollate::text))
							ELSE pg_catalog.concat_ws(' ', l.collprovider::text, coalesce(pg_catalog.to_jsonb(l) ->> 'colllocale',
								pg_catalog.to_jsonb(l) ->> 'colliculocale', l.collcollate::text), CASE WHEN NOT l.collisdeterministic THEN 'unlike' END) END END),
						', ' ORDER BY o.n) AS said,
					pg_catalog.bool_and(a.atttypid IS NOT NULL AND a.atttypid < 16384 AND y.typname !~ '^_?reg' AND w.oid < 16384
						AND l.collisdeterministic IS NOT FALSE) AS known
				FROM unnest(k.partattrs::int2[], k.partclass::oid[], k.partcollation::oid[]) WITH ORDINALITY AS o(attnum, class, collated, n)
				JOIN pg_catalog.pg_opclass w ON w.oid = o.class
				LEFT JOIN pg_catalog.pg_collation l ON l.oid = o.collated
				LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = o.attnum AND o.attnum > 0
				LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid) AS key
		) AS level)
	FROM pg_catalog.pg_class c
	LEFT JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid::regclass) AND r.oid <> c.oid AND c.relispartition
	LEFT JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
	WHERE c.oid = ANY ($1::oid[])`

// Read tells what tables are partitions of: nil of one that is none. A table
// that does not exist is absent.
func Read(ctx context.Context, q Querier, tables []uint32) (map[uint32]*change.Partition, error) {
	rows, err := q.Query(ctx, placesSQL, tables)
	if err != nil {
		return nil, fmt.Errorf("read what tables are partitions of: %w", err)
	}
	found := make(map[uint32]*change.Partition, len(tables))
	var table uint32
	var schema, name, place *string
	var key []string
	_, err = pgx.ForEachRow(rows, []any{&table, &schema, &name, &key, &place}, func() error {
		if schema == nil || name == nil {
			found[table] = nil
			return nil
		}
		p := &change.Partition{Root: change.Name{Schema: *schema, Name: *name}}
		if len(key) > 0 {
			p.Key = key
		}
		if place != nil {
			sum := sha256.Sum256([]byte(*place))
			copy(p.Place[:], sum[:])
		}
		found[table], key = p, nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what tables are partitions of: %w", err)
	}
	return found, nil
}

// Roots tells the names of the topmost partitioned tables above tables. One that
// is no partition is absent.
func Roots(ctx context.Context, q Querier, tables []uint32) (map[uint32]change.Name, error) {
	rows, err := q.Query(ctx, `SELECT c.oid, n.nspname::text, r.relname::text
		FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid::regclass) AND r.oid <> c.oid
		JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
		WHERE c.oid = ANY ($1::oid[]) AND c.relispartition`, tables)
	if err != nil {
		return nil, fmt.Errorf("read the roots of partitions: %w", err)
	}
	found := make(map[uint32]change.Name, len(tables))
	var table uint32
	var root change.Name
	if _, err = pgx.ForEachRow(rows, []any{&table, &root.Schema, &root.Name}, func() error {
		found[table] = root
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the roots of partitions: %w", err)
	}
	return found, nil
}

// whollySQL: foreign and unlogged partitions send no changes, so they are no
// part of what others have. pg_partition_tree would lock every partition.
const whollySQL = `WITH RECURSIVE roots AS (
		SELECT DISTINCT pg_catalog.pg_partition_root(c.oid::regclass)::oid AS oid
		FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relispartition),
	below AS (
		SELECT roots.oid AS root, roots.oid FROM roots
		UNION ALL
		SELECT b.root, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid)
	SELECT n.nspname::text, r.relname::text
	FROM roots
	JOIN pg_catalog.pg_class r ON r.oid = roots.oid
	JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
	WHERE NOT EXISTS (SELECT FROM below b JOIN pg_catalog.pg_class l ON l.oid = b.oid
		WHERE b.root = r.oid AND l.relkind = 'r' AND l.relpersistence = 'p' AND l.oid <> ALL ($1::oid[]))
	ORDER BY 1, 2`

// Wholly lists the partitioned tables all of whose partitions are among the
// tables.
func Wholly(ctx context.Context, q Querier, tables []uint32) ([]change.Name, error) {
	rows, err := q.Query(ctx, whollySQL, tables)
	if err != nil {
		return nil, fmt.Errorf("read whose partitions tables are: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowToStructByPos[change.Name])
	if err != nil {
		return nil, fmt.Errorf("read whose partitions tables are: %w", err)
	}
	return names, nil
}
