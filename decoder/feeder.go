package decoder

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/crash"
)

// feeder takes segments from the queue, follows the transactions in them and
// calls the sink. It belongs to one goroutine.
type feeder struct {
	queue      *queue
	sink       Sink
	progress   *progress
	catalog    *catalog
	partitions Partitions // nil: not asked
	asked      time.Time  // for the roots of partitions
	log        *slog.Logger
	metrics    *Metrics

	// The transaction in the stream. open spans Begin to Commit as the server
	// sends them; the sink learns of it (begun) at its first change, when it
	// is known to be wanted.
	open    bool
	begun   bool
	dropped bool
	begin   change.Begin
	ordinal uint64

	change  change.Change // the one that the sink borrows
	idle    change.LSN    // to be told to the sink; 0: nothing
	flushed bool          // nothing was told to the sink since its last Flush
	ignored bool          // an ignored kind of message was logged
}

func newFeeder(q *queue, sink Sink, p *progress, cfg Config) *feeder {
	return &feeder{
		queue: q, sink: sink, progress: p, catalog: newCatalog(cfg.Local), partitions: cfg.Partitions,
		log: cfg.Logger, metrics: cfg.Metrics, flushed: true,
	}
}

// run consumes the queue; it never returns nil.
func (f *feeder) run(ctx context.Context) error {
	for {
		s, err := f.next(ctx)
		if err != nil {
			return err
		}
		if err := f.consume(ctx, s.data); err != nil {
			return err
		}
		f.queue.done(s)
	}
}

// next takes a segment. When there is none the sink may ship what it has.
func (f *feeder) next(ctx context.Context) (segment, error) {
	select {
	case s := <-f.queue.segments:
		return s, nil
	default:
	}
	if !f.flushed {
		f.flushed = true
		if err := f.sink.Flush(ctx); err != nil {
			return segment{}, err
		}
	}
	select {
	case s := <-f.queue.segments:
		return s, nil
	case <-ctx.Done():
		return segment{}, context.Cause(ctx)
	}
}

// consume walks through the complete messages of a segment. Whatever is not
// CopyData concerned the connection and was dealt with by the receiver.
func (f *feeder) consume(ctx context.Context, data []byte) error {
	for len(data) > 0 {
		size := int(binary.BigEndian.Uint32(data[1:])) + 1
		message := data[:size:size]
		data = data[size:]
		if message[0] != msgCopyData {
			continue
		}
		if err := f.replication(ctx, message[frameHeader:]); err != nil {
			return err
		}
	}
	f.change = change.Change{} // lets go of a large message
	return f.tellIdle(ctx)
}

// replication takes the body of a CopyData message, whose form the receiver
// has checked.
func (f *feeder) replication(ctx context.Context, body []byte) error {
	if body[0] == copyKeepalive {
		if !f.open {
			f.rest(change.LSN(binary.BigEndian.Uint64(body[1:])))
		}
		return nil
	}
	at := change.LSN(binary.BigEndian.Uint64(body[1:]))
	if len(body) == dataHeader {
		return fmt.Errorf("decode message at %s: %w: it is empty", at, ErrProtocol)
	}
	return f.message(ctx, at, body[dataHeader], body[dataHeader+1:])
}

