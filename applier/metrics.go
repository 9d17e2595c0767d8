package applier

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of applying, for all origins of a node. Safe for concurrent use; a
// nil *Metrics counts nothing.
type Metrics struct {
	transactions *prometheus.CounterVec
	changes      *prometheus.CounterVec
	conflicts    *prometheus.CounterVec
	exact        *prometheus.CounterVec
	retries      *prometheus.CounterVec
	parked       *prometheus.CounterVec
	expired      *prometheus.CounterVec
	stalled      *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	waits        *prometheus.HistogramVec
}

// NewMetrics registers the metrics; with a nil Registerer they are counted but
// not shown.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pgfed", Name: name, Help: help},
			append([]string{"origin"}, labels...))
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "pgfed", Subsystem: "apply", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10)}, []string{"origin"})
	}
	m := &Metrics{
		transactions: counter("apply_transactions_total", "Source transactions of this origin committed here."),
		changes:      counter("apply_changes_total", "Changes of this origin applied here; its rate is the apply rate."),
		conflicts:    counter("conflicts_total", "Changes of this origin that were not applied as made, each on record in pgfed.conflict_history; `replctl conflicts list` shows them.", "kind", "resolution"),
		exact:        counter("apply_exact_runs_total", "Times that a transaction or a piece went change by change; a high share of the transactions means that rows differ or are refused often."),
		retries:      counter("apply_retries_total", "Transactions tried again after a deadlock or another transient error; a steady rate means contention with local sessions."),
		parked:       counter("apply_parked_total", "Transactions parked since the start; `replctl parked list` shows them."),
		expired:      counter("apply_waits_expired_total", "Times that delivery.max_wait ran out and the origin went on without what its transaction had seen."),
		stalled:      counter("apply_stalled_total", "Large transactions rolled back because their next piece did not come within apply.stall."),
		seconds:      histogram("seconds", "Time to apply a transaction, from its first piece to its commit."),
		waits:        histogram("wait_seconds", "Time that transactions waited for what they had seen of other origins."),
	}
	if registerer != nil {
		registerer.MustRegister(m.transactions, m.changes, m.conflicts, m.exact, m.retries, m.parked, m.expired, m.stalled, m.seconds, m.waits)
	}
	return m
}

// meter is the metrics of one origin.
type meter struct {
	*Metrics
	origin string
}

func (a *Applier) meter() meter { return meter{a.Metrics, a.Origin} }

func (m meter) count(of func(*Metrics) *prometheus.CounterVec, n uint64) {
	if m.Metrics != nil {
		of(m.Metrics).WithLabelValues(m.origin).Add(float64(n))
	}
}

func (m meter) committed(x *transaction) {
	if m.Metrics == nil {
		return
	}
	m.transactions.WithLabelValues(m.origin).Inc()
	m.changes.WithLabelValues(m.origin).Add(float64(x.changes))
	for of, n := range x.kinds {
		m.conflicts.WithLabelValues(m.origin, string(of.kind), string(of.resolution)).Add(float64(n))
	}
	m.seconds.WithLabelValues(m.origin).Observe(time.Since(x.started).Seconds())
}

func (m meter) conflict(of recorded) {
	if m.Metrics != nil {
		m.conflicts.WithLabelValues(m.origin, string(of.kind), string(of.resolution)).Inc()
	}
}

func (m meter) exactRun() {
	m.count(func(m *Metrics) *prometheus.CounterVec { return m.exact }, 1)
}

func (m meter) retried() {
	m.count(func(m *Metrics) *prometheus.CounterVec { return m.retries }, 1)
}

func (m meter) parkedOne() {
	m.count(func(m *Metrics) *prometheus.CounterVec { return m.parked }, 1)
}

func (m meter) waitExpired() {
	m.count(func(m *Metrics) *prometheus.CounterVec { return m.expired }, 1)
}

func (m meter) stalledOne() {
	m.count(func(m *Metrics) *prometheus.CounterVec { return m.stalled }, 1)
}

func (m meter) waited(d time.Duration) {
	if m.Metrics != nil {
		m.waits.WithLabelValues(m.origin).Observe(d.Seconds())
	}
}
