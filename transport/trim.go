package transport

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/change"
)

// sample remembers when a message was stored, and how much had been stored by
// then.
type sample struct {
	at       time.Time
	sequence uint64
	bytes    uint64
}

const (
	sampleEvery = time.Second
	sampleBytes = 4 << 20
	maxSamples  = 4096
)

// samples is a sparse record of a publisher's life, oldest first. Of what was
// stored before it began nothing is known but that it is older than the first.
type samples struct {
	kept   []sample
	newest sample // with the bytes of everything stored
}

// stored records a message. Most replace the one before them.
func (s *samples) stored(next sample, bytes int) {
	next.bytes = s.newest.bytes + uint64(bytes)
	s.newest = next
	previous := s.kept[len(s.kept)-1]
	if next.at.Sub(previous.at) >= sampleEvery || next.bytes-previous.bytes >= sampleBytes {
		s.add(next)
	}
}

func (s *samples) add(next sample) {
	s.newest = next
	s.kept = append(s.kept, next)
	if len(s.kept) <= maxSamples {
		return
	}
	// Every second one goes: a long life is remembered less sharply.
	half := s.kept[:0]
	for i := 0; i < maxSamples; i += 2 {
		half = append(half, s.kept[i])
	}
	half = append(half, next)
	s.kept = half
}

// at returns the newest sample at or before a sequence.
func (s *samples) at(sequence uint64) (sample, bool) {
	n := sort.Search(len(s.kept), func(i int) bool { return s.kept[i].sequence > sequence })
	if n == 0 {
		return sample{}, false
	}
	return s.kept[n-1], true
}

// removable returns up to which sequence messages below lowWater may go: those
// stored before the given moment, and those with more than keepBytes between
// them and lowWater.
func (s *samples) removable(lowWater uint64, keepBytes int64, before time.Time) uint64 {
	reference, found := s.at(lowWater - 1)
	if !found {
		// All of it is from before this life and counts as stored when it
		// began; how much it is, is not known.
		if len(s.kept) == 0 || s.kept[0].at.After(before) {
			return 0
		}
		return lowWater - 1
	}
	var upTo uint64
	for _, k := range s.kept {
		if k.sequence >= lowWater {
			break
		}
		if !k.at.After(before) || int64(reference.bytes-k.bytes) > max(keepBytes, 0) {
			upTo = k.sequence
		}
	}
	return upTo
}

// Trim removes what no reader needs: messages before lowWater that are older
// than keepFor, or that have more than keepBytes between them and lowWater. So
// at most that much is kept for whoever is set back, and nothing at all when
// both are 0. The last message always stays: it says where publishing is.
//
// How old messages are is known for this publisher's life only; those before it
// count as stored when it began.
func (p *Publisher) Trim(ctx context.Context, lowWater uint64, keepBytes int64, keepFor time.Duration) error {
	p.mu.Lock()
	last, trimmed := p.progress.Sequence, p.trimmed
	lowWater = min(lowWater, last)
	if lowWater == 0 {
		p.mu.Unlock()
		return nil
	}
	upTo := lowWater - 1
	if keepBytes > 0 || keepFor > 0 {
		upTo = p.samples.removable(lowWater, keepBytes, time.Now().Add(-keepFor))
	}
	p.mu.Unlock()
	if upTo == 0 || upTo < trimmed {
		return nil
	}
	stream, err := look(ctx, p.link, p.name)
	if err != nil {
		return err
	}
	// A storage that was set back ends earlier than we know yet; purging beyond
	// its end would remove its last message too.
	upTo = min(upTo, max(stream.CachedInfo().State.LastSeq, 1)-1)
	if err := p.recognize(ctx, stream, upTo); err != nil {
		return fmt.Errorf("trim stream %s: %w", p.name, err)
	}
	_, err = call(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1))
	})
	if err != nil {
		return fmt.Errorf("trim stream %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.trimmed = upTo + 1
	p.mu.Unlock()
	return nil
}

// recognize checks that a sequence still stands for the message that we know:
// the one behind it names what it completed. A storage that was set back and
// written by somebody else since shows here, should it not have shown before.
func (p *Publisher) recognize(ctx context.Context, stream jetstream.Stream, sequence uint64) error {
	p.mu.Lock()
	known, found := p.ledger.at(sequence)
	p.mu.Unlock()
	if !found {
		return nil
	}
	raw, err := messageFrom(ctx, stream, sequence+1, p.subject)
	if err != nil {
		return err
	}
	h, err := readHeader(raw.Data)
	if err != nil {
		return err
	}
	if raw.Sequence == sequence+1 && h.Previous != known.last {
		return fmt.Errorf("sequence %d follows %v, not %v: %w", raw.Sequence, h.Previous, known.last, ErrStreamRegressed)
	}
	return nil
}

// ledger knows what each message of this publisher completed, as far back as
// it remembers.
type ledger struct {
	first   uint64 // sequence of entries[0]
	entries []entry
}

type entry struct {
	last change.LSN
	open bool // a large transaction is unfinished behind it
}

const maxLedger = 1 << 16

func (l *ledger) add(e entry) {
	if len(l.entries) >= maxLedger {
		half := len(l.entries) / 2
		l.first += uint64(half)
		l.entries = append(l.entries[:0], l.entries[half:]...)
	}
	l.entries = append(l.entries, e)
}

func (l *ledger) at(sequence uint64) (e entry, found bool) {
	if sequence < l.first || sequence >= l.first+uint64(len(l.entries)) {
		return entry{}, false
	}
	return l.entries[sequence-l.first], true
}

// verified reports whether a reader that has everything up to the
// acknowledgement's position really needs nothing before its sequence. After
// the storage was set back the same sequences stand for other messages, and an
// acknowledgement from before must not trim those.
func (p *Publisher) verified(ctx context.Context, stream jetstream.Stream, ack Ack) (bool, error) {
	if ack.Sequence <= 1 {
		return true, nil
	}
	p.mu.Lock()
	before, known := p.ledger.at(ack.Sequence - 1)
	end, checked := p.progress.Sequence, p.checked[ack.Peer]
	p.mu.Unlock()
	switch {
	case known:
		return before.last <= ack.LSN && !before.open, nil
	case ack.Sequence > end:
		return false, nil
	case checked.Sequence == ack.Sequence && checked.LSN <= ack.LSN && checked.Generation == ack.Generation:
		return true, nil
	}
	// It is from before this publisher's life: look at the message itself.
	raw, err := messageFrom(ctx, stream, ack.Sequence, p.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check the acknowledgement of %s: %w", ack.Peer, err)
	}
	m, err := new(unpacker).parse(raw.Data)
	if err != nil {
		return false, fmt.Errorf("check the acknowledgement of %s: sequence %d: %w", ack.Peer, raw.Sequence, err)
	}
	if raw.Sequence == ack.Sequence && (m.Previous > ack.LSN || !m.parts[0].First) {
		return false, nil
	}
	p.mu.Lock()
	p.checked[ack.Peer] = ack
	p.mu.Unlock()
	return true, nil
}
