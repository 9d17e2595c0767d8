package replicator

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

// outbound is the way of a change out of this node:
//
//	decoder.Run            reads the slot, drops our own applied transactions
//	  -> publisher's Sink  packs transactions into batches
//	publisher.Run          appends them to the stream
//	confirm                moves the slot behind what is safe elsewhere
type outbound struct {
	*life
	publisher         *transport.Publisher
	confirmed         atomic.Uint64 // change.LSN the slot may be confirmed to
	recordedPublished change.LSN    // what the database remembers; owned by the housekeeping goroutine
	samples           []sample      // of the captured position, to know how long ago it was
}

// sample remembers that capture had got this far at a moment.
type sample struct {
	at  time.Time
	lsn change.LSN
}

func (l *life) openOutbound(ctx context.Context) (*outbound, error) {
	slot, err := decoder.InspectSlot(ctx, l.admin, l.Federation.SlotName(l.Node))
	if err != nil {
		return nil, err
	}
	f := l.Federation
	publisher, err := transport.OpenPublisher(ctx, l.own, transport.PublisherConfig{
		Federation: f.Federation, Node: l.Node, History: l.history,
		Published: l.recorded.Published, Slot: slot.Confirmed,
		Rules: f.RulesVersion(), MaxBytes: int64(f.Stream.MaxBytes), Replicas: f.Broker.Replicas,
		Compression: f.Stream.Compression, Vector: l.frontier.Begun,
		Logger: l.log.With("part", "publisher"), Metrics: l.metrics.publisher,
	})
	if err != nil {
		return nil, err
	}
	o := &outbound{life: l, publisher: publisher, recordedPublished: l.recorded.Published}
	o.confirmed.Store(uint64(slot.Confirmed))
	return o, nil
}

func (o *outbound) run(ctx context.Context) error {
	sink, err := o.sink(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.publisher.Run(ctx) })
	group.Go(func() error {
		return decoder.Run(ctx, decoder.Config{
			ConnString: o.database(), ApplicationName: "pgfed/" + o.Node + "/capture",
			Slot: o.Federation.SlotName(o.Node), Publication: o.Federation.PublicationName(),
			Start:        o.publisher.Start(),
			ServerFilter: o.serverFilter(),
			Logger:       o.log.With("part", "decoder"), Metrics: o.metrics.decoder,
		}, sink, func() change.LSN { return change.LSN(o.confirmed.Load()) })
	})
	return group.Wait()
}

// sink is where the decoder hands transactions to: the publisher, behind a gate
// when failover standbys are named.
func (o *outbound) sink(ctx context.Context) (decoder.Sink, error) {
	standbys := o.Federation.Nodes[o.Node].Standbys
	o.board.withdraw("standbys") // of an earlier life
	if len(standbys) == 0 {
		return o.publisher, nil
	}
	var err error
	if o.standbys, err = o.session(ctx, "standbys"); err != nil {
		return nil, err
	}
	return &gate{Publisher: o.publisher, conn: o.standbys, standbys: standbys, board: o.board}, nil
}

// serverFilter says whether the server may drop everything that carries an
// origin. Only when the user has said that no native subscription writes here:
// such changes must be federated.
func (o *outbound) serverFilter() bool {
	return !o.Federation.NativeSubscriptions() && o.serverMajor >= 16
}

// confirm decides what the slot may be confirmed to, in two tiers. While that
// holds back less than slot.retain, the slot stays behind what every member has
// flushed at its own database: losing the whole broker then loses nothing.
// Beyond it, what the broker holds durably counts. What had been published is
// written to the database first, so that a stream which later ends before it
// is known to have lost something.
func (o *outbound) confirm(ctx context.Context) error {
	progress := o.publisher.Progress()
	acks, err := o.publisher.Acks(ctx)
	if err != nil {
		// The broker is away: nothing new is confirmed, which is safe.
		return nil
	}
	o.sample(progress.Captured)
	target := o.acknowledged(acks, progress)
	flushed := o.flushed()
	if held := flushed - min(target, flushed); int64(held) > int64(o.Federation.Slot.Retain) ||
		target < o.capturedBefore(time.Duration(o.Federation.Slot.RetainFor)) {
		target = progress.Captured
	}
	if target <= change.LSN(o.confirmed.Load()) {
		return nil
	}
	// Only what was published is worth a write: confirming idle WAL must not
	// make more of it.
	if published := min(progress.Published, target); published > o.recordedPublished {
		if err := admin.SetPublished(ctx, o.admin, o.history.ID, published, target); err != nil {
			return err
		}
		o.recordedPublished = published
	}
	o.confirmed.Store(uint64(target))
	return nil
}

