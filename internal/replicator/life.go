package replicator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

// errUnusable marks reasons that trying again cannot mend.
var errUnusable = errors.New("cannot run here")

// life is one stay with the database: from taking the instance lock to losing
// the session that holds it.
type life struct {
	*Replicator
	broker        *transport.Broker
	lock          *pgx.Conn // holds the instance lock; watched, not used
	admin         *pgx.Conn // housekeeping queries; owned by the housekeeping goroutine once running
	system        decoder.System
	serverVersion string
	serverMajor   int
	history       change.History
	recorded      admin.History // what the database remembers of its own stream
	frontier      *checkpoint.Frontier
	own           *transport.Link
	outbound      *outbound
	standbys      *pgx.Conn // asks how far the failover standbys are; nil without any

	appliersMu sync.Mutex
	appliers   map[string]*applier.Applier // taken at the start, handed to the inbound pipelines

	flusherMu sync.Mutex
	flusher   *applier.Flusher
}

// live lives one life. Each step says why it comes before the next.
func (r *Replicator) live(ctx context.Context, broker *transport.Broker) (err error) {
	l := &life{Replicator: r, broker: broker, frontier: checkpoint.NewFrontier(r.Node), appliers: map[string]*applier.Applier{}}
	defer l.close()

	// 1. One active instance. Others wait here, connected to both sides.
	if l.own, err = r.dialOwn(ctx, broker); err != nil {
		return err
	}
	if l.lock, err = r.session(ctx, "lock"); err != nil {
		return err
	}
	if err = r.becomeActive(ctx, l.lock); err != nil {
		return err
	}
	if l.admin, err = r.session(ctx, "housekeeping"); err != nil {
		return err
	}

	// 2. Whose database is it, and which life of its WAL is this?
	if err = l.identify(ctx); err != nil {
		return err
	}

	// 3. Every replication origin is taken and every checkpoint row locked
	// once before anything is captured: a backend of an earlier instance may
	// still be committing, and a captured transaction may have seen it.
	if err = l.takeOrigins(ctx); err != nil {
		return err
	}

	// 4. The stream: where it ends is where capture goes on.
	if l.outbound, err = l.openOutbound(ctx); err != nil {
		return err
	}

	if err = l.checkNotSetBack(ctx); err != nil {
		return err
	}

	// 5. Run until something gives.
	r.board.withdraw("life")
	r.board.setRole("active")
	r.log.Info("active", "history", l.history.ID, "system", l.system.ID, "timeline", l.system.Timeline, "from", l.outbound.publisher.Start())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watch(ctx, l.lock) })
	group.Go(func() error { return l.outbound.run(ctx) })
	group.Go(func() error { return l.keepHouse(ctx) })
	group.Go(func() error { return l.beat(ctx) })
	for _, peer := range r.peers {
		group.Go(func() error { return l.follow(ctx, peer) })
	}
	return group.Wait()
}

// checkNotSetBack refuses a database that ends before what it has published: an
// older copy of itself, such as a volume's snapshot. It would use those
// positions again, for other changes, and the slot would pass them over. That
// is a new history; once recorded, the stream stays refused also when the log
// has grown past its end.
func (l *life) checkNotSetBack(ctx context.Context) error {
	start := l.outbound.publisher.Start()
	if start <= l.system.Flushed {
		return nil
	}
	// Whoever was active before may have published since we asked.
	var flushed string
	if err := l.admin.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text`).Scan(&flushed); err != nil {
		return fmt.Errorf("read the flush position: %w", err)
	}
	end, err := change.ParseLSN(flushed)
	if err != nil || start <= end {
		return err
	}
	child := l.history
	child.ID, child.Parent, child.Fork = change.NewID(), l.history.ID, change.LSN(l.outbound.confirmed.Load())
	if err := l.beginHistory(ctx, child); err != nil {
		return err
	}
	return fmt.Errorf("the stream holds this database's changes up to %s, but its log ends at %s: the database was set back to an older copy; compare its data with the peers' and set the node up again", start, end)
}

// beginHistory records a history, and with it what the stream held of its
// parent: without that, a stream that is lost now would not be missed.
func (l *life) beginHistory(ctx context.Context, child change.History) error {
	published, confirmed := min(l.recorded.Published, child.Fork), min(l.recorded.Confirmed, child.Fork)
	err := pgx.BeginFunc(ctx, l.admin, func(tx pgx.Tx) error {
		if err := admin.AddHistory(ctx, tx, child); err != nil || published == 0 {
			return err
		}
		return admin.SetPublished(ctx, tx, child.ID, published, confirmed)
	})
	if err != nil {
		return fmt.Errorf("record the new history: %w", err)
	}
	l.history, l.recorded = child, admin.History{History: child, Published: published, Confirmed: confirmed}
	return nil
}

// close lets everything go. Called once, after all pipelines have ended.
func (l *life) close() {
	for _, a := range l.appliers {
		a.Close()
	}
	if l.flusher != nil {
		l.flusher.Close()
	}
	if l.own != nil {
		l.own.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(context.Background()), time.Second)
	defer cancel()
	for _, conn := range []*pgx.Conn{l.standbys, l.admin, l.lock} {
		if conn != nil {
			_ = conn.Close(ctx) // the session is gone either way
		}
	}
}

// identify checks that the database is this member's, that its slot is usable,
// and establishes the history.
func (l *life) identify(ctx context.Context) error {
	node, err := admin.ReadNode(ctx, l.admin)
	if err != nil {
		return err
	}
	if err := node.Check(l.Federation, l.Node); err != nil {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	if err := l.admin.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000`).
		Scan(&l.serverVersion, &l.serverMajor); err != nil {
		return fmt.Errorf("read the server's version: %w", err)
	}
	if l.system, err = decoder.Identify(ctx, l.database()); err != nil {
		return err
	}
	slot, err := decoder.InspectSlot(ctx, l.admin, l.Federation.SlotName(l.Node))
	if err != nil {
		return err
	}
	if err = slot.Check(l.system.Database); err != nil {
		l.board.complain("slot", slotReason(err))
		return err
	}
	l.board.withdraw("slot")
	return l.establishHistory(ctx)
}

