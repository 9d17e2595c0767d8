package transport

import (
	"context"
	"sync"
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// sealed is a message ready to be appended to the stream.
type sealed struct {
	number     uint64
	data       []byte
	plain      int        // size before compression
	last       change.LSN // position completed by it
	open       bool       // a large transaction is unfinished behind it
	commitTime time.Time  // of the newest transaction in it
	sentAt     time.Time
}

// outbox holds the messages that are not acknowledged yet, in order: those in
// flight first, then those not sent. It is bounded by bytes and by count; one
// message more may be in it than the bounds allow.
type outbox struct {
	mu       sync.Mutex
	messages []*sealed
	sent     int // the first so many are in flight
	bytes    int
	wanted   bool // a flush was put off until there is less in flight
	err      error

	maxBytes, maxCount int
	filled             chan struct{} // there is something to send
	freed              chan struct{} // there is room
	ended              chan struct{} // nobody sends any more; err says why
}

func newOutbox(maxBytes, maxCount int) *outbox {
	return &outbox{
		maxBytes: maxBytes, maxCount: maxCount,
		filled: make(chan struct{}, 1), freed: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// awaitRoom blocks until another message may be put. This is the
// backpressure. It fails when publishing has ended. One goroutine calls it.
func (o *outbox) awaitRoom(ctx context.Context) error {
	for {
		o.mu.Lock()
		room, err := o.bytes < o.maxBytes && len(o.messages) < o.maxCount, o.err
		o.mu.Unlock()
		if err != nil {
			return err
		}
		if room {
			return nil
		}
		select {
		case <-o.freed:
		case <-o.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *outbox) put(m *sealed) {
	o.mu.Lock()
	o.messages = append(o.messages, m)
	o.bytes += len(m.data)
	o.mu.Unlock()
	signal(o.filled)
}

// next returns the message to send next, or nil when there is none or window
// messages are in flight.
func (o *outbox) next(window int) *sealed {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent >= window || o.sent == len(o.messages) {
		return nil
	}
	m := o.messages[o.sent]
	o.sent++
	m.sentAt = time.Now()
	return m
}

// rewind makes everything that is not acknowledged unsent.
func (o *outbox) rewind() {
	o.mu.Lock()
	o.sent = 0
	o.mu.Unlock()
}

// oldest returns when the oldest message in flight was sent.
func (o *outbox) oldest() (at time.Time, inFlight bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == 0 {
		return time.Time{}, false
	}
	return o.messages[0].sentAt, true
}

// take removes the messages up to number: the broker has them. flush tells
// whether a flush that was put off is due.
func (o *outbox) take(number uint64) (taken []*sealed, flush bool) {
	o.mu.Lock()
	n := 0
	for n < len(o.messages) && o.messages[n].number <= number {
		o.bytes -= len(o.messages[n].data)
		n++
	}
	taken = append(taken, o.messages[:n]...)
	clear(o.messages[:n])
	o.messages = o.messages[n:]
	o.sent = max(0, o.sent-n)
	if o.wanted && len(o.messages) < eagerMessages {
		o.wanted, flush = false, true
	}
	o.mu.Unlock()
	if n > 0 {
		signal(o.freed)
	}
	return taken, flush
}

// eagerMessages: with that many unacknowledged, what is whole is not sent at
// once but gathers until one is. So small transactions share messages as soon
// as the broker is what limits them, and wait for nothing otherwise.
const eagerMessages = 2

// putOff reports whether a flush should wait, and sees to it that take tells
// when it is due.
func (o *outbox) putOff() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wanted = len(o.messages) >= eagerMessages
	return o.wanted
}

func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.messages) == 0
}

// end makes everybody who waits fail with err.
func (o *outbox) end(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
		close(o.ended)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ending returns why nobody sends any more, or nil.
func (o *outbox) ending() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
