package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgfed/pgfed/internal/change"
)

const defaultIdleTimeout = 5 * time.Second

// Hint is where in the stream a reader's position was last seen. It is
// verified before it is believed.
type Hint struct {
	Generation change.ID
	Sequence   uint64
}

// SubscriptionConfig says whose changes to read, and from where.
type SubscriptionConfig struct {
	Federation, Origin, Peer string
	From                     change.Position // zero: from the beginning of the origin's history
	Hint                     Hint
	// IdleTimeout is how long nothing may arrive although the origin said that
	// there is more; 0: 5 s. See Told.
	IdleTimeout time.Duration
	Logger      *slog.Logger // nil: silent
	Metrics     *Metrics     // nil: not counted
}

// Subscription reads an origin's stream in order, from a position. One
// goroutine calls Next and Close; Told may be called from any.
type Subscription struct {
	link *Link
	cfg  SubscriptionConfig
	name string // of the stream
	who  identity
	from change.Position

	mine     change.Position // everything up to it has been handed out
	session  *session        // nil between sessions
	pending  string          // why there is none
	closed   bool
	unpacker unpacker
	batch    change.Batch

	// suspect is the message for whose sake the place was last sought anew. To
	// meet it again means that it was not the session that was wrong.
	suspect   uint64
	fruitless int // sessions since something was handed out

	mu   sync.Mutex
	told change.LSN // the origin says it has published up to here
}

// maxFruitless bounds the sessions opened without anything to show for them
// before the owner is asked to pause.
const maxFruitless = 4

// Subscribe finds the position in the origin's stream. Errors wrap
// ErrStreamMissing, ErrSessionLost or ctx's, which pass; or ErrGap,
// ErrForeignHistory, ErrFormat, ErrCorrupt or ErrNotMember, which last.
func Subscribe(ctx context.Context, link *Link, cfg SubscriptionConfig) (*Subscription, error) {
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = defaultIdleTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Subscription{link: link, cfg: cfg, name: streamName(cfg.Federation, cfg.Origin), mine: cfg.From}
	if err := s.open(ctx, reasonSubscribe); err != nil {
		return nil, err
	}
	s.from = s.mine
	return s, nil
}

// From is where the reader stood when it subscribed: the position given, in
// the stream's newest history; or the beginning of the history when none was
// given.
func (s *Subscription) From() change.Position { return s.from }

// History is the newest history of the stream. It changes only inside Next.
func (s *Subscription) History() change.History { return s.who.History }

// Told takes note that the origin says it has published up to here, for
// instance in a heartbeat. When nothing arrives for IdleTimeout although there
// must be more, Next gives up with ErrSessionLost.
func (s *Subscription) Told(published change.LSN) {
	s.mu.Lock()
	s.told = published
	s.mu.Unlock()
}

// Close ends the subscription. It may be called again.
func (s *Subscription) Close() {
	s.closed = true
	s.hangUp()
}

func (s *Subscription) hangUp() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}

// Next waits for the next batch. The batch is valid until the following Next.
// Batches come in order and without gaps; what the reader had before is left
// out, except where it shares a message with something new. Pieces of a large
// transaction may come again from the first.
//
// After an error the subscription is of no further use, unless the error is
// ctx's.
func (s *Subscription) Next(ctx context.Context) (*change.Batch, error) {
	entered := time.Now()
	watch := func() error { return s.watch(entered) }
	for {
		if s.closed {
			return nil, fmt.Errorf("read stream %s: %w: closed", s.name, ErrSessionLost)
		}
		if s.session == nil {
			if err := s.open(ctx, s.pending); err != nil {
				return nil, err
			}
		}
		m, err := s.session.next(ctx, watch)
		if err != nil {
			return nil, err
		}
		batch, again, err := s.accept(m)
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", s.name, err)
		}
		if batch != nil {
			s.fruitless, s.suspect = 0, 0
			return batch, nil
		}
		entered = time.Now()
		if again == "" {
			continue
		}
		if s.fruitless++; s.fruitless > maxFruitless {
			return nil, fmt.Errorf("read stream %s: %w: no way on behind %v (%s)", s.name, ErrSessionLost, s.mine, again)
		}
		s.hangUp()
		s.pending = again
	}
}

// watch notices that nothing arrives although there should be something.
func (s *Subscription) watch(entered time.Time) error {
	s.mu.Lock()
	told := s.told
	s.mu.Unlock()
	if silent := time.Since(entered); told > s.mine.LSN && silent > s.cfg.IdleTimeout {
		return fmt.Errorf("%w: the origin has published up to %v, nothing has come behind %v for %v", ErrSessionLost, told, s.mine.LSN, silent.Round(time.Second))
	}
	return nil
}

// open begins a session behind the reader's position.
func (s *Subscription) open(ctx context.Context, reason string) error {
	s.unpacker.large.close()
	s.cfg.Metrics.session(s.cfg.Origin, reason)
	session := newSession(s.link, s.name)
	start, err := s.begin(ctx, session)
	if err != nil {
		session.close()
		return fmt.Errorf("subscribe to stream %s: %w", s.name, passing(ctx, err))
	}
	s.session = session
	s.cfg.Logger.Debug("reading", "stream", s.name, "generation", s.who.Generation.Short(), "position", s.mine, "sequence", start, "reason", reason)
	return nil
}

// passing makes an error of the broker or the connection an ErrSessionLost.
// Errors of ours, and ctx's, are left as they are.
func passing(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, ours := range []error{ErrGap, ErrForeignHistory, ErrForeignGeneration, ErrFormat, ErrCorrupt, ErrNotMember, ErrStreamMissing, ErrSessionLost} {
		if errors.Is(err, ours) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrSessionLost, err)
}

