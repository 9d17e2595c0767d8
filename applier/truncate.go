package applier

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// truncate makes a TRUNCATE count for the tables whose verdicts say so. Only
// the tables that the origin lists are touched, never what else a CASCADE
// would find here. What does not count as made is one record: a change has one
// identity.
func (a *Applier) truncate(ctx context.Context, x *transaction, it *item, count *tally) error {
	c := it.Change
	if len(it.Tables) != len(c.Truncated) {
		return malformed(nil, fmt.Errorf("a TRUNCATE of %d tables has %d verdicts", len(c.Truncated), len(it.Tables)))
	}
	var whole []string
	var spared []*change.Table
	var verdict conflict.Verdict
	action := conflict.OwnRowsOnly
	done := make(map[uint32]bool) // tables here: several at the origin may be one
	for i, table := range c.Truncated {
		local, err := a.target(ctx, table)
		if err != nil {
			return err
		}
		v := it.Tables[i]
		if v.Accept && local.root {
			if err := wholeRoot(it, i); err != nil {
				return err
			}
		}
		switch {
		case !v.Accept:
			action = conflict.Refuse
		case done[local.oid]:
		default:
			var reach reach
			if reach, err = a.reach(ctx, local); err != nil {
				return err
			}
			if v.Own == nil {
				whole = append(whole, reach.tables...)
				x.displaced.truncated(local, reach.spared, nil)
			} else {
				err = a.deleteOwn(ctx, x, table, local, v.Own, reach.spared)
			}
		}
		if err != nil {
			return err
		}
		done[local.oid] = done[local.oid] || v.Accept
		if v.Accept && v.Own == nil {
			continue
		}
		if spared == nil || verdict.Accept && !v.Accept {
			verdict = v
		}
		spared = append(spared, table)
	}
	if spared == nil || action == conflict.OwnRowsOnly || whole != nil {
		count.changes++
	}
	if spared != nil {
		if err := a.recordTruncate(ctx, x, it, spared, verdict, action, count); err != nil {
			return err
		}
	}
	if whole == nil {
		return nil
	}
	return a.truncateWhole(ctx, c, whole)
}

// reach is what a TRUNCATE may empty of a table.
type reach struct {
	tables []string
	spared []uint32 // partitions that are this node's own
}

// reach leaves out the partitions that the federation file does: their rows never
// came from an origin.
func (a *Applier) reach(ctx context.Context, local *target) (reach, error) {
	all := reach{tables: []string{local.rows}}
	if local.kind != 'p' || a.plans.included == nil {
		return all, nil
	}
	rows, err := a.conn.Query(ctx, `SELECT c.oid, n.nspname::text, c.relname::text FROM pg_catalog.pg_partition_tree($1::oid::regclass) AS p
		JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.isleaf AND c.relkind <> 'p'`, local.oid)
	if err != nil {
		return reach{}, fmt.Errorf("read the partitions of %s: %w", local.name, err)
	}
	var some reach
	var oid uint32
	var name change.Name
	_, err = pgx.ForEachRow(rows, []any{&oid, &name.Schema, &name.Name}, func() error {
		if a.plans.included(name.Schema, name.Name) {
			some.tables = append(some.tables, "ONLY "+pgx.Identifier{name.Schema, name.Name}.Sanitize())
		} else {
			some.spared = append(some.spared, oid)
		}
		return nil
	})
	if err != nil {
		return reach{}, fmt.Errorf("read the partitions of %s: %w", local.name, err)
	}
	if some.spared == nil {
		return all, nil
	}
	return some, nil
}

// wholeRoot reports, as a *Halt, why the TRUNCATE of a partition that has no
// like here cannot be made: which rows of the root it means is not known,
// unless it means all of them.
func wholeRoot(it *item, table int) error {
	c, t := it.Change, it.Change.Truncated[table]
	root := t.Partition.Root
	reason := "the origin truncates this partition and not all of " + root.String()
	if slices.Contains(c.Wholly, root) {
		reason = ""
		for i, other := range c.Truncated {
			if other.Partition != nil && other.Partition.Root == root && !alike(it.Tables[i], it.Tables[table]) {
				reason = "the origin may truncate this partition and not all of " + root.String()
			}
		}
	}
	if reason == "" {
		return nil
	}
	return lasting(CodeTruncatePartition, t.String(),
		"give "+root.String()+" here a partition of this name with the bounds it has at its origin; applying resumes by itself",
		"%s, and here no partition holds the same rows", reason)
}

