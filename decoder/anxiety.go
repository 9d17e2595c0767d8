package decoder

import (
	"time"

	"github.com/pgfed/pgfed/internal/change"
)

const (
	anxietyGrace = time.Second
	anxietyGap   = 500 * time.Millisecond
	anxietyCount = 10
)

// anxiety recognizes a server that shuts down and waits for our confirmation
// of its last byte. Its walsender then answers each status with another request
// for one, while nothing else is left to send. Otherwise a request comes only
// when we were silent for half of wal_sender_timeout, and we are not.
//
// We cannot confirm what no peer has made durable, and a server that cannot
// stop is worse than a reader that reconnects, so after a second of this we let
// go. The zero value is calm.
type anxiety struct {
	since, last time.Time
	end         change.LSN
	requests    int
}

// letGo notes a request for a reply and reports whether it is time to let go.
func (a *anxiety) letGo(now time.Time, end change.LSN) bool {
	if a.requests == 0 || end != a.end || now.Sub(a.last) > anxietyGap {
		*a = anxiety{since: now, end: end}
	}
	a.last = now
	a.requests++
	return a.requests >= anxietyCount && now.Sub(a.since) >= anxietyGrace
}
