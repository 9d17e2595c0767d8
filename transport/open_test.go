package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

func TestEmptyStreamAfterLoss(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(6)
	commitSome(w, 10)
	cfg := publisherConfig(t)
	cfg.Published, cfg.Slot = w.written[9].end, w.written[9].end
	_, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	sub := subscriptionConfig(t)
	sub.From = change.Position{History: testHistory.ID, LSN: w.written[8].end}
	_, err = Subscribe(ctx, s.link(), sub)
	require.ErrorIs(t, err, ErrGap)
	sub.From = change.Position{}
	_, err = Subscribe(ctx, s.link(), sub)
	require.ErrorIs(t, err, ErrGap)
	sub.From = change.Position{History: testHistory.ID, LSN: w.written[9].end}
	subscription, err := Subscribe(ctx, s.link(), sub)
	require.NoError(t, err)
	subscription.Close()
	subscription.Close()
}

func TestOneLossBeginsOneGeneration(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(6)
	cfg := publisherConfig(t)
	commitSome(w, 3)
	first := w.publish(t, s.link(), cfg)
	require.Eventually(t, func() bool { return first.p.Progress().Published == w.position() }, patience, time.Millisecond)
	first.stop()
	cfg.Published = w.position() + 1000
	cfg.Slot = cfg.Published
	second, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	require.NotEqual(t, first.p.Progress().Generation, second.Progress().Generation)
	for range 3 {
		again, err := OpenPublisher(ctx, s.link(), cfg)
		require.NoError(t, err)
		require.Equal(t, second.Progress().Generation, again.Progress().Generation)
	}
}

func TestForeignStreamsAreNotTouched(t *testing.T) {
	ctx := testContext(t)
	otherHistory := testHistory
	otherHistory.ID = change.ID{42}
	otherSystem := testHistory
	otherSystem.System = 1
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		config func(*PublisherConfig)
		want   error
	}{
		"no metadata":      {change: func(c *jetstream.StreamConfig) { c.Metadata = nil }, want: ErrForeignStream},
		"other federation": {change: func(c *jetstream.StreamConfig) { c.Metadata[keyFederation] = "x" }, want: ErrForeignStream},
		"other node":       {change: func(c *jetstream.StreamConfig) { c.Metadata[keyNode] = "x" }, want: ErrForeignStream},
		"other format":     {change: func(c *jetstream.StreamConfig) { c.Metadata[keyFormat] = "7" }, want: ErrForeignStream},
		"other system":     {config: func(c *PublisherConfig) { c.History = otherSystem }, want: ErrForeignStream},
		"other history":    {config: func(c *PublisherConfig) { c.History = otherHistory }, want: ErrForeignHistory},
	} {
		t.Run(name, func(t *testing.T) {
			s := startStore(t)
			link := s.link()
			cfg := publisherConfig(t)
			require.NoError(t, cfg.setDefaults())
			stream, err := cfg.createStream(ctx, link)
			require.NoError(t, err)
			if test.change != nil {
				config := stream.CachedInfo().Config
				test.change(&config)
				_, err := link.JS.UpdateStream(ctx, config)
				require.NoError(t, err)
			}
			if test.config != nil {
				test.config(&cfg)
			}
			before := s.stream(ctx).CachedInfo()
			_, err = OpenPublisher(ctx, link, cfg)
			require.ErrorIs(t, err, test.want)
			require.Equal(t, before.Config, s.stream(ctx).CachedInfo().Config)
		})
	}
}

