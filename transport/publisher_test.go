package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/internal/change"
)

// Two publishers that both believe to be the only one append at the same time,
// with windows full of messages. However their messages interleave, the stream
// tells every transaction once, in order, and at most one of the two goes on.
func TestSecondPublisherIsFencedAndHarmsNothing(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(2)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 2 << 10
	reader := &applied{t: t, w: w}
	for round := range 15 {
		for range 40 {
			w.commit(1+w.random.IntN(3), 300)
		}
		var both []*Publisher
		for range 2 {
			p, err := OpenPublisher(ctx, s.link(), cfg)
			require.NoError(t, err)
			both = append(both, p)
		}
		lives := []*life{w.run(t, both[0]), w.run(t, both[1])}
		fenced := 0
		for _, l := range lives {
			select {
			case err := <-l.ended:
				require.ErrorIs(t, err, ErrFenced)
				fenced++
			case <-waitPublished(l.p, w.position()):
			}
		}
		for _, l := range lives {
			l.stop()
		}
		require.NotZero(t, fenced, "round %d", round)
		l := w.publish(t, s.link(), cfg)
		l.awaitPublished(w.position())
		l.stop()
		reader.readTo(ctx, s.link(), len(w.written))
	}
}

func waitPublished(p *Publisher, lsn change.LSN) <-chan struct{} {
	reached := make(chan struct{})
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for p.Progress().Published < lsn {
			select {
			case <-ticker.C:
			case <-p.out.ended:
				return
			}
		}
		close(reached)
	}()
	return reached
}

func TestBrokerRestartsUnderLoadLoseNothing(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(3)
	cfg := publisherConfig(t)
	cfg.BatchBytes, cfg.ackTimeout = 4<<10, time.Second
	l := w.publish(t, s.link(), cfg)
	a := &applied{t: t, w: w}
	group, groupCtx := errgroup.WithContext(ctx)
	const total = 2000
	link := s.link()
	group.Go(func() error {
		a.readTo(groupCtx, link, total)
		return nil
	})
	written := 0
	for range 8 {
		for range total / 8 {
			w.commit(1+w.random.IntN(5), 100)
			written++
			if written%100 == 50 {
				w.commit(40, 1000) // a large one
				written++
			}
			if written >= total {
				break
			}
		}
		s.restart()
	}
	for written < total {
		w.commit(1, 10)
		written++
	}
	require.NoError(t, group.Wait())
	l.awaitPublished(w.position())
	l.stop()
	require.ErrorIs(t, <-l.ended, context.Canceled, "the publisher should have lived through all of it")
}

// The broker comes back with an older state of its storage. The slot still
// has what is missing, so nobody misses anything, behind or ahead of it.
func TestStorageSetBack(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(4)
	cfg := publisherConfig(t)
	l := w.publish(t, s.link(), cfg)
	commitSome(w, 50)
	l.awaitPublished(w.position())
	behind := &applied{t: t, w: w}
	behind.readTo(ctx, s.link(), 30)
	held := behind.position.LSN // the slot waits for the slowest
	backup := t.TempDir()
	s.stop()
	s.copyTo(backup)
	s.start()
	commitSome(w, 50)
	l.awaitPublished(w.position())
	ahead := &applied{t: t, w: w}
	ahead.readTo(ctx, s.link(), 100)
	published := w.position()

	s.setBack(backup)
	commitSome(w, 1)
	require.ErrorIs(t, <-l.ended, ErrStreamRegressed)
	l.stop()

	cfg.Published, cfg.Slot = published, held
	again := w.publish(t, s.link(), cfg)
	require.Less(t, again.p.Start(), published)
	require.NotEqual(t, l.p.Progress().Generation, again.p.Progress().Generation, "a loss begins a new generation")
	commitSome(w, 20)
	again.awaitPublished(w.position())
	behind.readTo(ctx, s.link(), len(w.written))
	ahead.readTo(ctx, s.link(), len(w.written))
}

