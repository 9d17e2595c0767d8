package transport

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// Beat sends a heartbeat: a document for whoever listens right now. It is not
// stored, and it is lost when the link is down.
func (l *Link) Beat(federation, node string, document []byte) error {
	if err := l.Conn.Publish(beatSubject(federation, node), document); err != nil {
		return fmt.Errorf("send heartbeat: %w", err)
	}
	return nil
}

// ListenBeats calls hear with each heartbeat of a node, one at a time, until
// stop is called. hear must not block, and must not keep the document.
func (l *Link) ListenBeats(federation, node string, hear func(document []byte)) (stop func(), err error) {
	subscription, err := l.Conn.Subscribe(beatSubject(federation, node), func(m *nats.Msg) { hear(m.Data) })
	if err != nil {
		return nil, fmt.Errorf("listen to the heartbeats of %s: %w", node, err)
	}
	return func() { _ = subscription.Unsubscribe() }, nil
}
