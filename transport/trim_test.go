package transport

import (
	"bytes"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

func TestAcknowledgements(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(14)
	link := s.link()
	l := w.publish(t, link, publisherConfig(t))
	commitSome(w, 3)
	l.awaitPublished(w.position())
	acks, err := l.p.Acks(ctx)
	require.NoError(t, err)
	require.Empty(t, acks)
	generation := l.p.Progress().Generation
	at := time.UnixMilli(1_700_000_000_000).UTC()
	west := Ack{Format: 1, Peer: "west", History: testHistory.ID, Generation: generation, LSN: w.position(), Sequence: 1, Time: at}
	require.NoError(t, link.Acknowledge(ctx, "fed", "east", Ack{Peer: "west", LSN: 1}))
	require.NoError(t, link.Acknowledge(ctx, "fed", "east", west))
	other := Ack{Format: 1, Peer: "central", History: change.ID{66}, Generation: change.ID{55}, LSN: 5, Sequence: 9, Time: at}
	require.NoError(t, link.Acknowledge(ctx, "fed", "east", other))
	for peer, document := range map[string]string{"a": "garbage", "b": `{"format":9,"peer":"b"}`, "c": `{"format":1,"peer":"west","lsn":"F/F"}`, "d": ""} {
		_, err := link.JS.Publish(ctx, ackSubject("fed", "east", peer), []byte(document))
		require.NoError(t, err)
	}
	acks, err = l.p.Acks(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]Ack{"west": west, "central": other}, acks)

	// A sequence that cannot be where the position is must not trim anything.
	west.Sequence = 1000
	require.NoError(t, link.Acknowledge(ctx, "fed", "east", west))
	acks, err = l.p.Acks(ctx)
	require.NoError(t, err)
	require.Zero(t, acks["west"].Sequence)
}

func TestBeatsReachWhoListens(t *testing.T) {
	s := startStore(t)
	one, two := s.link(), s.link()
	heard := make(chan []byte, 1)
	stop, err := two.ListenBeats("fed", "east", func(document []byte) { heard <- bytes.Clone(document) })
	require.NoError(t, err)
	require.NoError(t, two.Conn.Flush())
	require.NoError(t, one.Beat("fed", "east", []byte(`{"node":"east"}`)))
	require.JSONEq(t, `{"node":"east"}`, string(<-heard))
	stop()
	require.NoError(t, two.Conn.Flush())
	require.NoError(t, one.Beat("fed", "east", []byte("2")))
	require.NoError(t, one.Conn.Flush())
	require.NoError(t, two.Conn.Flush())
	require.Empty(t, heard)
	one.Conn.Close()
	require.ErrorIs(t, one.Beat("fed", "east", nil), nats.ErrConnectionClosed)
}

func TestTrimKeepsWhatIsAskedFor(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var s samples
	s.add(sample{at: now})
	for i := range uint64(10_000) { // one message of 1000 bytes a second
		s.stored(sample{at: now.Add(time.Duration(i+1) * time.Second), sequence: i + 1}, 1000)
	}
	require.LessOrEqual(t, len(s.kept), maxSamples)
	require.InDelta(t, 6000, s.removable(9000, 1<<40, now.Add(6000*time.Second)), 8)
	require.InDelta(t, 8000, s.removable(9001, 1_000_000, now), 8)
	require.InDelta(t, 8500, s.removable(9001, 1_000_000, now.Add(8500*time.Second)), 8)
	require.InDelta(t, 8999, s.removable(9000, 0, now), 8)
	require.Zero(t, s.removable(0, 0, now.Add(time.Hour)))
	// What is from before this life ages from its beginning.
	var later samples
	later.add(sample{at: now, sequence: 500})
	require.Zero(t, later.removable(400, 0, now.Add(-time.Second)))
	require.EqualValues(t, 399, later.removable(400, 0, now))
}

