package replicator

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/change"
)

// errSetBack: the database is an older copy of itself.
var errSetBack = errors.New("the database lost what it had published")

// establishHistory reads the life of the WAL this database knows itself to be
// in, and begins a new one after a promotion.
func (l *life) establishHistory(ctx context.Context) error {
	row, err := admin.ReadHistory(ctx, l.admin)
	if err != nil {
		return fmt.Errorf("read the history of this database: %w", err)
	}
	switch {
	case row.System != l.system.ID:
		return fmt.Errorf("%w: the database has system identifier %d but its history was written by %d: it was copied or restored into another server; its peers must be given a fresh copy",
			errUnusable, l.system.ID, row.System)
	case row.Timeline == l.system.Timeline:
		return nil
	case row.Timeline > l.system.Timeline:
		return fmt.Errorf("the server is on timeline %d and its history on %d: this is an old primary; connect to the promoted one", l.system.Timeline, row.Timeline)
	}
	// A promotion: the new timeline's history file says where it left the old.
	parent, fork, err := decoder.Fork(ctx, l.database(), l.system.Timeline)
	if err != nil {
		return fmt.Errorf("read where timeline %d begins: %w", l.system.Timeline, err)
	}
	if parent != row.Timeline {
		return fmt.Errorf("%w: timeline %d descends from %d, the history is on %d: more than one promotion happened unseen; compare the data and set the node up again",
			errUnusable, l.system.Timeline, parent, row.Timeline)
	}
	child := change.History{ID: change.NewID(), System: row.System, Timeline: l.system.Timeline,
		Parent: row.ID, Fork: fork, Start: row.Start}
	if _, err = beginHistory(ctx, l.admin, row, child); err != nil {
		return err
	}
	l.log.Warn("the server was promoted: a new history begins", "parent", row.ID, "history", child.ID, "fork", fork)
	return nil
}

// checkNotSetBack refuses a database that ends before what it has published: an
// older copy of itself, such as a volume's snapshot. It would use those
// positions again, for other changes, and the slot would pass them over. That
// is a new history; once recorded, the stream stays refused also when the log
// has grown past its end.
func (o *outbound) checkNotSetBack(ctx context.Context) error {
	start := o.publisher.Start()
	if start <= o.system.Flushed {
		return nil
	}
	// Whoever was active before may have published since we asked.
	var flushed string
	if err := o.conn.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text`).Scan(&flushed); err != nil {
		return fmt.Errorf("read the flush position: %w", err)
	}
	end, err := change.ParseLSN(flushed)
	if err != nil || start <= end {
		return err
	}
	child := o.recorded.History
	child.ID, child.Parent, child.Fork = change.NewID(), o.recorded.ID, change.LSN(o.confirmed.Load())
	if o.recorded, err = beginHistory(ctx, o.conn, o.recorded, child); err != nil {
		return err
	}
	return fmt.Errorf("%w: the stream holds this database's changes up to %s, but its log ends at %s: the database was set back to an older copy; compare its data with the peers' and set the node up again", errSetBack, start, end)
}

// beginHistory records a history, and with it what the stream held of its
// parent: without that, a stream that is lost now would not be missed.
func beginHistory(ctx context.Context, conn *pgx.Conn, parent admin.History, child change.History) (admin.History, error) {
	published, confirmed := min(parent.Published, child.Fork), min(parent.Confirmed, child.Fork)
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := admin.AddHistory(ctx, tx, child); err != nil || published == 0 {
			return err
		}
		return admin.SetPublished(ctx, tx, child.ID, published, confirmed)
	})
	if err != nil {
		return parent, fmt.Errorf("record the new history: %w", err)
	}
	return admin.History{History: child, Published: published, Confirmed: confirmed}, nil
}
