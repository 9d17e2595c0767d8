package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/change"
)

const ackFormat = 1

// Ack is a peer's word on how far it has got with an origin's changes. The
// origin's broker keeps the last one of each peer.
type Ack struct {
	Format     int       `json:"format"`
	Peer       string    `json:"peer"`
	History    change.ID `json:"history"`
	Generation change.ID `json:"generation"`
	// LSN: everything up to it is applied and flushed.
	LSN change.LSN `json:"lsn"`
	// Sequence of the first message in that generation which the peer still
	// needs; 0 when it does not know.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

// Acknowledge tells an origin's broker how far this peer has got. It returns
// when the broker has stored that.
func (l *Link) Acknowledge(ctx context.Context, federation, origin string, ack Ack) error {
	ack.Format = ackFormat
	document, err := json.Marshal(ack)
	if err != nil {
		return fmt.Errorf("acknowledge to %s: %w", origin, err)
	}
	_, err = call(ctx, func(ctx context.Context) (*jetstream.PubAck, error) {
		return l.JS.Publish(ctx, ackSubject(federation, origin, ack.Peer), document, jetstream.WithRetryAttempts(0))
	})
	if err != nil {
		return fmt.Errorf("acknowledge to %s: %w", origin, err)
	}
	return nil
}

// Acks returns the last acknowledgement of each peer. One that cannot be read
// is logged and left out. Whether its history and generation are those of the
// stream is the caller's to judge; a sequence that cannot belong to the
// position beside it in this generation is returned as 0.
func (p *Publisher) Acks(ctx context.Context) (map[string]Ack, error) {
	name := ackStreamName(p.cfg.Federation, p.cfg.Node)
	stream, err := look(ctx, p.link, name)
	if err != nil {
		return nil, err
	}
	changes, err := look(ctx, p.link, p.name)
	if err != nil {
		return nil, err
	}
	info, err := call(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return stream.Info(ctx, jetstream.WithSubjectFilter(ackSubject(p.cfg.Federation, p.cfg.Node, "*")))
	})
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	acks := make(map[string]Ack, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		last, err := call(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return stream.GetLastMsgForSubject(ctx, subject)
		})
		if err != nil {
			return nil, fmt.Errorf("read acknowledgement %s: %w", subject, err)
		}
		peer := subject[strings.LastIndexByte(subject, '.')+1:]
		ack, err := parseAck(peer, last.Data)
		if err != nil {
			p.cfg.Logger.Warn("an acknowledgement is ignored", "peer", peer, "error", err)
			continue
		}
		if ack.Generation == p.Progress().Generation {
			sound, err := p.verified(ctx, changes, ack)
			if err != nil {
				return nil, err
			}
			if !sound {
				ack.Sequence = 0
			}
		}
		acks[peer] = ack
	}
	return acks, nil
}

func parseAck(peer string, document []byte) (Ack, error) {
	var ack Ack
	if err := json.Unmarshal(document, &ack); err != nil {
		return ack, fmt.Errorf("read acknowledgement: %w", err)
	}
	if ack.Format != ackFormat {
		return ack, fmt.Errorf("read acknowledgement: format %d, this version reads %d", ack.Format, ackFormat)
	}
	if ack.Peer != peer {
		return ack, fmt.Errorf("read acknowledgement: it is of %q", ack.Peer)
	}
	return ack, nil
}
