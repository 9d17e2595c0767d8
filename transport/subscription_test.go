package transport

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

// published is a broker with a stream of small and large transactions, with
// nobody publishing any more.
func published(t *testing.T, seed uint64, transactions int) (*store, *wal) {
	t.Helper()
	s := startStore(t)
	w := newWAL(seed)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 1 << 10
	for i := range transactions {
		if i%10 == 7 {
			w.commit(10, 400)
		} else {
			w.commit(1+w.random.IntN(3), 30)
		}
	}
	l := w.publish(t, s.link(), cfg)
	l.awaitPublished(w.position())
	l.stop()
	return s, w
}

func (w *wal) positionOf(n int) change.Position {
	if n == 0 {
		return change.Position{History: testHistory.ID, LSN: testHistory.Start}
	}
	return change.Position{History: testHistory.ID, LSN: w.written[n-1].end}
}

func subscribe(t *testing.T, link *Link, from change.Position, hint Hint) *Subscription {
	t.Helper()
	cfg := subscriptionConfig(t)
	cfg.From, cfg.Hint = from, hint
	s, err := Subscribe(testContext(t), link, cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestEveryPositionIsFound(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 20, 60)
	link := s.link()
	last := s.stream(ctx).CachedInfo().State.LastSeq
	all := &applied{t: t, w: w}
	hints := map[int]Hint{}
	reading := subscribe(t, link, change.Position{}, Hint{})
	require.Equal(t, w.positionOf(0), reading.From())
	for all.count < len(w.written) {
		b, err := reading.Next(ctx)
		require.NoError(t, err)
		all.take(b)
		hints[all.count] = all.hint
	}
	for n := range w.written {
		hint := hints[n]
		wrong := Hint{Generation: all.hint.Generation, Sequence: uint64(w.random.IntN(int(last)+20)) + 1}
		foreign := Hint{Generation: change.ID{1}, Sequence: hint.Sequence}
		for _, h := range []Hint{{}, hint, wrong, foreign} {
			sub := subscribe(t, link, w.positionOf(n), h)
			a := &applied{t: t, w: w, count: n, position: w.positionOf(n)}
			for a.count == n {
				b, err := sub.Next(ctx)
				require.NoError(t, err)
				require.LessOrEqual(t, b.Previous, a.position.LSN)
				a.take(b)
			}
			require.GreaterOrEqual(t, a.count, n+1)
			sub.Close()
		}
	}
}

// A lost message, as a cut connection or a slow client leaves it, is found
// again by position.
func TestLostMessageIsFoundAgain(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 21, 40)
	sub := subscribe(t, s.link(), change.Position{}, Hint{})
	a := &applied{t: t, w: w}
	for round := 0; a.count < len(w.written); round++ {
		b, err := sub.Next(ctx)
		require.NoError(t, err)
		a.take(b)
		if round%7 == 3 {
			select {
			case <-sub.session.incoming: // stolen
			default:
			}
		}
	}
}

func TestGapStopsTheReader(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 22, 50)
	link := s.link()
	stuck := &applied{t: t, w: w}
	reading := subscribe(t, link, change.Position{}, Hint{})
	b, err := reading.Next(ctx)
	require.NoError(t, err)
	stuck.take(b)

	p, err := OpenPublisher(ctx, link, publisherConfig(t))
	require.NoError(t, err)
	last := p.Progress().Sequence
	require.NoError(t, p.Trim(ctx, last-3, 0, 0))
	first, err := messageFrom(ctx, s.stream(ctx), 1, changesSubject("fed", "east"))
	require.NoError(t, err)
	h, err := readHeader(first.Data)
	require.NoError(t, err)

	var gap *GapError
	cfg := subscriptionConfig(t)
	cfg.From, cfg.Hint = stuck.position, stuck.hint
	_, err = Subscribe(ctx, link, cfg)
	require.ErrorAs(t, err, &gap)
	require.ErrorIs(t, err, ErrGap)
	require.Equal(t, GapError{Have: stuck.position.LSN, Need: h.Previous}, *gap)
	cfg.From = change.Position{}
	_, err = Subscribe(ctx, link, cfg)
	require.ErrorAs(t, err, &gap, "the beginning is gone")
	require.Equal(t, GapError{Need: h.Previous}, *gap)

	// A session that is under way when the messages before it vanish.
	reading.Close()
	reading.closed = false
	reading.session = newSession(link, reading.name)
	require.NoError(t, reading.session.begin(ctx, stuck.hint.Sequence+1))
	_, err = reading.Next(ctx)
	require.ErrorIs(t, err, ErrGap)
}