func slotReason(err error) report.Reason {
	code := "slot_missing"
	switch {
	case errors.Is(err, decoder.ErrSlotInvalidated):
		code = "slot_invalidated"
	case errors.Is(err, decoder.ErrSlotForeign):
		code = "slot_foreign"
	}
	return report.Reason{Code: code, Message: err.Error(),
		Remedy: "the slot is never recreated silently: changes made since it was lost are not in any stream; this node's data must be compared and the node set up again"}
}

// establishHistory reads the life of the WAL this database knows itself to be
// in, and begins a new one after a promotion.
func (l *life) establishHistory(ctx context.Context) error {
	row, err := admin.ReadHistory(ctx, l.admin)
	if err != nil {
		return fmt.Errorf("read the history of this database: %w", err)
	}
	l.recorded, l.history = row, row.History
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
	if err = l.beginHistory(ctx, child); err != nil {
		return err
	}
	l.log.Warn("the server was promoted: a new history begins", "parent", row.ID, "history", child.ID, "fork", fork)
	return nil
}

// takeOrigins opens an applier for every peer, waiting for backends that still
// hold an origin, and reads the frontier.
func (l *life) takeOrigins(ctx context.Context) error {
	var err error
	if l.flusher, err = applier.OpenFlusher(ctx, applier.FlusherConfig{ConnString: l.database(),
		ApplicationName: "pgfed/" + l.Node + "/flush", Federation: l.Federation.Federation,
		Standbys: l.Federation.Nodes[l.Node].Standbys}); err != nil {
		return err
	}
	for _, peer := range l.peers {
		a, err := l.openApplier(ctx, peer)
		for errors.Is(err, applier.ErrOriginBusy) {
			l.board.complain("origin "+peer, report.Reason{Code: "origin_busy", Origin: peer, Message: err.Error(),
				Remedy: "another session still applies this origin; it ends by itself unless a second replicator runs against this database"})
			if err = pause(ctx, shortestPause); err != nil {
				return err
			}
			a, err = l.openApplier(ctx, peer)
		}
		if err != nil {
			return err
		}
		l.board.withdraw("origin " + peer)
		l.appliers[peer] = a
	}
	return nil
}

func (l *life) openApplier(ctx context.Context, origin string) (*applier.Applier, error) {
	f := l.Federation
	a, err := applier.Open(ctx, applier.Config{
		ConnString: l.database(), ApplicationName: "pgfed/" + l.Node + "/apply/" + origin,
		Federation: f.Federation, Node: l.Node, Origin: origin,
		Rules: l.rules, Frontier: l.frontier, Included: f.Included,
		Causal: f.Delivery.Mode == "causal", MaxWait: time.Duration(f.Delivery.MaxWait), Stall: time.Duration(f.Apply.Stall),
		OnError: f.OnError, Memory: l.memories[origin], Logger: l.log.With("origin", origin), Metrics: l.metrics.applier,
		Observe: func(p applier.Progress) { l.observe(origin, p) },
	})
	if err != nil {
		return nil, err
	}
	l.board.update(func(b *board) { b.counted[origin] = applier.Progress{} })
	if row, found := a.Checkpoint(); found {
		l.stands(origin, row)
	}
	return a, nil
}

// stands notes where the database stands with an origin.
func (l *life) stands(origin string, row checkpoint.Row) {
	l.board.update(func(b *board) {
		in := b.inbound[origin]
		in.Applied, in.CommitTime, in.AppliedAt = row.Position, row.CommitTime, row.AppliedAt
		b.marks[origin] = mark{position: row.Position, generation: row.Generation, lowWater: row.Sequence}
	})
}
