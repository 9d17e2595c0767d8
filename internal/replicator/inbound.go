package replicator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/crash"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
	"github.com/pgfed/pgfed/transport"
)

// inbound is the way of one peer's changes into this node:
//
//	transport.Subscribe   finds the place after the checkpoint in its stream
//	Subscription.Next     checks and hands over batches
//	applier.Run           applies them, rows and checkpoint together
//	acknowledge           tells the origin what is flushed here
type inbound struct {
	*life
	origin string
	link   *transport.Link // of the present followLink

	failures  int             // attempts since anything was applied
	stoppedAt change.Position // where the last one ended

	mu           sync.Mutex
	subscription *transport.Subscription // nil between sessions
}

// errPaused: the attempt failed, and the pause after it is over.
var errPaused = errors.New("already paused")

// follow keeps one peer's pipeline going until the life ends. Whatever stops
// it, it starts again from the checkpoint; a lasting reason is reported until
// it is gone. Only the loss of the checkpoint to another applier ends the life.
func (l *life) follow(ctx context.Context, origin string) error {
	in := &inbound{life: l, origin: origin}
	for {
		err := in.followLink(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, checkpoint.ErrFenced):
			return fmt.Errorf("apply %s: %w", origin, err)
		case errors.Is(err, errPaused):
			continue
		}
		if err := in.pause(ctx, err); err != nil {
			return err
		}
	}
}

// pause reports why an attempt ended and waits before the next, longer while
// nothing gets on.
func (in *inbound) pause(ctx context.Context, err error) error {
	at := in.frontier.Applied(in.origin)
	if at != in.stoppedAt {
		in.failures, in.stoppedAt = 0, at
	}
	in.failures++
	in.reportStop(in.origin, at, err)
	return wait.Pause(ctx, backoff(in.failures))
}

// reportStop writes to the board why a pipeline stopped, and logs it when that
// is news.
func (l *life) reportStop(origin string, at change.Position, err error) {
	halt := haltOf(origin, at, err)
	news := false
	l.board.update(func(b *board) {
		failing, known := b.stopped[origin]
		if !known {
			failing.since = time.Now()
		}
		failing.why = err.Error()
		b.stopped[origin] = failing
		in, state := b.inbound[origin], report.Connecting
		if halt != nil {
			state = report.Halted
		}
		news = in.State != state || halt != nil && (in.Halt == nil || *in.Halt != *halt)
		in.State, in.Halt = state, halt
	})
	l.board.setPeer(origin, func(p *report.Peer) { p.Error = err.Error() })
	switch {
	case !news:
	case halt != nil:
		l.log.Error("halted", "origin", origin, "code", halt.Code, "position", halt.Position, "table", halt.Table, "reason", halt.Message)
	default:
		l.log.Info("reconnecting", "origin", origin, "position", at, "reason", err)
	}
}

// followLink holds one connection to the peer's broker and whatever needs it.
func (in *inbound) followLink(ctx context.Context) error {
	cfg := in.dialConfig("apply")
	cfg.URL = in.urlOf(in.origin)
	link, err := transport.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer link.Close()
	in.link = link
	stop, err := link.ListenBeats(in.Federation.Federation, in.origin, in.heard)
	if err != nil {
		return err
	}
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return in.keepApplying(ctx) })
	group.Go(func() error { return in.acknowledge(ctx) })
	return group.Wait()
}

// keepApplying tries to apply as long as the link is good for it. Pauses are
// spent with the link, which carries heartbeats and acknowledgements also while
// nothing can be applied.
func (in *inbound) keepApplying(ctx context.Context) error {
	for {
		err := in.apply(ctx)
		if ctx.Err() != nil || errors.Is(err, checkpoint.ErrFenced) || in.link.Err() != nil {
			return err
		}
		if err := in.pause(ctx, err); err != nil {
			return err
		}
		// A halt of the applier is the database's. Anything else may have to do
		// with what was reached at the address; it is looked up again.
		if _, halted := errors.AsType[*applier.Halt](err); !halted {
			return errPaused
		}
	}
}