// message takes one pgoutput message; at serves error messages.
func (f *feeder) message(ctx context.Context, at change.LSN, kind byte, body []byte) error {
	var err error
	switch kind {
	case msgInsert, msgUpdate, msgDelete, msgTruncate:
		if f.change, err = f.catalog.change(kind, body); err == nil {
			err = f.inside(kind)
		}
		if err == nil && kind == msgTruncate {
			err = f.wholly(ctx, body)
		}
		if err == nil {
			return f.deliver(ctx)
		}
	case msgBegin:
		if err = f.beginning(body); err == nil {
			err = f.refreshPartitions(ctx)
		}
	case msgOrigin:
		err = f.origin(body)
	case msgCommit:
		var end change.LSN
		if end, err = parseCommit(body); err == nil {
			err = f.inside(kind)
		}
		if err == nil {
			return f.commit(ctx, end)
		}
	// Descriptions count whatever becomes of the transaction they came in:
	// the server sends them once.
	case msgRelation:
		err = f.describe(ctx, body)
	case msgType:
		err = f.catalog.name(body)
	case msgLogical, msgStreamAbort:
		if !f.ignored {
			f.ignored = true
			f.log.WarnContext(ctx, "ignoring messages that were not asked for", "kind", string(rune(kind)), "at", at.String())
		}
	default:
		err = fmt.Errorf("%w: unknown kind", ErrProtocol)
	}
	if err != nil {
		return fmt.Errorf("decode message %q at %s: %w", kind, at, err)
	}
	return nil
}

// inside complains of a message outside a transaction.
func (f *feeder) inside(kind byte) error {
	if !f.open {
		return fmt.Errorf("%w: %q outside a transaction", ErrProtocol, kind)
	}
	return nil
}

func (f *feeder) beginning(body []byte) error {
	if f.open {
		return fmt.Errorf("%w: a transaction begins inside another", ErrProtocol)
	}
	begin, err := parseBegin(body)
	if err != nil {
		return err
	}
	f.begin, f.open, f.begun, f.dropped, f.ordinal = begin, true, false, false, 0
	return nil
}

// origin decides about the transaction: what pgfed applied here came from a
// peer and does not go out again. It precedes the transaction's first change.
func (f *feeder) origin(body []byte) error {
	name, err := parseOrigin(body)
	if err != nil {
		return err
	}
	if err := f.inside(msgOrigin); err != nil {
		return err
	}
	if f.begun {
		return fmt.Errorf("%w: an origin after the transaction's first change", ErrProtocol)
	}
	f.dropped = strings.HasPrefix(name, originPrefix)
	return nil
}

// deliver hands the change to the sink, and before the transaction's first
// one its beginning.
func (f *feeder) deliver(ctx context.Context) error {
	if f.dropped || !f.catalog.leaveOut(&f.change) {
		return nil
	}
	if !f.begun {
		if err := f.tellIdle(ctx); err != nil {
			return err
		}
		f.begun = true
		if err := f.sink.Begin(ctx, f.begin); err != nil {
			return err
		}
	}
	f.change.Ordinal = f.ordinal
	f.ordinal++
	f.flushed = false
	f.metrics.changes.Inc()
	return f.sink.Change(ctx, &f.change)
}

func (f *feeder) commit(ctx context.Context, end change.LSN) error {
	if handed := change.LSN(f.progress.handed.Load()); end <= handed {
		return fmt.Errorf("%w: a transaction ends at %s, after %s was handed over", ErrProtocol, end, handed)
	}
	if end <= f.begin.Final {
		return fmt.Errorf("%w: a transaction ends at %s, its commit record begins at %s", ErrProtocol, end, f.begin.Final)
	}
	f.open = false
	if !f.begun {
		if f.dropped {
			f.metrics.dropped.Inc()
		} else {
			f.metrics.empty.Inc()
		}
		f.rest(end)
		return nil
	}
	crash.At(crash.AfterReceive)
	f.metrics.delivered.Inc()
	f.begun = false
	f.flushed = false
	f.progress.hand(end)
	return f.sink.Commit(ctx, end)
}

// rest notes that nothing up to lsn is left for the sink. It is told when the
// segment ends or the next transaction is delivered, not for each of many.
func (f *feeder) rest(lsn change.LSN) {
	f.idle = max(f.idle, lsn)
}

func (f *feeder) tellIdle(ctx context.Context) error {
	if f.idle == 0 || f.begun {
		return nil
	}
	lsn := f.idle
	f.idle = 0
	if lsn <= change.LSN(f.progress.handed.Load()) {
		return nil // an old end of the log
	}
	f.flushed = false
	f.progress.hand(lsn)
	return f.sink.Idle(ctx, lsn)
}