// acknowledged is the position that every member has flushed. When they all
// have everything that was published it is what has been captured: WAL that
// holds nothing for them is not held back.
func (o *outbound) acknowledged(acks map[string]transport.Ack, progress transport.Progress) change.LSN {
	lowest := progress.Captured
	for _, peer := range o.peers {
		ack, found := acks[peer]
		if !found {
			return 0
		}
		at := o.positionOf(ack)
		if at < progress.Published {
			lowest = min(lowest, at)
		}
	}
	return lowest
}

// positionOf translates an acknowledgement into this history. One of the
// parent history counts up to the fork; one of a history we do not know counts
// for nothing.
func (o *outbound) positionOf(ack transport.Ack) change.LSN {
	switch ack.History {
	case o.history.ID:
		return ack.LSN
	case o.history.Parent:
		return min(ack.LSN, o.history.Fork)
	}
	return 0
}

// trim removes from the stream what every member has applied, keeping
// stream.keep behind the slowest. A member that never acknowledged, or whose
// acknowledgement is for another generation, keeps everything.
func (o *outbound) trim(ctx context.Context) error {
	acks, err := o.publisher.Acks(ctx)
	if err != nil {
		return err
	}
	progress := o.publisher.Progress()
	lowest := progress.Sequence
	for _, peer := range o.peers {
		ack, found := acks[peer]
		if !found || ack.Generation != progress.Generation {
			return nil
		}
		lowest = min(lowest, ack.Sequence)
	}
	keep, keepFor := int64(o.Federation.Stream.Keep), time.Duration(o.Federation.Stream.KeepFor)
	if progress.Full {
		// What is kept beyond need is a courtesy. And a publisher that found
		// the stream full knows neither size nor age of what is in it.
		keep, keepFor = 0, 0
	}
	return o.publisher.Trim(ctx, lowest, keep, keepFor)
}

const sampleEvery = 10 * time.Second

func (o *outbound) sample(captured change.LSN) {
	if n := len(o.samples); n == 0 || time.Since(o.samples[n-1].at) >= sampleEvery {
		o.samples = append(o.samples, sample{time.Now(), captured})
	}
}

// capturedBefore is how far capture had got that long ago; 0 when it is not
// known. It forgets what is older.
func (o *outbound) capturedBefore(age time.Duration) change.LSN {
	var lsn change.LSN
	for len(o.samples) > 0 && time.Since(o.samples[0].at) > age {
		lsn = o.samples[0].lsn
		if len(o.samples) == 1 || time.Since(o.samples[1].at) <= age {
			return lsn
		}
		o.samples = o.samples[1:]
	}
	return lsn
}

// flushed is the server's flush position as last seen.
func (o *outbound) flushed() change.LSN {
	var lsn change.LSN
	o.board.update(func(b *board) { lsn = b.server.Flushed })
	return lsn
}

// observeStream copies the stream's figures to the board.
func (o *outbound) observeStream(ctx context.Context) {
	progress := o.publisher.Progress()
	messages, bytes, err := o.publisher.StreamInfo(ctx)
	o.board.update(func(b *board) {
		b.stream.Name = "PGFED_" + o.Federation.Federation + "_" + o.Node
		b.stream.History, b.stream.Generation = o.history, progress.Generation
		b.stream.Published, b.stream.Captured = progress.Published, progress.Captured
		b.stream.Sequence, b.stream.CommitTime = progress.Sequence, progress.CommitTime
		b.stream.MaxBytes = int64(o.Federation.Stream.MaxBytes)
		if err == nil {
			b.stream.Messages, b.stream.Bytes = messages, bytes
		}
		delete(b.reasons, "broker")
		delete(b.reasons, "stream full")
		if err != nil {
			b.reasons["broker"] = report.Reason{Code: "broker_unreachable", Message: "the node's own broker does not answer: " + err.Error(),
				Remedy: "nothing is lost: the slot holds the changes; bring the broker back before slot.retain is used up"}
		}
		if progress.Full {
			b.reasons["stream full"] = report.Reason{Code: "stream_full", Message: "the stream has reached stream.max_bytes",
				Remedy: "bring the slowest peer back (replctl lag names it), or raise stream.max_bytes"}
		}
	})
}
