package replicator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgfed/pgfed/applier"
	"github.com/pgfed/pgfed/decoder"
	"github.com/pgfed/pgfed/internal/report"
	"github.com/pgfed/pgfed/transport"
)

// metrics holds the counters of the parts, and derives every gauge from the
// board when it is scraped, so that metrics, heartbeats and replctl never
// disagree.
type metrics struct {
	decoder      *decoder.Metrics
	publisher    *transport.Metrics
	subscription *transport.Metrics
	applier      *applier.Metrics
}

func newMetrics(r *Replicator) *metrics {
	registry := prometheus.WrapRegistererWith(prometheus.Labels{"node": r.Node}, r.Registry)
	parts := transport.NewMetrics(registry)
	m := &metrics{decoder: decoder.NewMetrics(registry), publisher: parts, subscription: parts, applier: applier.NewMetrics(registry)}
	registry.MustRegister(&gauges{r: r})
	return m
}

// gauges derives metrics from the board.
type gauges struct{ r *Replicator }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pgfed_"+name, help, labels, nil)
}

var (
	descUp            = describe("up", "1 while the process runs.")
	descActive        = describe("active", "1 on the instance that captures and applies, 0 on one that waits or starts. The sum over a node's instances should be 1.")
	descHealth        = describe("health_ok", "1 when the node has nothing to complain of; `replctl status` gives the reasons.")
	descSlotActive    = describe("slot_active", "1 while the replication slot is being read.")
	descSlotRetained  = describe("slot_retained_bytes", "WAL that the slot holds back on the database server. Compare with pgfed_slot_retain_limit_bytes.")
	descSlotLimit     = describe("slot_retain_limit_bytes", "slot.retain: beyond it the slot is confirmed on the broker's word alone.")
	descSlotLost      = describe("slot_lost", "1 when the slot is missing or invalidated: capture has stopped until a person decides.")
	descStreamBytes   = describe("stream_bytes", "Size of the node's stream at its broker.")
	descStreamMax     = describe("stream_max_bytes", "stream.max_bytes: when reached, publishing waits and the slot holds the changes.")
	descStreamFull    = describe("stream_full", "1 while publishing waits because the stream is full.")
	descPublished     = describe("published_lsn", "WAL position up to which changes are durable in the stream.")
	descCaptured      = describe("captured_lsn", "WAL position up to which everything that concerns the federation is durable in the stream.")
	descLagBytes      = describe("inbound_lag_bytes", "WAL distance between what the origin has published and what is applied here. Negative never; absent while the origin is unheard of.", "origin")
	descLagSeconds    = describe("inbound_lag_seconds", "For how long something the origin is known to have published has been missing here; 0 when nothing is.", "origin")
	descHalted        = describe("inbound_halted", "1 while an origin's changes are not applied for a lasting reason; the code names the runbook.", "origin", "code")
	descWaiting       = describe("inbound_waiting", "1 while an origin's changes wait for those they had seen of others.", "origin")
	descParked        = describe("parked_transactions", "Transactions of this origin that are parked here.", "origin")
	descPeerReachable = describe("peer_reachable", "1 while heartbeats of the peer arrive.", "peer")
	descPeerRules     = describe("peer_rules_differ", "1 while the peer runs another federation file.", "peer")
	descHeartbeatAge  = describe("heartbeat_age_seconds", "Time since the peer's last heartbeat. Absent before the first.", "peer")
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descUp, descActive, descHealth, descSlotActive, descSlotRetained, descSlotLimit, descSlotLost,
		descStreamBytes, descStreamMax, descStreamFull, descPublished, descCaptured, descLagBytes, descLagSeconds,
		descHalted, descWaiting, descParked, descPeerReachable, descPeerRules, descHeartbeatAge} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	status := g.r.status()
	node := status.Node
	reasons := map[string]bool{}
	differ := map[string]bool{}
	for _, reason := range node.Health.Reasons {
		reasons[reason.Code] = true
		if reason.Code == "rules_differ" {
			differ[reason.Origin] = true
		}
	}
	gauge(descUp, 1)
	gauge(descActive, truth(node.Role == "active"))
	gauge(descHealth, truth(node.Health.OK))
	gauge(descSlotActive, truth(node.Slot.Active))
	gauge(descSlotRetained, float64(node.Slot.RetainedBytes))
	gauge(descSlotLimit, float64(g.r.Federation.Slot.Retain))
	gauge(descSlotLost, truth(reasons["slot_missing"] || reasons["slot_invalidated"] || reasons["slot_foreign"]))
	gauge(descStreamBytes, float64(node.Stream.Bytes))
	gauge(descStreamMax, float64(node.Stream.MaxBytes))
	gauge(descStreamFull, truth(reasons["stream_full"]))
	gauge(descPublished, float64(node.Stream.Published))
	gauge(descCaptured, float64(node.Stream.Captured))
	for _, peer := range status.Peers {
		gauge(descPeerReachable, truth(peer.Reachable), peer.Name)
		gauge(descPeerRules, truth(differ[peer.Name]), peer.Name)
		if !peer.Heard.IsZero() {
			gauge(descHeartbeatAge, time.Since(peer.Heard).Seconds(), peer.Name)
		}
	}
	for _, in := range node.Inbound {
		if in.LagBytes != nil {
			gauge(descLagBytes, float64(*in.LagBytes), in.Origin)
			gauge(descLagSeconds, *in.LagSeconds, in.Origin)
		}
		code := "none"
		if in.Halt != nil {
			code = in.Halt.Code
		}
		gauge(descHalted, truth(in.Halt != nil), in.Origin, code)
		gauge(descWaiting, truth(in.State == report.Waiting), in.Origin)
		gauge(descParked, float64(in.Parked), in.Origin)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
