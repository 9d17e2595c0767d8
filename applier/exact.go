package applier

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
)

// attempts bounds how often one change is tried while rows move under it. Each
// attempt sees a newer snapshot; a change that still fails is reported.
const attempts = 20

// unresolved is a clash that no rule decides. Its record must survive the
// rollback.
type unresolved struct {
	record *record
	halt   *Halt
}

func (u *unresolved) Error() string { return u.halt.Error() }

// outcome is what became of one change on the exact path. The first clash
// gives the record its kind, the rows of all of them are shown.
type outcome struct {
	kind   conflict.Kind
	action conflict.Action
	rows   []localRow
	clash  bool
}

func (o *outcome) note(r conflict.Resolution, rows []localRow) {
	if !r.Record {
		return
	}
	if !o.clash {
		o.kind, o.action, o.clash = r.Kind, r.Action, true
	}
	for i := range rows {
		met := func(row localRow) bool { return row.place == rows[i].place }
		if !slices.ContainsFunc(o.rows, met) {
			o.rows = append(o.rows, rows[i])
		}
	}
}

// exactly applies changes one by one, each behind a savepoint, with fresh
// knowledge of the tables. The transaction is open.
func (a *Applier) exactly(ctx context.Context, x *transaction, items []item) (tally, error) {
	a.meter().exactRun()
	var count tally
	fresh := make(map[*change.Table]*plan)
	for i := range items {
		it := &items[i]
		if it.Change.Op == change.Truncate {
			if err := a.truncate(ctx, x, it, &count); err != nil {
				return count, err
			}
			continue
		}
		if !it.Verdict.Accept {
			if err := a.refuse(ctx, x, it, &count); err != nil {
				return count, err
			}
			continue
		}
		p, known := fresh[it.Change.Table]
		if !known {
			var err error
			if p, err = a.replanHeld(ctx, it.Change.Table); err != nil {
				return count, err
			}
			fresh[it.Change.Table] = p
		}
		it.plan = p
		if err := a.exactChange(ctx, x, it, &count); err != nil {
			return count, err
		}
	}
	return count, nil
}

// replanHeld makes a plan that stays right until the transaction ends.
func (a *Applier) replanHeld(ctx context.Context, t *change.Table) (*plan, error) {
	var err error
	for range attempts {
		p, failed := a.replan(ctx, t)
		if failed != nil {
			return nil, failed
		}
		if err = a.hold(ctx, p); err == nil {
			return p, nil
		}
		if !differs(err) {
			return nil, err
		}
	}
	if sqlState(err) != "" {
		return nil, describe(err, t.String())
	}
	return nil, fmt.Errorf("plan for %s: %w", t, err)
}

// hold holds a table outside of a pipe of changes, behind a savepoint.
func (a *Applier) hold(ctx context.Context, p *plan) error {
	l := a.pipe(ctx)
	l.send(a.control.changeSave, nil, request{want: anyCount})
	l.hold(p)
	l.send(a.control.changeRelease, nil, request{want: anyCount})
	err := l.finish()
	if closed := l.close(); err == nil {
		err = closed
	}
	return a.undo(ctx, err)
}

// refuse records a change that does not count.
func (a *Applier) refuse(ctx context.Context, x *transaction, it *item, count *tally) error {
	r, err := newRecord(x, it, conflict.Refuse, nil)
	if err != nil {
		return err
	}
	count.conflict(r.kind, r.resolution, 1)
	return a.writeRecord(ctx, x, r)
}

func (a *Applier) writeRecord(ctx context.Context, x *transaction, r *record) error {
	_, err := a.run(ctx, a.control.record, r.values(a.Origin, x))
	return err
}

