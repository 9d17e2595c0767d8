package applier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/crash"
)

// Transient errors of a transaction that is whole in memory are tried again
// here before the caller hears of them: a deadlock with a user's session is
// no reason to reconnect.
const (
	retries    = 5
	retryPause = 20 * time.Millisecond // doubled each time
)

// stopGrace is how long a transaction under way may go on when Run is told to
// stop.
const stopGrace = 2 * time.Second

// transaction is a source transaction on its way into a target transaction.
type transaction struct {
	begin       change.Begin
	from        change.Position
	to          checkpoint.Row // Position.LSN is 0 until the last piece is here
	provisional bool           // records carry a stand-in for the position
	tally
	deferred  deferredChecks
	displaced displacedRows
	started   time.Time
}

// tally counts what a transaction did.
type tally struct {
	changes uint64
	kinds   map[recorded]uint64
}

// recorded is what the metrics tell apart among conflicts on record.
type recorded struct {
	kind       conflict.Kind
	resolution conflict.Action
}

func (t *tally) conflict(kind conflict.Kind, resolution conflict.Action, n uint64) {
	if t.kinds == nil {
		t.kinds = make(map[recorded]uint64)
	}
	t.kinds[recorded{kind, resolution}] += n
}

func (t *tally) conflicts() (n uint64) {
	for _, of := range t.kinds {
		n += of
	}
	return n
}

func (t *tally) add(other tally) {
	t.changes += other.changes
	for of, n := range other.kinds {
		t.conflict(of.kind, of.resolution, n)
	}
}

// recordPosition is the transaction's place in pgfed.conflict_history. While a
// large one's position is not known, its records carry a byte position at
// which no WAL record can begin or end; the last piece corrects them.
func (x *transaction) recordPosition() change.LSN {
	if x.provisional {
		return x.begin.Final + 1
	}
	return x.to.Position.LSN
}

// item is one change, judged and planned.
type item struct {
	conflict.Judged
	plan *plan // nil for TRUNCATE
}

func (a *Applier) newTransaction(b *change.Batch, p *change.Part) *transaction {
	return &transaction{begin: p.Begin, from: a.position, to: a.rowAfter(b, p), started: time.Now()}
}

// applyWhole applies a transaction that is complete in memory.
func (a *Applier) applyWhole(ctx context.Context, b *change.Batch, p *change.Part) error {
	ctx, cancel := draining(ctx)
	defer cancel()
	x := a.newTransaction(b, p)
	a.judge.Reset()
	items, err := a.judgeChanges(ctx, p.Changes, true)
	if err == nil {
		err = a.joins(ctx, items)
	}
	if err == nil {
		err = a.retry(ctx, func() error { return a.tryWhole(ctx, x, items) })
	}
	if err != nil {
		return a.settle(ctx, x, p, err)
	}
	a.committed(x)
	return nil
}