func commitSome(w *wal, n int) {
	for range n {
		w.commit(1+w.random.IntN(3), 50)
	}
}

func TestStorageLost(t *testing.T) {
	for name, test := range map[string]struct {
		slotHolds bool
		ok        bool
	}{
		"the slot holds what the slowest lacks": {slotHolds: true, ok: true},
		"the slot was confirmed beyond it":      {slotHolds: false, ok: false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			s := startStore(t)
			w := newWAL(5)
			cfg := publisherConfig(t)
			l := w.publish(t, s.link(), cfg)
			commitSome(w, 60)
			l.awaitPublished(w.position())
			behind, ahead := &applied{t: t, w: w}, &applied{t: t, w: w}
			ahead.readTo(ctx, s.link(), 60)
			behind.count = 30
			behind.position = change.Position{History: testHistory.ID, LSN: w.written[29].end}

			s.setBack("")
			commitSome(w, 1)
			require.ErrorIs(t, <-l.ended, ErrStreamRegressed)
			l.stop()
			cfg.Published, cfg.Slot = w.written[59].end, w.written[59].end+20
			if test.slotHolds {
				cfg.Slot = behind.position.LSN
			}
			again := w.publish(t, s.link(), cfg)
			again.awaitPublished(w.position())
			ahead.readTo(ctx, s.link(), len(w.written))
			if test.ok {
				behind.readTo(ctx, s.link(), len(w.written))
				return
			}
			var gap *GapError
			require.ErrorAs(t, behind.session(ctx, s.link(), len(w.written)), &gap)
			require.Equal(t, GapError{Have: behind.position.LSN, Need: cfg.Published}, *gap)
		})
	}
}

// An empty stream in a new generation says by its base who may go on.
// A loss begins one new generation, however often the publisher is opened
// before it publishes: a stream remembers only so many.
func TestFullStreamWaitsForTrimming(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(7)
	cfg := publisherConfig(t)
	cfg.MaxBytes, cfg.BatchBytes = 256<<10, 8<<10
	l := w.publish(t, s.link(), cfg)
	for range 100 {
		w.commit(2, 4000)
	}
	require.Eventually(t, func() bool { return l.p.Progress().Full }, patience, time.Millisecond)
	a := &applied{t: t, w: w}
	for a.count < len(w.written) {
		published := l.p.Progress().Published
		n := 0
		for n < len(w.written) && w.written[n].end <= published {
			n++
		}
		a.readTo(ctx, s.link(), n)
		require.NoError(t, l.p.Trim(ctx, a.lowWater, 0, 0))
	}
	require.Eventually(t, func() bool { return !l.p.Progress().Full && l.p.Progress().Published == w.position() }, patience, time.Millisecond)
	messages, size, err := l.p.StreamInfo(ctx)
	require.NoError(t, err)
	require.NotZero(t, messages, "the last message always stays")
	require.Less(t, size, uint64(256<<10))
}