// exactChange applies one accepted change, whatever it meets.
func (a *Applier) exactChange(ctx context.Context, x *transaction, it *item, count *tally) error {
	var img image
	if err := img.read(it.Change); err != nil {
		return err
	}
	if err := it.plan.intact(&img); err != nil {
		return err
	}
	e := &encounter{a: a, x: x, it: it, img: &img}
	var err error
	switch it.Change.Op {
	case change.Insert:
		err = e.insert(ctx)
	case change.Update:
		err = e.update(ctx)
	case change.Delete:
		err = e.delete(ctx)
	default:
		err = malformed(it.Change.Table, fmt.Errorf("unknown operation %q", it.Change.Op))
	}
	if err != nil {
		return e.explain(err)
	}
	count.changes++
	if it.plan.confirm != nil && it.Change.Op != change.Delete && !e.outcome.clash {
		if err := e.confirm(ctx); err != nil {
			return err
		}
	}
	if it.plan.deferred != nil {
		if err := x.noteDeferred(it, &img); err != nil {
			return err
		}
	}
	if !e.outcome.clash {
		return nil
	}
	r, err := describeChange(it.Change, it.Change.Table, it.Verdict, e.outcome.kind, e.outcome.action, e.outcome.rows)
	if err != nil {
		return err
	}
	count.conflict(r.kind, r.resolution, 1)
	return a.writeRecord(ctx, x, r)
}

// confirm halts where the row got another key than at its origin.
func (e *encounter) confirm(ctx context.Context) error {
	values, err := e.it.plan.confirm.bind(nil, e.img)
	if err != nil {
		return malformed(e.it.Change.Table, err)
	}
	tag, err := e.a.run(ctx, e.it.plan.confirm, values)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	return lasting(CodeNoKey, e.it.Change.Table.String(), "generate the key's columns by the same expression at every node; applying resumes by itself",
		"a column of the key is generated, and by another expression here than at its origin: the row has another key")
}

// encounter is one change meeting this database's rows.
type encounter struct {
	a       *Applier
	x       *transaction
	it      *item
	img     *image
	outcome outcome
}

// explain names the table in lasting errors of the database, and makes a halt
// of a clash.
func (e *encounter) explain(err error) error {
	var h *Halt
	if errors.As(err, &h) || sqlState(err) == "" || !Lasting(err) {
		return err
	}
	return describe(err, e.it.Change.Table.String())
}

// resolve asks what to do about a clash and notes it. A halt comes back as
// *unresolved.
func (e *encounter) resolve(clash conflict.Clash, rows []localRow) (conflict.Action, error) {
	clash.Placed = e.placed()
	r, err := e.it.plan.rule.Resolve(e.it.Verdict, clash)
	if err != nil {
		return "", lasting(CodeConflict, e.it.Change.Table.String(), "", "%s", err)
	}
	e.outcome.note(r, rows)
	if r.Action != conflict.Halt {
		return r.Action, nil
	}
	record, err := describeChange(e.it.Change, e.it.Change.Table, e.it.Verdict, r.Kind, r.Action, rows)
	if err != nil {
		return "", err
	}
	halt := lasting(CodeConflict, e.it.Change.Table.String(), "see replctl conflicts list; make the local row agree, then applying resumes by itself",
		"%s: no owner decides", r.Kind)
	return "", &unresolved{record: record, halt: halt}
}

// insert puts the new row in, over or beside what is there.
func (e *encounter) insert(ctx context.Context) error {
	st := e.it.plan.insert
	values, err := st.bind(nil, e.img)
	if err != nil {
		return malformed(e.it.Change.Table, err)
	}
	return e.insertRow(ctx, st, values)
}

func (e *encounter) insertRow(ctx context.Context, st *statement, values [][]byte) error {
	var err error
	for range attempts {
		if _, err = e.a.guarded(ctx, st, values); err == nil || !constraintInTheWay(err) {
			// No row although no error: a trigger that fires on replicas
			// wants it so.
			return err
		}
		rows, found := e.inTheWay(ctx, nil)
		if found != nil {
			return found
		}
		if len(rows) == 0 {
			continue // gone meanwhile
		}
		done, failed := e.makeRoom(ctx, rows)
		if done || failed != nil {
			return failed
		}
	}
	return err
}

// makeRoom deals with the rows that an insert met. It reports whether that
// was all.
func (e *encounter) makeRoom(ctx context.Context, rows []localRow) (done bool, err error) {
	clash := conflict.Clash{Kind: conflict.MultipleUniqueConflicts, Holders: e.holders(rows)}
	same := sameKey(rows)
	if same != nil {
		clash.Kind = conflict.InsertExists
		clash.Same = len(rows) == 1 && e.equals(same)
	}
	action, err := e.resolve(clash, rows)
	if err != nil {
		return false, err
	}
	switch action {
	case conflict.Same, conflict.Skip: // it is there already, or lost a tie, which resolve has noted
		return true, nil
	case conflict.Overwrite:
		// The row with the new row's key takes the new values; others in its
		// way are found again by the update.
		return true, e.overwrite(ctx, same, nil)
	case conflict.Displace:
		e.x.displaced.remember(e.it.plan, rows)
		return false, e.displace(ctx, rows)
	}
	return false, fmt.Errorf("resolve %s of an insert: unexpected action %q", clash.Kind, action)
}

