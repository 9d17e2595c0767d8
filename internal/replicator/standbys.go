package replicator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
	"github.com/pgfed/pgfed/transport"
)

const standbyPoll = 5 * time.Millisecond

// gate is the publisher behind a gate: a transaction passes when every standby
// that may be promoted has flushed it. The decoder delivers a commit before
// any standby has it; published then and lost in a promotion, it would live on
// at the peers alone.
type gate struct {
	*transport.Publisher
	conn     *pgx.Conn // owned by the decoder's parsing goroutine
	standbys []string
	reached  change.LSN // every standby has flushed this much
	board    *board
}

// Commit implements decoder.Sink.
func (g *gate) Commit(ctx context.Context, end change.LSN) error {
	if err := g.await(ctx, end); err != nil {
		return fmt.Errorf("wait for the failover standbys: %w", err)
	}
	return g.Publisher.Commit(ctx, end)
}

func (g *gate) await(ctx context.Context, end change.LSN) error {
	asked := time.Now()
	for g.reached < end {
		var text string
		err := g.conn.QueryRow(ctx, `SELECT coalesce(min(coalesce(r.flush_lsn, '0/0')), '0/0')::text
			FROM unnest($1::text[]) AS s(name) LEFT JOIN pg_stat_replication r ON r.application_name = s.name`, g.standbys).Scan(&text)
		if err != nil {
			return err
		}
		if g.reached, err = change.ParseLSN(text); err != nil {
			return err
		}
		if g.reached >= end {
			break
		}
		if time.Since(asked) > silence {
			g.board.complain("standbys", report.Reason{Code: "standby_behind",
				Message: fmt.Sprintf("nothing is published beyond %s: the failover standbys (%s) have not all flushed %s", g.reached, strings.Join(g.standbys, ", "), end),
				Remedy:  "bring the standby back, or remove it from nodes.<name>.standbys and restart"})
		}
		if err := wait.Pause(ctx, standbyPoll); err != nil {
			return err
		}
	}
	if time.Since(asked) > silence {
		g.board.withdraw("standbys")
	}
	return nil
}
