package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransactionsArriveAsTheyWereCommitted(t *testing.T) {
	for _, how := range []string{"none", "s2", "zstd"} {
		t.Run(how, func(t *testing.T) {
			ctx := testContext(t)
			s := startStore(t)
			w := newWAL(1)
			for range 300 {
				w.commit(1+w.random.IntN(4), 20)
			}
			w.commit(3000, 400)  // several pieces
			w.commit(3, 3<<20)   // records that span messages
			w.commit(1, 600<<10) // one message, larger than a batch
			w.commit(2, 200<<10) // a little too much for one batch
			w.commit(1000, 2)    // small again
			w.commit(1, 10)
			cfg := publisherConfig(t)
			cfg.Compression = how
			l := w.publish(t, s.link(), cfg)
			l.awaitPublished(w.position())

			a := &applied{t: t, w: w}
			a.readTo(ctx, s.link(), len(w.written))
			require.Equal(t, w.position(), a.position.LSN)
			require.Less(t, a.batches, 100, "small transactions should share messages")
			require.Equal(t, l.p.Progress().Sequence+1, a.lowWater)
		})
	}
}