// put appends a message to the stream by hand.
func put(t *testing.T, link *Link, data []byte) {
	t.Helper()
	_, err := link.JS.Publish(testContext(t), changesSubject("fed", "east"), data)
	require.NoError(t, err)
}

func TestWhatDoesNotBelongInTheStreamIsRefused(t *testing.T) {
	records := appendBytes([]byte{byte(change.Insert), 0}, change.AppendTuple(nil, text("1")))
	valid := func(change func(h *header, p *part)) []byte {
		h := header{Federation: "fed", Origin: "east", History: testHistory, Writer: [16]byte{5}, Number: 1}
		p := part{First: true, Last: true, HasVector: true, Tables: []uint32{0}, Size: len(records)}
		if change != nil {
			change(&h, &p)
		}
		body := appendHeader(make([]byte, bodyAt), &h)
		body = appendTable(append(body, 1), testTable)
		body = appendPart(append(body, 1), &p)
		return stamp(append(body, records...), uncompressed)
	}
	for name, test := range map[string]struct {
		make func(good []byte, fill func(func(h *header, p *part)) []byte) []byte
		want error
		says string
	}{
		"cut": {func(good []byte, _ func(func(*header, *part)) []byte) []byte { return good[:len(good)-3] }, ErrCorrupt, "checksum"},
		"flipped": {func(good []byte, _ func(func(*header, *part)) []byte) []byte {
			good[len(good)-3] ^= 4
			return good
		}, ErrCorrupt, "checksum"},
		"empty":   {func([]byte, func(func(*header, *part)) []byte) []byte { return nil }, ErrCorrupt, "too short"},
		"garbage": {func([]byte, func(func(*header, *part)) []byte) []byte { return []byte("not a message of ours at all") }, ErrCorrupt, "begin"},
		"format": {func(good []byte, _ func(func(*header, *part)) []byte) []byte {
			good[len(magic)] = 2
			return good
		}, ErrFormat, "has format 2, this version reads format 1"},
		"federation": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(h *header, _ *part) { h.Federation = "other" })
		}, ErrNotMember, "federation other"},
		"origin": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(h *header, _ *part) { h.Origin = "west" })
		}, ErrNotMember, "node west"},
		"history": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(h *header, _ *part) { h.History.ID[0] = 99 })
		}, ErrForeignHistory, "63020300"},
		"generation": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(h *header, _ *part) { h.Generation[0] ^= 99 })
		}, ErrForeignGeneration, "sequence"},
		"gap": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(h *header, p *part) { h.Previous += 100; h.Last += 200; p.Final += 200; p.Commit += 200 })
		}, ErrGap, "goes on from"},
		"piece without a beginning": {func(_ []byte, fill func(func(*header, *part)) []byte) []byte {
			return fill(func(_ *header, p *part) { p.First, p.HasVector, p.Index = false, false, 3 })
		}, ErrGap, "goes on from"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			s, w := published(t, 23, 12)
			link := s.link()
			generation := readGeneration(t, s)
			fill := func(alter func(h *header, p *part)) []byte {
				return valid(func(h *header, p *part) {
					h.Generation, h.Previous, h.Last = generation, w.position(), w.position()+50
					p.Final, p.Commit = h.Previous+2, h.Last
					if alter != nil {
						alter(h, p)
					}
				})
			}
			put(t, link, test.make(fill(nil), fill))
			a := &applied{t: t, w: w}
			sub := subscribe(t, link, change.Position{}, Hint{})
			var err error
			for err == nil {
				var b *change.Batch
				if b, err = sub.Next(ctx); err == nil {
					a.take(b)
				}
			}
			require.Equal(t, len(w.written), a.count, "everything before it arrives")
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.says)
			cfg := subscriptionConfig(t)
			cfg.From = a.position
			if again, err := Subscribe(ctx, link, cfg); err == nil {
				_, err = again.Next(ctx)
				require.ErrorIs(t, err, test.want, "it does not go away")
				again.Close()
			} else {
				require.ErrorIs(t, err, test.want, "it does not go away")
			}
		})
	}
	_, err := new(unpacker).parse(valid(func(h *header, p *part) { h.Last, p.Commit = 10, 10 }))
	require.NoError(t, err, "the message is sound when nothing about it is altered")
}

