package checkpoint

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/pgfed/pgfed/internal/change"
)

// Frontier is what this node has applied of every origin, in memory, and what
// it has begun to commit. Appliers move it, transactions of other origins
// wait for it, and the publisher stamps Begun on what it publishes. It is
// safe for concurrent use.
//
// The order at start matters. An origin's applier calls Set only after taking
// the origin's replication origin and locking its checkpoint row: before
// that, a session of an earlier replicator may still be committing. And the
// publisher publishes nothing before every origin was Set: Ready waits for
// that.
type Frontier struct {
	self string

	mu      sync.Mutex
	origins map[string]*progress
	lineage lineage
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// progress of one origin. Begun covers applied at all times.
type progress struct {
	applied, begun change.Position
}

// NewFrontier returns an empty frontier of the node called self.
func NewFrontier(self string) *Frontier {
	return &Frontier{self: self, origins: make(map[string]*progress), lineage: make(lineage)}
}

// Set takes over what the database says: at the start of an applier, and
// again whenever it has reconnected. It is the only way back: a crash of the
// database may have undone commits. A zero position says that nothing was
// ever applied.
func (f *Frontier) Set(origin string, p change.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, known := f.origins[origin]
	if !known {
		o = &progress{}
		f.origins[origin] = o
	}
	o.applied = p
	f.begin(o, p)
	f.wake()
}

// NoteBegun notes the intent to commit an apply transaction that ends at p.
// It comes before COMMIT is sent: from then on a local transaction may see
// its rows. An intent is never taken back, so the vector of a transaction may
// name more than it saw, which costs a wait and no more.
func (f *Frontier) NoteBegun(origin string, p change.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(f.of(origin), p)
}

// Advance notes that the apply transaction ending at p is committed. It moves
// only forward; anything else is a broken invariant and panics.
func (f *Frontier) Advance(origin string, p change.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.of(origin)
	if p != o.applied && f.lineage.reaches(o.applied, p) {
		panic(fmt.Sprintf("advance %s from %s to %s: not forward", origin, o.applied, p))
	}
	o.applied = p
	f.begin(o, p)
	f.wake()
}

// Applied returns what is committed of an origin; zero: nothing.
func (f *Frontier) Applied(origin string) change.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, known := f.origins[origin]; known {
		return o.applied
	}
	return change.Position{}
}

// Snapshot returns what is committed of every origin.
func (f *Frontier) Snapshot() change.Vector {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := make(change.Vector, len(f.origins))
	for origin, o := range f.origins {
		if !o.applied.IsZero() {
			v[origin] = o.applied
		}
	}
	return v
}

// Begun returns the vector of what is published now: all that a transaction
// committed up to this moment can have seen of other origins. Positions at
// the very start of a history are left out: there is nothing to wait for.
func (f *Frontier) Begun() change.Vector {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := make(change.Vector, len(f.origins))
	for origin, o := range f.origins {
		if origin != f.self && !o.begun.IsZero() && !f.lineage.empty(o.begun) {
			v[origin] = o.begun
		}
	}
	return v
}

// Learn notes where a history of an origin comes from, so that a position in
// it covers those of its parent. Appliers call it for every new history they
// meet, before Set or Advance names it.
func (f *Frontier) Learn(_ string, h change.History) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lineage[h.ID] == h {
		return
	}
	f.lineage[h.ID] = h
	f.wake()
}

// Covers lists the origins, in order, whose entry in v is not applied here
// yet. Entries of this node itself and of except, whose stream is in order
// anyway, do not count.
func (f *Frontier) Covers(v change.Vector, except string) (missing []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missing(v, except)
}

// Wait blocks until every entry of v that counts (see Covers) is applied
// here. When ctx ends first it returns a *WaitError.
func (f *Frontier) Wait(ctx context.Context, v change.Vector, except string) error {
	return f.until(ctx, func() []string { return f.missing(v, except) })
}

// Ready blocks until every one of the origins was Set. When ctx ends first it
// returns a *WaitError.
func (f *Frontier) Ready(ctx context.Context, origins ...string) error {
	return f.until(ctx, func() (missing []string) {
		for _, origin := range origins {
			if _, known := f.origins[origin]; !known && origin != f.self {
				missing = append(missing, origin)
			}
		}
		return missing
	})
}

// WaitError says which origins were still missing when a wait ended.
type WaitError struct {
	Missing []string // in order
	Err     error    // the cause of the context's end
}

// Error names the origins.
func (e *WaitError) Error() string {
	return "wait for " + strings.Join(e.Missing, ", ") + ": " + e.Err.Error()
}

// Unwrap gives the cause, for instance context.DeadlineExceeded.
func (e *WaitError) Unwrap() error { return e.Err }

// until blocks until missing, called under the lock, finds nothing.
func (f *Frontier) until(ctx context.Context, missing func() []string) error {
	for {
		f.mu.Lock()
		left := missing()
		if len(left) == 0 {
			f.mu.Unlock()
			return nil
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return &WaitError{Missing: left, Err: context.Cause(ctx)}
		}
	}
}

func (f *Frontier) missing(v change.Vector, except string) (missing []string) {
	for origin, need := range v {
		if origin == f.self || origin == except {
			continue
		}
		var have change.Position
		if o, known := f.origins[origin]; known {
			have = o.applied
		}
		if !f.lineage.covers(have, need) {
			missing = append(missing, origin)
		}
	}
	sort.Strings(missing)
	return missing
}

// of returns an origin's progress; only Set makes a new one, so that nothing
// moves before the database was read.
func (f *Frontier) of(origin string) *progress {
	o, known := f.origins[origin]
	if !known {
		panic(fmt.Sprintf("move the frontier of %s before it was set", origin))
	}
	return o
}

// begin raises what is begun to cover p. A position that cannot be compared
// replaces it: the newer history is the one that goes on.
func (f *Frontier) begin(o *progress, p change.Position) {
	if !f.lineage.covers(o.begun, p) {
		o.begun = p
	}
}

func (f *Frontier) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}
