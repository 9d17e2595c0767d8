package applier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
)

// FlusherConfig is what a Flusher needs. ConnString and Federation are
// required.
type FlusherConfig struct {
	ConnString      string
	ApplicationName string
	Federation      string
	// Standbys are application names in pg_stat_replication that must have
	// flushed too. Reading it takes the role pg_read_all_stats.
	Standbys []string
}

// Flusher makes applied transactions durable: appliers commit with
// synchronous_commit off. It has a session of its own and reconnects by
// itself. It is for one goroutine at a time.
type Flusher struct {
	FlusherConfig
	conn *pgx.Conn
}

// standbyPoll is how often the standbys are asked.
const standbyPoll = 20 * time.Millisecond

// OpenFlusher connects.
func OpenFlusher(ctx context.Context, cfg FlusherConfig) (*Flusher, error) {
	if cfg.ConnString == "" || cfg.Federation == "" {
		return nil, errors.New("open a flusher: connection string and federation are required")
	}
	f := &Flusher{FlusherConfig: cfg}
	if err := f.ensure(ctx); err != nil {
		return nil, fmt.Errorf("open a flusher: %w", err)
	}
	return f, nil
}

func (f *Flusher) ensure(ctx context.Context) error {
	if f.conn != nil && !f.conn.IsClosed() {
		return nil
	}
	name := f.ApplicationName
	if name == "" {
		name = "pgfed/flush"
	}
	conn, err := connect(ctx, f.ConnString, name)
	if err != nil {
		return err
	}
	f.conn = conn
	return nil
}

// Flush makes everything durable that is applied of an origin when it is
// called, as far as the server has not crashed since it was applied. Whoever
// acknowledges should use Flushed, which says what that was.
func (f *Flusher) Flush(ctx context.Context, origin string) error {
	_, err := f.Flushed(ctx, origin)
	return err
}

// Flushed makes everything durable that is applied of an origin, on the
// configured standbys too, and returns its position: what may be
// acknowledged. The position is read from the database in the same session,
// before the flush: were it taken from memory, a server that crashed and
// recovered in between would prove the flush of what it has lost.
func (f *Flusher) Flushed(ctx context.Context, origin string) (change.Position, error) {
	position, err := f.flushed(ctx, origin)
	if err != nil && sqlState(err) == "" && f.conn != nil && !f.conn.IsClosed() && ctx.Err() == nil {
		closeSession(ctx, f.conn)
	}
	if err != nil {
		return change.Position{}, fmt.Errorf("flush what is applied of %s: %w", origin, err)
	}
	return position, nil
}

func (f *Flusher) flushed(ctx context.Context, origin string) (change.Position, error) {
	if err := f.ensure(ctx); err != nil {
		return change.Position{}, err
	}
	row, _, err := checkpoint.Read(ctx, f.conn, origin, false)
	if err != nil {
		return change.Position{}, err
	}
	// A visible commit has noted its local position with the origin already;
	// this flushes up to it.
	_, err = f.conn.Exec(ctx, "SELECT pg_catalog.pg_replication_origin_progress($1, true)", originName(f.Federation, origin))
	if err != nil {
		return change.Position{}, err
	}
	if len(f.Standbys) > 0 {
		if err := f.awaitStandbys(ctx); err != nil {
			return change.Position{}, err
		}
	}
	return row.Position, nil
}

// awaitStandbys waits until every named standby has flushed what is flushed
// here now. A standby that is not connected is waited for.
func (f *Flusher) awaitStandbys(ctx context.Context) error {
	var target string
	if err := f.conn.QueryRow(ctx, "SELECT pg_catalog.pg_current_wal_flush_lsn()::text").Scan(&target); err != nil {
		return err
	}
	ticker := time.NewTicker(standbyPoll)
	defer ticker.Stop()
	for {
		var lagging int
		err := f.conn.QueryRow(ctx, `SELECT count(*) FROM pg_catalog.unnest($1::text[]) AS s(name)
			WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_replication r
				WHERE r.application_name = s.name AND r.flush_lsn >= $2::text::pg_lsn)`, f.Standbys, target).Scan(&lagging)
		if err != nil || lagging == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d standbys have not flushed up to %s: %w", lagging, len(f.Standbys), target, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Close ends the session. It may be called again.
func (f *Flusher) Close() {
	if f.conn != nil {
		closeSession(context.Background(), f.conn)
	}
}