func readGeneration(t *testing.T, s *store) change.ID {
	t.Helper()
	who, ours := readIdentity(s.stream(testContext(t)).CachedInfo().Config.Metadata)
	require.True(t, ours)
	return who.Generation
}

func TestInterleavedPiecesAreRefused(t *testing.T) {
	b := testBuilder(256, uncompressed)
	feed(t, b, 100, insert(0, "1", string(make([]byte, 300))), insert(1, "2", "x"))
	one := b.out.messages
	b = testBuilder(256, uncompressed)
	feed(t, b, 200, insert(0, "1", string(make([]byte, 300))), insert(1, "2", "x"))
	two := b.out.messages
	b = testBuilder(0, uncompressed)
	feed(t, b, 300, insert(0, "1", "x"))
	b.flushNow()
	for _, second := range []*sealed{two[0], two[1], b.out.messages[0]} {
		var u unpacker
		m, err := u.parse(one[0].data)
		require.NoError(t, err)
		require.NoError(t, u.batch(&m, new(change.Batch)))
		m, err = u.parse(second.data)
		require.NoError(t, err)
		err = u.batch(&m, new(change.Batch))
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, "take turns")
	}
}

func TestStreamsThatAreNotOurs(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 24, 5)
	link := s.link()
	cfg := subscriptionConfig(t)
	cfg.Origin = "south"
	_, err := Subscribe(ctx, link, cfg)
	require.ErrorIs(t, err, ErrStreamMissing)
	cfg = subscriptionConfig(t)
	cfg.From = change.Position{History: change.ID{123}, LSN: w.position()}
	_, err = Subscribe(ctx, link, cfg)
	require.ErrorIs(t, err, ErrForeignHistory)
	for key, test := range map[string]struct {
		value string
		want  error
	}{
		keyFederation: {"other", ErrNotMember}, keyNode: {"west", ErrNotMember}, keyFormat: {"2", ErrFormat}, keyHistory: {"", ErrNotMember},
	} {
		config := s.stream(ctx).CachedInfo().Config
		before := config.Metadata[key]
		config.Metadata[key] = test.value
		_, err := link.JS.UpdateStream(ctx, config)
		require.NoError(t, err)
		_, err = Subscribe(ctx, link, subscriptionConfig(t))
		require.ErrorIs(t, err, test.want, key)
		config.Metadata[key] = before
		_, err = link.JS.UpdateStream(ctx, config)
		require.NoError(t, err)
	}
}

func TestSessionsEndPromptly(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(ctx context.Context, s *store, sub *Subscription)
		want error
	}{
		"consumer deleted": {func(ctx context.Context, s *store, sub *Subscription) {
			require.NoError(s.t, s.link().JS.DeleteConsumer(ctx, sub.name, sub.session.consumer))
		}, ErrSessionLost},
		"stream deleted": {func(ctx context.Context, s *store, sub *Subscription) {
			require.NoError(s.t, s.link().JS.DeleteStream(ctx, sub.name))
		}, ErrSessionLost},
		"broker stopped":    {func(_ context.Context, s *store, _ *Subscription) { s.stop() }, ErrSessionLost},
		"broker restarted":  {func(_ context.Context, s *store, _ *Subscription) { s.restart() }, ErrSessionLost},
		"connection closed": {func(_ context.Context, _ *store, sub *Subscription) { sub.link.Conn.Close() }, ErrSessionLost},
		"told of more": {func(_ context.Context, _ *store, sub *Subscription) {
			sub.Told(sub.mine.LSN + 1)
		}, ErrSessionLost},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			s, w := published(t, 25, 8)
			cfg := subscriptionConfig(t)
			cfg.From, cfg.IdleTimeout = w.positionOf(8), 300*time.Millisecond
			sub, err := Subscribe(ctx, s.link(), cfg)
			require.NoError(t, err)
			defer sub.Close()
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, err = sub.Next(short)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			sub.Told(w.position())
			started := time.Now()
			test.do(ctx, s, sub)
			_, err = sub.Next(ctx)
			require.ErrorIs(t, err, test.want)
			require.Less(t, time.Since(started), 20*time.Second)
		})
	}
}