func TestTrimSparesTheLastMessage(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(15)
	cfg := publisherConfig(t)
	cfg.BatchBytes = 1
	l := w.publish(t, s.link(), cfg)
	commitSome(w, 10)
	l.awaitPublished(w.position())
	require.NoError(t, l.p.Trim(ctx, 0, 0, 0))
	require.NoError(t, l.p.Trim(ctx, 5, 0, time.Hour))
	state := s.stream(ctx).CachedInfo().State
	require.Equal(t, uint64(1), state.FirstSeq)
	require.NoError(t, l.p.Trim(ctx, 5, 0, 0))
	require.Equal(t, uint64(5), s.stream(ctx).CachedInfo().State.FirstSeq)
	require.NoError(t, l.p.Trim(ctx, 1<<40, 0, 0))
	state = s.stream(ctx).CachedInfo().State
	require.Equal(t, uint64(1), state.Msgs)
	l.stop()
	p, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	require.Equal(t, w.position(), p.Start())
}

// After the storage was set back, the same sequence stands for a later message.
// An acknowledgement from before says nothing about it.
func TestAcknowledgementFromBeforeASetBackTrimsNothing(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(17)
	backup := t.TempDir()
	s.stop()
	s.copyTo(backup)
	s.start()
	cfg := publisherConfig(t)
	commitSome(w, 10)
	p, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	for i := range w.written { // one transaction a message
		require.NoError(t, hand(ctx, p, &w.written[i]))
		p.flushNow()
	}
	l := w.run(t, p)
	l.awaitPublished(w.position())
	sound := Ack{Peer: "west", History: testHistory.ID, Generation: l.p.Progress().Generation, LSN: w.written[4].end, Sequence: 6}
	early := sound
	early.Sequence = 7 // would trim what is still needed
	for ack, want := range map[Ack]uint64{sound: 6, early: 0} {
		require.NoError(t, s.link().Acknowledge(ctx, "fed", "east", ack))
		acks, err := l.p.Acks(ctx)
		require.NoError(t, err)
		require.Equal(t, want, acks["west"].Sequence)
	}
	l.stop()
	// The same from before the publisher's life.
	again, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	for ack, want := range map[Ack]uint64{sound: 6, early: 0} {
		require.NoError(t, s.link().Acknowledge(ctx, "fed", "east", ack))
		for range 2 {
			acks, err := again.Acks(ctx)
			require.NoError(t, err)
			require.Equal(t, want, acks["west"].Sequence)
		}
	}

	// Trimming looks at the message, too: somebody else has written these.
	live := w.publish(t, s.link(), cfg)
	commitSome(w, 10)
	live.awaitPublished(w.position())
	live.stop()
	s.setBack(backup)
	cfg.BatchBytes = 300
	other := w.publish(t, s.link(), cfg)
	other.awaitPublished(w.position())
	other.stop()
	for range 20 {
		commitSome(w, 1)
	}
	other = w.publish(t, s.link(), cfg)
	other.awaitPublished(w.position())
	live.p.link = s.link()
	require.ErrorIs(t, live.p.Trim(ctx, 15, 0, 0), ErrStreamRegressed)
}

// Somebody has begun the stream anew while a publisher that has not published
// anything yet was cut off.
func TestPublisherOfAnOlderGenerationEnds(t *testing.T) {
	ctx := testContext(t)
	s := startStore(t)
	w := newWAL(18)
	cfg := publisherConfig(t)
	old, err := OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	s.setBack("")
	_, err = OpenPublisher(ctx, s.link(), cfg)
	require.NoError(t, err)
	w.commit(1, 10)
	require.NoError(t, hand(ctx, old, &w.written[0]))
	require.NoError(t, old.Flush(ctx))
	old.link = s.link()
	c := &courier{Publisher: old, inbox: "nobody"}
	require.ErrorIs(t, c.resync(ctx, reasonRefused), ErrStreamRegressed)
}
