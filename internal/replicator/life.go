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
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/internal/wait"
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
	frontier      *checkpoint.Frontier

	appliersMu sync.Mutex
	appliers   map[string]*applier.Applier // taken at the start, handed to the inbound pipelines

	flusherMu sync.Mutex
	flusher   *applier.Flusher
}

// live lives one life. Each step says why it comes before the next.
func (r *Replicator) live(ctx context.Context, broker *transport.Broker) (err error) {
	l := &life{Replicator: r, broker: broker, frontier: checkpoint.NewFrontier(r.Node), appliers: map[string]*applier.Applier{}}
	defer l.close()

	// 1. One active instance. Others wait here.
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

	// 4. Run until the life is over. The pipelines do not end it: each is
	// begun again by itself, so that trouble with one leaves the others alone.
	r.board.withdraw("life")
	r.board.setRole("active")
	r.log.Info("active", "system", l.system.ID, "timeline", l.system.Timeline)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watch(ctx, l.lock) })
	group.Go(func() error { return l.keepHouse(ctx) })
	group.Go(func() error { return l.capture(ctx) })
	group.Go(func() error { return l.beat(ctx) })
	for _, peer := range r.peers {
		group.Go(func() error { return l.follow(ctx, peer) })
	}
	return group.Wait()
}

// close lets everything go. Called once, after all pipelines have ended.
func (l *life) close() {
	for _, a := range l.appliers {
		a.Close()
	}
	if l.flusher != nil {
		l.flusher.Close()
	}
	for _, conn := range []*pgx.Conn{l.admin, l.lock} {
		closeSession(conn)
	}
}

// identify checks that the database is this member's and establishes the
// history.
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
	return l.establishHistory(ctx)
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
			if err = wait.Pause(ctx, shortestPause); err != nil {
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
		Rules: l.rules, Frontier: l.frontier, Included: f.Included, Local: f.Local,
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
