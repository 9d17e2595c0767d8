package replicator

import (
	"sync"
	"time"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/internal/change"
	"github.com/pgfed/pgfed/internal/report"
)

// board is where the pipelines write how they fare and from where heartbeats,
// /v1/status, metrics and health are read. Safe for concurrent use.
type board struct {
	mu     sync.Mutex
	role   string
	slot   report.Slot
	server report.Postgres
	stream report.Stream
	// progress brings the stream's positions up to date when they are read;
	// nil before the stream was opened.
	progress func(*report.Stream)
	counts   report.Counts
	inbound  map[string]*report.Inbound
	peers    map[string]*report.Peer
	marks    map[string]mark             // what may be acknowledged to each origin
	counted  map[string]applier.Progress // what the current applier of each origin last said
	behind   map[string]behind           // origins that have published what is not applied here
	reasons  map[string]report.Reason    // by what they are about
	alive    time.Time                   // last sign of progress of the main loop
	waiting  map[string][]string         // origins whose changes an inbound pipeline waits for
	stopped  map[string]stop             // inbound pipelines that have ended and done nothing since
}

func newBoard(peers []string, urls func(string) string) *board {
	b := &board{
		role:    "starting",
		inbound: map[string]*report.Inbound{},
		peers:   map[string]*report.Peer{},
		marks:   map[string]mark{},
		counted: map[string]applier.Progress{},
		behind:  map[string]behind{},
		reasons: map[string]report.Reason{},
		waiting: map[string][]string{},
		stopped: map[string]stop{},
		alive:   time.Now(),
	}
	for _, peer := range peers {
		b.inbound[peer] = &report.Inbound{Origin: peer, State: report.Connecting}
		b.peers[peer] = &report.Peer{Name: peer, URL: urls(peer)}
	}
	return b
}

// mark is a position that is applied here, and the first message of the
// origin's stream that is still needed after it.
type mark struct {
	position   change.Position
	generation change.ID
	lowWater   uint64
}

// stop says since when an inbound pipeline fails, and why it did last.
type stop struct {
	since time.Time
	why   string
}

// caughtUp notes that a pipeline stands and has nothing left to do: whatever
// stopped it is over. The caller holds the board.
func (b *board) caughtUp(origin string) {
	in, last := b.inbound[origin], b.peers[origin].Last
	if last == nil || !in.Applied.Covers(change.Position{History: last.Stream.History.ID, LSN: last.Stream.Published}) {
		return
	}
	delete(b.stopped, origin)
	if in.State == report.Connecting || in.State == report.Halted {
		in.State, in.Halt = report.Applying, nil
	}
}

// behind says that an origin had published lsn when we heard of it at since,
// and that it is not applied here.
type behind struct {
	lsn   change.LSN
	since time.Time
}

// measure brings one origin's lag up to date. The caller holds the board.
func (b *board) measure(origin string) {
	in, last := b.inbound[origin], b.peers[origin].Last
	in.LagBytes, in.LagSeconds = nil, nil
	if last == nil {
		return
	}
	published := change.Position{History: last.Stream.History.ID, LSN: last.Stream.Published}
	bytes, seconds := int64(0), 0.0
	switch {
	case in.Applied.Covers(published):
		delete(b.behind, origin)
	case in.Applied.History != published.History && !in.Applied.IsZero():
		return // not comparable until the new history is followed
	default:
		mark, known := b.behind[origin]
		if !known || in.Applied.LSN >= mark.lsn {
			mark = behind{lsn: published.LSN, since: time.Now()}
			b.behind[origin] = mark
		}
		bytes = int64(published.LSN - in.Applied.LSN)
		if in.Applied.IsZero() {
			bytes = int64(published.LSN - last.Stream.History.Start)
		}
		seconds = time.Since(mark.since).Seconds()
	}
	in.LagBytes, in.LagSeconds = &bytes, &seconds
}

// update changes the board under its lock.
func (b *board) update(change func(*board)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *board) setRole(role string) { b.update(func(b *board) { b.role = role }) }

func (b *board) tick() { b.update(func(b *board) { b.alive = time.Now() }) }

// complain keeps a reason for being unhealthy until it is withdrawn. The
// subject tells complaints apart.
func (b *board) complain(subject string, reason report.Reason) {
	b.update(func(b *board) { b.reasons[subject] = reason })
}

// withdraw takes a complaint back.
func (b *board) withdraw(subject string) {
	b.update(func(b *board) { delete(b.reasons, subject) })
}

// inboundState changes one origin's account.
func (b *board) setInbound(origin string, change func(*report.Inbound)) {
	b.update(func(b *board) { change(b.inbound[origin]) })
}

func (b *board) setPeer(peer string, change func(*report.Peer)) {
	b.update(func(b *board) { change(b.peers[peer]) })
}