// Nothing is ever larger than the broker takes, whatever is committed.
func TestNothingExceedsMaxPayload(t *testing.T) {
	ctx := testContext(t)
	s := newStore(t)
	s.maxPayload = 64 << 10
	s.start()
	w := newWAL(8)
	wide := &change.Table{Schema: "public", Name: "wide", Identity: 'd'}
	for range 900 {
		wide.Columns = append(wide.Columns, change.Column{Name: w.filler(45), TypeOID: 25, TypeMod: -1})
	}
	var many []*change.Table
	for range 200 {
		many = append(many, &change.Table{Schema: "s", Name: w.filler(30), Identity: 'd', Columns: wide.Columns[:20]})
	}
	for _, size := range []int{1, 100, 58 << 10, 59 << 10, 60 << 10, 61 << 10, 64 << 10, 65 << 10, 200 << 10} {
		w.commit(3, size)
	}
	w.commit(1, 1)
	w.written[len(w.written)-1].changes = []change.Change{
		{Op: change.Insert, Table: wide, New: change.AppendTuple(nil, text("x"))},
		{Op: change.Truncate, Truncated: many, Ordinal: 1},
		{Op: change.Insert, Table: wide, Ordinal: 2, New: change.AppendTuple(nil, text(w.filler(70<<10)))},
	}
	for range 500 {
		w.commit(w.random.IntN(20)+1, w.random.IntN(2000))
	}
	l := w.publish(t, s.link(), publisherConfig(t))
	l.awaitPublished(w.position())
	a := &applied{t: t, w: w}
	a.readTo(ctx, s.link(), len(w.written))

	huge := &change.Table{Schema: "public", Name: "huge", Identity: 'd', Columns: append(wide.Columns, wide.Columns...)}
	l.stop()
	p, err := OpenPublisher(ctx, s.link(), publisherConfig(t))
	require.NoError(t, err)
	require.NoError(t, p.Begin(ctx, change.Begin{Final: w.position() + 100}))
	err = p.Change(ctx, &change.Change{Op: change.Insert, Table: huge})
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "public.huge")
}

// The publisher dies in the middle of a large transaction, twice, and each
// next one tells it from the start.
func TestLargeTransactionIsToldAgain(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(9)
	commitSome(w, 5)
	large := w.commit(200, 1000)
	commitSome(w, 5)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 4 << 10
	a := &applied{t: t, w: w}
	var sequences []uint64
	for _, upTo := range []int{20, 90} {
		p, err := OpenPublisher(ctx, s.link(), cfg)
		require.NoError(t, err)
		require.LessOrEqual(t, p.Start(), w.written[4].end)
		runCtx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(runCtx) }()
		for i := range 5 {
			require.NoError(t, hand(ctx, p, &w.written[i]))
		}
		require.NoError(t, p.Begin(ctx, large.Begin))
		for i := range upTo {
			require.NoError(t, p.Change(ctx, &large.changes[i]))
		}
		require.Eventually(t, p.out.empty, patience, time.Millisecond)
		sequences = append(sequences, p.Progress().Sequence)
		require.Equal(t, w.written[4].end, p.Progress().Published)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		a.readTo(ctx, s.link(), 5)
	}
	require.Greater(t, sequences[1], sequences[0])
	// Somebody has read the beginning of the second attempt.
	sub := subscriptionConfig(t)
	sub.From, sub.Hint = a.position, a.hint
	reading, err := Subscribe(ctx, s.link(), sub)
	require.NoError(t, err)
	defer reading.Close()
	firsts := 0
	for {
		b, err := reading.Next(ctx)
		require.NoError(t, err)
		if b.Parts[0].First {
			firsts++
		}
		require.Equal(t, b.Previous, b.Last)
		a.take(b)
		require.LessOrEqual(t, b.LowWater, b.Sequence)
		if b.Sequence == sequences[1] {
			break
		}
	}
	require.Equal(t, 2, firsts)
	l := w.publish(t, s.link(), cfg)
	l.awaitPublished(w.position())
	for a.count < len(w.written) {
		b, err := reading.Next(ctx)
		require.NoError(t, err)
		a.take(b)
	}
}

// Capture begins again while the publisher lives: what it has packed is left
// out, and what it had begun begins again under another name.
func TestCaptureBeginsAgain(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(10)
	commitSome(w, 4)
	large := w.commit(50, 1000)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 4 << 10
	p, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { _ = p.Run(runCtx) }()
	for range 2 {
		for i := range 4 {
			require.NoError(t, hand(ctx, p, &w.written[i]))
		}
		require.NoError(t, p.Begin(ctx, large.Begin))
		for i := range 30 {
			require.NoError(t, p.Change(ctx, &large.changes[i]))
		}
	}
	require.NoError(t, hand(ctx, p, &w.written[4]))
	a := &applied{t: t, w: w}
	a.readTo(ctx, s.link(), 5)

	require.ErrorContains(t, p.Change(ctx, &large.changes[0]), "no transaction is open")
	require.ErrorContains(t, p.Commit(ctx, large.end), "no transaction is open")
	require.NoError(t, p.Begin(ctx, change.Begin{XID: 9, Final: large.end + 10}))
	require.NoError(t, p.Change(ctx, &large.changes[0]))
	require.ErrorContains(t, p.Commit(ctx, large.end), "it ends at")
}

