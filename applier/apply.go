package applier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
)

// Run applies what the source hands over until something stops it. It always
// returns an error: a *Halt for a lasting reason; checkpoint.ErrFenced when
// another applier lives, then this one must not be used again; else something
// worth another try from the checkpoint (ErrStalled, ErrReopen, a lost
// connection, the source's own error, the context's cause).
func (a *Applier) Run(ctx context.Context, source Source) error {
	if !a.known {
		return errors.New("run an applier before the first contact: initialize it")
	}
	defer func() { a.open = nil }()
	for {
		batch, err := a.next(ctx, source)
		if err == nil {
			err = a.applyBatch(ctx, batch)
		}
		if err != nil {
			a.rollBack(ctx)
			return err
		}
	}
}

// next waits for a batch: without end, but no longer than Stall while a large
// transaction is open and holds locks.
func (a *Applier) next(ctx context.Context, source Source) (*change.Batch, error) {
	if a.open == nil || a.open.failed != nil {
		return source.Next(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, a.Stall, ErrStalled)
	defer cancel()
	batch, err := source.Next(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		a.Memory.stall(a.open.begin.Final, a.open.attempt)
		a.meter().stalledOne()
		return nil, fmt.Errorf("apply %s/%s: %w", a.Origin, a.position, ErrStalled)
	}
	return batch, err
}

// applyBatch applies a batch's transactions in order.
func (a *Applier) applyBatch(ctx context.Context, b *change.Batch) error {
	// 1. The batch must continue what is applied: same history or a child of
	// it, and nothing missing between.
	if err := a.place(b); err != nil {
		return err
	}
	for i := range b.Parts {
		p := &b.Parts[i]
		// 2. What is applied already is passed over, whole transactions only:
		// batches overlap after a restart.
		if a.passed(p) {
			continue
		}
		// 3. A transaction waits for what it had seen of other origins. One
		// that is still open will not be completed: this one replaces it.
		if p.First {
			a.rollBack(ctx)
			if err := a.await(ctx, p.Vector); err != nil {
				return err
			}
		}
		// 4. Its rows, its conflict records and the checkpoint become visible
		// together, or not at all.
		var err error
		if p.Whole() {
			err = a.applyWhole(ctx, b, p)
		} else {
			err = a.applyPiece(ctx, b, p)
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// place checks that the batch may be applied at our position.
func (a *Applier) place(b *change.Batch) error {
	if b.Origin != a.Origin {
		return a.halt(lasting(CodeMalformed, "", "", "the batch is by origin %q", b.Origin), change.Position{})
	}
	if h := b.History; h.ID != a.position.History {
		if h.ID.IsZero() || h.Parent != a.position.History || a.position.LSN > h.Fork {
			return a.halt(lasting(CodeForeignHistory, "", "compare the data and give this node a fresh copy of the origin's",
				"the batch belongs to history %s, which does not continue what is applied here", h.ID.Short()), change.Position{})
		}
	}
	a.Frontier.Learn(a.Origin, b.History)
	if b.Previous > a.position.LSN {
		return a.halt(lasting(CodeGap, "", "changes are missing in the origin's stream; this node needs a fresh copy of the origin's data",
			"the batch continues %s, applied is %s", b.Previous, a.position.LSN), change.Position{})
	}
	return nil
}

// passed reports whether a part belongs to a transaction that is applied. A
// position is the end of a commit record, Final its beginning.
func (a *Applier) passed(p *change.Part) bool {
	if p.Commit != 0 {
		return p.Commit <= a.position.LSN
	}
	return p.Final < a.position.LSN
}

// await blocks until what the transaction had seen is applied here. An origin
// that does not come within MaxWait is waited for no more until it has caught
// up: one link may be down while another is not.
func (a *Applier) await(ctx context.Context, v change.Vector) error {
	if !a.Causal {
		return nil
	}
	missing := a.Frontier.Covers(v, a.Origin)
	if a.forgive(missing) {
		return nil
	}
	a.report(Waiting, missing)
	started := time.Now()
	for !a.forgive(missing) {
		limited, cancel := context.WithTimeout(ctx, a.MaxWait-time.Since(started))
		err := a.Frontier.Wait(limited, a.demanded(v), a.Origin)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		missing = a.Frontier.Covers(v, a.Origin)
		if err != nil {
			for _, origin := range missing {
				a.freeRun[origin] = true
			}
			a.meter().waitExpired()
			a.Logger.Warn("waited in vain for other origins' changes; going on without", "origin", a.Origin, "missing", missing, "waited", a.MaxWait)
		}
	}
	a.meter().waited(time.Since(started))
	a.report(Applying, missing)
	return nil
}

// forgive reports whether every missing origin is one that is waited for no
// more. Origins that have caught up are waited for again.
func (a *Applier) forgive(missing []string) bool {
	if len(missing) == 0 {
		clear(a.freeRun)
		return true
	}
	lagging := make(map[string]bool, len(missing))
	for _, origin := range missing {
		lagging[origin] = a.freeRun[origin]
	}
	a.freeRun = lagging
	for _, forgiven := range lagging {
		if !forgiven {
			return false
		}
	}
	return true
}

// demanded is the vector without the origins that are waited for no more.
func (a *Applier) demanded(v change.Vector) change.Vector {
	left := make(change.Vector, len(v))
	for origin, position := range v {
		if !a.freeRun[origin] {
			left[origin] = position
		}
	}
	return left
}

// committed takes over that a target transaction is committed.
func (a *Applier) committed(x *transaction) {
	a.position, a.row = x.to.Position, x.to
	a.row.AppliedAt = time.Now()
	a.Frontier.Advance(a.Origin, x.to.Position)
	a.progress.Position, a.progress.CommitTime = x.to.Position, x.to.CommitTime
	a.progress.LowWater, a.progress.Generation = x.to.Sequence, x.to.Generation
	a.progress.Transactions++
	a.progress.Changes += x.changes
	a.progress.Conflicts += x.conflicts()
	a.meter().committed(x)
	a.report(Applying, nil)
}

// report tells the observer. Origins that are waited for no more stay named.
func (a *Applier) report(state string, missing []string) {
	a.progress.State, a.progress.WaitingFor = state, missing
	if state == Applying {
		for origin := range a.freeRun {
			if missing == nil {
				a.progress.WaitingFor = append(a.progress.WaitingFor, origin)
			}
		}
	}
	a.Observe(a.progress)
}

// halt completes a halt with where it happened.
func (a *Applier) halt(h *Halt, at change.Position) *Halt {
	h.Origin, h.Position = a.Origin, at
	if at.IsZero() {
		h.Position = a.position
	}
	return h
}

// row is what the checkpoint will say after a part of this batch.
func (a *Applier) rowAfter(b *change.Batch, p *change.Part) checkpoint.Row {
	row := checkpoint.Row{
		Position:   change.Position{History: b.History.ID, LSN: p.Commit},
		Generation: b.Generation,
		Sequence:   b.Sequence,
		CommitTime: p.Time,
	}
	// The batch's low water counts once all of the batch is applied; before,
	// the batch itself is still needed.
	if p.Commit == b.Last && b.LowWater != 0 {
		row.Sequence = b.LowWater
	}
	return row
}
