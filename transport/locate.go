package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// locate finds the sequence from which the reader must read. Starting too
// early costs time only: what is old is passed over.
func (s *Subscription) locate(ctx context.Context, stream jetstream.Stream) (uint64, error) {
	state := stream.CachedInfo().State
	first, err := s.peek(ctx, stream, max(state.FirstSeq, 1))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return state.LastSeq + 1, s.standAtBase()
	}
	if err != nil {
		return 0, err
	}
	if s.mine.IsZero() {
		// The stream must still begin where the history it began in did.
		if h := first.header; h.Previous != h.History.Start || !s.who.covers(h.History.ID, h.Previous) {
			return 0, &GapError{Need: h.Previous}
		}
		s.mine.History, s.mine.LSN = s.who.History.ID, first.header.Previous
		return first.sequence, nil
	}
	if first.header.Previous > s.mine.LSN {
		return 0, &GapError{Have: s.mine.LSN, Need: first.header.Previous}
	}
	if start, found := s.tryHint(ctx, stream, state.LastSeq); found {
		return start, nil
	}
	return s.search(ctx, stream, first, state.LastSeq)
}

// standAtBase is for a stream without messages: its metadata says where a
// reader must stand.
func (s *Subscription) standAtBase() error {
	base := s.who.Base
	if s.mine.IsZero() {
		if base != s.who.History.Start {
			return &GapError{Need: base}
		}
		s.mine.History, s.mine.LSN = s.who.History.ID, base
		return nil
	}
	if base > s.mine.LSN {
		return &GapError{Have: s.mine.LSN, Need: base}
	}
	return nil
}

// found is a message looked at on the way.
type found struct {
	sequence uint64
	header   header
	first    bool // it does not go on with a large transaction
}

// after returns where to read on, if the reader's position is in this message:
// it is the last that completes something the reader has, or the first that
// does not.
func (f *found) after(s *Subscription) (sequence uint64, fits bool) {
	switch h := &f.header; {
	case h.Last == s.mine.LSN && h.Previous < h.Last:
		return f.sequence + 1, true
	case h.Previous <= s.mine.LSN && s.mine.LSN < h.Last && f.first:
		return f.sequence, true
	}
	return 0, false
}

// peek looks at the first message at or behind a sequence.
func (s *Subscription) peek(ctx context.Context, stream jetstream.Stream, sequence uint64) (found, error) {
	raw, err := messageFrom(ctx, stream, sequence, changesSubject(s.cfg.Federation, s.cfg.Origin))
	if err != nil {
		return found{}, err
	}
	m, err := s.unpacker.parse(raw.Data)
	if err != nil {
		return found{}, fmt.Errorf("sequence %d: %w", raw.Sequence, err)
	}
	return found{sequence: raw.Sequence, header: m.header, first: m.parts[0].First}, nil
}

// tryHint looks whether the position is where it was last seen: in the message
// of that sequence, or between it and the one before.
func (s *Subscription) tryHint(ctx context.Context, stream jetstream.Stream, last uint64) (start uint64, fits bool) {
	hint := s.cfg.Hint
	if hint.Generation != s.who.Generation || hint.Sequence == 0 {
		return 0, false
	}
	for _, sequence := range []uint64{hint.Sequence, hint.Sequence - 1} {
		if sequence == 0 || sequence > last {
			continue
		}
		f, err := s.peek(ctx, stream, sequence)
		if err != nil || f.sequence != sequence {
			continue
		}
		if start, fits := f.after(s); fits {
			return start, true
		}
	}
	return 0, false
}

// search finds the first message that ends at or behind the reader's position.
// Positions do not fall along a stream, so halving finds it. A stream that
// ends before the position is read from its end: it was set back, and will
// tell again what the reader has.
func (s *Subscription) search(ctx context.Context, stream jetstream.Stream, first found, last uint64) (uint64, error) {
	low, high := first.sequence, last+1
	best := found{sequence: last + 1}
	for low < high {
		middle := low + (high-low)/2
		f, err := s.peek(ctx, stream, middle)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			high = middle
		case err != nil:
			return 0, err
		case f.header.Last >= s.mine.LSN:
			high, best = middle, f
		default:
			low = f.sequence + 1
		}
	}
	if start, fits := best.after(s); fits {
		return start, nil
	}
	return best.sequence, nil
}
