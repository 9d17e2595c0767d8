package decoder

import (
	"sync/atomic"

	"github.com/pgfed/pgfed/internal/change"
)

// progress is what the goroutines of one Run tell each other. Safe for
// concurrent use; every position only moves forward.
type progress struct {
	received atomic.Uint64 // written by the receiver: end of the log it has heard of
	handed   atomic.Uint64 // written by the feeder: highest position given to the sink
}

// newProgress begins at what the slot has confirmed; start is a position that
// an earlier run handed over.
func newProgress(slot, start change.LSN) *progress {
	p := &progress{}
	p.received.Store(uint64(slot))
	p.handed.Store(uint64(max(slot, start)))
	return p
}

// hear notes that the server spoke of lsn. Only the receiver calls it.
func (p *progress) hear(lsn change.LSN) {
	if uint64(lsn) > p.received.Load() {
		p.received.Store(uint64(lsn))
	}
}

// hand notes that the sink is about to learn of lsn. Only the feeder calls it.
func (p *progress) hand(lsn change.LSN) {
	if uint64(lsn) > p.handed.Load() {
		p.handed.Store(uint64(lsn))
	}
}
