package preflight

import (
	"fmt"
	"time"

	"github.com/pgfed/pgfed/internal/config"
	"github.com/pgfed/pgfed/internal/report"
)

// skewLimit is how far the clocks of two nodes may be apart, transport and
// the age of a heartbeat included, before people are told.
const skewLimit = 2 * time.Second

// Replicator checks what only the running replicator knows: its broker, its
// peers, their clocks and their files. asked and answered are this machine's
// times around the question.
func Replicator(f *config.Federation, node string, s report.Status, asked, answered time.Time) Findings {
	c := &check{Options: Options{Federation: f, Node: node}}
	if s.Node.Name != node || s.Node.Federation != f.Federation {
		c.fail("wrong_server", "replicator", fmt.Sprintf("the replicator is node %s of federation %s", s.Node.Name, s.Node.Federation), "check --server and --node")
	}
	if s.Node.Digest != "" && s.Node.Digest != f.Digest() {
		c.warn("file_differs", "replicator", "the replicator runs another federation file than this one", "restart it with this file, or use its file here")
	}
	if s.Node.Stream.Generation.IsZero() {
		c.fail("broker", "broker", "the replicator has no stream open at its broker", "look at the replicator's reasons: replctl status")
	} else {
		c.ok("broker", "broker", "stream %s is open", s.Node.Stream.Name)
	}
	c.clock(node, s.Node.Time, asked, answered)
	for _, peer := range s.Peers {
		c.peer(s, peer)
	}
	return c.findings
}

func (c *check) peer(s report.Status, peer report.Peer) {
	if !peer.Reachable {
		message := "not reachable"
		if peer.Error != "" {
			message += ": " + peer.Error
		}
		c.fail("peer_unreachable", peer.Name, message, "check the route to "+peer.URL+" and the peer's replicator")
		return
	}
	c.ok("peer", peer.Name, "reachable at %s", peer.URL)
	if peer.Last == nil {
		return
	}
	if peer.Last.Digest != s.Node.Digest {
		c.fail("file_differs", peer.Name, "runs another federation file than "+s.Node.Name, "give every node the same file")
	}
	// Heard is this node's clock when the heartbeat came, Time the peer's
	// when it left.
	c.clock(peer.Name, peer.Last.Time, peer.Heard.Add(-time.Second), peer.Heard)
}

// clock compares a clock's reading with the interval in which it was read.
func (c *check) clock(subject string, reading, from, to time.Time) {
	if reading.IsZero() || to.IsZero() {
		return
	}
	var skew time.Duration
	switch {
	case reading.Before(from):
		skew = reading.Sub(from)
	case reading.After(to):
		skew = reading.Sub(to)
	}
	if skew.Abs() > skewLimit {
		c.warn("clock", subject, fmt.Sprintf("its clock is about %s off", skew.Round(100*time.Millisecond)), "synchronize the clocks (NTP)")
	} else {
		c.ok("clock", subject, "within %s", skewLimit)
	}
}
