package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/change"
)

// PublisherConfig says what to publish where, and what the database knows of
// what was published before.
type PublisherConfig struct {
	Federation, Node string
	History          change.History
	// Ancestors are the histories that History descends from, oldest first: the
	// stream may still tell one of them, when the server was promoted more than
	// once before anything could be published. Nil: its parent alone.
	Ancestors []change.History
	// Published is a position that the stream durably held according to the
	// database; 0 when there is none. It must be remembered there before the
	// slot is confirmed, and cover every transaction that the slot then no
	// longer delivers.
	Published change.LSN
	// Slot is the slot's confirmed position: what lies before it cannot be
	// captured again. 0 when it is not known.
	Slot change.LSN

	Rules       uint64               // version of the rules, written into each message
	MaxBytes    int64                // of the stream; 0: unlimited
	Replicas    int                  // of the stream; 0: 1
	BatchBytes  int                  // a message of that size is sent; 0: 256 KiB
	Compression string               // "", "none", "s2" or "zstd"
	Window      int                  // messages in flight; 0: 32. A replicated stream has 1: see Run
	QueueBytes  int                  // of messages not acknowledged; 0: 8 MiB
	Vector      func() change.Vector // what transactions sealed now have seen; called from several goroutines. nil: nothing
	Logger      *slog.Logger         // nil: silent
	Metrics     *Metrics             // nil: not counted
	ackTimeout  time.Duration        // 0: 10 s without any answer
}

const (
	defaultWindow     = 32
	defaultQueueBytes = 8 << 20
	defaultQueueCount = 512
	defaultAckTimeout = 10 * time.Second

	ackStreamBytes  = 1 << 20
	minDuplicates   = 100 * time.Millisecond // the least the server takes; what we need it for does not depend on it
	formatInWriting = "1"                    // formatVersion, in metadata
)

