package transport

import "github.com/prometheus/client_golang/prometheus"

// Reasons to find one's place anew, as the metrics name them.
const (
	reasonTimeout   = "timeout"
	reasonRefused   = "refused"
	reasonFull      = "full"
	reasonLink      = "link"
	reasonSequence  = "sequence"
	reasonStale     = "stale"
	reasonLife      = "new_life" // of history or generation
	reasonPieces    = "pieces"
	reasonConsumer  = "consumer"
	reasonSubscribe = "subscribe"
)

// Metrics counts what publisher and subscriptions do. One value serves all of
// a process. A nil *Metrics counts nothing.
type Metrics struct {
	publishedMessages prometheus.Counter
	publishedBytes    prometheus.Counter
	publishedPlain    prometheus.Counter
	resyncs           *prometheus.CounterVec
	receivedMessages  *prometheus.CounterVec
	receivedBytes     *prometheus.CounterVec
	skippedMessages   *prometheus.CounterVec
	sessions          *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pgfed", Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pgfed", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		publishedMessages: counter("published_messages_total", "Messages that the broker has acknowledged. Divided into the bytes it gives the size of a batch."),
		publishedBytes:    counter("published_bytes_total", "Bytes of acknowledged messages, as stored. Its rate is what each peer has to download."),
		publishedPlain:    counter("published_plain_bytes_total", "Bytes of acknowledged messages before compression. Its ratio to published_bytes_total says what compression brings."),
		resyncs:           vector("publish_resyncs_total", "How often the publisher had to read the stream's end and go on from there. A steady rate means an unwell broker; the reason names how it shows.", "reason"),
		receivedMessages:  vector("received_messages_total", "Messages received from the origin. A rate of 0 while the origin publishes means a broken link.", "origin"),
		receivedBytes:     vector("received_bytes_total", "Bytes of messages received from the origin.", "origin"),
		skippedMessages:   vector("received_old_messages_total", "Messages received again that held nothing new. Some after each restart are normal.", "origin"),
		sessions:          vector("subscription_sessions_total", "Sessions opened at the origin's stream, by what made it necessary. A steady rate means an unwell link.", "origin", "reason"),
	}
	registerer.MustRegister(m.publishedMessages, m.publishedBytes, m.publishedPlain, m.resyncs, m.receivedMessages, m.receivedBytes, m.skippedMessages, m.sessions)
	return m
}

func (m *Metrics) published(stored, plain int) {
	if m == nil {
		return
	}
	m.publishedMessages.Inc()
	m.publishedBytes.Add(float64(stored))
	m.publishedPlain.Add(float64(plain))
}

func (m *Metrics) resync(reason string) {
	if m != nil {
		m.resyncs.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) received(origin string, bytes int, old bool) {
	if m == nil {
		return
	}
	m.receivedMessages.WithLabelValues(origin).Inc()
	m.receivedBytes.WithLabelValues(origin).Add(float64(bytes))
	if old {
		m.skippedMessages.WithLabelValues(origin).Inc()
	}
}

func (m *Metrics) session(origin, reason string) {
	if m != nil {
		m.sessions.WithLabelValues(origin, reason).Inc()
	}
}
