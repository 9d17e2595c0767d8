package applier

import (
	"context"
	"errors"
	"fmt"
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
	for i, table := range c.Truncated {
		local, err := a.truncated(ctx, table)
		if err != nil {
			return err
		}
		v := it.Tables[i]
		switch {
		case local.kind == 'p':
			continue // its partitions are listed too
		case v.Accept && v.Own == nil:
			whole = append(whole, local.quoted)
			continue
		case v.Accept:
			err = a.deleteOwn(ctx, table, local, v.Own)
		default:
			action = conflict.Refuse
		}
		if err != nil {
			return err
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

// truncated reads the local description of a table to be truncated.
func (a *Applier) truncated(ctx context.Context, t *change.Table) (*target, error) {
	if a.plans.included != nil && !a.plans.included(t.Schema, t.Name) {
		return nil, lasting(CodeNotIncluded, t.String(), "use one federation file at every node",
			"the origin truncates the table but this node's federation file does not include it")
	}
	local, err := readTarget(ctx, a.conn, t.Schema, t.Name)
	switch {
	case errors.Is(err, errNoTable):
		return nil, lasting(CodeMissingTable, t.String(), "create the table; applying resumes by itself", "the table does not exist here")
	case err != nil:
		return nil, err
	case local.kind != 'r' && local.kind != 'p':
		return nil, lasting(CodeTableKind, t.String(), "make it an ordinary table", "it is %s here", kindName(local.kind))
	}
	return local, nil
}

// truncateWhole never says RESTART IDENTITY, whatever the origin said: sequences
// are each node's own, and to restart one takes its owner.
func (a *Applier) truncateWhole(ctx context.Context, c *change.Change, tables []string) error {
	for i := range tables {
		tables[i] = "ONLY " + tables[i]
	}
	sql := "TRUNCATE " + strings.Join(tables, ", ") + " RESTRICT"
	err := a.conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err
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

// deleteOwn deletes what a TRUNCATE of a table owned by column means
// elsewhere: the origin's rows and those of nobody.
func (a *Applier) deleteOwn(ctx context.Context, t *change.Table, local *target, own *conflict.OwnRows) error {
	at := local.column(own.Column)
	if at < 0 {
		return lasting(CodeMissingColumn, t.String(), "add what is missing; applying resumes by itself", "missing here: column %s", own.Column)
	}
	column := pgx.Identifier{own.Column}.Sanitize()
	text := fmt.Sprintf("pg_catalog.concat(t.%s)", column)
	if local.columns[at].typeOID == bpcharOID || blankPadded(t, own.Column) {
		text = "pg_catalog.rtrim(" + text + ", ' ')"
	}
	sql := fmt.Sprintf(`DELETE FROM ONLY %s AS t WHERE t.%s IS NULL OR %s COLLATE pg_catalog."C" = ANY ($1::text[])`, local.quoted, column, text)
	if _, err := a.conn.Exec(ctx, sql, own.Values); err != nil {
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