// alike: both verdicts concern the same rows of their tables.
func alike(v, w conflict.Verdict) bool {
	if v.Accept != w.Accept || (v.Own == nil) != (w.Own == nil) {
		return false
	}
	return v.Own == nil || v.Own.Column == w.Own.Column && slices.Equal(v.Own.Values, w.Own.Values)
}

// truncateWhole never says RESTART IDENTITY, whatever the origin said: sequences
// are each node's own, and to restart one takes its owner.
func (a *Applier) truncateWhole(ctx context.Context, c *change.Change, tables []string) error {
	above, err := a.emptied(ctx, tables)
	if err != nil {
		return err
	}
	sql := "TRUNCATE " + strings.Join(append(tables, above...), ", ") + " RESTRICT"
	err = a.conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err
	if sqlState(err) == "0A000" {
		h := describe(err, c.Truncated[0].String())
		h.Code = CodeTruncateReferenced
		h.Reason = "a foreign key of a local table forbids the TRUNCATE: " + h.Reason
		h.Remedy = "drop or truncate the referencing table here; applying resumes by itself"
		return h
	}
	if err != nil && Lasting(err) {
		return describe(err, c.Truncated[0].String())
	}
	return err
}

// emptied finds the partitioned tables with foreign keys that hold no row but
// those of tables that are truncated whole. They are truncated with them: a
// table is truncated only together with all that refer to it.
func (a *Applier) emptied(ctx context.Context, tables []string) ([]string, error) {
	names := make([]string, len(tables))
	for i, table := range tables {
		names[i] = strings.TrimPrefix(table, "ONLY ")
	}
	rows, err := a.conn.Query(ctx, `
		WITH named AS (SELECT t::regclass AS relid FROM unnest($1::text[]) t),
		emptied AS (SELECT relid FROM named UNION SELECT p.relid FROM named, pg_catalog.pg_partition_tree(named.relid) p)
		SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'p' AND EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND c.oid IN (f.conrelid, f.confrelid))
			AND c.oid IN (SELECT p.relid FROM emptied, pg_catalog.pg_partition_ancestors(emptied.relid) p)
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) leaf WHERE leaf.isleaf AND leaf.relid NOT IN (SELECT relid FROM emptied))`, names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// deleteOwn deletes what a TRUNCATE of a table owned by column means
// elsewhere: the origin's rows and those of nobody.
func (a *Applier) deleteOwn(ctx context.Context, x *transaction, t *change.Table, local *target, own *conflict.OwnRows, spared []uint32) error {
	at := local.column(own.Column)
	if at < 0 {
		return lasting(CodeMissingColumn, t.String(), "add what is missing; applying resumes by itself", "missing here: column %s", own.Column)
	}
	column := pgx.Identifier{own.Column}.Sanitize()
	text := fmt.Sprintf("pg_catalog.concat(t.%s)", column)
	padded := local.columns[at].typeOID == bpcharOID || blankPadded(t, own.Column)
	if padded {
		text = "pg_catalog.rtrim(" + text + ", ' ')"
	}
	x.displaced.truncated(local, spared, func(row *localRow) bool {
		v := row.values[at]
		if padded {
			v.Bytes = bytes.TrimRight(v.Bytes, " ")
		}
		return v.Kind == change.Null || slices.Contains(own.Values, string(v.Bytes))
	})
	sql := fmt.Sprintf(`DELETE FROM %s AS t WHERE (t.%s IS NULL OR %s COLLATE pg_catalog."C" = ANY ($1::text[])) AND t.tableoid <> ALL ($2::oid[])`, local.rows, column, text)
	if spared == nil {
		spared = []uint32{}
	}
	if _, err := a.conn.Exec(ctx, sql, own.Values, spared); err != nil {
		if Lasting(err) {
			return describe(err, t.String())
		}
		return err
	}
	return nil
}

// recordTruncate writes one record under the first table that was not
// truncated as a whole; key lists all of them.
func (a *Applier) recordTruncate(ctx context.Context, x *transaction, it *item, spared []*change.Table, v conflict.Verdict, action conflict.Action, count *tally) error {
	r, err := describeChange(it.Change, spared[0], v, v.Kind, action, nil)
	if err != nil {
		return err
	}
	r.key = []byte(`{"tables": [`)
	for i, t := range spared {
		if i > 0 {
			r.key = append(r.key, ", "...)
		}
		r.key = appendJSON(r.key, []byte(t.String()))
	}
	r.key = append(r.key, "]}"...)
	count.conflict(r.kind, r.resolution, 1)
	return a.writeRecord(ctx, x, r)
}
