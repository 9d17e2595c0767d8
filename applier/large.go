package applier

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/crash"
)

// ErrPieces says that a large transaction's last piece is here but not all before it.
var ErrPieces = errors.New("pieces of a large transaction are missing")

// errAwaitsEnd: a large transaction that has stalled before is applied when all
// of it is in the stream. Beginning it again and again while its origin is away
// would write and roll back all of it each time.
var errAwaitsEnd = errors.New("its last piece is awaited")

// large is the large transaction under way: one target transaction over many
// pieces, each applied as it comes.
type large struct {
	*transaction
	attempt  change.ID
	next     uint32      // index of the piece that must come
	recorded bool        // conflict records wait for the position
	parking  *parkReason // it is kept in pgfed.parked instead of applied
	parked   parkedTables
	failed   error // rolled back; only the position is waited for
}

// applyPiece applies one piece of a large transaction.
func (a *Applier) applyPiece(ctx context.Context, b *change.Batch, p *change.Part) error {
	ctx, cancel := draining(ctx)
	defer cancel()
	// 1. The first piece opens the target transaction and replaces whatever
	// attempt was open.
	if p.First {
		if err := a.openLarge(ctx, b, p); err != nil {
			return fmt.Errorf("apply %s: begin a large transaction: %w", a.Origin, err)
		}
	}
	// 2. Each next piece must be the next one of the same attempt. Others are
	// leftovers of an attempt whose beginning we did not see.
	o := a.open
	if o == nil || o.attempt != p.Attempt || o.next != p.Index {
		if !p.Last && !p.First && o == nil {
			return nil
		}
		return fmt.Errorf("apply %s: piece %d of attempt %s: %w", a.Origin, p.Index, p.Attempt.Short(), ErrPieces)
	}
	o.next++
	o.to = a.rowAfter(b, p)
	// 3. Its rows, behind a savepoint of its own.
	err := o.failed
	if err == nil {
		err = a.pieceRows(ctx, p)
	}
	if err == nil && !p.Last {
		crash.At(crash.LargeHalfApplied)
		return nil
	}
	if err != nil {
		return a.failLarge(ctx, p, err)
	}
	// 4. The last piece brings the position: mark, move the checkpoint, commit.
	if err := a.closeLarge(ctx); err != nil {
		return a.settle(ctx, o.transaction, p, err)
	}
	a.open = nil
	if o.parking != nil {
		a.Memory.forget(p.Final)
		a.parkedOne(o.transaction)
	} else {
		a.committed(o.transaction)
	}
	return nil
}

func (a *Applier) openLarge(ctx context.Context, b *change.Batch, p *change.Part) error {
	a.rollBack(ctx)
	x := a.newTransaction(b, p)
	x.provisional = true
	if a.Memory.hasStalled(p) {
		a.open = &large{transaction: x, attempt: p.Attempt, failed: errAwaitsEnd}
		return nil
	}
	a.judge.Reset()
	if _, err := a.run(ctx, a.control.begin, nil); err != nil {
		return err
	}
	a.open = &large{transaction: x, attempt: p.Attempt, parking: a.Memory.recall(p.Final)}
	if a.open.parking == nil {
		return nil
	}
	x.to.Position.LSN = a.open.parking.commit
	return a.beginPark(ctx, x, *a.open.parking)
}

// pieceRows applies or parks the changes of a piece.
func (a *Applier) pieceRows(ctx context.Context, p *change.Part) error {
	o := a.open
	if o.parking != nil {
		o.to.Position.LSN = o.parking.commit
		return a.parkChanges(ctx, o.transaction, p.Changes, &o.parked)
	}
	items, err := a.judgeChanges(ctx, p.Changes, p.Last)
	if err != nil {
		return err
	}
	if err := a.joins(ctx, items); err != nil {
		return err
	}
	count, err := a.tryPiece(ctx, o.transaction, items)
	if err != nil {
		return err
	}
	o.add(count)
	o.recorded = o.recorded || count.conflicts() > 0
	return nil
}

// tryPiece: all of it in one go, and when anything differs change by change.
func (a *Applier) tryPiece(ctx context.Context, x *transaction, items []item) (tally, error) {
	if _, err := a.run(ctx, a.control.pieceSave, nil); err != nil {
		return tally{}, err
	}
	if !needExact(items) {
		count, err := a.pipelined(ctx, x, items, nil, false)
		if err == nil {
			_, err = a.run(ctx, a.control.pieceRelease, nil)
			return count, err
		}
		if !differs(err) || a.conn.IsClosed() {
			return count, err
		}
		if _, failed := a.run(ctx, a.control.pieceRollback, nil); failed != nil {
			return count, failed
		}
	}
	count, err := a.exactly(ctx, x, items)
	if err == nil {
		_, err = a.run(ctx, a.control.pieceRelease, nil)
	}
	return count, err
}

// closeLarge commits the open transaction.
func (a *Applier) closeLarge(ctx context.Context) error {
	o := a.open
	if o.parking != nil {
		if o.to.Position.LSN != o.parking.commit { // another transaction, of another history
			a.Memory.forget(o.begin.Final)
			return fmt.Errorf("park at %s: %w", o.parking.commit, ErrReopen)
		}
		if err := a.endPark(ctx, o.transaction, &o.parked); err != nil {
			return err
		}
	}
	if o.recorded {
		values := [][]byte{
			[]byte(a.Origin), []byte(o.to.Position.History.String()),
			[]byte(o.recordPosition().String()), []byte(o.to.Position.LSN.String()),
		}
		for _, st := range []*statement{a.control.supersede, a.control.correct} {
			if _, err := a.run(ctx, st, values); err != nil {
				return err
			}
		}
	}
	if err := a.restoreDisplaced(ctx, o.transaction); err != nil {
		return err
	}
	if err := a.checkDeferred(ctx, o.transaction); err != nil {
		return err
	}
	if err := a.mark(ctx, o.transaction); err != nil {
		return err
	}
	return a.commit(ctx, o.transaction)
}

// failLarge rolls a large transaction back. What becomes of it may need its
// position (the record of a clash, the parked transaction), which only the
// last piece tells: until then its pieces are passed over without a lock held.
func (a *Applier) failLarge(ctx context.Context, p *change.Part, cause error) error {
	o := a.open
	if errors.Is(cause, errAwaitsEnd) {
		if !p.Last {
			return nil
		}
		a.Memory.stall(0, change.ID{})
		return fmt.Errorf("apply %s, a large transaction after %s, now that all of it is there: %w", a.Origin, a.position, ErrReopen)
	}
	a.rollBack(ctx)
	var clash *unresolved
	needsPosition := errors.As(cause, &clash) ||
		Lasting(cause) && a.OnError == Park && haltOf(cause).parkable()
	switch {
	case !needsPosition && Lasting(cause):
		return a.halt(haltOf(cause), change.Position{})
	case !needsPosition:
		return fmt.Errorf("apply %s, a large transaction after %s: %w", a.Origin, a.position, cause)
	case p.Last:
		return a.settle(ctx, o.transaction, p, cause)
	}
	o.failed = cause
	a.open = o
	return nil
}

// stall remembers the attempt at a large transaction that has stalled.
func (m *Memory) stall(final change.LSN, attempt change.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalled.final, m.stalled.attempt = final, attempt
}

func (m *Memory) hasStalled(p *change.Part) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stalled.final == p.Final && m.stalled.attempt == p.Attempt && !p.Attempt.IsZero()
}
