package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/crash"
)

const (
	firstPause   = 50 * time.Millisecond
	lastPause    = time.Second
	drainTimeout = 3 * time.Second
)

// Codes that say the stream or its storage takes nothing more at the moment.
const (
	codeInsufficientResources   = 10023
	codeStorageExceeded         = 10047
	codeStoreFailed             = 10077
	codeWrongLastMessageID      = 10070
	codeWrongSequence           = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongSequenceReplicated = jetstream.JSErrCodeStreamWrongLastSequenceConstant
)

// courier is what one Run owns: the replies and the state of the window.
type courier struct {
	*Publisher
	inbox   string
	epoch   uint64 // counts resynchronizations; answers of earlier ones do not count
	replies chan *nats.Msg
	status  chan nats.Status
	probing bool // one message at a time, until one is accepted
	// fruitless counts resynchronizations since a message was accepted.
	fruitless int
}

// Run appends what is handed in to the stream until ctx ends or publishing
// cannot go on, and returns why: ctx's cause, ErrFenced, ErrStreamRegressed or
// nats.ErrConnectionClosed. It is called once. A broker that is away or full
// is waited for.
//
// Every append is a comparison: a message is taken only behind the sequence
// that its predecessor got. Several are in flight at a time, which the
// sequence alone does not make safe against a second publisher: when that one's
// message takes the place of ours, our next would fit behind it. So a message
// whose predecessor is still in flight also names that one's ID. Replicated
// streams cannot compare IDs in flight; there the window is one message.
//
// After any refusal, timeout or loss of the connection everything in flight is
// in doubt: the end of the stream, read from its leader, tells what arrived.
func (p *Publisher) Run(ctx context.Context) (err error) {
	defer func() { p.out.end(err) }()
	c := &courier{
		Publisher: p,
		inbox:     p.link.Conn.NewInbox(),
		replies:   make(chan *nats.Msg, 2*p.window+64),
		status:    p.link.Conn.StatusChanged(nats.RECONNECTING, nats.CONNECTED, nats.CLOSED),
	}
	defer p.link.Conn.RemoveStatusListener(c.status)
	answers, err := p.link.Conn.ChanSubscribe(c.inbox+".*", c.replies)
	if err != nil {
		return fmt.Errorf("publish to stream %s: %w", p.name, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	return c.run(ctx)
}

func (c *courier) run(ctx context.Context) error {
	overdue := time.NewTicker(c.cfg.ackTimeout / 4)
	defer overdue.Stop()
	for {
		reason := c.send()
		if reason == "" {
			select {
			case <-ctx.Done():
				c.drain()
				return context.Cause(ctx)
			case <-c.out.filled:
			case reply := <-c.replies:
				reason = c.answer(reply)
			case status := <-c.status:
				if status == nats.RECONNECTING || status == nats.CLOSED {
					reason = reasonLink
				}
			case <-overdue.C:
				if at, inFlight := c.out.oldest(); inFlight && time.Since(at) > c.cfg.ackTimeout {
					reason = reasonTimeout
				}
			}
		}
		if reason == "" {
			continue
		}
		if err := c.resync(ctx, reason); err != nil {
			return err
		}
	}
}

// send fills the window. It returns a reason when the connection does not take
// a message.
func (c *courier) send() (reason string) {
	for {
		window := c.window
		if c.probing {
			window = 1
		}
		m := c.out.next(window)
		if m == nil {
			return ""
		}
		if err := c.link.Conn.PublishMsg(c.envelope(m)); err != nil {
			return reasonLink
		}
		crash.At(crash.AfterPublish)
	}
}

// envelope addresses a message and says what must precede it.
func (c *courier) envelope(m *sealed) *nats.Msg {
	h := nats.Header{}
	h.Set(jetstream.ExpectedStreamHeader, c.name)
	h.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(c.sequenceOf(m.number-1), 10))
	h.Set(jetstream.MsgIDHeader, c.messageID(m.number))
	c.mu.Lock()
	inFlight := m.number-1 > c.acked
	c.mu.Unlock()
	if inFlight {
		h.Set(jetstream.ExpectedLastMsgIDHeader, c.messageID(m.number-1))
	}
	return &nats.Msg{Subject: c.subject, Reply: fmt.Sprintf("%s.%d-%d", c.inbox, c.epoch, m.number), Header: h, Data: m.data}
}

// answer takes the broker's answer to one message. It returns a reason when
// the window is in doubt.
func (c *courier) answer(reply *nats.Msg) (reason string) {
	epoch, number, ok := parseReply(strings.TrimPrefix(reply.Subject, c.inbox+"."))
	if !ok || epoch != c.epoch {
		return ""
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		*jetstream.PubAck
	}
	if reply.Header.Get("Status") != "" || json.Unmarshal(reply.Data, &answer) != nil {
		return reasonLink // nobody listens for the stream: the broker is starting, or has lost it
	}
	if e := answer.Error; e != nil {
		switch e.ErrorCode {
		case codeStoreFailed, codeStorageExceeded, codeInsufficientResources:
			c.setFull()
			return reasonFull
		case codeWrongSequence, codeWrongSequenceReplicated, codeWrongLastMessageID:
		default:
			c.cfg.Logger.Warn("the broker refuses a message", "stream", c.name, "code", e.ErrorCode, "reason", e.Description)
		}
		return reasonRefused
	}
	if answer.PubAck == nil || answer.Sequence != c.sequenceOf(number) {
		return reasonRefused
	}
	// It stands where it belongs, so those before it do too.
	c.probing, c.fruitless = false, 0
	c.stored(number)
	crash.At(crash.AfterDurable)
	return ""
}

func parseReply(token string) (epoch, number uint64, ok bool) {
	left, right, found := strings.Cut(token, "-")
	epoch, err1 := strconv.ParseUint(left, 10, 64)
	number, err2 := strconv.ParseUint(right, 10, 64)
	return epoch, number, found && err1 == nil && err2 == nil
}

// resync finds out what of the window is in the stream, and makes the rest
// unsent. It tries until the broker answers or ctx ends.
func (c *courier) resync(ctx context.Context, reason string) error {
	c.cfg.Metrics.resync(reason)
	c.cfg.Logger.Debug("reading the end of the stream to go on from there", "stream", c.name, "reason", reason)
	c.epoch++
	// A comparison that failed says nothing bad of the broker: ask at once.
	// Everything else, and the same once more, deserves a pause.
	if reason != reasonRefused || c.fruitless > 0 {
		if err := c.pause(ctx); err != nil {
			return err
		}
	}
	c.fruitless++
	for missing := 0; ; {
		end, err := readTail(ctx, c.link, c.cfg.Federation, c.cfg.Node)
		switch {
		case err == nil:
			number, err := c.locate(end)
			if err != nil {
				return err
			}
			c.stored(number)
			c.out.rewind()
			c.probing = true
			if reason == reasonFull {
				c.setFull() // until a message is taken
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrStreamMissing):
			// A broker that is still starting may say so too.
			if missing++; missing > 3 {
				return fmt.Errorf("%w: %w", ErrStreamRegressed, err)
			}
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrFormat):
			return fmt.Errorf("%w: %w", ErrFenced, err) // it is not ours, whatever it is
		default:
			c.cfg.Logger.Debug("the broker does not answer", "stream", c.name, "error", err)
		}
		if err := c.pause(ctx); err != nil {
			return err
		}
		c.fruitless++
	}
}

