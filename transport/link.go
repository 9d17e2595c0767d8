package transport

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Link is one connection to one broker, ready for JetStream. It is safe for concurrent use.
type Link struct {
	Conn *nats.Conn
	JS   jetstream.JetStream
}
