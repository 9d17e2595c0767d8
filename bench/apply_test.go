package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/conflict"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/pgtest"
)

// BenchmarkApply applies made-up transactions to a real server: what the
// applier's part of the way costs, without capture and broker. "pipelined" is
// the usual way, "exact" goes change by change, here because the table has a
// constraint that is checked at the end.
func BenchmarkApply(b *testing.B) {
	for _, path := range []struct{ name, constraint string }{
		{"pipelined", ""},
		{"exact", ", UNIQUE (id, n) DEFERRABLE INITIALLY DEFERRED"},
	} {
		for _, work := range []struct {
			name         string
			transactions int
			changes      int // in each
			op           change.Op
		}{
			{"insert-1000", 100, 1000, change.Insert},
			{"update-1000", 50, 1000, change.Update},
			{"update-4", 5000, 4, change.Update},
		} {
			b.Run(path.name+"/"+work.name, func(b *testing.B) {
				rows := work.transactions * work.changes
				schema := "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL" + path.constraint + ")"
				if work.op == change.Update {
					schema += fmt.Sprintf("; INSERT INTO t SELECT g, 0, 'row number ' || g FROM generate_series(0, %d) g", rows-1)
				}
				for range b.N {
					b.StopTimer()
					a := newApplier(b, schema)
					source := &made{transactions: work.transactions, changes: work.changes, op: work.op, history: a.history}
					b.StartTimer()
					require.ErrorIs(b, a.Run(context.Background(), source), errEnd)
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

type target struct {
	*applier.Applier
	history change.History
}

func newApplier(b *testing.B, schema string) target {
	ctx := context.Background()
	server := pgtest.Start(b, pgtest.Setting("autovacuum", "off"), pgtest.Setting("max_wal_size", "4GB"))
	own, err := os.ReadFile(filepath.Join("..", "internal", "admin", "schema.sql"))
	require.NoError(b, err)
	server.Exec(string(own))
	server.Exec(schema)
	server.Exec("SELECT pg_replication_origin_create('pgfed_bench_east')")
	rules, err := conflict.Compile(nil, []string{"east", "west"}, conflict.PolicyError)
	require.NoError(b, err)
	a, err := applier.Open(ctx, applier.Config{
		ConnString: server.URL(), Federation: "bench", Node: "west", Origin: "east",
		Rules: rules, Frontier: checkpoint.NewFrontier("west"),
	})
	require.NoError(b, err)
	b.Cleanup(a.Close)
	history := change.History{ID: change.NewID(), System: 1, Timeline: 1}
	require.NoError(b, a.Initialize(ctx, change.Position{History: history.ID}))
	return target{a, history}
}

var errEnd = errors.New("the end")

// made is a Source of batches of about a thousand changes.
type made struct {
	transactions, changes int
	op                    change.Op
	history               change.History
	done                  int
}

var madeTable = &change.Table{Schema: "public", Name: "t", Identity: change.IdentityDefault, Columns: []change.Column{
	{Name: "id", Key: true, TypeOID: 20, TypeMod: -1}, {Name: "n", TypeOID: 23, TypeMod: -1}, {Name: "v", TypeOID: 25, TypeMod: -1},
}}

func (m *made) Next(context.Context) (*change.Batch, error) {
	if m.done == m.transactions {
		return nil, errEnd
	}
	const step = 1 << 20 // bytes of log for each transaction
	batch := &change.Batch{Origin: "east", History: m.history, Sequence: uint64(m.done + 1), Previous: change.LSN(m.done * step)}
	for held := 0; held < 1000 && m.done < m.transactions; held += m.changes {
		end := change.LSN((m.done + 1) * step)
		part := change.Part{Begin: change.Begin{Final: end - 8, Time: time.Now()}, Commit: end, First: true, Last: true}
		for i := range m.changes {
			id := m.done*m.changes + i
			part.Changes = append(part.Changes, change.Change{Op: m.op, Table: madeTable, Ordinal: uint64(i),
				New: change.AppendTuple(nil, text(strconv.Itoa(id)), text("7"), text("row number "+strconv.Itoa(id)))})
		}
		batch.Parts = append(batch.Parts, part)
		m.done++
		batch.Last = end
	}
	return batch, nil
}

func text(s string) change.Value { return change.Value{Kind: change.Text, Bytes: []byte(s)} }
