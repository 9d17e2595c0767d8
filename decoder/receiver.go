package decoder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgfed/pgfed/internal/change"
)

// Messages of the frontend/backend protocol that can arrive in a replication
// stream, and the two kinds of replication messages inside CopyData.
const (
	msgCopyBoth        = 'W'
	msgCopyData        = 'd'
	msgCopyDone        = 'c'
	msgCommandComplete = 'C'
	msgError           = 'E'
	msgNotice          = 'N'
	msgParameterStatus = 'S'

	copyData      = 'w' // start, end and send time (8 bytes each), then a pgoutput message
	copyKeepalive = 'k' // end and send time (8 bytes each), then "reply wanted"
)

const (
	frameHeader     = 5      // a kind and a length that counts itself
	dataHeader      = 1 + 24 // of a copyData message
	keepaliveLength = 1 + 17
)

// receiver owns the reading half of the connection.
type receiver struct {
	conn     net.Conn
	timeout  time.Duration
	queue    *queue
	progress *progress
	ask      func() // makes the reporter send a status at once
	log      *slog.Logger
	metrics  *Metrics

	// block is read into. [0,passed) has gone into the queue, [passed,scanned)
	// is complete messages, [scanned,filled) the beginning of another.
	block                   []byte
	passed, scanned, filled int
	anxious                 anxiety

	// waitingSince is when the pending read began, in Unix nanoseconds, or 0
	// when none is pending. The reporter watches it.
	waitingSince atomic.Int64
}

func newReceiver(s *session, p *progress, q *queue, ask func(), cfg Config) *receiver {
	return &receiver{
		conn: s.conn, timeout: cfg.ReceiveTimeout, queue: q, progress: p, ask: ask,
		log: cfg.Logger, metrics: cfg.Metrics, block: q.block(),
	}
}

