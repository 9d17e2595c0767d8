package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// What is asked for ahead of the reader, in two requests of half each.
	aheadMessages = 512
	aheadBytes    = 8 << 20

	pullExpires       = 30 * time.Second
	pullHeartbeat     = 5 * time.Second
	silenceLimit      = 5 * pullHeartbeat / 2
	consumerForgotten = time.Minute
	watchInterval     = 200 * time.Millisecond
)

// session is one consumer of the stream, from its creation until something
// about it is in doubt. It acknowledges nothing: what is lost on the way shows
// as a hole in the sequence, and ends the session.
type session struct {
	link     *Link
	stream   string
	consumer string
	inbox    string
	incoming chan *nats.Msg
	status   chan nats.Status
	answers  *nats.Subscription

	start uint64 // where delivery was to begin
	last  uint64 // sequence of the newest message delivered; 0 before the first

	// What has been asked for and not been delivered yet.
	askedMessages, askedBytes int
	heard                     time.Time // when the server last said anything
	nudged                    bool      // it has been asked again since
}

// newSession begins to watch the connection. The consumer comes later, when
// the place is known; whatever happens to the connection between ends the
// session too.
func newSession(link *Link, stream string) *session {
	return &session{
		link: link, stream: stream,
		incoming: make(chan *nats.Msg, aheadMessages+64),
		status:   link.Conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED),
	}
}

// begin creates the consumer and asks for messages from start.
func (s *session) begin(ctx context.Context, start uint64) error {
	consumer, err := call(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.link.JS.CreateConsumer(ctx, s.stream, jetstream.ConsumerConfig{
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       start,
			AckPolicy:         jetstream.AckNonePolicy,
			MemoryStorage:     true,
			Replicas:          1,
			InactiveThreshold: consumerForgotten,
		})
	})
	if err != nil {
		return fmt.Errorf("%w: create a consumer of stream %s: %w", ErrSessionLost, s.stream, err)
	}
	s.consumer, s.start, s.heard = consumer.CachedInfo().Name, start, time.Now()
	s.inbox = s.link.Conn.NewInbox()
	if s.answers, err = s.link.Conn.ChanSubscribe(s.inbox, s.incoming); err != nil {
		return fmt.Errorf("%w: listen to stream %s: %w", ErrSessionLost, s.stream, err)
	}
	return s.ask()
}

func (s *session) close() {
	s.link.Conn.RemoveStatusListener(s.status)
	if s.answers != nil {
		_ = s.answers.Unsubscribe()
	}
	if s.consumer != "" {
		// Best effort: the server forgets it by itself after a minute.
		_ = s.link.Conn.Publish(s.api("CONSUMER.DELETE."+s.stream+"."+s.consumer), nil)
	}
}

// api is the subject of a request to JetStream.
func (s *session) api(request string) string {
	options := s.link.JS.Options()
	switch {
	case options.APIPrefix != "":
		return options.APIPrefix + "." + request
	case options.Domain != "":
		return "$JS." + options.Domain + ".API." + request
	}
	return jetstream.DefaultAPIPrefix + request
}

// ask requests more messages once half of what was asked for has come.
func (s *session) ask() error {
	for s.askedMessages <= aheadMessages/2 && s.askedBytes <= aheadBytes/2 {
		request, err := json.Marshal(struct {
			Expires   time.Duration `json:"expires"`
			Batch     int           `json:"batch"`
			MaxBytes  int           `json:"max_bytes"`
			Heartbeat time.Duration `json:"idle_heartbeat"`
		}{pullExpires, aheadMessages / 2, aheadBytes / 2, pullHeartbeat})
		if err != nil {
			return err
		}
		if err := s.link.Conn.PublishRequest(s.api("CONSUMER.MSG.NEXT."+s.stream+"."+s.consumer), s.inbox, request); err != nil {
			return fmt.Errorf("%w: ask for messages of stream %s: %w", ErrSessionLost, s.stream, err)
		}
		s.askedMessages += aheadMessages / 2
		s.askedBytes += aheadBytes / 2
	}
	return nil
}

// next waits for a message, and calls watch from time to time while there is
// none. Its errors are those of watch, of ctx, or wrap ErrSessionLost.
func (s *session) next(ctx context.Context, watch func() error) (*nats.Msg, error) {
	var tick <-chan time.Time
	for {
		if err := s.ask(); err != nil {
			return nil, err
		}
		var m *nats.Msg
		select {
		case m = <-s.incoming: // the way it mostly goes
		default:
			if tick == nil {
				ticker := time.NewTicker(watchInterval)
				defer ticker.Stop()
				tick = ticker.C
			}
			select {
			case m = <-s.incoming:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case status := <-s.status:
				return nil, fmt.Errorf("%w: the connection is %s", ErrSessionLost, status)
			case <-tick:
				if err := errors.Join(watch(), s.listen()); err != nil {
					return nil, err
				}
				continue
			}
		}
		s.heard, s.nudged = time.Now(), false
		if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
			if err := s.told(status, m); err != nil {
				return nil, err
			}
			continue
		}
		s.askedMessages = max(0, s.askedMessages-1)
		s.askedBytes = max(0, s.askedBytes-m.Size())
		return m, nil
	}
}

// listen notices a server that has gone silent. A request that was answered to
// the last byte ends without a word, so asking once more comes first.
func (s *session) listen() error {
	if time.Since(s.heard) < silenceLimit {
		return nil
	}
	if s.nudged {
		return fmt.Errorf("%w: nothing heard of stream %s for %v", ErrSessionLost, s.stream, time.Since(s.heard).Round(time.Second))
	}
	s.nudged, s.heard = true, time.Now()
	s.askedMessages, s.askedBytes = 0, 0
	return nil
}

// told acts on what the server says of a request.
func (s *session) told(status string, m *nats.Msg) error {
	description := m.Header.Get("Description")
	switch status {
	case "100": // heartbeat
		return nil
	case "404", "408", "409":
		left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		if err == nil {
			// The request is over; what it did not deliver is asked for anew.
			bytes, _ := strconv.Atoi(m.Header.Get("Nats-Pending-Bytes"))
			s.askedMessages = max(0, s.askedMessages-left)
			s.askedBytes = max(0, s.askedBytes-bytes)
			return nil
		}
	}
	return fmt.Errorf("%w: the server says %s %s", ErrSessionLost, status, description)
}

// sequenceOf returns a delivered message's place in the stream.
func sequenceOf(m *nats.Msg) (uint64, error) {
	metadata, err := m.Metadata()
	if err != nil {
		return 0, fmt.Errorf("%w: a message without a place in the stream: %w", ErrSessionLost, err)
	}
	return metadata.Sequence.Stream, nil
}