func TestIdleMovesCapturedOnly(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(11)
	p, err := OpenPublisher(ctx, s.link(), publisherConfig(t))
	require.NoError(t, err)
	require.Equal(t, testHistory.Start, p.Start())
	require.NoError(t, p.Idle(ctx, 5000))
	require.Equal(t, change.LSN(5000), p.Progress().Captured)
	require.Equal(t, testHistory.Start, p.Progress().Published)

	w.end = 6000
	w.commit(1, 10)
	require.NoError(t, hand(ctx, p, &w.written[0]))
	require.NoError(t, p.Idle(ctx, 9000))
	require.NoError(t, p.Flush(ctx))
	require.Equal(t, change.LSN(5000), p.Progress().Captured, "something is outstanding")
	runCtx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(runCtx) }()
	require.Eventually(t, func() bool { return p.Progress().Captured == 9000 }, patience, time.Millisecond)
	progress := p.Progress()
	require.Equal(t, w.written[0].end, progress.Published)
	require.Equal(t, w.written[0].Time, progress.CommitTime)
	require.Equal(t, uint64(1), progress.Sequence)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.ErrorIs(t, p.Begin(ctx, w.written[0].Begin), context.Canceled, "nobody publishes any more")
	require.ErrorIs(t, p.Idle(ctx, 9999), context.Canceled)
}

// Without a broker everything stops at the bound of the queue, and whoever
// waits can be canceled.
func TestQueueIsBounded(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	cfg := publisherConfig(t)
	cfg.QueueBytes = 100 << 10
	p, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	s.stop()
	runCtx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(runCtx) }()
	w := newWAL(12)
	blocked := make(chan error, 1)
	go func() {
		for {
			tx := w.commit(1, 60<<10)
			if err := errors.Join(hand(runCtx, p, &tx), p.Flush(runCtx)); err != nil {
				blocked <- err
				return
			}
		}
	}()
	require.Eventually(t, func() bool {
		p.out.mu.Lock()
		defer p.out.mu.Unlock()
		return p.out.bytes > cfg.QueueBytes
	}, patience, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-blocked, context.Canceled)
	require.LessOrEqual(t, len(w.written), 16)
	require.ErrorIs(t, <-ended, context.Canceled)
}

// A promotion begins a new history in the same stream, unless the old one went
// on beyond the fork.
// One message of another publisher takes the place of our first, while our
// window is on its way: the sequence that our second expects is then the right
// one, but it must not be taken.
func TestWindowIsRefusedWholeBehindSomebodyElse(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(16)
	commitSome(w, 5)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 1
	late, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	for i := range 5 {
		require.NoError(t, hand(ctx, late, &w.written[i]))
	}
	cfg.BatchBytes = 0
	other, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	require.NoError(t, hand(ctx, other, &w.written[0]))
	require.NoError(t, other.Flush(ctx))
	require.Empty(t, (&courier{Publisher: other, inbox: "nobody"}).send())
	require.NoError(t, other.link.Conn.Flush())
	require.Eventually(t, func() bool { return s.stream(ctx).CachedInfo().State.LastSeq == 1 }, patience, time.Millisecond)

	require.ErrorIs(t, late.Run(ctx), ErrFenced)
	require.Equal(t, uint64(1), s.stream(ctx).CachedInfo().State.LastSeq, "the window went through behind somebody else's message")
}
