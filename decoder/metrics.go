package decoder

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgfed/pgfed/internal/change"
)

// The ways a transaction can go, as the label "result".
const (
	resultDelivered = "delivered"
	resultDropped   = "dropped" // applied here by pgfed
	resultEmpty     = "empty"   // nothing of it is published
)

// Metrics of capture. Safe for concurrent use.
type Metrics struct {
	transactions  *prometheus.CounterVec
	delivered     prometheus.Counter
	dropped       prometheus.Counter
	empty         prometheus.Counter
	changes       prometheus.Counter
	receivedBytes prometheus.Counter
	statuses      prometheus.Counter
	replyRequests prometheus.Counter
	queueFull     prometheus.Counter
	queueBytes    prometheus.Gauge
	receivedLSN   prometheus.Gauge
	confirmedLSN  prometheus.Gauge
}

// NewMetrics registers the metrics; with a nil Registerer they are counted but
// not shown.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pgfed", Subsystem: "capture", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "pgfed", Subsystem: "capture", Name: name, Help: help})
	}
	m := &Metrics{
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pgfed", Subsystem: "capture", Name: "transactions_total",
			Help: "Transactions read from the slot: delivered, dropped (applied here by pgfed) or empty (nothing published).",
		}, []string{"result"}),
		changes:       counter("changes_total", "Row changes and truncations delivered; its rate is the capture rate."),
		receivedBytes: counter("received_bytes_total", "Bytes read from the replication connection."),
		statuses:      counter("statuses_total", "Status messages sent; a rate of 0 means the server will end the session."),
		replyRequests: counter("reply_requests_total", "Keepalives that asked for a reply; many a second mean a server that wants to stop."),
		queueFull:     counter("queue_full_total", "Times that reading waited for the consumer; a steady rate means that publishing is the bound."),
		queueBytes:    gauge("queue_bytes", "Bytes received and not yet consumed."),
		receivedLSN:   gauge("received_lsn_bytes", "End of the log the server has told us of, as a byte position."),
		confirmedLSN:  gauge("confirmed_lsn_bytes", "Position the slot was last confirmed to; received minus this is what a restart reads again."),
	}
	m.delivered = m.transactions.WithLabelValues(resultDelivered)
	m.dropped = m.transactions.WithLabelValues(resultDropped)
	m.empty = m.transactions.WithLabelValues(resultEmpty)
	if registerer != nil {
		registerer.MustRegister(m.transactions, m.changes, m.receivedBytes, m.statuses, m.replyRequests,
			m.queueFull, m.queueBytes, m.receivedLSN, m.confirmedLSN)
	}
	return m
}

func (m *Metrics) reported(confirmed, received change.LSN) {
	m.statuses.Inc()
	m.confirmedLSN.Set(float64(confirmed))
	m.receivedLSN.Set(float64(received))
}
