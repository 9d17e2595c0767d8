package transport

import (
	"context"
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
	last     change.LSN
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
	s.kept = append(half, next)
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
		return 0
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

// plausible reports whether an acknowledgement's sequence can belong to its
// position in this stream. After the storage was set back sequences are used
// again for other messages; an old acknowledgement must then not trim them.
func (s *samples) plausible(a Ack) bool {
	if a.Sequence > s.newest.sequence+1 {
		return false
	}
	if a.Sequence == 0 {
		return true
	}
	k, found := s.at(a.Sequence - 1)
	return !found || k.last <= a.LSN
}
