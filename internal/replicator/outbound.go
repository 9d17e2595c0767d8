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
	"github.com/pgfed/pgfed/internal/partition"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
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
	places    *pgx.Conn       // asks what tables are partitions of; the decoder's
	link      *transport.Link // to the node's own broker
	recorded  admin.History   // what the database remembers of its own stream
	publisher *transport.Publisher
	confirmed atomic.Uint64     // change.LSN the slot may be confirmed to
	samples   []sample          // of the captured position, to know how long ago it was
	schemas   map[uint32]string // by pg_namespace.oid, see checkSchemas
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
		if err := wait.Pause(ctx, backoff(failures)); err != nil {
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
		{decoder.ErrLocalIdentity, "local_identity", "nothing is lost, the slot holds the changes: take the column out of tables.local_columns, in the file of every node, and restart the replicators; the peers then need it too"},
		{decoder.ErrUndecodable, "undecodable", "the database's log says which change; it cannot be sent, nor what comes behind it: keep such values out, compare this node's data with the peers' and set it up again"},
		{errSetBack, "set_back", "compare its data with the peers' and set the node up again"},
		{transport.ErrOrphanedTail, "orphaned_tail", "peers have changes that this database lost at its promotion or restore: compare the data and set the node up again"},
		{transport.ErrForeignHistory, "foreign_stream", "another database has written this stream: check --postgres, and the broker's address"},
		{transport.ErrForeignStream, "foreign_stream", "check the broker's address: one broker serves one node of one federation under this name"},
		{transport.ErrCorrupt, "own_stream_corrupt", "the end of this node's own stream cannot be read, so it is not known where to go on: check the broker's disk; the slot holds the changes meanwhile"},
		{transport.ErrFormat, "own_stream_format", "a newer pgfed has written the end of this node's own stream: run that version, or a newer one; the slot holds the changes meanwhile"},
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
	if o.schemas, err = o.readSchemas(ctx); err != nil {
		return err
	}
	if o.places, err = l.session(ctx, "describe"); err != nil {
		return err
	}
	if err = partition.Pin(ctx, o.places); err != nil {
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
			ServerFilter: o.serverFilter(), Local: o.localColumns(), Partitions: describer{o.places},
			Logger: o.log.With("part", "decoder"), Metrics: o.metrics.decoder,
		}, sink, func() change.LSN { return change.LSN(o.confirmed.Load()) })
	})
	return group.Wait()
}

func (o *outbound) close() {
	for _, conn := range []*pgx.Conn{o.places, o.standbys, o.conn} {
		closeSession(conn)
	}
	if o.link != nil {
		o.link.Close()
	}
}

// describer answers the decoder's questions about partitions.
type describer struct{ conn *pgx.Conn }

func (d describer) Of(ctx context.Context, tables []uint32) (map[uint32]*change.Partition, error) {
	return partition.Read(ctx, d.conn, tables)
}

func (d describer) Roots(ctx context.Context, tables []uint32) (map[uint32]change.Name, error) {
	return partition.Roots(ctx, d.conn, tables)
}

func (d describer) Wholly(ctx context.Context, tables []uint32) ([]change.Name, error) {
	return partition.Wholly(ctx, d.conn, tables)
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
	ancestors, err := admin.ReadAncestors(ctx, o.conn)
	if err != nil {
		return err
	}
	f := o.Federation
	o.publisher, err = transport.OpenPublisher(ctx, o.link, transport.PublisherConfig{
		Federation: f.Federation, Node: o.Node, History: o.recorded.History, Ancestors: ancestors,
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
		if err := o.checkSchemas(ctx); err != nil {
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

// localColumns is nil where the file names none, and capture need not ask.
func (o *outbound) localColumns() func(schema, table, column string) bool {
	if len(o.Federation.Tables.LocalColumns) == 0 {
		return nil
	}
	return o.Federation.Local
}

// progress says how far publishing has got, at any moment.
func (o *outbound) progress(s *report.Stream) {
	progress := o.publisher.Progress()
	s.Name = "PGFED_" + o.Federation.Federation + "_" + o.Node
	s.History, s.Generation = o.recorded.History, progress.Generation
	s.Published, s.Captured = progress.Published, progress.Captured
	s.Sequence, s.CommitTime = progress.Sequence, progress.CommitTime
	s.MaxBytes = int64(o.Federation.Stream.MaxBytes)
}

// observeStream copies the stream's figures to the board.
func (o *outbound) observeStream(ctx context.Context) {
	progress := o.publisher.Progress()
	messages, bytes, err := o.publisher.StreamInfo(ctx)
	o.board.update(func(b *board) {
		b.progress = o.progress
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