// update writes the new values into the row it means.
func (e *encounter) update(ctx context.Context) error {
	st, values, err := e.a.bind(e.it)
	if err != nil {
		return err
	}
	tag, err := e.a.guarded(ctx, st, values)
	switch {
	case err == nil && tag.RowsAffected() == 1:
		return nil
	case err == nil && tag.RowsAffected() > 1:
		return lasting(CodeNoKey, e.it.Change.Table.String(), "", "an update touches %d rows", tag.RowsAffected())
	case err != nil && !constraintInTheWay(err):
		return err
	}
	row, differs, err := e.meant(ctx)
	if err == nil && (row == nil || differs) {
		kept, failed := e.displaced(ctx)
		if failed != nil {
			return failed
		}
		if kept != nil {
			return e.restore(ctx, kept)
		}
	}
	switch {
	case err != nil:
		return err
	case row == nil:
		return e.updateMissing(ctx)
	case differs:
		if err := e.overrule(conflict.UpdateMissing, conflict.UpdateOriginDiffers, row); err != nil {
			return err
		}
		// The whole old row is known: what the update left alone may differ too.
		e.img = e.completed()
		return e.overwrite(ctx, row, nil)
	}
	return e.overwrite(ctx, row, e.it.plan.changed(nil, e.it.Change, e.img))
}

// updateMissing: there is no such row.
func (e *encounter) updateMissing(ctx context.Context) error {
	complete, err := conflict.Complete(e.it.Change)
	if err != nil {
		return malformed(e.it.Change.Table, err)
	}
	action, err := e.resolve(conflict.Clash{Kind: conflict.UpdateMissing, Complete: complete}, nil)
	if err != nil {
		return err
	}
	if action != conflict.InsertInstead {
		return fmt.Errorf("resolve %s: unexpected action %q", conflict.UpdateMissing, action)
	}
	full := e.completed()
	values, err := e.it.plan.insert.bind(nil, full)
	if err != nil {
		return malformed(e.it.Change.Table, err)
	}
	e.img = full
	return e.insertRow(ctx, e.it.plan.insert, values)
}

// delete removes the row it means.
func (e *encounter) delete(ctx context.Context) error {
	st, values, err := e.a.bind(e.it)
	if err != nil {
		return err
	}
	tag, err := e.a.guarded(ctx, st, values)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	row, differs, err := e.meant(ctx)
	if err != nil {
		return err
	}
	if row == nil || differs {
		if kept, err := e.displaced(ctx); kept != nil || err != nil {
			return err // deleted already
		}
	}
	if row == nil {
		_, err := e.resolve(conflict.Clash{Kind: conflict.DeleteMissing}, nil)
		return err
	}
	if differs {
		if err := e.overrule(conflict.DeleteMissing, conflict.DeleteOriginDiffers, row); err != nil {
			return err
		}
	}
	return e.displace(ctx, []localRow{*row})
}

// overrule decides about a row that has the key but not the content the origin
// saw, which only REPLICA IDENTITY FULL can tell: the owner's change counts
// all the same, on record; without an owner it is as if the row were missing.
func (e *encounter) overrule(missing, differs conflict.Kind, row *localRow) error {
	rows := []localRow{*row}
	if e.it.Verdict.Free {
		_, err := e.resolve(conflict.Clash{Kind: missing}, rows)
		return err
	}
	e.outcome.note(conflict.Resolution{Action: conflict.Overwrite, Kind: differs, Record: true}, rows)
	return nil
}

// overwrite gives a locked row the change's new values: the columns in set, or
// all that were sent when set is nil.
func (e *encounter) overwrite(ctx context.Context, row *localRow, set []bool) error {
	if set == nil {
		set = make([]bool, len(e.it.plan.columns))
		for i, at := range e.it.plan.columns {
			set[i] = at >= 0 && e.img.new[i].Kind != change.Unchanged
		}
	}
	return e.force(ctx, e.it.plan.buildOverwrite(row, set, e.img), row)
}

