package decoder

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// BenchmarkDrain reads backlogs into nothing: the bound of everything behind
// it. The figures mean something only beside native replication on the same
// machine (bench/).
func BenchmarkDrain(b *testing.B) {
	for _, work := range []struct {
		name string
		rows int
		load string
	}{
		{"bulk", 1_000_000, "INSERT INTO t SELECT g, g, 'row ' || g FROM generate_series(1, 1000000) g"},
		{"single", 100_000, "DO $$ BEGIN FOR g IN 1..100000 LOOP INSERT INTO t VALUES (g, g, 'row ' || g); COMMIT; END LOOP; END $$"},
	} {
		b.Run(work.name, func(b *testing.B) {
			server := pgtest.Start(b, pgtest.Setting("synchronous_commit", "off"), pgtest.Setting("max_wal_size", "4GB"))
			server.Exec("CREATE TABLE t (id int PRIMARY KEY, n int, v text); CREATE PUBLICATION pub FOR ALL TABLES")
			server.Exec("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
			server.Exec(work.load)
			b.ResetTimer()
			for range b.N {
				ctx, cancel := context.WithCancel(context.Background())
				count := &counter{want: work.rows, done: cancel}
				err := Run(ctx, Config{ConnString: server.URL(), Slot: "bench", Publication: "pub"}, count, func() change.LSN { return 0 })
				require.ErrorIs(b, err, context.Canceled)
			}
			b.ReportMetric(float64(work.rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// counter is a Sink that counts changes and says when all have come.
type counter struct {
	want int
	done func()
	got  int
}

func (c *counter) Begin(context.Context, change.Begin) error { return nil }
func (c *counter) Change(context.Context, *change.Change) error {
	c.got++
	return nil
}
func (c *counter) Commit(context.Context, change.LSN) error {
	if c.got == c.want {
		c.done()
	} else if c.got > c.want {
		return fmt.Errorf("%d changes, wanted %d", c.got, c.want)
	}
	return nil
}
func (c *counter) Flush(context.Context) error            { return nil }
func (c *counter) Idle(context.Context, change.LSN) error { return nil }
