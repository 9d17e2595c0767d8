package transport

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/change"
)

// Every single request to a broker is bounded: some hang. One that brings a
// whole message is repeated with more time, for the sake of slow links.
const (
	callTimeout  = 5 * time.Second
	fetchTimeout = 20 * time.Second
)

func streamName(federation, node string) string    { return "PGFED_" + federation + "_" + node }
func ackStreamName(federation, node string) string { return streamName(federation, node) + "_ACK" }
func changesSubject(federation, node string) string {
	return "pgfed." + federation + "." + node + ".wal"
}
func ackSubject(federation, node, peer string) string {
	return "pgfed." + federation + "." + node + ".ack." + peer
}
func beatSubject(federation, node string) string {
	return "pgfed." + federation + "." + node + ".heartbeat"
}

// identity is what a stream's metadata says of it: whose it is, and which
// lives it has seen.
type identity struct {
	Federation, Node string
	Format           string
	History          change.History // the newest one
	Ancestors        []ancestor     // the histories before it in this stream, oldest first
	Generation       change.ID
	Generations      []change.ID // all that this stream has had, oldest first
	// Base is where a reader must stand at least to read the stream's next
	// message when it has none.
	Base change.LSN
}

// ancestor is a history that was left at its fork.
type ancestor struct {
	ID   change.ID
	Fork change.LSN
}

const (
	keyFederation  = "pgfed-federation"
	keyNode        = "pgfed-node"
	keyFormat      = "pgfed-format"
	keyHistory     = "pgfed-history"
	keySystem      = "pgfed-system"
	keyTimeline    = "pgfed-timeline"
	keyParent      = "pgfed-parent"
	keyFork        = "pgfed-fork"
	keyStart       = "pgfed-start"
	keyAncestors   = "pgfed-ancestors"
	keyGeneration  = "pgfed-generation"
	keyGenerations = "pgfed-generations"
	keyBase        = "pgfed-base"

	// maxLives bounds the lists of past lives in the metadata.
	maxLives = 64
)

func (i *identity) metadata() map[string]string {
	generations := i.Generations[max(0, len(i.Generations)-maxLives):]
	ancestors := i.Ancestors[max(0, len(i.Ancestors)-maxLives):]
	past := make([]string, 0, len(generations))
	for _, id := range generations {
		past = append(past, id.String())
	}
	line := make([]string, 0, len(ancestors))
	for _, a := range ancestors {
		line = append(line, a.ID.String()+"@"+a.Fork.String())
	}
	return map[string]string{
		keyFederation: i.Federation, keyNode: i.Node, keyFormat: i.Format,
		keyHistory: i.History.ID.String(), keySystem: strconv.FormatUint(i.History.System, 10),
		keyTimeline: strconv.FormatUint(uint64(i.History.Timeline), 10), keyParent: i.History.Parent.String(),
		keyFork: i.History.Fork.String(), keyStart: i.History.Start.String(), keyAncestors: strings.Join(line, ","),
		keyGeneration: i.Generation.String(), keyGenerations: strings.Join(past, ","), keyBase: i.Base.String(),
	}
}

