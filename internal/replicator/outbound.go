package replicator

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
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
	conn      *pgx.Conn       // for the slot and the history; owned by tend once running
	standbys  *pgx.Conn       // asks how far the failover standbys are; nil without any
	link      *transport.Link // to the node's own broker
	recorded  admin.History   // what the database remembers of its own stream
	publisher *transport.Publisher
	confirmed atomic.Uint64 // change.LSN the slot may be confirmed to
	samples   []sample      // of the captured position, to know how long ago it was
}

// sample remembers that capture had got this far at a moment.
type sample struct {
	at  time.Time
	lsn change.LSN
}

// capture keeps the outbound pipeline going until the life ends. Whatever stops
// it, it starts again from the stream's tail. Only another publisher ends the
// life.
func (l *life) capture(ctx context.Context) error {
	failures := 0
	for {
		began := time.Now()
		err := l.captureOnce(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// Another publisher, or another server behind the same address: who
		// we are must be found out again.
		if errors.Is(err, transport.ErrFenced) || errors.Is(err, decoder.ErrOtherSystem) {
			return err
		}
		reason := captureReason(err)
		l.board.complain("capture", reason)
		if time.Since(began) > time.Minute {
			failures = 0
		}
		if failures++; failures == 1 {
			l.log.Warn("capture stopped and begins again", "code", reason.Code, "reason", err)
		}
		if err := pause(ctx, backoff(failures)); err != nil {
			return err
		}
	}
}

// captureReason says what it means that capture has stopped.
func captureReason(err error) report.Reason {
	for _, lasting := range []struct {
		err          error
		code, remedy string
	}{
		{decoder.ErrSlotMissing, "slot_missing", slotRemedy},
		{decoder.ErrSlotInvalidated, "slot_invalidated", slotRemedy},
		{decoder.ErrSlotForeign, "slot_foreign", slotRemedy},
		{decoder.ErrPublicationMissing, "publication_missing", "changes made while it was missing are in no stream: compare this node's data with the peers' and set it up again"},
		{errSetBack, "set_back", "compare its data with the peers' and set the node up again"},
		{transport.ErrOrphanedTail, "orphaned_tail", "peers have changes that this database lost at its promotion or restore: compare the data and set the node up again"},
		{transport.ErrForeignHistory, "foreign_stream", "another database has written this stream: check --postgres, and the broker's address"},
		{transport.ErrForeignStream, "foreign_stream", "check the broker's address: one broker serves one node of one federation under this name"},
	} {
		if errors.Is(err, lasting.err) {
			return report.Reason{Code: lasting.code, Message: err.Error(), Remedy: lasting.remedy}
		}
	}
	return report.Reason{Code: "not_capturing", Message: err.Error(),
		Remedy: "it is tried again every few seconds, and the slot holds the changes meanwhile; mend what the message names"}
}

const slotRemedy = "the slot is never created again silently: changes made since it was lost are in no stream; compare this node's data with the peers' and set it up again"

// captureOnce opens the stream behind its tail and captures until something
// stops it.
func (l *life) captureOnce(ctx context.Context) (err error) {
	o := &outbound{life: l}
	defer o.close()
	if o.link, err = l.dialOwn(ctx, l.broker); err != nil {
		return err
	}
	if o.conn, err = l.session(ctx, "publish"); err != nil {
		return err
	}
	if err = o.open(ctx); err != nil {
		return err
	}
	if err = o.checkNotSetBack(ctx); err != nil {
		return err
	}
	sink, err := o.sink(ctx)
	if err != nil {
		return err
	}
	l.board.withdraw("capture")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.publisher.Run(ctx) })
	group.Go(func() error { return o.tend(ctx) })
	group.Go(func() error {
		return decoder.Run(ctx, decoder.Config{
			ConnString: o.database(), ApplicationName: "pgfed/" + o.Node + "/capture",
			Slot: o.Federation.SlotName(o.Node), Publication: o.Federation.PublicationName(),
			Start:        o.publisher.Start(),
			Expect:       o.system,
			ServerFilter: o.serverFilter(),
			Logger:       o.log.With("part", "decoder"), Metrics: o.metrics.decoder,
		}, sink, func() change.LSN { return change.LSN(o.confirmed.Load()) })
	})
	return group.Wait()
}

func (o *outbound) close() {
	for _, conn := range []*pgx.Conn{o.standbys, o.conn} {
		closeSession(conn)
	}
	if o.link != nil {
		o.link.Close()
	}
}

// open reads what the database remembers, checks the slot, and opens the
// stream.
func (o *outbound) open(ctx context.Context) error {
	slot, err := decoder.InspectSlot(ctx, o.conn, o.Federation.SlotName(o.Node))
	if err != nil {
		return err
	}
	if err := slot.Check(o.system.Database); err != nil {
		return err
	}
	if o.recorded, err = admin.ReadHistory(ctx, o.conn); err != nil {
		return err
	}
	f := o.Federation
	o.publisher, err = transport.OpenPublisher(ctx, o.link, transport.PublisherConfig{
		Federation: f.Federation, Node: o.Node, History: o.recorded.History,
		Published: o.recorded.Published, Slot: slot.Confirmed,
		Rules: f.RulesVersion(), MaxBytes: int64(f.Stream.MaxBytes), Replicas: f.Broker.Replicas,
		Compression: f.Stream.Compression, Vector: o.frontier.Begun,
		Logger: o.log.With("part", "publisher"), Metrics: o.metrics.publisher,
	})
	if err != nil {
		return err
	}
	o.confirmed.Store(uint64(slot.Confirmed))
	return nil
}

// tend moves the slot, trims the stream and keeps the board informed.
func (o *outbound) tend(ctx context.Context) error {
	ticker := time.NewTicker(houseEvery)
	defer ticker.Stop()
	trimmed := time.Now()
	for {
		if err := o.confirm(ctx); err != nil {
			return err
		}
		o.observeStream(ctx)
		if time.Since(trimmed) >= trimEvery {
			trimmed = time.Now()
			if err := o.trim(ctx); err != nil {
				o.log.Info("the stream could not be trimmed now", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
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
		b.stream.History, b.stream.Generation = o.recorded.History, progress.Generation
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