func (cfg *PublisherConfig) setDefaults() error {
	if cfg.BatchBytes <= 0 {
		cfg.BatchBytes = defaultBatchBytes
	}
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.QueueBytes <= 0 {
		cfg.QueueBytes = defaultQueueBytes
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = -1
	}
	if cfg.Replicas <= 0 {
		cfg.Replicas = 1
	}
	if cfg.ackTimeout <= 0 {
		cfg.ackTimeout = defaultAckTimeout
	}
	if cfg.Vector == nil {
		cfg.Vector = func() change.Vector { return nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch cfg.Compression {
	case "", "none", "s2", "zstd":
	default:
		return fmt.Errorf("compression %q: want none, s2 or zstd", cfg.Compression)
	}
	if cfg.History.ID.IsZero() {
		return fmt.Errorf("open publisher of %s: the history has no ID", cfg.Node)
	}
	return nil
}

func (cfg *PublisherConfig) compression() compression {
	switch cfg.Compression {
	case "s2":
		return compressedS2
	case "zstd":
		return compressedZstd
	}
	return uncompressed
}

// OpenPublisher makes sure that the node's stream and the one for
// acknowledgements exist and are ours, reads the stream's end from its leader,
// and decides where publishing goes on. Its errors wrap ErrForeignStream,
// ErrForeignHistory, ErrOrphanedTail, ErrFormat and ErrCorrupt, which last, or
// are the broker's, which pass.
func OpenPublisher(ctx context.Context, link *Link, cfg PublisherConfig) (*Publisher, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	capacity, err := capacityOf(link.Conn.MaxPayload(), cfg.Federation, cfg.Node)
	if err != nil {
		return nil, err
	}
	stream, who, err := cfg.ensureStream(ctx, link)
	if err != nil {
		return nil, err
	}
	end, err := tailOf(ctx, stream, changesSubject(cfg.Federation, cfg.Node))
	if err != nil {
		return nil, err
	}
	from, err := cfg.resume(ctx, link, stream, who, end)
	if err != nil {
		return nil, err
	}
	if err := cfg.ensureAckStream(ctx, link); err != nil {
		return nil, err
	}
	p := newPublisher(link, cfg, capacity, end, from)
	cfg.Logger.Info("publisher opened", "stream", streamName(cfg.Federation, cfg.Node), "generation", from.generation.Short(),
		"sequence", end.sequence, "previous", from.previous, "start", from.start)
	return p, nil
}

// ensureStream looks for the stream and creates it when it does not exist.
func (cfg *PublisherConfig) ensureStream(ctx context.Context, link *Link) (jetstream.Stream, identity, error) {
	name := streamName(cfg.Federation, cfg.Node)
	stream, err := look(ctx, link, name)
	if errors.Is(err, ErrStreamMissing) {
		stream, err = cfg.createStream(ctx, link)
	}
	if err != nil {
		return nil, identity{}, err
	}
	who, ours := readIdentity(stream.CachedInfo().Config.Metadata)
	switch {
	case !ours:
		return nil, who, fmt.Errorf("stream %s was not made by pgfed: %w", name, ErrForeignStream)
	case who.Format != formatInWriting:
		return nil, who, fmt.Errorf("stream %s has format %s, this version writes %s: %w", name, who.Format, formatInWriting, ErrForeignStream)
	case who.Federation != cfg.Federation || who.Node != cfg.Node:
		return nil, who, fmt.Errorf("stream %s is of node %s in federation %s: %w", name, who.Node, who.Federation, ErrForeignStream)
	case who.History.System != cfg.History.System:
		return nil, who, fmt.Errorf("stream %s is of the database system %d, this is %d: %w", name, who.History.System, cfg.History.System, ErrForeignStream)
	}
	return stream, who, nil
}

// createStream begins a new generation: the stream never existed, or its
// storage was lost.
func (cfg *PublisherConfig) createStream(ctx context.Context, link *Link) (jetstream.Stream, error) {
	who := identity{Federation: cfg.Federation, Node: cfg.Node, Format: formatInWriting, History: cfg.History}
	for _, child := range cfg.descent(change.ID{}) {
		who.Ancestors = append(who.Ancestors, ancestor{ID: child.Parent, Fork: child.Fork})
	}
	base := cfg.History.Start
	if cfg.Published > 0 {
		base, _ = cfg.afterLoss(0)
	}
	who.renew(base)
	_, err := call(ctx, func(ctx context.Context) (jetstream.Stream, error) {
		return link.JS.CreateStream(ctx, cfg.streamConfig(&who))
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil, fmt.Errorf("create stream %s: %w", streamName(cfg.Federation, cfg.Node), err)
	}
	return look(ctx, link, streamName(cfg.Federation, cfg.Node))
}

// streamConfig is what a stream of ours looks like. Nothing ages out and
// nothing is dropped to make room: a full stream is backpressure. Direct
// access is off, so that the end is always read from the leader.
func (cfg *PublisherConfig) streamConfig(who *identity) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        streamName(cfg.Federation, cfg.Node),
		Description: "changes of node " + cfg.Node + " for federation " + cfg.Federation,
		Subjects:    []string{changesSubject(cfg.Federation, cfg.Node)},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Storage:     jetstream.FileStorage,
		MaxBytes:    cfg.MaxBytes,
		MaxMsgs:     -1,
		Replicas:    cfg.Replicas,
		Duplicates:  minDuplicates,
		DenyDelete:  true,
		AllowDirect: false,
		Metadata:    who.metadata(),
	}
}

func (cfg *PublisherConfig) ensureAckStream(ctx context.Context, link *Link) error {
	name := ackStreamName(cfg.Federation, cfg.Node)
	_, err := call(ctx, func(ctx context.Context) (jetstream.Stream, error) {
		return link.JS.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name:              name,
			Description:       "how far the peers have got with the changes of node " + cfg.Node,
			Subjects:          []string{ackSubject(cfg.Federation, cfg.Node, "*")},
			Retention:         jetstream.LimitsPolicy,
			Discard:           jetstream.DiscardOld,
			Storage:           jetstream.FileStorage,
			MaxMsgsPerSubject: 1,
			MaxBytes:          ackStreamBytes,
			Replicas:          cfg.Replicas,
		})
	})
	if err != nil {
		return fmt.Errorf("ensure stream %s: %w", name, err)
	}
	return nil
}

// resumption is where publishing goes on.
type resumption struct {
	generation change.ID
	previous   change.LSN // what the next message says precedes it
	start      change.LSN // capture begins here
}

