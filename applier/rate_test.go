package applier

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

// rated makes transactions of one size without end.
type rated struct {
	b        *bench
	table    *change.Table
	op       change.Op
	size     int // changes a transaction
	keys     int // updates go round them
	next     int
	left     int // transactions
	lsn      change.LSN
	together int // transactions a batch
}

func (g *rated) Next(context.Context) (*change.Batch, error) {
	if g.left <= 0 {
		return nil, errDrained
	}
	batch := &change.Batch{Origin: "east", History: g.b.history, Generation: g.b.generation, Previous: g.lsn}
	for range min(g.together, g.left) {
		g.left--
		p := change.Part{Begin: change.Begin{XID: 7, Final: g.lsn + 8, Time: time.Unix(1700000000, 0)}, First: true, Last: true, Commit: g.lsn + 56}
		g.lsn += 56
		for i := range g.size {
			g.next++
			key := g.next
			if g.keys > 0 {
				key = g.next*7919%g.keys + 1
			}
			c := change.Change{Op: g.op, Table: g.table, Ordinal: uint64(i)}
			switch g.op {
			case change.Delete:
				c.OldKind = change.OldKey
				c.Old = change.AppendTuple(nil, textValues(fmt.Sprint(key))[0], change.Value{Kind: change.Null}, change.Value{Kind: change.Null})
			default:
				c.New = change.AppendTuple(nil, textValues(fmt.Sprint(key), fmt.Sprint(g.next), "a filler of some length, as pgbench has")...)
			}
			p.Changes = append(p.Changes, c)
		}
		batch.Parts = append(batch.Parts, p)
	}
	batch.Last = g.lsn
	return batch, nil
}

// BenchmarkApply measures the optimistic path alone: changes/s of one session
// into one table with a primary key.
func BenchmarkApply(b *testing.B) {
	for _, op := range []change.Op{change.Insert, change.Update, change.Delete} {
		for _, size := range []int{1, 4, 1000} {
			b.Run(fmt.Sprintf("%s/%d", op, size), func(b *testing.B) { benchmarkApply(b, op, size) })
		}
	}
}

func benchmarkApply(tb *testing.B, op change.Op, size int) {
	b := newBench(tb, "CREATE TABLE t (id int PRIMARY KEY, n int, filler text)")
	changes := max(tb.N, size)
	g := &rated{b: b, op: op, size: size, left: changes / size, lsn: 0x1000, together: max(1, 200/size), table: &change.Table{
		Schema: "public", Name: "t", Identity: 'd', Columns: []change.Column{{Name: "id", Key: true}, {Name: "n"}, {Name: "filler"}}}}
	if op != change.Insert {
		g.keys = changes
		if op == change.Update {
			g.keys = 100_000
		}
		b.on(b.target, fmt.Sprintf("INSERT INTO t SELECT g, g, 'a filler of some length, as pgbench has' FROM generate_series(1, %d) g", g.keys), "VACUUM ANALYZE t")
		if op == change.Delete {
			g.keys = 0
		}
	}
	b.open()
	b.a.position.LSN, b.a.row.Position.LSN = 0x1000, 0x1000
	b.on(b.target, "UPDATE pgfed.checkpoint SET lsn = '0/1000'")
	tb.ResetTimer()
	started := time.Now()
	require.ErrorIs(tb, b.a.Run(b.ctx, g), errDrained)
	tb.ReportMetric(float64(changes)/time.Since(started).Seconds(), "changes/s")
	tb.StopTimer()
	require.Empty(tb, b.conflicts())
}