func (s *Subscription) begin(ctx context.Context, session *session) (start uint64, err error) {
	stream, err := s.identify(ctx)
	if err != nil {
		return 0, err
	}
	if start, err = s.locate(ctx, stream); err != nil {
		return 0, err
	}
	if err := session.begin(ctx, start); err != nil {
		return 0, err
	}
	// The stream may have been replaced since we looked: a consumer that waits
	// beyond the end of a new one would silently leave out what comes before.
	now, err := look(ctx, s.link, s.name)
	if err != nil {
		return 0, err
	}
	before, after := stream.CachedInfo(), now.CachedInfo()
	if !before.Created.Equal(after.Created) || after.State.LastSeq+1 < start {
		return 0, fmt.Errorf("%w: the stream was replaced", ErrSessionLost)
	}
	return start, nil
}

// identify looks at the stream, checks whose it is, and translates the
// reader's position into its newest history.
func (s *Subscription) identify(ctx context.Context) (jetstream.Stream, error) {
	stream, err := look(ctx, s.link, s.name)
	if err != nil {
		return nil, err
	}
	who, ours := readIdentity(stream.CachedInfo().Config.Metadata)
	switch {
	case who.Format != "" && who.Format != formatInWriting:
		return nil, fmt.Errorf("%w: the stream has format %s, this version reads %s", ErrFormat, who.Format, formatInWriting)
	case !ours:
		return nil, fmt.Errorf("%w: the stream was not made by pgfed", ErrNotMember)
	case who.Federation != s.cfg.Federation || who.Node != s.cfg.Origin:
		return nil, fmt.Errorf("%w: the stream is of node %s in federation %s", ErrNotMember, who.Node, who.Federation)
	}
	s.who = who
	if s.mine.IsZero() {
		return stream, nil
	}
	if !who.covers(s.mine.History, s.mine.LSN) {
		return nil, fmt.Errorf("%w: the stream tells history %s, which does not contain %v", ErrForeignHistory, who.History.ID.Short(), s.mine)
	}
	s.mine.History = who.History.ID
	return stream, nil
}

// accept judges a message. It returns a batch; or a reason why the place must
// be sought anew; or neither when the message holds nothing new.
func (s *Subscription) accept(raw *nats.Msg) (batch *change.Batch, again string, err error) {
	sequence, err := sequenceOf(raw)
	if err != nil {
		return nil, "", err
	}
	c := s.session
	if c.last == 0 && sequence < c.start || c.last != 0 && sequence != c.last+1 {
		return nil, reasonSequence, nil
	}
	c.last = sequence
	m, err := s.unpacker.parse(raw.Data)
	if err != nil {
		return nil, "", fmt.Errorf("sequence %d: %w", sequence, err)
	}
	if again, err := s.judge(&m, sequence); again != "" || err != nil {
		return nil, again, err
	}
	old := s.old(&m)
	s.cfg.Metrics.received(s.cfg.Origin, len(raw.Data), old)
	if old {
		return nil, "", nil
	}
	switch err := s.unpacker.batch(&m, &s.batch); {
	case errors.Is(err, errHole):
		// Its beginning is no longer, or was never, there.
		again, err = s.doubt(sequence, reasonPieces, &GapError{Have: s.mine.LSN, Need: m.parts[0].Final})
		return nil, again, err
	case err != nil:
		return nil, "", fmt.Errorf("sequence %d: %w", sequence, err)
	}
	s.batch.History = s.who.History
	s.batch.Sequence, s.batch.LowWater = sequence, sequence+1-m.Back
	s.mine.LSN = max(s.mine.LSN, m.Last)
	return &s.batch, "", nil
}

// judge checks whose message it is and that it follows what the reader has.
func (s *Subscription) judge(m *wireMessage, sequence uint64) (again string, err error) {
	switch {
	case m.Federation != s.cfg.Federation || m.Origin != s.cfg.Origin:
		return "", fmt.Errorf("sequence %d: %w: it is of node %s in federation %s", sequence, ErrNotMember, m.Origin, m.Federation)
	case m.Back > sequence:
		return "", fmt.Errorf("sequence %d: %w", sequence, corrupt("an unfinished transaction that begins before the stream"))
	case !s.who.knows(m.Generation):
		return s.doubt(sequence, reasonLife, fmt.Errorf("sequence %d: %w: %s", sequence, ErrForeignGeneration, m.Generation))
	case !s.who.covers(m.History.ID, m.Last):
		return s.doubt(sequence, reasonLife, fmt.Errorf("sequence %d: %w: %s up to %v, the stream tells %s", sequence, ErrForeignHistory,
			m.History.ID.Short(), m.Last, s.who.History.ID.Short()))
	case m.Previous > s.mine.LSN:
		return s.doubt(sequence, reasonSequence, &GapError{Have: s.mine.LSN, Need: m.Previous})
	}
	return "", nil
}

// doubt gives a message that cannot be right a second chance: the place is
// sought anew, by position, and the stream's metadata is read again. err is
// returned when the same message comes up again.
func (s *Subscription) doubt(sequence uint64, reason string, err error) (again string, _ error) {
	if s.suspect == sequence {
		return "", err
	}
	s.suspect = sequence
	return reason, nil
}

// old reports whether the reader has everything in the message. A piece that
// does not complete its transaction says where that one's commit record
// begins; when that lies before the reader's position, the transaction does.
func (s *Subscription) old(m *wireMessage) bool {
	if m.Last > m.Previous {
		return m.Last <= s.mine.LSN
	}
	return m.parts[0].Final < s.mine.LSN
}
