package applier

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/internal/change"
)

// buildHold builds the statements that keep a plan true, see plan.hold.
func (p *plan) buildHold() {
	var columns, generated []string
	for i, at := range p.columns {
		if at >= 0 {
			columns = append(columns, "t."+p.target.columns[at].quoted)
		} else if !p.target.isLocal(p.source.Columns[i].Name) {
			generated = append(generated, literal(p.source.Columns[i].Name))
		}
	}
	p.hold = &statement{plan: p, sql: fmt.Sprintf("SELECT %s FROM ONLY %s AS t WHERE false", strings.Join(columns, ", "), p.target.quoted)}
	if generated == nil {
		return
	}
	p.generated = int64(len(generated))
	p.stillGenerated = &statement{plan: p, sql: fmt.Sprintf(`SELECT 1 FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = %s AND c.relname = %s AND a.attgenerated <> '' AND a.attname IN (%s)`,
		literal(p.target.name.Schema), literal(p.target.name.Name), strings.Join(generated, ", "))}
}

// fits reports whether hold has shown the columns that the plan was made for.
func (p *plan) fits(fields []pgconn.FieldDescription) bool {
	for _, at := range p.columns {
		if at < 0 {
			continue
		}
		c := &p.target.columns[at]
		if len(fields) == 0 || c.shownOID != 0 && (fields[0].DataTypeOID != c.shownOID || fields[0].TypeModifier != c.typeMod) {
			return false
		}
		fields = fields[1:]
	}
	return len(fields) == 0
}

// literal quotes a string; standard_conforming_strings is on.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// refreshEvery bounds how long a plan does not know what no statement shows: a
// partition attached or detached, a deferrable constraint added.
const refreshEvery = 5 * time.Second

// refresh drops the plans of tables that have changed so. Not while a large
// transaction is open: it holds its tables.
func (a *Applier) refresh(ctx context.Context) error {
	if a.open != nil || time.Since(a.plans.checked) < refreshEvery {
		return nil
	}
	var names []change.Name
	asked := make(map[change.Name]bool)
	for _, p := range a.plans.byName {
		for _, name := range involved(p.source) {
			if !asked[name] { // a root is that of many
				asked[name], names = true, append(names, name)
			}
		}
	}
	now, err := stamps(ctx, a.conn, names)
	if err != nil {
		return err
	}
	a.plans.checked = time.Now()
	for name, p := range a.plans.byName {
		if stampOf(p.source, now) != p.target.stamp {
			a.statements.discard(p)
			delete(a.plans.byName, name)
		}
	}
	return nil
}

// stamps tells tables apart that need plans of their own although statements
// prepared for one work with the other: by what they are partitions of, their
// unique and exclusion constraints and the columns without NULLs. A table that
// does not exist is absent.
func stamps(ctx context.Context, conn *pgx.Conn, names []change.Name) (map[change.Name]string, error) {
	var schemas, tables []string
	for _, name := range names {
		schemas, tables = append(schemas, name.Schema), append(tables, name.Name)
	}
	rows, err := conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, pg_catalog.format('%s %s %s %s %s', c.oid,
			ARRAY(SELECT p.oid FROM pg_catalog.pg_partition_ancestors(c.oid::regclass) AS p(oid)), c.relpartbound,
			(SELECT pg_catalog.string_agg(i.indexrelid || ' ' || i.indimmediate || ' ' || i.indisvalid, ',' ORDER BY i.indexrelid)
			FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)),
			(SELECT pg_catalog.string_agg(a.attnum::text, ',' ORDER BY a.attnum)
			FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND `+notNull+`))
		FROM unnest($1::text[], $2::text[]) AS s(n, t)
		JOIN pg_catalog.pg_namespace n ON n.nspname = s.n
		JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.t`, schemas, tables)
	if err != nil {
		return nil, fmt.Errorf("look for changes of tables: %w", err)
	}
	found := make(map[change.Name]string, len(names))
	var name change.Name
	var stamp string
	if _, err := pgx.ForEachRow(rows, []any{&name.Schema, &name.Name, &stamp}, func() error {
		found[name] = stamp
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look for changes of tables: %w", err)
	}
	return found, nil
}
