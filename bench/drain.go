package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// withPair gives do a fresh pair of databases with the system installed, and
// clears everything away.
func (b *bench) withPair(ctx context.Context, s system, w workload, do func(pair) error) (err error) {
	p, err := b.stage.databases(ctx, w.schema)
	if err != nil {
		return err
	}
	defer func() {
		clean := context.WithoutCancel(ctx)
		err = errors.Join(err, s.remove(clean), b.stage.drop(clean, p))
		if err == nil && !b.keep {
			_ = os.RemoveAll(b.stage.folder + "/" + p.name)
		}
	}()
	if w.prepare != nil {
		var group errgroup.Group
		for _, server := range []*server{b.stage.origin, b.stage.target} {
			group.Go(func() error { return w.prepare(ctx, server, p.name) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	if err := s.install(ctx, p); err != nil {
		return err
	}
	return do(p)
}

func (b *bench) measureDrain(ctx context.Context, s system, w workload) (measurement, error) {
	m := measurement{Rows: w.rows, Transactions: w.transactions}
	err := b.withPair(ctx, s, w, func(p pair) error {
		watch, err := connect(ctx, p.target)
		if err != nil {
			return err
		}
		defer watch.Close(context.WithoutCancel(ctx))
		if w.live {
			err = b.live(ctx, s, w, p, watch, &m)
		} else {
			err = b.drain(ctx, s, w, p, watch, &m)
		}
		if err != nil {
			return err
		}
		m.Equal, err = equal(ctx, p)
		return err
	})
	return m, err
}

// drain: the work is written while the target's side is off.
func (b *bench) drain(ctx context.Context, s system, w workload, p pair, watch *pgx.Conn, m *measurement) error {
	if err := s.off(ctx); err != nil {
		return err
	}
	if err := execute(ctx, p.origin, "INSERT INTO mark VALUES (0)"); err != nil {
		return err
	}
	if err := w.load(ctx, b.stage.origin, p.name); err != nil {
		return err
	}
	if err := execute(ctx, p.origin, "INSERT INTO mark VALUES (1)"); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, server := range []*server{b.stage.origin, b.stage.target} {
		if err := execute(ctx, server.url("postgres"), "CHECKPOINT"); err != nil {
			return err
		}
	}
	meter := b.startMeter(ctx, s)
	defer meter.finish(ctx, m)
	began := time.Now()
	if err := s.on(ctx); err != nil {
		return err
	}
	first, err := b.await(ctx, s, watch, 0)
	if err != nil {
		return err
	}
	last, err := b.await(ctx, s, watch, 1)
	m.Start, m.Drain = first.Sub(began).Seconds(), last.Sub(first).Seconds()
	return err
}

// live: everything runs, and the time counts from the commit at the origin.
func (b *bench) live(ctx context.Context, s system, w workload, p pair, watch *pgx.Conn, m *measurement) error {
	meter := b.startMeter(ctx, s)
	defer meter.finish(ctx, m)
	if err := w.load(ctx, b.stage.origin, p.name); err != nil {
		return err
	}
	began := time.Now()
	if err := execute(ctx, p.origin, "INSERT INTO mark VALUES (1)"); err != nil {
		return err
	}
	last, err := b.await(ctx, s, watch, 1)
	m.Drain = last.Sub(began).Seconds()
	return err
}

// await returns when the mark is visible at the target.
func (b *bench) await(ctx context.Context, s system, watch *pgx.Conn, mark int) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, fmt.Errorf("not all had arrived after %s", b.limit))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	health := time.NewTicker(2 * time.Second)
	defer health.Stop()
	for {
		var there bool
		err := watch.QueryRow(ctx, "SELECT EXISTS (SELECT FROM mark WHERE id = $1)", mark).Scan(&there)
		now := time.Now()
		if ctx.Err() != nil {
			return now, errors.Join(context.Cause(ctx), healthError(s.ailing(context.WithoutCancel(ctx))))
		}
		if there || err != nil {
			return now, err
		}
		select {
		case <-ctx.Done():
		case <-health.C:
			if complaint := s.ailing(ctx); complaint != "" {
				return now, healthError(complaint)
			}
		case <-tick.C:
		}
	}
}

func healthError(complaint string) error {
	if complaint == "" {
		return nil
	}
	return errors.New(complaint)
}

// equal compares all tables of the two databases, as multisets of rows.
func equal(ctx context.Context, p pair) (bool, error) {
	tables, err := list(ctx, p.origin, `SELECT c.oid::regclass::text FROM pg_class c
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1`)
	if err != nil {
		return false, err
	}
	for _, table := range tables {
		var sums [2]string
		var group errgroup.Group
		for i, url := range []string{p.origin, p.target} {
			group.Go(func() (err error) {
				sums[i], err = ask(ctx, url, "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM "+table+" t")
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return false, err
		}
		if sums[0] != sums[1] {
			return false, fmt.Errorf("table %s differs: count and sum are %s at the origin, %s at the target", table, sums[0], sums[1])
		}
	}
	return len(tables) > 1, nil
}

func list(ctx context.Context, url, query string) ([]string, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