// apply subscribes behind the checkpoint and applies until something stops it.
func (in *inbound) apply(ctx context.Context) error {
	a, err := in.takeApplier(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	row, known := a.Checkpoint()
	subscription, err := transport.Subscribe(ctx, in.link, transport.SubscriptionConfig{
		Federation: in.Federation.Federation, Origin: in.origin, Peer: in.Node,
		From: row.Position, Hint: transport.Hint{Generation: row.Generation, Sequence: row.Sequence},
		Logger: in.log.With("origin", in.origin), Metrics: in.metrics.subscription,
	})
	if err != nil {
		return err
	}
	defer subscription.Close()
	if !known {
		// First contact: this node has the origin's data as of its beginning.
		if err := a.Initialize(ctx, subscription.From()); err != nil {
			return err
		}
		row, _ = a.Checkpoint()
		in.stands(in.origin, row)
	}
	in.frontier.Learn(in.origin, subscription.History())
	if known && subscription.From().History != row.Position.History {
		// The origin was promoted: what is applied is shared by both histories.
		if err := a.Continue(ctx, subscription.From()); err != nil {
			return err
		}
		row, _ = a.Checkpoint()
		in.stands(in.origin, row)
		in.log.Info("the origin goes on in another history", "origin", in.origin, "position", row.Position)
	}
	in.attach(subscription)
	defer in.attach(nil)
	in.board.setPeer(in.origin, func(p *report.Peer) { p.Error = "" })
	return a.Run(ctx, subscription)
}

// takeApplier hands out the applier opened at the start of the life, and opens
// new ones after it.
func (in *inbound) takeApplier(ctx context.Context) (*applier.Applier, error) {
	in.appliersMu.Lock()
	a, found := in.appliers[in.origin]
	delete(in.appliers, in.origin)
	in.appliersMu.Unlock()
	if found {
		return a, nil
	}
	return in.openApplier(ctx, in.origin)
}

func (in *inbound) attach(subscription *transport.Subscription) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.subscription = subscription
}

const (
	acknowledgeEvery = 100 * time.Millisecond
	// repeatAfter is how long the origin may take to show that it knows.
	repeatAfter = 5 * time.Second
)

// acknowledge tells the origin how far its changes are flushed at this
// database. What is applied before the flush is covered by it.
func (in *inbound) acknowledge(ctx context.Context) error {
	ticker := time.NewTicker(acknowledgeEvery)
	defer ticker.Stop()
	var told transport.Ack
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		var applied mark
		knows := true // the origin knows what it was told; it may have lost that with its broker
		in.board.update(func(b *board) {
			applied = b.marks[in.origin]
			if peer := b.peers[in.origin]; peer.Last != nil && peer.Heard.After(told.Time) {
				knows = peer.Last.Stream.Acknowledged[in.Node] >= told.LSN
			}
		})
		if applied.position.IsZero() {
			continue
		}
		ack := transport.Ack{Peer: in.Node, History: applied.position.History, LSN: applied.position.LSN,
			Generation: applied.generation, Sequence: applied.lowWater}
		moved := ack.LSN != told.LSN || ack.History != told.History || ack.Generation != told.Generation || ack.Sequence != told.Sequence
		if !moved && (knows || time.Since(told.Time) < repeatAfter) {
			continue
		}
		if ack.LSN != told.LSN || ack.History != told.History {
			flushed, err := in.flush(ctx)
			if err != nil {
				return err
			}
			// A server that crashed meanwhile may have lost what the board
			// still says is applied, and flushed what is left.
			if flushed.LSN < ack.LSN {
				continue
			}
			crash.At(crash.BeforeAcknowledge)
		}
		ack.Time = time.Now()
		if err := in.link.Acknowledge(ctx, in.Federation.Federation, in.origin, ack); err != nil {
			// The link is down; what was told stays valid and is told again.
			continue
		}
		told = ack
		in.board.setInbound(in.origin, func(i *report.Inbound) { i.Acknowledged = ack.LSN })
	}
}

// flush makes what is applied of this origin durable, and says what that is.
// One session serves all origins.
func (in *inbound) flush(ctx context.Context) (change.Position, error) {
	in.flusherMu.Lock()
	defer in.flusherMu.Unlock()
	return in.flusher.Flushed(ctx, in.origin)
}

// observe copies the applier's progress to the board.
func (l *life) observe(origin string, p applier.Progress) {
	l.board.update(func(b *board) {
		in, before := b.inbound[origin], b.counted[origin]
		if p.Position != in.Applied {
			in.AppliedAt = time.Now()
		}
		in.Applied, in.CommitTime = p.Position, p.CommitTime
		// The applier counts since it was opened.
		in.Transactions += p.Transactions - before.Transactions
		in.Changes += p.Changes - before.Changes
		in.Conflicts += p.Conflicts - before.Conflicts
		b.counted[origin] = p
		delete(b.stopped, origin)
		in.State, in.Halt = p.State, nil
		if !p.Generation.IsZero() { // else nothing was applied since the applier was opened
			b.marks[origin] = mark{position: p.Position, generation: p.Generation, lowWater: p.LowWater}
		}
		b.waiting[origin] = p.WaitingFor
	})
}
