package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	firstReconnectDelay = 100 * time.Millisecond
	lastReconnectDelay  = 2 * time.Second
)

var errLost = errors.New("connection lost")

// outage follows a link after its first connection: why it is down, logged once per reason and not once per attempt.
type outage struct {
	target endpoints
	logger *slog.Logger
	conn   atomic.Pointer[nats.Conn]

	mu    sync.Mutex
	err   error // nil while up
	class error // of what the last attempt failed with, nil before the first
}

func (o *outage) handlers() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { o.lost(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { o.over() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { o.continues(err) }),
		nats.CustomReconnectDelay(o.delay),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { o.reported(err) }),
	}
}

func (o *outage) reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// delay is asked before each attempt but the first; errors of TLS and of the login are told nowhere else.
func (o *outage) delay(attempts int) time.Duration {
	if conn := o.conn.Load(); conn != nil {
		if err := conn.LastError(); class(err) != nil {
			o.continues(err)
		}
	}
	return reconnectDelay(attempts)
}

// reconnectDelay doubles from 100 ms to 2 s, each between half and whole.
func reconnectDelay(attempts int) time.Duration {
	delay := lastReconnectDelay
	if attempts <= 5 {
		delay = min(delay, firstReconnectDelay<<max(attempts-1, 0))
	}
	return delay/2 + rand.N(delay/2)
}

func (o *outage) lost(err error) {
	if err == nil { // closed by us
		return
	}
	o.mu.Lock()
	o.err, o.class = fmt.Errorf("%s: %w: %w", o.target.names(), errLost, err), nil
	o.mu.Unlock()
	o.logger.Warn("link to broker lost, reconnecting", "error", err)
}

// continues notes why an attempt failed and says whether the link is down at all.
func (o *outage) continues(err error) (down bool) {
	explained := explain(o.target, nil, err)
	o.mu.Lock()
	down = o.err != nil
	news := down && (o.class == nil || !errors.Is(class(explained), o.class))
	if news {
		o.err, o.class = explained, class(explained)
	}
	o.mu.Unlock()
	if news {
		o.logger.Warn("link to broker still down", "error", explained)
	}
	return down
}

func (o *outage) over() {
	o.mu.Lock()
	o.err, o.class = nil, nil
	o.mu.Unlock()
	o.logger.Info("link to broker is back")
}

// reported passes on what the broker or the client library complains about while the link is up: a refused subject, a slow reader.
func (o *outage) reported(err error) {
	if class(err) != nil && o.continues(err) {
		return
	}
	o.logger.Warn("broker link reported an error", "error", err)
}
