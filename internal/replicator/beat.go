package replicator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/admin"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

const (
	beatEvery  = time.Second
	houseEvery = 500 * time.Millisecond
	trimEvery  = 10 * time.Second
	// silence is how long a peer may say nothing before it counts as
	// unreachable.
	silence = 5 * time.Second
	// stubborn is how long an inbound pipeline may fail for reasons that
	// usually pass before that counts as trouble.
	stubborn = 15 * time.Second
)

// beat tells the peers once a second how this node fares, whatever becomes of
// capture. Heartbeats are not stored and write nothing to any database.
func (l *life) beat(ctx context.Context) error {
	var link *transport.Link
	defer func() {
		if link != nil {
			link.Close()
		}
	}()
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		if link == nil {
			// Not reachable yet; capture says so.
			link, _ = l.dialOwn(ctx, l.broker)
		}
		if link != nil {
			document, err := json.Marshal(l.report())
			if err != nil {
				return fmt.Errorf("encode the heartbeat: %w", err)
			}
			// A lost heartbeat is replaced by the next one.
			_ = link.Beat(l.Federation.Federation, l.Node, document)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// heard takes in a peer's heartbeat.
func (in *inbound) heard(document []byte) {
	var node report.Node
	if err := json.Unmarshal(document, &node); err != nil || node.Name != in.origin || node.Federation != in.Federation.Federation {
		in.log.Warn("ignored a heartbeat that is not the peer's", "origin", in.origin, "error", err)
		return
	}
	in.board.update(func(b *board) {
		peer := b.peers[in.origin]
		peer.Heard, peer.Last = time.Now(), &node
		b.measure(in.origin)
		subject := "rules " + in.origin
		delete(b.reasons, subject)
		if digest := in.Federation.Digest(); node.Digest != digest {
			b.reasons[subject] = report.Reason{Code: "rules_differ", Origin: in.origin,
				Message: fmt.Sprintf("%s runs a different federation file (digest %.12s, here %.12s)", in.origin, node.Digest, digest),
				Remedy:  "give every node the same file and restart the replicators"}
		}
	})
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.subscription != nil {
		in.subscription.Told(node.Stream.Published)
		in.board.update(func(b *board) { b.caughtUp(in.origin) })
	}
}

// keepHouse looks at the database from time to time. It owns l.admin.
func (l *life) keepHouse(ctx context.Context) error {
	ticker := time.NewTicker(houseEvery)
	defer ticker.Stop()
	counted := time.Time{}
	for {
		if err := l.look(ctx); err != nil {
			return err
		}
		if time.Since(counted) >= trimEvery {
			counted = time.Now()
			if err := l.lookRarely(ctx); err != nil {
				return err
			}
		}
		l.board.tick()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// look reads the slot and the server's flush position.
func (l *life) look(ctx context.Context) error {
	slot, err := decoder.InspectSlot(ctx, l.admin, l.Federation.SlotName(l.Node))
	if err != nil {
		return err
	}
	var flushed string
	if err := l.admin.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text`).Scan(&flushed); err != nil {
		return fmt.Errorf("read the flush position: %w", err)
	}
	l.board.update(func(b *board) {
		_ = b.server.Flushed.UnmarshalText([]byte(flushed)) // Postgres's own form
		b.server.System, b.server.Timeline, b.server.Version = l.system.ID, l.system.Timeline, l.serverVersion
		b.slot = report.Slot{Name: l.Federation.SlotName(l.Node), Active: slot.Active,
			Confirmed: slot.Confirmed, Restart: slot.Restart, RetainedBytes: slot.RetainedBytes,
			WALStatus: slot.WALStatus, Failover: slot.Failover, Invalidation: slot.Invalidation}
	})
	return nil
}

// lookRarely reads what moves slowly: totals, and tables that match the file
// without being published.
func (l *life) lookRarely(ctx context.Context) error {
	counts, err := admin.Count(ctx, l.admin)
	if err != nil {
		return err
	}
	parked, err := admin.ParkedByOrigin(ctx, l.admin)
	if err != nil {
		return err
	}
	missing, err := admin.Unpublished(ctx, l.admin, l.Federation)
	if err != nil {
		return err
	}
	l.board.update(func(b *board) {
		b.counts = counts
		for origin, in := range b.inbound {
			in.Parked = parked[origin]
		}
		delete(b.reasons, "unpublished")
		if len(missing) > 0 {
			b.reasons["unpublished"] = report.Reason{Code: "unpublished", Table: missing[0],
				Message: fmt.Sprintf("%d tables match the federation file but are not published, the first is %s: what is written to them stays here", len(missing), missing[0]),
				Remedy:  "run `replctl init` again on every node, or exclude them"}
		}
		delete(b.reasons, "parked")
		if counts.Parked > 0 {
			b.reasons["parked"] = report.Reason{Code: "parked", Message: fmt.Sprintf("%d transactions are parked", counts.Parked),
				Remedy: "replctl parked list shows them and why"}
		}
	})
	return nil
}

// report gives this node's account of itself.
func (r *Replicator) report() report.Node {
	node := report.Node{Format: 1, Federation: r.Federation.Federation, Name: r.Node, Version: r.Version,
		Time: time.Now(), Started: r.started, Rules: r.Federation.RulesVersion(), Digest: r.Federation.Digest(),
		Inbound: []report.Inbound{}, Health: report.Health{Reasons: []report.Reason{}}}
	r.board.update(func(b *board) {
		if b.progress != nil {
			b.progress(&b.stream)
		}
		node.Role, node.Postgres, node.Slot, node.Stream, node.Counts = b.role, b.server, b.slot, b.stream, b.counts
		subjects := make([]string, 0, len(b.reasons))
		for subject := range b.reasons {
			subjects = append(subjects, subject)
		}
		slices.Sort(subjects)
		for _, subject := range subjects {
			node.Health.Reasons = append(node.Health.Reasons, b.reasons[subject])
		}
		for _, peer := range r.peers {
			b.measure(peer)
			in := *b.inbound[peer]
			node.Inbound = append(node.Inbound, in)
			node.Health.Reasons = append(node.Health.Reasons, b.troubleWith(peer)...)
		}
	})
	node.Health.OK = len(node.Health.Reasons) == 0 && (node.Role == "active" || node.Role == "standby")
	if !node.Health.OK && len(node.Health.Reasons) == 0 {
		node.Health.Reasons = append(node.Health.Reasons, report.Reason{Code: "not_running", Message: "the replicator is " + node.Role})
	}
	return node
}

// troubleWith lists what is wrong between this node and one peer. The caller
// holds the board.
func (b *board) troubleWith(name string) []report.Reason {
	var reasons []report.Reason
	in, peer := b.inbound[name], b.peers[name]
	if in.Halt != nil {
		reasons = append(reasons, *in.Halt)
	}
	if in.State == report.Waiting {
		reasons = append(reasons, report.Reason{Code: "waiting", Origin: name, Position: in.Applied.String(),
			Message: fmt.Sprintf("changes of %s wait for those they had seen of %v", name, b.waiting[name]),
			Remedy:  "nothing to do if it passes; otherwise the link to the origins named is down"})
	}
	// A peer that is not heard of, or a halt, is reason enough by itself.
	failing, known := b.stopped[name]
	if known && b.role == "active" && in.Halt == nil && time.Since(failing.since) > stubborn && time.Since(peer.Heard) <= silence {
		reasons = append(reasons, report.Reason{Code: "not_applying", Origin: name, Position: in.Applied.String(),
			Message: fmt.Sprintf("nothing of %s could be applied since %s: %s", name, failing.since.UTC().Format(time.RFC3339), failing.why),
			Remedy:  "it is tried again every few seconds; mend what the message names"})
	}
	if b.role == "active" && time.Since(peer.Heard) > silence {
		message := "nothing was ever heard from " + name
		if !peer.Heard.IsZero() {
			message = fmt.Sprintf("nothing was heard from %s since %s", name, peer.Heard.UTC().Format(time.RFC3339))
		}
		if peer.Error != "" {
			message += ": " + peer.Error
		}
		reasons = append(reasons, report.Reason{Code: "peer_unreachable", Origin: name, Message: message,
			Remedy: "check that " + peer.URL + " is reachable from here and that the peer's replicator runs"})
	}
	return reasons
}

// status is the answer of /v1/status.
func (r *Replicator) status() report.Status {
	status := report.Status{Node: r.report(), Peers: []report.Peer{}}
	r.board.update(func(b *board) {
		for _, name := range r.peers {
			peer := *b.peers[name]
			peer.Reachable = time.Since(peer.Heard) <= silence
			status.Peers = append(status.Peers, peer)
		}
	})
	return status
}