// retry repeats what failed for a transient reason while the session is fine.
func (a *Applier) retry(ctx context.Context, try func() error) error {
	pause := retryPause
	for attempt := 0; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		a.rollBack(ctx)
		if sqlState(err) == "" || Lasting(err) || a.conn.IsClosed() || attempt == retries || ctx.Err() != nil {
			return err
		}
		a.meter().retried()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// tryWhole: all in one go, and when anything differs change by change.
func (a *Applier) tryWhole(ctx context.Context, x *transaction, items []item) error {
	x.tally, x.deferred, x.displaced = tally{}, deferredChecks{}, displacedRows{}
	if !needExact(items) {
		count, err := a.pipelined(ctx, x, items, []*statement{a.control.begin}, true)
		if err == nil {
			x.add(count)
			return a.commit(ctx, x)
		}
		if !differs(err) {
			return err
		}
		a.rollBack(ctx)
	}
	if _, err := a.run(ctx, a.control.begin, nil); err != nil {
		return err
	}
	count, err := a.exactly(ctx, x, items)
	if err != nil {
		return err
	}
	x.add(count)
	crash.At(crash.MidApply)
	if err := a.restoreDisplaced(ctx, x); err != nil {
		return err
	}
	if err := a.checkDeferred(ctx, x); err != nil {
		return err
	}
	if err := a.mark(ctx, x); err != nil {
		return err
	}
	return a.commit(ctx, x)
}

// needExact: what has no optimistic form.
func needExact(items []item) bool {
	for i := range items {
		if items[i].Change.Op == change.Truncate || items[i].plan.deferred != nil {
			return true
		}
	}
	return false
}

// differs reports whether the optimistic way failed for a reason that the
// exact way looks into.
func differs(err error) bool {
	var m *mismatch
	return errors.As(err, &m) || errors.Is(err, errOutgrown) || sqlState(err) != "" && Lasting(err)
}

// pipelined queues the opening statements, the changes and, for the last of a
// transaction, what marks it and moves the checkpoint. Nothing is committed.
func (a *Applier) pipelined(ctx context.Context, x *transaction, items []item, opening []*statement, last bool) (tally, error) {
	l := a.pipe(ctx)
	count, err := a.queueAll(l, x, items, opening)
	if err == nil && last {
		err = a.queueMark(l, x)
	}
	if err == nil {
		err = l.finish()
	}
	if closed := l.close(); err == nil {
		err = closed
	}
	if err == nil {
		crash.At(crash.MidApply)
	}
	return count, err
}

func (a *Applier) queueAll(l *pipe, x *transaction, items []item, opening []*statement) (tally, error) {
	var count tally
	for _, st := range opening {
		l.send(st, nil, request{want: anyCount})
	}
	for i := range items {
		it := &items[i]
		if !it.Verdict.Accept {
			count.conflict(it.Verdict.Kind, conflict.Refuse, 1)
			r, err := newRecord(x, it, conflict.Refuse, nil)
			if err != nil {
				return count, err
			}
			l.send(a.control.record, r.values(a.Origin, x), request{want: anyCount})
		} else {
			count.changes++
			st, values, err := a.bind(it)
			if err != nil {
				return count, err
			}
			if it.plan.heldIn != l.id {
				it.plan.heldIn = l.id
				l.hold(it.plan)
			}
			l.send(st, values, request{want: 1})
			if it.plan.confirm != nil && it.Change.Op != change.Delete {
				if a.scratch.values, err = it.plan.confirm.bind(a.scratch.values[:0], &a.scratch.image); err != nil {
					return count, malformed(it.Change.Table, err)
				}
				l.send(it.plan.confirm, a.scratch.values, request{want: 1})
			}
		}
		if l.full() {
			if err := l.turn(); err != nil {
				return count, err
			}
		}
	}
	return count, nil
}

// queueMark marks the target transaction with its origin and commit time, and
// moves the checkpoint by compare-and-set.
func (a *Applier) queueMark(l *pipe, x *transaction) error {
	if !x.begin.Time.IsZero() {
		l.send(a.control.mark, a.markValues(x), request{want: anyCount})
	}
	values, err := a.advanceValues(x)
	if err != nil {
		return err
	}
	l.send(a.control.advance, values, request{then: func(tag pgconn.CommandTag) error {
		return checkpoint.Advanced(tag, a.Origin, x.from, x.to.Position)
	}})
	return nil
}

// mark is queueMark by itself.
func (a *Applier) mark(ctx context.Context, x *transaction) error {
	l := a.pipe(ctx)
	err := a.queueMark(l, x)
	if err == nil {
		err = l.finish()
	}
	if closed := l.close(); err == nil {
		err = closed
	}
	return err
}

// commit makes the transaction visible. The intent is noted first: from here
// on a local transaction may see the rows, whatever becomes of the reply.
func (a *Applier) commit(ctx context.Context, x *transaction) error {
	a.Frontier.NoteBegun(a.Origin, x.to.Position)
	tag, err := a.run(ctx, a.control.commit, nil)
	if err != nil && Lasting(err) {
		return describe(err, "") // a constraint trigger that fires on replicas
	}
	if err != nil {
		return err
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("apply %s/%s: COMMIT ended in %s", a.Origin, x.to.Position, tag)
	}
	crash.At(crash.AfterCommit)
	return nil
}

// settle decides what a transaction's failure means once everything of it is
// rolled back. Its position is known.
func (a *Applier) settle(ctx context.Context, x *transaction, p *change.Part, cause error) error {
	a.rollBack(ctx)
	var clash *unresolved
	if errors.As(cause, &clash) {
		return a.haltAtClash(ctx, x, clash)
	}
	if !Lasting(cause) {
		return fmt.Errorf("apply %s/%s: %w", a.Origin, x.to.Position, cause)
	}
	why := haltOf(cause)
	if a.OnError != Park || !why.parkable() {
		return a.halt(why, x.to.Position)
	}
	if !p.First {
		a.Memory.remember(p.Final, parkReason{commit: p.Commit, reason: why.Reason, sqlState: why.SQLState, code: why.Code})
		return fmt.Errorf("apply %s/%s: to be parked whole: %w", a.Origin, x.to.Position, ErrReopen)
	}
	return a.parkWhole(ctx, x, p, parkReason{commit: p.Commit, reason: why.Reason, sqlState: why.SQLState, code: why.Code})
}

// haltOf makes a halt of any lasting error. Errors of changes are halts by the
// time they come here: others are of our own statements.
func haltOf(err error) *Halt {
	var h *Halt
	if errors.As(err, &h) {
		return h
	}
	h = describe(err, "")
	h.Code, h.Remedy = CodeBookkeeping, "run replctl init: it makes and grants what pgfed needs"
	return h
}

// parkable: conflicts halt whatever on_error says, what contradicts itself
// cannot be kept, and what is wrong with pgfed's own tables is no fault of the
// transaction.
func (h *Halt) parkable() bool {
	switch h.Code {
	case CodeConflict, CodeMalformed, CodeBookkeeping, CodeGap, CodeForeignHistory:
		return false
	}
	return true
}

// rollBack leaves the session outside of any transaction. Errors do not
// matter: a session that cannot roll back is not used again.
func (a *Applier) rollBack(ctx context.Context) {
	a.open = nil
	if a.conn.IsClosed() || a.conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if _, err := a.conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		closeSession(ctx, a.conn)
	}
}

// draining lets what is under way end in order after ctx is done, for a while.
func draining(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(stopGrace, func() { cancel(context.Cause(ctx)) })
	})
	return work, func() {
		stop()
		cancel(context.Canceled)
	}
}
