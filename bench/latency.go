package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Single rows are written at this pace; those of the first second do not count.
const (
	perSecond = 200
	warmUp    = perSecond
)

// measureLatency measures from the return of a commit at the origin to the
// row's being visible at the target.
func (b *bench) measureLatency(ctx context.Context, s system) (measurement, error) {
	count := warmUp + int(b.latency.Seconds()*perSecond)
	m := measurement{Rows: count, Transactions: count}
	w := workload{schema: "CREATE TABLE single (id bigint PRIMARY KEY, note text NOT NULL)"}
	err := b.withPair(ctx, s, w, func(p pair) error {
		meter := b.startMeter(ctx, s)
		began := time.Now()
		waits, err := latencies(ctx, p, count, b.limit)
		m.Drain = time.Since(began).Seconds()
		meter.finish(ctx, &m)
		if err != nil {
			return err
		}
		waits = waits[warmUp:]
		slices.Sort(waits)
		at := func(share float64) float64 {
			return float64(waits[min(len(waits)-1, int(share*float64(len(waits))))].Microseconds()) / 1000
		}
		m.P50, m.P99, m.Max = at(0.5), at(0.99), at(1)
		m.Equal, err = equal(ctx, p)
		return err
	})
	return m, err
}

func latencies(ctx context.Context, p pair, count int, limit time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not all rows had arrived after %s", limit))
	defer cancel()
	writer, err := connect(ctx, p.origin)
	if err != nil {
		return nil, err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	watch, err := connect(ctx, p.target)
	if err != nil {
		return nil, err
	}
	defer watch.Close(context.WithoutCancel(ctx))
	began := time.Now()
	committed := make([]atomic.Int64, count) // since began; 0 not yet
	written := make(chan int, count)
	seen := make([]time.Duration, count)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watchRows(ctx, watch, began, written, seen) })
	group.Go(func() error {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for i := range count {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
			}
			written <- i // about to be: the watcher is awake
			if _, err := writer.Exec(ctx, "INSERT INTO single VALUES ($1, 'a single row of no importance')", i); err != nil {
				return fmt.Errorf("write a row: %w", err)
			}
			committed[i].Store(int64(time.Since(began)))
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	waits := make([]time.Duration, count)
	for i := range waits {
		// A row may be at the target before its commit returns at the origin.
		waits[i] = max(0, seen[i]-time.Duration(committed[i].Load()))
	}
	return waits, nil
}

// watchRows notes when each row is seen first. It asks only while something
// is missing, with a tenth of a millisecond between answers and questions.
func watchRows(ctx context.Context, watch *pgx.Conn, began time.Time, written <-chan int, seen []time.Duration) error {
	between := syscall.NsecToTimespec(int64(100 * time.Microsecond))
	have := 0
	for range seen {
		var next int
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next = <-written:
		}
		for have <= next {
			var there int
			if err := watch.QueryRow(ctx, "SELECT coalesce(max(id) + 1, 0) FROM single").Scan(&there); err != nil {
				return fmt.Errorf("watch rows: %w", err)
			}
			for now := time.Since(began); have < there; have++ {
				seen[have] = now
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			_ = syscall.Nanosleep(&between, nil) // the runtime's timers are coarser
		}
	}
	return nil
}