func TestPromotion(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(13)
	l := w.publish(t, s.link(), publisherConfig(t))
	commitSome(w, 20)
	l.awaitPublished(w.position())
	l.stop()
	a := &applied{t: t, w: w}
	a.readTo(ctx, s.link(), 10)

	child := change.History{ID: change.ID{77}, System: testHistory.System, Timeline: 2, Parent: testHistory.ID, Fork: w.written[18].end}
	cfg := publisherConfig(t)
	cfg.History = child
	_, err := OpenPublisher(ctx, s.link(), cfg)
	var orphan *OrphanError
	require.ErrorAs(t, err, &orphan)
	require.ErrorIs(t, err, ErrOrphanedTail)
	require.Equal(t, OrphanError{Tail: w.written[19].end, Fork: w.written[18].end}, *orphan)

	cfg.History.Fork, cfg.History.Start = w.position()+5, w.position()+5
	sub := subscriptionConfig(t)
	sub.From = a.position
	reading, err := Subscribe(ctx, s.link(), sub)
	require.NoError(t, err)
	defer reading.Close()
	w.end += 100
	again := w.publish(t, s.link(), cfg)
	commitSome(w, 5)
	again.awaitPublished(w.position())
	a.position = reading.From()
	for a.count < len(w.written) {
		b, err := reading.Next(ctx)
		require.NoError(t, err)
		a.take(b)
	}
	require.Equal(t, cfg.History.ID, a.position.History, "who reads on stands in the child history")
	require.Equal(t, cfg.History, reading.History())

	// Whoever stood in the parent stands at the same place in the child ...
	sub.From = change.Position{History: testHistory.ID, LSN: w.written[15].end}
	late, err := Subscribe(ctx, s.link(), sub)
	require.NoError(t, err)
	require.Equal(t, change.Position{History: cfg.History.ID, LSN: w.written[15].end}, late.From())
	late.Close()
	// ... unless it had gone on beyond the fork.
	sub.From.LSN = cfg.History.Fork + 1
	_, err = Subscribe(ctx, s.link(), sub)
	require.ErrorIs(t, err, ErrForeignHistory)
	// The beginning is still that of the first history.
	fresh := &applied{t: t, w: w}
	fresh.readTo(ctx, s.link(), len(w.written))
}

func TestStreamFollowsItsConfiguration(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	cfg := publisherConfig(t)
	cfg.MaxBytes = 10 << 20
	_, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	config := s.stream(ctx).CachedInfo().Config
	require.Equal(t, int64(10<<20), config.MaxBytes)
	require.Equal(t, jetstream.DiscardNew, config.Discard)
	require.True(t, config.DenyDelete)
	require.False(t, config.AllowDirect)
	require.Zero(t, config.MaxAge)
	generation := config.Metadata[keyGeneration]
	config.AllowDirect, config.MaxAge = true, time.Hour // somebody was helpful
	_, err = s.link().JS.UpdateStream(ctx, config)
	require.NoError(t, err)
	cfg.MaxBytes = 20 << 20
	_, err = OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	config = s.stream(ctx).CachedInfo().Config
	require.Equal(t, int64(20<<20), config.MaxBytes)
	require.False(t, config.AllowDirect)
	require.Zero(t, config.MaxAge)
	require.Equal(t, generation, config.Metadata[keyGeneration])

	cfg.Compression = "rar"
	_, err = OpenPublisher(ctx, s.link(), cfg)
	require.ErrorContains(t, err, "rar")
	require.True(t, strings.HasPrefix(config.Description, "changes of node east"))
}

// Promoted twice before it could publish: the stream descends through both.
func TestTwoPromotionsAtOnce(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(14)
	l := w.publish(t, s.link(), publisherConfig(t))
	commitSome(w, 20)
	l.awaitPublished(w.position())
	l.stop()

	first := change.History{ID: change.ID{77}, System: testHistory.System, Timeline: 2, Parent: testHistory.ID, Fork: w.position() + 5}
	second := change.History{ID: change.ID{78}, System: testHistory.System, Timeline: 3, Parent: first.ID, Fork: w.position() + 9}
	cfg := publisherConfig(t)
	cfg.History = second
	_, err := OpenPublisher(ctx, s.link(), cfg)
	require.ErrorIs(t, err, ErrForeignHistory, "nothing says that it descends from the stream's")

	cfg.Ancestors = []change.History{testHistory, first}
	_, err = OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	for _, id := range []change.ID{testHistory.ID, first.ID} {
		sub := subscriptionConfig(t)
		sub.From = change.Position{History: id, LSN: w.position()}
		reading, err := Subscribe(ctx, s.link(), sub)
		require.NoError(t, err)
		require.Equal(t, change.Position{History: second.ID, LSN: w.position()}, reading.From())
		reading.Close()
	}

	// A fork before the stream's end orphans it, whichever of them it is.
	first.Fork = w.written[10].end
	cfg.Ancestors = []change.History{testHistory, first}
	cfg.Federation += "x" // a stream of its own
	other := cfg
	other.History, other.Ancestors = testHistory, nil
	again := w.publish(t, s.link(), other)
	again.awaitPublished(w.position())
	again.stop()
	_, err = OpenPublisher(ctx, s.link(), cfg)
	require.ErrorIs(t, err, ErrOrphanedTail)
}
