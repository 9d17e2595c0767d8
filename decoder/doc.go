// Package decoder reads one database's logical replication slot and hands its
// committed transactions to a Sink, whole, in commit order, once each.
//
// Three goroutines share one replication connection, and nobody shares a role:
//
//	receiver   reads: frames go as large blocks, uncopied, into a queue bounded
//	           in bytes; keepalives that ask for a reply are passed on at once
//	reporter   writes: a status message on its own timer, also in the middle of
//	           a huge transaction and while the queue is full
//	feeder     parses the queue and calls the Sink, which may block
//
// A transaction's position is the end LSN of its commit record. Transactions
// that pgfed itself applied here are recognized by their replication origin and
// dropped; what is dropped or empty still moves the position, through Sink.Idle.
package decoder
