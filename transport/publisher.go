package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

// Publisher appends one node's transactions to its stream. Begin, Change,
// Commit, Flush and Idle take them in commit order from one goroutine; Run
// sends them. The rest is safe for concurrent use.
type Publisher struct {
	*builder

	link    *Link
	cfg     PublisherConfig
	name    string // of the stream
	subject string
	start   change.LSN
	writer  change.ID
	window  int
	opened  tail // the stream's end when the publisher was opened

	mu       sync.Mutex
	progress Progress
	acked    uint64 // number of the last message known to be in the stream
	idle     idleMark
	samples  samples
	ledger   ledger
	checked  map[string]Ack // acknowledgements from before this life found to be sound
	trimmed  uint64         // everything below this sequence has been purged
}

// idleMark says that everything up to lsn is in the stream once message
// number is.
type idleMark struct {
	number uint64
	lsn    change.LSN
}

// Progress says how far publishing has got.
type Progress struct {
	// Published is the end of the last transaction that the broker has
	// acknowledged.
	Published change.LSN
	// Captured is up to where everything that concerns the federation is
	// acknowledged. It is ahead of Published when there was nothing else.
	Captured   change.LSN
	Sequence   uint64    // of the last message in the stream
	Generation change.ID // of the stream
	CommitTime time.Time // of the newest acknowledged transaction; zero before the first
	Full       bool      // the stream takes nothing: publishing waits
}

func newPublisher(link *Link, cfg PublisherConfig, capacity int, end tail, from resumption) *Publisher {
	writer := change.NewID()
	window := cfg.Window
	if cfg.Replicas > 1 {
		window = 1
	}
	out := newOutbox(cfg.QueueBytes, defaultQueueCount)
	b := &builder{
		identity: header{Federation: cfg.Federation, Origin: cfg.Node, History: cfg.History,
			Generation: from.generation, Rules: cfg.Rules, Writer: writer},
		out: out, askVector: cfg.Vector, compression: cfg.compression(),
		capacity: capacity, target: min(cfg.BatchBytes, capacity),
		limit:    int(min(link.Conn.MaxPayload(), messageCeiling)) - natsRoom,
		position: from.previous, completed: from.previous, attempt: writer,
	}
	b.localOf = b.local
	p := &Publisher{
		builder: b, link: link, cfg: cfg, name: streamName(cfg.Federation, cfg.Node), subject: changesSubject(cfg.Federation, cfg.Node),
		start: from.start, writer: writer, window: window, opened: end,
		progress: Progress{Published: from.previous, Captured: max(from.start, cfg.Slot), Sequence: end.sequence, Generation: from.generation},
	}
	p.checked = make(map[string]Ack)
	p.samples.add(sample{at: time.Now(), sequence: end.sequence})
	p.ledger.first = end.sequence
	p.ledger.add(entry{last: from.previous, open: !end.empty && end.header.Back > 0})
	return p
}

// Start is where capture begins.
func (p *Publisher) Start() change.LSN { return p.start }

// Progress returns how far publishing has got.
func (p *Publisher) Progress() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

// Idle takes note that no transaction is open and that the write-ahead log up
// to lsn holds nothing more for us. Nothing is written to the stream: once
// what was handed in before is acknowledged, Captured moves there.
func (p *Publisher) Idle(_ context.Context, lsn change.LSN) error {
	b := p.builder
	b.mu.Lock()
	number := b.number
	if len(b.parts) > 0 {
		number++ // what is whole goes with the next message
	}
	broken := b.broken
	b.mu.Unlock()
	if broken != nil {
		return broken
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = idleMark{number: number, lsn: lsn}
	p.settle()
	return p.out.ending()
}

// settle moves Captured behind what is acknowledged.
func (p *Publisher) settle() {
	p.progress.Captured = max(p.progress.Captured, p.progress.Published)
	if p.acked >= p.idle.number {
		p.progress.Captured = max(p.progress.Captured, p.idle.lsn)
	}
}

// StreamInfo asks the broker for the size of the stream.
func (p *Publisher) StreamInfo(ctx context.Context) (messages, bytes uint64, err error) {
	stream, err := look(ctx, p.link, p.name)
	if err != nil {
		return 0, 0, err
	}
	state := stream.CachedInfo().State
	return state.Msgs, state.Bytes, nil
}

// stored takes note that the broker holds the messages up to number.
func (p *Publisher) stored(number uint64) {
	taken, flush := p.out.take(number)
	p.mu.Lock()
	for _, m := range taken {
		p.acked = m.number
		p.progress.Published = max(p.progress.Published, m.last)
		p.progress.Sequence = p.sequenceOf(m.number)
		p.progress.CommitTime = m.commitTime
		p.samples.stored(sample{at: time.Now(), sequence: p.progress.Sequence}, len(m.data))
		p.ledger.add(entry{last: m.last, open: m.open})
		p.cfg.Metrics.published(len(m.data), m.plain)
	}
	if len(taken) > 0 {
		p.progress.Full = false
	}
	p.settle()
	p.mu.Unlock()
	if flush {
		p.flushNow()
	}
}

// sequenceOf says which sequence a message of ours has: they follow the
// message that was last when the publisher was opened, without a gap.
func (p *Publisher) sequenceOf(number uint64) uint64 { return p.opened.sequence + number }

func (p *Publisher) setFull() {
	p.mu.Lock()
	p.progress.Full = true
	p.mu.Unlock()
}

// messageID names a message, for the comparison with the one before it.
func (p *Publisher) messageID(number uint64) string {
	return fmt.Sprintf("%s-%d", p.writer, number)
}