// locate tells up to which number our messages are in a stream with this end.
func (c *courier) locate(end tail) (number uint64, err error) {
	c.mu.Lock()
	acked := c.acked
	c.mu.Unlock()
	regressed := func() error {
		return fmt.Errorf("stream %s ends at sequence %d, it had acknowledged %d: %w", c.name, end.sequence, c.sequenceOf(acked), ErrStreamRegressed)
	}
	switch {
	case end.generation != c.identity.Generation:
		// Somebody has begun it anew, with the same sequences for other messages.
		return 0, fmt.Errorf("stream %s is in generation %s, ours is %s: %w", c.name, end.generation.Short(), c.identity.Generation.Short(), ErrStreamRegressed)
	case end.sequence < c.sequenceOf(acked):
		return 0, regressed()
	case end.empty:
		if acked > 0 || end.sequence > c.opened.sequence {
			return 0, regressed()
		}
		return 0, nil
	case end.header.Writer == c.writer:
		if end.sequence != c.sequenceOf(end.header.Number) {
			return 0, regressed()
		}
		return end.header.Number, nil
	case end.sequence == c.opened.sequence && !c.opened.empty && end.header.Writer == c.opened.header.Writer && end.header.Number == c.opened.header.Number:
		return 0, nil // nothing of ours has arrived
	}
	return 0, fmt.Errorf("stream %s ends at sequence %d with a message of writer %s, ours is %s: %w", c.name, end.sequence,
		end.header.Writer.Short(), c.writer.Short(), ErrFenced)
}

// pause waits, longer each time nothing came of it, and less when the
// connection comes back.
func (c *courier) pause(ctx context.Context) error {
	timer := time.NewTimer(min(firstPause<<min(c.fruitless, 8), lastPause))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if c.link.Conn.IsClosed() {
				return fmt.Errorf("publish to stream %s: %w", c.name, nats.ErrConnectionClosed)
			}
			return nil
		case status := <-c.status:
			switch status {
			case nats.CONNECTED:
				return nil
			case nats.CLOSED:
				return fmt.Errorf("publish to stream %s: %w", c.name, nats.ErrConnectionClosed)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drain waits for the answers to what is in flight, for a few seconds: what is
// known to be stored need not be captured again.
func (c *courier) drain() {
	timeout := time.NewTimer(drainTimeout)
	defer timeout.Stop()
	for {
		if _, inFlight := c.out.oldest(); !inFlight {
			return
		}
		select {
		case reply := <-c.replies:
			if c.answer(reply) != "" {
				return
			}
		case status := <-c.status:
			if status != nats.CONNECTED {
				return
			}
		case <-timeout.C:
			return
		}
	}
}
