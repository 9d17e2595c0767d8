package transport

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/change"
)

// BenchmarkPack measures what a row costs on its way into a message, and
// BenchmarkUnpack on its way out. One operation is one row of 100 bytes.
func BenchmarkPack(b *testing.B) {
	for name, rows := range map[string]int{"1 row": 1, "4 rows": 4, "1000000 rows": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			pack(b, rows, b.N, func([]byte) {})
		})
	}
}

func pack(b testing.TB, rows, total int, sealed func([]byte)) {
	ctx := context.Background()
	builder := testBuilder(0, uncompressed)
	row := change.AppendTuple(nil, text("12345678"), text("a row of some eighty bytes, as they are in many tables that people really have"), change.Value{Kind: change.Null})
	lsn := builder.completed
	for done := 0; done < total; {
		lsn += 100
		require.NoError(b, builder.Begin(ctx, change.Begin{Final: lsn}))
		for i := range min(rows, total-done) {
			c := change.Change{Op: change.Insert, Table: testTable, New: row, Ordinal: uint64(i)}
			if err := builder.Change(ctx, &c); err != nil {
				b.Fatal(err)
			}
			done++
		}
		require.NoError(b, builder.Commit(ctx, lsn+50))
		taken, _ := builder.out.take(builder.number)
		for _, m := range taken {
			sealed(m.data)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	for name, rows := range map[string]int{"1 row": 1, "4 rows": 4, "1000000 rows": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			var messages [][]byte
			pack(b, rows, 200_000, func(data []byte) { messages = append(messages, data) })
			var (
				u     unpacker
				batch change.Batch
			)
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; {
				for _, data := range messages {
					m, err := u.parse(data)
					if err != nil {
						b.Fatal(err)
					}
					if err := u.batch(&m, &batch); err != nil {
						b.Fatal(err)
					}
					for i := range batch.Parts {
						done += len(batch.Parts[i].Changes)
					}
				}
			}
		})
	}
}
