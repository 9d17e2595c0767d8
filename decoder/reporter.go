package decoder

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

const (
	writeTimeout  = 5 * time.Second
	finishTimeout = time.Second
	// replyPause keeps two requested replies apart: a server that shuts down
	// asks again the moment it has an answer.
	replyPause = 20 * time.Millisecond
	// errorGrace is what the receiver gets, after a failed write, to read the
	// server's own words about the end.
	errorGrace = time.Second
)

// reporter owns the writing half of the connection.
type reporter struct {
	conn      net.Conn
	progress  *progress
	confirmed func() change.LSN
	interval  time.Duration
	timeout   time.Duration
	metrics   *Metrics
	asked     chan struct{}

	flushed change.LSN // highest position confirmed so far; at least the slot's
	buffer  []byte
	broken  bool // a write failed
}

func newReporter(s *session, p *progress, confirmed func() change.LSN, cfg Config) *reporter {
	interval := cfg.StatusInterval
	if s.senderTimeout > 0 {
		interval = min(interval, max(s.senderTimeout/4, 10*time.Millisecond))
	}
	return &reporter{
		conn: s.conn, progress: p, confirmed: confirmed, interval: interval, timeout: cfg.ReceiveTimeout,
		metrics: cfg.Metrics, asked: make(chan struct{}, 1), flushed: s.slot.Confirmed,
	}
}

// ask makes the reporter send a status at once. It never blocks.
func (r *reporter) ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// run reports until ctx ends or something fails; it never returns nil.
func (r *reporter) run(ctx context.Context, receiver *receiver) error {
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	for {
		silence := receiver.silence(time.Now())
		if silence >= r.timeout {
			return fmt.Errorf("%w: nothing came for %v", ErrSilent, r.timeout)
		}
		if err := r.send(silence >= r.timeout/4, writeTimeout); err != nil {
			return r.holdBack(ctx, err)
		}
		sent := time.Now()
		select {
		case <-ticker.C:
			continue
		case <-r.asked:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case <-time.After(replyPause - time.Since(sent)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// holdBack holds a write error back for a moment when the connection is gone: the
// server's reason may still be waiting to be read, and it tells more.
func (r *reporter) holdBack(ctx context.Context, err error) error {
	if !r.broken {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(errorGrace):
	}
	return err
}

// send writes one status: received, confirmed and again confirmed, each
// explicit, none ever 0 or lower than before.
func (r *reporter) send(wantReply bool, timeout time.Duration) error {
	flushed := max(r.flushed, r.confirmed())
	if handed := change.LSN(r.progress.handed.Load()); flushed > handed {
		return fmt.Errorf("%w: %s, captured up to %s", ErrConfirmedAhead, flushed, handed)
	}
	r.flushed = flushed
	written := max(flushed, change.LSN(r.progress.received.Load()))

	r.buffer = appendStatus(r.buffer[:0], written, flushed, time.Now(), wantReply)
	return r.write(r.buffer, timeout)
}

func (r *reporter) write(b []byte, timeout time.Duration) error {
	_ = r.conn.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := r.conn.Write(b); err != nil {
		r.broken = true
		return fmt.Errorf("send status: %w", err)
	}
	r.metrics.reported(r.flushed, change.LSN(r.progress.received.Load()))
	return nil
}

// finish says goodbye: a last status, then Terminate, and waits a moment for
// the server to close, by which time the slot is free. Called when the other
// goroutines have ended.
func (r *reporter) finish() {
	if r.broken {
		return
	}
	_ = r.send(false, finishTimeout)
	if r.write([]byte{'X', 0, 0, 0, 4}, finishTimeout) != nil {
		return
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(finishTimeout))
	_, _ = io.Copy(io.Discard, r.conn)
}

var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// appendStatus appends a standby status update in its CopyData frame.
func appendStatus(b []byte, written, flushed change.LSN, now time.Time, wantReply bool) []byte {
	const body = 1 + 4*8 + 1
	b = append(b, msgCopyData)
	b = binary.BigEndian.AppendUint32(b, 4+body)
	b = append(b, 'r')
	b = binary.BigEndian.AppendUint64(b, uint64(written))
	b = binary.BigEndian.AppendUint64(b, uint64(flushed))
	b = binary.BigEndian.AppendUint64(b, uint64(flushed)) // applied
	b = binary.BigEndian.AppendUint64(b, uint64(now.Sub(postgresEpoch).Microseconds()))
	if wantReply {
		return append(b, 1)
	}
	return append(b, 0)
}