// force runs a statement that gives a row its new values, or puts it back where
// row is nil. Rows of others in its way are displaced.
func (e *encounter) force(ctx context.Context, q once, row *localRow) error {
	var err error
	for range attempts {
		if err = e.a.guardedOnce(ctx, q); err == nil || !constraintInTheWay(err) {
			if err == nil && row != nil && e.it.Change.Op == change.Insert {
				e.x.displaced.remember(e.it.plan, []localRow{*row}) // may be a row of the origin's whose key is deferrable
			}
			return err
		}
		rows, found := e.inTheWay(ctx, row)
		if found != nil {
			return found
		}
		if len(rows) == 0 {
			continue
		}
		clash := conflict.Clash{Kind: conflict.MultipleUniqueConflicts, Holders: e.holders(rows)}
		if e.it.Change.Op == change.Update && sameKey(rows) != nil {
			clash.Kind = conflict.UpdateExists
		}
		action, failed := e.resolve(clash, rows)
		if failed != nil {
			return failed
		}
		if action == conflict.Skip { // another owner's row keeps the value, which resolve has noted
			return e.yield(ctx, row)
		}
		e.x.displaced.remember(e.it.plan, rows)
		if failed := e.displace(ctx, rows); failed != nil {
			return failed
		}
	}
	return err
}

// yield ends a change that lost a tie. An update takes its row with it: where
// the winner's change comes second, it displaces that row.
func (e *encounter) yield(ctx context.Context, row *localRow) error {
	if e.it.Change.Op != change.Update || row == nil {
		return nil
	}
	return e.displace(ctx, []localRow{*row})
}

// completed is the new row with every value: unchanged ones from the old row,
// where that is whole.
func (e *encounter) completed() *image {
	full := &image{old: e.img.old, new: append([]change.Value(nil), e.img.new...)}
	for i := range full.new {
		if full.new[i].Kind == change.Unchanged && e.it.Change.OldKind == change.OldFull {
			full.new[i] = full.old[i]
		}
	}
	return full
}

// guarded runs a statement behind a savepoint, which an error of its own
// leaves the transaction usable at. One round trip if all is well.
func (a *Applier) guarded(ctx context.Context, st *statement, values [][]byte) (tag pgconn.CommandTag, err error) {
	l := a.pipe(ctx)
	l.send(a.control.changeSave, nil, request{want: anyCount})
	l.send(st, values, request{then: func(t pgconn.CommandTag) error { tag = t; return nil }})
	l.send(a.control.changeRelease, nil, request{want: anyCount})
	err = l.finish()
	if closed := l.close(); err == nil {
		err = closed
	}
	return tag, st.nameColumn(a.undo(ctx, err))
}

// guardedOnce is guarded for a statement that is not kept.
func (a *Applier) guardedOnce(ctx context.Context, q once) error {
	if _, err := a.run(ctx, a.control.changeSave, nil); err != nil {
		return err
	}
	err := a.conn.PgConn().ExecParams(ctx, q.sql, q.values, q.oids, nil, nil).Read().Err
	if err != nil {
		return a.undo(ctx, err)
	}
	_, err = a.run(ctx, a.control.changeRelease, nil)
	return err
}

// undo returns to the savepoint after a server error.
func (a *Applier) undo(ctx context.Context, err error) error {
	if err == nil || a.conn.IsClosed() || a.conn.PgConn().TxStatus() != 'E' {
		return err
	}
	if _, failed := a.run(ctx, a.control.changeRollback, nil); failed != nil {
		return failed
	}
	_, failed := a.run(ctx, a.control.changeRelease, nil)
	if failed != nil {
		return failed
	}
	return err
}

// run runs one statement by itself.
func (a *Applier) run(ctx context.Context, st *statement, values [][]byte) (tag pgconn.CommandTag, err error) {
	l := a.pipe(ctx)
	l.send(st, values, request{then: func(t pgconn.CommandTag) error { tag = t; return nil }})
	err = l.finish()
	if closed := l.close(); err == nil {
		err = closed
	}
	return tag, err
}