// The generation changes under a reader's feet, without the connection being
// lost: the reader looks where it stands and goes on.
func TestNewGenerationInMidSession(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 26, 10)
	link := s.link()
	a := &applied{t: t, w: w}
	sub := subscribe(t, link, change.Position{}, Hint{})
	for a.count < 10 {
		b, err := sub.Next(ctx)
		require.NoError(t, err)
		a.take(b)
	}
	before := a.hint.Generation
	cfg := publisherConfig(t)
	cfg.Published, cfg.Slot = w.position()+1, w.position() // as if something had been lost
	l := w.publish(t, s.link(), cfg)
	commitSome(w, 5)
	l.awaitPublished(w.position())
	for a.count < len(w.written) {
		b, err := sub.Next(ctx)
		require.NoError(t, err)
		a.take(b)
	}
	require.NotEqual(t, before, a.hint.Generation)
	// What is left of the old generation can still be read from the start.
	fresh := &applied{t: t, w: w}
	fresh.readTo(ctx, link, len(w.written))
}

// However much there is in the stream, a slow reader has a bounded part of it
// in memory.
func TestReaderAsksForBoundedBytes(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(27)
	for range 40 {
		w.commit(1, 900<<10)
	}
	l := w.publish(t, s.link(), publisherConfig(t))
	l.awaitPublished(w.position())
	sub := subscribe(t, s.link(), change.Position{}, Hint{})
	require.Never(t, func() bool { return sub.link.Conn.Stats().InBytes > aheadBytes+2<<20 }, time.Second, 10*time.Millisecond)
	require.Greater(t, sub.link.Conn.Stats().InBytes, uint64(aheadBytes/2))
	a := &applied{t: t, w: w}
	for a.count < len(w.written) {
		b, err := sub.Next(ctx)
		require.NoError(t, err)
		a.take(b)
	}
}

func TestMessagesOfOneBatchShareTables(t *testing.T) {
	ctx := testContext(t)
	s, w := published(t, 28, 30)
	sub := subscribe(t, s.link(), change.Position{}, Hint{})
	seen := map[string]*change.Table{}
	a := &applied{t: t, w: w}
	for a.count < len(w.written) {
		b, err := sub.Next(ctx)
		require.NoError(t, err)
		for i := range b.Parts {
			for j := range b.Parts[i].Changes {
				if table := b.Parts[i].Changes[j].Table; table != nil {
					if before, found := seen[table.String()]; found {
						require.Same(t, before, table)
					}
					seen[table.String()] = table
				}
			}
		}
		a.take(b)
	}
	require.Len(t, seen, 2)
}

func TestErrorsSayWhatHappened(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&GapError{Have: 0x16_0000_0010, Need: 0x16_0000_0020}, "changes are missing from the stream: have 16/10, the stream goes on from 16/20"},
		{&GapError{Need: 0x20}, "changes are missing from the stream: the stream no longer begins at the beginning of the history but at 0/20"},
		{&FormatError{Have: 2, Want: 1}, "unknown wire format: the message has format 2, this version reads format 1"},
		{&OrphanError{Tail: 0x30, Fork: 0x20}, "the stream ends behind the fork of this history: it ends at 0/30, the fork is at 0/20"},
	} {
		require.EqualError(t, test.err, test.want)
	}
	require.NotErrorIs(t, fmt.Errorf("x: %w", nats.ErrTimeout), ErrSessionLost)
}