// start sends the START_REPLICATION command and waits until the server has
// switched to streaming. Stream data may follow at once: it stays in the block.
func (r *receiver) start(ctx context.Context, command string) error {
	stop := context.AfterFunc(ctx, func() { _ = r.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = r.conn.SetDeadline(time.Now().Add(r.timeout))
	query, err := (&pgproto3.Query{String: command}).Encode(nil)
	if err != nil {
		return fmt.Errorf("start replication: %w", err)
	}
	if _, err := r.conn.Write(query); err != nil {
		return fmt.Errorf("start replication: %w", cause(ctx, err))
	}
	for {
		message, kind, err := r.peek()
		if err != nil {
			return err
		}
		if message == nil {
			if r.pendingSize() > len(r.block) {
				return fmt.Errorf("%w: an overlong answer to START_REPLICATION", ErrProtocol)
			}
			if err := r.makeRoom(ctx); err != nil {
				return err
			}
			if err := r.read(ctx); err != nil {
				return fmt.Errorf("start replication: %w", err)
			}
			continue
		}
		r.scanned += len(message)
		r.passed = r.scanned
		switch kind {
		case msgCopyBoth:
			if !stop() {
				return context.Cause(ctx)
			}
			return r.conn.SetDeadline(time.Time{})
		case msgNotice, msgParameterStatus:
			r.notice(kind, message)
		case msgError:
			return startError(serverError(message))
		default:
			return fmt.Errorf("%w: message %q in answer to START_REPLICATION", ErrProtocol, kind)
		}
	}
}

// run reads until the stream ends; it never returns nil.
func (r *receiver) run(ctx context.Context) error {
	for {
		ended := r.scan()
		if err := r.pass(ctx); err != nil {
			return err
		}
		if ended != nil {
			return ended
		}
		if size := r.pendingSize(); size > len(r.block) {
			if err := r.large(ctx, size); err != nil {
				return err
			}
			continue
		}
		if err := r.makeRoom(ctx); err != nil {
			return err
		}
		if err := r.read(ctx); err != nil {
			return err
		}
	}
}

// read waits for more bytes.
func (r *receiver) read(ctx context.Context) error {
	n, err := r.readInto(r.block[r.filled:])
	r.filled += n
	if n > 0 {
		return nil // an error comes again
	}
	return readError(ctx, err)
}

func (r *receiver) readInto(b []byte) (int, error) {
	r.waitingSince.Store(time.Now().UnixNano())
	n, err := r.conn.Read(b)
	r.waitingSince.Store(0)
	r.metrics.receivedBytes.Add(float64(n))
	return n, err
}

// silence is how long the pending read has been waiting.
func (r *receiver) silence(now time.Time) time.Duration {
	since := r.waitingSince.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}

// peek returns the complete message that begins at scanned, or nil.
func (r *receiver) peek() (message []byte, kind byte, err error) {
	size := r.pendingSize()
	if size < 0 {
		return nil, 0, fmt.Errorf("%w: a message shorter than its header", ErrProtocol)
	}
	if size == 0 || r.filled-r.scanned < size {
		return nil, 0, nil
	}
	message = r.block[r.scanned : r.scanned+size]
	return message, message[0], nil
}

// pendingSize is the full size of the message that begins at scanned, 0 when
// not enough of it is here to tell, and -1 when it cannot be a message.
func (r *receiver) pendingSize() int {
	if r.filled-r.scanned < frameHeader {
		return 0
	}
	length := binary.BigEndian.Uint32(r.block[r.scanned+1:])
	if length < 4 || length > 1<<31-2 {
		return -1
	}
	return int(length) + 1
}

// scan steps over the complete messages in the block and acts on those that
// concern the connection. An error ends the stream after what precedes it.
func (r *receiver) scan() error {
	for {
		message, kind, err := r.peek()
		if message == nil || err != nil {
			return err
		}
		if err := r.look(kind, message); err != nil {
			return err
		}
		r.scanned += len(message)
	}
}

// look acts on one message. Data is left to the feeder.
func (r *receiver) look(kind byte, message []byte) error {
	switch kind {
	case msgCopyData:
		return r.lookAtData(message[frameHeader:])
	case msgNotice, msgParameterStatus:
		r.notice(kind, message)
		return nil
	case msgError:
		return fmt.Errorf("read replication stream: %w", streamError(message))
	case msgCopyDone, msgCommandComplete:
		return fmt.Errorf("read replication stream: %w", ErrServerStopping)
	default:
		return fmt.Errorf("%w: message %q in the replication stream", ErrProtocol, kind)
	}
}

func (r *receiver) lookAtData(body []byte) error {
	if len(body) >= dataHeader && body[0] == copyData {
		r.progress.hear(change.LSN(binary.BigEndian.Uint64(body[9:])))
		r.anxious = anxiety{}
		return nil
	}
	if len(body) == keepaliveLength && body[0] == copyKeepalive {
		end := change.LSN(binary.BigEndian.Uint64(body[1:]))
		r.progress.hear(end)
		if body[17] == 0 {
			return nil
		}
		r.metrics.replyRequests.Inc()
		r.ask()
		if r.anxious.letGo(time.Now(), end) {
			return fmt.Errorf("read replication stream: %w", ErrServerStopping)
		}
		return nil
	}
	return fmt.Errorf("%w: a replication message of %d bytes is neither data nor keepalive", ErrProtocol, len(body))
}

// pass puts the complete messages into the queue.
func (r *receiver) pass(ctx context.Context) error {
	if r.scanned == r.passed {
		return nil
	}
	data := r.block[r.passed:r.scanned:r.scanned]
	weight, err := r.queue.reserve(ctx, len(data))
	if err != nil {
		return err
	}
	r.passed = r.scanned
	return r.queue.put(ctx, segment{data: data, weight: weight})
}

// makeRoom makes sure that the message at scanned fits behind scanned in the
// block, or else goes on in a fresh block. The feeder learns that it has seen
// the last of the old one.
func (r *receiver) makeRoom(ctx context.Context) error {
	if r.passed == 0 && r.filled < len(r.block) {
		return nil // nothing to gain: the message began with the block
	}
	need := max(r.pendingSize(), r.filled-r.scanned+len(r.block)/4)
	if r.scanned+need <= len(r.block) {
		return nil
	}
	old := r.block
	r.block = r.queue.block()
	r.filled = copy(r.block, old[r.scanned:r.filled])
	r.passed, r.scanned = 0, 0
	return r.queue.put(ctx, segment{block: old})
}

// large reads a message that no block holds into a buffer of its own, once the
// queue has room for it. All unscanned bytes of the block belong to it.
func (r *receiver) large(ctx context.Context, size int) error {
	weight, err := r.queue.reserve(ctx, size)
	if err != nil {
		return err
	}
	message := make([]byte, size)
	at := copy(message, r.block[r.scanned:r.filled])
	r.passed, r.scanned = r.filled, r.filled
	for at < size {
		n, err := r.readInto(message[at:])
		at += n
		if n == 0 {
			return readError(ctx, err)
		}
	}
	if err := r.look(message[0], message); err != nil {
		return err
	}
	return r.queue.put(ctx, segment{data: message, weight: weight})
}

// notice logs the server's notices. They carry no row values.
func (r *receiver) notice(kind byte, message []byte) {
	if kind != msgNotice {
		return
	}
	var n pgproto3.NoticeResponse
	if err := n.Decode(message[frameHeader:]); err == nil {
		r.log.Warn("notice from the walsender", "severity", n.Severity, "code", n.Code, "message", n.Message)
	}
}

func serverError(message []byte) error {
	var e pgproto3.ErrorResponse
	if err := e.Decode(message[frameHeader:]); err != nil {
		return fmt.Errorf("%w: unreadable error message: %w", ErrProtocol, err)
	}
	return pgconn.ErrorResponseToPgError(&e)
}

// ErrUndecodable says that the server cannot write a change that is in its log:
// text that is no UTF-8, in a database without an encoding, or a value that
// becomes longer than a message may be. It meets that change again each time.
var ErrUndecodable = errors.New("the server cannot write a change of its log: text that is no UTF-8, or a value longer than 1 GB as text")

// streamError is an error in the middle of the stream. One about a value quotes
// a part of it.
func streamError(message []byte) error {
	err := serverError(message)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.Code == "22021", refused.Code == "22P05", refused.Code == "54000",
		refused.Code == "XX000" && refused.File == "mcxt.c": // a length that no allocation may have
		return fmt.Errorf("%w (SQLSTATE %s)", ErrUndecodable, refused.Code)
	}
	return err
}

func readError(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read replication stream: %w", cause(ctx, err))
}

// cause prefers the reason of a cancellation to the deadline error by which it
// showed.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}