// readIdentity reads a stream's metadata. ok is false when it is none of ours.
func readIdentity(metadata map[string]string) (i identity, ok bool) {
	var errs []error
	id := func(s string) change.ID {
		v, err := change.ParseID(s)
		errs = append(errs, err)
		return v
	}
	lsn := func(s string) change.LSN {
		v, err := change.ParseLSN(s)
		errs = append(errs, err)
		return v
	}
	number := func(key string, bits int) uint64 {
		v, err := strconv.ParseUint(metadata[key], 10, bits)
		errs = append(errs, err)
		return v
	}
	i = identity{Federation: metadata[keyFederation], Node: metadata[keyNode], Format: metadata[keyFormat]}
	i.History = change.History{ID: id(metadata[keyHistory]), System: number(keySystem, 64), Timeline: uint32(number(keyTimeline, 32)),
		Parent: id(metadata[keyParent]), Fork: lsn(metadata[keyFork]), Start: lsn(metadata[keyStart])}
	for _, a := range splitList(metadata[keyAncestors]) {
		history, fork, _ := strings.Cut(a, "@")
		i.Ancestors = append(i.Ancestors, ancestor{ID: id(history), Fork: lsn(fork)})
	}
	i.Generation, i.Base = id(metadata[keyGeneration]), lsn(metadata[keyBase])
	for _, g := range splitList(metadata[keyGenerations]) {
		i.Generations = append(i.Generations, id(g))
	}
	return i, errors.Join(errs...) == nil && i.Format != "" && !i.History.ID.IsZero() && !i.Generation.IsZero()
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// knows reports whether the stream has had this generation.
func (i *identity) knows(generation change.ID) bool {
	for _, g := range i.Generations {
		if g == generation {
			return true
		}
	}
	return generation == i.Generation
}

// covers reports whether a position of the given history is also one of the
// stream's newest history: it is of that history, or of one it descends from
// and not beyond the point where the two parted.
func (i *identity) covers(history change.ID, lsn change.LSN) bool {
	if history == i.History.ID {
		return true
	}
	// Every fork on the way from the ancestor to the newest history counts.
	for n, a := range i.Ancestors {
		if a.ID != history {
			continue
		}
		for _, later := range i.Ancestors[n:] {
			if lsn > later.Fork {
				return false
			}
		}
		return true
	}
	return false
}

// descend makes child, whose parent the identity's history is, the newest one.
func (i *identity) descend(child change.History) {
	i.Ancestors = append(i.Ancestors, ancestor{ID: i.History.ID, Fork: child.Fork})
	i.History = child
}

// renew begins a new generation.
func (i *identity) renew(base change.LSN) {
	i.Generation = change.NewID()
	i.Generations = append(i.Generations, i.Generation)
	i.Base = base
}

// call runs one request with its own timeout. When that strikes the error is
// nats.ErrTimeout, so that it is not taken for the caller's own.
func call[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	return callFor(ctx, callTimeout, request)
}

// fetch runs a request that brings a message.
func fetch[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	result, err := call(ctx, request)
	if errors.Is(err, nats.ErrTimeout) && ctx.Err() == nil {
		return callFor(ctx, fetchTimeout, request)
	}
	return result, err
}

func callFor[T any](ctx context.Context, long time.Duration, request func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	result, err := request(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer for %v: %w", long, nats.ErrTimeout)
	}
	return result, err
}

// look returns a stream with what it says of itself, asked just now.
func look(ctx context.Context, link *Link, name string) (jetstream.Stream, error) {
	stream, err := call(ctx, func(ctx context.Context) (jetstream.Stream, error) { return link.JS.Stream(ctx, name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%s: %w", name, ErrStreamMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	return stream, nil
}

// messageFrom fetches the first message at or behind a sequence.
// jetstream.ErrMsgNotFound: there is none.
func messageFrom(ctx context.Context, stream jetstream.Stream, sequence uint64, subject string) (*jetstream.RawStreamMsg, error) {
	return fetch(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return stream.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(subject))
	})
}

// tail is the end of a stream.
type tail struct {
	sequence uint64 // of the last message; 0 for a stream that never had one
	empty    bool   // no message is left
	// generation that the stream's metadata names
	generation change.ID
	header     header // of the last message, unless empty
}

// readTail asks the stream's leader for its last message: streams do not
// allow direct access, so nobody else answers.
func readTail(ctx context.Context, link *Link, federation, node string) (tail, error) {
	stream, err := look(ctx, link, streamName(federation, node))
	if err != nil {
		return tail{}, err
	}
	end, err := tailOf(ctx, stream, changesSubject(federation, node))
	who, _ := readIdentity(stream.CachedInfo().Config.Metadata)
	end.generation = who.Generation
	return end, err
}

func tailOf(ctx context.Context, stream jetstream.Stream, subject string) (tail, error) {
	last, err := fetch(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return tail{sequence: stream.CachedInfo().State.LastSeq, empty: true}, nil
	}
	if err != nil {
		return tail{}, fmt.Errorf("read the last message of stream %s: %w", stream.CachedInfo().Config.Name, err)
	}
	h, err := readHeader(last.Data)
	if err != nil {
		return tail{}, fmt.Errorf("read the last message of stream %s, sequence %d: %w", stream.CachedInfo().Config.Name, last.Sequence, err)
	}
	return tail{sequence: last.Sequence, header: h}, nil
}

// readHeader checks a message's envelope and reads its header.
func readHeader(data []byte) (header, error) {
	body, _, err := unseal(data, nil)
	if err != nil {
		return header{}, err
	}
	r := &parser{b: body}
	h := r.header()
	return h, r.err
}
