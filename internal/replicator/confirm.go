package replicator

import (
	"context"
	"time"

	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/transport"
)

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
		o.log.Debug("the slot is not confirmed further: acknowledgements cannot be read now", "error", err)
		return nil
	}
	o.noteAcks(acks)
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
	if published := min(progress.Published, target); published > o.recorded.Published {
		if err := admin.SetPublished(ctx, o.conn, o.recorded.ID, published, target); err != nil {
			return err
		}
		o.recorded.Published = published
	}
	o.confirmed.Store(uint64(target))
	return nil
}

// noteAcks tells the peers, through the heartbeat, what is known of them.
func (o *outbound) noteAcks(acks map[string]transport.Ack) {
	known := make(map[string]change.LSN, len(acks))
	for _, peer := range o.peers {
		if ack, found := acks[peer]; found {
			known[peer] = o.positionOf(ack)
		}
	}
	o.board.update(func(b *board) { b.stream.Acknowledged = known })
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
	case o.recorded.ID:
		return ack.LSN
	case o.recorded.Parent:
		return min(ack.LSN, o.recorded.Fork)
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

// sample remembers that capture had got this far at a moment.
type sample struct {
	at  time.Time
	lsn change.LSN
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