// resume decides where to go on from the stream's end, and writes into the
// stream's metadata what has changed: the history after a promotion or
// restore, the generation after a loss, the configuration.
func (cfg *PublisherConfig) resume(ctx context.Context, link *Link, stream jetstream.Stream, who identity, end tail) (resumption, error) {
	name := stream.CachedInfo().Config.Name
	if !end.empty && (end.header.Federation != cfg.Federation || end.header.Origin != cfg.Node) {
		return resumption{}, fmt.Errorf("stream %s ends with a message of node %s in federation %s: %w", name, end.header.Origin, end.header.Federation, ErrForeignStream)
	}
	// An unfinished large transaction at the end does not count: its pieces
	// name the position completed before it.
	have := who.Base
	if !end.empty {
		have = end.header.Last
		if !who.covers(end.header.History.ID, have) {
			return resumption{}, fmt.Errorf("stream %s ends with a message of history %s, which it does not descend from: %w", name, end.header.History.ID.Short(), ErrForeignHistory)
		}
	}
	changed := false
	if who.History.ID != cfg.History.ID {
		descent := cfg.descent(who.History.ID)
		if len(descent) == 0 {
			return resumption{}, fmt.Errorf("stream %s tells history %s, the database lives history %s, child of %s: %w", name,
				who.History.ID.Short(), cfg.History.ID.Short(), cfg.History.Parent.Short(), ErrForeignHistory)
		}
		for _, child := range descent {
			if have > child.Fork {
				return resumption{}, fmt.Errorf("stream %s: %w", name, &OrphanError{Tail: have, Fork: child.Fork})
			}
			who.descend(child)
		}
		changed = true
	}
	from := resumption{previous: have, start: have}
	if have < cfg.Published {
		// The broker has lost what it had acknowledged. The positions stay
		// what they are; the new generation says that sequences mean nothing.
		// Opened again before anything was published in it, the generation
		// begun for this loss goes on.
		from.previous, from.start = cfg.afterLoss(have)
		used := !end.empty && end.header.Generation == who.Generation
		if used || who.Base != from.previous {
			who.renew(from.previous)
			changed = true
		}
		cfg.Logger.Warn("the stream has lost changes that it had acknowledged; going on in a new generation", "stream", name,
			"ends", have, "published", cfg.Published, "slot", cfg.Slot, "previous", from.previous, "generation", who.Generation.Short())
	}
	from.generation = who.Generation
	return from, cfg.update(ctx, link, stream, &who, changed)
}

// afterLoss decides where to go on when the stream ends at have, before what
// it once held. The slot still delivers everything behind its position.
//
//	slot <= have        nothing is lost: capture what follows have again
//	slot <= published   what lies between have and slot is gone; readers at or
//	                    behind the slot's position miss nothing, others do
//	published < slot    between the two there was nothing for us: the slot is
//	                    never confirmed past data that published does not cover
func (cfg *PublisherConfig) afterLoss(have change.LSN) (previous, start change.LSN) {
	switch slot := cfg.Slot; {
	case slot == 0: // unknown; count on nothing
		return cfg.Published, cfg.Published
	case slot <= have:
		return have, have
	case slot <= cfg.Published:
		return slot, slot
	default:
		return cfg.Published, slot
	}
}

// update brings the stream's configuration to what it should be.
func (cfg *PublisherConfig) update(ctx context.Context, link *Link, stream jetstream.Stream, who *identity, changed bool) error {
	have, want := stream.CachedInfo().Config, cfg.streamConfig(who)
	if !changed && have.MaxBytes == want.MaxBytes && have.Replicas == want.Replicas && have.Discard == want.Discard &&
		have.MaxAge == 0 && have.MaxMsgs == want.MaxMsgs && !have.AllowDirect {
		return nil
	}
	updated := have
	updated.MaxBytes, updated.Replicas, updated.Discard = want.MaxBytes, want.Replicas, want.Discard
	updated.MaxAge, updated.MaxMsgs, updated.AllowDirect = 0, want.MaxMsgs, false
	updated.Metadata = maps.Clone(have.Metadata)
	maps.Copy(updated.Metadata, want.Metadata)
	_, err := call(ctx, func(ctx context.Context) (jetstream.Stream, error) { return link.JS.UpdateStream(ctx, updated) })
	if err != nil {
		return fmt.Errorf("update stream %s: %w", have.Name, err)
	}
	return nil
}

// descent lists the histories on the way from an ancestor, which is left out,
// to the one that is lived, oldest first. Zero stands for the oldest ancestor
// that is known. It is empty when there is no such way.
func (cfg *PublisherConfig) descent(from change.ID) []change.History {
	var way []change.History
	for child := cfg.History; !child.Parent.IsZero(); {
		way = append([]change.History{child}, way...)
		if child.Parent == from {
			return way
		}
		parent := slices.IndexFunc(cfg.Ancestors, func(h change.History) bool { return h.ID == child.Parent })
		if parent < 0 || len(way) > len(cfg.Ancestors) {
			break
		}
		child = cfg.Ancestors[parent]
	}
	if !from.IsZero() {
		return nil
	}
	return way
}
