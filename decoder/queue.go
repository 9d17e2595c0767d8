package decoder

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	maxBlockBytes = 256 << 10
	minBlockBytes = 16 << 10
	queueSegments = 1024
	spareBlocks   = 4
)

// segment is a run of complete protocol messages.
type segment struct {
	data   []byte // borrowed from a block, or a buffer of its own for a large message
	weight int64  // what it took from the queue's bytes
	block  []byte // set when data is the last of this block: it may be used again
}

// queue passes segments from the receiver to the feeder. It is bounded in
// count and in bytes; bytes stay taken until the feeder has consumed the
// segment. A segment larger than the bound passes alone.
type queue struct {
	limit    int64
	bytes    *semaphore.Weighted
	segments chan segment
	spare    chan []byte
	metrics  *Metrics
}

func newQueue(limit int, metrics *Metrics) *queue {
	return &queue{
		limit:    int64(limit),
		bytes:    semaphore.NewWeighted(int64(limit)),
		segments: make(chan segment, queueSegments),
		spare:    make(chan []byte, spareBlocks),
		metrics:  metrics,
	}
}

// reserve waits until n bytes are free, or everything is when n exceeds the
// bound, and returns the weight taken.
func (q *queue) reserve(ctx context.Context, n int) (int64, error) {
	weight := min(int64(n), q.limit)
	if q.bytes.TryAcquire(weight) {
		return weight, nil
	}
	q.metrics.queueFull.Inc()
	if err := q.bytes.Acquire(ctx, weight); err != nil {
		return 0, context.Cause(ctx)
	}
	return weight, nil
}

// put appends a segment whose weight is reserved.
func (q *queue) put(ctx context.Context, s segment) error {
	select {
	case q.segments <- s:
		q.metrics.queueBytes.Add(float64(len(s.data)))
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// done gives back what a consumed segment took.
func (q *queue) done(s segment) {
	q.metrics.queueBytes.Sub(float64(len(s.data)))
	if s.weight > 0 {
		q.bytes.Release(s.weight)
	}
	if s.block != nil {
		select {
		case q.spare <- s.block:
		default:
		}
	}
}

// block returns an empty block to read into.
func (q *queue) block() []byte {
	select {
	case b := <-q.spare:
		return b
	default:
		return make([]byte, min(maxBlockBytes, max(minBlockBytes, q.limit/4)))
	}
}
